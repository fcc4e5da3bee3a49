/* flow.h - the flows alive now: who talks to whom, and what each side has
 * done so far, as a passive observer knows it.
 *
 * A flow is plain data. The packet phase writes it; the step phase (the
 * detectors' reviews) reads it. In the packet phase TCP (tcp.c and the detectors'
 * on_segment) and the upper layers (ulp.h) each have fields of their own, and
 * know none of the other's but those that never change: they may be at it in two
 * threads, some packets apart. What is rare (evidence, requests waiting for an
 * answer, streams being joined) hangs off it in pooled records, so that an idle
 * flow stays small. */
#ifndef CAPTURE_FLOW_H
#define CAPTURE_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/clock.h"
#include "capture/fetch.h"
#include "capture/packet.h"

/* Sequence numbers wrap, so "a < b" is never the question (RFC 9293, 3.4). */
static inline bool
seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool
seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline uint32_t
seq_max(uint32_t a, uint32_t b)
{
	return seq_before(a, b) ? b : a;
}

/* One more, up to the largest that fits. */
static inline uint8_t
saturated8(uint8_t n)
{
	return n < UINT8_MAX ? (uint8_t)(n + 1) : n;
}

static inline uint16_t
saturated16(uint16_t n)
{
	return n < UINT16_MAX ? (uint16_t)(n + 1) : n;
}

enum side { CLIENT, SERVER };	/* SERVER accepted the connection */

static inline enum side
other_side(enum side s)
{
	return s == CLIENT ? SERVER : CLIENT;
}

enum { SHIFT_UNKNOWN = 255 };	/* the SYN was not seen */

enum half_flag {
	HALF_SYN = 1,		/* its SYN (or SYN-ACK) was seen */
	HALF_FIN = 2, HALF_RST = 4,
	HALF_DATA = 8,		/* it sent payload */
	HALF_SEEN = 16,		/* any packet: `next` means something */
	HALF_TS = 32,		/* timestamps: offered in its SYN */
	HALF_SACK = 64,		/* SACK permitted in its SYN */
	HALF_WSCALE = 128,	/* window scaling in its SYN */
	HALF_ACKED = 256,	/* it sent an ACK: `acked` means something */
	HALF_FIN_ACKED = 512,	/* the other side acknowledged its FIN */
	HALF_MAC = 1024,	/* `mac` is set */
	HALF_SYN_CUT = 2048,	/* its SYN's options were cut by the snap length:
				 * what it offers beyond the above is not known */
};

/* What one side has sent, and what it has acknowledged of the other's. */
struct tcp_half {
	uint32_t isn;		/* of its SYN */
	uint32_t next;		/* end of what it sent so far (SND.NXT as seen) */
	uint32_t acked;		/* highest acknowledgment it sent */
	uint32_t una;		/* its own data before this is acknowledged */
	uint32_t window;	/* last advertised, scaled; raw while shift unknown */
	uint32_t window_max;	/* largest of those */
	uint16_t flags;		/* enum half_flag */
	uint16_t mss;		/* it announced; 0: none seen */
	uint8_t shift;		/* window scale in force, SHIFT_UNKNOWN */
	uint8_t ttl;		/* of its last packet */
	uint16_t ip_id;		/* of its last IPv4 packet */
	uint16_t ids_low, ids_high;	/* packets after the handshake with an IP ID
				 * below / from 0x8000; saturating; while not 0 */
	uint32_t ts_value;	/* highest TSval sent */
	uint32_t packets, bad_sums;	/* of those, with a wrong checksum */
	uint32_t retransmissions, out_of_order, zero_windows, keep_alives;
	uint64_t bytes;		/* payload, on the wire, retransmissions too */
	struct instant last;		/* its last packet */
	struct instant last_data;	/* its last new payload */
	struct instant last_advance;	/* when `acked` last moved */
	/* the oldest data of its that is not acknowledged (una..next) */
	struct instant una_since;	/* sent first; 0: nothing outstanding */
	uint32_t una_sends;		/* how often that byte was seen sent */
	/* round trip from the sniffer to the other side and back, in us */
	uint32_t srtt_us, rttvar_us, rtt_min_us, rtt_max_us;
	uint32_t rtt_seq;		/* ACK of this completes the sample */
	struct instant rtt_since;	/* 0: no sample running (Karn) */
	uint8_t syns;			/* its SYNs (SYN-ACKs); saturates */
	uint8_t padding;		/* 0 */
	uint8_t mac[6];			/* source MAC of its last packet */
};

/* Evidence gathered in the packet phase about one thing on one flow: how
 * often, when, which frames. `what` is an id that belongs to the writer (an
 * enum note_id for what tcp.c writes, NOTE_DETECTOR + n for detectors). */
enum { NOTE_FRAMES = 12, NOTE_VALUES = 4, NOTES_PER_FLOW = 24 };

enum reset_mark {
	RESET_AFTER_DATA = 1,		/* its sender had sent data */
	RESET_UNKNOWN_CONNECTION = 2,	/* it says: I have no such connection */
	RESET_AFTER_FIN = 4,		/* one side had closed */
	RESET_REFUSES = 8,		/* in answer to a SYN */
};

enum note_id {
	NOTE_KEEP_ALIVE,	/* run of probes by `side`, unanswered so far;
				 * value 0 = when one was last answered, ns */
	NOTE_RETRANSMIT,	/* run of sends of the byte at the other's ack */
	NOTE_ZERO_WINDOW,	/* `side` advertises zero: since first; value 0
				 * = probes seen, 1 = probes answered */
	NOTE_CHECKSUM,		/* bad sums sent by `side` */
	NOTE_ACK_AHEAD,		/* `side` acked what was never seen; value 0 = the
				 * ack, 1 = bytes, 2 = proofs that it was unsent */
	NOTE_ACK_BACK,		/* `side`'s ack went back; value 0 = by bytes */
	NOTE_SYN_AGAIN,		/* SYN on a live flow; value 0 = its seq and
				 * options (tcp.c), 1 = challenge ACKs, 2 = RSTs
				 * that followed, 3 = distinct SYNs */
	NOTE_RESET,		/* RST by `side`; value 0 = seq, 1 = enum
				 * reset_mark, 2 = its TTL, 3 = TTL before */
	NOTE_ID_FLIP,		/* `side`'s IP ID changed half; value 0 = flips
				 * up, 1 = flips down, 2 = last id before, 3 after */
	NOTE_HOLES,		/* ranges of `side`'s data not seen by us; values:
				 * those still open (left << 32 | right, 0: none);
				 * count: those the other side acknowledged, so
				 * that we know that we missed them */
	NOTE_OVERSIZE,		/* segments beyond the peer's MSS; value 0 = max
				 * bytes, 1 = accepted, 2 = sent again, 3 = end seq */
	NOTE_DETECTOR = 32,	/* and up: detectors' own */
};

struct note {
	struct note *next;
	uint16_t what;		/* enum note_id, or a detector's */
	uint8_t kind;		/* writer's sub-case, 0 if none */
	uint8_t side;		/* whose behaviour */
	uint8_t frame_count;
	bool open;		/* a run that is still going on */
	uint32_t count;
	uint32_t among;		/* note_bit()s of this and those behind it */
	struct instant first, last;
	uint64_t value[NOTE_VALUES];
	uint64_t frame[NOTE_FRAMES];	/* the first ones and the last one */
};

/* A request and its wait for an answer. Parsers open and close them by key;
 * where no parser knows the protocol, tcp.c keeps one per turn: the client's
 * bytes since the server last spoke. */
enum exchange_flag {
	EXCHANGE_PARKS = 1,	/* meant to wait long (AsyncWaitEx, notify ...) */
	EXCHANGE_ONE_WAY = 2,	/* no answer is due */
	EXCHANGE_TURN = 4,	/* guessed from turns, no parser */
	EXCHANGE_FIRST = 8,	/* the connection's first: negotiation */
	EXCHANGE_PARTIAL = 16,	/* the request itself is not complete */
	EXCHANGE_FROM_SERVER = 32, /* asked by the server (rare) */
};

struct exchange {
	struct exchange *next;	/* newest last */
	uint64_t key;		/* parser's: call id, MID, xid */
	uint32_t label;		/* app_label: protocol, interface, operation */
	uint16_t flags;
	uint32_t request_end;	/* sequence number after the request */
	uint32_t request_bytes;
	uint32_t missing_bytes;	/* PARTIAL: what the PDU still lacks */
	struct instant asked;	/* its last byte so far */
	struct instant began;	/* its first byte */
	struct instant first_pdu; /* its first fragment was whole; as `asked` where
				 * a request is one piece */
	struct instant acked;	/* the peer acknowledged all of it; 0: not yet */
	uint64_t frame_first, frame_last, frame_acked;
};

enum { EXCHANGES_PER_FLOW = 64 };

/* What a flow is worth, the least first: which is forgotten before which. */
enum idle_class { IDLE_HALF_OPEN, IDLE_CLOSED, IDLE_DATAGRAM, IDLE_ESTABLISHED,
	IDLE_CLASSES };

enum flow_state { FLOW_NEW, FLOW_ESTABLISHED, FLOW_CLOSING, FLOW_CLOSED };
enum flow_end {
	FLOW_END_NONE, FLOW_END_FIN, FLOW_END_RST, FLOW_END_TIMEOUT,
	FLOW_END_EVICTED, FLOW_END_REUSED, FLOW_END_CAPTURE,
};

/* In flow.flags, but for those that stand in flow.app_flags. */
enum flow_flag {
	FLOW_MIDSTREAM = 1,	/* no SYN seen */
	FLOW_GUESSED = 2,	/* who is server was guessed */
	FLOW_TOUCHED = 4,	/* on the list of this step */
	FLOW_HANDSHAKE = 16,	/* SYN, SYN-ACK and ACK all seen */
	FLOW_COALESCED = 32,	/* segments beyond the MSS: seen at a host */
	FLOW_TUNNELLED = 128,
	FLOW_ENDED = 256,	/* see `end`; freed after this step's review */
	FLOW_COUNTED_ONE_WAY = 512, FLOW_COUNTED_TWO_WAY = 1024, /* quality */
	FLOW_COUNTED_MADE = 65536, /* as a connection that was accepted */
	FLOW_SERVER_FIRST = 131072, /* the server spoke first */

	/* app_flags */
	FLOW_APP_LATE = 8,	/* it was answered late */
	FLOW_APP_SETTLED = 64,	/* no more looking for its protocol */
	FLOW_APP_STOPPED = 2048, /* named, but no parser follows it (any more) */
	FLOW_APP_LOST_CLIENT = 4096, /* this side's bytes are out of step: the */
	FLOW_APP_LOST_SERVER = 8192, /* parser looks for where a PDU begins */
	FLOW_APP_INSIDE = 32768, /* bytes were missed before it was named: they
				 * begin anywhere, as where no SYN was seen */
	FLOW_APP_PARSED = 16384, /* a parser opens its exchanges */
	/* both: those of `flags` that the upper layers ask for, as they were when
	 * their newest packet came */
	FLOW_APP_TOLD = FLOW_MIDSTREAM | FLOW_GUESSED | FLOW_HANDSHAKE,
	FLOW_APP_ALL = FLOW_APP_SETTLED | FLOW_APP_STOPPED | FLOW_APP_LOST_CLIENT |
	    FLOW_APP_LOST_SERVER | FLOW_APP_INSIDE | FLOW_APP_PARSED |
	    FLOW_APP_LATE,
};

struct host;			/* host.h */
struct stream;			/* stream.h */
struct watch;			/* engine: wakes a flow that waits */

struct flow {
	/* the first cache line: whose it is, and what each packet asks */
	_Alignas(CACHE_LINE_BYTES) struct address addr[2];	/* by enum side */
	uint16_t port[2];
	uint32_t tunnel_id;		/* VXLAN or Geneve network, else 0 */
	uint8_t protocol;		/* IP_TCP, IP_UDP */
	uint8_t state;			/* enum flow_state */
	uint8_t end;			/* enum flow_end */
	uint8_t idle_class;		/* enum idle_class */
	uint32_t flags;			/* enum flow_flag */
	uint32_t file;			/* of the first frame */
	uint32_t number;		/* its place in the pool */
	uint16_t datagram_max[2];	/* by sender: the longest IP packet with
				 * data, in bytes; saturates */
	uint16_t marks;			/* detectors' (detector.h) */
	uint16_t row_at;		/* see client_at */
	/* lines 2 to 6: what each packet changes */
	struct tcp_half half[2];	/* by sender; UDP uses packets, bytes, last */
	struct host *host[2];		/* may be NULL (client not known yet) */
	struct note *notes;
	struct instant last;
	/* line 7: the upper layers' (ulp.h), and the first two of line 8 */
	_Alignas(CACHE_LINE_BYTES)
	struct stream *stream[2];	/* being joined for a parser, or NULL */
	struct exchange *waiting;	/* open exchanges, oldest first */
	void *app_state;		/* the parser's; freed by it */
	struct instant last_asked, last_answered;
	uint32_t client_at;		/* step phase: where its client stands in
					 * what the server keeps; 0: look for it */
	/* Times the client spoke, more than a second apart: the most that ever
	 * ended in the server's data; how many runs of them did that began a
	 * second after data or more; since its last data; and how many of those
	 * runs took two or more. All saturate. */
	uint8_t unheard_max, heard, unheard, heard_late;
	uint16_t app_flags;		/* enum flow_flag */
	uint16_t app_name;		/* nDPI's name for it (app_ndpi.h), 0: none */
	uint16_t turns;			/* answered turns or exchanges; saturates */
	uint8_t app;			/* enum app_protocol */
	uint8_t waiting_count;
	struct exchange *waiting_last;
	int64_t wait_max_ns;		/* longest wait that ended in an answer */
	/* the step phase's, and what never changes */
	struct watch *watch;
	void *outcome;			/* the step phase's record of this flow */
	struct instant began;
	struct instant established;	/* 0: never */
	uint64_t id;			/* first frame: 1, 2, ... in capture order */
	uint64_t first_frame;
};

/* Eight cache lines, as they are fetched, and no flow shares one with another. */
_Static_assert(sizeof(struct flow) == 512, "a flow fills its cache lines");
_Static_assert(offsetof(struct flow, waiting_last) - offsetof(struct flow, stream) ==
    CACHE_LINE_BYTES, "the upper layers' line");

/* A stream of which nothing is kept stands in flow.stream as its next sequence
 * number: pointers are even, and this is not. Where they are too short for it
 * (CAN_PARK is 0) none is parked. */
enum { CAN_PARK = sizeof(uintptr_t) > sizeof(uint32_t) };

static inline struct stream *
stream_parked(uint32_t next)
{
	return (struct stream *)(((uintptr_t)next << CAN_PARK) | 1);
}

static inline bool
stream_is_parked(const struct stream *s)
{
	return (uintptr_t)s & 1;
}

static inline uint32_t
stream_parked_next(const struct stream *s)
{
	return (uint32_t)((uintptr_t)s >> CAN_PARK);
}

/* Detectors may share one: it says what is not there. */
#define NOTE_BIT(what)							\
	(UINT32_C(1) << ((what) < NOTE_DETECTOR ? (what) :		\
	    NOTE_OVERSIZE + 1 + (what) % (31 - NOTE_OVERSIZE)))
static inline uint32_t
note_bit(unsigned what)
{
	return NOTE_BIT(what);
}

/* note_bit()s of all notes of a flow. */
static inline uint32_t
flow_note_bits(const struct flow *f)
{
	return f->notes ? f->notes->among : 0;
}

/* The note (what, kind, side) of a flow, or NULL. Most flows have none, and the
 * others hardly ever the one that is looked for. */
struct note *flow_note_among(struct note *first, unsigned what, unsigned kind,
    enum side);
static inline struct note *
flow_note_find(const struct flow *f, unsigned what, unsigned kind, enum side s)
{
	return flow_note_bits(f) & note_bit(what) ?
	    flow_note_among(f->notes, what, kind, s) : NULL;
}

struct flow_pool;		/* where pooled records come from (engine) */

/* The same, made if new; NULL when the flow has too many (counted). Adds
 * nothing to it. */
struct note *flow_note(struct flow_pool *, struct flow *, unsigned what,
    unsigned kind, enum side);
/* Count one more piece of evidence: count, last, frames (the first ones kept,
 * the last slot always the newest). */
void note_add(struct note *, struct instant, uint64_t frame);
/* Begin a run anew: count, frames and values cleared, open set. */
void note_restart(struct note *);

struct flow_stats {
	uint64_t created, evicted_half_open, evicted_established, timed_out;
	uint64_t notes_refused, exchanges_refused;
	size_t now, peak;
};

/* A flow is awake, as a struct flow, or at rest (flow_rest.h). What finds it, or
 * ends it, wakes it.
 *
 * A table that never holds more than `limit` flows, and half-open ones no more
 * than a quarter of that (or 16,384).
 *
 * Looking one up costs a cache line of the table and those of the flow itself;
 * flow_prepare and flow_prefetch, called for some packets ahead, have both
 * fetched by then. How long a flow has been idle costs nothing while it is
 * busy: it stays in the list of the second in which it was put there, and is
 * moved on when that second is looked at. */
struct flow_table;
struct flow_table *flow_table_new(size_t limit, struct flow_pool *);
void flow_table_free(struct flow_table **);
/* Ahead of flow_find, each some time after the one before: keep the hash in `p`,
 * which any thread may do; have the table fetched; then its place in the pool, of
 * the number returned (0: it seems there is none); then the flow; then, awake
 * now, have it at hand (NULL: no memory). They change nothing that can be told
 * afterwards. */
void flow_hash(const struct flow_table *, struct packet *p);
void flow_prepare(const struct flow_table *, const struct packet *p);
uint32_t flow_foresee(const struct flow_table *, const struct packet *p);
void flow_prefetch(const struct flow_table *, uint32_t number);
const struct flow *flow_foreseen(struct flow_table *, uint32_t number);
static inline void
flow_fetch(const struct flow *f)
{
	fetch_lines(f, sizeof(*f) / CACHE_LINE_BYTES);
}
/* The live flow of `p`, or NULL. `side` says who sent `p`. */
struct flow *flow_find(struct flow_table *, const struct packet *p, enum side *);
/* The same, quicker if it is the one that was foreseen. */
struct flow *flow_find_foreseen(struct flow_table *, uint32_t number,
    const struct packet *p, enum side *);
/* A new flow in which `p`'s sender plays `sender`, heard of at p->time. At the
 * limit the oldest half-open flow (to the second) makes room, then the oldest
 * closed, then the oldest idle UDP flow, an established TCP flow last. Evicted
 * flows are handed to the `ended` callback. */
struct flow *flow_create(struct flow_table *, const struct packet *p,
    enum side sender);
/* It was heard of just now; time never runs backwards. */
void flow_heard(struct flow_table *, struct flow *, struct instant);
/* Move to the idle ring of its present state. */
void flow_reclass(struct flow_table *, struct flow *);
/* End what has been idle too long at `now`. */
void flow_expire(struct flow_table *, struct instant now);
/* Take it out of the table; `ended` is called, the caller frees it later. */
void flow_finish(struct flow_table *, struct flow *, enum flow_end);
/* Every flow still alive, ended with `how`: some of them, the first ones by id,
 * and so on until it says that no more are left (false). Nothing else is done
 * with the table meanwhile. */
bool flow_finish_some(struct flow_table *, enum flow_end how);
void flow_table_on_end(struct flow_table *,
    void (*ended)(void *context, struct flow *), void *context);
void flow_table_stats(const struct flow_table *, struct flow_stats *);

/* Records of bounded number, handed out and taken back without malloc on the
 * way of a packet. */
struct flow_pool *flow_pool_new(void);
void flow_pool_free(struct flow_pool **);
struct flow *flow_pool_flow(struct flow_pool *);
/* Lay a flow to rest that nobody has a pointer to: it takes a quarter of the room
 * until it is found again, or ends. Its address is another one then. */
void flow_rest(struct flow_pool *, struct flow *);
/* By number, if it is there and awake; else NULL. */
struct flow *flow_awake(const struct flow_pool *, uint32_t number);
size_t flow_pool_awake(const struct flow_pool *);	/* how many of them */
size_t flow_pool_count(const struct flow_pool *);	/* and of all */
/* Back to the pool with all that hangs off it (not streams, app state, watch:
 * the engine has taken those). */
void flow_release(struct flow_pool *, struct flow *);

/* Exchanges. Opening the 65th drops the oldest (counted). NULL: no memory. */
struct exchange *exchange_open(struct flow_pool *, struct flow *, uint64_t key,
    uint32_t label, unsigned flags);
struct exchange *exchange_find(const struct flow *, uint64_t key);
/* Take it off the flow's list and back to the pool. */
void exchange_close(struct flow_pool *, struct flow *, struct exchange *);
/* The same of all whose flags, as far as `mask` goes, are `flags`. */
void exchange_close_all(struct flow_pool *, struct flow *, unsigned mask,
    unsigned flags);

/* Retransmission timeout a sender of this half would use, by RFC 6298 with
 * Windows' and Linux' floor of 300 / 200 ms; 3 s before any sample. */
int64_t half_rto_ns(const struct tcp_half *);

const char *flow_end_name(enum flow_end);	/* fin rst timeout evicted ... */
const char *flow_state_name(enum flow_state);	/* new established closed */

/* Community ID v1, seed 0, "1:<base64 of SHA-1>" (github.com/corelight/
 * community-id-spec). TCP and UDP. */
enum { COMMUNITY_ID_BYTES = 32 };
const char *community_id(const struct address *src, uint16_t sport,
    const struct address *dst, uint16_t dport, uint8_t protocol,
    char out[COMMUNITY_ID_BYTES]);

#endif
