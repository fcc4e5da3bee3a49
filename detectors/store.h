/* store.h - the kept run (-o DIR): DIR/findings.db, an SQLite database.
 *
 * What was reported outlives the program: events come first to the store, in a
 * thread of its own, one transaction a batch, and go on to the other listeners
 * once they are on the disk. A program that is killed at any moment has said
 * nothing that its next start does not know of: where the numbers go on, and
 * which incidents were open (struct feed_past).
 *
 * While the disk does not take them (full, locked, gone), events are kept in
 * memory up to a limit and handed on all the same: an alarm that waits for a
 * disk is none. The analysis never waits. The tables are described in
 * toewatch(8). */
#ifndef DETECTORS_STORE_H
#define DETECTORS_STORE_H

#include "detectors/feed.h"

enum { STORE_ERROR_BYTES = 600, STORE_VERSION = 1 };

struct store;

struct store_keep {
	double days;			/* findings, incidents, restarts; 0: for ever */
	double minute_days;		/* what there is a row a minute of */
	double size_mib;		/* of the file, about; 0: no limit */
};

/* Make the folder and the database if need be; refuse one that another process
 * uses, that is damaged, or that a later toewatch made. `what` is to be watched
 * ("eth1"); borrowed for the call. NULL with a sentence in `err`. */
struct store *store_open(const char *dir, const struct store_keep *, bool live,
    const char *what, char err[STORE_ERROR_BYTES]);
/* Where the run before ended; of the store. */
const struct feed_past *store_past(const struct store *);
/* Whom to hand events on to, in the store's thread. Before store_start; 0, or -1
 * when there are FEED_LISTENERS already. */
int store_listen(struct store *, const struct feed_listener *);
/* Start the thread. 0, or -1. */
int store_start(struct store *);
/* What the feed is to call. With `live` it never waits; else it does where the
 * disk is slower than the analysis, for then all events come at once. */
struct feed_listener store_listener(struct store *);
/* The run's figures so far, for --compare (compare_kept.h); takes `json` (from
 * malloc) over. Any thread. */
void store_figures(struct store *, char *json);
/* The run has come to its end: write what waits, hand it on, end the thread. 0,
 * or -1 after a sentence: something could not be written. The past can be asked
 * for until store_close. */
int store_finish(struct store *);
void store_close(struct store **);	/* without store_finish: as if killed */

/* Other limits from now on. Any thread. */
void store_limit(struct store *, const struct store_keep *);

struct store_stats {
	uint64_t stored;		/* events on the disk */
	uint64_t dropped;		/* events that were not kept: the disk failed
					 * for too long */
	size_t waiting;			/* in memory, for the disk */
	uint64_t failures;
	bool failing;
};
void store_stats(struct store *, struct store_stats *);

/* What is known of a server's past. Any thread. ------------------------------- */

/* What live runs found before this one: the last word on each of the newest
 * `findings` and `incidents`, in the order of their events, as an event with its
 * number, kind, change and id alone beside the record; `each` may hold it. Such a
 * record has "past": true. What was going on when its run ended is over since
 * the last that was heard of it. 0, or -1: not all could be read. */
int store_tell_past(struct store *, unsigned findings, unsigned incidents,
    void (*each)(void *, struct event *), void *context);

/* As JSON: its restarts, and when trouble came back after each; its incidents;
 * its health and response times, `points` steps of equal length over the last
 * `hours`. Memory from malloc. 0; 1: nothing is known of it; -1: the store cannot
 * be read now. */
int store_history(struct store *, const char *server, unsigned hours,
    unsigned points, char **json, size_t *bytes);
/* "restarted 12 times; after 11 of them trouble came back, ...", "" for a server
 * that never restarted. Returns `out`. */
const char *store_restarts_text(struct store *, const char *server, char *out,
    size_t size);

/* Reading a kept run ---------------------------------------------------------- */

/* Hand the figures of each run in DIR/findings.db to `each`, the oldest first;
 * it returns 0 to go on. 0, or -1 with a sentence: it cannot be read, or holds
 * none. */
int store_read_figures(const char *dir, int (*each)(void *, const char *json),
    void *context, char err[STORE_ERROR_BYTES]);

/* "3.40.1" */
const char *store_library_version(void);

#endif
