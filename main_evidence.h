/* main_evidence.h - the wiring of evidence: where its frames come from, who asks
 * for it. */
#ifndef MAIN_EVIDENCE_H
#define MAIN_EVIDENCE_H

#include <signal.h>

#include "capture/source.h"
#include "detectors/config.h"
#include "detectors/evidence.h"
#include "detectors/feed.h"
#include "main_options.h"
#include "web/server.h"

/* For a run that is kept or shown. The source is borrowed. NULL after a
 * sentence. */
struct evidence *evidence_open(const struct options *, const struct config *,
    const struct source *);
/* The limits of a configuration that was read again. */
void evidence_reload(struct evidence *, const struct options *,
    const struct config *);
/* 0, or -1: too many listen. */
int evidence_listen(struct evidence *, struct feed *);
/* What the page asks, in its own threads; NULL in `shown`: there is none (yet). */
struct web_evidence evidence_for_page(struct evidence *_Atomic *shown);
/* Offline, when all is told: through the files once more. Of standard input
 * there is no once more. */
void evidence_read_again(struct evidence *, const struct options *,
    const volatile sig_atomic_t *stop);

#endif
