/* model.h - what the page knows of a run: the newest word on each finding,
 * incident, server and the capture, made of events alone (detectors/event.h).
 *
 * One thread owns it. Each kind has a limit; what a limit cost is counted. */
#ifndef WEB_MODEL_H
#define WEB_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detectors/event.h"

enum {
	MODEL_FINDINGS = 20000, MODEL_INCIDENTS = 2000, MODEL_SERVERS = 2048,
	MODEL_MINUTES = 720,		/* of each server: twelve hours */
	MODEL_PROTOCOLS = 32,		/* of one record that are looked at */
	MODEL_NAME_BYTES = 64,
};

/* The record itself is `event->json`; what filters need of it stands beside. */
struct model_finding {
	struct event *event;
	uint64_t id, incident_id;
	int64_t from_us, to_us;		/* since 1970: first and last evidence */
	uint8_t severity;		/* enum severity; above: not known */
	bool over, withdrawn;
	char server[ADDRESS_TEXT_BYTES], client[ADDRESS_TEXT_BYTES];
	char server_name[MODEL_NAME_BYTES], name[MODEL_NAME_BYTES];
};

struct model_incident {
	struct event *event;
	uint64_t id;
	int64_t from_us, to_us;		/* INT64_MAX: has not ended */
	char server[ADDRESS_TEXT_BYTES], server_name[MODEL_NAME_BYTES];
	char verdict[MODEL_NAME_BYTES];
	char *brief;			/* the record without its long lists */
};

/* One minute of a server; NAN: not known. */
struct model_minute {
	float p95_ms;			/* of the protocol that was worst */
	float flows, bytes;		/* since the minute before */
	char health;			/* 'o' 'd' 'f' 's', '-' no record */
};

struct model_server {
	char ip[ADDRESS_TEXT_BYTES], name[MODEL_NAME_BYTES];
	char health[MODEL_NAME_BYTES];
	struct event *event, *timeline;	/* NULL: none yet */
	uint64_t touched;		/* number of its last event */
	int64_t last_minute;		/* since 1970, of the newest one */
	double flows, bytes;		/* of the last record, to subtract */
	struct model_minute *minute;	/* a ring */
	unsigned minute_count, minute_room, minute_next;
};

struct model {
	struct model_finding **finding;		/* by id, ascending */
	struct model_incident **incident;	/* by id, ascending */
	struct model_server **server;		/* as they came */
	size_t finding_count, incident_count, server_count;
	struct event *capture;			/* NULL: none yet */
	int64_t from_us, to_us;			/* of the capture; 0: not known */
	uint64_t last_event;			/* number; 0: none */
	uint64_t unreadable, forgotten;		/* records: no JSON; by a limit */
};

struct model *model_new(void);
void model_free(struct model **);
/* Takes a reference of its own. An event that it cannot read changes nothing. */
void model_apply(struct model *, struct event *);

const struct model_finding *model_find(const struct model *, uint64_t id);
const struct model_incident *model_find_incident(const struct model *,
    uint64_t id);
const struct model_server *model_find_server(const struct model *,
    const char *ip);
/* The newest first: 0 is this minute. NULL beyond the oldest. */
const struct model_minute *model_minute(const struct model_server *,
    unsigned ago);

/* "2008-03-18T10:39:14.447901Z", cut short anywhere from the day on, or seconds
 * since 1970; in microseconds. False: neither. */
bool model_time_parse(const char *text, int64_t *us);

#endif
