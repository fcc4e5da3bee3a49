/* flow.c - the table of flows, and the pooled records that hang off them.
 *
 * The hard part is what to forget. Each flow stands in one of four rings by what
 * it is worth (half-open, closed, UDP, established). A ring has a list for each
 * second, and a flow stands in that of the second in which it was put there. It
 * is not moved when it is heard of again, but when its list is the oldest and is
 * looked at. Time-outs and the limit both take from the oldest lists, so a flood
 * of SYNs pushes out SYNs and never a session that lived through it.
 *
 * The table is one array of tags and flow numbers, probed in order: a look at a
 * tuple that is not there touches no flow, and one that is, that flow alone. */
#include "capture/flow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "capture/flow_rest.h"
#include "capture/hash.h"
#include "capture/slab.h"

/* How long each class is remembered. Half-open: Linux gives a SYN up after
 * 127 s. Closed: TIME_WAIT is 2 to 4 min on Windows; late segments come within
 * the first. Established: Windows' keep-alive comes after 2 h of silence. */
static const int64_t idle_limit_ns[IDLE_CLASSES] = {
	[IDLE_HALF_OPEN] = 130 * NS_PER_S,
	[IDLE_CLOSED] = 60 * NS_PER_S,
	[IDLE_DATAGRAM] = 180 * NS_PER_S,
	[IDLE_ESTABLISHED] = 7800 * NS_PER_S,
};

/* What a flow's number stands for, as long as it lives: where its record is, and
 * who its neighbours are in its idle list. */
struct place {
	uintptr_t record;		/* struct flow; or what is at rest, and
					 * its class and 1 in the low bits; 0:
					 * free, the next one is `newer` */
	uint32_t older, newer;		/* numbers; see struct idle_ring */
	uint32_t idle_second;		/* in which of the ring's lists it is */
	uint32_t heard_second;		/* at rest: of flow.last */
};

enum { CLASS_BITS = REST_UNIT - 1, PLACES_AT_FIRST = 1024 };

_Static_assert((int)REST_CLASSES <= (int)CLASS_BITS, "a class has a number");

struct flow_pool {
	struct place *place;		/* by number, from 1 */
	size_t slots;
	uint32_t made;			/* numbers that ever were */
	uint32_t unused;		/* number of one given back */
	size_t awake, resting_count;
	struct slab flows, resting[REST_CLASSES];
	struct rest_book book;
	struct slab notes;
	uint64_t notes_refused;
	struct slab exchanges;			/* the upper layers' (ulp.h), */
	_Atomic uint64_t exchanges_refused;	/* and so is this */
};

struct flow_pool *
flow_pool_new(void)
{
	struct flow_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->flows.record_bytes = sizeof(struct flow);
	for (unsigned i = 0; i < REST_CLASSES; i++)
		pool->resting[i].record_bytes = rest_bytes(i);
	pool->notes.record_bytes = sizeof(struct note);
	pool->exchanges.record_bytes = sizeof(struct exchange);
	return pool;
}

void
flow_pool_free(struct flow_pool **poolp)
{
	struct flow_pool *pool = *poolp;

	*poolp = NULL;
	if (!pool)
		return;
	free(pool->place);
	slab_release(&pool->flows);
	for (unsigned i = 0; i < REST_CLASSES; i++)
		slab_release(&pool->resting[i]);
	slab_release(&pool->notes);
	slab_release(&pool->exchanges);
	free(pool);
}

static bool
places_grow(struct flow_pool *pool)
{
	size_t more = pool->slots ? pool->slots * 2 : PLACES_AT_FIRST;
	struct place *grown;

	if (more > UINT32_MAX)
		return false;
	grown = slab_array(more * sizeof(*grown));
	if (!grown)
		return false;
	if (pool->place)
		memcpy(grown, pool->place, pool->slots * sizeof(*grown));
	free(pool->place);
	pool->place = grown;
	pool->slots = more;
	return true;
}

static uint32_t
place_take(struct flow_pool *pool)
{
	uint32_t number = pool->unused;

	if (number) {
		pool->unused = pool->place[number].newer;
		return number;
	}
	if (pool->made + (size_t)1 >= pool->slots && !places_grow(pool))
		return 0;
	return ++pool->made;
}

static void
place_give(struct flow_pool *pool, uint32_t number)
{
	pool->place[number].record = 0;
	pool->place[number].newer = pool->unused;
	pool->unused = number;
}

struct flow *
flow_pool_flow(struct flow_pool *pool)
{
	struct flow *f = slab_take(&pool->flows);

	if (!f)
		return NULL;
	f->number = place_take(pool);
	if (!f->number) {
		slab_give(&pool->flows, f);
		return NULL;
	}
	pool->place[f->number] = (struct place){ .record = (uintptr_t)f };
	pool->awake++;
	return f;
}

void
flow_release(struct flow_pool *pool, struct flow *f)
{
	while (f->notes) {
		struct note *n = f->notes;

		f->notes = n->next;
		slab_give(&pool->notes, n);
	}
	while (f->waiting)
		exchange_close(pool, f, f->waiting);
	place_give(pool, f->number);
	slab_give(&pool->flows, f);
	pool->awake--;
}

/* --- at rest ------------------------------------------------------------------- */

static uint32_t
second_of(struct instant t)
{
	return (uint32_t)(t.ns / NS_PER_S);	/* engine.c: below 2^32 */
}

static bool
is_at_rest(const struct place *at)
{
	return at->record & CLASS_BITS;
}

static unsigned
class_at(const struct place *at)
{
	return (unsigned)(at->record & CLASS_BITS) - 1;
}

static void *
record_at(const struct place *at)
{
	return (void *)(at->record & ~(uintptr_t)CLASS_BITS);
}

void
flow_rest(struct flow_pool *pool, struct flow *f)
{
	struct place *at = &pool->place[f->number];
	uint8_t packed[REST_ROOM];
	uint32_t second = second_of(f->last);
	int class = rest_pack(&pool->book, f, second, packed);
	void *record = class < 0 ? NULL :
	    slab_take_raw(&pool->resting[class]);

	if (!record)
		return;
	memcpy(record, packed, REST_FIRST);
	if (class)
		memcpy((char *)record + REST_FIRST, packed + REST_FIRST,
		    rest_bytes((unsigned)class) - REST_FIRST);
	at->record = (uintptr_t)record | (unsigned)(class + 1);
	at->heard_second = second;
	slab_give(&pool->flows, f);
	pool->awake--;
	pool->resting_count++;
}

static __attribute__((noinline)) struct flow *
wake_from_rest(struct flow_pool *pool, uint32_t number)
{
	struct place *at = &pool->place[number];
	struct flow *f = slab_take_raw(&pool->flows);

	if (!f)
		return NULL;
	rest_unpack(&pool->book, record_at(at), class_at(at), at->heard_second, f);
	f->number = number;
	slab_give(&pool->resting[class_at(at)], record_at(at));
	at->record = (uintptr_t)f;
	pool->awake++;
	pool->resting_count--;
	return f;
}

/* Most are awake. NULL: no memory. */
static inline struct flow *
wake(struct flow_pool *pool, uint32_t number)
{
	const struct place *at = &pool->place[number];

	return is_at_rest(at) ? wake_from_rest(pool, number) : record_at(at);
}

struct flow *
flow_awake(const struct flow_pool *pool, uint32_t number)
{
	const struct place *at = &pool->place[number];

	return is_at_rest(at) ? NULL : record_at(at);
}

size_t
flow_pool_awake(const struct flow_pool *pool)
{
	return pool->awake;
}

size_t
flow_pool_count(const struct flow_pool *pool)
{
	return pool->awake + pool->resting_count;
}

/* The place may be free by now: then there is no record, and nothing is touched. */
static void
fetch_record(const struct flow_pool *pool, uint32_t number)
{
	const struct place *at = &pool->place[number];

	fetch_bytes(record_at(at), is_at_rest(at) ? rest_bytes(class_at(at)) :
	    sizeof(struct flow));
}

/* --- what hangs off them --------------------------------------------------------- */

struct note *
flow_note_among(struct note *n, unsigned what, unsigned kind, enum side side)
{
	for (; n; n = n->next)
		if (n->what == what && n->kind == kind && n->side == side)
			return n;
	return NULL;
}

struct note *
flow_note(struct flow_pool *pool, struct flow *f, unsigned what, unsigned kind,
    enum side side)
{
	unsigned count = 0;
	struct note *n;

	for (n = f->notes; n; n = n->next, count++)
		if (n->what == what && n->kind == kind && n->side == side)
			return n;
	n = count < NOTES_PER_FLOW ? slab_take(&pool->notes) : NULL;
	if (!n) {
		pool->notes_refused++;
		return NULL;
	}
	n->what = (uint16_t)what;
	n->kind = (uint8_t)kind;
	n->side = (uint8_t)side;
	n->next = f->notes;
	n->among = note_bit(what) | flow_note_bits(f);
	f->notes = n;
	return n;
}

void
note_add(struct note *n, struct instant t, uint64_t frame)
{
	if (!n->count)
		n->first = t;
	n->last = t;
	n->count++;
	if (n->frame_count < NOTE_FRAMES)
		n->frame[n->frame_count++] = frame;
	else
		n->frame[NOTE_FRAMES - 1] = frame;
}

void
note_restart(struct note *n)
{
	n->count = 0;
	n->frame_count = 0;
	n->open = true;
	memset(n->value, 0, sizeof(n->value));
}

struct exchange *
exchange_open(struct flow_pool *pool, struct flow *f, uint64_t key,
    uint32_t label, unsigned flags)
{
	struct exchange *x;

	if (f->waiting_count >= EXCHANGES_PER_FLOW) {
		pool->exchanges_refused++;
		exchange_close(pool, f, f->waiting);
	}
	x = slab_take(&pool->exchanges);
	if (!x)
		return NULL;
	x->key = key;
	x->label = label;
	x->flags = (uint16_t)flags;
	if (f->waiting_last)
		f->waiting_last->next = x;
	else
		f->waiting = x;
	f->waiting_last = x;
	f->waiting_count++;
	return x;
}

struct exchange *
exchange_find(const struct flow *f, uint64_t key)
{
	for (struct exchange *x = f->waiting; x; x = x->next)
		if (x->key == key && !(x->flags & EXCHANGE_TURN))
			return x;
	return NULL;
}

void
exchange_close(struct flow_pool *pool, struct flow *f, struct exchange *x)
{
	struct exchange **link = &f->waiting, *before = NULL;

	while (*link && *link != x) {
		before = *link;
		link = &before->next;
	}
	assert(*link == x);
	*link = x->next;
	if (f->waiting_last == x)
		f->waiting_last = before;
	f->waiting_count--;
	slab_give(&pool->exchanges, x);
}

void
exchange_close_all(struct flow_pool *pool, struct flow *f, unsigned mask,
    unsigned flags)
{
	struct exchange *next;

	for (struct exchange *x = f->waiting; x; x = next) {
		next = x->next;
		if ((x->flags & mask) == flags)
			exchange_close(pool, f, x);
	}
}

int64_t
half_rto_ns(const struct tcp_half *h)
{
	int64_t rto;

	if (!h->srtt_us)
		return 3 * NS_PER_S;	/* RFC 1122, 4.2.3.1; Windows 2003 */
	rto = ((int64_t)h->srtt_us + 4 * (int64_t)h->rttvar_us) * NS_PER_US;
	return rto < 300 * NS_PER_MS ? 300 * NS_PER_MS : rto;
}

const char *
flow_end_name(enum flow_end end)
{
	switch (end) {
	case FLOW_END_FIN: return "fin";
	case FLOW_END_RST: return "rst";
	case FLOW_END_TIMEOUT: return "timeout";
	case FLOW_END_EVICTED: return "evicted";
	case FLOW_END_REUSED: return "fin";	/* the new SYN proves it over */
	case FLOW_END_CAPTURE: return "end_of_capture";
	case FLOW_END_NONE: break;
	}
	return "end_of_capture";
}

const char *
flow_state_name(enum flow_state state)
{
	switch (state) {
	case FLOW_NEW: return "new";
	case FLOW_ESTABLISHED: return "established";
	case FLOW_CLOSING: case FLOW_CLOSED: break;
	}
	return "closed";
}

/* One list a second, of flow numbers, for so many seconds from `first` on that
 * the limit and the longest stride of time (engine.c) fit in. A list begins with
 * its head, whose `older` is its end; the end's `newer` is 0. */
struct idle_ring {
	uint32_t *head;
	uint32_t slots;			/* a power of two */
	uint32_t first;			/* nothing stands before this second */
	size_t count;
};

struct entry {
	uint32_t tag;			/* low half of the hash */
	uint32_t number;		/* of the flow; 0: free */
};

struct flow_table {
	struct flow_pool *pool;
	struct entry *entry;
	size_t mask;			/* one less than a power of two */
	size_t limit;
	uint64_t key[2];		/* so that collisions cannot be planned */
	uint64_t next_id;
	struct idle_ring idle[IDLE_CLASSES];
	uint32_t *leaving;		/* lists of flow numbers, by `newer`; NULL: */
	size_t leaving_lists, leaving_at; /* flow_finish_some has not begun */
	uint32_t leaving_all;		/* where there is no memory for more lists */
	void (*ended)(void *, struct flow *);
	void *ended_context;
	struct flow_stats stats;
};

enum { ENTRIES_AT_FIRST = 4096, STRIDE_MAX_S = 3600 };

static bool
ring_init(struct idle_ring *r, int64_t limit_ns)
{
	for (r->slots = 64; r->slots < limit_ns / NS_PER_S + STRIDE_MAX_S + 2;)
		r->slots *= 2;
	r->head = calloc(r->slots, sizeof(*r->head));
	return r->head != NULL;
}

struct flow_table *
flow_table_new(size_t limit, struct flow_pool *pool)
{
	struct flow_table *t = calloc(1, sizeof(*t));
	bool failed = false;

	if (!t)
		return NULL;
	t->limit = limit;
	t->pool = pool;
	t->mask = ENTRIES_AT_FIRST - 1;
	t->entry = calloc(t->mask + 1, sizeof(*t->entry));
	for (int c = 0; c < IDLE_CLASSES; c++)
		failed |= !ring_init(&t->idle[c], idle_limit_ns[c]);
	if (!t->entry || failed) {
		flow_table_free(&t);
		return NULL;
	}
	t->key[0] = hash_key();
	t->key[1] = hash_key();
	return t;
}

static void leaving_end(struct flow_table *);

void
flow_table_free(struct flow_table **tp)
{
	struct flow_table *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	for (int c = 0; c < IDLE_CLASSES; c++)
		free(t->idle[c].head);
	leaving_end(t);
	free(t->entry);
	free(t);
}

void
flow_table_on_end(struct flow_table *t, void (*ended)(void *, struct flow *),
    void *context)
{
	t->ended = ended;
	t->ended_context = context;
}

void
flow_table_stats(const struct flow_table *t, struct flow_stats *out)
{
	*out = t->stats;
	out->notes_refused = t->pool->notes_refused;
	out->exchanges_refused = t->pool->exchanges_refused;
}

/* --- finding ------------------------------------------------------------------ */

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide product = (wide)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t
endpoint_hash(const struct flow_table *t, const struct address *a, uint16_t port)
{
	uint64_t half[2];

	memcpy(half, a->octet, sizeof(half));
	/* the port by the key, not by the address: who owns an IPv6 network could
	 * undo the one with the other */
	return mix(half[0] ^ t->key[0], mix(half[1] ^ t->key[1], t->key[0] ^ port));
}

/* The same for both directions. */
static uint64_t
ends_hash(uint64_t a, uint64_t b, uint8_t protocol)
{
	return mix((a + b) ^ protocol, (a ^ b) | 1);
}

static uint64_t
tuple_hash(const struct flow_table *t, const struct packet *p)
{
	return ends_hash(endpoint_hash(t, &p->src, p->sport),
	    endpoint_hash(t, &p->dst, p->dport), p->protocol);
}

static uint32_t
tag_of(const struct flow_table *t, const struct packet *p)
{
	return (uint32_t)(p->flow_hash ? p->flow_hash : tuple_hash(t, p));
}

static uint32_t
network_of(const struct packet *p)
{
	return p->tunnels & (TUNNEL_VXLAN | TUNNEL_GENEVE) ? p->tunnel_id : 0;
}

static bool
same_endpoint(const struct flow *f, enum side s, const struct address *a,
    uint16_t port)
{
	return f->port[s] == port &&
	    memcmp(f->addr[s].octet, a->octet, sizeof(a->octet)) == 0;
}

static bool
is_flow_of(const struct flow *f, const struct packet *p, enum side *side)
{
	if (f->protocol != p->protocol || f->tunnel_id != network_of(p))
		return false;
	for (int s = CLIENT; s <= SERVER; s++) {
		if (same_endpoint(f, (enum side)s, &p->src, p->sport) &&
		    same_endpoint(f, other_side((enum side)s), &p->dst,
		    p->dport)) {
			*side = (enum side)s;
			return true;
		}
	}
	return false;
}

void
flow_hash(const struct flow_table *t, struct packet *p)
{
	p->flow_hash = tuple_hash(t, p);
}

void
flow_prepare(const struct flow_table *t, const struct packet *p)
{
	fetch_line(&t->entry[(uint32_t)p->flow_hash & t->mask]);
}

uint32_t
flow_foresee(const struct flow_table *t, const struct packet *p)
{
	uint32_t tag = (uint32_t)p->flow_hash;

	for (size_t i = tag & t->mask; t->entry[i].number; i = (i + 1) & t->mask) {
		if (t->entry[i].tag != tag)
			continue;
		fetch_line(&t->pool->place[t->entry[i].number]);
		return t->entry[i].number;
	}
	return 0;
}

void
flow_prefetch(const struct flow_table *t, uint32_t number)
{
	fetch_record(t->pool, number);
}

const struct flow *
flow_foreseen(struct flow_table *t, uint32_t number)
{
	return wake(t->pool, number);
}

struct flow *
flow_find(struct flow_table *t, const struct packet *p, enum side *side)
{
	uint32_t tag = tag_of(t, p);

	for (size_t i = tag & t->mask; t->entry[i].number; i = (i + 1) & t->mask) {
		struct flow *f;

		if (t->entry[i].tag != tag)
			continue;
		f = wake(t->pool, t->entry[i].number);
		if (f && is_flow_of(f, p, side))
			return f;
	}
	return NULL;
}

struct flow *
flow_find_foreseen(struct flow_table *t, uint32_t number, const struct packet *p,
    enum side *side)
{
	struct flow *f = number ? flow_awake(t->pool, number) : NULL;

	if (f && !(f->flags & FLOW_ENDED) && is_flow_of(f, p, side))
		return f;
	return flow_find(t, p, side);
}

static void
entry_put(struct entry *entry, size_t mask, struct entry e)
{
	size_t i = e.tag & mask;

	while (entry[i].number)
		i = (i + 1) & mask;
	entry[i] = e;
}

/* Twice the room before three quarters of it are used. */
static bool
table_grow(struct flow_table *t)
{
	size_t more = (t->mask + 1) * 2;
	struct entry *entry;

	if (t->stats.now < (t->mask + 1) / 4 * 3)
		return true;
	entry = slab_array(more * sizeof(*entry));
	if (!entry)			/* a longer way, as long as one is free */
		return t->stats.now < t->mask;
	memset(entry, 0, more * sizeof(*entry));
	for (size_t i = 0; i <= t->mask; i++)
		if (t->entry[i].number)
			entry_put(entry, more - 1, t->entry[i]);
	free(t->entry);
	t->entry = entry;
	t->mask = more - 1;
	return true;
}

/* Where the search for it begins. */
static size_t
home_of(const struct flow_table *t, const struct flow *f)
{
	return (uint32_t)ends_hash(
	    endpoint_hash(t, &f->addr[CLIENT], f->port[CLIENT]),
	    endpoint_hash(t, &f->addr[SERVER], f->port[SERVER]),
	    f->protocol) & t->mask;
}

/* What stands behind it and would be found through its place moves up. */
static void
table_remove(struct flow_table *t, const struct flow *f)
{
	size_t gap = home_of(t, f), i;

	while (t->entry[gap].number != f->number)
		gap = (gap + 1) & t->mask;
	for (i = (gap + 1) & t->mask; t->entry[i].number; i = (i + 1) & t->mask) {
		size_t home = t->entry[i].tag & t->mask;

		if (((i - home) & t->mask) < ((i - gap) & t->mask))
			continue;
		t->entry[gap] = t->entry[i];
		gap = i;
	}
	t->entry[gap].number = 0;
}

/* --- forgetting ----------------------------------------------------------------- */

static enum idle_class
class_of(const struct flow *f)
{
	if (f->protocol != IP_TCP)
		return IDLE_DATAGRAM;
	if (f->state == FLOW_NEW)
		return IDLE_HALF_OPEN;
	return f->state == FLOW_CLOSED ? IDLE_CLOSED : IDLE_ESTABLISHED;
}

static uint32_t *
list_of(struct idle_ring *r, uint32_t second)
{
	return &r->head[second & (r->slots - 1)];
}

static void
list_append(struct flow_table *t, uint32_t *head, uint32_t number)
{
	struct place *place = t->pool->place, *at = &place[number];

	at->newer = 0;
	if (!*head) {
		*head = at->older = number;
		return;
	}
	at->older = place[*head].older;
	place[at->older].newer = number;
	place[*head].older = number;
}

static void
list_remove(struct flow_table *t, uint32_t *head, uint32_t number)
{
	struct place *place = t->pool->place;
	const struct place *at = &place[number];

	if (*head == number)
		*head = at->newer;
	else
		place[at->older].newer = at->newer;
	if (at->newer)
		place[at->newer].older = at->older;
	else if (*head)
		place[*head].older = at->older;
}

/* Time went further than the ring reaches and nobody asked what is overdue: what
 * stands in it goes to the oldest second that it can have. */
static void
ring_turn(struct flow_table *t, struct idle_ring *r, uint32_t second)
{
	uint32_t first = second - r->slots + 1, all = 0;

	for (uint32_t i = 0; i < r->slots; i++) {
		uint32_t *head = list_of(r, r->first + i), number;

		while ((number = *head)) {
			list_remove(t, head, number);
			t->pool->place[number].idle_second = first;
			list_append(t, &all, number);
		}
	}
	*list_of(r, first) = all;
	r->first = first;
}

static void
idle_append(struct flow_table *t, struct idle_ring *r, uint32_t number,
    uint32_t second)
{
	if (!r->count++)
		r->first = second;
	if (second < r->first)
		second = r->first;
	if (second - r->first >= r->slots)
		ring_turn(t, r, second);
	t->pool->place[number].idle_second = second;
	list_append(t, list_of(r, second), number);
}

static void
idle_remove(struct flow_table *t, struct idle_ring *r, uint32_t number)
{
	list_remove(t, list_of(r, t->pool->place[number].idle_second), number);
	r->count--;
}

/* It was heard of since it was put where it stands. */
static bool
idle_catch_up(struct flow_table *t, struct idle_ring *r, uint32_t number)
{
	const struct place *at = &t->pool->place[number];
	uint32_t second = is_at_rest(at) ? at->heard_second :
	    second_of(flow_awake(t->pool, number)->last);

	if (second <= at->idle_second)
		return false;
	idle_remove(t, r, number);
	idle_append(t, r, number, second);
	return true;
}

/* The number of the one longest unheard of, to the second; of those put there
 * first; 0: there is none. */
static uint32_t
ring_oldest(struct flow_table *t, struct idle_ring *r)
{
	while (r->count) {
		uint32_t number = *list_of(r, r->first);

		if (!number)
			r->first++;
		else if (!idle_catch_up(t, r, number))
			return number;
	}
	return 0;
}

/* Half-open flows may have this share of all, but so many at least: a service
 * has some hundreds of them. More are a flood, which need not fill the memory
 * (and the caches) that sessions want. */
enum { HALF_OPEN_SHARE = 4, HALF_OPEN_MIN = 16384 };

static bool
is_flooded(const struct flow_table *t)
{
	size_t half_open = t->idle[IDLE_HALF_OPEN].count;

	return half_open >= HALF_OPEN_MIN &&
	    half_open >= t->limit / HALF_OPEN_SHARE;
}

/* In a flood each new flow costs the oldest one, which nobody has looked at for
 * long. Have the one after next fetched, and where the next stands in the table:
 * it was the one after next when its predecessor went. */
static void
fetch_next_victims(const struct flow_table *t, uint32_t number)
{
	uint32_t next = t->pool->place[number].newer, after;
	const struct flow *f = next ? flow_awake(t->pool, next) : NULL;

	if (!next)
		return;
	after = t->pool->place[next].newer;
	if (after)
		fetch_record(t->pool, after);
	if (f)
		fetch_line(&t->entry[home_of(t, f)]);
}

static void
make_room(struct flow_table *t)
{
	for (int c = 0; c < IDLE_CLASSES; c++) {
		uint32_t number = ring_oldest(t, &t->idle[c]);
		struct flow *f = number ? wake(t->pool, number) : NULL;

		if (!f)
			continue;
		if (c == IDLE_ESTABLISHED)
			t->stats.evicted_established++;
		else
			t->stats.evicted_half_open++;
		fetch_next_victims(t, number);
		flow_finish(t, f, FLOW_END_EVICTED);
		return;
	}
}

struct flow *
flow_create(struct flow_table *t, const struct packet *p, enum side sender)
{
	struct flow *f;

	if (t->stats.now >= t->limit || is_flooded(t))
		make_room(t);
	f = table_grow(t) ? flow_pool_flow(t->pool) : NULL;
	if (!f)
		return NULL;
	f->addr[sender] = p->src;
	f->port[sender] = p->sport;
	f->addr[other_side(sender)] = p->dst;
	f->port[other_side(sender)] = p->dport;
	f->tunnel_id = network_of(p);
	f->protocol = p->protocol;
	f->id = ++t->next_id;
	f->first_frame = p->frame;
	f->file = p->file;
	f->half[CLIENT].shift = f->half[SERVER].shift = SHIFT_UNKNOWN;
	f->last = p->time;
	entry_put(t->entry, t->mask, (struct entry){ tag_of(t, p),
	    f->number });
	f->idle_class = (uint8_t)class_of(f);
	idle_append(t, &t->idle[f->idle_class], f->number, second_of(f->last));
	t->stats.created++;
	if (++t->stats.now > t->stats.peak)
		t->stats.peak = t->stats.now;
	return f;
}

void
flow_heard(struct flow_table *t, struct flow *f, struct instant now)
{
	f->last = now;
	if (f->idle_class != class_of(f))
		flow_reclass(t, f);
}

void
flow_reclass(struct flow_table *t, struct flow *f)
{
	idle_remove(t, &t->idle[f->idle_class], f->number);
	f->idle_class = (uint8_t)class_of(f);
	idle_append(t, &t->idle[f->idle_class], f->number, second_of(f->last));
}

/* So many before the turn of one in a list, its record is fetched; and half as
 * many before, where it stands in the table. */
enum { LEAVING_AHEAD = 8 };

/* Returns the next in the list; 0: the end, and then of that. */
static uint32_t
fetch_listed(const struct flow_pool *pool, uint32_t number)
{
	if (!number)
		return 0;
	fetch_record(pool, number);
	return pool->place[number].newer;
}

static uint32_t
fetch_home(const struct flow_table *t, uint32_t number)
{
	const struct flow *f = number ? flow_awake(t->pool, number) : NULL;

	if (f)
		fetch_line(&t->entry[home_of(t, f)]);
	return number ? t->pool->place[number].newer : 0;
}

/* What is overdue in the oldest list; the rest goes where it belongs. False when
 * something stays. */
static bool
expire_oldest(struct flow_table *t, struct idle_ring *r, struct instant last)
{
	uint32_t second = r->first, number = *list_of(r, second);
	uint32_t ahead = number, halfway;

	for (int i = 0; i < LEAVING_AHEAD / 2; i++)
		ahead = fetch_listed(t->pool, ahead);
	halfway = ahead;
	for (int i = 0; i < LEAVING_AHEAD / 2; i++)
		ahead = fetch_listed(t->pool, ahead);
	while (number) {
		uint32_t this = number;
		struct flow *f;

		ahead = fetch_listed(t->pool, ahead);
		halfway = fetch_home(t, halfway);
		number = t->pool->place[this].newer;
		if (idle_catch_up(t, r, this))
			continue;
		f = wake(t->pool, this);
		if (!f || !instant_before(f->last, last))
			continue;
		t->stats.timed_out++;
		flow_finish(t, f, FLOW_END_TIMEOUT);
	}
	if (*list_of(r, second))
		return false;
	if (r->first == second)
		r->first++;
	return true;
}

void
flow_expire(struct flow_table *t, struct instant now)
{
	for (int c = 0; c < IDLE_CLASSES; c++) {
		struct instant last = instant_plus(now, -idle_limit_ns[c]);
		struct idle_ring *r = &t->idle[c];

		while (last.ns > 0 && r->count && r->first <= second_of(last) &&
		    expire_oldest(t, r, last))
			;
	}
}

/* It stands neither in the table nor in a ring any more. */
static void
leave(struct flow_table *t, struct flow *f, enum flow_end how)
{
	t->stats.now--;
	/* how it closed on the wire says more than that it was forgotten */
	if (f->end == FLOW_END_NONE)
		f->end = (uint8_t)how;
	f->flags |= FLOW_ENDED;
	if (t->ended)
		t->ended(t->ended_context, f);
}

void
flow_finish(struct flow_table *t, struct flow *f, enum flow_end how)
{
	idle_remove(t, &t->idle[f->idle_class], f->number);
	table_remove(t, f);
	leave(t, f, how);
}

/* --- all of them ------------------------------------------------------------------ */

/* So many end together, and no more than a list more: all that most captures have
 * left, and few enough that they are still at hand when they are judged and freed. */
enum { LEAVE_TOGETHER = 8192, LEAVING_IDS = 4096, LEAVING_LISTS_MAX = 65536 };

/* 0: it is not there, or has ended. */
static uint64_t
living_id(const struct flow_pool *pool, uint32_t number)
{
	const struct place *at = &pool->place[number];
	const struct flow *f;

	if (!at->record)
		return 0;
	if (is_at_rest(at))
		return rest_id(record_at(at));
	f = record_at(at);
	return f->flags & FLOW_ENDED ? 0 : f->id;
}

/* By id, so many ids a list. */
static void
leaving_begin(struct flow_table *t)
{
	const struct flow_pool *pool = t->pool;
	size_t lists = (size_t)(t->next_id / LEAVING_IDS) + 1;
	uint64_t ids;

	if (lists > LEAVING_LISTS_MAX)
		lists = LEAVING_LISTS_MAX;
	t->leaving = calloc(lists, sizeof(*t->leaving));
	if (!t->leaving) {
		t->leaving = &t->leaving_all;
		lists = 1;
	}
	t->leaving_lists = lists;
	t->leaving_at = 0;
	ids = t->next_id / lists + 1;
	for (uint32_t number = 1; number <= pool->made; number++) {
		uint64_t id = living_id(pool, number);
		uint32_t *list = &t->leaving[id / ids];

		if (number + LEAVING_AHEAD <= pool->made)
			fetch_record(pool, number + LEAVING_AHEAD);
		if (!id)
			continue;
		pool->place[number].newer = *list;
		*list = number;
	}
	memset(t->entry, 0, (t->mask + 1) * sizeof(*t->entry));
	for (int c = 0; c < IDLE_CLASSES; c++) {
		struct idle_ring *r = &t->idle[c];

		memset(r->head, 0, r->slots * sizeof(*r->head));
		r->count = 0;
	}
}

static void
leaving_end(struct flow_table *t)
{
	if (t->leaving != &t->leaving_all)
		free(t->leaving);
	t->leaving = NULL;
	t->leaving_all = 0;
}

/* Returns how many. One that cannot be woken (there is no memory) waits in `late`
 * for those that ended now to be gone. */
static size_t
leave_together(struct flow_table *t, uint32_t *list, uint32_t *late,
    enum flow_end how)
{
	uint32_t number = *list, ahead = number;
	size_t count = 0;

	*list = 0;
	for (int i = 0; i < LEAVING_AHEAD; i++)
		ahead = fetch_listed(t->pool, ahead);
	while (number) {
		struct place *at = &t->pool->place[number];
		uint32_t next = at->newer;
		struct flow *f;

		ahead = fetch_listed(t->pool, ahead);
		f = wake(t->pool, number);
		if (f) {
			leave(t, f, how);
			count++;
		} else {
			at->newer = *late;
			*late = number;
		}
		number = next;
	}
	return count;
}

bool
flow_finish_some(struct flow_table *t, enum flow_end how)
{
	size_t count = 0, *at = &t->leaving_at, last;

	if (!t->leaving && !t->stats.now)
		return false;
	if (!t->leaving)
		leaving_begin(t);
	last = t->leaving_lists - 1;
	while (count < LEAVE_TOGETHER && *at < last) {
		count += leave_together(t, &t->leaving[*at],
		    &t->leaving[*at + 1], how);
		++*at;
	}
	if (count < LEAVE_TOGETHER)
		count += leave_together(t, &t->leaving[last],
		    &t->leaving[last], how);
	while (*at < last && !t->leaving[*at])
		++*at;
	if (t->leaving[*at] && count)
		return true;
	leaving_end(t);
	return false;
}
