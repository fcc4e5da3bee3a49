/* unit_timeline.c - who was answered when: cells that widen or slide, rows by
 * who stalled first. */
#include "detectors/timeline.h"

#include "detectors/server_internal.h"
#include "tests/unit.h"

/* A moment that no width of cells divides. */
#define START ((struct instant){ INT64_C(1205836801) * NS_PER_S })

static struct address
client(unsigned n)
{
	struct address a = { .octet = { [10] = 0xff, [11] = 0xff, [12] = 10 } };

	a.octet[14] = (uint8_t)(n >> 8);
	a.octet[15] = (uint8_t)n;
	return a;
}

static struct instant
after(int64_t s)
{
	return instant_plus(START, s * NS_PER_S);
}

/* A server on the heap, freed with all it holds. */
static struct server *
made(void)
{
	struct server *s = calloc(1, sizeof(*s));

	CHECK(s);
	s->configured = true;
	s->first = START;
	return s;
}

static void
serve(struct server *s, unsigned n, int64_t second, bool live)
{
	struct address a = client(n);
	static uint16_t at;		/* another client's, as a rule */

	timeline_served(s, &a, &at, after(second + 1), live);
	timeline_took(s, (int64_t)n * NS_PER_MS, after(second + 1));
}

static struct outcome *
outcome(struct server *s, unsigned n)
{
	struct outcome *o = server_new_outcome(s);

	CHECK(o);
	o->client = client(n);
	return o;
}

static void
test_each_second_is_a_cell_at_first(void **state)
{
	static struct timeline_picture p;
	struct server *s = made();

	(void)state;
	serve(s, 1, 0, false);
	serve(s, 2, 3, false);
	CHECK(timeline_draw(s, after(6), true, &p));
	CHECK_EQ(p.cell_s, 1);
	CHECK_EQ(p.cells, 6);
	CHECK_EQ(p.from.ns, START.ns);
	CHECK_EQ(p.rows, 2);
	CHECK_STR(p.row[0].state, "a.....");
	CHECK_STR(p.row[1].state, "...a..");
	CHECK_EQ(p.answered[0], 1);
	CHECK_EQ(p.took_ns[3], 2 * NS_PER_MS);
	server_free(&s);
}

static void
test_cells_widen_and_nothing_is_lost(void **state)
{
	static struct timeline_picture p;
	struct server *s = made();
	uint64_t all = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		serve(s, 1 + (unsigned)i % 3, i, false);
	CHECK(timeline_draw(s, after(1000), true, &p));
	CHECK_EQ(p.cell_s, 8);
	CHECK(p.cells >= 125 && p.cells <= 126);
	CHECK(!instant_before(START, p.from));
	CHECK(instant_since(START, p.from) < 8 * NS_PER_S);
	for (unsigned i = 0; i < p.cells; i++) {
		all += p.answered[i];
		CHECK_EQ(p.row[0].state[i], 'a');
	}
	CHECK_EQ(all, 1000);
	CHECK_EQ(p.rows, 3);
	server_free(&s);
}

static void
test_a_live_one_slides_over_the_last_hours(void **state)
{
	static struct timeline_picture p;
	struct server *s = made();
	int64_t day = 86400;

	(void)state;
	serve(s, 1, 0, true);
	serve(s, 2, day - 30, true);
	CHECK(timeline_draw(s, after(day), true, &p));
	CHECK(p.cell_s <= TIMELINE_LIVE_CELL_S);
	CHECK_EQ(p.cells, TIMELINE_CELLS);
	CHECK_EQ(p.rows, 2);
	for (unsigned i = 0; i < p.cells; i++)
		CHECK_EQ(p.row[0].state[i], '.');
	CHECK(strchr(p.row[1].state, 'a') >=
	    p.row[1].state + TIMELINE_CELLS - 3);
	server_free(&s);
}

static void
test_a_stall_is_drawn_over_answers_and_its_row_comes_first(void **state)
{
	static struct timeline_picture p;
	struct server *s = made();
	struct outcome *o;

	(void)state;
	for (unsigned n = 1; n <= 3; n++)
		serve(s, n, 0, false);
	o = outcome(s, 3);
	o->established = o->began = START;
	outcome_have_more(o)->trouble = after(2);
	o->more->recovered = after(5);
	o->last_answered = after(5);
	o = outcome(s, 2);
	o->established = o->began = START;
	o->last_asked = after(4);
	o = outcome(s, 4);
	o->began = o->last = after(1);
	o->end = FLOW_END_RST;
	CHECK(timeline_draw(s, after(8), true, &p));
	CHECK_EQ(p.rows, 4);
	CHECK_EQ(memcmp(&p.row[0].client, &(struct address){ .octet = {
	    [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 3 } },
	    sizeof(struct address)), 0);
	CHECK_STR(p.row[0].state, "a.sssr..");
	CHECK_STR(p.row[1].state, "a.......");
	CHECK_STR(p.row[2].state, "a...wwww");
	CHECK_STR(p.row[3].state, ".x......");
	server_free(&s);
}

static void
test_more_clients_than_there_is_room_for_are_counted(void **state)
{
	static struct timeline_picture p;
	struct server *s = made();

	(void)state;
	for (unsigned n = 0; n < TIMELINE_CLIENTS + 100; n++)
		serve(s, n, 1, false);
	CHECK(timeline_draw(s, after(2), true, &p));
	CHECK_EQ(p.rows, TIMELINE_ROWS);
	CHECK_EQ(p.more, TIMELINE_CLIENTS - TIMELINE_ROWS);
	CHECK_EQ(p.answered[1], TIMELINE_CLIENTS + 100);
	server_free(&s);
}

UNIT_TESTS(
    cmocka_unit_test(test_each_second_is_a_cell_at_first),
    cmocka_unit_test(test_cells_widen_and_nothing_is_lost),
    cmocka_unit_test(test_a_live_one_slides_over_the_last_hours),
    cmocka_unit_test(test_a_stall_is_drawn_over_answers_and_its_row_comes_first),
    cmocka_unit_test(test_more_clients_than_there_is_room_for_are_counted),
)
