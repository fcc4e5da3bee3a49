/* wire.h - Ethernet frames that are made, not captured, and the classic pcap
 * they are written to. For the makers of large captures only: whatever fails
 * ends the program with a sentence. */
#ifndef TESTS_BENCH_WIRE_H
#define TESTS_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MSS = 1460, FRAME_BYTES_MAX = 65535 };

enum wire_flag { W_FIN = 1, W_SYN = 2, W_RST = 4, W_PSH = 8, W_ACK = 16 };

/* xorshift64*, from a fixed seed: the same capture each time. */
struct rng {
	uint64_t state;		/* never 0 */
};

static inline uint64_t
rng_next(struct rng *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * UINT64_C(2685821657736338717);
}

/* low <= result <= high */
static inline uint32_t
rng_between(struct rng *r, uint32_t low, uint32_t high)
{
	return low + (uint32_t)((rng_next(r) >> 32) * (high - low + UINT64_C(1)) >> 32);
}

/* An IPv4 TCP or UDP packet but for its payload. Numbers in host order. */
struct wire_packet {
	uint64_t at_ns;			/* since 1970 */
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t src_mac[6], dst_mac[6];
	uint16_t ip_id;
	uint8_t ttl;
	bool udp;
	/* TCP only */
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;			/* enum wire_flag */
	uint8_t option_bytes;		/* multiple of 4, up to 40 */
	const uint8_t *options;
};

struct wire;
/* A new capture at `path`, Ethernet; stamps in nanoseconds or microseconds. */
struct wire *wire_create(const char *path, bool nanoseconds);
void wire_close(struct wire **);
/* Where the payload of the next packet, which will have `option_bytes` of TCP
 * options (UDP: any), is to be written before wire_put. */
uint8_t *wire_payload(struct wire *, const struct wire_packet *);
/* Headers and checksums around `bytes` of payload, and out. */
void wire_put(struct wire *, const struct wire_packet *, size_t bytes);
/* A frame as it is, of which `wire_bytes` there were. */
void wire_frame(struct wire *, uint64_t at_ns, const uint8_t *frame, size_t bytes,
    size_t wire_bytes);
uint64_t wire_packets(const struct wire *);
uint64_t wire_bytes_written(const struct wire *);

/* RFC 1071, of bytes at an even offset; folded, not complemented. */
uint32_t wire_sum(const uint8_t *, size_t bytes, uint32_t start);

/* The same in host order. */
uint32_t wire_sum_be(const uint8_t *, size_t bytes);

/* Noise to take payload from: FRAME_BYTES_MAX of it, wherever one looks. */
const uint8_t *wire_noise(uint32_t where);

static inline void
put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, v >> 16);
	put_be16(p + 2, v);
}

static inline void
put_le16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void
put_le32(uint8_t *p, uint32_t v)
{
	put_le16(p, v);
	put_le16(p + 2, v >> 16);
}

_Noreturn void give_up(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
