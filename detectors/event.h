/* event.h - one JSON record on its way from a run that goes on to whoever
 * listens: standard output, the store, the page, syslog.
 *
 * An event is made once, in the step phase, never changed after, and shared by
 * counted references, so that each listener can take its time in a thread of
 * its own. */
#ifndef DETECTORS_EVENT_H
#define DETECTORS_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "capture/clock.h"
#include "detectors/finding.h"

enum event_kind {
	EVENT_FINDING, EVENT_INCIDENT, EVENT_SERVER, EVENT_CAPTURE,
	EVENT_TIMELINE,			/* not on standard output */
	EVENT_KINDS
};
const char *event_kind_name(enum event_kind);	/* "finding" ... */

/* What became of its subject. A record of a finished run has none: there it is
 * the one and last word. */
enum event_change {
	CHANGE_NONE,
	CHANGE_NEW,
	CHANGE_UPDATE,			/* graver, or more of the same */
	CHANGE_OVER,			/* the condition, the incident ended */
	CHANGE_WITHDRAWN,		/* later packets explained it away */
};
const char *event_change_name(enum event_change);	/* "new"; NULL for none */

enum { EVENT_NAME_BYTES = 40 };

/* Which packets a finding is about. */
struct event_subject {
	struct address client, server;	/* a connection's, or flow_id 0 */
	uint16_t client_port, server_port;
	uint8_t protocol;
	uint64_t flow_id;
	struct instant last;		/* newest evidence */
	uint32_t file;			/* of the frames: which input */
	unsigned frame_count;
	uint64_t frame[FINDING_FRAMES];
};

struct event {
	uint64_t number;		/* 1, 2, ...: the order of publication; goes
					 * on where the kept run ended */
	enum event_kind kind;
	enum event_change change;
	uint64_t id;			/* finding_id, incident_id; 0: neither */
	uint64_t incident_id;		/* of a finding; 0: none (yet) */
	struct instant time;		/* trace time of publication */
	struct instant since;		/* the subject's first evidence */
	enum severity severity;		/* an incident's: that of its worst finding */
	double confidence;		/* 0..1; servers and capture 1 */
	bool over;			/* incident: has ended */
	char server[ADDRESS_TEXT_BYTES];	/* address, "" none */
	char name[EVENT_NAME_BYTES];	/* finding's, verdict, health, "" */
	char text[FINDING_TEXT_BYTES];	/* the sentence for people, or "" */
	struct event_subject subject;	/* of a finding */
	size_t bytes;			/* of `json`, without the final NUL */
	char *json;			/* the record as -T json writes it: one line
					 * without its newline; UTF-8 */
	struct event_count *count;	/* event.c */
};

/* Of memory. */
static inline size_t
event_size(const struct event *e)
{
	return e->bytes + sizeof(*e);
}

/* A copy of `model` with one reference, `json` (from malloc) taken over whatever
 * the outcome. NULL without memory. */
struct event *event_new(const struct event *model, char *json, size_t bytes);
/* May be called from any thread. */
struct event *event_hold(struct event *);
void event_release(struct event **);

#endif
