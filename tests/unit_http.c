/* HTTP, MAPI over HTTP, and RPC over HTTP on two connections. */
#include "capture/app_dcerpc.h"
#include "tests/stage.h"
#include "tests/unit.h"

static void
say(struct stage *s, enum side side, const char *text)
{
	stage_send(s, side, text, strlen(text));
}

static void
test_a_response_answers_with_its_header(void **state)
{
	struct stage *s = stage_new(80, 1 << 20);
	char text[APP_LABEL_TEXT_BYTES];

	(void)state;
	say(s, CLIENT, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	CHECK_EQ(s->flow->app, APP_HTTP);
	CHECK_EQ(s->flow->waiting_count, 1);
	CHECK_EQ(s->flow->waiting->request_end, s->next[CLIENT]);
	CHECK_STR(app_label_text(s->flow->waiting->label, text), "http GET");
	say(s, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12");
	CHECK_EQ(s->flow->waiting_count, 0);
	CHECK_EQ(stage_event(s, APP_RESPONSE, 0)->took_ns, NS_PER_MS);
	say(s, SERVER, "345");
	say(s, CLIENT, "GET /b HTTP/1.1\r\n\r\n");
	say(s, SERVER, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
	CHECK(stage_event(s, APP_RESPONSE, 1)->fault);
	stage_free(s);
}

static void
test_requests_may_be_sent_ahead(void **state)
{
	struct stage *s = stage_new(80, 1 << 20);

	(void)state;
	say(s, CLIENT, "GET /a HTTP/1.1\r\n\r\nHEAD /b HTTP/1.1\r\n\r\n"
	    "GET /c HTTP/1.1\r\n\r\n");
	CHECK_EQ(s->flow->waiting_count, 3);
	say(s, SERVER, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
	    "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
	    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
	CHECK_EQ(s->flow->waiting_count, 0);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 3);
	stage_free(s);
}

static void
test_between_two_messages_nothing_is_kept(void **state)
{
	struct stage *s = stage_new(80, 1 << 20);

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		say(s, CLIENT, "HEAD /a HTTP/1.1\r\n\r\n");
		CHECK(s->flow->app_state != NULL);
		say(s, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
		CHECK(s->flow->app_state == NULL);
		CHECK_EQ(stage_events(s, APP_RESPONSE), i);
	}
	say(s, CLIENT, "GET /a HTTP/1.1\r\n\r\n");
	say(s, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345678");
	CHECK(s->flow->app_state != NULL);
	stage_free(s);
}

static void
test_a_request_is_asked_when_its_body_ends(void **state)
{
	struct stage *s = stage_new(80, 1 << 20);
	struct stream_stats stats;
	char body[1000];

	(void)state;
	memset(body, 'x', sizeof(body));
	say(s, CLIENT, "PUT /a HTTP/1.1\r\nContent-Length: 100000\r\n\r\n");
	for (int i = 0; i < 99; i++)
		stage_send(s, CLIENT, body, sizeof(body));
	CHECK_EQ(s->flow->waiting_count, 0);
	say(s, SERVER, "HTTP/1.1 100 Continue\r\n\r\n");
	stage_send(s, CLIENT, body, sizeof(body));
	CHECK_EQ(s->flow->waiting_count, 1);
	CHECK_EQ(s->flow->waiting->request_end, s->next[CLIENT]);
	stream_pool_stats(s->streams, &stats);
	CHECK_EQ(stats.buffered_peak, 0);
	say(s, SERVER, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
	CHECK_EQ(s->flow->waiting_count, 0);
	stage_free(s);
}

static void
test_an_early_answer_leaves_nothing_open(void **state)
{
	struct stage *s = stage_new(80, 1 << 20);

	(void)state;
	say(s, CLIENT, "POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n123");
	say(s, SERVER, "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
	say(s, CLIENT, "4567890");
	CHECK_EQ(s->flow->waiting_count, 0);
	say(s, CLIENT, "POST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\n1");
	CHECK_EQ(s->flow->waiting_count, 1);
	stage_free(s);
}

static void
test_chunks_are_followed_to_the_end(void **state)
{
	static const char response[] =
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
	    "5;x=y\r\nHTTP/\r\n"
	    "10\r\n1.1 200 OK\r\n\r\n\r\n\r\n"
	    "0\r\nTrailer: z\r\n\r\n"
	    "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";

	(void)state;
	for (size_t piece = 1; piece < sizeof(response); piece += 3) {
		struct stage *s = stage_new(80, 1 << 20);
		const size_t all = sizeof(response) - 1;

		say(s, CLIENT, "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
		for (size_t at = 0; at < all; at += piece)
			stage_send(s, SERVER, response + at,
			    all - at < piece ? all - at : piece);
		CHECK_EQ(stage_events(s, APP_RESPONSE), 2);
		CHECK_EQ(s->flow->waiting_count, 0);
		stage_free(s);
	}
}

static void
test_a_body_without_a_length_goes_on_to_the_end(void **state)
{
	struct stage *s = stage_new(80, 1 << 20);
	char body[1000];

	(void)state;
	memset(body, 'H', sizeof(body));
	say(s, CLIENT, "GET /a HTTP/1.0\r\n\r\n");
	say(s, SERVER, "HTTP/1.0 200 OK\r\n\r\n");
	for (int i = 0; i < 500; i++)
		stage_send(s, SERVER, body, sizeof(body));
	stage_miss(s, SERVER, 5000);	/* no matter */
	stage_send(s, SERVER, body, sizeof(body));
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	CHECK(app_follows(s->flow));
	stage_free(s);
}

static void
test_a_tunnel_or_an_upgrade_is_http_no_more(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stage *s = stage_new(8080, 1 << 20);

		say(s, CLIENT, i ? "GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n" :
		    "CONNECT x:443 HTTP/1.1\r\n\r\n");
		say(s, SERVER, i ? "HTTP/1.1 101 Switching\r\n\r\n" :
		    "HTTP/1.1 200 OK\r\n\r\n");
		CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
		CHECK(!app_follows(s->flow));
		CHECK_EQ(s->flow->app, APP_HTTP);
		stage_free(s);
	}
}

static void
test_mapi_over_http_answers_when_it_is_done(void **state)
{
	struct stage *s = stage_new(80, 1 << 20);
	char text[APP_LABEL_TEXT_BYTES];

	(void)state;
	say(s, CLIENT, "POST /mapi/emsmdb/ HTTP/1.1\r\nX-RequestType: Execute\r\n"
	    "Content-Length: 2\r\n\r\nab");
	CHECK_STR(app_label_text(s->flow->waiting->label, text), "http Execute");
	say(s, SERVER, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "c\r\nPROCESSING\r\n\r\n");
	CHECK_EQ(s->flow->waiting_count, 1);
	say(s, SERVER, "6\r\nDONE\r\n\r\n0\r\n\r\n");
	CHECK_EQ(s->flow->waiting_count, 0);
	say(s, CLIENT, "POST /mapi/emsmdb/ HTTP/1.1\r\n"
	    "X-RequestType: NotificationWait\r\nContent-Length: 2\r\n\r\nab");
	CHECK(s->flow->waiting->flags & EXCHANGE_PARKS);
	stage_free(s);
}

static void
test_after_a_gap_a_message_is_found_where_a_segment_begins(void **state)
{
	struct stage *s = stage_new(80, 1 << 20);

	(void)state;
	say(s, CLIENT, "GET /a HTTP/1.1\r\n\r\n");
	say(s, SERVER, "HTTP/1.1 200 OK\r\nContent-Le");
	stage_miss(s, SERVER, 100);
	say(s, SERVER, "as one reads in HTTP/1.1 200 OK\r\n\r\n");
	CHECK_EQ(s->flow->waiting_count, 0);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 0);
	say(s, CLIENT, "GET /b HTTP/1.1\r\n\r\n");
	CHECK(s->flow->waiting->flags & EXCHANGE_ONE_WAY);
	say(s, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	stage_free(s);
}

static void
test_cut_packets_still_show_who_answers_whom(void **state)
{
	static const char request[] = "GET /a/long/way HTTP/1.1\r\nHost: x";
	static const char response[] = "HTTP/1.1 200 OK\r\nServer: y";
	struct stage *s = stage_new(80, 1 << 20);

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		stage_segment(s, CLIENT, s->next[CLIENT] - s->start[CLIENT],
		    request, i == 2 ? 12 : sizeof(request) - 1, 500);
		s->next[CLIENT] += 500;
		CHECK_EQ(s->flow->waiting_count, 1);
		CHECK_EQ(s->flow->waiting->flags & EXCHANGE_ONE_WAY, 0);
		for (int n = 0; n < 3; n++) {
			stage_segment(s, SERVER,
			    s->next[SERVER] - s->start[SERVER], n ?
			    "<html><body> and so on" : response, 22, 1460);
			s->next[SERVER] += 1460;
		}
		CHECK_EQ(s->flow->waiting_count, 0);
	}
	CHECK_EQ(stage_events(s, APP_RESPONSE), 5);
	stage_free(s);
}

/* --- RPC over HTTP ---------------------------------------------------------- */

enum { RTS_VERSION = 6, RTS_COOKIE = 3 };

static void
put_pdu(struct wire *w, unsigned type, uint32_t call_id, const void *body,
    size_t n)
{
	wire_bytes(w, "\x05\0", 2);
	wire_u8(w, type);
	wire_bytes(w, "\x03\x10\0\0\0", 5);
	wire_le16(w, (unsigned)(16 + n));
	wire_le16(w, 0);
	wire_le32(w, call_id);
	wire_bytes(w, body, n);
}

/* CONN/A1 or CONN/B1, as far as it matters. */
static void
send_conn(struct stage *s, unsigned cookie)
{
	struct wire body = { .n = 0 }, w = { .n = 0 };

	wire_le16(&body, 0);
	wire_le16(&body, 3);
	wire_le32(&body, RTS_VERSION);
	wire_le32(&body, 1);
	wire_le32(&body, RTS_COOKIE);
	for (int i = 0; i < 16; i++)
		wire_u8(&body, cookie);
	wire_le32(&body, RTS_COOKIE);
	wire_zeros(&body, 16);
	put_pdu(&w, 20, 0, body.at, body.n);
	stage_send(s, CLIENT, w.at, w.n);
}

static void
send_call(struct stage *s, enum side side, uint32_t call_id)
{
	struct wire w = { .n = 0 };

	put_pdu(&w, side == CLIENT ? 0 : 2, call_id,
	    "\x08\0\0\0\0\0\x0b\0........", 16);
	stage_send(s, side, w.at, w.n);
}

struct channels {
	struct stage *s;
	struct flow *flow[2];		/* IN, OUT */
	uint32_t next[2][2];
};

/* Go on with the other connection. */
static void
turn_to(struct channels *c, int which)
{
	int now = c->s->flow == c->flow[1];

	memcpy(c->next[now], c->s->next, sizeof(c->s->next));
	c->s->flow = c->flow[which];
	memcpy(c->s->next, c->next[which], sizeof(c->s->next));
}

static void
open_channels(struct channels *c, unsigned cookie)
{
	c->s = stage_new(80, 1 << 20);
	c->flow[0] = c->s->flow;
	memcpy(c->next[0], c->s->next, sizeof(c->next[0]));
	stage_flow(c->s, 80);
	c->flow[1] = c->s->flow;
	memcpy(c->next[1], c->s->next, sizeof(c->next[1]));

	say(c->s, CLIENT, "RPC_OUT_DATA /rpc/rpcproxy.dll?x:6001 HTTP/1.1\r\n"
	    "Content-Length: 76\r\n\r\n");
	send_conn(c->s, cookie);
	turn_to(c, 0);
	say(c->s, CLIENT, "RPC_IN_DATA /rpc/rpcproxy.dll?x:6001 HTTP/1.1\r\n"
	    "Content-Length: 1073741824\r\n\r\n");
	send_conn(c->s, cookie);
	turn_to(c, 1);
	say(c->s, SERVER, "HTTP/1.1 200 Success\r\n"
	    "Content-Length: 1073741824\r\n\r\n");
}

static void
close_channels(struct channels *c)
{
	stage_end_flow(c->s, c->flow[c->s->flow == c->flow[0]]);
	stage_free(c->s);
}

static unsigned
calls_open(const struct flow *f)
{
	unsigned n = 0;

	for (const struct exchange *x = f->waiting; x; x = x->next)
		n += x->label >> 24 == APP_DCERPC;
	return n;
}

static void
test_calls_in_are_answered_out(void **state)
{
	struct channels c;
	const struct app_event *e;

	(void)state;
	open_channels(&c, 7);
	CHECK_EQ(c.s->flow->app, APP_RPC_HTTP);
	turn_to(&c, 0);
	c.s->count = 0;
	send_call(c.s, CLIENT, 5);
	CHECK_EQ(calls_open(c.flow[0]), 1);
	CHECK_EQ(stage_event(c.s, APP_REQUEST, 0)->exchange_flags &
	    EXCHANGE_ONE_WAY, 0);
	turn_to(&c, 1);
	send_call(c.s, SERVER, 5);
	CHECK_EQ(calls_open(c.flow[0]), 0);
	e = stage_event(c.s, APP_RESPONSE, 0);
	CHECK(e && e->flow == c.flow[0]);
	CHECK(e->has_rpc_time);
	CHECK_EQ(e->rpc_time_ns, NS_PER_MS);
	close_channels(&c);
}

static void
test_without_the_other_channel_no_answer_is_due(void **state)
{
	struct channels c;

	(void)state;
	open_channels(&c, 7);
	app_release(c.flow[1]);		/* OUT is gone */
	turn_to(&c, 0);
	send_call(c.s, CLIENT, 5);
	CHECK(c.flow[0]->waiting_last->flags & EXCHANGE_ONE_WAY);
	close_channels(&c);
}

static void
test_bytes_missed_on_out_drop_what_waits_on_in(void **state)
{
	struct channels c;
	struct wire w = { .n = 0 };

	(void)state;
	open_channels(&c, 7);
	turn_to(&c, 0);
	send_call(c.s, CLIENT, 5);
	turn_to(&c, 1);
	stage_miss(c.s, SERVER, 400);
	wire_zeros(&w, 100);
	stage_send(c.s, SERVER, w.at, w.n);
	CHECK_EQ(calls_open(c.flow[0]), 0);
	turn_to(&c, 0);
	send_call(c.s, CLIENT, 6);
	turn_to(&c, 1);
	send_call(c.s, SERVER, 6);	/* found again */
	CHECK_EQ(calls_open(c.flow[0]), 0);
	close_channels(&c);
}

static void
test_a_channel_may_be_replaced(void **state)
{
	struct channels c;
	struct flow *old_in;

	(void)state;
	open_channels(&c, 7);
	turn_to(&c, 0);
	send_call(c.s, CLIENT, 5);
	old_in = c.s->flow;
	stage_flow(c.s, 80);		/* a new IN channel, same cookie */
	c.flow[0] = c.s->flow;
	say(c.s, CLIENT, "RPC_IN_DATA /rpc/rpcproxy.dll?x:6001 HTTP/1.1\r\n"
	    "Content-Length: 1073741824\r\n\r\n");
	send_conn(c.s, 7);
	send_call(c.s, CLIENT, 6);
	turn_to(&c, 1);
	send_call(c.s, SERVER, 5);
	CHECK_EQ(calls_open(old_in), 0);
	send_call(c.s, SERVER, 6);
	CHECK_EQ(calls_open(c.flow[0]), 0);
	stage_end_flow(c.s, old_in);
	close_channels(&c);
}

static void
test_channels_replaced_again_and_again_leave_in_any_order(void **state)
{
	struct channels c;
	struct flow *older[4];

	(void)state;
	open_channels(&c, 7);
	turn_to(&c, 0);
	for (int i = 0; i < 4; i++) {
		older[i] = c.s->flow;
		stage_flow(c.s, 80);
		say(c.s, CLIENT, "RPC_IN_DATA /rpc/rpcproxy.dll?x:6001 HTTP/1.1"
		    "\r\nContent-Length: 1073741824\r\n\r\n");
		send_conn(c.s, 7);
	}
	c.flow[0] = c.s->flow;
	app_release(c.flow[0]);
	app_release(c.flow[1]);
	c.s->flow = older[0];		/* one that was replaced long ago */
	memcpy(c.s->next, c.next[0], sizeof(c.s->next));
	send_call(c.s, CLIENT, 9);
	CHECK(older[0]->waiting_last->flags & EXCHANGE_ONE_WAY);
	for (int i = 0; i < 4; i++)
		stage_end_flow(c.s, older[i]);
	c.s->flow = c.flow[0];
	close_channels(&c);
}

static void
test_rpc_connect_is_a_tunnel_of_pdus(void **state)
{
	struct stage *s = stage_new(80, 1 << 20);

	(void)state;
	say(s, CLIENT, "RPC_CONNECT server:1025 HTTP/1.0\r\n\r\n");
	say(s, SERVER, "HTTP/1.0 200 OK\r\n\r\n");
	send_call(s, CLIENT, 5);
	CHECK_EQ(calls_open(s->flow), 1);
	CHECK_EQ(s->flow->waiting->flags & EXCHANGE_ONE_WAY, 0);
	send_call(s, SERVER, 5);
	CHECK_EQ(calls_open(s->flow), 0);
	stage_free(s);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_response_answers_with_its_header),
    cmocka_unit_test(test_requests_may_be_sent_ahead),
    cmocka_unit_test(test_between_two_messages_nothing_is_kept),
    cmocka_unit_test(test_a_request_is_asked_when_its_body_ends),
    cmocka_unit_test(test_an_early_answer_leaves_nothing_open),
    cmocka_unit_test(test_chunks_are_followed_to_the_end),
    cmocka_unit_test(test_a_body_without_a_length_goes_on_to_the_end),
    cmocka_unit_test(test_a_tunnel_or_an_upgrade_is_http_no_more),
    cmocka_unit_test(test_mapi_over_http_answers_when_it_is_done),
    cmocka_unit_test(test_after_a_gap_a_message_is_found_where_a_segment_begins),
    cmocka_unit_test(test_cut_packets_still_show_who_answers_whom),
    cmocka_unit_test(test_calls_in_are_answered_out),
    cmocka_unit_test(test_without_the_other_channel_no_answer_is_due),
    cmocka_unit_test(test_bytes_missed_on_out_drop_what_waits_on_in),
    cmocka_unit_test(test_a_channel_may_be_replaced),
    cmocka_unit_test(test_channels_replaced_again_and_again_leave_in_any_order),
    cmocka_unit_test(test_rpc_connect_is_a_tunnel_of_pdus),
)
