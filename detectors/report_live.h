/* report_live.h - what a live run says on standard output while it goes on. */
#ifndef DETECTORS_REPORT_LIVE_H
#define DETECTORS_REPORT_LIVE_H

#include <stdio.h>

#include "detectors/feed.h"

struct live_report;

/* JSON lines: each event's record. Text: a line for each incident that begins,
 * changes or ends, and for what was newly found in this step: alike findings of
 * one server share a line. NULL: no memory. */
struct live_report *live_report_new(FILE *, bool json);
struct feed_listener live_report_listener(struct live_report *);
/* errno of the write that failed, 0: none did. */
int live_report_error(const struct live_report *);
void live_report_free(struct live_report **);

#endif
