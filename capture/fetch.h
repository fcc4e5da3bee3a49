/* fetch.h - asking memory for what is needed soon. */
#ifndef CAPTURE_FETCH_H
#define CAPTURE_FETCH_H

#include <stddef.h>

enum { CACHE_LINE_BYTES = 64 };	/* of the processors that we know */

#define FETCH_LINE(line, n)						\
	case n:								\
		__builtin_prefetch((line) + ((n) - 1) * CACHE_LINE_BYTES, 1); \
		__attribute__((fallthrough));

/* Have `bytes` from `at` on fetched, to be written, eight cache lines at most.
 * Nothing else comes of it, even where nothing is mapped; but that costs a walk
 * through page tables. NULL: no. Without a loop, which would take longer. */
static inline void
fetch_bytes(const void *at, size_t bytes)
{
	const char *line = at;
	size_t lines = (bytes + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES;

	switch (!at ? 0 : lines < 8 ? lines : 8) {
	FETCH_LINE(line, 8) FETCH_LINE(line, 7) FETCH_LINE(line, 6)
	FETCH_LINE(line, 5) FETCH_LINE(line, 4) FETCH_LINE(line, 3)
	FETCH_LINE(line, 2) FETCH_LINE(line, 1)
	default:
		break;
	}
}

#endif
