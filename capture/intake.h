/* intake.h - from frames as they are read to packets in the order and at the
 * time at which the rest sees them: decoded, at trace time, copies marked,
 * fragments put together.
 *
 * None of it knows a flow, so that it can be done ahead of the analysis, by
 * another thread. What comes out depends on the frames and their order alone,
 * not on how they were cut into batches. */
#ifndef CAPTURE_INTAKE_H
#define CAPTURE_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/delivery.h"
#include "capture/fetch.h"
#include "capture/flow.h"
#include "capture/packet.h"
#include "capture/source.h"

/* A frame, and what was made of it. Who analyses it only reads: what another
 * processor has written is dear to write to. */
struct arrival {
	_Alignas(CACHE_LINE_BYTES)
	struct instant stamp;		/* the frame's, brought into range */
	int64_t regression_ns;		/* that is so much before the stamp of the
					 * frame before; 0: it is not */
	int link_type;			/* the frame's */
	enum decode_result result;
	bool is_copy;			/* a mirror's second, to be left out */
	bool is_piece;			/* a fragment */
	bool is_swallowed;		/* and there is nothing to be seen yet */
	struct packet packet;		/* `time` is trace time, never before the
					 * last one's */
	struct frame frame;		/* as read, but for its stamp */
};

/* What is asked of an ordinary one. */
enum { ARRIVAL_FRONT_BYTES = 4 * CACHE_LINE_BYTES };
_Static_assert(offsetof(struct arrival, packet.options.sack) <=
    ARRIVAL_FRONT_BYTES, "all of it");

enum {
	INTAKE_FRAMES = 128,
	INTAKE_BYTES = 256 << 10,	/* with these the batch is full, too */
	/* room to copy them all, and what a file gives in one go */
	INTAKE_FILE_BYTES = 1 << 20,
	/* and whatever an interface does */
	INTAKE_LIVE_BYTES = INTAKE_FRAMES * SOURCE_SNAP_BYTES,
	BATCH_HOLDS = 8,
};

/* Frames that go through together. */
struct batch {
	size_t first, end;		/* of `arrival`, what there is of it */
	enum source_result result;	/* what follows them: SOURCE_FRAME, more of
					 * them; or what else the source said, */
	struct instant time;		/* and its time (IDLE, BREAK) */
	struct arrival arrival[1 + INTAKE_FRAMES];	/* 0: held over from the
					 * batch before */
	uint8_t *carried;		/* bytes of that one */
	size_t carried_bytes;		/* allocated */
	uint8_t *kept;			/* bytes of frames, NULL: not kept; */
	size_t kept_bytes;		/* so many of them, held ones too */
	struct source_block *held[BATCH_HOLDS];	/* where others lie */
	size_t held_count;
	uint8_t *whole[1 + INTAKE_FRAMES];	/* datagrams put together */
	size_t whole_count;
	/* the engine's: what it was made of them, and how many were taken */
	size_t deliveries, delivered;
	_Alignas(CACHE_LINE_BYTES) struct delivery delivery[1 + INTAKE_FRAMES];
};

/* So many, each with room to copy so many bytes of frames; 0: they keep none.
 * NULL: out of memory. */
struct batch *batches_new(size_t count, size_t kept_bytes);
void batches_free(struct batch **, size_t count);
void batch_clear(struct batch *);
bool batch_is_full(const struct batch *);
/* One more, where it is not full. A batch that keeps frames copies the bytes, unless
 * they lie in what it holds; of any other they must stay where they are until the
 * batch was analysed. */
void batch_add(struct batch *, const struct frame *, bool is_held);
/* Hold, where it can, what the source has just given (source_hold). To hold and to
 * clear a batch that holds is for the thread that reads. */
bool batch_hold(struct batch *, struct source *);
static inline bool
batch_is_empty(const struct batch *b)
{
	return b->first == b->end;
}

/* A stamp as our own clock can take it: not before 1970, not after 2106, and not
 * 0, which means not set. */
struct instant intake_clamped(struct instant);

/* A frame stamped further ahead than this waits for the next one to tell whether
 * time went on or its stamp is a stray one. */
#define INTAKE_LEAP_NS (60 * NS_PER_S)

struct intake;

/* At most `fragment_bytes` wait for the rest of their datagrams. The flow table
 * is asked for its hash, nothing else. NULL if out of memory. */
struct intake *intake_new(size_t fragment_bytes, const struct flow_table *);
void intake_free(struct intake **);

/* The part of it that needs nothing but the frames: any thread, any order. */
void intake_decode(const struct intake *, struct batch *);
/* The rest: each batch once, in order. */
void intake_settle(struct intake *, struct batch *);

#endif
