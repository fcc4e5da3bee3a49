/* app_ber.h - just enough of BER (X.690, 8.1) for LDAP and Kerberos: one
 * element at a time, definite lengths, tags of one byte. */
#ifndef CAPTURE_APP_BER_H
#define CAPTURE_APP_BER_H

#include <stdbool.h>

#include "capture/bytes.h"

enum { BER_HEADER_MAX = 6 };	/* tag, 0x84, four bytes of length */

/* Read a tag and a length of at most four bytes. False: an indefinite or longer
 * length, a long tag, or the bytes ran out (bytes_ran_out(*b) says which). */
static inline bool
ber_header(struct bytes *b, uint8_t *tag, size_t *length)
{
	unsigned n;
	size_t total = 0;

	*tag = bytes_u8(b);
	*length = bytes_u8(b);
	if (bytes_ran_out(*b) || (*tag & 0x1f) == 0x1f)
		return false;
	if (*length < 0x80)
		return true;
	n = (unsigned)*length & 0x7f;
	if (n < 1 || n > 4)
		return false;
	while (n--)
		total = total << 8 | bytes_u8(b);
	*length = total;
	return !bytes_ran_out(*b);
}

/* The next element: its tag, and its value (cut short where the bytes are). */
static inline bool
ber_take(struct bytes *b, uint8_t *tag, struct bytes *value)
{
	size_t length;

	if (!ber_header(b, tag, &length))
		return false;
	*value = bytes_sub_at_most(b, length);
	return true;
}

/* A whole number of one to four bytes, with this tag (two's complement read as
 * it stands: protocol numbers here are never negative). */
static inline bool
ber_number(struct bytes *b, uint8_t want, uint32_t *out)
{
	struct bytes value;
	uint8_t tag;
	uint32_t n = 0;

	if (!ber_take(b, &tag, &value) || tag != want || !value.left ||
	    value.left > 4)
		return false;
	while (value.left)
		n = n << 8 | bytes_u8(&value);
	*out = n;
	return true;
}

#endif
