/* office_rig.h - a server and its clients on the wire rig: what most tests of
 * detectors begin with. Port 445, but nobody reads what is said: answers are due
 * by habit. */
#ifndef TESTS_OFFICE_RIG_H
#define TESTS_OFFICE_RIG_H

#include "tests/wire_rig.h"

enum { CLIENTS = 4 };

/* A server, four clients, and a connection of each that has been used. */
struct office {
	struct rig rig;
	struct rig_host server, client[CLIENTS];
	struct talk talk[CLIENTS];
};

static inline void
office_open(struct office *o, unsigned with)
{
	rig_open(&o->rig);
	o->server = rig_host(5);
	for (unsigned i = 0; i < CLIENTS; i++) {
		o->client[i] = rig_host(40 + i);
		o->talk[i] = rig_talk(&o->rig, &o->client[i], &o->server,
		    (uint16_t)(1100 + i), with);
	}
	for (unsigned i = 0; !(with & WITH_STAMPS) && i < 4 * CLIENTS; i++)
		rig_turn(&o->talk[i % CLIENTS], 80, 300, false);
}

/* The last of them has its turn, `ms` later. */
static inline void
office_goes_on(struct office *o, int64_t ms)
{
	rig_wait(&o->rig, ms);
	rig_turn(&o->talk[CLIENTS - 1], 80, 300, false);
}

/* So many turns, one a second. */
static inline void
office_goes_on_for(struct office *o, unsigned seconds)
{
	while (seconds--)
		office_goes_on(o, 700);
}

/* A question of a client's that is acknowledged, or (not `acked`) nothing. */
static inline void
office_ask(struct office *o, unsigned i, bool acked, bool offloaded)
{
	struct talk *t = &o->talk[i];

	say(t, (struct line){ .from = CLIENT, .bytes = 80 });
	if (!acked)
		return;
	rig_wait(&o->rig, 1);
	say(t, (struct line){ .from = SERVER, .offloaded = offloaded });
}

/* The client sends its last 80 bytes again, `times` times, each wait twice the
 * one before (KB 170359). */
static inline void
office_repeat(struct office *o, unsigned i, unsigned times, bool others_go_on)
{
	struct talk *t = &o->talk[i];
	int64_t wait = 300;

	for (; times--; wait *= 2) {
		rig_wait(&o->rig, others_go_on ? wait - wait / 2 : wait);
		say(t, (struct line){ .from = CLIENT, .bytes = 80, .at = true,
		    .seq = t->next[CLIENT] - 80 });
		if (others_go_on)
			office_goes_on(o, wait / 2);
	}
}

/* Client `i` asks for the server's MAC, which may answer. */
static inline void
office_arp(struct office *o, unsigned i, bool answered)
{
	struct rig_host *c = &o->client[i], *s = &o->server;

	for (int reply = 0; reply <= answered; reply++) {
		const struct rig_host *from = reply ? s : c;
		const struct rig_host *to = reply ? c : s;
		uint8_t f[60] = { 0 };
		struct frame frame = { .time = o->rig.now,
			.number = ++o->rig.frames, .link_type = 1,
			.captured_bytes = 60, .wire_bytes = 60, .data = f };

		memset(f, 0xff, 6);
		if (reply)
			memcpy(f, to->mac, 6);
		memcpy(f + 6, from->mac, 6);
		put16(f + 12, 0x0806);
		put32(f + 14, 0x00010800);
		put32(f + 18, 0x06040000 | (reply ? 2 : 1));
		memcpy(f + 22, from->mac, 6);
		put32(f + 28, from->ip);
		if (reply)
			memcpy(f + 32, to->mac, 6);
		put32(f + 38, to->ip);
		engine_frame(o->rig.engine, &frame);
		rig_wait(&o->rig, 1);
	}
}

/* A connection attempt of client `i` from this port; accepted or not. */
static inline void
office_knock(struct office *o, unsigned i, uint16_t port, bool accepted)
{
	struct talk t = { .rig = &o->rig,
		.host = { &o->client[i], &o->server }, .port = { port, 445 },
		.next = { port * 977u, port * 3571u },
		.window = { 65535, 65535 } };

	say(&t, rig_syn(CLIENT, WITH_MSS));
	rig_wait(&o->rig, 1);
	if (!accepted)
		return;
	say(&t, rig_syn(SERVER, WITH_MSS));
	rig_wait(&o->rig, 1);
	say(&t, (struct line){ .from = CLIENT });
}

enum close { NEVER_CLOSED, STILL_SENDS, CLOSED };

/* The client closes; the server, or not. */
static inline void
office_leave(struct office *o, struct talk *t, enum close how)
{
	say(t, (struct line){ .from = CLIENT, .flags = TCP_FIN | TCP_ACK });
	rig_wait(&o->rig, 1);
	say(t, (struct line){ .from = SERVER });
	rig_wait(&o->rig, 1);
	if (how == CLOSED) {
		say(t, (struct line){ .from = SERVER,
		    .flags = TCP_FIN | TCP_ACK });
		rig_wait(&o->rig, 1);
		say(t, (struct line){ .from = CLIENT });
	}
	if (how == STILL_SENDS) {
		say(t, (struct line){ .from = SERVER, .bytes = 600 });
		rig_wait(&o->rig, 1);
		say(t, (struct line){ .from = CLIENT });
	}
}

enum after { STAYS_SILENT, GOES_ON, COMES_BACK_NEW };

/* All clients ask for `seconds` and get nothing; then it goes on, or not. */
static inline void
office_falls_silent(struct office *o, unsigned seconds, enum after after)
{
	uint32_t at[CLIENTS];

	for (unsigned i = 0; i < CLIENTS; i++)
		office_arp(o, i, true);
	rig_wait(&o->rig, 2000);
	for (unsigned i = 0; i < CLIENTS; i++) {
		at[i] = o->talk[i].next[CLIENT];
		office_ask(o, i, false, false);
	}
	for (unsigned s = 0; s < seconds; s++) {
		rig_wait(&o->rig, 1000);
		for (unsigned i = 0; i < CLIENTS; i++)
			say(&o->talk[i], (struct line){ .from = CLIENT,
			    .bytes = 80, .at = true, .seq = at[i] });
		office_arp(o, s % CLIENTS, false);
	}
	rig_wait(&o->rig, 500);
	for (unsigned i = 0; i < CLIENTS && after != STAYS_SILENT; i++) {
		say(&o->talk[i], (struct line){ .from = SERVER, .flags =
		    after == COMES_BACK_NEW ? TCP_RST : 0,
		    .bytes = after == GOES_ON ? 300 : 0 });
		rig_wait(&o->rig, 5);
		if (after == GOES_ON)
			say(&o->talk[i], (struct line){ .from = CLIENT });
	}
	for (unsigned i = 0; i < CLIENTS && after == COMES_BACK_NEW; i++)
		office_knock(o, i, (uint16_t)(3000 + i), true);
	for (unsigned i = 0; i < 15 && after == GOES_ON; i++)
		office_goes_on(o, 700);
	rig_wait(&o->rig, 3000);
	office_arp(o, 0, after != STAYS_SILENT);
}

/* For `seconds` the card acknowledges; the host answers ARP or not, and no SYN. */
static inline void
office_card_alone(struct office *o, unsigned seconds, bool arp_answered)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		office_arp(o, i, true);
	for (unsigned s = 0; s < seconds; s++) {
		rig_wait(&o->rig, 1000);
		office_ask(o, s % CLIENTS, true, true);
		if (s % 3 == 0)
			office_arp(o, s % CLIENTS, arp_answered);
		if (s % 4 == 0)
			office_knock(o, s % CLIENTS, (uint16_t)(5000 + s),
			    false);
	}
}

/* The capture ends: how many of these were found, at least so heavy? */
static inline unsigned
found_at_end(struct office *o, enum finding_name name, const char *kind,
    enum severity least)
{
	unsigned n;

	rig_finish(&o->rig);
	n = rig_found(&o->rig, name, kind, least);
	rig_close(&o->rig);
	return n;
}

#endif
