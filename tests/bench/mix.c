/* mix.c - the captures of a folder and the folders in it, over and over; what is no
 * capture of Ethernet is passed over. Each time all unicast addresses stay what they
 * are to each other, but lie elsewhere, so that every connection is a new one.
 * Checksums are mended by the difference (RFC 1624), so that a wrong one stays as
 * wrong. */
#include "tests/bench/scenes.h"

#include <ftw.h>
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIX_FRAMES = 3400000, MIX_SPREAD_NS = 700000000, LINK_BYTES = 14,
	ARP_BYTES = 28, IPV6_BYTES = 40 };

/* What lasts longer, a session leak over days, would be mostly silence. */
#define TAPE_LONGEST_NS (3600 * S_NS)

struct kept {
	uint64_t at_ns;		/* since the first of its capture */
	uint8_t *data;
	uint32_t bytes, wire_bytes;
};

struct tape {
	struct kept *frame;
	size_t frames;
};

/* One tape being played, the `round`th time. */
struct player {
	const struct tape *tape;
	uint64_t begin_ns;
	size_t at;
	uint32_t round;
};

/* --- reading ------------------------------------------------------------------------- */

static void
tape_add(struct tape *t, size_t *room, const struct kept *k, const uint8_t *data)
{
	struct kept *mine;

	if (t->frames == *room) {
		*room = *room ? *room * 2 : 1024;
		t->frame = realloc(t->frame, *room * sizeof(*t->frame));
		if (!t->frame)
			give_up("out of memory");
	}
	mine = &t->frame[t->frames++];
	*mine = *k;
	mine->data = malloc(k->bytes + 1);
	if (!mine->data)
		give_up("out of memory");
	memcpy(mine->data, data, k->bytes);
}

/* Leaves it empty where that is no capture of Ethernet. */
static void
tape_load(struct tape *t, const char *path)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline_with_tstamp_precision(path,
	    PCAP_TSTAMP_PRECISION_NANO, why);
	struct pcap_pkthdr *h;
	const uint8_t *data;
	uint64_t first = 0, ns;
	size_t room = 0;

	while (p && pcap_datalink(p) == DLT_EN10MB && pcap_next_ex(p, &h, &data) == 1) {
		ns = (uint64_t)h->ts.tv_sec * S_NS + (uint64_t)h->ts.tv_usec;
		if (!t->frames)
			first = ns;
		ns = ns > first ? ns - first : 0;
		if (ns <= TAPE_LONGEST_NS && h->caplen <= FRAME_BYTES_MAX)
			tape_add(t, &room, &(struct kept){ ns, NULL, h->caplen, h->len },
			    data);
	}
	if (p)
		pcap_close(p);
}

static void
tape_free(struct tape *t)
{
	for (size_t i = 0; i < t->frames; i++)
		free(t->frame[i].data);
	free(t->frame);
}

/* nftw() has no argument of its own. */
static struct {
	char **path;
	size_t paths, room;
} found;

static int
find_file(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)at;
	if (kind != FTW_F)
		return 0;
	if (found.paths == found.room) {
		found.room = found.room ? found.room * 2 : 256;
		found.path = realloc(found.path, found.room * sizeof(*found.path));
	}
	if (!found.path || !(found.path[found.paths++] = strdup(path)))
		give_up("out of memory");
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t
tapes_load(struct tape **tapes, const char *folder)
{
	size_t n = 0;

	nftw(folder, find_file, 16, FTW_PHYS);
	qsort(found.path, found.paths, sizeof(*found.path), by_name);
	*tapes = calloc(found.paths + 1, sizeof(**tapes));
	if (!*tapes)
		give_up("out of memory");
	for (size_t i = 0; i < found.paths; i++) {
		tape_load(&(*tapes)[n], found.path[i]);
		n += (*tapes)[n].frames > 0;
		free(found.path[i]);
	}
	free(found.path);
	if (!n)
		give_up("%s: no captures of Ethernet there", folder);
	return n;
}

/* --- rewriting ------------------------------------------------------------------------ */

static bool
is_private(const uint8_t *a)
{
	return a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) ||
	    (a[0] == 192 && a[1] == 168);
}

static uint32_t
be16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

/* RFC 1624: HC' = ~(~HC + ~m + m') */
static void
mend(uint8_t *sum, uint32_t was, uint32_t is)
{
	uint32_t s = (~be16(sum) & 0xffff) + (~was & 0xffff) + is;

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	put_be16(sum, ~s);
}

/* Moves an IPv4 address; the sums (either may be NULL) with it. */
static void
move_ipv4(uint8_t *a, uint32_t round, uint8_t *ip_sum, uint8_t *sum)
{
	uint32_t high = be16(a);

	if (!a[0] || a[0] == 127 || a[0] >= 224)
		return;
	/* /16 by /16: private addresses have room for 49 * 256 rounds */
	if (is_private(a))
		a[0] = (uint8_t)((a[0] == 10 ? 11 : a[0] == 172 ? 60 : 110) +
		    (round >> 8) % 49);
	a[1] = (uint8_t)(a[1] + round);
	if (ip_sum)
		mend(ip_sum, high, be16(a));
	if (sum)
		mend(sum, high, be16(a));
}

/* Moves a global unicast IPv6 address (RFC 4291 2.4: 2000::/3). */
static void
move_ipv6(uint8_t *a, uint32_t round, uint8_t *sum)
{
	uint32_t part = be16(a + 2);

	if ((a[0] & 0xe0) != 0x20)
		return;
	put_be16(a + 2, part + round);
	if (sum)
		mend(sum, part, be16(a + 2));
}

/* Where the checksum over the addresses is, or NULL: of TCP, UDP and, with IPv6,
 * ICMP. */
static uint8_t *
transport_sum(uint8_t *l4, const uint8_t *end, uint8_t protocol)
{
	size_t at = protocol == 6 ? 16 : protocol == 17 ? 6 : 2;

	if (protocol != 6 && protocol != 17 && protocol != 58)
		return NULL;
	if (l4 > end || (size_t)(end - l4) < at + 2)
		return NULL;
	return protocol == 17 && !be16(l4 + at) ? NULL : l4 + at;
}

static void
rewrite_ipv4(uint8_t *ip, const uint8_t *end, uint32_t round)
{
	uint8_t *sum = NULL;

	/* later fragments have no transport header */
	if (!(be16(ip + 6) & 0x1fff) && ip[9] != 58)
		sum = transport_sum(ip + (size_t)(ip[0] & 15) * 4, end, ip[9]);
	move_ipv4(ip + 12, round, ip + 10, sum);
	move_ipv4(ip + 16, round, ip + 10, sum);
}

static void
rewrite_ipv6(uint8_t *ip, const uint8_t *end, uint32_t round)
{
	uint8_t *sum = transport_sum(ip + IPV6_BYTES, end, ip[6]);

	move_ipv6(ip + 8, round, sum);
	move_ipv6(ip + 24, round, sum);
}

static void
rewrite(uint8_t *f, size_t bytes, uint32_t round)
{
	uint8_t *ip = f + LINK_BYTES;

	if (bytes < LINK_BYTES + ARP_BYTES || !round)
		return;
	switch (be16(f + 12)) {
	case 0x0806:
		move_ipv4(ip + 14, round, NULL, NULL);
		move_ipv4(ip + 24, round, NULL, NULL);
		break;
	case 0x0800:
		if (ip[0] >> 4 == 4)
			rewrite_ipv4(ip, f + bytes, round);
		break;
	case 0x86dd:
		if (ip[0] >> 4 == 6 && bytes >= LINK_BYTES + IPV6_BYTES)
			rewrite_ipv6(ip, f + bytes, round);
		break;
	}
}

/* --- playing -------------------------------------------------------------------------- */

static uint64_t
due(const struct player *p)
{
	return p->begin_ns + p->tape->frame[p->at].at_ns;
}

/* Puts heap[i] where it belongs among its children, the first due on top. */
static void
sift(struct player *heap, size_t n, size_t i)
{
	struct player one = heap[i];

	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && due(&heap[child + 1]) < due(&heap[child]))
			child++;
		if (due(&one) <= due(&heap[child]))
			break;
		heap[i] = heap[child];
	}
	heap[i] = one;
}

static void
play_frame(struct wire *w, const struct player *p)
{
	const struct kept *k = &p->tape->frame[p->at];
	static uint8_t copy[FRAME_BYTES_MAX];

	memcpy(copy, k->data, k->bytes);
	rewrite(copy, k->bytes, p->round);
	wire_frame(w, BENCH_EPOCH_NS + due(p), copy, k->bytes, k->wire_bytes);
}

void
mix_make(struct wire *w, double scale, const char *folder)
{
	struct tape *tape;
	size_t tapes = tapes_load(&tape, folder), frames = 0, rounds, n = 0;
	struct player *heap;

	for (size_t i = 0; i < tapes; i++)
		frames += tape[i].frames;
	rounds = scaled((uint32_t)(MIX_FRAMES / (frames + 1)), scale, 1);
	heap = calloc(rounds * tapes, sizeof(*heap));
	if (!heap)
		give_up("out of memory");
	for (size_t r = 0; r < rounds; r++)
		for (size_t i = 0; i < tapes; i++)
			if (tape[i].frames)
				heap[n++] = (struct player){ &tape[i],
				    (r * tapes + i) * MIX_SPREAD_NS / tapes, 0,
				    (uint32_t)(r * tapes + i) };
	for (size_t i = n; i-- > 0;)
		sift(heap, n, i);
	while (n) {
		play_frame(w, &heap[0]);
		if (++heap[0].at == heap[0].tape->frames)
			heap[0] = heap[--n];
		if (n)
			sift(heap, n, 0);
	}
	for (size_t i = 0; i < tapes; i++)
		tape_free(&tape[i]);
	free(tape);
	free(heap);
}
