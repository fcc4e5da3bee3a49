/* source_nic.c - what the kernel says of an interface, by rtnetlink(7) and the
 * ethtool ioctl (linux/ethtool.h).
 *
 * The hard part is what happens between two looks: an interface that goes down
 * and comes back within a second has lost frames all the same. So the kernel is
 * asked to tell of each change, and is asked itself only for what it does not
 * tell of (counters), or when its notices were too many to be kept. */
#include "capture/source_nic.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* A notice with all attributes has some 2 KiB, more with many queues. */
enum { REPLY_BYTES = 32768, ANSWER_TIMEOUT_S = 1 };

/* linux/if.h, which does not go with net/if.h */
enum { FLAG_LOWER_UP = 1 << 16 };

static int
open_netlink(unsigned groups)
{
	struct sockaddr_nl self = { .nl_family = AF_NETLINK,
		.nl_groups = groups };
	struct timeval patience = { .tv_sec = ANSWER_TIMEOUT_S };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		sizeof(patience)) == 0)
		return fd;
	close(fd);
	return -1;
}

int
nic_open(struct nic_watch *w)
{
	w->tell = -1;
	w->ask = open_netlink(0);
	if (w->ask >= 0)
		w->tell = open_netlink(RTMGRP_LINK);
	return w->tell < 0 ? -1 : 0;
}

void
nic_close(struct nic_watch *w)
{
	if (w->ask >= 0)
		close(w->ask);
	if (w->tell >= 0)
		close(w->tell);
	w->ask = w->tell = -1;
}

static void
take_statistics(const struct rtattr *a, struct nic *out)
{
	struct rtnl_link_stats64 s = { 0 };
	size_t n = RTA_PAYLOAD(a);

	/* older kernels have fewer counters */
	memcpy(&s, RTA_DATA(a), n < sizeof(s) ? n : sizeof(s));
	out->lost = s.rx_dropped + s.rx_missed_errors + s.rx_fifo_errors;
}

static void
take_name(const struct rtattr *a, struct nic *out)
{
	size_t n = RTA_PAYLOAD(a);

	if (n >= sizeof(out->name))
		n = sizeof(out->name) - 1;
	memcpy(out->name, RTA_DATA(a), n);
	out->name[n] = '\0';
}

/* A message about a link. False if it is about something else. */
static bool
take_link(const struct nlmsghdr *h, struct nic *out)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);
	size_t end = h->nlmsg_len;

	if ((h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK) ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) ||
	    info->ifi_family != AF_UNSPEC)	/* else a bridge's affair */
		return false;
	memset(out, 0, sizeof(*out));
	out->index = info->ifi_index;
	out->up = info->ifi_flags & IFF_UP;
	out->carrier = info->ifi_flags & FLAG_LOWER_UP;
	out->gone = h->nlmsg_type == RTM_DELLINK;
	for (size_t at = NLMSG_LENGTH(sizeof(*info)); at + RTA_LENGTH(0) <= end;) {
		const struct rtattr *a = (const void *)((const char *)h + at);

		if (a->rta_len < RTA_LENGTH(0) || at + a->rta_len > end)
			break;
		if (a->rta_type == IFLA_IFNAME)
			take_name(a, out);
		else if (a->rta_type == IFLA_STATS64)
			take_statistics(a, out);
		at += RTA_ALIGN(a->rta_len);
	}
	return true;
}

static int
send_question(const struct nic_watch *w, int index, const char *name,
    uint32_t number)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
		struct rtattr name_head;
		char name[IF_NAMESIZE];
	} q = { 0 };
	size_t n = strlen(name);

	q.head.nlmsg_len = NLMSG_LENGTH(sizeof(q.info));
	q.head.nlmsg_type = RTM_GETLINK;
	q.head.nlmsg_flags = NLM_F_REQUEST;
	q.head.nlmsg_seq = number;
	q.info.ifi_index = index;
	if (index == 0) {
		if (n >= sizeof(q.name)) {
			errno = ENODEV;
			return -1;
		}
		memcpy(q.name, name, n);
		q.name_head.rta_type = IFLA_IFNAME;
		q.name_head.rta_len = (unsigned short)RTA_LENGTH(n + 1);
		q.head.nlmsg_len += RTA_SPACE(n + 1);
	}
	return send(w->ask, &q, q.head.nlmsg_len, 0) < 0 ? -1 : 0;
}

/* The answer numbered so: 1, 0 or -1 as nic_ask. Answers to questions that were
 * given up are passed over. */
static int
take_answer(const struct nic_watch *w, uint32_t number, struct nic *out)
{
	_Alignas(struct nlmsghdr) char reply[REPLY_BYTES];
	const struct nlmsghdr *h = (const struct nlmsghdr *)reply;
	const struct nlmsgerr *error = NLMSG_DATA(h);
	ssize_t n;

	do {
		do
			n = recv(w->ask, reply, sizeof(reply), 0);
		while (n < 0 && errno == EINTR);
		if (n < 0 || !NLMSG_OK(h, (size_t)n))
			return -1;
	} while (h->nlmsg_seq != number);
	if (h->nlmsg_type == NLMSG_ERROR)
		return error->error == -ENODEV ? 0 : -1;
	return take_link(h, out) ? 1 : -1;
}

int
nic_ask(const struct nic_watch *w, int index, const char *name, struct nic *out)
{
	static uint32_t number;

	if (send_question(w, index, name, ++number))
		return errno == ENODEV ? 0 : -1;
	return take_answer(w, number, out);
}

int
nic_next(const struct nic_watch *w, struct nic *out)
{
	_Alignas(struct nlmsghdr) char notice[REPLY_BYTES];
	const struct nlmsghdr *h = (const struct nlmsghdr *)notice;
	ssize_t n;

	/* each notice is a datagram of its own */
	for (;;) {
		n = recv(w->tell, notice, sizeof(notice), MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		if (NLMSG_OK(h, (size_t)n) && take_link(h, out))
			return 1;
	}
}

/* Asks the driver; `about` begins with the number of the command. */
static bool
ask_driver(const char *name, void *about)
{
	struct ifreq r = { 0 };
	size_t n = strlen(name);
	bool told;
	int fd;

	if (n >= sizeof(r.ifr_name))
		return false;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	memcpy(r.ifr_name, name, n);
	r.ifr_data = about;
	told = ioctl(fd, SIOCETHTOOL, &r) == 0;
	close(fd);
	return told;
}

static uint32_t
count_features(const char *name)
{
	union {
		struct ethtool_sset_info head;
		char room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
	} q = { .head = { .cmd = ETHTOOL_GSSET_INFO,
		.sset_mask = UINT64_C(1) << ETH_SS_FEATURES } };

	return ask_driver(name, &q) && q.head.sset_mask ? q.head.data[0] : 0;
}

/* The names of all features, ETH_GSTRING_LEN each, and which are on. Both are
 * to be freed; false if the driver does not tell. */
static bool
ask_features(const char *name, uint32_t count, struct ethtool_gstrings **names,
    struct ethtool_gfeatures **on)
{
	uint32_t blocks = (count + 31) / 32;

	*names = calloc(1, sizeof(**names) + (size_t)count * ETH_GSTRING_LEN);
	*on = calloc(1, sizeof(**on) + blocks * sizeof((*on)->features[0]));
	if (!count || !*names || !*on)
		return false;
	(*names)->cmd = ETHTOOL_GSTRINGS;
	(*names)->string_set = ETH_SS_FEATURES;
	(*names)->len = count;
	(*on)->cmd = ETHTOOL_GFEATURES;
	(*on)->size = blocks;
	return ask_driver(name, *names) && ask_driver(name, *on) &&
	    (*names)->len <= count;
}

static bool
is_on(const struct ethtool_gstrings *names, const struct ethtool_gfeatures *on,
    const char *feature)
{
	for (uint32_t i = 0; i < names->len; i++)
		if (strncmp((const char *)names->data + i * ETH_GSTRING_LEN,
		    feature, ETH_GSTRING_LEN) == 0)
			return on->features[i / 32].active >> i % 32 & 1;
	return false;
}

void
nic_merging(const char *name, char out[NIC_MERGING_BYTES])
{
	/* The kernel's name for it, and ethtool's (the short ones are aliases). */
	static const struct { const char *feature, *option; } merge[] = {
		{ "rx-gro", "gro" }, { "rx-lro", "lro" },
		{ "rx-gro-hw", "rx-gro-hw" },
	};
	struct ethtool_gstrings *names;
	struct ethtool_gfeatures *on;

	out[0] = '\0';
	if (ask_features(name, count_features(name), &names, &on)) {
		for (size_t i = 0; i < sizeof(merge) / sizeof(merge[0]); i++) {
			if (!is_on(names, on, merge[i].feature))
				continue;
			strcat(out, *out ? " " : "");
			strcat(out, merge[i].option);
		}
	}
	free(names);
	free(on);
}

bool
nic_ring(const char *name, uint32_t *now, uint32_t *most)
{
	struct ethtool_ringparam r = { .cmd = ETHTOOL_GRINGPARAM };

	if (!ask_driver(name, &r) || !r.rx_max_pending)
		return false;
	*now = r.rx_pending;
	*most = r.rx_max_pending;
	return true;
}
