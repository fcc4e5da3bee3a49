/* unit_dhcp.c - who asks for an address, who answers. */
#include "capture/app_dhcp.h"
#include "tests/app_rig.h"
#include "tests/unit.h"

enum { FIXED = 236 };
#define SERVER_IP 0x0a141e07u
#define RELAY_IP 0x0a141f01u
#define MAC UINT64_C(0x001b382c93b4)

static void
put32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* RFC 2131, figure 1; `server` in option 54 unless 0. */
static size_t
message(uint8_t *m, unsigned op, unsigned type, uint32_t giaddr,
    uint32_t server)
{
	size_t at = FIXED;

	memset(m, 0, FIXED);
	m[0] = (uint8_t)op;
	m[1] = 1;
	m[2] = 6;
	put32(m + 4, 0xdbb0de9d);
	put32(m + 24, giaddr);
	m[28] = 0x00;
	m[29] = 0x1b;
	put32(m + 30, 0x382c93b4);
	put32(m + at, 0x63825363);
	at += 4;
	m[at++] = 0;			/* a pad */
	if (server) {
		m[at++] = 54;
		m[at++] = 4;
		put32(m + at, server);
		at += 4;
	}
	m[at++] = 53;
	m[at++] = 1;
	m[at++] = (uint8_t)type;
	m[at++] = 255;
	return at;
}

static const struct app_event *
packet(struct rig *r, uint32_t src, uint32_t dst, const uint8_t *m, size_t n)
{
	struct packet p = {
		.ip_version = 4, .protocol = IP_UDP, .has_transport = true,
		.src = address_from_v4(src), .dst = address_from_v4(dst),
		.sport = m[0] == 1 ? 68 : 67, .dport = m[0] == 1 ? 67 : 68,
	};
	size_t before = r->count;

	rig_datagram(r, true, m[0] == 1 ? CLIENT : SERVER, &p, m, n);
	return r->count > before ? &r->event[r->count - 1] : NULL;
}

static void
test_a_broadcast_asks_any_server(void **state)
{
	uint8_t m[512];
	struct rig r;
	const struct app_event *e;

	(void)state;
	rig_begin(&r, IP_UDP, 67, 0);
	e = packet(&r, 0, 0xffffffff, m, message(m, 1, DHCP_DISCOVER, 0, 0));
	CHECK(e);
	CHECK_EQ(e->what, APP_NOTE_DHCP_REQUEST);
	CHECK_EQ(e->label, app_label(APP_DHCP, DHCP_DIRECT, DHCP_DISCOVER));
	CHECK_EQ(e->value, MAC);
	CHECK_EQ(e->key, 0xdbb0de9d);
	CHECK(address_is_unspecified(&e->peer) || !address_v4(&e->peer));
	CHECK(!e->flow);
	CHECK_EQ(r.flow->app, APP_DHCP);
	CHECK_EQ(r.flow->waiting_count, 0);
	e = packet(&r, 0, 0x0a141eff, m, message(m, 1, DHCP_DISCOVER, 0, 0));
	CHECK_EQ(address_v4(&e->peer), 0);
	rig_end(&r);
}

static void
test_a_request_names_its_server_by_option_or_address(void **state)
{
	uint8_t m[512];
	struct rig r;
	const struct app_event *e;

	(void)state;
	rig_begin(&r, IP_UDP, 67, 0);
	e = packet(&r, 0, 0xffffffff, m,
	    message(m, 1, DHCP_REQUEST, 0, SERVER_IP));
	CHECK_EQ(address_v4(&e->peer), SERVER_IP);
	e = packet(&r, 0x0a141e99, SERVER_IP, m,
	    message(m, 1, DHCP_REQUEST, 0, 0));
	CHECK_EQ(address_v4(&e->peer), SERVER_IP);
	CHECK_EQ(address_v4(&e->address), 0x0a141e99);
	rig_end(&r);
}

static void
test_a_reply_is_by_the_server_it_names(void **state)
{
	uint8_t m[512];
	struct rig r;
	const struct app_event *e;

	(void)state;
	rig_begin(&r, IP_UDP, 67, 0);
	e = packet(&r, RELAY_IP, 0xffffffff, m,
	    message(m, 2, DHCP_OFFER, 0, SERVER_IP));
	CHECK(e);
	CHECK_EQ(e->what, APP_NOTE_DHCP_REPLY);
	CHECK_EQ(address_v4(&e->address), SERVER_IP);
	CHECK_EQ(e->value, MAC);
	e = packet(&r, SERVER_IP, 0xffffffff, m, message(m, 2, DHCP_ACK, 0, 0));
	CHECK_EQ(address_v4(&e->address), SERVER_IP);
	rig_end(&r);
}

static void
test_a_relayed_request_is_the_same_dialogue_from_the_relay(void **state)
{
	uint8_t m[512];
	struct rig r;
	const struct app_event *e;

	(void)state;
	rig_begin(&r, IP_UDP, 67, 0);
	e = packet(&r, RELAY_IP, SERVER_IP, m,
	    message(m, 1, DHCP_DISCOVER, RELAY_IP, 0));
	CHECK(e);
	CHECK_EQ(e->label, app_label(APP_DHCP, DHCP_RELAYED, DHCP_DISCOVER));
	CHECK_EQ(address_v4(&e->address), RELAY_IP);
	CHECK_EQ(address_v4(&e->peer), SERVER_IP);
	CHECK_EQ(e->key, 0xdbb0de9d);
	CHECK_EQ(e->value, MAC);
	rig_end(&r);
}

static void
test_a_message_cut_anywhere_or_without_a_type_is_none(void **state)
{
	uint8_t m[512];
	size_t n = message(m, 1, DHCP_DISCOVER, 0, 0);
	struct rig r;

	(void)state;
	rig_begin(&r, IP_UDP, 67, 0);
	for (size_t cut = 1; cut + 1 < n; cut++)
		CHECK(!packet(&r, 0, 0xffffffff, m, cut));
	m[n - 2] = 9;
	CHECK(!packet(&r, 0, 0xffffffff, m, n));
	m[n - 2] = 1;
	m[FIXED] = 0;
	CHECK(!packet(&r, 0, 0xffffffff, m, n));
	rig_end(&r);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_broadcast_asks_any_server),
    cmocka_unit_test(test_a_request_names_its_server_by_option_or_address),
    cmocka_unit_test(test_a_reply_is_by_the_server_it_names),
    cmocka_unit_test(test_a_relayed_request_is_the_same_dialogue_from_the_relay),
    cmocka_unit_test(test_a_message_cut_anywhere_or_without_a_type_is_none),
)
