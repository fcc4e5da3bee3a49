/* fuzz_engine.c - the engine and all detectors, driven by a script of frames
 * between a few hosts. The hard part is that a fuzzer hardly ever makes a sound
 * frame: so the input only chooses, and what is chosen from are segments that
 * are right but for what is asked for (another number, an overlap that disagrees,
 * a wrong sum, a copy, a fragment, a pause, a clock that jumps), and words that
 * parsers know.
 *
 * Input: how the run goes on, where the snap length cuts, how many frames at
 * once; then steps (do_step). The frames are made first and played twice, in
 * batches and one by one: both must say the same, and nothing of what was not
 * sent. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/checksum.h"
#include "tests/fuzz_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

enum {
	HOSTS = 6, TALKS = 8, FRAMES_MAX = 400, STORE_BYTES = 1 << 19,
	PAYLOAD_MAX = 3000, ETHERNET_BYTES = 14, IP_BYTES = 20,
	FRAME_BYTES = ETHERNET_BYTES + 2 * IP_BYTES + 40 + PAYLOAD_MAX,
	BATCH_MAX = 64, LIVE_PAUSES = 2,
};

struct talk {
	unsigned host[2];		/* by enum side */
	uint16_t port[2];
	uint32_t next[2], sent[2];	/* numbers; length of the last segment */
	uint32_t stamp[2];
};

/* What is played: a frame, or (no data) what a live source says. */
struct item {
	enum source_result what;
	uint64_t dropped;
	struct frame frame;
};

struct script {
	struct bytes left;
	struct talk talk[TALKS];
	uint16_t ip_id[HOSTS];
	unsigned talked;		/* set of hosts in any frame */
	bool stepped;			/* its clock ran backwards, or far on */
	unsigned how, snap, pauses;
	size_t batch;
	struct instant now;
	size_t items, store_used;
	uint64_t frames;
	struct item item[FRAMES_MAX];
	uint8_t store[STORE_BYTES];
};

static uint8_t
choose(struct script *s)
{
	return bytes_u8(&s->left);
}

static void
put(uint8_t *at, uint32_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static uint32_t
address_of(unsigned host)
{
	return 0x0a000001 + host;
}

static uint16_t
sum_of(uint32_t sum, const uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* --- frames ------------------------------------------------------------------ */

static void
keep_frame(struct script *s, const uint8_t *at, size_t n)
{
	size_t kept = s->snap && n > s->snap ? s->snap : n;
	struct item *i = &s->item[s->items];

	if (s->items == FRAMES_MAX || s->store_used + kept > STORE_BYTES)
		return;
	memcpy(s->store + s->store_used, at, kept);
	*i = (struct item){ .what = SOURCE_FRAME, .frame = {
		.time = s->now, .number = ++s->frames, .link_type = 1,
		.captured_bytes = (uint32_t)kept, .wire_bytes = (uint32_t)n,
		.data = s->store + s->store_used } };
	s->store_used += kept;
	s->items++;
}

static void
say_idle(struct script *s, enum source_result what, uint64_t dropped)
{
	if (s->items < FRAMES_MAX)
		s->item[s->items++] = (struct item){ .what = what,
			.dropped = dropped, .frame = { .time = s->now } };
}

enum ip_way { WAY_OTHER_MAC = 1, WAY_HIGH_ID = 2, WAY_SAME_ID = 4,
	WAY_IP_OPTION = 8, WAY_VLAN = 16, WAY_LOW_TTL = 32 };

static void
ethernet(uint8_t *f, unsigned from, unsigned to, unsigned way, uint16_t type)
{
	put(f, 0x02000000, 4);
	put(f + 4, to, 2);
	put(f + 6, 0x02000000, 4);
	put(f + 10, way & WAY_OTHER_MAC ? 99 : from, 2);
	put(f + 12, type, 2);
}

/* `offset` in bytes, `more` fragments behind it. */
static void
ip_piece(struct script *s, unsigned from, unsigned to, uint8_t protocol,
    unsigned way, const uint8_t *body, size_t n, size_t offset, bool more)
{
	uint8_t f[FRAME_BYTES + 4] = { 0 }, *ip = f + ETHERNET_BYTES;
	size_t header = way & WAY_IP_OPTION ? 24 : IP_BYTES;

	ethernet(f, from, to, way, way & WAY_VLAN ? 0x8100 : 0x0800);
	if (way & WAY_VLAN) {
		put(ip, 7 << 16 | 0x0800, 4);
		ip += 4;
	}
	put(ip, (uint32_t)(0x40 | header / 4) << 24 |
	    (uint32_t)(header + n), 4);
	put(ip + 4, s->ip_id[from] | (way & WAY_HIGH_ID ? 0x8000 : 0), 2);
	put(ip + 6, (uint32_t)(offset / 8) | (more ? 0x2000 : 0), 2);
	ip[8] = way & WAY_LOW_TTL ? 3 : 128;
	ip[9] = protocol;
	put(ip + 12, address_of(from), 4);
	put(ip + 16, address_of(to), 4);
	memset(ip + IP_BYTES, 1, header - IP_BYTES);
	put(ip + 10, (uint16_t)~sum_of(0, ip, header), 2);
	memcpy(ip + header, body, n);
	s->talked |= 1u << from | 1u << to;
	keep_frame(s, f, (size_t)(ip - f) + header + n);
}

static void
ip_packet(struct script *s, unsigned from, unsigned to, uint8_t protocol,
    unsigned way, const uint8_t *body, size_t n)
{
	if (!(way & WAY_SAME_ID))
		s->ip_id[from] = (uint16_t)((s->ip_id[from] + 1) & 0x7fff);
	ip_piece(s, from, to, protocol, way, body, n, 0, false);
}

enum sum_way { SUM_RIGHT, SUM_UNDONE, SUM_WRONG, SUM_NONE, SUM_WAYS };

/* Where the sum goes is `at` within the body. Left undone by a card, it is that
 * of the pseudo header (RFC 9293, 3.1). */
static void
put_sum(unsigned from, unsigned to, uint8_t protocol, uint8_t *body, size_t n,
    size_t at, enum sum_way way)
{
	uint8_t pseudo[8];
	uint32_t sum;

	put(pseudo, address_of(from), 4);
	put(pseudo + 4, address_of(to), 4);
	put(body + at, 0, 2);
	sum = sum_of(protocol + (uint32_t)n, pseudo, sizeof(pseudo));
	if (way == SUM_RIGHT || way == SUM_WRONG)
		sum = (uint16_t)~sum_of(sum, body, n);
	if (way != SUM_NONE)
		put(body + at, sum ^ (way == SUM_WRONG ? 0x5a5a : 0), 2);
}

/* --- what is said -------------------------------------------------------------- */

static const struct words {
	const char *at;
	size_t n;
} words[] = {
#define WORDS(text) { text, sizeof(text) - 1 }
	WORDS("\5\0\13\3\20\0\0\0\110\0\0\0\1\0\0\0\320\26\320\26\0\0\0\0\1\0\0"
	    "\0\0\0\1\0\10\203\257\341\37\135\311\21\221\244\10\0\53\24\240\372"
	    "\3\0\0\0\4\135\210\212\353\34\311\21\237\350\10\0\53\20\110\140\2\0"
	    "\0\0"),				/* bind, to the endpoint mapper */
	WORDS("\5\0\14\3\20\0\0\0\104\0\0\0\1\0\0\0\320\26\320\26\1\0\0\0\4\0001"
	    "35\0\0\0\1\0\0\0\0\0\0\0\4\135\210\212\353\34\311\21\237\350\10\0"
	    "\53\20\110\140\2\0\0\0\0\0\0\0\0\0\0\0"),	/* bind_ack */
	WORDS("\5\0\0\3\20\0\0\0\34\0\0\0\2\0\0\0\4\0\0\0\0\0\3\0abcd"),
	WORDS("\5\0\0\1\20\0\0\0\34\0\0\0\3\0\0\0\4\0\0\0\0\0\3\0abcd"),
	WORDS("\5\0\2\3\20\0\0\0\34\0\0\0\2\0\0\0\4\0\0\0\0\0\0\0abcd"),
	WORDS("\5\0\3\3\20\0\0\0\40\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0"
	    "\0"),				/* fault */
	WORDS("\5\0\0\3\20\0\0\0\0\17\0\0\2\0\0\0\0\20\0\0\0\0\3\0abcd"), /* long */
	WORDS("\0\0\0\57\377SMB\162\0\0\0\0\30\3\300\0\0\0\0\0\0\0\0\0\0\0\0\377"
	    "\377\0\100\0\0\0\0\0\14\0\2NT LM 0.12"),	/* SMB1 negotiate */
	WORDS("\0\0\0\100\376SMB\100\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\1\0"
	    "\0\0\0\0\0\0\377\376\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
	    "\0\0\0\0\0\0\0"),			/* SMB2 header */
	WORDS("\0\0\0\100\376SMB\100\0\0\0\0\0\0\0\0\0\1\0\1\0\0\0\0\0\0\0\1\0"
	    "\0\0\0\0\0\0\377\376\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
	    "\0\0\0\0\0\0\0"),			/* its answer */
	WORDS("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
	WORDS("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
	WORDS("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
	WORDS("RPC_IN_DATA /rpc/rpcproxy.dll?mail:6001 HTTP/1.1\r\n"
	    "Content-Length: 1073741824\r\n\r\n"),
	WORDS("RPC_OUT_DATA /rpc/rpcproxy.dll?mail:6001 HTTP/1.1\r\n"
	    "Content-Length: 76\r\n\r\n"),
	WORDS("220 ready\r\n"), WORDS("PASV\r\n"), WORDS("STOR x\r\n"),
	WORDS("227 Entering Passive Mode (10,0,0,5,4,1)\r\n"),
	WORDS("PORT 10,0,0,1,4,2\r\n"), WORDS("EHLO a\r\n"), WORDS("250 ok\r\n"),
	WORDS("\3\0\0\23\16\340\0\0\0\0\0\1\0\10\0\3\0\0\0"),	/* RDP */
	WORDS("\22\1\0\15\0\0\0\0\377\0\0\0\0"),		/* TDS pre-login */
	WORDS("0\14\2\1\1\140\7\2\1\3\4\0\200\0"),		/* LDAP bind */
	WORDS("0\14\2\1\1\141\7\12\1\0\4\0\4\0"),
	WORDS("\26\3\1\0\5\1\0\0\1\0"),			/* TLS */
	WORDS("\0\20\0\1\32\53\74\115\0\1\0\0"),		/* PPTP */
	WORDS("\22\64\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"),	/* DNS */
	WORDS("\22\64\201\200\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"),
	WORDS("\1\1\6\0\1\2\3\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0"
	    "\0\1"),				/* DHCP begins */
};

/* Some words, bytes of the input, or filling; the number of bytes. */
static size_t
payload(struct script *s, uint8_t out[PAYLOAD_MAX])
{
	static const uint16_t fill[] = { 0, 0, 1, 2, 100, 536, 1380, 1460, 2920 };
	uint8_t choice = choose(s);
	size_t n;

	if (choice < sizeof(words) / sizeof(*words)) {
		memcpy(out, words[choice].at, words[choice].n);
		return words[choice].n;
	}
	if (choice >= 0xc0) {
		struct bytes own = bytes_sub_at_most(&s->left, choice & 63);

		if (own.left)
			memcpy(out, own.at, own.left);
		return own.left;
	}
	n = fill[choice % (sizeof(fill) / sizeof(*fill))];
	memset(out, choice, n);
	return n;
}

/* --- TCP ------------------------------------------------------------------------ */

/* `base`, or something near it or far from it. */
static uint32_t
number_near(uint32_t base, uint8_t choice, uint32_t last)
{
	const uint32_t off[] = { 0, 0, 0, 0, 0, 0, 0u - last, 0u - last,
	    UINT32_MAX, 1, 1460, 0u - 1460, 65536, UINT32_C(1) << 31,
	    (UINT32_C(1) << 31) - 1, 0u - 2 * last };

	return base + off[choice & 15];
}

static size_t
tcp_options(struct script *s, struct talk *t, enum side side, uint8_t flags,
    uint8_t choice, uint8_t *out)
{
	enum side other = other_side(side);
	size_t n = 0;

	if (flags & TCP_SYN && choice & 1) {
		put(out, 0x020405b4, 4);
		put(out + 4, 0x01030300u | (choice >> 4), 4);
		put(out + 8, 0x01010402, 4);
		n = 12;
	}
	if (choice & 2) {
		put(out + n, 0x0101080a, 4);
		put(out + n + 4, choice & 8 ? t->stamp[side] - 1000 :
		    ++t->stamp[side], 4);
		put(out + n + 8, t->stamp[other], 4);
		n += 12;
	}
	if (choice & 4 && !(flags & TCP_SYN)) {
		put(out + n, 0x0101050a, 4);
		put(out + n + 4, t->next[other] - (choose(s) & 15) * 100u, 4);
		put(out + n + 8, t->next[other] + (choice >> 4), 4);
		n += 12;
	}
	return n;
}

static void
segment(struct script *s, struct talk *t, enum side side, uint8_t flags,
    uint32_t seq, uint32_t ack, uint8_t option, unsigned way, enum sum_way sum,
    const uint8_t *said, size_t n)
{
	static const uint16_t window[] = { 65535, 0, 8192, 1, 100, 17520, 64240,
	    0 };
	unsigned from = t->host[side], to = t->host[other_side(side)];
	uint8_t b[60 + PAYLOAD_MAX] = { 0 };
	size_t options;

	options = tcp_options(s, t, side, flags, option, b + 20);
	put(b, (uint32_t)t->port[side] << 16 | t->port[other_side(side)], 4);
	put(b + 4, seq, 4);
	put(b + 8, flags & TCP_ACK ? ack : 0, 4);
	put(b + 12, (uint32_t)((20 + options) / 4) << 28 |
	    (uint32_t)flags << 16 | window[option >> 5], 4);
	if (n)
		memcpy(b + 20 + options, said, n);
	put_sum(from, to, IP_TCP, b, 20 + options + n, 16, sum);
	ip_packet(s, from, to, IP_TCP, way, b, 20 + options + n);
	t->sent[side] = (uint32_t)n + !!(flags & (TCP_SYN | TCP_FIN));
	if (!seq_before(seq + t->sent[side], t->next[side]))
		t->next[side] = seq + t->sent[side];
}

/* Any segment: which of its parts is odd is chosen. */
static void
any_segment(struct script *s, uint8_t op)
{
	static const uint8_t flags[] = { TCP_ACK, TCP_ACK | TCP_PSH, TCP_SYN,
	    TCP_SYN | TCP_ACK, TCP_FIN | TCP_ACK, TCP_RST, TCP_RST | TCP_ACK, 0 };
	struct talk *t = &s->talk[op >> 3 & 7];
	enum side side = op >> 6 & 1 ? SERVER : CLIENT;
	uint8_t kind = choose(s), numbers = choose(s), option = choose(s);
	uint8_t way = choose(s), said[PAYLOAD_MAX];
	size_t n = op & 0x80 ? payload(s, said) : 0;
	uint8_t f = flags[kind & 7] ? flags[kind & 7] : kind;
	uint32_t seq = number_near(t->next[side], numbers & 15, t->sent[side]);
	uint32_t ack = number_near(t->next[other_side(side)], numbers >> 4,
	    t->sent[other_side(side)]);

	segment(s, t, side, f, seq, ack, option, way & 63,
	    kind & 8 ? (enum sum_way)(kind >> 4 & 3) : SUM_RIGHT, said, n);
}

static void
plain(struct script *s, struct talk *t, enum side side, uint8_t flags,
    const uint8_t *said, size_t n)
{
	segment(s, t, side, flags, t->next[side], t->next[other_side(side)],
	    flags & TCP_SYN ? 1 : 0, 0, SUM_RIGHT, said, n);
	s->now.ns += NS_PER_MS;
}

/* A whole handshake, question and answer, or close, as they ought to be. */
static void
proper_turn(struct script *s, uint8_t op)
{
	struct talk *t = &s->talk[op >> 3 & 7];
	uint8_t said[PAYLOAD_MAX];
	size_t n;

	switch (op >> 6) {
	case 0:
		plain(s, t, CLIENT, TCP_SYN, NULL, 0);
		plain(s, t, SERVER, TCP_SYN | TCP_ACK, NULL, 0);
		plain(s, t, CLIENT, TCP_ACK, NULL, 0);
		break;
	case 1:
	case 2:
		n = payload(s, said);
		plain(s, t, CLIENT, TCP_ACK | TCP_PSH, said, n);
		if (op >> 6 == 2)	/* acknowledged, and no more */
			plain(s, t, SERVER, TCP_ACK, NULL, 0);
		else
			n = payload(s, said);
		if (op >> 6 == 1)
			plain(s, t, SERVER, TCP_ACK | TCP_PSH, said, n);
		break;
	default:
		plain(s, t, CLIENT, TCP_FIN | TCP_ACK, NULL, 0);
		plain(s, t, SERVER, TCP_FIN | TCP_ACK, NULL, 0);
		plain(s, t, CLIENT, TCP_ACK, NULL, 0);
	}
}

/* --- other packets ---------------------------------------------------------------- */

static void
datagram(struct script *s, unsigned from, unsigned to)
{
	static const uint16_t ports[] = { 53, 67, 68, 88, 123, 389, 137, 1701,
	    4789, 500, 3343, 33000 };
	uint8_t which = choose(s), b[8 + PAYLOAD_MAX];
	size_t n = payload(s, b + 8);

	put(b, (uint32_t)ports[which % 12] << 16 | ports[(which >> 4) % 12], 4);
	if (which & 0x80)
		put(b, 33000, 2);
	put(b + 4, (uint32_t)(8 + n) << 16, 4);
	put_sum(from, to, IP_UDP, b, 8 + n, 6, which & 8 ? SUM_UNDONE :
	    SUM_RIGHT);
	ip_packet(s, from, to, IP_UDP, 0, b, 8 + n);
}

static void
arp(struct script *s, unsigned from, unsigned to, uint8_t choice)
{
	uint8_t f[60] = { 0 }, *a = f + ETHERNET_BYTES;

	ethernet(f, from, to, choice & WAY_OTHER_MAC, 0x0806);
	put(a, 0x00010800, 4);
	put(a + 4, 0x06040000 | (choice & 2 ? 2 : 1), 4);
	memcpy(a + 8, f + 6, 6);
	put(a + 14, address_of(from), 4);
	put(a + 24, address_of(choice & 4 ? from : to), 4);
	s->talked |= 1u << from | 1u << to;
	keep_frame(s, f, sizeof(f));
}

/* Echo, or "unreachable" about the newest frame there is. */
static void
icmp(struct script *s, unsigned from, unsigned to, uint8_t choice)
{
	static const uint8_t type[] = { 8, 0, 3, 11 };
	const struct item *last = s->items ? &s->item[s->items - 1] : NULL;
	uint8_t b[8 + 28] = { type[choice & 3], (uint8_t)(choice >> 4) };
	size_t n = 8;

	if (choice & 2 && last && last->frame.captured_bytes >=
	    ETHERNET_BYTES + 28) {
		memcpy(b + 8, last->frame.data + ETHERNET_BYTES, 28);
		n += 28;
	}
	put(b + 2, (uint16_t)~sum_of(0, b, n), 2);
	ip_packet(s, from, to, IP_ICMP, 0, b, n);
}

static void
other_packet(struct script *s, uint8_t op)
{
	uint8_t who = choose(s), choice = choose(s), b[PAYLOAD_MAX];
	unsigned from = who % HOSTS, to = (who >> 4) % HOSTS;
	size_t n;

	switch (op >> 3 & 3) {
	case 0:
		datagram(s, from, to);
		break;
	case 1:
		arp(s, from, to, choice);
		break;
	case 2:
		icmp(s, from, to, choice);
		break;
	default:
		n = payload(s, b);
		ip_packet(s, from, to, choice & 1 ? IP_GRE : choice, 0, b, n);
	}
}

/* One of the last frames comes once more: a copy, one that a router has passed
 * on, or as fragments. */
static void
again(struct script *s, uint8_t op)
{
	uint8_t back = choose(s), choice = choose(s), body[FRAME_BYTES];
	size_t at = back % 16u, cut, n;
	const struct item *i;

	if (at >= s->items)
		return;
	i = &s->item[s->items - 1 - at];
	if (i->what != SOURCE_FRAME || !(op & 0x40)) {
		if (i->what == SOURCE_FRAME)
			keep_frame(s, i->frame.data, i->frame.captured_bytes);
		return;
	}
	if (i->frame.captured_bytes < ETHERNET_BYTES + IP_BYTES + 24 ||
	    i->frame.captured_bytes != i->frame.wire_bytes)
		return;
	n = i->frame.captured_bytes - ETHERNET_BYTES - IP_BYTES;
	memcpy(body, i->frame.data + ETHERNET_BYTES + IP_BYTES, n);
	cut = (choice & 31) * 8u % n / 8 * 8;
	at = choice & 0x20 && cut >= 8 ? cut - 8 : cut;	/* an overlap */
	s->ip_id[choice % HOSTS]++;
	ip_piece(s, choice % HOSTS, back / 16u % HOSTS, IP_TCP, 0, body, cut, 0,
	    true);
	if (choice & 0x40)
		body[at] ^= 0xff;		/* that disagrees */
	ip_piece(s, choice % HOSTS, back / 16u % HOSTS, IP_TCP, 0, body + at,
	    n - at, at, choice & 0x80);
}

/* --- time ------------------------------------------------------------------------- */

static void
pause_for(struct script *s, uint8_t op)
{
	static const int64_t ns[] = { 1, NS_PER_MS, 40 * NS_PER_MS,
	    200 * NS_PER_MS, NS_PER_S - 1, NS_PER_S, 3 * NS_PER_S, 10 * NS_PER_S,
	    61 * NS_PER_S, 400 * NS_PER_S, 7200 * NS_PER_S, 90000 * NS_PER_S,
	    -NS_PER_MS, -5 * NS_PER_S, -86400 * NS_PER_S,
	    INT64_C(315360000) * NS_PER_S };
	int64_t by = ns[op >> 3 & 15];

	/* a live run tells of each minute, so days of them take their time */
	if (s->how & FUZZ_LIVE && by > 10 * NS_PER_S && ++s->pauses > LIVE_PAUSES)
		by = NS_PER_S;
	s->stepped |= by < 0 || by > 100000 * NS_PER_S;
	if (s->now.ns < INT64_MAX / 2)
		s->now = instant_plus(s->now, by);
	if (!(op & 0x80) || !(s->how & FUZZ_LIVE))
		return;
	by = choose(s);
	say_idle(s, by & 1 ? SOURCE_BREAK : SOURCE_IDLE, (uint64_t)by >> 4);
}

enum op { OP_SEGMENT, OP_ODD = 3, OP_TURN, OP_OTHER, OP_AGAIN, OP_PAUSE };

static void
do_step(struct script *s)
{
	uint8_t op = choose(s);

	switch (op & 7) {
	case OP_TURN:
		proper_turn(s, op);
		break;
	case OP_OTHER:
		other_packet(s, op);
		break;
	case OP_AGAIN:
		again(s, op);
		break;
	case OP_PAUSE:
		pause_for(s, op);
		break;
	default:
		any_segment(s, op);
		s->now.ns += NS_PER_MS / 2;
	}
}

static void
write_script(struct script *s, struct bytes input)
{
	static const uint16_t port[TALKS] = { 135, 445, 80, 21, 1026, 3389, 1433,
	    443 };
	static const uint32_t first[TALKS] = { 1, 0xfffffff0, 0x7ffffff0, 1000,
	    0xffffff00, 0, 0x80000000, 12345 };
	uint8_t how;

	s->left = input;
	how = choose(s);
	s->how = how & (FUZZ_LIVE | FUZZ_FLOWS);
	s->snap = how & 4 ? 60u + 36u * (how >> 3 & 1) : 0;
	s->batch = 1 + choose(s) % BATCH_MAX;
	s->now.ns = INT64_C(1200000000) * NS_PER_S;
	s->talked = s->pauses = 0;
	s->stepped = false;
	s->items = s->store_used = 0;
	s->frames = 0;
	memset(s->ip_id, 0, sizeof(s->ip_id));
	for (unsigned i = 0; i < TALKS; i++)
		s->talk[i] = (struct talk){ { i % 4, 4 + i % 2 },
			{ (uint16_t)(1100 + i), port[i] },
			{ first[i], first[i] + 77777 }, { 0 }, { 0 } };
	while (s->left.left && s->items < FRAMES_MAX)
		do_step(s);
}

/* --- playing it ----------------------------------------------------------------------- */

static bool
is_host(const struct script *s, const struct address *a)
{
	for (unsigned i = 0; i < HOSTS; i++) {
		struct address one = address_from_v4(address_of(i));

		if (s->talked & 1u << i && !memcmp(a, &one, sizeof(one)))
			return true;
	}
	return false;
}

/* Nothing is said of hosts and times that there were not. */
static void
check_findings(const struct script *s, const struct fuzz_run *r)
{
	const struct finding *x = registry_findings(r->registry);

	for (; x; x = x->next) {
		if (x->retracted || x->scrap)
			continue;
		assert(!x->server || is_host(s, &x->server->address));
		assert(!x->has_client || is_host(s, &x->client));
		if (s->stepped)
			continue;
		assert(!instant_before(x->first_seen, s->item[0].frame.time));
		assert(!instant_before(s->now, x->last_seen));
	}
}

static void
play_item(struct fuzz_run *r, const struct item *i)
{
	if (i->what == SOURCE_BREAK)
		engine_break(r->engine, i->frame.time);
	else
		engine_idle(r->engine, i->frame.time);
	engine_note_missed(r->engine, i->dropped, i->dropped & 1);
}

static uint64_t
play(const struct script *s, struct source *source, size_t batch)
{
	struct frame frame[BATCH_MAX];
	struct fuzz_run r;
	uint64_t sum;
	size_t n = 0;

	fuzz_run_begin(&r, source, s->how);
	for (size_t i = 0; i < s->items; i++) {
		bool is_frame = s->item[i].what == SOURCE_FRAME;

		if (is_frame)
			frame[n++] = s->item[i].frame;
		if (n && (!is_frame || n == batch || i + 1 == s->items)) {
			fuzz_run_frames(&r, frame, n);
			n = 0;
		}
		if (!is_frame)
			play_item(&r, &s->item[i]);
	}
	sum = fuzz_run_end(&r);
	check_findings(s, &r);
	fuzz_run_free(&r);
	return sum;
}

/* For the reports: an empty capture. */
static struct source *
open_nothing(void)
{
	static const uint8_t no_frames[24] = { 0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0,
		[18] = 4, [20] = 1 };
	char name[64], err[SOURCE_ERROR_BYTES];
	const char *path = name;
	struct source *source;
	int fd = memfd_create("nothing", 0);

	if (fd < 0 || write(fd, no_frames, sizeof(no_frames)) !=
	    (ssize_t)sizeof(no_frames))
		abort();
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (source_open_files(&path, 1, NULL, &source, err))
		abort();
	return source;
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
	static struct source *source;
	static struct script s;
	uint64_t sum;

	if (!source)
		source = open_nothing();
	write_script(&s, bytes_of(at, n));
	if (!s.frames)
		return 0;
	sum = play(&s, source, s.batch);
	assert(play(&s, source, 1) == sum);
	return 0;
}
