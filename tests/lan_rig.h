/* lan_rig.h - frames made by hand, through the engine and all detectors: for
 * tests of detectors whose subject is more than one flow. Hosts are 10.0.0.N,
 * numbered by N; checksums are right, and everything is acknowledged. */
#ifndef TESTS_LAN_RIG_H
#define TESTS_LAN_RIG_H

#include <stdlib.h>
#include <string.h>

#include "capture/engine.h"
#include "detectors/registry.h"

enum { LAN_FRAME_MAX = 1600, LAN_ETHERNET = 1, LAN_MTU_PAYLOAD = 1400 };

struct lan {
	struct config config;
	struct registry *registry;
	struct engine *engine;
	struct instant now;
	uint64_t frame;
	uint16_t ip_id[256];
	bool finished;
	/* not 0: hosts from `beyond` on are behind the host `gateway`, but for
	 * `outer`, which is its other side and sees them as they are */
	unsigned beyond, gateway, outer;
};

/* A TCP connection between two of the hosts. */
struct lan_tcp {
	unsigned host[2];		/* by enum side */
	uint16_t port[2];
	uint32_t next[2];		/* sequence numbers */
};

static inline void
lan_begin(struct lan *w)
{
	struct engine_config config = { .flow_limit = 4096, .awake_flows = 1,
		.host_limit = 512 };
	struct engine_observer observer = { 0 };

	memset(w, 0, sizeof(*w));
	config_default(&w->config);
	w->registry = registry_new(&w->config);
	if (!w->registry)
		abort();
	registry_observe(w->registry, &observer);
	w->engine = engine_new(&config, &observer);
	if (!w->engine)
		abort();
	registry_attach(w->registry, w->engine);
	w->now.ns = INT64_C(1200000000) * NS_PER_S;
}

/* The capture is over: the last judgements. */
static inline void
lan_finish(struct lan *w)
{
	if (w->finished)
		return;
	w->finished = true;
	registry_finishing(w->registry);
	engine_finish(w->engine);
	registry_finish(w->registry, w->engine);
}

static inline void
lan_end(struct lan *w)
{
	lan_finish(w);
	engine_free(&w->engine);
	registry_free(&w->registry);
}

static inline void
lan_wait(struct lan *w, double seconds)
{
	w->now.ns += (int64_t)(seconds * 1e9);
}

static inline void
lan_put(uint8_t *at, uint32_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static inline uint32_t
lan_add(uint32_t sum, const uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
	return sum;
}

static inline uint16_t
lan_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline uint32_t
lan_address(unsigned host)
{
	return host == 0xffffffff ? host : host ? 0x0a000000 | host : 0;
}

/* Who puts the host's packets on this wire, or takes them from it. */
static inline unsigned
lan_port(const struct lan *w, unsigned host, unsigned other)
{
	return w->beyond && host >= w->beyond && host < 256 && other != w->outer ?
	    w->gateway : host;
}

/* One IPv4 packet in an Ethernet frame. `host` 0 is 0.0.0.0, 0xffffffff the
 * broadcast address. `sum_at`: where its checksum goes, 0: none. */
static inline void
lan_ip(struct lan *w, unsigned from, unsigned to, uint8_t protocol,
    const uint8_t *inner, size_t n, size_t sum_at)
{
	uint8_t f[LAN_FRAME_MAX] = { 0 }, *ip = f + 14, *body = ip + 20;
	struct frame frame = { .link_type = LAN_ETHERNET, .data = f };
	uint32_t sum;

	if (n > LAN_FRAME_MAX - 34)
		abort();
	f[0] = to == 0xffffffff ? 0xff : 2;
	memset(f + 1, f[0] == 0xff ? 0xff : 0, 5);
	if (f[0] != 0xff)
		f[5] = (uint8_t)lan_port(w, to, from);
	f[6] = 2;
	f[11] = (uint8_t)lan_port(w, from, to);
	f[12] = 8;
	lan_put(ip, 0x45000000 | (uint32_t)(20 + n), 4);
	lan_put(ip + 4, (uint32_t)(++w->ip_id[from & 255]) << 16 | 0x4000, 4);
	lan_put(ip + 8, (lan_port(w, from, to) == from ? 0x80000000 : 0x7f000000) |
	    (uint32_t)protocol << 16, 4);
	lan_put(ip + 12, lan_address(from), 4);
	lan_put(ip + 16, lan_address(to), 4);
	lan_put(ip + 10, lan_fold(lan_add(0, ip, 20)), 2);
	memcpy(body, inner, n);
	if (sum_at) {
		sum = lan_add(protocol + (uint32_t)n, ip + 12, 8);
		lan_put(body + sum_at, lan_fold(lan_add(sum, body, n)), 2);
	}
	w->now.ns += NS_PER_MS;
	frame.time = w->now;
	frame.number = ++w->frame;
	frame.captured_bytes = frame.wire_bytes = (uint32_t)(34 + n);
	engine_frame(w->engine, &frame);
}

static inline void
lan_udp(struct lan *w, unsigned from, uint16_t sport, unsigned to,
    uint16_t dport, const void *payload, size_t n)
{
	uint8_t u[LAN_FRAME_MAX] = { 0 };

	lan_put(u, (uint32_t)sport << 16 | dport, 4);
	lan_put(u + 4, (uint32_t)(8 + n) << 16, 4);
	memcpy(u + 8, payload, n);
	lan_ip(w, from, to, IP_UDP, u, 8 + n, 6);
}

static inline void
lan_segment(struct lan *w, struct lan_tcp *c, enum side side, uint8_t flags,
    const void *payload, size_t n)
{
	uint8_t t[LAN_FRAME_MAX] = { 0 };
	enum side other = other_side(side);

	lan_put(t, (uint32_t)c->port[side] << 16 | c->port[other], 4);
	lan_put(t + 4, c->next[side], 4);
	lan_put(t + 8, flags & TCP_ACK ? c->next[other] : 0, 4);
	lan_put(t + 12, 0x50000000 | (uint32_t)flags << 16 | 0xffff, 4);
	if (n)
		memcpy(t + 20, payload, n);
	lan_ip(w, c->host[side], c->host[other], IP_TCP, t, 20 + n, 16);
	c->next[side] += (uint32_t)n + !!(flags & (TCP_SYN | TCP_FIN));
}

/* A SYN alone; sent again by the same call with `again`. */
static inline void
lan_syn(struct lan *w, struct lan_tcp *c, bool again)
{
	if (again)
		c->next[CLIENT]--;
	lan_segment(w, c, CLIENT, TCP_SYN, NULL, 0);
}

static inline struct lan_tcp
lan_peer(unsigned client, uint16_t client_port, unsigned server, uint16_t port)
{
	return (struct lan_tcp){ { client, server }, { client_port, port },
		{ 1000u * client_port, 77000u * client_port } };
}

static inline struct lan_tcp
lan_connect(struct lan *w, unsigned client, uint16_t client_port,
    unsigned server, uint16_t port)
{
	struct lan_tcp c = lan_peer(client, client_port, server, port);

	lan_syn(w, &c, false);
	lan_segment(w, &c, SERVER, TCP_SYN | TCP_ACK, NULL, 0);
	lan_segment(w, &c, CLIENT, TCP_ACK, NULL, 0);
	return c;
}

/* `side` says it, and the other side acknowledges. */
static inline void
lan_say(struct lan *w, struct lan_tcp *c, enum side side, const void *bytes,
    size_t n)
{
	lan_segment(w, c, side, TCP_ACK | TCP_PSH, bytes, n);
	lan_segment(w, c, other_side(side), TCP_ACK, NULL, 0);
}

static inline void
lan_text(struct lan *w, struct lan_tcp *c, enum side side, const char *text)
{
	lan_say(w, c, side, text, strlen(text));
}

static inline void
lan_close(struct lan *w, struct lan_tcp *c)
{
	lan_segment(w, c, CLIENT, TCP_FIN | TCP_ACK, NULL, 0);
	lan_segment(w, c, SERVER, TCP_FIN | TCP_ACK, NULL, 0);
	lan_segment(w, c, CLIENT, TCP_ACK, NULL, 0);
}

/* What was found under this name (not retracted), the n-th of them, or NULL. */
static inline const struct finding *
lan_found(const struct lan *w, enum finding_name name, size_t n)
{
	for (const struct finding *x = registry_findings(w->registry); x;
	    x = x->next)
		if (x->name == name && !x->retracted && !n--)
			return x;
	return NULL;
}

#endif
