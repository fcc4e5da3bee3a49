/* unit_pptp.c - PPTP's control messages and the GRE packets of its calls. */
#include "capture/app_pptp.h"
#include "tests/app_rig.h"
#include "tests/unit.h"

enum { START_BYTES = 156, OUT_REQUEST_BYTES = 168, OUT_REPLY_BYTES = 32,
    ECHO_REQUEST_BYTES = 16, ECHO_REPLY_BYTES = 20, CLEAR_BYTES = 16 };

static void
put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* A control message: RFC 2637, 2.1 ff. `words` go behind the header. */
static void
control(struct rig *r, enum side side, unsigned message, size_t bytes,
    unsigned first, unsigned second, unsigned third)
{
	uint8_t m[220] = { 0 };

	put16(m, (unsigned)bytes);
	put16(m + 2, 1);
	put16(m + 4, 0x1a2b);
	put16(m + 6, 0x3c4d);
	put16(m + 8, message);
	put16(m + 12, first);
	put16(m + 14, second);
	put16(m + 16, third);
	rig_say(r, side, m, bytes);
}

static void
connect_call(struct rig *r)
{
	control(r, CLIENT, PPTP_START_REQUEST, START_BYTES, 0x100, 0, 0);
	control(r, SERVER, PPTP_START_REPLY, START_BYTES, 0x100, 0x100, 0);
	control(r, CLIENT, PPTP_OUTGOING_REQUEST, OUT_REQUEST_BYTES, 40993, 1, 0);
	control(r, SERVER, PPTP_OUTGOING_REPLY, OUT_REPLY_BYTES, 60787, 40993,
	    0x100);
}

static void
test_a_call_is_told_with_both_call_ids(void **state)
{
	static const size_t cuts[] = { 0, 1, 50 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct rig r;
		const struct app_event *e;

		rig_begin(&r, IP_TCP, 1723, cuts[i]);
		connect_call(&r);
		CHECK_EQ(r.flow->app, APP_PPTP);
		CHECK_EQ(rig_answered(&r, PPTP_START_REQUEST), 1);
		CHECK_EQ(rig_answered(&r, PPTP_OUTGOING_REQUEST), 1);
		e = rig_nth(&r, APP_NOTE, APP_NOTE_PPTP_CALL, 0);
		CHECK(e);
		CHECK_EQ(e->value, 40993u << 16 | 60787);
		CHECK_EQ(rig_nth(&r, APP_REQUEST, 0, 0)->exchange_flags &
		    EXCHANGE_FIRST, EXCHANGE_FIRST);
		rig_end(&r);
	}
}

static void
test_a_refused_call_is_a_fault_and_no_call(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 1723, 0);
	control(&r, CLIENT, PPTP_OUTGOING_REQUEST, OUT_REQUEST_BYTES, 7, 1, 0);
	control(&r, SERVER, PPTP_OUTGOING_REPLY, OUT_REPLY_BYTES, 9, 7, 0x200);
	CHECK_EQ(rig_count(&r, APP_NOTE, APP_NOTE_PPTP_CALL), 0);
	CHECK(rig_nth(&r, APP_RESPONSE, 0, 0)->fault);
	rig_end(&r);
}

static void
test_echoes_are_paired_whoever_asks(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 1723, 0);
	connect_call(&r);
	control(&r, CLIENT, PPTP_ECHO_REQUEST, ECHO_REQUEST_BYTES, 0, 5, 0);
	control(&r, SERVER, PPTP_ECHO_REQUEST, ECHO_REQUEST_BYTES, 0, 5, 0);
	CHECK_EQ(rig_count(&r, APP_NOTE, APP_NOTE_PPTP_ECHO), 0);
	control(&r, CLIENT, PPTP_ECHO_REPLY, ECHO_REPLY_BYTES, 0, 5, 0x100);
	CHECK_EQ(rig_count(&r, APP_NOTE, APP_NOTE_PPTP_ECHO), 1);
	CHECK_EQ(rig_nth(&r, APP_NOTE, APP_NOTE_PPTP_ECHO, 0)->side, CLIENT);
	CHECK_EQ(rig_answered(&r, PPTP_ECHO_REQUEST), 1);
	rig_end(&r);
}

static void
test_the_end_of_a_call_is_told_and_waits_for_nothing(void **state)
{
	struct rig r;
	size_t asked;

	(void)state;
	rig_begin(&r, IP_TCP, 1723, 0);
	connect_call(&r);
	asked = rig_count(&r, APP_REQUEST, 0);
	control(&r, CLIENT, PPTP_CLEAR_REQUEST, CLEAR_BYTES, 40993, 0, 0);
	CHECK_EQ(rig_count(&r, APP_REQUEST, 0), asked + 1);
	CHECK_EQ(r.event[r.count - 1].label & 0xffff, PPTP_CLEAR_REQUEST);
	CHECK_EQ(r.flow->waiting_count, 0);
	rig_end(&r);
}

static void
test_after_a_gap_the_cookie_leads_back(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 1723, 0);
	connect_call(&r);
	rig_miss(&r, SERVER, 20);
	control(&r, SERVER, PPTP_ECHO_REPLY, ECHO_REPLY_BYTES, 0, 5, 0x100);
	rig_acked(&r, SERVER);
	CHECK_EQ(rig_count(&r, APP_NOTE, APP_NOTE_PPTP_ECHO), 1);
	rig_end(&r);
}

static void
test_another_cookie_is_not_pptp(void **state)
{
	uint8_t m[START_BYTES] = { 0, 156, 0, 1, 0x1a, 0x2b, 0x3c, 0x4e, 0, 1 };
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 1723, 0);
	rig_say(&r, CLIENT, m, sizeof(m));
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	rig_end(&r);
}

/* A GRE packet given as it is; returns the note it led to, or NULL. */
static const struct app_event *
gre(struct rig *r, const void *bytes, size_t n)
{
	struct packet p = {
		.ip_version = 4, .protocol = IP_GRE,
		.src = r->flow->addr[CLIENT], .dst = r->flow->addr[SERVER],
	};
	uint8_t *copy = unit_exact(bytes, n);
	struct app_context c = rig_context(r, CLIENT);
	size_t before = r->count;

	c.flow = NULL;
	p.transport = bytes_of(copy, n);
	app_datagram(&c, &p);
	free(copy);
	return r->count > before ? &r->event[r->count - 1] : NULL;
}

static void
test_a_gre_packet_is_told_with_what_it_carries(void **state)
{
	/* Configure-Request; compressed data with an acknowledgment; an
	 * acknowledgment alone; LCP with compressed address and control */
	static const uint8_t lcp[] = { 0x30, 0x01, 0x88, 0x0b, 0, 20, 0xed, 0x73,
	    0, 0, 0, 0, 0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 16 };
	static const uint8_t data[] = { 0x30, 0x81, 0x88, 0x0b, 0, 40, 0xed, 0x73,
	    0, 0, 0, 9, 0, 0, 0, 8, 0xfd, 0x90, 0x01 };
	static const uint8_t ack[] = { 0x20, 0x81, 0x88, 0x0b, 0, 0, 0xed, 0x73,
	    0, 0, 0, 8 };
	static const uint8_t bare[] = { 0x30, 0x01, 0x88, 0x0b, 0, 8, 0xed, 0x73,
	    0, 0, 0, 0, 0xc0, 0x21, 9, 2, 0, 8 };
	static const struct { const uint8_t *at; size_t n; unsigned bytes, ppp,
	    code; } cases[] = {
		{ lcp, sizeof(lcp), 20, PPP_LCP, 1 },
		{ data, sizeof(data), 40, PPP_COMPRESSED, 0 },
		{ ack, sizeof(ack), 0, 0, 0 },
		{ bare, sizeof(bare), 8, PPP_LCP, 9 },
	};
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 1723, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct app_event *e = gre(&r, cases[i].at, cases[i].n);

		CHECK(e);
		CHECK_EQ(e->what, APP_NOTE_PPTP_GRE);
		CHECK_EQ(e->value, cases[i].bytes);
		CHECK_EQ(e->port, cases[i].ppp);
		CHECK_EQ(e->label & 0xffff, cases[i].code);
		CHECK_EQ(e->key, 0xed73);
		CHECK(!address_compare(&e->address, &r.flow->addr[CLIENT]));
		CHECK(!e->flow);
	}
	rig_end(&r);
}

static void
test_a_gre_packet_cut_anywhere_says_less_or_nothing(void **state)
{
	static const uint8_t lcp[] = { 0x30, 0x81, 0x88, 0x0b, 0, 20, 0xed, 0x73,
	    0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x03, 0xc0, 0x21, 1 };
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 1723, 0);
	for (size_t n = 0; n < sizeof(lcp); n++) {
		const struct app_event *e = gre(&r, lcp, n);

		CHECK((e != NULL) == (n >= 16));
		CHECK(!e || e->value == 20);
	}
	rig_end(&r);
}

static void
test_other_gre_is_left_alone(void **state)
{
	static const uint8_t ip[] = { 0x20, 0x00, 0x08, 0x00, 0, 0, 0, 1, 0x45 };
	static const uint8_t keyless[] = { 0x10, 0x01, 0x88, 0x0b, 0, 1, 0, 1 };
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 1723, 0);
	CHECK(!gre(&r, ip, sizeof(ip)));
	CHECK(!gre(&r, keyless, sizeof(keyless)));
	rig_end(&r);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_call_is_told_with_both_call_ids),
    cmocka_unit_test(test_a_refused_call_is_a_fault_and_no_call),
    cmocka_unit_test(test_echoes_are_paired_whoever_asks),
    cmocka_unit_test(test_the_end_of_a_call_is_told_and_waits_for_nothing),
    cmocka_unit_test(test_after_a_gap_the_cookie_leads_back),
    cmocka_unit_test(test_another_cookie_is_not_pptp),
    cmocka_unit_test(test_a_gre_packet_is_told_with_what_it_carries),
    cmocka_unit_test(test_a_gre_packet_cut_anywhere_says_less_or_nothing),
    cmocka_unit_test(test_other_gre_is_left_alone),
)
