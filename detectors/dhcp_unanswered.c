/* dhcp_unanswered.c - a DHCP server that used to answer and no longer does.
 *
 * The hard part is whose silence it is. A client without an address asks
 * everybody, so a request counts against the server that served this client
 * before, or against the one that answers most; and only when nobody else
 * answered it either. A client that asks once may have been answered out of
 * our sight or gone away: only one that went on asking through its retries (RFC
 * 2131, 4.1: after 4, 8, 16 s, each give or take one) was left alone. */
#include "detectors/detector.h"

#include <stdlib.h>

#include "capture/app_dhcp.h"
#include "detectors/memo.h"
#include "detectors/registry.h"
#include "detectors/subject.h"

enum {
	DIALOGUES = 4096, CLIENTS = 4096, SERVERS = 32,
	DIALOGUE_FRAMES = 4,
	TRIES_MIN = 3,			/* asked at 0, 4 and 12 s */
	PATIENCE_S = 10,		/* between the first and the third */
	LAST_TRY_S = 2,			/* for the answer to the last of them */
	SAME_TRY_MS = 1000,		/* a relay's copy of it, not another one */
	WITNESSES_MAX = 64,
	DHCP_PORT = 67,
};

/* What one client asks under one transaction id. */
struct dialogue {
	uint64_t mac, xid;
	struct address asked;		/* the server meant; unspecified: any */
	struct instant first, last;
	uint32_t tries;
	uint32_t file;
	uint8_t message;		/* enum dhcp_message */
	bool answered, relayed;
	uint8_t frames;
	uint64_t frame[DIALOGUE_FRAMES];	/* the first ones and the last */
};

/* How a client was answered last. */
struct client {
	struct address server;
	bool relayed;
};

struct answerer {
	struct address address;
	uint64_t answered;
	struct instant last;
	uint64_t last_frame;
	uint32_t told;			/* requests counted when last raised */
};

struct dhcp {
	struct memo *dialogues;
	struct memo *clients;		/* struct client */
	size_t server_count;
	struct answerer server[SERVERS];
};

extern const struct detector detector_dhcp_unanswered;

static void
dhcp_free(void *state)
{
	struct dhcp *d = state;

	if (!d)
		return;
	memo_free(&d->dialogues);
	memo_free(&d->clients);
	free(d);
}

static void *
dhcp_new(void)
{
	struct dhcp *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->dialogues = memo_new(DIALOGUES, sizeof(struct dialogue));
	d->clients = memo_new(CLIENTS, sizeof(struct client));
	if (!d->dialogues || !d->clients) {
		dhcp_free(d);
		return NULL;
	}
	return d;
}

/* --- the packet phase --- */

static struct dialogue *
dialogue_of(struct dhcp *d, const struct app_event *e)
{
	struct dialogue *x = memo_make(d->dialogues,
	    subject_number(subject_number(SUBJECT_BEGIN, e->value), e->key));

	x->mac = e->value;
	x->xid = e->key;
	return x;
}

static void
note_request(struct dhcp *d, const struct app_event *e)
{
	unsigned message = e->label & 0xffff;
	struct dialogue *x;
	bool again;

	if (message != DHCP_DISCOVER && message != DHCP_REQUEST &&
	    message != DHCP_INFORM)
		return;			/* the others are not answered */
	x = dialogue_of(d, e);
	x->relayed |= (e->label >> 16 & 0xff) == DHCP_RELAYED;
	again = x->tries && !x->answered && x->message == message;
	if (again && instant_since(e->time, x->last) < SAME_TRY_MS * NS_PER_MS) {
		if (address_is_unspecified(&x->asked) || !address_v4(&x->asked))
			x->asked = e->peer;	/* the relay knows whom to ask */
		return;
	}
	if (!again) {
		x->tries = x->frames = 0;
		x->answered = false;
		x->first = e->time;
		x->message = (uint8_t)message;
		x->asked = e->peer;
		x->file = e->packet ? e->packet->file : 0;
	}
	x->tries++;
	x->last = e->time;
	if (x->frames < DIALOGUE_FRAMES)
		x->frames++;
	x->frame[x->frames - 1] = e->frame;
}

static struct answerer *
answerer_of(struct dhcp *d, const struct address *a)
{
	for (size_t i = 0; i < d->server_count; i++)
		if (!address_compare(&d->server[i].address, a))
			return &d->server[i];
	if (d->server_count == SERVERS)
		return NULL;
	d->server[d->server_count] = (struct answerer){ .address = *a };
	return &d->server[d->server_count++];
}

static void
note_reply(struct dhcp *d, const struct app_event *e)
{
	struct dialogue *x = dialogue_of(d, e);
	struct answerer *s = answerer_of(d, &e->address);
	struct client *c;

	x->answered = true;
	if (!s)
		return;
	s->answered++;
	s->last = e->time;
	s->last_frame = e->frame;
	c = memo_make(d->clients, subject_number(SUBJECT_BEGIN, e->value));
	c->server = e->address;
	c->relayed = x->relayed;
}

static void
on_app(void *state, const struct app_event *e)
{
	if (e->what == APP_NOTE_DHCP_REQUEST)
		note_request(state, e);
	else if (e->what == APP_NOTE_DHCP_REPLY)
		note_reply(state, e);
}

/* --- the step phase --- */

/* What was asked of one server since it last answered anybody. */
struct silence {
	uint64_t witness[WITNESSES_MAX];	/* clients that tried in vain */
	size_t witnesses;
	uint32_t requests;
	uint32_t renewals;		/* of these clients had an address */
	struct instant first, last;
	uint32_t file;
	size_t frames;
	uint64_t frame[FINDING_FRAMES];
};

static const struct answerer *
busiest(const struct dhcp *d)
{
	const struct answerer *most = &d->server[0];

	for (size_t i = 1; i < d->server_count; i++)
		if (d->server[i].answered > most->answered)
			most = &d->server[i];
	return most;
}

static bool
is_due_from(struct dhcp *d, const struct answerer *s, const struct dialogue *x)
{
	const struct client *known;

	if (!address_is_unspecified(&x->asked) && address_v4(&x->asked))
		return !address_compare(&x->asked, &s->address);
	known = memo_find(d->clients, subject_number(SUBJECT_BEGIN, x->mac));
	if (!known)
		return s == busiest(d);
	if (known->relayed && !x->relayed)
		return false;		/* it never got as far as the server */
	return !address_compare(&known->server, &s->address);
}

static void
silence_add(struct silence *q, const struct dialogue *x, struct instant now)
{
	q->requests += x->tries;
	q->renewals += x->message == DHCP_REQUEST;
	if (!instant_is_set(q->first) || instant_before(x->first, q->first)) {
		q->first = x->first;
		q->file = x->file;
	}
	if (instant_before(q->last, x->last))
		q->last = x->last;
	for (unsigned i = 0; i < x->frames && q->frames < FINDING_FRAMES; i++)
		q->frame[q->frames++] = x->frame[i];
	if (x->tries < TRIES_MIN ||
	    instant_since(x->last, x->first) < PATIENCE_S * NS_PER_S ||
	    instant_since(now, x->last) < LAST_TRY_S * NS_PER_S)
		return;
	for (size_t i = 0; i < q->witnesses; i++)
		if (q->witness[i] == x->mac)
			return;
	if (q->witnesses < WITNESSES_MAX)
		q->witness[q->witnesses++] = x->mac;
}

static void
silence_gather(struct dhcp *d, const struct answerer *s, struct instant now,
    struct silence *q)
{
	size_t cursor = 0;
	struct dialogue *x;

	*q = (struct silence){ 0 };
	while ((x = memo_each(d->dialogues, &cursor, NULL)))
		if (!x->answered && instant_before(s->last, x->first) &&
		    is_due_from(d, s, x))
			silence_add(q, x, now);
}

static void
describe(struct finding *x, const struct answerer *s, const struct silence *q,
    bool alive)
{
	double silent = seconds_of(instant_since(q->last, s->last));

	finding_metric(x, "clients", (double)q->witnesses);
	finding_metric(x, "requests", q->requests);
	finding_metric(x, "answered_before", (double)s->answered);
	finding_metric(x, "silent_s", silent);
	finding_say(x, "%u DHCP requests in %.0f s got no answer, %zu clients "
	    "asking three times and more; the server had answered %llu before%s",
	    q->requests, silent, q->witnesses, (unsigned long long)s->answered,
	    alive ? " and goes on sending other packets" : "");
	if (!q->renewals)
		finding_against(x, "only clients without an address ask: a server "
		    "whose addresses are all given away is as silent to these");
	else if (!alive)
		finding_against(x, "nothing else was seen of the host meanwhile: "
		    "it may be down as a whole, or its packets no longer reach "
		    "this mirror");
}

static void
raise_silence(struct judge *j, struct answerer *s, const struct silence *q,
    struct server *v)
{
	double trust = judge_trusts(j, v, NULL, TRUST_LOSS | TRUST_BOTH_WAYS);
	bool alive = server_sent(v, q->first, j->now);
	struct finding *x;

	if (trust <= 0 || (s->told == q->requests &&
	    finding_lookup(j, &detector_dhcp_unanswered, NULL, v, NULL,
	    DHCP_PORT)))
		return;
	s->told = q->requests;
	x = finding_raise_episode(j, &detector_dhcp_unanswered, NULL, v, DHCP_PORT,
	    q->first);
	x->protocol = IP_UDP;
	x->app = APP_DHCP;
	/* what is not heard at all may have left the mirror */
	x->severity = alive ? SEVERITY_HIGH : SEVERITY_LOW;
	x->side = FAULT_SERVER;
	x->confidence = trust * (alive ? 0.85 : 0.6) * (q->renewals ? 1 : 0.8);
	x->count = q->requests;
	x->ended = false;
	x->file = q->file;
	finding_time(x, q->first);
	finding_time(x, q->last);
	x->frame_count = 0;
	for (size_t i = 0; i < q->frames; i++)
		finding_frame(x, q->frame[i]);
	describe(x, s, q, alive);
}

/* It answers again. */
static void
review_recovery(struct judge *j, const struct answerer *s, struct server *v)
{
	struct finding *x = finding_lookup(j, &detector_dhcp_unanswered, NULL, v,
	    NULL, DHCP_PORT);

	if (!x || x->ended || !instant_before(x->last_seen, s->last))
		return;
	x->ended = true;
	finding_time(x, s->last);
}

static void
review_answerer(struct judge *j, struct dhcp *d, struct answerer *s)
{
	struct server *v;
	struct outage mute;
	struct silence q;

	if (instant_since(j->now, s->last) < PATIENCE_S * NS_PER_S) {
		v = registry_server(j->registry, &s->address, false);
		if (v)
			review_recovery(j, s, v);
		return;
	}
	silence_gather(d, s, j->now, &q);
	if ((double)q.witnesses < j->limit->witness_min)
		return;
	v = registry_server(j->registry, &s->address, true);
	/* a host that answers nothing at all is another finding's */
	if (v && !server_is_mute(v, j->now, &mute))
		raise_silence(j, s, &q, v);
}

static void
review_capture(void *state, struct judge *j)
{
	struct dhcp *d = state;

	for (size_t i = 0; i < d->server_count; i++)
		review_answerer(j, d, &d->server[i]);
}

const struct detector detector_dhcp_unanswered = {
	.finding = FINDING_dhcp_unanswered,
	.meaning = "The DHCP service of this server has stopped answering, while "
	    "clients go on asking.",
	.decided = "Two clients (witness_min) or more each asked three times over "
	    "10 s or more without an answer from any server, since this server "
	    "last answered anybody; it did answer before. Requests to all count "
	    "against the server that answered this client last, else against the "
	    "one that answers most. Withheld while the host answers nothing at "
	    "all.",
	.mimics = "No free addresses left (only new clients ask: said so, and less "
	    "sure); a relay that is down (a client that was answered through one "
	    "and whose requests are no longer relayed does not count); an answer "
	    "with a bad checksum (it is seen, so the request counts as answered); "
	    "a second server that answers instead (then nothing is unanswered).",
	.source = "RFC 2131, 4.1 and 4.4; KB 948496 (the DHCP service fails with "
	    "the SNP features of Windows Server 2003 SP2)",
	.events = 1 << APP_NOTE,
	.on_app = on_app,
	.review_capture = review_capture,
	.new = dhcp_new,
	.free = dhcp_free,
};
