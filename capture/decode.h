/* decode.h - from the bytes of a frame to a struct packet: link layers, VLAN
 * tags, tunnels down to the innermost IP packet, and its TCP, UDP or ICMP. */
#ifndef CAPTURE_DECODE_H
#define CAPTURE_DECODE_H

#include "capture/packet.h"

/* Fills all of `p` (layers that are not there read 0). Stops where the bytes
 * stop; what was decoded until then stands. IP fragments come back DECODE_OK
 * with is_fragment set; hand them to defrag_add. */
enum decode_result decode_frame(const struct frame *, struct packet *p);

/* The transport header of `p`, again, over a whole IP payload that was put
 * together from fragments. */
enum decode_result decode_transport(struct packet *p, struct bytes ip_payload);

/* The datagram that an ICMP or ICMPv6 error quotes. False if it is none, or
 * too short. */
bool decode_icmp_quote(const struct packet *, struct icmp_quote *);

#endif
