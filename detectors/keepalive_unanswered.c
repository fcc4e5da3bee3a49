/* keepalive_unanswered.c - probes of a client that the server leaves without
 * any answer, while the host answers others.
 *
 * A live stack answers a keep-alive at once, whatever its applications do (RFC
 * 9293, 3.8.4), so three in a row without one mean that this connection has no
 * stack behind it any more. If the whole host is mute the finding is another. */
#include "detectors/detector.h"

static void
describe(struct finding *x, const struct flow *f, const struct note *run)
{
	finding_metric(x, "probes", run->count);
	finding_metric(x, "idle_before_s", seconds_of(instant_since(run->first,
	    f->half[SERVER].last)));
	finding_say(x, "%u keep-alive probes in a row on an established connection "
	    "got no answer in %.0f s, while the server answered others",
	    run->count, seconds_of(instant_since(run->last, run->first)));
	finding_against(x, "a firewall between mirror and server that forgot the "
	    "idle connection looks the same; then host-stack connections are hit "
	    "as often");
}

static struct instant
midway(struct instant a, struct instant b)
{
	return instant_plus(a, instant_since(b, a) / 2);
}

/* A probe without an answer is repeated sooner than the first one came (Windows:
 * after 1 s, Linux: 75 s). Probes as far apart as the connection was idle before
 * them were answered, and the answers are not in this capture. */
static bool
asks_again(const struct flow *f, const struct note *run)
{
	struct instant heard = f->half[SERVER].last;
	int64_t idle = instant_since(run->first, heard);
	int64_t apart = instant_since(run->last, run->first) /
	    (run->count > 1 ? run->count - 1 : 1);

	return !instant_is_set(heard) || apart < idle / 4 * 3;
}

static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	extern const struct detector detector_keepalive_unanswered;
	const struct note *run = flow_note_find(f, NOTE_KEEP_ALIVE, 0, CLIENT);
	double trust;
	struct finding *x;

	(void)state;
	if (!run || !run->open || run->count < j->limit->keepalive_min)
		return;
	trust = judge_trusts(j, s, f, TRUST_BOTH_WAYS | TRUST_LOSS);
	if (trust <= 0 || !instant_before(f->half[SERVER].last, run->first) ||
	    !asks_again(f, run) ||
	    !server_answered_others(s, f, midway(run->first, run->last), j->now))
		return;
	x = finding_raise(j, &detector_keepalive_unanswered, NULL, s, f, 0);
	finding_from_note(x, run);
	x->count = 1;
	x->severity = SEVERITY_HIGH;
	x->confidence = 0.8 * trust;
	x->side = FAULT_SERVER;
	describe(x, f, run);
	flow_afflicted(f, FINDING_keepalive_unanswered, run->first);
}

const struct detector detector_keepalive_unanswered = {
	.finding = FINDING_keepalive_unanswered,
	.meaning = "The client asked whether an established connection is still "
	    "there, again and again, and nothing came back, although the server "
	    "answered other packets meanwhile.",
	.decided = "At least keepalive_min (3) keep-alive probes of the client in "
	    "a row (sequence number one below the next, at most one byte) with no "
	    "packet of the server on that connection since the first of them, "
	    "closer together than the connection was idle before, and some packet "
	    "of the same host meanwhile on another connection, ARP, echo or UDP.",
	.mimics = "A host that is down as a whole (server_silent is reported "
	    "instead), a stateful firewall that forgot the idle connection, a "
	    "mirror of one direction only (withheld), a lossy capture (withheld "
	    "or less sure).",
	.source = "RFC 9293, 3.8.4; Windows: KeepAliveTime 2 h, "
	    "KeepAliveInterval 1 s; KB 948496",
	.notes = NOTE_BIT(NOTE_KEEP_ALIVE),
	.review_flow = review_flow,
};
