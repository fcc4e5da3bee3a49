/* snapshot.h - one state of a run, ready to be served, and never changed again:
 * the page, and its JSON records by kind. Counted references, so that an answer
 * under way outlives the next state. */
#ifndef WEB_SNAPSHOT_H
#define WEB_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum resource {
	RESOURCE_PAGE, RESOURCE_STYLE, RESOURCE_METRICS, RESOURCE_HEALTH,
	RESOURCE_CAPTURE, RESOURCE_SERVERS, RESOURCE_INCIDENTS,
	RESOURCE_FINDINGS, RESOURCE_COUNT
};

struct snapshot;

/* `page` and `style` as they are served; `lines` are JSON lines, as -T json puts
 * them out, flows left out. `*page` and `*lines` come from malloc and are taken
 * over and nulled, whatever the outcome; `style` is static. NULL: no memory, or
 * lines that are not JSON. */
struct snapshot *snapshot_new(char **page, size_t page_bytes, char **lines,
    size_t lines_bytes, const char *style);
struct snapshot *snapshot_hold(struct snapshot *);
/* Lets go of one reference. */
void snapshot_release(struct snapshot **);

/* Only the records about this server (its address or its name), of this name;
 * NULL: all. */
struct record_filter {
	const char *server, *finding;
};

/* A body in pieces, which belong to the snapshot. `tag` depends on the bytes
 * alone. */
struct body {
	struct iovec *piece;		/* to be freed */
	size_t count, bytes;
	uint64_t tag;
};
/* 0, or -1 without memory. */
int snapshot_body(const struct snapshot *, enum resource,
    const struct record_filter *, struct body *);

#endif
