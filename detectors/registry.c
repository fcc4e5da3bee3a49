/* registry.c - the one table of detectors, and the run of all of them.
 *
 * In the packet phase it passes segments and events on to the detectors that
 * want them, and gathers answers. In the step phase it has servers, services and
 * outcomes brought up to date first (registry_servers.c), and only then lets the
 * detectors review, so that each of them sees the same state whatever their
 * order. */
#include "detectors/registry_internal.h"

#include <stdlib.h>
#include <string.h>

#include "capture/fetch.h"
#include "capture/hash.h"
#include "capture/stream.h"
#include "detectors/server_internal.h"
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
	ANSWERS_MAX = 1 << 20,		/* in one step */
	ETHERNET_MSS = 1460,
};

_Static_assert((int)DETECTOR_COUNT <= (int)DETECTORS_MAX, "no place for it");

/* What the servers may hold together. */
#define SERVERS_BYTES ((size_t)512 << 20)

const struct detector *
registry_find(enum finding_name name)
{
	for (size_t i = 0; i < DETECTOR_COUNT; i++)
		if (detectors[i]->finding == name)
			return detectors[i];
	return NULL;
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
	if (!(d->facts | d->odd | d->mark | d->noted))
		r->of_each |= member;
	r->facts |= d->facts;
	r->odd |= d->odd;
	r->noted |= d->noted;
	put_in_sets(r->of_fact, d->facts, member);
	put_in_sets(r->of_odd, d->odd, member);
	put_in_sets(r->of_mark, d->mark, member);
	put_in_sets(r->of_noted, d->noted, member);
}

static void
list_review_flow(struct registry *r, const struct detector *d, void *state)
{
	uint64_t member = UINT64_C(1) << r->review_flows;

	r->review_flow[r->review_flows++] = (struct review_flow){ state,
	    d->review_flow };
	if (d->awake)
		r->waker[r->wakers++] = (struct waker){ d->awake(state), member };
	put_in_sets(r->of_matter, d->matters, member);
	put_in_sets(r->of_note, d->notes, member);
	put_in_sets(r->of_flow_mark, d->mark, member);
}

static void
list_review_server(struct registry *r, const struct detector *d, void *state)
{
	uint64_t own = UINT64_C(1) << d->finding;

	r->of_servers |= UINT64_C(1) << r->review_servers;
	r->review_server[r->review_servers++] = (struct review_server){
	    d->servers ? d->servers : UINT32_MAX,
	    d->servers & SERVER_FOUND ? own : 0,
	    d->servers & SERVER_REMEMBERED ? own : 0, state, d->review_server };
}

static void
list_callbacks(struct registry *r)
{
	for (size_t i = 0; i < DETECTOR_COUNT; i++) {
		const struct detector *d = detectors[i];

		if (d->on_segment)
			list_on_segment(r, d, r->state[i]);
		if (d->on_packet)
			r->on_packet[r->on_packets++] = (struct on_packet){
			    r->state[i], d->on_packet };
		if (d->on_delivery)
			r->on_delivery[r->on_deliveries++] = (struct on_delivery){
			    d->delivered, r->state[i], d->on_delivery };
		r->delivered |= d->delivered;
		for (size_t t = 0; d->on_app && t < APP_EVENT_TYPES; t++)
			if (d->events & 1U << t)
				r->on_app[t][r->on_apps[t]++] = (struct on_app){
				    r->state[i], d->on_app };
		if (d->review_flow)
			list_review_flow(r, d, r->state[i]);
		if (d->review_server)
			list_review_server(r, d, r->state[i]);
	}
}

/* So that no two share a cache line, and each lies in as few as can be. */
static size_t
whole_lines(size_t bytes)
{
	return (bytes + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES *
	    CACHE_LINE_BYTES;
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
	r->server_slab.record_bytes = whole_lines(sizeof(struct server));
	r->finding_slab.record_bytes = whole_lines(sizeof(struct finding));
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

void
registry_release_states(struct server *s)
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
		registry_release_states(s);
		server_release(s);
	}
	slab_release(&r->server_slab);
	slab_release(&r->finding_slab);
	slab_release(&r->budget.outcomes);
	free(r->answers);
	free(r->due);
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

uint64_t
registry_servers_refused(const struct registry *r)
{
	return r->servers_refused;
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
	uint64_t concerned = r->of_each |
	    sets_of(r->of_fact, facts_of(f, seg) & r->facts) |
	    sets_of(r->of_odd, odd_of(f, seg) & r->odd) |
	    sets_of(r->of_mark, f->marks) |
	    sets_of(r->of_noted, flow_note_bits(f) & r->noted);

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
	for (size_t i = 0; i < r->on_packets; i++)
		r->on_packet[i].call(r->on_packet[i].state, p);
}

static void
on_delivery(void *context, const struct delivery *d, int64_t answered_ns)
{
	struct registry *r = context;

	if (answered_ns && !(d->flow->app_flags & FLOW_APP_PARSED))
		answer_remember(r, &(struct answer){ .flow = d->flow,
		    .took_ns = answered_ns, .turn = true });
	if (!(d->facts & r->delivered))
		return;
	for (size_t i = 0; i < r->on_deliveries; i++)
		if (d->facts & r->on_delivery[i].facts)
			r->on_delivery[i].call(r->on_delivery[i].state, d);
}

static void
on_app(void *context, const struct app_event *e)
{
	struct registry *r = context;

	if (e->flow && e->type == APP_REQUEST)
		e->flow->app_flags |= FLOW_APP_PARSED;
	if (e->flow && e->type == APP_RESPONSE)
		answer_remember(r, &(struct answer){ .flow = e->flow,
		    .took_ns = e->took_ns,
		    .parked = e->exchange_flags & EXCHANGE_PARKS });
	for (size_t i = 0; i < r->on_apps[e->type]; i++)
		r->on_app[e->type][i].call(r->on_app[e->type][i].state, e);
}

/* --- the step phase: reviews ------------------------------------------------------ */

static uint32_t
matters_of(const struct flow *f)
{
	const unsigned data = (f->half[CLIENT].flags | f->half[SERVER].flags) &
	    HALF_DATA;
	uint32_t m = 0;

	if (f->notes)
		m |= MATTER_NOTES;
	if (f->waiting)
		m |= MATTER_WAITING;
	if (f->flags & FLOW_HANDSHAKE && !data)
		m |= MATTER_SPEECHLESS;
	if (f->half[CLIENT].syns && (f->state == FLOW_NEW ? f->half[CLIENT].syns >= 2 :
	    f->half[SERVER].syns >= 2 || !(f->flags & FLOW_COUNTED_MADE)))
		m |= MATTER_CONNECT;
	if (f->half[SERVER].ids_high)
		m |= MATTER_HIGH_IDS;
	if (f->app == APP_PPTP)
		m |= MATTER_PPTP;
	if (stream_owes(f, SERVER))
		m |= MATTER_HALF_ANSWER;
	if (f->half[CLIENT].syns && !(f->marks & MARK_CROSSED))
		m |= MATTER_GATEWAY;
	if (f->app_flags & FLOW_APP_LATE)
		m |= MATTER_LATE;
	return m;
}

uint64_t
registry_concerned(const struct registry *r, const struct flow *f)
{
	return sets_of(r->of_matter, matters_of(f)) |
	    sets_of(r->of_note, flow_note_bits(f)) |
	    sets_of(r->of_flow_mark, f->marks);
}

/* What a review may change of what concerns the next one. */
struct concern {
	const struct note *notes;
	uint32_t flags;
	uint16_t marks;
};

static struct concern
concern_of(const struct flow *f)
{
	return (struct concern){ f->notes, f->flags, f->marks };
}

static inline bool
is_concern_of(const struct concern *c, const struct flow *f)
{
	return c->notes == f->notes && c->flags == f->flags && c->marks == f->marks;
}

/* Those whom each flow concerns for now. */
static uint64_t
awake(const struct registry *r)
{
	uint64_t all = 0;

	for (size_t i = 0; i < r->wakers; i++)
		if (*r->waker[i].awake)
			all |= r->waker[i].member;
	return all;
}

static void
review_flow(struct registry *r, struct flow *f, uint64_t due)
{
	struct server *s = server_at_hand(f);
	struct concern before = concern_of(f);

	while (s && due) {
		const struct review_flow *d =
		    &r->review_flow[__builtin_ctzll(due)];
		uint64_t later = ~(due ^ (due - 1));

		due &= later;
		d->call(d->state, &r->judge, s, f);
		if (is_concern_of(&before, f))
			continue;
		due = (registry_concerned(r, f) | awake(r)) & later;
		before = concern_of(f);
	}
}

static void
fetch_rest(const struct flow *f)
{
	fetch_bytes(f->notes, sizeof(struct note));
	fetch_bytes(f->waiting, sizeof(struct exchange));
}

/* What concerns nobody, as most flows do, is not looked at again. */
static void
review_flows(struct registry *r, struct engine *e)
{
	size_t count;
	struct flow *const *flows = engine_touched_flows(e, &count);
	const uint64_t *due = r->due;
	uint64_t each = awake(r);

	for (size_t n = 0; n < r->due_count; n++) {
		size_t soon = n + FETCH_AHEAD / 2, later = n + FETCH_AHEAD;

		if (later < r->due_count && due[later] | each)
			flow_fetch(flows[later]);
		if (soon < r->due_count && due[soon] | each)
			fetch_rest(flows[soon]);
		if (!(due[n] | each))
			continue;
		review_flow(r, flows[n], due[n] | each);
		each = awake(r);
	}
}

static uint32_t
server_matters_of(const struct registry *r, const struct server *s,
    uint32_t minute)
{
	uint32_t m = 1U << 31;

	if (s->outage_count)
		m |= SERVER_WAS_OUT;
	if (server_may_be_mute(s, r->now))
		m |= SERVER_MAY_BE_MUTE;
	if (s->minute != minute || r->judge.finishing)
		m |= SERVER_EACH_MINUTE;
	return m;
}

/* What of a server time alone may bring about. */
static uint32_t
matters_to_come(const struct registry *r, const struct server *s)
{
	return SERVER_EACH_MINUTE |
	    (server_may_fall_mute(s, r->now) ? SERVER_MAY_BE_MUTE : 0);
}

static bool
is_concerned(const struct review_server *d, const struct server *s, uint32_t matters)
{
	return d->matters & matters || d->found & s->found ||
	    d->remembered & s->remembered;
}

/* Of a server that nobody has heard of or spoken to for a while, only time can
 * tell more: each tenth second is enough; and those who then have no more to say
 * of it are not asked. */
static void
review_server(struct registry *r, struct server *s)
{
	uint32_t minute = (uint32_t)(r->now.ns / (60 * NS_PER_S));
	uint32_t m = 0, to_come = 0;
	uint64_t due = r->of_servers;

	if (!r->judge.finishing)
		due &= ~s->settled;
	if (due) {
		m = server_matters_of(r, s, minute);
		to_come = matters_to_come(r, s);
	}
	s->minute = minute;
	for (; due; due &= due - 1) {
		const struct review_server *d =
		    &r->review_server[__builtin_ctzll(due)];

		r->judge.settled = !(d->matters & to_come);
		if (is_concerned(d, s, m)) {
			r->judge.settled = false;
			d->call(d->state, &r->judge, s);
		}
		if (r->judge.settled)
			s->settled |= due & -due;
	}
}

static void
fetch_servers(struct server *const *servers, size_t left)
{
	const struct server *s;

	if (left > FETCH_AHEAD)
		fetch_line(servers[FETCH_AHEAD]);
	if (left <= FETCH_AHEAD / 2)
		return;
	s = servers[FETCH_AHEAD / 2];
	if (!s->settled)
		server_fetch(s);
	if (!s->settled && s->outage_count)
		fetch_bytes(&s->outage[s->outage_count - 1],
		    sizeof(s->outage[0]));
}

static void
review_busy_servers(struct registry *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->busy_count; i++) {
		struct server *s = r->busy[i];

		fetch_servers(r->busy + i, r->busy_count - i);
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
	registry_tally_minute(r);
	registry_forget_before_break(r);
	registry_update_servers(r, e, since);
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
	o->on_delivery = on_delivery;
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

/* --- the end ------------------------------------------------------------------------------ */

/* What was raised before it showed that the capture is no true record. */
static void
retract_if_unsound(struct registry *r)
{
	if (!registry_is_unsound(r))
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
	registry_sort_findings(r);
}
