/* burst_lost_whole.c - bursts of several segments are lost whole while a single
 * segment passes.
 *
 * A sender that hands several segments to its NIC as one large send loses all
 * of them when the NIC (or a virtual switch) cannot cut it up; after its
 * timeout it sends one segment, which needs no cutting, and that one arrives.
 * Then the next burst is lost. Loss on a path takes some segments of a burst
 * and not others, and takes single ones too; so what counts is the repetition
 * of all, one, all, one, and a burst that gets through speaks against it. */
#include <stdlib.h>

#include "detectors/memo.h"
#include "detectors/wire.h"

extern const struct detector detector_burst_lost_whole;

enum { FLOWS_MAX = 8192 };

/* Windows and Linux wait 300 and 200 ms at least; a resend sooner than half
 * of the latter was called for by something else than time. */
#define TIMEOUT_MIN_NS (100 * NS_PER_MS)

/* Bursts that got through, or in part: at most one in so many lost whole. */
enum { PASSED_SHARE = 4 };

struct burst {			/* of a sender */
	uint32_t segments;	/* data segments since the last advance */
	struct instant last_sent;
	bool single;		/* one alone, after a timeout, waits for its ACK */
	bool partial;		/* a part of the burst arrived */
	uint32_t held;		/* bytes that the receiver held beyond the hole
				 * before the burst */
	uint32_t single_start, single_end;
	uint32_t single_burst;	/* segments before it that nobody answered */
	uint64_t single_frame;
	uint32_t lost, lost_segments, passed;
};

static struct burst *
burst_of(struct memo *bursts, const struct flow *f, enum side sender)
{
	return f->marks & MARK_BURST << sender ?
	    memo_find(bursts, memo_key(f->id, sender)) : NULL;
}

static struct burst *
burst_begin(struct memo *bursts, struct flow *f, enum side sender)
{
	f->marks |= (uint16_t)(MARK_BURST << sender);
	return memo_make(bursts, memo_key(f->id, sender));
}

static void
burst_forget(struct memo *bursts, struct flow *f, enum side sender)
{
	f->marks &= (uint16_t)~(MARK_BURST << sender);
	memo_drop(bursts, memo_key(f->id, sender));
}

static void
sent(struct memo *bursts, struct flow *f, const struct segment *seg)
{
	const struct packet *p = seg->packet;
	const struct tcp_half *me = &f->half[seg->side];
	struct burst *b;
	bool after_timeout;

	if (!(seg->facts & SEG_DATA) || seg->facts & SEG_PROBE)
		return;
	b = burst_of(bursts, f, seg->side);
	if (!b) {			/* a lone segment in flight is no burst */
		if (seg->flight <= p->payload_bytes)
			return;
		b = burst_begin(bursts, f, seg->side);
		b->segments = 1;
	}
	after_timeout = instant_since(p->time, b->last_sent) >= TIMEOUT_MIN_NS &&
	    seg->facts & SEG_AGAIN && p->seq == me->una;
	b->last_sent = p->time;
	if (b->single && after_timeout && p->seq == b->single_start)
		return;			/* its timer has run out once more */
	if (!after_timeout || b->segments < 2) {
		b->single = false;
		b->segments++;
		return;
	}
	b->single = true;
	b->single_start = p->seq;
	b->single_end = wire_end(p);
	b->single_burst = b->segments;
	b->single_frame = p->frame;
}

static struct note *
count_lost(struct flow_pool *pool, struct flow *f, enum side sender,
    const struct burst *b, const struct packet *p)
{
	struct note *n = flow_note(pool, f,
	    detector_note(FINDING_burst_lost_whole), 0, sender);

	if (!n)
		return NULL;
	note_add(n, p->time, b->single_frame);
	return n;
}

/* Bytes that the receiver holds beyond its acknowledgment. */
static uint32_t
held_beyond(const struct packet *p)
{
	uint32_t held = 0;

	for (unsigned i = 0; i < p->options.sack_count; i++)
		if (seq_after(p->options.sack[i].left, p->ack))
			held += p->options.sack[i].right -
			    p->options.sack[i].left;
	return held;
}

static void
acknowledged(struct memo *bursts, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	enum side sender = other_side(seg->side);
	const struct packet *p = seg->packet;
	struct burst *b = burst_of(bursts, f, sender);
	uint32_t held;

	if (!b)
		return;
	held = held_beyond(p);
	if (held > b->held)
		b->partial = true;
	if (!(seg->facts & SEG_ACKS) || !seg->acked_bytes)
		return;
	if (b->single && p->ack == b->single_end && !b->partial) {
		b->lost++;
		b->lost_segments += b->single_burst;
		count_lost(pool, f, sender, b, p);
	} else if (b->lost && b->segments >= 2) {
		b->passed++;
	}
	if (!b->lost && p->ack == f->half[sender].next) {
		/* all of it arrived: nothing to remember */
		burst_forget(bursts, f, sender);
		return;
	}
	b->segments = 0;
	b->held = held;
	b->single = b->partial = false;
}

static void
burst_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	if (seg->facts & (SEG_DAMAGED | SEG_STRAY))
		return;
	if (seg->packet->tcp_flags & TCP_ACK)
		acknowledged(state, pool, f, seg);
	if (seg->packet->payload_bytes)
		sent(state, f, seg);
}

static void
raise(struct judge *j, struct server *v, struct flow *f, enum side sender,
    const struct burst *b, double trust)
{
	const struct note *n = flow_note_find(f,
	    detector_note(FINDING_burst_lost_whole), 0, sender);
	struct finding *fd;
	char who[WIRE_END_TEXT_BYTES];

	if (!n)
		return;
	fd = finding_raise(j, &detector_burst_lost_whole, NULL, v, f, 0);
	finding_from_note(fd, n);
	fd->count = b->lost;
	fd->side = wire_fault(sender);
	fd->severity = sender == SERVER ? SEVERITY_HIGH :
	    wire_client_severity(v, &detector_burst_lost_whole, &f->addr[CLIENT]);
	fd->confidence = 0.85 * trust;
	finding_metric(fd, "bursts_lost", b->lost);
	finding_metric(fd, "segments_lost", b->lost_segments);
	finding_metric(fd, "bursts_passed", b->passed);
	finding_say(fd, "%u bursts of %s (%u segments) were lost whole, and each "
	    "time the single segment that it sent after its timeout arrived; %u "
	    "bursts got through meanwhile", b->lost, wire_end_text(f, sender, who),
	    b->lost_segments, b->passed);
	finding_against(fd, "a policer that lets one segment pass at a time, or a "
	    "box that merges what it forwards (LRO) and drops it without a word, "
	    "would look like this");
	if (sender == SERVER)
		flow_afflicted(f, FINDING_burst_lost_whole, n->first);
}

static void
burst_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	double trust;

	if (f->protocol != IP_TCP || (!f->notes && !(f->flags & FLOW_ENDED)))
		return;
	for (unsigned side = CLIENT; side <= SERVER; side++) {
		const struct burst *b = burst_of(state, f, side);

		if (!b) {		/* or it had to make room */
			f->marks &= (uint16_t)~(MARK_BURST << side);
			continue;
		}
		/* a SACK that the sniffer missed makes one loss whole */
		trust = judge_trusts_repeated(j, v, f, b->lost,
		    TRUST_BOTH_WAYS);
		if (b->lost >= j->limit->burst_cycles && trust > 0 &&
		    b->passed * PASSED_SHARE <= b->lost)
			raise(j, v, f, side, b, trust);
		if (f->flags & FLOW_ENDED)
			burst_forget(state, f, side);
	}
}

static void *
burst_new(void)
{
	return memo_new(FLOWS_MAX, sizeof(struct burst));
}

const struct detector detector_burst_lost_whole = {
	.finding = FINDING_burst_lost_whole,
	.meaning = "Whenever the sender sends several segments at once, all of "
	    "them are lost; a segment sent alone arrives. Its large sends are not "
	    "cut into segments, or not all of them leave: segmentation offload "
	    "(LSO, TSO) at fault. Transfers crawl at one segment a timeout.",
	.decided = "At least two segments, then silence of 100 ms or more, then "
	    "the first of them alone, and the next acknowledgment covers exactly "
	    "that one, with nothing more held beyond it (SACK): one burst lost whole. "
	    "burst_cycles (5) of them on a connection, and at most one burst that "
	    "got through to four that did not.",
	.mimics = "Random loss (takes parts of bursts), a path MTU black hole "
	    "(takes single full segments too), a receiver that is gone (takes the "
	    "single one too), a policer with a bucket of one segment.",
	.source = "RFC 6298, 5; dvork.in, \"Preventing TCP packets from growing "
	    "in size\" (15 KB/s: large frames vanish, small ones pass); "
	    "Microsoft, \"Offloading the Segmentation of Large TCP Packets\".",
	.facts = CUE_FLYING,
	.mark = MARK_BURSTS,
	.on_segment = burst_segment,
	.review_flow = burst_review,
	.new = burst_new,
	.free = memo_free_state,
	.release = free,
};
