/* unit_slab.c - records handed out and given back, against a model. */
#include "capture/slab.h"

#include <stdbool.h>
#include <stdint.h>

#include "capture/fetch.h"
#include "tests/unit.h"

enum { HELD_MAX = 700, TURNS = 40000, BYTES_MAX = 512 };

struct holder {
	struct slab slab;
	uint8_t *held[HELD_MAX];
	uint8_t mark[HELD_MAX];
	uint32_t random;
};

/* All of it, as its holder would. */
static void
take(struct holder *h, size_t i)
{
	static const uint8_t zeros[BYTES_MAX];
	bool raw = unit_draw(&h->random, 2) == 0;

	h->held[i] = raw ? slab_take_raw(&h->slab) : slab_take(&h->slab);
	CHECK(h->held[i]);
	if (!raw)
		CHECK_MEM(h->held[i], zeros, h->slab.record_bytes);
	h->mark[i] = (uint8_t)unit_draw(&h->random, 256);
	memset(h->held[i], h->mark[i], h->slab.record_bytes);
}

static void
give(struct holder *h, size_t i)
{
	uint8_t want[BYTES_MAX];

	memset(want, h->mark[i], h->slab.record_bytes);
	CHECK_MEM(h->held[i], want, h->slab.record_bytes);
	slab_give(&h->slab, h->held[i]);
	h->held[i] = NULL;
}

static void
give_all(struct holder *h)
{
	for (size_t i = 0; i < HELD_MAX; i++)
		if (h->held[i])
			give(h, i);
}

static void
play(size_t record_bytes)
{
	struct holder *h = calloc(1, sizeof(*h));

	CHECK(h);
	h->slab.record_bytes = record_bytes;
	for (size_t n = 0; n < TURNS; n++) {
		size_t i = unit_draw(&h->random, HELD_MAX);

		if (h->held[i])
			give(h, i);
		else
			take(h, i);
		if (n % (TURNS / 8) == 0)
			give_all(h);
	}
	give_all(h);
	slab_release(&h->slab);
	free(h);
}

static void
test_nobody_else_writes_in_a_record_that_is_held(void **state)
{
	(void)state;
	play(8);		/* too small to list others */
	play(24);
	play(104);
	play(BYTES_MAX);
}

/* Each record that was given back, before one that never was handed out. */
static void
test_what_was_given_back_is_handed_out_again(void **state)
{
	struct slab s = { .record_bytes = 40 };
	char *record[100], *fresh;

	(void)state;
	for (size_t i = 0; i < 100; i++)
		record[i] = slab_take(&s);
	for (size_t i = 0; i < 100; i++)
		slab_give(&s, record[i]);
	fresh = s.fresh;
	for (size_t i = 0; i < 100; i++)
		CHECK(slab_take_raw(&s));
	CHECK(s.fresh == fresh);
	CHECK(slab_take_raw(&s));
	CHECK(s.fresh == fresh + 40);
	slab_release(&s);
}

/* Both fill several pages; what is left of one is a block of neither's usual size. */
static void
test_slabs_that_share_pages_keep_apart(void **state)
{
	enum { RECORDS = 20000, LARGE = 512, SMALL = 104 };
	static uint8_t *large[RECORDS], *small[RECORDS];
	struct slab a = { .record_bytes = LARGE }, b = { .record_bytes = SMALL };

	(void)state;
	for (size_t i = 0; i < RECORDS; i++) {
		large[i] = slab_take_raw(&a);
		small[i] = slab_take_raw(&b);
		CHECK(large[i] && small[i]);
		CHECK_EQ((uintptr_t)large[i] % CACHE_LINE_BYTES, 0);
		memset(large[i], (int)(i % 251), LARGE);
		memset(small[i], (int)(i % 241), SMALL);
	}
	for (size_t i = 0; i < RECORDS; i++)
		CHECK(large[i][0] == i % 251 && large[i][LARGE - 1] == i % 251);
	slab_release(&a);
	for (size_t i = 0; i < RECORDS; i++)
		CHECK(small[i][0] == i % 241 && small[i][SMALL - 1] == i % 241);
	slab_release(&b);
}

UNIT_TESTS(
    cmocka_unit_test(test_nobody_else_writes_in_a_record_that_is_held),
    cmocka_unit_test(test_what_was_given_back_is_handed_out_again),
    cmocka_unit_test(test_slabs_that_share_pages_keep_apart),
)
