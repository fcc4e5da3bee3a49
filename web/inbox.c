/* inbox.c - what the run hands to the page's thread.
 *
 * The hard part is to cost the capture nothing: the lock is held for a few
 * pointers only, nobody allocates, frees or waits under it, and nobody is woken:
 * that is a system call, and may hand the processor over. The page looks by
 * itself, some times a second. */
#include "web/inbox.h"

#include <pthread.h>
#include <stdlib.h>

struct inbox {
	pthread_mutex_t lock;
	struct event *event[INBOX_EVENTS];	/* a ring */
	size_t first, count;
	uint64_t lost, read, total;
	bool finished;
	char *report;
	size_t report_bytes;
};

struct inbox *
inbox_new(void)
{
	struct inbox *in = calloc(1, sizeof(*in));

	if (in && pthread_mutex_init(&in->lock, NULL) == 0)
		return in;
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
	pthread_mutex_destroy(&in->lock);
	free(in);
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
	pthread_mutex_unlock(&in->lock);
	event_release(&dropped);
}

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
	pthread_mutex_unlock(&in->lock);
}

void
inbox_report(struct inbox *in, char *page, size_t bytes)
{
	char *before;

	pthread_mutex_lock(&in->lock);
	before = in->report;
	in->report = page;
	in->report_bytes = bytes;
	pthread_mutex_unlock(&in->lock);
	free(before);
}

void
inbox_take(struct inbox *in, struct inbox_content *c)
{
	pthread_mutex_lock(&in->lock);
	for (c->count = 0; c->count < INBOX_BATCH && in->count; in->count--) {
		c->event[c->count++] = in->event[in->first];
		in->first = (in->first + 1) % INBOX_EVENTS;
	}
	c->waiting = in->count;
	c->lost = in->lost;
	c->read = in->read;
	c->total = in->total;
	c->finished = in->finished;
	c->report = in->report;
	c->report_bytes = in->report_bytes;
	in->report = NULL;
	pthread_mutex_unlock(&in->lock);
}
