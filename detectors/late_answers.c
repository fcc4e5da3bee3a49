/* late_answers.c - a service that answers everything, and everything late.
 *
 * Such a service has no better times in the capture to compare with, and each
 * answer that comes makes the next wait look usual. The hard part is that long
 * polls look the same from outside: the client asks, and the answer comes when
 * there is something to tell. What tells them apart is the client. Who polls asks
 * again at once when an answer has come; who wants something thinks, and then
 * wants the next thing. So a service is called late when hardly any answer is
 * soon and its clients do not ask again at once. Only where a parser knows that an
 * answer was due: a protocol that nobody reads may be a printer's or a batch's,
 * which are meant to take long. */
#include "detectors/late_answers.h"

#include <stdlib.h>
#include <string.h>

#include "detectors/memo.h"
#include "detectors/subject.h"

extern const struct detector detector_reply_missing;

enum { FLOWS_MAX = 4096, PORTS_MAX_LATE = 512, LATE_FRAMES = 12,
    HOST_PLACES = 2048 };

/* No output depends on who shares a place. */
#define HOST_KEY UINT64_C(0x9e3779b97f4a7c15)

/* Shorter waits are not even looked at, whatever the configuration. */
#define LATE_FLOOR_NS NS_PER_S
/* Asked again at once: less than a person needs to see the answer (response time
 * limits: 1 s keeps the flow of thought). */
#define AT_ONCE_NS NS_PER_S

/* Late answers of a port before its habit counts. */
enum { LATE_MIN = 6 };
/* So many late ones to one soon one; so many thinks to one asked at once. */
enum { SOON_SHARE = 10, THINK_SHARE = 4 };

/* A flow on which an answer was late. */
struct asker {
	struct instant answered;	/* 0: has asked again since */
};

/* A port of a server. */
struct habit {
	uint16_t host;		/* host_place() */
	uint16_t port;
	uint32_t late, soon;	/* answers */
	uint32_t at_once, later; /* asked again after a late answer */
	struct address client[2]; /* the first two different ones */
	unsigned clients;
	struct latency took;	/* of the late ones */
	struct instant first, last;
	unsigned frames;
	uint64_t frame[LATE_FRAMES];
};

struct late_answers {
	struct memo *askers, *habits;
	uint64_t habits_made;		/* when this was made: */
	uint64_t ports[HOST_PLACES];	/* port_bit() of those with a habit */
};

static uint16_t
host_place(const struct address *a)
{
	return (uint16_t)(address_hash(a, HOST_KEY) % HOST_PLACES);
}

static uint64_t
port_bit(uint16_t port)
{
	return UINT64_C(1) << port % 64;
}

/* Nearly all hosts are in time, and most ports of the others: one look says so. */
static void
renew_ports(struct late_answers *l)
{
	uint64_t made = memo_count(l->habits) + memo_evicted(l->habits), key;
	struct habit *h;

	if (made == l->habits_made)
		return;
	l->habits_made = made;
	memset(l->ports, 0, sizeof(l->ports));
	for (size_t i = 0; (h = memo_each(l->habits, &i, &key)); )
		l->ports[h->host] |= port_bit(h->port);
}

static uint64_t
port_key(const struct flow *f)
{
	return subject_of(&f->addr[SERVER], f->port[SERVER]);
}

static void
note_client(struct habit *h, const struct address *a)
{
	for (unsigned i = 0; i < h->clients; i++)
		if (address_compare(&h->client[i], a) == 0)
			return;
	if (h->clients < 2)
		h->client[h->clients++] = *a;
}

static void
note_frame(struct habit *h, uint64_t frame)
{
	if (h->frames < LATE_FRAMES)
		h->frame[h->frames++] = frame;
	else
		h->frame[LATE_FRAMES - 1] = frame;
}

static void
answered(struct late_answers *l, struct flow *f, int64_t took_ns,
    struct instant asked, struct instant now, uint64_t frame)
{
	uint64_t key = port_key(f);
	struct habit *h = memo_find(l->habits, key);
	struct asker *a;

	if (took_ns < LATE_FLOOR_NS) {
		if (h)
			h->soon++;
		return;
	}
	h = memo_make(l->habits, key);
	h->host = host_place(&f->addr[SERVER]);
	h->port = f->port[SERVER];
	if (!h->late++)
		h->first = asked;
	h->last = now;
	latency_add(&h->took, took_ns);
	note_client(h, &f->addr[CLIENT]);
	note_frame(h, frame);
	a = memo_make(l->askers, memo_key(f->id, 0));
	f->app_flags |= FLOW_APP_LATE;
	a->answered = now;
}

/* The client speaks again: how soon? */
static void
client_speaks(struct late_answers *l, const struct flow *f,
    const struct packet *p)
{
	struct asker *a = memo_find(l->askers, memo_key(f->id, 0));
	struct habit *h = a ? memo_find(l->habits, port_key(f)) : NULL;

	if (!h || !instant_is_set(a->answered))
		return;
	if (instant_since(p->time, a->answered) < AT_ONCE_NS)
		h->at_once++;
	else
		h->later++;
	a->answered.ns = 0;
}

void
late_answers_delivery(struct late_answers *l, const struct delivery *d)
{
	if (d->flow->app_flags & FLOW_APP_LATE && d->side == CLIENT &&
	    d->packet->payload_bytes)
		client_speaks(l, d->flow, d->packet);
}

void
late_answers_app(struct late_answers *l, const struct app_event *e)
{
	unsigned never = EXCHANGE_PARKS | EXCHANGE_ONE_WAY |
	    EXCHANGE_FROM_SERVER;

	if (e->flow && !(e->exchange_flags & never) &&
	    e->flow->protocol == IP_TCP && e->label >> 24 != APP_DCERPC)
		answered(l, e->flow, e->took_ns, e->asked, e->time, e->frame);
}

/* Nine of ten late ones took longer than this, to within a fifth. */
static double
usual_least_s(const struct habit *h)
{
	return seconds_of(latency_quantile(&h->took, 0.1));
}

/* Each late answer has its server reviewed for the flow it came on; a habit of
 * too few of them waits for those. */
static bool
may_be_late(const struct habit *h)
{
	return h->late >= LATE_MIN && h->clients >= 2;
}

static bool
is_late(const struct judge *j, const struct habit *h)
{
	return may_be_late(h) && h->clients >= j->limit->witness_min &&
	    h->soon * SOON_SHARE <= h->late &&
	    h->at_once * THINK_SHARE <= h->later &&
	    usual_least_s(h) >= j->limit->user_notices_s;
}

static void
raise(struct judge *j, struct server *v, uint16_t port, const struct habit *h,
    double trust)
{
	struct finding *fd = finding_raise(j, &detector_reply_missing, "late", v,
	    NULL, port);
	double least_s = usual_least_s(h), most_s = seconds_of(h->took.max_ns);
	bool news;

	for (unsigned i = 0; i < h->frames; i++)
		finding_frame(fd, h->frame[i]);
	finding_time(fd, h->first);
	finding_time(fd, h->last);
	fd->count = h->late;
	fd->severity = SEVERITY_MEDIUM;
	fd->side = FAULT_SERVER;
	fd->confidence = 0.7 * trust;
	news = finding_metric(fd, "late_answers", h->late);
	news |= finding_metric(fd, "soon_answers", h->soon);
	news |= finding_metric(fd, "p10_s", least_s);
	news |= finding_metric(fd, "longest_s", most_s);
	finding_metric(fd, "asked_again_at_once", h->at_once);
	finding_metric(fd, "asked_again_later", h->later);
	if (news)
		finding_say(fd, "port %u answers, but late: %u answers took up to "
		    "%.1f s, nine of ten more than %.0f s, and since then %u came "
		    "within a second; it is no long poll, for its clients think "
		    "before they ask again", port, h->late, most_s, least_s,
		    h->soon);
	finding_against(fd, "a service may be meant to take so long: ask who runs "
	    "it");
}

bool
late_answers_review(struct late_answers *l, struct judge *j, struct server *v)
{
	const unsigned needs = TRUST_BOTH_WAYS | TRUST_LOSS;
	bool more = false;
	uint64_t ports;

	renew_ports(l);
	ports = l->ports[host_place(&v->address)];
	if (!ports)
		return false;
	for (size_t i = 0; i < v->service_count; i++) {
		const struct service_place *s = &v->place[i];
		const struct habit *h = ports & port_bit(s->port) ?
		    memo_find(l->habits, subject_of(&v->address, s->port)) :
		    NULL;
		struct finding *before;

		if (!h)
			continue;
		more |= may_be_late(h) || s->service->late;
		if (is_late(j, h) && judge_trusts(j, v, NULL, needs) > 0) {
			raise(j, v, s->port, h, judge_trusts(j, v, NULL, needs));
			s->service->late = true;
			continue;
		}
		before = s->service->late ? finding_lookup(j, &detector_reply_missing,
		    "late", v, NULL, s->port) : NULL;
		if (before && !before->retracted)
			finding_retract(before);
	}
	return more;
}

struct late_answers *
late_answers_new(void)
{
	struct late_answers *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->askers = memo_new(FLOWS_MAX, sizeof(struct asker));
	l->habits = memo_new(PORTS_MAX_LATE, sizeof(struct habit));
	if (!l->askers || !l->habits)
		late_answers_free(&l);
	return l;
}

void
late_answers_free(struct late_answers **l)
{
	if (!*l)
		return;
	memo_free(&(*l)->askers);
	memo_free(&(*l)->habits);
	free(*l);
	*l = NULL;
}
