/* model.c - the page's picture of a run, from events.
 *
 * The hard part is that it runs for months: nothing may grow with the run, and
 * what has to go is what is missed least (withdrawn, then over, then old). */
#include "web/model.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	MINUTE_US = 60 * 1000000,
	FORGET_SHARE = 16,		/* this part goes at once: each pass over
					 * all then pays for many */
	FIRST_ROOM = 16,
};

struct model *
model_new(void)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->finding = calloc(MODEL_FINDINGS, sizeof(struct model_finding *));
	m->incident = calloc(MODEL_INCIDENTS, sizeof(struct model_incident *));
	m->server = calloc(MODEL_SERVERS, sizeof(struct model_server *));
	if (!m->finding || !m->incident || !m->server)
		model_free(&m);
	return m;
}

static void
free_finding(struct model_finding *f)
{
	event_release(&f->event);
	free(f);
}

static void
free_incident(struct model_incident *i)
{
	event_release(&i->event);
	free(i->brief);
	free(i);
}

static void
free_server(struct model_server *s)
{
	event_release(&s->event);
	event_release(&s->timeline);
	free(s->minute);
	free(s);
}

void
model_free(struct model **model)
{
	struct model *m = *model;

	*model = NULL;
	if (!m)
		return;
	for (size_t i = 0; i < m->finding_count; i++)
		free_finding(m->finding[i]);
	for (size_t i = 0; i < m->incident_count; i++)
		free_incident(m->incident[i]);
	for (size_t i = 0; i < m->server_count; i++)
		free_server(m->server[i]);
	event_release(&m->capture);
	free(m->finding);
	free(m->incident);
	free(m->server);
	free(m);
}

/* Reading a record ---------------------------------------------------------- */

static bool
digits(const char *at, int count, int *value)
{
	*value = 0;
	for (int i = 0; i < count; i++) {
		if (at[i] < '0' || at[i] > '9')
			return false;
		*value = *value * 10 + at[i] - '0';
	}
	return true;
}

/* ".447901": microseconds; `*end` is what follows. */
static int64_t
fraction_us(const char *at, const char **end)
{
	int64_t us = 0, unit = 100000;

	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10)
			us += (*at - '0') * unit;
	*end = at;
	return us;
}

/* What stands after the day: "T10:39", ":14", ".447901", "Z", cut anywhere. */
static bool
clock_parse(const char *at, struct tm *t, int64_t *us)
{
	*us = 0;
	if (*at == 'T') {
		if (!digits(at + 1, 2, &t->tm_hour) || at[3] != ':' ||
		    !digits(at + 4, 2, &t->tm_min))
			return false;
		at += 6;
		if (*at == ':') {
			if (!digits(at + 1, 2, &t->tm_sec))
				return false;
			*us = fraction_us(at + 3, &at);
		}
	}
	return strcmp(at, "Z") == 0 || !*at;
}

bool
model_time_parse(const char *text, int64_t *us)
{
	struct tm t = { 0 };
	int64_t fraction;
	char *end;
	double s;

	if (digits(text, 4, &t.tm_year) && text[4] == '-') {
		if (!digits(text + 5, 2, &t.tm_mon) || text[7] != '-' ||
		    !digits(text + 8, 2, &t.tm_mday) ||
		    !clock_parse(text + 10, &t, &fraction))
			return false;
		t.tm_year -= 1900;
		t.tm_mon--;
		*us = (int64_t)timegm(&t) * 1000000 + fraction;
		return true;
	}
	s = strtod(text, &end);
	if (end == text || *end || !(fabs(s) < 1e12))
		return false;
	*us = (int64_t)(s * 1e6);
	return true;
}

/* 0 when it is null or not there. */
static int64_t
time_of(const json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));
	int64_t us;

	return text && model_time_parse(text, &us) ? us : 0;
}

static uint64_t
id_of(const json_t *record, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(record, key));

	return v > 0 ? (uint64_t)v : 0;
}

static void
copy_text(char *out, size_t size, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	snprintf(out, size, "%s", text ? text : "");
}

static uint8_t
severity_of(const json_t *record)
{
	static const char *const word[] = {
		"info", "low", "medium", "high", "critical",
	};
	const char *text = json_string_value(json_object_get(record,
	    "severity"));
	uint8_t i = 0;

	while (i < 5 && (!text || strcmp(text, word[i]) != 0))
		i++;
	return i;
}

static bool
change_is(const json_t *record, const char *word)
{
	const char *text = json_string_value(json_object_get(record, "change"));

	return text && strcmp(text, word) == 0;
}

/* The newest word takes the place of the one before. */
static void
replace(struct event **place, struct event *e)
{
	event_release(place);
	*place = event_hold(e);
}

/* Findings ------------------------------------------------------------------ */

/* Where the id is, or would have to be. */
static size_t
finding_place(const struct model *m, uint64_t id)
{
	size_t low = 0, high = m->finding_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->finding[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct model_finding *
model_find(const struct model *m, uint64_t id)
{
	size_t i = finding_place(m, id);

	return i < m->finding_count && m->finding[i]->id == id ?
	    m->finding[i] : NULL;
}

/* 0: withdrawn, missed least. 1: over. 2: the rest. */
static int
worth(const struct model_finding *f)
{
	return f->withdrawn ? 0 : f->over ? 1 : 2;
}

static void
forget_findings(struct model *m)
{
	size_t target = MODEL_FINDINGS - MODEL_FINDINGS / FORGET_SHARE;
	size_t surplus = m->finding_count - target;

	for (int least = 0; least < 3 && surplus; least++) {
		size_t kept = 0;

		for (size_t i = 0; i < m->finding_count; i++) {
			struct model_finding *f = m->finding[i];

			if (surplus && worth(f) <= least) {
				free_finding(f);
				surplus--;
				m->forgotten++;
			} else {
				m->finding[kept++] = f;
			}
		}
		m->finding_count = kept;
	}
}

static struct model_finding *
finding_for(struct model *m, uint64_t id)
{
	size_t i = finding_place(m, id);
	struct model_finding *f;

	if (i < m->finding_count && m->finding[i]->id == id)
		return m->finding[i];
	if (m->finding_count == MODEL_FINDINGS) {
		forget_findings(m);
		i = finding_place(m, id);
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->id = id;
	memmove(&m->finding[i + 1], &m->finding[i],
	    (m->finding_count - i) * sizeof(struct model_finding *));
	m->finding[i] = f;
	m->finding_count++;
	return f;
}

static void
apply_finding(struct model *m, struct event *e, const json_t *record)
{
	const json_t *server = json_object_get(record, "server");
	struct model_finding *f = finding_for(m, id_of(record, "finding_id"));

	if (!f)
		return;
	replace(&f->event, e);
	f->incident_id = id_of(record, "incident_id");
	f->from_us = time_of(record, "first_seen");
	f->to_us = time_of(record, "last_seen");
	f->severity = severity_of(record);
	f->over = change_is(record, "over");
	f->withdrawn = change_is(record, "withdrawn");
	copy_text(f->server, sizeof(f->server), server, "ip");
	copy_text(f->server_name, sizeof(f->server_name), server, "name");
	copy_text(f->client, sizeof(f->client), record, "client_ip");
	copy_text(f->name, sizeof(f->name), record, "finding");
}

/* Incidents ----------------------------------------------------------------- */

static size_t
incident_place(const struct model *m, uint64_t id)
{
	size_t i = m->incident_count;

	while (i > 0 && m->incident[i - 1]->id >= id)	/* mostly the newest */
		i--;
	return i;
}

const struct model_incident *
model_find_incident(const struct model *m, uint64_t id)
{
	size_t i = incident_place(m, id);

	return i < m->incident_count && m->incident[i]->id == id ?
	    m->incident[i] : NULL;
}

/* The oldest that is over, or the oldest. */
static void
forget_incident(struct model *m)
{
	size_t i = 0;

	while (i < m->incident_count && m->incident[i]->to_us == INT64_MAX)
		i++;
	if (i == m->incident_count)
		i = 0;
	free_incident(m->incident[i]);
	m->forgotten++;
	m->incident_count--;
	memmove(&m->incident[i], &m->incident[i + 1],
	    (m->incident_count - i) * sizeof(struct model_incident *));
}

static struct model_incident *
incident_for(struct model *m, uint64_t id)
{
	size_t i = incident_place(m, id);
	struct model_incident *n;

	if (i < m->incident_count && m->incident[i]->id == id)
		return m->incident[i];
	if (m->incident_count == MODEL_INCIDENTS) {
		forget_incident(m);
		i = incident_place(m, id);
	}
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->id = id;
	memmove(&m->incident[i + 1], &m->incident[i],
	    (m->incident_count - i) * sizeof(struct model_incident *));
	m->incident[i] = n;
	m->incident_count++;
	return n;
}

static void
remove_incident(struct model *m, uint64_t id)
{
	size_t i = incident_place(m, id);

	if (i == m->incident_count || m->incident[i]->id != id)
		return;
	free_incident(m->incident[i]);
	m->incident_count--;
	memmove(&m->incident[i], &m->incident[i + 1],
	    (m->incident_count - i) * sizeof(struct model_incident *));
}

/* Evidence and remedies are most of its text, and wanted for one at a time. */
static char *
brief_of(json_t *record)
{
	json_object_del(record, "evidence");
	json_object_del(record, "against");
	json_object_del(record, "remedy");
	return json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(9));
}

static void
apply_incident(struct model *m, struct event *e, json_t *record)
{
	const json_t *server = json_object_get(record, "server");
	uint64_t id = id_of(record, "incident_id");
	struct model_incident *i;

	if (change_is(record, "withdrawn")) {
		remove_incident(m, id);
		return;
	}
	i = incident_for(m, id);
	if (!i)
		return;
	replace(&i->event, e);
	i->from_us = time_of(record, "start");
	i->to_us = time_of(record, "end");
	if (!i->to_us)
		i->to_us = INT64_MAX;
	copy_text(i->server, sizeof(i->server), server, "ip");
	copy_text(i->server_name, sizeof(i->server_name), server, "name");
	copy_text(i->verdict, sizeof(i->verdict), record, "verdict");
	free(i->brief);
	i->brief = brief_of(record);
}

/* Servers ------------------------------------------------------------------- */

const struct model_server *
model_find_server(const struct model *m, const char *ip)
{
	for (size_t i = 0; i < m->server_count; i++)
		if (strcmp(m->server[i]->ip, ip) == 0)
			return m->server[i];
	return NULL;
}

/* The one that was last heard of the longest ago. */
static void
forget_server(struct model *m)
{
	size_t oldest = 0;

	for (size_t i = 1; i < m->server_count; i++)
		if (m->server[i]->touched < m->server[oldest]->touched)
			oldest = i;
	free_server(m->server[oldest]);
	m->forgotten++;
	m->server[oldest] = m->server[--m->server_count];
}

static struct model_server *
server_for(struct model *m, struct event *e, const json_t *record)
{
	const json_t *server = json_object_get(record, "server");
	const char *ip = json_string_value(json_object_get(server, "ip"));
	struct model_server *s = NULL;

	if (!ip)
		return NULL;
	for (size_t i = 0; i < m->server_count && !s; i++)
		if (strcmp(m->server[i]->ip, ip) == 0)
			s = m->server[i];
	if (!s) {
		if (m->server_count == MODEL_SERVERS)
			forget_server(m);
		s = calloc(1, sizeof(*s));
		if (!s)
			return NULL;
		snprintf(s->ip, sizeof(s->ip), "%s", ip);
		m->server[m->server_count++] = s;
	}
	copy_text(s->name, sizeof(s->name), server, "name");
	s->touched = e->number;
	return s;
}

const struct model_minute *
model_minute(const struct model_server *s, unsigned ago)
{
	unsigned room = s->minute_room;

	if (ago >= s->minute_count)
		return NULL;
	return &s->minute[(s->minute_next + room - 1 - ago) % room];
}

/* Twice the room, up to the limit; unrolls the ring. 0, or -1. */
static int
grow_minutes(struct model_server *s)
{
	unsigned room = s->minute_room ? 2 * s->minute_room : FIRST_ROOM;
	struct model_minute *more;

	if (room > MODEL_MINUTES)
		room = MODEL_MINUTES;
	more = malloc(room * sizeof(*more));
	if (!more)
		return -1;
	for (unsigned i = 0; i < s->minute_count; i++)
		more[s->minute_count - 1 - i] = *model_minute(s, i);
	free(s->minute);
	s->minute = more;
	s->minute_room = room;
	s->minute_next = s->minute_count % room;
	return 0;
}

static void
push_minute(struct model_server *s, const struct model_minute *minute)
{
	if (s->minute_count == s->minute_room &&
	    s->minute_room < MODEL_MINUTES && grow_minutes(s) != 0)
		return;
	s->minute[s->minute_next] = *minute;
	s->minute_next = (s->minute_next + 1) % s->minute_room;
	if (s->minute_count < s->minute_room)
		s->minute_count++;
}

/* Minutes without a record, so that the last one is always now. */
static void
skip_to(struct model_server *s, int64_t minute)
{
	static const struct model_minute none = { NAN, NAN, NAN, '-' };
	int64_t missing = minute - s->last_minute - 1;

	if (!s->minute_count)
		return;
	if (missing > MODEL_MINUTES)
		missing = MODEL_MINUTES;
	while (missing-- > 0)
		push_minute(s, &none);
}

/* Of the minute; of a finished run, which has none, of all of it. */
static float
worst_p95(const json_t *record)
{
	json_t *minute = json_object_get(record, "response_times_minute");
	json_t *all = minute ? minute : json_object_get(record,
	    "response_times"), *one;
	double worst = NAN;
	const char *protocol;
	unsigned n = 0;

	json_object_foreach(all, protocol, one) {
		double p95 = json_number_value(json_object_get(one, "p95"));

		if (++n > MODEL_PROTOCOLS)
			break;
		if (isnan(worst) || p95 > worst)
			worst = p95;
	}
	return (float)worst;
}

/* What came since the last record; of a finished run there is only one. */
static float
grown(double *last, const json_t *record, const char *key, bool first)
{
	double now = json_number_value(json_object_get(record, key));
	double more = now >= *last ? now - *last : now;

	*last = now;
	return first ? (float)now : (float)more;
}

static void
note_minute(struct model_server *s, const json_t *record)
{
	int64_t minute = time_of(record, "timestamp") / MINUTE_US;
	bool first = s->minute_count == 0;
	struct model_minute now = { .health = *s->health ? *s->health : '-' };

	now.p95_ms = worst_p95(record);
	now.flows = grown(&s->flows, record, "flows", first);
	now.bytes = grown(&s->bytes, record, "bytes", first);
	if (!first && minute <= s->last_minute) {
		unsigned room = s->minute_room;
		struct model_minute *same = &s->minute[(s->minute_next + room - 1)
		    % room];

		now.flows += same->flows;
		now.bytes += same->bytes;
		*same = now;
		return;
	}
	skip_to(s, minute);
	push_minute(s, &now);
	s->last_minute = minute;
}

static void
apply_server(struct model *m, struct event *e, const json_t *record)
{
	struct model_server *s = server_for(m, e, record);

	if (!s)
		return;
	replace(&s->event, e);
	copy_text(s->health, sizeof(s->health), record, "health");
	note_minute(s, record);
}

static void
apply_timeline(struct model *m, struct event *e, const json_t *record)
{
	struct model_server *s = server_for(m, e, record);

	if (s)
		replace(&s->timeline, e);
}

static void
apply_capture(struct model *m, struct event *e, const json_t *record)
{
	replace(&m->capture, e);
	m->from_us = time_of(record, "first_seen");
	m->to_us = time_of(record, "last_seen");
}

/* --------------------------------------------------------------------------- */

void
model_apply(struct model *m, struct event *e)
{
	json_t *record = json_loadb(e->json, e->bytes, 0, NULL);
	const char *type = json_string_value(json_object_get(record,
	    "event_type"));

	m->last_event = e->number;
	if (!type || e->json[e->bytes - 1] != '}')
		m->unreadable++;
	else if (strcmp(type, "finding") == 0)
		apply_finding(m, e, record);
	else if (strcmp(type, "incident") == 0)
		apply_incident(m, e, record);
	else if (strcmp(type, "server") == 0)
		apply_server(m, e, record);
	else if (strcmp(type, "timeline") == 0)
		apply_timeline(m, e, record);
	else if (strcmp(type, "capture") == 0)
		apply_capture(m, e, record);
	json_decref(record);
}
