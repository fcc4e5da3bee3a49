/* registry.h - the one table of detectors, and the run of all of them. */
#ifndef DETECTORS_REGISTRY_H
#define DETECTORS_REGISTRY_H

#include "capture/engine.h"
#include "detectors/config.h"
#include "detectors/detector.h"

struct registry;

struct registry *registry_new(const struct config *);	/* NULL: no memory */
void registry_free(struct registry **);
/* Fill in the engine's observer (all but on_raw_tcp). */
void registry_observe(struct registry *, struct engine_observer *);
/* The configuration was rewritten: servers get their names anew. Between two
 * steps. */
void registry_reconfigure(struct registry *);
/* The engine that calls; before the first frame. */
void registry_attach(struct registry *, struct engine *);
/* No more packets: before engine_finish, so that the last reviews know. */
void registry_finishing(struct registry *);
struct judge *registry_judge(struct registry *);
/* After engine_finish: last judgements. */
void registry_finish(struct registry *, struct engine *);

/* This run has no end: its timelines show the last hours. */
void registry_live(struct registry *);
/* The next finding has the number after this one; before the first frame. */
void registry_number_from(struct registry *, uint64_t last_finding);

/* A run that goes on for months: findings that are history make room. Step
 * phase; nobody else may hold a pointer to one. */
void registry_forget(struct registry *, bool (*is_history)(void *context,
    const struct finding *), void *context);
/* The same for servers that nobody heard of since `before`: not those that are
 * configured, or that a finding or a connection is still about. When one is heard
 * of again, it is a new one. */
void registry_forget_servers(struct registry *, struct instant before,
    bool (*is_needed)(void *context, const struct server *), void *context);
/* Are there so many servers, or is so much held of them, that those nobody hears
 * of must make room soon? */
bool registry_has_many_servers(const struct registry *);
/* Is there so much of its kind that history must be short? */
bool registry_is_crowded(const struct registry *, const struct finding *);

/* The detector that raises it, or NULL. */
const struct detector *registry_find(enum finding_name);

/* Results. Findings in the order of first_seen after registry_finish. */
struct finding *registry_findings(struct registry *);	/* by next */
struct server *registry_servers(struct registry *);	/* by next */
/* How often there was no room for one more, once for each flow and step. */
uint64_t registry_servers_refused(const struct registry *);
struct server *registry_server(struct registry *, const struct address *,
    bool make);

#endif
