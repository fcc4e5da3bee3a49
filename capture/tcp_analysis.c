/* tcp_analysis.c - labels for single TCP packets, with the meaning Wireshark
 * 4.0 gives to tcp.analysis.* (User's Guide, 7.5 "TCP Analysis", and what its
 * TCP dissector does in the cases which the guide leaves open).
 *
 * The hard part is that the rules look at each other: most compare a packet
 * with the last one of the same sender, several with the last one of the other
 * side, and what one packet leaves behind decides about the next. So the order
 * is fixed: find the conversation (a SYN may begin a new one), judge the packet
 * against what was there before, and only then write down what it changed.
 * Where the reference is odd (a count that reads as huge when it means "not
 * known"), the oddity is kept and named: agreeing with the other analyser is
 * the whole purpose. What is not followed: connections that its application
 * dissectors announce, and Multipath TCP subflows knowing of one another.
 *
 * Conversations sit in a table of fixed width: a full row drops the one heard
 * of least recently. No input can make a lookup long or the table large. */
#include "capture/tcp_analysis.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "capture/flow.h"

enum {
	ROWS = 1 << 14,
	ROW_WIDTH = 16,		/* 262144 conversations at most */
	/* The reference keeps this many unacknowledged segments of a sender;
	 * beyond, it no longer counts SYN and FIN as a sequence number. */
	UNACKED_MAX = 10000,
	/* ... and this many of all senders together are kept here. */
	UNACKED_MAX_ALL = 1 << 22,
	UNACKED_FIRST = 2,	/* room made at first; doubled as needed. Small,
				 * so that a SYN flood does not use it up */
	UNACKED_IDLE = 64,	/* room that an idle sender may keep */
};

enum {
	SHIFT_NOT_SEEN = -1,	/* window scaling: the handshake was not seen */
	SHIFT_NONE = -2,	/* not negotiated: windows are as they stand */
	SHIFT_MAX = 14,		/* RFC 7323, 2.3: more is taken as 14 */
};

/* No window seen yet. Never equal to one that a packet can carry. */
static const uint32_t window_unseen = UINT32_MAX;

/* Duplicate ACKs of a sender that acknowledged what we never saw: "a number
 * we cannot know". The next duplicate counts as the first, yet to the rule of
 * fast retransmission it reads as many. */
static const uint32_t repeats_unknown = UINT32_MAX;

/* A retransmission this close to the acknowledgment that asks for it is a fast
 * one; without a measured round trip, a late segment this close to its
 * successors is out of order rather than sent again. */
static const uint64_t fast_ns = 20 * NS_PER_MS;
static const uint64_t reorder_default_ns = 3 * NS_PER_MS;

/* Ends of the segments of a sender that the other side has yet to acknowledge:
 * `count` of them from end[first] on, ascending, all of them within half the
 * number space. */
struct unacked {
	uint32_t *end;		/* owned */
	uint32_t first, count, room;
};

/* What one side has done so far. A sequence number of 0 stands for "none yet",
 * as in the reference. */
struct sender {
	struct unacked unacked;
	struct instant end_time;	/* when `end` moved */
	struct instant last_time;	/* of its last packet */
	uint32_t first;		/* its initial sequence number, or a guess */
	uint32_t end;		/* of what it sent: the next number expected */
	uint32_t whole_end;	/* of what it sent without a hole */
	uint32_t ack;		/* last acknowledgment number it sent */
	uint32_t window;	/* last window it sent, as sent */
	uint32_t repeats;	/* of its last ACK, or repeats_unknown */
	uint32_t last_found;	/* flags of its last packet */
	int8_t shift;		/* window scale, or SHIFT_... */
	bool first_known;
	bool scale_pending;	/* sent a SYN and no plain ACK since: its
				 * window is not scaled yet (RFC 7323, 2.2) */
	uint8_t paths;		/* `paths` of the talk at its last packet */
};

/* The two ends of a conversation in an order that does not depend on who
 * speaks. */
struct ends {
	struct address low, high;
	uint16_t low_port, high_port;
	uint16_t ip_version;
};
/* It is compared and hashed as bytes, so none may be padding. */
static_assert(sizeof(struct ends) == 2 * sizeof(struct address) + 6, "padded");

struct talk {
	struct ends ends;
	struct sender sender[2];	/* who sends from `high`, who from `low` */
	struct instant syn_time;	/* of the last SYN, for the round trip */
	uint64_t first_rtt_ns;		/* SYN to the handshake's ACK; 0: unknown */
	uint8_t paths;			/* Multipath TCP operations seen, one bit
					 * a subtype (RFC 8684, 3) */
};

struct row {
	struct talk *talk[ROW_WIDTH];	/* latest heard of first; then NULL */
};

struct tcp_analysis {
	struct row *row[ROWS];		/* NULL while empty */
	size_t unacked_room;			/* of all senders together */
	struct tcp_analysis_stats stats;
};

/* A packet on its way through the rules. */
struct segment {
	struct tcp_analysis *all;
	struct talk *talk;
	struct sender *own, *peer;
	struct instant time;
	uint32_t seq, ack;
	uint32_t length;	/* of the payload, on the wire */
	uint32_t window;	/* as sent */
	uint8_t flags;		/* enum tcp_flag */
	uint32_t found;		/* enum tcp_analysis_flag */
};

/* Half the number space apart, either number counts as after the other. */
static bool
comes_after(uint32_t a, uint32_t b)
{
	return seq_before(b, a);
}

/* True if `p` comes from the higher end. A packet between equal ends always
 * counts as sent by the lower one. */
static bool
from_high(const struct packet *p)
{
	int order = address_compare(&p->src, &p->dst);

	return order ? order > 0 : p->sport > p->dport;
}

static struct ends
ends_of(const struct packet *p)
{
	if (from_high(p))
		return (struct ends){
			.low = p->dst, .low_port = p->dport,
			.high = p->src, .high_port = p->sport,
			.ip_version = p->ip_version };
	return (struct ends){
		.low = p->src, .low_port = p->sport,
		.high = p->dst, .high_port = p->dport,
		.ip_version = p->ip_version };
}

/* FNV-1a. Chosen collisions only push one another out of their row. */
static uint32_t
row_of(const struct ends *e)
{
	const unsigned char *p = (const unsigned char *)e;
	uint32_t h = UINT32_C(2166136261);

	for (size_t i = 0; i < sizeof(*e); i++)
		h = (h ^ p[i]) * UINT32_C(16777619);
	return (h ^ h >> 14) % ROWS;
}

static void
unacked_release(struct tcp_analysis *a, struct unacked *u)
{
	a->unacked_room -= u->room;
	free(u->end);
	*u = (struct unacked){ 0 };
}

static void
talk_release(struct tcp_analysis *a, struct talk *t)
{
	unacked_release(a, &t->sender[0].unacked);
	unacked_release(a, &t->sender[1].unacked);
}

/* Nothing is known of either side. */
static void
talk_begin(struct tcp_analysis *a, struct talk *t, const struct ends *e)
{
	talk_release(a, t);
	memset(t, 0, sizeof(*t));
	t->ends = *e;
	for (int i = 0; i < 2; i++) {
		t->sender[i].window = window_unseen;
		t->sender[i].shift = SHIFT_NOT_SEEN;
	}
	a->stats.conversations++;
}

/* The place for a new conversation: a free one, or that of the one heard of
 * least recently. ROW_WIDTH if out of memory. */
static size_t
row_make_room(struct tcp_analysis *a, struct row *r)
{
	size_t i = 0;

	while (i < ROW_WIDTH && r->talk[i])
		i++;
	if (i == ROW_WIDTH) {
		a->stats.forgotten++;
		return i - 1;
	}
	r->talk[i] = calloc(1, sizeof(*r->talk[i]));
	return r->talk[i] ? i : ROW_WIDTH;
}

static size_t
row_find(const struct row *r, const struct ends *e)
{
	for (size_t i = 0; i < ROW_WIDTH && r->talk[i]; i++) {
		if (!memcmp(&r->talk[i]->ends, e, sizeof(*e)))
			return i;
	}
	return ROW_WIDTH;
}

/* The conversation in place `i` was heard of just now. */
static struct talk *
row_heard(struct row *r, size_t i)
{
	struct talk *t = r->talk[i];

	memmove(r->talk + 1, r->talk, i * sizeof(r->talk[0]));
	r->talk[0] = t;
	return t;
}

/* The conversation of `p`, begun if there is none. NULL if out of memory. */
static struct talk *
talk_of(struct tcp_analysis *a, const struct packet *p)
{
	struct ends e = ends_of(p);
	struct row **row = &a->row[row_of(&e)];
	size_t i;

	if (!*row)
		*row = calloc(1, sizeof(**row));
	if (!*row)
		return NULL;
	i = row_find(*row, &e);
	if (i < ROW_WIDTH)
		return row_heard(*row, i);
	i = row_make_room(a, *row);
	if (i == ROW_WIDTH)
		return NULL;
	talk_begin(a, (*row)->talk[i], &e);
	return row_heard(*row, i);
}

static bool
unacked_grow(struct tcp_analysis *a, struct unacked *u)
{
	uint32_t room = u->room ? 2 * u->room : UNACKED_FIRST;
	uint32_t *end;

	if (a->unacked_room + room - u->room > UNACKED_MAX_ALL)
		return false;
	end = realloc(u->end, room * sizeof(*end));
	if (!end)
		return false;
	a->unacked_room += room - u->room;
	u->end = end;
	u->room = room;
	return true;
}

/* Is there a place behind the last one? */
static bool
unacked_make_room(struct tcp_analysis *a, struct unacked *u)
{
	if (u->first + u->count < u->room)
		return true;
	if (u->first == 0 || u->first < u->room / 2)
		return unacked_grow(a, u);
	memmove(u->end, u->end + u->first, u->count * sizeof(*u->end));
	u->first = 0;
	return true;
}

/* How many of them end at `end` or before. */
static uint32_t
unacked_before(const struct unacked *u, uint32_t end)
{
	uint32_t low = 0, high = u->count;
	const uint32_t *at;

	if (!u->count)
		return 0;
	at = u->end + u->first;
	if (seq_before(end, at[0]))
		return 0;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (at[mid] - at[0] <= end - at[0])
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Would `end` be so far from the others that it has no place among them? */
static bool
unacked_is_far(const struct unacked *u, uint32_t end)
{
	return u->count && seq_before(end, u->end[u->first]) &&
	    seq_before(u->end[u->first + u->count - 1], end);
}

static void
unacked_add(struct tcp_analysis *a, struct unacked *u, uint32_t end)
{
	uint32_t *at, before;

	if (unacked_is_far(u, end) || !unacked_make_room(a, u)) {
		a->stats.segments_uncounted++;
		return;
	}
	before = unacked_before(u, end);
	at = u->end + u->first + before;
	memmove(at + 1, at, (u->count - before) * sizeof(*at));
	*at = end;
	u->count++;
}

/* Drop what `ack` covers. To an ACK from far behind, the last ones may be more
 * than half the number space ahead, and so count as covered. */
static void
unacked_drop(struct tcp_analysis *a, struct unacked *u, uint32_t ack)
{
	while (u->count && !comes_after(u->end[u->first], ack)) {
		u->first++;
		u->count--;
	}
	while (u->count && !comes_after(u->end[u->first + u->count - 1], ack))
		u->count--;
	if (u->count)
		return;
	u->first = 0;
	if (u->room > UNACKED_IDLE)
		unacked_release(a, u);
}

static bool
is_syn(const struct segment *s)
{
	return (s->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static bool
is_syn_ack(const struct segment *s)
{
	return (s->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
}

/* A SYN of a sender that we know. With another initial sequence number it
 * begins a new conversation. Otherwise it is the same SYN again; what a RST may
 * have done to the number expected next is undone, since a RST carries the
 * number its peer asked for (RFC 9293, 3.10.7.1). */
static void
syn_on_known_ports(struct segment *s)
{
	struct ends e = s->talk->ends;

	if (!is_syn(s) || !s->own->first_known)
		return;
	if (s->seq == s->own->first) {
		s->own->end = s->own->whole_end;
		return;
	}
	talk_begin(s->all, s->talk, &e);
	s->found |= TCP_ANALYSIS_REUSED_PORTS;
}

/* A SYN-ACK with another initial sequence number than we thought. */
static void
syn_ack_on_known_ports(struct segment *s)
{
	if (!is_syn_ack(s) || !s->own->first_known || s->seq == s->own->first)
		return;
	s->own->first = s->seq;
	s->found |= TCP_ANALYSIS_REUSED_PORTS;
}

static void
learn_first_numbers(struct segment *s)
{
	if (!s->own->first_known) {
		s->own->first = s->flags & TCP_SYN ? s->seq : s->seq - 1;
		s->own->first_known = true;
	}
	if (!s->peer->first_known && s->flags & TCP_ACK) {
		s->peer->first = s->ack - 1;
		s->peer->first_known = true;
	}
}

static bool
has_any(const struct segment *s, uint8_t flags)
{
	return s->flags & flags;
}

/* Neither opens nor closes anything. */
static bool
is_plain(const struct segment *s)
{
	return !has_any(s, TCP_SYN | TCP_FIN | TCP_RST);
}

/* No payload, and the numbers of its sender's last packet: all that it can
 * say is its window, or that its sender is there. */
static bool
repeats_numbers(const struct segment *s)
{
	return !s->length && is_plain(s) && s->seq == s->own->end &&
	    s->ack == s->own->ack;
}

/* One new byte into a closed window. */
static bool
is_zero_window_probe(const struct segment *s)
{
	return s->length == 1 && s->seq == s->own->end && s->peer->window == 0;
}

static bool
is_zero_window(const struct segment *s)
{
	return s->window == 0 && is_plain(s);
}

/* Begins beyond what its sender was seen to send. */
static bool
is_after_lost_segment(const struct segment *s)
{
	return s->own->end && comes_after(s->seq, s->own->end) &&
	    !has_any(s, TCP_RST);
}

/* At most one byte, and that the last one sent already (RFC 1122, 4.2.3.6). */
static bool
is_keep_alive(const struct segment *s)
{
	return s->length <= 1 && s->seq == s->own->end - 1 && is_plain(s);
}

static bool
is_window_update(const struct segment *s)
{
	return s->window && s->window != s->own->window && repeats_numbers(s);
}

/* The right edge of what the peer will take. Wraps as the numbers do. */
static uint32_t
window_edge(const struct sender *peer)
{
	bool scaled = peer->shift >= 0 && !peer->scale_pending;

	return peer->ack + (peer->window << (scaled ? peer->shift : 0));
}

/* Ends right at the edge of a window that we can read. */
static bool
is_window_full(const struct segment *s)
{
	return s->length && s->peer->shift != SHIFT_NOT_SEEN && is_plain(s) &&
	    s->seq + s->length == window_edge(s->peer);
}

static bool
repeats_all(const struct segment *s)
{
	return s->window == s->own->window && repeats_numbers(s);
}

static bool
is_keep_alive_ack(const struct segment *s)
{
	return s->window && repeats_all(s) &&
	    s->peer->last_found & TCP_ANALYSIS_KEEP_ALIVE;
}

static bool
is_zero_window_probe_ack(const struct segment *s)
{
	return !s->window && repeats_all(s) &&
	    s->peer->last_found & TCP_ANALYSIS_ZERO_WINDOW_PROBE;
}

static bool
is_duplicate_ack(const struct segment *s)
{
	return s->window && repeats_all(s);
}

/* Under Multipath TCP an ACK may be repeated to carry an option (RFC 8684, 4),
 * so after a new kind of operation it says nothing. */
static void
count_duplicate_ack(struct segment *s)
{
	struct sender *own = s->own;

	if (own->paths != s->talk->paths)
		return;
	own->repeats = own->repeats == repeats_unknown ? 1 : own->repeats + 1;
	s->found |= TCP_ANALYSIS_DUPLICATE_ACK;
}

/* An answer to a probe is not a duplicate ACK as well, and a probe is nothing
 * else. */
static void
judge_against_own_last(struct segment *s)
{
	if (is_zero_window_probe(s)) {
		s->found |= TCP_ANALYSIS_ZERO_WINDOW_PROBE;
		return;
	}
	if (is_zero_window(s))
		s->found |= TCP_ANALYSIS_ZERO_WINDOW;
	if (is_after_lost_segment(s))
		s->found |= TCP_ANALYSIS_LOST_SEGMENT;
	if (is_keep_alive(s))
		s->found |= TCP_ANALYSIS_KEEP_ALIVE;
	if (is_window_update(s))
		s->found |= TCP_ANALYSIS_WINDOW_UPDATE;
	if (is_window_full(s))
		s->found |= TCP_ANALYSIS_WINDOW_FULL;
	if (is_keep_alive_ack(s))
		s->found |= TCP_ANALYSIS_KEEP_ALIVE_ACK;
	else if (is_zero_window_probe_ack(s))
		s->found |= TCP_ANALYSIS_ZERO_WINDOW_PROBE_ACK;
	else if (is_duplicate_ack(s))
		count_duplicate_ack(s);
}

/* An ACK beyond what the peer was seen to send without a hole: what lies in
 * between was sent, and is not in the capture. If the peer was seen beyond the
 * hole, the hole is closed by that. Otherwise all its sending is missing, and
 * that is said once for each run of its packets with the same ACK. */
static void
judge_ack(struct segment *s)
{
	struct sender *peer = s->peer;

	if (!has_any(s, TCP_ACK) || !peer->whole_end ||
	    !comes_after(s->ack, peer->whole_end))
		return;
	if (seq_before(peer->whole_end, peer->end)) {
		peer->whole_end = peer->end;
		s->found |= TCP_ANALYSIS_ACK_LOST_SEGMENT;
		return;
	}
	if (!peer->repeats)
		s->found |= TCP_ANALYSIS_ACK_LOST_SEGMENT;
	peer->repeats = repeats_unknown;
}

/* SYN and FIN take a sequence number; both together are not a sound segment
 * and count once. */
static uint32_t
syn_fin_length(const struct segment *s)
{
	return has_any(s, TCP_SYN | TCP_FIN) ? 1 : 0;
}

/* Time from `then` to the packet; a clock that ran back makes it huge. */
static uint64_t
since(const struct segment *s, struct instant then)
{
	return (uint64_t)s->time.ns - (uint64_t)then.ns;
}

/* Does not begin where new data would. A longer segment that begins one byte
 * early repeats the byte of a zero-window probe and goes on with new data. */
static bool
begins_in_old_data(const struct segment *s)
{
	if (s->length > 1 && s->seq == s->own->end - 1)
		return false;
	return s->own->end && seq_before(s->seq, s->own->end);
}

/* All of it was acknowledged before it was sent (or is half the number space
 * away from that). */
static bool
is_spurious_retransmission(const struct segment *s)
{
	return s->length && s->peer->ack &&
	    !seq_after(s->seq + s->length, s->peer->ack);
}

/* What at least two duplicate ACKs asked for (RFC 5681, 3.2, allowing for one
 * that the capture missed), at once. */
static bool
is_fast_retransmission(const struct segment *s)
{
	return s->peer->repeats >= 2 && s->seq == s->peer->ack &&
	    since(s, s->peer->last_time) < fast_ns;
}

/* Sooner after its successors than the sender could have learned of a loss.
 * What ends at `end` has no successors: it was sent again. */
static bool
is_out_of_order(const struct segment *s)
{
	uint64_t soon = s->talk->first_rtt_ns ?
	    s->talk->first_rtt_ns : reorder_default_ns;

	return since(s, s->own->end_time) < soon &&
	    s->seq + s->length + syn_fin_length(s) != s->own->end;
}

static void
judge_repetition(struct segment *s)
{
	if (!s->length && !syn_fin_length(s))
		return;
	if (s->found & TCP_ANALYSIS_KEEP_ALIVE)
		return;
	if (is_spurious_retransmission(s))
		s->found |= TCP_ANALYSIS_SPURIOUS_RETRANSMISSION |
		    TCP_ANALYSIS_RETRANSMISSION;
	else if (!begins_in_old_data(s))
		return;
	else if (is_fast_retransmission(s))
		s->found |= TCP_ANALYSIS_FAST_RETRANSMISSION |
		    TCP_ANALYSIS_RETRANSMISSION;
	else if (is_out_of_order(s))
		s->found |= TCP_ANALYSIS_OUT_OF_ORDER;
	else
		s->found |= TCP_ANALYSIS_RETRANSMISSION;
}

/* Where the segment ends. It is kept until it is acknowledged, unless the
 * sender has too many of those. */
static uint32_t
keep_until_acked(struct segment *s)
{
	struct unacked *u = &s->own->unacked;
	uint32_t end = s->seq + s->length;

	if (!s->length && !syn_fin_length(s))
		return end;
	if (u->count >= UNACKED_MAX)
		return end;
	end += syn_fin_length(s);
	unacked_add(s->all, u, end);
	return end;
}

/* A zero-window probe is not taken by its receiver, so it moves nothing. */
static void
advance(struct segment *s, uint32_t end)
{
	struct sender *own = s->own;

	if (s->found & TCP_ANALYSIS_ZERO_WINDOW_PROBE)
		return;
	if (!own->end || comes_after(end, own->end)) {
		own->end = end;
		own->end_time = s->time;
	}
	if (!own->whole_end || s->seq == own->whole_end)
		own->whole_end = own->end;
}

static void
remember(struct segment *s)
{
	struct sender *own = s->own;

	advance(s, keep_until_acked(s));
	own->window = s->window;
	own->ack = s->ack;
	own->last_time = s->time;
	own->last_found = s->found;
	own->paths = s->talk->paths;
	unacked_drop(s->all, &s->peer->unacked, s->ack);
}

/* The round trip of the handshake: from its last SYN to the first ACK without
 * SYN, whoever sent that. */
static void
remember_handshake(struct segment *s)
{
	if (has_any(s, TCP_SYN))
		s->own->scale_pending = true;
	if (is_syn(s))
		s->talk->syn_time = s->time;
	if ((s->flags & (TCP_SYN | TCP_ACK)) != TCP_ACK)
		return;
	s->own->scale_pending = false;
	if (instant_is_set(s->talk->syn_time) && !s->talk->first_rtt_ns)
		s->talk->first_rtt_ns = since(s, s->talk->syn_time);
}

/* Scaling is in force only if both SYNs ask for it (RFC 7323, 2.2). What cut
 * options do not say is not held against them. */
static void
remember_scale(struct segment *s, const struct tcp_options *o)
{
	struct sender *own = s->own, *peer = s->peer;

	if (o->has_window_scale)
		own->shift = o->window_shift > SHIFT_MAX ?
		    SHIFT_MAX : (int8_t)o->window_shift;
	if (!has_any(s, TCP_SYN) || o->cut)
		return;
	if (own->shift == SHIFT_NOT_SEEN)
		own->shift = peer->shift = SHIFT_NONE;
	else if (has_any(s, TCP_ACK) && peer->shift == SHIFT_NONE)
		own->shift = SHIFT_NONE;
}

/* The operation that a Multipath TCP option stands for, as a bit; 0 if none. A
 * MP_CAPABLE without a key, as in the first SYN of version 1, only asks. */
static unsigned
multipath_operation(struct bytes value)
{
	enum { MP_CAPABLE = 0, MP_FASTCLOSE = 7, KEY_END = 10 };
	bool has_key = value.left >= KEY_END;
	unsigned subtype = bytes_u8(&value) >> 4;

	if (bytes_ran_out(value) || subtype > MP_FASTCLOSE)
		return 0;
	return subtype == MP_CAPABLE && !has_key ? 0 : 1u << subtype;
}

static void
remember_multipath(struct segment *s, const struct packet *p)
{
	enum { HEADER_BYTES = 20, END = 0, NOP = 1, MULTIPATH = 30 };
	struct bytes header = p->transport, options, value;
	unsigned kind;

	bytes_skip(&header, HEADER_BYTES);
	options = bytes_sub_at_most(&header, p->tcp_header_bytes - HEADER_BYTES);
	while (options.left && (kind = bytes_u8(&options)) != END) {
		if (kind == NOP)
			continue;
		value = bytes_sub(&options, (size_t)bytes_u8(&options) - 2);
		if (kind == MULTIPATH && !bytes_ran_out(value))
			s->talk->paths |= (uint8_t)multipath_operation(value);
	}
}

struct tcp_analysis *
tcp_analysis_new(void)
{
	return calloc(1, sizeof(struct tcp_analysis));
}

static void
row_free(struct tcp_analysis *a, struct row *r)
{
	for (size_t i = 0; r && i < ROW_WIDTH && r->talk[i]; i++) {
		talk_release(a, r->talk[i]);
		free(r->talk[i]);
	}
	free(r);
}

void
tcp_analysis_free(struct tcp_analysis **ap)
{
	struct tcp_analysis *a = *ap;

	*ap = NULL;
	if (!a)
		return;
	for (size_t i = 0; i < ROWS; i++)
		row_free(a, a->row[i]);
	free(a);
}

/* Does the frame end inside the TCP header, though the capture kept all of it?
 * Then there is no saying how long the segment is, and its numbers go unread. */
static bool
is_short(const struct packet *p)
{
	return p->options.cut && p->captured_bytes >= p->wire_bytes;
}

static void
judge(struct segment *s)
{
	learn_first_numbers(s);
	judge_against_own_last(s);
	if (s->ack != s->own->ack)
		s->own->repeats = 0;
	judge_ack(s);
	judge_repetition(s);
}

uint32_t
tcp_analysis_packet(struct tcp_analysis *a, const struct packet *p)
{
	struct segment s = {
		.all = a, .time = p->time, .seq = p->seq, .ack = p->ack,
		.length = p->payload_bytes, .window = p->window,
		.flags = p->tcp_flags,
	};

	if (!packet_is_tcp(p))
		return 0;
	s.talk = talk_of(a, p);
	if (!s.talk)
		return 0;
	s.own = &s.talk->sender[from_high(p) ? 0 : 1];
	s.peer = &s.talk->sender[from_high(p) ? 1 : 0];

	syn_on_known_ports(&s);
	syn_ack_on_known_ports(&s);
	if (!is_short(p)) {
		judge(&s);
		remember(&s);
	}
	remember_handshake(&s);
	remember_scale(&s, &p->options);
	/* Where the options are cut, the reference gives up on the packet:
	 * after it has taken its numbers in, and before it speaks. */
	if (p->options.cut)
		return 0;
	remember_multipath(&s, p);
	return s.found;
}

const char *
tcp_analysis_flag_name(unsigned bit)
{
	static const char *const name[] = {
#define X(id, text) text,
		TCP_ANALYSIS_FLAGS(X)
#undef X
	};

	return bit < TCP_ANALYSIS_COUNT ? name[bit] : "";
}

void
tcp_analysis_stats(const struct tcp_analysis *a,
    struct tcp_analysis_stats *out)
{
	*out = a->stats;
}
