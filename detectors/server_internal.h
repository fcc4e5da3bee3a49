/* server_internal.h - how the registry writes struct server; detectors read it
 * through server.h. */
#ifndef DETECTORS_SERVER_INTERNAL_H
#define DETECTORS_SERVER_INTERNAL_H

#include "detectors/detector.h"

enum { SERVICES_MAX = 512 };

/* What it holds is freed, not the record itself. */
void server_release(struct server *);
void server_free(struct server **);
/* A new outcome, cleared, the server's last; NULL: no room, or no memory. */
struct outcome *server_new_outcome(struct server *);
/* The place of a service (server_service) in s->place, from 1; 0: none. It stays. */
uint16_t server_service_number(struct server *, uint8_t protocol, uint16_t port,
    bool make);
/* To write to: made if new. NULL: no memory. */
struct outcome_more *outcome_have_more(struct outcome *);
/* Between two steps: drop what ended well long ago. */
void server_forget_outcomes(struct server *);
/* The server served this flow at `at`: data, or new data acknowledged. */
void server_note_served(struct server *, uint64_t flow_id, struct instant at);
/* What the host did from `since` to the present: its newest second, or more of
 * it. Notes an outage that it ended. */
void server_close_second(struct server *, const struct host_counts *,
    struct instant since);
/* A client of the server was heard at `t`; true if for the first time in that
 * second. `at` is where it was found last, for this function alone to tell; 0: not
 * yet. `sure`: it has a connection; mere SYNs may bear a forged address and
 * fill no more than half of the places. */
bool server_client_heard(struct server *, const struct address *, uint32_t *at,
    struct instant t, bool sure);
/* Have fetched from memory what finds the client and the service of a flow; and,
 * that being at hand, where they are, or would be (the client if it was `heard` of,
 * else it is not asked for). */
void server_flow_fetch(const struct server *, const struct flow *);
void server_client_fetch(const struct server *, const struct flow *, bool heard);
/* ... its newest second. */
void server_second_fetch(const struct server *);
/* The server sent this client an unasked datagram (`total` of them by now). */
void server_note_push(struct server *, const struct address *client,
    struct instant first, struct instant last, uint32_t total, uint64_t frame);
/* Settle anew whether IP IDs tell stacks apart. */
void server_judge_ids(struct server *);

#endif
