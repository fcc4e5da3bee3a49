/* registry.c - the one table of detectors, and the run of all of them.
 *
 * In the packet phase it passes segments and events on to the detectors that
 * want them, and gathers answers. In the step phase it brings servers, services
 * and outcomes up to date first, and only then lets the detectors review, so
 * that each of them sees the same state whatever their order. */
#include "detectors/registry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture/hash.h"
#include "capture/stream.h"
#include "detectors/server_internal.h"
#include "detectors/timeline.h"
#include "detectors/wire.h"

/* The order here is the order on the page and in reports. */
#define DETECTORS(X)							\
	X(keepalive_unanswered)	X(orphaned_session)	X(flow_blackholed) \
	X(reply_missing)	X(rpc_stall)		X(rpc_fragment_stuck) \
	X(connect_failure)	X(server_silent)	X(egress_dead)	\
	X(host_stack_dead)	X(server_restart)	X(session_leak)	\
	X(offload_active)	X(rss_bucket_stall)			\
	X(checksum_artifact)	X(checksum_discarded)	X(checksum_unresolved) \
	X(oversized_segment)	X(zero_window_stall)	X(window_collapse) \
	X(sequence_violation)	X(option_violation)	X(handover_violation) \
	X(sack_hole_unfilled)	X(burst_lost_whole)	X(segments_reordered) \
	X(throughput_collapse)						\
	X(merged_forwarding)	X(stale_neighbor)			\
	X(dhcp_unanswered)	X(vpn_data_dead)	X(ftp_data_failure) \
	X(logon_slow)		X(nat_intermittent)			\
	X(capture_duplicates)	X(capture_loss)		X(capture_one_way)

#define DECLARE(name) extern const struct detector detector_##name;
DETECTORS(DECLARE)

static const struct detector *const detectors[] = {
#define ENTRY(name) &detector_##name,
	DETECTORS(ENTRY)
};

enum {
	DETECTOR_COUNT = sizeof(detectors) / sizeof(detectors[0]),
	FINDING_BUCKETS = 32768,
	FINDINGS_PER_NAME = 10000,	/* and server */
	FINDINGS_MAX = 100000,		/* in all: 180 MiB */
	SERVERS_MAX = 4096,		/* and those configured */
	SERVER_BUCKETS = 4096,
	ANSWERS_MAX = 1 << 20,		/* in one step */
	ETHERNET_MSS = 1460,
	FETCH_AHEAD = 8,		/* flows of a step, from memory */
};

_Static_assert(DETECTOR_COUNT <= 64, "on_segment: sets of 64");

/* What the servers may hold together. */
#define SERVERS_BYTES ((size_t)512 << 20)

/* Frames seen and dropped until then. */
struct tally {
	struct instant at;
	uint64_t packets, dropped, unsound;
};

/* An answered wait, kept until the step. */
struct answer {
	const struct flow *flow;
	int64_t took_ns;
	bool turn, parked;
};

/* The detectors that have a callback, in the order of the table, with what it
 * asks for beside its address: most calls need not be made. */
struct on_segment {
	void *state;
	void (*call)(void *, struct flow_pool *, struct flow *,
	    const struct segment *);
};

struct review_flow {
	uint32_t matters, mark;
	const size_t *awake;		/* NULL: always */
	void *state;
	void (*call)(void *, struct judge *, struct server *, struct flow *);
};

struct review_server {
	void *state;
	void (*call)(void *, struct judge *, struct server *);
};

struct on_app {
	void *state;
	void (*call)(void *, const struct app_event *);
};

struct registry {
	const struct config *config;
	void *state[DETECTOR_COUNT];
	size_t on_segments, on_apps, review_flows, review_servers;
	struct on_segment on_segment[DETECTOR_COUNT];
	/* those that a fact, an oddity or a mark concerns, as a set of 1 <<
	 * their place in on_segment */
	uint64_t of_each, of_fact[32], of_odd[32], of_mark[16];
	struct on_app on_app[DETECTOR_COUNT];
	struct review_flow review_flow[DETECTOR_COUNT];
	struct review_server review_server[DETECTOR_COUNT];
	struct judge judge;
	struct server *servers, **servers_end;
	size_t server_count, server_slots;
	struct server **busy;		/* in their order, with the slots */
	size_t busy_count;
	struct server *unjudged;	/* the first made since the last step */
	bool crowded;			/* a server has many outcomes */
	uint64_t servers_refused;
	struct server *server_bucket[SERVER_BUCKETS];
	uint64_t server_key;		/* so that collisions cannot be planned */
	struct server_budget budget;
	struct instant resumed;		/* after the last break that was seen */
	struct tally minute[2];		/* at the last full minute, and before */
	uint64_t refused_before;	/* budget.refused at the last step */
	struct finding *findings, **findings_end;
	struct finding *bucket[FINDING_BUCKETS];
	struct finding scrap;
	uint64_t next_finding, findings_refused, answers_refused;
	size_t finding_count;		/* that are held */
	struct answer *answers;
	size_t answer_count, answer_slots;
	struct instant now;
	bool finishing;
	bool live;			/* a run without an end */
};

const struct detector *
registry_find(enum finding_name name)
{
	for (size_t i = 0; i < DETECTOR_COUNT; i++)
		if (detectors[i]->finding == name)
			return detectors[i];
	return NULL;
}

/* Where nothing is asked for, everything is. */
static uint32_t
or_all(uint32_t wanted, bool any)
{
	return any ? wanted : UINT32_MAX;
}

static void
put_in_sets(uint64_t *set, unsigned bits, uint64_t member)
{
	for (; bits; bits &= bits - 1)
		set[__builtin_ctz(bits)] |= member;
}

static void
list_on_segment(struct registry *r, const struct detector *d, void *state)
{
	uint64_t member = UINT64_C(1) << r->on_segments;

	r->on_segment[r->on_segments++] = (struct on_segment){ state,
		d->on_segment };
	if (!(d->facts | d->odd | d->mark))
		r->of_each |= member;
	put_in_sets(r->of_fact, d->facts, member);
	put_in_sets(r->of_odd, d->odd, member);
	put_in_sets(r->of_mark, d->mark, member);
}

static void
list_callbacks(struct registry *r)
{
	for (size_t i = 0; i < DETECTOR_COUNT; i++) {
		const struct detector *d = detectors[i];

		if (d->on_segment)
			list_on_segment(r, d, r->state[i]);
		if (d->on_app)
			r->on_app[r->on_apps++] = (struct on_app){ r->state[i],
			    d->on_app };
		if (d->review_flow)
			r->review_flow[r->review_flows++] = (struct review_flow){
			    or_all(d->matters, d->matters | d->mark), d->mark,
			    d->awake ? d->awake(r->state[i]) : NULL,
			    r->state[i], d->review_flow };
		if (d->review_server)
			r->review_server[r->review_servers++] =
			    (struct review_server){ r->state[i],
			    d->review_server };
	}
}

struct registry *
registry_new(const struct config *config)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->config = config;
	r->budget.limit = SERVERS_BYTES;
	r->server_key = hash_key();
	r->servers_end = &r->servers;
	r->findings_end = &r->findings;
	r->judge = (struct judge){ .config = config, .limit = &config->limit,
		.registry = r };
	for (size_t i = 0; i < DETECTOR_COUNT; i++) {
		if (!detectors[i]->new)
			continue;
		r->state[i] = detectors[i]->new();
		if (!r->state[i]) {
			registry_free(&r);
			return NULL;
		}
	}
	list_callbacks(r);
	return r;
}

static void
release_server_states(struct server *s)
{
	for (size_t i = 0; i < DETECTOR_COUNT; i++) {
		void **state = &s->detector_state[detectors[i]->finding];

		if (*state && detectors[i]->release)
			detectors[i]->release(*state);
		*state = NULL;
	}
}

void
registry_free(struct registry **rp)
{
	struct registry *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	for (size_t i = 0; i < DETECTOR_COUNT; i++)
		if (r->state[i] && detectors[i]->free)
			detectors[i]->free(r->state[i]);
	while (r->servers) {
		struct server *s = r->servers;

		r->servers = s->next;
		release_server_states(s);
		server_free(&s);
	}
	while (r->findings) {
		struct finding *f = r->findings;

		r->findings = f->next;
		free(f);
	}
	free(r->answers);
	free(r->busy);
	free(r);
}

struct finding *
registry_findings(struct registry *r)
{
	return r->findings;
}

struct server *
registry_servers(struct registry *r)
{
	return r->servers;
}

void
registry_live(struct registry *r)
{
	r->live = true;
}

void
registry_number_from(struct registry *r, uint64_t last_finding)
{
	r->next_finding = last_finding;
}

struct judge *
registry_judge(struct registry *r)
{
	return &r->judge;
}

/* --- the packet phase --------------------------------------------------------- */

static void
answer_remember(struct registry *r, const struct answer *a)
{
	if (r->answer_count == ANSWERS_MAX) {
		r->answers_refused++;
		return;
	}
	if (r->answer_count == r->answer_slots) {
		size_t more = r->answer_slots ? r->answer_slots * 2 : 1024;
		struct answer *grown = realloc(r->answers,
		    more * sizeof(*grown));

		if (!grown)
			return;
		r->answers = grown;
		r->answer_slots = more;
	}
	r->answers[r->answer_count++] = *a;
}

static uint32_t
facts_of(const struct flow *f, const struct segment *seg)
{
	const struct packet *p = seg->packet;
	uint32_t facts = seg->facts;

	if (p->payload_bytes) {
		facts |= CUE_PAYLOAD;
		if (seg->flight > p->payload_bytes)
			facts |= CUE_FLYING;
		if (f->half[seg->side].bytes >= BULK_BYTES)
			facts |= CUE_BULK;
	}
	if (p->options.sack_count)
		facts |= CUE_SACKS;
	if (p->checksum != CHECKSUM_GOOD || p->ip_checksum_bad ||
	    p->outer_udp != CHECKSUM_UNVERIFIABLE)
		facts |= CUE_BAD_SUM;
	if (f->notes)
		facts |= CUE_NOTES;
	return facts;
}

static uint32_t
odd_of(const struct flow *f, const struct segment *seg)
{
	const struct tcp_half *client = &f->half[CLIENT];
	const struct packet *p = seg->packet;
	uint32_t mss = f->half[other_side(seg->side)].mss, odd = 0;

	if (seg->window != seg->window_before)
		odd |= ODD_WINDOW;
	if (wire_flips(seg))
		odd |= ODD_FLIP;
	if (client->flags & f->half[SERVER].flags & HALF_TS)
		odd |= ODD_STAMPS;
	if (p->payload_bytes > (mss ? mss : ETHERNET_MSS))
		odd |= ODD_SIZE;
	if (seg->side == SERVER && p->has_mac &&
	    memcmp(p->dst_mac, client->mac, sizeof(client->mac)) != 0)
		odd |= ODD_HOP;
	if (client->flags & HALF_FIN_ACKED)
		odd |= ODD_CLOSED;
	return odd;
}

static uint64_t
sets_of(const uint64_t *set, uint32_t bits)
{
	uint64_t all = 0;

	for (; bits; bits &= bits - 1)
		all |= set[__builtin_ctz(bits)];
	return all;
}

static void
on_segment(void *context, struct flow *f, const struct segment *seg)
{
	struct registry *r = context;
	uint64_t concerned = r->of_each | sets_of(r->of_fact, facts_of(f, seg)) |
	    sets_of(r->of_odd, odd_of(f, seg)) | sets_of(r->of_mark, f->marks);

	if (seg->answered_ns)
		answer_remember(r, &(struct answer){ .flow = f,
		    .took_ns = seg->answered_ns, .turn = true });
	for (; concerned; concerned &= concerned - 1) {
		const struct on_segment *d =
		    &r->on_segment[__builtin_ctzll(concerned)];

		d->call(d->state, engine_pool(r->judge.engine), f, seg);
	}
}

static void
on_packet(void *context, const struct packet *p)
{
	struct registry *r = context;

	if (packet_is_tcp(p))
		return;
	for (size_t i = 0; i < DETECTOR_COUNT; i++)
		if (detectors[i]->on_packet)
			detectors[i]->on_packet(r->state[i], p);
}

static void
on_app(void *context, const struct app_event *e)
{
	struct registry *r = context;

	if (e->flow && e->type == APP_REQUEST)
		e->flow->flags |= FLOW_PARSED;
	if (e->flow && e->type == APP_RESPONSE)
		answer_remember(r, &(struct answer){ .flow = e->flow,
		    .took_ns = e->took_ns,
		    .parked = e->exchange_flags & EXCHANGE_PARKS });
	for (size_t i = 0; i < r->on_apps; i++)
		r->on_app[i].call(r->on_app[i].state, e);
}

/* --- the step phase: servers, services, outcomes ------------------------------- */

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
	s = busy_has_room(r) ? calloc(1, sizeof(*s)) : NULL;
	if (!s)
		return NULL;
	s->number = r->server_count;
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
	if (!r->unjudged)
		r->unjudged = s;
	return s;
}

/* Server and host know each other; the host may have come later, where there was
 * no room for it. */
static struct server *
server_meet(struct server *s, struct host *h)
{
	if (s && h && !s->host) {
		s->host = h;
		h->server = s;
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
	return server_meet(s, s && e ? host_of(engine_hosts(e), a, true) : NULL);
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

/* The server of a flow: made when it accepted, or is known to serve. */
static struct server *
server_of_flow(struct registry *r, struct flow *f)
{
	struct host *h = f->host[SERVER];
	bool serves = f->protocol == IP_TCP ?
	    f->half[SERVER].flags & HALF_SEEN && f->state != FLOW_NEW :
	    is_served_datagram(f);

	if (h && h->server)
		return h->server;
	if (!serves && !(h && config_server_of(r->config, &h->address)))
		return NULL;
	return server_meet(registry_server(r, &f->addr[SERVER], true), h);
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
		s = server_meet(registry_server(r, &h->address, true), h);
	if (s) {
		server_close_second(s, &h->step, since);
		server_heard(s, h, r->now);
		make_busy(r, s);
	}
	memset(&h->step, 0, sizeof(h->step));
}

static struct outcome *
outcome_make(struct registry *r, struct server *s, struct flow *f)
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
		    (tight && s->outcome_count > SERVER_OUTCOMES / 64))
			server_forget_outcomes(s);
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
	if (o->stack == (uint8_t)stack)
		return;
	if (s->flows_by_stack[o->stack])
		s->flows_by_stack[o->stack]--;
	s->flows_by_stack[stack]++;
	o->stack = (uint8_t)stack;
}

static void
outcome_update(struct registry *r, struct server *s, struct flow *f)
{
	const struct tcp_half *v = &f->half[SERVER];
	const struct note *flip = flow_note_find(f, NOTE_ID_FLIP, 0, SERVER);
	const struct note *probes = flow_note_find(f, NOTE_KEEP_ALIVE, 0, CLIENT);
	struct outcome *o = f->outcome;
	struct service *service;
	struct instant served;

	if (!o && (f->state == FLOW_NEW || !(o = outcome_make(r, s, f))))
		return;
	s->bytes += f->half[CLIENT].bytes + v->bytes - o->bytes;
	o->bytes = f->half[CLIENT].bytes + v->bytes;
	o->app = f->app;
	o->handshake = f->flags & FLOW_HANDSHAKE;
	o->two_way = f->half[CLIENT].flags & v->flags & HALF_SEEN;
	o->established = f->established;
	o->last = f->last;
	o->last_asked = f->last_asked;
	o->last_answered = f->last_answered;
	o->last_acked = v->last_advance;
	o->turns_answered = f->turns;
	if (probes)
		o->probe_answered.ns = (int64_t)probes->value[0];
	o->data_packets = (uint32_t)v->ids_low + v->ids_high;
	if (v->ids_high && !instant_is_set(o->offloaded_at))
		o->offloaded_at = flip ? flip->first : f->established;
	outcome_stack(s, o, server_flow_stack(s, f));
	served = instant_before(o->last_answered, o->last_acked) ?
	    o->last_acked : o->last_answered;
	if (instant_is_set(served))
		server_note_served(s, o->flow_id, served);
	if (instant_is_set(o->trouble) && !instant_is_set(o->recovered) &&
	    instant_before(o->trouble, f->last_answered))
		o->recovered = f->last_answered;
	if (f->flags & FLOW_ENDED) {
		o->end = f->end;
		o->ended = f->last;
	}
	service = server_service(s, f->protocol, f->port[SERVER], true);
	if (!service)
		return;
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

static void
flow_update(struct registry *r, struct flow *f, struct instant since)
{
	struct server *s = server_of_flow(r, f);
	struct service *v;
	struct second *x;

	push_update(f);
	if (!s)
		return;
	if (f->protocol == IP_TCP) {
		outcome_update(r, s, f);
		if (!instant_before(f->last_answered, since))
			timeline_served(s, &f->addr[CLIENT], r->now, r->live);
	} else if ((v = server_service(s, f->protocol, f->port[SERVER], true))) {
		v->app = f->app;
		if (instant_before(v->last_answered, f->last_answered))
			v->last_answered = f->last_answered;
	}
	if (instant_before(f->half[CLIENT].last, since))
		return;
	if (!server_client_heard(s, &f->addr[CLIENT], since,
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
	struct server *s = f->host[SERVER] ? f->host[SERVER]->server : NULL;
	struct service *v = s ? server_service(s, f->protocol, f->port[SERVER],
	    true) : NULL;
	bool slow = (double)a->took_ns > r->judge.limit->user_notices_s * 1e9;

	if (!v || (a->turn && f->flags & FLOW_PARSED))
		return;
	v->asked++;
	v->answered++;
	if (!a->parked)
		timeline_took(s, a->took_ns, r->now);
	latency_add(a->parked || slow ? &v->parked : &v->took, a->took_ns);
}

static void
bring_up_to_date(struct registry *r, struct engine *e, struct instant since)
{
	size_t count;
	struct flow *const *flows = engine_touched_flows(e, &count);
	struct host *hosts = engine_touched_hosts(e);

	for (struct host *h = hosts; h; h = h->touched_next)
		close_second(r, h, since);
	for (size_t i = 0; i < count; i++) {
		if (i + FETCH_AHEAD < count)
			flow_fetch(flows[i + FETCH_AHEAD]);
		flow_update(r, flows[i], since);
	}
	for (struct server *s = r->unjudged; s; s = s->next)
		server_judge_ids(s);
	r->unjudged = NULL;
	for (struct host *h = hosts; h; h = h->touched_next)
		if (h->server)
			server_judge_ids(h->server);
	for (size_t i = 0; i < r->answer_count; i++)
		answer_count(r, &r->answers[i]);
	r->answer_count = 0;
}

/* --- the step phase: reviews ------------------------------------------------------ */

static uint32_t
matters_of(const struct flow *f)
{
	const unsigned data = (f->half[CLIENT].flags | f->half[SERVER].flags) &
	    HALF_DATA;
	uint32_t m = 1U << 31;

	if (f->notes)
		m |= MATTER_NOTES;
	if (f->waiting)
		m |= MATTER_WAITING;
	if (f->flags & FLOW_HANDSHAKE && !data)
		m |= MATTER_SPEECHLESS;
	if (f->syn_count && (f->state == FLOW_NEW ? f->syn_count >= 2 :
	    f->synack_count >= 2 || !(f->flags & FLOW_COUNTED_MADE)))
		m |= MATTER_CONNECT;
	if (f->half[SERVER].ids_high)
		m |= MATTER_HIGH_IDS;
	if (f->app == APP_PPTP)
		m |= MATTER_PPTP;
	if (stream_owes(f, SERVER))
		m |= MATTER_HALF_ANSWER;
	return m;
}

static void
review_flow(struct registry *r, struct flow *f)
{
	struct server *s = f->host[SERVER] ? f->host[SERVER]->server : NULL;
	const struct review_flow *d = r->review_flow, *end;
	uint32_t m = matters_of(f);

	for (end = d + (s ? r->review_flows : 0); d < end; d++) {
		if (!(d->matters & m || d->mark & f->marks) ||
		    (d->awake && !*d->awake && !f->notes))
			continue;
		d->call(d->state, &r->judge, s, f);
		m = matters_of(f);
	}
}

static void
review_flows(struct registry *r, struct engine *e)
{
	size_t count;
	struct flow *const *flows = engine_touched_flows(e, &count);

	for (size_t n = 0; n < count; n++) {
		if (n + FETCH_AHEAD < count)
			flow_fetch(flows[n + FETCH_AHEAD]);
		review_flow(r, flows[n]);
	}
}

/* Of a server that nobody has heard of or spoken to for a while, only time can
 * tell more: each tenth second is enough. */
static void
review_server(struct registry *r, struct server *s)
{
	for (size_t i = 0; i < r->review_servers; i++)
		r->review_server[i].call(r->review_server[i].state, &r->judge,
		    s);
}

static void
review_busy_servers(struct registry *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->busy_count; i++) {
		struct server *s = r->busy[i];

		s->busy = instant_since(r->now, s->heard) <= 10 * NS_PER_S;
		if (!s->busy)
			continue;
		r->busy[kept++] = s;
		review_server(r, s);
	}
	r->busy_count = kept;
}

static void
review_servers(struct registry *r)
{
	if (r->now.ns / NS_PER_S % 10 && !r->judge.finishing)
		review_busy_servers(r);
	else
		for (struct server *s = r->servers; s; s = s->next)
			review_server(r, s);
	for (size_t i = 0; i < DETECTOR_COUNT; i++)
		if (detectors[i]->review_capture)
			detectors[i]->review_capture(r->state[i], &r->judge);
}

/* Nobody was silent while nobody looked. */
static void
forget_before_break(struct registry *r)
{
	struct instant resumed = r->judge.capture->resumed;

	if (resumed.ns == r->resumed.ns)
		return;
	r->resumed = resumed;
	for (struct server *s = r->servers; s; s = s->next)
		if (instant_before(s->last_sent, resumed))
			s->last_sent.ns = 0;
}

/* A minute in which much was dropped would not show in the sum of a month. */
static void
tally_minute(struct registry *r)
{
	const struct capture_stats *c = r->judge.capture;

	if (instant_since(r->now, r->minute[0].at) < 60 * NS_PER_S)
		return;
	r->minute[1] = r->minute[0];
	r->minute[0] = (struct tally){ r->now, c->packets, c->dropped,
		capture_unsound_packets(c) };
}

/* Share of all frames that was dropped here, in all or of late. */
static double
dropped_share(const struct judge *j)
{
	const struct capture_stats *c = j->capture;
	const struct tally *since = &j->registry->minute[1];
	uint64_t dropped = c->dropped - since->dropped;
	uint64_t all = c->packets - since->packets + dropped;
	double late = dropped ? (double)dropped / (double)all : 0;

	return late > capture_dropped_share(c) ? late :
	    capture_dropped_share(c);
}

/* A handful proves nothing. */
enum { UNSOUND_MIN = 10 };

/* Is this a record of what was on the wire, in all and of late? */
static bool
is_unsound(const struct judge *j)
{
	const struct capture_stats *c = j->capture;
	const struct tally *since = &j->registry->minute[1];
	uint64_t unsound = capture_unsound_packets(c);
	uint64_t late = unsound - since->unsound;
	double limit = j->limit->capture_loss_limit;

	return (unsound >= UNSOUND_MIN &&
	    (double)unsound > limit * (double)c->packets) ||
	    (late >= UNSOUND_MIN &&
	    (double)late > limit * (double)(c->packets - since->packets));
}

static void
on_step(void *context, struct engine *e, struct instant now)
{
	struct registry *r = context;
	struct instant since = instant_is_set(r->now) ? r->now :
	    instant_plus(now, -ENGINE_STEP_NS);

	r->now = r->judge.now = now;
	r->judge.engine = e;
	r->judge.capture = engine_stats(e);
	r->judge.servers = r->servers;
	tally_minute(r);
	forget_before_break(r);
	forget_outcomes(r);
	bring_up_to_date(r, e, since);
	r->judge.servers = r->servers;
	review_flows(r, e);
	review_servers(r);
}

void
registry_observe(struct registry *r, struct engine_observer *o)
{
	o->context = r;
	o->on_segment = on_segment;
	o->on_packet = on_packet;
	o->on_app = on_app;
	o->on_step = on_step;
}

void
registry_attach(struct registry *r, struct engine *e)
{
	r->judge.engine = e;
	r->judge.capture = engine_stats(e);
}

void
registry_finishing(struct registry *r)
{
	r->judge.finishing = true;
}

/* --- findings ------------------------------------------------------------------------ */

static size_t
subject_bucket(enum finding_name name, const struct server *s, uint64_t flow_id,
    uint16_t port)
{
	uint64_t h = (uint64_t)name * 0x9e3779b1U + port;

	if (s)
		h = (h ^ s->number) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ flow_id) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(h >> 32) % FINDING_BUCKETS;
}

static bool
is_subject(const struct finding *x, const struct detector *d, const char *kind,
    const struct server *s, const struct flow *f, uint16_t port)
{
	return x->name == d->finding && x->server == s && !x->scrap &&
	    x->flow_id == (f ? f->id : 0) &&
	    x->server_port == (f ? f->port[SERVER] : port) &&
	    (x->kind == kind || (x->kind && kind && !strcmp(x->kind, kind)));
}

/* Whoever looks a finding up may change it. */
struct finding *
finding_lookup(struct judge *j, const struct detector *d, const char *kind,
    const struct server *s, const struct flow *f, uint16_t port)
{
	struct finding *x;

	if (s && !s->finding_count[d->finding])
		return NULL;
	x = j->registry->bucket[subject_bucket(d->finding, s, f ? f->id : 0,
	    f ? f->port[SERVER] : port)];
	while (x && !is_subject(x, d, kind, s, f, port))
		x = x->hash_next;
	if (x)
		finding_touch(x);
	return x;
}

/* What nobody will see; beyond the limit, or while the capture is not sound. */
static struct finding *
finding_scrap(struct registry *r)
{
	r->findings_refused++;
	memset(&r->scrap, 0, sizeof(r->scrap));
	r->scrap.scrap = true;
	return &r->scrap;
}

static struct finding *
finding_make(struct registry *r, struct server *s, enum finding_name name)
{
	struct finding *x = NULL;

	if (r->finding_count < FINDINGS_MAX &&
	    !(s && s->finding_count[name] >= FINDINGS_PER_NAME))
		x = calloc(1, sizeof(*x));
	if (!x)
		return finding_scrap(r);
	x->id = ++r->next_finding;
	r->finding_count++;
	*r->findings_end = x;
	r->findings_end = &x->next;
	if (s) {
		s->finding_count[name]++;
		x->next_of_server = s->findings;
		s->findings = x;
	}
	return x;
}

struct finding *
finding_raise(struct judge *j, const struct detector *d, const char *kind,
    struct server *s, const struct flow *f, uint16_t port)
{
	struct finding *x = finding_lookup(j, d, kind, s, f, port);
	size_t b;

	if (x) {
		x->retracted = false;
		x->raised = j->now;
		return x;
	}
	x = s && is_unsound(j) ? finding_scrap(j->registry) :
	    finding_make(j->registry, s, d->finding);
	x->name = d->finding;
	x->detector = d;
	x->kind = kind;
	x->server = s;
	x->server_port = port;
	x->file = j->capture->file;
	x->raised = j->now;
	finding_touch(x);
	if (f) {
		x->has_client = true;
		x->client = f->addr[CLIENT];
		x->protocol = f->protocol;
		x->client_port = f->port[CLIENT];
		x->server_port = f->port[SERVER];
		x->flow_id = f->id;
		x->app = f->app;
		x->file = f->file;
	}
	if (x->scrap)
		return x;
	b = subject_bucket(d->finding, s, x->flow_id, x->server_port);
	x->hash_next = j->registry->bucket[b];
	j->registry->bucket[b] = x;
	return x;
}

/* It is not found again by its subject. */
static void
close_finding(struct registry *r, struct finding *x)
{
	struct finding **at = &r->bucket[subject_bucket(x->name, x->server,
	    x->flow_id, x->server_port)];

	while (*at != x)
		at = &(*at)->hash_next;
	*at = x->hash_next;
	x->closed = true;
}

struct finding *
finding_raise_episode(struct judge *j, const struct detector *d,
    const char *kind, struct server *s, uint16_t port, struct instant begin)
{
	struct finding *x = finding_lookup(j, d, kind, s, NULL, port);

	if (x && x->ended && instant_before(x->last_seen, begin))
		close_finding(j->registry, x);
	return finding_raise(j, d, kind, s, NULL, port);
}

void
finding_retract(struct finding *x)
{
	x->retracted = true;
	finding_touch(x);
}

void
finding_from_note(struct finding *x, const struct note *n)
{
	finding_time(x, n->first);
	finding_time(x, n->last);
	x->count = n->count;
	x->frame_count = 0;
	for (unsigned i = 0; i < n->frame_count; i++)
		finding_frame(x, n->frame[i]);
}

void
flow_afflicted(struct flow *f, enum finding_name name, struct instant since)
{
	struct outcome *o = f->outcome;

	if (!o)
		return;
	o->findings |= UINT64_C(1) << name;
	if (!instant_is_set(o->trouble))
		o->trouble = since;
}

void
flow_cleared(struct flow *f, enum finding_name name)
{
	struct outcome *o = f->outcome;

	if (!o)
		return;
	o->findings &= ~(UINT64_C(1) << name);
	if (!o->findings)
		o->trouble.ns = o->recovered.ns = 0;
}

bool
judge_overdue(struct judge *j, const struct server *s, struct flow *f,
    struct instant asked, double waited_s, double patience_s)
{
	bool long_enough = waited_s >= patience_s;
	struct instant again;

	if (long_enough && server_seen_after(s, asked, patience_s))
		return true;
	again = instant_plus(long_enough ? j->now : asked,
	    (int64_t)(patience_s * 1e9));
	if (instant_before(j->now, again))	/* else nobody waits any more */
		judge_wake(j, f, again);
	return false;
}

/* --- history --- */

bool
registry_is_crowded(const struct registry *r, const struct finding *x)
{
	return r->finding_count > FINDINGS_MAX / 2 || (x->server &&
	    x->server->finding_count[x->name] > FINDINGS_PER_NAME / 2);
}

static void
unlink_finding(struct registry *r, struct finding *x)
{
	struct finding **at;

	if (!x->closed)
		close_finding(r, x);
	r->finding_count--;
	if (!x->server)
		return;
	at = &x->server->findings;
	while (*at != x)
		at = &(*at)->next_of_server;
	*at = x->next_of_server;
	x->server->finding_count[x->name]--;
}

void
registry_forget(struct registry *r, bool (*is_history)(void *context,
    const struct finding *), void *context)
{
	struct finding **at = &r->findings;

	while (*at) {
		struct finding *x = *at;

		if (!is_history(context, x)) {
			at = &x->next;
			continue;
		}
		*at = x->next;
		unlink_finding(r, x);
		free(x);
	}
	r->findings_end = at;
}

/* --- trust ------------------------------------------------------------------------------ */

static double
trust_in_completeness(const struct judge *j, const struct flow *f)
{
	double lost = capture_lost_share(j->capture), trust = 1;
	double dropped = dropped_share(j);

	lost = dropped > lost ? dropped : lost;
	for (int s = CLIENT; f && s <= SERVER; s++) {
		const struct note *n = flow_note_find(f, NOTE_HOLES, 0,
		    (enum side)s);

		if (n && n->count)
			trust = 0.7;	/* this very flow has gaps of ours */
	}
	if (lost > 5 * j->limit->capture_loss_limit)
		return 0;
	if (lost > j->limit->capture_loss_limit)
		return trust < 1 ? 0 : 0.7;
	return trust;
}

static double
trust_in_both_ways(const struct judge *j, const struct server *s,
    const struct flow *f)
{
	double one_way = capture_one_way_share(j->capture);

	/* since its last packet that we saw it has sent others */
	if (s && instant_since(s->last_unseen, s->last_sent) > ENGINE_STEP_NS)
		return 0;
	if (f)
		return f->half[CLIENT].flags & f->half[SERVER].flags &
		    HALF_SEEN ? 1 : 0;
	return one_way > 0.2 ? 0 : 1 - one_way;
}

double
judge_trusts(const struct judge *j, const struct server *s,
    const struct flow *f, unsigned needs)
{
	double trust = 1;

	if (needs && j->capture->blind)
		return 0;
	if (needs & TRUST_LOSS)
		trust *= trust_in_completeness(j, f);
	if (needs & TRUST_BOTH_WAYS)
		trust *= trust_in_both_ways(j, s, f);
	return trust;
}

/* So unlikely it must be that all were missed; and the share that was lost is an
 * estimate, so it is taken for no less than this. */
#define MISSED_ALL 1e-3
#define LOST_LEAST 0.001

double
judge_trusts_repeated(const struct judge *j, const struct server *s,
    const struct flow *f, unsigned times, unsigned needs)
{
	double lost = capture_lost_share(j->capture);
	double trust = judge_trusts(j, s, f, TRUST_LOSS | needs);

	if (trust > 0)
		return trust;
	if (pow(lost > LOST_LEAST ? lost : LOST_LEAST, times) > MISSED_ALL)
		return 0;
	return 0.8 * judge_trusts(j, s, f, needs);
}

/* --- the end ------------------------------------------------------------------------------ */

static struct finding *
merge_by_time(struct finding *a, struct finding *b)
{
	struct finding *list = NULL, **end = &list;

	while (a && b) {
		bool a_first = a->first_seen.ns < b->first_seen.ns ||
		    (a->first_seen.ns == b->first_seen.ns && a->id < b->id);
		struct finding **first = a_first ? &a : &b;

		*end = *first;
		end = &(*first)->next;
		*first = *end;
	}
	*end = a ? a : b;
	return list;
}

static struct finding *
sort_by_time(struct finding *list)
{
	struct finding *half = list, *end = list;

	if (!list || !list->next)
		return list;
	while (end->next && end->next->next) {
		half = half->next;
		end = end->next->next;
	}
	end = half->next;
	half->next = NULL;
	return merge_by_time(sort_by_time(list), sort_by_time(end));
}

/* What was raised before it showed that the capture is no true record. */
static void
retract_if_unsound(struct registry *r)
{
	if (!is_unsound(&r->judge))
		return;
	for (struct finding *x = r->findings; x; x = x->next)
		if (x->server)
			finding_retract(x);
}

void
registry_finish(struct registry *r, struct engine *e)
{
	registry_attach(r, e);
	r->judge.finishing = true;
	r->judge.now = r->now;
	r->judge.servers = r->servers;
	for (size_t i = 0; i < DETECTOR_COUNT; i++)
		if (detectors[i]->finish)
			detectors[i]->finish(r->state[i], &r->judge);
	retract_if_unsound(r);
	r->findings = sort_by_time(r->findings);
	r->findings_end = &r->findings;
	while (*r->findings_end)
		r->findings_end = &(*r->findings_end)->next;
}
