/* app_pptp.c - PPTP (RFC 2637): its control connection over TCP, and the
 * enhanced GRE packets that carry the calls.
 *
 * The hard part is that the two have nothing in common but the addresses and
 * the call ids: GRE has no ports and no flow, so each packet is told as it is,
 * and whoever listens puts them together. */
#include "capture/app_pptp.h"

#include "capture/app_pdu.h"

enum {
	PPTP_CONTROL_PORT = 1723,
	PPTP_MAGIC = 0x1a2b3c4d,
	PPTP_HEADER_BYTES = 12, PPTP_MESSAGE_MAX = 220,
	PPTP_CONNECTED = 1,		/* result code of a call reply */
	GRE_PPP = 0x880b,
	GRE_KEY = 0x2000, GRE_SEQUENCE = 0x1000, GRE_ACK = 0x0080,
	GRE_VERSION = 0x0007,
	PPP_ADDRESS = 0xff, PPP_CONTROL = 0x03,	/* RFC 1662, 3.1 */
};

static const char *const message_names[] = {
	NULL, "Start-Control-Connection", NULL, "Stop-Control-Connection", NULL,
	"Echo", NULL, "Outgoing-Call", NULL, "Incoming-Call", NULL, NULL,
	"Call-Clear", "Call-Disconnect-Notify", "WAN-Error-Notify",
	"Set-Link-Info",
};

static size_t
pptp_length(struct bytes b)
{
	uint16_t length, type, message;
	uint32_t magic;

	if (b.left < 10)
		return PDU_MORE;
	length = bytes_be16(&b);
	type = bytes_be16(&b);
	magic = bytes_be32(&b);
	message = bytes_be16(&b);
	if (magic != PPTP_MAGIC || type < 1 || type > 2 ||
	    length < PPTP_HEADER_BYTES || length > PPTP_MESSAGE_MAX ||
	    message < PPTP_START_REQUEST || message > PPTP_SET_LINK_INFO)
		return PDU_LOST;
	return length;
}

static void
pptp_note(struct app_context *c, enum app_note what, unsigned message,
    uint64_t value)
{
	struct app_event e =
	    app_note_of(c, what, app_label(APP_PPTP, 0, message), value);

	app_tell(c, &e);
}

/* Requests and replies of one kind are odd and even; what tells two of a kind
 * apart is the echo's identifier or the asker's call id. */
static uint64_t
pptp_key(unsigned request, uint32_t id)
{
	return (uint64_t)request << 32 | id;
}

static void
pptp_call_reply(struct app_context *c, unsigned request, struct bytes b)
{
	uint32_t own = bytes_be16(&b), peer = bytes_be16(&b);
	bool connected = bytes_u8(&b) == PPTP_CONNECTED && !bytes_ran_out(b);
	uint32_t ids = c->side == SERVER ? peer << 16 | own : own << 16 | peer;

	(void)app_response(c, pptp_key(request, peer), !connected);
	if (connected)
		pptp_note(c, APP_NOTE_PPTP_CALL, request, ids);
}

static void
pptp_ask(struct app_context *c, const struct pdu *p, unsigned message,
    uint32_t id, unsigned flags)
{
	pdu_request(c, p, pptp_key(message, id),
	    app_label(APP_PPTP, 0, message), flags);
}

static bool
pptp_take(struct app_context *c, const struct pdu *p)
{
	struct bytes b = p->head, peek;
	unsigned message;

	bytes_skip(&b, 8);
	message = bytes_be16(&b);
	bytes_skip(&b, 2);
	peek = b;
	switch (message) {
	case PPTP_START_REQUEST:
	case PPTP_STOP_REQUEST:
		pptp_ask(c, p, message, 0, 0);
		break;
	case PPTP_START_REPLY:		/* version, then the result */
		bytes_skip(&peek, 2);
		(void)app_response(c, pptp_key(message - 1, 0),
		    bytes_u8(&peek) != 1);
		break;
	case PPTP_STOP_REPLY:
		(void)app_response(c, pptp_key(message - 1, 0),
		    bytes_u8(&peek) != 1);
		break;
	case PPTP_ECHO_REQUEST:
		pptp_ask(c, p, message, bytes_be32(&b), 0);
		break;
	case PPTP_ECHO_REPLY:
		(void)app_response(c, pptp_key(PPTP_ECHO_REQUEST,
		    bytes_be32(&b)), false);
		pptp_note(c, APP_NOTE_PPTP_ECHO, message, 0);
		break;
	case PPTP_OUTGOING_REQUEST:
	case PPTP_INCOMING_REQUEST:
		pptp_ask(c, p, message, bytes_be16(&b), 0);
		break;
	case PPTP_OUTGOING_REPLY:
	case PPTP_INCOMING_REPLY:
		pptp_call_reply(c, message - 1, b);
		break;
	default:
		pptp_ask(c, p, message, bytes_be16(&b), EXCHANGE_ONE_WAY);
		break;
	}
	return true;
}

static const struct pdu_rule pptp_rule = {
	.length = pptp_length,
	.take = pptp_take,
	.when_lost = APP_LOST,
};

static size_t
pptp_feed(struct app_context *c, struct bytes b)
{
	return pdu_feed(c, b, &pptp_rule);
}

static bool
pptp_skip_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	return pdu_skip_gap(c, held, n, &pptp_rule);
}

static size_t
pptp_resync(const struct flow *f, enum side side, struct bytes b)
{
	(void)f;
	(void)side;
	return pdu_resync(b, &pptp_rule);
}

static enum app_verdict
pptp_probe(const struct flow *f, enum side side, struct bytes b)
{
	size_t n = pptp_length(b);

	(void)f;
	(void)side;
	if (n == PDU_MORE)
		return APP_NEED_MORE;
	return n == PDU_LOST ? APP_NOT_MINE : APP_MINE;
}

static const char *
pptp_operation(unsigned interface, unsigned operation)
{
	if (interface == PPTP_LABEL_GRE)
		return "GRE";
	if (operation >= sizeof(message_names) / sizeof(message_names[0]))
		return NULL;
	return message_names[operation];
}

const struct app_parser app_pptp = {
	.name = "pptp",
	.protocol = APP_PPTP,
	.probe = pptp_probe,
	.feed = pptp_feed,
	.skip_gap = pptp_skip_gap,
	.resync = pptp_resync,
	.operation = pptp_operation,
	.binary = true,
};

/* Section 4.1: version 1, protocol type PPP, always a key; the sequence number
 * is there exactly when a payload is. */
static bool
gre_probe(const struct packet *p)
{
	struct bytes b = p->transport;
	uint16_t flags = bytes_be16(&b);

	return p->protocol == IP_GRE && (flags & GRE_VERSION) == 1 &&
	    (flags & GRE_KEY) && bytes_be16(&b) == GRE_PPP && !bytes_ran_out(b);
}

/* The PPP protocol field may be compressed to one byte, which is then odd, and
 * address and control left out (RFC 1661, 6.5, 6.6). */
static uint16_t
ppp_protocol(struct bytes *b)
{
	struct bytes peek = *b;
	uint16_t protocol;

	if (bytes_u8(&peek) == PPP_ADDRESS && bytes_u8(&peek) == PPP_CONTROL)
		*b = peek;
	protocol = bytes_u8(b);
	if (!(protocol & 1))
		protocol = (uint16_t)(protocol << 8 | bytes_u8(b));
	return bytes_ran_out(*b) ? 0 : protocol;
}

/* Control protocols (LCP, the NCPs, authentication) have the top bit. */
static bool
ppp_is_control(uint16_t protocol)
{
	return protocol & 0x8000;
}

static void
gre_packet(struct app_context *c, const struct packet *p)
{
	struct bytes b = p->transport;
	uint16_t flags = bytes_be16(&b), protocol = 0, code = 0;
	uint16_t payload, call;
	struct app_event e;

	bytes_skip(&b, 2);
	payload = bytes_be16(&b);
	call = bytes_be16(&b);
	if (flags & GRE_SEQUENCE)
		bytes_skip(&b, 4);
	else
		payload = 0;
	if (flags & GRE_ACK)
		bytes_skip(&b, 4);
	if (bytes_ran_out(b))
		return;
	if (payload)
		protocol = ppp_protocol(&b);
	if (ppp_is_control(protocol))
		code = bytes_u8(&b);
	e = app_note_of(c, APP_NOTE_PPTP_GRE,
	    app_label(APP_PPTP, PPTP_LABEL_GRE, code), payload);
	e.flow = NULL;
	e.key = call;
	e.exchange_flags = flags & GRE_ACK ? PPTP_GRE_ACKNOWLEDGES : 0;
	e.port = protocol;
	e.address = p->src;
	e.peer = p->dst;
	e.packet = p;
	app_tell(c, &e);
}

const struct app_datagram_parser app_pptp_gre = {
	.name = "pptp-gre",
	.protocol = APP_PPTP,
	.probe = gre_probe,
	.packet = gre_packet,
	.operation = pptp_operation,
};
