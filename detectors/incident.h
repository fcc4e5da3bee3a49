/* incident.h - findings of one server and one time become one incident with a
 * verdict: which part is at fault, how sure that is, what speaks for it, what
 * against, and what to type. */
#ifndef DETECTORS_INCIDENT_H
#define DETECTORS_INCIDENT_H

#include "detectors/detector.h"

#define VERDICTS(X)							\
	X(offload_engine)	X(checksum_offload)	X(segmentation_offload)	\
	X(receive_side_scaling)	X(server_application)	X(server_host)	\
	X(network_path)		X(client_side)		X(undetermined)

enum verdict {
#define X(name) VERDICT_##name,
	VERDICTS(X)
#undef X
	VERDICT_COUNT
};
const char *verdict_name(enum verdict);		/* "offload_engine" */
/* "Its network card's TCP offload (TOE, TCP Chimney) has lost touch with the
 * host": what a person reads. */
const char *verdict_sentence(enum verdict);
/* The same of this incident: "... had lost touch" once it is over. */
struct incident;
const char *incident_sentence(const struct incident *);

enum { INCIDENT_EVIDENCE = 16, EVIDENCE_FRAMES = 12, EVIDENCE_TEXT_BYTES = 300,
    INCIDENT_CANDIDATES = VERDICT_COUNT };

/* Log-odds from which a candidate is named where it cannot be told. */
#define SUSPECT_SCORE 0.4

struct evidence {
	double weight;			/* log-odds it adds to the verdict, > 0; in
					 * `against` what it takes away, > 0 */
	char text[EVIDENCE_TEXT_BYTES];
	unsigned frame_count;
	uint64_t frame[EVIDENCE_FRAMES];
};

/* The 2x2 table: offloaded or host-stack, affected or not (Fisher's exact test,
 * one-sided). */
struct offload_table {
	bool known;			/* the IP IDs tell; else all is 0 */
	uint32_t flows_offloaded, flows_host, affected_offloaded, affected_host;
	double odds_ratio;		/* 0.5 added to each cell (Haldane) */
	double p_value;
};

/* What an incident had that was forgotten since (incident_shorten). */
struct incident_gone {
	struct instant start;		/* of the incident; 0: nothing has gone */
	uint32_t finding_count[FINDING_COUNT];
	uint32_t flows;			/* affected */
	uint32_t clients_affected, clients_seen; /* then; not to be added to those
					 * of now, for many will be the same */
};

struct incident {
	struct incident *next;		/* all, by start */
	struct incident *next_of_server;
	uint64_t id;
	struct server *server;
	enum verdict verdict;
	double confidence;
	double score[INCIDENT_CANDIDATES];	/* log-odds by candidate */
	struct instant start, last, end;	/* end 0: not over */
	struct instant carried;		/* its start in the run before; 0: none */
	struct instant judged;		/* when it was weighed last */
	uint64_t merged_into;		/* gone: the one that it became part of */
	uint32_t clients_affected, clients_seen, flows_affected, flows_seen;
	uint32_t finding_count[FINDING_COUNT];
	struct incident_gone gone;	/* is in the figures above */
	struct offload_table offload;
	unsigned evidence_count, against_count;
	struct evidence evidence[INCIDENT_EVIDENCE], against[INCIDENT_EVIDENCE];
	char next_step[EVIDENCE_TEXT_BYTES];
	char summary[EVIDENCE_TEXT_BYTES]; /* one sentence: who froze, how */
};

/* An incident that a run before this one left open: trouble at this server soon
 * after is the same one, with its number and its beginning. */
struct incident_past {
	uint64_t id;
	struct address server;
	struct instant start, last;	/* `last`: newest evidence */
};

/* Numbers that were given out; all 0 at first. */
struct incident_ids {
	uint64_t last;
	struct incident_past *past;	/* taken: id 0 */
	size_t past_count;
};

/* Incidents of a finished run, by start; to be freed with incidents_free. */
struct incident *incidents_judge(struct registry *, struct judge *);
/* Those of a run that goes on: judge the servers whose findings changed, and
 * what is open now and then. An incident keeps its number as long as one of its
 * findings stays in it. `gone` gets those that are no more: explained away, or
 * become one with another. Step phase; call it again with the same list. */
void incidents_update(struct incident **list, struct incident **gone,
    struct incident_ids *, struct registry *, struct judge *);
void incidents_free(struct incident **);
/* Of a lasting incident with more than `most` findings: the oldest are marked as
 * `forgotten`, for registry_forget, if nothing was heard of them and of their
 * connections since `before`. Only if what stays makes the same incident:
 * it keeps its beginning and its figures. How many were marked. Step phase. */
size_t incident_shorten(struct incident *, struct judge *, size_t most,
    struct instant before);

/* P(X >= a) for the table {a b; c d} with fixed margins. */
double fisher_one_sided(uint32_t a, uint32_t b, uint32_t c, uint32_t d);

/* What to type, or, where nothing is to be typed, what to do (remedy.c). All
 * static; `undo` is "" when there is nothing to undo. */
struct remedy {
	const char *applies_to, *command, *undo, *source;
	bool for_good;			/* the lasting cure: not the quick test */
	bool advice;			/* `command` is words, nothing to type */
};
/* The remedies of a verdict for a server (its configured system, its vendor),
 * the one to try first at first; fills at most `max`, returns how many. */
size_t remedies_for(const struct incident *, struct remedy *out, size_t max);
/* "Broadcom", "Dell", "HP" ... or "": by the MAC's OUI. */
const char *mac_vendor(const uint8_t mac[6]);
/* The maker of the server's card, "" when it is not known. */
const char *server_vendor(const struct server *);

#endif
