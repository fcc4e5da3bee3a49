/* session_leak.c - sessions pile up on a server that no client uses any more.
 *
 * Each single one is an orphaned session; here it is their number that counts,
 * and that it only ever grows, over hours. What it costs is nonpaged pool, of
 * which a 32-bit Windows 2003 has 256 MB at most (128 MB with /3GB). */
#include "detectors/detector.h"

#include <string.h>

extern const struct detector detector_session_leak;

static bool
is_held(const struct finding *x)
{
	return x->name == FINDING_orphaned_session && !x->retracted && x->kind &&
	    (strcmp(x->kind, "server_never_closed") == 0 ||
	    strcmp(x->kind, "client_vanished") == 0);
}

/* Hours are at stake: once a minute will do. */
static bool
is_due(const struct judge *j, struct server *s)
{
	uintptr_t minute = (uintptr_t)(j->now.ns / (60 * NS_PER_S));
	void **last = &s->detector_state[FINDING_session_leak];

	if ((uintptr_t)*last == minute && !j->finishing)
		return false;
	*last = (void *)minute;
	return true;
}

static void
review_server(void *state, struct judge *j, struct server *s)
{
	struct instant first = { 0 }, last = { 0 };
	uint64_t held = 0;
	struct finding *x;
	double hours;

	(void)state;
	if (!is_due(j, s))
		return;
	for (x = s->findings; x; x = x->next_of_server) {
		if (!is_held(x))
			continue;
		held++;
		if (!instant_is_set(first) || instant_before(x->first_seen, first))
			first = x->first_seen;
		if (instant_before(last, x->first_seen))
			last = x->first_seen;
	}
	hours = seconds_of(instant_since(last, first)) / 3600;
	if ((double)held < j->limit->leak_min_sessions ||
	    hours < j->limit->leak_hours)
		return;
	x = finding_raise(j, &detector_session_leak, NULL, s, NULL, 0);
	x->severity = SEVERITY_MEDIUM;
	x->confidence = 0.75;
	x->side = FAULT_SERVER;
	x->count = held;
	finding_time(x, first);
	finding_time(x, last);
	for (struct finding *h = s->findings; h; h = h->next_of_server)
		if (is_held(h) && h->frame_count)
			finding_frame(x, h->frame[0]);
	finding_metric(x, "sessions_held", (double)held);
	finding_metric(x, "hours", hours);
	finding_metric(x, "per_hour", (double)held / hours);
	finding_say(x, "%u sessions that their clients left were never closed by "
	    "the server, over %.1f hours (%.1f an hour): each goes on holding "
	    "nonpaged pool", (unsigned)held, hours, (double)held / hours);
}

const struct detector detector_session_leak = {
	.finding = FINDING_session_leak,
	.meaning = "The server keeps sessions that no client uses any more, and "
	    "their number grows until its nonpaged pool is used up.",
	.decided = "At least leak_min_sessions (20) sessions that their clients "
	    "closed or left and the server did not let go, begun over at least "
	    "leak_hours (1 h).",
	.mimics = "A burst of clients that crashed at once (not spread over "
	    "hours), a load peak that recovers.",
	.source = "KB 948496 (inactive Outlook connections are not cleaned up; "
	    "low nonpaged pool); KB 917936",
	.review_server = review_server,
};
