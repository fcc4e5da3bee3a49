/* host_stack_dead.c - the card still acknowledges, the host behind it is gone.
 *
 * An offload engine that holds connections goes on acknowledging them when the
 * operating system has died; whatever only the host's own stack can answer (ARP,
 * echo, new SYNs) stays unanswered. Two such kinds of question must fail, so that
 * a filter or a busy listener is not taken for a dead host. */
#include <string.h>

#include "detectors/detector.h"

extern const struct detector detector_host_stack_dead;

/* Acknowledgments this near on both sides of a question show that the card
 * lived when it was asked. */
#define NEAR_NS (10 * NS_PER_S)
#define WINDOW_NS (120 * NS_PER_S)

enum { DEAD_MIN_SYNS = 3, DEAD_MIN_ARPS = 2, DEAD_MIN_ECHOS = 2,
    DEAD_MIN_ACKS = 3 };

/* Kinds of question to the host's stack that got no answer at all. */
static unsigned
kinds_unanswered(const struct host_counts *c, const struct host *h)
{
	struct host_ever ever = host_ever(h);
	unsigned kinds = 0;

	kinds += c->syn_in >= DEAD_MIN_SYNS && ever.syn_ack_out;
	kinds += c->arp_asked >= DEAD_MIN_ARPS && ever.arp_answered;
	kinds += c->echo_asked >= DEAD_MIN_ECHOS && ever.echo_answered;
	return kinds;
}

/* So many kinds did it ever answer. */
static unsigned
kinds_answered(const struct host *h)
{
	struct host_ever ever = host_ever(h);
	unsigned kinds = 0;

	kinds += ever.syn_ack_out > 0;
	kinds += ever.arp_answered > 0;
	kinds += ever.echo_answered > 0;
	return kinds;
}

/* At most so many kinds were asked since `from`; a quick look. */
static unsigned
kinds_asked(const struct server *s, struct instant from)
{
	unsigned kinds = 0;

	kinds += instant_since(from, s->asked_syn) < ENGINE_STEP_NS;
	kinds += instant_since(from, s->asked_arp) < ENGINE_STEP_NS;
	kinds += instant_since(from, s->asked_echo) < ENGINE_STEP_NS;
	return kinds;
}

/* Did the host acknowledge something just before `t` and after it? */
static bool
near_acks(const struct server *s, struct instant t)
{
	return server_acked(s, instant_plus(t, -NEAR_NS), t) &&
	    server_acked(s, t, instant_plus(t, NEAR_NS));
}

/* Long silences of the stack are judged by their newest part. */
static struct instant
window_start(const struct judge *j, struct instant since)
{
	struct instant earliest = instant_plus(j->now, -WINDOW_NS);

	since = instant_plus(since, ENGINE_STEP_NS);
	return instant_before(since, earliest) ? earliest : since;
}

/* What was asked in the seconds in which the card acknowledged, and what was
 * answered since: a host that is mute as a whole has another illness. */
static void
count_alive_seconds(const struct server *s, struct instant from,
    struct instant to, struct host_counts *out)
{
	struct host_counts c;

	memset(out, 0, sizeof(*out));
	for (struct instant t = from; !instant_before(to, t);
	    t = instant_plus(t, ENGINE_STEP_NS)) {
		const struct second *x = server_second(s, t);

		if (!x)
			continue;
		c = x->counts;
		out->syn_ack_out += c.syn_ack_out;
		out->arp_answered += c.arp_answered;
		out->echo_answered += c.echo_answered;
		out->udp_out += c.udp_out;
		if (!near_acks(s, x->at))
			continue;
		out->syn_in += c.syn_in;
		out->arp_asked += c.arp_asked;
		out->echo_asked += c.echo_asked;
		out->acks_out += c.acks_out;
		if (!out->first_in_frame)
			out->first_in_frame = c.first_in_frame;
		if (!out->first_out_frame)
			out->first_out_frame = c.first_out_frame;
		out->last_in_frame = c.last_in_frame;
		out->last_out_frame = c.last_out_frame ? c.last_out_frame :
		    out->last_out_frame;
	}
}

static void
review_server(void *state, struct judge *j, struct server *s)
{
	struct instant since, from;
	struct host_counts c;
	struct finding *x;
	double lasted, trust;

	(void)state;
	if (!s->host || kinds_asked(s, instant_plus(j->now, -WINDOW_NS)) < 2) {
		judge_settled(j);
		return;
	}
	since = s->host->last_stack;
	from = window_start(j, since);
	lasted = seconds_of(instant_since(j->now, since));
	if (!instant_is_set(since) || kinds_asked(s, from) < 2 ||
	    kinds_answered(s->host) < 2) {
		judge_settled(j);
		return;
	}
	trust = judge_trusts(j, s, NULL, TRUST_BOTH_WAYS);
	if (lasted < j->limit->silent_s || trust <= 0)
		return;
	server_counts(s, from, j->now, &c);
	if (kinds_unanswered(&c, s->host) < 2) {
		judge_settled(j);
		return;
	}
	count_alive_seconds(s, from, j->now, &c);
	if (c.syn_ack_out || c.arp_answered || c.echo_answered || c.udp_out ||
	    c.acks_out < DEAD_MIN_ACKS ||
	    kinds_unanswered(&c, s->host) < 2)
		return;
	x = finding_raise(j, &detector_host_stack_dead, NULL, s, NULL, 0);
	x->severity = SEVERITY_CRITICAL;
	x->confidence = 0.85 * trust;
	x->side = FAULT_SERVER;
	x->count = 1;
	finding_time(x, since);
	finding_time(x, j->now);
	finding_frame(x, c.first_in_frame);
	finding_frame(x, c.first_out_frame);
	finding_frame(x, c.last_in_frame);
	finding_frame(x, c.last_out_frame);
	finding_metric(x, "lasted_s", lasted);
	finding_metric(x, "acks", c.acks_out);
	finding_metric(x, "syn_unanswered", c.syn_in);
	finding_metric(x, "arp_unanswered", c.arp_asked);
	finding_metric(x, "echo_unanswered", c.echo_asked);
	finding_say(x, "for %.0f s the host answered none of %u SYN, %u ARP and %u "
	    "echo requests, yet %u acknowledgments came for its established "
	    "connections: the network card lives, the host does not", lasted,
	    c.syn_in, c.arp_asked, c.echo_asked, c.acks_out);
}

const struct detector detector_host_stack_dead = {
	.finding = FINDING_host_stack_dead,
	.meaning = "The network card goes on acknowledging established connections "
	    "while the operating system behind it is dead.",
	.decided = "For silent_s (10 s) no SYN-ACK, ARP reply, echo reply or UDP of "
	    "the host, at least two of these kinds asked for and answered in "
	    "better times, and at least three acknowledgments on established "
	    "connections meanwhile.",
	.mimics = "A filter that drops echo and SYNs (ARP is answered then), a "
	    "listener whose backlog is full (ARP and echo are answered).",
	.source = "NDIS: SYN states, ARP, ICMP and UDP are never offloaded "
	    "(NDIS_TCP_OFFLOAD state, Connection states that can be offloaded)",
	.review_server = review_server,
};
