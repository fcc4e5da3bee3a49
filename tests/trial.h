/* trial.h - a run over a capture with everything on, told as it goes on or at
 * once: what main.c wires, for tests. */
#ifndef TESTS_TRIAL_H
#define TESTS_TRIAL_H

#include <string.h>

#include "capture/source.h"
#include "detectors/feed.h"

struct trial {
	struct config config;
	struct registry *registry;
	struct engine_observer detectors;
	struct source *source;
	struct engine *engine;
	struct feed *feed;
	struct run run;
};

static inline void
trial_step(void *context, struct engine *e, struct instant now)
{
	struct trial *t = context;

	t->detectors.on_step(t->detectors.context, e, now);
	if (t->feed)
		feed_step(t->feed, now);
}

static inline void
trial_segment(void *context, struct flow *f, const struct segment *s)
{
	struct trial *t = context;

	t->detectors.on_segment(t->detectors.context, f, s);
}

static inline void
trial_packet(void *context, const struct packet *p)
{
	struct trial *t = context;

	t->detectors.on_packet(t->detectors.context, p);
}

static inline void
trial_delivery(void *context, const struct delivery *d, int64_t answered_ns)
{
	struct trial *t = context;

	t->detectors.on_delivery(t->detectors.context, d, answered_ns);
}

static inline void
trial_app(void *context, const struct app_event *e)
{
	struct trial *t = context;

	t->detectors.on_app(t->detectors.context, e);
}

/* 0, or -1 with a sentence in `err`. */
static inline int
trial_open(struct trial *t, const char *const *paths, size_t count,
    char err[SOURCE_ERROR_BYTES])
{
	struct engine_observer o = { .context = t, .on_step = trial_step,
		.on_segment = trial_segment, .on_packet = trial_packet,
		.on_delivery = trial_delivery, .on_app = trial_app };

	memset(t, 0, sizeof(*t));
	config_default(&t->config);
	t->registry = registry_new(&t->config);
	if (!t->registry || source_open_files(paths, count, NULL, &t->source,
	    err))
		return -1;
	registry_observe(t->registry, &t->detectors);
	t->engine = engine_new(NULL, &o);
	if (!t->engine)
		return -1;
	registry_attach(t->registry, t->engine);
	t->run = (struct run){ .source = t->source, .engine = t->engine,
		.registry = t->registry, .config = &t->config, .live = true };
	return 0;
}

static inline void
trial_play(struct trial *t)
{
	struct frame f;

	while (source_next(t->source, &f) == SOURCE_FRAME)
		engine_frame(t->engine, &f);
	registry_finishing(t->registry);
	engine_finish(t->engine);
	registry_finish(t->registry, t->engine);
}

static inline void
trial_close(struct trial *t)
{
	feed_free(&t->feed);
	incidents_free(&t->run.incidents);
	engine_free(&t->engine);
	registry_free(&t->registry);
	source_close(&t->source);
}

#endif
