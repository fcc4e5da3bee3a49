/* defrag.c - IP datagrams put together again.
 *
 * What has come is kept as a bitmap of the 8-byte units in which offsets count
 * (RFC 791, 3.1), so that holes, repeats and overlaps are all one question.
 *
 * The hard part is what not to trust: fragments are what attackers disagree
 * with receivers about. A mirror also shows some of them twice, so an exact
 * repeat is nothing; any other overlap is counted, and never changes bytes that
 * came first. */
#include "capture/defrag.h"

#include <stdlib.h>
#include <string.h>

#include "capture/decode.h"
#include "capture/hash.h"

enum {
	UNIT_BYTES = 8,
	DATAGRAM_BYTES_MAX = 65535,
	UNITS_MAX = (DATAGRAM_BYTES_MAX + UNIT_BYTES) / UNIT_BYTES,
	BUCKETS = 1024,
	BUFFER_BYTES_FIRST = 4096,
};

static const int64_t patience_ns = 30 * NS_PER_S;

struct key {
	struct address src, dst;
	uint32_t id, tunnel_id;
	uint16_t vlan[2];
	uint32_t protocol;		/* IPv4 only (RFC 791, 2.3) */
};

struct datagram {
	struct datagram *next;		/* in its bucket */
	struct datagram *older, *newer;
	struct key key;
	uint32_t bucket;
	struct instant since;
	uint8_t *data;			/* NULL: dead, its overlaps lied */
	uint32_t room;
	uint32_t total_bytes;		/* 0 until the last fragment came */
	uint32_t end_bytes;		/* of the furthest fragment */
	uint32_t units;			/* that have come */
	uint8_t first_protocol;		/* that the first fragment names */
	uint8_t have[UNITS_MAX / 8 + 1];
};

struct defrag {
	size_t limit_bytes, used_bytes;
	uint64_t hash_key;		/* so that collisions cannot be planned */
	struct datagram *oldest, *newest;
	struct datagram *bucket[BUCKETS];
	uint8_t *whole;			/* what was handed out last */
	struct defrag_stats stats;
};

struct defrag *
defrag_new(size_t limit_bytes)
{
	struct defrag *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->limit_bytes = limit_bytes;
	d->hash_key = hash_key();
	return d;
}

static void
datagram_free(struct defrag *d, struct datagram *g)
{
	struct datagram **link = &d->bucket[g->bucket];

	while (*link != g)
		link = &(*link)->next;
	*link = g->next;
	*(g->older ? &g->older->newer : &d->oldest) = g->newer;
	*(g->newer ? &g->newer->older : &d->newest) = g->older;
	d->used_bytes -= sizeof(*g) + g->room;
	free(g->data);
	free(g);
}

void
defrag_free(struct defrag **dp)
{
	struct defrag *d = *dp;

	*dp = NULL;
	if (!d)
		return;
	while (d->oldest)
		datagram_free(d, d->oldest);
	free(d->whole);
	free(d);
}

void
defrag_stats(const struct defrag *d, struct defrag_stats *out)
{
	*out = d->stats;
}

static struct key
key_of(const struct packet *p)
{
	struct key k;

	memset(&k, 0, sizeof(k));
	k.src = p->src;
	k.dst = p->dst;
	k.id = p->fragment_id;
	k.tunnel_id = p->tunnel_id;
	memcpy(k.vlan, p->vlan, sizeof(k.vlan));
	k.protocol = p->ip_version == 4 ? p->protocol : 0;
	return k;
}

static uint32_t
bucket_of(const struct defrag *d, const struct key *k)
{
	uint64_t hash = hash_octets(k->src.octet, d->hash_key) +
	    hash_octets(k->dst.octet, d->hash_key ^ k->id);

	return (uint32_t)(hash ^ hash >> 32) % BUCKETS;
}

static struct datagram *
find(const struct defrag *d, const struct key *k, uint32_t bucket)
{
	struct datagram *g = d->bucket[bucket];

	while (g && memcmp(&g->key, k, sizeof(*k)) != 0)
		g = g->next;
	return g;
}

static struct datagram *
datagram_new(struct defrag *d, const struct packet *p, const struct key *k,
    uint32_t bucket)
{
	struct datagram *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->key = *k;
	g->bucket = bucket;
	g->since = p->time;
	g->next = d->bucket[bucket];
	d->bucket[bucket] = g;
	g->older = d->newest;
	*(d->newest ? &d->newest->newer : &d->oldest) = g;
	d->newest = g;
	d->used_bytes += sizeof(*g);
	return g;
}

static void
expire(struct defrag *d, struct instant now)
{
	while (d->oldest && instant_since(now, d->oldest->since) > patience_ns) {
		if (d->oldest->data)
			d->stats.timed_out++;
		datagram_free(d, d->oldest);
	}
}

/* Oldest first; `keep` only when nothing else is left. */
static bool
make_room(struct defrag *d, struct datagram *keep)
{
	while (d->used_bytes > d->limit_bytes) {
		struct datagram *g = d->oldest;
		bool alone;

		if (g == keep && g->newer)
			g = g->newer;
		alone = g == keep;
		d->stats.evicted++;
		datagram_free(d, g);
		if (alone)
			return false;
	}
	return true;
}

static bool
grow(struct defrag *d, struct datagram *g, uint32_t end)
{
	uint32_t room = g->room ? g->room : BUFFER_BYTES_FIRST;
	uint8_t *larger;

	if (end <= g->room)
		return true;
	while (room < end)
		room *= 2;
	larger = realloc(g->data, room);
	if (!larger)
		return false;
	d->used_bytes += room - g->room;
	g->data = larger;
	g->room = room;
	return true;
}

static bool
has_unit(const struct datagram *g, uint32_t unit)
{
	return g->have[unit / 8] >> unit % 8 & 1;
}

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Take in what is new of the fragment. True if it is, as far as it overlaps
 * what came before, the same. */
static bool
fill(struct datagram *g, uint32_t offset, const uint8_t *from, uint32_t bytes)
{
	bool same = true;

	for (uint32_t at = 0; at < bytes; at += UNIT_BYTES) {
		uint32_t unit = (offset + at) / UNIT_BYTES;
		uint32_t n = least(bytes - at, UNIT_BYTES);
		uint8_t *to = g->data + offset + at;

		if (has_unit(g, unit)) {
			same &= memcmp(to, from + at, n) == 0;
			continue;
		}
		memcpy(to, from + at, n);
		g->have[unit / 8] |= (uint8_t)(1u << unit % 8);
		g->units++;
	}
	return same;
}

static void
kill(struct defrag *d, struct datagram *g)
{
	free(g->data);
	d->used_bytes -= g->room;
	g->data = NULL;
	g->room = 0;
}

/* Where the datagram ends is said by its last fragment, and by none else. */
static bool
agrees_on_end(const struct datagram *g, uint32_t end, bool last)
{
	if (g->total_bytes)
		return last ? end == g->total_bytes : end <= g->total_bytes;
	return !last || end >= g->end_bytes;
}

static bool
is_whole(const struct datagram *g)
{
	return g->total_bytes &&
	    g->units == (g->total_bytes + UNIT_BYTES - 1) / UNIT_BYTES;
}

/* Put the fragment where it belongs. False if it is not believed: then an
 * IPv6 datagram dies of it (RFC 5722, 4), and an IPv4 one goes on without. */
static bool
place(struct defrag *d, struct datagram *g, const struct packet *p,
    uint32_t bytes)
{
	uint32_t offset = p->fragment_offset, end = offset + bytes;
	uint32_t before = g->units;
	bool same;

	if (!agrees_on_end(g, end, !p->more_fragments)) {
		d->stats.overlaps++;
		return p->ip_version == 4;
	}
	if (!grow(d, g, end))
		return true;		/* no memory: as if it never came */
	same = fill(g, offset, p->transport.at, bytes);
	if (!p->more_fragments)
		g->total_bytes = end;
	if (end > g->end_bytes)
		g->end_bytes = end;
	if (offset == 0)
		g->first_protocol = p->protocol;
	bytes = (bytes + UNIT_BYTES - 1) / UNIT_BYTES;
	if (g->units == before && same)
		return true;		/* seen twice */
	if (g->units - before == bytes)
		return true;
	d->stats.overlaps++;
	return p->ip_version == 4;
}

/* The packet is the whole now; the frame is the one that completed it. */
static void
hand_out(struct defrag *d, struct datagram *g, struct packet *p)
{
	uint32_t total = g->total_bytes;
	struct bytes whole;

	free(d->whole);
	d->whole = g->data;
	d->used_bytes -= g->room;
	g->data = NULL;
	g->room = 0;
	whole = bytes_of(d->whole, total);
	p->ip_bytes = p->ip_bytes - p->payload_bytes + total;
	p->protocol = g->first_protocol;
	p->is_fragment = p->more_fragments = false;
	p->fragment_offset = 0;
	p->reassembled = true;
	datagram_free(d, g);
	d->stats.reassembled++;
	(void)decode_transport(p, whole);
}

/* How many bytes of the fragment can be used: all but the last have whole
 * units (RFC 791, 3.2; RFC 8200, 4.5), and nothing was cut off. */
static uint32_t
usable_bytes(const struct packet *p)
{
	uint32_t bytes = p->payload_bytes;

	if (p->transport.left < bytes)
		return 0;
	if (p->more_fragments)
		bytes -= bytes % UNIT_BYTES;
	if (p->fragment_offset + bytes > DATAGRAM_BYTES_MAX)
		return 0;
	return bytes;
}

static bool
take(struct defrag *d, struct packet *p)
{
	struct key k = key_of(p);
	uint32_t bucket = bucket_of(d, &k), bytes = usable_bytes(p);
	struct datagram *g;

	d->stats.fragments++;
	if (!bytes)
		return false;
	g = find(d, &k, bucket);
	if (!g)
		g = datagram_new(d, p, &k, bucket);
	else if (!g->data)
		return false;		/* dead */
	if (!g)
		return false;
	if (!place(d, g, p, bytes)) {
		kill(d, g);
		return false;
	}
	if (!make_room(d, g) || !is_whole(g))
		return false;
	hand_out(d, g, p);
	return true;
}

bool
defrag_add(struct defrag *d, struct packet *p)
{
	expire(d, p->time);
	/* A tunnel's datagram, once whole, can hold a fragment itself. */
	while (p->is_fragment)
		if (!take(d, p))
			return false;
	return true;
}

uint8_t *
defrag_keep(struct defrag *d)
{
	uint8_t *whole = d->whole;

	d->whole = NULL;
	return whole;
}
