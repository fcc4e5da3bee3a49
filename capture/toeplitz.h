/* toeplitz.h - the receive-side-scaling hash, and linear algebra over its
 * inputs. */
#ifndef CAPTURE_TOEPLITZ_H
#define CAPTURE_TOEPLITZ_H

#include <stddef.h>
#include <stdint.h>

#include "capture/packet.h"

enum { TOEPLITZ_KEY_BYTES = 40, TOEPLITZ_INPUT_BYTES = 36 };

/* The key of Microsoft's verification page ("Verifying the RSS Hash
 * Calculation"), which many drivers use as it is. */
extern const uint8_t toeplitz_published_key[TOEPLITZ_KEY_BYTES];

/* Source and destination address, then the ports, as in the received packet,
 * network order: 12 or 36 bytes (8 or 32 without ports). Returns the length. */
size_t toeplitz_input(const struct address *src, const struct address *dst,
    uint16_t sport, uint16_t dport, uint8_t out[TOEPLITZ_INPUT_BYTES]);

/* `bytes` at most TOEPLITZ_KEY_BYTES - 4. */
uint32_t toeplitz_hash(const uint8_t key[TOEPLITZ_KEY_BYTES],
    const uint8_t *input, size_t bytes);

#endif
