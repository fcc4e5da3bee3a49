/* decode_internal.h - what the parts of the decoder share: a cursor that goes
 * down through the layers of one frame. For decode*.c alone. */
#ifndef CAPTURE_DECODE_INTERNAL_H
#define CAPTURE_DECODE_INTERNAL_H

#include "capture/decode.h"

/* Where the decoder stands. What is left of the layer on the wire is
 * `b.left + cut`: reading moves `b` and leaves `cut` as it is. */
struct walk {
	struct packet *p;
	struct bytes b;		/* captured and not yet read */
	uint32_t cut;		/* bytes after those that only the wire had */
	uint32_t missing;	/* bytes an IP length claims beyond the frame */
	uint16_t inner_type;	/* the ethertype a tunnel names */
	uint8_t depth;		/* layers that can hold themselves, so far */
	uint8_t found;		/* IP and ARP packets seen on the way */
};

/* Ethernet, LLC and tunnels count one each. Real networks reach eight or so
 * (Ethernet over MPLS over GRE over Ethernet, mirrored by ERSPAN); more is a
 * mistake or malice, and the decoder calls itself. */
enum { LAYER_DEPTH_MAX = 16 };

enum { LINK_ETHERNET = 1 };	/* pcap-linktype(7) */

enum ethertype {		/* IEEE 802 numbers, as IANA lists them */
	ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_IPV6 = 0x86dd, ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_QINQ = 0x88a8, ETHERTYPE_QINQ_OLD = 0x9100,
	ETHERTYPE_MPLS = 0x8847, ETHERTYPE_MPLS_MULTICAST = 0x8848,
	ETHERTYPE_PPPOE_SESSION = 0x8864, ETHERTYPE_PPP = 0x880b,
	ETHERTYPE_BRIDGED = 0x6558,	/* transparent Ethernet bridging */
	ETHERTYPE_CISCO_METADATA = 0x8909, ETHERTYPE_VNTAG = 0x8926,
	ETHERTYPE_ETAG = 0x893f,	/* 802.1BR */
	ETHERTYPE_PBB = 0x88e7,		/* 802.1ah I-TAG */
	ETHERTYPE_ERSPAN = 0x88be, ETHERTYPE_ERSPAN_III = 0x22eb,
	ETHERTYPE_WCCP = 0x883e,
	ETHERTYPE_MIN = 0x600,	/* below: a length, or nothing */
};

/* Count a layer that can hold itself. True when that is one too many. */
static inline bool
walk_deeper(struct walk *w)
{
	return ++w->depth > LAYER_DEPTH_MAX;
}

/* What is left of this layer, as it was on the wire. */
static inline uint32_t
walk_wire(const struct walk *w)
{
	return (uint32_t)w->b.left + w->cut;
}

/* A header that did not fit: the snap length cut it, or else the layer really
 * is that short, which contradicts the header before it. */
static inline enum decode_result
walk_short(const struct walk *w, enum decode_result contradiction)
{
	return w->cut ? DECODE_TRUNCATED : contradiction;
}

/* The layer is `n` bytes long; what follows is padding or a trailer. Returns
 * how many bytes it claims beyond what the wire had. */
static inline uint32_t
walk_limit(struct walk *w, uint32_t n)
{
	if (n <= w->b.left) {
		w->b.left = n;
		w->cut = 0;
		return 0;
	}
	n -= (uint32_t)w->b.left;
	if (n <= w->cut) {
		w->cut = n;
		return 0;
	}
	return n - w->cut;
}

/* Its cursor, member by member: a copy of the whole at once waits for what was
 * just written to one of them. */
static inline struct bytes
walk_rest(const struct walk *w)
{
	return bytes_of(w->b.at, w->b.left);
}

/* decode.c: decode_frame by the long way alone, through each layer. */
enum decode_result decode_layers(const struct frame *, struct packet *p);

/* decode_plain.c: from the first byte to the transport header, if all of the
 * frame is here and is as most are: Ethernet, untagged or with one tag, and
 * IPv4 with neither options nor fragments and all of its length. What it fills
 * in is what the long way fills in. False: it is another frame, and nothing was
 * done. */
bool decode_plain(struct walk *, int link_type);

/* decode_link.c */
enum decode_result decode_link(struct walk *, int link_type);
enum decode_result decode_ethernet(struct walk *);
enum decode_result decode_ethertype(struct walk *, uint16_t type);
enum decode_result decode_ppp(struct walk *);
enum decode_result decode_mpls(struct walk *);
enum decode_result decode_wlan(struct walk *);

/* decode_ip.c */
enum decode_result decode_ip(struct walk *);	/* by its version */
enum decode_result decode_ip_payload(struct walk *, uint8_t protocol);
/* The same without the headers of IPv6 before it. */
enum decode_result decode_protocol(struct walk *, uint8_t protocol);
enum decode_result decode_arp(struct walk *);

/* decode_transport.c */
enum decode_result decode_tcp(struct walk *);
enum decode_result decode_udp(struct walk *);
enum decode_result decode_icmp(struct walk *);
enum decode_result decode_icmpv6(struct walk *);

/* decode_tunnel.c */
enum decode_result decode_gre(struct walk *);

/* Go down one tunnel by `inner`. If there is no IP or ARP packet in it, the
 * packet is the outer one, as it was. */
enum decode_result decode_inside(struct walk *, uint16_t tunnel, uint32_t id,
    enum decode_result (*inner)(struct walk *));

/* True when UDP ports name a tunnel; `result` is then what it gave. */
bool decode_udp_tunnel(struct walk *, enum decode_result *result);

#endif
