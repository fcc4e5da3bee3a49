/* source_port.c - one interface that is watched.
 *
 * The hard part is that an interface is not there for good. The kernel goes on
 * with a socket over down and up, and over another name, but not over a
 * removal; libpcap reports some of that as an error and some not at all. So the
 * state is taken from rtnetlink alone, any error of libpcap's is taken for a
 * removal, and what is gone is looked for by its name until it can be opened
 * again.
 *
 * libpcap gives a block of its ring back to the kernel while the last frame of
 * it is still in use. In an overload the kernel writes there at once, so frames
 * are copied inside libpcap's callback, when the block is surely still ours. */
#include "capture/source_port.h"

#include <stdlib.h>
#include <string.h>

#include "capture/log.h"
#include "capture/source_internal.h"

enum { DROPS_OVER_S = 10 };	/* so long without any, and they are over */

const char *
port_state_text(enum port_state s)
{
	static const char *const text[] = { "watched", "no_carrier", "down",
		"gone" };

	return text[s];
}

/* Opening ---------------------------------------------------------------------- */

static int
cannot_watch(const struct port *p, const char *name, int status,
    char err[SOURCE_ERROR_BYTES])
{
	const char *detail = pcap_geterr(p->pcap), *cure = "";
	char command[120] = "";

	if (!*detail)
		detail = pcap_statustostr(status);
	if (status == PCAP_ERROR_PERM_DENIED ||
	    status == PCAP_ERROR_PROMISC_PERM_DENIED)
		cure = " (it takes root, or the capability cap_net_raw)";
	else if (status == PCAP_ERROR_NO_SUCH_DEVICE)
		cure = " (toewatch -D lists the interfaces)";
	else if (status == PCAP_ERROR_IFACE_NOT_UP)
		snprintf(command, sizeof(command), " (ip link set %s up)",
		    name);
	snprintf(err, SOURCE_ERROR_BYTES, "cannot watch '%.100s': %.200s%s%s",
	    name, detail, cure, command);
	return -1;
}

/* Every option is a wish that an odd interface may refuse; only what fails at
 * the end is an error. */
static int
activate(struct port *p, const char *name, char err[SOURCE_ERROR_BYTES])
{
	const struct live_options *o = p->options;
	int status;

	pcap_set_snaplen(p->pcap, (int)(o->snap_bytes ? o->snap_bytes :
	    SOURCE_SNAP_BYTES));
	pcap_set_promisc(p->pcap, !o->only_own);
	pcap_set_timeout(p->pcap, PORT_BLOCK_MS);
	pcap_set_immediate_mode(p->pcap, 0);
	pcap_set_buffer_size(p->pcap, (int)(o->buffer_bytes ? o->buffer_bytes :
	    SOURCE_BUFFER_BYTES));
	pcap_set_tstamp_precision(p->pcap, PCAP_TSTAMP_PRECISION_NANO);
	status = pcap_activate(p->pcap);
	if (status < 0)
		return cannot_watch(p, name, status, err);
	if (status > 0)
		log_note("'%s': %s", name, pcap_statustostr(status));
	p->ns_per_unit = pcap_get_tstamp_precision(p->pcap) ==
	    PCAP_TSTAMP_PRECISION_NANO ? 1 : NS_PER_US;
	p->template.link_type = pcap_datalink(p->pcap);
	return 0;
}

static int
set_filter(struct port *p, char err[SOURCE_ERROR_BYTES])
{
	const char *filter = p->options->filter;
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

static void
stop_watching(struct port *p)
{
	if (p->pcap)
		pcap_close(p->pcap);
	p->pcap = NULL;
	p->fd = -1;
}

/* 0, or -1 with a sentence and nothing open. */
static int
start_watching(struct port *p, const char *name, char err[SOURCE_ERROR_BYTES])
{
	char why[PCAP_ERRBUF_SIZE] = "";

	p->pcap = pcap_create(name, why);
	memset(&p->counted, 0, sizeof(p->counted));
	snprintf(p->opened, sizeof(p->opened), "%s", name);
	p->went_down = false;
	if (!p->pcap) {
		snprintf(err, SOURCE_ERROR_BYTES, "cannot watch '%.100s': %.250s",
		    name, why);
		return -1;
	}
	if (activate(p, name, err) == 0 && set_filter(p, err) == 0) {
		p->fd = pcap_get_selectable_fd(p->pcap);
		if (p->fd >= 0 && pcap_setnonblock(p->pcap, 1, why) == 0)
			return 0;
		snprintf(err, SOURCE_ERROR_BYTES,
		    "cannot watch '%.100s' beside others: %.250s", name, why);
	}
	stop_watching(p);
	return -1;
}

static enum port_state
state_of(const struct nic *n)
{
	if (n->gone)
		return PORT_GONE;
	if (!n->up)
		return PORT_DOWN;
	return n->carrier ? PORT_WATCHED : PORT_NO_CARRIER;
}

int
port_open(struct port *p, const struct nic_watch *watch, const char *name,
    uint32_t file, const struct live_options *options, int64_t now_ns,
    char err[SOURCE_ERROR_BYTES])
{
	*p = (struct port){ .fd = -1, .options = options };
	p->template.file = file;
	p->name = strdup(name);
	p->bytes = malloc(BATCH_BYTES);
	if (!p->name || !p->bytes) {
		snprintf(err, SOURCE_ERROR_BYTES, "out of memory");
		return -1;
	}
	if (start_watching(p, name, err))
		return -1;
	/* "any", and other captures that are no interface, stay as they are */
	if (nic_ask(watch, 0, name, &p->nic) == 1)
		p->state = state_of(&p->nic);
	p->down_since_ns = now_ns;
	if (p->state != PORT_WATCHED)
		log_warn("%s: no link: nothing is seen of it until there is one",
		    name);
	port_check_merging(p);
	return 0;
}

/* Losses ------------------------------------------------------------------------- */

static double
seconds_between(int64_t from_ns, int64_t to_ns)
{
	return seconds_of(to_ns - from_ns);
}

static void
say_over(const struct port *p, const struct drops *d, const char *where)
{
	log_warn("%s: no more packets are dropped %s; %llu were, in %.0f s",
	    p->name, where, (unsigned long long)(d->total - d->before),
	    seconds_between(d->began_ns, d->last_ns));
}

/* `more` were lost since the last look. */
static void
note_drops(const struct port *p, struct drops *d, uint64_t more,
    int64_t now_ns, const char *where, const char *cure)
{
	if (more) {
		if (!d->lasting) {
			d->before = d->total;
			d->began_ns = now_ns;
			log_warn("%s: packets are dropped %s (%llu so far)%s",
			    p->name, where, (unsigned long long)more, cure);
		}
		d->lasting = true;
		d->last_ns = now_ns;
		d->total += more;
	} else if (d->lasting && seconds_between(d->last_ns, now_ns) >=
	    DROPS_OVER_S) {
		d->lasting = false;
		say_over(p, d, where);
	}
}

static const char kernel_where[] = "because they come faster than they are read";
static const char interface_where[] = "by the card or its driver";

static void
count_interface(struct port *p, uint64_t more, int64_t now_ns)
{
	char cure[160] = "";
	uint32_t now, most;

	if (more && !p->interface.lasting && nic_ring(p->nic.name, &now, &most)
	    && now < most)
		snprintf(cure, sizeof(cure), "; its receive ring could be "
		    "larger: ethtool -G %s rx %u", p->nic.name, most);
	note_drops(p, &p->interface, more, now_ns, interface_where, cure);
}

void
port_count(struct port *p, int64_t now_ns)
{
	struct pcap_stat now = p->counted;
	uint64_t more = 0;

	if (p->pcap && pcap_stats(p->pcap, &now) == 0)
		more = now.ps_drop - p->counted.ps_drop;
	p->counted = now;
	note_drops(p, &p->kernel, more, now_ns, kernel_where, "; a larger "
	    "buffer (buffer_mib in the configuration) carries longer bursts");
}

static void
count_frame(u_char *context, const struct pcap_pkthdr *h, const u_char *data)
{
	struct port *p = (struct port *)(void *)context;

	(void)h;
	(void)data;
	p->own++;
}

/* What the kernel has for us is dropped, and counted. */
static void
drop_unread(struct port *p)
{
	if (p->pcap)
		(void)pcap_dispatch(p->pcap, -1, count_frame,
		    (u_char *)(void *)p);
	port_count(p, p->kernel.last_ns);
}

void
port_abandon(struct port *p)
{
	p->own += p->count - p->next;
	p->template.number -= p->count - p->next;
	p->next = p->count = 0;
	drop_unread(p);
}

void
port_close(struct port *p)
{
	if (p->pcap && p->name)
		port_count(p, p->kernel.last_ns);
	if (p->kernel.lasting)
		say_over(p, &p->kernel, kernel_where);
	if (p->interface.lasting)
		say_over(p, &p->interface, interface_where);
	stop_watching(p);
	free(p->name);
	free(p->bytes);
}

/* Frames -------------------------------------------------------------------------- */

static void
take_frame(u_char *context, const struct pcap_pkthdr *h, const u_char *data)
{
	struct port *p = (struct port *)(void *)context;
	struct frame *f = &p->frame[p->count++];
	uint32_t bytes = h->caplen < FRAME_BYTES_MAX ? h->caplen :
	    FRAME_BYTES_MAX;

	*f = p->template;
	f->number = ++p->template.number;
	f->time.ns = h->ts.tv_sec * NS_PER_S + h->ts.tv_usec * p->ns_per_unit;
	f->captured_bytes = bytes;
	f->wire_bytes = h->len < bytes ? bytes : h->len;
	f->data = p->bytes + p->used;
	memcpy(p->bytes + p->used, data, bytes);
	p->used += bytes;
	/* the next one must fit, however large it is */
	if (p->used + FRAME_BYTES_MAX > BATCH_BYTES)
		pcap_breakloop(p->pcap);
}

static bool
has_handed_over(const struct port *p, int64_t now_ns)
{
	return now_ns - p->down_since_ns >= PORT_LAST_MS * NS_PER_MS;
}

/* It is closed when its last block has been handed over. */
static void
lose(struct port *p, int64_t now_ns)
{
	p->fd = -1;		/* it would be ready all the time */
	if (p->state == PORT_GONE)
		return;
	log_warn("%s can no longer be watched: %.200s; it will be when it is "
	    "back", p->name, pcap_geterr(p->pcap));
	if (p->state == PORT_WATCHED)
		p->down_since_ns = now_ns;
	p->state = PORT_GONE;
}

bool
port_fetch(struct port *p, int64_t now_ns)
{
	int status;

	if (p->next < p->count)
		return true;
	p->next = p->count = 0;
	p->used = 0;
	if (!p->pcap)
		return false;
	status = pcap_dispatch(p->pcap, BATCH_FRAMES, take_frame,
	    (u_char *)(void *)p);
	if (status < 0 && status != PCAP_ERROR_BREAK)
		lose(p, now_ns);
	if (p->count == 0 && p->state == PORT_GONE && has_handed_over(p, now_ns))
		stop_watching(p);
	return p->count > 0;
}

/* Its state ------------------------------------------------------------------------- */

/* Is there one of that name, that can be opened? */
static bool
found(struct port *p, const struct nic_watch *watch, const char *name)
{
	char err[SOURCE_ERROR_BYTES];
	struct nic now;

	if (nic_ask(watch, 0, name, &now) != 1 || !now.up)
		return false;
	if (start_watching(p, name, err) == 0) {
		p->nic = now;
		p->complained = false;
		return true;
	}
	if (!p->complained)
		log_warn("%s", err);
	p->complained = true;
	return false;
}

/* It is gone; perhaps it is back, or one of its last name is. */
static void
look_for_it(struct port *p, const struct nic_watch *watch)
{
	if (!found(p, watch, p->name) && strcmp(p->name, p->nic.name) != 0)
		found(p, watch, p->nic.name);
}

static void
enter(struct port *p, enum port_state s, int64_t now_ns)
{
	static const char *const how[] = {
		[PORT_NO_CARRIER] = "has lost its link", [PORT_DOWN] = "is down",
		[PORT_GONE] = "was removed",
	};

	if (s == p->state)
		return;
	if (s == PORT_WATCHED)
		log_info("%s is watched again, after %.0f s", p->name,
		    seconds_between(p->down_since_ns, now_ns));
	else
		log_warn("%s %s: nothing is seen of it until it comes back",
		    p->name, how[s]);
	if (p->state == PORT_WATCHED)
		p->down_since_ns = now_ns;
	p->state = s;
	if (s == PORT_WATCHED)
		port_check_merging(p);
}

static void
note_name(const struct port *p, const struct nic *now)
{
	if (strcmp(p->nic.name, now->name) != 0)
		log_info("%s is now called %s; it is watched under both names",
		    p->nic.name, now->name);
}

/* libpcap looks for the name that it knows when the interface was down, and
 * gives up: what was down and is called something else is opened anew. */
static void
follow_name(struct port *p, const struct nic_watch *watch, int64_t now_ns)
{
	p->went_down |= state_of(&p->nic) != PORT_WATCHED;
	if (!p->went_down || strcmp(p->opened, p->nic.name) == 0 ||
	    !has_handed_over(p, now_ns))
		return;
	drop_unread(p);
	stop_watching(p);
	p->state = PORT_GONE;
	look_for_it(p, watch);
}

void
port_check(struct port *p, const struct nic_watch *watch,
    const struct nic *fresh, int64_t now_ns)
{
	struct nic now;

	if (!p->pcap)
		look_for_it(p, watch);
	if (!p->pcap || !p->nic.index)
		return;
	if (fresh) {
		now = *fresh;
	} else {
		int there = nic_ask(watch, p->nic.index, "", &now);

		if (there < 0)
			return;
		now.gone = there == 0;
	}
	if (now.gone) {
		enter(p, PORT_GONE, now_ns);
		return;		/* what it still has in hand is read first */
	}
	note_name(p, &now);
	count_interface(p, now.lost > p->nic.lost ? now.lost - p->nic.lost : 0,
	    now_ns);
	p->nic = now;
	follow_name(p, watch, now_ns);
	if (p->pcap)
		enter(p, state_of(&p->nic), now_ns);
}

void
port_check_merging(struct port *p)
{
	char merging[NIC_MERGING_BYTES], options[NIC_MERGING_BYTES * 2] = "";
	const char *name = p->nic.index ? p->nic.name : p->name;

	nic_merging(name, merging);
	if (strcmp(merging, p->merging) == 0)
		return;
	memcpy(p->merging, merging, sizeof(p->merging));
	for (char *rest = merging, *one; (one = strtok_r(rest, " ", &rest));) {
		strcat(options, " ");
		strcat(options, one);
		strcat(options, " off");
	}
	if (*options)
		log_warn("%s merges segments before they can be seen: "
		    "ethtool -K %s%s", p->name, name, options);
	else
		log_info("%s does not merge segments any more", p->name);
}
