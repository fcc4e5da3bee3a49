/* unit_text.c - SMTP, POP3 and IMAP: commands, answers, and what lies between. */
#include "capture/app_text.h"
#include "tests/app_rig.h"
#include "tests/unit.h"

static const size_t cuts[] = { 0, 1, 7 };
#define FOR_CUTS(i) for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)

static void
test_a_mail_is_one_question_answered_after_its_dot(void **state)
{
	(void)state;
	FOR_CUTS(i) {
		struct rig r;
		struct stream_stats s;

		rig_begin(&r, IP_TCP, 25, cuts[i]);
		rig_text(&r, SERVER, "220 mail ESMTP\r\n");
		CHECK_EQ(r.flow->app, APP_SMTP);
		rig_text(&r, CLIENT, "EHLO me\r\n");
		rig_text(&r, SERVER, "250-mail\r\n250-PIPELINING\r\n250 HELP\r\n");
		rig_text(&r, CLIENT, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
		CHECK_EQ(r.flow->waiting_count, 3);
		rig_text(&r, SERVER, "250 ok\r\n250 ok\r\n354 go\r\n");
		CHECK_EQ(r.flow->waiting_count, 0);
		rig_text(&r, CLIENT, "Subject: x\r\n\r\nQUIT\r\n..\r\nx.\r\n");
		rig_text(&r, CLIENT, "a line that goes");
		CHECK_EQ(r.flow->waiting_count, 0);
		stream_pool_stats(r.streams, &s);
		CHECK_EQ(s.buffered_now, 0);
		rig_text(&r, CLIENT, " on\r\n.\r\n");
		CHECK_EQ(r.flow->waiting_count, 1);
		rig_wait(&r, 3000);
		rig_text(&r, SERVER, "250 queued\r\n");
		CHECK_EQ(rig_answered(&r, SMTP_MESSAGE), 1);
		CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 5);
		CHECK_EQ(rig_nth(&r, APP_RESPONSE, 0, 4)->took_ns,
		    (3000 + RIG_STEP_MS) * NS_PER_MS);
		rig_text(&r, CLIENT, "QUIT\r\n");
		rig_text(&r, SERVER, "221 bye\r\n");
		CHECK_EQ(rig_answered(&r, SMTP_QUIT), 1);
		rig_end(&r);
	}
}

static void
test_a_chunk_is_skipped_and_asked_with_its_last_byte(void **state)
{
	(void)state;
	FOR_CUTS(i) {
		struct rig r;

		rig_begin(&r, IP_TCP, 25, cuts[i]);
		rig_text(&r, SERVER, "220 mail ESMTP\r\n");
		rig_text(&r, CLIENT, "BDAT 12 LAST\r\n123");
		CHECK_EQ(r.flow->waiting_count, 0);
		rig_text(&r, CLIENT, "45\r\n.\r\n90");
		CHECK_EQ(r.flow->waiting_count, 1);
		rig_text(&r, SERVER, "250 ok\r\n");
		CHECK_EQ(rig_answered(&r, SMTP_BDAT), 1);
		rig_text(&r, CLIENT, "NOOP\r\n");
		rig_text(&r, SERVER, "250 ok\r\n");
		CHECK_EQ(rig_answered(&r, SMTP_NOOP), 1);
		rig_text(&r, CLIENT, "BDAT 5\r\n12\r\n5RSET\r\n");
		CHECK_EQ(r.flow->waiting_count, 2);
		rig_text(&r, SERVER, "250 ok\r\n250 ok\r\n");
		CHECK_EQ(rig_answered(&r, SMTP_RSET), 1);
		rig_end(&r);
	}
}

static void
test_the_parts_of_an_authentication_are_no_commands(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 25, 0);
	rig_text(&r, SERVER, "220 mail ESMTP\r\n");
	rig_text(&r, CLIENT, "AUTH LOGIN\r\n");
	rig_text(&r, SERVER, "334 VXNlcm5hbWU6\r\n");
	rig_text(&r, CLIENT, "DATA\r\n");
	rig_text(&r, SERVER, "334 UGFzc3dvcmQ6\r\n");
	rig_text(&r, CLIENT, "c2VjcmV0\r\n");
	rig_text(&r, SERVER, "235 ok\r\n");
	CHECK_EQ(rig_answered(&r, SMTP_AUTH), 3);
	rig_text(&r, CLIENT, "NOOP\r\n");
	CHECK_EQ(r.flow->waiting->label & 0xffff, SMTP_NOOP);
	rig_end(&r);
}

static void
test_a_message_whose_go_ahead_was_missed_is_no_commands(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 25, 0);
	rig_text(&r, SERVER, "220 mail ESMTP\r\n");
	rig_text(&r, CLIENT, "DATA\r\n");
	rig_miss(&r, SERVER, 8);
	rig_text(&r, SERVER, "x\r\n");
	rig_acked(&r, SERVER);
	rig_text(&r, CLIENT, "HELP\r\nQUIT\r\nand so on\r\n");
	CHECK_EQ(r.flow->waiting_count, 0);
	rig_text(&r, CLIENT, ".\r\n");
	CHECK_EQ(r.flow->waiting_count, 1);
	rig_end(&r);
}

static void
test_tls_ends_each_of_them(void **state)
{
	static const struct { uint16_t port; const char *hello, *ask, *answer; }
	    cases[] = {
		{ 25, "220 ESMTP\r\n", "STARTTLS\r\n", "220 go\r\n" },
		{ 110, "+OK POP3\r\n", "STLS\r\n", "+OK\r\n" },
		{ 143, "* OK IMAP4rev1\r\n", "a1 STARTTLS\r\n", "a1 OK\r\n" },
		{ 143, "* OK IMAP4rev1\r\n", "a1 COMPRESS DEFLATE\r\n",
		    "a1 OK\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rig r;

		rig_begin(&r, IP_TCP, cases[i].port, 0);
		rig_text(&r, SERVER, cases[i].hello);
		rig_text(&r, CLIENT, cases[i].ask);
		rig_text(&r, SERVER, cases[i].answer);
		CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 1);
		CHECK(!app_follows(r.flow));
		CHECK(r.flow->app != APP_UNKNOWN);
		rig_end(&r);
	}
}

static void
test_lists_of_pop3_end_with_their_dot(void **state)
{
	(void)state;
	FOR_CUTS(i) {
		struct rig r;

		rig_begin(&r, IP_TCP, 110, cuts[i]);
		rig_text(&r, SERVER, "+OK ready\r\n");
		CHECK_EQ(r.flow->app, APP_POP3);
		rig_text(&r, CLIENT, "LIST\r\nRETR 1\r\nLIST 1\r\nSTAT\r\n");
		rig_text(&r, SERVER, "+OK\r\n1 30\r\n.\r\n");
		CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 1);
		rig_text(&r, SERVER, "+OK 30 octets\r\nFrom: x\r\n+OK no\r\n..\r\n");
		rig_text(&r, SERVER, ".\r\n");
		CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 2);
		rig_text(&r, SERVER, "+OK 1 30\r\n-ERR no\r\n");
		CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 4);
		CHECK(rig_nth(&r, APP_RESPONSE, 0, 3)->fault);
		CHECK_EQ(r.flow->waiting_count, 0);
		rig_end(&r);
	}
}

static void
test_imap_answers_by_tag_in_any_order(void **state)
{
	(void)state;
	FOR_CUTS(i) {
		struct rig r;

		rig_begin(&r, IP_TCP, 143, cuts[i]);
		rig_text(&r, SERVER, "* OK IMAP4rev1 ready\r\n");
		CHECK_EQ(r.flow->app, APP_IMAP);
		rig_text(&r, CLIENT, "a1 SELECT INBOX\r\na2 NOOP\r\n");
		rig_text(&r, SERVER, "* 3 EXISTS\r\na2 OK\r\na1 NO\r\n");
		CHECK_EQ(rig_answered(&r, IMAP_NOOP), 1);
		CHECK_EQ(rig_answered(&r, IMAP_SELECT), 1);
		CHECK(rig_nth(&r, APP_RESPONSE, 0, 1)->fault);
		rig_text(&r, CLIENT, "a3 FETCH 1 BODY[]\r\n");
		rig_text(&r, SERVER, "* 1 FETCH (BODY[] {12}\r\na3 OK\r\na3 OK");
		CHECK_EQ(rig_answered(&r, IMAP_FETCH), 1);
		rig_text(&r, SERVER, ")\r\na3 OK done\r\n");
		CHECK_EQ(rig_count(&r, APP_RESPONSE, 0), 3);
		CHECK_EQ(r.flow->waiting_count, 0);
		rig_end(&r);
	}
}

static void
test_idle_parks_until_done(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 143, 0);
	rig_text(&r, SERVER, "* OK IMAP4rev1 ready\r\n");
	rig_text(&r, CLIENT, "a1 IDLE\r\n");
	CHECK_EQ(r.flow->waiting->flags & EXCHANGE_PARKS, EXCHANGE_PARKS);
	rig_text(&r, SERVER, "+ idling\r\n");
	rig_wait(&r, 600000);
	rig_text(&r, SERVER, "* 4 EXISTS\r\n");
	rig_text(&r, CLIENT, "DONE\r\n");
	CHECK_EQ(r.flow->waiting->flags & EXCHANGE_PARKS, 0);
	rig_text(&r, SERVER, "a1 OK IDLE terminated\r\n");
	CHECK_EQ(rig_nth(&r, APP_RESPONSE, 0, 0)->took_ns,
	    RIG_STEP_MS * NS_PER_MS);
	rig_end(&r);
}

static void
test_a_command_with_a_literal_is_whole_with_its_last_line(void **state)
{
	(void)state;
	FOR_CUTS(i) {
		struct rig r;

		rig_begin(&r, IP_TCP, 143, cuts[i]);
		rig_text(&r, SERVER, "* OK IMAP4rev1 ready\r\n");
		rig_text(&r, CLIENT, "a1 APPEND x {9}\r\n");
		CHECK_EQ(rig_count(&r, APP_REQUEST, 0), 0);
		rig_text(&r, SERVER, "+ go\r\n");
		rig_text(&r, CLIENT, "a2 NOOP\r\n\r\n");
		CHECK_EQ(rig_count(&r, APP_REQUEST, 0), 1);
		CHECK_EQ(r.flow->waiting->flags & EXCHANGE_PARTIAL, 0);
		rig_text(&r, SERVER, "a1 OK\r\n");
		CHECK_EQ(rig_answered(&r, IMAP_APPEND), 1);
		rig_end(&r);
	}
}

static void
test_redis_is_not_pop3(void **state)
{
	struct rig r;

	(void)state;
	rig_begin(&r, IP_TCP, 6379, 0);
	rig_text(&r, CLIENT, "*1\r\n$4\r\nPING\r\n");
	rig_text(&r, SERVER, "+OK\r\n");
	CHECK_EQ(r.flow->app, APP_UNKNOWN);
	rig_end(&r);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_mail_is_one_question_answered_after_its_dot),
    cmocka_unit_test(test_a_chunk_is_skipped_and_asked_with_its_last_byte),
    cmocka_unit_test(test_the_parts_of_an_authentication_are_no_commands),
    cmocka_unit_test(test_a_message_whose_go_ahead_was_missed_is_no_commands),
    cmocka_unit_test(test_tls_ends_each_of_them),
    cmocka_unit_test(test_lists_of_pop3_end_with_their_dot),
    cmocka_unit_test(test_imap_answers_by_tag_in_any_order),
    cmocka_unit_test(test_idle_parks_until_done),
    cmocka_unit_test(test_a_command_with_a_literal_is_whole_with_its_last_line),
    cmocka_unit_test(test_redis_is_not_pop3),
)
