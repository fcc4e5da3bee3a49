/* store_read.c - what a kept run knows of the past: for the next start, for the
 * page, for the report, and for --compare.
 *
 * The hard part is done by SQLite: answers for the page are put together as JSON
 * in one statement each, so that they are of one moment while the other thread
 * writes on. */
#include "detectors/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "detectors/report_common.h"

enum { RESTARTS_MAX = 4096 };

/* --- for the next start ------------------------------------------------------------ */

static struct instant
microseconds(sqlite3_stmt *st, int column)
{
	return (struct instant){ sqlite3_column_int64(st, column) * NS_PER_US };
}

/* An ISO 8601 text of ours in microseconds since 1970. */
#define MICROSECONDS(text)						\
	"(cast(strftime('%s', substr(" text ", 1, 19)) AS INTEGER) * 1000000" \
	" + cast(substr(" text ", 21, 6) AS INTEGER))"

/* One that is open was so until its run ended. */
static const char open_incidents[] =
"SELECT i.incident_id, i.server, " MICROSECONDS("i.start") ", "
MICROSECONDS("max(i.published, coalesce(r.last, ''))")
" FROM incidents i JOIN runs r ON r.run = i.run"
" WHERE i.over = 0 AND i.server IS NOT NULL ORDER BY i.incident_id";

/* "" where it is null, or there is no memory for it. */
static const char *
text_of(sqlite3_stmt *st, int column)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	return text ? (const char *)text : "";
}

static int
add_open(struct store *s, sqlite3_stmt *st)
{
	struct incident_past *more, *p;
	struct address server;

	if (!address_parse(text_of(st, 1), &server))
		return 0;
	more = realloc(s->open, (s->past.open_count + 1) * sizeof(*more));
	if (!more)
		return -1;
	s->open = more;
	p = &more[s->past.open_count++];
	*p = (struct incident_past){ .id = (uint64_t)sqlite3_column_int64(st, 0),
		.server = server, .start = microseconds(st, 2),
		.last = microseconds(st, 3) };
	return 0;
}

static int
read_open(struct store *s)
{
	sqlite3_stmt *st;
	int result, failed = 0;

	if (sqlite3_prepare_v2(s->reader, open_incidents, -1, &st, NULL) !=
	    SQLITE_OK)
		return -1;
	while (!failed && (result = sqlite3_step(st)) == SQLITE_ROW)
		failed = add_open(s, st);
	sqlite3_finalize(st);
	s->past.open = s->open;
	return failed || result != SQLITE_DONE ? -1 : 0;
}

int
store_read_past(struct store *s)
{
	sqlite3_stmt *st;
	int result;

	if (sqlite3_prepare_v2(s->reader, "SELECT event, finding, incident"
	    " FROM numbers", -1, &st, NULL) != SQLITE_OK)
		return -1;
	result = sqlite3_step(st);
	if (result == SQLITE_ROW) {
		s->past.last_event = (uint64_t)sqlite3_column_int64(st, 0);
		s->past.last_finding = (uint64_t)sqlite3_column_int64(st, 1);
		s->past.last_incident = (uint64_t)sqlite3_column_int64(st, 2);
	}
	sqlite3_finalize(st);
	return result == SQLITE_ROW ? read_open(s) : -1;
}

/* --- for the page: what was found before ------------------------------------------- */

/* ?1 this run, ?2 findings, ?3 incidents. Kind, event, id, record. The newest by
 * what there is an index of: a large store is not read for it. */
static const char told_before[] =
"SELECT kind, event, id, record FROM (SELECT 0 AS kind, f.event AS event,"
"  f.finding_id AS id, json_set(f.record, '$.past', json('true'),"
"  '$.change', 'over') AS record FROM findings f JOIN runs r ON r.run = f.run"
"  WHERE r.live AND f.run < ?1 AND f.change IS NOT 'withdrawn'"
"  ORDER BY f.published DESC LIMIT ?2)"
" UNION ALL SELECT kind, event, id, record FROM (SELECT 1 AS kind, i.event AS"
"  event, i.incident_id AS id, json_set(i.record, '$.past', json('true'),"
"  '$.change', 'over', '$.end', coalesce(i.\"end\","
"   max(i.published, coalesce(r.last, '')))) AS record"
"  FROM incidents i JOIN runs r ON r.run = i.run"
"  WHERE r.live AND i.run < ?1 AND i.change IS NOT 'withdrawn'"
"  ORDER BY i.published DESC LIMIT ?3)"
" ORDER BY event";

static int
tell_row(sqlite3_stmt *st, void (*each)(void *, struct event *), void *context)
{
	struct event model = { .kind = sqlite3_column_int(st, 0) ?
		EVENT_INCIDENT : EVENT_FINDING, .change = CHANGE_OVER,
		.number = (uint64_t)sqlite3_column_int64(st, 1),
		.id = (uint64_t)sqlite3_column_int64(st, 2) }, *e;
	const char *text = (const char *)sqlite3_column_text(st, 3);
	char *json = text ? strdup(text) : NULL;

	e = json ? event_new(&model, json, strlen(json)) : NULL;
	if (!e)
		return -1;
	each(context, e);
	event_release(&e);
	return 0;
}

int
store_tell_past(struct store *s, unsigned findings, unsigned incidents,
    void (*each)(void *, struct event *), void *context)
{
	int failed = 0, result = SQLITE_ERROR;
	sqlite3_stmt *st;

	pthread_mutex_lock(&s->reading);
	if (sqlite3_prepare_v2(s->reader, told_before, -1, &st, NULL) ==
	    SQLITE_OK) {
		sqlite3_bind_int64(st, 1, s->run);
		sqlite3_bind_int64(st, 2, findings);
		sqlite3_bind_int64(st, 3, incidents);
		while (!failed && (result = sqlite3_step(st)) == SQLITE_ROW)
			failed = tell_row(st, each, context);
		sqlite3_finalize(st);
	}
	pthread_mutex_unlock(&s->reading);
	return failed || result != SQLITE_DONE ? -1 : 0;
}

/* --- a server's history -------------------------------------------------------------- */

/* ?1 the server, ?2 hours, ?3 points. */
static const char history[] =
"WITH span AS (SELECT max(60, ?2 * 3600 / max(1, ?3) / 60 * 60) AS step,"
"  cast(strftime('%s', substr(max(minute), 1, 19)) AS INTEGER) AS till"
"  FROM minutes WHERE server = ?1),"
" mine AS (SELECT cast(strftime('%s', substr(minute, 1, 19)) AS INTEGER)"
"   / step * step AS at, m.* FROM minutes m, span WHERE server = ?1"
"   AND minute > strftime('%Y-%m-%dT%H:%M', till - ?2 * 3600, 'unixepoch')),"
" answers AS (SELECT at, e.key AS app, max(json_extract(e.value, '$.p50')) AS p50,"
"  max(json_extract(e.value, '$.p95')) AS p95,"
"  max(json_extract(e.value, '$.max')) AS most,"
"  sum(json_extract(e.value, '$.n')) AS n"
"  FROM mine, json_each(coalesce(response_times, '{}')) e GROUP BY at, app),"
" times AS (SELECT at, json_group_object(app, json_object('p50', p50,"
"  'p95', p95, 'max', most, 'n', n)) AS took FROM answers GROUP BY at),"
" points AS (SELECT at, max(CASE health WHEN 'ok' THEN 0 WHEN 'degraded' THEN 1"
"  WHEN 'failing' THEN 2 WHEN 'silent' THEN 3 END) AS health,"
"  max(flows) AS flows, max(clients) AS clients, max(bytes) AS bytes"
"  FROM mine GROUP BY at)"
"SELECT json_object('server', ?1,"
" 'name', (SELECT name FROM servers WHERE server = ?1),"
" 'restarts', (SELECT json_group_array(json_object('down', down, 'up', up,"
"  'finding_id', restart_id, 'trouble', trouble, 'trouble_after_s', after_s,"
"  'trouble_finding', finding, 'trouble_finding_id', finding_id,"
"  'incident_id', incident_id))"
"  FROM (SELECT * FROM relapses WHERE server = ?1 ORDER BY down)),"
" 'incidents', (SELECT json_group_array(json_object('incident_id', incident_id,"
"  'verdict', verdict, 'confidence', confidence, 'start', start, 'end', \"end\","
"  'over', json(CASE over WHEN 0 THEN 'false' ELSE 'true' END)))"
"  FROM (SELECT * FROM incidents WHERE server = ?1"
"  AND change IS NOT 'withdrawn' ORDER BY start DESC LIMIT 1000)),"
" 'step_s', (SELECT step FROM span),"
" 'points', (SELECT json_group_array(json_object("
"  'time', strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch'),"
"  'health', CASE health WHEN 0 THEN 'ok' WHEN 1 THEN 'degraded'"
"   WHEN 2 THEN 'failing' WHEN 3 THEN 'silent' END,"
"  'flows', flows, 'clients', clients, 'bytes', bytes,"
"  'response_times', json(coalesce(took, '{}'))))"
"  FROM (SELECT * FROM points LEFT JOIN times USING (at) ORDER BY at)))"
" FROM servers WHERE server = ?1";

/* With the reader held. */
static int
ask_history(struct store *s, const char *server, unsigned hours,
    unsigned points, char **json)
{
	sqlite3_stmt *st;
	int result;

	if (sqlite3_prepare_v2(s->reader, history, -1, &st, NULL) != SQLITE_OK)
		return -1;
	sqlite3_bind_text(st, 1, server, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, hours);
	sqlite3_bind_int64(st, 3, points);
	result = sqlite3_step(st);
	if (result == SQLITE_ROW)
		*json = *text_of(st, 0) ? strdup(text_of(st, 0)) : NULL;
	sqlite3_finalize(st);
	if (result == SQLITE_DONE)
		return 1;
	return result == SQLITE_ROW && *json ? 0 : -1;
}

int
store_history(struct store *s, const char *server, unsigned hours,
    unsigned points, char **json, size_t *bytes)
{
	int result;

	*json = NULL;
	pthread_mutex_lock(&s->reading);
	result = ask_history(s, server, hours, points, json);
	pthread_mutex_unlock(&s->reading);
	*bytes = *json ? strlen(*json) : 0;
	return result;
}

/* --- restarts, in a sentence ----------------------------------------------------------- */

struct relapses {
	unsigned restarts, relapses;
	char first_up[INSTANT_TEXT_BYTES], last_up[INSTANT_TEXT_BYTES];
	bool last_relapsed;
	int64_t after_ns[RESTARTS_MAX];
};

static int
by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* "2026-01-03T04:00:12.1Z" as "2026-01-03 04:00:12" */
static void
take_time(char out[INSTANT_TEXT_BYTES], sqlite3_stmt *st, int column)
{
	snprintf(out, INSTANT_TEXT_BYTES, "%.19s", text_of(st, column));
	if (strlen(out) > 10)
		out[10] = ' ';
}

static void
read_relapses(struct store *s, const char *server, struct relapses *r)
{
	sqlite3_stmt *st;

	if (sqlite3_prepare_v2(s->reader, "SELECT up, after_s FROM relapses"
	    " WHERE server = ?1 ORDER BY up", -1, &st, NULL) != SQLITE_OK)
		return;
	sqlite3_bind_text(st, 1, server, -1, SQLITE_STATIC);
	while (r->restarts < RESTARTS_MAX && sqlite3_step(st) == SQLITE_ROW) {
		if (r->restarts++ == 0)
			take_time(r->first_up, st, 0);
		take_time(r->last_up, st, 0);
		r->last_relapsed = sqlite3_column_type(st, 1) != SQLITE_NULL;
		if (r->last_relapsed)
			r->after_ns[r->relapses++] = (int64_t)
			    (sqlite3_column_double(st, 1) * 1e9);
	}
	sqlite3_finalize(st);
}

static void
say_once(const struct relapses *r, char *out, size_t size)
{
	char after[DURATION_TEXT_BYTES];

	snprintf(out, size, "restarted once (back at %s UTC); ", r->last_up);
	if (r->relapses)
		text_add(out, size, "trouble came back %s later",
		    duration_text(r->after_ns[0], after));
	else
		text_add(out, size, "no trouble was seen since");
}

static void
say_often(struct relapses *r, char *out, size_t size)
{
	char least[DURATION_TEXT_BYTES], middle[DURATION_TEXT_BYTES],
	    most[DURATION_TEXT_BYTES];

	qsort(r->after_ns, r->relapses, sizeof(r->after_ns[0]), by_size);
	snprintf(out, size, "restarted %u times (first back at %s UTC, last at "
	    "%s UTC); ", r->restarts, r->first_up, r->last_up);
	if (!r->relapses) {
		text_add(out, size, "trouble came back after none of them");
		return;
	}
	duration_text(r->after_ns[0], least);
	duration_text(r->after_ns[r->relapses - 1], most);
	if (r->relapses == 1)
		text_add(out, size, "trouble came back after one of them, %s "
		    "later", least);
	else if (r->relapses == r->restarts)
		text_add(out, size, "trouble came back after each, from %s to %s "
		    "later (half of the times within %s)", least, most,
		    duration_text(r->after_ns[(r->relapses - 1) / 2], middle));
	else
		text_add(out, size, "trouble came back after %u of them, from %s "
		    "to %s later (half of the times within %s)", r->relapses,
		    least, most,
		    duration_text(r->after_ns[(r->relapses - 1) / 2], middle));
	if (!r->last_relapsed)
		text_add(out, size, "; not yet after the last");
}

const char *
store_restarts_text(struct store *s, const char *server, char *out, size_t size)
{
	struct relapses *r = calloc(1, sizeof(*r));

	*out = '\0';
	if (!r)
		return out;
	pthread_mutex_lock(&s->reading);
	read_relapses(s, server, r);
	pthread_mutex_unlock(&s->reading);
	if (r->restarts == 1)
		say_once(r, out, size);
	else if (r->restarts)
		say_often(r, out, size);
	free(r);
	return out;
}

/* --- for --compare ------------------------------------------------------------------------ */

static int
not_read(char err[STORE_ERROR_BYTES], const char *dir, const char *why)
{
	snprintf(err, STORE_ERROR_BYTES, "cannot read the run kept in %.300s: %s",
	    dir, why);
	return -1;
}

/* Where even the folder is read-only, and nobody left a log, the file is all
 * there is. */
static int
open_to_read(const char *path, sqlite3 **db)
{
	static const char tables[] = "SELECT count(*) FROM runs";
	char log[4200], uri[4200];

	if (sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    sqlite3_busy_timeout(*db, 5000) == SQLITE_OK &&
	    sqlite3_exec(*db, tables, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	snprintf(log, sizeof(log), "%s-wal", path);
	if (strpbrk(path, "?#%") || access(log, F_OK) == 0 ||
	    (sqlite3_errcode(*db) & 0xff) != SQLITE_CANTOPEN)
		return -1;
	sqlite3_close(*db);
	snprintf(uri, sizeof(uri), "file:%s?immutable=1", path);
	return sqlite3_open_v2(uri, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
	    NULL) == SQLITE_OK &&
	    sqlite3_exec(*db, tables, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

/* How many there were, or -1. */
static int
read_runs(sqlite3 *db, int (*each)(void *, const char *), void *context)
{
	sqlite3_stmt *st;
	int count = 0, result;

	if (sqlite3_prepare_v2(db, "SELECT figures FROM runs"
	    " WHERE figures IS NOT NULL ORDER BY run", -1, &st, NULL) !=
	    SQLITE_OK)
		return -1;
	while ((result = sqlite3_step(st)) == SQLITE_ROW) {
		count++;
		if (each(context, text_of(st, 0)))
			break;
	}
	sqlite3_finalize(st);
	return result == SQLITE_DONE || result == SQLITE_ROW ? count : -1;
}

int
store_read_figures(const char *dir, int (*each)(void *, const char *),
    void *context, char err[STORE_ERROR_BYTES])
{
	char path[4096], why[256];
	sqlite3 *db = NULL;
	int count = -1;

	if (snprintf(path, sizeof(path), "%s/findings.db", dir) >=
	    (int)sizeof(path))
		return not_read(err, dir, "the name is too long");
	if (open_to_read(path, &db) == 0)
		count = read_runs(db, each, context);
	if (count < 0)
		not_read(err, dir, sqlite3_errcode(db) == SQLITE_ERROR ?
		    "toewatch did not make it" : store_why(db, why));
	else if (count == 0)
		not_read(err, dir, "it has no figures of a run");
	sqlite3_close(db);
	return count > 0 ? 0 : -1;
}
