/* log.c - sentences for the person who runs toewatch.
 *
 * A sentence is put together first and written in one call, so that those of
 * two threads do not end up in one line. */
#include "capture/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

enum { LINE_BYTES = 1024 };

static atomic_int verbose;	/* below 0: silent */

static void
say(const char *prefix, const char *format, va_list args)
{
	char line[LINE_BYTES];

	vsnprintf(line, sizeof(line), format, args);
	fprintf(stderr, "toewatch: %s%s\n", prefix, line);
}

void
log_warn(const char *format, ...)
{
	va_list args;

	if (verbose < 0)
		return;
	va_start(args, format);
	say("", format, args);
	va_end(args);
}

void
log_note(const char *format, ...)
{
	va_list args;

	if (verbose <= 0)
		return;
	va_start(args, format);
	say("note: ", format, args);
	va_end(args);
}

void
log_set_verbose(int on)
{
	verbose = on;
}
