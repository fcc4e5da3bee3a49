/* unit_report_json.c - the reports, JSON above all, over a run that is made by
 * hand: what holds whatever the detectors say. */
#include "detectors/report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "detectors/report_common.h"
#include "tests/unit.h"

/* A capture file without frames (draft-ietf-opsawg-pcap), Ethernet. */
static const uint8_t no_frames[24] = { 0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0,
	[18] = 4, [20] = 1 };

struct bench {
	struct config config;
	struct source *source;
	struct run run;
	struct detector detector;
	struct server *server;
	char path[200];
};

static void
bench_open(struct bench *b)
{
	static const struct engine_config plain;
	struct engine_observer observer = { 0 };
	const char *path = b->path, *folder = getenv("TMPDIR");
	char err[SOURCE_ERROR_BYTES];
	struct address a = address_from_v4(0x0a141e05);
	int fd;

	*b = (struct bench){ 0 };
	snprintf(b->path, sizeof(b->path), "%s/json.XXXXXX",
	    folder ? folder : "/tmp");
	fd = mkstemp(b->path);
	if (fd < 0 || write(fd, no_frames, sizeof(no_frames)) !=
	    (ssize_t)sizeof(no_frames))
		abort();
	close(fd);
	config_default(&b->config);
	CHECK_EQ(source_open_files(&path, 1, NULL, &b->source, err), 0);
	b->run.source = b->source;
	b->run.config = &b->config;
	b->run.registry = registry_new(&b->config);
	registry_observe(b->run.registry, &observer);
	b->run.engine = engine_new(&plain, &observer);
	registry_attach(b->run.registry, b->run.engine);
	b->server = registry_server(b->run.registry, &a, true);
	CHECK(b->server != NULL);
}

static void
bench_close(struct bench *b)
{
	engine_free((struct engine **)&b->run.engine);
	registry_free((struct registry **)&b->run.registry);
	source_close(&b->source);
	unlink(b->path);
}

static struct finding *
bench_raise(struct bench *b, enum finding_name name, int64_t first_ns,
    uint16_t port)
{
	struct finding *f;

	b->detector.finding = name;
	f = finding_raise(registry_judge(b->run.registry), &b->detector, NULL,
	    b->server, NULL, port);
	finding_time(f, (struct instant){ first_ns });
	f->count = 1;
	return f;
}

/* All events, in order; to be freed with json_decref. */
static json_t *
bench_events(struct bench *b)
{
	json_t *events = json_array();
	char *text = NULL, *line, *save = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct report *r = report_json_new(out);

	CHECK_EQ(r->finish(r, &b->run), 0);
	r->free(&r);
	fclose(out);
	CHECK(size > 0 && text[size - 1] == '\n');
	for (line = strtok_r(text, "\n", &save); line;
	    line = strtok_r(NULL, "\n", &save)) {
		json_t *e = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

		CHECK(e != NULL);
		json_array_append_new(events, e);
	}
	free(text);
	return events;
}

static const char *
text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text ? text : "(none)";
}

static void
test_the_capture_comes_last_even_of_an_empty_run(void **state)
{
	struct bench b;
	json_t *events, *last;

	(void)state;
	bench_open(&b);
	events = bench_events(&b);
	last = json_array_get(events, json_array_size(events) - 1);
	CHECK_STR(text_of(last, "event_type"), "capture");
	CHECK_EQ(json_integer_value(json_object_get(last, "packets")), 0);
	CHECK_STR(text_of(last, "pcap_filename"), b.path);
	json_decref(events);
	bench_close(&b);
}

static void
test_findings_come_in_the_order_of_time_then_of_number(void **state)
{
	struct bench b;
	json_t *events;
	static const char *const want[] = { "server_silent", "rpc_stall",
		"reply_missing" };

	(void)state;
	bench_open(&b);
	bench_raise(&b, FINDING_rpc_stall, 2 * NS_PER_S, 135);
	bench_raise(&b, FINDING_reply_missing, 2 * NS_PER_S, 80);
	bench_raise(&b, FINDING_server_silent, NS_PER_S, 0);
	events = bench_events(&b);
	for (size_t i = 0; i < 3; i++) {
		json_t *e = json_array_get(events, i);

		CHECK_STR(text_of(e, "event_type"), "finding");
		CHECK_STR(text_of(e, "finding"), want[i]);
	}
	CHECK_STR(text_of(json_array_get(events, 0), "timestamp"),
	    "1970-01-01T00:00:01.000000Z");
	json_decref(events);
	bench_close(&b);
}

static void
test_a_retracted_finding_is_not_told(void **state)
{
	struct bench b;
	json_t *events;

	(void)state;
	bench_open(&b);
	finding_retract(bench_raise(&b, FINDING_rpc_stall, 1, 135));
	events = bench_events(&b);
	CHECK(strcmp(text_of(json_array_get(events, 0), "event_type"),
	    "finding") != 0);
	json_decref(events);
	bench_close(&b);
}

static void
test_text_of_any_bytes_is_sound_json(void **state)
{
	struct bench b;
	struct finding *f;
	json_t *events;

	(void)state;
	bench_open(&b);
	f = bench_raise(&b, FINDING_rpc_stall, 1, 135);
	finding_say(f, "quote \" back \\ line\n esc \033[31m bad \xff\xc3( end");
	events = bench_events(&b);
	CHECK_STR(text_of(json_array_get(events, 0), "text"),
	    "quote \" back \\ line\\x0a esc \\x1b[31m bad \\xff\\xc3( end");
	json_decref(events);
	bench_close(&b);
}

static void
test_a_figure_that_is_no_number_is_null(void **state)
{
	struct bench b;
	struct finding *f;
	json_t *events, *metrics;

	(void)state;
	bench_open(&b);
	f = bench_raise(&b, FINDING_rpc_stall, 1, 135);
	finding_metric(f, "waited_s", 0.97);
	finding_metric(f, "odd", (double)NAN);
	events = bench_events(&b);
	metrics = json_object_get(json_array_get(events, 0), "metrics");
	CHECK(json_is_null(json_object_get(metrics, "odd")));
	CHECK(json_real_value(json_object_get(metrics, "waited_s")) > 0.96);
	json_decref(events);
	bench_close(&b);
}

static void
test_a_server_is_as_well_as_its_findings(void **state)
{
	struct bench b;
	struct finding *f;

	(void)state;
	bench_open(&b);
	CHECK_EQ(health_of(b.server), HEALTH_OK);
	f = bench_raise(&b, FINDING_rpc_stall, 1, 135);
	f->severity = SEVERITY_LOW;
	CHECK_EQ(health_of(b.server), HEALTH_OK);
	f->severity = SEVERITY_HIGH;
	CHECK_EQ(health_of(b.server), HEALTH_DEGRADED);
	f->side = FAULT_CLIENT;		/* not the server's doing */
	CHECK_EQ(health_of(b.server), HEALTH_OK);
	f = bench_raise(&b, FINDING_server_silent, 1, 0);
	CHECK_EQ(health_of(b.server), HEALTH_SILENT);
	f->ended = true;
	f->severity = SEVERITY_HIGH;
	CHECK_EQ(health_of(b.server), HEALTH_DEGRADED);
	bench_close(&b);
}

static void
test_an_incident_that_lasts_is_failing(void **state)
{
	struct bench b;
	struct incident i = { .verdict = VERDICT_offload_engine, .id = 1 };

	(void)state;
	bench_open(&b);
	i.server = b.server;
	i.start = (struct instant){ NS_PER_S };
	b.server->incidents = &i;
	CHECK_EQ(health_of(b.server), HEALTH_FAILING);
	i.end = (struct instant){ 2 * NS_PER_S };
	CHECK_EQ(health_of(b.server), HEALTH_DEGRADED);
	bench_close(&b);
}

/* The whole page, or the whole text; to be freed. */
static char *
bench_print(struct bench *b, struct report *(*make)(FILE *))
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct report *r = make(out);

	CHECK_EQ(r->finish(r, &b->run), 0);
	r->free(&r);
	fclose(out);
	return text;
}

static void
test_the_page_holds_no_markup_from_outside(void **state)
{
	struct bench b;
	struct finding *f;
	char *page;

	(void)state;
	bench_open(&b);
	strcpy(b.server->name, "<b onclick='x'>");
	f = bench_raise(&b, FINDING_rpc_stall, 1, 135);
	f->severity = SEVERITY_HIGH;
	finding_say(f, "</style><script>alert(1)</script>&\"'\033[31m");
	finding_against(f, "<img src=x>");
	page = bench_print(&b, report_html_new);
	CHECK(strstr(page, "<script") == NULL);
	CHECK(strstr(page, "<img") == NULL);
	CHECK(strstr(page, "<b on") == NULL);
	CHECK(strchr(page, '\033') == NULL);
	CHECK(strstr(page, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;"
	    "&#39;\\x1b[31m") != NULL);
	free(page);
	bench_close(&b);
}

static void
test_the_text_moves_no_cursor(void **state)
{
	struct bench b;
	struct finding *f;
	char *text;

	(void)state;
	bench_open(&b);
	strcpy(b.server->name, "EX\033]0;owned\007");
	b.server->flows = 1;
	f = bench_raise(&b, FINDING_rpc_stall, 1, 135);
	f->severity = SEVERITY_HIGH;
	finding_say(f, "\033[2J\r");
	finding_frame(f, 3);
	text = bench_print(&b, report_text_new);
	CHECK(strchr(text, '\033') == NULL && strchr(text, '\r') == NULL &&
	    strchr(text, '\007') == NULL);
	CHECK(strstr(text, "DEGRADED") != NULL);
	CHECK(strstr(text, "frame.number in {3}") != NULL);
	free(text);
	bench_close(&b);
}

static void
test_writing_that_fails_is_told(void **state)
{
	struct bench b;
	FILE *full = fopen("/dev/full", "w");
	struct report *r;

	(void)state;
	if (!full)
		UNIT_SKIP("there is no /dev/full");
	bench_open(&b);
	r = report_json_new(full);
	CHECK_EQ(r->finish(r, &b.run), -1);
	r->free(&r);
	fclose(full);
	bench_close(&b);
}

static void
test_what_a_terminal_would_obey_is_shown_as_numbers(void **state)
{
	char out[64], small[6];

	(void)state;
	CHECK_STR(text_safe("plain \xc3\xbc", out, sizeof(out)), "plain \xc3\xbc");
	CHECK_STR(text_safe("\033[2J\r\x7f", out, sizeof(out)),
	    "\\x1b[2J\\x0d\\x7f");
	CHECK_STR(text_safe("\xc2\x9b", out, sizeof(out)), "\\xc2\\x9b");
	CHECK_STR(text_safe("\xe2\x80\xae", out, sizeof(out)),
	    "\\xe2\\x80\\xae");	/* right-to-left override */
	CHECK_STR(text_safe("\xc0\xaf\xed\xa0\x80", out, sizeof(out)),
	    "\\xc0\\xaf\\xed\\xa0\\x80"); /* overlong; surrogate */
	CHECK_STR(text_safe("abcd\xc3\xbc", small, sizeof(small)), "abcd");
}

static void
test_times_and_numbers_read_well(void **state)
{
	static const uint64_t frames[] = { 3, 4, 5, 9 };
	char d[DURATION_TEXT_BYTES], n[NUMBER_TEXT_BYTES], f[64];

	(void)state;
	CHECK_STR(duration_text(4200 * NS_PER_MS, d), "4.2 s");
	CHECK_STR(duration_text(591 * NS_PER_S, d), "9 min 51 s");
	CHECK_STR(duration_text(7380 * NS_PER_S, d), "2 h 3 min");
	CHECK_STR(duration_text(12 * NS_PER_MS, d), "12 ms");
	CHECK_STR(number_text(184220, n), "184,220");
	CHECK_STR(number_text(999, n), "999");
	CHECK_STR(frames_text(frames, 4, f, sizeof(f)), "3-5, 9");
	CHECK_EQ(percent_of(1.0), 99);
	CHECK_EQ(percent_of(0.974), 97);
	CHECK_EQ(percent_of((double)NAN), 0);
}

UNIT_TESTS(
    cmocka_unit_test(test_the_capture_comes_last_even_of_an_empty_run),
    cmocka_unit_test(test_findings_come_in_the_order_of_time_then_of_number),
    cmocka_unit_test(test_a_retracted_finding_is_not_told),
    cmocka_unit_test(test_text_of_any_bytes_is_sound_json),
    cmocka_unit_test(test_a_figure_that_is_no_number_is_null),
    cmocka_unit_test(test_a_server_is_as_well_as_its_findings),
    cmocka_unit_test(test_an_incident_that_lasts_is_failing),
    cmocka_unit_test(test_the_page_holds_no_markup_from_outside),
    cmocka_unit_test(test_the_text_moves_no_cursor),
    cmocka_unit_test(test_writing_that_fails_is_told),
    cmocka_unit_test(test_what_a_terminal_would_obey_is_shown_as_numbers),
    cmocka_unit_test(test_times_and_numbers_read_well),
)
