/* app_text.c - the mail protocols in lines: SMTP (RFC 5321), POP3 (RFC 1939)
 * and IMAP (RFC 3501), as far as command and answer go.
 *
 * The hard part is what is no line at all: messages end with a lonely dot, or
 * have a length said beforehand. They are skipped and never kept, however large,
 * and the wait for the answer begins with their last byte. */
#include "capture/app_text.h"

#include <stdlib.h>

#include "capture/app_pdu.h"

enum {
	TEXT_LINE_MAX = 8192,
	TEXT_BODY_MAX = 1 << 30,	/* a longer literal or chunk is a lie */
	SMTP_PORT = 25, SUBMISSION_PORT = 587, POP3_PORT = 110,
	IMAP_PORT = 143,
	SMTP_READY = 220, SMTP_GO_ON = 334, SMTP_SEND = 354,
};

struct text_state {
	uint32_t asked;		/* key of the last command (SMTP, POP3) */
	uint32_t chunk;		/* bytes to skip before the next line */
	uint16_t code;		/* SMTP: reply that goes on; 0: none */
	uint8_t verb;		/* whose chunk or body it is */
	bool skipped;		/* the chunk is past when feed is called next */
	bool sealed;		/* TLS or compression from here on */
	bool greeted;
	bool dotted[2];		/* lines up to a dot are a message, by side */
	bool middle[2];		/* the line in hand began in bytes done with */
	bool secret;		/* client lines are parts of an authentication */
};

static struct text_state *
text_state_of(struct flow *f)
{
	if (!f->app_state)
		f->app_state = calloc(1, sizeof(struct text_state));
	return f->app_state;
}

static void
text_release(struct flow *f)
{
	free(f->app_state);
	f->app_state = NULL;
}

static unsigned
verb_take(struct bytes *line, const char *const *names, unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		if (line_word(line, names[i]))
			return i;
	return 0;
}

/* Lines of a message up to the dot (RFC 5321, 4.5.2). True: the dot was there.
 * A line that can be no dot is not kept until its end. */
static bool
text_dot(struct text_state *s, enum side side, struct bytes *b)
{
	struct bytes line;

	while (line_take(b, &line)) {
		bool lonely = !s->middle[side] && line.left == 1 &&
		    bytes_peek(line) == '.';

		s->middle[side] = false;
		if (lonely)
			return true;
	}
	if (b->left > 2 || (b->left && bytes_peek(*b) != '.')) {
		s->middle[side] = true;
		bytes_skip(b, b->left);
	}
	return false;
}

/* The chunk at the front, skipped. False: it goes on beyond the bytes at hand,
 * and `used` is grown by what is missing. */
static bool
text_chunk(struct text_state *s, struct bytes *b, size_t *beyond)
{
	uint32_t n = s->chunk;

	s->chunk = 0;
	if (n <= b->left) {
		bytes_skip(b, n);
		return true;
	}
	*beyond = n - b->left;
	bytes_skip(b, b->left);
	s->skipped = true;
	return false;
}

static void
text_ask(struct app_context *c, struct text_state *s, uint32_t label,
    size_t bytes)
{
	app_request(c, ++s->asked, label, 0, c->began, c->first_frame,
	    (uint32_t)bytes);
}

/* A gap in the server's bytes may have held the word to send the message. */
static void
text_gap(struct app_context *c, uint32_t n)
{
	struct text_state *s = c->flow->app_state;

	(void)n;
	if (!s)
		return;
	if (c->flow->app == APP_SMTP && c->side == SERVER &&
	    s->verb == SMTP_DATA)
		s->dotted[CLIENT] = true;
	s->code = 0;
	s->chunk = 0;
	s->skipped = false;
	s->middle[c->side] = false;
}

/* SMTP ------------------------------------------------------------------ */

static const char *const smtp_names[SMTP_VERB_COUNT] = {
#define X(name) #name,
	SMTP_VERBS(X)
#undef X
};

static void
smtp_command(struct app_context *c, struct text_state *s, struct bytes line)
{
	size_t bytes = line.left;
	uint32_t n = 0;
	unsigned verb = s->secret ? SMTP_AUTH :
	    verb_take(&line, smtp_names, SMTP_VERB_COUNT);

	s->secret = false;
	s->verb = (uint8_t)verb;
	s->chunk = 0;
	if (verb == SMTP_BDAT || verb == SMTP_XEXCH50)
		(void)line_number(&line, &n);
	if (n > TEXT_BODY_MAX)
		n = 0;
	if (verb == SMTP_BDAT && n) {	/* RFC 3030: asked with its last byte */
		s->chunk = n;
		return;
	}
	if (verb == SMTP_OTHER)		/* perhaps no command at all */
		return;
	if (verb == SMTP_XEXCH50)	/* MS-XEXCH50: skipped after 354 */
		s->chunk = n;
	text_ask(c, s, app_label(APP_SMTP, 0, verb), bytes);
}

/* What follows the line just taken, if it is no line: chunks and messages.
 * False: no more to be done with these bytes. */
static bool
smtp_body(struct app_context *c, struct text_state *s, struct bytes *b,
    uint32_t end, size_t *beyond)
{
	unsigned verb = s->verb == SMTP_BDAT ? SMTP_BDAT : SMTP_MESSAGE;

	if (s->skipped) {
		s->skipped = false;
	} else if (s->chunk && (s->dotted[CLIENT] || verb == SMTP_BDAT)) {
		if (!text_chunk(s, b, beyond))
			return false;
	} else if (s->dotted[CLIENT]) {
		if (!text_dot(s, CLIENT, b))
			return false;
	} else {
		return true;
	}
	s->dotted[CLIENT] = false;
	s->verb = SMTP_OTHER;
	c->end_seq = end - (uint32_t)b->left;
	text_ask(c, s, app_label(APP_SMTP, 0, verb), 0);
	return true;
}

static size_t
smtp_client(struct app_context *c, struct text_state *s, struct bytes b)
{
	const uint32_t end = c->end_seq;
	const size_t shown = b.left;
	size_t beyond = 0;
	struct bytes line;

	for (;;) {
		if (!smtp_body(c, s, &b, end, &beyond))
			break;
		if (!line_next(c, &b, end, &line))
			break;
		smtp_command(c, s, line);
	}
	return b.left > TEXT_LINE_MAX ? APP_LOST : shown - b.left + beyond;
}

static void
smtp_reply(struct app_context *c, struct text_state *s, struct bytes line)
{
	struct exchange *e = app_owed(c);
	struct bytes rest = line;
	uint32_t code = 0;
	unsigned verb;

	if (!line_number(&rest, &code) || line.left - rest.left != 3)
		return;
	s->code = bytes_peek(rest) == '-' ? (uint16_t)code : 0;
	if (s->code)
		return;
	if (!s->greeted) {
		s->greeted = true;
		if (code == SMTP_READY && !(c->flow->app_flags & FLOW_MIDSTREAM))
			return;
	}
	if (!e)
		return;
	verb = e->label & 0xffff;
	(void)app_response(c, e->key, code >= 400);
	s->sealed = verb == SMTP_STARTTLS && code == SMTP_READY;
	s->dotted[CLIENT] = code == SMTP_SEND;
	s->secret = code == SMTP_GO_ON;
}

static size_t
smtp_server(struct app_context *c, struct text_state *s, struct bytes b)
{
	const uint32_t end = c->end_seq;
	const size_t shown = b.left;
	struct bytes line;

	while (!s->sealed && line_next(c, &b, end, &line))
		smtp_reply(c, s, line);
	return b.left > TEXT_LINE_MAX ? APP_LOST : shown - b.left;
}

static size_t
smtp_feed(struct app_context *c, struct bytes b)
{
	struct text_state *s = text_state_of(c->flow);
	size_t used;

	if (!s || s->sealed)
		return APP_STOP;
	used = c->side == CLIENT ? smtp_client(c, s, b) : smtp_server(c, s, b);
	return s->sealed ? APP_STOP : used;
}

static size_t
smtp_resync(const struct flow *f, enum side side, struct bytes b)
{
	struct bytes line = b, rest = b;
	uint32_t code;

	(void)f;
	(void)line_take(&rest, &line);
	if (side == CLIENT ? verb_take(&line, smtp_names, SMTP_VERB_COUNT) :
	    line_number(&line, &code) && code >= 200 && code < 600)
		return 0;
	return line_resync(b);
}

static enum app_verdict
smtp_probe(const struct flow *f, enum side side, struct bytes b)
{
	bool home = f->port[SERVER] == SMTP_PORT ||
	    f->port[SERVER] == SUBMISSION_PORT;
	struct bytes line = b, rest = b, second;
	uint32_t code = 0;

	if (side == CLIENT) {
		if (!line_take(&rest, &line))
			return b.left > 256 ? APP_NOT_MINE : APP_NEED_MORE;
		return line_word(&line, "EHLO") || line_word(&line, "HELO") ||
		    line_word(&line, "LHLO") ? APP_MINE : APP_NOT_MINE;
	}
	if (b.left < 4)
		return APP_NEED_MORE;
	if (!line_number(&line, &code) || b.left - line.left != 3 ||
	    (code != SMTP_READY && !home) || code < 200 || code > 599)
		return APP_NOT_MINE;
	if (home || line_has(line, "SMTP"))
		return APP_MINE;
	if (!line_take(&rest, &second) || !line_take(&rest, &second))
		return APP_NEED_MORE;
	return line_number(&second, &code) && code == 250 ?
	    APP_MINE : APP_NOT_MINE;
}

static const char *
smtp_operation(unsigned interface, unsigned operation)
{
	(void)interface;
	return operation && operation < SMTP_VERB_COUNT ?
	    smtp_names[operation] : "command";
}

const struct app_parser app_smtp = {
	.name = "smtp",
	.protocol = APP_SMTP,
	.probe = smtp_probe,
	.feed = smtp_feed,
	.gap = text_gap,
	.resync = smtp_resync,
	.operation = smtp_operation,
	.release = text_release,
};

/* POP3 ------------------------------------------------------------------ */

static const char *const pop3_names[POP3_VERB_COUNT] = {
#define X(name) #name,
	POP3_VERBS(X)
#undef X
};

static void
pop3_command(struct app_context *c, struct text_state *s, struct bytes line)
{
	size_t bytes = line.left;
	unsigned verb = s->secret ? POP3_AUTH :
	    verb_take(&line, pop3_names, POP3_VERB_COUNT);
	bool all = !line.left;

	/* RFC 1939, 5 and 7: which answers have lines after the first. Kept in
	 * the label's interface, since several commands may be under way. */
	bool lines = verb == POP3_RETR || verb == POP3_TOP ||
	    verb == POP3_CAPA || (all && (verb == POP3_LIST ||
	    verb == POP3_UIDL || (verb == POP3_AUTH && !s->secret)));

	s->secret = false;
	if (verb != POP3_OTHER)
		text_ask(c, s, app_label(APP_POP3, lines, verb), bytes);
}

static void
pop3_reply(struct app_context *c, struct text_state *s, struct bytes line)
{
	struct exchange *e = app_owed(c);
	bool good = line_word(&line, "+OK");
	bool more = !good && line_word(&line, "+");
	uint32_t label;

	if (!good && !more && !line_word(&line, "-ERR"))
		return;
	if (!s->greeted) {
		s->greeted = true;
		if (!(c->flow->app_flags & FLOW_MIDSTREAM))
			return;
	}
	if (!e)
		return;
	label = e->label;
	(void)app_response(c, e->key, !good && !more);
	s->secret = more;
	s->sealed = good && (label & 0xffff) == POP3_STLS;
	s->dotted[SERVER] = good && (label >> 16 & 0xff);
}

static size_t
pop3_client(struct app_context *c, struct text_state *s, struct bytes b)
{
	const uint32_t end = c->end_seq;
	const size_t shown = b.left;
	struct bytes line;

	while (line_next(c, &b, end, &line))
		pop3_command(c, s, line);
	return b.left > TEXT_LINE_MAX ? APP_LOST : shown - b.left;
}

static size_t
pop3_server(struct app_context *c, struct text_state *s, struct bytes b)
{
	const uint32_t end = c->end_seq;
	const size_t shown = b.left;
	struct bytes line;

	while (!s->sealed) {
		if (s->dotted[SERVER] && !text_dot(s, SERVER, &b))
			break;
		s->dotted[SERVER] = false;
		if (!line_next(c, &b, end, &line))
			break;
		pop3_reply(c, s, line);
	}
	return b.left > TEXT_LINE_MAX ? APP_LOST : shown - b.left;
}

static size_t
pop3_feed(struct app_context *c, struct bytes b)
{
	struct text_state *s = text_state_of(c->flow);
	size_t used;

	if (!s || s->sealed)
		return APP_STOP;
	used = c->side == CLIENT ? pop3_client(c, s, b) : pop3_server(c, s, b);
	return s->sealed ? APP_STOP : used;
}

static size_t
pop3_resync(const struct flow *f, enum side side, struct bytes b)
{
	const struct text_state *s = f->app_state;
	struct bytes line = b, rest = b;

	(void)line_take(&rest, &line);
	if (side == SERVER && s && s->dotted[SERVER])
		return 0;
	if (side == CLIENT ? verb_take(&line, pop3_names, POP3_VERB_COUNT) :
	    line_word(&line, "+OK") || line_word(&line, "-ERR"))
		return 0;
	return line_resync(b);
}

/* Other servers say +OK too: the greeting must speak of POP, or carry APOP's
 * timestamp (RFC 1939, 4), or come from POP's port. */
static enum app_verdict
pop3_probe(const struct flow *f, enum side side, struct bytes b)
{
	bool home = f->port[SERVER] == POP3_PORT;
	struct bytes line, rest = b;

	if (!line_take(&rest, &line))
		return b.left > 512 ? APP_NOT_MINE : APP_NEED_MORE;
	if (side == SERVER)
		return (line_word(&line, "+OK") && (home ||
		    line_has(line, "POP") || line_has(line, "<"))) ||
		    (home && line_word(&line, "-ERR")) ?
		    APP_MINE : APP_NOT_MINE;
	if (line_word(&line, "CAPA") || line_word(&line, "APOP") ||
	    line_word(&line, "UIDL") || line_word(&line, "STLS"))
		return APP_MINE;
	return home && verb_take(&line, pop3_names, POP3_VERB_COUNT) ?
	    APP_MINE : APP_NOT_MINE;
}

static const char *
pop3_operation(unsigned interface, unsigned operation)
{
	(void)interface;
	return operation && operation < POP3_VERB_COUNT ?
	    pop3_names[operation] : "command";
}

const struct app_parser app_pop3 = {
	.name = "pop3",
	.protocol = APP_POP3,
	.probe = pop3_probe,
	.feed = pop3_feed,
	.gap = text_gap,
	.resync = pop3_resync,
	.operation = pop3_operation,
	.release = text_release,
};

/* IMAP ------------------------------------------------------------------ */

static const char *const imap_names[IMAP_VERB_COUNT] = {
#define X(name) #name,
	IMAP_VERBS(X)
#undef X
};

/* A tag is one to 32 letters, digits and dots here (RFC 3501, 9 allows more).
 * Its FNV-1a hash is the key. */
static bool
imap_tag(struct bytes *line, uint64_t *key)
{
	enum { TAG_MAX = 32 };
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	struct bytes b = *line;
	uint8_t octet = 0;
	unsigned n;

	for (n = 0; n <= TAG_MAX && b.left; n++) {
		octet = bytes_u8(&b);
		if (octet == ' ')
			break;
		if (!(octet >= '0' && octet <= '9') && octet != '.' &&
		    octet != '_' && octet != '-' &&
		    !((octet | 32) >= 'a' && (octet | 32) <= 'z'))
			return false;
		hash = (hash ^ octet) * UINT64_C(0x100000001b3);
	}
	if (!n || octet != ' ')
		return false;
	*key = hash;
	*line = b;
	return true;
}

/* Does the line end in a literal, {n} or {n+} (RFC 3501, 4.3; RFC 7888)? Its n
 * bytes come next, and then the line goes on. */
static bool
imap_literal(struct bytes line, uint32_t *n)
{
	enum { LITERAL_TEXT_MAX = 13 };	/* {4294967295+} */

	if (line.left > LITERAL_TEXT_MAX)
		bytes_skip(&line, line.left - LITERAL_TEXT_MAX);
	while (line.left && bytes_u8(&line) != '{')
		;
	if (!line_number(&line, n))
		return false;
	if (bytes_peek(line) == '+')
		bytes_skip(&line, 1);
	return bytes_u8(&line) == '}' && !line.left && *n <= TEXT_BODY_MAX;
}

/* DONE ends what IDLE began, and from then on the answer is due (RFC 2177). */
static void
imap_done(struct app_context *c)
{
	uint32_t idle = app_label(APP_IMAP, 0, IMAP_IDLE);

	for (struct exchange *e = c->flow->waiting; e; e = e->next)
		if (e->label == idle) {
			e->flags &= (uint16_t)~EXCHANGE_PARKS;
			e->asked = c->now;
			e->frame_last = c->frame;
			e->request_end = c->end_seq;
			e->acked = (struct instant){ 0 };
		}
}

static void
imap_command(struct app_context *c, struct text_state *s, struct bytes line,
    bool literal)
{
	const size_t bytes = line.left;
	unsigned verb, flags = literal ? EXCHANGE_PARTIAL : 0;
	uint64_t key;

	if (line_word(&line, "DONE")) {
		imap_done(c);
		return;
	}
	if (s->secret || !imap_tag(&line, &key))
		return;
	verb = verb_take(&line, imap_names, IMAP_VERB_COUNT);
	s->secret = verb == IMAP_AUTHENTICATE;
	if (verb == IMAP_IDLE)
		flags |= EXCHANGE_PARKS;
	app_request(c, key, app_label(APP_IMAP, 0, verb), flags, c->began,
	    c->first_frame, (uint32_t)bytes);
}

/* With the first bytes of a literal the server has begun to answer. */
static void
imap_answer(struct app_context *c, struct text_state *s, struct bytes line)
{
	struct exchange *e;
	uint64_t key;
	unsigned verb;

	if (!imap_tag(&line, &key))
		return;
	s->secret = false;
	e = exchange_find(c->flow, key);
	if (!e)
		return;
	verb = e->label & 0xffff;
	s->sealed = line_word(&line, "OK") &&
	    (verb == IMAP_STARTTLS || verb == IMAP_COMPRESS);
	(void)app_response(c, key, line_word(&line, "NO") ||
	    line_word(&line, "BAD"));
}

/* A command that goes on after a literal is one request, whole with the line
 * that ends in none. Its tag stands in the first. */
static void
imap_goes_on(struct app_context *c, bool literal)
{
	struct exchange *e = c->flow->waiting_last;

	if (!e || !(e->flags & EXCHANGE_PARTIAL))
		return;
	if (literal)
		app_request_grows(c, e, e->request_bytes, 0);
	else
		app_request_whole(c, e);
}

static void
imap_line(struct app_context *c, struct text_state *s, struct bytes line)
{
	bool goes_on = s->middle[c->side];
	uint32_t n = 0;
	bool literal = imap_literal(line, &n);

	s->middle[c->side] = literal;
	if (literal)
		s->chunk = n;
	if (c->side == CLIENT && goes_on)
		imap_goes_on(c, literal);
	else if (c->side == CLIENT)
		imap_command(c, s, line, literal);
	else if (literal && app_owed(c))
		(void)app_response(c, app_owed(c)->key, false);
	else if (!goes_on)
		imap_answer(c, s, line);
}

static size_t
imap_feed(struct app_context *c, struct bytes b)
{
	struct text_state *s = text_state_of(c->flow);
	const uint32_t end = c->end_seq;
	const size_t shown = b.left;
	size_t beyond = 0;
	struct bytes line;

	if (!s || s->sealed)
		return APP_STOP;
	s->skipped = false;
	while (!s->sealed && line_next(c, &b, end, &line)) {
		imap_line(c, s, line);
		if (s->chunk && !text_chunk(s, &b, &beyond))
			break;
	}
	if (s->sealed)
		return APP_STOP;
	return b.left > TEXT_LINE_MAX ? APP_LOST : shown - b.left + beyond;
}

static size_t
imap_resync(const struct flow *f, enum side side, struct bytes b)
{
	struct bytes line = b, rest = b;
	uint64_t key;

	(void)f;
	(void)line_take(&rest, &line);
	if (side == CLIENT ? imap_tag(&line, &key) &&
	    verb_take(&line, imap_names, IMAP_VERB_COUNT) :
	    line_word(&line, "*"))
		return 0;
	return line_resync(b);
}

static enum app_verdict
imap_probe(const struct flow *f, enum side side, struct bytes b)
{
	bool home = f->port[SERVER] == IMAP_PORT;
	struct bytes line, rest = b;
	uint64_t key;
	unsigned verb;

	if (!line_take(&rest, &line))
		return b.left > 512 ? APP_NOT_MINE : APP_NEED_MORE;
	if (side == SERVER)
		return line_word(&line, "*") && (home ||
		    ((line_word(&line, "OK") || line_word(&line, "PREAUTH")) &&
		    line_has(line, "IMAP"))) ? APP_MINE : APP_NOT_MINE;
	if (!imap_tag(&line, &key))
		return APP_NOT_MINE;
	verb = verb_take(&line, imap_names, IMAP_VERB_COUNT);
	return verb == IMAP_CAPABILITY || verb == IMAP_AUTHENTICATE ||
	    (verb && home) ? APP_MINE : APP_NOT_MINE;
}

static const char *
imap_operation(unsigned interface, unsigned operation)
{
	(void)interface;
	return operation && operation < IMAP_VERB_COUNT ?
	    imap_names[operation] : "command";
}

const struct app_parser app_imap = {
	.name = "imap",
	.protocol = APP_IMAP,
	.probe = imap_probe,
	.feed = imap_feed,
	.gap = text_gap,
	.resync = imap_resync,
	.operation = imap_operation,
	.release = text_release,
};
