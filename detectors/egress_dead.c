/* egress_dead.c - a host that is sent to and sends nothing at all, and then goes
 * on as if nothing had been: its transmit side hung.
 *
 * A restart looks the same until the host comes back; what tells them apart is
 * whether its old connections live on. And where only a few connections ask, and
 * those are dead for good, nothing of the host is due in between: so what was
 * sent in vain must have been taken in after. */
#include "detectors/detector.h"

extern const struct detector detector_egress_dead;

/* A hang that matters: TCP gets over anything shorter without anyone noticing,
 * and a driver's watchdog takes 5 s (Linux' transmit time-out). */
#define HANG_MIN_NS (4 * NS_PER_S)
enum { HANG_MIN_ASKS = 10, HANG_MIN_PEERS = 2, HANG_MIN_RESUMED = 2 };

/* Did the client send this run in vain during the outage? */
static bool
overlaps(const struct note *run, const struct outage *o)
{
	return instant_before((struct instant){ (int64_t)run->value[1] }, o->to) &&
	    instant_before(o->from, run->last);
}

/* A connection whose data was lost on a mute host, and taken in when it spoke
 * again: counted once an outage. */
static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	const struct note *run = flow_note_find(f, NOTE_RETRANSMIT, 0, CLIENT);
	struct outage *o = s->outage_count ? &s->outage[s->outage_count - 1] :
	    NULL;
	struct note *counted;

	(void)state;
	(void)j;
	if (!o || !run || run->open || !overlaps(run, o) ||
	    instant_before(f->half[SERVER].last_advance, o->to))
		return;
	counted = flow_note(engine_pool(j->engine), f,
	    detector_note(FINDING_egress_dead), 0, CLIENT);
	if (!counted || counted->value[0] == (uint64_t)o->from.ns)
		return;
	counted->value[0] = (uint64_t)o->from.ns;
	o->resumed++;
}

static bool
is_hang(const struct server *s, const struct outage *o)
{
	/* before the first ask there was nothing to say */
	return instant_since(o->to, o->first_ask) >= HANG_MIN_NS &&
	    o->asks >= HANG_MIN_ASKS && o->peers >= HANG_MIN_PEERS &&
	    o->resumed >= HANG_MIN_RESUMED &&
	    server_has_survivors(s, o->from, o->to);
}

static void
review_server(void *state, struct judge *j, struct server *s)
{
	double longest = 0, trust = judge_trusts(j, s, NULL, TRUST_BOTH_WAYS);
	uint32_t asks = 0;
	struct finding *x = NULL;
	unsigned hangs = 0;
	bool news;

	(void)state;
	if (trust <= 0)
		return;
	for (size_t i = 0; i < s->outage_count; i++) {
		const struct outage *o = &s->outage[i];
		double lasted = seconds_of(instant_since(o->to, o->from));

		if (instant_since(j->now, o->to) > EPISODE_S * NS_PER_S ||
		    !is_hang(s, o))
			continue;
		x = x ? x : finding_raise_episode(j, &detector_egress_dead,
		    NULL, s, 0, o->from);
		hangs++;
		asks += o->asks;
		longest = lasted > longest ? lasted : longest;
		finding_time(x, o->from);
		finding_time(x, o->to);
		finding_frame(x, o->frame_before);
		finding_frame(x, o->frame_first_ask);
		finding_frame(x, o->frame_last_ask);
		finding_frame(x, o->frame_after);
	}
	if (!x) {
		judge_settled(j);
		return;
	}
	x->severity = SEVERITY_HIGH;
	x->confidence = (hangs > 1 ? 0.85 : 0.7) * trust;
	x->side = FAULT_SERVER;
	x->ended = true;
	news = x->count != hangs;
	x->count = hangs;
	news |= finding_metric(x, "longest_s", longest);
	news |= finding_metric(x, "asks", asks);
	if (!news)
		return;
	finding_say(x, "%u time%s the host sent no frame at all, for up to %.0f s, "
	    "while %u packets asked it; then its old connections went on", hangs,
	    hangs > 1 ? "s" : "", longest, asks);
}

const struct detector detector_egress_dead = {
	.finding = FINDING_egress_dead,
	.meaning = "The host receives and cannot send: its network card's transmit "
	    "side hangs for a while.",
	.decided = "No packet of the host for at least 4 s while two clients or "
	    "more sent it ten packets that ask for an answer; on two "
	    "connections or more, data that was sent in vain meanwhile is "
	    "acknowledged afterwards.",
	.mimics = "A restart (old connections are reset then), a switch port that "
	    "flaps (nothing reaches the host either), a mirror that loses one "
	    "direction for a time (other hosts vanish too).",
	.source = "Linux e1000e: Detected Hardware Unit Hang; transmit queue "
	    "time-outs of 5 s",
	.notes = NOTE_BIT(NOTE_RETRANSMIT),
	.review_flow = review_flow,
	.servers = SERVER_WAS_OUT,
	.review_server = review_server,
};
