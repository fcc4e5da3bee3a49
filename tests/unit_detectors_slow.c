/* unit_detectors_slow.c - transfers and answers that are slow, and segments that
 * come in the wrong order: each cause, and what looks most like it. */
#include "tests/office_rig.h"
#include "tests/unit.h"

enum { MSS = 1460 };

/* Segments of the server, back to back, and one ACK for all. */
static void
burst(struct talk *t, unsigned segments)
{
	for (unsigned i = 0; i < segments; i++)
		say(t, (struct line){ .from = SERVER, .bytes = MSS });
	rig_wait(t->rig, 1);
	say(t, (struct line){ .from = CLIENT });
}

/* A transfer as it ought to be, so that there is something to compare with. */
static void
quick(struct talk *t)
{
	say(t, (struct line){ .from = CLIENT, .bytes = 80 });
	for (int i = 0; i < 30; i++)
		burst(t, 4);
	rig_wait(t->rig, 3000);
}

/* --- throughput_collapse ------------------------------------------------------- */

/* Of each four segments the last three are lost. The sender hears of it by
 * nothing but time, or (`told`) within a round trip. */
static unsigned
loses_tails(bool told)
{
	struct office o;
	struct talk *t = &o.talk[0];

	office_open(&o, WITH_MSS);
	quick(t);
	say(t, (struct line){ .from = CLIENT, .bytes = 80 });
	for (int i = 0; i < 25; i++) {
		uint32_t at = t->next[SERVER];

		for (int k = 0; k < 4; k++)
			say(t, (struct line){ .from = SERVER, .bytes = MSS });
		rig_wait(&o.rig, 1);
		say(t, (struct line){ .from = CLIENT, .acks = true,
		    .ack = at + MSS });
		rig_wait(&o.rig, told ? 2 : 400);
		for (uint32_t k = 1; k < 4; k++)
			say(t, (struct line){ .from = SERVER, .bytes = MSS,
			    .at = true, .seq = at + k * MSS });
		rig_wait(&o.rig, told ? 398 : 1);
		say(t, (struct line){ .from = CLIENT });
	}
	return found_at_end(&o, FINDING_throughput_collapse, "rto_limited",
	    SEVERITY_MEDIUM);
}

static void
test_a_sender_that_lives_by_its_timer(void **state)
{
	(void)state;
	CHECK_EQ(loses_tails(false), 1);
	CHECK_EQ(loses_tails(true), 0);
}

/* One full segment, an ACK after so long, and the next at once, or (`thinks`)
 * when the program has the next one ready. */
static unsigned
one_by_one(int64_t ack_ms, bool thinks)
{
	struct office o;
	struct talk *t = &o.talk[0];

	office_open(&o, WITH_MSS);
	quick(t);
	say(t, (struct line){ .from = CLIENT, .bytes = 80 });
	for (int i = 0; i < 60; i++) {
		say(t, (struct line){ .from = SERVER, .bytes = MSS });
		rig_wait(&o.rig, ack_ms);
		say(t, (struct line){ .from = CLIENT });
		rig_wait(&o.rig, thinks ? 200 : 1);
	}
	return found_at_end(&o, FINDING_throughput_collapse,
	    "delayed_ack_limited", SEVERITY_MEDIUM);
}

static void
test_a_sender_that_waits_for_delayed_acknowledgments(void **state)
{
	(void)state;
	CHECK_EQ(one_by_one(200, false), 1);
	CHECK_EQ(one_by_one(1, true), 0);
}

/* The client sends into a window, the mirror being beside the server: what comes
 * is acknowledged at once, and the next comes a round trip (80 ms) later. */
static unsigned
uploads(uint16_t window, unsigned segments)
{
	struct office o;
	struct talk far, *t = &far;

	rig_open(&o.rig);
	o.server = rig_host(5);
	o.client[0] = rig_host(40);
	far = (struct talk){ .rig = &o.rig, .host = { &o.client[0], &o.server },
		.port = { 1100, 445 }, .window = { 65535, 65535 } };
	say(t, rig_syn(CLIENT, WITH_MSS));
	say(t, rig_syn(SERVER, WITH_MSS));
	rig_wait(&o.rig, 80);
	say(t, (struct line){ .from = CLIENT });
	for (int i = 0; i < 200; i++) {		/* in better times */
		say(t, (struct line){ .from = CLIENT, .bytes = MSS });
		say(t, (struct line){ .from = SERVER });
		rig_wait(&o.rig, 1);
	}
	rig_wait(&o.rig, 3000);
	t->window[SERVER] = window;
	for (int i = 0; i < 100; i++) {
		for (unsigned k = 0; k < segments; k++) {
			say(t, (struct line){ .from = CLIENT, .bytes = MSS });
			say(t, (struct line){ .from = SERVER });
		}
		rig_wait(&o.rig, 80);
	}
	return found_at_end(&o, FINDING_throughput_collapse, "window_limited",
	    SEVERITY_MEDIUM);
}

static void
test_a_window_that_is_full_a_round_trip_away(void **state)
{
	(void)state;
	CHECK_EQ(uploads(2 * MSS, 2), 1);
	CHECK_EQ(uploads(65535, 2), 0);		/* it has room: a slow sender */
	CHECK_EQ(uploads(8 * MSS, 2), 0);	/* smaller, and not filled */
}

/* --- segments_reordered ------------------------------------------------------------ */

enum swap { BY_THE_CARD, BY_THE_MIRROR, LOST_AND_RESENT, BY_A_ROUTER };

/* Eight bursts of five, of which the last leaves first. */
static void
swap(struct talk *t, enum swap how)
{
	struct rig_host *server = t->host[SERVER];

	for (int i = 0; i < 8; i++) {
		uint32_t at = t->next[SERVER];
		uint16_t id = (uint16_t)(server->id + 1);
		uint8_t ttl = how == BY_A_ROUTER ? 125 : 0;
		struct line l = { .from = CLIENT, .acks = true, .ack = at };

		server->id = (uint16_t)(server->id + 10);
		rig_wait(t->rig, 500);
		say(t, (struct line){ .from = CLIENT, .bytes = 80 });
		say(t, (struct line){ .from = SERVER, .bytes = MSS, .at = true,
		    .seq = at + 4 * MSS, .id = (uint16_t)(id + 4), .ttl = ttl });
		line_sack(&l, at + 4 * MSS, at + 5 * MSS);
		if (how == LOST_AND_RESENT) {
			say(t, l);
			rig_wait(t->rig, 5);
			id = (uint16_t)(id + 5);
		}
		for (uint32_t k = 0; k < 4; k++)
			say(t, (struct line){ .from = SERVER, .bytes = MSS,
			    .at = true, .seq = at + k * MSS, .ttl = ttl,
			    .id = (uint16_t)(id + k) });
		if (how != BY_THE_MIRROR)
			say(t, l);
		t->next[SERVER] = at + 5 * MSS;
		rig_wait(t->rig, 1);
		say(t, (struct line){ .from = CLIENT });
	}
}

static unsigned
swaps(enum swap how, unsigned servers)
{
	struct rig_host second = rig_host(6);
	struct office o;
	struct talk other;

	office_open(&o, WITH_MSS | WITH_SACK);
	other = rig_talk(&o.rig, &o.client[1], &second, 4001,
	    WITH_MSS | WITH_SACK);
	swap(&o.talk[0], how);
	if (servers > 1)
		swap(&other, how);
	return found_at_end(&o, FINDING_segments_reordered, NULL,
	    SEVERITY_MEDIUM);
}

static void
test_segments_that_the_card_swaps(void **state)
{
	(void)state;
	CHECK_EQ(swaps(BY_THE_CARD, 1), 1);
	CHECK_EQ(swaps(BY_THE_MIRROR, 1), 0);
	CHECK_EQ(swaps(LOST_AND_RESENT, 1), 0);
	CHECK_EQ(swaps(BY_A_ROUTER, 1), 0);
	CHECK_EQ(swaps(BY_THE_CARD, 2), 0);	/* what they share, or the mirror */
}

/* --- reply_missing, rpc_stall --------------------------------------------------------- */

/* A request that the server's TCP takes in; what else happens to it. */
enum fate { UNANSWERED, ANSWERED, LAST_WORDS, HAS_WAITED_BEFORE };

static unsigned
request(enum fate fate)
{
	struct office o;
	struct talk *t = &o.talk[0];

	office_open(&o, WITH_MSS);
	for (unsigned i = 0; i < 30; i++)
		rig_turn(&o.talk[i % CLIENTS], 80, 300, false);
	for (int i = 0; fate == HAS_WAITED_BEFORE && i < 3; i++) {
		office_ask(&o, 1, true, false);
		office_goes_on_for(&o, 60);
		rig_turn(&o.talk[2], 80, 300, false);
		say(&o.talk[1], (struct line){ .from = SERVER, .bytes = 300 });
		rig_wait(&o.rig, 1);
		say(&o.talk[1], (struct line){ .from = CLIENT });
	}
	office_ask(&o, 0, true, false);
	if (fate == LAST_WORDS) {
		say(t, (struct line){ .from = CLIENT,
		    .flags = TCP_FIN | TCP_ACK });
		rig_wait(&o.rig, 1);
		say(t, (struct line){ .from = SERVER,
		    .flags = TCP_FIN | TCP_ACK });
		rig_wait(&o.rig, 1);
		say(t, (struct line){ .from = CLIENT });
	} else if (fate == ANSWERED) {
		say(t, (struct line){ .from = SERVER, .bytes = 300 });
		rig_wait(&o.rig, 1);
		say(t, (struct line){ .from = CLIENT });
	}
	office_goes_on_for(&o, 40);
	return found_at_end(&o, FINDING_reply_missing, "established",
	    SEVERITY_MEDIUM);
}

static void
test_a_request_that_is_taken_in_and_not_answered(void **state)
{
	(void)state;
	CHECK_EQ(request(UNANSWERED), 1);
	CHECK_EQ(request(ANSWERED), 0);
	CHECK_EQ(request(LAST_WORDS), 0);
	CHECK_EQ(request(HAS_WAITED_BEFORE), 0);	/* it lets clients wait */
}

/* Two clients alone, each answer after `late_ms`, the next question `think_ms`
 * later (0: at once); over HTTP, or (`opaque`) in a protocol that nobody reads. */
static unsigned
late_answers(int64_t late_ms, int64_t think_ms, bool opaque)
{
	static const char ask[] = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char told[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	struct line question = { .from = CLIENT, .bytes = sizeof(ask) - 1,
		.payload = opaque ? NULL : ask };
	struct line answer = { .from = SERVER, .bytes = sizeof(told) - 1,
		.payload = opaque ? NULL : told };
	struct office o;
	struct talk t[2];

	rig_open(&o.rig);
	o.server = rig_host(5);
	for (unsigned i = 0; i < 2; i++) {
		o.client[i] = rig_host(40 + i);
		t[i] = rig_talk(&o.rig, &o.client[i], &o.server,
		    (uint16_t)(1100 + i), WITH_MSS);
	}
	for (unsigned n = 0; n < 20; n++) {
		struct talk *a = &t[n % 2];

		if (think_ms || n < 2)
			say(a, question);
		rig_wait(&o.rig, 1);
		say(a, (struct line){ .from = SERVER });
		rig_wait(&o.rig, late_ms);
		say(a, answer);
		rig_wait(&o.rig, 1);
		say(a, (struct line){ .from = CLIENT });
		if (think_ms)
			rig_wait(&o.rig, think_ms);
		else
			say(a, question);
	}
	return found_at_end(&o, FINDING_reply_missing, "late",
	    SEVERITY_MEDIUM);
}

static void
test_a_service_whose_every_answer_is_late(void **state)
{
	(void)state;
	CHECK_EQ(late_answers(15000, 5000, false), 1);
	CHECK_EQ(late_answers(15000, 0, false), 0);	/* long polls */
	CHECK_EQ(late_answers(15000, 5000, true), 0);	/* a printer's? */
	CHECK_EQ(late_answers(300, 5000, false), 0);
}

/* DCE/RPC, C706 chapter 12: a bind to an interface, its ack, a request. */
static const uint8_t emsmdb[16] = { 0x00, 0xdb, 0xf1, 0xa4, 0x47, 0xca, 0x67,
	0x10, 0xb3, 0x1f, 0x00, 0xdd, 0x01, 0x06, 0x62, 0xda };
static const uint8_t async_emsmdb[16] = { 0x4a, 0x57, 0x61, 0x52, 0x72, 0x45,
	0x6e, 0x20, 0xb2, 0x68, 0x6b, 0x19, 0x92, 0x13, 0xb4, 0xe4 };

static void
pdu(struct talk *t, enum side from, uint8_t kind, uint32_t call,
    const uint8_t *interface, uint8_t opnum)
{
	static const uint8_t ndr[16] = { 0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9,
		0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60 };
	uint8_t b[80] = { 5, 0, kind, 3, 0x10, 0, 0, 0, 72 };

	b[12] = (uint8_t)call;
	put16(b + 16, 0xb810);
	put16(b + 18, 0xb810);
	b[22] = opnum;			/* of a request */
	if (interface) {		/* a bind: one context, one syntax */
		b[22] = 0;
		b[24] = 1;
		b[30] = 1;
		memcpy(b + 32, interface, 16);
		memcpy(b + 52, ndr, 16);
		b[68] = 2;
	} else if (kind == 12) {	/* its ack: no address, accepted */
		b[28] = 1;
		memcpy(b + 36, ndr, 16);
		b[52] = 2;
	}
	say(t, (struct line){ .from = from, .bytes = 72, .payload = b });
	rig_wait(t->rig, 2);
}

/* A call on this interface; answered or not. */
static unsigned
call(const uint8_t *interface, uint8_t opnum, bool answered)
{
	struct office o;
	struct talk t;

	office_open(&o, WITH_MSS);
	t = rig_talk_to(&o.rig, &o.client[0], &o.server, 3001, 1114, WITH_MSS);
	pdu(&t, CLIENT, 11, 1, interface, 0);
	pdu(&t, SERVER, 12, 1, NULL, 0);
	for (uint32_t n = 2; n < 5; n++) {
		rig_wait(&o.rig, 400);
		pdu(&t, CLIENT, 0, n, NULL, 11);
		pdu(&t, SERVER, 2, n, NULL, 0);
	}
	pdu(&t, CLIENT, 0, 9, NULL, opnum);
	say(&t, (struct line){ .from = SERVER });
	if (answered)
		pdu(&t, SERVER, 2, 9, NULL, 0);
	office_goes_on_for(&o, 40);
	return found_at_end(&o, FINDING_rpc_stall, "no_response",
	    SEVERITY_MEDIUM);
}

static void
test_a_call_without_a_response(void **state)
{
	(void)state;
	CHECK_EQ(call(emsmdb, 11, false), 1);
	CHECK_EQ(call(emsmdb, 11, true), 0);
	CHECK_EQ(call(async_emsmdb, 0, false), 0);	/* meant to park */
}

/* --- windows that shrink for one packet ------------------------------------------------- */

/* On this many connections a window of the past comes up in single packets; or
 * (`fills`) it is really that full. */
static unsigned
flicker(unsigned connections, bool fills)
{
	struct office o;

	office_open(&o, WITH_MSS);
	for (unsigned i = 0; i < connections; i++) {
		struct talk *t = &o.talk[i];

		for (int k = 0; k < 3; k++) {
			rig_turn(t, 80, 300, false);
			rig_wait(&o.rig, 50);
			if (fills)	/* what is granted is also used up */
				say(t, (struct line){ .from = CLIENT,
				    .bytes = MSS });
			say(t, (struct line){ .from = SERVER,
			    .has_window = true, .window =
			    fills ? 65535 - MSS : 2920 });
			rig_wait(&o.rig, 50);
			say(t, (struct line){ .from = SERVER });
		}
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		rig_turn(&o.talk[i], 80, 300, false);
	office_goes_on_for(&o, 5);
	return found_at_end(&o, FINDING_window_collapse, "shrunk", 0);
}

static void
test_windows_that_shrink_for_a_packet(void **state)
{
	(void)state;
	CHECK(flicker(CLIENTS, false) > 0);
	CHECK_EQ(flicker(1, false), 0);
	CHECK_EQ(flicker(CLIENTS, true), 0);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_sender_that_lives_by_its_timer),
    cmocka_unit_test(test_a_sender_that_waits_for_delayed_acknowledgments),
    cmocka_unit_test(test_a_window_that_is_full_a_round_trip_away),
    cmocka_unit_test(test_segments_that_the_card_swaps),
    cmocka_unit_test(test_a_request_that_is_taken_in_and_not_answered),
    cmocka_unit_test(test_a_service_whose_every_answer_is_late),
    cmocka_unit_test(test_a_call_without_a_response),
    cmocka_unit_test(test_windows_that_shrink_for_a_packet),
)
