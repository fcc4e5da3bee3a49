/* unit_verdict.c - from frames to a verdict: what makes an incident, which part it
 * is put down to, and what is said to do about it. */
#include "detectors/incident.h"

#include "tests/office_rig.h"
#include "tests/unit.h"

enum { NO_INCIDENT = -1, TALKS = 12, REMEDIES = 32 };

/* Twelve connections of four clients, half of which the card may carry. */
struct scene {
	struct office o;
	struct talk talk[TALKS];
	struct incident *incidents;
};

static bool
is_carried(unsigned i)
{
	return i % 2 == 0;
}

static void
scene_open(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	office_open(&s->o, WITH_MSS | WITH_SACK);
	for (unsigned i = 0; i < TALKS; i++)
		s->talk[i] = rig_talk(&s->o.rig, &s->o.client[i % CLIENTS],
		    &s->o.server, (uint16_t)(2000 + i), WITH_MSS | WITH_SACK);
	for (unsigned i = 0; i < 4 * TALKS; i++)
		rig_turn(&s->talk[i % TALKS], 80, 300, is_carried(i % TALKS));
}

/* The verdict, or NO_INCIDENT. */
static int
scene_judge(struct scene *s)
{
	rig_finish(&s->o.rig);
	s->incidents = incidents_judge(s->o.rig.registry,
	    registry_judge(s->o.rig.registry));
	return s->incidents ? (int)s->incidents->verdict : NO_INCIDENT;
}

static void
scene_close(struct scene *s)
{
	incidents_free(&s->incidents);
	rig_close(&s->o.rig);
}

static int
judged(struct scene *s)
{
	int verdict = scene_judge(s);

	scene_close(s);
	return verdict;
}

/* A new connection is accepted by the host's own stack, and served. */
static void
newcomer(struct scene *s, unsigned number)
{
	struct talk t = rig_talk(&s->o.rig, &s->o.client[number % CLIENTS],
	    &s->o.server, (uint16_t)(6000 + number), WITH_MSS);

	rig_turn(&t, 80, 300, false);
}

/* For `seconds` all connections have their turns, and there are new ones;
 * requests on those of `dead` (a bit each) are acknowledged and not answered. */
static void
works_on(struct scene *s, unsigned dead, unsigned seconds)
{
	for (unsigned n = 0; n < seconds; n++) {
		unsigned i = n % TALKS;
		struct talk *t = &s->talk[i];

		rig_wait(&s->o.rig, 700);
		if (n % 3 == 0)
			newcomer(s, n);
		if (!(dead & 1U << i)) {
			rig_turn(t, 80, 300, is_carried(i));
			continue;
		}
		if (n >= TALKS)
			continue;		/* it waits */
		say(t, (struct line){ .from = CLIENT, .bytes = 80 });
		rig_wait(&s->o.rig, 1);
		say(t, (struct line){ .from = SERVER,
		    .offloaded = is_carried(i) });
	}
}

enum { ALL = 0xfff, CARRIED = 0x555, HOSTS_OWN = 0xaaa };

static void
test_what_follows_the_offload_is_the_cards(void **state)
{
	static struct scene s;

	(void)state;
	scene_open(&s);
	works_on(&s, CARRIED, 60);
	CHECK_EQ(scene_judge(&s), VERDICT_offload_engine);
	CHECK(s.incidents->offload.known);
	CHECK_EQ(s.incidents->offload.affected_host, 0);
	CHECK(s.incidents->offload.affected_offloaded >= 5);
	CHECK(s.incidents->offload.p_value < 0.01);
	scene_close(&s);
}

static void
test_what_does_not_is_not(void **state)
{
	static struct scene s;

	(void)state;
	scene_open(&s);
	works_on(&s, HOSTS_OWN, 60);
	CHECK(scene_judge(&s) != VERDICT_offload_engine);
	scene_close(&s);
	scene_open(&s);
	works_on(&s, ALL, 60);
	CHECK(scene_judge(&s) != VERDICT_offload_engine);
	scene_close(&s);
}

static void
test_a_few_of_the_hosts_own_do_not_mute_the_table(void **state)
{
	static struct scene s;
	double share[] = { 0.2, 0.5 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		scene_open(&s);
		s.o.rig.config.limit.host_share = share[i];
		works_on(&s, ALL, 60);	/* 6 of the host's 25 */
		CHECK_EQ(scene_judge(&s) == VERDICT_offload_engine, share[i] > 0.3);
		scene_close(&s);
	}
}

static void
test_a_healthy_office_makes_no_incident(void **state)
{
	static struct scene s;

	(void)state;
	scene_open(&s);
	works_on(&s, 0, 60);
	CHECK_EQ(judged(&s), NO_INCIDENT);
}

/* What the clients of `dead` send is taken in by nobody; others are served. */
static void
goes_deaf(struct scene *s, unsigned dead)
{
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < TALKS; i++) {
			struct talk *t = &s->talk[i];

			rig_wait(&s->o.rig, 100);
			if (!(dead & 1U << i))
				rig_turn(t, 80, 300, is_carried(i));
			else
				say(t, (struct line){ .from = CLIENT,
				    .bytes = 80, .at = true,
				    .seq = t->next[CLIENT] });
		}
		newcomer(s, round);
	}
}

/* Connections 0 and 4 are one client's; 0 and 1 are two clients'. */
static void
test_one_client_is_no_witness(void **state)
{
	static struct scene s;

	(void)state;
	scene_open(&s);
	goes_deaf(&s, 1 << 0 | 1 << 4);
	CHECK_EQ(judged(&s), NO_INCIDENT);
	scene_open(&s);
	goes_deaf(&s, 1 << 0 | 1 << 1);
	CHECK(judged(&s) != NO_INCIDENT);
}

/* Answers whose sum is wrong and which must be sent again. */
static void
spoil(struct scene *s, unsigned talks)
{
	for (unsigned i = 0; i < 8 * talks; i++) {
		struct talk *t = &s->talk[i % talks];
		uint32_t at;

		rig_wait(&s->o.rig, 300);
		say(t, (struct line){ .from = CLIENT, .bytes = 80 });
		at = t->next[SERVER];
		say(t, (struct line){ .from = SERVER, .bytes = 300,
		    .sum = SUM_WRONG });
		rig_wait(&s->o.rig, 400);
		say(t, (struct line){ .from = SERVER, .bytes = 300, .at = true,
		    .seq = at });
		rig_wait(&s->o.rig, 1);
		say(t, (struct line){ .from = CLIENT });
	}
}

static void
test_wrong_sums_are_the_checksum_offloads(void **state)
{
	static struct scene s;

	(void)state;
	scene_open(&s);
	spoil(&s, 3);
	CHECK_EQ(judged(&s), VERDICT_checksum_offload);
}

/* The same of questions, of several clients. */
static void
test_wrong_sums_of_clients_are_not_the_servers(void **state)
{
	static struct scene s;

	(void)state;
	scene_open(&s);
	for (unsigned i = 0; i < 40; i++) {
		struct talk *t = &s.talk[i % CLIENTS];
		uint32_t at = t->next[CLIENT];

		rig_wait(&s.o.rig, 300);
		say(t, (struct line){ .from = CLIENT, .bytes = 80,
		    .sum = SUM_WRONG });
		rig_wait(&s.o.rig, 400);
		say(t, (struct line){ .from = CLIENT, .bytes = 80, .at = true,
		    .seq = at });
		rig_wait(&s.o.rig, 3);
		say(t, (struct line){ .from = SERVER, .bytes = 300 });
		rig_wait(&s.o.rig, 1);
		say(t, (struct line){ .from = CLIENT });
	}
	CHECK_EQ(scene_judge(&s), VERDICT_undetermined);
	CHECK(s.incidents->score[VERDICT_client_side] > 1);
	CHECK(s.incidents->score[VERDICT_network_path] > 1);
	CHECK(s.incidents->score[VERDICT_checksum_offload] < 1);
	scene_close(&s);
}

/* Bursts of five of which the last leaves first, felt by the receiver. */
static void
swap(struct scene *s, unsigned talks)
{
	for (unsigned i = 0; i < 8 * talks; i++) {
		struct talk *t = &s->talk[i % talks];
		uint32_t at = t->next[SERVER];
		uint16_t id = (uint16_t)(s->o.server.id + 1);
		struct line l = { .from = CLIENT, .acks = true, .ack = at };

		s->o.server.id = (uint16_t)(s->o.server.id + 10);
		rig_wait(&s->o.rig, 500);
		say(t, (struct line){ .from = CLIENT, .bytes = 80 });
		for (uint32_t k = 0; k < 5; k++) {
			uint32_t place = k ? k - 1 : 4;

			say(t, (struct line){ .from = SERVER, .bytes = 1460,
			    .at = true, .seq = at + place * 1460,
			    .id = (uint16_t)(id + place) });
		}
		line_sack(&l, at + 4 * 1460, at + 5 * 1460);
		say(t, l);
		t->next[SERVER] = at + 5 * 1460;
		rig_wait(&s->o.rig, 1);
		say(t, (struct line){ .from = CLIENT });
	}
}

static void
test_swapped_segments_are_the_segmentations(void **state)
{
	static struct scene s;
	struct remedy list[REMEDIES];
	bool tso = false;
	size_t n;

	(void)state;
	scene_open(&s);
	swap(&s, 3);
	CHECK_EQ(scene_judge(&s), VERDICT_segmentation_offload);
	n = remedies_for(s.incidents, list, REMEDIES);
	for (size_t i = 0; i < n; i++)
		tso |= strstr(list[i].command, "tso off") != NULL;
	CHECK(tso);
	scene_close(&s);
}

/* A box complains about datagrams of the server's that nobody sent: a router, or
 * (its own address) a server that forwards. */
static void
complain(struct scene *s, unsigned talk, uint32_t box)
{
	static uint8_t frame[RIG_FRAME_BYTES];
	static const uint8_t router[6] = { 0, 0, 0x0c, 0, 0, 1 };
	const struct talk *t = &s->talk[talk];
	uint8_t *icmp = frame + 34, *ip = icmp + 8;

	memset(icmp, 0, 36);
	icmp[0] = 3;
	icmp[1] = 4;
	put16(icmp + 6, 1500);
	ip[0] = 0x45;
	put16(ip + 2, 2960);
	ip[8] = 64;
	ip[9] = IP_TCP;
	put32(ip + 12, s->o.server.ip);
	put32(ip + 16, t->host[CLIENT]->ip);
	put16(ip + 20, t->port[SERVER]);
	put16(ip + 22, t->port[CLIENT]);
	put32(ip + 24, t->next[SERVER] - 1460);
	put16(icmp + 2, (uint16_t)~checksum_sum(icmp, 36, 0));
	rig_send(&s->o.rig, frame, s->o.server.mac, router, box,
	    s->o.server.ip, IP_ICMP, 77, 64, 36);
}

static void
test_merging_between_is_the_paths_and_has_its_own_remedy(void **state)
{
	static struct scene s;
	struct remedy list[REMEDIES];
	unsigned lro = 0;
	size_t n;

	(void)state;
	scene_open(&s);
	for (unsigned i = 0; i < 6; i++) {
		rig_turn(&s.talk[i % 3], 80, 1460, false);
		complain(&s, i % 3, 0x0a141e01);
	}
	works_on(&s, 0, 20);
	CHECK_EQ(scene_judge(&s), VERDICT_network_path);
	n = remedies_for(s.incidents, list, REMEDIES);
	for (size_t i = 0; i < n; i++)
		lro += strstr(list[i].command, "lro off") ||
		    strstr(list[i].command, "Vmxnet3HwLRO") ||
		    strstr(list[i].command, "EnableSoftwareRsc");
	CHECK_EQ(lro, 3);		/* Linux, VMware, Hyper-V */
	scene_close(&s);
}

/* The sender has left the mirror: what its datagrams are like by now, nobody
 * knows. */
static void
test_what_is_no_longer_seen_is_not_called_merged(void **state)
{
	static struct scene s;

	(void)state;
	scene_open(&s);
	for (unsigned i = 0; i < 3; i++) {
		s.talk[i].next[SERVER] += 100000;
		complain(&s, i, 0x0a141e01);
		complain(&s, i, 0x0a141e01);
		complain(&s, i, 0x0a141e01);
		s.talk[i].next[SERVER] -= 100000;
	}
	works_on(&s, 0, 20);
	CHECK_EQ(judged(&s), NO_INCIDENT);
}

/* Connections 0 to 3, one of each client, idle for more than a minute, are no longer
 * known when their clients speak again; the busy ones are. `spared`: as idle, and
 * known all the same. Nobody says who carries them. */
static int
forgets_the_idle(unsigned spared)
{
	static struct scene s;
	unsigned seconds = 70;

	scene_open(&s);
	while (seconds--) {
		struct talk *t = &s.talk[5 + seconds % (TALKS - 5)];

		rig_wait(&s.o.rig, 900);
		rig_turn(t, 80, 300, false);
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct talk *t = &s.talk[i];
		uint32_t expected = t->next[SERVER];

		rig_wait(&s.o.rig, 5000);
		say(t, (struct line){ .from = CLIENT, .bytes = 80 });
		rig_wait(&s.o.rig, 1);
		say(t, (struct line){ .from = SERVER, .flags = TCP_RST,
		    .at = true, .seq = expected });
		rig_turn(&s.talk[5 + i], 80, 300, false);
	}
	while (spared--)
		rig_turn(&s.talk[4], 80, 300, false);
	rig_wait(&s.o.rig, 3000);
	rig_turn(&s.talk[6], 80, 300, false);
	return judged(&s);
}

static void
test_who_forgets_the_idle_forgets_them_all(void **state)
{
	(void)state;
	CHECK_EQ(forgets_the_idle(0), VERDICT_network_path);
	CHECK(forgets_the_idle(1) != VERDICT_network_path);
}

/* A service that once took 7 s is given 28 s. Two requests are left waiting for
 * longer, and nobody asks any more. Others were answered last, which had been asked
 * before them or (`overtaken`) after. */
static int
leaves_two_waiting(bool overtaken)
{
	static struct scene s;
	struct talk *slow = &s.talk[9];

	scene_open(&s);
	say(slow, (struct line){ .from = CLIENT, .bytes = 80 });
	rig_wait(&s.o.rig, 7000);
	say(slow, (struct line){ .from = SERVER, .bytes = 300 });
	for (unsigned i = 0; i < 2; i++) {
		rig_wait(&s.o.rig, 1000);
		say(&s.talk[i], (struct line){ .from = CLIENT, .bytes = 80 });
		rig_wait(&s.o.rig, 1);
		say(&s.talk[i], (struct line){ .from = SERVER });
	}
	for (unsigned i = 2; overtaken && i < 6; i++) {
		rig_wait(&s.o.rig, 1000);
		rig_turn(&s.talk[i], 80, 300, false);
	}
	for (unsigned i = 0; i < 40; i++) {
		rig_wait(&s.o.rig, 1000);
		office_arp(&s.o, i % CLIENTS, true);
	}
	return judged(&s);
}

static void
test_who_is_overtaken_waits_at_a_port_that_serves(void **state)
{
	(void)state;
	CHECK_EQ(leaves_two_waiting(false), VERDICT_server_application);
	CHECK_EQ(leaves_two_waiting(true), VERDICT_undetermined);
}

/* Answers that the sniffer missed: of `talks`, a bit each. */
static void
miss_answers(struct scene *s, unsigned talks)
{
	for (unsigned i = 0; i < TALKS; i++) {
		if (!(talks & 1U << i))
			continue;
		s->talk[i].next[SERVER] += 300;
		rig_wait(&s->o.rig, 50);
		say(&s->talk[i], (struct line){ .from = CLIENT });
	}
}

/* Three of the six that the card carries fall ill first, the others later; where
 * those have gaps of ours, their silence proves nothing, nor do they count as well. */
static void
test_what_cannot_be_judged_is_not_counted_as_well(void **state)
{
	static struct scene s;

	(void)state;
	for (unsigned gaps = 0; gaps < 2; gaps++) {
		scene_open(&s);
		works_on(&s, 0, 60);
		miss_answers(&s, gaps ? 1 << 0 | 1 << 2 | 1 << 4 : 0);
		works_on(&s, 1 << 6 | 1 << 8 | 1 << 10, 14);
		works_on(&s, CARRIED, 60);
		CHECK_EQ(scene_judge(&s), VERDICT_offload_engine);
		CHECK_EQ(s.incidents->offload.affected_offloaded, gaps ? 3 : 6);
		CHECK_EQ(s.incidents->offload.flows_offloaded, gaps ? 3 : 6);
		scene_close(&s);
	}
}

UNIT_TESTS(
    cmocka_unit_test(test_what_follows_the_offload_is_the_cards),
    cmocka_unit_test(test_what_does_not_is_not),
    cmocka_unit_test(test_a_few_of_the_hosts_own_do_not_mute_the_table),
    cmocka_unit_test(test_a_healthy_office_makes_no_incident),
    cmocka_unit_test(test_one_client_is_no_witness),
    cmocka_unit_test(test_wrong_sums_are_the_checksum_offloads),
    cmocka_unit_test(test_wrong_sums_of_clients_are_not_the_servers),
    cmocka_unit_test(test_swapped_segments_are_the_segmentations),
    cmocka_unit_test(test_merging_between_is_the_paths_and_has_its_own_remedy),
    cmocka_unit_test(test_what_is_no_longer_seen_is_not_called_merged),
    cmocka_unit_test(test_who_forgets_the_idle_forgets_them_all),
    cmocka_unit_test(test_who_is_overtaken_waits_at_a_port_that_serves),
    cmocka_unit_test(test_what_cannot_be_judged_is_not_counted_as_well),
)
