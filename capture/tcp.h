/* tcp.h - one TCP segment against what is known of its flow: which bytes are
 * new, which were sent before, what it acknowledges, and what no sound stack
 * would send (RFC 9293, 7323, 2018). Facts only; the detectors judge.
 *
 * The sender's state is followed, not the receiver's: a segment that was sent
 * counts as sent, whether or not it arrived. Of a segment whose IPv4 header is
 * damaged, or whose checksum is wrong while its side's are mostly right, only the
 * payload is taken in where it is the next that was due, or came before; its
 * flags, acknowledgment and window are not. Where most are wrong, the capture
 * point is why. */
#ifndef CAPTURE_TCP_H
#define CAPTURE_TCP_H

#include "capture/flow.h"

enum segment_fact {
	SEG_SYN = 1 << 0, SEG_SYN_ACK = 1 << 1, SEG_FIN = 1 << 2, SEG_RST = 1 << 3,
	SEG_DATA = 1 << 4,		/* has payload (a keep-alive's byte is none) */
	SEG_NEW = 1 << 5,		/* bytes beyond all this side sent before */
	SEG_AGAIN = 1 << 6,		/* only bytes it sent before */
	SEG_LATE = 1 << 7,		/* fills a hole in what we saw: reordered, or
					 * sent again after we missed it */
	SEG_NEEDLESS = 1 << 8,		/* AGAIN, and it was acknowledged already */
	SEG_HOLE = 1 << 9,		/* bytes before it were never seen */
	SEG_KEEP_ALIVE = 1 << 10,	/* RFC 9293, 3.8.4: one before SND.NXT, 0-1 bytes */
	SEG_KEEP_ALIVE_ACK = 1 << 11,	/* the answer to one */
	SEG_ZERO_WINDOW = 1 << 12,	/* advertises no room */
	SEG_WINDOW_OPENS = 1 << 13,	/* room again after zero */
	SEG_PROBE = 1 << 14,		/* sent into a zero window */
	SEG_ACKS = 1 << 15,		/* its acknowledgment moved forward */
	SEG_DUP_ACK = 1 << 16,		/* same ACK again, no data, same window, while
					 * the other side has data outstanding */
	SEG_ACK_AHEAD = 1 << 17,	/* acknowledges what was never seen sent */
	SEG_ACK_BACK = 1 << 18,		/* acknowledges less than it did before */
	SEG_SYN_ON_LIVE = 1 << 19,	/* SYN for a tuple that is in use */
	SEG_CHALLENGE = 1 << 20,	/* bare ACK answering such a SYN (RFC 5961, 4) */
	SEG_DAMAGED = 1 << 21,		/* checksum wrong: numbers are not to be trusted */
	SEG_ESTABLISHES = 1 << 22,	/* completes the handshake */
	SEG_STRAY = 1 << 23,		/* for a flow that had ended */
	SEG_ACK_UNSEEN = 1 << 24,	/* acknowledges more than before, and that was
					 * never seen: the other side lives, and
					 * this capture does not show it */
};

/* Who waits for whom (ulp.h), where no more than TCP is known. */
enum segment_turn {
	TURN_NONE,
	TURN_ASKED,			/* new data by the client */
	TURN_ASKED_FIRST,		/* the first of the connection */
	TURN_ANSWERED,			/* by the server */
};

struct segment {
	const struct packet *packet;
	enum side side;			/* who sent it */
	uint32_t facts;			/* enum segment_fact */
	uint32_t new_bytes;		/* payload beyond what was sent before */
	uint32_t acked_bytes;		/* SEG_ACKS: how many */
	uint32_t hole_bytes;		/* SEG_HOLE */
	uint32_t back_bytes;		/* SEG_ACK_BACK */
	uint32_t lost_bytes;		/* acknowledged by this, never seen by us */
	uint32_t flight;		/* sender's bytes outstanding after it */
	uint32_t window;		/* scaled as known */
	uint32_t window_before;		/* this side's last one */
	uint32_t window_max_before;	/* and the largest before it */
	uint16_t ip_id_before;		/* this side's last IP ID on this flow */
	uint8_t ttl_before;		/* 0: its first packet */
	uint32_t ts_before;		/* highest TSval before it */
	struct instant last_before;	/* this side's packet before; 0: none */
	int64_t rtt_ns;			/* sample completed by this ACK, else 0 */
	enum segment_turn turn;
};

/* Take `p`, sent by `side`, into `f`, and say what it was. `now` is trace
 * time (p->time, never going back). */
void tcp_segment(struct flow_pool *, struct flow *, const struct packet *p,
    enum side side, struct instant now, struct segment *out);

/* Does this packet begin a new connection on the tuple of `f`? True for a SYN
 * where the old connection is over or never came about, and for a SYN-ACK that
 * accepts a SYN which met a live one. */
bool tcp_begins_anew(const struct flow *f, const struct packet *p,
    enum side side);
/* After the above for a SYN-ACK: carry the SYN that `old` remembers over to
 * the new flow. */
void tcp_adopt_syn(struct flow *fresh, const struct flow *old);

#endif
