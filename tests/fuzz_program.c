/* fuzz_program.c - any bytes, as a capture file, through all that toewatch does
 * with one: read, engine, detectors, incidents, and every report.
 *
 * What else a run does (fuzz_run.h) comes from a sum of the bytes, so that all of
 * it meets what the fuzzer tries. A plain run is played a second time, the
 * frames one by one, and must say the same. Without nDPI, which takes a tenth of a second
 * to begin; fuzz_app_datagram.c has it. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

enum { FRAMES_AT_ONCE = 64, HOWS = 4 };

static unsigned
how_of(const uint8_t *at, size_t n)
{
	uint32_t sum = (uint32_t)n;

	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + at[i];
	return (sum >> 16) % HOWS;
}

/* The sum of what it says, 0 if it is no capture. */
static uint64_t
play(const char *path, unsigned how, size_t at_once)
{
	struct frame frame[FRAMES_AT_ONCE];
	char err[SOURCE_ERROR_BYTES] = "";
	enum source_result result;
	struct source *source;
	struct fuzz_run r;
	uint64_t sum;
	size_t count;

	if (source_open_files(&path, 1, NULL, &source, err)) {
		assert(*err);
		return 0;
	}
	fuzz_run_begin(&r, source, how);
	while ((result = source_next_batch(source, frame, at_once, &count)) ==
	    SOURCE_FRAME)
		fuzz_run_frames(&r, frame, count);
	assert(result == SOURCE_END);
	sum = fuzz_run_end(&r);
	fuzz_run_free(&r);
	source_close(&source);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
	unsigned how = how_of(at, n);
	static int fd = -1;
	char path[64];
	uint64_t sum;

	if (fd < 0) {
		fd = memfd_create("capture", 0);
		log_set_verbose(-1);	/* each damaged file is a warning */
	}
	if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, at, n, 0) != (ssize_t)n)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	sum = play(path, how, FRAMES_AT_ONCE);
	if (sum && !(how & FUZZ_LIVE))
		assert(play(path, how, 1) == sum);
	return 0;
}
