/* decode_tunnel.c - packets inside packets: GRE and what travels in it, and
 * the tunnels that UDP ports name.
 *
 * The hard part is to come back: a tunnel that turns out to hold nothing we
 * read must leave the outer packet as it was, so that its flow is still seen. */
#include "capture/decode_internal.h"

enum {				/* IANA's service names, unless noted */
	PORT_L2TP = 1701, PORT_GTP_U = 2152, PORT_TEREDO = 3544,
	PORT_GRE = 4754, PORT_VXLAN = 4789, PORT_VXLAN_GPE = 4790,
	PORT_GENEVE = 6081, PORT_MPLS = 6635,
	PORT_VXLAN_OLD = 8472,		/* Linux's before IANA's, still its default */
	PORT_TZSP = 37008,		/* MikroTik's streaming of sniffed frames */
};

enum decode_result
decode_inside(struct walk *w, uint16_t tunnel, uint32_t id,
    enum decode_result (*inner)(struct walk *))
{
	struct packet outer = *w->p;
	uint8_t found = w->found;
	enum decode_result r;

	if (walk_deeper(w))
		return DECODE_TOO_DEEP;
	w->p->tunnels |= tunnel;
	if (id)
		w->p->tunnel_id = id;
	r = inner(w);
	if (w->found != found)
		return r;
	*w->p = outer;
	return r == DECODE_TOO_DEEP || r == DECODE_TRUNCATED ? r : DECODE_OK;
}

/* A mirrored frame: its own link header is the one that matters, not that of
 * the network the mirror came over. */
static enum decode_result
decode_mirrored(struct walk *w)
{
	w->p->has_mac = false;
	w->p->vlan_count = 0;
	w->p->vlan[0] = w->p->vlan[1] = 0;
	return decode_ethernet(w);
}

/* draft-foschiano-erspan, 4.2 and 4.3: type II is 8 bytes long, type III 12,
 * and 8 more with the O bit. The first four bits tell them apart. */
static enum decode_result
decode_erspan(struct walk *w)
{
	enum { TYPE_II = 1, TYPE_III = 2, FRAME_IP = 2 };
	uint16_t version = bytes_be16(&w->b) >> 12;
	uint32_t session = bytes_be16(&w->b) & 0x3ff;
	uint16_t flags = 0;

	bytes_skip(&w->b, 4);
	if (version == TYPE_III) {
		bytes_skip(&w->b, 2);
		flags = bytes_be16(&w->b);
	} else if (version != TYPE_II) {
		return DECODE_OK;
	}
	if (flags & 1)
		bytes_skip(&w->b, 8);
	if ((flags >> 10 & 0x1f) == FRAME_IP)
		return decode_inside(w, TUNNEL_ERSPAN, session, decode_ip);
	return decode_inside(w, TUNNEL_ERSPAN, session, decode_mirrored);
}

/* WCCP redirects: version 2 puts four bytes before the packet, and says so
 * only by what is not an IP version there. */
static enum decode_result
decode_wccp(struct walk *w)
{
	struct bytes peek = w->b;

	if (bytes_u8(&peek) >> 4 != 4)
		bytes_skip(&w->b, 4);
	return decode_ip(w);
}

static enum decode_result
decode_inner_type(struct walk *w)
{
	return decode_ethertype(w, w->inner_type);
}

/* RFC 1701, 2: source route entries, the last of them empty. */
static void
skip_gre_routing(struct bytes *b)
{
	while (!bytes_ran_out(*b)) {
		uint16_t family = bytes_be16(b);
		uint8_t length;

		bytes_skip(b, 1);
		length = bytes_u8(b);
		bytes_skip(b, length);
		if (family == 0 && length == 0)
			return;
	}
}

/* RFC 2637, 4.1: version 1 carries PPP and acknowledgments of its own. */
static enum decode_result
decode_pptp(struct walk *w, uint16_t flags)
{
	enum { HAS_SEQUENCE = 0x1000, HAS_ACK = 0x0080 };
	uint16_t length = bytes_be16(&w->b);
	uint32_t call = bytes_be16(&w->b);

	bytes_skip(&w->b, (flags & HAS_SEQUENCE ? 4 : 0) +
	    (flags & HAS_ACK ? 4 : 0));
	if (bytes_ran_out(w->b))
		return walk_short(w, DECODE_LINK);
	w->p->tunnels |= TUNNEL_PPTP;
	w->p->tunnel_id = call;
	if (!(flags & HAS_SEQUENCE) || !length)
		return DECODE_OK;
	walk_limit(w, length);
	return decode_inside(w, TUNNEL_PPTP, call, decode_ppp);
}

/* RFC 2784 and 2890; RFC 1701 for the routing. */
enum decode_result
decode_gre(struct walk *w)
{
	enum { CHECKSUM = 0x8000, ROUTING = 0x4000, KEY = 0x2000,
		SEQUENCE = 0x1000, VERSION = 7 };
	uint16_t flags = bytes_be16(&w->b), type = bytes_be16(&w->b);
	uint32_t key = 0;

	if ((flags & VERSION) == 1 && type == ETHERTYPE_PPP)
		return decode_pptp(w, flags);
	if (flags & (CHECKSUM | ROUTING))
		bytes_skip(&w->b, 4);
	if (flags & KEY)
		key = bytes_be32(&w->b);
	if (flags & SEQUENCE)
		bytes_skip(&w->b, 4);
	if (flags & ROUTING)
		skip_gre_routing(&w->b);
	if (bytes_ran_out(w->b))
		return walk_short(w, DECODE_LINK);
	if ((flags & VERSION) || type < ETHERTYPE_MIN)
		return DECODE_OK;
	w->p->tunnels |= TUNNEL_GRE;
	w->p->tunnel_id = key;
	switch (type) {
	case ETHERTYPE_ERSPAN:
		if (flags & SEQUENCE)
			return decode_erspan(w);
		return decode_inside(w, TUNNEL_ERSPAN, 0, decode_mirrored);
	case ETHERTYPE_ERSPAN_III:
		return decode_erspan(w);
	case ETHERTYPE_WCCP:
		return decode_inside(w, TUNNEL_GRE, key, decode_wccp);
	default:
		w->inner_type = type;
		return decode_inside(w, TUNNEL_GRE, key, decode_inner_type);
	}
}

/* What a UDP tunnel's header gave: which decoder comes next. */
struct udp_tunnel {
	enum decode_result (*inner)(struct walk *);	/* NULL: no tunnel */
	uint16_t kind;					/* enum tunnel */
	uint32_t id;
};

/* RFC 7348, 5. Without the I bit there is no VNI, and it is not VXLAN. */
static struct udp_tunnel
vxlan(struct walk *w)
{
	uint8_t flags = bytes_u8(&w->b);
	uint32_t id;

	bytes_skip(&w->b, 3);
	id = bytes_be32(&w->b) >> 8;
	if (!(flags & 0x08))
		return (struct udp_tunnel){ 0 };
	return (struct udp_tunnel){ decode_ethernet, TUNNEL_VXLAN, id };
}

/* draft-ietf-nvo3-vxlan-gpe, 3.1: the P bit, and what comes next. */
static struct udp_tunnel
vxlan_gpe(struct walk *w)
{
	enum { HAS_VNI = 0x08, HAS_NEXT = 0x04 };
	uint8_t flags = bytes_u8(&w->b), next;
	struct udp_tunnel t = { .kind = TUNNEL_VXLAN };

	bytes_skip(&w->b, 2);
	next = bytes_u8(&w->b);
	t.id = bytes_be32(&w->b) >> 8;
	if (!(flags & HAS_VNI))
		return t;
	if (!(flags & HAS_NEXT) || next == 3)
		t.inner = decode_ethernet;
	else if (next == 1 || next == 2)
		t.inner = decode_ip;
	return t;
}

/* RFC 8926, 3.4: option length in words, protocol, VNI. */
static struct udp_tunnel
geneve(struct walk *w)
{
	uint8_t version_length = bytes_u8(&w->b);
	struct udp_tunnel t = { .kind = TUNNEL_GENEVE };

	bytes_skip(&w->b, 1);
	w->inner_type = bytes_be16(&w->b);
	t.id = bytes_be32(&w->b) >> 8;
	bytes_skip(&w->b, (version_length & 0x3fu) * 4);
	if (version_length >> 6 == 0 && w->inner_type >= ETHERTYPE_MIN)
		t.inner = decode_inner_type;
	return t;
}

/* 3GPP TS 29.281, 5.1: a G-PDU, version 1, with its optional words (sequence
 * number, N-PDU number, next extension) and extension headers. */
static struct udp_tunnel
gtp_u(struct walk *w)
{
	enum { G_PDU = 0xff, EXTENSION = 0x04, OPTIONAL = 0x07 };
	struct udp_tunnel t = { .kind = TUNNEL_OTHER };
	uint8_t flags = bytes_u8(&w->b), message = bytes_u8(&w->b), next;

	bytes_skip(&w->b, 2);
	t.id = bytes_be32(&w->b);
	if (flags >> 4 != 3 || message != G_PDU)
		return t;
	if (flags & OPTIONAL) {
		bytes_skip(&w->b, 3);
		next = bytes_u8(&w->b);
		while ((flags & EXTENSION) && next && !bytes_ran_out(w->b)) {
			uint8_t words = bytes_u8(&w->b);

			bytes_skip(&w->b, words ? words * 4u - 2 : 2);
			next = bytes_u8(&w->b);
		}
	}
	t.inner = decode_ip;
	return t;
}

/* RFC 2661, 3.1: data messages carry PPP. */
static struct udp_tunnel
l2tp(struct walk *w)
{
	enum { CONTROL = 0x8000, LENGTH = 0x4000, SEQUENCE = 0x0800,
		OFFSET = 0x0200, VERSION = 0x000f };
	struct udp_tunnel t = { .kind = TUNNEL_OTHER };
	uint16_t flags = bytes_be16(&w->b);

	if ((flags & CONTROL) || (flags & VERSION) != 2)
		return t;
	if (flags & LENGTH)
		bytes_skip(&w->b, 2);
	t.id = bytes_be32(&w->b);
	if (flags & SEQUENCE)
		bytes_skip(&w->b, 4);
	if (flags & OFFSET)
		bytes_skip(&w->b, bytes_be16(&w->b));
	t.inner = decode_ppp;
	return t;
}

/* RFC 4380, 5.1.1: authentication and origin may come before the packet. */
static struct udp_tunnel
teredo(struct walk *w)
{
	struct udp_tunnel t = { .kind = TUNNEL_OTHER };
	struct bytes peek = w->b;
	uint16_t indicator = bytes_be16(&peek);

	if (indicator == 1) {
		uint32_t lengths = bytes_u8(&peek);

		lengths += bytes_u8(&peek);
		bytes_skip(&peek, lengths + 9);
		w->b = peek;
		indicator = bytes_be16(&peek);
	}
	if (indicator == 0) {
		bytes_skip(&peek, 6);
		w->b = peek;
		indicator = bytes_be16(&peek);
	}
	if (!bytes_ran_out(peek) && indicator >> 12 == 6)
		t.inner = decode_ip;
	return t;
}

/* TaZmen Sniffer Protocol: version, type, what the frame is, then tags (type,
 * length, value; padding and the end have no length). A mirror, like ERSPAN. */
static struct udp_tunnel
tzsp(struct walk *w)
{
	enum { VERSION = 1, RECEIVED = 0, TRANSMIT = 1, ETHERNET = 1,
		TAG_END = 1 };
	struct udp_tunnel t = { .kind = TUNNEL_OTHER };
	uint8_t version = bytes_u8(&w->b), type = bytes_u8(&w->b), tag;
	uint16_t frame = bytes_be16(&w->b);

	if (version != VERSION || (type != RECEIVED && type != TRANSMIT) ||
	    frame != ETHERNET)
		return t;
	do {
		tag = bytes_u8(&w->b);
		if (tag > TAG_END)
			bytes_skip(&w->b, bytes_u8(&w->b));
	} while (tag != TAG_END && !bytes_ran_out(w->b));
	t.inner = decode_mirrored;
	return t;
}

static struct udp_tunnel
gre_in_udp(struct walk *w)
{
	(void)w;
	return (struct udp_tunnel){ .inner = decode_gre };
}

static struct udp_tunnel
mpls_in_udp(struct walk *w)
{
	(void)w;
	return (struct udp_tunnel){ .inner = decode_mpls };
}

static struct udp_tunnel
tunnel_at(struct walk *w, uint16_t port)
{
	switch (port) {
	case PORT_VXLAN:
	case PORT_VXLAN_OLD:
		return vxlan(w);
	case PORT_VXLAN_GPE:
		return vxlan_gpe(w);
	case PORT_GENEVE:
		return geneve(w);
	case PORT_GTP_U:
		return gtp_u(w);
	case PORT_L2TP:
		return l2tp(w);
	case PORT_TEREDO:
		return teredo(w);
	case PORT_GRE:
		return gre_in_udp(w);
	case PORT_MPLS:
		return mpls_in_udp(w);
	case PORT_TZSP:
		return tzsp(w);
	default:
		return (struct udp_tunnel){ 0 };
	}
}

bool
decode_udp_tunnel(struct walk *w, enum decode_result *result)
{
	struct packet *p = w->p;
	enum checksum_status outer = p->checksum;
	uint8_t found = w->found;
	struct walk inner = *w;
	struct udp_tunnel t = tunnel_at(&inner, p->dport);

	if (!t.inner) {
		inner = *w;
		t = tunnel_at(&inner, p->sport);
	}
	if (!t.inner || bytes_ran_out(inner.b))
		return false;
	*result = decode_inside(&inner, t.kind, t.id, t.inner);
	if (inner.found == found)
		return false;
	w->missing = inner.missing;
	p->outer_udp = outer;
	return true;
}
