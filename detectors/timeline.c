/* timeline.c - who was answered when.
 *
 * The hard part is the size: a run may last a minute or a month and a server have
 * one client or thousands, and the picture must cost next to nothing. So a
 * client is 32 bytes and its address, and when time outgrows the cells, two
 * become one. */
#include "detectors/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "capture/fetch.h"
#include "capture/host.h"
#include "detectors/server_internal.h"

enum { WORDS = TIMELINE_CELLS / 64 };

struct client {
	struct address address;
	uint64_t answered[WORDS];	/* a bit a cell */
};

struct timeline {
	struct instant from;		/* a whole multiple of the cell */
	unsigned cell_s, most_s;
	struct instant latest;		/* asked for, and its cell */
	unsigned latest_cell;
	uint32_t answered[TIMELINE_CELLS];
	int64_t took_ns[TIMELINE_CELLS];
	size_t client_count, client_room;	/* room: 0 or a power of two */
	struct client *client;
	uint16_t *slot;			/* slots_of(), by address: 1 + index; 0: empty */
};

/* No output depends on where a record lies. */
#define KEY UINT64_C(0x9e3779b97f4a7c15)

static struct instant
floor_to(struct instant t, unsigned cell_s)
{
	int64_t cell = (int64_t)cell_s * NS_PER_S;

	return (struct instant){ t.ns - t.ns % cell };
}

void
timeline_free(struct timeline **t)
{
	if (*t) {
		free((*t)->client);
		free((*t)->slot);
	}
	free(*t);
	*t = NULL;
}

/* --- bits --- */

static bool
bit(const uint64_t *w, unsigned i)
{
	return w[i / 64] >> i % 64 & 1;
}

static void
set_bit(uint64_t *w, unsigned i)
{
	w[i / 64] |= UINT64_C(1) << i % 64;
}

/* Cell i becomes cell i / 2, shifted by `odd` if the first was the second half of
 * a wider one. */
static void
halve_bits(uint64_t *w, unsigned odd)
{
	uint64_t half[WORDS] = { 0 };

	for (unsigned i = 0; i < TIMELINE_CELLS; i++)
		if (bit(w, i) && (i + odd) / 2 < TIMELINE_CELLS)
			set_bit(half, (i + odd) / 2);
	memcpy(w, half, sizeof(half));
}

static void
shift_bits(uint64_t *w, unsigned by)
{
	uint64_t left[WORDS] = { 0 };

	for (unsigned i = by; i < TIMELINE_CELLS; i++)
		if (bit(w, i))
			set_bit(left, i - by);
	memcpy(w, left, sizeof(left));
}

/* --- time --- */

static void
widen(struct timeline *t)
{
	struct instant from = floor_to(t->from, t->cell_s * 2);
	unsigned odd = from.ns != t->from.ns;
	uint32_t answered[TIMELINE_CELLS] = { 0 };
	int64_t took[TIMELINE_CELLS] = { 0 };

	for (unsigned i = 0; i < TIMELINE_CELLS; i++) {
		unsigned to = (i + odd) / 2;

		answered[to] += t->answered[i];
		if (t->took_ns[i] > took[to])
			took[to] = t->took_ns[i];
	}
	memcpy(t->answered, answered, sizeof(answered));
	memcpy(t->took_ns, took, sizeof(took));
	for (size_t i = 0; i < t->client_count; i++)
		halve_bits(t->client[i].answered, odd);
	t->from = from;
	t->cell_s *= 2;
}

static void
slide(struct timeline *t, unsigned by)
{
	unsigned n = by < TIMELINE_CELLS ? by : TIMELINE_CELLS;
	size_t keep = TIMELINE_CELLS - n;

	memmove(t->answered, t->answered + n, keep * sizeof(t->answered[0]));
	memset(t->answered + keep, 0, n * sizeof(t->answered[0]));
	memmove(t->took_ns, t->took_ns + n, keep * sizeof(t->took_ns[0]));
	memset(t->took_ns + keep, 0, n * sizeof(t->took_ns[0]));
	for (size_t i = 0; i < t->client_count; i++)
		shift_bits(t->client[i].answered, n);
	t->from = instant_plus(t->from, (int64_t)by * t->cell_s * NS_PER_S);
}

static unsigned
cell_to_find(struct timeline *t, struct instant at)
{
	int64_t cell;

	if (instant_before(at, t->from))
		return 0;
	for (;;) {
		cell = instant_since(at, t->from) / (t->cell_s * NS_PER_S);
		if (cell < TIMELINE_CELLS)
			return (unsigned)cell;
		if (t->most_s && t->cell_s * 2 > t->most_s)
			break;
		widen(t);
	}
	slide(t, cell - TIMELINE_CELLS + 1 > UINT32_MAX / 2 ? UINT32_MAX / 2 :
	    (unsigned)(cell - TIMELINE_CELLS + 1));
	return TIMELINE_CELLS - 1;
}

/* The cell of a time, made room for; an earlier one than all counts as the first.
 * All of a step ask for the same. */
static unsigned
cell_at(struct timeline *t, struct instant at)
{
	if (at.ns != t->latest.ns) {
		t->latest_cell = cell_to_find(t, at);
		t->latest = at;
	}
	return t->latest_cell;
}

/* --- clients --- */

static size_t
slots_of(size_t client_room)
{
	return 2 * client_room;
}

/* Where the search for it begins. */
static size_t
home_of(const struct timeline *t, const struct address *a)
{
	return (size_t)address_hash(a, KEY) & (slots_of(t->client_room) - 1);
}

/* Of a timeline that has room. */
static uint16_t *
slot_of(struct timeline *t, const struct address *a)
{
	size_t i = home_of(t, a);

	while (t->slot[i] && memcmp(&t->client[t->slot[i] - 1].address, a,
	    sizeof(*a)) != 0)
		i = (i + 1) & (slots_of(t->client_room) - 1);
	return &t->slot[i];
}

static bool
have_room(struct server *s, struct timeline *t)
{
	size_t room = t->client_room ? t->client_room * 2 : 8;
	struct client *c;
	uint16_t *slot;

	if (t->client_count < t->client_room)
		return true;
	if (room > TIMELINE_CLIENTS || !server_may_take(s,
	    (room - t->client_room) * (sizeof(*c) + 2 * sizeof(*slot))))
		return false;
	slot = calloc(slots_of(room), sizeof(*slot));
	c = slot ? realloc(t->client, room * sizeof(*c)) : NULL;
	if (!c) {
		free(slot);
		return false;
	}
	free(t->slot);
	t->client = c;
	t->client_room = room;
	t->slot = slot;
	for (size_t i = 0; i < t->client_count; i++)
		*slot_of(t, &c[i].address) = (uint16_t)(i + 1);
	return true;
}

/* Its place from 1; 0: no room, or no memory. */
static uint16_t
client_of(struct server *s, const struct address *a)
{
	struct timeline *t = s->timeline;
	uint16_t *slot = t->client_room ? slot_of(t, a) : NULL;

	if (slot && *slot)
		return *slot;
	if (!have_room(s, t))
		return 0;
	t->client[t->client_count++] = (struct client){ .address = *a };
	return *slot_of(t, a) = (uint16_t)t->client_count;
}

/* Is that its place? They stay where they are. */
static bool
is_client_at(const struct timeline *t, const struct address *a, uint16_t at)
{
	return at && at <= t->client_count &&
	    !memcmp(&t->client[at - 1].address, a, sizeof(*a));
}

/* The step that ends at `now` lies in the cell before, if that begins there. */
static struct instant
within_step(struct instant now)
{
	return instant_plus(now, -1);
}

static bool
begin(struct server *s, struct instant now, bool live)
{
	struct timeline *t = server_may_take(s, sizeof(*t)) ?
	    calloc(1, sizeof(*t)) : NULL;

	if (!t)
		return false;
	t->cell_s = 1;
	t->most_s = live ? TIMELINE_LIVE_CELL_S : 0;
	t->from = floor_to(instant_is_set(s->first) &&
	    instant_before(s->first, now) && !live ? s->first :
	    within_step(now), 1);
	s->timeline = t;
	return true;
}

void
timeline_served(struct server *s, const struct address *a, uint16_t *at,
    struct instant now, bool live)
{
	unsigned cell;

	if (!s->timeline && !begin(s, now, live))
		return;
	cell = cell_at(s->timeline, within_step(now));
	if (!is_client_at(s->timeline, a, *at))
		*at = client_of(s, a);
	if (*at)
		set_bit(s->timeline->client[*at - 1].answered, cell);
}

void
timeline_fetch(const struct server *s, const struct address *a, uint16_t at,
    bool row)
{
	const struct timeline *t = s->timeline;
	const uint16_t *slot = &at;

	if (!t || !t->client_room)
		return;
	if (!at)
		slot = &t->slot[home_of(t, a)];
	if (!row)
		fetch_line(slot);
	else if (*slot && *slot <= t->client_count)
		fetch_bytes(&t->client[*slot - 1], sizeof(*t->client));
}

void
timeline_took(struct server *s, int64_t ns, struct instant now)
{
	struct timeline *t = s->timeline;
	unsigned cell;

	if (!t)
		return;
	cell = cell_at(t, within_step(now));
	t->answered[cell]++;
	if (ns > t->took_ns[cell])
		t->took_ns[cell] = ns;
}

/* --- the picture --- */

static int
by_address(const void *a, const void *b)
{
	const struct timeline_row *x = a, *y = b;

	return memcmp(&x->client, &y->client, sizeof(x->client));
}

static int
by_stall(const void *a, const void *b)
{
	const struct timeline_row *x = a, *y = b;
	bool ill = instant_is_set(x->stalled);

	if (ill != instant_is_set(y->stalled))
		return ill ? -1 : 1;
	if (x->stalled.ns != y->stalled.ns)
		return x->stalled.ns < y->stalled.ns ? -1 : 1;
	return by_address(a, b);
}

/* All rows that there may be, before the best are chosen. */
struct rows {
	struct timeline_row *row;
	size_t count;
	const struct timeline_picture *p;
	struct instant now;
};

static struct timeline_row *
row_of(const struct rows *r, const struct address *a)
{
	struct timeline_row key = { .client = *a };

	return bsearch(&key, r->row, r->count, sizeof(key), by_address);
}

/* Graver states are drawn over lighter ones; an answer over waiting, because a
 * call may be meant to wait while others are answered. */
static bool
is_graver(char a, char b)
{
	static const char order[] = { TIMELINE_QUIET, TIMELINE_WAITING,
		TIMELINE_ANSWERED, TIMELINE_FAILED, TIMELINE_STALLED,
		TIMELINE_AGAIN, '\0' };

	return strchr(order, a) > strchr(order, b);
}

/* The state for the cells of [from, to]. */
static void
paint(const struct rows *r, struct timeline_row *row, struct instant from,
    struct instant to, char state)
{
	int64_t width = (int64_t)r->p->cell_s * NS_PER_S;
	int64_t a = instant_since(from, r->p->from) / width;
	int64_t b = instant_since(to, r->p->from) / width;

	if (instant_before(to, r->p->from))
		return;
	for (int64_t i = a < 0 ? 0 : a; i <= b && i < r->p->cells; i++)
		if (is_graver(state, row->state[i]))
			row->state[i] = state;
}

static struct instant
end_of(const struct rows *r, const struct outcome *o)
{
	bool over = o->end != FLOW_END_NONE && o->end != FLOW_END_CAPTURE;

	return over ? o->last : r->now;
}

static void
paint_outcome(const struct rows *r, const struct outcome *o)
{
	struct timeline_row *row = row_of(r, &o->client);
	struct instant trouble = outcome_more(o)->trouble;
	struct instant recovered = outcome_more(o)->recovered;
	struct instant end = end_of(r, o);

	if (!row)
		return;
	if (instant_is_set(trouble)) {
		if (!instant_is_set(row->stalled) ||
		    instant_before(trouble, row->stalled))
			row->stalled = trouble;
		if (instant_is_set(recovered)) {
			paint(r, row, trouble, recovered, TIMELINE_STALLED);
			paint(r, row, recovered, recovered, TIMELINE_AGAIN);
		} else {
			paint(r, row, trouble, end, TIMELINE_STALLED);
		}
	} else if (instant_before(o->last_answered, o->last_asked)) {
		paint(r, row, o->last_asked, end, TIMELINE_WAITING);
	}
	if (!instant_is_set(o->established) && o->end != FLOW_END_NONE)
		paint(r, row, o->began, o->began, TIMELINE_FAILED);
}

/* A row for each client that was answered or has an outcome; by address. False:
 * no memory. */
static bool
rows_make(struct rows *r, const struct server *s)
{
	const struct timeline *t = s->timeline;
	size_t most = t->client_count + s->outcome_count, n = 0;

	r->row = calloc(most ? most : 1, sizeof(*r->row));
	if (!r->row)
		return false;
	for (size_t i = 0; i < t->client_count; i++)
		r->row[n++].client = t->client[i].address;
	for (size_t i = 0; i < s->outcome_count; i++)
		r->row[n++].client = s->outcome[i]->client;
	qsort(r->row, n, sizeof(*r->row), by_address);
	for (size_t i = 0; i < n; i++)
		if (!r->count || by_address(&r->row[r->count - 1], &r->row[i]))
			r->row[r->count++] = r->row[i];
	return true;
}

static void
rows_paint(struct rows *r, const struct server *s)
{
	const struct timeline *t = s->timeline;

	for (size_t i = 0; i < r->count; i++) {
		memset(r->row[i].state, TIMELINE_QUIET, r->p->cells);
		r->row[i].state[r->p->cells] = '\0';
	}
	for (size_t i = 0; i < t->client_count; i++) {
		struct timeline_row *row = row_of(r, &t->client[i].address);

		for (unsigned k = 0; row && k < r->p->cells; k++)
			if (bit(t->client[i].answered, k))
				row->state[k] = TIMELINE_ANSWERED;
	}
	for (size_t i = 0; i < s->outcome_count; i++)
		paint_outcome(r, s->outcome[i]);
}

static void
draw_rows(const struct server *s, struct instant now, struct timeline_picture *p)
{
	struct rows r = { .p = p, .now = now };

	if (!rows_make(&r, s))
		return;
	rows_paint(&r, s);
	qsort(r.row, r.count, sizeof(*r.row), by_stall);
	p->rows = r.count < TIMELINE_ROWS ? r.count : TIMELINE_ROWS;
	p->more = r.count - p->rows;
	memcpy(p->row, r.row, p->rows * sizeof(*r.row));
	free(r.row);
}

bool
timeline_draw(const struct server *s, struct instant now, bool with_clients,
    struct timeline_picture *p)
{
	struct timeline *t = s->timeline;
	unsigned last;

	p->rows = p->more = 0;
	if (!t)
		return false;
	last = cell_at(t, within_step(now));	/* time has passed since */
	p->from = t->from;
	p->cell_s = t->cell_s;
	p->cells = last + 1;
	memcpy(p->answered, t->answered, sizeof(p->answered));
	memcpy(p->took_ns, t->took_ns, sizeof(p->took_ns));
	if (with_clients)
		draw_rows(s, now, p);
	return true;
}
