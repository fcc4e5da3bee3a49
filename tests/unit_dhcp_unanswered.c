/* unit_dhcp_unanswered.c - when a DHCP server's silence is one, and whose. */
#include "capture/app_dhcp.h"
#include "tests/unit.h"
#include "tests/lan_rig.h"

enum { SERVER_HOST = 7, OTHER_HOST = 8, RELAY_HOST = 1,
    BOOTP_BYTES = 240, ASKS = 1, REPLIES = 2 };

/* How a client is reached. */
enum way { BROADCAST, RENEWAL, RELAYED };

static size_t
message(uint8_t *m, unsigned op, unsigned kind, unsigned client, uint32_t xid,
    unsigned relay, unsigned server)
{
	size_t at = BOOTP_BYTES;

	memset(m, 0, BOOTP_BYTES + 16);
	m[0] = (uint8_t)op;
	m[1] = 1;
	m[2] = 6;
	lan_put(m + 4, xid, 4);
	lan_put(m + 24, relay ? lan_address(relay) : 0, 4);
	m[33] = (uint8_t)client;
	lan_put(m + 236, 0x63825363, 4);
	m[at++] = 53;
	m[at++] = 1;
	m[at++] = (uint8_t)kind;
	if (server) {
		m[at++] = 54;
		m[at++] = 4;
		lan_put(m + at, lan_address(server), 4);
		at += 4;
	}
	m[at++] = 255;
	return at;
}

static void
ask(struct lan *w, enum way way, unsigned client, uint32_t xid)
{
	uint8_t m[300];
	size_t n = message(m, ASKS, way == RENEWAL ? DHCP_REQUEST : DHCP_DISCOVER,
	    client, xid, way == RELAYED ? RELAY_HOST : 0, 0);

	if (way == BROADCAST)
		lan_udp(w, 0, 68, 0xffffffff, 67, m, n);
	else if (way == RENEWAL)
		lan_udp(w, client, 68, SERVER_HOST, 67, m, n);
	else
		lan_udp(w, RELAY_HOST, 67, SERVER_HOST, 67, m, n);
}

static void
answer(struct lan *w, enum way way, unsigned by, unsigned client, uint32_t xid)
{
	uint8_t m[300];
	size_t n = message(m, REPLIES, way == RENEWAL ? DHCP_ACK : DHCP_OFFER,
	    client, xid, way == RELAYED ? RELAY_HOST : 0, by);

	if (way == BROADCAST)
		lan_udp(w, by, 67, 0xffffffff, 68, m, n);
	else if (way == RENEWAL)
		lan_udp(w, by, 67, client, 68, m, n);
	else
		lan_udp(w, by, 67, RELAY_HOST, 67, m, n);
}

/* Some clients get their answers, and the server does something else too. */
static struct lan_tcp
good_times(struct lan *w, enum way way)
{
	struct lan_tcp c = lan_connect(w, 90, 4000, SERVER_HOST, 445);

	for (unsigned client = 20; client < 25; client++) {
		ask(w, way, client, client);
		lan_wait(w, 0.02);
		answer(w, way, SERVER_HOST, client, client);
		lan_wait(w, 3);
	}
	return c;
}

/* `clients` ask as RFC 2131, 4.1 has it, `tries` times, unanswered. */
static void
bad_times(struct lan *w, struct lan_tcp *c, enum way way, unsigned clients,
    unsigned tries)
{
	static const double pauses[] = { 0, 4, 8, 16, 32 };

	for (unsigned t = 0; t < tries; t++) {
		lan_wait(w, pauses[t]);
		for (unsigned i = 0; i < clients; i++)
			ask(w, way, 20 + i, 1000 + i);
		lan_text(w, c, CLIENT, "?");
		lan_text(w, c, SERVER, "!");
	}
	lan_wait(w, 5);
	lan_text(w, c, CLIENT, "?");
	lan_text(w, c, SERVER, "!");
}

static void
test_clients_that_go_on_asking_in_vain_are_a_finding(void **state)
{
	(void)state;
	for (int way = BROADCAST; way <= RELAYED; way++) {
		struct lan w;
		struct lan_tcp c;
		const struct finding *x;

		lan_begin(&w);
		c = good_times(&w, (enum way)way);
		bad_times(&w, &c, (enum way)way, 3, 4);
		lan_finish(&w);
		x = lan_found(&w, FINDING_dhcp_unanswered, 0);
		CHECK(x);
		CHECK(x->server);
		CHECK_EQ(address_v4(&x->server->address),
		    lan_address(SERVER_HOST));
		CHECK_EQ(x->count, 12);
		CHECK(!x->ended);
		CHECK(x->confidence > 0.5);
		CHECK(x->frame_count >= 6);
		CHECK(!lan_found(&w, FINDING_dhcp_unanswered, 1));
		lan_end(&w);
	}
}

static void
test_one_client_or_two_tries_are_none(void **state)
{
	static const struct { unsigned clients, tries; } cases[] = {
		{ 1, 5 }, { 5, 1 }, { 5, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lan w;
		struct lan_tcp c;

		lan_begin(&w);
		c = good_times(&w, BROADCAST);
		bad_times(&w, &c, BROADCAST, cases[i].clients, cases[i].tries);
		lan_finish(&w);
		CHECK(!lan_found(&w, FINDING_dhcp_unanswered, 0));
		lan_end(&w);
	}
}

static void
test_a_server_that_never_answered_owes_nothing(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = lan_connect(&w, 90, 4000, SERVER_HOST, 445);
	bad_times(&w, &c, RENEWAL, 4, 4);
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_dhcp_unanswered, 0));
	lan_end(&w);
}

static void
test_who_is_answered_by_another_server_misses_nothing(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = good_times(&w, RENEWAL);
	for (unsigned t = 0; t < 3; t++) {
		for (unsigned i = 0; i < 4; i++)
			ask(&w, RENEWAL, 20 + i, 2000 + i);
		lan_wait(&w, t ? 1 : 12);
		lan_text(&w, &c, CLIENT, "?");
		lan_text(&w, &c, SERVER, "!");
	}
	for (unsigned i = 0; i < 4; i++)
		answer(&w, RENEWAL, OTHER_HOST, 20 + i, 2000 + i);
	lan_wait(&w, 20);
	lan_text(&w, &c, CLIENT, "?");
	lan_text(&w, &c, SERVER, "!");
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_dhcp_unanswered, 0));
	lan_end(&w);
}

static void
test_a_relay_that_no_longer_relays_is_not_the_server_s_silence(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = good_times(&w, RELAYED);
	bad_times(&w, &c, BROADCAST, 4, 4);
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_dhcp_unanswered, 0));
	lan_end(&w);
}

static void
test_a_broadcast_and_its_relayed_copy_are_one_try(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = good_times(&w, RELAYED);
	for (unsigned t = 0; t < 2; t++) {
		for (unsigned i = 0; i < 4; i++) {
			ask(&w, BROADCAST, 20 + i, 1000 + i);
			ask(&w, RELAYED, 20 + i, 1000 + i);
		}
		lan_wait(&w, 12);
		lan_text(&w, &c, CLIENT, "?");
		lan_text(&w, &c, SERVER, "!");
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_dhcp_unanswered, 0));
	lan_end(&w);
}

static void
test_it_ends_when_the_server_answers_again(void **state)
{
	struct lan w;
	struct lan_tcp c;
	const struct finding *x;

	(void)state;
	lan_begin(&w);
	c = good_times(&w, RENEWAL);
	bad_times(&w, &c, RENEWAL, 3, 4);
	CHECK(!lan_found(&w, FINDING_dhcp_unanswered, 0)->ended);
	answer(&w, RENEWAL, SERVER_HOST, 20, 1000);
	lan_wait(&w, 3);
	lan_text(&w, &c, CLIENT, "?");
	lan_text(&w, &c, SERVER, "!");
	lan_finish(&w);
	x = lan_found(&w, FINDING_dhcp_unanswered, 0);
	CHECK(x);
	CHECK(x->ended);
	lan_end(&w);
}

static void
test_a_host_that_answers_nothing_is_another_finding_s(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = good_times(&w, RENEWAL);
	for (unsigned t = 0; t < 5; t++) {
		lan_wait(&w, 6);
		for (unsigned i = 0; i < 4; i++)
			ask(&w, RENEWAL, 20 + i, 1000 + i);
		lan_segment(&w, &c, CLIENT, TCP_ACK | TCP_PSH, "?", 1);
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_dhcp_unanswered, 0));
	lan_end(&w);
}

UNIT_TESTS(
    cmocka_unit_test(test_clients_that_go_on_asking_in_vain_are_a_finding),
    cmocka_unit_test(test_one_client_or_two_tries_are_none),
    cmocka_unit_test(test_a_server_that_never_answered_owes_nothing),
    cmocka_unit_test(test_who_is_answered_by_another_server_misses_nothing),
    cmocka_unit_test(test_a_relay_that_no_longer_relays_is_not_the_server_s_silence),
    cmocka_unit_test(test_a_broadcast_and_its_relayed_copy_are_one_try),
    cmocka_unit_test(test_it_ends_when_the_server_answers_again),
    cmocka_unit_test(test_a_host_that_answers_nothing_is_another_finding_s),
)
