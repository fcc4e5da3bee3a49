/* unit.h - what a unit test needs, over cmocka.
 *
 * A test is a function whose name is the sentence it proves; the program ends
 * with the list of them:
 *
 *	static void
 *	test_a_read_past_the_end_gives_zero(void **state)
 *	{
 *		struct bytes b = bytes_of("", 0);
 *
 *		(void)state;
 *		CHECK_EQ(bytes_u8(&b), 0);
 *		CHECK(bytes_ran_out(b));
 *	}
 *
 *	UNIT_TESTS(
 *	    cmocka_unit_test(test_a_read_past_the_end_gives_zero),
 *	)
 *
 * The first CHECK that fails ends its test; the others still run. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHECK(condition) \
	_assert_true((condition) ? 1 : 0, #condition, __FILE__, __LINE__)

/* Whole numbers; a failure prints both. A negative one only equals itself in
 * the same width, as everywhere in C. */
#define CHECK_EQ(got, want) \
	_assert_int_equal((LargestIntegralType)(got), \
	    (LargestIntegralType)(want), __FILE__, __LINE__)

#define CHECK_STR(got, want) \
	_assert_string_equal((got), (want), __FILE__, __LINE__)

#define CHECK_MEM(got, want, n) \
	_assert_memory_equal((const char *)(got), (const char *)(want), (n), \
	    __FILE__, __LINE__)

/* Ends the test, which cannot be made here, and says why. (cmocka's own skip()
 * comes out as "not ok", which counts as a failure.) */
#define UNIT_SKIP(why) \
	do { \
		print_message("# skipped: %s\n", (why)); \
		return; \
	} while (0)

/* `n` bytes on the heap, not one more, so that AddressSanitizer sees a read
 * past their end. The caller frees them. */
static inline uint8_t *
unit_exact(const void *from, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	if (n)
		memcpy(copy, from, n);
	return copy;
}

/* The next of numbers without a pattern that are the same in each run, from
 * 0 up to and without `below`, at most 2^24. */
static inline uint32_t
unit_draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % below;
}

/* `n` bytes of the same kind. */
static inline void
unit_noise(uint8_t *to, size_t n, uint32_t *seed)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(unit_draw(seed, 1U << 24) >> 16);
}

#define UNIT_TESTS(...) \
	int \
	main(void) \
	{ \
		static const struct CMUnitTest tests[] = { __VA_ARGS__ }; \
\
		return cmocka_run_group_tests(tests, NULL, NULL); \
	}

#endif
