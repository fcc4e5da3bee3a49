/* app_dns.c - DNS over UDP and TCP (RFC 1035, 4): queries and their responses
 * by id. The NetBIOS name service (RFC 1002, 4.2) has the same header and is
 * read here as well.
 *
 * The hard part is to tell DNS from noise by twelve bytes of header; so the
 * question behind it is read as well, and must be a name, a type and a class. */
#include "capture/app_dns.h"

#include "capture/app_pdu.h"

enum {
	DNS_PORT = 53, NBNS_PORT = 137,
	DNS_HEADER_BYTES = 12, DNS_NAME_MAX = 255, DNS_LABEL_MAX = 63,
	DNS_TCP_MARK = 2,		/* 4.2.2: the length comes first */
	DNS_CLASS_IN = 1, DNS_CLASS_CHAOS = 3, DNS_CLASS_NONE = 254,
	DNS_CLASS_ANY = 255,
	DNS_OPCODE_QUERY = 0, DNS_OPCODE_NOTIFY = 4, DNS_OPCODE_UPDATE = 5,
	DNS_NO_ERROR = 0, DNS_NAME_ERROR = 3,
	NBNS_OPCODE_MAX = 9,
};

struct dns_message {
	uint16_t id;
	bool response;
	uint8_t opcode, rcode;
	uint16_t questions, type, class;
	struct bytes first_labels;	/* of the name asked for */
};

/* A name in a question is not compressed: nothing comes before it. */
static bool
dns_name(struct bytes *b, struct bytes *name)
{
	const struct bytes whole = *b;
	size_t total = 0;
	uint8_t n;

	while ((n = bytes_u8(b)) != 0) {
		total += n + 1U;
		if (n > DNS_LABEL_MAX || total > DNS_NAME_MAX)
			return false;
		bytes_skip(b, n);
	}
	*name = whole;
	*name = bytes_sub_at_most(name, total);
	return !bytes_ran_out(*b);
}

/* Header and first question. Responses may leave the question out. False with
 * bytes_ran_out(*b): it may be one, cut short. */
static bool
dns_read(struct bytes *b, struct dns_message *m)
{
	uint16_t flags;

	m->id = bytes_be16(b);
	flags = bytes_be16(b);
	m->response = flags >> 15;
	m->opcode = flags >> 11 & 15;
	m->rcode = flags & 15;
	m->questions = bytes_be16(b);
	bytes_skip(b, 6);
	m->type = m->class = 0;
	m->first_labels = bytes_of(NULL, 0);
	if (bytes_ran_out(*b) || m->questions > 1 ||
	    (!m->response && !m->questions))
		return false;
	if (!m->questions)
		return true;
	if (!dns_name(b, &m->first_labels))
		return false;
	m->type = bytes_be16(b);
	m->class = bytes_be16(b);
	return !bytes_ran_out(*b);
}

static bool
dns_open(struct bytes b, struct dns_message *m)
{
	return dns_read(&b, m);
}

static bool
dns_is_sound(const struct dns_message *m)
{
	if (m->opcode > DNS_OPCODE_UPDATE)
		return false;
	if (!m->questions)
		return true;
	return m->class == DNS_CLASS_IN || m->class == DNS_CLASS_CHAOS ||
	    m->class == DNS_CLASS_NONE || m->class == DNS_CLASS_ANY;
}

static bool
dns_label_is(struct bytes name, const char *want)
{
	uint8_t n = bytes_u8(&name);
	struct bytes label = bytes_sub_at_most(&name, n);

	return line_word(&label, want);
}

static unsigned
dns_kind(const struct dns_message *m)
{
	static const char *const services[] = {
		"_LDAP", "_KERBEROS", "_GC", "_KPASSWD",
	};

	if (m->opcode == DNS_OPCODE_UPDATE)
		return DNS_UPDATE;
	if (m->opcode != DNS_OPCODE_QUERY)
		return DNS_OTHER_OPCODE;
	if (m->type != DNS_SRV)
		return DNS_ANY_NAME;
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (dns_label_is(m->first_labels, services[i]))
			return DNS_LOCATOR;
	return DNS_ANY_NAME;
}

/* "No such name" is an answer like any other. */
static bool
dns_is_fault(const struct dns_message *m)
{
	return m->rcode != DNS_NO_ERROR && m->rcode != DNS_NAME_ERROR;
}

/* A connection's messages: a length, then a message that must begin soundly. */
static size_t
dns_length(struct bytes b)
{
	struct dns_message m;
	uint16_t mark = bytes_be16(&b);
	bool all = b.left >= mark;

	if (bytes_ran_out(b))
		return PDU_MORE;
	if (mark < DNS_HEADER_BYTES)
		return PDU_LOST;
	b = bytes_sub_at_most(&b, mark);
	if (dns_read(&b, &m))
		return dns_is_sound(&m) ? DNS_TCP_MARK + (size_t)mark :
		    PDU_LOST;
	return bytes_ran_out(b) && !all ? PDU_MORE : PDU_LOST;
}

static bool
dns_take(struct app_context *c, const struct pdu *p)
{
	struct bytes b = p->head;
	struct dns_message m;

	bytes_skip(&b, DNS_TCP_MARK);
	if (!dns_open(b, &m))
		return true;
	if (m.response)
		(void)app_response(c, m.id, dns_is_fault(&m));
	else
		pdu_request(c, p, m.id,
		    app_label(APP_DNS, dns_kind(&m), m.type), 0);
	return true;
}

static const struct pdu_rule dns_rule = {
	.length = dns_length,
	.take = dns_take,
	.enough = { [SERVER] = DNS_TCP_MARK + DNS_HEADER_BYTES + DNS_NAME_MAX +
	    4 },
	.when_lost = APP_LOST,
};

static size_t
dns_feed(struct app_context *c, struct bytes b)
{
	return pdu_feed(c, b, &dns_rule);
}

static bool
dns_skip_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	return pdu_skip_gap(c, held, n, &dns_rule);
}

static size_t
dns_resync(const struct flow *f, enum side side, struct bytes b)
{
	(void)f;
	(void)side;
	return pdu_resync(b, &dns_rule);
}

/* Twelve bytes and a name are little to go by: elsewhere than on port 53 the
 * message must also fill the bytes to the last one, and ask one thing. */
static enum app_verdict
dns_probe(const struct flow *f, enum side side, struct bytes b)
{
	size_t n = dns_length(b);
	struct dns_message m;
	bool home = f->port[SERVER] == DNS_PORT;

	if (n == PDU_LOST)
		return APP_NOT_MINE;
	if (n == PDU_MORE)
		return APP_NEED_MORE;
	bytes_skip(&b, DNS_TCP_MARK);
	if (!dns_open(b, &m) || m.response != (side == SERVER))
		return APP_NOT_MINE;
	if (home)
		return APP_MINE;
	return m.questions == 1 && m.class == DNS_CLASS_IN &&
	    m.opcode == DNS_OPCODE_QUERY && b.left + DNS_TCP_MARK == n ?
	    APP_MINE : APP_NOT_MINE;
}

static const char *
dns_type_name(unsigned type)
{
	switch (type) {
	case DNS_A: return "query A";
	case DNS_NS: return "query NS";
	case DNS_CNAME: return "query CNAME";
	case DNS_SOA: return "query SOA";
	case DNS_PTR: return "query PTR";
	case DNS_MX: return "query MX";
	case DNS_TXT: return "query TXT";
	case DNS_AAAA: return "query AAAA";
	case DNS_SRV: return "query SRV";
	case 251: return "IXFR";
	case 252: return "AXFR";
	default: return "query";
	}
}

static const char *
dns_operation(unsigned interface, unsigned operation)
{
	switch (interface) {
	case DNS_LOCATOR: return "query SRV (DC locator)";
	case DNS_UPDATE: return "update";
	case DNS_OTHER_OPCODE: return "message";
	default: return dns_type_name(operation);
	}
}

const struct app_parser app_dns = {
	.name = "dns",
	.protocol = APP_DNS,
	.probe = dns_probe,
	.feed = dns_feed,
	.skip_gap = dns_skip_gap,
	.resync = dns_resync,
	.operation = dns_operation,
};

static bool
dns_udp_probe(const struct packet *p)
{
	struct dns_message m;

	return p->protocol == IP_UDP &&
	    (p->sport == DNS_PORT || p->dport == DNS_PORT) &&
	    dns_open(p->payload, &m) && dns_is_sound(&m);
}

static void
dns_udp_packet(struct app_context *c, const struct packet *p)
{
	struct dns_message m;

	if (!c->flow || !dns_open(p->payload, &m))
		return;
	if (m.response)
		(void)app_response(c, m.id, dns_is_fault(&m));
	else
		datagram_request(c, p, m.id,
		    app_label(APP_DNS, dns_kind(&m), m.type), 0);
}

const struct app_datagram_parser app_dns_udp = {
	.name = "dns-udp",
	.protocol = APP_DNS,
	.probe = dns_udp_probe,
	.packet = dns_udp_packet,
	.operation = dns_operation,
};

static bool
nbns_probe(const struct packet *p)
{
	struct dns_message m;

	return p->protocol == IP_UDP &&
	    (p->sport == NBNS_PORT || p->dport == NBNS_PORT) &&
	    dns_open(p->payload, &m) && m.opcode <= NBNS_OPCODE_MAX;
}

/* A broadcast asks nobody in particular: silence is the usual answer. */
static void
nbns_packet(struct app_context *c, const struct packet *p)
{
	enum { NBNS_BROADCAST = 0x10 };		/* RFC 1002, 4.2.1.1: flag B */
	struct bytes b = p->payload;
	struct dns_message m;

	if (!c->flow || !dns_open(p->payload, &m))
		return;
	bytes_skip(&b, 2);
	if (m.response)
		(void)app_response(c, m.id, false);
	else if (!(bytes_be16(&b) & NBNS_BROADCAST) &&
	    !address_is_multicast(&p->dst))
		datagram_request(c, p, m.id,
		    app_label(APP_NETBIOS, 0, m.opcode), 0);
}

static const char *
nbns_operation(unsigned interface, unsigned operation)
{
	(void)interface;
	switch (operation) {
	case 0: return "name query";
	case 5: return "name registration";
	case 6: return "name release";
	case 8: case 9: return "name refresh";
	default: return NULL;
	}
}

const struct app_datagram_parser app_netbios = {
	.name = "netbios-ns",
	.protocol = APP_NETBIOS,
	.probe = nbns_probe,
	.packet = nbns_packet,
	.operation = nbns_operation,
};
