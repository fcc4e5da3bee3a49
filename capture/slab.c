/* slab.c - records of one size. With AddressSanitizer what is not handed out may
 * not be touched, so that a late reader is found as it would be with malloc. */
#include "capture/slab.h"

#include <pthread.h>
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
	LARGE_PAGE_BYTES = 2 << 20,
	HEAD_BYTES = CACHE_LINE_BYTES,	/* of a page, and of a block */
	FIRST_BYTES = 16 << 10,		/* a slab's first block: most captures
					 * need no more; the next ones double */
	/* the largest: eight fill a page */
	BLOCK_BYTES = (LARGE_PAGE_BYTES - HEAD_BYTES) / 8 & -HEAD_BYTES,
};

/* --- blocks ----------------------------------------------------------------------- */

/* Blocks are cut from large pages, those of all slabs from the same: so a small
 * slab lies in one as well, and none has more of them than it fills. A page stands
 * at a multiple of its size, which is how a block finds it. */
struct page {
	size_t cut;			/* bytes, this head among them */
	size_t blocks;			/* in use */
};

static struct {
	pthread_mutex_t lock;
	struct page *page;		/* blocks are cut from this one; NULL: none */
} current = { PTHREAD_MUTEX_INITIALIZER, NULL };

static void *
large_pages(size_t bytes)
{
	void *at;

	if (posix_memalign(&at, LARGE_PAGE_BYTES, bytes))
		return NULL;
	(void)madvise(at, bytes, MADV_HUGEPAGE);
	return at;
}

static struct page *
page_new(void)
{
	struct page *p = large_pages(LARGE_PAGE_BYTES);

	if (p)
		*p = (struct page){ HEAD_BYTES, 0 };
	return p;
}

/* As many bytes as asked for, or those that the page has left, `least` at least.
 * NULL: out of memory. */
static void *
block_cut(size_t *bytes, size_t least)
{
	struct page *p;
	char *block = NULL;

	pthread_mutex_lock(&current.lock);
	p = current.page;
	if (!p || LARGE_PAGE_BYTES - p->cut < least)
		p = current.page = page_new();
	if (p) {
		if (*bytes > LARGE_PAGE_BYTES - p->cut)
			*bytes = LARGE_PAGE_BYTES - p->cut;
		block = (char *)p + p->cut;
		p->cut += *bytes;
		p->blocks++;
	}
	pthread_mutex_unlock(&current.lock);
	return block;
}

static void
block_give(void *block)
{
	struct page *p = (struct page *)((uintptr_t)block &
	    ~(uintptr_t)(LARGE_PAGE_BYTES - 1));

	pthread_mutex_lock(&current.lock);
	if (--p->blocks == 0) {
		if (current.page == p)
			current.page = NULL;
		free(p);
	}
	pthread_mutex_unlock(&current.lock);
}

void *
slab_array(size_t bytes)
{
	return bytes < LARGE_PAGE_BYTES ? aligned_alloc(HEAD_BYTES, bytes) :
	    large_pages(bytes);
}

/* --- records ---------------------------------------------------------------------- */

/* Out of the way of those who find room. */
static __attribute__((noinline)) int
block_add(struct slab *s)
{
	size_t bytes = s->block_bytes ? s->block_bytes * 2 : FIRST_BYTES;
	char *block;

	if (bytes > BLOCK_BYTES)
		bytes = BLOCK_BYTES;
	s->block_bytes = bytes;
	block = block_cut(&bytes, HEAD_BYTES + s->record_bytes);
	if (!block)
		return -1;
	*(void **)(void *)block = s->blocks;
	s->blocks = block;
	s->fresh = block + HEAD_BYTES;
	s->end = block + bytes;
	ASAN_POISON_MEMORY_REGION(s->fresh, bytes - HEAD_BYTES);
	return 0;
}

/* What was given back beyond the recent ones, among which most stay that come and
 * go. Were each linked to the next, no more than one could be known ahead; so one
 * lists as many others as it has room for, and is handed out itself after them.
 * Those behind the first one are full. */
struct unused_records {
	struct unused_records *next;
	void *record[];
};

static size_t
list_room(const struct slab *s)
{
	return (s->record_bytes - sizeof(struct unused_records)) / sizeof(void *);
}

/* Who takes a record writes all of it, which is more than what waits for memory in
 * the processor holds: it is fetched so many records before. */
enum { AHEAD = 4 };

static void
fetch_listed(const struct slab *s)
{
	const struct unused_records *u = s->unused;

	if (s->listed > AHEAD)
		fetch_bytes(u->record[s->listed - 1 - AHEAD], s->record_bytes);
	else if (s->listed == AHEAD)
		fetch_bytes(u->next, s->record_bytes);
}

static void *
take_unused(struct slab *s)
{
	struct unused_records *u = s->unused;
	void *record = u;

	ASAN_UNPOISON_MEMORY_REGION(u, s->record_bytes);
	if (s->listed) {
		fetch_listed(s);
		record = u->record[--s->listed];
		ASAN_POISON_MEMORY_REGION(u, s->record_bytes);
		ASAN_UNPOISON_MEMORY_REGION(record, s->record_bytes);
	} else {
		s->unused = u->next;
		s->listed = s->unused ? list_room(s) : 0;
	}
	return record;
}

void
slab_give(struct slab *s, void *record)
{
	struct unused_records *u = s->unused;

	if (s->recent_count < SLAB_RECENT) {
		s->recent[s->recent_count++] = record;
	} else if (u && s->listed < list_room(s)) {
		ASAN_UNPOISON_MEMORY_REGION(u, s->record_bytes);
		u->record[s->listed++] = record;
		ASAN_POISON_MEMORY_REGION(u, s->record_bytes);
	} else {
		s->unused = record;
		s->unused->next = u;
		s->listed = 0;
	}
	ASAN_POISON_MEMORY_REGION(record, s->record_bytes);
}

void *
slab_take_raw(struct slab *s)
{
	void *record;

	if (s->recent_count) {
		record = s->recent[--s->recent_count];
		ASAN_UNPOISON_MEMORY_REGION(record, s->record_bytes);
		return record;
	}
	if (s->unused)
		return take_unused(s);
	if ((size_t)(s->end - s->fresh) < s->record_bytes && block_add(s))
		return NULL;
	record = s->fresh;
	s->fresh += s->record_bytes;
	if ((size_t)(s->end - s->fresh) > AHEAD * s->record_bytes)
		fetch_bytes(s->fresh + (AHEAD - 1) * s->record_bytes,
		    s->record_bytes);
	ASAN_UNPOISON_MEMORY_REGION(record, s->record_bytes);
	return record;
}

void *
slab_take(struct slab *s)
{
	void *record = slab_take_raw(s);

	return record ? memset(record, 0, s->record_bytes) : NULL;
}

void
slab_release(struct slab *s)
{
	while (s->blocks) {
		void *block = s->blocks;

		s->blocks = *(void **)block;
		block_give(block);
	}
	*s = (struct slab){ .record_bytes = s->record_bytes };
}
