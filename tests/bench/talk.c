/* talk.c - conversations on one wire. A heap of cues says whose turn it is, so
 * that a million of them cost no more than a logarithm a packet. */
#include "tests/bench/talk.h"

#include <stdlib.h>
#include <string.h>

struct cue {
	uint64_t at_ns;
	uint32_t talk;
};

/* Windows Server 2003: MSS 1460, SACK, no scaling, no timestamps. */
static const uint8_t syn_options[8] = { 2, 4, MSS >> 8, MSS & 255, 1, 1, 4, 2 };

enum { SEGMENT_GAP_US = 12, RTT_LOW_US = 180, RTT_HIGH_US = 900 };

void
stage_open(struct stage *s, struct wire *w, size_t talks, unsigned servers)
{
	*s = (struct stage){ .wire = w, .talks_max = talks };
	s->talk = calloc(talks, sizeof(*s->talk));
	s->cue = calloc(talks + 1, sizeof(*s->cue));
	s->server = calloc(servers, sizeof(*s->server));
	if (!s->talk || !s->cue || !s->server)
		give_up("out of memory");
	for (unsigned i = 0; i < servers; i++)
		s->server[i] = (struct server){ 0xc0a8140a + i,
		    (uint16_t)(i * 977), (uint16_t)(0x8000 + i * 1231) };
}

void
stage_close(struct stage *s)
{
	free(s->talk);
	free(s->cue);
	free(s->server);
}

/* --- whose turn it is ---------------------------------------------------------- */

static void
cue_push(struct stage *s, uint64_t at_ns, uint32_t talk)
{
	size_t i = ++s->cues;

	for (; i > 1 && at_ns < s->cue[i / 2].at_ns; i /= 2)
		s->cue[i] = s->cue[i / 2];
	s->cue[i] = (struct cue){ at_ns, talk };
}

static uint32_t
cue_pop(struct stage *s)
{
	struct cue first = s->cue[1], last = s->cue[s->cues--];
	size_t i = 1;

	for (size_t child; (child = 2 * i) <= s->cues; i = child) {
		if (child < s->cues && s->cue[child + 1].at_ns < s->cue[child].at_ns)
			child++;
		if (last.at_ns <= s->cue[child].at_ns)
			break;
		s->cue[i] = s->cue[child];
	}
	s->cue[i] = last;
	return first.talk;
}

struct talk *
stage_add(struct stage *s, const struct script *script, uint64_t at_ns,
    uint32_t client, uint16_t cport, uint16_t server)
{
	struct talk *t = &s->talk[s->talks];
	uint64_t seed = (s->talks + 1) * UINT64_C(0x9e3779b97f4a7c15);

	if (s->talks == s->talks_max)
		give_up("more talks than the stage has room for");
	*t = (struct talk){ .at_ns = BENCH_EPOCH_NS + at_ns, .rng = { seed | 1 },
		.script = script, .client = client, .server = server,
		.cport = cport };
	for (int i = 0; i < 4; i++)
		rng_next(&t->rng);
	t->seq[FROM_CLIENT] = (uint32_t)rng_next(&t->rng);
	t->seq[FROM_SERVER] = (uint32_t)rng_next(&t->rng);
	t->client_id = (uint16_t)(rng_next(&t->rng) & 0x7fff);
	cue_push(s, t->at_ns, (uint32_t)s->talks++);
	return t;
}

/* --- packets --------------------------------------------------------------------- */

static void
put_macs(struct wire_packet *p, const struct talk *t, enum who who)
{
	uint8_t server[6] = { 0x00, 0x10, 0x18, 0x20, 0x00, (uint8_t)t->server };
	uint8_t router[6] = { 0x00, 0x1a, 0xa0, 0x10, 0x00, 0x01 };

	memcpy(p->src_mac, who == FROM_SERVER ? server : router, 6);
	memcpy(p->dst_mac, who == FROM_SERVER ? router : server, 6);
}

static uint16_t
next_ip_id(struct stage *s, struct talk *t, enum who who)
{
	struct server *v = &s->server[t->server];

	if (who == FROM_CLIENT)
		return t->client_id++;
	if (t->offloaded) {
		v->id_high = (uint16_t)((v->id_high + 1) | 0x8000);
		return v->id_high;
	}
	v->id_low = (uint16_t)((v->id_low + 1) & 0x7fff);
	return v->id_low;
}

void
talk_packet(struct stage *s, struct talk *t, enum who who, struct wire_packet *p)
{
	const struct server *v = &s->server[t->server];
	bool out = who == FROM_CLIENT;

	*p = (struct wire_packet){ .at_ns = t->at_ns,
		.src = out ? t->client : v->addr, .dst = out ? v->addr : t->client,
		.sport = out ? t->cport : t->script->port,
		.dport = out ? t->script->port : t->cport,
		.ip_id = next_ip_id(s, t, who), .ttl = out ? 127 : 128,
		.window = 65535 };
	put_macs(p, t, who);
}

void
talk_segment(struct stage *s, struct talk *t, struct wire_packet *p, enum who who,
    uint8_t flags, size_t bytes)
{
	p->flags = flags;
	p->seq = t->seq[who];
	if (flags & W_ACK)
		p->ack = t->seq[!who];
	wire_put(s->wire, p, bytes);
	t->seq[who] += (uint32_t)bytes + (flags & W_SYN ? 1 : 0) +
	    (flags & W_FIN ? 1 : 0);
}

static uint64_t
wait_ns(struct talk *t, uint32_t low_us, uint32_t high_us)
{
	return rng_between(&t->rng, low_us, high_us) * US_NS;
}

/* --- a script line by line ----------------------------------------------------- */

/* On to the next line, or back, or 0 at the end. */
static uint64_t
next_line(struct talk *t)
{
	const struct script *s = t->script;
	const struct line *l;

	if (t->at_line == s->again_to && t->rounds < s->again) {
		t->at_line = s->again_from;
		t->rounds++;
	} else {
		t->at_line++;
	}
	t->begun = false;
	t->unacked = 0;
	if (t->at_line >= s->lines)
		return 0;
	l = &s->line[t->at_line];
	return t->at_ns + 1 + wait_ns(t, l->wait_low_us, l->wait_high_us);
}

static uint64_t
say_bare(struct stage *s, struct talk *t, const struct line *l)
{
	struct wire_packet p;
	uint8_t flags = W_ACK;

	talk_packet(s, t, l->who, &p);
	if (l->what == SAYS_SYN) {
		p.options = syn_options;
		p.option_bytes = sizeof(syn_options);
		flags = l->who == FROM_CLIENT ? W_SYN : W_SYN | W_ACK;
	} else if (l->what == SAYS_FIN) {
		flags = W_FIN | W_ACK;
	}
	talk_segment(s, t, &p, l->who, flags, 0);
	return next_line(t);
}

/* The listener's acknowledgment: of all, or of what a full pipe has let
 * through. */
static uint64_t
say_ack(struct stage *s, struct talk *t, const struct line *l)
{
	enum who who = l->who == FROM_CLIENT ? FROM_SERVER : FROM_CLIENT;
	uint32_t under_way = (uint32_t)l->flight * MSS;
	uint32_t sent = t->seq[l->who];
	struct wire_packet p;

	t->owes_ack = false;
	t->unacked = 0;
	talk_packet(s, t, who, &p);
	if (t->sent < t->size)
		t->seq[l->who] -= under_way < t->sent ? under_way : t->sent;
	talk_segment(s, t, &p, who, W_ACK, 0);
	t->seq[l->who] = sent;
	if (t->sent < t->size)
		return t->at_ns + SEGMENT_GAP_US * US_NS;
	return next_line(t);
}

static uint64_t
after_segment(struct talk *t, const struct line *l)
{
	bool whole = t->sent == t->size;

	if (whole && !l->acked)
		return next_line(t);
	if (whole || (t->unacked >= 2 && t->sent > (uint32_t)l->flight * MSS)) {
		t->owes_ack = true;
		if (whole && t->unacked < 2)	/* delayed: RFC 1122, 4.2.3.2 */
			return t->at_ns + wait_ns(t, 20000, 200000);
		return t->at_ns + (l->flight ? SEGMENT_GAP_US * US_NS :
		    wait_ns(t, RTT_LOW_US, RTT_HIGH_US));
	}
	return t->at_ns + SEGMENT_GAP_US * US_NS;
}

static uint64_t
play_line(struct stage *s, struct talk *t)
{
	const struct line *l = &t->script->line[t->at_line];
	struct wire_packet p;
	uint32_t bytes;

	if (l->what <= SAYS_FIN)
		return say_bare(s, t, l);
	if (t->owes_ack)
		return say_ack(s, t, l);
	if (!t->begun) {
		t->begun = true;
		t->sent = 0;
		t->size = words_size(l->what,
		    rng_between(&t->rng, l->bytes_low, l->bytes_high));
		t->call += l->what == SAYS_REQUEST ||
		    l->what == SAYS_BIND || l->what == SAYS_SMB_READ;
	}
	bytes = t->size - t->sent < MSS ? t->size - t->sent : MSS;
	talk_packet(s, t, l->who, &p);
	words_fill(t, l->what, wire_payload(s->wire, &p), t->sent, bytes);
	t->sent += bytes;
	t->unacked++;
	talk_segment(s, t, &p, l->who, t->sent == t->size ? W_ACK | W_PSH : W_ACK,
	    bytes);
	return after_segment(t, l);
}

void
stage_play(struct stage *s)
{
	while (s->cues) {
		uint32_t i = cue_pop(s);
		struct talk *t = &s->talk[i];
		uint64_t next;

		if (s->end_ns && t->at_ns > BENCH_EPOCH_NS + s->end_ns)
			continue;
		next = t->script->step ? t->script->step(s, t) : play_line(s, t);
		t->at_ns = next;
		if (next)
			cue_push(s, next, i);
	}
}
