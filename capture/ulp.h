/* ulp.h - the upper-layer protocols' part of the packet phase (RFC 9293 calls the
 * users of TCP so): what a packet, once TCP or UDP has taken it in, delivers to
 * who asks and answers over it. Exchanges and turns, streams, parsers, names.
 *
 * It has its own fields of a flow (flow.h), and shares with TCP only what a
 * delivery says. So it may be done later than TCP's part and by another thread:
 * all deliveries in order, one thread at a time, and those of a step before the
 * step. What it says is the same then. */
#ifndef CAPTURE_ULP_H
#define CAPTURE_ULP_H

#include <stddef.h>
#include <stdint.h>

#include "capture/app.h"
#include "capture/delivery.h"

/* Both as in struct engine_observer. */
struct ulp_observer {
	void *context;
	void (*on_delivery)(void *, const struct delivery *, int64_t answered_ns);
	void (*on_app)(void *, const struct app_event *);
};

struct ulp;

/* The pool is lent. NULL: out of memory. */
struct ulp *ulp_new(struct flow_pool *, size_t stream_bytes, bool name_with_ndpi,
    const struct ulp_observer *);
void ulp_free(struct ulp **);

void ulp_take(struct ulp *, const struct delivery *);
/* Have what belongs to the flow fetched from memory: first its own lines, then
 * what hangs off that. */
static inline void
ulp_fetch_first(const struct flow *f)
{
	fetch_to_read(f, 1);
	fetch_line(&f->stream);
}
void ulp_fetch(const struct flow *);

/* Step phase. Before it: what waits for a name is shown. */
void ulp_settle(struct ulp *);
/* Has it a pointer to the flow? Then that cannot move. */
bool ulp_holds(const struct ulp *, const struct flow *);
/* The flow is leaving. */
void ulp_release(struct ulp *, struct flow *);
/* The name of its protocol: a parser's, else nDPI's, else "unknown". */
const char *ulp_name(const struct ulp *, const struct flow *);

#endif
