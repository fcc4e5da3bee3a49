/* server_restart.c - the host came back with new TCP state.
 *
 * First silence, then resets to connections it no longer knows, and none of the
 * old ones served any more. What the resets would mean on their own (a lost
 * session) is then explained, and counts little. */
#include "detectors/detector.h"

#include <string.h>

extern const struct detector detector_server_restart;

/* Silence shorter than the first timeout of Windows' TCP (TcpInitialRtt, 3 s) is
 * no outage that a client notices; and what resets then is a program or a filter,
 * for no system starts in so little. */
#define RESTART_MIN_NS (3 * NS_PER_S)

static bool
is_restart(const struct judge *j, const struct server *s, const struct outage *o,
    struct host_counts *after)
{
	if (instant_since(o->to, o->from) < RESTART_MIN_NS ||
	    server_has_survivors(s, o->from, o->to))
		return false;
	server_counts(s, o->to, j->now, after);
	return after->rst_out && (after->syn_ack_out || after->rst_out > 1);
}

/* Was this request still within its time when the host went down? */
static bool
was_in_time(const struct judge *j, const struct finding *x,
    const struct outage *o)
{
	double patience = j->limit->user_notices_s;

	for (unsigned k = 0; k < x->metric_count; k++)
		if (strcmp(x->metric[k].name, "patience_s") == 0)
			patience = x->metric[k].value;
	return instant_before(x->first_seen, o->to) && instant_before(o->from,
	    instant_plus(x->first_seen, (int64_t)(patience * 1e9)));
}

static bool
died_with(const struct judge *j, const struct finding *x,
    const struct outage *o)
{
	if (x->name == FINDING_reply_missing || x->name == FINDING_rpc_stall)
		return was_in_time(j, x, o);
	return x->name == FINDING_orphaned_session && x->kind &&
	    strcmp(x->kind, "server_lost_state") == 0 &&
	    !instant_before(x->first_seen, o->to);
}

/* The lost sessions are the restart's doing, and so are the answers that the old
 * ones never got. */
static void
explain_resets(const struct judge *j, struct server *s, const struct outage *o)
{
	for (struct finding *x = s->findings; x; x = x->next_of_server) {
		if (!died_with(j, x, o))
			continue;
		x->severity = SEVERITY_LOW;
		finding_against(x, "the server had just restarted");
	}
}

static void
review_server(void *state, struct judge *j, struct server *s)
{
	const struct outage *o = s->outage_count ?
	    &s->outage[s->outage_count - 1] : NULL;
	struct host_counts after;
	double silent_s;
	struct finding *x;
	bool news;

	(void)state;
	if (!o || instant_since(j->now, o->to) > EPISODE_S * NS_PER_S ||
	    !is_restart(j, s, o, &after)) {
		judge_settled(j);
		return;
	}
	if (judge_trusts(j, s, NULL, TRUST_BOTH_WAYS) <= 0)
		return;
	x = finding_raise_episode(j, &detector_server_restart, NULL, s, 0,
	    o->from);
	explain_resets(j, s, o);
	x->severity = SEVERITY_MEDIUM;
	x->confidence = after.gratuitous_arp ? 0.9 : 0.8;
	x->side = FAULT_SERVER;
	x->count = 1;
	x->ended = true;
	finding_time(x, o->from);
	finding_time(x, o->to);
	finding_frame(x, o->frame_before);
	finding_frame(x, o->frame_after);
	silent_s = seconds_of(instant_since(o->to, o->from));
	news = finding_metric(x, "silent_s", silent_s);
	news |= finding_metric(x, "resets", after.rst_out);
	news |= finding_metric(x, "accepted_since", after.syn_ack_out);
	if (!news)
		return;
	finding_say(x, "after %.0f s of silence the host came back with new TCP "
	    "state: %u resets to old connections, none of them served any more, "
	    "%u new ones accepted", silent_s, after.rst_out, after.syn_ack_out);
}

const struct detector detector_server_restart = {
	.finding = FINDING_server_restart,
	.meaning = "The host restarted: it was silent and came back without any of "
	    "its connections.",
	.decided = "At least 3 s without a packet of the host though it was asked, "
	    "then resets to connections from before, none of which is served "
	    "any more.",
	.mimics = "A transmit hang (old connections go on: egress_dead), a fail-"
	    "over to another machine with the same address (the same to clients; "
	    "its MAC changes).",
	.source = "RFC 9293, 3.5.1 (half-open connections after a crash)",
	.servers = SERVER_WAS_OUT,
	.review_server = review_server,
};
