/* memo.c - a fixed number of records found by key.
 *
 * Nearly all who ask find nothing, so a look for what is not there must cost
 * little: places, at least two to a record and filled in a row from where a key
 * hashes to, say which record is there and carry some bits of its key's hash. A
 * miss is then one cache line, and a hit that and the record's, which lies in one
 * array behind its key. A hand goes round the array to find who makes room: a
 * record that was found since it last came by gets a second chance. */
#include "detectors/memo.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "capture/hash.h"

enum { NOBODY = UINT32_MAX };
/* A place: the record's number + 1 and, above it, bits of the hash; 0: none. */
enum { NUMBER_BITS = 20, NUMBER_MASK = (1 << NUMBER_BITS) - 1 };

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
	uint32_t *place;
	unsigned char *slots;	/* each a struct slot, then its record */
};

struct memo *
memo_new(size_t limit, size_t bytes)
{
	struct memo *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	assert(limit < NUMBER_MASK);
	m->limit = limit;
	m->mix = hash_key();
	m->bytes = (bytes + 15) & ~(size_t)15;
	m->stride = sizeof(struct slot) + m->bytes;
	m->unused = NOBODY;
	for (m->places = 64; m->places < 2 * limit; m->places *= 2)
		;
	m->place = calloc(m->places, sizeof(*m->place));
	m->slots = calloc(limit, m->stride);
	if (!m->place || !m->slots)
		memo_free(&m);
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
	free(m->slots);
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

static uint64_t
hash_of(const struct memo *m, uint64_t key)
{
	uint64_t h = key * m->mix;

	return (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint32_t
tag_of(uint64_t hash)
{
	return (uint32_t)hash & ~(uint32_t)NUMBER_MASK;
}

static size_t
home_of(const struct memo *m, uint64_t hash)
{
	return (size_t)(hash >> 32) & (m->places - 1);
}

/* Where its key is, or would go. */
static uint32_t *
place_of(const struct memo *m, uint64_t key)
{
	uint64_t hash = hash_of(m, key);
	size_t i = home_of(m, hash);

	for (; m->place[i]; i = (i + 1) & (m->places - 1))
		if (tag_of(m->place[i]) == tag_of(hash) &&
		    slot_of(m, (m->place[i] & NUMBER_MASK) - 1)->key == key)
			break;
	return &m->place[i];
}

void *
memo_find(struct memo *m, uint64_t key)
{
	uint32_t place = m->count ? *place_of(m, key) : 0;

	if (!place)
		return NULL;
	slot_of(m, (place & NUMBER_MASK) - 1)->used_lately = true;
	return record_of(m, (place & NUMBER_MASK) - 1);
}

/* Who stands in the row behind the gap moves up to it, unless that is before
 * where its key hashes to. */
static void
close_gap(struct memo *m, size_t gap)
{
	const size_t mask = m->places - 1;

	for (size_t i = (gap + 1) & mask; m->place[i]; i = (i + 1) & mask) {
		const struct slot *s = slot_of(m, (m->place[i] & NUMBER_MASK) - 1);
		size_t home = home_of(m, hash_of(m, s->key));

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		m->place[gap] = m->place[i];
		gap = i;
	}
	m->place[gap] = 0;
}

void
memo_drop(struct memo *m, uint64_t key)
{
	uint32_t *place = m->count ? place_of(m, key) : NULL, i;

	if (!place || !*place)
		return;
	i = (*place & NUMBER_MASK) - 1;
	close_gap(m, (size_t)(place - m->place));
	*slot_of(m, i) = (struct slot){ .next = m->unused };
	m->unused = i;
	m->count--;
}

static uint32_t
make_room(struct memo *m)
{
	for (;; m->hand = (uint32_t)((m->hand + 1) % m->limit)) {
		struct slot *s = slot_of(m, m->hand);

		if (s->used_lately) {
			s->used_lately = false;
			continue;
		}
		m->evicted++;
		memo_drop(m, s->key);
		m->unused = slot_of(m, m->hand)->next;
		return m->hand;
	}
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
	void *found = memo_find(m, key);
	uint32_t i;

	if (found)
		return found;
	i = take_slot(m);
	*place_of(m, key) = tag_of(hash_of(m, key)) | (i + 1);
	*slot_of(m, i) = (struct slot){ .key = key };
	m->count++;
	memset(record_of(m, i), 0, m->bytes);
	return record_of(m, i);
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
