/* attacks.c - what somebody would send who wants the sniffer to fall over: state
 * without end, and packets that contradict each other. Connections here are made
 * one packet after the other, a fixed time apart.
 *
 * Through each attack eight sound RPC sessions with a server of their own live on,
 * six of them carried by its card; after it those six freeze. They are witnesses:
 * whatever the attack did to the sniffer, that server's verdict must come. */
#include "tests/bench/scenes.h"

#include <string.h>

enum {
	STEP_US = 20,
	WITNESSES = 8, OFFLOADED = 6, WITNESS_EVERY = 4000,
	ASK_BYTES = 300, ANSWER_BYTES = 700, BIND_BYTES = 112, BIND_ACK_BYTES = 180,
};

#define SERVER_AT(n) (0xc0a81e05 + (uint32_t)(n))
#define WITNESS_SERVER 0xc0a82805	/* 192.168.40.5 */

/* One connection of an attacker, made by hand. */
struct pipe {
	uint32_t client, server;
	uint16_t cport, sport;
	uint32_t seq[2];
	uint16_t id;
	bool offloaded;
};

struct attack {
	struct wire *wire;
	struct rng rng;
	uint64_t at_ns;
	struct pipe witness[WITNESSES];
	uint32_t calls;			/* of each witness */
	uint16_t server_id[2];		/* IP IDs: host's, card's */
	uint64_t heard;			/* packets when they last called */
};

/* Host and card count their halves each (tests/bench/talk.c). */
static uint16_t
server_id(struct attack *a, const struct pipe *p)
{
	uint16_t *next = &a->server_id[p->offloaded];

	*next = (uint16_t)(*next + 1) & 0x7fff;
	return (uint16_t)(*next | (p->offloaded ? 0x8000 : 0));
}

static void
packet_of(struct attack *a, struct pipe *p, enum who who, struct wire_packet *out)
{
	bool up = who == FROM_CLIENT;

	*out = (struct wire_packet){ .at_ns = a->at_ns,
		.src = up ? p->client : p->server, .dst = up ? p->server : p->client,
		.sport = up ? p->cport : p->sport, .dport = up ? p->sport : p->cport,
		.src_mac = { 2, 0, 0, 0, 0, up ? 1 : 2 },
		.dst_mac = { 2, 0, 0, 0, 0, up ? 2 : 1 },
		.ip_id = up ? p->id++ : server_id(a, p), .ttl = 120, .window = 65535 };
	a->at_ns += STEP_US * US_NS;
}

/* `bytes` at `offset` from where this side is; it does not move. */
static void
say_at(struct attack *a, struct pipe *p, enum who who, uint32_t offset,
    const void *what, size_t bytes)
{
	struct wire_packet out;

	packet_of(a, p, who, &out);
	out.flags = W_ACK | W_PSH;
	out.seq = p->seq[who] + offset;
	out.ack = p->seq[!who];
	memcpy(wire_payload(a->wire, &out), what, bytes);
	wire_put(a->wire, &out, bytes);
}

static void
say(struct attack *a, struct pipe *p, enum who who, const void *what, size_t bytes)
{
	say_at(a, p, who, 0, what, bytes);
	p->seq[who] += (uint32_t)bytes;
}

static void
bare(struct attack *a, struct pipe *p, enum who who, uint8_t flags)
{
	static const uint8_t options[4] = { 2, 4, MSS >> 8, MSS & 255 };
	struct wire_packet out;

	packet_of(a, p, who, &out);
	out.flags = flags;
	out.seq = p->seq[who];
	out.ack = flags & W_ACK ? p->seq[!who] : 0;
	if (flags & W_SYN) {
		out.options = options;
		out.option_bytes = sizeof(options);
	}
	wire_put(a->wire, &out, 0);
	p->seq[who] += flags & (W_SYN | W_FIN) ? 1 : 0;
}

static struct pipe
connected(struct attack *a, uint32_t client, uint16_t cport, uint32_t server,
    uint16_t sport)
{
	struct pipe p = { .client = client, .cport = cport, .server = server,
		.sport = sport, .seq = { (uint32_t)rng_next(&a->rng),
		(uint32_t)rng_next(&a->rng) }, .id = cport };

	bare(a, &p, FROM_CLIENT, W_SYN);
	bare(a, &p, FROM_SERVER, W_SYN | W_ACK);
	bare(a, &p, FROM_CLIENT, W_ACK);
	return p;
}

/* The `n`th of many. */
static struct pipe
opened(struct attack *a, uint32_t n, uint32_t server, uint16_t port)
{
	return connected(a, 0x0b000001 + n / 8, (uint16_t)(49152 + n % 8), server,
	    port);
}

/* The head of a DCE/RPC request (C706, 12.6.4.9). */
static void
rpc_head(uint8_t head[24], uint8_t flags, uint32_t bytes, uint32_t call)
{
	memset(head, 0, 24);
	memcpy(head, (const uint8_t[]){ 5, 0, 0, flags, 0x10 }, 5);
	put_le16(head + 8, bytes);
	put_le32(head + 12, call);
	put_le32(head + 16, 0x7fffffff);
	head[22] = 11;
}

/* --- the witnesses --------------------------------------------------------------------- */

static void
utter(struct attack *a, struct pipe *p, enum who who, enum what what, uint32_t bytes)
{
	static const struct script script = { .port = 1035 };
	struct talk t = { .script = &script, .call = a->calls + 1, .size = bytes,
		.seq = { p->seq[0], p->seq[1] }, .rounds = 1 };
	uint8_t words[MSS];

	words_fill(&t, what, words, 0, bytes);
	say(a, p, who, words, bytes);
}

static void
witness_call(struct attack *a, struct pipe *p, bool answered)
{
	utter(a, p, FROM_CLIENT, SAYS_REQUEST, ASK_BYTES);
	if (answered) {
		utter(a, p, FROM_SERVER, SAYS_RESPONSE, ANSWER_BYTES);
		bare(a, p, FROM_CLIENT, W_ACK);
	} else {
		bare(a, p, FROM_SERVER, W_ACK);
	}
}

static void
witness_calls(struct attack *a, bool frozen)
{
	for (uint32_t n = 0; n < WITNESSES; n++)
		witness_call(a, &a->witness[n], !frozen || n >= OFFLOADED);
	a->calls++;
	a->heard = wire_packets(a->wire);
}

/* Some who only look in: their SYN-ACKs show how the host's own stack counts. */
static void
passers_by(struct attack *a)
{
	for (uint16_t n = 0; n < 12; n++) {
		struct pipe p = connected(a, 0x0a280101 + n,
		    (uint16_t)(2000 + a->calls), WITNESS_SERVER, 1035);

		bare(a, &p, FROM_CLIENT, W_RST | W_ACK);
	}
}

static struct attack
attack_begin(struct wire *w)
{
	struct attack a = { .wire = w, .rng = { 0x61747461636b },
		.at_ns = BENCH_EPOCH_NS };

	for (uint32_t n = 0; n < WITNESSES; n++) {
		struct pipe *p = &a.witness[n];

		*p = connected(&a, 0x0a280001 + n, 1100, WITNESS_SERVER, 1035);
		utter(&a, p, FROM_CLIENT, SAYS_BIND, BIND_BYTES);
		utter(&a, p, FROM_SERVER, SAYS_BIND_ACK, BIND_ACK_BYTES);
		p->offloaded = n < OFFLOADED;
	}
	a.calls++;
	for (int i = 0; i < 20; i++) {
		witness_calls(&a, false);
		passers_by(&a);
		a.at_ns += S_NS;
	}
	return a;
}

/* Between two packets of an attack: now and then the witnesses speak. */
static void
attack_goes_on(struct attack *a)
{
	if (wire_packets(a->wire) - a->heard > WITNESS_EVERY)
		witness_calls(a, false);
}

static void
attack_end(struct attack *a)
{
	for (int i = 0; i < 10; i++) {
		witness_calls(a, false);
		a->at_ns += S_NS;
	}
	witness_calls(a, true);
	for (int i = 0; i < 24; i++) {
		a->at_ns += 5 * S_NS;
		for (uint32_t n = OFFLOADED; n < WITNESSES; n++)
			witness_call(a, &a->witness[n], true);
		a->calls++;
	}
}

/* --- state that is never given back ------------------------------------------------- */

/* Each begins a request that it never ends. */
static void
pdu_halves(struct wire *w, double scale)
{
	struct attack a = attack_begin(w);
	uint8_t piece[124];

	memcpy(piece, wire_noise(7), sizeof(piece));
	rpc_head(piece, 3, 5840, 1);
	for (uint32_t n = 0; n < scaled(300000, scale, 100); n++) {
		struct pipe p = opened(&a, n, SERVER_AT(n % 4), 1035);

		say(&a, &p, FROM_CLIENT, piece, sizeof(piece));
		bare(&a, &p, FROM_SERVER, W_ACK);
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* A hundred requests of 64 KB fragments of which none is the last. */
static void
pdu_giant(struct wire *w, double scale)
{
	struct attack a = attack_begin(w);
	struct pipe p[100];
	uint8_t head[24];

	for (uint32_t n = 0; n < 100; n++)
		p[n] = opened(&a, n, SERVER_AT(n % 4), 1035);
	for (uint32_t turn = 0; turn < scaled(5000, scale, 60); turn++) {
		for (uint32_t n = 0; n < 100; n++) {
			uint8_t piece[MSS];

			memcpy(piece, wire_noise(turn * MSS), MSS);
			rpc_head(head, turn ? 0 : 1, 65535, 1);
			/* a fragment is 44 full segments and 1,295 bytes */
			if (turn % 45 == 0)
				memcpy(piece, head, 24);
			say(&a, &p[n], FROM_CLIENT, piece, turn % 45 == 44 ? 1295 : MSS);
			if (turn % 2)
				bare(&a, &p[n], FROM_SERVER, W_ACK);
		}
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* A hole at the begin, and all that comes after it backwards. */
static void
holes(struct wire *w, double scale)
{
	struct attack a = attack_begin(w);

	for (uint32_t n = 0; n < scaled(20000, scale, 20); n++) {
		struct pipe p = opened(&a, n, SERVER_AT(n % 4), 445);

		for (uint32_t i = 60; i > 0; i--)
			say_at(&a, &p, FROM_CLIENT, i * 1000, wire_noise(i * 1000), 500);
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* Requests piled up on one connection, each with a call id of its own. */
static void
calls(struct wire *w, double scale)
{
	struct attack a = attack_begin(w);
	struct pipe p = opened(&a, 1, SERVER_AT(0), 1035);
	uint8_t call[64];

	memset(call, 0, sizeof(call));
	for (uint32_t n = 0; n < scaled(1000000, scale, 1000); n++) {
		rpc_head(call, 3, sizeof(call), n + 1);
		say(&a, &p, FROM_CLIENT, call, sizeof(call));
		if (n % 16 == 15)
			bare(&a, &p, FROM_SERVER, W_ACK);
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* A request head that goes on for ever, byte by byte; an answer in chunks
 * without end; SMB messages of 16 MB of which the first bytes come. */
static void
endless(struct wire *w, double scale)
{
	static const char chunked[] = "HTTP/1.1 200 OK\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n";
	static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	struct attack a = attack_begin(w);
	struct pipe slow[50], long_answer[50], smb[50];

	for (uint32_t n = 0; n < 50; n++) {
		slow[n] = opened(&a, n, SERVER_AT(0), 80);
		say(&a, &slow[n], FROM_CLIENT, "GET / HTTP/1.1\r\nX: ", 19);
		long_answer[n] = opened(&a, 1000 + n, SERVER_AT(1), 80);
		say(&a, &long_answer[n], FROM_CLIENT, get, sizeof(get) - 1);
		say(&a, &long_answer[n], FROM_SERVER, chunked, sizeof(chunked) - 1);
		smb[n] = opened(&a, 2000 + n, SERVER_AT(2), 445);
		say(&a, &smb[n], FROM_CLIENT, "\0\xff\xff\xff\xfeSMB@\0", 10);
	}
	for (uint32_t turn = 0; turn < scaled(20000, scale, 20); turn++) {
		for (uint32_t n = 0; n < 50; n++) {
			say(&a, &slow[n], FROM_CLIENT, "x", 1);
			say(&a, &long_answer[n], FROM_SERVER, "4\r\nabcd\r\n", 9);
			say(&a, &smb[n], FROM_CLIENT, wire_noise(turn), 700);
		}
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* The same connection opened again and again, with another number each time. */
static void
reopened(struct wire *w, double scale)
{
	struct attack a = attack_begin(w);

	for (uint32_t n = 0; n < scaled(500000, scale, 500); n++) {
		struct pipe p = opened(&a, n % 16, SERVER_AT(0), 3389);

		if (n % 4)
			bare(&a, &p, FROM_CLIENT, W_RST | W_ACK);
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* Servers by the thousand, each with one client. */
static void
servers(struct wire *w, double scale)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char page[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	struct attack a = attack_begin(w);

	for (uint32_t n = 0; n < scaled(200000, scale, 1000); n++) {
		struct pipe p = opened(&a, n, 0x14000000 + n, 80);

		say(&a, &p, FROM_CLIENT, get, sizeof(get) - 1);
		say(&a, &p, FROM_SERVER, page, sizeof(page) - 1);
		bare(&a, &p, FROM_CLIENT, W_ACK);
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* Connections that are made and left. */
static void
connections(struct wire *w, double scale)
{
	struct attack a = attack_begin(w);

	for (uint32_t n = 0; n < scaled(1200000, scale, 1000); n++) {
		opened(&a, n, SERVER_AT(n % 16), 443);
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* SYNs from anywhere, to the witnesses' own server, which answers each. */
static void
syns(struct wire *w, double scale)
{
	struct attack a = attack_begin(w);

	for (uint32_t n = 0; n < scaled(3000000, scale, 3000); n++) {
		struct pipe p = { .client = (uint32_t)rng_next(&a.rng) % 0xd0000000 +
			0x0c000000, .server = WITNESS_SERVER, .sport = 1035,
			.cport = (uint16_t)rng_between(&a.rng, 1024, 65535),
			.seq = { n * 64007, n * 128021 } };

		bare(&a, &p, FROM_CLIENT, W_SYN);
		bare(&a, &p, FROM_SERVER, W_SYN | W_ACK);
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* Datagrams from anybody to anybody. */
static void
datagrams(struct wire *w, double scale)
{
	struct attack a = attack_begin(w);
	struct wire_packet out;

	for (uint32_t n = 0; n < scaled(2000000, scale, 2000); n++) {
		struct pipe p = { (uint32_t)rng_next(&a.rng) % 0xd0000000 + 0x0b000000,
			SERVER_AT(n % 64), (uint16_t)rng_next(&a.rng),
			(uint16_t)(n % 3 ? 53 : 67), { 0, 0 }, (uint16_t)n, false };

		packet_of(&a, &p, FROM_CLIENT, &out);
		out.udp = true;
		memcpy(wire_payload(w, &out), wire_noise(n), 40);
		wire_put(w, &out, 40);
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* --- packets that contradict each other --------------------------------------------- */

/* Each segment again with other bytes, shifted by half. */
static void
overlaps(struct wire *w, double scale)
{
	struct attack a = attack_begin(w);

	for (uint32_t n = 0; n < scaled(20000, scale, 20); n++) {
		struct pipe p = opened(&a, n, SERVER_AT(n % 4), n % 2 ? 1035 : 445);

		for (uint32_t i = 0; i < 20; i++) {
			say_at(&a, &p, FROM_CLIENT, 400, wire_noise(n * 7 + i), 800);
			say_at(&a, &p, FROM_CLIENT, 0, wire_noise(n * 11 + i), 800);
			say(&a, &p, FROM_CLIENT, wire_noise(n * 13 + i), 1200);
			bare(&a, &p, FROM_SERVER, W_ACK);
		}
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* Fragments of datagrams that never become whole, lie over each other, disagree,
 * and reach beyond 64 KB (RFC 1858, RFC 5722). */
static void
fragments(struct wire *w, double scale)
{
	struct attack a = attack_begin(w);

	for (uint32_t n = 0; n < scaled(1000000, scale, 1000); n++) {
		uint32_t offset = n % 4 * 61 + (n % 7 ? 0 : 8000);
		uint8_t f[14 + 20 + 496] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0 };
		uint8_t *ip = f + 14;

		put_be16(ip, 0x4500);
		put_be16(ip + 2, sizeof(f) - 14);
		put_be16(ip + 4, n / 16);
		put_be16(ip + 6, offset | (n % 16 == 15 ? 0 : 0x2000));
		ip[8] = 64;
		ip[9] = n % 2 ? 17 : 6;
		put_be32(ip + 12, 0x0b000001 + n / 16 % 5000);
		put_be32(ip + 16, SERVER_AT(0));
		memcpy(ip + 20, wire_noise(n), 496);
		put_be16(ip + 10, ~wire_sum_be(ip, 20));
		wire_frame(w, a.at_ns, f, sizeof(f), sizeof(f));
		a.at_ns += STEP_US * US_NS;
		attack_goes_on(&a);
	}
	attack_end(&a);
}

/* Healthy sessions whose numbers run over the top. */
static void
wrap(struct wire *w, double scale)
{
	struct attack a = attack_begin(w);
	uint8_t call[600], answer[900];

	for (uint32_t n = 0; n < scaled(10000, scale, 10); n++) {
		struct pipe p = { 0x0b000001 + n, SERVER_AT(n % 4), 49152, 1035,
			{ 0xfffff000 - n % 3, 0xffffe000 + n % 5 }, 1, false };

		bare(&a, &p, FROM_CLIENT, W_SYN);
		bare(&a, &p, FROM_SERVER, W_SYN | W_ACK);
		bare(&a, &p, FROM_CLIENT, W_ACK);
		for (uint32_t i = 0; i < 12; i++) {
			memcpy(call, wire_noise(i), sizeof(call));
			memcpy(answer, wire_noise(n + i), sizeof(answer));
			rpc_head(call, 3, sizeof(call), i + 1);
			rpc_head(answer, 3, sizeof(answer), i + 1);
			answer[2] = 2;		/* response */
			say(&a, &p, FROM_CLIENT, call, sizeof(call));
			say(&a, &p, FROM_SERVER, answer, sizeof(answer));
			bare(&a, &p, FROM_CLIENT, W_ACK);
		}
		bare(&a, &p, FROM_CLIENT, W_FIN | W_ACK);
		bare(&a, &p, FROM_SERVER, W_FIN | W_ACK);
		bare(&a, &p, FROM_CLIENT, W_ACK);
		attack_goes_on(&a);
	}
	attack_end(&a);
}

const struct scene attacks[] = {
	{ "pdu-halves", true, pdu_halves, 0, "requests begun and never ended" },
	{ "pdu-giant", true, pdu_giant, 0, "fragments of 64 KB, none the last" },
	{ "holes", true, holes, 0, "streams with a hole, the rest backwards" },
	{ "calls", true, calls, 0, "a million calls open on one connection" },
	{ "endless", true, endless, 0, "HTTP and SMB that never end" },
	{ "reopened", true, reopened, 0, "one connection opened over and over" },
	{ "syns", true, syns, 0, "a SYN flood at the witnesses' server" },
	{ "connections", true, connections, 0, "connections made and left" },
	{ "servers", true, servers, 0, "a server for each connection" },
	{ "datagrams", true, datagrams, 0, "UDP from anybody" },
	{ "overlaps", true, overlaps, 0, "segments that disagree" },
	{ "fragments", true, fragments, 0, "IP fragments that disagree" },
	{ "wrap", true, wrap, 0, "healthy, across the wrap of the numbers" },
	{ .name = NULL },
};
