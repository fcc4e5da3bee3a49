/* egress_dead.c - a host that is sent to and sends nothing at all, and then goes
 * on as if nothing had been: its transmit side hung.
 *
 * A restart looks the same until the host comes back; what tells them apart is
 * whether its old connections live on. */
#include "detectors/detector.h"

extern const struct detector detector_egress_dead;

/* A hang that matters: TCP gets over anything shorter without anyone noticing,
 * and a driver's watchdog takes 5 s (Linux' transmit time-out). */
#define HANG_MIN_NS (4 * NS_PER_S)
enum { HANG_MIN_ASKS = 10, HANG_MIN_PEERS = 2 };

static bool
is_hang(const struct server *s, const struct outage *o)
{
	return instant_since(o->to, o->from) >= HANG_MIN_NS &&
	    o->asks >= HANG_MIN_ASKS && o->peers >= HANG_MIN_PEERS &&
	    server_survivors(s, o->from, o->to) > 0;
}

static void
review_server(void *state, struct judge *j, struct server *s)
{
	double longest = 0, trust = judge_trusts(j, s, NULL, TRUST_BOTH_WAYS);
	uint32_t asks = 0;
	struct finding *x = NULL;
	unsigned hangs = 0;

	(void)state;
	if (trust <= 0)
		return;
	for (size_t i = 0; i < s->outage_count; i++) {
		const struct outage *o = &s->outage[i];
		double lasted = seconds_of(instant_since(o->to, o->from));

		if (!is_hang(s, o))
			continue;
		x = finding_raise(j, &detector_egress_dead, NULL, s, NULL, 0);
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
	if (!x)
		return;
	x->severity = SEVERITY_HIGH;
	x->confidence = (hangs > 1 ? 0.85 : 0.7) * trust;
	x->side = FAULT_SERVER;
	x->ended = true;
	x->count = hangs;
	finding_metric(x, "longest_s", longest);
	finding_metric(x, "asks", asks);
	finding_say(x, "%u time%s the host sent no frame at all, for up to %.0f s, "
	    "while %u packets asked it; then its old connections went on", hangs,
	    hangs > 1 ? "s" : "", longest, asks);
}

const struct detector detector_egress_dead = {
	.finding = FINDING_egress_dead,
	.meaning = "The host receives and cannot send: its network card's transmit "
	    "side hangs for a while.",
	.decided = "No packet of the host for at least 4 s while two clients or "
	    "more sent it ten packets that ask for an answer, and connections "
	    "from before are served on afterwards.",
	.mimics = "A restart (old connections are reset then), a switch port that "
	    "flaps (nothing reaches the host either), a mirror that loses one "
	    "direction for a time (other hosts vanish too).",
	.source = "Linux e1000e: Detected Hardware Unit Hang; transmit queue "
	    "time-outs of 5 s",
	.review_server = review_server,
};
