/* handover_violation.c - a connection changes hands between the host's stack
 * and the NIC's, and its state is wrong afterwards.
 *
 * The change shows in the IP IDs: the host keeps to the lower half of their
 * space, the offload target to the upper. Within a second of such a flip the
 * state that was handed over must go on without a seam: acknowledgments, window,
 * timestamps, TTL, and what was selectively acknowledged. The hard part is that
 * IP IDs of hosts which do not keep to the halves flip all the time; those are
 * told by the whole host's behaviour (server->ids_split), so that here only
 * notes are taken and the judgement waits for the step phase. */
#include <stdlib.h>

#include "detectors/memo.h"
#include "detectors/registry.h"
#include "detectors/wire.h"

extern const struct detector detector_handover_violation;

enum note_kind { KIND_RENEGED = 1, KIND_ACK, KIND_TIMESTAMP, KIND_WINDOW,
    KIND_TTL, KINDS };

static const char *const kind_names[KINDS] = { NULL, "sack_reneged",
    "ack_jump", "timestamp_step", "window_jump", "ttl_change" };

/* All notes: what it was before, and after; and the flip's direction. */
enum { VALUE_BEFORE, VALUE_AFTER, VALUE_UP, VALUE_CONFIRMED };

enum { FLOWS_MAX = 8192, SACKS_MAX = 2048 };

#define HANDOVER_NS NS_PER_S

/* More flips than this on one flow are no hand-overs but a random counter. */
enum { FLIPS_MAX = 8 };

/* RFC 7323, 5.4: 1 ms a tick is the fastest clock; beyond that and two seconds
 * of slack a stamp has leapt. */
enum { TICKS_PER_S = 1000, SLACK_TICKS = 2000, STEP_MIN_TICKS = 10 };

struct handover {
	struct instant at;
	bool up;
	bool confirmed;		/* a second packet of the same half followed */
	uint8_t ttl_before;
	bool leapt;		/* the stamp; to be confirmed by the next */
	struct instant leapt_at;
	uint32_t ts_before, ts_at;
	uint64_t frame;
};

/* The highest range that a side acknowledged selectively. */
struct sacked {
	uint32_t left, right;
};

struct handovers {
	struct memo *flips, *sacks;
};

struct tally {			/* of a server */
	uint32_t flows[KINDS];
};

static struct note *
note_for(struct flow_pool *pool, struct flow *f, const struct segment *seg,
    enum note_kind kind, const struct handover *h, uint64_t before,
    uint64_t after)
{
	struct note *n = flow_note(pool, f,
	    detector_note(FINDING_handover_violation), kind, seg->side);

	if (!n)
		return NULL;
	if (!n->count) {
		note_add(n, h->at, h->frame);
		n->count = 0;		/* the flip itself is no violation */
		n->value[VALUE_BEFORE] = before;
		n->value[VALUE_AFTER] = after;
		n->value[VALUE_UP] = h->up;
		n->value[VALUE_CONFIRMED] = h->confirmed;
	}
	note_add(n, seg->packet->time, seg->packet->frame);
	return n;
}

static bool
is_random_counter(const struct flow *f, enum side side)
{
	const struct note *n = flow_note_find(f, NOTE_ID_FLIP, 0, side);

	return n && n->value[0] + n->value[1] > FLIPS_MAX;
}

/* --- at the flip, and in the second after it --------------------------- */

/* By a factor of four or more, to where it never was or back from what was
 * granted; smaller steps are a window at work. */
static void
compare_window(struct flow_pool *pool, struct flow *f,
    const struct segment *seg, const struct handover *h)
{
	uint32_t before = seg->window_before, after = seg->window;
	bool up = after / 4 >= before && after / 2 > seg->window_max_before;
	bool down = before / 4 >= after && after &&
	    before - after > seg->acked_bytes &&
	    before - after - seg->acked_bytes > before / 2;

	if (before && f->half[seg->side].packets > 3 && wire_negotiated(f) &&
	    (up || down))
		note_for(pool, f, seg, KIND_WINDOW, h, before, after);
}

static void
compare_stamp(struct flow_pool *pool, struct flow *f,
    const struct segment *seg, struct handover *h)
{
	uint32_t before = seg->ts_before, after = seg->packet->options.ts_value;
	int64_t ms = instant_since(seg->packet->time, seg->last_before) /
	    NS_PER_MS;

	if (!seg->packet->options.has_timestamps || !before)
		return;
	if (seq_before(after, before) && before - after >= STEP_MIN_TICKS &&
	    !(seg->facts & (SEG_AGAIN | SEG_LATE))) {
		note_for(pool, f, seg, KIND_TIMESTAMP, h, before, after);
	} else if (!h->leapt && seq_after(after, before) && after - before >
	    ms * TICKS_PER_S / 1000 * 3 / 2 + SLACK_TICKS) {
		h->leapt = true;
		h->leapt_at = seg->packet->time;
		h->ts_before = before;
		h->ts_at = after;
	}
}

static void
flipped(struct handovers *s, struct flow *f, const struct segment *seg)
{
	struct handover *h = memo_make(s->flips, memo_key(f->id, seg->side));

	f->marks |= MARK_HANDOVER;
	*h = (struct handover){ .at = seg->packet->time,
		.frame = seg->packet->frame,
		.up = seg->packet->ip_id & 0x8000,
		.ttl_before = seg->ttl_before };
}

/* A leap forward is one only if the clock then ticks at an ordinary rate: some
 * stacks stamp in microseconds. */
static void
confirm_leap(struct flow_pool *pool, struct flow *f, const struct segment *seg,
    struct handover *h)
{
	int64_t ms = instant_since(seg->packet->time, h->leapt_at) / NS_PER_MS;
	uint32_t ticks = seg->packet->options.ts_value - h->ts_at;

	if (!h->leapt || !seg->packet->options.has_timestamps || ms < 20)
		return;
	h->leapt = false;
	if (ticks <= ms * TICKS_PER_S / 1000 * 3 / 2 + STEP_MIN_TICKS)
		note_for(pool, f, seg, KIND_TIMESTAMP, h, h->ts_before, h->ts_at);
}

static bool
noted_now(const struct note *n, const struct segment *seg)
{
	return n && n->frame_count && n->last.ns == seg->packet->time.ns &&
	    n->frame[n->frame_count - 1] == seg->packet->frame;
}

static void
compare_ack(struct flow_pool *pool, struct flow *f, const struct segment *seg,
    const struct handover *h)
{
	const struct tcp_half *me = &f->half[seg->side];
	const struct note *back = flow_note_find(f, NOTE_ACK_BACK, 0, seg->side);

	if (seg->facts & SEG_ACK_BACK && noted_now(back, seg) &&
	    !(seg->facts & (SEG_AGAIN | SEG_KEEP_ALIVE)))
		note_for(pool, f, seg, KIND_ACK, h, me->acked, seg->packet->ack);
	else if (seg->facts & SEG_ACK_AHEAD && !(seg->facts & SEG_DAMAGED))
		note_for(pool, f, seg, KIND_ACK, h, me->acked, seg->packet->ack);
}

/* The first packet with another TTL is within the second; the next may come
 * when it will. */
static void
compare_ttl(struct flow_pool *pool, struct flow *f, const struct segment *seg,
    const struct handover *h, bool fresh)
{
	struct note *n;

	if (!h->ttl_before || seg->packet->ttl == h->ttl_before ||
	    seg->packet->tcp_flags & TCP_RST)
		return;
	n = flow_note_find(f, detector_note(FINDING_handover_violation),
	    KIND_TTL, seg->side);
	if (fresh)
		note_for(pool, f, seg, KIND_TTL, h, h->ttl_before,
		    seg->packet->ttl);
	else if (n && n->value[VALUE_AFTER] == seg->packet->ttl)
		note_add(n, seg->packet->time, seg->packet->frame);
}

/* One packet of the other half among those of this is a straggler or a replay;
 * what moved stays there for a while. */
static void
confirm_flip(struct flow *f, const struct segment *seg, struct handover *h)
{
	if (h->confirmed)
		return;
	h->confirmed = true;
	for (struct note *n = f->notes; n; n = n->next)
		if (n->what == detector_note(FINDING_handover_violation) &&
		    n->side == seg->side && !instant_before(n->last, h->at))
			n->value[VALUE_CONFIRMED] = 1;
}

static void
after_flip(struct handovers *s, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	struct handover *h = memo_find(s->flips, memo_key(f->id, seg->side));
	bool fresh;

	if (!h)
		return;
	if (seg->packet->frame != h->frame)
		confirm_flip(f, seg, h);
	fresh = instant_since(seg->packet->time, h->at) <= HANDOVER_NS;
	compare_ttl(pool, f, seg, h, fresh);
	confirm_leap(pool, f, seg, h);
	if (!fresh || seg->facts & SEG_DAMAGED)
		return;
	compare_window(pool, f, seg, h);
	compare_stamp(pool, f, seg, h);
	compare_ack(pool, f, seg, h);
}

/* --- what was selectively acknowledged --------------------------------- */

static bool
still_sacked(const struct packet *p, const struct sacked *b)
{
	for (unsigned i = 0; i < p->options.sack_count; i++)
		if (seq_before(p->options.sack[i].left, b->right) &&
		    seq_after(p->options.sack[i].right, b->left))
			return true;
	/* with three blocks or more there may have been no room for it */
	return p->options.sack_count >= 3;
}

static void
remember_sack(struct handovers *s, struct flow *f,
    const struct segment *seg)
{
	const struct packet *p = seg->packet;
	const struct tcp_half *peer = &f->half[other_side(seg->side)];
	struct sacked *b;

	for (unsigned i = 0; i < p->options.sack_count; i++) {
		struct sack_block block = p->options.sack[i];

		/* D-SACK (RFC 2883) lies below; what is above all that was
		 * sent is some middlebox's numbers */
		if (!seq_after(block.left, p->ack) ||
		    seq_after(block.right, peer->next))
			continue;
		b = memo_make(s->sacks, memo_key(f->id, seg->side));
		f->marks |= MARK_HANDOVER;
		if (!b->right || seq_after(block.right, b->right))
			*b = (struct sacked){ block.left, block.right };
	}
}

/* Bare ACKs only: some stacks put no blocks beside data. */
static void
look_for_reneging(struct handovers *s, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	const struct packet *p = seg->packet;
	uint64_t key = memo_key(f->id, seg->side);
	struct sacked *b = memo_find(s->sacks, key);
	const struct handover *h;

	if (!b || !(p->tcp_flags & TCP_ACK) || p->tcp_flags & TCP_RST)
		return;
	if (!seq_before(p->ack, b->right)) {
		memo_drop(s->sacks, key);
		return;
	}
	if (p->payload_bytes || p->options.cut || seg->facts & (SEG_ACK_BACK |
	    SEG_DAMAGED | SEG_KEEP_ALIVE) || seq_after(p->ack, b->left) ||
	    still_sacked(p, b) || wire_order(seg) == WIRE_SENT_EARLIER)
		return;
	h = memo_find(s->flips, key);
	if (h && instant_since(p->time, h->at) <= HANDOVER_NS)
		note_for(pool, f, seg, KIND_RENEGED, h, b->left, b->right);
}

static void
handover_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	struct handovers *s = state;

	if (seg->side != SERVER || f->state == FLOW_NEW ||
	    seg->facts & (SEG_STRAY | SEG_SYN_ON_LIVE))
		return;
	if (wire_flips(seg)) {
		if (is_random_counter(f, seg->side))
			return;
		flipped(s, f, seg);
	}
	if (memo_count(s->flips))
		after_flip(s, pool, f, seg);
	if (memo_count(s->sacks))
		look_for_reneging(s, pool, f, seg);
	if (seg->packet->options.sack_count)
		remember_sack(s, f, seg);
}

/* --- judging ----------------------------------------------------------- */

static struct tally *
tally_of(struct server *v)
{
	return server_remember(v, FINDING_handover_violation,
	    sizeof(struct tally));
}

/* Another TTL alone harms nobody; it counts when it is the rule. */
static enum severity
severity_of(const struct tally *t, enum note_kind kind)
{
	uint32_t flows = t ? t->flows[kind] : 1;

	if (kind == KIND_TTL)
		return flows >= 3 ? SEVERITY_MEDIUM : SEVERITY_LOW;
	return flows >= 2 ? SEVERITY_HIGH : SEVERITY_MEDIUM;
}

static void
say(struct finding *fd, const struct note *n)
{
	unsigned long long before = n->value[VALUE_BEFORE];
	unsigned long long after = n->value[VALUE_AFTER];
	const char *to = n->value[VALUE_UP] ? "NIC" : "host stack";

	switch ((enum note_kind)n->kind) {
	case KIND_RENEGED:
		finding_say(fd, "within a second of the connection's move to the "
		    "%s the server no longer acknowledges selectively what it had "
		    "(%llu bytes): it dropped data it held", to,
		    (after - before) & UINT32_MAX);
		return;
	case KIND_ACK:
		finding_say(fd, "within a second of the connection's move to the "
		    "%s its acknowledgment jumps from %llu to %llu", to, before,
		    after);
		return;
	case KIND_TIMESTAMP:
		finding_say(fd, "at the connection's move to the %s its timestamp "
		    "steps from %llu to %llu, which no clock does in that time",
		    to, before, after);
		return;
	case KIND_WINDOW:
		finding_say(fd, "at the connection's move to the %s its window "
		    "jumps from %llu to %llu bytes", to, before, after);
		return;
	default:
		finding_say(fd, "since the connection's move to the %s its packets "
		    "come with TTL %llu instead of %llu", to, after, before);
	}
}

static bool
is_proved(const struct flow *f, const struct note *n)
{
	const struct note *ahead = flow_note_find(f, NOTE_ACK_AHEAD, 0, SERVER);
	uint32_t before = (uint32_t)n->value[VALUE_BEFORE];

	if (!n->value[VALUE_CONFIRMED])
		return false;
	if (n->kind == KIND_TTL)
		return n->count >= 2;
	/* an acknowledgment ahead of what we saw may be our loss */
	if (n->kind == KIND_ACK &&
	    seq_after((uint32_t)n->value[VALUE_AFTER], before))
		return ahead && ahead->value[2];
	return n->count >= 1;
}

static void
judge_note(struct judge *j, struct server *v, struct flow *f,
    const struct note *n)
{
	bool rests_on_order = n->kind == KIND_ACK || n->kind == KIND_RENEGED;
	struct tally *t = tally_of(v);
	struct finding *fd;

	if (!is_proved(f, n) || (rests_on_order &&
	    judge_trusts(j, v, f, TRUST_LOSS) <= 0))
		return;
	fd = finding_raise(j, &detector_handover_violation, kind_names[n->kind],
	    v, f, 0);
	if (!fd->count && t)
		t->flows[n->kind]++;
	finding_from_note(fd, n);
	fd->severity = severity_of(t, n->kind);
	fd->confidence = 0.85;
	fd->side = FAULT_SERVER;
	finding_metric(fd, "before", (double)n->value[VALUE_BEFORE]);
	finding_metric(fd, "after", (double)n->value[VALUE_AFTER]);
	finding_metric(fd, "to_nic", (double)n->value[VALUE_UP]);
	say(fd, n);
	if (n->kind != KIND_TTL)
		flow_afflicted(f, FINDING_handover_violation, n->first);
}

static void
handover_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	struct handovers *s = state;

	if (f->protocol != IP_TCP)
		return;
	for (const struct note *n = f->notes; n; n = n->next)
		if (n->what == detector_note(FINDING_handover_violation) &&
		    v->ids_split && !is_random_counter(f, SERVER))
			judge_note(j, v, f, n);
	if (f->flags & FLOW_ENDED) {
		memo_drop(s->flips, memo_key(f->id, SERVER));
		memo_drop(s->sacks, memo_key(f->id, SERVER));
	}
}

/* Each flow by the weight of all of them; none, if the halves mean nothing. */
static void
handover_finish(void *state, struct judge *j)
{
	(void)state;
	for (struct finding *fd = registry_findings(j->registry); fd;
	    fd = fd->next) {
		if (fd->name != FINDING_handover_violation || !fd->server)
			continue;
		if (!fd->server->ids_split)
			finding_retract(fd);
		for (unsigned k = 1; k < KINDS; k++)
			if (fd->kind == kind_names[k])
				fd->severity = severity_of(tally_of(fd->server), k);
	}
}

static void
handover_free(void *state)
{
	struct handovers *s = state;

	if (!s)
		return;
	memo_free(&s->flips);
	memo_free(&s->sacks);
	free(s);
}

static void *
handover_new(void)
{
	struct handovers *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->flips = memo_new(FLOWS_MAX, sizeof(struct handover));
	s->sacks = memo_new(SACKS_MAX, sizeof(struct sacked));
	if (s->flips && s->sacks)
		return s;
	handover_free(s);
	return NULL;
}

static const char *const kinds[] = { "sack_reneged", "ack_jump",
	"timestamp_step", "window_jump", "ttl_change", NULL };

const struct detector detector_handover_violation = {
	.finding = FINDING_handover_violation,
	.meaning = "A connection moved from the server's own stack to its network "
	    "card's offload engine, or back, and within a second its state is "
	    "wrong: data that was selectively acknowledged is forgotten "
	    "(sack_reneged), the acknowledgment jumps (ack_jump), the timestamp "
	    "steps (timestamp_step), the window is another (window_jump), the TTL "
	    "too (ttl_change). The hand-over lost or mistook a part of it.",
	.decided = "The host's IP IDs keep to their halves (offload_active says "
	    "how that is known), and this flow's ID changed its half, at most "
	    "eight times, and kept the new one for two packets. Within a "
	    "second of that: a bare ACK below a range that had been SACKed "
	    "carries it no longer; an ACK goes back, or ahead of what the "
	    "client then shows it had sent; TSval back by ten ticks or more, "
	    "or ahead of 1.5 times a 1 kHz clock and two seconds, with an "
	    "ordinary rate after; a window four times as large as before and "
	    "twice as large as ever, or a quarter with granted window taken "
	    "back; "
	    "another TTL in two packets. On two flows: high; TTL alone: medium "
	    "from three flows on.",
	.mimics = "Hosts whose IP IDs use all 16 bits or are random (not judged), "
	    "SYN proxies (they alter state at the start, not midway), load "
	    "balancers that take over (another MAC, no flip), reordering on the "
	    "mirror (IP ID, time). SACKed data that is dropped when an offload "
	    "ends is allowed by the interface, and still costs the client a "
	    "timeout.",
	.source = "Microsoft, NDIS \"Sending Data from an Offload Target\", "
	    "\"Handling Segments Received During a Terminate Offload "
	    "Operation\", \"Generating and Using Timestamps\", "
	    "TCP_OFFLOAD_STATE_DELEGATED; RFC 2018, 8; RFC 7323, 5.",
	.kinds = kinds,
	.facts = CUE_SACKS,
	.odd = ODD_FLIP,
	.mark = MARK_HANDOVER,
	.notes = OWN_NOTE(handover_violation),
	.on_segment = handover_segment,
	.review_flow = handover_review,
	.finish = handover_finish,
	.new = handover_new,
	.free = handover_free,
	.release = free,
};
