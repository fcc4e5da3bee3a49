/* decode_ip.c - IPv4, IPv6 with its extension headers, and ARP.
 *
 * The hard part is the length. A header may say 0 (the capture saw a large
 * send before the NIC cut it up: then the frame is the length), less than the
 * frame (the rest is Ethernet padding, not payload) or more (the frame was cut
 * by something that forgot to say so). The last is reported, and decoded as
 * far as the frame goes. */
#include "capture/decode_internal.h"

#include <string.h>

#include "capture/checksum.h"

enum {
	IPV4_HEADER_MIN = 20, IPV4_SUM_AT = 10, IPV6_HEADER = 40,
	IPV4_END_OF_OPTIONS = 0, IPV4_NOP = 1,
	IPV4_LOOSE_ROUTE = 131, IPV4_STRICT_ROUTE = 137,	/* RFC 791, 3.1 */
};

enum {				/* IANA's protocol numbers */
	NEXT_HOP_BY_HOP = 0, NEXT_ROUTING = 43, NEXT_FRAGMENT = 44,
	NEXT_AH = 51, NEXT_NONE = 59, NEXT_DESTINATION = 60,
	NEXT_ETHERIP = 97, NEXT_MOBILITY = 135, NEXT_MPLS = 137,
	NEXT_HIP = 139, NEXT_SHIM6 = 140,
};

enum {				/* IANA's IPv6 option types */
	IPV6_OPTION_PAD1 = 0, IPV6_OPTION_JUMBO = 0xc2,
	IPV6_OPTION_HOME_ADDRESS = 0xc9,
};

static struct address
read_v4(struct bytes *b)
{
	return address_from_v4(bytes_be32(b));
}

static struct address
read_v6(struct bytes *b)
{
	const uint8_t *at = bytes_take(b, 16);
	struct address a = { { 0 } };

	if (at)
		memcpy(a.octet, at, sizeof(a.octet));
	return a;
}

/* Forget the packet around this one. Its transport was none or UDP; what the
 * link said stays. */
static void
forget_outer(struct packet *p)
{
	p->df = p->more_fragments = p->ip_checksum_bad = false;
	p->ip_damaged = false;
	p->ip_id = 0;
	p->fragment_id = p->fragment_offset = 0;
	p->has_transport = false;
	p->sport = p->dport = 0;
	p->checksum = CHECKSUM_UNVERIFIABLE;
}

/* RFC 791, 3.1: under source routing the last address of the list is where the
 * packet goes in the end, and what the transport's checksum is over, until the
 * pointer has passed it. */
static void
source_route(struct packet *p, struct bytes options)
{
	while (options.left) {
		uint8_t kind = bytes_u8(&options), length, pointer;
		struct bytes route;

		if (kind == IPV4_END_OF_OPTIONS)
			return;
		if (kind == IPV4_NOP)
			continue;
		length = bytes_u8(&options);
		if (length < 2)
			return;
		route = bytes_sub(&options, length - 2u);
		if (kind != IPV4_LOOSE_ROUTE && kind != IPV4_STRICT_ROUTE)
			continue;
		pointer = bytes_u8(&route);
		if (bytes_ran_out(route) || route.left < 4 || pointer > length)
			continue;
		bytes_skip(&route, route.left - 4);
		p->dst = read_v4(&route);
	}
}

static void
set_transport(struct walk *w)
{
	w->p->transport = walk_rest(w);
	w->p->payload = walk_rest(w);
	w->p->payload_bytes = walk_wire(w);
}

static enum decode_result
with_length(struct walk *w, enum decode_result r)
{
	return w->missing && r == DECODE_OK ? DECODE_IP_LENGTH : r;
}

static enum decode_result
fragment(struct walk *w, uint8_t protocol)
{
	w->p->is_fragment = true;
	w->p->protocol = protocol;
	set_transport(w);
	return w->cut ? DECODE_TRUNCATED : with_length(w, DECODE_OK);
}

/* `whole` begins at the header, which is `header_bytes` long; `w` stands after
 * its first 20 bytes. */
static enum decode_result
ipv4_rest(struct walk *w, struct bytes whole, uint32_t header_bytes,
    uint32_t total)
{
	struct packet *p = w->p;
	struct bytes options;

	if (header_bytes > IPV4_HEADER_MIN) {
		options = bytes_sub(&w->b, header_bytes - IPV4_HEADER_MIN);
		if (bytes_ran_out(options))
			return walk_short(w, DECODE_IP_HEADER);
		source_route(p, options);
	}
	p->ip_checksum_bad =
	    checksum_sum(whole.at, header_bytes, 0) != UINT16_MAX;
	if (p->ip_checksum_bad) {
		bytes_skip(&whole, IPV4_SUM_AT);
		p->ip_damaged = bytes_be16(&whole);
	}
	w->missing = walk_limit(w, total - header_bytes);
	if (p->more_fragments || p->fragment_offset)
		return fragment(w, p->protocol);
	return decode_ip_payload(w, p->protocol);
}

static enum decode_result
decode_ipv4(struct walk *w)
{
	uint32_t wire = walk_wire(w), header_bytes, total, offset;
	struct bytes whole = w->b, h = bytes_sub(&w->b, IPV4_HEADER_MIN);
	struct packet *p = w->p;
	uint8_t tos;

	if (bytes_ran_out(h))
		return walk_short(w, DECODE_IP_HEADER);
	header_bytes = (bytes_u8(&h) & 0xfu) * 4;
	tos = bytes_u8(&h);
	total = bytes_be16(&h);
	if (total == 0)
		total = wire;
	if (header_bytes < IPV4_HEADER_MIN || total < header_bytes)
		return DECODE_IP_HEADER;

	if (w->found++)
		forget_outer(p);
	p->ip_version = 4;
	p->tos = tos;
	p->ip_bytes = total;
	p->ip_id = bytes_be16(&h);
	p->fragment_id = p->ip_id;
	offset = bytes_be16(&h);
	p->df = offset & 0x4000;
	p->more_fragments = offset & 0x2000;
	p->fragment_offset = (offset & 0x1fff) * 8;
	p->ttl = bytes_u8(&h);
	p->protocol = bytes_u8(&h);
	bytes_skip(&h, 2);
	p->src = read_v4(&h);
	p->dst = read_v4(&h);
	return ipv4_rest(w, whole, header_bytes, total);
}

/* The value of an option in a hop-by-hop or destination options header (RFC
 * 8200, 4.2) if it is there and that long; or else nothing. */
static struct bytes
ipv6_option(struct bytes options, uint8_t wanted, uint8_t wanted_bytes)
{
	while (options.left) {
		uint8_t kind = bytes_u8(&options), length;

		if (kind == IPV6_OPTION_PAD1)
			continue;
		length = bytes_u8(&options);
		if (kind == wanted && length == wanted_bytes)
			return bytes_sub(&options, length);
		bytes_skip(&options, length);
	}
	return bytes_of(NULL, 0);
}

/* RFC 6275, 6.3 and 11.3.1: a mobile node sends from where it is, and means
 * its home address, which the checksum is over too. */
static void
home_address(struct packet *p, struct bytes options)
{
	struct bytes home =
	    ipv6_option(options, IPV6_OPTION_HOME_ADDRESS, sizeof(p->src));

	if (home.left == sizeof(p->src))
		p->src = read_v6(&home);
}

/* RFC 5095 (type 0, still met) and RFC 6275, 6.4 (type 2): while segments are
 * left, the last address is the destination that the checksum is over. */
static void
route_header(struct packet *p, struct bytes h)
{
	uint8_t type = bytes_u8(&h), segments_left = bytes_u8(&h);

	bytes_skip(&h, 4);
	if (bytes_ran_out(h) || h.left < 16 || !segments_left ||
	    (type != 0 && type != 2))
		return;
	bytes_skip(&h, h.left - 16);
	p->dst = read_v6(&h);
}

/* RFC 8200, 4.5. A packet that is its own only fragment (RFC 6946) is whole. */
static bool
fragment_header(struct walk *w, uint8_t *next)
{
	struct packet *p = w->p;
	uint16_t offset;

	*next = bytes_u8(&w->b);
	bytes_skip(&w->b, 1);
	offset = bytes_be16(&w->b);
	p->fragment_id = bytes_be32(&w->b);
	p->fragment_offset = offset & 0xfff8;
	p->more_fragments = offset & 1;
	return p->fragment_offset || p->more_fragments;
}

/* One extension header of the common form (RFC 8200, 4), its length in 8-byte
 * units beyond the first; AH (RFC 4302, 2.2) counts in 4-byte units beyond the
 * first two. */
static struct bytes
extension_header(struct walk *w, uint8_t kind, uint8_t *next)
{
	uint32_t length;

	*next = bytes_u8(&w->b);
	length = bytes_u8(&w->b);
	return bytes_sub(&w->b,
	    kind == NEXT_AH ? length * 4 + 6 : length * 8 + 6);
}

enum decode_result
decode_protocol(struct walk *w, uint8_t protocol)
{
	struct packet *p = w->p;

	p->protocol = protocol;
	set_transport(w);
	switch (protocol) {
	case IP_TCP:
		return decode_tcp(w);
	case IP_UDP:
		return decode_udp(w);
	case IP_ICMP:
		return decode_icmp(w);
	case IP_ICMPV6:
		return decode_icmpv6(w);
	case IP_GRE:
		return decode_gre(w);
	case IP_IPIP:
	case IP_IPV6:
		return decode_inside(w, TUNNEL_IPIP, 0, decode_ip);
	case NEXT_MPLS:
		return decode_inside(w, TUNNEL_MPLS, 0, decode_mpls);
	case NEXT_ETHERIP:		/* RFC 3378 */
		bytes_skip(&w->b, 2);
		return decode_inside(w, TUNNEL_OTHER, 0, decode_ethernet);
	default:
		return DECODE_OK;
	}
}

enum decode_result
decode_ip_payload(struct walk *w, uint8_t protocol)
{
	struct bytes h;
	uint8_t kind;

	for (;;) {
		kind = protocol;
		switch (kind) {
		case NEXT_HOP_BY_HOP:
		case NEXT_ROUTING:
		case NEXT_DESTINATION:
		case NEXT_MOBILITY:
		case NEXT_HIP:
		case NEXT_SHIM6:
			if (w->p->ip_version != 6)
				return with_length(w, decode_protocol(w, kind));
			h = extension_header(w, kind, &protocol);
			if (kind == NEXT_ROUTING)
				route_header(w->p, h);
			if (kind == NEXT_DESTINATION)
				home_address(w->p, h);
			break;
		case NEXT_AH:
			extension_header(w, kind, &protocol);
			break;
		case NEXT_FRAGMENT:
			if (w->p->ip_version == 6 &&
			    fragment_header(w, &protocol) && !bytes_ran_out(w->b))
				return fragment(w, protocol);
			if (w->p->ip_version == 6)
				break;
			/* fall through */
		default:
			return with_length(w, decode_protocol(w, kind));
		}
		if (bytes_ran_out(w->b))
			return walk_short(w, DECODE_IP_HEADER);
	}
}

/* The payload length, or 0 with a jumbo option, or 0 because the capture saw
 * a large send before it was cut up. */
static uint32_t
ipv6_payload_bytes(const struct walk *w, uint16_t length, uint8_t next)
{
	struct walk peek = *w;		/* RFC 2675: the length as an option */
	struct bytes jumbo = bytes_of(NULL, 0);

	if (length || next == NEXT_NONE)
		return length;
	if (next == NEXT_HOP_BY_HOP)
		jumbo = ipv6_option(extension_header(&peek, next, &next),
		    IPV6_OPTION_JUMBO, 4);
	return jumbo.left == 4 ? bytes_be32(&jumbo) : walk_wire(w);
}

static enum decode_result
decode_ipv6(struct walk *w)
{
	struct bytes h = bytes_sub(&w->b, IPV6_HEADER);
	struct packet *p = w->p;
	uint32_t first, length;
	uint8_t next;

	if (bytes_ran_out(h))
		return walk_short(w, DECODE_IP_HEADER);
	if (w->found++)
		forget_outer(p);
	first = bytes_be32(&h);
	length = bytes_be16(&h);
	next = bytes_u8(&h);
	length = ipv6_payload_bytes(w, (uint16_t)length, next);
	p->ip_version = 6;
	p->tos = (uint8_t)(first >> 20);
	p->ip_bytes = length + IPV6_HEADER;
	p->ttl = bytes_u8(&h);
	p->src = read_v6(&h);
	p->dst = read_v6(&h);
	w->missing = walk_limit(w, length);
	return decode_ip_payload(w, next);
}

enum decode_result
decode_ip(struct walk *w)
{
	struct bytes peek = w->b;
	uint8_t version = bytes_u8(&peek) >> 4;

	if (bytes_ran_out(peek))
		return walk_short(w, DECODE_IP_HEADER);
	if (version == 4)
		return decode_ipv4(w);
	if (version == 6)
		return decode_ipv6(w);
	return DECODE_IP_HEADER;
}

/* RFC 826: hardware and protocol type, their address lengths, operation, then
 * sender and target. Only Ethernet and IPv4 are read. */
enum decode_result
decode_arp(struct walk *w)
{
	struct bytes h = bytes_sub(&w->b, 28);
	uint64_t kind = bytes_be64(&h);
	struct address sender;
	const uint8_t *mac;

	if (bytes_ran_out(h))
		return walk_short(w, DECODE_LINK);
	if (kind != UINT64_C(0x0001080006040001) &&
	    kind != UINT64_C(0x0001080006040002))
		return DECODE_NON_IP;
	mac = bytes_take(&h, 6);
	sender = read_v4(&h);
	bytes_skip(&h, 6);
	if (w->found++)
		forget_outer(w->p);
	w->p->ip_version = 0;
	w->p->protocol = 0;
	w->p->arp = kind & 1 ? ARP_REQUEST : ARP_REPLY;
	memcpy(w->p->arp_sender_mac, mac, sizeof(w->p->arp_sender_mac));
	w->p->arp_sender = sender;
	w->p->arp_target = read_v4(&h);
	return DECODE_OK;
}
