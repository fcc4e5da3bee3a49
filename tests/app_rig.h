/* app_rig.h - a connection to speak over, for the tests of the application
 * parsers: what is said goes through stream.c and app.c as in the engine, cut
 * into segments of any size, and what the parsers tell is kept. */
#ifndef TESTS_APP_RIG_H
#define TESTS_APP_RIG_H

#include <stdlib.h>
#include <string.h>

#include "capture/app.h"
#include "capture/stream.h"

enum { RIG_EVENTS = 512, RIG_STEP_MS = 10 };

struct rig {
	struct flow_pool *pool;
	struct stream_pool *streams;
	struct flow *flow;
	struct app_report report;
	struct instant now;
	uint64_t frame;
	uint32_t seq[2];		/* next byte of each side */
	uint32_t start[2];		/* the first */
	size_t cut;			/* bytes a segment; 0: all in one */
	struct app_half half[2];	/* of the flow, as it stands */
	size_t count;
	struct app_event event[RIG_EVENTS];
};

static void
rig_event(void *context, const struct app_event *e)
{
	struct rig *r = context;

	if (r->count < RIG_EVENTS)
		r->event[r->count++] = *e;
}

/* A new flow from 10.0.0.9 to 10.0.0.1:port; TCP with its handshake seen. */
static inline void
rig_begin(struct rig *r, uint8_t protocol, uint16_t port, size_t cut)
{
	memset(r, 0, sizeof(*r));
	r->pool = flow_pool_new();
	r->streams = stream_pool_new((size_t)1 << 22);
	r->flow = r->pool ? flow_pool_flow(r->pool) : NULL;
	if (!r->streams || !r->flow)
		abort();
	r->report.event = rig_event;
	r->report.context = r;
	r->now.ns = NS_PER_S;
	r->seq[CLIENT] = 0xfffffff0;	/* so that numbers wrap */
	r->seq[SERVER] = 1000;
	memcpy(r->start, r->seq, sizeof(r->start));
	r->cut = cut;
	r->flow->id = 1;
	r->flow->protocol = protocol;
	r->flow->addr[CLIENT] = address_from_v4(0x0a000009);
	r->flow->addr[SERVER] = address_from_v4(0x0a000001);
	r->flow->port[CLIENT] = 50000;
	r->flow->port[SERVER] = port;
	r->flow->app_flags = FLOW_HANDSHAKE;
	r->flow->state = FLOW_ESTABLISHED;
}

static inline void
rig_end(struct rig *r)
{
	app_release(r->flow);
	stream_release(r->streams, r->flow);
	flow_release(r->pool, r->flow);
	stream_pool_free(&r->streams);
	flow_pool_free(&r->pool);
}

static inline void
rig_wait(struct rig *r, int64_t ms)
{
	r->now.ns += ms * NS_PER_MS;
}

static inline struct app_context
rig_context(struct rig *r, enum side side)
{
	const struct tcp_half *half = r->flow->half;

	r->half[CLIENT] = app_half_of(&half[CLIENT]);
	r->half[SERVER] = app_half_of(&half[SERVER]);
	return (struct app_context){
		.pool = r->pool, .flow = r->flow, .now = r->now,
		.half = r->half,
		.packets = half[CLIENT].packets + half[SERVER].packets,
		.began = r->now, .first_frame = r->frame, .frame = r->frame,
		.side = side, .report = &r->report,
	};
}

static inline void
rig_segment(struct rig *r, enum side side, const uint8_t *at, size_t n)
{
	struct app_context c;
	uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	if (n)
		memcpy(copy, at, n);
	r->frame++;
	r->flow->half[side].flags |= HALF_DATA | HALF_SEEN;
	r->flow->half[side].packets++;
	c = rig_context(r, side);
	c.end_seq = r->seq[side] + (uint32_t)n;
	if (app_wants(r->flow, side))
		stream_segment(r->streams, &c, r->seq[side],
		    bytes_of(copy, n), (uint32_t)n, true, r->start[side]);
	r->seq[side] += (uint32_t)n;
	free(copy);
}

/* `side` says these bytes, RIG_STEP_MS after what was said before. */
static inline void
rig_say(struct rig *r, enum side side, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	size_t piece;

	rig_wait(r, RIG_STEP_MS);
	while (n) {
		piece = r->cut && r->cut < n ? r->cut : n;
		rig_segment(r, side, at, piece);
		at += piece;
		n -= piece;
	}
}

static inline void
rig_text(struct rig *r, enum side side, const char *text)
{
	rig_say(r, side, text, strlen(text));
}

/* The same in one segment, of which the capture kept only `kept` bytes. */
static inline void
rig_cut(struct rig *r, enum side side, const void *bytes, size_t n, size_t kept)
{
	struct app_context c;
	uint8_t *copy = malloc(kept ? kept : 1);

	if (!copy)
		abort();
	memcpy(copy, bytes, kept);
	rig_wait(r, RIG_STEP_MS);
	r->frame++;
	r->flow->half[side].flags |= HALF_DATA | HALF_SEEN;
	c = rig_context(r, side);
	c.end_seq = r->seq[side] + (uint32_t)n;
	if (app_wants(r->flow, side))
		stream_segment(r->streams, &c, r->seq[side],
		    bytes_of(copy, kept), (uint32_t)n, true, r->start[side]);
	r->seq[side] += (uint32_t)n;
	free(copy);
}

/* The sniffer missed `n` bytes of `side`, which the other side acknowledged. */
static inline void
rig_miss(struct rig *r, enum side side, uint32_t n)
{
	r->seq[side] += n;
}

static inline void
rig_acked(struct rig *r, enum side side)
{
	struct app_context c = rig_context(r, other_side(side));

	if (r->flow->stream[side])
		stream_acked(r->streams, &c, r->seq[side]);
}

/* A datagram of the rig's flow, or of none. */
static inline void
rig_datagram(struct rig *r, bool with_flow, enum side side, struct packet *p,
    const void *bytes, size_t n)
{
	struct app_context c;
	uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	if (n)
		memcpy(copy, bytes, n);
	rig_wait(r, RIG_STEP_MS);
	r->frame++;
	c = rig_context(r, side);
	if (!with_flow)
		c.flow = NULL;
	p->payload = bytes_of(copy, n);
	p->payload_bytes = (uint32_t)n;
	p->frame = r->frame;
	app_datagram(&c, p);
	free(copy);
}

static inline void
rig_udp(struct rig *r, enum side side, const void *bytes, size_t n)
{
	const struct flow *f = r->flow;
	struct packet p = {
		.ip_version = 4, .protocol = IP_UDP, .has_transport = true,
		.src = f->addr[side], .dst = f->addr[other_side(side)],
		.sport = f->port[side], .dport = f->port[other_side(side)],
	};

	rig_datagram(r, true, side, &p, bytes, n);
}

static inline size_t
rig_count(const struct rig *r, enum app_event_type type, enum app_note what)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += r->event[i].type == type &&
		    (type != APP_NOTE || r->event[i].what == what);
	return n;
}

/* The n-th event (from 0) of a kind, or NULL. */
static inline const struct app_event *
rig_nth(const struct rig *r, enum app_event_type type, enum app_note what,
    size_t n)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->event[i].type == type &&
		    (type != APP_NOTE || r->event[i].what == what) && !n--)
			return &r->event[i];
	return NULL;
}

/* Answers told so far with this label's operation. */
static inline size_t
rig_answered(const struct rig *r, unsigned operation)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += r->event[i].type == APP_RESPONSE &&
		    (r->event[i].label & 0xffff) == operation;
	return n;
}

#endif
