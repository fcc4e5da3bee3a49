/* flow_blackholed.c - data of one established flow that the other side stops
 * acknowledging while the host answers others.
 *
 * The sender's retransmissions are the evidence; that the host sends anything
 * else at all since is the contrast. A closed window, a damaged checksum or a
 * mute host have findings of their own. */
#include "detectors/detector.h"

/* Three sends within a RTO or two are one burst of loss; a sender that has
 * waited this long has backed off at least three times from 300 ms. */
#define BLACKHOLE_MIN_NS (3 * NS_PER_S)

extern const struct detector detector_flow_blackholed;

static bool
is_blackholed(const struct judge *j, const struct flow *f, const struct note *run,
    enum side sender)
{
	const struct tcp_half *me = &f->half[sender];
	const struct tcp_half *peer = &f->half[other_side(sender)];
	const struct note *closed = flow_note_find(f, NOTE_ZERO_WINDOW, 0,
	    other_side(sender));
	const struct note *damaged = flow_note_find(f, NOTE_CHECKSUM, 0, sender);

	if (!run || !run->open || me->una_sends < j->limit->retransmit_min)
		return false;
	if (instant_since(run->last, me->una_since) < BLACKHOLE_MIN_NS)
		return false;
	if (closed && closed->open)
		return false;
	if (damaged && !instant_before(damaged->last, me->una_since))
		return false;
	/* anything of the peer on this flow means that it lives */
	return instant_before(peer->last, me->una_since) ||
	    instant_since(run->last, peer->last) > BLACKHOLE_MIN_NS;
}

/* Was the host alive for others well into the silence? */
static bool
serves_others(const struct judge *j, const struct server *s,
    const struct flow *f, const struct note *run)
{
	struct instant since = f->half[CLIENT].una_since;

	return server_answered_others(s, f, instant_plus(since,
	    instant_since(run->last, since) / 2), j->now);
}

/* A host that was mute to all at the time has a finding of its own, even when it
 * serves others again later. */
static bool
was_mute(const struct server *s, const struct flow *f, const struct note *run)
{
	struct instant since = f->half[CLIENT].una_since;
	struct instant mid = instant_plus(since,
	    instant_since(run->last, since) / 2);

	for (const struct finding *x = s->findings; x; x = x->next_of_server)
		if ((x->name == FINDING_server_silent ||
		    x->name == FINDING_server_restart) && !x->retracted &&
		    !instant_before(mid, x->first_seen) &&
		    !instant_before(x->last_seen, run->last))
			return true;
	return false;
}

/* A connection that never carried anything did not stop doing so. */
static bool
acknowledged_before(const struct flow *f)
{
	const struct tcp_half *c = &f->half[CLIENT];

	return f->half[SERVER].flags & HALF_DATA ||
	    (c->flags & HALF_SYN && seq_after(c->una, c->isn + 1));
}

static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	const struct note *run = flow_note_find(f, NOTE_RETRANSMIT, 0, CLIENT);
	const struct tcp_half *c = &f->half[CLIENT];
	double trust, waited;
	struct finding *x;

	(void)state;
	if (f->state == FLOW_NEW || !is_blackholed(j, f, run, CLIENT))
		return;
	trust = judge_trusts(j, s, f, TRUST_BOTH_WAYS | TRUST_LOSS);
	if (trust <= 0 || !acknowledged_before(f) ||
	    !serves_others(j, s, f, run) || was_mute(s, f, run))
		return;
	waited = seconds_of(instant_since(run->last, c->una_since));
	x = finding_raise(j, &detector_flow_blackholed, NULL, s, f, 0);
	finding_from_note(x, run);
	finding_time(x, c->una_since);
	x->count = 1;
	x->severity = SEVERITY_HIGH;
	x->confidence = 0.8 * trust;
	x->side = FAULT_SERVER;
	finding_metric(x, "idle_before_s", seconds_of(instant_since(c->una_since,
	    f->half[SERVER].last)));
	finding_metric(x, "sends", c->una_sends);
	finding_metric(x, "waited_s", waited);
	finding_metric(x, "bytes", c->next - c->una);
	finding_say(x, "the client sent the same data %u times over %.1f s and the "
	    "server never acknowledged it, while it answered others",
	    c->una_sends, waited);
	finding_against(x, "if the frames are lost behind the mirror port the path "
	    "is at fault, not the server");
	flow_afflicted(f, FINDING_flow_blackholed, c->una_since);
}

const struct detector detector_flow_blackholed = {
	.finding = FINDING_flow_blackholed,
	.meaning = "The server no longer takes in what a client sends on an "
	    "established connection: no acknowledgment, no reset, nothing, though "
	    "the host is alive on others.",
	.decided = "The same byte of the client was seen sent at least "
	    "retransmit_min (3) times over at least 3 s without an "
	    "acknowledgment, and the host sent something else since.",
	.mimics = "A burst of loss (acknowledged in the end: no finding), a closed "
	    "receive window (zero_window_stall), damaged checksums "
	    "(checksum_discarded), a host that is mute as a whole (server_silent), "
	    "a firewall behind the mirror port.",
	.source = "RFC 9293, 3.8.1; RFC 6298; KB 170359 (five retransmissions, "
	    "about 19 s on a LAN)",
	.notes = NOTE_BIT(NOTE_RETRANSMIT),
	.review_flow = review_flow,
};
