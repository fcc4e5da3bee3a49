/* report_packets.h - the per-packet analysis (--packets): one JSON line a TCP
 * packet, in the order of the capture, mirror copies included, so that another
 * analyser's view can be held against ours. */
#ifndef DETECTORS_REPORT_PACKETS_H
#define DETECTORS_REPORT_PACKETS_H

#include "detectors/report.h"

struct packet_report;

/* `run` and `out` are borrowed. NULL: no memory. */
struct packet_report *packet_report_new(FILE *out, const struct run *);
/* A TCP packet, from the engine's on_raw_tcp. */
void packet_report_tcp(struct packet_report *, const struct packet *,
    uint64_t flow_id);
/* What parsers say of it, from the engine's on_app: comes after the packet. */
void packet_report_app(struct packet_report *, const struct app_event *);
/* The last line; frees. 0, or -1 when writing failed (errno says why). */
int packet_report_finish(struct packet_report **);

#endif
