/* registry_internal.h - what the files of the registry share: registry.c runs the
 * detectors, registry_servers.c keeps the servers, registry_findings.c the
 * findings, registry_trust.c says how far to trust the capture. */
#ifndef DETECTORS_REGISTRY_INTERNAL_H
#define DETECTORS_REGISTRY_INTERNAL_H

#include "detectors/registry.h"

enum {
	DETECTORS_MAX = 64,		/* on_segment: sets of 64 */
	FINDING_BUCKETS = 131072,	/* each link of a chain is a cache miss */
	SERVER_BUCKETS = 4096,
	FETCH_AHEAD = 8,		/* flows of a step, from memory */
};

/* Frames seen and dropped until then. */
struct tally {
	struct instant at;
	uint64_t packets, dropped, unsound;
};

/* An answered wait, kept until the step. */
struct answer {
	const struct flow *flow;
	int64_t took_ns;
	bool turn, parked;
};

/* The detectors that have a callback, in the order of the table, with what it
 * asks for beside its address: most calls need not be made. */
struct on_segment {
	void *state;
	void (*call)(void *, struct flow_pool *, struct flow *,
	    const struct segment *);
};

struct waker {
	const size_t *awake;
	uint64_t member;		/* whose it is, in review_flow */
};

struct review_flow {
	void *state;
	void (*call)(void *, struct judge *, struct server *, struct flow *);
};

struct review_server {
	uint32_t matters;		/* enum server_matter */
	uint64_t found, remembered;	/* of struct server */
	void *state;
	void (*call)(void *, struct judge *, struct server *);
};

struct on_packet {
	void *state;
	void (*call)(void *, const struct packet *);
};

struct on_delivery {
	uint32_t facts;			/* enum segment_fact */
	void *state;
	void (*call)(void *, const struct delivery *);
};

struct on_app {
	void *state;
	void (*call)(void *, const struct app_event *);
};

struct registry {
	const struct config *config;
	void *state[DETECTORS_MAX];
	size_t on_segments, on_packets, on_deliveries, on_apps[APP_EVENT_TYPES];
	size_t review_flows, review_servers;
	struct on_segment on_segment[DETECTORS_MAX];
	/* those that a fact, an oddity, a mark or a note concerns, as a set of
	 * 1 << their place in on_segment */
	uint64_t of_each, of_fact[32], of_odd[32], of_mark[16], of_noted[32];
	uint32_t facts, odd, noted;	/* those that concern anybody */
	struct on_packet on_packet[DETECTORS_MAX];
	struct on_delivery on_delivery[DETECTORS_MAX];
	uint32_t delivered;		/* facts that any of those asks for */
	struct on_app on_app[APP_EVENT_TYPES][DETECTORS_MAX];	/* by type */
	struct review_flow review_flow[DETECTORS_MAX];
	/* the same of review_flow, by matters, notes and marks of a flow */
	uint64_t of_matter[32], of_note[32], of_flow_mark[16];
	struct waker waker[DETECTORS_MAX];
	size_t wakers;
	uint64_t *due;			/* who is to review each flow of a step */
	size_t due_count, due_slots;
	struct review_server review_server[DETECTORS_MAX];
	uint64_t of_servers;			/* all of them, as a set */
	struct judge judge;
	struct server *servers, **servers_end;
	struct slab server_slab;		/* each step looks at thousands */
	size_t server_count, server_slots;
	size_t server_numbers;		/* given out */
	size_t hostless;		/* servers whose host is not known */
	struct server **busy;		/* in their order, with the slots */
	size_t busy_count;
	struct server *unjudged;	/* the first made since the last step */
	bool crowded;			/* a server has many outcomes */
	uint64_t servers_refused;
	struct server *server_bucket[SERVER_BUCKETS];
	uint64_t server_key;		/* so that collisions cannot be planned */
	struct server_budget budget;
	struct instant resumed;		/* after the last break that was seen */
	struct tally minute[2];		/* at the last full minute, and before */
	uint64_t refused_before;	/* budget.refused at the last step */
	struct finding *findings, **findings_end;
	struct slab finding_slab;
	struct finding *bucket[FINDING_BUCKETS];
	struct finding scrap;
	uint64_t next_finding, findings_refused, answers_refused;
	size_t finding_count;		/* that are held */
	struct answer *answers;
	size_t answer_count, answer_slots;
	struct instant now;
	bool finishing;
	bool live;			/* a run without an end */
};

/* Step phase (registry_servers.c): what happened since `since`, before anybody
 * reviews. */
void registry_update_servers(struct registry *, struct engine *,
    struct instant since);
/* Whom a flow concerns, as a set of 1 << their place in review_flow, but for those
 * who are awake. */
uint64_t registry_concerned(const struct registry *, const struct flow *);
/* Nobody was silent while nobody looked. */
void registry_forget_before_break(struct registry *);

/* What detectors remember of it goes (registry.c). */
void registry_release_states(struct server *);

/* The order of time (registry_findings.c): once, at the end. */
void registry_sort_findings(struct registry *);

/* A minute is over (registry_trust.c). */
void registry_tally_minute(struct registry *);
/* Is the capture no record of what was on the wire, in all or of late? */
bool registry_is_unsound(const struct registry *);

#endif
