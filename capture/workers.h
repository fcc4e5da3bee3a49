/* workers.h - the frames of a source, made ready for the engine by threads.
 *
 * The work is cut by what needs what, not by address pair: one thread at a time reads
 * the source and keeps the frames, others decode them and verify their sums in any
 * order, one at a time brings them into order (intake.h), and the caller analyses
 * them in that order; what they deliver to the upper layers is again taken by one at
 * a time, in order, some packets behind (ulp.h). So a fact about a host is found in
 * the order in which its packets came, over all its peers, and the same packets say
 * the same, byte for byte, however many workers there are. */
#ifndef CAPTURE_WORKERS_H
#define CAPTURE_WORKERS_H

#include "capture/engine.h"
#include "capture/intake.h"
#include "capture/source.h"

struct workers;

/* `count` threads in all, the caller's included: one does everything when it
 * asks for more, and reads what may be a pipe; from two on the others do what they
 * can. The source, the intake and the engine, whose intake it is, are lent until
 * workers_free, and the source may then be asked for its figures only (source.h).
 * The engine may be NULL, and then somebody else analyses. NULL, with errno set, if
 * there is no memory or no thread. */
struct workers *workers_new(struct source *, struct intake *, struct engine *,
    unsigned count);
void workers_free(struct workers **);

/* The next batch, in order; it stays until the next call. Live, one without
 * frames comes when nothing has come for a while. After one whose result is
 * SOURCE_END or SOURCE_FAILED there is none. Never NULL. */
struct batch *workers_next(struct workers *);

#endif
