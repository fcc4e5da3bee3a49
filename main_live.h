/* main_live.h - what only a live run does: it begins with more rights than it
 * keeps, answers signals, tells the service manager that it lives, and reads its
 * configuration again. */
#ifndef MAIN_LIVE_H
#define MAIN_LIVE_H

#include <stdbool.h>

#include "capture/source.h"
#include "detectors/config.h"
#include "detectors/report.h"
#include "main_evidence.h"
#include "main_keep.h"
#include "main_options.h"
#include "web/server.h"

/* Everything is borrowed. */
struct live {
	const struct options *options;
	struct config *config;		/* rewritten when it is read again */
	struct run *run;
	struct keep *keep;
	struct evidence *evidence;	/* NULL: none */
	struct web *web;		/* NULL: no page */
	uint64_t turns;
	bool went_short;		/* of memory, and said so */
};

/* Before all else: what is needed for a moment goes back to the system. */
void live_settle_memory(void);

/* The interfaces of the command line, else of the configuration. 0, or -1 after
 * a sentence. */
int live_open_source(const struct options *, const struct config *,
    struct source **);

/* With the interfaces open, and before a thread is started or a file written:
 * become the user of the configuration. `keep`, the folder of -o or NULL, is made
 * for that user if it is not there. 0, or -1 after a sentence. */
int live_give_up_root(const struct config *, const char *keep);
/* With everything open: only the system calls that are needed from now on. */
int live_confine(const struct config *);

/* Ready: signals are answered from now on (SIGHUP, SIGUSR1). */
void live_begin(struct live *);
/* After each turn of the capture loop. */
void live_turn(struct live *, enum source_result);
void live_end(struct live *);

#endif
