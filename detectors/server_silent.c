/* server_silent.c - the whole host stops answering anything.
 *
 * Silence alone is nothing: a host with nothing to say is quiet. It counts when
 * several peers ask what any live stack answers (data on connections, SYNs, ARP,
 * echo) and not one packet of the host comes back. */
#include "detectors/detector.h"

extern const struct detector detector_server_silent;

/* Asks below this are a stray retransmission or two. */
enum { SILENT_MIN_ASKS = 5 };

/* Before the first ask there was nothing to say. */
static bool
counts_as_silent(const struct judge *j, const struct outage *o)
{
	return seconds_of(instant_since(o->last_ask, o->first_ask)) >=
	    j->limit->silent_s && o->asks >= SILENT_MIN_ASKS &&
	    (double)o->peers >= j->limit->silent_min_peers;
}

static void
describe(struct finding *x, const struct outage *o, double lasted)
{
	finding_frame(x, o->frame_before);
	finding_frame(x, o->frame_first_ask);
	finding_frame(x, o->frame_last_ask);
	finding_time(x, o->from);
	finding_metric(x, "silent_s", lasted);
	finding_metric(x, "asks", o->asks);
	finding_metric(x, "arp_asked", o->arp_asked);
	finding_metric(x, "peers", (double)o->peers);
	finding_say(x, "no packet of the host for %.0f s, while %zu clients sent it "
	    "%u packets that any live host answers (%u data, %u SYN, %u ARP, "
	    "%u echo)", lasted, o->peers, o->asks, o->data_in, o->syn_in,
	    o->arp_asked, o->echo_asked);
}

/* False: nor will it be, however long it says nothing. */
static bool
review_silence(struct judge *j, struct server *s)
{
	double trust, lasted;
	struct finding *x;
	struct outage o;

	if (!s->flows || !server_is_mute(s, j->now, &o) || !counts_as_silent(j, &o))
		return false;
	trust = judge_trusts(j, s, NULL, TRUST_BOTH_WAYS);
	if (trust <= 0)
		return true;
	lasted = seconds_of(instant_since(o.last_ask, o.from));
	x = finding_raise_episode(j, &detector_server_silent, NULL, s, 0, o.from);
	x->severity = SEVERITY_CRITICAL;
	x->confidence = 0.85 * trust;
	x->side = FAULT_SERVER;
	x->count = 1;
	x->ended = false;
	describe(x, &o, lasted);
	finding_time(x, o.last_ask);
	return true;
}

/* Nothing but data of a few connections came meanwhile, none of it was taken in
 * after, though by now it has been sent again (RFC 6298, 5.5: each wait is as
 * long as all before), and older connections go on: those few are dead, and the
 * host had nothing to say. */
static bool
was_idle(const struct judge *j, const struct server *s, const struct outage *o)
{
	return o->asks == o->data_in && !o->resumed &&
	    instant_since(j->now, o->to) > instant_since(o->to, o->from) &&
	    server_has_survivors(s, o->from, o->to);
}

/* It was thought mute when nobody had heard of it yet; it is this mirror that
 * shows nothing of it. */
static void
review_hidden(struct judge *j, struct server *s)
{
	struct finding *x;

	if (!server_is_hidden(s, j->limit->silent_s))
		return;
	x = finding_lookup(j, &detector_server_silent, NULL, s, NULL, 0);
	if (x && !x->ended && !x->retracted &&
	    !instant_before(x->first_seen, s->last_sent))
		finding_retract(x);
}

/* It speaks again: the finding ends where the silence did. */
static void
review_end(struct judge *j, struct server *s)
{
	struct finding *x = finding_lookup(j, &detector_server_silent, NULL, s,
	    NULL, 0);
	const struct outage *o = s->outage_count ?
	    &s->outage[s->outage_count - 1] : NULL;

	if (!x || !o || instant_before(o->from, x->first_seen))
		return;
	if (x->ended && !x->retracted && was_idle(j, s, o))
		finding_retract(x);
	if (x->ended)
		return;
	x->ended = true;
	finding_touch(x);
	x->last_seen = o->to;
	finding_frame(x, o->frame_after);
	finding_metric(x, "silent_s", seconds_of(instant_since(o->to, o->from)));
}

static void
review_server(void *state, struct judge *j, struct server *s)
{
	(void)state;
	if (!review_silence(j, s))
		judge_settled(j);
	review_hidden(j, s);
	review_end(j, s);
}

const struct detector detector_server_silent = {
	.finding = FINDING_server_silent,
	.meaning = "The host answers nothing any more: not its connections, not "
	    "new ones, not ARP, not echo.",
	.decided = "No packet of the host for silent_s (10 s) in which at least "
	    "silent_min_peers (2) clients sent it five or more packets that a "
	    "live stack answers: data, SYN, ARP, echo.",
	.mimics = "A mirror of one direction (withheld), a switch port that is "
	    "down (the same to its clients), a transmit hang (egress_dead: the "
	    "host goes on afterwards as if nothing had been).",
	.source = "KB 948496 (the server stops responding); RFC 826 and RFC 1122, "
	    "3.2.2.6 (what a live host answers)",
	.servers = SERVER_FOUND | SERVER_MAY_BE_MUTE,
	.review_server = review_server,
};
