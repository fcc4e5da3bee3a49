/* nat_intermittent.c - new connections through a proxy or NAT host (ISA, SBS)
 * that fail now and then, while as many others work.
 *
 * The hard part is "now and then": a host that is down for a while, or a client
 * that is cut off, fails as well, but all at once and once. Here the same
 * clients succeed and fail in turn, so what counts is how often the one follows
 * the other. And it must be such a host: a proxy is asked for other hosts'
 * pages; a gateway is the next hop (by its MAC) to hosts that are beyond it.
 * What fails there fails to hosts that answer others, and to more than one of
 * them: what they share is the gateway. Where both its sides are mirrored a NAT
 * gives itself away, as it leaves the client's initial sequence number alone:
 * then it shows whether the answer had come back to it. */
#include "detectors/detector.h"

#include <stdlib.h>

#include <string.h>

#include "capture/app_http.h"
#include "detectors/memo.h"
#include "detectors/registry.h"
#include "detectors/subject.h"

enum {
	PROXIES = 256, GATEWAYS = 64,
	CROSSINGS = 4096,		/* latest SYNs */
	MACS = 1024,
	ATTEMPTS = 256,			/* latest ones of a service or gateway */
	TARGETS_MIN = 2,		/* hosts beyond it to which some failed */
	FAILED_MIN = 3,
	TURNS_MIN = 3,			/* failures that follow a success */
	MIXED_CLIENTS_MIN = 2,		/* clients that had both */
	SYNS_MIN = 2,
};

/* As many work: at least half as many as fail. */
#define MADE_SHARE 0.5

/* Of what goes to hosts that answer, so much must fail at a gateway, where a
 * few in a thousand always do; and no host may have more than so much of it. */
#define GATEWAY_FAILED_SHARE 0.05
#define TARGET_SHARE_MAX 0.75

struct attempt {
	struct instant began;
	struct address client;
	struct address target;
	uint16_t port;			/* of it */
	uint64_t frame;
	bool failed;
	bool returned;			/* the answer came back to the gateway */
	bool dropped;			/* of a target that never answered */
};

struct proxy {
	struct address server;		/* a gateway's own */
	uint16_t port;			/* 0: a gateway */
	uint32_t near, far;		/* answers that came straight, or by hops */
	uint32_t file;
	uint32_t made, failed, refused;
	uint32_t told;			/* failures when last judged */
	uint32_t attempts;		/* ever */
	bool raised;
	struct attempt attempt[ATTEMPTS];
};

/* A SYN on its way, by where it goes and its initial sequence number. */
struct crossing {
	struct address client, other;	/* before and behind a NAT */
	uint64_t hop;			/* next hop's MAC, marked */
	bool crossed;			/* it was seen again, as `other`'s */
	bool returned;			/* and that one was answered */
};

struct nat {
	struct memo *proxies;		/* struct proxy by service */
	struct memo *gateways;		/* struct proxy by MAC */
	struct memo *crossings;
	bool any_crossed;		/* one of them, ever */
	struct memo *macs;		/* struct address: whose it is, by ARP */
	bool news;			/* something failed, or is looked at again */
};

extern const struct detector detector_nat_intermittent;
extern const struct detector detector_connect_failure;

static void
nat_free(void *state)
{
	struct nat *n = state;

	if (!n)
		return;
	memo_free(&n->proxies);
	memo_free(&n->gateways);
	memo_free(&n->crossings);
	memo_free(&n->macs);
	free(n);
}

static void *
nat_new(void)
{
	struct nat *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->proxies = memo_new(PROXIES, sizeof(struct proxy));
	n->gateways = memo_new(GATEWAYS, sizeof(struct proxy));
	n->crossings = memo_new(CROSSINGS, sizeof(struct crossing));
	n->macs = memo_new(MACS, sizeof(struct address));
	if (!n->proxies || !n->gateways || !n->crossings || !n->macs) {
		nat_free(n);
		return NULL;
	}
	return n;
}

/* --- what passes --- */

/* Never 0. */
static uint64_t
mac_key(const uint8_t mac[6])
{
	return UINT64_C(1) << 48 | mac_number(mac);
}

static uint64_t
crossing_key(const struct flow *f, uint32_t client_isn)
{
	return subject_number(subject_of(&f->addr[SERVER], f->port[SERVER]),
	    client_isn);
}

static void
on_delivery(void *state, const struct delivery *d)
{
	const struct app_half *client = &d->half[CLIENT];
	const struct packet *p = d->packet;
	const struct flow *f = d->flow;
	struct nat *n = state;
	struct crossing *c;

	if (!p->has_mac || !(client->flags & HALF_SYN))
		return;
	if (d->facts & SEG_SYN_ACK) {
		c = n->any_crossed ? memo_find(n->crossings,
		    crossing_key(f, client->isn)) : NULL;
		if (c && c->crossed && !address_compare(&f->addr[CLIENT],
		    &c->other))
			c->returned = true;
		return;
	}
	if (d->side != CLIENT)
		return;
	c = memo_make(n->crossings, crossing_key(f, client->isn));
	if (!c->hop) {
		c->client = f->addr[CLIENT];
		c->hop = mac_key(p->dst_mac);
	} else if (address_compare(&f->addr[CLIENT], &c->client)) {
		c->other = f->addr[CLIENT];
		c->crossed = n->any_crossed = true;
	}
}

/* Whose MAC is it? What routes for others says so of itself alone. Nothing but this
 * and the step phase knows `macs`. */
static void
on_packet(void *state, const struct packet *p)
{
	struct nat *n = state;

	if (p->arp && p->has_mac && address_v4(&p->arp_sender) &&
	    !memcmp(p->arp_sender_mac, p->src_mac, sizeof(p->src_mac)))
		*(struct address *)memo_make(n->macs, mac_key(p->src_mac)) =
		    p->arp_sender;
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

	if (!e->flow || e->label >> 24 != APP_HTTP ||
	    (e->label >> 16 & 0xff) != HTTP_PROXIED)
		return;
	p = memo_make(n->proxies, service_key(e->flow));
	p->server = e->flow->addr[SERVER];
	p->port = e->flow->port[SERVER];
	p->file = e->flow->file;
}

/* --- one connection's fate --- */

static void
count_attempt(struct nat *n, struct proxy *p, const struct flow *f, bool failed,
    bool returned)
{
	if (failed)
		p->failed++;
	else
		p->made++;
	n->news |= failed;
	p->attempt[p->attempts++ % ATTEMPTS] = (struct attempt){
		.began = f->began, .client = f->addr[CLIENT],
		.target = f->addr[SERVER], .port = f->port[SERVER],
		.frame = f->first_frame,
		.failed = failed, .returned = failed && returned,
	};
}

/* Each connection once for its proxy. */
static bool
is_counted(struct judge *j, struct flow *f)
{
	struct note *told = flow_note(engine_pool(j->engine), f,
	    detector_note(FINDING_nat_intermittent), 0, CLIENT);

	return !told || told->value[0]++;
}

static bool
is_refused(const struct flow *f)
{
	const struct note *rst = flow_note_find(f, NOTE_RESET, 0, SERVER);

	return rst && rst->value[1] & RESET_REFUSES && !f->half[SERVER].syns;
}

/* Senders begin with a TTL of 32, 64, 128 or 255. */
static bool
is_far(uint8_t ttl)
{
	return ttl != 32 && ttl != 64 && ttl != 128 && ttl != 255;
}

enum fate { PENDING, MADE, REFUSED, UNANSWERED };

static enum fate
fate_of(struct judge *j, struct flow *f)
{
	double waited;

	if (is_refused(f))
		return REFUSED;
	if (f->state != FLOW_NEW)
		return f->flags & FLOW_HANDSHAKE ? MADE : PENDING;
	if (f->half[SERVER].flags & HALF_SEEN || f->flags & FLOW_ENDED)
		return PENDING;
	waited = seconds_of(instant_since(j->now, f->began));
	if (waited >= j->limit->connect_s)
		return f->half[CLIENT].syns >= SYNS_MIN ? UNANSWERED : PENDING;
	judge_wake(j, f, instant_plus(f->began,
	    (int64_t)(j->limit->connect_s * 1e9)));
	return PENDING;
}

/* Once; and once is enough where its SYN is forgotten, or was another's before. A
 * refusal is the target's own, or its filter's: it got through. */
static void
through_gateway(struct nat *n, struct flow *f, enum fate fate)
{
	const struct crossing *c;
	struct proxy *g;

	if (fate == REFUSED || f->marks & MARK_CROSSED)
		return;
	f->marks |= MARK_CROSSED;
	c = memo_find(n->crossings, crossing_key(f, f->half[CLIENT].isn));
	if (!c || address_compare(&c->client, &f->addr[CLIENT]))
		return;
	g = memo_make(n->gateways, c->hop);
	g->file = f->file;
	if (fate == MADE && is_far(f->half[SERVER].ttl))
		g->far++;
	else if (fate == MADE)
		g->near++;
	count_attempt(n, g, f, fate == UNANSWERED, c->returned);
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
	enum fate fate;

	(void)s;
	if (f->protocol != IP_TCP || !f->half[CLIENT].syns ||
	    (!f->notes && !memo_count(n->crossings)) ||
	    (f->marks & MARK_CROSSED && !memo_count(n->proxies)))
		return;
	fate = fate_of(j, f);
	if (fate == PENDING)
		return;
	through_gateway(n, f, fate);
	p = memo_count(n->proxies) ? memo_find(n->proxies, service_key(f)) : NULL;
	if (!p || is_counted(j, f))
		return;
	p->refused += fate == REFUSED;
	count_attempt(n, p, f, fate != MADE, false);
}

/* --- all of them --- */

/* The latest attempts in the order they were made. */
struct course {
	size_t count;
	struct attempt attempt[ATTEMPTS];
	size_t failed, made;		/* from the first failure on */
	size_t turns;
	size_t mixed;
	size_t returned;
	size_t targets, worst;		/* with failures; and the most of one */
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

static bool
same_target(const struct attempt *a, const struct attempt *b)
{
	return a->port == b->port && !address_compare(&a->target, &b->target);
}

/* Beyond a gateway some hosts never answer, and that is no fault of its. */
static void
drop_dead_targets(struct course *c)
{
	for (size_t i = 0; i < c->count; i++) {
		size_t made = 0, failed = 0, before = 0;

		for (size_t k = 0; k < c->count; k++) {
			bool same = same_target(&c->attempt[k], &c->attempt[i]);

			made += same && !c->attempt[k].failed;
			failed += same && c->attempt[k].failed;
			before += same && c->attempt[k].failed && k < i;
		}
		c->attempt[i].dropped = !made;
		if (!made || !c->attempt[i].failed || before)
			continue;
		c->targets++;
		if (failed > c->worst)
			c->worst = failed;
	}
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
	if (!p->port)
		drop_dead_targets(c);
	for (size_t i = 0; i < c->count; i++) {
		const struct attempt *a = &c->attempt[i];

		if (a->dropped)
			continue;
		c->returned += a->returned;
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

/* What the targets share must be the gateway. */
static bool
is_gateways(const struct proxy *g, const struct course *c)
{
	return g->far > g->near && c->targets >= TARGETS_MIN &&
	    (double)c->worst <= TARGET_SHARE_MAX * (double)c->failed &&
	    (double)c->failed >= GATEWAY_FAILED_SHARE *
	    (double)(c->failed + c->made);
}

static void
describe_gateway(struct finding *x, const struct course *c)
{
	finding_metric(x, "failed", (double)c->failed);
	finding_metric(x, "made", (double)c->made);
	finding_metric(x, "returned", (double)c->returned);
	finding_metric(x, "targets", (double)c->targets);
	finding_metric(x, "turns", (double)c->turns);
	finding_metric(x, "clients_with_both", (double)c->mixed);
	finding_say(x, "%zu new connections through this gateway got no answer to "
	    "their SYN, to %zu services beyond it that answered others, while %zu "
	    "worked in the same time, of the same clients (%zu had both), %zu "
	    "times in turn%s", c->failed, c->targets, c->made, c->mixed, c->turns,
	    c->returned * 2 > c->failed ? "; their answers came back to it and it "
	    "did not pass them on" : "");
	if (c->returned * 2 <= c->failed)
		finding_against(x, "what is lost behind the gateway, on the way or "
		    "at the hosts, looks the same where its other side is not "
		    "mirrored");
}

static void
describe(struct finding *x, const struct proxy *p, const struct course *c)
{
	if (!p->port) {
		describe_gateway(x, c);
		return;
	}
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

/* What the gateway loses is no failure of the hosts beyond it. */
static void
clear_targets(struct judge *j, const struct proxy *g)
{
	uint32_t kept = g->attempts < ATTEMPTS ? g->attempts : ATTEMPTS;

	for (uint32_t i = 0; i < kept; i++) {
		const struct attempt *a = &g->attempt[i];
		const struct server *s = a->failed ? registry_server(j->registry,
		    &a->target, false) : NULL;
		struct finding *x = s ? finding_lookup(j,
		    &detector_connect_failure, "unanswered", s, NULL, a->port) :
		    NULL;

		if (!x || x->severity < SEVERITY_MEDIUM)
			continue;
		x->severity = SEVERITY_LOW;
		finding_touch(x);
		finding_against(x, "connections to other hosts behind the same "
		    "gateway fail in the same way: see nat_intermittent there");
	}
}

static void
raise_intermittent(struct judge *j, struct proxy *p, const struct course *c)
{
	struct server *v = registry_server(j->registry, &p->server, !p->port);
	double trust = v ? judge_trusts(j, v, NULL, TRUST_LOSS |
	    TRUST_BOTH_WAYS) : 0;
	struct finding *x;

	if (trust <= 0)
		return;
	p->raised = true;
	x = finding_raise(j, &detector_nat_intermittent, NULL, v, NULL, p->port);
	x->protocol = IP_TCP;
	x->app = p->port ? APP_HTTP : APP_UNKNOWN;
	x->severity = SEVERITY_MEDIUM;
	x->side = c->returned * 2 > c->failed ? FAULT_SERVER : FAULT_UNKNOWN;
	x->confidence = 0.75 * trust;
	x->count = p->port ? p->failed : (uint32_t)c->failed;
	x->file = p->file;
	finding_time(x, c->first);
	finding_time(x, c->last);
	x->frame_count = 0;
	for (size_t i = 0; i < c->count; i++)
		if (c->attempt[i].failed && !c->attempt[i].dropped)
			finding_frame(x, c->attempt[i].frame);
	describe(x, p, c);
}

static void
review_gateways(struct nat *n, struct judge *j)
{
	const struct address *own;
	size_t cursor = 0;
	struct course c;
	struct proxy *g;
	uint64_t mac;

	while ((g = memo_each(n->gateways, &cursor, &mac))) {
		n->news |= g->raised;
		if (g->raised)
			clear_targets(j, g);	/* they are weighed anew */
		if (g->failed == g->told || g->failed < FAILED_MIN)
			continue;
		own = memo_find(n->macs, mac);
		n->news |= !own;
		if (!own)
			continue;	/* who it is may yet be told */
		g->told = g->failed;
		g->server = *own;
		course_of(g, &c);
		if (is_intermittent(&c) && is_gateways(g, &c))
			raise_intermittent(j, g, &c);
		n->news |= g->raised;
		if (g->raised)
			clear_targets(j, g);
	}
}

static void
review_capture(void *state, struct judge *j)
{
	struct nat *n = state;
	size_t cursor = 0;
	struct course c;
	struct proxy *p;

	if (!n->news)
		return;
	n->news = false;
	while ((p = memo_each(n->proxies, &cursor, NULL))) {
		if (p->failed == p->told)
			continue;
		p->told = p->failed;
		course_of(p, &c);
		if (is_intermittent(&c))
			raise_intermittent(j, p, &c);
	}
	review_gateways(n, j);
}

const struct detector detector_nat_intermittent = {
	.finding = FINDING_nat_intermittent,
	.meaning = "New connections through this proxy or NAT host fail now and "
	    "then, while as many others, of the same clients, work.",
	.decided = "A service that is asked for other hosts' pages (CONNECT, or a "
	    "whole URI). Three of its new connections or more failed (SYN sent "
	    "twice or more and not answered in connect_s (9 s), or refused), each "
	    "of them after others had worked, half as many or more worked in the "
	    "same time, and two clients had both. Or a gateway: the next hop, by "
	    "its MAC, to services whose answers come from beyond it (TTL), whose "
	    "own address ARP tells. The same of connections through it, to two "
	    "services or more that answer others, none of them with more than "
	    "three in four of the failures, and one in twenty failing. Where both "
	    "its sides are mirrored, the same initial sequence number shows "
	    "whether the answer came back to it.",
	.mimics = "A host that was down for a while (its failures come in one row); "
	    "one client's trouble (others do not share it); a full table of "
	    "connections or ports; loss (the SYN that is sent again is answered, "
	    "and the connection counts as made); hosts beyond a gateway that are "
	    "down (they answer nobody), or one of them that is overloaded.",
	.source = "KB 948496 (clients behind NAT fail intermittently); RFC 9112, "
	    "3.2.2 and 3.2.3 (what a proxy is asked)",
	.delivered = SEG_SYN | SEG_SYN_ACK,
	.on_delivery = on_delivery,
	.on_packet = on_packet,
	.events = 1 << APP_REQUEST,
	.on_app = on_app,
	.matters = MATTER_NOTES | MATTER_GATEWAY,
	.awake = proxies,
	.review_flow = review_flow,
	.review_capture = review_capture,
	.new = nat_new,
	.free = nat_free,
};
