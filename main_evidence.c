/* main_evidence.c - the wiring of evidence.
 *
 * Live, frames go to its ring as they come. The hard part is offline: which
 * frames are wanted is known only when all have been read, so the files are read
 * once more, and what cannot be read twice has no evidence but its numbers. */
#include "main_evidence.h"

#include <stdatomic.h>
#include <sys/stat.h>

#include "capture/log.h"

static const char *
input_name(void *context, uint32_t file)
{
	return source_name(context, file);
}

/* On disk; without a folder, in memory. */
static uint64_t
most_bytes(const struct options *o, const struct config *c)
{
	return (uint64_t)((o->keep ? c->keep.evidence_mib : c->keep.ring_mib) *
	    1048576);
}

struct evidence *
evidence_open(const struct options *o, const struct config *c,
    const struct source *source)
{
	struct evidence_settings s = {
		.dir = o->keep,
		.ring_bytes = o->file_count == 0 ?
		    (size_t)(c->keep.ring_mib * 1048576) : 0,
		.payload_bytes = (uint32_t)c->keep.payload_bytes,
		.most_bytes = most_bytes(o, c),
		.most_days = c->keep.evidence_days,
		.input_name = input_name,
		.context = (void *)(uintptr_t)source,
	};
	char err[EVIDENCE_ERROR_BYTES];
	struct evidence *e = evidence_new(&s, err);

	if (!e)
		log_warn("%s", err);
	return e;
}

void
evidence_reload(struct evidence *e, const struct options *o,
    const struct config *c)
{
	evidence_limit(e, most_bytes(o, c), c->keep.evidence_days);
}

static void
hear(void *context, struct event *e)
{
	evidence_event(context, e);
}

int
evidence_listen(struct evidence *e, struct feed *feed)
{
	struct feed_listener l = { .context = e, .event = hear };

	return feed_listen(feed, &l);
}

static int
ladder(void *context, uint64_t finding_id, char **json, size_t *bytes)
{
	struct evidence *e = atomic_load((struct evidence *_Atomic *)context);

	return e ? evidence_ladder(e, finding_id, json, bytes) : -1;
}

static int
pcapng(void *context, const char *kind, uint64_t id, char **data, size_t *bytes)
{
	struct evidence *e = atomic_load((struct evidence *_Atomic *)context);

	return e ? evidence_pcapng(e, kind, id, data, bytes) : -1;
}

struct web_evidence
evidence_for_page(struct evidence *_Atomic *shown)
{
	return (struct web_evidence){ shown, ladder, pcapng };
}

/* Pipes and standard input are not. */
static bool
is_readable_again(const struct options *o)
{
	struct stat file;

	for (size_t i = 0; i < o->file_count; i++)
		if (stat(o->files[i], &file) || !(S_ISREG(file.st_mode) ||
		    S_ISDIR(file.st_mode)))
			return false;
	return o->file_count > 0;
}

void
evidence_read_again(struct evidence *e, const struct options *o,
    const volatile sig_atomic_t *stop)
{
	char err[SOURCE_ERROR_BYTES];
	struct source *source;
	struct frame frame;

	if (!evidence_is_wanted(e) || !is_readable_again(o))
		return;
	log_set_quiet(true);		/* what is wrong with them was said */
	if (source_open_files(o->files, o->file_count, o->filter, &source, err)) {
		log_set_quiet(false);
		log_warn("no evidence: %s", err);
		return;
	}
	while (!*stop && source_next(source, &frame) == SOURCE_FRAME)
		evidence_reread(e, &frame);
	source_close(&source);
	log_set_quiet(false);
	evidence_reread_done(e);
}
