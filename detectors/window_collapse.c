/* window_collapse.c - an advertised window that stops meaning what was
 * negotiated.
 *
 * Window scaling is agreed in the SYNs and never mentioned again. A stack that
 * takes a connection over and does not take the scale along advertises windows
 * 2^shift too large, or too small. From outside that is one step by exactly
 * that factor, which then stays; a window that merely opens or fills moves
 * otherwise. The hard part is small factors, which honest windows take in a
 * step as well: those count only in the very packet in which another stack
 * takes over. A receiver that takes back what it has already granted (its right
 * edge moves left) is the other kind. */
#include "detectors/window_collapse.h"

#include <stdlib.h>

#include "detectors/wire.h"

extern const struct detector detector_window_collapse;

enum note_kind { KIND_SCALE = 1, KIND_SHRUNK, KIND_SMALL_SCALE };

/* How near a step must be to 2^shift; small factors are met by chance. */
enum { SLACK = 4, SLACK_SMALL_SHIFT = 16 };
/* Flows of a server whose windows step by a small factor, outside a hand-over,
 * before that is more than auto-tuning. */
enum { SMALL_SHIFT_FLOWS = 3 };
/* And flows whose windows shrink for a single packet. */
enum { FLICKER_FLOWS = 3 };

/* In both notes. `STAYS` counts the packets that keep to the new level, `BACK`
 * those that return to the old one. */
enum { VALUE_BEFORE, VALUE_AFTER, VALUE_STAYS, VALUE_BACK };

/* Honest windows grow by a factor of 8 in one step (auto-tuning after a burst,
 * RFC 7323 asks for no slower way); by 16 and more only once in a while. */
enum { SHIFT_SURE = 4 };
/* Packets of a side, with the one that steps: its SYN and two more before. */
enum { LEVEL_PACKETS = 4 };
enum { STAYS_MIN = 3, BACK_SHARE = 8 };

static bool
is_near(uint64_t a, uint64_t b, uint32_t slack)
{
	uint64_t off = a > b ? a - b : b - a;

	return off <= b / slack;
}

enum scale_change
scale_change(uint32_t before, uint32_t after, uint8_t shift, uint32_t slack)
{
	uint64_t up = (uint64_t)before << shift;
	uint32_t field = after >> shift, was = before >> shift;

	if (!shift || shift > 14 || !before || !after)
		return SCALE_KEPT;
	/* more than the field holds is sent as the most that it holds */
	if (after > before)
		return is_near(after, up, slack) ||
		    (field == UINT16_MAX && before > UINT16_MAX &&
		    after / 8 >= before) ? SCALE_NOT_APPLIED : SCALE_KEPT;
	/* what is left below one unit of the scale is rounded away */
	if (is_near((uint64_t)after << shift, before, slack) ||
	    (before / 4 >= 1U << shift && field <= (was >> shift) + 1 &&
	    field + 1 >= was >> shift))
		return SCALE_APPLIED_TWICE;
	return SCALE_KEPT;
}

static bool
is_comparable(const struct flow *f, const struct segment *seg)
{
	const struct tcp_half *me = &f->half[seg->side];

	return wire_negotiated(f) && me->packets >= LEVEL_PACKETS &&
	    me->shift != SHIFT_UNKNOWN && seg->window_before &&
	    !(seg->facts & (SEG_DAMAGED | SEG_ACK_BACK | SEG_ACK_AHEAD |
	    SEG_STRAY)) &&
	    seg->packet->tcp_flags & TCP_ACK &&
	    !(seg->packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) &&
	    !wire_other_box(seg);
}

static void
note_step(struct flow_pool *pool, struct flow *f, const struct segment *seg,
    enum note_kind kind)
{
	struct note *n = flow_note(pool, f,
	    detector_note(FINDING_window_collapse), kind, seg->side);

	if (!n || n->count)
		return;			/* the first one is followed */
	n->value[VALUE_BEFORE] = seg->window_before;
	n->value[VALUE_AFTER] = seg->window;
	n->open = true;
	note_add(n, seg->packet->time, seg->packet->frame);
}

/* By how much the right edge of the window moved left. */
static uint32_t
retreat(const struct segment *seg)
{
	uint32_t less = seg->window_before - seg->window;

	return less > seg->acked_bytes ? less - seg->acked_bytes : 0;
}

/* More than rounding and one or two segments in flight when it was decided. */
static bool
is_shrunk(const struct flow *f, const struct segment *seg)
{
	const struct tcp_half *me = &f->half[seg->side];
	uint32_t mss = me->mss ? me->mss : 1460;
	uint32_t by = retreat(seg);

	return by > 2 * mss && by > 2U << me->shift &&
	    by > seg->window_before / 4 &&
	    (wire_order(seg) == WIRE_SENT_LATER || wire_flips(seg));
}

static void
look_for_step(struct flow_pool *pool, struct flow *f, const struct segment *seg)
{
	uint8_t shift = f->half[seg->side].shift;
	bool sure = shift >= SHIFT_SURE || wire_flips(seg);
	enum scale_change change;

	if (seg->window > seg->window_before &&
	    seg->window / 2 <= seg->window_max_before)
		return;			/* it was as large before */
	if (seg->window < seg->window_before && !is_shrunk(f, seg))
		return;			/* it fills */
	change = scale_change(seg->window_before, seg->window, shift,
	    sure ? SLACK : SLACK_SMALL_SHIFT);
	if (change != SCALE_KEPT)
		note_step(pool, f, seg, sure ? KIND_SCALE : KIND_SMALL_SCALE);
	if (seg->window < seg->window_before && (change == SCALE_KEPT || !sure))
		note_step(pool, f, seg, KIND_SHRUNK);
}

/* Which level does the window keep to now? */
static void
follow(struct note *n, const struct segment *seg)
{
	uint64_t w = seg->window;
	uint64_t before = n->value[VALUE_BEFORE], after = n->value[VALUE_AFTER];

	if (before < after ? w > after / 2 : w < after * 2 || w < before / 4) {
		n->value[VALUE_STAYS]++;
		note_add(n, seg->packet->time, seg->packet->frame);
	} else {
		n->value[VALUE_BACK]++;
	}
}

/* The first of all, if any is. */
static struct note *
own_notes(const struct flow *f)
{
	return flow_note_bits(f) & OWN_NOTE(window_collapse) ? f->notes : NULL;
}

static void
window_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	(void)state;
	if (!is_comparable(f, seg))
		return;
	for (struct note *n = own_notes(f); n; n = n->next)
		if (n->what == detector_note(FINDING_window_collapse) &&
		    n->side == seg->side)
			follow(n, seg);
	if (seg->window != seg->window_before)
		look_for_step(pool, f, seg);
}

static bool
stays(const struct note *n)
{
	return n->value[VALUE_STAYS] >= STAYS_MIN &&
	    n->value[VALUE_BACK] * BACK_SHARE <= n->value[VALUE_STAYS];
}

static void
fill(struct finding *fd, const struct flow *f, const struct note *n)
{
	finding_from_note(fd, n);
	fd->count = 1;
	fd->side = wire_fault(n->side);
	finding_metric(fd, "window_before_bytes",
	    (double)n->value[VALUE_BEFORE]);
	finding_metric(fd, "window_after_bytes", (double)n->value[VALUE_AFTER]);
	finding_metric(fd, "shift", f->half[n->side].shift);
	finding_metric(fd, "packets_since", (double)n->value[VALUE_STAYS]);
}

static void
raise_scale(struct judge *j, struct server *v, struct flow *f,
    const struct note *n)
{
	struct finding *fd = finding_raise(j, &detector_window_collapse,
	    "scale_lost", v, f, 0);
	struct finding *lesser = finding_lookup(j, &detector_window_collapse,
	    "shrunk", v, f, 0);
	bool up = n->value[VALUE_AFTER] > n->value[VALUE_BEFORE];
	char who[WIRE_END_TEXT_BYTES];

	fill(fd, f, n);
	fd->severity = n->side == SERVER ? SEVERITY_HIGH : SEVERITY_LOW;
	fd->confidence = 0.9;
	finding_say(fd, "%s stepped from a window of %llu bytes to one of %llu "
	    "between two packets and stays there: the factor is 2^%u, the scale "
	    "it had negotiated, so it %s", wire_end_text(f, n->side, who),
	    (unsigned long long)n->value[VALUE_BEFORE],
	    (unsigned long long)n->value[VALUE_AFTER], f->half[n->side].shift,
	    up ? "no longer scales what it advertises" :
	    "scales what it advertises twice");
	if (n->side == SERVER)
		flow_afflicted(f, FINDING_window_collapse, n->first);
	if (lesser && lesser->first_seen.ns == fd->first_seen.ns)
		finding_retract(lesser);	/* the same step, said better */
}

/* A window taken back that stays small throttles whoever sends. */
static enum severity
shrunk_severity(const struct flow *f, const struct note *n)
{
	bool small = n->value[VALUE_AFTER] <= n->value[VALUE_BEFORE] / 4;

	if (n->side == CLIENT || !small || !stays(n) ||
	    f->half[SERVER].flags & HALF_FIN)
		return SEVERITY_LOW;
	return n->value[VALUE_STAYS] >= 2 * STAYS_MIN ? SEVERITY_MEDIUM :
	    SEVERITY_LOW;
}

static void
raise_shrunk(struct judge *j, struct server *v, struct flow *f,
    const struct note *n)
{
	struct finding *fd = finding_raise(j, &detector_window_collapse,
	    "shrunk", v, f, 0);
	char who[WIRE_END_TEXT_BYTES];

	fill(fd, f, n);
	fd->severity = shrunk_severity(f, n);
	fd->confidence = 0.8;
	finding_say(fd, "%s took back window it had granted: from %llu bytes to "
	    "%llu at once, and %llu packets later it is still small",
	    wire_end_text(f, n->side, who),
	    (unsigned long long)n->value[VALUE_BEFORE],
	    (unsigned long long)n->value[VALUE_AFTER],
	    (unsigned long long)n->value[VALUE_STAYS]);
	if (n->value[VALUE_BACK])
		finding_against(fd, "it opened again in %llu later packets",
		    (unsigned long long)n->value[VALUE_BACK]);
	if (fd->severity >= SEVERITY_MEDIUM)
		flow_afflicted(f, FINDING_window_collapse, n->first);
}

/* Flows of the server whose windows do one of the things that a lone flow may do
 * by chance. */
struct oddities {
	uint32_t small_steps, flickers;
};

/* How many there are by now; each flow counts once. */
static uint32_t
count_flow(struct server *v, struct note *n)
{
	struct oddities *odd = server_remember(v, FINDING_window_collapse,
	    sizeof(*odd));
	uint32_t *flows;

	if (!odd)
		return 0;
	flows = n->kind == KIND_SHRUNK ? &odd->flickers : &odd->small_steps;
	*flows += n->open;
	n->open = false;
	return *flows;
}

/* Window taken back in one packet and granted again in the next. */
static bool
flickers(const struct note *n)
{
	return n->kind == KIND_SHRUNK && n->side == SERVER &&
	    n->value[VALUE_BACK] > n->value[VALUE_STAYS];
}

/* Once it is a box's whim or a lack of memory; on several connections of one
 * server it is an old window that somebody still holds. Where the card carries
 * the connection, that is who. */
static void
judge_flicker(struct judge *j, struct server *v, struct flow *f, struct note *n)
{
	struct finding *fd;
	char who[WIRE_END_TEXT_BYTES];

	if (count_flow(v, n) < FLICKER_FLOWS)
		return;
	fd = finding_raise(j, &detector_window_collapse, "shrunk", v, f, 0);
	fill(fd, f, n);
	fd->severity = server_flow_stack(v, f) == STACK_OFFLOADED ?
	    SEVERITY_MEDIUM : SEVERITY_LOW;
	fd->confidence = 0.7;
	finding_say(fd, "%s takes back window it had granted in single packets "
	    "(from %llu bytes to %llu) and grants it again in the next, as %u "
	    "connections of this server do: an old window is still in use",
	    wire_end_text(f, n->side, who),
	    (unsigned long long)n->value[VALUE_BEFORE],
	    (unsigned long long)n->value[VALUE_AFTER], count_flow(v, n));
	if (fd->severity >= SEVERITY_MEDIUM)
		flow_afflicted(f, FINDING_window_collapse, n->first);
}

static void
judge_step(struct judge *j, struct server *v, struct flow *f, struct note *n)
{
	const struct finding *same;

	if (n->kind == KIND_SMALL_SCALE && (n->side != SERVER ||
	    count_flow(v, n) < SMALL_SHIFT_FLOWS))
		return;
	if (n->kind != KIND_SHRUNK) {
		raise_scale(j, v, f, n);
		return;
	}
	same = finding_lookup(j, &detector_window_collapse, "scale_lost", v, f,
	    0);
	if (!same || same->first_seen.ns != n->first.ns)
		raise_shrunk(j, v, f, n);
}

static void
window_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	(void)state;
	if (f->protocol != IP_TCP)
		return;
	for (struct note *n = f->notes; n; n = n->next) {
		if (n->what != detector_note(FINDING_window_collapse))
			continue;
		if (stays(n))
			judge_step(j, v, f, n);
		else if (flickers(n))
			judge_flicker(j, v, f, n);
	}
}

static const char *const kinds[] = { "scale_lost", "shrunk", NULL };

const struct detector detector_window_collapse = {
	.finding = FINDING_window_collapse,
	.meaning = "The receive window that one side advertises no longer means "
	    "what was negotiated. scale_lost: the window scale agreed in the "
	    "handshake was forgotten (or applied twice) by whoever carries the "
	    "connection now; the other side sends far too much, or hardly "
	    "anything. shrunk: window that had been granted is taken back.",
	.decided = "Both SYNs were seen. scale_lost: from one packet to the next "
	    "the window steps by 2^shift, within a quarter, to where it never "
	    "was, and at least three packets stay there, with at most one in "
	    "eight back at the old level; shifts below 4 count only in the packet "
	    "in which the IP ID changes its half, or when three connections of "
	    "the server step so, within a sixteenth. shrunk: the right edge (ack "
	    "plus window) moves left by more than two segments and a quarter of "
	    "the window, and stays; of medium weight at a server when less than a "
	    "quarter is left for six packets. Or it does so in single packets, "
	    "on three connections of the server; of medium weight where the "
	    "card carries them.",
	.mimics = "A window that fills (its edge stays), one that opens after it "
	    "was nearly closed (it was as large before), auto-tuning (small "
	    "factors), packets out of order (by IP ID and time), another box that "
	    "answers (TTL). A connection picked up midstream is not judged.",
	.source = "RFC 7323, 2.2 and 2.4; RFC 9293, 3.8.6; Microsoft, NDIS "
	    "TCP_OFFLOAD_STATE_CONST (SndWindScale, RcvWindScale); KB 934430 "
	    "and KB 948496 (slow with Vista clients).",
	.kinds = kinds,
	.odd = ODD_WINDOW,
	.noted = OWN_NOTE(window_collapse),
	.notes = OWN_NOTE(window_collapse),
	.on_segment = window_segment,
	.review_flow = window_review,
	.release = free,
};
