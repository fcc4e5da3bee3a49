/* wire_rig.h - an engine with all detectors, and hosts that talk to it in
 * frames: what the tests of the detectors say is what a mirror port would show.
 *
 * A `talk` is one TCP connection whose two sides keep their own numbers; what a
 * test wants otherwise (another sequence number, a wrong sum, another window) it
 * says in struct line. IP IDs come from a counter of each host, kept below
 * 0x8000, or (`offloaded`) from another one above. */
#ifndef TESTS_WIRE_RIG_H
#define TESTS_WIRE_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/checksum.h"
#include "capture/engine.h"
#include "detectors/registry.h"

enum { RIG_FRAME_BYTES = 9000, RIG_OPTIONS_BYTES = 40 };

struct rig {
	struct config config;
	struct registry *registry;
	struct engine *engine;
	struct instant now;
	uint64_t frames;
};

struct rig_host {
	uint32_t ip;
	uint8_t mac[6];
	uint8_t ttl;
	uint16_t id, offloaded_id;
};

enum rig_sum { SUM_RIGHT, SUM_UNDONE, SUM_WRONG };

/* One segment. What is 0 is as it ought to be: flags ACK (and PSH with data),
 * the sender's next number, all acknowledged, the talk's window. */
struct line {
	enum side from;
	uint32_t bytes;
	uint8_t flags;
	bool at, acks, has_window;	/* the next three are given: */
	uint32_t seq, ack;
	uint16_t window;
	enum rig_sum sum;
	uint8_t options[RIG_OPTIONS_BYTES];	/* a whole number of words */
	unsigned option_bytes;
	uint8_t ttl;			/* 0: the host's */
	uint8_t fill;			/* payload bytes ... */
	const void *payload;		/* ... or these */
	uint16_t id;			/* 0: the counter's */
	bool offloaded;
	const uint8_t *to_mac, *from_mac;
};

struct talk {
	struct rig *rig;
	struct rig_host *host[2];
	uint16_t port[2];
	uint32_t next[2];		/* by side */
	uint16_t window[2];
};

static inline void
rig_open(struct rig *r)
{
	struct engine_observer observer = { 0 };

	memset(r, 0, sizeof(*r));
	config_default(&r->config);
	r->now.ns = INT64_C(1200000000) * NS_PER_S;
	r->registry = registry_new(&r->config);
	if (!r->registry)
		abort();
	registry_observe(r->registry, &observer);
	r->engine = engine_new(NULL, &observer);
	if (!r->engine)
		abort();
	registry_attach(r->registry, r->engine);
}

/* The capture is over: last judgements. */
static inline void
rig_finish(struct rig *r)
{
	registry_finishing(r->registry);
	engine_finish(r->engine);
	registry_finish(r->registry, r->engine);
}

static inline void
rig_close(struct rig *r)
{
	engine_free(&r->engine);
	registry_free(&r->registry);
}

/* Findings of this name (and kind, if given) that stand, at least this heavy. */
static inline unsigned
rig_found(const struct rig *r, enum finding_name name, const char *kind,
    enum severity least)
{
	unsigned n = 0;

	for (const struct finding *f = registry_findings(r->registry); f;
	    f = f->next)
		n += f->name == name && !f->retracted && f->severity >= least &&
		    (!kind || (f->kind && strcmp(f->kind, kind) == 0));
	return n;
}

static inline void
rig_wait(struct rig *r, int64_t ms)
{
	r->now = instant_plus(r->now, ms * NS_PER_MS);
}

static inline void
put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline void
put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v);
}

/* Ethernet and IPv4 around `bytes` of payload that lie at frame + 34. */
static inline void
rig_send(struct rig *r, uint8_t *frame, const uint8_t to[6],
    const uint8_t from[6], uint32_t src, uint32_t dst, uint8_t protocol,
    uint16_t id, uint8_t ttl, uint32_t bytes)
{
	uint32_t length = 34 + bytes;
	struct frame f;

	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	put16(frame + 12, 0x0800);
	memset(frame + 14, 0, 20);
	frame[14] = 0x45;
	put16(frame + 16, 20 + bytes);
	put16(frame + 18, id);
	put16(frame + 20, 0x4000);
	frame[22] = ttl;
	frame[23] = protocol;
	put32(frame + 26, src);
	put32(frame + 30, dst);
	put16(frame + 24, (uint16_t)~checksum_sum(frame + 14, 20, 0));
	f = (struct frame){ .time = r->now, .number = ++r->frames,
		.link_type = 1 /* DLT_EN10MB */, .captured_bytes = length,
		.wire_bytes = length, .data = frame };
	engine_frame(r->engine, &f);
}

/* The pseudo-header's sum, RFC 9293, 3.1. */
static inline uint16_t
rig_pseudo(uint32_t src, uint32_t dst, uint8_t protocol, uint32_t bytes)
{
	uint8_t h[12];

	put32(h, src);
	put32(h + 4, dst);
	put16(h + 8, protocol);
	put16(h + 10, bytes);
	return checksum_sum(h, sizeof(h), 0);
}

/* Write the checksum at `field` of `bytes` at `at`. */
static inline void
rig_sum(uint8_t *at, uint32_t bytes, uint32_t field, uint16_t pseudo,
    enum rig_sum how)
{
	uint16_t right;

	put16(at + field, 0);
	right = (uint16_t)~checksum_sum(at, bytes, pseudo);
	put16(at + field, how == SUM_RIGHT ? right : how == SUM_UNDONE ? pseudo :
	    right ^ 0x5a5aU);
}

static inline uint16_t
rig_id(struct rig_host *h, bool offloaded)
{
	if (offloaded) {
		h->offloaded_id = (h->offloaded_id + 1) & 0x7fff;
		return 0x8000 | h->offloaded_id;
	}
	h->id = (h->id + 1) & 0x7fff;
	return h->id ? h->id : ++h->id;
}

/* Say it, without any time passing. */
static inline void
say(struct talk *t, struct line l)
{
	static uint8_t frame[RIG_FRAME_BYTES];
	struct rig_host *me = t->host[l.from], *you = t->host[other_side(l.from)];
	uint32_t header = 20 + l.option_bytes, bytes = header + l.bytes;
	uint8_t *tcp = frame + 34;
	uint8_t flags = l.flags ? l.flags :
	    (uint8_t)(TCP_ACK | (l.bytes ? TCP_PSH : 0));

	put16(tcp, t->port[l.from]);
	put16(tcp + 2, t->port[other_side(l.from)]);
	put32(tcp + 4, l.at ? l.seq : t->next[l.from]);
	put32(tcp + 8, !(flags & TCP_ACK) ? 0 : l.acks ? l.ack :
	    t->next[other_side(l.from)]);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = flags;
	put16(tcp + 14, l.has_window ? l.window : t->window[l.from]);
	put32(tcp + 16, 0);
	memcpy(tcp + 20, l.options, l.option_bytes);
	memset(tcp + header, l.fill, l.bytes);
	if (l.payload)
		memcpy(tcp + header, l.payload, l.bytes);
	rig_sum(tcp, bytes, 16, rig_pseudo(me->ip, you->ip, IP_TCP, bytes), l.sum);
	if (!l.at)
		t->next[l.from] += l.bytes + ((flags & TCP_SYN) != 0) +
		    ((flags & TCP_FIN) != 0);
	rig_send(t->rig, frame, l.to_mac ? l.to_mac : you->mac,
	    l.from_mac ? l.from_mac : me->mac, me->ip, you->ip, IP_TCP,
	    l.id ? l.id : rig_id(me, l.offloaded), l.ttl ? l.ttl : me->ttl,
	    bytes);
}

static inline void
line_option(struct line *l, const void *option, unsigned n)
{
	memcpy(l->options + l->option_bytes, option, n);
	l->option_bytes += n;
	while (l->option_bytes % 4)
		l->options[l->option_bytes++] = 1;	/* no operation */
}

static inline void
line_stamp(struct line *l, uint32_t value, uint32_t echo)
{
	uint8_t option[10] = { 8, 10 };

	put32(option + 2, value);
	put32(option + 6, echo);
	line_option(l, option, sizeof(option));
}

static inline void
line_sack(struct line *l, uint32_t left, uint32_t right)
{
	uint8_t option[10] = { 5, 10 };

	put32(option + 2, left);
	put32(option + 6, right);
	line_option(l, option, sizeof(option));
}

static inline struct rig_host
rig_host(unsigned last)
{
	return (struct rig_host){ .ip = 0x0a141e00 | last, .ttl = 128,
		.mac = { 0, 0x14, 0x22, 0, 0, (uint8_t)last },
		.id = (uint16_t)(last * 7) };
}

enum { WITH_MSS = 1, WITH_SACK = 2, WITH_STAMPS = 4, WITH_SCALE = 8 };

static inline struct line
rig_syn(enum side from, unsigned with)
{
	static const uint8_t mss[] = { 2, 4, 5, 180 }, sack[] = { 4, 2 };
	static const uint8_t scale[] = { 3, 3, 7 };
	struct line l = { .from = from,
		.flags = from == CLIENT ? TCP_SYN : TCP_SYN | TCP_ACK };

	if (with & WITH_MSS)
		line_option(&l, mss, sizeof(mss));
	if (with & WITH_SACK)
		line_option(&l, sack, sizeof(sack));
	if (with & WITH_STAMPS)
		line_stamp(&l, from == CLIENT ? 1000 : 9000, 0);
	if (with & WITH_SCALE)
		line_option(&l, scale, sizeof(scale));
	return l;
}

/* A connection, its handshake seen; both sides offer `with`. */
static inline struct talk
rig_talk_to(struct rig *r, struct rig_host *client, struct rig_host *server,
    uint16_t client_port, uint16_t port, unsigned with)
{
	struct talk t = { .rig = r, .host = { client, server },
		.port = { client_port, port },
		.next = { client_port * 977u, client_port * 3571u },
		.window = { 65535, 65535 } };
	struct line done = { .from = CLIENT };

	if (with & WITH_STAMPS)
		line_stamp(&done, 1001, 9000);
	if (with & WITH_SCALE)
		t.window[CLIENT] = t.window[SERVER] = 512;
	say(&t, rig_syn(CLIENT, with));
	rig_wait(r, 1);
	say(&t, rig_syn(SERVER, with));
	rig_wait(r, 1);
	say(&t, done);
	return t;
}

static inline struct talk
rig_talk(struct rig *r, struct rig_host *client, struct rig_host *server,
    uint16_t client_port, unsigned with)
{
	return rig_talk_to(r, client, server, client_port, 445, with);
}

/* A question, its answer, and the acknowledgment, in a few milliseconds. */
static inline void
rig_turn(struct talk *t, uint32_t asks, uint32_t answers, bool offloaded)
{
	rig_wait(t->rig, 300);
	say(t, (struct line){ .from = CLIENT, .bytes = asks });
	rig_wait(t->rig, 3);
	say(t, (struct line){ .from = SERVER, .bytes = answers,
	    .offloaded = offloaded });
	rig_wait(t->rig, 1);
	say(t, (struct line){ .from = CLIENT });
}

#endif
