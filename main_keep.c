/* main_keep.c - the wiring of feed, store and whoever listens.
 *
 * The hard part is the order: with a store nobody hears of anything before it is
 * on the disk, so listeners are the store's and not the feed's. */
#include "main_keep.h"

#include <stdlib.h>

#include "capture/log.h"
#include "detectors/compare_kept.h"
#include "detectors/server.h"

enum { PAST_FINDINGS = 2000, PAST_INCIDENTS = 500,	/* newest, for the page */
    GRACE_MS = 3000, HISTORY_POINTS = 720, FLOWS_A_MINUTE = 200000 };

static struct store_keep
limits_of(const struct config *c)
{
	return (struct store_keep){ c->keep.days, c->keep.minute_days,
		c->keep.size_mib };
}

/* 0, or -1 after a sentence. */
static int
open_store(struct keep *k, const char *dir, const struct config *config,
    const struct source *source, bool live)
{
	struct run run = { .source = source, .live = live };
	char err[STORE_ERROR_BYTES], what[600];
	struct store_keep limits = limits_of(config);

	k->store = store_open(dir, &limits, live, run_subject(&run, what,
	    sizeof(what)), err);
	if (!k->store) {
		log_warn("%s", err);
		return -1;
	}
	atomic_store(&k->ready, true);
	k->watch = compare_watch_new_kept();
	if (k->watch)
		return 0;
	log_warn("out of memory");
	return -1;
}

/* Live there may be some after the configuration is read again. */
static int
open_sinks(struct keep *k, const struct config *config)
{
	k->sinks = sinks_new();
	if (k->sinks)
		return keep_reload(k, config);
	log_warn("out of memory");
	return -1;
}

int
keep_open(struct keep *k, const char *dir, const struct config *config,
    const struct source *source, bool live)
{
	if (dir && open_store(k, dir, config, source, live))
		return -1;
	return live || config->sink_count ? open_sinks(k, config) : 0;
}

bool
keep_is_used(const struct keep *k)
{
	return k->store || k->sinks;
}

const struct feed_past *
keep_past(const struct keep *k)
{
	return k->store ? store_past(k->store) : NULL;
}

void
keep_tell_past(struct keep *k, void (*each)(void *, struct event *),
    void *context)
{
	if (k->store && store_tell_past(k->store, PAST_FINDINGS,
	    PAST_INCIDENTS, each, context))
		log_warn("what was found before cannot be shown, or not all of it");
}

int
keep_listen(struct keep *k, struct feed *feed, const struct feed_listener *l)
{
	return k->store ? store_listen(k->store, l) : feed_listen(feed, l);
}

static void
keep_figures(struct keep *k)
{
	struct run_figures figures;
	char *json;

	if (run_figures_take(k->watch, k->run, &figures))
		return;
	json = run_figures_json(&figures);
	run_figures_free(&figures);
	if (json)
		store_figures(k->store, json);
}

/* Taking figures sorts every server's connections: with very many of them, it is
 * not done each minute. */
static bool
is_time_for_figures(struct keep *k)
{
	size_t flows = 0;

	for (const struct server *s = registry_servers(k->run->registry); s;
	    s = s->next)
		flows += s->outcome_count;
	return k->minutes++ % (1 + flows / FLOWS_A_MINUTE) == 0;
}

/* Each minute, in the capture's own thread. */
static void
hear_minute(void *context, struct event *e)
{
	struct keep *k = context;

	if (e->kind == EVENT_CAPTURE && k->run->live && is_time_for_figures(k))
		keep_figures(k);
}

/* 0, or -1: too many listen. */
static int
listen_all(struct keep *k, struct feed *feed)
{
	struct feed_listener sinks, store, minute = { .context = k,
		.event = hear_minute };

	if (k->sinks) {
		sinks = sinks_listener(k->sinks);
		if (keep_listen(k, feed, &sinks))
			return -1;
	}
	if (!k->store)
		return 0;
	store = store_listener(k->store);
	return feed_listen(feed, &store) || feed_listen(feed, &minute) ? -1 : 0;
}

int
keep_start(struct keep *k, struct feed *feed, struct run *run)
{
	k->run = run;
	run->store = k->store;
	run->sinks = k->sinks;
	if (listen_all(k, feed)) {
		log_warn("too many listen to what is found");
		return -1;
	}
	return k->store ? store_start(k->store) : 0;
}

int
keep_finish(struct keep *k)
{
	int failed = 0;

	if (!k->run)
		return 0;
	if (k->store) {
		keep_figures(k);
		failed = store_finish(k->store);
	}
	k->run->sinks = NULL;
	sinks_close(&k->sinks, GRACE_MS);
	return failed;
}

void
keep_close(struct keep *k)
{
	store_close(&k->store);
	sinks_close(&k->sinks, 0);
	compare_watch_free(&k->watch);
}

int
keep_history(void *context, const char *server, unsigned hours, char **json,
    size_t *bytes)
{
	struct keep *k = context;

	if (!atomic_load(&k->ready))
		return -1;
	return store_history(k->store, server, hours, HISTORY_POINTS, json,
	    bytes) == 0 ? 0 : -1;
}

int
keep_reload(struct keep *k, const struct config *config)
{
	struct store_keep limits = limits_of(config);
	char err[SINK_ERROR_BYTES];

	if (k->sinks && sinks_configure(k->sinks, config, err)) {
		log_warn("%s", err);
		return -1;
	}
	if (k->store)
		store_limit(k->store, &limits);
	return 0;
}

void
keep_reopen(struct keep *k)
{
	if (k->sinks)
		sinks_reopen(k->sinks);
}

void
keep_say_stats(const struct keep *k)
{
	struct sink_stats list[SINKS_MAX];
	size_t n = k->sinks ? sinks_stats(k->sinks, list, SINKS_MAX) : 0;
	struct store_stats s;

	if (k->store) {
		store_stats(k->store, &s);
		log_info("store: %llu records kept, %zu waiting, %llu lost%s",
		    (unsigned long long)s.stored, s.waiting,
		    (unsigned long long)s.dropped, s.failing ? ", failing" : "");
	}
	for (size_t i = 0; i < n; i++)
		log_info("sink \"%s\": %llu events delivered, %zu waiting, %llu "
		    "lost%s", list[i].name,
		    (unsigned long long)list[i].relay.delivered,
		    list[i].relay.waiting,
		    (unsigned long long)list[i].relay.dropped,
		    list[i].relay.failing ? ", failing" : "");
}
