/* unit_sink.c - sinks against real listeners, and against those that accept and
 * never read, refuse, or are not there. */
#include "detectors/sink.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "capture/log.h"
#include "detectors/event.h"
#include "tests/unit.h"

enum { BOTH = 1 << EVENT_FINDING | 1 << EVENT_INCIDENT };

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* At most ten seconds. */
#define WAIT_UNTIL(condition) do {					\
		static const struct timespec ms_ = { .tv_nsec = 1000000 }; \
									\
		for (int i_ = 0; i_ < 10000 && !(condition); i_++)	\
			nanosleep(&ms_, NULL);				\
		CHECK(condition);					\
	} while (0)

/* --- sinks ----------------------------------------------------------------------- */

static struct sinks *
sinks_with(const struct sink_config *c, size_t count)
{
	struct config *config = calloc(1, sizeof(*config));
	char err[SINK_ERROR_BYTES] = "";
	struct sinks *s = sinks_new();

	config->sink_count = count;
	memcpy(config->sink, c, count * sizeof(*c));
	if (sinks_configure(s, config, err))
		CHECK_STR(err, "");
	free(config);
	return s;
}

static struct sink_config
sink(enum sink_type type, const char *where)
{
	struct sink_config c = { .name = "test", .type = type, .kinds = BOTH,
		.facility = 3 };

	snprintf(c.where, sizeof(c.where), "%s", where);
	return c;
}

static struct event
model(uint64_t number, const char *server, const char *name,
    enum severity severity)
{
	struct event e = { .number = number, .id = number, .incident_id = 3,
		.kind = EVENT_FINDING, .change = CHANGE_NEW,
		.severity = severity, .confidence = 0.85,
		.time = { 1767585600 * NS_PER_S } };

	snprintf(e.server, sizeof(e.server), "%s", server);
	snprintf(e.name, sizeof(e.name), "%s", name);
	snprintf(e.text, sizeof(e.text), "call %u has no answer",
	    (unsigned)number);
	return e;
}

/* How long a line is, about. */
static int padding = 200;

static void
put(struct sinks *s, const struct event *m)
{
	struct feed_listener l = sinks_listener(s);
	struct event *e;
	char *json;

	CHECK(asprintf(&json, "{\"n\":%u,\"padding\":\"%0*d\"}",
	    (unsigned)m->number, padding, 0) > 0);
	e = event_new(m, json, strlen(json));
	l.event(l.context, e);
	event_release(&e);
}

static void
put_many(struct sinks *s, uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n <= to; n++) {
		struct event e = model(n, "10.0.0.5", "rpc_stall", SEVERITY_HIGH);

		put(s, &e);
	}
}

static struct relay_stats
stats_of(struct sinks *s)
{
	struct sink_stats one;

	CHECK_EQ(sinks_stats(s, &one, 1), 1);
	return one.relay;
}

/* --- listeners --------------------------------------------------------------------- */

/* A port on loopback; `where` gets "SCHEME127.0.0.1:PORT". */
static int
listen_on(int type, const char *scheme, char where[64])
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, type, 0);

	CHECK(fd >= 0);
	CHECK_EQ(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	CHECK_EQ(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	if (type == SOCK_STREAM)
		CHECK_EQ(listen(fd, 16), 0);
	snprintf(where, 64, "%s127.0.0.1:%u", scheme, ntohs(a.sin_port));
	return fd;
}

/* The next bytes within ten seconds, NUL-ended. */
static size_t
receive(int fd, char *out, size_t size)
{
	struct timeval patience = { .tv_sec = 10 };
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	n = recv(fd, out, size - 1, 0);
	CHECK(n >= 0);
	out[n] = '\0';
	return (size_t)n;
}

/* Lines "{"n":N,... from `from` to `to`, in order and whole. */
static void
expect_lines(FILE *in, unsigned from, unsigned to)
{
	char line[4000], want[4000];

	for (unsigned n = from; n <= to; n++) {
		snprintf(want, sizeof(want), "{\"n\":%u,\"padding\":\"%0*d\"}\n",
		    n, padding, 0);
		CHECK(fgets(line, sizeof(line), in) != NULL);
		CHECK_STR(line, want);
	}
}

/* --- files --------------------------------------------------------------------------- */

static char scratch[300];

static int
make_scratch(void **state)
{
	const char *top = getenv("TMPDIR");

	(void)state;
	snprintf(scratch, sizeof(scratch), "%s/toewatch-sink.XXXXXX",
	    top ? top : "/tmp");
	signal(SIGXFSZ, SIG_IGN);
	log_set_verbose(-1);
	return mkdtemp(scratch) ? 0 : -1;
}

static int
clear_scratch(void **state)
{
	DIR *d = opendir(scratch);
	char path[800];

	(void)state;
	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		snprintf(path, sizeof(path), "%s/%s", scratch, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(scratch);
	return 0;
}

static const char *
path_of(const char *name, char out[400])
{
	snprintf(out, 400, "%s/%s", scratch, name);
	return out;
}

static void
expect_file(const char *path, unsigned from, unsigned to)
{
	FILE *in = fopen(path, "r");

	CHECK(in != NULL);
	expect_lines(in, from, to);
	CHECK_EQ(getc(in), EOF);
	fclose(in);
}

static void
test_a_file_that_was_moved_away_is_made_anew(void **state)
{
	char path[400], old[400];
	struct sink_config c = sink(SINK_LINES, path_of("lines", path));
	struct sinks *s = sinks_with(&c, 1);

	(void)state;
	put_many(s, 1, 100);
	WAIT_UNTIL(stats_of(s).delivered == 100);
	CHECK_EQ(rename(path, path_of("lines.1", old)), 0);
	put_many(s, 101, 150);
	WAIT_UNTIL(stats_of(s).delivered == 150);
	sinks_reopen(s);
	put_many(s, 151, 160);
	sinks_close(&s, 3000);
	expect_file(old, 1, 100);
	expect_file(path, 101, 160);
}

static void
test_a_full_disk_leaves_no_half_line(void **state)
{
	char path[400];
	struct sink_config c = sink(SINK_LINES, path_of("full", path));
	struct sinks *s = sinks_with(&c, 1);
	struct rlimit before, tight;

	(void)state;
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
	tight = before;
	tight.rlim_cur = 2000;
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
	put_many(s, 1, 50);
	WAIT_UNTIL(stats_of(s).failing);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
	WAIT_UNTIL(stats_of(s).delivered == 50);
	CHECK_EQ(stats_of(s).dropped, 0);
	sinks_close(&s, 3000);
	expect_file(path, 1, 50);
}

static void
test_a_file_that_cannot_be_made_is_refused(void **state)
{
	struct config *c = calloc(1, sizeof(*c));
	struct sinks *s = sinks_new();
	char err[SINK_ERROR_BYTES];

	(void)state;
	c->sink_count = 1;
	c->sink[0] = sink(SINK_LINES, "/no/such/folder/lines");
	CHECK_EQ(sinks_configure(s, c, err), -1);
	CHECK_STR(err, "sink \"test\": cannot write to /no/such/folder/lines: "
	    "No such file or directory");
	sinks_close(&s, 0);
	free(c);
}

static void
test_a_sink_gets_only_what_it_asks_for(void **state)
{
	char path[400];
	struct sink_config c = sink(SINK_LINES, path_of("few", path));
	struct event e = model(1, "10.0.0.5", "rpc_stall", SEVERITY_LOW);
	struct sinks *s;

	(void)state;
	c.min_severity = SEVERITY_MEDIUM;
	c.kinds = 1 << EVENT_FINDING | 1 << EVENT_SERVER;
	s = sinks_with(&c, 1);
	put(s, &e);			/* not grave enough */
	e.number = 2;
	e.severity = SEVERITY_MEDIUM;
	put(s, &e);
	e.kind = EVENT_INCIDENT;
	put(s, &e);			/* not of its kinds */
	e.number = 3;
	e.kind = EVENT_SERVER;
	e.severity = SEVERITY_INFO;
	put(s, &e);
	sinks_close(&s, 3000);
	expect_file(path, 2, 3);
}

/* --- sockets ---------------------------------------------------------------------------- */

static void
test_lines_go_to_a_unix_socket(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), one;
	struct sink_config c;
	struct sinks *s;
	char path[400], where[420];
	FILE *in;

	(void)state;
	snprintf(a.sun_path, sizeof(a.sun_path), "%.90s/sock", scratch);
	CHECK_EQ(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	CHECK_EQ(listen(fd, 1), 0);
	snprintf(where, sizeof(where), "unix:%s", path_of("sock", path));
	c = sink(SINK_LINES, where);
	s = sinks_with(&c, 1);
	put_many(s, 1, 30);
	one = accept(fd, NULL, NULL);
	in = fdopen(one, "r");
	expect_lines(in, 1, 30);
	sinks_close(&s, 3000);
	CHECK_EQ(getc(in), EOF);
	fclose(in);
	close(fd);
}

static void
test_a_collector_that_restarts_gets_whole_lines(void **state)
{
	char where[64];
	int fd = listen_on(SOCK_STREAM, "tcp://", where), one;
	struct sink_config c = sink(SINK_LINES, where);
	struct sinks *s = sinks_with(&c, 1);
	FILE *in;

	(void)state;
	put_many(s, 1, 10);
	one = accept(fd, NULL, NULL);
	in = fdopen(one, "r");
	expect_lines(in, 1, 10);
	fclose(in);			/* gone */
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	put_many(s, 11, 20);
	one = accept(fd, NULL, NULL);
	in = fdopen(one, "r");
	expect_lines(in, 11, 20);
	sinks_close(&s, 3000);
	fclose(in);
	close(fd);
}

/* One that reads slowly gets all of it, and no half line in between. */
static void
test_a_slow_reader_gets_all_of_it(void **state)
{
	char where[64];
	int fd = listen_on(SOCK_STREAM, "tcp://", where), one, small = 4096;
	struct sink_config c = sink(SINK_LINES, where);
	struct sinks *s;
	FILE *in;

	(void)state;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	s = sinks_with(&c, 1);
	padding = 2000;			/* more than all buffers on the way hold */
	put_many(s, 1, 9000);
	one = accept(fd, NULL, NULL);
	WAIT_UNTIL(stats_of(s).failing);	/* "it does not read" */
	in = fdopen(one, "r");
	expect_lines(in, 1, 9000);
	padding = 200;
	sinks_close(&s, 3000);
	fclose(in);
	close(fd);
}

static void
test_a_dead_sink_delays_nobody_and_its_queue_is_bounded(void **state)
{
	char where[64], path[400];
	int fd = listen_on(SOCK_STREAM, "tcp://", where);
	struct sink_config c[2] = { sink(SINK_LINES, where),
		sink(SINK_LINES, path_of("living", path)) };
	struct sinks *s = sinks_with(c, 2);	/* never accepted, never read */
	struct sink_stats both[2];
	int64_t began = now_ms();
	struct event e;

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		put_many(s, round * 1000 + 1, round * 1000 + 1000);
		WAIT_UNTIL((sinks_stats(s, both, 2), both[1].relay.waiting < 9000));
	}
	WAIT_UNTIL((sinks_stats(s, both, 2), both[1].relay.delivered == 50000));
	CHECK(now_ms() - began < 5000);
	CHECK(both[0].relay.waiting <= SINK_LIMIT);
	CHECK(both[0].relay.dropped > 0);
	CHECK_EQ(both[1].relay.dropped, 0);
	CHECK_EQ(both[0].relay.delivered + both[0].relay.dropped +
	    both[0].relay.waiting, 50000);
	/* and one more event is through within a moment */
	e = model(50001, "10.0.0.5", "rpc_stall", SEVERITY_HIGH);
	began = now_ms();
	put(s, &e);
	WAIT_UNTIL((sinks_stats(s, both, 2), both[1].relay.delivered == 50001));
	CHECK(now_ms() - began < 1000);
	began = now_ms();
	sinks_close(&s, 1000);
	CHECK(now_ms() - began < 2500);
	close(fd);
	expect_file(path, 1, 50001);
}

static void
test_many_dead_sinks_close_as_fast_as_one(void **state)
{
	struct sink_config c[SINKS_MAX];
	char where[64];
	int fd = listen_on(SOCK_STREAM, "", where);
	struct sinks *s;
	int64_t began;

	(void)state;
	for (size_t i = 0; i < SINKS_MAX; i++) {
		char to[100];

		snprintf(to, sizeof(to), i % 2 ? "http://%s/" : "tcp://%s", where);
		c[i] = sink(i % 2 ? SINK_WEBHOOK : SINK_LINES, to);
	}
	s = sinks_with(c, SINKS_MAX);
	put_many(s, 1, 9999);
	began = now_ms();
	sinks_close(&s, 1000);
	CHECK(now_ms() - began < 4000);
	close(fd);
}

/* SIGHUP: the capture thread does this. */
static void
test_a_new_configuration_holds_nobody_up_and_keeps_what_stays(void **state)
{
	struct config *config = calloc(1, sizeof(*config));
	char where[64], path[400], err[SINK_ERROR_BYTES];
	int fd = listen_on(SOCK_STREAM, "tcp://", where);
	struct sink_config c[3] = { sink(SINK_LINES, where),
		sink(SINK_LINES, where),
		sink(SINK_LINES, path_of("third", path)) };
	struct sink_stats got[3];
	struct sinks *s;
	int64_t began;

	(void)state;
	strcpy(c[1].name, "second");
	s = sinks_with(c, 2);
	padding = 3000;
	put_many(s, 1, 8000);			/* nobody reads it */
	padding = 200;
	config->sink_count = 2;
	config->sink[0] = c[1];
	config->sink[1] = c[2];
	began = now_ms();
	CHECK_EQ(sinks_configure(s, config, err), 0);
	CHECK(now_ms() - began < 500);
	CHECK_EQ(sinks_stats(s, got, 3), 2);
	CHECK_STR(got[0].name, "second");
	CHECK(got[0].relay.waiting > 1000);	/* still there */
	CHECK_EQ(got[1].relay.waiting, 0);
	strcpy(config->sink[1].where, "/no/such/folder/lines");
	CHECK_EQ(sinks_configure(s, config, err), -1);
	CHECK_EQ(sinks_stats(s, got, 3), 2);
	CHECK(got[0].relay.waiting > 1000);
	sinks_close(&s, 100);
	close(fd);
	free(config);
}

static void
fails_with_patience(enum sink_type type, const char *where)
{
	struct sink_config c = sink(type, where);
	struct sinks *s = sinks_with(&c, 1);
	int64_t began = now_ms();

	put_many(s, 1, 10);
	CHECK(now_ms() - began < 500);
	WAIT_UNTIL(stats_of(s).failing);
	CHECK_EQ(stats_of(s).delivered, 0);
	CHECK_EQ(stats_of(s).waiting, 10);
	sinks_close(&s, 500);
}

static void
test_one_that_refuses_or_is_not_there_is_tried_again(void **state)
{
	char where[64], url[100];
	int fd = listen_on(SOCK_STREAM, "", where);

	(void)state;
	close(fd);			/* now it refuses */
	snprintf(url, sizeof(url), "tcp://%s", where);
	fails_with_patience(SINK_LINES, url);
	fails_with_patience(SINK_SYSLOG, url);
	snprintf(url, sizeof(url), "http://%s/", where);
	fails_with_patience(SINK_WEBHOOK, url);
	fails_with_patience(SINK_SYSLOG, "udp://no-such-host.invalid:514");
	fails_with_patience(SINK_WEBHOOK, "http://no-such-host.invalid/");
}

/* --- syslog ------------------------------------------------------------------------ */

/* What follows the process's number. */
static const char *
after_process(const char *message)
{
	const char *at = strstr(message, " toewatch ");

	CHECK(at != NULL);
	at = strchr(at + 10, ' ');
	CHECK(at != NULL);
	return at + 1;
}

static void
test_a_message_is_that_of_the_rfc(void **state)
{
	char where[64], got[4096], host[256] = "", want[600];
	int fd = listen_on(SOCK_DGRAM, "udp://", where);
	struct sink_config c = sink(SINK_SYSLOG, where);
	struct sinks *s = sinks_with(&c, 1);
	struct event e = model(7, "10.0.0.5", "rpc_stall", SEVERITY_HIGH);

	(void)state;
	put(s, &e);
	receive(fd, got, sizeof(got));
	gethostname(host, sizeof(host) - 1);
	snprintf(want, sizeof(want), "<27>1 2026-01-05T04:00:00.000000Z %s "
	    "toewatch %ld rpc_stall [toewatch@32473 event=\"7\" "
	    "type=\"finding\" change=\"new\" id=\"7\" incident=\"3\" "
	    "server=\"10.0.0.5\" name=\"rpc_stall\" severity=\"high\" "
	    "confidence=\"0.85\"] \xef\xbb\xbf" "10.0.0.5 rpc_stall: call 7 has "
	    "no answer", host, (long)getpid());
	CHECK_STR(got, want);
	e.change = CHANGE_OVER;
	put(s, &e);
	receive(fd, got, sizeof(got));
	CHECK_EQ(strncmp(got, "<29>1 ", 6), 0);	/* daemon.notice */
	sinks_close(&s, 3000);
	close(fd);
}

static void
test_hostile_text_stays_in_its_message(void **state)
{
	static const char safe[] = "10.0.0.5 rpc_stall: one\\x0a<8>1 two "
	    "\\x1b[31m\\xff ok";
	char where[64], got[4096];
	int fd = listen_on(SOCK_DGRAM, "udp://", where);
	struct sink_config c = sink(SINK_SYSLOG, where);
	struct sinks *s = sinks_with(&c, 1);
	struct event e = model(7, "10.0.0.5", "rpc_stall", SEVERITY_HIGH);
	const char *message;

	(void)state;
	snprintf(e.text, sizeof(e.text), "one\n<8>1 two \x1b[31m\xff ok");
	put(s, &e);
	receive(fd, got, sizeof(got));
	message = strstr(after_process(got), "\xef\xbb\xbf");
	CHECK(message != NULL);
	CHECK_STR(message + 3, safe);
	snprintf(e.server, sizeof(e.server), "a\"b]c\\d");
	put(s, &e);
	receive(fd, got, sizeof(got));
	CHECK(strstr(got, " server=\"a\\\"b\\]c\\\\d\" ") != NULL);
	sinks_close(&s, 3000);
	close(fd);
}

static void
test_over_tcp_octets_are_counted(void **state)
{
	char where[64], got[4096];
	int fd = listen_on(SOCK_STREAM, "tcp://", where), one;
	struct sink_config c = sink(SINK_SYSLOG, where);
	struct sinks *s = sinks_with(&c, 1);
	FILE *in;

	(void)state;
	put_many(s, 1, 3);
	one = accept(fd, NULL, NULL);
	in = fdopen(one, "r");
	for (unsigned n = 1; n <= 3; n++) {
		char want[40];
		unsigned bytes;

		CHECK_EQ(fscanf(in, "%u", &bytes), 1);
		CHECK_EQ(getc(in), ' ');
		CHECK(bytes < sizeof(got));
		CHECK_EQ(fread(got, 1, bytes, in), bytes);
		got[bytes] = '\0';
		CHECK_EQ(strncmp(got, "<27>1 ", 6), 0);
		snprintf(want, sizeof(want), ": call %u has no answer", n);
		CHECK_STR(strrchr(got, ':'), want);
	}
	sinks_close(&s, 3000);
	fclose(in);
	close(fd);
}

/* --- webhooks ------------------------------------------------------------------------ */

/* Answers each request with `status`, and keeps the last one. */
struct receiver {
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	int status;
	unsigned count;
	char request[8192];
};

static void
answer_one(struct receiver *r, int fd)
{
	char got[8192], reply[100];
	size_t n = 0;
	char *body = NULL;

	while (n < sizeof(got) - 1) {
		ssize_t k = recv(fd, got + n, sizeof(got) - 1 - n, 0);
		char *length;

		if (k <= 0)
			return;
		n += (size_t)k;
		got[n] = '\0';
		body = strstr(got, "\r\n\r\n");
		length = strcasestr(got, "content-length: ");
		if (body && length && strlen(body + 4) >=
		    strtoul(length + 16, NULL, 10))
			break;
	}
	pthread_mutex_lock(&r->lock);
	r->count++;
	memcpy(r->request, got, n + 1);
	snprintf(reply, sizeof(reply), "HTTP/1.1 %d x\r\nContent-Length: 0\r\n"
	    "Connection: close\r\n\r\n", r->status);
	pthread_mutex_unlock(&r->lock);
	send(fd, reply, strlen(reply), MSG_NOSIGNAL);
}

static void *
serve(void *context)
{
	struct receiver *r = context;
	int fd;

	while ((fd = accept(r->fd, NULL, NULL)) >= 0) {
		answer_one(r, fd);
		close(fd);
	}
	return NULL;
}

static void
receiver_start(struct receiver *r, int status, char where[64])
{
	*r = (struct receiver){ .lock = PTHREAD_MUTEX_INITIALIZER,
		.status = status };
	r->fd = listen_on(SOCK_STREAM, "http://", where);
	CHECK_EQ(pthread_create(&r->thread, NULL, serve, r), 0);
}

static void
receiver_stop(struct receiver *r)
{
	shutdown(r->fd, SHUT_RDWR);
	pthread_join(r->thread, NULL);
	close(r->fd);
}

static unsigned
requests(struct receiver *r)
{
	unsigned n;

	pthread_mutex_lock(&r->lock);
	n = r->count;
	pthread_mutex_unlock(&r->lock);
	return n;
}

static bool
last_has(struct receiver *r, const char *text)
{
	bool has;

	pthread_mutex_lock(&r->lock);
	has = strstr(r->request, text) != NULL;
	pthread_mutex_unlock(&r->lock);
	return has;
}

static void
test_three_hundred_stalled_clients_are_one_message(void **state)
{
	struct receiver r;
	struct sink_config c;
	struct sinks *s;
	char where[64];

	(void)state;
	receiver_start(&r, 204, where);
	c = sink(SINK_WEBHOOK, where);
	c.hold_s = 2;
	snprintf(c.header, sizeof(c.header), "X-Token: secret");
	s = sinks_with(&c, 1);
	put_many(s, 1, 1);
	WAIT_UNTIL(requests(&r) == 1);
	CHECK(last_has(&r, "X-Token: secret\r\n"));
	CHECK(last_has(&r, "Content-Type: application/json\r\n"));
	CHECK(last_has(&r, "\"text\":\"toewatch: 10.0.0.5 rpc_stall (high): call "
	    "1 has no answer\""));
	CHECK(last_has(&r, "\"record\":{\"n\":1,"));
	put_many(s, 2, 300);
	WAIT_UNTIL(stats_of(s).delivered == 300);
	CHECK_EQ(requests(&r), 1);
	WAIT_UNTIL(requests(&r) == 2);		/* summed up after two seconds */
	CHECK(last_has(&r, "call 300 has no answer (and 298 more like this)"));
	CHECK(last_has(&r, "\"more\":298,"));
	sinks_close(&s, 3000);
	CHECK_EQ(requests(&r), 2);
	receiver_stop(&r);
}

static void
test_what_is_graver_or_over_is_not_held_down(void **state)
{
	struct event e = model(1, "10.0.0.5", "rpc_stall", SEVERITY_MEDIUM);
	struct receiver r;
	struct sink_config c;
	struct sinks *s;
	char where[64];

	(void)state;
	receiver_start(&r, 200, where);
	c = sink(SINK_WEBHOOK, where);
	c.hold_s = 1000;
	s = sinks_with(&c, 1);
	put(s, &e);
	WAIT_UNTIL(requests(&r) == 1);
	put(s, &e);				/* held */
	e.severity = SEVERITY_HIGH;
	put(s, &e);
	WAIT_UNTIL(requests(&r) == 2);
	snprintf(e.server, sizeof(e.server), "10.0.0.6");
	put(s, &e);				/* another server */
	WAIT_UNTIL(requests(&r) == 3);
	e.kind = EVENT_INCIDENT;
	snprintf(e.name, sizeof(e.name), "offload_engine");
	put(s, &e);
	WAIT_UNTIL(requests(&r) == 4);
	e.change = CHANGE_UPDATE;
	put(s, &e);				/* held */
	e.change = CHANGE_OVER;
	put(s, &e);
	WAIT_UNTIL(requests(&r) == 5);
	CHECK(last_has(&r, "offload_engine over"));
	sinks_close(&s, 3000);
	CHECK_EQ(requests(&r), 5);
	receiver_stop(&r);
}

static void
test_a_failing_receiver_is_tried_again_and_a_refusing_one_is_not(void **state)
{
	struct receiver r;
	struct sink_config c;
	struct sinks *s;
	char where[64];

	(void)state;
	receiver_start(&r, 503, where);
	c = sink(SINK_WEBHOOK, where);
	s = sinks_with(&c, 1);			/* nothing is held down */
	put_many(s, 1, 1);
	WAIT_UNTIL(stats_of(s).failing);
	pthread_mutex_lock(&r.lock);
	r.status = 200;
	pthread_mutex_unlock(&r.lock);
	WAIT_UNTIL(stats_of(s).delivered == 1);
	CHECK_EQ(requests(&r), 2);
	pthread_mutex_lock(&r.lock);
	r.status = 400;
	pthread_mutex_unlock(&r.lock);
	put_many(s, 2, 3);
	WAIT_UNTIL(stats_of(s).delivered == 3);
	CHECK_EQ(requests(&r), 4);
	sinks_close(&s, 3000);
	receiver_stop(&r);
}

static void
test_what_was_held_is_told_at_the_end(void **state)
{
	struct receiver r;
	struct sink_config c;
	struct sinks *s;
	char where[64];

	(void)state;
	receiver_start(&r, 200, where);
	c = sink(SINK_WEBHOOK, where);
	c.hold_s = 1000;
	s = sinks_with(&c, 1);
	put_many(s, 1, 1);
	WAIT_UNTIL(requests(&r) == 1);
	put_many(s, 2, 5);
	WAIT_UNTIL(stats_of(s).delivered == 5);
	sinks_close(&s, 3000);
	CHECK_EQ(requests(&r), 2);
	CHECK(last_has(&r, "(and 3 more like this)"));
	receiver_stop(&r);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_file_that_was_moved_away_is_made_anew),
    cmocka_unit_test(test_a_full_disk_leaves_no_half_line),
    cmocka_unit_test(test_a_file_that_cannot_be_made_is_refused),
    cmocka_unit_test(test_a_sink_gets_only_what_it_asks_for),
    cmocka_unit_test(test_lines_go_to_a_unix_socket),
    cmocka_unit_test(test_a_collector_that_restarts_gets_whole_lines),
    cmocka_unit_test(test_a_slow_reader_gets_all_of_it),
    cmocka_unit_test(test_a_dead_sink_delays_nobody_and_its_queue_is_bounded),
    cmocka_unit_test(test_many_dead_sinks_close_as_fast_as_one),
    cmocka_unit_test(test_a_new_configuration_holds_nobody_up_and_keeps_what_stays),
    cmocka_unit_test(test_one_that_refuses_or_is_not_there_is_tried_again),
    cmocka_unit_test(test_a_message_is_that_of_the_rfc),
    cmocka_unit_test(test_hostile_text_stays_in_its_message),
    cmocka_unit_test(test_over_tcp_octets_are_counted),
    cmocka_unit_test(test_three_hundred_stalled_clients_are_one_message),
    cmocka_unit_test(test_what_is_graver_or_over_is_not_held_down),
    cmocka_unit_test(test_a_failing_receiver_is_tried_again_and_a_refusing_one_is_not),
    cmocka_unit_test(test_what_was_held_is_told_at_the_end),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, make_scratch, clear_scratch);
}
