/* unit_web.c - the web room without its sockets: where it may be served, what a
 * snapshot holds, what the metrics say. tests/web.sh asks over HTTP. */
#include "tests/unit.h"

#include <stdio.h>
#include <unistd.h>

#include "web/listen.h"
#include "web/server.h"
#include "web/snapshot.h"

static const char lines[] =
    "{\"event_type\":\"finding\",\"finding\":\"rpc_stall\",\"severity\":\"high\","
    "\"server\":{\"ip\":\"10.0.0.5\",\"name\":\"EX01\"}}\n"
    "{\"event_type\":\"finding\",\"finding\":\"rpc_stall\",\"severity\":\"high\","
    "\"server\":{\"ip\":\"10.0.0.6\",\"name\":null}}\n"
    "{\"event_type\":\"finding\",\"finding\":\"no\\\"label\","
    "\"severity\":\"odd\",\"server\":null}\n"
    "{\"event_type\":\"incident\",\"verdict\":\"server_host\",\"end\":null,"
    "\"server\":{\"ip\":\"10.0.0.5\",\"name\":\"EX01\"}}\n"
    "{\"event_type\":\"server\",\"health\":\"silent\","
    "\"server\":{\"ip\":\"10.0.0.5\",\"name\":\"EX01\"}}\n"
    "{\"event_type\":\"capture\",\"packets\":7,\"bytes\":420,"
    "\"lost_estimate\":0.25}\n";

static struct snapshot *
snapshot_of(const char *text)
{
	char *page = strdup("<p>page"), *copy = strdup(text);
	struct snapshot *s = snapshot_new(&page, 7, &copy, strlen(text), "p{}");

	CHECK(page == NULL);
	CHECK(copy == NULL);
	return s;
}

/* A body as one text; to be freed. */
static char *
text_of(const struct snapshot *s, enum resource r, const char *server,
    const char *finding, uint64_t *tag)
{
	struct record_filter filter = { server, finding };
	struct body b;
	char *text;
	size_t n = 0;

	CHECK_EQ(snapshot_body(s, r, &filter, &b), 0);
	text = malloc(b.bytes + 1);
	CHECK(text != NULL);
	for (size_t i = 0; i < b.count; i++) {
		memcpy(text + n, b.piece[i].iov_base, b.piece[i].iov_len);
		n += b.piece[i].iov_len;
	}
	text[n] = '\0';
	CHECK_EQ(n, b.bytes);
	if (tag)
		*tag = b.tag;
	free(b.piece);
	return text;
}

static unsigned
count_in(const char *text, const char *word)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, word)); at++)
		n++;
	return n;
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
test_addresses_that_others_can_reach_need_a_token(void **state)
{
	(void)state;
	check_refused("0.0.0.0:8080", "token");
	check_refused("10.0.0.1:8080", "token");
	check_refused("128.0.0.1:8080", "token");
	check_refused("[::]:8080", "token");
	check_refused("[::ffff:10.0.0.1]:8080", "token");
	check_refused("[fe80::1]:8080", "token");
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
test_records_become_one_array_a_kind(void **state)
{
	struct snapshot *s = snapshot_of(lines);
	char *all = text_of(s, RESOURCE_FINDINGS, NULL, NULL, NULL);
	char *page = text_of(s, RESOURCE_PAGE, NULL, NULL, NULL);

	(void)state;
	CHECK_EQ(count_in(all, "\"event_type\":\"finding\""), 3);
	CHECK_EQ(count_in(all, "event_type"), 3);
	CHECK_EQ(count_in(all, "},\n{"), 2);
	CHECK(strncmp(all, "[\n{", 3) == 0);
	CHECK_STR(all + strlen(all) - 4, "}\n]\n");
	CHECK_STR(page, "<p>page");
	free(all);
	free(page);
	snapshot_release(&s);
}

static void
check_selected(const struct snapshot *s, const char *server,
    const char *finding, unsigned want)
{
	char *some = text_of(s, RESOURCE_FINDINGS, server, finding, NULL);

	CHECK_EQ(count_in(some, "event_type"), want);
	CHECK_EQ(count_in(some, ",\n{"), want ? want - 1 : 0);
	if (!want)
		CHECK_STR(some, "[]\n");
	free(some);
}

static void
test_a_filter_takes_an_address_a_name_and_a_finding(void **state)
{
	struct snapshot *s = snapshot_of(lines);

	(void)state;
	check_selected(s, "10.0.0.5", NULL, 1);
	check_selected(s, "EX01", NULL, 1);
	check_selected(s, NULL, "rpc_stall", 2);
	check_selected(s, "10.0.0.6", "rpc_stall", 1);
	check_selected(s, "10.0.0.6", "rpc", 0);
	check_selected(s, "10.0.0.60", NULL, 0);
	snapshot_release(&s);
}

static void
test_without_records_an_array_is_empty(void **state)
{
	struct snapshot *s = snapshot_of("");

	(void)state;
	check_selected(s, NULL, NULL, 0);
	check_selected(s, "10.0.0.5", NULL, 0);
	snapshot_release(&s);
}

static void
test_lines_that_are_not_json_make_no_snapshot(void **state)
{
	(void)state;
	CHECK(snapshot_of("{\"event_type\":\"finding\"") == NULL);
	CHECK(snapshot_of("{}\n") == NULL);
}

static void
test_the_tag_follows_the_bytes(void **state)
{
	struct snapshot *a = snapshot_of(lines), *b = snapshot_of(lines);
	struct snapshot *none = snapshot_of("");
	uint64_t tag[4];

	(void)state;
	free(text_of(a, RESOURCE_FINDINGS, NULL, NULL, &tag[0]));
	free(text_of(b, RESOURCE_FINDINGS, NULL, NULL, &tag[1]));
	free(text_of(none, RESOURCE_FINDINGS, NULL, NULL, &tag[2]));
	free(text_of(a, RESOURCE_FINDINGS, "EX01", NULL, &tag[3]));
	CHECK(tag[0] == tag[1]);
	CHECK(tag[0] != tag[2]);
	CHECK(tag[0] != tag[3]);
	snapshot_release(&a);
	snapshot_release(&b);
	snapshot_release(&none);
}

static void
test_metrics_count_records_under_bounded_labels(void **state)
{
	struct snapshot *s = snapshot_of(lines);
	char *m = text_of(s, RESOURCE_METRICS, NULL, NULL, NULL);

	(void)state;
	CHECK(strstr(m, "\ntoewatch_packets_total 7\n"));
	CHECK(strstr(m, "\ntoewatch_bytes_total 420\n"));
	CHECK(strstr(m, "\ntoewatch_lost_ratio 0.25\n"));
	CHECK(strstr(m, "\ntoewatch_servers{health=\"silent\"} 1\n"));
	CHECK(strstr(m, "{verdict=\"server_host\",state=\"open\"} 1\n"));
	CHECK(strstr(m, "{verdict=\"server_host\",state=\"over\"} 0\n"));
	CHECK(strstr(m, "{verdict=\"undetermined\",state=\"open\"} 0\n"));
	CHECK(strstr(m, "{finding=\"rpc_stall\",severity=\"high\"} 2\n"));
	CHECK(!strstr(m, "label"));
	CHECK_STR(m + strlen(m) - 6, "# EOF\n");
	free(m);
	snapshot_release(&s);
}

static void
test_an_answer_under_way_outlives_the_next_state(void **state)
{
	struct snapshot *s = snapshot_of(lines), *held = snapshot_hold(s);
	char *page;

	(void)state;
	snapshot_release(&s);
	CHECK(s == NULL);
	page = text_of(held, RESOURCE_PAGE, NULL, NULL, NULL);
	CHECK_STR(page, "<p>page");
	free(page);
	snapshot_release(&held);
}

static void
test_a_server_opens_takes_states_and_closes(void **state)
{
	char err[WEB_ERROR_BYTES] = "";
	struct web_where w;
	struct web *web;

	(void)state;
	CHECK_EQ(web_where_parse("[::1]:0", &w, err), 0);
	web = web_open(&w, err);
	if (!web) {			/* a machine without IPv6 */
		CHECK_EQ(web_where_parse("127.0.0.1:0", &w, err), 0);
		web = web_open(&w, err);
	}
	CHECK(web != NULL);
	CHECK(!strstr(web_url(web), ":0/"));
	for (int i = 0; i < 3; i++) {
		struct web_content c = { strdup("<p>"), strdup(lines), 3,
			sizeof(lines) - 1, "" };

		CHECK_EQ(web_publish(web, &c), 0);
		CHECK(!c.page);
		CHECK(!c.lines);
	}
	web_close(&web);
	CHECK(web == NULL);
}

UNIT_TESTS(
    cmocka_unit_test(test_loopback_addresses_with_a_port_are_taken),
    cmocka_unit_test(test_what_is_no_address_with_a_port_is_refused),
    cmocka_unit_test(test_addresses_that_others_can_reach_need_a_token),
    cmocka_unit_test(test_only_loopback_hosts_are_answered),
    cmocka_unit_test(test_a_port_in_use_is_named),
    cmocka_unit_test(test_records_become_one_array_a_kind),
    cmocka_unit_test(test_a_filter_takes_an_address_a_name_and_a_finding),
    cmocka_unit_test(test_without_records_an_array_is_empty),
    cmocka_unit_test(test_lines_that_are_not_json_make_no_snapshot),
    cmocka_unit_test(test_the_tag_follows_the_bytes),
    cmocka_unit_test(test_metrics_count_records_under_bounded_labels),
    cmocka_unit_test(test_an_answer_under_way_outlives_the_next_state),
    cmocka_unit_test(test_a_server_opens_takes_states_and_closes),
)
