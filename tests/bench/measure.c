/* measure.c - runs a command and says what it took: one line of five numbers,
 *
 *	STATUS USER SYSTEM WALL PEAK
 *
 * exit status (128 and the signal, where one ended it; 124: took too long),
 * seconds three times, and the largest resident memory in KiB. The command's
 * output goes to FILE. A program of its own because a child's peak memory cannot
 * be told below that of its parent.
 *
 * `measure warm MEGABYTES` touches so much memory and gives it back. The host of a
 * virtual machine hands memory out when it is first touched, and takes back what was
 * free for some seconds: without that, who needs much waits for the host, or not, as
 * it comes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t expired;
static pid_t child;

static void
expire(int sig)
{
	(void)sig;
	expired = 1;
	kill(child, SIGKILL);
}

static double
seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* In the child: never returns. */
static void
run(const char *file, unsigned long megabytes, char **command)
{
	int out = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	int none = open("/dev/null", O_RDWR);
	struct rlimit limit = { (rlim_t)megabytes << 20, (rlim_t)megabytes << 20 };

	if (out == -1 || none == -1)
		_exit(126);
	dup2(none, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(none, STDERR_FILENO);
	if (megabytes)
		setrlimit(RLIMIT_AS, &limit);
	execvp(command[0], command);
	_exit(errno == ENOENT ? 127 : 126);
}

static int
warm(size_t bytes)
{
	enum { PAGE_BYTES = 4096 };
	volatile char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return 1;
	(void)madvise((void *)at, bytes, MADV_HUGEPAGE);
	for (size_t i = 0; i < bytes; i += PAGE_BYTES)
		at[i] = 1;
	return 0;
}

int
main(int argc, char **argv)
{
	struct rusage used;
	double begin;
	int status;

	if (argc == 3 && strcmp(argv[1], "warm") == 0)
		return warm((size_t)strtoul(argv[2], NULL, 10) << 20);
	if (argc < 5) {
		fprintf(stderr, "usage: measure FILE SECONDS MEGABYTES COMMAND ...\n"
		    "       measure warm MEGABYTES\n"
		    "MEGABYTES of address space, 0: any; SECONDS likewise\n");
		return 2;
	}
	begin = now();
	child = fork();
	if (child == 0)
		run(argv[1], strtoul(argv[3], NULL, 10), argv + 4);
	signal(SIGALRM, expire);
	alarm((unsigned)strtoul(argv[2], NULL, 10));
	while (wait4(child, &status, 0, &used) == -1) {
		if (errno != EINTR) {
			fprintf(stderr, "measure: %s\n", strerror(errno));
			return 1;
		}
	}
	status = expired ? 124 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
	    WEXITSTATUS(status);
	printf("%d %.3f %.3f %.3f %ld\n", status, seconds(used.ru_utime),
	    seconds(used.ru_stime), now() - begin, used.ru_maxrss);
	return 0;
}
