/* report.h - what goes out: output formats behind one vtable. */
#ifndef DETECTORS_REPORT_H
#define DETECTORS_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "capture/engine.h"
#include "capture/source.h"
#include "detectors/event.h"
#include "detectors/incident.h"
#include "detectors/registry.h"

struct sinks;
struct store;

/* Everything a report may need; borrowed. */
struct run {
	const struct source *source;	/* names of files */
	struct engine *engine;
	struct registry *registry;
	struct incident *incidents;
	const struct config *config;
	struct store *store;		/* what is known of the past; NULL: nothing */
	struct sinks *sinks;		/* NULL: none */
	bool live;
	bool interrupted;		/* SIGINT ended it early */
};

/* Each returns 0, or -1 when writing failed (errno says why). */
struct report {
	int (*flow)(struct report *, const struct run *, const struct flow *);
				/* optional: with --flows, as each flow ends */
	int (*finish)(struct report *, const struct run *);	/* required: the whole
				 * run is over: everything else, and flush */
	void (*free)(struct report **);
	FILE *out;
};
struct report *report_text_new(FILE *);
struct report *report_json_new(FILE *);
/* Before any JSON is made: its memory is asked for by our own malloc(), so that
 * what is refused is counted (capture/memory.h). */
void report_json_memory(void);
/* One record of it, as a run goes on. 0, or -1 when writing failed. */
int report_json_finding(FILE *, const struct run *, const struct finding *,
    enum event_change);
int report_json_incident(FILE *, const struct incident *, enum event_change);
int report_json_server(FILE *, const struct run *, const struct server *,
    enum event_change);
/* 1: nothing is known of it, and nothing was written. */
int report_json_timeline(FILE *, const struct run *, const struct server *);
int report_json_capture(FILE *, const struct run *, enum event_change);
struct report *report_html_new(FILE *);
/* The same page as it is served: its style is linked as /style.css, and it
 * links the other resources of the web server. */
struct report *report_page_new(FILE *);
/* That style sheet. */
const char *report_style(void);

/* --packets: one JSON line a TCP packet. */
int report_packet(FILE *, const struct run *, const struct packet *,
    uint64_t flow_id, uint32_t analysis_flags, double rpc_time_s /* < 0: none */);

#endif
