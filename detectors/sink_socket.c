/* sink_socket.c - records over UDP, TCP or a Unix socket, to whoever may or may
 * not be there.
 *
 * The hard part is a receiver that accepts and never reads: nothing may wait for
 * it for long, and a record of which half was written must not be followed by the
 * beginning of another. So the unsent rest is kept and goes first. */
#include "detectors/sink_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { SLICE_MS = 50 };

struct sink_socket {
	struct sink_where where;
	const atomic_bool *stop;
	int fd;				/* -1: not connected */
	char *rest;			/* a record that was taken, not all sent */
	size_t rest_bytes, rest_sent;
};

int64_t
sink_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- connecting -------------------------------------------------------------------- */

struct sink_socket *
sink_socket_new(const struct sink_where *w, const atomic_bool *stop)
{
	struct sink_socket *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->where = *w;
	s->stop = stop;
	s->fd = -1;
	return s;
}

static void
disconnect(struct sink_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->rest_sent = 0;		/* again, from its beginning */
}

void
sink_socket_free(struct sink_socket **sp)
{
	struct sink_socket *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	disconnect(s);
	free(s->rest);
	free(s);
}

bool
sink_socket_is_stream(const struct sink_socket *s)
{
	return s->where.transport != SINK_UDP;
}

/* In slices, so that the end need not wait. False: not by then. */
static bool
wait_for(const struct sink_socket *s, int fd, short events, int64_t until)
{
	while (!atomic_load(s->stop) && sink_now_ms() < until) {
		struct pollfd p = { .fd = fd, .events = events };

		if (poll(&p, 1, SLICE_MS) > 0)
			return true;
	}
	return false;
}

/* 0, or an errno. */
static int
connect_in_time(struct sink_socket *s, int fd, const struct sockaddr *to,
    socklen_t bytes, int64_t until)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (connect(fd, to, bytes) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (!wait_for(s, fd, POLLOUT, until))
		return ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return errno;
	return error;
}

/* Connected, or -1 with errno. */
static int
try_address(struct sink_socket *s, int family, int type,
    const struct sockaddr *to, socklen_t bytes, int64_t until)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, error;

	if (fd < 0)
		return -1;
	error = connect_in_time(s, fd, to, bytes, until);
	if (error) {
		close(fd);
		errno = error;
		return -1;
	}
	if (type == SOCK_STREAM && family != AF_UNIX) {
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	s->fd = fd;
	return 0;
}

static int
connect_unix(struct sink_socket *s, int64_t until)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	memcpy(to.sun_path, s->where.host, strlen(s->where.host) + 1);
	return try_address(s, AF_UNIX, SOCK_STREAM, (struct sockaddr *)&to,
	    sizeof(to), until);
}

/* The resolver's patience is this thread's own: glibc keeps _res so. */
static int
resolve(struct sink_socket *s, struct addrinfo **list, char why[256])
{
	struct addrinfo hints = { .ai_socktype = s->where.transport == SINK_UDP ?
	    SOCK_DGRAM : SOCK_STREAM };
	int error;

	if (res_init() == 0) {
		_res.retrans = 1;
		_res.retry = 1;
	}
	error = getaddrinfo(s->where.host, s->where.port, &hints, list);
	if (error)
		snprintf(why, 256, "cannot find %.150s: %s", s->where.host,
		    error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
	return error ? -1 : 0;
}

static int
connect_host(struct sink_socket *s, int64_t until, char why[256])
{
	struct addrinfo *list = NULL;
	int error = 0;

	if (resolve(s, &list, why))
		return -1;
	for (struct addrinfo *a = list; a && s->fd < 0; a = a->ai_next)
		if (try_address(s, a->ai_family, a->ai_socktype, a->ai_addr,
		    a->ai_addrlen, until))
			error = errno;
	freeaddrinfo(list);
	if (s->fd >= 0)
		return 0;
	snprintf(why, 256, "cannot reach it: %s", strerror(error));
	return -1;
}

static int
connect_it(struct sink_socket *s, int64_t until, char why[256])
{
	if (s->fd >= 0)
		return 0;
	if (s->where.transport != SINK_UNIX)
		return connect_host(s, until, why);
	if (connect_unix(s, until) == 0)
		return 0;
	snprintf(why, 256, "cannot reach it: %s", strerror(errno));
	return -1;
}

/* --- sending ------------------------------------------------------------------------- */

/* Has the other side gone? What we wrote would be lost without a word. */
static bool
is_gone(const struct sink_socket *s)
{
	char bytes[512];
	ssize_t n;

	if (s->fd < 0 || !sink_socket_is_stream(s))
		return false;
	do
		n = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n > 0);			/* what it says is of no interest */
	return n == 0 || (errno != EAGAIN && errno != EINTR);
}

/* How many bytes went out by then; -1 with errno: the connection is broken. */
static ssize_t
write_some(struct sink_socket *s, const char *bytes, size_t n, int64_t until)
{
	size_t sent = 0;

	while (sent < n) {
		ssize_t k = send(s->fd, bytes + sent, n - sent, MSG_NOSIGNAL);

		if (k >= 0)
			sent += (size_t)k;
		else if (errno == EINTR)
			continue;
		else if (errno != EAGAIN && errno != ENOBUFS)
			return -1;
		else if (!wait_for(s, s->fd, POLLOUT, until))
			break;
	}
	return (ssize_t)sent;
}

static int
broken(struct sink_socket *s, char why[256])
{
	snprintf(why, 256, "the connection broke: %s", strerror(errno));
	disconnect(s);
	return -1;
}

/* 0: nothing is left of it. */
static int
send_rest(struct sink_socket *s, int64_t until, char why[256])
{
	ssize_t n;

	if (!s->rest)
		return 0;
	n = write_some(s, s->rest + s->rest_sent, s->rest_bytes - s->rest_sent,
	    until);
	if (n < 0)
		return broken(s, why);
	s->rest_sent += (size_t)n;
	if (s->rest_sent < s->rest_bytes) {
		snprintf(why, 256, "it does not read");
		return -1;
	}
	free(s->rest);
	s->rest = NULL;
	s->rest_sent = 0;
	return 0;
}

/* 0: taken. */
static int
keep_rest(struct sink_socket *s, const void *bytes, size_t n, size_t sent,
    char why[256])
{
	s->rest = malloc(n);
	if (!s->rest) {			/* half a record: begin anew */
		disconnect(s);
		snprintf(why, 256, "out of memory");
		return -1;
	}
	memcpy(s->rest, bytes, n);
	s->rest_bytes = n;
	s->rest_sent = sent;
	return 0;
}

int
sink_socket_send(struct sink_socket *s, const void *bytes, size_t n,
    char why[256])
{
	int64_t until = sink_now_ms() + SINK_WAIT_MS;
	ssize_t sent;

	if (is_gone(s))
		disconnect(s);
	if (connect_it(s, until, why) || send_rest(s, until, why))
		return -1;
	sent = write_some(s, bytes, n, until);
	if (sent < 0)
		return broken(s, why);
	if ((size_t)sent == n)
		return 0;
	if (sent)
		return keep_rest(s, bytes, n, (size_t)sent, why);
	snprintf(why, 256, "it does not read");
	return -1;
}
