/* compare_stats.c - exact tests for counts, before and after a change.
 *
 * The hard part is range: captures have three events or three million packets.
 * Probabilities are summed outwards from the likeliest outcome, as logarithms,
 * and the sum ends where nothing more can come of it. */
#include "detectors/compare_stats.h"

#include <math.h>

enum { STEPS_MAX = 2000000 };

/* Outcomes as likely as the one seen, but for rounding, count as such. */
static const double as_likely = 1e-7;
/* Tails below this share of the whole do not show in any p. */
static const double negligible = -60;	/* its logarithm */

/* The chances of 0, 1, 2 ... as a ratio: log of P(x + 1) / P(x). */
struct chances {
	uint64_t lowest, highest;	/* outcomes that can be */
	double (*step)(const struct chances *, uint64_t x);
	/* Fisher: */
	uint64_t row1, column1, row2;
	/* binomial: */
	uint64_t n;
	double log_odds;
};

static double
hypergeometric_step(const struct chances *c, uint64_t x)
{
	double in = (double)(c->row1 - x) * (double)(c->column1 - x);
	double out = (double)(x + 1) *
	    ((double)c->row2 - (double)c->column1 + (double)x + 1);

	return log(in) - log(out);
}

static double
binomial_step(const struct chances *c, uint64_t x)
{
	return log((double)(c->n - x)) - log((double)(x + 1)) + c->log_odds;
}

/* From the outcome that was seen, with weight 1, walk one way; what weighs at
 * most 1 goes into `rare`, all into `whole`. */
static void
walk(const struct chances *c, uint64_t seen, int way, double *rare,
    double *whole)
{
	double weight = 0, heaviest = 0;	/* logarithms */
	uint64_t x = seen;

	for (int i = 0; i < STEPS_MAX; i++) {
		if (x == (way < 0 ? c->lowest : c->highest))
			return;
		x = way < 0 ? x - 1 : x + 1;
		weight += way < 0 ? -c->step(c, x) : c->step(c, x - 1);
		if (weight > heaviest)
			heaviest = weight;
		if (weight < heaviest + negligible && weight < negligible)
			return;
		/* beyond e^700 the rare ones are nothing beside the whole */
		*whole += exp(weight < 700 ? weight : 700);
		if (weight <= as_likely)
			*rare += exp(weight);
	}
}

static double
two_sided(const struct chances *c, uint64_t seen)
{
	double rare = 1, whole = 1, p;

	if (c->lowest == c->highest)
		return 1;
	walk(c, seen, -1, &rare, &whole);
	walk(c, seen, 1, &rare, &whole);
	p = rare / whole;
	return p > 1 ? 1 : p;
}

double
shares_differ(uint64_t hit1, uint64_t all1, uint64_t hit2, uint64_t all2)
{
	struct chances c = { .step = hypergeometric_step, .row1 = all1,
		.row2 = all2, .column1 = hit1 + hit2 };

	if (!all1 || !all2 || hit1 > all1 || hit2 > all2)
		return NAN;
	c.lowest = c.column1 > all2 ? c.column1 - all2 : 0;
	c.highest = c.column1 < all1 ? c.column1 : all1;
	return two_sided(&c, hit1);
}

double
rates_differ(uint64_t n1, double t1, uint64_t n2, double t2)
{
	struct chances c = { .step = binomial_step, .n = n1 + n2,
		.highest = n1 + n2 };

	if (!(t1 > 0) || !(t2 > 0))
		return NAN;
	c.log_odds = log(t1) - log(t2);
	return two_sided(&c, n1);
}

double
clean_time_exact(uint64_t n, double t)
{
	return n ? t * (pow(20, 1 / (double)n) - 1) : NAN;
}

double
clean_time_known_rate(uint64_t n, double t)
{
	return n ? t * log(20) / (double)n : NAN;
}
