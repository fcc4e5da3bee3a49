/* unit_finding.c - the record of a finding: names, frames, figures, filter. */
#include "detectors/finding.h"
#include "detectors/server.h"
#include "tests/unit.h"

static void
test_every_name_is_found_again(void **state)
{
	(void)state;
	for (int i = 0; i < FINDING_COUNT; i++)
		CHECK_EQ(finding_name_parse(
		    finding_name_text((enum finding_name)i)), i);
	CHECK_EQ(finding_name_parse("no_such_finding"), -1);
	CHECK_EQ(finding_name_parse(""), -1);
}

static void
test_frames_are_kept_in_order_and_once(void **state)
{
	static const uint64_t want[] = { 3, 5, 9 };
	struct finding f = { 0 };

	(void)state;
	finding_frame(&f, 9);
	finding_frame(&f, 3);
	finding_frame(&f, 5);
	finding_frame(&f, 3);
	finding_frame(&f, 0);		/* no frame */
	CHECK_EQ(f.frame_count, 3);
	CHECK_MEM(f.frame, want, sizeof(want));
}

static void
test_of_many_frames_the_first_and_the_last_are_kept(void **state)
{
	struct finding f = { 0 };

	(void)state;
	for (uint64_t n = 1; n <= 1000; n++)
		finding_frame(&f, n * 2);
	CHECK_EQ(f.frame_count, FINDING_FRAMES);
	CHECK_EQ(f.frame[0], 2);
	CHECK_EQ(f.frame[FINDING_FRAMES - 2], 2 * (FINDING_FRAMES - 1));
	CHECK_EQ(f.frame[FINDING_FRAMES - 1], 2000);
	finding_frame(&f, 1001);	/* in between: neither first nor last */
	CHECK_EQ(f.frame[FINDING_FRAMES - 2], 2 * (FINDING_FRAMES - 1));
	finding_frame(&f, 3);		/* late, and among the first */
	CHECK_EQ(f.frame[1], 3);
	CHECK_EQ(f.frame[FINDING_FRAMES - 2], 2 * (FINDING_FRAMES - 2));
	CHECK_EQ(f.frame[FINDING_FRAMES - 1], 2000);
}

static void
test_frames_do_not_depend_on_the_order_of_coming(void **state)
{
	struct finding up = { 0 }, down = { 0 };

	(void)state;
	for (uint64_t n = 1; n <= 200; n++) {
		finding_frame(&up, n);
		finding_frame(&down, 201 - n);
	}
	CHECK_MEM(up.frame, down.frame, sizeof(up.frame));
}

static void
test_a_figure_of_the_same_name_is_overwritten(void **state)
{
	struct finding f = { 0 };
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g",
		"h", "i", "j", "k", "l", "m", "n" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		finding_metric(&f, names[i], (double)i);
	CHECK_EQ(f.metric_count, FINDING_METRICS);
	finding_metric(&f, "b", 7);
	CHECK_EQ(f.metric_count, FINDING_METRICS);
	CHECK(f.metric[1].value > 6.5);
}

static void
test_times_stretch_both_ways(void **state)
{
	struct finding f = { 0 };

	(void)state;
	finding_time(&f, (struct instant){ 500 });
	finding_time(&f, (struct instant){ 300 });
	finding_time(&f, (struct instant){ 900 });
	CHECK_EQ(f.first_seen.ns, 300);
	CHECK_EQ(f.last_seen.ns, 900);
}

static void
test_a_long_sentence_is_cut_and_ended(void **state)
{
	struct finding f = { 0 };
	char word[600];

	(void)state;
	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	finding_say(&f, "%s", word);
	CHECK_EQ(strlen(f.text), FINDING_TEXT_BYTES - 1);
}

static void
test_the_filter_of_a_flow_names_both_ends_and_the_frames(void **state)
{
	struct server server = { .address = address_from_v4(0x0a141e05) };
	struct finding f = { .server = &server, .has_client = true,
		.client = address_from_v4(0x0a142807), .protocol = IP_TCP,
		.client_port = 1044, .server_port = 135 };
	char filter[FINDING_FILTER_BYTES];

	(void)state;
	finding_frame(&f, 7);
	finding_frame(&f, 9);
	finding_frame(&f, 8);
	finding_frame(&f, 12);
	CHECK_STR(finding_display_filter(&f, filter),
	    "(ip.addr==10.20.30.5 && ip.addr==10.20.40.7 && tcp.port==135 && "
	    "tcp.port==1044) || frame.number in {7..9, 12}");
}

static void
test_the_filter_of_an_ipv6_flow_without_frames_is_the_conversation(void **state)
{
	struct server server;
	struct finding f = { .server = &server, .has_client = true,
		.protocol = IP_UDP, .client_port = 5353, .server_port = 53 };
	char filter[FINDING_FILTER_BYTES];

	(void)state;
	CHECK(address_parse("2001:db8::1", &server.address));
	CHECK(address_parse("2001:db8::2", &f.client));
	CHECK_STR(finding_display_filter(&f, filter),
	    "ipv6.addr==2001:db8::1 && ipv6.addr==2001:db8::2 && "
	    "udp.port==53 && udp.port==5353");
}

static void
test_a_filter_of_huge_frame_numbers_still_covers_them(void **state)
{
	struct finding f = { 0 };
	char filter[FINDING_FILTER_BYTES];

	(void)state;
	for (uint64_t n = 1; n <= FINDING_FRAMES; n++)
		finding_frame(&f, n * UINT64_C(100000000003));
	CHECK_STR(finding_display_filter(&f, filter),
	    "frame.number>=100000000003 && frame.number<=3200000000096");
}

static void
test_a_filter_that_the_detector_made_is_left_alone(void **state)
{
	struct finding f = { .filter = "arp" };
	char filter[FINDING_FILTER_BYTES];

	(void)state;
	finding_frame(&f, 3);
	CHECK_STR(finding_display_filter(&f, filter), "arp");
}

static void
test_a_finding_of_the_capture_without_frames_selects_all(void **state)
{
	struct finding f = { 0 };
	char filter[FINDING_FILTER_BYTES];

	(void)state;
	CHECK_STR(finding_display_filter(&f, filter), "frame");
}

UNIT_TESTS(
    cmocka_unit_test(test_every_name_is_found_again),
    cmocka_unit_test(test_frames_are_kept_in_order_and_once),
    cmocka_unit_test(test_of_many_frames_the_first_and_the_last_are_kept),
    cmocka_unit_test(test_frames_do_not_depend_on_the_order_of_coming),
    cmocka_unit_test(test_a_figure_of_the_same_name_is_overwritten),
    cmocka_unit_test(test_times_stretch_both_ways),
    cmocka_unit_test(test_a_long_sentence_is_cut_and_ended),
    cmocka_unit_test(test_the_filter_of_a_flow_names_both_ends_and_the_frames),
    cmocka_unit_test(
	test_the_filter_of_an_ipv6_flow_without_frames_is_the_conversation),
    cmocka_unit_test(test_a_filter_of_huge_frame_numbers_still_covers_them),
    cmocka_unit_test(test_a_filter_that_the_detector_made_is_left_alone),
    cmocka_unit_test(test_a_finding_of_the_capture_without_frames_selects_all),
)
