/* app_ldap.c - LDAP (RFC 4511) over TCP and UDP: requests and answers by
 * message id.
 *
 * The hard part is what LDAP turns into: after a SASL bind with a security
 * layer, or StartTLS, the same connection carries sealed records. Then no
 * message begins where one should, and the flow goes on as turns. */
#include "capture/app_ldap.h"

#include <string.h>

#include "capture/app_ber.h"
#include "capture/app_pdu.h"

enum {
	LDAP_PORT = 389,
	BER_SEQUENCE = 0x30, BER_INTEGER = 0x02, BER_ENUMERATED = 0x0a,
	BER_OCTETS = 0x04, BER_CONTROLS = 0xa0,
	BER_APPLICATION = 0x40, BER_CONSTRUCTED = 0x20, BER_CLASS = 0xc0,
	LDAP_HEADER_BYTES = 3 * BER_HEADER_MAX,	/* sequence, id, operation */
	LDAP_MESSAGE_MAX = 1 << 26,	/* AD takes 10 MB (MaxReceiveBuffer) */
	LDAP_ANSWER_BYTES = 128,	/* as much of an answer tells its result */
	LDAP_REFERRAL = 10, LDAP_COMPARE_FALSE = 5, LDAP_COMPARE_TRUE = 6,
	LDAP_SASL_IN_PROGRESS = 14,	/* RFC 4511, A.1 */
};

/* Controls that make a search wait for what will change:
 * LDAP_SERVER_NOTIFICATION_OID (MS-ADTS 3.1.1.3.4.1.9), Persistent Search
 * (draft-ietf-ldapext-psearch), Content Synchronization (RFC 4533, which may
 * also only poll). */
static const char *const parking_controls[] = {
	"1.2.840.113556.1.4.528", "2.16.840.1.113730.3.4.3",
	"1.3.6.1.4.1.4203.1.9.1.1",
};

static const char *const operation_names[] = {
	"bind", NULL, "unbind", "search", NULL, NULL, "modify", NULL, "add",
	NULL, "delete", NULL, "rename", NULL, "compare", NULL, "abandon",
	NULL, NULL, NULL, NULL, NULL, NULL, "extended",
};

/* One message, opened: its id, its operation, and what is inside it. */
struct ldap_message {
	uint32_t id;
	uint8_t operation;
	struct bytes body;	/* of the operation, as far as it was captured */
	struct bytes after;	/* controls */
};

/* Primitive are unbind (NULL), delete (a name) and abandon (a number). */
static bool
ldap_is_operation(uint8_t tag)
{
	unsigned operation = tag & 0x1f;
	bool primitive = operation == LDAP_UNBIND ||
	    operation == LDAP_DELETE || operation == LDAP_ABANDON;

	if ((tag & BER_CLASS) != BER_APPLICATION ||
	    operation > LDAP_INTERMEDIATE || operation == 17 ||
	    operation == 18 || (operation > 19 && operation < LDAP_EXTENDED))
		return false;
	return primitive == !(tag & BER_CONSTRUCTED);
}

static bool
ldap_open(struct bytes b, struct ldap_message *m, size_t *whole)
{
	const size_t left = b.left;
	size_t length, inner, start;
	uint8_t tag;

	if (!ber_header(&b, &tag, &length) || tag != BER_SEQUENCE)
		return false;
	*whole = left - b.left + length;
	start = b.left;
	if (!ber_number(&b, BER_INTEGER, &m->id) ||
	    !ber_header(&b, &tag, &inner) || !ldap_is_operation(tag) ||
	    start - b.left + inner > length)
		return false;
	m->operation = tag & 0x1f;
	m->body = bytes_sub_at_most(&b, inner);
	m->after = bytes_sub_at_most(&b, length - (start - b.left));
	return true;
}

static size_t
ldap_length(struct bytes b)
{
	struct ldap_message m;
	size_t whole;
	bool enough = b.left >= LDAP_HEADER_BYTES;

	if (bytes_peek(b) != BER_SEQUENCE)
		return PDU_LOST;
	if (ldap_open(b, &m, &whole))
		return whole <= LDAP_MESSAGE_MAX ? whole : PDU_LOST;
	return enough ? PDU_LOST : PDU_MORE;
}

static bool
ldap_parks(const struct ldap_message *m)
{
	struct bytes controls, control, name, rest = m->after;
	uint8_t tag;

	if (!ber_take(&rest, &tag, &controls) || tag != BER_CONTROLS)
		return false;
	while (ber_take(&controls, &tag, &control)) {
		if (!ber_take(&control, &tag, &name) || tag != BER_OCTETS)
			continue;
		for (size_t i = 0; i < sizeof(parking_controls) /
		    sizeof(parking_controls[0]); i++)
			if (name.left == strlen(parking_controls[i]) &&
			    line_has(name, parking_controls[i]))
				return true;
	}
	return false;
}

static bool
ldap_is_request(unsigned operation)
{
	return operation < sizeof(operation_names) /
	    sizeof(operation_names[0]) && operation_names[operation];
}

/* resultCode is the first element of every answer that has one (4.1.9). */
static bool
ldap_is_fault(const struct ldap_message *m)
{
	struct bytes b = m->body;
	uint32_t code;

	if (m->operation == LDAP_ENTRY || m->operation == LDAP_REFERENCE ||
	    !ber_number(&b, BER_ENUMERATED, &code))
		return false;
	return code && code != LDAP_COMPARE_FALSE && code != LDAP_COMPARE_TRUE &&
	    code != LDAP_REFERRAL && code != LDAP_SASL_IN_PROGRESS;
}

/* Abandon is not answered, and neither is what it abandons (4.11). */
static void
ldap_abandon(struct app_context *c, struct bytes id)
{
	struct exchange *e;
	uint32_t n = 0;

	while (id.left)
		n = n << 8 | bytes_u8(&id);
	e = exchange_find(c->flow, n);
	if (e)
		exchange_close(c->pool, c->flow, e);
}

static unsigned
ldap_request_flags(struct app_context *c, const struct ldap_message *m)
{
	if (m->operation == LDAP_ABANDON)
		ldap_abandon(c, m->body);
	if (m->operation == LDAP_ABANDON || m->operation == LDAP_UNBIND)
		return EXCHANGE_ONE_WAY;
	return m->operation == LDAP_SEARCH && ldap_parks(m) ?
	    EXCHANGE_PARKS : 0;
}

static bool
ldap_take(struct app_context *c, const struct pdu *p)
{
	struct ldap_message m;
	size_t whole;

	if (!ldap_open(p->head, &m, &whole))
		return true;
	if (ldap_is_request(m.operation))
		pdu_request(c, p, m.id,
		    app_label(APP_LDAP, LDAP_OVER_TCP, m.operation),
		    ldap_request_flags(c, &m));
	else if (m.operation != LDAP_INTERMEDIATE)
		(void)app_response(c, m.id, ldap_is_fault(&m));
	return true;
}

static const struct pdu_rule ldap_rule = {
	.length = ldap_length,
	.take = ldap_take,
	.enough = { [SERVER] = LDAP_ANSWER_BYTES },
	.when_lost = APP_STOP,
};

static size_t
ldap_feed(struct app_context *c, struct bytes b)
{
	return pdu_feed(c, b, &ldap_rule);
}

static bool
ldap_skip_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	return pdu_skip_gap(c, held, n, &ldap_rule);
}

static size_t
ldap_resync(const struct flow *f, enum side side, struct bytes b)
{
	(void)f;
	(void)side;
	return pdu_resync(b, &ldap_rule);
}

/* A message whose operation belongs to its side is enough: sequence, number and
 * application tag in a row are rare, their lengths fitting rarer. */
static enum app_verdict
ldap_probe(const struct flow *f, enum side side, struct bytes b)
{
	struct ldap_message m;
	size_t whole;

	(void)f;
	if (bytes_peek(b) != BER_SEQUENCE)
		return APP_NOT_MINE;
	if (!ldap_open(b, &m, &whole))
		return b.left < LDAP_HEADER_BYTES ? APP_NEED_MORE :
		    APP_NOT_MINE;
	return ldap_is_request(m.operation) == (side == CLIENT) ?
	    APP_MINE : APP_NOT_MINE;
}

static const char *
ldap_name(unsigned interface, unsigned operation)
{
	if (!ldap_is_request(operation))
		return NULL;
	return interface == LDAP_OVER_UDP && operation == LDAP_SEARCH ?
	    "ping (CLDAP)" : operation_names[operation];
}

const struct app_parser app_ldap = {
	.name = "ldap",
	.protocol = APP_LDAP,
	.probe = ldap_probe,
	.feed = ldap_feed,
	.skip_gap = ldap_skip_gap,
	.resync = ldap_resync,
	.operation = ldap_name,
	.binary = true,
};

static bool
cldap_probe(const struct packet *p)
{
	struct ldap_message m;
	size_t whole;

	return p->protocol == IP_UDP &&
	    (p->sport == LDAP_PORT || p->dport == LDAP_PORT) &&
	    ldap_open(p->payload, &m, &whole);
}

static void
cldap_packet(struct app_context *c, const struct packet *p)
{
	struct ldap_message m;
	size_t whole;

	if (!c->flow || !ldap_open(p->payload, &m, &whole))
		return;
	if (m.operation == LDAP_SEARCH)
		datagram_request(c, p, m.id,
		    app_label(APP_LDAP, LDAP_OVER_UDP, LDAP_SEARCH), 0);
	else if (m.operation == LDAP_ABANDON)
		ldap_abandon(c, m.body);
	else
		(void)app_response(c, m.id, ldap_is_fault(&m));
}

const struct app_datagram_parser app_cldap = {
	.name = "cldap",
	.protocol = APP_LDAP,
	.probe = cldap_probe,
	.packet = cldap_packet,
	.operation = ldap_name,
};
