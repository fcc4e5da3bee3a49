/* scenes.c - what load looks like: the scenes of `make bench`. All are healthy. */
#include "tests/bench/scenes.h"

#include <string.h>

#define LINES(a) (uint16_t)(sizeof(a) / sizeof((a)[0]))
#define HANDSHAKE							\
	{ FROM_CLIENT, SAYS_SYN, 0, 0, 0, 0, false, 0 },		\
	{ FROM_SERVER, SAYS_SYN, 0, 0, 30, 120, false, 0 },		\
	{ FROM_CLIENT, SAYS_ACK, 0, 0, 180, 900, false, 0 }
#define GOODBYE								\
	{ FROM_CLIENT, SAYS_FIN, 0, 0, 100000, 4000000, false, 0 },	\
	{ FROM_SERVER, SAYS_FIN, 0, 0, 60, 900, false, 0 },		\
	{ FROM_CLIENT, SAYS_ACK, 0, 0, 180, 900, false, 0 }
#define NETWORK(a, b) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16)

uint32_t
scaled(uint32_t n, double scale, uint32_t least)
{
	double wish = n * scale + 0.5;

	return wish < least ? least : (uint32_t)wish;
}

/* --- bulk: eight transfers that fill a gigabit ------------------------------------ */

enum { BULK_SEGMENTS = 75000, BULK_FLIGHT = 32 };

static void
bulk_make(struct wire *w, double scale)
{
	const uint32_t segments = scaled(BULK_SEGMENTS, scale, 100);
	const uint32_t bytes = segments * MSS;
	const struct line page[] = { HANDSHAKE,
		{ FROM_CLIENT, SAYS_GET, 420, 420, 200, 400, false, 0 },
		{ FROM_SERVER, SAYS_PAGE, bytes, bytes, 900, 900, true, BULK_FLIGHT },
		GOODBYE };
	const struct line load[] = { HANDSHAKE,
		{ FROM_CLIENT, SAYS_NOISE, bytes, bytes, 50, 90, true, BULK_FLIGHT },
		{ FROM_SERVER, SAYS_NOISE, 12, 12, 200, 300, true, 0 },
		GOODBYE };
	const struct line share[] = { HANDSHAKE,
		{ FROM_CLIENT, SAYS_SMB_HELLO, 106, 106, 200, 400, false, 0 },
		{ FROM_SERVER, SAYS_SMB_HELLO_BACK, 132, 132, 200, 400, false, 0 },
		{ FROM_CLIENT, SAYS_SMB_READ, 117, 117, 200, 400, false, 0 },
		{ FROM_SERVER, SAYS_SMB_DATA, 65620, 65620, 200, 500, false,
		    BULK_FLIGHT },
		GOODBYE };
	const struct script scripts[3] = {
		{ .line = page, .lines = LINES(page), .port = 80 },
		{ .line = share, .lines = LINES(share), .port = 445,
		    .again_from = 5, .again_to = 6,
		    .again = (uint16_t)(segments / 45) },
		{ .line = load, .lines = LINES(load), .port = 5001 },
	};
	struct stage s;

	stage_open(&s, w, 8, 2);
	for (uint16_t i = 0; i < 8; i++)
		stage_add(&s, &scripts[i % 3], i * 7 * MS_NS, NETWORK(10, 1) + 10 + i,
		    (uint16_t)(49200 + i), i % 2)->offloaded = i % 2;
	stage_play(&s);
	stage_close(&s);
}

/* --- farm: Outlook and its Exchange servers ------------------------------------------ */

enum { FARM_SESSIONS = 20000, FARM_SERVERS = 10, FARM_CALLS = 21 };

static const struct line farm_line[] = { HANDSHAKE,
	{ FROM_CLIENT, SAYS_BIND, 112, 112, 100, 900, false, 0 },
	{ FROM_SERVER, SAYS_BIND_ACK, 180, 260, 100, 900, false, 0 },
	{ FROM_CLIENT, SAYS_AUTH3, 220, 420, 100, 900, false, 0 },
	{ FROM_CLIENT, SAYS_REQUEST, 180, 900, 100, 900, false, 0 },
	{ FROM_SERVER, SAYS_RESPONSE, 200, 1450, 300, 30000, true, 0 },
	{ FROM_CLIENT, SAYS_REQUEST, 180, 900, 200000, 9000000, false, 0 },
	{ FROM_SERVER, SAYS_RESPONSE, 200, 1450, 300, 30000, true, 0 },
	GOODBYE };

static const struct script farm_script = { .line = farm_line,
	.lines = LINES(farm_line), .again_from = 8, .again_to = 9,
	.again = FARM_CALLS, .port = 1035 };

static void
farm_make(struct wire *w, double scale)
{
	const uint32_t sessions = scaled(FARM_SESSIONS, scale, 20);
	struct stage s;

	stage_open(&s, w, sessions, FARM_SERVERS);
	for (uint32_t i = 0; i < sessions; i++)
		stage_add(&s, &farm_script, i * 60 * S_NS / sessions,
		    NETWORK(10, 2) + 1 + i / 4, (uint16_t)(49152 + i % 16000),
		    (uint16_t)(i % FARM_SERVERS))->offloaded = i % 2;
	stage_play(&s);
	stage_close(&s);
}

/* --- million: each connection asks once, at any time, and stays -------------------- */

/* The rate is the same at every scale, so that a packet's cost is comparable. */
enum { MILLION = 1000000, MILLION_PACKETS = 6, MILLION_RATE = 50000,
	MILLION_SERVERS = 40 };

static void
million_make(struct wire *w, double scale)
{
	const uint32_t sessions = scaled(MILLION, scale, 200);
	const uint32_t length_us = (uint32_t)((uint64_t)sessions * MILLION_PACKETS *
	    1000000 / MILLION_RATE);
	const struct line lines[] = { HANDSHAKE,
		{ FROM_CLIENT, SAYS_GET, 300, 500, 100, length_us / 2, false, 0 },
		{ FROM_SERVER, SAYS_PAGE, 500, 1000, 300, 30000, true, 0 } };
	const struct script script = { .line = lines, .lines = LINES(lines),
		.port = 80 };
	struct stage s;

	stage_open(&s, w, sessions, MILLION_SERVERS);
	for (uint32_t i = 0; i < sessions; i++)
		stage_add(&s, &script, (uint64_t)i * length_us / sessions * US_NS / 2,
		    NETWORK(10, 16) + i / 5, (uint16_t)(49152 + i % 5 * 977),
		    (uint16_t)(i % MILLION_SERVERS))->offloaded = i % 2;
	stage_play(&s);
	stage_close(&s);
}

/* --- synflood: three million who never come back, and one who was there ------------- */

enum { FLOOD_SOURCES = 3000000, FLOOD_RATE = 30000 };

/* A SYN from somewhere; SYN cookies (RFC 4987, 3.6) answer each at once. */
static uint64_t
flood_step(struct stage *s, struct talk *t)
{
	struct wire_packet p;

	if (t->begun) {
		talk_packet(s, t, FROM_SERVER, &p);
		talk_segment(s, t, &p, FROM_SERVER, W_SYN | W_ACK, 0);
		t->begun = false;
		t->sent++;
		return t->sent == t->size ? 0 : t->at_ns + S_NS / FLOOD_RATE - 9000;
	}
	t->client = (uint32_t)(rng_next(&t->rng) >> 32) % 0xd0000000 + 0x0b000000;
	t->cport = (uint16_t)rng_between(&t->rng, 1024, 65535);
	t->seq[FROM_CLIENT] = (uint32_t)(rng_next(&t->rng) >> 32);
	t->seq[FROM_SERVER] = (uint32_t)(rng_next(&t->rng) >> 32);
	talk_packet(s, t, FROM_CLIENT, &p);
	talk_segment(s, t, &p, FROM_CLIENT, W_SYN, 0);
	t->begun = true;
	return t->at_ns + 9000;
}

static void
synflood_make(struct wire *w, double scale)
{
	const uint32_t sources = scaled(FLOOD_SOURCES, scale, 1000);
	const uint64_t length_ns = (uint64_t)sources * S_NS / FLOOD_RATE;
	const struct script flood = { .step = flood_step, .port = 1035 };
	struct script through = farm_script;
	struct line lines[LINES(farm_line)];
	struct stage s;

	/* the session was there before, and calls about fifty times */
	memcpy(lines, farm_line, sizeof(lines));
	lines[8].wait_low_us = (uint32_t)(length_ns / US_NS / 75);
	lines[8].wait_high_us = (uint32_t)(length_ns / US_NS / 25);
	through.line = lines;
	through.again = 60;
	stage_open(&s, w, 2, 1);
	stage_add(&s, &through, 0, NETWORK(10, 3) + 7, 1077, 0)->offloaded = true;
	stage_add(&s, &flood, 2 * S_NS, 0, 0, 0)->size = sources;
	stage_play(&s);
	stage_close(&s);
}

/* --- small: what a busy office says in short packets ---------------------------------- */

enum { SMALL_TALKS = 2000, SMALL_ECHOES = 300, SMALL_LOOKUPS = 400 };

/* DNS: one question, its answer, and again after a while (RFC 1035, 4.1). */
static uint64_t
lookup_step(struct stage *s, struct talk *t)
{
	static const uint8_t name[] = { 4, 'm', 'a', 'i', 'l', 7, 'e', 'x', 'a', 'm',
		'p', 'l', 'e', 3, 'c', 'o', 'm', 0, 0, 1, 0, 1 };
	static const uint8_t answer[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4,
		192, 168, 20, 10 };
	enum who who = t->begun ? FROM_SERVER : FROM_CLIENT;
	size_t bytes = 12 + sizeof(name);
	struct wire_packet p;
	uint8_t *b;

	talk_packet(s, t, who, &p);
	p.udp = true;
	b = wire_payload(s->wire, &p);
	memset(b, 0, 12);
	put_be16(b, t->call);
	put_be16(b + 2, t->begun ? 0x8580 : 0x0100);
	b[5] = 1;
	b[7] = t->begun;
	memcpy(b + 12, name, sizeof(name));
	b[13] = (uint8_t)('a' + t->call % 26);
	if (t->begun) {
		memcpy(b + bytes, answer, sizeof(answer));
		bytes += sizeof(answer);
	}
	wire_put(s->wire, &p, bytes);
	t->begun = !t->begun;
	if (t->begun)
		return t->at_ns + rng_between(&t->rng, 150, 900) * US_NS;
	t->call++;
	return t->call > t->size ? 0 :
	    t->at_ns + rng_between(&t->rng, 5000, 90000) * US_NS;
}

static void
small_make(struct wire *w, double scale)
{
	static const struct line lines[] = { HANDSHAKE,
		{ FROM_SERVER, SAYS_NOISE, 20, 20, 300, 900, true, 0 },
		{ FROM_CLIENT, SAYS_NOISE, 1, 8, 9000, 90000, false, 0 },
		{ FROM_SERVER, SAYS_NOISE, 1, 40, 60, 900, true, 0 },
		GOODBYE };
	const struct script keys = { .line = lines, .lines = LINES(lines),
		.again_from = 4, .again_to = 5, .again = SMALL_ECHOES, .port = 2323 };
	const struct script names = { .step = lookup_step, .port = 53 };
	const uint32_t talks = scaled(SMALL_TALKS, scale, 10);
	struct stage s;

	stage_open(&s, w, (size_t)2 * talks, 8);
	for (uint32_t i = 0; i < talks; i++) {
		stage_add(&s, &keys, i * 10 * MS_NS, NETWORK(10, 4) + 1 + i,
		    (uint16_t)(49152 + i), (uint16_t)(i % 4));
		stage_add(&s, &names, i * 9 * MS_NS, NETWORK(10, 4) + 1 + i,
		    (uint16_t)(53000 + i), (uint16_t)(4 + i % 4))->size = SMALL_LOOKUPS;
	}
	stage_play(&s);
	stage_close(&s);
}

/* --- churn: connections that come, ask, are answered and go ------------------------ */

enum { CHURN_TALKS = 14000, CHURN_SECONDS = 20, CHURN_SERVERS = 6 };

static void
churn_make(struct wire *w, double scale)
{
	static const struct line page[] = { HANDSHAKE,
		{ FROM_CLIENT, SAYS_GET, 300, 500, 100, 900, false, 0 },
		{ FROM_SERVER, SAYS_PAGE, 500, 4000, 300, 30000, true, 0 },
		{ FROM_CLIENT, SAYS_GET, 300, 500, 90000, 900000, false, 0 },
		{ FROM_SERVER, SAYS_PAGE, 500, 4000, 300, 30000, true, 0 },
		GOODBYE };
	const struct script pages = { .line = page, .lines = LINES(page),
		.port = 80 };
	struct script calls = farm_script;
	const uint32_t talks = scaled(CHURN_TALKS, scale, 200);
	struct line call[LINES(farm_line)];
	struct stage s;

	memcpy(call, farm_line, sizeof(call));
	call[8].wait_high_us = 900000;
	calls.line = call;
	calls.again = 1;
	stage_open(&s, w, talks, CHURN_SERVERS);
	for (uint32_t i = 0; i < talks; i++)
		stage_add(&s, i % 3 ? &pages : &calls,
		    (uint64_t)i * CHURN_SECONDS * S_NS / talks,
		    NETWORK(10, 5) + 1 + i / 4, (uint16_t)(49152 + i % 16000),
		    (uint16_t)(i % CHURN_SERVERS))->offloaded = i % 2;
	stage_play(&s);
	stage_close(&s);
}

const struct scene churn = { "churn", true, churn_make, 80,
	"700 connections a second for 20 s, which end: to be played live" };

const struct scene scenes[] = {
	{ "bulk", false, bulk_make, 939,
	    "eight transfers of 110 MB: HTTP, SMB2, a plain one" },
	{ "farm", true, farm_make, 704,
	    "20,000 RPC sessions with ten Exchange servers" },
	{ "million", false, million_make, 1600,
	    "a million connections open at once, one request each" },
	{ "synflood", true, synflood_make, 456,
	    "three million SYNs, and one session that goes on through them" },
	{ "small", false, small_make, 308,
	    "keystrokes and their echoes, DNS lookups" },
	{ .name = NULL },
};
