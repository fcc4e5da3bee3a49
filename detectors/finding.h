/* finding.h - one thing that was seen, with its evidence: who, when, how often,
 * which frames, the figures, and what speaks against it. */
#ifndef DETECTORS_FINDING_H
#define DETECTORS_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/clock.h"
#include "capture/packet.h"

/* The names are fixed: they are what other people's tools read. */
#define FINDINGS(X)							\
	X(keepalive_unanswered)	X(orphaned_session)	X(flow_blackholed) \
	X(reply_missing)	X(rpc_stall)		X(checksum_artifact) \
	X(checksum_discarded)	X(checksum_unresolved)	X(oversized_segment) \
	X(zero_window_stall)	X(window_collapse)	X(sequence_violation) \
	X(option_violation)	X(connect_failure)	X(server_silent) \
	X(host_stack_dead)	X(server_restart)	X(offload_active) \
	X(rss_bucket_stall)	X(session_leak)		X(throughput_collapse) \
	X(dhcp_unanswered)	X(vpn_data_dead)	X(ftp_data_failure) \
	X(logon_slow)		X(nat_intermittent)	X(rpc_fragment_stuck) \
	X(handover_violation)	X(sack_hole_unfilled)	X(burst_lost_whole) \
	X(merged_forwarding)	X(egress_dead)		X(stale_neighbor) \
	X(segments_reordered) \
	X(capture_duplicates)	X(capture_loss)		X(capture_one_way)

enum finding_name {
#define X(name) FINDING_##name,
	FINDINGS(X)
#undef X
	FINDING_COUNT
};

const char *finding_name_text(enum finding_name);
/* By its text, or -1. */
int finding_name_parse(const char *);

enum severity {
	SEVERITY_INFO, SEVERITY_LOW, SEVERITY_MEDIUM, SEVERITY_HIGH,
	SEVERITY_CRITICAL,
};
const char *severity_text(enum severity);

enum fault_side {		/* whose behaviour is at fault */
	FAULT_UNKNOWN, FAULT_SERVER, FAULT_CLIENT, FAULT_NETWORK, FAULT_CAPTURE,
};
const char *fault_side_text(enum fault_side);

enum {
	FINDING_FRAMES = 32,	/* evidence frames kept: the first ones, the last */
	FINDING_METRICS = 12,
	FINDING_TEXT_BYTES = 400,
	FINDING_FILTER_BYTES = 400,
};

struct metric {
	const char *name;	/* a literal, unit in it: "waited_s" */
	double value;
};

struct server;			/* server.h */
struct detector;		/* detector.h */

struct finding {
	/* what is asked of all findings again and again, in one cache line */
	struct finding *next_of_server;
	struct finding *next;		/* all, in the order they were raised */
	struct instant first_seen, last_seen;
	enum finding_name name;
	enum severity severity;
	bool retracted;			/* later packets explained it away */
	bool ended;			/* the condition is over (last_seen) */
	bool scrap;			/* beyond the limit: not reported */
	bool closed;			/* its subject has another one by now */
	bool may_be_parked;		/* it may yet prove a call that waits long
					 * by design: alone it is no incident */
	bool changed;			/* since it was last published (feed.c) */
	bool forgotten;			/* told, and to be freed (incident.c) */
	uint32_t subject;		/* hash of it (registry_findings.c) */
	enum fault_side side;
	struct finding *hash_next;

	/* what says which one it is, and changes each time, in the next */
	uint64_t id;			/* 1, 2, ... */
	const char *kind;		/* literal, or NULL */
	const struct detector *detector;
	struct server *server;		/* NULL: the capture itself */
	uint64_t flow_id;		/* 0: no one flow */
	double confidence;		/* 0..1 */
	struct instant raised;		/* when its detector raised it last */
	uint16_t client_port, server_port; /* 0: no one flow / service */
	uint8_t protocol;		/* IP_TCP, IP_UDP; 0: no one flow */
	uint8_t app;			/* enum app_protocol */
	bool has_client;

	struct address client;
	uint64_t count;
	uint32_t file;			/* of its frames */
	unsigned frame_count;
	uint64_t frame[FINDING_FRAMES];	/* ascending once reported */
	unsigned metric_count;
	struct metric metric[FINDING_METRICS];
	char text[FINDING_TEXT_BYTES];
	char against[FINDING_TEXT_BYTES]; /* what speaks against it, or "" */
	char filter[FINDING_FILTER_BYTES]; /* Wireshark; made by the report if "" */
	struct instant published;	/* when, and as what: feed.c; 0: not yet */
	uint64_t published_print;
	enum severity published_severity;
	uint64_t incident_id;		/* 0: none */
	struct instant lasts_until;	/* its connection is still ill, as long as
					 * it was watched; 0: no (incident.c) */
};

/* A detector had it in hand: it may have changed. */
void finding_touch(struct finding *);
/* One more frame of evidence. Kept: the first ones and always the last. */
void finding_frame(struct finding *, uint64_t frame);
/* Set a figure (overwrites one of the same name). Is it another than it was?
 * A sentence that says no more than the figures need not be made again then. */
bool finding_metric(struct finding *, const char *name, double value);
/* The sentence a person reads, with figures. */
void finding_say(struct finding *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void finding_against(struct finding *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Stretch first_seen..last_seen to cover `t`. */
void finding_time(struct finding *, struct instant t);
/* A Wireshark display filter that selects the finding's frames, in `out`. */
const char *finding_display_filter(const struct finding *,
    char out[FINDING_FILTER_BYTES]);

#endif
