/* starve.c - refuses memory, for tests: from the N-th request on after the program
 * began (STARVE_AT=N), one, or as many in a row as STARVE_FOR says (0: all that
 * follow). The number of requests so far stands in the file STARVE_COUNT (8 bytes).
 *
 * There are two ways in. As a library that is loaded before the program
 * (LD_PRELOAD) it also stands between the other libraries and the C library.
 * Sanitizers do that themselves; so for them it is linked into the program, in the
 * place of capture/memory_calls.c (STARVE_LINKED), and sees our own requests. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef STARVE_LINKED
#include "capture/memory.h"
#define OURS(name) __wrap_##name
#define THEIRS(name) __real_##name
#else
#define OURS(name) name
#define THEIRS(name) __libc_##name	/* the C library keeps these names */
#endif

void *THEIRS(malloc)(size_t);
void *THEIRS(calloc)(size_t, size_t);
void *THEIRS(realloc)(void *, size_t);

static atomic_ulong uncounted, *requests = &uncounted;
static atomic_bool began;
static unsigned long first, beyond;

static bool
is_refused(void)
{
	unsigned long n;

	if (!atomic_load_explicit(&began, memory_order_relaxed))
		return false;
	n = atomic_fetch_add(requests, 1) + 1;
	if (n < first || n >= beyond)
		return false;
#ifdef STARVE_LINKED
	memory_was_refused();
#endif
	errno = ENOMEM;
	return true;
}

void *OURS(malloc)(size_t);
void *
OURS(malloc)(size_t n)
{
	return is_refused() ? NULL : THEIRS(malloc)(n);
}

void *OURS(calloc)(size_t, size_t);
void *
OURS(calloc)(size_t count, size_t n)
{
	return is_refused() ? NULL : THEIRS(calloc)(count, n);
}

void *OURS(realloc)(void *, size_t);
void *
OURS(realloc)(void *old, size_t n)
{
	return is_refused() ? NULL : THEIRS(realloc)(old, n);
}

static unsigned long
number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

static void
count_in(const char *path)
{
	int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) :
	    -1;
	void *at = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(*requests)) == 0)
		at = mmap(NULL, sizeof(*requests), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (at != MAP_FAILED)
		requests = at;
	if (fd >= 0)
		close(fd);
}

static void
stop(void)
{
	atomic_store(&began, false);
}

static void
begin(void)
{
	unsigned long most = number("STARVE_FOR", 1);

	first = number("STARVE_AT", ULONG_MAX);
	beyond = most && first < ULONG_MAX ? first + most : ULONG_MAX;
	count_in(getenv("STARVE_COUNT"));
	atexit(stop);
	atomic_store(&began, true);
}

#ifdef STARVE_LINKED

int __real_posix_memalign(void **, size_t, size_t);
int __wrap_posix_memalign(void **, size_t, size_t);
char *__real_strdup(const char *);
char *__wrap_strdup(const char *);
FILE *__real_open_memstream(char **, size_t *);
FILE *__wrap_open_memstream(char **, size_t *);
int __real_main(int, char **);
int __wrap_main(int, char **);

int
__wrap_posix_memalign(void **at, size_t alignment, size_t n)
{
	return is_refused() ? ENOMEM : __real_posix_memalign(at, alignment, n);
}

char *
__wrap_strdup(const char *text)
{
	return is_refused() ? NULL : __real_strdup(text);
}

FILE *
__wrap_open_memstream(char **text, size_t *bytes)
{
	return is_refused() ? NULL : __real_open_memstream(text, bytes);
}

int
__wrap_main(int argc, char **argv)
{
	begin();
	return __real_main(argc, argv);
}

#else

void *__libc_memalign(size_t, size_t);
static int (*real_main)(int, char **, char **);

void *
aligned_alloc(size_t alignment, size_t n)
{
	return is_refused() ? NULL : __libc_memalign(alignment, n);
}

int
posix_memalign(void **out, size_t alignment, size_t n)
{
	void *at = is_refused() ? NULL : __libc_memalign(alignment, n);

	if (!at)
		return ENOMEM;
	*out = at;
	return 0;
}

static int
hungry_main(int argc, char **argv, char **environment)
{
	begin();
	return real_main(argc, argv, environment);
}

int __libc_start_main(int (*)(int, char **, char **), int, char **,
    void (*)(void), void (*)(void), void (*)(void), void *);

int
__libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
    void (*init)(void), void (*fini)(void), void (*loader)(void), void *stack)
{
	int (*start)(int (*)(int, char **, char **), int, char **,
	    void (*)(void), void (*)(void), void (*)(void), void *);

	*(void **)&start = dlsym(RTLD_NEXT, "__libc_start_main");
	real_main = main;
	return start(hungry_main, argc, argv, init, fini, loader, stack);
}

#endif
