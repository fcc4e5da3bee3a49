/* tcp_analysis.h - what is remarkable about one TCP packet, in the words of
 * Wireshark's tcp.analysis.* (as of its 4.0), so that a reader can hold our
 * view of a capture against another analyser's, packet by packet.
 *
 * These are labels for single packets, drawn from what an observer can see at
 * that moment. They are not findings: nothing here weighs evidence, and a
 * detector should look at flow.h. */
#ifndef CAPTURE_TCP_ANALYSIS_H
#define CAPTURE_TCP_ANALYSIS_H

#include <stddef.h>
#include <stdint.h>

#include "capture/packet.h"

/* The contract's names, in the order in which they are printed. */
#define TCP_ANALYSIS_FLAGS(X)						\
	X(ACK_LOST_SEGMENT,	"ack_lost_segment")			\
	X(DUPLICATE_ACK,	"duplicate_ack")			\
	X(FAST_RETRANSMISSION,	"fast_retransmission")			\
	X(KEEP_ALIVE,		"keep_alive")				\
	X(KEEP_ALIVE_ACK,	"keep_alive_ack")			\
	X(LOST_SEGMENT,		"lost_segment")				\
	X(OUT_OF_ORDER,		"out_of_order")				\
	X(RETRANSMISSION,	"retransmission")			\
	X(REUSED_PORTS,		"reused_ports")				\
	X(SPURIOUS_RETRANSMISSION, "spurious_retransmission")		\
	X(WINDOW_FULL,		"window_full")				\
	X(WINDOW_UPDATE,	"window_update")			\
	X(ZERO_WINDOW,		"zero_window")				\
	X(ZERO_WINDOW_PROBE,	"zero_window_probe")			\
	X(ZERO_WINDOW_PROBE_ACK, "zero_window_probe_ack")

enum tcp_analysis_bit {		/* bit numbers */
#define X(id, name) TCP_ANALYSIS_##id##_BIT,
	TCP_ANALYSIS_FLAGS(X)
#undef X
	TCP_ANALYSIS_COUNT	/* always last */
};

enum tcp_analysis_flag {	/* a set */
#define X(id, name) TCP_ANALYSIS_##id = 1 << TCP_ANALYSIS_##id##_BIT,
	TCP_ANALYSIS_FLAGS(X)
#undef X
};

struct tcp_analysis;		/* remembers conversations */

/* NULL if out of memory. */
struct tcp_analysis *tcp_analysis_new(void);
void tcp_analysis_free(struct tcp_analysis **);

/* The flags of one TCP packet; 0 for anything else. Packets must come in the
 * order of the capture, mirror copies and all, from the first on: every label
 * is relative to what was seen before it. Checksums play no part. A packet
 * whose TCP options were cut by the snap length is learned from and not
 * labelled, as in Wireshark. */
uint32_t tcp_analysis_packet(struct tcp_analysis *, const struct packet *);

/* "duplicate_ack"; `bit` is an enum tcp_analysis_bit. */
const char *tcp_analysis_flag_name(unsigned bit);

/* What is remembered is bounded (262144 conversations, 54 MB; 4 million
 * unacknowledged segments, 16 MB); this is what the bounds cost. */
struct tcp_analysis_stats {
	uint64_t conversations;		/* begun */
	uint64_t forgotten;		/* of those, dropped to make room */
	uint64_t segments_uncounted;	/* unacknowledged ones beyond the limit */
};
void tcp_analysis_stats(const struct tcp_analysis *,
    struct tcp_analysis_stats *);

#endif
