/* wire.h - what the detectors of this room ask of a segment again and again. */
#ifndef DETECTORS_WIRE_H
#define DETECTORS_WIRE_H

#include "capture/tcp.h"
#include "detectors/detector.h"

/* Sequence number after everything the packet holds (SYN and FIN count). */
static inline uint32_t
wire_end(const struct packet *p)
{
	return p->seq + p->payload_bytes + ((p->tcp_flags & TCP_SYN) != 0) +
	    ((p->tcp_flags & TCP_FIN) != 0);
}

/* The fault is that of the side which sent it. */
static inline enum fault_side
wire_fault(enum side s)
{
	return s == SERVER ? FAULT_SERVER : FAULT_CLIENT;
}

/* "server" or "client". */
static inline const char *
wire_side(enum side s)
{
	return s == SERVER ? "server" : "client";
}

static inline bool
wire_half_has(const struct flow *f, enum side s, unsigned flags)
{
	return (f->half[s].flags & flags) == flags;
}

/* Were both SYNs seen, so that what was negotiated is known? */
static inline bool
wire_negotiated(const struct flow *f)
{
	return wire_half_has(f, CLIENT, HALF_SYN) &&
	    wire_half_has(f, SERVER, HALF_SYN) &&
	    !((f->half[CLIENT].flags | f->half[SERVER].flags) & HALF_SYN_CUT);
}

/* Was a segment sent after the one of its side that we saw before it, or did
 * the mirror (or the path) hand it over late? */
enum wire_order { WIRE_ORDER_UNKNOWN, WIRE_SENT_LATER, WIRE_SENT_EARLIER };

/* By the IP ID where the sender counts, else by the time between: two queues of
 * a mirror are out of step by less than WIRE_REORDER_NS. */
#define WIRE_REORDER_NS (10 * NS_PER_MS)
enum wire_order wire_order(const struct segment *);

/* Does this segment come from the half of the IP-ID space that the side's last
 * one did not come from (docs: NDIS, "Sending Data from an Offload Target")? */
static inline bool
wire_flips(const struct segment *s)
{
	const struct packet *p = s->packet;

	return p->ip_version == 4 && p->ip_id && s->ip_id_before &&
	    ((p->ip_id ^ s->ip_id_before) & 0x8000) &&
	    !(p->tcp_flags & (TCP_SYN | TCP_RST));
}

/* Another box than the one that spoke before answers in its name: another TTL. */
static inline bool
wire_other_box(const struct segment *s)
{
	return s->ttl_before && s->packet->ttl != s->ttl_before;
}

/* Is it ICMP "fragmentation needed" or ICMPv6 "packet too big" about a TCP
 * segment (RFC 792; RFC 4443, 3.2)? The datagram that it quotes goes to `q`. */
bool wire_too_big(const struct packet *, struct icmp_quote *q);
/* Is the quoted segment of this flow? `sender` says whose it was. */
bool wire_quotes(const struct flow *, const struct icmp_quote *,
    enum side *sender);

/* "s" or nothing, for a count in a sentence. */
static inline const char *
wire_s(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* How heavy a client's misbehaviour weighs: low, and medium once three of this
 * server's clients show the same (then what was said of the others weighs as
 * much). Keeps its list in server->detector_state of that detector, which then
 * has `release = free`. */
enum severity wire_client_severity(struct server *, const struct detector *,
    const struct address *client);

/* "10.0.0.5:80" or "[2001:db8::1]:80". */
enum { WIRE_END_TEXT_BYTES = ADDRESS_TEXT_BYTES + 9 };
const char *wire_end_text(const struct flow *, enum side,
    char out[WIRE_END_TEXT_BYTES]);

#endif
