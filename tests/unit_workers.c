/* unit_workers.c - what threads make ready is what one alone would have. */
#include "capture/workers.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit.h"

enum { FRAMES = 20000, LARGE_BYTES = 60000, LINK_RAW = 101 };

static char path[64];			/* of a file in memory */

#define CHECK_IN(value, low, high) \
	CHECK((value) >= (low) && (value) <= (high))

/* --- a capture of everything that asks for order -------------------------------- */

static uint32_t
random_below(uint64_t *state, uint32_t n)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(*state >> 33) % n;
}

static void
put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

struct draft {
	uint32_t second;
	unsigned id, bytes;		/* IP ID, total length */
	unsigned fragment;		/* offset field with its flags */
};

static void
write_frame(FILE *out, const struct draft *d)
{
	static uint8_t ip[LARGE_BYTES];
	uint32_t head[4] = { d->second, 0, d->bytes, d->bytes };

	memset(ip, (int)(d->id & 0xff), d->bytes);
	ip[0] = 0x45;
	ip[8] = 64;
	ip[9] = 17;			/* UDP */
	put16(ip + 2, d->bytes);
	put16(ip + 4, d->id);
	put16(ip + 6, d->fragment);
	memcpy(ip + 12, (uint8_t[]){ 10, 0, 0, 1, 10, 0, 0, 2 }, 8);
	if (!(d->fragment & 0x1fff)) {
		put16(ip + 20, 1000 + d->id % 500);
		put16(ip + 22, 53);
		put16(ip + 24, d->fragment ? 40 + 16 : d->bytes - 20);
	}
	fwrite(head, sizeof(head), 1, out);
	fwrite(ip, d->bytes, 1, out);
}

/* Stray stamps, clocks that step back, copies, and datagrams in two pieces:
 * whatever asks for what came before. */
static void
write_capture(size_t frames)
{
	uint32_t header[6] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 262144, LINK_RAW };
	struct draft d = { .second = 1000000 };
	uint64_t state = 7;
	int fd = memfd_create("capture", MFD_CLOEXEC);
	FILE *out = fdopen(dup(fd), "wb");
	bool is_stray = false;		/* two in a row are not */

	CHECK(out);
	fwrite(header, sizeof(header), 1, out);
	for (size_t i = 0; i < frames; i++) {
		uint32_t what = random_below(&state, 100);
		struct draft now = d;

		if (what < 90)
			d.id++;
		d.second += what == 50;
		now.id = d.id;
		now.bytes = what == 51 ? LARGE_BYTES : 60;
		is_stray = !is_stray && what >= 52 && what < 60;
		now.second = d.second + (is_stray ? 1000 : 0);
		if (what == 60)
			now.second -= 500;
		if (what >= 61 && what < 70)
			now.fragment = 0x2000;
		else if (what >= 90 && what < 95)
			now.fragment = 40 / 8;
		write_frame(out, &now);
	}
	CHECK_EQ(fclose(out), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

/* --- what comes of it ------------------------------------------------------------- */

struct run {
	uint64_t digest, frames, copies, pieces, whole, regressions;
	int64_t seconds, end;		/* enum source_result; no padding */
};

static void
add(struct run *r, uint64_t value)
{
	r->digest = (r->digest ^ value) * UINT64_C(0x100000001b3);
}

static void
take(struct run *r, const struct arrival *a)
{
	const struct packet *p = &a->packet;

	r->frames++;
	CHECK_EQ(a->frame.number, r->frames);
	r->copies += a->is_copy;
	r->pieces += a->is_piece;
	r->whole += p->reassembled;
	r->regressions += a->regression_ns > 0;
	r->seconds = p->time.ns / NS_PER_S;
	add(r, (uint64_t)p->time.ns);
	add(r, (uint64_t)a->regression_ns);
	add(r, (uint64_t)a->result);
	add(r, a->is_copy);
	add(r, a->is_piece);
	add(r, a->is_swallowed);
	add(r, (uint64_t)p->sport << 16 | p->ip_id);
	for (size_t i = 0; !a->is_swallowed && i < p->payload.left; i++)
		add(r, p->payload.at[i]);
}

/* `most` 0: to the end. */
static struct run
run_with(unsigned count, uint64_t most)
{
	const char *const paths[] = { path };
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *flows = flow_table_new(10, pool);
	struct intake *intake = intake_new(1 << 20, flows);
	char err[SOURCE_ERROR_BYTES];
	struct run r = { .end = SOURCE_FRAME };
	struct workers *w;
	struct source *s;

	CHECK_EQ(source_open_files(paths, 1, NULL, &s, err), 0);
	w = workers_new(s, intake, NULL, count);
	CHECK(w);
	while (r.end == SOURCE_FRAME && (!most || r.frames < most)) {
		struct batch *b = workers_next(w);

		for (size_t i = b->first; i < b->end; i++)
			take(&r, &b->arrival[i]);
		r.end = b->result;
	}
	workers_free(&w);
	source_close(&s);
	intake_free(&intake);
	flow_table_free(&flows);
	flow_pool_free(&pool);
	return r;
}

static void
test_any_number_of_workers_makes_the_same(void **state)
{
	struct run one;

	(void)state;
	write_capture(FRAMES);
	one = run_with(1, 0);
	CHECK_EQ(one.frames, FRAMES);
	CHECK_EQ(one.end, SOURCE_END);
	CHECK_IN(one.copies, FRAMES / 40,
	    FRAMES);
	CHECK_IN(one.pieces, FRAMES / 10,
	    FRAMES);
	CHECK_IN(one.whole, FRAMES / 200,
	    FRAMES);
	CHECK_IN(one.regressions, FRAMES / 40,
	    FRAMES);
	/* no stray stamp took the clock along */
	CHECK_IN(one.seconds, 1000100,
	    1000999);
	for (unsigned count = 2; count < 10; count++) {
		struct run many = run_with(count, 0);

		CHECK_MEM(&many, &one, sizeof(one));
	}
}

static void
test_who_has_enough_may_leave(void **state)
{
	(void)state;
	write_capture(FRAMES);
	for (unsigned count = 1; count < 5; count++)
		CHECK_IN(run_with(count, 1).frames,
	    1, INTAKE_FRAMES);
	for (unsigned count = 1; count < 5; count++)
		CHECK_IN(run_with(count, FRAMES / 2).frames,
	    FRAMES / 2,
		    FRAMES / 2 + INTAKE_FRAMES);
}

/* The figures of a source that another thread reads are whole, and in the end
 * they are all. */
static void
test_figures_can_be_asked_for_meanwhile(void **state)
{
	const char *const paths[] = { path };
	char err[SOURCE_ERROR_BYTES];
	struct source_stats stats, before = { 0 };
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *flows = flow_table_new(10, pool);
	struct intake *intake = intake_new(1 << 20, flows);
	struct workers *w;
	struct source *s;
	bool is_over = false;

	(void)state;
	write_capture(FRAMES);
	CHECK_EQ(source_open_files(paths, 1, NULL, &s, err), 0);
	w = workers_new(s, intake, NULL, 3);
	CHECK(w);
	while (!is_over) {
		is_over = workers_next(w)->result != SOURCE_FRAME;
		source_stats(s, &stats);
		CHECK(stats.bytes_read >= before.bytes_read);
		CHECK(stats.bytes_read <= stats.bytes_total);
		before = stats;
	}
	/* the file's own header is no record */
	CHECK_EQ(stats.bytes_read + 24, stats.bytes_total);
	workers_free(&w);
	source_close(&s);
	intake_free(&intake);
	flow_table_free(&flows);
	flow_pool_free(&pool);
}

UNIT_TESTS(
    cmocka_unit_test(test_any_number_of_workers_makes_the_same),
    cmocka_unit_test(test_who_has_enough_may_leave),
    cmocka_unit_test(test_figures_can_be_asked_for_meanwhile),
)
