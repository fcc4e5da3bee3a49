/* main_keep.h - what outlives a run: the store (-o DIR), and who hears of it. */
#ifndef MAIN_KEEP_H
#define MAIN_KEEP_H

#include <stdatomic.h>

#include "detectors/compare.h"
#include "detectors/feed.h"
#include "detectors/sink.h"
#include "detectors/store.h"

struct keep {
	atomic_bool ready;		/* the past can be asked for */
	struct store *store;		/* NULL: nothing is kept */
	struct sinks *sinks;		/* NULL: the configuration has none */
	struct compare_watch *watch;	/* with a store: for its figures */
	struct run *run;		/* borrowed */
	uint64_t minutes;		/* that were heard of */
};

/* Before the first frame; `dir` NULL: nothing is kept. 0, or -1 after a
 * sentence. */
int keep_open(struct keep *, const char *dir, const struct config *,
    const struct source *, bool live);
/* Does anybody wait for what is found? */
bool keep_is_used(const struct keep *);
/* Where the run before ended; NULL: there was none. */
const struct feed_past *keep_past(const struct keep *);
/* What is kept of live runs before, for the page; before keep_start. */
void keep_tell_past(struct keep *, void (*each)(void *, struct event *),
    void *context);
/* Listen to what the run says, once it is kept. With a store it is called in the
 * store's thread. Before keep_start; 0, or -1: too many listen. */
int keep_listen(struct keep *, struct feed *, const struct feed_listener *);
int keep_start(struct keep *, struct feed *, struct run *);
/* After feed_finish or feed_tell_all: all is on the disk and handed on now. 0,
 * or -1 after a sentence. The past can still be asked for. */
int keep_finish(struct keep *);
void keep_close(struct keep *);

/* What is known of a server's past, as the page has it (web_history). Any thread,
 * from before keep_open to keep_close. */
int keep_history(void *keep, const char *server, unsigned hours, char **json,
    size_t *bytes);
/* The sinks and limits of a configuration that was read again. 0, or -1 after a sentence:
 * the old ones stay. */
int keep_reload(struct keep *, const struct config *);
/* Files that were rotated are opened anew. */
void keep_reopen(struct keep *);
/* What was kept and sent, and what was not, on standard error. */
void keep_say_stats(const struct keep *);

#endif
