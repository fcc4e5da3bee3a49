/* toeplitz.c - the receive-side-scaling hash (Microsoft, "RSS Hashing
 * Functions"). */
#include "capture/toeplitz.h"

#include <string.h>

const uint8_t toeplitz_published_key[TOEPLITZ_KEY_BYTES] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d,
	0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
	0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b,
	0xbe, 0xac, 0x01, 0xfa,
};

size_t
toeplitz_input(const struct address *src, const struct address *dst,
    uint16_t sport, uint16_t dport, uint8_t out[TOEPLITZ_INPUT_BYTES])
{
	bool v4 = address_is_v4(src);
	size_t n = v4 ? 4 : 16;

	memcpy(out, src->octet + (v4 ? 12 : 0), n);
	memcpy(out + n, dst->octet + (v4 ? 12 : 0), n);
	out[2 * n] = (uint8_t)(sport >> 8);
	out[2 * n + 1] = (uint8_t)sport;
	out[2 * n + 2] = (uint8_t)(dport >> 8);
	out[2 * n + 3] = (uint8_t)dport;
	return 2 * n + 4;
}

uint32_t
toeplitz_hash(const uint8_t key[TOEPLITZ_KEY_BYTES], const uint8_t *input,
    size_t bytes)
{
	uint32_t window = (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 |
	    (uint32_t)key[2] << 8 | key[3];
	uint32_t hash = 0;

	for (size_t i = 0; i < bytes; i++) {
		for (int bit = 7; bit >= 0; bit--) {
			if (input[i] >> bit & 1)
				hash ^= window;
			window = window << 1 | (key[i + 4] >> bit & 1U);
		}
	}
	return hash;
}
