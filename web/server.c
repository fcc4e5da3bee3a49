/* server.c - the page, served over HTTP by libmicrohttpd, in one thread.
 *
 * It answers whoever can reach the socket, so the hard part is to give nothing
 * away and to hang on nothing: only GET and HEAD of a short list of paths, no
 * body taken, no name from a request in an answer or on standard error, a Host
 * that is not loopback turned away, few connections, and none for long - but
 * those that follow events, which wait suspended until there are some. */
#include "web/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "web/api.h"
#include "web/assets.h"
#include "web/gzip.h"
#include "web/inbox.h"

enum {
	CONNECTIONS_MAX = 512,
	CONNECTIONS_PER_ADDRESS = 480,	/* on loopback all come from one or two */
	FOLLOWERS_MAX = 400,		/* the rest is for those who ask */
	IDLE_S = 15,			/* without a byte either way */
	REQUEST_S = 60,			/* from its first byte to the last of the
					 * answer, however it trickles */
	HEARTBEAT_S = 12,		/* below IDLE_S, and what proxies allow */
	CONNECTION_BYTES = 16384,	/* for a request's header; more is 431 */
	STREAM_BLOCK_BYTES = 8192,
	SOCKET_BYTES = 256 << 10,	/* that wait in the kernel for a slow one */
	WAIT_MS = 200,			/* at most, until a change is noticed */
	PACK_BYTES = 1024,		/* smaller bodies are sent as they are */
	REPORT_AGE_S = 10,
};

/* A connection and when its request began. */
struct link {
	bool used;
	bool follows;			/* events: no end to wait for */
	MHD_socket fd;
	time_t since;
};

/* One who follows events. */
struct follower {
	struct follower *next, **place;	/* in the list of all */
	struct web *web;
	struct MHD_Connection *connection;
	struct link *link;
	struct viewer viewer;
	bool suspended;			/* until there is news */
	time_t busy_since;		/* not suspended since then */
};

struct web {
	struct MHD_Daemon *daemon;
	pthread_t thread;
	atomic_bool ending, report_wanted;
	bool live;
	struct inbox *inbox;
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

static time_t
seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Answers ------------------------------------------------------------------- */

/* On every answer. Nothing is loaded from elsewhere, nothing in the page can
 * become a script, and no other page may frame it or read it. */
static const char *const headers[][2] = {
	{ "Content-Security-Policy", "default-src 'none'; script-src 'self'; "
	    "style-src 'self'; img-src 'self' data:; connect-src 'self'; "
	    "font-src 'self'; base-uri 'none'; form-action 'self'; "
	    "frame-ancestors 'none'; require-trusted-types-for 'script'" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Referrer-Policy", "no-referrer" },
	{ "X-Content-Type-Options", "nosniff" },
};

/* What goes out beside the body; NULL: not. */
struct cover {
	const char *type, *cache, *tag, *encoding, *disposition;
	const char *key, *value;	/* one more */
};

static void
add_header(struct MHD_Response *r, const char *key, const char *value)
{
	if (value)
		(void)MHD_add_response_header(r, key, value);
}

/* Hands the response over. */
static enum MHD_Result
send_response(struct MHD_Connection *c, unsigned status,
    struct MHD_Response *r, const struct cover *cover)
{
	enum MHD_Result result;

	if (!r)
		return MHD_NO;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		add_header(r, headers[i][0], headers[i][1]);
	add_header(r, "Content-Type", cover->type);
	add_header(r, "Cache-Control", cover->cache ? cover->cache :
	    "private, no-cache");
	add_header(r, "ETag", cover->tag);
	add_header(r, "Content-Encoding", cover->encoding);
	add_header(r, "Content-Disposition", cover->disposition);
	add_header(r, "Vary", "Accept-Encoding");
	if (cover->key)
		add_header(r, cover->key, cover->value);
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

/* A sentence of ours; nothing that came with the request. To programs as JSON. */
static enum MHD_Result
refuse(struct web *web, struct MHD_Connection *c, const char *path,
    unsigned status, const char *sentence, const char *key, const char *value)
{
	bool json = strncmp(path, "/api/", 5) == 0;
	struct cover cover = { .key = key, .value = value,
		.type = json ? "application/json; charset=utf-8" :
		"text/plain; charset=utf-8" };
	char text[256];
	int n = snprintf(text, sizeof(text), json ? "{\"error\":\"%s\"}\n" :
	    "%s\n", sentence);

	web->api.figures.refused++;
	return send_response(c, status, MHD_create_response_from_buffer(
	    (size_t)n, text, MHD_RESPMEM_MUST_COPY), &cover);
}

static const char *
header_of(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
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

/* RFC 9110, section 12.5.3: gzip named, and not with a weight of 0. */
static bool
takes_gzip(struct MHD_Connection *c)
{
	const char *at = header_of(c, "Accept-Encoding");

	while (at && *at) {
		at += strspn(at, ", \t");
		if (strncasecmp(at, "gzip", 4) == 0) {
			at += 4 + strspn(at + 4, " \t");
			if (!*at || *at == ',')
				return true;
			at += strspn(at, "; \t");
			return strncmp(at, "q=0", 3) != 0 || strpbrk(at + 3,
			    "123456789") != NULL;
		}
		at = strchr(at, ',');
	}
	return false;
}

/* FNV-1a: tells two states apart, and is no proof against malice. */
static uint64_t
tag_of(const char *text, size_t n)
{
	uint64_t tag = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		tag = (tag ^ (unsigned char)text[i]) * 0x100000001b3u;
	return tag;
}

static void
tag_text(uint64_t tag, bool packed, char out[24])
{
	snprintf(out, 24, "\"%016llx%s\"", (unsigned long long)tag,
	    packed ? "z" : "");
}

/* With 304 the library sends the length (RFC 9110, section 8.6), not the body. */
static unsigned
status_for(struct MHD_Connection *c, const char *tag)
{
	return has_tag(header_of(c, "If-None-Match"), tag) ?
	    MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK;
}

static enum MHD_Result
send_asset(struct MHD_Connection *c, const struct asset *a)
{
	bool packed = a->packed_bytes < a->plain_bytes && takes_gzip(c);
	const char *text = packed ? a->packed : a->plain;
	size_t n = packed ? a->packed_bytes : a->plain_bytes;
	char tag[24];
	struct cover cover = { .type = asset_type(a), .tag = tag,
		.encoding = packed ? "gzip" : NULL };

	tag_text(tag_of(text, n), packed, tag);
	return send_response(c, status_for(c, tag),
	    MHD_create_response_from_buffer(n, (void *)(uintptr_t)text,
	    MHD_RESPMEM_PERSISTENT), &cover);
}

/* A capture is packed as much as it can be, or nearly. */
static void
pack_answer(struct MHD_Connection *c, struct answer *a, struct cover *cover)
{
	size_t n;
	char *packed;

	if (a->bytes < PACK_BYTES || *a->file || !takes_gzip(c))
		return;
	packed = gzip_pack(a->text, a->bytes, &n);
	if (!packed)
		return;
	free(a->text);
	a->text = packed;
	a->bytes = n;
	cover->encoding = "gzip";
}

static enum MHD_Result
send_answer(struct MHD_Connection *c, const struct api_route *route,
    struct answer *a)
{
	char tag[24], disposition[API_FILE_BYTES + 32];
	struct cover cover = { .type = route->type, .tag = tag };

	if (*a->file) {
		snprintf(disposition, sizeof(disposition),
		    "attachment; filename=\"%s\"", a->file);
		cover.disposition = disposition;
	}
	pack_answer(c, a, &cover);
	tag_text(tag_of(a->text, a->bytes), cover.encoding != NULL, tag);
	return send_response(c, status_for(c, tag),
	    MHD_create_response_from_buffer(a->bytes, a->text,
	    MHD_RESPMEM_MUST_FREE), &cover);
}

/* Following events ---------------------------------------------------------- */

static void
suspend(struct follower *f)
{
	MHD_suspend_connection(f->connection);
	f->suspended = true;
}

static void
resume(struct follower *f)
{
	if (!f->suspended)
		return;
	f->suspended = false;
	f->busy_since = seconds_now();
	MHD_resume_connection(f->connection);
}

static void
resume_all(struct web *web)
{
	for (struct follower *f = web->followers; f; f = f->next)
		resume(f);
}

static void
resume_those_with_news(struct web *web)
{
	for (struct follower *f = web->followers; f; f = f->next)
		if (f->suspended && viewer_has_news(&f->viewer, web->stream))
			resume(f);
}

static ssize_t
read_events(void *context, uint64_t position, char *out, size_t room)
{
	struct follower *f = context;
	size_t n = viewer_read(&f->viewer, f->web->stream, out, room);

	(void)position;
	if (n == 0)
		suspend(f);
	return (ssize_t)n;
}

static void
end_follower(void *context)
{
	struct follower *f = context;

	*f->place = f->next;
	if (f->next)
		f->next->place = f->place;
	f->web->api.figures.viewers--;
	viewer_end(&f->viewer);
	free(f);
}

static struct follower *
follower_new(struct web *web, struct MHD_Connection *c, const char *mark)
{
	const union MHD_ConnectionInfo *own = MHD_get_connection_info(c,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct follower *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	*f = (struct follower){ .next = web->followers, .place = &web->followers,
		.web = web, .connection = c, .link = own ? own->socket_context :
		NULL, .busy_since = seconds_now() };
	if (f->next)
		f->next->place = &f->next;
	web->followers = f;
	web->api.figures.viewers++;
	viewer_begin(&f->viewer, web->stream, mark);
	return f;
}

static enum MHD_Result
send_events(struct web *web, struct MHD_Connection *c, const struct query *q)
{
	static const struct cover cover = { .type = "text/event-stream",
		.cache = "no-store", .key = "X-Accel-Buffering", .value = "no" };
	const char *last = header_of(c, "Last-Event-ID");
	struct MHD_Response *r;
	struct follower *f;

	if (web->api.figures.viewers >= FOLLOWERS_MAX)
		return refuse(web, c, "/api/", MHD_HTTP_SERVICE_UNAVAILABLE,
		    "Too many follow the events already.", "Retry-After", "10");
	f = follower_new(web, c, last ? last : q->after);
	if (!f)
		return MHD_NO;
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
	    STREAM_BLOCK_BYTES, read_events, f, end_follower);
	if (!r)
		end_follower(f);
	else if (f->link)
		f->link->follows = true;
	return send_response(c, MHD_HTTP_OK, r, &cover);
}

/* What was asked for ------------------------------------------------------- */

struct taking {
	struct query query;
	unsigned taken;
	bool bad;
};

static enum MHD_Result
take_parameter(void *context, enum MHD_ValueKind kind, const char *key,
    const char *value)
{
	struct taking *t = context;

	(void)kind;
	t->bad = !query_take(&t->query, t->taken, key, value);
	return t->bad ? MHD_NO : MHD_YES;
}

static enum MHD_Result
answer_route(struct web *web, struct MHD_Connection *c, const char *path,
    const struct api_route *route, const char *part)
{
	struct taking t = { .taken = route->taken };
	struct answer a = { 0 };

	query_begin(&t.query);
	(void)MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, take_parameter,
	    &t);
	if (t.bad)
		return refuse(web, c, path, MHD_HTTP_BAD_REQUEST, "This resource "
		    "does not take these parameters, or not these values.", NULL,
		    NULL);
	if (!route->make)
		return send_events(web, c, &t.query);
	if (route->make(&web->api, &t.query, part, &a))
		return MHD_NO;
	if (a.error)
		return refuse(web, c, path, a.status, a.error,
		    a.status == MHD_HTTP_SERVICE_UNAVAILABLE ? "Refresh" : NULL,
		    "1");
	return send_answer(c, route, &a);
}

static void
note_report_wanted(struct web *web)
{
	if (!web->report || seconds_now() - web->report_at >= REPORT_AGE_S)
		atomic_store(&web->report_wanted, true);
}

/* The page reads its own query: its state is in the address bar. */
static enum MHD_Result
answer(struct web *web, struct MHD_Connection *c, const char *path)
{
	char part[API_PART_BYTES];
	const struct api_route *route = api_route(path, part);
	const struct asset *asset = route ? NULL : asset_find(strcmp(path, "/") ?
	    path + 1 : "index.html");

	web->api.figures.requests++;
	if (asset)
		return send_asset(c, asset);
	if (!route)
		return refuse(web, c, path, MHD_HTTP_NOT_FOUND,
		    "There is no such page.", NULL, NULL);
	if (strcmp(path, "/report") == 0)
		note_report_wanted(web);
	return answer_route(web, c, path, route, part);
}

static bool
brings_body(struct MHD_Connection *c)
{
	const char *length = header_of(c, "Content-Length");

	return (length && strcmp(length, "0") != 0) ||
	    header_of(c, "Transfer-Encoding");
}

/* Asked for by a page from elsewhere (W3C Fetch Metadata)? A link that somebody
 * follows is welcome. */
static bool
is_foreign(struct MHD_Connection *c)
{
	const char *site = header_of(c, "Sec-Fetch-Site");
	const char *mode = header_of(c, "Sec-Fetch-Mode");

	return site && strcmp(site, "cross-site") == 0 &&
	    (!mode || strcmp(mode, "navigate") != 0);
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
	struct web *web = context;

	(void)version;
	(void)upload;
	if (*request)
		return *upload_bytes ? MHD_NO : answer(web, c, path);
	*request = &seen;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return refuse(web, c, path, MHD_HTTP_METHOD_NOT_ALLOWED,
		    "Only GET and HEAD.", "Allow", "GET, HEAD");
	if (brings_body(c))
		return refuse(web, c, path, MHD_HTTP_CONTENT_TOO_LARGE,
		    "No body is taken.", "Connection", "close");
	if (host && !web_host_is_loopback(host))
		return refuse(web, c, path, MHD_HTTP_MISDIRECTED_REQUEST,
		    "Ask for localhost, 127.0.0.1 or [::1].", "Connection",
		    "close");
	if (is_foreign(c))
		return refuse(web, c, path, MHD_HTTP_FORBIDDEN,
		    "Not for pages from elsewhere.", "Connection", "close");
	return MHD_YES;
}

/* Connections --------------------------------------------------------------- */

static void
on_connection(void *context, struct MHD_Connection *c, void **own,
    enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(c,
	    MHD_CONNECTION_INFO_CONNECTION_FD);
	struct web *web = context;
	struct link *l = *own;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		web->api.figures.connections--;
		if (l)
			l->used = false;
		return;
	}
	web->api.figures.connections++;
	for (size_t i = 0; i < CONNECTIONS_MAX && fd; i++) {
		l = &web->link[i];
		if (l->used)
			continue;
		*l = (struct link){ .used = true, .fd = fd->connect_fd,
			.since = seconds_now() };
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
	struct link *l = own ? own->socket_context : NULL;

	(void)context;
	(void)request;
	(void)how;
	if (!l)
		return;
	l->since = seconds_now();
	l->follows = false;
}

/* A byte now and then keeps a connection from idling, but not for ever: what
 * takes too long is shut, and closed by the library when it notices. */
static void
shut_slow(struct web *web, time_t now)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct link *l = &web->link[i];

		if (l->used && !l->follows && now - l->since > REQUEST_S)
			(void)shutdown(l->fd, SHUT_RDWR);
	}
	for (struct follower *f = web->followers; f; f = f->next)
		if (!f->suspended && f->link && now - f->busy_since > REQUEST_S)
			(void)shutdown(f->link->fd, SHUT_RDWR);
}

/* The library does not look at a suspended connection: is its end still
 * there? */
static bool
is_gone(const struct follower *f)
{
	char byte;

	return f->link && recv(f->link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT)
	    == 0;
}

/* Each second. */
static void
tick(struct web *web, time_t now)
{
	bool beat = now % HEARTBEAT_S == 0;

	shut_slow(web, now);
	for (struct follower *f = web->followers; f; f = f->next) {
		if (!f->suspended)
			continue;
		f->viewer.heartbeat = beat || is_gone(f);
		if (f->viewer.heartbeat)
			resume(f);
	}
}

/* The thread ---------------------------------------------------------------- */

static void
set_state(struct web *web, const struct inbox_content *c)
{
	char json[STREAM_STATE_BYTES];

	snprintf(json, sizeof(json), "{\"state\":\"%s\",\"read\":%llu,"
	    "\"total\":%llu}", c->finished ? "done" : web->live ? "live" :
	    "reading", (unsigned long long)c->read,
	    (unsigned long long)c->total);
	(void)stream_set_state(web->stream, json);
}

/* True: there is more. */
static bool
take_in(struct web *web)
{
	struct inbox_content c;

	inbox_take(web->inbox, &c);
	if (c.lost != web->lost) {
		web->api.figures.events_lost = web->lost = c.lost;
		stream_gap(web->stream);
	}
	for (size_t i = 0; i < c.count; i++) {
		model_apply(web->model, c.event[i]);
		stream_add(web->stream, c.event[i]);
		event_release(&c.event[i]);
	}
	web->api.figures.events += c.count;
	if (!c.more)
		set_state(web, &c);
	if (c.report) {
		free(web->report);
		web->api.report = web->report = c.report;
		web->api.report_bytes = c.report_bytes;
		web->report_at = seconds_now();
	}
	return c.more;
}

static int
wait_ms(struct web *web)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(web->daemon, &ms) == MHD_YES && ms < WAIT_MS)
		return (int)ms;
	return WAIT_MS;
}

static void *
serve(void *context)
{
	struct web *web = context;
	const union MHD_DaemonInfo *epoll = MHD_get_daemon_info(web->daemon,
	    MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fd[2] = {
		{ .fd = epoll->epoll_fd, .events = POLLIN },
		{ .fd = inbox_fd(web->inbox), .events = POLLIN },
	};
	bool more = false;

	while (!atomic_load(&web->ending)) {
		time_t now;

		(void)poll(fd, 2, more ? 0 : wait_ms(web));
		more = take_in(web);
		resume_those_with_news(web);
		if (MHD_run(web->daemon) != MHD_YES)
			break;
		now = seconds_now();
		if (now != web->second)
			tick(web, now);
		web->second = now;
	}
	return NULL;
}

/* Opening and closing ------------------------------------------------------- */

static struct MHD_Daemon *
start_daemon(struct web *web, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0,
	    NULL, NULL, on_request, web,
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

/* What a restart must not share with the run before: a browser that comes back
 * would take old numbers for new ones. */
static void
name_run(char run[STREAM_RUN_BYTES])
{
	uint64_t n = 0;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		n = (uint64_t)seconds_now();
	snprintf(run, STREAM_RUN_BYTES, "%016llx", (unsigned long long)n);
}

static int
make_state(struct web *web, const struct web_settings *settings)
{
	static const struct inbox_content nothing = { 0 };
	char run[STREAM_RUN_BYTES];

	name_run(run);
	web->live = settings->live;
	web->inbox = inbox_new();
	web->model = model_new();
	web->stream = stream_new(run);
	if (!web->inbox || !web->model || !web->stream)
		return -1;
	set_state(web, &nothing);
	web->api = (struct api){ .model = web->model, .stream = web->stream,
		.evidence = settings->evidence, .style = settings->style,
		.findings_text = web->findings_text };
	return 0;
}

static void
free_state(struct web *web)
{
	inbox_free(&web->inbox);
	model_free(&web->model);
	stream_free(&web->stream);
	free(web->findings_text);
	free(web->report);
	free(web);
}

/* Takes the socket over. NULL: it did not work. */
static struct web *
web_new(int fd, const struct web_settings *settings)
{
	struct web *web = calloc(1, sizeof(*web));

	if (!web) {
		free(settings->findings_text);
		close(fd);
		return NULL;
	}
	web->findings_text = settings->findings_text;
	if (make_state(web, settings) == 0)
		web->daemon = start_daemon(web, fd);
	if (!web->daemon)
		close(fd);
	else if (start_thread(web) == 0)
		return web;
	else
		MHD_stop_daemon(web->daemon);
	free_state(web);
	return NULL;
}

struct web *
web_open(const struct web_settings *settings, char err[WEB_ERROR_BYTES])
{
	struct web_where where = settings->where;
	char text[WEB_WHERE_BYTES];
	int fd = web_where_listen(&where, err);
	struct web *web;

	if (fd < 0) {
		free(settings->findings_text);
		return NULL;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ SOCKET_BYTES },
	    sizeof(int));
	web = web_new(fd, settings);
	web_where_text(&where, text);
	if (web)
		snprintf(web->url, sizeof(web->url), "http://%s/", text);
	else
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
	resume_all(web);		/* else the library would not stop */
	MHD_stop_daemon(web->daemon);
	free_state(web);
}

const char *
web_url(const struct web *web)
{
	return web->url;
}

void
web_event(struct web *web, struct event *e)
{
	inbox_event(web->inbox, e);
}

void
web_progress(struct web *web, uint64_t read, uint64_t total)
{
	inbox_progress(web->inbox, read, total);
}

void
web_finished(struct web *web)
{
	inbox_finished(web->inbox);
}

bool
web_report_wanted(struct web *web)
{
	return atomic_exchange(&web->report_wanted, false);
}

void
web_report(struct web *web, char **page, size_t bytes)
{
	inbox_report(web->inbox, *page, bytes);
	*page = NULL;
}

const char *
web_library_version(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libmicrohttpd version %s",
	    MHD_get_version());
	return text;
}
