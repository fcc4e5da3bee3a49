/* unit_ftp_data_failure.c - transfers whose data connection is never made. */
#include <stdio.h>

#include "tests/lan_rig.h"
#include "tests/unit.h"

enum { SERVER_HOST = 19, USER = 50, FTP = 21, FTP_DATA_PORT = 20 };

static struct lan_tcp
log_in(struct lan *w, unsigned user)
{
	struct lan_tcp c = lan_connect(w, user, 1800, SERVER_HOST, FTP);

	lan_text(w, &c, SERVER, "220 FTP\r\n");
	lan_text(w, &c, CLIENT, "USER a\r\n");
	lan_text(w, &c, SERVER, "331 pw\r\n");
	lan_text(w, &c, CLIENT, "PASS b\r\n");
	lan_text(w, &c, SERVER, "230 in\r\n");
	return c;
}

/* Announces `port` by either mode; the connection that should follow. */
static struct lan_tcp
announce(struct lan *w, struct lan_tcp *c, bool passive, unsigned port)
{
	char text[80];
	unsigned user = c->host[CLIENT];

	if (passive) {
		lan_text(w, c, CLIENT, "PASV\r\n");
		snprintf(text, sizeof(text), "227 ok (10,0,0,%d,%u,%u)\r\n",
		    SERVER_HOST, port >> 8, port & 255);
		lan_text(w, c, SERVER, text);
		return lan_peer(user, (uint16_t)(port + 1), SERVER_HOST,
		    (uint16_t)port);
	}
	snprintf(text, sizeof(text), "PORT 10,0,0,%u,%u,%u\r\n", user, port >> 8,
	    port & 255);
	lan_text(w, c, CLIENT, text);
	lan_text(w, c, SERVER, "200 ok\r\n");
	lan_text(w, c, CLIENT, "RETR x\r\n");
	lan_text(w, c, SERVER, "150 go\r\n");
	return lan_peer(SERVER_HOST, FTP_DATA_PORT, user, (uint16_t)port);
}

static void
good_transfer(struct lan *w, struct lan_tcp *c, bool passive, unsigned port)
{
	struct lan_tcp d = announce(w, c, passive, port);

	lan_syn(w, &d, false);
	lan_segment(w, &d, SERVER, TCP_SYN | TCP_ACK, NULL, 0);
	lan_segment(w, &d, CLIENT, TCP_ACK, NULL, 0);
	if (passive) {
		lan_text(w, c, CLIENT, "RETR x\r\n");
		lan_text(w, c, SERVER, "150 go\r\n");
	}
	lan_text(w, &d, passive ? SERVER : CLIENT, "the file");
	lan_close(w, &d);
	lan_text(w, c, SERVER, "226 done\r\n");
	lan_wait(w, 3);
}

static void
bad_transfer(struct lan *w, struct lan_tcp *c, bool passive, unsigned port)
{
	struct lan_tcp d = announce(w, c, passive, port);

	for (int i = 0; i < 3; i++) {
		lan_syn(w, &d, i > 0);
		lan_wait(w, i ? 6 : 3);
	}
	lan_wait(w, 12);
	if (!passive)
		lan_text(w, c, SERVER, "425 Can't open data connection.\r\n");
	lan_wait(w, 3);
}

static void
test_transfers_without_a_data_connection_are_counted_by_mode(void **state)
{
	(void)state;
	for (int passive = 0; passive < 2; passive++) {
		struct lan w;
		struct lan_tcp c;
		const struct finding *x;

		lan_begin(&w);
		c = log_in(&w, USER);
		good_transfer(&w, &c, passive, 3001);
		bad_transfer(&w, &c, passive, 3002);
		bad_transfer(&w, &c, passive, 3003);
		bad_transfer(&w, &c, passive, 3004);
		lan_finish(&w);
		x = lan_found(&w, FINDING_ftp_data_failure, 0);
		CHECK(x);
		CHECK_STR(x->kind, passive ? "passive" : "active");
		CHECK_EQ(x->count, 3);
		CHECK_EQ(x->severity, SEVERITY_MEDIUM);
		CHECK_EQ(address_v4(&x->server->address),
		    lan_address(SERVER_HOST));
		CHECK_EQ(x->server_port, FTP);
		CHECK(!lan_found(&w, FINDING_ftp_data_failure, 1));
		lan_end(&w);
	}
}

static void
test_one_failure_alone_stays_low(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = log_in(&w, USER);
	bad_transfer(&w, &c, false, 3002);
	lan_finish(&w);
	CHECK(lan_found(&w, FINDING_ftp_data_failure, 0));
	CHECK_EQ(lan_found(&w, FINDING_ftp_data_failure, 0)->severity,
	    SEVERITY_LOW);
	lan_end(&w);
}

static void
test_sound_transfers_and_other_refusals_are_none(void **state)
{
	struct lan w;
	struct lan_tcp c, d;

	(void)state;
	lan_begin(&w);
	c = log_in(&w, USER);
	good_transfer(&w, &c, false, 3001);
	good_transfer(&w, &c, true, 3002);
	for (int i = 0; i < 3; i++) {	/* no such file */
		lan_text(&w, &c, CLIENT, "PORT 10,0,0,50,12,1\r\n");
		lan_text(&w, &c, SERVER, "200 ok\r\n");
		lan_text(&w, &c, CLIENT, "RETR y\r\n");
		lan_text(&w, &c, SERVER, "550 no such file\r\n");
		lan_wait(&w, 20);
	}
	/* the SYN was lost twice and then answered */
	d = announce(&w, &c, false, 3100);
	lan_syn(&w, &d, false);
	lan_wait(&w, 3);
	lan_syn(&w, &d, true);
	lan_wait(&w, 4);
	lan_text(&w, &c, CLIENT, "NOOP\r\n");
	lan_syn(&w, &d, true);
	lan_segment(&w, &d, SERVER, TCP_SYN | TCP_ACK, NULL, 0);
	lan_segment(&w, &d, CLIENT, TCP_ACK, NULL, 0);
	lan_wait(&w, 20);
	lan_text(&w, &c, SERVER, "426 broken off\r\n");
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_ftp_data_failure, 0));
	lan_end(&w);
}

static void
test_a_place_announced_and_not_used_is_none(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = log_in(&w, USER);
	for (unsigned i = 0; i < 5; i++) {
		(void)announce(&w, &c, true, 3000 + i);
		lan_wait(&w, 20);
	}
	lan_finish(&w);
	CHECK(!lan_found(&w, FINDING_ftp_data_failure, 0));
	lan_end(&w);
}

static void
test_a_refused_data_connection_counts(void **state)
{
	struct lan w;
	struct lan_tcp c, d;

	(void)state;
	lan_begin(&w);
	c = log_in(&w, USER);
	for (unsigned i = 0; i < 2; i++) {
		d = announce(&w, &c, true, 3000 + i);
		lan_syn(&w, &d, false);
		d.next[SERVER] = 0;
		lan_segment(&w, &d, SERVER, TCP_RST | TCP_ACK, NULL, 0);
		lan_wait(&w, 10);
		lan_text(&w, &c, CLIENT, "NOOP\r\n");
		lan_text(&w, &c, SERVER, "200 ok\r\n");
	}
	lan_finish(&w);
	CHECK(lan_found(&w, FINDING_ftp_data_failure, 0));
	CHECK_EQ(lan_found(&w, FINDING_ftp_data_failure, 0)->count, 2);
	lan_end(&w);
}

static void
test_it_ends_when_one_is_made_again(void **state)
{
	struct lan w;
	struct lan_tcp c;

	(void)state;
	lan_begin(&w);
	c = log_in(&w, USER);
	bad_transfer(&w, &c, false, 3002);
	bad_transfer(&w, &c, false, 3003);
	CHECK(!lan_found(&w, FINDING_ftp_data_failure, 0)->ended);
	good_transfer(&w, &c, false, 3004);
	lan_finish(&w);
	CHECK(lan_found(&w, FINDING_ftp_data_failure, 0)->ended);
	CHECK_EQ(lan_found(&w, FINDING_ftp_data_failure, 0)->count, 2);
	lan_end(&w);
}

/* The FTP client is a server to others: it is that which does not hear. */
static void
test_a_server_that_fetches_is_named_itself(void **state)
{
	const struct finding *x;
	struct lan_tcp c, web;
	struct lan w;

	(void)state;
	lan_begin(&w);
	web = lan_connect(&w, USER + 1, 1500, USER, 80);
	lan_text(&w, &web, CLIENT, "GET / HTTP/1.1\r\n\r\n");
	lan_text(&w, &web, SERVER, "HTTP/1.1 204 No Content\r\n\r\n");
	c = log_in(&w, USER);
	for (uint16_t i = 0; i < 3; i++)
		bad_transfer(&w, &c, false, (uint16_t)(3000 + i));
	lan_finish(&w);
	x = lan_found(&w, FINDING_ftp_data_failure, 0);
	CHECK(x);
	CHECK_EQ(x->count, 3);
	CHECK_EQ(address_v4(&x->server->address), lan_address(USER));
	lan_end(&w);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_server_that_fetches_is_named_itself),
    cmocka_unit_test(test_transfers_without_a_data_connection_are_counted_by_mode),
    cmocka_unit_test(test_one_failure_alone_stays_low),
    cmocka_unit_test(test_sound_transfers_and_other_refusals_are_none),
    cmocka_unit_test(test_a_place_announced_and_not_used_is_none),
    cmocka_unit_test(test_a_refused_data_connection_counts),
    cmocka_unit_test(test_it_ends_when_one_is_made_again),
)
