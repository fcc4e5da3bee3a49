/* unit_vpn_data_dead.c - PPTP calls whose GRE packets get nothing back. */
#include "capture/app_pptp.h"
#include "tests/lan_rig.h"
#include "tests/unit.h"

enum { VPN = 13, USER = 50, USER_CALL = 0x1111, VPN_CALL = 0x2222 };

static void
control(struct lan *w, struct lan_tcp *c, enum side side, unsigned message,
    size_t bytes, uint32_t first, uint32_t second)
{
	uint8_t m[220] = { 0 };

	lan_put(m, (uint32_t)bytes << 16 | 1, 4);
	lan_put(m + 4, 0x1a2b3c4d, 4);
	lan_put(m + 8, message, 2);
	lan_put(m + 12, first, 4);
	lan_put(m + 16, second, 4);
	lan_say(w, c, side, m, bytes);
}

static struct lan_tcp
call(struct lan *w)
{
	struct lan_tcp c = lan_connect(w, USER, 4000, VPN, 1723);

	control(w, &c, CLIENT, PPTP_START_REQUEST, 156, 0x01000000, 0);
	control(w, &c, SERVER, PPTP_START_REPLY, 156, 0x01000100, 0);
	control(w, &c, CLIENT, PPTP_OUTGOING_REQUEST, 168,
	    (uint32_t)USER_CALL << 16 | 1, 0);
	control(w, &c, SERVER, PPTP_OUTGOING_REPLY, 32,
	    (uint32_t)VPN_CALL << 16 | USER_CALL, 0x01000000);
	return c;
}

static void
echo(struct lan *w, struct lan_tcp *c)
{
	control(w, c, CLIENT, PPTP_ECHO_REQUEST, 16, (uint32_t)w->frame, 0);
	control(w, c, SERVER, PPTP_ECHO_REPLY, 20, (uint32_t)w->frame,
	    0x01000000);
}

/* Payload of a call, or (`bytes` 0) an acknowledgment alone. */
static void
gre(struct lan *w, enum side side, size_t bytes)
{
	uint8_t g[200] = { 0 };
	size_t n = bytes ? 16 : 12;

	lan_put(g, bytes ? 0x3081880b : 0x2081880b, 4);
	lan_put(g + 4, (uint32_t)bytes << 16 |
	    (side == CLIENT ? VPN_CALL : USER_CALL), 4);
	g[n] = 0xfd;
	lan_ip(w, side == CLIENT ? USER : VPN, side == CLIENT ? VPN : USER,
	    IP_GRE, g, n + bytes, 0);
}

/* The side asks for the link to be opened, having heard nothing. */
static void
asks(struct lan *w, enum side side)
{
	uint8_t g[12 + 16] = { 0 };

	lan_put(g, 0x3001880b, 4);
	lan_put(g + 4, 16u << 16 | (side == CLIENT ? VPN_CALL : USER_CALL), 4);
	lan_put(g + 12, 0xff03c021, 4);
	lan_put(g + 16, 0x01010008, 4);
	lan_ip(w, side == CLIENT ? USER : VPN, side == CLIENT ? VPN : USER,
	    IP_GRE, g, sizeof(g), 0);
}

static void
both_ways(struct lan *w, int times)
{
	for (int i = 0; i < times; i++) {
		gre(w, CLIENT, 60);
		gre(w, SERVER, i & 1 ? 0 : 40);
		lan_wait(w, 1);
	}
}

static void
one_way(struct lan *w, struct lan_tcp *c, enum side side, int times, double pause)
{
	for (int i = 0; i < times; i++) {
		gre(w, side, 60);
		lan_wait(w, pause);
		if (i % 2)
			echo(w, c);
	}
}

static void
test_either_side_may_fall_silent(void **state)
{
	(void)state;
	for (int side = CLIENT; side <= SERVER; side++) {
		struct lan w;
		struct lan_tcp c;
		const struct finding *x;

		lan_begin(&w);
		c = call(&w);
		both_ways(&w, 10);
		one_way(&w, &c, (enum side)side, 10, 3);
		lan_finish(&w);
		x = lan_found(&w, FINDING_vpn_data_dead, 0);
		CHECK(x);
		CHECK_EQ(address_v4(&x->server->address), lan_address(VPN));
		CHECK_EQ(address_v4(&x->client), lan_address(USER));
		CHECK_EQ(x->count, 10);
		CHECK(!x->ended);
		CHECK(!lan_found(&w, FINDING_vpn_data_dead, 1));
		lan_end(&w);
	}
}

static void
test_a_side_never_heard_counts_and_is_less_sure(void **state)
{
	struct lan w, v;
	struct lan_tcp c;
	double sure;

	(void)state;
	lan_begin(&w);
	c = call(&w);
	one_way(&w, &c, CLIENT, 10, 3);
	lan_finish(&w);
	CHECK(lan_found(&w, FINDING_vpn_data_dead, 0));
	sure = lan_found(&w, FINDING_vpn_data_dead, 0)->confidence;
	lan_end(&w);

	lan_begin(&v);
	c = call(&v);
	both_ways(&v, 10);
	one_way(&v, &c, CLIENT, 10, 3);
	lan_finish(&v);
	CHECK(sure < lan_found(&v, FINDING_vpn_data_dead, 0)->confidence);
	lan_end(&v);
}

static void
test_acknowledgments_alone_keep_a_call_alive(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = call(&w);
	for (int i = 0; i < 20; i++) {
		gre(&w, CLIENT, 60);
		gre(&w, SERVER, 0);
		lan_wait(&w, 2);
		if (i % 4 == 3)
			echo(&w, &c);
	}
	/* and acknowledgments are owed nothing */
	for (int i = 0; i < 20; i++) {
		gre(&w, SERVER, 0);
		lan_wait(&w, 2);
		if (i % 4 == 3)
			echo(&w, &c);
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_vpn_data_dead, 0));
	lan_end(&w);
}

static void
test_few_packets_or_a_short_time_are_none(void **state)
{
	static const struct { int times; double pause; } cases[] = {
		{ 4, 8 }, { 40, 0.1 },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct lan w;
		struct lan_tcp c;

		lan_begin(&w);
		c = call(&w);
		both_ways(&w, 10);
		one_way(&w, &c, CLIENT, cases[i].times, cases[i].pause);
		both_ways(&w, 3);
		lan_wait(&w, 60);
		echo(&w, &c);
		lan_finish(&w);
		CHECK(!lan_found(&w, FINDING_vpn_data_dead, 0));
		lan_end(&w);
	}
}

static void
test_with_the_control_connection_silent_too_nothing_is_said(void **state)
{
	struct lan w;

	(void)state;
	lan_begin(&w);
	(void)call(&w);
	both_ways(&w, 10);
	for (int i = 0; i < 20; i++) {
		gre(&w, CLIENT, 60);
		lan_wait(&w, 3);
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_vpn_data_dead, 0));
	lan_end(&w);
}

static void
test_strays_after_the_end_of_a_call_do_not_count(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = call(&w);
	both_ways(&w, 10);
	control(&w, &c, CLIENT, PPTP_CLEAR_REQUEST, 16, (uint32_t)USER_CALL << 16,
	    0);
	one_way(&w, &c, CLIENT, 20, 3);
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_vpn_data_dead, 0));
	lan_end(&w);
}

static void
test_a_call_given_up_is_still_judged(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = call(&w);
	for (int i = 0; i < 10; i++) {
		gre(&w, CLIENT, 20);
		lan_wait(&w, 3);
	}
	control(&w, &c, CLIENT, PPTP_CLEAR_REQUEST, 16, (uint32_t)USER_CALL << 16,
	    0);
	control(&w, &c, SERVER, PPTP_DISCONNECT_NOTIFY, 148, VPN_CALL, 0);
	lan_close(&w, &c);
	lan_finish(&w);
	CHECK(lan_found(&w, FINDING_vpn_data_dead, 0));
	lan_end(&w);
}

static void
test_it_ends_when_both_are_heard_again(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = call(&w);
	both_ways(&w, 10);
	one_way(&w, &c, CLIENT, 10, 3);
	both_ways(&w, 10);
	echo(&w, &c);
	lan_finish(&w);
	CHECK(lan_found(&w, FINDING_vpn_data_dead, 0));
	CHECK(lan_found(&w, FINDING_vpn_data_dead, 0)->ended);
	lan_end(&w);
}

/* Error 721: the server opens the link too, and hears none of the client. */
static void
test_a_side_that_only_asks_hears_nothing(void **state)
{
	const struct finding *x;
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = call(&w);
	for (int i = 0; i < 8; i++) {
		asks(&w, CLIENT);
		asks(&w, SERVER);
		gre(&w, CLIENT, 20);	/* its answer */
		lan_wait(&w, 3);
		echo(&w, &c);
	}
	lan_finish(&w);
	x = lan_found(&w, FINDING_vpn_data_dead, 0);
	CHECK(x);
	CHECK(strstr(x->text, "of the client"));
	CHECK(strstr(x->text, "goes on asking"));
	CHECK(!lan_found(&w, FINDING_vpn_data_dead, 1));
	lan_end(&w);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_side_that_only_asks_hears_nothing),
    cmocka_unit_test(test_either_side_may_fall_silent),
    cmocka_unit_test(test_a_side_never_heard_counts_and_is_less_sure),
    cmocka_unit_test(test_acknowledgments_alone_keep_a_call_alive),
    cmocka_unit_test(test_few_packets_or_a_short_time_are_none),
    cmocka_unit_test(test_with_the_control_connection_silent_too_nothing_is_said),
    cmocka_unit_test(test_strays_after_the_end_of_a_call_do_not_count),
    cmocka_unit_test(test_a_call_given_up_is_still_judged),
    cmocka_unit_test(test_it_ends_when_both_are_heard_again),
)
