/* flow_rest.h - a flow at rest: the same, in a quarter of the room.
 *
 * Most connections that are open say nothing most of the time. Of one that said
 * nothing lately the gist is kept, from which the rest can be guessed (nothing is
 * outstanding, all was acknowledged, times lie close to each other), and what of
 * that guess is wrong. Nothing is lost: unpacked, it is what it was, whatever its
 * values. */
#ifndef CAPTURE_FLOW_REST_H
#define CAPTURE_FLOW_REST_H

#include <stddef.h>
#include <stdint.h>

#include "capture/flow.h"

/* Records of these sizes, multiples of REST_UNIT, by class. Most flows need the
 * first one, the gist alone. What needs more than the last one does not rest. */
enum { REST_UNIT = 16, REST_FIRST = 128, REST_CLASSES = 15 };

static inline size_t
rest_bytes(unsigned class)
{
	return REST_FIRST + (size_t)class * REST_UNIT;
}

/* For any flow, whether it may rest or not: the gist, and all of its words. */
enum { REST_ROOM = REST_FIRST + 520 };

/* What flows have in common: pairs of words that many of them have. A pair stays
 * as long as one at rest has it. */
enum { REST_KINDS = 1024 };
struct rest_kind {
	uint64_t word[2];
	uint32_t users;
};

/* All zeros to begin with. */
struct rest_book {
	struct rest_kind kind[REST_KINDS];	/* [0]: none has it */
	uintptr_t near[2];	/* where records that flows point to lie; 0: not
				 * known yet */
};

/* Packs all but f->number, client_at and row_at into `record`, REST_ROOM bytes of
 * it; returns the class of the record, of which rest_bytes are used; -1: it needs
 * more than any. `second` is that of f->last, and asked for again. */
int rest_pack(struct rest_book *, const struct flow *, uint32_t second,
    void *record);
/* The same flow again; its number is left to the caller, the other two are 0. Once
 * for each that was packed. */
void rest_unpack(struct rest_book *, const void *record, unsigned class,
    uint32_t second, struct flow *);
/* Its id, quicker. */
uint64_t rest_id(const void *record);

#endif
