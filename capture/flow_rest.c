/* flow_rest.c - flows packed and unpacked.
 *
 * A flow is taken as 64 words. First what follows from the rest of it is taken off
 * (foretell), which leaves most words zero or small; then each is written in as many
 * bytes as it has, and how many those are, four bits a word, behind them. Words that
 * few flows have are written whole where they are not zero. Sums wrap, so that what
 * was taken off can be added again whatever it was.
 *
 * The hard part is to be the exact opposite twice: foretell undoes itself last
 * step first, and each step uses only what is not yet changed, or again restored. */
#include "capture/flow_rest.h"

#include <stdbool.h>
#include <string.h>

#define S_NS ((uint64_t)NS_PER_S)

/* --- what can be expected ---------------------------------------------------- */

/* A time after which `base` came, or 0, which says that there is none; both are
 * small, and told apart by the one that is added. A time right behind its base
 * looks like none: such a flow does not rest (false). */
static bool
time_off(struct instant *t, struct instant base)
{
	if (!t->ns)
		return true;
	t->ns = (int64_t)((uint64_t)base.ns - (uint64_t)t->ns + 1);
	return t->ns != 0;
}

static void
time_on(struct instant *t, struct instant base)
{
	if (t->ns)
		t->ns = (int64_t)((uint64_t)base.ns - (uint64_t)t->ns + 1);
}

/* IPv4 addresses lie behind 80 zeros and 16 ones: their own bits come first. */
static void
address_turn(struct address *a)
{
	uint64_t half;

	memcpy(&half, a->octet + 8, sizeof(half));
	half = half << 32 | half >> 32;
	memcpy(a->octet + 8, &half, sizeof(half));
}

static void
address_mask(struct address *a)
{
	a->octet[10] ^= 0xff;
	a->octet[11] ^= 0xff;
}

/* A stream of which nothing is kept is its next number (stream.c). */
static struct stream *
stream_differs(const struct stream *s, uint32_t next)
{
	return (struct stream *)((uintptr_t)s ^ ((uintptr_t)next << 1 | 1));
}

/* Records lie near each other, as a rule, and at whole words. What is at the book
 * is no record, so that there is always none. */
static void *
pointer_off(const struct rest_book *book, const void *at)
{
	uintptr_t far = (uintptr_t)at - (uintptr_t)book;

	return (void *)(at ? far >> 3 | far << (sizeof(far) * 8 - 3) : 0);
}

static void *
pointer_on(const struct rest_book *book, const void *packed)
{
	uintptr_t far = (uintptr_t)packed;

	far = far << 3 | far >> (sizeof(far) * 8 - 3);
	return packed ? (void *)(far + (uintptr_t)book) : NULL;
}

static void
swap(uint32_t *a, uint32_t *b)
{
	uint32_t keep = *a;

	*a = *b;
	*b = keep;
}

/* Small ones, below zero too, become small ones above. */
static uint32_t
folded(uint32_t n)
{
	return n << 1 ^ (n >> 31 ? UINT32_MAX : 0);
}

static uint32_t
unfolded(uint32_t n)
{
	return n >> 1 ^ (n & 1 ? UINT32_MAX : 0);
}

/* Two small ones in a word: the low halves of both, then the high ones. Done twice
 * it is undone. */
static void
zip(uint32_t *a, uint32_t *b)
{
	uint32_t low = (*a & 0xffff) | *b << 16;
	uint32_t high = *a >> 16 | (*b & 0xffff0000);

	*a = low;
	*b = high;
}

enum { MAC_BYTES = 6 };

static void
mac_set(uint8_t mac[MAC_BYTES], uint64_t n)
{
	mac[0] = (uint8_t)(n >> 40);
	mac[1] = (uint8_t)(n >> 32);
	mac[2] = (uint8_t)(n >> 24);
	mac[3] = (uint8_t)(n >> 16);
	mac[4] = (uint8_t)(n >> 8);
	mac[5] = (uint8_t)n;
}

/* Where the book has it, its place there. */
static void
mac_off(struct rest_book *book, struct tcp_half *h)
{
	uint64_t n = mac_number(h->mac);
	unsigned i = (unsigned)((n ^ n >> 8 ^ n >> 24) % REST_MACS);

	if (!n)
		return;
	if (!book->mac[i])
		book->mac[i] = n;
	if (book->mac[i] != n)
		return;
	mac_set(h->mac, (uint64_t)i << 40);
	h->mac_is_noted = true;
}

static void
mac_on(const struct rest_book *book, struct tcp_half *h)
{
	if (!h->mac_is_noted)
		return;
	h->mac_is_noted = false;
	mac_set(h->mac, book->mac[h->mac[0]]);
}

static bool
half_off(struct tcp_half *h, const struct tcp_half *peer)
{
	bool sound;

	h->acked -= peer->next;
	h->una -= h->next;
	h->rtt_seq -= h->next;
	h->window_max -= h->window;
	h->rttvar_us = folded(h->rttvar_us - h->srtt_us / 2);
	h->rtt_min_us = h->srtt_us - h->rtt_min_us;
	h->rtt_max_us -= h->srtt_us;
	zip(&h->rttvar_us, &h->rtt_min_us);
	swap(&h->srtt_us, &h->una_sends);	/* low half of its word */
	sound = time_off(&h->last_data, h->last);
	sound &= time_off(&h->last_advance, h->last);
	sound &= time_off(&h->una_since, h->last);
	sound &= time_off(&h->rtt_since, h->last);
	return sound;
}

static void
half_on(struct tcp_half *h, const struct tcp_half *peer)
{
	time_on(&h->rtt_since, h->last);
	time_on(&h->una_since, h->last);
	time_on(&h->last_advance, h->last);
	time_on(&h->last_data, h->last);
	swap(&h->srtt_us, &h->una_sends);
	zip(&h->rttvar_us, &h->rtt_min_us);
	h->rtt_max_us += h->srtt_us;
	h->rtt_min_us = h->srtt_us - h->rtt_min_us;
	h->rttvar_us = unfolded(h->rttvar_us) + h->srtt_us / 2;
	h->window_max += h->window;
	h->rtt_seq += h->next;
	h->una += h->next;
	h->acked += peer->next;
}

static uint32_t
next_of(const struct tcp_half *h)
{
	return h->isn + 1 + (uint32_t)h->bytes;
}

/* False: it cannot be undone. */
static bool
foretell(struct rest_book *book, struct flow *f, uint32_t second)
{
	struct tcp_half *c = &f->half[CLIENT], *v = &f->half[SERVER];
	bool sound;

	f->number = 0;
	f->idle_class ^= IDLE_ESTABLISHED;
	f->outcome = pointer_off(book, f->outcome);
	mac_off(book, c);
	mac_off(book, v);
	f->wait_max_ns = (int64_t)((uint64_t)f->wait_max_ns -
	    (uint64_t)f->last_answered.ns + (uint64_t)f->last_asked.ns);
	sound = time_off(&f->last_asked, c->last_data);
	sound &= time_off(&f->last_answered, v->last_data);
	for (int s = CLIENT; s <= SERVER; s++) {
		f->host[s] = pointer_off(book, f->host[s]);
		f->stream[s] = stream_differs(f->stream[s], f->half[s].next);
		address_mask(&f->addr[s]);
		address_turn(&f->addr[s]);
	}
	sound &= half_off(c, v);
	sound &= half_off(v, c);
	c->next -= next_of(c);
	v->next -= next_of(v);
	sound &= time_off(&c->last, f->last);
	sound &= time_off(&v->last, f->last);
	sound &= time_off(&f->began, f->established);
	sound &= time_off(&f->established, f->last);
	f->last.ns = (int64_t)((uint64_t)f->last.ns - second * S_NS);
	return sound;
}

static void
restore(const struct rest_book *book, struct flow *f, uint32_t second)
{
	struct tcp_half *c = &f->half[CLIENT], *v = &f->half[SERVER];

	f->last.ns = (int64_t)((uint64_t)f->last.ns + second * S_NS);
	time_on(&f->established, f->last);
	time_on(&f->began, f->established);
	time_on(&v->last, f->last);
	time_on(&c->last, f->last);
	v->next += next_of(v);
	c->next += next_of(c);
	half_on(v, c);
	half_on(c, v);
	for (int s = CLIENT; s <= SERVER; s++) {
		address_turn(&f->addr[s]);
		address_mask(&f->addr[s]);
		f->stream[s] = stream_differs(f->stream[s], f->half[s].next);
		f->host[s] = pointer_on(book, f->host[s]);
	}
	time_on(&f->last_answered, v->last_data);
	time_on(&f->last_asked, c->last_data);
	f->wait_max_ns = (int64_t)((uint64_t)f->wait_max_ns +
	    (uint64_t)f->last_answered.ns - (uint64_t)f->last_asked.ns);
	mac_on(book, v);
	mac_on(book, c);
	f->outcome = pointer_on(book, f->outcome);
	f->idle_class ^= IDLE_ESTABLISHED;
}

/* --- words -------------------------------------------------------------------- */

/* The words that most flows at rest have something in: the id, which is asked for
 * alone, first. In pairs, as their lengths are kept. And those that few have. */
#define WORD(field) (offsetof(struct flow, field) / sizeof(uint64_t))
#define BOTH(PAIR, field)						\
	PAIR(WORD(half[CLIENT].field), WORD(half[SERVER].field))
#define OFTEN_PAIRS(PAIR)						\
	PAIR(WORD(id), WORD(port))					\
	PAIR(WORD(addr[CLIENT].octet[8]), WORD(addr[SERVER].octet[8]))	\
	PAIR(WORD(protocol), WORD(app_name))				\
	BOTH(PAIR, isn)	BOTH(PAIR, window)			\
	BOTH(PAIR, flags)	BOTH(PAIR, ids_low)			\
	BOTH(PAIR, packets)	BOTH(PAIR, bytes)			\
	BOTH(PAIR, last)	BOTH(PAIR, last_data)			\
	BOTH(PAIR, last_advance) BOTH(PAIR, una_sends)		\
	BOTH(PAIR, rttvar_us)	BOTH(PAIR, rtt_max_us)		\
	BOTH(PAIR, syns)						\
	PAIR(WORD(host[CLIENT]), WORD(host[SERVER]))			\
	PAIR(WORD(last), WORD(outcome))					\
	PAIR(WORD(last_asked), WORD(last_answered))			\
	PAIR(WORD(unheard_max), WORD(began))				\
	PAIR(WORD(established), WORD(first_frame))

#define BOTH_ALONE(ONE, field)						\
	ONE(WORD(half[CLIENT].field))	ONE(WORD(half[SERVER].field))
#define SELDOM_WORDS(ONE)						\
	ONE(WORD(addr[CLIENT]))	ONE(WORD(addr[SERVER]))	ONE(WORD(file))	\
	BOTH_ALONE(ONE, acked)	BOTH_ALONE(ONE, retransmissions)	\
	BOTH_ALONE(ONE, zero_windows) BOTH_ALONE(ONE, una_since)	\
	BOTH_ALONE(ONE, rtt_since)					\
	ONE(WORD(stream[CLIENT])) ONE(WORD(stream[SERVER]))		\
	ONE(WORD(waiting))	ONE(WORD(waiting_last))	ONE(WORD(notes)) \
	ONE(WORD(app_state))	ONE(WORD(wait_max_ns))	ONE(WORD(watch))

/* Behind the words: the lengths of the frequent ones, and which of the others are
 * there, whole. */
#define COUNT_PAIR(one, two) +1
#define COUNT_ONE(one) +1
enum {
	PAIRS = 0 OFTEN_PAIRS(COUNT_PAIR), SELDOM = 0 SELDOM_WORDS(COUNT_ONE),
	PADDING = 1,			/* the flow's last word is none of its */
};

struct lengths {
	uint8_t pair[PAIRS];
	uint8_t present[3];
};

_Static_assert(2 * PAIRS + SELDOM + PADDING == sizeof(struct flow) / 8, "all of it");
_Static_assert(WORD(first_frame) == sizeof(struct flow) / 8 - 1 - PADDING, "padding");
_Static_assert(SELDOM <= 24, "they have a bit each");
_Static_assert(sizeof(struct flow) + sizeof(struct lengths) <= REST_ROOM,
    "any flow has room");

static inline uint64_t
word_of(const struct flow *f, size_t i)
{
	uint64_t word;

	memcpy(&word, (const char *)f + i * sizeof(word), sizeof(word));
	return word;
}

static inline void
word_set(struct flow *f, size_t i, uint64_t word)
{
	memcpy((char *)f + i * sizeof(word), &word, sizeof(word));
}

static inline unsigned
length_of(uint64_t word)
{
	unsigned highest = 63 ^ (unsigned)__builtin_clzll(word | 1);

	return (highest + 8) / 8 - !word;
}

static inline uint8_t *
pair_pack(uint64_t one, uint64_t two, uint8_t *at, uint8_t *lengths)
{
	unsigned a = length_of(one), b = length_of(two);

	memcpy(at, &one, sizeof(one));
	memcpy(at + a, &two, sizeof(two));
	*lengths = (uint8_t)(a | b << 4);
	return at + a + b;
}

static inline uint8_t *
seldom_pack(const struct flow *f, uint8_t *at, uint8_t present[3])
{
	uint32_t set = 0, bit = 1;
	uint64_t word;

#define PACK(one)							\
	word = word_of(f, one);						\
	if (word) {							\
		set |= bit;						\
		memcpy(at, &word, sizeof(word));			\
		at += sizeof(word);					\
	}								\
	bit <<= 1;
	SELDOM_WORDS(PACK)
#undef PACK
	present[0] = (uint8_t)set;
	present[1] = (uint8_t)(set >> 8);
	present[2] = (uint8_t)(set >> 16);
	return at;
}

int
rest_pack(struct rest_book *book, const struct flow *from, uint32_t second,
    void *record)
{
	struct flow f = *from;
	uint8_t *at = record;
	struct lengths l;
	uint8_t *pair = l.pair;
	size_t used;
	int class;

	if (!foretell(book, &f, second))
		return -1;
#define PACK(one, two)							\
	at = pair_pack(word_of(&f, one), word_of(&f, two), at, pair++);
	OFTEN_PAIRS(PACK)
#undef PACK
	at = seldom_pack(&f, at, l.present);
	used = (size_t)(at - (uint8_t *)record) + sizeof(l);
	class = used <= REST_FIRST ? 0 :
	    (int)((used - REST_FIRST + REST_UNIT - 1) / REST_UNIT);
	if (class >= REST_CLASSES)
		return -1;
	memcpy((uint8_t *)record + rest_bytes((unsigned)class) - sizeof(l), &l,
	    sizeof(l));
	return class;
}

static const struct lengths *
lengths_of(const void *record, unsigned class)
{
	/* a struct of octets, which lie anywhere */
	return (const struct lengths *)((const uint8_t *)record +
	    rest_bytes(class) - sizeof(struct lengths));
}

/* The `n` first bytes at `at`; some more are there, if only the lengths. */
static uint64_t
word_at(const uint8_t *at, unsigned n)
{
	static const uint64_t mask[16] = { 0, 0xff, 0xffff, 0xffffff, 0xffffffff,
		0xffffffffff, 0xffffffffffff, 0xffffffffffffff, UINT64_MAX };
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word & mask[n];
}

static inline const uint8_t *
pair_unpack(struct flow *f, size_t one, size_t two, const uint8_t *at,
    unsigned lengths)
{
	unsigned a = lengths & 15, b = lengths >> 4;

	word_set(f, one, word_at(at, a));
	word_set(f, two, word_at(at + a, b));
	return at + a + b;
}

static inline void
seldom_unpack(struct flow *f, const uint8_t *at, const uint8_t present[3])
{
	uint32_t set = present[0] | (uint32_t)present[1] << 8 |
	    (uint32_t)present[2] << 16;

#define UNPACK(one)							\
	word_set(f, one, 0);						\
	if (set & 1) {							\
		memcpy((char *)f + (one) * 8, at, 8);			\
		at += 8;						\
	}								\
	set >>= 1;
	SELDOM_WORDS(UNPACK)
#undef UNPACK
}

void
rest_unpack(const struct rest_book *book, const void *record, unsigned class,
    uint32_t second, struct flow *f)
{
	const struct lengths *l = lengths_of(record, class);
	const uint8_t *at = record, *pair = l->pair;

#define UNPACK(one, two)						\
	at = pair_unpack(f, one, two, at, *pair++);
	OFTEN_PAIRS(UNPACK)
#undef UNPACK
	seldom_unpack(f, at, l->present);
	word_set(f, sizeof(*f) / sizeof(uint64_t) - PADDING, 0);
	restore(book, f, second);
}

uint64_t
rest_id(const void *record, unsigned class)
{
	return word_at(record, lengths_of(record, class)->pair[0] & 15U);
}
