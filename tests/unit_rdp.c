/* unit_rdp.c - RDP's Connection Request and Confirm, and nothing after. */
#include "tests/app_rig.h"
#include "tests/unit.h"

enum { REQUEST = 0xe0 };

/* MS-RDPBCGR 4.1.1 and 4.1.2: a request with a cookie, and its confirm. */
static const uint8_t request[] = {
	0x03, 0x00, 0x00, 0x2c, 0x27, 0xe0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x43,
	0x6f, 0x6f, 0x6b, 0x69, 0x65, 0x3a, 0x20, 0x6d, 0x73, 0x74, 0x73, 0x68,
	0x61, 0x73, 0x68, 0x3d, 0x65, 0x6c, 0x74, 0x6f, 0x6e, 0x73, 0x0d, 0x0a,
	0x01, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t confirm[] = {
	0x03, 0x00, 0x00, 0x13, 0x0e, 0xd0, 0x00, 0x00, 0x12, 0x34, 0x00, 0x02,
	0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const uint8_t failure[] = {
	0x03, 0x00, 0x00, 0x13, 0x0e, 0xd0, 0x00, 0x00, 0x12, 0x34, 0x00, 0x03,
	0x00, 0x08, 0x00, 0x05, 0x00, 0x00, 0x00,
};

static void
test_a_request_is_answered_by_the_confirm_then_it_stops(void **state)
{
	static const size_t cuts[] = { 0, 1, 5 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct rig r;
		const struct app_event *e;

		rig_begin(&r, IP_TCP, 3389, cuts[i]);
		rig_say(&r, CLIENT, request, sizeof(request));
		CHECK_EQ(r.flow->app, APP_RDP);
		CHECK_EQ(r.flow->waiting_count, 1);
		CHECK(r.flow->waiting->flags & EXCHANGE_FIRST);
		rig_say(&r, SERVER, confirm, sizeof(confirm));
		e = rig_nth(&r, APP_RESPONSE, 0, 0);
		CHECK(e);
		CHECK(!e->fault);
		CHECK_EQ(e->took_ns, RIG_STEP_MS * NS_PER_MS);
		CHECK_EQ(r.flow->waiting_count, 0);
		CHECK(!app_wants(r.flow, CLIENT));
		CHECK_EQ(r.flow->app, APP_RDP);
		rig_end(&r);
	}
}

static void
test_a_negotiation_failure_is_an_answer_and_a_fault(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 4000, 0);
	rig_say(&r, CLIENT, request, sizeof(request));
	rig_say(&r, SERVER, failure, sizeof(failure));
	CHECK(rig_nth(&r, APP_RESPONSE, 0, 0)->fault);
	rig_end(&r);
}

static void
test_the_shortest_request_of_old_clients_is_known(void **state)
{
	static const uint8_t bare[] = { 3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 0, 0 };
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 3389, 0);
	rig_say(&r, CLIENT, bare, sizeof(bare));
	CHECK_EQ(r.flow->app, APP_RDP);
	CHECK_EQ(r.flow->waiting_count, 1);
	rig_end(&r);
}

static void
test_stations_of_s7_and_h323_are_not_rdp(void **state)
{
	static const uint8_t s7[] = {
		3, 0, 0, 22, 17, 0xe0, 0, 0, 0, 1, 0, 0xc1, 2, 1, 0, 0xc2, 2, 1,
		2, 0xc0, 1, 9,
	};
	static const uint8_t h323[] = { 3, 0, 0, 9, 8, 2, 0, 1, 5 };
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 102, 0);
	rig_say(&r, CLIENT, s7, sizeof(s7));
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	rig_end(&r);
	rig_begin(&r, IP_TCP, 1720, 0);
	rig_say(&r, CLIENT, h323, sizeof(h323));
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	rig_end(&r);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_request_is_answered_by_the_confirm_then_it_stops),
    cmocka_unit_test(test_a_negotiation_failure_is_an_answer_and_a_fault),
    cmocka_unit_test(test_the_shortest_request_of_old_clients_is_known),
    cmocka_unit_test(test_stations_of_s7_and_h323_are_not_rdp),
)
