/* unit_tcp.c - what a segment was, told against what is known of its flow.
 *
 * A test plays segments between a client (numbers from 1000) and a server (from
 * 5000), 10 ms apart unless it says otherwise, and looks at the facts of the
 * last one and at the notes on the flow. */
#include "capture/tcp.h"
#include "capture/ulp.h"
#include "tests/unit.h"

enum { ACK = TCP_ACK, SYN = TCP_SYN, FIN = TCP_FIN | TCP_ACK,
	SYNACK = TCP_SYN | TCP_ACK, RST = TCP_RST, PSH = TCP_PSH | TCP_ACK };

struct play {
	struct flow_pool *pool;
	struct flow_table *table;
	struct ulp *ulp;
	struct flow *f;
	struct instant now;
	struct packet with;	/* what the next segment carries besides */
	struct segment seg;
	uint64_t frame;
};

static struct packet
blank(void)
{
	return (struct packet){ .ip_version = 4, .protocol = IP_TCP,
		.has_transport = true, .window = 8192, .ttl = 128,
		.checksum = CHECKSUM_GOOD };
}

static int64_t answered_ns;		/* by the last segment */

static void
keep_answered(void *context, const struct delivery *d, int64_t took_ns)
{
	(void)context;
	(void)d;
	answered_ns = took_ns;
}

static struct play
play_begin(void)
{
	struct play p = { .pool = flow_pool_new(), .now = { 1000 * NS_PER_S } };

	p.table = flow_table_new(100, p.pool);
	p.ulp = ulp_new(p.pool, 1 << 20, false, &(struct ulp_observer){
	    .on_delivery = keep_answered });
	p.with = blank();
	return p;
}

static void
play_end(struct play *p)
{
	flow_finish_some(p->table, FLOW_END_CAPTURE);
	ulp_release(p->ulp, p->f);
	ulp_free(&p->ulp);
	flow_release(p->pool, p->f);
	flow_table_free(&p->table);
	flow_pool_free(&p->pool);
}

static uint32_t
say(struct play *p, enum side from, unsigned flags, uint32_t seq, uint32_t ack,
    uint32_t bytes)
{
	struct packet *x = &p->with;
	struct delivery d;

	p->now = instant_plus(p->now, 10 * NS_PER_MS);
	x->time = p->now;
	x->frame = ++p->frame;
	x->src = address_from_v4(from == CLIENT ? 0x0a000001 : 0x0a000002);
	x->dst = address_from_v4(from == CLIENT ? 0x0a000002 : 0x0a000001);
	x->sport = from == CLIENT ? 1025 : 445;
	x->dport = from == CLIENT ? 445 : 1025;
	x->tcp_flags = (uint8_t)flags;
	x->seq = seq;
	x->ack = ack;
	x->payload_bytes = bytes;
	if (!p->f)
		p->f = flow_create(p->table, x, CLIENT);
	tcp_segment(p->pool, p->f, x, from, p->now, &p->seg);
	delivery_make(&d, x, p->f, from, &p->seg);
	ulp_take(p->ulp, &d);
	p->with = blank();
	return p->seg.facts;
}

static void
wait_s(struct play *p, double s)
{
	p->now = instant_plus(p->now, (int64_t)(s * 1e9));
}

static void
shake_hands(struct play *p)
{
	say(p, CLIENT, SYN, 999, 0, 0);
	say(p, SERVER, SYNACK, 4999, 1000, 0);
	say(p, CLIENT, ACK, 1000, 5000, 0);
}

static void
test_a_handshake_establishes(void **state)
{
	struct play p = play_begin();

	(void)state;
	CHECK(say(&p, CLIENT, SYN, 999, 0, 0) & SEG_SYN);
	CHECK_EQ(p.f->state, FLOW_NEW);
	CHECK(say(&p, SERVER, SYNACK, 4999, 1000, 0) & SEG_SYN_ACK);
	CHECK(say(&p, CLIENT, ACK, 1000, 5000, 0) & SEG_ESTABLISHES);
	CHECK_EQ(p.f->state, FLOW_ESTABLISHED);
	CHECK(p.f->flags & FLOW_HANDSHAKE);
	play_end(&p);
}

static void
test_data_is_new_once_and_then_sent_again(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	CHECK(say(&p, CLIENT, PSH, 1000, 5000, 100) & SEG_NEW);
	CHECK_EQ(p.seg.new_bytes, 100);
	CHECK(say(&p, CLIENT, PSH, 1000, 5000, 100) & SEG_AGAIN);
	CHECK_EQ(p.f->half[CLIENT].retransmissions, 1);
	CHECK_EQ(p.f->half[CLIENT].una_sends, 2);
	CHECK(say(&p, SERVER, ACK, 5000, 1100, 0) & SEG_ACKS);
	CHECK(say(&p, CLIENT, PSH, 1000, 5000, 100) & SEG_NEEDLESS);
	play_end(&p);
}

static void
test_numbers_wrap(void **state)
{
	struct play p = play_begin();

	(void)state;
	say(&p, CLIENT, SYN, UINT32_MAX - 50, 0, 0);
	say(&p, SERVER, SYNACK, 4999, UINT32_MAX - 49, 0);
	say(&p, CLIENT, ACK, UINT32_MAX - 49, 5000, 0);
	CHECK(say(&p, CLIENT, PSH, UINT32_MAX - 49, 5000, 100) & SEG_NEW);
	CHECK(say(&p, SERVER, ACK, 5000, 50, 0) & SEG_ACKS);
	CHECK_EQ(p.seg.acked_bytes, 100);
	CHECK(!(p.seg.facts & SEG_ACK_AHEAD));
	play_end(&p);
}

/* Frames in a false order: 4 GB of acknowledged bytes would hide any loss. */
static void
test_a_first_ack_from_before_what_we_saw_acknowledges_nothing(void **state)
{
	struct play p = play_begin();

	(void)state;
	say(&p, CLIENT, PSH, 1300, 5000, 100);
	CHECK(say(&p, SERVER, ACK, 5000, 1200, 0) & SEG_ACKS);
	CHECK_EQ(p.seg.acked_bytes, 0);
	say(&p, SERVER, ACK, 5000, 1400, 0);
	CHECK_EQ(p.seg.acked_bytes, 200);
	play_end(&p);
}

static void
test_what_we_missed_counts_as_lost_once_it_is_acknowledged(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	CHECK(say(&p, CLIENT, PSH, 1300, 5000, 100) & SEG_HOLE);
	CHECK_EQ(p.seg.hole_bytes, 300);
	say(&p, SERVER, ACK, 5000, 1400, 0);
	CHECK_EQ(p.seg.lost_bytes, 300);
	play_end(&p);
}

static void
test_a_late_segment_fills_the_hole_and_nothing_is_lost(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1100, 5000, 100);
	CHECK(say(&p, CLIENT, PSH, 1000, 5000, 100) & SEG_LATE);
	CHECK_EQ(p.f->half[CLIENT].retransmissions, 0);
	say(&p, SERVER, ACK, 5000, 1200, 0);
	CHECK_EQ(p.seg.lost_bytes, 0);
	play_end(&p);
}

static void
test_probes_run_until_they_are_answered(void **state)
{
	struct play p = play_begin();
	const struct note *run;

	(void)state;
	shake_hands(&p);
	for (int i = 0; i < 3; i++)
		CHECK(say(&p, CLIENT, ACK, 999, 5000, 1) & SEG_KEEP_ALIVE);
	run = flow_note_find(p.f, NOTE_KEEP_ALIVE, 0, CLIENT);
	CHECK(run && run->open);
	CHECK_EQ(run->count, 3);
	CHECK(say(&p, SERVER, ACK, 5000, 1000, 0) & SEG_KEEP_ALIVE_ACK);
	CHECK(!run->open);
	play_end(&p);
}

static void
test_one_byte_still_outstanding_is_no_probe(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1000, 5000, 1);
	CHECK(!(say(&p, CLIENT, PSH, 1000, 5000, 1) & SEG_KEEP_ALIVE));
	CHECK(p.seg.facts & SEG_AGAIN);
	play_end(&p);
}

static void
test_an_ack_of_unsent_data_is_proved_by_the_senders_own_number(void **state)
{
	struct play p = play_begin();
	const struct note *n;

	(void)state;
	shake_hands(&p);
	CHECK(say(&p, SERVER, ACK, 5000, 1500, 0) & SEG_ACK_AHEAD);
	n = flow_note_find(p.f, NOTE_ACK_AHEAD, 0, SERVER);
	CHECK(n && n->open);
	CHECK_EQ(n->value[2], 0);
	say(&p, CLIENT, ACK, 1000, 5000, 0);
	CHECK_EQ(n->value[2], 1);
	play_end(&p);
}

static void
test_an_ack_of_what_we_missed_is_settled_when_the_sender_goes_on(void **state)
{
	struct play p = play_begin();
	const struct note *n;

	(void)state;
	shake_hands(&p);
	say(&p, SERVER, ACK, 5000, 1500, 0);
	say(&p, CLIENT, PSH, 1500, 5000, 10);
	n = flow_note_find(p.f, NOTE_ACK_AHEAD, 0, SERVER);
	CHECK(n && !n->open);
	CHECK_EQ(n->value[2], 0);
	play_end(&p);
}

static void
test_an_ack_that_goes_back_needs_a_later_packet(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1000, 5000, 300);
	p.with.ip_id = 101;
	say(&p, SERVER, ACK, 5000, 1300, 0);
	p.with.ip_id = 100;	/* sent before: the mirror was late */
	CHECK(say(&p, SERVER, ACK, 5000, 1100, 0) & SEG_ACK_BACK);
	CHECK(!flow_note_find(p.f, NOTE_ACK_BACK, 0, SERVER));
	for (uint32_t ago = 0; ago < 2; ago++) {	/* by its timestamp, too */
		p.with.options.has_timestamps = true;
		p.with.options.ts_value = 700 - 50 * ago;
		wait_s(&p, 1);
		say(&p, SERVER, ACK, 5000, 1300 - 200 * ago, 0);
	}
	CHECK(!flow_note_find(p.f, NOTE_ACK_BACK, 0, SERVER));
	p.with.ip_id = 102;
	say(&p, SERVER, ACK, 5000, 1100, 0);
	CHECK(flow_note_find(p.f, NOTE_ACK_BACK, 0, SERVER));
	play_end(&p);
}

static void
test_a_turn_waits_is_acknowledged_and_is_answered(void **state)
{
	struct play p = play_begin();
	const struct exchange *x;

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1000, 5000, 100);
	x = p.f->waiting;
	CHECK(x && x->flags & EXCHANGE_TURN && x->flags & EXCHANGE_FIRST);
	CHECK(!instant_is_set(x->acked));
	say(&p, SERVER, ACK, 5000, 1100, 0);
	CHECK(instant_is_set(x->acked));
	say(&p, SERVER, PSH, 5000, 1100, 50);
	CHECK(!p.f->waiting);
	CHECK_EQ(answered_ns, 20 * NS_PER_MS);
	CHECK_EQ(p.f->turns, 1);
	play_end(&p);
}

static void
test_an_answer_that_we_missed_ends_the_wait(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1000, 5000, 100);
	say(&p, SERVER, ACK, 5000, 1100, 0);
	say(&p, CLIENT, ACK, 1100, 5050, 0);	/* it has 50 bytes more */
	CHECK(!p.f->waiting);
	play_end(&p);
}

static void
test_a_bare_reset_with_the_clients_own_number_knows_no_connection(void **state)
{
	struct play p = play_begin();
	const struct note *n;

	(void)state;
	shake_hands(&p);
	say(&p, SERVER, PSH, 5000, 1000, 10);
	say(&p, CLIENT, PSH, 1000, 5010, 20);
	CHECK(say(&p, SERVER, RST, 5010, 0, 0) & SEG_RST);
	n = flow_note_find(p.f, NOTE_RESET, 0, SERVER);
	CHECK(n && n->value[1] & RESET_UNKNOWN_CONNECTION);
	CHECK_EQ(p.f->state, FLOW_CLOSED);
	play_end(&p);
}

static void
test_an_abort_carries_ack_and_is_told_apart(void **state)
{
	struct play p = play_begin();
	const struct note *n;

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1000, 5000, 20);
	say(&p, SERVER, TCP_RST | TCP_ACK, 5000, 1020, 0);
	n = flow_note_find(p.f, NOTE_RESET, 0, SERVER);
	CHECK(n && !(n->value[1] & RESET_UNKNOWN_CONNECTION));
	play_end(&p);
}

static void
test_scaling_needs_both_syns(void **state)
{
	struct play p = play_begin();

	(void)state;
	p.with.options = (struct tcp_options){ .has_window_scale = true,
		.window_shift = 7 };
	say(&p, CLIENT, SYN, 999, 0, 0);
	say(&p, SERVER, SYNACK, 4999, 1000, 0);
	CHECK_EQ(p.f->half[CLIENT].shift, 0);
	p.with.window = 100;
	say(&p, CLIENT, ACK, 1000, 5000, 0);
	CHECK_EQ(p.seg.window, 100);
	play_end(&p);
}

static void
test_a_closed_window_counts_probes_and_their_answers(void **state)
{
	struct play p = play_begin();
	const struct note *n;

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1000, 5000, 100);
	p.with.window = 0;
	CHECK(say(&p, SERVER, ACK, 5000, 1100, 0) & SEG_ZERO_WINDOW);
	CHECK(say(&p, CLIENT, ACK, 1100, 5000, 1) & SEG_PROBE);
	p.with.window = 0;
	say(&p, SERVER, ACK, 5000, 1100, 0);
	n = flow_note_find(p.f, NOTE_ZERO_WINDOW, 0, SERVER);
	CHECK(n && n->open);
	CHECK_EQ(n->value[0], 1);
	CHECK_EQ(n->value[1], 1);
	CHECK(say(&p, SERVER, ACK, 5000, 1101, 0) & SEG_WINDOW_OPENS);
	CHECK(!n->open);
	play_end(&p);
}

static void
test_ip_ids_that_change_their_half_are_noted(void **state)
{
	struct play p = play_begin();
	const struct note *n;

	(void)state;
	shake_hands(&p);
	p.with.ip_id = 0x1234;
	say(&p, SERVER, PSH, 5000, 1000, 10);
	p.with.ip_id = 0x8001;
	say(&p, SERVER, PSH, 5010, 1000, 10);
	n = flow_note_find(p.f, NOTE_ID_FLIP, 0, SERVER);
	CHECK(n);
	CHECK_EQ(n->value[0], 1);
	CHECK_EQ(p.f->half[SERVER].ids_high, 1);
	play_end(&p);
}

static void
test_a_syn_on_a_live_session_waits_for_its_synack(void **state)
{
	struct play p = play_begin();
	const struct note *n;

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1000, 5000, 10);
	wait_s(&p, 60);
	CHECK(say(&p, CLIENT, SYN, 70000, 0, 0) & SEG_SYN_ON_LIVE);
	CHECK_EQ(p.f->state, FLOW_ESTABLISHED);
	CHECK(say(&p, SERVER, ACK, 5000, 1010, 0) & SEG_CHALLENGE);
	n = flow_note_find(p.f, NOTE_SYN_AGAIN, 0, CLIENT);
	CHECK_EQ(n->value[1], 1);
	p.with.tcp_flags = SYNACK;
	p.with.seq = 90000;
	p.with.ack = 70001;
	CHECK(tcp_begins_anew(p.f, &p.with, SERVER));
	play_end(&p);
}

static void
test_a_damaged_segment_acknowledges_nothing_unseen(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	p.with.checksum = CHECKSUM_BAD;
	CHECK(!(say(&p, SERVER, ACK, 5000, 900000, 0) & SEG_ACK_AHEAD));
	CHECK(p.seg.facts & SEG_DAMAGED);
	play_end(&p);
}

static void
test_the_round_trip_is_sampled(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1000, 5000, 100);
	say(&p, SERVER, ACK, 5000, 1100, 0);
	CHECK_EQ(p.seg.rtt_ns, 10 * NS_PER_MS);
	CHECK_EQ(half_rto_ns(&p.f->half[CLIENT]), 300 * NS_PER_MS);
	play_end(&p);
}

/* The client's last 80 bytes were missed; the server acknowledged them. */
static void
test_a_probe_beyond_what_we_missed_is_still_a_probe(void **state)
{
	struct play p = play_begin();
	uint32_t facts;

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1000, 5000, 100);
	facts = say(&p, SERVER, ACK, 5000, 1180, 0);
	CHECK(facts & SEG_ACK_AHEAD);
	CHECK(facts & SEG_ACK_UNSEEN);
	facts = say(&p, CLIENT, ACK, 1179, 5000, 1);
	CHECK(facts & SEG_KEEP_ALIVE);
	CHECK(!(facts & SEG_DATA));
	CHECK_EQ(p.seg.lost_bytes, 80);
	facts = say(&p, SERVER, ACK, 5000, 1180, 0);
	CHECK(!(facts & SEG_ACK_AHEAD));
	play_end(&p);
}

static void
test_a_probe_right_after_a_gap_is_known_by_its_answer(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1000, 5000, 100);
	say(&p, CLIENT, ACK, 1179, 5000, 0);
	CHECK(!(say(&p, SERVER, ACK, 5000, 1180, 0) & SEG_ACK_AHEAD));
	CHECK_EQ(p.f->half[CLIENT].next, 1180);
	play_end(&p);
}

static void
test_acks_of_an_unseen_side_prove_that_it_lives(void **state)
{
	struct play p = play_begin();

	(void)state;
	say(&p, CLIENT, SYN, 999, 0, 0);
	CHECK(say(&p, CLIENT, ACK, 1000, 5000, 0) & SEG_ACK_UNSEEN);
	CHECK(!(say(&p, CLIENT, PSH, 1000, 5000, 10) & SEG_ACK_UNSEEN));
	CHECK(say(&p, CLIENT, ACK, 1010, 5100, 0) & SEG_ACK_UNSEEN);
	play_end(&p);
}

static void
test_an_answered_probe_is_remembered_by_the_next(void **state)
{
	struct play p = play_begin();
	struct instant answered;
	const struct note *n;

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, ACK, 999, 5000, 0);
	say(&p, SERVER, ACK, 5000, 1000, 0);
	answered = p.now;
	say(&p, CLIENT, ACK, 999, 5000, 0);
	n = flow_note_find(p.f, NOTE_KEEP_ALIVE, 0, CLIENT);
	CHECK(n && n->open);
	CHECK_EQ(n->value[0], answered.ns);
	play_end(&p);
}

/* Flags, acknowledgment and place of a damaged segment are not believed. */
static void
test_a_damaged_segment_moves_nothing_but_what_was_due(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	say(&p, CLIENT, PSH, 1000, 5000, 100);
	say(&p, SERVER, PSH, 5000, 1100, 50);
	p.with.checksum = CHECKSUM_BAD;
	say(&p, SERVER, RST | ACK, 5050, 1100, 0);
	CHECK_EQ(p.f->state, FLOW_ESTABLISHED);
	p.with.checksum = CHECKSUM_BAD;
	say(&p, CLIENT, PSH, 1100 + 4096, 5050, 100);
	CHECK_EQ(p.f->half[CLIENT].next, 1100);
	p.with.checksum = CHECKSUM_BAD;
	say(&p, CLIENT, PSH | FIN, 1100, 5020, 100);
	CHECK_EQ(p.f->half[CLIENT].next, 1200);
	CHECK_EQ(p.seg.new_bytes, 100);
	CHECK(!p.f->half[CLIENT].acked || p.f->half[CLIENT].acked == 5000);
	play_end(&p);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_probe_beyond_what_we_missed_is_still_a_probe),
    cmocka_unit_test(test_a_probe_right_after_a_gap_is_known_by_its_answer),
    cmocka_unit_test(test_acks_of_an_unseen_side_prove_that_it_lives),
    cmocka_unit_test(test_an_answered_probe_is_remembered_by_the_next),
    cmocka_unit_test(test_a_damaged_segment_moves_nothing_but_what_was_due),
    cmocka_unit_test(test_a_handshake_establishes),
    cmocka_unit_test(test_data_is_new_once_and_then_sent_again),
    cmocka_unit_test(test_numbers_wrap),
    cmocka_unit_test(test_a_first_ack_from_before_what_we_saw_acknowledges_nothing),
    cmocka_unit_test(test_what_we_missed_counts_as_lost_once_it_is_acknowledged),
    cmocka_unit_test(test_a_late_segment_fills_the_hole_and_nothing_is_lost),
    cmocka_unit_test(test_probes_run_until_they_are_answered),
    cmocka_unit_test(test_one_byte_still_outstanding_is_no_probe),
    cmocka_unit_test(test_an_ack_of_unsent_data_is_proved_by_the_senders_own_number),
    cmocka_unit_test(test_an_ack_of_what_we_missed_is_settled_when_the_sender_goes_on),
    cmocka_unit_test(test_an_ack_that_goes_back_needs_a_later_packet),
    cmocka_unit_test(test_a_turn_waits_is_acknowledged_and_is_answered),
    cmocka_unit_test(test_an_answer_that_we_missed_ends_the_wait),
    cmocka_unit_test(test_a_bare_reset_with_the_clients_own_number_knows_no_connection),
    cmocka_unit_test(test_an_abort_carries_ack_and_is_told_apart),
    cmocka_unit_test(test_scaling_needs_both_syns),
    cmocka_unit_test(test_a_closed_window_counts_probes_and_their_answers),
    cmocka_unit_test(test_ip_ids_that_change_their_half_are_noted),
    cmocka_unit_test(test_a_syn_on_a_live_session_waits_for_its_synack),
    cmocka_unit_test(test_a_damaged_segment_acknowledges_nothing_unseen),
    cmocka_unit_test(test_the_round_trip_is_sampled),
)
