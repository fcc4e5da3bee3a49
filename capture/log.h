/* log.h - what toewatch has to say to the person who runs it: one clear
 * sentence on standard error, naming what, where and why. Never called for
 * each packet.
 *
 * Where standard error is the journal (systemd.exec(5), JOURNAL_STREAM), which
 * adds the name itself, sentences begin with their priority instead,
 * sd-daemon(3). */
#ifndef CAPTURE_LOG_H
#define CAPTURE_LOG_H

#include <stdbool.h>

/* "toewatch: <message>\n". */
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, for what is no trouble: a change, or what was asked for. */
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "toewatch: note: <message>\n"; only when verbose. */
void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Below zero: say nothing at all, for tests that break files by the dozen.
 * Returns what it was. */
int log_set_verbose(int on);
/* This thread has nothing to say, until it is told otherwise. */
void log_set_quiet(bool);
/* From now on to syslog(3), as a daemon. */
void log_to_syslog(void);

#endif
