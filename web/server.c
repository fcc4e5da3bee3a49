/* server.c - the page, served over HTTP by libmicrohttpd, in one thread.
 *
 * It answers whoever can reach the socket, so the hard part is to give nothing
 * away and to hang on nothing: only GET and HEAD of a short list of paths, no
 * body taken, no name from a request in an answer or on standard error, a Host
 * that is not loopback turned away, few connections, and none for long. */
#include "web/server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "web/snapshot.h"

enum {
	CONNECTIONS_MAX = 128,
	CONNECTIONS_PER_ADDRESS = 112,	/* on loopback all come from one or two */
	IDLE_S = 15,			/* without a byte either way */
	REQUEST_S = 60,			/* from its first byte to the last of the
					 * answer, however it trickles */
	CONNECTION_BYTES = 16384,	/* for a request's header; more is 431 */
	WAIT_MS = 250,			/* at most, until an end is noticed */
};

/* A connection and when its request began. */
struct link {
	bool used;
	MHD_socket fd;
	time_t since;
};

struct web {
	struct MHD_Daemon *daemon;
	pthread_t thread;
	atomic_bool ending;
	pthread_mutex_t lock;		/* for `now` */
	struct snapshot *now;		/* NULL: nothing yet */
	struct link link[CONNECTIONS_MAX];
	char url[WEB_WHERE_BYTES + 16];
};

static const struct route {
	const char *path;
	enum resource resource;
	const char *type;
	bool by_server, by_finding;	/* takes ?server=, ?finding= */
} routes[] = {
	{ "/", RESOURCE_PAGE, "text/html; charset=utf-8", false, false },
	{ "/style.css", RESOURCE_STYLE, "text/css; charset=utf-8", false, false },
	{ "/api/v1/capture", RESOURCE_CAPTURE,
	    "application/json; charset=utf-8", false, false },
	{ "/api/v1/servers", RESOURCE_SERVERS,
	    "application/json; charset=utf-8", true, false },
	{ "/api/v1/incidents", RESOURCE_INCIDENTS,
	    "application/json; charset=utf-8", true, false },
	{ "/api/v1/findings", RESOURCE_FINDINGS,
	    "application/json; charset=utf-8", true, true },
	{ "/metrics", RESOURCE_METRICS,
	    "application/openmetrics-text; version=1.0.0; charset=utf-8", false,
	    false },
	{ "/healthz", RESOURCE_HEALTH, "text/plain; charset=utf-8", false,
	    false },
};

enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

/* On every answer. The page has no script and nothing from elsewhere, and no
 * other page may frame it or read it. */
static const char *const headers[][2] = {
	{ "Cache-Control", "private, no-cache" },
	{ "Content-Security-Policy", "default-src 'none'; style-src 'self'; "
	    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Referrer-Policy", "no-referrer" },
	{ "X-Content-Type-Options", "nosniff" },
};

/* Answers ------------------------------------------------------------------- */

/* Hands the response over, with one more header unless `key` is NULL. */
static enum MHD_Result
send_response(struct MHD_Connection *c, unsigned status,
    struct MHD_Response *r, const char *type, const char *key, const char *value)
{
	enum MHD_Result result;

	if (!r)
		return MHD_NO;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		(void)MHD_add_response_header(r, headers[i][0], headers[i][1]);
	(void)MHD_add_response_header(r, "Content-Type", type);
	if (key)
		(void)MHD_add_response_header(r, key, value);
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

/* A sentence of ours; nothing that came with the request. */
static enum MHD_Result
refuse(struct MHD_Connection *c, unsigned status, const char *sentence,
    const char *key, const char *value)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
	    strlen(sentence), (void *)(uintptr_t)sentence,
	    MHD_RESPMEM_PERSISTENT);

	return send_response(c, status, r, "text/plain; charset=utf-8", key,
	    value);
}

/* RFC 9110, section 13.1.2: a list of entity tags, or "*"; weak comparison. */
static bool
has_tag(const char *list, const char *tag)
{
	size_t n = strlen(tag);

	for (const char *at = list; at && *at; at = strchr(at, ',')) {
		at += strspn(at, ", \t");
		if (*at == '*')
			return true;
		if (strncmp(at, "W/", 2) == 0)
			at += 2;
		if (strncmp(at, tag, n) == 0)
			return true;
	}
	return false;
}

static void
let_go(void *snapshot)
{
	struct snapshot *s = snapshot;

	snapshot_release(&s);
}

/* The response keeps its own reference to the snapshot. */
static struct MHD_Response *
response_of(struct snapshot *s, const struct body *b)
{
	struct MHD_IoVec *v = calloc(b->count, sizeof(*v));
	struct MHD_Response *r;

	if (!v)
		return NULL;
	for (size_t i = 0; i < b->count; i++)
		v[i] = (struct MHD_IoVec){ b->piece[i].iov_base,
			b->piece[i].iov_len };
	r = MHD_create_response_from_iovec(v, (unsigned)b->count, let_go,
	    snapshot_hold(s));
	if (!r)
		let_go(s);
	free(v);
	return r;
}

/* With 304 the library sends the length (RFC 9110, section 8.6), not the body. */
static enum MHD_Result
answer_from(struct MHD_Connection *c, const struct route *route,
    struct snapshot *s, const struct record_filter *filter)
{
	const char *known = MHD_lookup_connection_value(c, MHD_HEADER_KIND,
	    "If-None-Match");
	enum MHD_Result result;
	struct body b;
	char tag[24];

	if (snapshot_body(s, route->resource, filter, &b))
		return MHD_NO;
	snprintf(tag, sizeof(tag), "\"%016llx\"", (unsigned long long)b.tag);
	result = send_response(c, has_tag(known, tag) ? MHD_HTTP_NOT_MODIFIED :
	    MHD_HTTP_OK, response_of(s, &b), route->type, "ETag", tag);
	free(b.piece);
	return result;
}

/* What was asked for ------------------------------------------------------- */

struct query {
	const struct route *route;
	struct record_filter filter;
	bool bad;
};

static enum MHD_Result
take_parameter(void *context, enum MHD_ValueKind kind, const char *key,
    const char *value)
{
	struct query *q = context;

	(void)kind;
	if (value && !q->filter.server && q->route->by_server &&
	    strcmp(key, "server") == 0)
		q->filter.server = value;
	else if (value && !q->filter.finding && q->route->by_finding &&
	    strcmp(key, "finding") == 0)
		q->filter.finding = value;
	else
		q->bad = true;
	return q->bad ? MHD_NO : MHD_YES;
}

static const struct route *
route_of(const char *path)
{
	for (size_t i = 0; i < ROUTES; i++)
		if (strcmp(path, routes[i].path) == 0)
			return &routes[i];
	return NULL;
}

static struct snapshot *
present(struct web *web)
{
	struct snapshot *s;

	pthread_mutex_lock(&web->lock);
	s = web->now ? snapshot_hold(web->now) : NULL;
	pthread_mutex_unlock(&web->lock);
	return s;
}

static enum MHD_Result
answer(struct web *web, struct MHD_Connection *c, const char *path)
{
	struct query q = { .route = route_of(path) };
	struct snapshot *s;
	enum MHD_Result result;

	if (!q.route)
		return refuse(c, MHD_HTTP_NOT_FOUND, "There is no such page.\n",
		    NULL, NULL);
	(void)MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, take_parameter,
	    &q);
	if (q.bad)
		return refuse(c, MHD_HTTP_BAD_REQUEST, "This page does not take "
		    "these parameters.\n", NULL, NULL);
	s = present(web);
	if (!s)
		return refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "toewatch is still "
		    "reading; the report comes when it is done.\n", "Refresh",
		    "2");
	result = answer_from(c, q.route, s, &q.filter);
	snapshot_release(&s);
	return result;
}

static const char *
header_of(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static bool
brings_body(struct MHD_Connection *c)
{
	const char *length = header_of(c, "Content-Length");

	return (length && strcmp(length, "0") != 0) ||
	    header_of(c, "Transfer-Encoding");
}

/* Once the header is complete, and (without a body) once more to answer. A
 * refusal at first sight closes the connection. */
static enum MHD_Result
on_request(void *context, struct MHD_Connection *c, const char *path,
    const char *method, const char *version, const char *upload,
    size_t *upload_bytes, void **request)
{
	static char seen;
	const char *host = header_of(c, "Host");

	(void)version;
	(void)upload;
	if (*request)
		return *upload_bytes ? MHD_NO : answer(context, c, path);
	*request = &seen;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED,
		    "Only GET and HEAD.\n", "Allow", "GET, HEAD");
	if (brings_body(c))
		return refuse(c, MHD_HTTP_CONTENT_TOO_LARGE,
		    "No body is taken.\n", "Connection", "close");
	if (host && !web_host_is_loopback(host))
		return refuse(c, MHD_HTTP_MISDIRECTED_REQUEST,
		    "Ask for localhost, 127.0.0.1 or [::1].\n", "Connection",
		    "close");
	return MHD_YES;
}

/* Connections --------------------------------------------------------------- */

static time_t
seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void
on_connection(void *context, struct MHD_Connection *c, void **own,
    enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(c,
	    MHD_CONNECTION_INFO_CONNECTION_FD);
	struct web *web = context;
	struct link *l = *own;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (l)
			l->used = false;
		return;
	}
	for (size_t i = 0; i < CONNECTIONS_MAX && fd; i++) {
		l = &web->link[i];
		if (l->used)
			continue;
		*l = (struct link){ true, fd->connect_fd, seconds_now() };
		*own = l;
		return;
	}
}

/* Another request may follow: its time begins now. */
static void
on_completed(void *context, struct MHD_Connection *c, void **request,
    enum MHD_RequestTerminationCode how)
{
	const union MHD_ConnectionInfo *own = MHD_get_connection_info(c,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	(void)context;
	(void)request;
	(void)how;
	if (own && own->socket_context)
		((struct link *)own->socket_context)->since = seconds_now();
}

/* A byte now and then keeps a connection from idling, but not for ever: what
 * takes too long is shut, and closed by the library when it notices. */
static void
shut_slow(struct web *web)
{
	time_t now = seconds_now();

	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (web->link[i].used && now - web->link[i].since > REQUEST_S)
			(void)shutdown(web->link[i].fd, SHUT_RDWR);
}

static void *
serve(void *context)
{
	struct web *web = context;

	while (!atomic_load(&web->ending)) {
		if (MHD_run_wait(web->daemon, WAIT_MS) != MHD_YES)
			break;
		shut_slow(web);
	}
	return NULL;
}

/* Opening and closing ------------------------------------------------------- */

static struct MHD_Daemon *
start_daemon(struct web *web, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, web,
	    MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
	    MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_PER_ADDRESS,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, web,
	    MHD_OPTION_NOTIFY_COMPLETED, on_completed, web, MHD_OPTION_END);
}

/* Signals are for the thread that reads packets. 0, or an errno. */
static int
start_thread(struct web *web)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&web->thread, NULL, serve, web);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

/* Takes the socket over. NULL: it did not work. */
static struct web *
web_new(int fd)
{
	struct web *web = calloc(1, sizeof(*web));

	if (web && pthread_mutex_init(&web->lock, NULL) == 0) {
		web->daemon = start_daemon(web, fd);
		if (web->daemon && start_thread(web) == 0)
			return web;
		if (web->daemon) {
			MHD_stop_daemon(web->daemon);
			fd = -1;
		}
		pthread_mutex_destroy(&web->lock);
	}
	free(web);
	if (fd >= 0)
		close(fd);
	return NULL;
}

struct web *
web_open(const struct web_where *asked, char err[WEB_ERROR_BYTES])
{
	struct web_where where = *asked;
	char text[WEB_WHERE_BYTES];
	int fd = web_where_listen(&where, err);
	struct web *web = fd < 0 ? NULL : web_new(fd);

	web_where_text(&where, text);
	if (web)
		snprintf(web->url, sizeof(web->url), "http://%s/", text);
	else if (fd >= 0)
		snprintf(err, WEB_ERROR_BYTES, "cannot serve the page on %s: "
		    "no memory, or no more threads", text);
	return web;
}

void
web_close(struct web **closing)
{
	struct web *web = *closing;

	*closing = NULL;
	if (!web)
		return;
	atomic_store(&web->ending, true);
	pthread_join(web->thread, NULL);
	MHD_stop_daemon(web->daemon);
	snapshot_release(&web->now);
	pthread_mutex_destroy(&web->lock);
	free(web);
}

const char *
web_url(const struct web *web)
{
	return web->url;
}

int
web_publish(struct web *web, struct web_content *c)
{
	struct snapshot *next = snapshot_new(&c->page, c->page_bytes, &c->lines,
	    c->lines_bytes, c->style), *last;

	if (!next)
		return -1;
	pthread_mutex_lock(&web->lock);
	last = web->now;
	web->now = next;
	pthread_mutex_unlock(&web->lock);
	snapshot_release(&last);
	return 0;
}

const char *
web_library_version(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libmicrohttpd version %s",
	    MHD_get_version());
	return text;
}
