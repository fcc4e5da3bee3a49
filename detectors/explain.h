/* explain.h - what toewatch can find, in words: from the texts that each
 * detector brings along. */
#ifndef DETECTORS_EXPLAIN_H
#define DETECTORS_EXPLAIN_H

#include <stdio.h>

#include "detectors/finding.h"

/* One line a finding: its name and the first sentence of what it means. */
void explain_list(FILE *);
/* What it means, how it is decided, what mimics it, its kinds and sources.
 * 0, or -1 when no detector of this build raises it. */
int explain_finding(FILE *, enum finding_name);

#endif
