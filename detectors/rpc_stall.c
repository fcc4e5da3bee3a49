/* rpc_stall.c - a DCE/RPC call that TCP took in and that got neither response
 * nor fault in time.
 *
 * Calls that are meant to park are not stalls: EcDoAsyncWaitEx waits up to five
 * minutes for news (MS-OXCRPC, 3.3.4.1). One parked well beyond that, without
 * the client having been busy, is worth a word all the same. */
#include <stdlib.h>

#include "capture/app_dcerpc.h"
#include "detectors/detector.h"

extern const struct detector detector_rpc_stall;

static double
patience_s(const struct judge *j, const struct server *s, const struct flow *f)
{
	struct service *v = server_service_of((struct server *)s, f, false);
	double limit = j->limit->user_notices_s;
	double longest = v ? seconds_of(v->took.max_ns) *
	    j->limit->baseline_factor : 0;

	return longest > limit ? longest : limit;
}

/* Known to park, or possibly so: the bind was not seen, and operation 0 of
 * AsyncEMSMDB is the one that everybody parks. */
static bool
may_park(uint32_t label, unsigned flags)
{
	return flags & EXCHANGE_PARKS || label == app_label(APP_DCERPC, 0, 0);
}

static const struct exchange *
longest_waiting(const struct flow *f, bool parked)
{
	unsigned never = EXCHANGE_TURN | EXCHANGE_ONE_WAY | EXCHANGE_PARTIAL |
	    EXCHANGE_FROM_SERVER;

	for (struct exchange *x = f->waiting; x; x = x->next)
		if (!(x->flags & never) && instant_is_set(x->acked) &&
		    parked == may_park(x->label, x->flags) &&
		    x->label >> 24 == APP_DCERPC)
			return x;
	return NULL;
}

/* Outlook comes in by steps, each of another service, and the first that is not
 * answered is where it hangs: the endpoint mapper, the referral to an address book
 * (MS-OXABREF 3.2), the address book (MS-NSPI), the mailbox (MS-OXCRPC 3.1.4).
 * NULL: past them, or none of them. */
static const char *
outlook_step(uint32_t label)
{
	unsigned interface = label >> 16 & 0xff, operation = label & 0xffff;

	switch (interface) {
	case RPC_EPM: return "the first step of Outlook's way in, and of others'";
	case RPC_RFR: return "the second step of Outlook's way in: the referral "
	    "to an address book";
	case RPC_NSPI: return operation && operation != RPC_OP_BIND ? NULL :
	    "the third step of Outlook's way in: the address book";
	case RPC_EMSMDB: return operation == 0 || operation == 10 ||
	    operation == 14 || operation == RPC_OP_BIND ? "the last step of "
	    "Outlook's way in: the mailbox" : NULL;
	default: return NULL;
	}
}

static void
raise_stall(struct judge *j, struct server *s, struct flow *f,
    const struct exchange *e, double waited, double trust)
{
	char call[APP_LABEL_TEXT_BYTES];
	const char *step = outlook_step(e->label);
	bool parked = may_park(e->label, e->flags);
	struct finding *x = finding_raise(j, &detector_rpc_stall, "no_response",
	    s, f, 0);

	/* the server goes on talking here: a step missed, or one call apart */
	x->severity = parked ? SEVERITY_INFO :
	    instant_before(e->asked, f->last_answered) ? SEVERITY_INFO :
	    SEVERITY_HIGH;
	x->confidence = (parked ? 0.5 : 0.85) * trust;
	x->side = FAULT_SERVER;
	x->count = 1;
	if (!x->frame_count) {
		finding_frame(x, e->frame_first);
		finding_frame(x, e->frame_last);
		finding_frame(x, e->frame_acked);
	}
	finding_time(x, e->asked);
	finding_time(x, j->now);
	finding_metric(x, "waited_s", waited);
	finding_metric(x, "request_bytes", e->request_bytes);
	finding_metric(x, "acked_after_ms",
	    seconds_of(instant_since(e->acked, e->asked)) * 1e3);
	finding_say(x, "%s%s (call %u) was acknowledged after %.1f ms and has no "
	    "response after %.1f s%s%s", parked ? "the parked call " : "",
	    app_label_text(e->label, call), (unsigned)(uint32_t)e->key,
	    seconds_of(instant_since(e->acked, e->asked)) * 1e3, waited,
	    step ? "; it is " : "", step ? step : "");
	if (x->severity >= SEVERITY_MEDIUM)
		flow_afflicted(f, FINDING_rpc_stall, e->asked);
}

static void
review_parked(struct judge *j, struct server *s, struct flow *f, double trust)
{
	const struct exchange *e = longest_waiting(f, true);
	double limit = j->limit->parked_limit_s, waited;

	if (!e)
		return;
	waited = seconds_of(instant_since(j->now, e->asked));
	if (judge_overdue(j, s, f, e->asked, waited, limit))
		raise_stall(j, s, f, e, waited, trust);
}

static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	const struct exchange *e;
	double trust, limit, waited;

	(void)state;
	if (f->protocol != IP_TCP || !f->waiting)
		return;
	/* over HTTP the answers come on another connection: as long as none was
	 * seen there, it may be that we cannot read it */
	if (f->app == APP_RPC_HTTP && !f->turns)
		return;
	trust = judge_trusts(j, s, f, TRUST_BOTH_WAYS | TRUST_LOSS);
	if (trust <= 0)
		return;
	review_parked(j, s, f, trust);
	e = longest_waiting(f, false);
	if (!e)
		return;
	limit = patience_s(j, s, f);
	waited = seconds_of(instant_since(f->flags & FLOW_ENDED &&
	    f->end != FLOW_END_CAPTURE ? f->last : j->now, e->asked));
	if (judge_overdue(j, s, f, e->asked, waited, limit))
		raise_stall(j, s, f, e, waited, trust);
}

/* Slow answers: seen when they come, judged in the step. */
struct slow {
	struct flow *flow;
	struct instant asked, answered;
	uint64_t asked_frame, frame;
	uint32_t label;
	int64_t took_ns;
};

enum { SLOW_PER_STEP = 256 };

struct memory {
	unsigned count;
	struct slow slow[SLOW_PER_STEP];
};

/* Below this no answer is slow, whatever the configuration. */
#define SLOW_FLOOR_NS NS_PER_S

static void
on_app(void *state, const struct app_event *e)
{
	struct memory *m = state;

	if (e->label >> 24 != APP_DCERPC || !e->flow ||
	    may_park(e->label, e->exchange_flags) || e->took_ns < SLOW_FLOOR_NS ||
	    m->count >= SLOW_PER_STEP)
		return;
	m->slow[m->count++] = (struct slow){ e->flow, e->asked, e->time,
	    e->asked_frame, e->frame, e->label, e->took_ns };
}

static void
raise_slow(struct judge *j, const struct slow *l)
{
	struct server *s = server_at_hand(l->flow);
	char call[APP_LABEL_TEXT_BYTES];
	struct finding *x;

	if (!s || seconds_of(l->took_ns) < j->limit->user_notices_s)
		return;
	x = finding_raise(j, &detector_rpc_stall, "slow_response", s, l->flow, 0);
	x->count++;
	x->severity = SEVERITY_MEDIUM;
	x->confidence = 0.8;
	x->side = FAULT_SERVER;
	finding_frame(x, l->asked_frame);
	finding_frame(x, l->frame);
	finding_time(x, l->asked);
	finding_time(x, l->answered);
	finding_metric(x, "took_s", seconds_of(l->took_ns));
	finding_metric(x, "host_spoke", server_sent(s, instant_plus(l->asked,
	    NS_PER_S), instant_plus(l->answered, -NS_PER_S)));
	finding_say(x, "%s took %.1f s to answer", app_label_text(l->label, call),
	    seconds_of(l->took_ns));
}

static void
review_capture(void *state, struct judge *j)
{
	struct memory *m = state;

	for (unsigned i = 0; i < m->count; i++)
		raise_slow(j, &m->slow[i]);
	m->count = 0;
}

static void *
memory_new(void)
{
	return calloc(1, sizeof(struct memory));
}

const struct detector detector_rpc_stall = {
	.finding = FINDING_rpc_stall,
	.meaning = "A remote procedure call reached the server's TCP and was not "
	    "answered in the time a user would wait.",
	.decided = "All bytes of the request are acknowledged; no response and no "
	    "fault for user_notices_s (8 s) and for baseline_factor (4) times the "
	    "longest answer of that service. Calls meant to park count only "
	    "beyond parked_limit_s (330 s), and then for information only.",
	.mimics = "Parked asynchronous calls (known by interface and operation), "
	    "legitimate long calls (the service's own baseline), an answer the "
	    "sniffer missed, a client asleep.",
	.source = "C706 chapter 12; MS-RPCE; MS-OXCRPC 3.3.4.1 (five minutes); "
	    "Exchange team on Outlook's RPC dialog (5 s, 8 s)",
	.kinds = (const char *const[]){ "no_response", "slow_response", NULL },
	.events = 1 << APP_RESPONSE,
	.on_app = on_app,
	.matters = MATTER_WAITING,
	.review_flow = review_flow,
	.review_capture = review_capture,
	.new = memory_new,
	.free = free,
};
