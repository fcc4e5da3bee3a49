/* rpc_fragment_stuck.c - one client's DCE/RPC request that never becomes whole,
 * though the server has acknowledged all of it.
 *
 * The server holds the piece and waits for the rest; an Exchange store may then
 * stop serving every client (Q149819). The one flow that holds the others up is
 * what an administrator wants to be told. */
#include "detectors/detector.h"

/* Bytes of one request follow each other within a round trip or two; a piece
 * that stays alone this long is not merely slow. */
#define STUCK_NS (5 * NS_PER_S)

extern const struct detector detector_rpc_fragment_stuck;

static const struct exchange *
stuck_request(const struct flow *f)
{
	for (struct exchange *x = f->waiting; x; x = x->next)
		if (x->flags & EXCHANGE_PARTIAL && instant_is_set(x->acked))
			return x;
	return NULL;
}

static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	const struct exchange *e = stuck_request(f);
	struct instant until = f->flags & FLOW_ENDED &&
	    f->end != FLOW_END_CAPTURE ? f->last : j->now;
	struct finding *x;
	double trust;

	(void)state;
	if (!e || f->half[CLIENT].flags & HALF_RST)
		return;
	if (instant_since(until, e->asked) < STUCK_NS) {
		judge_wake(j, f, instant_plus(e->asked, STUCK_NS));
		return;
	}
	trust = judge_trusts(j, s, f, TRUST_BOTH_WAYS | TRUST_LOSS);
	if (trust <= 0)
		return;
	x = finding_raise(j, &detector_rpc_fragment_stuck, NULL, s, f, 0);
	x->count = 1;
	x->severity = SEVERITY_HIGH;
	x->confidence = 0.8 * trust;
	x->side = FAULT_CLIENT;
	if (!x->frame_count) {
		finding_frame(x, e->frame_first);
		finding_frame(x, e->frame_last);
		finding_frame(x, e->frame_acked);
	}
	finding_time(x, e->began);
	finding_time(x, until);
	finding_metric(x, "bytes_there", e->request_bytes);
	finding_metric(x, "bytes_missing", e->missing_bytes);
	finding_metric(x, "waited_s", seconds_of(instant_since(until, e->asked)));
	finding_say(x, "a request stays incomplete: %u bytes are there and "
	    "acknowledged, %u are missing, and nothing has followed for %.0f s",
	    e->request_bytes, e->missing_bytes,
	    seconds_of(instant_since(until, e->asked)));
}

const struct detector detector_rpc_fragment_stuck = {
	.finding = FINDING_rpc_fragment_stuck,
	.meaning = "A client sent part of a remote procedure call and never the "
	    "rest; a server that waits for it may stop serving everyone else.",
	.decided = "A DCE/RPC request of which some bytes arrived, all of them "
	    "acknowledged, and the rest did not follow for 5 s.",
	.mimics = "A client that died or was unplugged in mid-request (then it is "
	    "silent elsewhere too), bytes that the sniffer missed (withheld).",
	.source = "Microsoft Q149819, RPC Causes Exchange Server to Hang All "
	    "Connected Clients; C706 chapter 12",
	.matters = MATTER_WAITING,
	.review_flow = review_flow,
};
