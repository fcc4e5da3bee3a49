/* unit_incident.c - the figures a verdict rests on. */
#include "detectors/incident.h"

#include <math.h>

#include "detectors/server.h"
#include "tests/unit.h"

static bool
near(double a, double b)
{
	return fabs(a - b) <= 1e-9 + 1e-6 * fabs(b);
}

/* Fisher's own tea tasting: 3 of 4 right by chance is 17/70, 4 of 4 is 1/70. */
static void
test_the_exact_test_gives_the_tea_tasters_odds(void **state)
{
	(void)state;
	CHECK(near(fisher_one_sided(3, 1, 1, 3), 17.0 / 70));
	CHECK(near(fisher_one_sided(4, 0, 0, 4), 1.0 / 70));
}

static void
test_an_empty_table_says_nothing(void **state)
{
	(void)state;
	CHECK(near(fisher_one_sided(0, 0, 0, 0), 1));
	CHECK(near(fisher_one_sided(0, 10, 0, 10), 1));
}

static void
test_large_tables_stay_finite(void **state)
{
	double p = fisher_one_sided(30000, 100, 50, 30000);

	(void)state;
	CHECK(p >= 0 && p < 1e-100);
}

static void
test_quantiles_are_within_a_fifth(void **state)
{
	struct latency l = { 0 };
	int64_t median;

	(void)state;
	for (int ms = 1; ms <= 1000; ms++)
		latency_add(&l, ms * NS_PER_MS);
	median = latency_quantile(&l, 0.5);
	CHECK(median > 420 * NS_PER_MS && median < 600 * NS_PER_MS);
	CHECK_EQ(latency_quantile(&l, 1), 1000 * NS_PER_MS);
	CHECK_EQ(l.max_ns, 1000 * NS_PER_MS);
}

UNIT_TESTS(
    cmocka_unit_test(test_the_exact_test_gives_the_tea_tasters_odds),
    cmocka_unit_test(test_an_empty_table_says_nothing),
    cmocka_unit_test(test_large_tables_stay_finite),
    cmocka_unit_test(test_quantiles_are_within_a_fifth),
)
