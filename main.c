/* main.c - the wiring of source, engine, detectors and reports, and the smaller
 * tasks.
 *
 * Nothing is judged here. The hard part is the way out: whatever ends a run
 * early (a signal, a cut capture, a full disk) still leaves the fullest report
 * that can be had, one clear sentence, and the exit status that fits. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/app_ndpi.h"
#include "capture/engine.h"
#include "capture/log.h"
#include "capture/memory.h"
#include "capture/source.h"
#include "capture/workers.h"
#include "detectors/compare.h"
#include "detectors/compare_kept.h"
#include "detectors/config.h"
#include "detectors/explain.h"
#include "detectors/feed.h"
#include "detectors/incident.h"
#include "detectors/registry.h"
#include "detectors/report.h"
#include "detectors/report_live.h"
#include "detectors/report_packets.h"
#include "main_evidence.h"
#include "main_keep.h"
#include "main_live.h"
#include "main_options.h"
#include "web/server.h"

enum { FILES_OPEN = 64 };	/* at most, but for those who see the page */

enum exit_status { DONE = 0, NOT_DONE = 1, BAD_USAGE = 2, INCIDENTS = 3 };

/* The run ------------------------------------------------------------------- */

struct toewatch {
	const struct options *options;
	struct config config;
	struct source *source;
	struct engine *engine;
	struct workers *workers;	/* what the engine gets from the source */
	struct registry *registry;
	struct engine_observer detectors;	/* the registry's own */
	struct report *report;
	struct feed *feed;		/* live: what is said as it goes on; with
					 * `keep`: what is said at the end */
	struct keep keep;
	struct web_history history;	/* asks `keep` */
	struct live_report *live_report;
	FILE *packets_file;
	struct packet_report *packets;
	struct web *web;		/* NULL: no page */
	struct evidence *evidence;	/* NULL: neither kept nor shown */
	struct evidence *_Atomic shown;	/* the same, for the page's threads */
	struct web_evidence web_evidence;
	struct compare_watch *compare;	/* NULL: no comparison */
	struct run run;
	struct live live;
	bool bad_usage;			/* why it could not be opened */
	bool write_failed;
	int write_error;		/* errno of that */
};

/* For the signal handler only. */
static struct source *volatile stoppable;
static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
	struct source *source = stoppable;

	(void)number;
	interrupted = 1;
	if (source)
		source_stop(source);
}

/* The first signal ends the run with its report, the second one at once. */
static void
catch_signals(struct source *source)
{
	struct sigaction action = { .sa_handler = on_signal,
		.sa_flags = (int)SA_RESETHAND };

	stoppable = source;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static bool
is_server(void *context, const struct address *a, uint16_t port)
{
	const struct config *c = context;

	(void)port;
	return config_server_of(c, a) != NULL;
}

static bool
is_live(const struct toewatch *t)
{
	return t->options->file_count == 0;
}

/* With --flows, with --packets and live, main listens in; it hands all on. */
static void
hear_packet(void *context, const struct packet *p)
{
	struct toewatch *t = context;

	t->detectors.on_packet(t->detectors.context, p);
}

static void
hear_segment(void *context, struct flow *f, const struct segment *s)
{
	struct toewatch *t = context;

	t->detectors.on_segment(t->detectors.context, f, s);
}

static void
hear_delivery(void *context, const struct delivery *d, int64_t answered_ns)
{
	struct toewatch *t = context;

	t->detectors.on_delivery(t->detectors.context, d, answered_ns);
}

static void
hear_app(void *context, const struct app_event *e)
{
	struct toewatch *t = context;

	if (t->packets)
		packet_report_app(t->packets, e);
	t->detectors.on_app(t->detectors.context, e);
}

static void
hear_raw_tcp(void *context, const struct packet *p, uint64_t flow_id,
    bool is_copy)
{
	struct toewatch *t = context;

	(void)is_copy;
	packet_report_tcp(t->packets, p, flow_id);
}

static void
hear_flow_end(void *context, struct flow *f)
{
	struct toewatch *t = context;

	t->detectors.on_flow_end(t->detectors.context, f);
}

static void
report_flow(struct toewatch *t, const struct flow *f)
{
	if (t->write_failed || t->report->flow(t->report, &t->run, f) == 0)
		return;
	t->write_error = errno;
	t->write_failed = true;
	source_stop(t->source);
}

/* A whole report into memory, for the page. 0, or -1. */
static int
render(struct report *(*make)(FILE *), const struct run *run, char **text,
    size_t *bytes)
{
	FILE *out = open_memstream(text, bytes);
	struct report *report = out ? make(out) : NULL;
	int failed = !report || report->finish(report, run);

	if (report)
		report->free(&report);
	if (out)
		failed |= fclose(out) != 0;
	return failed ? -1 : 0;
}

/* The report as the page shows it. 0, or -1 after a sentence. */
static int
publish_report(struct toewatch *t)
{
	size_t bytes = 0;
	char *page = NULL;

	if (render(report_page_new, &t->run, &page, &bytes)) {
		free(page);
		log_warn("cannot make the page's report: out of memory");
		return -1;
	}
	web_report(t->web, &page, bytes);
	return 0;
}

/* Flows are reported once the detectors have seen how they ended. */
static void
hear_step(void *context, struct engine *e, struct instant now)
{
	struct toewatch *t = context;
	struct flow *const *flows;
	size_t count;

	t->detectors.on_step(t->detectors.context, e, now);
	if (t->feed && t->run.live)
		feed_step(t->feed, now);
	if (t->web && t->run.live && web_report_wanted(t->web))
		(void)publish_report(t);
	if (!t->options->flows || !t->report->flow)
		return;
	flows = engine_touched_flows(e, &count);
	for (size_t i = 0; i < count; i++)
		if (flows[i]->flags & FLOW_ENDED)
			report_flow(t, flows[i]);
}

static struct engine_observer
observer_of(struct toewatch *t)
{
	struct engine_observer *d = &t->detectors;

	registry_observe(t->registry, d);
	if (!t->packets && !t->options->flows && !is_live(t))
		return *d;
	return (struct engine_observer){
		.context = t,
		.on_packet = d->on_packet ? hear_packet : NULL,
		.on_segment = d->on_segment ? hear_segment : NULL,
		.on_delivery = d->on_delivery ? hear_delivery : NULL,
		.on_app = d->on_app ? hear_app : NULL,
		.on_raw_tcp = t->packets ? hear_raw_tcp : NULL,
		.on_step = hear_step,
		.on_flow_end = d->on_flow_end ? hear_flow_end : NULL,
	};
}

static int
open_source(struct toewatch *t)
{
	const struct options *o = t->options;
	char err[SOURCE_ERROR_BYTES];

	if (is_live(t))
		return live_open_source(o, &t->config, &t->source);
	if (source_open_files(o->files, o->file_count, o->filter, &t->source,
	    err) == 0)
		return 0;
	log_warn("%s", err);
	return -1;
}

static int
open_packets(struct toewatch *t)
{
	const char *path = t->options->packets;

	if (!path)
		return 0;
	t->packets_file = strcmp(path, "-") ? fopen(path, "w") : stdout;
	if (!t->packets_file) {
		log_warn("cannot write the packets to %s: %s", path,
		    strerror(errno));
		return -1;
	}
	t->packets = packet_report_new(t->packets_file, &t->run);
	if (t->packets)
		return 0;
	log_warn("out of memory");
	return -1;
}

/* Where the page is served; NULL: nowhere. */
static const char *
page_address(const struct toewatch *t)
{
	if (t->options->web)
		return t->options->web;
	return is_live(t) && !t->options->no_web ? t->config.page.listen : NULL;
}

/* 0, or -1 after a sentence. */
static int
open_evidence(struct toewatch *t)
{
	if (!t->options->keep && !page_address(t))
		return 0;
	t->evidence = evidence_open(t->options, &t->config, t->source);
	atomic_store(&t->shown, t->evidence);
	return t->evidence ? 0 : -1;
}

static const char *
text_or_null(const char *text)
{
	return *text ? text : NULL;
}

static void
set_page(struct toewatch *t, struct web_settings *s)
{
	const struct page_settings *page = &t->config.page;

	t->history = (struct web_history){ &t->keep, keep_history };
	s->history = &t->history;
	s->live = is_live(t);
	s->style = report_style();
	s->findings_text = explain_json();
	s->token_file = text_or_null(page->token_file);
	s->certificate = text_or_null(page->certificate);
	s->key = text_or_null(page->key);
}

/* The port is taken before the first packet is read. A live run goes on without
 * a page that nobody asked for. */
static int
open_web(struct toewatch *t)
{
	const char *where = page_address(t);
	bool asked = t->options->web || strcmp(t->config.page.listen,
	    CONFIG_LISTEN) != 0;
	struct web_settings settings = { 0 };
	char err[WEB_ERROR_BYTES];

	if (!where)
		return 0;
	t->web_evidence = evidence_for_page(&t->shown);
	settings.evidence = &t->web_evidence;
	if (web_where_parse(where, &settings.where, err) == 0) {
		set_page(t, &settings);
		t->web = web_open(&settings, err);
	}
	if (!t->web) {
		log_warn(asked ? "%s" : "%s; going on without it (-w ADDR:PORT, "
		    "or -w none)", err);
		return asked ? -1 : 0;
	}
	if (*err)
		log_warn("%s", err);
	if (!web_where_is_loopback(&settings.where) && !settings.certificate)
		log_warn("the page goes over the network in the clear, and so does "
		    "its token: web { certificate, key } in the configuration "
		    "would hide them");
	return 0;
}

static void
hear_event(void *context, struct event *e)
{
	web_event(context, e);
}

static int
listen_with_page(struct toewatch *t)
{
	struct feed_listener page = { .context = t->web, .event = hear_event };

	if (t->web && is_live(t))
		keep_tell_past(&t->keep, hear_event, t->web);
	return t->web ? keep_listen(&t->keep, t->feed, &page) : 0;
}

/* Live, standard output gets each thing when it happens. */
static int
open_live_report(struct toewatch *t)
{
	struct feed_listener listener;

	if (!is_live(t))
		return 0;
	t->live_report = live_report_new(stdout,
	    t->options->report_new == report_json_new);
	if (!t->live_report)
		return -1;
	listener = live_report_listener(t->live_report);
	return t->options->report_new == report_html_new ? 0 :
	    keep_listen(&t->keep, t->feed, &listener);
}

/* 0, or -1 after a sentence. */
static int
open_feed(struct toewatch *t)
{
	if (!is_live(t) && !keep_is_used(&t->keep) && !t->web)
		return 0;
	t->feed = feed_new(&t->run, keep_past(&t->keep));
	if (t->feed && t->evidence && evidence_listen(t->evidence, t->feed))
		return -1;
	if (t->feed && open_live_report(t) == 0 && listen_with_page(t) == 0)
		return keep_start(&t->keep, t->feed, &t->run);
	log_warn("out of memory");
	return -1;
}

static int
read_config(struct toewatch *t)
{
	const char *path = t->options->config;
	char err[512];

	config_default(&t->config);
	if (path && config_read(&t->config, path, err, sizeof(err))) {
		log_warn("%s", err);
		return -1;
	}
	if (!is_live(t) || t->options->interface_count ||
	    t->config.live.interface_count)
		return 0;
	t->bad_usage = true;
	return options_error("-r FILE or -i IFACE is needed: %s names no "
	    "interfaces", path);
}

/* What a run reads and writes; of a live one, with the rights that it takes. */
static int
open_doors(struct toewatch *t)
{
	const struct options *o = t->options;

	if (read_config(t) || open_source(t) || open_packets(t) || open_web(t))
		return -1;
	if (is_live(t) && live_give_up_root(&t->config, o->keep))
		return -1;
	return keep_open(&t->keep, o->keep, &t->config, t->source,
	    is_live(t)) || open_evidence(t) ? -1 : 0;
}

/* Everything that a run needs. 0, or -1 after a sentence. */
static int
toewatch_open(struct toewatch *t)
{
	struct engine_config config = { .name_with_ndpi = true,
		.all_ends = t->options->flows };
	struct engine_observer observer;

	if (is_live(t))
		live_settle_memory();
	if (open_doors(t))
		return -1;
	if (t->web)
		fprintf(stderr, "serving %s (Ctrl-C ends)\n", web_url(t->web));
	t->registry = registry_new(&t->config);
	t->report = t->options->report_new(stdout);
	if (t->registry && is_live(t))
		registry_live(t->registry);
	if (t->config.server_count || is_live(t)) {
		config.is_server = is_server;
		config.context = &t->config;
	}
	if (t->registry && t->report) {
		observer = observer_of(t);
		if (t->compare)
			compare_watch_observe(t->compare, &observer);
		if (t->keep.watch)
			compare_watch_observe(t->keep.watch, &observer);
		t->engine = engine_new(&config, &observer);
	}
	if (!t->engine) {
		log_warn("out of memory");
		return -1;
	}
	registry_attach(t->registry, t->engine);
	t->run = (struct run){ .source = t->source, .engine = t->engine,
		.registry = t->registry, .config = &t->config,
		.live = is_live(t) };
	t->live = (struct live){ t->options, &t->config, &t->run,
		&t->keep, t->evidence, t->web, 0, false };
	if (open_feed(t))
		return -1;
	t->workers = workers_new(t->source, engine_intake(t->engine),
	    t->engine, t->options->workers);
	if (!t->workers) {
		log_warn("cannot start %u workers: %s (-j takes another number)",
		    t->options->workers, strerror(errno));
		return -1;
	}
	return is_live(t) ? live_confine(&t->config) : 0;
}

/* Percent of the files read so far, on a terminal; only when it has changed. */
static void
show_progress(const struct toewatch *t, bool terminal, unsigned *shown)
{
	struct source_stats s = { 0 };
	unsigned percent;

	source_stats(t->source, &s);
	if (t->web)
		web_progress(t->web, s.bytes_read, s.bytes_total);
	if (s.bytes_total == 0 || !terminal)
		return;
	percent = (unsigned)(s.bytes_read * 100 / s.bytes_total);
	if (percent == *shown)
		return;
	*shown = percent;
	fprintf(stderr, "\rtoewatch: %u %%", percent);
}

static void
take_batch(struct toewatch *t, struct batch *b)
{
	for (size_t i = b->first; t->evidence && t->run.live && i < b->end; i++)
		evidence_frame(t->evidence, &b->arrival[i].frame);
	engine_batch(t->engine, b);
}

/* Until the source ends: what it said last. */
static enum source_result
take_all(struct toewatch *t, struct workers *workers)
{
	bool terminal = isatty(STDERR_FILENO), progress = !t->run.live &&
	    (terminal || t->web);
	enum source_result result;
	unsigned shown = 0;

	for (uint64_t n = 1;; n++) {
		struct batch *b = workers_next(workers);

		take_batch(t, b);
		result = b->result;
		if (result == SOURCE_END || result == SOURCE_FAILED)
			break;
		if (t->run.live)
			live_turn(&t->live, result);
		if (progress && n % 1024 == 0)
			show_progress(t, terminal, &shown);
	}
	if (shown)
		fputs("\r\033[K", stderr);
	return result;
}

/* 0, or -1 after a sentence. */
static int
read_all(struct toewatch *t)
{
	enum source_result result = take_all(t, t->workers);

	workers_free(&t->workers);
	if (result != SOURCE_FAILED)
		return 0;
	log_warn("%s", source_error(t->source));
	return -1;
}

/* Frames whose link type is not read are no report: they are said out loud. */
static void
warn_of_link_types(const struct toewatch *t)
{
	const struct capture_stats *c = engine_stats(t->engine);
	unsigned long long n = c->decode[DECODE_LINK_TYPE];
	const char *name = source_link_type_name(c->link_type);
	bool one = source_count(t->source) == 1;

	if (n && !c->mixed_link_types)
		log_warn("%s: %llu frames are of link type %d (%s), which "
		    "toewatch does not read", one ? source_name(t->source, 0) :
		    "all captures", n, c->link_type, name ? name : "unknown");
	else if (n)
		log_warn("%llu frames are of a link type that toewatch does not "
		    "read", n);
}

/* What was not looked at for want of memory may be what a verdict would have
 * rested on. False after a sentence. */
static bool
is_whole(const struct toewatch *t)
{
	unsigned long n = memory_refused();

	if (!n || t->run.live)
		return true;
	log_warn("out of memory: %lu requests for it were refused, so the report "
	    "would not be whole: there is none", n);
	return false;
}

/* Everything is judged, and told to those who listen. False after a sentence:
 * nothing was told, and there is nothing to report. */
static bool
judge_all(struct toewatch *t)
{
	registry_finishing(t->registry);
	engine_finish(t->engine);
	registry_finish(t->registry, t->engine);
	t->run.interrupted = interrupted && !t->run.live;
	if (!t->feed)
		t->run.incidents = incidents_judge(t->registry,
		    registry_judge(t->registry));
	else if (t->run.live)
		feed_finish(t->feed);
	else
		feed_judge(t->feed);
	if (!is_whole(t))
		return false;
	if (t->feed && !t->run.live)
		feed_tell_all(t->feed);
	if (t->evidence && !t->run.live)
		evidence_read_again(t->evidence, t->options, &interrupted);
	return true;
}

/* 0, or -1 after a sentence. */
static int
write_all(struct toewatch *t)
{
	int failed = 0;

	if (packet_report_finish(&t->packets)) {
		log_warn("cannot write the packets to %s: %s",
		    t->packets_file == stdout ? "standard output" :
		    t->options->packets, strerror(errno));
		failed = -1;
	}
	if (t->live_report && live_report_error(t->live_report)) {
		t->write_error = live_report_error(t->live_report);
		t->write_failed = true;
	}
	/* as JSON lines a live run has said it all */
	if (!t->write_failed && !(t->run.live &&
	    t->options->report_new == report_json_new) &&
	    t->report->finish(t->report, &t->run)) {
		t->write_error = errno;
		t->write_failed = true;
	}
	if (t->write_failed) {
		log_warn("cannot write to standard output: %s",
		    strerror(t->write_error));
		failed = -1;
	}
	return failed;
}

/* Until a signal; one that came while reading ends it at once. */
static void
wait_for_signal(void)
{
	sigset_t ends, before;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, &before);
	while (!interrupted)
		sigsuspend(&before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* 0, or -1 after a sentence. */
static int
show_page(struct toewatch *t)
{
	if (!t->web || t->run.live || interrupted)
		return 0;
	if (publish_report(t))
		return -1;
	web_finished(t->web);
	fprintf(stderr, "all read; the page stays until Ctrl-C\n");
	wait_for_signal();
	return 0;
}

static void
toewatch_close(struct toewatch *t)
{
	stoppable = NULL;
	web_close(&t->web);
	evidence_free(&t->evidence);
	if (t->packets)
		(void)packet_report_finish(&t->packets);
	if (t->packets_file && t->packets_file != stdout)
		fclose(t->packets_file);
	if (t->report)
		t->report->free(&t->report);
	keep_close(&t->keep);
	feed_free(&t->feed);
	live_report_free(&t->live_report);
	workers_free(&t->workers);
	incidents_free(&t->run.incidents);
	engine_free(&t->engine);
	registry_free(&t->registry);
	source_close(&t->source);
}

static enum exit_status
analyse(const struct options *o)
{
	struct toewatch t = { .options = o };
	enum exit_status status = NOT_DONE;

	if (toewatch_open(&t) == 0) {
		bool failed, whole;

		catch_signals(t.source);
		if (t.run.live)
			live_begin(&t.live);
		failed = read_all(&t) != 0;
		if (t.run.live)
			live_end(&t.live);
		whole = judge_all(&t);
		warn_of_link_types(&t);
		failed |= keep_finish(&t.keep) != 0;
		failed |= !whole || write_all(&t) != 0;
		failed = failed || show_page(&t) != 0;
		if (!failed)
			status = o->exit_code && t.run.incidents ? INCIDENTS : DONE;
	}
	if (t.bad_usage)
		status = BAD_USAGE;
	toewatch_close(&t);
	return status;
}

/* Two runs side by side ------------------------------------------------------ */

/* One of the two: its figures, `incidents` with any. 0, or -1 after a sentence. */
static int
figures_of(const struct options *o, const char *path,
    const struct run_figures *before, struct run_figures *out, bool *incidents)
{
	struct options one = *o;
	struct toewatch t = { .options = &one };
	int failed = -1;

	one.files = &path;
	one.file_count = 1;
	t.compare = compare_watch_new(before);
	if (!t.compare) {
		log_warn("out of memory");
		return -1;
	}
	if (toewatch_open(&t) == 0) {
		catch_signals(t.source);
		failed = read_all(&t);
		if (!judge_all(&t))
			failed = -1;
		warn_of_link_types(&t);
		*incidents = t.run.incidents != NULL;
		if (!failed && run_figures_take(t.compare, &t.run, out)) {
			log_warn("out of memory");
			failed = -1;
		}
	}
	toewatch_close(&t);
	compare_watch_free(&t.compare);
	return failed;
}

/* A folder that -o wrote. */
static bool
is_kept_run(const char *path)
{
	char name[4096];
	struct stat file;
	int n = snprintf(name, sizeof(name), "%s/findings.db", path);

	return n > 0 && (size_t)n < sizeof(name) && stat(name, &file) == 0;
}

/* The figures of a kept run, or of captures that are analysed now. */
static int
figures_from(const struct options *o, const char *path,
    const struct run_figures *before, struct run_figures *out, bool *incidents)
{
	char err[STORE_ERROR_BYTES];

	if (!is_kept_run(path))
		return figures_of(o, path, before, out, incidents);
	if (run_figures_read(path, out, err)) {
		log_warn("%s", err);
		return -1;
	}
	run_figures_place(out, before);
	*incidents = false;
	for (size_t i = 0; i < out->count; i++)
		*incidents |= out->server[i].incidents > 0;
	return 0;
}

static enum exit_status
compare(const struct options *o)
{
	struct run_figures before = { 0 }, after = { 0 };
	enum exit_status status = NOT_DONE;
	bool incidents = false;
	int failed;

	failed = figures_from(o, o->argument, NULL, &before, &incidents);
	if (!failed && interrupted) {
		log_warn("ended by a signal before %s was read: nothing to "
		    "compare", o->after);
		failed = -1;
	}
	failed = failed || figures_from(o, o->after, &before, &after,
	    &incidents);
	if (!failed) {
		failed = o->report_new == report_json_new ?
		    report_compare_json(stdout, &before, &after) :
		    report_compare_text(stdout, &before, &after);
		if (failed)
			log_warn("cannot write to standard output: %s",
			    strerror(errno));
		else
			status = o->exit_code && incidents ? INCIDENTS : DONE;
	}
	run_figures_free(&before);
	run_figures_free(&after);
	return status;
}

/* The other tasks ----------------------------------------------------------- */

static enum exit_status
check_config(const char *path)
{
	struct config config;
	struct web_where where;
	char err[512];

	if (config_read(&config, path, err, sizeof(err))) {
		log_warn("%s", err);
		return NOT_DONE;
	}
	if (web_where_parse(config.page.listen, &where, err)) {
		log_warn("%s: web { listen }: %s", path, err);
		return NOT_DONE;
	}
	printf("%s: sound; %zu server address%s\n", path, config.server_count,
	    config.server_count == 1 ? "" : "es");
	return DONE;
}

static enum exit_status
explain(const char *word)
{
	int name = finding_name_parse(word);

	if (name < 0) {
		options_error("there is no finding '%s'; --list-findings names all",
		    word);
		return BAD_USAGE;
	}
	if (explain_finding(stdout, (enum finding_name)name)) {
		log_warn("this build has no detector for %s", word);
		return NOT_DONE;
	}
	return DONE;
}

static enum exit_status
list_interfaces(void)
{
	char err[SOURCE_ERROR_BYTES];

	if (source_list_interfaces(err) == 0)
		return DONE;
	log_warn("%s", err);
	return NOT_DONE;
}

static enum exit_status
do_task(const struct options *o)
{
	switch (o->task) {
	case TASK_ANALYSE: return analyse(o);
	case TASK_LIST_FINDINGS: explain_list(stdout); return DONE;
	case TASK_EXPLAIN: return explain(o->argument);
	case TASK_COMPARE: return compare(o);
	case TASK_CHECK_CONFIG: return check_config(o->argument);
	case TASK_INTERFACES: return list_interfaces();
	case TASK_VERSION:
		printf("toewatch %s\n%s\nnDPI version %s\n%s\nSQLite version %s\n%s\n",
		    PACKAGE_VERSION, source_library_version(),
		    app_ndpi_version(), web_library_version(),
		    store_library_version(), sink_library_version());
		return DONE;
	case TASK_HELP: options_help(stdout); return DONE;
	}
	return BAD_USAGE;
}

/* A closed standard output must not become the next file that is opened. False
 * if it was closed. */
static bool
hold_standard_files(void)
{
	bool writable = fcntl(STDOUT_FILENO, F_GETFD) != -1;
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	return writable;
}

/* Some libraries end the program, or worse, where they cannot open a file of
 * theirs: so there is room for all, or it does not begin. 0, or -1 after a
 * sentence. */
static int
have_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= FILES_OPEN)
		return 0;
	log_warn("no more than %llu files may be open at once here (ulimit -n), "
	    "and %d is what it takes", (unsigned long long)limit.rlim_cur,
	    FILES_OPEN);
	return -1;
}

int
main(int argc, char **argv)
{
	bool writable = hold_standard_files();
	enum exit_status status = BAD_USAGE;
	struct options options;

	report_json_memory();
	if (options_read(&options, argc, argv) == 0) {
		if (writable) {
			status = have_descriptors() ? NOT_DONE :
			    do_task(&options);
		} else {
			log_warn("cannot write to standard output: it is closed");
			status = NOT_DONE;
		}
	}
	options_free(&options);
	if (status != NOT_DONE && memory_refused()) {
		log_warn("out of memory: what was put out may not be whole");
		status = NOT_DONE;
	}
	if (status == DONE && (fflush(stdout) || ferror(stdout))) {
		log_warn("cannot write to standard output: %s", strerror(errno));
		status = NOT_DONE;
	}
	return (int)status;
}
