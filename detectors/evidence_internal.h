/* evidence_internal.h - the parts of evidence.c: the ring of frames, the packets
 * picked for one finding, what they are written as, and where it is put. */
#ifndef DETECTORS_EVIDENCE_INTERNAL_H
#define DETECTORS_EVIDENCE_INTERNAL_H

#include "capture/packet.h"
#include "detectors/event.h"
#include "detectors/evidence.h"

/* --- evidence_ring.c: the last frames, as many as fit --- */

struct frame_ring;

struct frame_ring *frame_ring_new(size_t bytes);	/* NULL: no memory */
void frame_ring_free(struct frame_ring **);
/* At most `keep` bytes of it; what is oldest gives way. */
void frame_ring_put(struct frame_ring *, const struct frame *, uint32_t keep);
/* Each frame from the oldest to the newest, in the caller's thread, while others
 * put in more. `data` is a copy that is valid during the call. */
void frame_ring_walk(struct frame_ring *, void (*each)(void *context,
    const struct frame *), void *context);
void frame_ring_extent(struct frame_ring *, uint64_t *frames,
    struct instant *oldest, struct instant *newest);

/* --- what was picked --- */

struct picked {
	struct frame frame;		/* its data is owned */
	bool is_evidence;		/* the finding names it */
	uint64_t finding_id;		/* that named it; in an incident's file */
};

struct pick {
	size_t count, room;
	struct picked *packet;		/* in the order they came */
};

void pick_clear(struct pick *);
/* A copy of the frame, cut to headers and `payload` bytes. 0, or -1. */
int pick_add(struct pick *, const struct frame *, const struct packet *decoded,
    uint32_t payload_bytes, bool is_evidence, uint64_t finding_id);

/* --- evidence_pcapng.c, evidence_ladder.c --- */

/* draft-ietf-opsawg-pcapng: one section with `comment`, an interface for each
 * input and link type, a comment for each packet. 0 with bytes from malloc. */
int pcapng_write(const struct pick *, const char *comment,
    const struct evidence_settings *, char **data, size_t *bytes);

/* The ladder as JSON text from malloc; `e` is the finding's last event. */
int ladder_write(const struct pick *, const struct event *e, char **json,
    size_t *bytes);

/* --- evidence_vault.c: where results are put --- */

struct vault;

/* NULL with a sentence in `err`. `dir` gets a folder "evidence". */
struct vault *vault_new(const char *dir, uint64_t most_bytes, double most_days,
    char err[EVIDENCE_ERROR_BYTES]);
void vault_free(struct vault **);
/* Other limits from now on. */
void vault_limit(struct vault *, uint64_t most_bytes, double most_days);
/* Takes `data` over whatever the outcome. `name`: "finding-7.pcapng". 0, or -1
 * when there was no room for it, which is said once. */
int vault_put(struct vault *, const char *name, char *data, size_t bytes);
/* 0 with a copy from malloc, or -1. */
int vault_get(struct vault *, const char *name, char **data, size_t *bytes);
void vault_remove(struct vault *, const char *name);
void vault_stats(struct vault *, uint64_t *written, uint64_t *removed,
    uint64_t *failed);

#endif
