/* relay.c - a bounded queue of events and the thread that delivers them.
 *
 * The hard part is that the two sides never wait for each other's work: the
 * giver holds the lock for a few instructions, the deliverer copies a batch of
 * pointers out and calls the sink without it. A batch that failed stays at the
 * head of the queue; if the queue overflows meanwhile, its oldest are what
 * falls out. */
#include "detectors/relay.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/log.h"

enum {
	LIMIT_DEFAULT = 10000, BATCH_DEFAULT = 256,
	BYTES_DEFAULT = 32 << 20,
	PAUSE_FIRST_MS = 1000, PAUSE_MAX_MS = 60000,
};

struct relay {
	struct relay_kind kind;
	void *context;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;		/* CLOCK_MONOTONIC */
	struct event **queue;		/* ring of kind.limit */
	size_t first;			/* the oldest; counts up for ever */
	size_t bytes;			/* of what waits */
	struct event **batch;		/* the thread's own */
	struct relay_stats stats;	/* waiting: length of the ring */
	bool closing;
	struct timespec close_by;
};

static struct timespec
after_ms(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static bool
has_passed(const struct timespec *t)
{
	struct timespec now = after_ms(0);

	return now.tv_sec > t->tv_sec ||
	    (now.tv_sec == t->tv_sec && now.tv_nsec >= t->tv_nsec);
}

static struct event **
slot(struct relay *r, size_t at)
{
	return &r->queue[at % r->kind.limit];
}

/* --- with the lock held ------------------------------------------------------- */

/* References for a batch, so that what falls out meanwhile lives on. */
static size_t
take_batch(struct relay *r)
{
	size_t n = r->stats.waiting < r->kind.batch ? r->stats.waiting :
	    r->kind.batch;

	for (size_t i = 0; i < n; i++)
		r->batch[i] = event_hold(*slot(r, r->first + i));
	return n;
}

static void
drop_first(struct relay *r)
{
	r->bytes -= event_size(*slot(r, r->first));
	event_release(slot(r, r->first));
	r->first++;
	r->stats.waiting--;
}

/* Of the batch that began at `began`, `done` were delivered; some of them may
 * have fallen out meanwhile, then they were no loss. */
static void
settle(struct relay *r, size_t began, size_t done)
{
	size_t fallen = r->first - began;

	r->stats.delivered += done;
	r->stats.dropped -= fallen < done ? fallen : done;
	while (r->first - began < done)
		drop_first(r);
}

/* Sleep until something changed or the time is there. */
static void
wait_until(struct relay *r, const struct timespec *t)
{
	pthread_cond_timedwait(&r->changed, &r->lock, t);
}

/* Until there is work, the next tick is due, or the end. */
static void
wait_for_work(struct relay *r, const struct timespec *tick)
{
	while (!r->stats.waiting && !r->closing) {
		if (!r->kind.tick)
			pthread_cond_wait(&r->changed, &r->lock);
		else if (has_passed(tick))
			return;
		else
			wait_until(r, tick);
	}
}

/* --- the thread --------------------------------------------------------------- */

static void
note_outcome(struct relay *r, bool failed, const char *why)
{
	if (failed && !r->stats.failing)
		log_warn("%s: %s; tried again from now on", r->kind.name, why);
	else if (!failed && r->stats.failing)
		log_warn("%s: works again", r->kind.name);
	r->stats.failing = failed;
	r->stats.failures += failed;
}

/* One delivery, the lock let go meanwhile. False if the sink failed. */
static bool
deliver_batch(struct relay *r)
{
	size_t began = r->first, n = take_batch(r), done;
	char why[256] = "";

	pthread_mutex_unlock(&r->lock);
	done = r->kind.deliver(r->context, r->batch, n, why);
	for (size_t i = 0; i < n; i++)
		event_release(&r->batch[i]);
	pthread_mutex_lock(&r->lock);
	settle(r, began, done < n ? done : n);
	note_outcome(r, done < n, why);
	return done >= n;
}

static void
do_tick(struct relay *r, struct timespec *next)
{
	if (!r->kind.tick || !has_passed(next))
		return;
	pthread_mutex_unlock(&r->lock);
	r->kind.tick(r->context);
	pthread_mutex_lock(&r->lock);
	*next = after_ms(r->kind.tick_ms);
}

/* After a failure: `pause_ms`, or less if the end comes. */
static void
wait_out(struct relay *r, unsigned pause_ms)
{
	struct timespec until = after_ms(pause_ms);

	while (!has_passed(&until) && !r->closing)
		wait_until(r, &until);
}

static void *
run(void *argument)
{
	struct relay *r = argument;
	struct timespec tick = after_ms(r->kind.tick_ms);
	unsigned pause_ms = PAUSE_FIRST_MS;

	pthread_mutex_lock(&r->lock);
	while (!r->closing || (r->stats.waiting && !has_passed(&r->close_by))) {
		wait_for_work(r, &tick);
		do_tick(r, &tick);
		if (!r->stats.waiting)
			continue;
		if (deliver_batch(r)) {
			pause_ms = PAUSE_FIRST_MS;
			continue;
		}
		if (r->closing)
			break;
		wait_out(r, pause_ms);
		pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 :
		    PAUSE_MAX_MS;
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* --- for everybody ------------------------------------------------------------ */

static int
prepare(struct relay *r)
{
	pthread_condattr_t monotonic;

	r->queue = calloc(r->kind.limit, sizeof(struct event *));
	r->batch = calloc(r->kind.batch, sizeof(struct event *));
	if (!r->queue || !r->batch || pthread_condattr_init(&monotonic))
		return -1;
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&r->lock, NULL);
	return 0;
}

/* Signals are the main thread's. */
static int
start(struct relay *r)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&r->thread, NULL, run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

static void
dispose(struct relay *r)
{
	while (r->stats.waiting)
		drop_first(r);
	free(r->queue);
	free(r->batch);
	free(r);
}

struct relay *
relay_new(const struct relay_kind *kind, void *context)
{
	struct relay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->kind = *kind;
	r->context = context;
	if (!r->kind.limit)
		r->kind.limit = LIMIT_DEFAULT;
	if (!r->kind.limit_bytes)
		r->kind.limit_bytes = BYTES_DEFAULT;
	if (!r->kind.batch)
		r->kind.batch = BATCH_DEFAULT;
	if (prepare(r) == 0) {
		if (start(r) == 0)
			return r;
		pthread_cond_destroy(&r->changed);
		pthread_mutex_destroy(&r->lock);
	}
	dispose(r);
	return NULL;
}

void
relay_put(struct relay *r, struct event *e)
{
	pthread_mutex_lock(&r->lock);
	while (r->stats.waiting && (r->stats.waiting == r->kind.limit ||
	    r->bytes + event_size(e) > r->kind.limit_bytes)) {
		drop_first(r);
		r->stats.dropped++;
	}
	r->bytes += event_size(e);
	*slot(r, r->first + r->stats.waiting) = event_hold(e);
	r->stats.waiting++;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

void
relay_stats(struct relay *r, struct relay_stats *out)
{
	pthread_mutex_lock(&r->lock);
	*out = r->stats;
	pthread_mutex_unlock(&r->lock);
}

void
relay_close(struct relay **rp, unsigned grace_ms)
{
	struct relay *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->close_by = after_ms(grace_ms);
	r->closing = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	dispose(r);
}
