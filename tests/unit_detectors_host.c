/* unit_detectors_host.c - connections that die and hosts that fall silent: each
 * fault as the mirror shows it, and beside it what looks most like it. */
#include "capture/toeplitz.h"
#include "tests/office_rig.h"
#include "tests/unit.h"

/* --- keep-alives, blackholes ------------------------------------------------ */

/* Five probes a second apart after a minute of silence. */
static unsigned
probes(bool answered, bool others_live)
{
	struct office o;
	struct talk *t = &o.talk[0];

	office_open(&o, WITH_MSS);
	for (int i = 0; i < 60 && others_live; i++)
		office_goes_on(&o, 700);
	rig_wait(&o.rig, others_live ? 100 : 60000);
	for (int i = 0; i < 5; i++) {
		say(t, (struct line){ .from = CLIENT, .bytes = 1, .at = true,
		    .seq = t->next[CLIENT] - 1, .flags = TCP_ACK });
		rig_wait(&o.rig, 1);
		if (answered)
			say(t, (struct line){ .from = SERVER });
		if (others_live)
			office_goes_on(&o, 600);
		else
			rig_wait(&o.rig, 999);
	}
	if (others_live)
		office_goes_on_for(&o, 12);
	return found_at_end(&o, FINDING_keepalive_unanswered, NULL,
	    SEVERITY_MEDIUM);
}

static void
test_probes_that_a_living_host_leaves_unanswered(void **state)
{
	(void)state;
	CHECK_EQ(probes(false, true), 1);
	CHECK_EQ(probes(true, true), 0);
	CHECK_EQ(probes(false, false), 0);	/* the whole host is mute */
}

/* A client's data is not acknowledged; `late`: in the end it is. */
static unsigned
blackhole(bool late, bool window_shut, bool others_live)
{
	struct office o;
	struct talk *t = &o.talk[0];

	office_open(&o, WITH_MSS);
	if (window_shut)
		say(t, (struct line){ .from = SERVER, .has_window = true });
	rig_wait(&o.rig, 500);
	office_ask(&o, 0, false, false);
	office_repeat(&o, 0, 5, others_live);
	if (late) {
		say(t, (struct line){ .from = SERVER, .bytes = 300 });
		rig_wait(&o.rig, 1);
		say(t, (struct line){ .from = CLIENT });
	}
	if (others_live)
		office_goes_on_for(&o, 12);
	return found_at_end(&o, FINDING_flow_blackholed, NULL, SEVERITY_MEDIUM);
}

static void
test_data_that_one_connection_swallows(void **state)
{
	(void)state;
	CHECK_EQ(blackhole(false, false, true), 1);
	CHECK_EQ(blackhole(false, true, true), 0);	/* it has no room */
	CHECK_EQ(blackhole(false, false, false), 0);	/* nobody is served */
}

/* --- sessions that one side has forgotten ------------------------------------- */

/* Data meets a reset: of a stack that does not know the connection (bare, the
 * number from the client's ACK), of a program that aborts, of another box. */
static unsigned
reset_of(uint8_t flags, uint8_t ttl)
{
	struct office o;
	struct talk *t = &o.talk[0];

	office_open(&o, WITH_MSS);
	rig_wait(&o.rig, 5000);
	office_ask(&o, 0, false, false);
	rig_wait(&o.rig, 1);
	say(t, (struct line){ .from = SERVER, .flags = flags, .ttl = ttl });
	office_goes_on_for(&o, 12);
	return found_at_end(&o, FINDING_orphaned_session, "server_lost_state",
	    SEVERITY_MEDIUM);
}

static void
test_a_reset_by_a_stack_that_knows_nothing(void **state)
{
	(void)state;
	CHECK_EQ(reset_of(TCP_RST, 0), 1);
	CHECK_EQ(reset_of(TCP_RST | TCP_ACK, 0), 0);	/* a program aborts */
	CHECK_EQ(reset_of(TCP_RST, 61), 0);		/* a firewall */
}

/* The server says something, again and again; the client has gone, or not. */
static unsigned
notice(bool gone)
{
	struct office o;
	struct talk *t = &o.talk[0];
	uint32_t at;

	office_open(&o, WITH_MSS);
	rig_wait(&o.rig, 5000);
	at = t->next[SERVER];
	say(t, (struct line){ .from = SERVER, .bytes = 60 });
	for (int i = 0; i < 5; i++) {
		office_goes_on(&o, 300 << i);
		say(t, (struct line){ .from = SERVER, .bytes = 60, .at = true,
		    .seq = at });
	}
	if (!gone)
		say(t, (struct line){ .from = CLIENT });
	office_goes_on_for(&o, 30);
	return found_at_end(&o, FINDING_orphaned_session, "client_vanished",
	    SEVERITY_MEDIUM);
}

static void
test_a_server_that_asks_a_client_which_is_gone(void **state)
{
	(void)state;
	CHECK_EQ(notice(true), 1);
	CHECK_EQ(notice(false), 0);
}

static unsigned
half_closed(enum close how)
{
	struct office o;

	office_open(&o, WITH_MSS);
	office_leave(&o, &o.talk[0], how);
	for (int i = 0; i < 90; i++) {
		office_goes_on(&o, 700);
		if (how == STILL_SENDS && i % 20 == 0) {
			say(&o.talk[0], (struct line){ .from = SERVER,
			    .bytes = 600 });
			rig_wait(&o.rig, 1);
			say(&o.talk[0], (struct line){ .from = CLIENT });
		}
	}
	return found_at_end(&o, FINDING_orphaned_session,
	    "server_never_closed", SEVERITY_MEDIUM);
}

static void
test_a_close_that_the_server_never_returns(void **state)
{
	(void)state;
	CHECK_EQ(half_closed(NEVER_CLOSED), 1);
	CHECK_EQ(half_closed(STILL_SENDS), 0);	/* a half-close in use */
	CHECK_EQ(half_closed(CLOSED), 0);
}

/* The client starts anew from its old port; the server answers with the old
 * session's numbers, and the client resets that. */
static unsigned
starts_anew(bool honoured)
{
	struct office o;
	struct talk *t = &o.talk[0], fresh;

	office_open(&o, WITH_MSS);
	fresh = *t;
	for (uint32_t i = 0; i < 4; i++) {
		rig_wait(&o.rig, 3000);
		fresh.next[CLIENT] = 77000000;
		say(&fresh, rig_syn(CLIENT, WITH_MSS));
		rig_wait(&o.rig, 1);
		if (honoured && i) {
			fresh.next[SERVER] = 99000000;
			say(&fresh, rig_syn(SERVER, WITH_MSS));
			rig_wait(&o.rig, 1);
			say(&fresh, (struct line){ .from = CLIENT });
			break;
		}
		say(t, (struct line){ .from = SERVER });
		rig_wait(&o.rig, 1);
		say(t, (struct line){ .from = CLIENT, .flags = TCP_RST });
	}
	office_goes_on_for(&o, 12);
	return found_at_end(&o, FINDING_orphaned_session, "stale_tuple",
	    SEVERITY_MEDIUM);
}

static void
test_an_old_session_that_a_reset_does_not_free(void **state)
{
	(void)state;
	CHECK_EQ(starts_anew(false), 1);
	CHECK_EQ(starts_anew(true), 0);
}

/* Sessions opened `minutes` apart, each left by its client. */
static unsigned
leaves(unsigned sessions, int64_t minutes, enum close how)
{
	struct office o;

	office_open(&o, WITH_MSS);
	for (unsigned i = 0; i < sessions; i++) {
		struct talk t = rig_talk(&o.rig, &o.client[i % 3], &o.server,
		    (uint16_t)(2000 + i), WITH_MSS);

		rig_turn(&t, 80, 300, false);
		office_leave(&o, &t, how);
		office_goes_on(&o, minutes * 60000);
	}
	office_goes_on_for(&o, 90);
	return found_at_end(&o, FINDING_session_leak, NULL, SEVERITY_MEDIUM);
}

static void
test_sessions_that_pile_up_over_hours(void **state)
{
	(void)state;
	CHECK_EQ(leaves(25, 4, NEVER_CLOSED), 1);
	CHECK_EQ(leaves(25, 4, CLOSED), 0);
	CHECK_EQ(leaves(25, 0, NEVER_CLOSED), 0);	/* at once: not a leak */
}

/* --- hosts ---------------------------------------------------------------------- */

static void
falls_silent(struct office *o, unsigned seconds, enum after after)
{
	office_open(o, WITH_MSS);
	office_falls_silent(o, seconds, after);
}

static void
test_a_host_that_answers_nobody(void **state)
{
	struct office o;

	(void)state;
	falls_silent(&o, 20, STAYS_SILENT);
	CHECK_EQ(found_at_end(&o, FINDING_server_silent, NULL,
	    SEVERITY_CRITICAL), 1);
	office_open(&o, WITH_MSS);		/* nobody asks it anything */
	rig_wait(&o.rig, 60000);
	office_arp(&o, 0, true);
	CHECK_EQ(found_at_end(&o, FINDING_server_silent, NULL, 0), 0);
}

/* Once nothing of it is mirrored any more, its clients show that it lives: for
 * `seconds` they acknowledge what was not seen. */
static unsigned
silent_but_acknowledged(unsigned seconds)
{
	struct office o;

	falls_silent(&o, 20, STAYS_SILENT);
	for (unsigned i = 0; i < seconds; i++) {
		struct talk *t = &o.talk[i % CLIENTS];

		rig_wait(&o.rig, 1000);
		say(t, (struct line){ .from = CLIENT, .acks = true,
		    .ack = t->next[SERVER] + 100 * (i + 1) });
	}
	return found_at_end(&o, FINDING_server_silent, NULL,
	    SEVERITY_CRITICAL);
}

static void
test_a_mirror_that_no_longer_shows_the_host(void **state)
{
	(void)state;
	CHECK_EQ(silent_but_acknowledged(2), 1);	/* its return was missed */
	CHECK_EQ(silent_but_acknowledged(15), 0);
}

static void
test_a_host_that_cannot_send_for_a_while(void **state)
{
	struct office o;

	(void)state;
	falls_silent(&o, 8, GOES_ON);
	CHECK_EQ(found_at_end(&o, FINDING_egress_dead, NULL,
	    SEVERITY_MEDIUM), 1);
	falls_silent(&o, 8, COMES_BACK_NEW);
	CHECK_EQ(found_at_end(&o, FINDING_egress_dead, NULL, 0), 0);
	falls_silent(&o, 2, GOES_ON);		/* a hiccup */
	CHECK_EQ(found_at_end(&o, FINDING_egress_dead, NULL, 0), 0);
}

static void
test_a_host_that_comes_back_without_its_connections(void **state)
{
	struct office o;

	(void)state;
	falls_silent(&o, 40, COMES_BACK_NEW);
	CHECK_EQ(found_at_end(&o, FINDING_server_restart, NULL,
	    SEVERITY_MEDIUM), 1);
	falls_silent(&o, 40, GOES_ON);		/* with all of them */
	CHECK_EQ(found_at_end(&o, FINDING_server_restart, NULL, 0), 0);
}

static unsigned
card_without_host(bool arp_answered)
{
	struct office o;

	office_open(&o, WITH_MSS);
	office_card_alone(&o, 40, arp_answered);
	return found_at_end(&o, FINDING_host_stack_dead, NULL, SEVERITY_HIGH);
}

static void
test_a_card_that_outlives_its_host(void **state)
{
	(void)state;
	CHECK_EQ(card_without_host(false), 1);
	CHECK_EQ(card_without_host(true), 0);	/* a filter on SYNs */
}

/* --- queues ------------------------------------------------------------------------ */

/* Connections from many ports, some of which get no answer after the first:
 * those of one bucket, or as many by turns. */
static unsigned
queues(bool by_bucket)
{
	struct office o;
	struct talk t[64];
	bool dead[64];

	office_open(&o, WITH_MSS);
	for (unsigned i = 0; i < 64; i++) {
		uint16_t port = (uint16_t)(20000 + 37 * i);
		uint8_t input[TOEPLITZ_INPUT_BYTES];
		struct address src = address_from_v4(o.client[i % 4].ip);
		struct address dst = address_from_v4(o.server.ip);
		size_t n = toeplitz_input(&src, &dst, port, 445, input);

		dead[i] = by_bucket ? toeplitz_hash(toeplitz_published_key,
		    input, n) % 4 == 2 : i % 4 == (i / 16) % 4;
		t[i] = rig_talk(&o.rig, &o.client[i % 4], &o.server, port,
		    WITH_MSS);
		rig_turn(&t[i], 80, 300, false);
	}
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 64; i++) {
			if (!dead[i]) {
				rig_turn(&t[i], 80, 300, false);
				continue;
			}
			rig_wait(&o.rig, 100);
			say(&t[i], (struct line){ .from = CLIENT, .bytes = 80,
			    .at = true, .seq = t[i].next[CLIENT] });
		}
	}
	return found_at_end(&o, FINDING_rss_bucket_stall, NULL, SEVERITY_HIGH);
}

static void
test_stalled_connections_that_share_a_queue(void **state)
{
	(void)state;
	CHECK_EQ(queues(true), 1);
	CHECK_EQ(queues(false), 0);
}

UNIT_TESTS(
    cmocka_unit_test(test_probes_that_a_living_host_leaves_unanswered),
    cmocka_unit_test(test_data_that_one_connection_swallows),
    cmocka_unit_test(test_a_reset_by_a_stack_that_knows_nothing),
    cmocka_unit_test(test_a_server_that_asks_a_client_which_is_gone),
    cmocka_unit_test(test_a_close_that_the_server_never_returns),
    cmocka_unit_test(test_an_old_session_that_a_reset_does_not_free),
    cmocka_unit_test(test_sessions_that_pile_up_over_hours),
    cmocka_unit_test(test_a_host_that_answers_nobody),
    cmocka_unit_test(test_a_mirror_that_no_longer_shows_the_host),
    cmocka_unit_test(test_a_host_that_cannot_send_for_a_while),
    cmocka_unit_test(test_a_host_that_comes_back_without_its_connections),
    cmocka_unit_test(test_a_card_that_outlives_its_host),
    cmocka_unit_test(test_stalled_connections_that_share_a_queue),
)
