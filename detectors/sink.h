/* sink.h - where findings go besides standard output: JSON lines to a file or a
 * socket, syslog, a webhook; as the configuration names them.
 *
 * Each sink has a queue and a thread of its own (relay.h): a dead one delays
 * nobody, keeps at most SINK_LIMIT events, and what it lost is counted. */
#ifndef DETECTORS_SINK_H
#define DETECTORS_SINK_H

#include "detectors/config.h"
#include "detectors/feed.h"
#include "detectors/relay.h"

enum { SINK_LIMIT = 10000, SINK_WAIT_MS = 2000, SINK_ERROR_BYTES = 800 };

struct sinks;

/* No sinks. NULL: no memory. */
struct sinks *sinks_new(void);
/* Those of this configuration instead. One that is in both goes on as it is; what
 * waits for the others gets SINK_WAIT_MS, which nobody waits for. Files are opened
 * at once, the rest connects when there is something to say. 0, or -1 with a
 * sentence: the old ones stay. Not from two threads at a time. */
int sinks_configure(struct sinks *, const struct config *,
    char err[SINK_ERROR_BYTES]);
/* What the feed, or the store, is to call; any one thread. */
struct feed_listener sinks_listener(struct sinks *);
/* Open the files anew, after they were rotated. */
void sinks_reopen(struct sinks *);
/* Deliver what waits, all at the same time, for at most `grace_ms`. */
void sinks_close(struct sinks **, unsigned grace_ms);

struct sink_stats {
	char name[CONFIG_NAME_BYTES];	/* as configured */
	struct relay_stats relay;
};
/* At most `max`; returns how many there are. Any thread. */
size_t sinks_stats(struct sinks *, struct sink_stats *out, size_t max);

/* "libcurl/7.88.1 OpenSSL/3.0.11 ..." */
const char *sink_library_version(void);

#endif
