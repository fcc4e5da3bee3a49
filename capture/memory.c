/* memory.c - how often memory was refused. */
#include "capture/memory.h"

#include <stdatomic.h>

static atomic_ulong refused;

unsigned long
memory_refused(void)
{
	return atomic_load_explicit(&refused, memory_order_relaxed);
}

void
memory_was_refused(void)
{
	atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
}
