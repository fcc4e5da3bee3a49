/* evidence_ring.c - the last frames of a live run, as many as fit in so many
 * bytes.
 *
 * The hard part is that the capture's thread must hardly ever wait: it holds the
 * lock for one short copy; a walk takes it for a few dozen frames at a time,
 * copies them out, and goes on where it was, or at the oldest if it was
 * overtaken. */
#include "detectors/evidence_internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A record lies whole in the ring, never across its end. */
struct record {
	uint64_t number;
	int64_t time_ns;
	uint32_t file, interface;
	int32_t link_type;
	uint32_t captured, wire, kept;
};

enum { ALIGN = 8, WALK_BYTES = 64 << 10, KEEP_MAX = 65536,
    RECORD_BYTES_MAX = KEEP_MAX + 64 };

/* Positions count bytes ever written; modulo the size they are places. */
struct frame_ring {
	pthread_mutex_t lock;
	uint8_t *bytes;
	size_t size;
	uint64_t oldest, next;		/* positions */
	uint64_t frames;		/* between them */
	int64_t newest_ns;
};

static size_t
record_bytes(uint32_t kept)
{
	return (sizeof(struct record) + kept + ALIGN - 1) / ALIGN * ALIGN;
}

struct frame_ring *
frame_ring_new(size_t bytes)
{
	struct frame_ring *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->size = bytes / ALIGN * ALIGN;
	r->bytes = malloc(r->size);
	if (!r->bytes) {
		free(r);
		return NULL;
	}
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void
frame_ring_free(struct frame_ring **rp)
{
	struct frame_ring *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r->bytes);
	free(r);
}

/* The bytes left to the end of the ring from a position; where no record fits
 * them they are skipped, and say so by the first four bytes where there are
 * that many. */
static size_t
to_end(const struct frame_ring *r, uint64_t at)
{
	return r->size - (size_t)(at % r->size);
}

/* The record at a position, past a gap at the end of the ring. */
static uint64_t
settle(const struct frame_ring *r, uint64_t at, struct record *out)
{
	size_t left = to_end(r, at);

	if (left < sizeof(*out))
		return settle(r, at + left, out);
	memcpy(out, r->bytes + at % r->size, sizeof(*out));
	return out->number ? at : settle(r, at + left, out);
}

static void
drop_oldest(struct frame_ring *r)
{
	struct record first;

	r->oldest = settle(r, r->oldest, &first);
	r->oldest += record_bytes(first.kept);
	r->frames--;
}

/* Frame numbers begin at 1: a record with number 0 is the gap. */
static void
make_gap(struct frame_ring *r, size_t left)
{
	struct record gap = { 0 };

	if (left >= sizeof(gap))
		memcpy(r->bytes + r->next % r->size, &gap, sizeof(gap));
	r->next += left;
}

static void
put(struct frame_ring *r, const struct frame *f, uint32_t kept)
{
	size_t bytes = record_bytes(kept), left = to_end(r, r->next);
	uint64_t end = r->next + bytes + (left < bytes ? left : 0);
	struct record rec = { f->number, f->time.ns, f->file, f->interface,
		f->link_type, f->captured_bytes, f->wire_bytes, kept };

	while (r->frames && end - r->oldest > r->size)
		drop_oldest(r);
	if (!r->frames)
		r->oldest = r->next;
	if (left < bytes)
		make_gap(r, left);
	memcpy(r->bytes + r->next % r->size, &rec, sizeof(rec));
	memcpy(r->bytes + r->next % r->size + sizeof(rec), f->data, kept);
	r->next += bytes;
	r->frames++;
	r->newest_ns = f->time.ns;
}

void
frame_ring_put(struct frame_ring *r, const struct frame *f, uint32_t keep)
{
	uint32_t kept = f->captured_bytes < keep ? f->captured_bytes : keep;

	kept = kept < KEEP_MAX ? kept : KEEP_MAX;
	if (!f->number || record_bytes(kept) > r->size / 2)
		return;
	pthread_mutex_lock(&r->lock);
	put(r, f, kept);
	pthread_mutex_unlock(&r->lock);
}

/* As many records from `*at` as fit, copied out one after the other; 0: none
 * are left. */
static size_t
copy_some(struct frame_ring *r, uint64_t *at, uint8_t *out)
{
	size_t used = 0;
	struct record rec;

	pthread_mutex_lock(&r->lock);
	if (*at < r->oldest)
		*at = r->oldest;
	while (*at < r->next) {
		uint64_t from = settle(r, *at, &rec);
		size_t bytes = record_bytes(rec.kept);

		if (used + bytes > WALK_BYTES && used)
			break;
		memcpy(out + used, r->bytes + from % r->size, bytes);
		used += bytes;
		*at = from + bytes;
	}
	pthread_mutex_unlock(&r->lock);
	return used;
}

static size_t
hand_out(const uint8_t *at, void (*each)(void *, const struct frame *),
    void *context)
{
	struct record rec;
	struct frame f;

	memcpy(&rec, at, sizeof(rec));
	f = (struct frame){ .time = { rec.time_ns }, .number = rec.number,
		.file = rec.file, .interface = rec.interface,
		.link_type = rec.link_type, .captured_bytes = rec.kept,
		.wire_bytes = rec.wire, .data = at + sizeof(rec) };
	each(context, &f);
	return record_bytes(rec.kept);
}

void
frame_ring_walk(struct frame_ring *r, void (*each)(void *,
    const struct frame *), void *context)
{
	/* one record may be larger than a copy wants to be */
	uint8_t *some = malloc(WALK_BYTES + RECORD_BYTES_MAX);
	uint64_t at = 0;
	size_t used;

	while (some && (used = copy_some(r, &at, some)) > 0)
		for (size_t i = 0; i < used;)
			i += hand_out(some + i, each, context);
	free(some);
}

void
frame_ring_extent(struct frame_ring *r, uint64_t *frames,
    struct instant *oldest, struct instant *newest)
{
	struct record first = { 0 };

	pthread_mutex_lock(&r->lock);
	*frames = r->frames;
	if (r->frames)
		settle(r, r->oldest, &first);
	oldest->ns = first.time_ns;
	newest->ns = r->frames ? r->newest_ns : 0;
	pthread_mutex_unlock(&r->lock);
}
