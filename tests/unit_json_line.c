/* unit_json_line.c - a record as a line, against what the library writes. */
#include "detectors/json_line.h"

#include <jansson.h>
#include <stdbool.h>

#include "tests/unit.h"

enum { LINE_BYTES = 4096 };

static const size_t as_ours = JSON_COMPACT | JSON_ENCODE_ANY |
    JSON_REAL_PRECISION(JSON_LINE_DIGITS);

/* The library's text, which ours is if it has one. Is there one? */
static bool
is_ours(json_t *v)
{
	char ours[LINE_BYTES], theirs[LINE_BYTES];
	size_t n = json_line(v, ours, sizeof(ours));
	size_t want = json_dumpb(v, theirs, sizeof(theirs), as_ours);

	CHECK(want > 0 && want <= sizeof(theirs));
	if (n) {
		CHECK_EQ(n, want);
		CHECK_MEM(ours, theirs, n);
	}
	json_decref(v);
	return n > 0;
}

static void
test_what_is_plain_reads_as_the_library_writes_it(void **state)
{
	(void)state;
	CHECK(is_ours(json_pack("{s:s, s:[i,i,i], s:{}, s:[], s:n, s:b, s:b}",
	    "text", "Gr\xc3\xbc\xc3\x9f" "e /x \x7f", "frames", 1, 20, 300,
	    "none", "empty", "nothing", "yes", 1, "no", 0)));
	CHECK(is_ours(json_pack("[{s:{s:[[s]]}}]", "a", "b", "")));
}

static void
test_whole_numbers_are_written_to_their_last_digit(void **state)
{
	static const json_int_t some[] = { 0, 1, -1, 9, 10, 99, -100, INT64_MAX,
		INT64_MIN, INT64_MAX / 10, 1000000000000 };

	(void)state;
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		CHECK(is_ours(json_integer(some[i])));
}

static void
test_reals_are_rounded_as_the_library_rounds_them(void **state)
{
	static const double plain[] = { 0, 1, -3, 0.97, 0.0145175428, 29.993,
		999999999, -999999999, 123456.789, 1.0 / 3, 0.0001 };
	static const double rare[] = { 1e9, 1e20, -1e300, 0.00001, -0.0,
		123456789.4, 9007199254740993.0 };
	double v = 1e-4;

	(void)state;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		CHECK(is_ours(json_real(plain[i])));
	for (size_t i = 0; i < sizeof(rare) / sizeof(rare[0]); i++)
		CHECK(!is_ours(json_real(rare[i])));
	for (int i = 0; i < 10000; i++, v *= 1.0029)
		(void)is_ours(json_real(i % 2 ? v : -v));
}

static void
test_quotes_are_escaped_and_control_characters_left_to_the_library(void **state)
{
	static const char *const quoted[] = { "\"", "\\", "a \"word\"", "C:\\a\\",
		"\\\"\"\\" };
	static const char *const odd[] = { "a\n", "\t", "\x01", "\x1f\"" };

	(void)state;
	for (size_t i = 0; i < sizeof(quoted) / sizeof(quoted[0]); i++) {
		CHECK(is_ours(json_pack("[s]", quoted[i])));
		CHECK(is_ours(json_pack("{s:i}", quoted[i], 1)));
	}
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		CHECK(!is_ours(json_pack("[s]", odd[i])));
}

static void
test_a_line_that_does_not_fit_is_none(void **state)
{
	json_t *v = json_pack("{s:[i,f,s]}", "a", 12, 0.5, "text");
	size_t n = json_dumpb(v, NULL, 0, as_ours);
	char one[1];

	(void)state;
	for (size_t size = 0; size <= n; size++) {
		char *exact = malloc(size ? size : 1);	/* so that ASan sees it */

		CHECK_EQ(json_line(v, exact, size), size < n ? 0 : n);
		free(exact);
	}
	json_decref(v);
	CHECK_EQ(json_line(NULL, one, sizeof(one)), 0);
}

UNIT_TESTS(
    cmocka_unit_test(test_what_is_plain_reads_as_the_library_writes_it),
    cmocka_unit_test(test_whole_numbers_are_written_to_their_last_digit),
    cmocka_unit_test(test_reals_are_rounded_as_the_library_rounds_them),
    cmocka_unit_test(test_quotes_are_escaped_and_control_characters_left_to_the_library),
    cmocka_unit_test(test_a_line_that_does_not_fit_is_none),
)
