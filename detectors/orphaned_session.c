/* orphaned_session.c - one side holds a session that the other no longer has.
 *
 * Four ways to see it: the server resets as a stack does that never heard of
 * the connection; the client is gone and the server keeps asking; the client
 * closed and the server never does; a new SYN meets the old session and is not
 * let in. The hard part is to leave alone what looks alike: an application that
 * aborts (RST with ACK), a firewall that resets in the server's name (other TTL),
 * a half-close that is still in use. */
#include "detectors/detector.h"

extern const struct detector detector_orphaned_session;

static struct finding *
raise_for_flow(struct judge *j, const char *kind, struct server *s,
    struct flow *f, const struct note *n, double confidence)
{
	struct finding *x = finding_raise(j, &detector_orphaned_session, kind, s,
	    f, 0);

	x->severity = SEVERITY_MEDIUM;
	x->confidence = confidence;
	x->side = FAULT_SERVER;
	if (n)
		finding_from_note(x, n);
	x->count = 1;
	return x;
}

/* --- server_lost_state ------------------------------------------------------- */

static void
review_lost_state(struct judge *j, struct server *s, struct flow *f)
{
	const struct note *n = flow_note_find(f, NOTE_RESET, 0, SERVER);
	double trust;
	struct finding *x;

	if (!n || !(n->value[1] & RESET_UNKNOWN_CONNECTION) ||
	    n->value[1] & (RESET_AFTER_FIN | RESET_REFUSES) ||
	    !(f->half[SERVER].flags & HALF_DATA) || n->value[2] != n->value[3])
		return;
	trust = judge_trusts(j, s, f, TRUST_BOTH_WAYS | TRUST_LOSS);
	if (trust <= 0)
		return;
	x = raise_for_flow(j, "server_lost_state", s, f, n, 0.8 * trust);
	finding_metric(x, "idle_before_s", seconds_of(instant_since(n->first,
	    f->last_answered)));
	finding_say(x, "the server answered data of an established connection with "
	    "a reset, as a stack does that has no such connection; neither side "
	    "had closed it");
	finding_against(x, "a restart of the server does the same to all its "
	    "connections at once");
	flow_afflicted(f, FINDING_orphaned_session, n->first);
}

/* --- client_vanished ----------------------------------------------------------- */

/* The server asks in vain: probes or the same data, from `since` on. */
static const struct note *
asks_in_vain(const struct judge *j, const struct flow *f, struct instant *since)
{
	const struct note *probes = flow_note_find(f, NOTE_KEEP_ALIVE, 0, SERVER);
	const struct note *sends = flow_note_find(f, NOTE_RETRANSMIT, 0, SERVER);

	if (probes && probes->open && probes->count >= j->limit->keepalive_min) {
		*since = probes->first;
		return probes;
	}
	if (sends && sends->open &&
	    f->half[SERVER].una_sends >= j->limit->retransmit_min &&
	    instant_since(sends->last, f->half[SERVER].una_since) >
	    3 * NS_PER_S) {
		*since = f->half[SERVER].una_since;
		return sends;
	}
	return NULL;
}

/* It speaks on this very connection: it was slow, or its way was bad. */
static void
review_returned(struct judge *j, struct server *s, struct flow *f)
{
	bool asked = flow_note_find(f, NOTE_KEEP_ALIVE, 0, SERVER) ||
	    flow_note_find(f, NOTE_RETRANSMIT, 0, SERVER);
	struct finding *x = asked ? finding_lookup(j, &detector_orphaned_session,
	    "client_vanished", s, f, 0) : NULL;

	if (x && !x->retracted && !(f->half[CLIENT].flags & HALF_RST) &&
	    instant_before(x->last_seen, f->half[CLIENT].last))
		finding_retract(x);
}

static void
review_vanished(struct judge *j, struct server *s, struct flow *f)
{
	int64_t boot = (int64_t)(j->limit->boot_s * 1e9);
	struct instant since, heard;
	const struct note *n = asks_in_vain(j, f, &since);
	double trust;
	struct finding *x;

	if (!n || instant_before(since, f->half[CLIENT].last)) {
		review_returned(j, s, f);
		return;
	}
	trust = judge_trusts(j, s, f, TRUST_BOTH_WAYS | TRUST_LOSS);
	heard = server_client_last(s, &f->addr[CLIENT]);
	if (trust <= 0 || f->half[CLIENT].flags & (HALF_FIN | HALF_RST))
		return;
	x = raise_for_flow(j, "client_vanished", s, f, n, 0.7 * trust);
	x->side = FAULT_CLIENT;
	/* no machine is back so soon from the dead: it was never gone */
	if (instant_since(j->now, since) <= boot) {
		finding_metric(x, "client_alive", instant_before(since, heard));
		judge_wake(j, f, instant_plus(since, boot));
	}
	if (instant_before(since, heard)) {
		/* it is back, or was never gone: less sure whose fault it is */
		x->confidence *= 0.7;
		x->side = FAULT_UNKNOWN;
		finding_against(x, "the same client talks to this server on other "
		    "connections");
	}
	finding_metric(x, "asked", n->count);
	finding_say(x, "the server asked %u times on a connection whose client has "
	    "said nothing for %.0f s", n->count,
	    seconds_of(instant_since(n->last, f->half[CLIENT].last)));
}

/* --- server_never_closed ---------------------------------------------------------- */

static void
review_never_closed(struct judge *j, struct server *s, struct flow *f)
{
	const struct tcp_half *c = &f->half[CLIENT], *v = &f->half[SERVER];
	const struct note *closed = flow_note_find(f,
	    detector_note(FINDING_orphaned_session), 0, CLIENT);
	double limit = j->limit->half_close_s, waited, trust;
	struct instant until = f->flags & FLOW_ENDED &&
	    f->end != FLOW_END_CAPTURE && f->end != FLOW_END_TIMEOUT ?
	    f->last : j->now;
	const struct note *unseen = flow_note_find(f, NOTE_ACK_AHEAD, 0, CLIENT);
	struct finding *x;
	bool gave_up;

	/* the client acknowledges what we did not see: that was the FIN */
	if (unseen && closed && !instant_before(unseen->last, closed->first))
		return;
	if (!(c->flags & HALF_FIN_ACKED) || c->flags & HALF_RST ||
	    v->flags & (HALF_FIN | HALF_RST) || f->state != FLOW_CLOSING ||
	    !closed || instant_before(closed->first, v->last_data))
		return;
	waited = seconds_of(instant_since(until, v->last_advance));
	if (waited < limit) {
		judge_wake(j, f, instant_plus(v->last_advance,
		    (int64_t)(limit * 1e9)));
		return;
	}
	trust = judge_trusts(j, s, f, TRUST_BOTH_WAYS | TRUST_LOSS);
	if (trust <= 0)
		return;
	x = raise_for_flow(j, "server_never_closed", s, f, closed, 0.7 * trust);
	finding_time(x, v->last_advance);
	finding_time(x, until);
	finding_metric(x, "waited_s", waited);
	/* a goodbye is said together with the FIN; this was a request */
	gave_up = instant_before(f->last_answered, f->last_asked) &&
	    seconds_of(instant_since(closed->first, f->last_asked)) >
	    j->limit->user_notices_s;
	finding_metric(x, "gave_up", gave_up);
	finding_say(x, "the client closed, the server acknowledged that and has not "
	    "closed its side in %.0f s", waited);
	flow_afflicted(f, FINDING_orphaned_session, v->last_advance);
}

/* --- stale_tuple -------------------------------------------------------------------- */

static void
review_stale(struct judge *j, struct server *s, struct flow *f)
{
	const struct note *n = flow_note_find(f, NOTE_SYN_AGAIN, 0, CLIENT);
	double trust;
	struct finding *x;

	if (!n || !n->open || n->value[1] < 2 || n->value[2] < 1)
		return;
	trust = judge_trusts(j, s, f, TRUST_BOTH_WAYS);
	if (trust <= 0)
		return;
	x = raise_for_flow(j, "stale_tuple", s, f, n, 0.8 * trust);
	finding_metric(x, "challenge_acks", (double)n->value[1]);
	finding_metric(x, "resets_ignored", (double)n->value[2]);
	finding_say(x, "a client that starts anew meets the session of its former "
	    "life: %u challenge ACKs, and its %u resets are not honoured",
	    (unsigned)n->value[1], (unsigned)n->value[2]);
	flow_afflicted(f, FINDING_orphaned_session, n->first);
}

static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	(void)state;
	if (f->protocol != IP_TCP || f->state == FLOW_NEW)
		return;
	review_lost_state(j, s, f);
	review_vanished(j, s, f);
	review_never_closed(j, s, f);
	review_stale(j, s, f);
}

/* The frames of a close are in no other note: the FIN and its ACK. */
static void
on_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	bool acked_now = seg->side == SERVER && seg->facts & SEG_ACKS &&
	    f->half[CLIENT].flags & HALF_FIN_ACKED;
	struct note *n;

	(void)state;
	if (!acked_now && !(seg->side == CLIENT && seg->facts & SEG_FIN))
		return;
	n = flow_note(pool, f, detector_note(FINDING_orphaned_session), 0, CLIENT);
	if (n && n->frame_count < 2)
		note_add(n, f->half[seg->side].last, seg->packet->frame);
}

const struct detector detector_orphaned_session = {
	.finding = FINDING_orphaned_session,
	.meaning = "One side still holds a connection that the other side no "
	    "longer has, or no longer lets go of.",
	.decided = "server_lost_state: a bare RST whose sequence number is the "
	    "client's acknowledgment, with the server's usual TTL, on a connection "
	    "that carried data and that nobody closed. client_vanished: at least "
	    "three probes or sends of the same data by the server without a word "
	    "of the client. server_never_closed: the client's FIN acknowledged "
	    "for half_close_s (60 s), no FIN and no data since. stale_tuple: a new "
	    "SYN answered with challenge ACKs although the client's RST in between "
	    "should have ended the old session.",
	.mimics = "An application that aborts (its RST carries ACK), a firewall "
	    "that resets in the server's name (another TTL), a half-close that is "
	    "still in use (the server goes on sending), a client asleep, a "
	    "connection through NAT whose entry timed out.",
	.source = "RFC 9293, 3.5.2 and 3.6; RFC 5961, 4; KB 948496 (inactive "
	    "Outlook connections may not be cleaned up); KB 917936",
	.kinds = (const char *const[]){ "server_lost_state", "client_vanished",
	    "server_never_closed", "stale_tuple", NULL },
	.facts = SEG_FIN,
	.odd = ODD_CLOSED,
	.notes = NOTE_BIT(NOTE_RESET) | NOTE_BIT(NOTE_KEEP_ALIVE) |
	    NOTE_BIT(NOTE_RETRANSMIT) | NOTE_BIT(NOTE_SYN_AGAIN) |
	    OWN_NOTE(orphaned_session),
	.on_segment = on_segment,
	.review_flow = review_flow,
};
