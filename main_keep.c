/* main_keep.c - the wiring of feed, store and whoever listens.
 *
 * The hard part is the order: with a store nobody hears of anything before it is
 * on the disk, so listeners are the store's and not the feed's. */
#include "main_keep.h"

#include <stdlib.h>

#include "capture/log.h"
#include "detectors/compare_kept.h"

int
keep_open(struct keep *k, const char *dir, const struct config *config,
    const struct source *source, bool live)
{
	struct run run = { .source = source, .live = live };
	char err[STORE_ERROR_BYTES], what[600];
	struct store_keep limits = { config->keep.days,
		config->keep.minute_days, config->keep.size_mib };

	if (!dir)
		return 0;
	k->store = store_open(dir, &limits, live, run_subject(&run, what,
	    sizeof(what)), err);
	if (!k->store) {
		log_warn("%s", err);
		return -1;
	}
	k->watch = compare_watch_new_kept();
	if (k->watch)
		return 0;
	log_warn("out of memory");
	return -1;
}

const struct feed_past *
keep_past(const struct keep *k)
{
	return k->store ? store_past(k->store) : NULL;
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

/* Each minute, in the capture's own thread. */
static void
hear_minute(void *context, struct event *e)
{
	struct keep *k = context;

	if (e->kind == EVENT_CAPTURE && k->run->live)
		keep_figures(k);
}

int
keep_start(struct keep *k, struct feed *feed, struct run *run)
{
	struct feed_listener store, minute = { .context = k,
		.event = hear_minute };

	k->run = run;
	run->store = k->store;
	if (!k->store)
		return 0;
	store = store_listener(k->store);
	if (feed_listen(feed, &store) == 0 && feed_listen(feed, &minute) == 0)
		return store_start(k->store);
	log_warn("too many listen to what is found");
	return -1;
}

int
keep_finish(struct keep *k)
{
	if (!k->store || !k->run)
		return 0;
	keep_figures(k);
	return store_finish(k->store);
}

void
keep_close(struct keep *k)
{
	store_close(&k->store);
	compare_watch_free(&k->watch);
}
