/* unit_tcp_analysis.c - what each label of a TCP packet stands for.
 *
 * A test plays a few packets between A and B and looks at the flags of the
 * last. Numbers start at 1000 on A's side and at 5000 on B's; packets are 10 ms
 * apart unless the test says otherwise. */
#include "capture/tcp_analysis.h"
#include "tests/unit.h"

#define NONE 0
#define FLAG(name) TCP_ANALYSIS_##name
/* Both are retransmissions of a kind, and carry that label as well. */
#define SPURIOUS (FLAG(SPURIOUS_RETRANSMISSION) | FLAG(RETRANSMISSION))
#define FAST (FLAG(FAST_RETRANSMISSION) | FLAG(RETRANSMISSION))

enum { A, B };
enum { WINDOW = 8000, A_PORT = 1025, B_PORT = 445 };
enum { ACK = TCP_ACK, SYN = TCP_SYN, FIN = TCP_FIN | TCP_ACK,
	SYNACK = TCP_SYN | TCP_ACK, RST = TCP_RST | TCP_ACK };

struct play {
	struct tcp_analysis *analysis;
	struct packet next;	/* what the next packet will carry, beyond the
				 * arguments of say() */
	uint16_t window[2];
	uint16_t a_port;
	uint32_t a_addr;
};

static struct play
play_begin(void)
{
	struct play p = { .analysis = tcp_analysis_new(),
		.next = { .time = { 1000 * NS_PER_S }, .ip_version = 4 },
		.window = { WINDOW, WINDOW }, .a_port = A_PORT,
		.a_addr = 0x0a000001 };

	CHECK(p.analysis);
	return p;
}

static void
play_end(struct play *p)
{
	tcp_analysis_free(&p->analysis);
}

/* Instead of the usual 10 ms since the packet before. */
static void
in_ns(struct play *p, int64_t ns)
{
	p->next.time = instant_plus(p->next.time, ns - 10 * NS_PER_MS);
}

static uint32_t
say(struct play *p, int from, unsigned flags, uint32_t seq, uint32_t ack,
    uint32_t bytes)
{
	struct packet *x = &p->next;
	struct address a = address_from_v4(p->a_addr);
	struct address b = address_from_v4(0x0a000002);
	uint32_t found;

	x->time = instant_plus(x->time, 10 * NS_PER_MS);
	x->protocol = IP_TCP;
	x->has_transport = true;
	x->tcp_header_bytes = (uint8_t)(x->transport.left ? x->transport.left : 20);
	x->src = from == A ? a : b;
	x->dst = from == A ? b : a;
	x->sport = from == A ? p->a_port : B_PORT;
	x->dport = from == A ? B_PORT : p->a_port;
	x->tcp_flags = (uint8_t)flags;
	x->seq = seq;
	x->ack = ack;
	x->payload_bytes = bytes;
	x->window = p->window[from];
	found = tcp_analysis_packet(p->analysis, x);
	x->options = (struct tcp_options){ 0 };
	x->transport = bytes_of(NULL, 0);
	return found;
}

/* The next packet asks for window scaling. */
static void
with_scale(struct play *p, uint8_t shift)
{
	p->next.options.has_window_scale = true;
	p->next.options.window_shift = shift;
}

/* SYN at 0, SYN-ACK at 10, ACK at 20 ms: a round trip of 20 ms. */
static void
shake_hands(struct play *p)
{
	CHECK_EQ(say(p, A, SYN, 999, 0, 0), NONE);
	CHECK_EQ(say(p, B, SYNACK, 4999, 1000, 0), NONE);
	CHECK_EQ(say(p, A, ACK, 1000, 5000, 0), NONE);
}

/* The capture begins when the connection is already there. */
static void
drop_in(struct play *p)
{
	CHECK_EQ(say(p, A, ACK, 1000, 5000, 0), NONE);
	CHECK_EQ(say(p, B, ACK, 5000, 1000, 0), NONE);
}

static void
test_an_ordinary_conversation_has_no_labels(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 100), NONE);
	CHECK_EQ(say(&p, B, ACK, 5000, 1100, 200), NONE);
	CHECK_EQ(say(&p, A, ACK, 1100, 5200, 0), NONE);
	CHECK_EQ(say(&p, A, FIN, 1100, 5200, 0), NONE);
	CHECK_EQ(say(&p, B, FIN, 5200, 1101, 0), NONE);
	CHECK_EQ(say(&p, A, ACK, 1101, 5201, 0), NONE);
	play_end(&p);
}

static void
test_the_numbers_may_wrap(void **state)
{
	struct play p = play_begin();

	(void)state;
	CHECK_EQ(say(&p, A, ACK, UINT32_MAX - 149, 5000, 100), NONE);
	CHECK_EQ(say(&p, A, ACK, UINT32_MAX - 49, 5000, 100), NONE);
	CHECK_EQ(say(&p, B, ACK, 5000, 50, 0), NONE);
	CHECK_EQ(say(&p, A, ACK, 50, 5000, 100), NONE);
	CHECK_EQ(say(&p, A, ACK, UINT32_MAX - 49, 5000, 100), SPURIOUS);
	play_end(&p);
}

static void
test_data_sent_again_is_a_retransmission(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	say(&p, A, ACK, 1000, 5000, 100);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 100), FLAG(RETRANSMISSION));
	play_end(&p);
}

static void
test_a_fin_counts_so_it_can_be_sent_again(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	say(&p, A, FIN, 1000, 5000, 0);
	CHECK_EQ(say(&p, A, FIN, 1000, 5000, 0), FLAG(RETRANSMISSION));
	play_end(&p);
}

static void
test_data_that_was_acknowledged_is_sent_again_for_nothing(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	say(&p, A, ACK, 1000, 5000, 100);
	say(&p, B, ACK, 5000, 1100, 0);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 100), SPURIOUS);
	play_end(&p);
}

static void
test_a_packet_beyond_the_expected_number_follows_a_lost_one(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	CHECK_EQ(say(&p, A, ACK, 1500, 5000, 0), FLAG(LOST_SEGMENT));
	play_end(&p);
}

static void
test_a_reset_may_have_any_number(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	CHECK_EQ(say(&p, A, RST, 1500, 5000, 0), NONE);
	play_end(&p);
}

/* A gap of 500 bytes after 1100, then what fills it `ns` later. */
static uint32_t
fill_gap(struct play *p, int64_t ns)
{
	say(p, A, ACK, 1000, 5000, 100);
	CHECK_EQ(say(p, A, ACK, 1600, 5000, 100), FLAG(LOST_SEGMENT));
	in_ns(p, ns);
	return say(p, A, ACK, 1100, 5000, 500);
}

static void
test_without_a_handshake_three_ms_tell_late_from_sent_again(void **state)
{
	static const struct { int64_t ns; uint32_t want; } cases[] = {
		{ 0, FLAG(OUT_OF_ORDER) },
		{ 3 * NS_PER_MS - 1, FLAG(OUT_OF_ORDER) },
		{ 3 * NS_PER_MS, FLAG(RETRANSMISSION) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct play p = play_begin();

		drop_in(&p);
		CHECK_EQ(fill_gap(&p, cases[i].ns), cases[i].want);
		play_end(&p);
	}
}

static void
test_with_a_handshake_its_round_trip_tells_late_from_sent_again(void **state)
{
	static const struct { int64_t ns; uint32_t want; } cases[] = {
		{ 20 * NS_PER_MS - 1, FLAG(OUT_OF_ORDER) },
		{ 20 * NS_PER_MS, FLAG(RETRANSMISSION) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct play p = play_begin();

		shake_hands(&p);
		CHECK_EQ(fill_gap(&p, cases[i].ns), cases[i].want);
		play_end(&p);
	}
}

static void
test_the_round_trip_counts_from_the_syn_that_was_answered(void **state)
{
	struct play p = play_begin();

	(void)state;
	say(&p, A, SYN, 999, 0, 0);
	in_ns(&p, 3 * NS_PER_S);
	CHECK_EQ(say(&p, A, SYN, 999, 0, 0), FLAG(RETRANSMISSION));
	say(&p, B, SYNACK, 4999, 1000, 0);
	say(&p, A, ACK, 1000, 5000, 0);
	CHECK_EQ(fill_gap(&p, 20 * NS_PER_MS), FLAG(RETRANSMISSION));
	play_end(&p);
}

static void
test_a_clock_that_runs_back_makes_nothing_late(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	CHECK_EQ(fill_gap(&p, -1), FLAG(RETRANSMISSION));
	play_end(&p);
}

static void
test_the_last_piece_again_is_never_out_of_order(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	say(&p, A, ACK, 1000, 5000, 100);
	in_ns(&p, 1000);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 100), FLAG(RETRANSMISSION));
	say(&p, A, FIN, 1100, 5000, 100);
	in_ns(&p, 1000);
	CHECK_EQ(say(&p, A, FIN, 1100, 5000, 100), FLAG(RETRANSMISSION));
	play_end(&p);
}

static void
test_an_ack_of_what_was_never_seen_says_so_once(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	CHECK_EQ(say(&p, B, ACK, 5000, 1200, 100), FLAG(ACK_LOST_SEGMENT));
	CHECK_EQ(say(&p, B, ACK, 5100, 1200, 100), NONE);
	play_end(&p);
}

static void
test_an_ack_beyond_a_gap_closes_the_gap(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	CHECK_EQ(say(&p, A, ACK, 1500, 5000, 100), FLAG(LOST_SEGMENT));
	CHECK_EQ(say(&p, B, ACK, 5000, 1600, 50), FLAG(ACK_LOST_SEGMENT));
	CHECK_EQ(say(&p, A, ACK, 1600, 5050, 100), NONE);
	CHECK_EQ(say(&p, B, ACK, 5050, 1700, 0), NONE);
	play_end(&p);
}

static void
test_a_number_in_a_packet_that_is_no_ack_means_nothing(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	CHECK_EQ(say(&p, B, TCP_PSH, 5000, 1200, 100), NONE);
	play_end(&p);
}

static void
test_a_duplicate_of_the_silent_side_does_not_repeat_the_loss(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	CHECK_EQ(say(&p, B, ACK, 5000, 1200, 100), FLAG(ACK_LOST_SEGMENT));
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 0), FLAG(DUPLICATE_ACK));
	CHECK_EQ(say(&p, B, ACK, 5100, 1200, 100), NONE);
	play_end(&p);
}

static void
test_after_an_unseen_loss_the_duplicates_count_as_many(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	in_ns(&p, 1);
	say(&p, B, ACK, 5000, 1000, 100);
	in_ns(&p, 1);
	CHECK_EQ(say(&p, B, ACK, 5100, 1200, 100), FLAG(ACK_LOST_SEGMENT));
	in_ns(&p, 1);
	CHECK_EQ(say(&p, B, ACK, 5000, 1200, 100), FAST);
	play_end(&p);
}

static void
test_the_same_ack_again_is_a_duplicate(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 0), FLAG(DUPLICATE_ACK));
	play_end(&p);
}

static void
test_the_same_ack_with_data_is_no_duplicate(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 50), NONE);
	play_end(&p);
}

static void
test_the_same_ack_with_another_window_is_a_window_update(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	p.window[B] = WINDOW + 1;
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 0), FLAG(WINDOW_UPDATE));
	play_end(&p);
}

/* The segment at 1000 is missing at B, who asks for it `asked` times; it comes
 * `ns` after the last of these. */
static uint32_t
recover(struct play *p, int asked, int64_t ns)
{
	drop_in(p);
	say(p, A, ACK, 1000, 5000, 100);
	say(p, A, ACK, 1100, 5000, 100);
	for (int i = 0; i < asked; i++)
		CHECK_EQ(say(p, B, ACK, 5000, 1000, 0), FLAG(DUPLICATE_ACK));
	in_ns(p, ns);
	return say(p, A, ACK, 1000, 5000, 100);
}

static void
test_two_duplicate_acks_make_the_answer_a_fast_retransmission(void **state)
{
	static const struct { int asked; int64_t ns; uint32_t want; } cases[] = {
		{ 1, 1, FLAG(RETRANSMISSION) },
		{ 2, 1, FAST },
		{ 2, 20 * NS_PER_MS - 1, FAST },
		{ 2, 20 * NS_PER_MS, FLAG(RETRANSMISSION) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct play p = play_begin();

		CHECK_EQ(recover(&p, cases[i].asked, cases[i].ns),
		    cases[i].want);
		play_end(&p);
	}
}

static void
test_only_what_was_asked_for_is_a_fast_retransmission(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	say(&p, A, ACK, 1000, 5000, 100);
	say(&p, A, ACK, 1100, 5000, 100);
	say(&p, B, ACK, 5000, 1000, 0);
	say(&p, B, ACK, 5000, 1000, 0);
	in_ns(&p, 1);
	CHECK_EQ(say(&p, A, ACK, 1100, 5000, 100), FLAG(RETRANSMISSION));
	play_end(&p);
}

static void
test_a_new_ack_ends_the_count_of_duplicates(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	say(&p, A, ACK, 1000, 5000, 300);
	say(&p, B, ACK, 5000, 1000, 0);
	say(&p, B, ACK, 5000, 1000, 0);
	CHECK_EQ(say(&p, B, ACK, 5000, 1100, 0), NONE);
	in_ns(&p, 1);
	CHECK_EQ(say(&p, A, ACK, 1100, 5000, 200), FLAG(RETRANSMISSION));
	play_end(&p);
}

static void
test_a_keep_alive_repeats_the_last_number_with_a_byte_or_none(void **state)
{
	(void)state;
	for (uint32_t bytes = 0; bytes <= 1; bytes++) {
		struct play p = play_begin();

		drop_in(&p);
		CHECK_EQ(say(&p, A, ACK, 999, 5000, bytes), FLAG(KEEP_ALIVE));
		play_end(&p);
	}
}

static void
test_the_answer_to_a_keep_alive_is_no_duplicate_ack(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	say(&p, A, ACK, 999, 5000, 1);
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 0), FLAG(KEEP_ALIVE_ACK));
	play_end(&p);
}

static void
test_a_zero_window_counts_only_while_the_connection_is_open(void **state)
{
	static const unsigned closing[] = { SYN, FIN, RST };

	(void)state;
	for (size_t i = 0; i < sizeof(closing) / sizeof(closing[0]); i++) {
		struct play p = play_begin();

		p.window[B] = 0;
		CHECK_EQ(say(&p, B, closing[i], 5000, 1000, 0), NONE);
		CHECK_EQ(say(&p, B, ACK, 5001, 1000, 0) & FLAG(ZERO_WINDOW),
		    FLAG(ZERO_WINDOW));
		play_end(&p);
	}
}

static void
test_one_new_byte_into_a_closed_window_is_a_probe(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	p.window[B] = 0;
	say(&p, B, ACK, 5000, 1000, 0);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 1), FLAG(ZERO_WINDOW_PROBE));
	play_end(&p);
}

static void
test_the_answer_to_a_probe_has_its_own_label(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	p.window[B] = 0;
	say(&p, B, ACK, 5000, 1000, 0);
	say(&p, A, ACK, 1000, 5000, 1);
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 0),
	    FLAG(ZERO_WINDOW_PROBE_ACK) | FLAG(ZERO_WINDOW));
	play_end(&p);
}

static void
test_data_goes_on_where_a_probe_was(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	p.window[B] = 0;
	say(&p, B, ACK, 5000, 1000, 0);
	say(&p, A, ACK, 1000, 5000, 1);
	p.window[B] = WINDOW;
	say(&p, B, ACK, 5000, 1000, 0);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 1), NONE);
	play_end(&p);
}

static void
test_data_may_begin_with_the_byte_of_a_probe(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	CHECK_EQ(say(&p, A, ACK, 999, 5000, 2), NONE);
	play_end(&p);
}

static void
test_a_window_is_not_full_while_its_scale_is_unknown(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, WINDOW), NONE);
	play_end(&p);
}

static void
test_data_up_to_the_edge_fills_the_window(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, WINDOW - 1), NONE);
	CHECK_EQ(say(&p, A, ACK, 1000 + WINDOW - 1, 5000, 1),
	    FLAG(WINDOW_FULL));
	play_end(&p);
}

static void
test_a_fin_does_not_fill_the_window(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	CHECK_EQ(say(&p, A, FIN, 1000, 5000, WINDOW), NONE);
	play_end(&p);
}

static void
test_a_syn_without_a_scale_settles_it_for_both_sides(void **state)
{
	struct play p = play_begin();

	(void)state;
	say(&p, A, SYN, 999, 0, 0);
	say(&p, B, ACK, 5000, 1000, 0);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, WINDOW), FLAG(WINDOW_FULL));
	play_end(&p);
}

/* A handshake in which A and B ask for these shifts (-1: for none), and B's
 * first window after it. */
static void
shake_hands_scaled(struct play *p, int a_shift, int b_shift)
{
	if (a_shift >= 0)
		with_scale(p, (uint8_t)a_shift);
	say(p, A, SYN, 999, 0, 0);
	if (b_shift >= 0)
		with_scale(p, (uint8_t)b_shift);
	say(p, B, SYNACK, 4999, 1000, 0);
	say(p, A, ACK, 1000, 5000, 0);
	p->window[B] = 100;
	say(p, B, ACK, 5000, 1000, 0);
}

static void
test_the_edge_is_where_the_agreed_scale_puts_it(void **state)
{
	static const struct { int a, b; uint32_t edge; } cases[] = {
		{ 7, 3, 100 << 3 },
		{ 7, 0, 100 },
		{ 7, 15, 100 << 14 },	/* RFC 7323, 2.3 */
		{ -1, 3, 100 },
		{ 7, -1, 100 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct play p = play_begin();

		shake_hands_scaled(&p, cases[i].a, cases[i].b);
		CHECK_EQ(say(&p, A, ACK, 1000, 5000, cases[i].edge),
		    FLAG(WINDOW_FULL));
		play_end(&p);
	}
}

static void
test_the_window_of_a_syn_is_not_scaled(void **state)
{
	struct play p = play_begin();

	(void)state;
	with_scale(&p, 7);
	say(&p, A, SYN, 999, 0, 0);
	with_scale(&p, 7);
	say(&p, B, SYNACK, 4999, 1000, 0);
	say(&p, A, ACK, 1000, 5000, 0);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, WINDOW), FLAG(WINDOW_FULL));
	play_end(&p);
}

static void
test_the_same_syn_again_is_a_retransmission(void **state)
{
	struct play p = play_begin();

	(void)state;
	say(&p, A, SYN, 999, 0, 0);
	CHECK_EQ(say(&p, A, SYN, 999, 0, 0), FLAG(RETRANSMISSION));
	play_end(&p);
}

static void
test_another_syn_reuses_the_ports_and_all_is_forgotten(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	say(&p, A, ACK, 1000, 5000, 100);
	CHECK_EQ(say(&p, A, SYN, 70000, 0, 0), FLAG(REUSED_PORTS));
	CHECK_EQ(say(&p, B, SYNACK, 80000, 70001, 0), NONE);
	CHECK_EQ(say(&p, A, ACK, 70001, 80001, 0), NONE);
	play_end(&p);
}

static void
test_another_syn_ack_reuses_the_ports(void **state)
{
	struct play p = play_begin();

	(void)state;
	say(&p, A, SYN, 999, 0, 0);
	say(&p, B, SYNACK, 4999, 1000, 0);
	CHECK_EQ(say(&p, B, SYNACK, 4000, 1000, 0),
	    FLAG(REUSED_PORTS) | FLAG(RETRANSMISSION));
	CHECK_EQ(say(&p, B, SYNACK, 4000, 1000, 0), FLAG(RETRANSMISSION));
	play_end(&p);
}

static void
test_the_same_syn_undoes_the_number_of_a_reset(void **state)
{
	struct play p = play_begin();

	(void)state;
	shake_hands(&p);
	say(&p, A, RST, 9000, 5000, 0);
	say(&p, A, SYN, 999, 0, 0);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 100), NONE);
	play_end(&p);
}

static void
test_other_ports_are_another_conversation(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	p.a_port++;
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 0), NONE);
	p.a_port--;
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 0), FLAG(DUPLICATE_ACK));
	play_end(&p);
}

static void
test_two_ends_on_one_address_are_told_apart_by_port(void **state)
{
	struct play p = play_begin();

	(void)state;
	p.a_addr = 0x0a000002;
	drop_in(&p);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 100), NONE);
	CHECK_EQ(say(&p, B, ACK, 5000, 1100, 100), NONE);
	CHECK_EQ(say(&p, B, ACK, 5100, 1200, 100), FLAG(ACK_LOST_SEGMENT));
	play_end(&p);
}

static void
test_options_cut_by_the_snap_length_are_learned_from_in_silence(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	p.next.options.cut = true;
	p.next.captured_bytes = 60;
	p.next.wire_bytes = 66;
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 0), NONE);
	say(&p, A, ACK, 1000, 5000, 200);
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 0), FLAG(DUPLICATE_ACK));
	in_ns(&p, 1);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 100), FAST);
	play_end(&p);
}

static void
test_a_frame_that_ends_inside_the_header_has_no_numbers(void **state)
{
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	p.next.options.cut = true;
	p.next.captured_bytes = p.next.wire_bytes = 60;
	CHECK_EQ(say(&p, A, ACK, 9000, 9000, 0), NONE);
	CHECK_EQ(say(&p, A, ACK, 1000, 5000, 100), NONE);
	CHECK_EQ(say(&p, B, ACK, 5000, 1100, 0), NONE);
	play_end(&p);
}

static void
test_an_ack_repeated_for_a_multipath_option_is_no_duplicate(void **state)
{
	/* A header with ADD_ADDR, kind 30, subtype 3 (RFC 8684, 3.4.1). */
	static const uint8_t header[28] = { [20] = 30, 8, 0x34, 1, 10, 0, 0, 9 };
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	p.next.transport = bytes_of(header, sizeof(header));
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 0), FLAG(DUPLICATE_ACK));
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 0), NONE);
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 0), FLAG(DUPLICATE_ACK));
	play_end(&p);
}

/* What A's ACK of its own FIN's end is called, after `segments` that B never
 * acknowledged, the FIN not among them. */
static uint32_t
end_one_way(uint32_t segments)
{
	struct play p = play_begin();
	uint32_t seq = 1000, found;

	for (uint32_t i = 0; i < segments; i++, seq += 10)
		say(&p, A, ACK, seq, 5000, 10);
	say(&p, A, FIN, seq, 5000, 0);
	found = say(&p, A, ACK, seq + 1, 5001, 0);
	play_end(&p);
	return found;
}

static void
test_a_multipath_request_without_a_key_changes_nothing(void **state)
{
	/* MP_CAPABLE of version 1 in a first SYN (RFC 8684, 3.1). */
	static const uint8_t header[24] = { [20] = 30, 4, 0x01, 1 };
	struct play p = play_begin();

	(void)state;
	drop_in(&p);
	p.next.transport = bytes_of(header, sizeof(header));
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 0), FLAG(DUPLICATE_ACK));
	CHECK_EQ(say(&p, B, ACK, 5000, 1000, 0), FLAG(DUPLICATE_ACK));
	play_end(&p);
}

static void
test_a_fin_no_longer_counts_after_ten_thousand_unacknowledged(void **state)
{
	(void)state;
	CHECK_EQ(end_one_way(9999), NONE);
	CHECK_EQ(end_one_way(10000), FLAG(LOST_SEGMENT));
}

static void
test_acknowledged_segments_no_longer_count(void **state)
{
	struct play p = play_begin();
	uint32_t seq = 1000;

	(void)state;
	for (uint32_t i = 0; i < 12000; i++, seq += 10) {
		say(&p, A, ACK, seq, 5000, 10);
		if (i % 100 == 0)
			say(&p, B, ACK, 5000, seq + 5, 0);
	}
	say(&p, A, FIN, seq, 5000, 0);
	CHECK_EQ(say(&p, A, ACK, seq + 1, 5000, 10), NONE);
	play_end(&p);
}

static void
test_what_is_remembered_has_a_limit_and_is_counted(void **state)
{
	enum { CONVERSATIONS = 600000 };
	struct play p = play_begin();
	struct tcp_analysis_stats stats;

	(void)state;
	for (uint32_t i = 0; i < CONVERSATIONS; i++) {
		p.a_addr = 0x0b000000 + i / 1000;
		p.a_port = (uint16_t)(2000 + i % 1000);
		say(&p, A, SYN, 999, 0, 0);
	}
	tcp_analysis_stats(p.analysis, &stats);
	CHECK_EQ(stats.conversations, CONVERSATIONS);
	CHECK(stats.forgotten >= CONVERSATIONS - 262144);
	CHECK(stats.forgotten < CONVERSATIONS);
	CHECK_EQ(say(&p, A, SYN, 999, 0, 0), FLAG(RETRANSMISSION));
	play_end(&p);
}

static void
test_only_tcp_is_judged(void **state)
{
	struct tcp_analysis *a = tcp_analysis_new();
	struct packet udp = { .protocol = IP_UDP, .has_transport = true };
	struct packet piece = { .protocol = IP_TCP, .is_fragment = true };
	struct tcp_analysis_stats stats;

	(void)state;
	CHECK_EQ(tcp_analysis_packet(a, &udp), NONE);
	CHECK_EQ(tcp_analysis_packet(a, &piece), NONE);
	tcp_analysis_stats(a, &stats);
	CHECK_EQ(stats.conversations, 0);
	tcp_analysis_free(&a);
	CHECK(!a);
}

static void
test_the_names_are_sorted(void **state)
{
	(void)state;
	for (unsigned bit = 1; bit < TCP_ANALYSIS_COUNT; bit++)
		CHECK(strcmp(tcp_analysis_flag_name(bit - 1),
		    tcp_analysis_flag_name(bit)) < 0);
	CHECK_STR(tcp_analysis_flag_name(TCP_ANALYSIS_WINDOW_FULL_BIT),
	    "window_full");
	CHECK_STR(tcp_analysis_flag_name(TCP_ANALYSIS_COUNT), "");
}

UNIT_TESTS(
    cmocka_unit_test(test_an_ordinary_conversation_has_no_labels),
    cmocka_unit_test(test_the_numbers_may_wrap),
    cmocka_unit_test(test_data_sent_again_is_a_retransmission),
    cmocka_unit_test(test_a_fin_counts_so_it_can_be_sent_again),
    cmocka_unit_test(test_data_that_was_acknowledged_is_sent_again_for_nothing),
    cmocka_unit_test(test_a_packet_beyond_the_expected_number_follows_a_lost_one),
    cmocka_unit_test(test_a_reset_may_have_any_number),
    cmocka_unit_test(test_without_a_handshake_three_ms_tell_late_from_sent_again),
    cmocka_unit_test(test_with_a_handshake_its_round_trip_tells_late_from_sent_again),
    cmocka_unit_test(test_the_round_trip_counts_from_the_syn_that_was_answered),
    cmocka_unit_test(test_a_clock_that_runs_back_makes_nothing_late),
    cmocka_unit_test(test_the_last_piece_again_is_never_out_of_order),
    cmocka_unit_test(test_an_ack_of_what_was_never_seen_says_so_once),
    cmocka_unit_test(test_an_ack_beyond_a_gap_closes_the_gap),
    cmocka_unit_test(test_a_number_in_a_packet_that_is_no_ack_means_nothing),
    cmocka_unit_test(test_a_duplicate_of_the_silent_side_does_not_repeat_the_loss),
    cmocka_unit_test(test_after_an_unseen_loss_the_duplicates_count_as_many),
    cmocka_unit_test(test_the_same_ack_again_is_a_duplicate),
    cmocka_unit_test(test_the_same_ack_with_data_is_no_duplicate),
    cmocka_unit_test(test_the_same_ack_with_another_window_is_a_window_update),
    cmocka_unit_test(test_two_duplicate_acks_make_the_answer_a_fast_retransmission),
    cmocka_unit_test(test_only_what_was_asked_for_is_a_fast_retransmission),
    cmocka_unit_test(test_a_new_ack_ends_the_count_of_duplicates),
    cmocka_unit_test(test_a_keep_alive_repeats_the_last_number_with_a_byte_or_none),
    cmocka_unit_test(test_the_answer_to_a_keep_alive_is_no_duplicate_ack),
    cmocka_unit_test(test_a_zero_window_counts_only_while_the_connection_is_open),
    cmocka_unit_test(test_one_new_byte_into_a_closed_window_is_a_probe),
    cmocka_unit_test(test_the_answer_to_a_probe_has_its_own_label),
    cmocka_unit_test(test_data_goes_on_where_a_probe_was),
    cmocka_unit_test(test_data_may_begin_with_the_byte_of_a_probe),
    cmocka_unit_test(test_a_window_is_not_full_while_its_scale_is_unknown),
    cmocka_unit_test(test_data_up_to_the_edge_fills_the_window),
    cmocka_unit_test(test_a_fin_does_not_fill_the_window),
    cmocka_unit_test(test_a_syn_without_a_scale_settles_it_for_both_sides),
    cmocka_unit_test(test_the_edge_is_where_the_agreed_scale_puts_it),
    cmocka_unit_test(test_the_window_of_a_syn_is_not_scaled),
    cmocka_unit_test(test_the_same_syn_again_is_a_retransmission),
    cmocka_unit_test(test_another_syn_reuses_the_ports_and_all_is_forgotten),
    cmocka_unit_test(test_another_syn_ack_reuses_the_ports),
    cmocka_unit_test(test_the_same_syn_undoes_the_number_of_a_reset),
    cmocka_unit_test(test_other_ports_are_another_conversation),
    cmocka_unit_test(test_two_ends_on_one_address_are_told_apart_by_port),
    cmocka_unit_test(test_options_cut_by_the_snap_length_are_learned_from_in_silence),
    cmocka_unit_test(test_a_frame_that_ends_inside_the_header_has_no_numbers),
    cmocka_unit_test(test_an_ack_repeated_for_a_multipath_option_is_no_duplicate),
    cmocka_unit_test(test_a_multipath_request_without_a_key_changes_nothing),
    cmocka_unit_test(test_a_fin_no_longer_counts_after_ten_thousand_unacknowledged),
    cmocka_unit_test(test_acknowledged_segments_no_longer_count),
    cmocka_unit_test(test_what_is_remembered_has_a_limit_and_is_counted),
    cmocka_unit_test(test_only_tcp_is_judged),
    cmocka_unit_test(test_the_names_are_sorted),
)
