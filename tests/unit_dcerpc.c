/* DCE/RPC over TCP: calls, fragments, binds, towers, gaps. */
#include "capture/app_dcerpc.h"
#include "tests/stage.h"
#include "tests/unit.h"

enum { REQUEST = 0, RESPONSE = 2, FAULT = 3, BIND = 11, BIND_ACK = 12,
	CO_CANCEL = 18, ORPHANED = 19, RTS = 20 };
enum { FIRST = 1, LAST = 2, WHOLE = 3, MAYBE = 0x40 };

/* AsyncEMSMDB, EMSMDB and EPM as they stand on the wire, little-endian. */
static const uint8_t async_uuid[16] = { 0x4a, 0x57, 0x61, 0x52, 0x72, 0x45, 0x6e,
	0x20, 0xb2, 0x68, 0x6b, 0x19, 0x92, 0x13, 0xb4, 0xe4 };
static const uint8_t emsmdb_uuid[16] = { 0x00, 0xdb, 0xf1, 0xa4, 0x47, 0xca,
	0x67, 0x10, 0xb3, 0x1f, 0x00, 0xdd, 0x01, 0x06, 0x62, 0xda };
static const uint8_t epm_uuid[16] = { 0x08, 0x83, 0xaf, 0xe1, 0x1f, 0x5d, 0xc9,
	0x11, 0x91, 0xa4, 0x08, 0x00, 0x2b, 0x14, 0xa0, 0xfa };

/* A PDU's common header; its length is filled in by pdu_end. */
static size_t
pdu_begin(struct wire *w, unsigned type, unsigned flags, uint32_t call_id)
{
	size_t begin = w->n;

	wire_u8(w, 5);
	wire_u8(w, 0);
	wire_u8(w, type);
	wire_u8(w, flags);
	wire_bytes(w, "\x10\0\0\0", 4);
	wire_le16(w, 0);
	wire_le16(w, 0);
	wire_le32(w, call_id);
	return begin;
}

static void
pdu_end(struct wire *w, size_t begin)
{
	wire_set_le16(w, begin + 8, (unsigned)(w->n - begin));
}

static void
put_bind(struct wire *w, uint32_t call_id, unsigned context,
    const uint8_t uuid[16])
{
	size_t begin = pdu_begin(w, BIND, WHOLE, call_id);

	wire_zeros(w, 8);
	wire_le32(w, 1);
	wire_le16(w, context);
	wire_le16(w, 1);
	wire_bytes(w, uuid, 16);
	wire_zeros(w, 4 + 20);
	pdu_end(w, begin);
}

static void
put_call(struct wire *w, unsigned type, unsigned flags, uint32_t call_id,
    unsigned context, unsigned opnum, size_t stub)
{
	size_t begin = pdu_begin(w, type, flags, call_id);

	wire_le32(w, (uint32_t)stub);
	wire_le16(w, context);
	wire_le16(w, opnum);
	wire_zeros(w, stub);
	pdu_end(w, begin);
}

static void
send_wire(struct stage *s, enum side side, struct wire *w)
{
	stage_send(s, side, w->at, w->n);
	w->n = 0;
}

static void
send_call(struct stage *s, unsigned type, unsigned flags, uint32_t call_id,
    unsigned opnum, size_t stub)
{
	struct wire w = { .n = 0 };

	put_call(&w, type, flags, call_id, 0, opnum, stub);
	send_wire(s, type == REQUEST ? CLIENT : SERVER, &w);
}

static void
bind_to(struct stage *s, const uint8_t uuid[16])
{
	struct wire w = { .n = 0 };

	put_bind(&w, 1, 0, uuid);
	send_wire(s, CLIENT, &w);
	w.n = 0;
	pdu_end(&w, pdu_begin(&w, BIND_ACK, WHOLE, 1));
	send_wire(s, SERVER, &w);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	s->count = 0;
}

static struct stage *
bound_stage(const uint8_t uuid[16])
{
	struct stage *s = stage_new(1025, 1 << 20);

	bind_to(s, uuid);
	return s;
}

static void
test_a_bind_is_an_exchange_and_names_the_interface(void **state)
{
	struct stage *s = stage_new(1025, 1 << 20);
	struct wire w = { .n = 0 };
	char text[APP_LABEL_TEXT_BYTES];

	(void)state;
	put_bind(&w, 1, 0, emsmdb_uuid);
	send_wire(s, CLIENT, &w);
	CHECK_EQ(s->flow->app, APP_DCERPC);
	CHECK_EQ(stage_note(s, APP_NOTE_RPC_BIND)->value, RPC_EMSMDB);
	CHECK_STR(app_label_text(stage_event(s, APP_REQUEST, 0)->label, text),
	    "EMSMDB bind");
	CHECK(stage_event(s, APP_REQUEST, 0)->exchange_flags & EXCHANGE_FIRST);
	CHECK_EQ(s->flow->waiting_count, 1);
	pdu_end(&w, pdu_begin(&w, BIND_ACK, WHOLE, 1));
	send_wire(s, SERVER, &w);
	CHECK_EQ(s->flow->waiting_count, 0);
	CHECK_EQ(stage_event(s, APP_RESPONSE, 0)->took_ns, NS_PER_MS);
	CHECK(!stage_event(s, APP_RESPONSE, 0)->has_rpc_time);
	stage_free(s);
}

static void
test_a_call_is_answered_by_its_own_response(void **state)
{
	struct stage *s = bound_stage(emsmdb_uuid);
	char text[APP_LABEL_TEXT_BYTES];
	const struct app_event *e;

	(void)state;
	send_call(s, REQUEST, WHOLE, 7, 11, 40);
	send_call(s, REQUEST, WHOLE, 8, 6, 40);
	CHECK_EQ(s->flow->waiting_count, 2);
	send_call(s, RESPONSE, WHOLE, 8, 0, 40);
	CHECK_EQ(s->flow->waiting_count, 1);
	send_call(s, FAULT, WHOLE, 7, 0, 8);
	CHECK_EQ(s->flow->waiting_count, 0);
	e = stage_event(s, APP_RESPONSE, 0);
	CHECK_STR(app_label_text(e->label, text), "EMSMDB EcDummyRpc");
	CHECK(!e->fault);
	CHECK_EQ(e->took_ns, NS_PER_MS);
	CHECK(e->has_rpc_time);
	CHECK_EQ(e->rpc_time_ns, NS_PER_MS);
	e = stage_event(s, APP_RESPONSE, 1);
	CHECK_STR(app_label_text(e->label, text), "EMSMDB EcDoRpcExt2");
	CHECK(e->fault);
	CHECK_EQ(e->rpc_time_ns, 3 * NS_PER_MS);
	stage_free(s);
}

/* 6 PDUs, shown in pieces of every size. */
static void
test_any_segmentation_gives_the_same_calls(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 300; piece += 7) {
		struct stage *s = stage_new(1025, 1 << 20);
		struct wire w = { .n = 0 };

		put_bind(&w, 1, 0, emsmdb_uuid);
		for (uint32_t i = 2; i < 6; i++)
			put_call(&w, REQUEST, WHOLE, i, 0, 11, 20 * i);
		for (size_t at = 0; at < w.n; at += piece)
			stage_send(s, CLIENT, w.at + at,
			    w.n - at < piece ? w.n - at : piece);
		CHECK_EQ(stage_events(s, APP_REQUEST), 5);
		CHECK_EQ(s->flow->waiting_count, 5);
		w.n = 0;
		pdu_end(&w, pdu_begin(&w, BIND_ACK, WHOLE, 1));
		for (uint32_t i = 2; i < 6; i++)
			put_call(&w, RESPONSE, WHOLE, i, 0, 0, 30 * i);
		for (size_t at = 0; at < w.n; at += piece)
			stage_send(s, SERVER, w.at + at,
			    w.n - at < piece ? w.n - at : piece);
		CHECK_EQ(stage_events(s, APP_RESPONSE), 5);
		CHECK_EQ(s->flow->waiting_count, 0);
		stage_free(s);
	}
}

static void
test_a_part_of_a_request_is_partial_until_it_is_whole(void **state)
{
	struct stage *s = bound_stage(emsmdb_uuid);
	struct wire w = { .n = 0 };
	const struct exchange *x;

	(void)state;
	put_call(&w, REQUEST, WHOLE, 7, 0, 11, 176);	/* 200 bytes */
	stage_send(s, CLIENT, w.at, 10);	/* not even a header */
	x = s->flow->waiting;
	CHECK(x && x->flags & EXCHANGE_PARTIAL);
	CHECK_EQ(x->missing_bytes, 6);
	stage_send(s, CLIENT, w.at + 10, 90);
	CHECK_EQ(s->flow->waiting_count, 1);
	x = s->flow->waiting;
	CHECK(x->flags & EXCHANGE_PARTIAL);
	CHECK_EQ(x->missing_bytes, 100);
	CHECK_EQ(x->request_bytes, 100);
	CHECK_EQ(x->request_end, s->next[CLIENT]);
	CHECK_EQ(x->frame_first, s->frame - 1);
	CHECK_EQ(x->label & 0xffff, 11);
	stage_send(s, CLIENT, w.at + 100, 60);
	CHECK_EQ(s->flow->waiting->missing_bytes, 40);
	CHECK_EQ(stage_events(s, APP_REQUEST), 0);
	stage_send(s, CLIENT, w.at + 160, 40);
	x = s->flow->waiting;
	CHECK(!(x->flags & EXCHANGE_PARTIAL));
	CHECK_EQ(x->missing_bytes, 0);
	CHECK_EQ(x->request_bytes, 200);
	CHECK_EQ(x->asked.ns, s->now.ns);
	CHECK_EQ(stage_events(s, APP_REQUEST), 1);
	stage_free(s);
}

static void
test_a_request_without_its_last_fragment_is_partial(void **state)
{
	struct stage *s = bound_stage(emsmdb_uuid);
	struct wire w = { .n = 0 };
	const struct exchange *x;

	(void)state;
	put_call(&w, REQUEST, FIRST, 7, 0, 11, 100);
	w.at[16] = 250;			/* alloc_hint: 150 more */
	send_wire(s, CLIENT, &w);
	x = s->flow->waiting;
	CHECK(x->flags & EXCHANGE_PARTIAL);
	CHECK_EQ(x->missing_bytes, 150);
	CHECK_EQ(stage_events(s, APP_REQUEST), 0);
	send_call(s, REQUEST, LAST, 7, 11, 150);
	CHECK_EQ(s->flow->waiting_count, 1);
	x = s->flow->waiting;
	CHECK(!(x->flags & EXCHANGE_PARTIAL));
	CHECK_EQ(x->request_bytes, 124 + 174);
	CHECK_EQ(stage_events(s, APP_REQUEST), 1);
	stage_free(s);
}

/* Wireshark counts each response fragment from the frame in which the first
 * fragment of the request was whole. */
static void
test_fragments_of_an_answer_have_their_times(void **state)
{
	struct stage *s = bound_stage(emsmdb_uuid);
	const struct app_event *e;

	(void)state;
	send_call(s, REQUEST, FIRST, 7, 11, 100);
	send_call(s, REQUEST, 0, 7, 11, 100);
	send_call(s, REQUEST, LAST, 7, 11, 100);
	send_call(s, RESPONSE, FIRST, 7, 0, 100);
	send_call(s, RESPONSE, LAST, 7, 0, 100);
	e = stage_event(s, APP_RESPONSE, 0);
	CHECK_EQ(e->took_ns, NS_PER_MS);
	CHECK_EQ(e->rpc_time_ns, 3 * NS_PER_MS);
	e = stage_note(s, APP_NOTE_RPC_MORE);
	CHECK_EQ(e->rpc_time_ns, 4 * NS_PER_MS);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	stage_free(s);
}

static void
test_calls_that_park_or_want_no_answer_say_so(void **state)
{
	struct stage *s = bound_stage(async_uuid);

	(void)state;
	send_call(s, REQUEST, WHOLE, 2, 0, 20);
	CHECK(s->flow->waiting->flags & EXCHANGE_PARKS);
	send_call(s, REQUEST, WHOLE | MAYBE, 3, 5, 20);
	CHECK(s->flow->waiting_last->flags & EXCHANGE_ONE_WAY);
	CHECK(!(s->flow->waiting_last->flags & EXCHANGE_PARKS));
	CHECK(rpc_parks(RPC_SVCCTL, 48));
	CHECK(!rpc_parks(RPC_SVCCTL, 47));
	CHECK(!rpc_parks(RPC_EMSMDB, 11));
	CHECK(rpc_parks(RPC_CLUSAPI, 139));
	stage_free(s);
}

/* Without its bind a call may be of any interface. */
static void
test_a_call_of_an_unknown_interface_may_park(void **state)
{
	struct stage *s = stage_new(1025, 1 << 20);

	(void)state;
	for (unsigned i = 1; i < RPC_INTERFACE_COUNT; i++)
		for (unsigned opnum = 0; opnum < 256; opnum++)
			if (rpc_parks(i, opnum))
				CHECK(rpc_parks(RPC_OTHER, opnum));
	send_call(s, REQUEST, WHOLE, 2, 0, 20);
	CHECK(s->flow->waiting->flags & EXCHANGE_PARKS);
	send_call(s, REQUEST, WHOLE, 3, 11, 20);
	CHECK(!(s->flow->waiting_last->flags & EXCHANGE_PARKS));
	stage_free(s);
}

static void
test_an_orphaned_call_is_not_waited_for(void **state)
{
	struct stage *s = bound_stage(emsmdb_uuid);
	struct wire w = { .n = 0 };

	(void)state;
	send_call(s, REQUEST, WHOLE, 7, 11, 40);
	pdu_end(&w, pdu_begin(&w, CO_CANCEL, WHOLE, 7));
	send_wire(s, CLIENT, &w);
	CHECK_EQ(s->flow->waiting_count, 1);
	CHECK(stage_note(s, APP_NOTE_RPC_CANCEL));
	pdu_end(&w, pdu_begin(&w, ORPHANED, WHOLE, 7));
	send_wire(s, CLIENT, &w);
	CHECK_EQ(s->flow->waiting_count, 0);
	stage_free(s);
}

static void
test_big_endian_is_read_as_such(void **state)
{
	static const uint8_t request[] = {
		5, 0, REQUEST, WHOLE, 0, 0, 0, 0, 0, 28, 0, 0, 0, 0, 0, 9,
		0, 0, 0, 4, 0, 0, 0, 11, 1, 2, 3, 4,
	};
	static const uint8_t response[] = {
		5, 0, RESPONSE, WHOLE, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 9,
		0, 0, 0, 0, 0, 0, 0, 0,
	};
	struct stage *s = stage_new(1025, 1 << 20);

	(void)state;
	stage_send(s, CLIENT, request, sizeof(request));
	CHECK_EQ(stage_event(s, APP_REQUEST, 0)->label & 0xffff, 11);
	stage_send(s, SERVER, response, sizeof(response));
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	stage_free(s);
}

/* ept_map's answer: NDR or NDR64, a tower begins the same. */
static void
test_the_mapper_tells_where_an_interface_is_served(void **state)
{
	static const uint8_t tower[] = {
		5, 0,
		0x13, 0, 0x0d, 0x00, 0xdb, 0xf1, 0xa4, 0x47, 0xca, 0x67, 0x10,
		0xb3, 0x1f, 0x00, 0xdd, 0x01, 0x06, 0x62, 0xda, 0, 0,
		2, 0, 81, 0,
		0x13, 0, 0x0d, 0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11,
		0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60, 2, 0,
		2, 0, 0, 0,
		1, 0, 0x0b, 2, 0, 0, 0,
		1, 0, 0x07, 2, 0, 0x04, 0x0d,	/* port 1037 */
		1, 0, 0x09, 4, 0, 10, 0, 0, 9,
	};
	struct stage *s = stage_new(135, 1 << 20);
	struct wire w = { .n = 0 };
	const struct app_event *e;
	size_t begin;

	(void)state;
	bind_to(s, epm_uuid);
	send_call(s, REQUEST, WHOLE, 2, 3, 100);
	CHECK(!stage_note(s, APP_NOTE_EPM_TOWER));
	begin = pdu_begin(&w, RESPONSE, WHOLE, 2);
	wire_zeros(&w, 8 + 20 + 4 + 12 + 4 + 8);
	wire_bytes(&w, tower, sizeof(tower));
	wire_zeros(&w, 4);
	pdu_end(&w, begin);
	stage_send(s, SERVER, w.at, 50);	/* its body must be whole */
	stage_send(s, SERVER, w.at + 50, w.n - 50);
	e = stage_note(s, APP_NOTE_EPM_TOWER);
	CHECK(e);
	CHECK_EQ(e->value, RPC_EMSMDB);
	CHECK_EQ(e->port, 1037);
	CHECK_EQ(address_v4(&e->address), 0x0a000009);
	stage_free(s);
}

static void
test_a_push_registration_tells_where_the_client_listens(void **state)
{
	struct stage *s = bound_stage(emsmdb_uuid);
	struct wire w = { .n = 0 };
	const struct app_event *e;
	size_t begin = pdu_begin(&w, REQUEST, WHOLE, 3);

	(void)state;
	wire_zeros(&w, 6);
	wire_le16(&w, 4);
	wire_zeros(&w, 20 + 4);			/* handle, rights */
	wire_le32(&w, 8);
	wire_bytes(&w, "context!", 8);
	wire_le16(&w, 8);
	wire_zeros(&w, 2);
	wire_le32(&w, 0xffffffff);
	wire_le32(&w, 16);
	wire_bytes(&w, "\x02\0\x12\x34\x0a\0\0\x01", 8);
	wire_zeros(&w, 8);
	wire_le16(&w, 16);
	pdu_end(&w, begin);
	send_wire(s, CLIENT, &w);
	e = stage_note(s, APP_NOTE_PUSH_REGISTERED);
	CHECK(e);
	CHECK_EQ(e->port, 0x1234);
	CHECK_EQ(e->value, 8);
	CHECK_EQ(address_v4(&e->address), 0x0a000001);
	stage_free(s);
}

static void
test_a_gap_in_a_stub_is_no_matter(void **state)
{
	struct stage *s = bound_stage(emsmdb_uuid);
	struct wire w = { .n = 0 };

	(void)state;
	send_call(s, REQUEST, WHOLE, 7, 11, 40);
	put_call(&w, RESPONSE, WHOLE, 7, 0, 0, 3000);
	stage_send(s, SERVER, w.at, 100);
	stage_miss(s, SERVER, 1000);
	stage_send(s, SERVER, w.at + 1100, w.n - 1100);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	CHECK_EQ(s->flow->waiting_count, 0);
	stage_free(s);
}

static void
test_what_a_gap_may_have_answered_is_dropped(void **state)
{
	struct stage *s = bound_stage(emsmdb_uuid);
	struct wire w = { .n = 0 };

	(void)state;
	send_call(s, REQUEST, WHOLE, 7, 11, 40);
	stage_miss(s, SERVER, 500);
	put_call(&w, RESPONSE, WHOLE, 9, 0, 0, 50);
	stage_send(s, SERVER, w.at + 10, w.n - 10);	/* the end of a PDU */
	CHECK_EQ(s->flow->waiting_count, 0);
	/* Until a PDU is found again nothing is due. */
	send_call(s, REQUEST, WHOLE, 10, 11, 40);
	CHECK(s->flow->waiting->flags & EXCHANGE_ONE_WAY);
	send_call(s, RESPONSE, WHOLE, 10, 0, 40);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	send_call(s, REQUEST, WHOLE, 11, 11, 40);
	CHECK(!(s->flow->waiting->flags & EXCHANGE_ONE_WAY));
	stage_free(s);
}

static void
test_a_flow_met_in_its_middle_is_followed_from_its_next_pdu(void **state)
{
	struct stage *s = stage_new(1025, 1 << 20);
	struct wire w = { .n = 0 };

	(void)state;
	s->flow->app_flags = FLOW_MIDSTREAM;
	s->flow->half[CLIENT].flags = s->flow->half[SERVER].flags = HALF_SEEN;
	put_call(&w, REQUEST, WHOLE, 6, 0, 11, 300);
	stage_send(s, CLIENT, w.at + 100, w.n - 100);
	CHECK_EQ(s->flow->app, APP_UNKNOWN);
	send_call(s, REQUEST, WHOLE, 7, 11, 40);
	CHECK_EQ(s->flow->app, APP_DCERPC);
	CHECK_EQ(s->flow->waiting_count, 1);
	CHECK(!(s->flow->waiting->flags & EXCHANGE_ONE_WAY));
	stage_send(s, SERVER, w.at + 200, 80);	/* the end of an answer */
	send_call(s, RESPONSE, WHOLE, 7, 0, 40);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	stage_free(s);
}

static void
test_calls_on_a_channel_of_rpc_over_http_are_answered_elsewhere(void **state)
{
	struct stage *s = stage_new(1025, 1 << 20);
	struct wire w = { .n = 0 };
	size_t begin;

	(void)state;
	s->flow->app_flags = FLOW_MIDSTREAM;
	send_call(s, REQUEST, WHOLE, 7, 11, 40);
	CHECK_EQ(s->flow->waiting_count, 1);
	begin = pdu_begin(&w, RTS, WHOLE, 0);
	wire_zeros(&w, 4);
	pdu_end(&w, begin);
	send_wire(s, CLIENT, &w);
	CHECK_EQ(s->flow->waiting_count, 0);
	send_call(s, REQUEST, WHOLE, 8, 11, 40);
	CHECK(s->flow->waiting->flags & EXCHANGE_ONE_WAY);
	stage_free(s);
}

static void
test_a_banner_of_ncacn_http_comes_before_the_pdus(void **state)
{
	struct stage *s = stage_new(593, 1 << 20);

	(void)state;
	stage_send(s, SERVER, "ncacn_h", 7);
	stage_send(s, SERVER, "ttp/1.0", 7);
	CHECK_EQ(s->flow->app, APP_DCERPC);
	bind_to(s, epm_uuid);
	send_call(s, REQUEST, WHOLE, 2, 3, 40);
	send_call(s, RESPONSE, WHOLE, 2, 3, 40);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	stage_free(s);
}

static void
test_names_are_those_of_the_specifications(void **state)
{
	static const struct {
		unsigned interface, opnum;
		const char *name;
	} known[] = {
		{ RPC_EPM, 3, "ept_map" },
		{ RPC_EMSMDB, 4, "EcRRegisterPushNotification" },
		{ RPC_EMSMDB, 14, "EcDoAsyncConnectEx" },
		{ RPC_EMSMDB_ASYNC, 0, "EcDoAsyncWaitEx" },
		{ RPC_NSPI, 20, "NspiResolveNamesW" },
		{ RPC_LSARPC, 44, "LsarOpenPolicy2" },
		{ RPC_LSARPC, 57, "LsarLookupSids2" },
		{ RPC_LSARPC, 77, "LsarLookupNames4" },
		{ RPC_SAMR, 64, "SamrConnect5" },
		{ RPC_SAMR, 67, "SamrValidatePassword" },
		{ RPC_NETLOGON, 26, "NetrServerAuthenticate3" },
		{ RPC_NETLOGON, 46, "NetrServerGetTrustInfo" },
		{ RPC_DRSUAPI, 24, "IDL_DRSQuerySitesByCost" },
		{ RPC_SRVSVC, 15, "NetrShareEnum" },
		{ RPC_SRVSVC, 28, "NetrRemoteTOD" },
		{ RPC_WKSSVC, 26, "NetrGetJoinableOUs2" },
		{ RPC_SVCCTL, 15, "ROpenSCManagerW" },
		{ RPC_SVCCTL, 48, "RGetNotifyResults" },
		{ RPC_WINREG, 17, "BaseRegQueryValue" },
		{ RPC_WINREG, 35, "BaseRegDeleteKeyEx" },
		{ RPC_SPOOLSS, 28, "RpcWaitForPrinterChange" },
		{ RPC_SPOOLSS, 69, "RpcOpenPrinterEx" },
		{ RPC_SPOOLSS, 89, "RpcAddPrinterDriverEx" },
		{ RPC_WINSPOOL, 61, "RpcAsyncGetRemoteNotifications" },
		{ RPC_WITNESS, 3, "WitnessrAsyncNotify" },
		{ RPC_EVENTLOG, 11, "ElfrReportEventW" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		CHECK_STR(rpc_operation_name(known[i].interface, known[i].opnum),
		    known[i].name);
	CHECK(!rpc_operation_name(RPC_EMSMDB, 12));
	CHECK(!rpc_operation_name(RPC_EMSMDB, 4711));
	CHECK(!rpc_operation_name(RPC_INTERFACE_COUNT, 0));
}

UNIT_TESTS(
    cmocka_unit_test(test_a_bind_is_an_exchange_and_names_the_interface),
    cmocka_unit_test(test_a_call_is_answered_by_its_own_response),
    cmocka_unit_test(test_any_segmentation_gives_the_same_calls),
    cmocka_unit_test(test_a_part_of_a_request_is_partial_until_it_is_whole),
    cmocka_unit_test(test_a_request_without_its_last_fragment_is_partial),
    cmocka_unit_test(test_fragments_of_an_answer_have_their_times),
    cmocka_unit_test(test_calls_that_park_or_want_no_answer_say_so),
    cmocka_unit_test(test_a_call_of_an_unknown_interface_may_park),
    cmocka_unit_test(test_an_orphaned_call_is_not_waited_for),
    cmocka_unit_test(test_big_endian_is_read_as_such),
    cmocka_unit_test(test_the_mapper_tells_where_an_interface_is_served),
    cmocka_unit_test(test_a_push_registration_tells_where_the_client_listens),
    cmocka_unit_test(test_a_gap_in_a_stub_is_no_matter),
    cmocka_unit_test(test_what_a_gap_may_have_answered_is_dropped),
    cmocka_unit_test(test_a_flow_met_in_its_middle_is_followed_from_its_next_pdu),
    cmocka_unit_test(test_calls_on_a_channel_of_rpc_over_http_are_answered_elsewhere),
    cmocka_unit_test(test_a_banner_of_ncacn_http_comes_before_the_pdus),
    cmocka_unit_test(test_names_are_those_of_the_specifications),
)
