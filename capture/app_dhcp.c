/* app_dhcp.c - DHCP (RFC 2131): who asks, who answers.
 *
 * The hard part is that addresses say little: the asker has none yet, the
 * asked is "all", a relay may stand between, and the same question may be seen
 * twice. What identifies a dialogue is the transaction id and the client's
 * hardware address; what identifies the server is the option it must send. */
#include "capture/app_dhcp.h"

#include "capture/app_pdu.h"

enum {
	DHCP_SERVER_PORT = 67, DHCP_CLIENT_PORT = 68,
	DHCP_MAGIC = 0x63825363,	/* RFC 2132, 2 */
	BOOTP_REQUEST = 1, BOOTP_REPLY = 2,
	BOOTP_FIXED = 236, BOOTP_GIADDR = 24,	/* giaddr, then chaddr */
	OPTION_PAD = 0, OPTION_MESSAGE = 53, OPTION_SERVER = 54,
	OPTION_END = 255,
};

struct dhcp_header {
	uint8_t op;			/* BOOTP_REQUEST or BOOTP_REPLY */
	uint8_t message;		/* enum dhcp_message */
	uint32_t xid, giaddr, server;	/* addresses; 0: none */
	uint64_t mac;
};

static bool
dhcp_options(struct bytes b, struct dhcp_header *h)
{
	struct bytes value;
	uint8_t code;

	while (b.left && (code = bytes_u8(&b)) != OPTION_END) {
		if (code == OPTION_PAD)
			continue;
		value = bytes_sub_at_most(&b, bytes_u8(&b));
		if (code == OPTION_MESSAGE)
			h->message = bytes_u8(&value);
		else if (code == OPTION_SERVER && value.left == 4)
			h->server = bytes_be32(&value);
	}
	return h->message >= DHCP_DISCOVER && h->message <= DHCP_INFORM;
}

/* RFC 2131, figure 1. */
static bool
dhcp_open(struct bytes b, struct dhcp_header *h)
{
	struct bytes fixed = bytes_sub(&b, BOOTP_FIXED), at = fixed;

	*h = (struct dhcp_header){ 0 };
	if (bytes_be32(&b) != DHCP_MAGIC || bytes_ran_out(b))
		return false;
	h->op = bytes_u8(&at);
	bytes_skip(&at, 3);
	h->xid = bytes_be32(&at);
	bytes_skip(&at, BOOTP_GIADDR - 8);
	h->giaddr = bytes_be32(&at);
	h->mac = (uint64_t)bytes_be16(&at) << 32;
	h->mac |= bytes_be32(&at);
	return (h->op == BOOTP_REQUEST || h->op == BOOTP_REPLY) &&
	    dhcp_options(b, h);
}

static bool
dhcp_probe(const struct packet *p)
{
	struct dhcp_header h;

	return p->protocol == IP_UDP && (p->dport == DHCP_SERVER_PORT ||
	    p->dport == DHCP_CLIENT_PORT) && dhcp_open(p->payload, &h);
}

/* Limited and directed broadcasts alike end in an all-ones host part; how long
 * that is cannot be seen, so the last byte decides. A unicast renewal goes to
 * the server itself. */
static bool
dhcp_is_one_host(const struct address *a)
{
	return !address_is_multicast(a) && !address_is_unspecified(a) &&
	    !(address_is_v4(a) && (address_v4(a) & 0xff) == 0xff);
}

static void
dhcp_request(struct app_event *e, const struct packet *p,
    const struct dhcp_header *h)
{
	e->address = h->giaddr ? address_from_v4(h->giaddr) : p->src;
	if (h->server)
		e->peer = address_from_v4(h->server);
	else if (dhcp_is_one_host(&p->dst))
		e->peer = p->dst;
	else
		e->peer = address_from_v4(0);
}

static void
dhcp_packet(struct app_context *c, const struct packet *p)
{
	struct dhcp_header h;
	struct app_event e;
	bool reply;

	if (!dhcp_open(p->payload, &h))
		return;
	reply = h.op == BOOTP_REPLY;
	e = app_note_of(c, reply ? APP_NOTE_DHCP_REPLY : APP_NOTE_DHCP_REQUEST,
	    app_label(APP_DHCP, h.giaddr ? DHCP_RELAYED : DHCP_DIRECT,
	    h.message), h.mac);
	e.flow = NULL;
	e.side = reply ? SERVER : CLIENT;
	e.key = h.xid;
	e.packet = p;
	if (reply) {
		e.address = h.server ? address_from_v4(h.server) : p->src;
		e.peer = p->dst;
	} else {
		dhcp_request(&e, p, &h);
	}
	app_tell(c, &e);
}

static const char *
dhcp_operation(unsigned interface, unsigned operation)
{
	static const char *const names[] = {
		NULL, "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK",
		"RELEASE", "INFORM",
	};

	(void)interface;
	return operation < sizeof(names) / sizeof(names[0]) ?
	    names[operation] : NULL;
}

const struct app_datagram_parser app_dhcp = {
	.name = "dhcp",
	.protocol = APP_DHCP,
	.probe = dhcp_probe,
	.packet = dhcp_packet,
	.operation = dhcp_operation,
};
