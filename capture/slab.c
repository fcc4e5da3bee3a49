/* slab.c - records of one size. With AddressSanitizer what is not handed out may
 * not be touched, so that a late reader is found as it would be with malloc. */
#include "capture/slab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "capture/fetch.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#endif

enum {
	FIRST_BYTES = 16 << 10,		/* most captures need no more */
	LARGE_PAGE_BYTES = 2 << 20,
	HEAD_BYTES = 64,		/* before the records: a cache line */
};

/* Blocks double until each is a large page. */
static void *
block_new(size_t bytes)
{
	void *block;

	if (bytes < LARGE_PAGE_BYTES)
		return aligned_alloc(HEAD_BYTES, bytes);
	if (posix_memalign(&block, LARGE_PAGE_BYTES, bytes))
		return NULL;
	(void)madvise(block, bytes, MADV_HUGEPAGE);
	return block;
}

void *
slab_array(size_t bytes)
{
	return bytes < LARGE_PAGE_BYTES ? malloc(bytes) : block_new(bytes);
}

static int
block_add(struct slab *s)
{
	size_t bytes = s->block_bytes ? s->block_bytes * 2 : FIRST_BYTES;
	char *block;

	if (bytes > LARGE_PAGE_BYTES)
		bytes = LARGE_PAGE_BYTES;
	block = block_new(bytes);
	if (!block)
		return -1;
	*(void **)(void *)block = s->blocks;
	s->blocks = block;
	s->block_bytes = bytes;
	s->fresh = block + HEAD_BYTES;
	s->end = block + bytes;
	ASAN_POISON_MEMORY_REGION(s->fresh, bytes - HEAD_BYTES);
	return 0;
}

/* The next one is written next, all of it: it is asked for now. */
void *
slab_take_raw(struct slab *s)
{
	void *record = s->unused;

	if (record) {
		ASAN_UNPOISON_MEMORY_REGION(record, s->record_bytes);
		s->unused = *(void **)record;
		fetch_bytes(s->unused, s->record_bytes);
	} else {
		if ((size_t)(s->end - s->fresh) < s->record_bytes && block_add(s))
			return NULL;
		record = s->fresh;
		s->fresh += s->record_bytes;
		fetch_bytes(s->fresh, s->record_bytes);
		ASAN_UNPOISON_MEMORY_REGION(record, s->record_bytes);
	}
	return record;
}

void *
slab_take(struct slab *s)
{
	void *record = slab_take_raw(s);

	return record ? memset(record, 0, s->record_bytes) : NULL;
}

void
slab_give(struct slab *s, void *record)
{
	*(void **)record = s->unused;
	s->unused = record;
	ASAN_POISON_MEMORY_REGION(record, s->record_bytes);
}

void
slab_release(struct slab *s)
{
	while (s->blocks) {
		void *block = s->blocks;

		s->blocks = *(void **)block;
		free(block);
	}
	*s = (struct slab){ .record_bytes = s->record_bytes };
}
