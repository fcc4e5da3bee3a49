/* relay.h - a bounded queue of events and the thread that delivers them, one for
 * each sink, so that a dead one delays nobody.
 *
 * What does not fit is dropped, the oldest first, and counted; the owner of a
 * sink that must not lose sets a limit that it can stand. A delivery that fails
 * is tried again with growing pauses (1 s, 2 s ... 60 s) until it succeeds, the
 * relay closes, or its events fall out of the queue. */
#ifndef DETECTORS_RELAY_H
#define DETECTORS_RELAY_H

#include "detectors/event.h"

struct relay;

struct relay_kind {
	const char *name;		/* "syslog udp://10.0.0.1:514"; borrowed */
	/* In the relay's thread: deliver `count` events in order. How many were
	 * delivered; fewer than `count`: the rest is tried again later. `why` gets
	 * a sentence then, logged once as failing begins and once as it ends. */
	size_t (*deliver)(void *context, struct event *const *, size_t count,
	    char why[256]);
	/* Optional: called in that thread at least each `tick_ms`. */
	void (*tick)(void *context);
	unsigned tick_ms;
	size_t limit;			/* events waiting; 0: 10,000 */
	size_t limit_bytes;		/* of them; 0: 32 MiB */
	size_t batch;			/* most in one delivery; 0: 256 */
};

struct relay_stats {
	uint64_t delivered, dropped, failures;
	size_t waiting;
	bool failing;
};

/* NULL: no memory, or no thread. All signals are blocked in the thread. */
struct relay *relay_new(const struct relay_kind *, void *context);
/* Never blocks for long; holds the event. Any thread. */
void relay_put(struct relay *, struct event *);
void relay_stats(struct relay *, struct relay_stats *);
/* Deliver what waits, for at most `grace_ms`, then end the thread. */
void relay_close(struct relay **, unsigned grace_ms);

#endif
