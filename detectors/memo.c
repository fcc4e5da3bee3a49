/* memo.c - a fixed number of records found by key.
 *
 * Records lie in one array, each behind what finds it, so that both come from
 * memory together, and are chained by bucket through their numbers. A
 * hand goes round the array to find who makes room: a record that was found
 * since it last came by gets a second chance. */
#include "detectors/memo.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "capture/hash.h"

enum { NOBODY = UINT32_MAX };

struct slot {
	uint64_t key;		/* 0: free */
	uint32_t next;		/* in its bucket, or among the free */
	bool used_lately;
};

struct memo {
	size_t limit, bytes, stride, count, made;
	uint64_t evicted;
	uint32_t hand, unused;
	size_t buckets;		/* a power of two */
	uint64_t mix;		/* odd, and nobody's guess: no bucket fills */
	uint32_t *bucket;
	unsigned char *slots;	/* each a struct slot, then its record */
};

struct memo *
memo_new(size_t limit, size_t bytes)
{
	struct memo *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->limit = limit;
	m->mix = hash_key();
	m->bytes = (bytes + 15) & ~(size_t)15;
	m->stride = sizeof(struct slot) + m->bytes;
	m->unused = NOBODY;
	for (m->buckets = 64; m->buckets < limit; m->buckets *= 2)
		;
	m->bucket = malloc(m->buckets * sizeof(*m->bucket));
	m->slots = calloc(limit, m->stride);
	if (!m->bucket || !m->slots) {
		memo_free(&m);
		return NULL;
	}
	for (size_t i = 0; i < m->buckets; i++)
		m->bucket[i] = NOBODY;
	return m;
}

void
memo_free(struct memo **mp)
{
	struct memo *m = *mp;

	*mp = NULL;
	if (!m)
		return;
	free(m->bucket);
	free(m->slots);
	free(m);
}

void
memo_free_state(void *memo)
{
	struct memo *m = memo;

	memo_free(&m);
}

static uint32_t *
bucket_of(struct memo *m, uint64_t key)
{
	return &m->bucket[(key * m->mix >> 32) & (m->buckets - 1)];
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

void *
memo_find(struct memo *m, uint64_t key)
{
	if (!m->count)
		return NULL;
	for (uint32_t i = *bucket_of(m, key); i != NOBODY; i = slot_of(m, i)->next) {
		if (slot_of(m, i)->key != key)
			continue;
		slot_of(m, i)->used_lately = true;
		return record_of(m, i);
	}
	return NULL;
}

void
memo_drop(struct memo *m, uint64_t key)
{
	uint32_t *link = bucket_of(m, key);

	while (*link != NOBODY && slot_of(m, *link)->key != key)
		link = &slot_of(m, *link)->next;
	if (*link == NOBODY)
		return;
	uint32_t i = *link;

	*link = slot_of(m, i)->next;
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
	uint32_t i, *bucket;

	if (found)
		return found;
	i = take_slot(m);
	bucket = bucket_of(m, key);
	*slot_of(m, i) = (struct slot){ .key = key, .next = *bucket };
	*bucket = i;
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
