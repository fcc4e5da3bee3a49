/* unit_kerberos.c - Kerberos requests, replies and errors over TCP and UDP. */
#include "tests/app_rig.h"
#include "tests/unit.h"

enum { AS_REQ = 10, AS_REP = 11, TGS_REQ = 12, TGS_REP = 13, ERROR = 30 };

/* [APPLICATION type] SEQUENCE { [field] version, more }; its length. */
static size_t
message(uint8_t *to, unsigned type, const void *more, size_t n)
{
	bool request = type == AS_REQ || type == TGS_REQ;
	size_t inner = 5 + n, at = 0;

	to[at++] = (uint8_t)(0x60 | type);
	to[at++] = 0x81;
	to[at++] = (uint8_t)(inner + 3);
	to[at++] = 0x30;
	to[at++] = 0x81;
	to[at++] = (uint8_t)inner;
	to[at++] = request ? 0xa1 : 0xa0;
	to[at++] = 3;
	to[at++] = 2;
	to[at++] = 1;
	to[at++] = 5;
	memcpy(to + at, more, n);
	return at + n;
}

static const uint8_t padding[100] = { 0xa2, 98, 4, 96 };

static void
say(struct rig *r, enum side side, unsigned type, const void *more, size_t n)
{
	uint8_t m[300] = { 0 };
	size_t bytes = message(m + 4, type, more, n);

	m[3] = (uint8_t)bytes;
	rig_say(r, side, m, bytes + 4);
}

static void
say_error(struct rig *r, unsigned code)
{
	uint8_t fields[] = { 0xa1, 3, 2, 1, 30, 0xa4, 4, 0x18, 2, '2', '0',
	    0xa5, 3, 2, 1, 0, 0xa6, 3, 2, 1, (uint8_t)code };

	say(r, SERVER, ERROR, fields, sizeof(fields));
}

static void
test_each_request_gets_its_reply(void **state)
{
	static const size_t cuts[] = { 0, 1, 13 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct rig r;

		rig_begin(&r, IP_TCP, 88, cuts[i]);
		say(&r, CLIENT, AS_REQ, padding, sizeof(padding));
		CHECK_EQ(r.flow->app, APP_KERBEROS);
		rig_wait(&r, 14000);
		say(&r, SERVER, AS_REP, padding, sizeof(padding));
		CHECK_EQ(rig_answered(&r, AS_REQ), 1);
		CHECK_EQ(rig_nth(&r, APP_RESPONSE, 0, 0)->took_ns,
		    (14000 + RIG_STEP_MS) * NS_PER_MS);
		say(&r, CLIENT, TGS_REQ, padding, sizeof(padding));
		say(&r, SERVER, TGS_REP, padding, sizeof(padding));
		CHECK_EQ(rig_answered(&r, TGS_REQ), 1);
		CHECK_EQ(r.flow->waiting_count, 0);
		rig_end(&r);
	}
}

static void
test_only_errors_that_fail_a_logon_are_faults(void **state)
{
	static const struct { unsigned code; bool fault; } cases[] = {
		{ 25, false }, { 52, false }, { 24, true }, { 6, true },
		{ 29, true }, { 37, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r;

		rig_begin(&r, IP_TCP, 88, 0);
		say(&r, CLIENT, AS_REQ, padding, sizeof(padding));
		say_error(&r, cases[i].code);
		CHECK_EQ(rig_answered(&r, AS_REQ), 1);
		CHECK_EQ(rig_nth(&r, APP_RESPONSE, 0, 0)->fault,
		    cases[i].fault);
		rig_end(&r);
	}
}

static void
test_over_udp_a_retry_does_not_start_the_wait_anew(void **state)
{
	uint8_t ask[300], answer[300];
	size_t asked = message(ask, AS_REQ, padding, sizeof(padding));
	size_t answered = message(answer, AS_REP, padding, sizeof(padding));
	struct rig r;

	(void)state;
	rig_begin(&r, IP_UDP, 88, 0);
	rig_udp(&r, CLIENT, ask, asked);
	CHECK_EQ(r.flow->app, APP_KERBEROS);
	rig_wait(&r, 1000);
	rig_udp(&r, CLIENT, ask, asked);
	CHECK_EQ(rig_count(&r, APP_REQUEST, 0), 1);
	rig_udp(&r, SERVER, answer, answered);
	CHECK_EQ(rig_nth(&r, APP_RESPONSE, 0, 0)->took_ns,
	    (1000 + 2 * RIG_STEP_MS) * NS_PER_MS);
	rig_end(&r);
}

static void
test_messages_cut_by_the_snap_length_are_still_paired(void **state)
{
	uint8_t ask[300] = { 0 }, answer[300] = { 0 };
	size_t asked = message(ask + 4, AS_REQ, padding, sizeof(padding));
	size_t answered = message(answer + 4, AS_REP, padding, sizeof(padding));
	struct rig r;

	(void)state;
	ask[3] = (uint8_t)asked;
	answer[3] = (uint8_t)answered;
	rig_begin(&r, IP_TCP, 88, 0);
	rig_cut(&r, CLIENT, ask, asked + 4, 42);
	CHECK_EQ(r.flow->app, APP_KERBEROS);
	CHECK_EQ(r.flow->waiting_count, 1);
	rig_cut(&r, SERVER, answer, answered + 4, 42);
	CHECK_EQ(rig_answered(&r, AS_REQ), 1);
	CHECK(!rig_nth(&r, APP_RESPONSE, 0, 0)->fault);
	rig_end(&r);
}

static void
test_a_reply_to_nothing_says_nothing(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 88, 0);
	say(&r, SERVER, AS_REP, padding, sizeof(padding));
	say_error(&r, 6);
	CHECK_EQ(r.count, 0);
	rig_end(&r);
}

static void
test_another_version_or_length_is_not_kerberos(void **state)
{
	uint8_t m[300] = { 0 };
	size_t n = message(m + 4, AS_REQ, padding, sizeof(padding));
	struct rig r;

	(void)state;
	m[3] = (uint8_t)n;
	m[4 + 10] = 4;
	rig_begin(&r, IP_TCP, 88, 0);
	rig_say(&r, CLIENT, m, n + 4);
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	rig_end(&r);
	m[4 + 10] = 5;
	m[0] = 0x80;
	rig_begin(&r, IP_TCP, 88, 0);
	rig_say(&r, CLIENT, m, n + 4);
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	rig_end(&r);
}

UNIT_TESTS(
    cmocka_unit_test(test_each_request_gets_its_reply),
    cmocka_unit_test(test_only_errors_that_fail_a_logon_are_faults),
    cmocka_unit_test(test_over_udp_a_retry_does_not_start_the_wait_anew),
    cmocka_unit_test(test_messages_cut_by_the_snap_length_are_still_paired),
    cmocka_unit_test(test_a_reply_to_nothing_says_nothing),
    cmocka_unit_test(test_another_version_or_length_is_not_kerberos),
)
