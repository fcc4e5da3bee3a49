/* stream.h - one side's bytes in order, joined from segments (RFC 9293, 3.8),
 * for the application parsers.
 *
 * Segments that come early wait in a bounded buffer; when the buffer is full,
 * or the receiver acknowledged beyond a hole, the hole is given up as a gap:
 * the sniffer missed it. The first copy of a byte wins. */
#ifndef CAPTURE_STREAM_H
#define CAPTURE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/app.h"

struct stream;

/* What one side may hold back, beside the bytes in order that its parser has
 * not used yet (APP_BUFFER_BYTES). A window of 256 KiB covers 10 Mbit/s over
 * 200 ms; what is larger is mostly file data, which parsers skip. */
enum { STREAM_EARLY_BYTES = 262144, STREAM_EARLY_PIECES = 256 };

struct stream_stats {
	uint64_t joined_bytes;	/* handed on in order */
	uint64_t gaps, gap_bytes;	/* given up, and needed by a parser */
	uint64_t refused;	/* times there was no room to keep bytes */
	size_t buffered_now, buffered_peak;	/* memory held for bytes */
	size_t streams_now;
};

struct stream_pool;		/* shared, bounded buffer memory */
/* `limit_bytes`: for bytes that wait; what a stream itself takes (64 bytes a
 * side) comes on top and is bounded by the number of flows. NULL: no memory. */
struct stream_pool *stream_pool_new(size_t limit_bytes);
void stream_pool_free(struct stream_pool **);
void stream_pool_stats(const struct stream_pool *, struct stream_stats *);

/* A segment of payload by c->side at `seq`: `wire_bytes` long of which
 * `captured` is at hand (fewer: the rest is a gap). Hands what is in order to
 * app_stream_bytes / app_stream_gap. Creates flow->stream[side] as needed; does
 * nothing once app_wants says no. `start` is where the stream begins if this is
 * its first segment and have_start (the sequence number after the SYN), else
 * it is the segment's own seq. Of `c`, end_seq, began and first_frame are set
 * here. */
void stream_segment(struct stream_pool *, struct app_context *c, uint32_t seq,
    struct bytes captured, uint32_t wire_bytes, bool have_start, uint32_t start);

/* Does it mean anything to the stream of `side`, if there is one, that its bytes up
 * to `ack` were acknowledged? */
bool stream_heeds(const struct flow *, enum side, uint32_t ack);
/* c->side acknowledged the other side's bytes up to `ack`: holes in them before
 * it will not fill. */
void stream_acked(struct stream_pool *, struct app_context *c, uint32_t ack);

/* How many bytes that `side` has not sent yet belong to a PDU that it has begun, as
 * far as its parser knows: 0: none, or it does not say. */
uint64_t stream_owes(const struct flow *, enum side);

/* Have both fetched from memory. */
void stream_fetch(const struct flow *);

void stream_release(struct stream_pool *, struct flow *);

#endif
