/* store_internal.h - what the store's files share. */
#ifndef DETECTORS_STORE_INTERNAL_H
#define DETECTORS_STORE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "detectors/relay.h"
#include "detectors/store.h"

/* The statements, each prepared once (store_rows.c). */
enum store_sql {
	SQL_FINDING, SQL_INCIDENT, SQL_SERVER, SQL_MINUTE, SQL_CAPTURE,
	SQL_TIMELINE, SQL_NUMBERS, SQL_RUN, SQL_FIGURES, SQL_ENDED,
	SQL_LEFT_OPEN, SQL_OLD_FINDINGS, SQL_OLD_INCIDENTS, SQL_OLD_MINUTES,
	SQL_OLD_CAPTURE, SQL_OLD_TIMELINES, SQL_COUNT
};

struct store_db {
	sqlite3 *db;
	sqlite3_stmt *statement[SQL_COUNT];
};

struct store {
	char *path;			/* DIR/findings.db */
	int folder;			/* DIR, locked */
	bool live;
	int64_t run;			/* number of this run */
	struct feed_past past;
	struct incident_past *open;	/* of `past` */
	struct feed_listener listener[FEED_LISTENERS];
	size_t listener_count;
	struct relay *relay;
	struct store_db writer;		/* the thread's, while there is one */

	/* The thread's own. */
	struct event **backlog;		/* not on the disk yet, oldest first */
	size_t backlog_count, backlog_slots, backlog_bytes;
	size_t handed_on;		/* of the backlog */
	struct instant now;		/* of the newest event */
	int64_t retry_ms;		/* no sooner than this */
	unsigned pause_ms;
	int64_t upkeep_ms;		/* next look at age and size */
	bool upkeep_goes_on;		/* there was more to delete */
	char why[256];			/* the last failure */

	pthread_mutex_t lock;		/* of what follows */
	struct store_keep keep;
	char *figures;			/* to be written; NULL: none new */
	struct store_stats stats;

	pthread_mutex_t reading;	/* of `reader` */
	sqlite3 *reader;
};

/* store_rows.c: every function 0, or -1 (the database says why). */
int store_make_tables(sqlite3 *);
int store_sql(struct store_db *, enum store_sql, const char *types, ...);
void store_forget_statements(struct store_db *);
int store_put_event(struct store *, const struct event *);
/* Delete a little of what is too old, or the oldest of what is too much. 1: there
 * is more. */
int store_upkeep(struct store *);

/* What a failure means, for people: "the disk is full". */
const char *store_why(sqlite3 *, char out[256]);

/* store_read.c */
/* Where the run before ended. 0, or -1. */
int store_read_past(struct store *);

#endif
