/* notify.c - what the service manager is told, over libsystemd.
 *
 * Signs of life come from the capture loop alone, never from a timer: a loop that
 * hangs must be seen to hang. They are paced by the machine's clock, which shows
 * in no output. */
#include "capture/notify.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

enum { STATUS_BYTES = 256 };

void
notify_ready(void)
{
	sd_notify(0, "READY=1");
}

void
notify_reloading(void)
{
	sd_notify(0, "RELOADING=1");
}

void
notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

void
notify_status(const char *format, ...)
{
	char text[STATUS_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sd_notifyf(0, "STATUS=%s", text);
}

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void
notify_alive(void)
{
	static uint64_t interval_us, last_us;
	static bool asked;
	uint64_t now;

	if (!asked) {
		asked = true;
		if (sd_watchdog_enabled(0, &interval_us) <= 0)
			interval_us = 0;
	}
	if (!interval_us)
		return;
	now = now_us();
	if (now - last_us < interval_us / 2)
		return;
	last_us = now;
	sd_notify(0, "WATCHDOG=1");
}
