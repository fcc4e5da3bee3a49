/* checksum.h - the Internet checksum (RFC 1071) and what a wrong one looks
 * like: left to the NIC (partial sums), never written, or damaged. */
#ifndef CAPTURE_CHECKSUM_H
#define CAPTURE_CHECKSUM_H

#include "capture/packet.h"

/* One's complement sum of `n` bytes, folded to 16 bits, not complemented.
 * `start` is a folded sum to go on from. */
uint16_t checksum_sum(const void *bytes, size_t n, uint16_t start);

/* Status of a TCP or UDP checksum: `whole` is header and payload as captured,
 * `wire_bytes` how long they were on the wire; shorter is unverifiable. The
 * field lies `field_offset` bytes into it. If it is good, `header_sum` is the sum
 * of the first `header_bytes` of them, an even number, with 0 for 0xffff; else it
 * is left alone. */
enum checksum_status checksum_transport(const struct address *src,
    const struct address *dst, uint8_t protocol, const struct bytes *whole,
    uint32_t wire_bytes, uint32_t field_offset, uint32_t header_bytes,
    uint16_t *header_sum);

const char *checksum_status_name(enum checksum_status); /* good bad partial unverifiable */

#endif
