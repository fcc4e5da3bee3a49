/* tcp.c - one segment against what is known of its flow.
 *
 * The hard part is to keep three stories apart that look alike on a mirror
 * port: what the sender did, what the receiver got, and what we missed. The
 * sender's own numbers decide the first; the receiver's acknowledgments the
 * second; bytes acknowledged that we never saw are the third, and count against
 * the capture, not against the hosts. */
#include "capture/tcp.h"

#include <string.h>

#include "capture/host.h"

/* Bytes a sender can have skipped or run ahead before we rather believe that
 * the number is damaged: the largest window is 1 GiB (RFC 7323, 2.3), yet no
 * real gap of a capture that still makes sense is near it. */
enum { JUMP_MAX = 64 << 20 };

/* Window scale factors beyond 14 are taken as 14 (RFC 7323, 2.3). */
enum { SHIFT_MAX = 14 };

/* How far back an acknowledgment may be stamped before it is more than two
 * mirror queues out of step. */
#define REORDER_NS (10 * NS_PER_MS)

/* One segment on its way through the rules below. */
struct step {
	struct flow_pool *pool;
	struct flow *f;
	const struct packet *p;
	struct tcp_half *me, *peer;
	enum side side;
	struct instant now;
	uint32_t length;	/* payload as sent */
	uint32_t end;		/* seq + payload + SYN + FIN */
	bool damaged;
	uint8_t flags;		/* TCP's; none of a damaged segment */
	struct segment *out;
};

static bool
has(const struct step *s, unsigned flag)
{
	return s->flags & flag;
}

static struct note *
note_for(struct step *s, enum note_id what, enum side side)
{
	return flow_note(s->pool, s->f, what, 0, side);
}

/* A handshake segment's window is never scaled (RFC 7323, 2.2). */
static uint32_t
scaled_window(const struct step *s)
{
	if (has(s, TCP_SYN) || s->me->shift == SHIFT_UNKNOWN)
		return s->p->window;
	return (uint32_t)s->p->window << s->me->shift;
}

/* --- holes: what a sender sent and we did not see ---------------------- */

static uint64_t
pack_range(uint32_t left, uint32_t right)
{
	return (uint64_t)left << 32 | right;
}

static void
hole_remember(struct step *s, uint32_t left, uint32_t right)
{
	struct note *n = note_for(s, NOTE_HOLES, s->side);

	if (!n)
		return;
	for (int i = 0; i < NOTE_VALUES; i++) {
		if (!n->value[i]) {
			n->value[i] = pack_range(left, right);
			return;
		}
	}
	n->value[NOTE_VALUES - 1] = pack_range(left, right);
}

/* Does `seq..end` fill (a part of) a hole of this side? What is left of the
 * hole stays; of a hole filled in its middle the later rest. */
static bool
hole_fill(struct step *s, uint32_t seq, uint32_t end)
{
	struct note *n = flow_note_find(s->f, NOTE_HOLES, 0, s->side);
	bool filled = false;

	for (int i = 0; n && i < NOTE_VALUES; i++) {
		uint32_t left = (uint32_t)(n->value[i] >> 32);
		uint32_t right = (uint32_t)n->value[i];

		if (!n->value[i] || !seq_before(seq, right) ||
		    !seq_after(end, left))
			continue;
		filled = true;
		if (!seq_after(seq, left))
			left = seq_max(left, end);
		else if (!seq_before(end, right))
			right = seq;
		else
			left = end;
		n->value[i] = seq_before(left, right) ? pack_range(left, right) : 0;
	}
	return filled;
}

/* The other side has everything before `ack`: what of it we never saw, we
 * missed. */
static uint32_t
holes_lost(struct step *s, uint32_t ack)
{
	struct note *n = flow_note_find(s->f, NOTE_HOLES, 0, other_side(s->side));
	uint32_t lost = 0;

	for (int i = 0; n && i < NOTE_VALUES; i++) {
		uint32_t left = (uint32_t)(n->value[i] >> 32);
		uint32_t right = (uint32_t)n->value[i];

		if (!n->value[i] || !seq_after(ack, left))
			continue;
		if (seq_before(ack, right))
			right = ack;
		lost += right - left;
		note_add(n, s->now, s->p->frame);
		n->value[i] = 0;
	}
	return lost;
}

/* --- SYNs ---------------------------------------------------------------- */

static void
take_syn_options(struct step *s)
{
	const struct tcp_options *o = &s->p->options;

	s->me->mss = o->mss;
	if (o->has_window_scale) {
		s->me->flags |= HALF_WSCALE;
		s->me->shift = o->window_shift > SHIFT_MAX ? SHIFT_MAX :
		    o->window_shift;
	}
	if (o->sack_permitted)
		s->me->flags |= HALF_SACK;
	if (o->has_timestamps)
		s->me->flags |= HALF_TS;
	if (o->cut)
		s->me->flags |= HALF_SYN_CUT;
}

/* Did this side say that it does not scale? */
static bool
does_not_scale(const struct tcp_half *h)
{
	return h->flags & HALF_SYN &&
	    !(h->flags & (HALF_WSCALE | HALF_SYN_CUT));
}

/* Scaling is in force only when both SYNs carry it; a SYN-ACK may carry it
 * only if the SYN did (RFC 7323, 2.2), so a SYN-ACK without it settles it. */
static void
settle_scaling(struct flow *f)
{
	struct tcp_half *c = &f->half[CLIENT], *v = &f->half[SERVER];

	if (does_not_scale(v) || does_not_scale(c))
		c->shift = v->shift = 0;
}

/* What NOTE_SYN_AGAIN remembers of a SYN, so that a SYN-ACK to it can begin a
 * new flow with its options. */
static uint64_t
pack_syn(const struct packet *p)
{
	uint64_t o = p->options.mss;
	uint64_t flags = (uint64_t)p->options.has_window_scale |
	    (uint64_t)p->options.sack_permitted << 1 |
	    (uint64_t)p->options.has_timestamps << 2;

	return (uint64_t)p->seq << 32 | o << 16 |
	    (uint64_t)(p->options.window_shift & 15) << 8 | flags;
}

void
tcp_adopt_syn(struct flow *fresh, const struct flow *old)
{
	struct tcp_half *c = &fresh->half[CLIENT];
	const struct note *n = flow_note_find(old, NOTE_SYN_AGAIN, 0, CLIENT);

	if (!n)
		return;
	c->isn = (uint32_t)(n->value[0] >> 32);
	c->next = c->una = c->isn + 1;
	c->mss = (uint16_t)(n->value[0] >> 16);
	c->flags = HALF_SYN | HALF_SEEN;
	if (n->value[0] & 1) {
		c->flags |= HALF_WSCALE;
		c->shift = (n->value[0] >> 8) & 15;
	}
	if (n->value[0] & 2)
		c->flags |= HALF_SACK;
	if (n->value[0] & 4)
		c->flags |= HALF_TS;
	c->last = n->last;
	c->packets = 1;
	fresh->half[CLIENT].syns = 1;
	fresh->began = n->last;
}

bool
tcp_begins_anew(const struct flow *f, const struct packet *p, enum side side)
{
	const struct tcp_half *me = &f->half[side];
	const struct note *met;

	if (!(p->tcp_flags & TCP_SYN) || p->tcp_flags & TCP_RST)
		return false;
	if (p->tcp_flags & TCP_ACK) {
		met = flow_note_find(f, NOTE_SYN_AGAIN, 0, other_side(side));
		return met && p->ack == (uint32_t)(met->value[0] >> 32) + 1 &&
		    !(f->half[side].flags & HALF_SYN &&
		    f->half[side].isn == p->seq);
	}
	if (me->flags & HALF_SYN && me->isn == p->seq)
		return false;		/* the same SYN again */
	return f->state == FLOW_CLOSED || f->state == FLOW_NEW;
}

/* A SYN for a tuple in use: the old session goes on until a SYN-ACK says
 * otherwise (RFC 9293, 3.10.7.4; RFC 5961, 4). */
static void
syn_on_live(struct step *s)
{
	struct note *n = note_for(s, NOTE_SYN_AGAIN, s->side);

	s->out->facts |= SEG_SYN_ON_LIVE;
	if (!n)
		return;
	if ((uint32_t)(n->value[0] >> 32) != s->p->seq || !n->count)
		n->value[3]++;
	n->value[0] = pack_syn(s->p);
	n->open = true;
	note_add(n, s->now, s->p->frame);
}

static void
take_syn(struct step *s)
{
	struct flow *f = s->f;

	s->out->facts |= has(s, TCP_ACK) ? SEG_SYN_ACK : SEG_SYN;
	if (s->me->flags & HALF_SYN) {
		if (s->me->isn == s->p->seq)
			s->out->facts |= SEG_AGAIN;
	} else {
		s->me->isn = s->p->seq;
		s->me->flags |= HALF_SYN;
		take_syn_options(s);
		settle_scaling(f);
		s->me->next = s->me->una = s->p->seq;
		s->me->flags |= HALF_SEEN;
	}
	if (has(s, TCP_ACK))
		f->half[SERVER].syns = saturated8(f->half[SERVER].syns);
	else
		f->half[CLIENT].syns = saturated8(f->half[CLIENT].syns);
}

/* --- what was sent -------------------------------------------------------- */

/* The other side has acknowledged more of this side's bytes than we saw, and
 * this is a probe below them: what lies between was sent and missed. */
static void
catch_up(struct step *s)
{
	const struct note *n = flow_note_find(s->f, NOTE_ACK_AHEAD, 0,
	    other_side(s->side));
	uint32_t acked = n ? (uint32_t)n->value[0] : 0;

	if (!n || !n->open || s->length > 1 || s->damaged ||
	    has(s, TCP_SYN | TCP_FIN | TCP_RST) || s->p->seq != acked - 1 ||
	    !seq_after(s->p->seq, s->me->next))
		return;
	s->out->facts |= SEG_HOLE;
	s->out->hole_bytes = s->out->lost_bytes = acked - s->me->next;
	s->me->next = s->me->una = acked;
	s->me->una_since.ns = 0;
	s->me->una_sends = 0;
}

static bool
is_keep_alive(const struct step *s)
{
	const struct tcp_half *me = s->me;

	if (has(s, TCP_SYN | TCP_FIN | TCP_RST) || s->length > 1 ||
	    !(me->flags & HALF_SEEN) || s->f->state == FLOW_NEW ||
	    s->p->seq != me->next - 1)
		return false;
	/* one byte, still outstanding, is that byte sent again */
	return s->length == 0 || me->una == me->next ||
	    !(s->peer->flags & HALF_SEEN);
}

static void
keep_alive(struct step *s)
{
	struct note *n = note_for(s, NOTE_KEEP_ALIVE, s->side);

	s->out->facts |= SEG_KEEP_ALIVE;
	s->me->keep_alives++;
	if (!n)
		return;
	if (!n->open) {
		uint64_t answered = n->value[0];

		note_restart(n);
		n->value[0] = answered;
	}
	note_add(n, s->now, s->p->frame);
}

/* The byte that the other side waits for was sent once more. */
static void
sent_again(struct step *s)
{
	struct tcp_half *me = s->me;
	struct note *n;

	me->rtt_since.ns = 0;		/* Karn's rule */
	if (seq_before(me->una, s->p->seq) || !seq_after(s->end, me->una) ||
	    me->una == me->next)
		return;
	me->una_sends += me->una_sends < UINT32_MAX;
	n = note_for(s, NOTE_RETRANSMIT, s->side);
	if (!n)
		return;
	if (!n->open) {
		note_restart(n);
		n->value[0] = me->una;
		n->value[1] = (uint64_t)me->una_since.ns;
	}
	n->value[2] = s->length;
	note_add(n, s->now, s->p->frame);
}

static void
sent_before(struct step *s)
{
	if (hole_fill(s, s->p->seq, s->end)) {
		s->out->facts |= SEG_LATE;
		s->me->out_of_order++;
	} else {
		s->out->facts |= SEG_AGAIN;
		s->me->retransmissions++;
		if (!seq_after(s->end, s->me->una))
			s->out->facts |= SEG_NEEDLESS;
	}
	sent_again(s);
}

static void
sent_new(struct step *s)
{
	struct tcp_half *me = s->me;
	uint32_t from = me->next;

	if (seq_after(s->p->seq, from)) {
		s->out->hole_bytes = s->p->seq - from;
		s->out->facts |= SEG_HOLE;
		hole_remember(s, from, s->p->seq);
		from = s->p->seq;
	} else if (seq_before(s->p->seq, from)) {
		sent_again(s);
	}
	s->out->facts |= SEG_NEW;
	s->out->new_bytes = s->end - from - (has(s, TCP_FIN) ? 1 : 0) -
	    (has(s, TCP_SYN) && from == s->p->seq ? 1 : 0);
	if (!instant_is_set(me->una_since)) {
		me->una_since = s->now;
		me->una_sends = 1;
	}
	me->next = s->end;
	if (!instant_is_set(me->rtt_since) && !(s->out->facts & SEG_HOLE)) {
		me->rtt_since = s->now;
		me->rtt_seq = s->end;
	}
}

/* A bare ACK is sent at SND.NXT (RFC 9293, 3.10.7.4): if that is beyond what
 * we saw, we missed something. */
static void
bare_ack_position(struct step *s)
{
	uint32_t ahead = s->p->seq - s->me->next;

	if (has(s, TCP_RST) || s->damaged || !seq_after(s->p->seq, s->me->next) ||
	    ahead > JUMP_MAX)
		return;
	s->out->facts |= SEG_HOLE;
	s->out->hole_bytes = ahead;
	hole_remember(s, s->me->next, s->p->seq);
	s->me->next = s->p->seq;
}

static void
first_sight(struct step *s)
{
	s->me->flags |= HALF_SEEN;
	s->me->next = s->me->una = s->p->seq;
	if (s->peer->flags & HALF_ACKED)
		s->me->una = seq_before(s->peer->acked, s->p->seq) ?
		    s->peer->acked : s->p->seq;
}

static bool
position_is_plausible(const struct step *s)
{
	int32_t off = (int32_t)(s->p->seq - s->me->next);

	if (s->damaged)
		return off == 0 || (off < 0 && off >= -65536 &&
		    !seq_after(s->end, s->me->next));
	return off <= JUMP_MAX && off >= -JUMP_MAX;
}

static void
take_sequence(struct step *s)
{
	if (has(s, TCP_RST))
		return;
	if (!(s->me->flags & HALF_SEEN))
		first_sight(s);
	if (!position_is_plausible(s)) {
		s->out->facts |= SEG_DAMAGED;
		return;
	}
	catch_up(s);
	if (is_keep_alive(s)) {
		keep_alive(s);
		return;
	}
	if (s->end == s->p->seq) {
		bare_ack_position(s);
		return;
	}
	if (s->length)
		s->out->facts |= SEG_DATA;
	if (seq_after(s->end, s->me->next))
		sent_new(s);
	else if (s->end != s->p->seq)
		sent_before(s);
}

/* --- what was acknowledged ------------------------------------------------- */

static void
rtt_sample(struct step *s)
{
	struct tcp_half *h = s->peer;
	int64_t us = instant_since(s->now, h->rtt_since) / NS_PER_US;
	uint32_t sample = us < 0 ? 0 : us > 3600000000 ? 3600000000U : (uint32_t)us;

	s->out->rtt_ns = instant_since(s->now, h->rtt_since);
	h->rtt_since.ns = 0;
	if (!h->rtt_max_us || sample < h->rtt_min_us)
		h->rtt_min_us = sample;
	if (sample > h->rtt_max_us)
		h->rtt_max_us = sample ? sample : 1;
	if (!h->srtt_us) {		/* RFC 6298, 2.2 */
		h->srtt_us = sample ? sample : 1;
		h->rttvar_us = sample / 2;
	} else {			/* 2.3 */
		uint32_t off = sample > h->srtt_us ? sample - h->srtt_us :
		    h->srtt_us - sample;

		h->rttvar_us += off / 4 - h->rttvar_us / 4;
		h->srtt_us += sample / 8;
		h->srtt_us -= h->srtt_us / 8;
	}
}

static void
ack_forward(struct step *s)
{
	struct tcp_half *me = s->me, *peer = s->peer;
	uint32_t ack = s->p->ack, before;
	struct note *run;

	before = me->flags & HALF_ACKED ? me->acked : peer->una;
	s->out->facts |= SEG_ACKS;
	/* the first that we see may be of what went by before we looked */
	s->out->acked_bytes = seq_after(ack, before) ? ack - before : 0;
	s->out->lost_bytes += holes_lost(s, ack);
	me->acked = ack;
	me->flags |= HALF_ACKED;
	me->last_advance = s->now;
	if (seq_after(ack, peer->una))
		peer->una = ack;
	if (instant_is_set(peer->rtt_since) && !seq_before(ack, peer->rtt_seq))
		rtt_sample(s);
	run = flow_note_find(s->f, NOTE_RETRANSMIT, 0, other_side(s->side));
	if (run)
		run->open = false;
	peer->una_since = peer->una == peer->next ? (struct instant){ 0 } : s->now;
	peer->una_sends = peer->una == peer->next ? 0 : 1;
	if (peer->flags & HALF_FIN && ack == peer->next)
		peer->flags |= HALF_FIN_ACKED;
}

/* A keep-alive is sent one below SND.NXT. Where it is the first that we saw of a
 * side, or the first after bytes that we missed, it is known by its answer. */
static bool
began_with_probe(const struct step *s, uint32_t ahead)
{
	const struct note *n = flow_note_find(s->f, NOTE_HOLES, 0,
	    other_side(s->side));

	if (ahead != 1)
		return false;
	for (int i = 0; n && i < NOTE_VALUES; i++)
		if (n->value[i] && (uint32_t)n->value[i] == s->peer->next)
			return true;
	return s->f->flags & FLOW_MIDSTREAM && !(s->peer->flags & HALF_DATA);
}

static void
ack_ahead(struct step *s)
{
	uint32_t ahead = s->p->ack - s->peer->next;
	struct note *n;

	if (s->damaged || ahead > JUMP_MAX)
		return;
	if (began_with_probe(s, ahead)) {
		s->peer->next = s->peer->una = s->p->ack;
		return;
	}
	s->out->facts |= SEG_ACK_AHEAD;
	n = note_for(s, NOTE_ACK_AHEAD, s->side);
	if (!n)
		return;
	if (!n->count || seq_after(s->p->ack, (uint32_t)n->value[0]))
		s->out->facts |= SEG_ACK_UNSEEN;
	n->open = true;
	n->value[0] = s->p->ack;
	n->value[1] = ahead;
	note_add(n, s->now, s->p->frame);
}

/* Mirror queues may hand an old ACK over late; its timestamp (which never runs
 * back: RFC 7323, 5.3), its IP ID, or the moment, tells. */
static bool
surely_sent_later(const struct step *s)
{
	int16_t id_step = (int16_t)(s->p->ip_id - s->me->ip_id);

	if (s->p->options.has_timestamps && s->me->ts_value &&
	    seq_before(s->p->options.ts_value, s->me->ts_value))
		return false;
	if (s->p->ip_version == 4 && s->p->ip_id && s->me->ip_id &&
	    ((s->p->ip_id ^ s->me->ip_id) & 0x8000) == 0 &&
	    id_step > -256 && id_step < 256)
		return id_step > 0;
	return instant_since(s->now, s->me->last) > REORDER_NS;
}

static void
ack_back(struct step *s)
{
	struct note *n;

	s->out->facts |= SEG_ACK_BACK;
	s->out->back_bytes = s->me->acked - s->p->ack;
	if (s->damaged || s->out->back_bytes > JUMP_MAX || has(s, TCP_FIN | TCP_SYN)
	    || !surely_sent_later(s))
		return;
	n = note_for(s, NOTE_ACK_BACK, s->side);
	if (!n)
		return;
	n->value[0] = s->out->back_bytes;
	note_add(n, s->now, s->p->frame);
}

static void
ack_same(struct step *s)
{
	if (s->length || has(s, TCP_SYN | TCP_FIN | TCP_RST) ||
	    s->out->facts & SEG_KEEP_ALIVE)
		return;
	if (instant_is_set(s->peer->una_since) &&
	    scaled_window(s) == s->out->window_before)
		s->out->facts |= SEG_DUP_ACK;
}

/* Our last knowledge of what the peer claims to have sent meets an earlier
 * acknowledgment of more: had the peer sent it, its numbers would be there. */
static void
ack_ahead_settled(struct step *s)
{
	struct note *n = flow_note_find(s->f, NOTE_ACK_AHEAD, 0,
	    other_side(s->side));
	bool fresh = s->end == s->p->seq || s->out->facts & SEG_NEW;

	if (!n || !n->open || has(s, TCP_RST) || s->damaged || !fresh ||
	    s->out->facts & SEG_KEEP_ALIVE)
		return;
	if (!seq_before(s->me->next, (uint32_t)n->value[0])) {
		n->open = false;	/* sent after all, or by now */
	} else if (s->p->seq == s->me->next || s->out->facts & SEG_NEW) {
		n->value[2]++;
	}
}

/* Of the other side nothing was ever seen. Its SYN-ACK, or its data since the
 * first acknowledgment, must have been there. */
static void
ack_one_way(struct step *s)
{
	struct tcp_half *me = s->me;

	s->out->facts |= SEG_ACKS;
	if (me->flags & (HALF_ACKED | HALF_SYN) && !s->damaged)
		s->out->facts |= SEG_ACK_UNSEEN;
	me->acked = s->p->ack;
	me->flags |= HALF_ACKED;
	me->last_advance = s->now;
}

static void
take_ack(struct step *s)
{
	struct tcp_half *me = s->me;
	uint32_t ack = s->p->ack;

	if (!has(s, TCP_ACK) || has(s, TCP_RST))
		return;
	if (!(s->peer->flags & HALF_SEEN)) {	/* we only see this side */
		if (!(me->flags & HALF_ACKED) || seq_after(ack, me->acked))
			ack_one_way(s);
		return;
	}
	if (seq_after(ack, s->peer->next))
		ack_ahead(s);
	else if (!(me->flags & HALF_ACKED) || seq_after(ack, me->acked))
		ack_forward(s);
	else if (seq_before(ack, me->acked))
		ack_back(s);
	else
		ack_same(s);
}

/* A live sign from a side answers the probes that the other sent. */
static void
answer_probes(struct step *s)
{
	struct note *run = flow_note_find(s->f, NOTE_KEEP_ALIVE, 0,
	    other_side(s->side));

	if (!run || !run->open || s->out->facts & SEG_KEEP_ALIVE)
		return;			/* a damaged one is a sign of life, too */
	if (has(s, TCP_ACK) && !s->length)
		s->out->facts |= SEG_KEEP_ALIVE_ACK;
	run->open = false;
	run->value[0] = (uint64_t)s->now.ns;
}

/* --- windows ---------------------------------------------------------------- */

static void
window_closes(struct step *s)
{
	struct note *n = note_for(s, NOTE_ZERO_WINDOW, s->side);

	s->out->facts |= SEG_ZERO_WINDOW;
	s->me->zero_windows++;
	if (!n)
		return;
	if (!n->open)
		note_restart(n);
	else if (n->value[0] > n->value[1])
		n->value[1]++;		/* a probe was answered */
	note_add(n, s->now, s->p->frame);
}

static void
take_window(struct step *s)
{
	struct note *closed = flow_note_find(s->f, NOTE_ZERO_WINDOW, 0, s->side);
	struct note *theirs = flow_note_find(s->f, NOTE_ZERO_WINDOW, 0,
	    other_side(s->side));

	if (theirs && theirs->open && s->length &&
	    !(s->out->facts & SEG_DAMAGED)) {
		s->out->facts |= SEG_PROBE;
		theirs->value[0]++;
	}
	if (has(s, TCP_RST) || !has(s, TCP_ACK) || s->damaged)
		return;
	if (!s->p->window && !has(s, TCP_SYN | TCP_FIN)) {
		window_closes(s);
	} else if (closed && closed->open) {
		closed->open = false;
		s->out->facts |= SEG_WINDOW_OPENS;
	}
	s->me->window = scaled_window(s);
	if (s->me->window > s->me->window_max)
		s->me->window_max = s->me->window;
}

/* --- who numbers the packets ------------------------------------------------- */

static void
take_ip_id(struct step *s)
{
	struct tcp_half *me = s->me;
	uint16_t before = me->ip_id, id = s->p->ip_id;
	struct note *n;

	if (s->p->ip_version != 4 || !id || s->damaged ||
	    has(s, TCP_SYN | TCP_RST))
		return;
	if (id & 0x8000)
		me->ids_high = saturated16(me->ids_high);
	else
		me->ids_low = saturated16(me->ids_low);
	if (!before || !((before ^ id) & 0x8000))
		return;
	n = note_for(s, NOTE_ID_FLIP, s->side);
	if (!n)
		return;
	n->value[id & 0x8000 ? 0 : 1]++;
	n->value[2] = before;
	n->value[3] = id;
	note_add(n, s->now, s->p->frame);
}

/* --- opening and closing ------------------------------------------------------ */

static void
establish(struct step *s, bool handshake)
{
	s->f->state = FLOW_ESTABLISHED;
	s->f->established = s->now;
	s->out->facts |= SEG_ESTABLISHES;
	if (handshake)
		s->f->flags |= FLOW_HANDSHAKE;
}

static void
take_open(struct step *s)
{
	struct flow *f = s->f;
	unsigned syns = (f->half[CLIENT].flags & HALF_SYN ? 1U : 0) |
	    (f->half[SERVER].flags & HALF_SYN ? 2U : 0);

	if (f->state != FLOW_NEW || has(s, TCP_SYN | TCP_RST))
		return;
	if (!syns) {
		f->flags |= FLOW_MIDSTREAM;
		establish(s, false);
	} else if (s->side == CLIENT && has(s, TCP_ACK)) {
		establish(s, syns == 3 && s->p->ack == f->half[SERVER].isn + 1);
	} else if (s->side == SERVER && s->length) {
		establish(s, false);	/* we missed the client's ACK */
	}
}

static void
take_fin(struct step *s)
{
	if (!has(s, TCP_FIN) || s->out->facts & SEG_DAMAGED)
		return;
	s->out->facts |= SEG_FIN;
	s->me->flags |= HALF_FIN;
	if (s->f->state == FLOW_ESTABLISHED)
		s->f->state = FLOW_CLOSING;
}

/* A stack that does not know the connection answers a segment with a bare RST
 * whose sequence number is that segment's acknowledgment (RFC 9293, 3.5.2); an
 * application that aborts a connection it has sends RST with ACK. */
static uint64_t
reset_marks(const struct step *s)
{
	bool bare = !has(s, TCP_ACK) && s->peer->flags & HALF_ACKED &&
	    s->p->seq == s->peer->acked;
	int64_t since = instant_since(s->now, s->peer->last);
	uint64_t marks = s->me->flags & HALF_DATA ? RESET_AFTER_DATA : 0;

	if (bare && since < NS_PER_S)
		marks |= RESET_UNKNOWN_CONNECTION;
	if ((s->me->flags | s->peer->flags) & HALF_FIN)
		marks |= RESET_AFTER_FIN;
	if (s->f->state == FLOW_NEW)
		marks |= RESET_REFUSES;
	return marks;
}

static void
take_rst(struct step *s)
{
	struct note *n, *syn;

	if (!has(s, TCP_RST))
		return;
	s->out->facts |= SEG_RST;
	s->me->flags |= HALF_RST;
	n = note_for(s, NOTE_RESET, s->side);
	if (n) {
		n->value[0] = s->p->seq;
		n->value[1] = reset_marks(s);
		n->value[2] = s->p->ttl;
		n->value[3] = s->me->ttl;
		note_add(n, s->now, s->p->frame);
	}
	syn = flow_note_find(s->f, NOTE_SYN_AGAIN, 0, s->side);
	if (syn && syn->open) {
		syn->value[2]++;	/* the answer to a challenge ACK */
		return;
	}
	if (s->f->state != FLOW_CLOSED)
		s->f->end = FLOW_END_RST;
	s->f->state = FLOW_CLOSED;
}

static void
take_close(struct step *s)
{
	struct flow *f = s->f;

	take_fin(s);
	take_rst(s);
	if (f->half[CLIENT].flags & f->half[SERVER].flags & HALF_FIN_ACKED &&
	    f->state == FLOW_CLOSING) {
		f->state = FLOW_CLOSED;
		f->end = FLOW_END_FIN;
	}
	/* a reset that the other side did not believe: the talk goes on */
	if (f->state == FLOW_CLOSED && f->end == FLOW_END_RST &&
	    s->out->facts & SEG_ACKS && s->out->acked_bytes &&
	    s->peer->flags & HALF_RST && !(s->out->facts & SEG_RST)) {
		s->peer->flags &= (uint16_t)~HALF_RST;
		f->state = FLOW_ESTABLISHED;
		f->end = FLOW_END_NONE;
	}
}

/* The server's bare ACK with its old numbers, to a SYN it did not expect. */
static void
take_challenge(struct step *s)
{
	struct note *n = flow_note_find(s->f, NOTE_SYN_AGAIN, 0,
	    other_side(s->side));

	if (!n || !n->open || s->length || has(s, TCP_SYN | TCP_FIN | TCP_RST) ||
	    s->p->ack == (uint32_t)(n->value[0] >> 32) + 1)
		return;
	s->out->facts |= SEG_CHALLENGE;
	n->value[1]++;
	note_add(n, s->now, s->p->frame);
}

/* --- turns: who waits for whom -------------------------------------------------- */

/* One byte as the first that we see of a side may be a keep-alive. */
static bool
maybe_probe(const struct step *s)
{
	return s->f->flags & FLOW_MIDSTREAM && !s->me->packets && s->length == 1;
}

static void
take_turn(struct step *s)
{
	struct flow *f = s->f;

	if (!(s->out->facts & SEG_DATA) ||
	    !(s->out->facts & (SEG_NEW | SEG_LATE)) ||
	    (!s->out->new_bytes && !(s->out->facts & SEG_LATE)))
		return;
	if (s->side == SERVER && !((f->half[CLIENT].flags | s->me->flags) &
	    HALF_DATA) && f->flags & FLOW_HANDSHAKE)
		f->flags |= FLOW_SERVER_FIRST;
	if (s->side == SERVER)
		s->out->turn = TURN_ANSWERED;
	else if (s->out->facts & SEG_NEW && !maybe_probe(s))
		s->out->turn = f->flags & FLOW_HANDSHAKE &&
		    !(s->me->flags & HALF_DATA) ? TURN_ASKED_FIRST : TURN_ASKED;
	s->me->flags |= HALF_DATA;
	s->me->last_data = s->now;
}

static void
remember_packet(struct step *s)
{
	struct tcp_half *me = s->me;
	const struct packet *p = s->p;

	me->packets++;
	me->bad_sums += p->checksum == CHECKSUM_BAD;
	me->bytes += s->length;
	if (s->length && p->ip_bytes > s->f->datagram_max[s->side])
		s->f->datagram_max[s->side] = p->ip_bytes < UINT16_MAX ?
		    (uint16_t)p->ip_bytes : UINT16_MAX;
	me->last = s->now;
	me->ttl = p->ttl;
	if (p->ip_version == 4 && p->ip_id)
		me->ip_id = p->ip_id;
	if (p->has_mac) {
		memcpy(me->mac, p->src_mac, sizeof(me->mac));
		me->flags |= HALF_MAC;
	}
	if (p->options.has_timestamps && !s->damaged &&
	    (!me->ts_value || seq_after(p->options.ts_value, me->ts_value)))
		me->ts_value = p->options.ts_value;
	if (s->side == SERVER && s->length && s->peer->mss &&
	    s->length > s->peer->mss)
		s->f->flags |= FLOW_COALESCED;
}

/* Is this wrong checksum the exception among those of its sender? */
static bool
is_damaged(const struct flow *f, const struct packet *p, enum side side)
{
	const struct tcp_half *me = &f->half[side];

	if (p->ip_damaged)
		return true;
	if (p->checksum != CHECKSUM_BAD)
		return false;
	if (!me->packets)
		return f->host[side] && host_sums_are_sound(f->host[side]);
	return sums_are_sound(me->bad_sums, me->packets);
}

void
tcp_segment(struct flow_pool *pool, struct flow *f, const struct packet *p,
    enum side side, struct instant now, struct segment *out)
{
	struct step s = {
		.pool = pool, .f = f, .p = p, .side = side, .now = now,
		.me = &f->half[side], .peer = &f->half[other_side(side)],
		.length = p->payload_bytes, .out = out,
		.damaged = is_damaged(f, p, side),
	};

	memset(out, 0, sizeof(*out));
	out->packet = p;
	out->side = side;
	out->window_before = s.me->window;
	out->window_max_before = s.me->window_max;
	out->ip_id_before = s.me->ip_id;
	out->ttl_before = s.me->ttl;
	out->ts_before = s.me->ts_value;
	out->last_before = s.me->last;
	s.flags = s.damaged ? 0 : p->tcp_flags;
	if (s.damaged)
		out->facts |= SEG_DAMAGED;
	if (f->state == FLOW_CLOSED)
		out->facts |= SEG_STRAY;
	s.end = p->seq + s.length + (has(&s, TCP_SYN) ? 1 : 0) +
	    (has(&s, TCP_FIN) ? 1 : 0);

	if (s.damaged && p->tcp_flags & TCP_SYN) {
		remember_packet(&s);
		return;
	}
	if (has(&s, TCP_SYN) && !has(&s, TCP_ACK | TCP_RST) &&
	    f->state != FLOW_NEW && !(s.me->flags & HALF_SYN &&
	    s.me->isn == p->seq)) {
		syn_on_live(&s);
		remember_packet(&s);
		return;
	}
	if (has(&s, TCP_SYN))
		take_syn(&s);
	take_open(&s);
	take_sequence(&s);
	ack_ahead_settled(&s);
	take_ack(&s);
	answer_probes(&s);
	take_challenge(&s);
	take_window(&s);
	take_ip_id(&s);
	take_turn(&s);
	take_close(&s);
	out->window = s.me->window;
	out->flight = s.me->next - s.me->una;
	remember_packet(&s);
}
