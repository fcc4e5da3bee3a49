/* server.c - the page, served over HTTP by libmicrohttpd, in one thread.
 *
 * It answers whoever can reach the socket, so the hard part is to give nothing
 * away and to hang on nothing: only GET and HEAD of a short list of paths, no
 * body taken, no name from a request in an answer or on standard error, a Host
 * that is not loopback turned away, few connections, and none for long - but
 * those that follow events, which wait suspended until there are some. */
#include "web/server_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	CONNECTION_BYTES = 16384,	/* for a request's header; more is 431 */
	SOCKET_BYTES = 256 << 10,	/* that wait in the kernel for a slow one */
	WAIT_MS = 150,			/* at most, until news is noticed */
	STARVED_US = 100000,
};

time_t
web_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

struct link *
web_link(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *own = MHD_get_connection_info(c,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return own ? own->socket_context : NULL;
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
			.since = web_seconds() };
		*own = l;
		return;
	}
}

/* A byte now and then keeps a connection from idling, but not for ever: what
 * takes too long is shut, and closed by the library when it notices. */
static void
shut_slow(struct web *web, time_t now)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct link *l = &web->link[i];

		if (l->used && !l->waits && now - l->since > REQUEST_S)
			(void)shutdown(l->fd, SHUT_RDWR);
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
	web->api.figures.events_waiting = c.waiting;
	if (!c.waiting)
		set_state(web, &c);
	if (c.report) {
		free(web->report);
		web->api.report = web->report = c.report;
		web->api.report_bytes = c.report_bytes;
		web->report_at = web_seconds();
	}
	return c.waiting > 0;
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
	struct pollfd fd = { .fd = epoll->epoll_fd, .events = POLLIN };
	bool more = false;

	while (!atomic_load(&web->ending)) {
		time_t now;

		(void)poll(&fd, 1, more ? 0 : wait_ms(web));
		more = take_in(web);
		web_resume_those_with_news(web);
		if (MHD_run(web->daemon) != MHD_YES)
			break;
		now = web_seconds();
		if (now != web->second) {
			shut_slow(web, now);
			web_tick_followers(web, now);
			web->second = now;
		}
		if (atomic_exchange(&web->starved, false))
			usleep(STARVED_US);
	}
	return NULL;
}

/* Opening and closing ------------------------------------------------------- */

/* The library's complaints come with what was in the request: none is passed on.
 * One matters: no connection can be taken for want of open files, and it would
 * try again at once, for ever. */
static void
on_complaint(void *context, const char *format, va_list args)
{
	struct web *web = context;

	(void)args;
	if (strstr(format, "resource limit"))
		atomic_store(&web->starved, true);
}

static struct MHD_Daemon *
start_daemon(struct web *web, int fd)
{
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, certificate_callback() },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)
		    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
		{ MHD_OPTION_END, 0, NULL }
	};
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
	    MHD_USE_ERROR_LOG;

	if (!web->secure)
		tls[0].option = MHD_OPTION_END;
	return MHD_start_daemon(flags | (web->secure ? MHD_USE_TLS : 0), 0,
	    NULL, NULL, web_on_request, web,
	    MHD_OPTION_EXTERNAL_LOGGER, on_complaint, web,
	    MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
	    MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)(web->loopback ?
		CONNECTIONS_LOOPBACK : CONNECTIONS_PER_ADDRESS),
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
	    MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, web,
	    MHD_OPTION_NOTIFY_COMPLETED, web_on_completed, web,
	    MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
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
		n = (uint64_t)web_seconds();
	snprintf(run, STREAM_RUN_BYTES, "%016llx", (unsigned long long)n);
}

static int
make_state(struct web *web, const struct web_settings *settings)
{
	static const struct inbox_content nothing = { 0 };
	char run[STREAM_RUN_BYTES];

	name_run(run);
	web->live = settings->live;
	web->findings_text = settings->findings_text;
	web->inbox = inbox_new();
	web->model = model_new();
	web->stream = stream_new(run);
	web->worker = worker_new();
	if (!web->inbox || !web->model || !web->stream || !web->worker)
		return -1;
	set_state(web, &nothing);
	web->api = (struct api){ .model = web->model, .stream = web->stream,
		.evidence = settings->evidence,
		.history = settings->history, .style = settings->style,
		.findings_text = web->findings_text };
	return 0;
}

static void
web_free(struct web **web)
{
	struct web *w = *web;

	*web = NULL;
	worker_free(&w->worker, web_drop_job);
	inbox_free(&w->inbox);
	model_free(&w->model);
	stream_free(&w->stream);
	free(w->findings_text);
	free(w->report);
	if (w->secure)
		certificate_forget();
	free(w->certificate);
	free(w->key);
	explicit_bzero(&w->access, sizeof(w->access));
	free(w);
}

int
web_reload(struct web *web, char text[WEB_ERROR_BYTES])
{
	*text = '\0';
	if (!web->certificate)
		return 0;
	return certificate_read(web->certificate, web->key, text) < 0 ? -1 : 1;
}

static int
read_secrets(struct web *web, const struct web_settings *s,
    char err[WEB_ERROR_BYTES])
{
	int over;

	if (s->token_file && access_read(&web->access, s->token_file, err))
		return -1;
	if (!web->loopback && !web->access.needed) {
		snprintf(err, WEB_ERROR_BYTES, "the page on an address that others "
		    "can reach needs a token: web { token_file = ... } in the "
		    "configuration");
		return -1;
	}
	if (!s->certificate)
		return 0;
	web->certificate = strdup(s->certificate);
	web->key = strdup(s->key);
	if (!web->certificate || !web->key) {
		snprintf(err, WEB_ERROR_BYTES, "cannot serve the page: no memory");
		return -1;
	}
	over = certificate_read(web->certificate, web->key, err);
	web->secure = over >= 0;
	if (over == 0)
		*err = '\0';
	return web->secure ? 0 : -1;
}

/* Takes the socket over. 0, or -1 with a sentence. */
static int
start(struct web *web, int fd, char err[WEB_ERROR_BYTES])
{
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ SOCKET_BYTES },
	    sizeof(int));
	web->daemon = start_daemon(web, fd);
	if (web->daemon && start_thread(web) == 0)
		return 0;
	if (web->daemon)
		MHD_stop_daemon(web->daemon);
	else
		close(fd);
	snprintf(err, WEB_ERROR_BYTES, "cannot serve the page: no memory, or no "
	    "more threads");
	return -1;
}

static int
open_all(struct web *web, const struct web_settings *settings,
    char err[WEB_ERROR_BYTES])
{
	struct web_where where = settings->where;
	char text[WEB_WHERE_BYTES];
	int fd;

	web->loopback = web_where_is_loopback(&where);
	if (make_state(web, settings)) {
		snprintf(err, WEB_ERROR_BYTES, "cannot serve the page: no memory, "
		    "or no more threads");
		return -1;
	}
	if (read_secrets(web, settings, err))
		return -1;
	fd = web_where_listen(&where, err);
	if (fd < 0)
		return -1;
	snprintf(web->url, sizeof(web->url), "http%s://%s/", web->secure ? "s" :
	    "", web_where_text(&where, text));
	return start(web, fd, err);
}

struct web *
web_open(const struct web_settings *settings, char err[WEB_ERROR_BYTES])
{
	struct web *web = calloc(1, sizeof(*web));

	*err = '\0';
	if (!web) {
		free(settings->findings_text);
		snprintf(err, WEB_ERROR_BYTES, "cannot serve the page: no memory");
		return NULL;
	}
	if (open_all(web, settings, err))
		web_free(&web);
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
	worker_free(&web->worker, web_drop_job);
	web_resume_all(web);		/* else the library would not stop */
	MHD_stop_daemon(web->daemon);
	web_free(&web);
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
