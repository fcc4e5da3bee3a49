/* server.c - what is known of each watched server.
 *
 * Everything here is written by the registry's step (registry_servers.c), after the
 * packets of a second, and read by the detectors. Bounded: seconds in a ring,
 * outcomes up to a limit, latencies in histograms; and all servers together
 * within one budget, however many there are. */
#include "detectors/server_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture/fetch.h"
#include "capture/hash.h"
#include "detectors/timeline.h"

/* --- latencies ------------------------------------------------------------- */

static unsigned
latency_bin(int64_t ns)
{
	double us = (double)(ns < 1000 ? 1000 : ns) / 1000.0;
	double bin = 4.0 * log2(us);

	return bin >= LATENCY_BINS - 1 ? LATENCY_BINS - 1 : (unsigned)bin;
}

void
latency_add(struct latency *l, int64_t ns)
{
	l->n++;
	l->bin[latency_bin(ns)]++;
	if (ns > l->max_ns)
		l->max_ns = ns;
}

int64_t
latency_quantile(const struct latency *l, double q)
{
	double want = q * (double)l->n, have = 0;

	if (!l->n)
		return 0;
	for (unsigned i = 0; i < LATENCY_BINS; i++) {
		have += l->bin[i];
		if (have >= want && l->bin[i]) {
			double ns = 1000.0 * exp2((i + 1) / 4.0);

			return ns > (double)l->max_ns ? l->max_ns : (int64_t)ns;
		}
	}
	return l->max_ns;
}

/* --- clients: a set of addresses, with the second they were last heard ------- */

/* Those of one family: of each, the second and one more (0 is an empty slot), and
 * behind it the words of the address, one or four. */
struct clients {
	uint32_t *word;
	size_t slots, count;
	size_t stride;			/* words a slot */
};

struct client_set {
	struct clients v4, v6;
	uint64_t key;			/* so that collisions cannot be planned */
};

enum { CLIENTS_MAX = 65536, CLIENTS_FIRST = 16, V4_STRIDE = 2, V6_STRIDE = 5,
	V4_OFFSET = 12 };		/* in an address */

static uint32_t
mark_of(struct instant t)
{
	int64_t second = t.ns / NS_PER_S + 1;

	return second < UINT32_MAX ? (uint32_t)second : UINT32_MAX;
}

static struct instant
heard_at(uint32_t mark)
{
	return (struct instant){ ((int64_t)mark - 1) * NS_PER_S };
}

static const uint8_t *
octets_of(const struct clients *c, const struct address *a)
{
	return a->octet + (c->stride == V4_STRIDE ? V4_OFFSET : 0);
}

/* Where the search for it begins. */
static uint32_t *
client_home(const struct clients *c, const struct address *a, uint64_t key)
{
	return &c->word[((size_t)address_hash(a, key) & (c->slots - 1)) *
	    c->stride];
}

static bool
is_client(const uint32_t *slot, const uint8_t *octets, size_t stride)
{
	/* of sizes that are known where it is compiled */
	if (stride == V4_STRIDE)
		return !memcmp(slot + 1, octets, sizeof(*slot));
	return !memcmp(slot + 1, octets, (V6_STRIDE - 1) * sizeof(*slot));
}

/* NULL: it is not there. */
static uint32_t *
client_known(const struct clients *c, const struct address *a, uint32_t at)
{
	uint32_t *slot = at && at <= c->slots ? &c->word[(at - 1) * c->stride] :
	    NULL;

	return slot && *slot && is_client(slot, octets_of(c, a), c->stride) ?
	    slot : NULL;
}

/* Where it is, or would be. */
static uint32_t *
client_slot(const struct clients *c, const struct address *a, uint64_t key)
{
	const uint32_t *end = c->word + c->slots * c->stride;
	const uint8_t *octets = octets_of(c, a);
	uint32_t *slot = client_home(c, a, key);

	while (*slot && !is_client(slot, octets, c->stride)) {
		slot += c->stride;
		if (slot == end)
			slot = c->word;
	}
	return slot;
}

static struct address
address_in(const struct clients *c, const uint32_t *slot)
{
	struct address a = address_from_v4(0);

	memcpy((uint8_t *)&a.octet + (octets_of(c, &a) - a.octet), slot + 1,
	    (c->stride - 1) * 4);
	return a;
}

static bool
clients_grow(struct server *s, struct clients *c, uint64_t key)
{
	struct clients more = { .count = c->count, .stride = c->stride,
		.slots = c->slots ? c->slots * 2 : CLIENTS_FIRST };

	if (!server_may_take(s, (more.slots - c->slots) * c->stride * 4))
		return false;
	more.word = calloc(more.slots * c->stride, sizeof(*more.word));
	if (!more.word)
		return false;
	for (size_t i = 0; i < c->slots; i++) {
		const uint32_t *slot = &c->word[i * c->stride];
		struct address a;

		if (!*slot)
			continue;
		a = address_in(c, slot);
		memcpy(client_slot(&more, &a, key), slot, c->stride * 4);
	}
	free(c->word);
	*c = more;
	return true;
}

static struct client_set *
clients_of(struct server *s)
{
	struct client_set *c = s->client_set;

	if (c)
		return c;
	c = s->client_set = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->key = hash_key();
	c->v4.stride = V4_STRIDE;
	c->v6.stride = V6_STRIDE;
	return c;
}

static struct clients *
family_of(struct client_set *set, const struct address *a)
{
	return address_is_v4(a) ? &set->v4 : &set->v6;
}

/* Its slot, made if new; NULL: no room. */
static uint32_t *
client_make(struct server *s, struct clients *c, const struct address *a,
    uint64_t key, bool sure)
{
	uint32_t *slot;

	if (!c->slots && !clients_grow(s, c, key))
		return NULL;
	slot = client_slot(c, a, key);
	if (*slot)
		return slot;
	if (s->clients >= (sure ? CLIENTS_MAX : CLIENTS_MAX / 2))
		return NULL;
	if (c->count * 3 >= c->slots * 2) {
		if (!clients_grow(s, c, key))
			return NULL;
		slot = client_slot(c, a, key);
	}
	memcpy(slot + 1, octets_of(c, a), (c->stride - 1) * 4);
	c->count++;
	s->clients++;
	return slot;
}

bool
server_client_heard(struct server *s, const struct address *a, uint32_t *at,
    struct instant t, bool sure)
{
	struct client_set *set = clients_of(s);
	struct clients *c = set ? family_of(set, a) : NULL;
	uint32_t *slot = c ? client_known(c, a, *at) : NULL;
	uint32_t second = mark_of(t);
	bool fresh;

	if (!slot) {
		slot = c ? client_make(s, c, a, set->key, sure) : NULL;
		if (!slot)
			return false;
		*at = (uint32_t)((size_t)(slot - c->word) / c->stride + 1);
	}
	fresh = *slot != second;
	*slot = second;
	return fresh;
}

static const struct service_place *
place_of(const struct server *s, const struct flow *f)
{
	const struct outcome *o = f->outcome;

	return o && o->service ? &s->place[o->service - 1] : NULL;
}

void
server_flow_fetch(const struct server *s, const struct flow *f)
{
	fetch_bytes(s->client_set, sizeof(*s->client_set));
	fetch_first(place_of(s, f));
}

void
server_client_fetch(const struct server *s, const struct flow *f, bool heard)
{
	const struct address *a = &f->addr[CLIENT];
	struct client_set *set = heard ? s->client_set : NULL;
	const struct clients *c = set ? family_of(set, a) : NULL;
	const struct service_place *at = place_of(s, f);

	if (c && f->client_at && f->client_at <= c->slots)
		fetch_line(&c->word[(f->client_at - 1) * c->stride]);
	else if (c && c->slots)
		fetch_line(client_home(c, a, set->key));
	if (at)
		fetch_bytes(at->service, offsetof(struct service, took));
}

struct instant
server_client_last(const struct server *s, const struct address *a)
{
	struct client_set *set = s->client_set;
	const struct clients *c = set ? family_of(set, a) : NULL;
	uint32_t mark = c && c->slots ? *client_slot(c, a, set->key) : 0;

	return mark ? heard_at(mark) : (struct instant){ 0 };
}

static size_t
heard_since(const struct clients *c, struct instant t)
{
	size_t n = 0;

	for (size_t i = 0; i < c->slots; i++) {
		uint32_t mark = c->word[i * c->stride];

		n += mark && !instant_before(heard_at(mark), t);
	}
	return n;
}

size_t
server_clients_since(const struct server *s, struct instant t)
{
	const struct client_set *set = s->client_set;

	return set ? heard_since(&set->v4, t) + heard_since(&set->v6, t) : 0;
}

/* --- making and freeing --------------------------------------------------------- */

/* One for each connection there is or was: a million of them are looked up at
 * random, which large pages make cheaper. */
static struct outcome *
outcome_take(struct server *s)
{
	struct server_budget *b = s->budget;

	if (!b)
		return calloc(1, sizeof(struct outcome));
	b->outcomes.record_bytes = sizeof(struct outcome);
	return slab_take(&b->outcomes);
}

const struct outcome_more outcome_nothing_more;

struct outcome_more *
outcome_have_more(struct outcome *o)
{
	if (!o->more)
		o->more = calloc(1, sizeof(*o->more));
	return o->more;
}

/* Of the budget: each may come to have it all. */
enum { OUTCOME_BYTES = sizeof(struct outcome) + sizeof(struct outcome_more) };

static void
outcome_give(struct server *s, struct outcome *o)
{
	free(o->more);
	if (s->budget)
		slab_give(&s->budget->outcomes, o);
	else
		free(o);
}

void
server_release(struct server *s)
{
	if (s->budget)
		s->budget->bytes -= s->taken;
	while (s->services) {
		struct service *v = s->services;

		s->services = v->next;
		free(v);
	}
	for (size_t i = 0; i < s->outcome_count; i++)
		outcome_give(s, s->outcome[i]);
	free(s->outcome);
	free(s->place);
	free(s->seconds);
	free(s->push);
	timeline_free(&s->timeline);
	if (s->client_set) {
		free(s->client_set->v4.word);
		free(s->client_set->v6.word);
	}
	free(s->client_set);
	while (s->told) {
		struct told_response *told = s->told;

		s->told = told->next;
		free(told);
	}
}

void
server_free(struct server **sp)
{
	struct server *s = *sp;

	*sp = NULL;
	if (s)
		server_release(s);
	free(s);
}

bool
server_may_take(struct server *s, size_t bytes)
{
	struct server_budget *b = s->budget;

	if (!b)
		return true;
	if (b->bytes + bytes > b->limit && !s->configured) {
		b->refused++;
		return false;
	}
	b->bytes += bytes;
	s->taken += bytes;
	return true;
}

/* Outcomes of connections that ended well, the oldest first, up to half of all;
 * their flows are gone (between two steps). The rest stays in its order. */
void
server_forget_outcomes(struct server *s)
{
	size_t kept = 0, gone = 0, most = s->outcome_count / 2;

	for (size_t i = 0; i < s->outcome_count; i++) {
		struct outcome *o = s->outcome[i];

		if (gone < most && o->end != FLOW_END_NONE &&
		    (!outcome_more(o)->findings || o->is_history)) {
			outcome_give(s, o);
			gone++;
		} else {
			s->outcome[kept++] = o;
		}
	}
	s->outcome_count = kept;
	s->outcomes_forgotten += gone;
	if (!s->budget)
		return;
	s->taken -= gone * OUTCOME_BYTES;
	s->budget->bytes -= gone * OUTCOME_BYTES;
}

struct outcome *
server_new_outcome(struct server *s)
{
	struct outcome *o;

	if (s->outcome_count == s->outcome_slots) {
		size_t more = s->outcome_slots ? s->outcome_slots * 2 : 4;
		struct outcome **grown;

		if (more > SERVER_OUTCOMES || !server_may_take(s,
		    (more - s->outcome_slots) * sizeof(o)))
			return NULL;
		grown = realloc(s->outcome, more * sizeof(o));
		if (!grown)
			return NULL;
		s->outcome = grown;
		s->outcome_slots = more;
	}
	if (!server_may_take(s, OUTCOME_BYTES))
		return NULL;
	o = outcome_take(s);
	if (o)
		s->outcome[s->outcome_count++] = o;
	return o;
}

static bool
places_have_room(struct server *s)
{
	size_t more = s->service_slots ? s->service_slots * 2 : 4;
	struct service_place *grown;

	if (s->service_count < s->service_slots)
		return true;
	grown = realloc(s->place, more * sizeof(*grown));
	if (!grown)
		return false;
	s->place = grown;
	s->service_slots = more;
	return true;
}

uint16_t
server_service_number(struct server *s, uint8_t protocol, uint16_t port,
    bool make)
{
	struct service *v;

	for (size_t i = 0; i < s->service_count; i++)
		if (s->place[i].port == port &&
		    s->place[i].protocol == protocol)
			return (uint16_t)(i + 1);
	if (!make || s->service_count >= SERVICES_MAX ||
	    !server_may_take(s, sizeof(*v)) || !places_have_room(s))
		return 0;
	v = calloc(1, sizeof(*v));
	if (!v)
		return 0;
	v->port = port;
	v->protocol = protocol;
	*(s->service_count ? &s->place[s->service_count - 1].service->next :
	    &s->services) = v;
	s->place[s->service_count++] = (struct service_place){ port, protocol,
	    v };
	return (uint16_t)s->service_count;
}

struct service *
server_service(struct server *s, uint8_t protocol, uint16_t port, bool make)
{
	unsigned n = server_service_number(s, protocol, port, make);

	return n ? s->place[n - 1].service : NULL;
}

void *
server_remember(struct server *s, enum finding_name name, size_t bytes)
{
	void **state = &s->detector_state[name];

	if (!*state)
		*state = calloc(1, bytes);
	if (*state)
		s->remembered |= UINT64_C(1) << name;
	server_stir(s);
	return *state;
}

/* --- seconds --------------------------------------------------------------------- */

/* The ring grows up to SERVER_SECONDS and only then wraps; where the budget is
 * used up it wraps earlier. */
static void
seconds_grow(struct server *s)
{
	size_t more = s->second_slots ? s->second_slots * 2 : 32;
	struct second *grown;

	if (more > SERVER_SECONDS || (s->second_slots && !server_may_take(s,
	    (more - s->second_slots) * sizeof(*grown))))
		return;
	grown = realloc(s->seconds, more * sizeof(*grown));
	if (!grown)
		return;
	s->seconds = grown;
	s->second_slots = more;
}

static struct second *
new_second(struct server *s)
{
	struct second *slot;

	/* before it first wraps its records lie in order */
	if (s->second_count == s->second_slots)
		seconds_grow(s);
	if (!s->second_slots)
		return NULL;
	slot = &s->seconds[s->second_count++ % s->second_slots];
	memset(slot, 0, sizeof(*slot));
	return slot;
}

static const struct second *
second_at(const struct server *s, size_t back)
{
	if (back >= s->second_count || back >= s->second_slots)
		return NULL;
	return &s->seconds[(s->second_count - 1 - back) % s->second_slots];
}

void
server_second_fetch(const struct server *s)
{
	if (s->second_slots)
		fetch_bytes(&s->seconds[s->second_count % s->second_slots],
		    sizeof(*s->seconds));
}

/* How many of the newest began after `t`? */
static size_t
seconds_after(const struct server *s, struct instant t)
{
	size_t low = 0, high = s->second_count < s->second_slots ?
	    s->second_count : s->second_slots;

	if (high && !instant_before(t, second_at(s, 0)->at))
		return 0;		/* nearly always */
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (instant_before(t, second_at(s, mid)->at))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct second *
server_second(const struct server *s, struct instant t)
{
	const struct second *x = second_at(s, seconds_after(s, t));

	return x && instant_since(t, x->at) < ENGINE_STEP_NS ? x : NULL;
}

void
server_counts(const struct server *s, struct instant from, struct instant to,
    struct host_counts *out)
{
	const struct second *x;

	memset(out, 0, sizeof(*out));
	for (size_t back = seconds_after(s, to); (x = second_at(s, back)) &&
	    instant_since(from, x->at) < ENGINE_STEP_NS; back++)
		host_counts_add(out, &x->counts);
}

bool
server_acked(const struct server *s, struct instant from, struct instant to)
{
	const struct second *x;

	for (size_t back = seconds_after(s, to); (x = second_at(s, back)) &&
	    instant_since(from, x->at) < ENGINE_STEP_NS; back++)
		if (x->counts.acks_out)
			return true;
	return false;
}

bool
server_sent(const struct server *s, struct instant from, struct instant to)
{
	struct host_counts c;

	server_counts(s, from, to, &c);
	return c.packets_out && !instant_before(c.last_out, from);
}

void
server_note_served(struct server *s, uint64_t flow_id, struct instant at)
{
	struct served *latest = &s->served[0], *second = &s->served[1];

	if (flow_id == latest->flow_id) {
		if (instant_before(latest->at, at))
			latest->at = at;
	} else if (!instant_before(at, latest->at)) {
		*second = *latest;
		*latest = (struct served){ flow_id, at };
	} else if (!instant_before(at, second->at)) {
		*second = (struct served){ flow_id, at };
	}
}

bool
server_answered_others(const struct server *s, const struct flow *but,
    struct instant from, struct instant to)
{
	struct host_counts c;

	for (size_t i = 0; i < 2; i++) {
		const struct served *x = &s->served[i];

		if (x->flow_id && (!but || x->flow_id != but->id) &&
		    !instant_before(x->at, from) && !instant_before(to, x->at))
			return true;
	}
	/* the second of `from` holds what came before it, too */
	server_counts(s, instant_plus(from, ENGINE_STEP_NS), to, &c);
	return c.arp_answered || c.echo_answered || c.udp_out;
}

void
server_note_push(struct server *s, const struct address *client,
    struct instant first, struct instant last, uint32_t total, uint64_t frame)
{
	struct push *p = NULL;

	if (!s->push)
		s->push = calloc(SERVER_PUSHES, sizeof(*s->push));
	for (size_t i = 0; s->push && i < s->push_count && !p; i++)
		if (memcmp(&s->push[i].client, client, sizeof(*client)) == 0)
			p = &s->push[i];
	if (!p && s->push && s->push_count < SERVER_PUSHES) {
		p = &s->push[s->push_count++];
		p->client = *client;
		p->first = first;
	}
	if (!p)
		return;
	p->count = total;
	p->last = last;
	p->last_frame = frame;
}

/* --- outages ----------------------------------------------------------------- */

/* `end` bounds what counts as asked in vain: what came in the very second of the
 * next answer may have been answered by it. */
static bool
outage_between(const struct server *s, struct instant from, struct instant to,
    struct instant end, struct outage *out)
{
	struct host_counts c;

	memset(out, 0, sizeof(*out));
	if (!instant_is_set(from) ||
	    instant_since(to, from) < OUTAGE_MIN_S * NS_PER_S)
		return false;
	/* the second of its last packet may hold asks that it answered */
	server_counts(s, instant_plus(from, ENGINE_STEP_NS), end, &c);
	out->from = from;
	out->frame_before = s->last_sent_frame;
	out->asks = c.tcp_data_in + c.syn_in + c.arp_asked + c.echo_asked;
	out->arp_asked = c.arp_asked;
	out->syn_in = c.syn_in;
	out->data_in = c.tcp_data_in;
	out->echo_asked = c.echo_asked;
	out->first_ask = c.first_in;
	out->last_ask = c.last_in;
	out->frame_first_ask = c.first_in_frame;
	out->frame_last_ask = c.last_in_frame;
	/* its clients acknowledge what it sends: the mirror does not show it */
	if (c.acks_unseen || out->asks < OUTAGE_MIN_ASKS)
		return false;
	out->peers = server_clients_since(s, instant_plus(from, ENGINE_STEP_NS));
	/* SYNs alone go to a port that is closed or filtered: any live host still
	 * answers data, ARP or echo */
	return out->asks - out->syn_in >= OUTAGE_MIN_SURE;
}

bool
server_is_mute(const struct server *s, struct instant now, struct outage *out)
{
	return server_may_be_mute(s, now) &&
	    outage_between(s, s->last_sent, now, now, out);
}

static void
note_outage(struct server *s, const struct second *x)
{
	struct outage o;

	if (!x->counts.packets_out)
		return;
	if (outage_between(s, s->last_sent, x->counts.first_out,
	    instant_plus(x->at, -1), &o)) {
		o.to = x->counts.first_out;
		o.frame_after = x->counts.first_out_frame;
		if (s->outage_count == SERVER_OUTAGES) {
			memmove(&s->outage[0], &s->outage[1],
			    (SERVER_OUTAGES - 1) * sizeof(o));
			s->outage_count--;
		}
		s->outage[s->outage_count++] = o;
	}
	s->last_sent = x->counts.last_out;
	s->last_sent_frame = x->counts.last_out_frame;
}

/* A flood makes steps shorter than a second: those make one record. */
void
server_close_second(struct server *s, const struct host_counts *c,
    struct instant since)
{
	struct second *x = s->second_count ? &s->seconds[(s->second_count - 1) %
	    s->second_slots] : NULL;

	if (!x || x->at.ns / ENGINE_STEP_NS != since.ns / ENGINE_STEP_NS) {
		x = new_second(s);
		if (!x)
			return;
		x->at = s->newest = since;
	}
	host_counts_add(&x->counts, c);
	if (c->syn_in)
		s->asked_syn = x->at;
	if (c->arp_asked)
		s->asked_arp = x->at;
	if (c->echo_asked)
		s->asked_echo = x->at;
	if (c->acks_unseen) {
		if (!instant_before(s->last_sent, s->unseen_since))
			s->unseen_since = c->last_in;
		s->last_unseen = c->last_in;
	}
	note_outage(s, x);
}

bool
server_has_survivors(const struct server *s, struct instant from,
    struct instant to)
{
	for (size_t i = 0; i < s->outcome_count; i++) {
		const struct outcome *o = s->outcome[i];

		if (instant_is_set(o->established) &&
		    instant_before(o->established, from) &&
		    (instant_before(to, o->last_answered) ||
		    instant_before(to, o->last_acked)))
			return true;
	}
	return false;
}

/* --- whose stack ------------------------------------------------------------------ */

const char *
stack_text(enum stack s)
{
	static const char *const text[] = { "unknown", "host", "offloaded",
		"mixed" };

	return text[s];
}

/* Packets that surely come from the host's own stack before their numbers prove
 * anything: by chance alone so many low ones in a row happen once in 2^12. Two
 * interleaved counters, one in each half, prove it with fewer. */
enum { STACK_PACKETS_MIN = 12, STACK_PACKETS_FEW = 4, ALTERNATIONS_MIN = 12 };

static bool
two_counters(const struct host_ids *ids)
{
	return ids->alternations >= ALTERNATIONS_MIN &&
	    ids->low_small * 10 >= ids->low_steps * 9 &&
	    ids->high_small * 10 >= ids->high_steps * 9;
}

/* Do the halves of this host's IP IDs tell its own stack from its NIC's? Only
 * when all that surely comes from the stack is low, still is after other flows
 * went high, and no 16-bit counter is seen to run across the border (NDIS:
 * "Sending Data from an Offload Target"; the wrap test and the whole-host
 * contrast). Unknown rather than guessed. */
void
server_judge_ids(struct server *s)
{
	const struct host_ids *ids = s->host ? &s->host->ids : NULL;

	s->ids_split = false;
	if (!ids) {
		s->ids_why = "nothing was seen of its own";
	} else if (ids->wraps_16) {
		s->ids_why = "its IP IDs are one 16-bit counter: they do not show "
		    "which flows the NIC carries";
	} else if (ids->stack_high * 100 > ids->stack_low) {
		s->ids_why = "its own stack uses the upper IP-ID half too";
	} else if (ids->stack_zero > ids->stack_low) {
		s->ids_why = "its stack sends SYN-ACKs with IP ID 0, as Linux does: "
		    "IP IDs do not show which flows the NIC carries";
	} else if (ids->stack_low < STACK_PACKETS_FEW ||
	    (ids->stack_low < STACK_PACKETS_MIN && !two_counters(ids))) {
		s->ids_why = "too few packets that surely come from its own stack";
	} else if (ids->data_high && !ids->stack_low_after_high) {
		s->ids_why = "its IP IDs went up once and for all";
	} else if (ids->data_high_df_clear * 100 > ids->data_high) {
		s->ids_why = "packets of the upper IP-ID half come without DF, which "
		    "no offload target sends";
	} else {
		s->ids_split = true;
		s->ids_why = "its own stack keeps to the lower IP-ID half";
	}
}

enum stack
server_flow_stack(const struct server *s, const struct flow *f)
{
	const struct tcp_half *v = &f->half[SERVER];
	const struct note *flips = flow_note_find(f, NOTE_ID_FLIP, 0, SERVER);

	if (!s->ids_split || (!v->ids_high && !v->ids_low))
		return STACK_UNKNOWN;
	if (!v->ids_high)
		return STACK_HOST;
	/* host first, NIC later is how an offload looks; to and fro is not */
	if (flips && flips->value[1] && v->ip_id < 0x8000)
		return STACK_MIXED;
	return STACK_OFFLOADED;
}
