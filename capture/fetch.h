/* fetch.h - asking memory for what is needed soon. */
#ifndef CAPTURE_FETCH_H
#define CAPTURE_FETCH_H

#include <stddef.h>

enum { CACHE_LINE_BYTES = 64 };	/* of the processors that we know */

/* Have `bytes` from `at` on fetched, to be written. Nothing else comes of it, even
 * where nothing is mapped; but that costs a walk through page tables. NULL: no. */
static inline void
fetch_bytes(const void *at, size_t bytes)
{
	for (size_t n = 0; at && n < bytes; n += CACHE_LINE_BYTES)
		__builtin_prefetch((const char *)at + n, 1);
}

#endif
