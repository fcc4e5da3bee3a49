/* clock_set.c - a machine whose clock is set while a program runs, for tests: a
 * library that is loaded before it (LD_PRELOAD). CLOCK_SET names a file of at least
 * 24 bytes that holds a number, in text: so many whole seconds the wall clock is
 * ahead, or (negative) behind. It may be written to at any time. The stamps of
 * packets come from the kernel, by the same clock on a real machine: they are moved
 * as they are handed over. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { FILE_BYTES = 24 };

static const char *volatile file;

__attribute__((constructor)) static void
open_file(void)
{
	const char *path = getenv("CLOCK_SET");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, FILE_BYTES, PROT_READ,
	    MAP_SHARED, fd, 0);

	if (at != MAP_FAILED)
		file = at;
	if (fd >= 0)
		close(fd);
}

static time_t
ahead_s(void)
{
	char text[FILE_BYTES];

	if (!file)
		return 0;
	memcpy(text, file, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	return strtol(text, NULL, 10);
}

int
clock_gettime(clockid_t id, struct timespec *out)
{
	int status = (int)syscall(SYS_clock_gettime, id, out);

	if (status == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		out->tv_sec += ahead_s();
	return status;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &t))
		return -1;
	*out = (struct timeval){ t.tv_sec, t.tv_nsec / 1000 };
	return 0;
}

time_t
time(time_t *out)
{
	struct timespec t;

	if (clock_gettime(CLOCK_REALTIME, &t))
		return -1;
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}

/* --- packets ------------------------------------------------------------------ */

struct receiver {
	pcap_handler handle;
	u_char *context;
};

static void
hand_over(u_char *context, const struct pcap_pkthdr *h, const u_char *data)
{
	const struct receiver *r = (const void *)context;
	struct pcap_pkthdr moved = *h;

	moved.ts.tv_sec += ahead_s();
	r->handle(r->context, &moved, data);
}

int
pcap_dispatch(pcap_t *p, int count, pcap_handler handle, u_char *context)
{
	static int (*dispatch)(pcap_t *, int, pcap_handler, u_char *);
	struct receiver r = { handle, context };

	if (!dispatch)
		*(void **)&dispatch = dlsym(RTLD_NEXT, "pcap_dispatch");
	return dispatch(p, count, hand_over, (u_char *)(void *)&r);
}
