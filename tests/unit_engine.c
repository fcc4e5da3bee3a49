/* unit_engine.c - time, as captures give it: steps back, stray stamps, floods
 * within a second. */
#include "capture/engine.h"
#include "tests/unit.h"

enum { FRAME_BYTES = 54 };

struct watcher {
	struct engine *e;
	struct instant time[64];	/* of the segments, as they came */
	uint64_t frame[64];
	unsigned count;
	unsigned steps;
	size_t most_ended;
	uint64_t number;
};

static void
on_segment(void *context, struct flow *f, const struct segment *s)
{
	struct watcher *w = context;

	(void)f;
	if (w->count == 64)
		return;
	w->time[w->count] = s->packet->time;
	w->frame[w->count++] = s->packet->frame;
}

static void
on_step(void *context, struct engine *e, struct instant now)
{
	struct watcher *w = context;
	struct flow *const *flows;
	size_t ended = 0, count;

	(void)now;
	flows = engine_touched_flows(e, &count);
	for (size_t i = 0; i < count; i++)
		ended += (flows[i]->flags & FLOW_ENDED) != 0;
	if (ended > w->most_ended)
		w->most_ended = ended;
	w->steps++;
}

static void
begin(struct watcher *w, size_t flows)
{
	struct engine_config c = { .flow_limit = flows };
	struct engine_observer o = { .context = w, .on_segment = on_segment,
		.on_step = on_step };

	memset(w, 0, sizeof(*w));
	w->e = engine_new(&c, &o);
	if (!w->e)
		abort();
}

/* A SYN from 10.0.0.1 with this port and number. */
static void
transmit(struct watcher *w, int64_t ns, uint32_t source, uint32_t seq)
{
	uint8_t d[FRAME_BYTES] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, IP_TCP, 0, 0,
		(uint8_t)(source >> 24), (uint8_t)(source >> 16),
		(uint8_t)(source >> 8), (uint8_t)source, 10, 0, 0, 9,
		4, 1, 1, 0xbd, (uint8_t)(seq >> 24), (uint8_t)(seq >> 16),
		(uint8_t)(seq >> 8), (uint8_t)seq, 0, 0, 0, 0, 0x50, TCP_SYN,
		0x20, 0 };
	struct frame fr = { .time = { ns }, .number = ++w->number,
		.link_type = 1, .captured_bytes = sizeof(d),
		.wire_bytes = sizeof(d), .data = d };

	engine_frame(w->e, &fr);
}

static void
at_s(struct watcher *w, int64_t s)
{
	transmit(w, s * NS_PER_S, 0x0a000001, (uint32_t)w->number);
}

static void
test_one_stray_stamp_does_not_move_time(void **state)
{
	struct watcher w;

	(void)state;
	begin(&w, 100);
	at_s(&w, 1000);
	at_s(&w, 1000 + 3 * 3600);
	at_s(&w, 1001);
	engine_finish(w.e);
	CHECK_EQ(w.count, 3);
	CHECK_EQ(w.time[1].ns, 1000 * NS_PER_S);
	CHECK_EQ(w.time[2].ns, 1001 * NS_PER_S);
	CHECK_EQ(engine_stats(w.e)->last.ns, 1001 * NS_PER_S);
	engine_free(&w.e);
}

static void
test_a_pause_keeps_the_times_of_its_end(void **state)
{
	struct watcher w;

	(void)state;
	begin(&w, 100);
	at_s(&w, 1000);
	at_s(&w, 1000 + 3600);
	at_s(&w, 1000 + 7200);
	engine_finish(w.e);
	CHECK_EQ(w.count, 3);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(w.time[i].ns, (1000 + 3600 * (int64_t)i) * NS_PER_S);
		CHECK_EQ(w.frame[i], i + 1);
	}
	engine_free(&w.e);
}

static void
test_absurd_stamps_neither_overflow_nor_run_back(void **state)
{
	static const int64_t stamps[] = { INT64_MAX, INT64_MAX, 0, INT64_MIN,
		1000 * NS_PER_S, INT64_MAX, INT64_MAX - 5, -1, 4000000000 *
		NS_PER_S, 4000000001 * NS_PER_S, 5, INT64_MAX, INT64_MAX };
	struct watcher w;

	(void)state;
	begin(&w, 100);
	for (unsigned round = 0; round < 4; round++)
		for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++)
			transmit(&w, stamps[i], 0x0a000001, (uint32_t)w.number);
	engine_finish(w.e);
	CHECK_EQ(w.count, 52);
	for (unsigned i = 1; i < w.count; i++)
		CHECK(!instant_before(w.time[i], w.time[i - 1]));
	engine_free(&w.e);
}

static void
test_a_clock_set_back_goes_on_from_where_it_was(void **state)
{
	struct watcher w;

	(void)state;
	begin(&w, 100);
	at_s(&w, 1000);
	at_s(&w, 400);
	at_s(&w, 401);
	engine_finish(w.e);
	CHECK_EQ(w.time[1].ns, 1000 * NS_PER_S);
	CHECK_EQ(w.time[2].ns, 1001 * NS_PER_S);
	engine_free(&w.e);
}

/* Live: nobody sends, and the time that passes is told. */
static void
test_nor_does_it_stand_still_while_nobody_sends(void **state)
{
	struct watcher w;
	unsigned steps;

	(void)state;
	begin(&w, 100);
	at_s(&w, 1000);
	at_s(&w, 1001);
	steps = w.steps;
	engine_idle(w.e, (struct instant){ 1000500 * NS_PER_MS });
	CHECK_EQ(w.steps, steps);	/* it lags: no more than that */
	engine_idle(w.e, (struct instant){ 400 * NS_PER_S });
	engine_idle(w.e, (struct instant){ 405 * NS_PER_S });
	CHECK(w.steps >= steps + 4);
	at_s(&w, 406);
	engine_finish(w.e);
	CHECK_EQ(w.time[2].ns, 1007 * NS_PER_S);
	engine_free(&w.e);
}

/* 600,000 forged sources within one millisecond and a table of 1,000 flows. */
static void
test_a_flood_within_a_second_is_buried_as_it_goes(void **state)
{
	struct watcher w;
	struct flow_stats s;

	(void)state;
	begin(&w, 1000);
	for (uint32_t i = 0; i < 600000; i++)
		transmit(&w, 1000 * NS_PER_S + i, 0x0b000000 + i, i);
	CHECK(w.steps >= 2);
	engine_finish(w.e);
	engine_flow_stats(w.e, &s);
	CHECK(w.most_ended < 300000);
	CHECK_EQ(s.created, 600000);
	CHECK_EQ(s.peak, 1000);
	engine_free(&w.e);
}

/* Each flow's SYN and the same again, over more frames than are looked at ahead:
 * the first of a batch makes the flow that the next is for. */
static void
test_frames_together_give_the_same_as_one_by_one(void **state)
{
	enum { FRAMES = 40 };
	static uint8_t d[FRAMES][FRAME_BYTES];
	struct frame fr[FRAMES];
	struct flow_stats s;
	struct watcher w;

	(void)state;
	for (unsigned i = 0; i < FRAMES; i++) {
		static const uint8_t syn[FRAME_BYTES] = { 2, 0, 0, 0, 0, 1, 2, 0,
			0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40, 0, 1, 0x40, 0, 64,
			IP_TCP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 9, 4, 1, 1, 0xbd,
			0, 0, 0, 0, 0, 0, 0, 0, 0x50, TCP_SYN, 0x20, 0 };

		memcpy(d[i], syn, sizeof(syn));
		d[i][18] = (uint8_t)i;			/* IP ID: no copy */
		d[i][35] = (uint8_t)(i / 2);		/* port */
		fr[i] = (struct frame){ .time = { NS_PER_S + i * 1000 },
			.number = i + 1, .link_type = 1, .data = d[i],
			.captured_bytes = FRAME_BYTES, .wire_bytes = FRAME_BYTES };
	}
	begin(&w, 1000);
	engine_frames(w.e, fr, FRAMES);
	engine_flow_stats(w.e, &s);
	CHECK_EQ(s.created, FRAMES / 2);
	CHECK_EQ(w.count, FRAMES);
	for (unsigned i = 0; i < FRAMES; i++) {
		CHECK_EQ(w.frame[i], i + 1);
		CHECK_EQ(w.time[i].ns, NS_PER_S + i * 1000);
	}
	engine_free(&w.e);
}

UNIT_TESTS(
    cmocka_unit_test(test_one_stray_stamp_does_not_move_time),
    cmocka_unit_test(test_a_pause_keeps_the_times_of_its_end),
    cmocka_unit_test(test_absurd_stamps_neither_overflow_nor_run_back),
    cmocka_unit_test(test_a_clock_set_back_goes_on_from_where_it_was),
    cmocka_unit_test(test_nor_does_it_stand_still_while_nobody_sends),
    cmocka_unit_test(test_a_flood_within_a_second_is_buried_as_it_goes),
    cmocka_unit_test(test_frames_together_give_the_same_as_one_by_one),
)
