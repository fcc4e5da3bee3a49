/* worker.h - a thread for answers that take long: packets from the disk, a
 * server's past from the store. Meanwhile the others are served. */
#ifndef WEB_WORKER_H
#define WEB_WORKER_H

#include <stdbool.h>
#include <stddef.h>

enum { WORKER_JOBS = 32 };		/* at once: more are turned away */

struct worker;

/* One answer to be made. Whoever asks owns it; between worker_ask and the call
 * of `done` it is the worker's. */
struct job {
	struct job *next;
	void (*work)(struct job *);	/* in the worker's thread */
	void (*done)(struct job *);	/* after it, in the same thread: quick */
};

/* NULL: no memory, no thread. */
struct worker *worker_new(void);
/* False: too many wait; the job stays the asker's. */
bool worker_ask(struct worker *, struct job *);
/* Ends after the job under way; `drop` is called for each that still waits. */
void worker_free(struct worker **, void (*drop)(struct job *));

#endif
