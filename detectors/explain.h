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
/* All of it as a JSON object by name, each with meaning, decided, mimics, source
 * (null: nothing to say) and kinds. From malloc; NULL: no memory. */
char *explain_json(void);

#endif
