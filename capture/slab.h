/* slab.h - records of one size, handed out and taken back without malloc on the
 * way of a packet.
 *
 * They lie side by side in blocks that grow to large pages where the system has
 * those: a packet's records are at a hundred thousand places, and the processor
 * keeps the addresses of some two thousand pages. What is given back is handed
 * out again first; nothing goes back to the system before the end. */
#ifndef CAPTURE_SLAB_H
#define CAPTURE_SLAB_H

#include <stddef.h>

enum { SLAB_RECENT = 30 };

struct slab {
	size_t record_bytes;		/* the one thing to be set; the rest 0 */
	size_t recent_count;
	void *recent[SLAB_RECENT];	/* given back, and taken again first */
	struct unused_records *unused;	/* likewise, beyond those; the first of
					 * them lists */
	size_t listed;			/* so many others */
	void *blocks;			/* linked through their first word */
	char *fresh, *end;		/* of the newest block: never handed out */
	size_t block_bytes;		/* its size */
};

/* All zeros. NULL if out of memory. */
void *slab_take(struct slab *);
/* The same for who writes all of it: of any content. */
void *slab_take_raw(struct slab *);
void slab_give(struct slab *, void *record);
/* Something else: an array of any content that is looked at here and there, in
 * large pages if it fills some. NULL if out of memory; else it is to be freed. */
void *slab_array(size_t bytes);
/* All of them, and their memory. */
void slab_release(struct slab *);

#endif
