/* logon_slow.c - a step of the domain logon fails or takes far longer than it
 * did: finding a DC in DNS, the LDAP ping, Kerberos, LDAP, SMB, Netlogon.
 *
 * The hard part is "far longer". Each step of each server is measured against
 * its own answers before, and what is slow never enters that measure; one slow
 * answer, or one client's, says nothing; and a file server or a mail server is
 * slow for reasons of its own, so only hosts that do what only a domain
 * controller does are looked at. */
#include "detectors/detector.h"

#include <stdlib.h>

#include "capture/app_dcerpc.h"
#include "capture/app_dns.h"
#include "capture/app_ldap.h"
#include "capture/app_smb.h"
#include "detectors/memo.h"
#include "detectors/registry.h"
#include "detectors/subject.h"

/* X(id, kind, what it is called, only a DC answers it) in the order of a
 * logon. */
#define STEPS(X)							\
	X(LOCATE, "dns", "finding a DC in DNS (SRV)", true)		\
	X(PING, "cldap", "the LDAP ping (CLDAP)", true)			\
	X(KERBEROS, "kerberos", "Kerberos", true)			\
	X(LDAP, "ldap", "LDAP bind and search", false)			\
	X(SMB, "smb", "SMB session setup", false)			\
	X(ENDPOINT, "epm", "the RPC endpoint mapper", false)		\
	X(NETLOGON, "netlogon", "Netlogon", true)

enum step {
#define X(id, kind, text, dc) STEP_##id,
	STEPS(X)
#undef X
	STEP_COUNT
};

static const struct { const char *text; bool only_dc; } steps[STEP_COUNT] = {
#define X(id, kind, text, dc) [STEP_##id] = { text, dc },
	STEPS(X)
#undef X
};

static const char *const kinds[STEP_COUNT + 1] = {
#define X(id, kind, text, dc) [STEP_##id] = kind,
	STEPS(X)
#undef X
};

enum {
	RECORDS = 512,
	SAMPLES = 48,			/* latest answers of a step */
	KNOWN_ANSWERS = 5,		/* so many make a baseline */
	SLOW_MIN = 3,			/* slow answers before they count */
	SLOW_MIN_UNKNOWN = 6,		/* the same without a baseline */
	CLIENTS_MIN_UNKNOWN = 3,
	RECOVERED = 5,			/* sound answers in a row */
	WINDOW_S = 300,			/* older answers say nothing of now */
};

/* Below this nobody notices a step, and one lost packet may cost as much
 * (retransmission after 1 to 3 s, RFC 6298; DNS clients ask again after 1 s). */
#define SLOW_FLOOR_NS (2 * NS_PER_S)
/* A request that waits for so long counts though it is not answered yet. */
#define WAIT_NS (5 * NS_PER_S)
/* Times the median before. */
#define SLOW_FACTOR 10

struct sample {
	struct instant asked;
	int64_t took_ns;
	struct address client;
	uint64_t frame_asked, frame_answered;	/* 0: not yet */
	bool slow;
};

struct record {
	struct address server;
	enum step step;
	uint16_t port;
	uint8_t protocol, app;
	uint32_t file;
	uint64_t answers;
	struct latency sound;		/* what it took when it was not slow */
	uint32_t samples;		/* ever; newest at (samples - 1) % SAMPLES */
	uint32_t judged;		/* samples when last judged */
	uint32_t slow;			/* ever */
	struct sample sample[SAMPLES];
};

struct logon {
	struct memo *records;
	bool unjudged;			/* one of them is */
};

extern const struct detector detector_logon_slow;

static void
logon_free(void *state)
{
	struct logon *l = state;

	if (!l)
		return;
	memo_free(&l->records);
	free(l);
}

static void *
logon_new(void)
{
	struct logon *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->records = memo_new(RECORDS, sizeof(struct record));
	if (!l->records) {
		free(l);
		return NULL;
	}
	return l;
}

/* --- which step is it? --- */

/* NEGOTIATE, SESSION_SETUP, TREE_CONNECT (MS-CIFS 2.2.2.1, MS-SMB2 2.2.1); what
 * comes after them is work, and takes what it takes. */
static bool
smb_is_setup(unsigned dialect, unsigned command)
{
	if (dialect == SMB_DIALECT_1)
		return command == 0x72 || command == 0x73 || command == 0x75;
	return dialect == SMB_DIALECT_2 && (command == 0 || command == 1 ||
	    command == 3);
}

static int
step_of(uint32_t label)
{
	unsigned interface = label >> 16 & 0xff, operation = label & 0xffff;

	switch (label >> 24) {
	case APP_DNS:
		return interface == DNS_LOCATOR ? STEP_LOCATE : -1;
	case APP_KERBEROS:
		return STEP_KERBEROS;
	case APP_LDAP:
		if (interface == LDAP_OVER_UDP)
			return STEP_PING;
		return operation == LDAP_BIND || operation == LDAP_SEARCH ?
		    STEP_LDAP : -1;
	case APP_SMB:
		return smb_is_setup(interface, operation) ? STEP_SMB : -1;
	case APP_DCERPC:
		if (interface == RPC_EPM)
			return STEP_ENDPOINT;
		return interface == RPC_NETLOGON ? STEP_NETLOGON : -1;
	default:
		return -1;
	}
}

/* --- measuring --- */

static struct record *
record_of(struct logon *l, const struct flow *f, enum step step)
{
	struct record *r = memo_make(l->records,
	    subject_of(&f->addr[SERVER], (uint64_t)step));

	if (!r->samples) {
		r->server = f->addr[SERVER];
		r->step = step;
	}
	r->port = f->port[SERVER];
	r->protocol = f->protocol;
	r->app = f->app;
	r->file = f->file;
	return r;
}

static bool
is_slow(const struct record *r, int64_t took_ns, double factor)
{
	int64_t median, longest;

	if (took_ns < SLOW_FLOOR_NS)
		return false;
	if (r->sound.n < KNOWN_ANSWERS)
		return true;
	median = latency_quantile(&r->sound, 0.5);
	longest = latency_quantile(&r->sound, 0.95);
	return took_ns > SLOW_FACTOR * median &&
	    (double)took_ns > factor * (double)longest;
}

/* One that was counted while it waited, or a new one. */
static struct sample *
sample_of(struct record *r, const struct flow *f, struct instant asked,
    uint64_t frame_asked)
{
	uint32_t kept = r->samples < SAMPLES ? r->samples : SAMPLES;
	struct sample *s;

	for (uint32_t i = 0; i < kept; i++)
		if (r->sample[i].frame_asked == frame_asked &&
		    r->sample[i].asked.ns == asked.ns)
			return &r->sample[i];
	s = &r->sample[r->samples++ % SAMPLES];
	*s = (struct sample){ .asked = asked, .frame_asked = frame_asked,
		.client = f->addr[CLIENT] };
	return s;
}

static bool
is_unjudged(const struct record *r)
{
	return r->slow && r->judged != r->samples + r->slow;
}

static void
measure(struct logon *l, enum step step, const struct flow *f,
    struct instant asked, uint64_t frame_asked, int64_t took_ns,
    uint64_t frame_answered, double factor)
{
	struct record *r = record_of(l, f, step);
	bool slow = is_slow(r, took_ns, factor);
	struct sample *s;

	if (!slow && !frame_answered)
		return;			/* it may yet be answered in time */
	s = sample_of(r, f, asked, frame_asked);
	r->slow += slow && !s->slow;
	s->slow |= slow;
	s->took_ns = took_ns;
	s->frame_answered = frame_answered;
	r->answers += frame_answered != 0;
	if (!s->slow)
		latency_add(&r->sound, took_ns);
	l->unjudged |= is_unjudged(r);
}

static void
on_app(void *state, const struct app_event *e)
{
	enum { BASELINE_FACTOR = 4 };	/* as config's; the packet phase has none */
	int step;

	if (!e->flow ||
	    e->exchange_flags & (EXCHANGE_PARKS | EXCHANGE_FROM_SERVER))
		return;
	step = step_of(e->label);
	if (step >= 0)
		measure(state, (enum step)step, e->flow, e->asked,
		    e->asked_frame, e->took_ns, e->frame, BASELINE_FACTOR);
}

/* What waits: TCP must have taken it in, or its loss is the network's. */
static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	const unsigned never = EXCHANGE_PARKS | EXCHANGE_ONE_WAY |
	    EXCHANGE_TURN | EXCHANGE_PARTIAL | EXCHANGE_FROM_SERVER;
	int64_t waited;
	int step;

	(void)s;
	for (const struct exchange *x = f->waiting; x; x = x->next) {
		step = x->flags & never ? -1 : step_of(x->label);
		if (step < 0 || (f->protocol == IP_TCP &&
		    !instant_is_set(x->acked)))
			continue;
		waited = instant_since(f->flags & FLOW_ENDED &&
		    f->end != FLOW_END_CAPTURE ? f->last : j->now, x->asked);
		if (waited >= WAIT_NS)
			measure(state, (enum step)step, f, x->asked,
			    x->frame_last, waited, 0,
			    j->limit->baseline_factor);
		else if (!(f->flags & FLOW_ENDED))
			judge_wake(j, f, instant_plus(x->asked, WAIT_NS));
	}
}

/* --- judging --- */

/* The latest answers, from the first slow one of the window on. */
struct recent {
	unsigned slow, sound, waiting;
	unsigned sound_last;		/* sound ones since the last slow one */
	size_t clients;			/* with a slow one */
	struct address client[SAMPLES];
	int64_t took[SAMPLES];
	struct instant first, last;
	unsigned frames;
	uint64_t frame[2 * SAMPLES];
};

static void
recent_slow(struct recent *q, const struct sample *s)
{
	size_t i = 0;

	if (!q->slow)
		q->first = s->asked;
	q->took[q->slow++] = s->took_ns;
	q->waiting += !s->frame_answered;
	q->sound_last = 0;
	q->last = instant_plus(s->asked, s->took_ns);
	q->frame[q->frames++] = s->frame_asked;
	if (s->frame_answered)
		q->frame[q->frames++] = s->frame_answered;
	while (i < q->clients && address_compare(&q->client[i], &s->client))
		i++;
	if (i == q->clients)
		q->client[q->clients++] = s->client;
}

static void
recent_gather(const struct record *r, struct instant now, struct recent *q)
{
	uint32_t kept = r->samples < SAMPLES ? r->samples : SAMPLES;

	*q = (struct recent){ 0 };
	for (uint32_t i = r->samples - kept; i != r->samples; i++) {
		const struct sample *s = &r->sample[i % SAMPLES];

		if (instant_since(now, s->asked) > WINDOW_S * NS_PER_S)
			continue;
		if (s->slow) {
			recent_slow(q, s);
		} else if (q->slow) {
			q->sound++;
			q->sound_last++;
		}
	}
}

static int
by_length(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static double
median_s(struct recent *q)
{
	qsort(q->took, q->slow, sizeof(q->took[0]), by_length);
	return seconds_of(q->took[q->slow / 2]);
}

static bool
is_controller(struct logon *l, const struct address *server)
{
	const struct record *r;

	for (unsigned i = 0; i < STEP_COUNT; i++) {
		r = steps[i].only_dc ? memo_find(l->records,
		    subject_of(server, i)) : NULL;
		if (r && r->answers)
			return true;
	}
	return false;
}

/* Enough of them, of several clients, and not fewer than the sound ones. Where
 * nothing is known of the time before, it takes more, and nothing but. */
static bool
is_trouble(const struct judge *j, const struct record *r, struct recent *q)
{
	bool known = r->sound.n >= KNOWN_ANSWERS;

	if (known)
		return q->slow >= SLOW_MIN && q->slow >= q->sound &&
		    (double)q->clients >= j->limit->witness_min;
	return q->slow >= SLOW_MIN_UNKNOWN && !q->sound &&
	    q->clients >= CLIENTS_MIN_UNKNOWN &&
	    median_s(q) >= j->limit->user_notices_s;
}

static void
describe(struct finding *x, const struct record *r, struct recent *q)
{
	bool known = r->sound.n >= KNOWN_ANSWERS;
	double before = seconds_of(latency_quantile(&r->sound, 0.5));
	double now = median_s(q);

	finding_metric(x, "slow", r->slow);
	finding_metric(x, "clients", (double)q->clients);
	finding_metric(x, "median_s", now);
	finding_metric(x, "unanswered", q->waiting);
	if (known) {
		finding_metric(x, "median_before_s", before);
		finding_metric(x, "answers_before", (double)r->sound.n);
	}
	finding_say(x, known ? "%s takes %.1f s (median of %u, %zu clients; %u not "
	    "answered at all), where it took %.3f s before" : "%s takes %.1f s "
	    "(median of %u, %zu clients; %u not answered at all)",
	    steps[r->step].text, now, q->slow, q->clients, q->waiting, before);
	if (!known)
		finding_against(x, "nothing is known of the time before: it may "
		    "have been so always");
}

static void
raise_slow(struct judge *j, const struct record *r, struct recent *q)
{
	struct server *v = registry_server(j->registry, &r->server, true);
	double trust = v ? judge_trusts(j, v, NULL, TRUST_LOSS |
	    TRUST_BOTH_WAYS) : 0;
	struct finding *x;

	if (trust <= 0)
		return;
	x = finding_raise_episode(j, &detector_logon_slow, kinds[r->step], v,
	    r->port, q->first);
	x->protocol = r->protocol;
	x->app = r->app;
	x->severity = SEVERITY_MEDIUM;
	x->side = FAULT_SERVER;
	x->confidence = trust * (r->sound.n >= KNOWN_ANSWERS ? 0.85 : 0.5);
	x->count = r->slow;
	x->file = r->file;
	x->ended = false;
	finding_time(x, q->first);
	finding_time(x, q->last);
	for (unsigned i = 0; i < q->frames && x->frame_count < FINDING_FRAMES; i++)
		if (!x->frame_count || q->frame[i] > x->frame[x->frame_count - 1])
			finding_frame(x, q->frame[i]);
	describe(x, r, q);
}

static void
review_record(struct judge *j, struct logon *l, struct record *r)
{
	struct server *v;
	struct finding *x;
	struct recent q;

	recent_gather(r, j->now, &q);
	if (q.slow && q.sound_last < RECOVERED) {
		if (is_trouble(j, r, &q) && is_controller(l, &r->server))
			raise_slow(j, r, &q);
		return;
	}
	v = registry_server(j->registry, &r->server, false);
	x = v ? finding_lookup(j, &detector_logon_slow, kinds[r->step], v, NULL,
	    r->port) : NULL;
	if (x)
		x->ended = true;
}

static void
review_capture(void *state, struct judge *j)
{
	struct logon *l = state;
	size_t cursor = 0;
	struct record *r;

	if (!l->unjudged)
		return;
	l->unjudged = false;
	while ((r = memo_each(l->records, &cursor, NULL))) {
		if (!is_unjudged(r))
			continue;
		r->judged = r->samples + r->slow;
		review_record(j, l, r);
	}
}

const struct detector detector_logon_slow = {
	.finding = FINDING_logon_slow,
	.meaning = "A step of the domain logon (DNS SRV, LDAP ping, Kerberos, LDAP, "
	    "SMB session setup, endpoint mapper, Netlogon) at this domain "
	    "controller fails or has become far slower than it was.",
	.decided = "Three answers of the step or more, of two clients (witness_min) "
	    "or more, took over 2 s, ten times the median before and "
	    "baseline_factor (4) times its 95th percentile, and as many as took "
	    "no longer than usual; a request that waits for 5 s counts as one. "
	    "Without five answers before, six slow ones of three clients and no "
	    "sound one, over user_notices_s (8 s), are asked for.",
	.mimics = "Loss (a retransmission costs at most a few seconds, seldom three "
	    "times running); one client's large query; a wrong DNS server or a "
	    "distant DC (slow always: there is no time before); slow scripts and "
	    "policies (they come after these steps); searches for changes, which "
	    "wait by design (not counted).",
	.source = "MS-ADTS 6.3; RFC 4120, 7.2; KB 948496; 2 s: RFC 6298 and the "
	    "retry times of DNS clients",
	.kinds = kinds,
	.events = 1 << APP_RESPONSE,
	.on_app = on_app,
	.matters = MATTER_WAITING,
	.review_flow = review_flow,
	.review_capture = review_capture,
	.new = logon_new,
	.free = logon_free,
};
