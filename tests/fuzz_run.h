/* fuzz_run.h - a whole run inside a fuzz target: the engine, all detectors,
 * incidents told at the end or as it goes on, the packets behind them, and every
 * report. What is written goes nowhere, but for a sum of it: so two runs can be
 * held against each other. */
#ifndef TESTS_FUZZ_RUN_H
#define TESTS_FUZZ_RUN_H

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture/log.h"
#include "capture/source.h"
#include "detectors/evidence.h"
#include "detectors/feed.h"
#include "detectors/memo.h"
#include "detectors/report.h"
#include "detectors/report_live.h"
#include "detectors/report_packets.h"

enum fuzz_how {			/* bits; what a run does beyond a plain one */
	FUZZ_LIVE = 1,		/* told as it goes on, packets kept in a ring */
	FUZZ_FLOWS = 2,		/* each flow and each TCP packet is reported */
};

struct fuzz_run {
	unsigned how;			/* enum fuzz_how */
	struct config config;
	struct registry *registry;
	struct engine_observer detectors;
	struct engine *engine;
	struct evidence *evidence;
	struct feed *feed;
	struct live_report *live_report;
	struct packet_report *packets;
	struct report *flows;
	struct run run;
	FILE *sink;
	uint64_t sum;			/* of all that was written */
	uint64_t told;			/* number of the newest event */
	uint64_t given;			/* frames, so far */
	uint64_t last_number;		/* highest of them */
};

/* Limits that inputs reach, and tables that take no millisecond to lay out. The
 * linker puts this in the place of memo_new (--wrap). */
enum { FUZZ_MEMO_RECORDS = 32, FUZZ_FLOWS_MAX = 200, FUZZ_HOSTS_MAX = 48 };

struct memo *__real_memo_new(size_t limit, size_t bytes);
struct memo *__wrap_memo_new(size_t limit, size_t bytes);

struct memo *
__wrap_memo_new(size_t limit, size_t bytes)
{
	return __real_memo_new(limit < FUZZ_MEMO_RECORDS ? limit :
	    FUZZ_MEMO_RECORDS, bytes);
}

/* FNV-1a, 64 bits. */
static inline void
fuzz_sum(struct fuzz_run *r, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < n; i++)
		r->sum = (r->sum ^ at[i]) * UINT64_C(0x100000001b3);
}

static inline ssize_t
fuzz_swallow(void *context, const char *bytes, size_t n)
{
	fuzz_sum(context, bytes, n);
	return (ssize_t)n;
}

/* --- on the way ------------------------------------------------------------- */

/* Every event is a JSON object of one line. */
static inline void
fuzz_hear_event(void *context, struct event *e)
{
	struct fuzz_run *r = context;
	json_t *record = json_loadb(e->json, e->bytes, 0, NULL);

	assert(json_is_object(record));
	assert(!memchr(e->json, '\n', e->bytes));
	assert(e->number == ++r->told);
	json_decref(record);
	fuzz_sum(r, e->json, e->bytes);
	if (r->evidence)
		evidence_event(r->evidence, e);
}

static inline void
fuzz_hear_step(void *context, struct engine *e, struct instant now)
{
	struct fuzz_run *r = context;
	struct flow *const *flows;
	size_t count;

	r->detectors.on_step(r->detectors.context, e, now);
	if (r->feed)
		feed_step(r->feed, now);
	flows = engine_touched_flows(e, &count);
	for (size_t i = 0; r->flows && i < count; i++)
		if (flows[i]->flags & FLOW_ENDED)
			assert(!r->flows->flow(r->flows, &r->run, flows[i]));
}

static inline void
fuzz_hear_packet(void *context, const struct packet *p)
{
	struct fuzz_run *r = context;

	r->detectors.on_packet(r->detectors.context, p);
}

static inline void
fuzz_hear_segment(void *context, struct flow *f, const struct segment *s)
{
	struct fuzz_run *r = context;

	assert(s->packet->frame <= r->last_number);
	assert(s->new_bytes <= s->packet->payload_bytes + 2);
	r->detectors.on_segment(r->detectors.context, f, s);
}

static inline void
fuzz_hear_delivery(void *context, const struct delivery *d, int64_t answered_ns)
{
	struct fuzz_run *r = context;

	assert(answered_ns >= 0);
	r->detectors.on_delivery(r->detectors.context, d, answered_ns);
}

static inline void
fuzz_hear_app(void *context, const struct app_event *e)
{
	struct fuzz_run *r = context;

	if (r->packets)
		packet_report_app(r->packets, e);
	r->detectors.on_app(r->detectors.context, e);
}

static inline void
fuzz_hear_raw_tcp(void *context, const struct packet *p, uint64_t flow_id,
    bool is_copy)
{
	struct fuzz_run *r = context;

	(void)is_copy;
	packet_report_tcp(r->packets, p, flow_id);
}

static inline void
fuzz_hear_flow_end(void *context, struct flow *f)
{
	struct fuzz_run *r = context;

	r->detectors.on_flow_end(r->detectors.context, f);
}

/* --- begin ------------------------------------------------------------------- */

static inline const char *
fuzz_input_name(void *context, uint32_t file)
{
	return source_name(context, file);
}

static inline void
fuzz_run_live(struct fuzz_run *r, struct source *source)
{
	struct evidence_settings s = { .ring_bytes = 1 << 18,
		.payload_bytes = 64, .most_bytes = 1 << 20,
		.input_name = fuzz_input_name, .context = source };
	struct feed_listener events = { r, fuzz_hear_event, NULL }, report;
	char err[EVIDENCE_ERROR_BYTES];

	registry_live(r->registry);
	r->evidence = evidence_new(&s, err);
	r->feed = feed_new(&r->run, NULL);
	r->live_report = live_report_new(r->sink, false);
	if (!r->evidence || !r->feed || !r->live_report)
		abort();
	report = live_report_listener(r->live_report);
	assert(!feed_listen(r->feed, &events));
	assert(!feed_listen(r->feed, &report));
}

/* The source is borrowed: reports name it. */
static inline void
fuzz_run_begin(struct fuzz_run *r, struct source *source, unsigned how)
{
	static const cookie_io_functions_t swallow = { .write = fuzz_swallow };
	struct engine_config c = { .all_ends = how & FUZZ_FLOWS,
		.flow_limit = FUZZ_FLOWS_MAX, .host_limit = FUZZ_HOSTS_MAX,
		.awake_flows = how & FUZZ_FLOWS ? 1 : 0 };
	struct engine_observer o = { .context = r, .on_step = fuzz_hear_step,
		.on_packet = fuzz_hear_packet, .on_segment = fuzz_hear_segment,
		.on_delivery = fuzz_hear_delivery,
		.on_app = fuzz_hear_app, .on_flow_end = fuzz_hear_flow_end };

	memset(r, 0, sizeof(*r));
	r->how = how;
	r->sum = UINT64_C(0xcbf29ce484222325);
	config_default(&r->config);
	r->sink = fopencookie(r, "w", swallow);
	r->registry = registry_new(&r->config);
	if (!r->sink || !r->registry)
		abort();
	registry_observe(r->registry, &r->detectors);
	if (how & FUZZ_FLOWS) {
		r->packets = packet_report_new(r->sink, &r->run);
		r->flows = report_json_new(r->sink);
		o.on_raw_tcp = fuzz_hear_raw_tcp;
	}
	if (!r->detectors.on_flow_end)
		o.on_flow_end = NULL;
	r->engine = engine_new(&c, &o);
	if (!r->engine || (how & FUZZ_FLOWS && (!r->packets || !r->flows)))
		abort();
	registry_attach(r->registry, r->engine);
	r->run = (struct run){ .source = source, .engine = r->engine,
		.registry = r->registry, .config = &r->config,
		.live = how & FUZZ_LIVE };
	if (how & FUZZ_LIVE)
		fuzz_run_live(r, source);
}

static inline void
fuzz_run_frames(struct fuzz_run *r, const struct frame *frame, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (frame[i].number > r->last_number)
			r->last_number = frame[i].number;
		if (r->evidence)
			evidence_frame(r->evidence, &frame[i]);
	}
	r->given += count;
	engine_frames(r->engine, frame, count);
}

/* --- what holds whatever came ----------------------------------------------------- */

static inline bool
fuzz_is_share(double x)
{
	return isfinite(x) && x >= 0 && x <= 1;
}

static inline void
fuzz_check_capture(const struct fuzz_run *r)
{
	const struct capture_stats *c = engine_stats(r->engine);
	uint64_t decoded = 0;
	struct flow_stats f;

	for (int i = 0; i < DECODE_RESULT_COUNT; i++)
		decoded += c->decode[i];
	assert(c->packets == r->given);
	assert(decoded == c->packets);
	assert(c->duplicates <= c->packets && c->truncated <= c->packets);
	assert(c->non_ip <= c->packets && c->decode_errors <= c->packets);
	assert(c->time_regressions <= c->packets);
	assert(c->tcp_packets <= c->packets && c->udp_packets <= c->packets);
	assert(!instant_before(c->last, c->first));
	assert(fuzz_is_share(capture_lost_share(c)));
	assert(fuzz_is_share(capture_one_way_share(c)));
	assert(fuzz_is_share(capture_dropped_share(c)));
	assert(capture_unsound_packets(c) <= c->packets);
	engine_flow_stats(r->engine, &f);
	assert(f.now == 0 && f.peak <= f.created);
	assert(f.timed_out + f.evicted_half_open + f.evicted_established <=
	    f.created);
}

static inline void
fuzz_check_finding(const struct fuzz_run *r, const struct finding *x)
{
	assert(x->name < FINDING_COUNT && x->severity <= SEVERITY_CRITICAL);
	assert(fuzz_is_share(x->confidence));
	assert(!instant_before(x->last_seen, x->first_seen));
	assert(x->frame_count <= FINDING_FRAMES && *x->text);
	for (unsigned i = 0; i < x->frame_count; i++) {
		assert(x->frame[i] && x->frame[i] <= r->last_number);
		assert(!i || x->frame[i] > x->frame[i - 1]);
	}
	assert(x->metric_count <= FINDING_METRICS);
	for (unsigned i = 0; i < x->metric_count; i++)
		assert(isfinite(x->metric[i].value));
}

static inline void
fuzz_check_evidence(const struct fuzz_run *r, const struct evidence *e)
{
	assert(isfinite(e->weight) && e->weight >= 0 && *e->text);
	for (unsigned i = 0; i < e->frame_count; i++)
		assert(e->frame[i] && e->frame[i] <= r->last_number);
}

static inline void
fuzz_check_incident(const struct fuzz_run *r, const struct incident *x)
{
	assert(x->server && x->verdict < VERDICT_COUNT);
	assert(fuzz_is_share(x->confidence));
	assert(!instant_before(x->last, x->start));
	assert(x->clients_affected <= x->clients_seen);
	assert(x->flows_affected <= x->flows_seen);
	for (unsigned i = 0; i < x->evidence_count; i++)
		fuzz_check_evidence(r, &x->evidence[i]);
	for (unsigned i = 0; i < x->against_count; i++)
		fuzz_check_evidence(r, &x->against[i]);
}

/* --- end --------------------------------------------------------------------- */

static inline void
fuzz_json_report(struct fuzz_run *r)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	struct report *report = out ? report_json_new(out) : NULL;

	assert(report && !report->finish(report, &r->run));
	report->free(&report);
	assert(!fclose(out));
	fuzz_sum(r, text, bytes);
	for (char *at = text, *end; (end = strchr(at, '\n')); at = end + 1) {
		json_t *record = json_loadb(at, (size_t)(end - at), 0, NULL);

		assert(json_is_object(record));
		json_decref(record);
	}
	free(text);
}

static inline void
fuzz_report(struct fuzz_run *r, struct report *(*make)(FILE *))
{
	struct report *report = make(r->sink);

	assert(report && !report->finish(report, &r->run));
	report->free(&report);
}

static inline void
fuzz_show_evidence(struct fuzz_run *r)
{
	char *data;
	size_t bytes;

	for (const struct finding *x = registry_findings(r->registry); x;
	    x = x->next) {
		if (evidence_ladder(r->evidence, x->id, &data, &bytes) == 0)
			free(data);
		if (evidence_pcapng(r->evidence, "finding", x->id, &data,
		    &bytes) == 0)
			free(data);
	}
}

/* The capture is over: the last judgements, and all that is written. Returns the
 * sum of it. */
static inline uint64_t
fuzz_run_end(struct fuzz_run *r)
{
	registry_finishing(r->registry);
	engine_finish(r->engine);
	registry_finish(r->registry, r->engine);
	if (r->feed)
		feed_finish(r->feed);
	else
		r->run.incidents = incidents_judge(r->registry,
		    registry_judge(r->registry));
	fuzz_report(r, report_text_new);
	fuzz_report(r, report_html_new);
	fuzz_json_report(r);
	fuzz_check_capture(r);
	for (const struct finding *x = registry_findings(r->registry); x;
	    x = x->next)
		if (!x->retracted && !x->scrap)
			fuzz_check_finding(r, x);
	for (const struct incident *i = r->run.incidents; i; i = i->next)
		fuzz_check_incident(r, i);
	if (r->evidence)
		fuzz_show_evidence(r);
	if (r->packets)
		assert(!packet_report_finish(&r->packets));
	return r->sum;
}

static inline void
fuzz_run_free(struct fuzz_run *r)
{
	evidence_free(&r->evidence);
	feed_free(&r->feed);
	live_report_free(&r->live_report);
	if (r->flows)
		r->flows->free(&r->flows);
	incidents_free(&r->run.incidents);
	engine_free(&r->engine);
	registry_free(&r->registry);
	fclose(r->sink);
}

#endif
