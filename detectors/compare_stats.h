/* compare_stats.h - exact tests for counts, before and after a change.
 *
 * All p-values are two-sided in Fisher's sense: the chance, had nothing
 * changed, of a result no likelier than the one seen. They are exact, so that
 * few events and short captures are judged as fairly as many; NAN where there
 * is nothing to test. */
#ifndef DETECTORS_COMPARE_STATS_H
#define DETECTORS_COMPARE_STATS_H

#include <stdint.h>

/* Is `hit1` of `all1` another share than `hit2` of `all2`? Fisher's exact test
 * (R. A. Fisher, J. Royal Stat. Soc. 98, 1935). hit <= all. */
double shares_differ(uint64_t hit1, uint64_t all1, uint64_t hit2,
    uint64_t all2);

/* Do `n1` events in the time `t1` and `n2` in `t2` come at different rates? The
 * conditional test: given their sum, n1 is binomial with t1 / (t1 + t2)
 * (Przyborowski and Wilenski, Biometrika 31, 1940). Any unit of time. */
double rates_differ(uint64_t n1, double t1, uint64_t n2, double t2);

/* How long nothing may happen until it is 95 % sure that events which came
 * `n` times in `t` have become rarer. The exact one allows for the rate being
 * known from `n` events only: t * (20^(1/n) - 1), 19 times t for one event. It
 * comes down to the other, that of a known rate, as n grows: 3 t / n, the rule
 * of three (exp(-3) = 5 %). NAN for n = 0. */
double clean_time_exact(uint64_t n, double t);
double clean_time_known_rate(uint64_t n, double t);

#endif
