/* fetch.h - asking memory for what is needed soon. */
#ifndef CAPTURE_FETCH_H
#define CAPTURE_FETCH_H

#include <stddef.h>
#include <stdint.h>

enum { CACHE_LINE_BYTES = 64 };	/* of the processors that we know */

/* Have the line at `at` fetched, to be written. Nothing else comes of it, even where
 * nothing is mapped; but that costs a walk through page tables. */
static inline void
fetch_line(const void *at)
{
	__builtin_prefetch(at, 1);
	/* gcc leaves out calls of what does nothing else, as if it did nothing; not
	 * of this */
	__asm__ volatile ("");
}

/* The same, of all lines that hold any of the `bytes` from `at` on. NULL: none. */
static inline void
fetch_bytes(const void *at, size_t bytes)
{
	const char *line = (const char *)at - (uintptr_t)at % CACHE_LINE_BYTES;

	for (; at && line < (const char *)at + bytes; line += CACHE_LINE_BYTES)
		fetch_line(line);
}

/* The same, to be read alone: of what another processor has written. */
static inline void
fetch_to_read(const void *at, size_t bytes)
{
	for (size_t n = 0; at && n < bytes; n += CACHE_LINE_BYTES) {
		__builtin_prefetch((const char *)at + n, 0);
		__asm__ volatile ("");
	}
}

#endif
