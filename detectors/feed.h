/* feed.h - what a run has to say while it goes on, as events (event.h).
 *
 * Findings: when they are new, and again when they grow graver, end or are
 * withdrawn, else at most once in FEED_HOLD_S. Incidents: the same, judged anew
 * whenever a finding of their server changed; an incident keeps its number as
 * long as it lasts. Servers and the capture: each minute of trace time, and at
 * the end. Called in the step phase only.
 *
 * A run may go on for months. What has been over for a week (or, where there is
 * too much of it, six hours) has been told, and is forgotten here; so are servers
 * that nobody heard of for so long, but for those that are configured. A server that
 * is ill for months has many findings: beyond FEED_SERVER_FINDINGS the oldest that
 * have been at rest for FEED_REST_S go, also those of what lasts; and of incidents
 * beyond FEED_INCIDENTS the oldest that are over. */
#ifndef DETECTORS_FEED_H
#define DETECTORS_FEED_H

#include "detectors/event.h"
#include "detectors/report.h"

enum { FEED_HOLD_S = 10, FEED_MINUTE_S = 60, FEED_LISTENERS = 8,
    FEED_HISTORY_S = 7 * 86400, FEED_SHORT_HISTORY_S = 6 * 3600,
    FEED_SERVER_FINDINGS = 2000, FEED_REST_S = 600, FEED_INCIDENTS = 1000 };

struct feed;

/* Whoever listens is called in the capture's own thread, in the order of
 * `number`: it must be quick, and hold the event if it wants it later (relay.h
 * does both). `end_of_step`: all events of this step have been handed over. */
struct feed_listener {
	void *context;
	void (*event)(void *context, struct event *);
	void (*end_of_step)(void *context);		/* optional */
};

/* Where the run before ended; all 0 for a first run. */
struct feed_past {
	uint64_t last_event, last_finding, last_incident;	/* numbers used */
	const struct incident_past *open;	/* copied */
	size_t open_count;
};

/* The run is borrowed; `run->incidents` is kept up to date from now on. NULL:
 * no memory. */
struct feed *feed_new(struct run *, const struct feed_past *);
/* 0, or -1 when there are FEED_LISTENERS already. */
int feed_listen(struct feed *, const struct feed_listener *);
/* After the detectors' reviews of each step. */
void feed_step(struct feed *, struct instant now);
/* After registry_finish: what changed last, then each server and the capture. */
void feed_finish(struct feed *);
/* Instead of both, of a run that has finished: its incidents, numbered after
 * those of the past; then everything, once, as the last word. */
void feed_judge(struct feed *);
void feed_tell_all(struct feed *);
void feed_free(struct feed **);

#endif
