/* vpn_data_dead.c - PPTP: the control connection is up, and of a call's GRE
 * packets only one side's get through.
 *
 * The hard part is that GRE has no connection: a call is two streams that share
 * nothing but the addresses, each marked with the other side's call id. Yet
 * silence can be judged, because it is not allowed: whoever receives payload
 * must acknowledge it (RFC 2637, 4.3), so a side that sends again and again and
 * is never acknowledged has lost the other, however idle that may be. A side
 * that is deaf is not always mute: it goes on asking for the link to be opened,
 * as if nobody had spoken, and such packets are no answer. */
#include "detectors/detector.h"

#include <stdlib.h>
#include <string.h>

#include "capture/app_pptp.h"
#include "detectors/memo.h"
#include "detectors/subject.h"
#include "detectors/wire.h"

enum {
	WAYS = 8192, CONTROLS = 4096,
	CALLS = 4,			/* of one control connection */
	RUN_FRAMES = 6,
	RUN_MIN = 5,			/* packets owed an acknowledgment */
	AGAIN_S = 5,			/* look at a living call again */
};

/* One direction of one call. */
struct way {
	uint64_t opposite;		/* key of the other one; 0: not known */
	uint32_t packets;		/* ever */
	uint32_t run;			/* with payload, since the other side
					 * showed that it hears */
	uint32_t deaf;			/* sent during the other's run, and
					 * showing nothing of the kind */
	struct instant run_first, last;
	uint64_t frame_last;
	uint32_t file;
	bool closed;			/* its call is over: strays do not count */
	uint8_t frames;
	uint64_t frame[RUN_FRAMES];	/* of the run: the first ones, the last */
};

/* The calls of a control connection: keys of their ways, by who sends. */
struct control {
	uint64_t flow_id;
	size_t calls;
	uint64_t way[CALLS][2];		/* by enum side of the sender */
};

struct vpn {
	struct memo *ways;
	struct memo *controls;		/* by flow id */
	struct memo *pairs;		/* struct control, by addresses: what was
					 * seen before a call was told */
};

extern const struct detector detector_vpn_data_dead;

static void
vpn_free(void *state)
{
	struct vpn *v = state;

	if (!v)
		return;
	memo_free(&v->ways);
	memo_free(&v->controls);
	memo_free(&v->pairs);
	free(v);
}

static void *
vpn_new(void)
{
	struct vpn *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->ways = memo_new(WAYS, sizeof(struct way));
	v->controls = memo_new(CONTROLS, sizeof(struct control));
	v->pairs = memo_new(CONTROLS, sizeof(struct control));
	if (!v->ways || !v->controls || !v->pairs) {
		vpn_free(v);
		return NULL;
	}
	return v;
}

/* --- the packet phase --- */

static uint64_t
way_key(const struct address *from, const struct address *to, uint64_t call)
{
	return subject_number(subject_address(subject_address(SUBJECT_BEGIN,
	    from), to), call);
}

static uint64_t
pair_key(const struct address *a, const struct address *b)
{
	bool swap = address_compare(a, b) > 0;

	return subject_address(subject_address(SUBJECT_BEGIN, swap ? b : a),
	    swap ? a : b);
}

static void
control_add(struct control *c, uint64_t from_client, uint64_t from_server)
{
	size_t i = 0;

	while (i < c->calls && (c->way[i][CLIENT] != from_client ||
	    c->way[i][SERVER] != from_server))
		i++;
	if (i < c->calls)
		return;
	if (c->calls == CALLS) {	/* forget the oldest */
		memmove(c->way[0], c->way[1], sizeof(c->way[0]) * (CALLS - 1));
		c->calls--;
	}
	c->way[c->calls][CLIENT] = from_client;
	c->way[c->calls][SERVER] = from_server;
	c->calls++;
}

static void
link_ways(struct vpn *v, uint64_t a, uint64_t b)
{
	((struct way *)memo_make(v->ways, a))->opposite = b;
	((struct way *)memo_make(v->ways, b))->opposite = a;
}

/* A call id may come back in a later call. */
static void
begin_way(struct vpn *v, uint64_t key)
{
	struct way *w = memo_make(v->ways, key);

	if (w->closed)
		*w = (struct way){ 0 };
}

static void
note_call(struct vpn *v, const struct app_event *e)
{
	const struct flow *f = e->flow;
	uint64_t client_id = e->value >> 16 & 0xffff, server_id = e->value & 0xffff;
	uint64_t out = way_key(&f->addr[CLIENT], &f->addr[SERVER], server_id);
	uint64_t back = way_key(&f->addr[SERVER], &f->addr[CLIENT], client_id);
	struct control *c = memo_make(v->controls, f->id);

	c->flow_id = f->id;
	begin_way(v, out);
	begin_way(v, back);
	link_ways(v, out, back);
	control_add(c, out, back);
}

/* What was owed until now may still be judged by it. */
static void
call_over(struct vpn *v, const struct app_event *e)
{
	const struct control *c = memo_find(v->controls, e->flow->id);
	struct way *w;

	for (size_t i = 0; c && i < c->calls; i++)
		for (int side = CLIENT; side <= SERVER; side++) {
			w = memo_find(v->ways, c->way[i][side]);
			if (w)
				w->closed = true;
		}
}

/* A GRE stream whose call was connected before the capture began: with the
 * latest one the other way it makes a call of those two hosts. */
static void
adopt_way(struct vpn *v, const struct app_event *e, uint64_t key)
{
	struct control *c = memo_make(v->pairs, pair_key(&e->address, &e->peer));
	bool low = address_compare(&e->address, &e->peer) < 0;

	c->calls = 1;
	c->way[0][low ? 0 : 1] = key;
	if (c->way[0][0] && c->way[0][1])
		link_ways(v, c->way[0][0], c->way[0][1]);
}

/* Need the sender have heard anything to send this? A request to open, to show
 * a sign of life or to close the link it makes of itself (RFC 1661, 5). */
static bool
shows_hearing(const struct app_event *e)
{
	enum { CONFIGURE_REQUEST = 1, TERMINATE_REQUEST = 5, ECHO_REQUEST = 9 };
	unsigned code = e->label & 0xffff;

	return e->exchange_flags & PPTP_GRE_ACKNOWLEDGES ||
	    (code != CONFIGURE_REQUEST && code != TERMINATE_REQUEST &&
	    code != ECHO_REQUEST);
}

static void
note_gre(struct vpn *v, const struct app_event *e)
{
	uint64_t key = way_key(&e->address, &e->peer, e->key);
	struct way *w = memo_find(v->ways, key), *other;

	if (!w) {
		w = memo_make(v->ways, key);
		adopt_way(v, e, key);
		w = memo_find(v->ways, key);
	}
	if (!w || w->closed)
		return;
	other = w->opposite ? memo_find(v->ways, w->opposite) : NULL;
	if (other && shows_hearing(e))
		other->run = other->frames = 0;
	w->deaf = other && other->run ? w->deaf + 1 : 0;
	w->packets++;
	w->last = e->time;
	w->frame_last = e->frame;
	w->file = e->packet ? e->packet->file : 0;
	if (!e->value)
		return;			/* an acknowledgment is owed nothing */
	if (!w->run++)
		w->run_first = e->time;
	if (w->frames < RUN_FRAMES)
		w->frames++;
	w->frame[w->frames - 1] = e->frame;
}

static bool
ends_call(uint32_t label)
{
	unsigned message = label & 0xffff;

	return message == PPTP_STOP_REQUEST || message == PPTP_CLEAR_REQUEST ||
	    message == PPTP_DISCONNECT_NOTIFY;
}

static void
on_app(void *state, const struct app_event *e)
{
	if (e->label >> 24 != APP_PPTP)
		return;
	if (e->type == APP_NOTE && e->what == APP_NOTE_PPTP_GRE)
		note_gre(state, e);
	else if (e->type == APP_NOTE && e->what == APP_NOTE_PPTP_CALL)
		note_call(state, e);
	else if (e->type == APP_REQUEST && ends_call(e->label))
		call_over(state, e);
}

/* --- the step phase --- */

/* Calls of a control connection met in its middle: by its addresses. */
static const struct control *
control_of(struct vpn *v, const struct flow *f, struct control *made)
{
	const struct control *c = memo_find(v->controls, f->id), *pair;
	bool low;

	if (c || !(f->flags & FLOW_MIDSTREAM))
		return c;
	pair = memo_find(v->pairs, pair_key(&f->addr[CLIENT], &f->addr[SERVER]));
	if (!pair)
		return NULL;
	low = address_compare(&f->addr[CLIENT], &f->addr[SERVER]) < 0;
	*made = (struct control){ .flow_id = f->id, .calls = 1 };
	made->way[0][CLIENT] = pair->way[0][low ? 0 : 1];
	made->way[0][SERVER] = pair->way[0][low ? 1 : 0];
	return made;
}

static const struct way *
way_of(struct vpn *v, uint64_t key)
{
	return key ? memo_find(v->ways, key) : NULL;
}

/* Did anything come on it or its calls since then? If not, there is no more to
 * say than was said. */
static bool
has_news(struct vpn *v, const struct flow *f, const struct control *c,
    struct instant since)
{
	if (!instant_before(f->last, since))
		return true;
	for (size_t i = 0; i < c->calls; i++)
		for (int side = CLIENT; side <= SERVER; side++) {
			const struct way *w = way_of(v, c->way[i][side]);

			if (w && !instant_before(w->last, since))
				return true;
		}
	return false;
}

static void
raise_dead(struct judge *j, struct server *s, struct flow *f, enum side sender,
    const struct way *w, const struct way *mute, double trust, bool news)
{
	bool spoke = mute && mute->packets, deaf = mute && mute->deaf;
	double span = seconds_of(instant_since(w->last, w->run_first));
	struct finding *x = finding_raise(j, &detector_vpn_data_dead, NULL, s, f, 0);

	x->severity = SEVERITY_HIGH;
	x->side = FAULT_UNKNOWN;
	x->confidence = trust * (spoke ? 0.85 : 0.7);
	x->count = w->run;
	x->ended = false;
	x->file = w->file;
	if (!news)
		return;
	finding_time(x, w->run_first);
	finding_time(x, w->last);
	x->frame_count = 0;
	if (spoke)
		finding_frame(x, mute->frame_last);
	for (unsigned i = 0; i < w->frames; i++)
		finding_frame(x, w->frame[i]);
	finding_metric(x, "unanswered", w->run);
	finding_metric(x, "span_s", span);
	finding_metric(x, "answered_before", spoke ? mute->packets : 0);
	finding_say(x, "the VPN's control connection is up, and %u GRE packets of "
	    "the %s over %.0f s got nothing back, not even the acknowledgment "
	    "that is due; %s", w->run, wire_side(sender), span, deaf ?
	    "the other side goes on asking for the link as if it heard none" :
	    spoke ? "before, both sides were heard" :
	    "the other side was never heard");
	if (!spoke)
		finding_against(x, "a filter of protocol 47 on the way, or before "
		    "this mirror, looks the same (error 721)");
}

/* One direction: enough was sent, over long enough, into silence, while the
 * silent side's control connection was heard. */
static void
review_way(struct vpn *v, struct judge *j, struct server *s, struct flow *f,
    enum side sender, const uint64_t way[2], bool news)
{
	const struct way *w = way_of(v, way[sender]);
	const struct way *mute = way_of(v, way[other_side(sender)]);
	const struct tcp_half *control = &f->half[other_side(sender)];
	double trust;

	if (!w || w->run < RUN_MIN || control->flags & HALF_RST ||
	    !instant_before(w->run_first, control->last) ||
	    seconds_of(instant_since(w->last, w->run_first)) <
	    j->limit->silent_s)
		return;
	trust = judge_trusts(j, s, f, TRUST_LOSS | TRUST_BOTH_WAYS);
	if (trust > 0)
		raise_dead(j, s, f, sender, w, mute, trust, news);
}

static void
review_recovery(struct vpn *v, const struct control *c, struct finding *x)
{
	const struct way *a, *b;

	for (size_t i = 0; i < c->calls; i++) {
		a = way_of(v, c->way[i][CLIENT]);
		b = way_of(v, c->way[i][SERVER]);
		if (!a || !b || a->run >= RUN_MIN || b->run >= RUN_MIN ||
		    !instant_before(x->last_seen, a->last) ||
		    !instant_before(x->last_seen, b->last))
			continue;
		x->ended = true;
	}
}

static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	struct vpn *v = state;
	struct control made;
	const struct control *c;
	struct finding *x;
	bool news;

	if (f->app != APP_PPTP || f->protocol != IP_TCP)
		return;
	c = control_of(v, f, &made);
	if (!c)
		return;
	x = finding_lookup(j, &detector_vpn_data_dead, NULL, s, f, 0);
	news = !x || has_news(v, f, c, x->raised);
	if (x && !x->ended)
		review_recovery(v, c, x);
	for (size_t i = 0; i < c->calls; i++) {
		review_way(v, j, s, f, CLIENT, c->way[i], news);
		review_way(v, j, s, f, SERVER, c->way[i], news);
	}
	if (!(f->flags & FLOW_ENDED))
		judge_wake(j, f, instant_plus(j->now, AGAIN_S * NS_PER_S));
}

const struct detector detector_vpn_data_dead = {
	.finding = FINDING_vpn_data_dead,
	.meaning = "A PPTP VPN whose control connection is up passes data in one "
	    "direction only.",
	.decided = "Of a connected call one side sent five GRE packets with payload "
	    "or more over silent_s (10 s) or longer, and the other side "
	    "acknowledged none, though that is due to each: it sent no GRE packet, "
	    "or nothing but requests to open, test or close the link, which it "
	    "makes of itself; meanwhile it was heard on the control connection.",
	.mimics = "A filter of GRE on the way or before the mirror (less sure when "
	    "the silent side was never heard); an idle tunnel (nothing is sent, "
	    "so nothing is owed); packets behind the end of a call (not counted); "
	    "a mirror that shows one direction (withheld).",
	.source = "RFC 2637, 4.1 - 4.4; error 721 and blocked GRE: KB 888201; "
	    "KB 948496",
	.events = 1 << APP_REQUEST | 1 << APP_NOTE,
	.on_app = on_app,
	.matters = MATTER_PPTP,
	.review_flow = review_flow,
	.new = vpn_new,
	.free = vpn_free,
};
