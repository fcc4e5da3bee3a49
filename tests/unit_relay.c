/* unit_relay.c - events shared by references, and the queue that delivers them:
 * order, limits, failing sinks, the end. */
#include "detectors/relay.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "capture/log.h"
#include "tests/unit.h"

enum { KEPT = 4096 };

struct sink {
	atomic_uint got;
	atomic_int failing;		/* deliveries still to fail */
	atomic_bool stuck;
	uint64_t number[KEPT];
};

static struct event *
made(uint64_t number)
{
	struct event model = { .number = number, .kind = EVENT_FINDING };

	return event_new(&model, strdup("{}"), 2);
}

static void
put(struct relay *r, uint64_t number)
{
	struct event *e = made(number);

	CHECK(e);
	relay_put(r, e);
	event_release(&e);
}

static size_t
deliver(void *context, struct event *const *batch, size_t count, char why[256])
{
	struct sink *s = context;

	while (atomic_load(&s->stuck))
		usleep(1000);
	if (atomic_load(&s->failing) > 0) {
		atomic_fetch_sub(&s->failing, 1);
		snprintf(why, 256, "not today");
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		s->number[atomic_fetch_add(&s->got, 1) % KEPT] =
		    batch[i]->number;
	return count;
}

static void
test_events_arrive_in_order(void **state)
{
	static const struct relay_kind kind = { .name = "test",
		.deliver = deliver, .batch = 7 };
	struct sink sink = { 0 };
	struct relay *r = relay_new(&kind, &sink);

	(void)state;
	CHECK(r);
	for (uint64_t i = 1; i <= 1000; i++)
		put(r, i);
	relay_close(&r, 10000);
	CHECK(!r);
	CHECK_EQ(sink.got, 1000);
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(sink.number[i], i + 1);
}

static void
test_a_stuck_sink_loses_the_oldest_and_delays_nobody(void **state)
{
	static const struct relay_kind kind = { .name = "test",
		.deliver = deliver, .limit = 10, .batch = 1 };
	struct sink sink = { .stuck = true };
	struct relay *r = relay_new(&kind, &sink);
	struct relay_stats stats;

	(void)state;
	CHECK(r);
	put(r, 1);
	usleep(50000);			/* in the sink's hands by now */
	for (uint64_t i = 2; i <= 101; i++)
		put(r, i);
	relay_stats(r, &stats);
	CHECK_EQ(stats.waiting, 10);
	CHECK_EQ(stats.dropped, 91);
	atomic_store(&sink.stuck, false);
	relay_close(&r, 10000);
	CHECK_EQ(sink.got, 11);
	CHECK_EQ(sink.number[0], 1);
	CHECK_EQ(sink.number[1], 92);
	CHECK_EQ(sink.number[10], 101);
}

static void
test_large_events_bound_a_queue_too(void **state)
{
	static const struct relay_kind kind = { .name = "test",
		.deliver = deliver, .limit = 1000, .batch = 1,
		.limit_bytes = 8 * sizeof(struct event) };
	struct sink sink = { .stuck = true };
	struct relay *r = relay_new(&kind, &sink);
	struct relay_stats stats;

	(void)state;
	CHECK(r);
	for (uint64_t i = 1; i <= 100; i++)
		put(r, i);
	relay_stats(r, &stats);
	CHECK_EQ(stats.waiting, 7);	/* their records take room, too */
	CHECK_EQ(stats.dropped, 93);
	atomic_store(&sink.stuck, false);
	relay_close(&r, 10000);
	CHECK_EQ(sink.number[sink.got - 1], 100);
}

static void
test_what_was_delivered_is_not_counted_as_dropped(void **state)
{
	static const struct relay_kind kind = { .name = "test",
		.deliver = deliver, .limit = 4, .batch = 4 };
	struct sink sink = { .stuck = true };
	struct relay *r = relay_new(&kind, &sink);
	struct relay_stats stats = { 0 };

	(void)state;
	CHECK(r);
	put(r, 1);
	usleep(50000);
	for (uint64_t i = 2; i <= 6; i++)
		put(r, i);
	atomic_store(&sink.stuck, false);
	for (int i = 0; i < 1000 && stats.waiting + (stats.delivered < 5); i++) {
		usleep(5000);
		relay_stats(r, &stats);
	}
	CHECK_EQ(stats.delivered, 5);	/* 1, and 3 to 6 */
	CHECK_EQ(stats.dropped, 1);
	relay_close(&r, 1000);
}

static void
test_a_failed_delivery_is_tried_again(void **state)
{
	static const struct relay_kind kind = { .name = "test",
		.deliver = deliver };
	struct sink sink = { .failing = 1 };
	struct relay *r = relay_new(&kind, &sink);
	struct relay_stats stats = { 0 };

	(void)state;
	log_set_verbose(-1);
	CHECK(r);
	put(r, 1);
	put(r, 2);
	for (int i = 0; i < 1000 && stats.delivered < 2; i++) {
		usleep(10000);
		relay_stats(r, &stats);
	}
	CHECK_EQ(stats.delivered, 2);
	CHECK_EQ(stats.failures, 1);
	CHECK(!stats.failing);
	CHECK_EQ(sink.number[0], 1);
	relay_close(&r, 1000);
}

static void
test_a_sink_that_never_works_does_not_hold_up_the_end(void **state)
{
	static const struct relay_kind kind = { .name = "test",
		.deliver = deliver };
	struct sink sink = { .failing = 1000000 };
	struct relay *r = relay_new(&kind, &sink);

	(void)state;
	log_set_verbose(-1);
	CHECK(r);
	put(r, 1);
	usleep(20000);
	relay_close(&r, 60000);		/* a test that hangs fails */
	CHECK_EQ(sink.got, 0);
}

UNIT_TESTS(
    cmocka_unit_test(test_events_arrive_in_order),
    cmocka_unit_test(test_a_stuck_sink_loses_the_oldest_and_delays_nobody),
    cmocka_unit_test(test_large_events_bound_a_queue_too),
    cmocka_unit_test(test_what_was_delivered_is_not_counted_as_dropped),
    cmocka_unit_test(test_a_failed_delivery_is_tried_again),
    cmocka_unit_test(test_a_sink_that_never_works_does_not_hold_up_the_end),
)
