/* engine.c - one packet through everything, and time.
 *
 * The hard part is time. It comes from the packets (intake.h says how), and files
 * begin hours apart. Steps of one second alternate with the packets, so that what
 * is judged when depends on the packets alone. */
#include "capture/engine.h"

#include <stdlib.h>
#include <string.h>

#include "capture/intake.h"
#include "capture/ulp.h"

/* Beyond BREAK_NS without a frame the capture was not one; between two files,
 * beyond FILE_BREAK_NS: a ring of files follows on at once, or after some quiet
 * minutes. */
#define BREAK_NS (86400 * NS_PER_S)
#define FILE_BREAK_NS (600 * NS_PER_S)

/* More flows than this that have ended are not kept until the step is due: a
 * flood of SYNs would grow with its rate. */
enum { ENDED_MAX = 262144 };

/* A flow that said nothing for so long may be laid to rest at the end of a step. It
 * costs less to wake it again than to come back to it in the next step. */
#define TIRED_NS (250 * NS_PER_MS)

/* So many flows before its turn one is fetched from memory. */
enum { AHEAD = 16 };

/* Two ways into one capture, queues of a card, clocks of two processors: frames
 * may come this late and still be in order, as far as anyone here cares. */
#define DISORDER_NS (200 * NS_PER_MS)
enum { ID_STEPS_BACK = 1024 };

/* One side only, after this many acknowledging packets, is a mirror's doing. */
enum { ONE_WAY_PACKETS = 3 };

struct watch {
	struct timer timer;
	struct engine *engine;
	struct flow *flow;
	struct watch *unused_next;
};

struct touched {
	uint64_t id;			/* the flow's */
	struct flow *flow;
};

struct engine {
	struct engine_config config;
	struct engine_observer observer;
	struct clock *clock;
	struct flow_pool *pool;
	struct flow_table *flows;
	struct host_table *hosts;
	struct intake *intake;
	struct batch *batch;		/* where one thread does it all */
	struct ulp *ulp;
	struct engine_deferral deferral;	/* catch_up NULL: nothing is deferred */
	struct batch *deferring;	/* the one in hand, where it is */
	struct delivery delivery;	/* in hand, where it is not */
	struct watch *unused_watches;
	struct touched *touched, *touched_spare;	/* both have the slots */
	struct flow **touched_flows;	/* likewise: in order, in a step */
	uint32_t *tiring;		/* likewise: numbers of those of the last
					 * step that were not laid to rest */
	size_t touched_count, touched_slots, tiring_count;
	struct capture_stats stats;
	struct instant step_end, last_step, last_packet;
	struct instant stamp;		/* of the frame in hand */
	uint32_t foreseen;		/* its flow's number, as it seemed; 0: none */
	size_t ended_count;
};

static void flow_left(void *context, struct flow *);
static void catch_up(struct engine *);
static void finish_flows(struct engine *, struct instant now);

static void
apply_defaults(struct engine_config *c)
{
	if (!c->awake_flows)
		c->awake_flows = 32768;
	if (!c->flow_limit)
		c->flow_limit = 1000000;
	if (!c->host_limit)
		c->host_limit = 65536;
	if (!c->stream_bytes)
		c->stream_bytes = (size_t)64 << 20;
	if (!c->fragment_bytes)
		c->fragment_bytes = (size_t)4 << 20;
}

struct engine *
engine_new(const struct engine_config *config,
    const struct engine_observer *observer)
{
	struct engine *e = calloc(1, sizeof(*e));
	struct ulp_observer upper;

	if (!e)
		return NULL;
	if (config)
		e->config = *config;
	apply_defaults(&e->config);
	if (observer)
		e->observer = *observer;
	upper = (struct ulp_observer){ e->observer.context,
		e->observer.on_delivery, e->observer.on_app };
	e->stats.link_type = -1;
	e->clock = clock_new();
	e->pool = flow_pool_new();
	e->flows = e->pool ? flow_table_new(e->config.flow_limit, e->pool) : NULL;
	e->hosts = host_table_new(e->config.host_limit);
	e->intake = intake_new(e->config.fragment_bytes, e->flows);
	e->batch = batches_new(1, 0);
	e->ulp = ulp_new(e->pool, e->config.stream_bytes,
	    e->config.name_with_ndpi, &upper);
	if (!e->clock || !e->flows || !e->hosts || !e->intake || !e->batch ||
	    !e->ulp) {
		engine_free(&e);
		return NULL;
	}
	flow_table_on_end(e->flows, flow_left, e);
	return e;
}

static void
watch_give(struct engine *e, struct flow *f)
{
	struct watch *w = f->watch;

	if (!w)
		return;
	clock_disarm(e->clock, &w->timer);
	w->unused_next = e->unused_watches;
	e->unused_watches = w;
	f->watch = NULL;
}

/* Of which the upper layers know nothing (any more). */
static void
drop_flow(struct engine *e, struct flow *f)
{
	watch_give(e, f);
	for (int s = CLIENT; s <= SERVER; s++) {
		if (!f->host[s])
			continue;
		f->host[s]->flows--;
		host_let_go(e->hosts, f->host[s]);
	}
	flow_release(e->pool, f);
}

static void
flow_dispose(struct engine *e, struct flow *f)
{
	ulp_release(e->ulp, f);
	drop_flow(e, f);
}

static void
dispose_all(struct engine *e)
{
	e->observer = (struct engine_observer){ 0 };
	if (e->flows && e->ulp)
		finish_flows(e, (struct instant){ 0 });
}

void
engine_free(struct engine **ep)
{
	struct engine *e = *ep;

	*ep = NULL;
	if (!e)
		return;
	dispose_all(e);
	while (e->unused_watches) {
		struct watch *w = e->unused_watches;

		e->unused_watches = w->unused_next;
		free(w);
	}
	free(e->touched);
	free(e->touched_spare);
	free(e->touched_flows);
	free(e->tiring);
	ulp_free(&e->ulp);
	batches_free(&e->batch, 1);
	intake_free(&e->intake);
	host_table_free(&e->hosts);
	flow_table_free(&e->flows);
	flow_pool_free(&e->pool);
	clock_free(&e->clock);
	free(e);
}

/* --- touched flows and wakes ------------------------------------------------ */

/* In both arrays at once, so that there is nothing left to fail in the step. */
static bool
touched_grow(struct engine *e)
{
	size_t more = e->touched_slots ? e->touched_slots * 2 : 1024;
	struct touched *touched = realloc(e->touched, more * sizeof(*touched));
	struct touched *spare;
	struct flow **flows;
	uint32_t *tiring;

	if (touched)
		e->touched = touched;
	spare = realloc(e->touched_spare, more * sizeof(*spare));
	if (spare)
		e->touched_spare = spare;
	flows = realloc(e->touched_flows, more * sizeof(*flows));
	if (flows)
		e->touched_flows = flows;
	tiring = realloc(e->tiring, more * sizeof(*tiring));
	if (tiring)
		e->tiring = tiring;
	if (!touched || !spare || !flows || !tiring)
		return false;
	e->touched_slots = more;
	return true;
}

/* Out of memory, a flow may go unreviewed in this step. */
static __attribute__((noinline)) void
list_touched(struct engine *e, struct flow *f)
{
	if (e->touched_count == e->touched_slots && !touched_grow(e))
		return;
	f->flags |= FLOW_TOUCHED;
	e->touched[e->touched_count++] = (struct touched){ f->id, f };
}

void
engine_touch(struct engine *e, struct flow *f)
{
	if (!(f->flags & FLOW_TOUCHED))
		list_touched(e, f);
}

static void
wake_flow(struct timer *t, struct instant now)
{
	struct watch *w = (struct watch *)t;	/* its first member */

	(void)now;
	engine_touch(w->engine, w->flow);
}

void
engine_wake(struct engine *e, struct flow *f, struct instant at)
{
	struct watch *w = f->watch;

	if (f->flags & FLOW_ENDED)
		return;
	if (w && timer_is_armed(&w->timer) && !instant_before(at, w->timer.at))
		return;
	if (!w) {
		w = e->unused_watches;
		if (w)
			e->unused_watches = w->unused_next;
		else
			w = calloc(1, sizeof(*w));
		if (!w)
			return;
		memset(w, 0, sizeof(*w));
		w->timer.fire = wake_flow;
		w->engine = e;
		w->flow = f;
		f->watch = w;
	}
	clock_disarm(e->clock, &w->timer);
	clock_arm(e->clock, &w->timer, at);
}

/* One SYN, and one answer or none, without data, that were seen in a step before:
 * there is nothing more to be said of it, and in a flood there are millions. */
static bool
was_nothing(const struct flow *f)
{
	const struct tcp_half *c = &f->half[CLIENT], *v = &f->half[SERVER];

	return f->protocol == IP_TCP && f->state == FLOW_NEW && c->syns == 1 &&
	    c->packets == 1 && v->packets == v->syns && v->syns <= 1 &&
	    !c->bytes && !v->bytes && !f->outcome && !f->notes && !f->marks;
}

static void
flow_left(void *context, struct flow *f)
{
	struct engine *e = context;

	if (!(f->flags & FLOW_TOUCHED) && !e->config.all_ends && was_nothing(f)) {
		if (e->observer.on_forgotten)
			e->observer.on_forgotten(e->observer.context, f);
		drop_flow(e, f);
		return;
	}
	engine_touch(e, f);
	e->ended_count++;
}

/* --- the step phase ------------------------------------------------------------ */

/* By id, digit by digit from the lowest: the step phase must not depend on the
 * order in which flows were touched. */
static void
sort_touched(struct engine *e)
{
	enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };
	uint64_t highest = 0;
	bool sorted = true;

	for (size_t i = 0; i < e->touched_count; i++) {
		sorted &= e->touched[i].id >= highest;
		if (highest < e->touched[i].id)
			highest = e->touched[i].id;
	}
	for (unsigned shift = 0; !sorted && shift < 64 && highest >> shift;
	    shift += DIGIT_BITS) {
		struct touched *from = e->touched, *to = e->touched_spare;
		size_t at[DIGITS + 1] = { 0 };

		for (size_t i = 0; i < e->touched_count; i++)
			at[(from[i].id >> shift & (DIGITS - 1)) + 1]++;
		for (size_t d = 1; d < DIGITS; d++)
			at[d] += at[d - 1];
		for (size_t i = 0; i < e->touched_count; i++)
			to[at[from[i].id >> shift & (DIGITS - 1)]++] = from[i];
		e->touched = to;
		e->touched_spare = from;
	}
	for (size_t i = 0; i < e->touched_count; i++)
		e->touched_flows[i] = e->touched[i].flow;
}

static void
report_ended(struct engine *e)
{
	for (size_t i = 0; e->observer.on_flow_end && i < e->touched_count; i++)
		if (e->touched_flows[i]->flags & FLOW_ENDED)
			e->observer.on_flow_end(e->observer.context,
			    e->touched_flows[i]);
}

/* Has anybody else a pointer to it? */
static bool
is_held(const struct engine *e, const struct flow *f)
{
	return (f->watch && timer_is_armed(&f->watch->timer)) ||
	    ulp_holds(e->ulp, f);
}

/* False: not yet. A handshake is over soon, one way or the other. */
static bool
lay_to_rest(struct engine *e, struct flow *f, struct instant now)
{
	if (f->state == FLOW_NEW || instant_since(now, f->last) < TIRED_NS ||
	    is_held(e, f))
		return false;
	watch_give(e, f);
	flow_rest(e->pool, f);
	return true;
}

static void
lay_tired_to_rest(struct engine *e, struct instant now)
{
	for (size_t i = 0; i < e->tiring_count; i++) {
		struct flow *f = flow_awake(e->pool, e->tiring[i]);

		if (i + AHEAD < e->tiring_count)
			flow_prefetch(e->flows, e->tiring[i + AHEAD]);
		if (f && !(f->flags & (FLOW_TOUCHED | FLOW_ENDED)))
			lay_to_rest(e, f, now);
	}
	e->tiring_count = 0;
}

/* Of a half-open flow that stays the first line is all that is asked for. */
static void
fetch_touched(const struct touched *t, size_t left)
{
	if (left > 2 * AHEAD)
		fetch_line(t[2 * AHEAD].flow);
	if (left > AHEAD && t[AHEAD].flow->state != FLOW_NEW)
		flow_fetch(t[AHEAD].flow);
}

/* What observers touched meanwhile stands behind the `seen` ones, and stays for
 * the next step. */
static void
let_touched_go(struct engine *e, size_t seen, struct instant now)
{
	bool crowded = flow_pool_count(e->pool) > e->config.awake_flows;

	lay_tired_to_rest(e, now);
	for (size_t i = 0; i < seen; i++) {
		struct flow *f = e->touched[i].flow;

		if (crowded)
			fetch_touched(e->touched + i, seen - i);
		f->flags &= ~(uint32_t)FLOW_TOUCHED;
		if (f->flags & FLOW_ENDED)
			flow_dispose(e, f);
		else if (crowded && f->state != FLOW_NEW &&
		    !lay_to_rest(e, f, now))
			e->tiring[e->tiring_count++] = f->number;
	}
	e->touched_count -= seen;
	if (e->touched_count)
		memmove(e->touched, e->touched + seen,
		    e->touched_count * sizeof(*e->touched));
	e->ended_count = 0;
}

static void
run_step(struct engine *e, struct instant now)
{
	size_t seen;

	catch_up(e);
	ulp_settle(e->ulp);
	flow_expire(e->flows, now);
	sort_touched(e);
	seen = e->touched_count;
	report_ended(e);
	if (e->observer.on_step)
		e->observer.on_step(e->observer.context, e, now);
	host_table_step_over(e->hosts);
	let_touched_go(e, seen, now);
	e->last_step = now;
}

/* What is open ends, portion by portion, each with a step of its own. */
static void
finish_flows(struct engine *e, struct instant now)
{
	bool more;

	do {
		more = flow_finish_some(e->flows, FLOW_END_CAPTURE);
		run_step(e, now);
	} while (more);
}

/* The longer nothing came, the longer the strides: a capture that pauses for a
 * night must not cost a step for each of its seconds, nor a corrupt stamp that
 * leaps a century. */
static int64_t
stride(const struct engine *e)
{
	int64_t quiet = instant_since(e->step_end, e->last_packet);

	if (quiet < 60 * NS_PER_S)
		return ENGINE_STEP_NS;
	if (quiet < 3600 * NS_PER_S)
		return 10 * NS_PER_S;
	return quiet < 86400 * NS_PER_S ? 60 * NS_PER_S : 3600 * NS_PER_S;
}

/* Two captures, not one silence: what was open ends with the first. */
static void
take_break(struct engine *e, struct instant t)
{
	/* a live one may end in the second in which it began */
	struct instant end = instant_before(t, e->step_end) ? t : e->step_end;

	clock_advance(e->clock, end);
	run_step(e, end);
	finish_flows(e, end);
	e->stats.resumed = t;
	e->step_end.ns = t.ns - t.ns % ENGINE_STEP_NS + ENGINE_STEP_NS;
}

/* Out of the way of the packets in between. */
static __attribute__((noinline)) void
take_steps(struct engine *e, struct instant t, int64_t break_ns)
{
	if (instant_is_set(e->step_end) &&
	    instant_since(t, e->last_packet) > break_ns) {
		take_break(e, t);
	} else if (!instant_is_set(e->step_end)) {
		e->step_end.ns = t.ns - t.ns % ENGINE_STEP_NS + ENGINE_STEP_NS;
		e->last_packet = t;
	}
	while (!instant_before(t, e->step_end)) {
		clock_advance(e->clock, e->step_end);
		run_step(e, e->step_end);
		e->step_end.ns += stride(e);
	}
}

static void
advance(struct engine *e, struct instant t, int64_t break_ns)
{
	if (!instant_before(t, e->step_end) ||
	    instant_since(t, e->last_packet) > break_ns)
		take_steps(e, t, break_ns);
	clock_advance(e->clock, t);
}

static void
note_regression(struct capture_stats *s, int64_t back)
{
	if (back > 0)
		s->time_regressions++;
	if (back > DISORDER_NS)
		s->misdated++;
	if (back > s->worst_regression_ns)
		s->worst_regression_ns = back;
}

/* --- the packet phase ----------------------------------------------------------- */

static void
note_extent(struct capture_stats *s, const struct arrival *a)
{
	const struct packet *p = &a->packet;

	s->packets++;
	s->file = p->file;
	s->bytes += p->wire_bytes;
	s->snap_cut += p->wire_bytes > p->captured_bytes;
	if (!instant_is_set(s->first) || instant_before(a->stamp, s->first))
		s->first = a->stamp;
	if (instant_before(s->last, a->stamp) &&
	    instant_since(a->stamp, p->time) <= INTAKE_LEAP_NS)	/* else a stray one */
		s->last = a->stamp;
	if (s->link_type == -1)
		s->link_type = a->link_type;
	else if (s->link_type != a->link_type)
		s->mixed_link_types = true;
}

static void
note_result(struct capture_stats *s, enum decode_result r)
{
	s->decode[r]++;
	if (r == DECODE_TRUNCATED)
		s->truncated++;
	else if (r == DECODE_NON_IP)
		s->non_ip++;
	else if (r != DECODE_OK)
		s->decode_errors++;
}

static void
note_coalesced(struct engine *e, const struct flow *f, const struct segment *seg)
{
	uint16_t mss = f->half[other_side(seg->side)].mss;

	if (!mss || seg->packet->payload_bytes <= mss)
		return;
	if (!e->stats.coalesced++)
		e->stats.first_coalesced_frame = seg->packet->frame;
}

/* Is only one side of this flow mirrored? Its acknowledgments move, so the
 * other side speaks; we just do not hear it. */
static void
note_ways(struct engine *e, struct flow *f)
{
	bool c = f->half[CLIENT].flags & HALF_SEEN;
	bool v = f->half[SERVER].flags & HALF_SEEN;
	const struct tcp_half *seen = &f->half[c ? CLIENT : SERVER];

	if (c && v) {
		if (f->flags & FLOW_COUNTED_TWO_WAY || f->state == FLOW_NEW)
			return;
		f->flags |= FLOW_COUNTED_TWO_WAY;
		e->stats.flows_two_way++;
		if (f->flags & FLOW_COUNTED_ONE_WAY)
			e->stats.flows_one_way--;
	} else if (!(f->flags & FLOW_COUNTED_ONE_WAY) && seen->flags & HALF_ACKED
	    && seen->packets >= ONE_WAY_PACKETS && f->state != FLOW_NEW) {
		f->flags |= FLOW_COUNTED_ONE_WAY;
		e->stats.flows_one_way++;
	}
}

/* Did it come long after what was sent or acknowledged later? Data that fills a
 * hole which its receiver closed; or what repeats earlier numbers under an IP ID
 * from before, where a new sending would have a new one. */
static bool
is_disordered(const struct flow *f, const struct segment *seg)
{
	const struct tcp_half *peer = &f->half[other_side(seg->side)];
	const struct packet *p = seg->packet;
	int16_t step = (int16_t)(p->ip_id - seg->ip_id_before);

	if (seg->facts & SEG_DAMAGED || !instant_is_set(seg->last_before))
		return false;
	if (seg->facts & SEG_LATE &&
	    !seq_after(p->seq + p->payload_bytes, peer->acked) &&
	    instant_since(p->time, peer->last_advance) > DISORDER_NS)
		return true;
	return seg->facts & (SEG_AGAIN | SEG_LATE | SEG_ACK_BACK) && p->ip_id &&
	    step < 0 && step > -ID_STEPS_BACK &&
	    instant_since(p->time, seg->last_before) > DISORDER_NS;
}

static void
note_quality(struct engine *e, struct flow *f, const struct segment *seg)
{
	struct capture_stats *s = &e->stats;

	if (seg->facts & SEG_ACKS)
		s->acked_bytes += seg->acked_bytes;
	if (seg->lost_bytes) {
		s->lost_bytes += seg->lost_bytes;
		if (!s->lost_events++)
			s->first_lost_frame = seg->packet->frame;
	}
	s->disordered += is_disordered(f, seg);
	note_coalesced(e, f, seg);
	note_ways(e, f);
}

static bool
has_accepted(struct engine *e, const struct address *a)
{
	const struct host *h = host_of(e->hosts, a, false);

	return h && host_ever(h).syn_ack_out;
}

/* Who is the server when no SYN tells: whom the configuration names, who is
 * known to accept connections, who speaks from the well-known port. */
static enum side
guess_sender(struct engine *e, const struct packet *p)
{
	bool src, dst;

	if (e->config.is_server) {
		bool s = e->config.is_server(e->config.context, &p->src, p->sport);
		bool d = e->config.is_server(e->config.context, &p->dst, p->dport);

		if (s != d)
			return s ? SERVER : CLIENT;
	}
	if ((p->sport < 1024) != (p->dport < 1024))
		return p->sport < 1024 ? SERVER : CLIENT;
	src = has_accepted(e, &p->src);
	dst = has_accepted(e, &p->dst);
	if (src != dst)
		return src ? SERVER : CLIENT;
	return p->sport < p->dport ? SERVER : CLIENT;
}

static struct flow *
new_flow(struct engine *e, const struct packet *p, struct instant now,
    const struct flow *before)
{
	enum side sender;
	struct flow *f;

	if (p->protocol == IP_TCP && p->tcp_flags & TCP_SYN)
		sender = p->tcp_flags & TCP_ACK ? SERVER : CLIENT;
	else if (p->protocol == IP_UDP)
		sender = CLIENT;
	else
		sender = guess_sender(e, p);
	f = flow_create(e->flows, p, sender);
	if (!f)
		return NULL;
	if (p->protocol == IP_TCP && !(p->tcp_flags & TCP_SYN))
		f->flags |= FLOW_GUESSED;
	if (p->tunnels)
		f->flags |= FLOW_TUNNELLED;
	f->began = f->last = now;
	if (before && p->tcp_flags & TCP_ACK)
		tcp_adopt_syn(f, before);
	return f;
}

static void
hold_host(struct engine *e, struct flow *f, enum side s, bool make)
{
	if (f->host[s])
		return;
	f->host[s] = host_of(e->hosts, &f->addr[s], make);
	if (f->host[s])
		f->host[s]->flows++;
}

/* Where there was no room for it, there is none before the step is over. */
static bool
seeks_client(const struct flow *f)
{
	return !f->host[CLIENT] &&
	    (f->state == FLOW_NEW || !(f->flags & FLOW_TOUCHED));
}

/* A segment that surely is damaged, so that even whose it is cannot be told: no
 * flow begins with it. */
static bool
is_debris(struct engine *e, const struct packet *p)
{
	const struct host *from;

	if (p->ip_damaged)
		return true;
	if (p->checksum != CHECKSUM_BAD)
		return false;
	from = host_of(e->hosts, &p->src, false);
	return from && host_sums_are_sound(from);
}

/* The flow of a TCP packet, after settling whether it begins a new one. */
static struct flow *
tcp_flow(struct engine *e, const struct packet *p, struct instant now,
    enum side *side)
{
	struct flow *f, *old = flow_find_foreseen(e->flows, e->foreseen, p, side);

	if ((old && !tcp_begins_anew(old, p, *side)) || is_debris(e, p))
		return old;
	f = new_flow(e, p, now, old);
	if (old)
		flow_finish(e->flows, old, FLOW_END_REUSED);
	if (f)
		*side = memcmp(f->addr[CLIENT].octet, p->src.octet,
		    sizeof(p->src.octet)) == 0 && f->port[CLIENT] == p->sport ?
		    CLIENT : SERVER;
	return f;
}

/* --packets wants every TCP packet, copies too, as it was stamped. */
static void
show_raw(struct engine *e, const struct packet *p, const struct flow *f,
    bool copy)
{
	struct packet raw = *p;

	raw.time = e->stamp;
	e->observer.on_raw_tcp(e->observer.context, &raw, f ? f->id : 0, copy);
}

static void
show_copy(struct engine *e, const struct packet *p)
{
	enum side side;

	if (e->observer.on_raw_tcp && packet_is_tcp(p))
		show_raw(e, p, flow_find(e->flows, p, &side), true);
}

/* Where deliveries are deferred, this one waits in its batch with the others. Until
 * it is taken its flow stays, as one that was touched does until the step is over;
 * if there was no memory for that, it is taken now. */
static void
deliver(struct engine *e, const struct packet *p, struct flow *f, enum side side,
    const struct segment *seg)
{
	struct batch *b = e->deferring;
	struct delivery *d = b ? &b->delivery[b->deliveries] : &e->delivery;

	delivery_make(d, p, f, side, seg);
	if (!b) {
		ulp_take(e->ulp, d);
		return;
	}
	b->deliveries++;
	if (f && !(f->flags & FLOW_TOUCHED))
		catch_up(e);
}

static void
take_tcp(struct engine *e, const struct packet *p, struct instant now)
{
	struct segment seg;
	enum side side;
	struct flow *f = tcp_flow(e, p, now, &side);

	e->stats.tcp_packets++;
	if (e->observer.on_raw_tcp)
		show_raw(e, p, f, false);
	if (!f)
		return;
	tcp_segment(e->pool, f, p, side, now, &seg);
	flow_heard(e->flows, f, now);
	hold_host(e, f, SERVER, true);
	if (seeks_client(f) || seg.facts & SEG_ESTABLISHES)
		hold_host(e, f, CLIENT, f->state != FLOW_NEW);
	engine_touch(e, f);
	host_count(e->hosts, f->host[side], f->host[other_side(side)], p, &seg, now);
	note_quality(e, f, &seg);
	if (e->observer.on_segment)
		e->observer.on_segment(e->observer.context, f, &seg);
	deliver(e, p, f, side, &seg);
}

static void
count_datagram_half(struct flow *f, enum side side, const struct packet *p,
    struct instant now)
{
	struct tcp_half *h = &f->half[side];

	h->flags |= HALF_SEEN | (p->payload_bytes ? HALF_DATA : 0);
	h->packets++;
	h->bytes += p->payload_bytes;
	h->last = h->last_data = now;
	h->ttl = p->ttl;
	h->ip_id = p->ip_id;
}

static void
take_datagram(struct engine *e, const struct packet *p, struct instant now)
{
	struct host *from = host_of(e->hosts, &p->src, true);
	struct host *to = host_of(e->hosts, &p->dst, true);
	enum side side = CLIENT;
	struct flow *f = NULL;

	host_count(e->hosts, from, to, p, NULL, now);
	if (p->protocol == IP_UDP && p->has_transport) {
		e->stats.udp_packets++;
		f = flow_find_foreseen(e->flows, e->foreseen, p, &side);
		if (!f) {
			f = new_flow(e, p, now, NULL);
			side = CLIENT;
		}
		if (!f)
			return;
		count_datagram_half(f, side, p, now);
		flow_heard(e->flows, f, now);
		engine_touch(e, f);
		hold_host(e, f, SERVER, false);
		hold_host(e, f, CLIENT, false);
	}
	deliver(e, p, f, side, NULL);
}

static void
take_arp(struct engine *e, const struct packet *p, struct instant now)
{
	/* an ARP request is for the target, whoever the frame was sent to */
	struct host *from = host_of(e->hosts, &p->arp_sender, true);
	struct host *to = host_of(e->hosts, &p->arp_target, true);

	host_count(e->hosts, from, from == to ? NULL : to, p, NULL, now);
}

static void
dispatch(struct engine *e, const struct packet *p, struct instant now)
{
	if (e->observer.on_packet)
		e->observer.on_packet(e->observer.context, p);
	if (p->arp)
		take_arp(e, p, now);
	else if (packet_is_tcp(p))
		take_tcp(e, p, now);
	else if (p->ip_version && !p->ip_damaged)
		take_datagram(e, p, now);
}

static void
note_copy(struct engine *e, const struct packet *p)
{
	if (!e->stats.duplicates++)
		e->stats.first_duplicate_frame = p->frame;
	show_copy(e, p);
}

static void
take(struct engine *e, const struct arrival *a)
{
	const struct packet *p = &a->packet;
	bool next_file = e->stats.packets && e->stats.file != p->file;

	note_regression(&e->stats, a->regression_ns);
	note_extent(&e->stats, a);
	advance(e, p->time, next_file ? FILE_BREAK_NS : BREAK_NS);
	e->last_packet = p->time;
	note_result(&e->stats, a->result);
	e->stats.damaged += p->ip_damaged;
	e->stats.fragments += a->is_piece;
	e->stamp = a->stamp;
	if (a->is_copy)
		note_copy(e, p);
	if (a->is_copy || a->is_swallowed)
		return;
	dispatch(e, p, p->time);
	if (e->ended_count > ENDED_MAX)
		run_step(e, p->time);
}

/* --- batches ------------------------------------------------------------------ */

/* What hangs off a flow. Records of flows stay mapped, and fetching what is no
 * longer there does no harm; what never was costs a walk through page tables. */
static void
fetch_more(const struct engine *e, const struct flow *f, const struct packet *p)
{
	enum side side = f->port[CLIENT] == p->sport ? CLIENT : SERVER;

	if (!e->deferring)
		ulp_fetch(f);
	fetch_first(f->notes);
	host_fetch(f->host[side], true);
	host_fetch(f->host[other_side(side)], false);
	if (seeks_client(f))
		host_prepare(e->hosts, &f->addr[CLIENT]);
	if (!f->host[SERVER])
		host_prepare(e->hosts, &f->addr[SERVER]);
}

/* Those of a datagram are looked up, and those of a new flow will be. */
static void
prepare_hosts(const struct engine *e, const struct packet *p)
{
	if (!p->ip_version)
		return;
	host_prepare(e->hosts, &p->src);
	host_prepare(e->hosts, &p->dst);
}

static void
take_tick(struct engine *e, struct instant now)
{
	if (instant_is_set(e->step_end))
		advance(e, intake_clamped(now), BREAK_NS);
}

static void
take_blindness(struct engine *e, struct instant now)
{
	if (!instant_is_set(e->step_end))
		return;
	take_tick(e, now);
	now = clock_now(e->clock);
	run_step(e, now);
	finish_flows(e, now);
	e->stats.resumed = now;
}

/* Packets of a batch, some at a time. */
struct group {
	struct engine *engine;
	struct batch *batch;
	size_t first, end;		/* arrivals */
	uint32_t *number;		/* of their flows, as it seems: they may leave
					 * meanwhile; 0: none */
};

/* What another thread has made of frames is in that one's cache. */
static void
fetch_arrivals(const struct group *g)
{
	for (size_t i = g->first; g->batch->kept && i < g->end; i++)
		fetch_to_read(&g->batch->arrival[i], ARRIVAL_FRONT_BYTES);
}

static void
fetch_entries(const struct group *g)
{
	for (size_t i = g->first; i < g->end; i++) {
		const struct packet *p = &g->batch->arrival[i].packet;

		if (g->batch->kept)
			fetch_to_read(p->payload.at, 1);
		if (p->flow_hash)
			flow_prepare(g->engine->flows, p);
	}
}

static void
fetch_places(const struct group *g)
{
	for (size_t i = g->first; i < g->end; i++) {
		const struct packet *p = &g->batch->arrival[i].packet;

		g->number[i] = p->flow_hash ? flow_foresee(g->engine->flows, p) : 0;
	}
}

static void
fetch_flows(const struct group *g)
{
	for (size_t i = g->first; i < g->end; i++)
		if (g->number[i])
			flow_prefetch(g->engine->flows, g->number[i]);
}

static void
fetch_rest(const struct group *g)
{
	for (size_t i = g->first; i < g->end; i++) {
		const struct packet *p = &g->batch->arrival[i].packet;
		const struct flow *f = g->number[i] ?
		    flow_foreseen(g->engine->flows, g->number[i]) : NULL;

		if (f)
			fetch_more(g->engine, f, p);
		if (!f || f->protocol != IP_TCP)
			prepare_hosts(g->engine, p);
	}
}

/* Where there is a flow, its hosts are known by now, if there is room for them. */
static void
fetch_hosts(const struct group *g)
{
	const struct engine *e = g->engine;

	for (size_t i = g->first; i < g->end; i++) {
		const struct packet *p = &g->batch->arrival[i].packet;
		const struct flow *f = g->number[i] && p->protocol == IP_TCP ?
		    flow_awake(e->pool, g->number[i]) : NULL;

		if (f && seeks_client(f))
			host_foresee(e->hosts, &f->addr[CLIENT]);
		if (f || !p->ip_version)
			continue;
		host_foresee(e->hosts, &p->src);
		host_foresee(e->hosts, &p->dst);
	}
}

static void
take_group(const struct group *g)
{
	for (size_t i = g->first; i < g->end; i++) {
		g->engine->foreseen = g->number[i];
		take(g->engine, &g->batch->arrival[i]);
	}
}

/* Each way goes through memory from one thing to the next. So all of a batch's
 * groups are on it at a time, one step apart: what one asks for has come by its
 * next step. */
static void (*const ways[])(const struct group *) = { fetch_arrivals, fetch_entries,
	fetch_places, fetch_flows, fetch_rest, fetch_hosts, take_group };

void
engine_batch(struct engine *e, struct batch *b)
{
	/* a quarter of a full batch: time enough for memory, and not yet so much that
	 * what came is gone again */
	enum { WAYS = sizeof(ways) / sizeof(ways[0]), GROUP = 32 };
	uint32_t number[1 + INTAKE_FRAMES];
	bool defers = e->deferral.catch_up && b->kept;

	if (!defers)
		catch_up(e);
	e->deferring = defers ? b : NULL;
	for (size_t n = b->first; n < b->end + (WAYS - 1) * GROUP; n += GROUP)
		for (size_t i = 0; i < WAYS && n >= b->first + i * GROUP; i++) {
			size_t first = n - i * GROUP, end = first + GROUP;

			if (first < b->end)
				ways[i](&(struct group){ e, b, first,
				    end < b->end ? end : b->end, number });
		}
	if (b->result == SOURCE_IDLE)
		take_tick(e, b->time);
	else if (b->result == SOURCE_BREAK)
		take_blindness(e, b->time);
	e->deferring = NULL;
}

struct intake *
engine_intake(struct engine *e)
{
	return e->intake;
}

/* --- deliveries, deferred ------------------------------------------------------- */

bool
engine_defer(struct engine *e, const struct engine_deferral *d)
{
	if (d && e->observer.on_raw_tcp)
		return false;
	catch_up(e);
	e->deferral = d ? *d : (struct engine_deferral){ 0 };
	return true;
}

static void
catch_up(struct engine *e)
{
	if (e->deferral.catch_up)
		e->deferral.catch_up(e->deferral.context);
}

/* Another processor has written the deliveries, and what they point to lies
 * anywhere. So each is asked for some places before its turn, then what it points
 * to, then what that does. */
enum { DELIVERY_FIRST = 24, DELIVERY_SECOND = 16, DELIVERY_THIRD = 8,
    PACKET_LINES = 3 };		/* what is asked of an ordinary one */

static void
fetch_second(const struct delivery *d)
{
	fetch_to_read(d->packet, PACKET_LINES * CACHE_LINE_BYTES);
	if (d->flow)
		ulp_fetch_first(d->flow);
}

static void
fetch_third(const struct delivery *d)
{
	fetch_to_read(d->packet->payload.at, 1);
	if (d->flow)
		ulp_fetch(d->flow);
}

void
engine_deliver(struct engine *e, struct batch *b)
{
	const struct delivery *d = b->delivery;
	size_t n = b->deliveries, at = b->delivered;

	fetch_to_read(&d[at], (n - at < DELIVERY_FIRST ? n - at : DELIVERY_FIRST) *
	    sizeof(*d));
	for (size_t i = at; i < n && i < at + DELIVERY_SECOND; i++)
		fetch_second(&d[i]);
	for (size_t i = at; i < n && i < at + DELIVERY_THIRD; i++)
		fetch_third(&d[i]);
	for (; at < n; at++) {
		if (at + DELIVERY_FIRST < n)
			fetch_to_read(&d[at + DELIVERY_FIRST], 1);
		if (at + DELIVERY_SECOND < n)
			fetch_second(&d[at + DELIVERY_SECOND]);
		if (at + DELIVERY_THIRD < n)
			fetch_third(&d[at + DELIVERY_THIRD]);
		ulp_take(e->ulp, &d[at]);
	}
	b->delivered = n;
}

/* --- all in one thread --------------------------------------------------------- */

static void
through(struct engine *e)
{
	intake_decode(e->intake, e->batch);
	intake_settle(e->intake, e->batch);
	engine_batch(e, e->batch);
	batch_clear(e->batch);
}

void
engine_frames(struct engine *e, const struct frame *fr, size_t count)
{
	while (count) {
		for (size_t n = 0; count && n < INTAKE_FRAMES; n++, fr++, count--)
			batch_add(e->batch, fr, false);
		through(e);
	}
}

void
engine_frame(struct engine *e, const struct frame *fr)
{
	engine_frames(e, fr, 1);
}

static void
tell(struct engine *e, enum source_result what, struct instant now)
{
	e->batch->result = what;
	e->batch->time = now;
	through(e);
}

void
engine_idle(struct engine *e, struct instant now)
{
	tell(e, SOURCE_IDLE, now);
}

void
engine_break(struct engine *e, struct instant now)
{
	tell(e, SOURCE_BREAK, now);
}

void
engine_note_missed(struct engine *e, uint64_t dropped, bool blind)
{
	e->stats.dropped = dropped;
	e->stats.blind = blind;
}

void
engine_finish(struct engine *e)
{
	struct instant now;

	tell(e, SOURCE_END, (struct instant){ 0 });
	now = clock_now(e->clock);
	if (!instant_is_set(now))
		return;
	run_step(e, now);
	finish_flows(e, now);
}

/* --- what observers may ask -------------------------------------------------------- */

struct flow *const *
engine_touched_flows(struct engine *e, size_t *count)
{
	*count = e->touched_count;
	return e->touched_flows;
}

struct host *const *
engine_touched_hosts(struct engine *e, size_t *count)
{
	return host_table_touched(e->hosts, count);
}

struct host_table *
engine_hosts(struct engine *e)
{
	return e->hosts;
}

struct flow_pool *
engine_pool(struct engine *e)
{
	return e->pool;
}

const char *
engine_app_name(const struct engine *e, const struct flow *f)
{
	return ulp_name(e->ulp, f);
}

const struct capture_stats *
engine_stats(const struct engine *e)
{
	return &e->stats;
}

void
engine_flow_stats(const struct engine *e, struct flow_stats *out)
{
	flow_table_stats(e->flows, out);
}

double
capture_dropped_share(const struct capture_stats *s)
{
	return s->dropped ? (double)s->dropped /
	    (double)(s->dropped + s->packets) : 0;
}

double
capture_lost_share(const struct capture_stats *s)
{
	/* A keep-alive can tell of bytes that no ACK was seen for. */
	uint64_t all = s->acked_bytes > s->lost_bytes ? s->acked_bytes :
	    s->lost_bytes;

	return all ? (double)s->lost_bytes / (double)all : 0;
}

uint64_t
capture_unsound_packets(const struct capture_stats *s)
{
	uint64_t most = s->damaged > s->disordered ? s->damaged : s->disordered;

	return most > s->misdated ? most : s->misdated;
}

double
capture_one_way_share(const struct capture_stats *s)
{
	uint64_t all = s->flows_one_way + s->flows_two_way;

	return all ? (double)s->flows_one_way / (double)all : 0;
}
