/* store_rows.c - the tables, what becomes of an event in them, and what is
 * deleted again.
 *
 * An event replaces what was known of its subject, so that the tables hold the
 * last word of each finding and incident; the record as it was published stands
 * beside the columns, and what only people ask for is taken out of it when they
 * do (generated columns). The hard part is age: one large DELETE would hold up
 * what is being reported, so it is done a little at a time. */
#include "detectors/store_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "toew", so that file(1) and we can tell whose it is. */
#define APPLICATION_ID 0x746f6577

enum { DELETE_ROWS = 500, VACUUM_PAGES = 256 };

/* Times are ISO 8601 in UTC, as everywhere in the records: they sort. What the
 * tables mean is said in toewatch(8); a change of them is a new STORE_VERSION. */
static const char tables[] =
"CREATE TABLE numbers ("			/* one row: where numbers go on */
" event INTEGER NOT NULL, finding INTEGER NOT NULL, incident INTEGER NOT NULL);"
"INSERT INTO numbers VALUES (0, 0, 0);"
"CREATE TABLE runs ("
" run INTEGER PRIMARY KEY, version TEXT NOT NULL, live INTEGER NOT NULL,"
" source TEXT NOT NULL, began TEXT, last TEXT, ended INTEGER NOT NULL DEFAULT 0,"
" figures TEXT);"
"CREATE TABLE findings ("
" finding_id INTEGER PRIMARY KEY, run INTEGER NOT NULL, event INTEGER NOT NULL,"
" change TEXT, published TEXT NOT NULL, server TEXT, finding TEXT NOT NULL,"
" grade INTEGER NOT NULL, first_seen TEXT, incident_id INTEGER,"
" record TEXT NOT NULL,"
" kind TEXT AS (json_extract(record, '$.kind')),"
" severity TEXT AS (json_extract(record, '$.severity')),"
" confidence REAL AS (json_extract(record, '$.confidence')),"
" client_ip TEXT AS (json_extract(record, '$.client_ip')),"
" side TEXT AS (json_extract(record, '$.side')),"
" last_seen TEXT AS (json_extract(record, '$.last_seen')),"
" text TEXT AS (json_extract(record, '$.text')));"
"CREATE INDEX findings_server ON findings (server, first_seen);"
"CREATE INDEX findings_published ON findings (published);"
"CREATE TABLE incidents ("
" incident_id INTEGER PRIMARY KEY, run INTEGER NOT NULL, event INTEGER NOT NULL,"
" change TEXT, published TEXT NOT NULL, server TEXT, verdict TEXT NOT NULL,"
" grade INTEGER NOT NULL, start TEXT, over INTEGER NOT NULL,"
" record TEXT NOT NULL,"
" \"end\" TEXT AS (json_extract(record, '$.end')),"
" confidence REAL AS (json_extract(record, '$.confidence')),"
" summary TEXT AS (json_extract(record, '$.summary')));"
"CREATE INDEX incidents_server ON incidents (server, start);"
"CREATE INDEX incidents_published ON incidents (published);"
"CREATE TABLE servers ("
" server TEXT PRIMARY KEY, run INTEGER NOT NULL, published TEXT NOT NULL,"
" health TEXT, record TEXT NOT NULL,"
" name TEXT AS (json_extract(record, '$.server.name')));"
"CREATE TABLE minutes ("
" server TEXT NOT NULL, minute TEXT NOT NULL, run INTEGER NOT NULL, health TEXT,"
" flows INTEGER, clients INTEGER, bytes INTEGER, offload_state TEXT,"
" response_times TEXT, PRIMARY KEY (server, minute)) WITHOUT ROWID;"
"CREATE INDEX minutes_minute ON minutes (minute);"
"CREATE TABLE capture ("
" minute TEXT PRIMARY KEY, run INTEGER NOT NULL, record TEXT NOT NULL,"
" packets INTEGER AS (json_extract(record, '$.packets')),"
" bytes INTEGER AS (json_extract(record, '$.bytes')),"
" dropped_kernel INTEGER AS (json_extract(record, '$.dropped_kernel')),"
" dropped_interface INTEGER AS (json_extract(record, '$.dropped_interface')),"
" lost_estimate REAL AS (json_extract(record, '$.lost_estimate')));"
"CREATE TABLE timelines ("
" server TEXT NOT NULL, began TEXT NOT NULL, run INTEGER NOT NULL,"
" record TEXT NOT NULL, PRIMARY KEY (server, began));"
"CREATE INDEX timelines_began ON timelines (began);"
/* Of a capture that was read twice, once. */
"CREATE VIEW restarts AS"
" SELECT max(finding_id) AS finding_id, server, first_seen AS down,"
"  max(last_seen) AS up,"
"  lead(first_seen) OVER (PARTITION BY server ORDER BY first_seen) AS next_down"
" FROM findings WHERE finding = 'server_restart' AND change IS NOT 'withdrawn'"
" GROUP BY server, first_seen;"
/* Trouble is what degrades a server (finding_degrades). */
"CREATE VIEW relapses AS"
" SELECT r.server, r.down, r.up, r.finding_id AS restart_id,"
"  f.first_seen AS trouble, f.finding_id, f.finding, f.incident_id,"
"  round((julianday(f.first_seen) - julianday(r.up)) * 86400, 1) AS after_s"
" FROM restarts r LEFT JOIN findings f ON f.finding_id ="
"  (SELECT t.finding_id FROM findings t WHERE t.server = r.server"
"   AND t.first_seen >= r.up"
"   AND (r.next_down IS NULL OR t.first_seen < r.next_down)"
"   AND t.grade >= 2 AND t.finding <> 'server_restart'"
"   AND t.change IS NOT 'withdrawn' AND t.side NOT IN ('client', 'capture')"
"   ORDER BY t.first_seen, t.finding_id LIMIT 1);";

static const char *const statements[SQL_COUNT] = {
	[SQL_FINDING] =
"INSERT INTO findings (finding_id, run, event, change, published, server,"
" finding, grade, first_seen, incident_id, record)"
" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, nullif(?10, 0), ?11)"
" ON CONFLICT (finding_id) DO UPDATE SET run = excluded.run,"
" event = excluded.event, change = excluded.change,"
" published = excluded.published, server = excluded.server,"
" finding = excluded.finding, grade = excluded.grade,"
" first_seen = excluded.first_seen, incident_id = excluded.incident_id,"
" record = excluded.record WHERE excluded.event >= event",
	[SQL_INCIDENT] =
"INSERT INTO incidents (incident_id, run, event, change, published, server,"
" verdict, grade, start, over, record)"
" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
" ON CONFLICT (incident_id) DO UPDATE SET run = excluded.run,"
" event = excluded.event, change = excluded.change,"
" published = excluded.published, server = excluded.server,"
" verdict = excluded.verdict, grade = excluded.grade, start = excluded.start,"
" over = excluded.over, record = excluded.record"
" WHERE excluded.event >= event",
	[SQL_SERVER] =
"INSERT INTO servers (server, run, published, health, record)"
" VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (server) DO UPDATE SET"
" run = excluded.run, published = excluded.published,"
" health = excluded.health, record = excluded.record",
	/* What the record says of the last minute; older records: of all. */
	[SQL_MINUTE] =
"INSERT OR REPLACE INTO minutes (server, minute, run, health, flows, clients,"
" bytes, offload_state, response_times) VALUES (?1, substr(?3, 1, 19) || 'Z',"
" ?2, ?4, json_extract(?5, '$.flows'), json_extract(?5, '$.clients'),"
" json_extract(?5, '$.bytes'), json_extract(?5, '$.offload_state'),"
" coalesce(json_extract(?5, '$.response_times_minute'),"
"  json_extract(?5, '$.response_times')))",
	[SQL_CAPTURE] =
"INSERT OR REPLACE INTO capture (minute, run, record)"
" VALUES (substr(?1, 1, 19) || 'Z', ?2, ?3)",
	/* Each record tells of the last minutes; of those that overlap, the last
	 * one in each stretch of their length is enough. */
	[SQL_TIMELINE] =
"INSERT OR REPLACE INTO timelines (server, began, run, record)"
" SELECT ?1, strftime('%Y-%m-%dT%H:%M:%SZ',"
"  cast(strftime('%s', json_extract(?3, '$.from')) / length * length AS INTEGER),"
"  'unixepoch'), ?2, ?3 FROM (SELECT max(60, cast("
"  json_extract(?3, '$.step_s') * json_extract(?3, '$.cells') AS INTEGER))"
"  AS length)",
	[SQL_NUMBERS] =
"UPDATE numbers SET event = max(event, ?1), finding = max(finding, ?2),"
" incident = max(incident, ?3)",
	[SQL_RUN] =
"UPDATE runs SET began = coalesce(?2, began), last = max(coalesce(last, ''), ?3)"
" WHERE run = ?1",
	[SQL_FIGURES] = "UPDATE runs SET figures = ?2 WHERE run = ?1",
	[SQL_ENDED] = "UPDATE runs SET ended = 1 WHERE run = ?1",
	/* Open when its run ended, and not there again since. */
	[SQL_LEFT_OPEN] =
"UPDATE incidents SET over = 1, change = 'left' WHERE over = 0 AND run < ?1"
" AND (SELECT last FROM runs WHERE runs.run = incidents.run) <"
" strftime('%Y-%m-%dT%H:%M:%SZ', ?2, '-20 minutes')",
	[SQL_OLD_FINDINGS] =
"DELETE FROM findings WHERE finding_id IN (SELECT finding_id FROM findings"
" WHERE published < ?1 ORDER BY published LIMIT ?2)",
	[SQL_OLD_INCIDENTS] =
"DELETE FROM incidents WHERE incident_id IN (SELECT incident_id FROM incidents"
" WHERE published < ?1 ORDER BY published LIMIT ?2)",
	[SQL_OLD_MINUTES] =
"DELETE FROM minutes WHERE (server, minute) IN (SELECT server, minute"
" FROM minutes WHERE minute < ?1 ORDER BY minute LIMIT ?2)",
	[SQL_OLD_CAPTURE] =
"DELETE FROM capture WHERE rowid IN (SELECT rowid FROM capture"
" WHERE minute < ?1 ORDER BY minute LIMIT ?2)",
	[SQL_OLD_TIMELINES] =
"DELETE FROM timelines WHERE rowid IN (SELECT rowid FROM timelines"
" WHERE began < ?1 ORDER BY began LIMIT ?2)",
};

int
store_make_tables(sqlite3 *db)
{
	char head[200];

	snprintf(head, sizeof(head), "BEGIN IMMEDIATE; PRAGMA application_id = %d;"
	    "PRAGMA user_version = %d;", APPLICATION_ID, STORE_VERSION);
	if (sqlite3_exec(db, head, NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, tables, NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return -1;
}

/* Statements ---------------------------------------------------------------- */

void
store_forget_statements(struct store_db *d)
{
	for (int i = 0; i < SQL_COUNT; i++) {
		sqlite3_finalize(d->statement[i]);
		d->statement[i] = NULL;
	}
}

static void
bind(sqlite3_stmt *st, const char *types, va_list args)
{
	for (int i = 1; types[i - 1]; i++) {
		if (types[i - 1] == 'i')
			sqlite3_bind_int64(st, i, va_arg(args, int64_t));
		else
			sqlite3_bind_text(st, i, va_arg(args, const char *), -1,
			    SQLITE_STATIC);
	}
}

/* `types`: a letter a parameter, 'i' int64_t, 't' text that may be NULL. */
int
store_sql(struct store_db *d, enum store_sql which, const char *types, ...)
{
	sqlite3_stmt **st = &d->statement[which];
	va_list args;
	int result;

	if (!*st && sqlite3_prepare_v3(d->db, statements[which], -1,
	    SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK)
		return -1;
	va_start(args, types);
	bind(*st, types, args);
	va_end(args);
	result = sqlite3_step(*st);
	sqlite3_reset(*st);		/* gives the same error again */
	sqlite3_clear_bindings(*st);
	return result == SQLITE_DONE ? 0 : -1;
}

/* Events -------------------------------------------------------------------- */

static int64_t
signed_of(uint64_t n)
{
	return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static const char *
text_or_null(const char *text)
{
	return *text ? text : NULL;
}

static int
put_finding(struct store *s, const struct event *e, const char *time)
{
	char since[INSTANT_TEXT_BYTES];

	return store_sql(&s->writer, SQL_FINDING, "iiittttitit",
	    signed_of(e->id), s->run, signed_of(e->number),
	    event_change_name(e->change), time, text_or_null(e->server), e->name,
	    (int64_t)e->severity, instant_text(e->since, since),
	    signed_of(e->incident_id), e->json);
}

static int
put_incident(struct store *s, const struct event *e, const char *time)
{
	char since[INSTANT_TEXT_BYTES];

	return store_sql(&s->writer, SQL_INCIDENT, "iiittttitit",
	    signed_of(e->id), s->run, signed_of(e->number),
	    event_change_name(e->change), time, text_or_null(e->server), e->name,
	    (int64_t)e->severity, instant_text(e->since, since),
	    (int64_t)(e->over || e->change == CHANGE_WITHDRAWN), e->json);
}

static int
put_server(struct store *s, const struct event *e, const char *time)
{
	if (store_sql(&s->writer, SQL_SERVER, "titt" "t", e->server, s->run, time,
	    e->name, e->json))
		return -1;
	return store_sql(&s->writer, SQL_MINUTE, "titt" "t", e->server, s->run,
	    time, e->name, e->json);
}

int
store_put_event(struct store *s, const struct event *e)
{
	char time[INSTANT_TEXT_BYTES];

	instant_text(e->time, time);
	switch (e->kind) {
	case EVENT_FINDING:
		return put_finding(s, e, time);
	case EVENT_INCIDENT:
		return put_incident(s, e, time);
	case EVENT_SERVER:
		return put_server(s, e, time);
	case EVENT_CAPTURE:
		return store_sql(&s->writer, SQL_CAPTURE, "tit", time, s->run,
		    e->json);
	case EVENT_TIMELINE:
		return store_sql(&s->writer, SQL_TIMELINE, "tit", e->server,
		    s->run, e->json);
	case EVENT_KINDS:
		break;
	}
	return 0;
}

/* Age and size -------------------------------------------------------------- */

/* Before `days` ago. False: nothing is too old. */
static bool
cutoff(const struct store *s, double days, char out[INSTANT_TEXT_BYTES])
{
	struct instant then = instant_plus(s->now,
	    -(int64_t)(days * 86400 * 1e9));

	if (days <= 0 || s->now.ns <= 0 || days > 36500)
		return false;
	instant_text(then, out);
	return true;
}

/* 1: there is more, 0, -1. */
static int
delete_before(struct store *s, enum store_sql which, const char *time)
{
	if (store_sql(&s->writer, which, "ti", time, (int64_t)DELETE_ROWS))
		return -1;
	return sqlite3_changes(s->writer.db) == DELETE_ROWS;
}

static int
delete_old(struct store *s, double days, const enum store_sql *which, int count)
{
	char time[INSTANT_TEXT_BYTES];
	bool more = false;

	if (!cutoff(s, days, time))
		return 0;
	for (int i = 0; i < count; i++) {
		int result = delete_before(s, which[i], time);

		if (result < 0)
			return -1;
		more |= result > 0;
	}
	return more;
}

static int64_t
pragma(struct store *s, const char *text)
{
	sqlite3_stmt *st;
	int64_t value = -1;

	if (sqlite3_prepare_v2(s->writer.db, text, -1, &st, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return value;
}

static bool
too_large(struct store *s, double size_mib)
{
	int64_t used = pragma(s, "PRAGMA page_count") -
	    pragma(s, "PRAGMA freelist_count");

	return size_mib > 0 && (double)used *
	    (double)pragma(s, "PRAGMA page_size") > size_mib * 1048576;
}

/* What can best be done without goes first; incidents stay. */
static int
delete_some(struct store *s)
{
	static const enum store_sql order[] = { SQL_OLD_TIMELINES,
		SQL_OLD_MINUTES, SQL_OLD_CAPTURE, SQL_OLD_FINDINGS };
	char now[INSTANT_TEXT_BYTES];

	instant_text(s->now, now);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (delete_before(s, order[i], now) < 0)
			return -1;
		if (sqlite3_changes(s->writer.db) > 0)
			return 1;
	}
	return 0;
}

/* 1: there is more, 0, -1. */
static int
tidy(struct store *s)
{
	static const enum store_sql kept[] = { SQL_OLD_FINDINGS,
		SQL_OLD_INCIDENTS };
	static const enum store_sql minutes[] = { SQL_OLD_MINUTES,
		SQL_OLD_CAPTURE, SQL_OLD_TIMELINES };
	char now[INSTANT_TEXT_BYTES], vacuum[60];
	struct store_keep keep;
	int more[3] = { 0 };

	pthread_mutex_lock(&s->lock);
	keep = s->keep;
	pthread_mutex_unlock(&s->lock);
	if (store_sql(&s->writer, SQL_LEFT_OPEN, "it", s->run,
	    instant_text(s->now, now)))
		return -1;
	more[0] = delete_old(s, keep.days, kept, 2);
	more[1] = delete_old(s, keep.minute_days, minutes, 3);
	more[2] = too_large(s, keep.size_mib) ? delete_some(s) : 0;
	snprintf(vacuum, sizeof(vacuum), "PRAGMA incremental_vacuum(%d)",
	    VACUUM_PAGES);
	if (more[0] < 0 || more[1] < 0 || more[2] < 0 ||
	    sqlite3_exec(s->writer.db, vacuum, NULL, NULL, NULL) != SQLITE_OK)
		return -1;
	return more[0] || more[1] || more[2];
}

int
store_upkeep(struct store *s)
{
	sqlite3 *db = s->writer.db;
	int result;

	if (!instant_is_set(s->now))
		return 0;
	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return -1;
	result = tidy(s);
	if (result < 0 ||
	    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return result;
}

/* Failures ------------------------------------------------------------------ */

const char *
store_why(sqlite3 *db, char out[256])
{
	int error = db ? sqlite3_system_errno(db) : 0;
	const char *what;

	switch (db ? sqlite3_errcode(db) & 0xff : SQLITE_NOMEM) {
	case SQLITE_FULL: what = "the disk is full"; break;
	case SQLITE_BUSY: case SQLITE_LOCKED:
		what = "another program holds it locked"; break;
	case SQLITE_READONLY: what = "it cannot be written to"; break;
	case SQLITE_PERM: what = "no permission"; break;
	case SQLITE_CORRUPT: what = "it is damaged"; break;
	case SQLITE_NOTADB: what = "it is no SQLite database, or damaged"; break;
	case SQLITE_NOMEM: what = "out of memory"; break;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		what = error ? strerror(error) : "input/output error"; break;
	default: what = sqlite3_errmsg(db); break;
	}
	snprintf(out, 256, "%s", what);
	return out;
}
