/* unit_compare.c - what the difference of two runs is worth: the tests against
 * published values, and what is said of hand-made figures. */
#include "detectors/compare.h"

#include <math.h>

#include "detectors/compare_stats.h"
#include "tests/unit.h"

static bool
near(double a, double b)
{
	return fabs(a - b) <= 1e-9 + 1e-4 * fabs(b);
}

static bool
is_nan(double x)
{
	return x != x;
}

/* Fisher's tea tasting (3 of 4, 1 of 4): 34/70, both tails. */
static void
test_shares_give_the_tea_tasters_odds(void **state)
{
	(void)state;
	CHECK(near(shares_differ(3, 4, 1, 4), 34.0 / 70));
	CHECK(near(shares_differ(4, 4, 0, 4), 2.0 / 70));
}

/* R: fisher.test(matrix(c(1, 11, 9, 3), 2)), p-value = 0.002759. */
static void
test_shares_give_the_value_of_r(void **state)
{
	(void)state;
	CHECK(near(shares_differ(1, 12, 9, 12), 0.0027594562));
	CHECK(near(shares_differ(9, 12, 1, 12), 0.0027594562));
}

/* R: poisson.test(c(11, 6 + 8 + 7), c(800, 1083 + 1050 + 878)), p-value =
 * 0.07967. */
static void
test_rates_give_the_value_of_r(void **state)
{
	(void)state;
	CHECK(fabs(rates_differ(11, 800, 21, 3011) - 0.07967) < 5e-6);
	CHECK(near(rates_differ(11, 800, 21, 3011),
	    rates_differ(21, 3011, 11, 800)));
}

/* All of n events in one of two equal times: 2 / 2^n. */
static void
test_rates_in_equal_times_are_a_coin(void **state)
{
	(void)state;
	CHECK(near(rates_differ(5, 3, 0, 3), 2.0 / 32));
	CHECK(near(rates_differ(1, 3, 0, 3), 1));
	CHECK(near(rates_differ(4, 1, 4, 1), 1));
}

static void
test_nothing_to_test_is_said(void **state)
{
	(void)state;
	CHECK(is_nan(shares_differ(0, 0, 1, 2)));
	CHECK(is_nan(shares_differ(3, 2, 1, 2)));
	CHECK(is_nan(rates_differ(1, 0, 1, 2)));
	CHECK(is_nan(clean_time_exact(0, 8)));
	CHECK(near(shares_differ(0, 10, 0, 10), 1));
	CHECK(near(rates_differ(0, 1, 0, 1), 1));
}

static void
test_large_counts_stay_finite(void **state)
{
	double p = shares_differ(300000, 1000000, 310000, 1000000);

	(void)state;
	CHECK(p > 0 && p < 1e-40);
	p = shares_differ(30000, 30100, 50, 30050);
	CHECK(p >= 0 && p < 1e-100);
	p = shares_differ(500000, 1000000, 500100, 1000000);
	CHECK(p > 0.85 && p < 0.92);	/* z = 0.1414: 0.8875 */
	p = rates_differ(1000000, 1, 1001000, 1);
	CHECK(p > 0.45 && p < 0.51);	/* z = 0.7069: 0.4796 */
}

static void
test_the_clean_time_comes_down_to_the_rule_of_three(void **state)
{
	(void)state;
	CHECK(near(clean_time_exact(1, 8), 19 * 8));
	CHECK(near(clean_time_known_rate(1, 8), 8 * 2.99573227));
	CHECK(clean_time_exact(1000, 1000) < 3.01);
	CHECK(clean_time_exact(1000, 1000) > 2.99);
	/* it is the time at which the one-sided test reaches 5 % */
	CHECK(near(pow(8 / (8 + clean_time_exact(4, 8)), 4), 0.05));
}

/* Hand-made runs ------------------------------------------------------------- */

static struct run_figures
hours_of(double hours)
{
	return (struct run_figures){ .watched_ns = (int64_t)(hours * 3600e9) };
}

static struct server_figures
clients_of(uint64_t affected, uint64_t all, uint64_t incidents)
{
	return (struct server_figures){ .name = "EX01", .served = true,
		.flows = all, .flows_affected = affected,
		.flows_stalled = affected, .clients = all,
		.clients_affected = affected, .incidents = incidents };
}

static const char *
answer_for(double hours_before, struct server_figures b, double hours_after,
    struct server_figures a, struct comparison *c)
{
	static char text[800];
	struct run_figures before = hours_of(hours_before);
	struct run_figures after = hours_of(hours_after);

	*c = compare_server(&before, &b, &after, &a);
	comparison_answer(c, text, sizeof(text));
	return text;
}

static void
test_stalls_gone_for_long_enough_are_better(void **state)
{
	struct comparison c;
	const char *text = answer_for(10, clients_of(41, 44, 5), 40,
	    clients_of(0, 46, 0), &c);

	(void)state;
	CHECK_EQ(c.change, CHANGE_BETTER);
	CHECK(c.settled);
	CHECK(strstr(text, "EX01: better: the stalls are gone (41 of 44 clients "
	    "froze before, none of 46 after; p = ") == text);
	CHECK(!strstr(text, "too short"));
}

static void
test_one_incident_and_a_short_quiet_is_not_settled(void **state)
{
	struct comparison c;
	const char *text = answer_for(8, clients_of(41, 44, 1), 8,
	    clients_of(0, 46, 0), &c);

	(void)state;
	CHECK_EQ(c.change, CHANGE_BETTER);
	CHECK(!c.settled);
	CHECK(near(c.clean_hours_exact, 152));
	CHECK(strstr(text, "too short") != NULL);
}

/* Fisher alone would call ten quiet minutes after ten bad hours a cure. */
static void
test_a_short_run_after_proves_nothing(void **state)
{
	struct comparison c;
	const char *text = answer_for(10, clients_of(41, 44, 1), 0.15,
	    clients_of(0, 46, 0), &c);

	(void)state;
	CHECK(c.p_clients_share < 1e-10);
	CHECK_EQ(c.change, CHANGE_NOTHING);
	CHECK(strstr(text, "no difference that this much traffic could show")
	    != NULL);
}

static void
test_the_same_the_other_way_round_is_worse(void **state)
{
	struct comparison c;

	(void)state;
	answer_for(40, clients_of(0, 46, 0), 10, clients_of(41, 44, 5), &c);
	CHECK_EQ(c.change, CHANGE_WORSE);
	CHECK(c.settled);
	answer_for(10, clients_of(20, 44, 5), 10, clients_of(20, 44, 5), &c);
	CHECK_EQ(c.change, CHANGE_NOTHING);
	CHECK(is_nan(c.more_needed));
}

static void
test_a_trend_says_how_much_more_it_needs(void **state)
{
	struct comparison c;

	(void)state;
	answer_for(10, clients_of(6, 44, 3), 10, clients_of(3, 44, 1), &c);
	CHECK_EQ(c.change, CHANGE_NOTHING);
	CHECK(c.more_needed > 1 && c.more_needed < 100);
}

static void
test_incidents_alone_decide_where_no_client_is_known(void **state)
{
	struct comparison c;
	const char *text = answer_for(100, clients_of(0, 44, 12), 100,
	    clients_of(0, 44, 0), &c);

	(void)state;
	CHECK_EQ(c.change, CHANGE_BETTER);
	CHECK_EQ(c.deciding, QUESTION_INCIDENTS);
	CHECK(strstr(text, "the incidents are gone (12 in ") != NULL);
}

static void
test_what_was_not_seen_is_not_gone(void **state)
{
	struct run_figures before = hours_of(10), after = hours_of(40);
	struct server_figures b = clients_of(41, 44, 5), a = clients_of(0, 46, 0);
	struct comparison c;
	char text[800];

	(void)state;
	after.blind = true;
	c = compare_server(&before, &b, &after, &a);
	CHECK_EQ(c.change, CHANGE_NOT_COMPARABLE);
	CHECK(strstr(comparison_answer(&c, text, sizeof(text)),
	    "the capture after missed") != NULL);
}

static void
test_a_server_in_one_run_is_not_compared(void **state)
{
	struct run_figures before = hours_of(1), after = hours_of(1);
	struct server_figures b = clients_of(1, 2, 1);
	struct comparison c = compare_server(&before, &b, &after, NULL);
	char text[800];

	(void)state;
	CHECK_EQ(c.change, CHANGE_NOT_COMPARABLE);
	CHECK_STR(comparison_answer(&c, text, sizeof(text)), "EX01: not "
	    "comparable: only in the run before (2 connections, 1 incident).");
	CHECK_STR(comparison_effect(&c, text, sizeof(text)), "");
	CHECK_STR(comparison_lasting(&c, text, sizeof(text)), "");
}

static void
test_the_offload_is_gone_only_if_it_shows(void **state)
{
	struct run_figures before = hours_of(1), after = hours_of(1);
	struct server_figures b = clients_of(0, 60, 0), a = clients_of(0, 60, 0);
	struct comparison c;

	(void)state;
	b.stacks_known = a.stacks_known = true;
	b.flows_offloaded = 30;
	b.flows_host = a.flows_host = 30;
	c = compare_server(&before, &b, &after, &a);
	CHECK_EQ(c.offload, OFFLOAD_GONE);
	a.flows_host = 2;
	c = compare_server(&before, &b, &after, &a);
	CHECK_EQ(c.offload, OFFLOAD_TOO_FEW);
	a.flows_offloaded = 1;
	c = compare_server(&before, &b, &after, &a);
	CHECK_EQ(c.offload, OFFLOAD_STILL_ON);
	b.flows_offloaded = 0;
	c = compare_server(&before, &b, &after, &a);
	CHECK_EQ(c.offload, OFFLOAD_APPEARED);
	a.stacks_known = false;
	c = compare_server(&before, &b, &after, &a);
	CHECK_EQ(c.offload, OFFLOAD_UNKNOWN);
}

/* Refusals at a port that nobody ever served are no server's doing. */
static void
test_only_served_ports_count_as_failed(void **state)
{
	struct port_figures was[] = { { 135, 40, 0 }, { 23, 0, 900 } };
	struct port_figures is[] = { { 135, 10, 30 }, { 23, 0, 5 } };
	struct server_figures b = clients_of(0, 40, 0), a = clients_of(0, 10, 0);
	struct comparison c;

	(void)state;
	b.wire.port = was;
	a.wire.port = is;
	b.wire.port_count = a.wire.port_count = 2;
	answer_for(1, b, 1, a, &c);
	CHECK_EQ(c.connects[BEFORE], 40);
	CHECK_EQ(c.connects_failed[BEFORE], 0);
	CHECK_EQ(c.connects[AFTER], 40);
	CHECK_EQ(c.connects_failed[AFTER], 30);
	CHECK_EQ(c.change, CHANGE_WORSE);
	CHECK_EQ(c.deciding, QUESTION_CONNECTS);
}

UNIT_TESTS(
    cmocka_unit_test(test_shares_give_the_tea_tasters_odds),
    cmocka_unit_test(test_shares_give_the_value_of_r),
    cmocka_unit_test(test_rates_give_the_value_of_r),
    cmocka_unit_test(test_rates_in_equal_times_are_a_coin),
    cmocka_unit_test(test_nothing_to_test_is_said),
    cmocka_unit_test(test_large_counts_stay_finite),
    cmocka_unit_test(test_the_clean_time_comes_down_to_the_rule_of_three),
    cmocka_unit_test(test_stalls_gone_for_long_enough_are_better),
    cmocka_unit_test(test_one_incident_and_a_short_quiet_is_not_settled),
    cmocka_unit_test(test_a_short_run_after_proves_nothing),
    cmocka_unit_test(test_the_same_the_other_way_round_is_worse),
    cmocka_unit_test(test_a_trend_says_how_much_more_it_needs),
    cmocka_unit_test(test_incidents_alone_decide_where_no_client_is_known),
    cmocka_unit_test(test_what_was_not_seen_is_not_gone),
    cmocka_unit_test(test_a_server_in_one_run_is_not_compared),
    cmocka_unit_test(test_the_offload_is_gone_only_if_it_shows),
    cmocka_unit_test(test_only_served_ports_count_as_failed),
)
