/* unit_flow.c - the table of flows: found from both sides, bounded, forgetting
 * the least worth first; and the name other tools give a flow. */
#include "capture/flow.h"

#include <stdio.h>

#include "capture/flow_rest.h"
#include "capture/host.h"
#include "tests/unit.h"

static struct packet
packet_between(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	return (struct packet){ .ip_version = 4, .protocol = IP_TCP,
		.src = address_from_v4(src), .dst = address_from_v4(dst),
		.sport = sport, .dport = dport };
}

struct ends {
	unsigned count;
	enum flow_end how;
	uint64_t id;
};

static void
note_end(void *context, struct flow *f)
{
	struct ends *e = context;

	e->count++;
	e->how = (enum flow_end)f->end;
	e->id = f->id;
}

static void
test_a_flow_is_found_from_both_sides(void **state)
{
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *t = flow_table_new(10, pool);
	struct packet there = packet_between(1, 1025, 2, 445);
	struct packet back = packet_between(2, 445, 1, 1025);
	struct packet other = packet_between(2, 445, 1, 1026);
	struct flow *f = flow_create(t, &there, CLIENT);
	enum side side;

	(void)state;
	CHECK(flow_find(t, &there, &side) == f);
	CHECK_EQ(side, CLIENT);
	CHECK(flow_find(t, &back, &side) == f);
	CHECK_EQ(side, SERVER);
	CHECK(!flow_find(t, &other, &side));
	flow_table_free(&t);
	flow_pool_free(&pool);
}

/* What was foreseen may be another's, at rest, over, or its place another's by now. */
static void
test_what_was_foreseen_is_found_only_while_it_is_that(void **state)
{
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *t = flow_table_new(10, pool);
	struct packet there = packet_between(1, 1025, 2, 445);
	struct packet back = packet_between(2, 445, 1, 1025);
	struct packet other = packet_between(3, 1025, 2, 445);
	struct flow *f = flow_create(t, &there, CLIENT), *g;
	uint32_t number;
	enum side side;

	(void)state;
	flow_hash(t, &back);
	number = flow_foresee(t, &back);
	CHECK_EQ(number, f->number);
	CHECK(flow_find_foreseen(t, number, &back, &side) == f);
	CHECK_EQ(side, SERVER);
	CHECK(!flow_find_foreseen(t, number, &other, &side));
	CHECK(flow_find_foreseen(t, 0, &there, &side) == f);
	CHECK_EQ(side, CLIENT);
	flow_rest(pool, f);
	f = flow_find_foreseen(t, number, &there, &side);
	CHECK(f && f->number == number);
	flow_finish(t, f, FLOW_END_FIN);
	CHECK(!flow_find_foreseen(t, number, &there, &side));
	g = flow_create(t, &there, CLIENT);
	CHECK(flow_find_foreseen(t, number, &there, &side) == g);
	flow_release(pool, f);
	CHECK(flow_find_foreseen(t, number, &there, &side) == g);
	f = flow_create(t, &other, CLIENT);
	CHECK_EQ(f->number, number);
	CHECK(flow_find_foreseen(t, number, &there, &side) == g);
	CHECK(flow_find_foreseen(t, number, &other, &side) == f);
	flow_table_free(&t);
	flow_pool_free(&pool);
}

static void
test_at_the_limit_half_open_flows_go_before_established_ones(void **state)
{
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *t = flow_table_new(2, pool);
	struct ends ends = { 0 };
	struct packet p = packet_between(1, 1, 2, 80);
	struct flow *old;
	uint64_t old_id;
	enum side side;

	(void)state;
	flow_table_on_end(t, note_end, &ends);
	old = flow_create(t, &p, CLIENT);
	old_id = old->id;
	old->state = FLOW_ESTABLISHED;
	flow_reclass(t, old);
	for (uint16_t port = 2; port < 50; port++) {
		p.sport = port;
		flow_create(t, &p, CLIENT);
	}
	CHECK_EQ(ends.count, 47);
	CHECK_EQ(ends.how, FLOW_END_EVICTED);
	p.sport = 1;
	CHECK_EQ(flow_find(t, &p, &side)->id, old_id);
	flow_table_free(&t);
	flow_pool_free(&pool);
}

static void
test_established_flows_stay_known_for_more_than_two_hours(void **state)
{
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *t = flow_table_new(10, pool);
	struct ends ends = { 0 };
	struct packet p = packet_between(1, 1025, 2, 445);
	struct flow *f = flow_create(t, &p, CLIENT);
	struct instant start = { 1000 * NS_PER_S };

	(void)state;
	flow_table_on_end(t, note_end, &ends);
	f->state = FLOW_ESTABLISHED;
	flow_heard(t, f, start);
	flow_expire(t, instant_plus(start, 7800 * NS_PER_S));
	CHECK_EQ(ends.count, 0);
	flow_expire(t, instant_plus(start, 7801 * NS_PER_S));
	CHECK_EQ(ends.count, 1);
	CHECK_EQ(ends.how, FLOW_END_TIMEOUT);
	flow_table_free(&t);
	flow_pool_free(&pool);
}

static void
hear_at(struct flow_table *t, struct flow *f, int64_t s)
{
	flow_heard(t, f, (struct instant){ s * NS_PER_S });
}

/* It stands where it was put, and is looked for there. */
static void
test_a_flow_that_goes_on_is_not_forgotten(void **state)
{
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *t = flow_table_new(10, pool);
	struct ends ends = { 0 };
	struct packet p = packet_between(1, 1025, 2, 445);
	struct packet q = packet_between(1, 1026, 2, 445);
	struct flow *f, *g;

	(void)state;
	flow_table_on_end(t, note_end, &ends);
	p.time.ns = q.time.ns = NS_PER_S;
	f = flow_create(t, &p, CLIENT);
	g = flow_create(t, &q, CLIENT);
	hear_at(t, f, 100);
	flow_expire(t, (struct instant){ 140 * NS_PER_S });
	CHECK_EQ(ends.count, 1);		/* the other half-open one */
	CHECK_EQ(ends.id, g->id);
	hear_at(t, f, 200);
	hear_at(t, f, 30000);			/* further than a ring reaches */
	flow_expire(t, (struct instant){ 30130 * NS_PER_S });
	CHECK_EQ(ends.count, 1);
	flow_expire(t, (struct instant){ 30131 * NS_PER_S });
	CHECK_EQ(ends.count, 2);
	flow_table_free(&t);
	flow_pool_free(&pool);
}

static void
test_room_is_made_by_the_one_longest_unheard_of(void **state)
{
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *t = flow_table_new(3, pool);
	struct ends ends = { 0 };
	struct packet p = packet_between(1, 1, 2, 80);
	struct flow *f[3];

	(void)state;
	flow_table_on_end(t, note_end, &ends);
	for (uint16_t i = 0; i < 3; i++) {
		p.sport = i;
		p.time.ns = (1 + i) * NS_PER_S;
		f[i] = flow_create(t, &p, CLIENT);
	}
	hear_at(t, f[0], 10);
	hear_at(t, f[1], 9);
	p.sport = 77;
	p.time.ns = 11 * NS_PER_S;
	flow_create(t, &p, CLIENT);
	CHECK_EQ(ends.id, f[2]->id);
	p.sport = 78;
	flow_create(t, &p, CLIENT);
	CHECK_EQ(ends.id, f[1]->id);
	flow_table_free(&t);
	flow_pool_free(&pool);
}

static void
test_half_open_flows_have_a_quarter_of_the_room(void **state)
{
	enum { LIMIT = 80000 };
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *t = flow_table_new(LIMIT, pool);
	struct packet p = packet_between(1, 1, 2, 80);
	struct flow_stats s;

	(void)state;
	for (uint32_t i = 0; i < LIMIT; i++) {
		p.src = address_from_v4(i + 1);
		flow_create(t, &p, CLIENT);
	}
	flow_table_stats(t, &s);
	CHECK_EQ(s.now, LIMIT / 4);
	CHECK_EQ(s.evicted_half_open, LIMIT - LIMIT / 4);
	flow_table_free(&t);
	flow_pool_free(&pool);
}

/* Flows come and go, so that the table grows and closes its gaps; each is found
 * as long as it is there, and no longer. */
static void
test_what_is_in_the_table_is_found_and_nothing_else(void **state)
{
	enum { TUPLES = 12000, TURNS = 60000 };
	static struct flow *there[TUPLES];
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *t = flow_table_new(TUPLES, pool);
	struct packet p = packet_between(1, 1, 2, 80);
	uint32_t random = 1;
	enum side side;

	(void)state;
	for (uint32_t i = 0; i < TURNS; i++) {
		uint32_t n = unit_draw(&random, TUPLES);

		p.src = address_from_v4(n);
		CHECK(flow_find(t, &p, &side) == there[n]);
		if (there[n]) {
			flow_finish(t, there[n], FLOW_END_FIN);
			flow_release(pool, there[n]);
			there[n] = NULL;
		} else {
			there[n] = flow_create(t, &p, CLIENT);
			there[n]->state = FLOW_ESTABLISHED;
			flow_reclass(t, there[n]);
		}
	}
	for (uint32_t n = 0; n < TUPLES; n++) {
		p.src = address_from_v4(n);
		p.flow_hash = 0;
		flow_hash(t, &p);
		CHECK(flow_find(t, &p, &side) == there[n]);
		there[n] = NULL;
	}
	flow_table_free(&t);
	flow_pool_free(&pool);
}

static uint64_t
next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return *state >> 16 ^ *state << 32;
}

/* Any words at all, most of them none, many of them short. */
static void
make_up(struct flow *f, uint64_t *random)
{
	uint64_t word[sizeof(*f) / sizeof(uint64_t)];

	for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		word[i] = next_random(random) % 4 ? 0 :
		    next_random(random) >> next_random(random) % 64;
	memcpy(f, word, sizeof(*f));
	f->number = f->client_at = f->row_at = 0;	/* looked for again */
}

static void
test_a_flow_that_rested_is_what_it_was(void **state)
{
	static struct rest_book book;
	static _Alignas(REST_UNIT) uint8_t record[REST_ROOM];
	uint64_t random = 1;
	unsigned rested = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct flow f, again;
		uint32_t second = (uint32_t)next_random(&random);
		int class;

		make_up(&f, &random);
		class = rest_pack(&book, &f, second, record);
		if (class < 0)
			continue;
		rested++;
		CHECK_EQ(rest_id(record), f.id);
		rest_unpack(&book, record, (unsigned)class, second, &again);
		CHECK(memcmp(&again, &f, sizeof(f)) == 0);
	}
	CHECK(rested > 1000);
}

/* Asleep or awake, flows are found, told apart, and end in the order of their
 * ids. */
static void
test_flows_at_rest_are_found_and_end(void **state)
{
	enum { FLOWS = 150000 };
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *t = flow_table_new(FLOWS, pool);
	struct packet p = packet_between(1, 1, 2, 80);
	struct ends ends = { 0 };
	enum side side;
	unsigned portions = 0;

	(void)state;
	flow_table_on_end(t, note_end, &ends);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct flow *f;

		p.src = address_from_v4(i);
		f = flow_create(t, &p, CLIENT);
		f->half[CLIENT].isn = i;
		f->state = FLOW_ESTABLISHED;
		flow_reclass(t, f);
		if (i % 3)
			flow_rest(pool, f);
	}
	CHECK_EQ(flow_pool_awake(pool), FLOWS / 3);
	CHECK_EQ(flow_pool_count(pool), FLOWS);
	for (uint32_t i = 0; i < FLOWS; i += 7) {
		struct flow *f;

		p.src = address_from_v4(i);
		f = flow_find(t, &p, &side);
		CHECK(f && f->half[CLIENT].isn == i && f->id == i + 1);
	}
	while (flow_finish_some(t, FLOW_END_CAPTURE)) {
		CHECK(ends.id <= ends.count + 4096);
		portions++;
	}
	CHECK_EQ(ends.count, FLOWS);
	CHECK_EQ(portions, 12);
	flow_table_free(&t);
	flow_pool_free(&pool);
}

static void
test_the_sixty_fifth_exchange_drops_the_oldest(void **state)
{
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *t = flow_table_new(10, pool);
	struct packet p = packet_between(1, 1025, 2, 445);
	struct flow *f = flow_create(t, &p, CLIENT);
	struct flow_stats stats;

	(void)state;
	for (uint64_t key = 1; key <= EXCHANGES_PER_FLOW + 1; key++)
		exchange_open(pool, f, key, 0, 0);
	CHECK(!exchange_find(f, 1));
	CHECK(exchange_find(f, EXCHANGES_PER_FLOW + 1) != NULL);
	flow_table_stats(t, &stats);
	CHECK_EQ(stats.exchanges_refused, 1);
	CHECK_EQ(f->waiting_count, EXCHANGES_PER_FLOW);
	flow_table_free(&t);
	flow_pool_free(&pool);
}

static void
test_a_note_keeps_its_first_frames_and_the_newest(void **state)
{
	struct note n = { 0 };

	(void)state;
	for (uint64_t frame = 1; frame <= 30; frame++)
		note_add(&n, (struct instant){ (int64_t)frame }, frame);
	CHECK_EQ(n.count, 30);
	CHECK_EQ(n.frame_count, NOTE_FRAMES);
	CHECK_EQ(n.frame[0], 1);
	CHECK_EQ(n.frame[NOTE_FRAMES - 2], NOTE_FRAMES - 1);
	CHECK_EQ(n.frame[NOTE_FRAMES - 1], 30);
}

/* The specification's own vectors (community-id-spec, baseline, seed 0). */
/* Who owns an IPv6 network owns 64 bits of address beside 16 of port, and may
 * choose both so that they make up for each other. */
static void
test_port_and_address_cannot_undo_each_other(void **state)
{
	enum { CONNECTIONS = 4096 };
	struct flow_pool *pool = flow_pool_new();
	struct flow_table *t = flow_table_new(CONNECTIONS, pool);
	struct packet p = { .ip_version = 6, .protocol = IP_TCP, .dport = 443 };
	static bool taken[CONNECTIONS];
	unsigned shared = 0;

	(void)state;
	CHECK(address_parse("2001:db8::1", &p.src));
	CHECK(address_parse("2001:db8:1::1", &p.dst));
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		p.sport = (uint16_t)(i + 1);
		memcpy(&p.src.octet[8], &p.sport, sizeof(p.sport));
		p.flow_hash = 0;
		flow_hash(t, &p);
		shared += taken[p.flow_hash % CONNECTIONS];
		taken[p.flow_hash % CONNECTIONS] = true;
	}
	/* as many into as many places: 1 of e by chance, 37 % */
	CHECK(shared < CONNECTIONS / 2);
	flow_table_free(&t);
	flow_pool_free(&pool);
}

static void
test_community_ids_match_the_published_vectors(void **state)
{
	static const struct {
		const char *src, *dst;
		uint16_t sport, dport;
		uint8_t protocol;
		const char *id;
	} vector[] = {
		{ "128.232.110.120", "66.35.250.204", 34855, 80, IP_TCP,
		    "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
		{ "66.35.250.204", "128.232.110.120", 80, 34855, IP_TCP,
		    "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
		{ "192.168.1.52", "8.8.8.8", 54585, 53, IP_UDP,
		    "1:d/FP5EW3wiY1vCndhwleRRKHowQ=" },
		{ "8.8.8.8", "192.168.1.52", 53, 54585, IP_UDP,
		    "1:d/FP5EW3wiY1vCndhwleRRKHowQ=" },
	};
	char id[COMMUNITY_ID_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(vector) / sizeof(vector[0]); i++) {
		struct address src, dst;

		CHECK(address_parse(vector[i].src, &src));
		CHECK(address_parse(vector[i].dst, &dst));
		CHECK_STR(community_id(&src, vector[i].sport, &dst,
		    vector[i].dport, vector[i].protocol, id), vector[i].id);
	}
}

/* Those that somebody needs are older than all others. */
static void
test_hosts_that_must_stay_keep_no_others_from_going(void **state)
{
	enum { LIMIT = 100, NEEDED = 40 };
	struct host_table *t = host_table_new(LIMIT);
	struct address a;
	unsigned refused = 0;
	char ip[20];

	(void)state;
	CHECK(t);
	for (unsigned i = 1; i <= 3 * LIMIT; i++) {
		struct host *h;

		snprintf(ip, sizeof(ip), "10.0.%u.%u", i >> 8, i & 255);
		CHECK(address_parse(ip, &a));
		h = host_of(t, &a, true);
		refused += !h;
		if (h && i <= NEEDED)
			h->flows = 1;
	}
	/* a few looks each time: those that were in the way are passed soon */
	CHECK(refused < 20);
	CHECK(address_parse("10.0.0.1", &a));
	CHECK(host_of(t, &a, false));
	host_table_free(&t);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_flow_is_found_from_both_sides),
    cmocka_unit_test(test_what_was_foreseen_is_found_only_while_it_is_that),
    cmocka_unit_test(test_at_the_limit_half_open_flows_go_before_established_ones),
    cmocka_unit_test(test_established_flows_stay_known_for_more_than_two_hours),
    cmocka_unit_test(test_a_flow_that_goes_on_is_not_forgotten),
    cmocka_unit_test(test_room_is_made_by_the_one_longest_unheard_of),
    cmocka_unit_test(test_half_open_flows_have_a_quarter_of_the_room),
    cmocka_unit_test(test_what_is_in_the_table_is_found_and_nothing_else),
    cmocka_unit_test(test_a_flow_that_rested_is_what_it_was),
    cmocka_unit_test(test_flows_at_rest_are_found_and_end),
    cmocka_unit_test(test_the_sixty_fifth_exchange_drops_the_oldest),
    cmocka_unit_test(test_a_note_keeps_its_first_frames_and_the_newest),
    cmocka_unit_test(test_port_and_address_cannot_undo_each_other),
    cmocka_unit_test(test_community_ids_match_the_published_vectors),
    cmocka_unit_test(test_hosts_that_must_stay_keep_no_others_from_going),
)
