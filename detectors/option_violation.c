/* option_violation.c - what was negotiated in the SYNs and is not kept to.
 *
 * Timestamps, once agreed, stand in every segment but a reset (RFC 7323, 3.2),
 * and never run backwards; SACK blocks go only to who permitted them. A stack
 * that takes a connection over without these facts breaks them at once, and its
 * peer then drops what it sends (PAWS). The hard part is that one stray segment
 * means little: boxes on the way answer in another's name, captures cut headers
 * short, packets overtake each other. So such segments are left out, and the
 * rest must be several. */
#include "detectors/wire.h"

extern const struct detector detector_option_violation;

enum note_kind { KIND_MISSING = 1, KIND_REGRESSED, KIND_SACK };

/* MISSING: of those segments how many carried data, were sent again (nobody
 * took them), and how many carried timestamps after all since the first;
 * REGRESSED: the largest step back and how many stayed below the highest. */
enum { VALUE_DATA, VALUE_AGAIN, VALUE_KEPT };
enum { VALUE_STEP, VALUE_BELOW };

/* RFC 7323, 5.4: a timestamp clock ticks between 1 ms and 1 s. Cores of one
 * host may disagree by a tick or two, by no means by this many. */
enum { STEP_MIN_TICKS = 10 };

enum { SEGMENTS_SURE = 3 };

static bool
has_all_options(const struct packet *p)
{
	return !p->options.cut;
}

/* Resets may do without; a SYN negotiates; what is damaged, a keep-alive or
 * another box's word is no evidence. */
static bool
is_evidence(const struct segment *seg)
{
	const struct packet *p = seg->packet;

	return !(p->tcp_flags & (TCP_SYN | TCP_RST)) && has_all_options(p) &&
	    !(seg->facts & (SEG_DAMAGED | SEG_STRAY)) && !wire_other_box(seg);
}

static struct note *
note_for(struct flow_pool *pool, struct flow *f, const struct segment *seg,
    enum note_kind kind)
{
	struct note *n = flow_note(pool, f,
	    detector_note(FINDING_option_violation), kind, seg->side);

	if (n)
		note_add(n, seg->packet->time, seg->packet->frame);
	return n;
}

static void
take_missing(struct flow_pool *pool, struct flow *f, const struct segment *seg)
{
	struct note *n;

	if (seg->packet->options.has_timestamps) {
		n = f->notes ? flow_note_find(f,
		    detector_note(FINDING_option_violation), KIND_MISSING,
		    seg->side) : NULL;
		if (n)
			n->value[VALUE_KEPT]++;
		return;
	}
	if (seg->facts & SEG_KEEP_ALIVE)
		return;
	n = note_for(pool, f, seg, KIND_MISSING);
	if (!n)
		return;
	n->value[VALUE_DATA] += seg->packet->payload_bytes != 0;
	n->value[VALUE_AGAIN] += (seg->facts & SEG_AGAIN) != 0;
}

/* Segments sent again may be old frames with their old stamp. */
static void
take_regressed(struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	uint32_t value = seg->packet->options.ts_value;
	uint32_t back = seg->ts_before - value;
	struct note *n;

	if (!seg->packet->options.has_timestamps || !seg->ts_before ||
	    !seq_before(value, seg->ts_before) || back < STEP_MIN_TICKS ||
	    seg->facts & (SEG_AGAIN | SEG_LATE | SEG_ACK_BACK | SEG_KEEP_ALIVE) ||
	    (wire_order(seg) != WIRE_SENT_LATER && !wire_flips(seg)))
		return;
	n = note_for(pool, f, seg, KIND_REGRESSED);
	if (n && n->value[VALUE_STEP] < back)
		n->value[VALUE_STEP] = back;
}

static void
option_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	const struct tcp_half *peer = &f->half[other_side(seg->side)];

	(void)state;
	if (!wire_negotiated(f) || !is_evidence(seg))
		return;
	if (f->half[CLIENT].flags & f->half[SERVER].flags & HALF_TS) {
		take_missing(pool, f, seg);
		take_regressed(pool, f, seg);
	}
	if (seg->packet->options.sack_count && !(peer->flags & HALF_SACK))
		note_for(pool, f, seg, KIND_SACK);
}

static struct finding *
raise(struct judge *j, struct server *v, struct flow *f, const struct note *n,
    const char *kind, enum severity at_server)
{
	struct finding *fd = finding_raise(j, &detector_option_violation, kind, v,
	    f, 0);

	finding_from_note(fd, n);
	fd->side = wire_fault(n->side);
	fd->severity = n->side == SERVER && n->count >= SEGMENTS_SURE ?
	    at_server : SEVERITY_LOW;
	fd->confidence = n->count >= SEGMENTS_SURE ? 0.9 : 0.5;
	if (fd->severity >= SEVERITY_MEDIUM)
		flow_afflicted(f, FINDING_option_violation, n->first);
	return fd;
}

static void
judge_missing(struct judge *j, struct server *v, struct flow *f,
    const struct note *n)
{
	bool dropped = n->value[VALUE_AGAIN] > 0;
	struct finding *fd;
	char who[WIRE_END_TEXT_BYTES];

	if (n->count < 2 || n->value[VALUE_KEPT] > n->count * 2)
		return;			/* now and then one: a box on the way */
	fd = raise(j, v, f, n, "timestamps_missing",
	    dropped ? SEVERITY_HIGH : SEVERITY_MEDIUM);
	finding_metric(fd, "data_segments", (double)n->value[VALUE_DATA]);
	finding_metric(fd, "sent_again", (double)n->value[VALUE_AGAIN]);
	finding_say(fd, "%s agreed to timestamps and sent %u segments without; "
	    "%llu of them carry data, %llu had been sent before",
	    wire_end_text(f, n->side, who), n->count,
	    (unsigned long long)n->value[VALUE_DATA],
	    (unsigned long long)n->value[VALUE_AGAIN]);
	if (n->value[VALUE_KEPT])
		finding_against(fd, "%llu later segments carry them",
		    (unsigned long long)n->value[VALUE_KEPT]);
}

static void
judge_regressed(struct judge *j, struct server *v, struct flow *f,
    const struct note *n)
{
	struct finding *fd;
	char who[WIRE_END_TEXT_BYTES];

	fd = raise(j, v, f, n, "timestamp_regressed", SEVERITY_HIGH);
	finding_metric(fd, "back_ticks", (double)n->value[VALUE_STEP]);
	finding_say(fd, "the timestamps of %s ran backwards in %u segment%s, by "
	    "up to %llu ticks; a receiver drops such segments (PAWS)",
	    wire_end_text(f, n->side, who), n->count, wire_s(n->count),
	    (unsigned long long)n->value[VALUE_STEP]);
}

static void
judge_sack(struct judge *j, struct server *v, struct flow *f,
    const struct note *n)
{
	struct finding *fd;
	char who[WIRE_END_TEXT_BYTES];

	fd = raise(j, v, f, n, "sack_unnegotiated", SEVERITY_MEDIUM);
	finding_say(fd, "%s sent SACK blocks in %u segment%s though the %s's SYN "
	    "did not permit them", wire_end_text(f, n->side, who), n->count,
	    wire_s(n->count),
	    wire_side(other_side(n->side)));
	finding_against(fd, "a firewall that takes the option out of SYNs, "
	    "between the mirror port and the %s, would look like this",
	    wire_side(n->side));
}

static void
option_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	(void)state;
	if (f->protocol != IP_TCP)
		return;
	for (const struct note *n = f->notes; n; n = n->next) {
		if (n->what != detector_note(FINDING_option_violation))
			continue;
		if (n->kind == KIND_MISSING)
			judge_missing(j, v, f, n);
		else if (n->kind == KIND_REGRESSED)
			judge_regressed(j, v, f, n);
		else
			judge_sack(j, v, f, n);
	}
}

static const char *const kinds[] = { "timestamps_missing",
	"timestamp_regressed", "sack_unnegotiated", NULL };

const struct detector detector_option_violation = {
	.finding = FINDING_option_violation,
	.meaning = "TCP options that both sides agreed on in the handshake "
	    "vanish (timestamps_missing) or run backwards (timestamp_regressed) "
	    "in the middle of a connection, or options are used that were never "
	    "agreed on (sack_unnegotiated). Whoever carries the connection now "
	    "was not told what was negotiated, and its peer drops what it sends.",
	.decided = "Both SYNs were seen. timestamps_missing: both carried "
	    "timestamps, and at least two segments of one side have none, more "
	    "than every third from then on. timestamp_regressed: a TSval at "
	    "least ten ticks below the highest before, in a new segment that was "
	    "sent later (by IP ID or more than 10 ms). sack_unnegotiated: SACK "
	    "blocks to a side whose SYN did not permit them. From three segments "
	    "of a server on it is of medium weight and more.",
	.mimics = "Resets (need no timestamp), keep-alives, headers cut by the "
	    "snap length, packets out of order, boxes that answer in another's "
	    "name (TTL), firewalls that take options out of SYNs (then the mirror "
	    "port should see SYNs on the server's side of it).",
	.source = "RFC 7323, 3.2, 5.3 and 5.4; RFC 2018, 2; Microsoft, NDIS "
	    "\"Generating and Using Timestamps\".",
	.kinds = kinds,
	.facts = CUE_SACKS,
	.odd = ODD_STAMPS,
	.notes = OWN_NOTE(option_violation),
	.on_segment = option_segment,
	.review_flow = option_review,
};
