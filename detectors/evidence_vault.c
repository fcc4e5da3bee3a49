/* evidence_vault.c - where evidence is put: a folder, or memory.
 *
 * The hard part is a full disk: the oldest results make room for the newest, by
 * the quota or because the disk says so, and what does not fit even then is
 * counted and said once. A result appears whole or not at all: it is written
 * beside and renamed. */
#include "detectors/evidence_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "capture/log.h"

enum { NAME_BYTES = 48 };

/* Left on the disk for others. */
#define RESERVE_BYTES (UINT64_C(32) << 20)

/* A result; the oldest first. */
struct result {
	struct result *next;
	char name[NAME_BYTES];
	size_t bytes;
	int64_t made_s;			/* by the disk's clock; in memory 0 */
	char *data;			/* in memory */
};

struct vault {
	pthread_mutex_t lock;
	int dir;			/* of the folder, or -1: memory */
	char *path;			/* for sentences */
	uint64_t most_bytes, bytes;
	double most_days;
	struct result *first, **end;
	uint64_t written, removed, failed;
	bool full;			/* said already */
};

/* --- the list --- */

static struct result **
find(struct vault *v, const char *name)
{
	struct result **r = &v->first;

	while (*r && strcmp((*r)->name, name) != 0)
		r = &(*r)->next;
	return r;
}

static void
forget(struct vault *v, struct result **at)
{
	struct result *r = *at;

	*at = r->next;
	if (v->end == &r->next)
		v->end = at;
	v->bytes -= r->bytes;
	free(r->data);
	free(r);
}

static struct result *
append(struct vault *v, const char *name, size_t bytes, int64_t made_s)
{
	struct result *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->bytes = bytes;
	r->made_s = made_s;
	*v->end = r;
	v->end = &r->next;
	v->bytes += bytes;
	return r;
}

static void
remove_result(struct vault *v, struct result **at)
{
	if (v->dir >= 0)
		unlinkat(v->dir, (*at)->name, 0);
	forget(v, at);
}

/* --- the folder --- */

static bool
is_ours(const char *name)
{
	return (strncmp(name, "finding-", 8) == 0 ||
	    strncmp(name, "incident-", 9) == 0) && strlen(name) < NAME_BYTES;
}

static int
by_age(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
ours_only(const struct dirent *d)
{
	return is_ours(d->d_name);
}

static void
insert_by_age(struct vault *v, struct result *r)
{
	struct result **at = &v->first;

	while (*at && (*at)->made_s <= r->made_s)
		at = &(*at)->next;
	r->next = *at;
	*at = r;
	if (!r->next)
		v->end = &r->next;
	v->bytes += r->bytes;
}

/* What runs before this one left there counts too. */
static void
take_stock(struct vault *v)
{
	struct dirent **list = NULL;
	int n = scandirat(v->dir, ".", &list, ours_only, by_age);

	for (int i = 0; i < n; i++) {
		struct result *r = calloc(1, sizeof(*r));
		struct stat file;

		if (r && fstatat(v->dir, list[i]->d_name, &file, 0) == 0) {
			snprintf(r->name, sizeof(r->name), "%.*s",
			    NAME_BYTES - 1, list[i]->d_name);
			r->bytes = (size_t)file.st_size;
			r->made_s = file.st_mtime;
			insert_by_age(v, r);
		} else {
			free(r);
		}
		free(list[i]);
	}
	free(list);
}

static int
open_dir(struct vault *v, const char *dir, char err[EVIDENCE_ERROR_BYTES])
{
	if (asprintf(&v->path, "%s/evidence", dir) < 0) {
		v->path = NULL;
		snprintf(err, EVIDENCE_ERROR_BYTES, "out of memory");
		return -1;
	}
	if ((mkdir(v->path, 0750) && errno != EEXIST) ||
	    (v->dir = open(v->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		snprintf(err, EVIDENCE_ERROR_BYTES, "cannot keep evidence in "
		    "%.300s: %s", v->path, strerror(errno));
		return -1;
	}
	take_stock(v);
	return 0;
}

/* 0, or -1 with errno. */
static int
write_file(const struct vault *v, const char *name, const char *data,
    size_t bytes)
{
	int fd = openat(v->dir, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	    0640);
	size_t done = 0;

	if (fd < 0)
		return -1;
	while (done < bytes) {
		ssize_t n = write(fd, data + done, bytes - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done == bytes && close(fd) == 0)
		return renameat(v->dir, "new", v->dir, name);
	if (done < bytes) {
		int why = errno;

		close(fd);
		errno = why;
	}
	unlinkat(v->dir, "new", 0);
	return -1;
}

/* --- for everybody --- */

struct vault *
vault_new(const char *dir, uint64_t most_bytes, double most_days,
    char err[EVIDENCE_ERROR_BYTES])
{
	struct vault *v = calloc(1, sizeof(*v));

	if (!v) {
		snprintf(err, EVIDENCE_ERROR_BYTES, "out of memory");
		return NULL;
	}
	v->dir = -1;
	v->end = &v->first;
	v->most_bytes = most_bytes;
	v->most_days = most_days;
	pthread_mutex_init(&v->lock, NULL);
	if (dir && open_dir(v, dir, err))
		vault_free(&v);
	return v;
}

void
vault_free(struct vault **vp)
{
	struct vault *v = *vp;

	*vp = NULL;
	if (!v)
		return;
	while (v->first)
		forget(v, &v->first);
	if (v->dir >= 0)
		close(v->dir);
	pthread_mutex_destroy(&v->lock);
	free(v->path);
	free(v);
}

void
vault_limit(struct vault *v, uint64_t most_bytes, double most_days)
{
	pthread_mutex_lock(&v->lock);
	v->most_bytes = most_bytes;
	v->most_days = most_days;
	pthread_mutex_unlock(&v->lock);
}

/* The disk's own clock: that of the newest file there. */
static int64_t
made_now(const struct vault *v, const char *name)
{
	struct stat file;

	return v->dir >= 0 && fstatat(v->dir, name, &file, 0) == 0 ?
	    file.st_mtime : 0;
}

static void
remove_old(struct vault *v, size_t wanted, int64_t now_s)
{
	while (v->first && ((v->most_bytes &&
	    v->bytes + wanted > v->most_bytes) || (v->most_days > 0 && now_s &&
	    (double)(now_s - v->first->made_s) > v->most_days * 86400))) {
		remove_result(v, &v->first);
		v->removed++;
	}
}

/* The store beside it needs room for what is found, which counts for more than
 * its evidence. */
static bool
leaves_room(const struct vault *v, size_t bytes)
{
	struct statvfs disk;

	if (fstatvfs(v->dir, &disk))
		return true;
	return (uint64_t)disk.f_bavail * disk.f_frsize >= RESERVE_BYTES + bytes;
}

/* 0, or -1 with errno. */
static int
try_on_disk(const struct vault *v, const char *name, const char *data,
    size_t bytes)
{
	if (leaves_room(v, bytes))
		return write_file(v, name, data, bytes);
	errno = ENOSPC;
	return -1;
}

static int
put_on_disk(struct vault *v, const char *name, const char *data, size_t bytes)
{
	while (try_on_disk(v, name, data, bytes)) {
		int why = errno;

		if ((why != ENOSPC && why != EDQUOT) || !v->first) {
			if (!v->full)
				log_warn("cannot keep evidence in %s: %s; what "
				    "is found is reported all the same",
				    v->path, why == ENOSPC ? "less than 32 MiB "
				    "are left on the disk" : strerror(why));
			v->full = true;
			return -1;
		}
		remove_result(v, &v->first);
		v->removed++;
	}
	v->full = false;
	return 0;
}

static int
put(struct vault *v, const char *name, char **data, size_t bytes)
{
	struct result **before = find(v, name), *r;
	int64_t now_s;

	if (*before)
		forget(v, before);	/* its file is replaced */
	if (v->most_bytes && bytes > v->most_bytes)
		return -1;
	remove_old(v, bytes, 0);
	if (v->dir >= 0 && put_on_disk(v, name, *data, bytes))
		return -1;
	now_s = made_now(v, name);
	r = append(v, name, bytes, now_s);
	if (!r)
		return -1;
	if (v->dir < 0) {
		r->data = *data;
		*data = NULL;
	}
	remove_old(v, 0, now_s);
	return 0;
}

int
vault_put(struct vault *v, const char *name, char *data, size_t bytes)
{
	int failed;

	pthread_mutex_lock(&v->lock);
	failed = put(v, name, &data, bytes);
	v->written += !failed;
	v->failed += failed != 0;
	pthread_mutex_unlock(&v->lock);
	free(data);
	return failed;
}

static int
read_file(const struct vault *v, const struct result *r, char *out)
{
	int fd = openat(v->dir, r->name, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -1;
	while (done < r->bytes && n > 0) {
		n = read(fd, out + done, r->bytes - done);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			done += (size_t)n;
	}
	close(fd);
	return done == r->bytes ? 0 : -1;
}

int
vault_get(struct vault *v, const char *name, char **data, size_t *bytes)
{
	const struct result *r;
	int failed = -1;

	*data = NULL;
	pthread_mutex_lock(&v->lock);
	r = *find(v, name);
	*data = r ? malloc(r->bytes + 1) : NULL;
	if (*data) {
		*bytes = r->bytes;
		failed = r->data ? 0 : read_file(v, r, *data);
		if (r->data)
			memcpy(*data, r->data, r->bytes);
		(*data)[r->bytes] = '\0';
	}
	pthread_mutex_unlock(&v->lock);
	if (failed) {
		free(*data);
		*data = NULL;
	}
	return failed;
}

void
vault_remove(struct vault *v, const char *name)
{
	struct result **at;

	pthread_mutex_lock(&v->lock);
	at = find(v, name);
	if (*at)
		remove_result(v, at);
	pthread_mutex_unlock(&v->lock);
}

void
vault_stats(struct vault *v, uint64_t *written, uint64_t *removed,
    uint64_t *failed)
{
	pthread_mutex_lock(&v->lock);
	*written = v->written;
	*removed = v->removed;
	*failed = v->failed;
	pthread_mutex_unlock(&v->lock);
}
