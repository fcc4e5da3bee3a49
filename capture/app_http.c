/* app_http.c - HTTP/1.x (RFC 9112), MAPI over HTTP where it is in clear, and
 * the HTTP side of RPC over HTTP (MS-RPCH).
 *
 * A request is asked when its body has ended; a response answers as soon as its
 * header is there, except in MAPI over HTTP, where the server says "200" before
 * it has begun to work. Bodies are skipped without being looked at. The hard
 * part is to know where they end, since the next message begins there: that
 * takes the request's method, too, so that the methods of requests which wait
 * are kept in a short queue. */
#include "capture/app_http.h"

#include <stdlib.h>
#include <string.h>

#include "capture/app_dcerpc.h"
#include "capture/app_pdu.h"
#include "capture/app_rpch.h"

enum {
	HTTP_HEAD_MAX = 49152,	/* no server takes longer ones by default */
	HTTP_QUEUE = 8,		/* requests pipelined; of more, all are GETs */
	CHUNK_LINE_MAX = 1024,	/* RFC 9112, 7.1: size and extensions */
	METHOD_MAX = 20,
	/* An RPC channel's body; shorter ones only authenticate or probe
	 * (MS-RPCH 2.1.2.1.1, 2.1.2.1.5) */
	RPC_BODY_MIN = 20,
};

/* Methods by name; the order is the operation of a label. */
#define HTTP_METHODS(X)							\
	X(OTHER, "") X(GET, "GET") X(HEAD, "HEAD") X(POST, "POST")	\
	X(PUT, "PUT") X(DELETE, "DELETE") X(OPTIONS, "OPTIONS")		\
	X(TRACE, "TRACE") X(CONNECT, "CONNECT") X(PATCH, "PATCH")	\
	X(PROPFIND, "PROPFIND") X(PROPPATCH, "PROPPATCH")		\
	X(MKCOL, "MKCOL") X(COPY, "COPY") X(MOVE, "MOVE")		\
	X(LOCK, "LOCK") X(UNLOCK, "UNLOCK") X(SEARCH, "SEARCH")		\
	X(REPORT, "REPORT") X(POLL, "POLL") X(NOTIFY, "NOTIFY")		\
	X(SUBSCRIBE, "SUBSCRIBE") X(UNSUBSCRIBE, "UNSUBSCRIBE")		\
	X(BPROPFIND, "BPROPFIND") X(BDELETE, "BDELETE")			\
	X(BITS_POST, "BITS_POST") X(CCM_POST, "CCM_POST")		\
	X(RPC_IN_DATA, "RPC_IN_DATA") X(RPC_OUT_DATA, "RPC_OUT_DATA")	\
	X(RPC_CONNECT, "RPC_CONNECT")

enum http_method {
#define X(id, name) METHOD_##id,
	HTTP_METHODS(X)
#undef X
	METHOD_COUNT
};

static const char *const method_names[] = {
#define X(id, name) [METHOD_##id] = name,
	HTTP_METHODS(X)
#undef X
};

/* X-RequestType of MAPI over HTTP (MS-OXCMAPIHTTP 2.2.3.3.1): interface 1 of a
 * label. */

static const char *const mapi_names[] = {
	"request", "NotificationWait", "Connect", "Execute", "Disconnect", "PING",
	"Bind", "Unbind", "CompareMIds", "DNToMId", "GetMatches", "GetPropList",
	"GetProps", "GetSpecialTable", "GetTemplateInfo", "ModLinkAtt",
	"ModProps", "QueryColumns", "QueryRows", "ResolveNames",
	"ResortRestriction", "SeekEntries", "UpdateStat", "GetMailboxUrl",
	"GetAddressBookUrl",
};
enum { MAPI_NOTIFICATION_WAIT = 1,
	MAPI_COUNT = sizeof(mapi_names) / sizeof(mapi_names[0]) };

enum http_phase {
	PHASE_HEAD, PHASE_BODY, PHASE_BODY_END, PHASE_CHUNK, PHASE_CHUNK_END,
	PHASE_TRAILER, PHASE_TO_CLOSE, PHASE_RPC, PHASE_TUNNEL,
	PHASE_SEEK,		/* for a segment that begins with a message */
};

struct http_lane {
	uint64_t body_left;
	enum http_phase phase;
	bool open_at_end;	/* client: the request is asked at the body's end */
	bool answer_at_end;	/* server: likewise the answer, see `fault` */
	bool fault;
	uint32_t answers;	/* number of the request in hand, or answered */
	uint32_t bytes;		/* of the request */
	struct instant began;
	uint64_t first_frame;
};

/* A request whose response has not begun. */
struct http_request {
	uint32_t label;
	uint8_t method;		/* enum http_method */
	uint8_t flags;		/* enum exchange_flag */
};

struct http_state {
	struct http_lane lane[2];	/* by enum side */
	struct http_request queue[HTTP_QUEUE];
	uint32_t asked, answered;	/* requests so far, responses so far */
	uint8_t channel;		/* METHOD_RPC_...: this flow's channel */
	struct app_shared *shared;
	struct rpch_connection *connection;	/* with its other channel */
	struct http_rpc *rpc;		/* once there are PDUs in bodies */
};

struct http_rpc {
	struct rpc_lane lane[2];	/* by enum side */
	struct rpc own;			/* while there is no connection */
};

/* What a message's header says of its body and purpose. */
struct http_head {
	enum http_method method;	/* request */
	unsigned code;			/* response */
	bool has_length, chunked, mapi;
	bool proxied;		/* request: asked of a proxy */
	uint64_t length;
	unsigned mapi_type;
};

/* --- text ------------------------------------------------------------------------ */

static uint8_t
lower(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet | 0x20) : octet;
}

/* The name of a field, which ends in a colon, is taken off: where that is tells most
 * of them apart. */
static bool
take_name(struct bytes *b, const char *name, size_t n)
{
	return b->left >= n && b->at[n - 1] == ':' && line_prefix(b, name);
}

#define TAKE_NAME(b, name) take_name(b, name, sizeof(name) - 1)

static void
take_blanks(struct bytes *b)
{
	while (b->left && (*b->at == ' ' || *b->at == '\t'))
		bytes_skip(b, 1);
}

/* 16 and more: none, in any base. */
static unsigned
digit_of(uint8_t octet)
{
	if (octet >= '0' && octet <= '9')
		return octet - (unsigned)'0';
	octet = lower(octet);
	return octet >= 'a' && octet <= 'f' ? octet - (unsigned)'a' + 10 : 16;
}

/* A number in base 10 or 16; false: none, or too large to be one. */
static bool
take_number(struct bytes *b, unsigned base, uint64_t *out)
{
	uint64_t n = 0;
	size_t digits = 0;

	for (; digits < b->left; digits++) {
		unsigned digit = digit_of(b->at[digits]);

		if (digit >= base)
			break;
		if (n > UINT64_MAX / 32)
			return false;
		n = n * base + digit;
	}
	bytes_skip(b, digits);
	*out = n;
	return digits;
}

static enum http_method
take_method(struct bytes *line)
{
	for (unsigned i = 1; i < METHOD_COUNT; i++) {
		size_t n = strlen(method_names[i]);

		if (line->left > n && line->at[n] == ' ' &&
		    memcmp(line->at, method_names[i], n) == 0) {
			bytes_skip(line, n + 1);
			return (enum http_method)i;
		}
	}
	return METHOD_OTHER;
}

static unsigned
mapi_type(struct bytes value)
{
	for (unsigned i = 1; i < MAPI_COUNT; i++) {
		size_t n = strlen(mapi_names[i]);

		if (value.left == n && memcmp(value.at, mapi_names[i], n) == 0)
			return i;
	}
	return 0;
}

/* One header field (RFC 9112, 5). The first letter tells of most that they say
 * nothing of the message's end. */
static void
take_field(struct bytes line, struct http_head *h)
{
	switch (lower(*line.at)) {
	case 'c':
		if (!TAKE_NAME(&line, "content-length:"))
			break;
		take_blanks(&line);
		h->has_length = take_number(&line, 10, &h->length);
		break;
	case 't':
		if (TAKE_NAME(&line, "transfer-encoding:"))
			h->chunked |= line_has(line, "chunked");
		break;
	case 'x':
		if (!TAKE_NAME(&line, "x-requesttype:"))
			break;
		take_blanks(&line);
		h->mapi = true;
		h->mapi_type = mapi_type(line);
		break;
	default:
		break;
	}
}

static bool
take_version(struct bytes *b)
{
	static const char usual[] = "HTTP/1.";
	struct bytes rest = *b;

	if (rest.left >= sizeof(usual) - 1 &&
	    memcmp(rest.at, usual, sizeof(usual) - 1) == 0)
		bytes_skip(&rest, sizeof(usual) - 1);
	else if (!line_prefix(&rest, "http/1."))
		return false;
	bytes_skip(&rest, 1);
	*b = rest;
	return !bytes_ran_out(rest);
}

/* The first line of a request ends in a version (RFC 9112, 3). */
static bool
ends_in_version(struct bytes line)
{
	enum { VERSION_BYTES = 8 };

	while (line.left && line.at[line.left - 1] == ' ')
		line.left--;
	if (line.left < VERSION_BYTES)
		return false;
	bytes_skip(&line, line.left - VERSION_BYTES);
	return take_version(&line);
}

/* A status line (RFC 9112, 4); false: this is none. */
static bool
take_status(struct bytes line, struct http_head *h)
{
	uint64_t code;

	if (!take_version(&line))
		return false;
	take_blanks(&line);
	if (!take_number(&line, 10, &code) || code < 100 || code > 999)
		return false;
	h->code = (unsigned)code;
	return true;
}

/* What a request line asks, and whether of a proxy (RFC 9112, 3.2.2, 3.2.3). */
static void
take_request(struct bytes line, struct http_head *h)
{
	h->method = take_method(&line);
	h->proxied = h->method == METHOD_CONNECT || line_prefix(&line, "http://");
}

/* The fields of a header, and its first line for itself. Returns its bytes with the
 * empty line that ends it, which may be the first one; 0: it is not whole. */
static size_t
take_head(struct bytes b, struct bytes *first, struct http_head *h)
{
	struct bytes rest = b, line;

	if (!line_take(&rest, first))
		return 0;
	for (line = *first; line.left;) {
		if (!line_take(&rest, &line))
			return 0;
		if (line.left)
			take_field(line, h);
	}
	return b.left - rest.left;
}

/* False: it begins no message. */
static bool
take_first_line(struct bytes line, enum side side, struct http_head *h)
{
	if (side == SERVER)
		return take_status(line, h);
	if (!ends_in_version(line))
		return false;
	take_request(line, h);
	return true;
}

/* --- requests -------------------------------------------------------------------- */

static void
ask(struct app_context *c, struct http_state *s)
{
	struct http_lane *lane = &s->lane[CLIENT];
	struct http_request *r = &s->queue[(lane->answers - 1) % HTTP_QUEUE];

	lane->open_at_end = false;
	if (lane->answers <= s->answered)
		return;			/* it was answered before it ended */
	app_request(c, lane->answers, r->label, r->flags, lane->began,
	    lane->first_frame, lane->bytes);
}

static bool
is_channel(enum http_method m)
{
	return m == METHOD_RPC_IN_DATA || m == METHOD_RPC_OUT_DATA;
}

static void
request_begins(struct app_context *c, struct http_state *s,
    const struct http_head *h, size_t n)
{
	struct http_lane *lane = &s->lane[CLIENT];
	struct http_request *r = &s->queue[s->asked % HTTP_QUEUE];

	*r = (struct http_request){ .method = (uint8_t)h->method };
	r->label = h->mapi ? app_label(APP_HTTP, HTTP_MAPI, h->mapi_type) :
	    app_label(APP_HTTP, h->proxied ? HTTP_PROXIED : HTTP_PLAIN,
	    h->method);
	if (h->mapi && h->mapi_type == MAPI_NOTIFICATION_WAIT)
		r->flags = EXCHANGE_PARKS;	/* MS-OXCMAPIHTTP 2.2.4.4 */
	if (h->method == METHOD_RPC_IN_DATA)
		r->flags = EXCHANGE_PARKS;	/* until the channel ends */
	lane->answers = ++s->asked;
	lane->began = c->began;
	lane->first_frame = c->first_frame;
	lane->bytes = (uint32_t)n;
	lane->open_at_end = true;
	lane->body_left = h->has_length ? h->length : 0;
	lane->phase = h->chunked ? PHASE_CHUNK :
	    lane->body_left ? PHASE_BODY : PHASE_BODY_END;
	if (h->method == METHOD_RPC_CONNECT || is_channel(h->method))
		c->flow->app = APP_RPC_HTTP;
	if (!is_channel(h->method) || h->chunked || lane->body_left < RPC_BODY_MIN)
		return;
	/* The body is a channel. */
	s->channel = (uint8_t)h->method;
	lane->phase = PHASE_RPC;
	if (h->method == METHOD_RPC_IN_DATA)
		ask(c, s);
}

/* --- responses ------------------------------------------------------------------- */

static void
answer(struct app_context *c, struct http_state *s)
{
	struct http_lane *lane = &s->lane[SERVER];

	lane->answer_at_end = false;
	(void)app_response(c, lane->answers, lane->fault);
}

/* Where the body of a response ends (RFC 9112, 6.3). */
static void
response_body(struct http_lane *lane, const struct http_head *h,
    enum http_method method)
{
	lane->body_left = h->has_length ? h->length : 0;
	if (method == METHOD_HEAD || h->code == 204 || h->code == 304)
		lane->phase = PHASE_BODY_END;
	else if (h->chunked)
		lane->phase = PHASE_CHUNK;
	else if (h->has_length)
		lane->phase = h->length ? PHASE_BODY : PHASE_BODY_END;
	else
		lane->phase = PHASE_TO_CLOSE;
}

/* False: HTTP ends here. */
static bool
response_begins(struct app_context *c, struct http_state *s,
    const struct http_head *h)
{
	const bool known = s->answered < s->asked &&
	    s->asked - s->answered <= HTTP_QUEUE;
	const struct http_request *r = known ?
	    &s->queue[s->answered % HTTP_QUEUE] : NULL;
	const enum http_method method = r ? (enum http_method)r->method :
	    METHOD_GET;
	const bool good = h->code >= 200 && h->code < 300;
	struct http_lane *lane = &s->lane[SERVER];

	if (h->code < 200 && h->code != 101)
		return true;		/* RFC 9110, 15.2: not yet the answer */
	if (s->answered < s->asked)
		s->answered++;
	lane->answers = s->answered;
	lane->fault = h->code >= 500;
	lane->answer_at_end = r && (r->label >> 16 & 0xff) == HTTP_MAPI && good;
	response_body(lane, h, method);
	if (!lane->answer_at_end || lane->phase == PHASE_TO_CLOSE)
		answer(c, s);
	if (h->code == 101 || (method == METHOD_CONNECT && good))
		return false;
	if (method == METHOD_RPC_CONNECT && good) {
		s->lane[CLIENT].phase = s->lane[SERVER].phase = PHASE_TUNNEL;
	} else if (method == METHOD_RPC_OUT_DATA && good &&
	    lane->phase == PHASE_BODY) {
		s->channel = METHOD_RPC_OUT_DATA;
		lane->phase = PHASE_RPC;
	}
	return true;
}

/* --- RPC in bodies --------------------------------------------------------------- */

static void
join(struct app_context *c, void *owner, struct bytes rts)
{
	struct http_state *s = owner;

	if (c->side != CLIENT || s->connection || !is_channel(s->channel))
		return;
	s->shared = c->shared;
	s->connection = rpch_join(c->shared, c->flow,
	    s->channel == METHOD_RPC_IN_DATA, rts);
}

/* Calls go in on one flow, answers come out on another. Where it is not known
 * on which, no answer can be due. */
static bool
carrier(struct app_context *c, struct http_state *s, struct rpc_carrier *ch)
{
	struct rpch_connection *x = s->connection;

	if (!s->rpc)
		s->rpc = calloc(1, sizeof(*s->rpc));
	if (!s->rpc)
		return false;
	*ch = (struct rpc_carrier){
		.rpc = x ? &x->rpc : &s->rpc->own,
		.lane = &s->rpc->lane[c->side], .rts = join, .owner = s,
	};
	if (is_channel(s->channel) && !(x && x->out[0]))
		ch->request_flags = EXCHANGE_ONE_WAY;
	if (x && s->channel == METHOD_RPC_OUT_DATA) {
		ch->asked_on = x->in[0];
		ch->asked_before = x->in[1];
	}
	return true;
}

static size_t
rpc_body(struct app_context *c, struct http_state *s, struct bytes b)
{
	struct http_lane *lane = &s->lane[c->side];
	const uint32_t end_seq = c->end_seq;
	const bool endless = lane->phase == PHASE_TUNNEL;
	struct bytes all = b;
	struct rpc_carrier ch;
	size_t used;

	if (!endless && b.left > lane->body_left)
		b.left = (size_t)lane->body_left;
	if (!carrier(c, s, &ch))
		return APP_STOP;
	c->end_seq = app_seq_after(end_seq, all, b.left);
	used = rpc_feed(c, &ch, b);
	c->end_seq = end_seq;
	if (used == APP_LOST || endless)
		return used;
	lane->body_left -= used;
	if (!lane->body_left)
		lane->phase = PHASE_BODY_END;
	return used;
}

/* --- what looks like HTTP ------------------------------------------------------ */

static enum app_verdict
http_probe_client(struct bytes b)
{
	struct bytes line = b, rest = b;
	bool whole = line_take(&rest, &line);
	size_t n = 0;

	while (n < line.left && n < METHOD_MAX && ((line.at[n] >= 'A' &&
	    line.at[n] <= 'Z') || line.at[n] == '_' || line.at[n] == '-'))
		n++;
	if (n == line.left && n < METHOD_MAX && !whole)
		return APP_NEED_MORE;
	if (n < 3 || n >= METHOD_MAX || n == line.left || line.at[n] != ' ')
		return APP_NOT_MINE;
	if (whole)
		return ends_in_version(line) ? APP_MINE : APP_NOT_MINE;
	if (b.left < APP_PROBE_BYTES)
		return APP_NEED_MORE;
	return take_method(&line) == METHOD_OTHER ? APP_NOT_MINE : APP_MINE;
}

static enum app_verdict
http_probe_server(struct bytes b)
{
	static const char version[] = "HTTP/1.";
	const size_t wanted = sizeof(version) - 1;
	const size_t n = b.left < wanted ? b.left : wanted;

	if (!n || memcmp(b.at, version, n) != 0)
		return APP_NOT_MINE;
	return n == wanted ? APP_MINE : APP_NEED_MORE;
}

static enum app_verdict
http_probe(const struct flow *f, enum side side, struct bytes b)
{
	(void)f;
	return side == CLIENT ? http_probe_client(b) : http_probe_server(b);
}

/* --- messages -------------------------------------------------------------------- */

static size_t
take_message(struct app_context *c, struct http_state *s, struct bytes b)
{
	const uint32_t end_seq = c->end_seq;
	struct http_head h = { 0 };
	struct bytes first;
	const size_t n = take_head(b, &first, &h);
	bool goes_on = true;

	if (!n)
		return b.left > HTTP_HEAD_MAX ? APP_LOST : 0;
	if (n <= 2)
		return n;		/* RFC 9112, 2.2: empty lines before */
	if (!take_first_line(first, c->side, &h))
		return APP_LOST;
	c->end_seq = app_seq_after(end_seq, b, n);
	if (c->side == CLIENT)
		request_begins(c, s, &h, n);
	else
		goes_on = response_begins(c, s, &h);
	c->end_seq = end_seq;
	return goes_on ? n : APP_STOP;
}

/* The size line of a chunk (RFC 9112, 7.1). */
static size_t
take_chunk(struct http_lane *lane, struct bytes b)
{
	const size_t shown = b.left;
	struct bytes line;
	uint64_t n;

	if (!line_take(&b, &line))
		return shown > CHUNK_LINE_MAX ? APP_LOST : 0;
	if (!take_number(&line, 16, &n))
		return APP_LOST;
	lane->body_left = n;
	lane->phase = n ? PHASE_CHUNK_END : PHASE_TRAILER;
	if (n > SIZE_MAX / 4)
		return APP_LOST;
	return shown - b.left + (size_t)n;
}

/* A line that is empty after a chunk, and ends the trailer when empty. */
static size_t
take_end_of_line(struct http_lane *lane, struct bytes b)
{
	const size_t shown = b.left;
	struct bytes line;

	if (!line_take(&b, &line))
		return shown > HTTP_HEAD_MAX ? APP_LOST : 0;
	if (lane->phase == PHASE_CHUNK_END) {
		if (line.left)
			return APP_LOST;
		lane->phase = PHASE_CHUNK;
	} else if (!line.left) {
		lane->phase = PHASE_BODY_END;
	}
	return shown - b.left;
}

/* A body ended, and the bytes up to `end_seq` with it. */
static void
message_ends(struct app_context *c, struct http_state *s, uint32_t end_seq)
{
	const uint32_t shown_end = c->end_seq;
	struct http_lane *lane = &s->lane[c->side];

	c->end_seq = end_seq;
	if (c->side == CLIENT && lane->open_at_end)
		ask(c, s);
	if (c->side == SERVER && lane->answer_at_end)
		answer(c, s);
	c->end_seq = shown_end;
	lane->phase = PHASE_HEAD;
}

static size_t
skip_body(struct app_context *c, struct http_state *s, struct bytes b)
{
	struct http_lane *lane = &s->lane[c->side];
	uint64_t n = lane->body_left;

	if (lane->phase == PHASE_TO_CLOSE || n > SIZE_MAX / 4)
		return SIZE_MAX / 4;
	lane->body_left = 0;
	lane->phase = PHASE_BODY_END;
	if (n <= b.left)
		message_ends(c, s, app_seq_after(c->end_seq, b, (size_t)n));
	return (size_t)n;
}

/* The next part of a message. */
static size_t
take_part(struct app_context *c, struct http_state *s, struct bytes b)
{
	struct http_lane *lane = &s->lane[c->side];

	switch (lane->phase) {
	case PHASE_BODY: case PHASE_TO_CLOSE:
		return skip_body(c, s, b);
	case PHASE_CHUNK:
		return take_chunk(lane, b);
	case PHASE_CHUNK_END: case PHASE_TRAILER:
		return take_end_of_line(lane, b);
	case PHASE_RPC: case PHASE_TUNNEL:
		return rpc_body(c, s, b);
	case PHASE_SEEK:
		if (http_probe(c->flow, c->side, b) == APP_NOT_MINE)
			return b.left;
		lane->phase = PHASE_HEAD;
		break;
	case PHASE_HEAD: case PHASE_BODY_END:
		break;
	}
	return take_message(c, s, b);
}

/* Between two messages there is nothing to know: a connection that is kept open
 * without a request, as most are, has no state. */
static struct http_state *
state_of(struct flow *f)
{
	struct http_state *s = f->app_state;

	if (s)
		return s;
	s = malloc(sizeof(*s));
	if (s)
		*s = (struct http_state){ 0 };	/* dearer in one: calloc */
	f->app_state = s;
	return s;
}

static bool
lane_rests(const struct http_lane *lane)
{
	return lane->phase == PHASE_HEAD && !lane->open_at_end &&
	    !lane->answer_at_end;
}

static void
drop_if_idle(struct flow *f, struct http_state *s)
{
	if (s->asked != s->answered || !lane_rests(&s->lane[CLIENT]) ||
	    !lane_rests(&s->lane[SERVER]) || s->channel || s->connection ||
	    s->rpc || f->waiting)
		return;
	f->app_state = NULL;
	free(s);
}

static size_t
http_feed(struct app_context *c, struct bytes b)
{
	struct http_state *s = state_of(c->flow);
	struct http_lane *lane;
	size_t used;

	if (!s)
		return APP_STOP;
	lane = &s->lane[c->side];
	if (lane->phase == PHASE_BODY_END)	/* a body that was skipped */
		message_ends(c, s, app_seq_after(c->end_seq, b, 0));
	used = take_part(c, s, b);
	if (lane->phase == PHASE_BODY_END && used <= b.left)
		message_ends(c, s, app_seq_after(c->end_seq, b, used));
	drop_if_idle(c->flow, s);
	return used;
}

/* A message whose header the capture cut: its first line must do. Where its
 * body ends is not known, but that a segment will begin with the next one. */
static void
take_cut_message(struct app_context *c, struct http_state *s, struct bytes head,
    size_t n)
{
	struct http_lane *lane = &s->lane[c->side];
	struct http_head h = { 0 };
	struct bytes line;

	if (c->side == CLIENT && http_probe_client(head) != APP_NOT_MINE) {
		take_request(head, &h);
		request_begins(c, s, &h, n);
		if (lane->open_at_end)
			ask(c, s);
	} else if (c->side == SERVER && line_take(&head, &line) &&
	    take_status(line, &h)) {
		(void)response_begins(c, s, &h);
		if (lane->answer_at_end)
			answer(c, s);
	}
	if (lane->phase != PHASE_TUNNEL)
		lane->phase = PHASE_SEEK;
}

static bool
http_skip_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	struct http_state *s = state_of(c->flow);
	struct http_lane *lane = s ? &s->lane[c->side] : NULL;
	const uint64_t bytes = (uint64_t)held.left + n;
	struct rpc_carrier ch;

	if (!lane)
		return false;
	if (lane->phase != PHASE_RPC && lane->phase != PHASE_TUNNEL) {
		if (c->cut && lane->phase == PHASE_HEAD)
			take_cut_message(c, s, held, (size_t)bytes);
		else if (c->cut)
			lane->phase = PHASE_SEEK;
		return c->cut;
	}
	if (lane->phase == PHASE_RPC && bytes > lane->body_left)
		return false;
	if (!carrier(c, s, &ch) || !rpc_skip_gap(c, &ch, held, n))
		return false;
	if (lane->phase == PHASE_RPC)
		lane->body_left -= bytes;
	return true;
}

/* What was missed on OUT may have answered calls of IN. */
static void
forget_calls(struct app_context *c, const struct http_state *s)
{
	if (c->side != SERVER || !s->connection)
		return;
	for (int i = 0; i < 2; i++)
		if (s->connection->in[i])
			app_forget(c, s->connection->in[i], CLIENT);
}

static bool
http_missed(struct app_context *c, uint32_t n)
{
	const struct http_state *s = c->flow->app_state;

	if (!s)
		return false;
	if (s->rpc && n <= s->rpc->lane[c->side].left)
		return true;
	forget_calls(c, s);
	return false;
}

static void
http_gap(struct app_context *c, uint32_t n)
{
	struct http_state *s = c->flow->app_state;
	struct http_lane *lane;

	(void)n;
	if (!s)
		return;
	lane = &s->lane[c->side];
	if (s->rpc)
		s->rpc->lane[c->side].left = 0;
	lane->open_at_end = lane->answer_at_end = false;
	forget_calls(c, s);
	if (lane->phase == PHASE_RPC || lane->phase == PHASE_TUNNEL)
		return;			/* PDUs are found again by themselves */
	lane->phase = PHASE_HEAD;
	if (c->side == SERVER)
		s->answered = s->asked;
}

/* A message is only looked for where a segment begins: text within a body may
 * look like one. */
static size_t
http_resync(const struct flow *f, enum side side, struct bytes b)
{
	const struct http_state *s = f->app_state;
	const enum http_phase phase = s ? s->lane[side].phase : PHASE_HEAD;

	if (phase == PHASE_RPC || phase == PHASE_TUNNEL)
		return rpc_resync(b);
	return http_probe(f, side, bytes_sub_at_most(&b, APP_PROBE_BYTES)) ==
	    APP_MINE ? 0 : APP_LOST;
}

static const char *
http_operation(unsigned interface, unsigned operation)
{
	if (interface == HTTP_MAPI)
		return operation < MAPI_COUNT ? mapi_names[operation] : NULL;
	return operation && operation < METHOD_COUNT ?
	    method_names[operation] : NULL;
}

static void
http_release(struct flow *f)
{
	struct http_state *s = f->app_state;

	f->app_state = NULL;
	if (!s)
		return;
	if (s->connection)
		rpch_leave(s->shared, s->connection, f);
	free(s->rpc);
	free(s);
}

const struct app_parser app_http = {
	.name = "http",
	.protocol = APP_HTTP,
	.probe = http_probe,
	.feed = http_feed,
	.skip_gap = http_skip_gap,
	.gap = http_gap,
	.missed = http_missed,
	.resync = http_resync,
	.operation = http_operation,
	.release = http_release,
	.holds_flow = true,
};
