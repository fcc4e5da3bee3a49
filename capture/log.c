/* log.c - sentences for the person who runs toewatch.
 *
 * A sentence is put together first and written in one call, so that those of
 * two threads do not end up in one line. */
#include "capture/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum { LINE_BYTES = 1024 };

static atomic_int verbose;	/* below 0: silent */
static _Thread_local bool quiet;
static atomic_bool by_syslog;
static bool by_journal;		/* settled once */

/* JOURNAL_STREAM names device and inode of the stream that leads there, so that
 * a child whose standard error is another one is not taken in. */
static void
look_for_journal(void)
{
	const char *where = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat file;

	by_journal = where && sscanf(where, "%llu:%llu", &device, &inode) == 2 &&
	    fstat(STDERR_FILENO, &file) == 0 && file.st_dev == device &&
	    file.st_ino == inode;
}

static void
say(int priority, const char *prefix, const char *format, va_list args)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char line[LINE_BYTES];

	if (quiet)
		return;
	vsnprintf(line, sizeof(line), format, args);
	if (by_syslog) {
		syslog(priority, "%s%s", prefix, line);
		return;
	}
	pthread_once(&once, look_for_journal);
	if (by_journal)
		fprintf(stderr, "<%d>%s%s\n", priority, prefix, line);
	else
		fprintf(stderr, "toewatch: %s%s\n", prefix, line);
}

void
log_warn(const char *format, ...)
{
	va_list args;

	if (verbose < 0)
		return;
	va_start(args, format);
	say(LOG_WARNING, "", format, args);
	va_end(args);
}

void
log_info(const char *format, ...)
{
	va_list args;

	if (verbose < 0)
		return;
	va_start(args, format);
	say(LOG_INFO, "", format, args);
	va_end(args);
}

void
log_note(const char *format, ...)
{
	va_list args;

	if (verbose <= 0)
		return;
	va_start(args, format);
	say(LOG_DEBUG, "note: ", format, args);
	va_end(args);
}

void
log_set_quiet(bool on)
{
	quiet = on;
}

int
log_set_verbose(int on)
{
	return atomic_exchange(&verbose, on);
}

void
log_to_syslog(void)
{
	openlog("toewatch", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	by_syslog = true;
}
