/* server.h - what is known of each watched server: its services and their
 * baselines, its flows and how they fared, its doings second by second, and
 * the findings about it. Written and read in the step phase only. */
#ifndef DETECTORS_SERVER_H
#define DETECTORS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/flow.h"
#include "capture/host.h"
#include "capture/slab.h"
#include "detectors/finding.h"

/* Times in a histogram of quarter octaves from 1 us: 4 * log2(us), so that
 * percentiles are within 19 % whatever their size. */
enum { LATENCY_BINS = 160 };
struct latency {
	uint64_t n;
	int64_t max_ns;
	uint32_t bin[LATENCY_BINS];
};
void latency_add(struct latency *, int64_t ns);
int64_t latency_quantile(const struct latency *, double q);	/* ns */

/* One listening port of a server. */
struct service {
	struct service *next;
	uint16_t port;
	uint8_t protocol;
	uint8_t app;			/* enum app_protocol, as last named */
	bool late;			/* it was said to answer late */
	uint32_t syns, accepted, refused, unanswered;
	uint32_t first_asked, first_answered;	/* negotiations */
	uint32_t server_first, client_first;	/* who spoke first */
	uint64_t asked, answered;
	struct instant last_answered;
	struct instant first_seen;
	struct latency took;		/* answers that were not parked */
	struct latency parked;		/* waits that ended well though they were
					 * long: parked calls, long polls */
};

struct service_place {
	uint16_t port;
	uint8_t protocol;
	struct service *service;
};

enum stack {			/* who carries a flow, as the IP IDs tell */
	STACK_UNKNOWN, STACK_HOST, STACK_OFFLOADED, STACK_MIXED,
};
const char *stack_text(enum stack);

/* What few flows have. */
struct outcome_more {
	uint64_t findings;		/* set of 1 << enum finding_name */
	struct instant trouble;		/* first finding that says it is affected */
	struct instant recovered;	/* answered again after that; 0: not yet */
	struct instant probe_answered;	/* server answered a keep-alive */
	struct instant offloaded_at;	/* see outcome_offloaded_at */
};

/* How one flow of the server fared; outlives the flow. There may be millions. */
struct outcome {
	uint64_t flow_id;
	struct address client;
	struct instant began, established, last;
	struct instant last_asked;	/* client wanted something (data) */
	struct instant last_answered;	/* server data */
	struct instant last_acked;	/* server acknowledged new data */
	uint64_t bytes;			/* of both sides, payload */
	struct outcome_more *more;	/* NULL: nothing of it */
	uint32_t raised;		/* may have findings: set of 1 <<
					 * enum finding_name % 32 */
	uint16_t client_port, server_port;
	uint16_t service;		/* in server.place, from 1; 0: there were
					 * too many */
	uint16_t silent_s;		/* longest time in which nobody sent and
					 * after which both did: seconds */
	uint8_t app;
	uint8_t end;			/* enum flow_end, 0 while alive */
	uint8_t stack : 2;		/* enum stack */
	bool spoke : 1;			/* who spoke first has been counted */
	bool first_asked : 1, first_answered : 1; /* likewise */
	bool answered : 1;		/* any turn */
	bool offloaded_early : 1;	/* when it was established */
	bool is_history : 1;		/* its findings were forgotten */
	bool doubtful : 1;		/* something is owed, and the capture too
					 * incomplete to say that it did not come */
};

extern const struct outcome_more outcome_nothing_more;

static inline const struct outcome_more *
outcome_more(const struct outcome *o)
{
	return o->more ? o->more : &outcome_nothing_more;
}

/* The first packet from the upper half. */
static inline struct instant
outcome_offloaded_at(const struct outcome *o)
{
	return o->offloaded_early ? o->established :
	    outcome_more(o)->offloaded_at;
}

/* One second of a host's life; only seconds in which something happened. */
struct second {
	struct instant at;		/* start of the step */
	struct host_counts counts;
	uint16_t peers_in;		/* clients that sent (approximate, capped) */
};

/* A time in which the host sent nothing at all though it was asked: data, SYN,
 * ARP or echo request towards it. */
struct outage {
	struct instant from;		/* its last packet before */
	struct instant to;		/* its first packet after; 0: it lasts */
	uint32_t asks;			/* data, SYN, ARP, echo towards it */
	uint32_t arp_asked, syn_in, data_in, echo_asked;
	size_t peers;			/* clients that sent meanwhile */
	uint32_t resumed;		/* connections whose data, sent in vain
					 * meanwhile, was acknowledged after */
	struct instant first_ask, last_ask; /* before and beyond nobody can tell */
	uint64_t frame_before, frame_first_ask, frame_last_ask, frame_after;
};

/* Datagrams that the server sends a client unasked, again and again: Exchange's
 * new-mail notices (MS-OXCNOTIF, 3.1.2: repeated each 60 s until the client has
 * fetched its mail). No TCP offload touches them, so they show that the host and
 * its store live. */
struct push {
	struct address client;
	uint32_t count;
	struct instant first, last;
	uint64_t last_frame;
};

/* The response times of one protocol up to the last record of the server in a
 * live run: the next one tells what came since. */
struct told_response {
	struct told_response *next;
	uint8_t app;			/* enum app_protocol */
	struct latency took;
};

struct incident;		/* incident.h */

/* What all servers together may hold; shared by them, the registry's. */
struct server_budget {
	size_t bytes, limit;		/* handed out; of outcomes, services,
					 * seconds and clients */
	uint64_t refused;
	struct slab outcomes;		/* where those of all servers lie */
};

/* The two connections that the server served last, each other's contrast. */
struct served {
	uint64_t flow_id;
	struct instant at;
};

enum { SERVER_PUSHES = 256, SERVER_SECONDS = 1024, SERVER_OUTCOMES = 65536, SERVER_OUTAGES = 16,
    OUTAGE_MIN_S = 2, OUTAGE_MIN_ASKS = 3, OUTAGE_MIN_SURE = 2 };

struct server {
	/* what is asked of all servers again and again, in a cache line */
	struct server *next;		/* in order of appearance */
	uint64_t found, remembered;	/* sets of 1 << enum finding_name: those
					 * of `findings`; see server_remember */
	uint64_t settled;		/* registry: who has no more to say of it;
					 * see server_stir */
	struct instant heard;		/* anything from or to it, to the step */
	struct instant last_sent;	/* newest packet of its in a closed step */
	struct instant newest;		/* second of its life: when it began */
	uint32_t minute;		/* of its last review, since 1970 */
	uint16_t outage_count;		/* see `outage` */
	bool busy;			/* registry: heard of lately */
	bool ids_split;			/* the IP-ID halves tell stacks apart */

	/* what a step asks of those heard of in it, in five more */
	struct host *host;		/* what capture/ knows; may be NULL later */
	struct address address;
	/* the latest seconds in which it was asked what its own stack answers */
	struct instant asked_syn, asked_arp, asked_echo;
	uint64_t flows;
	struct finding *findings;	/* by next_of_server, newest first */

	struct instant first, last;
	struct second *seconds;		/* ring, up to SERVER_SECONDS */
	size_t second_slots;
	size_t second_count;		/* ever written; newest at (count - 1) */
	uint64_t last_sent_frame;	/* see `last_sent` */
	struct instant last_unseen;	/* newest proof that it lives and is not
					 * seen (host_counts.acks_unseen), and */
	uint8_t mac[6];
	bool has_mac, configured;

	struct instant unseen_since;	/* ... the oldest after `last_sent` */
	const char *ids_why;		/* why `ids_split`, or not: for people */
	struct client_set *client_set;	/* server.c */
	size_t clients;			/* distinct, capped at 65,536 */
	struct timeline *timeline;	/* NULL: nobody was answered yet */
	struct service_place *place;	/* where each of the services is */
	size_t service_count, number;	/* in the order of appearance, from 0 */

	struct served served[2];	/* latest first; different connections */
	uint32_t flows_by_stack[STACK_MIXED + 1];	/* ever, by enum stack */
	size_t outcome_count, outcome_slots;

	struct outcome **outcome;	/* in order of appearance */
	uint64_t bytes;
	struct server *hash_next;	/* by address (registry) */
	struct server_budget *budget;	/* NULL: none */
	size_t taken;			/* of it */
	struct service *services;	/* in order of appearance */
	size_t service_slots;
	bool findings_changed;		/* since incidents were judged last */

	uint64_t outcomes_refused, outcomes_forgotten;
	char name[64];			/* configured, or "" */
	const char *system;		/* configured (config_server.system), "" or
					 * NULL: not */
	const char *vendor;		/* of the MAC, "" unknown */
	size_t push_count;
	struct push *push;		/* up to SERVER_PUSHES */
	struct incident *incidents;	/* by next_of_server and start */
	struct told_response *told;
	uint32_t finding_count[FINDING_COUNT];
	void *detector_state[FINDING_COUNT];	/* detectors' own; see `release` */
	struct outage outage[SERVER_OUTAGES];	/* ended ones, oldest first; the
					 * last SERVER_OUTAGES are kept */
};

_Static_assert(offsetof(struct server, host) == CACHE_LINE_BYTES &&
    offsetof(struct server, outcomes_refused) == 6 * CACHE_LINE_BYTES,
    "they fill their cache lines");

/* Whom it is a connection to, if that is known as a server; nothing is looked up. */
static inline struct server *
server_at_hand(const struct flow *f)
{
	return f->host[SERVER] ? f->host[SERVER]->server : NULL;
}

/* Have fetched from memory what a step asks of it. */
static inline void
server_fetch(const struct server *s)
{
	fetch_lines(s, offsetof(struct server, outcomes_refused) /
	    CACHE_LINE_BYTES);
}
/* Something happened to it, so that all who said that they had no more to say of
 * it (judge_settled in detector.h) are to be asked again. */
static inline void
server_stir(struct server *s)
{
	s->settled = 0;
}
/* What a detector remembers of the server: made of zeros if new. NULL: no
 * memory. */
void *server_remember(struct server *, enum finding_name, size_t bytes);
/* May what is remembered of the server take `bytes` more? False: the budget of all
 * is used up, which is counted. A configured server always may. */
bool server_may_take(struct server *, size_t bytes);
/* Does it, since the last server_seen_to? At hand, as what it remembers is not. */
static inline bool
server_remembers(const struct server *s, enum finding_name name)
{
	return s->remembered >> name & 1;
}
/* It need not be reviewed for that again before it is remembered anew. */
static inline void
server_seen_to(struct server *s, enum finding_name name)
{
	s->remembered &= ~(UINT64_C(1) << name);
}

struct service *server_service(struct server *, uint8_t protocol, uint16_t port,
    bool make);
/* The one that a flow is with, quicker. */
static inline struct service *
server_service_of(struct server *s, const struct flow *f, bool make)
{
	const struct outcome *o = f->outcome;

	return o && o->service ? s->place[o->service - 1].service :
	    server_service(s, f->protocol, f->port[SERVER], make);
}
/* The second that covers `t`, or NULL; seconds without packets are not kept. */
const struct second *server_second(const struct server *, struct instant t);
/* Sum of the host's doings in [from, to], as far back as is kept. */
void server_counts(const struct server *, struct instant from, struct instant to,
    struct host_counts *out);
/* Did it send an acknowledgment meanwhile? */
bool server_acked(const struct server *, struct instant from, struct instant to);
/* A flow's stack by its server side's IP IDs: unknown unless ids_split. */
enum stack server_flow_stack(const struct server *, const struct flow *);
/* Can it be mute? Quick: most servers cannot, for nobody asked them anything
 * since their last packet, or only now. */
static inline bool
server_may_be_mute(const struct server *s, struct instant now)
{
	return instant_is_set(s->last_sent) &&
	    instant_before(s->last_sent, s->newest) &&
	    instant_since(now, s->last_sent) >= OUTAGE_MIN_S * NS_PER_S;
}
/* Not now, but when it goes on saying nothing? */
static inline bool
server_may_fall_mute(const struct server *s, struct instant now)
{
	return instant_is_set(s->last_sent) &&
	    instant_before(s->last_sent, s->newest) &&
	    !server_may_be_mute(s, now);
}
/* Is the host mute since its last packet, though asked? Fills `out`. */
bool server_is_mute(const struct server *, struct instant now,
    struct outage *out);
/* Has it been sending for `seconds` and more, as its clients' acknowledgments
 * show, without a packet of it on the mirror? One that comes back from the dead
 * and whose first packets were missed is seen sooner. */
static inline bool
server_is_hidden(const struct server *s, double seconds)
{
	return instant_before(s->last_sent, s->unseen_since) &&
	    instant_since(s->last_unseen, s->unseen_since) >=
	    (int64_t)(seconds * 1e9);
}
/* Did the server serve (data or new ACKs, not resets) a connection from before
 * `from` after `to`? Then its TCP state outlived that time. */
bool server_has_survivors(const struct server *, struct instant from,
    struct instant to);
/* Did the host send anything, to whomever, `seconds` after `t` or later? If not,
 * it may have left the mirror, and nobody can say that it did not answer. */
static inline bool
server_seen_after(const struct server *s, struct instant t, double seconds)
{
	return instant_since(s->last_sent, t) >= (int64_t)(seconds * 1e9);
}
/* When a client was last heard by this server, to the second; 0: never. */
struct instant server_client_last(const struct server *, const struct address *);
/* Clients heard since `t` (their second begins at or after it). */
size_t server_clients_since(const struct server *, struct instant t);
/* The outcome record of a flow (flow->outcome), NULL when there were too many. */
static inline struct outcome *
outcome_of(const struct flow *f)
{
	return f->outcome;
}

#endif
