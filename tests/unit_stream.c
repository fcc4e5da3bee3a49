/* What the joining of segments promises. The parsers are played here: what
 * they are shown is written down. */
#include <stdbool.h>

#include "capture/stream.h"
#include "tests/unit.h"

enum { SEEN_BYTES = 1 << 19 };

/* The part of the parsers. */
static struct {
	uint8_t seen[SEEN_BYTES];	/* bytes used, in order */
	size_t seen_count;
	size_t shown;			/* in the last call */
	uint32_t end_seq;
	uint64_t first_frame;
	size_t gap_bytes, gaps;
	unsigned missed;
	uint32_t missed_bytes;
	bool cut;
	size_t message;		/* bytes are used by so many at once; 0: all */
	size_t header;		/* of a message are shown, the rest is skipped */
	const uint8_t *at;	/* where the bytes lay */
	bool stop, stopped;
	unsigned calls, empty_calls;
} part;

bool
app_wants(const struct flow *f, enum side side)
{
	(void)f;
	(void)side;
	return !part.stopped;
}

size_t
app_stream_bytes(struct app_context *c, struct bytes b, bool *named)
{
	size_t used = b.left;

	*named = false;
	part.calls++;
	part.empty_calls += !b.left;
	part.shown = b.left;
	part.end_seq = c->end_seq;
	part.first_frame = c->first_frame;
	part.at = b.at;
	if (part.stop) {
		part.stopped = true;
		return APP_STOP;
	}
	if (part.message)
		used -= used % part.message;
	if (part.header)
		used = b.left < part.header ? 0 : part.header;
	if (used) {
		assert_true(part.seen_count + used <= SEEN_BYTES);
		memcpy(part.seen + part.seen_count, b.at, used);
	}
	part.seen_count += used;
	if (part.header && used)
		return part.message;
	return used;
}

bool
app_stream_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	part.cut = c->cut;
	part.gaps++;
	part.gap_bytes += held.left + n;
	return true;
}

void
app_stream_missed(struct app_context *c, uint32_t n)
{
	(void)c;
	part.missed++;
	part.missed_bytes = n;
}

struct scene {
	struct stream_pool *streams;
	struct flow flow;
	struct app_half half[2];
	uint64_t frame;
	uint8_t data[SEEN_BYTES];
};

static struct scene *
scene_new(size_t limit)
{
	struct scene *s = calloc(1, sizeof(*s));
	uint32_t x = 2463534242;

	if (!s)
		abort();
	memset(&part, 0, sizeof(part));
	s->streams = stream_pool_new(limit);
	s->flow.protocol = IP_TCP;
	unit_noise(s->data, sizeof(s->data), &x);
	return s;
}

static void
scene_free(struct scene *s)
{
	stream_release(s->streams, &s->flow);
	stream_pool_free(&s->streams);
	free(s);
}

static const uint32_t start_seq = 0xfffffe00u;	/* wraps soon */

static struct app_context
scene_context(struct scene *s, enum side side)
{
	s->frame++;
	return (struct app_context){ .flow = &s->flow, .half = s->half, .side = side,
		.now.ns = (int64_t)s->frame * NS_PER_MS, .frame = s->frame };
}

static void
segment(struct scene *s, uint32_t offset, uint32_t n)
{
	struct app_context c = scene_context(s, CLIENT);
	uint8_t *exact = unit_exact(s->data + offset, n);

	stream_segment(s->streams, &c, start_seq + offset, bytes_of(exact, n), n,
	    true, start_seq);
	free(exact);
}

static void
cut_segment(struct scene *s, uint32_t offset, uint32_t captured, uint32_t n)
{
	struct app_context c = scene_context(s, CLIENT);

	stream_segment(s->streams, &c, start_seq + offset,
	    bytes_of(s->data + offset, captured), n, true, start_seq);
}

static void
acked(struct scene *s, uint32_t offset)
{
	struct app_context c = scene_context(s, SERVER);

	stream_acked(s->streams, &c, start_seq + offset);
}

static void
check_seen(const struct scene *s, size_t n)
{
	CHECK_EQ(part.seen_count, n);
	CHECK_MEM(part.seen, s->data, n);
}

static size_t
memory(const struct scene *s)
{
	struct stream_stats stats;

	stream_pool_stats(s->streams, &stats);
	return stats.buffered_now;
}

static void
test_a_segment_in_order_is_shown_where_it_lies(void **state)
{
	struct scene *s = scene_new(1 << 20);
	struct app_context c = scene_context(s, CLIENT);

	(void)state;
	stream_segment(s->streams, &c, start_seq, bytes_of(s->data, 100), 100,
	    true, start_seq);
	check_seen(s, 100);
	CHECK(part.at == s->data);
	CHECK_EQ(part.end_seq, start_seq + 100);
	CHECK_EQ(memory(s), 0);
	scene_free(s);
}

static size_t
streams(const struct scene *s)
{
	struct stream_stats stats;

	stream_pool_stats(s->streams, &stats);
	return stats.streams_now;
}

static void
test_a_stream_at_rest_takes_no_memory_and_knows_where_it_is(void **state)
{
	struct scene *s = scene_new(1 << 20);

	(void)state;
	for (uint32_t at = 0; at < 700; at += 100) {	/* across the wrap */
		segment(s, at, 100);
		acked(s, at + 100);
		CHECK_EQ(streams(s), 0);
	}
	CHECK_EQ(stream_owes(&s->flow, CLIENT), 0);
	segment(s, 600, 100);			/* again */
	segment(s, 800, 100);			/* after a hole */
	CHECK_EQ(streams(s), 1);
	check_seen(s, 700);
	acked(s, 900);
	CHECK_EQ(part.gap_bytes, 100);
	CHECK_EQ(part.seen_count, 800);
	segment(s, 900, 100);
	CHECK_EQ(streams(s), 0);
	acked(s, 1020);
	CHECK_EQ(part.missed_bytes, 20);
	acked(s, 1010);				/* an old one: still missed */
	CHECK_EQ(part.missed, 2);
	scene_free(s);
}

static void
test_what_is_not_used_is_shown_again_with_more(void **state)
{
	struct scene *s = scene_new(1 << 20);

	(void)state;
	part.message = 1000;
	segment(s, 0, 600);
	check_seen(s, 0);
	segment(s, 600, 600);
	check_seen(s, 1000);
	CHECK_EQ(part.shown, 1200);
	CHECK_EQ(part.first_frame, 1);	/* the first of these bytes came then */
	CHECK_EQ(part.end_seq, start_seq + 1200);
	segment(s, 1200, 800);
	check_seen(s, 2000);
	CHECK_EQ(part.first_frame, 2);
	CHECK_EQ(memory(s), 0);
	scene_free(s);
}

static void
test_early_segments_wait_for_the_hole_to_fill(void **state)
{
	struct scene *s = scene_new(1 << 20);

	(void)state;
	segment(s, 0, 100);
	segment(s, 300, 100);
	segment(s, 200, 100);
	segment(s, 500, 100);
	check_seen(s, 100);
	segment(s, 100, 100);
	check_seen(s, 400);
	segment(s, 400, 100);
	check_seen(s, 600);
	CHECK_EQ(part.gaps, 0);
	CHECK_EQ(memory(s), 0);
	scene_free(s);
}

static void
test_bytes_before_the_first_segment_seen_are_awaited(void **state)
{
	struct scene *s = scene_new(1 << 20);

	(void)state;
	segment(s, 100, 100);		/* the SYN said where it begins */
	check_seen(s, 0);
	segment(s, 0, 100);
	check_seen(s, 200);
	scene_free(s);
}

static void
test_the_first_copy_of_a_byte_wins(void **state)
{
	struct scene *s = scene_new(1 << 20);
	struct app_context c;
	uint8_t other[300];

	(void)state;
	memset(other, 0, sizeof(other));
	segment(s, 100, 100);		/* early */
	c = scene_context(s, CLIENT);
	stream_segment(s->streams, &c, start_seq + 150,
	    bytes_of(other, 50), 50, true, start_seq);
	c = scene_context(s, CLIENT);	/* in order, over the early ones */
	memcpy(other, s->data, 100);
	memcpy(other + 200, s->data + 200, 100);
	stream_segment(s->streams, &c, start_seq, bytes_of(other, 300), 300,
	    true, start_seq);
	check_seen(s, 300);
	segment(s, 0, 300);		/* all of it again */
	check_seen(s, 300);
	scene_free(s);
}

static void
test_an_acknowledged_hole_is_a_gap(void **state)
{
	struct scene *s = scene_new(1 << 20);

	(void)state;
	segment(s, 0, 100);
	segment(s, 200, 100);
	acked(s, 100);
	CHECK_EQ(part.gaps, 0);
	acked(s, 300);
	CHECK_EQ(part.gaps, 1);
	CHECK_EQ(part.gap_bytes, 100);
	CHECK_EQ(part.seen_count, 200);
	segment(s, 100, 100);		/* too late */
	CHECK_EQ(part.seen_count, 200);
	segment(s, 400, 100);		/* the hole before it was acknowledged */
	acked(s, 500);
	CHECK_EQ(part.gaps, 2);
	CHECK_EQ(memory(s), 0);
	scene_free(s);
}

/* The sniffer missed them, or they come late: they may have been an answer. */
static void
test_bytes_acknowledged_before_they_are_seen_are_missed(void **state)
{
	struct scene *s = scene_new(1 << 20);
	struct app_context c;

	(void)state;
	segment(s, 0, 100);
	acked(s, 100);
	CHECK_EQ(part.missed, 0);
	acked(s, 200);
	CHECK_EQ(part.missed, 1);
	CHECK_EQ(part.missed_bytes, 100);
	CHECK_EQ(part.gaps, 0);
	segment(s, 100, 100);		/* late, and in order all the same */
	check_seen(s, 200);
	s->half[CLIENT].flags |= HALF_FIN;
	acked(s, 201);			/* its FIN is no byte */
	CHECK_EQ(part.missed, 1);
	/* The server's first bytes, of which we have none. */
	s->half[SERVER].flags |= HALF_SYN;
	s->half[SERVER].isn = 4999;
	stream_release(s->streams, &s->flow);
	segment(s, 0, 10);
	c = scene_context(s, CLIENT);
	stream_acked(s->streams, &c, 5000);
	CHECK_EQ(part.missed, 1);
	stream_acked(s->streams, &c, 5001);
	CHECK_EQ(part.missed, 2);
	scene_free(s);
}

static void
test_bytes_the_snap_length_cut_are_a_gap(void **state)
{
	struct scene *s = scene_new(1 << 20);

	(void)state;
	cut_segment(s, 0, 60, 100);
	CHECK_EQ(part.seen_count, 60);
	CHECK_EQ(part.gap_bytes, 40);
	CHECK(part.cut);
	cut_segment(s, 200, 60, 100);	/* early */
	cut_segment(s, 100, 60, 100);
	CHECK_EQ(part.seen_count, 180);
	CHECK_EQ(part.gaps, 3);
	CHECK_EQ(part.gap_bytes, 120);
	scene_free(s);
}

static void
test_a_skipped_body_is_neither_kept_nor_awaited(void **state)
{
	struct scene *s = scene_new(1 << 20);

	(void)state;
	part.header = 10;
	part.message = 100000;
	segment(s, 0, 1000);
	CHECK_EQ(part.seen_count, 10);
	for (uint32_t i = 1; i < 99; i++)
		if (i % 10)		/* holes within it are no matter */
			segment(s, i * 1000, 1000);
	CHECK_EQ(memory(s), 0);
	CHECK_EQ(part.calls, 1);
	segment(s, 99000, 1000);
	CHECK_EQ(part.empty_calls, 1);	/* its end is told at once */
	segment(s, 100000, 500);
	CHECK_EQ(part.seen_count, 20);
	CHECK_MEM(part.seen + 10, s->data + 100000, 10);
	CHECK_EQ(part.gaps, 0);
	scene_free(s);
}

static void
test_a_hole_across_the_end_of_a_skip_is_awaited(void **state)
{
	struct scene *s = scene_new(1 << 20);

	(void)state;
	part.header = 10;
	part.message = 1000;
	segment(s, 0, 500);
	segment(s, 1500, 500);
	segment(s, 800, 700);
	CHECK_EQ(part.seen_count, 20);
	CHECK_MEM(part.seen + 10, s->data + 1000, 10);
	CHECK_EQ(part.gaps, 0);
	scene_free(s);
}

static void
test_no_more_is_kept_than_the_limits_allow(void **state)
{
	struct scene *s = scene_new(1 << 24);
	struct stream_stats stats;

	(void)state;
	segment(s, 0, 100);
	for (uint32_t i = 1; i < 500; i++)
		segment(s, i * 1000, 900);	/* a hole before each */
	stream_pool_stats(s->streams, &stats);
	CHECK(stats.buffered_peak <= 2 * STREAM_EARLY_BYTES + 4096);
	CHECK(part.gaps > 0);
	scene_free(s);
}

static void
test_when_all_memory_is_taken_bytes_are_given_up(void **state)
{
	struct scene *s = scene_new(16384);
	struct stream_stats stats;

	(void)state;
	part.message = 50000;
	for (uint32_t i = 0; i < 40; i++)
		segment(s, i * 1000, 1000);
	stream_pool_stats(s->streams, &stats);
	CHECK(stats.refused > 0);
	CHECK(part.gap_bytes > 0);
	CHECK(stats.buffered_peak <= 16384);
	scene_free(s);
}

static void
test_a_parser_that_never_uses_anything_loses_its_place(void **state)
{
	struct scene *s = scene_new(1 << 20);

	(void)state;
	part.message = 1 << 20;
	for (uint32_t i = 0; i < 200; i++)
		segment(s, i * 1000, 1000);
	CHECK(part.gaps > 0);
	CHECK(memory(s) <= 67000);
	scene_free(s);
}

static void
test_after_a_stop_nothing_is_kept(void **state)
{
	struct scene *s = scene_new(1 << 20);

	(void)state;
	segment(s, 200, 100);
	part.stop = true;
	segment(s, 0, 100);
	CHECK(!s->flow.stream[CLIENT]);
	segment(s, 100, 100);
	CHECK_EQ(part.calls, 1);
	CHECK_EQ(memory(s), 0);
	scene_free(s);
}

static void
test_a_sequence_number_from_elsewhere_changes_nothing(void **state)
{
	struct scene *s = scene_new(1 << 20);
	struct app_context c;

	(void)state;
	segment(s, 0, 100);
	c = scene_context(s, CLIENT);
	stream_segment(s->streams, &c, start_seq + 0x70000000,
	    bytes_of(s->data, 100), 100, true, start_seq);
	segment(s, 100, 100);
	check_seen(s, 200);
	CHECK_EQ(memory(s), 0);
	scene_free(s);
}

static uint32_t
next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* Segments of any size, swapped, sent again and overlapping, used by messages
 * of any size: the same bytes come out. */
static void
test_any_segmentation_gives_the_same_bytes(void **state)
{
	(void)state;
	for (uint32_t round = 1; round <= 200; round++) {
		struct scene *s = scene_new(1 << 20);
		uint32_t random = round * 2654435761u, sent = 0;
		uint32_t total = 40000;

		part.message = 1 + next_random(&random) % 3000;
		while (sent < total) {
			uint32_t back = next_random(&random) % 4000;
			uint32_t ahead = next_random(&random) % 6000;
			uint32_t n = 1 + next_random(&random) % 3000;
			uint32_t from = sent < back ? 0 : sent - back;

			if (next_random(&random) % 3 == 0)
				segment(s, sent + ahead, n);	/* early */
			if (next_random(&random) % 3 == 0)
				segment(s, from, n);		/* again */
			segment(s, sent, n);
			sent += n;
		}
		CHECK_EQ(part.gaps, 0);
		CHECK(part.seen_count >= total - part.message);
		check_seen(s, part.seen_count);
		scene_free(s);
	}
}

UNIT_TESTS(
    cmocka_unit_test(test_a_segment_in_order_is_shown_where_it_lies),
    cmocka_unit_test(test_a_stream_at_rest_takes_no_memory_and_knows_where_it_is),
    cmocka_unit_test(test_what_is_not_used_is_shown_again_with_more),
    cmocka_unit_test(test_early_segments_wait_for_the_hole_to_fill),
    cmocka_unit_test(test_bytes_before_the_first_segment_seen_are_awaited),
    cmocka_unit_test(test_the_first_copy_of_a_byte_wins),
    cmocka_unit_test(test_an_acknowledged_hole_is_a_gap),
    cmocka_unit_test(test_bytes_acknowledged_before_they_are_seen_are_missed),
    cmocka_unit_test(test_bytes_the_snap_length_cut_are_a_gap),
    cmocka_unit_test(test_a_skipped_body_is_neither_kept_nor_awaited),
    cmocka_unit_test(test_a_hole_across_the_end_of_a_skip_is_awaited),
    cmocka_unit_test(test_no_more_is_kept_than_the_limits_allow),
    cmocka_unit_test(test_when_all_memory_is_taken_bytes_are_given_up),
    cmocka_unit_test(test_a_parser_that_never_uses_anything_loses_its_place),
    cmocka_unit_test(test_after_a_stop_nothing_is_kept),
    cmocka_unit_test(test_a_sequence_number_from_elsewhere_changes_nothing),
    cmocka_unit_test(test_any_segmentation_gives_the_same_bytes),
)
