/* reply_missing.c - a request that TCP took in and the application never
 * answered, or not to the end, in any protocol, encrypted ones too.
 *
 * The hard part is to know that an answer was due. Where a parser reads the
 * protocol it says so; elsewhere the flow's and the service's own past does: a
 * service that answered each turn so far owes one now, and one that is known to
 * let clients wait (long polls, notifications) is given more than its longest.
 * In a conversation in which not every word is answered (a remote desktop draws
 * when there is something to draw) one silence proves nothing; there it takes
 * several clients that speak on and on, at once, to a server that no longer
 * says anything. */
#include <stdlib.h>
#include <string.h>

#include "capture/stream.h"
#include "detectors/late_answers.h"

/* Before a service's habits count: so many of its turns must have ended. */
enum { HABIT_MIN = 3 };

/* A service that answered this often is known; before, its clients may be ones
 * that poll, and it is given more time. */
enum { KNOWN_ANSWERS = 20, UNKNOWN_FACTOR = 4 };

/* A conversation: so many runs of words ended in data, each more than a second
 * after the data before. */
enum { CONVERSATION_MIN = 4 };
/* It has fallen silent when the client spoke this many times more often than it
 * ever had to, and so much oftener. */
enum { UNHEARD_FACTOR = 2, UNHEARD_MORE = 2 };
/* And with it others', of so many clients, within this time. */
enum { SILENCED_CLIENTS_MIN = 3 };
#define SILENCED_TOGETHER_NS (60 * NS_PER_S)

/* The share of a service's connections whose first request was answered above
 * which a missing first answer is worth a word. */
#define FIRST_ANSWER_SHARE 0.7

extern const struct detector detector_reply_missing;

/* The first words of a protocol (a negotiation, a request to begin) ask for
 * nothing that could be waited for: a service that answered them is owed no more
 * time than its habits say. A first request over HTTP may be a poll. */
static bool
is_greeting(const struct flow *f, const struct service *v,
    const struct exchange *x)
{
	return x && x->flags & EXCHANGE_FIRST && !(x->flags & EXCHANGE_TURN) &&
	    f->app != APP_HTTP && v->first_answered >= HABIT_MIN;
}

/* How long this service may take, in seconds, before its silence is one. `x`: on
 * which exchange; NULL: on none that is told apart. */
static double
patience_s(const struct judge *j, const struct flow *f, const struct service *v,
    const struct exchange *x)
{
	double limit = j->limit->user_notices_s, longest;

	if (!v)
		return limit;
	longest = seconds_of(v->took.max_ns) * j->limit->baseline_factor;
	if (longest > limit)
		limit = longest;
	longest = seconds_of(v->parked.max_ns) * 1.5;
	if (longest > limit)
		limit = longest;
	return v->answered < KNOWN_ANSWERS && !is_greeting(f, v, x) ?
	    limit * UNKNOWN_FACTOR : limit;
}

/* Who moves the mouse is owed nothing: where it is usual that the client speaks
 * twice before anything comes, one silence proves nothing. See review_silenced. */
static bool
is_conversation(const struct flow *f)
{
	return f->app == APP_RDP || (f->heard_late &&
	    2 * f->heard_late >= f->heard);
}

/* The client has more to say and may not: then its request may not be whole, where
 * the capture cut off what says how long it is (zero_window_stall speaks of it). */
static bool
is_held_back(const struct flow *f)
{
	const struct note *shut = flow_note_find(f, NOTE_ZERO_WINDOW, 0, SERVER);

	/* probes with a byte, and without (counted in zero_window_stall.c) */
	return shut && shut->open && shut->value[0] + shut->value[2];
}

static bool
is_owed(const struct flow *f, const struct service *v, const struct exchange *x)
{
	const struct tcp_half *c = &f->half[CLIENT];

	if (x->flags & (EXCHANGE_PARKS | EXCHANGE_ONE_WAY | EXCHANGE_PARTIAL |
	    EXCHANGE_FROM_SERVER) || !instant_is_set(x->acked))
		return false;
	if (!(x->flags & EXCHANGE_TURN))
		return true;			/* a parser knows */
	if (app_follows(f))
		return false;			/* and here it would */
	if (is_conversation(f))
		return false;
	/* last words before closing ask nothing */
	if (c->flags & (HALF_FIN | HALF_RST) &&
	    instant_since(c->last, x->asked) < NS_PER_S)
		return false;
	if (f->turns >= HABIT_MIN)
		return true;
	/* after a greeting or two many a client parks a call for good */
	return !f->turns && v && v->first_answered >= HABIT_MIN && v->first_answered >=
	    FIRST_ANSWER_SHARE * v->first_asked - HABIT_MIN;
}

static struct exchange *
longest_owed(const struct flow *f, const struct service *v)
{
	for (struct exchange *x = f->waiting; x; x = x->next)
		if (is_owed(f, v, x))
			return is_held_back(f) ? NULL : x;
	return NULL;
}

static void
describe(struct finding *x, const struct exchange *e, double waited,
    double patience)
{
	char what[APP_LABEL_TEXT_BYTES];
	bool labelled = !(e->flags & EXCHANGE_TURN);

	finding_metric(x, "waited_s", waited);
	finding_metric(x, "patience_s", patience);
	finding_metric(x, "request_bytes", e->request_bytes);
	finding_metric(x, "acked_after_ms",
	    seconds_of(instant_since(e->acked, e->asked)) * 1e3);
	finding_say(x, "a request%s%s%s of %u bytes was acknowledged after %.1f ms "
	    "and not answered in %.1f s", labelled ? " (" : "",
	    labelled ? app_label_text(e->label, what) : "", labelled ? ")" : "",
	    e->request_bytes,
	    seconds_of(instant_since(e->acked, e->asked)) * 1e3, waited);
}

/* Were the bytes cut by which a call that is meant to wait could be told? */
static bool
is_blind(const struct judge *j, const struct flow *f)
{
	return f->app == APP_UNKNOWN && j->capture->snap_cut;
}

/* Whoever asks over HTTP, in the clear or not, may be asking for news: a long
 * poll, ActiveSync's Ping, MAPI/HTTP's NotificationWait (MS-OXCMAPIHTTP 2.2.4.4:
 * up to five minutes). A ClientHello wants its answer at once. When the service
 * has been watched for longer than that, its habits tell; before, nobody can. */
static bool
may_be_parked(const struct judge *j, const struct flow *f,
    const struct service *v, const struct exchange *e, double waited)
{
	double limit = j->limit->parked_limit_s;
	struct instant since = j->capture->resumed;
	bool hello = f->app == APP_TLS && !f->turns;
	bool asks_like_it = f->app == APP_HTTP || (e->flags & EXCHANGE_TURN &&
	    ((f->app == APP_TLS && !hello) || f->app == APP_UNKNOWN));

	if (v && instant_before(since, v->first_seen))
		since = v->first_seen;
	return asks_like_it && waited < limit &&
	    seconds_of(instant_since(e->asked, since)) < limit;
}

/* When the last wait of a server ended, as far as a finding says: one that is
 * settled need not be looked for again. */
static void
note_last(struct server *s, const struct finding *x)
{
	struct instant *last = server_remember(s, FINDING_reply_missing,
	    sizeof(*last));

	if (last && instant_before(*last, x->last_seen))
		*last = x->last_seen;
}

static void
raise_missing(struct judge *j, struct server *s, struct flow *f,
    const struct service *v, const struct exchange *e, double waited,
    double trust)
{
	double patience = patience_s(j, f, v, e);
	bool first = e->flags & EXCHANGE_FIRST ||
	    (f->flags & FLOW_HANDSHAKE && !f->turns);
	struct finding *x = finding_raise(j, &detector_reply_missing,
	    first ? "negotiation" : "established", s, f, 0);

	f->marks |= MARK_MISSING;
	/* the server goes on talking here: a step missed, or one call apart */
	x->severity = instant_before(e->asked, f->last_answered) ||
	    is_blind(j, f) ? SEVERITY_INFO : SEVERITY_MEDIUM;
	x->confidence = (waited > 2 * patience ? 0.8 : 0.6) * trust;
	x->side = FAULT_SERVER;
	x->count = 1;
	x->may_be_parked = may_be_parked(j, f, v, e, waited);
	if (!x->frame_count) {
		finding_frame(x, e->frame_first);
		finding_frame(x, e->frame_last);
		finding_frame(x, e->frame_acked);
	}
	finding_time(x, e->asked);
	finding_time(x, instant_plus(e->asked, (int64_t)(waited * 1e9)));
	note_last(s, x);
	describe(x, e, waited, patience);
	if (x->severity >= SEVERITY_MEDIUM)
		flow_afflicted(f, FINDING_reply_missing, e->asked);
}

/* A client that gave up did wait until then, and no longer; and a server that
 * resets an idle connection just as the next request comes has said so. */
static struct instant
waited_until(const struct judge *j, const struct flow *f)
{
	const struct tcp_half *c = &f->half[CLIENT], *v = &f->half[SERVER];

	if (c->flags & (HALF_FIN | HALF_RST) || v->flags & HALF_RST ||
	    f->flags & FLOW_ENDED)
		return f->end == FLOW_END_CAPTURE ? j->now : f->last;
	return j->now;
}

/* --- answers that break off --- */

/* The client can take what is still to come, and has all that came? Else what
 * holds the answer up is the client, or the way. */
static bool
could_go_on(const struct flow *f)
{
	const struct tcp_half *c = &f->half[CLIENT], *v = &f->half[SERVER];

	return v->una == v->next && c->window >= (c->mss ? c->mss : 1460) &&
	    !(v->flags & (HALF_FIN | HALF_RST)) &&
	    !(f->app_flags & FLOW_APP_LOST_SERVER);
}

static void
review_cut(struct judge *j, struct server *s, struct flow *f,
    const struct service *v, double trust)
{
	uint64_t owed = app_follows(f) ? stream_owes(f, SERVER) : 0;
	struct instant since = f->half[SERVER].last_data;
	double waited, patience = patience_s(j, f, v, NULL);
	struct finding *x;

	if (!owed || !could_go_on(f) || trust <= 0)
		return;
	waited = seconds_of(instant_since(waited_until(j, f), since));
	if (!judge_overdue(j, s, f, since, waited, patience))
		return;
	x = finding_raise(j, &detector_reply_missing, "cut_short", s, f, 0);
	f->marks |= MARK_MISSING;
	x->severity = SEVERITY_MEDIUM;
	x->confidence = (waited > 2 * patience ? 0.8 : 0.6) * trust;
	x->side = FAULT_SERVER;
	x->count = 1;
	finding_time(x, since);
	finding_time(x, instant_plus(since, (int64_t)(waited * 1e9)));
	finding_metric(x, "waited_s", waited);
	finding_metric(x, "patience_s", patience);
	finding_metric(x, "missing_bytes", (double)owed);
	finding_say(x, "an answer (%s) broke off: %llu bytes of it were still to "
	    "come, the client had acknowledged all that came and could take more, "
	    "and nothing followed in %.1f s", app_protocol_name(f->app),
	    (unsigned long long)owed, waited);
	flow_afflicted(f, FINDING_reply_missing, since);
}

/* --- conversations that fall silent --- */

static bool
is_silenced(const struct flow *f)
{
	const struct tcp_half *c = &f->half[CLIENT];

	return f->heard >= CONVERSATION_MIN && !app_follows(f) &&
	    f->unheard > UNHEARD_FACTOR * f->unheard_max + UNHEARD_MORE &&
	    c->una == c->next && !((c->flags | f->half[SERVER].flags) &
	    (HALF_FIN | HALF_RST));
}

/* Those of other clients that fell silent at about the same time; and how many
 * conversations of the service are answered meanwhile. */
static size_t
silenced_with(const struct server *s, const struct finding *mine, size_t *served)
{
	const uint64_t ill = UINT64_C(1) << FINDING_reply_missing;
	size_t clients = 1;

	for (const struct finding *x = s->findings; x; x = x->next_of_server) {
		int64_t apart = instant_since(x->first_seen, mine->first_seen);

		clients += x != mine && x->name == FINDING_reply_missing &&
		    !strcmp(x->kind, "silenced") && !x->ended &&
		    x->server_port == mine->server_port &&
		    address_compare(&x->client, &mine->client) &&
		    apart < SILENCED_TOGETHER_NS && apart > -SILENCED_TOGETHER_NS;
	}
	*served = 0;
	for (size_t i = 0; i < s->outcome_count; i++)
		*served += s->outcome[i]->server_port == mine->server_port &&
		    !(outcome_more(s->outcome[i])->findings & ill) &&
		    s->outcome[i]->flow_id != mine->flow_id &&
		    instant_before(instant_plus(mine->first_seen,
		    SILENCED_TOGETHER_NS / 2), s->outcome[i]->last_answered);
	return clients;
}

static void
review_silenced(struct judge *j, struct server *s, struct flow *f,
    const struct service *v, double trust)
{
	double patience = patience_s(j, f, v, NULL), waited;
	struct finding *x;
	size_t clients, served;

	if (!is_silenced(f) || trust <= 0)
		return;
	waited = seconds_of(instant_since(f->last_asked, f->last_answered));
	if (!judge_overdue(j, s, f, f->last_answered, waited, patience))
		return;
	x = finding_raise(j, &detector_reply_missing, "silenced", s, f, 0);
	f->marks |= MARK_MISSING;
	x->count = 1;
	x->side = FAULT_SERVER;
	finding_time(x, f->last_answered);
	finding_time(x, f->last_asked);
	clients = silenced_with(s, x, &served);
	x->severity = clients >= SILENCED_CLIENTS_MIN && clients >= served ?
	    SEVERITY_MEDIUM : SEVERITY_INFO;
	x->confidence = 0.7 * trust;
	finding_metric(x, "words", f->unheard);
	finding_metric(x, "words_before", f->unheard_max);
	finding_metric(x, "clients", (double)clients);
	finding_say(x, "the client spoke %u times in %.1f s, each time "
	    "acknowledged, and the server has said nothing; before, it never took "
	    "more than %u; %zu client%s fell silent together", f->unheard,
	    waited, f->unheard_max, clients, clients > 1 ? "s" : "");
	if (x->severity >= SEVERITY_MEDIUM)
		flow_afflicted(f, FINDING_reply_missing, f->last_answered);
	judge_wake(j, f, instant_plus(j->now, (int64_t)(patience * 1e9)));
}

/* A service that speaks first (FTP, SMTP, POP3 ...: learnt) and does not. */
static bool
speaks_first(const struct service *v)
{
	return v && v->server_first >= HABIT_MIN &&
	    v->server_first >= 9 * v->client_first;
}

static void
review_banner(struct judge *j, struct server *s, struct flow *f,
    const struct service *v)
{
	bool silent = f->flags & FLOW_HANDSHAKE &&
	    !((f->half[CLIENT].flags | f->half[SERVER].flags) & HALF_DATA);
	double trust, waited, patience = patience_s(j, f, v, NULL);
	struct finding *x;

	if (!silent || !speaks_first(v))
		return;
	waited = seconds_of(instant_since(waited_until(j, f), f->established));
	if (waited < patience) {
		judge_wake(j, f, instant_plus(f->established,
		    (int64_t)(patience * 1e9)));
		return;
	}
	trust = judge_trusts(j, s, f, TRUST_BOTH_WAYS | TRUST_LOSS);
	if (trust <= 0)
		return;
	x = finding_raise(j, &detector_reply_missing, "negotiation", s, f, 0);
	f->marks |= MARK_MISSING;
	x->severity = SEVERITY_MEDIUM;
	x->confidence = 0.7 * trust;
	x->side = FAULT_SERVER;
	x->count = 1;
	finding_frame(x, f->first_frame);
	finding_time(x, f->established);
	finding_time(x, waited_until(j, f));
	finding_metric(x, "waited_s", waited);
	finding_say(x, "the connection was accepted and the server, which speaks "
	    "first on port %u, has said nothing in %.1f s", f->port[SERVER],
	    waited);
	flow_afflicted(f, FINDING_reply_missing, f->established);
}

/* A stall that ends is over for all it held; what ends alone was a request that
 * takes long. Answers came together that came within one timeout of each other:
 * 3 s is the first one of a connection that has no round trip yet (RFC 2988, 2.1;
 * Windows: TcpInitialRtt). */
#define TOGETHER_NS (3 * NS_PER_S)
/* Judged by then: a quiet server's turn comes each tenth second (registry.c). */
#define SETTLED_NS (TOGETHER_NS + 12 * NS_PER_S)
enum { TOGETHER_MIN = 2 };

static bool
ended_with_others(const struct server *s, const struct finding *x)
{
	unsigned n = 0;

	for (const struct finding *o = s->findings; o && n < TOGETHER_MIN;
	    o = o->next_of_server) {
		int64_t apart = instant_since(o->last_seen, x->last_seen);

		n += o != x && o->ended && (o->name == FINDING_reply_missing ||
		    o->name == FINDING_rpc_stall) && apart > -TOGETHER_NS &&
		    apart < TOGETHER_NS;
	}
	return n >= TOGETHER_MIN;
}

/* Does the service answer more connections soon than late? */
static bool
most_are_served(const struct server *s, const struct finding *x)
{
	const uint64_t ill = UINT64_C(1) << FINDING_reply_missing |
	    UINT64_C(1) << FINDING_rpc_stall;
	size_t soon = 0, late = 0;

	for (size_t i = 0; i < s->outcome_count; i++) {
		const struct outcome *o = s->outcome[i];

		if (o->server_port != x->server_port ||
		    instant_before(o->last, x->first_seen))
			continue;
		late += (outcome_more(o)->findings & ill) != 0;
		soon += !(outcome_more(o)->findings & ill) &&
		    instant_before(x->first_seen, o->last_answered);
	}
	return soon > late;
}

/* Requests that were answered late, one by one: said, and no fault. */
static void
review_server(void *state, struct judge *j, struct server *s)
{
	bool may_be_late = late_answers_review(state, j, s);
	const struct instant *last = s->detector_state[FINDING_reply_missing];

	if (!(s->found >> FINDING_reply_missing & 1) || !last ||
	    instant_since(j->now, *last) > SETTLED_NS) {
		if (may_be_late)
			return;
		server_seen_to(s, FINDING_reply_missing);
		judge_settled(j);
		return;
	}
	for (struct finding *x = s->findings; x; x = x->next_of_server) {
		int64_t since = instant_since(j->now, x->last_seen);

		if (x->name != FINDING_reply_missing || !x->ended ||
		    x->retracted || x->severity < SEVERITY_MEDIUM ||
		    (since <= TOGETHER_NS && !j->finishing) ||
		    since > SETTLED_NS || ended_with_others(s, x) ||
		    !most_are_served(s, x))
			continue;
		x->severity = SEVERITY_INFO;
		finding_touch(x);
		finding_against(x, "it was answered in the end, and the service "
		    "answered others soon: a request that takes long");
	}
}

/* The answer came after all. Where this connection was quick before, that was a
 * stall that ended; elsewhere a wait that we did not know of. */
static void
review_late(struct judge *j, struct server *s, struct flow *f)
{
	static const char *const kinds[] = { "established", "negotiation",
		"cut_short", "silenced" };

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct finding *x = finding_lookup(j, &detector_reply_missing,
		    kinds[k], s, f, 0);

		if (!x || x->ended || !instant_before(x->first_seen,
		    f->last_answered) || f->flags & FLOW_ENDED)
			continue;
		x->ended = true;
		finding_touch(x);
		x->last_seen = f->last_answered;
		note_last(s, x);
		if (f->turns > HABIT_MIN && x->app != APP_HTTP)
			continue;
		finding_retract(x);
		flow_cleared(f, FINDING_reply_missing);
	}
}

/* It was answered late, and owes nothing: it is here for its server's sake. */
static bool
only_was_late(const struct flow *f)
{
	return f->app_flags & FLOW_APP_LATE && !(f->marks & MARK_MISSING) &&
	    !f->waiting && !stream_owes(f, SERVER);
}

/* Neither well nor ill. */
static void
note_doubt(struct flow *f, const struct service *v)
{
	struct outcome *o = f->outcome;

	if (o)
		o->doubtful = longest_owed(f, v) ||
		    (app_follows(f) && stream_owes(f, SERVER));
}

static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	struct service *v;
	struct exchange *e;
	double patience, waited, trust;

	(void)state;
	if (f->app_flags & FLOW_APP_LATE &&	/* for review_server */
	    !server_remembers(s, FINDING_reply_missing))
		server_remember(s, FINDING_reply_missing, sizeof(struct instant));
	if (only_was_late(f) || f->protocol != IP_TCP ||
	    f->app == APP_RPC_HTTP)
		return;
	v = server_service_of(s, f, false);
	if (f->marks & MARK_MISSING)
		review_late(j, s, f);
	trust = judge_trusts(j, s, f, TRUST_BOTH_WAYS | TRUST_LOSS);
	if (trust <= 0)
		note_doubt(f, v);
	review_cut(j, s, f, v, trust);
	if (f->app == APP_DCERPC)
		return;
	review_silenced(j, s, f, v, trust);
	review_banner(j, s, f, v);
	e = longest_owed(f, v);
	if (!e)
		return;
	patience = patience_s(j, f, v, e);
	waited = seconds_of(instant_since(waited_until(j, f), e->asked));
	if (trust <= 0)
		return;
	if (judge_overdue(j, s, f, e->asked, waited, patience))
		raise_missing(j, s, f, v, e, waited, trust);
}

static void
on_delivery(void *state, const struct delivery *d)
{
	late_answers_delivery(state, d);
}

static void
on_app(void *state, const struct app_event *e)
{
	late_answers_app(state, e);
}

static void *
late_new(void)
{
	return late_answers_new();
}

static void
late_free(void *state)
{
	struct late_answers *l = state;

	late_answers_free(&l);
}

const struct detector detector_reply_missing = {
	.finding = FINDING_reply_missing,
	.meaning = "The server's TCP acknowledged a whole request and its "
	    "application never answered it, or not to the end.",
	.decided = "All bytes of the request are acknowledged, and no answer came "
	    "for user_notices_s (8 s), for baseline_factor (4) times the longest "
	    "answer this service gave, and for half as long again as its longest "
	    "wait that ended well. An answer is due where a parser knows the "
	    "request, or where this connection or this service answered before. "
	    "late: six answers and more of a port whose protocol is read, to two "
	    "clients, nine in ten after user_notices_s or more, at most one in "
	    "ten within a second. "
	    "cut_short: the answer began, its protocol says that more belongs to "
	    "it, and for the same time nothing follows, though the client has "
	    "acknowledged all and has room. silenced: where not each word is "
	    "answered (a remote desktop), the client spoke more than twice as often "
	    "as it ever had to, and so did two other clients or more since the "
	    "same minute, at least as many as the service still talks to.",
	.mimics = "Calls meant to wait (notifications, long polls: learnt for each "
	    "service), one-way protocols (no habit of answering), an answer that "
	    "the sniffer missed (the client's acknowledgment shows it), a mirror "
	    "of one direction. late: long polls (their clients ask again within a "
	    "second).",
	.source = "Outlook's dialog after 5 to 8 s (Exchange team, RPC dialog "
	    "boxes); RPC never times out a call by itself (Microsoft, Preventing "
	    "Client-Side Hangs)",
	.kinds = (const char *const[]){ "established", "negotiation", "late",
	    "cut_short", "silenced", NULL },
	.delivered = SEG_NEW,
	.on_delivery = on_delivery,
	.events = 1 << APP_RESPONSE,
	.on_app = on_app,
	.new = late_new,
	.free = late_free,
	.mark = MARK_MISSING,
	.matters = MATTER_WAITING | MATTER_SPEECHLESS | MATTER_HALF_ANSWER |
	    MATTER_LATE,
	.review_flow = review_flow,
	.release = free,
	.servers = SERVER_REMEMBERED,
	.review_server = review_server,
};
