/* wire.c - frames and the file they go to. Large captures are made in the time
 * that it takes to write them, so a packet is put together in the output buffer,
 * where its payload already lies. */
#include "tests/bench/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BUFFER_BYTES = 4 << 20, RECORD_BYTES = 16, LINK_BYTES = 14,
	IP_BYTES = 20, TCP_BYTES = 20, UDP_BYTES = 8, FRAME_BYTES_MIN = 60,
	NOISE_BYTES = 1 << 20,
};

struct wire {
	int fd;
	bool nanoseconds;
	const char *path;
	uint64_t packets, bytes;
	size_t used;
	uint8_t buffer[BUFFER_BYTES];
};

void
give_up(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void
flush(struct wire *w)
{
	size_t done = 0;

	while (done < w->used) {
		ssize_t n = write(w->fd, w->buffer + done, w->used - done);

		if (n == -1 && errno != EINTR)
			give_up("%s: cannot write: %s", w->path, strerror(errno));
		done += n > 0 ? (size_t)n : 0;
	}
	w->used = 0;
}

struct wire *
wire_create(const char *path, bool nanoseconds)
{
	struct wire *w = malloc(sizeof(*w));
	uint8_t *head;

	if (!w)
		give_up("out of memory");
	w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (w->fd == -1)
		give_up("%s: cannot make it: %s", path, strerror(errno));
	w->path = path;
	w->nanoseconds = nanoseconds;
	w->packets = w->bytes = 0;
	head = w->buffer;
	memset(head, 0, 24);
	put_le32(head, nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4);
	put_le16(head + 4, 2);
	put_le16(head + 6, 4);
	put_le32(head + 16, 262144);
	put_le32(head + 20, 1);			/* LINKTYPE_ETHERNET */
	w->used = 24;
	return w;
}

void
wire_close(struct wire **wp)
{
	flush(*wp);
	if (close((*wp)->fd) == -1)
		give_up("%s: cannot write: %s", (*wp)->path, strerror(errno));
	free(*wp);
	*wp = NULL;
}

uint64_t
wire_packets(const struct wire *w)
{
	return w->packets;
}

uint64_t
wire_bytes_written(const struct wire *w)
{
	return w->bytes + 24;
}

/* Room for the largest frame and its record head. */
static uint8_t *
room(struct wire *w)
{
	if (w->used + RECORD_BYTES + LINK_BYTES + FRAME_BYTES_MAX > BUFFER_BYTES)
		flush(w);
	return w->buffer + w->used;
}

static void
record(struct wire *w, uint64_t at_ns, size_t bytes, size_t wire_bytes)
{
	uint8_t *head = w->buffer + w->used;
	uint32_t part = (uint32_t)(at_ns % 1000000000);

	put_le32(head, (uint32_t)(at_ns / 1000000000));
	put_le32(head + 4, w->nanoseconds ? part : part / 1000);
	put_le32(head + 8, (uint32_t)bytes);
	put_le32(head + 12, (uint32_t)wire_bytes);
	w->used += RECORD_BYTES + bytes;
	w->bytes += RECORD_BYTES + bytes;
	w->packets++;
}

uint32_t
wire_sum(const uint8_t *p, size_t bytes, uint32_t start)
{
	uint64_t sum = start;
	uint32_t word;

	/* as the machine reads them: the sum does not mind, but for its order
	 * at the end (RFC 1071, 2 (B)) */
	for (; bytes >= 4; bytes -= 4, p += 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	word = 0;
	memcpy(&word, p, bytes);
	sum += word;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

uint32_t
wire_sum_be(const uint8_t *p, size_t bytes)
{
	uint16_t sum = (uint16_t)wire_sum(p, bytes, 0);
	uint8_t octet[2];

	memcpy(octet, &sum, 2);
	return (uint32_t)(octet[0] << 8 | octet[1]);
}

static void
put_sum(uint8_t *field, uint32_t sum)
{
	uint16_t value = (uint16_t)~sum;

	memcpy(field, &value, 2);
}

static size_t
transport_bytes(const struct wire_packet *p)
{
	return p->udp ? UDP_BYTES : (size_t)TCP_BYTES + p->option_bytes;
}

uint8_t *
wire_payload(struct wire *w, const struct wire_packet *p)
{
	return room(w) + RECORD_BYTES + LINK_BYTES + IP_BYTES + transport_bytes(p);
}

static void
put_tcp(uint8_t *t, const struct wire_packet *p)
{
	put_be32(t + 4, p->seq);
	put_be32(t + 8, p->ack);
	t[12] = (uint8_t)((TCP_BYTES + p->option_bytes) / 4 << 4);
	t[13] = p->flags;
	put_be16(t + 14, p->window);
	put_be32(t + 16, 0);
	if (p->option_bytes)
		memcpy(t + TCP_BYTES, p->options, p->option_bytes);
}

static void
put_ip(uint8_t *ip, const struct wire_packet *p, size_t bytes)
{
	put_be16(ip, 0x4500);
	put_be16(ip + 2, (uint32_t)(IP_BYTES + bytes));
	put_be16(ip + 4, p->ip_id);
	put_be16(ip + 6, p->udp ? 0 : 0x4000);
	ip[8] = p->ttl;
	ip[9] = p->udp ? 17 : 6;
	put_be16(ip + 10, 0);
	put_be32(ip + 12, p->src);
	put_be32(ip + 16, p->dst);
	put_sum(ip + 10, wire_sum(ip, IP_BYTES, 0));
}

void
wire_put(struct wire *w, const struct wire_packet *p, size_t bytes)
{
	uint8_t *frame = room(w) + RECORD_BYTES, *ip = frame + LINK_BYTES;
	uint8_t *t = ip + IP_BYTES, pseudo[4] = { 0, p->udp ? 17 : 6 };
	size_t l4 = transport_bytes(p) + bytes, all = LINK_BYTES + IP_BYTES + l4;

	memcpy(frame, p->dst_mac, 6);
	memcpy(frame + 6, p->src_mac, 6);
	put_be16(frame + 12, 0x0800);
	put_ip(ip, p, l4);
	put_be16(t, p->sport);
	put_be16(t + 2, p->dport);
	if (p->udp) {
		put_be16(t + 4, (uint32_t)l4);
		put_be16(t + 6, 0);
	} else {
		put_tcp(t, p);
	}
	put_be16(pseudo + 2, (uint32_t)l4);
	put_sum(t + (p->udp ? 6 : 16),
	    wire_sum(t, l4, wire_sum(ip + 12, 8, wire_sum(pseudo, 4, 0))));
	if (p->udp && !t[6] && !t[7])		/* RFC 768: 0 means none */
		put_be16(t + 6, 0xffff);
	if (all < FRAME_BYTES_MIN) {
		memset(frame + all, 0, FRAME_BYTES_MIN - all);
		all = FRAME_BYTES_MIN;
	}
	record(w, p->at_ns, all, all);
}

void
wire_frame(struct wire *w, uint64_t at_ns, const uint8_t *frame, size_t bytes,
    size_t wire_bytes)
{
	uint8_t *to = room(w) + RECORD_BYTES;

	if (bytes > FRAME_BYTES_MAX)
		bytes = FRAME_BYTES_MAX;
	memcpy(to, frame, bytes);
	record(w, at_ns, bytes, wire_bytes);
}

const uint8_t *
wire_noise(uint32_t where)
{
	static uint8_t *noise;

	if (!noise) {
		struct rng r = { 0x746f6577 };

		noise = malloc(NOISE_BYTES + FRAME_BYTES_MAX);
		if (!noise)
			give_up("out of memory");
		for (size_t i = 0; i < NOISE_BYTES + FRAME_BYTES_MAX; i++)
			noise[i] = (uint8_t)(rng_next(&r) >> 40);
	}
	return noise + where % NOISE_BYTES;
}
