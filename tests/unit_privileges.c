/* unit_privileges.c - what a live run gives up is gone: each case gives it up in
 * a child of its own, and tries. */
#include "capture/privileges.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* Exit statuses of a child; else the number of the try that went wrong. */
enum { FINE = 0, NOT_SET_UP = 100 };

/* What a child makes of it. */
static int
in_a_child(int (*what)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(what());
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool
is_confined(void)
{
	char err[PRIVILEGES_ERROR_BYTES];

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    privileges_confine(err) == 0;
}

/* The number of the first that was not refused so. */
#define REFUSED(number, call) do {					\
		errno = 0;						\
		if ((long)(call) != -1 || errno != EPERM)		\
			return number;					\
	} while (0)

static int
try_what_is_refused(void)
{
	char *const none[] = { NULL };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED || !is_confined())
		return NOT_SET_UP;
	REFUSED(1, execve("/bin/true", none, none));
	REFUSED(2, syscall(SYS_fork));
	REFUSED(3, syscall(SYS_clone, 17 /* SIGCHLD */, 0, 0, 0, 0));
	REFUSED(4, ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	REFUSED(5, syscall(SYS_mount, "a", "b", "tmpfs", 0, NULL));
	REFUSED(6, unshare(CLONE_NEWUSER));
	REFUSED(7, syscall(SYS_bpf, 0, NULL, 0));
	REFUSED(8, syscall(SYS_setuid, 0));
	REFUSED(9, syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0));
	REFUSED(10, syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	REFUSED(11, mprotect(page, 4096, PROT_READ | PROT_EXEC));
	REFUSED(12, mmap(NULL, 4096, PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	REFUSED(13, socket(AF_BLUETOOTH, SOCK_RAW, 0));
	REFUSED(14, kill(getppid(), 0));
	REFUSED(15, syscall(SYS_chroot, "/"));
	REFUSED(16, syscall(SYS_execveat, -1, "/bin/true", none, none, 0));
	REFUSED(17, prctl(PR_SET_DUMPABLE, 1));
	return FINE;
}

static void *
do_nothing(void *context)
{
	return context;
}

static int
try_what_is_needed(void)
{
	struct addrinfo *found = NULL;
	pthread_t thread;
	char line[64];
	FILE *file;

	if (!is_confined())
		return NOT_SET_UP;
	if (pthread_create(&thread, NULL, do_nothing, NULL) ||
	    pthread_join(thread, NULL))
		return 1;
	file = fopen("/proc/self/statm", "r");
	if (!file || !fgets(line, sizeof(line), file))
		return 2;
	fclose(file);
	if (getaddrinfo("127.0.0.1", "514", NULL, &found))
		return 3;
	freeaddrinfo(found);
	if (socket(AF_INET, SOCK_DGRAM, 0) < 0 || kill(getpid(), 0))
		return 4;
	file = tmpfile();
	return file && fputs("x", file) > 0 && fclose(file) == 0 ? FINE : 5;
}

static pthread_barrier_t confined;

static void *
fork_later(void *context)
{
	int *outcome = context;

	pthread_barrier_wait(&confined);
	errno = 0;
	*outcome = syscall(SYS_fork) == -1 && errno == EPERM ? FINE : 1;
	return NULL;
}

/* A thread that was there before. */
static int
try_an_older_thread(void)
{
	int outcome = NOT_SET_UP;
	pthread_t thread;

	if (pthread_barrier_init(&confined, NULL, 2) ||
	    pthread_create(&thread, NULL, fork_later, &outcome) ||
	    !is_confined())
		return NOT_SET_UP;
	pthread_barrier_wait(&confined);
	pthread_join(thread, NULL);
	return outcome;
}

static int
try_another_user(void)
{
	char err[PRIVILEGES_ERROR_BYTES];
	struct privileges_user user;

	if (privileges_choose("nobody", &user, err) ||
	    privileges_drop(&user, err))
		return NOT_SET_UP;
	if (geteuid() != user.uid || getuid() != user.uid || !user.uid ||
	    getegid() != user.gid || getgroups(0, NULL) != 0)
		return 1;
	if (setuid(0) == 0 || setgid(0) == 0)
		return 2;
	if (socket(AF_PACKET, SOCK_RAW, htons(3)) < 0)
		return 3;	/* an interface may come back */
	if (access("/etc/shadow", R_OK) == 0)
		return 4;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 5;
	if (prctl(PR_CAPBSET_READ, 21 /* CAP_SYS_ADMIN */, 0, 0, 0) != 0)
		return 6;
	return FINE;
}

static int
try_no_such_user(void)
{
	char err[PRIVILEGES_ERROR_BYTES] = "";
	struct privileges_user user;

	if (privileges_choose("no-such-user-here", &user, err) != -1)
		return 1;
	return strstr(err, "no-such-user-here") ? FINE : 2;
}

static int
try_root(void)
{
	char err[PRIVILEGES_ERROR_BYTES];
	struct privileges_user user;

	if (privileges_choose("root", &user, err) ||
	    privileges_drop(&user, err))
		return NOT_SET_UP;
	return geteuid() == 0 && user.uid == 0 ? FINE : 1;
}

static void
test_what_watching_does_not_take_is_refused(void **state)
{
	(void)state;
	if (SANITIZED)
		UNIT_SKIP("sanitizers need more calls (privileges.h)");
	CHECK_EQ(in_a_child(try_what_is_refused), FINE);
	CHECK_EQ(in_a_child(try_an_older_thread), FINE);
}

static void
test_what_watching_takes_still_works(void **state)
{
	(void)state;
	CHECK_EQ(in_a_child(try_what_is_needed), FINE);
}

static void
test_root_becomes_another_user_who_can_capture(void **state)
{
	(void)state;
	if (geteuid() != 0 || prctl(PR_CAPBSET_READ, 13 /* CAP_NET_RAW */, 0, 0,
	    0) != 1)
		UNIT_SKIP("it takes root");
	CHECK_EQ(in_a_child(try_another_user), FINE);
	CHECK_EQ(in_a_child(try_root), FINE);
}

static void
test_a_user_that_is_not_there_is_named(void **state)
{
	(void)state;
	if (geteuid() != 0)
		UNIT_SKIP("it takes root");
	CHECK_EQ(in_a_child(try_no_such_user), FINE);
}

UNIT_TESTS(
    cmocka_unit_test(test_what_watching_does_not_take_is_refused),
    cmocka_unit_test(test_what_watching_takes_still_works),
    cmocka_unit_test(test_root_becomes_another_user_who_can_capture),
    cmocka_unit_test(test_a_user_that_is_not_there_is_named),
)
