/* unit_app.c - which application protocol a flow speaks (capture/app.c): who is
 * asked, and who need not be. */
#include "capture/app.h"
#include "tests/unit.h"

/* A parser with `binary` is not shown what begins like text: that is right only
 * while it would refuse all of it, whoever sends it and wherever in a flow. */

enum { LONGEST = 1500, LETTERS = 26, ROUNDS = 40 };

static const size_t lengths[] = { APP_TEXT_BYTES, APP_TEXT_BYTES + 1, 24, 31, 64,
    200, APP_PROBE_BYTES - 1, APP_PROBE_BYTES, 1460, LONGEST };
static const uint16_t flow_flags[] = { 0, FLOW_HANDSHAKE, FLOW_MIDSTREAM,
    FLOW_GUESSED, FLOW_APP_INSIDE, FLOW_MIDSTREAM | FLOW_GUESSED,
    FLOW_APP_INSIDE | FLOW_GUESSED };
/* where they are at home, and where nobody is */
static const uint16_t ports[] = { 88, 135, 139, 389, 443, 445, 1433, 1723, 3268,
    3389, 6001, 40000 };

static const char nobody[] = "nobody";

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define REFUSED(text, n) CHECK_STR(taker(true, text, n), nobody)

/* The first of these parsers that does not refuse what `f` shows of this side. */
static const char *
taker_of(bool binary, const struct flow *f, enum side side, struct bytes b)
{
	for (size_t i = 0; app_parsers[i]; i++)
		if (app_parsers[i]->binary == binary &&
		    app_parsers[i]->probe(f, side, b) != APP_NOT_MINE)
			return app_parsers[i]->name;
	return nobody;
}

/* The same at all ports, of both sides and of flows met in any way. The parser is
 * shown no more than app.c shows. */
static const char *
taker(bool binary, const uint8_t *text, size_t n)
{
	size_t shown = n < APP_PROBE_BYTES ? n : APP_PROBE_BYTES;
	uint8_t *exact = unit_exact(text, shown);
	struct bytes b = bytes_of(exact, shown);
	struct flow f = { .protocol = IP_TCP };
	const char *who = nobody;

	f.port[CLIENT] = 50000;
	for (size_t i = 0; i < COUNT(flow_flags) * COUNT(ports) * 2 &&
	    who == nobody; i++) {
		f.app_flags = flow_flags[i / 2 / COUNT(ports)];
		f.port[SERVER] = ports[i / 2 % COUNT(ports)];
		who = taker_of(binary, &f, i % 2 ? SERVER : CLIENT, b);
	}
	free(exact);
	return who;
}

static void
test_no_binary_parser_would_take_a_line_of_text(void **state)
{
	static const char *const lines[] = {
		"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
		"POST /rpc/rpcproxy.dll?mail:6001 HTTP/1.1\r\n",
		"RPC_IN_DATA /rpc/rpcproxy.dll?mail:6002 HTTP/1.1\r\n",
		"RPC_OUT_DATA /rpc/rpcproxy.dll?mail:6002 HTTP/1.1\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"CONNECT mail.example.com:443 HTTP/1.0\r\n\r\n",
		"EHLO client.example.com\r\n",
		"MAIL FROM:<a@example.com> SIZE=1024\r\n",
		"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n",
		"SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n",
		"USER anonymous@example.com\r\n",
		"A001 LOGIN user secret\r\n",
		"A001 OK LOGIN completed\r\n",
		"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n",
		"RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n",
		"RFB 003.008\nRFB 003.008\n",
		"NICK somebody\r\nUSER somebody 0 * :Somebody\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
	};
	uint8_t page[LONGEST];

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		size_t n = strlen(lines[i]);

		REFUSED((const uint8_t *)lines[i], n);
		REFUSED((const uint8_t *)lines[i], APP_TEXT_BYTES);
		for (size_t k = 0; k < LONGEST; k++)
			page[k] = (uint8_t)lines[i][k % n];
		REFUSED(page, LONGEST);
	}
}

static void
test_no_binary_parser_would_take_what_begins_with_a_capital(void **state)
{
	uint8_t b[LONGEST];
	uint32_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < LETTERS * ROUNDS; i++) {
		size_t n = lengths[i / LETTERS % COUNT(lengths)];

		unit_noise(b, n, &seed);
		b[0] = (uint8_t)('A' + i % LETTERS);
		REFUSED(b, n);
	}
}

/* Bytes that mean something to those parsers: lengths that fit, versions, types. */
static void
test_no_binary_parser_would_take_its_own_bytes_after_a_capital(void **state)
{
	static const char *const openings[] = {
		"\0\0\0\x54\xffSMBr\0\0\0\0\x18\x53\xc8", "\0\0\0\x54\xfeSMB@\0\0\0",
		"\0\0\x44 CKFDENECFDEFFCFG", "\5\0\x0b\3\x10\0\0\0\x48\0\0\0",
		"\x16\3\1\0\x80\1\0\0\x7c\3\3", "\x80\x2e\1\0\2\0\x15\0\0\0\x10",
		"\0\x9c\0\1\x1a\x2b\x3c\x4d\0\1\0\0", "\3\0\0\x13\x0e\xe0\0\0\0\0",
		"\x12\1\0\x2f\0\0\1\0\0\0\x1a", "\1\1\0\x20\0\0\1\0\0\0",
		"0\x0c\2\1\1`\7\2\1\3\4\0\x80\0", "0\x84\0\0\0\x0c\2\1\1`\7\2\1\3",
		"\0\0\0\x9cj\x81\x99\x30\x81\x96\xa1\3\2\1\5", "ncacn_http/1.0",
	};
	static const size_t opening_bytes[] = { 16, 12, 20, 12, 11, 11, 12, 10, 11,
	    10, 14, 14, 15, 14 };
	uint8_t b[LONGEST] = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(openings) * LETTERS; i++) {
		size_t which = i / LETTERS, n = opening_bytes[which];
		uint8_t letter = (uint8_t)('A' + i % LETTERS);

		memset(b, 0, sizeof(b));
		memcpy(b, openings[which], n);
		b[0] = letter;		/* in its place */
		REFUSED(b, APP_TEXT_BYTES);
		REFUSED(b, LONGEST);
		memcpy(b + 1, openings[which], n);	/* and before it */
		REFUSED(b, APP_TEXT_BYTES);
		REFUSED(b, LONGEST);
	}
}

/* All beginnings of two bytes, with the rest of one kind. */
static void
test_no_binary_parser_would_take_any_two_bytes_with_a_capital(void **state)
{
	static const uint8_t rest[] = { 0, 1, 3, 5, 16, '0', 0xff };
	uint8_t b[64];

	(void)state;
	for (unsigned i = 0; i < LETTERS * 256; i++)
		for (size_t k = 0; k < COUNT(rest); k++) {
			memset(b, rest[k], sizeof(b));
			b[0] = (uint8_t)('A' + i / 256);
			b[1] = (uint8_t)i;
			REFUSED(b, k % 2 ? sizeof(b) : APP_TEXT_BYTES);
		}
}

/* What this file asks for can be had: the others take text, these their own. */
static void
test_a_parser_that_takes_it_is_found_out(void **state)
{
	static const uint8_t hello[] = "\0\0\0\x54\xffSMBr\0\0\0\0\x18\x53\xc8";
	static const uint8_t request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	size_t binary = 0;

	(void)state;
	for (size_t i = 0; app_parsers[i]; i++)
		binary += app_parsers[i]->binary;
	CHECK(binary);
	CHECK_STR(taker(true, hello, sizeof(hello) - 1), "smb");
	CHECK_STR(taker(false, request, sizeof(request) - 1), "http");
}

UNIT_TESTS(
    cmocka_unit_test(test_no_binary_parser_would_take_a_line_of_text),
    cmocka_unit_test(test_no_binary_parser_would_take_what_begins_with_a_capital),
    cmocka_unit_test(test_no_binary_parser_would_take_its_own_bytes_after_a_capital),
    cmocka_unit_test(test_no_binary_parser_would_take_any_two_bytes_with_a_capital),
    cmocka_unit_test(test_a_parser_that_takes_it_is_found_out),
)
