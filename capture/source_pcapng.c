/* source_pcapng.c - pcapng, read by ourselves (draft-ietf-opsawg-pcapng).
 *
 * libpcap gives a pcapng file as if it had one interface: it refuses a file
 * whose interfaces differ in link type, and does not say which of them a frame
 * came from. Captures of several mirror ports are just such files.
 *
 * The hard part is damage: a block names its length before and after, and only
 * when both agree, and what is inside fits, is it believed. */
#include "capture/source_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum block_type {		/* section 11.1 */
	BLOCK_INTERFACE = 1, BLOCK_PACKET = 2, BLOCK_SIMPLE_PACKET = 3,
	BLOCK_ENHANCED_PACKET = 6, BLOCK_SECTION = 0x0a0d0d0a,
	/* No frames, but Wireshark numbers them as if they were, and numbers
	 * here are for looking up there. */
	BLOCK_JOURNAL = 9, BLOCK_SYSDIG = 0x204,
	BLOCK_CUSTOM = 0xbad, BLOCK_CUSTOM_NO_COPY = 0x40000bad,
};

enum {
	BLOCK_BYTES_MIN = 12,
	/* Far more than a frame and its options; a length beyond this is not
	 * one. */
	BLOCK_BYTES_MAX = 16 << 20,
	/* A file is not told how many interfaces it may have. */
	INTERFACES_MAX = 65536,
	OPTION_END = 0, OPTION_TSRESOL = 9, OPTION_TSOFFSET = 14,
};

static const uint32_t byte_order_magic = 0x1a2b3c4d;

struct interface {
	int link_type;
	uint32_t snap_bytes;	/* 0: no limit */
	uint8_t resolution;	/* if_tsresol as it stands */
	int64_t offset_s;
};

struct pcapng {
	FILE *in;
	uint64_t offset;	/* where the block at hand begins */
	uint64_t next_offset;
	bool big_endian;
	bool in_section;	/* or else nothing has been read yet */
	uint64_t frames;
	struct instant last;	/* for packets without a time */
	uint32_t section_first;	/* interfaces of earlier sections */
	uint32_t interface_count, interface_room;
	struct interface *interface;
	uint8_t *block;
	size_t block_room;
};

struct pcapng *
pcapng_new(FILE *in)
{
	struct pcapng *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->in = in;
	return n;
}

void
pcapng_free(struct pcapng **np)
{
	struct pcapng *n = *np;

	*np = NULL;
	if (!n)
		return;
	free(n->interface);
	free(n->block);
	free(n);
}

uint64_t
pcapng_offset(const struct pcapng *n)
{
	return n->offset;
}

static uint16_t
get16(const struct pcapng *n, struct bytes *b)
{
	return n->big_endian ? bytes_be16(b) : bytes_le16(b);
}

static uint32_t
get32(const struct pcapng *n, struct bytes *b)
{
	return n->big_endian ? bytes_be32(b) : bytes_le32(b);
}

static enum record_result
damaged(const char **why, const char *text)
{
	*why = text;
	return RECORD_DAMAGED;
}

static enum record_result
read_failed(struct pcapng *n, const char **why)
{
	if (ferror(n->in))
		return RECORD_ERROR;
	*why = "the file ends in the middle of a block";
	return RECORD_CUT;
}

/* Type and length; of a section also the byte order, in which its length is
 * written. Leaves the `got` bytes it read in `head`. */
static enum record_result
read_head(struct pcapng *n, uint8_t head[12], size_t *got, const char **why)
{
	static const uint8_t section[4] = { 0x0a, 0x0d, 0x0d, 0x0a };
	struct bytes b;

	n->offset = n->next_offset;
	*got = fread(head, 1, 8, n->in);
	if (*got == 0 && !ferror(n->in))
		return RECORD_END;
	if (*got != 8)
		return read_failed(n, why);
	if (memcmp(head, section, sizeof(section)) != 0)
		return n->in_section ? RECORD_FRAME :
		    damaged(why, "it does not begin with a section");
	*got += fread(head + 8, 1, 4, n->in);
	if (*got != 12)
		return read_failed(n, why);
	b = bytes_of(head + 8, 4);
	n->big_endian = bytes_be32(&b) == byte_order_magic;
	b = bytes_of(head + 8, 4);
	if (!n->big_endian && bytes_le32(&b) != byte_order_magic)
		return damaged(why, "a section has no byte-order magic");
	n->in_section = true;
	return RECORD_FRAME;
}

static bool
make_room(struct pcapng *n, size_t bytes)
{
	size_t room = n->block_room ? n->block_room : 4096;
	uint8_t *larger;

	if (bytes <= n->block_room)
		return true;
	while (room < bytes)
		room *= 2;
	larger = realloc(n->block, room);
	if (!larger)
		return false;
	n->block = larger;
	n->block_room = room;
	return true;
}

/* The next block: its type and body, without the lengths around it. */
static enum record_result
read_block(struct pcapng *n, uint32_t *type, struct bytes *body,
    const char **why)
{
	uint8_t head[12];
	size_t got = 0;
	enum record_result r = read_head(n, head, &got, why);
	struct bytes b = bytes_of(head, got);
	uint32_t length, trailer;

	if (r != RECORD_FRAME)
		return r;
	*type = get32(n, &b);
	length = get32(n, &b);
	if (length < BLOCK_BYTES_MIN || length < got + 4 ||
	    length > BLOCK_BYTES_MAX)
		return damaged(why, "a block has an impossible length");
	length = (length + 3) & ~3u;	/* some writers forget the padding */
	if (!make_room(n, length))
		return RECORD_ERROR;
	memcpy(n->block, head, got);
	if (fread(n->block + got, 1, length - got, n->in) != length - got)
		return read_failed(n, why);
	n->next_offset = n->offset + length;
	b = bytes_of(n->block + length - 4, 4);
	trailer = get32(n, &b);
	if (((trailer + 3) & ~3u) != length)
		return damaged(why, "a block's two lengths disagree");
	*body = bytes_of(n->block + 8, length - 12);
	return RECORD_FRAME;
}

/* Section 3.5: the options that tell how to read a time. */
static void
interface_options(const struct pcapng *n, struct bytes b, struct interface *i)
{
	while (b.left >= 4) {
		uint16_t code = get16(n, &b), length = get16(n, &b);
		struct bytes value = bytes_sub(&b, length);

		if (code == OPTION_END || bytes_ran_out(value))
			return;
		if (code == OPTION_TSRESOL && length == 1)
			i->resolution = bytes_u8(&value);
		if (code == OPTION_TSOFFSET && length == 8)
			i->offset_s = (int64_t)(n->big_endian ?
			    bytes_be64(&value) : bytes_le64(&value));
		bytes_skip(&b, -(size_t)length & 3);
	}
}

static enum record_result
take_interface(struct pcapng *n, struct bytes b, const char **why)
{
	struct interface i = { .resolution = 6 }, *larger;
	uint32_t room = n->interface_room ? n->interface_room * 2 : 4;

	i.link_type = link_type_of_file(get16(n, &b));
	bytes_skip(&b, 2);
	i.snap_bytes = get32(n, &b);
	if (bytes_ran_out(b))
		return damaged(why, "an interface description is too short");
	interface_options(n, b, &i);
	if (n->interface_count == INTERFACES_MAX)
		return damaged(why, "too many interfaces");
	if (n->interface_count == n->interface_room) {
		larger = realloc(n->interface, room * sizeof(*larger));
		if (!larger)
			return RECORD_ERROR;
		n->interface = larger;
		n->interface_room = room;
	}
	n->interface[n->interface_count++] = i;
	return RECORD_FRAME;
}

/* Section 4.2, if_tsresol: with the high bit, units of 2^-n s; without, of
 * 10^-n s. Far times saturate: they are nonsense, but not undefined. */
static int64_t
ns_of_units(uint64_t units, uint8_t resolution)
{
	unsigned n = resolution & 0x7f;
	uint64_t second, rest;

	if (resolution & 0x80) {
		second = n < 64 ? units >> n : 0;
		rest = n < 64 ? units & ((UINT64_C(1) << n) - 1) : units;
		if (n > 30) {		/* so that the product fits */
			rest = n - 30 < 64 ? rest >> (n - 30) : 0;
			n = 30;
		}
		rest = rest * (uint64_t)NS_PER_S >> n;
		if (second > (uint64_t)(INT64_MAX / NS_PER_S - 1))
			return INT64_MAX;
		return (int64_t)(second * (uint64_t)NS_PER_S + rest);
	}
	for (; n > 9; n--)
		units /= 10;
	for (; n < 9; n++) {
		if (units > INT64_MAX / 10)
			return INT64_MAX;
		units *= 10;
	}
	return (int64_t)(units < INT64_MAX ? units : INT64_MAX);
}

static struct instant
time_of(const struct interface *i, uint64_t units)
{
	int64_t ns = ns_of_units(units, i->resolution);
	int64_t limit = INT64_MAX / NS_PER_S - 1;

	if (i->offset_s > limit || i->offset_s < -limit)
		return (struct instant){ ns };
	if (i->offset_s > 0 && ns > INT64_MAX - i->offset_s * NS_PER_S)
		return (struct instant){ INT64_MAX };
	return (struct instant){ ns + i->offset_s * NS_PER_S };
}

static enum record_result
take_frame(struct pcapng *n, struct frame *f, uint32_t interface,
    struct bytes data, const char **why)
{
	uint32_t count = n->interface_count - n->section_first;

	if (interface >= count)
		return damaged(why, "a packet of an interface not described");
	if (bytes_ran_out(data))
		return damaged(why, "a packet longer than its block");
	if (data.left > FRAME_BYTES_MAX)
		return damaged(why, "a packet of an impossible length");
	f->interface = n->section_first + interface;
	f->link_type = n->interface[f->interface].link_type;
	f->captured_bytes = (uint32_t)data.left;
	f->data = data.at;
	if (f->wire_bytes < f->captured_bytes)
		f->wire_bytes = f->captured_bytes;
	f->number = ++n->frames;
	n->last = f->time;
	return RECORD_FRAME;
}

/* Sections 4.3 and A: the obsolete block counts drops where the other has the
 * rest of the interface's number. */
static enum record_result
take_packet(struct pcapng *n, struct bytes b, bool enhanced, struct frame *f,
    const char **why)
{
	uint32_t interface = enhanced ? get32(n, &b) : get16(n, &b), captured;
	uint32_t count = n->interface_count - n->section_first;
	uint64_t units;

	if (!enhanced)
		bytes_skip(&b, 2);
	units = (uint64_t)get32(n, &b) << 32;
	units |= get32(n, &b);
	captured = get32(n, &b);
	f->wire_bytes = get32(n, &b);
	if (interface < count)
		f->time = time_of(&n->interface[n->section_first + interface],
		    units);
	return take_frame(n, f, interface, bytes_sub(&b, captured), why);
}

/* Section 4.4: no time, and the length is what the snap length left. */
static enum record_result
take_simple_packet(struct pcapng *n, struct bytes b, struct frame *f,
    const char **why)
{
	uint32_t captured = f->wire_bytes = get32(n, &b);
	uint32_t snap = 0;

	if (n->interface_count > n->section_first)
		snap = n->interface[n->section_first].snap_bytes;
	if (snap && captured > snap)
		captured = snap;
	f->time = n->last;
	return take_frame(n, f, 0, bytes_sub(&b, captured), why);
}

enum record_result
pcapng_next(struct pcapng *n, struct frame *f, const char **why)
{
	enum record_result r = RECORD_FRAME;
	uint32_t type;
	struct bytes body;

	while (r == RECORD_FRAME) {
		r = read_block(n, &type, &body, why);
		if (r != RECORD_FRAME)
			break;
		switch (type) {
		case BLOCK_SECTION:
			n->section_first = n->interface_count;
			break;
		case BLOCK_INTERFACE:
			r = take_interface(n, body, why);
			break;
		case BLOCK_ENHANCED_PACKET:
		case BLOCK_PACKET:
			return take_packet(n, body,
			    type == BLOCK_ENHANCED_PACKET, f, why);
		case BLOCK_SIMPLE_PACKET:
			return take_simple_packet(n, body, f, why);
		case BLOCK_JOURNAL:
		case BLOCK_SYSDIG:
		case BLOCK_CUSTOM:
		case BLOCK_CUSTOM_NO_COPY:
			n->frames++;
			break;
		default:
			break;
		}
	}
	return r;
}
