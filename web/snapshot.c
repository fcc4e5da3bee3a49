/* snapshot.c - one state of a run, ready to be served.
 *
 * What comes in are the page and the JSON lines that -T json would put out: the
 * contract, and nothing of the engine. The records become one array a kind, in
 * which each record keeps its place; an answer to a filter is made of the pieces
 * that it selects, so that no request copies text. */
#include "web/snapshot.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/metrics.h"

enum { IP_BYTES = 48, NAME_BYTES = 64 };

struct record {
	size_t at, bytes;		/* in its array's text */
	char server[IP_BYTES], name[NAME_BYTES], finding[NAME_BYTES];
};

struct document {
	char *text;
	size_t bytes;
	uint64_t tag;
	struct record *record;		/* of an array */
	size_t count, room;
	FILE *out;			/* while it grows */
};

struct snapshot {
	atomic_uint references;
	struct document document[RESOURCE_COUNT];
};

static const char array_open[] = "[\n", array_next[] = ",\n",
    array_close[] = "\n]\n";

static const struct kind {
	const char *event_type;
	enum resource resource;
} kinds[] = {
	{ "capture", RESOURCE_CAPTURE }, { "server", RESOURCE_SERVERS },
	{ "incident", RESOURCE_INCIDENTS }, { "finding", RESOURCE_FINDINGS },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* FNV-1a: tells two states apart, and is no proof against malice. */
static const uint64_t tag_start = 0xcbf29ce484222325u;

static uint64_t
tag_over(uint64_t tag, const void *from, size_t n)
{
	const unsigned char *at = from;

	for (size_t i = 0; i < n; i++)
		tag = (tag ^ at[i]) * 0x100000001b3u;
	return tag;
}

/* Making one ---------------------------------------------------------------- */

static void
copy_text(char *out, size_t size, const json_t *value)
{
	const char *text = json_string_value(value);

	snprintf(out, size, "%s", text ? text : "");
}

static int
add_record(struct document *d, const char *line, size_t n, const json_t *event)
{
	const json_t *server = json_object_get(event, "server");
	struct record *r;

	if (d->count == d->room) {
		size_t room = d->room ? 2 * d->room : 16;
		struct record *more = realloc(d->record, room * sizeof(*more));

		if (!more)
			return -1;
		d->record = more;
		d->room = room;
	}
	fputs(d->count ? array_next : array_open, d->out);
	r = &d->record[d->count++];
	r->at = (size_t)ftell(d->out);
	r->bytes = n;
	copy_text(r->server, sizeof(r->server), json_object_get(server, "ip"));
	copy_text(r->name, sizeof(r->name), json_object_get(server, "name"));
	copy_text(r->finding, sizeof(r->finding),
	    json_object_get(event, "finding"));
	return fwrite(line, 1, n, d->out) == n ? 0 : -1;
}

static int
add_line(struct snapshot *s, struct metrics *m, const char *line, size_t n)
{
	json_t *event = json_loadb(line, n, 0, NULL);
	const char *type = json_string_value(json_object_get(event,
	    "event_type"));
	int failed = type ? 0 : -1;

	for (int k = 0; k < KINDS && type; k++)
		if (strcmp(type, kinds[k].event_type) == 0)
			failed = add_record(&s->document[kinds[k].resource],
			    line, n, event);
	if (type)
		metrics_add(m, type, event);
	json_decref(event);
	return failed;
}

static int
add_lines(struct snapshot *s, struct metrics *m, const char *lines, size_t bytes)
{
	const char *at = lines, *end = lines + bytes;

	while (at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));

		if (!eol)
			eol = end;
		if (eol > at && add_line(s, m, at, (size_t)(eol - at)))
			return -1;
		at = eol + 1;
	}
	return 0;
}

static int
open_document(struct document *d)
{
	d->out = open_memstream(&d->text, &d->bytes);
	return d->out ? 0 : -1;
}

static int
close_document(struct document *d)
{
	bool failed = !d->out || ferror(d->out);

	if (d->out)
		failed |= fclose(d->out) != 0;
	d->out = NULL;
	if (!failed)
		d->tag = tag_over(tag_start, d->text, d->bytes);
	return failed ? -1 : 0;
}

/* All but the page. */
static int
fill(struct snapshot *s, const char *lines, size_t bytes, const char *style)
{
	struct metrics m = { 0 };
	int failed = 0;

	for (int i = RESOURCE_STYLE; i < RESOURCE_COUNT; i++)
		failed |= open_document(&s->document[i]);
	failed = failed || add_lines(s, &m, lines, bytes);
	if (!failed) {
		for (int k = 0; k < KINDS; k++) {
			struct document *d = &s->document[kinds[k].resource];

			fputs(d->count ? array_close : "[]\n", d->out);
		}
		fputs(style, s->document[RESOURCE_STYLE].out);
		fputs("ok\n", s->document[RESOURCE_HEALTH].out);
		metrics_write(&m, s->document[RESOURCE_METRICS].out);
	}
	for (int i = RESOURCE_STYLE; i < RESOURCE_COUNT; i++)
		failed |= close_document(&s->document[i]);
	return failed;
}

struct snapshot *
snapshot_new(char **page, size_t page_bytes, char **lines, size_t lines_bytes,
    const char *style)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct document *d;
	int failed = -1;

	if (s) {
		atomic_init(&s->references, 1);
		d = &s->document[RESOURCE_PAGE];
		d->text = *page;
		d->bytes = page_bytes;
		d->tag = tag_over(tag_start, d->text, d->bytes);
		*page = NULL;
		failed = fill(s, *lines, lines_bytes, style);
	}
	free(*page);
	free(*lines);
	*page = *lines = NULL;
	if (failed && s)
		snapshot_release(&s);
	return s;
}

struct snapshot *
snapshot_hold(struct snapshot *s)
{
	atomic_fetch_add(&s->references, 1);
	return s;
}

void
snapshot_release(struct snapshot **snapshot)
{
	struct snapshot *s = *snapshot;

	*snapshot = NULL;
	if (!s || atomic_fetch_sub(&s->references, 1) > 1)
		return;
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		free(s->document[i].text);
		free(s->document[i].record);
	}
	free(s);
}

/* Asking one ---------------------------------------------------------------- */

static bool
selects(const struct record_filter *f, const struct record *r)
{
	if (f->finding && strcmp(f->finding, r->finding) != 0)
		return false;
	return !f->server || strcmp(f->server, r->server) == 0 ||
	    (*r->name && strcmp(f->server, r->name) == 0);
}

static void
add_piece(struct body *b, const char *at, size_t n)
{
	b->piece[b->count++] = (struct iovec){ .iov_base = (void *)(uintptr_t)at,
		.iov_len = n };
	b->bytes += n;
	b->tag = tag_over(b->tag, at, n);
}

static void
add_selected(struct body *b, const struct document *d,
    const struct record_filter *f)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct record *r = &d->record[i];

		if (!selects(f, r))
			continue;
		add_piece(b, b->count ? array_next : array_open, 2);
		add_piece(b, d->text + r->at, r->bytes);
	}
	if (b->count)
		add_piece(b, array_close, sizeof(array_close) - 1);
	else
		add_piece(b, "[]\n", 3);
}

int
snapshot_body(const struct snapshot *s, enum resource resource,
    const struct record_filter *f, struct body *b)
{
	const struct document *d = &s->document[resource];
	bool whole = !d->record || (!f->server && !f->finding);

	*b = (struct body){ .tag = tag_start };
	b->piece = calloc(whole ? 1 : 2 * d->count + 1, sizeof(*b->piece));
	if (!b->piece)
		return -1;
	if (!whole) {
		add_selected(b, d, f);
		return 0;
	}
	b->piece[0] = (struct iovec){ .iov_base = d->text, .iov_len = d->bytes };
	b->count = 1;
	b->bytes = d->bytes;
	b->tag = d->tag;
	return 0;
}
