/* source.h - where frames come from: capture files, standard input, a
 * directory, or an interface. The only room with libpcap in it. */
#ifndef CAPTURE_SOURCE_H
#define CAPTURE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/packet.h"

struct source;

enum source_result {
	SOURCE_FRAME,		/* `frame` is filled in, valid until the next call */
	SOURCE_IDLE,		/* live: nothing for now; `frame->time` is a time
				 * that no later frame will precede */
	SOURCE_BREAK,		/* live: an interface went down or came back.
				 * Frames went by unseen, so what was open by
				 * `frame->time` cannot be judged by what follows */
	SOURCE_END,
	SOURCE_FAILED,		/* could not go on: source_error() says why */
};

enum { SOURCE_ERROR_BYTES = 512 };

/* Several captures as one stream in time order; a directory stands for the
 * captures in it; "-" is standard input. `filter` is a pcap-filter(7)
 * expression or NULL. Files whose frames do not overlap are read one after
 * another, in the order of their first frames; overlapping ones are merged by
 * time, equal times in the order given. Few files are open at once, however
 * many are named. 0, or -1 with a sentence in `err`. */
int source_open_files(const char *const *paths, size_t count, const char *filter,
    struct source **out, char err[SOURCE_ERROR_BYTES]);

enum {
	SOURCE_BUFFER_BYTES = 128 << 20,
	SOURCE_BUFFER_BYTES_MAX = 2047 << 20,	/* libpcap takes an int */
	SOURCE_SNAP_BYTES = 262144,		/* no frame is larger */
};

struct live_options {
	const char *filter;		/* or NULL */
	size_t buffer_bytes;		/* the kernel's, for each interface; 0:
					 * SOURCE_BUFFER_BYTES */
	uint32_t snap_bytes;		/* of each frame; 0: all */
	bool only_own;			/* not promiscuous */
};

/* Live, one or more interfaces; no options (NULL) are all defaults. What goes
 * down, is renamed or is removed later ends nothing: it is watched again when it
 * comes back, between two SOURCE_BREAKs. */
int source_open_interfaces(const char *const *names, size_t count,
    const struct live_options *, struct source **out,
    char err[SOURCE_ERROR_BYTES]);

enum source_result source_next(struct source *, struct frame *);
/* As source_next, and with SOURCE_FRAME as many more frames as are at hand
 * without waiting, up to `max` (one at least) in all; their number goes to
 * `count`, and all are valid until the next call. */
enum source_result source_next_batch(struct source *, struct frame *,
    size_t max, size_t *count);
/* Where all of these lie, if they may stay there: they are valid until it is let go,
 * be it after source_close. NULL: they may not. Both are for the thread that reads. */
struct source_block;
struct source_block *source_hold(struct source *);
void source_let_go(struct source_block *);

/* Why SOURCE_FAILED. A capture cut short is no failure: it ends there, and a
 * warning that names the file and the offset has been logged. */
const char *source_error(const struct source *);

/* The path or interface a frame came from. */
const char *source_name(const struct source *, uint32_t file);
size_t source_count(const struct source *);

struct source_stats {
	/* Live only: frames lost because our buffer in the kernel was full; and
	 * before, in the card, its driver or the kernel's queue. */
	uint64_t dropped_kernel, dropped_interface;
	uint64_t dropped_own;		/* were ours, and never looked at: the run
					 * ended, or the interface was removed */
	unsigned blind;			/* interfaces that show nothing now */
	uint64_t cut_files;		/* captures that ended in mid-record */
	uint64_t bytes_read, bytes_total; /* of files; total 0 when unknown */
};
void source_stats(const struct source *, struct source_stats *);

enum { SOURCE_MERGING_BYTES = 128 };

/* One interface of a live source. */
struct source_interface {
	const char *name;		/* as it was at the start */
	const char *state;		/* "watched", "no_carrier", "down", "gone" */
	uint64_t frames;		/* handed out */
	uint64_t dropped_kernel, dropped_interface, dropped_own;
	/* What merges segments before we see them, as ethtool -K names it:
	 * "gro lro", or "". */
	char merging[SOURCE_MERGING_BYTES];
};
/* False if there is no such: number `i`, from 0. */
bool source_interface(const struct source *, size_t i,
    struct source_interface *);

/* From here on source_next is called by another thread than source_stats and
 * source_interface: those say what was true when source_publish was last called,
 * by the thread that reads. 0, or -1: no memory. */
int source_read_apart(struct source *);
void source_publish(struct source *);

/* Ask source_next to end soon; safe in a signal handler. */
void source_stop(struct source *);

void source_close(struct source **);

/* "EN10MB" for DLT_EN10MB, or NULL when libpcap has no name for it. */
const char *source_link_type_name(int link_type);

/* "libpcap version 1.10.3 ..." */
const char *source_library_version(void);
/* Print the interfaces that can be watched, one a line. 0 or -1. */
int source_list_interfaces(char err[SOURCE_ERROR_BYTES]);

#endif
