/* fuzz_stream.c - the joining of segments, in any order and overlap. The
 * parsers are played: they check that what they are shown is what was sent at
 * that place, and use as much of it as the input says. */
#include <stdlib.h>
#include <string.h>

#include "capture/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

/* Each byte of the stream is a function of its place. */
static const uint32_t start_seq = 0xffff0000u;

static uint8_t
byte_at(uint32_t offset)
{
	return (uint8_t)((offset * 2654435761u) >> 24);
}

static struct {
	struct bytes choices;
	uint32_t used;		/* or lost: the place of the next byte */
	bool stopped;
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
	unsigned choice = bytes_u8(&part.choices);
	size_t used;

	*named = false;
	if (c->end_seq != start_seq + part.used + (uint32_t)b.left)
		abort();
	for (size_t i = 0; i < b.left; i++)
		if (b.at[i] != byte_at(part.used + (uint32_t)i))
			abort();
	if (choice == 255) {
		part.stopped = true;
		return APP_STOP;
	}
	used = choice < 128 ? b.left : b.left * (choice - 128) / 127;
	if (choice < 16)
		used += (size_t)choice * 100;
	part.used += (uint32_t)used;
	return used;
}

bool
app_stream_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	part.used += (uint32_t)held.left + n;
	if (c->end_seq != start_seq + part.used)
		abort();
	return true;
}

void
app_stream_missed(struct app_context *c, uint32_t n)
{
	(void)c;
	if (!n)
		abort();
}

static void
segment(struct stream_pool *pool, struct app_context *c, uint32_t offset,
    uint32_t captured, uint32_t wire)
{
	uint8_t *exact = malloc(captured ? captured : 1);

	if (!exact)
		abort();
	for (uint32_t i = 0; i < captured; i++)
		exact[i] = byte_at(offset + i);
	stream_segment(pool, c, start_seq + offset, bytes_of(exact, captured),
	    wire, true, start_seq);
	free(exact);
}

/* The input: half of it what the parsers do, half of it segments of five bytes:
 * how, place, length. */
int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
	struct stream_pool *pool = stream_pool_new(1 << 18);
	struct flow f = { .protocol = IP_TCP };
	struct bytes b = bytes_of(at, n);
	const struct app_half half[2] = { 0 };
	struct app_context c = { .flow = &f, .half = half };
	struct stream_stats stats;

	if (!pool)
		abort();
	memset(&part, 0, sizeof(part));
	part.choices = bytes_sub(&b, n / 2);
	while (b.left) {
		unsigned how = bytes_u8(&b);
		uint32_t offset = part.used + bytes_le16(&b) % 8192;
		uint32_t length = bytes_le16(&b) % 4096;

		if (how & 1)
			offset -= part.used < 4096 ? part.used : 4096;
		c.side = how & 2 ? SERVER : CLIENT;
		c.now.ns += NS_PER_MS;
		c.frame++;
		if (c.side == SERVER)
			stream_acked(pool, &c, start_seq + offset);
		else
			segment(pool, &c, offset, length, how & 4 ? 2 * length :
			    length);
		stream_pool_stats(pool, &stats);
		if (stats.buffered_now > 1 << 18)
			abort();
	}
	stream_release(pool, &f);
	stream_pool_stats(pool, &stats);
	if (stats.buffered_now || stats.streams_now)
		abort();
	stream_pool_free(&pool);
	return 0;
}
