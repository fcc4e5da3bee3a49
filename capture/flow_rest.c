/* flow_rest.c - flows packed and unpacked.
 *
 * The hard part is to lose nothing, whatever a flow has in it, and yet to keep only
 * what is needed of the usual one. So what is kept (the gist) is cut to size without
 * asking whether it fits; the flow is then guessed from that, as it will be when it
 * wakes, and the words in which the guess is wrong are kept whole behind it. Most
 * have none. */
#include "capture/flow_rest.h"

#include <stdbool.h>
#include <string.h>

#define S_NS ((uint64_t)NS_PER_S)

enum { WORDS = sizeof(struct flow) / sizeof(uint64_t) };

_Static_assert(WORDS <= 64, "a bit says of each whether it was wrong");

struct gist_half {
	uint32_t isn, bytes;
	uint32_t last_data;		/* ns before the half's last, and 1; 0: none */
	uint16_t window, window_max;	/* as they were sent */
	uint16_t ip_id, ids_low, packets;
	uint16_t rttvar_us;
	uint64_t rtt;			/* from the lowest bit: RTT_BITS of
					 * srtt_us, of rtt_max_us, and in the
					 * rest how much less rtt_min_us is */
};
enum { RTT_BITS = 24 };
#define RTT_CUT ((UINT64_C(1) << RTT_BITS) - 1)

struct gist {
	struct gist_half half[2];
	uint32_t id, first_frame;	/* without their upper bits */
	uint32_t addr[2];		/* of IPv4 */
	uint32_t host[2], outcome;	/* where from book.near they are; 0: none */
	uint32_t last;			/* ns after its second */
	uint32_t earlier;		/* ns before that: of the half that was not last */
	uint32_t began;			/* ns before `established` */
	uint32_t established;		/* ns before `last` */
	uint16_t established_high;
	uint16_t datagram_max[2];
	uint16_t kind, kind_half[2];	/* in the book */
	uint16_t port;			/* the client's */
	uint16_t turns, file;
	uint8_t high;			/* upper bits: id, first_frame */
	uint8_t bits;			/* enum gist_bit */
};

enum gist_bit {
	SERVER_LAST = 1,
	PARKED = 2,			/* << side: see stream_parked */
	HEARD = 8,			/* times flow.heard; and so unheard_max */
	UNHEARD = 64, HEARD_MAX = 7, UNHEARD_MAX = 3,
};

_Static_assert(sizeof(struct gist) == REST_FIRST, "nothing but what is needed");
_Static_assert(offsetof(struct tcp_half, syns) + sizeof(uint64_t) ==
    sizeof(struct tcp_half) && offsetof(struct tcp_half, ip_id) + sizeof(uint16_t) ==
    offsetof(struct tcp_half, flags) + sizeof(uint64_t), "they lie side by side");

/* --- what flows have in common ------------------------------------------------- */

/* Where the book has these two words, and it has most; 0: where they are not, as
 * two that are 0 are. */
static uint16_t
kind_of(struct rest_book *book, uint64_t one, uint64_t two)
{
	enum { TRIES = 4 };
	uint64_t mixed = (one + two * UINT64_C(0xff51afd7ed558ccd)) *
	    UINT64_C(0x9e3779b97f4a7c15);
	unsigned first = (unsigned)((mixed ^ mixed >> 32) *
	    UINT64_C(0x9e3779b97f4a7c15) >> 48);

	for (unsigned i = first; i < first + TRIES; i++) {
		struct rest_kind *k = &book->kind[i % REST_KINDS];

		if (!(i % REST_KINDS))
			continue;
		if (!k->users) {
			k->word[0] = one;
			k->word[1] = two;
		}
		if (k->word[0] == one && k->word[1] == two)
			return (uint16_t)(i % REST_KINDS);
	}
	return 0;
}

static void
kinds_used(struct rest_book *book, const struct gist *g, uint32_t by)
{
	book->kind[g->kind].users += by;
	book->kind[g->kind_half[CLIENT]].users += by;
	book->kind[g->kind_half[SERVER]].users += by;
}

/* Records lie near the first ones, as a rule: those of the heap, or the blocks
 * beside it. And they lie at whole words. */
enum { POINTER_UNIT = 8 };
static const uint32_t pointer_range = UINT32_C(1) << 31;

static uint32_t
pointer_cut(struct rest_book *book, const void *at)
{
	for (uint32_t i = 0; at && i < 2; i++) {
		uintptr_t far;

		if (!book->near[i])
			book->near[i] = (uintptr_t)at -
			    (uintptr_t)pointer_range / 2 * POINTER_UNIT;
		far = ((uintptr_t)at - book->near[i]) / POINTER_UNIT;
		if (far < pointer_range)
			return (uint32_t)far + i * pointer_range;
	}
	return 0;
}

static void *
pointer_again(const struct rest_book *book, uint32_t cut)
{
	return cut ? (void *)(book->near[cut / pointer_range] +
	    (uintptr_t)(cut % pointer_range) * POINTER_UNIT) : NULL;
}

/* --- the gist ------------------------------------------------------------------- */

static uint32_t
v4_cut(const struct address *a)
{
	uint32_t n;

	memcpy(&n, a->octet + 12, sizeof(n));
	return n;
}

/* Windows are scaled, if it is known how much (RFC 7323, 2.3). */
static unsigned
shift_of(const struct tcp_half *h)
{
	return h->shift < SHIFT_UNKNOWN ? h->shift % 32 : 0;
}

static uint32_t
time_cut(struct instant t, struct instant base)
{
	return t.ns ? (uint32_t)((uint64_t)base.ns - (uint64_t)t.ns + 1) : 0;
}

static struct instant
before(struct instant base, uint64_t ns)
{
	return (struct instant){ (int64_t)((uint64_t)base.ns - ns) };
}

/* Flags to TTL, which the IP ID follows, and syns to mac. Both were written long
 * before: what is written in parts and read at once would have to wait. */
static uint16_t
half_kind(struct rest_book *book, const struct tcp_half *h)
{
	static const uint8_t without_id[8] = { 255, 255, 255, 255, 255, 255 };
	uint64_t one, two, kept;

	memcpy(&one, (const char *)h + offsetof(struct tcp_half, flags),
	    sizeof(one));
	memcpy(&two, (const char *)h + offsetof(struct tcp_half, syns),
	    sizeof(two));
	memcpy(&kept, without_id, sizeof(kept));
	return kind_of(book, one & kept, two);
}

static void
half_kind_again(struct tcp_half *h, const struct rest_kind *k)
{
	memcpy((char *)h + offsetof(struct tcp_half, flags), &k->word[0],
	    sizeof(k->word[0]));
	memcpy((char *)h + offsetof(struct tcp_half, syns), &k->word[1],
	    sizeof(k->word[1]));
}

static void
half_cut(struct gist_half *g, const struct tcp_half *h)
{
	unsigned shift = shift_of(h);

	g->isn = h->isn;
	g->bytes = (uint32_t)h->bytes;
	g->last_data = time_cut(h->last_data, h->last);
	g->window = (uint16_t)(h->window >> shift);
	g->window_max = (uint16_t)(h->window_max >> shift);
	g->ip_id = h->ip_id;
	g->ids_low = h->ids_low;
	g->packets = (uint16_t)h->packets;
	g->rttvar_us = (uint16_t)h->rttvar_us;
	g->rtt = (h->srtt_us & RTT_CUT) | (h->rtt_max_us & RTT_CUT) << RTT_BITS |
	    (uint64_t)(h->srtt_us - h->rtt_min_us) << 2 * RTT_BITS;
}

static void
half_again(struct tcp_half *h, const struct gist_half *g,
    const struct rest_kind *k, struct instant last)
{
	unsigned shift;

	half_kind_again(h, k);
	shift = shift_of(h);
	h->isn = g->isn;
	h->bytes = g->bytes;
	h->next = h->una = h->rtt_seq = g->isn + 1 + g->bytes +
	    (h->flags & HALF_FIN ? 1 : 0);
	h->window = (uint32_t)g->window << shift;
	h->window_max = (uint32_t)g->window_max << shift;
	h->ip_id = g->ip_id;
	h->ids_low = g->ids_low;
	if (h->ip_id)			/* else it has none */
		h->ids_high = (uint16_t)(g->packets - h->syns - g->ids_low);
	h->packets = g->packets;
	h->srtt_us = (uint32_t)(g->rtt & RTT_CUT);
	h->rttvar_us = g->rttvar_us;
	h->rtt_min_us = h->srtt_us - (uint32_t)(g->rtt >> 2 * RTT_BITS);
	h->rtt_max_us = (uint32_t)(g->rtt >> RTT_BITS & RTT_CUT);
	h->last = h->last_advance = last;
	if (g->last_data)
		h->last_data = before(last, g->last_data - UINT64_C(1));
}

/* The flags are each in one of the two fields, but for those that are the same in
 * both. */
static uint16_t
flow_kind(struct rest_book *book, const struct flow *f)
{
	uint64_t one, two;

	one = (uint64_t)f->protocol | (uint64_t)f->state << 8 |
	    (uint64_t)f->end << 16 | (uint64_t)f->app << 24 |
	    (uint64_t)(f->flags | f->app_flags) << 32;
	two = (uint64_t)f->app_name | (uint64_t)f->marks << 16 |
	    (uint64_t)f->port[SERVER] << 32 | (uint64_t)f->waiting_count << 48 |
	    (uint64_t)f->idle_class << 56;
	return kind_of(book, one, two);
}

static void
flow_kind_again(struct flow *f, const struct rest_kind *k)
{
	uint32_t flags = (uint32_t)(k->word[0] >> 32);

	f->protocol = (uint8_t)k->word[0];
	f->state = (uint8_t)(k->word[0] >> 8);
	f->end = (uint8_t)(k->word[0] >> 16);
	f->app = (uint8_t)(k->word[0] >> 24);
	f->flags = flags & ~(uint32_t)FLOW_APP_ALL;
	f->app_flags = (uint16_t)(flags & (FLOW_APP_ALL | FLOW_APP_TOLD));
	f->app_name = (uint16_t)k->word[1];
	f->marks = (uint16_t)(k->word[1] >> 16);
	f->port[SERVER] = (uint16_t)(k->word[1] >> 32);
	f->waiting_count = (uint8_t)(k->word[1] >> 48);
	f->idle_class = (uint8_t)(k->word[1] >> 56);
}

static void
cut(struct rest_book *book, const struct flow *f, uint32_t second, struct gist *g)
{
	const struct tcp_half *c = &f->half[CLIENT], *v = &f->half[SERVER];
	bool server_last = v->last.ns == f->last.ns;
	uint64_t established = (uint64_t)f->last.ns - (uint64_t)f->established.ns;

	g->bits = (uint8_t)((server_last ? SERVER_LAST : 0) |
	    (f->heard & HEARD_MAX) * HEARD |
	    (f->unheard_max & UNHEARD_MAX) * UNHEARD);
	for (int s = CLIENT; s <= SERVER; s++) {
		half_cut(&g->half[s], &f->half[s]);
		g->addr[s] = v4_cut(&f->addr[s]);
		g->host[s] = pointer_cut(book, f->host[s]);
		g->datagram_max[s] = f->datagram_max[s];
		g->kind_half[s] = half_kind(book, &f->half[s]);
		if (f->stream[s])
			g->bits |= (uint8_t)(PARKED << s);
	}
	g->kind = flow_kind(book, f);
	g->id = (uint32_t)f->id;
	g->first_frame = (uint32_t)f->first_frame;
	g->high = (uint8_t)((f->id >> 32 & 15) | (f->first_frame >> 32 & 15) << 4);
	g->outcome = pointer_cut(book, f->outcome);
	g->last = (uint32_t)((uint64_t)f->last.ns - second * S_NS);
	g->earlier = (uint32_t)((uint64_t)f->last.ns -
	    (uint64_t)(server_last ? c : v)->last.ns);
	g->established = (uint32_t)established;
	g->established_high = (uint16_t)(established >> 32);
	g->began = (uint32_t)((uint64_t)f->established.ns - (uint64_t)f->began.ns);
	g->port = f->port[CLIENT];
	g->turns = f->turns;
	g->file = (uint16_t)f->file;
}

/* By lines, as gcc's own way with large ones is slow to begin. */
static void
clear(struct flow *f)
{
	for (size_t n = 0; n < sizeof(*f); n += CACHE_LINE_BYTES)
		memset((char *)f + n, 0, CACHE_LINE_BYTES);
}

/* The flow, as far as the gist tells. */
static void
guess(const struct rest_book *book, const struct gist *g, uint32_t second,
    struct flow *f)
{
	struct tcp_half *c = &f->half[CLIENT], *v = &f->half[SERVER];
	struct instant last = { (int64_t)(second * S_NS + g->last) };
	struct instant earlier = before(last, g->earlier);

	clear(f);
	flow_kind_again(f, &book->kind[g->kind]);
	f->last = last;
	half_again(c, &g->half[CLIENT], &book->kind[g->kind_half[CLIENT]],
	    g->bits & SERVER_LAST ? earlier : last);
	half_again(v, &g->half[SERVER], &book->kind[g->kind_half[SERVER]],
	    g->bits & SERVER_LAST ? last : earlier);
	c->acked = v->next;
	v->acked = c->next;
	for (int s = CLIENT; s <= SERVER; s++) {
		f->addr[s].octet[10] = f->addr[s].octet[11] = 0xff;
		memcpy(f->addr[s].octet + 12, &g->addr[s], 4);
		f->host[s] = pointer_again(book, g->host[s]);
		f->datagram_max[s] = g->datagram_max[s];
		if (g->bits & PARKED << s)
			f->stream[s] = stream_parked(f->half[s].next);
	}
	f->port[CLIENT] = g->port;
	f->turns = g->turns;
	f->heard = g->bits / HEARD & HEARD_MAX;
	f->unheard_max = g->bits / UNHEARD & UNHEARD_MAX;
	f->file = g->file;
	f->outcome = pointer_again(book, g->outcome);
	f->established = before(last, g->established |
	    (uint64_t)g->established_high << 32);
	f->began = before(f->established, g->began);
	f->last_asked = c->last_data;
	f->last_answered = v->last_data;
	f->wait_max_ns = (int64_t)((uint64_t)v->last_data.ns -
	    (uint64_t)c->last_data.ns);
	f->id = g->id | (uint64_t)(g->high & 15) << 32;
	f->first_frame = g->first_frame | (uint64_t)(g->high >> 4) << 32;
}

/* --- where the guess is wrong ------------------------------------------------- */

static inline uint64_t
word_of(const struct flow *f, size_t i)
{
	uint64_t word;

	memcpy(&word, (const char *)f + i * sizeof(word), sizeof(word));
	return word;
}

/* Behind the gist: a set of words by number, and those words. Returns how many
 * bytes that takes. */
static size_t
correct(const struct flow *f, const struct flow *guessed, uint8_t *at)
{
	uint8_t *const begin = at;
	uint64_t wrong = 0, word;

	at += sizeof(wrong);
	for (size_t i = 0; i < WORDS; i++) {
		word = word_of(f, i);
		if (word == word_of(guessed, i))
			continue;
		wrong |= UINT64_C(1) << i;
		memcpy(at, &word, sizeof(word));
		at += sizeof(word);
	}
	memcpy(begin, &wrong, sizeof(wrong));
	return (size_t)(at - begin);
}

int
rest_pack(struct rest_book *book, const struct flow *f, uint32_t second,
    void *record)
{
	struct flow guessed;
	struct gist g;
	size_t more;
	int class = 0;

	cut(book, f, second, &g);
	guess(book, &g, second, &guessed);
	guessed.number = f->number;
	guessed.client_at = f->client_at;
	guessed.row_at = f->row_at;
	if (guessed.id != f->id)
		return -1;		/* rest_id asks the gist alone */
	if (memcmp(f, &guessed, sizeof(*f)) != 0) {
		more = correct(f, &guessed, (uint8_t *)record + sizeof(g));
		class = (int)((more + REST_UNIT - 1) / REST_UNIT);
		if (class >= REST_CLASSES)
			return -1;
	}
	kinds_used(book, &g, 1);
	memcpy(record, &g, sizeof(g));
	return class;
}

void
rest_unpack(struct rest_book *book, const void *record, unsigned class,
    uint32_t second, struct flow *f)
{
	const struct gist *g = record;
	const uint8_t *at = (const uint8_t *)record + sizeof(*g);
	uint64_t wrong = 0;

	guess(book, g, second, f);
	kinds_used(book, g, UINT32_MAX);
	if (class)
		memcpy(&wrong, at, sizeof(wrong));
	for (; wrong; wrong &= wrong - 1) {
		at += sizeof(wrong);
		memcpy((char *)f + (size_t)__builtin_ctzll(wrong) * sizeof(wrong),
		    at, sizeof(wrong));
	}
}

uint64_t
rest_id(const void *record)
{
	const struct gist *g = record;

	return g->id | (uint64_t)(g->high & 15) << 32;
}
