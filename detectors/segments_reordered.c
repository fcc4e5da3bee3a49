/* segments_reordered.c - a card that sends the segments of one large send in
 * another order than it was given them.
 *
 * The stack numbers what it sends twice: bytes by sequence numbers, datagrams by
 * IP IDs. Where both agree with each other and the frames come in another order,
 * whoever took the frames from the stack has swapped them. The hard part is that
 * a mirror or a sniffer with several queues swaps frames as well; so the receiver
 * is asked: it must have acknowledged with SACK the segment that came too early,
 * before the ones that it overtook. And between the stack and the mirror there
 * may be more than a card: only of a sender whose TTL is still whole (no router
 * has touched it) is it said to be the card. */
#include <stdlib.h>

#include "detectors/memo.h"
#include "detectors/wire.h"

extern const struct detector detector_segments_reordered;

enum { FLOWS_MAX = 8192 };

/* What is overtaken by so little was sent together; a resend comes after a
 * round trip at least, and with another IP ID. */
#define TOGETHER_NS (10 * NS_PER_MS)

/* One segment that came ahead of its turn. */
struct early {
	uint32_t left;		/* what was due instead of it */
	uint32_t start, end;
	struct instant at;
	uint64_t frame;
	bool open;		/* the receiver has not spoken yet */
	bool swapped;		/* what it overtook came right after, with older
				 * IP IDs */
	bool asked;		/* the receiver said that it lacks those */
};

/* So many in one burst, before the receiver's word on the first. */
enum { EARLY_MAX = 8 };

struct order {			/* of a sender */
	struct early early[EARLY_MAX];	/* a ring */
	unsigned next;
	uint32_t events;	/* swapped and asked for */
	uint32_t whole;		/* of those, by a whole number of segments */
	uint32_t overtaken;	/* segments, of those that were swapped so */
	uint32_t depth_max;	/* segments overtaken at once */
	uint32_t unfelt;	/* swapped here, and the receiver had them in order */
};

static uint32_t
segment_size(const struct flow *f, enum side sender)
{
	uint16_t mss = f->half[other_side(sender)].mss;
	bool stamped = f->half[CLIENT].flags & f->half[SERVER].flags & HALF_TS;

	return (mss ? mss : 1460U) - (stamped ? 12 : 0);
}

static void
count(struct flow_pool *pool, struct flow *f, enum side sender,
    struct order *o, struct early *e)
{
	uint32_t size = segment_size(f, sender), by = e->start - e->left;
	struct note *n;

	if (!e->swapped || !e->asked)
		return;
	e->open = false;
	o->events++;
	o->whole += by % size == 0;
	o->overtaken += (by + size - 1) / size;
	if (by / size > o->depth_max)
		o->depth_max = by / size;
	n = flow_note(pool, f, detector_note(FINDING_segments_reordered), 0,
	    sender);
	if (n)
		note_add(n, e->at, e->frame);
}

static void
came_early(struct memo *orders, struct flow *f, const struct segment *seg)
{
	struct order *o = memo_make(orders, memo_key(f->id, seg->side));
	const struct packet *p = seg->packet;

	f->marks |= MARK_ORDER;
	o->early[o->next++ % EARLY_MAX] = (struct early){
		.left = p->seq - seg->hole_bytes, .start = p->seq,
		.end = wire_end(p), .at = p->time, .frame = p->frame,
		.open = true };
}

static void
sent(struct memo *orders, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	const struct packet *p = seg->packet;
	struct order *o;
	struct early *e;

	if (seg->facts & SEG_HOLE) {
		came_early(orders, f, seg);
		return;
	}
	if (!(seg->facts & SEG_LATE) || !p->ip_id)
		return;
	o = memo_find(orders, memo_key(f->id, seg->side));
	e = o ? &o->early[(o->next - 1) % EARLY_MAX] : NULL;
	if (!e || !e->open || e->swapped || p->seq != e->left ||
	    instant_since(p->time, e->at) > TOGETHER_NS ||
	    wire_order(seg) != WIRE_SENT_EARLIER)
		return;
	e->swapped = true;
	count(pool, f, seg->side, o, e);
}

static bool
has_sacked(const struct packet *p, const struct early *e)
{
	for (unsigned i = 0; i < p->options.sack_count; i++)
		if (!seq_before(e->start, p->options.sack[i].left) &&
		    !seq_after(e->end, p->options.sack[i].right))
			return true;
	return false;
}

static void
acknowledged(struct memo *orders, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	enum side sender = other_side(seg->side);
	struct order *o = memo_find(orders, memo_key(f->id, sender));
	const struct packet *p = seg->packet;

	for (unsigned i = 0; o && i < EARLY_MAX; i++) {
		struct early *e = &o->early[i];

		if (!e->open)
			continue;
		if (seq_before(p->ack, e->start) && has_sacked(p, e)) {
			e->asked = true;
			count(pool, f, sender, o, e);
		} else if (!seq_before(p->ack, e->end)) {
			o->unfelt += e->swapped && !e->asked;
			e->open = false;	/* nothing more to learn */
		}
	}
}

static void
order_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	if (seg->facts & (SEG_DAMAGED | SEG_STRAY))
		return;
	if (memo_count(state) && seg->packet->tcp_flags & TCP_ACK)
		acknowledged(state, pool, f, seg);
	if (seg->packet->payload_bytes)
		sent(state, pool, f, seg);
}

/* Does the TTL still have one of the values that stacks begin with? */
static bool
comes_from_here(uint8_t ttl)
{
	return ttl == 64 || ttl == 128 || ttl == 255 || ttl == 32;
}

/* Other servers whose segments are swapped as well: then it is the path that
 * they share, or a mirror with a will of its own. */
static bool
others_do_so(const struct judge *j, const struct server *but)
{
	for (const struct server *v = j->servers; v; v = v->next) {
		if (v == but || !(v->found >> FINDING_segments_reordered & 1))
			continue;
		for (const struct finding *x = v->findings; x;
		    x = x->next_of_server)
			if (x->name == FINDING_segments_reordered &&
			    !x->retracted && x->side != FAULT_CLIENT)
				return true;
	}
	return false;
}

static void
blame_the_way(struct finding *fd)
{
	fd->severity = SEVERITY_LOW;	/* several ways lead here */
	fd->side = FAULT_NETWORK;
}

static void
blame(const struct judge *j, struct server *v, const struct flow *f,
    enum side sender, struct finding *fd)
{
	fd->side = wire_fault(sender);
	fd->severity = SEVERITY_HIGH;
	if (sender == CLIENT) {
		fd->severity = wire_client_severity(v,
		    &detector_segments_reordered, &f->addr[CLIENT]);
		return;
	}
	if (comes_from_here(f->half[sender].ttl) && !others_do_so(j, v))
		return;
	blame_the_way(fd);
}

static void
raise(struct judge *j, struct server *v, struct flow *f, enum side sender,
    const struct order *o, double trust)
{
	const struct note *n = flow_note_find(f,
	    detector_note(FINDING_segments_reordered), 0, sender);
	struct finding *fd;
	char who[WIRE_END_TEXT_BYTES];

	if (!n)
		return;
	fd = finding_raise(j, &detector_segments_reordered, NULL, v, f, 0);
	finding_from_note(fd, n);
	fd->count = o->events;
	fd->confidence = 0.85 * trust;
	blame(j, v, f, sender, fd);
	finding_metric(fd, "swaps", o->events);
	finding_metric(fd, "segments_overtaken", o->overtaken);
	finding_metric(fd, "depth_max_segments", o->depth_max);
	finding_metric(fd, "unfelt_swaps", o->unfelt);
	finding_say(fd, "%u times a segment of %s left before up to %u others that "
	    "its stack had numbered before it (%u segments overtaken in all); the "
	    "%s had to ask for those", o->events, wire_end_text(f, sender, who),
	    o->depth_max, o->overtaken, wire_side(other_side(sender)));
	finding_against(fd, "a team of cards that sends by turns (round robin) does "
	    "the same");
	if (sender == SERVER && fd->severity >= SEVERITY_MEDIUM)
		flow_afflicted(f, FINDING_segments_reordered, n->first);
}

/* Often, by whole segments, a good part of what it sends, and most of it felt
 * by the receiver. */
static bool
is_disorder(const struct judge *j, const struct flow *f, enum side sender,
    const struct order *o)
{
	return o->events >= j->limit->reorder_min &&
	    o->whole * 10 >= o->events * 9 && o->events >= o->unfelt &&
	    o->overtaken >= j->limit->reorder_share * f->half[sender].packets;
}

static void
order_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	if (f->protocol != IP_TCP || !memo_count(state))
		return;
	for (unsigned side = CLIENT; side <= SERVER; side++) {
		uint64_t key = memo_key(f->id, side);
		const struct order *o = memo_find(state, key);
		double trust;

		if (!o)
			continue;
		/* all of it is seen: losses of the sniffer make none of it */
		trust = judge_trusts(j, v, f, TRUST_BOTH_WAYS);
		if (is_disorder(j, f, side, o) && trust > 0)
			raise(j, v, f, side, o, trust);
		if (f->flags & FLOW_ENDED)
			memo_drop(state, key);
	}
}

/* What was said of this server before another was seen to do the same. */
static void
order_server(void *state, struct judge *j, struct server *v)
{
	(void)state;
	if (!others_do_so(j, v))
		return;
	for (struct finding *x = v->findings; x; x = x->next_of_server) {
		if (x->name != FINDING_segments_reordered ||
		    x->side != FAULT_SERVER)
			continue;
		blame_the_way(x);
		finding_touch(x);
	}
}

static void *
order_new(void)
{
	return memo_new(FLOWS_MAX, sizeof(struct order));
}

const struct detector detector_segments_reordered = {
	.finding = FINDING_segments_reordered,
	.meaning = "The sender's card puts segments of one large send on the wire "
	    "in another order than its stack numbered them. The receiver asks for "
	    "what it takes for lost, the sender sends it again and slows down: "
	    "transfers at a fraction of their speed, though nothing is lost.",
	.decided = "A segment comes ahead of others by a whole number of segments; "
	    "those follow within 10 ms with older IP IDs; and the receiver "
	    "acknowledges the early one with SACK while it lacks them. "
	    "reorder_min (5) times on a connection, the segments overtaken being "
	    "reorder_share (5 %) of what the side sent, and no oftener swapped "
	    "for the mirror alone. The server's card is blamed if its TTL says "
	    "that no router is between, and no other server is seen to do so.",
	.mimics = "A mirror or a sniffer with several queues (the receiver had all "
	    "in order), loss and resends (later IP IDs), load sharing by packet "
	    "on the way (a router has lowered the TTL, or other servers show the "
	    "same), a team of cards in round-robin mode (said against it).",
	.source = "RFC 2018; RFC 4737 (reordering and its extent); Microsoft, "
	    "\"Offloading the Segmentation of Large TCP Packets\" (IP IDs of a "
	    "large send go up by one); ublue-os/bazzite issue 4664 (RTL8126: out "
	    "of order by three to four segments, 67 % sent again, cured by "
	    "switching TSO off).",
	.facts = SEG_HOLE,
	.mark = MARK_ORDER,
	.on_segment = order_segment,
	.review_flow = order_review,
	.servers = SERVER_FOUND,
	.review_server = order_server,
	.new = order_new,
	.free = memo_free_state,
	.release = free,
};
