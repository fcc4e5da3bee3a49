/* unit_registry.c - the run of the detectors (detectors/registry.c): one that has
 * no more to say of a server (judge_settled) is asked again when something
 * happens that what it says depends on.
 *
 * What is found is looked at while the capture goes on: at its end all are asked
 * in any case. */
#include "detectors/server.h"
#include "tests/office_rig.h"
#include "tests/unit.h"

/* Two hosts that talk on, so that time passes for all. */
struct street {
	struct office office;
	struct rig_host passer, shop;
	struct talk talk;
};

static void
street_open(struct street *s)
{
	office_open(&s->office, WITH_MSS);
	s->passer = rig_host(200);
	s->shop = rig_host(201);
	s->talk = rig_talk(&s->office.rig, &s->passer, &s->shop, 1300, WITH_MSS);
}

/* Nothing from or to the office for so long. */
static void
pass(struct street *s, unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		rig_wait(&s->office.rig, 696);
		rig_turn(&s->talk, 80, 300, false);
	}
}

static struct server *
office_server(struct street *s)
{
	struct address a = address_from_v4(s->office.server.ip);

	return registry_server(s->office.rig.registry, &a, false);
}

/* One that has answered, and of which nobody has had more to say for a while. */
static struct server *
quiet_server(struct street *s)
{
	struct server *quiet;

	street_open(s);
	pass(s, 60);
	quiet = office_server(s);
	if (!quiet)
		abort();
	return quiet;
}

static unsigned
found(struct street *s, enum finding_name name)
{
	return rig_found(&s->office.rig, name, NULL, SEVERITY_MEDIUM);
}

/* --- what happens on the wire ------------------------------------------------ */

/* Is it found after the pause, and was it not before? */
static bool
found_after_a_pause(enum finding_name name, unsigned seconds, enum after after)
{
	struct street s;
	bool settled = quiet_server(&s)->settled != 0;
	bool before = found(&s, name) > 0, now;

	office_falls_silent(&s.office, seconds, after);
	pass(&s, 15);
	now = found(&s, name) > 0;
	rig_close(&s.office.rig);
	return settled && !before && now;
}

static void
test_a_quiet_host_that_falls_silent_is_judged_again(void **state)
{
	(void)state;
	CHECK(found_after_a_pause(FINDING_server_silent, 20, STAYS_SILENT));
}

static void
test_a_quiet_host_whose_transmitter_hangs_is_judged_again(void **state)
{
	(void)state;
	CHECK(found_after_a_pause(FINDING_egress_dead, 8, GOES_ON));
}

static void
test_a_quiet_host_that_restarts_is_judged_again(void **state)
{
	(void)state;
	CHECK(found_after_a_pause(FINDING_server_restart, 40, COMES_BACK_NEW));
}

static void
test_a_quiet_host_whose_card_outlives_it_is_judged_again(void **state)
{
	struct street s;

	(void)state;
	CHECK(quiet_server(&s)->settled);
	office_card_alone(&s.office, 40, false);
	CHECK_EQ(found(&s, FINDING_host_stack_dead), 1);
	rig_close(&s.office.rig);
}

/* --- what is found without a packet ------------------------------------------- */

/* Sessions of which each is left and never closed; long after the last word that
 * is said to the host they are found, one by one, and the last one makes it a
 * leak. */
static void
test_a_leak_shows_though_its_host_is_quiet_when_the_last_session_is_found(
    void **state)
{
	enum { SESSIONS = 20 };
	struct street s;
	struct office *o = &s.office;

	(void)state;
	street_open(&s);
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct talk t = rig_talk(&o->rig, &o->client[i % 3], &o->server,
		    (uint16_t)(2000 + i), WITH_MSS);

		rig_turn(&t, 80, 300, false);
		office_leave(o, &t, NEVER_CLOSED);
		office_goes_on(o, i + 1 < SESSIONS ? 4 * 60000 : 0);
	}
	pass(&s, 20);
	CHECK_EQ(found(&s, FINDING_orphaned_session), SESSIONS - 1);
	CHECK(office_server(&s)->settled);
	CHECK_EQ(found(&s, FINDING_session_leak), 0);
	pass(&s, 140);			/* it is asked once a minute */
	CHECK_EQ(found(&s, FINDING_orphaned_session), SESSIONS);
	CHECK_EQ(found(&s, FINDING_session_leak), 1);
	rig_close(&o->rig);
}

/* --- each way in which it happens ----------------------------------------------- */

static void
test_a_finding_about_it_has_all_asked_again(void **state)
{
	struct street s;
	struct server *quiet = quiet_server(&s);
	struct judge *j = registry_judge(s.office.rig.registry);
	const struct detector *d = registry_find(FINDING_session_leak);
	struct finding *x;

	(void)state;
	CHECK(quiet->settled);
	x = finding_raise(j, d, NULL, quiet, NULL, 0);
	CHECK(!quiet->settled);
	pass(&s, 11);
	CHECK(quiet->settled);
	finding_touch(x);
	CHECK(!quiet->settled);
	pass(&s, 11);
	CHECK(quiet->settled);
	CHECK(finding_lookup(j, d, NULL, quiet, NULL, 0) == x);
	CHECK(!quiet->settled);		/* who looks it up may change it */
	pass(&s, 11);
	CHECK(quiet->settled);
	finding_retract(x);
	CHECK(!quiet->settled);
	rig_close(&s.office.rig);
}

static bool
is_about(void *context, const struct finding *x)
{
	return x->server == context;
}

static void
test_a_finding_that_is_forgotten_has_all_asked_again(void **state)
{
	struct street s;
	struct server *quiet = quiet_server(&s);
	struct registry *r = s.office.rig.registry;

	(void)state;
	finding_raise(registry_judge(r), registry_find(FINDING_session_leak), NULL,
	    quiet, NULL, 0);
	pass(&s, 11);
	CHECK(quiet->settled);
	registry_forget(r, is_about, quiet);
	CHECK(!quiet->settled);
	rig_close(&s.office.rig);
}

static void
test_what_is_remembered_or_configured_has_all_asked_again(void **state)
{
	struct street s;
	struct server *quiet = quiet_server(&s);

	(void)state;
	CHECK(quiet->settled);
	CHECK(server_remember(quiet, FINDING_rss_bucket_stall, 4096));
	CHECK(!quiet->settled);
	pass(&s, 11);
	CHECK(quiet->settled);
	registry_reconfigure(s.office.rig.registry);
	CHECK(!quiet->settled);
	rig_close(&s.office.rig);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_quiet_host_that_falls_silent_is_judged_again),
    cmocka_unit_test(test_a_quiet_host_whose_transmitter_hangs_is_judged_again),
    cmocka_unit_test(test_a_quiet_host_that_restarts_is_judged_again),
    cmocka_unit_test(test_a_quiet_host_whose_card_outlives_it_is_judged_again),
    cmocka_unit_test(
    test_a_leak_shows_though_its_host_is_quiet_when_the_last_session_is_found),
    cmocka_unit_test(test_a_finding_about_it_has_all_asked_again),
    cmocka_unit_test(test_a_finding_that_is_forgotten_has_all_asked_again),
    cmocka_unit_test(test_what_is_remembered_or_configured_has_all_asked_again),
)
