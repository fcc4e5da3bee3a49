/* stage.h - a flow without an engine, for the tests of streams and of
 * application parsers: segments of two sides go in, events are kept. */
#ifndef TESTS_STAGE_H
#define TESTS_STAGE_H

#include <stdlib.h>
#include <string.h>

#include "capture/app.h"
#include "capture/stream.h"

enum { STAGE_EVENTS = 256 };

struct stage {
	struct flow_pool *pool;
	struct stream_pool *streams;
	struct app_shared *shared;	/* borrowed where two flows share it */
	struct flow *flow;
	struct app_report report;
	struct instant now;
	uint64_t frame;
	uint32_t start[2], next[2];	/* sequence numbers, by side */
	struct app_half half[2];	/* of the flow, as it stands */
	unsigned count;			/* of events, all of them */
	struct app_event event[STAGE_EVENTS];
};

static inline void
stage_take_event(void *context, const struct app_event *e)
{
	struct stage *s = context;

	if (s->count < STAGE_EVENTS)
		s->event[s->count] = *e;
	s->count++;
}

/* A new flow to `port`, its handshake seen. */
static inline void
stage_flow(struct stage *s, uint16_t port)
{
	s->flow = flow_pool_flow(s->pool);
	if (!s->flow)
		abort();
	s->flow->protocol = IP_TCP;
	s->flow->port[CLIENT] = 40000;
	s->flow->port[SERVER] = port;
	s->flow->addr[CLIENT] = address_from_v4(0x0a000001);
	s->flow->addr[SERVER] = address_from_v4(0x0a000002);
	s->flow->app_flags = FLOW_HANDSHAKE;
	for (int side = CLIENT; side <= SERVER; side++) {
		s->flow->half[side].flags = HALF_SYN | HALF_SEEN;
		s->flow->half[side].isn = 0xffffff00u + (uint32_t)side;
		s->start[side] = s->next[side] = s->flow->half[side].isn + 1;
	}
}

/* On a pool that the caller keeps, for those who make a stage very often. */
static inline struct stage *
stage_new_on(struct flow_pool *pool, uint16_t port, size_t stream_bytes)
{
	struct stage *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->pool = pool;
	s->streams = stream_pool_new(stream_bytes);
	s->shared = app_shared_new();
	if (!s->pool || !s->streams || !s->shared)
		abort();
	s->report = (struct app_report){ stage_take_event, s };
	s->now.ns = NS_PER_S;
	stage_flow(s, port);
	return s;
}

static inline struct stage *
stage_new(uint16_t port, size_t stream_bytes)
{
	return stage_new_on(flow_pool_new(), port, stream_bytes);
}

static inline void
stage_end_flow(struct stage *s, struct flow *f)
{
	app_release(f);
	stream_release(s->streams, f);
	flow_release(s->pool, f);
}

static inline void
stage_leave_pool(struct stage *s)
{
	stage_end_flow(s, s->flow);
	app_shared_free(&s->shared);
	stream_pool_free(&s->streams);
	s->pool = NULL;
	free(s);
}

static inline void
stage_free(struct stage *s)
{
	struct flow_pool *pool = s->pool;

	stage_leave_pool(s);
	flow_pool_free(&pool);
}

static inline struct app_context
stage_context(struct stage *s, enum side side)
{
	const struct tcp_half *half = s->flow->half;

	s->frame++;
	s->now.ns += NS_PER_MS;
	s->half[CLIENT] = app_half_of(&half[CLIENT]);
	s->half[SERVER] = app_half_of(&half[SERVER]);
	return (struct app_context){
		.pool = s->pool, .flow = s->flow, .shared = s->shared,
		.half = s->half,
		.packets = half[CLIENT].packets + half[SERVER].packets,
		.now = s->now, .frame = s->frame, .side = side,
		.report = &s->report,
	};
}

/* A segment of `side`, `offset` bytes from its beginning. It takes a
 * millisecond, and a frame number, of its own. */
static inline void
stage_segment(struct stage *s, enum side side, uint32_t offset, const void *at,
    size_t n, uint32_t wire_bytes)
{
	struct tcp_half *half = &s->flow->half[side];
	struct app_context c;

	half->flags |= HALF_DATA;
	half->packets++;
	c = stage_context(s, side);
	stream_segment(s->streams, &c, s->start[side] + offset, bytes_of(at, n),
	    wire_bytes, half->flags & HALF_SYN, s->start[side]);
}

/* The next bytes of `side`, in one segment. They lie in a block of exactly
 * their size, so that AddressSanitizer sees a read past the end. */
static inline void
stage_send(struct stage *s, enum side side, const void *at, size_t n)
{
	void *exact = malloc(n ? n : 1);

	if (!exact)
		abort();
	if (n)
		memcpy(exact, at, n);
	stage_segment(s, side, s->next[side] - s->start[side], exact, n,
	    (uint32_t)n);
	s->next[side] += (uint32_t)n;
	free(exact);
}

/* `n` bytes of `side` that the sniffer did not see, and that the other side
 * acknowledges. */
static inline void
stage_miss(struct stage *s, enum side side, uint32_t n)
{
	struct app_context c;

	s->next[side] += n;
	s->flow->half[other_side(side)].acked = s->next[side];
	s->flow->half[other_side(side)].flags |= HALF_ACKED;
	c = stage_context(s, other_side(side));
	stream_acked(s->streams, &c, s->next[side]);
}

/* Events of a type; `nth` from 0, NULL if there are not so many. */
static inline const struct app_event *
stage_event(const struct stage *s, enum app_event_type type, unsigned nth)
{
	for (unsigned i = 0; i < s->count && i < STAGE_EVENTS; i++)
		if (s->event[i].type == type && nth-- == 0)
			return &s->event[i];
	return NULL;
}

static inline unsigned
stage_events(const struct stage *s, enum app_event_type type)
{
	unsigned n = 0;

	while (stage_event(s, type, n))
		n++;
	return n;
}

static inline const struct app_event *
stage_note(const struct stage *s, enum app_note what)
{
	for (unsigned i = 0; i < s->count && i < STAGE_EVENTS; i++)
		if (s->event[i].type == APP_NOTE && s->event[i].what == what)
			return &s->event[i];
	return NULL;
}

/* --- bytes to send ---------------------------------------------------------- */

enum { WIRE_BYTES = 8192 };

struct wire {
	uint8_t at[WIRE_BYTES];
	size_t n;
};

static inline void
wire_bytes(struct wire *w, const void *at, size_t n)
{
	if (w->n + n > WIRE_BYTES)
		abort();
	memcpy(w->at + w->n, at, n);
	w->n += n;
}

static inline void
wire_text(struct wire *w, const char *text)
{
	wire_bytes(w, text, strlen(text));
}

static inline void
wire_zeros(struct wire *w, size_t n)
{
	static const uint8_t zero[WIRE_BYTES];

	wire_bytes(w, zero, n);
}

static inline void
wire_u8(struct wire *w, unsigned v)
{
	uint8_t octet = (uint8_t)v;

	wire_bytes(w, &octet, 1);
}

static inline void
wire_le16(struct wire *w, unsigned v)
{
	wire_u8(w, v & 0xff);
	wire_u8(w, v >> 8);
}

static inline void
wire_le32(struct wire *w, uint32_t v)
{
	wire_le16(w, v & 0xffff);
	wire_le16(w, v >> 16);
}

static inline void
wire_le64(struct wire *w, uint64_t v)
{
	wire_le32(w, (uint32_t)v);
	wire_le32(w, (uint32_t)(v >> 32));
}

static inline void
wire_be32(struct wire *w, uint32_t v)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		wire_u8(w, v >> shift & 0xff);
}

static inline void
wire_set_le16(struct wire *w, size_t at, unsigned v)
{
	w->at[at] = (uint8_t)v;
	w->at[at + 1] = (uint8_t)(v >> 8);
}

#endif
