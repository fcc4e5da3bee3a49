/* app_tds.c - TDS, SQL Server's protocol (MS-TDS 2.2.3): messages made of
 * packets, a request and its tabular result in turn.
 *
 * The hard part is the login: its encryption is negotiated inside PRELOGIN
 * packets, after which either one TLS record goes by and TDS goes on in clear
 * (ENCRYPT_OFF), or TLS records follow for good (ENCRYPT_ON, 2.2.6.5). The
 * first record from the server tells the second case, and the flow goes on as
 * turns. */
#include <stdlib.h>

#include "capture/app_pdu.h"

enum tds_type {			/* 2.2.3.1.1 */
	TDS_BATCH = 1, TDS_OLD_LOGIN = 2, TDS_RPC = 3, TDS_RESULT = 4,
	TDS_ATTENTION = 6, TDS_BULK = 7, TDS_FEDAUTH = 8,
	TDS_TRANSACTION = 14, TDS_LOGIN = 16, TDS_SSPI = 17, TDS_PRELOGIN = 18,
};

enum {
	TDS_PORT = 1433,
	TDS_HEADER_BYTES = 8, TDS_PACKET_MAX = 32767,
	TDS_END = 0x01, TDS_STATUS_MAX = 0x1f,	/* 2.2.3.1.2 */
	TDS_TOKEN_ERROR = 0xaa,		/* 2.2.7.10 */
	TLS_DATA = 23, TLS_MAJOR = 3, TLS_HEADER_BYTES = 5,
	TLS_RECORD_MAX = 16384 + 2048,
	TDS_KEY = 1,			/* one message at a time */
};

/* When the first packet of a request came that has more of them. */
struct tds_state {
	struct instant began;		/* 0: no request in hand */
	uint64_t first_frame;
	uint32_t bytes;
};

struct tds_header {
	uint8_t type, status, window;
	uint16_t length;
};

static struct tds_header
tds_header(struct bytes *b)
{
	struct tds_header h;

	h.type = bytes_u8(b);
	h.status = bytes_u8(b);
	h.length = bytes_be16(b);
	bytes_skip(b, 3);		/* SPID, packet number */
	h.window = bytes_u8(b);
	return h;
}

static bool
tds_is_request(uint8_t type)
{
	switch (type) {
	case TDS_BATCH: case TDS_OLD_LOGIN: case TDS_RPC: case TDS_ATTENTION:
	case TDS_BULK: case TDS_FEDAUTH: case TDS_TRANSACTION: case TDS_LOGIN:
	case TDS_SSPI: case TDS_PRELOGIN:
		return true;
	default:
		return false;
	}
}

static size_t
tls_length(struct bytes b)
{
	uint8_t major;
	uint16_t n;

	bytes_skip(&b, 1);
	major = bytes_u8(&b);
	bytes_skip(&b, 1);
	n = bytes_be16(&b);
	if (major != TLS_MAJOR || !n || n > TLS_RECORD_MAX)
		return PDU_LOST;
	return TLS_HEADER_BYTES + (size_t)n;
}

static size_t
tds_length(struct bytes b)
{
	struct tds_header h;

	if (b.left < TDS_HEADER_BYTES)
		return PDU_MORE;
	if (bytes_peek(b) == TLS_DATA)
		return tls_length(b);
	h = tds_header(&b);
	if ((h.type != TDS_RESULT && !tds_is_request(h.type)) ||
	    h.status > TDS_STATUS_MAX || h.window ||
	    h.length < TDS_HEADER_BYTES || h.length > TDS_PACKET_MAX)
		return PDU_LOST;
	return h.length;
}

/* A packet that is not the request's last: remember when it began. */
static void
tds_more(struct app_context *c, const struct pdu *p)
{
	struct tds_state *s = c->flow->app_state;

	if (!s)
		c->flow->app_state = s = calloc(1, sizeof(*s));
	if (!s)
		return;
	if (!instant_is_set(s->began)) {
		s->began = p->began;
		s->first_frame = p->first_frame;
	}
	s->bytes += (uint32_t)p->bytes;
}

static void
tds_release(struct flow *f)
{
	free(f->app_state);
	f->app_state = NULL;
}

static void
tds_ask(struct app_context *c, const struct pdu *p, uint8_t type)
{
	struct tds_state *s = c->flow->app_state;
	struct pdu whole = *p;

	if (s && instant_is_set(s->began)) {
		whole.began = s->began;
		whole.first_frame = s->first_frame;
		whole.bytes += s->bytes;
	}
	tds_release(c->flow);
	pdu_request(c, &whole, TDS_KEY, app_label(APP_TDS, 0, type), 0);
}

/* An attention cancels the request in hand, and the answer to either closes
 * it: what waits goes on waiting (2.2.1.7). */
static void
tds_request(struct app_context *c, const struct pdu *p, struct tds_header h)
{
	if (!(h.status & TDS_END))
		tds_more(c, p);
	else if (h.type != TDS_ATTENTION || !c->flow->waiting)
		tds_ask(c, p, h.type);
}

static bool
tds_take(struct app_context *c, const struct pdu *p)
{
	struct bytes b = p->head;
	struct tds_header h;

	if (bytes_peek(b) == TLS_DATA) {
		if (c->side == CLIENT)
			tds_ask(c, p, TDS_LOGIN);
		return c->side == CLIENT;
	}
	h = tds_header(&b);
	if (c->side == CLIENT && tds_is_request(h.type))
		tds_request(c, p, h);
	else if (c->side == SERVER)
		(void)app_response(c, TDS_KEY,
		    h.type == TDS_RESULT && bytes_peek(b) == TDS_TOKEN_ERROR);
	return true;
}

static const struct pdu_rule tds_rule = {
	.length = tds_length,
	.take = tds_take,
	.enough = { [SERVER] = TDS_HEADER_BYTES + 1 },
	.when_lost = APP_LOST,
};

static size_t
tds_feed(struct app_context *c, struct bytes b)
{
	return pdu_feed(c, b, &tds_rule);
}

static bool
tds_skip_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	return pdu_skip_gap(c, held, n, &tds_rule);
}

static void
tds_gap(struct app_context *c, uint32_t n)
{
	(void)n;
	if (c->side == CLIENT)
		tds_release(c->flow);
}

static size_t
tds_resync(const struct flow *f, enum side side, struct bytes b)
{
	(void)f;
	(void)side;
	return pdu_resync(b, &tds_rule);
}

/* A PRELOGIN begins with the option VERSION, whose value lies behind the list of
 * options (2.2.6.5). */
static bool
tds_is_prelogin(struct bytes b)
{
	struct tds_header h = tds_header(&b);
	uint8_t option = bytes_u8(&b);
	uint16_t offset = bytes_be16(&b), length = bytes_be16(&b);

	return h.type == TDS_PRELOGIN && h.status == TDS_END && !bytes_ran_out(b) &&
	    !option && offset >= 6 && offset < h.length && length == 6;
}

/* TPKT begins like an RPC packet whose message goes on; but then it would be as
 * long as packets may be, which is never less than 512. */
static enum app_verdict
tds_probe(const struct flow *f, enum side side, struct bytes b)
{
	size_t n = tds_length(b);
	struct bytes at = b;
	struct tds_header h = tds_header(&at);
	bool home = f->port[SERVER] == TDS_PORT;

	if (n == PDU_LOST || h.type == TLS_DATA)
		return APP_NOT_MINE;
	if (n == PDU_MORE || b.left < TDS_HEADER_BYTES + 5)
		return APP_NEED_MORE;
	if ((side == SERVER) != (h.type == TDS_RESULT))
		return home && h.type == TDS_PRELOGIN ? APP_MINE : APP_NOT_MINE;
	if (!(h.status & TDS_END) && h.length < 512)
		return APP_NOT_MINE;
	if (home || tds_is_prelogin(b))
		return APP_MINE;
	return APP_NOT_MINE;
}

static const char *
tds_operation(unsigned interface, unsigned operation)
{
	(void)interface;
	switch (operation) {
	case TDS_BATCH: return "batch";
	case TDS_OLD_LOGIN: case TDS_LOGIN: return "login";
	case TDS_RPC: return "rpc";
	case TDS_ATTENTION: return "attention";
	case TDS_BULK: return "bulk load";
	case TDS_FEDAUTH: return "federated login";
	case TDS_TRANSACTION: return "transaction";
	case TDS_SSPI: return "sspi";
	case TDS_PRELOGIN: return "prelogin";
	default: return NULL;
	}
}

const struct app_parser app_tds = {
	.name = "tds",
	.protocol = APP_TDS,
	.probe = tds_probe,
	.feed = tds_feed,
	.skip_gap = tds_skip_gap,
	.gap = tds_gap,
	.resync = tds_resync,
	.operation = tds_operation,
	.release = tds_release,
	.binary = true,
};
