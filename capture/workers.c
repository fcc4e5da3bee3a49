/* workers.c - a ring of batches between who reads, who decodes and who analyses.
 *
 * Each batch goes round: empty, read, decoded, settled, taken. Who decodes takes
 * the oldest that is read; who has decoded one settles all that are next in
 * order, unless another thread is at it. The hard part is to wake nobody for
 * nothing: a batch is a tenth of a millisecond of work, and to be woken costs a
 * tenth of that. The reader sleeps until half of the ring is free again. */
#include "capture/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum {
	RING = 32,			/* batches */
	DECODERS_MAX = 6,		/* more would wait for the reader */
};

struct slot {
	struct batch *batch;
	bool is_decoded;
};

struct workers {
	struct source *source;
	struct intake *intake;
	bool is_regular;		/* the source never waits for frames */
	unsigned decoders, started;
	pthread_t thread[1 + DECODERS_MAX];
	pthread_mutex_t lock;		/* for what follows */
	pthread_cond_t room, read, settled;
	struct slot slot[RING];
	/* so many batches were read, given to a decoder, brought into order, and
	 * given back by the caller, who may have one more in hand */
	uint64_t reads, decodes, settles, takes;
	bool is_taken;
	bool starts;			/* the first batch was asked for */
	bool is_settling, is_over, quits;
	bool reader_waits, taker_waits;
};

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

	b->result = source_next_batch(w->source, frame, max, &count);
	if (b->result == SOURCE_IDLE || b->result == SOURCE_BREAK)
		b->time = frame[0].time;
	for (size_t i = 0; b->result == SOURCE_FRAME && i < count; i++)
		batch_add(b, &frame[i]);
}

/* As many as it takes, of files: they do not make anybody wait. */
static void
read_full(struct workers *w, struct batch *b)
{
	do
		read_some(w, b, INTAKE_FRAMES + 1 - b->end);
	while (b->result == SOURCE_FRAME && !batch_is_full(b));
}

/* The next place in the ring, when there is room; NULL: it is all over. Who
 * waited is woken when half of the ring is free. */
static struct slot *
wait_for_room(struct workers *w)
{
	struct slot *s;

	pthread_mutex_lock(&w->lock);
	w->reader_waits = !w->starts || w->reads - w->takes == RING;
	while (w->reader_waits && !w->quits)
		pthread_cond_wait(&w->room, &w->lock);
	s = w->quits ? NULL : &w->slot[w->reads % RING];
	pthread_mutex_unlock(&w->lock);
	return s;
}

/* --- in order --------------------------------------------------------------------- */

/* What is next in order, as far as it was decoded. With the lock, which it gives
 * away meanwhile. */
static void
settle(struct workers *w)
{
	struct slot *s = &w->slot[w->settles % RING];

	if (w->is_settling)
		return;
	w->is_settling = true;
	for (; s->is_decoded; s = &w->slot[w->settles % RING]) {
		pthread_mutex_unlock(&w->lock);
		intake_settle(w->intake, s->batch);
		pthread_mutex_lock(&w->lock);
		s->is_decoded = false;
		w->settles++;
		if (w->taker_waits)
			pthread_cond_signal(&w->settled);
	}
	w->is_settling = false;
}

static void
decoded(struct workers *w, struct slot *s)
{
	pthread_mutex_lock(&w->lock);
	s->is_decoded = true;
	settle(w);
	pthread_mutex_unlock(&w->lock);
}

static void *
read_ahead(void *context)
{
	struct workers *w = context;
	bool is_over = false;
	struct slot *s;

	while (!is_over && (s = wait_for_room(w))) {
		batch_clear(s->batch);
		if (w->is_regular)
			read_full(w, s->batch);
		else
			read_some(w, s->batch, INTAKE_FRAMES);
		source_publish(w->source);
		is_over = is_last(s->batch);
		if (w->decoders == 0)
			intake_decode(w->intake, s->batch);
		pthread_mutex_lock(&w->lock);
		w->reads++;
		w->is_over = is_over;
		if (w->decoders)
			pthread_cond_signal(&w->read);
		pthread_mutex_unlock(&w->lock);
		if (w->decoders == 0)
			decoded(w, s);
	}
	return NULL;
}

/* The oldest that was read and nobody decodes; NULL: there will be none. */
static struct slot *
wait_for_read(struct workers *w)
{
	struct slot *s = NULL;

	pthread_mutex_lock(&w->lock);
	while (w->decodes == w->reads && !w->is_over && !w->quits)
		pthread_cond_wait(&w->read, &w->lock);
	if (w->decodes != w->reads && !w->quits)
		s = &w->slot[w->decodes++ % RING];
	else			/* the others wait for the same */
		pthread_cond_signal(&w->read);
	pthread_mutex_unlock(&w->lock);
	return s;
}

static void *
decode_ahead(void *context)
{
	struct workers *w = context;
	struct slot *s;

	while ((s = wait_for_read(w))) {
		intake_decode(w->intake, s->batch);
		decoded(w, s);
	}
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

static int
start_all(struct workers *w, unsigned count)
{
	int status;

	w->decoders = count - 2 < DECODERS_MAX ? count - 2 : DECODERS_MAX;
	if (source_read_apart(w->source))
		return ENOMEM;
	status = start(w, read_ahead);
	for (unsigned i = 0; status == 0 && i < w->decoders; i++)
		status = start(w, decode_ahead);
	return status;
}

struct workers *
workers_new(struct source *source, struct intake *intake, unsigned count)
{
	struct workers *w = calloc(1, sizeof(*w));
	size_t slots;
	int status = 0;

	if (!w)
		return NULL;
	w->source = source;
	w->intake = intake;
	w->is_regular = are_regular_files(source);
	/* a pipe may be silent for hours, and then only the thread that gets
	 * the signals can be called away from it */
	if (!w->is_regular && !is_live(source))
		count = 1;
	slots = count > 1 ? RING : 1;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->room, NULL);
	pthread_cond_init(&w->read, NULL);
	pthread_cond_init(&w->settled, NULL);
	for (size_t i = 0; status == 0 && i < slots; i++) {
		w->slot[i].batch = batch_new(count > 1);
		status = w->slot[i].batch ? 0 : ENOMEM;
	}
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
	pthread_mutex_lock(&w->lock);
	w->quits = true;
	pthread_cond_broadcast(&w->room);
	pthread_cond_broadcast(&w->read);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->started; i++)
		pthread_join(w->thread[i], NULL);
	for (size_t i = 0; i < RING; i++)
		batch_free(&w->slot[i].batch);
	pthread_cond_destroy(&w->settled);
	pthread_cond_destroy(&w->read);
	pthread_cond_destroy(&w->room);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static struct batch *
next_of_one(struct workers *w)
{
	struct batch *b = w->slot[0].batch;

	batch_clear(b);
	read_some(w, b, INTAKE_FRAMES);
	intake_decode(w->intake, b);
	intake_settle(w->intake, b);
	return b;
}

/* The one in hand goes back, and who reads may be waiting for that. */
static void
give_back(struct workers *w)
{
	w->takes += w->is_taken;
	w->is_taken = false;
	if (!w->reader_waits || w->reads - w->takes > RING / 2)
		return;
	w->reader_waits = false;
	pthread_cond_signal(&w->room);
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
		w->taker_waits = true;
		pthread_cond_wait(&w->settled, &w->lock);
	}
	w->taker_waits = false;
	w->is_taken = true;
	b = w->slot[w->takes % RING].batch;
	pthread_mutex_unlock(&w->lock);
	return b;
}
