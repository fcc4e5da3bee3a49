/* app_ntp.c - NTP (RFC 5905, 7.3): a client's question and its answer.
 *
 * The answer repeats the question's transmit timestamp as its origin, which is
 * what pairs them. Symmetric and broadcast modes are not questions. */
#include "capture/app_pdu.h"

enum {
	NTP_PORT = 123, NTP_ORIGIN = 24,
	NTP_CLIENT = 3, NTP_SERVER = 4, NTP_VERSION_MAX = 4,
};

struct ntp_header {
	uint8_t mode;
	uint64_t origin, transmit;
};

static bool
ntp_open(struct bytes b, struct ntp_header *h)
{
	uint8_t first = bytes_u8(&b), version = first >> 3 & 7;

	h->mode = first & 7;
	bytes_skip(&b, NTP_ORIGIN - 1);
	h->origin = bytes_be64(&b);
	bytes_skip(&b, 8);
	h->transmit = bytes_be64(&b);
	return !bytes_ran_out(b) && version >= 1 && version <= NTP_VERSION_MAX;
}

static bool
ntp_probe(const struct packet *p)
{
	struct ntp_header h;

	return p->protocol == IP_UDP &&
	    (p->sport == NTP_PORT || p->dport == NTP_PORT) &&
	    ntp_open(p->payload, &h);
}

static void
ntp_packet(struct app_context *c, const struct packet *p)
{
	struct ntp_header h;

	if (!c->flow || !ntp_open(p->payload, &h))
		return;
	if (h.mode == NTP_CLIENT && h.transmit)
		datagram_request(c, p, h.transmit, app_label(APP_NTP, 0, 0), 0);
	else if (h.mode == NTP_SERVER)
		(void)app_response(c, h.origin, false);
}

const struct app_datagram_parser app_ntp = {
	.name = "ntp",
	.protocol = APP_NTP,
	.probe = ntp_probe,
	.packet = ntp_packet,
};
