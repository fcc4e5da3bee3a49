/* inbox.c - what the run hands to the page's thread.
 *
 * The hard part is whom it belongs to: the lock is held for a few pointers only,
 * and nobody allocates, frees or waits under it. */
#include "web/inbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct inbox {
	pthread_mutex_t lock;
	int fd;				/* an eventfd */
	struct event *event[INBOX_EVENTS];	/* a ring */
	size_t first, count;
	uint64_t lost, read, total;
	bool finished, rung;
	char *report;
	size_t report_bytes;
};

struct inbox *
inbox_new(void)
{
	struct inbox *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (in->fd >= 0 && pthread_mutex_init(&in->lock, NULL) == 0)
		return in;
	if (in->fd >= 0)
		close(in->fd);
	free(in);
	return NULL;
}

void
inbox_free(struct inbox **inbox)
{
	struct inbox *in = *inbox;

	*inbox = NULL;
	if (!in)
		return;
	for (size_t i = 0; i < in->count; i++)
		event_release(&in->event[(in->first + i) % INBOX_EVENTS]);
	free(in->report);
	close(in->fd);
	pthread_mutex_destroy(&in->lock);
	free(in);
}

/* Unlocks, and wakes the page's thread unless that has been done. */
static void
unlock_and_ring(struct inbox *in)
{
	bool ring = !in->rung;
	ssize_t written;

	in->rung = true;
	pthread_mutex_unlock(&in->lock);
	if (ring) {
		written = write(in->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
		(void)written;		/* it cannot be full */
	}
}

void
inbox_event(struct inbox *in, struct event *e)
{
	struct event *dropped = NULL;

	event_hold(e);
	pthread_mutex_lock(&in->lock);
	if (in->count == INBOX_EVENTS) {
		dropped = in->event[in->first];
		in->first = (in->first + 1) % INBOX_EVENTS;
		in->count--;
		in->lost++;
	}
	in->event[(in->first + in->count++) % INBOX_EVENTS] = e;
	unlock_and_ring(in);
	event_release(&dropped);
}

/* The page looks by itself, a few times a second: no reason to wake it. */
void
inbox_progress(struct inbox *in, uint64_t read, uint64_t total)
{
	pthread_mutex_lock(&in->lock);
	in->read = read;
	in->total = total;
	pthread_mutex_unlock(&in->lock);
}

void
inbox_finished(struct inbox *in)
{
	pthread_mutex_lock(&in->lock);
	in->finished = true;
	unlock_and_ring(in);
}

void
inbox_report(struct inbox *in, char *page, size_t bytes)
{
	char *before;

	pthread_mutex_lock(&in->lock);
	before = in->report;
	in->report = page;
	in->report_bytes = bytes;
	unlock_and_ring(in);
	free(before);
}

void
inbox_take(struct inbox *in, struct inbox_content *c)
{
	uint64_t rings;
	ssize_t got = read(in->fd, &rings, sizeof(rings));

	(void)got;			/* nothing to read: nobody rang */
	pthread_mutex_lock(&in->lock);
	in->rung = false;
	for (c->count = 0; c->count < INBOX_BATCH && in->count; in->count--) {
		c->event[c->count++] = in->event[in->first];
		in->first = (in->first + 1) % INBOX_EVENTS;
	}
	c->more = in->count > 0;
	c->lost = in->lost;
	c->read = in->read;
	c->total = in->total;
	c->finished = in->finished;
	c->report = in->report;
	c->report_bytes = in->report_bytes;
	in->report = NULL;
	pthread_mutex_unlock(&in->lock);
}

int
inbox_fd(const struct inbox *in)
{
	return in->fd;
}
