/* unit_clock.c - trace time, its text, and the timer wheel against a model. */
#include "capture/clock.h"

#include <stdio.h>

#include "tests/unit.h"

enum { LOG_MAX = 4096 };

static struct {
	int id[LOG_MAX];
	int64_t at[LOG_MAX];
	size_t count;
} fired;

struct alarm {
	struct timer timer;	/* first, so that a timer is its alarm */
	int id;
	struct clock *clock;
	int64_t again_after_ns;	/* arms itself so much later, if not 0 */
	struct alarm *silences;
};

static void
ring(struct timer *t, struct instant now)
{
	struct alarm *a = (struct alarm *)t;

	if (fired.count == LOG_MAX)
		abort();
	fired.id[fired.count] = a->id;
	fired.at[fired.count++] = now.ns;
	if (a->again_after_ns)
		clock_arm(a->clock, t, instant_plus(now, a->again_after_ns));
	if (a->silences)
		clock_disarm(a->clock, &a->silences->timer);
}

static struct instant
ns(int64_t n)
{
	return (struct instant){ n };
}

static struct alarm
alarm_of(int id, struct clock *c)
{
	return (struct alarm){ .timer = { .fire = ring }, .id = id, .clock = c };
}

static void
test_timers_fire_in_the_order_of_their_deadlines(void **state)
{
	struct clock *c = clock_new();
	struct alarm a[4];
	static const int64_t at[4] = { 7200 * NS_PER_S, 5, 70 * NS_PER_MS, 4 };
	static const int order[4] = { 3, 1, 2, 0 };

	(void)state;
	fired.count = 0;
	for (int i = 0; i < 4; i++) {
		a[i] = alarm_of(i, c);
		clock_arm(c, &a[i].timer, ns(at[i]));
		CHECK(timer_is_armed(&a[i].timer));
	}
	clock_advance(c, ns(7200 * NS_PER_S));
	CHECK_EQ(fired.count, 4);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(fired.id[i], order[i]);
		CHECK(fired.at[i] == at[order[i]]);
		CHECK(!timer_is_armed(&a[i].timer));
	}
	clock_free(&c);
	CHECK(c == NULL);
}

static void
test_equal_deadlines_fire_in_arming_order(void **state)
{
	struct clock *c = clock_new();
	struct alarm a[40];

	(void)state;
	fired.count = 0;
	for (int i = 0; i < 40; i++)
		a[i] = alarm_of(i, c);
	/* Far away, so that they go down through the levels. */
	for (int i = 0; i < 20; i++)
		clock_arm(c, &a[i].timer, ns(INT64_C(5000) * NS_PER_S));
	clock_advance(c, ns(INT64_C(4999) * NS_PER_S));
	for (int i = 20; i < 40; i++)
		clock_arm(c, &a[i].timer, ns(INT64_C(5000) * NS_PER_S));
	clock_advance(c, ns(INT64_C(5001) * NS_PER_S));
	CHECK_EQ(fired.count, 40);
	for (int i = 0; i < 40; i++)
		CHECK_EQ(fired.id[i], i);
	clock_free(&c);
}

static void
test_a_timer_is_due_at_its_deadline_and_not_before(void **state)
{
	struct clock *c = clock_new();
	struct alarm a = alarm_of(1, c);

	(void)state;
	fired.count = 0;
	clock_arm(c, &a.timer, ns(1000));
	clock_advance(c, ns(999));
	CHECK_EQ(fired.count, 0);
	clock_advance(c, ns(1000));
	CHECK_EQ(fired.count, 1);
	clock_free(&c);
}

static void
test_time_never_runs_backwards(void **state)
{
	struct clock *c = clock_new();
	struct alarm a = alarm_of(1, c);

	(void)state;
	fired.count = 0;
	CHECK_EQ(clock_now(c).ns, 0);
	clock_advance(c, ns(1000));
	clock_advance(c, ns(500));
	CHECK_EQ(clock_now(c).ns, 1000);
	clock_arm(c, &a.timer, ns(600));	/* past: taken as now */
	clock_advance(c, ns(900));
	CHECK_EQ(fired.count, 0);
	clock_advance(c, ns(1000));
	CHECK_EQ(fired.count, 1);
	CHECK_EQ(fired.at[0], 1000);
	clock_free(&c);
}

static void
test_a_timer_moved_fires_once_where_it_went(void **state)
{
	struct clock *c = clock_new();
	struct alarm a = alarm_of(1, c);

	(void)state;
	fired.count = 0;
	clock_arm(c, &a.timer, ns(NS_PER_S));
	clock_arm(c, &a.timer, ns(3 * NS_PER_S));
	clock_advance(c, ns(2 * NS_PER_S));
	CHECK_EQ(fired.count, 0);
	clock_advance(c, ns(4 * NS_PER_S));
	CHECK_EQ(fired.count, 1);
	CHECK(fired.at[0] == 3 * NS_PER_S);
	clock_disarm(c, &a.timer);		/* not armed: nothing */
	clock_free(&c);
}

static void
test_a_timer_may_arm_itself_and_disarm_others(void **state)
{
	struct clock *c = clock_new();
	struct alarm a = alarm_of(1, c), b = alarm_of(2, c);

	(void)state;
	fired.count = 0;
	a.again_after_ns = NS_PER_S;
	a.silences = &b;
	clock_arm(c, &a.timer, ns(NS_PER_S));
	clock_arm(c, &b.timer, ns(NS_PER_S));	/* behind a, in the same list */
	clock_advance(c, ns(5 * NS_PER_S));
	CHECK_EQ(fired.count, 5);
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(fired.id[i], 1);
		CHECK(fired.at[i] == (i + 1) * NS_PER_S);
	}
	CHECK(timer_is_armed(&a.timer));
	CHECK(!timer_is_armed(&b.timer));
	clock_free(&c);
}

static uint32_t
next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Deadlines of every size, from nanoseconds to days. */
static int64_t
random_delay(uint32_t *seed)
{
	unsigned shift = next_random(seed) % 48;

	return (int64_t)((uint64_t)next_random(seed) << 16 >> (48 - shift));
}

/* The plain way: look for the earliest of all, first armed first. */
enum { MODEL_TIMERS = 64 };

static struct {
	bool armed;
	int64_t at;
	unsigned sequence;
} model[MODEL_TIMERS];

static int
model_next(int64_t limit)
{
	int best = -1;

	for (int i = 0; i < MODEL_TIMERS; i++) {
		if (!model[i].armed || model[i].at > limit)
			continue;
		if (best < 0 || model[i].at < model[best].at ||
		    (model[i].at == model[best].at &&
		    model[i].sequence < model[best].sequence))
			best = i;
	}
	return best;
}

static void
test_the_wheel_does_what_a_plain_list_would(void **state)
{
	struct clock *c = clock_new();
	struct alarm a[MODEL_TIMERS];
	int64_t now = INT64_C(1200000000) * NS_PER_S;
	uint32_t seed = 1;
	int id;

	(void)state;
	for (int i = 0; i < MODEL_TIMERS; i++)
		a[i] = alarm_of(i, c);
	clock_advance(c, ns(now));
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = next_random(&seed) % MODEL_TIMERS;
		int64_t at = now + random_delay(&seed);

		if (next_random(&seed) % 4 == 0)
			at = at >> 27 << 27;	/* equal ones, slot borders */
		if (next_random(&seed) % 8 == 0) {
			clock_disarm(c, &a[i].timer);
			model[i].armed = false;
		} else {
			clock_arm(c, &a[i].timer, ns(at));
			model[i].armed = true;
			model[i].at = at < now ? now : at;
			model[i].sequence = step;
		}
		if (next_random(&seed) % 4)
			continue;
		now += random_delay(&seed);
		fired.count = 0;
		clock_advance(c, ns(now));
		CHECK(clock_now(c).ns == now);
		for (size_t n = 0; n < fired.count; n++) {
			id = model_next(now);
			CHECK(id >= 0);
			CHECK_EQ(fired.id[n], id);
			CHECK(fired.at[n] == model[id].at);
			model[id].armed = false;
		}
		CHECK_EQ(model_next(now), -1);
	}
	clock_free(&c);
}

static void
test_the_last_instant_there_is_can_be_reached(void **state)
{
	struct clock *c = clock_new();
	struct alarm a = alarm_of(1, c);

	(void)state;
	fired.count = 0;
	clock_arm(c, &a.timer, ns(INT64_MAX));
	clock_advance(c, ns(INT64_MAX - 1));
	CHECK_EQ(fired.count, 0);
	clock_advance(c, ns(INT64_MAX));
	CHECK_EQ(fired.count, 1);
	clock_free(&c);
}

static void
check_text(int64_t n, const char *want)
{
	char text[INSTANT_TEXT_BYTES];

	CHECK_STR(instant_text(ns(n), text), want);
	CHECK(strlen(text) < INSTANT_TEXT_BYTES);
}

static void
test_instants_are_printed_in_utc(void **state)
{
	(void)state;
	check_text(0, "1970-01-01T00:00:00.000000Z");
	check_text(INT64_C(1197827965798159999), "2007-12-16T17:59:25.798159Z");
	check_text(INT64_C(951782400) * NS_PER_S, "2000-02-29T00:00:00.000000Z");
	check_text(INT64_C(4107542400) * NS_PER_S, "2100-03-01T00:00:00.000000Z");
	check_text(INT64_C(1704067199) * NS_PER_S, "2023-12-31T23:59:59.000000Z");
	check_text(INT64_C(4294967295) * NS_PER_S, "2106-02-07T06:28:15.000000Z");
}

static void
test_any_instant_can_be_printed(void **state)
{
	(void)state;
	check_text(-1, "1969-12-31T23:59:59.999999Z");
	check_text(-NS_PER_S, "1969-12-31T23:59:59.000000Z");
	check_text(INT64_MAX, "2262-04-11T23:47:16.854775Z");
	check_text(INT64_MIN, "1677-09-21T00:12:43.145224Z");
}

static void
test_the_time_of_day_stands_alone(void **state)
{
	char text[INSTANT_TEXT_BYTES];

	(void)state;
	CHECK_STR(instant_clock_text(ns(INT64_C(1197827965798159000)), text),
	    "17:59:25");
	CHECK_STR(instant_clock_text(ns(-1), text), "23:59:59");
}

UNIT_TESTS(
    cmocka_unit_test(test_timers_fire_in_the_order_of_their_deadlines),
    cmocka_unit_test(test_equal_deadlines_fire_in_arming_order),
    cmocka_unit_test(test_a_timer_is_due_at_its_deadline_and_not_before),
    cmocka_unit_test(test_time_never_runs_backwards),
    cmocka_unit_test(test_a_timer_moved_fires_once_where_it_went),
    cmocka_unit_test(test_a_timer_may_arm_itself_and_disarm_others),
    cmocka_unit_test(test_the_wheel_does_what_a_plain_list_would),
    cmocka_unit_test(test_the_last_instant_there_is_can_be_reached),
    cmocka_unit_test(test_instants_are_printed_in_utc),
    cmocka_unit_test(test_any_instant_can_be_printed),
    cmocka_unit_test(test_the_time_of_day_stands_alone),
)
