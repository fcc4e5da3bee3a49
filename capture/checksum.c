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

/* Four sums side by side, so that no addition waits for the carry of the one
 * before. */
enum { BLOCK_BYTES = 32 };

static uint64_t
sum_blocks(const uint8_t *at, size_t blocks)
{
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (; blocks; blocks--, at += BLOCK_BYTES) {
		a = add_carry(a, load64(at));
		b = add_carry(b, load64(at + 8));
		c = add_carry(c, load64(at + 16));
		d = add_carry(d, load64(at + 24));
	}
	return add_carry(add_carry(a, b), add_carry(c, d));
}

/* Less than half a block, in halves: a copy of just as many bytes would be slower. */
static uint64_t
sum_few(const uint8_t *at, size_t n)
{
	uint64_t sum = 0;
	uint32_t word;
	uint16_t half;
	uint8_t last[2] = { 0, 0 };

	if (n & 8) {
		sum = load64(at);
		at += sizeof(sum);
	}
	if (n & 4) {
		memcpy(&word, at, sizeof(word));
		sum = add_carry(sum, word);
		at += sizeof(word);
	}
	if (n & 2) {
		memcpy(&half, at, sizeof(half));
		sum = add_carry(sum, half);
		at += sizeof(half);
	}
	if (n & 1) {			/* padded with a zero (RFC 1071, 1) */
		last[0] = *at;
		memcpy(&half, last, sizeof(half));
		sum = add_carry(sum, half);
	}
	return sum;
}

/* How much is left after whole blocks nobody foretells, and a processor that guesses
 * wrong loses more time than a block takes. So what is left is summed in a window
 * that ends with it, of a block's size or half of that, and what is before it there
 * is masked out: by `kept`, from as far before its middle as the window has bytes
 * too many. */
static const uint8_t kept[2 * BLOCK_BYTES] = {
	[BLOCK_BYTES] = 255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255,
	255, 255, 255, 255, 255, 255, 255, 255,
};

/* The last `n` of all `of` bytes that end at `end`, which are `window` at least.
 * Where `of` is odd each byte stands in the other half of its 16 bits than in a sum
 * from the first one on, which turns the sum by eight bits (RFC 1071, 2). */
static inline uint64_t
sum_last(const uint8_t *end, size_t n, size_t of, size_t window)
{
	const uint8_t *at = end - window, *mask = kept + BLOCK_BYTES - window + n;
	unsigned turn = of % 2 * 8;
	uint64_t sum = 0;

	for (size_t i = 0; i < window; i += sizeof(sum))
		sum = add_carry(sum, load64(at + i) & load64(mask + i));
	return sum << turn | sum >> (-turn & 63);
}

static inline uint64_t
sum_of(const uint8_t *at, size_t n)
{
	const uint8_t *end = at + n;

	if (n >= BLOCK_BYTES)
		return add_carry(sum_blocks(at, n / BLOCK_BYTES),
		    sum_last(end, n % BLOCK_BYTES, n, BLOCK_BYTES));
	if (n < BLOCK_BYTES / 2)
		return sum_few(at, n);
	return add_carry(add_carry(load64(at), load64(at + 8)),
	    sum_last(end, n - BLOCK_BYTES / 2, n, BLOCK_BYTES / 2));
}

uint16_t
checksum_sum(const void *bytes, size_t n, uint16_t start)
{
	return ntohs(fold(add_carry(htons(start), sum_of(bytes, n))));
}

/* Zero has two forms in one's complement. */
static bool
same_sum(uint32_t a, uint32_t b)
{
	return a % UINT16_MAX == b % UINT16_MAX;
}

/* Addresses and protocol, without the length: for IPv4 (RFC 9293, 3.1) and for
 * IPv6 (RFC 8200, 8.1) they sum to the same. An IPv4 address may be taken with
 * the prefix it is mapped by, as that is 0xffff, the other zero. */
static uint64_t
pseudo_sum(const struct address *src, const struct address *dst,
    uint8_t protocol)
{
	uint64_t sum = htons(protocol);

	sum = add_carry(sum, load64(src->octet));
	sum = add_carry(sum, load64(src->octet + 8));
	sum = add_carry(sum, load64(dst->octet));
	return add_carry(sum, load64(dst->octet + 8));
}

static uint64_t
length_sum(uint32_t bytes)
{
	return (uint64_t)htons((uint16_t)(bytes >> 16)) +
	    htons((uint16_t)bytes);
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
    uint8_t protocol, const struct bytes *whole, uint32_t wire_bytes,
    uint32_t field_offset, uint32_t header_bytes, uint16_t *header_sum)
{
	struct bytes rest = bytes_of(whole->at, whole->left);
	uint64_t pseudo, header, sum;
	uint16_t field;

	bytes_skip(&rest, field_offset);
	field = bytes_be16(&rest);
	if (bytes_ran_out(rest) || whole->left < wire_bytes)
		return CHECKSUM_UNVERIFIABLE;
	/* RFC 768: none. Over IPv6 that is no choice (RFC 8200, 8.1), but for
	 * tunnels (RFC 6935), which the caller knows. */
	if (protocol == IP_UDP && field == 0 && address_is_v4(src))
		return CHECKSUM_UNVERIFIABLE;
	pseudo = pseudo_sum(src, dst, protocol);
	header = sum_of(whole->at, header_bytes);
	sum = sum_of(whole->at + header_bytes, wire_bytes - header_bytes);
	sum = add_carry(add_carry(sum, header), pseudo);
	sum = add_carry(sum, length_sum(wire_bytes));
	/* 2^64 is 1 as 2^16 is: no need to fold before a remainder is taken */
	if (sum % UINT16_MAX)
		return judge_wrong(field, ntohs(fold(pseudo)), wire_bytes,
		    protocol);
	*header_sum = ntohs((uint16_t)(header % UINT16_MAX));
	return CHECKSUM_GOOD;
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
