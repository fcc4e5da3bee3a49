/* decimal.h - whole numbers as text, for who writes millions of them. */
#ifndef DETECTORS_DECIMAL_H
#define DETECTORS_DECIMAL_H

#include <stdint.h>

enum { DECIMAL_BYTES = 21 };		/* with the end */

/* Somewhere in `out`. */
static inline const char *
decimal_text(uint64_t n, char out[DECIMAL_BYTES])
{
	char *at = &out[DECIMAL_BYTES - 1];

	*at = '\0';
	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	return at;
}

#endif
