/* ulp.c - what packets deliver to who asks and answers over TCP and UDP.
 *
 * Where no parser follows a flow, who waits for whom is told by turns: the client's
 * bytes since the server last spoke wait for its next ones. */
#include "capture/ulp.h"

#include <stdlib.h>

#include "capture/app_ndpi.h"
#include "capture/stream.h"

struct ulp {
	struct flow_pool *pool;
	struct stream_pool *streams;
	struct app_shared *shared;	/* what flows of one engine share */
	struct app_ndpi *ndpi;		/* NULL: names are not asked for */
	struct ulp_observer observer;
	struct app_report report;	/* to that */
};

/* --- exchanges, as far as TCP tells ----------------------------------------------- */

static void
exchanges_acked(const struct delivery *d)
{
	const struct packet *p = d->packet;

	for (struct exchange *x = d->flow->waiting; x; x = x->next) {
		bool theirs = (x->flags & EXCHANGE_FROM_SERVER) ?
		    d->side == CLIENT : d->side == SERVER;

		if (!theirs || instant_is_set(x->acked) ||
		    seq_after(x->request_end, p->ack))
			continue;
		x->acked = p->time;
		x->frame_acked = p->frame;
	}
}

/* The server sent something that we missed: the answer may have been in it, so
 * that nobody may be said to wait any more. */
static void
answers_missed(struct flow_pool *pool, struct flow *f)
{
	f->unheard = 0;
	exchange_close_all(pool, f, EXCHANGE_FROM_SERVER, 0);
}

static bool
tells_of_missed(const struct delivery *d)
{
	return d->facts & (d->side == SERVER ? SEG_HOLE : SEG_ACK_AHEAD);
}

/* --- turns ------------------------------------------------------------------------- */

static struct exchange *
turn_of(const struct flow *f)
{
	for (struct exchange *x = f->waiting; x; x = x->next)
		if (x->flags & EXCHANGE_TURN)
			return x;
	return NULL;
}

/* What is typed together is one word. */
#define WORDS_APART_NS NS_PER_S

static void
count_word(struct flow *f, struct instant now)
{
	if (!f->unheard || instant_since(now, f->last_asked) > WORDS_APART_NS)
		f->unheard = saturated8(f->unheard);
}

static void
words_heard(struct flow *f)
{
	if (!f->unheard)
		return;
	if (f->unheard > f->unheard_max)
		f->unheard_max = f->unheard;
	if (instant_since(f->last_asked, f->last_answered) > WORDS_APART_NS) {
		f->heard = saturated8(f->heard);
		if (f->unheard > 1)
			f->heard_late = saturated8(f->heard_late);
	}
	f->unheard = 0;
}

/* The sequence number after all that it takes. */
static uint32_t
end_of(const struct delivery *d)
{
	const struct packet *p = d->packet;
	uint32_t end = p->seq + p->payload_bytes;

	if (d->facts & SEG_DAMAGED)
		return end;
	return end + !!(p->tcp_flags & TCP_SYN) + !!(p->tcp_flags & TCP_FIN);
}

static void
turn_asked(struct flow_pool *pool, const struct delivery *d)
{
	const struct packet *p = d->packet;
	struct flow *f = d->flow;
	struct exchange *x = turn_of(f);
	bool first = d->turn == TURN_ASKED_FIRST && !f->turns;

	count_word(f, p->time);
	f->last_asked = p->time;
	if (!x) {
		x = exchange_open(pool, f, UINT64_MAX, (uint32_t)f->app << 24,
		    EXCHANGE_TURN | (first ? EXCHANGE_FIRST : 0));
		if (!x)
			return;
		x->began = p->time;
		x->frame_first = p->frame;
	}
	x->asked = p->time;
	x->frame_last = p->frame;
	x->request_end = end_of(d);
	x->request_bytes += d->new_bytes;
	x->acked.ns = 0;
}

/* How long it took, if anything was asked; else 0. */
static int64_t
turn_answered(struct flow_pool *pool, const struct delivery *d)
{
	struct flow *f = d->flow;
	struct exchange *x = turn_of(f);
	int64_t took_ns;

	words_heard(f);
	f->last_answered = d->packet->time;
	if (!x)
		return 0;
	took_ns = instant_since(d->packet->time, x->asked);
	if (took_ns <= 0)
		took_ns = 1;
	if (took_ns > f->wait_max_ns)
		f->wait_max_ns = took_ns;
	f->turns = saturated16(f->turns);
	exchange_close(pool, f, x);
	return took_ns;
}

static int64_t
take_turn(struct flow_pool *pool, const struct delivery *d)
{
	if (d->turn == TURN_ANSWERED)
		return turn_answered(pool, d);
	if (d->turn != TURN_NONE)
		turn_asked(pool, d);
	return 0;
}

/* --- bytes -------------------------------------------------------------------------- */

static struct app_context
context_of(struct ulp *u, const struct delivery *d)
{
	return (struct app_context){ .pool = u->pool, .flow = d->flow,
		.packets = d->packets, .side = d->side,
		.now = d->packet->time, .frame = d->packet->frame,
		.report = &u->report, .shared = u->shared };
}

static __attribute__((noinline)) void
hand_to_streams(struct ulp *u, const struct delivery *d, bool acks, bool data)
{
	const struct packet *p = d->packet;
	const struct app_half *me = &d->half[d->side];
	struct app_context c = context_of(u, d);

	c.half = d->half;
	c.end_seq = p->seq + p->payload_bytes;
	if (acks)
		stream_acked(u->streams, &c, p->ack);
	if (data && app_wants(d->flow, d->side))
		stream_segment(u->streams, &c, p->tcp_flags & TCP_SYN ?
		    p->seq + 1 : p->seq, p->payload, p->payload_bytes,
		    me->flags & HALF_SYN, me->isn + 1);
}

/* Most segments mean nothing to a stream, and go by. */
static void
feed_streams(struct ulp *u, const struct delivery *d)
{
	bool acks = d->facts & SEG_ACKS &&
	    stream_heeds(d->flow, other_side(d->side), d->packet->ack);
	bool data = d->facts & SEG_DATA && !(d->facts & SEG_DAMAGED);

	if (acks || (data && app_wants(d->flow, d->side)))
		hand_to_streams(u, d, acks, data);
}

/* A name for what no parser knows. */
static void
name_flow(struct ulp *u, const struct delivery *d)
{
	if (u->ndpi && d->packet->payload.left && app_ndpi_wants(d->flow))
		app_ndpi_packet(u->ndpi, d->flow, d->packet);
}

/* --- packets ------------------------------------------------------------------------ */

static void
take_told_flags(const struct delivery *d)
{
	struct flow *f = d->flow;

	f->app_flags = (uint16_t)((f->app_flags & ~(unsigned)FLOW_APP_TOLD) |
	    (d->flow_flags & FLOW_APP_TOLD));
}

static void
take_segment(struct ulp *u, const struct delivery *d)
{
	int64_t answered_ns;

	take_told_flags(d);
	if (d->facts & SEG_ACKS)
		exchanges_acked(d);
	if (tells_of_missed(d))
		answers_missed(u->pool, d->flow);
	answered_ns = take_turn(u->pool, d);
	if (u->observer.on_delivery)
		u->observer.on_delivery(u->observer.context, d, answered_ns);
	feed_streams(u, d);
	name_flow(u, d);
}

static void
take_datagram(struct ulp *u, const struct delivery *d)
{
	struct app_context c = context_of(u, d);
	struct flow *f = d->flow;

	if (f) {
		take_told_flags(d);
		if (c.side == CLIENT)
			f->last_asked = c.now;
		else
			f->last_answered = c.now;
	}
	app_datagram(&c, d->packet);
	if (f)
		name_flow(u, d);
}

void
ulp_take(struct ulp *u, const struct delivery *d)
{
	if (packet_is_tcp(d->packet))
		take_segment(u, d);
	else
		take_datagram(u, d);
}

void
ulp_fetch(const struct flow *f)
{
	enum { APP_STATE_BYTES = 256 };	/* all that most parsers keep */

	fetch_first(f->waiting);
	fetch_bytes(f->app_state, APP_STATE_BYTES);
	stream_fetch(f);
}

/* --- for the engine ------------------------------------------------------------------ */

static void
forward_app(void *context, const struct app_event *e)
{
	const struct ulp *u = context;

	if (u->observer.on_app)
		u->observer.on_app(u->observer.context, e);
}

struct ulp *
ulp_new(struct flow_pool *pool, size_t stream_bytes, bool name_with_ndpi,
    const struct ulp_observer *observer)
{
	struct ulp *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->pool = pool;
	u->observer = *observer;
	u->report = (struct app_report){ forward_app, u };
	u->streams = stream_pool_new(stream_bytes);
	u->shared = app_shared_new();
	if (name_with_ndpi)
		u->ndpi = app_ndpi_new(0);
	if (!u->streams || !u->shared || (name_with_ndpi && !u->ndpi))
		ulp_free(&u);
	return u;
}

void
ulp_free(struct ulp **up)
{
	struct ulp *u = *up;

	*up = NULL;
	if (!u)
		return;
	app_ndpi_free(&u->ndpi);
	app_shared_free(&u->shared);
	stream_pool_free(&u->streams);
	free(u);
}

void
ulp_settle(struct ulp *u)
{
	if (u->ndpi)
		app_ndpi_settle(u->ndpi);
}

bool
ulp_holds(const struct ulp *u, const struct flow *f)
{
	return app_holds(f) || (u->ndpi && app_ndpi_holds(u->ndpi, f));
}

void
ulp_release(struct ulp *u, struct flow *f)
{
	app_release(f);
	if (u->ndpi)
		app_ndpi_forget(u->ndpi, f);
	stream_release(u->streams, f);
}

const char *
ulp_name(const struct ulp *u, const struct flow *f)
{
	const char *name = u->ndpi && (!f->app || f->app == APP_OTHER) ?
	    app_ndpi_name(u->ndpi, f->app_name) : "";

	return *name ? name : app_protocol_name(f->app);
}
