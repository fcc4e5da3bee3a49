/* compare.h - two runs side by side: did the change help?
 *
 * The runs are analysed one after the other, each with a registry and an engine
 * of its own. A compare_watch listens beside the detectors; at the end of a run
 * its figures are taken, and everything else of the run may go. Servers are the
 * same where their addresses are. */
#ifndef DETECTORS_COMPARE_H
#define DETECTORS_COMPARE_H

#include "detectors/report_common.h"

enum compare_run { BEFORE, AFTER, COMPARE_RUNS };

/* Answers of one application protocol. */
struct response_figures {
	uint64_t n;
	int64_t p50_ns, p95_ns;
};

/* A TCP port to which connections were tried, up to PORTS_KEPT a server. */
enum { PORTS_KEPT = 512 };
struct port_figures {
	uint16_t port;
	uint64_t made, failed;		/* failed: no answer to repeated SYNs, or
					 * refused */
};

/* What TCP did on the wire. */
struct wire_figures {
	uint64_t sent, bad_sums;	/* the server's own packets */
	uint64_t packets, retransmissions; /* of both sides */
	size_t port_count;
	struct port_figures *port;
};

/* One server in one run. */
struct server_figures {
	struct address address;
	char name[64];			/* configured, or "" */
	bool served;			/* some client had a connection to it */
	uint64_t flows, flows_affected;	/* connections; those with a finding that
					 * degrades a server */
	uint64_t clients, clients_affected;
	uint64_t flows_stalled;		/* of the affected: acknowledged or not,
					 * they wait in vain */
	uint64_t requests;		/* answered ones, parked calls too */
	uint64_t incidents, incidents_by[VERDICT_COUNT];
	uint64_t carried_by[VERDICT_COUNT]; /* of them: begun in the run before */
	int64_t trouble_ns, trouble_ns_by[VERDICT_COUNT];
	bool stacks_known;		/* the IP IDs tell who carries a flow */
	uint64_t flows_offloaded, flows_host;
	struct wire_figures wire;
	/* Only in a run that is kept: the wire as it would have been counted had
	 * the address been named beforehand; `told_only`: it served nobody, and
	 * matters where the other run knows it as a server. */
	struct wire_figures told;
	bool told_only;
	struct response_figures response[APP_PROTOCOL_COUNT];
};

/* One run. */
struct run_figures {
	char subject[600];		/* "freeze.pcap", "3 captures" */
	char extent[300], soundness[300]; /* sentences */
	int64_t watched_ns;		/* without the breaks, see below */
	struct instant first, last;
	double lost_share, one_way_share;
	bool blind;			/* it missed so much that findings were
					 * withheld (judge_trusts) */
	bool interrupted;
	size_t count;
	struct server_figures *server;	/* by address */
};

/* Without a single frame for longer than this, the mirror was not watched:
 * between two captures, and within one (as the engine takes it). */
enum { WATCH_BREAK_S = 60, WATCH_QUIET_S = 86400 };

struct compare_watch;

/* `before` (may be NULL) names servers to listen for even if they accept
 * nothing any more; borrowed. NULL: no memory. */
struct compare_watch *compare_watch_new(const struct run_figures *before);
/* The same for a run that is kept: which servers the other run will have is not
 * known yet, so TOLD_HOSTS others are listened for as well. */
enum { TOLD_HOSTS = 1024 };
struct compare_watch *compare_watch_new_kept(void);
void compare_watch_free(struct compare_watch **);
/* Put the watch before an observer: it hands all on. */
void compare_watch_observe(struct compare_watch *, struct engine_observer *);
/* The figures of a run that is over and judged. 0, or -1 without memory. */
int run_figures_take(const struct compare_watch *, const struct run *,
    struct run_figures *out);
void run_figures_free(struct run_figures *);

/* The comparison ------------------------------------------------------------ */

enum outcome_change {
	CHANGE_NOT_COMPARABLE,		/* in one of the runs only, or one of them
					 * is blind: gone is not the same as
					 * not seen */
	CHANGE_NOTHING,			/* none that this much traffic could show */
	CHANGE_BETTER, CHANGE_WORSE,
	CHANGE_MIXED,			/* better in one respect, worse in another */
};
const char *outcome_change_text(enum outcome_change);	/* "no_difference" ... */

/* Three questions are asked of a server, and each may be answered by accident:
 * the level is shared among them (Bonferroni). */
#define COMPARE_LEVEL (0.05 / 3)

enum question {
	/* do as many clients fare ill? Both tests have to say no: of the share
	 * of clients (Fisher), which takes the runs for equally long, and of
	 * clients affected for each client and hour, which does not */
	QUESTION_CLIENTS,
	QUESTION_INCIDENTS,		/* do incidents come as often? */
	QUESTION_CONNECTS,		/* do as many connection attempts fail? */
	QUESTION_COUNT
};

struct answer_change {
	bool asked;
	double p;
	int direction;			/* -1 fewer after, 1 more, 0 the same */
};

/* What became of the offload between the runs. */
enum offload_change {
	OFFLOAD_UNKNOWN,		/* the IP IDs of one run do not tell */
	OFFLOAD_GONE,			/* it carried connections and does not */
	OFFLOAD_STILL_ON,		/* it carries some after, too */
	OFFLOAD_APPEARED,		/* after only */
	OFFLOAD_NEVER,			/* in neither run */
	OFFLOAD_TOO_FEW,		/* none after, but so few connections that
					 * it may be chance */
};
const char *offload_change_text(enum offload_change);	/* "gone" ... */

struct comparison {
	const struct server_figures *side[COMPARE_RUNS]; /* NULL: not in that run */
	const struct run_figures *run[COMPARE_RUNS];
	enum outcome_change change;
	struct answer_change answer[QUESTION_COUNT];
	int deciding;			/* enum question; -1: nothing was wrong */
	double p_clients_share, p_clients_rate, p_flows_share; /* NAN: not asked */
	uint64_t connects[COMPARE_RUNS], connects_failed[COMPARE_RUNS];
	enum offload_change offload;
	double p_offload;		/* Fisher, offloaded shares; NAN */
	/* Incidents hit many clients at once: whether they have become rarer (or
	 * more frequent) is open until the clean run was long enough. */
	bool settled;
	double clean_hours_exact, clean_hours_known_rate; /* NAN: neither run is
					 * clean, or both are */
	/* times as much of both runs until the present difference would show;
	 * NAN: it shows, or there is none */
	double more_needed;
};

/* Servers of either run that anybody asked anything of, by address; `*count` of
 * them. To be freed; the figures are borrowed. NULL (count 0) for none, or
 * without memory. */
struct comparison *compare_runs(const struct run_figures *before,
    const struct run_figures *after, size_t *count);

/* The figures of one server; either may be NULL. */
struct comparison compare_server(const struct run_figures *before,
    const struct server_figures *b, const struct run_figures *after,
    const struct server_figures *a);

double hours_watched(const struct run_figures *);

/* report_compare.c, report_compare_json.c: 0, or -1 when writing failed. */
int report_compare_text(FILE *, const struct run_figures *before,
    const struct run_figures *after);
int report_compare_json(FILE *, const struct run_figures *before,
    const struct run_figures *after);
/* "EX01: better: the stalls are gone (13 of 14 clients froze before, none of 14
 * after; p = 0.0001)": the answer. Returns `out`. */
const char *comparison_answer(const struct comparison *, char *out,
    size_t size);
/* Is it the change that did it, and for good? A sentence each, "" for none. */
const char *comparison_effect(const struct comparison *, char *out,
    size_t size);
const char *comparison_lasting(const struct comparison *, char *out,
    size_t size);

#endif
