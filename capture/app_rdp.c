/* app_rdp.c - RDP as far as its first question and answer: X.224's Connection
 * Request and Connection Confirm in TPKT (RFC 1006, 6; MS-RDPBCGR, 2.2.1.1 and
 * 2.2.1.2). What follows is TLS or MCS, where the server sends when the screen
 * changes and the client when the mouse moves: nobody answers anybody.
 *
 * The hard part is other users of TPKT: S7 and MMS name their stations in the
 * request, H.323 has no X.224 connection at all. */
#include "capture/app_pdu.h"

enum {
	TPKT_VERSION = 3, TPKT_BYTES = 4,
	X224_REQUEST = 0xe0, X224_CONFIRM = 0xd0,
	X224_FIXED = 6,			/* code, two references, class */
	X224_STATION_FIRST = 0xc0,	/* TPDU size, calling and called TSAP */
	X224_STATION_LAST = 0xc2,	/* (ISO 8073, 13.3.4) */
	RDP_NEGOTIATION_FAILURE = 3,	/* MS-RDPBCGR 2.2.1.2.2 */
	RDP_CONNECT_MAX = 512,
	RDP_KEY = 1,			/* one exchange a connection */
};

static size_t
rdp_length(struct bytes b)
{
	uint8_t version, code, reserved;
	uint16_t length;
	uint8_t header;

	if (b.left < 7)
		return PDU_MORE;
	version = bytes_u8(&b);
	reserved = bytes_u8(&b);
	length = bytes_be16(&b);
	header = bytes_u8(&b);
	code = bytes_u8(&b) & 0xf0;
	if (version != TPKT_VERSION || reserved || header < X224_FIXED ||
	    length != TPKT_BYTES + 1 + header || length > RDP_CONNECT_MAX ||
	    (code != X224_REQUEST && code != X224_CONFIRM))
		return PDU_LOST;
	return length;
}

/* The variable part of a request or confirm. */
static struct bytes
rdp_variable(struct bytes b, uint8_t *code)
{
	bytes_skip(&b, TPKT_BYTES + 1);
	*code = bytes_u8(&b) & 0xf0;
	bytes_skip(&b, X224_FIXED - 1);
	return b;
}

static bool
rdp_take(struct app_context *c, const struct pdu *p)
{
	uint8_t code;
	struct bytes rest = rdp_variable(p->head, &code);
	bool refused = bytes_peek(rest) == RDP_NEGOTIATION_FAILURE;

	if (code == X224_REQUEST) {
		pdu_request(c, p, RDP_KEY, app_label(APP_RDP, 0, code), 0);
		return true;
	}
	(void)app_response(c, RDP_KEY, refused);
	return false;
}

static const struct pdu_rule rdp_rule = {
	.length = rdp_length,
	.take = rdp_take,
	.when_lost = APP_STOP,
};

static size_t
rdp_feed(struct app_context *c, struct bytes b)
{
	return pdu_feed(c, b, &rdp_rule);
}

static bool
rdp_skip_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	return pdu_skip_gap(c, held, n, &rdp_rule);
}

static enum app_verdict
rdp_probe(const struct flow *f, enum side side, struct bytes b)
{
	size_t n = rdp_length(b);
	struct bytes rest;
	uint8_t code, first;

	(void)f;
	if (n == PDU_MORE)
		return bytes_peek(b) == TPKT_VERSION ? APP_NEED_MORE :
		    APP_NOT_MINE;
	if (n == PDU_LOST)
		return APP_NOT_MINE;
	if (b.left < n)
		return APP_NEED_MORE;
	rest = rdp_variable(b, &code);
	first = bytes_peek(rest);
	if (first >= X224_STATION_FIRST && first <= X224_STATION_LAST)
		return APP_NOT_MINE;
	return code == (side == CLIENT ? X224_REQUEST : X224_CONFIRM) ?
	    APP_MINE : APP_NOT_MINE;
}

static const char *
rdp_operation(unsigned interface, unsigned operation)
{
	(void)interface;
	return operation == X224_REQUEST ? "Connection-Request" : NULL;
}

const struct app_parser app_rdp = {
	.name = "rdp",
	.protocol = APP_RDP,
	.probe = rdp_probe,
	.feed = rdp_feed,
	.skip_gap = rdp_skip_gap,
	.operation = rdp_operation,
	.binary = true,
};
