/* notify.h - what the service manager is told, sd_notify(3): that the run is
 * ready, how it fares, and, while the capture loop really turns, that it lives
 * (systemd.service(5), WatchdogSec). Nothing happens where nobody asks. */
#ifndef CAPTURE_NOTIFY_H
#define CAPTURE_NOTIFY_H

void notify_ready(void);
void notify_reloading(void);		/* until the next notify_ready */
void notify_stopping(void);
void notify_status(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
/* From the capture loop, at each turn: cheap until a sign of life is due, twice
 * in each interval that the service manager gave. */
void notify_alive(void);

#endif
