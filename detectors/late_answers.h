/* late_answers.h - services whose every answer comes late: the part of
 * reply_missing that needs no better times to compare with. */
#ifndef DETECTORS_LATE_ANSWERS_H
#define DETECTORS_LATE_ANSWERS_H

#include "detectors/detector.h"

struct late_answers;

struct late_answers *late_answers_new(void);	/* NULL: no memory */
void late_answers_free(struct late_answers **);
/* Packet phase: when the client asks again, and answers (APP_RESPONSE) as they come. */
void late_answers_delivery(struct late_answers *, const struct delivery *);
void late_answers_app(struct late_answers *, const struct app_event *);
/* Step phase: raise (or let go) reply_missing "late" for this server. False: no
 * more will be to say of it until it answers late once more. */
bool late_answers_review(struct late_answers *, struct judge *,
    struct server *);

#endif
