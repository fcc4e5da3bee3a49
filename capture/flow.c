/* flow.c - the table of flows, and the pooled records that hang off them.
 *
 * The hard part is what to forget. Each flow stands in one of four lists by
 * what it is worth (half-open, closed, UDP, established), in the order in which
 * they were last heard of; time-outs and the limit both take from the heads, so
 * a flood of SYNs pushes out SYNs and never a session that lived through it. */
#include "capture/flow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "capture/hash.h"

enum idle_class { IDLE_HALF_OPEN, IDLE_CLOSED, IDLE_DATAGRAM, IDLE_ESTABLISHED,
	IDLE_CLASSES };

/* How long each class is remembered. Half-open: Linux gives a SYN up after
 * 127 s. Closed: TIME_WAIT is 2 to 4 min on Windows; late segments come within
 * the first. Established: Windows' keep-alive comes after 2 h of silence. */
static const int64_t idle_limit_ns[IDLE_CLASSES] = {
	[IDLE_HALF_OPEN] = 130 * NS_PER_S,
	[IDLE_CLOSED] = 60 * NS_PER_S,
	[IDLE_DATAGRAM] = 180 * NS_PER_S,
	[IDLE_ESTABLISHED] = 7800 * NS_PER_S,
};

/* Records of one size, carved from blocks and reused; never given back to the
 * system before the end. */
struct slab {
	size_t record_bytes;
	void *unused;			/* linked through their first word */
	void *blocks;			/* likewise */
};

enum { SLAB_BLOCK_RECORDS = 256 };

static void *
slab_take(struct slab *s)
{
	void *record;

	if (!s->unused) {
		size_t head = sizeof(max_align_t);
		char *block = malloc(head + s->record_bytes * SLAB_BLOCK_RECORDS);

		if (!block)
			return NULL;
		*(void **)(void *)block = s->blocks;
		s->blocks = block;
		for (size_t i = SLAB_BLOCK_RECORDS; i-- > 0;) {
			void *r = block + head + i * s->record_bytes;

			*(void **)r = s->unused;
			s->unused = r;
		}
	}
	record = s->unused;
	s->unused = *(void **)record;
	memset(record, 0, s->record_bytes);
	return record;
}

static void
slab_give(struct slab *s, void *record)
{
	*(void **)record = s->unused;
	s->unused = record;
}

static void
slab_release(struct slab *s)
{
	while (s->blocks) {
		void *block = s->blocks;

		s->blocks = *(void **)block;
		free(block);
	}
	s->unused = NULL;
}

struct flow_pool {
	struct slab flows, notes, exchanges;
	uint64_t notes_refused, exchanges_refused;
};

struct flow_pool *
flow_pool_new(void)
{
	struct flow_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->flows.record_bytes = sizeof(struct flow);
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
	slab_release(&pool->flows);
	slab_release(&pool->notes);
	slab_release(&pool->exchanges);
	free(pool);
}

struct flow *
flow_pool_flow(struct flow_pool *pool)
{
	return slab_take(&pool->flows);
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
	slab_give(&pool->flows, f);
}

struct note *
flow_note_find(const struct flow *f, unsigned what, unsigned kind, enum side side)
{
	for (struct note *n = f->notes; n; n = n->next)
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

struct idle_list {
	struct flow *oldest, *newest;
};

struct flow_table {
	struct flow_pool *pool;
	struct flow **bucket;
	size_t buckets;			/* a power of two */
	size_t limit;
	uint64_t key[2];		/* so that collisions cannot be planned */
	uint64_t next_id;
	struct idle_list idle[IDLE_CLASSES];
	void (*ended)(void *, struct flow *);
	void *ended_context;
	struct flow_stats stats;
};

struct flow_table *
flow_table_new(size_t limit, struct flow_pool *pool)
{
	struct flow_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->limit = limit;
	t->pool = pool;
	t->buckets = 4096;
	t->bucket = calloc(t->buckets, sizeof(struct flow *));
	if (!t->bucket) {
		free(t);
		return NULL;
	}
	t->key[0] = hash_key();
	t->key[1] = hash_key();
	return t;
}

void
flow_table_free(struct flow_table **tp)
{
	struct flow_table *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	free(t->bucket);
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
	return mix(half[0] ^ t->key[0], mix(half[1] ^ port ^ t->key[1], t->key[0]));
}

/* The same for both directions. */
static uint64_t
tuple_hash(const struct flow_table *t, const struct packet *p)
{
	uint64_t a = endpoint_hash(t, &p->src, p->sport);
	uint64_t b = endpoint_hash(t, &p->dst, p->dport);

	return mix((a + b) ^ p->protocol, (a ^ b) | 1);
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

struct flow *
flow_find(struct flow_table *t, const struct packet *p, enum side *side)
{
	uint64_t hash = tuple_hash(t, p);
	struct flow *f = t->bucket[hash & (t->buckets - 1)];

	for (; f; f = f->hash_next) {
		if (f->hash != hash || f->protocol != p->protocol ||
		    f->tunnel_id != network_of(p))
			continue;
		for (int s = CLIENT; s <= SERVER; s++) {
			if (same_endpoint(f, (enum side)s, &p->src, p->sport) &&
			    same_endpoint(f, other_side((enum side)s), &p->dst,
			    p->dport)) {
				*side = (enum side)s;
				return f;
			}
		}
	}
	return NULL;
}

static void
grow_buckets(struct flow_table *t)
{
	size_t more = t->buckets * 2;
	struct flow **bucket = calloc(more, sizeof(struct flow *));

	if (!bucket)
		return;			/* longer chains, no harm */
	for (size_t i = 0; i < t->buckets; i++) {
		while (t->bucket[i]) {
			struct flow *f = t->bucket[i];

			t->bucket[i] = f->hash_next;
			f->hash_next = bucket[f->hash & (more - 1)];
			bucket[f->hash & (more - 1)] = f;
		}
	}
	free(t->bucket);
	t->bucket = bucket;
	t->buckets = more;
}

static enum idle_class
class_of(const struct flow *f)
{
	if (f->protocol != IP_TCP)
		return IDLE_DATAGRAM;
	if (f->state == FLOW_NEW)
		return IDLE_HALF_OPEN;
	return f->state == FLOW_CLOSED ? IDLE_CLOSED : IDLE_ESTABLISHED;
}

static void
idle_remove(struct flow_table *t, struct flow *f)
{
	struct idle_list *list = &t->idle[f->idle_class];

	if (f->older)
		f->older->newer = f->newer;
	else
		list->oldest = f->newer;
	if (f->newer)
		f->newer->older = f->older;
	else
		list->newest = f->older;
}

static void
idle_append(struct flow_table *t, struct flow *f)
{
	struct idle_list *list = &t->idle[f->idle_class];

	f->older = list->newest;
	f->newer = NULL;
	if (list->newest)
		list->newest->newer = f;
	else
		list->oldest = f;
	list->newest = f;
}

static void
make_room(struct flow_table *t)
{
	for (int c = 0; c < IDLE_CLASSES; c++) {
		struct flow *f = t->idle[c].oldest;

		if (!f)
			continue;
		if (c == IDLE_ESTABLISHED)
			t->stats.evicted_established++;
		else
			t->stats.evicted_half_open++;
		flow_finish(t, f, FLOW_END_EVICTED);
		return;
	}
}

struct flow *
flow_create(struct flow_table *t, const struct packet *p, enum side sender)
{
	struct flow *f;

	if (t->stats.now >= t->limit)
		make_room(t);
	f = flow_pool_flow(t->pool);
	if (!f)
		return NULL;
	f->hash = tuple_hash(t, p);
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
	if (t->stats.now >= t->buckets)
		grow_buckets(t);
	f->hash_next = t->bucket[f->hash & (t->buckets - 1)];
	t->bucket[f->hash & (t->buckets - 1)] = f;
	f->idle_class = (uint8_t)class_of(f);
	idle_append(t, f);
	t->stats.created++;
	if (++t->stats.now > t->stats.peak)
		t->stats.peak = t->stats.now;
	return f;
}

void
flow_heard(struct flow_table *t, struct flow *f, struct instant now)
{
	f->last = now;
	if (t->idle[f->idle_class].newest == f && f->idle_class == class_of(f))
		return;
	flow_reclass(t, f);
}

void
flow_reclass(struct flow_table *t, struct flow *f)
{
	idle_remove(t, f);
	f->idle_class = (uint8_t)class_of(f);
	idle_append(t, f);
}

void
flow_expire(struct flow_table *t, struct instant now)
{
	for (int c = 0; c < IDLE_CLASSES; c++) {
		struct flow *f;

		while ((f = t->idle[c].oldest) &&
		    instant_since(now, f->last) > idle_limit_ns[c]) {
			t->stats.timed_out++;
			flow_finish(t, f, FLOW_END_TIMEOUT);
		}
	}
}

void
flow_finish(struct flow_table *t, struct flow *f, enum flow_end how)
{
	struct flow **link = &t->bucket[f->hash & (t->buckets - 1)];

	while (*link != f)
		link = &(*link)->hash_next;
	*link = f->hash_next;
	idle_remove(t, f);
	t->stats.now--;
	/* how it closed on the wire says more than that it was forgotten */
	if (f->end == FLOW_END_NONE)
		f->end = (uint8_t)how;
	f->flags |= FLOW_ENDED;
	if (t->ended)
		t->ended(t->ended_context, f);
}

void
flow_finish_all(struct flow_table *t, enum flow_end how)
{
	for (int c = 0; c < IDLE_CLASSES; c++)
		while (t->idle[c].oldest)
			flow_finish(t, t->idle[c].oldest, how);
}
