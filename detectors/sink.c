/* sink.c - the sinks of a configuration: made, fed, changed, closed.
 *
 * The hard part is the end: sixteen dead sinks must not take sixteen times as
 * long to close as one, and a configuration that is read again must not hold up
 * the capture. All get the same time together, then all are told to wait no
 * longer; and what a new configuration does not have is closed by a thread of its
 * own, what it still has goes on. */
#include "detectors/sink_internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/log.h"

enum { TICK_MS = 1000, POLL_MS = 5 };

struct sink {
	struct sink_config config;
	const struct sink_kind *kind;
	void *context;
	struct relay *relay;
	atomic_bool stop;
	char title[CONFIG_NAME_BYTES + 8];	/* sink "name" */
};

/* Those of one configuration. */
struct sink_list {
	size_t count;
	struct sink *sink[SINKS_MAX];
};

struct sinks {
	pthread_mutex_t lock;		/* of the pointer */
	struct sink_list *list;
	bool closing;			/* `closer` is, or was, at work */
	pthread_t closer;
};

static const struct sink_kind *
kind_of(enum sink_type type)
{
	switch (type) {
	case SINK_LINES: return &sink_lines;
	case SINK_SYSLOG: return &sink_syslog;
	case SINK_WEBHOOK: return &sink_webhook;
	}
	return NULL;
}

/* --- a list of them --------------------------------------------------------------- */

static void
sink_close(struct sink *s)
{
	if (s->relay)
		relay_close(&s->relay, 0);
	if (s->context)
		s->kind->close(s->context);
	free(s);
}

static struct sink *
sink_open(const struct sink_config *c, char err[SINK_ERROR_BYTES])
{
	struct relay_kind kind = { .tick_ms = TICK_MS, .limit = SINK_LIMIT };
	struct sink *s = calloc(1, sizeof(*s));

	snprintf(err, SINK_ERROR_BYTES, "out of memory");
	if (!s)
		return NULL;
	s->config = *c;
	s->kind = kind_of(c->type);
	atomic_init(&s->stop, false);
	snprintf(s->title, sizeof(s->title), "sink \"%s\"", c->name);
	s->context = s->kind->open(&s->config, &s->stop, err);
	if (s->context) {
		kind.name = s->title;
		kind.deliver = s->kind->deliver;
		kind.tick = s->kind->tick;
		s->relay = relay_new(&kind, s->context);
		if (s->relay)
			return s;
		snprintf(err, SINK_ERROR_BYTES, "%s: no thread for it", s->title);
	}
	sink_close(s);
	return NULL;
}

/* Do any still have something to deliver, and a chance? */
static bool
any_waiting(const struct sink_list *l)
{
	struct relay_stats r;

	for (size_t i = 0; i < l->count; i++) {
		relay_stats(l->sink[i]->relay, &r);
		if (r.waiting && !r.failing)
			return true;
	}
	return false;
}

static void
close_list(struct sink_list *l, unsigned grace_ms)
{
	static const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int64_t until = sink_now_ms() + grace_ms;
	struct relay_stats r;

	if (!l)
		return;
	while (any_waiting(l) && sink_now_ms() < until)
		nanosleep(&pause, NULL);
	for (size_t i = 0; i < l->count; i++) {
		relay_stats(l->sink[i]->relay, &r);
		atomic_store(&l->sink[i]->stop, r.waiting > 0 || r.failing);
		if (r.waiting)
			log_warn("%s: %zu events were not delivered",
			    l->sink[i]->title, r.waiting);
	}
	for (size_t i = 0; i < l->count; i++)
		sink_close(l->sink[i]);
	free(l);
}

static bool
is_same(const struct sink_config *a, const struct sink_config *b)
{
	return a->type == b->type && a->min_severity == b->min_severity &&
	    a->kinds == b->kinds && a->facility == b->facility &&
	    a->hold_s >= b->hold_s && a->hold_s <= b->hold_s &&
	    strcmp(a->name, b->name) == 0 && strcmp(a->where, b->where) == 0 &&
	    strcmp(a->header, b->header) == 0 && strcmp(a->ca, b->ca) == 0;
}

/* The sink of `l` that is configured so, or NULL. */
static struct sink *
find_same(const struct sink_list *l, const struct sink_config *c)
{
	for (size_t i = 0; i < l->count; i++)
		if (is_same(&l->sink[i]->config, c))
			return l->sink[i];
	return NULL;
}

/* Out of `l`, those that are in `others` as well. */
static void
leave_out(struct sink_list *l, const struct sink_list *others)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++) {
		bool there = false;

		for (size_t k = 0; k < others->count; k++)
			there |= others->sink[k] == l->sink[i];
		if (!there)
			l->sink[kept++] = l->sink[i];
	}
	l->count = kept;
}

/* Those of `old` that stay, and new ones. */
static struct sink_list *
open_list(const struct config *c, const struct sink_list *old,
    char err[SINK_ERROR_BYTES])
{
	struct sink_list *l = calloc(1, sizeof(*l));

	snprintf(err, SINK_ERROR_BYTES, "out of memory");
	for (size_t i = 0; l && i < c->sink_count; i++) {
		struct sink *s = find_same(old, &c->sink[i]);

		if (!s)
			s = sink_open(&c->sink[i], err);
		if (!s) {
			leave_out(l, old);
			close_list(l, 0);
			return NULL;
		}
		l->sink[l->count++] = s;
	}
	return l;
}

static void *
close_slowly(void *list)
{
	close_list(list, SINK_WAIT_MS);
	return NULL;
}

static void
wait_for_closer(struct sinks *s)
{
	if (s->closing)
		pthread_join(s->closer, NULL);
	s->closing = false;
}

/* Signals are the main thread's. */
static void
close_beside(struct sinks *s, struct sink_list *l)
{
	sigset_t all, before;

	wait_for_closer(s);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	s->closing = pthread_create(&s->closer, NULL, close_slowly, l) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!s->closing)
		close_list(l, 0);
}

/* --- for everybody ------------------------------------------------------------------- */

struct sinks *
sinks_new(void)
{
	struct sinks *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->list = calloc(1, sizeof(*s->list));
	pthread_mutex_init(&s->lock, NULL);
	if (!s->list)
		sinks_close(&s, 0);
	return s;
}

int
sinks_configure(struct sinks *s, const struct config *c,
    char err[SINK_ERROR_BYTES])
{
	struct sink_list *old = s->list, *fresh = open_list(c, old, err);

	if (!fresh)
		return -1;
	pthread_mutex_lock(&s->lock);
	s->list = fresh;
	pthread_mutex_unlock(&s->lock);
	leave_out(old, fresh);
	close_beside(s, old);
	return 0;
}

static bool
is_wanted(const struct sink_config *c, const struct event *e)
{
	if (!(c->kinds & 1u << e->kind))
		return false;
	return (e->kind != EVENT_FINDING && e->kind != EVENT_INCIDENT) ||
	    e->severity >= c->min_severity;
}

static void
hear(void *context, struct event *e)
{
	struct sinks *s = context;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->list->count; i++)
		if (is_wanted(&s->list->sink[i]->config, e))
			relay_put(s->list->sink[i]->relay, e);
	pthread_mutex_unlock(&s->lock);
}

struct feed_listener
sinks_listener(struct sinks *s)
{
	return (struct feed_listener){ .context = s, .event = hear };
}

void
sinks_reopen(struct sinks *s)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->list->count; i++)
		if (s->list->sink[i]->kind->reopen)
			s->list->sink[i]->kind->reopen(s->list->sink[i]->context);
	pthread_mutex_unlock(&s->lock);
}

size_t
sinks_stats(struct sinks *s, struct sink_stats *out, size_t max)
{
	size_t count;

	pthread_mutex_lock(&s->lock);
	count = s->list->count;
	for (size_t i = 0; i < count && i < max; i++) {
		snprintf(out[i].name, sizeof(out[i].name), "%s",
		    s->list->sink[i]->config.name);
		relay_stats(s->list->sink[i]->relay, &out[i].relay);
	}
	pthread_mutex_unlock(&s->lock);
	return count;
}

void
sinks_close(struct sinks **sp, unsigned grace_ms)
{
	struct sinks *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	close_list(s->list, grace_ms);
	wait_for_closer(s);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
