/* unit_dns.c - DNS by id over UDP and TCP, the NetBIOS name service, NTP. */
#include "capture/app_dns.h"
#include "tests/app_rig.h"
#include "tests/unit.h"

enum { RESPONSE = 0x80, UPDATE = 0x28, CLASS_IN = 1 };

/* A message that asks for `name` ("_ldap._tcp.x"); its length. */
static size_t
message(uint8_t *to, unsigned id, unsigned flags, unsigned rcode,
    const char *name, unsigned type)
{
	uint8_t header[] = { (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)flags,
	    (uint8_t)rcode, 0, 1, 0, 0, 0, 0, 0, 0 };
	size_t at = sizeof(header), label;

	memcpy(to, header, sizeof(header));
	while (*name) {
		label = strcspn(name, ".");
		to[at++] = (uint8_t)label;
		memcpy(to + at, name, label);
		at += label;
		name += label + (name[label] == '.');
	}
	to[at++] = 0;
	to[at++] = 0;
	to[at++] = (uint8_t)type;
	to[at++] = 0;
	to[at++] = CLASS_IN;
	return at;
}

static void
udp(struct rig *r, enum side side, unsigned id, unsigned flags, unsigned rcode,
    const char *name, unsigned type)
{
	uint8_t m[300];

	rig_udp(r, side, m, message(m, id, flags, rcode, name, type));
}

static void
tcp(struct rig *r, enum side side, unsigned id, unsigned flags,
    const char *name, unsigned type)
{
	uint8_t m[300];
	size_t n = message(m + 2, id, flags, 0, name, type);

	m[0] = 0;
	m[1] = (uint8_t)n;
	rig_say(r, side, m, n + 2);
}

static void
test_the_locator_s_questions_are_told_apart(void **state)
{
	static const struct { const char *name; unsigned type, flags, kind; }
	    cases[] = {
		{ "_ldap._tcp.dc._msdcs.contoso.local", DNS_SRV, 1, DNS_LOCATOR },
		{ "_KERBEROS._tcp.contoso.local", DNS_SRV, 1, DNS_LOCATOR },
		{ "_gc._tcp.contoso.local", DNS_SRV, 1, DNS_LOCATOR },
		{ "_sip._tcp.contoso.local", DNS_SRV, 1, DNS_ANY_NAME },
		{ "_ldap._tcp.contoso.local", DNS_TXT, 1, DNS_ANY_NAME },
		{ "www.contoso.local", DNS_A, 1, DNS_ANY_NAME },
		{ "contoso.local", DNS_SOA, UPDATE, DNS_UPDATE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r;

		rig_begin(&r, IP_UDP, 53, 0);
		udp(&r, CLIENT, 7, cases[i].flags, 0, cases[i].name,
		    cases[i].type);
		CHECK_EQ(r.count, 1);
		CHECK_EQ(r.event[0].label,
		    app_label(APP_DNS, cases[i].kind, cases[i].type));
		rig_end(&r);
	}
}

static void
test_answers_are_paired_by_id_and_retries_wait_on(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_UDP, 53, 0);
	udp(&r, CLIENT, 7, 1, 0, "a.example", DNS_A);
	udp(&r, CLIENT, 8, 1, 0, "b.example", DNS_A);
	udp(&r, CLIENT, 7, 1, 0, "a.example", DNS_A);
	CHECK_EQ(rig_count(&r, APP_REQUEST, 0), 2);
	udp(&r, SERVER, 8, RESPONSE, 0, "b.example", DNS_A);
	udp(&r, SERVER, 7, RESPONSE, 0, "a.example", DNS_A);
	CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 2);
	CHECK_EQ(rig_nth(&r, APP_RESPONSE, 0, 1)->took_ns,
	    4 * RIG_STEP_MS * NS_PER_MS);
	udp(&r, SERVER, 7, RESPONSE, 0, "a.example", DNS_A);
	CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 2);
	rig_end(&r);
}

static void
test_no_such_name_is_an_answer_a_failed_server_is_a_fault(void **state)
{
	static const struct { unsigned rcode; bool fault; } cases[] = {
		{ 0, false }, { 3, false }, { 2, true }, { 5, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r;

		rig_begin(&r, IP_UDP, 53, 0);
		udp(&r, CLIENT, 7, 1, 0, "a.example", DNS_A);
		udp(&r, SERVER, 7, RESPONSE, cases[i].rcode, "a.example",
		    DNS_A);
		CHECK_EQ(rig_nth(&r, APP_RESPONSE, 0, 0)->fault,
		    cases[i].fault);
		rig_end(&r);
	}
}

static void
test_over_tcp_messages_are_cut_by_their_lengths(void **state)
{
	static const size_t cuts[] = { 0, 1, 11 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct rig r;

		rig_begin(&r, IP_TCP, 53, cuts[i]);
		tcp(&r, CLIENT, 1, 1, "a.example", DNS_A);
		tcp(&r, CLIENT, 2, 1, "b.example", 252);
		CHECK_EQ(r.flow->app, APP_DNS);
		CHECK_EQ(r.flow->waiting_count, 2);
		tcp(&r, SERVER, 2, RESPONSE, "b.example", 252);
		tcp(&r, SERVER, 2, RESPONSE, "b.example", 252);
		tcp(&r, SERVER, 1, RESPONSE, "a.example", DNS_A);
		CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 2);
		CHECK_EQ(r.flow->waiting_count, 0);
		rig_end(&r);
	}
}

static void
test_names_that_are_none_are_not_dns(void **state)
{
	uint8_t m[400];
	size_t n = message(m, 1, 1, 0, "a.example", DNS_A);
	struct rig r;

	(void)state;
	m[12] = 64;		/* a label too long (or a pointer) */
	rig_begin(&r, IP_UDP, 53, 0);
	rig_udp(&r, CLIENT, m, n);
	CHECK_EQ(r.count, 0);
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	m[12] = 1;
	for (size_t cut = 0; cut < n; cut++) {
		rig_udp(&r, CLIENT, m, cut);
		CHECK_EQ(r.count, 0);
	}
	rig_udp(&r, CLIENT, m, n);
	CHECK_EQ(r.count, 1);
	rig_end(&r);
}

static void
test_a_broadcast_for_a_netbios_name_waits_for_nobody(void **state)
{
	static const char name[] = "EJFDEBFEEBFACACACACACACACACACAAA";
	struct rig r;

	(void)state;
	rig_begin(&r, IP_UDP, 137, 0);
	udp(&r, CLIENT, 3, 1, 0x10, name, 0x20);
	CHECK_EQ(r.count, 0);
	CHECK_EQ(r.flow->app, APP_NETBIOS);
	udp(&r, CLIENT, 4, 1, 0, name, 0x20);
	CHECK_EQ(rig_count(&r, APP_REQUEST, 0), 1);
	udp(&r, SERVER, 4, 0x85, 0, name, 0x20);
	CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 1);
	rig_end(&r);
}

static void
test_an_ntp_answer_repeats_what_was_asked(void **state)
{
	uint8_t ask[48] = { 0x23 }, answer[48] = { 0x24 };
	struct rig r;

	(void)state;
	memcpy(ask + 40, "asked it", 8);
	memcpy(answer + 24, "asked at", 8);
	rig_begin(&r, IP_UDP, 123, 0);
	rig_udp(&r, CLIENT, ask, sizeof(ask));
	rig_udp(&r, SERVER, answer, sizeof(answer));
	CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 0);
	memcpy(answer + 24, "asked it", 8);
	rig_udp(&r, SERVER, answer, sizeof(answer));
	CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 1);
	CHECK_EQ(r.flow->waiting_count, 0);
	rig_end(&r);
}

UNIT_TESTS(
    cmocka_unit_test(test_the_locator_s_questions_are_told_apart),
    cmocka_unit_test(test_answers_are_paired_by_id_and_retries_wait_on),
    cmocka_unit_test(test_no_such_name_is_an_answer_a_failed_server_is_a_fault),
    cmocka_unit_test(test_over_tcp_messages_are_cut_by_their_lengths),
    cmocka_unit_test(test_names_that_are_none_are_not_dns),
    cmocka_unit_test(test_a_broadcast_for_a_netbios_name_waits_for_nobody),
    cmocka_unit_test(test_an_ntp_answer_repeats_what_was_asked),
)
