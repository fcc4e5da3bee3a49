/* registry_servers.c - the servers, their services and the outcomes of their
 * connections, brought up to date in each step.
 *
 * Before anybody judges, all that the packets of a step changed is written down
 * here. The hard part is what anybody may make much of: servers, connections and
 * answers have limits, and what they cost is counted. */
#include <stdlib.h>
#include <string.h>

#include "capture/hash.h"
#include "detectors/registry_internal.h"
#include "detectors/server_internal.h"
#include "detectors/timeline.h"

enum { SERVERS_MAX = 4096 };		/* and those configured */

static void
server_configure(struct server *s, const struct config_server *c)
{
	if (!c)
		return;
	s->configured = true;
	s->system = c->system;
	memcpy(s->name, c->name, sizeof(s->name));
	s->name[sizeof(s->name) - 1] = '\0';
}

void
registry_reconfigure(struct registry *r)
{
	for (struct server *s = r->servers; s; s = s->next) {
		s->configured = false;
		s->system = NULL;
		s->name[0] = '\0';
		server_configure(s, config_server_of(r->config, &s->address));
		server_stir(s);
	}
}

static struct server **
server_bucket(struct registry *r, const struct address *a)
{
	return &r->server_bucket[address_hash(a, r->server_key) % SERVER_BUCKETS];
}

/* So that there is nothing left to fail in a step. */
static bool
busy_has_room(struct registry *r)
{
	size_t more = r->server_slots ? r->server_slots * 2 : 64;
	struct server **grown;

	if (r->server_count < r->server_slots)
		return true;
	grown = realloc(r->busy, more * sizeof(*grown));
	if (!grown)
		return false;
	r->busy = grown;
	r->server_slots = more;
	return true;
}

static struct server *
server_make(struct registry *r, const struct address *a)
{
	const struct config_server *c = config_server_of(r->config, a);
	struct server **bucket = server_bucket(r, a), *s;

	if (r->server_count >= SERVERS_MAX && !c) {
		r->servers_refused++;
		return NULL;
	}
	s = busy_has_room(r) ? slab_take(&r->server_slab) : NULL;
	if (!s)
		return NULL;
	s->number = r->server_numbers++;
	s->heard = r->now;
	s->address = *a;
	s->budget = &r->budget;
	s->vendor = "";
	s->ids_why = "";
	server_configure(s, c);
	s->hash_next = *bucket;
	*bucket = s;
	*r->servers_end = s;
	r->servers_end = &s->next;
	r->server_count++;
	r->hostless++;
	if (!r->unjudged)
		r->unjudged = s;
	return s;
}

/* Server and host know each other; the host may have come later, where there was
 * no room for it. */
static struct server *
server_meet(struct registry *r, struct server *s, struct host *h)
{
	if (s && h && !s->host) {
		s->host = h;
		h->server = s;
		r->hostless--;
	}
	return s;
}

struct server *
registry_server(struct registry *r, const struct address *a, bool make)
{
	struct server *s = *server_bucket(r, a);
	struct engine *e = r->judge.engine;

	while (s && memcmp(&s->address, a, sizeof(*a)) != 0)
		s = s->hash_next;
	if (s || !make)
		return s;
	s = server_make(r, a);
	return server_meet(r, s, s && e ? host_of(engine_hosts(e), a, true) : NULL);
}

static bool
is_served_datagram(const struct flow *f)
{
	switch (f->app) {
	case APP_DNS: case APP_KERBEROS: case APP_LDAP: case APP_NTP:
		return f->half[SERVER].packets > 0;
	default:
		return false;
	}
}

/* A host that knows of no server: is there one all the same, or room for one? */
static bool
may_be_server(const struct registry *r)
{
	return r->hostless || r->server_count < SERVERS_MAX;
}

/* The server of a flow: made when it accepted, or is known to serve. */
static struct server *
server_of_flow(struct registry *r, struct flow *f)
{
	struct host *h = f->host[SERVER];
	bool serves = f->protocol == IP_TCP ?
	    f->half[SERVER].flags & HALF_SEEN && f->state != FLOW_NEW :
	    is_served_datagram(f);
	bool configured;

	if (h && h->server)
		return h->server;
	configured = h && config_server_of(r->config, &h->address);
	if (!serves && !configured)
		return NULL;
	if (h && !configured && !may_be_server(r)) {
		r->servers_refused++;
		return NULL;
	}
	return server_meet(r, registry_server(r, &f->addr[SERVER], true), h);
}

/* Among the others in its place: those heard of are few as a rule. */
static void
make_busy(struct registry *r, struct server *s)
{
	size_t at = r->busy_count;

	if (s->busy)
		return;
	s->busy = true;
	for (; at && r->busy[at - 1]->number > s->number; at--)
		r->busy[at] = r->busy[at - 1];
	r->busy[at] = s;
	r->busy_count++;
}

static void
server_heard(struct server *s, const struct host *h, struct instant now)
{
	const struct host_counts *c = &h->step;

	s->heard = now;
	server_stir(s);
	if (!instant_is_set(s->first))
		s->first = c->packets_out ? c->first_out : c->first_in;
	if (c->packets_out)
		s->last = c->last_out;
	if (h->has_mac) {
		memcpy(s->mac, h->mac, sizeof(s->mac));
		s->has_mac = true;
	}
}

static void
close_second(struct registry *r, struct host *h, struct instant since)
{
	struct server *s = h->server;

	if (!s && config_server_of(r->config, &h->address))
		s = server_meet(r, registry_server(r, &h->address, true), h);
	if (s) {
		server_close_second(s, &h->step, since);
		server_heard(s, h, r->now);
		make_busy(r, s);
	}
}

static struct outcome *
outcome_make(struct registry *r, struct server *s, struct flow *f,
    struct instant since)
{
	struct outcome *o = server_new_outcome(s);

	if (!o) {
		s->outcomes_refused++;
		return NULL;
	}
	r->crowded |= s->outcome_count > SERVER_OUTCOMES / 4 * 3;
	o->flow_id = f->id;
	o->client = f->addr[CLIENT];
	o->client_port = f->port[CLIENT];
	o->server_port = f->port[SERVER];
	o->began = f->began;
	/* an older one may have been reviewed without an outcome */
	o->raised = instant_before(f->began, since) ? UINT32_MAX : 0;
	s->flows++;
	f->outcome = o;
	return o;
}

/* Room for the connections to come, before the old ones' places run out. */
static void
forget_outcomes(struct registry *r)
{
	bool tight = r->budget.refused != r->refused_before;

	r->refused_before = r->budget.refused;
	if (!tight && !r->crowded)
		return;
	r->crowded = false;
	for (struct server *s = r->servers; s; s = s->next)
		if (s->outcome_count > SERVER_OUTCOMES / 4 * 3 ||
		    (tight && s->outcome_count > SERVER_OUTCOMES / 64)) {
			server_forget_outcomes(s);
			server_stir(s);
		}
	for (struct server *s = r->servers; s; s = s->next)
		r->crowded |= s->outcome_count > SERVER_OUTCOMES / 4 * 3;
}

static void
service_first_words(struct service *v, const struct flow *f, struct outcome *o)
{
	bool data = (f->half[CLIENT].flags | f->half[SERVER].flags) & HALF_DATA;

	if (!o->spoke && data && f->flags & FLOW_HANDSHAKE) {
		o->spoke = true;
		if (f->flags & FLOW_SERVER_FIRST)
			v->server_first++;
		else
			v->client_first++;
	}
	if (!o->first_asked && f->half[CLIENT].flags & HALF_DATA) {
		o->first_asked = true;
		v->first_asked++;
	}
	if (!o->first_answered && f->turns) {
		o->first_answered = true;
		v->first_answered++;
	}
}

static void
outcome_stack(struct server *s, struct outcome *o, enum stack stack)
{
	if ((enum stack)o->stack == stack)
		return;
	if (s->flows_by_stack[o->stack])
		s->flows_by_stack[o->stack]--;
	s->flows_by_stack[stack]++;
	o->stack = stack & 3;
}

static void
note_offloaded(struct outcome *o, const struct flow *f)
{
	const struct note *flip = flow_note_find(f, NOTE_ID_FLIP, 0, SERVER);
	struct outcome_more *more;

	if (!f->half[SERVER].ids_high ||
	    instant_is_set(outcome_offloaded_at(o)))
		return;
	more = flip ? outcome_have_more(o) : NULL;
	if (more)
		more->offloaded_at = flip->first;
	else
		o->offloaded_early = true;
}

static void
note_probes(struct outcome *o, const struct flow *f)
{
	const struct note *probes = flow_note_find(f, NOTE_KEEP_ALIVE, 0, CLIENT);
	struct outcome_more *more = probes && probes->value[0] ?
	    outcome_have_more(o) : NULL;

	if (more)
		more->probe_answered.ns = (int64_t)probes->value[0];
}

/* Nothing was sent on it up to this step, and now both sides speak. (It may have
 * been up to a second more.) */
static void
note_silence(struct outcome *o, const struct flow *f, struct instant since)
{
	int64_t silent = instant_since(since, o->last) / NS_PER_S;

	if (silent > o->silent_s && instant_is_set(o->last) &&
	    !(f->half[SERVER].flags & HALF_RST) &&
	    !instant_before(f->half[CLIENT].last, since) &&
	    !instant_before(f->half[SERVER].last, since))
		o->silent_s = silent < UINT16_MAX ? (uint16_t)silent : UINT16_MAX;
}

static void
outcome_update(struct registry *r, struct server *s, struct flow *f,
    struct instant since)
{
	const struct tcp_half *v = &f->half[SERVER];
	struct outcome *o = f->outcome;
	struct service *service;
	struct instant served;

	if (!o && (f->state == FLOW_NEW || !(o = outcome_make(r, s, f,
	    since))))
		return;
	s->bytes += f->half[CLIENT].bytes + v->bytes - o->bytes;
	o->bytes = f->half[CLIENT].bytes + v->bytes;
	o->app = f->app;
	o->established = f->established;
	note_silence(o, f, since);
	o->last = f->last;
	o->last_asked = f->last_asked;
	o->last_answered = f->last_answered;
	o->last_acked = v->last_advance;
	o->answered = f->turns > 0;
	note_probes(o, f);
	note_offloaded(o, f);
	outcome_stack(s, o, server_flow_stack(s, f));
	served = instant_before(o->last_answered, o->last_acked) ?
	    o->last_acked : o->last_answered;
	if (instant_is_set(served))
		server_note_served(s, o->flow_id, served);
	if (o->more && instant_is_set(o->more->trouble) &&
	    !instant_is_set(o->more->recovered) &&
	    instant_before(o->more->trouble, f->last_answered))
		o->more->recovered = f->last_answered;
	if (f->flags & FLOW_ENDED)
		o->end = f->end;
	if (!o->service)
		o->service = server_service_number(s, f->protocol,
		    f->port[SERVER], true);
	if (!o->service)
		return;
	service = s->place[o->service - 1].service;
	if (f->app)
		service->app = f->app;
	if (!instant_is_set(service->first_seen))
		service->first_seen = f->began;
	if (instant_before(service->last_answered, f->last_answered))
		service->last_answered = f->last_answered;
	service_first_words(service, f, o);
}

/* A push datagram is small (the client's opaque blob, 8 bytes as a rule). */
enum { PUSH_BYTES_MAX = 64 };

/* Unasked, unanswered, again: its sender plays "client" of the datagram flow. */
static void
push_update(struct flow *f)
{
	const struct tcp_half *from = &f->half[CLIENT];
	struct host *h = f->host[CLIENT];

	if (f->protocol != IP_UDP || !h || !h->server || from->packets < 2 ||
	    f->half[SERVER].packets || !f->host[SERVER] ||
	    from->bytes > (uint64_t)PUSH_BYTES_MAX * from->packets)
		return;
	server_note_push(h->server, &f->addr[SERVER], f->began, from->last,
	    from->packets, f->first_frame);
}

/* In the step in hand, which began at `since`: was its client answered, or heard? */
static bool
was_served(const struct flow *f, struct instant since)
{
	return !instant_before(f->last_answered, since);
}

static bool
was_heard(const struct flow *f, struct instant since)
{
	return !instant_before(f->half[CLIENT].last, since);
}

static void
flow_update(struct registry *r, struct flow *f, struct instant since)
{
	struct server *s = server_of_flow(r, f);
	struct service *v;
	struct second *x;

	push_update(f);
	if (!s)
		return;
	server_stir(s);
	if (f->protocol == IP_TCP) {
		outcome_update(r, s, f, since);
		if (was_served(f, since))
			timeline_served(s, &f->addr[CLIENT], &f->row_at,
			    r->now, r->live);
	} else if ((v = server_service(s, f->protocol, f->port[SERVER], true))) {
		v->app = f->app;
		if (instant_before(v->last_answered, f->last_answered))
			v->last_answered = f->last_answered;
	}
	if (!was_heard(f, since))
		return;
	if (!server_client_heard(s, &f->addr[CLIENT], &f->client_at, since,
	    f->state != FLOW_NEW) || !s->second_count)
		return;
	x = &s->seconds[(s->second_count - 1) % s->second_slots];
	if (x->peers_in < UINT16_MAX)
		x->peers_in++;
}

static void
answer_count(struct registry *r, const struct answer *a)
{
	const struct flow *f = a->flow;
	struct server *s = server_at_hand(f);
	struct service *v = s ? server_service_of(s, f, true) : NULL;
	bool slow = (double)a->took_ns > r->judge.limit->user_notices_s * 1e9;

	if (!v || (a->turn && f->app_flags & FLOW_APP_PARSED))
		return;
	v->asked++;
	v->answered++;
	if (!a->parked)
		timeline_took(s, a->took_ns, r->now);
	latency_add(a->parked || slow ? &v->parked : &v->took, a->took_ns);
}

/* What a step asks for lies anywhere, and one thing says where the next one is. So
 * each is asked for some places before its turn, and after what leads to it. */
enum { FIRST = 10, SECOND = 8, THIRD = 6, FOURTH = 4, FIFTH = 2 };

static void
fetch_flows(struct flow *const *flows, size_t left, struct instant since)
{
	const struct server *s;
	const struct flow *f;

	if (left > FIRST)
		flow_fetch(flows[FIRST]);
	if (left > SECOND) {
		fetch_bytes(flows[SECOND]->outcome, sizeof(struct outcome));
		fetch_first(flows[SECOND]->host[SERVER]);
		fetch_first(flows[SECOND]->notes);
	}
	if (left > THIRD && (s = server_at_hand(flows[THIRD])))
		server_fetch(s);
	if (left > FOURTH && (s = server_at_hand(f = flows[FOURTH]))) {
		server_flow_fetch(s, f);
		if (was_served(f, since))
			timeline_fetch(s, &f->addr[CLIENT], f->row_at, false);
	}
	if (left > FIFTH && (s = server_at_hand(f = flows[FIFTH]))) {
		server_client_fetch(s, f, was_heard(f, since));
		if (was_served(f, since))
			timeline_fetch(s, &f->addr[CLIENT], f->row_at, true);
	}
}

/* Most of them are clients, of which nothing more is asked: one is soon done. */
static void
fetch_hosts(struct host *const *hosts, size_t left)
{
	if (left > 2 * FIRST)
		host_fetch(hosts[2 * FIRST], false);
	if (left > THIRD && hosts[THIRD]->server) {
		host_fetch(hosts[THIRD], true);
		server_fetch(hosts[THIRD]->server);
	}
	if (left > FOURTH && hosts[FOURTH]->server)
		server_second_fetch(hosts[FOURTH]->server);
}

static void
fetch_answers(const struct answer *answers, size_t left)
{
	if (left > FIRST) {
		fetch_line(&answers[FIRST].flow->host[SERVER]);
		fetch_line(&answers[FIRST].flow->outcome);
	}
	if (left > FOURTH)
		fetch_bytes(answers[FOURTH].flow->outcome,
		    sizeof(struct outcome));
}

/* For so many flows of this step; without memory the rest goes unreviewed. */
static size_t
due_room(struct registry *r, size_t count)
{
	size_t more = r->due_slots ? r->due_slots : 1024;
	uint64_t *grown;

	while (more < count)
		more *= 2;
	if (more == r->due_slots)
		return count;
	grown = realloc(r->due, more * sizeof(*grown));
	if (!grown)
		return count < r->due_slots ? count : r->due_slots;
	r->due = grown;
	r->due_slots = more;
	return count;
}

void
registry_update_servers(struct registry *r, struct engine *e, struct instant since)
{
	size_t count, host_count;
	struct flow *const *flows = engine_touched_flows(e, &count);
	struct host *const *hosts = engine_touched_hosts(e, &host_count);

	forget_outcomes(r);
	for (size_t i = 0; i < host_count; i++) {
		fetch_hosts(hosts + i, host_count - i);
		close_second(r, hosts[i], since);
	}
	r->due_count = due_room(r, count);
	for (size_t i = 0; i < count; i++) {
		fetch_flows(flows + i, count - i, since);
		flow_update(r, flows[i], since);
		if (i < r->due_count)
			r->due[i] = registry_concerned(r, flows[i]);
	}
	for (struct server *s = r->unjudged; s; s = s->next)
		server_judge_ids(s);
	r->unjudged = NULL;
	for (size_t i = 0; i < host_count; i++)
		if (hosts[i]->server)
			server_judge_ids(hosts[i]->server);
	for (size_t i = 0; i < r->answer_count; i++) {
		fetch_answers(r->answers + i, r->answer_count - i);
		answer_count(r, &r->answers[i]);
	}
	r->answer_count = 0;
}

/* --- those that are gone ---------------------------------------------------------------- */

bool
registry_has_many_servers(const struct registry *r)
{
	return r->server_count > SERVERS_MAX / 2 ||
	    r->budget.bytes > r->budget.limit / 2;
}

/* Nobody heard of it, and nothing that lives points to it: a connection that ends
 * in this very step is still counted by its host. */
static bool
is_gone(const struct server *s, struct instant before)
{
	if (s->configured || s->busy || s->findings ||
	    !instant_before(s->heard, before) || (s->host ? s->host->flows :
	    s->outcome_count))
		return false;
	for (size_t i = 0; i < s->outcome_count; i++)
		if (s->outcome[i]->end == FLOW_END_NONE ||
		    !instant_before(s->outcome[i]->last, before))
			return false;
	return true;
}

static void
server_part(struct registry *r, struct server *s)
{
	struct server **at = server_bucket(r, &s->address);

	while (*at != s)
		at = &(*at)->hash_next;
	*at = s->hash_next;
	r->hostless -= !s->host;
	if (s->host) {
		s->host->server = NULL;
		host_let_go(engine_hosts(r->judge.engine), s->host);
	}
	r->server_count--;
	registry_release_states(s);
	server_release(s);
	slab_give(&r->server_slab, s);
}

void
registry_forget_servers(struct registry *r, struct instant before,
    bool (*is_needed)(void *context, const struct server *), void *context)
{
	struct server **at = &r->servers;

	while (*at) {
		struct server *s = *at;

		if (!is_gone(s, before) || is_needed(context, s)) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		server_part(r, s);
	}
	r->servers_end = at;
	r->judge.servers = r->servers;
}

void
registry_forget_before_break(struct registry *r)
{
	struct instant resumed = r->judge.capture->resumed;

	if (resumed.ns == r->resumed.ns)
		return;
	r->resumed = resumed;
	for (struct server *s = r->servers; s; s = s->next)
		if (instant_before(s->last_sent, resumed)) {
			s->last_sent.ns = 0;
			server_stir(s);
		}
}
