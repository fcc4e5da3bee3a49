/* inbox.h - what the run hands to the page's thread: events, how far the
 * reading is, the rendered report. Putting something in never waits for the
 * page; a full inbox drops its oldest events and counts them. */
#ifndef WEB_INBOX_H
#define WEB_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detectors/event.h"

/* More than the page keeps of findings: what is dropped of one burst would have
 * been forgotten anyway. */
enum { INBOX_EVENTS = 32768, INBOX_BATCH = 256 };

struct inbox;

/* NULL: no memory. */
struct inbox *inbox_new(void);
void inbox_free(struct inbox **);

/* Any thread. The event is held, the report taken over. */
void inbox_event(struct inbox *, struct event *);
void inbox_progress(struct inbox *, uint64_t read, uint64_t total);
void inbox_finished(struct inbox *);
void inbox_report(struct inbox *, char *page, size_t bytes);

/* Since the last time. */
struct inbox_content {
	struct event *event[INBOX_BATCH];	/* references, in order */
	size_t count;
	size_t waiting;			/* events that did not fit */
	uint64_t lost;			/* events, all in all */
	uint64_t read, total;
	bool finished;
	char *report;			/* NULL: no new one */
	size_t report_bytes;
};
void inbox_take(struct inbox *, struct inbox_content *);

#endif
