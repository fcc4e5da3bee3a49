/* app_ftp.c - FTP's control connection (RFC 959): commands and their replies,
 * and where the data connections are to be.
 *
 * The hard part is the transfer: its command is answered twice, by a
 * preliminary reply and, however much later, by a final one (RFC 959, 5.4), and
 * other commands (ABOR, STAT) may be answered in between. */
#include "capture/app_ftp.h"

#include <stdlib.h>

#include "capture/app_pdu.h"

enum {
	FTP_CONTROL_PORT = 21,
	FTP_LINE_MAX = 8192,	/* a longer line is no FTP */
	TELNET_MIN = 0xf0,	/* RFC 854: SE .. IAC, before an ABOR */
	FTP_AUTH_OK = 234,	/* RFC 2228: TLS or GSS begins now */
};

struct ftp_state {
	uint32_t asked;			/* key of the last command */
	uint32_t abort;			/* key of an ABOR; 0: none */
	bool abort_answered;		/* some final reply came after it */
	bool greeted;			/* the first reply came */
	uint16_t multiline;		/* code of the reply that goes on; 0: none */
	uint16_t transfer;		/* enum ftp_verb whose final reply is due */
	bool sealed;			/* TLS from here on */
};

static const char *const verb_names[FTP_VERB_COUNT] = {
#define X(name) #name,
	FTP_VERBS(X)
#undef X
};

const char *
ftp_verb_name(unsigned verb)
{
	return verb && verb < FTP_VERB_COUNT ? verb_names[verb] : "command";
}

bool
ftp_is_transfer(unsigned verb)
{
	switch (verb) {
	case FTP_RETR: case FTP_STOR: case FTP_STOU: case FTP_APPE:
	case FTP_LIST: case FTP_NLST: case FTP_MLSD:
		return true;
	default:
		return false;
	}
}

static unsigned
ftp_verb_take(struct bytes *line)
{
	for (unsigned i = 1; i < FTP_VERB_COUNT; i++)
		if (line_word(line, verb_names[i]))
			return i;
	return FTP_OTHER;
}

static void
ftp_tell_place(struct app_context *c, enum app_note what, unsigned verb,
    struct address address, uint16_t port)
{
	struct app_event e =
	    app_note_of(c, what, app_label(APP_FTP, 0, verb), 0);

	e.address = address;
	e.port = port;
	app_tell(c, &e);
}

/* h1,h2,h3,h4,p1,p2 (RFC 959, 4.1.2), wherever it begins in the line. */
static bool
ftp_host_port(struct bytes line, struct address *address, uint16_t *port)
{
	uint32_t part = UINT32_MAX, v4 = 0, last = 0;

	while (line.left && !line_number(&line, &part))
		bytes_skip(&line, 1);
	for (int i = 0; i < 6; i++) {
		if (i && (bytes_u8(&line) != ',' || !line_number(&line, &part)))
			return false;
		if (part > 255)
			return false;
		if (i < 4)
			v4 = v4 << 8 | part;
		else
			last = last << 8 | part;
	}
	*address = address_from_v4(v4);
	*port = (uint16_t)last;
	return last != 0;
}

/* "|1|132.235.1.2|6275|" or "(|||6446|)" (RFC 2428): the delimiter is whatever
 * comes first, the family and address may be empty. */
static bool
ftp_extended(struct bytes line, struct address *address, uint16_t *port)
{
	char text[ADDRESS_TEXT_BYTES];
	uint32_t number = 0;
	size_t n = 0;
	uint8_t mark = bytes_u8(&line), octet;

	(void)line_number(&line, &number);
	if (!mark || bytes_u8(&line) != mark)
		return false;
	while ((octet = bytes_u8(&line)) != mark && !bytes_ran_out(line))
		if (n < sizeof(text) - 1)
			text[n++] = (char)octet;
	text[n] = '\0';
	if (!line_number(&line, &number) || bytes_u8(&line) != mark)
		return false;
	if (n && !address_parse(text, address))
		return false;
	*port = (uint16_t)number;
	return number && number <= UINT16_MAX && !bytes_ran_out(line);
}

static void
ftp_will_listen(struct app_context *c, unsigned verb, struct bytes argument)
{
	struct address a = c->flow->addr[CLIENT];
	uint16_t port = 0;
	bool known = verb == FTP_PORT ? ftp_host_port(argument, &a, &port) :
	    ftp_extended(argument, &a, &port);

	if (known)
		ftp_tell_place(c, APP_NOTE_FTP_PORT, verb, a, port);
}

/* ABOR and the transfer it ends may be answered by one reply or by two (RFC
 * 959, 4.1.3). Clients wait for what is due, so the next command tells. */
static void
ftp_abort_over(struct app_context *c, struct ftp_state *s)
{
	struct exchange *e = s->abort ? exchange_find(c->flow, s->abort) : NULL;

	if (e && s->abort_answered)
		exchange_close(c->pool, c->flow, e);
}

static void
ftp_command(struct app_context *c, struct ftp_state *s, struct bytes line)
{
	struct app_event e;
	uint32_t label, n = (uint32_t)line.left;
	unsigned verb;

	while (bytes_peek(line) >= TELNET_MIN)
		bytes_skip(&line, 1);
	verb = ftp_verb_take(&line);
	if (verb == FTP_OTHER)		/* perhaps no command at all */
		return;
	label = app_label(APP_FTP, 0, verb);
	ftp_abort_over(c, s);
	s->abort = verb == FTP_ABOR ? s->asked + 1 : 0;
	s->abort_answered = false;
	app_request(c, ++s->asked, label, 0, c->began, c->first_frame, n);
	if (verb == FTP_PORT || verb == FTP_EPRT)
		ftp_will_listen(c, verb, line);
	if (!ftp_is_transfer(verb))
		return;
	e = app_note_of(c, APP_NOTE_FTP_TRANSFER, label, verb);
	app_tell(c, &e);
}

/* 227 and 229 say where the server listens. A server behind NAT that does not
 * know its address may give zeros: the client then uses the one it knows. */
static void
ftp_passive(struct app_context *c, unsigned code, struct bytes line)
{
	struct address a = c->flow->addr[SERVER];
	struct bytes inner;
	uint16_t port = 0;
	bool known = false;

	if (code == 227)
		known = ftp_host_port(line, &a, &port);
	for (; code == 229 && line.left && !known; bytes_skip(&line, 1)) {
		inner = line;
		if (bytes_u8(&inner) == '(')
			known = ftp_extended(inner, &a, &port);
	}
	if (!known)
		return;
	if (address_is_unspecified(&a))
		a = c->flow->addr[SERVER];
	ftp_tell_place(c, APP_NOTE_FTP_PASV, code == 227 ? FTP_PASV : FTP_EPSV,
	    a, port);
}

/* Whose reply is it? The transfer's final one first, else the oldest
 * command's: replies come in the order of the commands. */
static uint32_t
ftp_answers(struct app_context *c, struct ftp_state *s, unsigned code)
{
	struct exchange *e = app_owed(c);
	uint32_t label = app_label(APP_FTP, 0, s->transfer);
	unsigned verb;

	s->abort_answered |= code >= 200;
	if (!s->greeted) {
		s->greeted = true;
		if (code == 220 && !(c->flow->app_flags & FLOW_MIDSTREAM))
			return app_label(APP_FTP, 0, FTP_OTHER);
	}
	if (s->transfer && code >= 200) {
		s->transfer = FTP_OTHER;
		return label;
	}
	if (!e)
		return app_label(APP_FTP, 0, FTP_OTHER);
	label = e->label;
	verb = label & 0xffff;
	(void)app_response(c, e->key, code >= 400);
	if (code < 200 && ftp_is_transfer(verb))
		s->transfer = (uint16_t)verb;
	if (verb == FTP_AUTH && code == FTP_AUTH_OK)
		s->sealed = true;
	return label;
}

/* A reply is over at the line that begins with its code and a blank; until
 * then lines may hold anything (RFC 959, 4.2). */
static void
ftp_reply(struct app_context *c, struct ftp_state *s, struct bytes line)
{
	struct bytes rest = line;
	struct app_event e;
	uint32_t code = 0;
	uint8_t mark;
	bool number = line_number(&rest, &code);

	number = number && line.left - rest.left == 3 && code >= 100;
	mark = bytes_u8(&rest);
	if (s->multiline && !(number && code == s->multiline && mark != '-'))
		return;
	if (!number)
		return;
	s->multiline = mark == '-' ? (uint16_t)code : 0;
	if (s->multiline)
		return;
	if (code == 227 || code == 229)
		ftp_passive(c, code, rest);
	e = app_note_of(c, APP_NOTE_FTP_REPLY, ftp_answers(c, s, code), code);
	app_tell(c, &e);
}

static size_t
ftp_feed(struct app_context *c, struct bytes b)
{
	struct ftp_state *s = c->flow->app_state;
	const uint32_t end = c->end_seq;
	const size_t shown = b.left;
	struct bytes line;

	if (!s)
		c->flow->app_state = s = calloc(1, sizeof(*s));
	if (!s)
		return APP_STOP;
	while (!s->sealed && line_next(c, &b, end, &line)) {
		if (c->side == CLIENT)
			ftp_command(c, s, line);
		else
			ftp_reply(c, s, line);
	}
	if (s->sealed || b.left > FTP_LINE_MAX)
		return APP_STOP;
	return shown - b.left;
}

/* What was asked or answered in the gap is not known, so the next command
 * begins anew. */
static void
ftp_gap(struct app_context *c, uint32_t n)
{
	struct ftp_state *s = c->flow->app_state;

	(void)n;
	if (!s)
		return;
	s->transfer = FTP_OTHER;
	if (c->side == SERVER)
		s->multiline = 0;
}

/* Segments mostly begin with a line. */
static size_t
ftp_resync(const struct flow *f, enum side side, struct bytes b)
{
	struct bytes line = b, rest = b;
	uint32_t code = 0;
	bool here;

	(void)f;
	(void)line_take(&rest, &line);
	if (side == CLIENT)
		here = ftp_verb_take(&line) != FTP_OTHER;
	else
		here = line_number(&line, &code) && code >= 100 && code < 600;
	return here ? 0 : line_resync(b);
}

static const char *
ftp_operation(unsigned interface, unsigned operation)
{
	(void)interface;
	return ftp_verb_name(operation);
}

static void
ftp_release(struct flow *f)
{
	free(f->app_state);
	f->app_state = NULL;
}

/* FTP and SMTP greet alike; what they say of themselves or, last, the port
 * tells them apart. */
static enum app_verdict
ftp_probe_server(const struct flow *f, struct bytes b)
{
	struct bytes line = b, second;
	uint32_t code = 0, next = 0;
	bool number = line_number(&line, &code);

	if (b.left < 4)
		return APP_NEED_MORE;
	if (!number || b.left - line.left != 3 ||
	    (bytes_peek(line) != ' ' && bytes_peek(line) != '-'))
		return APP_NOT_MINE;
	if (line_has(line, "SMTP") || f->port[SERVER] == 25)
		return APP_NOT_MINE;
	if (code == 220 && (line_has(line, "FTP") ||
	    f->port[SERVER] == FTP_CONTROL_PORT))
		return APP_MINE;
	if (f->port[SERVER] == FTP_CONTROL_PORT && code >= 100 && code < 600)
		return APP_MINE;
	if (!line_take(&b, &second) || !line_take(&b, &second))
		return APP_NEED_MORE;
	return line_number(&second, &next) && next == 331 ?
	    APP_MINE : APP_NOT_MINE;
}

/* Commands that no other protocol has. USER alone may be POP3's. */
static enum app_verdict
ftp_probe_client(const struct flow *f, struct bytes b)
{
	static const char *const own[] = {
		"PASV", "EPSV", "PORT", "EPRT", "TYPE", "CWD", "SYST", "FEAT",
	};
	struct bytes line;
	bool user = false;

	while (line_take(&b, &line)) {
		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			if (line_word(&line, own[i]))
				return APP_MINE;
		user = line_word(&line, "USER") || line_word(&line, "PASS");
		if (f->port[SERVER] == FTP_CONTROL_PORT && (user ||
		    line_word(&line, "AUTH") || line_word(&line, "HOST")))
			return APP_MINE;
		if (!user)
			return APP_NOT_MINE;
	}
	return b.left > 128 ? APP_NOT_MINE : APP_NEED_MORE;
}

static enum app_verdict
ftp_probe(const struct flow *f, enum side side, struct bytes b)
{
	return side == SERVER ? ftp_probe_server(f, b) : ftp_probe_client(f, b);
}

const struct app_parser app_ftp = {
	.name = "ftp",
	.protocol = APP_FTP,
	.probe = ftp_probe,
	.feed = ftp_feed,
	.gap = ftp_gap,
	.resync = ftp_resync,
	.operation = ftp_operation,
	.release = ftp_release,
};
