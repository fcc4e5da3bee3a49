/* merged_forwarding.c - "fragmentation needed" about a datagram that nobody
 * sent.
 *
 * A router that receives through LRO, GRO or RSC and forwards what was merged
 * finds that it does not fit the next link; it drops it and tells the sender to
 * send less, quoting a datagram larger than any on the wire. The sender, who
 * never sent anything so large, has nothing to change, and the transfer crawls
 * at one segment a timeout. The hard part is only to know what was really sent:
 * without the longest datagram of that side of that flow nothing is said. */
#include <stdlib.h>

#include "detectors/registry.h"
#include "detectors/wire.h"

extern const struct detector detector_merged_forwarding;

enum { COMPLAINTS = 64 };

/* Headers that a tunnel on the way adds may show in a quote; a merged datagram
 * is longer by a segment. */
enum { MARGIN_BYTES = 64, QUOTE_SLACK_BYTES = 60 };

struct complaint {
	struct icmp_quote quote;	/* the largest of them */
	struct address from;
	struct instant first, last;
	uint64_t first_frame, last_frame;
	uint32_t count;
	uint16_t mtu;
};

struct merging {
	struct complaint complaint[COMPLAINTS];
	unsigned next;
	size_t used;
};

static struct complaint *
complaint_of(struct merging *m, const struct icmp_quote *q)
{
	struct complaint *c;

	for (unsigned i = 0; i < m->used; i++) {
		const struct icmp_quote *old = &m->complaint[i].quote;

		if (old->sport == q->sport && old->dport == q->dport &&
		    address_compare(&old->src, &q->src) == 0 &&
		    address_compare(&old->dst, &q->dst) == 0)
			return &m->complaint[i];
	}
	c = &m->complaint[m->next];
	m->next = (m->next + 1) % COMPLAINTS;
	if (m->used < COMPLAINTS)
		m->used++;
	*c = (struct complaint){ .quote = *q };
	return c;
}

static void
merging_packet(void *state, const struct packet *p)
{
	struct icmp_quote q;
	struct complaint *c;

	if (!wire_too_big(p, &q))
		return;
	c = complaint_of(state, &q);
	if (!c->count++) {
		c->first = p->time;
		c->first_frame = p->frame;
	}
	if (c->quote.ip_bytes < q.ip_bytes)
		c->quote = q;
	c->from = p->src;
	c->mtu = p->icmp_mtu;
	c->last = p->time;
	c->last_frame = p->frame;
}

/* Some stacks quote the length in the wrong byte order. */
static uint32_t
swapped(uint32_t bytes)
{
	return (bytes & 0xff) << 8 | (bytes >> 8 & 0xff);
}

/* Does it hold a whole number of segments, two or more? */
static bool
is_merged(const struct flow *f, enum side sender, uint32_t ip_bytes)
{
	uint32_t mss = f->half[other_side(sender)].mss;
	uint32_t payload = ip_bytes - 40, segment = mss ? mss : 1460;

	if (ip_bytes < 40 || payload < 2 * segment - QUOTE_SLACK_BYTES)
		return false;
	/* twelve bytes of timestamps a segment, for those who use them */
	return payload % segment <= QUOTE_SLACK_BYTES ||
	    payload % (segment - 12) <= QUOTE_SLACK_BYTES ||
	    segment - payload % segment <= QUOTE_SLACK_BYTES;
}

static void
raise(struct judge *j, struct server *v, struct flow *f, enum side sender,
    const struct complaint *c, uint32_t longest)
{
	struct server *box = registry_server(j->registry, &c->from, false);
	struct finding *fd = finding_raise(j, &detector_merged_forwarding, NULL,
	    box ? box : v, f, 0);
	bool merged = is_merged(f, sender, c->quote.ip_bytes);
	char from[ADDRESS_TEXT_BYTES], who[WIRE_END_TEXT_BYTES];

	finding_frame(fd, c->first_frame);
	finding_frame(fd, c->last_frame);
	finding_time(fd, c->first);
	finding_time(fd, c->last);
	fd->count = c->count;
	fd->side = box ? FAULT_SERVER : FAULT_NETWORK;
	fd->severity = merged || c->count >= 3 ? SEVERITY_HIGH : SEVERITY_MEDIUM;
	fd->confidence = merged ? 0.95 : 0.8;
	finding_metric(fd, "quoted_bytes", c->quote.ip_bytes);
	finding_metric(fd, "largest_seen_bytes", longest);
	finding_metric(fd, "mtu_bytes", c->mtu);
	finding_say(fd, "%s says that a datagram of %u bytes from %s needs "
	    "fragmentation, but the largest that was sent had %u: it was put "
	    "together on the way (LRO, GRO or RSC on a box that forwards)",
	    address_text(&c->from, from), c->quote.ip_bytes,
	    wire_end_text(f, sender, who), longest);
	flow_afflicted(f, FINDING_merged_forwarding, c->first);
}

/* The datagram begins with bytes that we have seen sent, or lies in them: where
 * the sender's side of the mirror has gone, a size that was never exceeded in
 * better times means nothing. */
static bool
was_seen(const struct flow *f, enum side sender, const struct complaint *c)
{
	const struct tcp_half *me = &f->half[sender];

	return me->flags & HALF_SEEN && seq_before(c->quote.seq, me->next);
}

static void
merging_review(void *state, struct judge *j, struct server *v, struct flow *f)
{
	struct merging *m = state;
	enum side sender;

	for (unsigned i = 0; i < m->used; i++) {
		const struct complaint *c = &m->complaint[i];
		uint32_t longest;

		if (!wire_quotes(f, &c->quote, &sender) ||
		    !instant_before(f->began, c->last))
			continue;
		longest = f->datagram_max[sender];
		if (!longest || !was_seen(f, sender, c))
			continue;
		if (c->quote.ip_bytes > longest + MARGIN_BYTES &&
		    swapped(c->quote.ip_bytes) > longest + MARGIN_BYTES &&
		    judge_trusts_repeated(j, v, f, c->count, 0) > 0)
			raise(j, v, f, sender, c, longest);
	}
}

static const size_t *
merging_awake(const void *state)
{
	return &((const struct merging *)state)->used;
}

static void *
merging_new(void)
{
	return calloc(1, sizeof(struct merging));
}

const struct detector detector_merged_forwarding = {
	.finding = FINDING_merged_forwarding,
	.meaning = "A box that forwards traffic merges segments as it receives "
	    "them (LRO, GRO, RSC), finds the result too large for the next link, "
	    "drops it and complains to the sender, who never sent anything so "
	    "large. Connections through it are hundreds of times slower than the "
	    "path.",
	.decided = "ICMP \"fragmentation needed\" (or ICMPv6 \"packet too big\") "
	    "quotes a datagram more than 64 bytes longer than the longest that "
	    "was seen of that side of that connection, and begins with bytes "
	    "that were seen sent. High when it holds a whole number of "
	    "segments, or at the third complaint.",
	.mimics = "Path MTU discovery at work (quotes datagrams that were really "
	    "sent), a mirror port before the sender's own segmentation (the long "
	    "ones are seen then), stacks that quote the length in the wrong byte "
	    "order (the swapped length fits), frames the sniffer missed (where "
	    "this connection has gaps, it must have missed several; withheld "
	    "where its sender is no longer seen).",
	.source = "RFC 792; RFC 1191; RFC 8201; vmware/open-vm-tools 166, "
	    "moby/moby 32023 and google/gvisor 14011 (merged datagrams of 2868 to "
	    "20076 bytes, 35 kB/s).",
	.awake = merging_awake,
	.on_packet = merging_packet,
	.review_flow = merging_review,
	.new = merging_new,
	.free = free,
};
