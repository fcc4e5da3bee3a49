/* memory.h - whether this program was ever refused memory.
 *
 * Whoever asks for memory copes with getting none: a flow, a finding, a field of
 * a record is then missing. That none of them is forgotten is seen to here: the
 * linker has every request of ours, wherever it is made, pass through
 * memory_calls.c (--wrap, Makefile.am), so that main.c can tell at the end. */
#ifndef CAPTURE_MEMORY_H
#define CAPTURE_MEMORY_H

/* How many requests were refused so far; from any thread. */
unsigned long memory_refused(void);
/* The C library was refused some on our behalf: a stream in memory, a thread. */
void memory_was_refused(void);

#endif
