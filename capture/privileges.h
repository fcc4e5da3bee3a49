/* privileges.h - a live run gives up what it does not need once everything is
 * open: root, all capabilities but the one that captures, and the system calls
 * that an analyser has no use for. */
#ifndef CAPTURE_PRIVILEGES_H
#define CAPTURE_PRIVILEGES_H

#include <sys/types.h>

enum { PRIVILEGES_ERROR_BYTES = 256 };

/* Who a run becomes that was started as root. */
struct privileges_user {
	char name[64];			/* "" and ids of 0: stay as it is */
	uid_t uid;
	gid_t gid;
};

/* `wanted`; or "toewatch" where there is such a user, else "nobody", if it is
 * NULL or empty. "root" stays root. Of a process that is not root: nothing. 0,
 * or -1 with a sentence. */
int privileges_choose(const char *wanted, struct privileges_user *,
    char err[PRIVILEGES_ERROR_BYTES]);

/* Become that user. Of the capabilities cap_net_raw alone is kept (to open an
 * interface again that came back, packet(7)), and no program that is started
 * gets more. 0, or -1 with a sentence. */
int privileges_drop(const struct privileges_user *,
    char err[PRIVILEGES_ERROR_BYTES]);

/* From now on, and in all threads, only the system calls that watching, keeping
 * and telling take (privileges.c lists them); others fail with EPERM, and the
 * kernel's audit log says which. No program can be started, and no memory be
 * made both writable and executable. Not in a build with sanitizers, which need
 * more. 0, or -1 with a sentence. */
int privileges_confine(char err[PRIVILEGES_ERROR_BYTES]);

#endif
