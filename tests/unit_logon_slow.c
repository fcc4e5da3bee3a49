/* unit_logon_slow.c - when a step of the logon is far slower than it was. */
#include <stdio.h>

#include "tests/lan_rig.h"
#include "tests/unit.h"

enum { DC = 10, FIRST_USER = 50, USERS = 5 };

/* A step of the logon: how it is asked and answered. */
struct step {
	const char *kind;
	bool tcp;
	uint16_t port;
	size_t (*ask)(uint8_t *m, unsigned id);
	size_t (*answer)(uint8_t *m, unsigned id);
};

/* A literal, without its last zero. */
#define PUT(m, text) (memcpy((m), (text), sizeof(text) - 1), sizeof(text) - 1)

static size_t
krb_ask(uint8_t *m, unsigned id)
{
	(void)id;
	return PUT(m, "\0\0\0\x11\x6c\x0f\x30\x0d\xa1\x03\x02\x01\x05"
	    "\xa2\x03\x02\x01\x0c\xa4\x01\x05");
}

static size_t
krb_answer(uint8_t *m, unsigned id)
{
	(void)id;
	return PUT(m, "\0\0\0\x11\x6d\x0f\x30\x0d\xa0\x03\x02\x01\x05"
	    "\xa1\x03\x02\x01\x0d\xa3\x01\x43");
}

static size_t
ldap_ask(uint8_t *m, unsigned id)
{
	size_t n = PUT(m, "\x30\x1f\x02\x01\x01\x63\x1a\x04\0\x0a\1\2\x0a\1\0"
	    "\2\1\0\2\1\0\1\1\0\x87\5cn-cn\x30\0");

	m[4] = (uint8_t)id;
	return n;
}

static size_t
ldap_answer(uint8_t *m, unsigned id)
{
	size_t n = PUT(m, "\x30\x0c\x02\x01\x01\x65\x07\x0a\1\0\x04\0\x04\0");

	m[4] = (uint8_t)id;
	return n;
}

static size_t
srv(uint8_t *m, unsigned id, unsigned flags)
{
	size_t n = PUT(m, "\0\0\0\0\0\1\0\0\0\0\0\0\5_ldap\4_tcp\1x\0"
	    "\0\x21\0\1");

	m[0] = (uint8_t)(id >> 8);
	m[1] = (uint8_t)id;
	m[2] = (uint8_t)flags;
	return n;
}

static size_t
srv_ask(uint8_t *m, unsigned id)
{
	return srv(m, id, 1);
}

static size_t
srv_answer(uint8_t *m, unsigned id)
{
	return srv(m, id, 0x81);
}

static const struct step krb = { "kerberos", true, 88, krb_ask, krb_answer };
static const struct step ldap = { "ldap", true, 389, ldap_ask, ldap_answer };
static const struct step ping = { "cldap", false, 389, ldap_ask, ldap_answer };
static const struct step dns = { "dns", false, 53, srv_ask, srv_answer };

/* One step of one user, that takes so many seconds; below 0: for ever. */
static void
do_step(struct lan *w, const struct step *s, unsigned user, double seconds)
{
	static uint16_t port = 2000;
	static unsigned id;
	uint8_t ask[100], answer[100];
	size_t asked, answered;
	struct lan_tcp c = { 0 };

	port = (uint16_t)(port % 60000 + 1);
	id = id % 100 + 1;
	asked = s->ask(ask, id);
	answered = s->answer(answer, id);
	if (s->tcp) {
		c = lan_connect(w, user, port, DC, s->port);
		lan_say(w, &c, CLIENT, ask, asked);
	} else {
		lan_udp(w, user, port, DC, s->port, ask, asked);
	}
	lan_wait(w, seconds < 0 ? 6 : seconds);
	if (seconds < 0)
		return;
	if (s->tcp) {
		lan_say(w, &c, SERVER, answer, answered);
		lan_close(w, &c);
	} else {
		lan_udp(w, DC, s->port, user, port, answer, answered);
	}
}

/* Everybody's logon, `times` over; the step `s` takes so many seconds. */
static void
logons(struct lan *w, const struct step *s, unsigned users, int times,
    double seconds)
{
	static const struct step *const all[] = { &dns, &ping, &krb, &ldap };

	for (int t = 0; t < times; t++)
		for (unsigned u = 0; u < users; u++) {
			for (size_t i = 0; i < 4; i++)
				do_step(w, all[i], FIRST_USER + u,
				    all[i] == s ? seconds : 0.01 + 0.002 * u);
			lan_wait(w, 1);
		}
}

static void
test_each_step_is_found_by_its_own_measure(void **state)
{
	static const struct step *const all[] = { &dns, &ping, &krb, &ldap };
	static const double seconds[] = { 3, 14, -1 };

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 3; k++) {
			struct lan w;
			const struct finding *x;

			lan_begin(&w);
			logons(&w, NULL, USERS, 3, 0);
			logons(&w, all[i], USERS, 2, seconds[k]);
			lan_wait(&w, 3);
			logons(&w, all[i], 1, 1, seconds[k]);
			lan_finish(&w);
			x = lan_found(&w, FINDING_logon_slow, 0);
			CHECK(x);
			CHECK_STR(x->kind, all[i]->kind);
			CHECK_EQ(address_v4(&x->server->address),
			    lan_address(DC));
			CHECK(x->count >= 2 * USERS);
			CHECK(x->confidence > 0.5);
			CHECK(!lan_found(&w, FINDING_logon_slow, 1));
			lan_end(&w);
		}
}

static void
test_sound_logons_are_none(void **state)
{
	struct lan w;

	(void)state;
	lan_begin(&w);
	logons(&w, NULL, USERS, 6, 0);
	logons(&w, &krb, USERS, 4, 1.5);	/* slower, yet nobody minds */
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_logon_slow, 0));
	lan_end(&w);
}

static void
test_a_step_is_measured_against_its_own_past(void **state)
{
	struct lan w;

	(void)state;
	lan_begin(&w);
	logons(&w, &krb, USERS, 6, 0.4);
	logons(&w, &krb, USERS, 4, 3);		/* not ten times as long */
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_logon_slow, 0));
	lan_end(&w);
}

static void
test_one_user_s_trouble_or_an_odd_answer_are_none(void **state)
{
	struct lan w;

	(void)state;
	lan_begin(&w);
	logons(&w, NULL, USERS, 3, 0);
	logons(&w, &krb, 1, 6, 10);
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_logon_slow, 0));
	lan_end(&w);

	lan_begin(&w);
	logons(&w, NULL, USERS, 3, 0);
	for (int i = 0; i < 4; i++) {
		logons(&w, &krb, 2, 1, 10);
		logons(&w, NULL, USERS, 2, 0);
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_logon_slow, 0));
	lan_end(&w);
}

static void
test_a_step_that_was_always_slow_takes_more_to_tell(void **state)
{
	struct lan w;
	const struct finding *x;

	(void)state;
	lan_begin(&w);
	logons(&w, &krb, USERS, 1, 12);
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_logon_slow, 0));
	lan_end(&w);

	lan_begin(&w);
	logons(&w, &krb, USERS, 2, 12);
	lan_finish(&w);
	x = lan_found(&w, FINDING_logon_slow, 0);
	CHECK(x);
	CHECK(x->confidence < 0.6);
	lan_end(&w);

	lan_begin(&w);
	logons(&w, &krb, USERS, 3, 4);
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_logon_slow, 0));
	lan_end(&w);
}

static void
test_a_directory_that_is_no_domain_controller_is_left_alone(void **state)
{
	struct lan w;

	(void)state;
	lan_begin(&w);
	for (unsigned i = 0; i < 20; i++)
		do_step(&w, &ldap, FIRST_USER + i % USERS, 0.01);
	for (unsigned i = 0; i < 10; i++)
		do_step(&w, &ldap, FIRST_USER + i % USERS, 10);
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_logon_slow, 0));
	lan_end(&w);
}

static void
test_it_ends_with_sound_answers(void **state)
{
	struct lan w;

	(void)state;
	lan_begin(&w);
	logons(&w, NULL, USERS, 3, 0);
	logons(&w, &krb, USERS, 2, 12);
	CHECK(!lan_found(&w, FINDING_logon_slow, 0)->ended);
	logons(&w, NULL, USERS, 3, 0);
	lan_finish(&w);
	CHECK(lan_found(&w, FINDING_logon_slow, 0)->ended);
	lan_end(&w);
}

UNIT_TESTS(
    cmocka_unit_test(test_each_step_is_found_by_its_own_measure),
    cmocka_unit_test(test_sound_logons_are_none),
    cmocka_unit_test(test_a_step_is_measured_against_its_own_past),
    cmocka_unit_test(test_one_user_s_trouble_or_an_odd_answer_are_none),
    cmocka_unit_test(test_a_step_that_was_always_slow_takes_more_to_tell),
    cmocka_unit_test(test_a_directory_that_is_no_domain_controller_is_left_alone),
    cmocka_unit_test(test_it_ends_with_sound_answers),
)
