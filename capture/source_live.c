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

enum {
	BUFFER_BYTES = 64 << 20,	/* 50 ms at 10 Gbit/s */
	BLOCK_MS = 100,			/* a block is handed over by then */
	/* Hand-over and our own waking come late on a busy machine. */
	HOLD_MS = 2 * BLOCK_MS,
	IDLE_LAG_MS = 5 * BLOCK_MS,
	HOLD_POLL_MS = 10,
};

struct port {
	char *name;
	pcap_t *pcap;
	int64_t ns_per_unit;		/* of its time stamps' fraction */
	bool pending;			/* `frame` waits to be handed out */
	struct frame frame;
	struct pcap_stat seen;		/* counted so far; libpcap's wrap */
	uint64_t dropped_kernel, dropped_interface;
};

struct live {
	struct port *port;
	struct pollfd *poll;
	size_t count;
	uint64_t bytes_read;
};

static struct instant
wall_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (struct instant){ t.tv_sec * NS_PER_S + t.tv_nsec };
}

/* 1 with a frame pending, 0 without, -1 when the interface failed. */
static int
fetch(struct port *p)
{
	struct frame *f = &p->frame;
	struct pcap_pkthdr *h;
	const u_char *data;
	int status;

	if (p->pending)
		return 1;
	status = pcap_next_ex(p->pcap, &h, &data);
	if (status == 0)
		return 0;
	if (status != 1)
		return -1;
	f->time.ns = h->ts.tv_sec * NS_PER_S + h->ts.tv_usec * p->ns_per_unit;
	f->captured_bytes = h->caplen;
	f->wire_bytes = h->len < h->caplen ? h->caplen : h->len;
	f->data = data;
	f->number++;
	p->pending = true;
	return 1;
}

/* The port with the earliest pending frame, and how many have one. */
static struct port *
earliest(struct live *l, size_t *pending)
{
	struct port *first = NULL;

	*pending = 0;
	for (size_t i = 0; i < l->count; i++) {
		struct port *p = &l->port[i];

		if (!p->pending)
			continue;
		++*pending;
		if (!first || instant_before(p->frame.time, first->frame.time))
			first = p;
	}
	return first;
}

static enum source_result
idle(struct frame *f)
{
	memset(f, 0, sizeof(*f));
	f->time = instant_plus(wall_clock(), -(int64_t)IDLE_LAG_MS * NS_PER_MS);
	return SOURCE_IDLE;
}

static enum source_result
hand_out(struct live *l, struct port *p, struct frame *f)
{
	*f = p->frame;
	p->pending = false;
	l->bytes_read += f->captured_bytes;
	return SOURCE_FRAME;
}

static bool
may_be_preceded(const struct live *l, const struct port *p, size_t pending)
{
	return pending < l->count && instant_since(wall_clock(),
	    p->frame.time) < (int64_t)HOLD_MS * NS_PER_MS;
}

static enum source_result
live_next(struct source *src, void *state, struct frame *f)
{
	struct live *l = state;
	struct port *p;
	size_t pending;
	int ready;

	while (!atomic_load_explicit(&src->stopped, memory_order_relaxed)) {
		for (size_t i = 0; i < l->count; i++) {
			if (fetch(&l->port[i]) >= 0)
				continue;
			snprintf(src->error, sizeof(src->error),
			    "'%.100s' can no longer be watched: %.200s",
			    l->port[i].name, pcap_geterr(l->port[i].pcap));
			return SOURCE_FAILED;
		}
		p = earliest(l, &pending);
		if (p && !may_be_preceded(l, p, pending))
			return hand_out(l, p, f);
		ready = poll(l->poll, l->count, p ? HOLD_POLL_MS : BLOCK_MS);
		if (ready < 0 && errno != EINTR) {
			snprintf(src->error, sizeof(src->error),
			    "cannot wait for frames: %s", strerror(errno));
			return SOURCE_FAILED;
		}
		if (ready <= 0 && !p)
			return idle(f);
	}
	return SOURCE_END;
}

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
		struct port *p = &l->port[i];
		struct pcap_stat now;

		if (pcap_stats(p->pcap, &now) == 0) {
			p->dropped_kernel += now.ps_drop - p->seen.ps_drop;
			p->dropped_interface +=
			    now.ps_ifdrop - p->seen.ps_ifdrop;
			p->seen = now;
		}
		out->dropped_kernel += p->dropped_kernel;
		out->dropped_interface += p->dropped_interface;
	}
	out->bytes_read = l->bytes_read;
}

static void
live_free(void *state)
{
	struct live *l = state;

	for (size_t i = 0; l->port && i < l->count; i++) {
		if (l->port[i].pcap)
			pcap_close(l->port[i].pcap);
		free(l->port[i].name);
	}
	free(l->port);
	free(l->poll);
	free(l);
}

static const struct source_kind live_kind = {
	.next = live_next,
	.name = live_name,
	.count = live_count,
	.stats = live_stats,
	.free = live_free,
};

static int
cannot_watch(const struct port *p, int status, char err[SOURCE_ERROR_BYTES])
{
	bool denied = status == PCAP_ERROR_PERM_DENIED ||
	    status == PCAP_ERROR_PROMISC_PERM_DENIED;
	const char *detail = pcap_geterr(p->pcap);

	snprintf(err, SOURCE_ERROR_BYTES, "cannot watch '%.100s': %.250s%s",
	    p->name, *detail ? detail : pcap_statustostr(status), denied ?
	    " (it takes root, or the capability cap_net_raw)" : "");
	return -1;
}

/* Every option is a wish that an odd interface may refuse; only what fails at
 * the end is an error. */
static int
activate(struct port *p, char err[SOURCE_ERROR_BYTES])
{
	int status;

	pcap_set_snaplen(p->pcap, FRAME_BYTES_MAX);
	pcap_set_promisc(p->pcap, 1);
	pcap_set_timeout(p->pcap, BLOCK_MS);
	pcap_set_immediate_mode(p->pcap, 0);
	pcap_set_buffer_size(p->pcap, BUFFER_BYTES);
	pcap_set_tstamp_precision(p->pcap, PCAP_TSTAMP_PRECISION_NANO);
	status = pcap_activate(p->pcap);
	if (status < 0)
		return cannot_watch(p, status, err);
	if (status > 0)
		log_note("'%s': %s", p->name, pcap_statustostr(status));
	p->ns_per_unit = pcap_get_tstamp_precision(p->pcap) ==
	    PCAP_TSTAMP_PRECISION_NANO ? 1 : NS_PER_US;
	p->frame.link_type = pcap_datalink(p->pcap);
	return 0;
}

static int
set_filter(struct port *p, const char *filter, char err[SOURCE_ERROR_BYTES])
{
	struct bpf_program program;
	int status;

	if (!filter)
		return 0;
	status = pcap_compile(p->pcap, &program, filter, 1,
	    PCAP_NETMASK_UNKNOWN);
	if (status == 0) {
		status = pcap_setfilter(p->pcap, &program);
		pcap_freecode(&program);
	}
	if (status)
		snprintf(err, SOURCE_ERROR_BYTES, "filter '%.200s': %.200s",
		    filter, pcap_geterr(p->pcap));
	return status ? -1 : 0;
}

static int
port_open(struct port *p, const char *name, const char *filter,
    struct pollfd *fd, char err[SOURCE_ERROR_BYTES])
{
	char why[PCAP_ERRBUF_SIZE] = "";

	p->name = strdup(name);
	if (!p->name) {
		snprintf(err, SOURCE_ERROR_BYTES, "out of memory");
		return -1;
	}
	p->pcap = pcap_create(name, why);
	if (!p->pcap) {
		snprintf(err, SOURCE_ERROR_BYTES, "cannot watch '%.100s': %s",
		    name, why);
		return -1;
	}
	if (activate(p, err) || set_filter(p, filter, err))
		return -1;
	fd->fd = pcap_get_selectable_fd(p->pcap);
	fd->events = POLLIN;
	if (fd->fd < 0 || pcap_setnonblock(p->pcap, 1, why)) {
		snprintf(err, SOURCE_ERROR_BYTES,
		    "cannot watch '%.100s' beside others: %s", name, why);
		return -1;
	}
	return 0;
}

int
source_open_interfaces(const char *const *names, size_t count,
    const char *filter, struct source **out, char err[SOURCE_ERROR_BYTES])
{
	struct live *l = calloc(1, sizeof(*l));

	*out = NULL;
	if (!l)
		goto no_memory;
	l->port = calloc(count ? count : 1, sizeof(*l->port));
	l->poll = calloc(count ? count : 1, sizeof(*l->poll));
	if (!l->port || !l->poll)
		goto no_memory;
	for (; l->count < count; l->count++) {
		struct port *p = &l->port[l->count];

		p->frame.file = (uint32_t)l->count;
		if (port_open(p, names[l->count], filter, &l->poll[l->count],
		    err)) {
			l->count++;	/* to be freed as far as it got */
			goto fail;
		}
	}
	*out = source_new(&live_kind, l);
	if (*out)
		return 0;
no_memory:
	snprintf(err, SOURCE_ERROR_BYTES, "out of memory");
fail:
	if (l)
		live_free(l);
	return -1;
}
