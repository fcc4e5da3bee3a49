/* clock.h - trace time: what the packets say, the same offline and live.
 *
 * Time is a struct so that a count of seconds cannot be passed for it. Only
 * source.c and log.c may ask the machine's clock. */
#ifndef CAPTURE_CLOCK_H
#define CAPTURE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct instant {
	int64_t ns;		/* since 1970-01-01 UTC, by the capture's clock */
};

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

static inline int64_t
instant_since(struct instant later, struct instant earlier)
{
	return later.ns - earlier.ns;
}

static inline struct instant
instant_plus(struct instant t, int64_t ns)
{
	return (struct instant){ t.ns + ns };
}

static inline bool
instant_before(struct instant a, struct instant b)
{
	return a.ns < b.ns;
}

static inline bool
instant_is_set(struct instant t)
{
	return t.ns != 0;
}

static inline double
seconds_of(int64_t ns)
{
	return (double)ns / 1e9;
}

enum { INSTANT_TEXT_BYTES = 32 };

/* ISO 8601 UTC with microseconds, "2007-12-16T17:59:25.798159Z". Returns
 * `out`. Any instant is printable; years beyond 9999 are clamped. */
const char *instant_text(struct instant, char out[INSTANT_TEXT_BYTES]);

/* "17:59:25": the time of day, UTC, for the report. */
const char *instant_clock_text(struct instant, char out[INSTANT_TEXT_BYTES]);

/* A timer sits in the structure it wakes (no allocation). */
struct timer {
	struct timer *next, **link;	/* link is NULL when not armed */
	struct instant at;
	void (*fire)(struct timer *, struct instant now);
};

/* Timers are kept in a hierarchical wheel of 2^26 ns (67 ms) slots, so arming
 * and disarming cost the same however many there are; due timers fire in the
 * order of their deadlines, equal deadlines in arming order. */
struct clock;

struct clock *clock_new(void);		/* NULL if out of memory */
void clock_free(struct clock **);	/* timers still armed are forgotten */

/* Trace time: never runs backwards. Zero before the first advance. */
struct instant clock_now(const struct clock *);

/* Move trace time to `t` and fire what falls due on the way. A callback sees
 * its own deadline as `now`, whether a packet (offline) or an idle tick (live)
 * brought us here. An earlier `t` changes nothing. */
void clock_advance(struct clock *, struct instant t);

/* Arm (or move) a timer; a deadline that is past is taken as now. `fire` must
 * be set. Disarming one that is not armed does nothing. */
void clock_arm(struct clock *, struct timer *, struct instant at);
void clock_disarm(struct clock *, struct timer *);
static inline bool
timer_is_armed(const struct timer *t)
{
	return t->link != NULL;
}

#endif
