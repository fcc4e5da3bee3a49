/* memory_calls.c - every request for memory of ours, on its way to the C library.
 *
 * The hard part is to see all of them without asking each place to say so: the
 * linker turns malloc() into __wrap_malloc() and has __real_malloc() for the C
 * library's own (ld(1), --wrap). Libraries that are shared go their own way, but
 * for those that take a function to ask with. Only the program is linked so. */
#include "capture/memory.h"

#include <stddef.h>
#include <stdio.h>

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
int __real_posix_memalign(void **, size_t, size_t);
char *__real_strdup(const char *);
FILE *__real_open_memstream(char **, size_t *);

void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
int __wrap_posix_memalign(void **, size_t, size_t);
char *__wrap_strdup(const char *);
FILE *__wrap_open_memstream(char **, size_t *);

static void *
counted(void *at)
{
	if (!at)
		memory_was_refused();
	return at;
}

void *
__wrap_malloc(size_t n)
{
	return counted(__real_malloc(n));
}

void *
__wrap_calloc(size_t count, size_t n)
{
	return counted(__real_calloc(count, n));
}

/* realloc(at, 0) may give nothing and be right. */
void *
__wrap_realloc(void *at, size_t n)
{
	void *fresh = __real_realloc(at, n);

	return n ? counted(fresh) : fresh;
}

int
__wrap_posix_memalign(void **at, size_t alignment, size_t n)
{
	int failed = __real_posix_memalign(at, alignment, n);

	counted(failed ? NULL : *at);
	return failed;
}

char *
__wrap_strdup(const char *text)
{
	return counted(__real_strdup(text));
}

FILE *
__wrap_open_memstream(char **text, size_t *bytes)
{
	return counted(__real_open_memstream(text, bytes));
}
