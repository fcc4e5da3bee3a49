/* listen.h - where the page is served: ADDR:PORT read, judged and opened. */
#ifndef WEB_LISTEN_H
#define WEB_LISTEN_H

#include <stdbool.h>
#include <sys/socket.h>

enum { WEB_ERROR_BYTES = 256, WEB_WHERE_BYTES = 64 };

struct web_where {
	struct sockaddr_storage address;
	socklen_t bytes;
};

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080", "0.0.0.0:8080"; port 0 takes
 * one that is free. 0, or -1 with a sentence in `err`. */
int web_where_parse(const char *text, struct web_where *,
    char err[WEB_ERROR_BYTES]);
bool web_where_is_loopback(const struct web_where *);
/* A listening socket, and in `where` the port that it has; -1 with a sentence. */
int web_where_listen(struct web_where *where, char err[WEB_ERROR_BYTES]);
/* "127.0.0.1:8080", "[::1]:8080" */
const char *web_where_text(const struct web_where *, char out[WEB_WHERE_BYTES]);

/* Does the Host field of a request (RFC 9110, section 7.2) name loopback? If
 * not, a foreign page may have had its own name resolved to here, to read along
 * (DNS rebinding). */
bool web_host_is_loopback(const char *host);

#endif
