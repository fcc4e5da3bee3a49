/* sequence_violation.c - sequence and acknowledgment numbers that no sound
 * stack sends.
 *
 * Each of the four has an innocent twin in what a mirror port does: it loses
 * the data that was acknowledged, hands an old ACK over late, misses the window
 * update. So none is believed on its own. An ACK of unsent data needs the word
 * of the other side, whose next number shows that it had not sent so far; an
 * ACK that went back must have been sent after the higher one, and more than
 * once; data beyond the window needs the receiver to repeat that its window
 * ends before; different bytes under the same numbers are compared under good
 * checksums only. */
#include <stdlib.h>

#include "detectors/wire.h"

extern const struct detector detector_sequence_violation;

enum note_kind { KIND_STALE_ACK = 1, KIND_BEYOND, KIND_CONFLICT, KIND_PROOF };

/* Notes of this detector.
 * PROOF: no values, only how often and where;
 * BEYOND: the segment's end, the window's edge, confirmations by the receiver;
 * CONFLICT: the sequence number, its bytes, how many came with another TTL. */
enum { VALUE_END, VALUE_EDGE, VALUE_CONFIRMED };
enum { VALUE_SEQ, VALUE_BYTES, VALUE_OTHER_BOX };

/* What was sent lately, to compare with what is sent again: one slot for each
 * hash of flow, sequence number and length, overwritten by the next. */
enum { RECENT_SLOTS = 32768 };

struct sent {
	uint32_t what;		/* more of the hash */
	/* All that a good checksum covers sums to 0xffff (RFC 1071): of two
	 * segments with the same ends and length, the payloads have one sum if
	 * the headers have. */
	uint16_t header_sum;
};

struct sequence {
	struct sent recent[RECENT_SLOTS];
};

/* --- the same numbers, other bytes ------------------------------------- */

static uint64_t
hash_of(const struct flow *f, const struct segment *seg)
{
	uint64_t key = f->id * 2 + seg->side + 2;

	key = (key << 32 | seg->packet->seq) * UINT64_C(0x9e3779b97f4a7c15);
	key = (key ^ key >> 32 ^ seg->packet->payload_bytes) *
	    UINT64_C(0x9e3779b97f4a7c15);
	return key ^ key >> 29;
}

static void
conflict(struct flow_pool *pool, struct flow *f, const struct segment *seg)
{
	const struct packet *p = seg->packet;
	struct note *n = flow_note(pool, f,
	    detector_note(FINDING_sequence_violation), KIND_CONFLICT, seg->side);

	if (!n)
		return;
	note_add(n, p->time, p->frame);
	n->value[VALUE_SEQ] = p->seq;
	n->value[VALUE_BYTES] = p->payload_bytes;
	n->value[VALUE_OTHER_BOX] += wire_other_box(seg);
}

static void
compare_bytes(struct sequence *s, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	const struct packet *p = seg->packet;
	uint64_t hash = hash_of(f, seg);
	struct sent *slot = &s->recent[hash % RECENT_SLOTS], now;

	if (p->checksum != CHECKSUM_GOOD || p->payload_bytes < 2 ||
	    p->tcp_flags & TCP_SYN || seg->facts & SEG_KEEP_ALIVE)
		return;
	now = (struct sent){ (uint32_t)(hash >> 32), p->header_sum };
	if (seg->facts & SEG_AGAIN && slot->what == now.what &&
	    slot->header_sum != now.header_sum)
		conflict(pool, f, seg);
	else
		*slot = now;
}

/* --- beyond the window ------------------------------------------------- */

/* The right edge of the window that `side` last advertised. */
static uint32_t
edge_of(const struct flow *f, enum side side)
{
	return f->half[side].acked + f->half[side].window;
}

static void
look_beyond(struct flow_pool *pool, struct flow *f, const struct segment *seg)
{
	enum side to = other_side(seg->side);
	const struct tcp_half *peer = &f->half[to];
	uint32_t end = wire_end(seg->packet), edge = edge_of(f, to);
	uint32_t mss = peer->mss ? peer->mss : 1460;
	struct note *n;

	if (!wire_negotiated(f) || !(peer->flags & HALF_ACKED) ||
	    !(seg->facts & SEG_NEW) || seg->facts & (SEG_PROBE | SEG_DAMAGED) ||
	    seg->packet->tcp_flags & TCP_SYN || !seq_after(end, edge + mss) ||
	    end - edge > UINT32_C(1) << 30)
		return;
	n = flow_note(pool, f, detector_note(FINDING_sequence_violation),
	    KIND_BEYOND, seg->side);
	if (!n || n->open)
		return;
	n->open = true;
	n->value[VALUE_END] = end;
	n->value[VALUE_EDGE] = edge;
	note_add(n, seg->packet->time, seg->packet->frame);
}

/* The receiver's next word: does its window still end before that data? */
static void
confirm_beyond(struct note *n, const struct segment *seg)
{
	uint32_t edge;

	if (!(seg->packet->tcp_flags & TCP_ACK) ||
	    seg->facts & (SEG_DAMAGED | SEG_ACK_BACK | SEG_ACK_AHEAD) ||
	    seg->packet->tcp_flags & (TCP_RST | TCP_SYN))
		return;
	n->open = false;
	edge = seg->packet->ack + seg->window;
	/* an edge that moved left was granted before */
	if (seq_before(edge, (uint32_t)n->value[VALUE_EDGE]) ||
	    !seq_before(edge, (uint32_t)n->value[VALUE_END]) ||
	    !seq_before(seg->packet->ack, (uint32_t)n->value[VALUE_END]))
		return;
	n->value[VALUE_CONFIRMED]++;
	note_add(n, seg->packet->time, seg->packet->frame);
}

/* --- acknowledgments --------------------------------------------------- */

/* A segment sent again may carry the acknowledgment of its first time, where
 * frames are kept whole for resending; it is no new word about what came. So
 * may one that answers a late duplicate, right after the higher one. */
static void
excuse_stale(struct flow_pool *pool, struct flow *f, const struct segment *seg)
{
	const struct note *back = flow_note_find(f, NOTE_ACK_BACK, 0, seg->side);
	struct note *n;

	if (!back || back->last.ns != seg->packet->time.ns ||
	    !back->frame_count ||
	    back->frame[back->frame_count - 1] != seg->packet->frame)
		return;			/* out of order: not counted anyway */
	if (!(seg->facts & (SEG_AGAIN | SEG_KEEP_ALIVE)) &&
	    !wire_other_box(seg) && instant_since(seg->packet->time,
	    f->half[seg->side].last_advance) > WIRE_REORDER_NS)
		return;
	n = flow_note(pool, f, detector_note(FINDING_sequence_violation),
	    KIND_STALE_ACK, seg->side);
	if (n)
		note_add(n, seg->packet->time, seg->packet->frame);
}

/* The other side's own position, some time after its data were acknowledged:
 * below what was acknowledged, they had not been sent. Right after it, it may be
 * a packet that the mirror hands over late. Without a SYN or data of that side
 * its position is a guess (a keep-alive lies one below). */
static void
prove_unsent(struct flow_pool *pool, struct flow *f, const struct segment *seg,
    const struct note *n)
{
	const struct packet *p = seg->packet;
	const struct tcp_half *me = &f->half[seg->side];
	bool bare = wire_end(p) == p->seq && p->seq == me->next;
	struct note *proof;

	if (!(bare || seg->facts & SEG_NEW) ||
	    seg->facts & (SEG_DAMAGED | SEG_KEEP_ALIVE | SEG_STRAY) ||
	    p->tcp_flags & (TCP_RST | TCP_SYN) ||
	    !(me->flags & (HALF_SYN | HALF_DATA)) ||
	    !seq_before(me->next, (uint32_t)n->value[0]) ||
	    instant_since(p->time, n->last) <= WIRE_REORDER_NS)
		return;
	proof = flow_note(pool, f, detector_note(FINDING_sequence_violation),
	    KIND_PROOF, n->side);
	if (proof)
		note_add(proof, p->time, p->frame);
}

enum { SPOKEN_OF = NOTE_BIT(NOTE_ACK_AHEAD) | OWN_NOTE(sequence_violation) };

/* What this segment says about what the other side did before it. */
static void
take_word(struct flow_pool *pool, struct flow *f, const struct segment *seg)
{
	if (!(flow_note_bits(f) & SPOKEN_OF))
		return;
	for (struct note *n = f->notes; n; n = n->next) {
		if (n->side == seg->side || !n->open)
			continue;
		if (n->what == NOTE_ACK_AHEAD)
			prove_unsent(pool, f, seg, n);
		else if (n->what == detector_note(FINDING_sequence_violation) &&
		    n->kind == KIND_BEYOND)
			confirm_beyond(n, seg);
	}
}

static void
sequence_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	if (seg->facts & SEG_ACK_BACK)
		excuse_stale(pool, f, seg);
	take_word(pool, f, seg);
	if (!seg->packet->payload_bytes)
		return;
	look_beyond(pool, f, seg);
	compare_bytes(state, pool, f, seg);
}

/* --- judging ----------------------------------------------------------- */

static struct finding *
raise(struct judge *j, struct server *v, struct flow *f, const struct note *n,
    const char *kind, uint32_t count, uint32_t sure_from)
{
	struct finding *fd = finding_raise(j, &detector_sequence_violation, kind,
	    v, f, 0);

	finding_from_note(fd, n);
	fd->count = count;
	fd->side = wire_fault(n->side);
	fd->severity = n->side == CLIENT || count < sure_from ? SEVERITY_LOW :
	    count < 2 * sure_from ? SEVERITY_MEDIUM : SEVERITY_HIGH;
	fd->confidence = count >= 2 * sure_from ? 0.9 : 0.7;
	if (fd->severity >= SEVERITY_MEDIUM)
		flow_afflicted(f, FINDING_sequence_violation, n->first);
	return fd;
}

/* How often something must be seen on one flow before it makes an incident by
 * itself: twice is no accident of the mirror, three times for what needs more
 * assumptions. */
enum { ACKS_SURE = 2, BACK_SURE = 2, BEYOND_SURE = 3, CONFLICTS_SURE = 3 };

static void
judge_unsent(struct judge *j, struct server *v, struct flow *f, enum side side)
{
	const struct note *n = flow_note_find(f, NOTE_ACK_AHEAD, 0, side);
	const struct note *proof = flow_note_find(f,
	    detector_note(FINDING_sequence_violation), KIND_PROOF, side);
	char who[WIRE_END_TEXT_BYTES];
	struct finding *fd;

	if (!n || !proof)
		return;
	fd = raise(j, v, f, n, "ack_unsent", n->count, ACKS_SURE);
	if (proof->count < ACKS_SURE)
		fd->severity = SEVERITY_LOW;
	finding_metric(fd, "ahead_bytes", (double)n->value[1]);
	finding_metric(fd, "proofs", proof->count);
	for (unsigned i = 0; i < proof->frame_count && i < 4; i++)
		finding_frame(fd, proof->frame[i]);
	finding_say(fd, "%s acknowledged data that had not been sent, %u time%s "
	    "(last by %llu bytes); the %s itself goes on from a lower number "
	    "later, as %u of its packets show", wire_end_text(f, side, who),
	    n->count, wire_s(n->count), (unsigned long long)n->value[1],
	    wire_side(other_side(side)), proof->count);
}

static void
judge_regressed(struct judge *j, struct server *v, struct flow *f,
    enum side side)
{
	const struct note *n = flow_note_find(f, NOTE_ACK_BACK, 0, side);
	const struct note *stale = flow_note_find(f,
	    detector_note(FINDING_sequence_violation), KIND_STALE_ACK, side);
	uint32_t count = n ? n->count - (stale ? stale->count : 0) : 0;
	char who[WIRE_END_TEXT_BYTES];
	struct finding *fd;

	if (!count)
		return;
	fd = raise(j, v, f, n, "ack_regressed", count, BACK_SURE);
	finding_metric(fd, "back_bytes", (double)n->value[0]);
	finding_say(fd, "%s acknowledged less than it had before, %u time%s (last "
	    "by %llu bytes), in packets that were sent after the higher "
	    "acknowledgment", wire_end_text(f, side, who), count,
	    wire_s(count), (unsigned long long)n->value[0]);
	finding_against(fd, "a second path or mirror queue that delays packets "
	    "by more than 10 ms could reorder them");
}

/* What was under way when the receiver took its window back is no fault of the
 * sender's. */
static bool
window_was_taken_back(const struct flow *f, enum side receiver)
{
	for (const struct note *n = f->notes; n; n = n->next)
		if (n->what == detector_note(FINDING_window_collapse) &&
		    n->side == receiver)
			return true;
	return false;
}

static void
judge_beyond(struct judge *j, struct server *v, struct flow *f, enum side side)
{
	const struct note *n = flow_note_find(f,
	    detector_note(FINDING_sequence_violation), KIND_BEYOND, side);
	uint32_t count = n ? (uint32_t)n->value[VALUE_CONFIRMED] : 0;
	uint32_t by;
	char who[WIRE_END_TEXT_BYTES];
	struct finding *fd;

	if (!count || judge_trusts(j, v, f, TRUST_LOSS) <= 0 ||
	    window_was_taken_back(f, other_side(side)))
		return;
	by = (uint32_t)n->value[VALUE_END] - (uint32_t)n->value[VALUE_EDGE];
	fd = raise(j, v, f, n, "data_beyond_window", count, BEYOND_SURE);
	finding_metric(fd, "beyond_bytes", by);
	finding_say(fd, "%s sent data beyond the window it was granted, %u "
	    "time%s (last by %u bytes); the %s's next acknowledgment repeats "
	    "that its window ends before", wire_end_text(f, side, who), count,
	    wire_s(count), by, wire_side(other_side(side)));
	finding_against(fd, "a box behind the mirror port that rewrites windows "
	    "would look like this");
}

static void
judge_conflict(struct judge *j, struct server *v, struct flow *f,
    enum side side)
{
	const struct note *n = flow_note_find(f,
	    detector_note(FINDING_sequence_violation), KIND_CONFLICT, side);
	char who[WIRE_END_TEXT_BYTES];
	struct finding *fd;

	if (!n)
		return;
	fd = raise(j, v, f, n, "conflicting_retransmission", n->count,
	    CONFLICTS_SURE);
	finding_metric(fd, "bytes", (double)n->value[VALUE_BYTES]);
	finding_say(fd, "%s sent other bytes again under the same sequence "
	    "numbers, %u time%s (last %llu bytes), both under a good checksum",
	    wire_end_text(f, side, who), n->count, wire_s(n->count),
	    (unsigned long long)n->value[VALUE_BYTES]);
	if (!n->value[VALUE_OTHER_BOX])
		return;
	fd->side = FAULT_NETWORK;
	fd->severity = SEVERITY_LOW;
	finding_against(fd, "%llu of them came with another TTL: somebody else "
	    "sent them in its name",
	    (unsigned long long)n->value[VALUE_OTHER_BOX]);
}

static void
sequence_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	(void)state;
	if (!f->notes || f->protocol != IP_TCP)
		return;
	for (unsigned side = CLIENT; side <= SERVER; side++) {
		judge_unsent(j, v, f, side);
		judge_regressed(j, v, f, side);
		judge_beyond(j, v, f, side);
		judge_conflict(j, v, f, side);
	}
}

static void *
sequence_new(void)
{
	return calloc(1, sizeof(struct sequence));
}

static const char *const kinds[] = { "ack_unsent", "ack_regressed",
	"data_beyond_window", "conflicting_retransmission", NULL };

const struct detector detector_sequence_violation = {
	.finding = FINDING_sequence_violation,
	.meaning = "One side sends numbers that no sound TCP sends: it "
	    "acknowledges data that were never sent (ack_unsent) or less than it "
	    "acknowledged before (ack_regressed), sends beyond the window it was "
	    "granted (data_beyond_window), or other bytes under numbers it has "
	    "used (conflicting_retransmission). At a server this is the state of "
	    "two stacks that do not agree about one connection.",
	.decided = "ack_unsent: an acknowledgment beyond all that was seen sent, "
	    "after which the other side itself goes on from a lower number. "
	    "ack_regressed: an acknowledgment lower than an earlier one, in a "
	    "packet that was sent later by its IP ID or, where those tell "
	    "nothing, comes more than 10 ms later; segments sent again do not "
	    "count. data_beyond_window: more than one segment beyond the edge, "
	    "and the receiver's next packet still puts the edge before it. "
	    "conflicting_retransmission: same sequence number and length, both "
	    "checksums good, another sum of the payload. From twice (the latter "
	    "two: three times) on one connection of a server on it is of medium "
	    "weight.",
	.mimics = "Packets the sniffer missed (the other side's numbers then go "
	    "on from the higher one), mirror queues out of step (IP ID, time), "
	    "old acknowledgments in frames that are resent whole, boxes that "
	    "speak in another's name (TTL), keep-alive and window probes.",
	.source = "RFC 9293, 3.4, 3.8.6 and 3.10.7.4; RFC 1071; Microsoft, NDIS "
	    "TCP_OFFLOAD_STATE_DELEGATED (RcvNxt, SndUna, SndNxt).",
	.kinds = kinds,
	.facts = SEG_ACK_BACK | CUE_PAYLOAD,
	.noted = SPOKEN_OF,
	.notes = NOTE_BIT(NOTE_ACK_AHEAD) | NOTE_BIT(NOTE_ACK_BACK) |
	    OWN_NOTE(sequence_violation),
	.on_segment = sequence_segment,
	.review_flow = sequence_review,
	.new = sequence_new,
	.free = free,
};
