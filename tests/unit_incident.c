/* unit_incident.c - the figures a verdict rests on. */
#include "detectors/incident.h"

#include <math.h>

#include "detectors/neighbours.h"
#include "detectors/server_internal.h"
#include "tests/unit.h"

static bool
near(double a, double b)
{
	return fabs(a - b) <= 1e-9 + 1e-6 * fabs(b);
}

/* Fisher's own tea tasting: 3 of 4 right by chance is 17/70, 4 of 4 is 1/70. */
static void
test_the_exact_test_gives_the_tea_tasters_odds(void **state)
{
	(void)state;
	CHECK(near(fisher_one_sided(3, 1, 1, 3), 17.0 / 70));
	CHECK(near(fisher_one_sided(4, 0, 0, 4), 1.0 / 70));
}

static void
test_an_empty_table_says_nothing(void **state)
{
	(void)state;
	CHECK(near(fisher_one_sided(0, 0, 0, 0), 1));
	CHECK(near(fisher_one_sided(0, 10, 0, 10), 1));
}

static void
test_large_tables_stay_finite(void **state)
{
	double p = fisher_one_sided(30000, 100, 50, 30000);

	(void)state;
	CHECK(p >= 0 && p < 1e-100);
}

static void
test_quantiles_are_within_a_fifth(void **state)
{
	struct latency l = { 0 };
	int64_t median;

	(void)state;
	for (int ms = 1; ms <= 1000; ms++)
		latency_add(&l, ms * NS_PER_MS);
	median = latency_quantile(&l, 0.5);
	CHECK(median > 420 * NS_PER_MS && median < 600 * NS_PER_MS);
	CHECK_EQ(latency_quantile(&l, 1), 1000 * NS_PER_MS);
	CHECK_EQ(l.max_ns, 1000 * NS_PER_MS);
}

static struct server *
server_begin(void)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	return s;
}

static struct instant
at_s(int64_t s)
{
	return (struct instant){ s * NS_PER_S };
}

static void
test_another_connection_served_is_the_contrast(void **state)
{
	struct server *s = server_begin();
	struct flow f = { .id = 7 };

	(void)state;
	server_note_served(s, 7, at_s(1000));
	CHECK(!server_answered_others(s, &f, at_s(990), at_s(1010)));
	server_note_served(s, 8, at_s(995));
	CHECK(server_answered_others(s, &f, at_s(990), at_s(1010)));
	CHECK(!server_answered_others(s, &f, at_s(996), at_s(1010)));
	server_note_served(s, 9, at_s(1001));
	server_note_served(s, 7, at_s(1002));
	CHECK(server_answered_others(s, &f, at_s(1001), at_s(1010)));
	server_free(&s);
}

/* A second each from 1000 s on, of `c`. */
static void
live(struct server *s, int64_t from, int64_t to, struct host_counts c)
{
	for (int64_t t = from; t < to; t++) {
		c.first_in = c.last_in = at_s(t);
		c.first_out = c.last_out = c.packets_out ? at_s(t) :
		    (struct instant){ 0 };
		server_close_second(s, &c, at_s(t));
	}
}

static void
test_a_host_whose_data_is_acknowledged_is_not_mute(void **state)
{
	struct host_counts well = { .packets_in = 5, .packets_out = 5,
		.tcp_data_in = 5 };
	struct host_counts asked = { .packets_in = 5, .tcp_data_in = 5 };
	struct host_counts acked = { .packets_in = 5, .tcp_data_in = 5,
		.acks_unseen = 1 };
	struct server *s = server_begin();
	struct outage o;

	(void)state;
	live(s, 1000, 1005, well);
	live(s, 1005, 1025, asked);
	CHECK(server_is_mute(s, at_s(1025), &o));
	CHECK_EQ(o.first_ask.ns, at_s(1005).ns);
	live(s, 1025, 1026, acked);
	CHECK(!server_is_mute(s, at_s(1026), &o));
	server_free(&s);
}

static void
test_old_connections_make_room_and_ill_ones_stay(void **state)
{
	struct server_budget budget = { .limit = SIZE_MAX };
	struct server *s = server_begin();

	(void)state;
	s->budget = &budget;
	for (uint64_t i = 0; i < 100; i++) {
		struct outcome *o = server_new_outcome(s);

		CHECK(o);
		o->flow_id = i + 1;
		o->end = i < 60 ? FLOW_END_FIN : FLOW_END_NONE;
		if (i < 30)
			outcome_have_more(o)->findings = 1;
	}
	server_forget_outcomes(s);
	CHECK_EQ(s->outcome_count, 70);
	CHECK_EQ(s->outcomes_forgotten, 30);
	CHECK_EQ(s->outcome[29]->flow_id, 30);
	CHECK_EQ(s->outcome[30]->flow_id, 61);
	server_free(&s);
	slab_release(&budget.outcomes);
}

static void
test_a_server_takes_no_more_than_the_budget(void **state)
{
	struct server_budget budget = { .limit = 1000 };
	struct server *s = server_begin();

	(void)state;
	s->budget = &budget;
	CHECK(!server_service(s, IP_TCP, 80, true));
	CHECK_EQ(budget.refused, 1);
	s->configured = true;
	CHECK(server_service(s, IP_TCP, 80, true));
	server_free(&s);
}

static void
test_forged_clients_leave_room_for_real_ones(void **state)
{
	struct server *s = server_begin();
	struct address real = address_from_v4(0x0a000001);
	uint32_t found = 0, at = 0;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		struct address a = address_from_v4(0x0b000000 + i);

		at = i % 2 ? at : 0;	/* another one's says nothing */
		server_client_heard(s, &a, &at, at_s(1000), false);
		if (i == 10)
			CHECK(server_client_heard(s, &real, &found, at_s(999),
			    true));
	}
	CHECK(s->clients < 65536);
	/* where it was found before it moved says nothing either */
	CHECK(server_client_heard(s, &real, &found, at_s(1000), true));
	CHECK(!server_client_heard(s, &real, &found, at_s(1000), true));
	CHECK_EQ(server_client_last(s, &real).ns, at_s(1000).ns);
	found = 0;
	CHECK(!server_client_heard(s, &real, &found, at_s(1000), true));
	CHECK(found);
	server_free(&s);
}

enum { OTHERS = 40, THEIR_FINDINGS = 12 };

/* What an index must say, asked of each finding. */
static struct neighbours_count
count_one_by_one(const struct server *servers, const struct server *but,
    struct instant from, struct instant to, enum finding_name name)
{
	struct neighbours_count c = { 0 };

	for (const struct server *s = servers; s; s = s->next) {
		unsigned any = 0, alike = 0;

		for (const struct finding *x = s->findings; x;
		    x = x->next_of_server)
			if (!x->retracted && x->severity >= SEVERITY_MEDIUM &&
			    x->first_seen.ns <= to.ns &&
			    x->last_seen.ns >= from.ns)
				any++, alike += x->name == name;
		if (s == but || !s->flows || s->last.ns < from.ns)
			continue;
		c.well += !any;
		c.alike += alike >= 2;
	}
	return c;
}

static void
test_the_index_of_troubles_says_what_each_finding_says(void **state)
{
	static struct server other[OTHERS];
	static struct finding theirs[OTHERS][THEIR_FINDINGS];
	uint32_t random = 7;
	struct neighbours *n;

	(void)state;
	for (size_t i = 0; i < OTHERS; i++) {
		other[i].next = i + 1 < OTHERS ? &other[i + 1] : NULL;
		other[i].flows = unit_draw(&random, 8);
		other[i].last = at_s(1000 + unit_draw(&random, 150));
		for (uint32_t k = unit_draw(&random, THEIR_FINDINGS); k; k--) {
			struct finding *x = &theirs[i][k];

			x->name = 1 + unit_draw(&random, 3);
			x->severity = unit_draw(&random, SEVERITY_CRITICAL + 1);
			x->retracted = !unit_draw(&random, 8);
			x->first_seen = at_s(1000 + unit_draw(&random, 100));
			x->last_seen = instant_plus(x->first_seen,
			    unit_draw(&random, 30) * NS_PER_S);
			x->next_of_server = other[i].findings;
			other[i].findings = x;
		}
	}
	n = neighbours_new(other);
	for (unsigned k = 0; k < 1000; k++) {
		const struct server *but = &other[unit_draw(&random, OTHERS)];
		struct instant from = at_s(990 + unit_draw(&random, 150));
		struct instant to = instant_plus(from, unit_draw(&random, 20) *
		    NS_PER_S);
		enum finding_name name = 1 + unit_draw(&random, 3);
		struct neighbours_count a = neighbours_between(n, but, from, to,
		    name), b = count_one_by_one(other, but, from, to, name);

		CHECK_EQ(a.well, b.well);
		CHECK_EQ(a.alike, b.alike);
	}
	neighbours_free(&n);
}

UNIT_TESTS(
    cmocka_unit_test(test_the_index_of_troubles_says_what_each_finding_says),
    cmocka_unit_test(test_another_connection_served_is_the_contrast),
    cmocka_unit_test(test_a_host_whose_data_is_acknowledged_is_not_mute),
    cmocka_unit_test(test_old_connections_make_room_and_ill_ones_stay),
    cmocka_unit_test(test_a_server_takes_no_more_than_the_budget),
    cmocka_unit_test(test_forged_clients_leave_room_for_real_ones),
    cmocka_unit_test(test_the_exact_test_gives_the_tea_tasters_odds),
    cmocka_unit_test(test_an_empty_table_says_nothing),
    cmocka_unit_test(test_large_tables_stay_finite),
    cmocka_unit_test(test_quantiles_are_within_a_fifth),
)
