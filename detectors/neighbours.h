/* neighbours.h - how the other servers fared in the time of an incident: an index
 * of who was ill when, made once for all incidents that are judged together. */
#ifndef DETECTORS_NEIGHBOURS_H
#define DETECTORS_NEIGHBOURS_H

#include "capture/clock.h"
#include "detectors/finding.h"
#include "detectors/server.h"

struct neighbours;

/* Of these servers (by next), as their findings are now; no longer good when one
 * of these changes. NULL: no memory. */
struct neighbours *neighbours_new(const struct server *);
void neighbours_free(struct neighbours **);

struct neighbours_count {
	unsigned well;		/* with nothing wrong in that time */
	unsigned alike;		/* with two findings and more of that name */
};
/* How those other than `but` fared from `from` to `to`: only what was seen since,
 * and has served anybody at all. */
struct neighbours_count neighbours_between(const struct neighbours *,
    const struct server *but, struct instant from, struct instant to,
    enum finding_name);

#endif
