/* unit_bytes.c - the cursor over bytes that are not ours. */
#include "capture/bytes.h"

#include "tests/unit.h"

static void
test_numbers_are_read_in_both_byte_orders(void **state)
{
	static const uint8_t text[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct bytes b;

	(void)state;
	b = bytes_of(text, 8);
	CHECK_EQ(bytes_u8(&b), 1);
	CHECK_EQ(bytes_be16(&b), 0x0203);
	CHECK_EQ(bytes_le16(&b), 0x0504);
	b = bytes_of(text, 8);
	CHECK_EQ(bytes_be32(&b), 0x01020304);
	CHECK_EQ(bytes_le32(&b), 0x08070605);
	b = bytes_of(text, 8);
	CHECK(bytes_be64(&b) == UINT64_C(0x0102030405060708));
	b = bytes_of(text, 8);
	CHECK(bytes_le64(&b) == UINT64_C(0x0807060504030201));
	CHECK_EQ(b.left, 0);
	CHECK(!bytes_ran_out(b));
}

static void
test_a_read_past_the_end_gives_zero_and_sticks(void **state)
{
	uint8_t *three = unit_exact("\1\2\3", 3);
	struct bytes b = bytes_of(three, 3);

	(void)state;
	CHECK_EQ(bytes_be32(&b), 0);
	CHECK(bytes_ran_out(b));
	CHECK_EQ(b.left, 0);
	CHECK_EQ(bytes_u8(&b), 0);
	CHECK(bytes_take(&b, 0) == NULL);
	free(three);
}

static void
test_every_width_stops_one_byte_short(void **state)
{
	uint8_t *seven = unit_exact("\1\2\3\4\5\6\7", 7);
	struct bytes b;

	(void)state;
	b = bytes_of(seven, 0);
	CHECK_EQ(bytes_u8(&b), 0);
	CHECK(bytes_ran_out(b));
	b = bytes_of(seven, 1);
	CHECK_EQ(bytes_be16(&b), 0);
	CHECK(bytes_ran_out(b));
	b = bytes_of(seven, 1);
	CHECK_EQ(bytes_le16(&b), 0);
	CHECK(bytes_ran_out(b));
	b = bytes_of(seven, 3);
	CHECK_EQ(bytes_le32(&b), 0);
	CHECK(bytes_ran_out(b));
	b = bytes_of(seven, 7);
	(void)bytes_be64(&b);
	CHECK(bytes_ran_out(b));
	b = bytes_of(seven, 7);
	(void)bytes_le64(&b);
	CHECK(bytes_ran_out(b));
	free(seven);
}

static void
test_nothing_can_be_read_from_nothing(void **state)
{
	struct bytes b = bytes_of(NULL, 0);

	(void)state;
	bytes_skip(&b, 0);
	CHECK(!bytes_ran_out(b));
	CHECK_EQ(bytes_u8(&b), 0);
	CHECK(bytes_ran_out(b));
}

static void
test_what_is_failed_has_run_out(void **state)
{
	static const uint8_t text[] = { 1, 2, 3 };
	struct bytes b = bytes_of(text, 3), child;

	(void)state;
	bytes_fail(&b);
	CHECK(bytes_ran_out(b));
	CHECK_EQ(bytes_u8(&b), 0);
	child = bytes_sub(&b, 0);
	CHECK(bytes_ran_out(child));
	child = bytes_sub_at_most(&b, 2);
	CHECK(bytes_ran_out(child));
	CHECK(bytes_take(&b, 0) == NULL);
}

static void
test_a_child_has_walls_of_its_own(void **state)
{
	static const uint8_t text[] = { 1, 2, 3, 4, 5 };
	struct bytes b = bytes_of(text, 5), child = bytes_sub(&b, 2);

	(void)state;
	CHECK_EQ(bytes_be16(&child), 0x0102);
	CHECK_EQ(bytes_u8(&child), 0);
	CHECK(bytes_ran_out(child));
	CHECK(!bytes_ran_out(b));
	CHECK_EQ(bytes_be16(&b), 0x0304);
}

static void
test_a_child_that_does_not_fit_runs_both_out(void **state)
{
	static const uint8_t text[] = { 1, 2, 3 };
	struct bytes b = bytes_of(text, 3), child = bytes_sub(&b, 4);

	(void)state;
	CHECK(bytes_ran_out(b));
	CHECK(bytes_ran_out(child));
	CHECK_EQ(child.left, 0);
}

static void
test_a_child_of_at_most_so_much_takes_what_there_is(void **state)
{
	static const uint8_t text[] = { 1, 2, 3 };
	struct bytes b = bytes_of(text, 3), child = bytes_sub_at_most(&b, 4);

	(void)state;
	CHECK(!bytes_ran_out(b));
	CHECK(!bytes_ran_out(child));
	CHECK_EQ(child.left, 3);
	CHECK_EQ(b.left, 0);
}

UNIT_TESTS(
    cmocka_unit_test(test_numbers_are_read_in_both_byte_orders),
    cmocka_unit_test(test_a_read_past_the_end_gives_zero_and_sticks),
    cmocka_unit_test(test_every_width_stops_one_byte_short),
    cmocka_unit_test(test_nothing_can_be_read_from_nothing),
    cmocka_unit_test(test_what_is_failed_has_run_out),
    cmocka_unit_test(test_a_child_has_walls_of_its_own),
    cmocka_unit_test(test_a_child_that_does_not_fit_runs_both_out),
    cmocka_unit_test(test_a_child_of_at_most_so_much_takes_what_there_is),
)
