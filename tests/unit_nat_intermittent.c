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

UNIT_TESTS(
    cmocka_unit_test(test_failures_and_successes_in_turn_are_a_finding),
    cmocka_unit_test(test_a_connect_makes_a_proxy_too),
    cmocka_unit_test(test_a_web_server_is_none),
    cmocka_unit_test(test_an_outage_is_none),
    cmocka_unit_test(test_one_client_s_trouble_is_none),
    cmocka_unit_test(test_a_syn_that_was_lost_twice_is_none),
)
