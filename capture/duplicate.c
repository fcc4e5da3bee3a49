/* duplicate.c - a small memory of the frames just seen.
 *
 * The hard part is what not to call a copy. Real stacks do send equal packets
 * in a row: pure ACKs for a burst that lost its head, where no IP ID tells them
 * apart (IPv6; ID 0 with DF). Those count as copies only when the link header
 * shows that one of them crossed a router or another VLAN. */
#include "capture/duplicate.h"

#include <stdlib.h>
#include <string.h>

#include "capture/fetch.h"

enum { SLOTS = 16384, HASHED_PAYLOAD_BYTES = 64 };

struct slot {
	uint64_t signature;
	int64_t time_ns;
	uint32_t link;		/* MACs, VLAN and TTL, hashed */
};

struct duplicates {
	struct slot slot[SLOTS];
};

struct duplicates *
duplicates_new(void)
{
	return calloc(1, sizeof(struct duplicates));
}

void
duplicates_free(struct duplicates **dp)
{
	free(*dp);
	*dp = NULL;
}

static uint64_t
mix(uint64_t h, uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide product = (wide)(h ^ a ^ UINT64_C(0x9e3779b97f4a7c15)) *
	    (b ^ UINT64_C(0xd6e8feb86659fd93));

	return ((uint64_t)product ^ (uint64_t)(product >> 64)) + h;
}

static uint64_t
load(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* What is shorter than two words. */
static uint64_t
mix_few(uint64_t h, const uint8_t *p, size_t n)
{
	uint8_t padded[16] = { 0 };

	memcpy(padded, p, n);
	return mix(h, load(padded), load(padded + 8));
}

/* Sixteen bytes a multiplication; the last sixteen may be some of them again. */
static inline uint64_t
mix_bytes(uint64_t h, const uint8_t *p, size_t n)
{
	const uint8_t *last;

	if (n < 16)
		return mix_few(h, p, n);
	last = p + n - 16;
	for (; p < last; p += 16)
		h = mix(h, load(p), load(p + 8));
	return mix(h, load(last), load(last + 8));
}

/* All that a second transmission would change, and nothing a hop changes. */
static uint64_t
signature_of(const struct packet *p)
{
	uint64_t h = mix((uint64_t)p->protocol << 32 | p->ip_id, p->tunnel_id,
	    (uint64_t)p->ip_bytes << 32 | p->fragment_offset);
	size_t body = p->transport.left;

	h = mix_bytes(h, p->src.octet, sizeof(p->src.octet));
	h = mix_bytes(h, p->dst.octet, sizeof(p->dst.octet));
	/* the transport header with its checksum, options and timestamps */
	return mix_bytes(h, p->transport.at, body < HASHED_PAYLOAD_BYTES + 60 ?
	    body : HASHED_PAYLOAD_BYTES + 60);
}

static uint32_t
link_of(const struct packet *p)
{
	uint64_t h = mix((uint64_t)p->ttl << 32 | p->vlan[0] |
	    (uint32_t)p->vlan[1] << 16, mac_number(p->src_mac),
	    mac_number(p->dst_mac));

	return (uint32_t)(h ^ h >> 32);
}

/* May a sound sender send this very packet twice within 2 ms? */
static bool
may_repeat(const struct packet *p)
{
	if (p->ip_version == 4 && p->ip_id)
		return false;
	return p->protocol != IP_TCP || (!p->payload_bytes &&
	    !(p->tcp_flags & (TCP_SYN | TCP_FIN)));
}

void
duplicates_prepare(const struct duplicates *d, struct packet *p)
{
	p->signature = signature_of(p);
	fetch_line(&d->slot[p->signature % SLOTS]);
}

bool
duplicates_seen(struct duplicates *d, const struct packet *p)
{
	uint64_t signature;
	struct slot *slot;
	uint32_t link;
	bool same;

	if (!p->ip_version || !p->transport.left)
		return false;
	signature = p->signature ? p->signature : signature_of(p);
	link = link_of(p);
	slot = &d->slot[signature % SLOTS];
	same = slot->signature == signature &&
	    p->time.ns - slot->time_ns <= DUPLICATE_NS &&
	    slot->time_ns - p->time.ns <= DUPLICATE_NS &&
	    (link != slot->link || !may_repeat(p));
	*slot = (struct slot){ signature, p->time.ns, link };
	return same;
}
