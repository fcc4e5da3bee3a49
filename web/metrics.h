/* metrics.h - the run in numbers, for a monitoring system: OpenMetrics text.
 *
 * Labels are bounded, whatever is in the capture: words of fixed lists, and
 * names of findings up to a limit. Addresses are no labels. */
#ifndef WEB_METRICS_H
#define WEB_METRICS_H

#include <stdint.h>
#include <stdio.h>

enum { METRICS_HEALTHS = 5, METRICS_VERDICTS = 10, METRICS_SEVERITIES = 6,
    METRICS_FINDINGS = 64, METRICS_NAME_BYTES = 40 };

struct json_t;

struct metrics {
	uint64_t packets, bytes, duplicates, decode_errors;
	uint64_t dropped_kernel, dropped_interface;
	double lost_share, one_way_share;
	/* The last of each: a word that the list does not have. */
	uint64_t servers[METRICS_HEALTHS];
	uint64_t incidents_open[METRICS_VERDICTS], incidents_over[METRICS_VERDICTS];
	unsigned finding_count;
	struct {
		char name[METRICS_NAME_BYTES];
		uint64_t by_severity[METRICS_SEVERITIES];
	} finding[METRICS_FINDINGS];
};

/* Count one record of the JSON lines. */
void metrics_add(struct metrics *, const char *event_type,
    const struct json_t *event);
void metrics_write(const struct metrics *, FILE *);

#endif
