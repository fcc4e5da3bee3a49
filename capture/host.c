/* host.c - the hosts by address, and the counting of what they do.
 *
 * The IP-ID counts separate what surely comes from the host's own stack (SYN-
 * ACKs, UDP, ICMP: no offload engine sends those) from established TCP, which
 * may come from either. A counter that steps by one across 0x7FFF/0x8000 uses
 * all sixteen bits, and then the halves say nothing. */
#include "capture/host.h"

#include <stdlib.h>
#include <string.h>

#include "capture/hash.h"
#include "capture/slab.h"

/* Where nobody is found, as in a flood, no host is to be looked at either. */
enum { BUCKETS_AT_FIRST = 4096, BUCKETS_A_HOST = 16 };

struct host_table {
	struct host **bucket;
	size_t mask;			/* one less than a power of two */
	struct slab hosts;
	size_t count, limit;
	uint64_t next_number, refused;
	uint64_t key;			/* so that collisions cannot be planned */
	struct host *oldest, *newest;	/* of those not aside */
	struct host **touched;		/* `limit` of them at most */
	size_t touched_count;
};

uint64_t
address_hash(const struct address *a, uint64_t key)
{
	return hash_octets(a->octet, key);
}

struct host_table *
host_table_new(size_t limit)
{
	struct host_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->limit = limit;
	t->hosts.record_bytes = sizeof(struct host);
	t->touched = calloc(limit, sizeof(*t->touched));
	t->bucket = calloc(BUCKETS_AT_FIRST, sizeof(struct host *));
	t->mask = BUCKETS_AT_FIRST - 1;
	t->key = hash_key();
	if (!t->touched || !t->bucket)
		host_table_free(&t);
	return t;
}

void
host_table_free(struct host_table **tp)
{
	struct host_table *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	slab_release(&t->hosts);
	free(t->touched);
	free(t->bucket);
	free(t);
}

static struct host **
bucket_of(const struct host_table *t, const struct address *a)
{
	return &t->bucket[(size_t)address_hash(a, t->key) & t->mask];
}

/* Without memory the ways get longer. */
static void
buckets_grow(struct host_table *t)
{
	size_t more = (t->mask + 1) * 2;
	struct host **old = t->bucket, **grown;

	if (t->count * BUCKETS_A_HOST <= t->mask || t->mask > t->limit ||
	    !(grown = slab_array(more * sizeof(*grown))))
		return;
	memset(grown, 0, more * sizeof(*grown));
	t->bucket = grown;
	t->mask = more - 1;
	for (size_t i = 0; i < more / 2; i++)
		for (struct host *h = old[i], *next; h; h = next) {
			struct host **link = bucket_of(t, &h->address);

			next = h->hash_next;
			h->hash_next = *link;
			*link = h;
		}
	free(old);
}

void
host_prepare(const struct host_table *t, const struct address *a)
{
	fetch_line(bucket_of(t, a));
}

void
host_foresee(const struct host_table *t, const struct address *a)
{
	const struct host *h = *bucket_of(t, a);

	fetch_lines(h, sizeof(*h) / CACHE_LINE_BYTES);
}

static void
unlink_age(struct host_table *t, struct host *h)
{
	if (h->older)
		h->older->newer = h->newer;
	else
		t->oldest = h->newer;
	if (h->newer)
		h->newer->older = h->older;
	else
		t->newest = h->older;
}

static void
append_age(struct host_table *t, struct host *h)
{
	h->older = t->newest;
	h->newer = NULL;
	if (t->newest)
		t->newest->newer = h;
	else
		t->oldest = h;
	t->newest = h;
}

/* Behind those that nobody asked for since. What is touched comes to stand there
 * when the step is over. */
static void
freshen(struct host_table *t, struct host *h)
{
	if (h->aside || h->touched || t->newest == h)
		return;
	unlink_age(t, h);
	append_age(t, h);
}

static void
evict(struct host_table *t, struct host *h)
{
	struct host **link = bucket_of(t, &h->address);

	while (*link != h)
		link = &(*link)->hash_next;
	*link = h->hash_next;
	slab_give(&t->hosts, h);
	t->count--;
}

static bool
has_to_stay(const struct host *h)
{
	return h->touched || h->flows || h->server;
}

/* Those that have to stay are put aside until they are let go: each is looked at
 * once, however many want room meanwhile. The newest may be in a caller's hand. */
static bool
make_room(struct host_table *t)
{
	struct host *h;

	while ((h = t->oldest) && h != t->newest) {
		unlink_age(t, h);
		h->aside = has_to_stay(h);
		if (h->aside)
			continue;
		evict(t, h);
		return true;
	}
	return false;
}

void
host_let_go(struct host_table *t, struct host *h)
{
	if (!h->aside || has_to_stay(h))
		return;
	h->aside = false;
	append_age(t, h);
}

static struct host *
host_make(struct host_table *t, const struct address *a)
{
	struct host *h, **bucket;

	if (t->count >= t->limit && !make_room(t)) {
		t->refused++;
		return NULL;
	}
	h = slab_take(&t->hosts);
	if (!h)
		return NULL;
	h->address = *a;
	h->number = ++t->next_number;
	buckets_grow(t);
	bucket = bucket_of(t, a);
	h->hash_next = *bucket;
	*bucket = h;
	append_age(t, h);
	t->count++;
	return h;
}

struct host *
host_of(struct host_table *t, const struct address *a, bool make)
{
	for (struct host *h = *bucket_of(t, a); h; h = h->hash_next)
		if (memcmp(h->address.octet, a->octet, sizeof(a->octet)) == 0) {
			if (make)
				freshen(t, h);
			return h;
		}
	return make && !address_is_multicast(a) && !address_is_unspecified(a) ?
	    host_make(t, a) : NULL;
}

uint64_t
host_table_refused(const struct host_table *t)
{
	return t->refused;
}

static void
touch(struct host_table *t, struct host *h)
{
	if (h->touched)
		return;
	h->touched = true;
	t->touched[t->touched_count++] = h;
}

static void
earliest(struct instant *into, uint64_t *frame, struct instant t, uint64_t f)
{
	if (!instant_is_set(t) ||
	    (instant_is_set(*into) && !instant_before(t, *into)))
		return;
	*into = t;
	*frame = f;
}

static void
latest(struct instant *into, uint64_t *frame, struct instant t, uint64_t f)
{
	if (!instant_is_set(t) || instant_before(t, *into))
		return;
	*into = t;
	*frame = f;
}

void
host_counts_add(struct host_counts *sum, const struct host_counts *c)
{
	sum->packets_in += c->packets_in;
	sum->packets_out += c->packets_out;
	sum->tcp_data_in += c->tcp_data_in;
	sum->tcp_data_out += c->tcp_data_out;
	sum->acks_out += c->acks_out;
	sum->syn_in += c->syn_in;
	sum->syn_ack_out += c->syn_ack_out;
	sum->rst_out += c->rst_out;
	sum->arp_asked += c->arp_asked;
	sum->arp_answered += c->arp_answered;
	sum->echo_asked += c->echo_asked;
	sum->echo_answered += c->echo_answered;
	sum->udp_in += c->udp_in;
	sum->udp_out += c->udp_out;
	sum->acks_unseen += c->acks_unseen;
	sum->gratuitous_arp += c->gratuitous_arp;
	sum->bad_sums_out += c->bad_sums_out;
	sum->checked_sums_out += c->checked_sums_out;
	earliest(&sum->first_in, &sum->first_in_frame, c->first_in,
	    c->first_in_frame);
	latest(&sum->last_in, &sum->last_in_frame, c->last_in, c->last_in_frame);
	earliest(&sum->first_out, &sum->first_out_frame, c->first_out,
	    c->first_out_frame);
	latest(&sum->last_out, &sum->last_out_frame, c->last_out,
	    c->last_out_frame);
}

struct host *const *
host_table_touched(const struct host_table *t, size_t *count)
{
	*count = t->touched_count;
	return t->touched;
}

static void
fetch_place(const struct host *h)
{
	if (h)
		fetch_line(&h->older);
}

static void
fetch_touched(struct host *const *hosts, size_t left)
{
	enum { AHEAD = 8 };

	if (left > 2 * AHEAD)
		fetch_lines(hosts[2 * AHEAD],
		    sizeof(struct host) / CACHE_LINE_BYTES);
	if (left > AHEAD) {
		fetch_place(hosts[AHEAD]->older);
		fetch_place(hosts[AHEAD]->newer);
	}
}

/* Each host's next counts begin here, and it takes its place behind the others,
 * where all of that can be fetched in time, rather than with a packet. */
void
host_table_step_over(struct host_table *t)
{
	for (size_t i = 0; i < t->touched_count; i++) {
		struct host *h = t->touched[i];

		fetch_touched(t->touched + i, t->touched_count - i);
		h->touched = false;
		h->before = host_ever(h);
		memset(&h->step, 0, sizeof(h->step));
		freshen(t, h);
		host_let_go(t, h);
	}
	t->touched_count = 0;
}

/* --- IP IDs ------------------------------------------------------------------ */

static bool
comes_from_stack(const struct packet *p)
{
	if (p->protocol != IP_TCP)
		return p->protocol == IP_UDP || p->protocol == IP_ICMP;
	return p->tcp_flags & TCP_SYN;
}

static void
count_step(struct host_ids *ids, uint16_t id)
{
	uint16_t before = ids->last_id;

	ids->steps++;
	if ((uint16_t)(before + 1) != id)
		return;
	ids->steps_by_one++;
	if (before == 0x7fff || (before == 0xffff && id == 0))
		ids->wraps_16++;
}

/* Forward by a few within 15 bits: the next packets of one counter. */
static bool
is_small_step(uint16_t from, uint16_t to)
{
	uint16_t step = (to - from) & 0x7fff;

	return step >= 1 && step <= ID_STEP_SMALL;
}

/* The stack's own counter and the upper half's each have their steps and their
 * wrap. */
static void
count_halves(struct host_ids *ids, uint16_t id)
{
	if (id < 0x8000) {
		if (ids->has_stack_last) {
			ids->low_steps++;
			ids->low_small += is_small_step(ids->last_stack_id, id);
			ids->wraps_15 += ids->last_stack_id >= 0x7ff0 && id < 0x10;
		}
		ids->alternations += ids->last_id >= 0x8000;
		ids->last_stack_id = id;
		ids->has_stack_last = true;
	} else {
		if (ids->has_high_last) {
			ids->high_steps++;
			ids->high_small += is_small_step(ids->last_high_id, id);
			ids->wraps_high += ids->last_high_id >= 0xfff0 &&
			    id < 0x8010;
		}
		ids->last_high_id = id;
		ids->has_high_last = true;
	}
}

static void
count_ids(struct host_ids *ids, const struct packet *p)
{
	bool high = p->ip_id & 0x8000;

	if (p->ip_version != 4)
		return;
	if (comes_from_stack(p)) {
		if (!p->ip_id)
			ids->stack_zero++;
		else if (high)
			ids->stack_high++;
		else
			ids->stack_low++;
		if (p->ip_id && !high && ids->data_high)
			ids->stack_low_after_high++;
	} else if (high) {
		ids->data_high++;
		if (!p->df)
			ids->data_high_df_clear++;
	} else {
		ids->data_low++;
	}
	if (!p->ip_id)
		return;
	if (ids->has_last)
		count_step(ids, p->ip_id);
	count_halves(ids, p->ip_id);
	ids->last_id = p->ip_id;
	ids->has_last = true;
}

/* --- doings ------------------------------------------------------------------- */

static bool
answers_echo(const struct packet *p)
{
	return (p->protocol == IP_ICMP && p->icmp_type == 0) ||
	    (p->protocol == IP_ICMPV6 && p->icmp_type == 129);
}

static bool
asks_echo(const struct packet *p)
{
	return (p->protocol == IP_ICMP && p->icmp_type == 8) ||
	    (p->protocol == IP_ICMPV6 && p->icmp_type == 128);
}

static void
count_out_tcp(struct host_counts *c, const struct segment *seg)
{
	if (seg->facts & SEG_SYN_ACK)
		c->syn_ack_out++;
	else if (seg->facts & SEG_RST)
		c->rst_out++;
	else if (seg->packet->tcp_flags & TCP_ACK)
		c->acks_out++;
	if (seg->facts & SEG_DATA)
		c->tcp_data_out++;
}

static void
count_out(struct host_counts *c, const struct packet *p,
    const struct segment *seg, struct instant now)
{
	if (!c->packets_out++) {
		c->first_out = now;
		c->first_out_frame = p->frame;
	}
	c->last_out = now;
	c->last_out_frame = p->frame;
	if (seg)
		count_out_tcp(c, seg);
	else if (p->protocol == IP_UDP)
		c->udp_out++;
	else if (p->has_transport && answers_echo(p))
		c->echo_answered++;
	else if (p->arp == ARP_REPLY)
		c->arp_answered++;
	if (p->arp && address_compare(&p->arp_sender, &p->arp_target) == 0)
		c->gratuitous_arp++;
	if (p->checksum != CHECKSUM_UNVERIFIABLE &&
	    p->checksum != CHECKSUM_SHORT && p->has_transport) {
		c->checked_sums_out++;
		c->bad_sums_out += p->checksum != CHECKSUM_GOOD;
	}
}

static void
count_in(struct host_counts *c, const struct packet *p,
    const struct segment *seg, struct instant now)
{
	if (!c->packets_in++) {
		c->first_in = now;
		c->first_in_frame = p->frame;
	}
	c->last_in = now;
	c->last_in_frame = p->frame;
	if (seg) {
		c->syn_in += (seg->facts & (SEG_SYN | SEG_SYN_ON_LIVE)) != 0;
		c->tcp_data_in += (seg->facts & SEG_DATA) != 0;
		c->acks_unseen += (seg->facts & SEG_ACK_UNSEEN) != 0;
	} else if (p->protocol == IP_UDP) {
		c->udp_in++;
	} else if (p->has_transport && asks_echo(p)) {
		c->echo_asked++;
	} else if (p->arp == ARP_REQUEST) {
		c->arp_asked++;
	}
}

static void
heard_from(struct host *h, const struct packet *p, const struct segment *seg,
    struct instant now)
{
	h->last = now;
	if ((seg && seg->facts & SEG_SYN_ACK) || p->arp == ARP_REPLY ||
	    (p->protocol == IP_UDP && !seg) ||
	    (p->has_transport && answers_echo(p)))
		h->last_stack = now;
	if (p->has_mac && memcmp(h->mac, p->src_mac, sizeof(h->mac)) != 0) {
		memcpy(h->mac, p->src_mac, sizeof(h->mac));
		h->has_mac = true;
	}
	count_ids(&h->ids, p);
}

void
host_count(struct host_table *t, struct host *from, struct host *to,
    const struct packet *p, const struct segment *seg, struct instant now)
{
	if (from) {
		touch(t, from);
		heard_from(from, p, seg, now);
		count_out(&from->step, p, seg, now);
	}
	if (to) {
		touch(t, to);
		count_in(&to->step, p, seg, now);
	}
}
