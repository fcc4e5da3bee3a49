/* mix.c - the captures of a folder, over and over. Each time all 10/8, 172.16/12
 * and 192.168/16 addresses and the ports of clients stay what they are to each
 * other, but lie elsewhere, so that every connection is a new one. Checksums are
 * mended by the difference (RFC 1624), so that a wrong one stays as wrong. */
#include "tests/bench/scenes.h"

#include <dirent.h>
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIX_FRAMES = 3400000, MIX_SPREAD_NS = 700000000, LINK_BYTES = 14 };

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
tape_load(struct tape *t, const char *path)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_open_offline_with_tstamp_precision(path,
	    PCAP_TSTAMP_PRECISION_NANO, why);
	struct pcap_pkthdr *h;
	const uint8_t *data;
	uint64_t first = 0, ns;
	size_t room = 0;

	if (!p)
		give_up("%s: %s", path, why);
	while (pcap_next_ex(p, &h, &data) == 1) {
		struct kept *k;

		if (t->frames == room) {
			room = room ? room * 2 : 1024;
			t->frame = realloc(t->frame, room * sizeof(*t->frame));
			if (!t->frame)
				give_up("out of memory");
		}
		ns = (uint64_t)h->ts.tv_sec * S_NS + (uint64_t)h->ts.tv_usec;
		if (!t->frames)
			first = ns;
		k = &t->frame[t->frames++];
		*k = (struct kept){ ns > first ? ns - first : 0, malloc(h->caplen + 1),
			h->caplen, h->len };
		if (!k->data)
			give_up("out of memory");
		memcpy(k->data, data, h->caplen);
	}
	pcap_close(p);
}

static void
tape_free(struct tape *t)
{
	for (size_t i = 0; i < t->frames; i++)
		free(t->frame[i].data);
	free(t->frame);
}

static void
tape_shorten(struct tape *t)
{
	while (t->frames && t->frame[t->frames - 1].at_ns > TAPE_LONGEST_NS)
		free(t->frame[--t->frames].data);
}

static int
is_capture(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && strcmp(d->d_name + n - 5, ".pcap") == 0;
}

static size_t
tapes_load(struct tape **tapes, const char *folder)
{
	struct dirent **name;
	char path[4096];
	int n = scandir(folder, &name, is_capture, alphasort);

	if (n < 1)
		give_up("%s: no captures there", folder);
	*tapes = calloc((size_t)n, sizeof(**tapes));
	if (!*tapes)
		give_up("out of memory");
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, name[i]->d_name);
		tape_load(&(*tapes)[i], path);
		tape_shorten(&(*tapes)[i]);
		free(name[i]);
	}
	free(name);
	return (size_t)n;
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

/* Moves an address; the sums (either may be NULL) with it. */
static void
move_address(uint8_t *a, uint32_t round, uint8_t *ip_sum, uint8_t *sum)
{
	uint32_t high = be16(a);

	if (!is_private(a) || !round)
		return;
	/* /16 by /16: room for 49 * 256 rounds */
	a[0] = (uint8_t)((a[0] == 10 ? 11 : a[0] == 172 ? 60 : 110) + (round >> 8) % 49);
	a[1] = (uint8_t)(a[1] + round);
	if (ip_sum)
		mend(ip_sum, high, be16(a));
	if (sum)
		mend(sum, high, be16(a));
}

static void
rewrite(uint8_t *f, size_t bytes, uint32_t round)
{
	uint8_t *ip = f + LINK_BYTES, *sum = NULL;
	size_t l4;

	if (bytes < 42)
		return;
	if (be16(f + 12) == 0x0806) {
		move_address(f + 28, round, NULL, NULL);
		move_address(f + 38, round, NULL, NULL);
		return;
	}
	if (be16(f + 12) != 0x0800 || ip[0] >> 4 != 4)
		return;
	l4 = LINK_BYTES + (size_t)(ip[0] & 15) * 4;
	if (!(be16(ip + 6) & 0x1fff)) {
		if (ip[9] == 6 && bytes >= l4 + 18)
			sum = f + l4 + 16;
		else if (ip[9] == 17 && bytes >= l4 + 8 && be16(f + l4 + 6))
			sum = f + l4 + 6;
	}
	move_address(ip + 12, round, ip + 10, sum);
	move_address(ip + 16, round, ip + 10, sum);
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
	size_t bytes = k->bytes < sizeof(copy) ? k->bytes : sizeof(copy);

	memcpy(copy, k->data, bytes);
	rewrite(copy, bytes, p->round);
	wire_frame(w, BENCH_EPOCH_NS + due(p), copy, bytes, k->wire_bytes);
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
