/* bytes.h - a read cursor over bytes we neither own nor trust.
 *
 * Reading past the end returns zero, and from then on the cursor has run out, so
 * a parser reads a whole header straight down, as the RFC draws it, and asks once
 * (bytes_ran_out). An inner length becomes a cursor of its own (bytes_sub), so
 * that an inner parser cannot read into what follows it.
 *
 * It is two words, so that it is passed in registers: what is passed in memory
 * just after it was written, in parts, waits for all that was written before. */
#ifndef CAPTURE_BYTES_H
#define CAPTURE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *at;	/* borrowed; with left == 0 it may be NULL, or */
	size_t left;		/* BYTES_RAN_OUT */
};

/* Where nothing can lie. */
#define BYTES_RAN_OUT ((const uint8_t *)1)

static inline struct bytes
bytes_of(const void *p, size_t n)
{
	return (struct bytes){ .at = p, .left = n };
}

/* Did some read want more than there was? For good. */
static inline bool
bytes_ran_out(struct bytes b)
{
	return b.at == BYTES_RAN_OUT;
}

/* As if such a read had been tried. */
static inline void
bytes_fail(struct bytes *b)
{
	*b = bytes_of(BYTES_RAN_OUT, 0);
}

/* The next `n` bytes, or NULL when there are fewer, or it has run out. */
static inline const uint8_t *
bytes_take(struct bytes *b, size_t n)
{
	const uint8_t *p = b->at;

	if (n > b->left || (!n && bytes_ran_out(*b))) {
		bytes_fail(b);
		return NULL;
	}
	if (n) {
		b->at += n;
		b->left -= n;
	}
	return p;
}

static inline void
bytes_skip(struct bytes *b, size_t n)
{
	(void)bytes_take(b, n);
}

static inline uint8_t
bytes_u8(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 1);

	return p ? p[0] : 0;
}

static inline uint16_t
bytes_be16(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 2);

	if (!p)
		return 0;
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint16_t
bytes_le16(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 2);

	if (!p)
		return 0;
	return (uint16_t)(p[1] << 8 | p[0]);
}

static inline uint32_t
bytes_be32(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 4);

	if (!p)
		return 0;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static inline uint32_t
bytes_le32(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 4);

	if (!p)
		return 0;
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[1] << 8 | p[0];
}

static inline uint64_t
bytes_be64(struct bytes *b)
{
	uint64_t high = bytes_be32(b);

	return high << 32 | bytes_be32(b);
}

static inline uint64_t
bytes_le64(struct bytes *b)
{
	uint64_t low = bytes_le32(b);

	return (uint64_t)bytes_le32(b) << 32 | low;
}

/* The next `n` bytes as a cursor of their own. If there are fewer, both the
 * child and the parent have run out. */
static inline struct bytes
bytes_sub(struct bytes *b, size_t n)
{
	struct bytes child = bytes_of(b->at, n);

	if (!bytes_take(b, n))
		child = *b;
	return child;
}

/* As bytes_sub, but a short rest is handed over as it is: for what a snap
 * length may have cut. Never runs out. */
static inline struct bytes
bytes_sub_at_most(struct bytes *b, size_t n)
{
	return bytes_sub(b, n < b->left ? n : b->left);
}

/* How many bytes there are before the first that is `octet`; all that are left
 * where none is. */
static inline size_t
bytes_before(struct bytes b, uint8_t octet)
{
	const uint8_t *found = b.left ? memchr(b.at, octet, b.left) : NULL;

	return found ? (size_t)(found - b.at) : b.left;
}

#endif
