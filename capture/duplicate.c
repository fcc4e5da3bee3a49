/* duplicate.c - a small memory of the frames just seen.
 *
 * The hard part is what not to call a copy. Real stacks do send equal packets
 * in a row: pure ACKs for a burst that lost its head, where no IP ID tells them
 * apart (IPv6; ID 0 with DF). Those count as copies only when the link header
 * shows that one of them crossed a router or another VLAN. */
#include "capture/duplicate.h"

#include <stdlib.h>
#include <string.h>

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
mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t
mix_bytes(uint64_t h, const uint8_t *p, size_t n)
{
	uint64_t word;

	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = mix(h, word);
	}
	word = 0;
	if (n)
		memcpy(&word, p, n);
	return mix(h, word ^ (uint64_t)n << 56);
}

/* All that a second transmission would change, and nothing a hop changes. */
static uint64_t
signature_of(const struct packet *p)
{
	uint64_t h = mix(1, (uint64_t)p->protocol << 32 | p->ip_id);
	size_t body = p->transport.left;

	h = mix_bytes(h, p->src.octet, sizeof(p->src.octet));
	h = mix_bytes(h, p->dst.octet, sizeof(p->dst.octet));
	h = mix(h, (uint64_t)p->ip_bytes << 32 | p->fragment_offset);
	h = mix(h, p->tunnel_id);
	/* the transport header with its checksum, options and timestamps */
	return mix_bytes(h, p->transport.at, body < HASHED_PAYLOAD_BYTES + 60 ?
	    body : HASHED_PAYLOAD_BYTES + 60);
}

static uint32_t
link_of(const struct packet *p)
{
	uint64_t h = mix(2, (uint64_t)p->ttl << 32 | p->vlan[0] |
	    (uint32_t)p->vlan[1] << 16);

	h = mix_bytes(h, p->src_mac, sizeof(p->src_mac));
	h = mix_bytes(h, p->dst_mac, sizeof(p->dst_mac));
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
	__builtin_prefetch(&d->slot[p->signature % SLOTS], 1);
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
