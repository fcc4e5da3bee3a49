/* source_pcap.c - classic pcap files, read in large blocks (draft-ietf-opsawg-
 * pcap; the older variants as pcap-savefile(5) and Wireshark's wiretap know
 * them).
 *
 * A capture is read faster than anything else is done with it, if nothing is
 * done for each frame but to find where it ends: frames are handed out where
 * they lie in the block, and stay there until the block is used up, or for longer
 * if somebody holds it. The hard part is a pipe, which must not be waited for
 * while a whole record is at hand, and whose first byte was read by whoever asked
 * what it is. */
#include "capture/source_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BLOCK_BYTES = 128 << 10,	/* stays in the second-level cache */
	FILE_HEADER = 24,
	RECORD_HEADER = 16, RECORD_HEADER_MODIFIED = 24,
	MAJOR = 2, MINOR_MAX = 4, MINOR_SWAPPED = 3,
	/* A frame of these link types may be larger; it is cut. */
	LINK_DBUS = 231, LINK_USBPCAP = 249, LINK_EBHSCR = 279,
	LARGE_FRAME_BYTES_MAX = 128 << 20,
	/* Blocks of a file that may be held at a time: 16 MiB in frames of the
	 * usual size. */
	BLOCKS_MAX = 128,
};

/* Blocks come and go within a pool, which is there as long as one of them is. */
struct block_pool {
	struct source_block *spare;
	unsigned blocks;		/* made, spare ones too */
	bool is_closed;			/* no more are wanted */
};

struct source_block {
	struct block_pool *pool;
	struct source_block *next;	/* spare */
	unsigned users;			/* the file, and who holds it */
	uint8_t bytes[FRAME_BYTES_MAX + RECORD_HEADER_MODIFIED + BLOCK_BYTES];
};

struct pcap_file {
	int fd;
	bool big_endian, ended;
	uint8_t minor;
	size_t record_header;
	int64_t tick_ns;
	uint32_t snap_bytes, record_max;
	int link_type;
	uint64_t offset, next_offset;	/* of this record, of the one after */
	uint64_t skip;			/* bytes of this record not yet read */
	size_t at, end;			/* what is left in the block */
	struct block_pool *pool;
	struct source_block *block;
};

struct record_head {
	uint32_t seconds, fraction, captured, wire;
};

static inline uint32_t
get32(const struct pcap_file *p, struct bytes *b)
{
	return p->big_endian ? bytes_be32(b) : bytes_le32(b);
}

static uint16_t
get16(const struct pcap_file *p, struct bytes *b)
{
	return p->big_endian ? bytes_be16(b) : bytes_le16(b);
}

/* --- blocks ----------------------------------------------------------------------- */

/* One more to spare. It is left as it is: it is large, and filled before use. */
static bool
block_make(struct block_pool *pool)
{
	struct source_block *b = malloc(sizeof(*b));

	if (!b)
		return false;
	b->pool = pool;
	b->next = pool->spare;
	pool->spare = b;
	pool->blocks++;
	return true;
}

static struct source_block *
block_take(struct block_pool *pool)
{
	struct source_block *b = pool->spare;

	pool->spare = b->next;
	b->users = 1;
	return b;
}

static void
pool_shrink(struct block_pool *pool)
{
	while (pool->spare) {
		struct source_block *b = pool->spare;

		pool->spare = b->next;
		pool->blocks--;
		free(b);
	}
	if (!pool->blocks)
		free(pool);
}

void
source_let_go(struct source_block *b)
{
	struct block_pool *pool = b->pool;

	if (--b->users)
		return;
	b->next = pool->spare;
	pool->spare = b;
	if (pool->is_closed)
		pool_shrink(pool);
}

struct source_block *
pcap_file_hold(struct pcap_file *p)
{
	struct block_pool *pool = p->pool;

	if (!pool->spare && (pool->blocks > BLOCKS_MAX || !block_make(pool)))
		return NULL;
	p->block->users++;
	return p->block;
}

/* What is left in the block to the front of it, or of another where somebody holds
 * this one: there is one to spare then. */
static void
to_front(struct pcap_file *p)
{
	struct source_block *old = p->block;

	if (old->users > 1)
		p->block = block_take(p->pool);
	memmove(p->block->bytes, old->bytes + p->at, p->end - p->at);
	if (p->block != old)
		source_let_go(old);
	p->end -= p->at;
	p->at = 0;
}

/* --- the file --------------------------------------------------------------------- */

/* Have `n` bytes in the block, if the file has them: RECORD_FRAME, or _CUT, or
 * _ERROR. What is there already is moved to its front. */
static enum record_result
fill(struct pcap_file *p, size_t n)
{
	if (p->end - p->at >= n)
		return RECORD_FRAME;
	to_front(p);
	while (p->end < n && !p->ended) {
		size_t room = sizeof(p->block->bytes) - p->end;
		ssize_t got = read(p->fd, p->block->bytes + p->end,
		    room < BLOCK_BYTES ? room : BLOCK_BYTES);

		if (got < 0)
			return RECORD_ERROR;
		p->ended = got == 0;
		p->end += (size_t)got;
	}
	return p->end >= n ? RECORD_FRAME : RECORD_CUT;
}

static struct bytes
at_hand(const struct pcap_file *p)
{
	return bytes_of(p->block->bytes + p->at, p->end - p->at);
}

static bool
read_magic(struct pcap_file *p, struct bytes *b)
{
	static const struct {
		uint32_t magic;
		int64_t tick_ns;
		size_t record_header;
	} kinds[] = {
		{ 0xa1b2c3d4, 1000, RECORD_HEADER },
		{ 0xa1b23c4d, 1, RECORD_HEADER },
		{ 0xa1b2cd34, 1000, RECORD_HEADER_MODIFIED },
	};
	struct bytes again = *b;
	uint32_t big = bytes_be32(b), little = bytes_le32(&again);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].magic != big && kinds[i].magic != little)
			continue;
		p->big_endian = kinds[i].magic == big;
		p->tick_ns = kinds[i].tick_ns;
		p->record_header = kinds[i].record_header;
		return true;
	}
	return false;
}

static const char *
read_file_header(struct pcap_file *p)
{
	struct bytes b = at_hand(p);
	uint32_t type;

	if (!read_magic(p, &b))
		return "its first bytes are of no format that is known";
	if (get16(p, &b) != MAJOR)
		return "it is of an unknown version of the format";
	p->minor = (uint8_t)get16(p, &b);
	if (p->minor > MINOR_MAX)
		return "it is of an unknown version of the format";
	bytes_skip(&b, 8);
	p->snap_bytes = get32(p, &b);
	if (!p->snap_bytes || p->snap_bytes > INT32_MAX)
		p->snap_bytes = FRAME_BYTES_MAX;
	type = get32(p, &b) & 0x3ffffff;	/* above: the length of a FCS */
	p->link_type = link_type_of_file(type);
	p->record_max = type == LINK_DBUS || type == LINK_USBPCAP ||
	    type == LINK_EBHSCR ? LARGE_FRAME_BYTES_MAX : FRAME_BYTES_MAX;
	p->at += FILE_HEADER;
	p->next_offset = FILE_HEADER;
	return NULL;
}

int
pcap_file_new(int fd, uint8_t first_byte, struct pcap_file **out,
    const char **why)
{
	struct pcap_file *p = calloc(1, sizeof(*p));

	*why = NULL;
	*out = p;
	if (!p)
		return -1;
	p->fd = fd;
	p->pool = calloc(1, sizeof(*p->pool));
	if (!p->pool || !block_make(p->pool)) {
		pcap_file_free(out);
		return -1;
	}
	p->block = block_take(p->pool);
	p->block->bytes[p->end++] = first_byte;
	switch (fill(p, FILE_HEADER)) {
	case RECORD_FRAME:
		*why = read_file_header(p);
		break;
	case RECORD_ERROR:
		break;
	default:
		*why = "it ends before its first record";
	}
	if (!*why && p->at)
		return 0;
	pcap_file_free(out);
	return -1;
}

void
pcap_file_free(struct pcap_file **pp)
{
	struct pcap_file *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	if (p->pool)
		p->pool->is_closed = true;
	if (p->block)
		source_let_go(p->block);
	else
		free(p->pool);
	free(p);
}

int
pcap_file_link_type(const struct pcap_file *p)
{
	return p->link_type;
}

uint64_t
pcap_file_offset(const struct pcap_file *p)
{
	return p->offset;
}

/* Files before version 2.3 had the two lengths the other way round, and so have
 * some of 2.3. All of the head is at hand: that is asked once, here, and not at
 * each of its fields. */
static inline struct record_head
read_head(const struct pcap_file *p)
{
	struct bytes b = bytes_of(p->block->bytes + p->at, RECORD_HEADER);
	struct record_head h = { .seconds = get32(p, &b),
		.fraction = get32(p, &b), .captured = get32(p, &b),
		.wire = get32(p, &b) };

	if (p->minor < MINOR_SWAPPED ||
	    (p->minor == MINOR_SWAPPED && h.captured > h.wire)) {
		uint32_t captured = h.wire;

		h.wire = h.captured;
		h.captured = captured;
	}
	return h;
}

/* As much of a record as is handed out: no more than the file says it keeps. */
static uint32_t
kept(const struct pcap_file *p, uint32_t captured)
{
	if (captured > p->snap_bytes)
		captured = p->snap_bytes;
	return captured < FRAME_BYTES_MAX ? captured : FRAME_BYTES_MAX;
}

/* Hand out a record whose head is `h` and of which `n` bytes are wanted, all of
 * them in the block. */
static void
hand_out(struct pcap_file *p, const struct record_head *h, uint32_t n,
    struct frame *f)
{
	/* Seconds are unsigned in the file: they last until 2106. */
	f->time.ns = (int64_t)h->seconds * NS_PER_S +
	    (int32_t)h->fraction * p->tick_ns;
	f->captured_bytes = n;
	f->wire_bytes = h->wire < n ? n : h->wire;
	f->data = p->block->bytes + p->at + p->record_header;
	f->number++;
	p->at += p->record_header + n;
	p->skip = h->captured - n;
	p->next_offset += p->record_header + h->captured;
}

bool
pcap_file_next_at_hand(struct pcap_file *p, struct frame *f)
{
	size_t left = p->end - p->at;
	struct record_head h;

	if (p->skip || left < p->record_header)
		return false;
	h = read_head(p);
	if (h.captured > p->record_max || left - p->record_header < h.captured)
		return false;
	p->offset = p->next_offset;
	hand_out(p, &h, kept(p, h.captured), f);
	return true;
}

/* Pass over what is left of the record before. */
static enum record_result
skip_rest(struct pcap_file *p)
{
	while (p->skip) {
		size_t n = p->skip < BLOCK_BYTES ? (size_t)p->skip : BLOCK_BYTES;
		enum record_result r = fill(p, n);

		if (r != RECORD_FRAME)
			return r;
		p->at += n;
		p->skip -= n;
	}
	return RECORD_FRAME;
}

static enum record_result
cut(enum record_result r, const char **why)
{
	if (r == RECORD_CUT)
		*why = "the file ends in the middle of a record";
	return r;
}

enum record_result
pcap_file_next(struct pcap_file *p, struct frame *f, const char **why)
{
	enum record_result r = skip_rest(p);
	struct record_head h;
	uint32_t n;

	if (r != RECORD_FRAME)
		return cut(r, why);
	p->offset = p->next_offset;
	r = fill(p, p->record_header);
	if (r == RECORD_CUT && p->end == p->at)
		return RECORD_END;
	if (r != RECORD_FRAME)
		return cut(r, why);
	h = read_head(p);
	if (h.captured > p->record_max) {
		*why = "a record claims to be larger than any frame is";
		return RECORD_DAMAGED;
	}
	n = kept(p, h.captured);
	r = fill(p, p->record_header + n);
	if (r != RECORD_FRAME)
		return cut(r, why);
	hand_out(p, &h, n, f);
	return RECORD_FRAME;
}
