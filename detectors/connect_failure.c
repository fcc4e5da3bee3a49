/* connect_failure.c - connections that cannot be made to a service.
 *
 * One finding a service and kind, with how many failed of how many tried. A
 * closed port that was never open is nobody's fault, so a refusal counts only
 * where the service accepted before; silence counts when the host answers
 * something else, or did accept on that port. */
#include "detectors/detector.h"

#include <stdlib.h>
#include <string.h>

extern const struct detector detector_connect_failure;

/* A service that never accepted is only missed by so many clients and tries. */
enum { STRANGE_CLIENTS = 3, STRANGE_TRIES = 5, TRIES_FRAMES = 24 };

/* Ports of one server that are remembered. */
enum { PORTS_MAX = 512 };

/* SYN-ACKs of one connection seen before the server may be said not to hear
 * the client's ACK. */
enum { HALF_OPEN_SYN_ACKS = 3 };

enum kind { UNANSWERED, REFUSED, HALF_OPEN, KINDS };
static const char *const kind_name[KINDS] = { "unanswered", "refused",
	"half_open" };

/* What one service saw; kept by the server's state. */
struct tries {
	struct tries *next;
	uint16_t port;
	uint32_t made;			/* connections accepted */
	uint32_t failed[KINDS];
	uint32_t clients[KINDS];	/* distinct in a row, approximate */
	struct address last_client[KINDS];
	struct instant last_made, first_failed[KINDS];
	uint32_t made_since[KINDS];	/* accepted since the first failure */
};

static struct tries **
first_tries(struct server *s)
{
	return (struct tries **)&s->detector_state[FINDING_connect_failure];
}

/* The link to the port's record; or, where there is none, to the one that is to
 * make room for it (a scan must not push out the services), or to the end. */
static struct tries **
find_tries(struct tries **first, uint16_t port)
{
	struct tries **link, **oldest = NULL, **last = NULL;
	unsigned count = 0;

	for (link = first; *link; link = &(*link)->next, count++) {
		if ((*link)->port == port)
			return link;
		last = link;
		if (!(*link)->made)
			oldest = link;
	}
	if (count < PORTS_MAX)
		return link;
	return oldest ? oldest : last;
}

/* What is known of the port, if anything is. Asked for last stands in front. */
static struct tries *
known_tries(struct server *s, uint16_t port)
{
	struct tries **first = first_tries(s), **link = find_tries(first, port);
	struct tries *t = *link;

	if (!t || t->port != port)
		return NULL;
	*link = t->next;
	t->next = *first;
	*first = t;
	return t;
}

static struct tries *
tries_of(struct server *s, uint16_t port)
{
	struct tries **link = find_tries(first_tries(s), port);

	if (!*link)
		*link = calloc(1, sizeof(struct tries));
	if (!*link)
		return NULL;
	if ((*link)->port != port)
		**link = (struct tries){ .next = (*link)->next, .port = port };
	return known_tries(s, port);
}

static void
release(void *server_state)
{
	struct tries *t = server_state;

	while (t) {
		struct tries *next = t->next;

		free(t);
		t = next;
	}
}

/* A failure is counted once: a note of ours remembers. */
enum { NOTE_ATTEMPT, NOTE_FAILED };

static bool
first_time(struct judge *j, struct flow *f)
{
	struct note *n = flow_note(engine_pool(j->engine), f,
	    detector_note(FINDING_connect_failure), NOTE_FAILED, CLIENT);

	return n && !n->value[0]++;
}

static void
on_segment(void *state, struct flow_pool *pool, struct flow *f,
    const struct segment *seg)
{
	struct note *n;

	(void)state;
	/* the frames of the attempt: its SYNs, sent again, and what came back */
	if (f->state != FLOW_NEW || !(seg->facts & (SEG_SYN | SEG_SYN_ACK)))
		return;
	n = flow_note(pool, f, detector_note(FINDING_connect_failure), NOTE_ATTEMPT,
	    CLIENT);
	if (n)
		note_add(n, f->half[seg->side].last, seg->packet->frame);
}

static void
describe(struct finding *x, const struct tries *t, enum kind k)
{
	uint32_t all = t->failed[k] + t->made_since[k];

	finding_metric(x, "failed", t->failed[k]);
	finding_metric(x, "made_since", t->made_since[k]);
	finding_metric(x, "made_before", t->made - t->made_since[k]);
	finding_say(x, "%u of %u connections to port %u %s%s", t->failed[k], all,
	    t->port, k == UNANSWERED ? "got no answer to their SYN" :
	    k == REFUSED ? "were refused, though the service accepted before" :
	    "stayed half open: the server repeats its SYN-ACK as if the "
	    "client's ACK never came",
	    k == UNANSWERED && t->made ? ", though others were accepted" : "");
}

/* How much it matters: habitual failures do, an odd one out does not. */
static enum severity
weigh(const struct tries *t, enum kind k)
{
	uint32_t all = t->failed[k] + t->made_since[k];

	if (t->failed[k] < 3)
		return SEVERITY_LOW;
	return t->failed[k] * 5 >= all ? SEVERITY_MEDIUM : SEVERITY_LOW;
}

static void
count_failure(struct judge *j, struct server *s, struct flow *f, enum kind k,
    double trust)
{
	const struct note *n = flow_note_find(f,
	    detector_note(FINDING_connect_failure), NOTE_ATTEMPT,
	    CLIENT);
	struct tries *t = tries_of(s, f->port[SERVER]);
	struct finding *x;

	if (!t || !first_time(j, f))
		return;
	if (!t->failed[k]++) {
		t->first_failed[k] = f->began;
	}
	if (memcmp(&t->last_client[k], &f->addr[CLIENT], sizeof(f->addr[0])))
		t->clients[k]++;
	t->last_client[k] = f->addr[CLIENT];
	if (!t->made && (t->clients[k] < STRANGE_CLIENTS ||
	    t->failed[k] < STRANGE_TRIES))
		return;
	x = finding_raise(j, &detector_connect_failure, kind_name[k], s, NULL,
	    f->port[SERVER]);
	x->protocol = IP_TCP;
	x->count = t->failed[k];
	x->severity = weigh(t, k);
	x->confidence = 0.7 * trust;
	x->side = k == UNANSWERED ? FAULT_UNKNOWN : FAULT_SERVER;
	x->file = f->file;
	finding_time(x, f->began);
	finding_time(x, f->last);
	finding_frame(x, f->first_frame);
	for (unsigned i = 0; n && i < n->frame_count &&
	    x->frame_count < TRIES_FRAMES; i++)
		finding_frame(x, n->frame[i]);
	describe(x, t, k);
}

static void
count_made(struct judge *j, struct server *s, struct flow *f)
{
	struct tries *t;

	if (f->flags & (FLOW_COUNTED_MADE | FLOW_MIDSTREAM))
		return;
	f->flags |= FLOW_COUNTED_MADE;
	t = tries_of(s, f->port[SERVER]);
	if (!t)
		return;
	t->made++;
	t->last_made = f->established;
	for (int k = 0; k < KINDS; k++) {
		if (!t->failed[k])
			continue;
		t->made_since[k]++;
		struct finding *x = finding_lookup(j, &detector_connect_failure,
		    kind_name[k], s, NULL, f->port[SERVER]);

		if (x) {
			describe(x, t, (enum kind)k);
			x->severity = weigh(t, (enum kind)k);
		}
	}
}

static void
review_unanswered(struct judge *j, struct server *s, struct flow *f)
{
	double waited = seconds_of(instant_since(j->now, f->began));
	double trust = judge_trusts(j, s, NULL, TRUST_BOTH_WAYS | TRUST_LOSS);

	if (f->half[SERVER].flags & HALF_SEEN || f->half[CLIENT].syns < 2 || trust <= 0)
		return;
	if (waited < j->limit->connect_s) {
		judge_wake(j, f, instant_plus(f->began,
		    (int64_t)(j->limit->connect_s * 1e9)));
		return;
	}
	count_failure(j, s, f, UNANSWERED, trust);
}

static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	const struct note *rst = flow_note_find(f, NOTE_RESET, 0, SERVER);
	const struct tries *t;

	(void)state;
	if (f->protocol != IP_TCP || !f->half[CLIENT].syns)
		return;
	if (rst && rst->value[1] & RESET_REFUSES && !f->half[SERVER].syns) {
		t = known_tries(s, f->port[SERVER]);
		if (t && t->made)
			count_failure(j, s, f, REFUSED, 1);
	} else if (f->half[SERVER].syns >= HALF_OPEN_SYN_ACKS &&
	    f->half[CLIENT].flags & HALF_ACKED && !f->turns &&
	    !(f->half[SERVER].flags & HALF_DATA)) {
		count_failure(j, s, f, HALF_OPEN, judge_trusts(j, s, f,
		    TRUST_BOTH_WAYS | TRUST_LOSS));
	} else if (f->state == FLOW_NEW) {
		review_unanswered(j, s, f);
	} else if (f->half[SERVER].syns) {
		count_made(j, s, f);
	}
}

const struct detector detector_connect_failure = {
	.finding = FINDING_connect_failure,
	.meaning = "Clients cannot make connections to a service of this server.",
	.decided = "unanswered: a SYN sent at least twice without SYN-ACK or RST "
	    "for connect_s (9 s), to a service that accepted before, or by three "
	    "clients and more to one that was never seen to. refused: RST where "
	    "the service accepted before. half_open: the SYN-ACK repeated three "
	    "times although the client's ACK was seen. Fewer than three failures, "
	    "or less than a fifth of the attempts since the first, stay low.",
	.mimics = "A port scan (services that never accepted are left alone), a "
	    "filter that always was there, a mirror that shows one direction "
	    "(withheld), SYN cookies and back-log under a flood.",
	.source = "RFC 9293, 3.5; Windows 2003: SYN at 0, 3 and 9 s, given up at "
	    "21 s (TcpMaxConnectRetransmissions = 2); KB 948496",
	.kinds = (const char *const[]){ "unanswered", "refused", "half_open", NULL },
	.facts = SEG_AGAIN,
	.matters = MATTER_NOTES | MATTER_CONNECT,
	.on_segment = on_segment,
	.review_flow = review_flow,
	.release = release,
};
