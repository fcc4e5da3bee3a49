/* workers.c - a ring of batches between who reads, who decodes, who analyses and
 * who delivers.
 *
 * Each batch goes round: empty, read, decoded, settled, taken, delivered. The caller
 * takes them; all else is done by whoever is free, the caller too when it has
 * nothing to take. The hard part is to wake nobody for nothing: a batch is 40 us of
 * work, and to be woken costs half of that, and more on a virtual machine. So who finds
 * nothing to do looks on for a while, if it is the only one and the source is a
 * file; then it sleeps until there is more than one thing to do, or one that others
 * wait for. */
#include "capture/workers.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	/* Batches in the ring: a step of the analysis takes as long as thirty. Of
	 * an interface they may be large. */
	RING = 64, RING_LIVE = 16,
	HELPERS_MAX = 2,		/* a third finds too little to do */
	/* The caller has so many to take: what it has taken comes first. */
	AHEAD = 4,
	WORTH_WAKING = 4,		/* so many to deliver */
	LOOKS = 500,			/* 0.1 ms */
};

struct workers {
	struct source *source;
	struct intake *intake;
	struct engine *engine;		/* NULL: nothing is deferred */
	bool is_regular;		/* the source never waits for frames */
	size_t ring_size;
	unsigned started;
	pthread_t thread[HELPERS_MAX];
	pthread_mutex_t lock;		/* for what follows */
	pthread_cond_t job, settled;
	struct batch *ring;
	bool is_decoded[RING];
	/* so many batches were read, given to a decoder, brought into order, and
	 * given back by the caller, who may have one more in hand; and those that
	 * are free again */
	uint64_t reads, decodes, settles, takes, deliveries;
	bool is_taken;
	bool starts;			/* the first batch was asked for */
	bool is_reading, is_settling, is_delivering;
	bool catches_up;		/* the caller wants to deliver */
	bool is_over, quits;
	bool taker_waits;
	unsigned idle;			/* helpers that sleep, and nobody wakes */
	bool is_looking;		/* one looks on, */
	_Atomic unsigned news;		/* at this: there is more room, or to do */
};

static struct batch *
in_ring(const struct workers *w, uint64_t number)
{
	return &w->ring[number % w->ring_size];
}

/* --- reading -------------------------------------------------------------------- */

static bool
is_last(const struct batch *b)
{
	return b->result == SOURCE_END || b->result == SOURCE_FAILED;
}

/* As many frames as are at hand, up to `max`. */
static void
read_some(struct workers *w, struct batch *b, size_t max)
{
	struct frame frame[INTAKE_FRAMES];
	size_t count = 0;
	bool is_held;

	b->result = source_next_batch(w->source, frame, max, &count);
	if (b->result == SOURCE_IDLE || b->result == SOURCE_BREAK)
		b->time = frame[0].time;
	is_held = b->result == SOURCE_FRAME && batch_hold(b, w->source);
	for (size_t i = 0; b->result == SOURCE_FRAME && i < count; i++)
		batch_add(b, &frame[i], is_held);
}

/* As many as it takes, of files: they do not make anybody wait. */
static void
read_full(struct workers *w, struct batch *b)
{
	do
		read_some(w, b, INTAKE_FRAMES + 1 - b->end);
	while (b->result == SOURCE_FRAME && !batch_is_full(b));
}

/* --- jobs: with the lock, which they give away meanwhile -------------------------- */

static bool
can_read(const struct workers *w)
{
	return w->starts && !w->is_reading && !w->is_over &&
	    w->reads - w->deliveries < w->ring_size;
}

/* The caller will soon have nothing to take. */
static bool
runs_dry(const struct workers *w)
{
	return w->reads - w->takes < AHEAD / 2;
}

static void
wake_helper(struct workers *w)
{
	if (!w->idle)
		return;
	w->idle--;
	pthread_cond_signal(&w->job);
}

static void
read_ahead(struct workers *w)
{
	struct batch *b = in_ring(w, w->reads);

	w->is_reading = true;
	pthread_mutex_unlock(&w->lock);
	batch_clear(b);
	if (w->is_regular)
		read_full(w, b);
	else
		read_some(w, b, INTAKE_FRAMES);
	source_publish(w->source);
	pthread_mutex_lock(&w->lock);
	w->is_reading = false;
	w->reads++;
	w->is_over = is_last(b);
	if (w->is_regular && runs_dry(w))
		wake_helper(w);
}

/* What is next in order, as far as it was decoded. */
static void
settle(struct workers *w)
{
	if (w->is_settling)
		return;
	w->is_settling = true;
	while (w->is_decoded[w->settles % w->ring_size]) {
		pthread_mutex_unlock(&w->lock);
		intake_settle(w->intake, in_ring(w, w->settles));
		pthread_mutex_lock(&w->lock);
		w->is_decoded[w->settles++ % w->ring_size] = false;
		if (w->taker_waits)
			pthread_cond_signal(&w->settled);
	}
	w->is_settling = false;
}

/* The oldest that was read and nobody decodes. */
static void
decode(struct workers *w)
{
	uint64_t number = w->decodes++;

	pthread_mutex_unlock(&w->lock);
	intake_decode(w->intake, in_ring(w, number));
	pthread_mutex_lock(&w->lock);
	w->is_decoded[number % w->ring_size] = true;
	settle(w);
}

static bool
can_deliver(const struct workers *w)
{
	return w->deliveries < w->takes && !w->is_delivering;
}

static void
deliver(struct workers *w)
{
	struct batch *b = in_ring(w, w->deliveries);

	w->is_delivering = true;
	pthread_mutex_unlock(&w->lock);
	if (w->engine)
		engine_deliver(w->engine, b);
	pthread_mutex_lock(&w->lock);
	w->is_delivering = false;
	w->deliveries++;
	if (w->catches_up)
		pthread_cond_signal(&w->settled);
}

/* False: there is nothing to do. */
static bool
do_a_job(struct workers *w)
{
	if (w->decodes < w->reads)
		decode(w);
	else if (can_read(w) && w->reads - w->takes < AHEAD)
		read_ahead(w);
	else if (can_deliver(w) && !w->catches_up)
		deliver(w);
	else if (can_read(w))
		read_ahead(w);
	else
		return false;
	return true;
}

/* For something to do. */
static void
look_on(struct workers *w)
{
	unsigned before = atomic_load(&w->news);

	w->is_looking = true;
	pthread_mutex_unlock(&w->lock);
	for (int i = 0; i < LOOKS && atomic_load(&w->news) == before; i++)
		sched_yield();
	pthread_mutex_lock(&w->lock);
	w->is_looking = false;
}

static void *
help(void *context)
{
	struct workers *w = context;
	bool has_looked = false;

	pthread_mutex_lock(&w->lock);
	while (!w->quits) {
		if (do_a_job(w)) {
			has_looked = false;
		} else if (w->is_regular && !w->is_looking && !has_looked) {
			has_looked = true;
			look_on(w);
		} else {
			w->idle++;
			pthread_cond_wait(&w->job, &w->lock);
			has_looked = false;
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* --- the caller's side -------------------------------------------------------------- */

static bool
is_live(const struct source *source)
{
	struct source_interface first;

	return source_interface(source, 0, &first);
}

static bool
are_regular_files(const struct source *source)
{
	struct source_stats s;

	source_stats(source, &s);
	return s.bytes_total > 0;
}

/* Signals are for the thread that analyses. */
static int
start(struct workers *w, void *(*run)(void *))
{
	sigset_t all, before;
	int status;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	status = pthread_create(&w->thread[w->started], NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	w->started += status == 0;
	return status;
}

static void catch_up(void *context);

static int
start_all(struct workers *w, unsigned count)
{
	int status = source_read_apart(w->source) ? ENOMEM : 0;

	if (w->engine && status == 0 && !engine_defer(w->engine,
	    &(struct engine_deferral){ catch_up, w }))
		w->engine = NULL;
	for (unsigned i = 1; status == 0 && i < count && i <= HELPERS_MAX; i++)
		status = start(w, help);
	return status;
}

struct workers *
workers_new(struct source *source, struct intake *intake, struct engine *engine,
    unsigned count)
{
	struct workers *w = calloc(1, sizeof(*w));
	size_t kept_bytes;
	int status;

	if (!w)
		return NULL;
	w->source = source;
	w->intake = intake;
	w->engine = engine;
	w->is_regular = are_regular_files(source);
	/* a pipe may be silent for hours, and then only the thread that gets
	 * the signals can be called away from it */
	if (!w->is_regular && !is_live(source))
		count = 1;
	w->ring_size = count == 1 ? 1 : w->is_regular ? RING : RING_LIVE;
	kept_bytes = count == 1 ? 0 : w->is_regular ? INTAKE_FILE_BYTES :
	    INTAKE_LIVE_BYTES;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->job, NULL);
	pthread_cond_init(&w->settled, NULL);
	w->ring = batches_new(w->ring_size, kept_bytes);
	status = w->ring ? 0 : ENOMEM;
	if (status == 0 && count > 1)
		status = start_all(w, count);
	if (status)
		workers_free(&w);
	errno = status;
	return w;
}

void
workers_free(struct workers **wp)
{
	struct workers *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	if (w->engine)
		engine_defer(w->engine, NULL);
	pthread_mutex_lock(&w->lock);
	w->quits = true;
	pthread_cond_broadcast(&w->job);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->started; i++)
		pthread_join(w->thread[i], NULL);
	batches_free(&w->ring, w->ring_size);
	pthread_cond_destroy(&w->settled);
	pthread_cond_destroy(&w->job);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static struct batch *
next_of_one(struct workers *w)
{
	struct batch *b = in_ring(w, 0);

	batch_clear(b);
	read_some(w, b, INTAKE_FRAMES);
	intake_decode(w->intake, b);
	intake_settle(w->intake, b);
	return b;
}

/* The one in hand goes back, and who sleeps may have enough to do again. */
static void
give_back(struct workers *w)
{
	w->takes += w->is_taken;
	w->is_taken = false;
	atomic_fetch_add(&w->news, 1);
	if (w->takes - w->deliveries >= WORTH_WAKING ||
	    (!w->is_reading && runs_dry(w)))
		wake_helper(w);
}

struct batch *
workers_next(struct workers *w)
{
	struct batch *b;

	if (!w->started)
		return next_of_one(w);
	pthread_mutex_lock(&w->lock);
	w->starts = true;
	give_back(w);
	while (w->settles == w->takes) {
		if (can_deliver(w)) {
			deliver(w);
			continue;
		}
		wake_helper(w);		/* it may have slept for want of room */
		w->taker_waits = true;
		pthread_cond_wait(&w->settled, &w->lock);
		w->taker_waits = false;
	}
	w->is_taken = true;
	b = in_ring(w, w->takes);
	pthread_mutex_unlock(&w->lock);
	return b;
}

/* All that was taken, the one in hand too. */
static void
catch_up(void *context)
{
	struct workers *w = context;

	pthread_mutex_lock(&w->lock);
	w->catches_up = true;
	while (w->is_delivering)
		pthread_cond_wait(&w->settled, &w->lock);
	w->catches_up = false;
	while (w->deliveries < w->takes)
		deliver(w);
	atomic_fetch_add(&w->news, 1);
	if (!w->is_reading)		/* there is room for as much as can be */
		wake_helper(w);
	pthread_mutex_unlock(&w->lock);
	if (w->is_taken)
		engine_deliver(w->engine, in_ring(w, w->takes));
}
