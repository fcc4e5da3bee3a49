/* clock.c - trace time, and a timer wheel turned by it.
 *
 * A timer lies in the level that holds the highest digit (base 64, in ticks of
 * 2^26 ns) in which its deadline differs from the wheel's position. That makes
 * everything in a lower level sooner than anything in a higher one, so the next
 * slot is found by bitmaps, an hour of silence costs no more than a moment, and
 * equal deadlines always share a list, in arming order.
 *
 * The hard part is exact order: a slot is 67 ms wide, and its timers are sorted
 * (stably) when time reaches it. */
#include "capture/clock.h"

#include <assert.h>
#include <stdlib.h>

enum {
	TICK_SHIFT = 26,
	DIGIT_BITS = 6, SLOTS = 1 << DIGIT_BITS,
	LEVELS = 7,		/* 26 + 7 * 6 >= 63 bits of nanoseconds */
};

struct list {
	struct timer *first, **end;	/* end: where the next one is linked */
};

struct clock {
	struct instant now;
	uint64_t position;		/* tick that `due` holds, and all before */
	struct list due;		/* sorted by deadline */
	uint64_t used[LEVELS];		/* a bit for each slot that is not empty */
	struct list slot[LEVELS][SLOTS];
};

static void
list_init(struct list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void
list_append(struct list *l, struct timer *t)
{
	t->next = NULL;
	t->link = l->end;
	*l->end = t;
	l->end = &t->next;
}

static void
list_remove(struct list *l, struct timer *t)
{
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	else
		l->end = t->link;
	t->next = NULL;
	t->link = NULL;
}

/* Behind all that are not later. */
static void
list_insert_sorted(struct list *l, struct timer *t)
{
	struct timer **link = &l->first;

	/* `end` is the last one's `next`, its first member */
	if (l->first && !instant_before(t->at, ((struct timer *)l->end)->at))
		link = l->end;
	while (*link && !instant_before(t->at, (*link)->at))
		link = &(*link)->next;
	t->next = *link;
	t->link = link;
	if (t->next)
		t->next->link = &t->next;
	else
		l->end = &t->next;
	*link = t;
}

struct clock *
clock_new(void)
{
	struct clock *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	list_init(&c->due);
	for (int level = 0; level < LEVELS; level++)
		for (int slot = 0; slot < SLOTS; slot++)
			list_init(&c->slot[level][slot]);
	return c;
}

void
clock_free(struct clock **cp)
{
	free(*cp);
	*cp = NULL;
}

struct instant
clock_now(const struct clock *c)
{
	return c->now;
}

static uint64_t
tick_of(struct instant t)
{
	return (uint64_t)t.ns >> TICK_SHIFT;	/* never negative here */
}

struct place {
	int level, slot;		/* level -1: among the due */
};

static struct place
place_of(const struct clock *c, struct instant at)
{
	uint64_t tick = tick_of(at);
	int level;

	if (tick <= c->position)
		return (struct place){ -1, 0 };
	level = (63 - __builtin_clzll(tick ^ c->position)) / DIGIT_BITS;
	return (struct place){ level,
		(int)(tick >> (level * DIGIT_BITS) & (SLOTS - 1)) };
}

static void
put(struct clock *c, struct timer *t)
{
	struct place p = place_of(c, t->at);

	if (p.level < 0) {
		list_insert_sorted(&c->due, t);
		return;
	}
	list_append(&c->slot[p.level][p.slot], t);
	c->used[p.level] |= UINT64_C(1) << p.slot;
}

void
clock_arm(struct clock *c, struct timer *t, struct instant at)
{
	assert(t->fire);
	clock_disarm(c, t);
	t->at = instant_before(at, c->now) ? c->now : at;
	put(c, t);
}

void
clock_disarm(struct clock *c, struct timer *t)
{
	struct place p;
	struct list *l;

	if (!t->link)
		return;
	p = place_of(c, t->at);
	if (p.level < 0) {
		list_remove(&c->due, t);
		return;
	}
	l = &c->slot[p.level][p.slot];
	list_remove(l, t);
	if (!l->first)
		c->used[p.level] &= ~(UINT64_C(1) << p.slot);
}

static struct timer *
merge(struct timer *a, struct timer *b)
{
	struct timer *first = NULL, **end = &first;

	while (a && b) {
		struct timer **sooner = instant_before(b->at, a->at) ? &b : &a;

		*end = *sooner;
		end = &(*sooner)->next;
		*sooner = (*sooner)->next;
	}
	*end = a ? a : b;
	return first;
}

/* Stable, bottom up: run[i] holds 2^i timers or none, the earlier armed in the
 * higher runs. */
static struct timer *
sort(struct timer *t)
{
	struct timer *run[48] = { NULL }, *sorted = NULL;
	size_t i;

	while (t) {
		struct timer *one = t;

		t = t->next;
		one->next = NULL;
		for (i = 0; run[i]; i++) {
			one = merge(run[i], one);
			run[i] = NULL;
		}
		run[i] = one;
	}
	for (i = 0; i < sizeof(run) / sizeof(run[0]); i++)
		sorted = merge(run[i], sorted);
	return sorted;
}

/* The slot's first tick has come: what is due in it is put in order, the rest
 * goes down to lower levels, which are empty now. So is the list of the due, or
 * time would not have come this far. */
static void
turn(struct clock *c, int level, int slot)
{
	struct list *l = &c->slot[level][slot], due;
	struct timer *t = l->first, *next;

	list_init(l);
	list_init(&due);
	c->used[level] &= ~(UINT64_C(1) << slot);
	for (; t; t = next) {
		next = t->next;
		if (place_of(c, t->at).level < 0)
			list_append(&due, t);
		else
			put(c, t);
	}
	for (t = sort(due.first); t; t = next) {
		next = t->next;
		list_append(&c->due, t);
	}
}

/* Go to the next slot that holds anything, if it begins by `limit`. */
static bool
turn_to_next(struct clock *c, uint64_t limit)
{
	for (int level = 0; level < LEVELS; level++) {
		int slot, shift = level * DIGIT_BITS;
		uint64_t start;

		if (!c->used[level])
			continue;
		slot = __builtin_ctzll(c->used[level]);
		start = c->position >> shift >> DIGIT_BITS << DIGIT_BITS;
		start = (start | (uint64_t)slot) << shift;
		if (start > limit)
			return false;
		c->position = start;
		turn(c, level, slot);
		return true;
	}
	return false;
}

static void
fire_due(struct clock *c, struct instant limit)
{
	while (c->due.first && !instant_before(limit, c->due.first->at)) {
		struct timer *t = c->due.first;

		list_remove(&c->due, t);
		if (instant_before(c->now, t->at))
			c->now = t->at;
		t->fire(t, c->now);
	}
}

/* Apart, so that it costs nothing to go by it. */
static __attribute__((noinline)) void
fire_until(struct clock *c, struct instant t)
{
	do
		fire_due(c, t);
	while (turn_to_next(c, tick_of(t)));
	fire_due(c, t);
	c->position = tick_of(t);
	c->now = t;
}

void
clock_advance(struct clock *c, struct instant t)
{
	if (instant_before(t, c->now))
		return;
	if (tick_of(t) == c->position &&
	    (!c->due.first || instant_before(t, c->due.first->at)))
		c->now = t;		/* nothing can be due */
	else
		fire_until(c, t);
}

static char *
write_digits(char *at, int64_t n, int digits)
{
	for (int i = digits - 1; i >= 0; i--, n /= 10)
		at[i] = (char)('0' + n % 10);
	return at + digits;
}

/* Days since 1970-01-01 to a date of the Gregorian calendar, counted in years
 * that begin in March, so that the leap day comes last. */
static char *
write_date(char *at, int64_t days)
{
	enum { TO_MARCH_0000 = 719468, DAYS_IN_400_YEARS = 146097 };
	int64_t era, day, year, month;

	days += TO_MARCH_0000;
	era = (days >= 0 ? days : days - DAYS_IN_400_YEARS + 1) /
	    DAYS_IN_400_YEARS;
	day = days - era * DAYS_IN_400_YEARS;
	year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5;
	month += month < 10 ? 3 : -9;
	year += era * 400 + (month <= 2);
	at = write_digits(at, year, 4);
	*at++ = '-';
	at = write_digits(at, month, 2);
	*at++ = '-';
	return write_digits(at, day + 1, 2);
}

static char *
write_time(char *at, int64_t second)
{
	at = write_digits(at, second / 3600, 2);
	*at++ = ':';
	at = write_digits(at, second / 60 % 60, 2);
	*at++ = ':';
	return write_digits(at, second % 60, 2);
}

/* Whole seconds, rounded down before 1970 too. */
static int64_t
whole_seconds(struct instant t)
{
	return t.ns / NS_PER_S - (t.ns % NS_PER_S < 0);
}

enum { SECONDS_A_DAY = 86400 };

static int64_t
day_of(int64_t second)
{
	return second / SECONDS_A_DAY - (second % SECONDS_A_DAY < 0);
}

/* 64 bits of nanoseconds reach from 1677 to 2262, so no year needs clamping. */
const char *
instant_text(struct instant t, char out[INSTANT_TEXT_BYTES])
{
	int64_t second = whole_seconds(t), day = day_of(second);
	char *at = write_date(out, day);

	*at++ = 'T';
	at = write_time(at, second - day * SECONDS_A_DAY);
	*at++ = '.';
	at = write_digits(at, (t.ns % NS_PER_S + NS_PER_S) % NS_PER_S /
	    NS_PER_US, 6);
	*at++ = 'Z';
	*at = '\0';
	return out;
}

const char *
instant_clock_text(struct instant t, char out[INSTANT_TEXT_BYTES])
{
	int64_t second = whole_seconds(t);

	second -= day_of(second) * SECONDS_A_DAY;
	*write_time(out, second) = '\0';
	return out;
}
