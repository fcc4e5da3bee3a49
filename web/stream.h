/* stream.h - the newest events, and viewers that follow them, each at its own
 * pace: text/event-stream as the HTML standard has it (section 9.2).
 *
 * The events are kept once for all; a viewer is a place among them. One that
 * falls behind the oldest kept gets `reset` and goes on from the newest: a slow
 * one costs no memory. One thread owns it all. */
#ifndef WEB_STREAM_H
#define WEB_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detectors/event.h"

enum {
	STREAM_EVENTS = 10000, STREAM_BYTES = 16 << 20, STREAM_RUN_BYTES = 17,
	STREAM_MARK_BYTES = 40, STREAM_STATE_BYTES = 160,
	STREAM_HEAD_BYTES = 160 + STREAM_STATE_BYTES,
};

/* What became of the reading: served as its JSON, to each viewer when it has
 * changed. */
struct stream {
	struct event **event;		/* a ring */
	uint64_t first, end;		/* places: of the oldest, after the newest */
	size_t bytes;			/* of all of them */
	uint64_t last_number;		/* of the newest event; 0: none yet */
	char run[STREAM_RUN_BYTES];	/* tells this run from those before */
	char state[STREAM_STATE_BYTES];	/* "progress": JSON */
	uint64_t state_version;
	uint64_t resets;		/* viewers that missed something */
};

struct viewer {
	const struct stream *of;
	uint64_t at;			/* place of the next event */
	uint64_t state_version;		/* of the progress that it has seen */
	bool behind, heartbeat;		/* a reset, a comment is due */
	struct event *event;		/* under way; NULL: none */
	char head[STREAM_HEAD_BYTES];	/* under way, before the record */
	size_t head_bytes, sent;	/* `sent` of head, record and its end */
};

/* NULL: no memory. `run` is copied. */
struct stream *stream_new(const char *run);
void stream_free(struct stream **);
/* Takes a reference of its own. */
void stream_add(struct stream *, struct event *);
/* Events were lost: everybody has to load anew. */
void stream_gap(struct stream *);
/* True when it differs from the one before. */
bool stream_set_state(struct stream *, const char *json);
/* "RUN.NUMBER": the place after all events so far. */
const char *stream_mark(const struct stream *, char out[STREAM_MARK_BYTES]);

/* From the place after `mark` on; NULL: from now on. A mark of another run, or
 * one that is not kept any more, begins with a reset. */
void viewer_begin(struct viewer *, struct stream *, const char *mark);
/* Up to `room` bytes of what is due; 0: nothing for now. */
size_t viewer_read(struct viewer *, struct stream *, char *out, size_t room);
bool viewer_has_news(const struct viewer *, const struct stream *);
void viewer_end(struct viewer *);

#endif
