/* unit_evidence.c - the ring of last frames, and the vault with its quota. */
#include "detectors/evidence_internal.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/unit.h"

/* What a walk saw: consecutive frames, each whole. */
struct walk {
	uint64_t first, last, frames;
	bool broken;
};

static uint32_t
size_of(uint64_t number)
{
	return (uint32_t)(number * 2654435761U % 200);
}

static void
see(void *context, const struct frame *f)
{
	struct walk *w = context;
	uint32_t want = size_of(f->number);

	if (!w->first)
		w->first = f->number;
	w->broken |= w->last && f->number != w->last + 1;
	w->broken |= f->captured_bytes != want || f->wire_bytes != want + 7 ||
	    f->time.ns != (int64_t)f->number * 1000;
	for (uint32_t i = 0; i < f->captured_bytes; i++)
		w->broken |= f->data[i] != (uint8_t)f->number;
	w->last = f->number;
	w->frames++;
}

static void
put(struct frame_ring *r, uint64_t number)
{
	uint8_t data[200];
	struct frame f = { .number = number, .data = data,
		.time = { (int64_t)number * 1000 },
		.captured_bytes = size_of(number),
		.wire_bytes = size_of(number) + 7 };

	memset(data, (int)(number & 0xff), sizeof(data));
	frame_ring_put(r, &f, sizeof(data));
}

static void
test_a_ring_holds_the_newest_frames_whole(void **state)
{
	for (size_t bytes = 1000; bytes < 1200; bytes += 8) {
		struct frame_ring *r = frame_ring_new(bytes);
		struct instant oldest, newest;
		uint64_t frames;

		(void)state;
		CHECK(r);
		for (uint64_t n = 1; n <= 500; n++) {
			struct walk w = { 0 };

			put(r, n);
			frame_ring_walk(r, see, &w);
			frame_ring_extent(r, &frames, &oldest, &newest);
			CHECK(!w.broken);
			CHECK_EQ(w.last, n);
			CHECK_EQ(w.frames, frames);
			CHECK_EQ(oldest.ns, w.first * 1000);
			CHECK_EQ(newest.ns, n * 1000);
			CHECK(n < 6 || frames >= 3);
		}
		frame_ring_free(&r);
	}
}

static void
test_a_frame_too_large_for_the_ring_is_left_out(void **state)
{
	uint8_t data[4096] = { 0 };
	struct frame f = { .number = 1, .data = data, .captured_bytes = 4096,
		.wire_bytes = 4096 };
	struct frame_ring *r = frame_ring_new(4096);
	struct walk w = { 0 };

	(void)state;
	CHECK(r);
	frame_ring_put(r, &f, sizeof(data));
	frame_ring_walk(r, see, &w);
	CHECK_EQ(w.frames, 0);
	frame_ring_free(&r);
}

static int
store(struct vault *v, const char *name, size_t bytes, char fill)
{
	char *data = malloc(bytes);

	CHECK(data);
	memset(data, fill, bytes);
	return vault_put(v, name, data, bytes);
}

static bool
has(struct vault *v, const char *name, size_t want, char fill)
{
	char *data;
	size_t bytes = 0;
	bool right;

	if (vault_get(v, name, &data, &bytes))
		return false;
	right = bytes == want && data[0] == fill && data[bytes - 1] == fill;
	free(data);
	return right;
}

static void
fill_and_check(struct vault *v)
{
	uint64_t written, removed, failed;

	CHECK_EQ(store(v, "finding-1.pcapng", 400, 'a'), 0);
	CHECK_EQ(store(v, "finding-2.pcapng", 400, 'b'), 0);
	CHECK(has(v, "finding-1.pcapng", 400, 'a'));
	CHECK_EQ(store(v, "finding-2.pcapng", 300, 'B'), 0);
	CHECK(has(v, "finding-2.pcapng", 300, 'B'));
	CHECK_EQ(store(v, "incident-1.pcapng", 500, 'c'), 0);
	CHECK(!has(v, "finding-1.pcapng", 400, 'a'));	/* the oldest went */
	CHECK(has(v, "finding-2.pcapng", 300, 'B'));
	CHECK(has(v, "incident-1.pcapng", 500, 'c'));
	CHECK_EQ(store(v, "finding-9.pcapng", 1001, 'x'), -1);
	CHECK(has(v, "incident-1.pcapng", 500, 'c'));
	vault_remove(v, "incident-1.pcapng");
	CHECK(!has(v, "incident-1.pcapng", 500, 'c'));
	vault_stats(v, &written, &removed, &failed);
	CHECK_EQ(written, 4);
	CHECK_EQ(removed, 1);
	CHECK_EQ(failed, 1);
}

static void
test_a_vault_in_memory_keeps_its_quota(void **state)
{
	char err[EVIDENCE_ERROR_BYTES];
	struct vault *v = vault_new(NULL, 1000, 0, err);

	(void)state;
	CHECK(v);
	fill_and_check(v);
	vault_free(&v);
}

static void
test_a_vault_on_disk_keeps_it_and_finds_its_own_again(void **state)
{
	char dir[] = "/tmp/unit_evidence.XXXXXX", err[EVIDENCE_ERROR_BYTES];
	char path[128];
	struct vault *v;

	(void)state;
	CHECK(mkdtemp(dir));
	v = vault_new(dir, 1000, 0, err);
	CHECK(v);
	fill_and_check(v);
	vault_free(&v);
	v = vault_new(dir, 1000, 0, err);
	CHECK(v);
	CHECK(has(v, "finding-2.pcapng", 300, 'B'));
	CHECK_EQ(store(v, "finding-3.pcapng", 900, 'd'), 0);
	CHECK(!has(v, "finding-2.pcapng", 300, 'B'));
	vault_remove(v, "finding-3.pcapng");
	vault_free(&v);
	snprintf(path, sizeof(path), "%s/evidence", dir);
	CHECK_EQ(rmdir(path), 0);	/* nothing half-written is left */
	CHECK_EQ(rmdir(dir), 0);
}

static void
test_a_vault_without_a_folder_says_why(void **state)
{
	char err[EVIDENCE_ERROR_BYTES] = "";

	(void)state;
	CHECK(!vault_new("/nonexistent/dir", 1000, 0, err));
	CHECK(strstr(err, "/nonexistent/dir/evidence") != NULL);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_ring_holds_the_newest_frames_whole),
    cmocka_unit_test(test_a_frame_too_large_for_the_ring_is_left_out),
    cmocka_unit_test(test_a_vault_in_memory_keeps_its_quota),
    cmocka_unit_test(test_a_vault_on_disk_keeps_it_and_finds_its_own_again),
    cmocka_unit_test(test_a_vault_without_a_folder_says_why),
)
