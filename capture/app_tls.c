/* app_tls.c - TLS and SSL by name (RFC 8446, 5.1; RFC 6101, 5.2.1). What is in
 * the records cannot be read, so who waits for whom is left to the turns. */
#include "capture/app.h"

enum {
	TLS_ALERT = 21, TLS_HANDSHAKE = 22, TLS_DATA = 23,
	TLS_RECORD_MAX = 16384 + 2048,	/* RFC 5246, 6.2.3 */
	TLS_HELLO_MIN = 38,		/* version and random */
	TLS_CLIENT_HELLO = 1, TLS_SERVER_HELLO = 2,
};

/* SSL 2.0's hello, which clients sent well into the age of TLS (RFC 5246,
 * appendix E.2). */
static enum app_verdict
ssl2_hello(struct bytes b)
{
	unsigned length = bytes_be16(&b) & 0x7fff, type = bytes_u8(&b);
	unsigned version = bytes_be16(&b), ciphers = bytes_be16(&b);
	unsigned session = bytes_be16(&b), challenge = bytes_be16(&b);

	if (bytes_ran_out(b))
		return APP_NEED_MORE;
	return type == TLS_CLIENT_HELLO && ciphers && ciphers % 3 == 0 &&
	    (version == 2 || version >> 8 == 3) && challenge >= 16 &&
	    challenge <= 32 && length == 9 + ciphers + session + challenge ?
	    APP_MINE : APP_NOT_MINE;
}

/* A first record is a handshake's; in the middle of a flow it is more often one
 * of data, and the next one, where it can be seen, begins alike. */
static enum app_verdict
tls_probe(const struct flow *f, enum side side, struct bytes b)
{
	struct bytes all = b;
	unsigned type = bytes_u8(&b), version = bytes_be16(&b);
	unsigned length = bytes_be16(&b), message;

	if (all.left && type == 0x80)
		return ssl2_hello(all);
	if (type < TLS_ALERT || type > TLS_DATA || (all.left > 1 &&
	    all.at[1] != 3) || (all.left > 2 && (version & 0xff) > 4))
		return APP_NOT_MINE;
	if (bytes_ran_out(b))
		return APP_NEED_MORE;
	if (!length || length > TLS_RECORD_MAX)
		return APP_NOT_MINE;
	if (app_begins_inside(f) && type != TLS_HANDSHAKE) {
		bytes_skip(&b, length);
		if (!b.left || bytes_ran_out(b))
			return APP_MINE;
		return *b.at >= TLS_ALERT && *b.at <= TLS_DATA ? APP_MINE :
		    APP_NOT_MINE;
	}
	message = bytes_u8(&b);
	if (bytes_ran_out(b))
		return APP_NEED_MORE;
	if (type == TLS_ALERT)
		return side == SERVER && length == 2 ? APP_MINE : APP_NOT_MINE;
	return type == TLS_HANDSHAKE && length >= TLS_HELLO_MIN &&
	    (message == TLS_CLIENT_HELLO || message == TLS_SERVER_HELLO) ?
	    APP_MINE : APP_NOT_MINE;
}

static size_t
tls_feed(struct app_context *c, struct bytes b)
{
	struct app_event e = {
		.type = APP_NOTE, .what = APP_NOTE_TLS_HELLO, .flow = c->flow,
		.side = c->side, .time = c->now, .frame = c->frame,
		.label = app_label(APP_TLS, 0, 0),
	};

	if (b.left && *b.at != TLS_DATA)
		app_tell(c, &e);
	return APP_STOP;
}

const struct app_parser app_tls = {
	.name = "tls",
	.protocol = APP_TLS,
	.probe = tls_probe,
	.feed = tls_feed,
	.names_only = true,
	.binary = true,
};
