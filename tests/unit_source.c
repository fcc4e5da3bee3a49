/* unit_source.c - captures written here, byte by byte, and read back. */
#include "capture/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/log.h"
#include "tests/unit.h"

enum { FILE_MAX = 1 << 20, FILES_MAX = 64 };

enum { ETHERNET = 1, RAW = 12, LINKTYPE_RAW = 101 };

/* A capture under construction. */
struct maker {
	uint8_t at[FILE_MAX];
	size_t n;
	bool big_endian;
	size_t block;			/* where the pcapng block at hand began */
};

static char folder[] = "unit_source.XXXXXX";

static void
put8(struct maker *m, unsigned v)
{
	if (m->n == FILE_MAX)
		abort();
	m->at[m->n++] = (uint8_t)v;
}

static void
put16(struct maker *m, unsigned v)
{
	put8(m, m->big_endian ? v >> 8 : v);
	put8(m, m->big_endian ? v : v >> 8);
}

static void
put32(struct maker *m, uint32_t v)
{
	put16(m, m->big_endian ? v >> 16 : v & 0xffff);
	put16(m, m->big_endian ? v & 0xffff : v >> 16);
}

static void
put64(struct maker *m, uint64_t v)
{
	put32(m, (uint32_t)(m->big_endian ? v >> 32 : v));
	put32(m, (uint32_t)(m->big_endian ? v : v >> 32));
}

/* A frame of 60 bytes with a UDP datagram to that port. */
enum { FRAME_BYTES = 60 };

static void
put_frame_bytes(struct maker *m, unsigned port)
{
	static const uint8_t head[36] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1,
		8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1,
		10, 0, 0, 2, 0, 7 };

	for (size_t i = 0; i < sizeof(head); i++)
		put8(m, head[i]);
	put8(m, port >> 8);
	put8(m, port);
	for (size_t i = sizeof(head) + 2; i < FRAME_BYTES; i++)
		put8(m, 0);
}

enum { MICRO = 0xa1b2c3d4, NANO = 0xa1b23c4d };

static struct maker *
pcap_new(uint32_t magic, uint32_t link_type, bool big_endian)
{
	struct maker *m = calloc(1, sizeof(*m));

	if (!m)
		abort();
	m->big_endian = big_endian;
	put32(m, magic);
	put16(m, 2);
	put16(m, 4);
	put32(m, 0);
	put32(m, 0);
	put32(m, 65535);
	put32(m, link_type);
	return m;
}

static void
put_record(struct maker *m, uint32_t second, uint32_t fraction, unsigned port)
{
	put32(m, second);
	put32(m, fraction);
	put32(m, FRAME_BYTES);
	put32(m, FRAME_BYTES + 40);
	put_frame_bytes(m, port);
}

static void
begin_block(struct maker *m, uint32_t type)
{
	m->block = m->n;
	put32(m, type);
	put32(m, 0);
}

static void
end_block(struct maker *m)
{
	size_t end = m->n;

	while (m->n % 4)
		put8(m, 0);
	put32(m, (uint32_t)(m->n + 4 - m->block));
	end = m->n;
	m->n = m->block + 4;
	put32(m, (uint32_t)(end - m->block));
	m->n = end;
}

static void
put_section(struct maker *m)
{
	begin_block(m, 0x0a0d0d0a);
	put32(m, 0x1a2b3c4d);
	put16(m, 1);
	put16(m, 0);
	put64(m, UINT64_MAX);
	end_block(m);
}

/* With if_tsresol and if_tsoffset, unless they are what goes without saying. */
static void
put_interface(struct maker *m, unsigned link_type, uint32_t snap_bytes,
    unsigned resolution, int64_t offset_s)
{
	begin_block(m, 1);
	put16(m, link_type);
	put16(m, 0);
	put32(m, snap_bytes);
	put16(m, 8);			/* if_speed: as long as an offset */
	put16(m, 8);
	put64(m, 1000000000);
	if (resolution != 6) {
		put16(m, 9);
		put16(m, 1);
		put8(m, resolution);
		while (m->n % 4)
			put8(m, 0);
	}
	if (offset_s) {
		put16(m, 14);
		put16(m, 8);
		put64(m, (uint64_t)offset_s);
	}
	put32(m, 0);
	end_block(m);
}

static void
put_packet(struct maker *m, uint32_t interface, uint64_t units, unsigned port)
{
	begin_block(m, 6);
	put32(m, interface);
	put32(m, (uint32_t)(units >> 32));
	put32(m, (uint32_t)units);
	put32(m, FRAME_BYTES);
	put32(m, FRAME_BYTES + 40);
	put_frame_bytes(m, port);
	end_block(m);
}

static struct maker *
pcapng_file(bool big_endian)
{
	struct maker *m = calloc(1, sizeof(*m));

	if (!m)
		abort();
	m->big_endian = big_endian;
	put_section(m);
	return m;
}

/* Write the first `n` bytes as folder/name, and forget the maker. */
static const char *
write_part(struct maker *m, size_t n, const char *name)
{
	static char path[FILES_MAX][64];
	static size_t next;
	char *at = path[next++ % FILES_MAX];
	FILE *out;

	snprintf(at, sizeof(path[0]), "%s/%s", folder, name);
	out = fopen(at, "wb");
	if (!out || fwrite(m->at, 1, n, out) != n || fclose(out))
		abort();
	free(m);
	return at;
}

static const char *
write_file(struct maker *m, const char *name)
{
	return write_part(m, m->n, name);
}

static struct source *source;
static char err[SOURCE_ERROR_BYTES];

static int
open_files(const char *const *paths, size_t count, const char *filter)
{
	err[0] = '\0';
	return source_open_files(paths, count, filter, &source, err);
}

static int
open_one(const char *path)
{
	return open_files(&path, 1, NULL);
}

static struct frame frame;

/* The next frame, or 0 at the end: the UDP port it is for. */
static unsigned
next_port(void)
{
	enum source_result r = source_next(source, &frame);
	struct bytes b;

	if (r == SOURCE_END)
		return 0;
	CHECK_EQ(r, SOURCE_FRAME);
	CHECK_EQ(frame.captured_bytes, FRAME_BYTES);
	CHECK_EQ(frame.wire_bytes, FRAME_BYTES + 40);
	b = bytes_of(frame.data, frame.captured_bytes);
	bytes_skip(&b, 36);
	return bytes_be16(&b);
}

static uint64_t
cut_files(void)
{
	struct source_stats stats;

	source_stats(source, &stats);
	return stats.cut_files;
}

static void
test_a_pcap_file_is_read_in_either_byte_order_and_precision(void **state)
{
	struct maker *m;

	(void)state;
	for (int variant = 0; variant < 4; variant++) {
		m = pcap_new(variant & 1 ? NANO : MICRO, ETHERNET, variant & 2);
		put_record(m, 1000, 123456, 1);
		put_record(m, 999, 0, 2);	/* time may run backwards */
		CHECK_EQ(open_one(write_file(m, "x.pcap")), 0);
		CHECK_EQ(next_port(), 1);
		CHECK(frame.time.ns == 1000 * NS_PER_S +
		    123456 * (variant & 1 ? 1 : NS_PER_US));
		CHECK_EQ(frame.number, 1);
		CHECK_EQ(frame.file, 0);
		CHECK_EQ(frame.link_type, ETHERNET);
		CHECK_EQ(next_port(), 2);
		CHECK(frame.time.ns == 999 * NS_PER_S);
		CHECK_EQ(frame.number, 2);
		CHECK_EQ(next_port(), 0);
		CHECK_EQ(next_port(), 0);
		CHECK_EQ(cut_files(), 0);
		CHECK_EQ(source_count(source), 1);
		CHECK(strstr(source_name(source, 0), "/x.pcap") != NULL);
		CHECK_STR(source_name(source, 1), "");
		source_close(&source);
		CHECK(source == NULL);
	}
}

static void
test_time_goes_on_after_2038(void **state)
{
	struct maker *m = pcap_new(MICRO, ETHERNET, false);

	(void)state;
	put_record(m, 4294967295u, 1, 1);
	CHECK_EQ(open_one(write_file(m, "x.pcap")), 0);
	CHECK_EQ(next_port(), 1);
	CHECK(frame.time.ns == INT64_C(4294967295) * NS_PER_S + NS_PER_US);
	source_close(&source);
}

static void
test_link_types_are_as_libpcap_names_them(void **state)
{
	struct maker *m = pcap_new(MICRO, LINKTYPE_RAW, false);

	(void)state;
	put_record(m, 1, 0, 1);
	CHECK_EQ(open_one(write_file(m, "x.pcap")), 0);
	CHECK_EQ(next_port(), 1);
	CHECK_EQ(frame.link_type, RAW);
	source_close(&source);

	m = pcapng_file(false);
	put_interface(m, LINKTYPE_RAW, 0, 6, 0);
	put_packet(m, 0, 1, 1);
	CHECK_EQ(open_one(write_file(m, "x.pcapng")), 0);
	CHECK_EQ(next_port(), 1);
	CHECK_EQ(frame.link_type, RAW);
	source_close(&source);
}

/* libpcap refuses such a file. */
static void
test_interfaces_of_a_pcapng_file_may_differ(void **state)
{
	struct maker *m;

	(void)state;
	for (int big_endian = 0; big_endian < 2; big_endian++) {
		m = pcapng_file(big_endian);
		put_interface(m, ETHERNET, 65535, 6, 0);
		put_packet(m, 0, 5000001, 1);
		put_interface(m, LINKTYPE_RAW, 96, 9, 0);
		put_packet(m, 1, UINT64_C(5000000002), 2);
		put_packet(m, 0, 6000000, 3);
		put_section(m);			/* interfaces begin anew */
		put_interface(m, 113, 0, 6, 0);
		put_packet(m, 0, 7000000, 4);
		CHECK_EQ(open_one(write_file(m, "x.pcapng")), 0);
		CHECK_EQ(next_port(), 1);
		CHECK_EQ(frame.interface, 0);
		CHECK_EQ(frame.link_type, ETHERNET);
		CHECK(frame.time.ns == 5 * NS_PER_S + NS_PER_US);
		CHECK_EQ(next_port(), 2);
		CHECK_EQ(frame.interface, 1);
		CHECK_EQ(frame.link_type, RAW);
		CHECK(frame.time.ns == 5 * NS_PER_S + 2);
		CHECK_EQ(next_port(), 3);
		CHECK_EQ(frame.interface, 0);
		CHECK_EQ(next_port(), 4);
		CHECK_EQ(frame.interface, 2);
		CHECK_EQ(frame.link_type, 113);
		CHECK_EQ(frame.number, 4);
		CHECK_EQ(next_port(), 0);
		CHECK_EQ(cut_files(), 0);
		source_close(&source);
	}
}

static void
test_every_resolution_and_offset_gives_nanoseconds(void **state)
{
	static const struct {
		unsigned resolution;
		int64_t offset_s;
		uint64_t units;
		int64_t ns;
	} stamp[] = {
		{ 0, 0, 7, 7 * NS_PER_S },
		{ 3, 0, 7001, 7 * NS_PER_S + NS_PER_MS },
		{ 9, 0, 123, 123 },
		{ 12, 0, 123456, 123 },
		{ 0x80, 0, 7, 7 * NS_PER_S },
		{ 0x8a, 0, 1024 + 512, NS_PER_S * 3 / 2 },
		{ 0xa0, 0, UINT64_C(3) << 31, NS_PER_S * 3 / 2 },
		{ 0xbf, 0, UINT64_C(3) << 61, NS_PER_S * 3 / 4 },
		{ 6, 1000, 5, 1000 * NS_PER_S + 5000 },
		{ 6, -3, 5000000, 2 * NS_PER_S },
		{ 0, 0, UINT64_MAX, INT64_MAX },
		{ 0x80, 0, UINT64_MAX, INT64_MAX },
		{ 9, 1, UINT64_MAX, INT64_MAX },
	};
	struct maker *m;

	(void)state;
	for (size_t i = 0; i < sizeof(stamp) / sizeof(stamp[0]); i++) {
		m = pcapng_file(false);
		put_interface(m, ETHERNET, 0, stamp[i].resolution,
		    stamp[i].offset_s);
		put_packet(m, 0, stamp[i].units, 1);
		CHECK_EQ(open_one(write_file(m, "x.pcapng")), 0);
		CHECK_EQ(next_port(), 1);
		CHECK(frame.time.ns == stamp[i].ns);
		source_close(&source);
	}
}

static void
test_blocks_that_are_no_frames_are_passed(void **state)
{
	struct maker *m = pcapng_file(false);

	(void)state;
	put_interface(m, ETHERNET, 0, 6, 0);
	begin_block(m, 5);
	put32(m, 0);
	put64(m, 0);
	end_block(m);
	begin_block(m, 0x12345678);
	put8(m, 1);
	end_block(m);
	put_packet(m, 0, 1, 1);
	begin_block(m, 9);		/* Wireshark numbers this one */
	put32(m, 0);
	end_block(m);
	put_packet(m, 0, 2, 2);
	CHECK_EQ(open_one(write_file(m, "x.pcapng")), 0);
	CHECK_EQ(next_port(), 1);
	CHECK_EQ(frame.number, 1);
	CHECK_EQ(next_port(), 2);
	CHECK_EQ(frame.number, 3);
	CHECK_EQ(next_port(), 0);
	source_close(&source);
}

static void
test_simple_packets_have_the_time_of_the_one_before(void **state)
{
	struct maker *m = pcapng_file(false);

	(void)state;
	put_interface(m, ETHERNET, FRAME_BYTES, 6, 0);
	put_packet(m, 0, 3000000, 1);
	begin_block(m, 3);
	put32(m, FRAME_BYTES + 40);
	put_frame_bytes(m, 2);
	end_block(m);
	begin_block(m, 2);		/* the obsolete one */
	put16(m, 0);
	put16(m, 5);
	put32(m, 0);
	put32(m, 4000000);
	put32(m, FRAME_BYTES);
	put32(m, FRAME_BYTES + 40);
	put_frame_bytes(m, 3);
	end_block(m);
	CHECK_EQ(open_one(write_file(m, "x.pcapng")), 0);
	CHECK_EQ(next_port(), 1);
	CHECK_EQ(next_port(), 2);
	CHECK(frame.time.ns == 3 * NS_PER_S);
	CHECK_EQ(next_port(), 3);
	CHECK(frame.time.ns == 4 * NS_PER_S);
	CHECK_EQ(next_port(), 0);
	source_close(&source);
}

static void
test_a_pcap_file_cut_anywhere_is_read_to_the_cut(void **state)
{
	enum { HEADER = 24, RECORD = 16 + FRAME_BYTES };
	struct maker *m;

	(void)state;
	for (size_t n = HEADER; n <= HEADER + 2 * RECORD; n += 7) {
		m = pcap_new(MICRO, ETHERNET, false);
		put_record(m, 1, 0, 1);
		put_record(m, 2, 0, 2);
		CHECK_EQ(open_one(write_part(m, n, "x.pcap")), 0);
		for (unsigned i = 0; i < (n - HEADER) / RECORD; i++)
			CHECK_EQ(next_port(), i + 1);
		CHECK_EQ(next_port(), 0);
		CHECK_EQ(cut_files(), (n - HEADER) % RECORD != 0);
		source_close(&source);
	}
}

static void
test_a_pcapng_file_cut_anywhere_is_read_to_the_cut(void **state)
{
	struct maker *m;
	size_t header, packet, n = 0, end;

	(void)state;
	do {
		m = pcapng_file(false);
		put_interface(m, ETHERNET, 0, 6, 0);
		header = m->n;
		put_packet(m, 0, 1, 1);
		packet = m->n - header;
		put_packet(m, 0, 2, 2);
		end = m->n;
		if (n < header)
			n = header;
		CHECK_EQ(open_one(write_part(m, n, "x.pcapng")), 0);
		for (unsigned i = 0; i < (n - header) / packet; i++)
			CHECK_EQ(next_port(), i + 1);
		CHECK_EQ(next_port(), 0);
		CHECK_EQ(cut_files(), (n - header) % packet != 0);
		source_close(&source);
	} while (++n <= end);
}

/* One frame a second, from `first`, for the ports from there on. */
static const char *
write_run(const char *name, uint32_t first, uint32_t step, unsigned count)
{
	struct maker *m = pcap_new(MICRO, ETHERNET, false);

	for (uint32_t i = 0; i < count; i++)
		put_record(m, first + i * step, 0, first + i * step);
	return write_file(m, name);
}

/* Read the file at `path` to its end, and put in `said` what was said of it on
 * standard error. */
static void
listen_to(const char *path, char said[512])
{
	FILE *kept = tmpfile();
	int saved = dup(2);
	size_t n;

	if (!kept || saved < 0 || dup2(fileno(kept), 2) < 0)
		abort();
	log_set_verbose(0);
	if (open_one(path) == 0)
		while (source_next(source, &frame) == SOURCE_FRAME)
			continue;
	source_close(&source);
	log_set_verbose(-1);
	dup2(saved, 2);
	close(saved);
	rewind(kept);
	n = fread(said, 1, 511, kept);
	said[n] = '\0';
	fclose(kept);
}

static void
test_a_cut_is_told_with_file_and_offset(void **state)
{
	struct maker *m = pcap_new(MICRO, ETHERNET, false);
	char said[512];

	(void)state;
	put_record(m, 1, 0, 1);
	put_record(m, 2, 0, 2);
	listen_to(write_part(m, m->n - 1, "x.pcap"), said);
	CHECK(strstr(said, "toewatch: 'unit_source.") == said);
	CHECK(strstr(said, "/x.pcap' is cut short at offset 100 ") != NULL);

	m = pcapng_file(false);
	put_interface(m, ETHERNET, 0, 6, 0);
	put_packet(m, 0, 1, 1);
	put_packet(m, 7, 1, 1);
	listen_to(write_file(m, "x.pcapng"), said);
	CHECK(strstr(said, "/x.pcapng' is damaged at offset 156 ") != NULL);

	listen_to(write_run("x.pcap", 1, 1, 1), said);
	CHECK_STR(said, "");
}

static void
test_a_damaged_record_ends_the_file_there(void **state)
{
	struct maker *m = pcap_new(MICRO, ETHERNET, false);

	(void)state;
	put_record(m, 1, 0, 1);
	put32(m, 2);
	put32(m, 0);
	put32(m, 0x7fffffff);		/* so long is no frame */
	put32(m, 0x7fffffff);
	put_record(m, 3, 0, 3);
	CHECK_EQ(open_one(write_file(m, "x.pcap")), 0);
	CHECK_EQ(next_port(), 1);
	CHECK_EQ(next_port(), 0);
	CHECK_EQ(cut_files(), 1);
	source_close(&source);
}

static void
test_a_damaged_block_ends_the_file_there(void **state)
{
	/* Where in a packet block, and what is put there. */
	static const struct { size_t at; uint8_t value; } damage[] = {
		{ 4, 7 },		/* shorter than a block can be */
		{ 7, 0x7f },		/* longer than the file */
		{ 4, 88 },		/* not what stands at the end */
		{ 8, 1 },		/* no such interface */
		{ 21, 1 },		/* a frame beyond its block */
	};
	struct maker *m;
	size_t block;

	(void)state;
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		m = pcapng_file(false);
		put_interface(m, ETHERNET, 0, 6, 0);
		put_packet(m, 0, 1, 1);
		block = m->n;
		put_packet(m, 0, 2, 2);
		put_packet(m, 0, 3, 3);
		m->at[block + damage[i].at] = damage[i].value;
		CHECK_EQ(open_one(write_file(m, "x.pcapng")), 0);
		CHECK_EQ(next_port(), 1);
		CHECK_EQ(next_port(), 0);
		CHECK_EQ(cut_files(), 1);
		source_close(&source);
	}
}

static void
test_what_is_no_capture_is_refused_by_name(void **state)
{
	struct maker *m = calloc(1, sizeof(*m));

	(void)state;
	CHECK(m != NULL);
	for (const char *t = "a letter, not a capture, but long enough"; *t; t++)
		put8(m, (uint8_t)*t);
	CHECK_EQ(open_one(write_file(m, "letter")), -1);
	CHECK(strstr(err, "cannot read 'unit_source.") == err);
	CHECK(strstr(err, "/letter': not a capture file (") != NULL);

	m = pcap_new(MICRO, ETHERNET, false);
	CHECK_EQ(open_one(write_part(m, 23, "short")), -1);
	CHECK(strstr(err, "/short': not a capture file (") != NULL);
	m = pcap_new(MICRO, ETHERNET, false);
	CHECK_EQ(open_one(write_part(m, 0, "empty")), -1);
	CHECK(strstr(err, "/empty': not a capture file (it is empty)") != NULL);
	m = calloc(1, sizeof(*m));
	put32(m, 0x00088b1f);
	CHECK_EQ(open_one(write_file(m, "x.pcap.gz")), -1);
	CHECK(strstr(err, "(it is compressed: ") != NULL);
	m = pcapng_file(false);
	CHECK_EQ(open_one(write_part(m, 20, "short-ng")), -1);
	CHECK(strstr(err, "/short-ng': not a capture file (") != NULL);
	CHECK_EQ(open_one("unit_source.nowhere/x"), -1);
	CHECK(strstr(err, "cannot open 'unit_source.nowhere/x': No such") == err);
	CHECK(source == NULL);
}

static void
test_a_capture_without_frames_is_sound(void **state)
{
	(void)state;
	CHECK_EQ(open_one(write_file(pcap_new(MICRO, ETHERNET, false),
	    "x.pcap")), 0);
	CHECK_EQ(next_port(), 0);
	CHECK_EQ(cut_files(), 0);
	source_close(&source);
	CHECK_EQ(open_one(write_file(pcapng_file(false), "x.pcapng")), 0);
	CHECK_EQ(next_port(), 0);
	CHECK_EQ(cut_files(), 0);
	source_close(&source);
}

static void
test_a_filter_passes_over_frames_and_not_over_their_numbers(void **state)
{
	struct maker *m = pcap_new(MICRO, ETHERNET, false);
	const char *path;

	(void)state;
	for (unsigned port = 1; port <= 9; port++)
		put_record(m, port, 0, port);
	path = write_file(m, "x.pcap");
	CHECK_EQ(open_files(&path, 1, "udp dst port 3 or udp dst port 7"), 0);
	CHECK_EQ(next_port(), 3);
	CHECK_EQ(frame.number, 3);
	CHECK_EQ(next_port(), 7);
	CHECK_EQ(frame.number, 7);
	CHECK_EQ(next_port(), 0);
	source_close(&source);
}

static void
test_a_filter_with_an_error_is_named(void **state)
{
	struct maker *m = pcap_new(MICRO, ETHERNET, false);
	const char *path;

	(void)state;
	put_record(m, 1, 0, 1);
	path = write_file(m, "x.pcap");
	CHECK_EQ(open_files(&path, 1, "tcp prot 80"), -1);
	CHECK(strstr(err, "filter 'tcp prot 80': ") == err);
}

/* The same expression is another program for each link type. */
static void
test_a_filter_fits_each_interface(void **state)
{
	struct maker *m = pcapng_file(false);
	const char *path;

	(void)state;
	put_interface(m, ETHERNET, 0, 6, 0);
	put_interface(m, LINKTYPE_RAW, 0, 6, 0);
	put_packet(m, 0, 1, 1);
	put_packet(m, 1, 2, 2);		/* its bytes are no IP packet */
	put_packet(m, 0, 3, 3);
	path = write_file(m, "x.pcapng");
	CHECK_EQ(open_files(&path, 1, "udp"), 0);
	CHECK_EQ(next_port(), 1);
	CHECK_EQ(next_port(), 3);
	CHECK_EQ(next_port(), 0);
	source_close(&source);
}

static void
test_files_are_read_in_the_order_of_their_time(void **state)
{
	const char *path[3];

	(void)state;
	path[0] = write_run("c.pcap", 201, 1, 3);
	path[1] = write_run("a.pcap", 1, 1, 3);
	path[2] = write_run("b.pcap", 101, 1, 3);
	CHECK_EQ(open_files(path, 3, NULL), 0);
	for (unsigned i = 0; i < 9; i++) {
		CHECK_EQ(next_port(), i / 3 * 100 + i % 3 + 1);
		CHECK_EQ(frame.number, i % 3 + 1);
		CHECK_EQ(frame.file, (i / 3 + 1) % 3);
	}
	CHECK_EQ(next_port(), 0);
	CHECK_EQ(source_count(source), 3);
	CHECK(strstr(source_name(source, 1), "a.pcap") != NULL);
	source_close(&source);
}

static void
test_files_that_overlap_are_merged(void **state)
{
	const char *path[3];

	(void)state;
	path[0] = write_run("a.pcap", 2, 3, 20);
	path[1] = write_run("b.pcap", 1, 3, 20);
	path[2] = write_run("c.pcap", 3, 3, 20);
	CHECK_EQ(open_files(path, 3, NULL), 0);
	for (unsigned i = 1; i <= 60; i++)
		CHECK_EQ(next_port(), i);
	CHECK_EQ(next_port(), 0);
	source_close(&source);
}

/* All frames, so many at a time as are at hand: their ports in order, each read
 * after the whole batch has come. Returns how many calls gave frames. */
static unsigned
read_batches(unsigned *port, unsigned *count)
{
	enum { MOST = 16 };
	struct frame f[MOST];
	unsigned calls = 0;
	size_t n;

	*count = 0;
	while (source_next_batch(source, f, MOST, &n) == SOURCE_FRAME) {
		CHECK(n >= 1 && n <= MOST);
		calls++;
		for (size_t i = 0; i < n; i++) {
			struct bytes b = bytes_of(f[i].data, f[i].captured_bytes);

			CHECK_EQ(f[i].captured_bytes, FRAME_BYTES);
			bytes_skip(&b, 36);
			port[(*count)++] = bytes_be16(&b);
		}
	}
	return calls;
}

static void
test_frames_at_hand_come_in_batches_and_stay(void **state)
{
	unsigned port[64], count;

	(void)state;
	CHECK_EQ(open_one(write_run("x.pcap", 1, 1, 40)), 0);
	CHECK_EQ(read_batches(port, &count), 3);
	CHECK_EQ(count, 40);
	for (unsigned i = 0; i < count; i++)
		CHECK_EQ(port[i], i + 1);
	source_close(&source);
}

enum { LARGE_BYTES = 20000 };

/* Each frame of one byte, again and again: its number's. */
static const char *
write_large(unsigned frames)
{
	static char path[64];
	struct maker *m = pcap_new(MICRO, ETHERNET, false);
	static uint8_t bytes[LARGE_BYTES];
	FILE *out;

	snprintf(path, sizeof(path), "%s/large.pcap", folder);
	out = fopen(path, "wb");
	for (unsigned i = 0; out && i < frames; i++) {
		put32(m, i);
		put32(m, 0);
		put32(m, LARGE_BYTES);
		put32(m, LARGE_BYTES);
		memset(bytes, (int)(i & 255), LARGE_BYTES);
		if (fwrite(m->at, 1, m->n, out) != m->n ||
		    fwrite(bytes, 1, LARGE_BYTES, out) != LARGE_BYTES)
			abort();
		m->n = 0;
	}
	if (!out || fclose(out))
		abort();
	free(m);
	return path;
}

/* Reads all of `frames`, holding what it can, in `block`, and lets none go.
 * Returns how many frames lie in what is held, the first of all. */
static unsigned
hold_all(unsigned frames, const uint8_t *data[], struct source_block *block[],
    unsigned *blocks)
{
	unsigned count = 0, held = 0;
	struct frame f[64];
	size_t n;

	*blocks = 0;
	while (source_next_batch(source, f, 64, &n) == SOURCE_FRAME) {
		block[*blocks] = source_hold(source);
		for (size_t i = 0; i < n; i++) {
			CHECK_EQ(f[i].data[0], (count + i) & 255);
			data[count + i] = f[i].data;
		}
		count += (unsigned)n;
		if (!block[*blocks])
			continue;
		held = count;
		(*blocks)++;
	}
	CHECK_EQ(count, frames);
	return held;
}

static void
test_frames_that_are_held_stay_when_the_source_is_closed(void **state)
{
	enum { FRAMES = 100 };
	struct source_block *block[FRAMES];
	const uint8_t *data[FRAMES];
	unsigned blocks;

	(void)state;
	CHECK_EQ(open_one(write_large(FRAMES)), 0);
	CHECK(!source_hold(source));	/* nothing was read */
	CHECK_EQ(hold_all(FRAMES, data, block, &blocks), FRAMES);
	CHECK(blocks >= 10 && blocks <= 30);
	source_close(&source);
	for (unsigned i = 0; i < FRAMES; i++) {
		CHECK_EQ(data[i][0], i);
		CHECK_EQ(data[i][LARGE_BYTES - 1], i);
	}
	while (blocks)
		source_let_go(block[--blocks]);
}

static void
test_what_can_be_held_is_bounded(void **state)
{
	enum { FRAMES = 2000 };		/* 40 MB */
	static struct source_block *block[FRAMES];
	static const uint8_t *data[FRAMES];
	unsigned blocks, held;

	(void)state;
	CHECK_EQ(open_one(write_large(FRAMES)), 0);
	held = hold_all(FRAMES, data, block, &blocks);
	CHECK(held > FRAMES / 4 && held < FRAMES / 2);
	for (unsigned i = 0; i < held; i++)
		CHECK_EQ(data[i][LARGE_BYTES - 1], i & 255);
	while (blocks)
		source_let_go(block[--blocks]);
	source_close(&source);
}

static void
test_a_batch_ends_where_another_file_is_due(void **state)
{
	unsigned port[64], count;
	const char *path[3];

	(void)state;
	path[0] = write_run("a.pcap", 1, 1, 10);
	path[1] = write_run("b.pcap", 6, 10, 3);
	path[2] = write_run("c.pcap", 40, 1, 5);
	CHECK_EQ(open_files(path, 3, "udp and not port 3"), 0);
	CHECK(read_batches(port, &count) < 12);
	CHECK_EQ(count, 17);
	for (unsigned i = 1; i < count; i++)
		CHECK(port[i] >= port[i - 1]);
	source_close(&source);
}

static void
test_a_batch_ends_before_a_damaged_record(void **state)
{
	struct maker *m = pcap_new(MICRO, ETHERNET, false);
	unsigned port[8], count;

	(void)state;
	put_record(m, 1, 0, 1);
	put_record(m, 2, 0, 2);
	put32(m, 3);
	put32(m, 0);
	put32(m, 262145);
	put32(m, 262145);
	CHECK_EQ(open_one(write_file(m, "x.pcap")), 0);
	CHECK_EQ(read_batches(port, &count), 1);
	CHECK_EQ(count, 2);
	CHECK_EQ(cut_files(), 1);
	source_close(&source);
}

/* Longer records (of patched libpcaps), and lengths the other way round (before
 * version 2.3). */
static void
test_old_pcap_variants_are_read(void **state)
{
	struct maker *m = pcap_new(0xa1b2cd34, ETHERNET, false);
	unsigned port[8], count;

	(void)state;
	for (unsigned i = 1; i <= 2; i++) {
		put32(m, i);
		put32(m, 0);
		put32(m, FRAME_BYTES);
		put32(m, FRAME_BYTES);
		put64(m, 7);
		put_frame_bytes(m, i);
	}
	CHECK_EQ(open_one(write_file(m, "x.pcap")), 0);
	read_batches(port, &count);
	CHECK_EQ(count, 2);
	CHECK_EQ(port[1], 2);
	source_close(&source);

	m = pcap_new(MICRO, ETHERNET, false);
	m->at[6] = 2;			/* version 2.2 */
	put32(m, 1);
	put32(m, 0);
	put32(m, FRAME_BYTES + 40);
	put32(m, FRAME_BYTES);
	put_frame_bytes(m, 9);
	CHECK_EQ(open_one(write_file(m, "x.pcap")), 0);
	CHECK_EQ(next_port(), 9);
	CHECK_EQ(frame.wire_bytes, FRAME_BYTES + 40);
	source_close(&source);
}

/* The file says that it keeps 20 bytes; a record has more. */
static void
test_a_frame_is_no_longer_than_the_file_keeps(void **state)
{
	struct maker *m = pcap_new(MICRO, ETHERNET, false);

	(void)state;
	m->at[16] = 20;
	m->at[17] = 0;
	put_record(m, 1, 0, 1);
	put_record(m, 2, 0, 2);
	CHECK_EQ(open_one(write_file(m, "x.pcap")), 0);
	for (int i = 1; i <= 2; i++) {
		CHECK_EQ(source_next(source, &frame), SOURCE_FRAME);
		CHECK_EQ(frame.captured_bytes, 20);
		CHECK_EQ(frame.time.ns, i * NS_PER_S);
	}
	CHECK_EQ(source_next(source, &frame), SOURCE_END);
	source_close(&source);
}

static void
test_equal_times_come_in_the_order_given(void **state)
{
	const char *path[2];

	(void)state;
	path[0] = write_run("b.pcap", 5, 0, 3);
	path[1] = write_run("a.pcap", 5, 0, 3);
	CHECK_EQ(open_files(path, 2, NULL), 0);
	for (unsigned i = 0; i < 6; i++) {
		CHECK_EQ(next_port(), 5);
		CHECK_EQ(frame.file, i / 3);
	}
	source_close(&source);
}

static void
test_one_cut_file_does_not_end_the_others(void **state)
{
	struct maker *m = pcap_new(MICRO, ETHERNET, false);
	const char *path[2];

	(void)state;
	put_record(m, 1, 0, 1);
	put_record(m, 2, 0, 2);
	path[0] = write_part(m, m->n - 5, "cut.pcap");
	path[1] = write_run("whole.pcap", 11, 1, 2);
	CHECK_EQ(open_files(path, 2, NULL), 0);
	CHECK_EQ(next_port(), 1);
	CHECK_EQ(next_port(), 11);
	CHECK_EQ(next_port(), 12);
	CHECK_EQ(next_port(), 0);
	CHECK_EQ(cut_files(), 1);
	source_close(&source);
}

static size_t
open_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void
test_many_files_need_few_descriptors(void **state)
{
	const char *path[FILES_MAX];
	size_t before = open_descriptors();
	char name[16];

	(void)state;
	for (unsigned i = 0; i < FILES_MAX; i++) {
		snprintf(name, sizeof(name), "%u.pcap", i);
		path[i] = write_run(name, 1 + i * 10, 1, 3);
	}
	CHECK_EQ(open_files(path, FILES_MAX, NULL), 0);
	for (unsigned i = 0; i < FILES_MAX * 3; i++) {
		CHECK_EQ(next_port(), 1 + i / 3 * 10 + i % 3);
		CHECK(open_descriptors() <= before + 2);
	}
	CHECK_EQ(next_port(), 0);
	CHECK_EQ(open_descriptors(), before);
	source_close(&source);
}

static void
test_a_folder_stands_for_the_captures_in_it(void **state)
{
	char path[64], inner[80];
	const char *paths[1] = { path };

	(void)state;
	snprintf(path, sizeof(path), "%s/folder", folder);
	CHECK_EQ(mkdir(path, 0700), 0);
	CHECK_EQ(open_files(paths, 1, NULL), -1);
	CHECK(strstr(err, "/folder': no capture file in it") != NULL);
	write_run("folder/b", 1, 1, 1);
	write_run("folder/a", 2, 1, 1);
	write_part(pcap_new(MICRO, ETHERNET, false), 3, "folder/letter.pcap");
	snprintf(inner, sizeof(inner), "%s/inner", path);
	CHECK_EQ(mkdir(inner, 0700), 0);
	write_run("folder/inner/c", 3, 1, 1);
	CHECK_EQ(open_files(paths, 1, NULL), 0);
	CHECK_EQ(source_count(source), 2);
	CHECK_EQ(next_port(), 1);
	CHECK(strstr(source_name(source, frame.file), "/folder/b") != NULL);
	CHECK_EQ(next_port(), 2);
	CHECK_EQ(next_port(), 0);
	source_close(&source);
}

/* A pipe cannot be looked at and opened again. */
static void
read_standard_input(const char *beside)
{
	const char *paths[2] = { "-", beside };
	struct maker *m = beside ? pcapng_file(false) :
	    pcap_new(MICRO, ETHERNET, false);
	int ends[2], saved = dup(0);

	if (beside) {
		put_interface(m, ETHERNET, 0, 6, 0);
		put_packet(m, 0, 5000000, 5);
	} else {
		put_record(m, 5, 0, 5);
	}
	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(write(ends[1], m->at, m->n), m->n);
	free(m);
	close(ends[1]);
	CHECK_EQ(dup2(ends[0], 0), 0);
	close(ends[0]);
	clearerr(stdin);
	CHECK_EQ(open_files(paths, beside ? 2 : 1, NULL), 0);
	if (beside)
		CHECK_EQ(next_port(), 4);
	CHECK_EQ(next_port(), 5);
	CHECK_STR(source_name(source, frame.file), "-");
	if (beside)
		CHECK_EQ(next_port(), 6);
	CHECK_EQ(next_port(), 0);
	source_close(&source);
	CHECK_EQ(dup2(saved, 0), 0);
	close(saved);
	clearerr(stdin);
}

static void
test_standard_input_can_be_a_pipe(void **state)
{
	(void)state;
	read_standard_input(NULL);
	read_standard_input(write_run("x.pcap", 4, 2, 2));
}

static void
test_standard_input_can_be_named_once(void **state)
{
	static const char *const paths[2] = { "-", "-" };

	(void)state;
	CHECK_EQ(open_files(paths, 2, NULL), -1);
	CHECK(strstr(err, "standard input") == err);
}

static void
test_a_stopped_source_ends(void **state)
{
	(void)state;
	CHECK_EQ(open_one(write_run("x.pcap", 1, 1, 3)), 0);
	CHECK_EQ(next_port(), 1);
	source_stop(source);
	CHECK_EQ(next_port(), 0);
	source_close(&source);
}

static void
test_progress_is_in_bytes_of_all_files(void **state)
{
	const char *path[2];
	struct source_stats stats;

	(void)state;
	path[0] = write_run("a.pcap", 1, 1, 3);
	path[1] = write_run("b.pcap", 11, 1, 3);
	CHECK_EQ(open_files(path, 2, NULL), 0);
	source_stats(source, &stats);
	CHECK_EQ(stats.bytes_total, 2 * (24 + 3 * (16 + FRAME_BYTES)));
	while (next_port())
		continue;
	source_stats(source, &stats);
	CHECK(stats.bytes_read <= stats.bytes_total);
	CHECK(stats.bytes_read > stats.bytes_total - 100);
	source_close(&source);
}

static void
test_an_interface_that_is_not_there_is_named(void **state)
{
	static const char *const names[] = { "no-such-if0" };

	(void)state;
	CHECK_EQ(source_open_interfaces(names, 1, NULL, &source, err), -1);
	CHECK(strstr(err, "'no-such-if0'") != NULL);
	CHECK(source == NULL);
}

static int
make_folder(void **state)
{
	(void)state;
	log_set_verbose(-1);
	return mkdtemp(folder) ? 0 : -1;
}

static int
remove_folder(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pcap_file_is_read_in_either_byte_order_and_precision),
		cmocka_unit_test(test_time_goes_on_after_2038),
		cmocka_unit_test(test_link_types_are_as_libpcap_names_them),
		cmocka_unit_test(test_interfaces_of_a_pcapng_file_may_differ),
		cmocka_unit_test(test_every_resolution_and_offset_gives_nanoseconds),
		cmocka_unit_test(test_blocks_that_are_no_frames_are_passed),
		cmocka_unit_test(test_simple_packets_have_the_time_of_the_one_before),
		cmocka_unit_test(test_a_pcap_file_cut_anywhere_is_read_to_the_cut),
		cmocka_unit_test(test_a_pcapng_file_cut_anywhere_is_read_to_the_cut),
		cmocka_unit_test(test_a_cut_is_told_with_file_and_offset),
		cmocka_unit_test(test_a_damaged_record_ends_the_file_there),
		cmocka_unit_test(test_a_damaged_block_ends_the_file_there),
		cmocka_unit_test(test_what_is_no_capture_is_refused_by_name),
		cmocka_unit_test(test_a_capture_without_frames_is_sound),
		cmocka_unit_test(test_a_filter_passes_over_frames_and_not_over_their_numbers),
		cmocka_unit_test(test_a_filter_with_an_error_is_named),
		cmocka_unit_test(test_a_filter_fits_each_interface),
		cmocka_unit_test(test_files_are_read_in_the_order_of_their_time),
		cmocka_unit_test(test_files_that_overlap_are_merged),
		cmocka_unit_test(test_frames_at_hand_come_in_batches_and_stay),
		cmocka_unit_test(test_frames_that_are_held_stay_when_the_source_is_closed),
		cmocka_unit_test(test_what_can_be_held_is_bounded),
		cmocka_unit_test(test_a_batch_ends_where_another_file_is_due),
		cmocka_unit_test(test_a_batch_ends_before_a_damaged_record),
		cmocka_unit_test(test_old_pcap_variants_are_read),
		cmocka_unit_test(test_a_frame_is_no_longer_than_the_file_keeps),
		cmocka_unit_test(test_equal_times_come_in_the_order_given),
		cmocka_unit_test(test_one_cut_file_does_not_end_the_others),
		cmocka_unit_test(test_many_files_need_few_descriptors),
		cmocka_unit_test(test_a_folder_stands_for_the_captures_in_it),
		cmocka_unit_test(test_standard_input_can_be_a_pipe),
		cmocka_unit_test(test_standard_input_can_be_named_once),
		cmocka_unit_test(test_a_stopped_source_ends),
		cmocka_unit_test(test_progress_is_in_bytes_of_all_files),
		cmocka_unit_test(test_an_interface_that_is_not_there_is_named),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
