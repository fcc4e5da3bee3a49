/* compare.c - the figures of two runs, and what their difference is worth.
 *
 * The hard part is not to prove too much. A card that loses touch takes all its
 * connections with it: forty clients that froze in one minute are one event,
 * not forty. And a short run afterwards is clean for the very reason that it is
 * short. So clients are tested by share and by time, both; and whether
 * incidents come less often is asked of incidents alone, and left open until
 * the clean run was long enough. Packets share the fate of their connection:
 * shares of packets are reported and not tested. */
#include "detectors/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture/hash.h"
#include "detectors/compare_stats.h"

/* --- listening ------------------------------------------------------------------ */

enum { BUCKETS = 4096 };

struct heard {
	struct heard *next;
	struct address address;
	bool listed;			/* it counts: a server, or named before */
	struct wire_figures wire, told;
};

struct compare_watch {
	struct engine_observer inner;
	struct heard *bucket[BUCKETS];
	uint64_t key;			/* of these: nobody can fill one */
	struct instant last;
	uint32_t file;			/* of the packet at `last` */
	int64_t watched_ns;
	bool kept;			/* listen for others, too */
	size_t told_hosts;		/* of those */
	bool out_of_memory;
};

static size_t
place_of(const struct compare_watch *w, const struct address *a)
{
	return hash_octets(a->octet, w->key) % BUCKETS;
}

static struct heard *
heard_of(const struct compare_watch *w, const struct address *a)
{
	struct heard *h = w->bucket[place_of(w, a)];

	while (h && address_compare(&h->address, a) != 0)
		h = h->next;
	return h;
}

static struct heard *
heard_make(struct compare_watch *w, const struct address *a)
{
	struct heard **bucket = &w->bucket[place_of(w, a)];
	struct heard *h = calloc(1, sizeof(*h));

	if (!h) {
		w->out_of_memory = true;
		return NULL;
	}
	h->listed = !w->kept;
	h->address = *a;
	h->next = *bucket;
	*bucket = h;
	return h;
}

/* NULL: it has too many ports. */
static struct port_figures *
port_of(struct wire_figures *w, uint16_t port)
{
	size_t n = w->port_count;
	struct port_figures *more = w->port;

	for (size_t i = 0; i < n; i++)
		if (w->port[i].port == port)
			return &w->port[i];
	if (n == PORTS_KEPT)
		return NULL;
	if ((n & (n - 1)) == 0)		/* full: room grows by powers of two */
		more = realloc(w->port, (n ? n * 2 : 1) * sizeof(*more));
	if (!more)
		return NULL;
	w->port = more;
	w->port[n] = (struct port_figures){ .port = port };
	w->port_count++;
	return &w->port[n];
}

/* One lost SYN is no failure, and what a capture ends upon is none yet. */
static bool
connect_failed(const struct flow *f)
{
	if (f->half[SERVER].flags & HALF_SYN)
		return false;
	return f->end == FLOW_END_RST ||
	    (f->half[CLIENT].syns >= 2 && f->end == FLOW_END_TIMEOUT) ||
	    (f->half[CLIENT].syns >= 3 && f->end == FLOW_END_CAPTURE);
}

static void
count_connect(struct wire_figures *w, const struct flow *f)
{
	bool made = instant_is_set(f->established);
	struct port_figures *p;

	if (!(f->half[CLIENT].flags & HALF_SYN) || (!made && !connect_failed(f)))
		return;
	p = port_of(w, f->port[SERVER]);
	if (!p)
		return;
	p->made += made;
	p->failed += !made;
}

static void
count_wire(struct wire_figures *w, const struct flow *f)
{
	const struct tcp_half *u = &f->half[CLIENT], *v = &f->half[SERVER];

	w->sent += v->packets;
	w->bad_sums += v->bad_sums;
	w->packets += (uint64_t)u->packets + v->packets;
	w->retransmissions += (uint64_t)u->retransmissions + v->retransmissions;
	count_connect(w, f);
}

/* Only servers, so that a scan of a whole network fills no memory; and, for a
 * run that is kept, the first others. */
static void
count_flow(struct compare_watch *w, const struct flow *f)
{
	const struct host *host = f->host[SERVER];
	bool server = host && host->server;
	struct heard *h;

	if (f->protocol != IP_TCP)
		return;
	h = heard_of(w, &f->addr[SERVER]);
	if (!h && !server && (!w->kept || w->told_hosts == TOLD_HOSTS))
		return;
	if (!h) {
		h = heard_make(w, &f->addr[SERVER]);
		w->told_hosts += !server;
	}
	if (!h)
		return;
	h->listed |= server;
	if (h->listed)
		count_wire(&h->wire, f);
	if (w->kept)
		count_wire(&h->told, f);
}

/* Within one capture a quiet hour is an hour watched; between two captures of a
 * folder nobody may have looked. */
static void
count_time(struct compare_watch *w, const struct packet *p)
{
	int64_t gap = instant_since(p->time, w->last);
	int64_t most = (p->file == w->file ? WATCH_QUIET_S : WATCH_BREAK_S) *
	    NS_PER_S;

	if (!instant_is_set(w->last))
		gap = 0;
	else if (gap <= 0)
		return;
	w->watched_ns += gap < most ? gap : most;
	w->last = p->time;
	w->file = p->file;
}

static void
hear_packet(void *context, const struct packet *p)
{
	struct compare_watch *w = context;

	count_time(w, p);
	if (w->inner.on_packet)
		w->inner.on_packet(w->inner.context, p);
}

static void
hear_segment(void *context, struct flow *f, const struct segment *s)
{
	struct compare_watch *w = context;

	if (w->inner.on_segment)
		w->inner.on_segment(w->inner.context, f, s);
}

static void
hear_delivery(void *context, const struct delivery *d, int64_t answered_ns)
{
	struct compare_watch *w = context;

	if (w->inner.on_delivery)
		w->inner.on_delivery(w->inner.context, d, answered_ns);
}

static void
hear_app(void *context, const struct app_event *e)
{
	struct compare_watch *w = context;

	if (w->inner.on_app)
		w->inner.on_app(w->inner.context, e);
}

/* After the detectors: they make the servers. */
static void
hear_step(void *context, struct engine *e, struct instant now)
{
	struct compare_watch *w = context;
	struct flow *const *flows;
	size_t count;

	if (w->inner.on_step)
		w->inner.on_step(w->inner.context, e, now);
	flows = engine_touched_flows(e, &count);
	for (size_t i = 0; i < count; i++)
		if (flows[i]->flags & FLOW_ENDED)
			count_flow(w, flows[i]);
}

static void
hear_flow_end(void *context, struct flow *f)
{
	struct compare_watch *w = context;

	if (w->inner.on_flow_end)
		w->inner.on_flow_end(w->inner.context, f);
}

/* Its packets count as those of any other. */
static void
hear_forgotten(void *context, const struct flow *f)
{
	struct compare_watch *w = context;

	count_flow(w, f);
	if (w->inner.on_forgotten)
		w->inner.on_forgotten(w->inner.context, f);
}

struct compare_watch *
compare_watch_new(const struct run_figures *before)
{
	struct compare_watch *w = calloc(1, sizeof(*w));

	if (w)
		w->key = hash_key();
	for (size_t i = 0; w && before && i < before->count; i++)
		if (!heard_make(w, &before->server[i].address))
			compare_watch_free(&w);
	return w;
}

struct compare_watch *
compare_watch_new_kept(void)
{
	struct compare_watch *w = compare_watch_new(NULL);

	if (w)
		w->kept = true;
	return w;
}

void
compare_watch_free(struct compare_watch **wp)
{
	struct compare_watch *w = *wp;

	*wp = NULL;
	for (size_t i = 0; w && i < BUCKETS; i++) {
		while (w->bucket[i]) {
			struct heard *h = w->bucket[i];

			w->bucket[i] = h->next;
			free(h->wire.port);
			free(h->told.port);
			free(h);
		}
	}
	free(w);
}

void
compare_watch_observe(struct compare_watch *w, struct engine_observer *o)
{
	w->inner = *o;
	*o = (struct engine_observer){ .context = w, .on_packet = hear_packet,
		.on_segment = hear_segment, .on_delivery = hear_delivery,
		.on_app = hear_app,
		.on_step = hear_step, .on_flow_end = hear_flow_end,
		.on_forgotten = hear_forgotten };
}

/* --- the figures of a run ----------------------------------------------------------- */

enum mark { MARK_AFFECTED = 1, MARK_STALLED = 2 };

struct marked_flow {
	uint64_t id;
	unsigned marks;
};

struct marked_client {
	struct address address;
	bool affected;
};

static bool
is_stall(enum finding_name name)
{
	switch (name) {
	case FINDING_keepalive_unanswered: case FINDING_flow_blackholed:
	case FINDING_reply_missing: case FINDING_rpc_stall:
	case FINDING_rpc_fragment_stuck: case FINDING_zero_window_stall:
	case FINDING_sack_hole_unfilled:
		return true;
	default:
		return false;
	}
}

static int
flow_order(const void *a, const void *b)
{
	const struct marked_flow *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* The affected first, so that each client's first entry tells. */
static int
client_order(const void *a, const void *b)
{
	const struct marked_client *x = a, *y = b;
	int order = address_compare(&x->address, &y->address);

	return order ? order : (int)y->affected - (int)x->affected;
}

/* One entry a flow, sorted. NULL (count 0): none, or no memory. */
static struct marked_flow *
affected_flows(const struct server *s, size_t *count)
{
	struct marked_flow *list;
	size_t n = 0, kept = 0;

	for (const struct finding *f = s->findings; f; f = f->next_of_server)
		n += f->flow_id && finding_degrades(f);
	*count = 0;
	list = n ? calloc(n, sizeof(*list)) : NULL;
	if (!list)
		return NULL;
	n = 0;
	for (const struct finding *f = s->findings; f; f = f->next_of_server)
		if (f->flow_id && finding_degrades(f))
			list[n++] = (struct marked_flow){ f->flow_id,
				MARK_AFFECTED |
				(is_stall(f->name) ? MARK_STALLED : 0) };
	qsort(list, n, sizeof(*list), flow_order);
	for (size_t i = 1; i < n; i++) {
		if (list[i].id == list[kept].id)
			list[kept].marks |= list[i].marks;
		else
			list[++kept] = list[i];
	}
	*count = kept + 1;
	return list;
}

static void
count_clients(struct server_figures *v, struct marked_client *list, size_t n)
{
	qsort(list, n, sizeof(*list), client_order);
	for (size_t i = 0; i < n; i++) {
		if (i && address_compare(&list[i - 1].address,
		    &list[i].address) == 0)
			continue;
		v->clients++;
		v->clients_affected += list[i].affected;
	}
}

/* 0, or -1 without memory. */
static int
count_outcomes(struct server_figures *v, const struct server *s)
{
	size_t ill;
	struct marked_flow *list = affected_flows(s, &ill);
	struct marked_client *client = calloc(s->outcome_count + 1,
	    sizeof(*client));

	for (size_t i = 0; client && i < s->outcome_count; i++) {
		const struct outcome *o = s->outcome[i];
		struct marked_flow key = { .id = o->flow_id };
		const struct marked_flow *m = ill ? bsearch(&key, list, ill,
		    sizeof(*list), flow_order) : NULL;

		client[i] = (struct marked_client){ o->client, m != NULL };
		v->flows++;
		v->flows_affected += m != NULL;
		v->flows_stalled += m && m->marks & MARK_STALLED;
		v->flows_host += o->stack == STACK_HOST;
		v->flows_offloaded += o->stack == STACK_OFFLOADED ||
		    o->stack == STACK_MIXED;
	}
	if (client)
		count_clients(v, client, s->outcome_count);
	free(list);
	free(client);
	return client ? 0 : -1;
}

static void
count_incidents(struct server_figures *v, const struct run *run,
    const struct server *s)
{
	const struct capture_stats *c = engine_stats(run->engine);

	for (const struct incident *i = run->incidents; i; i = i->next) {
		struct instant from = i->start;
		int64_t lasted;

		if (i->server != s)
			continue;
		if (instant_before(from, c->first))
			from = c->first;	/* begun in the run before */
		lasted = instant_since(instant_is_set(i->end) ? i->end : c->last,
		    from);
		v->incidents++;
		v->incidents_by[i->verdict]++;
		v->carried_by[i->verdict] += instant_is_set(i->carried);
		if (lasted > 0) {
			v->trouble_ns += lasted;
			v->trouble_ns_by[i->verdict] += lasted;
		}
	}
}

static void
count_answers(struct server_figures *v, const struct server *s)
{
	struct latency took;

	for (const struct service *x = s->services; x; x = x->next)
		v->requests += x->answered;
	for (int app = server_response(s, 0, &took); app >= 0;
	    app = server_response(s, app + 1, &took))
		v->response[app] = (struct response_figures){ took.n,
			latency_quantile(&took, 0.5),
			latency_quantile(&took, 0.95) };
}

/* 0, or -1 without memory. */
static int
copy_wire(struct wire_figures *out, const struct wire_figures *in)
{
	size_t bytes = in->port_count * sizeof(*in->port);

	*out = *in;
	out->port = NULL;
	if (!bytes)
		return 0;
	out->port = malloc(bytes);
	if (!out->port) {
		out->port_count = 0;
		return -1;
	}
	memcpy(out->port, in->port, bytes);
	return 0;
}

static int
take_wire(struct server_figures *v, const struct compare_watch *w)
{
	const struct heard *h = heard_of(w, &v->address);

	if (!h)
		return 0;
	return copy_wire(&v->wire, &h->wire) ||
	    copy_wire(&v->told, &h->told) ? -1 : 0;
}

static int
take_server(struct server_figures *v, const struct compare_watch *w,
    const struct run *run, const struct server *s)
{
	v->address = s->address;
	memcpy(v->name, s->name, sizeof(v->name));
	v->stacks_known = s->ids_split;
	v->served = s->flows > 0;
	count_incidents(v, run, s);
	count_answers(v, s);
	return count_outcomes(v, s) || take_wire(v, w) ? -1 : 0;
}

static int
figures_order(const void *a, const void *b)
{
	const struct server_figures *x = a, *y = b;

	return address_compare(&x->address, &y->address);
}

/* Of servers known from before that accept nothing any more. */
static int
take_unheard(struct run_figures *out, const struct compare_watch *w)
{
	size_t known = out->count;

	for (size_t i = 0; i < BUCKETS; i++) {
		for (const struct heard *h = w->bucket[i]; h; h = h->next) {
			struct server_figures *v = &out->server[out->count];
			struct server_figures key = { .address = h->address };

			if (!(h->wire.port_count + h->told.port_count) ||
			    bsearch(&key, out->server, known, sizeof(key),
			    figures_order))
				continue;
			*v = key;
			v->told_only = !h->wire.port_count;
			out->count++;
			if (take_wire(v, w))
				return -1;
		}
	}
	return 0;
}

static size_t
most_servers(const struct compare_watch *w, const struct run *run)
{
	size_t n = 1;

	for (const struct server *s = registry_servers(run->registry); s;
	    s = s->next)
		n++;
	for (size_t i = 0; i < BUCKETS; i++)
		for (const struct heard *h = w->bucket[i]; h; h = h->next)
			n++;
	return n;
}

static int
take_servers(struct run_figures *out, const struct compare_watch *w,
    const struct run *run)
{
	out->server = calloc(most_servers(w, run), sizeof(*out->server));
	if (!out->server)
		return -1;
	for (const struct server *s = registry_servers(run->registry); s;
	    s = s->next)
		if (take_server(&out->server[out->count++], w, run, s))
			return -1;
	qsort(out->server, out->count, sizeof(*out->server), figures_order);
	if (take_unheard(out, w))
		return -1;
	qsort(out->server, out->count, sizeof(*out->server), figures_order);
	return 0;
}

int
run_figures_take(const struct compare_watch *w, const struct run *run,
    struct run_figures *out)
{
	const struct capture_stats *c = engine_stats(run->engine);

	*out = (struct run_figures){ .watched_ns = w->watched_ns,
		.first = c->first, .last = c->last,
		.lost_share = capture_lost_share(c),
		.one_way_share = capture_one_way_share(c),
		.interrupted = run->interrupted,
		.blind = judge_trusts(registry_judge(run->registry), NULL, NULL,
		    TRUST_LOSS | TRUST_BOTH_WAYS) <= 0 };
	run_subject(run, out->subject, sizeof(out->subject));
	extent_text(run, out->extent, sizeof(out->extent));
	soundness_text(run, out->soundness, sizeof(out->soundness));
	if (!w->out_of_memory && take_servers(out, w, run) == 0)
		return 0;
	run_figures_free(out);
	return -1;
}

void
run_figures_free(struct run_figures *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->server[i].wire.port);
		free(r->server[i].told.port);
	}
	free(r->server);
	r->server = NULL;
	r->count = 0;
}

double
hours_watched(const struct run_figures *r)
{
	return seconds_of(r->watched_ns) / 3600;
}

/* --- the comparison ------------------------------------------------------------------ */

const char *
outcome_change_text(enum outcome_change c)
{
	switch (c) {
	case CHANGE_NOT_COMPARABLE: return "not_comparable";
	case CHANGE_NOTHING: return "no_difference";
	case CHANGE_BETTER: return "better";
	case CHANGE_WORSE: return "worse";
	case CHANGE_MIXED: return "mixed";
	}
	return "not_comparable";
}

const char *
offload_change_text(enum offload_change c)
{
	switch (c) {
	case OFFLOAD_UNKNOWN: return "unknown";
	case OFFLOAD_GONE: return "gone";
	case OFFLOAD_STILL_ON: return "still_on";
	case OFFLOAD_APPEARED: return "appeared";
	case OFFLOAD_NEVER: return "never";
	case OFFLOAD_TOO_FEW: return "too_few";
	}
	return "unknown";
}

static int
direction(double before, double after)
{
	return (after > before) - (after < before);
}

/* Events in so many (or so long), before and after. */
struct pair {
	uint64_t n[COMPARE_RUNS];
	double of[COMPARE_RUNS];
};

static struct answer_change
answer_of(const struct pair *x, double p)
{
	struct answer_change a = { .asked = isfinite(p), .p = p };

	if (a.asked)
		a.direction = direction((double)x->n[BEFORE] / x->of[BEFORE],
		    (double)x->n[AFTER] / x->of[AFTER]);
	return a;
}

/* The p of each question, with counts multiplied by `times` (as if both runs
 * had been so much longer). */
static double
clients_p(const struct comparison *c, double times, double *share, double *rate)
{
	uint64_t ill[COMPARE_RUNS], all[COMPARE_RUNS];
	double hours[COMPARE_RUNS];

	for (int r = BEFORE; r <= AFTER; r++) {
		ill[r] = (uint64_t)((double)c->side[r]->clients_affected * times);
		all[r] = (uint64_t)((double)c->side[r]->clients * times);
		hours[r] = (double)c->side[r]->clients * times *
		    hours_watched(c->run[r]);
	}
	*share = shares_differ(ill[BEFORE], all[BEFORE], ill[AFTER], all[AFTER]);
	*rate = rates_differ(ill[BEFORE], hours[BEFORE], ill[AFTER],
	    hours[AFTER]);
	return fmax(*share, *rate);
}

static double
incidents_p(const struct comparison *c, double times)
{
	uint64_t n[COMPARE_RUNS];

	for (int r = BEFORE; r <= AFTER; r++)
		n[r] = (uint64_t)((double)c->side[r]->incidents * times);
	return rates_differ(n[BEFORE], times * hours_watched(c->run[BEFORE]),
	    n[AFTER], times * hours_watched(c->run[AFTER]));
}

static void
ask_clients(struct comparison *c)
{
	struct pair x;
	double p;

	p = clients_p(c, 1, &c->p_clients_share, &c->p_clients_rate);
	for (int r = BEFORE; r <= AFTER; r++) {
		x.n[r] = c->side[r]->clients_affected;
		x.of[r] = (double)c->side[r]->clients;
	}
	c->answer[QUESTION_CLIENTS] = answer_of(&x,
	    isnan(c->p_clients_share) || isnan(c->p_clients_rate) ? NAN : p);
	c->p_flows_share = shares_differ(c->side[BEFORE]->flows_affected,
	    c->side[BEFORE]->flows, c->side[AFTER]->flows_affected,
	    c->side[AFTER]->flows);
}

static void
ask_incidents(struct comparison *c)
{
	struct pair x;

	for (int r = BEFORE; r <= AFTER; r++) {
		x.n[r] = c->side[r]->incidents;
		x.of[r] = hours_watched(c->run[r]);
	}
	c->answer[QUESTION_INCIDENTS] = answer_of(&x, incidents_p(c, 1));
}

static uint64_t
made_to(const struct wire_figures *w, uint16_t port)
{
	for (size_t i = 0; i < w->port_count; i++)
		if (w->port[i].port == port)
			return w->port[i].made;
	return 0;
}

/* A port that never accepted is nobody's service: scans and old shortcuts. */
static void
sum_connects(struct comparison *c, int r)
{
	const struct wire_figures *w = &c->side[r]->wire;

	for (size_t i = 0; i < w->port_count; i++) {
		const struct port_figures *p = &w->port[i];

		if (!made_to(&c->side[BEFORE]->wire, p->port) &&
		    !made_to(&c->side[AFTER]->wire, p->port))
			continue;
		c->connects[r] += p->made + p->failed;
		c->connects_failed[r] += p->failed;
	}
}

/* Of a run that missed packets or one direction, nobody can tell what was left
 * without an answer. */
enum { SEEN_ENOUGH_PERCENT = 99 };

static bool
saw_enough(const struct run_figures *r)
{
	double most = 1 - SEEN_ENOUGH_PERCENT / 100.0;

	return r->lost_share <= most && r->one_way_share <= most;
}

static void
ask_connects(struct comparison *c)
{
	struct pair x;
	double p;

	sum_connects(c, BEFORE);
	sum_connects(c, AFTER);
	for (int r = BEFORE; r <= AFTER; r++) {
		x.n[r] = c->connects_failed[r];
		x.of[r] = (double)c->connects[r];
	}
	p = shares_differ(x.n[BEFORE], c->connects[BEFORE], x.n[AFTER],
	    c->connects[AFTER]);
	c->answer[QUESTION_CONNECTS] = answer_of(&x,
	    saw_enough(c->run[BEFORE]) && saw_enough(c->run[AFTER]) ? p : NAN);
}

/* Something happened that the question is about. */
static bool
happened(const struct comparison *c, enum question q)
{
	const struct server_figures *b = c->side[BEFORE], *a = c->side[AFTER];

	switch (q) {
	case QUESTION_CLIENTS: return b->clients_affected + a->clients_affected;
	case QUESTION_INCIDENTS: return b->incidents + a->incidents;
	case QUESTION_CONNECTS:
		return c->connects_failed[BEFORE] + c->connects_failed[AFTER];
	case QUESTION_COUNT: break;
	}
	return false;
}

/* The first clear answer decides; with none clear, the first that is about
 * anything gives the words. */
static void
decide(struct comparison *c)
{
	bool better = false, worse = false;

	c->deciding = -1;
	for (int q = 0; q < QUESTION_COUNT; q++) {
		const struct answer_change *a = &c->answer[q];
		const struct answer_change *best = c->deciding < 0 ? NULL :
		    &c->answer[c->deciding];

		if (!a->asked || !happened(c, (enum question)q))
			continue;
		if (a->p < COMPARE_LEVEL) {
			better |= a->direction < 0;
			worse |= a->direction > 0;
		}
		if (!best || (a->p < COMPARE_LEVEL && best->p >= COMPARE_LEVEL))
			c->deciding = q;
	}
	c->change = better && worse ? CHANGE_MIXED : better ? CHANGE_BETTER :
	    worse ? CHANGE_WORSE : CHANGE_NOTHING;
}

/* Have incidents become rarer (or more frequent) for good? */
static void
settle(struct comparison *c)
{
	uint64_t b = c->side[BEFORE]->incidents, a = c->side[AFTER]->incidents;
	int clean = b && !a ? AFTER : a && !b ? BEFORE : -1;
	int other = clean == AFTER ? BEFORE : AFTER;
	double hours;

	c->clean_hours_exact = c->clean_hours_known_rate = NAN;
	c->settled = c->change != CHANGE_NOTHING;
	if (clean < 0) {
		if (a && b)
			c->settled &= c->answer[QUESTION_INCIDENTS].p < 0.05;
		return;
	}
	hours = hours_watched(c->run[other]);
	c->clean_hours_exact = clean_time_exact(c->side[other]->incidents, hours);
	c->clean_hours_known_rate = clean_time_known_rate(
	    c->side[other]->incidents, hours);
	c->settled &= hours_watched(c->run[clean]) >= c->clean_hours_exact;
}

/* How much more of the same would show the difference there seems to be? */
static void
find_needed(struct comparison *c)
{
	double share, rate;

	c->more_needed = NAN;
	if (c->change != CHANGE_NOTHING || c->deciding < 0 ||
	    c->deciding == QUESTION_CONNECTS ||
	    c->answer[c->deciding].direction == 0)
		return;
	for (double times = 1.25; times < 1000; times *= 1.25) {
		double p = c->deciding == QUESTION_INCIDENTS ?
		    incidents_p(c, times) : clients_p(c, times, &share, &rate);

		if (p < COMPARE_LEVEL) {
			c->more_needed = times;
			return;
		}
	}
}

static void
ask_offload(struct comparison *c)
{
	const struct server_figures *b = c->side[BEFORE], *a = c->side[AFTER];

	c->p_offload = NAN;
	if (!b->stacks_known || !a->stacks_known)
		return;
	c->p_offload = shares_differ(b->flows_offloaded,
	    b->flows_offloaded + b->flows_host, a->flows_offloaded,
	    a->flows_offloaded + a->flows_host);
	if (b->flows_offloaded && a->flows_offloaded)
		c->offload = OFFLOAD_STILL_ON;
	else if (a->flows_offloaded)
		c->offload = OFFLOAD_APPEARED;
	else if (b->flows_offloaded)
		c->offload = c->p_offload < 0.05 ? OFFLOAD_GONE :
		    OFFLOAD_TOO_FEW;
	else
		c->offload = OFFLOAD_NEVER;
}

struct comparison
compare_server(const struct run_figures *before, const struct server_figures *b,
    const struct run_figures *after, const struct server_figures *a)
{
	struct comparison c = { .side = { b, a }, .run = { before, after },
		.deciding = -1, .p_clients_share = NAN, .p_clients_rate = NAN,
		.p_flows_share = NAN, .p_offload = NAN, .more_needed = NAN,
		.clean_hours_exact = NAN, .clean_hours_known_rate = NAN };

	if (!b || !a)
		return c;
	ask_clients(&c);
	ask_incidents(&c);
	ask_connects(&c);
	ask_offload(&c);
	if (before->blind || after->blind)
		return c;
	decide(&c);
	settle(&c);
	find_needed(&c);
	return c;
}

/* Was anything asked of it? */
static bool
matters(const struct server_figures *v)
{
	return v && (v->served || v->incidents || v->wire.port_count);
}

struct comparison *
compare_runs(const struct run_figures *before, const struct run_figures *after,
    size_t *count)
{
	size_t i = 0, k = 0, most = before->count + after->count;
	struct comparison *list = most ? calloc(most, sizeof(*list)) : NULL;

	*count = 0;
	while (list && (i < before->count || k < after->count)) {
		const struct server_figures *b = i < before->count ?
		    &before->server[i] : NULL;
		const struct server_figures *a = k < after->count ?
		    &after->server[k] : NULL;
		int order = !b ? 1 : !a ? -1 : figures_order(b, a);

		i += order <= 0;
		k += order >= 0;
		b = order <= 0 ? b : NULL;
		a = order >= 0 ? a : NULL;
		if (matters(b) || matters(a))
			list[(*count)++] = compare_server(before, b, after, a);
	}
	return list;
}
