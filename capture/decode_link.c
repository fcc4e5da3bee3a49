/* decode_link.c - link layers: everything between the first byte of a frame
 * and its IP header, tags and labels included.
 *
 * The hard part is that few of them say what they carry in the same way: by
 * ethertype, by length and LLC, by PPP protocol, by address family, or (MPLS)
 * not at all. Where the bytes do not say, only what is certain is taken for
 * IP: a packet found in noise costs more than one missed. */
#include "capture/decode_internal.h"

#include <string.h>

/* libpcap's numbers (pcap-linktype(7)), as DLT_* are on Linux. */
enum {
	LINK_NULL = 0, LINK_PPP = 9, LINK_RAW = 12,
	LINK_RAW_BSD = 14, LINK_PPP_SERIAL = 50, LINK_PPP_ETHER = 51,
	LINK_C_HDLC = 104, LINK_WLAN = 105, LINK_LOOP = 108,
	LINK_LINUX_SLL = 113, LINK_WLAN_RADIOTAP = 127, LINK_IPV4 = 228,
	LINK_IPV6 = 229, LINK_LINUX_SLL2 = 276,
};

enum {
	LLC_LENGTH_MAX = 1500,	/* IEEE 802.3, 3.2.6 */
	LLC_SAP_IP = 0x06, LLC_SAP_SNAP = 0xaa, LLC_UI = 0x03,
};

static void
take_macs(struct packet *p, const uint8_t *dst, const uint8_t *src)
{
	if (p->has_mac)
		return;
	p->has_mac = true;
	memcpy(p->dst_mac, dst, sizeof(p->dst_mac));
	memcpy(p->src_mac, src, sizeof(p->src_mac));
}

/* LLC (IEEE 802.2) and SNAP (RFC 1042). */
static enum decode_result
decode_llc(struct walk *w)
{
	uint8_t dsap = bytes_u8(&w->b), ssap = bytes_u8(&w->b);
	uint8_t control = bytes_u8(&w->b);
	uint32_t oui;

	if (walk_deeper(w))
		return DECODE_TOO_DEEP;
	if (bytes_ran_out(w->b))
		return walk_short(w, DECODE_NON_IP);
	if (dsap == LLC_SAP_IP && control == LLC_UI)
		return decode_ip(w);
	if (dsap != LLC_SAP_SNAP || ssap != LLC_SAP_SNAP || control != LLC_UI)
		return DECODE_NON_IP;
	oui = (uint32_t)bytes_be16(&w->b) << 8;
	oui |= bytes_u8(&w->b);
	/* RFC 1042, and the bridge tunnel of IEEE 802.1H for the same types. */
	if (oui == 0 || oui == 0x0000f8)
		return decode_ethertype(w, bytes_be16(&w->b));
	return bytes_ran_out(w->b) ? walk_short(w, DECODE_NON_IP) : DECODE_NON_IP;
}

static enum decode_result
decode_length_field(struct walk *w, uint16_t length)
{
	if (length > LLC_LENGTH_MAX)
		return DECODE_LINK;
	walk_limit(w, length);
	return decode_llc(w);
}

static uint16_t
vlan_tag(struct walk *w)
{
	uint16_t id = bytes_be16(&w->b) & 0xfff;	/* IEEE 802.1Q, 9.6 */
	struct packet *p = w->p;

	if (p->vlan_count < 2)
		p->vlan[p->vlan_count] = id;
	if (p->vlan_count < UINT8_MAX)
		p->vlan_count++;
	return bytes_be16(&w->b);
}

/* A tag of that many bytes before the next ethertype: a port extender's (VNTAG,
 * 4; IEEE 802.1BR, 6), or Cisco's inline security group (version, length,
 * option, group: 6). */
static uint16_t
tag_of(struct walk *w, size_t bytes)
{
	bytes_skip(&w->b, bytes);
	return bytes_be16(&w->b);
}

/* RFC 2516: version and type, code, session, length, and a PPP frame. */
static enum decode_result
decode_pppoe(struct walk *w)
{
	struct bytes h = bytes_sub(&w->b, 6);
	uint8_t version_type = bytes_u8(&h), code = bytes_u8(&h);
	uint16_t length;

	bytes_skip(&h, 2);
	length = bytes_be16(&h);
	if (bytes_ran_out(h))
		return walk_short(w, DECODE_LINK);
	if (version_type != 0x11)
		return DECODE_LINK;
	if (code != 0)
		return DECODE_NON_IP;
	walk_limit(w, length);
	w->p->tunnels |= TUNNEL_PPPOE;
	return decode_ppp(w);
}

/* IEEE 802.1ah: a frame in a frame, behind the instance tag. */
static enum decode_result
decode_pbb(struct walk *w)
{
	bytes_skip(&w->b, 4);
	return decode_ethernet(w);
}

enum decode_result
decode_ethertype(struct walk *w, uint16_t type)
{
	while (!bytes_ran_out(w->b)) {
		switch (type) {
		case ETHERTYPE_IPV4:
		case ETHERTYPE_IPV6:
			return decode_ip(w);
		case ETHERTYPE_VLAN:
		case ETHERTYPE_QINQ:
		case ETHERTYPE_QINQ_OLD:
			type = vlan_tag(w);
			continue;
		case ETHERTYPE_ARP:
			return decode_arp(w);
		case ETHERTYPE_MPLS:
		case ETHERTYPE_MPLS_MULTICAST:
			return decode_mpls(w);
		case ETHERTYPE_PPPOE_SESSION:
			return decode_pppoe(w);
		case ETHERTYPE_PPP:
			return decode_ppp(w);
		case ETHERTYPE_BRIDGED:
			return decode_ethernet(w);
		case ETHERTYPE_PBB:
			return decode_pbb(w);
		case ETHERTYPE_VNTAG:
			type = tag_of(w, 4);
			continue;
		case ETHERTYPE_ETAG:
		case ETHERTYPE_CISCO_METADATA:
			type = tag_of(w, 6);
			continue;
		default:
			return type < ETHERTYPE_MIN ?
			    decode_length_field(w, type) : DECODE_NON_IP;
		}
	}
	return walk_short(w, DECODE_LINK);
}

enum decode_result
decode_ethernet(struct walk *w)
{
	struct bytes h = bytes_sub(&w->b, 14);
	const uint8_t *dst, *src;

	if (walk_deeper(w))
		return DECODE_TOO_DEEP;
	if (bytes_ran_out(h))
		return walk_short(w, DECODE_LINK);
	dst = bytes_take(&h, 6);
	src = bytes_take(&h, 6);
	take_macs(w->p, dst, src);
	return decode_ethertype(w, bytes_be16(&h));
}

/* RFC 1661, 2: address and control may be left out, and so may the high byte
 * of the protocol. RFC 1662, 3.1 for the former. */
enum decode_result
decode_ppp(struct walk *w)
{
	uint16_t protocol = bytes_u8(&w->b);

	if (protocol == 0xff) {
		bytes_skip(&w->b, 1);
		protocol = bytes_u8(&w->b);
	}
	if (!(protocol & 1))
		protocol = (uint16_t)(protocol << 8 | bytes_u8(&w->b));
	if (bytes_ran_out(w->b))
		return walk_short(w, DECODE_LINK);
	switch (protocol) {
	case 0x0021:			/* RFC 1332 */
	case 0x0057:			/* RFC 5072 */
		return decode_ip(w);
	case 0x0281:			/* RFC 3032, 4.3 */
	case 0x0283:
		return decode_mpls(w);
	default:
		return DECODE_NON_IP;
	}
}

/* Does an Ethernet header that starts `skip` bytes on carry what we know? */
static bool
looks_like_ethernet(struct walk w, size_t skip)
{
	uint16_t type;

	bytes_skip(&w.b, skip + 12);
	type = bytes_be16(&w.b);
	switch (bytes_ran_out(w.b) ? 0 : type) {
	case ETHERTYPE_IPV4:
	case ETHERTYPE_IPV6:
	case ETHERTYPE_ARP:
	case ETHERTYPE_VLAN:
	case ETHERTYPE_QINQ:
	case ETHERTYPE_PPPOE_SESSION:
	case ETHERTYPE_MPLS:
		return true;
	default:
		return false;
	}
}

/* RFC 3032, 2.1. The label stack does not say what it carries: IP shows by its
 * version (RFC 4928, 3), a pseudowire's control word by the 0 in its place
 * (RFC 4385, 3), and Ethernet without one only by its ethertype. */
enum decode_result
decode_mpls(struct walk *w)
{
	struct walk peek;
	uint32_t label;

	do
		label = bytes_be32(&w->b);
	while (!bytes_ran_out(w->b) && !(label & 0x100));
	w->p->tunnels |= TUNNEL_MPLS;
	peek = *w;
	switch (bytes_u8(&peek.b) >> 4) {
	case 4:
	case 6:
		return decode_ip(w);
	case 0:
		if (!looks_like_ethernet(*w, 4))
			break;
		bytes_skip(&w->b, 4);
		return decode_ethernet(w);
	default:
		break;
	}
	if (looks_like_ethernet(*w, 0))
		return decode_ethernet(w);
	return bytes_ran_out(peek.b) ? walk_short(w, DECODE_LINK) : DECODE_NON_IP;
}

/* BSD loopback: an address family in the byte order of the host that captured
 * (NULL) or of the network (LOOP). IPv6 has a number of its own on each BSD. */
static enum decode_result
decode_loopback(struct walk *w)
{
	struct bytes other = w->b;
	uint32_t family = bytes_le32(&w->b);

	if (family > UINT16_MAX)
		family = bytes_be32(&other);
	if (family > UINT16_MAX)	/* some write an ethertype, and not all of it */
		family &= UINT16_MAX;
	if (bytes_ran_out(w->b))
		return walk_short(w, DECODE_LINK);
	switch (family) {
	case 2:
	case 24:
	case 28:
	case 30:
		return decode_ip(w);
	default:
		if (family >= ETHERTYPE_MIN)
			return decode_ethertype(w, (uint16_t)family);
		return DECODE_NON_IP;
	}
}

static void
take_sll_mac(struct packet *p, uint16_t length, const uint8_t *at)
{
	static const uint8_t unknown[6];

	if (length == 6 && at)
		take_macs(p, unknown, at);
}

enum { SLL_LLC = 4 };		/* linux/if_ether.h: ETH_P_802_2 */

static enum decode_result
decode_sll_protocol(struct walk *w, uint16_t protocol)
{
	if (protocol == SLL_LLC)
		return decode_llc(w);
	if (protocol < ETHERTYPE_MIN)
		return DECODE_NON_IP;
	return decode_ethertype(w, protocol);
}

/* Packet type, hardware type, address length, address, protocol. */
static enum decode_result
decode_sll(struct walk *w)
{
	struct bytes h = bytes_sub(&w->b, 16);
	uint16_t length;
	const uint8_t *mac;

	bytes_skip(&h, 4);
	length = bytes_be16(&h);
	mac = bytes_take(&h, 8);
	if (bytes_ran_out(h))
		return walk_short(w, DECODE_LINK);
	take_sll_mac(w->p, length, mac);
	return decode_sll_protocol(w, bytes_be16(&h));
}

/* Protocol, reserved, interface index, hardware type, packet type, address
 * length, address. */
static enum decode_result
decode_sll2(struct walk *w)
{
	struct bytes h = bytes_sub(&w->b, 20);
	uint16_t protocol = bytes_be16(&h);
	uint8_t length;

	bytes_skip(&h, 9);
	length = bytes_u8(&h);
	if (bytes_ran_out(h))
		return walk_short(w, DECODE_LINK);
	take_sll_mac(w->p, length, bytes_take(&h, 8));
	return decode_sll_protocol(w, protocol);
}

/* Cisco HDLC: address, control, ethertype. */
static enum decode_result
decode_chdlc(struct walk *w)
{
	bytes_skip(&w->b, 2);
	return decode_ethertype(w, bytes_be16(&w->b));
}

/* PPP in HDLC framing, or Cisco's, told by the address (RFC 1547, 4.3.1). */
static enum decode_result
decode_ppp_serial(struct walk *w)
{
	struct bytes peek = w->b;
	uint8_t address = bytes_u8(&peek);

	if (address == 0x0f || address == 0x8f)
		return decode_chdlc(w);
	return decode_ppp(w);
}

/* IEEE 802.11, 9.2.4: data frames that are not encrypted. Which address is
 * whose depends on the direction (9.3.2.1). An aggregate holds several frames,
 * of which a struct packet cannot hold more than one: left alone. */
enum decode_result
decode_wlan(struct walk *w)
{
	enum { TO_DS = 1, FROM_DS = 2, PROTECTED = 0x40, ORDER = 0x80 };
	uint8_t kind = bytes_u8(&w->b), flags = bytes_u8(&w->b);
	const uint8_t *a1, *a2, *a3, *a4 = NULL;
	uint8_t qos = 0;

	bytes_skip(&w->b, 2);
	a1 = bytes_take(&w->b, 6);
	a2 = bytes_take(&w->b, 6);
	a3 = bytes_take(&w->b, 6);
	bytes_skip(&w->b, 2);
	if ((flags & (TO_DS | FROM_DS)) == (TO_DS | FROM_DS))
		a4 = bytes_take(&w->b, 6);
	if (kind & 0x80)
		qos = (uint8_t)(bytes_be16(&w->b) >> 8);
	if ((kind & 0x80) && (flags & ORDER))
		bytes_skip(&w->b, 4);
	if ((kind & 0x0f) != 0x08 || (kind & 0x40) || (flags & PROTECTED))
		return DECODE_NON_IP;
	if (bytes_ran_out(w->b))
		return walk_short(w, DECODE_LINK);
	if (qos & 0x80)
		return DECODE_NON_IP;
	take_macs(w->p, flags & TO_DS ? a3 : a1,
	    a4 ? a4 : flags & FROM_DS ? a3 : a2);
	return decode_llc(w);
}

/* radiotap.org: version, length, what is present (more words while bit 31 is
 * set), then the fields; of these only the flags matter here, and before them
 * stands at most the 8-byte TSFT. */
static enum decode_result
decode_radiotap(struct walk *w)
{
	enum { TSFT = 1, FLAGS = 2, FLAG_DATAPAD = 0x20 };
	struct bytes all = w->b, h;
	uint32_t present, word;
	uint8_t flags = 0;
	uint16_t length;

	bytes_skip(&all, 2);
	length = bytes_le16(&all);
	h = bytes_sub(&w->b, length);
	bytes_skip(&h, 4);
	word = present = bytes_le32(&h);
	while (!bytes_ran_out(h) && word >> 31)
		word = bytes_le32(&h);
	if (bytes_ran_out(h))
		return walk_short(w, DECODE_LINK);
	if (present & TSFT)
		bytes_skip(&h, ((length - h.left) & 4) + 8);
	if (present & FLAGS)
		flags = bytes_u8(&h);
	return flags & FLAG_DATAPAD ? DECODE_NON_IP : decode_wlan(w);
}

enum decode_result
decode_link(struct walk *w, int link_type)
{
	switch (link_type) {
	case LINK_ETHERNET:
		return decode_ethernet(w);
	case LINK_LINUX_SLL:
		return decode_sll(w);
	case LINK_LINUX_SLL2:
		return decode_sll2(w);
	case LINK_RAW:
	case LINK_RAW_BSD:
	case LINK_IPV4:
	case LINK_IPV6:
		return decode_ip(w);
	case LINK_NULL:
	case LINK_LOOP:
		return decode_loopback(w);
	case LINK_PPP:
	case LINK_PPP_SERIAL:
		return decode_ppp_serial(w);
	case LINK_PPP_ETHER:
		return decode_pppoe(w);
	case LINK_C_HDLC:
		return decode_chdlc(w);
	case LINK_WLAN:
		return decode_wlan(w);
	case LINK_WLAN_RADIOTAP:
		return decode_radiotap(w);
	default:
		return DECODE_LINK_TYPE;
	}
}
