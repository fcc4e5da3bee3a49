/* wire.c - small questions about one segment, asked by several detectors. */
#include "detectors/wire.h"

#include <stdio.h>
#include <stdlib.h>

#include "capture/decode.h"

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

bool
wire_too_big(const struct packet *p, struct icmp_quote *q)
{
	enum { UNREACHABLE = 3, FRAGMENTATION_NEEDED = 4, PACKET_TOO_BIG = 2 };

	if (!(p->protocol == IP_ICMP && p->icmp_type == UNREACHABLE &&
	    p->icmp_code == FRAGMENTATION_NEEDED) &&
	    !(p->protocol == IP_ICMPV6 && p->icmp_type == PACKET_TOO_BIG))
		return false;
	return decode_icmp_quote(p, q) && q->protocol == IP_TCP;
}

bool
wire_quotes(const struct flow *f, const struct icmp_quote *q,
    enum side *sender)
{
	for (unsigned s = CLIENT; s <= SERVER; s++) {
		if (f->port[s] != q->sport || f->port[1 - s] != q->dport ||
		    address_compare(&f->addr[s], &q->src) != 0 ||
		    address_compare(&f->addr[1 - s], &q->dst) != 0)
			continue;
		*sender = s;
		return f->protocol == IP_TCP;
	}
	return false;
}

/* One client's bad card is its own trouble; that of several is not. */
enum { CLIENTS_MANY = 3 };

struct clients {
	unsigned count;
	struct address seen[CLIENTS_MANY];
};

enum severity
wire_client_severity(struct server *v, const struct detector *d,
    const struct address *client)
{
	struct clients *c = server_remember(v, d->finding, sizeof(*c));
	unsigned i;

	if (!c)
		return SEVERITY_LOW;
	for (i = 0; i < c->count; i++)
		if (address_compare(&c->seen[i], client) == 0)
			break;
	if (i == c->count && i < CLIENTS_MANY) {
		c->seen[c->count++] = *client;
		for (struct finding *fd = v->findings; fd &&
		    c->count == CLIENTS_MANY; fd = fd->next_of_server)
			if (fd->name == d->finding && fd->side == FAULT_CLIENT)
				fd->severity = SEVERITY_MEDIUM;
	}
	return c->count == CLIENTS_MANY ? SEVERITY_MEDIUM : SEVERITY_LOW;
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
