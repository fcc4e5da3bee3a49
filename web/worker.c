/* worker.c - a thread for answers that take long.
 *
 * The hard part is the end: a disk that does not answer must not keep more than
 * the one job that waits for it. */
#include "web/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t came;
	struct job *first, **last;
	unsigned waiting;
	bool ending;
};

/* The next job; NULL: it is over. */
static struct job *
next_job(struct worker *w)
{
	struct job *j = NULL;

	pthread_mutex_lock(&w->lock);
	while (!w->ending && !w->first)
		pthread_cond_wait(&w->came, &w->lock);
	if (!w->ending) {
		j = w->first;
		w->first = j->next;
		if (!w->first)
			w->last = &w->first;
		w->waiting--;
	}
	pthread_mutex_unlock(&w->lock);
	return j;
}

static void *
work(void *context)
{
	struct worker *w = context;
	struct job *j;

	while ((j = next_job(w))) {
		j->work(j);
		j->done(j);
	}
	return NULL;
}

struct worker *
worker_new(void)
{
	struct worker *w = calloc(1, sizeof(*w));
	sigset_t all, before;
	int failed;

	if (!w)
		return NULL;
	w->last = &w->first;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->came, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!failed)
		return w;
	pthread_cond_destroy(&w->came);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return NULL;
}

bool
worker_ask(struct worker *w, struct job *j)
{
	bool room;

	pthread_mutex_lock(&w->lock);
	room = w->waiting < WORKER_JOBS;
	if (room) {
		j->next = NULL;
		*w->last = j;
		w->last = &j->next;
		w->waiting++;
		pthread_cond_signal(&w->came);
	}
	pthread_mutex_unlock(&w->lock);
	return room;
}

void
worker_free(struct worker **worker, void (*drop)(struct job *))
{
	struct worker *w = *worker;

	*worker = NULL;
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_signal(&w->came);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	while (w->first) {
		struct job *j = w->first;

		w->first = j->next;
		drop(j);
	}
	pthread_cond_destroy(&w->came);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
