/* unit_web.c - the web room without its sockets: where it may be served, what it
 * remembers of events, what those who follow them are given. tests/web.sh asks
 * over HTTP. */
#include "tests/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "web/access.h"
#include "web/gzip.h"
#include "web/inbox.h"
#include "web/listen.h"
#include "web/model.h"
#include "web/server.h"
#include "web/stream.h"

/* An event about to be applied; number 0: the next one. */
static uint64_t last_number;

static struct event *
event_of(const char *json)
{
	struct event model = { .number = ++last_number };
	struct event *e = event_new(&model, strdup(json), strlen(json));

	CHECK(e != NULL);
	return e;
}

static void
apply(struct model *m, const char *format, ...)
{
	char json[600];
	struct event *e;
	va_list args;

	va_start(args, format);
	vsnprintf(json, sizeof(json), format, args);
	va_end(args);
	e = event_of(json);
	model_apply(m, e);
	event_release(&e);
}

static void
apply_finding(struct model *m, unsigned id, const char *change)
{
	apply(m, "{\"event_type\":\"finding\",\"finding_id\":%u,"
	    "\"finding\":\"rpc_stall\",\"severity\":\"high\",\"change\":"
	    "\"%s\",\"client_ip\":\"10.0.0.7\",\"server\":{\"ip\":"
	    "\"10.0.0.5\",\"name\":\"EX01\"},\"incident_id\":3,"
	    "\"first_seen\":\"2008-03-18T10:39:14.000000Z\","
	    "\"last_seen\":\"2008-03-18T10:40:14.000000Z\"}", id, change);
}

static void
apply_server(struct model *m, const char *ip, unsigned minute, const char *health,
    unsigned flows)
{
	apply(m, "{\"timestamp\":\"2008-03-18T%02u:%02u:30.000000Z\","
	    "\"event_type\":\"server\",\"server\":{\"ip\":\"%s\"},"
	    "\"flows\":%u,\"bytes\":%u,\"health\":\"%s\",\"response_times\":"
	    "{\"smb\":{\"p95\":2.5},\"http\":{\"p95\":7.25}}}", minute / 60,
	    minute % 60, ip, flows, flows * 100, health);
}

static struct model *
fresh_model(void)
{
	struct model *m = model_new();

	CHECK(m != NULL);
	last_number = 0;
	return m;
}

static void
check_parses(const char *text, const char *want)
{
	char err[WEB_ERROR_BYTES] = "", back[WEB_WHERE_BYTES];
	struct web_where w;

	CHECK_EQ(web_where_parse(text, &w, err), 0);
	CHECK_STR(web_where_text(&w, back), want);
}

static void
test_loopback_addresses_with_a_port_are_taken(void **state)
{
	(void)state;
	check_parses("127.0.0.1:8080", "127.0.0.1:8080");
	check_parses("127.8.9.1:1", "127.8.9.1:1");
	check_parses("[::1]:65535", "[::1]:65535");
	check_parses("localhost:0", "127.0.0.1:0");
}

static void
check_refused(const char *text, const char *names)
{
	char err[WEB_ERROR_BYTES] = "";
	struct web_where w;

	CHECK_EQ(web_where_parse(text, &w, err), -1);
	CHECK(strstr(err, names) != NULL);
}

static void
test_what_is_no_address_with_a_port_is_refused(void **state)
{
	static const char *const bad[] = {
		"", ":", "8080", ":8080", "127.0.0.1", "127.0.0.1:",
		"127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80a",
		"127.0.0.1: 80", "127.0.0.1:000080", "127.1:80", "::1:8080",
		"[::1]", "[::1]8080", "[::1", "[]:80", "[127.0.0.1]:80",
		"[localhost]:80", "example.org:80", "[::1%lo]:80",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_refused(bad[i], "address and a port");
}

static void
check_needs_token(const char *text)
{
	struct web_settings settings = { .style = "" };
	char err[WEB_ERROR_BYTES] = "";

	CHECK_EQ(web_where_parse(text, &settings.where, err), 0);
	CHECK(!web_where_is_loopback(&settings.where));
	CHECK(web_open(&settings, err) == NULL);
	CHECK(strstr(err, "token") != NULL);
}

static void
test_addresses_that_others_can_reach_need_a_token(void **state)
{
	(void)state;
	check_needs_token("0.0.0.0:0");
	check_needs_token("10.0.0.1:8080");
	check_needs_token("128.0.0.1:8080");
	check_needs_token("[::]:8080");
	check_needs_token("[::ffff:10.0.0.1]:8080");
	check_needs_token("[fe80::1]:8080");
}

/* A token file with this in it. */
static int
read_token(struct access *a, const char *text, mode_t mode, char *err)
{
	char path[] = "/tmp/unit-web-XXXXXX";
	int fd = mkstemp(path), result;

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	CHECK_EQ(fchmod(fd, mode), 0);
	close(fd);
	*a = (struct access){ 0 };
	result = access_read(a, path, err);
	unlink(path);
	return result;
}

static void
test_a_token_is_one_long_line_that_others_cannot_read(void **state)
{
	static const char *const bad[] = {
		"", "\n", "short\n", "0123456789abcde\n", "0123456789 abcdef\n",
		"\n0123456789abcdef\n", "0123456789\tabcdef\n",
	};
	char err[ACCESS_ERROR_BYTES], long_one[400];
	struct access a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(read_token(&a, bad[i], 0600, err), -1);
		CHECK(strstr(err, "one line") != NULL);
		CHECK(!a.needed);
	}
	memset(long_one, 'a', sizeof(long_one));
	long_one[sizeof(long_one) - 1] = '\0';
	CHECK_EQ(read_token(&a, long_one, 0600, err), -1);
	CHECK_EQ(read_token(&a, "0123456789abcdef\n", 0604, err), -1);
	CHECK(strstr(err, "everybody") != NULL);
	CHECK_EQ(access_read(&a, "/nonexistent/token", err), -1);
	CHECK_EQ(read_token(&a, "0123456789abcdef", 0640, err), 0);
	CHECK(a.needed);
}

static void
test_the_token_and_its_cookie_open_and_nothing_else_does(void **state)
{
	char err[ACCESS_ERROR_BYTES], set[ACCESS_SET_COOKIE_BYTES], field[400];
	struct access a, other;

	(void)state;
	CHECK_EQ(read_token(&a, "0123456789abcdef\nmore\n", 0600, err), 0);
	CHECK_EQ(read_token(&other, "0123456789abcdeg\n", 0600, err), 0);
	CHECK(access_token_fits(&a, "0123456789abcdef"));
	CHECK(!access_token_fits(&a, "0123456789abcdeg"));
	CHECK(!access_token_fits(&a, "0123456789abcdef0"));
	CHECK(!access_token_fits(&a, ""));
	CHECK(access_bearer_fits(&a, "Bearer 0123456789abcdef"));
	CHECK(access_bearer_fits(&a, "bearer  0123456789abcdef"));
	CHECK(!access_bearer_fits(&a, "Basic 0123456789abcdef"));
	CHECK(!access_bearer_fits(&a, "Bearer"));
	CHECK(!access_bearer_fits(&a, NULL));
	CHECK(strcmp(a.cookie, other.cookie) != 0);
	snprintf(field, sizeof(field), "x=1; toewatch=%s; y=2", a.cookie);
	CHECK(access_cookie_fits(&a, field));
	CHECK(!access_cookie_fits(&other, field));
	snprintf(field, sizeof(field), "toewatch=%s0", a.cookie);
	CHECK(!access_cookie_fits(&a, field));
	snprintf(field, sizeof(field), "xtoewatch=%s", a.cookie);
	CHECK(!access_cookie_fits(&a, field));
	CHECK(!access_cookie_fits(&a, "toewatch="));
	CHECK(!access_cookie_fits(&a, "toewatch=0123456789abcdef"));
	CHECK(!access_cookie_fits(&a, NULL));
	CHECK(strstr(access_set_cookie(&a, true, set), "; HttpOnly"));
	CHECK(strstr(set, "; SameSite=Strict"));
	CHECK(strstr(set, "; Secure"));
	CHECK(!strstr(set, "0123456789abcdef;"));
}

static void
test_only_loopback_hosts_are_answered(void **state)
{
	(void)state;
	CHECK(web_host_is_loopback("localhost"));
	CHECK(web_host_is_loopback("LocalHost:8080"));
	CHECK(web_host_is_loopback("127.0.0.1:1"));
	CHECK(web_host_is_loopback("[::1]"));
	CHECK(web_host_is_loopback("[::1]:8080"));
	CHECK(!web_host_is_loopback(""));
	CHECK(!web_host_is_loopback("localhost.example.org"));
	CHECK(!web_host_is_loopback("127.0.0.1.example.org:8080"));
	CHECK(!web_host_is_loopback("10.0.0.1"));
	CHECK(!web_host_is_loopback("localhost:8080:1"));
	CHECK(!web_host_is_loopback("localhost@example.org"));
}

static void
test_a_port_in_use_is_named(void **state)
{
	char err[WEB_ERROR_BYTES] = "", taken[WEB_WHERE_BYTES];
	struct web_where w, same;
	int fd;

	(void)state;
	CHECK_EQ(web_where_parse("127.0.0.1:0", &w, err), 0);
	fd = web_where_listen(&w, err);
	CHECK(fd >= 0);
	same = w;
	web_where_text(&w, taken);
	CHECK_EQ(web_where_listen(&same, err), -1);
	CHECK(strstr(err, taken) != NULL);
	CHECK(strstr(err, "in use") != NULL);
	close(fd);
}

static void
test_the_newest_word_on_a_finding_counts(void **state)
{
	struct model *m = fresh_model();
	const struct model_finding *f;

	(void)state;
	apply_finding(m, 7, "new");
	apply_finding(m, 3, "new");
	apply_finding(m, 7, "over");
	CHECK_EQ(m->finding_count, 2);
	CHECK_EQ(m->finding[0]->id, 3);
	f = model_find(m, 7);
	CHECK(f && f->over && !f->withdrawn);
	CHECK_EQ(f->event->number, 3);
	CHECK_EQ(f->to_us - f->from_us, 60000000);
	CHECK_EQ(f->severity, SEVERITY_HIGH);
	CHECK_EQ(f->incident_id, 3);
	CHECK_STR(f->client, "10.0.0.7");
	CHECK_STR(f->server_name, "EX01");
	CHECK(model_find(m, 4) == NULL);
	model_free(&m);
}

static void
test_the_limit_takes_the_withdrawn_then_the_over_then_the_old(void **state)
{
	struct model *m = fresh_model();

	(void)state;
	for (unsigned id = 1; id <= MODEL_FINDINGS; id++)
		apply_finding(m, id, id == 500 ? "withdrawn" :
		    id > 1000 && id <= 1100 ? "over" : "new");
	CHECK_EQ(m->finding_count, MODEL_FINDINGS);
	apply_finding(m, MODEL_FINDINGS + 1, "new");
	CHECK(model_find(m, 500) == NULL);
	CHECK(model_find(m, 1050) == NULL);
	CHECK(model_find(m, 1) == NULL);
	CHECK(model_find(m, 2000) != NULL);
	CHECK(model_find(m, MODEL_FINDINGS + 1) != NULL);
	CHECK_EQ(m->forgotten, MODEL_FINDINGS / 16);
	model_free(&m);
}

static void
test_an_incident_keeps_a_brief_and_can_be_withdrawn(void **state)
{
	static const char incident[] = "{\"event_type\":\"incident\","
	    "\"incident_id\":%u,\"end\":null,\"verdict\":\"server_host\","
	    "\"start\":\"2008-03-18T10:39:14.000000Z\",\"summary\":\"so\","
	    "\"evidence\":[1],\"against\":[2],\"remedy\":[3],\"change\":\"%s\"}";
	struct model *m = fresh_model();
	const struct model_incident *i;

	(void)state;
	apply(m, incident, 2, "new");
	apply(m, incident, 1, "new");
	i = model_find_incident(m, 2);
	CHECK(i && i->to_us == INT64_MAX);
	CHECK(strstr(i->event->json, "evidence"));
	CHECK(strstr(i->brief, "\"summary\":\"so\""));
	CHECK(!strstr(i->brief, "evidence"));
	CHECK(!strstr(i->brief, "remedy"));
	apply(m, incident, 2, "withdrawn");
	CHECK(model_find_incident(m, 2) == NULL);
	CHECK(model_find_incident(m, 1) != NULL);
	model_free(&m);
}

static void
test_a_server_keeps_its_minutes_with_gaps(void **state)
{
	struct model *m = fresh_model();
	const struct model_server *s;

	(void)state;
	apply_server(m, "10.0.0.5", 10, "ok", 4);
	apply_server(m, "10.0.0.5", 11, "ok", 6);
	apply_server(m, "10.0.0.5", 14, "failing", 13);
	s = model_find_server(m, "10.0.0.5");
	CHECK(s != NULL);
	CHECK_EQ(s->minute_count, 5);
	CHECK_EQ(model_minute(s, 0)->health, 'f');
	CHECK_EQ(model_minute(s, 1)->health, '-');
	CHECK_EQ(model_minute(s, 4)->health, 'o');
	CHECK(model_minute(s, 0)->flows == 7);
	CHECK(model_minute(s, 3)->flows == 2);
	CHECK(model_minute(s, 0)->p95_ms == 7.25);
	CHECK(model_minute(s, 5) == NULL);
	for (unsigned minute = 20; minute < 20 + MODEL_MINUTES + 5; minute++)
		apply_server(m, "10.0.0.5", minute, "ok", minute);
	CHECK_EQ(s->minute_count, MODEL_MINUTES);
	CHECK_EQ(model_minute(s, MODEL_MINUTES - 1)->health, 'o');
	model_free(&m);
}

static void
test_more_servers_than_the_limit_replace_the_silent_ones(void **state)
{
	struct model *m = fresh_model();
	char ip[ADDRESS_TEXT_BYTES];

	(void)state;
	for (unsigned i = 0; i <= MODEL_SERVERS; i++) {
		snprintf(ip, sizeof(ip), "10.0.%u.%u", i / 256, i % 256);
		apply_server(m, ip, 1, "ok", 1);
		if (i == 1)
			apply_server(m, "10.0.0.0", 2, "ok", 1);
	}
	CHECK_EQ(m->server_count, MODEL_SERVERS);
	CHECK(model_find_server(m, "10.0.0.0") != NULL);
	CHECK(model_find_server(m, "10.0.0.1") == NULL);
	model_free(&m);
}

static void
test_what_is_no_record_changes_nothing(void **state)
{
	struct model *m = fresh_model();

	(void)state;
	apply(m, "{\"event_type\":\"finding\"");
	apply(m, "{}");
	apply(m, "[]");
	apply(m, "{\"event_type\":\"server\",\"server\":null}");
	CHECK_EQ(m->unreadable, 3);
	CHECK_EQ(m->server_count, 0);
	CHECK_EQ(m->last_event, 4);
	model_free(&m);
}

static void
test_times_are_read_whole_and_cut_short(void **state)
{
	static const char *const bad[] = {
		"", "now", "2008-03", "2008-03-18T10", "2008-03-18x",
		"2008-03-18T10:39:14+01", "1e99", "nan",
	};
	int64_t us;

	(void)state;
	CHECK(model_time_parse("2008-03-18T10:39:14.447901Z", &us));
	CHECK_EQ(us, INT64_C(1205836754447901));
	CHECK(model_time_parse("2008-03-18T10:39", &us));
	CHECK_EQ(us, INT64_C(1205836740000000));
	CHECK(model_time_parse("2008-03-18", &us));
	CHECK_EQ(us, INT64_C(1205798400000000));
	CHECK(model_time_parse("1205836754.5", &us));
	CHECK_EQ(us, INT64_C(1205836754500000));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!model_time_parse(bad[i], &us));
}

/* Streams ------------------------------------------------------------------- */

/* All that a viewer is given in pieces of `room` bytes; to be freed. */
static char *
all_of(struct viewer *v, struct stream *s, size_t room)
{
	char *text = calloc(1, 1 << 20);
	size_t n = 0, got;

	CHECK(text != NULL);
	while ((got = viewer_read(v, s, text + n, room)) > 0) {
		CHECK(got <= room);
		n += got;
		CHECK(n < (1 << 20) - room);
	}
	return text;
}

static void
check_gets(struct viewer *v, struct stream *s, const char *want)
{
	char *text = all_of(v, s, 100);

	CHECK_STR(text, want);
	free(text);
}

static void
add(struct stream *s, uint64_t number, const char *json)
{
	struct event *e;

	last_number = number - 1;
	e = event_of(json);
	stream_add(s, e);
	event_release(&e);
}

static void
test_a_viewer_gets_each_event_once_in_any_pieces(void **state)
{
	struct stream *s = stream_new("run");
	struct viewer v;

	(void)state;
	add(s, 1, "{\"a\":1}");
	viewer_begin(&v, s, NULL);
	check_gets(&v, s, "");
	add(s, 2, "{\"b\":2}");
	add(s, 3, "{\"c\":3}");
	for (size_t room = 1; room < 60; room++) {
		char *text;

		viewer_begin(&v, s, "run.1");
		text = all_of(&v, s, room);
		CHECK_STR(text, "event: finding\nid: run.2\ndata: {\"b\":2}\n\n"
		    "event: finding\nid: run.3\ndata: {\"c\":3}\n\n");
		free(text);
		viewer_end(&v);
	}
	stream_free(&s);
}

static void
test_a_mark_that_is_too_old_or_foreign_begins_with_a_reset(void **state)
{
	static const char reset[] = "event: reset\nid: run.20001\n"
	    "data: {\"mark\":\"run.20001\"}\n\n";
	static const char *const marks[] = {
		"run.3", "run.10000", "nur.20001", "run.20002", "run", "", "run.",
		"run.20001x", "run.99999999999999999999", "20001",
	};
	struct stream *s = stream_new("run");
	struct viewer v;

	(void)state;
	for (unsigned n = 1; n <= 20001; n++)
		add(s, n, "{}");
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		viewer_begin(&v, s, marks[i]);
		check_gets(&v, s, reset);
	}
	viewer_begin(&v, s, "run.20001");
	check_gets(&v, s, "");
	viewer_begin(&v, s, "run.10001");
	CHECK(!v.behind);
	stream_free(&s);
}

static void
test_a_slow_viewer_gets_a_reset_after_the_record_it_holds(void **state)
{
	struct stream *s = stream_new("run");
	char text[80] = "";
	struct viewer v;

	(void)state;
	viewer_begin(&v, s, NULL);
	add(s, 1, "{\"a\":1}");
	CHECK_EQ(viewer_read(&v, s, text, 30), 30);
	for (unsigned n = 2; n <= STREAM_EVENTS + 9; n++)
		add(s, n, "{}");
	CHECK_EQ(viewer_read(&v, s, text + 30, 18), 18);
	CHECK_STR(text, "event: finding\nid: run.1\ndata: {\"a\":1}\n\nevent: r");
	stream_gap(s);
	viewer_end(&v);
	stream_free(&s);
}

static void
test_lost_events_and_progress_are_told(void **state)
{
	struct stream *s = stream_new("run");
	struct viewer v;

	(void)state;
	add(s, 1, "{}");
	viewer_begin(&v, s, "run.1");
	CHECK(!viewer_has_news(&v, s));
	CHECK(stream_set_state(s, "{\"read\":1}"));
	CHECK(!stream_set_state(s, "{\"read\":1}"));
	CHECK(viewer_has_news(&v, s));
	check_gets(&v, s, "event: progress\ndata: {\"read\":1}\n\n");
	stream_gap(s);
	add(s, 9, "{}");
	check_gets(&v, s, "event: reset\nid: run.9\ndata: {\"mark\":\"run.9\"}"
	    "\n\n");
	viewer_begin(&v, s, "run.1");
	CHECK(v.behind);
	viewer_begin(&v, s, "run.9");
	CHECK(!v.behind);
	v.heartbeat = true;
	v.state_version = s->state_version;
	check_gets(&v, s, ":\n\n");
	check_gets(&v, s, "");
	stream_free(&s);
}

static void
test_large_records_bound_the_stream_too(void **state)
{
	struct stream *s = stream_new("run");
	size_t bytes = 1 << 20;
	char *json = malloc(bytes + 1);

	(void)state;
	CHECK(json != NULL);
	memset(json, ' ', bytes);
	json[bytes] = '\0';
	for (unsigned n = 1; n <= 50; n++)
		add(s, n, json);
	CHECK_EQ(s->end - s->first, (STREAM_BYTES >> 20) - 1);
	CHECK_EQ(s->bytes, (s->end - s->first) *
	    (bytes + sizeof(struct event)));
	free(json);
	stream_free(&s);
}

/* The inbox ----------------------------------------------------------------- */

static void
test_a_full_inbox_drops_its_oldest_and_counts_them(void **state)
{
	struct inbox *in = inbox_new();
	struct inbox_content *c = calloc(1, sizeof(*c));
	uint64_t next = 11, taken = 0;

	(void)state;
	CHECK(in && c);
	last_number = 0;
	for (unsigned i = 0; i < INBOX_EVENTS + 10; i++) {
		struct event *e = event_of("{}");

		inbox_event(in, e);
		event_release(&e);
	}
	inbox_report(in, strdup("one"), 3);
	inbox_report(in, strdup("two"), 3);
	do {
		inbox_take(in, c);
		CHECK_EQ(c->lost, 10);
		for (size_t i = 0; i < c->count; i++, taken++) {
			CHECK_EQ(c->event[i]->number, next++);
			event_release(&c->event[i]);
		}
		if (c->report)
			CHECK_STR(c->report, "two");
		free(c->report);
	} while (c->waiting);
	CHECK_EQ(taken, INBOX_EVENTS);
	free(c);
	inbox_free(&in);
}

static void
test_packed_text_is_smaller_or_not_packed(void **state)
{
	char text[4096];
	size_t n = 0;
	char *packed;

	(void)state;
	memset(text, 'a', sizeof(text));
	packed = gzip_pack(text, sizeof(text), &n);
	CHECK(packed && n < 100);
	CHECK_MEM(packed, "\x1f\x8b\x08", 3);
	free(packed);
	CHECK(gzip_pack("x", 1, &n) == NULL);
}

static void
test_a_server_opens_takes_events_and_closes(void **state)
{
	struct web_settings settings = { .style = "" };
	char err[WEB_ERROR_BYTES] = "";
	struct web *web;

	(void)state;
	CHECK_EQ(web_where_parse("[::1]:0", &settings.where, err), 0);
	web = web_open(&settings, err);
	if (!web) {			/* a machine without IPv6 */
		CHECK_EQ(web_where_parse("127.0.0.1:0", &settings.where, err), 0);
		web = web_open(&settings, err);
	}
	CHECK(web != NULL);
	CHECK(!strstr(web_url(web), ":0/"));
	for (int i = 0; i < 300; i++) {
		struct event *e = event_of("{\"event_type\":\"capture\"}");
		char *page = strdup("<p>");

		web_event(web, e);
		event_release(&e);
		web_report(web, &page, 3);
		CHECK(!page);
		web_progress(web, 1, 2);
	}
	web_finished(web);
	CHECK(!web_report_wanted(web));
	web_close(&web);
	CHECK(web == NULL);
}

UNIT_TESTS(
    cmocka_unit_test(test_loopback_addresses_with_a_port_are_taken),
    cmocka_unit_test(test_what_is_no_address_with_a_port_is_refused),
    cmocka_unit_test(test_addresses_that_others_can_reach_need_a_token),
    cmocka_unit_test(test_a_token_is_one_long_line_that_others_cannot_read),
    cmocka_unit_test(test_the_token_and_its_cookie_open_and_nothing_else_does),
    cmocka_unit_test(test_only_loopback_hosts_are_answered),
    cmocka_unit_test(test_a_port_in_use_is_named),
    cmocka_unit_test(test_the_newest_word_on_a_finding_counts),
    cmocka_unit_test(test_the_limit_takes_the_withdrawn_then_the_over_then_the_old),
    cmocka_unit_test(test_an_incident_keeps_a_brief_and_can_be_withdrawn),
    cmocka_unit_test(test_a_server_keeps_its_minutes_with_gaps),
    cmocka_unit_test(test_more_servers_than_the_limit_replace_the_silent_ones),
    cmocka_unit_test(test_what_is_no_record_changes_nothing),
    cmocka_unit_test(test_times_are_read_whole_and_cut_short),
    cmocka_unit_test(test_a_viewer_gets_each_event_once_in_any_pieces),
    cmocka_unit_test(test_a_mark_that_is_too_old_or_foreign_begins_with_a_reset),
    cmocka_unit_test(test_a_slow_viewer_gets_a_reset_after_the_record_it_holds),
    cmocka_unit_test(test_lost_events_and_progress_are_told),
    cmocka_unit_test(test_large_records_bound_the_stream_too),
    cmocka_unit_test(test_a_full_inbox_drops_its_oldest_and_counts_them),
    cmocka_unit_test(test_packed_text_is_smaller_or_not_packed),
    cmocka_unit_test(test_a_server_opens_takes_events_and_closes),
)
