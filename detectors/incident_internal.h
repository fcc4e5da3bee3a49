/* incident_internal.h - what incident.c gathers and verdict.c weighs. */
#ifndef DETECTORS_INCIDENT_INTERNAL_H
#define DETECTORS_INCIDENT_INTERNAL_H

#include "detectors/incident.h"
#include "detectors/neighbours.h"

/* What the servers that are judged together have in common. */
struct round {
	const struct judge *j;
	struct incident_ids *ids;
	struct neighbours *neighbours;	/* NULL: nobody has asked yet */
};
/* neighbours_between, of all servers as they are in this round. */
struct neighbours_count round_neighbours(struct round *,
    const struct server *but, struct instant from, struct instant to,
    enum finding_name);

/* The findings of one server that lie close together in time. */
struct cluster {
	struct server *server;
	struct finding **finding;	/* by time */
	struct finding *const *by_flow; /* the same, by flow and time */
	size_t count;
	struct instant start, last;
};

/* One service of the server during the trouble. */
struct port_view {
	uint16_t port;
	uint32_t affected;		/* flows that fare ill */
	uint32_t served;		/* flows answered after the onset */
	uint32_t fresh_served;		/* made after the onset and answered */
	uint32_t fresh_dead;		/* made after the onset and never answered */
	struct instant answered;	/* a flow that does not fare ill, last */
	uint32_t unheard;		/* flows that fare ill since after that */
};

enum { PORTS_MAX = 64 };

/* The server's flows during the trouble, seen from its onset. */
struct view {
	struct offload_table table;
	uint32_t flows_seen, flows_affected;
	uint32_t clients_seen, clients_affected;
	uint32_t served, fresh_served, fresh_dead;
	uint32_t affected_unknown;	/* of those, by no known stack */
	size_t ports;
	struct port_view port[PORTS_MAX];
	struct instant last_onset;	/* the last flow that fell ill */
	struct instant recovered;	/* its kind served again since; 0: no */
};

/* What the stricken flows asked for in vain; a flow is well if it got the same
 * after the onset. */
enum want {
	WANT_ANSWER,	/* data: TCP still acknowledges them */
	WANT_ACK,	/* any acknowledgment of data */
	WANT_PROBE,	/* an answer to their keep-alives */
	WANT_STATE,	/* what was settled before the onset: to be known still
			 * (resets came instead), to be sent the right way */
};
enum want cluster_want(const struct cluster *);
/* The findings about one flow, `count` of them, by time. */
struct finding *const *cluster_of_flow(const struct cluster *,
    uint64_t flow_id, size_t *count);
uint32_t cluster_flows(const struct cluster *, enum finding_name,
    const char *kind);
const struct finding *cluster_first(const struct cluster *, enum finding_name,
    const char *kind);

/* Weigh the evidence; fills verdict, confidence, score, evidence, against,
 * next_step and summary of `i`. */
void verdict_weigh(struct round *, const struct cluster *, const struct view *,
    struct incident *i);

#endif
