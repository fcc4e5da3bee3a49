/* intake.c - frames decoded and brought into order.
 *
 * The hard part is time. It comes from the packets, yet captures lie: clocks
 * step back, single records carry absurd stamps. Trace time never runs backwards
 * and never jumps on one packet's word: a frame that is stamped far ahead waits
 * for the next one to tell whether time went on or its stamp is a stray one. If
 * that is the last of its batch, it waits with a copy of its bytes, and is the
 * first of the next. */
#include "capture/intake.h"

#include <stdlib.h>
#include <string.h>

#include "capture/decode.h"
#include "capture/defrag.h"
#include "capture/duplicate.h"
#include "capture/slab.h"

/* A clock that steps back further than reordering explains goes on from where
 * it was. */
#define STEP_BACK_NS NS_PER_S

/* What a pcap record can say, 2106-02-07 (32 bits of seconds). Beyond it sums of
 * times would overflow. */
#define TIME_MAX (INT64_C(4294967296) * NS_PER_S)

struct intake {
	const struct flow_table *flows;
	struct duplicates *duplicates;
	struct defrag *defrag;
	struct instant now;		/* trace time; 0 before the first frame */
	int64_t time_offset_ns;		/* added to stamps since a step back */
	struct instant raw_last;	/* stamp of the frame before */
	struct arrival held;		/* stamped far ahead, the last of a batch; */
	uint8_t *held_data;		/* its bytes */
	size_t held_bytes;		/* allocated */
	bool is_holding;
};

/* --- batches ------------------------------------------------------------------ */

/* What there is of frames is written before it is read. */
static void
batch_begin(struct batch *b, uint8_t *kept)
{
	memset(b, 0, offsetof(struct batch, arrival));
	b->carried = NULL;
	b->carried_bytes = b->whole_count = b->held_count = 0;
	b->kept = kept;
	batch_clear(b);
}

struct batch *
batches_new(size_t count, size_t kept_bytes)
{
	struct batch *all = slab_array(count * sizeof(*all));
	uint8_t *kept = NULL;

	if (!all)
		return NULL;
	/* what is never written to takes no memory */
	if (kept_bytes && !(kept = malloc(count * kept_bytes))) {
		free(all);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		batch_begin(&all[i], kept ? kept + i * kept_bytes : NULL);
	return all;
}

void
batches_free(struct batch **allp, size_t count)
{
	struct batch *all = *allp;

	*allp = NULL;
	if (!all)
		return;
	for (size_t i = 0; i < count; i++) {
		batch_clear(&all[i]);
		free(all[i].carried);
	}
	free(all->kept);		/* that of all begins with the first one's */
	free(all);
}

void
batch_clear(struct batch *b)
{
	while (b->whole_count)
		free(b->whole[--b->whole_count]);
	while (b->held_count)
		source_let_go(b->held[--b->held_count]);
	b->first = b->end = 1;
	b->kept_bytes = 0;
	b->deliveries = b->delivered = 0;
	b->result = SOURCE_FRAME;
}

static struct instant
bounded(struct instant raw)
{
	if (raw.ns < 0)
		return (struct instant){ 0 };
	return raw.ns > TIME_MAX ? (struct instant){ TIME_MAX } : raw;
}

struct instant
intake_clamped(struct instant raw)
{
	struct instant t = bounded(raw);

	return t.ns ? t : (struct instant){ 1 };
}

bool
batch_is_full(const struct batch *b)
{
	return b->end == sizeof(b->arrival) / sizeof(b->arrival[0]) ||
	    b->kept_bytes >= INTAKE_BYTES;
}

bool
batch_hold(struct batch *b, struct source *s)
{
	struct source_block *block = b->kept && b->held_count < BATCH_HOLDS ?
	    source_hold(s) : NULL;

	if (block)
		b->held[b->held_count++] = block;
	return block;
}

void
batch_add(struct batch *b, const struct frame *f, bool is_held)
{
	struct arrival *a = &b->arrival[b->end++];

	a->frame = *f;
	a->frame.time = a->stamp = bounded(f->time);
	a->link_type = f->link_type;
	if (b->kept && !is_held && f->captured_bytes) {
		uint8_t *copy = b->kept + b->kept_bytes;

		memcpy(copy, f->data, f->captured_bytes);
		a->frame.data = copy;
	}
	b->kept_bytes += f->captured_bytes;
}

/* --- what needs no order ---------------------------------------------------------- */

struct intake *
intake_new(size_t fragment_bytes, const struct flow_table *flows)
{
	struct intake *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->flows = flows;
	in->duplicates = duplicates_new();
	in->defrag = defrag_new(fragment_bytes);
	if (!in->duplicates || !in->defrag)
		intake_free(&in);
	return in;
}

void
intake_free(struct intake **inp)
{
	struct intake *in = *inp;

	*inp = NULL;
	if (!in)
		return;
	duplicates_free(&in->duplicates);
	defrag_free(&in->defrag);
	free(in->held_data);
	free(in);
}

static void
decode(const struct intake *in, struct arrival *a)
{
	struct packet *p = &a->packet;

	a->is_copy = a->is_piece = a->is_swallowed = false;
	a->result = decode_frame(&a->frame, p);
	if (p->transport.left)
		duplicates_prepare(in->duplicates, p);
	if (p->has_transport)
		flow_hash(in->flows, p);
}

void
intake_decode(const struct intake *in, struct batch *b)
{
	for (size_t i = 1; i < b->end; i++)
		decode(in, &b->arrival[i]);
}

/* --- time ------------------------------------------------------------------------- */

static int64_t
regression(struct intake *in, struct instant raw)
{
	int64_t back = instant_since(in->raw_last, raw);

	in->raw_last = raw;
	return back > 0 ? back : 0;
}

/* Trace time of a frame stamped `raw`. */
static struct instant
trace_time(struct intake *in, struct instant raw)
{
	struct instant t = instant_plus(raw, in->time_offset_ns);

	if (!instant_is_set(in->now))
		return raw;
	if (in->time_offset_ns && !instant_before(raw, in->now)) {
		in->time_offset_ns = 0;		/* one stray stamp, or caught up */
		t = raw;
	}
	if (instant_since(in->now, t) > STEP_BACK_NS || t.ns > TIME_MAX) {
		in->time_offset_ns = instant_since(in->now, raw);
		return in->now;
	}
	return instant_before(t, in->now) ? in->now : t;
}

/* Does this stamp leave all before it far behind? */
static bool
leaps(const struct intake *in, struct instant raw)
{
	struct instant t = instant_plus(raw, in->time_offset_ns);

	return instant_is_set(in->now) &&
	    instant_since(raw, in->now) > INTAKE_LEAP_NS &&
	    instant_since(t, in->now) > INTAKE_LEAP_NS;
}

/* --- in order ---------------------------------------------------------------------- */

/* Its time is known; what is left asks what came before. */
static void
arrive(struct intake *in, struct batch *b, struct arrival *a, struct instant now)
{
	struct packet *p = &a->packet;

	in->now = now;
	a->is_copy = duplicates_seen(in->duplicates, p);
	a->is_piece = p->is_fragment;
	if (a->is_piece)
		a->is_swallowed = a->is_copy || !defrag_add(in->defrag, p);
	if (a->is_piece && !a->is_swallowed)
		b->whole[b->whole_count++] = defrag_keep(in->defrag);
	p->time = now;
}

static void
let_go(struct intake *in, struct batch *b, struct arrival *held, bool stray)
{
	struct instant raw = intake_clamped(held->stamp);

	arrive(in, b, held, stray ? in->now : trace_time(in, raw));
}

/* Keep the last frame of a batch for the next. False: no memory. */
static bool
hold(struct intake *in, struct batch *b)
{
	const struct arrival *a = &b->arrival[b->end - 1];
	size_t n = a->frame.captured_bytes;

	if (n > in->held_bytes || !in->held_data) {
		uint8_t *grown = realloc(in->held_data, n + 1);

		if (!grown)
			return false;
		in->held_data = grown;
		in->held_bytes = n + 1;
	}
	if (n)
		memcpy(in->held_data, a->frame.data, n);
	in->held = *a;
	in->is_holding = true;
	b->end--;
	return true;
}

/* What was held over comes first in this batch, which takes its bytes on. Its
 * packet points to where they lie now, since it is decoded again. */
static struct arrival *
carry(struct intake *in, struct batch *b)
{
	struct arrival *a = &b->arrival[0];
	uint8_t *data = b->carried;
	size_t bytes = b->carried_bytes;

	b->carried = in->held_data;
	b->carried_bytes = in->held_bytes;
	in->held_data = data;
	in->held_bytes = bytes;
	in->is_holding = false;
	*a = in->held;
	a->frame.data = b->carried;
	decode(in, a);
	b->first = 0;
	return a;
}

/* The source said something else than one more frame; `held` may be NULL. */
static void
settle_end(struct intake *in, struct batch *b, struct arrival *held)
{
	bool is_tick = b->result == SOURCE_IDLE || b->result == SOURCE_BREAK;
	struct instant now = intake_clamped(b->time);

	if (held)
		let_go(in, b, held, is_tick &&
		    instant_since(held->stamp, b->time) > INTAKE_LEAP_NS);
	if (!is_tick || !instant_is_set(in->now))
		return;
	/* a clock that was set back is outrun in silence too */
	b->time = in->now = trace_time(in, now);
}

void
intake_settle(struct intake *in, struct batch *b)
{
	struct arrival *held = in->is_holding ? carry(in, b) : NULL;

	for (size_t i = 1; i < b->end; i++) {
		struct arrival *a = &b->arrival[i];
		struct instant raw = intake_clamped(a->stamp);

		a->regression_ns = regression(in, raw);
		if (held)
			let_go(in, b, held, instant_since(held->stamp,
			    a->stamp) > INTAKE_LEAP_NS);
		held = leaps(in, raw) ? a : NULL;
		if (!held)
			arrive(in, b, a, trace_time(in, raw));
	}
	if (b->result != SOURCE_FRAME)
		settle_end(in, b, held);
	else if (held && !hold(in, b))
		let_go(in, b, held, false);
}
