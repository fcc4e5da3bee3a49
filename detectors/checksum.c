/* checksum.c - wrong checksums, and whether they were wrong on the wire.
 *
 * A host leaves the sum to its NIC, so a capture on that host sees it undone;
 * a NIC that fails to do it sends segments which every receiver throws away.
 * Both look the same in one frame. The receiver tells them apart: it
 * acknowledged the bytes although no good copy of them went by (the frame was
 * mended after the place of the capture), or it did not, and the sender had to
 * send them again. So the ranges that were sent with a bad sum are kept until
 * the receiver has spoken, and counted for the sender as a whole: one lost
 * segment in an artifact, or one resend that the mirror missed in a real fault,
 * must not turn the verdict. */
#include "detectors/checksum_internal.h"

#include <stdlib.h>
#include <string.h>

#include "detectors/memo.h"
#include "detectors/registry.h"
#include "detectors/subject.h"
#include "detectors/wire.h"

enum { RANGES = 6, FLOWS_MAX = 4096, SENDERS_MAX = 4096 };

/* The same frame seen before and after its NIC (a capture of all interfaces of
 * a bridge) comes twice within this; a retransmission has another IP ID. */
#define SAME_FRAME_NS (2 * NS_PER_MS)
/* Below Windows' and Linux' smallest retransmission timeout: an ACK this soon
 * is for what was seen, whatever the sniffer missed. */
#define PROMPT_NS (200 * NS_PER_MS)

/* Bytes that were sent with a bad sum: a run of segments, back to back. */
struct range {
	uint32_t start, end;
	struct instant first, last;
	uint16_t id_first, id_last;
	uint16_t segments, sends;
	uint8_t kind;
	bool good;		/* sent again with a right sum */
};

struct waiting {		/* for the receiver's word: one side of a flow */
	struct range range[RANGES];
	unsigned count;
};

struct sender {
	struct address address;
	struct sum_tally tally[SUM_KINDS];
	bool is_server;
	bool is_bad_client;	/* counted in bad_clients */
};

struct checksum {
	struct memo *waiting, *senders;
	struct udp_sums *udp;
	uint32_t client_accepted[SUM_KINDS], client_bad[SUM_KINDS];
	uint32_t bad_clients;	/* with more than the odd refused segment */
};

/* --- what a sum is, and what the counts mean --------------------------- */

static enum sum_kind
kind_of_status(enum checksum_status s)
{
	switch (s) {
	case CHECKSUM_BAD: return SUM_OTHER;
	case CHECKSUM_PARTIAL:
	case CHECKSUM_PARTIAL_LSO: return SUM_PARTIAL;
	case CHECKSUM_ZERO: return SUM_ZERO;
	case CHECKSUM_GOOD:
	case CHECKSUM_SHORT:
	case CHECKSUM_UNVERIFIABLE: break;
	}
	return SUM_GOOD;
}

enum sum_kind
sum_kind_of(const struct packet *p)
{
	enum sum_kind k = kind_of_status(p->checksum);

	if (k == SUM_GOOD)
		k = kind_of_status(p->outer_udp);
	if (k == SUM_GOOD && p->ip_checksum_bad)
		k = SUM_OTHER;
	return k;
}

const char *
sum_kind_name(enum sum_kind k)
{
	static const char *const names[SUM_KINDS] = {
		"good", "partial", "zero", "other" };

	return names[k];
}

/* A majority of four to one: an artifact with some real loss, and a real fault
 * of which the mirror missed some resends, both keep clear of the middle. */
enum { MAJORITY = 4 };

enum sum_verdict
sum_judge(const struct sum_tally *t, enum sum_kind kind, bool others_good)
{
	/* a partial sum that nobody answers may as well be one seen before its
	 * NIC, on the way to a dead peer */
	uint64_t refused = (uint64_t)t->discarded +
	    (others_good || kind == SUM_OTHER ? t->starved : 0);

	if (refused > (uint64_t)t->accepted * MAJORITY)
		return SUM_DISCARDED;
	if (t->accepted > refused * MAJORITY)
		return SUM_ARTIFACT;
	return SUM_UNRESOLVED;
}

/* --- the senders ------------------------------------------------------- */

static uint64_t
address_key(const struct address *a)
{
	return subject_address(SUBJECT_BEGIN, a);
}

static struct sender *
sender_of(struct checksum *c, const struct flow *f, enum side side)
{
	struct sender *s = memo_make(c->senders, address_key(&f->addr[side]));

	s->address = f->addr[side];
	s->is_server |= side == SERVER;
	return s;
}

bool
checksum_is_artifact(struct checksum *c, const struct address *a,
    enum sum_kind kind)
{
	const struct sender *s = memo_find(c->senders, address_key(a));

	return s && sum_judge(&s->tally[kind], kind, false) == SUM_ARTIFACT;
}

/* The one note of a side counts bad sums of all kinds; its value number `kind`
 * packs what became of those of that kind, 21 bits each. Value SUM_GOOD counts
 * those that are good themselves, and whose tunnel's outer sum is bad. */
enum fate { FATE_ACCEPTED, FATE_DISCARDED, FATE_STARVED };
enum { FATE_BITS = 21, FATE_MAX = (1 << FATE_BITS) - 1 };

static uint32_t
fate_of(const struct note *n, unsigned kind, enum fate fate)
{
	return (uint32_t)(n->value[kind] >> (fate * FATE_BITS)) & FATE_MAX;
}

static void
fate_set(struct note *n, unsigned kind, enum fate fate, uint32_t count)
{
	unsigned shift = fate * FATE_BITS;

	if (count > FATE_MAX)
		count = FATE_MAX;
	n->value[kind] &= ~((uint64_t)FATE_MAX << shift);
	n->value[kind] |= (uint64_t)count << shift;
}

static void
fate_add(struct note *n, unsigned kind, enum fate fate, uint32_t more)
{
	if (n)
		fate_set(n, kind, fate, fate_of(n, kind, fate) + more);
}

static void
count_accepted(struct checksum *c, const struct flow *f, enum side side,
    enum sum_kind kind, uint32_t segments)
{
	sender_of(c, f, side)->tally[kind].accepted += segments;
	if (side == CLIENT)
		c->client_accepted[kind] += segments;
	fate_add(flow_note_find(f, NOTE_CHECKSUM, 0, side), kind, FATE_ACCEPTED,
	    segments);
}

static void
resolve(struct checksum *c, struct flow *f, enum side side,
    const struct range *r, uint32_t segments, struct instant now)
{
	bool missed = flow_note_find(f, NOTE_HOLES, 0, side) &&
	    instant_since(now, r->last) > PROMPT_NS;

	if (!r->good) {
		if (!missed)
			count_accepted(c, f, side, r->kind, segments);
		return;
	}
	sender_of(c, f, side)->tally[r->kind].discarded += segments;
	fate_add(flow_note_find(f, NOTE_CHECKSUM, 0, side), r->kind,
	    FATE_DISCARDED, segments);
}

/* --- ranges ------------------------------------------------------------ */

static void
range_remove(struct waiting *w, unsigned i)
{
	memmove(&w->range[i], &w->range[i + 1],
	    (--w->count - i) * sizeof(w->range[0]));
}

static struct range *
range_append(struct waiting *w, struct range r)
{
	if (w->count == RANGES)
		range_remove(w, 0);	/* never judged */
	w->range[w->count] = r;
	return &w->range[w->count++];
}

static struct range *
range_find(struct waiting *w, uint32_t seq, uint32_t end)
{
	for (unsigned i = 0; i < w->count; i++)
		if (seq_before(seq, w->range[i].end) &&
		    seq_after(end, w->range[i].start))
			return &w->range[i];
	return NULL;
}

/* Make the part seq..end of a run a range of its own; NULL without room. */
static struct range *
range_isolate(struct waiting *w, struct range *r, uint32_t seq, uint32_t end)
{
	struct range head = *r, tail = *r;

	if (r->segments == 1 || (!seq_after(seq, r->start) &&
	    !seq_before(end, r->end)))
		return r;
	if (w->count > RANGES - 2)
		return NULL;
	head.end = r->start = seq_max(seq, r->start);
	tail.start = r->end = seq_before(end, r->end) ? end : r->end;
	r->segments--;
	head.segments = tail.segments = r->segments;
	if (seq_before(head.start, head.end)) {
		if (seq_before(tail.start, tail.end)) {
			head.segments = (uint16_t)((r->segments + 1) / 2);
			tail.segments = r->segments / 2;
		}
		r->segments = 1;
		if (head.segments)
			range_append(w, head);
	}
	r->segments = 1;
	if (seq_before(tail.start, tail.end) && tail.segments)
		range_append(w, tail);
	return r;
}

/* Neither its sum nor its size is what goes over a wire: before the NIC that
 * cuts it, or behind the one that put it together. */
static bool
is_uncut(const struct flow *f, const struct segment *seg)
{
	enum { ETHERNET_PAYLOAD = 1500 };
	uint16_t mss = f->half[other_side(seg->side)].mss;

	return mss ? seg->packet->payload_bytes > mss :
	    seg->packet->ip_bytes > ETHERNET_PAYLOAD;
}

static bool
continues(const struct range *r, const struct packet *p, enum sum_kind kind)
{
	return r->end == p->seq && r->kind == kind && r->sends == 1 &&
	    !r->good && !(p->tcp_flags & TCP_SYN);
}

static void
sent_bad(struct checksum *c, struct flow_pool *pool, struct flow *f,
    const struct segment *seg, enum sum_kind kind)
{
	const struct packet *p = seg->packet;
	struct note *n = flow_note(pool, f, NOTE_CHECKSUM, 0, seg->side);
	struct waiting *w;
	struct range *r;

	if (n) {
		note_add(n, p->time, p->frame);
		n->value[SUM_GOOD] += kind_of_status(p->checksum) == SUM_GOOD &&
		    kind_of_status(p->outer_udp) != SUM_GOOD;
	}
	sender_of(c, f, seg->side)->tally[kind].bad++;
	c->client_bad[kind] += seg->side == CLIENT;
	if (wire_end(p) == p->seq || p->tcp_flags & TCP_RST)
		return;			/* nothing that could be accepted */
	if (kind == SUM_PARTIAL && is_uncut(f, seg)) {
		count_accepted(c, f, seg->side, kind, 1);
		return;
	}
	w = memo_make(c->waiting, memo_key(f->id, seg->side));
	f->marks |= (uint16_t)(MARK_CHECKSUM << seg->side);
	r = range_find(w, p->seq, wire_end(p));
	if (r)
		r = range_isolate(w, r, p->seq, wire_end(p));
	if (r) {
		r->sends = r->sends < UINT16_MAX ? (uint16_t)(r->sends + 1) :
		    r->sends;
		r->last = p->time;
		return;
	}
	r = w->count ? &w->range[w->count - 1] : NULL;
	if (!r || !continues(r, p, kind)) {
		r = range_append(w, (struct range){ .start = p->seq,
		    .first = p->time, .id_first = p->ip_id, .kind = (uint8_t)kind,
		    .sends = 1 });
	}
	r->end = wire_end(p);
	r->last = p->time;
	r->id_last = p->ip_id;
	r->segments = (uint16_t)(r->segments + 1);
}

/* Is this good copy the bad frame itself, seen once more behind its NIC? */
static bool
same_frame(const struct range *r, const struct packet *p)
{
	if (instant_since(p->time, r->last) > SAME_FRAME_NS)
		return false;
	return p->ip_version != 4 || !p->ip_id ||
	    (uint16_t)(p->ip_id - r->id_first) <=
	    (uint16_t)(r->id_last - r->id_first);
}

static void
sent_good(struct waiting *w, const struct packet *p)
{
	struct range *r = range_find(w, p->seq, wire_end(p));

	if (!r || r->good || same_frame(r, p))
		return;
	r = range_isolate(w, r, p->seq, wire_end(p));
	if (r)
		r->good = true;
}

/* --- the receiver's word ----------------------------------------------- */

static bool
sacked(const struct packet *p, const struct range *r)
{
	for (unsigned i = 0; i < p->options.sack_count; i++)
		if (!seq_before(r->start, p->options.sack[i].left) &&
		    !seq_after(r->end, p->options.sack[i].right))
			return true;
	return false;
}

static void
take_word(struct checksum *c, struct flow *f, struct waiting *w,
    enum side sender, const struct packet *p)
{
	for (unsigned i = 0; i < w->count;) {
		struct range *r = &w->range[i];

		if (!seq_before(p->ack, r->end) || sacked(p, r)) {
			resolve(c, f, sender, r, r->segments > 1 ?
			    r->segments : r->sends, p->time);
			range_remove(w, i);
			continue;
		}
		if (seq_after(p->ack, r->start)) {
			if (r->segments > 1) {
				resolve(c, f, sender, r, 1, p->time);
				r->segments--;
			}
			r->start = p->ack;
		}
		i++;
	}
}

/* An acknowledgment is believed whatever its own sum, if it is one that could
 * be: what damages a segment seldom hits those four bytes, and never makes of
 * them what was just sent. */
static bool
speaks(const struct flow *f, const struct segment *seg)
{
	const struct packet *p = seg->packet;

	return p->tcp_flags & TCP_ACK && !(p->tcp_flags & TCP_RST) &&
	    !seq_after(p->ack, f->half[other_side(seg->side)].next);
}

static struct waiting *
waiting_of(const struct checksum *c, const struct flow *f, enum side sender)
{
	return f->marks & MARK_CHECKSUM << sender ?
	    memo_find(c->waiting, memo_key(f->id, sender)) : NULL;
}

static void
checksum_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	struct checksum *c = state;
	enum sum_kind kind = sum_kind_of(seg->packet);
	struct waiting *w;

	if (kind == SUM_GOOD && !(f->marks & MARK_CHECKSUMS))
		return;
	w = waiting_of(c, f, other_side(seg->side));
	if (w && speaks(f, seg))
		take_word(c, f, w, other_side(seg->side), seg->packet);
	if (w && !w->count)		/* it has all been spoken of */
		f->marks &= (uint16_t)~(MARK_CHECKSUM << other_side(seg->side));
	if (kind != SUM_GOOD) {
		sent_bad(c, pool, f, seg, kind);
		return;
	}
	w = waiting_of(c, f, seg->side);
	if (w)
		sent_good(w, seg->packet);
}

static void
checksum_packet(void *state, const struct packet *p)
{
	struct checksum *c = state;

	udp_sums_packet(c->udp, p);
}

/* --- judging ----------------------------------------------------------- */

/* Segments that went out again and again with a bad sum, and nothing came.
 * Where the connection's beginning is not there, whatever was sent three times
 * may be anything (made-up headers too). */
static void
count_starved(struct checksum *c, struct judge *j, struct flow *f,
    enum side side, struct note *n, struct sender *s)
{
	struct waiting *w = waiting_of(c, f, side);
	bool known = w || !(f->marks & MARK_CHECKSUM << side);
	uint32_t starved[SUM_KINDS] = { 0 };

	for (unsigned i = 0; w && i < w->count &&
	    wire_half_has(f, CLIENT, HALF_SYN); i++)
		if (w->range[i].sends >= j->limit->retransmit_min)
			starved[w->range[i].kind] += w->range[i].sends;
	for (unsigned k = SUM_PARTIAL; known && k < SUM_KINDS; k++) {
		uint32_t before = fate_of(n, k, FATE_STARVED);

		if (before == starved[k])
			continue;
		s->tally[k].starved += starved[k] - before;
		fate_set(n, k, FATE_STARVED, starved[k]);
	}
	if (f->flags & FLOW_ENDED)
		memo_drop(c->waiting, memo_key(f->id, side));
}

static bool
sends_good_too(const struct host *h)
{
	struct host_ever e;

	if (!h)
		return false;
	e = host_ever(h);
	return e.checked_sums_out > e.bad_sums_out;
}

static uint32_t
refused_on(const struct note *n, unsigned kind)
{
	return fate_of(n, kind, FATE_DISCARDED) + fate_of(n, kind, FATE_STARVED);
}

/* One client's bad card is its own trouble; that of several is not. */
enum { BAD_CLIENTS_MANY = 3 };

/* A bit that flips now and then in some switch's memory is no NIC's fault. */
static enum severity
severity_of(struct checksum *c, const struct judge *j, struct sender *s,
    const struct host *h)
{
	uint32_t refused = 0;
	uint32_t checked = h ? host_ever(h).checked_sums_out : 0;

	for (unsigned k = SUM_PARTIAL; k < SUM_KINDS; k++)
		refused += s->tally[k].discarded + s->tally[k].starved;
	if (refused < j->limit->checksum_min ||
	    refused < j->limit->checksum_share * (checked ? checked : 1))
		return SEVERITY_LOW;
	if (s->is_server)
		return SEVERITY_HIGH;
	c->bad_clients += !s->is_bad_client;
	s->is_bad_client = true;
	return c->bad_clients >= BAD_CLIENTS_MANY ? SEVERITY_MEDIUM :
	    SEVERITY_LOW;
}

static void
raise_discarded(struct checksum *c, struct judge *j, struct server *v,
    struct flow *f, enum side side, const struct note *n, struct sender *s)
{
	struct finding *fd = finding_raise(j, &detector_checksum_discarded, NULL,
	    v, f, 0);
	uint32_t refused = 0, accepted = 0;
	bool outer = n->value[SUM_GOOD] * 2 > n->count;
	char from[WIRE_END_TEXT_BYTES];

	for (unsigned k = SUM_PARTIAL; k < SUM_KINDS; k++) {
		refused += refused_on(n, k);
		accepted += fate_of(n, k, FATE_ACCEPTED);
	}
	finding_from_note(fd, n);
	fd->retracted = false;
	fd->count = refused;
	fd->side = wire_fault(side);
	fd->severity = severity_of(c, j, s, f->host[side]);
	fd->confidence = 0.95;
	finding_metric(fd, "bad_segments", n->count);
	finding_metric(fd, "refused_segments", refused);
	finding_metric(fd, "accepted_segments", accepted);
	finding_metric(fd, "bad_outer_sums", (double)n->value[SUM_GOOD]);
	finding_say(fd, "%s sent %u segment%s with a wrong checksum on this "
	    "connection; the %s did not take %u of them, which had to be sent "
	    "again%s", wire_end_text(f, side, from), n->count, wire_s(n->count),
	    wire_side(other_side(side)), refused, outer ? "; what is wrong is "
	    "the outer UDP checksum of the tunnel (VXLAN, Geneve), which the "
	    "card of the tunnel's end writes" : "");
	if (accepted)
		finding_against(fd, "%u others with a wrong sum were "
		    "acknowledged without a good copy in this capture",
		    accepted);
	if (fd->severity >= SEVERITY_MEDIUM)
		flow_afflicted(f, FINDING_checksum_discarded, n->first);
}

/* Of a sender as a whole: the server, or (all clients as one) the capture. */
static struct finding *
raise_of_sender(struct judge *j, const struct detector *d, struct server *v,
    enum side side, enum sum_kind kind, const struct note *n)
{
	struct finding *fd = finding_raise(j, d, sum_kind_name(kind),
	    side == SERVER ? v : NULL, NULL, 0);

	for (unsigned i = 0; i < n->frame_count; i++)
		finding_frame(fd, n->frame[i]);
	finding_time(fd, n->first);
	finding_time(fd, n->last);
	fd->retracted = false;
	return fd;
}

/* Many flows share a finding, whose sentence says no more than the count; but that
 * of the clients may have been made for a datagram (checksum_udp.c). */
static bool
is_new_count(struct finding *fd, uint32_t count)
{
	bool is_new = !*fd->text || fd->count != count ||
	    fd->protocol == IP_UDP;

	fd->count = count;
	return is_new;
}

static const char *
whose(const struct flow *f, enum side side, char text[ADDRESS_TEXT_BYTES])
{
	return side == SERVER ? address_text(&f->addr[side], text) :
	    "the clients";
}

static void
raise_artifact(struct judge *j, struct server *v, struct flow *f,
    enum side side, enum sum_kind kind, const struct note *n, uint32_t count)
{
	struct finding *fd = raise_of_sender(j, &detector_checksum_artifact, v,
	    side, kind, n);
	char who[ADDRESS_TEXT_BYTES];

	fd->side = FAULT_CAPTURE;
	fd->severity = SEVERITY_INFO;
	fd->confidence = 0.95;
	if (!is_new_count(fd, count))
		return;
	finding_say(fd, "%u segment%s of %s came with a %s checksum here, "
	    "taken all the same: %s", count, wire_s(count), whose(f, side, who),
	    kind == SUM_PARTIAL ? "partial" : kind == SUM_ZERO ? "zero" :
	    "wrong", kind == SUM_OTHER ? "it is another one than went over the "
	    "wire (frames put together, or a capture that was altered)" :
	    "it was finished after the place of this capture");
}

static void
raise_unresolved(struct judge *j, struct server *v, struct flow *f,
    enum side side, enum sum_kind kind, const struct note *n, uint32_t count)
{
	struct finding *fd = raise_of_sender(j, &detector_checksum_unresolved, v,
	    side, kind, n);
	char who[ADDRESS_TEXT_BYTES];

	fd->side = FAULT_UNKNOWN;
	/* unfinished sums are nearly always the capture point's */
	fd->severity = kind == SUM_OTHER ? SEVERITY_LOW : SEVERITY_INFO;
	fd->confidence = 0.5;
	if (!is_new_count(fd, count))
		return;
	finding_say(fd, "%u segment%s of %s came with a wrong checksum, and "
	    "nothing here shows whether it was taken", count, wire_s(count),
	    whose(f, side, who));
}

/* An earlier word about the server that its later segments belie. Of the
 * clients, who share one record, none speaks for the others. */
static void
take_back(struct judge *j, const struct detector *d, struct server *v,
    enum side side, enum sum_kind kind)
{
	struct finding *fd = side == SERVER ?
	    finding_lookup(j, d, sum_kind_name(kind), v, NULL, 0) : NULL;

	if (fd)
		finding_retract(fd);
}

/* How long the receivers have to show what they do. */
#define UNRESOLVED_AFTER_NS (30 * NS_PER_S)

static void
judge_kind(struct checksum *c, struct judge *j, struct server *v,
    struct flow *f, enum side side, enum sum_kind kind, const struct note *n,
    const struct sum_tally *t, enum sum_verdict verdict)
{
	if (verdict != SUM_ARTIFACT)
		take_back(j, &detector_checksum_artifact, v, side, kind);
	if (verdict != SUM_UNRESOLVED)
		take_back(j, &detector_checksum_unresolved, v, side, kind);
	if (verdict == SUM_ARTIFACT)
		raise_artifact(j, v, f, side, kind, n, side == SERVER ?
		    t->accepted : c->client_accepted[kind]);
	else if (verdict == SUM_UNRESOLVED && (j->finishing ||
	    f->flags & FLOW_ENDED ||
	    instant_since(j->now, n->first) > UNRESOLVED_AFTER_NS))
		raise_unresolved(j, v, f, side, kind, n, side == SERVER ?
		    t->bad : c->client_bad[kind]);
}

static void
judge_side(struct checksum *c, struct judge *j, struct server *v,
    struct flow *f, enum side side, struct note *n)
{
	bool others_good = sends_good_too(f->host[side]), discarded = false;
	struct sender *s = sender_of(c, f, side);
	struct finding *before;

	count_starved(c, j, f, side, n, s);
	for (unsigned k = SUM_PARTIAL; k < SUM_KINDS; k++) {
		const struct sum_tally *t = &s->tally[k];
		enum sum_verdict verdict = sum_judge(t, k, others_good);

		if (!t->bad)
			continue;
		judge_kind(c, j, v, f, side, k, n, t, verdict);
		discarded |= refused_on(n, k) && verdict == SUM_DISCARDED;
	}
	before = finding_lookup(j, &detector_checksum_discarded, NULL, v, f, 0);
	if (discarded && (!before || before->side == wire_fault(side) ||
	    side == SERVER))
		raise_discarded(c, j, v, f, side, n, s);
	else if (before && before->side == wire_fault(side))
		finding_retract(before);
}

static void
checksum_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	struct checksum *c = state;

	if (!f->notes || f->protocol != IP_TCP)
		return;
	for (unsigned side = CLIENT; side <= SERVER; side++) {
		struct note *n = flow_note_find(f, NOTE_CHECKSUM, 0, side);

		if (n)
			judge_side(c, j, v, f, side, n);
	}
}

static void
checksum_capture(void *state, struct judge *j)
{
	struct checksum *c = state;

	udp_sums_review(c->udp, j, c);
}

/* What was said of a flow before its sender's counts turned. */
static void
judge_again(struct checksum *c, struct judge *j, struct finding *fd)
{
	struct sender *s = memo_find(c->senders, address_key(
	    fd->side == FAULT_CLIENT ? &fd->client : &fd->server->address));
	const struct host *h;
	bool discarded = false;

	if (!s)
		return;
	h = host_of(engine_hosts(j->engine), &s->address, false);
	for (unsigned k = SUM_PARTIAL; k < SUM_KINDS; k++)
		discarded |= s->tally[k].bad && sum_judge(&s->tally[k], k,
		    sends_good_too(h)) == SUM_DISCARDED;
	if (!discarded)
		finding_retract(fd);
	fd->severity = severity_of(c, j, s, h);
}

static void
checksum_finish(void *state, struct judge *j)
{
	struct checksum *c = state;

	udp_sums_review(c->udp, j, c);
	for (struct finding *fd = registry_findings(j->registry); fd;
	    fd = fd->next)
		if (fd->name == FINDING_checksum_discarded && fd->server &&
		    fd->protocol == IP_TCP)
			judge_again(c, j, fd);
}

static void
checksum_free(void *state)
{
	struct checksum *c = state;

	if (!c)
		return;
	memo_free(&c->waiting);
	memo_free(&c->senders);
	udp_sums_free(&c->udp);
	free(c);
}

static void *
checksum_new(void)
{
	struct checksum *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->waiting = memo_new(FLOWS_MAX, sizeof(struct waiting));
	c->senders = memo_new(SENDERS_MAX, sizeof(struct sender));
	c->udp = udp_sums_new();
	if (c->waiting && c->senders && c->udp)
		return c;
	checksum_free(c);
	return NULL;
}

static const char *const sum_kinds[] = { "partial", "zero", "other", NULL };

/* What the three have in common. */
#define ORACLE "Each run of bytes that was sent with a wrong sum (TCP, UDP, the " \
	"IP header, or the outer UDP header of VXLAN and Geneve) is kept until " \
	"the receiver has spoken. Acknowledged (or SACKed), and no copy with a " \
	"right sum was seen before: accepted. Sent again with a right sum " \
	"before it was acknowledged, or sent three times and never " \
	"acknowledged: refused. A datagram counts as refused when its receiver " \
	"repeats the question. Then the sender's counts decide, four to one, " \
	"for each kind of wrong sum (the bare pseudo-header sum, with or " \
	"without the length; zero; anything else)."

const struct detector detector_checksum_artifact = {
	.finding = FINDING_checksum_artifact,
	.meaning = "The capture holds wrong checksums that are no fault: the "
	    "sender leaves the sum to its network card, and the capture was "
	    "taken before the card (on the host itself, or on a virtual switch). "
	    "The receivers got the right one.",
	.decided = ORACLE,
	.mimics = "A card that fails to finish the sum: its receivers never "
	    "acknowledge, and it is reported as checksum_discarded. Frames that "
	    "the snap length cut, fragments and UDP without a sum are not "
	    "judged at all. A frame seen both before and after its card is "
	    "known by its IP ID.",
	.source = "RFC 9293, 3.1; RFC 768; RFC 1071. Microsoft, \"Offloading the "
	    "Segmentation of Large TCP Packets\" (the sum without the length); "
	    "Wireshark wiki, CaptureSetup/Offloading.",
	.kinds = sum_kinds,
};

const struct detector detector_checksum_discarded = {
	.finding = FINDING_checksum_discarded,
	.meaning = "Segments went out with a wrong checksum and their receivers "
	    "threw them away, so that the sender had to send them again. On a "
	    "mirror port all sums are final: the sending host's card (its "
	    "checksum offload) or something between damages them.",
	.decided = ORACLE " High when the server sent checksum_min (3) or more "
	    "such segments and they are checksum_share (0.5 %) of those it sent; "
	    "of clients medium, when three of them do.",
	.mimics = "A capture on the sending host (the receiver acknowledges: "
	    "checksum_artifact); real loss of segments whose sum is undone at "
	    "the place of the capture (most of that sender's are "
	    "acknowledged); the odd bit flip on the way (share too small: low).",
	.source = "RFC 9293, 3.10.7; RFC 1071; KB 948496; "
	    "projectcalico/calico 3145 and kubernetes/kubernetes 88986 (VXLAN); "
	    "projectcalico/felix 40 and virtio-win/kvm-guest-drivers-windows "
	    "1630 (DHCP).",
	.facts = CUE_BAD_SUM,
	.mark = MARK_CHECKSUMS,
	.notes = NOTE_BIT(NOTE_CHECKSUM),
	.on_segment = checksum_segment,
	.on_packet = checksum_packet,
	.review_flow = checksum_review,
	.review_capture = checksum_capture,
	.finish = checksum_finish,
	.new = checksum_new,
	.free = checksum_free,
};

const struct detector detector_checksum_unresolved = {
	.finding = FINDING_checksum_unresolved,
	.meaning = "There are wrong checksums, and this capture cannot show "
	    "whether they were wrong on the wire: the receivers' side is not "
	    "there, or what they did speaks for both.",
	.decided = ORACLE " Unresolved is what neither side of the four to one "
	    "reaches, thirty seconds after the first or at the end.",
	.mimics = "Nothing: it says that it does not know.",
	.source = "RFC 9293, 3.1; RFC 1071.",
	.kinds = sum_kinds,
};
