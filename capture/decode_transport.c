/* decode_transport.c - TCP, UDP, ICMP and ICMPv6.
 *
 * A segment whose options are odd, or cut off, is still a segment: its numbers
 * stand. Only a header that claims more than its packet holds is given up. */
#include "capture/decode_internal.h"

#include <string.h>

#include "capture/checksum.h"

enum {
	TCP_HEADER_MIN = 20, UDP_HEADER = 8, ICMP_HEADER = 8,
	TCP_CHECKSUM_AT = 16, UDP_CHECKSUM_AT = 6,
};

enum tcp_option {		/* IANA's TCP option kinds */
	OPTION_END = 0, OPTION_NOP = 1, OPTION_MSS = 2,
	OPTION_WINDOW_SCALE = 3, OPTION_SACK_PERMITTED = 4, OPTION_SACK = 5,
	OPTION_TIMESTAMPS = 8,
};

enum icmp_type {
	ICMP_ECHO_REPLY = 0, ICMP_UNREACHABLE = 3, ICMP_SOURCE_QUENCH = 4,
	ICMP_REDIRECT = 5, ICMP_ECHO = 8, ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER = 12, ICMP_FRAGMENTATION_NEEDED = 4,	/* a code */
	ICMPV6_UNREACHABLE = 1, ICMPV6_TOO_BIG = 2, ICMPV6_PARAMETER = 4,
	ICMPV6_ECHO = 128, ICMPV6_ECHO_REPLY = 129,
	ICMPV6_NEIGHBOR_SOLICIT = 135, ICMPV6_NEIGHBOR_ADVERT = 136,
};

static void
sack_blocks(struct tcp_options *o, struct bytes b)
{
	o->sack_count = 0;
	while (b.left >= 8 && o->sack_count < SACK_BLOCKS_MAX) {
		struct sack_block *block = &o->sack[o->sack_count++];

		block->left = bytes_be32(&b);
		block->right = bytes_be32(&b);
	}
}

/* One option's value. A length that is not the option's own makes it unknown
 * (RFC 9293, 3.2; RFC 7323; RFC 2018). */
static void
tcp_option(struct tcp_options *o, uint8_t kind, struct bytes v)
{
	if (kind == OPTION_TIMESTAMPS && v.left == 8) {
		o->has_timestamps = true;
		o->ts_value = bytes_be32(&v);
		o->ts_echo = bytes_be32(&v);
	} else if (kind == OPTION_SACK) {
		sack_blocks(o, v);
	} else if (kind == OPTION_MSS && v.left == 2) {
		o->mss = bytes_be16(&v);
	} else if (kind == OPTION_WINDOW_SCALE && v.left == 1) {
		o->has_window_scale = true;
		o->window_shift = bytes_u8(&v);
	} else if (kind == OPTION_SACK_PERMITTED && v.left == 0) {
		o->sack_permitted = true;
	}
}

static void
tcp_options(struct tcp_options *o, struct bytes b)
{
	while (b.left) {
		uint8_t kind = bytes_u8(&b), length;
		struct bytes value;

		if (kind == OPTION_END)
			return;
		if (kind == OPTION_NOP)
			continue;
		length = bytes_u8(&b);
		if (length < 2)
			return;
		value = bytes_sub(&b, length - 2u);
		if (bytes_ran_out(value))
			return;
		tcp_option(o, kind, value);
	}
}

/* Over a frame that ends before its IP length does, the sum is wrong as a rule,
 * and for whatever reason the rest is not there, it is not the sender's. */
static void
transport_checksum(const struct walk *w, uint8_t protocol,
    const struct bytes *whole, uint32_t wire_bytes, uint32_t field_offset,
    uint32_t header_bytes)
{
	struct packet *p = w->p;

	p->checksum = checksum_transport(&p->src, &p->dst, protocol, whole,
	    wire_bytes, field_offset, header_bytes, &p->header_sum);
	if (w->missing && p->checksum != CHECKSUM_GOOD &&
	    p->checksum != CHECKSUM_UNVERIFIABLE)
		p->checksum = CHECKSUM_SHORT;
}

static inline uint32_t
tcp_header(struct packet *p, struct bytes h)
{
	uint32_t header_bytes;

	p->sport = bytes_be16(&h);
	p->dport = bytes_be16(&h);
	p->seq = bytes_be32(&h);
	p->ack = bytes_be32(&h);
	header_bytes = (bytes_u8(&h) >> 4) * 4u;
	p->tcp_flags = bytes_u8(&h);
	p->window = bytes_be16(&h);
	bytes_skip(&h, 2);
	p->urgent = bytes_be16(&h);
	return header_bytes;
}

enum decode_result
decode_tcp(struct walk *w)
{
	uint32_t wire = walk_wire(w), header_bytes, kept;
	struct packet *p = w->p;
	const uint8_t *at = w->b.at;
	size_t left = w->b.left;

	if (left < TCP_HEADER_MIN) {
		(void)tcp_header(p, walk_rest(w));	/* as far as it goes */
		return walk_short(w, DECODE_TRANSPORT);
	}
	header_bytes = tcp_header(p, bytes_of(at, TCP_HEADER_MIN));
	if (header_bytes < TCP_HEADER_MIN || header_bytes > wire + w->missing)
		return DECODE_TRANSPORT;

	p->has_transport = true;
	p->tcp_header_bytes = (uint8_t)header_bytes;
	kept = header_bytes < left ? header_bytes : (uint32_t)left;
	p->options.cut = kept < header_bytes;
	tcp_options(&p->options,
	    bytes_of(at + TCP_HEADER_MIN, kept - TCP_HEADER_MIN));
	p->payload = bytes_of(at + kept, left - kept);
	p->payload_bytes = wire > header_bytes ? wire - header_bytes : 0;
	transport_checksum(w, IP_TCP, &w->b, wire, TCP_CHECKSUM_AT,
	    header_bytes <= wire ? header_bytes : 0);
	return w->cut ? DECODE_TRUNCATED : DECODE_OK;
}

enum decode_result
decode_udp(struct walk *w)
{
	struct bytes whole = walk_rest(w), h = bytes_sub(&w->b, UDP_HEADER);
	struct packet *p = w->p;
	enum decode_result inner;
	uint32_t length, beyond;

	p->sport = bytes_be16(&h);
	p->dport = bytes_be16(&h);
	length = bytes_be16(&h);
	if (bytes_ran_out(h))
		return walk_short(w, DECODE_TRANSPORT);
	/* RFC 2675, 4: a jumbogram's length is the IP packet's. */
	if (length == 0 && p->ip_version == 6)
		length = UDP_HEADER + walk_wire(w);
	if (length < UDP_HEADER)
		return DECODE_TRANSPORT;

	beyond = walk_limit(w, length - UDP_HEADER);
	p->has_transport = true;
	p->payload = w->b;
	p->payload_bytes = walk_wire(w);
	whole.left = UDP_HEADER + w->b.left;
	transport_checksum(w, IP_UDP, &whole, length, UDP_CHECKSUM_AT, 0);
	if (decode_udp_tunnel(w, &inner))
		return inner;
	if (w->cut)
		return DECODE_TRUNCATED;
	return beyond > w->missing ? DECODE_TRANSPORT : DECODE_OK;
}

/* The eight bytes that begin each ICMP message we read: type, code, checksum
 * and four bytes that each type uses in its own way. */
static enum decode_result
icmp_header(struct walk *w, struct bytes *rest)
{
	struct bytes h = bytes_sub(&w->b, ICMP_HEADER);
	struct packet *p = w->p;

	p->icmp_type = bytes_u8(&h);
	p->icmp_code = bytes_u8(&h);
	bytes_skip(&h, 2);
	if (bytes_ran_out(h))
		return walk_short(w, DECODE_TRANSPORT);
	*rest = h;
	p->has_transport = true;
	p->payload = w->b;
	p->payload_bytes = walk_wire(w);
	return w->cut ? DECODE_TRUNCATED : DECODE_OK;
}

/* RFC 792; RFC 1191, 4 for the MTU. */
enum decode_result
decode_icmp(struct walk *w)
{
	struct packet *p = w->p;
	struct bytes h = { 0 };
	enum decode_result r = icmp_header(w, &h);

	if (!p->has_transport)
		return r;
	if (p->icmp_type == ICMP_ECHO || p->icmp_type == ICMP_ECHO_REPLY) {
		p->icmp_id = bytes_be16(&h);
		p->icmp_seq = bytes_be16(&h);
	}
	if (p->icmp_type == ICMP_UNREACHABLE &&
	    p->icmp_code == ICMP_FRAGMENTATION_NEEDED) {
		bytes_skip(&h, 2);
		p->icmp_mtu = bytes_be16(&h);
	}
	return r;
}

/* RFC 4861, 4.6.1: options count in units of eight bytes. */
static void
link_address_option(struct packet *p, struct bytes options, uint8_t wanted)
{
	while (options.left) {
		uint8_t kind = bytes_u8(&options), length = bytes_u8(&options);
		struct bytes value;

		if (length == 0)
			return;
		value = bytes_sub(&options, length * 8u - 2);
		if (kind == wanted && value.left == 6)
			memcpy(p->arp_sender_mac, value.at, 6);
	}
}

/* RFC 4861, 4.3 and 4.4: a solicitation asks as an ARP request does, and an
 * advertisement answers for the address it names. */
static void
neighbor(struct packet *p)
{
	enum { SOURCE_LINK_ADDRESS = 1, TARGET_LINK_ADDRESS = 2 };
	bool solicit = p->icmp_type == ICMPV6_NEIGHBOR_SOLICIT;
	struct bytes b = p->payload;
	const uint8_t *at = bytes_take(&b, 16);
	struct address target;

	if (!at)
		return;
	memcpy(target.octet, at, sizeof(target.octet));
	p->arp = solicit ? ARP_REQUEST : ARP_REPLY;
	p->arp_sender = solicit ? p->src : target;
	p->arp_target = solicit ? target : p->dst;
	link_address_option(p, b,
	    solicit ? SOURCE_LINK_ADDRESS : TARGET_LINK_ADDRESS);
}

/* RFC 4443; 3.2 for the MTU. */
enum decode_result
decode_icmpv6(struct walk *w)
{
	struct packet *p = w->p;
	struct bytes h = { 0 };
	enum decode_result r = icmp_header(w, &h);
	uint32_t mtu;

	if (!p->has_transport)
		return r;
	switch (p->icmp_type) {
	case ICMPV6_ECHO:
	case ICMPV6_ECHO_REPLY:
		p->icmp_id = bytes_be16(&h);
		p->icmp_seq = bytes_be16(&h);
		break;
	case ICMPV6_TOO_BIG:
		mtu = bytes_be32(&h);
		p->icmp_mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
		break;
	case ICMPV6_NEIGHBOR_SOLICIT:
	case ICMPV6_NEIGHBOR_ADVERT:
		neighbor(p);
		break;
	default:
		break;
	}
	return r;
}

static bool
is_icmp_error(const struct packet *p)
{
	if (!p->has_transport)
		return false;
	if (p->protocol == IP_ICMPV6)
		return p->icmp_type >= ICMPV6_UNREACHABLE &&
		    p->icmp_type <= ICMPV6_PARAMETER;
	return p->protocol == IP_ICMP &&
	    (p->icmp_type == ICMP_UNREACHABLE ||
	    p->icmp_type == ICMP_SOURCE_QUENCH ||
	    p->icmp_type == ICMP_REDIRECT ||
	    p->icmp_type == ICMP_TIME_EXCEEDED ||
	    p->icmp_type == ICMP_PARAMETER);
}

/* The quoted header must be whole. True when `b` stands at the quoted
 * transport header. */
static bool
quote_ipv4(struct bytes *b, struct icmp_quote *q)
{
	uint32_t header_bytes = (bytes_u8(b) & 0xfu) * 4;
	uint16_t offset;

	bytes_skip(b, 1);
	q->ip_bytes = bytes_be16(b);
	q->ip_id = bytes_be16(b);
	offset = bytes_be16(b);
	bytes_skip(b, 1);
	q->protocol = bytes_u8(b);
	bytes_skip(b, 2);
	q->src = address_from_v4(bytes_be32(b));
	q->dst = address_from_v4(bytes_be32(b));
	if (header_bytes < 20 || (offset & 0x1fff))
		return false;
	bytes_skip(b, header_bytes - 20);
	return !bytes_ran_out(*b);
}

static bool
quote_ipv6(struct bytes *b, struct icmp_quote *q)
{
	const uint8_t *src, *dst;

	bytes_skip(b, 4);
	q->ip_bytes = bytes_be16(b) + 40u;
	q->protocol = bytes_u8(b);
	bytes_skip(b, 1);
	src = bytes_take(b, 16);
	dst = bytes_take(b, 16);
	if (!src || !dst)
		return false;
	memcpy(q->src.octet, src, sizeof(q->src.octet));
	memcpy(q->dst.octet, dst, sizeof(q->dst.octet));
	return true;
}

bool
decode_icmp_quote(const struct packet *p, struct icmp_quote *out)
{
	struct bytes b = p->payload, peek = b;
	struct icmp_quote q;
	uint8_t version;

	if (!is_icmp_error(p))
		return false;
	memset(&q, 0, sizeof(q));
	version = bytes_u8(&peek) >> 4;
	if (version == 4 ? !quote_ipv4(&b, &q) :
	    version == 6 ? !quote_ipv6(&b, &q) : true)
		return false;
	if (q.protocol == IP_TCP || q.protocol == IP_UDP) {
		q.sport = bytes_be16(&b);
		q.dport = bytes_be16(&b);
	}
	if (q.protocol == IP_TCP)
		q.seq = bytes_be32(&b);
	if (bytes_ran_out(b))
		return false;
	*out = q;
	return true;
}
