/* server.h - the page, served over HTTP: read only.
 *
 * Everything it shows is made of the events that it is given, in a thread of its
 * own, which blocks all signals; nothing here waits for a browser, and a fault of
 * the page is no fault of the run. The resources are in web/openapi.json. */
#ifndef WEB_SERVER_H
#define WEB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "web/listen.h"

struct event;
struct web;

/* The packets behind a finding or an incident. Called from a thread of the page;
 * what is handed over comes from malloc. */
struct web_evidence {
	void *context;
	/* JSON of a finding's packets. 0; -1: there are none */
	int (*ladder)(void *context, uint64_t finding_id, char **json,
	    size_t *bytes);
	/* pcapng; `kind` is "finding" or "incident". 0; -1: there is none */
	int (*pcapng)(void *context, const char *kind, uint64_t id, char **data,
	    size_t *bytes);
};

/* A server's past, of a run that is kept. Called as those above. */
struct web_history {
	void *context;
	/* JSON: restarts and relapses, incidents, health and response times over
	 * the last `hours`. 0; -1: nothing is kept of it */
	int (*history)(void *context, const char *server, unsigned hours,
	    char **json, size_t *bytes);
};

struct web_settings {
	struct web_where where;
	bool live;			/* no end to wait for */
	const struct web_evidence *evidence;	/* borrowed; NULL: none */
	const struct web_history *history;	/* likewise */
	/* Paths; NULL: none. A token is needed where others can reach the page,
	 * a certificate is not, but then all of it can be read on its way. */
	const char *token_file, *certificate, *key;
	const char *style;		/* of the rendered report; static */
	char *findings_text;		/* JSON, from malloc, taken over; NULL */
};

/* Bind and serve. NULL with a sentence in `err`; else that is "", or warns of a
 * certificate that is no longer valid. */
struct web *web_open(const struct web_settings *, char err[WEB_ERROR_BYTES]);
/* The certificate and its key are read again, and served from the next connection
 * on. 1, or -1 when the old ones stay; a sentence says so. 0: there are none.
 * Any thread. */
int web_reload(struct web *, char text[WEB_ERROR_BYTES]);
/* Ends within a second; answers under way are cut. */
void web_close(struct web **);

/* "http://127.0.0.1:8080/", with the port that was taken. */
const char *web_url(const struct web *);

/* Any thread, quick: holds the event for the page's own thread. When that one
 * is far behind, the oldest that wait are dropped and counted. */
void web_event(struct web *, struct event *);
/* Any thread, quick: how much of the files has been read. */
void web_progress(struct web *, uint64_t read, uint64_t total);
/* The run is over; what was shown stays. */
void web_finished(struct web *);

/* Has somebody asked for the rendered report (/report), and is the one at hand
 * not from just now? */
bool web_report_wanted(struct web *);
/* HTML that links /style.css; from malloc, taken over and nulled. */
void web_report(struct web *, char **page, size_t bytes);

/* "libmicrohttpd version 0.9.75" */
const char *web_library_version(void);

#endif
