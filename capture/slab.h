/* slab.h - records of one size, handed out and taken back without malloc on the
 * way of a packet.
 *
 * They lie side by side in blocks, and those of all slabs in large pages where the
 * system has such: a packet's records are at a hundred thousand places, and the
 * processor keeps the addresses of some two thousand pages. What is given back is
 * handed out again first; nothing goes back to the system before the slab is
 * released. A slab is one thread's at a time; several may have one each. */
#ifndef CAPTURE_SLAB_H
#define CAPTURE_SLAB_H

#include <stddef.h>

enum { SLAB_RECENT = 30 };

struct slab {
	size_t record_bytes;		/* below 16 KiB; all else is 0 at first */
	size_t recent_count;
	void *recent[SLAB_RECENT];	/* given back, and taken again first */
	struct unused_records *unused;	/* likewise, beyond those; the first of
					 * them lists */
	size_t listed;			/* so many others */
	void *blocks;			/* linked through their first word */
	char *fresh, *end;		/* of the newest block: never handed out */
	size_t block_bytes;		/* as large as it was to be */
};

/* All zeros. NULL if out of memory. */
void *slab_take(struct slab *);
/* The same for who writes all of it: of any content. */
void *slab_take_raw(struct slab *);
void slab_give(struct slab *, void *record);
/* Something else: an array of any content that is looked at here and there, in
 * large pages if it fills some, from where a cache line begins. NULL if out of
 * memory; else it is to be freed. */
void *slab_array(size_t bytes);
/* All of them, and their memory. */
void slab_release(struct slab *);

#endif
