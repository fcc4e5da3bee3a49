/* source_live.c - frames from one interface, or from several as one stream.
 *
 * The hard part is time. The kernel hands frames over in blocks, each
 * interface at a moment of its own, so a frame that is there need not be the
 * next: with several interfaces it waits until every one of them has one, or
 * until none of them can still bring an earlier one. For the same reason an
 * idle tick names a time that has passed by more than a block can take. */
#include "capture/source.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/log.h"
#include "capture/source_internal.h"
#include "capture/source_port.h"

enum {
	/* Hand-over and our own waking come late on a busy machine. */
	HOLD_MS = 2 * PORT_BLOCK_MS,
	IDLE_LAG_MS = 5 * PORT_BLOCK_MS,
	HOLD_POLL_MS = 10,
	LOOK_MS = 250,			/* at counters and notices */
	ASK_MS = 1000,			/* the kernel, of each interface */
	MERGING_MS = 60000,
	CLOCK_SET_MS = 1000,		/* no clock is steered by so much at once */
};

struct live {
	struct live_options options;
	char *filter;
	struct port *port;
	struct pollfd *poll;		/* one a port, and the kernel's notices */
	size_t count;
	struct nic_watch watch;
	bool broken;			/* a SOURCE_BREAK is due, once all */
	struct instant break_at;	/* that is older was handed out */
	int64_t looked_ns, asked_ns, merging_ns;
	int64_t clock_apart_ns;		/* wall clock, from the monotonic one */
	uint64_t bytes_read;
};

static int64_t
clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static struct instant
wall_clock(void)
{
	return (struct instant){ clock_ns(CLOCK_REALTIME) };
}

/* How far the wall clock is from one that nobody sets. Both have to be asked at once:
 * not with a stop of this process in between. */
static int64_t
clock_apart_ns(void)
{
	int64_t before, wall, after;

	do {
		before = clock_ns(CLOCK_MONOTONIC);
		wall = clock_ns(CLOCK_REALTIME);
		after = clock_ns(CLOCK_MONOTONIC);
	} while (after - before > CLOCK_SET_MS / 10 * NS_PER_MS);
	return wall - after;
}

/* Nothing that was stamped by then is still on its way. What lies ahead was
 * stamped before the clock was set back. */
static bool
is_past(struct instant t)
{
	int64_t ago = instant_since(wall_clock(), t);

	return ago >= HOLD_MS * NS_PER_MS || ago < -HOLD_MS * NS_PER_MS;
}

/* Asked after frames were fetched: was the clock set (or the machine asleep)
 * since the last time? Set ahead, it would have everybody wait for as long who was
 * waiting then: what was open ends with the frames of the old clock. Set back, it
 * is outrun (intake.c). */
static void
note_clock(struct live *l)
{
	int64_t apart = clock_apart_ns();
	int64_t set = apart - l->clock_apart_ns;

	l->clock_apart_ns = apart;
	if (set > -CLOCK_SET_MS * NS_PER_MS && set < CLOCK_SET_MS * NS_PER_MS)
		return;
	if (set < 0) {
		log_warn("the machine's clock was set back by %.0f s: what is found "
		    "from now on is dated by what it was", -seconds_of(set));
		return;
	}
	log_warn("the machine's clock was set ahead by %.0f s, or it slept: what "
	    "was open then is not judged", seconds_of(set));
	l->broken = true;
	l->break_at = instant_plus(wall_clock(),
	    CLOCK_SET_MS / 2 * NS_PER_MS - set);
}

/* Looking after the interfaces ------------------------------------------------- */

static struct port *
port_numbered(struct live *l, int index)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->port[i].pcap && l->port[i].nic.index == index)
			return &l->port[i];
	return NULL;
}

/* A port whose state changed has left frames unseen, or will: what older frames
 * began, on other ports too, ends here. */
static void
note_change(struct live *l, const struct port *p, bool was_watched)
{
	if (was_watched == (p->state == PORT_WATCHED))
		return;
	l->broken = true;
	l->break_at = wall_clock();
}

static void
check(struct live *l, struct port *p, const struct nic *fresh, int64_t now)
{
	bool was = p->state == PORT_WATCHED;

	port_check(p, &l->watch, fresh, now);
	note_change(l, p, was);
}

static void
take_notices(struct live *l, int64_t now)
{
	struct nic told;
	struct port *p;
	int status;

	while ((status = nic_next(&l->watch, &told)) > 0) {
		if ((p = port_numbered(l, told.index)))
			check(l, p, &told, now);
		else
			l->asked_ns = 0;	/* one that was gone, perhaps */
	}
	if (status < 0)
		l->asked_ns = 0;	/* some got lost: ask */
}

static void
look_after(struct live *l)
{
	int64_t now = clock_ns(CLOCK_MONOTONIC);

	if (now - l->looked_ns < LOOK_MS * NS_PER_MS)
		return;
	l->looked_ns = now;
	take_notices(l, now);
	for (size_t i = 0; i < l->count; i++)
		port_count(&l->port[i], now);
	if (now - l->asked_ns >= ASK_MS * NS_PER_MS) {
		l->asked_ns = now;
		for (size_t i = 0; i < l->count; i++)
			check(l, &l->port[i], NULL, now);
	}
	if (now - l->merging_ns >= MERGING_MS * NS_PER_MS) {
		l->merging_ns = now;
		for (size_t i = 0; i < l->count; i++)
			port_check_merging(&l->port[i]);
	}
}

/* Fetch what the ports have, where nothing is in hand. True if some came. */
static bool
fetch(struct live *l, struct port *p)
{
	bool was = p->state == PORT_WATCHED;

	if (p->next < p->count)
		return true;
	if (port_fetch(p, l->looked_ns))
		return true;
	note_change(l, p, was);
	return false;
}

/* One stream ------------------------------------------------------------------- */

/* The port with the earliest frame in hand, if each port that can has one, or
 * this one waited long enough; `held`: there is one, and it has to wait. */
static struct port *
earliest(struct live *l, bool *held)
{
	struct port *first = NULL;
	bool all = true;

	*held = false;
	for (size_t i = 0; i < l->count; i++) {
		struct port *p = &l->port[i];

		/* one that just went down may still have some in its buffer */
		if (!fetch(l, p))
			all &= p->state != PORT_WATCHED && !l->broken;
		else if (!first || instant_before(port_frame(p)->time,
		    port_frame(first)->time))
			first = p;
	}
	note_clock(l);
	if (!first || all || is_past(port_frame(first)->time))
		return first;
	*held = true;
	return NULL;
}

static enum source_result
hand_out(struct live *l, struct port *p, struct frame *f)
{
	*f = p->frame[p->next++];
	l->bytes_read += f->captured_bytes;
	return SOURCE_FRAME;
}

static enum source_result
tick(struct frame *f)
{
	memset(f, 0, sizeof(*f));
	f->time = instant_plus(wall_clock(), -IDLE_LAG_MS * NS_PER_MS);
	return SOURCE_IDLE;
}

/* What else is in hand and sure to be next; nothing is fetched, which would
 * take the bytes of the frames before. */
static size_t
live_more(struct source *src, void *state, struct frame *f, size_t max)
{
	struct live *l = state;
	size_t n = 0;

	(void)src;
	while (n < max && !l->broken) {
		struct port *first = NULL;

		for (size_t i = 0; i < l->count; i++) {
			struct port *p = &l->port[i];

			if (p->next == p->count && p->state == PORT_WATCHED)
				return n;
			if (p->next < p->count && (!first || instant_before(
			    port_frame(p)->time, port_frame(first)->time)))
				first = p;
		}
		if (!first)
			return n;
		hand_out(l, first, &f[n++]);
	}
	return n;
}

/* Is the break what comes next, before the frame of `p` (or NULL)? */
static bool
is_broken_here(const struct live *l, const struct port *p)
{
	if (!l->broken)
		return false;
	if (p)
		return !instant_before(port_frame(p)->time, l->break_at);
	return is_past(l->break_at);
}

static enum source_result
take_break(struct live *l, struct frame *f)
{
	l->broken = false;
	memset(f, 0, sizeof(*f));
	f->time = l->break_at;
	return SOURCE_BREAK;
}

/* Until a frame or a notice comes, or the time is over: what poll() says. */
static int
wait(struct live *l, int ms)
{
	for (size_t i = 0; i < l->count; i++)
		l->poll[i].fd = l->port[i].fd;
	return poll(l->poll, l->count + 1, ms);
}

static enum source_result
live_next(struct source *src, void *state, struct frame *f)
{
	struct live *l = state;
	struct port *p = &l->port[0];
	bool held;
	int ready;

	/* the common case: the next of a batch */
	if (l->count == 1 && p->next < p->count && !l->broken)
		return hand_out(l, p, f);
	while (!atomic_load_explicit(&src->stopped, memory_order_relaxed)) {
		look_after(l);
		p = earliest(l, &held);
		if (is_broken_here(l, p))
			return take_break(l, f);
		if (p)
			return hand_out(l, p, f);
		ready = wait(l, held ? HOLD_POLL_MS : PORT_BLOCK_MS);
		if (ready < 0 && errno != EINTR) {
			snprintf(src->error, sizeof(src->error),
			    "cannot wait for frames: %s", strerror(errno));
			return SOURCE_FAILED;
		}
		if (l->poll[l->count].revents)
			l->looked_ns = 0;
		if (ready <= 0 && !held)
			return tick(f);
	}
	return SOURCE_END;
}

/* What is known of it ------------------------------------------------------------ */

static const char *
live_name(const void *state, uint32_t file)
{
	const struct live *l = state;

	return file < l->count ? l->port[file].name : "";
}

static size_t
live_count(const void *state)
{
	return ((const struct live *)state)->count;
}

static void
live_stats(void *state, struct source_stats *out)
{
	struct live *l = state;

	for (size_t i = 0; i < l->count; i++) {
		out->dropped_kernel += l->port[i].kernel.total;
		out->dropped_interface += l->port[i].interface.total;
		out->dropped_own += l->port[i].own;
		out->blind += l->port[i].state != PORT_WATCHED;
	}
	if (l->broken && !out->blind)
		out->blind = 1;		/* it was, for the next frames */
	out->bytes_read = l->bytes_read;
}

static bool
live_interface(const void *state, size_t i, struct source_interface *out)
{
	const struct live *l = state;
	const struct port *p = &l->port[i];

	if (i >= l->count)
		return false;
	out->name = p->name;
	out->state = port_state_text(p->state);
	out->frames = p->template.number;
	out->dropped_kernel = p->kernel.total;
	out->dropped_interface = p->interface.total;
	out->dropped_own = p->own;
	memcpy(out->merging, p->merging, sizeof(out->merging));
	return true;
}

static void
live_stopped(void *state)
{
	struct live *l = state;

	/* a block that is not full is handed over only after a while */
	(void)poll(NULL, 0, HOLD_MS);
	for (size_t i = 0; i < l->count; i++)
		port_abandon(&l->port[i]);
}

static void
live_free(void *state)
{
	struct live *l = state;

	for (size_t i = 0; l->port && i < l->count; i++)
		port_close(&l->port[i]);
	nic_close(&l->watch);
	free(l->filter);
	free(l->port);
	free(l->poll);
	free(l);
}

static const struct source_kind live_kind = {
	.next = live_next,
	.more = live_more,
	.name = live_name,
	.count = live_count,
	.stats = live_stats,
	.interface = live_interface,
	.stopped = live_stopped,
	.free = live_free,
};

/* Opening -------------------------------------------------------------------------- */

static struct live *
live_new(size_t count, const struct live_options *o)
{
	struct live *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->watch = (struct nic_watch){ -1, -1 };
	l->clock_apart_ns = clock_apart_ns();
	if (o)
		l->options = *o;
	if (l->options.filter)
		l->options.filter = l->filter = strdup(l->options.filter);
	l->port = calloc(count ? count : 1, sizeof(*l->port));
	l->poll = calloc(count + 1, sizeof(*l->poll));
	if (l->port && l->poll && (l->filter || !o || !o->filter))
		return l;
	live_free(l);
	return NULL;
}

static int
open_ports(struct live *l, const char *const *names, size_t count,
    char err[SOURCE_ERROR_BYTES])
{
	if (nic_open(&l->watch)) {
		snprintf(err, SOURCE_ERROR_BYTES,
		    "cannot ask the kernel for its interfaces: %s",
		    strerror(errno));
		return -1;
	}
	l->poll[count] = (struct pollfd){ .fd = l->watch.tell,
		.events = POLLIN };
	while (l->count < count) {
		size_t i = l->count++;	/* to be freed as far as it gets */

		l->poll[i].events = POLLIN;
		if (port_open(&l->port[i], &l->watch, names[i], (uint32_t)i,
		    &l->options, clock_ns(CLOCK_MONOTONIC), err))
			return -1;
	}
	return 0;
}

int
source_open_interfaces(const char *const *names, size_t count,
    const struct live_options *options, struct source **out,
    char err[SOURCE_ERROR_BYTES])
{
	struct live *l = live_new(count, options);

	*out = NULL;
	if (l && open_ports(l, names, count, err)) {
		live_free(l);
		return -1;
	}
	*out = l ? source_new(&live_kind, l) : NULL;
	if (*out)
		return 0;
	snprintf(err, SOURCE_ERROR_BYTES, "out of memory");
	if (l)
		live_free(l);
	return -1;
}
