/* ftp_data_failure.c - FTP whose control connection works and whose data
 * connections are never made.
 *
 * The hard part is that the data connection is another flow, of either
 * direction, of which one only knows where it will be listened for: the place
 * that PORT or PASV announced. A transfer that fails for a reason of its own
 * (no such file, no right) is none of this: what counts is a SYN to that place
 * that is not answered or refused, or the server's word that it could not
 * connect. */
#include "detectors/detector.h"

#include <stdlib.h>

#include "capture/app_ftp.h"
#include "detectors/memo.h"
#include "detectors/registry.h"
#include "detectors/subject.h"

enum {
	SESSIONS = 4096, PLACES = 4096, TALLIES = 512,
	SESSION_FRAMES = 6,
	REPLY_CANNOT_CONNECT = 425,	/* RFC 959, 4.2.1 */
	REFUSED_S = 2,			/* a refusal may be followed by another
					 * try that works */
	SYNS_MIN = 2,
	WELL_KNOWN_PORTS = 1024,
};

enum mode { NO_MODE, ACTIVE, PASSIVE };
static const char *const mode_name[] = { NULL, "active", "passive" };

/* A control connection and the data connection that it announced last. */
struct session {
	struct address server, client;
	uint64_t place;			/* key in places; 0: none announced */
	enum mode mode;
	uint16_t server_port, data_port;
	uint16_t verb;			/* enum ftp_verb of the transfer */
	uint32_t file;
	uint32_t syns;
	bool connected, refused, cannot, counted;
	struct instant announced, first_syn;
	uint8_t frames;
	uint64_t frame[SESSION_FRAMES];	/* announcement, command, SYNs, reply */
};

/* How the data connections of a server fared, by mode. */
struct tally {
	struct address server;
	struct address client;		/* of the failures, if of one: */
	bool several;
	enum mode mode;
	uint16_t server_port;
	uint32_t made, failed, refused;
	uint32_t told;			/* failures when last raised */
	struct instant first, last, last_made;
	uint32_t file;
	uint16_t data_port;		/* of the last failure */
	unsigned frames;
	uint64_t frame[FINDING_FRAMES];
};

struct ftp {
	struct memo *sessions;		/* by flow id of the control connection */
	struct memo *places;		/* uint64_t: that flow id */
	struct memo *tallies;
	uint64_t announced[1024];	/* TCP ports that ever were, by bit */
	struct instant called;		/* the last SYN to such a place, or its
					 * refusal */
	bool calls;			/* not all of them have come to an end */
};

extern const struct detector detector_ftp_data_failure;

static void
ftp_free(void *state)
{
	struct ftp *d = state;

	if (!d)
		return;
	memo_free(&d->sessions);
	memo_free(&d->places);
	memo_free(&d->tallies);
	free(d);
}

static void *
ftp_new(void)
{
	struct ftp *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->sessions = memo_new(SESSIONS, sizeof(struct session));
	d->places = memo_new(PLACES, sizeof(uint64_t));
	d->tallies = memo_new(TALLIES, sizeof(struct tally));
	if (!d->sessions || !d->places || !d->tallies) {
		ftp_free(d);
		return NULL;
	}
	return d;
}

/* --- the packet phase --- */

static void
session_frame(struct session *s, uint64_t frame)
{
	if (s->frames < SESSION_FRAMES)
		s->frames++;
	s->frame[s->frames - 1] = frame;
}

static struct tally *
tally_of(struct ftp *d, const struct session *s)
{
	struct tally *t = memo_make(d->tallies, subject_of(&s->server,
	    (uint64_t)s->server_port << 8 | s->mode));

	t->server = s->server;
	t->server_port = s->server_port;
	t->mode = s->mode;
	return t;
}

static void
count_failure(struct ftp *d, struct session *s, struct instant now)
{
	struct tally *t = tally_of(d, s);

	s->counted = true;
	if (!t->failed++) {
		t->first = s->announced;
		t->file = s->file;
		t->client = s->client;
	}
	t->several |= address_compare(&t->client, &s->client) != 0;
	t->refused += s->refused;
	t->last = now;
	t->data_port = s->data_port;
	for (unsigned i = 0; i < s->frames && t->frames < FINDING_FRAMES; i++)
		t->frame[t->frames++] = s->frame[i];
}

/* The server says so, or the SYNs of the one that should connect do. */
static bool
has_failed(const struct session *s, struct instant now, double connect_s)
{
	double since = seconds_of(instant_since(now, s->first_syn));

	if (s->counted || s->connected || s->mode == NO_MODE)
		return false;
	if (s->cannot)
		return true;
	if (!s->syns)
		return false;
	return s->refused ? since >= REFUSED_S :
	    s->syns >= SYNS_MIN && since >= connect_s;
}

static void
forget_place(struct ftp *d, struct session *s)
{
	if (s->place)
		memo_drop(d->places, s->place);
	s->place = 0;
}

static void
note_place(struct ftp *d, const struct app_event *e, enum mode mode)
{
	const struct flow *f = e->flow;
	struct session *s = memo_make(d->sessions, f->id);

	forget_place(d, s);
	*s = (struct session){
		.server = f->addr[SERVER], .server_port = f->port[SERVER],
		.client = f->addr[CLIENT],
		.mode = mode, .file = f->file, .announced = e->time,
		.data_port = e->port,
		.place = subject_of(&e->address, e->port),
	};
	session_frame(s, e->frame);
	*(uint64_t *)memo_make(d->places, s->place) = f->id;
	d->announced[e->port / 64] |= UINT64_C(1) << e->port % 64;
}

/* A further transfer without a new announcement goes where the last one went
 * (RFC 959, 3.2), and is another try. */
static void
note_transfer(struct ftp *d, const struct app_event *e)
{
	struct session *s = memo_find(d->sessions, e->flow->id);

	if (!s)
		return;
	if (s->verb) {
		s->syns = 0;
		s->connected = s->refused = s->cannot = s->counted = false;
	}
	s->verb = (uint16_t)e->value;
	session_frame(s, e->frame);
}

static void
note_reply(struct ftp *d, const struct app_event *e)
{
	struct session *s = memo_find(d->sessions, e->flow->id);

	if (!s || !s->verb || !ftp_is_transfer(e->label & 0xffff) ||
	    e->value < 200)
		return;
	if (e->value != REPLY_CANNOT_CONNECT || s->connected)
		return;
	s->cannot = true;
	session_frame(s, e->frame);
	if (has_failed(s, e->time, 0))
		count_failure(d, s, e->time);
}

static void
on_app(void *state, const struct app_event *e)
{
	if (!e->flow)
		return;
	if (e->what == APP_NOTE_FTP_PORT)
		note_place(state, e, ACTIVE);
	else if (e->what == APP_NOTE_FTP_PASV)
		note_place(state, e, PASSIVE);
	else if (e->what == APP_NOTE_FTP_TRANSFER)
		note_transfer(state, e);
	else if (e->what == APP_NOTE_FTP_REPLY)
		note_reply(state, e);
}

static void
note_connected(struct ftp *d, struct session *s, struct instant now)
{
	struct tally *t;

	if (s->connected)
		return;
	s->connected = true;
	t = tally_of(d, s);
	t->made++;
	t->last_made = now;
}

static void
session_called(struct ftp *d, struct session *s, const struct packet *p)
{
	session_frame(s, p->frame);
	d->called = p->time;
	d->calls = true;
}

static void
on_delivery(void *state, const struct delivery *seg)
{
	const struct flow *f = seg->flow;
	struct ftp *d = state;
	struct session *s;
	const uint64_t *flow_id;

	if (!(d->announced[f->port[SERVER] / 64] >> f->port[SERVER] % 64 & 1))
		return;
	flow_id = memo_find(d->places, subject_of(&f->addr[SERVER],
	    f->port[SERVER]));
	s = flow_id ? memo_find(d->sessions, *flow_id) : NULL;
	if (!s)
		return;
	if (seg->facts & (SEG_SYN_ACK | SEG_ESTABLISHES)) {
		note_connected(d, s, seg->packet->time);
	} else if (seg->facts & SEG_SYN) {
		if (!s->syns++)
			s->first_syn = seg->packet->time;
		session_called(d, s, seg->packet);
	} else if (seg->side == SERVER && !s->connected) {
		s->refused = true;
		session_called(d, s, seg->packet);
	}
}

/* --- the step phase --- */

/* In active mode it is the client that is called. Where all failures are of one
 * client, and that is a server to others, the fault is looked for there: it
 * fetches by FTP, and does not hear. */
static struct server *
subject(struct judge *j, const struct tally *t)
{
	struct server *client = t->mode == ACTIVE && !t->several ?
	    registry_server(j->registry, &t->client, false) : NULL;

	for (const struct service *v = client ? client->services : NULL; v;
	    v = v->next)
		if (v->protocol == IP_TCP && v->port < WELL_KNOWN_PORTS)
			return client;
	return registry_server(j->registry, &t->server, false);
}

static void
describe_outgoing(struct finding *x, const struct tally *t)
{
	char text[ADDRESS_TEXT_BYTES];

	finding_say(x, "this host fetches by FTP from %s, and %u data connection%s "
	    "(active mode) to it %s never made, though the control connection "
	    "works: the other's SYN to its port (%u at last) %s; %u others were "
	    "made", address_text(&t->server, text), t->failed, t->failed == 1 ? "" :
	    "s", t->failed == 1 ? "was" : "were", t->data_port, t->refused ?
	    "is refused" : "gets no answer", t->made);
	if (!t->made)
		finding_against(x, "a filter before this host that does not follow "
		    "FTP always blocks active mode");
}

static void
describe(struct finding *x, const struct tally *t)
{
	finding_metric(x, "failed", t->failed);
	finding_metric(x, "made", t->made);
	finding_metric(x, "refused", t->refused);
	finding_say(x, "%u data connection%s (%s mode) %s never made, though the "
	    "control connection works: %s to the %s's port (%u at last) %s; %u "
	    "others were made", t->failed, t->failed == 1 ? "" : "s",
	    mode_name[t->mode], t->failed == 1 ? "was" : "were",
	    t->mode == ACTIVE ? "the server's SYN" : "the client's SYN",
	    t->mode == ACTIVE ? "client" : "server", t->data_port, t->refused ?
	    "is refused" : "gets no answer", t->made);
	if (t->mode == ACTIVE && !t->made)
		finding_against(x, "a client behind a filter or NAT that does not "
		    "follow FTP never gets data in active mode");
	else if (t->mode == PASSIVE && !t->made)
		finding_against(x, "a filter before the server that does not follow "
		    "FTP blocks its passive ports always");
}

static void
raise_failures(struct judge *j, struct tally *t)
{
	struct server *v = subject(j, t);
	double trust = v ? judge_trusts(j, v, NULL, TRUST_LOSS |
	    TRUST_BOTH_WAYS) : 0;
	struct finding *x;

	if (trust <= 0)
		return;
	t->told = t->failed;
	x = finding_raise(j, &detector_ftp_data_failure, mode_name[t->mode], v,
	    NULL, t->server_port);
	x->protocol = IP_TCP;
	x->app = APP_FTP;
	x->severity = t->failed < (uint32_t)j->limit->witness_min ?
	    SEVERITY_LOW : SEVERITY_MEDIUM;
	x->side = FAULT_UNKNOWN;
	x->confidence = trust * (t->made ? 0.85 : 0.7);
	x->count = t->failed;
	x->file = t->file;
	x->ended = instant_before(t->last, t->last_made);
	finding_time(x, t->first);
	finding_time(x, t->last);
	x->frame_count = 0;
	for (unsigned i = 0; i < t->frames; i++)
		finding_frame(x, t->frame[i]);
	if (address_compare(&v->address, &t->server))
		describe_outgoing(x, t);
	else
		describe(x, t);
}

static void
review_recovery(struct judge *j, const struct tally *t)
{
	struct server *v = subject(j, t);
	struct finding *x = v ? finding_lookup(j, &detector_ftp_data_failure,
	    mode_name[t->mode], v, NULL, t->server_port) : NULL;

	if (!x || x->ended)
		return;
	x->ended = true;
	if (address_compare(&v->address, &t->server))
		describe_outgoing(x, t);
	else
		describe(x, t);
}

/* Who was not called since the last look, and had failed by then, was counted. */
static void
review_sessions(struct ftp *d, struct judge *j)
{
	double since = seconds_of(instant_since(j->now, d->called));
	size_t cursor = 0;
	struct session *s;

	while ((s = memo_each(d->sessions, &cursor, NULL)))
		if (has_failed(s, j->now, j->limit->connect_s))
			count_failure(d, s, j->now);
	d->calls = since < REFUSED_S || since < j->limit->connect_s;
}

static void
review_capture(void *state, struct judge *j)
{
	struct ftp *d = state;
	size_t cursor = 0;
	struct tally *t;

	if (d->calls)
		review_sessions(d, j);
	while ((t = memo_each(d->tallies, &cursor, NULL)))
		if (t->failed != t->told)
			raise_failures(j, t);
		else if (t->told && instant_before(t->last, t->last_made))
			review_recovery(j, t);
}

static const char *const kinds[] = { "active", "passive", NULL };

const struct detector detector_ftp_data_failure = {
	.finding = FINDING_ftp_data_failure,
	.meaning = "FTP transfers of this server fail: the control connection "
	    "works, the data connection is never made.",
	.decided = "For the place that PORT or EPRT (active) or the reply to PASV or "
	    "EPSV (passive) announced: the server answers a transfer command with "
	    "425, or the SYN to that place is sent twice or more and not answered "
	    "in connect_s (9 s), or it is refused and no other try follows. One "
	    "such transfer stays low. Where one client has all of them, in active "
	    "mode, and is a server to others itself, the finding is that host's.",
	.mimics = "Transfers that fail for a reason of their own (other replies do "
	    "not count); an active client behind a filter or NAT (said where no "
	    "data connection of that mode ever worked); control connections under "
	    "TLS (not read, so nothing is said).",
	.source = "RFC 959, 3.2 and 5.4; RFC 2428; KB 948496",
	.kinds = kinds,
	.events = 1 << APP_NOTE,
	.on_app = on_app,
	.delivered = SEG_SYN | SEG_SYN_ACK | SEG_RST | SEG_ESTABLISHES,
	.on_delivery = on_delivery,
	.review_capture = review_capture,
	.new = ftp_new,
	.free = ftp_free,
};
