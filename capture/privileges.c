/* privileges.c - root, capabilities and system calls, given up.
 *
 * The hard part is the list of system calls: it has to hold what the C library,
 * libpcap, SQLite, libmicrohttpd and libcurl do at any time, on kernels to come,
 * and nothing that helps somebody who got in through a parser. So calls are
 * listed by purpose, what is missing fails softly (EPERM) instead of killing a
 * run of months, and those that a C library tries first and can do without get
 * ENOSYS, which it knows what to do with. */
#include "capture/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/sockios.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* The user -------------------------------------------------------------------- */

int
privileges_choose(const char *wanted, struct privileges_user *out,
    char err[PRIVILEGES_ERROR_BYTES])
{
	bool named = wanted && *wanted;
	const struct passwd *p;

	*out = (struct privileges_user){ 0 };
	if (geteuid() != 0 || (named && strcmp(wanted, "root") == 0))
		return 0;
	p = getpwnam(named ? wanted : "toewatch");
	if (!p && !named)
		p = getpwnam("nobody");
	if (!p) {
		snprintf(err, PRIVILEGES_ERROR_BYTES, "there is no user '%.100s' "
		    "to become (user in the configuration; \"root\" stays root)",
		    named ? wanted : "nobody");
		return -1;
	}
	snprintf(out->name, sizeof(out->name), "%s", p->pw_name);
	out->uid = p->pw_uid;
	out->gid = p->pw_gid;
	return 0;
}

static int
cannot(const char *what, char err[PRIVILEGES_ERROR_BYTES])
{
	snprintf(err, PRIVILEGES_ERROR_BYTES, "cannot %s: %s", what,
	    strerror(errno));
	return -1;
}

/* Root that stays root keeps what it has, or it could not use its own files. */
int
privileges_drop(const struct privileges_user *user,
    char err[PRIVILEGES_ERROR_BYTES])
{
	bool is_root = geteuid() == 0;
	bool can_watch = capng_have_capability(CAPNG_PERMITTED, CAP_NET_RAW);

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return cannot("forgo new privileges", err);
	if (is_root && !user->uid)
		return 0;
	capng_clear(CAPNG_SELECT_ALL);
	if (can_watch && capng_update(CAPNG_ADD, CAPNG_EFFECTIVE |
	    CAPNG_PERMITTED, CAP_NET_RAW))
		return cannot("choose capabilities", err);
	if (is_root) {
		if (capng_change_id((int)user->uid, (int)user->gid,
		    CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING))
			return cannot("become another user", err);
	} else if (capng_apply(CAPNG_SELECT_CAPS)) {
		return cannot("give up capabilities", err);
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (SANITIZED)		/* the search for leaks traces the process */
		prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

/* System calls ------------------------------------------------------------------ */

#define CALL(name) SCMP_SYS(name)

static const int allowed[] = {
	/* memory (mmap and mprotect have rules of their own) */
	CALL(brk), CALL(munmap), CALL(mremap), CALL(madvise), CALL(mlock),
	CALL(munlock), CALL(membarrier), CALL(mincore), CALL(msync),
	/* files: what is open, and the store, the evidence, the configuration */
	CALL(read), CALL(readv), CALL(pread64), CALL(preadv), CALL(write),
	CALL(writev), CALL(pwrite64), CALL(pwritev), CALL(lseek), CALL(close),
	CALL(close_range), CALL(open), CALL(openat), CALL(stat), CALL(lstat),
	CALL(fstat), CALL(newfstatat), CALL(statx), CALL(statfs), CALL(fstatfs),
	CALL(access), CALL(faccessat), CALL(faccessat2), CALL(readlink),
	CALL(readlinkat), CALL(getdents), CALL(getdents64), CALL(getcwd),
	CALL(mkdir), CALL(mkdirat), CALL(unlink), CALL(unlinkat), CALL(rmdir),
	CALL(rename), CALL(renameat), CALL(renameat2), CALL(link), CALL(linkat),
	CALL(ftruncate), CALL(truncate), CALL(fallocate), CALL(fadvise64),
	CALL(fsync), CALL(fdatasync), CALL(sync_file_range), CALL(flock),
	CALL(fchmod), CALL(fchmodat), CALL(chmod), CALL(umask), CALL(utimensat),
	CALL(fcntl), CALL(dup), CALL(dup2), CALL(dup3), CALL(copy_file_range),
	CALL(sendfile), CALL(chdir), CALL(fchdir),
	/* waiting */
	CALL(poll), CALL(ppoll), CALL(select), CALL(pselect6),
	CALL(epoll_create), CALL(epoll_create1), CALL(epoll_ctl),
	CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2), CALL(eventfd),
	CALL(eventfd2), CALL(pipe), CALL(pipe2), CALL(timerfd_create),
	CALL(timerfd_settime), CALL(timerfd_gettime), CALL(nanosleep),
	CALL(clock_nanosleep), CALL(pause), CALL(inotify_init),
	CALL(inotify_init1), CALL(inotify_add_watch), CALL(inotify_rm_watch),
	/* sockets: interfaces, netlink, the page, sinks, the journal (socket()
	 * and ioctl() have rules of their own) */
	CALL(bind), CALL(connect), CALL(listen), CALL(accept), CALL(accept4),
	CALL(getsockname), CALL(getpeername), CALL(getsockopt),
	CALL(setsockopt), CALL(send), CALL(sendto), CALL(sendmsg),
	CALL(sendmmsg), CALL(recv), CALL(recvfrom), CALL(recvmsg),
	CALL(recvmmsg), CALL(shutdown), CALL(socketpair),
	/* threads and signals (clone has a rule of its own) */
	CALL(futex), CALL(futex_waitv), CALL(set_robust_list),
	CALL(get_robust_list), CALL(rseq), CALL(set_tid_address), CALL(exit),
	CALL(exit_group), CALL(sched_yield), CALL(sched_getaffinity),
	CALL(sched_setaffinity), CALL(sched_getparam),
	CALL(sched_getscheduler), CALL(sched_get_priority_max),
	CALL(sched_get_priority_min), CALL(getcpu), CALL(rt_sigaction),
	CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(rt_sigsuspend),
	CALL(rt_sigtimedwait), CALL(rt_sigpending), CALL(sigaltstack),
	CALL(restart_syscall), CALL(gettid), CALL(getpid),
	/* what the system tells */
	CALL(clock_gettime), CALL(clock_getres), CALL(gettimeofday), CALL(time),
	CALL(times), CALL(getrusage), CALL(getrlimit), CALL(uname),
	CALL(sysinfo), CALL(getrandom), CALL(getuid), CALL(geteuid),
	CALL(getgid), CALL(getegid), CALL(getresuid), CALL(getresgid),
	CALL(getgroups), CALL(getppid), CALL(getpgrp), CALL(getpgid),
	CALL(capget),
};

/* Tried first by newer C libraries, which then do it the old way. */
static const int unknown[] = { CALL(clone3) };

static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK,
	AF_PACKET };

/* Questions only: of a terminal, a file, an interface and its driver. libpcap
 * asks; what would set something is not here. */
static const unsigned long questions[] = {
	FIONREAD, FIONBIO, FIOCLEX, TCGETS, TIOCGWINSZ, SIOCGIFNAME, SIOCGIFCONF,
	SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFMTU, SIOCGIFHWADDR, SIOCGIFINDEX,
	SIOCETHTOOL, SIOCBONDINFOQUERY, SIOCGSTAMP_OLD,
	0x8b01,		/* SIOCGIWNAME: linux/wireless.h does not go with these */
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static int
allow_lists(scmp_filter_ctx f)
{
	int failed = 0;

	for (size_t i = 0; i < LENGTH(allowed); i++)
		failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < LENGTH(unknown); i++)
		failed |= seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS),
		    unknown[i], 0);
	for (size_t i = 0; i < LENGTH(families); i++)
		failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(socket), 1,
		    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i], 0));
	for (size_t i = 0; i < LENGTH(questions); i++)
		failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(ioctl), 1,
		    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, questions[i]));
	return failed;
}

/* Threads, no processes; memory to write or to run, not both; signals to our own
 * process; no limit of another process. */
static int
allow_narrowly(scmp_filter_ctx f)
{
	int failed = 0;

	failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(clone), 1,
	    SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(mmap), 1,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, 0));
	failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(mmap), 1,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC, PROT_WRITE));
	failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(mprotect), 1,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(kill), 1,
	    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(tgkill), 1,
	    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(prlimit64), 1,
	    SCMP_A2(SCMP_CMP_EQ, 0, 0));
	failed |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(prctl), 1,
	    SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
	return failed;
}

int
privileges_confine(char err[PRIVILEGES_ERROR_BYTES])
{
	scmp_filter_ctx f;
	int status;

	if (SANITIZED)
		return 0;
	f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!f) {
		snprintf(err, PRIVILEGES_ERROR_BYTES, "out of memory");
		return -1;
	}
	/* old kernels do not log; that is no reason to go without a filter */
	(void)seccomp_attr_set(f, SCMP_FLTATR_CTL_LOG, 1);
	status = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!status)
		status = allow_lists(f) | allow_narrowly(f);
	if (!status)
		status = seccomp_load(f);
	seccomp_release(f);
	if (!status)
		return 0;
	snprintf(err, PRIVILEGES_ERROR_BYTES, "cannot confine system calls: %s "
	    "(seccomp = false in the configuration goes without)",
	    strerror(status < 0 ? -status : status));
	return -1;
}
