/* verdict.c - which part is at fault: evidence weighed for and against each
 * candidate.
 *
 * Each rule looks at the cluster and the view and adds weights (log-odds) to
 * candidates, with the sentence that says why. The candidate with the most wins
 * if it is well ahead; otherwise the verdict is "undetermined" and the next step
 * says which observation would settle it. Weights come from how often the
 * signature is explained otherwise, not from any one capture: a near-impossible
 * coincidence is 4 and more, a strong sign 3, a sign 2, a hint 1. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "detectors/incident_internal.h"

/* Below this a candidate has nothing to stand on; and so far ahead of the next
 * it must be (e^1.2 is odds of 3 to 1). */
#define SCORE_MIN 1.8
#define LEAD_MIN 1.2

enum { RULE_LINES = 48 };

struct line {
	enum verdict candidate;
	struct evidence evidence;	/* weight may be negative here */
};

struct scale {
	struct round *r;
	const struct judge *j;
	const struct cluster *c;
	const struct view *v;
	struct incident *i;
	uint32_t stricken;		/* count_stricken() */
	unsigned lines;
	struct line line[RULE_LINES];
};

static void weigh(struct scale *, enum verdict, double weight,
    const struct finding *, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static void
weigh(struct scale *s, enum verdict candidate, double weight,
    const struct finding *x, const char *format, ...)
{
	struct line *l;
	va_list ap;

	s->i->score[candidate] += weight;
	if (s->lines == RULE_LINES)
		return;
	l = &s->line[s->lines++];
	memset(l, 0, sizeof(*l));
	l->candidate = candidate;
	l->evidence.weight = weight;
	va_start(ap, format);
	vsnprintf(l->evidence.text, sizeof(l->evidence.text), format, ap);
	va_end(ap);
	for (unsigned k = 0; x && k < x->frame_count && k < EVIDENCE_FRAMES; k++)
		l->evidence.frame[l->evidence.frame_count++] = x->frame[k];
}

static uint32_t
flows(const struct scale *s, enum finding_name name, const char *kind)
{
	return cluster_flows(s->c, name, kind);
}

static const struct finding *
first(const struct scale *s, enum finding_name name, const char *kind)
{
	return cluster_first(s->c, name, kind);
}

/* Ill in a way in which a lost offload state shows? */
static bool
shows_lost_state(const struct finding *x)
{
	switch (x->name) {
	case FINDING_flow_blackholed:
	case FINDING_keepalive_unanswered: case FINDING_stale_neighbor:
		return true;
	case FINDING_reply_missing:
		return strcmp(x->kind, "late") != 0;
	case FINDING_rpc_stall:
		return strcmp(x->kind, "no_response") == 0;
	case FINDING_orphaned_session:
		return strcmp(x->kind, "server_lost_state") == 0;
	default:
		return false;
	}
}

/* Segments that no receiver takes explain why their connection stalls. */
static bool
is_explained(const struct scale *s, uint64_t flow_id)
{
	size_t count;
	struct finding *const *x = cluster_of_flow(s->c, flow_id, &count);

	for (size_t i = 0; i < count; i++)
		if (x[i]->name == FINDING_checksum_discarded ||
		    x[i]->name == FINDING_oversized_segment ||
		    x[i]->name == FINDING_burst_lost_whole)
			return true;
	return false;
}

/* Findings that may come from a lost offload state, and from nothing plainer. */
static uint32_t
count_stricken(const struct scale *s)
{
	bool plainer = first(s, FINDING_checksum_discarded, NULL) ||
	    first(s, FINDING_oversized_segment, NULL) ||
	    first(s, FINDING_burst_lost_whole, NULL);
	uint32_t n = 0;

	for (size_t i = 0; i < s->c->count; i++)
		n += shows_lost_state(s->c->finding[i]) && !(plainer &&
		    is_explained(s, s->c->finding[i]->flow_id));
	return n;
}

/* A card that takes requests in and drops them does so to all that it carries,
 * and shows it on those that asked something since (stall_share: the lone few
 * that were idle are among the well); an application that stalls hits whom it
 * hits. And no card touches what it does not carry: where more than a few of the
 * host's own connections are ill too, something else is needed to explain those.
 * The few (host_share) are connections that were handed over with their last
 * packets: the numbers tell the stack of the packets sent, and an ill one sends
 * none. */
static bool
table_speaks(const struct scale *s)
{
	const struct offload_table *t = &s->v->table;

	if (t->affected_host > 1 &&
	    t->affected_host > s->j->limit->host_share * t->flows_host)
		return false;
	if (cluster_want(s->c) == WANT_ANSWER && t->affected_offloaded <
	    s->j->limit->stall_share * t->flows_offloaded)
		return false;
	return t->known && t->affected_offloaded >= 2 &&
	    t->odds_ratio >= s->j->limit->odds_ratio &&
	    t->p_value < s->j->limit->p_value;
}

static double
metric_of(const struct finding *x, const char *name)
{
	for (unsigned k = 0; k < x->metric_count; k++)
		if (strcmp(x->metric[k].name, name) == 0)
			return x->metric[k].value;
	return -1;
}

/* Of cut packets nobody can tell that a receiver could take them: neither sums
 * nor the MSS of the SYN were kept; nor that their lengths are what was sent. */
static bool
is_cut(const struct scale *s)
{
	return 2 * s->j->capture->snap_cut > s->j->capture->packets;
}

/* --- rules: one fault, named by its own finding ------------------------------- */

/* The findings of this name that blame this side: how many, and the first. */
static uint32_t
blamed(const struct scale *s, enum finding_name name, enum fault_side side,
    const struct finding **first_one)
{
	uint32_t n = 0;

	*first_one = NULL;
	for (size_t i = 0; i < s->c->count; i++) {
		const struct finding *x = s->c->finding[i];

		if (x->name != name || x->side != side)
			continue;
		n++;
		if (!*first_one)
			*first_one = x;
	}
	return n;
}

/* Is it the checksum around a tunnel that is wrong, not that within? */
static bool
is_outer_sum(const struct finding *x)
{
	return metric_of(x, "bad_outer_sums") * 2 > metric_of(x, "bad_segments");
}

/* Of clients it matters only where several show it (then it is in the cluster at
 * all). The end of their tunnel is one machine; elsewhere, what lies between them
 * and the mirror is as likely as several cards. */
static void
rule_client_checksums(struct scale *s)
{
	const struct finding *x;
	uint32_t n = blamed(s, FINDING_checksum_discarded, FAULT_CLIENT, &x);

	if (!x)
		return;
	if (is_outer_sum(x)) {
		weigh(s, VERDICT_client_side, 5, x, "%u connections carried "
		    "segments of clients whose tunnel's outer UDP checksum was "
		    "wrong, and the server did not take them: the card of the "
		    "tunnel's other end writes it", n);
		return;
	}
	weigh(s, VERDICT_client_side, 2, x, "%u connections carried segments of "
	    "clients whose checksum was wrong, and the server did not take them",
	    n);
	weigh(s, VERDICT_network_path, 2, x, "several clients' segments come with "
	    "wrong checksums: what lies between them and the mirror may damage "
	    "them");
}

static void
rule_checksums(struct scale *s)
{
	const struct finding *x;
	uint32_t n = blamed(s, FINDING_checksum_discarded, FAULT_SERVER, &x);

	rule_client_checksums(s);
	if (!x)
		return;
	if (x->protocol == IP_UDP) {
		weigh(s, VERDICT_checksum_offload, 5, x, "%s", x->text);
		return;
	}
	weigh(s, VERDICT_checksum_offload, n > 1 ? 7 : 5, x, "%u connection%s "
	    "carried segments of the server whose %schecksum was wrong on the "
	    "wire; the receivers discarded them and the same bytes had to be sent "
	    "again", n, n > 1 ? "s" : "", is_outer_sum(x) ? "tunnel's outer UDP " :
	    "");
}

static void
rule_segments(struct scale *s)
{
	const struct finding *x = first(s, FINDING_oversized_segment,
	    "mss_violation");
	const struct finding *burst = first(s, FINDING_burst_lost_whole, NULL);
	/* a box that forwards says itself what became of the bursts */
	const struct finding *merged = first(s, FINDING_merged_forwarding, NULL);

	if (x && x->side != FAULT_CLIENT)
		weigh(s, VERDICT_segmentation_offload, 6, x, "segments larger than "
		    "the receiver's MSS left the server on %u connections, and no "
		    "receiver accepted them", flows(s, FINDING_oversized_segment,
		    "mss_violation"));
	/* ... and if that box is this server, it is its own card */
	if (merged)
		weigh(s, merged->side == FAULT_SERVER ?
		    VERDICT_segmentation_offload : VERDICT_network_path, 6,
		    merged, "%s", merged->text);
	else if (burst)
		weigh(s, VERDICT_segmentation_offload, 4, burst, "bursts of several "
		    "segments were lost whole on %u connections while single "
		    "segments passed: segmentation is not done behind the mirror",
		    flows(s, FINDING_burst_lost_whole, NULL));
}

/* Segments that the card swaps, and segments that it swallows each time they
 * are sent. */
static void
rule_order(struct scale *s)
{
	const struct finding *x = first(s, FINDING_segments_reordered, NULL);
	const struct finding *hole = first(s, FINDING_sack_hole_unfilled, NULL);
	const struct offload_table *t = &s->v->table;
	uint32_t n = flows(s, FINDING_segments_reordered, NULL);

	if (x && x->side == FAULT_SERVER)
		weigh(s, VERDICT_segmentation_offload, n > 1 ? 5 : 3, x, "on %u "
		    "connection%s segments leave the server in another order than "
		    "its stack numbered them: its card cuts large sends and mixes "
		    "the pieces", n, n == 1 ? "" : "s");
	if (!hole || hole->side != FAULT_SERVER)
		return;
	n = flows(s, FINDING_sack_hole_unfilled, NULL);
	/* to send again is the part of whoever carries the connection */
	if (t->known && t->affected_offloaded && !t->affected_host)
		weigh(s, VERDICT_offload_engine, n > 1 ? 3.5 : 2.5, hole, "on "
		    "%u connection%s that the card carries the receiver asks for "
		    "a hole that is never filled, though the server is alive: the "
		    "card does not send again", n, n == 1 ? "" : "s");
	else
		weigh(s, VERDICT_segmentation_offload, n > 1 ? 3.5 : 2.5, hole,
		    "on %u connection%s the receiver asks for a hole that the "
		    "server, though alive, never fills: its card swallows the "
		    "resends", n, n == 1 ? "" : "s");
}

static void
rule_queue(struct scale *s)
{
	const struct finding *x = first(s, FINDING_rss_bucket_stall, NULL);

	if (!x)
		return;
	weigh(s, VERDICT_receive_side_scaling, 7, x, "%s", x->text);
}

static void
rule_host(struct scale *s)
{
	const struct finding *silent = first(s, FINDING_server_silent, NULL);
	const struct finding *dead = first(s, FINDING_host_stack_dead, NULL);
	const struct finding *hang = first(s, FINDING_egress_dead, NULL);
	const struct finding *again = first(s, FINDING_server_restart, NULL);
	const struct finding *gate = first(s, FINDING_nat_intermittent, NULL);

	/* what came back to a gateway and went no further was lost in it */
	if (gate && gate->side == FAULT_SERVER)
		weigh(s, VERDICT_server_host, 4, gate, "%s", gate->text);
	if (silent)
		weigh(s, VERDICT_server_host, 5, silent, "%s", silent->text);
	if (dead)
		weigh(s, VERDICT_server_host, 7, dead, "%s", dead->text);
	if (hang)
		weigh(s, VERDICT_server_host, 5, hang, "%s", hang->text);
	if (again)
		weigh(s, VERDICT_server_host, 4, again, "%s", again->text);
}

/* --- rules: whose connections are ill ---------------------------------------------- */

/* Only what the card carries is ill, more of it than chance makes in one case of
 * two, and too little to say that the card is it: that speaks for nobody. */
static bool
table_is_silent(const struct scale *s)
{
	const struct offload_table *t = &s->v->table;

	if (cluster_want(s->c) == WANT_ANSWER && t->affected_offloaded <
	    s->j->limit->stall_share * t->flows_offloaded)
		return false;
	return t->known && t->affected_offloaded >= 2 && !t->affected_host &&
	    t->p_value < 0.5;
}

/* The 2x2 table. Its weight is what the chance of the table says, up to e^7. */
static void
rule_table(struct scale *s)
{
	const struct offload_table *t = &s->v->table;
	uint32_t well_offloaded = t->flows_offloaded - t->affected_offloaded;
	double weight = -log(t->p_value > 1e-3 ? t->p_value : 1e-3);

	if (!t->known || !s->stricken)
		return;
	if (table_speaks(s)) {
		weigh(s, VERDICT_offload_engine, weight, s->c->finding[0],
		    "of the connections that the card carries %u of %u are "
		    "affected, of the host's own %u of %u (p = %.1g)",
		    t->affected_offloaded,
		    t->flows_offloaded, t->affected_host, t->flows_host,
		    t->p_value);
		if (well_offloaded)
			weigh(s, VERDICT_offload_engine, -0.3, NULL,
			    "%u connections that the card carries still work",
			    well_offloaded);
	} else if (t->affected_host > 2 && !t->flows_offloaded) {
		weigh(s, VERDICT_offload_engine, -2, NULL, "none of the %u "
		    "connections is carried by the card, and %u are affected",
		    t->flows_host, t->affected_host);
	} else if (t->affected_host + well_offloaded > 2 && !table_is_silent(s)) {
		weigh(s, VERDICT_offload_engine, -2, NULL, "trouble does not follow "
		    "the offload: %u of %u offloaded and %u of %u host-stack "
		    "connections are affected (p = %.2g)", t->affected_offloaded,
		    t->flows_offloaded, t->affected_host, t->flows_host,
		    t->p_value);
	}
}

/* Established connections dead, new ones well: what TOE trouble looks like even
 * where the IP IDs do not tell. A stateful device can do it too. */
static void
rule_split_brain(struct scale *s)
{
	if (!s->stricken || !s->v->fresh_served || s->v->fresh_dead)
		return;
	weigh(s, VERDICT_offload_engine, s->v->table.known ? 0.5 : 1, NULL,
	    "%u connections made after the onset were accepted and answered: old "
	    "ones die, new ones work", s->v->fresh_served);
}

/* A notice is repeated each 60 s (MS-OXCNOTIF, 3.1.2): half of that after the
 * onset it is no longer one that was under way. */
#define PUSH_AFTER_NS (30 * NS_PER_S)
#define PUSH_TEXT "unasked UDP notices still go out to %u clients: the service " \
	"behind the stuck connections is alive"

/* What the host still does while its connections are stuck. */
static void
rule_contrast(struct scale *s)
{
	const struct server *v = s->c->server;
	struct host_counts c;
	unsigned pushes = 0;

	/* where answers come, though late, everything behind them is alive */
	if (!s->stricken || flows(s, FINDING_rpc_stall, "slow_response") >= 2)
		return;
	server_counts(v, s->c->start, s->c->last, &c);
	if (c.arp_answered || c.echo_answered)
		weigh(s, VERDICT_offload_engine, 0.3, NULL, "the host itself is "
		    "alive: %u ARP and %u echo requests answered meanwhile",
		    c.arp_answered, c.echo_answered);
	for (size_t i = 0; i < v->push_count; i++)
		pushes += instant_since(v->push[i].last, s->c->start) >
		    PUSH_AFTER_NS && v->push[i].count > 1;
	if (pushes < 2)
		return;
	weigh(s, VERDICT_offload_engine, 2, NULL, PUSH_TEXT, pushes);
	weigh(s, VERDICT_server_application, -2, NULL, PUSH_TEXT, pushes);
}

/* A stack keeps one next hop and one path size for all connections that go the
 * same way; only a card that carries connections keeps them for each. */
static void
rule_neighbor(struct scale *s)
{
	const struct finding *x = first(s, FINDING_stale_neighbor, NULL);

	if (x)
		weigh(s, VERDICT_offload_engine, 3, x, "%u connections go on using "
		    "an old next hop or path size while others of the same host "
		    "have followed: one stack has one of it (%s)", flows(s,
		    FINDING_stale_neighbor, NULL), x->text);
}

/* What no sound stack sends, on connections that the card carries. */
static void
rule_broken_tcp(struct scale *s)
{
	static const enum finding_name names[] = { FINDING_window_collapse,
		FINDING_sequence_violation, FINDING_option_violation,
		FINDING_handover_violation };

	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		const struct finding *x = first(s, names[k], NULL);
		const struct offload_table *t = &s->v->table;
		bool only_offloaded = t->known && t->affected_offloaded &&
		    !t->affected_host;
		uint32_t n = flows(s, names[k], NULL);

		if (!x || x->side == FAULT_CLIENT)
			continue;
		weigh(s, VERDICT_offload_engine, only_offloaded ? 4 : 1.5, x,
		    "%s on %u connection%s%s: no sound stack does that (%s)",
		    finding_name_text(names[k]), n, n == 1 ? "" : "s",
		    only_offloaded ? ", offloaded ones only" : "", x->text);
	}
}

static const struct port_view *
worst_port(const struct view *v)
{
	const struct port_view *worst = NULL;

	for (size_t i = 0; i < v->ports; i++)
		if (!worst || v->port[i].affected > worst->affected)
			worst = &v->port[i];
	return worst;
}

static bool
is_slow(const struct finding *x)
{
	return x->name == FINDING_rpc_stall && strcmp(x->kind, "slow_response") == 0;
}

/* Late answers of a host that said something to others meanwhile; of one that
 * said nothing at all it is not known who was late. */
static uint32_t
slow_alone(const struct scale *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s->c->count; i++)
		n += is_slow(s->c->finding[i]) &&
		    metric_of(s->c->finding[i], "host_spoke") > 0;
	return n;
}

/* Questions by datagram are answered well after the trouble began. */
static bool
answers_datagrams(const struct scale *s)
{
	const struct service *v = s->c->server->services;

	while (v && (v->protocol != IP_UDP || !instant_before(instant_plus(
	    s->c->start, (int64_t)(s->j->limit->user_notices_s * 1e9)),
	    v->last_answered)))
		v = v->next;
	return v;
}

/* TCP takes the requests in, and no one answers: on new connections as on old. */
static void
rule_application(struct scale *s)
{
	double trust = judge_trusts(s->j, s->c->server, NULL, TRUST_BOTH_WAYS);
	uint32_t slow = slow_alone(s);
	uint32_t stalled = flows(s, FINDING_reply_missing, NULL) +
	    flows(s, FINDING_rpc_stall, NULL);
	const struct port_view *p = worst_port(s->v);
	const struct finding *x = first(s, FINDING_reply_missing, NULL);
	const struct finding *late = first(s, FINDING_reply_missing, "late");

	/* where it is said as a step of the logon, it is said */
	if (late && !first(s, FINDING_logon_slow, NULL))
		weigh(s, VERDICT_server_application, 4, late, "%s", late->text);
	if (stalled < 2 || !p)
		return;
	if (s->v->fresh_dead >= 2 && !p->fresh_served)
		weigh(s, VERDICT_server_application, 5, x, "%u connections made "
		    "after the onset were accepted and never answered either: the "
		    "transport is well, nobody serves it", s->v->fresh_dead);
	/* whom it answers may be on the side that is not mirrored */
	if (trust > 0 && !p->served && p->unheard >= 2)
		weigh(s, VERDICT_server_application, 2.5 * trust, NULL, "port %u answers "
		    "nobody any more (%u connections), acknowledging everything",
		    p->port, p->unheard);
	if (!s->v->served && s->v->fresh_dead && !answers_datagrams(s))
		weigh(s, VERDICT_server_host, 1, NULL, "no service of the host "
		    "answers any more");
	if (slow >= 2)
		weigh(s, VERDICT_server_application, 3, first(s,
		    FINDING_rpc_stall, "slow_response"), "answers do come, late, "
		    "on %u connections: TCP carries requests and answers, the "
		    "application is slow", slow);
	if (!p->served && s->v->served && !table_speaks(s))
		weigh(s, VERDICT_server_application, 1.5, NULL, "other services of "
		    "the same host answer (%u connections)", s->v->served);
}

/* Half a request is its client's doing; the server's part begins where others
 * wait because of it. */
static void
rule_fragment(struct scale *s)
{
	const struct finding *x = first(s, FINDING_rpc_fragment_stuck, NULL);
	uint32_t waiting = flows(s, FINDING_rpc_stall, NULL) +
	    flows(s, FINDING_reply_missing, NULL);
	char who[ADDRESS_TEXT_BYTES];

	if (!x)
		return;
	address_text(&x->client, who);
	if (waiting)
		weigh(s, VERDICT_server_application, 5, x, "client %s left a "
		    "request half sent; a store that waits for the rest serves "
		    "nobody else (Q149819)", who);
	weigh(s, VERDICT_client_side, is_cut(s) ? 1 : waiting ? 2 : 3, x,
	    "client %s never sent the rest of its request", who);
}

static void
rule_windows(struct scale *s)
{
	uint32_t n = flows(s, FINDING_zero_window_stall, NULL);

	if (!n)
		return;
	weigh(s, VERDICT_server_application, 3, first(s, FINDING_zero_window_stall,
	    NULL), "the receive window of %u connections stays at zero while probes "
	    "are answered: the application no longer reads", n);
}

/* Of the clients that vanished, those that live on other connections. */
static uint32_t
vanished_alive(const struct scale *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s->c->count; i++) {
		const struct finding *x = s->c->finding[i];

		n += x->name == FINDING_orphaned_session &&
		    strcmp(x->kind, "client_vanished") == 0 &&
		    metric_of(x, "client_alive") > 0;
	}
	return n;
}

/* A crash takes all of a client's connections: one that was there before and is
 * used again later belongs to a client that slept, or that the path cut off. */
static bool
kept_another(const struct server *v, const struct finding *x)
{
	for (size_t i = 0; i < v->outcome_count; i++) {
		const struct outcome *o = v->outcome[i];

		if (o->flow_id != x->flow_id && instant_is_set(o->established) &&
		    instant_before(o->established, x->first_seen) &&
		    instant_before(x->last_seen, o->last_asked) &&
		    address_compare(&o->client, &x->client) == 0)
			return true;
	}
	return false;
}

static uint32_t
still_there(const struct scale *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s->c->count; i++) {
		const struct finding *x = s->c->finding[i];

		n += x->name == FINDING_orphaned_session &&
		    strcmp(x->kind, "client_vanished") == 0 &&
		    kept_another(s->c->server, x);
	}
	return n;
}

/* Sessions that were closed for no other reason, and that the server keeps open.
 * Who closes after waiting in vain for an answer shows again what that showed. */
static uint32_t
kept_open(const struct scale *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s->c->count; i++) {
		const struct finding *x = s->c->finding[i];

		n += x->name == FINDING_orphaned_session &&
		    strcmp(x->kind, "server_never_closed") == 0 &&
		    metric_of(x, "gave_up") <= 0;
	}
	return n;
}

/* What rests on packets that did not come: of one session they may as well have
 * been missed. */
static double
by_witnesses(uint32_t sessions)
{
	return sessions > 2 ? 3 : sessions > 1 ? 2 : 1;
}

static void
rule_sessions(struct scale *s)
{
	uint32_t never = kept_open(s);
	uint32_t gone = flows(s, FINDING_orphaned_session, "client_vanished");
	uint32_t elsewhere = vanished_alive(s);
	uint32_t stale = flows(s, FINDING_orphaned_session, "stale_tuple");
	const struct finding *leak = first(s, FINDING_session_leak, NULL);

	/* where requests stall, that closes stall too says nothing more; and an
	 * application knows nothing of who carries its connections */
	if (never && !s->stricken && !table_speaks(s))
		weigh(s, VERDICT_server_application, by_witnesses(never), first(s,
		    FINDING_orphaned_session, "server_never_closed"), "%u sessions "
		    "that their clients closed are kept open by the server, which "
		    "acknowledged the close", never);
	if (leak)
		weigh(s, VERDICT_server_application, 3, leak, "%s", leak->text);
	if (gone && !stale && 2 * elsewhere > gone)
		weigh(s, VERDICT_network_path, is_cut(s) ? 1 : 2, first(s,
		    FINDING_orphaned_session, "client_vanished"), "on %u connections "
		    "the server asks in vain, and the clients of %u of them are "
		    "heard on others: something between loses these", gone,
		    elsewhere);
	else if (gone && !stale && 2 * still_there(s) > gone)
		weigh(s, VERDICT_client_side, 1, first(s,
		    FINDING_orphaned_session, "client_vanished"), "on %u connections "
		    "the server asks in vain, but most of the clients use others "
		    "later that they had before", gone);
	else if (gone && !stale)
		weigh(s, VERDICT_client_side, by_witnesses(gone), first(s,
		    FINDING_orphaned_session, "client_vanished"), "on %u connection%s "
		    "the server asks and the client is gone", gone,
		    gone == 1 ? "" : "s");
	if (stale)
		weigh(s, VERDICT_offload_engine, s->v->table.known &&
		    !s->v->table.affected_host ? 3 : 1.5, first(s,
		    FINDING_orphaned_session, "stale_tuple"), "resets and new SYNs "
		    "do not reach the owner of %u old sessions: whoever holds them "
		    "is deaf%s", stale, s->v->table.known &&
		    !s->v->table.affected_host ? ", and the card holds them" : "");
}

/* Dead at the TCP level without following the offload: the path may be it. */
static void
rule_path(struct scale *s)
{
	uint32_t dead = flows(s, FINDING_flow_blackholed, NULL) +
	    flows(s, FINDING_keepalive_unanswered, NULL) +
	    flows(s, FINDING_orphaned_session, "server_lost_state");

	if (!dead || table_speaks(s) || table_is_silent(s) ||
	    first(s, FINDING_rss_bucket_stall, NULL))
		return;
	weigh(s, VERDICT_network_path, 1.5, NULL, "%u established connection%s "
	    "dead without regard to the offload, as behind a firewall that lost "
	    "its table", dead, dead == 1 ? " is" : "s are");
}

/* Stateful devices forget connections by their idleness and nothing else: the
 * shortest time-outs in use are around a minute. */
#define FORGOTTEN_IDLE_S 45.0
enum { FORGOTTEN_MIN = 3 };

/* Connections that were there that long before the trouble and went on after it
 * began, without ever being silent for so long: there must be some. One that was
 * silent, and went on, was not forgotten: then there is no such device. */
static bool
busy_ones_live(const struct scale *s, double shortest)
{
	const struct server *v = s->c->server;
	struct instant then = instant_plus(s->c->start, -(int64_t)(shortest * 1e9));
	unsigned busy = 0;

	for (size_t i = 0; i < v->outcome_count; i++) {
		const struct outcome *o = v->outcome[i];
		size_t ill;

		cluster_of_flow(s->c, o->flow_id, &ill);
		if (ill)
			continue;
		if (o->silent_s >= shortest)
			return false;
		busy += instant_before(o->established, then) &&
		    instant_before(s->c->start, o->last_answered);
	}
	return busy > 0;
}

static void
rule_idle(struct scale *s)
{
	double shortest = -1;
	uint32_t n = 0;

	for (size_t i = 0; i < s->c->count; i++) {
		const struct finding *x = s->c->finding[i];
		double idle = metric_of(x, "idle_before_s");

		if (x->name != FINDING_flow_blackholed &&
		    x->name != FINDING_orphaned_session)
			continue;
		if (idle < 0)
			continue;
		n++;
		if (shortest < 0 || idle < shortest)
			shortest = idle;
	}
	if (n < FORGOTTEN_MIN || shortest < FORGOTTEN_IDLE_S ||
	    !busy_ones_live(s, shortest))
		return;
	weigh(s, VERDICT_network_path, 2.5, NULL, "all %u dead connections had been "
	    "idle for at least %.0f s, and busy ones live: a firewall or NAT that "
	    "forgets idle connections does that", n, shortest);
	weigh(s, VERDICT_offload_engine, -1.5, NULL, "only idle connections are "
	    "hit (%.0f s and more)", shortest);
}

/* Segments lost, swapped or damaged explain a slow transfer; where none of that is
 * found, what it waits for says where to look, and no more. */
static void
rule_transfers(struct scale *s)
{
	const struct finding *window = first(s, FINDING_throughput_collapse,
	    "window_limited");
	const struct finding *timer = first(s, FINDING_throughput_collapse,
	    "rto_limited");
	const struct finding *ack = first(s, FINDING_throughput_collapse,
	    "delayed_ack_limited");

	if (first(s, FINDING_burst_lost_whole, NULL) ||
	    first(s, FINDING_segments_reordered, NULL) ||
	    first(s, FINDING_merged_forwarding, NULL) ||
	    first(s, FINDING_oversized_segment, NULL) ||
	    first(s, FINDING_checksum_discarded, NULL))
		return;
	if (window && window->side == FAULT_SERVER) {
		weigh(s, VERDICT_server_application, 2, window, "%s",
		    window->text);
		weigh(s, VERDICT_server_host, 1, window, "%s", window->text);
	}
	if (timer) {
		weigh(s, VERDICT_network_path, 1.5, timer, "%s", timer->text);
		weigh(s, VERDICT_segmentation_offload, 1, timer, "%s",
		    timer->text);
	}
	if (ack)
		weigh(s, VERDICT_server_application, 1.5, ack, "%s", ack->text);
}

static void
rule_services(struct scale *s)
{
	const struct finding *dhcp = first(s, FINDING_dhcp_unanswered, NULL);
	const struct finding *logon = first(s, FINDING_logon_slow, NULL);
	const struct finding *vpn = first(s, FINDING_vpn_data_dead, NULL);
	const struct finding *ftp = first(s, FINDING_ftp_data_failure, NULL);
	const struct finding *connect = first(s, FINDING_connect_failure, NULL);
	const struct finding *wrong;

	if (dhcp)
		weigh(s, VERDICT_server_application, 3, dhcp, "%s", dhcp->text);
	if (logon)
		weigh(s, VERDICT_server_application, 3, logon, "%s", logon->text);
	if (vpn)
		weigh(s, VERDICT_network_path, 1, vpn, "%s", vpn->text);
	if (ftp)
		weigh(s, VERDICT_network_path, 1.5, ftp, "%s", ftp->text);
	/* SYNs with wrong checksums get no answer, and that is why */
	if (connect && !first(s, FINDING_server_silent, NULL) &&
	    !blamed(s, FINDING_checksum_discarded, FAULT_CLIENT, &wrong)) {
		/* a refusal is an answer: the path is there */
		if (!first(s, FINDING_connect_failure, "refused"))
			weigh(s, VERDICT_network_path, 1, connect, "%s",
			    connect->text);
		weigh(s, VERDICT_server_host, 1, connect, "%s", connect->text);
	}
}

/* The same trouble at the same time elsewhere is not this server's. */
static void
rule_neighbours(struct scale *s)
{
	struct neighbours_count n = round_neighbours(s->r, s->c->server,
	    s->c->start, s->c->last, s->c->finding[0]->name);

	if (n.alike)
		weigh(s, VERDICT_network_path, 1.5, NULL, "%u other server%s on this "
		    "mirror show%s the same at the same time", n.alike,
		    n.alike > 1 ? "s" : "", n.alike > 1 ? "" : "s");
	else if (n.well && s->i->score[VERDICT_network_path] < 2)
		weigh(s, VERDICT_network_path, -1, NULL, "%u other server%s on this "
		    "mirror %s well in the same time", n.well,
		    n.well > 1 ? "s" : "", n.well > 1 ? "are" : "is");
}

static void
rule_capture(struct scale *s)
{
	double lost = capture_lost_share(s->j->capture);
	double dropped = capture_dropped_share(s->j->capture);

	lost = dropped > lost ? dropped : lost;
	if (lost <= s->j->limit->capture_loss_limit)
		return;
	for (int v = 0; v < VERDICT_undetermined; v++)
		s->i->score[v] *= 0.8;
	weigh(s, VERDICT_undetermined, 0.3, NULL, "the capture itself lost %.1f %% "
	    "of the %s", 100 * lost, lost > dropped ? "bytes" : "packets");
}

/* --- the outcome -------------------------------------------------------------------- */

static enum verdict
best_candidate(const struct incident *i, double *lead)
{
	enum verdict best = 0;
	double second = 0;

	for (int v = 1; v < VERDICT_undetermined; v++)
		if (i->score[v] > i->score[best])
			best = (enum verdict)v;
	for (int v = 0; v < VERDICT_undetermined; v++)
		if (v != (int)best && i->score[v] > second)
			second = i->score[v];
	*lead = i->score[best] - second;
	return best;
}

static double
confidence_of(const struct incident *i, enum verdict v)
{
	double sum = exp(1.0);		/* what nobody thought of */

	for (int k = 0; k < VERDICT_undetermined; k++)
		sum += exp(i->score[k]);
	return exp(i->score[v]) / sum > 0.99 ? 0.99 : exp(i->score[v]) / sum;
}

/* How sure it is that something is wrong at all: each finding is half a witness,
 * for they share a capture. */
static double
confidence_of_trouble(const struct cluster *c)
{
	double doubt = 1;

	for (size_t i = 0; i < c->count; i++)
		doubt *= 1 - 0.5 * c->finding[i]->confidence;
	return doubt < 0.05 ? 0.95 : 1 - doubt;
}

static bool
is_nearer(const struct evidence *a, const struct evidence *b)
{
	return fabs(a->weight) > fabs(b->weight);
}

static void
list_evidence(struct evidence *list, unsigned *count, const struct evidence *e)
{
	unsigned at = *count < INCIDENT_EVIDENCE ? (*count)++ :
	    INCIDENT_EVIDENCE - 1;

	while (at > 0 && is_nearer(e, &list[at - 1])) {
		list[at] = list[at - 1];
		at--;
	}
	list[at] = *e;
	list[at].weight = fabs(e->weight);
}

static bool
has_line(const struct evidence *list, unsigned count, const char *text)
{
	for (unsigned k = 0; k < count; k++)
		if (strcmp(list[k].text, text) == 0)
			return true;
	return false;
}

static bool
speaks_for(const struct incident *i, const struct line *l)
{
	bool own = l->candidate == i->verdict ||
	    i->verdict == VERDICT_undetermined;

	return own == (l->evidence.weight > 0);
}

/* A live host with new connections hints at the card, no more: against a dead
 * host it counts, against any other verdict it says nothing. */
static bool
speaks_against(const struct incident *i, const struct line *l)
{
	if (speaks_for(i, l))
		return false;
	return l->candidate != VERDICT_offload_engine ||
	    i->verdict == VERDICT_server_host ||
	    i->verdict == VERDICT_offload_engine || l->evidence.weight >= 1;
}

/* What speaks for it first: the same words cannot speak against it as well. */
static void
set_evidence(struct scale *s)
{
	struct incident *i = s->i;

	for (unsigned k = 0; k < s->lines; k++) {
		const struct evidence *e = &s->line[k].evidence;

		if (speaks_for(i, &s->line[k]) && !has_line(i->evidence,
		    i->evidence_count, e->text))
			list_evidence(i->evidence, &i->evidence_count, e);
	}
	for (unsigned k = 0; k < s->lines; k++) {
		const struct evidence *e = &s->line[k].evidence;

		if (speaks_against(i, &s->line[k]) && !has_line(i->evidence,
		    i->evidence_count, e->text) && !has_line(i->against,
		    i->against_count, e->text))
			list_evidence(i->against, &i->against_count, e);
	}
}

static const char *const next_steps[VERDICT_COUNT] = {
	[VERDICT_offload_engine] = "switch the connection offload off for a minute "
	    "(below): if it is the card, the old sessions reset and come back well",
	[VERDICT_checksum_offload] = "switch transmit checksum offload off on the "
	    "server and capture again: bad checksums must be gone",
	[VERDICT_segmentation_offload] = "switch large send offload off on the "
	    "server and repeat one large transfer",
	[VERDICT_receive_side_scaling] = "switch receive side scaling off: the "
	    "stalled connections must move again at once",
	[VERDICT_server_application] = "look at the process behind these ports on "
	    "the server (threads, CPU, disk); its transport is sound",
	[VERDICT_server_host] = "look at the server's console: is it alive, does it "
	    "answer at its keyboard, what does its switch port say",
	[VERDICT_network_path] = "capture on the other side of the device between "
	    "mirror and server and compare the same frames",
	[VERDICT_client_side] = "look at the clients named: were they switched off, "
	    "asleep or disconnected",
	[VERDICT_undetermined] = "switch the connection offload off for a minute "
	    "(below), or capture at the server's port: the old connections then come back "
	    "(the card) or not (the application, the path)",
};

/* "The server acknowledges their requests ... and answers none": what a stall
 * looks like from outside. */
static void
say_stall(const struct scale *s, char *out, size_t size)
{
	double quickest = -1;
	uint32_t n = 0;

	for (size_t k = 0; k < s->c->count; k++) {
		const struct finding *x = s->c->finding[k];
		double ms = metric_of(x, "acked_after_ms");

		if ((x->name != FINDING_rpc_stall && x->name !=
		    FINDING_reply_missing) || (x->kind && strcmp(x->kind,
		    "slow_response") == 0))
			continue;
		n++;
		if (ms >= 0 && (quickest < 0 || ms < quickest))
			quickest = ms;
	}
	*out = '\0';
	if (n > 1 && quickest >= 0)
		snprintf(out, size, "; the server acknowledges their requests (at "
		    "best after %.1f ms), and %u were never answered", quickest, n);
}

/* Where it cannot be told: which candidates are left, the likeliest first. */
static void
say_candidates(const struct incident *i, char *out, size_t size)
{
	static const char *const plain[] = { "the card's TCP offload",
		"its transmit checksums", "its segmentation",
		"one of its receive queues", "the application", "the host",
		"the network path", "the clients" };
	bool said[VERDICT_COUNT] = { false };
	size_t at = 0;

	*out = '\0';
	for (int n = 0; n < 3 && at < size; n++) {
		int best = -1;

		for (int v = 0; v < VERDICT_undetermined; v++)
			if (!said[v] && i->score[v] > SUSPECT_SCORE &&
			    (best < 0 || i->score[v] > i->score[best]))
				best = v;
		if (best < 0)
			break;
		said[best] = true;
		at += (size_t)snprintf(out + at, size - at, "%s%s", n ? ", " :
		    "; it may be ", plain[best]);
	}
}

/* Where nothing points to the card, its offload is left alone. */
static const char *
next_step_of(const struct incident *i)
{
	if (i->finding_count[FINDING_merged_forwarding])
		return "switch merging (LRO, GRO, RSC) off on the box that complains: "
		    "the transfers through it must be quick at once";
	if (i->verdict == VERDICT_undetermined &&
	    i->finding_count[FINDING_throughput_collapse])
		return "repeat one transfer with a capture at each end: what one end "
		    "sent and the other did not get is lost between; if nothing is, "
		    "it is the end that is waited for";
	if (i->verdict == VERDICT_undetermined &&
	    i->score[VERDICT_offload_engine] <= SUSPECT_SCORE)
		return "see on the server whether the service runs and listens "
		    "(netstat -an), and capture next to the server as well: what "
		    "does not get there is lost on the way";
	return next_steps[i->verdict];
}

static void
set_words(struct scale *s)
{
	struct incident *i = s->i;
	char stall[120], left[120];

	snprintf(i->next_step, sizeof(i->next_step), "%s", next_step_of(i));
	say_stall(s, stall, sizeof(stall));
	say_candidates(i, left, sizeof(left));
	if (i->flows_affected)
		snprintf(i->summary, sizeof(i->summary), "%u of %u clients and %u "
		    "of %u connections are affected%s%s", i->clients_affected,
		    i->clients_seen, i->flows_affected, i->flows_seen, stall,
		    i->verdict == VERDICT_undetermined ? left : "");
	else
		snprintf(i->summary, sizeof(i->summary), "%.*s",
		    EVIDENCE_TEXT_BYTES - 1, s->c->finding[0]->text);
}

void
verdict_weigh(struct round *r, const struct cluster *c, const struct view *v,
    struct incident *i)
{
	static void (*const rules[])(struct scale *) = {
		rule_checksums, rule_segments, rule_order, rule_queue,
		rule_host, rule_table, rule_split_brain, rule_contrast, rule_neighbor,
		rule_broken_tcp, rule_application,
		rule_fragment, rule_windows, rule_sessions, rule_path, rule_idle,
		rule_services, rule_transfers, rule_neighbours, rule_capture,
	};
	struct scale s = { .r = r, .j = r->j, .c = c, .v = v, .i = i };
	double lead;

	s.stricken = count_stricken(&s);
	for (size_t k = 0; k < sizeof(rules) / sizeof(rules[0]); k++)
		rules[k](&s);
	i->verdict = best_candidate(i, &lead);
	if (i->score[i->verdict] < SCORE_MIN || lead < LEAD_MIN)
		i->verdict = VERDICT_undetermined;
	i->confidence = i->verdict == VERDICT_undetermined ?
	    confidence_of_trouble(c) : confidence_of(i, i->verdict);
	set_evidence(&s);
	set_words(&s);
}
