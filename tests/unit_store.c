/* unit_store.c - the kept run: what is on the disk when, what the next start
 * knows, and what happens while the disk fails. */
#include "detectors/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture/log.h"
#include "detectors/compare_kept.h"
#include "tests/unit.h"

#define DAY_NS (86400 * NS_PER_S)

static const struct store_keep for_ever = { 0, 0, 0 };

/* 2026-01-05T04:00:00Z */
static const struct instant begin = { 1767585600 * NS_PER_S };

/* A folder of its own for each test; gone with the program. */
static const char *
folder(void)
{
	static char path[300];
	const char *top = getenv("TMPDIR");

	snprintf(path, sizeof(path), "%s/toewatch-store.XXXXXX",
	    top ? top : "/tmp");
	if (!mkdtemp(path))
		abort();
	return path;
}

static void
clear(const char *dir)
{
	DIR *d = opendir(dir);
	char path[800];

	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

static struct store *
open_or_die(const char *dir, const struct store_keep *keep)
{
	char err[STORE_ERROR_BYTES] = "";
	struct store *s = store_open(dir, keep, true, "eth1", err);

	CHECK_STR(err, "");
	CHECK(s != NULL);
	return s;
}

/* --- who listens behind it ---------------------------------------------------------- */

struct heard {
	pthread_mutex_t lock;
	uint64_t count, last;		/* number of the last event */
};

static void
hear(void *context, struct event *e)
{
	struct heard *h = context;

	pthread_mutex_lock(&h->lock);
	h->count++;
	h->last = e->number;
	pthread_mutex_unlock(&h->lock);
}

static uint64_t
heard(struct heard *h)
{
	uint64_t n;

	pthread_mutex_lock(&h->lock);
	n = h->count;
	pthread_mutex_unlock(&h->lock);
	return n;
}

static void
listen_with(struct store *s, struct heard *h)
{
	struct feed_listener l = { .context = h, .event = hear };

	*h = (struct heard){ .lock = PTHREAD_MUTEX_INITIALIZER };
	CHECK_EQ(store_listen(s, &l), 0);
}

/* At most five seconds. */
#define WAIT_UNTIL(condition) do {					\
		static const struct timespec ms_ = { .tv_nsec = 1000000 }; \
									\
		for (int i_ = 0; i_ < 5000 && !(condition); i_++)	\
			nanosleep(&ms_, NULL);				\
		CHECK(condition);					\
	} while (0)

/* --- events ---------------------------------------------------------------------------- */

static void
put(struct store *s, const struct event *model, const char *json)
{
	struct feed_listener l = store_listener(s);
	struct event *e = event_new(model, strdup(json), strlen(json));

	l.event(l.context, e);
	event_release(&e);
}

static struct event
finding(uint64_t number, uint64_t id, const char *name, enum severity severity,
    int64_t after_s)
{
	struct event e = { .number = number, .kind = EVENT_FINDING, .id = id,
		.change = CHANGE_NEW, .severity = severity, .confidence = 0.9,
		.server = "10.20.30.5" };

	snprintf(e.name, sizeof(e.name), "%s", name);
	e.since = instant_plus(begin, after_s * NS_PER_S);
	e.time = instant_plus(e.since, NS_PER_S);
	return e;
}

static void
put_finding(struct store *s, const struct event *e)
{
	char json[400], seen[INSTANT_TEXT_BYTES];

	snprintf(json, sizeof(json), "{\"finding\":\"%s\",\"severity\":\"%s\","
	    "\"side\":\"server\",\"last_seen\":\"%s\",\"text\":\"it \\\"stalls\\\"\"}",
	    e->name, severity_text(e->severity), instant_text(instant_plus(
	    e->since, 30 * NS_PER_S), seen));
	put(s, e, json);
}

static void
put_incident(struct store *s, uint64_t number, uint64_t id,
    enum event_change change, int64_t after_s)
{
	struct event e = { .number = number, .kind = EVENT_INCIDENT, .id = id,
		.incident_id = id, .change = change, .confidence = 0.9,
		.severity = SEVERITY_HIGH, .server = "10.20.30.5",
		.name = "offload_engine", .over = change == CHANGE_OVER };

	e.since = instant_plus(begin, after_s * NS_PER_S);
	e.time = instant_plus(e.since, 10 * NS_PER_S);
	put(s, &e, "{\"end\":null,\"confidence\":0.9,\"summary\":\"s\"}");
}

static void
put_minute(struct store *s, uint64_t number, int64_t after_s, double p95)
{
	struct event e = { .number = number, .kind = EVENT_SERVER,
		.change = CHANGE_UPDATE, .server = "10.20.30.5", .name = "ok" };
	char json[400];

	e.since = begin;
	e.time = instant_plus(begin, after_s * NS_PER_S);
	snprintf(json, sizeof(json), "{\"server\":{\"name\":\"EX01\"},\"flows\":7,"
	    "\"clients\":3,\"bytes\":900,\"response_times_minute\":{\"dcerpc\":"
	    "{\"p50\":1.0,\"p95\":%g,\"p99\":9.0,\"max\":9.0,\"n\":5}}}", p95);
	put(s, &e, json);
}

/* With a connection of its own, as anybody may. */
static sqlite3 *
look_into(const char *dir)
{
	char path[400];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/findings.db", dir);
	CHECK_EQ(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	return db;
}

static void
execute(const char *dir, const char *sql)
{
	sqlite3 *db = look_into(dir);

	CHECK_EQ(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	CHECK_EQ(sqlite3_close(db), SQLITE_OK);
}

/* The whole number that a question gives; -1: none. */
static long
ask(const char *dir, const char *sql)
{
	sqlite3 *db = look_into(dir);
	sqlite3_stmt *st;
	long n = -1;

	CHECK_EQ(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = (long)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

/* --- tests -------------------------------------------------------------------------------- */

static void
test_what_others_hear_is_on_the_disk_already(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);
	struct heard h;

	(void)state;
	listen_with(s, &h);
	CHECK_EQ(store_start(s), 0);
	for (uint64_t n = 1; n <= 300; n++) {
		struct event e = finding(n, n, "rpc_stall", SEVERITY_HIGH,
		    (int64_t)n);
		long kept;

		put_finding(s, &e);
		if (n % 100)
			continue;
		WAIT_UNTIL(heard(&h) == n);
		kept = ask(dir, "SELECT count(*) FROM findings");
		CHECK_EQ(kept, n);
	}
	CHECK_EQ(store_finish(s), 0);
	store_close(&s);
	CHECK_EQ(ask(dir, "SELECT ended FROM runs"), 1);
	CHECK_EQ(ask(dir, "SELECT count(*) FROM findings WHERE"
	    " text = 'it ' || char(34) || 'stalls' || char(34)"), 300);
	clear(dir);
}

static void
test_the_next_start_goes_on_with_numbers_and_open_incidents(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);
	const struct feed_past *past = store_past(s);
	struct event e = finding(41, 17, "rpc_stall", SEVERITY_HIGH, 60);
	struct address server;
	struct heard h;

	(void)state;
	CHECK_EQ(past->last_event, 0);
	CHECK_EQ(past->open_count, 0);
	listen_with(s, &h);
	CHECK_EQ(store_start(s), 0);
	put_finding(s, &e);
	put_incident(s, 42, 5, CHANGE_NEW, 60);
	put_incident(s, 43, 6, CHANGE_NEW, 70);
	put_incident(s, 44, 6, CHANGE_OVER, 70);
	put_incident(s, 45, 7, CHANGE_NEW, 80);
	put_incident(s, 46, 7, CHANGE_WITHDRAWN, 80);
	put_minute(s, 47, 300, 2);
	WAIT_UNTIL(heard(&h) == 7);
	store_close(&s);			/* as if killed */

	s = open_or_die(dir, &for_ever);
	past = store_past(s);
	CHECK_EQ(past->last_event, 47);
	CHECK_EQ(past->last_finding, 17);
	CHECK_EQ(past->last_incident, 7);
	CHECK_EQ(past->open_count, 1);
	CHECK_EQ(past->open[0].id, 5);
	CHECK(address_parse("10.20.30.5", &server));
	CHECK_EQ(address_compare(&past->open[0].server, &server), 0);
	CHECK_EQ(past->open[0].start.ns, begin.ns + 60 * NS_PER_S);
	/* it was open until the run was heard of last */
	CHECK_EQ(past->open[0].last.ns, begin.ns + 300 * NS_PER_S);
	store_close(&s);
	clear(dir);
}

struct told {
	unsigned count;
	uint64_t id[8];
	enum event_kind kind[8];
	char json[8][200];
};

static void
note_told(void *context, struct event *e)
{
	struct told *t = context;

	CHECK(t->count < 8);
	t->id[t->count] = e->id;
	t->kind[t->count] = e->kind;
	snprintf(t->json[t->count++], sizeof(t->json[0]), "%s", e->json);
}

static void
test_what_was_found_before_is_told_as_past(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);
	struct event e = finding(1, 1, "rpc_stall", SEVERITY_HIGH, 0);
	struct told told = { 0 };

	(void)state;
	CHECK_EQ(store_start(s), 0);
	put_finding(s, &e);
	put_incident(s, 2, 1, CHANGE_NEW, 0);
	e = finding(3, 2, "rpc_stall", SEVERITY_HIGH, 5);
	put_finding(s, &e);
	e = finding(4, 3, "rpc_stall", SEVERITY_HIGH, 6);
	e.change = CHANGE_WITHDRAWN;
	put_finding(s, &e);
	e = finding(5, 1, "rpc_stall", SEVERITY_HIGH, 7);
	e.change = CHANGE_UPDATE;
	put_finding(s, &e);
	CHECK_EQ(store_tell_past(s, 10, 10, note_told, &told), 0);
	CHECK_EQ(told.count, 0);	/* this run is no past */
	CHECK_EQ(store_finish(s), 0);
	store_close(&s);

	s = open_or_die(dir, &for_ever);
	CHECK_EQ(store_tell_past(s, 10, 10, note_told, &told), 0);
	CHECK_EQ(told.count, 3);
	CHECK_EQ(told.kind[0], EVENT_INCIDENT);
	CHECK_EQ(told.id[1], 2);
	CHECK_EQ(told.id[2], 1);	/* its last word came last */
	CHECK(strstr(told.json[2], "\"past\":true") != NULL);
	CHECK(strstr(told.json[2], "\"change\":\"over\"") != NULL);
	/* nobody knows how it went on: it lasted until it was heard of last */
	CHECK(strstr(told.json[0], "\"end\":\"2026-01-05T04:00:") != NULL);
	told.count = 0;
	CHECK_EQ(store_tell_past(s, 1, 0, note_told, &told), 0);
	CHECK_EQ(told.count, 1);
	CHECK_EQ(told.id[0], 1);	/* the newest */
	store_close(&s);
	clear(dir);
}

static void
test_an_older_event_does_not_undo_a_later_one(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);
	struct event e = finding(10, 1, "rpc_stall", SEVERITY_HIGH, 0);

	(void)state;
	CHECK_EQ(store_start(s), 0);
	put_finding(s, &e);
	e.number = 9;
	e.severity = SEVERITY_LOW;
	put_finding(s, &e);
	CHECK_EQ(store_finish(s), 0);
	store_close(&s);
	CHECK_EQ(ask(dir, "SELECT grade FROM findings"), SEVERITY_HIGH);
	clear(dir);
}

static void
refuse(const char *dir, const char *why)
{
	char err[STORE_ERROR_BYTES] = "";
	struct store *s = store_open(dir, &for_ever, true, "eth1", err);

	CHECK(s == NULL);
	if (!strstr(err, why) || !strstr(err, dir))
		CHECK_STR(err, why);
}

static void
test_a_second_process_is_refused(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);

	(void)state;
	refuse(dir, "another toewatch keeps its run there");
	store_close(&s);
	s = open_or_die(dir, &for_ever);
	store_close(&s);
	clear(dir);
}

static void
write_file(const char *dir, const char *bytes, size_t n, off_t at)
{
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/findings.db", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(pwrite(fd, bytes, n, at), n);
	close(fd);
}

static void
test_what_is_not_a_sound_database_of_ours_is_refused(void **state)
{
	static const char junk[] = "This is no database, whatever its name says.";
	const char *dir = folder();
	struct store *s;
	char page[4096];

	(void)state;
	memset(page, 'x', sizeof(page));
	for (int i = 0; i < 40; i++)
		write_file(dir, junk, sizeof(junk), i * (off_t)sizeof(junk));
	refuse(dir, "it is no SQLite database, or damaged");
	clear(dir);

	dir = folder();
	s = open_or_die(dir, &for_ever);
	store_close(&s);
	for (int i = 2; i < 8; i++)
		write_file(dir, page, sizeof(page), i * (off_t)sizeof(page));
	refuse(dir, "damaged");
	clear(dir);

	dir = folder();
	execute(dir, "CREATE TABLE mine (x)");
	refuse(dir, "it is not toewatch's");
	clear(dir);

	dir = folder();
	s = open_or_die(dir, &for_ever);
	store_close(&s);
	execute(dir, "PRAGMA user_version = 99");
	refuse(dir, "a later version of toewatch made it");
	clear(dir);
}

static void
test_a_folder_that_cannot_be_is_refused(void **state)
{
	(void)state;
	refuse("/no/such/folder", "No such file or directory");
	refuse("/dev/null", "Not a directory");
}

static void
test_while_it_is_locked_all_is_reported_and_nothing_is_lost(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);
	struct store_stats stats;
	struct heard h;
	sqlite3 *other = look_into(dir);

	(void)state;
	log_set_verbose(-1);
	listen_with(s, &h);
	CHECK_EQ(store_start(s), 0);
	CHECK_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
	    SQLITE_OK);
	for (uint64_t n = 1; n <= 1000; n++) {
		struct event e = finding(n, n, "rpc_stall", SEVERITY_HIGH, 0);

		put_finding(s, &e);
	}
	WAIT_UNTIL(heard(&h) == 1000);
	WAIT_UNTIL((store_stats(s, &stats), stats.failing &&
	    stats.waiting == 1000));
	CHECK_EQ(stats.stored, 0);
	CHECK_EQ(sqlite3_close(other), SQLITE_OK);
	WAIT_UNTIL((store_stats(s, &stats), stats.stored == 1000));
	CHECK(!stats.failing);
	CHECK_EQ(stats.dropped, 0);
	CHECK_EQ(heard(&h), 1000);		/* each of them once */
	CHECK_EQ(store_finish(s), 0);
	store_close(&s);
	CHECK_EQ(ask(dir, "SELECT count(*) FROM findings"), 1000);
	log_set_verbose(0);
	clear(dir);
}

/* A limit on the size of files is a disk that is full, and can be widened. */
static void
test_a_full_disk_delays_the_store_alone(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);
	struct rlimit before, tight = { 0 };
	struct store_stats stats;
	struct heard h;

	(void)state;
	log_set_verbose(-1);
	signal(SIGXFSZ, SIG_IGN);
	listen_with(s, &h);
	CHECK_EQ(store_start(s), 0);
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = 200000;
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (uint64_t n = 1; n <= 3000; n++) {
		struct event e = finding(n, n, "rpc_stall", SEVERITY_HIGH, 0);

		put_finding(s, &e);
	}
	WAIT_UNTIL(heard(&h) == 3000);
	WAIT_UNTIL((store_stats(s, &stats), stats.failing));
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
	WAIT_UNTIL((store_stats(s, &stats), stats.stored == 3000));
	CHECK_EQ(stats.dropped, 0);
	CHECK_EQ(store_finish(s), 0);
	store_close(&s);
	CHECK_EQ(ask(dir, "SELECT count(*) FROM findings"), 3000);
	log_set_verbose(0);
	clear(dir);
}

static void
test_a_database_that_was_deleted_is_noticed(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);
	struct store_stats stats;
	struct heard h;

	(void)state;
	log_set_verbose(-1);
	listen_with(s, &h);
	CHECK_EQ(store_start(s), 0);
	put_incident(s, 1, 1, CHANGE_NEW, 0);
	WAIT_UNTIL(heard(&h) == 1);
	clear(dir);
	put_incident(s, 2, 2, CHANGE_NEW, 0);
	WAIT_UNTIL(heard(&h) == 2);		/* reported all the same */
	WAIT_UNTIL((store_stats(s, &stats), stats.failing));
	CHECK_EQ(store_finish(s), -1);
	store_close(&s);
	log_set_verbose(0);
}

static void
test_a_run_that_cannot_be_written_at_its_end_says_so(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);
	struct rlimit before, tight;

	(void)state;
	log_set_verbose(-1);
	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(store_start(s), 0);
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = 1000;
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
	put_incident(s, 1, 1, CHANGE_NEW, 0);
	CHECK_EQ(store_finish(s), -1);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
	store_close(&s);
	log_set_verbose(0);
	clear(dir);
}

static void
test_restarts_and_relapses_are_a_servers_history(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);
	char text[400], *json;
	uint64_t number = 0;
	size_t bytes;

	(void)state;
	CHECK_EQ(store_start(s), 0);
	put_minute(s, ++number, 0, 4);
	/* every night at 4; the trouble comes 10, 11, 12 h later, then not */
	for (int night = 0; night < 4; night++) {
		struct event e = finding(number + 1, number + 1,
		    "server_restart", SEVERITY_MEDIUM, night * 86400);

		put_finding(s, &e);
		e = finding(number + 2, number + 2, "orphaned_session",
		    SEVERITY_LOW, night * 86400 + 60);
		put_finding(s, &e);		/* the restart's own doing */
		if (night == 3)
			break;
		e = finding(number + 3, number + 3, "rpc_stall",
		    SEVERITY_HIGH, night * 86400 + 30 + (10 + night) * 3600);
		put_finding(s, &e);
		number += 3;
	}
	CHECK_EQ(store_finish(s), 0);
	store_restarts_text(s, "10.20.30.5", text, sizeof(text));
	CHECK_STR(text, "restarted 4 times (first back at 2026-01-05 04:00:30 "
	    "UTC, last at 2026-01-08 04:00:30 UTC); trouble came back after 3 "
	    "of them, from 10 h 0 min to 12 h 0 min later (half of the times "
	    "within 11 h 0 min); not yet after the last");
	CHECK_STR(store_restarts_text(s, "10.20.30.6", text, sizeof(text)), "");
	CHECK_EQ(store_history(s, "10.20.30.5", 24, 100, &json, &bytes), 0);
	CHECK(strstr(json, "\"trouble_after_s\":36000.0,"
	    "\"trouble_finding\":\"rpc_stall\"") != NULL);
	CHECK(strstr(json, "\"name\":\"EX01\"") != NULL);
	CHECK(strstr(json, "\"trouble\":null") != NULL);
	CHECK_EQ(strlen(json), bytes);
	free(json);
	CHECK_EQ(store_history(s, "10.20.30.6", 24, 100, &json, &bytes), 1);
	store_close(&s);
	clear(dir);
}

static void
test_history_has_as_many_points_as_asked_for(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);
	size_t bytes, points = 0;
	char *json;

	(void)state;
	CHECK_EQ(store_start(s), 0);
	for (int minute = 0; minute < 600; minute++)
		put_minute(s, (uint64_t)minute + 1, minute * 60,
		    minute == 595 ? 77 : 2);
	CHECK_EQ(store_finish(s), 0);
	CHECK_EQ(store_history(s, "10.20.30.5", 10, 60, &json, &bytes), 0);
	for (const char *p = json; (p = strstr(p, "\"time\"")); p++)
		points++;
	CHECK(points >= 60 && points <= 61);
	CHECK(strstr(json, "\"step_s\":600") != NULL);
	/* the worst of ten minutes, of 50 answers */
	CHECK(strstr(json, "{\"p50\":1.0,\"p95\":77,\"max\":9.0,\"n\":50}"));
	free(json);
	store_close(&s);
	clear(dir);
}

static void
test_what_is_too_old_goes_a_little_at_a_time(void **state)
{
	static const struct store_keep keep = { 30, 2, 0 };
	const char *dir = folder();
	struct store *s = open_or_die(dir, &keep);
	uint64_t number = 0;

	(void)state;
	CHECK_EQ(store_start(s), 0);
	for (int day = 0; day < 60; day++) {
		struct event e = finding(number + 1, number + 1, "rpc_stall",
		    SEVERITY_HIGH, day * 86400);

		put_finding(s, &e);
		number++;
		for (int minute = 0; minute < 30; minute++)
			put_minute(s, ++number, day * 86400 + minute * 60, 2);
	}
	CHECK_EQ(store_finish(s), 0);
	store_close(&s);
	CHECK_EQ(ask(dir, "SELECT count(*) FROM findings"), 30);
	CHECK_EQ(ask(dir, "SELECT min(finding_id) FROM findings"), 30 * 31 + 1);
	CHECK_EQ(ask(dir, "SELECT count(*) FROM minutes"), 61);
	clear(dir);
}

static void
test_size_is_held_by_what_can_best_be_done_without(void **state)
{
	static const struct store_keep keep = { 0, 0, 0.5 };
	const char *dir = folder();
	struct store *s = open_or_die(dir, &keep);
	struct event e = finding(1, 1, "rpc_stall", SEVERITY_HIGH, 0);
	struct stat file;
	char path[400];

	(void)state;
	CHECK_EQ(store_start(s), 0);
	put_finding(s, &e);
	for (int minute = 0; minute < 20000; minute++)
		put_minute(s, (uint64_t)minute + 2, minute * 60, 2);
	CHECK_EQ(store_finish(s), 0);
	store_close(&s);
	CHECK(ask(dir, "SELECT count(*) FROM minutes") < 5000);
	CHECK_EQ(ask(dir, "SELECT count(*) FROM findings"), 1);
	CHECK(ask(dir, "SELECT count(*) FROM minutes") > 500);
	/* and its last minute is there still */
	CHECK_EQ(ask(dir, "SELECT count(*) FROM minutes WHERE minute ="
	    " (SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 1767585600 + 19999 * 60,"
	    " 'unixepoch'))"), 1);
	snprintf(path, sizeof(path), "%s/findings.db", dir);
	CHECK_EQ(stat(path, &file), 0);
	CHECK(file.st_size < 2 << 20);
	clear(dir);
}

static void
test_an_incident_that_is_not_there_again_is_over(void **state)
{
	const char *dir = folder();
	struct store *s = open_or_die(dir, &for_ever);

	(void)state;
	CHECK_EQ(store_start(s), 0);
	put_incident(s, 1, 1, CHANGE_NEW, 0);
	put_incident(s, 2, 2, CHANGE_NEW, 0);
	CHECK_EQ(store_finish(s), 0);
	store_close(&s);
	s = open_or_die(dir, &for_ever);
	CHECK_EQ(store_past(s)->open_count, 2);
	CHECK_EQ(store_start(s), 0);
	put_incident(s, 3, 2, CHANGE_UPDATE, 60);
	put_minute(s, 4, 3600, 1);
	CHECK_EQ(store_finish(s), 0);
	store_close(&s);
	CHECK_EQ(ask(dir, "SELECT count(*) FROM incidents"
	    " WHERE incident_id = 1 AND over = 1 AND change = 'left'"), 1);
	CHECK_EQ(ask(dir, "SELECT over FROM incidents WHERE incident_id = 2"), 0);
	clear(dir);
}

/* --- figures ------------------------------------------------------------------------ */

static struct run_figures
some_figures(struct server_figures *v, struct port_figures *port, int64_t from_s,
    int64_t to_s)
{
	*port = (struct port_figures){ 445, 17, 3 };
	*v = (struct server_figures){ .name = "EX01", .served = true,
		.flows = 40, .flows_affected = 7, .clients = 14,
		.clients_affected = 5, .incidents = 2, .trouble_ns = 12345,
		.flows_offloaded = 9, .stacks_known = true,
		.wire = { 1, 2, 3, 4, 1, port } };
	v->incidents_by[VERDICT_offload_engine] = 2;
	v->trouble_ns_by[VERDICT_offload_engine] = 12345;
	v->response[3] = (struct response_figures){ 100, 4000000, 9000000 };
	CHECK(address_parse("10.20.30.5", &v->address));
	return (struct run_figures){ .subject = "eth1", .watched_ns =
		(to_s - from_s) * NS_PER_S, .first = { from_s * NS_PER_S + 1 },
		.last = { to_s * NS_PER_S }, .lost_share = 0.1 + 0.2,
		.one_way_share = 1.0 / 3, .count = 1, .server = v };
}

static void
keep_figures(const char *dir, int64_t from_s, int64_t to_s, uint64_t carried)
{
	struct store *s = open_or_die(dir, &for_ever);
	struct server_figures v;
	struct port_figures port;
	struct run_figures r = some_figures(&v, &port, from_s, to_s);

	v.carried_by[VERDICT_offload_engine] = carried;
	CHECK_EQ(store_start(s), 0);
	store_figures(s, run_figures_json(&r));
	CHECK_EQ(store_finish(s), 0);
	store_close(&s);
}

static void
test_figures_come_back_as_they_were(void **state)
{
	const char *dir = folder();
	struct server_figures v, *got;
	struct port_figures port;
	struct run_figures want = some_figures(&v, &port, 100, 200), r;
	char err[STORE_ERROR_BYTES];

	(void)state;
	keep_figures(dir, 100, 200, 0);
	CHECK_EQ(run_figures_read(dir, &r, err), 0);
	CHECK_STR(r.subject, strrchr(dir, '/') + 1);
	CHECK_EQ(r.first.ns, want.first.ns);
	CHECK(fabs(r.lost_share - want.lost_share) <= 0);
	CHECK(fabs(r.one_way_share - want.one_way_share) <= 0);
	CHECK_EQ(r.count, 1);
	got = &r.server[0];
	CHECK_STR(got->name, "EX01");
	CHECK_EQ(got->wire.port_count, 1);
	CHECK_EQ(got->wire.port[0].port, 445);
	CHECK_EQ(got->wire.port[0].made, 17);
	CHECK_EQ(got->wire.port[0].failed, 3);
	CHECK_MEM(got->response, v.response, sizeof(v.response));
	CHECK_MEM(got->incidents_by, v.incidents_by, sizeof(v.incidents_by));
	CHECK_EQ(got->wire.sent, 1);
	CHECK_EQ(got->wire.bad_sums, 2);
	CHECK_EQ(got->wire.packets, 3);
	CHECK_EQ(got->wire.retransmissions, 4);
	CHECK_EQ(got->flows_affected, 7);
	CHECK(got->served && got->stacks_known && !got->told_only);
	run_figures_free(&r);
	clear(dir);
}

static void
test_several_runs_count_as_one_and_the_same_capture_once(void **state)
{
	const char *dir = folder();
	struct run_figures r;
	char err[STORE_ERROR_BYTES];

	(void)state;
	keep_figures(dir, 100, 200, 0);
	keep_figures(dir, 100, 200, 0);		/* the same again */
	keep_figures(dir, 300, 600, 0);
	CHECK_EQ(run_figures_read(dir, &r, err), 0);
	CHECK_EQ(r.watched_ns, 400 * NS_PER_S);
	CHECK_EQ(r.server[0].flows, 80);
	CHECK_EQ(r.server[0].clients, 14);
	CHECK_EQ(r.server[0].incidents, 4);
	CHECK_EQ(r.server[0].wire.port[0].made, 34);
	CHECK_EQ(r.server[0].response[3].n, 200);
	run_figures_free(&r);
	clear(dir);
}

static void
test_an_incident_that_goes_on_in_the_next_run_counts_once(void **state)
{
	const char *dir = folder();
	struct run_figures r;
	char err[STORE_ERROR_BYTES];

	(void)state;
	keep_figures(dir, 100, 200, 0);
	keep_figures(dir, 300, 600, 1);
	CHECK_EQ(run_figures_read(dir, &r, err), 0);
	CHECK_EQ(r.server[0].incidents, 3);
	CHECK_EQ(r.server[0].incidents_by[VERDICT_offload_engine], 3);
	run_figures_free(&r);
	clear(dir);
}

UNIT_TESTS(
    cmocka_unit_test(test_what_others_hear_is_on_the_disk_already),
    cmocka_unit_test(test_the_next_start_goes_on_with_numbers_and_open_incidents),
    cmocka_unit_test(test_what_was_found_before_is_told_as_past),
    cmocka_unit_test(test_an_older_event_does_not_undo_a_later_one),
    cmocka_unit_test(test_a_second_process_is_refused),
    cmocka_unit_test(test_what_is_not_a_sound_database_of_ours_is_refused),
    cmocka_unit_test(test_a_folder_that_cannot_be_is_refused),
    cmocka_unit_test(test_while_it_is_locked_all_is_reported_and_nothing_is_lost),
    cmocka_unit_test(test_a_full_disk_delays_the_store_alone),
    cmocka_unit_test(test_a_database_that_was_deleted_is_noticed),
    cmocka_unit_test(test_a_run_that_cannot_be_written_at_its_end_says_so),
    cmocka_unit_test(test_restarts_and_relapses_are_a_servers_history),
    cmocka_unit_test(test_history_has_as_many_points_as_asked_for),
    cmocka_unit_test(test_what_is_too_old_goes_a_little_at_a_time),
    cmocka_unit_test(test_size_is_held_by_what_can_best_be_done_without),
    cmocka_unit_test(test_an_incident_that_is_not_there_again_is_over),
    cmocka_unit_test(test_figures_come_back_as_they_were),
    cmocka_unit_test(test_an_incident_that_goes_on_in_the_next_run_counts_once),
    cmocka_unit_test(test_several_runs_count_as_one_and_the_same_capture_once),
)
