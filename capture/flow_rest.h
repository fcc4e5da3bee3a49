/* flow_rest.h - a flow at rest: the same, in a third of the room.
 *
 * Most connections that are open say nothing most of the time. What is known of
 * one that said nothing lately is then kept as differences from what can be
 * expected (nothing is outstanding, all was acknowledged, times lie close to each
 * other), each in as many bytes as it needs. Nothing is lost: unpacked, it is
 * what it was, whatever its values. */
#ifndef CAPTURE_FLOW_REST_H
#define CAPTURE_FLOW_REST_H

#include <stddef.h>
#include <stdint.h>

#include "capture/flow.h"

/* Records of these sizes, multiples of REST_UNIT, by class. Most flows need the
 * first one: no less, so that one that has only begun to speak does not leave a
 * smaller one behind. What needs more than the last one does not rest. */
enum { REST_UNIT = 16, REST_FIRST = 160, REST_CLASSES = 13 };

static inline size_t
rest_bytes(unsigned class)
{
	return REST_FIRST + (size_t)class * REST_UNIT;
}

enum { REST_ROOM = 640 };		/* for any flow */

/* What flows have in common: the MACs that were met first, by hash. They stay, for
 * whoever was packed with them. All zeros to begin with. */
enum { REST_MACS = 256 };
struct rest_book {
	uint64_t mac[REST_MACS];
};

/* Packs all but f->number into `record`, REST_ROOM bytes of it; returns the class
 * of the record, of which rest_bytes are used; -1: it needs more than any.
 * `second` is that of f->last, and asked for again. */
int rest_pack(struct rest_book *, const struct flow *, uint32_t second,
    void *record);
/* The same flow again, but for its number. */
void rest_unpack(const struct rest_book *, const void *record, unsigned class,
    uint32_t second, struct flow *);
/* Its id, quicker. */
uint64_t rest_id(const void *record, unsigned class);

#endif
