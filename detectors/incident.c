/* incident.c - findings of one server and one time become one incident.
 *
 * One cause, one alarm: three hundred stalled clients are three hundred
 * witnesses of one thing. The hard part is the comparison: which flows of the
 * same server fared well in the same time, and were they offloaded or not. A
 * flow counts as well only if it asked and was served after the onset, and as
 * offloaded only if that was after the card had taken it over. */
#include "detectors/incident_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture/hash.h"
#include "detectors/registry.h"

const char *
verdict_name(enum verdict v)
{
	static const char *const name[] = {
#define X(n) #n,
		VERDICTS(X)
#undef X
	};

	return name[v];
}

/* log of n! */
static double
log_factorial(uint32_t n)
{
	return lgamma((double)n + 1);
}

/* Hypergeometric probability of the table {a b; c d}, summed towards larger
 * `a`. */
double
fisher_one_sided(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	uint32_t row1 = a + b, row2 = c + d, col1 = a + c, all = row1 + row2;
	uint32_t most = row1 < col1 ? row1 : col1;
	double fixed = log_factorial(row1) + log_factorial(row2) +
	    log_factorial(col1) + log_factorial(all - col1) - log_factorial(all);
	double sum = 0;

	for (uint32_t x = a; x <= most; x++) {
		if (col1 - x > row2)
			continue;
		sum += exp(fixed - log_factorial(x) - log_factorial(row1 - x) -
		    log_factorial(col1 - x) - log_factorial(row2 - (col1 - x)));
	}
	return sum > 1 ? 1 : sum;
}

/* --- clusters --------------------------------------------------------------- */

static bool
matters(const struct finding *x)
{
	return !x->retracted && !x->forgotten &&
	    x->severity >= SEVERITY_MEDIUM && x->side != FAULT_CAPTURE;
}

static int
by_time(const void *a, const void *b)
{
	const struct finding *x = *(const struct finding *const *)a;
	const struct finding *y = *(const struct finding *const *)b;

	if (x->first_seen.ns != y->first_seen.ns)
		return x->first_seen.ns < y->first_seen.ns ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* The server's findings that matter, by time. NULL: none, or no memory. */
static struct finding **
findings_of(const struct server *s, size_t *count)
{
	struct finding **list;
	size_t n = 0;

	for (struct finding *x = s->findings; x; x = x->next_of_server)
		n += matters(x);
	*count = n;
	list = n ? malloc(n * sizeof(struct finding *)) : NULL;
	if (!list)
		return NULL;
	n = 0;
	for (struct finding *x = s->findings; x; x = x->next_of_server)
		if (matters(x))
			list[n++] = x;
	qsort(list, n, sizeof(struct finding *), by_time);
	return list;
}

/* A condition that lasts until something ends it, as against an event. */
static bool
is_condition(enum finding_name name)
{
	switch (name) {
	case FINDING_reply_missing: case FINDING_rpc_stall:
	case FINDING_flow_blackholed: case FINDING_keepalive_unanswered:
	case FINDING_zero_window_stall: case FINDING_orphaned_session:
		return true;
	default:
		return false;
	}
}

/* Clients give up what is not acknowledged after about this (KB 170359: five
 * retransmissions, 0.3 s doubled each time). */
#define ABORT_NS (19 * NS_PER_S)

/* A host that goes down, long after its connections fell ill, is another thing:
 * what ends the first trouble (somebody restarts it) is not what it was. */
static bool
is_another(const struct judge *j, const struct cluster *c,
    const struct finding *x)
{
	unsigned ill = 0;

	if (x->name != FINDING_server_silent && x->name != FINDING_server_restart)
		return false;
	if (instant_since(x->first_seen, c->start) < ABORT_NS)
		return false;
	for (size_t i = 0; i < c->count; i++) {
		const struct finding *y = c->finding[i];

		if (y->name == x->name || y->name == FINDING_server_silent)
			return false;
		ill += y->flow_id && instant_since(x->first_seen,
		    y->first_seen) >= ABORT_NS;
	}
	return ill >= j->limit->witness_min;
}

/* How many of `list` belong to the cluster that begins with its first. */
static struct cluster
cluster_take(const struct judge *j, struct server *s, struct finding **list,
    size_t count)
{
	struct cluster c = { .server = s, .finding = list,
		.start = list[0]->first_seen, .last = list[0]->last_seen };
	int64_t gap = (int64_t)(j->limit->incident_gap_s * 1e9);
	struct instant lasts = { 0 };

	for (; c.count < count; c.count++) {
		const struct finding *x = list[c.count];

		if ((instant_since(x->first_seen, c.last) > gap &&
		    instant_before(lasts, x->first_seen)) ||
		    is_another(j, &c, x))
			break;
		if (instant_before(lasts, x->lasts_until))
			lasts = x->lasts_until;
		if (instant_before(c.last, x->last_seen))
			c.last = x->last_seen;
	}
	return c;
}

static bool
is_kind(const struct finding *x, enum finding_name name, const char *kind)
{
	return x->name == name &&
	    (!kind || (x->kind && strcmp(x->kind, kind) == 0));
}

uint32_t
cluster_flows(const struct cluster *c, enum finding_name name, const char *kind)
{
	uint32_t n = 0;

	for (size_t i = 0; i < c->count; i++)
		n += is_kind(c->finding[i], name, kind);
	return n;
}

const struct finding *
cluster_first(const struct cluster *c, enum finding_name name, const char *kind)
{
	for (size_t i = 0; i < c->count; i++)
		if (is_kind(c->finding[i], name, kind))
			return c->finding[i];
	return NULL;
}

enum want
cluster_want(const struct cluster *c)
{
	uint32_t answers = cluster_flows(c, FINDING_reply_missing, NULL) +
	    cluster_flows(c, FINDING_rpc_stall, NULL);
	uint32_t acks = cluster_flows(c, FINDING_flow_blackholed, NULL);
	uint32_t probes = cluster_flows(c, FINDING_keepalive_unanswered, NULL);
	uint32_t lost = cluster_flows(c, FINDING_orphaned_session,
	    "server_lost_state") + cluster_flows(c, FINDING_stale_neighbor,
	    NULL);

	if (lost > answers + acks + probes)
		return WANT_STATE;
	if (probes > answers + acks)
		return WANT_PROBE;
	return answers >= acks + probes ? WANT_ANSWER : WANT_ACK;
}

/* --- the view: who fares ill, who well ----------------------------------------- */

struct marks {			/* distinct clients, by address */
	struct address *address;	/* unspecified: an empty slot */
	size_t count, slots;
	uint64_t key;			/* so that collisions cannot be planned */
};

static struct address *
mark_slot(const struct marks *m, const struct address *a)
{
	static const struct address none;
	size_t i = (size_t)address_hash(a, m->key) & (m->slots - 1);

	while (memcmp(&m->address[i], &none, sizeof(none)) != 0 &&
	    memcmp(&m->address[i], a, sizeof(*a)) != 0)
		i = (i + 1) & (m->slots - 1);
	return &m->address[i];
}

static bool
marks_grow(struct marks *m)
{
	struct marks more = { .slots = m->slots ? m->slots * 2 : 64,
		.count = m->count, .key = m->slots ? m->key : hash_key() };

	more.address = calloc(more.slots, sizeof(*more.address));
	if (!more.address)
		return false;
	for (size_t i = 0; i < m->slots; i++)
		*mark_slot(&more, &m->address[i]) = m->address[i];
	free(m->address);
	*m = more;
	return true;
}

static void
mark_client(struct marks *m, const struct address *a)
{
	struct address *slot;

	if (m->count * 2 >= m->slots && !marks_grow(m))
		return;
	slot = mark_slot(m, a);
	m->count += memcmp(slot, a, sizeof(*a)) != 0;
	*slot = *a;
}

static int
by_flow(const void *a, const void *b)
{
	const struct finding *x = *(const struct finding *const *)a;
	const struct finding *y = *(const struct finding *const *)b;

	if (x->flow_id != y->flow_id)
		return x->flow_id < y->flow_id ? -1 : 1;
	return by_time(a, b);
}

static void
cluster_index(struct cluster *c, struct finding **index)
{
	for (size_t i = 0; i < c->count; i++)
		index[i] = c->finding[i];
	qsort(index, c->count, sizeof(*index), by_flow);
	c->by_flow = index;
}

struct finding *const *
cluster_of_flow(const struct cluster *c, uint64_t flow_id, size_t *count)
{
	size_t low = 0, high = c->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->by_flow[mid]->flow_id < flow_id)
			low = mid + 1;
		else
			high = mid;
	}
	while (high < c->count && c->by_flow[high]->flow_id == flow_id)
		high++;
	*count = high - low;
	return &c->by_flow[low];
}

static const struct finding *
finding_of_flow(const struct cluster *c, uint64_t flow_id)
{
	size_t count;
	struct finding *const *list = cluster_of_flow(c, flow_id, &count);

	return count ? list[0] : NULL;
}

static struct port_view *
port_of(struct view *v, uint16_t port)
{
	for (size_t i = 0; i < v->ports; i++)
		if (v->port[i].port == port)
			return &v->port[i];
	if (v->ports == PORTS_MAX)
		return &v->port[PORTS_MAX - 1];
	v->port[v->ports].port = port;
	return &v->port[v->ports++];
}

/* When the server last did for this flow what it no longer does for the ill
 * ones. */
static struct instant
last_served(const struct outcome *o, enum want want)
{
	if (want == WANT_PROBE)
		return outcome_more(o)->probe_answered;
	if (want == WANT_ANSWER || instant_before(o->last_acked,
	    o->last_answered))
		return o->last_answered;
	return o->last_acked;
}

static struct instant
began_to_fail(const struct outcome *o, const struct finding *x)
{
	struct instant trouble = outcome_more(o)->trouble;

	return instant_is_set(trouble) ? trouble : x->first_seen;
}

static void
count_affected(struct view *v, const struct outcome *o, struct instant start,
    const struct finding *x)
{
	struct port_view *p = port_of(v, o->server_port);
	struct instant onset = began_to_fail(o, x);

	v->flows_affected++;
	p->affected++;
	if (instant_before(start, o->established) && !o->answered)
		p->fresh_dead++, v->fresh_dead++;
	if (o->stack == STACK_OFFLOADED || o->stack == STACK_MIXED)
		v->table.affected_offloaded++, v->table.flows_offloaded++;
	else if (o->stack == STACK_HOST)
		v->table.affected_host++, v->table.flows_host++;
	else
		v->affected_unknown++;
	if (instant_before(v->last_onset, onset))
		v->last_onset = onset;
}

static void
count_served(struct view *v, const struct outcome *o, struct instant served)
{
	struct port_view *p = port_of(v, o->server_port);

	v->served++;
	p->served++;
	if (o->stack == STACK_OFFLOADED && instant_before(outcome_offloaded_at(o), served))
		v->table.flows_offloaded++;
	else if (o->stack == STACK_HOST || o->stack == STACK_OFFLOADED)
		v->table.flows_host++;	/* served before the card took it over */
}

static void
note_answered(struct port_view *p, struct instant served)
{
	if (instant_before(p->answered, served))
		p->answered = served;
}

static bool
took_part(const struct outcome *o, const struct cluster *c)
{
	return !instant_before(o->last, c->start) &&
	    !instant_before(c->last, o->began);
}

static void
finish_table(struct offload_table *t, const struct server *s)
{
	uint32_t well_offloaded = t->flows_offloaded - t->affected_offloaded;
	uint32_t well_host = t->flows_host - t->affected_host;

	t->known = s->ids_split && t->flows_offloaded + t->flows_host;
	if (!t->known) {
		*t = (struct offload_table){ .p_value = 1, .odds_ratio = 1 };
		return;
	}
	t->odds_ratio = ((double)t->affected_offloaded + 0.5) *
	    ((double)well_host + 0.5) / (((double)well_offloaded + 0.5) *
	    ((double)t->affected_host + 0.5));
	t->p_value = fisher_one_sided(t->affected_offloaded, well_offloaded,
	    t->affected_host, well_host);
}

/* Is there anything that being served would disprove? */
static bool
wants_something(const struct cluster *c)
{
	return cluster_flows(c, FINDING_reply_missing, NULL) +
	    cluster_flows(c, FINDING_rpc_stall, NULL) +
	    cluster_flows(c, FINDING_flow_blackholed, NULL) +
	    cluster_flows(c, FINDING_keepalive_unanswered, NULL) > 0;
}

/* Whoever fell ill at the onset and began anew has got through, or given up, by
 * now: Windows gives a connect 21 s (SYN at 0, 3, 9 s; TcpMaxConnectRetransmissions)
 * and the request user_notices_s. */
#define SETTLES_NS (30 * NS_PER_S)

/* Flows of the stricken kind that asked and were served after the last one fell
 * ill: then it is over. */
static void
find_recovery(struct view *v, const struct cluster *c, const struct judge *j,
    enum want want)
{
	const struct server *s = c->server;
	bool offloaded = v->table.known && v->table.affected_offloaded >
	    v->table.affected_host;
	size_t n = 0;

	if (!wants_something(c))
		return;
	for (size_t i = 0; i < s->outcome_count; i++) {
		const struct outcome *o = s->outcome[i];
		struct instant served = last_served(o, want);
		bool same_kind = offloaded ? o->stack == STACK_OFFLOADED &&
		    instant_before(outcome_offloaded_at(o), o->last_asked) :
		    port_of(v, o->server_port)->affected > 0;

		if (!same_kind || !instant_before(v->last_onset, o->last_asked) ||
		    instant_before(served, o->last_asked))
			continue;
		n++;
		if (!instant_is_set(v->recovered) ||
		    instant_before(served, v->recovered))
			v->recovered = served;
	}
	if (n < 2 || instant_since(j->now, v->last_onset) < SETTLES_NS)
		v->recovered.ns = 0;
}

/* From when the trouble is sure: a request that may take long by this service's
 * habits began to be missed only after those, not when it was asked. */
static struct instant
onset_of(const struct judge *j, const struct cluster *c)
{
	struct instant onset = { 0 };

	for (size_t i = 0; i < c->count; i++) {
		const struct finding *x = c->finding[i];
		struct instant t = x->first_seen;

		for (unsigned k = 0; k < x->metric_count; k++)
			if (strcmp(x->metric[k].name, "patience_s") == 0 &&
			    x->metric[k].value > j->limit->user_notices_s)
				t = instant_plus(t, (int64_t)
				    ((x->metric[k].value -
				    j->limit->user_notices_s) * 1e9));
		if (!instant_is_set(onset) || instant_before(t, onset))
			onset = t;
	}
	return onset;
}

/* Who waits while requests are answered that came after his own is overtaken: his
 * port serves others, however long it may take with some. */
static void
count_unheard(struct view *v, const struct cluster *c)
{
	const struct server *s = c->server;

	for (size_t i = 0; i < s->outcome_count; i++) {
		const struct outcome *o = s->outcome[i];
		const struct finding *x = finding_of_flow(c, o->flow_id);
		struct port_view *p = x ? port_of(v, o->server_port) : NULL;

		if (p && !instant_before(began_to_fail(o, x), p->answered))
			p->unheard++;
	}
}

static void
look(const struct judge *j, const struct cluster *c, struct view *v)
{
	struct instant onset = onset_of(j, c);
	const struct server *s = c->server;
	enum want want = cluster_want(c);
	struct marks seen = { 0 }, hit = { 0 };

	memset(v, 0, sizeof(*v));
	for (size_t i = 0; i < s->outcome_count; i++) {
		const struct outcome *o = s->outcome[i];
		const struct finding *x = finding_of_flow(c, o->flow_id);
		struct instant served = last_served(o, want);

		if (!x && !took_part(o, c))
			continue;
		v->flows_seen++;
		mark_client(&seen, &o->client);
		if (x) {
			mark_client(&hit, &o->client);
			count_affected(v, o, onset, x);
			continue;
		}
		note_answered(port_of(v, o->server_port), served);
		if (o->doubtful)
			continue;
		/* a connection made since has no state from before to lose */
		if (instant_before(onset, served) && (want != WANT_STATE ||
		    instant_before(o->established, onset)))
			count_served(v, o, served);
		if (instant_before(onset, o->established) &&
		    instant_before(o->established, o->last_answered))
			port_of(v, o->server_port)->fresh_served++,
			    v->fresh_served++;
	}
	v->clients_seen = (uint32_t)seen.count;
	v->clients_affected = (uint32_t)hit.count;
	free(seen.address);
	free(hit.address);
	finish_table(&v->table, s);
	count_unheard(v, c);
	find_recovery(v, c, j, want);
}

/* --- from cluster to incident ------------------------------------------------------ */

/* Findings about the host as a whole need no second witness. */
static bool
speaks_for_the_host(enum finding_name name)
{
	switch (name) {
	case FINDING_server_silent: case FINDING_host_stack_dead:
	case FINDING_egress_dead: case FINDING_rss_bucket_stall:
	case FINDING_session_leak: case FINDING_dhcp_unanswered:
	case FINDING_logon_slow: case FINDING_nat_intermittent:
		return true;
	default:
		return false;
	}
}

/* What no sound stack sends, or no receiver takes, needs no second client. */
static bool
proves_itself(enum finding_name name)
{
	switch (name) {
	case FINDING_checksum_discarded: case FINDING_oversized_segment:
	case FINDING_burst_lost_whole: case FINDING_segments_reordered:
	case FINDING_sack_hole_unfilled: case FINDING_sequence_violation:
	case FINDING_option_violation: case FINDING_handover_violation:
	case FINDING_window_collapse:
		return true;
	default:
		return false;
	}
}

/* All that speaks may be calls that wait by design, the server answers more
 * connections than it leaves waiting, and it is not the offloaded ones that
 * wait: then nobody can tell yet. */
static bool
is_too_early(const struct judge *j, const struct cluster *c,
    const struct view *v)
{
	const struct offload_table *t = &v->table;

	for (size_t i = 0; i < c->count; i++)
		if (!c->finding[i]->may_be_parked)
			return false;
	if (t->known && t->p_value < j->limit->p_value &&
	    t->odds_ratio >= j->limit->odds_ratio)
		return false;
	return v->served > v->flows_affected;
}

/* A handful of one client's connections may fail for reasons of its own. */
static bool
is_incident(const struct judge *j, const struct cluster *c, const struct view *v)
{
	uint64_t counted = 0, flow = 0;
	uint32_t proofs = 0;

	if (is_too_early(j, c, v))
		return false;
	for (size_t i = 0; i < c->count; i++) {
		const struct finding *x = c->finding[i];

		if (speaks_for_the_host(x->name))
			return true;
		/* a service's finding carries its own witnesses in its count */
		if (!x->flow_id && x->name != FINDING_server_restart)
			counted += x->count;
		/* two of one flow are one witness */
		proofs += proves_itself(x->name) && x->flow_id != flow;
		flow = proves_itself(x->name) ? x->flow_id : flow;
	}
	return (double)(proofs > v->clients_affected ? proofs :
	    v->clients_affected) >= j->limit->witness_min ||
	    (double)counted >= j->limit->witness_min + 1;
}

static bool
still_open(const struct cluster *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (!c->finding[i]->ended)
			return true;
	return false;
}

/* Is one of the stricken connections still there, and still not served? */
static bool
still_ill(const struct cluster *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (instant_is_set(c->finding[i]->lasts_until))
			return true;
	return false;
}

/* A host that was down is up again: what could not be reached then can be. */
static bool
is_back(const struct cluster *c)
{
	bool down = false;

	for (size_t i = 0; i < c->count; i++) {
		const struct finding *x = c->finding[i];

		if (x->name == FINDING_server_restart)
			return true;
		if (x->name == FINDING_server_silent && !x->ended)
			return false;
		down |= x->name == FINDING_server_silent;
	}
	return down;
}

static void
set_end(const struct judge *j, const struct cluster *c, const struct view *v,
    struct incident *i)
{
	int64_t gap = (int64_t)(j->limit->incident_gap_s * 1e9);
	const struct finding *restart = cluster_first(c, FINDING_server_restart,
	    NULL);

	if (instant_is_set(v->recovered))
		i->end = v->recovered;
	else if (restart)		/* what was ill before is gone with it */
		i->end = restart->last_seen;
	else if (!still_open(c) || ((is_back(c) ||
	    instant_since(j->now, c->last) > gap) && !still_ill(c)))
		i->end = c->last;
}

/* --- numbers ------------------------------------------------------------------ */

/* Takes the incident out of the list: NULL if it is not there (any more). */
static struct incident *
take_by_id(struct incident **list, uint64_t id)
{
	while (*list && (*list)->id != id)
		list = &(*list)->next;
	if (*list) {
		struct incident *i = *list;

		*list = i->next;
		i->next = NULL;
		return i;
	}
	return NULL;
}

/* What one of the cluster's findings was part of when it was judged before:
 * the earliest one, which the caller gets. */
static struct incident *
judged_before(const struct cluster *c, struct incident **before)
{
	for (size_t i = 0; i < c->count; i++) {
		struct incident *was = c->finding[i]->incident_id ?
		    take_by_id(before, c->finding[i]->incident_id) : NULL;

		if (was)
			return was;
	}
	return NULL;
}

/* The program was away for a while: what was open then and is there again is no
 * news. */
#define AWAY_NS (600 * NS_PER_S)

static struct incident_past *
left_open(const struct cluster *c, struct incident_ids *ids)
{
	for (size_t i = 0; i < ids->past_count; i++) {
		struct incident_past *p = &ids->past[i];

		if (p->id && memcmp(&p->server, &c->server->address, sizeof(p->server)) == 0 &&
		    instant_since(c->start, p->last) < AWAY_NS &&
		    !instant_before(c->last, p->start))
			return p;
	}
	return NULL;
}

static void
set_number(struct incident *i, const struct cluster *c,
    struct incident **before, struct incident_ids *ids)
{
	struct incident *was = judged_before(c, before);
	struct incident_past *past = was ? NULL : left_open(c, ids);

	if (was) {
		i->id = was->id;
		i->carried = was->carried;
		free(was);
	} else if (past) {
		i->id = past->id;
		i->carried = past->start;
		past->id = 0;
	} else {
		i->id = ++ids->last;
	}
	if (instant_is_set(i->carried) && instant_before(i->carried, i->start))
		i->start = i->carried;
}

/* What the incident that one of the cluster's findings was part of has lost. */
static const struct incident_gone *
gone_before(const struct cluster *c, const struct incident *before)
{
	for (; before; before = before->next)
		for (size_t k = 0; instant_is_set(before->gone.start) &&
		    k < c->count; k++)
			if (c->finding[k]->incident_id == before->id)
				return &before->gone;
	return NULL;
}

static uint32_t
larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static void
add_gone(struct incident *i, const struct incident_gone *g)
{
	i->gone = *g;
	i->start = g->start;
	i->flows_affected += g->flows;
	i->flows_seen += g->flows;
	i->clients_affected = larger(i->clients_affected, g->clients_affected);
	i->clients_seen = larger(i->clients_seen, g->clients_seen);
	for (int n = 0; n < FINDING_COUNT; n++)
		i->finding_count[n] += g->finding_count[n];
}

static struct incident *
incident_make(struct round *r, const struct cluster *c, const struct view *v,
    const struct incident_gone *gone)
{
	struct incident *i = calloc(1, sizeof(*i));
	const struct judge *j = r->j;

	if (!i)
		return NULL;
	i->server = c->server;
	i->start = c->start;
	i->last = c->last;
	i->judged = j->now;
	i->clients_affected = v->clients_affected;
	i->clients_seen = v->clients_seen;
	i->flows_affected = v->flows_affected;
	i->flows_seen = v->flows_seen;
	i->offload = v->table;
	for (size_t k = 0; k < c->count; k++)
		i->finding_count[c->finding[k]->name] +=
		    (uint32_t)c->finding[k]->count;
	if (gone)
		add_gone(i, gone);
	set_end(j, c, v, i);
	verdict_weigh(r, c, v, i);
	return i;
}

static void
mark_findings(const struct cluster *c, uint64_t incident_id)
{
	for (size_t k = 0; k < c->count; k++) {
		struct finding *x = c->finding[k];

		x->changed |= x->incident_id != incident_id;
		x->incident_id = incident_id;
	}
}

static void
mark_lasting(const struct cluster *c, uint64_t flow_id, struct instant until)
{
	size_t count;
	struct finding *const *list = cluster_of_flow(c, flow_id, &count);

	for (size_t i = 0; i < count; i++)
		if (!list[i]->ended && is_condition(list[i]->name))
			list[i]->lasts_until = until;
}

/* Whose connection is still there, and still not served? */
static void
find_lasting(const struct judge *j, const struct server *s,
    struct finding **finding, size_t count, struct finding **index)
{
	struct cluster all = { .finding = finding, .count = count };

	for (size_t i = 0; i < count; i++)
		finding[i]->lasts_until.ns = 0;
	cluster_index(&all, index);
	for (size_t i = 0; i < s->outcome_count; i++) {
		const struct outcome *o = s->outcome[i];

		if ((o->end == FLOW_END_NONE || o->end == FLOW_END_CAPTURE) &&
		    o->established.ns && !outcome_more(o)->recovered.ns)
			mark_lasting(&all, o->flow_id, instant_before(o->last,
			    j->capture->resumed) ? o->last : j->now);
	}
}

struct neighbours_count
round_neighbours(struct round *r, const struct server *but, struct instant from,
    struct instant to, enum finding_name name)
{
	if (!r->neighbours)
		r->neighbours = neighbours_new(r->j->servers);
	if (!r->neighbours)
		return (struct neighbours_count){ 0 };
	return neighbours_between(r->neighbours, but, from, to, name);
}

/* --- all servers at once ------------------------------------------------------- */

static bool
is_earlier(const struct incident *a, const struct incident *b)
{
	return instant_before(a->start, b->start);
}

static bool
is_of_earlier_server(const struct incident *a, const struct incident *b)
{
	return a->server->number < b->server->number;
}

/* Neither goes before the other: that of `a`. */
static struct incident *
merge(struct incident *a, struct incident *b,
    bool (*goes_before)(const struct incident *, const struct incident *))
{
	struct incident *list = NULL, **end = &list;

	while (a && b) {
		struct incident **first = goes_before(b, a) ? &b : &a;

		*end = *first;
		end = &(*first)->next;
		*first = *end;
	}
	*end = a ? a : b;
	return list;
}

static struct incident *
sort(struct incident *list,
    bool (*goes_before)(const struct incident *, const struct incident *))
{
	struct incident *half = list, *end = list;

	if (!list || !list->next)
		return list;
	while (end->next && end->next->next) {
		half = half->next;
		end = end->next->next;
	}
	end = half->next;
	half->next = NULL;
	return merge(sort(list, goes_before), sort(end, goes_before),
	    goes_before);
}

/* The incidents of one server; `before`: those judged last time. */
static struct incident *
judge_server(struct round *r, struct server *s, struct incident **before)
{
	struct incident *made = NULL, **end = &made;
	size_t count, at = 0;
	struct finding **finding = findings_of(s, &count);
	struct finding **index = finding ? malloc(count * sizeof(*index)) : NULL;
	struct view v;

	if (index)
		find_lasting(r->j, s, finding, count, index);
	while (index && at < count) {
		struct cluster c = cluster_take(r->j, s, finding + at,
		    count - at);

		at += c.count;
		cluster_index(&c, index);
		look(r->j, &c, &v);
		if (is_incident(r->j, &c, &v))
			*end = incident_make(r, &c, &v, gone_before(&c,
			    *before));
		if (*end)
			set_number(*end, &c, before, r->ids);
		mark_findings(&c, *end ? (*end)->id : 0);
		if (*end)
			end = &(*end)->next;
	}
	free(index);
	free(finding);
	s->incidents = made = sort(made, is_earlier);
	for (struct incident *i = made; i; i = i->next)
		i->next_of_server = i->next;
	return made;
}

/* Where the list ends now. */
static struct incident **
end_of(struct incident **list)
{
	while (*list)
		list = &(*list)->next;
	return list;
}

struct incident *
incidents_judge(struct registry *registry, struct judge *j)
{
	struct incident *none = NULL;
	struct incident_ids ids = { 0 };
	struct incident *made = NULL, **end = &made;
	struct round r = { .j = j, .ids = &ids };

	for (struct server *s = registry_servers(registry); s; s = s->next) {
		*end = judge_server(&r, s, &none);
		end = end_of(end);
	}
	neighbours_free(&r.neighbours);
	return sort(made, is_earlier);
}

/* What is open may end, or be over, without a new finding. */
#define AGAIN_NS (10 * NS_PER_S)

static void
look_again(const struct judge *j, const struct incident *list)
{
	for (; list; list = list->next)
		if (!instant_is_set(list->end) &&
		    instant_since(j->now, list->judged) >= AGAIN_NS)
			list->server->findings_changed = true;
}

/* Out of the list: those of servers that are to be judged anew. */
static struct incident *
take_changed(struct incident **list)
{
	struct incident *taken = NULL, **end = &taken;

	while (*list) {
		struct incident *i = *list;

		if (!i->server->findings_changed) {
			list = &i->next;
			continue;
		}
		*list = i->next;
		*end = i;
		end = &i->next;
	}
	*end = NULL;
	return taken;
}

/* Out of the list, which is by server: those of this one. */
static struct incident *
take_of_server(struct incident **list, const struct server *s)
{
	struct incident *taken = *list, **end = list;

	while (*end && (*end)->server == s)
		end = &(*end)->next;
	if (end == list)
		return NULL;
	*list = *end;
	*end = NULL;
	return taken;
}

/* The one of its server's that has taken this one's place, or 0. */
static uint64_t
covering(const struct incident *list, const struct incident *i)
{
	for (; list; list = list->next)
		if (!instant_before(i->start, list->start) &&
		    !instant_before(list->last, i->start))
			return list->id;
	return 0;
}

void
incidents_update(struct incident **list, struct incident **gone,
    struct incident_ids *ids, struct registry *registry, struct judge *j)
{
	struct incident *made = NULL, **end = &made, *taken;
	struct incident **over = end_of(gone);
	struct round r = { .j = j, .ids = ids };

	look_again(j, *list);
	taken = sort(take_changed(list), is_of_earlier_server);
	for (struct server *s = registry_servers(registry); s; s = s->next) {
		struct incident *before;

		if (!s->findings_changed)
			continue;
		s->findings_changed = false;
		before = take_of_server(&taken, s);
		*end = judge_server(&r, s, &before);
		for (struct incident *i = before; i; i = i->next)
			i->merged_into = covering(*end, i);
		*over = before;
		over = end_of(over);
		end = end_of(end);
	}
	neighbours_free(&r.neighbours);
	*list = merge(*list, sort(made, is_earlier), is_earlier);
	*gone = sort(*gone, is_earlier);
}

void
incidents_free(struct incident **list)
{
	while (*list) {
		struct incident *i = *list;

		*list = i->next;
		free(i);
	}
}

/* --- what lasts for months ------------------------------------------------------ */

/* Of what is left of an incident, is the verdict the same, and does it last? */
static bool
stands_without(const struct judge *j, const struct incident *i,
    struct finding **rest, size_t count)
{
	struct finding **index = malloc(count * sizeof(*index));
	struct cluster c = cluster_take(j, i->server, rest, count);
	struct incident *again = NULL;
	struct round r = { .j = j };
	struct view v;
	bool same;

	if (index && c.count == count) {
		cluster_index(&c, index);
		look(j, &c, &v);
		again = is_incident(j, &c, &v) ? incident_make(&r, &c, &v,
		    NULL) : NULL;
	}
	same = again && again->verdict == i->verdict &&
	    !instant_is_set(again->end);
	neighbours_free(&r.neighbours);
	free(again);
	free(index);
	return same;
}

static bool
is_at_rest(const struct finding *x, struct instant before)
{
	return !x->changed && instant_before(x->raised, before) &&
	    instant_before(x->last_seen, before);
}

/* The oldest ones at rest: a connection that is heard of may yet be found ill
 * again. */
static size_t
mark_forgotten(const struct cluster *all, size_t surplus, struct instant before)
{
	const struct server *s = all->server;
	size_t marked = 0;

	for (size_t k = 0; k < all->count; k++)
		all->finding[k]->forgotten = is_at_rest(all->finding[k], before);
	for (size_t i = 0; i < s->outcome_count; i++) {
		struct finding *const *list;
		size_t n;

		if (instant_before(s->outcome[i]->last, before))
			continue;
		list = cluster_of_flow(all, s->outcome[i]->flow_id, &n);
		while (n)
			list[--n]->forgotten = false;
	}
	for (size_t k = 0; k < all->count; k++) {
		all->finding[k]->forgotten &= marked < surplus;
		marked += all->finding[k]->forgotten;
	}
	return marked;
}

/* The outcome of a connection of which no finding is left may go, too
 * (server_forget_outcomes). */
static void
note_gone(struct incident *i, const struct cluster *all)
{
	const struct server *s = i->server;
	struct incident_gone *g = &i->gone;

	g->start = i->start;
	g->clients_affected = i->clients_affected;
	g->clients_seen = i->clients_seen;
	for (size_t k = 0; k < all->count; k++)
		if (all->finding[k]->forgotten)
			g->finding_count[all->finding[k]->name] +=
			    (uint32_t)all->finding[k]->count;
	for (size_t k = 0; k < s->outcome_count; k++) {
		struct outcome *o = s->outcome[k];
		size_t n, gone = 0;
		struct finding *const *list = cluster_of_flow(all, o->flow_id,
		    &n);

		for (size_t f = 0; f < n; f++)
			gone += list[f]->forgotten;
		if (!n || gone < n)
			continue;
		o->is_history = true;
		g->flows++;
	}
}

static size_t
shorten(struct incident *i, const struct judge *j, struct cluster *all,
    struct finding **rest, size_t most, struct instant before)
{
	size_t marked = mark_forgotten(all, all->count - most, before), n = 0;

	for (size_t k = 0; k < all->count; k++)
		if (!all->finding[k]->forgotten)
			rest[n++] = all->finding[k];
	if (marked && n && stands_without(j, i, rest, n)) {
		note_gone(i, all);
		return marked;
	}
	for (size_t k = 0; k < all->count; k++)
		all->finding[k]->forgotten = false;
	return 0;
}

size_t
incident_shorten(struct incident *i, struct judge *j, size_t most,
    struct instant before)
{
	size_t count, n = 0, gone = 0;
	struct finding **list = findings_of(i->server, &count);
	struct finding **index = list ? calloc(2 * count, sizeof(*index)) :
	    NULL;
	struct cluster all = { .server = i->server, .finding = list };

	for (size_t k = 0; index && k < count; k++)
		if (list[k]->incident_id == i->id)
			list[n++] = list[k];
	all.count = n;
	if (n > most) {
		cluster_index(&all, index);
		gone = shorten(i, j, &all, index + count, most, before);
	}
	free(index);
	free(list);
	return gone;
}
