/* fuzz_source.c - any bytes, as a capture file.
 *
 * They are read through a file in memory twice, as one file and as one of two,
 * which is opened anew in its turn. What the reader hands out must lie in
 * bounds, be numbered, and end. */
#include "capture/source.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

static void
read_all(struct source *s, size_t n)
{
	uint64_t last[2] = { 0, 0 }, frames = 0;
	struct source_stats stats;
	enum source_result r;
	struct frame f;
	uint8_t sum = 0;

	while ((r = source_next(s, &f)) == SOURCE_FRAME) {
		assert(f.file < source_count(s));
		assert(f.number > last[f.file]);
		last[f.file] = f.number;
		assert(f.wire_bytes >= f.captured_bytes);
		for (uint32_t i = 0; i < f.captured_bytes; i++)
			sum ^= f.data[i];
		assert((sum | 0xff) == 0xff);
		frames++;
	}
	assert(r == SOURCE_END);
	/* A record takes 16 bytes at least, read once for each file. */
	assert(frames <= 2 * n / 16);
	source_stats(s, &stats);
	assert(stats.cut_files <= source_count(s));
}

static void
run(const char *path, size_t count, const char *filter, size_t n)
{
	const char *paths[2] = { path, path };
	char err[SOURCE_ERROR_BYTES] = "";
	struct source *s;

	if (source_open_files(paths, count, filter, &s, err)) {
		assert(s == NULL);
		assert(*err);
		return;
	}
	read_all(s, n);
	source_close(&s);
	assert(s == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
	static int fd = -1;
	char path[64];

	if (fd < 0) {
		fd = memfd_create("capture", 0);
		log_set_verbose(-1);	/* each damaged file is a warning */
	}
	if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, at, n, 0) != (ssize_t)n)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	run(path, 1, NULL, n);
	run(path, 2, "udp or vlan", n);
	return 0;
}
