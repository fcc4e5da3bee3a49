/* sack_hole_unfilled.c - the receiver keeps asking for a hole that the sender
 * never fills.
 *
 * With SACK the receiver names what it has beyond a hole, in each of its
 * acknowledgments; a sound sender fills the hole first (RFC 6675), a sick one
 * (or its NIC, which swallows the resends) goes on with other things or falls
 * silent. The hard part is that a sniffer may have missed the resend: then the
 * acknowledgment moves on, and the finding goes. */
#include <stdlib.h>

#include "detectors/memo.h"
#include "detectors/wire.h"

extern const struct detector detector_sack_hole_unfilled;

enum { FLOWS_MAX = 4096 };

/* Fast retransmission starts at the third duplicate (RFC 5681, 3.2). */
enum { ASKS_MIN = 3, ASKS_MANY = 10 };
#define HOLE_MIN_NS (3 * NS_PER_S)
#define HOLE_LONG_NS (10 * NS_PER_S)

struct hole {			/* of a receiver: what it waits for */
	uint32_t start, end;	/* as far as its blocks tell */
	uint32_t asks;
	struct instant since, last;
	uint64_t first_frame, last_frame;
	bool foreign;		/* blocks in numbers that were never sent */
};

/* The bytes up to the lowest block above the acknowledgment. */
static bool
read_hole(const struct flow *f, const struct segment *seg, struct hole *out)
{
	const struct packet *p = seg->packet;
	uint32_t next = f->half[other_side(seg->side)].next;

	*out = (struct hole){ .start = p->ack, .end = p->ack };
	for (unsigned i = 0; i < p->options.sack_count; i++) {
		struct sack_block b = p->options.sack[i];

		if (!seq_after(b.left, p->ack))
			continue;	/* D-SACK, RFC 2883 */
		if (seq_after(b.right, next))
			out->foreign = true;
		if (out->end == out->start || seq_before(b.left, out->end))
			out->end = b.left;
	}
	return out->end != out->start;
}

static struct hole *
hole_of(struct memo *holes, const struct flow *f, enum side receiver)
{
	return f->marks & MARK_HOLE << receiver ?
	    memo_find(holes, memo_key(f->id, receiver)) : NULL;
}

static void
take_ask(struct memo *holes, struct flow *f, const struct segment *seg)
{
	const struct packet *p = seg->packet;
	struct hole asked, *h;

	if (!read_hole(f, seg, &asked) || seg->facts & (SEG_DAMAGED |
	    SEG_ACK_BACK | SEG_ACK_AHEAD))
		return;
	h = memo_make(holes, memo_key(f->id, seg->side));
	f->marks |= (uint16_t)(MARK_HOLE << seg->side);
	if (h->foreign || asked.foreign) {
		h->foreign = true;	/* a middlebox renumbers: leave it */
		return;
	}
	if (!h->asks || h->start != asked.start) {
		*h = asked;
		h->since = p->time;
		h->first_frame = p->frame;
	}
	h->end = asked.end;
	h->asks++;
	h->last = p->time;
	h->last_frame = p->frame;
}

static void
hole_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	struct memo *holes = state;
	const struct packet *p = seg->packet;
	struct hole *h;

	(void)pool;
	if (p->payload_bytes) {
		h = hole_of(holes, f, other_side(seg->side));
		if (h && !h->foreign && !seq_after(p->seq, h->start) &&
		    seq_after(wire_end(p), h->start))
			h->asks = 0;	/* it tries */
	}
	if (p->options.sack_count && p->tcp_flags & TCP_ACK) {
		take_ask(holes, f, seg);
	} else if (seg->facts & SEG_ACKS) {
		h = hole_of(holes, f, seg->side);
		if (h && !h->foreign && seq_after(p->ack, h->start))
			h->asks = 0;
	}
}

/* Did the sender do anything at all when it was long due to fill the hole? */
static bool
is_alive(const struct judge *j, const struct server *v, const struct flow *f,
    enum side sender, const struct hole *h, double *sure)
{
	struct instant due = instant_plus(h->since,
	    2 * half_rto_ns(&f->half[sender]));

	*sure = 0.9;
	if (instant_before(due, f->half[sender].last))
		return true;
	*sure = 0.75;
	return sender == SERVER && server_sent(v, due, j->now);
}

static void
raise(struct judge *j, struct server *v, struct flow *f, enum side sender,
    const struct hole *h, double confidence)
{
	struct finding *fd = finding_raise(j, &detector_sack_hole_unfilled, NULL,
	    v, f, 0);
	uint32_t bytes = h->end - h->start;
	int64_t age = instant_since(h->last, h->since);
	uint16_t mss = f->half[other_side(sender)].mss;
	char who[WIRE_END_TEXT_BYTES];

	finding_frame(fd, h->first_frame);
	finding_frame(fd, h->last_frame);
	finding_time(fd, h->since);
	finding_time(fd, h->last);
	fd->retracted = false;
	fd->count = 1;
	fd->side = wire_fault(sender);
	fd->severity = sender == CLIENT ?
	    wire_client_severity(v, &detector_sack_hole_unfilled,
	    &f->addr[CLIENT]) :
	    h->asks >= ASKS_MANY || instant_since(j->now, h->since) >=
	    HOLE_LONG_NS ? SEVERITY_HIGH : SEVERITY_MEDIUM;
	fd->confidence = confidence;
	finding_metric(fd, "hole_bytes", bytes);
	finding_metric(fd, "asks", h->asks);
	finding_metric(fd, "asked_for_s", seconds_of(age));
	finding_metric(fd, "waited_s", seconds_of(instant_since(j->now, h->since)));
	finding_say(fd, "the %s holds what lies beyond a hole of %u bytes%s, "
	    "asked for it %u times (over %.1f s) and has waited %.1f s; %s, "
	    "which is alive, never sent it", wire_side(other_side(sender)),
	    bytes, mss && bytes % mss == 0 ? " (whole segments)" : "", h->asks,
	    seconds_of(age), seconds_of(instant_since(j->now, h->since)),
	    wire_end_text(f, sender, who));
	if (sender == SERVER)
		flow_afflicted(f, FINDING_sack_hole_unfilled, h->since);
}

/* How often a sound sender would have sent it again by now: each wait is twice
 * the one before (RFC 6298, 5.5). */
static unsigned
resends_due(const struct tcp_half *sender, int64_t waited)
{
	int64_t rto = half_rto_ns(sender);
	unsigned n = 0;

	for (; waited >= rto && n < 16; rto *= 2, n++)
		waited -= rto;
	return n;
}

static void
judge_side(struct memo *holes, struct judge *j, struct server *v,
    struct flow *f, enum side receiver)
{
	struct hole *h = hole_of(holes, f, receiver);
	enum side sender = other_side(receiver);
	struct finding *before;
	int64_t limit;
	double sure, trust;

	if (!h)
		return;
	before = finding_lookup(j, &detector_sack_hole_unfilled, NULL, v, f, 0);
	if (!h->asks) {
		if (before && before->side == wire_fault(sender))
			finding_retract(before);
		return;
	}
	limit = 3 * half_rto_ns(&f->half[sender]);
	limit = limit < HOLE_MIN_NS ? HOLE_MIN_NS : limit;
	if (h->foreign || h->asks < ASKS_MIN || f->state == FLOW_CLOSED)
		return;
	if (instant_since(j->now, h->since) <= limit) {
		judge_wake(j, f, instant_plus(h->since, limit + 1));
		return;
	}
	trust = judge_trusts_repeated(j, v, f, resends_due(&f->half[sender],
	    instant_since(j->now, h->since)), TRUST_BOTH_WAYS);
	if (trust > 0 && is_alive(j, v, f, sender, h, &sure))
		raise(j, v, f, sender, h, sure * trust);
}

static void
hole_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	if (f->protocol != IP_TCP || !memo_count(state))
		return;
	for (unsigned side = CLIENT; side <= SERVER; side++) {
		judge_side(state, j, v, f, side);
		if (f->flags & FLOW_ENDED)
			memo_drop(state, memo_key(f->id, side));
	}
}

static void *
hole_new(void)
{
	return memo_new(FLOWS_MAX, sizeof(struct hole));
}

const struct detector detector_sack_hole_unfilled = {
	.finding = FINDING_sack_hole_unfilled,
	.meaning = "The receiver has data beyond a gap and asks for the missing "
	    "bytes again and again, and the sender, though alive, never sends "
	    "them. The connection stands for good. Known of segmentation offload "
	    "that swallows resends.",
	.decided = "SACK blocks above the same acknowledgment at least three "
	    "times, for longer than three retransmission timeouts and 3 s, and "
	    "in all that time no segment that covers the first missing byte, "
	    "while the sender sent something else on this connection (or, the "
	    "server, on another) when it was due.",
	.mimics = "A resend that the sniffer missed (the acknowledgment moves: "
	    "taken back; where the capture has gaps, it must have missed "
	    "several), a dead sender (sends nothing at all), a box that "
	    "renumbers without adapting SACK "
	    "(blocks beyond all that was sent: the connection is left out).",
	.source = "RFC 2018; RFC 6675; raspberrypi/linux 2449 and 2583 (TSO of "
	    "the lan78xx: a hole of 17 segments, never filled).",
	.facts = CUE_SACKS,
	.mark = MARK_HOLES,
	.on_segment = hole_segment,
	.review_flow = hole_review,
	.new = hole_new,
	.free = memo_free_state,
	.release = free,
};
