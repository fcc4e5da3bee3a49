/* sink_internal.h - what a kind of sink is to sink.c, and what the kinds share. */
#ifndef DETECTORS_SINK_INTERNAL_H
#define DETECTORS_SINK_INTERNAL_H

#include <stdatomic.h>

#include "detectors/sink.h"
#include "detectors/sink_where.h"

/* A kind of sink. All but `open` are called in the relay's thread; `close` when
 * that has ended. */
struct sink_kind {
	/* Required. NULL with a sentence in `err`. `stop` becomes true when it is
	 * to wait no longer. */
	void *(*open)(const struct sink_config *, const atomic_bool *stop,
	    char err[SINK_ERROR_BYTES]);
	/* Required: as in relay.h. */
	size_t (*deliver)(void *, struct event *const *, size_t count,
	    char why[256]);
	void (*tick)(void *);		/* optional: each second */
	void (*reopen)(void *);		/* optional: any thread */
	void (*close)(void *);		/* required */
};
extern const struct sink_kind sink_lines, sink_syslog, sink_webhook;

/* A connection that is made when it is needed (sink_socket.c). */
struct sink_socket;

/* NULL: no memory. */
struct sink_socket *sink_socket_new(const struct sink_where *,
    const atomic_bool *stop);
void sink_socket_free(struct sink_socket **);
/* Send a record, whole: what of it does not fit now goes first next time, on a
 * new connection from its beginning. 0: it was taken; -1: it was not, `why` says
 * why. Waits for at most SINK_WAIT_MS. */
int sink_socket_send(struct sink_socket *, const void *, size_t, char why[256]);
bool sink_socket_is_stream(const struct sink_socket *);

/* Monotonic, for pauses and timeouts. */
int64_t sink_now_ms(void);

#endif
