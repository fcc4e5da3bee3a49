/* checksum_udp.c - wrong checksums on datagrams.
 *
 * Nothing acknowledges a datagram, so the receiver's word is read from what it
 * does next: a question that is repeated after its answer went by means that
 * the answer was thrown away; an answer to a question means that the question
 * was taken. The hard part is to know a repeated question from the next one.
 * DHCP and DNS number theirs (RFC 2131, 2; RFC 1035, 4.1.1), so do NetBIOS
 * names and ONC RPC; of other datagrams only answered questions are counted. */
#include "detectors/checksum_internal.h"

#include <stdlib.h>
#include <string.h>

#include "detectors/memo.h"
#include "detectors/registry.h"
#include "detectors/subject.h"

enum { TALKS_MAX = 2048, SOURCES_MAX = 512, ASKED_SLOTS = 4096,
    SOURCE_FRAMES = 12 };

/* A resolver asks again after 1 to 5 s, a DHCP client after 4 s (RFC 2131,
 * 4.1): silence for longer says that the answer was taken. */
#define CONTENT_AFTER_NS (10 * NS_PER_S)
#define REPEAT_AFTER_NS (200 * NS_PER_MS)

/* What a datagram is in the conversation it belongs to. */
struct role {
	uint64_t key;		/* of the conversation */
	bool question;
	bool numbered;		/* `id` tells repeated questions */
	bool dhcp;
	uint32_t id;		/* DHCP: the message type */
	struct address dhcp_server;	/* option 54, or unspecified */
};

struct talk {			/* a bad datagram that waits for a reaction */
	struct instant at;
	uint64_t source;	/* whose it was: key in sources */
	uint32_t id;
	uint8_t kind;
	bool pending, question;
	bool silence_tells;	/* nothing more is due if it was taken */
	bool repeated;		/* the question: it may be given up now */
};

struct source {
	struct address address;
	struct address peer;
	uint16_t port;
	struct sum_tally tally[SUM_KINDS];
	uint32_t good;
	struct instant first, last;
	unsigned frame_count;
	uint64_t frame[SOURCE_FRAMES];	/* the first ones and the last */
	bool news;			/* it is to be judged again */
};

struct udp_sums {
	struct memo *talks, *sources;
	uint64_t asked[ASKED_SLOTS];	/* conversations with a question */
	bool dirty;			/* a source has news */
	struct instant content_at;	/* the first of talks whose silence
					 * tells; 0: there is none */
};

static uint64_t
mix(uint64_t h, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ at[i]) * UINT64_C(1099511628211);
	return h;
}

static uint64_t
mix_end(uint64_t h, const struct address *a, uint16_t port)
{
	return subject_number(subject_address(h, a), port);
}

/* RFC 2132: options 53 (message type) and 54 (server identifier). */
static void
read_dhcp_options(struct bytes b, struct role *r)
{
	while (!bytes_ran_out(b) && b.left) {
		uint8_t code = bytes_u8(&b), n;
		struct bytes value;

		if (code == 0)
			continue;
		if (code == 255)
			return;
		n = bytes_u8(&b);
		value = bytes_sub(&b, n);
		if (code == 53)
			r->id = bytes_u8(&value);
		else if (code == 54 && n == 4)
			r->dhcp_server = address_from_v4(bytes_be32(&value));
	}
}

/* RFC 2131, 2: op, xid at 4, chaddr at 28, options behind the cookie at 236. */
static bool
read_dhcp(const struct packet *p, struct role *r)
{
	struct bytes b = p->payload;
	const uint8_t *xid, *chaddr;
	uint8_t op = bytes_u8(&b);

	bytes_skip(&b, 3);
	xid = bytes_take(&b, 4);
	bytes_skip(&b, 20);
	chaddr = bytes_take(&b, 6);
	bytes_skip(&b, 202);
	if (bytes_be32(&b) != 0x63825363 || bytes_ran_out(b) ||
	    (op != 1 && op != 2))
		return false;
	r->key = mix(mix(UINT64_C(0xd4c9), xid, 4), chaddr, 6) | 1;
	r->question = op == 1;
	r->numbered = r->dhcp = true;
	read_dhcp_options(b, r);
	return r->id != 0;
}

enum { PORT_DNS = 53, PORT_DHCP = 67, PORT_DHCP_CLIENT = 68, PORT_SUNRPC = 111,
    PORT_NETBIOS_NAMES = 137, PORT_NFS = 2049 };

/* Bytes of the number that a question and its answer share; 0: none known. */
static unsigned
id_bytes(uint16_t port)
{
	switch (port) {
	case PORT_DNS:
	case PORT_NETBIOS_NAMES: return 2;
	case PORT_SUNRPC:
	case PORT_NFS: return 4;
	}
	return 0;
}

static struct role
role_of(const struct packet *p)
{
	struct role r = { .question = p->sport > p->dport };
	struct bytes b = p->payload;
	unsigned n = id_bytes(p->dport) ? id_bytes(p->dport) :
	    id_bytes(p->sport);

	if ((p->sport == PORT_DHCP || p->sport == PORT_DHCP_CLIENT) &&
	    (p->dport == PORT_DHCP || p->dport == PORT_DHCP_CLIENT) &&
	    read_dhcp(p, &r))
		return r;
	if (n && p->sport != p->dport) {
		r.question = id_bytes(p->dport) != 0;
		r.id = n == 2 ? bytes_be16(&b) : bytes_be32(&b);
		r.numbered = !bytes_ran_out(b);
	}
	r.key = r.question ?
	    mix_end(mix_end(1, &p->src, p->sport), &p->dst, p->dport) :
	    mix_end(mix_end(1, &p->dst, p->dport), &p->src, p->sport);
	r.key = subject_number(r.key, r.id);
	return r;
}

static uint64_t *
asked_slot(struct udp_sums *u, uint64_t key)
{
	return &u->asked[(key >> 40) % ASKED_SLOTS];
}

static struct source *
source_of(struct udp_sums *u, uint64_t key, const struct packet *p)
{
	struct source *s = memo_make(u->sources, key);

	s->address = p->src;
	s->port = p->sport;
	s->peer = p->dst;
	return s;
}

/* The receiver's word on a bad datagram. */
static void
count_word(struct udp_sums *u, const struct talk *t, bool taken)
{
	struct source *s = memo_find(u->sources, t->source);

	u->dirty = true;
	if (!s)
		return;
	s->news = true;
	if (taken)
		s->tally[t->kind].accepted++;
	else
		s->tally[t->kind].discarded++;
}

enum { DHCP_OFFER = 2, DHCP_REQUEST = 3 };	/* RFC 2132, 9.6 */

/* The client went on to ask for what a DHCP OFFER offered. */
static bool
dhcp_went_on(const struct role *r, const struct talk *t)
{
	return t->id == DHCP_OFFER && r->id == DHCP_REQUEST;
}

/* What `p` says about the bad datagram that waits in its conversation. */
static void
react(struct udp_sums *u, struct talk *t, const struct packet *p,
    const struct role *r)
{
	const struct source *s = memo_find(u->sources, t->source);

	if (r->question == t->question) {
		t->pending = sum_kind_of(p) != SUM_GOOD && t->pending;
		return;			/* a good one: it may be what is answered */
	}
	if (t->question) {
		count_word(u, t, true);
	} else if (r->dhcp && dhcp_went_on(r, t)) {
		if (address_is_unspecified(&r->dhcp_server) || (s &&
		    address_compare(&s->address, &r->dhcp_server) == 0))
			count_word(u, t, true);
	} else if (instant_since(p->time, t->at) >= REPEAT_AFTER_NS) {
		count_word(u, t, false);
		t->repeated = true;
	} else {
		return;
	}
	t->pending = false;
}

static void
expect_silence(struct udp_sums *u, struct instant since)
{
	struct instant t = instant_plus(since, CONTENT_AFTER_NS);

	if (!instant_is_set(u->content_at) ||
	    instant_before(t, u->content_at))
		u->content_at = t;
}

static void
take_bad(struct udp_sums *u, const struct packet *p, const struct role *r,
    enum sum_kind kind)
{
	uint64_t key = mix_end(2, &p->src, p->sport);
	struct source *s = source_of(u, key, p);
	struct talk *t;

	if (!s->tally[SUM_PARTIAL].bad && !s->tally[SUM_ZERO].bad &&
	    !s->tally[SUM_OTHER].bad)
		s->first = p->time;
	s->last = p->time;
	s->tally[kind].bad++;
	s->news = u->dirty = true;
	if (s->frame_count < SOURCE_FRAMES)
		s->frame[s->frame_count++] = p->frame;
	else
		s->frame[SOURCE_FRAMES - 1] = p->frame;
	if (!r->question && (!r->numbered || *asked_slot(u, r->key) != r->key))
		return;			/* no question was seen: no one to repeat */
	t = memo_make(u->talks, r->key);
	*t = (struct talk){ .at = p->time, .source = key, .id = r->id,
		.kind = (uint8_t)kind, .pending = true,
		.question = r->question, .repeated = t->repeated,
		.silence_tells = !r->dhcp || r->id != DHCP_OFFER };
	expect_silence(u, p->time);
}

static void
count_good(struct udp_sums *u, const struct packet *p)
{
	struct source *s = memo_find(u->sources,
	    mix_end(2, &p->src, p->sport));

	if (!s || p->checksum != CHECKSUM_GOOD)
		return;
	s->good++;
	s->news = true;
}

void
udp_sums_packet(struct udp_sums *u, const struct packet *p)
{
	enum sum_kind kind;
	struct role r;
	struct talk *t;

	if (p->protocol != IP_UDP || !p->has_transport || p->is_fragment)
		return;
	kind = sum_kind_of(p);
	if (kind == SUM_GOOD && !memo_count(u->sources) && !id_bytes(p->dport) &&
	    p->dport != PORT_DHCP)
		return;
	r = role_of(p);
	t = memo_find(u->talks, r.key);
	if (t && t->pending)
		react(u, t, p, &r);
	if (kind != SUM_GOOD)
		take_bad(u, p, &r, kind);
	else
		count_good(u, p);
	if (r.numbered && r.question)
		*asked_slot(u, r.key) = r.key;
}

/* Answers that nobody asked for again were taken; but not those to the last of
 * several questions, nor an OFFER, which is to be followed up. */
static void
settle_silence(struct udp_sums *u, struct instant now)
{
	size_t cursor = 0;
	struct talk *t;

	u->content_at.ns = 0;
	while ((t = memo_each(u->talks, &cursor, NULL))) {
		if (!t->pending || t->question || t->repeated ||
		    !t->silence_tells)
			continue;
		if (instant_since(now, t->at) < CONTENT_AFTER_NS) {
			expect_silence(u, t->at);
			continue;
		}
		t->pending = false;
		count_word(u, t, true);
	}
}

static void
fill(struct finding *fd, const struct source *s, uint32_t count)
{
	for (unsigned i = 0; i < s->frame_count; i++)
		finding_frame(fd, s->frame[i]);
	finding_time(fd, s->first);
	finding_time(fd, s->last);
	fd->count = count;
	fd->retracted = false;
	fd->protocol = IP_UDP;
}

/* False, here and below: it is not on record (yet). */
static bool
raise_refused(struct judge *j, const struct source *s, enum sum_kind kind)
{
	struct server *v = registry_server(j->registry, &s->address, true);
	const struct sum_tally *t = &s->tally[kind];
	struct finding *fd;
	char who[ADDRESS_TEXT_BYTES];

	if (!v)
		return false;
	fd = finding_raise(j, &detector_checksum_discarded, NULL, v, NULL,
	    s->port);
	fill(fd, s, t->discarded);
	fd->side = FAULT_SERVER;
	fd->severity = t->discarded >= j->limit->checksum_min ? SEVERITY_HIGH :
	    SEVERITY_LOW;
	fd->confidence = 0.9;
	finding_metric(fd, "bad_datagrams", t->bad);
	finding_metric(fd, "refused_datagrams", t->discarded);
	finding_metric(fd, "good_datagrams", s->good);
	finding_say(fd, "%s sent %u datagrams from UDP port %u with a wrong "
	    "checksum (%s); after %u of them the receiver asked again as if "
	    "none had come", address_text(&s->address, who), t->bad, s->port,
	    kind == SUM_PARTIAL ? "the bare pseudo-header sum" : "not even the "
	    "pseudo-header sum", t->discarded);
	return !fd->scrap;
}

static bool
raise_other(struct judge *j, const struct detector *d, struct server *v,
    const struct source *s, enum sum_kind kind)
{
	bool artifact = d == &detector_checksum_artifact;
	struct finding *fd;
	char who[ADDRESS_TEXT_BYTES];

	if (!v && finding_lookup(j, d, sum_kind_name(kind), NULL, NULL, 0))
		return true;		/* it is said already, of another */
	fd = finding_raise(j, d, sum_kind_name(kind), v, NULL, v ? s->port : 0);
	fill(fd, s, artifact ? s->tally[kind].accepted : s->tally[kind].bad);
	fd->side = artifact ? FAULT_CAPTURE : FAULT_UNKNOWN;
	fd->severity = artifact ? SEVERITY_INFO : SEVERITY_LOW;
	fd->confidence = artifact ? 0.9 : 0.5;
	finding_say(fd, "%u datagrams of %s (UDP port %u) carry a wrong "
	    "checksum%s", (unsigned)fd->count,
	    address_text(&s->address, who), s->port, artifact ?
	    " here and were answered all the same" :
	    ", and nothing here shows whether the receivers took them");
	return !fd->scrap;
}

static void
take_back(struct judge *j, const struct detector *d, const char *kind,
    struct server *v, const struct source *s)
{
	struct finding *fd = v ? finding_lookup(j, d, kind, v, NULL, s->port) :
	    NULL;

	if (fd)
		finding_retract(fd);
}

/* False: more may be to say of it though no datagram of its comes: once its
 * segments show something else, or the capture is sound again. */
static bool
judge_source(struct judge *j, struct checksum *c, const struct source *s,
    enum sum_kind kind)
{
	const struct sum_tally *t = &s->tally[kind];
	enum sum_verdict verdict = sum_judge(t, kind, s->good > 0);
	struct server *v = registry_server(j->registry, &s->address, false);

	if (verdict != SUM_DISCARDED)
		take_back(j, &detector_checksum_discarded, NULL, v, s);
	if (verdict != SUM_ARTIFACT)
		take_back(j, &detector_checksum_artifact, sum_kind_name(kind), v,
		    s);
	if (verdict == SUM_UNRESOLVED && !j->finishing)
		return true;
	if (checksum_is_artifact(c, &s->address, kind))
		return false;
	if (verdict == SUM_DISCARDED)
		return raise_refused(j, s, kind);
	return raise_other(j, verdict == SUM_ARTIFACT ?
	    &detector_checksum_artifact : &detector_checksum_unresolved, v, s,
	    kind);
}

static bool
judge_kinds(struct judge *j, struct checksum *c, const struct source *s)
{
	bool done = true;

	for (unsigned k = SUM_PARTIAL; k < SUM_KINDS; k++)
		if (s->tally[k].bad)
			done &= judge_source(j, c, s, k);
	return done;
}

void
udp_sums_review(struct udp_sums *u, struct judge *j, struct checksum *c)
{
	size_t cursor = 0;
	struct source *s;

	if (instant_is_set(u->content_at) &&
	    !instant_before(j->now, u->content_at))
		settle_silence(u, j->now);
	if (!u->dirty && !j->finishing)
		return;
	u->dirty = false;
	while ((s = memo_each(u->sources, &cursor, NULL)))
		if (s->news || j->finishing)
			s->news = !judge_kinds(j, c, s);
}

void
udp_sums_free(struct udp_sums **up)
{
	struct udp_sums *u = *up;

	*up = NULL;
	if (!u)
		return;
	memo_free(&u->talks);
	memo_free(&u->sources);
	free(u);
}

struct udp_sums *
udp_sums_new(void)
{
	struct udp_sums *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->talks = memo_new(TALKS_MAX, sizeof(struct talk));
	u->sources = memo_new(SOURCES_MAX, sizeof(struct source));
	if (!u->talks || !u->sources)
		udp_sums_free(&u);
	return u;
}
