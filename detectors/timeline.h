/* timeline.h - who was answered when: the picture that shows at a glance whether
 * everybody froze at once.
 *
 * Time is cut into at most TIMELINE_CELLS cells of one width, which doubles
 * whenever the run outgrows them; live it stops at a minute, and the oldest
 * cells go. Kept are answers only (a bit a client and cell); waiting, stalls and
 * failures are read from the server's outcomes when the picture is drawn. */
#ifndef DETECTORS_TIMELINE_H
#define DETECTORS_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/clock.h"
#include "capture/packet.h"

struct server;
struct timeline;

enum {
	TIMELINE_CELLS = 128,
	TIMELINE_CLIENTS = 1024,	/* kept for each server */
	TIMELINE_ROWS = 300,		/* drawn */
	TIMELINE_LIVE_CELL_S = 60,
};

void timeline_free(struct timeline **);

/* The client's connections were answered in the step that ends at `now`. `at` is
 * where it was found last, for this function alone to tell; 0: not yet. `live`: the
 * run has no end. */
void timeline_served(struct server *, const struct address *client, uint16_t *at,
    struct instant now, bool live);
/* Have fetched from memory where the client's answers are kept; and then (`row`) its
 * own of them. */
void timeline_fetch(const struct server *, const struct address *client,
    uint16_t at, bool row);
/* An answer that took this long, not a call that is meant to wait; of a server
 * whose timeline has begun. */
void timeline_took(struct server *, int64_t ns, struct instant now);

/* One character a cell. */
enum timeline_state {
	TIMELINE_QUIET = '.',
	TIMELINE_ANSWERED = 'a',
	TIMELINE_WAITING = 'w',		/* asked, not answered yet */
	TIMELINE_STALLED = 's',		/* a finding says that it is ill */
	TIMELINE_AGAIN = 'r',		/* answered after a stall */
	TIMELINE_FAILED = 'x',		/* no connection came about */
};

struct timeline_row {
	struct address client;
	char state[TIMELINE_CELLS + 1];
	struct instant stalled;		/* first of it; 0: never */
};

struct timeline_picture {
	struct instant from;		/* start of the first cell */
	unsigned cell_s, cells;
	uint32_t answered[TIMELINE_CELLS];
	int64_t took_ns[TIMELINE_CELLS];	/* the longest answer; 0: none */
	size_t rows, more;		/* drawn, and left out */
	struct timeline_row row[TIMELINE_ROWS];	/* who stalled, by when; then the
				 * others by address */
};

/* The picture of a server at `now`; with rows only if `with_clients`. False:
 * nothing is known. */
bool timeline_draw(const struct server *, struct instant now, bool with_clients,
    struct timeline_picture *);

#endif
