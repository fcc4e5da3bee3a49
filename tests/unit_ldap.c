/* unit_ldap.c - LDAP by message id, over TCP and UDP. */
#include "capture/app_ldap.h"
#include "tests/app_rig.h"
#include "tests/unit.h"

static const size_t cuts[] = { 0, 1, 9 };
#define FOR_CUTS(i) for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)

/* A message: `op` with `inside`, then `controls`; the long form of lengths that
 * Windows uses when `wide`. */
static size_t
message(uint8_t *to, bool wide, unsigned id, uint8_t op, const void *inside,
    size_t n, const void *controls, size_t controls_bytes)
{
	size_t header = wide ? 6 : 2, body = 3 + header + n + controls_bytes;
	size_t at = 0;

	to[at++] = 0x30;
	if (wide) {
		to[at++] = 0x84;
		to[at++] = 0;
		to[at++] = 0;
		to[at++] = (uint8_t)(body >> 8);
	}
	to[at++] = (uint8_t)body;
	to[at++] = 2;
	to[at++] = 1;
	to[at++] = (uint8_t)id;
	to[at++] = op;
	if (wide) {
		to[at++] = 0x84;
		to[at++] = 0;
		to[at++] = 0;
		to[at++] = (uint8_t)(n >> 8);
	}
	to[at++] = (uint8_t)n;
	memcpy(to + at, inside, n);
	at += n;
	if (controls_bytes)
		memcpy(to + at, controls, controls_bytes);
	return at + controls_bytes;
}

static void
say(struct rig *r, enum side side, bool wide, unsigned id, uint8_t op,
    const void *inside, size_t n)
{
	uint8_t m[512];

	rig_say(r, side, m, message(m, wide, id, op, inside, n, NULL, 0));
}

static const uint8_t bind_body[] = { 2, 1, 3, 4, 0, 0x80, 0 };
static const uint8_t search_body[] = {
	4, 0, 10, 1, 0, 10, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0,
	0x87, 11, 'o', 'b', 'j', 'e', 'c', 't', 'c', 'l', 'a', 's', 's', 0x30, 0,
};
static const uint8_t done[] = { 10, 1, 0, 4, 0, 4, 0 };
static const uint8_t busy[] = { 10, 1, 51, 4, 0, 4, 0 };
static const uint8_t in_progress[] = { 10, 1, 14, 4, 0, 4, 0 };
static const uint8_t entry[] = { 4, 1, 'x', 0x30, 0 };

enum { BIND = 0x60, BOUND = 0x61, UNBIND = 0x42, SEARCH = 0x63, ENTRY = 0x64,
    DONE = 0x65, ABANDON = 0x50, EXTENDED = 0x77, EXTENDED_DONE = 0x78 };

static void
test_answers_are_paired_by_message_id(void **state)
{
	(void)state;
	FOR_CUTS(i) {
		struct rig r;

		rig_begin(&r, IP_TCP, 389, cuts[i]);
		say(&r, CLIENT, i & 1, 1, BIND, bind_body, sizeof(bind_body));
		CHECK_EQ(r.flow->app, APP_LDAP);
		say(&r, SERVER, i & 1, 1, BOUND, done, sizeof(done));
		CHECK_EQ(rig_answered(&r, LDAP_BIND), 1);
		say(&r, CLIENT, true, 2, SEARCH, search_body,
		    sizeof(search_body));
		say(&r, CLIENT, false, 3, SEARCH, search_body,
		    sizeof(search_body));
		CHECK_EQ(r.flow->waiting_count, 2);
		say(&r, SERVER, false, 3, DONE, busy, sizeof(busy));
		CHECK_EQ(r.flow->waiting_count, 1);
		CHECK_EQ(r.flow->waiting->key, 2);
		CHECK(rig_nth(&r, APP_RESPONSE, 0, 1)->fault);
		say(&r, SERVER, true, 2, ENTRY, entry, sizeof(entry));
		CHECK_EQ(r.flow->waiting_count, 0);
		say(&r, SERVER, true, 2, DONE, done, sizeof(done));
		CHECK_EQ(rig_answered(&r, LDAP_SEARCH), 2);
		CHECK(!rig_nth(&r, APP_RESPONSE, 0, 2)->fault);
		rig_end(&r);
	}
}

static void
test_unbind_and_abandon_wait_for_nothing(void **state)
{
	struct rig r;
	uint8_t id = 5;

	(void)state;
	rig_begin(&r, IP_TCP, 389, 0);
	say(&r, CLIENT, false, 5, SEARCH, search_body, sizeof(search_body));
	say(&r, CLIENT, false, 6, ABANDON, &id, 1);
	CHECK_EQ(r.flow->waiting_count, 0);
	say(&r, CLIENT, false, 7, UNBIND, "", 0);
	CHECK_EQ(r.flow->waiting_count, 0);
	CHECK_EQ(rig_count(&r, APP_REQUEST, 0), 3);
	CHECK_EQ(r.event[r.count - 1].exchange_flags & EXCHANGE_ONE_WAY,
	    EXCHANGE_ONE_WAY);
	rig_end(&r);
}

static void
test_a_step_of_a_sasl_bind_is_no_fault(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 389, 0);
	say(&r, CLIENT, false, 1, BIND, bind_body, sizeof(bind_body));
	say(&r, SERVER, false, 1, BOUND, in_progress, sizeof(in_progress));
	CHECK(!rig_nth(&r, APP_RESPONSE, 0, 0)->fault);
	rig_end(&r);
}

static void
test_a_search_for_changes_parks(void **state)
{
	static const char *const oids[] = {
		"1.2.840.113556.1.4.528", "2.16.840.1.113730.3.4.3",
		"1.3.6.1.4.1.4203.1.9.1.1", "1.2.840.113556.1.4.319",
		"1.2.840.113556.1.4.5281",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(oids) / sizeof(oids[0]); i++) {
		uint8_t controls[64], m[256];
		size_t n = strlen(oids[i]);
		struct rig r;

		controls[0] = 0xa0;
		controls[1] = (uint8_t)(n + 4);
		controls[2] = 0x30;
		controls[3] = (uint8_t)(n + 2);
		controls[4] = 4;
		controls[5] = (uint8_t)n;
		memcpy(controls + 6, oids[i], n);
		rig_begin(&r, IP_TCP, 389, 0);
		rig_say(&r, CLIENT, m, message(m, false, 9, SEARCH, search_body,
		    sizeof(search_body), controls, n + 6));
		CHECK_EQ(r.flow->waiting_count, 1);
		CHECK_EQ(r.flow->waiting->flags & EXCHANGE_PARKS,
		    i < 3 ? EXCHANGE_PARKS : 0);
		rig_end(&r);
	}
}

static void
test_a_sealed_connection_is_left_to_its_turns(void **state)
{
	static const uint8_t sealed[] = { 0, 0, 0, 4, 0x60, 1, 2, 3 };
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 389, 0);
	say(&r, CLIENT, false, 1, BIND, bind_body, sizeof(bind_body));
	say(&r, SERVER, false, 1, BOUND, done, sizeof(done));
	rig_say(&r, CLIENT, sealed, sizeof(sealed));
	CHECK(!app_follows(r.flow));
	CHECK_EQ(r.flow->app, APP_LDAP);
	CHECK_EQ(r.flow->waiting_count, 0);
	rig_end(&r);
}

static void
test_a_large_answer_is_not_kept(void **state)
{
	uint8_t m[512], filler[1000] = { 0x30 };
	size_t n = message(m, true, 2, ENTRY, entry, sizeof(entry), NULL, 0);
	struct stream_stats s;
	struct rig r;

	(void)state;
	m[4] = 0x27;		/* 10,000 bytes and a few */
	m[5] = 0x10;
	m[13] = 0x27;
	m[14] = 0x07;
	rig_begin(&r, IP_TCP, 389, 0);
	say(&r, CLIENT, true, 2, SEARCH, search_body, sizeof(search_body));
	rig_say(&r, SERVER, m, n);
	rig_say(&r, SERVER, filler, 200);
	CHECK_EQ(r.flow->waiting_count, 0);
	stream_pool_stats(r.streams, &s);
	CHECK_EQ(s.buffered_now, 0);
	for (size_t sent = n + 200; sent < 10006; sent += 1000)
		rig_say(&r, SERVER, filler,
		    sent + 1000 < 10006 ? 1000 : 10006 - sent);
	say(&r, CLIENT, true, 3, SEARCH, search_body, sizeof(search_body));
	say(&r, SERVER, true, 3, DONE, done, sizeof(done));
	CHECK_EQ(rig_answered(&r, LDAP_SEARCH), 2);
	rig_end(&r);
}

static void
test_after_a_gap_the_next_message_is_found(void **state)
{
	static const uint8_t filler[40];
	uint8_t m[600];
	size_t n;
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 389, 0);
	say(&r, CLIENT, false, 1, SEARCH, search_body, sizeof(search_body));
	rig_miss(&r, SERVER, 300);
	memcpy(m, filler, sizeof(filler));
	n = sizeof(filler) + message(m + sizeof(filler), true, 1, DONE, done,
	    sizeof(done), NULL, 0);
	rig_say(&r, SERVER, m, n);
	rig_acked(&r, SERVER);
	CHECK_EQ(r.flow->waiting_count, 0);
	CHECK_EQ(rig_answered(&r, LDAP_SEARCH), 0);
	say(&r, CLIENT, false, 2, SEARCH, search_body, sizeof(search_body));
	say(&r, SERVER, false, 2, DONE, done, sizeof(done));
	CHECK_EQ(rig_answered(&r, LDAP_SEARCH), 1);
	rig_end(&r);
}

static void
test_each_of_several_requests_has_its_own_end(void **state)
{
	uint8_t m[512];
	size_t first = message(m, true, 1, SEARCH, search_body,
	    sizeof(search_body), NULL, 0);
	size_t n = first + message(m + first, false, 2, SEARCH, search_body,
	    sizeof(search_body), NULL, 0);
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 389, 0);
	rig_say(&r, CLIENT, m, n);
	CHECK_EQ(r.flow->waiting_count, 2);
	CHECK_EQ(r.flow->waiting->request_end,
	    (uint32_t)(r.start[CLIENT] + first));
	CHECK_EQ(r.flow->waiting_last->request_end, r.seq[CLIENT]);
	CHECK_EQ(r.flow->waiting_last->request_bytes, n - first);
	rig_end(&r);
}

static void
test_after_a_gap_a_segment_may_begin_a_long_message(void **state)
{
	uint8_t m[512], filler[1000] = { 0 };
	size_t n = message(m, true, 2, ENTRY, entry, sizeof(entry), NULL, 0);
	struct rig r;

	(void)state;
	m[4] = 0x03;		/* 1,000 bytes and a few */
	m[5] = 0xe8;
	m[13] = 0x03;
	m[14] = 0xd0;
	rig_begin(&r, IP_TCP, 389, 0);
	say(&r, CLIENT, false, 1, SEARCH, search_body, sizeof(search_body));
	rig_miss(&r, SERVER, 300);
	rig_acked(&r, SERVER);
	rig_say(&r, SERVER, m, n);
	rig_acked(&r, SERVER);
	rig_say(&r, SERVER, filler, 1006 - n);
	say(&r, CLIENT, false, 3, SEARCH, search_body, sizeof(search_body));
	CHECK_EQ(r.flow->waiting_last->flags & EXCHANGE_ONE_WAY, 0);
	say(&r, SERVER, false, 3, DONE, done, sizeof(done));
	CHECK_EQ(rig_answered(&r, LDAP_SEARCH), 1);
	rig_end(&r);
}

static void
test_snmp_and_noise_are_not_ldap(void **state)
{
	static const uint8_t snmp[] = { 0x30, 26, 2, 1, 0, 4, 6, 'p', 'u', 'b',
	    'l', 'i', 'c', 0xa0, 13, 2, 1, 1, 2, 1, 0, 2, 1, 0, 0x30, 2, 0x30, 0 };
	static const uint8_t longer[] = { 0x30, 7, 2, 1, 1, 0x63, 9, 4, 0, 1,
	    1, 1, 1, 1, 1, 1, 1, 1, 1 };
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 389, 0);
	rig_say(&r, CLIENT, snmp, sizeof(snmp));
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	rig_end(&r);
	rig_begin(&r, IP_TCP, 389, 0);
	rig_say(&r, CLIENT, longer, sizeof(longer));
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	rig_end(&r);
}

static void
test_a_ping_over_udp_is_paired_and_asked_once(void **state)
{
	uint8_t ask[256], answer[256];
	size_t asked = message(ask, true, 3, SEARCH, search_body,
	    sizeof(search_body), NULL, 0);
	size_t n = message(answer, true, 3, ENTRY, entry, sizeof(entry), NULL, 0);
	struct rig r;
	const struct app_event *e;

	(void)state;
	n += message(answer + n, true, 3, DONE, done, sizeof(done), NULL, 0);
	rig_begin(&r, IP_UDP, 389, 0);
	rig_udp(&r, CLIENT, ask, asked);
	CHECK_EQ(r.flow->app, APP_LDAP);
	rig_udp(&r, CLIENT, ask, asked);
	CHECK_EQ(rig_count(&r, APP_REQUEST, 0), 1);
	rig_udp(&r, SERVER, answer, n);
	e = rig_nth(&r, APP_RESPONSE, 0, 0);
	CHECK(e);
	CHECK_EQ(e->label, app_label(APP_LDAP, LDAP_OVER_UDP, LDAP_SEARCH));
	CHECK_EQ(e->took_ns, 2 * RIG_STEP_MS * NS_PER_MS);
	rig_end(&r);
}

UNIT_TESTS(
    cmocka_unit_test(test_answers_are_paired_by_message_id),
    cmocka_unit_test(test_unbind_and_abandon_wait_for_nothing),
    cmocka_unit_test(test_a_step_of_a_sasl_bind_is_no_fault),
    cmocka_unit_test(test_a_search_for_changes_parks),
    cmocka_unit_test(test_a_sealed_connection_is_left_to_its_turns),
    cmocka_unit_test(test_a_large_answer_is_not_kept),
    cmocka_unit_test(test_after_a_gap_the_next_message_is_found),
    cmocka_unit_test(test_each_of_several_requests_has_its_own_end),
    cmocka_unit_test(test_after_a_gap_a_segment_may_begin_a_long_message),
    cmocka_unit_test(test_snmp_and_noise_are_not_ldap),
    cmocka_unit_test(test_a_ping_over_udp_is_paired_and_asked_once),
)
