/* stale_neighbor.c - after the way out of a server changed, a part of its
 * connections goes on using the old one.
 *
 * An offloaded connection carries its next hop's MAC and its path's MTU in the
 * NIC, which only the host can change. When the router is replaced, or a link
 * gets narrower, host-stack connections follow at once; offloaded ones whose
 * update was lost do not. The other side's frames show which MAC is right: a
 * server that used to answer to where the client's frames came from, and does
 * so no longer, and whose data is no longer acknowledged, has missed the
 * change. The hard part is asymmetric routing, in which the two MACs differ for
 * good reason: there they differed from the start, or data is acknowledged. */
#include <stdlib.h>
#include <string.h>

#include "detectors/wire.h"

extern const struct detector detector_stale_neighbor;

/* The note of a server's side: its packets to another MAC than the client's
 * frames come from. */
enum { VALUE_PACKETS_BEFORE, VALUE_UNA, VALUE_OLD_MAC, VALUE_NEW_MAC };

/* Packets by which a connection has shown that it was symmetric. */
enum { SYMMETRIC_PACKETS = 3, STALE_PACKETS = 3 };

enum { CHANGES = 8, WELL_FLOWS = 16, NARROWINGS = 64 };

/* RFC 1191, 6.3: a sender lowers its estimate at once. */
#define NARROW_NS (5 * NS_PER_S)
enum { NARROW_COMPLAINTS = 3 };

struct change {			/* of a next hop of one server */
	uint64_t old_mac, new_mac;
	struct instant at;
	uint32_t stale;
	uint32_t well;
	uint64_t well_flow[WELL_FLOWS];
};

struct changes {		/* server->detector_state */
	struct change change[CHANGES];
	unsigned used;
};

struct narrowing {		/* complaints about one connection's size */
	struct icmp_quote quote;
	struct instant first, last;
	uint64_t first_frame, last_frame;
	uint32_t count;
	uint16_t mtu;
};

struct neighbors {
	struct narrowing narrowing[NARROWINGS];
	unsigned used, next;
	size_t awake;			/* narrowings, or a hop that changed */
};

static const char *
packed_mac_text(uint64_t packed, char out[MAC_TEXT_BYTES])
{
	uint8_t mac[6];

	for (unsigned i = 6; i-- > 0; packed >>= 8)
		mac[i] = (uint8_t)packed;
	return mac_text(mac, out);
}

/* --- packet phase ------------------------------------------------------ */

static void
sent_elsewhere(struct flow_pool *pool, struct flow *f, const struct segment *seg)
{
	const struct packet *p = seg->packet;
	struct note *n = flow_note(pool, f,
	    detector_note(FINDING_stale_neighbor), 0, SERVER);
	uint64_t mac = mac_number(p->dst_mac);

	if (!n)
		return;
	if (!n->open || n->value[VALUE_OLD_MAC] != mac) {
		note_restart(n);
		n->value[VALUE_PACKETS_BEFORE] = f->half[SERVER].packets - 1;
		n->value[VALUE_UNA] = f->half[SERVER].una;
		n->value[VALUE_OLD_MAC] = mac;
	}
	n->value[VALUE_NEW_MAC] = mac_number(f->half[CLIENT].mac);
	note_add(n, p->time, p->frame);
}

static void
neighbor_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	const struct packet *p = seg->packet;
	struct note *n;

	(void)state;
	if (seg->side != SERVER || !p->has_mac ||
	    !(f->half[CLIENT].flags & HALF_MAC) || p->dst_mac[0] & 1 ||
	    f->half[CLIENT].mac[0] & 1)
		return;
	if (memcmp(p->dst_mac, f->half[CLIENT].mac, 6) != 0) {
		sent_elsewhere(pool, f, seg);
		return;
	}
	n = f->notes ? flow_note_find(f, detector_note(FINDING_stale_neighbor),
	    0, SERVER) : NULL;
	if (n)
		n->open = false;
}

static void
neighbor_packet(void *state, const struct packet *p)
{
	struct neighbors *s = state;
	struct narrowing *x = NULL;
	struct icmp_quote q;

	if (!wire_too_big(p, &q) || q.ip_bytes <= p->icmp_mtu)
		return;
	for (unsigned i = 0; i < s->used && !x; i++) {
		const struct icmp_quote *old = &s->narrowing[i].quote;

		if (old->sport == q.sport && old->dport == q.dport &&
		    address_compare(&old->src, &q.src) == 0 &&
		    address_compare(&old->dst, &q.dst) == 0)
			x = &s->narrowing[i];
	}
	if (!x) {
		x = &s->narrowing[s->next];
		s->next = (s->next + 1) % NARROWINGS;
		s->used += s->used < NARROWINGS;
		s->awake++;
		*x = (struct narrowing){ .quote = q, .first = p->time,
			.first_frame = p->frame };
	}
	x->count++;
	x->mtu = p->icmp_mtu;
	x->last = p->time;
	x->last_frame = p->frame;
}

/* --- another next hop -------------------------------------------------- */

static struct change *
change_of(struct server *v, const struct note *n)
{
	struct changes *all = server_remember(v, FINDING_stale_neighbor,
	    sizeof(*all));
	struct change *c;

	if (!all)
		return NULL;
	for (unsigned i = 0; i < all->used; i++) {
		c = &all->change[i];
		if (c->old_mac == n->value[VALUE_OLD_MAC] &&
		    c->new_mac == n->value[VALUE_NEW_MAC])
			return c;
	}
	if (all->used == CHANGES)
		return NULL;
	c = &all->change[all->used++];
	c->old_mac = n->value[VALUE_OLD_MAC];
	c->new_mac = n->value[VALUE_NEW_MAC];
	c->at = n->first;
	return c;
}

/* Did it answer to where the client's frames came from, until it no longer did,
 * and is its data stuck since? */
static bool
is_stuck(const struct flow *f, const struct note *n)
{
	const struct tcp_half *me = &f->half[SERVER];

	return n->open && n->value[VALUE_PACKETS_BEFORE] >= SYMMETRIC_PACKETS &&
	    n->count >= STALE_PACKETS && me->una != me->next &&
	    !seq_after(me->una, (uint32_t)n->value[VALUE_UNA]) &&
	    f->state != FLOW_CLOSED;
}

static void
raise_hop(struct judge *j, struct server *v, struct flow *f,
    const struct note *n, struct change *c)
{
	struct finding *fd = finding_raise(j, &detector_stale_neighbor, NULL, v,
	    f, 0);
	char old_text[MAC_TEXT_BYTES], new_text[MAC_TEXT_BYTES];

	if (!fd->count)
		c->stale++;
	finding_from_note(fd, n);
	fd->count = 1;
	fd->side = FAULT_SERVER;
	fd->severity = c->stale >= 2 ? SEVERITY_HIGH : SEVERITY_MEDIUM;
	fd->confidence = 0.9;
	finding_metric(fd, "packets_to_old", n->count);
	finding_metric(fd, "lasted_s", seconds_of(instant_since(n->last,
	    n->first)));
	finding_metric(fd, "flows_that_followed", c->well);
	finding_say(fd, "the server goes on sending to the MAC %s (%u packets, "
	    "%.1f s, none acknowledged) though the client's frames come from %s "
	    "by now; %u other connections of it have followed",
	    packed_mac_text(c->old_mac, old_text), n->count,
	    seconds_of(instant_since(n->last, n->first)),
	    packed_mac_text(c->new_mac, new_text), c->well);
	flow_afflicted(f, FINDING_stale_neighbor, n->first);
}

static void
judge_stuck(struct judge *j, struct server *v, struct flow *f,
    const struct note *n)
{
	struct change *c = change_of(v, n);
	int64_t limit = (int64_t)(j->limit->neighbor_s * 1e9);

	if (!c)
		return;
	if (instant_since(j->now, n->first) < limit) {
		judge_wake(j, f, instant_plus(n->first, limit));
		return;
	}
	if (c->well)
		raise_hop(j, v, f, n, c);
	else if (!(f->flags & FLOW_ENDED))
		judge_wake(j, f, instant_plus(j->now, 5 * NS_PER_S));
}

/* Another connection of the server whose client comes from the new MAC as well,
 * and whose data is acknowledged. */
static void
count_well(const struct server *v, const struct flow *f)
{
	struct changes *all = server_remembers(v, FINDING_stale_neighbor) ?
	    v->detector_state[FINDING_stale_neighbor] : NULL;
	uint64_t mac = mac_number(f->half[CLIENT].mac);

	for (unsigned i = 0; all && i < all->used; i++) {
		struct change *c = &all->change[i];
		unsigned k, kept = c->well < WELL_FLOWS ? c->well : WELL_FLOWS;

		if (c->new_mac != mac || !(f->half[CLIENT].flags & HALF_MAC) ||
		    f->half[SERVER].una != f->half[SERVER].next ||
		    !instant_before(c->at, f->half[SERVER].last))
			continue;
		for (k = 0; k < kept; k++)
			if (c->well_flow[k] == f->id)
				break;
		if (k < kept || kept == WELL_FLOWS)
			continue;	/* counted, or enough of them */
		c->well_flow[c->well++] = f->id;
	}
}

/* --- a narrower path --------------------------------------------------- */

static bool
adapted(const struct narrowing *x, struct instant now)
{
	return instant_since(now, x->last) > NARROW_NS &&
	    instant_since(x->last, x->first) < NARROW_NS;
}

static uint32_t
adapted_of(const struct neighbors *s, const struct server *v,
    const struct narrowing *but, struct instant now)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < s->used; i++) {
		const struct narrowing *x = &s->narrowing[i];

		n += x != but && x->mtu == but->mtu && adapted(x, now) &&
		    address_compare(&x->quote.src, &v->address) == 0;
	}
	return n;
}

/* Complaints about what the server did not send are no news for it: where a box
 * merges, it complains of what it made itself. */
static bool
merges_on_the_way(const struct server *v)
{
	for (const struct finding *x = v->findings; x; x = x->next_of_server)
		if (x->name == FINDING_merged_forwarding && !x->retracted)
			return true;
	return false;
}

static void
judge_narrowing(struct neighbors *s, struct judge *j, struct server *v,
    struct flow *f)
{
	struct finding *fd;
	enum side sender;

	for (unsigned i = 0; i < s->used; i++) {
		const struct narrowing *x = &s->narrowing[i];
		uint32_t others;

		if (x->count < NARROW_COMPLAINTS ||
		    instant_since(x->last, x->first) <= NARROW_NS ||
		    !wire_quotes(f, &x->quote, &sender) || sender != SERVER ||
		    merges_on_the_way(v))
			continue;
		others = adapted_of(s, v, x, j->now);
		if (!others)
			continue;	/* the whole host, or ICMP is filtered */
		fd = finding_raise(j, &detector_stale_neighbor, NULL, v, f, 0);
		finding_frame(fd, x->first_frame);
		finding_frame(fd, x->last_frame);
		finding_time(fd, x->first);
		finding_time(fd, x->last);
		fd->count = 1;
		fd->side = FAULT_SERVER;
		fd->severity = SEVERITY_MEDIUM;
		fd->confidence = 0.8;
		finding_metric(fd, "mtu_bytes", x->mtu);
		finding_metric(fd, "complaints", x->count);
		finding_metric(fd, "flows_that_followed", others);
		finding_say(fd, "the server was told %u times over %.1f s that "
		    "the path takes %u bytes and goes on sending more on this "
		    "connection; %u others have adapted", x->count,
		    seconds_of(instant_since(x->last, x->first)), x->mtu,
		    others);
		flow_afflicted(f, FINDING_stale_neighbor, x->first);
	}
}

static void
neighbor_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	struct neighbors *s = state;
	const struct note *n;

	if (f->protocol != IP_TCP)
		return;
	n = f->notes ? flow_note_find(f, detector_note(FINDING_stale_neighbor),
	    0, SERVER) : NULL;
	s->awake += n != NULL;
	if (n && is_stuck(f, n))
		judge_stuck(j, v, f, n);
	else if (!n || !n->open)
		count_well(v, f);
	if (s->used)
		judge_narrowing(s, j, v, f);
}

static const size_t *
neighbor_awake(const void *state)
{
	return &((const struct neighbors *)state)->awake;
}

static void *
neighbor_new(void)
{
	return calloc(1, sizeof(struct neighbors));
}

const struct detector detector_stale_neighbor = {
	.finding = FINDING_stale_neighbor,
	.meaning = "The server's way out changed (its router was replaced, its "
	    "client moved, a link takes less), most of its connections follow, "
	    "and a part goes on using the old MAC or the old size, to no effect. "
	    "The network card keeps next hop and path MTU of the connections "
	    "that it carries, and was not told.",
	.decided = "On a connection where the server answered to the MAC that "
	    "the client's frames came from (three packets or more), those frames "
	    "come from another MAC; the server sends three or more packets to "
	    "the old one for neighbor_s (5 s) or longer, nothing of which is "
	    "acknowledged, while other connections of it use the new one and are "
	    "acknowledged. Or: three complaints over more than 5 s that its "
	    "segments are too large on this connection, while others have "
	    "adapted to the same MTU.",
	.mimics = "Asymmetric routing (the MACs differ from the start, or data "
	    "is acknowledged), a server that has not learned the new MAC at all "
	    "(no connection follows: no finding), load sharing over two routers "
	    "(data is acknowledged), filtered ICMP.",
	.source = "Microsoft, NDIS NEIGHBOR_OFFLOAD_STATE_CACHED "
	    "(DestinationAddress) and PATH_OFFLOAD_STATE_CACHED (PathMtu); RFC "
	    "826; RFC 1191, 6.3.",
	.odd = ODD_HOP,
	.noted = OWN_NOTE(stale_neighbor),
	.on_segment = neighbor_segment,
	.on_packet = neighbor_packet,
	.matters = MATTER_NOTES,
	.awake = neighbor_awake,
	.review_flow = neighbor_review,
	.new = neighbor_new,
	.free = free,
	.release = free,
};
