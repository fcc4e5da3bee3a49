/* nat_intermittent.c - new connections through a proxy or NAT host (ISA, SBS)
 * that fail now and then, while as many others work.
 *
 * The hard part is "now and then": a host that is down for a while, or a client
 * that is cut off, fails as well, but all at once and once. Here the same
 * clients succeed and fail in turn, so what counts is how often the one follows
 * the other. And it must be such a host: one that is asked for other hosts'
 * pages. */
#include "detectors/detector.h"

#include <stdlib.h>

#include "capture/app_http.h"
#include "detectors/memo.h"
#include "detectors/registry.h"
#include "detectors/subject.h"

enum {
	PROXIES = 256,
	ATTEMPTS = 256,			/* latest ones of a service */
	FAILED_MIN = 3,
	TURNS_MIN = 3,			/* failures that follow a success */
	MIXED_CLIENTS_MIN = 2,		/* clients that had both */
	SYNS_MIN = 2,
};

/* As many work: at least half as many as fail. */
#define MADE_SHARE 0.5

struct attempt {
	struct instant began;
	struct address client;
	uint64_t frame;
	bool failed;
};

struct proxy {
	struct address server;
	uint16_t port;
	uint32_t file;
	uint32_t made, failed, refused;
	uint32_t told;			/* failures when last judged */
	uint32_t attempts;		/* ever */
	struct attempt attempt[ATTEMPTS];
};

struct nat {
	struct memo *proxies;
};

extern const struct detector detector_nat_intermittent;

static void
nat_free(void *state)
{
	struct nat *n = state;

	if (!n)
		return;
	memo_free(&n->proxies);
	free(n);
}

static void *
nat_new(void)
{
	struct nat *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->proxies = memo_new(PROXIES, sizeof(struct proxy));
	if (!n->proxies) {
		free(n);
		return NULL;
	}
	return n;
}

static uint64_t
service_key(const struct flow *f)
{
	return subject_of(&f->addr[SERVER], f->port[SERVER]);
}

/* A service is a proxy's once it is asked for another host's page. */
static void
on_app(void *state, const struct app_event *e)
{
	struct nat *n = state;
	struct proxy *p;

	if (e->type != APP_REQUEST || !e->flow || e->label >> 24 != APP_HTTP ||
	    (e->label >> 16 & 0xff) != HTTP_PROXIED)
		return;
	p = memo_make(n->proxies, service_key(e->flow));
	p->server = e->flow->addr[SERVER];
	p->port = e->flow->port[SERVER];
	p->file = e->flow->file;
}

/* --- one connection's fate --- */

static bool
count_attempt(struct judge *j, struct proxy *p, struct flow *f, bool failed)
{
	struct note *told = flow_note(engine_pool(j->engine), f,
	    detector_note(FINDING_nat_intermittent), 0, CLIENT);

	if (!told || told->value[0]++)
		return false;		/* each connection once */
	if (failed)
		p->failed++;
	else
		p->made++;
	p->attempt[p->attempts++ % ATTEMPTS] = (struct attempt){
		.began = f->began, .client = f->addr[CLIENT],
		.frame = f->first_frame, .failed = failed,
	};
	return true;
}

static bool
is_refused(const struct flow *f)
{
	const struct note *rst = flow_note_find(f, NOTE_RESET, 0, SERVER);

	return rst && rst->value[1] & RESET_REFUSES && !f->synack_count;
}

static const size_t *
proxies(const void *state)
{
	return memo_count_at(((const struct nat *)state)->proxies);
}

static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	struct nat *n = state;
	struct proxy *p;
	double waited;

	(void)s;
	if (f->protocol != IP_TCP || !f->syn_count || !memo_count(n->proxies))
		return;
	p = memo_find(n->proxies, service_key(f));
	if (!p)
		return;
	if (is_refused(f)) {
		p->refused += count_attempt(j, p, f, true);
		return;
	}
	if (f->state != FLOW_NEW) {
		if (f->flags & FLOW_HANDSHAKE)
			(void)count_attempt(j, p, f, false);
		return;
	}
	if (f->half[SERVER].flags & HALF_SEEN || f->flags & FLOW_ENDED)
		return;
	waited = seconds_of(instant_since(j->now, f->began));
	if (waited < j->limit->connect_s)
		judge_wake(j, f, instant_plus(f->began,
		    (int64_t)(j->limit->connect_s * 1e9)));
	else if (f->syn_count >= SYNS_MIN)
		(void)count_attempt(j, p, f, true);
}

/* --- all of them --- */

/* The latest attempts in the order they were made. */
struct course {
	size_t count;
	struct attempt attempt[ATTEMPTS];
	size_t failed, made;		/* from the first failure on */
	size_t turns;
	size_t mixed;
	struct instant first, last;	/* failures */
};

static int
by_began(const void *a, const void *b)
{
	const struct attempt *x = a, *y = b;

	if (x->began.ns != y->began.ns)
		return x->began.ns < y->began.ns ? -1 : 1;
	return x->frame < y->frame ? -1 : x->frame > y->frame;
}

/* Did this client, at this failure for the first time, succeed later as well? */
static bool
is_mixed(const struct course *c, size_t at)
{
	const struct address *who = &c->attempt[at].client;

	for (size_t i = 0; i < at; i++)
		if (c->attempt[i].failed &&
		    !address_compare(&c->attempt[i].client, who))
			return false;
	for (size_t i = at + 1; i < c->count; i++)
		if (!c->attempt[i].failed &&
		    !address_compare(&c->attempt[i].client, who))
			return true;
	return false;
}

static void
course_of(const struct proxy *p, struct course *c)
{
	bool worked = false;

	*c = (struct course){ 0 };
	c->count = p->attempts < ATTEMPTS ? p->attempts : ATTEMPTS;
	for (size_t i = 0; i < c->count; i++)
		c->attempt[i] = p->attempt[i];
	qsort(c->attempt, c->count, sizeof(c->attempt[0]), by_began);
	for (size_t i = 0; i < c->count; i++) {
		const struct attempt *a = &c->attempt[i];

		if (!a->failed) {
			worked = true;
			c->made += c->failed > 0;
			continue;
		}
		if (!c->failed++)
			c->first = a->began;
		c->last = a->began;
		c->turns += worked;
		c->mixed += is_mixed(c, i);
		worked = false;
	}
}

static bool
is_intermittent(const struct course *c)
{
	return c->failed >= FAILED_MIN && c->turns >= TURNS_MIN &&
	    c->mixed >= MIXED_CLIENTS_MIN &&
	    (double)c->made >= MADE_SHARE * (double)c->failed;
}

static void
describe(struct finding *x, const struct proxy *p, const struct course *c)
{
	finding_metric(x, "failed", p->failed);
	finding_metric(x, "made", p->made);
	finding_metric(x, "refused", p->refused);
	finding_metric(x, "turns", (double)c->turns);
	finding_metric(x, "clients_with_both", (double)c->mixed);
	finding_say(x, "%u new connections through this proxy (port %u) failed%s "
	    "while %zu others worked in the same time, of the same clients "
	    "(%zu had both), %zu times in turn", p->failed, p->port, p->refused ?
	    "" : ", their SYNs unanswered,", c->made, c->mixed, c->turns);
	finding_against(x, "a table of connections or ports that is full refuses "
	    "new ones in the same way until old ones end");
}

static void
raise_intermittent(struct judge *j, const struct proxy *p, const struct course *c)
{
	struct server *v = registry_server(j->registry, &p->server, false);
	double trust = v ? judge_trusts(j, v, NULL, TRUST_LOSS |
	    TRUST_BOTH_WAYS) : 0;
	struct finding *x;

	if (trust <= 0)
		return;
	x = finding_raise(j, &detector_nat_intermittent, NULL, v, NULL, p->port);
	x->protocol = IP_TCP;
	x->app = APP_HTTP;
	x->severity = SEVERITY_MEDIUM;
	x->side = FAULT_UNKNOWN;
	x->confidence = 0.75 * trust;
	x->count = p->failed;
	x->file = p->file;
	finding_time(x, c->first);
	finding_time(x, c->last);
	x->frame_count = 0;
	for (size_t i = 0; i < c->count; i++)
		if (c->attempt[i].failed)
			finding_frame(x, c->attempt[i].frame);
	describe(x, p, c);
}

static void
review_capture(void *state, struct judge *j)
{
	struct nat *n = state;
	size_t cursor = 0;
	struct course c;
	struct proxy *p;

	while ((p = memo_each(n->proxies, &cursor, NULL))) {
		if (p->failed == p->told)
			continue;
		p->told = p->failed;
		course_of(p, &c);
		if (is_intermittent(&c))
			raise_intermittent(j, p, &c);
	}
}

const struct detector detector_nat_intermittent = {
	.finding = FINDING_nat_intermittent,
	.meaning = "New connections through this proxy or NAT host fail now and "
	    "then, while as many others, of the same clients, work.",
	.decided = "A service that is asked for other hosts' pages (CONNECT, or a "
	    "whole URI). Three of its new connections or more failed (SYN sent "
	    "twice or more and not answered in connect_s (9 s), or refused), each "
	    "of them after others had worked, half as many or more worked in the "
	    "same time, and two clients had both.",
	.mimics = "A host that was down for a while (its failures come in one row); "
	    "one client's trouble (others do not share it); a full table of "
	    "connections or ports; loss (the SYN that is sent again is answered, "
	    "and the connection counts as made).",
	.source = "KB 948496 (clients behind NAT fail intermittently); RFC 9112, "
	    "3.2.2 and 3.2.3 (what a proxy is asked)",
	.on_app = on_app,
	.awake = proxies,
	.review_flow = review_flow,
	.review_capture = review_capture,
	.new = nat_new,
	.free = nat_free,
};
