/* checksum.c - the Internet checksum, wide, and the verdict on a transport's.
 *
 * The one's complement sum does not care about byte order, nor about how wide
 * the words are that it is taken over, as long as carries come round again (RFC
 * 1071, 2). So it is taken over 64-bit words as they lie in memory, and folded
 * and swapped once.
 *
 * What a wrong checksum holds tells who was to write it: a host that leaves the
 * sum to its NIC puts the pseudo-header's part there, with the length when the
 * NIC adds the payload, without it when the NIC also cuts the segment up and
 * each piece has a length of its own. */
#include "capture/checksum.h"

#include <arpa/inet.h>
#include <string.h>

static uint64_t
load64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static uint64_t
add_carry(uint64_t sum, uint64_t v)
{
	sum += v;
	return sum + (sum < v);
}

static uint16_t
fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	return (uint16_t)sum;
}

/* Two sums side by side, of the low and the high halves, have no carry to
 * chain: 32 bits of room each, for more than any packet has. */
static uint64_t
sum_blocks(const uint8_t *at, size_t blocks)
{
	uint64_t low = 0, high = 0;

	for (; blocks; blocks--, at += 32) {
		uint64_t a = load64(at), b = load64(at + 8);
		uint64_t c = load64(at + 16), d = load64(at + 24);

		low += (a & UINT32_MAX) + (b & UINT32_MAX) +
		    (c & UINT32_MAX) + (d & UINT32_MAX);
		high += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32);
	}
	return add_carry(low, high);
}

uint16_t
checksum_sum(const void *bytes, size_t n, uint16_t start)
{
	const uint8_t *at = bytes;
	uint64_t sum = htons(start), rest = 0;

	if (!n)
		return start;
	sum = add_carry(sum, sum_blocks(at, n / 32));
	for (at += n & ~(size_t)31, n &= 31; n >= 8; n -= 8, at += 8)
		sum = add_carry(sum, load64(at));
	memcpy(&rest, at, n);
	return ntohs(fold(add_carry(sum, rest)));
}

/* Zero has two forms in one's complement. */
static bool
same_sum(uint32_t a, uint32_t b)
{
	return a % UINT16_MAX == b % UINT16_MAX;
}

/* Addresses and protocol, without the length. That of IPv4 (RFC 9293, 3.1) and
 * that of IPv6 (RFC 8200, 8.1) sum to the same. */
static uint16_t
pseudo_sum(const struct address *src, const struct address *dst,
    uint8_t protocol)
{
	bool v4 = address_is_v4(src) && address_is_v4(dst);
	size_t skip = v4 ? 12 : 0;
	uint8_t next[2] = { 0, protocol };
	uint16_t sum;

	sum = checksum_sum(src->octet + skip, 16 - skip, 0);
	sum = checksum_sum(dst->octet + skip, 16 - skip, sum);
	return checksum_sum(next, sizeof(next), sum);
}

static enum checksum_status
judge_wrong(uint16_t field, uint32_t without_length, uint32_t wire_bytes,
    uint8_t protocol)
{
	if (field == 0 && protocol == IP_TCP)
		return CHECKSUM_ZERO;
	if (same_sum(field, without_length + (wire_bytes >> 16) +
	    (wire_bytes & UINT16_MAX)))
		return CHECKSUM_PARTIAL;
	if (same_sum(field, without_length))
		return CHECKSUM_PARTIAL_LSO;
	return CHECKSUM_BAD;
}

enum checksum_status
checksum_transport(const struct address *src, const struct address *dst,
    uint8_t protocol, struct bytes whole, uint32_t wire_bytes,
    uint32_t field_offset)
{
	struct bytes rest = whole;
	uint16_t field, without_length;
	uint32_t sum;

	bytes_skip(&rest, field_offset);
	field = bytes_be16(&rest);
	if (rest.ran_out || whole.left < wire_bytes)
		return CHECKSUM_UNVERIFIABLE;
	/* RFC 768: none. Over IPv6 that is no choice (RFC 8200, 8.1), but for
	 * tunnels (RFC 6935), which the caller knows. */
	if (protocol == IP_UDP && field == 0 && address_is_v4(src))
		return CHECKSUM_UNVERIFIABLE;
	without_length = pseudo_sum(src, dst, protocol);
	sum = checksum_sum(whole.at, wire_bytes, without_length);
	sum += (wire_bytes >> 16) + (wire_bytes & UINT16_MAX);
	if (same_sum(sum, 0))
		return CHECKSUM_GOOD;
	return judge_wrong(field, without_length, wire_bytes, protocol);
}

const char *
checksum_status_name(enum checksum_status s)
{
	switch (s) {
	case CHECKSUM_GOOD:
		return "good";
	case CHECKSUM_PARTIAL:
	case CHECKSUM_PARTIAL_LSO:
		return "partial";
	case CHECKSUM_BAD:
	case CHECKSUM_ZERO:
	case CHECKSUM_SHORT:
		return "bad";
	case CHECKSUM_UNVERIFIABLE:
		break;
	}
	return "unverifiable";
}
