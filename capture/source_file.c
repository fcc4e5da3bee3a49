/* source_file.c - capture files: one, several as one stream, a directory.
 *
 * Each file is opened once to look at its first frame, and closed again. Then
 * the files stand in the order of their first frames, and one is opened for
 * good only when the stream has come to that time; those that overlap are
 * merged through a heap. So a week of hourly files needs one or two open at a
 * time.
 *
 * pcap is read by source_pcap.c, pcapng by source_pcapng.c, which say why; what
 * is neither (old formats of some vendors) is left to libpcap. */
#include "capture/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/log.h"
#include "capture/source_internal.h"

enum {
	READ_BUFFER_BYTES = 256 << 10,
	FILE_HEADER = 24, RECORD_HEADER = 16,	/* of pcap */
};

/* One file as named on the command line or found in a directory. */
struct input {
	char *path;			/* "-" is standard input */
	struct instant first;		/* of its first frame; INT64_MIN: none */
	int link_type;			/* of its first frame or header */
	uint64_t bytes;			/* 0 when unknown */
	struct reader *held;		/* kept open: what cannot be read twice */
};

/* An open file and the frame it stands at. */
struct reader {
	FILE *in;
	char *buffer;			/* stdio's */
	struct pcap_file *file;		/* one of these three */
	struct pcapng *pcapng;
	pcap_t *pcap;
	uint64_t offset;		/* of the record at hand, */
	uint64_t next_offset;		/* libpcap: and of the next */
	struct frame frame;
	enum record_result result;	/* what reading `frame` gave */
	const char *why;
};

struct files {
	struct input *input;		/* in the order given */
	size_t count, room;
	size_t *order;			/* by first frame */
	size_t opened;			/* of `order`, so far */
	struct reader **heap;		/* open, at a frame; the earliest first */
	size_t heap_count;
	bool handed_out;		/* heap[0]'s frame: go on from there */
	struct filter *filter;
	uint64_t cut_files, bytes_read, bytes_total;
};

static void
reader_free(struct reader **rp)
{
	struct reader *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	pcap_file_free(&r->file);
	pcapng_free(&r->pcapng);
	if (r->pcap)
		pcap_close(r->pcap);	/* closes `in`, but for stdin */
	else if (r->in && r->in != stdin)
		fclose(r->in);
	free(r->buffer);
	free(r);
}

static enum record_result
next_of_libpcap(struct reader *r)
{
	struct frame *f = &r->frame;
	struct pcap_pkthdr *h;
	const u_char *data;
	int status = pcap_next_ex(r->pcap, &h, &data);

	r->offset = r->next_offset;
	if (status == PCAP_ERROR_BREAK)
		return RECORD_END;
	if (status != 1) {
		r->why = pcap_geterr(r->pcap);
		if (ferror(r->in))
			return RECORD_ERROR;
		return feof(r->in) ? RECORD_CUT : RECORD_DAMAGED;
	}
	r->next_offset += RECORD_HEADER + h->caplen;
	/* Seconds are unsigned in the file, whatever libpcap makes of them:
	 * they last until 2106. */
	f->time.ns = (int64_t)(uint32_t)h->ts.tv_sec * NS_PER_S +
	    (int64_t)h->ts.tv_usec;
	f->captured_bytes = h->caplen;
	f->wire_bytes = h->len < h->caplen ? h->caplen : h->len;
	f->data = data;
	f->number++;
	return RECORD_FRAME;
}

static void
reader_next(struct reader *r)
{
	if (r->file) {
		r->result = pcap_file_next(r->file, &r->frame, &r->why);
		r->offset = pcap_file_offset(r->file);
	} else if (r->pcapng) {
		r->result = pcapng_next(r->pcapng, &r->frame, &r->why);
		r->offset = pcapng_offset(r->pcapng);
	} else {
		r->result = next_of_libpcap(r);
	}
}

static int
not_a_capture(const char *path, const char *why, char err[SOURCE_ERROR_BYTES])
{
	snprintf(err, SOURCE_ERROR_BYTES,
	    "cannot read '%.200s': not a capture file (%.200s)", path, why);
	return -1;
}

static int
io_failed(const char *path, char err[SOURCE_ERROR_BYTES])
{
	snprintf(err, SOURCE_ERROR_BYTES, "cannot read '%.200s': %s", path,
	    strerror(errno));
	return -1;
}

static int
open_pcap(struct reader *r, uint8_t first, const char *path,
    char err[SOURCE_ERROR_BYTES])
{
	const char *why;

	if (pcap_file_new(fileno(r->in), first, &r->file, &why))
		return why ? not_a_capture(path, why, err) : io_failed(path, err);
	r->frame.link_type = pcap_file_link_type(r->file);
	return 0;
}

/* stdio has not been asked for anything yet: it takes the byte back. */
static int
open_stdio(struct reader *r, uint8_t first, const char *path,
    char err[SOURCE_ERROR_BYTES])
{
	r->buffer = malloc(READ_BUFFER_BYTES);
	if (!r->buffer)
		return io_failed(path, err);
	if (r->in != stdin)		/* which outlives the buffer */
		setvbuf(r->in, r->buffer, _IOFBF, READ_BUFFER_BYTES);
	return ungetc(first, r->in) == EOF ? io_failed(path, err) : 0;
}

static int
open_pcapng(struct reader *r, uint8_t first, const char *path,
    char err[SOURCE_ERROR_BYTES])
{
	if (open_stdio(r, first, path, err))
		return -1;
	r->pcapng = pcapng_new(r->in);
	return r->pcapng ? 0 : io_failed(path, err);
}

static int
open_libpcap(struct reader *r, uint8_t first, const char *path,
    char err[SOURCE_ERROR_BYTES])
{
	char why[PCAP_ERRBUF_SIZE];

	if (open_stdio(r, first, path, err))
		return -1;
	r->pcap = pcap_fopen_offline_with_tstamp_precision(r->in,
	    PCAP_TSTAMP_PRECISION_NANO, why);
	if (!r->pcap)
		return ferror(r->in) ? io_failed(path, err) :
		    not_a_capture(path, why, err);
	r->frame.link_type = pcap_datalink(r->pcap);
	r->next_offset = FILE_HEADER;
	return 0;
}

/* Only one byte can be looked at and put back on a pipe; it is enough to tell
 * the formats apart. */
static int
open_format(struct reader *r, const char *path, char err[SOURCE_ERROR_BYTES])
{
	enum { PCAPNG_FIRST_BYTE = 0x0a, GZIP_FIRST_BYTE = 0x1f };
	uint8_t first;
	ssize_t got = read(fileno(r->in), &first, 1);

	if (got != 1)
		return got ? io_failed(path, err) :
		    not_a_capture(path, "it is empty", err);
	switch (first) {
	case GZIP_FIRST_BYTE:
		return not_a_capture(path, "it is compressed: unpack it, or "
		    "pipe what zcat gives into '-r -'", err);
	case PCAPNG_FIRST_BYTE:
		return open_pcapng(r, first, path, err);
	case 0xa1: case 0xd4: case 0x4d: case 0x34:
		return open_pcap(r, first, path, err);
	default:
		return open_libpcap(r, first, path, err);
	}
}

/* Open, and go to the first frame. */
static int
reader_open(const char *path, uint32_t file, struct reader **out,
    char err[SOURCE_ERROR_BYTES])
{
	struct reader *r = calloc(1, sizeof(*r));

	*out = NULL;
	if (!r)
		return io_failed(path, err);
	r->in = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
	if (!r->in) {
		snprintf(err, SOURCE_ERROR_BYTES, "cannot open '%.200s': %s",
		    path, strerror(errno));
		goto fail;
	}
	r->frame.file = file;
	if (open_format(r, path, err))
		goto fail;
	reader_next(r);
	if (r->result == RECORD_ERROR) {
		io_failed(path, err);
		goto fail;
	}
	if (r->pcapng && r->offset == 0 && r->result != RECORD_FRAME) {
		not_a_capture(path, r->why, err);
		goto fail;
	}
	*out = r;
	return 0;
fail:
	reader_free(&r);
	return -1;
}

static bool
earlier(const struct reader *a, const struct reader *b)
{
	if (a->frame.time.ns != b->frame.time.ns)
		return a->frame.time.ns < b->frame.time.ns;
	return a->frame.file < b->frame.file;
}

static void
sift_down(struct files *s)
{
	size_t at = 0, child;
	struct reader *moved;

	while ((child = 2 * at + 1) < s->heap_count) {
		if (child + 1 < s->heap_count &&
		    earlier(s->heap[child + 1], s->heap[child]))
			child++;
		if (earlier(s->heap[at], s->heap[child]))
			return;
		moved = s->heap[at];
		s->heap[at] = s->heap[child];
		s->heap[child] = moved;
		at = child;
	}
}

static void
heap_add(struct files *s, struct reader *r)
{
	size_t at = s->heap_count++, parent;

	for (; at; at = parent) {
		parent = (at - 1) / 2;
		if (earlier(s->heap[parent], r))
			break;
		s->heap[at] = s->heap[parent];
	}
	s->heap[at] = r;
}

static enum source_result
failed(struct source *src, const char *path)
{
	io_failed(path, src->error);
	return SOURCE_FAILED;
}

/* The file has no more frames: say so if it should have had. */
static enum source_result
finish(struct source *src, struct files *s, struct reader **rp)
{
	struct reader *r = *rp;
	const char *path = s->input[r->frame.file].path;
	enum source_result result = SOURCE_END;

	if (r->result == RECORD_ERROR) {
		if (!atomic_load(&src->stopped))	/* a signal broke it off */
			result = failed(src, path);
	} else if (r->result != RECORD_END) {
		log_warn("'%s' is %s at offset %llu (%s); "
		    "analysed up to there", path,
		    r->result == RECORD_CUT ? "cut short" : "damaged",
		    (unsigned long long)r->offset, r->why);
		s->cut_files++;
	}
	reader_free(rp);
	return result;
}

/* Open the files whose time has come. */
static enum source_result
open_due(struct source *src, struct files *s)
{
	while (s->opened < s->count) {
		struct input *i = &s->input[s->order[s->opened]];
		struct reader *r = i->held;

		if (s->heap_count &&
		    instant_before(s->heap[0]->frame.time, i->first))
			break;
		i->held = NULL;
		s->opened++;
		if (!r && reader_open(i->path, (uint32_t)(i - s->input), &r,
		    src->error))
			return SOURCE_FAILED;
		if (r->result == RECORD_FRAME)
			heap_add(s, r);
		else if (finish(src, s, &r) == SOURCE_FAILED)
			return SOURCE_FAILED;
	}
	return s->heap_count ? SOURCE_FRAME : SOURCE_END;
}

/* Take the file on whose frame was handed out. */
static enum source_result
step(struct source *src, struct files *s)
{
	struct reader *r;

	if (!s->handed_out)
		return SOURCE_FRAME;
	s->handed_out = false;
	r = s->heap[0];
	reader_next(r);
	if (r->result != RECORD_FRAME) {
		s->heap[0] = s->heap[--s->heap_count];
		sift_down(s);
		return finish(src, s, &r) == SOURCE_FAILED ?
		    SOURCE_FAILED : SOURCE_FRAME;
	}
	sift_down(s);
	return SOURCE_FRAME;
}

/* The frame at the front goes out, if the filter lets it. */
static bool
hand_out(struct files *s, const struct frame *f)
{
	s->handed_out = true;
	s->bytes_read += f->captured_bytes + RECORD_HEADER;
	return filter_passes(s->filter, f);
}

static enum source_result
files_next(struct source *src, void *state, struct frame *f)
{
	struct files *s = state;
	enum source_result result;

	while (!atomic_load_explicit(&src->stopped, memory_order_relaxed)) {
		result = step(src, s);
		if (result == SOURCE_FRAME)
			result = open_due(src, s);
		if (result != SOURCE_FRAME)
			return result;
		*f = s->heap[0]->frame;
		if (hand_out(s, f))
			return SOURCE_FRAME;
	}
	return SOURCE_END;
}

/* Must another file be opened before this frame? */
static bool
is_other_due(const struct files *s, const struct reader *r)
{
	return s->opened < s->count && !instant_before(r->frame.time,
	    s->input[s->order[s->opened]].first);
}

/* The next frame of a reader is read to `f`, and not to be copied there: to
 * copy what was just written is to wait for it. */
static inline bool
reader_next_at_hand(struct reader *r, struct frame *f)
{
	f->number = r->frame.number;
	f->file = r->frame.file;
	f->interface = r->frame.interface;
	f->link_type = r->frame.link_type;
	if (!pcap_file_next_at_hand(r->file, f))
		return false;
	r->frame.number = f->number;
	r->frame.time = f->time;
	return true;
}

/* Frames of the only file that is open now, as long as they lie in its block. */
static size_t
files_more(struct source *src, void *state, struct frame *f, size_t max)
{
	struct files *s = state;
	struct reader *r;
	size_t n = 0;

	(void)src;
	if (s->heap_count != 1 || !s->heap[0]->file)
		return 0;
	r = s->heap[0];
	while (n < max && s->handed_out && reader_next_at_hand(r, &f[n])) {
		s->handed_out = !is_other_due(s, r);
		if (!s->handed_out)
			r->frame = f[n];
		else if (hand_out(s, &f[n]))
			n++;
	}
	return n;
}

static struct source_block *
files_hold(void *state)
{
	struct files *s = state;

	return s->handed_out && s->heap[0]->file ?
	    pcap_file_hold(s->heap[0]->file) : NULL;
}

static const char *
files_name(const void *state, uint32_t file)
{
	const struct files *s = state;

	return file < s->count ? s->input[file].path : "";
}

static size_t
files_count(const void *state)
{
	return ((const struct files *)state)->count;
}

static void
files_stats(void *state, struct source_stats *out)
{
	const struct files *s = state;

	out->cut_files = s->cut_files;
	out->bytes_read = s->bytes_read;
	out->bytes_total = s->bytes_total;
}

static void
files_free(void *state)
{
	struct files *s = state;

	for (size_t i = 0; i < s->heap_count; i++)
		reader_free(&s->heap[i]);
	for (size_t i = 0; i < s->count; i++) {
		reader_free(&s->input[i].held);
		free(s->input[i].path);
	}
	free(s->input);
	free(s->order);
	free(s->heap);
	filter_free(&s->filter);
	free(s);
}

static const struct source_kind files_kind = {
	.next = files_next,
	.more = files_more,
	.hold = files_hold,
	.name = files_name,
	.count = files_count,
	.stats = files_stats,
	.free = files_free,
};

static int
out_of_memory(char err[SOURCE_ERROR_BYTES])
{
	snprintf(err, SOURCE_ERROR_BYTES, "out of memory");
	return -1;
}

static int
add_input(struct files *s, const char *path, char err[SOURCE_ERROR_BYTES])
{
	size_t room = s->room ? s->room * 2 : 8;
	struct input *larger;
	char *copy = strdup(path);

	if (s->count == s->room) {
		larger = realloc(s->input, room * sizeof(*larger));
		if (!larger) {
			free(copy);
			return out_of_memory(err);
		}
		s->input = larger;
		s->room = room;
	}
	if (!copy)
		return out_of_memory(err);
	s->input[s->count++] = (struct input){ .path = copy };
	return 0;
}

/* By its first four bytes: pcap in both orders and with both precisions, the
 * variant with longer records, and pcapng. */
static bool
is_capture(const char *path)
{
	static const uint32_t magic[] = {
		0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1,
		0xa1b2cd34, 0x34cdb2a1, 0x0a0d0d0a,
	};
	uint8_t first[4] = { 0 };
	struct bytes b = bytes_of(first, sizeof(first));
	struct stat st;
	uint32_t found;
	FILE *in;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return false;
	in = fopen(path, "rbe");
	if (!in) {
		log_warn("cannot open '%s': %s; passed over", path,
		    strerror(errno));
		return false;
	}
	found = fread(first, 1, sizeof(first), in) == sizeof(first) ?
	    bytes_be32(&b) : 0;
	fclose(in);
	for (size_t i = 0; i < sizeof(magic) / sizeof(magic[0]); i++)
		if (magic[i] == found)
			return true;
	return false;
}

static int
add_directory(struct files *s, const char *path, char err[SOURCE_ERROR_BYTES])
{
	struct dirent **entry = NULL;
	size_t before = s->count;
	int n = scandir(path, &entry, NULL, alphasort), status = 0;
	char *full;

	if (n < 0)
		return io_failed(path, err);
	for (int i = 0; i < n; i++) {
		if (status == 0 &&
		    asprintf(&full, "%s/%s", path, entry[i]->d_name) < 0)
			status = out_of_memory(err);
		if (status == 0) {
			if (is_capture(full))
				status = add_input(s, full, err);
			free(full);
		}
		free(entry[i]);
	}
	free(entry);
	if (status == 0 && s->count == before) {
		snprintf(err, SOURCE_ERROR_BYTES,
		    "cannot read '%.200s': no capture file in it", path);
		status = -1;
	}
	return status;
}

static int
add_path(struct files *s, const char *path, char err[SOURCE_ERROR_BYTES])
{
	struct stat st;

	if (strcmp(path, "-") == 0) {
		for (size_t i = 0; i < s->count; i++)
			if (strcmp(s->input[i].path, "-") == 0) {
				snprintf(err, SOURCE_ERROR_BYTES,
				    "standard input can be read only once");
				return -1;
			}
		return add_input(s, path, err);
	}
	if (stat(path, &st)) {
		snprintf(err, SOURCE_ERROR_BYTES, "cannot open '%.200s': %s",
		    path, strerror(errno));
		return -1;
	}
	return S_ISDIR(st.st_mode) ? add_directory(s, path, err) :
	    add_input(s, path, err);
}

/* Look at the first frame of each file. What is no regular file (a pipe) stays
 * open, as it cannot be read twice; so does a lone file, as there is no need. */
static int
look_at(struct files *s, struct input *i, char err[SOURCE_ERROR_BYTES])
{
	struct reader *r;
	struct stat st;

	if (reader_open(i->path, (uint32_t)(i - s->input), &r, err))
		return -1;
	i->first.ns = r->result == RECORD_FRAME ? r->frame.time.ns : INT64_MIN;
	i->link_type = r->frame.link_type;
	if (fstat(fileno(r->in), &st) == 0 && S_ISREG(st.st_mode)) {
		i->bytes = (uint64_t)st.st_size;
		if (s->count > 1 && r->in != stdin)
			reader_free(&r);
	}
	i->held = r;
	return 0;
}

static int
compare_inputs(const void *va, const void *vb, void *inputs)
{
	size_t a = *(const size_t *)va, b = *(const size_t *)vb;
	const struct input *i = inputs;

	if (i[a].first.ns != i[b].first.ns)
		return i[a].first.ns < i[b].first.ns ? -1 : 1;
	return a < b ? -1 : 1;
}

static int
prepare(struct files *s, const char *filter, char err[SOURCE_ERROR_BYTES])
{
	bool all_known = true;

	s->order = calloc(s->count, sizeof(*s->order));
	s->heap = calloc(s->count, sizeof(*s->heap));
	if (!s->order || !s->heap)
		return out_of_memory(err);
	for (size_t i = 0; i < s->count; i++) {
		if (look_at(s, &s->input[i], err))
			return -1;
		s->order[i] = i;
		s->bytes_total += s->input[i].bytes;
		all_known &= s->input[i].bytes > 0;
	}
	if (!all_known)
		s->bytes_total = 0;
	qsort_r(s->order, s->count, sizeof(*s->order), compare_inputs,
	    s->input);
	return filter_new(filter, s->input[s->order[0]].link_type, &s->filter,
	    err);
}

int
source_open_files(const char *const *paths, size_t count, const char *filter,
    struct source **out, char err[SOURCE_ERROR_BYTES])
{
	struct files *s = calloc(1, sizeof(*s));

	*out = NULL;
	if (!s)
		return out_of_memory(err);
	for (size_t i = 0; i < count; i++)
		if (add_path(s, paths[i], err))
			goto fail;
	if (!s->count) {
		snprintf(err, SOURCE_ERROR_BYTES, "no capture file named");
		goto fail;
	}
	if (prepare(s, filter, err))
		goto fail;
	*out = source_new(&files_kind, s);
	if (*out)
		return 0;
	out_of_memory(err);
fail:
	files_free(s);
	return -1;
}
