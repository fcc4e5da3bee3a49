/* api.c - the resources of the page, made from the model.
 *
 * Records are put out as they came; what is ours around them is only numbers and
 * words of our own, so nothing here has to be escaped. The hard part is to keep
 * each answer small, however long the run: lists are cut, with a cursor. */
#include "web/api.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "web/assets.h"
#include "web/metrics.h"

enum { OVERVIEW_INCIDENTS = 200, TIME_BYTES = 40, MINUTE_S = 60 };

static const char no_such[] = "There is nothing of that name or number (any "
    "more).";

static int
fail(struct call *c, unsigned status, const char *error)
{
	c->answer->status = status;
	c->answer->error = error;
	return 0;
}

/* Writing ------------------------------------------------------------------- */

static FILE *
begin(struct call *c)
{
	c->answer->status = 200;
	return open_memstream(&c->answer->text, &c->answer->bytes);
}

static int
end(struct call *c, FILE *out)
{
	bool failed = ferror(out);

	failed |= fclose(out) != 0;
	if (!failed)
		return 0;
	free(c->answer->text);
	c->answer->text = NULL;
	return -1;
}

static void
put_record(FILE *out, const struct event *e)
{
	fwrite(e->json, 1, e->bytes, out);
}

static void
put_mark(FILE *out, const struct api *api)
{
	char mark[STREAM_MARK_BYTES];

	fprintf(out, "{\"mark\":\"%s\"", stream_mark(api->stream, mark));
}

static void
put_time(FILE *out, const char *key, int64_t us)
{
	time_t s = (time_t)(us / 1000000);
	char text[TIME_BYTES];
	struct tm t;

	if (us <= 0 || !gmtime_r(&s, &t) ||
	    !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &t))
		fprintf(out, "\"%s\":null", key);
	else
		fprintf(out, "\"%s\":\"%s.%06dZ\"", key, text,
		    (int)(us % 1000000));
}

/* Minutes of a server ------------------------------------------------------- */

static void
put_figure(FILE *out, float v)
{
	if (isfinite(v))
		fprintf(out, "%.7g", (double)v);
	else
		fputs("null", out);
}

/* One figure of each minute, the oldest first. */
static void
put_figures(FILE *out, const char *key, const struct model_server *s,
    unsigned count, size_t offset)
{
	float v;

	fprintf(out, ",\"%s\":[", key);
	for (unsigned ago = count; ago-- > 0;) {
		memcpy(&v, (const char *)model_minute(s, ago) + offset,
		    sizeof(v));
		put_figure(out, v);
		if (ago)
			putc(',', out);
	}
	putc(']', out);
}

static void
put_minutes(FILE *out, const struct model_server *s, unsigned most)
{
	unsigned count = s->minute_count < most ? s->minute_count : most;
	int64_t first = s->last_minute - count + 1;

	fputs(",\"minutes\":{", out);
	put_time(out, "from", count ? first * MINUTE_S * 1000000 : 0);
	fprintf(out, ",\"step_s\":%d,\"health\":\"", MINUTE_S);
	for (unsigned ago = count; ago-- > 0;)
		putc(model_minute(s, ago)->health, out);
	putc('"', out);
	put_figures(out, "p95_ms", s, count,
	    offsetof(struct model_minute, p95_ms));
	put_figures(out, "flows", s, count, offsetof(struct model_minute, flows));
	put_figures(out, "bytes", s, count, offsetof(struct model_minute, bytes));
	putc('}', out);
}

/* The record, and its minutes as its last member. */
static void
put_server(FILE *out, const struct model_server *s, unsigned minutes)
{
	fwrite(s->event->json, 1, s->event->bytes - 1, out);
	put_minutes(out, s, minutes);
	putc('}', out);
}

/* Lists --------------------------------------------------------------------- */

/* A list under way: what matches is counted, what fits is put out. */
struct list {
	FILE *out;
	unsigned left;			/* to put out */
	uint64_t total, shown;
	uint64_t last;			/* id of the last one put out */
	bool more;
};

static int
begin_list(struct list *l, struct call *c)
{
	*l = (struct list){ .out = begin(c), .left = c->query->limit };
	if (!l->out)
		return -1;
	put_mark(l->out, c->api);
	fputs(",\"items\":[", l->out);
	return 0;
}

/* One that matches. True: put it out. */
static bool
list_takes(struct list *l, uint64_t id, bool past_cursor)
{
	l->total++;
	if (!past_cursor)
		return false;
	if (!l->left) {
		l->more = true;
		return false;
	}
	if (l->shown++)
		putc(',', l->out);
	putc('\n', l->out);
	l->left--;
	l->last = id;
	return true;
}

static int
end_list(struct list *l, struct call *c)
{
	fprintf(l->out, "],\"total\":%llu,\"next\":",
	    (unsigned long long)l->total);
	if (l->more)
		fprintf(l->out, "\"%llu\"}\n", (unsigned long long)l->last);
	else
		fputs("null}\n", l->out);
	return end(c, l->out);
}

static int
make_findings(struct call *c)
{
	const struct model *m = c->api->model;
	const struct query *q = c->query;
	struct list l;

	if (begin_list(&l, c))
		return -1;
	for (size_t n = 0; n < m->finding_count; n++) {
		const struct model_finding *f = m->finding[q->old_first ? n :
		    m->finding_count - 1 - n];
		bool past = !q->cursor || (q->old_first ? f->id > q->cursor :
		    f->id < q->cursor);

		if (query_selects_finding(q, f) && list_takes(&l, f->id, past))
			put_record(l.out, f->event);
	}
	return end_list(&l, c);
}

static int
make_incidents(struct call *c)
{
	const struct model *m = c->api->model;
	const struct query *q = c->query;
	struct list l;

	if (begin_list(&l, c))
		return -1;
	for (size_t n = m->incident_count; n-- > 0;) {
		const struct model_incident *i = m->incident[n];

		if (query_selects_incident(q, i) && list_takes(&l, i->id,
		    !q->cursor || i->id < q->cursor))
			put_record(l.out, i->event);
	}
	return end_list(&l, c);
}

/* Servers have no numbers: their cursor is how many were passed. */
static int
make_servers(struct call *c)
{
	const struct model *m = c->api->model;
	const struct query *q = c->query;
	uint64_t passed = 0;
	struct list l;

	if (begin_list(&l, c))
		return -1;
	for (size_t n = 0; n < m->server_count; n++) {
		const struct model_server *s = m->server[n];

		if (!query_selects_server(q, s))
			continue;
		passed++;
		if (list_takes(&l, passed, passed > q->cursor))
			put_server(l.out, s, q->minutes);
	}
	return end_list(&l, c);
}

/* The overview -------------------------------------------------------------- */

static void
put_totals(FILE *out, const struct model *m)
{
	static const char *const word[] = {
		"info", "low", "medium", "high", "critical",
	};
	size_t count[SEVERITY_CRITICAL + 2] = { 0 }, all = 0, open = 0, known = 0;

	for (size_t i = 0; i < m->finding_count; i++) {
		if (m->finding[i]->withdrawn)
			continue;
		all++;
		count[m->finding[i]->severity]++;
	}
	for (size_t i = 0; i < m->incident_count; i++)
		open += m->incident[i]->to_us == INT64_MAX;
	for (size_t i = 0; i < m->server_count; i++)
		known += m->server[i]->event != NULL;
	fprintf(out, ",\"totals\":{\"servers\":%zu,\"incidents\":%zu,"
	    "\"incidents_open\":%zu,\"findings\":%zu,\"findings_by_severity\":{",
	    known, m->incident_count, open, all);
	for (int i = 0; i <= SEVERITY_CRITICAL; i++)
		fprintf(out, "%s\"%s\":%zu", i ? "," : "", word[i], count[i]);
	fputs("}}", out);
}

static void
put_capture(FILE *out, const struct model *m)
{
	fputs(",\"capture\":", out);
	if (m->capture)
		put_record(out, m->capture);
	else
		fputs("null", out);
}

static void
put_overview_lists(FILE *out, const struct model *m, unsigned minutes)
{
	const char *between = "\n";
	size_t least = m->incident_count > OVERVIEW_INCIDENTS ?
	    m->incident_count - OVERVIEW_INCIDENTS : 0;

	fputs(",\"servers\":[", out);
	for (size_t i = 0; i < m->server_count; i++) {
		if (!m->server[i]->event)
			continue;
		fputs(between, out);
		put_server(out, m->server[i], minutes);
		between = ",\n";
	}
	fputs("],\"incidents\":[", out);
	between = "\n";
	for (size_t i = m->incident_count; i-- > least;) {
		if (!m->incident[i]->brief)
			continue;
		fputs(between, out);
		fputs(m->incident[i]->brief, out);
		between = ",\n";
	}
	putc(']', out);
}

static int
make_overview(struct call *c)
{
	const struct model *m = c->api->model;
	FILE *out = begin(c);

	if (!out)
		return -1;
	put_mark(out, c->api);
	fprintf(out, ",\"run\":\"%s\",\"version\":\"%s\",\"progress\":%s",
	    c->api->stream->run, PACKAGE_VERSION, c->api->stream->state);
	put_capture(out, m);
	put_overview_lists(out, m, c->query->minutes);
	put_totals(out, m);
	fputs(",\"range\":{", out);
	put_time(out, "from", m->from_us);
	putc(',', out);
	put_time(out, "to", m->to_us);
	fputs("}}\n", out);
	return end(c, out);
}

static int
make_capture(struct call *c)
{
	FILE *out = begin(c);

	if (!out)
		return -1;
	put_mark(out, c->api);
	put_capture(out, c->api->model);
	fputs("}\n", out);
	return end(c, out);
}

/* One record ---------------------------------------------------------------- */

static int
copy_body(struct call *c, const char *text, size_t bytes)
{
	struct answer *a = c->answer;

	a->status = 200;
	a->text = malloc(bytes + 1);
	if (!a->text)
		return -1;
	memcpy(a->text, text, bytes);
	a->text[bytes] = '\0';
	a->bytes = bytes;
	return 0;
}

/* The number that `part` is; 0: none. */
static uint64_t
number_of(const char *part)
{
	size_t n = strspn(part, "0123456789");

	return n && n < 20 && !part[n] ? strtoull(part, NULL, 10) : 0;
}

static int
make_finding(struct call *c)
{
	const struct model_finding *f = model_find(c->api->model,
	    number_of(c->part));

	if (!f)
		return fail(c, 404, no_such);
	if (f->withdrawn)
		return fail(c, 410, "This finding was withdrawn: later packets "
		    "explained it.");
	return copy_body(c, f->event->json, f->event->bytes);
}

static int
make_incident(struct call *c)
{
	const struct model_incident *i = model_find_incident(c->api->model,
	    number_of(c->part));

	if (!i)
		return fail(c, 404, no_such);
	return copy_body(c, i->event->json, i->event->bytes);
}

static int
make_server(struct call *c)
{
	const struct model_server *s = model_find_server(c->api->model, c->part);
	FILE *out;

	if (!s || !s->event)
		return fail(c, 404, no_such);
	out = begin(c);
	if (!out)
		return -1;
	put_server(out, s, c->query->given & QUERY_MINUTES ? c->query->minutes :
	    MODEL_MINUTES);
	return end(c, out);
}

static int
make_timeline(struct call *c)
{
	const struct model_server *s = model_find_server(c->api->model, c->part);

	if (!s || !s->timeline)
		return fail(c, 404, "There is no timeline of this server.");
	return copy_body(c, s->timeline->json, s->timeline->bytes);
}

static int
make_history(struct call *c)
{
	const struct web_history *h = c->api->history;

	if (!h || h->history(h->context, c->part, c->query->hours,
	    &c->answer->text, &c->answer->bytes))
		return fail(c, 404, "No history of this server is kept (-o keeps "
		    "one).");
	c->answer->status = 200;
	return 0;
}

/* Evidence ------------------------------------------------------------------ */

static const char no_evidence[] = "No packets are kept for this.";

static int
make_ladder(struct call *c)
{
	const struct web_evidence *e = c->api->evidence;
	uint64_t id = number_of(c->part);

	if (!id || !e || !e->ladder || e->ladder(e->context, id,
	    &c->answer->text, &c->answer->bytes))
		return fail(c, 404, no_evidence);
	c->answer->status = 200;
	return 0;
}

static int
make_pcapng(struct call *c, const char *kind)
{
	const struct web_evidence *e = c->api->evidence;
	uint64_t id = number_of(c->part);
	struct answer *a = c->answer;

	if (!id || !e || !e->pcapng ||
	    e->pcapng(e->context, kind, id, &a->text, &a->bytes))
		return fail(c, 404, no_evidence);
	a->status = 200;
	snprintf(a->file, sizeof(a->file), "toewatch-%s-%llu.pcapng", kind,
	    (unsigned long long)id);
	return 0;
}

static int
make_finding_pcapng(struct call *c)
{
	return make_pcapng(c, "finding");
}

static int
make_incident_pcapng(struct call *c)
{
	return make_pcapng(c, "incident");
}

/* The rest ------------------------------------------------------------------ */

static int
make_findings_text(struct call *c)
{
	const char *text = c->api->findings_text;

	return text ? copy_body(c, text, strlen(text)) : fail(c, 404, no_such);
}

static int
make_openapi(struct call *c)
{
	const struct asset *file = asset_find("openapi.json");

	return file ? copy_body(c, file->plain, file->plain_bytes) :
	    fail(c, 404, no_such);
}

static int
make_report(struct call *c)
{
	if (!c->api->report)
		return fail(c, 503, "The report is not made yet; this page loads "
		    "itself again until it is.");
	return copy_body(c, c->api->report, c->api->report_bytes);
}

static int
make_style(struct call *c)
{
	const char *text = c->api->style;

	return text ? copy_body(c, text, strlen(text)) : fail(c, 404, no_such);
}

static int
make_metrics(struct call *c)
{
	FILE *out = begin(c);

	if (!out)
		return -1;
	metrics_write(c->api, out);
	return end(c, out);
}

static int
make_health(struct call *c)
{
	return copy_body(c, "ok\n", 3);
}

/* Which is which ------------------------------------------------------------ */

static const char json_type[] = "application/json; charset=utf-8";
static const char pcapng_type[] = "application/x-pcapng";

static const struct api_route routes[] = {
	{ "/api/v1/overview", json_type, QUERY_MINUTES, false, make_overview },
	{ "/api/v1/capture", json_type, 0, false, make_capture },
	{ "/api/v1/servers", json_type, QUERY_SERVER | QUERY_MINUTES |
	    QUERY_LIMIT | QUERY_CURSOR, false, make_servers },
	{ "/api/v1/servers/*", json_type, QUERY_MINUTES, false, make_server },
	{ "/api/v1/servers/*/timeline", json_type, 0, false, make_timeline },
	{ "/api/v1/servers/*/history", json_type, QUERY_HOURS, true,
	    make_history },
	{ "/api/v1/incidents", json_type, QUERY_SERVER | QUERY_OPEN |
	    QUERY_FROM | QUERY_TO | QUERY_LIMIT | QUERY_CURSOR, false,
	    make_incidents },
	{ "/api/v1/incidents/*", json_type, 0, false, make_incident },
	{ "/api/v1/incidents/*/evidence.pcapng", pcapng_type, 0, true,
	    make_incident_pcapng },
	{ "/api/v1/findings", json_type, QUERY_SERVER | QUERY_CLIENT |
	    QUERY_FINDING | QUERY_SEVERITY | QUERY_FROM | QUERY_TO |
	    QUERY_INCIDENT | QUERY_WITHDRAWN | QUERY_ORDER | QUERY_LIMIT |
	    QUERY_CURSOR, false, make_findings },
	{ "/api/v1/findings/*", json_type, 0, false, make_finding },
	{ "/api/v1/findings/*/ladder", json_type, 0, true, make_ladder },
	{ "/api/v1/findings/*/evidence.pcapng", pcapng_type, 0, true,
	    make_finding_pcapng },
	{ "/api/v1/findings-text", json_type, 0, false, make_findings_text },
	{ "/api/v1/events", "text/event-stream", QUERY_AFTER, false, NULL },
	{ "/api/v1/openapi.json", json_type, 0, false, make_openapi },
	{ "/report", "text/html; charset=utf-8", 0, false, make_report },
	{ "/style.css", "text/css; charset=utf-8", 0, false, make_style },
	{ "/metrics", "application/openmetrics-text; version=1.0.0; "
	    "charset=utf-8", 0, false, make_metrics },
	{ "/healthz", "text/plain; charset=utf-8", 0, false, make_health },
};

/* A part is anything without a slash that fits. */
static bool
matches(const char *pattern, const char *path, char part[API_PART_BYTES])
{
	const char *star = strchr(pattern, '*');
	size_t before = star ? (size_t)(star - pattern) : 0, n;

	if (!star)
		return strcmp(pattern, path) == 0;
	if (strncmp(pattern, path, before) != 0)
		return false;
	n = strcspn(path + before, "/");
	if (n == 0 || n >= API_PART_BYTES ||
	    strcmp(path + before + n, star + 1) != 0)
		return false;
	memcpy(part, path + before, n);
	part[n] = '\0';
	return true;
}

const struct api_route *
api_route(const char *path, char part[API_PART_BYTES])
{
	*part = '\0';
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (matches(routes[i].path, path, part))
			return &routes[i];
	return NULL;
}
