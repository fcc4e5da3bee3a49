/* server.h - the page, served over HTTP: read only, on loopback.
 *
 * Resources: / (the report), /style.css, /api/v1/{capture,servers,incidents,
 * findings} (JSON arrays of the -T json records, ?server= and ?finding= select),
 * /metrics (OpenMetrics), /healthz. Until something is published they answer
 * 503. */
#ifndef WEB_SERVER_H
#define WEB_SERVER_H

#include <stddef.h>

#include "web/listen.h"

struct web;

/* Bind and serve from a thread of its own, which blocks all signals and sees
 * nothing but what is published. NULL with a sentence in `err`. */
struct web *web_open(const struct web_where *, char err[WEB_ERROR_BYTES]);
/* Ends within a second; answers under way are cut. */
void web_close(struct web **);

/* "http://127.0.0.1:8080/", with the port that was taken. */
const char *web_url(const struct web *);

/* A state of the run. `page` is HTML that links /style.css; `lines` are JSON
 * lines. Both come from malloc, are taken over and nulled whatever the outcome;
 * `style` is static. */
struct web_content {
	char *page, *lines;
	size_t page_bytes, lines_bytes;
	const char *style;
};
/* Serve this from now on. 0, or -1 without memory (what was served stays). */
int web_publish(struct web *, struct web_content *);

/* "libmicrohttpd version 0.9.75" */
const char *web_library_version(void);

#endif
