/* report_live.c - what a live run says on standard output while it goes on.
 *
 * The hard part is that a server that freezes makes hundreds of findings in one
 * second: a person needs one line of it, a program each record. */
#include "detectors/report_live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "detectors/report_common.h"

enum { GROUPS = 16 };

/* Findings of one name at one server in one step. */
struct group {
	struct event *first;
	size_t count;
};

struct live_report {
	FILE *out;
	bool json;
	int error;
	struct group group[GROUPS];
	size_t group_count, ungrouped;
};

static void
check(struct live_report *r, int failed)
{
	if (failed && !r->error)
		r->error = errno ? errno : EIO;
}

static void
write_line(void *context, struct event *e)
{
	struct live_report *r = context;

	if (e->kind != EVENT_TIMELINE)
		check(r, fwrite(e->json, 1, e->bytes, r->out) != e->bytes ||
		    putc('\n', r->out) == EOF);
}

static void
flush(void *context)
{
	struct live_report *r = context;

	check(r, fflush(r->out) != 0);
}

/* --- for people --- */

/* "2008-03-18 10:42:13Z " */
static void
say_when(struct live_report *r, const struct event *e)
{
	char text[INSTANT_TEXT_BYTES];

	instant_text(e->since, text);
	check(r, fprintf(r->out, "%.10s %.8sZ  ", text, text + 11) < 0);
}

static void
say_incident(struct live_report *r, const struct event *e)
{
	static const char *const word[] = {
		[CHANGE_NONE] = "", [CHANGE_NEW] = "NEW INCIDENT",
		[CHANGE_UPDATE] = "incident", [CHANGE_OVER] = "incident over",
		[CHANGE_WITHDRAWN] = "incident withdrawn",
	};

	say_when(r, e);
	check(r, fprintf(r->out, "%s: %s %llu, %s, %.0f %% sure. %s\n",
	    e->server, word[e->change], (unsigned long long)e->id, e->name,
	    e->confidence * 100, e->text) < 0);
}

static void
gather(struct live_report *r, struct event *e)
{
	for (size_t i = 0; i < r->group_count; i++) {
		struct group *g = &r->group[i];

		if (strcmp(g->first->name, e->name) == 0 &&
		    strcmp(g->first->server, e->server) == 0) {
			g->count++;
			return;
		}
	}
	if (r->group_count == GROUPS)
		r->ungrouped++;
	else
		r->group[r->group_count++] = (struct group){ event_hold(e), 1 };
}

static void
say_event(void *context, struct event *e)
{
	struct live_report *r = context;

	if (e->kind == EVENT_INCIDENT)
		say_incident(r, e);
	else if (e->kind == EVENT_FINDING && e->change == CHANGE_NEW &&
	    e->severity >= SEVERITY_MEDIUM)
		gather(r, e);
}

static void
say_group(struct live_report *r, struct group *g)
{
	say_when(r, g->first);
	check(r, fprintf(r->out, "%s: %s. %s", g->first->server, g->first->name,
	    g->first->text) < 0);
	if (g->count > 1)
		check(r, fprintf(r->out, " (and %zu more like it)",
		    g->count - 1) < 0);
	check(r, putc('\n', r->out) == EOF);
	event_release(&g->first);
}

static void
say_step(void *context)
{
	struct live_report *r = context;

	for (size_t i = 0; i < r->group_count; i++)
		say_group(r, &r->group[i]);
	if (r->ungrouped)
		check(r, fprintf(r->out, "and %zu other findings\n",
		    r->ungrouped) < 0);
	r->group_count = r->ungrouped = 0;
	flush(r);
}

/* --------------------------------------------------------------------------------- */

struct live_report *
live_report_new(FILE *out, bool json)
{
	struct live_report *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->out = out;
	r->json = json;
	return r;
}

struct feed_listener
live_report_listener(struct live_report *r)
{
	return r->json ? (struct feed_listener){ r, write_line, flush } :
	    (struct feed_listener){ r, say_event, say_step };
}

int
live_report_error(const struct live_report *r)
{
	return r->error;
}

void
live_report_free(struct live_report **r)
{
	for (size_t i = 0; *r && i < (*r)->group_count; i++)
		event_release(&(*r)->group[i].first);
	free(*r);
	*r = NULL;
}
