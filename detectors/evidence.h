/* evidence.h - the packets behind each finding and incident, as pcapng files and
 * as ladders (sequence diagrams), from before the onset too.
 *
 * Live, all frames go into a ring in memory, cut to their headers and some
 * payload; what a finding is about is taken from there a few seconds after it was
 * told. Offline the files are read once more, when all is told. Results lie in a
 * folder (DIR/evidence/finding-7.pcapng, finding-7.json, incident-1.pcapng) with
 * a limit of size and age, or in memory. A full disk costs the oldest evidence,
 * never a finding, and is said. */
#ifndef DETECTORS_EVIDENCE_H
#define DETECTORS_EVIDENCE_H

#include "capture/packet.h"
#include "detectors/event.h"

struct evidence;

struct evidence_settings {
	const char *dir;		/* of the kept run; NULL: in memory */
	size_t ring_bytes;		/* 0: none (offline) */
	uint32_t payload_bytes;		/* kept of each packet, beside headers */
	uint64_t most_bytes;		/* on disk or in memory; 0: no limit */
	double most_days;		/* on disk; 0: no limit */
	/* The name of an input, for comments; called in any thread. */
	const char *(*input_name)(void *context, uint32_t file);
	void *context;
};

enum { EVIDENCE_ERROR_BYTES = 512 };

/* NULL with a sentence in `err`. The settings are copied, `dir` too. */
struct evidence *evidence_new(const struct evidence_settings *,
    char err[EVIDENCE_ERROR_BYTES]);
/* Other limits from now on: as most_bytes and most_days above. Any thread. */
void evidence_limit(struct evidence *, uint64_t most_bytes, double most_days);
/* Live: one more frame, in the capture's thread. Allocates nothing. */
void evidence_frame(struct evidence *, const struct frame *);
/* What has been told: quick, for any thread. */
void evidence_event(struct evidence *, struct event *);

/* Is there anything to look for? */
bool evidence_is_wanted(const struct evidence *);
/* Offline: hand in every frame of the run in order, then finish. */
void evidence_reread(struct evidence *, const struct frame *);
void evidence_reread_done(struct evidence *);

/* The answer for the page, from any thread: 0 with text or bytes from malloc, or
 * -1: there is none. `kind`: "finding" or "incident". */
int evidence_ladder(struct evidence *, uint64_t finding_id, char **json,
    size_t *bytes);
int evidence_pcapng(struct evidence *, const char *kind, uint64_t id,
    char **data, size_t *bytes);

struct evidence_stats {
	uint64_t ring_frames;		/* in it now */
	double ring_s;			/* from its oldest to its newest */
	uint64_t written, removed, failed;	/* results */
};
void evidence_stats(struct evidence *, struct evidence_stats *);

/* Writes what is still to be written. */
void evidence_free(struct evidence **);

#endif
