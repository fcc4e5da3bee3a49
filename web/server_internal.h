/* server_internal.h - what the files of the HTTP server share: server.c (the
 * socket and its thread), request.c (what is asked and answered), login.c (who
 * may ask), follow.c (those who follow events). */
#ifndef WEB_SERVER_INTERNAL_H
#define WEB_SERVER_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "web/access.h"
#include "web/api.h"
#include "web/certificate.h"
#include "web/inbox.h"
#include "web/server.h"
#include "web/worker.h"

enum {
	CONNECTIONS_MAX = 512,
	CONNECTIONS_PER_ADDRESS = 128,
	CONNECTIONS_LOOPBACK = 480,	/* there all come from one or two */
	FOLLOWERS_MAX = 400,		/* the rest is for those who ask */
	IDLE_S = 15,			/* without a byte either way */
	REQUEST_S = 60,			/* from its first byte to the last of the
					 * answer, however it trickles */
};

/* A connection and when its request began. */
struct link {
	bool used;
	bool waits;			/* for us, not the other way round */
	MHD_socket fd;
	time_t since;
};

struct follower;

struct web {
	struct MHD_Daemon *daemon;
	pthread_t thread;
	atomic_bool ending, report_wanted, starved;
	bool live, loopback, secure;	/* secure: TLS */
	struct inbox *inbox;
	struct worker *worker;
	struct access access;
	char *certificate, *key;	/* their paths; NULL: no TLS */
	/* The thread's own from here on. */
	struct model *model;
	struct stream *stream;
	struct api api;
	char *findings_text, *report;
	time_t report_at, second;	/* when it was made; the last tick */
	uint64_t lost;
	struct follower *followers;
	struct link link[CONNECTIONS_MAX];
	char url[WEB_WHERE_BYTES + 16];
};

time_t web_seconds(void);		/* of a clock that is never set */
/* NULL: it has none. */
struct link *web_link(struct MHD_Connection *);

/* request.c: for the library. */
enum MHD_Result web_on_request(void *web, struct MHD_Connection *,
    const char *path, const char *method, const char *version,
    const char *upload, size_t *upload_bytes, void **request);
void web_on_completed(void *web, struct MHD_Connection *, void **request,
    enum MHD_RequestTerminationCode);
/* An answer that nobody waits for any more. */
void web_drop_job(struct job *);

/* NULL: it was not sent. */
static inline const char *
web_header(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* What goes out beside a body; NULL: not. */
struct cover {
	const char *type, *cache, *tag, *encoding, *disposition;
	const char *key, *value;	/* one more */
};
enum MHD_Result web_send(struct MHD_Connection *, unsigned status,
    struct MHD_Response *, const struct cover *);
/* A sentence of ours; nothing that came with the request. To programs as JSON. */
enum MHD_Result web_refuse(struct web *, struct MHD_Connection *,
    const char *path, unsigned status, const char *sentence, const char *key,
    const char *value);

/* login.c: the body of a form that brings the token; then who asks may see what
 * is asked for, else the token is asked for. */
enum { LOGIN_BYTES = 3 * ACCESS_TOKEN_MOST + 16 };
struct login {
	char body[LOGIN_BYTES];
	size_t bytes;
};
bool login_is_page(const char *path);	/* one that a browser shows */
bool login_is_given(struct web *, struct MHD_Connection *, const char *path);
enum MHD_Result login_ask(struct web *, struct MHD_Connection *,
    const char *path);
/* The body comes in pieces; then once more without one. */
enum MHD_Result login_take(struct web *, struct MHD_Connection *,
    const char *path, struct login *, const char *upload, size_t *bytes);

/* follow.c */
enum MHD_Result web_follow(struct web *, struct MHD_Connection *,
    const char *mark);
void web_resume_all(struct web *);
void web_resume_those_with_news(struct web *);
/* Each second. */
void web_tick_followers(struct web *, time_t now);

#endif
