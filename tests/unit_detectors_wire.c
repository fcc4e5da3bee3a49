/* unit_detectors_wire.c - what the detectors of checksums, windows, numbers,
 * options and hand-overs make of frames, each beside its innocent twin. */
#include "detectors/memo.h"
#include "detectors/window_collapse.h"
#include "tests/office_rig.h"
#include "tests/unit.h"

/* --- checksums ----------------------------------------------------------- */

/* Each answer first leaves with `sum`, and if `again` a second time, right. */
static void
answer_with_sums(struct talk *t, enum rig_sum sum, bool again, int64_t later_ms)
{
	uint32_t at;

	rig_wait(t->rig, 300);
	say(t, (struct line){ .from = CLIENT, .bytes = 80 });
	rig_wait(t->rig, 3);
	at = t->next[SERVER];
	say(t, (struct line){ .from = SERVER, .bytes = 300, .sum = sum });
	if (again) {
		rig_wait(t->rig, later_ms);
		say(t, (struct line){ .from = SERVER, .bytes = 300, .at = true,
		    .seq = at, .id = later_ms ? 0 : t->host[SERVER]->id });
	}
	rig_wait(t->rig, 1);
	say(t, (struct line){ .from = CLIENT });
}

static void
test_undone_sums_that_are_acknowledged_are_an_artifact(void **state)
{
	struct office o;

	(void)state;
	office_open(&o, WITH_MSS);
	for (int i = 0; i < 8; i++)
		answer_with_sums(&o.talk[i % CLIENTS], SUM_UNDONE, false, 0);
	rig_finish(&o.rig);
	CHECK_EQ(rig_found(&o.rig, FINDING_checksum_artifact, "partial", 0), 1);
	CHECK_EQ(rig_found(&o.rig, FINDING_checksum_discarded, NULL, 0), 0);
	CHECK_EQ(rig_found(&o.rig, FINDING_checksum_unresolved, NULL, 0), 0);
	rig_close(&o.rig);
}

static void
test_wrong_sums_that_must_be_sent_again_are_discarded(void **state)
{
	struct office o;

	(void)state;
	office_open(&o, WITH_MSS);
	for (int i = 0; i < 8; i++)
		answer_with_sums(&o.talk[i % 2], SUM_WRONG, true, 400);
	rig_finish(&o.rig);
	CHECK_EQ(rig_found(&o.rig, FINDING_checksum_discarded, NULL,
	    SEVERITY_HIGH), 2);
	CHECK_EQ(rig_found(&o.rig, FINDING_checksum_artifact, NULL, 0), 0);
	rig_close(&o.rig);
}

static void
test_a_frame_seen_before_and_behind_its_card_is_an_artifact(void **state)
{
	struct office o;

	(void)state;
	office_open(&o, WITH_MSS);
	for (int i = 0; i < 8; i++)
		answer_with_sums(&o.talk[i % 2], SUM_UNDONE, true, 0);
	rig_finish(&o.rig);
	CHECK_EQ(rig_found(&o.rig, FINDING_checksum_discarded, NULL, 0), 0);
	CHECK_EQ(rig_found(&o.rig, FINDING_checksum_artifact, "partial", 0), 1);
	rig_close(&o.rig);
}

static void
test_one_flipped_bit_makes_no_incident(void **state)
{
	struct office o;

	(void)state;
	office_open(&o, WITH_MSS);
	answer_with_sums(&o.talk[0], SUM_WRONG, true, 400);
	rig_finish(&o.rig);
	CHECK_EQ(rig_found(&o.rig, FINDING_checksum_discarded, NULL,
	    SEVERITY_MEDIUM), 0);
	rig_close(&o.rig);
}

/* A DHCP message (RFC 2131, 2) of the client with this number. */
static void
dhcp(struct office *o, unsigned client, bool from_server, uint8_t type,
    enum rig_sum sum)
{
	static uint8_t frame[RIG_FRAME_BYTES];
	static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };
	const uint8_t mac[6] = { 0, 0x14, 0x22, 9, 9, (uint8_t)client };
	uint32_t src = from_server ? o->server.ip : 0, bytes = 8 + 300;
	uint8_t *udp = frame + 34, *b = udp + 8;

	memset(udp, 0, bytes);
	put16(udp, from_server ? 67 : 68);
	put16(udp + 2, from_server ? 68 : 67);
	put16(udp + 4, bytes);
	b[0] = from_server ? 2 : 1;
	b[1] = 1;
	b[2] = 6;
	put32(b + 4, 0x1000 + client);
	memcpy(b + 28, mac, sizeof(mac));
	put32(b + 236, 0x63825363);
	memcpy(b + 240, (uint8_t[]){ 53, 1, type, 255 }, 4);
	rig_sum(udp, bytes, 6, rig_pseudo(src, 0xffffffff, IP_UDP, bytes), sum);
	rig_send(&o->rig, frame, all, from_server ? o->server.mac : mac, src,
	    0xffffffff, IP_UDP, from_server ? rig_id(&o->server, false) :
	    (uint16_t)client, 128, bytes);
}

static void
test_a_repeated_question_means_that_the_answer_was_thrown_away(void **state)
{
	struct office o;

	(void)state;
	office_open(&o, WITH_MSS);
	for (unsigned i = 0; i < 9; i++) {
		rig_wait(&o.rig, 4000);
		dhcp(&o, i / 3, false, 1, SUM_RIGHT);	/* DISCOVER */
		rig_wait(&o.rig, 4);
		dhcp(&o, i / 3, true, 2, SUM_UNDONE);	/* OFFER */
	}
	rig_finish(&o.rig);
	CHECK_EQ(rig_found(&o.rig, FINDING_checksum_discarded, NULL,
	    SEVERITY_HIGH), 1);
	rig_close(&o.rig);
}

static void
test_an_offer_that_is_taken_up_is_an_artifact(void **state)
{
	struct office o;

	(void)state;
	office_open(&o, WITH_MSS);
	for (unsigned i = 0; i < 4; i++) {
		rig_wait(&o.rig, 500);
		dhcp(&o, i, false, 1, SUM_RIGHT);
		rig_wait(&o.rig, 4);
		dhcp(&o, i, true, 2, SUM_UNDONE);
		rig_wait(&o.rig, 4);
		dhcp(&o, i, false, 3, SUM_RIGHT);	/* REQUEST */
	}
	rig_finish(&o.rig);
	CHECK_EQ(rig_found(&o.rig, FINDING_checksum_discarded, NULL, 0), 0);
	CHECK_EQ(rig_found(&o.rig, FINDING_checksum_artifact, "partial", 0), 1);
	rig_close(&o.rig);
}

/* --- sizes --------------------------------------------------------------- */

static void
test_large_segments_are_judged_by_their_receiver(void **state)
{
	for (int taken = 0; taken < 2; taken++) {
		struct office o;
		struct talk *t;
		uint32_t at;

		(void)state;
		office_open(&o, WITH_MSS);
		t = &o.talk[0];
		at = t->next[SERVER];
		say(t, (struct line){ .from = CLIENT, .bytes = 80 });
		for (int i = 0; i < 4; i++) {
			rig_wait(&o.rig, 500 << i);
			say(t, (struct line){ .from = SERVER, .bytes = 2920,
			    .at = true, .seq = at });
			if (taken)
				say(t, (struct line){ .from = CLIENT,
				    .acks = true, .ack = at += 2920 });
		}
		t->next[SERVER] = at;
		office_goes_on(&o, 1000);
		rig_finish(&o.rig);
		CHECK_EQ(rig_found(&o.rig, FINDING_oversized_segment,
		    "mss_violation", SEVERITY_HIGH), taken ? 0 : 1);
		CHECK_EQ(rig_found(&o.rig, FINDING_oversized_segment,
		    "coalesced", 0), taken ? 1 : 0);
		rig_close(&o.rig);
	}
}

/* --- windows ------------------------------------------------------------- */

static void
test_a_step_by_the_scale_is_told_from_others(void **state)
{
	(void)state;
	CHECK_EQ(scale_change(32128, 32128 << 7, 7, 4), SCALE_NOT_APPLIED);
	CHECK_EQ(scale_change(32128, 31744 << 7, 7, 4), SCALE_NOT_APPLIED);
	CHECK_EQ(scale_change(130432, 65535 << 5, 5, 4), SCALE_NOT_APPLIED);
	CHECK_EQ(scale_change(130176, 4064, 5, 4), SCALE_APPLIED_TWICE);
	CHECK_EQ(scale_change(129792, 256, 8, 4), SCALE_APPLIED_TWICE);
	CHECK_EQ(scale_change(32128, 64256, 7, 4), SCALE_KEPT);
	CHECK_EQ(scale_change(64256, 16000, 7, 4), SCALE_KEPT);
	CHECK_EQ(scale_change(32128, 32128 << 7, 0, 4), SCALE_KEPT);
	CHECK_EQ(scale_change(32128, 0, 7, 4), SCALE_KEPT);
}

static void
test_a_window_without_its_scale_is_noticed(void **state)
{
	struct office o;

	(void)state;
	office_open(&o, WITH_MSS | WITH_SCALE);
	o.talk[0].window[SERVER] = 65280;	/* 510 << 7, not shifted */
	for (int i = 0; i < 5; i++)
		rig_turn(&o.talk[0], 80, 300, false);
	rig_finish(&o.rig);
	CHECK_EQ(rig_found(&o.rig, FINDING_window_collapse, "scale_lost",
	    SEVERITY_HIGH), 1);
	rig_close(&o.rig);
}

static void
test_a_window_that_fills_and_opens_is_none_of_it(void **state)
{
	static const uint16_t windows[] = { 512, 256, 64, 4, 512, 512, 512, 512 };
	struct office o;

	(void)state;
	office_open(&o, WITH_MSS | WITH_SCALE);
	for (unsigned i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		uint32_t bytes = i && windows[i] < windows[i - 1] ?
		    (uint32_t)(windows[i - 1] - windows[i]) << 7 : 0;

		for (; bytes >= 1024; bytes -= 1024)
			say(&o.talk[0], (struct line){ .from = CLIENT,
			    .bytes = 1024 });
		rig_wait(&o.rig, 20);
		o.talk[0].window[SERVER] = windows[i];
		say(&o.talk[0], (struct line){ .from = SERVER });
	}
	rig_finish(&o.rig);
	CHECK_EQ(rig_found(&o.rig, FINDING_window_collapse, NULL, 0), 0);
	rig_close(&o.rig);
}

/* The client fills a window that stays closed for so many rounds of probes. */
static void
closed_window(struct office *o, unsigned rounds, bool answers)
{
	struct talk *t = &o->talk[0];

	say(t, (struct line){ .from = CLIENT, .bytes = 1000 });
	rig_wait(&o->rig, 2);
	say(t, (struct line){ .from = SERVER, .has_window = true });
	for (unsigned i = 0; i < rounds; i++) {
		rig_wait(&o->rig, 5000);
		say(t, (struct line){ .from = CLIENT, .at = true,
		    .seq = t->next[CLIENT] - 1 });
		rig_wait(&o->rig, 1);
		if (answers)
			say(t, (struct line){ .from = SERVER,
			    .has_window = true });
		rig_turn(&o->talk[1], 80, 300, false);
	}
}

static void
test_a_window_that_stays_closed_is_a_stall(void **state)
{
	struct office o;

	(void)state;
	office_open(&o, WITH_MSS);
	closed_window(&o, 8, true);
	rig_finish(&o.rig);
	CHECK_EQ(rig_found(&o.rig, FINDING_zero_window_stall, "persist",
	    SEVERITY_MEDIUM), 1);
	rig_close(&o.rig);
	office_open(&o, WITH_MSS);
	closed_window(&o, 8, false);
	rig_finish(&o.rig);
	CHECK_EQ(rig_found(&o.rig, FINDING_zero_window_stall, "probe_unanswered",
	    SEVERITY_MEDIUM), 1);
	rig_close(&o.rig);
}

static void
test_a_window_that_opens_soon_is_flow_control(void **state)
{
	struct office o;

	(void)state;
	office_open(&o, WITH_MSS);
	closed_window(&o, 1, true);
	say(&o.talk[0], (struct line){ .from = SERVER });
	office_goes_on(&o, 60000);
	rig_finish(&o.rig);
	CHECK_EQ(rig_found(&o.rig, FINDING_zero_window_stall, NULL, 0), 0);
	rig_close(&o.rig);
}

/* --- numbers ------------------------------------------------------------- */

static void
test_an_ack_of_what_was_never_sent_needs_the_senders_word(void **state)
{
	for (int missed = 0; missed < 2; missed++) {
		struct office o;
		struct talk *t;

		(void)state;
		office_open(&o, WITH_MSS);
		t = &o.talk[0];
		for (int i = 0; i < 4; i++) {
			rig_wait(&o.rig, 500);
			say(t, (struct line){ .from = SERVER, .acks = true,
			    .ack = t->next[CLIENT] + 64 });
			if (missed)	/* it was sent; we did not see it */
				t->next[CLIENT] += 64;
			rig_wait(&o.rig, 200);
			say(t, (struct line){ .from = CLIENT });
		}
		rig_finish(&o.rig);
		CHECK_EQ(rig_found(&o.rig, FINDING_sequence_violation,
		    "ack_unsent", SEVERITY_HIGH), missed ? 0 : 1);
		rig_close(&o.rig);
	}
}

static void
test_an_old_ack_that_comes_late_is_no_step_back(void **state)
{
	for (int late = 0; late < 2; late++) {
		struct office o;
		struct talk *t;

		(void)state;
		office_open(&o, WITH_MSS);
		t = &o.talk[0];
		for (int i = 0; i < 3; i++) {
			rig_turn(t, 80, 300, false);
			rig_wait(&o.rig, 500);
			say(t, (struct line){ .from = SERVER, .acks = true,
			    .ack = t->next[CLIENT] - 40,
			    .id = late ? (uint16_t)(o.server.id - 1) : 0 });
		}
		rig_finish(&o.rig);
		CHECK_EQ(rig_found(&o.rig, FINDING_sequence_violation,
		    "ack_regressed", SEVERITY_MEDIUM), late ? 0 : 1);
		rig_close(&o.rig);
	}
}

static void
test_other_bytes_under_the_same_numbers(void **state)
{
	for (int other = 0; other < 2; other++) {
		struct office o;
		struct talk *t;

		(void)state;
		office_open(&o, WITH_MSS);
		t = &o.talk[0];
		for (int i = 0; i < 4; i++) {
			uint32_t at;

			say(t, (struct line){ .from = CLIENT, .bytes = 80 });
			at = t->next[SERVER];
			say(t, (struct line){ .from = SERVER, .bytes = 301,
			    .fill = 7 });
			rig_wait(&o.rig, 400);
			say(t, (struct line){ .from = SERVER, .bytes = 301,
			    .fill = other ? 9 : 7, .at = true, .seq = at });
			say(t, (struct line){ .from = CLIENT });
		}
		rig_finish(&o.rig);
		CHECK_EQ(rig_found(&o.rig, FINDING_sequence_violation,
		    "conflicting_retransmission", SEVERITY_MEDIUM), other);
		rig_close(&o.rig);
	}
}

/* --- options ------------------------------------------------------------- */

/* Four turns under timestamps, the server's being `step` on from the last, or
 * missing when that is 0. */
static void
stamped_turns(struct office *o, int32_t step)
{
	struct talk *t = &o->talk[0];
	uint32_t value = 20000;
	struct line l;

	for (int i = 0; i < 6; i++) {
		rig_wait(&o->rig, 300);
		l = (struct line){ .from = CLIENT, .bytes = 80 };
		line_stamp(&l, 2000 + (uint32_t)i * 300, value);
		say(t, l);
		rig_wait(&o->rig, 3);
		l = (struct line){ .from = SERVER, .bytes = 300 };
		value += i < 2 ? 300 : (uint32_t)step;
		if (i < 2 || step)
			line_stamp(&l, value, 2000 + (uint32_t)i * 300);
		say(t, l);
		rig_wait(&o->rig, 1);
		l = (struct line){ .from = CLIENT };
		line_stamp(&l, 2004 + (uint32_t)i * 300, value);
		say(t, l);
	}
}

static void
test_timestamps_that_vanish_or_run_backwards(void **state)
{
	static const struct {
		int32_t step;
		unsigned missing, regressed;
	} cases[] = { { 300, 0, 0 }, { 0, 1, 0 }, { -500, 0, 1 } };

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct office o;

		office_open(&o, WITH_MSS | WITH_STAMPS);
		stamped_turns(&o, cases[i].step);
		rig_finish(&o.rig);
		CHECK_EQ(rig_found(&o.rig, FINDING_option_violation,
		    "timestamps_missing", SEVERITY_MEDIUM), cases[i].missing);
		CHECK_EQ(rig_found(&o.rig, FINDING_option_violation,
		    "timestamp_regressed", SEVERITY_MEDIUM), cases[i].regressed);
		rig_close(&o.rig);
	}
}

static void
test_sack_blocks_need_a_permission(void **state)
{
	for (unsigned permitted = 0; permitted < 2; permitted++) {
		struct office o;
		struct talk *t;
		struct line l;

		(void)state;
		office_open(&o, permitted ? WITH_MSS | WITH_SACK : WITH_MSS);
		t = &o.talk[0];
		for (int i = 0; i < 4; i++) {
			rig_turn(t, 80, 300, false);
			l = (struct line){ .from = SERVER };
			line_sack(&l, t->next[CLIENT] - 40, t->next[CLIENT]);
			say(t, l);
		}
		rig_finish(&o.rig);
		CHECK_EQ(rig_found(&o.rig, FINDING_option_violation,
		    "sack_unnegotiated", SEVERITY_MEDIUM), !permitted);
		rig_close(&o.rig);
	}
}

/* --- holes and bursts ---------------------------------------------------- */

static void
test_a_hole_that_is_never_filled(void **state)
{
	for (int filled = 0; filled < 2; filled++) {
		struct office o;
		struct talk *t;
		struct line l;
		uint32_t at;

		(void)state;
		office_open(&o, WITH_MSS | WITH_SACK);
		t = &o.talk[0];
		say(t, (struct line){ .from = CLIENT, .bytes = 80 });
		at = t->next[SERVER];
		t->next[SERVER] += 1460;	/* never left the card */
		for (uint32_t i = 1; i < 6; i++) {
			say(t, (struct line){ .from = SERVER, .bytes = 1460 });
			l = (struct line){ .from = CLIENT, .acks = true,
				.ack = at };
			line_sack(&l, at + 1460, at + 1460 * (i + 1));
			rig_wait(&o.rig, 1);
			say(t, l);
		}
		if (filled) {
			rig_wait(&o.rig, 300);
			say(t, (struct line){ .from = SERVER, .bytes = 1460,
			    .at = true, .seq = at });
			say(t, (struct line){ .from = CLIENT });
		}
		for (int i = 0; i < 8; i++)
			office_goes_on(&o, 1000);
		rig_finish(&o.rig);
		CHECK_EQ(rig_found(&o.rig, FINDING_sack_hole_unfilled, NULL,
		    SEVERITY_MEDIUM), filled ? 0 : 1);
		rig_close(&o.rig);
	}
}

/* A transfer at one segment a timeout: all of each burst is lost, or (`partly`)
 * the receiver has the rest of it when the first segment comes again. */
static void
test_bursts_that_are_lost_whole(void **state)
{
	for (uint32_t partly = 0; partly < 2; partly++) {
		struct office o;
		struct talk *t;
		uint32_t at;

		(void)state;
		office_open(&o, WITH_MSS);
		t = &o.talk[0];
		say(t, (struct line){ .from = CLIENT, .bytes = 80 });
		at = t->next[SERVER];
		for (int i = 0; i < 8; i++) {
			for (uint32_t k = 0; k < 4; k++)
				say(t, (struct line){ .from = SERVER,
				    .bytes = 1460, .at = true,
				    .seq = at + 1460 * k });
			rig_wait(&o.rig, 400);
			say(t, (struct line){ .from = SERVER, .bytes = 1460,
			    .at = true, .seq = at });
			at += partly ? 4 * 1460 : 1460;
			rig_wait(&o.rig, 20);
			say(t, (struct line){ .from = CLIENT, .acks = true,
			    .ack = at });
		}
		t->next[SERVER] = at;
		office_goes_on(&o, 1000);
		rig_finish(&o.rig);
		CHECK_EQ(rig_found(&o.rig, FINDING_burst_lost_whole, NULL,
		    SEVERITY_HIGH), partly ? 0 : 1);
		rig_close(&o.rig);
	}
}

/* --- the way between ----------------------------------------------------- */

/* The router says that a datagram of the server's of this length is too long. */
static void
too_big(struct office *o, const struct talk *t, uint32_t quoted)
{
	static uint8_t frame[RIG_FRAME_BYTES];
	static const uint8_t router[6] = { 0, 0, 0x0c, 0, 0, 1 };
	uint8_t *icmp = frame + 34, *ip = icmp + 8;

	memset(icmp, 0, 36);
	icmp[0] = 3;
	icmp[1] = 4;
	put16(icmp + 6, 1400);
	ip[0] = 0x45;
	put16(ip + 2, quoted);
	ip[8] = 64;
	ip[9] = IP_TCP;
	put32(ip + 12, o->server.ip);
	put32(ip + 16, t->host[CLIENT]->ip);
	put16(ip + 20, t->port[SERVER]);
	put16(ip + 22, t->port[CLIENT]);
	put32(ip + 24, t->next[SERVER]);
	put16(icmp + 2, (uint16_t)~checksum_sum(icmp, 36, 0));
	rig_send(&o->rig, frame, o->server.mac, router, 0x0a141e01,
	    o->server.ip, IP_ICMP, 77, 64, 36);
}

static void
test_a_complaint_about_what_nobody_sent(void **state)
{
	static const struct {
		uint32_t quoted;
		unsigned found;
	} cases[] = { { 2960, 1 }, { 1500, 0 } };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct office o;

		office_open(&o, WITH_MSS);
		rig_turn(&o.talk[0], 80, 1460, false);
		too_big(&o, &o.talk[0], cases[i].quoted);
		rig_turn(&o.talk[0], 80, 300, false);
		rig_finish(&o.rig);
		CHECK_EQ(rig_found(&o.rig, FINDING_merged_forwarding, NULL,
		    SEVERITY_MEDIUM), cases[i].found);
		rig_close(&o.rig);
	}
}

/* The clients' frames come from another router from now on. The server answers
 * there, but on the first connections, `stale` of them, to the old one; what is
 * sent there is lost, or (asymmetric) arrives. */
static void
router_changes(struct office *o, unsigned stale, bool arrives)
{
	static const uint8_t fresh[6] = { 0, 0, 0x0c, 0, 0, 2 };

	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < CLIENTS; i++) {
			struct talk *t = &o->talk[i];
			uint32_t at = t->next[SERVER];
			bool lost = i < stale && !arrives;

			rig_wait(&o->rig, 500);
			say(t, (struct line){ .from = CLIENT, .bytes = 80,
			    .from_mac = fresh, .acks = lost, .ack = at });
			say(t, (struct line){ .from = SERVER, .bytes = 300,
			    .at = true, .seq = at,
			    .to_mac = i < stale ? t->host[CLIENT]->mac : fresh });
			if (lost)
				continue;
			t->next[SERVER] = at + 300;
			say(t, (struct line){ .from = CLIENT,
			    .from_mac = fresh });
		}
	}
}

static void
test_a_part_that_keeps_to_the_old_router(void **state)
{
	static const struct {
		unsigned stale;
		bool arrives;
		unsigned found;
	} cases[] = { { 2, false, 2 }, { 2, true, 0 }, { 0, false, 0 },
		{ CLIENTS, false, 0 } };

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct office o;

		office_open(&o, WITH_MSS);
		router_changes(&o, cases[i].stale, cases[i].arrives);
		rig_finish(&o.rig);
		CHECK_EQ(rig_found(&o.rig, FINDING_stale_neighbor, NULL,
		    SEVERITY_MEDIUM), cases[i].found);
		rig_close(&o.rig);
	}
}

/* The router says of the first connections, `deaf` of them, again and again that
 * their segments are too large, of the others once: those have adapted. */
static unsigned
narrower_path(unsigned deaf)
{
	struct office o;
	unsigned n;

	office_open(&o, WITH_MSS);
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 0; i < CLIENTS; i++) {
			bool again = i < deaf || !round;

			rig_wait(&o.rig, 200);
			rig_turn(&o.talk[i], 80, again ? 1460 : 1300, false);
			if (again)
				too_big(&o, &o.talk[i], 1500);
		}
	}
	for (int i = 0; i < 8; i++)
		office_goes_on(&o, 1000);
	rig_finish(&o.rig);
	n = rig_found(&o.rig, FINDING_stale_neighbor, NULL, SEVERITY_MEDIUM);
	rig_close(&o.rig);
	return n;
}

static void
test_a_part_that_keeps_to_the_old_size(void **state)
{
	(void)state;
	CHECK_EQ(narrower_path(1), 1);
	CHECK_EQ(narrower_path(0), 0);
	CHECK_EQ(narrower_path(CLIENTS), 0);	/* the whole host is not told */
}

/* --- hand-over ----------------------------------------------------------- */

/* What surely comes from the host's own stack, so that its half is known. */
static void
own_words(struct office *o)
{
	for (unsigned i = 0; i < 12; i++) {
		rig_wait(&o->rig, 20);
		dhcp(o, i, true, 2, SUM_RIGHT);
	}
}

/* Two connections move to the card; on the packet after it their server's
 * acknowledgment lacks `back` bytes, its TTL is `ttl`, its window `window`. */
static void
hand_over(struct office *o, uint32_t back, uint8_t ttl, uint16_t window)
{
	own_words(o);
	for (unsigned i = 0; i < 2; i++) {
		struct talk *t = &o->talk[i];

		rig_turn(t, 80, 300, true);
		rig_wait(&o->rig, 100);
		for (int k = 0; k < 3; k++)
			say(t, (struct line){ .from = SERVER, .bytes = 20,
			    .offloaded = true, .ttl = ttl, .acks = true,
			    .ack = t->next[CLIENT] - back,
			    .has_window = true, .window = window });
		rig_wait(&o->rig, 1);
		say(t, (struct line){ .from = CLIENT });
	}
	own_words(o);
	office_goes_on(o, 1000);
}

static void
test_what_is_wrong_after_a_hand_over(void **state)
{
	static const struct {
		uint32_t back;
		uint8_t ttl;
		uint16_t window;
		unsigned jump, ttl_change, window_jump;
	} cases[] = { { 0, 128, 65535, 0, 0, 0 }, { 80, 128, 65535, 2, 0, 0 },
		{ 0, 60, 65535, 0, 2, 0 }, { 0, 128, 900, 0, 0, 2 },
		{ 0, 128, 65000, 0, 0, 0 } };

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct office o;

		office_open(&o, WITH_MSS);
		hand_over(&o, cases[i].back, cases[i].ttl, cases[i].window);
		rig_finish(&o.rig);
		CHECK_EQ(rig_found(&o.rig, FINDING_handover_violation,
		    "ack_jump", 0), cases[i].jump);
		CHECK_EQ(rig_found(&o.rig, FINDING_handover_violation,
		    "ttl_change", 0), cases[i].ttl_change);
		CHECK_EQ(rig_found(&o.rig, FINDING_handover_violation,
		    "window_jump", 0), cases[i].window_jump);
		rig_close(&o.rig);
	}
}

/* --- memory -------------------------------------------------------------- */

static void
test_a_full_memo_forgets_what_nobody_asked_for(void **state)
{
	struct memo *m = memo_new(4, sizeof(uint32_t));
	uint32_t *r;
	size_t cursor = 0;
	unsigned walked = 0;

	(void)state;
	CHECK(m);
	for (uint32_t key = 1; key <= 4; key++)
		*(uint32_t *)memo_make(m, key) = key * 10;
	r = memo_find(m, 1);
	CHECK(r && *r == 10);
	r = memo_make(m, 5);
	CHECK(r && *r == 0);
	CHECK(memo_find(m, 1));			/* it was asked for */
	CHECK(!memo_find(m, 2));
	CHECK_EQ(memo_evicted(m), 1);
	CHECK(memo_make(m, 6));
	CHECK(!memo_find(m, 3));		/* the oldest, and */
	CHECK(memo_find(m, 5));			/* not the one that came last */
	CHECK_EQ(memo_evicted(m), 2);
	memo_drop(m, 4);
	CHECK_EQ(memo_count(m), 3);
	while (memo_each(m, &cursor, NULL))
		walked++;
	CHECK_EQ(walked, 3);
	memo_free(&m);
	CHECK(!m);
}

UNIT_TESTS(
    cmocka_unit_test(test_undone_sums_that_are_acknowledged_are_an_artifact),
    cmocka_unit_test(test_wrong_sums_that_must_be_sent_again_are_discarded),
    cmocka_unit_test(test_a_frame_seen_before_and_behind_its_card_is_an_artifact),
    cmocka_unit_test(test_one_flipped_bit_makes_no_incident),
    cmocka_unit_test(test_a_repeated_question_means_that_the_answer_was_thrown_away),
    cmocka_unit_test(test_an_offer_that_is_taken_up_is_an_artifact),
    cmocka_unit_test(test_large_segments_are_judged_by_their_receiver),
    cmocka_unit_test(test_a_step_by_the_scale_is_told_from_others),
    cmocka_unit_test(test_a_window_without_its_scale_is_noticed),
    cmocka_unit_test(test_a_window_that_fills_and_opens_is_none_of_it),
    cmocka_unit_test(test_a_window_that_stays_closed_is_a_stall),
    cmocka_unit_test(test_a_window_that_opens_soon_is_flow_control),
    cmocka_unit_test(test_an_ack_of_what_was_never_sent_needs_the_senders_word),
    cmocka_unit_test(test_an_old_ack_that_comes_late_is_no_step_back),
    cmocka_unit_test(test_other_bytes_under_the_same_numbers),
    cmocka_unit_test(test_timestamps_that_vanish_or_run_backwards),
    cmocka_unit_test(test_sack_blocks_need_a_permission),
    cmocka_unit_test(test_a_hole_that_is_never_filled),
    cmocka_unit_test(test_bursts_that_are_lost_whole),
    cmocka_unit_test(test_a_complaint_about_what_nobody_sent),
    cmocka_unit_test(test_a_part_that_keeps_to_the_old_router),
    cmocka_unit_test(test_a_part_that_keeps_to_the_old_size),
    cmocka_unit_test(test_what_is_wrong_after_a_hand_over),
    cmocka_unit_test(test_a_full_memo_forgets_what_nobody_asked_for),
)
