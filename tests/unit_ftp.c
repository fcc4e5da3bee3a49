/* unit_ftp.c - FTP's commands, replies and places, whatever the segments. */
#include "capture/app_ftp.h"
#include "tests/app_rig.h"
#include "tests/unit.h"

static const size_t cuts[] = { 0, 1, 7 };
#define FOR_CUTS(i) for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)

static void
log_in(struct rig *r)
{
	rig_text(r, SERVER, "220-Welcome\r\n  220 looks like the end\r\n"
	    "220 Microsoft FTP Service\r\n");
	rig_text(r, CLIENT, "USER anonymous\r\n");
	rig_text(r, SERVER, "331 Password required for anonymous.\r\n");
	rig_text(r, CLIENT, "PASS ie@\r\n");
	rig_text(r, SERVER, "230 User logged in.\r\n");
}

static void
test_an_active_transfer_tells_where_when_and_how_it_ended(void **state)
{
	(void)state;
	FOR_CUTS(i) {
		struct rig r;
		const struct app_event *e;

		rig_begin(&r, IP_TCP, 21, cuts[i]);
		log_in(&r);
		CHECK_EQ(r.flow->app, APP_FTP);
		CHECK_EQ(rig_count(&r, APP_REQUEST, 0), 2);
		CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 2);
		rig_text(&r, CLIENT, "PORT 10,20,30,133,11,90\r\n");
		rig_text(&r, SERVER, "200 PORT command successful.\r\n");
		rig_text(&r, CLIENT, "retr file0.bin\r\n");
		rig_text(&r, SERVER, "150 Opening.\r\n");
		CHECK_EQ(r.flow->waiting_count, 0);
		rig_wait(&r, 60000);
		rig_text(&r, SERVER, "226 Transfer complete.\r\n");

		e = rig_nth(&r, APP_NOTE, APP_NOTE_FTP_PORT, 0);
		CHECK(e);
		CHECK_EQ(address_v4(&e->address), 0x0a141e85);
		CHECK_EQ(e->port, 11 * 256 + 90);
		CHECK_EQ(e->side, CLIENT);
		CHECK_EQ(rig_count(&r, APP_NOTE, APP_NOTE_FTP_TRANSFER), 1);
		e = rig_nth(&r, APP_NOTE, APP_NOTE_FTP_REPLY, 5);
		CHECK(e);
		CHECK_EQ(e->value, 226);
		CHECK_EQ(e->label & 0xffff, FTP_RETR);
		CHECK_EQ(rig_answered(&r, FTP_RETR), 1);
		CHECK_EQ(r.flow->wait_max_ns, RIG_STEP_MS * NS_PER_MS);
		rig_end(&r);
	}
}

static void
test_a_passive_reply_says_where_the_server_listens(void **state)
{
	static const struct { const char *reply; uint32_t v4; uint16_t port; }
	    cases[] = {
		{ "227 Entering Passive Mode (10,0,0,1,4,5).", 0x0a000001, 1029 },
		{ "227 Entering Passive Mode. 192,168,7,9,255,255",
		    0xc0a80709, 65535 },
		{ "227 =0,0,0,0,1,2", 0x0a000001, 258 },
		{ "229 Entering Extended Passive Mode (|||6446|)", 0x0a000001,
		    6446 },
		{ "229 ok (|1|10.9.8.7|80|)", 0x0a090807, 80 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r;
		const struct app_event *e;

		rig_begin(&r, IP_TCP, 21, 0);
		log_in(&r);
		rig_text(&r, CLIENT, "PASV\r\n");
		rig_text(&r, SERVER, cases[i].reply);
		rig_text(&r, SERVER, "\r\n");
		e = rig_nth(&r, APP_NOTE, APP_NOTE_FTP_PASV, 0);
		CHECK(e);
		CHECK_EQ(address_v4(&e->address), cases[i].v4);
		CHECK_EQ(e->port, cases[i].port);
		rig_end(&r);
	}
}

static void
test_a_place_that_is_none_is_not_told(void **state)
{
	static const char *const replies[] = {
		"227 nowhere\r\n", "227 (1,2,3,4,5)\r\n",
		"227 (1,2,3,4,5,256)\r\n", "227 (1,2,3,4,0,0)\r\n",
		"227 (99999999999999999999,2,3,4,5,6\r\n",
		"229 (|||0|)\r\n", "229 (|||65536|)\r\n", "229 (|||12)\r\n",
		"229 (|1|what|12|)\r\n", "229 (\r\n", "229\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		struct rig r;

		rig_begin(&r, IP_TCP, 21, 0);
		log_in(&r);
		rig_text(&r, CLIENT, "PASV\r\n");
		rig_text(&r, SERVER, replies[i]);
		CHECK_EQ(rig_count(&r, APP_NOTE, APP_NOTE_FTP_PASV), 0);
		rig_end(&r);
	}
}

static void
test_an_extended_port_names_an_ipv6_place(void **state)
{
	struct rig r;
	const struct app_event *e;
	char text[ADDRESS_TEXT_BYTES];

	(void)state;
	rig_begin(&r, IP_TCP, 21, 0);
	log_in(&r);
	rig_text(&r, CLIENT, "EPRT |2|1080::8:800:200C:417A|5282|\r\n");
	e = rig_nth(&r, APP_NOTE, APP_NOTE_FTP_PORT, 0);
	CHECK(e);
	CHECK_STR(address_text(&e->address, text), "1080::8:800:200c:417a");
	CHECK_EQ(e->port, 5282);
	rig_end(&r);
}

static void
test_a_refused_transfer_is_a_fault(void **state)
{
	struct rig r;
	const struct app_event *e;

	(void)state;
	rig_begin(&r, IP_TCP, 21, 0);
	log_in(&r);
	rig_text(&r, CLIENT, "RETR x\r\n");
	rig_text(&r, SERVER, "150 Opening.\r\n");
	rig_text(&r, SERVER, "425 Can't open data connection.\r\n");
	e = rig_nth(&r, APP_NOTE, APP_NOTE_FTP_REPLY, 4);
	CHECK(e);
	CHECK_EQ(e->value, 425);
	CHECK_EQ(e->label & 0xffff, FTP_RETR);
	rig_text(&r, CLIENT, "RETR y\r\n");
	rig_text(&r, SERVER, "550 y: no such file\r\n");
	e = rig_nth(&r, APP_RESPONSE, 0, 3);
	CHECK(e);
	CHECK(e->fault);
	rig_end(&r);
}

static void
test_a_command_behind_an_answered_abort_finds_its_own_reply(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 21, 0);
	log_in(&r);
	rig_text(&r, CLIENT, "RETR x\r\n");
	rig_text(&r, SERVER, "150 Opening.\r\n");
	rig_say(&r, CLIENT, "\xff\xf4\xff\xf2" "ABOR\r\n", 10);
	rig_text(&r, SERVER, "226 ABOR command successful.\r\n");
	rig_text(&r, CLIENT, "NOOP\r\n");
	rig_text(&r, SERVER, "200 OK\r\n");
	CHECK_EQ(rig_answered(&r, FTP_NOOP), 1);
	CHECK_EQ(r.flow->waiting_count, 0);
	rig_end(&r);
}

static void
test_commands_sent_at_once_are_answered_in_order(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 21, 0);
	log_in(&r);
	rig_text(&r, CLIENT, "CWD a\r\nPWD\r\nTYPE I\r\n");
	CHECK_EQ(r.flow->waiting_count, 3);
	rig_text(&r, SERVER, "250 ok\r\n257 \"/a\"\r\n");
	CHECK_EQ(rig_answered(&r, FTP_PWD), 1);
	CHECK_EQ(r.flow->waiting_count, 1);
	rig_end(&r);
}

static void
test_a_reply_of_many_lines_is_one(void **state)
{
	(void)state;
	FOR_CUTS(i) {
		struct rig r;

		rig_begin(&r, IP_TCP, 21, cuts[i]);
		log_in(&r);
		rig_text(&r, CLIENT, "FEAT\r\nNOOP\r\n");
		rig_text(&r, SERVER, "211-Features:\r\n SIZE\r\n"
		    "530 is not the end\r\n211-nor is this\r\n");
		CHECK_EQ(r.flow->waiting_count, 2);
		rig_text(&r, SERVER, "211 End\r\n200 OK\r\n");
		CHECK_EQ(rig_answered(&r, FTP_FEAT), 1);
		CHECK_EQ(rig_answered(&r, FTP_NOOP), 1);
		CHECK_EQ(rig_count(&r, APP_NOTE, APP_NOTE_FTP_REPLY), 5);
		rig_end(&r);
	}
}

static void
test_tls_ends_the_parsing_and_leaves_nothing_waiting(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 21, 0);
	rig_text(&r, SERVER, "220 FTP\r\n");
	rig_text(&r, CLIENT, "AUTH TLS\r\n");
	rig_text(&r, SERVER, "234 go\r\n");
	CHECK_EQ(rig_answered(&r, FTP_AUTH), 1);
	rig_say(&r, CLIENT, "\x16\x03\x01\x00\x02QU\n", 8);
	CHECK_EQ(r.flow->waiting_count, 0);
	CHECK(!app_wants(r.flow, CLIENT));
	CHECK_EQ(r.flow->app, APP_FTP);
	rig_end(&r);
}

static void
test_missed_replies_are_no_unanswered_commands(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 21, 0);
	log_in(&r);
	rig_text(&r, CLIENT, "CWD a\r\n");
	rig_miss(&r, SERVER, 8);
	rig_text(&r, CLIENT, "PWD\r\n");
	rig_text(&r, SERVER, "257 \"/a\"\r\n");
	rig_acked(&r, SERVER);
	CHECK_EQ(r.flow->waiting_count, 0);
	rig_text(&r, CLIENT, "NOOP\r\n");
	rig_text(&r, SERVER, "200 OK\r\n");
	CHECK_EQ(rig_answered(&r, FTP_NOOP), 1);
	rig_end(&r);
}

static void
test_another_port_needs_ftp_s_own_words(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 2121, 0);
	rig_text(&r, SERVER, "220 hello\r\n");
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	rig_text(&r, CLIENT, "USER me\r\n");
	rig_text(&r, SERVER, "331 and your password?\r\n");
	CHECK_EQ(r.flow->app, APP_FTP);
	rig_end(&r);

	rig_begin(&r, IP_TCP, 2525, 0);
	rig_text(&r, SERVER, "220 hello\r\n");
	rig_text(&r, CLIENT, "EHLO me\r\n");
	CHECK_EQ(r.flow->app, APP_SMTP);
	rig_end(&r);
}

static void
test_a_line_without_end_is_given_up(void **state)
{
	struct rig r;
	char junk[1000];

	(void)state;
	memset(junk, 'x', sizeof(junk));
	rig_begin(&r, IP_TCP, 21, 0);
	log_in(&r);
	for (int i = 0; i < 20; i++)
		rig_say(&r, CLIENT, junk, sizeof(junk));
	CHECK(!app_wants(r.flow, CLIENT));
	rig_end(&r);
}

UNIT_TESTS(
    cmocka_unit_test(test_an_active_transfer_tells_where_when_and_how_it_ended),
    cmocka_unit_test(test_a_passive_reply_says_where_the_server_listens),
    cmocka_unit_test(test_a_place_that_is_none_is_not_told),
    cmocka_unit_test(test_an_extended_port_names_an_ipv6_place),
    cmocka_unit_test(test_a_refused_transfer_is_a_fault),
    cmocka_unit_test(test_a_command_behind_an_answered_abort_finds_its_own_reply),
    cmocka_unit_test(test_commands_sent_at_once_are_answered_in_order),
    cmocka_unit_test(test_a_reply_of_many_lines_is_one),
    cmocka_unit_test(test_tls_ends_the_parsing_and_leaves_nothing_waiting),
    cmocka_unit_test(test_missed_replies_are_no_unanswered_commands),
    cmocka_unit_test(test_another_port_needs_ftp_s_own_words),
    cmocka_unit_test(test_a_line_without_end_is_given_up),
)
