/* evidence_pcapng.c - picked packets as a pcapng file (draft-ietf-opsawg-pcapng)
 * that Wireshark opens: a section comment with the verdict, and for each packet
 * where it came from and what it is evidence of.
 *
 * Blocks are written in the machine's byte order, as the format allows: the
 * byte-order magic tells. */
#include "detectors/evidence_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_PACKET = 6,
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,
	OPTION_END = 0, OPTION_COMMENT = 1, OPTION_IF_NAME = 2,
	OPTION_IF_TSRESOL = 9, OPTION_SHB_USERAPPL = 4,
	NANOSECONDS = 9,
	INTERFACES_MAX = 256,
};

/* An interface of the file: an input's with one link type. */
struct source_id {
	uint32_t file, interface;
	int link_type;
};

struct writer {
	FILE *out;
	const struct evidence_settings *settings;
	size_t interface_count;
	struct source_id interface[INTERFACES_MAX];
};

/* A block in the making: its body. */
struct block {
	FILE *file;
	char *body;
	size_t bytes;
};

static void
put16(FILE *f, unsigned v)
{
	uint16_t n = (uint16_t)v;

	fwrite(&n, sizeof(n), 1, f);
}

static void
put32(FILE *f, uint32_t v)
{
	fwrite(&v, sizeof(v), 1, f);
}

static void
put_padded(FILE *f, const void *data, size_t bytes)
{
	static const char none[4];

	fwrite(data, 1, bytes, f);
	fwrite(none, 1, (4 - bytes % 4) % 4, f);
}

static void
put_option(FILE *f, unsigned code, const void *value, size_t bytes)
{
	size_t most = bytes < 65535 ? bytes : 65535;

	put16(f, code);
	put16(f, (unsigned)most);
	put_padded(f, value, most);
}

static void
put_text(FILE *f, unsigned code, const char *text)
{
	if (*text)
		put_option(f, code, text, strlen(text));
}

static int
block_open(struct block *b)
{
	*b = (struct block){ 0 };
	b->file = open_memstream(&b->body, &b->bytes);
	return b->file ? 0 : -1;
}

static int
block_close(struct block *b, uint32_t type, FILE *out)
{
	int failed = fclose(b->file);
	uint32_t whole = (uint32_t)b->bytes + 12;

	if (!failed) {
		put32(out, type);
		put32(out, whole);
		fwrite(b->body, 1, b->bytes, out);
		put32(out, whole);
	}
	free(b->body);
	return failed ? -1 : 0;
}

static int
write_section(const struct writer *w, const char *comment)
{
	struct block b;

	if (block_open(&b))
		return -1;
	put32(b.file, BYTE_ORDER_MAGIC);
	put16(b.file, 1);
	put16(b.file, 0);
	put32(b.file, UINT32_MAX);	/* length of the section: not given */
	put32(b.file, UINT32_MAX);
	put_text(b.file, OPTION_COMMENT, comment);
	put_text(b.file, OPTION_SHB_USERAPPL, PACKAGE_NAME " " PACKAGE_VERSION);
	put_option(b.file, OPTION_END, "", 0);
	return block_close(&b, BLOCK_SECTION, w->out);
}

static int
write_interface(const struct writer *w, const struct source_id *id)
{
	const char *name = w->settings->input_name(w->settings->context,
	    id->file);
	const uint8_t resolution = NANOSECONDS;
	struct block b;

	if (block_open(&b))
		return -1;
	put16(b.file, (unsigned)id->link_type);
	put16(b.file, 0);
	put32(b.file, 0);		/* no snap length */
	put_text(b.file, OPTION_IF_NAME, name ? name : "");
	put_option(b.file, OPTION_IF_TSRESOL, &resolution, 1);
	put_option(b.file, OPTION_END, "", 0);
	return block_close(&b, BLOCK_INTERFACE, w->out);
}

/* Its number in the file; written when it is new. -1: too many, or no memory. */
static int
interface_of(struct writer *w, const struct frame *f)
{
	struct source_id id = { f->file, f->interface, f->link_type };

	for (size_t i = 0; i < w->interface_count; i++)
		if (memcmp(&w->interface[i], &id, sizeof(id)) == 0)
			return (int)i;
	if (w->interface_count == INTERFACES_MAX || write_interface(w, &id))
		return -1;
	w->interface[w->interface_count] = id;
	return (int)w->interface_count++;
}

static void
put_comment(const struct writer *w, FILE *f, const struct picked *p)
{
	const char *name = w->settings->input_name(w->settings->context,
	    p->frame.file);
	char text[512];
	int n = snprintf(text, sizeof(text), "frame %llu of %.300s",
	    (unsigned long long)p->frame.number, name ? name : "the capture");

	if (p->is_evidence && n > 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n,
		    ": evidence of finding %llu",
		    (unsigned long long)p->finding_id);
	put_text(f, OPTION_COMMENT, text);
}

static int
write_packet(struct writer *w, const struct picked *p)
{
	int interface = interface_of(w, &p->frame);
	uint64_t ns = p->frame.time.ns > 0 ? (uint64_t)p->frame.time.ns : 0;
	struct block b;

	if (interface < 0 || block_open(&b))
		return -1;
	put32(b.file, (uint32_t)interface);
	put32(b.file, (uint32_t)(ns >> 32));
	put32(b.file, (uint32_t)ns);
	put32(b.file, p->frame.captured_bytes);
	put32(b.file, p->frame.wire_bytes);
	put_padded(b.file, p->frame.data, p->frame.captured_bytes);
	put_comment(w, b.file, p);
	put_option(b.file, OPTION_END, "", 0);
	return block_close(&b, BLOCK_PACKET, w->out);
}

int
pcapng_write(const struct pick *pick, const char *comment,
    const struct evidence_settings *settings, char **data, size_t *bytes)
{
	struct writer w = { .settings = settings };
	int failed;

	*data = NULL;
	w.out = open_memstream(data, bytes);
	failed = !w.out || write_section(&w, comment);
	for (size_t i = 0; i < pick->count && !failed; i++)
		failed = write_packet(&w, &pick->packet[i]);
	if (w.out)
		failed |= ferror(w.out) | fclose(w.out);
	if (!failed)
		return 0;
	free(*data);
	*data = NULL;
	return -1;
}
