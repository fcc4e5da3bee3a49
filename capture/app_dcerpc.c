/* app_dcerpc.c - connection-oriented DCE/RPC: PDUs, calls, contexts, and what
 * the endpoint mapper and Exchange's push registration tell of other ports.
 *
 * The hard part is that a call has many beginnings and ends. Its request may
 * come in fragments, each a PDU, each PDU in pieces; its answer likewise; calls
 * may overlap on one connection (PFC_CONC_MPX). A request counts as asked when
 * its last fragment is whole, until then it is a partial exchange that says how
 * much is missing; it is answered when the first fragment of a response, or a
 * fault, is whole. */
#include "capture/app_dcerpc.h"

#include <stdlib.h>
#include <string.h>

enum rpc_type {			/* C706, 12.6.4; MS-RPCE 2.2.2.1; MS-RPCH 2.2.3.6 */
	RPC_REQUEST = 0, RPC_RESPONSE = 2, RPC_FAULT = 3, RPC_BIND = 11,
	RPC_BIND_ACK = 12, RPC_BIND_NAK = 13, RPC_ALTER_CONTEXT = 14,
	RPC_ALTER_CONTEXT_RESP = 15, RPC_AUTH3 = 16, RPC_SHUTDOWN = 17,
	RPC_CO_CANCEL = 18, RPC_ORPHANED = 19, RPC_RTS = 20,
};

enum rpc_flag {			/* C706, 12.6.3.1 */
	PFC_FIRST = 0x01, PFC_LAST = 0x02, PFC_MAYBE = 0x40,
	PFC_OBJECT_UUID = 0x80,
};

enum {
	RPC_COMMON_BYTES = 16,	/* of the header, in every PDU */
	RPC_CALL_BYTES = 24,	/* with alloc_hint, context, opnum */
	RPC_SIGNATURE_BYTES = 10,	/* enough to doubt what is no PDU */
	RPC_TYPES = 21,
	EPM_PORT = 135,		/* C706, appendix H */
	EPM_HTTP_PORT = 593,	/* MS-RPCH 2.1.1.1 */
	OPNUM_EPT_LOOKUP = 2, OPNUM_EPT_MAP = 3,
	OPNUM_PUSH_REGISTER = 4,	/* MS-OXCRPC 3.1.4.5 */
	AUTH_LEVEL_PRIVACY = 6,	/* MS-RPCE 2.2.1.1.8 */
};

/* Which types each side sends, as bits: C706, 12.6.4. */
static const uint32_t types_from[2] = {
	[CLIENT] = 1u << RPC_REQUEST | 1u << RPC_BIND | 1u << RPC_ALTER_CONTEXT |
	    1u << RPC_AUTH3 | 1u << RPC_CO_CANCEL | 1u << RPC_ORPHANED |
	    1u << RPC_RTS,
	[SERVER] = 1u << RPC_RESPONSE | 1u << RPC_FAULT | 1u << RPC_BIND_ACK |
	    1u << RPC_BIND_NAK | 1u << RPC_ALTER_CONTEXT_RESP |
	    1u << RPC_SHUTDOWN | 1u << RPC_RTS,
};

/* Keys of exchanges: bit 63, the carrier's bits 40 to 62, what it is (32 to
 * 39), the call id. Bind and first call may have the same id. */
#define KEY_RPC (UINT64_C(1) << 63)
#define KEY_BIND (UINT64_C(1) << 32)
#define KEY_HEADER (UINT64_C(2) << 32)	/* a PDU whose header is not whole */

/* --- headers ---------------------------------------------------------------- */

static uint16_t
drep16(struct bytes *b, bool little_endian)
{
	return little_endian ? bytes_le16(b) : bytes_be16(b);
}

static uint32_t
drep32(struct bytes *b, bool little_endian)
{
	return little_endian ? bytes_le32(b) : bytes_be32(b);
}

static bool
type_is_known(uint8_t type)
{
	return type < RPC_TYPES &&
	    (types_from[CLIENT] | types_from[SERVER]) & 1u << type;
}

static bool
has_call_header(uint8_t type)
{
	return type == RPC_REQUEST || type == RPC_RESPONSE || type == RPC_FAULT;
}

/* APP_MINE: `p` is filled in. APP_NEED_MORE: the header is not whole. */
static enum app_verdict
take_header(struct bytes b, struct rpc_pdu *p)
{
	uint8_t version = bytes_u8(&b), minor = bytes_u8(&b);
	struct bytes drep;

	p->type = bytes_u8(&b);
	p->flags = bytes_u8(&b);
	drep = bytes_sub(&b, 4);
	p->little_endian = bytes_u8(&drep) & 0x10;	/* C706, 14.1 */
	p->bytes = drep16(&b, p->little_endian);
	p->auth_bytes = drep16(&b, p->little_endian);
	p->call_id = drep32(&b, p->little_endian);
	if (bytes_ran_out(b))
		return APP_NEED_MORE;
	p->head_bytes = has_call_header(p->type) ? RPC_CALL_BYTES :
	    RPC_COMMON_BYTES;
	if (version != 5 || minor > 1 || !type_is_known(p->type) ||
	    p->bytes < p->head_bytes)
		return APP_NOT_MINE;
	/* sec_trailer: 8 bytes before the token (C706, 13.2.6.1) */
	if (p->auth_bytes && p->auth_bytes + 8 > p->bytes - RPC_COMMON_BYTES)
		return APP_NOT_MINE;
	if (p->head_bytes == RPC_COMMON_BYTES)
		return APP_MINE;
	p->alloc_hint = drep32(&b, p->little_endian);
	p->context = drep16(&b, p->little_endian);
	p->opnum = drep16(&b, p->little_endian);
	return bytes_ran_out(b) ? APP_NEED_MORE : APP_MINE;
}

/* Stricter than take_header, for bytes that may be anything: what the reserved
 * fields and the length ought to be, as far as the bytes reach. Fragments from
 * the middle of a call are passed over: they look too much like other things. */
static enum app_verdict
signature(struct bytes b, uint32_t types)
{
	struct bytes all = b;
	uint8_t version = bytes_u8(&b), minor = bytes_u8(&b);
	uint8_t type = bytes_u8(&b), flags = bytes_u8(&b), integers, reals;
	uint16_t length;

	integers = bytes_u8(&b);
	reals = bytes_u8(&b);
	if ((all.left > 0 && version != 5) || (all.left > 1 && minor > 1) ||
	    (all.left > 2 && (type >= RPC_TYPES || !(types & 1u << type))) ||
	    (all.left > 3 && !(flags & (PFC_FIRST | PFC_LAST))) ||
	    (all.left > 4 && integers & 0xee) || (all.left > 5 && reals > 3))
		return APP_NOT_MINE;
	if (all.left >= 8 && bytes_be16(&b))
		return APP_NOT_MINE;
	if (all.left < RPC_SIGNATURE_BYTES)
		return APP_NEED_MORE;
	length = drep16(&b, integers & 0x10);
	if (length < (has_call_header(type) ? RPC_CALL_BYTES : RPC_COMMON_BYTES))
		return APP_NOT_MINE;
	if (all.left <= length)
		return APP_MINE;
	bytes_skip(&all, length);	/* what follows begins like one, too */
	version = bytes_u8(&all);
	minor = bytes_u8(&all);
	return version == 5 && minor <= 1 ? APP_MINE : APP_NOT_MINE;
}

enum app_verdict
rpc_probe(enum side side, bool midstream, struct bytes b)
{
	uint32_t types = types_from[side];

	if (midstream)
		types |= types_from[other_side(side)];
	return signature(b, types);
}

size_t
rpc_resync(struct bytes b)
{
	const uint32_t types = types_from[CLIENT] | types_from[SERVER];
	const uint8_t *begin = b.at;

	while (b.left >= RPC_SIGNATURE_BYTES) {
		const uint8_t *five = memchr(b.at, 5,
		    b.left - (RPC_SIGNATURE_BYTES - 1));

		if (!five)
			return APP_LOST;
		bytes_skip(&b, (size_t)(five - b.at));
		if (signature(b, types) == APP_MINE)
			return (size_t)(b.at - begin);
		bytes_skip(&b, 1);
	}
	return APP_LOST;
}

/* --- contexts ----------------------------------------------------------------- */

static void
context_set(struct rpc *r, uint16_t id, unsigned interface)
{
	struct rpc_context *x = NULL;

	for (int i = 0; i < RPC_CONTEXTS && !x; i++)
		if (r->context[i].used && r->context[i].id == id)
			x = &r->context[i];
	if (!x) {
		x = &r->context[r->next_context];
		r->next_context = (uint8_t)((r->next_context + 1) % RPC_CONTEXTS);
	}
	*x = (struct rpc_context){ id, (uint8_t)interface, true };
}

/* A context that was negotiated before we looked is not known, except at the
 * ports that serve one interface. */
static unsigned
context_get(const struct rpc *r, uint16_t id, const struct flow *f)
{
	for (int i = 0; i < RPC_CONTEXTS; i++)
		if (r->context[i].used && r->context[i].id == id)
			return r->context[i].interface;
	return f->port[SERVER] == EPM_PORT || f->port[SERVER] == EPM_HTTP_PORT ?
	    RPC_EPM : RPC_OTHER;
}

/* The context list of a bind (C706, 12.6.4.3). Returns the first one's
 * interface. */
static unsigned
take_contexts(struct rpc *r, const struct rpc_pdu *p, struct bytes b)
{
	unsigned count, first = RPC_OTHER;

	bytes_skip(&b, 8);	/* max_xmit_frag, max_recv_frag, assoc_group_id */
	count = bytes_u8(&b);
	bytes_skip(&b, 3);
	for (unsigned i = 0; i < count; i++) {
		uint16_t id = drep16(&b, p->little_endian);
		unsigned transfers = bytes_u8(&b), interface;

		bytes_skip(&b, 1);
		interface = rpc_interface_take(&b, p->little_endian);
		bytes_skip(&b, 4 + 20 * (size_t)transfers);
		if (bytes_ran_out(b))
			break;
		context_set(r, id, interface);
		if (!i)
			first = interface;
	}
	return first;
}

/* --- requests ----------------------------------------------------------------- */

static uint64_t
key_of(const struct rpc_carrier *ch, const struct rpc_pdu *p)
{
	uint64_t what = 0;

	switch (p->type) {
	case RPC_BIND: case RPC_BIND_ACK: case RPC_BIND_NAK:
	case RPC_ALTER_CONTEXT: case RPC_ALTER_CONTEXT_RESP:
		what = KEY_BIND;
		break;
	default:
		break;
	}
	return KEY_RPC | ch->key | what | p->call_id;
}

static bool
is_request(const struct rpc_pdu *p)
{
	return p->type == RPC_REQUEST || p->type == RPC_BIND ||
	    p->type == RPC_ALTER_CONTEXT;
}

static unsigned
flags_of(const struct rpc_carrier *ch, const struct rpc_pdu *p, uint32_t label)
{
	unsigned flags = ch->request_flags;

	if (p->type != RPC_REQUEST)
		return flags;
	if (p->flags & PFC_MAYBE)
		flags |= EXCHANGE_ONE_WAY;
	if (rpc_parks(label >> 16 & 0xff, label & 0xffff))
		flags |= EXCHANGE_PARKS;
	return flags;
}

/* A header that is not whole is the smallest part of a request there is. */
static void
header_begins(struct app_context *c, const struct rpc_carrier *ch,
    struct bytes b, size_t wanted)
{
	const uint64_t key = KEY_RPC | ch->key | KEY_HEADER;
	struct exchange *x = exchange_find(c->flow, key);

	if (!b.left || c->side != CLIENT || ch->once)
		return;
	if (!x)
		x = app_request(c, key, app_label(APP_DCERPC, RPC_OTHER, 0),
		    ch->request_flags | EXCHANGE_PARTIAL, c->began,
		    c->first_frame, 0);
	if (x && (x->request_bytes != b.left || x->frame_last != c->frame))
		app_request_grows(c, x, (uint32_t)b.left,
		    (uint32_t)(wanted - b.left));
}

static void
header_ends(struct app_context *c, const struct rpc_carrier *ch)
{
	struct exchange *x = c->flow->waiting ? exchange_find(c->flow,
	    KEY_RPC | ch->key | KEY_HEADER) : NULL;

	if (!x)
		return;
	if (x->frame_last != c->frame) {
		c->began = x->began;
		c->first_frame = x->frame_first;
	}
	exchange_close(c->pool, c->flow, x);
}

/* How much of the call is still to come after `left` bytes of this fragment.
 * alloc_hint is what the sender thinks it has still to send, this fragment
 * included, or 0 (C706, 12.6.4.9). */
static uint32_t
missing_of(const struct rpc_pdu *p, uint32_t left)
{
	uint32_t stub = (uint32_t)p->bytes - p->head_bytes, more = 1;

	if (p->type != RPC_REQUEST || p->flags & PFC_LAST)
		return left;
	if (p->auth_bytes)
		stub -= (uint32_t)p->auth_bytes + 8;
	if (p->alloc_hint > stub)
		more = p->alloc_hint - stub;
	return left + more;
}

/* `have` bytes of a request's PDU are there, and not all of it or not the last
 * fragment: keep the partial exchange up to date. */
static struct exchange *
request_grows(struct app_context *c, const struct rpc_carrier *ch,
    const struct rpc_pdu *p, uint32_t label, uint32_t have)
{
	const uint64_t key = key_of(ch, p);
	struct exchange *x = exchange_find(c->flow, key);

	if (x && !(x->flags & EXCHANGE_PARTIAL))
		x = NULL;	/* an older call of that number */
	if (!x && p->type == RPC_REQUEST && !(p->flags & PFC_FIRST))
		return NULL;	/* its beginning was not seen */
	if (!x) {
		x = app_request(c, key, label,
		    flags_of(ch, p, label) | EXCHANGE_PARTIAL, c->began,
		    c->first_frame, 0);
		ch->lane->before = 0;
	}
	if (x)
		app_request_grows(c, x, ch->lane->before + have,
		    missing_of(p, p->bytes - have));
	return x;
}

/* The lane's PDU, a request, is whole. */
static void
request_ends(struct app_context *c, const struct rpc_carrier *ch)
{
	const struct rpc_pdu *p = &ch->lane->pdu;
	const bool call = p->type == RPC_REQUEST;
	const uint64_t key = key_of(ch, p);
	struct exchange *x = exchange_find(c->flow, key);
	const bool begun = x && x->flags & EXCHANGE_PARTIAL;

	if (!begun && call && !(p->flags & PFC_FIRST))
		return;
	if (!begun && (!call || p->flags & PFC_LAST)) {
		app_request(c, key, ch->lane->label,
		    flags_of(ch, p, ch->lane->label), c->began, c->first_frame,
		    p->bytes);
		return;
	}
	x = request_grows(c, ch, p, ch->lane->label, p->bytes);
	if (x && (!call || p->flags & PFC_FIRST)) {
		/* In a pipe Wireshark counts from where it begins. */
		if (!ch->once)
			x->first_pdu = c->now;
		x->label = ch->lane->label;	/* a bind's body told */
	}
	if (x && (!call || p->flags & PFC_LAST))
		app_request_whole(c, x);
}

static void
tell_note(struct app_context *c, enum app_note what, const struct exchange *x,
    uint32_t label, uint64_t key, uint64_t value)
{
	struct app_event e = {
		.type = APP_NOTE, .what = what, .flow = c->flow, .side = c->side,
		.time = c->now, .frame = c->frame, .label = label, .key = key,
		.value = value,
	};

	if (x) {
		e.exchange_flags = x->flags;
		e.asked = x->asked;
		e.asked_frame = x->frame_last;
	}
	app_tell(c, &e);
}

/* The client no longer wants to wait. After co_cancel an answer is still due
 * (C706, 10.1.5); what is orphaned gets none (12.6.4.8). */
static void
call_cancelled(struct app_context *c, const struct rpc_carrier *ch)
{
	const struct rpc_pdu *p = &ch->lane->pdu;
	const uint64_t key = key_of(ch, p);
	struct exchange *x = exchange_find(c->flow, key);

	tell_note(c, APP_NOTE_RPC_CANCEL, x, x ? x->label :
	    app_label(APP_DCERPC, RPC_OTHER, 0), key, p->type);
	if (x && p->type == RPC_ORPHANED)
		exchange_close(c->pool, c->flow, x);
}

/* --- answers ------------------------------------------------------------------ */

static struct flow *
asked_on(const struct app_context *c, const struct rpc_carrier *ch, uint64_t key)
{
	struct flow *f = ch->asked_on ? ch->asked_on : c->flow;

	if (ch->asked_before && !exchange_find(f, key) &&
	    exchange_find(ch->asked_before, key))
		return ch->asked_before;
	return f;
}

/* The answer to `x` goes on in further fragments. */
static void
answering_add(struct rpc *r, const struct rpc_pdu *p, const struct exchange *x)
{
	unsigned i = r->next_answering;

	r->next_answering = (uint8_t)((i + 1) % RPC_ANSWERING);
	r->answering[i].call_id = p->call_id;
	r->answering[i].label = x->label;
	r->answering[i].asked = x->first_pdu;
}

static void
answer_goes_on(struct app_context *c, const struct rpc_carrier *ch)
{
	const struct rpc_pdu *p = &ch->lane->pdu;
	struct rpc *r = ch->rpc;

	for (int i = 0; i < RPC_ANSWERING; i++) {
		struct app_event e = {
			.type = APP_NOTE, .what = APP_NOTE_RPC_MORE,
			.flow = asked_on(c, ch, key_of(ch, p)), .side = c->side,
			.time = c->now, .frame = c->frame,
			.label = r->answering[i].label, .key = key_of(ch, p),
			.has_rpc_time = true,
		};

		if (r->answering[i].call_id != p->call_id ||
		    !instant_is_set(r->answering[i].asked))
			continue;
		e.rpc_time_ns = instant_since(c->now, r->answering[i].asked);
		if (p->flags & PFC_LAST)
			r->answering[i].asked.ns = 0;
		app_tell(c, &e);
		return;
	}
}

static void
answer_ends(struct app_context *c, const struct rpc_carrier *ch)
{
	const struct rpc_pdu *p = &ch->lane->pdu;
	uint64_t key = key_of(ch, p);
	struct flow *f = asked_on(c, ch, key);
	struct exchange *x = exchange_find(f, key);
	struct app_event e = { 0 };
	const bool call = has_call_header(p->type);

	if (call && !(p->flags & PFC_FIRST)) {
		answer_goes_on(c, ch);
		return;
	}
	if (p->type == RPC_BIND_NAK)
		tell_note(c, APP_NOTE_RPC_BIND_NAK, NULL, x ? x->label :
		    app_label(APP_DCERPC, RPC_OTHER, RPC_OP_BIND), key,
		    x ? x->label >> 16 & 0xff : RPC_OTHER);
	if (!x && p->type == RPC_FAULT) {
		key |= KEY_BIND;	/* a bind may be refused by a fault, too */
		x = exchange_find(f, key);
	}
	if (!x)
		return;
	e.has_rpc_time = call;
	e.rpc_time_ns = instant_since(c->now, x->first_pdu);
	if (call && !(p->flags & PFC_LAST))
		answering_add(ch->rpc, p, x);
	(void)app_response_on(c, f, key,
	    p->type == RPC_FAULT || p->type == RPC_BIND_NAK, &e);
}

/* --- bodies that say more -------------------------------------------------------- */

/* The stub, if it is in clear. */
static bool
clear_stub(const struct rpc_pdu *p, struct bytes body, struct bytes *stub)
{
	size_t n = body.left, trailer = (size_t)p->auth_bytes + 8;

	*stub = body;
	if (p->flags & PFC_OBJECT_UUID && p->type == RPC_REQUEST)
		bytes_skip(stub, 16);
	if (!p->auth_bytes)
		return !bytes_ran_out(*stub);
	if (n < trailer || stub->left < trailer)
		return false;
	stub->left -= trailer;
	bytes_skip(&body, n - trailer + 1);
	return bytes_u8(&body) != AUTH_LEVEL_PRIVACY;
}

enum tower_floor {		/* C706, appendix I; MS-RPCE 2.2.1.2.6 */
	FLOOR_TCP = 0x07, FLOOR_UDP = 0x08, FLOOR_IP = 0x09, FLOOR_UUID = 0x0d,
	FLOOR_HTTP = 0x1f,
};

/* One floor: its protocol, and what it says on the right. */
static uint8_t
take_floor(struct bytes *b, struct bytes *left, struct bytes *right)
{
	*left = bytes_sub(b, bytes_le16(b));
	*right = bytes_sub(b, bytes_le16(b));
	return bytes_u8(left);
}

/* A tower from its number of floors on; false: it is none. Towers are always
 * little-endian (C706, appendix L). */
static bool
take_tower(struct bytes *b, struct app_event *e)
{
	unsigned floors = bytes_le16(b);
	struct bytes left, right;

	if (floors < 3 || floors > 6)
		return false;
	if (take_floor(b, &left, &right) != FLOOR_UUID)
		return false;
	e->value = rpc_interface_take(&left, true);
	e->port = 0;
	for (unsigned i = 1; i < floors && !bytes_ran_out(*b); i++) {
		switch (take_floor(b, &left, &right)) {
		case FLOOR_TCP: case FLOOR_HTTP:
			e->port = bytes_be16(&right);
			break;
		case FLOOR_IP:
			e->address = address_from_v4(bytes_be32(&right));
			break;
		default:
			break;
		}
	}
	return !bytes_ran_out(*b) && e->port;
}

/* What ept_map and ept_lookup answer. The towers lie in NDR or NDR64, with
 * different padding, so they are found by how each begins: its number of
 * floors, then 19 bytes on the left of the first, which is a UUID. */
static void
take_towers(struct app_context *c, const struct exchange *x, struct bytes stub)
{
	static const uint8_t begins[] = { 0x13, 0x00, FLOOR_UUID };

	while (stub.left >= 2 + sizeof(begins)) {
		struct bytes tower = stub, head = stub;
		struct app_event e = {
			.type = APP_NOTE, .what = APP_NOTE_EPM_TOWER,
			.flow = c->flow, .side = c->side, .time = c->now,
			.frame = c->frame, .label = x->label, .key = x->key,
			.address = c->flow->addr[SERVER],
		};

		bytes_skip(&head, 2);
		if (memcmp(head.at, begins, sizeof(begins)) != 0 ||
		    !take_tower(&tower, &e)) {
			bytes_skip(&stub, 1);
			continue;
		}
		if (address_is_unspecified(&e.address))
			e.address = c->flow->addr[SERVER];
		app_tell(c, &e);
		stub = tower;
	}
}

static void
align(struct bytes *b, const uint8_t *begin, size_t to)
{
	bool within = begin && b->at && !bytes_ran_out(*b);
	size_t off = within ? (size_t)(b->at - begin) % to : 0;

	if (off)
		bytes_skip(b, to - off);
}

/* EcRRegisterPushNotification (MS-OXCRPC 3.1.4.5): context handle, rights, the
 * client's opaque blob, its sizes, then the socket address to notify. Where the
 * stub is sealed only the fact is told, with port 0. */
static void
take_push(struct app_context *c, const struct rpc_carrier *ch,
    const struct rpc_pdu *p, struct bytes body)
{
	struct app_event e = {
		.type = APP_NOTE, .what = APP_NOTE_PUSH_REGISTERED,
		.flow = c->flow, .side = c->side, .time = c->now,
		.frame = c->frame, .label = ch->lane->label,
		.key = key_of(ch, p), .address = c->flow->addr[CLIENT],
	};
	struct bytes b;
	const uint8_t *begin;
	uint32_t n;

	if (clear_stub(p, body, &b)) {
		begin = b.at;
		bytes_skip(&b, 20 + 4);
		n = drep32(&b, p->little_endian);	/* the blob */
		bytes_skip(&b, n);
		align(&b, begin, 2);
		e.value = drep16(&b, p->little_endian);
		align(&b, begin, 4);
		bytes_skip(&b, 4);			/* grbitAdviseBits */
		n = drep32(&b, p->little_endian);	/* the address */
		bytes_skip(&b, 2);			/* its family */
		e.port = bytes_be16(&b);
		e.address = address_from_v4(bytes_be32(&b));
		if (bytes_ran_out(b) || n < 8) {
			e.port = 0;
			e.address = c->flow->addr[CLIENT];
		}
	}
	app_tell(c, &e);
}

/* --- PDUs from bytes ------------------------------------------------------------- */

static bool
is_push_register(const struct rpc_pdu *p, uint32_t label)
{
	return p->type == RPC_REQUEST && p->flags & PFC_FIRST &&
	    (label >> 16 & 0xff) == RPC_EMSMDB && p->opnum == OPNUM_PUSH_REGISTER;
}

/* The endpoint mapper's call that `p` answers, or NULL. */
static const struct exchange *
mapper_call(const struct app_context *c, const struct rpc_carrier *ch,
    const struct rpc_pdu *p)
{
	const uint64_t key = key_of(ch, p);
	const struct exchange *x;
	unsigned opnum;

	if (p->type != RPC_RESPONSE || !(p->flags & PFC_FIRST))
		return NULL;
	x = exchange_find(asked_on(c, ch, key), key);
	if (!x || (x->label >> 16 & 0xff) != RPC_EPM)
		return NULL;
	opnum = x->label & 0xffff;
	return opnum == OPNUM_EPT_MAP || opnum == OPNUM_EPT_LOOKUP ? x : NULL;
}

static bool
body_matters(const struct app_context *c, const struct rpc_carrier *ch,
    const struct rpc_pdu *p, uint32_t label)
{
	return p->type == RPC_BIND || p->type == RPC_ALTER_CONTEXT ||
	    p->type == RPC_RTS || is_push_register(p, label) ||
	    mapper_call(c, ch, p);
}

/* What the PDU asks, as far as its header says; binds say more in the body. */
static uint32_t
label_of(const struct app_context *c, const struct rpc_carrier *ch,
    const struct rpc_pdu *p)
{
	switch (p->type) {
	case RPC_REQUEST:
		return app_label(APP_DCERPC,
		    context_get(ch->rpc, p->context, c->flow), p->opnum);
	case RPC_ALTER_CONTEXT:
		return app_label(APP_DCERPC, RPC_OTHER, RPC_OP_ALTER_CONTEXT);
	default:
		return app_label(APP_DCERPC, RPC_OTHER, RPC_OP_BIND);
	}
}

/* The PDU's body as far as it is there: all of it where it matters. */
static void
take_body(struct app_context *c, const struct rpc_carrier *ch,
    struct bytes body)
{
	struct rpc_lane *lane = ch->lane;
	const struct rpc_pdu *p = &lane->pdu;
	const struct exchange *x = mapper_call(c, ch, p);
	unsigned interface;
	struct bytes stub;

	if (p->type == RPC_BIND || p->type == RPC_ALTER_CONTEXT) {
		interface = take_contexts(ch->rpc, p, body);
		lane->label = app_label(APP_DCERPC, interface,
		    lane->label & 0xffff);
		tell_note(c, APP_NOTE_RPC_BIND, NULL, lane->label, key_of(ch, p),
		    interface);
	} else if (p->type == RPC_RTS && ch->rts) {
		ch->rts(c, ch->owner, body);
	} else if (x && clear_stub(p, body, &stub)) {
		take_towers(c, x, stub);
	} else if (is_push_register(p, lane->label)) {
		take_push(c, ch, p, body);
	}
}

static void
pdu_ends(struct app_context *c, const struct rpc_carrier *ch)
{
	switch (ch->lane->pdu.type) {
	case RPC_REQUEST: case RPC_BIND: case RPC_ALTER_CONTEXT:
		request_ends(c, ch);
		break;
	case RPC_RESPONSE: case RPC_FAULT: case RPC_BIND_ACK:
	case RPC_BIND_NAK: case RPC_ALTER_CONTEXT_RESP:
		answer_ends(c, ch);
		break;
	case RPC_CO_CANCEL: case RPC_ORPHANED:
		call_cancelled(c, ch);
		break;
	default:		/* auth3, shutdown, RTS: nobody waits */
		break;
	}
}

/* `n` more bytes of the lane's PDU came, be it that we did not see them. */
static void
pdu_goes_on(struct app_context *c, const struct rpc_carrier *ch, uint32_t n)
{
	struct rpc_lane *lane = ch->lane;

	lane->left -= n;
	if (!lane->left)
		pdu_ends(c, ch);
	else if (is_request(&lane->pdu))
		(void)request_grows(c, ch, &lane->pdu, lane->label,
		    lane->pdu.bytes - lane->left);
}

/* A PDU of which `b` is there, its header at least. */
static void
pdu_begins(struct app_context *c, const struct rpc_carrier *ch,
    const struct rpc_pdu *p, uint32_t label, struct bytes b)
{
	struct rpc_lane *lane = ch->lane;
	const struct exchange *x = is_request(p) ?
	    exchange_find(c->flow, key_of(ch, p)) : NULL;
	uint32_t n = (uint32_t)b.left;

	lane->pdu = *p;
	lane->label = label;
	lane->left = p->bytes;
	lane->before = x && x->flags & EXCHANGE_PARTIAL &&
	    !(p->flags & PFC_FIRST) ? x->request_bytes : 0;
	bytes_skip(&b, p->head_bytes);
	take_body(c, ch, b);
	pdu_goes_on(c, ch, n);
}

size_t
rpc_feed(struct app_context *c, const struct rpc_carrier *ch, struct bytes b)
{
	struct rpc_lane *lane = ch->lane;
	const uint32_t end_seq = c->end_seq;
	struct rpc_pdu p = { 0 };
	enum app_verdict v;
	uint32_t label;
	size_t n;

	if (lane->left) {
		n = b.left < lane->left ? b.left : lane->left;
		if (!ch->once)
			c->end_seq = app_seq_after(end_seq, b, n);
		if (n)
			pdu_goes_on(c, ch, (uint32_t)n);
		return n;
	}
	v = take_header(b, &p);
	if (v == APP_NEED_MORE)
		header_begins(c, ch, b, p.head_bytes ? p.head_bytes :
		    RPC_COMMON_BYTES);
	if (v != APP_MINE)
		return v == APP_NEED_MORE ? 0 : APP_LOST;
	header_ends(c, ch);
	label = label_of(c, ch, &p);
	n = b.left < p.bytes ? b.left : p.bytes;
	if (!ch->once)
		c->end_seq = app_seq_after(end_seq, b, n);
	if (n < p.bytes && !ch->once && body_matters(c, ch, &p, label)) {
		if (is_request(&p))
			(void)request_grows(c, ch, &p, label, (uint32_t)n);
		return 0;
	}
	pdu_begins(c, ch, &p, label, bytes_sub(&b, n));
	return n;
}

bool
rpc_push(struct app_context *c, const struct rpc_carrier *ch, struct bytes b)
{
	struct rpc_lane *lane = ch->lane;

	while (b.left) {
		size_t n, used;

		if (!lane->stash_bytes) {
			used = rpc_feed(c, ch, b);
			if (used == APP_LOST)
				return false;
			bytes_skip(&b, used);
			if (used)
				continue;
		}
		/* A header that is not whole, then: fewer than the stash holds. */
		n = sizeof(lane->stash) - lane->stash_bytes;
		if (n > b.left)
			n = b.left;
		memcpy(lane->stash + lane->stash_bytes, bytes_take(&b, n), n);
		lane->stash_bytes = (uint8_t)(lane->stash_bytes + n);
		used = rpc_feed(c, ch, bytes_of(lane->stash, lane->stash_bytes));
		if (used == APP_LOST)
			return false;
		lane->stash_bytes = (uint8_t)(lane->stash_bytes - used);
		memmove(lane->stash, lane->stash + used, lane->stash_bytes);
	}
	return true;
}

bool
rpc_skip_gap(struct app_context *c, const struct rpc_carrier *ch,
    struct bytes held, uint32_t n)
{
	struct rpc_carrier once = *ch;

	if (held.left) {
		once.once = true;	/* the rest of the body will not come */
		if (rpc_feed(c, &once, held) != held.left)
			return false;
	}
	if (!ch->lane->left || n > ch->lane->left)
		return false;
	pdu_goes_on(c, ch, n);
	return true;
}

void
rpc_gap(const struct rpc_carrier *ch)
{
	ch->lane->left = 0;
	ch->lane->stash_bytes = 0;
}

/* --- over TCP -------------------------------------------------------------------- */

/* What ncacn_http's server says first, before any PDU (MS-RPCH 2.1.1.1.2). */
static const char http_banner[] = "ncacn_http/1.0";
enum { HTTP_BANNER_BYTES = sizeof(http_banner) - 1 };

struct tcp_rpc {
	struct rpc_lane lane[2];	/* by enum side */
	struct rpc rpc;
	bool is_channel;		/* of RPC over HTTP */
};

/* An RTS PDU gives a channel of RPC over HTTP away whose beginning was not
 * seen. Its answers come on another connection. */
static void
tcp_rts(struct app_context *c, void *owner, struct bytes body)
{
	struct tcp_rpc *t = owner;

	(void)body;
	t->is_channel = true;
	app_forget(c, c->flow, CLIENT);
}

/* Likewise PDUs in the middle of a connection to a web server, as long as it
 * does not answer them. */
static bool
may_be_channel(const struct flow *f)
{
	const uint16_t port = f->port[SERVER];

	return app_begins_inside(f) && !f->turns &&
	    (port == 80 || port == 443 || port == 8080);
}

static struct rpc_carrier
tcp_carrier(struct tcp_rpc *t, const struct flow *f, enum side side)
{
	return (struct rpc_carrier){
		.rpc = &t->rpc, .lane = &t->lane[side], .rts = tcp_rts,
		.owner = t, .request_flags = t->is_channel || may_be_channel(f) ?
		    EXCHANGE_ONE_WAY : 0,
	};
}

/* How many bytes of a banner are at the front: 0 none, APP_LOST: it is not
 * whole. */
static size_t
banner_bytes(struct bytes b)
{
	size_t n = b.left < HTTP_BANNER_BYTES ? b.left : HTTP_BANNER_BYTES;

	if (!n || memcmp(b.at, http_banner, n) != 0)
		return 0;
	return n == HTTP_BANNER_BYTES ? n : APP_LOST;
}

static enum app_verdict
tcp_probe(const struct flow *f, enum side side, struct bytes b)
{
	bool either = app_begins_inside(f) || f->app_flags & FLOW_GUESSED;
	size_t banner = side == SERVER || either ? banner_bytes(b) : 0;

	if (banner)
		return banner == APP_LOST ? APP_NEED_MORE : APP_MINE;
	return rpc_probe(side, either, b);
}

static size_t
tcp_feed(struct app_context *c, struct bytes b)
{
	struct tcp_rpc *t = c->flow->app_state;
	struct rpc_carrier ch;
	size_t banner;

	if (!t)
		c->flow->app_state = t = calloc(1, sizeof(*t));
	if (!t)
		return APP_STOP;
	ch = tcp_carrier(t, c->flow, c->side);
	banner = ch.lane->left ? 0 : banner_bytes(b);
	if (banner)
		return banner == APP_LOST ? 0 : banner;
	return rpc_feed(c, &ch, b);
}

static bool
tcp_skip_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	struct tcp_rpc *t = c->flow->app_state;
	struct rpc_carrier ch;

	if (!t)
		return false;
	ch = tcp_carrier(t, c->flow, c->side);
	return rpc_skip_gap(c, &ch, held, n);
}

static bool
tcp_missed(struct app_context *c, uint32_t n)
{
	const struct tcp_rpc *t = c->flow->app_state;

	return t && n <= t->lane[c->side].left;
}

static void
tcp_gap(struct app_context *c, uint32_t n)
{
	struct tcp_rpc *t = c->flow->app_state;
	struct rpc_carrier ch;

	(void)n;
	if (!t)
		return;
	ch = tcp_carrier(t, c->flow, c->side);
	rpc_gap(&ch);
}

static size_t
tcp_resync(const struct flow *f, enum side side, struct bytes b)
{
	(void)f;
	(void)side;
	return rpc_resync(b);
}

static void
tcp_release(struct flow *f)
{
	free(f->app_state);
	f->app_state = NULL;
}

const struct app_parser app_dcerpc = {
	.name = "dcerpc",
	.protocol = APP_DCERPC,
	.probe = tcp_probe,
	.feed = tcp_feed,
	.skip_gap = tcp_skip_gap,
	.gap = tcp_gap,
	.missed = tcp_missed,
	.resync = tcp_resync,
	.resync_keeps = RPC_SIGNATURE_BYTES - 1,
	.operation = rpc_operation_name,
	.release = tcp_release,
	.binary = true,
};
