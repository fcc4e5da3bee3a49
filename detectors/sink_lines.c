/* sink_lines.c - JSON lines, to a file or to a socket.
 *
 * The hard part of a file is that others move it away (logrotate): it is looked
 * for by its name before each delivery, and made again where it is missing or
 * another one. A disk that fills up leaves no half line. */
#include "detectors/sink_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct lines {
	char *path;			/* NULL: a socket */
	int fd;
	atomic_bool reopen;
	struct sink_socket *socket;
};

static int
open_file(struct lines *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = open(l->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
	    O_NONBLOCK | O_NOCTTY, 0640);
	return l->fd < 0 ? -1 : 0;
}

static void
lines_close(void *context)
{
	struct lines *l = context;

	if (l->fd >= 0)
		close(l->fd);
	sink_socket_free(&l->socket);
	free(l->path);
	free(l);
}

static void *
lines_open(const struct sink_config *c, const atomic_bool *stop,
    char err[SINK_ERROR_BYTES])
{
	struct lines *l = calloc(1, sizeof(*l));
	struct sink_where where;

	if (!l) {
		snprintf(err, SINK_ERROR_BYTES, "out of memory");
		return NULL;
	}
	l->fd = -1;
	if (sink_where_parse(c->where, &where) == 0)
		l->socket = sink_socket_new(&where, stop);
	else
		l->path = strdup(c->where);
	if (l->socket || (l->path && open_file(l) == 0))
		return l;
	snprintf(err, SINK_ERROR_BYTES, "sink \"%s\": cannot write to %s: %s",
	    c->name, c->where, strerror(errno));
	lines_close(l);
	return NULL;
}

static bool
is_another_file(const struct lines *l)
{
	struct stat named, held;

	return stat(l->path, &named) || fstat(l->fd, &held) ||
	    named.st_ino != held.st_ino || named.st_dev != held.st_dev;
}

/* Back to the end of the last whole line. */
static void
take_back(const struct lines *l, size_t bytes)
{
	struct stat file;

	if (fstat(l->fd, &file) == 0 && S_ISREG(file.st_mode) &&
	    file.st_size >= (off_t)bytes &&
	    ftruncate(l->fd, file.st_size - (off_t)bytes) == 0)
		return;
}

static int
write_line(struct lines *l, const struct event *e, char why[256])
{
	struct iovec part[2] = { { e->json, e->bytes }, { (char *)"\n", 1 } };
	ssize_t n;

	do
		n = writev(l->fd, part, 2);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)e->bytes + 1)
		return 0;
	snprintf(why, 256, "cannot write: %s", n < 0 ? strerror(errno) :
	    "the disk is full");
	if (n > 0)
		take_back(l, (size_t)n);
	return -1;
}

static size_t
deliver_to_file(struct lines *l, struct event *const *list, size_t count,
    char why[256])
{
	size_t n = 0;

	if ((atomic_exchange(&l->reopen, false) || l->fd < 0 ||
	    is_another_file(l)) && open_file(l)) {
		snprintf(why, 256, "cannot open it again: %s", strerror(errno));
		return 0;
	}
	while (n < count && write_line(l, list[n], why) == 0)
		n++;
	return n;
}

static int
send_line(struct lines *l, const struct event *e, char why[256])
{
	char *line = malloc(e->bytes + 1);
	int failed;

	if (!line) {
		snprintf(why, 256, "out of memory");
		return -1;
	}
	memcpy(line, e->json, e->bytes);
	line[e->bytes] = '\n';
	failed = sink_socket_send(l->socket, line, e->bytes + 1, why);
	free(line);
	return failed;
}

static size_t
lines_deliver(void *context, struct event *const *list, size_t count,
    char why[256])
{
	struct lines *l = context;
	size_t n = 0;

	if (l->path)
		return deliver_to_file(l, list, count, why);
	while (n < count && send_line(l, list[n], why) == 0)
		n++;
	return n;
}

static void
lines_reopen(void *context)
{
	struct lines *l = context;

	atomic_store(&l->reopen, true);
}

const struct sink_kind sink_lines = {
	.open = lines_open,
	.deliver = lines_deliver,
	.reopen = lines_reopen,
	.close = lines_close,
};
