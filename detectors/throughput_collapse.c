/* throughput_collapse.c - a transfer that spends its time waiting.
 *
 * A sender with data to send waits for one of three things: its retransmission
 * timer, room in the receiver's window, or an acknowledgment that the receiver
 * delays. Every pause of a transfer is put to one of these accounts (or to none:
 * the application has nothing to send). When one of them takes up most of the
 * time for many seconds, and the transfer is far slower than the same two hosts
 * were before, or than its round-trip time allows, that is what limits it. The
 * hard part is to leave honest slowness alone: a reader that takes its time, a
 * long path, a program that talks in small turns. */
#include <stdlib.h>

#include "detectors/memo.h"
#include "detectors/wire.h"

extern const struct detector detector_throughput_collapse;

enum wait { WAIT_WINDOW, WAIT_RTO, WAIT_DELAYED_ACK, WAITS };

static const char *const wait_names[WAITS] = { "window_limited",
	"rto_limited", "delayed_ack_limited" };

enum { FLOWS_MAX = 8192, PAIRS_MAX = 8192 };

/* A side is a transfer from here on; what is shorter has no throughput. */
enum { TRANSFER_BYTES = BULK_BYTES };

#define IDLE_NS NS_PER_S		/* nothing to send: a new transfer */
#define TIMEOUT_MIN_NS (150 * NS_PER_MS)	/* below any timer's floor */
#define DELAYED_MIN_NS (35 * NS_PER_MS)	/* Linux delays ACKs by 40, others by
					 * 100 to 500 ms (RFC 1122) */
#define PROMPT_NS (30 * NS_PER_MS)	/* it sends on as soon as it may */
#define LAN_RTT_US 10000

enum release { NOT_HELD, BY_ROOM, BY_SLOW_ACK };

struct transfer {		/* one sending side of a flow */
	struct instant prev;	/* packet of the flow */
	struct instant began;
	uint64_t acked;
	uint32_t waits[WAITS];
	int64_t waited_ns[WAITS];
	uint32_t rto_una;	/* where the last timeout was */
	struct instant last_sent, last_acked;
	bool full;		/* no room for a segment in the window */
	bool unscaled;		/* ... if it were not scaled, as it is */
	bool small;		/* less than two full segments outstanding */
	enum release release;	/* what allowed it to go on ... */
	struct instant released;
	uint32_t full_segments, segments;
	uint32_t window_max;	/* largest seen meanwhile */
	uint32_t unscaled_waits;
	struct instant chunk_began;
	uint64_t chunk_acked;
	double best;		/* bytes/s of its fastest chunk */
	double learnt;		/* what its pair knows of that, and of the */
	uint32_t learnt_window;	/* receiver's window_max */
};

/* Two hosts, one direction: how fast it has been. */
struct pair {
	double best;
	uint32_t window_max;	/* largest the receiver advertised */
};

struct collapse {
	struct memo *transfers, *pairs;
	int64_t patience_ns;	/* collapse_s; 0 before the first review */
};

static uint64_t
pair_key(const struct flow *f, enum side sender)
{
	const struct host *a = f->host[sender], *b = f->host[other_side(sender)];

	if (!a || !b)
		return 0;
	return (a->number << 32 | (b->number & UINT32_MAX)) + 1;
}

static uint32_t
segment_size(const struct flow *f, enum side sender)
{
	uint16_t mss = f->half[other_side(sender)].mss;

	return mss ? mss : 1460;
}

/* --- keeping the accounts ---------------------------------------------- */

static void
wait_over(struct flow_pool *pool, struct flow *f, struct transfer *t,
    enum side sender, enum wait which, int64_t ns, const struct packet *p)
{
	struct note *n;

	t->waits[which]++;
	t->waited_ns[which] += ns;
	if (which == WAIT_WINDOW && ns < NS_PER_MS)
		return;			/* ordinary; the accounts will do */
	n = flow_note(pool, f, detector_note(FINDING_throughput_collapse),
	    which, sender);
	if (n)
		note_add(n, p->time, p->frame);
}

static void
begin_anew(struct transfer *t, struct instant now)
{
	*t = (struct transfer){ .prev = now, .began = now, .chunk_began = now,
		.last_sent = now, .last_acked = now, .best = t->best,
		.learnt = t->learnt, .learnt_window = t->learnt_window };
}

static void
chunk_over(struct transfer *t, struct instant now)
{
	int64_t ns = instant_since(now, t->chunk_began);
	double rate;

	if (t->chunk_acked >= TRANSFER_BYTES && ns > 0) {
		rate = (double)t->chunk_acked / seconds_of(ns);
		if (rate > t->best)
			t->best = rate;
	}
	t->chunk_began = now;
	t->chunk_acked = 0;
}

static void
take_ack(const struct flow *f, struct transfer *t, const struct segment *seg)
{
	enum side sender = other_side(seg->side);
	const struct packet *p = seg->packet;
	int64_t gap = instant_since(p->time, t->prev);
	bool opens = seg->window > seg->window_before;

	if (seg->window > t->window_max)
		t->window_max = seg->window;
	if (seg->facts & SEG_ACKS) {
		t->acked += seg->acked_bytes;
		t->chunk_acked += seg->acked_bytes;
		t->last_acked = p->time;
	}
	if (t->full && (seg->facts & SEG_ACKS || opens)) {
		t->release = BY_ROOM;
		t->released = p->time;
	} else if (t->small && seg->facts & SEG_ACKS && gap >= DELAYED_MIN_NS &&
	    gap >= (int64_t)f->half[sender].rtt_min_us * 3 * NS_PER_US &&
	    !p->payload_bytes && !t->release) {
		t->release = BY_SLOW_ACK;
		t->released = p->time;
	}
	if (t->chunk_acked >= TRANSFER_BYTES)
		chunk_over(t, p->time);
}

static void
take_sent(struct flow_pool *pool, struct flow *f, struct transfer *t,
    const struct segment *seg)
{
	const struct packet *p = seg->packet;
	const struct tcp_half *me = &f->half[seg->side];
	const struct tcp_half *peer = &f->half[other_side(seg->side)];
	uint32_t size = segment_size(f, seg->side), raw = 0;
	int64_t gap = instant_since(p->time, t->prev);

	if (seg->facts & SEG_AGAIN && p->seq == me->una &&
	    gap >= TIMEOUT_MIN_NS && (!t->waits[WAIT_RTO] ||
	    t->rto_una != me->una) && seg->flight > p->payload_bytes) {
		t->rto_una = me->una;
		wait_over(pool, f, t, seg->side, WAIT_RTO, gap, p);
	} else if (t->release && seg->facts & SEG_NEW &&
	    instant_since(p->time, t->released) <= PROMPT_NS +
	    (int64_t)peer->rtt_max_us * NS_PER_US) {
		t->unscaled_waits += t->release == BY_ROOM && t->unscaled;
		wait_over(pool, f, t, seg->side, t->release == BY_ROOM ?
		    WAIT_WINDOW : WAIT_DELAYED_ACK,
		    instant_since(p->time, t->last_sent), p);
	}
	t->release = NOT_HELD;
	t->last_sent = p->time;
	t->segments++;
	t->full_segments += p->payload_bytes + 40 >= size;
	if (peer->shift && peer->shift != SHIFT_UNKNOWN)
		raw = peer->window >> peer->shift;
	t->unscaled = raw > size && seg->flight <= raw &&
	    seg->flight + size > raw && seg->flight < peer->window / 4;
	t->full = seg->flight + size > peer->window || t->unscaled;
	t->small = seg->flight < 2 * size;
}

static struct transfer *
transfer_of(struct collapse *c, const struct flow *f, enum side sender)
{
	return f->marks & MARK_TRANSFER << sender ?
	    memo_find(c->transfers, memo_key(f->id, sender)) : NULL;
}

static struct transfer *
transfer_sent(struct collapse *c, struct flow *f, const struct segment *seg)
{
	struct transfer *t = transfer_of(c, f, seg->side);

	if (t || !seg->packet->payload_bytes ||
	    f->half[seg->side].bytes < TRANSFER_BYTES)
		return t;
	t = memo_make(c->transfers, memo_key(f->id, seg->side));
	f->marks |= (uint16_t)(MARK_TRANSFER << seg->side);
	begin_anew(t, seg->packet->time);
	return t;
}

static uint32_t
window_max(const struct flow *f, enum side sender)
{
	return f->half[other_side(sender)].window_max;
}

/* To be learnt. */
static bool
has_news(const struct flow *f, enum side sender, const struct transfer *t)
{
	return t->best > t->learnt || window_max(f, sender) > t->learnt_window;
}

/* Most have none, and are over before anybody would judge them. */
static void
mark_pace(const struct collapse *c, struct flow *f, enum side sender,
    const struct transfer *t)
{
	if (!(f->marks & MARK_PACE) && (has_news(f, sender, t) ||
	    instant_since(t->prev, t->began) >= c->patience_ns))
		f->marks |= MARK_PACE;
}

static void
collapse_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	struct collapse *c = state;
	struct instant now = seg->packet->time;
	struct transfer *mine, *theirs;

	if (seg->facts & (SEG_DAMAGED | SEG_STRAY | SEG_RST))
		return;
	theirs = transfer_of(c, f, other_side(seg->side));
	if (theirs) {
		if (seg->packet->tcp_flags & TCP_ACK)
			take_ack(f, theirs, seg);
		theirs->prev = now;
		mark_pace(c, f, other_side(seg->side), theirs);
	}
	mine = transfer_sent(c, f, seg);
	if (!mine)
		return;
	if (seg->packet->payload_bytes && !(seg->facts & SEG_KEEP_ALIVE)) {
		if (instant_since(now, mine->last_sent) > IDLE_NS &&
		    seg->flight <= seg->packet->payload_bytes &&
		    !(seg->facts & SEG_AGAIN)) {
			chunk_over(mine, mine->last_acked);
			begin_anew(mine, now);
		}
		take_sent(pool, f, mine, seg);
	}
	mine->prev = now;
	mark_pace(c, f, seg->side, mine);
}

/* --- judging ----------------------------------------------------------- */

/* From the mirror port to the client and back, and to the server and back. */
static uint32_t
round_trip_us(const struct flow *f)
{
	return f->half[CLIENT].rtt_min_us + f->half[SERVER].rtt_min_us;
}

/* Far slower than these two hosts were, or slow for a path this short. */
static bool
is_slow(const struct judge *j, const struct flow *f, double rate, double before)
{
	return rate * j->limit->collapse_factor < before ||
	    (rate < j->limit->collapse_bytes_s &&
	    round_trip_us(f) < LAN_RTT_US);
}

/* The sender keeps to the number in the window field, not to what it means. */
static bool
ignores_scale(const struct transfer *t)
{
	return t->unscaled_waits * 2 > t->waits[WAIT_WINDOW];
}

static enum severity
severity_of(const struct judge *j, enum wait which, enum side sender,
    const struct transfer *t, double rate)
{
	switch (which) {
	case WAIT_RTO:
		return sender == SERVER ? SEVERITY_MEDIUM : SEVERITY_LOW;
	case WAIT_WINDOW:
		if (ignores_scale(t))
			return sender == SERVER ? SEVERITY_MEDIUM : SEVERITY_LOW;
		return sender == CLIENT ? SEVERITY_MEDIUM : SEVERITY_LOW;
	default:
		return rate < j->limit->collapse_bytes_s &&
		    t->full_segments * 2 > t->segments ? SEVERITY_MEDIUM :
		    SEVERITY_LOW;
	}
}

static enum fault_side
fault_of(enum wait which, enum side sender, const struct transfer *t)
{
	/* loss has many makers; and it takes two for a delayed ACK to matter */
	if (which != WAIT_WINDOW)
		return FAULT_UNKNOWN;
	return wire_fault(ignores_scale(t) ? sender : other_side(sender));
}

static void
say(struct finding *fd, const struct flow *f, enum wait which,
    enum side sender, const struct transfer *t, double rate)
{
	static const char *const waits_for[WAITS] = {
		"room in the window of", "its retransmission timer, towards",
		"delayed acknowledgments of" };
	double lasted = seconds_of(instant_since(t->prev, t->began));
	char who[WIRE_END_TEXT_BYTES];

	finding_say(fd, "%s sends at %.1f kB/s for %.1f s: it waits %.0f %% of "
	    "the time for %s the %s (%u waits, %.0f ms each)%s",
	    wire_end_text(f, sender, who), rate / 1000, lasted,
	    100 * seconds_of(t->waited_ns[which]) / lasted, waits_for[which],
	    wire_side(other_side(sender)), t->waits[which],
	    1000 * seconds_of(t->waited_ns[which]) / t->waits[which],
	    which == WAIT_WINDOW && ignores_scale(t) ?
	    ", which it takes as if it were not scaled" : "");
}

static void
raise(struct judge *j, struct server *v, struct flow *f, enum side sender,
    enum wait which, const struct transfer *t, double rate, double before)
{
	const struct note *n = flow_note_find(f,
	    detector_note(FINDING_throughput_collapse), which, sender);
	struct finding *fd = finding_raise(j, &detector_throughput_collapse,
	    wait_names[which], v, f, 0);

	if (n)
		finding_from_note(fd, n);
	finding_time(fd, t->began);
	finding_time(fd, t->prev);
	fd->count = 1;
	fd->severity = severity_of(j, which, sender, t, rate);
	fd->confidence = 0.8 * judge_trusts(j, v, f, TRUST_LOSS |
	    TRUST_BOTH_WAYS);
	fd->side = fault_of(which, sender, t);
	finding_metric(fd, "bytes_per_s", rate);
	finding_metric(fd, "bytes_per_s_before", before);
	finding_metric(fd, "waits", t->waits[which]);
	finding_metric(fd, "waited_s", seconds_of(t->waited_ns[which]));
	finding_metric(fd, "lasted_s", seconds_of(instant_since(t->prev,
	    t->began)));
	finding_metric(fd, "window_max_bytes", t->window_max);
	finding_metric(fd, "rtt_min_ms", round_trip_us(f) / 1000.0);
	say(fd, f, which, sender, t, rate);
	if (before > 0)
		finding_against(fd, "these two hosts reached %.1f kB/s before",
		    before / 1000);
}

/* Where the mirror is near the receiver, a full window does not show as bytes
 * outstanding: what was sent into it is acknowledged as soon as it passes. But
 * nobody sends more than one window a round trip (RFC 9293, 3.8.6): a sender that
 * has sent nearly so much all the time waits for it. The shortest round trip is
 * taken, so that less is claimed, not more. A window that is shut is no limit to
 * fill: zero_window_stall. Returns the waits: one a trip. */
static uint32_t
windows_filled(const struct judge *j, const struct flow *f, enum side sender,
    const struct transfer *t, double lasted_s)
{
	uint32_t far = f->half[other_side(sender)].rtt_min_us;
	double trips = far ? lasted_s * 1e6 / far : 0;

	if (!t->window_max || trips < j->limit->collapse_waits ||
	    trips > UINT32_MAX ||
	    (double)t->acked < j->limit->collapse_share * trips * t->window_max)
		return 0;
	return (uint32_t)trips;
}

/* Enough waits of one kind, for most of the time. */
static bool
is_limited_by(const struct judge *j, const struct transfer *t, enum wait which,
    double lasted_s)
{
	uint32_t least = which == WAIT_RTO ? (uint32_t)j->limit->collapse_timeouts
	    : (uint32_t)j->limit->collapse_waits;

	return t->waits[which] >= least &&
	    seconds_of(t->waited_ns[which]) >= j->limit->collapse_share * lasted_s;
}

/* A reader that takes its time closes and opens the window that it always had;
 * one that cannot has less than it had. */
static bool
is_throttled(const struct transfer *t, uint32_t window_before)
{
	return ignores_scale(t) ||
	    t->window_max <= window_before / 4;
}

/* How fast these two hosts have been, this transfer included. NULL: they are not
 * known. */
static const struct pair *
learn(struct collapse *c, const struct flow *f, enum side sender,
    struct transfer *t)
{
	uint64_t key = pair_key(f, sender);
	struct pair *past = key ? memo_make(c->pairs, key) : NULL;

	if (!past)
		return NULL;
	t->learnt = t->best;
	t->learnt_window = window_max(f, sender);
	if (t->best > past->best)
		past->best = t->best;
	if (t->learnt_window > past->window_max)
		past->window_max = t->learnt_window;
	return past;
}

static void
judge_transfer(struct collapse *c, struct judge *j, struct server *v,
    struct flow *f, enum side sender, struct transfer *t)
{
	double lasted = seconds_of(instant_since(t->prev, t->began));
	double rate = lasted > 0 ? (double)t->acked / lasted : 0;
	const struct pair *past;
	struct transfer seen;
	double before;
	uint32_t trips;

	if (lasted < j->limit->collapse_s ||
	    judge_trusts(j, v, f, TRUST_LOSS | TRUST_BOTH_WAYS) <= 0)
		return;
	past = learn(c, f, sender, t);
	before = past ? past->best : 0;
	seen = *t;
	trips = windows_filled(j, f, sender, t, lasted);
	if (trips) {
		seen.waits[WAIT_WINDOW] = trips;
		seen.waited_ns[WAIT_WINDOW] = instant_since(t->prev, t->began);
	}
	for (unsigned w = 0; w < WAITS; w++) {
		if (!is_limited_by(j, &seen, w, lasted) ||
		    (w != WAIT_RTO && !is_slow(j, f, rate, before)))
			continue;
		if (w == WAIT_WINDOW && !is_throttled(t, past ?
		    past->window_max : 0))
			continue;
		raise(j, v, f, sender, w, &seen, rate, before);
		return;
	}
}

static void
collapse_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	struct collapse *c = state;
	bool lasts = false;

	c->patience_ns = (int64_t)(j->limit->collapse_s * 1e9);
	if (!(f->marks & MARK_PACE) && !(f->flags & FLOW_ENDED))
		return;
	for (unsigned side = CLIENT; side <= SERVER; side++) {
		struct transfer *t = transfer_of(c, f, side);

		if (!t)
			continue;
		if (has_news(f, side, t))
			learn(c, f, side, t);
		judge_transfer(c, j, v, f, side, t);
		lasts |= instant_since(t->prev, t->began) >= c->patience_ns;
		if (f->flags & FLOW_ENDED)
			memo_drop(c->transfers, memo_key(f->id, side));
	}
	if (!lasts)
		f->marks &= (uint16_t)~MARK_PACE;
}

static void
collapse_free(void *state)
{
	struct collapse *c = state;

	if (!c)
		return;
	memo_free(&c->transfers);
	memo_free(&c->pairs);
	free(c);
}

static void *
collapse_new(void)
{
	struct collapse *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->transfers = memo_new(FLOWS_MAX, sizeof(struct transfer));
	c->pairs = memo_new(PAIRS_MAX, sizeof(struct pair));
	if (c->transfers && c->pairs)
		return c;
	collapse_free(c);
	return NULL;
}

static const char *const kinds[] = { "window_limited", "rto_limited",
	"delayed_ack_limited", NULL };

const struct detector detector_throughput_collapse = {
	.finding = FINDING_throughput_collapse,
	.meaning = "A transfer is far slower than its path was before or allows, "
	    "because its sender spends its time waiting: for room in the "
	    "receiver's window (window_limited), for its retransmission timer "
	    "(rto_limited), or for acknowledgments that the receiver delays "
	    "(delayed_ack_limited).",
	.decided = "Each pause of a side that has sent 16 KiB or more is put to "
	    "one account: ended by a resend of the oldest byte after 150 ms or "
	    "more with more outstanding (timer), by an ACK or an opening when the "
	    "window had no room for a segment (window; or, where the mirror is "
	    "near the receiver, bytes worth collapse_share of a full window "
	    "came in each of its shortest round trips), by an ACK after 35 ms or "
	    "more and three round trips with less than two segments outstanding, "
	    "after which it sends on at once (delayed ACK). One account takes "
	    "collapse_share (70 %) of collapse_s (5 s) or more, with "
	    "collapse_timeouts (5) or collapse_waits (20) waits; and, but for "
	    "timeouts, the transfer is collapse_factor (10) times slower than "
	    "16 KiB between these two hosts once were, or below "
	    "collapse_bytes_s (50 kB/s) on a path of less than 10 ms. "
	    "window_limited also needs a window of at most a quarter of what the "
	    "receiver once had, or a sender that keeps to the window as if it "
	    "were not scaled.",
	.mimics = "A reader that takes its time (its window is as large as ever "
	    "between), a long path (was as slow before), a program with nothing "
	    "to send or that talks in turns (no account), loss that fast "
	    "retransmission mends (no pause).",
	.source = "RFC 6298; RFC 9293, 3.8.6; RFC 1122, 4.2.3.2; KB 328890 "
	    "(delayed ACK, 200 ms); RFC 7323, 2.2; KB 948496 (slow network).",
	.kinds = kinds,
	.facts = CUE_BULK,
	.mark = MARK_TRANSFERS,
	.on_segment = collapse_segment,
	.review_flow = collapse_review,
	.new = collapse_new,
	.free = collapse_free,
};
