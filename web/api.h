/* api.h - each resource of the page: what a path and its parameters are
 * answered with. Knows nothing of HTTP beyond the status. */
#ifndef WEB_API_H
#define WEB_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "web/model.h"
#include "web/query.h"
#include "web/server.h"
#include "web/stream.h"

/* The server's own figures, for the metrics. */
struct web_figures {
	uint64_t requests, refused, events, events_lost, events_waiting;
	unsigned connections, viewers;
};

/* What the answers are made of; borrowed. */
struct api {
	const struct model *model;
	const struct stream *stream;
	const struct web_evidence *evidence;	/* NULL: none is kept */
	const struct web_history *history;	/* likewise */
	const char *findings_text;		/* JSON; NULL: none */
	const char *report, *style;		/* HTML, CSS; NULL: not yet */
	size_t report_bytes;
	struct web_figures figures;
};

enum { API_PART_BYTES = 64, API_FILE_BYTES = 64 };

struct answer {
	unsigned status;		/* 200, 404, 410, 503 */
	const char *error;		/* a sentence instead of a body; NULL */
	char *text;			/* from malloc; NULL with an error */
	size_t bytes;
	char file[API_FILE_BYTES];	/* to be saved under this name, or "" */
};

/* What is asked, of whom, and the place for the answer. */
struct call {
	const struct api *api;
	const struct query *query;
	const char *part;		/* of the path, see api_route */
	struct answer *answer;
};

struct api_route {
	const char *path;		/* '*' stands for one part */
	const char *type;
	unsigned taken;			/* enum query_key */
	bool slow;			/* asks evidence or store */
	/* Fills in the answer. 0, or -1 without memory. */
	int (*make)(struct call *);	/* NULL: the stream of events */
};

/* NULL: no such resource. `part` gets what stands for the '*'. */
const struct api_route *api_route(const char *path, char part[API_PART_BYTES]);

#endif
