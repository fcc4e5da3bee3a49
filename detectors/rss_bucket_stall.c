/* rss_bucket_stall.c - the stalled flows of a server share a receive queue.
 *
 * Receive-side scaling hands each flow to a queue by the low bits of a Toeplitz
 * hash. When one queue (or the processor behind it) is stuck, exactly the flows
 * of its buckets stall, old and new, offloaded or not. With the published key
 * the buckets can be computed and compared; without knowing the key, the hash's
 * linearity over GF(2) still shows: the inputs of flows that share k low bits of
 * the hash lie in an affine subspace of k dimensions less, whatever the key. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture/toeplitz.h"
#include "detectors/detector.h"
#include "detectors/incident.h"

extern const struct detector detector_rss_bucket_stall;

enum {
	FLOWS_FIRST = 8,		/* have room at first, */
	FLOWS_MAX = 2048,		/* and in the end; more add nothing */
	STALLED_MIN = 6,		/* below this no table is convincing */
	QUEUE_BITS_MAX = 4,		/* 2, 4, 8, 16 queues */
	SPARE_ROWS = 11,		/* beyond the dimension: chance 2^-10 */
};

/* How long a flow must be without any answer to count as stalled. */
#define STALLED_NS (3 * NS_PER_S)

struct input {
	uint64_t flow_id;
	uint8_t bytes[TOEPLITZ_INPUT_BYTES];
	size_t length;
	uint32_t hash;			/* by the published key */
	uint64_t frame;
	struct instant since;
};

struct queue_state {
	size_t count, room;
	struct input *stalled;		/* in order of their reviews */
	uint64_t *id;			/* their flows, ascending */
	size_t judged_at;		/* count when last judged */
};

static void
input_of(struct input *x, const struct address *client, uint16_t client_port,
    const struct address *server, uint16_t server_port)
{
	x->length = toeplitz_input(client, server, client_port, server_port,
	    x->bytes);
	x->hash = toeplitz_hash(toeplitz_published_key, x->bytes, x->length);
}

static bool
is_mute(const struct judge *j, const struct flow *f)
{
	const struct tcp_half *c = &f->half[CLIENT];

	if (f->protocol != IP_TCP)
		return false;
	if (f->state == FLOW_NEW)
		return !(f->half[SERVER].flags & HALF_SEEN) &&
		    f->half[CLIENT].syns >= 2 &&
		    instant_since(j->now, f->began) >= STALLED_NS;
	return instant_is_set(c->una_since) && c->una_sends >= 3 &&
	    instant_before(f->half[SERVER].last, c->una_since) &&
	    instant_since(c->last, c->una_since) >= STALLED_NS;
}

/* Where the flow stands, or would stand, among the stalled ones. */
static size_t
place_of(const struct queue_state *q, uint64_t flow_id)
{
	size_t low = 0, high = q->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (q->id[mid] < flow_id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
is_stalled(const struct queue_state *q, uint64_t flow_id)
{
	size_t at = place_of(q, flow_id);

	return at < q->count && q->id[at] == flow_id;
}

static bool
have_room(struct server *s, struct queue_state *q)
{
	size_t room = q->room ? q->room * 2 : FLOWS_FIRST;
	struct input *stalled;
	uint64_t *id;

	if (q->count < q->room)
		return true;
	if (room > FLOWS_MAX || !server_may_take(s, (room - q->room) *
	    (sizeof(*stalled) + sizeof(*id))))
		return false;
	stalled = realloc(q->stalled, room * sizeof(*stalled));
	if (!stalled)
		return false;
	q->stalled = stalled;
	id = realloc(q->id, room * sizeof(*id));
	if (!id)
		return false;
	q->id = id;
	q->room = room;
	return true;
}

static void
add_stalled(struct queue_state *q, const struct flow *f)
{
	size_t at = place_of(q, f->id);
	struct input *x = &q->stalled[q->count];

	memmove(&q->id[at + 1], &q->id[at], (q->count - at) * sizeof(q->id[0]));
	q->id[at] = f->id;
	q->count++;
	x->flow_id = f->id;
	x->frame = f->first_frame;
	x->since = f->state == FLOW_NEW ? f->began : f->half[CLIENT].una_since;
	input_of(x, &f->addr[CLIENT], f->port[CLIENT], &f->addr[SERVER],
	    f->port[SERVER]);
}

static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	struct queue_state *q;

	(void)state;
	if (!is_mute(j, f) || judge_trusts(j, s, NULL, TRUST_BOTH_WAYS) <= 0)
		return;
	q = server_remember(s, FINDING_rss_bucket_stall, sizeof(*q));
	if (q && !is_stalled(q, f->id) && have_room(s, q))
		add_stalled(q, f);
}

static void
release(void *state)
{
	struct queue_state *q = state;

	free(q->stalled);
	free(q->id);
	free(q);
}

/* --- the published key: one bucket against the rest --------------------------- */

struct healthy {
	size_t count;
	struct input input[FLOWS_MAX];
};

static void
gather_healthy(const struct server *s, const struct queue_state *q,
    struct instant since, struct healthy *h)
{
	h->count = 0;
	for (size_t i = 0; i < s->outcome_count && h->count < FLOWS_MAX; i++) {
		const struct outcome *o = s->outcome[i];

		if ((instant_before(o->last_answered, since) &&
		    instant_before(o->last_acked, since)) ||
		    is_stalled(q, o->flow_id))
			continue;
		input_of(&h->input[h->count++], &o->client, o->client_port,
		    &s->address, o->server_port);
	}
}

struct bucket {
	unsigned bits, value;
	uint32_t stalled_in, stalled_out, healthy_in, healthy_out;
	double p;
};

static struct bucket
bucket_count(const struct queue_state *q, const struct healthy *h,
    unsigned bits, unsigned value)
{
	struct bucket b = { .bits = bits, .value = value };
	uint32_t mask = (1U << bits) - 1;

	for (size_t i = 0; i < q->count; i++)
		(q->stalled[i].hash & mask) == value ? b.stalled_in++ :
		    b.stalled_out++;
	for (size_t i = 0; i < h->count; i++)
		(h->input[i].hash & mask) == value ? b.healthy_in++ :
		    b.healthy_out++;
	b.p = fisher_one_sided(b.stalled_in, b.stalled_out, b.healthy_in,
	    b.healthy_out);
	return b;
}

/* The bucket that explains most, its chance corrected for all that were tried. */
static struct bucket
best_bucket(const struct queue_state *q, const struct healthy *h)
{
	struct bucket best = { .p = 1 };
	unsigned tried = 0;

	for (unsigned bits = 1; bits <= QUEUE_BITS_MAX; bits++) {
		for (unsigned v = 0; v < 1U << bits; v++, tried++) {
			struct bucket b = bucket_count(q, h, bits, v);

			if (b.p < best.p)
				best = b;
		}
	}
	best.p *= tried;
	return best;
}

/* One queue stuck means nearly all of its flows, and nearly no others. */
static bool
bucket_convinces(const struct judge *j, const struct bucket *b)
{
	return b->p < j->limit->rss_p_value &&
	    b->stalled_in >= STALLED_MIN &&
	    b->stalled_in >= 9 * b->stalled_out &&
	    b->healthy_out >= 9 * b->healthy_in;
}

/* --- any key: rank over GF(2) ---------------------------------------------------- */

enum { WORDS = (TOEPLITZ_INPUT_BYTES + 7) / 8 };

struct row {
	uint64_t w[WORDS];
};

static struct row
row_of(const struct input *x, const struct input *origin)
{
	struct row r = { { 0 } };

	for (size_t i = 0; i < x->length; i++)
		r.w[i / 8] |= (uint64_t)(x->bytes[i] ^ origin->bytes[i]) <<
		    (i % 8 * 8);
	return r;
}

static int
lead_of(const struct row *r)
{
	for (int i = 0; i < WORDS; i++)
		if (r->w[i])
			return i * 64 + __builtin_ctzll(r->w[i]);
	return -1;
}

struct basis {
	struct row row[TOEPLITZ_INPUT_BYTES * 8];
	bool has[TOEPLITZ_INPUT_BYTES * 8];
	unsigned rank;
};

/* True if the row was new to the basis. */
static bool
basis_add(struct basis *b, struct row r)
{
	int lead;

	while ((lead = lead_of(&r)) >= 0) {
		if (!b->has[lead]) {
			b->row[lead] = r;
			b->has[lead] = true;
			b->rank++;
			return true;
		}
		for (int i = 0; i < WORDS; i++)
			r.w[i] ^= b->row[lead].w[i];
	}
	return false;
}

static bool
basis_spans(const struct basis *b, struct row r)
{
	int lead;

	while ((lead = lead_of(&r)) >= 0) {
		if (!b->has[lead])
			return false;
		for (int i = 0; i < WORDS; i++)
			r.w[i] ^= b->row[lead].w[i];
	}
	return true;
}

struct rank_test {
	unsigned rank_stalled, rank_all;
	uint32_t healthy_inside;	/* healthy flows in the stalled subspace */
	bool mixes;			/* lacks address and port bits alike */
};

/* One part of an input's difference: the addresses, or the ports. */
static struct row
part_of(const struct input *x, const struct input *origin, size_t from,
    size_t to)
{
	struct row r = { { 0 } };

	for (size_t k = from; k < to; k++)
		r.w[k / 8] |= (uint64_t)(x->bytes[k] ^ origin->bytes[k]) <<
		    (k % 8 * 8);
	return r;
}

/* Does what the stalled flows lack show in the addresses alone, or the ports
 * alone? Then it is a subnet, a service or a port parity, and no hash. */
static bool
lacks_both(const struct queue_state *q, const struct healthy *h, size_t from,
    size_t to)
{
	const struct input *origin = &q->stalled[0];
	struct basis part = { .rank = 0 };

	for (size_t i = 1; i < q->count; i++)
		basis_add(&part, part_of(&q->stalled[i], origin, from, to));
	for (size_t i = 0; i < h->count; i++)
		if (h->input[i].length == origin->length && !basis_spans(&part,
		    part_of(&h->input[i], origin, from, to)))
			return false;
	return true;	/* this part by itself lacks nothing */
}

static struct rank_test
rank_test(const struct queue_state *q, const struct healthy *h)
{
	struct basis stalled = { .rank = 0 }, all;
	struct rank_test t = { 0 };
	size_t length = q->stalled[0].length;

	for (size_t i = 1; i < q->count; i++)
		basis_add(&stalled, row_of(&q->stalled[i], &q->stalled[0]));
	all = stalled;
	for (size_t i = 0; i < h->count; i++) {
		struct row r = row_of(&h->input[i], &q->stalled[0]);

		t.healthy_inside += h->input[i].length == length &&
		    basis_spans(&stalled, r);
		basis_add(&all, r);
	}
	t.rank_stalled = stalled.rank;
	t.rank_all = all.rank;
	t.mixes = lacks_both(q, h, 0, length - 4) &&
	    lacks_both(q, h, length - 4, length);
	return t;
}

static bool
rank_convinces(const struct queue_state *q, const struct rank_test *t)
{
	unsigned deficit = t->rank_all - t->rank_stalled;

	return deficit >= 1 && deficit <= QUEUE_BITS_MAX && t->mixes &&
	    q->count >= (size_t)t->rank_all + SPARE_ROWS && !t->healthy_inside;
}

/* --- judging ---------------------------------------------------------------------- */

static struct finding *
raise_stall(struct judge *j, struct server *s, const struct queue_state *q)
{
	struct finding *x = finding_raise(j, &detector_rss_bucket_stall, NULL, s,
	    NULL, 0);

	x->severity = SEVERITY_HIGH;
	x->side = FAULT_SERVER;
	x->count = q->count;
	for (size_t i = 0; i < q->count; i++) {
		finding_frame(x, q->stalled[i].frame);
		finding_time(x, q->stalled[i].since);
	}
	finding_time(x, j->now);
	finding_metric(x, "flows_stalled", (double)q->count);
	return x;
}

static void
judge_queue(struct judge *j, struct server *s, struct queue_state *q,
    struct healthy *h)
{
	struct bucket b;
	struct rank_test t;
	struct finding *x;

	gather_healthy(s, q, q->stalled[0].since, h);
	if (h->count < STALLED_MIN)
		return;
	b = best_bucket(q, h);
	if (bucket_convinces(j, &b)) {
		x = raise_stall(j, s, q);
		x->confidence = 0.95;
		finding_metric(x, "p", b.p);
		finding_metric(x, "queues", (double)(1U << b.bits));
		finding_say(x, "%u of %u stalled connections fall into receive queue "
		    "%u of %u (hash with the published key), and %u of %u healthy "
		    "ones (p = %.1g): that queue is stuck", b.stalled_in,
		    b.stalled_in + b.stalled_out, b.value, 1U << b.bits,
		    b.healthy_in, b.healthy_in + b.healthy_out, b.p);
		return;
	}
	t = rank_test(q, h);
	if (!rank_convinces(q, &t))
		return;
	x = raise_stall(j, s, q);
	x->confidence = 0.9;
	finding_metric(x, "rank_stalled", t.rank_stalled);
	finding_metric(x, "rank_all", t.rank_all);
	finding_metric(x, "queues", (double)(1U << (t.rank_all - t.rank_stalled)));
	finding_say(x, "the %zu stalled connections differ in %u dimensions of "
	    "their addresses and ports, all connections in %u, and no healthy one "
	    "lies among them: they share one of %u receive queues, whatever the "
	    "hash key", q->count, t.rank_stalled, t.rank_all,
	    1U << (t.rank_all - t.rank_stalled));
}

static void
review_server(void *state, struct judge *j, struct server *s)
{
	struct queue_state *q = s->detector_state[FINDING_rss_bucket_stall];
	size_t more = q ? q->count - q->judged_at : 0;

	judge_settled(j);
	/* a table of many changes little with one more */
	if (more && more < q->judged_at / 16 && !j->finishing)
		return;
	server_seen_to(s, FINDING_rss_bucket_stall);
	if (!more || q->count < STALLED_MIN)
		return;
	q->judged_at = q->count;
	judge_queue(j, s, q, state);
}

static void *
healthy_new(void)
{
	return calloc(1, sizeof(struct healthy));
}

const struct detector detector_rss_bucket_stall = {
	.finding = FINDING_rss_bucket_stall,
	.meaning = "The stalled connections of this server all belong to one "
	    "receive queue of its network card: that queue, or the processor "
	    "behind it, is stuck.",
	.decided = "At least six connections, old or new, get no answer at all. "
	    "With the published hash key: nearly all of them and nearly no healthy "
	    "one fall into one of 2, 4, 8 or 16 buckets (Fisher's exact test, "
	    "p below rss_p_value, corrected for the buckets tried). Without the "
	    "key: their addresses and ports span fewer dimensions over GF(2) than "
	    "all connections do, with eleven flows to spare, and no healthy one "
	    "lies in that subspace.",
	.mimics = "An outage of one subnet or one port (the missing dimensions must "
	    "mix address and port bits), a dead member of a link aggregate (then "
	    "the frames do not reach this mirror), chance (the p-value).",
	.source = "Microsoft: RSS Hashing Functions, Verifying the RSS Hash "
	    "Calculation; the Toeplitz hash is linear over GF(2)",
	.matters = MATTER_CONNECT,
	.notes = NOTE_BIT(NOTE_RETRANSMIT),
	.review_flow = review_flow,
	.servers = SERVER_REMEMBERED,
	.review_server = review_server,
	.new = healthy_new,
	.free = free,
	.release = release,
};
