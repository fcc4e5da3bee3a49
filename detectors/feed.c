/* feed.c - what a run has to say while it goes on.
 *
 * The hard part is to say each thing once. A finding is touched by its detector
 * at every review, mostly without change; an incident is judged again whenever
 * one of its witnesses speaks. So what was published is remembered (a print of
 * what a person would read), and only what differs goes out: at once when it is
 * new, graver, over or withdrawn, else after a while. */
#include "detectors/feed.h"

#include <stdlib.h>
#include <string.h>

#include "capture/log.h"
#include "capture/memory.h"
#include "detectors/report_common.h"

/* What was last said of an incident, and when; before it is told: since when it
 * stands. */
struct said {
	uint64_t id;
	struct instant at;
	uint64_t print;			/* of what a person would read */
	enum verdict verdict;
	bool over;
	bool told;			/* not on probation any more */
};

struct feed {
	struct run *run;
	struct feed_listener listener[FEED_LISTENERS];
	size_t listener_count;
	uint64_t last_event;
	struct incident_ids ids;
	struct said *said;
	size_t said_count, said_slots;
	struct instant now, minute;	/* when servers were last told of */
	bool final;			/* a finished run: change none */
	bool ending;			/* nothing is held back any more */
	bool no_memory;			/* said already */
};

/* --- out --- */

/* Where a record is written. */
struct pen {
	FILE *file;
	char *text;
	size_t bytes;
};

static bool
pen_open(struct pen *p)
{
	*p = (struct pen){ 0 };
	p->file = open_memstream(&p->text, &p->bytes);
	return p->file != NULL;
}

static void
pen_drop(struct pen *p)
{
	fclose(p->file);
	free(p->text);
}

/* The record becomes the event's, without its newline. */
static struct event *
pen_close(struct pen *p, int failed, const struct event *model)
{
	if (fclose(p->file) || failed || !p->bytes) {
		free(p->text);
		return NULL;
	}
	p->text[--p->bytes] = '\0';
	return event_new(model, p->text, p->bytes);
}

static void
publish(struct feed *f, struct pen *pen, int failed, struct event *model)
{
	struct event *e;

	model->number = ++f->last_event;
	model->time = f->now;
	e = pen_close(pen, failed, model);
	if (!e)
		memory_was_refused();
	if (!e && !f->no_memory)
		log_warn("out of memory: not all that is found is reported");
	f->no_memory |= !e;
	for (size_t i = 0; e && i < f->listener_count; i++)
		f->listener[i].event(f->listener[i].context, e);
	event_release(&e);
}

static void
set_server(struct event *e, const struct server *s)
{
	if (s)
		address_text(&s->address, e->server);
}

/* FNV-1a: to see that something differs, no more. */
#define PRINT_FIRST UINT64_C(14695981039346656037)

static uint64_t
print_number(uint64_t print, uint64_t n)
{
	return (print ^ n) * UINT64_C(1099511628211);
}

static uint64_t
print_text(uint64_t print, const char *text)
{
	while (*text)
		print = print_number(print, (unsigned char)*text++);
	return print;
}

static bool
is_held(const struct feed *f, struct instant said_at)
{
	return !f->ending &&
	    instant_since(f->now, said_at) < FEED_HOLD_S * NS_PER_S;
}

/* --- findings --- */

/* What a person would read of it, in 62 bits; how it stands, in the other two. */
enum { PRINT_RETRACTED = 1, PRINT_ENDED = 2 };

static uint64_t
print_of(const struct finding *x)
{
	uint64_t h = print_text(PRINT_FIRST, x->text);

	h = print_number(h, (uint64_t)x->first_seen.ns);
	h = print_number(h, x->count);
	h = print_number(h, x->incident_id);
	h = print_number(h, (uint64_t)(x->confidence * 100));
	h = print_number(h, (uint64_t)x->severity);
	return (h & ~(uint64_t)(PRINT_ENDED | PRINT_RETRACTED)) |
	    (x->ended ? PRINT_ENDED : 0) |
	    (x->retracted ? PRINT_RETRACTED : 0);
}

/* What there is to say of it now; CHANGE_NONE: nothing. */
static enum event_change
finding_change(const struct feed *f, const struct finding *x)
{
	bool known = instant_is_set(x->published);
	bool was_over = known && x->published_print & PRINT_ENDED;

	if (x->retracted)
		return known && !(x->published_print & PRINT_RETRACTED) ?
		    CHANGE_WITHDRAWN : CHANGE_NONE;
	if (!known)
		return CHANGE_NEW;
	if (print_of(x) == x->published_print)
		return CHANGE_NONE;
	if (x->ended && !was_over)
		return CHANGE_OVER;
	if (x->severity > x->published_severity || (was_over && !x->ended) ||
	    !is_held(f, x->published))
		return CHANGE_UPDATE;
	return CHANGE_NONE;
}

static void
set_subject(struct event_subject *s, const struct finding *x)
{
	s->flow_id = x->flow_id;
	s->client = x->client;
	if (x->server)
		s->server = x->server->address;
	s->client_port = x->client_port;
	s->server_port = x->server_port;
	s->protocol = x->protocol;
	s->last = x->last_seen;
	s->file = x->file;
	s->frame_count = x->frame_count;
	memcpy(s->frame, x->frame, x->frame_count * sizeof(s->frame[0]));
}

static void
publish_finding(struct feed *f, struct finding *x, enum event_change change)
{
	struct event e = { .kind = EVENT_FINDING, .change = change, .id = x->id,
		.incident_id = x->incident_id, .since = x->first_seen,
		.severity = x->severity, .confidence = x->confidence,
		.over = x->ended };
	struct pen pen;

	set_server(&e, x->server);
	snprintf(e.name, sizeof(e.name), "%s", finding_name_text(x->name));
	snprintf(e.text, sizeof(e.text), "%s", x->text);
	set_subject(&e.subject, x);
	x->published = f->now;
	x->published_severity = x->severity;
	x->published_print = print_of(x);
	if (pen_open(&pen))
		publish(f, &pen, report_json_finding(pen.file, f->run, x,
		    change), &e);
}

static void
tell_finding(struct feed *f, struct finding *x)
{
	enum event_change change = finding_change(f, x);

	if (change != CHANGE_NONE)
		publish_finding(f, x, change);
	/* what is held back is looked at again */
	x->changed = !x->retracted && print_of(x) != x->published_print;
}

static void
tell_findings(struct feed *f)
{
	struct finding *x = registry_findings(f->run->registry);

	for (; x; x = x->next)
		if (x->changed)
			tell_finding(f, x);
}

/* --- pictures --- */

static void
tell_timeline(struct feed *f, const struct server *s)
{
	struct event e = { .kind = EVENT_TIMELINE, .since = s->first,
		.confidence = 1 };
	struct pen pen;
	int none;

	if (!s->timeline || !pen_open(&pen))
		return;
	set_server(&e, s);
	none = report_json_timeline(pen.file, f->run, s);
	if (none)
		pen_drop(&pen);
	else
		publish(f, &pen, 0, &e);
}

/* --- incidents --- */

static struct said *
said_of(struct feed *f, uint64_t id)
{
	for (size_t i = f->said_count; i-- > 0;)
		if (f->said[i].id == id)
			return &f->said[i];
	return NULL;
}

/* Room for one more. NULL: no memory. */
static struct said *
said_new(struct feed *f, uint64_t id)
{
	if (f->said_count == f->said_slots) {
		size_t slots = f->said_slots ? f->said_slots * 2 : 64;
		struct said *more = realloc(f->said, slots * sizeof(*more));

		if (!more)
			return NULL;
		f->said = more;
		f->said_slots = slots;
	}
	f->said[f->said_count] = (struct said){ .id = id, .at = f->now };
	return &f->said[f->said_count++];
}

static uint64_t
print_of_incident(const struct incident *i)
{
	uint64_t h = print_text(PRINT_FIRST, i->summary);

	h = print_number(h, (uint64_t)i->start.ns);
	h = print_text(h, i->next_step);
	return print_number(h, (uint64_t)(i->confidence * 100));
}

/* Some requests wait, and nothing tells why: they may yet be answered, and prove
 * to have been long ones. An alarm that is taken back costs more than a late
 * one. */
static bool
is_on_probation(const struct feed *f, const struct said *s,
    const struct incident *i)
{
	double stands_s = (double)instant_since(f->now, s->at) / NS_PER_S;

	return i->verdict == VERDICT_undetermined && !f->ending &&
	    stands_s < f->run->config->limit.doubt_s;
}

static enum event_change
incident_change(const struct feed *f, const struct said *s,
    const struct incident *i)
{
	bool over = instant_is_set(i->end);

	if (!s->told)
		return is_on_probation(f, s, i) ? CHANGE_NONE : CHANGE_NEW;
	if (over && !s->over)
		return CHANGE_OVER;
	if (over != s->over || i->verdict != s->verdict)
		return CHANGE_UPDATE;
	return print_of_incident(i) == s->print || is_held(f, s->at) ?
	    CHANGE_NONE : CHANGE_UPDATE;
}

static enum severity
worst_of(const struct incident *i)
{
	enum severity worst = SEVERITY_MEDIUM;

	for (struct finding *x = i->server->findings; x; x = x->next_of_server)
		if (x->incident_id == i->id && x->severity > worst)
			worst = x->severity;
	return worst;
}

static void
publish_incident(struct feed *f, const struct incident *i,
    enum event_change change)
{
	struct event e = { .kind = EVENT_INCIDENT, .change = change,
		.id = i->id, .incident_id = i->id, .since = i->start,
		.severity = worst_of(i), .confidence = i->confidence,
		.over = instant_is_set(i->end) };
	struct pen pen;

	set_server(&e, i->server);
	snprintf(e.name, sizeof(e.name), "%s", verdict_name(i->verdict));
	snprintf(e.text, sizeof(e.text), "%s", i->summary);
	if (pen_open(&pen))
		publish(f, &pen, report_json_incident(pen.file, i, change), &e);
}

static void
tell_incident(struct feed *f, const struct incident *i)
{
	struct said *s = said_of(f, i->id);
	enum event_change change;

	s = s ? s : said_new(f, i->id);
	change = s ? incident_change(f, s, i) : CHANGE_NONE;
	if (change == CHANGE_NONE)
		return;
	*s = (struct said){ i->id, f->now, print_of_incident(i), i->verdict,
	    instant_is_set(i->end), true };
	publish_incident(f, i, change);
	tell_timeline(f, i->server);
}

static void
take_back(struct feed *f, const struct incident *i)
{
	struct said *s = said_of(f, i->id);

	bool told = s && s->told;

	if (s)
		*s = f->said[--f->said_count];
	if (told)
		publish_incident(f, i, CHANGE_WITHDRAWN);
}

static void
tell_incidents(struct feed *f)
{
	struct registry *r = f->run->registry;
	struct incident *gone = NULL;

	incidents_update(&f->run->incidents, &gone, &f->ids, r,
	    registry_judge(r));
	/* findings first: whoever reads of an incident knows its witnesses */
	tell_findings(f);
	for (const struct incident *i = gone; i; i = i->next)
		take_back(f, i);
	incidents_free(&gone);
	for (const struct incident *i = f->run->incidents; i; i = i->next)
		tell_incident(f, i);
}

/* --- servers and the capture --- */

static void
tell_server(struct feed *f, struct server *s)
{
	struct event e = { .kind = EVENT_SERVER, .since = s->first,
		.change = f->final ? CHANGE_NONE : CHANGE_UPDATE,
		.confidence = 1 };
	struct pen pen;

	set_server(&e, s);
	snprintf(e.name, sizeof(e.name), "%s", health_text(health_of(s)));
	if (pen_open(&pen))
		publish(f, &pen, report_json_server(pen.file, f->run, s,
		    e.change), &e);
	server_tell_responses(s);
}

static void
tell_state(struct feed *f)
{
	struct event e = { .kind = EVENT_CAPTURE, .confidence = 1,
		.change = f->final ? CHANGE_NONE : CHANGE_UPDATE,
		.since = engine_stats(f->run->engine)->first };
	struct server *s = registry_servers(f->run->registry);
	struct pen pen;

	for (; s; s = s->next)
		if (f->final || !instant_before(s->heard, f->minute)) {
			tell_server(f, s);
			tell_timeline(f, s);
		}
	if (pen_open(&pen))
		publish(f, &pen, report_json_capture(pen.file, f->run,
		    e.change), &e);
	f->minute = f->now;
}

/* --- history --- */

static bool
has_many(const struct server *s)
{
	uint64_t n = 0;

	for (int name = 0; s && name < FINDING_COUNT; name++)
		n += s->finding_count[name];
	return n > FEED_SERVER_FINDINGS;
}

/* What is as quiet for so long is another incident anyway. */
static int64_t
rest_s(const struct feed *f)
{
	int64_t gap = (int64_t)f->run->config->limit.incident_gap_s;

	return gap * 2 > FEED_REST_S ? gap * 2 : FEED_REST_S;
}

static bool
is_old(const struct feed *f, const struct finding *x)
{
	int64_t s = has_many(x->server) ? rest_s(f) :
	    registry_is_crowded(f->run->registry, x) ? FEED_SHORT_HISTORY_S :
	    FEED_HISTORY_S;

	return instant_since(f->now, x->raised) >= s * NS_PER_S &&
	    instant_since(f->now, x->last_seen) >= s * NS_PER_S;
}

/* It is over, and so is every finding of it. */
static bool
is_past(const struct feed *f, const struct incident *i)
{
	if (!instant_is_set(i->end))
		return false;
	for (struct finding *x = i->server->findings; x; x = x->next_of_server)
		if (x->incident_id == i->id && !is_old(f, x))
			return false;
	return true;
}

static bool
is_history(void *context, const struct finding *x)
{
	const struct incident *i = x->server ? x->server->incidents : NULL;

	if (x->forgotten)
		return true;
	while (i && i->id != x->incident_id)
		i = i->next_of_server;
	return (!i || x->retracted) && is_old(context, x);
}

/* With all that it rests on: a part of that would make another incident. */
static void
forget_incident(struct incident *i)
{
	struct incident **at = &i->server->incidents;

	for (struct finding *x = i->server->findings; x; x = x->next_of_server)
		x->forgotten |= x->incident_id == i->id;
	while (*at != i)
		at = &(*at)->next_of_server;
	*at = i->next_of_server;
	free(i);
}

static void
shorten_incidents(struct feed *f)
{
	struct judge *j = registry_judge(f->run->registry);
	struct instant before = instant_plus(f->now, -rest_s(f) * NS_PER_S);

	for (struct incident *i = f->run->incidents; i; i = i->next)
		if (!instant_is_set(i->end) && has_many(i->server))
			(void)incident_shorten(i, j, FEED_SERVER_FINDINGS / 4 * 3,
			    before);
}

static size_t
count_surplus(const struct feed *f)
{
	size_t n = 0;

	for (const struct incident *i = f->run->incidents; i; i = i->next)
		n++;
	return n > FEED_INCIDENTS ? n - FEED_INCIDENTS : 0;
}

static bool
is_at_rest(const struct feed *f, const struct incident *i)
{
	return instant_is_set(i->end) &&
	    instant_since(f->now, i->last) >= rest_s(f) * NS_PER_S;
}

static void
forget_history(struct feed *f)
{
	struct incident **at = &f->run->incidents;
	size_t surplus = count_surplus(f);

	shorten_incidents(f);
	while (*at) {
		struct incident *i = *at;
		struct said *s = said_of(f, i->id);
		bool too_many = surplus && is_at_rest(f, i);

		if (!too_many && !is_past(f, i)) {
			at = &i->next;
			continue;
		}
		surplus -= surplus > 0;
		*at = i->next;
		forget_incident(i);
		if (s)
			*s = f->said[--f->said_count];
	}
	registry_forget(f->run->registry, is_history, f);
}

static bool
has_incident(void *context, const struct server *s)
{
	const struct feed *f = context;
	const struct incident *i = f->run->incidents;

	while (i && i->server != s)
		i = i->next;
	return i != NULL;
}

/* Their last record was told. */
static void
forget_servers(struct feed *f)
{
	struct registry *r = f->run->registry;
	int64_t age_s = registry_has_many_servers(r) ? FEED_SHORT_HISTORY_S :
	    FEED_HISTORY_S;

	registry_forget_servers(r, instant_plus(f->now, -age_s * NS_PER_S),
	    has_incident, f);
}

/* --- for the run --- */

static int
take_past(struct feed *f, const struct feed_past *past)
{
	size_t bytes = past->open_count * sizeof(*past->open);

	f->last_event = past->last_event;
	f->ids.last = past->last_incident;
	registry_number_from(f->run->registry, past->last_finding);
	if (!bytes)
		return 0;
	f->ids.past = malloc(bytes);
	if (!f->ids.past)
		return -1;
	memcpy(f->ids.past, past->open, bytes);
	f->ids.past_count = past->open_count;
	return 0;
}

struct feed *
feed_new(struct run *run, const struct feed_past *past)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->run = run;
	if (past && take_past(f, past))
		feed_free(&f);
	return f;
}

int
feed_listen(struct feed *f, const struct feed_listener *l)
{
	if (f->listener_count == FEED_LISTENERS)
		return -1;
	f->listener[f->listener_count++] = *l;
	return 0;
}

static void
end_step(struct feed *f)
{
	for (size_t i = 0; i < f->listener_count; i++)
		if (f->listener[i].end_of_step)
			f->listener[i].end_of_step(f->listener[i].context);
}

void
feed_step(struct feed *f, struct instant now)
{
	f->now = now;
	if (!instant_is_set(f->minute))
		f->minute = now;
	tell_incidents(f);
	if (instant_since(now, f->minute) >= FEED_MINUTE_S * NS_PER_S) {
		tell_state(f);
		forget_history(f);
		forget_servers(f);
	}
	end_step(f);
}

void
feed_finish(struct feed *f)
{
	if (!instant_is_set(f->now))
		f->now = engine_stats(f->run->engine)->last;
	f->ending = true;
	for (struct server *s = registry_servers(f->run->registry); s;
	    s = s->next)
		s->findings_changed = true;
	tell_incidents(f);
	f->minute.ns = 0;		/* every server */
	tell_state(f);
	end_step(f);
}

void
feed_judge(struct feed *f)
{
	struct registry *r = f->run->registry;
	struct incident *gone = NULL;

	incidents_update(&f->run->incidents, &gone, &f->ids, r,
	    registry_judge(r));
	incidents_free(&gone);
}

void
feed_tell_all(struct feed *f)
{
	struct finding **list;
	size_t n;

	f->final = true;
	f->now = engine_stats(f->run->engine)->last;
	list = report_findings(f->run, &n);
	for (size_t i = 0; i < n; i++)
		publish_finding(f, list[i], CHANGE_NONE);
	free(list);
	for (const struct incident *i = f->run->incidents; i; i = i->next)
		publish_incident(f, i, CHANGE_NONE);
	tell_state(f);
	end_step(f);
}

void
feed_free(struct feed **fp)
{
	struct feed *f = *fp;

	*fp = NULL;
	if (!f)
		return;
	free(f->ids.past);
	free(f->said);
	free(f);
}
