/* memo.c - a fixed number of records found by key.
 *
 * Nearly all who ask find nothing, so a look for what is not there must cost
 * little: places, at least two to a record and filled in a row from where a key
 * hashes to, say which record is there and what its key hashes to. A miss is then
 * one cache line, and a hit that and the record's, which lies in one array behind
 * its key. A hand goes round the array to find who makes room: a
 * record that was found since it last came by gets a second chance. */
#include "detectors/memo.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "capture/fetch.h"
#include "capture/hash.h"

enum { NOBODY = UINT32_MAX };

struct place {
	uint32_t hash;		/* of its key */
	uint32_t number;	/* the record's, + 1; 0: none */
};

struct slot {
	uint64_t key;		/* 0: free */
	uint32_t next;		/* among the free */
	bool used_lately;
};

struct memo {
	size_t limit, bytes, stride, count, made;
	uint64_t evicted;
	uint32_t hand, unused;
	size_t places;		/* a power of two */
	uint64_t mix;		/* odd, and nobody's guess: no long rows */
	struct place *place;
	unsigned char *slots;	/* each a struct slot, then its record; from where
				 * a cache line begins */
	void *memory;		/* in which they lie */
};

struct memo *
memo_new(size_t limit, size_t bytes)
{
	struct memo *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	assert(limit < NOBODY / 2);
	m->limit = limit;
	m->mix = hash_key();
	m->bytes = (bytes + 15) & ~(size_t)15;
	m->stride = sizeof(struct slot) + m->bytes;
	m->unused = NOBODY;
	for (m->places = 64; m->places < 2 * limit; m->places *= 2)
		;
	m->place = calloc(m->places, sizeof(*m->place));
	/* with a cache line to spare; calloc sees to it that the product fits */
	m->memory = calloc(limit + CACHE_LINE_BYTES / sizeof(struct slot),
	    m->stride);
	if (!m->place || !m->memory) {
		memo_free(&m);
		return NULL;
	}
	m->slots = m->memory;
	m->slots += -(uintptr_t)m->memory % CACHE_LINE_BYTES;
	return m;
}

void
memo_free(struct memo **mp)
{
	struct memo *m = *mp;

	*mp = NULL;
	if (!m)
		return;
	free(m->place);
	free(m->memory);
	free(m);
}

void
memo_free_state(void *memo)
{
	struct memo *m = memo;

	memo_free(&m);
}

static struct slot *
slot_of(const struct memo *m, uint32_t i)
{
	return (struct slot *)(void *)(m->slots + i * m->stride);
}

static void *
record_of(const struct memo *m, uint32_t i)
{
	return slot_of(m, i) + 1;
}

static uint32_t
hash_of(const struct memo *m, uint64_t key)
{
	uint64_t h = key * m->mix;

	return (uint32_t)((h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static size_t
after(const struct memo *m, size_t i)
{
	return (i + 1) & (m->places - 1);
}

static size_t
home_of(const struct memo *m, uint32_t hash)
{
	return hash & (m->places - 1);
}

/* NULL: it is not there. */
static struct slot *
slot_find(const struct memo *m, uint64_t key, uint32_t hash)
{
	for (size_t i = home_of(m, hash); m->place[i].number; i = after(m, i)) {
		struct slot *s;

		if (m->place[i].hash != hash)
			continue;
		s = slot_of(m, m->place[i].number - 1);
		if (s->key == key)
			return s;
	}
	return NULL;
}

void *
memo_find(struct memo *m, uint64_t key)
{
	struct slot *s = m->count ? slot_find(m, key, hash_of(m, key)) : NULL;

	if (!s)
		return NULL;
	s->used_lately = true;
	return s + 1;
}

static void
place_put(struct memo *m, uint32_t hash, uint32_t number)
{
	size_t i = home_of(m, hash);

	while (m->place[i].number)
		i = after(m, i);
	m->place[i] = (struct place){ hash, number };
}

/* Who stands in the row behind the gap moves up to it, unless that is before
 * where its key hashes to. */
static void
place_clear(struct memo *m, uint32_t hash, uint32_t number)
{
	const size_t mask = m->places - 1;
	size_t gap = home_of(m, hash);

	while (m->place[gap].number != number)
		gap = after(m, gap);
	for (size_t i = after(m, gap); m->place[i].number; i = after(m, i)) {
		size_t home = home_of(m, m->place[i].hash);

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		m->place[gap] = m->place[i];
		gap = i;
	}
	m->place[gap].number = 0;
}

static uint32_t
number_of(const struct memo *m, const struct slot *s)
{
	return (uint32_t)((size_t)((const unsigned char *)s - m->slots) /
	    m->stride);
}

void
memo_drop(struct memo *m, uint64_t key)
{
	uint32_t hash = hash_of(m, key), i;
	struct slot *s = m->count ? slot_find(m, key, hash) : NULL;

	if (!s)
		return;
	i = number_of(m, s);
	place_clear(m, hash, i + 1);
	*s = (struct slot){ .next = m->unused };
	m->unused = i;
	m->count--;
}

/* Who may make room soon, and the front of its record. */
static void
fetch_ahead(const struct memo *m)
{
	enum { AHEAD = 4, BYTES = 4 * CACHE_LINE_BYTES };

	if (m->hand + AHEAD < m->limit)
		fetch_bytes(slot_of(m, m->hand + AHEAD),
		    m->stride < BYTES ? m->stride : BYTES);
}

static uint32_t
make_room(struct memo *m)
{
	struct slot *s;
	uint32_t gone;
	bool stays;

	do {
		gone = m->hand;
		m->hand = gone + 1 < m->limit ? gone + 1 : 0;
		s = slot_of(m, gone);
		stays = s->used_lately;
		s->used_lately = false;
	} while (stays);
	fetch_ahead(m);
	m->evicted++;
	m->count--;
	place_clear(m, hash_of(m, s->key), gone + 1);
	return gone;
}

static uint32_t
take_slot(struct memo *m)
{
	uint32_t i = m->unused;

	if (i != NOBODY) {
		m->unused = slot_of(m, i)->next;
		return i;
	}
	if (m->made < m->limit)
		return (uint32_t)m->made++;
	return make_room(m);
}

void *
memo_make(struct memo *m, uint64_t key)
{
	uint32_t hash = hash_of(m, key), i;
	struct slot *s = slot_find(m, key, hash);

	if (s) {
		s->used_lately = true;
		return s + 1;
	}
	i = take_slot(m);
	place_put(m, hash, i + 1);
	s = slot_of(m, i);
	*s = (struct slot){ .key = key };
	m->count++;
	return memset(s + 1, 0, m->bytes);
}

size_t
memo_count(const struct memo *m)
{
	return m->count;
}

const size_t *
memo_count_at(const struct memo *m)
{
	return &m->count;
}

uint64_t
memo_evicted(const struct memo *m)
{
	return m->evicted;
}

void *
memo_each(struct memo *m, size_t *cursor, uint64_t *key)
{
	while (*cursor < m->made) {
		uint32_t i = (uint32_t)(*cursor)++;

		if (!slot_of(m, i)->key)
			continue;
		if (key)
			*key = slot_of(m, i)->key;
		return record_of(m, i);
	}
	return NULL;
}
