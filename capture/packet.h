/* packet.h - one captured frame, and what decoding it gave, as plain values.
 *
 * A decoder fills a flat struct and returns a verdict. It does not log,
 * allocate, look at flows or know the time, so that tests, fuzzers and the
 * engine call the same function. "Cut short" (snap length) is not "malformed":
 * they are different results, and neither alone is a finding. */
#ifndef CAPTURE_PACKET_H
#define CAPTURE_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/bytes.h"
#include "capture/clock.h"

/* A frame as the source hands it over; `data` is borrowed until the next one. */
struct frame {
	struct instant time;	/* as stamped; may run backwards */
	uint64_t number;	/* 1-based in its file, as Wireshark counts */
	uint32_t file;		/* which input (source_name) */
	uint32_t interface;	/* pcapng interface in that file, else 0 */
	int link_type;		/* DLT_*, as libpcap gives it */
	uint32_t captured_bytes;
	uint32_t wire_bytes;	/* >= captured_bytes, else taken as equal */
	const uint8_t *data;
};

/* An IPv4 or IPv6 address; IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct address {
	uint8_t octet[16];
};

/* What decoding can say. One list: the enum, the counters and the names in
 * reports are all made from it. */
#define DECODE_RESULTS(X)						\
	X(OK,		"ok",		"decoded to the end")		\
	X(TRUNCATED,	"truncated",	"the capture kept too few bytes") \
	X(NON_IP,	"non-ip",	"no IP packet or ARP inside")	\
	X(LINK_TYPE,	"link-type",	"a link type toewatch does not read") \
	X(LINK,		"link",		"a link or tunnel header contradicts itself") \
	X(IP_HEADER,	"ip-header",	"an IP header contradicts itself") \
	X(IP_LENGTH,	"ip-length",	"the IP length disagrees with the frame") \
	X(TRANSPORT,	"transport",	"a TCP, UDP or ICMP header contradicts itself") \
	X(TOO_DEEP,	"too-deep",	"more tunnels inside tunnels than toewatch follows")

enum decode_result {
#define X(id, slug, text) DECODE_##id,
	DECODE_RESULTS(X)
#undef X
	DECODE_RESULT_COUNT	/* always last */
};

const char *decode_result_name(enum decode_result);	/* "truncated" */
const char *decode_result_text(enum decode_result);	/* the sentence */

enum tcp_flag {			/* RFC 9293, 3.1 */
	TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08,
	TCP_ACK = 0x10, TCP_URG = 0x20, TCP_ECE = 0x40, TCP_CWR = 0x80,
};

enum ip_proto {
	IP_ICMP = 1, IP_IPIP = 4, IP_TCP = 6, IP_UDP = 17, IP_IPV6 = 41,
	IP_GRE = 47, IP_ICMPV6 = 58,
};

enum checksum_status {
	CHECKSUM_UNVERIFIABLE,	/* cut short, a fragment, or UDP without one */
	CHECKSUM_GOOD,
	CHECKSUM_BAD,		/* anything else that is wrong */
	CHECKSUM_PARTIAL,	/* the pseudo-header sum alone, TCP length included */
	CHECKSUM_PARTIAL_LSO,	/* the same without the length (large send) */
	CHECKSUM_ZERO,		/* wrong, and the field holds 0 (TCP only) */
	CHECKSUM_SHORT,		/* wrong over a frame that holds less than its
				 * IP length claims: not evidence of anything */
};

enum tunnel {			/* seen on the way in; a set */
	TUNNEL_GRE = 1, TUNNEL_ERSPAN = 2, TUNNEL_VXLAN = 4, TUNNEL_GENEVE = 8,
	TUNNEL_MPLS = 16, TUNNEL_IPIP = 32, TUNNEL_PPPOE = 64, TUNNEL_PPTP = 128,
	TUNNEL_OTHER = 256,		/* GTP-U, L2TP, Teredo, EtherIP, TZSP */
};

enum arp_op { ARP_NONE, ARP_REQUEST, ARP_REPLY };

struct sack_block {
	uint32_t left, right;	/* RFC 2018: right is one past the block */
};

enum { SACK_BLOCKS_MAX = 4 };

struct tcp_options {
	uint16_t mss;			/* 0: absent */
	uint8_t window_shift;		/* as sent, not clamped */
	bool has_window_scale;
	bool sack_permitted;
	bool has_timestamps;
	uint32_t ts_value, ts_echo;	/* RFC 7323 */
	bool cut;			/* options went on past the snap length */
	uint8_t sack_count;
	struct sack_block sack[SACK_BLOCKS_MAX];
};

/* The innermost packet of a frame. Fields of layers that are not there are 0.
 * All numbers are in host order. Pointers are borrowed from the frame (or from
 * the defragmenter, until the next packet). What every TCP segment is asked for
 * lies in front, in three cache lines, and what few packets have behind it. */
struct packet {
	struct instant time;		/* of the frame; then trace time (intake.h) */
	uint64_t frame;
	uint32_t file;
	uint32_t interface;
	uint32_t captured_bytes, wire_bytes;

	/* IP */
	struct address src, dst;
	uint32_t ip_bytes;		/* total length by the header (0 in the
					 * header, as under TSO: by the frame) */
	uint16_t ip_id;			/* IPv4 only */
	uint8_t ttl, tos;
	uint8_t ip_version;		/* 4, 6, or 0 for none */
	uint8_t protocol;		/* after extension headers */
	bool is_fragment;		/* a piece: no transport decoded */
	bool reassembled;		/* put together by the defragmenter */
	bool df;
	bool ip_checksum_bad;
	bool ip_damaged;		/* so, and the field was filled in: an IPv4
					 * header's sum is left to no card but as 0 */

	/* transport; has_transport only when its whole header was there */
	bool has_transport;
	uint16_t sport, dport;		/* TCP, UDP */
	uint32_t seq, ack;
	uint16_t window;		/* raw */
	uint16_t urgent;
	uint16_t header_sum;		/* TCP, where the checksum is good: of the
					 * header (checksum.h), and 0 for 0xffff */
	uint8_t tcp_flags;
	uint8_t tcp_header_bytes;
	enum checksum_status checksum;	/* TCP, UDP */
	uint32_t payload_bytes;		/* on the wire, after the transport header */
	enum checksum_status outer_udp;	/* VXLAN, Geneve: the outer checksum */
	struct bytes payload;		/* what was captured of it */
	/* 0: not asked for */
	uint64_t flow_hash;		/* flow_prepare's */
	uint64_t signature;		/* duplicates_prepare's */

	/* link, of the outermost Ethernet-like header */
	bool has_mac;
	uint8_t src_mac[6], dst_mac[6];
	uint8_t vlan_count;		/* tags seen; the ids of the first two */
	uint16_t tunnels;		/* enum tunnel */
	enum arp_op arp;

	struct tcp_options options;

	uint16_t vlan[2];
	uint32_t tunnel_id;		/* VNI, ERSPAN session or GRE key */

	uint32_t fragment_id;
	struct bytes transport;		/* IP payload as captured, header included */
	uint32_t fragment_offset;
	bool more_fragments;

	uint8_t icmp_type, icmp_code;
	uint16_t icmp_id, icmp_seq;	/* echo */
	uint16_t icmp_mtu;		/* fragmentation needed / packet too big */

	/* ARP, or IPv6 neighbour discovery seen as the same question */
	uint8_t arp_sender_mac[6];
	struct address arp_sender, arp_target;
};

/* What an ICMP error quotes of the datagram it complains about (RFC 792:
 * IP header and at least eight bytes). */
struct icmp_quote {
	struct address src, dst;
	uint32_t ip_bytes;		/* total length the quoted header claims */
	uint8_t protocol;
	uint16_t sport, dport;
	uint32_t seq;			/* TCP */
	uint16_t ip_id;
};

static inline bool
packet_is_tcp(const struct packet *p)
{
	return p->protocol == IP_TCP && p->has_transport;
}

/* -1, 0, 1 in the order of the octets. */
int address_compare(const struct address *, const struct address *);
bool address_is_v4(const struct address *);
uint32_t address_v4(const struct address *);	/* host order; v4 only */
struct address address_from_v4(uint32_t host_order);
bool address_is_multicast(const struct address *);	/* and broadcast */
bool address_is_unspecified(const struct address *);

enum { ADDRESS_TEXT_BYTES = 46, MAC_TEXT_BYTES = 18 };
/* RFC 5952 text; returns `out`. */
const char *address_text(const struct address *, char out[ADDRESS_TEXT_BYTES]);
bool address_parse(const char *text, struct address *out);
const char *mac_text(const uint8_t mac[6], char out[MAC_TEXT_BYTES]);

/* Its six octets as one number, the first one highest. */
static inline uint64_t
mac_number(const uint8_t mac[6])
{
	uint32_t low = (uint32_t)mac[2] << 24 | (uint32_t)mac[3] << 16 |
	    (uint32_t)mac[4] << 8 | mac[5];

	return (uint64_t)(mac[0] << 8 | mac[1]) << 32 | low;
}

#endif
