/* source.c - what all sources have in common: the interface that the rest of
 * toewatch sees, and the filter.
 *
 * Filtering is done here and not by libpcap's own reading loop, because a frame
 * that does not pass still has a number, and because a pcapng file may change
 * its link type on the way, for which the filter is another program. */
#include "capture/source.h"

#include <stdlib.h>
#include <string.h>

#include "capture/log.h"
#include "capture/source_internal.h"

struct compiled {
	int link_type;
	bool usable;
	struct bpf_program program;
};

/* Link types in one run; more than these are taken to fail the filter. */
enum { FILTER_LINK_TYPES = 16 };

struct filter {
	char *text;			/* NULL: everything passes */
	size_t count;
	struct compiled compiled[FILTER_LINK_TYPES];
};

static int
compile(const char *text, struct compiled *c, char err[SOURCE_ERROR_BYTES])
{
	pcap_t *dead = pcap_open_dead(c->link_type, FRAME_BYTES_MAX);
	int status;

	if (!dead) {
		snprintf(err, SOURCE_ERROR_BYTES, "out of memory");
		return -1;
	}
	status = pcap_compile(dead, &c->program, text, 1,
	    PCAP_NETMASK_UNKNOWN);
	if (status)
		snprintf(err, SOURCE_ERROR_BYTES, "filter '%.200s': %.200s",
		    text, pcap_geterr(dead));
	pcap_close(dead);
	c->usable = !status;
	return status ? -1 : 0;
}

int
filter_new(const char *text, int link_type, struct filter **out,
    char err[SOURCE_ERROR_BYTES])
{
	struct filter *f = calloc(1, sizeof(*f));

	*out = NULL;
	if (!f || (text && !(f->text = strdup(text)))) {
		snprintf(err, SOURCE_ERROR_BYTES, "out of memory");
		free(f);
		return -1;
	}
	*out = f;
	if (!text)
		return 0;
	f->count = 1;
	f->compiled[0].link_type = link_type;
	if (compile(text, &f->compiled[0], err) == 0)
		return 0;
	filter_free(out);
	return -1;
}

void
filter_free(struct filter **fp)
{
	struct filter *f = *fp;

	*fp = NULL;
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++)
		if (f->compiled[i].usable)
			pcap_freecode(&f->compiled[i].program);
	free(f->text);
	free(f);
}

static struct compiled *
compiled_for(struct filter *f, int link_type)
{
	char err[SOURCE_ERROR_BYTES];
	struct compiled *c;

	for (size_t i = 0; i < f->count; i++)
		if (f->compiled[i].link_type == link_type)
			return &f->compiled[i];
	if (f->count == FILTER_LINK_TYPES)
		return NULL;
	c = &f->compiled[f->count++];
	c->link_type = link_type;
	if (compile(f->text, c, err))
		log_warn("%s (link type %d: such frames are passed over)", err,
		    link_type);
	return c;
}

bool
filter_passes(struct filter *f, const struct frame *frame)
{
	struct pcap_pkthdr h = {
		.caplen = frame->captured_bytes, .len = frame->wire_bytes };
	struct compiled *c;

	if (!f->text)
		return true;
	c = compiled_for(f, frame->link_type);
	return c && c->usable &&
	    pcap_offline_filter(&c->program, &h, frame->data);
}

int
link_type_of_file(uint32_t number)
{
	static const struct { uint32_t number; int dlt; } differ[] = {
		{ 100, DLT_ATM_RFC1483 }, { 101, DLT_RAW },
		{ 102, DLT_SLIP_BSDOS }, { 103, DLT_PPP_BSDOS },
	};

	for (size_t i = 0; i < sizeof(differ) / sizeof(differ[0]); i++)
		if (differ[i].number == number)
			return differ[i].dlt;
	return (int)number;
}

struct source *
source_new(const struct source_kind *kind, void *state)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->kind = kind;
	s->state = state;
	atomic_init(&s->stopped, false);
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

enum source_result
source_next(struct source *s, struct frame *f)
{
	enum source_result result = SOURCE_END;

	if (!atomic_load_explicit(&s->stopped, memory_order_relaxed))
		result = s->kind->next(s, s->state, f);
	if (result == SOURCE_END && s->kind->stopped && !s->told) {
		s->told = true;
		s->kind->stopped(s->state);
	}
	return result;
}

enum source_result
source_next_batch(struct source *s, struct frame *f, size_t max, size_t *count)
{
	enum source_result result = source_next(s, f);

	*count = 1;
	if (result == SOURCE_FRAME && s->kind->more)
		*count += s->kind->more(s, s->state, f + 1, max - 1);
	return result;
}

struct source_block *
source_hold(struct source *s)
{
	return s->kind->hold ? s->kind->hold(s->state) : NULL;
}

const char *
source_error(const struct source *s)
{
	return s->error;
}

const char *
source_name(const struct source *s, uint32_t file)
{
	return s->kind->name(s->state, file);
}

size_t
source_count(const struct source *s)
{
	return s->kind->count(s->state);
}

/* Figures are read by who may not change the source, but for this. */
static void
lock(const struct source *s)
{
	pthread_mutex_lock((pthread_mutex_t *)&s->lock);
}

static void
unlock(const struct source *s)
{
	pthread_mutex_unlock((pthread_mutex_t *)&s->lock);
}

void
source_stats(const struct source *s, struct source_stats *out)
{
	memset(out, 0, sizeof(*out));
	if (!s->is_apart) {
		s->kind->stats(s->state, out);
		return;
	}
	lock(s);
	*out = s->figures;
	unlock(s);
}

bool
source_interface(const struct source *s, size_t i, struct source_interface *out)
{
	memset(out, 0, sizeof(*out));
	if (!s->kind->interface || i >= s->kind->count(s->state))
		return false;
	if (!s->is_apart)
		return s->kind->interface(s->state, i, out);
	lock(s);
	*out = s->interface[i];
	unlock(s);
	return true;
}

void
source_publish(struct source *s)
{
	size_t n = s->kind->interface ? s->kind->count(s->state) : 0;

	lock(s);
	memset(&s->figures, 0, sizeof(s->figures));
	s->kind->stats(s->state, &s->figures);
	for (size_t i = 0; i < n; i++)
		(void)s->kind->interface(s->state, i, &s->interface[i]);
	unlock(s);
}

int
source_read_apart(struct source *s)
{
	s->interface = calloc(s->kind->count(s->state), sizeof(*s->interface));
	if (!s->interface)
		return -1;
	source_publish(s);
	s->is_apart = true;
	return 0;
}

void
source_stop(struct source *s)
{
	atomic_store_explicit(&s->stopped, true, memory_order_relaxed);
}

void
source_close(struct source **sp)
{
	struct source *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	s->kind->free(s->state);
	pthread_mutex_destroy(&s->lock);
	free(s->interface);
	free(s);
}

const char *
source_library_version(void)
{
	return pcap_lib_version();
}

int
source_list_interfaces(char err[SOURCE_ERROR_BYTES])
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_if_t *all;

	if (pcap_findalldevs(&all, why)) {
		snprintf(err, SOURCE_ERROR_BYTES,
		    "cannot list the interfaces: %s", why);
		return -1;
	}
	for (pcap_if_t *i = all; i; i = i->next)
		printf("%s%s%s%s\n", i->name, i->description ? " (" : "",
		    i->description ? i->description : "",
		    i->description ? ")" : "");
	pcap_freealldevs(all);
	return 0;
}
