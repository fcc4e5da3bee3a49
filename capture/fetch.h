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

/* The same; NULL: none. */
static inline void
fetch_first(const void *at)
{
	if (at)
		fetch_line(at);
}

/* The same, of so many lines from where one begins, 8 at most. The compiler makes
 * loops of loops, however short, and this is for each packet. */
static inline void
fetch_lines(const void *at, size_t lines)
{
	const char *line = at;

	if (!at)
		return;
	switch (lines < 8 ? lines : 8) {
	case 8:	fetch_line(line + 7 * CACHE_LINE_BYTES); /* fall through */
	case 7:	fetch_line(line + 6 * CACHE_LINE_BYTES); /* fall through */
	case 6:	fetch_line(line + 5 * CACHE_LINE_BYTES); /* fall through */
	case 5:	fetch_line(line + 4 * CACHE_LINE_BYTES); /* fall through */
	case 4:	fetch_line(line + 3 * CACHE_LINE_BYTES); /* fall through */
	case 3:	fetch_line(line + 2 * CACHE_LINE_BYTES); /* fall through */
	case 2:	fetch_line(line + CACHE_LINE_BYTES);	/* fall through */
	case 1:	fetch_line(line);
	}
}

/* The same, of the lines that hold the `bytes` from `at` on (of more than 512: the
 * first eight and the last). How many those are depends on where it begins, which
 * nobody foretells, so the last one may be asked for twice. NULL: none. */
static inline void
fetch_bytes(const void *at, size_t bytes)
{
	if (!at)
		return;
	fetch_lines(at, (bytes + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES);
	fetch_line((const char *)at + bytes - 1);
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
