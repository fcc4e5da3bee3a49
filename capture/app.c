/* app.c - which application protocol a flow speaks, and the parsers' common
 * ground.
 *
 * The hard part is to stay honest about what was not seen. A flow that was met
 * in its middle, or that lost bytes, has no known PDU boundary: its parser must
 * find one, and until it has, an exchange that the missing bytes may have
 * answered is not "unanswered". So a gap drops what it may have answered, and a
 * request made while the answering side is out of step is marked as one for
 * which no answer is due. */
#include "capture/app.h"

#include <stdio.h>
#include <string.h>

#include "capture/app_dcerpc.h"

/* The parsers over TCP, in the order of asking: those that know their protocol
 * by a longer signature come first. One line each: X(variable, APP_...). */
#define TCP_PARSERS(X)							\
	X(app_smb,	SMB)						\
	X(app_dcerpc,	DCERPC)						\
	X(app_tls,	TLS)						\
	X(app_pptp,	PPTP)						\
	X(app_rdp,	RDP)						\
	X(app_tds,	TDS)						\
	X(app_ldap,	LDAP)						\
	X(app_kerberos,	KERBEROS)					\
	X(app_http,	HTTP)						\
	X(app_ftp,	FTP)						\
	X(app_smtp,	SMTP)						\
	X(app_pop3,	POP3)						\
	X(app_imap,	IMAP)						\
	X(app_dns,	DNS)

/* Those over UDP (and GRE), likewise. */
#define DATAGRAM_PARSERS(X)						\
	X(app_dns_udp,	DNS)						\
	X(app_dhcp,	DHCP)						\
	X(app_kerberos_udp, KERBEROS)					\
	X(app_cldap,	LDAP)						\
	X(app_netbios,	NETBIOS)					\
	X(app_ntp,	NTP)						\
	X(app_pptp_gre,	PPTP)

#define X(name, protocol) extern const struct app_parser name;
TCP_PARSERS(X)
#undef X
#define X(name, protocol) \
	extern const struct app_datagram_parser name;
DATAGRAM_PARSERS(X)
#undef X

const struct app_parser *const app_parsers[] = {
#define X(name, protocol) &name,
	TCP_PARSERS(X)
#undef X
	NULL
};

const struct app_datagram_parser *const app_datagram_parsers[] = {
#define X(name, protocol) &name,
	DATAGRAM_PARSERS(X)
#undef X
	NULL
};

static const struct app_parser *const parser_by_protocol[APP_PROTOCOL_COUNT] = {
#define X(name, protocol) [APP_##protocol] = &name,
	TCP_PARSERS(X)
#undef X
	[APP_RPC_HTTP] = &app_http,	/* begins as HTTP */
};

static const struct app_datagram_parser *const
    datagram_by_protocol[APP_PROTOCOL_COUNT] = {
	[APP_UNKNOWN] = NULL,
#define X(name, protocol) [APP_##protocol] = &name,
	DATAGRAM_PARSERS(X)
#undef X
};

enum {
	/* A flow met in its middle is looked at so long for a PDU that begins
	 * with a segment; and any flow, where only one side ever speaks. */
	NAMING_PACKETS = 64,
	/* Steps lost in one go before the rest of the bytes is given up. */
	RESYNC_TRIES = 16,
	/* A datagram flow that none of them knows by then stays unknown. */
	NAMING_DATAGRAMS = 8,
};

const char *
app_protocol_name(enum app_protocol p)
{
	static const char *const names[] = {
#define X(id, name) [APP_##id] = name,
		APP_PROTOCOLS(X)
#undef X
	};

	return (unsigned)p < APP_PROTOCOL_COUNT ? names[p] : "unknown";
}

static const char *
operation_name(enum app_protocol protocol, unsigned interface,
    unsigned operation)
{
	const struct app_parser *p = parser_by_protocol[protocol];
	const struct app_datagram_parser *d = datagram_by_protocol[protocol];
	const char *name = NULL;

	if (p && p->operation)
		name = p->operation(interface, operation);
	if (!name && d && d->operation)
		name = d->operation(interface, operation);
	return name;
}

const char *
app_label_text(uint32_t label, char out[APP_LABEL_TEXT_BYTES])
{
	enum app_protocol protocol = label >> 24 < APP_PROTOCOL_COUNT ?
	    (enum app_protocol)(label >> 24) : APP_UNKNOWN;
	unsigned interface = label >> 16 & 0xff, operation = label & 0xffff;
	const char *who = app_protocol_name(protocol);
	const char *what = operation_name(protocol, interface, operation);

	if (protocol == APP_DCERPC && interface)
		who = rpc_interface_name(interface);
	if (what)
		snprintf(out, APP_LABEL_TEXT_BYTES, "%s %s", who, what);
	else if (protocol == APP_DCERPC)
		snprintf(out, APP_LABEL_TEXT_BYTES, "%s opnum %u", who, operation);
	else if (operation)
		snprintf(out, APP_LABEL_TEXT_BYTES, "%s %u", who, operation);
	else
		snprintf(out, APP_LABEL_TEXT_BYTES, "%s", who);
	return out;
}

static uint16_t
lost_flag(enum side s)
{
	return s == CLIENT ? FLOW_APP_LOST_CLIENT : FLOW_APP_LOST_SERVER;
}

static const struct app_parser *
parser_of(const struct flow *f)
{
	return f->app < APP_PROTOCOL_COUNT ? parser_by_protocol[f->app] : NULL;
}

bool
app_wants(const struct flow *f, enum side side)
{
	(void)side;
	if (f->protocol != IP_TCP || f->app_flags & FLOW_APP_STOPPED)
		return false;
	return f->app == APP_UNKNOWN ? !(f->app_flags & FLOW_APP_SETTLED) :
	    parser_of(f) != NULL;
}

bool
app_follows(const struct flow *f)
{
	return f->app != APP_UNKNOWN && app_wants(f, CLIENT);
}

static size_t
stop(struct flow *f)
{
	f->app_flags |= FLOW_APP_SETTLED | FLOW_APP_STOPPED;
	return APP_STOP;
}

static unsigned
asked_by(enum side side)
{
	return side == SERVER ? EXCHANGE_FROM_SERVER : 0;
}

/* Exchanges guessed from turns end where a parser begins. */
static void
drop_turns(struct app_context *c)
{
	exchange_close_all(c->pool, c->flow, EXCHANGE_TURN, EXCHANGE_TURN);
}

static void
settle(struct app_context *c, const struct app_parser *p)
{
	struct flow *f = c->flow;
	uint16_t other = lost_flag(other_side(c->side));

	f->app = (uint8_t)p->protocol;
	f->app_flags |= FLOW_APP_SETTLED;
	f->app_flags &= (uint16_t)~lost_flag(c->side);
	if (!p->names_only)
		drop_turns(c);
	if (app_begins_inside(f) && p->resync)
		f->app_flags |= other;
	if (!p->resync)
		f->app_flags &= (uint16_t)~other;
}

/* Nobody knows these bytes of c->side. */
static size_t
unrecognised(struct app_context *c, struct bytes b)
{
	struct flow *f = c->flow;
	bool both;

	/* While the protocol is not known, a LOST flag says that this side's
	 * first bytes were not recognised. In the middle of a flow they seldom
	 * are: the next segment may begin with a PDU. */
	if (!app_begins_inside(f))
		f->app_flags |= lost_flag(c->side);
	both = f->app_flags & FLOW_APP_LOST_CLIENT &&
	    f->app_flags & FLOW_APP_LOST_SERVER;
	return both || c->packets > NAMING_PACKETS ? stop(f) : b.left;
}

/* In the middle of a flow the bytes may begin with the rest of a PDU: look for
 * those whose signature is long enough to be found anywhere. */
static bool
identify_inside(struct app_context *c, struct bytes b)
{
	for (size_t i = 0; app_parsers[i]; i++) {
		const struct app_parser *p = app_parsers[i];

		if (!p->resync || !p->resync_keeps ||
		    p->resync(c->flow, c->side, b) >= b.left)
			continue;
		settle(c, p);
		c->flow->app_flags |= lost_flag(c->side);
		return true;
	}
	return false;
}

static bool
is_text(struct bytes b)
{
	return b.left >= APP_TEXT_BYTES && *b.at >= 'A' && *b.at <= 'Z';
}

static size_t
identify(struct app_context *c, struct bytes b, bool *named)
{
	struct bytes rest = b, first = bytes_sub_at_most(&rest, APP_PROBE_BYTES);
	bool maybe = false, text = is_text(b);

	if (!b.left)
		return 0;
	if (c->flow->app_flags & lost_flag(c->side))
		return unrecognised(c, b);
	for (size_t i = 0; app_parsers[i]; i++) {
		if (text && app_parsers[i]->binary)
			continue;
		switch (app_parsers[i]->probe(c->flow, c->side, first)) {
		case APP_MINE:
			settle(c, app_parsers[i]);
			*named = true;
			return 0;
		case APP_NEED_MORE:
			maybe = true;
			break;
		case APP_NOT_MINE:
			break;
		}
	}
	if (app_begins_inside(c->flow) && identify_inside(c, b)) {
		*named = true;
		return 0;
	}
	return maybe && b.left < APP_PROBE_BYTES ? 0 : unrecognised(c, b);
}

/* What c->side began to ask will not be seen to its end. */
static void
drop_partial(struct app_context *c)
{
	exchange_close_all(c->pool, c->flow,
	    EXCHANGE_PARTIAL | EXCHANGE_FROM_SERVER,
	    EXCHANGE_PARTIAL | asked_by(c->side));
}

/* The parser has lost its place in the bytes of c->side. */
static bool
step_lost(struct app_context *c, const struct app_parser *p, uint32_t n)
{
	struct flow *f = c->flow;

	app_forget(c, f, other_side(c->side));
	drop_partial(c);
	if (p->gap)
		p->gap(c, n);
	if (!p->resync) {
		stop(f);
		return false;
	}
	f->app_flags |= lost_flag(c->side);
	return true;
}

/* Where a PDU begins in the bytes of a side that is out of step, or APP_LOST
 * and how many of the bytes can go. */
static size_t
find_step(struct app_context *c, const struct app_parser *p, struct bytes b,
    size_t *useless)
{
	size_t at = p->resync(c->flow, c->side, b);

	*useless = b.left > p->resync_keeps ? b.left - p->resync_keeps : 0;
	if (at >= b.left)
		return APP_LOST;
	c->flow->app_flags &= (uint16_t)~lost_flag(c->side);
	return at;
}

size_t
app_stream_bytes(struct app_context *c, struct bytes b, bool *named)
{
	const struct app_parser *p = parser_of(c->flow);
	uint32_t end_seq = c->end_seq;
	size_t given = b.left, used = 0, useless;
	bool whole_skip = !b.left;
	int tries = 0;

	*named = false;
	if (!app_wants(c->flow, c->side))
		return stop(c->flow);
	if (!p)
		return identify(c, b, named);
	while (b.left || whole_skip) {
		whole_skip = false;
		if (c->flow->app_flags & lost_flag(c->side)) {
			used = find_step(c, p, b, &useless);
			if (used == APP_LOST)
				return given - b.left + useless;
			bytes_skip(&b, used);
		}
		c->end_seq = end_seq;
		used = p->feed(c, b);
		if (used == APP_STOP)
			return stop(c->flow);
		if (used == APP_LOST) {
			if (!step_lost(c, p, 0))
				return APP_STOP;
			if (++tries > RESYNC_TRIES || !b.left)
				return given;
			used = 1;
		}
		if (!used || used > b.left)
			return given - b.left + used;
		bytes_skip(&b, used);
		c->began = c->now;
		c->first_frame = c->frame;
	}
	return given;
}

bool
app_stream_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	const struct app_parser *p = parser_of(c->flow);
	uint32_t lost = c->flow->app_flags & lost_flag(c->side);

	if (!app_wants(c->flow, c->side))
		return false;
	if (!p) {
		c->flow->app_flags |= FLOW_APP_INSIDE;
		return true;
	}
	if (!lost && p->skip_gap && p->skip_gap(c, held, n))
		return true;
	return step_lost(c, p, n);
}

void
app_stream_missed(struct app_context *c, uint32_t n)
{
	const struct app_parser *p = parser_of(c->flow);

	if (!app_follows(c->flow) || (p->missed && p->missed(c, n)))
		return;
	app_forget(c, c->flow, other_side(c->side));
}

void
app_forget(struct app_context *c, struct flow *f, enum side side)
{
	exchange_close_all(c->pool, f, EXCHANGE_TURN | EXCHANGE_FROM_SERVER,
	    asked_by(side));
}

/* The other side's bytes are out of step: an answer would not be found. It is
 * no matter while it has not said a word. */
static bool
answer_would_be_missed(const struct app_context *c)
{
	enum side other = other_side(c->side);

	return c->flow->app_flags & lost_flag(other) &&
	    c->half[other].flags & HALF_DATA;
}

static void
mark_acked(struct app_context *c, struct exchange *x)
{
	const struct app_half *peer;

	x->acked = (struct instant){ 0 };
	x->frame_acked = 0;
	if (c->flow->protocol != IP_TCP)
		return;
	peer = &c->half[other_side(c->side)];
	if (!(peer->flags & HALF_ACKED) ||
	    seq_before(peer->acked, x->request_end))
		return;
	x->acked = c->now;
	x->frame_acked = c->frame;
}

static void
tell_request(struct app_context *c, const struct exchange *x)
{
	struct app_event e = {
		.type = APP_REQUEST, .flow = c->flow, .side = c->side,
		.time = c->now, .frame = c->frame, .label = x->label,
		.exchange_flags = x->flags, .key = x->key, .asked = x->asked,
		.asked_frame = x->frame_last,
	};

	app_tell(c, &e);
}

struct exchange *
app_request(struct app_context *c, uint64_t key, uint32_t label,
    unsigned flags, struct instant began, uint64_t first_frame, uint32_t bytes)
{
	struct flow *f = c->flow;
	struct exchange *x = exchange_find(f, key);

	if (x)
		exchange_close(c->pool, f, x);
	if (answer_would_be_missed(c))
		flags |= EXCHANGE_ONE_WAY;
	flags |= asked_by(c->side);
	if (f->app_flags & FLOW_HANDSHAKE && !f->turns && !f->waiting)
		flags |= EXCHANGE_FIRST;
	x = exchange_open(c->pool, f, key, label, flags);
	if (!x)
		return NULL;
	x->request_end = c->end_seq;
	x->request_bytes = bytes;
	x->began = began;
	x->frame_first = first_frame;
	x->asked = x->first_pdu = c->now;
	x->frame_last = c->frame;
	mark_acked(c, x);
	f->last_asked = c->now;
	if (!(flags & EXCHANGE_PARTIAL))
		tell_request(c, x);
	return x;
}

void
app_request_grows(struct app_context *c, struct exchange *x, uint32_t bytes,
    uint32_t missing)
{
	x->request_end = c->end_seq;
	x->request_bytes = bytes;
	x->missing_bytes = missing;
	x->asked = c->now;
	x->frame_last = c->frame;
	x->flags |= EXCHANGE_PARTIAL;
	c->flow->last_asked = c->now;
	mark_acked(c, x);
}

void
app_request_whole(struct app_context *c, struct exchange *x)
{
	app_request_grows(c, x, x->request_bytes, 0);
	x->flags &= (uint16_t)~EXCHANGE_PARTIAL;
	tell_request(c, x);
}

int64_t
app_response_on(struct app_context *c, struct flow *f, uint64_t key,
    bool fault, const struct app_event *more)
{
	struct exchange *x = exchange_find(f, key);
	struct app_event e = more ? *more : (struct app_event){ 0 };

	if (!x || !(x->flags & EXCHANGE_FROM_SERVER) == (c->side == CLIENT))
		return -1;
	e.type = APP_RESPONSE;
	e.flow = f;
	e.side = c->side;
	e.time = c->now;
	e.frame = c->frame;
	e.label = x->label;
	e.exchange_flags = x->flags;
	e.key = key;
	e.fault = fault;
	e.asked = x->asked;
	e.asked_frame = x->frame_last;
	e.took_ns = instant_since(c->now, x->asked);
	if (e.took_ns < 0)
		e.took_ns = 0;
	f->turns = saturated16(f->turns);
	f->last_answered = c->now;
	if (!(x->flags & EXCHANGE_PARKS) && e.took_ns > f->wait_max_ns)
		f->wait_max_ns = e.took_ns;
	exchange_close(c->pool, f, x);
	app_tell(c, &e);
	return e.took_ns;
}

int64_t
app_response(struct app_context *c, uint64_t key, bool fault)
{
	return app_response_on(c, c->flow, key, fault, NULL);
}

void
app_datagram(struct app_context *c, const struct packet *p)
{
	const struct app_datagram_parser *d = NULL;
	struct flow *f = c->flow;

	if (f && f->app < APP_PROTOCOL_COUNT)
		d = datagram_by_protocol[f->app];
	if (!d && f && (f->app != APP_UNKNOWN || f->app_flags & FLOW_APP_SETTLED))
		return;
	for (size_t i = 0; !d && app_datagram_parsers[i]; i++)
		if (app_datagram_parsers[i]->probe(p))
			d = app_datagram_parsers[i];
	if (!d) {
		if (f && c->packets > NAMING_DATAGRAMS)
			f->app_flags |= FLOW_APP_SETTLED;
		return;
	}
	if (f && f->app == APP_UNKNOWN) {
		f->app = (uint8_t)d->protocol;
		f->app_flags |= FLOW_APP_SETTLED;
	}
	d->packet(c, p);
}

bool
app_holds(const struct flow *f)
{
	const struct app_parser *p = f->app_state ? parser_of(f) : NULL;

	return p && p->holds_flow;
}

void
app_release(struct flow *f)
{
	const struct app_parser *p = parser_of(f);

	if (p && p->release && f->app_state)
		p->release(f);
	f->app_state = NULL;
}
