/* oversized_segment.c - segments larger than their receiver said it would take.
 *
 * Seen on the sending host before its NIC cuts them (TSO, LSO), or on the
 * receiving one after they were glued (GRO, LRO, RSC), they are whole, and the
 * receiver acknowledges them. On a wire no receiver takes them: the NIC was to
 * cut them and did not. So it is again the receiver who tells. Each oversized
 * range is kept until it is acknowledged or sent again, and the sender's counts
 * as a whole decide, since a super-segment that was lost on the way (and is
 * sent again as large) looks like the fault for a moment. */
#include <stdlib.h>

#include "detectors/memo.h"
#include "detectors/wire.h"

extern const struct detector detector_oversized_segment;

enum { FLOWS_MAX = 4096, SENDERS_MAX = 4096, RANGES = 4 };

/* Without a SYN there is no MSS; but no Ethernet carries more than jumbo frames
 * (9000 bytes and some tags): what is larger never was one frame. */
enum { NO_FRAME_BYTES = 9600 };

/* A receiver that keeps silent this long over the first send and two more has
 * not taken it: below it a sender's own three tries may still be under way. */
#define VIOLATION_MIN_NS NS_PER_S

struct range {
	uint32_t start, end;
	struct instant first, last;
	uint16_t sends;
	bool final;		/* its checksum is that of the wire */
};

struct pending {		/* one side of a flow */
	struct range range[RANGES];
	unsigned count;
};

struct sender {
	uint32_t accepted, refused;
};

struct oversize {
	struct memo *pending, *senders;
};

/* In the note: values as flow.h has them for NOTE_OVERSIZE, the last one being
 * how many were refused. */
enum { VALUE_MAX_BYTES, VALUE_ACCEPTED, VALUE_AGAIN, VALUE_REFUSED };

/* A host is known by its record; who has none yet has done nothing yet. */
static struct sender *
sender_of(struct oversize *o, const struct host *h)
{
	return memo_make(o->senders, (h ? h->number + 1 : 0) << 1 | 1);
}

static uint32_t
limit_of(const struct flow *f, enum side sender)
{
	uint16_t mss = f->half[other_side(sender)].mss;

	return mss ? mss : NO_FRAME_BYTES;
}

static void
range_remove(struct pending *w, unsigned i)
{
	for (w->count--; i < w->count; i++)
		w->range[i] = w->range[i + 1];
}

static struct range *
range_at(struct pending *w, uint32_t start)
{
	for (unsigned i = 0; i < w->count; i++)
		if (w->range[i].start == start)
			return &w->range[i];
	return NULL;
}

/* Bits of a sum that is finished; one that is not shows that this place is
 * before the NIC, whatever becomes of the segment. */
static bool
is_final(const struct packet *p)
{
	return p->checksum == CHECKSUM_GOOD ||
	    p->checksum == CHECKSUM_UNVERIFIABLE;
}

static void
sent_oversized(struct oversize *o, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	const struct packet *p = seg->packet;
	struct note *n = flow_note(pool, f, NOTE_OVERSIZE, 0, seg->side);
	struct pending *w = memo_make(o->pending, memo_key(f->id, seg->side));
	struct range *r = range_at(w, p->seq);

	f->marks |= (uint16_t)(MARK_OVERSIZE << seg->side);
	if (n) {
		note_add(n, p->time, p->frame);
		if (n->value[VALUE_MAX_BYTES] < p->payload_bytes)
			n->value[VALUE_MAX_BYTES] = p->payload_bytes;
		n->value[VALUE_AGAIN] += r != NULL;
	}
	if (r) {
		r->sends++;
		r->last = p->time;
		return;
	}
	if (w->count == RANGES)		/* the last one makes room: what waits
					 * at the front is what is sent again */
		w->count--;
	w->range[w->count++] = (struct range){ .start = p->seq,
		.end = wire_end(p), .first = p->time, .last = p->time,
		.sends = 1, .final = is_final(p) };
}

/* The same bytes in pieces that fit: the sender gave up on the large form. */
static void
sent_smaller(struct oversize *o, struct flow *f, const struct segment *seg,
    struct pending *w)
{
	struct note *n = flow_note_find(f, NOTE_OVERSIZE, 0, seg->side);
	struct range *r = range_at(w, seg->packet->seq);

	if (!r || instant_since(seg->packet->time, r->last) <
	    WIRE_REORDER_NS || !r->final)
		return;
	if (n) {
		n->value[VALUE_AGAIN]++;
		n->value[VALUE_REFUSED]++;
	}
	sender_of(o, f->host[seg->side])->refused++;
	range_remove(w, (unsigned)(r - w->range));
}

static void
acknowledged(struct oversize *o, struct flow *f, enum side sender,
    struct pending *w, uint32_t ack)
{
	struct note *n = flow_note_find(f, NOTE_OVERSIZE, 0, sender);

	for (unsigned i = 0; i < w->count;) {
		if (seq_before(ack, w->range[i].end)) {
			i++;
			continue;
		}
		if (n)
			n->value[VALUE_ACCEPTED]++;
		sender_of(o, f->host[sender])->accepted++;
		range_remove(w, i);
	}
}

static struct pending *
pending_of(const struct oversize *o, const struct flow *f, enum side sender)
{
	return f->marks & MARK_OVERSIZE << sender ?
	    memo_find(o->pending, memo_key(f->id, sender)) : NULL;
}

static void
oversize_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	struct oversize *o = state;
	const struct packet *p = seg->packet;
	bool oversized = p->payload_bytes > limit_of(f, seg->side);
	struct pending *w;

	if (!oversized && !memo_count(o->pending))
		return;
	if (p->tcp_flags & TCP_ACK && !(p->tcp_flags & TCP_RST)) {
		w = pending_of(o, f, other_side(seg->side));
		if (w)
			acknowledged(o, f, other_side(seg->side), w, p->ack);
	}
	if (oversized) {
		sent_oversized(o, pool, f, seg);
		return;
	}
	w = pending_of(o, f, seg->side);
	if (w && p->payload_bytes > 1)
		sent_smaller(o, f, seg, w);
}

/* Sent as large again and again, and never acknowledged. */
static uint32_t
refused_now(const struct judge *j, const struct pending *w)
{
	uint32_t refused = 0;

	for (unsigned i = 0; w && i < w->count; i++) {
		const struct range *r = &w->range[i];

		if (r->final && r->sends >= j->limit->retransmit_min &&
		    instant_since(r->last, r->first) >= VIOLATION_MIN_NS)
			refused += r->sends;
	}
	return refused;
}

static void
raise_coalesced(struct judge *j, struct server *v, struct flow *f,
    enum side side, const struct note *n, uint32_t accepted)
{
	struct finding *fd = finding_raise(j, &detector_oversized_segment,
	    "coalesced", v, NULL, 0);
	char who[ADDRESS_TEXT_BYTES];

	for (unsigned i = 0; i < n->frame_count; i++)
		finding_frame(fd, n->frame[i]);
	finding_time(fd, n->first);
	finding_time(fd, n->last);
	if (fd->count < accepted)
		fd->count = accepted;
	fd->severity = SEVERITY_INFO;
	fd->confidence = 0.95;
	fd->side = FAULT_CAPTURE;
	finding_metric(fd, "max_bytes", (double)n->value[VALUE_MAX_BYTES]);
	finding_say(fd, "%s sent segments of up to %llu bytes, more than one "
	    "frame may hold, and they were acknowledged: the capture sees them "
	    "before the NIC cuts them or after it has put them together",
	    address_text(&f->addr[side], who),
	    (unsigned long long)n->value[VALUE_MAX_BYTES]);
}

static void
raise_violation(struct judge *j, struct server *v, struct flow *f,
    enum side side, const struct note *n, uint32_t refused, double trust)
{
	struct finding *fd = finding_raise(j, &detector_oversized_segment,
	    "mss_violation", v, f, 0);
	char from[WIRE_END_TEXT_BYTES];

	finding_from_note(fd, n);
	fd->retracted = false;
	fd->count = refused;
	fd->severity = side == SERVER ? SEVERITY_HIGH :
	    wire_client_severity(v, &detector_oversized_segment,
	    &f->addr[CLIENT]);
	fd->confidence = 0.9 * trust;
	fd->side = wire_fault(side);
	finding_metric(fd, "mss_bytes", f->half[other_side(side)].mss);
	finding_metric(fd, "max_bytes", (double)n->value[VALUE_MAX_BYTES]);
	finding_metric(fd, "sent_again", (double)n->value[VALUE_AGAIN]);
	finding_say(fd, "%s sent segments of up to %llu bytes though the %s "
	    "takes %u at most; %u of them were never acknowledged and had to be "
	    "sent again", wire_end_text(f, side, from),
	    (unsigned long long)n->value[VALUE_MAX_BYTES],
	    wire_side(other_side(side)), f->half[other_side(side)].mss,
	    refused);
	if (side == SERVER)
		flow_afflicted(f, FINDING_oversized_segment, n->first);
}

static void
judge_side(struct oversize *o, struct judge *j, struct server *v,
    struct flow *f, enum side side, const struct note *n)
{
	const struct pending *w = pending_of(o, f, side);
	const struct sender *s;
	uint32_t refused = (uint32_t)n->value[VALUE_REFUSED] + refused_now(j, w);
	double trust = judge_trusts(j, v, f, TRUST_BOTH_WAYS | TRUST_LOSS);

	s = sender_of(o, f->host[side]);
	if (n->value[VALUE_ACCEPTED])
		raise_coalesced(j, v, f, side, n, s->accepted);
	if (f->half[other_side(side)].mss && refused && !s->accepted && trust > 0)
		raise_violation(j, v, f, side, n, refused, trust);
	if (f->flags & FLOW_ENDED)
		memo_drop(o->pending, memo_key(f->id, side));
}

static void
oversize_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	if (f->protocol != IP_TCP || !f->notes)
		return;
	for (unsigned side = CLIENT; side <= SERVER; side++) {
		const struct note *n = flow_note_find(f, NOTE_OVERSIZE, 0, side);

		if (n)
			judge_side(state, j, v, f, side, n);
	}
}

/* Once a sender's large segments are accepted, the others were too, or lost. */
static void
oversize_server(void *state, struct judge *j, struct server *v)
{
	(void)j;
	if (!v->host || !sender_of(state, v->host)->accepted)
		return;
	for (struct finding *fd = v->findings; fd; fd = fd->next_of_server)
		if (fd->name == FINDING_oversized_segment && fd->flow_id &&
		    fd->side == FAULT_SERVER && !fd->retracted)
			finding_retract(fd);
}

static void
oversize_free(void *state)
{
	struct oversize *o = state;

	if (!o)
		return;
	memo_free(&o->pending);
	memo_free(&o->senders);
	free(o);
}

static void *
oversize_new(void)
{
	struct oversize *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->pending = memo_new(FLOWS_MAX, sizeof(struct pending));
	o->senders = memo_new(SENDERS_MAX, sizeof(struct sender));
	if (o->pending && o->senders)
		return o;
	oversize_free(o);
	return NULL;
}

static const char *const kinds[] = { "coalesced", "mss_violation", NULL };

const struct detector detector_oversized_segment = {
	.finding = FINDING_oversized_segment,
	.meaning = "TCP segments are larger than their receiver announced it "
	    "would take. Accepted (coalesced), they were whole only at the place "
	    "of the capture: before the sender's NIC cut them up, or after the "
	    "receiver's NIC put them together. Never accepted (mss_violation), "
	    "they went over the wire as they are: the server's NIC was handed a "
	    "large send and did not cut it up (LSO, TSO).",
	.decided = "Payload larger than the MSS in the receiver's SYN. Coalesced: "
	    "acknowledged without having been sent in smaller pieces; without a "
	    "SYN in the capture, larger than any Ethernet frame (9600 bytes). "
	    "mss_violation: the same bytes sent at least retransmit_min (3) times "
	    "over a second or more, or sent again in pieces that fit, and no "
	    "large segment of that host was ever acknowledged.",
	.mimics = "Jumbo frames (the MSS says so; no finding). A capture on the "
	    "host itself with loss on the way: its other large segments are "
	    "acknowledged, and their checksums are unfinished. A router that "
	    "lowers the MSS in SYNs behind the mirror port (what the sender saw "
	    "is then not what the capture shows).",
	.source = "RFC 9293, 3.7.1; Microsoft, \"Offloading the Segmentation of "
	    "Large TCP Packets\"; Wireshark wiki, CaptureSetup/Offloading.",
	.kinds = kinds,
	.odd = ODD_SIZE,
	.mark = MARK_OVERSIZES,
	.notes = NOTE_BIT(NOTE_OVERSIZE),
	.on_segment = oversize_segment,
	.review_flow = oversize_review,
	.servers = SERVER_FOUND,
	.review_server = oversize_server,
	.new = oversize_new,
	.free = oversize_free,
	.release = free,
};
