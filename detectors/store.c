/* store.c - the kept run: opened, written by a thread of its own, closed.
 *
 * The hard part is the order of three promises. What is handed on to the other
 * listeners is on the disk first, so that no kill loses what was reported. The
 * analysis never waits for the disk. And an alarm never waits for a disk that is
 * full. So a batch is one transaction; if that fails, its events stay in memory,
 * are handed on all the same, and are tried again with growing pauses. */
#include "detectors/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture/log.h"

enum {
	RELAY_LIMIT = 1 << 17, RELAY_BATCH = 4096, RELAY_TICK_MS = 500,
	CLOSE_MS = 60000,
	BUSY_START_MS = 2000, BUSY_MS = 500, /* somebody's sqlite3 holds a lock */
	BACKLOG_EVENTS = 100000, BACKLOG_BYTES = 256 << 20,
	PAUSE_FIRST_MS = 500, PAUSE_MAX_MS = 30000,
	UPKEEP_MS = 60000, UPKEEP_SOON_MS = 200,
	CHECK_BYTES = 256 << 20,	/* checked whole at the start up to this */
	WAL_BYTES = 16 << 20,
};

const char *
store_library_version(void)
{
	return sqlite3_libversion();
}

/* For pauses only. */
static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- opening -------------------------------------------------------------------- */

static int
fail(char err[STORE_ERROR_BYTES], const char *path, const char *why)
{
	snprintf(err, STORE_ERROR_BYTES, "cannot keep the run in %s: %s", path,
	    why);
	return -1;
}

/* The lock is on the folder itself, so that it goes with the process. */
static int
open_folder(struct store *s, const char *dir, char err[STORE_ERROR_BYTES])
{
	if (mkdir(dir, 0750) && errno != EEXIST)
		return fail(err, dir, strerror(errno));
	s->folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder < 0)
		return fail(err, dir, strerror(errno));
	if (flock(s->folder, LOCK_EX | LOCK_NB))
		return fail(err, dir, errno == EWOULDBLOCK ?
		    "another toewatch keeps its run there" : strerror(errno));
	if (asprintf(&s->path, "%s/findings.db", dir) < 0) {
		s->path = NULL;
		return fail(err, dir, "out of memory");
	}
	return 0;
}

static int64_t
number_of(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st;
	int64_t value = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return value;
}

static int
open_database(struct store *s, int flags, sqlite3 **db)
{
	if (sqlite3_open_v2(s->path, db, flags | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK)
		return -1;
	sqlite3_extended_result_codes(*db, 1);
	sqlite3_busy_timeout(*db, BUSY_START_MS);
	return 0;
}

/* Is all of it sound? Large ones are looked at where they are read only. -1 with
 * a sentence in `err` if not, or if that cannot be told. */
static int
check_pages(struct store *s, char err[STORE_ERROR_BYTES])
{
	sqlite3 *db = s->writer.db;
	const char *said = NULL;
	sqlite3_stmt *st = NULL;
	struct stat file;
	char why[256];
	bool told;

	if (stat(s->path, &file) || file.st_size > CHECK_BYTES)
		return 0;
	if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL) ==
	    SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		said = (const char *)sqlite3_column_text(st, 0);
	told = said && strcmp(said, "ok") == 0;
	if (!told && (sqlite3_errcode(db) & 0xff) == SQLITE_NOMEM)
		fail(err, s->path, store_why(db, why));
	else if (!told)
		fail(err, s->path, "it is damaged; move it away, and a new one "
		    "is begun");
	sqlite3_finalize(st);
	return told ? 0 : -1;
}

/* Ours, of this version, or new. */
static int
check_tables(struct store *s, char err[STORE_ERROR_BYTES])
{
	sqlite3 *db = s->writer.db;
	int64_t version = number_of(db, "PRAGMA user_version");
	int64_t count = number_of(db, "SELECT count(*) FROM sqlite_schema");
	char why[256];

	if (version < 0 || count < 0)
		return fail(err, s->path, store_why(db, why));
	if (version > STORE_VERSION)
		return fail(err, s->path, "a later version of toewatch made it");
	if (version == 0 && count > 0)
		return fail(err, s->path, "it is not toewatch's");
	if (version == 0 && store_make_tables(db))
		return fail(err, s->path, store_why(db, why));
	return check_pages(s, err);
}

static int
prepare_database(struct store *s, char err[STORE_ERROR_BYTES])
{
	static const char pragmas[] = "PRAGMA auto_vacuum = INCREMENTAL;"
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
	    "PRAGMA temp_store = MEMORY;";
	char why[256], limit[80];

	if (open_database(s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
	    &s->writer.db) ||
	    sqlite3_exec(s->writer.db, pragmas, NULL, NULL, NULL) != SQLITE_OK)
		return fail(err, s->path, store_why(s->writer.db, why));
	snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit = %d",
	    WAL_BYTES);
	if (sqlite3_exec(s->writer.db, limit, NULL, NULL, NULL) != SQLITE_OK)
		return fail(err, s->path, store_why(s->writer.db, why));
	return check_tables(s, err);
}

/* A row for this run: the first proof that it can be written. */
static int
begin_run(struct store *s, const char *what, char err[STORE_ERROR_BYTES])
{
	sqlite3_stmt *st = NULL;
	char why[256];
	int result = SQLITE_ERROR;

	if (sqlite3_prepare_v2(s->writer.db, "INSERT INTO runs (version, live,"
	    " source) VALUES (?1, ?2, ?3)", -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_text(st, 1, PACKAGE_VERSION, -1, SQLITE_STATIC);
		sqlite3_bind_int(st, 2, s->live);
		sqlite3_bind_text(st, 3, what, -1, SQLITE_STATIC);
		result = sqlite3_step(st);
	}
	if (result != SQLITE_DONE)
		fail(err, s->path, store_why(s->writer.db, why));
	sqlite3_finalize(st);
	s->run = sqlite3_last_insert_rowid(s->writer.db);
	return result == SQLITE_DONE ? 0 : -1;
}

static void
dispose(struct store *s)
{
	store_forget_statements(&s->writer);
	sqlite3_close(s->reader);
	sqlite3_close(s->writer.db);	/* last: clears the log away */
	if (s->folder >= 0)
		close(s->folder);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->reading);
	free(s->open);
	free(s->backlog);
	free(s->figures);
	free(s->path);
	free(s);
}

static struct store *
store_new(const struct store_keep *keep, bool live)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->folder = -1;
	s->keep = *keep;
	s->live = live;
	s->pause_ms = PAUSE_FIRST_MS;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->reading, NULL);
	return s;
}

struct store *
store_open(const char *dir, const struct store_keep *keep, bool live,
    const char *what, char err[STORE_ERROR_BYTES])
{
	struct store *s = store_new(keep, live);
	char why[256];

	if (!s) {
		fail(err, dir, "out of memory");
		return NULL;
	}
	if (open_folder(s, dir, err) || prepare_database(s, err))
		goto failed;
	if (open_database(s, SQLITE_OPEN_READONLY, &s->reader) ||
	    store_read_past(s)) {
		fail(err, s->path, store_why(s->reader, why));
		goto failed;
	}
	if (begin_run(s, what, err))
		goto failed;
	sqlite3_busy_timeout(s->writer.db, BUSY_MS);
	return s;
failed:
	dispose(s);
	return NULL;
}

const struct feed_past *
store_past(const struct store *s)
{
	return &s->past;
}

int
store_listen(struct store *s, const struct feed_listener *l)
{
	if (s->listener_count == FEED_LISTENERS)
		return -1;
	s->listener[s->listener_count++] = *l;
	return 0;
}

/* --- writing: the thread ------------------------------------------------------------ */

/* Give the figures back unless newer ones have come. */
static void
figures_again(struct store *s, char **figures)
{
	pthread_mutex_lock(&s->lock);
	if (!s->figures) {
		s->figures = *figures;
		*figures = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	free(*figures);
	*figures = NULL;
}

static char *
take_figures(struct store *s)
{
	char *figures;

	pthread_mutex_lock(&s->lock);
	figures = s->figures;
	s->figures = NULL;
	pthread_mutex_unlock(&s->lock);
	return figures;
}

/* All that waits, within the transaction. */
static int
put_rows(struct store *s, const char *figures)
{
	uint64_t number = 0, finding = 0, incident = 0;
	char began[INSTANT_TEXT_BYTES] = "", last[INSTANT_TEXT_BYTES];

	for (size_t i = 0; i < s->backlog_count; i++) {
		const struct event *e = s->backlog[i];

		if (store_put_event(s, e))
			return -1;
		number = e->number > number ? e->number : number;
		if (e->kind == EVENT_FINDING && e->id > finding)
			finding = e->id;
		if (e->kind == EVENT_INCIDENT && e->id > incident)
			incident = e->id;
		if (e->kind == EVENT_CAPTURE)
			instant_text(e->since, began);
	}
	if (s->backlog_count) {
		instant_text(s->backlog[s->backlog_count - 1]->time, last);
		if (store_sql(&s->writer, SQL_NUMBERS, "iii", (int64_t)number,
		    (int64_t)finding, (int64_t)incident) ||
		    store_sql(&s->writer, SQL_RUN, "itt", s->run,
		    *began ? began : NULL, last))
			return -1;
	}
	return figures ? store_sql(&s->writer, SQL_FIGURES, "it", s->run,
	    figures) : 0;
}

/* Writing would go well, and into nothing. */
static bool
was_taken_away(sqlite3 *db)
{
	int moved = 0;

	return sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) ==
	    SQLITE_OK && moved;
}

/* One transaction. 0, or -1: nothing of it is there, `why` says why. */
static int
commit(struct store *s, const char *figures)
{
	sqlite3 *db = s->writer.db;

	if (was_taken_away(db)) {
		snprintf(s->why, sizeof(s->why), "it was moved or deleted (the "
		    "next start makes a new one)");
		return -1;
	}
	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
		store_why(db, s->why);
		return -1;
	}
	if (put_rows(s, figures) == 0 &&
	    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	store_why(db, s->why);
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

/* In order, those that were not yet. */
static void
hand_on(struct store *s)
{
	if (s->handed_on == s->backlog_count)
		return;
	for (; s->handed_on < s->backlog_count; s->handed_on++)
		for (size_t l = 0; l < s->listener_count; l++)
			s->listener[l].event(s->listener[l].context,
			    s->backlog[s->handed_on]);
	for (size_t l = 0; l < s->listener_count; l++)
		if (s->listener[l].end_of_step)
			s->listener[l].end_of_step(s->listener[l].context);
}

static void
forget_backlog(struct store *s)
{
	for (size_t i = 0; i < s->backlog_count; i++)
		event_release(&s->backlog[i]);
	s->backlog_count = s->handed_on = s->backlog_bytes = 0;
}

/* What is told each minute is told again; findings and incidents are not. */
static bool
is_dear(const struct event *e)
{
	return e->kind == EVENT_FINDING || e->kind == EVENT_INCIDENT;
}

/* All of it was handed on already. Half of it, cheap things first. */
static void
shed(struct store *s)
{
	size_t kept = 0, most = s->backlog_count / 2, dropped;

	for (size_t i = 0; i < s->backlog_count; i++) {
		bool keep = is_dear(s->backlog[i]);

		s->backlog_bytes -= keep ? 0 : s->backlog[i]->bytes;
		if (keep)
			s->backlog[kept++] = s->backlog[i];
		else
			event_release(&s->backlog[i]);
	}
	dropped = kept > most ? kept - most : 0;
	for (size_t i = 0; i < dropped; i++) {
		s->backlog_bytes -= s->backlog[i]->bytes;
		event_release(&s->backlog[i]);
	}
	memmove(s->backlog, s->backlog + dropped,
	    (kept - dropped) * sizeof(*s->backlog));
	pthread_mutex_lock(&s->lock);
	s->stats.dropped += s->backlog_count - (kept - dropped);
	pthread_mutex_unlock(&s->lock);
	s->backlog_count = s->handed_on = kept - dropped;
}

static void
note_outcome(struct store *s, bool failed, size_t stored)
{
	bool was_failing;
	uint64_t dropped;

	pthread_mutex_lock(&s->lock);
	was_failing = s->stats.failing;
	dropped = s->stats.dropped;
	s->stats.failing = failed;
	s->stats.failures += failed;
	s->stats.stored += stored;
	s->stats.waiting = s->backlog_count;
	pthread_mutex_unlock(&s->lock);
	if (failed && !was_failing)
		log_warn("cannot write to %s: %s; what is found is kept in memory "
		    "meanwhile, and reported all the same", s->path, s->why);
	else if (!failed && was_failing)
		log_warn("%s can be written to again: %zu records were kept in "
		    "memory, %llu were lost to it so far", s->path, stored,
		    (unsigned long long)dropped);
}

/* Write all that waits. False: it failed. */
static bool
flush(struct store *s)
{
	char *figures = take_figures(s);
	size_t count = s->backlog_count;
	bool failed = (count || figures) && commit(s, figures) != 0;

	hand_on(s);
	if (failed) {
		if (figures)
			figures_again(s, &figures);
		if (s->backlog_count > BACKLOG_EVENTS ||
		    s->backlog_bytes > BACKLOG_BYTES)
			shed(s);
		s->retry_ms = now_ms() + s->pause_ms;
		s->pause_ms = s->pause_ms * 2 < PAUSE_MAX_MS ? s->pause_ms * 2 :
		    PAUSE_MAX_MS;
	} else {
		forget_backlog(s);
		free(figures);
		s->pause_ms = PAUSE_FIRST_MS;
		s->retry_ms = 0;
	}
	note_outcome(s, failed, failed ? 0 : count);
	return !failed;
}

/* Room for `count` more. */
static int
make_room(struct store *s, size_t count)
{
	size_t need = s->backlog_count + count;
	struct event **more;

	if (need <= s->backlog_slots)
		return 0;
	more = realloc(s->backlog, need * 2 * sizeof(struct event *));
	if (!more)
		return -1;
	s->backlog = more;
	s->backlog_slots = need * 2;
	return 0;
}

/* relay.h: never fails but for memory; failing is our own affair. */
static size_t
deliver(void *context, struct event *const *list, size_t count, char why[256])
{
	struct store *s = context;

	if (make_room(s, count)) {
		snprintf(why, 256, "out of memory");
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		s->backlog[s->backlog_count++] = event_hold(list[i]);
		s->backlog_bytes += list[i]->bytes;
		s->now = list[i]->time;
	}
	if (now_ms() >= s->retry_ms) {
		flush(s);
		return count;
	}
	pthread_mutex_lock(&s->lock);
	s->stats.waiting = s->backlog_count;
	pthread_mutex_unlock(&s->lock);
	hand_on(s);
	return count;
}

static void
tick(void *context)
{
	struct store *s = context;
	int64_t now = now_ms();
	bool due;

	pthread_mutex_lock(&s->lock);
	due = s->figures != NULL;
	pthread_mutex_unlock(&s->lock);
	if (now < s->retry_ms)
		return;
	if (due || s->backlog_count)
		flush(s);
	if (s->retry_ms || now < s->upkeep_ms)
		return;
	s->upkeep_ms = now + (store_upkeep(s) > 0 ? UPKEEP_SOON_MS : UPKEEP_MS);
}

/* --- for everybody -------------------------------------------------------------------- */

int
store_start(struct store *s)
{
	struct relay_kind kind = { .name = s->path, .deliver = deliver,
		.tick = tick, .tick_ms = RELAY_TICK_MS, .limit = RELAY_LIMIT,
		.limit_bytes = SIZE_MAX,
		.batch = RELAY_BATCH };

	s->relay = relay_new(&kind, s);
	if (s->relay)
		return 0;
	log_warn("out of memory");
	return -1;
}

/* Where all events come at once, the queue must not overflow. */
static void
wait_for_room(struct store *s)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	struct relay_stats r;

	for (relay_stats(s->relay, &r); r.waiting >= RELAY_LIMIT - 1;
	    relay_stats(s->relay, &r))
		nanosleep(&pause, NULL);
}

static void
hear(void *context, struct event *e)
{
	struct store *s = context;

	if (!s->live)
		wait_for_room(s);
	relay_put(s->relay, e);
}

struct feed_listener
store_listener(struct store *s)
{
	return (struct feed_listener){ .context = s, .event = hear };
}

void
store_figures(struct store *s, char *json)
{
	pthread_mutex_lock(&s->lock);
	free(s->figures);
	s->figures = json;
	pthread_mutex_unlock(&s->lock);
}

void
store_limit(struct store *s, const struct store_keep *keep)
{
	pthread_mutex_lock(&s->lock);
	s->keep = *keep;
	pthread_mutex_unlock(&s->lock);
}

void
store_stats(struct store *s, struct store_stats *out)
{
	struct relay_stats r = { 0 };

	if (s->relay)
		relay_stats(s->relay, &r);
	pthread_mutex_lock(&s->lock);
	*out = s->stats;
	pthread_mutex_unlock(&s->lock);
	out->waiting += r.waiting;
	out->dropped += r.dropped;
}

int
store_finish(struct store *s)
{
	int64_t until = now_ms() + CLOSE_MS / 10;
	bool failed;

	relay_close(&s->relay, CLOSE_MS);
	failed = !flush(s);
	while (!failed && now_ms() < until && store_upkeep(s) > 0)
		;			/* a little more of what is too old */
	if (!failed && store_sql(&s->writer, SQL_ENDED, "i", s->run)) {
		store_why(s->writer.db, s->why);
		failed = true;
	}
	if (failed)
		log_warn("cannot write to %s: %s; %zu records are not kept",
		    s->path, s->why, s->backlog_count);
	forget_backlog(s);
	return failed ? -1 : 0;
}

void
store_close(struct store **sp)
{
	struct store *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	relay_close(&s->relay, 0);
	forget_backlog(s);
	dispose(s);
}
