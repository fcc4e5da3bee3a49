/* unit_ndpi.c - the name nDPI gives, and what it may cost. */
#include "capture/app_ndpi.h"
#include "tests/app_rig.h"
#include "tests/unit.h"

static const char banner[] = "SSH-2.0-OpenSSH_9.2\r\n";
static const uint8_t noise[] = { 0xf1, 0x9d, 0x07, 0xb3, 0x55, 0xa9 };

/* A segment (or datagram) of the rig's flow, for nDPI alone. */
static void
put_off(struct app_ndpi *n, struct rig *r, enum side side, const void *bytes,
    size_t length)
{
	const struct flow *f = r->flow;
	bool tcp = f->protocol == IP_TCP;
	size_t header = tcp ? 20 : 8;
	uint8_t *copy = calloc(1, header + length);
	struct packet p = {
		.ip_version = 4, .protocol = f->protocol, .has_transport = true,
		.src = f->addr[side], .dst = f->addr[other_side(side)],
		.sport = f->port[side], .dport = f->port[other_side(side)],
		.ttl = 64, .payload_bytes = (uint32_t)length, .time = r->now,
	};

	if (!copy)
		abort();
	copy[0] = (uint8_t)(p.sport >> 8);
	copy[1] = (uint8_t)p.sport;
	copy[2] = (uint8_t)(p.dport >> 8);
	copy[3] = (uint8_t)p.dport;
	if (tcp) {
		copy[12] = 0x50;
		copy[13] = TCP_ACK | TCP_PSH;
	} else {
		copy[5] = (uint8_t)(header + length);
	}
	memcpy(copy + header, bytes, length);
	p.transport = bytes_of(copy, header + length);
	p.payload = bytes_of(copy + header, length);
	app_ndpi_packet(n, r->flow, &p);
	free(copy);
}

/* The same, and it does not wait. */
static void
show(struct app_ndpi *n, struct rig *r, enum side side, const void *bytes,
    size_t length)
{
	put_off(n, r, side, bytes, length);
	app_ndpi_settle(n);
}

static void
test_a_banner_names_the_flow_and_frees_what_was_kept(void **state)
{
	struct app_ndpi *n = app_ndpi_new(0);
	struct app_ndpi_stats s;
	struct rig r;

	(void)state;
	CHECK(n);
	rig_begin(&r, IP_TCP, 2222, 0);
	r.flow->app_flags |= FLOW_APP_SETTLED | FLOW_APP_STOPPED;
	show(n, &r, SERVER, banner, sizeof(banner) - 1);
	show(n, &r, CLIENT, banner, sizeof(banner) - 1);
	CHECK_EQ(r.flow->app, APP_SSH);
	CHECK_STR(app_ndpi_name(n, r.flow->app_name), "SSH");
	CHECK(!app_ndpi_wants(r.flow));
	app_ndpi_stats(n, &s);
	CHECK_EQ(s.now, 0);
	CHECK_EQ(s.named, 1);
	rig_end(&r);
	app_ndpi_free(&n);
}

static void
test_a_name_waits_until_our_own_parsers_have_given_up(void **state)
{
	struct app_ndpi *n = app_ndpi_new(0);
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 2222, 0);
	show(n, &r, SERVER, banner, sizeof(banner) - 1);
	show(n, &r, CLIENT, banner, sizeof(banner) - 1);
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	CHECK_STR(app_ndpi_name(n, r.flow->app_name), "SSH");
	CHECK(!app_ndpi_wants(r.flow));
	r.flow->app_flags |= FLOW_APP_SETTLED;
	CHECK(app_ndpi_wants(r.flow));
	show(n, &r, CLIENT, "x", 1);
	CHECK_EQ(r.flow->app, APP_SSH);
	CHECK(!app_ndpi_wants(r.flow));
	rig_end(&r);
	app_ndpi_free(&n);
}

static void
test_after_eight_packets_it_gives_up(void **state)
{
	struct app_ndpi *n = app_ndpi_new(0);
	struct app_ndpi_stats s;
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 40001, 0);
	for (int i = 0; i < 20; i++)
		show(n, &r, i & 1 ? SERVER : CLIENT, noise, sizeof(noise));
	CHECK_EQ(r.flow->app_name, APP_NDPI_NOTHING);
	CHECK_STR(app_ndpi_name(n, r.flow->app_name), "");
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	app_ndpi_stats(n, &s);
	CHECK(s.shown <= APP_NDPI_PACKETS);
	CHECK_EQ(s.now, 0);
	rig_end(&r);
	app_ndpi_free(&n);
}

static void
test_more_flows_than_the_limit_push_out_the_oldest(void **state)
{
	enum { LIMIT = 4, FLOWS = 10 };
	struct app_ndpi *n = app_ndpi_new(LIMIT);
	struct app_ndpi_stats s;
	struct rig r[FLOWS];

	(void)state;
	for (uint64_t i = 0; i < FLOWS; i++) {
		rig_begin(&r[i], IP_TCP, 40001, 0);
		r[i].flow->id = i * 4;		/* all in one bucket */
		show(n, &r[i], CLIENT, noise, sizeof(noise));
	}
	app_ndpi_stats(n, &s);
	CHECK_EQ(s.now, LIMIT);
	CHECK_EQ(s.peak, LIMIT);
	CHECK_EQ(s.evicted, FLOWS - LIMIT);
	CHECK(!app_ndpi_wants(r[0].flow));	/* nor does it push out others */
	CHECK(app_ndpi_wants(r[FLOWS - 1].flow));
	app_ndpi_forget(n, r[FLOWS - 1].flow);
	app_ndpi_forget(n, r[0].flow);
	app_ndpi_stats(n, &s);
	CHECK_EQ(s.now, LIMIT - 1);
	for (size_t i = 0; i < FLOWS; i++)
		rig_end(&r[i]);
	app_ndpi_free(&n);
}

static void
test_packets_wait_and_no_more_than_eight_of_a_flow(void **state)
{
	struct app_ndpi *n = app_ndpi_new(0);
	struct app_ndpi_stats s;
	struct rig ssh, other;

	(void)state;
	rig_begin(&ssh, IP_TCP, 2222, 0);
	rig_begin(&other, IP_TCP, 40001, 0);
	other.flow->id = ssh.flow->id + 1;
	put_off(n, &ssh, SERVER, banner, sizeof(banner) - 1);
	for (int i = 0; i < 20; i++)
		put_off(n, &other, i & 1 ? SERVER : CLIENT, noise, sizeof(noise));
	put_off(n, &ssh, CLIENT, banner, sizeof(banner) - 1);
	app_ndpi_stats(n, &s);
	CHECK_EQ(s.shown, 0);
	CHECK_EQ(s.now, 2);
	app_ndpi_settle(n);
	CHECK_STR(app_ndpi_name(n, ssh.flow->app_name), "SSH");
	CHECK_EQ(other.flow->app_name, APP_NDPI_NOTHING);
	app_ndpi_stats(n, &s);
	CHECK_EQ(s.shown, s.named + APP_NDPI_PACKETS);
	CHECK_EQ(s.now, 0);
	rig_end(&ssh);
	rig_end(&other);
	app_ndpi_free(&n);
}

static void
test_so_many_wait_as_there_is_room_for(void **state)
{
	enum { FLOWS = 60 };
	static const uint8_t much[1400] = { 0xf1, 0x9d, 0x07, 0xb3, 0x55, 0xa9 };
	struct app_ndpi *n = app_ndpi_new(0);
	struct app_ndpi_stats s;
	static struct rig r[FLOWS];

	(void)state;
	for (size_t i = 0; i < FLOWS; i++) {
		rig_begin(&r[i], IP_TCP, 40001, 0);
		r[i].flow->id = 1 + i;
		put_off(n, &r[i], CLIENT, much, sizeof(much));
	}
	app_ndpi_stats(n, &s);
	CHECK(s.shown > FLOWS / 2);
	CHECK(s.shown < FLOWS);
	app_ndpi_settle(n);
	app_ndpi_stats(n, &s);
	CHECK_EQ(s.shown, FLOWS);
	for (size_t i = 0; i < FLOWS; i++) {
		app_ndpi_forget(n, r[i].flow);
		rig_end(&r[i]);
	}
	app_ndpi_free(&n);
}

static void
test_what_a_parser_knows_meanwhile_is_not_shown(void **state)
{
	struct app_ndpi *n = app_ndpi_new(0);
	struct app_ndpi_stats s;
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 2222, 0);
	put_off(n, &r, SERVER, banner, sizeof(banner) - 1);
	r.flow->app = APP_RDP;
	app_ndpi_settle(n);
	app_ndpi_stats(n, &s);
	CHECK_EQ(s.shown, 0);
	CHECK_EQ(r.flow->app, APP_RDP);
	app_ndpi_forget(n, r.flow);
	app_ndpi_stats(n, &s);
	CHECK_EQ(s.now, 0);
	rig_end(&r);
	app_ndpi_free(&n);
}

static void
test_a_flow_that_leaves_is_named_first(void **state)
{
	struct app_ndpi *n = app_ndpi_new(0);
	struct app_ndpi_stats s;
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 2222, 0);
	put_off(n, &r, SERVER, banner, sizeof(banner) - 1);
	put_off(n, &r, CLIENT, banner, sizeof(banner) - 1);
	app_ndpi_forget(n, r.flow);
	CHECK_STR(app_ndpi_name(n, r.flow->app_name), "SSH");
	app_ndpi_stats(n, &s);
	CHECK_EQ(s.now, 0);
	rig_end(&r);
	app_ndpi_settle(n);		/* nothing waits that is gone */
	app_ndpi_free(&n);
}

static void
test_the_port_alone_is_no_name(void **state)
{
	struct app_ndpi *n = app_ndpi_new(0);
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 3306, 0);		/* MySQL's */
	r.flow->app_flags |= FLOW_APP_SETTLED | FLOW_APP_STOPPED;
	for (int i = 0; i < 10; i++)
		show(n, &r, CLIENT, noise, sizeof(noise));
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	rig_end(&r);
	app_ndpi_free(&n);
}

static void
test_a_call_over_udp_is_named(void **state)
{
	static const char sip[] = "OPTIONS sip:a@example.org SIP/2.0\r\n"
	    "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK1\r\n\r\n";
	struct app_ndpi *n = app_ndpi_new(0);
	struct rig r;

	(void)state;
	rig_begin(&r, IP_UDP, 5060, 0);
	show(n, &r, CLIENT, sip, sizeof(sip) - 1);
	CHECK_EQ(r.flow->app, APP_OTHER);
	CHECK_STR(app_ndpi_name(n, r.flow->app_name), "SIP");
	rig_end(&r);
	app_ndpi_free(&n);
}

static void
test_it_says_its_version(void **state)
{
	(void)state;
	CHECK(strlen(app_ndpi_version()) >= 3);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_banner_names_the_flow_and_frees_what_was_kept),
    cmocka_unit_test(test_a_name_waits_until_our_own_parsers_have_given_up),
    cmocka_unit_test(test_after_eight_packets_it_gives_up),
    cmocka_unit_test(test_more_flows_than_the_limit_push_out_the_oldest),
    cmocka_unit_test(test_packets_wait_and_no_more_than_eight_of_a_flow),
    cmocka_unit_test(test_so_many_wait_as_there_is_room_for),
    cmocka_unit_test(test_what_a_parser_knows_meanwhile_is_not_shown),
    cmocka_unit_test(test_a_flow_that_leaves_is_named_first),
    cmocka_unit_test(test_the_port_alone_is_no_name),
    cmocka_unit_test(test_a_call_over_udp_is_named),
    cmocka_unit_test(test_it_says_its_version),
)
