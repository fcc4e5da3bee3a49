/* unit_nat_intermittent.c - connections through a proxy that fail in turn. */
#include "tests/lan_rig.h"
#include "tests/unit.h"

enum { PROXY = 19, FIRST_USER = 50, USERS = 4, PORT = 8080 };

static uint16_t next_port;

static void
works(struct lan *w, unsigned user, const char *request)
{
	struct lan_tcp c = lan_connect(w, FIRST_USER + user, next_port++, PROXY,
	    PORT);

	lan_text(w, &c, CLIENT, request);
	lan_text(w, &c, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	lan_close(w, &c);
	lan_wait(w, 1);
}

/* As Windows does: SYN at 0, 3 and 9 s; others go on meanwhile. */
static void
fails(struct lan *w, unsigned user, bool refused)
{
	struct lan_tcp c = lan_peer(FIRST_USER + user, next_port++, PROXY, PORT);

	lan_syn(w, &c, false);
	if (refused) {
		c.next[SERVER] = 0;
		lan_segment(w, &c, SERVER, TCP_RST | TCP_ACK, NULL, 0);
		lan_wait(w, 1);
		return;
	}
	lan_wait(w, 3);
	lan_syn(w, &c, true);
	lan_wait(w, 6);
	lan_syn(w, &c, true);
	lan_wait(w, 3);
}

static const char proxied[] = "GET http://www.example/ HTTP/1.1\r\n\r\n";
static const char plain[] = "GET / HTTP/1.1\r\nHost: www\r\n\r\n";

static void
begin(struct lan *w, const char *request)
{
	next_port = 3000;
	lan_begin(w);
	for (unsigned i = 0; i < 8; i++)
		works(w, i % USERS, request);
}

static void
test_failures_and_successes_in_turn_are_a_finding(void **state)
{
	(void)state;
	for (int refused = 0; refused < 2; refused++) {
		struct lan w;
		const struct finding *x;

		begin(&w, proxied);
		for (unsigned i = 0; i < 12; i++) {
			fails(&w, i % USERS, refused);
			works(&w, (i + 1) % USERS, proxied);
		}
		lan_wait(&w, 15);
		works(&w, 0, proxied);
		lan_finish(&w);
		x = lan_found(&w, FINDING_nat_intermittent, 0);
		CHECK(x);
		CHECK_EQ(x->count, 12);
		CHECK_EQ(x->server_port, PORT);
		CHECK_EQ(address_v4(&x->server->address), lan_address(PROXY));
		CHECK(!lan_found(&w, FINDING_nat_intermittent, 1));
		lan_end(&w);
	}
}

static void
test_a_connect_makes_a_proxy_too(void **state)
{
	struct lan w;

	(void)state;
	begin(&w, "CONNECT www.example:443 HTTP/1.1\r\n\r\n");
	for (unsigned i = 0; i < 6; i++) {
		fails(&w, i % USERS, false);
		works(&w, (i + 1) % USERS, plain);
		works(&w, i % USERS, plain);
	}
	lan_finish(&w);
	CHECK(lan_found(&w, FINDING_nat_intermittent, 0));
	lan_end(&w);
}

static void
test_a_web_server_is_none(void **state)
{
	struct lan w;

	(void)state;
	begin(&w, plain);
	for (unsigned i = 0; i < 12; i++) {
		fails(&w, i % USERS, false);
		works(&w, (i + 1) % USERS, plain);
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_nat_intermittent, 0));
	lan_end(&w);
}

static void
test_an_outage_is_none(void **state)
{
	struct lan w;

	(void)state;
	begin(&w, proxied);
	for (unsigned i = 0; i < 8; i++)
		fails(&w, i % USERS, false);
	for (unsigned i = 0; i < 12; i++)
		works(&w, i % USERS, proxied);
	fails(&w, 0, false);
	for (unsigned i = 0; i < 12; i++)
		works(&w, i % USERS, proxied);
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_nat_intermittent, 0));
	lan_end(&w);
}

static void
test_one_client_s_trouble_is_none(void **state)
{
	struct lan w;

	(void)state;
	begin(&w, proxied);
	for (unsigned i = 0; i < 8; i++) {
		fails(&w, 0, false);
		works(&w, 1 + i % (USERS - 1), proxied);
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_nat_intermittent, 0));
	lan_end(&w);
}

static void
test_a_syn_that_was_lost_twice_is_none(void **state)
{
	struct lan w;

	(void)state;
	begin(&w, proxied);
	for (unsigned i = 0; i < 8; i++) {
		struct lan_tcp c = lan_peer(FIRST_USER + i % USERS, next_port++,
		    PROXY, PORT);

		lan_syn(&w, &c, false);
		lan_wait(&w, 3);
		lan_syn(&w, &c, true);
		lan_wait(&w, 4);
		lan_syn(&w, &c, true);
		lan_segment(&w, &c, SERVER, TCP_SYN | TCP_ACK, NULL, 0);
		lan_segment(&w, &c, CLIENT, TCP_ACK, NULL, 0);
		lan_wait(&w, 10);
		works(&w, i % USERS, proxied);
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_nat_intermittent, 0));
	lan_end(&w);
}

/* --- a gateway --- */

enum { GATEWAY = 1, OUTER = 2, WEBS = 3, FIRST_WEB = 200 };

/* The gateway asks for somebody by ARP, and so says whose its MAC is. */
static void
gateway_asks(struct lan *w)
{
	uint8_t f[60] = { 0 };
	struct frame frame = { .link_type = LAN_ETHERNET, .data = f };

	memset(f, 0xff, 6);
	f[6] = f[22] = 2;
	f[11] = f[27] = GATEWAY;
	lan_put(f + 12, 0x0806, 2);
	lan_put(f + 14, 0x00010800, 4);
	lan_put(f + 18, 0x06040001, 4);
	lan_put(f + 28, lan_address(GATEWAY), 4);
	lan_put(f + 38, lan_address(FIRST_USER), 4);
	w->now.ns += NS_PER_MS;
	frame.time = w->now;
	frame.number = ++w->frame;
	frame.captured_bytes = frame.wire_bytes = sizeof(f);
	engine_frame(w->engine, &frame);
}

static void
begin_gateway(struct lan *w)
{
	next_port = 3000;
	lan_begin(w);
	w->gateway = GATEWAY;
	w->beyond = FIRST_WEB;
	gateway_asks(w);
}

static void
reaches(struct lan *w, unsigned user, unsigned web)
{
	struct lan_tcp c = lan_connect(w, FIRST_USER + user, next_port++,
	    FIRST_WEB + web, 80);

	lan_text(w, &c, CLIENT, plain);
	lan_text(w, &c, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	lan_close(w, &c);
	lan_wait(w, 1);
}

/* `answered`: on the other side, which is mirrored too. */
static void
misses(struct lan *w, unsigned user, unsigned web, bool answered)
{
	struct lan_tcp c = lan_peer(FIRST_USER + user, next_port++, FIRST_WEB +
	    web, 80), o = c;

	o.host[CLIENT] = OUTER;
	o.port[CLIENT] = (uint16_t)(c.port[CLIENT] + 20000);
	for (int i = 0; i < 3; i++) {
		lan_syn(w, &c, i > 0);
		if (answered) {
			lan_syn(w, &o, i > 0);
			o.next[SERVER] = 5;
			lan_segment(w, &o, SERVER, TCP_SYN | TCP_ACK, NULL, 0);
		}
		lan_wait(w, 3);
	}
}

static void
test_a_gateway_that_loses_some_is_named(void **state)
{
	(void)state;
	for (int both = 0; both < 2; both++) {
		const struct finding *x;
		struct lan w;

		begin_gateway(&w);
		w.outer = both ? OUTER : 0;
		for (unsigned i = 0; i < 24; i++) {
			reaches(&w, i % USERS, i % WEBS);
			if (i % 3 == 1)
				misses(&w, (i + 1) % USERS, i / 3 % WEBS, both);
		}
		lan_wait(&w, 15);
		reaches(&w, 0, 0);
		lan_finish(&w);
		x = lan_found(&w, FINDING_nat_intermittent, 0);
		CHECK(x);
		CHECK_EQ(x->count, 8);
		CHECK_EQ(address_v4(&x->server->address), lan_address(GATEWAY));
		CHECK_EQ(x->side, both ? FAULT_SERVER : FAULT_UNKNOWN);
		CHECK(!lan_found(&w, FINDING_nat_intermittent, 1));
		for (unsigned n = 0; (x = lan_found(&w, FINDING_connect_failure,
		    n)); n++)
			CHECK(x->severity < SEVERITY_MEDIUM);
		lan_end(&w);
	}
}

static void
test_one_bad_host_beyond_it_is_not_the_gateways(void **state)
{
	struct lan w;

	(void)state;
	begin_gateway(&w);
	for (unsigned i = 0; i < 24; i++) {
		reaches(&w, i % USERS, i % WEBS);
		if (i % 3 == 1)
			misses(&w, (i + 1) % USERS, 1, false);
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_nat_intermittent, 0));
	lan_end(&w);
}

static void
test_hosts_that_never_answer_are_not_the_gateways(void **state)
{
	struct lan w;

	(void)state;
	begin_gateway(&w);
	for (unsigned i = 0; i < 24; i++) {
		reaches(&w, i % USERS, 0);
		if (i % 3 == 1)
			misses(&w, (i + 1) % USERS, 1 + i % 8, false);
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_nat_intermittent, 0));
	lan_end(&w);
}

static void
test_hosts_of_the_same_wire_have_no_gateway(void **state)
{
	struct lan w;

	(void)state;
	begin_gateway(&w);
	w.beyond = w.gateway = 0;
	for (unsigned i = 0; i < 24; i++) {
		reaches(&w, i % USERS, i % WEBS);
		if (i % 3 == 1)
			misses(&w, (i + 1) % USERS, i / 3 % WEBS, false);
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_nat_intermittent, 0));
	lan_end(&w);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_gateway_that_loses_some_is_named),
    cmocka_unit_test(test_one_bad_host_beyond_it_is_not_the_gateways),
    cmocka_unit_test(test_hosts_that_never_answer_are_not_the_gateways),
    cmocka_unit_test(test_hosts_of_the_same_wire_have_no_gateway),
    cmocka_unit_test(test_failures_and_successes_in_turn_are_a_finding),
    cmocka_unit_test(test_a_connect_makes_a_proxy_too),
    cmocka_unit_test(test_a_web_server_is_none),
    cmocka_unit_test(test_an_outage_is_none),
    cmocka_unit_test(test_one_client_s_trouble_is_none),
    cmocka_unit_test(test_a_syn_that_was_lost_twice_is_none),
)
