/* scenes.h - the captures that can be made. */
#ifndef TESTS_BENCH_SCENES_H
#define TESTS_BENCH_SCENES_H

#include "tests/bench/talk.h"

struct scene {
	const char *name;
	bool nanoseconds;
	void (*make)(struct wire *, double scale);
	double megabytes;		/* at scale 1 */
	const char *text;
};

/* The last one has no name. Load to be measured on; attacks (attacks.c). */
extern const struct scene scenes[], attacks[];

/* What tests/bench/churn.sh sends. */
extern const struct scene churn;

/* The captures in `folder`, each many times over, with addresses and times of
 * their own (mix.c). */
void mix_make(struct wire *, double scale, const char *folder);

/* `n` scaled, and at least `least`. */
uint32_t scaled(uint32_t n, double scale, uint32_t least);

#endif
