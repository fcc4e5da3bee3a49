/* stream.c - one side's bytes in order, joined from segments.
 *
 * The usual segment comes in order and its parser uses all of it: then nothing
 * is copied and nothing allocated. The hard part is the rest: what a parser has
 * not used yet must lie in one piece with what comes next, what comes early
 * must wait without growing past a bound, and a hole that will never fill has
 * to be told from one that will. A receiver acknowledges only what it has, so a
 * hole that is acknowledged was lost by the sniffer and not by the network.
 *
 * Bytes a parser has asked to skip need not be there at all: a hole that lies
 * within them is passed over as if it were filled.
 *
 * Of a stream of which nothing is held, awaited or skipped only its next sequence
 * number matters. Most streams are like that most of the time, so that number
 * takes the place of the pointer to the stream then (`parked`). */
#include "capture/stream.h"

#include <stdlib.h>
#include <string.h>

#include "capture/fetch.h"
#include "capture/slab.h"

/* Memory comes in blocks of a few sizes, kept for reuse once they were there:
 * a mark, a segment, a few of them, half and all of what a parser may hold. */
enum { BLOCK_CLASSES = 5 };
static const uint32_t class_bytes[BLOCK_CLASSES] = {
	64, 2048, 8704, 33792, 66560,
};

/* Beyond this a sequence number is nonsense rather than early: no window is
 * larger (RFC 7323, 2.3). */
enum { FARTHEST_BYTES = 1 << 30 };

struct piece {
	struct piece *next;	/* by sequence number; they do not overlap */
	uint32_t seq, bytes;
	uint32_t room;		/* for data; 0: the bytes themselves are missing */
	uint8_t class;
	uint8_t data[];
};

struct stream {
	uint8_t *held;		/* bytes in order that no parser has used yet */
	struct piece *early;	/* bytes after a hole */
	uint64_t skip;		/* so many of the next ones are not needed */
	struct instant held_since;	/* the first of the held ones came */
	uint64_t held_frame;
	uint32_t next;		/* sequence number after the held ones */
	uint32_t acked;		/* by the other side; any_ack: it did */
	uint32_t held_bytes, early_bytes;
	uint16_t early_count;
	uint8_t held_class;
	bool any_ack;
};

struct unused {
	struct unused *next;
};


struct stream_pool {
	struct unused *unused[BLOCK_CLASSES];
	struct slab streams;
	size_t limit, allocated;
	struct stream_stats stats;
};

struct stream_pool *
stream_pool_new(size_t limit_bytes)
{
	struct stream_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->limit = limit_bytes;
	pool->streams.record_bytes = sizeof(struct stream);
	return pool;
}

static void
pool_trim(struct stream_pool *pool, size_t wanted)
{
	for (int i = BLOCK_CLASSES - 1; i >= 0; i--) {
		while (pool->unused[i] && pool->allocated + wanted > pool->limit) {
			struct unused *u = pool->unused[i];

			pool->unused[i] = u->next;
			free(u);
			pool->allocated -= class_bytes[i];
		}
	}
}

void
stream_pool_free(struct stream_pool **poolp)
{
	struct stream_pool *pool = *poolp;

	*poolp = NULL;
	if (!pool)
		return;
	pool->limit = 0;
	pool_trim(pool, 1);
	slab_release(&pool->streams);
	free(pool);
}

void
stream_pool_stats(const struct stream_pool *pool, struct stream_stats *out)
{
	*out = pool->stats;
}

static uint8_t
class_for(size_t n)
{
	uint8_t class = 0;

	while (class < BLOCK_CLASSES - 1 && class_bytes[class] < n)
		class++;
	return class;
}

static void *
pool_take(struct stream_pool *pool, uint8_t class)
{
	struct unused *u = pool->unused[class];
	size_t n = class_bytes[class];

	if (u) {
		pool->unused[class] = u->next;
	} else {
		if (pool->allocated + n > pool->limit)
			pool_trim(pool, n);
		if (pool->allocated + n <= pool->limit)
			u = malloc(n);
		if (!u) {
			pool->stats.refused++;
			return NULL;
		}
		pool->allocated += n;
	}
	pool->stats.buffered_now += n;
	if (pool->stats.buffered_now > pool->stats.buffered_peak)
		pool->stats.buffered_peak = pool->stats.buffered_now;
	return u;
}

static void
pool_give(struct stream_pool *pool, void *block, uint8_t class)
{
	struct unused *u = block;

	u->next = pool->unused[class];
	pool->unused[class] = u;
	pool->stats.buffered_now -= class_bytes[class];
}

void
stream_fetch(const struct flow *f)
{
	for (int side = CLIENT; side <= SERVER; side++)
		if (f->stream[side] && !stream_is_parked(f->stream[side]))
			fetch_line(f->stream[side]);
}

static struct stream *
stream_take(struct stream_pool *pool)
{
	struct stream *s = slab_take(&pool->streams);

	pool->stats.streams_now += s != NULL;
	return s;
}

static void
stream_give(struct stream_pool *pool, struct stream *s)
{
	slab_give(&pool->streams, s);
	pool->stats.streams_now--;
}

/* An acknowledgment up to `next` or before it says nothing: any will do. */
static struct stream *
unpark(struct stream_pool *pool, struct flow *f, enum side side)
{
	struct stream *s = f->stream[side];
	uint32_t next = stream_parked_next(s);

	if (!stream_is_parked(s))
		return s;
	s = stream_take(pool);
	if (!s)
		return NULL;
	s->next = s->acked = next;
	s->any_ack = true;
	f->stream[side] = s;
	return s;
}

static void
park(struct stream_pool *pool, struct flow *f, enum side side)
{
	struct stream *s = f->stream[side];

	if (!CAN_PARK || !s || stream_is_parked(s) || s->held_bytes || s->early ||
	    s->skip || (s->any_ack && seq_after(s->acked, s->next)))
		return;
	f->stream[side] = stream_parked(s->next);
	stream_give(pool, s);
}

static void
held_release(struct stream_pool *pool, struct stream *s)
{
	if (s->held)
		pool_give(pool, s->held, s->held_class);
	s->held = NULL;
	s->held_bytes = 0;
}

static void
early_drop_first(struct stream_pool *pool, struct stream *s)
{
	struct piece *p = s->early;

	s->early = p->next;
	s->early_bytes -= p->bytes;
	s->early_count--;
	pool_give(pool, p, p->class);
}

uint64_t
stream_owes(const struct flow *f, enum side side)
{
	const struct stream *s = f->stream[side];

	return s && !stream_is_parked(s) && !s->early ? s->skip : 0;
}

void
stream_release(struct stream_pool *pool, struct flow *f)
{
	for (int side = CLIENT; side <= SERVER; side++) {
		struct stream *s = f->stream[side];

		f->stream[side] = NULL;
		if (!s || stream_is_parked(s))
			continue;
		held_release(pool, s);
		while (s->early)
			early_drop_first(pool, s);
		stream_give(pool, s);
	}
}

/* More bytes behind the held ones, as many as fit. Returns how many. */
static uint32_t
held_append(struct stream_pool *pool, struct stream *s, struct bytes b)
{
	size_t room = APP_BUFFER_BYTES - s->held_bytes;
	size_t n = b.left < room ? b.left : room;

	if (!s->held || s->held_bytes + n > class_bytes[s->held_class]) {
		uint8_t class = class_for(s->held_bytes + n);
		uint8_t *larger = pool_take(pool, class);

		if (!larger)
			return 0;
		if (s->held) {
			memcpy(larger, s->held, s->held_bytes);
			pool_give(pool, s->held, s->held_class);
		}
		s->held = larger;
		s->held_class = class;
	}
	if (n)
		memcpy(s->held + s->held_bytes, b.at, n);
	s->held_bytes += (uint32_t)n;
	return (uint32_t)n;
}

static void
held_use(struct stream_pool *pool, struct stream *s, struct app_context *c,
    size_t used)
{
	if (!used)
		return;
	if (used >= s->held_bytes) {
		s->skip = used - s->held_bytes;
		held_release(pool, s);
		return;
	}
	s->held_bytes -= (uint32_t)used;
	memmove(s->held, s->held + used, s->held_bytes);
	s->held_since = c->now;
	s->held_frame = c->frame;
}

static bool show(struct stream_pool *, struct app_context *, struct bytes,
    size_t *used);

/* The other side's bytes were waiting for the protocol to be known, and it is
 * known now. They came when they came. */
static bool
show_other(struct stream_pool *pool, const struct app_context *c)
{
	enum side side = other_side(c->side);
	struct stream *s = c->flow->stream[side];
	struct app_context other;
	size_t used;

	if (!s || stream_is_parked(s) || !s->held_bytes)
		return true;
	other = *c;
	other.side = side;
	other.now = s->held_since;
	other.frame = s->held_frame;
	other.began = s->held_since;
	other.first_frame = s->held_frame;
	if (!show(pool, &other, bytes_of(s->held, s->held_bytes), &used))
		return false;
	held_use(pool, s, &other, used);
	return true;
}

/* Bytes of c->side up to its `next` to the parsers. False: no more of this flow
 * is wanted, its streams are gone. */
static bool
show(struct stream_pool *pool, struct app_context *c, struct bytes b,
    size_t *used)
{
	struct stream *s = c->flow->stream[c->side];
	bool named;

	c->end_seq = s->next;
	*used = app_stream_bytes(c, b, &named);
	if (named) {
		if (!show_other(pool, c))
			return false;
		c->end_seq = s->next;
		*used = app_stream_bytes(c, b, &named);
	}
	if (*used != APP_STOP)
		return true;
	stream_release(pool, c->flow);
	return false;
}

static bool lose(struct stream_pool *, struct app_context *, struct stream *,
    uint32_t n);

static void
set_began(struct app_context *c, const struct stream *s)
{
	c->began = s->held_bytes ? s->held_since : c->now;
	c->first_frame = s->held_bytes ? s->held_frame : c->frame;
}

/* Nothing is held: show the bytes where they lie, and keep what is left. */
static bool
show_directly(struct stream_pool *pool, struct app_context *c,
    struct stream *s, struct bytes fresh)
{
	size_t used;
	uint32_t kept;

	s->next += (uint32_t)fresh.left;
	if (!show(pool, c, fresh, &used))
		return false;
	if (used >= fresh.left) {
		s->skip = used - fresh.left;
		return true;
	}
	bytes_skip(&fresh, used);
	s->held_since = c->now;
	s->held_frame = c->frame;
	kept = held_append(pool, s, fresh);
	if (kept == fresh.left)
		return true;
	held_release(pool, s);
	s->next -= (uint32_t)fresh.left;
	return lose(pool, c, s, (uint32_t)fresh.left);
}

/* The next bytes in order. */
static bool
hand_over(struct stream_pool *pool, struct app_context *c, struct stream *s,
    struct bytes fresh)
{
	pool->stats.joined_bytes += fresh.left;
	for (;;) {
		bool skipped = false;
		uint32_t added;
		size_t used;

		if (s->skip) {
			size_t n = s->skip < fresh.left ? (size_t)s->skip :
			    fresh.left;

			bytes_skip(&fresh, n);
			s->next += (uint32_t)n;
			s->skip -= n;
			if (s->skip)
				return true;
			skipped = true;
		}
		if (!fresh.left && !skipped)
			return true;
		set_began(c, s);
		if (!s->held_bytes)
			return show_directly(pool, c, s, fresh);
		added = held_append(pool, s, fresh);
		if (!added) {	/* the parser wants more than it may have */
			uint32_t n = s->held_bytes;

			held_release(pool, s);
			s->next -= n;
			if (!lose(pool, c, s, n))
				return false;
			continue;
		}
		bytes_skip(&fresh, added);
		s->next += added;
		if (!show(pool, c, bytes_of(s->held, s->held_bytes), &used))
			return false;
		held_use(pool, s, c, used);
	}
}

/* The next `n` bytes will not be seen. */
static bool
lose(struct stream_pool *pool, struct app_context *c, struct stream *s,
    uint32_t n)
{
	while (n) {
		uint32_t within = s->skip < n ? (uint32_t)s->skip : n;
		size_t used;

		if (s->skip) {
			s->skip -= within;
			s->next += within;
			n -= within;
			if (s->skip)
				return true;
			set_began(c, s);
			if (!show(pool, c, bytes_of(NULL, 0), &used))
				return false;
			s->skip = used;
			continue;
		}
		s->next += n;
		pool->stats.gaps++;
		pool->stats.gap_bytes += n;
		c->end_seq = s->next;
		set_began(c, s);
		if (!app_stream_gap(c, bytes_of(s->held, s->held_bytes), n)) {
			stream_release(pool, c->flow);
			return false;
		}
		held_release(pool, s);
		n = 0;
	}
	return true;
}

/* The next `n` bytes were cut off by the snap length. */
static bool
lose_cut(struct stream_pool *pool, struct app_context *c, struct stream *s,
    uint32_t n)
{
	bool alive;

	c->cut = true;
	alive = lose(pool, c, s, n);
	c->cut = false;
	return alive;
}

/* Hand on what came early and is in order now. */
static bool
drain(struct stream_pool *pool, struct app_context *c, struct stream *s)
{
	while (s->early) {
		struct piece *p = s->early;
		uint32_t ahead = p->seq - s->next;
		bool alive = true;

		if (seq_after(p->seq, s->next)) {
			if (ahead > s->skip)
				return true;
			s->skip -= ahead;	/* nobody needs the hole */
			s->next = p->seq;
		}
		ahead = s->next - p->seq;
		if (ahead < p->bytes && p->room)
			alive = hand_over(pool, c, s,
			    bytes_of(p->data + ahead, p->bytes - ahead));
		else if (ahead < p->bytes)
			alive = lose_cut(pool, c, s, p->bytes - ahead);
		if (!alive)
			return false;
		early_drop_first(pool, s);
	}
	return true;
}

/* One run of bytes (NULL: known to be missing) between two pieces. */
static bool
early_add(struct stream_pool *pool, struct stream *s, struct piece **link,
    struct piece *before, uint32_t seq, const uint8_t *data, uint32_t n)
{
	size_t room = data ? n : 0;
	struct piece *p;
	uint8_t class;

	if (n > STREAM_EARLY_BYTES - s->early_bytes)
		return false;
	if (before && data && before->seq + before->bytes == seq &&
	    before->room >= n && before->room - n >= before->bytes) {
		memcpy(before->data + before->bytes, data, n);
		before->bytes += n;
		s->early_bytes += n;
		return true;
	}
	if (s->early_count >= STREAM_EARLY_PIECES)
		return false;
	if (before && data && before->seq + before->bytes == seq)
		room = 4 * room;	/* it seems there will be more of them */
	if (room > class_bytes[2] - sizeof(*p))
		room = n;
	class = class_for(sizeof(*p) + (data ? room : 0));
	p = pool_take(pool, class);
	if (!p)
		return false;
	p->seq = seq;
	p->bytes = n;
	p->class = class;
	p->room = data ? class_bytes[class] - (uint32_t)sizeof(*p) : 0;
	p->next = *link;
	*link = p;
	if (data)
		memcpy(p->data, data, n);
	s->early_bytes += n;
	s->early_count++;
	return true;
}

/* Keep what came early, except where it came before. False: no room. */
static bool
early_keep(struct stream_pool *pool, struct stream *s, uint32_t seq,
    const uint8_t *data, uint32_t n)
{
	struct piece **link = &s->early, *before = NULL;

	while (n) {
		struct piece *p = *link;
		uint32_t part = n;

		if (p && !seq_after(p->seq + p->bytes, seq)) {
			before = p;
			link = &p->next;
			continue;
		}
		if (p && !seq_after(p->seq, seq)) {
			if (p->seq + p->bytes - seq < n)
				part = p->seq + p->bytes - seq;
		} else {
			if (p && p->seq - seq < n)
				part = p->seq - seq;
			if (!early_add(pool, s, link, before, seq, data, part))
				return false;
		}
		seq += part;
		n -= part;
		if (data)
			data += part;
	}
	return true;
}

/* Give up as much of the first hole as was acknowledged. */
static bool
give_up_acked(struct stream_pool *pool, struct app_context *c, struct stream *s)
{
	while (s->early && s->any_ack && seq_after(s->acked, s->next)) {
		uint32_t hole = s->early->seq - s->next;
		uint32_t lost = s->acked - s->next;

		if (!lose(pool, c, s, lost < hole ? lost : hole) ||
		    !drain(pool, c, s))
			return false;
	}
	return true;
}

/* What is to be placed of one segment. */
struct incoming {
	uint32_t seq;
	struct bytes captured;
	uint32_t absent;	/* missing behind the captured ones */
};

static void
trim(struct incoming *in, uint32_t n)
{
	uint32_t from_captured = n;

	if (from_captured > in->captured.left)
		from_captured = (uint32_t)in->captured.left;
	bytes_skip(&in->captured, from_captured);
	n -= from_captured;
	in->absent -= n < in->absent ? n : in->absent;
	in->seq += from_captured + n;
}

/* The segment begins where the stream stands. What came early is the first
 * copy of its bytes: up to there only. */
static bool
place_in_order(struct stream_pool *pool, struct app_context *c,
    struct stream *s, struct incoming *in)
{
	uint32_t room = UINT32_MAX, n = (uint32_t)in->captured.left;
	bool alive;

	if (s->early)
		room = s->early->seq - s->next;
	if (n) {
		if (n > room)
			n = room;
		alive = hand_over(pool, c, s, bytes_of(in->captured.at, n));
	} else {
		n = in->absent < room ? in->absent : room;
		alive = lose_cut(pool, c, s, n);
	}
	trim(in, n);
	return alive && drain(pool, c, s);
}

/* The segment begins after a hole of `hole` bytes. */
static bool
place_early(struct stream_pool *pool, struct app_context *c, struct stream *s,
    struct incoming *in, uint32_t hole)
{
	uint32_t n = (uint32_t)in->captured.left;

	if (hole <= s->skip && (!s->early || !seq_before(s->early->seq, in->seq))) {
		s->skip -= hole;
		s->next = in->seq;
		return true;
	}
	if (early_keep(pool, s, in->seq, in->captured.at, n) &&
	    early_keep(pool, s, in->seq + n, NULL, in->absent)) {
		trim(in, n + in->absent);
		return true;
	}
	if (s->early && seq_before(s->early->seq, in->seq))
		hole = s->early->seq - s->next;
	return lose(pool, c, s, hole) && drain(pool, c, s);
}

static struct stream *
stream_begin(struct stream_pool *pool, const struct app_context *c,
    enum side side, uint32_t start)
{
	const struct app_half *peer = &c->half[other_side(side)];
	struct stream *s = stream_take(pool);

	if (!s)
		return NULL;
	s->next = start;
	s->acked = peer->acked;
	s->any_ack = peer->flags & HALF_ACKED;
	c->flow->stream[side] = s;
	return s;
}

/* The other side's stream begins with this one, if it is known where: then
 * bytes of it that are missed from the first on are noticed. */
static void
begin_other(struct stream_pool *pool, const struct app_context *c)
{
	enum side other = other_side(c->side);
	const struct app_half *peer = &c->half[c->side];
	uint32_t start = c->half[other].isn + 1;
	struct flow *f = c->flow;

	if (f->stream[other] || !(c->half[other].flags & HALF_SYN))
		return;
	if (CAN_PARK && !(peer->flags & HALF_ACKED &&
	    seq_after(peer->acked, start)))
		f->stream[other] = stream_parked(start);
	else
		(void)stream_begin(pool, c, other, start);
}

void
stream_segment(struct stream_pool *pool, struct app_context *c, uint32_t seq,
    struct bytes captured, uint32_t wire_bytes, bool have_start, uint32_t start)
{
	struct incoming in = { .seq = seq };
	struct stream *s;

	if (!app_wants(c->flow, c->side)) {
		stream_release(pool, c->flow);
		return;
	}
	s = unpark(pool, c->flow, c->side);
	if (!s && !c->flow->stream[c->side]) {
		s = stream_begin(pool, c, c->side, have_start ? start : seq);
		begin_other(pool, c);
	}
	if (!s)
		return;
	if (seq == s->next && !s->early && wire_bytes &&
	    captured.left == wire_bytes) {	/* nearly always */
		/* as they are: what is made anew waits to be passed on */
		if (hand_over(pool, c, s, captured))
			park(pool, c->flow, c->side);
		return;
	}
	in.captured = bytes_sub_at_most(&captured, wire_bytes);
	in.absent = wire_bytes - (uint32_t)in.captured.left;
	while (in.captured.left || in.absent) {
		uint32_t hole = in.seq - s->next;
		bool alive;

		if (seq_before(in.seq, s->next)) {
			trim(&in, s->next - in.seq);
			continue;
		}
		if (hole > FARTHEST_BYTES)
			return;
		alive = hole ? place_early(pool, c, s, &in, hole) :
		    place_in_order(pool, c, s, &in);
		if (!alive)
			return;
	}
	if (give_up_acked(pool, c, s))
		park(pool, c->flow, c->side);
}

bool
stream_heeds(const struct flow *f, enum side side, uint32_t ack)
{
	const struct stream *s = f->stream[side];

	return s && (!stream_is_parked(s) || seq_after(ack, stream_parked_next(s)));
}

void
stream_acked(struct stream_pool *pool, struct app_context *c, uint32_t ack)
{
	struct app_context sender;
	struct stream *s;
	uint32_t end;

	if (!stream_heeds(c->flow, other_side(c->side), ack))
		return;
	sender = *c;
	sender.side = other_side(c->side);
	s = unpark(pool, c->flow, sender.side);
	if (!s)
		return;
	if (!s->any_ack || seq_after(ack, s->acked))
		s->acked = ack;
	s->any_ack = true;
	if (!give_up_acked(pool, &sender, s))
		return;
	/* The end of a stream takes a number, too (RFC 9293, 3.4). */
	end = s->next + !!(c->half[sender.side].flags & HALF_FIN);
	if (!s->early && seq_after(s->acked, end) && s->acked - s->next > s->skip)
		app_stream_missed(&sender, s->acked - s->next);
}
