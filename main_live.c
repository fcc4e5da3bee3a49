/* main_live.c - what only a live run does.
 *
 * The hard part is the order at the start: interfaces and ports are opened with
 * the rights of root, files are made with those of the user who has to write
 * them for months, and the filter of system calls comes last, over all threads.
 * Signals only leave a mark; the capture loop, which turns ten times a second at
 * least, acts on it between two packets, when nothing else looks at the
 * configuration. */
#include "main_live.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/log.h"
#include "capture/memory.h"
#include "capture/notify.h"
#include "capture/privileges.h"
#include "detectors/incident.h"
#include "detectors/registry.h"
#include "detectors/report_common.h"

enum { FRAME_TURNS = 64 };	/* look around after so many full batches */

static volatile sig_atomic_t reload_wanted, statistics_wanted;

static void
on_signal(int number)
{
	if (number == SIGHUP)
		reload_wanted = 1;
	else
		statistics_wanted = 1;
}

/* The start --------------------------------------------------------------------- */

enum { LARGE_BYTES = 1 << 20, SPARE_BYTES = 4 << 20 };

/* Else the C library would take the size of the first large block that is freed
 * (the packets of an incident: ten megabytes) for one that is needed again and
 * again, and each of its arenas would keep as much for good (mallopt(3),
 * M_MMAP_THRESHOLD: it is adjusted unless it is set). */
void
live_settle_memory(void)
{
#ifdef __GLIBC__
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, SPARE_BYTES);
#endif
}

int
live_open_source(const struct options *o, const struct config *c,
    struct source **out)
{
	struct live_options options = {
		.filter = o->filter ? o->filter : *c->live.filter ?
		    c->live.filter : NULL,
		.buffer_bytes = (size_t)c->live.buffer_mib << 20,
		.snap_bytes = c->live.snap_bytes,
		.only_own = !c->live.promiscuous,
	};
	const char *names[CONFIG_INTERFACES_MAX];
	const char *const *interfaces = o->interfaces;
	size_t count = o->interface_count;
	char err[SOURCE_ERROR_BYTES];

	if (!count) {
		interfaces = names;
		count = c->live.interface_count;
		for (size_t i = 0; i < count; i++)
			names[i] = c->live.interface[i];
	}
	if (source_open_interfaces(interfaces, count, &options, out, err) == 0)
		return 0;
	log_warn("%s", err);
	return -1;
}

static int
make_folder_for(const char *path, const struct privileges_user *user)
{
	if (mkdir(path, 0750) == 0) {
		if (chown(path, user->uid, user->gid) == 0)
			return 0;
	} else if (errno == EEXIST) {
		return 0;
	}
	log_warn("cannot make %s for user %s: %s", path, user->name,
	    strerror(errno));
	return -1;
}

int
live_give_up_root(const struct config *c, const char *keep)
{
	char err[PRIVILEGES_ERROR_BYTES];
	struct privileges_user user;

	if (c->live.to_syslog)
		log_to_syslog();
	if (privileges_choose(c->live.user, &user, err)) {
		log_warn("%s", err);
		return -1;
	}
	if (user.uid && keep && make_folder_for(keep, &user))
		return -1;
	if (privileges_drop(&user, err)) {
		log_warn("%s", err);
		return -1;
	}
	if (user.uid)
		log_note("runs as user %s, with cap_net_raw", user.name);
	return 0;
}

int
live_confine(const struct config *c)
{
	char err[PRIVILEGES_ERROR_BYTES];

	if (!c->live.seccomp || privileges_confine(err) == 0)
		return 0;
	log_warn("%s", err);
	return -1;
}

/* Signals ------------------------------------------------------------------------- */

struct change {
	const char *section, *name;
	bool holds_later;		/* it is another one, for the next start */
};

static bool
differ(const char *a, const char *b)
{
	return strcmp(a, b) != 0;
}

static bool
same_interfaces(const struct config_live *a, const struct config_live *b)
{
	bool same = a->interface_count == b->interface_count;

	for (size_t i = 0; same && i < a->interface_count; i++)
		same = !differ(a->interface[i], b->interface[i]);
	return same;
}

/* What holds from the start to the end, and is another one now: "live { user },
 * web { key }", "" for none. What the command line says holds anyway. */
static void
name_changes(const struct options *o, const struct config *a,
    const struct config *b, char *out, size_t size)
{
	const struct config_live *was = &a->live, *is = &b->live;
	const struct page_settings *page = &a->page, *new_page = &b->page;
	const struct change list[] = {
		{ "live", "interfaces", !o->interface_count &&
		    !same_interfaces(was, is) },
		{ "live", "filter", !o->filter && differ(was->filter, is->filter) },
		{ "live", "buffer_mib", was->buffer_mib != is->buffer_mib },
		{ "live", "snap_bytes", was->snap_bytes != is->snap_bytes },
		{ "live", "promiscuous", was->promiscuous != is->promiscuous },
		{ "live", "user", differ(was->user, is->user) },
		{ "live", "seccomp", was->seccomp != is->seccomp },
		{ "live", "log", was->to_syslog != is->to_syslog },
		{ "web", "listen", !o->web &&
		    differ(page->listen, new_page->listen) },
		{ "web", "token_file", differ(page->token_file,
		    new_page->token_file) },
		{ "web", "certificate", differ(page->certificate,
		    new_page->certificate) },
		{ "web", "key", differ(page->key, new_page->key) },
		{ "keep", "ring_mib", fabs(a->keep.ring_mib -
		    b->keep.ring_mib) > 0 },
		{ "keep", "payload_bytes", fabs(a->keep.payload_bytes -
		    b->keep.payload_bytes) > 0 },
	};

	*out = '\0';
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i].holds_later)
			text_add(out, size, "%s%s { %s }", *out ? ", " : "",
			    list[i].section, list[i].name);
}

/* All that was found and counted stays; what is judged from now on is judged by
 * the new configuration. */
static void
take_over(struct live *l, const struct config *fresh)
{
	struct config was = *l->config, *now = l->config;
	char changed[400];

	name_changes(l->options, &was, fresh, changed, sizeof(changed));
	*now = *fresh;
	now->live = was.live;
	now->page = was.page;
	now->keep.ring_mib = was.keep.ring_mib;
	now->keep.payload_bytes = was.keep.payload_bytes;
	registry_reconfigure(l->run->registry);
	if (l->evidence)
		evidence_reload(l->evidence, l->options, now);
	log_info("%s has been read again: %zu server address%s",
	    l->options->config, now->server_count,
	    now->server_count == 1 ? "" : "es");
	if (*changed)
		log_warn("%s: %s: what was changed there takes a restart",
		    l->options->config, changed);
}

/* It may be renewed without any change of the configuration, and its paths hold
 * from the start to the end. */
static void
reload_page(const struct live *l)
{
	char text[WEB_ERROR_BYTES];
	int result = l->web ? web_reload(l->web, text) : 0;

	if (result > 0)
		log_info("%s", text);
	else if (result < 0)
		log_warn("%s; the one in use stays", text);
}

static void
reload(struct live *l)
{
	const char *path = l->options->config;
	struct config fresh;
	char err[512];

	notify_reloading();
	keep_reopen(l->keep);
	reload_page(l);
	if (config_read(&fresh, path, err, sizeof(err)))
		log_warn("%s; the configuration stays as it was", err);
	else if (keep_reload(l->keep, &fresh))
		log_warn("%s: the configuration stays as it was", path);
	else
		take_over(l, &fresh);
	notify_ready();
}

/* Of this process, in the machine's memory. 0: the kernel does not say. */
static uint64_t
resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	uint64_t pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%*u %" SCNu64, &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
say_interfaces(const struct source *source)
{
	struct source_interface p;

	for (size_t i = 0; source_interface(source, i, &p); i++)
		log_info("statistics: %s (%s): %" PRIu64 " packets; dropped: %"
		    PRIu64 " in the kernel's buffer, %" PRIu64 " by the card, %"
		    PRIu64 " not looked at%s%s", p.name, p.state, p.frames,
		    p.dropped_kernel, p.dropped_interface, p.dropped_own,
		    *p.merging ? "; merges: " : "",
		    p.merging);
}

static size_t
count_servers(const struct run *run)
{
	size_t n = 0;

	for (struct server *s = registry_servers(run->registry); s; s = s->next)
		n++;
	return n;
}

static void
say_statistics(const struct live *l)
{
	const struct capture_stats *c = engine_stats(l->run->engine);
	size_t findings = 0, incidents = 0, lasting = 0;
	struct finding *x = registry_findings(l->run->registry);
	struct flow_stats flows;

	for (; x; x = x->next)
		findings += !x->retracted;
	for (struct incident *i = l->run->incidents; i; i = i->next) {
		incidents++;
		lasting += !instant_is_set(i->end);
	}
	engine_flow_stats(l->run->engine, &flows);
	say_interfaces(l->run->source);
	log_info("statistics: %" PRIu64 " packets, %" PRIu64 " MB in %.0f s; "
	    "%" PRIu64 " flows in all, %zu now; %zu servers, %zu findings, %zu "
	    "incidents, of which %zu last; %.1f MiB of memory",
	    c->packets, c->bytes / 1000000,
	    seconds_of(instant_since(c->last, c->first)), flows.created,
	    flows.now, count_servers(l->run), findings, incidents, lasting,
	    (double)resident_bytes() / (1 << 20));
	keep_say_stats(l->keep);
}

/* The loop ------------------------------------------------------------------------- */

void
live_begin(struct live *l)
{
	struct sigaction action = { .sa_handler = on_signal };

	if (l->options->config)
		sigaction(SIGHUP, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	notify_ready();
	notify_status("watching %zu interface%s", source_count(l->run->source),
	    source_count(l->run->source) == 1 ? "" : "s");
}

static void
note_missed(struct live *l)
{
	struct source_stats s;

	source_stats(l->run->source, &s);
	engine_note_missed(l->run->engine, s.dropped_kernel +
	    s.dropped_interface, s.blind > 0);
}

void
live_turn(struct live *l, enum source_result result)
{
	if (result == SOURCE_FRAME && ++l->turns % FRAME_TURNS)
		return;
	note_missed(l);
	notify_alive();
	if (memory_refused() && !l->went_short) {
		l->went_short = true;
		log_warn("out of memory: a request for it was refused; from now on "
		    "what is reported may lack something");
	}
	if (reload_wanted) {
		reload_wanted = 0;
		reload(l);
	}
	if (statistics_wanted) {
		statistics_wanted = 0;
		say_statistics(l);
	}
}

void
live_end(struct live *l)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (l->options->config)
		sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGUSR1, &ignore, NULL);
	notify_stopping();
}
