/* decode_plain.c - the short way through a frame as nearly all are.
 *
 * To ask of each layer what it may be takes longer than to read it. Here each
 * is asked one question: is it what it is as a rule? The hard part is to be
 * sure. Anything else, and anything doubtful, is left to the long way
 * (decode_link.c, decode_ip.c), which comes to the very same where both can be
 * gone. */
#include "capture/decode_internal.h"

#include <string.h>

#include "capture/checksum.h"

enum {
	ETHERNET_HEADER = 14, VLAN_TAG = 4, IPV4_HEADER = 20,
	VERSION_4_NO_OPTIONS = 0x45,			/* RFC 791, 3.1 */
	DONT_FRAGMENT = 0x4000, FRAGMENT = 0x3fff,
};

static inline void
take_v4(struct address *a, struct bytes *h)
{
	a->octet[10] = a->octet[11] = 0xff;
	memcpy(a->octet + 12, bytes_take(h, 4), 4);
}

/* `ip` stands at an IPv4 header, all of which is there. */
static inline bool
plain_ipv4(struct walk *w, struct bytes ip)
{
	struct bytes h = bytes_of(ip.at, IPV4_HEADER);
	uint8_t first = bytes_u8(&h), tos = bytes_u8(&h), ttl, protocol;
	uint16_t total = bytes_be16(&h), id = bytes_be16(&h);
	uint16_t fragment = bytes_be16(&h), sum;
	struct packet *p = w->p;

	ttl = bytes_u8(&h);
	protocol = bytes_u8(&h);
	sum = bytes_be16(&h);
	if (first != VERSION_4_NO_OPTIONS || fragment & FRAGMENT ||
	    total < IPV4_HEADER || total > ip.left ||
	    (protocol != IP_TCP && protocol != IP_UDP))
		return false;
	p->ip_version = 4;
	p->tos = tos;
	p->ip_bytes = total;
	p->fragment_id = p->ip_id = id;
	p->df = fragment & DONT_FRAGMENT;
	p->ttl = ttl;
	p->protocol = protocol;
	take_v4(&p->src, &h);
	take_v4(&p->dst, &h);
	p->ip_checksum_bad =
	    checksum_sum(ip.at, IPV4_HEADER, 0) != UINT16_MAX;
	p->ip_damaged = p->ip_checksum_bad && sum;
	w->b.at = h.at;
	w->b.left = total - (size_t)IPV4_HEADER;
	w->cut = 0;
	w->depth = w->found = 1;
	return true;
}

bool
decode_plain(struct walk *w, int link_type)
{
	struct bytes h = bytes_of(w->b.at, ETHERNET_HEADER + VLAN_TAG);
	struct bytes ip = w->b;
	struct packet *p = w->p;
	const uint8_t *dst, *src;
	uint16_t type, id = 0;
	bool is_tagged;

	if (link_type != LINK_ETHERNET ||
	    w->b.left < ETHERNET_HEADER + VLAN_TAG + IPV4_HEADER)
		return false;
	dst = bytes_take(&h, 6);
	src = bytes_take(&h, 6);
	type = bytes_be16(&h);
	is_tagged = type == ETHERTYPE_VLAN;
	if (is_tagged) {
		id = bytes_be16(&h) & 0xfff;		/* IEEE 802.1Q, 9.6 */
		type = bytes_be16(&h);
	}
	bytes_skip(&ip, ETHERNET_HEADER + (is_tagged ? VLAN_TAG : 0));
	if (type != ETHERTYPE_IPV4 || !plain_ipv4(w, ip))
		return false;
	p->has_mac = true;
	memcpy(p->dst_mac, dst, sizeof(p->dst_mac));
	memcpy(p->src_mac, src, sizeof(p->src_mac));
	p->vlan_count = is_tagged;
	p->vlan[0] = id;
	return true;
}
