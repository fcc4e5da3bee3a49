/* follow.c - those who follow events: answers that do not end.
 *
 * The library asks for more as soon as the last piece is out, so one for whom
 * there is nothing is suspended until there is. The hard part is that the library
 * does not look at a suspended connection: whether its other end is still there
 * is asked each second. */
#include "web/server_internal.h"

#include <stdlib.h>
#include <sys/socket.h>

enum {
	HEARTBEAT_S = 12,		/* below IDLE_S, and what proxies allow */
	STREAM_BLOCK_BYTES = 8192,
};

/* One who follows events. */
struct follower {
	struct follower *next, **place;	/* in the list of all */
	struct web *web;
	struct MHD_Connection *connection;
	struct link *link;
	struct viewer viewer;
	bool suspended;			/* until there is news */
	time_t busy_since;		/* not suspended since then */
};

static void
suspend(struct follower *f)
{
	MHD_suspend_connection(f->connection);
	f->suspended = true;
}

static void
resume(struct follower *f)
{
	if (!f->suspended)
		return;
	f->suspended = false;
	f->busy_since = web_seconds();
	MHD_resume_connection(f->connection);
}

void
web_resume_all(struct web *web)
{
	for (struct follower *f = web->followers; f; f = f->next)
		resume(f);
}

void
web_resume_those_with_news(struct web *web)
{
	for (struct follower *f = web->followers; f; f = f->next)
		if (f->suspended && viewer_has_news(&f->viewer, web->stream))
			resume(f);
}

static ssize_t
read_events(void *context, uint64_t position, char *out, size_t room)
{
	struct follower *f = context;
	size_t n = viewer_read(&f->viewer, f->web->stream, out, room);

	(void)position;
	if (n == 0)
		suspend(f);
	return (ssize_t)n;
}

static void
end_follower(void *context)
{
	struct follower *f = context;

	*f->place = f->next;
	if (f->next)
		f->next->place = f->place;
	f->web->api.figures.viewers--;
	viewer_end(&f->viewer);
	free(f);
}

static struct follower *
follower_new(struct web *web, struct MHD_Connection *c, const char *mark)
{
	struct follower *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	*f = (struct follower){ .next = web->followers, .place = &web->followers,
		.web = web, .connection = c, .link = web_link(c),
		.busy_since = web_seconds() };
	if (f->next)
		f->next->place = &f->next;
	web->followers = f;
	web->api.figures.viewers++;
	viewer_begin(&f->viewer, web->stream, mark);
	return f;
}

enum MHD_Result
web_follow(struct web *web, struct MHD_Connection *c, const char *mark)
{
	static const struct cover cover = { .type = "text/event-stream",
		.cache = "no-store", .key = "X-Accel-Buffering", .value = "no" };
	struct MHD_Response *r;
	struct follower *f;

	if (web->api.figures.viewers >= FOLLOWERS_MAX)
		return web_refuse(web, c, "/api/", MHD_HTTP_SERVICE_UNAVAILABLE,
		    "Too many follow the events already.", "Retry-After", "10");
	f = follower_new(web, c, mark);
	if (!f)
		return MHD_NO;
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
	    STREAM_BLOCK_BYTES, read_events, f, end_follower);
	if (!r)
		end_follower(f);
	else if (f->link)
		f->link->waits = true;
	return web_send(c, MHD_HTTP_OK, r, &cover);
}

static bool
is_gone(const struct follower *f)
{
	char byte;

	return f->link && recv(f->link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT)
	    == 0;
}

void
web_tick_followers(struct web *web, time_t now)
{
	bool beat = now % HEARTBEAT_S == 0;

	for (struct follower *f = web->followers; f; f = f->next) {
		if (!f->suspended) {
			if (f->link && now - f->busy_since > REQUEST_S)
				(void)shutdown(f->link->fd, SHUT_RDWR);
			continue;
		}
		f->viewer.heartbeat = beat || is_gone(f);
		if (f->viewer.heartbeat)
			resume(f);
	}
}
