/* wire.c - small questions about one segment, asked by several detectors. */
#include "detectors/wire.h"

#include <stdio.h>

/* A host that counts its packets is seldom further on than this between two
 * packets of one flow that a mirror could swap. */
enum { ID_STEP_MAX = 1024 };

enum wire_order
wire_order(const struct segment *s)
{
	const struct packet *p = s->packet;
	int16_t step = (int16_t)(p->ip_id - s->ip_id_before);

	if (!instant_is_set(s->last_before))
		return WIRE_ORDER_UNKNOWN;
	if (p->ip_version == 4 && p->ip_id && s->ip_id_before && step != 0 &&
	    step > -ID_STEP_MAX && step < ID_STEP_MAX)
		return step > 0 ? WIRE_SENT_LATER : WIRE_SENT_EARLIER;
	if (instant_since(p->time, s->last_before) > WIRE_REORDER_NS)
		return WIRE_SENT_LATER;
	return WIRE_ORDER_UNKNOWN;
}

const char *
wire_end_text(const struct flow *f, enum side side,
    char out[WIRE_END_TEXT_BYTES])
{
	char address[ADDRESS_TEXT_BYTES];
	bool v4 = address_is_v4(&f->addr[side]);

	snprintf(out, WIRE_END_TEXT_BYTES, v4 ? "%s:%u" : "[%s]:%u",
	    address_text(&f->addr[side], address), f->port[side]);
	return out;
}
