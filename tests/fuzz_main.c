/* fuzz_main.c - runs a fuzz target over files where there is no libFuzzer.
 *
 * Each argument is a file, or a folder whose files (not those of its folders)
 * are meant. Each file is given whole, then cut short and with bits flipped,
 * the same ways every time: a seed that only ever passes whole would prove
 * little. The bytes lie in a block of exactly their size, so that
 * AddressSanitizer sees a read past the end. Options of libFuzzer ("-runs=0")
 * are passed over, so that one command line serves both. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

enum {
	VARIANTS = 24,		/* of each file: half cut, half flipped */
	FLIPS = 4,		/* bits, in one variant */
	VARIANT_BYTES = 65536,	/* larger files are given whole only: their
				 * fill is in the small ones as well */
	PATH_BYTES = 4096,
};

/* Marsaglia's xorshift32, started from the same number for each file. */
static uint32_t
next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void
run_copy(const uint8_t *from, size_t n, uint32_t *flips)
{
	uint8_t *copy = calloc(1, n ? n : 1);

	if (!copy)
		abort();
	if (n)
		memcpy(copy, from, n);
	for (int i = 0; flips && n && i < FLIPS; i++)
		copy[next_random(flips) % n] ^=
		    (uint8_t)(1 << next_random(flips) % 8);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void
run_variants(const uint8_t *at, size_t n)
{
	uint32_t random = 2463534242;

	run_copy(at, n, NULL);
	if (!n || n > VARIANT_BYTES)
		return;
	for (int i = 0; i < VARIANTS; i++) {
		if (i % 2)
			run_copy(at, n, &random);
		else
			run_copy(at, next_random(&random) % n, NULL);
	}
}

static int
run_file(const char *path, size_t n)
{
	FILE *f = fopen(path, "rb");
	uint8_t *at = malloc(n ? n : 1);
	bool whole = f && at && fread(at, 1, n, f) == n;

	if (whole)
		run_variants(at, n);
	else
		fprintf(stderr, "cannot read '%s': %s\n", path, strerror(errno));
	free(at);
	if (f)
		fclose(f);
	return whole ? 0 : -1;
}

static int run_path(const char *path, bool into_folders);

static int
run_folder(const char *path)
{
	struct dirent **entries;
	char inner[PATH_BYTES];
	int count = scandir(path, &entries, NULL, alphasort);
	int result = count < 0 ? -1 : 0;

	for (int i = 0; i < count; i++) {
		snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && run_path(inner, false))
			result = -1;
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return result;
}

static int
run_path(const char *path, bool into_folders)
{
	struct stat s;

	if (stat(path, &s)) {
		fprintf(stderr, "cannot read '%s': %s\n", path, strerror(errno));
		return -1;
	}
	if (S_ISDIR(s.st_mode))
		return into_folders ? run_folder(path) : 0;
	return run_file(path, (size_t)s.st_size);
}

int
main(int argc, char **argv)
{
	int result = 0;

	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-' && run_path(argv[i], true))
			result = 1;
	return result;
}
