/* session_leak.c - sessions pile up on a server that no client uses any more.
 *
 * Each single one is an orphaned session; here it is their number that counts,
 * and that it only ever grows, over hours. What it costs is nonpaged pool. The
 * hard part is to say how much: the wire does not show it, and Microsoft
 * publishes no figure for a connection, so the estimate says what it assumes and
 * how far off it may be, and what speaks against the pool as the trouble. */
#include "detectors/detector.h"

#include <stdio.h>
#include <string.h>

extern const struct detector detector_session_leak;

/* Bytes of nonpaged pool that one session holds. The range is from the TCP
 * control block alone (0.5 KB: "Windows TCP/IP max limit", smallvoid.com) to all
 * that a socket in use takes (10 KB: 256 MB for at most 25,000 sockets, by
 * SocketTools' knowledge base, "Maximum Socket Connections"). In between, an
 * assumption: control block, AFD endpoint, file object and a pending receive of
 * an idle connection, 2 KB. */
enum { SESSION_LEAST = 512, SESSION_BYTES = 2048, SESSION_MOST = 10240 };

/* The most that 32-bit Windows Server 2003 gives the nonpaged pool: 256 MB, and
 * 128 MB with /3GB ("Memory Limits for Windows Releases", learn.microsoft.com;
 * "How to monitor and troubleshoot the use of nonpaged pool memory in Exchange
 * Server 2003", M. Lagase). */
enum { MIB = 1 << 20, POOL_MIB = 256, POOL_3GB_MIB = 128 };

struct leak {
	uint64_t held;
	struct instant first, last;
	double hours;
};

static bool
is_held(const struct finding *x)
{
	return x->name == FINDING_orphaned_session && !x->retracted && x->kind &&
	    (strcmp(x->kind, "server_never_closed") == 0 ||
	    strcmp(x->kind, "client_vanished") == 0);
}

static struct leak
leak_of(const struct server *s)
{
	struct leak l = { 0 };

	for (const struct finding *x = s->findings; x; x = x->next_of_server) {
		if (!is_held(x))
			continue;
		l.held++;
		if (!instant_is_set(l.first) ||
		    instant_before(x->first_seen, l.first))
			l.first = x->first_seen;
		if (instant_before(l.last, x->first_seen))
			l.last = x->first_seen;
	}
	l.hours = seconds_of(instant_since(l.last, l.first)) / 3600;
	return l;
}

/* "1.2 MB" of 2^20, "240 KB" of 2^10 bytes, as Windows counts. */
enum { BYTES_TEXT = 32 };

static const char *
bytes_text(double bytes, char out[BYTES_TEXT])
{
	if (bytes >= MIB)
		snprintf(out, BYTES_TEXT, "%.*f MB", bytes < 10.0 * MIB,
		    bytes / MIB);
	else
		snprintf(out, BYTES_TEXT, "%.0f KB", bytes / 1024);
	return out;
}

/* A system named in the configuration that has no such pool, or no such limit. */
static bool
has_small_pool(const struct server *s)
{
	return !s->system || !*s->system || !strcmp(s->system, "windows-2003") ||
	    !strcmp(s->system, "windows");
}

static void
put_metrics(struct finding *x, const struct leak *l, double pool)
{
	double limit = (double)POOL_MIB * MIB, held = (double)l->held;

	finding_metric(x, "sessions_held", held);
	finding_metric(x, "hours", l->hours);
	finding_metric(x, "per_hour", held / l->hours);
	finding_metric(x, "bytes_per_session_assumed", SESSION_BYTES);
	finding_metric(x, "pool_bytes", pool);
	finding_metric(x, "pool_bytes_least", held * SESSION_LEAST);
	finding_metric(x, "pool_bytes_most", held * SESSION_MOST);
	finding_metric(x, "share_of_256_mb", pool / limit);
	finding_metric(x, "share_of_128_mb_3gb",
	    pool / ((double)POOL_3GB_MIB * MIB));
	finding_metric(x, "days_to_fill_256_mb",
	    limit / pool * l->hours / 24);
}

static void
say_pool(struct finding *x, const struct leak *l, double pool)
{
	double held = (double)l->held, days, soonest;
	char sum[BYTES_TEXT], least[BYTES_TEXT], most[BYTES_TEXT];

	finding_say(x, "%.0f sessions that their clients left were never closed "
	    "by the server, over %.1f hours (%.1f an hour). Nonpaged pool: "
	    "%.0f x 2 KB (assumed; 0.5 to 10 KB) = %s (%s to %s), %.2g %% of the "
	    "256 MB of 32-bit Windows Server 2003, %.2g %% of 128 MB with /3GB",
	    held, l->hours, held / l->hours, held,
	    bytes_text(pool, sum), bytes_text(held * SESSION_LEAST, least),
	    bytes_text(held * SESSION_MOST, most),
	    100 * pool / ((double)POOL_MIB * MIB),
	    100 * pool / ((double)POOL_3GB_MIB * MIB));
	days = (double)POOL_MIB * MIB / pool * l->hours / 24;
	soonest = (double)POOL_3GB_MIB * MIB / (held * SESSION_MOST) *
	    l->hours / 24;
	if (soonest > 1)
		finding_against(x, "2 KB a session is an assumption, no figure is "
		    "published; at this rate these sessions alone take %.0f days "
		    "to fill 256 MB (at the very least %.0f to fill 128 MB): a "
		    "pool that runs low sooner has other takers, too", days,
		    soonest);
	else
		finding_against(x, "2 KB a session is an assumption, no figure is "
		    "published: 0.5 KB is the TCP control block alone, 10 KB all "
		    "that a socket in use takes");
}

static void
review_server(void *state, struct judge *j, struct server *s)
{
	struct finding *x;
	struct leak l;
	double pool;

	(void)state;
	if (!(s->found >> FINDING_orphaned_session & 1) ||
	    s->finding_count[FINDING_orphaned_session] <
	    j->limit->leak_min_sessions) {
		judge_settled(j);
		return;
	}
	l = leak_of(s);
	if ((double)l.held < j->limit->leak_min_sessions ||
	    l.hours <= 0 || l.hours < j->limit->leak_hours) {
		judge_settled(j);
		return;
	}
	x = finding_raise(j, &detector_session_leak, NULL, s, NULL, 0);
	x->severity = SEVERITY_MEDIUM;
	x->confidence = 0.75;
	x->side = FAULT_SERVER;
	x->count = l.held;
	finding_time(x, l.first);
	finding_time(x, l.last);
	for (struct finding *h = s->findings; h; h = h->next_of_server)
		if (is_held(h) && h->frame_count)
			finding_frame(x, h->frame[0]);
	pool = (double)l.held * SESSION_BYTES;
	if (has_small_pool(s)) {
		put_metrics(x, &l, pool);
		say_pool(x, &l, pool);
		return;
	}
	finding_metric(x, "sessions_held", (double)l.held);
	finding_metric(x, "hours", l.hours);
	finding_metric(x, "per_hour", (double)l.held / l.hours);
	finding_say(x, "%.0f sessions that their clients left were never closed "
	    "by the server, over %.1f hours (%.1f an hour): each goes on holding "
	    "kernel memory", (double)l.held, l.hours, (double)l.held / l.hours);
}

const struct detector detector_session_leak = {
	.finding = FINDING_session_leak,
	.meaning = "The server keeps sessions that no client uses any more, and "
	    "their number grows until its nonpaged pool is used up.",
	.decided = "At least leak_min_sessions (20) sessions that their clients "
	    "closed or left and the server did not let go, begun over at least "
	    "leak_hours (1 h). What they hold of the pool is sessions x 2 KB, an "
	    "assumption: no figure is published for a connection; the range is from "
	    "the TCP control block alone (0.5 KB) to all that a socket in use takes "
	    "(10 KB). A connection whose data nobody reads may hold its receive "
	    "window (17 KB) beyond that. The pool ends at 256 MB on 32-bit Windows "
	    "Server 2003, at 128 MB with /3GB; HTTP.sys, and with it RPC over HTTP, "
	    "takes no new connection when less than 20 MB are left (KB 934878).",
	.mimics = "A burst of clients that crashed at once (not spread over "
	    "hours), a load peak that recovers. That the pool itself runs low (SYNs "
	    "dropped, small windows on all connections at once) looks like load or "
	    "a full backlog from outside and is not judged: read \\Memory\\Pool "
	    "Nonpaged Bytes, or poolmon, on the server.",
	.source = "KB 948496 (inactive Outlook connections are not cleaned up; "
	    "low nonpaged pool); KB 917936; Memory Limits for Windows Releases "
	    "(Microsoft); KB 934878; Network Programming for Microsoft Windows, 2nd "
	    "edition, chapter 6 (unread data is held in nonpaged pool)",
	/* hours are at stake */
	.servers = SERVER_EACH_MINUTE,
	.review_server = review_server,
};
