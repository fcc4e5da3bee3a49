/* delivery.h - a packet as TCP or UDP hands it over to the upper layers (ulp.h),
 * with what they go by: it may be looked at later, when TCP knows more. */
#ifndef CAPTURE_DELIVERY_H
#define CAPTURE_DELIVERY_H

#include <stdint.h>

#include "capture/app.h"
#include "capture/flow.h"
#include "capture/tcp.h"

struct delivery {
	const struct packet *packet;	/* `time` is now */
	struct flow *flow;		/* NULL: of none */
	struct app_half half[2];	/* TCP: what is known of both sides */
	uint32_t packets;		/* of both, so far */
	uint32_t flow_flags;		/* enum flow_flag */
	uint32_t facts, new_bytes;	/* TCP: as in struct segment */
	uint8_t side;			/* who sent it */
	uint8_t turn;			/* enum segment_turn */
};

/* `seg` NULL: a datagram; `f` NULL: one of no flow. */
static inline void
delivery_make(struct delivery *d, const struct packet *p, struct flow *f,
    enum side side, const struct segment *seg)
{
	d->packet = p;
	d->flow = f;
	d->side = (uint8_t)side;
	d->packets = 0;
	if (!f)
		return;
	d->packets = f->half[CLIENT].packets + f->half[SERVER].packets;
	d->flow_flags = f->flags;
	if (!seg)
		return;
	d->half[CLIENT] = app_half_of(&f->half[CLIENT]);
	d->half[SERVER] = app_half_of(&f->half[SERVER]);
	d->facts = seg->facts;
	d->new_bytes = seg->new_bytes;
	d->turn = (uint8_t)seg->turn;
}

#endif
