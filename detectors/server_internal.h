/* server_internal.h - how the registry writes struct server; detectors read it
 * through server.h. */
#ifndef DETECTORS_SERVER_INTERNAL_H
#define DETECTORS_SERVER_INTERNAL_H

#include "detectors/detector.h"

enum { SERVICES_MAX = 512 };

void server_free(struct server **);
/* The slot of a new second, cleared; NULL: out of memory. */
struct second *server_new_second(struct server *);
/* A client of the server was heard at `t`; true if for the first time in that
 * second. */
bool server_client_heard(struct server *, const struct address *,
    struct instant t);
/* The newest second was filled in: note an outage that it ended. */
void server_note_second(struct server *);
/* The server sent this client an unasked datagram (`total` of them by now). */
void server_note_push(struct server *, const struct address *client,
    struct instant first, struct instant last, uint32_t total, uint64_t frame);
/* Settle anew whether IP IDs tell stacks apart. */
void server_judge_ids(struct server *);

#endif
