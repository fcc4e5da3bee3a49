/* unit_tds.c - SQL Server's requests and results. */
#include "tests/app_rig.h"
#include "tests/unit.h"

enum { BATCH = 1, RPC = 3, RESULT = 4, ATTENTION = 6, BULK = 7, LOGIN = 16,
    PRELOGIN = 18, MORE = 0, END = 1 };

static void
say(struct rig *r, enum side side, unsigned type, unsigned status,
    unsigned first, size_t bytes)
{
	uint8_t m[4096] = { (uint8_t)type, (uint8_t)status,
	    (uint8_t)(bytes >> 8), (uint8_t)bytes, 0, 0, 1, 0, (uint8_t)first };

	rig_say(r, side, m, bytes);
}

static void
test_a_batch_is_answered_by_the_first_of_its_result(void **state)
{
	static const size_t cuts[] = { 0, 1, 100 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct rig r;

		rig_begin(&r, IP_TCP, 1433, cuts[i]);
		say(&r, CLIENT, BATCH, END, 0, 66);
		CHECK_EQ(r.flow->app, APP_TDS);
		CHECK_EQ(r.flow->waiting_count, 1);
		say(&r, SERVER, RESULT, MORE, 0x81, 4096);
		CHECK_EQ(rig_answered(&r, BATCH), 1);
		say(&r, SERVER, RESULT, END, 0x81, 300);
		CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 1);
		say(&r, CLIENT, RPC, END, 0, 80);
		say(&r, SERVER, RESULT, END, 0xaa, 60);
		CHECK_EQ(rig_answered(&r, RPC), 1);
		CHECK(rig_nth(&r, APP_RESPONSE, 0, 1)->fault);
		rig_end(&r);
	}
}

static void
test_a_request_of_several_packets_is_asked_with_the_last(void **state)
{
	struct rig r;
	const struct exchange *x;

	(void)state;
	rig_begin(&r, IP_TCP, 1433, 0);
	say(&r, CLIENT, BULK, MORE, 0, 4096);
	say(&r, CLIENT, BULK, MORE, 0, 4096);
	CHECK_EQ(r.flow->waiting_count, 0);
	say(&r, CLIENT, BULK, END, 0, 100);
	x = r.flow->waiting;
	CHECK(x);
	CHECK_EQ(x->request_bytes, 2 * 4096 + 100);
	CHECK_EQ(x->frame_first, 1);
	CHECK_EQ(x->frame_last, 3);
	CHECK_EQ(instant_since(x->asked, x->began), 2 * RIG_STEP_MS * NS_PER_MS);
	CHECK(!r.flow->app_state);
	rig_end(&r);
}

static void
test_an_attention_is_answered_with_what_it_cancels(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 1433, 0);
	say(&r, CLIENT, BATCH, END, 0, 66);
	say(&r, CLIENT, ATTENTION, END, 0, 8);
	CHECK_EQ(r.flow->waiting_count, 1);
	say(&r, SERVER, RESULT, END, 0xfd, 21);
	CHECK_EQ(r.flow->waiting_count, 0);
	CHECK_EQ(rig_answered(&r, BATCH), 1);
	rig_end(&r);
}

static void
test_a_login_under_tls_goes_on_in_clear(void **state)
{
	static const uint8_t record[] = { 23, 3, 1, 0, 3, 1, 2, 3 };
	static const uint8_t prelogin[] = { 18, 1, 0, 34, 0, 0, 0, 0,
	    0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0, 0, 0, 0, 0 };
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 4711, 0);
	rig_say(&r, CLIENT, prelogin, sizeof(prelogin));
	CHECK_EQ(r.flow->app, APP_TDS);
	say(&r, SERVER, RESULT, END, 0, 34);
	CHECK_EQ(rig_answered(&r, PRELOGIN), 1);
	rig_say(&r, CLIENT, record, sizeof(record));
	CHECK_EQ(r.flow->waiting_count, 1);
	say(&r, SERVER, RESULT, END, 0xad, 200);
	CHECK_EQ(rig_answered(&r, LOGIN), 1);
	rig_end(&r);
}

static void
test_a_server_under_tls_is_left_to_its_turns(void **state)
{
	static const uint8_t record[] = { 23, 3, 3, 0, 3, 1, 2, 3 };
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 1433, 0);
	say(&r, CLIENT, PRELOGIN, END, 0, 34);
	say(&r, SERVER, RESULT, END, 0, 34);
	rig_say(&r, CLIENT, record, sizeof(record));
	rig_say(&r, SERVER, record, sizeof(record));
	CHECK(!app_follows(r.flow));
	CHECK_EQ(r.flow->app, APP_TDS);
	rig_end(&r);
}

static void
test_tpkt_is_not_tds(void **state)
{
	static const uint8_t tpkt[] = { 3, 0, 0, 19, 2, 0xf0, 0, 0, 0, 0, 0, 1,
	    0, 8, 0, 3, 0, 0, 0 };
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 1433, 0);
	rig_say(&r, CLIENT, tpkt, sizeof(tpkt));
	CHECK(r.flow->app != APP_TDS);
	rig_end(&r);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_batch_is_answered_by_the_first_of_its_result),
    cmocka_unit_test(test_a_request_of_several_packets_is_asked_with_the_last),
    cmocka_unit_test(test_an_attention_is_answered_with_what_it_cancels),
    cmocka_unit_test(test_a_login_under_tls_goes_on_in_clear),
    cmocka_unit_test(test_a_server_under_tls_is_left_to_its_turns),
    cmocka_unit_test(test_tpkt_is_not_tds),
)
