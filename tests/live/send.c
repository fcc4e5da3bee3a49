/* send.c - puts the frames of a capture on an interface: for the tests of the
 * live way, which need a sender whose count of frames is exact.
 *
 *	send [-s SPEED | -p PER_SECOND] [-n ROUNDS] [-c | -k STEP] [-l] [-t TIMES]
 *	    [-2 IFACE] IFACE FILE
 *
 * -s: as the capture's own clock has it, so many times as fast (default 1).
 * -p: evenly, so many a second; 0: as fast as it goes.
 * -n: the whole capture so often.
 * -c: churn: in each round the clients have other addresses, so that all
 *     connections are new. -k: that far away, so that clients are new as well.
 * -2: as a tap with two ends has it: what servers send (from the lower port)
 *     goes to this interface.
 *
 * -t: writes when each frame was sent: seconds since 1970, a line each.
 * -l: what the interface does not take, since it is down, is lost; without, it
 *     is tried until it does.
 *
 * It prints how many frames the kernel took and how long that was. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, NS = 1000000000 };

struct load {
	struct iovec *frame;
	int64_t *at;			/* ns since the first one */
	size_t count;
	uint8_t *bytes;
};

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "send: %s: %s\n", what, why);
	exit(1);
}

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * (int64_t)NS + t.tv_nsec;
}

static void
sleep_until(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / NS, .tv_nsec = ns % NS };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

static void *
grow(void *p, size_t count, size_t size)
{
	p = reallocarray(p, count, size);
	if (!p)
		die("memory", strerror(errno));
	return p;
}

static struct load
load_file(const char *path)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *in = pcap_open_offline_with_tstamp_precision(path,
	    PCAP_TSTAMP_PRECISION_NANO, why);
	struct load l = { 0 };
	struct pcap_pkthdr *h;
	const u_char *data;
	size_t slots = 0, used = 0, room = 0;
	int64_t first = 0;

	if (!in)
		die(path, why);
	while (pcap_next_ex(in, &h, &data) == 1) {
		int64_t t = h->ts.tv_sec * (int64_t)NS + h->ts.tv_usec;

		if (l.count == slots) {
			slots = slots ? slots * 2 : 1024;
			l.frame = grow(l.frame, slots, sizeof(*l.frame));
			l.at = grow(l.at, slots, sizeof(*l.at));
		}
		if (used + h->caplen > room) {
			room = (used + h->caplen) * 2;
			l.bytes = grow(l.bytes, room, 1);
		}
		first = l.count ? first : t;
		l.at[l.count] = t > first ? t - first : 0;
		l.frame[l.count++].iov_len = h->caplen;
		memcpy(l.bytes + used, data, h->caplen);
		used += h->caplen;
	}
	pcap_close(in);
	for (size_t i = 0, n = 0; i < l.count; n += l.frame[i++].iov_len)
		l.frame[i].iov_base = l.bytes + n;
	return l;
}

static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* RFC 1624, 3: a checksum after one of its words changed. */
static void
mend(uint8_t *sum, uint16_t was, uint16_t is)
{
	uint32_t s = (uint32_t)(uint16_t)~get16(sum) + (uint16_t)~was + is;

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	sum[0] = (uint8_t)(~s >> 8);
	sum[1] = (uint8_t)~s;
}

/* The ports of an IPv4 TCP or UDP packet, or NULL. */
static uint8_t *
ports_of(const struct iovec *v)
{
	uint8_t *ip = (uint8_t *)v->iov_base + 14;

	if (v->iov_len < 14 + 20 + 20 || get16(ip - 2) != ETHERTYPE_IP ||
	    (ip[0] & 15) != 5 || (ip[9] != 6 && ip[9] != 17) ||
	    get16(ip + 6) & 0x1fff)
		return NULL;
	return ip + 20;
}

static bool
is_from_server(const struct iovec *v)
{
	const uint8_t *ports = ports_of(v);

	return ports && get16(ports) < get16(ports + 2);
}

/* The client (it has the higher port) of an IPv4 TCP or UDP packet gets the
 * address `step` further on, of 65,536. */
static void
churn(struct iovec *v, unsigned long step)
{
	uint8_t *l4 = ports_of(v), *ip, *host, *sum;
	uint16_t was, is;
	bool udp;

	if (!l4)
		return;
	ip = l4 - 20;
	udp = ip[9] == 17;
	host = (get16(l4) > get16(l4 + 2) ? ip + 12 : ip + 16) + 2;
	was = get16(host);
	is = (uint16_t)(was + step);
	host[0] = (uint8_t)(is >> 8);
	host[1] = (uint8_t)is;
	mend(ip + 10, was, is);
	sum = l4 + (udp ? 6 : 16);
	if (!udp || get16(sum))
		mend(sum, was, is);
}

static int
open_interface(const char *name)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, room = 4 << 20;

	if (fd < 0 || !to.sll_ifindex ||
	    bind(fd, (struct sockaddr *)&to, sizeof(to)))
		die(name, strerror(errno));
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return fd;
}

static bool may_lose;
static FILE *times;			/* NULL: nobody wants them */

static void
note_times(unsigned count)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	while (times && count--)
		fprintf(times, "%lld.%09ld\n", (long long)t.tv_sec, t.tv_nsec);
}

/* All of them, however long it takes. */
static void
send_all(int fd, struct iovec *v, unsigned count)
{
	struct mmsghdr m[BATCH] = { 0 };
	unsigned done = 0;
	int n;

	for (unsigned i = 0; i < count; i++) {
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	while (done < count) {
		n = sendmmsg(fd, m + done, count - done, 0);
		if (n > 0)
			done += (unsigned)n;
		else if (may_lose)
			done++;
		else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			die("a frame", strerror(errno));
	}
}

/* When frame `i` is due, in ns since the round began. */
static int64_t
due(const struct load *l, size_t i, double speed, double rate)
{
	if (rate >= 0)
		return rate > 0 ? (int64_t)((double)i / rate * NS) : 0;
	return (int64_t)((double)l->at[i] / speed);
}

/* All to the first of both; or, with a second one, what is a server's there. */
static void
send_to(const int fd[2], struct iovec *v, unsigned count)
{
	unsigned n;

	if (fd[1] < 0) {
		send_all(fd[0], v, count);
		return;
	}
	for (; count; v += n, count -= n) {
		bool server = is_from_server(v);

		for (n = 1; n < count && is_from_server(&v[n]) == server; n++)
			;
		send_all(fd[server], v, n);
	}
}

static void
send_round(const int fd[2], struct load *l, double speed, double rate, int64_t start)
{
	unsigned count;

	for (size_t i = 0; i < l->count; i += count) {
		int64_t at = start + due(l, i, speed, rate);

		for (count = 1; count < BATCH && i + count < l->count; count++)
			if (start + due(l, i + count, speed, rate) >
			    at + 50000)
				break;
		if (at > now_ns())
			sleep_until(at);
		note_times(count);
		send_to(fd, &l->frame[i], count);
	}
}

int
main(int argc, char **argv)
{
	double speed = 1, rate = -1, took;
	unsigned long rounds = 1, step = 0;
	struct load l;
	int64_t start, round_ns;
	int option, fd[2] = { -1, -1 };

	while ((option = getopt(argc, argv, "s:p:n:ck:2:lt:")) != -1) {
		switch (option) {
		case 's': speed = strtod(optarg, NULL); break;
		case 'p': rate = strtod(optarg, NULL); break;
		case 'n': rounds = strtoul(optarg, NULL, 10); break;
		case '2': fd[1] = open_interface(optarg); break;
		case 'l': may_lose = true; break;
		case 't': times = fopen(optarg, "w"); break;
		case 'c': step = 1; break;
		case 'k': step = strtoul(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	if (argc - optind != 2 || speed <= 0)
		return 2;
	l = load_file(argv[optind + 1]);
	fd[0] = open_interface(argv[optind]);
	start = now_ns();
	round_ns = rate >= 0 ? due(&l, l.count, speed, rate) : 0;
	for (unsigned long r = 0; r < rounds && l.count; r++) {
		send_round(fd, &l, speed, rate, start +
		    (rate >= 0 ? (int64_t)r * round_ns : now_ns() - start));
		for (size_t i = 0; step && i < l.count; i++)
			churn(&l.frame[i], step);
	}
	took = (double)(now_ns() - start) / NS;
	if (times)
		fclose(times);
	l.count *= rounds;
	free(l.frame);
	free(l.at);
	free(l.bytes);
	printf("%zu frames in %.3f s, %.0f a second\n", l.count, took,
	    (double)l.count / took);
	return 0;
}
