/* app_ndpi.h - a name, from nDPI, for flows that no parser of ours knows.
 *
 * It sees at most APP_NDPI_PACKETS payload packets of a flow; what it keeps of
 * a flow is freed as soon as it has spoken or given up. One instance an engine:
 * instances share nothing, and each is for one thread at a time. */
#ifndef CAPTURE_APP_NDPI_H
#define CAPTURE_APP_NDPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/flow.h"
#include "capture/packet.h"

struct app_ndpi;

enum {
	APP_NDPI_PACKETS = 8,
	APP_NDPI_NOT_YET = 0,		/* flow->app_name: nothing said so far */
	APP_NDPI_NOTHING = 0xffff,	/* it has given up */
};

/* Looks at no more than `limit` flows at once (0: 2048, about 2 MiB); beyond
 * that the one longest in hand is given up. NULL: out of memory. */
struct app_ndpi *app_ndpi_new(size_t limit);
void app_ndpi_free(struct app_ndpi **);

/* Should this flow's next payload packet be shown? Also once more when the
 * parsers have given up a flow that nDPI had named before. */
static inline bool
app_ndpi_wants(const struct flow *f)
{
	if (f->app || f->app_name == APP_NDPI_NOTHING)
		return false;
	return f->app_name == APP_NDPI_NOT_YET || f->app_flags & FLOW_APP_SETTLED;
}

/* Have it shown a packet of a flow it wants, after the parsers have seen it: a
 * copy waits, with others, for app_ndpi_settle or until there are too many. */
void app_ndpi_packet(struct app_ndpi *, struct flow *, const struct packet *);
/* Show what waits, in the order in which it came. Sets f->app_name where it has
 * spoken; f->app too, as far as the list of protocols goes (else APP_OTHER), when
 * the parsers have given the flow up. What they have named meanwhile is not
 * shown. */
void app_ndpi_settle(struct app_ndpi *);
/* Is it in hand? Then it cannot move. */
bool app_ndpi_holds(struct app_ndpi *, const struct flow *);
/* The flow is leaving; what waits is shown first, if that is of it too. */
void app_ndpi_forget(struct app_ndpi *, const struct flow *);

/* "SSH", by flow->app_name; "" when it has said nothing. Literal. */
const char *app_ndpi_name(const struct app_ndpi *, uint16_t app_name);
const char *app_ndpi_version(void);	/* "4.2.0" */

struct app_ndpi_stats {
	uint64_t shown, named, given_up, evicted;
	size_t now, peak;		/* flows in hand */
};
void app_ndpi_stats(const struct app_ndpi *, struct app_ndpi_stats *);

#endif
