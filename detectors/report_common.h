/* report_common.h - what every report needs: the findings that stand, how each
 * server is, its response times, and the sentences about the run as a whole
 * that the text and the page share. */
#ifndef DETECTORS_REPORT_COMMON_H
#define DETECTORS_REPORT_COMMON_H

#include "capture/app.h"
#include "detectors/report.h"

/* Goes on with the text in `out`, which ends in NUL; what does not fit is cut. */
void text_add(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The findings that were not retracted, by first_seen, then id; `*count` of
 * them. To be freed; NULL (count 0) for none, or without memory. */
struct finding **report_findings(const struct run *, size_t *count);

/* Findings of one name and kind that no server's paragraph tells of: for
 * information, low, or not the servers' doing. */
struct finding_group {
	const struct finding *first;
	size_t findings;
};
/* At most `max` groups in the order of their first findings; returns how many. */
size_t finding_groups(const struct run *, struct finding_group *out, size_t max);
/* The first one's sentence, how many more there are, and its name. */
const char *group_text(const struct run *, const struct finding_group *,
    char *out, size_t size);

enum health { HEALTH_OK, HEALTH_DEGRADED, HEALTH_FAILING, HEALTH_SILENT };
const char *health_text(enum health);
/* failing: an incident lasts; degraded: one is over, or lies with the clients or
 * the network, or a finding of medium severity or more that is not the clients'
 * or the capture's; silent: it sends nothing at the end. */
enum health health_of(const struct server *);
/* A finding like that. */
bool finding_degrades(const struct finding *);

/* offloaded, host, mixed, unknown: over all its flows. */
const char *offload_state_text(const struct server *);
/* The application protocols it serves, in the order of enum app_protocol;
 * returns how many. */
size_t server_roles(const struct server *, uint8_t out[APP_PROTOCOL_COUNT]);
/* Response times of all its services of one protocol, one after the other:
 * `app` 0 first; returns the next protocol that has any, or -1. */
int server_response(const struct server *, int after, struct latency *out);
/* The same, of what was answered since server_tell_responses was last called. */
int server_response_since(const struct server *, int after, struct latency *out);
void server_tell_responses(struct server *);
double milliseconds_of(int64_t ns);
/* "RPC", "SMB", "RPC over HTTP": for people. */
const char *role_title(enum app_protocol);
/* "RPC, SMB, TLS" */
const char *roles_text(const struct server *, char *out, size_t size);
/* "RPC p95 4.1 ms over 9,114 calls, SMB p95 2 ms over 12 calls": the `most`
 * protocols with most calls. "" when nothing was answered. */
const char *responses_text(const struct server *, int most, char *out,
    size_t size);
/* Distinct addresses that had a connection to any server. */
size_t run_clients(const struct run *);
/* Servers that somebody connected to, or that are not well. */
size_t run_servers(const struct run *);
/* The incident's most telling finding, or NULL. */
const struct finding *incident_finding(const struct run *,
    const struct incident *);
/* The most telling finding with the frames that the whole verdict rests on, for
 * its display filter. False: there is none. */
bool incident_proof(const struct run *, const struct incident *,
    struct finding *out);
/* The clients whom its findings name, by address; at most `max` in `out` (which
 * may be NULL for 0), returns how many there are. */
size_t incident_clients(const struct incident *, struct address *out,
    size_t max);
/* The ports of the services that its findings name; at most `max`, returns how
 * many of those were found. */
size_t incident_ports(const struct incident *, uint16_t *out, size_t max);
/* "10.20.30.52, 10.20.30.67 and 4 more; ports 445, 1114"; "445, 1114" where no
 * client is known; "" for neither. */
const char *clients_text(const struct incident *, size_t most, char *out,
    size_t size);
/* "97 % sure" */
enum { SURE_TEXT_BYTES = 48 };
const char *sure_text(const struct incident *, char out[SURE_TEXT_BYTES]);
/* How many of the incident's evidence its sentence (affected_text) has told
 * already: 0 or 1. */
unsigned incident_told(const struct incident *);
/* "41 of 44 clients and 58 of 61 connections are affected.": the incident's
 * own sentence where it has one. */
const char *affected_text(const struct incident *, char *out, size_t size);
/* "since 10:42:13, still going on at the end (9 min 51 s)" */
const char *lasting_text(const struct run *, const struct incident *, char *out,
    size_t size);
/* "12 min 4 s from 2007-12-16 17:47:19 UTC, 184,220 packets, 3 servers, 52
 * clients." */
const char *extent_text(const struct run *, char *out, size_t size);
/* All frames that an incident's evidence rests on, ascending, at most `max`. */
unsigned incident_frames(const struct incident *, uint64_t *out, unsigned max);

/* Servers, the most troubled first, then those with most flows. To be freed;
 * NULL (count 0) for none, or without memory. */
struct server **report_servers(const struct run *, size_t *count);

/* Text from packets, file names and configurations, fit for a terminal and for
 * UTF-8 readers: control characters and what is not UTF-8 become \xNN. Returns
 * `out`. */
const char *text_safe(const char *in, char *out, size_t size);

/* "freeze.pcap", "3 captures", "eth0". */
const char *run_subject(const struct run *, char *out, size_t size);
const char *finding_file_name(const struct run *, const struct finding *);

/* "9 min 51 s", "2 h 3 min", "4.2 s", "12 ms". */
enum { DURATION_TEXT_BYTES = 32 };
const char *duration_text(int64_t ns, char out[DURATION_TEXT_BYTES]);
/* "184,220" */
enum { NUMBER_TEXT_BYTES = 32 };
const char *number_text(uint64_t, char out[NUMBER_TEXT_BYTES]);
/* "10:42:13", with the date when the run spans more than one day. */
const char *run_clock_text(const struct run *, struct instant,
    char out[INSTANT_TEXT_BYTES]);
/* "10211-10388, 10402" */
const char *frames_text(const uint64_t *frame, unsigned count, char *out,
    size_t size);
/* "0.97" as "97 %", never 100 % */
unsigned percent_of(double confidence);

/* What the capture is worth: "Capture sound: nothing lost, both directions
 * seen.", or what is wrong with it. */
const char *soundness_text(const struct run *, char *out, size_t size);
/* The i-th thing that this run could not judge, a sentence each; NULL past the
 * last. */
const char *not_judged_text(const struct run *, unsigned i, char *out,
    size_t size);

#endif
