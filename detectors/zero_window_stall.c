/* zero_window_stall.c - a receive window that closes and stays closed.
 *
 * A closed window is flow control at work; what makes it a fault is that it
 * lasts while the other side has something to send. That there is something is
 * told by the probes: a sender with nothing to say sends none. Answered with
 * zero again and again, the receiver's TCP lives and its application does not
 * read (persist); not answered at all, nobody holds the connection any more
 * (probe_unanswered). */
#include <string.h>

#include "detectors/wire.h"

extern const struct detector detector_zero_window_stall;

/* Values of NOTE_ZERO_WINDOW: probes that carry a byte (tcp.c counts them), and
 * those that carry none, which look like keep-alives (counted here). */
enum { VALUE_PROBES, VALUE_ANSWERED, VALUE_BARE_PROBES, VALUE_BARE_ANSWERED };

static uint64_t
probes_of(const struct note *n)
{
	return n->value[VALUE_PROBES] + n->value[VALUE_BARE_PROBES];
}

static uint64_t
answers_of(const struct note *n)
{
	return n->value[VALUE_ANSWERED] + n->value[VALUE_BARE_ANSWERED];
}

static void
zero_window_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	struct note *n;

	(void)state;
	(void)pool;
	if (!(seg->facts & (SEG_KEEP_ALIVE | SEG_ZERO_WINDOW)))
		return;
	if (seg->facts & SEG_KEEP_ALIVE) {
		n = flow_note_find(f, NOTE_ZERO_WINDOW, 0,
		    other_side(seg->side));
		if (n && n->open)
			n->value[VALUE_BARE_PROBES]++;
		return;
	}
	n = flow_note_find(f, NOTE_ZERO_WINDOW, 0, seg->side);
	if (n && n->value[VALUE_BARE_PROBES] > n->value[VALUE_BARE_ANSWERED])
		n->value[VALUE_BARE_ANSWERED]++;
}

/* A printer that is out of paper closes its window for as long as that takes,
 * and is meant to (RAW printing, LPD, IPP). */
static bool
is_printing(const struct flow *f)
{
	uint16_t port = f->port[SERVER];

	return port == 9100 || port == 515 || port == 631;
}

/* Until when the window was closed. */
static struct instant
closed_until(const struct judge *j, const struct flow *f, const struct note *n,
    enum side side)
{
	const struct tcp_half *me = &f->half[side];

	if (!n->open)
		return n->last;
	/* a closed flow has no window, and an ended one has ended */
	if (f->state == FLOW_CLOSED || f->flags & FLOW_ENDED)
		return instant_before(f->last, me->last) ? me->last : f->last;
	return j->now;
}

static bool
is_unanswered(const struct judge *j, const struct flow *f, const struct note *n,
    enum side side)
{
	const struct tcp_half *prober = &f->half[other_side(side)];

	/* the last probes in a row: the receiver has sent nothing since */
	return n->open && !answers_of(n) &&
	    (double)probes_of(n) >= j->limit->keepalive_min &&
	    instant_before(f->half[side].last, prober->last) &&
	    instant_since(prober->last, f->half[side].last) >
	    2 * half_rto_ns(prober);
}

static enum severity
severity_of(const struct judge *j, const struct flow *f, const struct note *n,
    enum side side, double closed_s)
{
	if (side == CLIENT || is_printing(f) || f->half[side].flags & HALF_FIN)
		return SEVERITY_LOW;
	if (!n->open && closed_s < j->limit->zero_window_long_s)
		return SEVERITY_LOW;	/* it came back by itself */
	return closed_s >= j->limit->zero_window_long_s ? SEVERITY_HIGH :
	    closed_s >= j->limit->zero_window_long_s / 2 ? SEVERITY_MEDIUM :
	    SEVERITY_LOW;
}

static void
say(struct finding *fd, const struct flow *f, const struct note *n,
    enum side side, double closed_s, bool unanswered)
{
	char who[WIRE_END_TEXT_BYTES];

	wire_end_text(f, side, who);
	if (unanswered)
		finding_say(fd, "%s closed its receive window and answers none "
		    "of the %llu probes that the %s sent into it", who,
		    (unsigned long long)probes_of(n),
		    wire_side(other_side(side)));
	else
		finding_say(fd, "%s kept its receive window at zero for %.1f s "
		    "while the %s has data for it; %llu of %llu probes were "
		    "answered, so its TCP lives and nobody reads", who, closed_s,
		    wire_side(other_side(side)),
		    (unsigned long long)answers_of(n),
		    (unsigned long long)probes_of(n));
	if (side == CLIENT)
		finding_against(fd, "a client that does not read what it asked "
		    "for (a paused download, a busy program) does this");
	else if (!n->open)
		finding_against(fd, "the window opened again");
}

static double
longest_of(const struct finding *fd)
{
	for (unsigned i = 0; i < fd->metric_count; i++)
		if (strcmp(fd->metric[i].name, "closed_s") == 0)
			return fd->metric[i].value;
	return 0;
}

static void
raise(struct judge *j, struct server *v, struct flow *f, const struct note *n,
    enum side side, const char *kind, double closed_s)
{
	bool unanswered = kind[0] == 'p' && kind[1] == 'r';
	struct finding *fd = finding_raise(j, &detector_zero_window_stall, kind,
	    v, f, 0);

	if (longest_of(fd) > closed_s)
		return;			/* it was closed for longer before */
	finding_from_note(fd, n);
	fd->count = 1;
	fd->severity = severity_of(j, f, n, side, closed_s);
	fd->confidence = 0.9 * judge_trusts(j, v, f, TRUST_BOTH_WAYS |
	    (unanswered ? TRUST_LOSS : 0));
	fd->side = wire_fault(side);
	fd->ended = !n->open;
	finding_metric(fd, "closed_s", closed_s);
	finding_metric(fd, "probes", (double)probes_of(n));
	finding_metric(fd, "probes_answered", (double)answers_of(n));
	finding_metric(fd, "zero_windows", n->count);
	say(fd, f, n, side, closed_s, unanswered);
	if (fd->severity >= SEVERITY_MEDIUM)
		flow_afflicted(f, FINDING_zero_window_stall, n->first);
}

static void
judge_side(struct judge *j, struct server *v, struct flow *f, enum side side)
{
	const struct note *n = flow_note_find(f, NOTE_ZERO_WINDOW, 0, side);
	int64_t closed;
	double closed_s;

	if (!n || !n->count || judge_trusts(j, v, f, TRUST_BOTH_WAYS) <= 0)
		return;
	closed = instant_since(closed_until(j, f, n, side), n->first);
	closed_s = seconds_of(closed);
	if (n->open && !(f->flags & FLOW_ENDED) &&
	    closed_s < j->limit->zero_window_long_s)
		judge_wake(j, f, instant_plus(j->now, 5 * NS_PER_S));
	if (closed_s < j->limit->zero_window_s || !probes_of(n))
		return;
	if (is_unanswered(j, f, n, side) &&
	    judge_trusts(j, v, f, TRUST_LOSS) > 0)
		raise(j, v, f, n, side, "probe_unanswered", closed_s);
	else if (answers_of(n))
		raise(j, v, f, n, side, "persist", closed_s);
}

static void
zero_window_review(void *state, struct judge *j, struct server *v,
    struct flow *f)
{
	(void)state;
	if (f->protocol != IP_TCP || !f->notes)
		return;
	judge_side(j, v, f, CLIENT);
	judge_side(j, v, f, SERVER);
}

static const char *const kinds[] = { "persist", "probe_unanswered", NULL };

const struct detector detector_zero_window_stall = {
	.finding = FINDING_zero_window_stall,
	.meaning = "One side of a connection says that it has no room for more "
	    "data, and goes on saying so (persist) or does not even answer when "
	    "the other side asks (probe_unanswered). The application behind it "
	    "has stopped reading, or whoever held the connection is gone.",
	.decided = "The window field is zero for at least zero_window_s (10 s) "
	    "while the other side sends probes into it, so that there is data "
	    "waiting. persist: probes are answered with zero. probe_unanswered: "
	    "keepalive_min (3) probes, none answered, and nothing else from that "
	    "side since. At a server it is of medium weight from half of "
	    "zero_window_long_s (30 s) on and heavy from there.",
	.mimics = "Flow control at work (opens again soon: no finding); a client "
	    "that pauses a download (its side, low); a printer out of paper "
	    "(ports 9100, 515, 631: low); a connection that is being closed. "
	    "Only the raw field 0 counts, which a missed window scale cannot "
	    "feign.",
	.source = "RFC 9293, 3.8.6.1; Microsoft, NDIS \"Persist Timer\".",
	.kinds = kinds,
	.facts = SEG_KEEP_ALIVE | SEG_ZERO_WINDOW,
	.notes = NOTE_BIT(NOTE_ZERO_WINDOW),
	.on_segment = zero_window_segment,
	.review_flow = zero_window_review,
};
