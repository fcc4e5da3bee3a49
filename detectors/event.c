/* event.c - one JSON record, shared by counted references.
 *
 * The hard part is only that the last one out turns off the light, in whatever
 * thread that is. */
#include "detectors/event.h"

#include <stdatomic.h>
#include <stdlib.h>

struct event_count {
	atomic_uint held;
};

/* An event and its count are one piece of memory. */
struct whole {
	struct event event;
	struct event_count count;
};

const char *
event_kind_name(enum event_kind kind)
{
	static const char *const name[] = {
		"finding", "incident", "server", "capture", "timeline",
	};

	return name[kind];
}

const char *
event_change_name(enum event_change change)
{
	static const char *const name[] = {
		NULL, "new", "update", "over", "withdrawn",
	};

	return name[change];
}

struct event *
event_new(const struct event *model, char *json, size_t bytes)
{
	struct whole *w = json ? malloc(sizeof(*w)) : NULL;

	if (!w) {
		free(json);
		return NULL;
	}
	w->event = *model;
	w->event.json = json;
	w->event.bytes = bytes;
	w->event.count = &w->count;
	atomic_init(&w->count.held, 1);
	return &w->event;
}

struct event *
event_hold(struct event *e)
{
	atomic_fetch_add_explicit(&e->count->held, 1, memory_order_relaxed);
	return e;
}

void
event_release(struct event **ep)
{
	struct event *e = *ep;

	*ep = NULL;
	if (!e || atomic_fetch_sub_explicit(&e->count->held, 1,
	    memory_order_acq_rel) != 1)
		return;
	free(e->json);
	free(e);			/* the first member of its whole */
}
