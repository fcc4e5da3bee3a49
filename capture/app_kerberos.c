/* app_kerberos.c - Kerberos V (RFC 4120) between clients and the KDC, over TCP
 * (7.2.2: four bytes of length first) and UDP: AS and TGS requests and their
 * replies or errors, by message type.
 *
 * The hard part is that no message says which request it answers. A connection
 * carries one request after the other, so the oldest of its kind is meant. */
#include "capture/app_ber.h"
#include "capture/app_pdu.h"

enum {
	KERBEROS_PORT = 88,
	KRB_AS_REQ = 10, KRB_AS_REP = 11, KRB_TGS_REQ = 12, KRB_TGS_REP = 13,
	KRB_ERROR = 30,		/* 5.10; also the number of the APPLICATION tag */
	BER_SEQUENCE = 0x30, BER_INTEGER = 0x02, BER_CONTEXT = 0xa0,
	BER_APPLICATION = 0x60,	/* constructed */
	KRB_VERSION = 5,
	KRB_MARK_BYTES = 4, KRB_MESSAGE_MAX = 1 << 20,
	KRB_HEADER_BYTES = KRB_MARK_BYTES + 24,
	KRB_ANSWER_BYTES = 128,	/* as much of an answer tells its error code */
	KRB_ERROR_CODE_FIELD = 6,	/* 5.9.1 */
	KDC_ERR_PREAUTH_REQUIRED = 25, KRB_ERR_RESPONSE_TOO_BIG = 52,
};

/* A message opened: the bytes from pvno on. Requests number their fields from
 * 1 (5.4.1), replies and errors from 0 (5.4.2, 5.9.1). */
static bool
krb_open(struct bytes b, uint8_t *type, struct bytes *fields)
{
	struct bytes inner, value;
	uint8_t tag;
	uint32_t version = 0;

	if (!ber_take(&b, &tag, &inner) ||
	    (tag & ~0x1f) != BER_APPLICATION)
		return false;
	*type = tag & 0x1f;
	if ((*type < KRB_AS_REQ || *type > KRB_TGS_REP) && *type != KRB_ERROR)
		return false;
	if (!ber_take(&inner, &tag, fields) || tag != BER_SEQUENCE)
		return false;
	inner = *fields;
	return ber_take(&inner, &tag, &value) &&
	    (tag & ~1) == BER_CONTEXT &&
	    ber_number(&value, BER_INTEGER, &version) && version == KRB_VERSION;
}

static bool
krb_is_request(uint8_t type)
{
	return type == KRB_AS_REQ || type == KRB_TGS_REQ;
}

/* Errors that are the next step of a sound logon are no faults: "send proof of
 * the password" and "ask again over TCP". */
static bool
krb_is_fault(uint8_t type, struct bytes fields)
{
	struct bytes value;
	uint32_t code = KDC_ERR_PREAUTH_REQUIRED;	/* where it is cut off */
	uint8_t tag;

	if (type != KRB_ERROR)
		return false;
	while (ber_take(&fields, &tag, &value))
		if (tag == (BER_CONTEXT | KRB_ERROR_CODE_FIELD))
			(void)ber_number(&value, BER_INTEGER, &code);
	return code != KDC_ERR_PREAUTH_REQUIRED &&
	    code != KRB_ERR_RESPONSE_TOO_BIG;
}

/* An error answers the oldest request, whatever its kind. */
static void
krb_answer(struct app_context *c, uint8_t type, struct bytes fields)
{
	struct exchange *e = app_owed(c);

	if (type != KRB_ERROR)
		(void)app_response(c, type - 1U, false);
	else if (e)
		(void)app_response(c, e->key, krb_is_fault(type, fields));
}

static size_t
krb_length(struct bytes b)
{
	struct bytes fields;
	bool enough = b.left >= KRB_HEADER_BYTES;
	uint32_t mark = bytes_be32(&b);
	uint8_t type;

	if (bytes_ran_out(b))
		return PDU_MORE;
	if (!mark || mark > KRB_MESSAGE_MAX)
		return PDU_LOST;
	if (krb_open(b, &type, &fields))
		return KRB_MARK_BYTES + (size_t)mark;
	return enough ? PDU_LOST : PDU_MORE;
}

static bool
krb_take(struct app_context *c, const struct pdu *p)
{
	struct bytes b = p->head, fields;
	uint8_t type;

	bytes_skip(&b, KRB_MARK_BYTES);
	if (!krb_open(b, &type, &fields))
		return true;
	if (krb_is_request(type))
		pdu_request(c, p, type, app_label(APP_KERBEROS, 0, type), 0);
	else
		krb_answer(c, type, fields);
	return true;
}

static const struct pdu_rule krb_rule = {
	.length = krb_length,
	.take = krb_take,
	.enough = { [SERVER] = KRB_ANSWER_BYTES },
	.when_lost = APP_LOST,
};

static size_t
krb_feed(struct app_context *c, struct bytes b)
{
	return pdu_feed(c, b, &krb_rule);
}

static bool
krb_skip_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	return pdu_skip_gap(c, held, n, &krb_rule);
}

static size_t
krb_resync(const struct flow *f, enum side side, struct bytes b)
{
	(void)f;
	(void)side;
	return pdu_resync(b, &krb_rule);
}

static enum app_verdict
krb_probe(const struct flow *f, enum side side, struct bytes b)
{
	size_t n = krb_length(b);
	struct bytes fields;
	uint8_t type;

	(void)f;
	if (n == PDU_LOST)
		return APP_NOT_MINE;
	bytes_skip(&b, KRB_MARK_BYTES);
	if (n == PDU_MORE || !krb_open(b, &type, &fields))
		return APP_NEED_MORE;
	return krb_is_request(type) == (side == CLIENT) ?
	    APP_MINE : APP_NOT_MINE;
}

static const char *
krb_operation(unsigned interface, unsigned operation)
{
	(void)interface;
	switch (operation) {
	case KRB_AS_REQ: return "AS-REQ";
	case KRB_TGS_REQ: return "TGS-REQ";
	default: return NULL;
	}
}

const struct app_parser app_kerberos = {
	.name = "krb5",
	.protocol = APP_KERBEROS,
	.probe = krb_probe,
	.feed = krb_feed,
	.skip_gap = krb_skip_gap,
	.resync = krb_resync,
	.operation = krb_operation,
	.binary = true,
};

static bool
krb_udp_probe(const struct packet *p)
{
	struct bytes fields;
	uint8_t type;

	return p->protocol == IP_UDP &&
	    (p->sport == KERBEROS_PORT || p->dport == KERBEROS_PORT) &&
	    krb_open(p->payload, &type, &fields);
}

static void
krb_udp_packet(struct app_context *c, const struct packet *p)
{
	struct bytes fields;
	uint8_t type;

	if (!c->flow || !krb_open(p->payload, &type, &fields))
		return;
	if (krb_is_request(type))
		datagram_request(c, p, type,
		    app_label(APP_KERBEROS, 0, type), 0);
	else
		krb_answer(c, type, fields);
}

const struct app_datagram_parser app_kerberos_udp = {
	.name = "krb5-udp",
	.protocol = APP_KERBEROS,
	.probe = krb_udp_probe,
	.packet = krb_udp_packet,
	.operation = krb_operation,
};
