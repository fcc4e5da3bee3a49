/* metrics.h - the run in numbers, for a monitoring system: OpenMetrics text.
 *
 * Labels are bounded, whatever is in the capture: words of fixed lists, and
 * names of findings up to a limit. Addresses are no labels. */
#ifndef WEB_METRICS_H
#define WEB_METRICS_H

#include <stdio.h>

struct api;

void metrics_write(const struct api *, FILE *);

#endif
