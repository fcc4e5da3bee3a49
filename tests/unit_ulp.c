/* unit_ulp.c - the upper layers' part of the packet phase says the same, however
 * far behind TCP's part it is. */
#include <stdio.h>

#include "capture/engine.h"
#include "capture/source.h"
#include "capture/workers.h"
#include "tests/unit.h"

enum { BATCHES_MAX = 4096 };

enum delay {
	NO_DELAY,		/* not deferred at all */
	BY_A_BATCH,		/* when the next batch was taken */
	BY_ALL,			/* not before it must be */
};

struct listener {
	struct engine *engine;
	struct batch *batch[BATCHES_MAX];
	size_t count;			/* of batches */
	size_t deliveries, answers, events, steps, catches;
	uint64_t sum;			/* of all that was heard, in order */
	uint64_t state;			/* of flows, as the steps saw them */
	struct instant last;		/* delivery or event */
};

static void
add(uint64_t *sum, uint64_t n)
{
	*sum = (*sum ^ n) * UINT64_C(1099511628211);
}

static void
hear_delivery(void *context, const struct delivery *d, int64_t answered_ns)
{
	struct listener *l = context;

	l->deliveries++;
	l->answers += answered_ns > 0;
	add(&l->sum, d->packet->frame);
	add(&l->sum, d->flow->id);
	add(&l->sum, d->facts);
	add(&l->sum, (uint64_t)answered_ns);
	CHECK(!instant_before(d->packet->time, l->last));
	l->last = d->packet->time;
}

static void
hear_app(void *context, const struct app_event *e)
{
	struct listener *l = context;

	l->events++;
	add(&l->sum, e->frame);
	add(&l->sum, e->flow ? e->flow->id : 0);
	add(&l->sum, (uint64_t)e->type << 32 | e->label);
	add(&l->sum, (uint64_t)e->took_ns);
}

static void
hear_step(void *context, struct engine *e, struct instant now)
{
	struct listener *l = context;
	struct flow *const *flows;
	size_t n;

	(void)now;
	l->steps++;
	flows = engine_touched_flows(e, &n);
	for (size_t i = 0; i < n; i++) {
		add(&l->state, flows[i]->id);
		add(&l->state, flows[i]->waiting_count);
		add(&l->state, flows[i]->turns);
		add(&l->state, flows[i]->app);
		add(&l->state, (uint64_t)flows[i]->last_asked.ns);
		add(&l->state, (uint64_t)flows[i]->last_answered.ns);
	}
}

static void
catch_up(void *context)
{
	struct listener *l = context;

	l->catches++;
	for (size_t i = 0; i < l->count; i++)
		engine_deliver(l->engine, l->batch[i]);
}

static struct batch *
next_batch(struct listener *l, struct source *s)
{
	struct batch *b = batches_new(1, INTAKE_FILE_BYTES);
	struct frame frame[INTAKE_FRAMES];
	size_t count = 0;

	CHECK(b && l->count < BATCHES_MAX);
	b->result = source_next_batch(s, frame, INTAKE_FRAMES, &count);
	for (size_t i = 0; b->result == SOURCE_FRAME && i < count; i++)
		batch_add(b, &frame[i], false);
	intake_decode(engine_intake(l->engine), b);
	intake_settle(engine_intake(l->engine), b);
	l->batch[l->count++] = b;
	return b;
}

/* Returns its source. */
static struct source *
begin(struct listener *l, const char *path)
{
	struct engine_observer o = { .context = l, .on_delivery = hear_delivery,
		.on_app = hear_app, .on_step = hear_step };
	struct engine_config c = { .name_with_ndpi = true };
	char err[SOURCE_ERROR_BYTES];
	struct source *s;

	memset(l, 0, sizeof(*l));
	CHECK_EQ(source_open_files(&path, 1, NULL, &s, err), 0);
	l->engine = engine_new(&c, &o);
	CHECK(l->engine);
	return s;
}

static void
end(struct listener *l, struct source *s)
{
	engine_finish(l->engine);
	engine_free(&l->engine);
	source_close(&s);
}

static void
hear(struct listener *l, const char *path, enum delay delay)
{
	struct source *s = begin(l, path);
	enum source_result result;

	if (delay != NO_DELAY)
		CHECK(engine_defer(l->engine, &(struct engine_deferral){
		    catch_up, l }));
	do {
		struct batch *b = next_batch(l, s);

		result = b->result;
		engine_batch(l->engine, b);
		if (delay == BY_A_BATCH && l->count > 1)
			engine_deliver(l->engine, l->batch[l->count - 2]);
	} while (result == SOURCE_FRAME);
	CHECK(engine_defer(l->engine, NULL));
	while (l->count)
		batches_free(&l->batch[--l->count], 1);
	end(l, s);
}

static void
hear_with(struct listener *l, const char *path, unsigned workers)
{
	struct source *s = begin(l, path);
	struct workers *w = workers_new(s, engine_intake(l->engine), l->engine,
	    workers);
	enum source_result result;

	CHECK(w);
	do {
		struct batch *b = workers_next(w);

		engine_batch(l->engine, b);
		result = b->result;
	} while (result == SOURCE_FRAME);
	workers_free(&w);
	end(l, s);
}

static const char *
sample(const char *name)
{
	static char path[512];
	const char *top = getenv("srcdir");

	snprintf(path, sizeof(path), "%s/pcaps/%s.pcap", top ? top : ".", name);
	return path;
}

static void
check_same(const struct listener *one, const struct listener *other)
{
	CHECK_EQ(other->deliveries, one->deliveries);
	CHECK_EQ(other->events, one->events);
	CHECK_EQ(other->sum, one->sum);
	CHECK_EQ(other->steps, one->steps);
	CHECK_EQ(other->state, one->state);
}

static void
test_what_is_delivered_later_says_the_same(void **state)
{
	static const char *const names[] = { "exchange-freeze", "ftp-passive",
		"healthy-office" };
	static struct listener now, later;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		hear(&now, sample(names[i]), NO_DELAY);
		CHECK(now.deliveries > 100 && now.events > 20);
		CHECK(now.answers > 0 && now.steps > 20);
		CHECK_EQ(now.catches, 0);
		for (enum delay d = BY_A_BATCH; d <= BY_ALL; d++) {
			hear(&later, sample(names[i]), d);
			CHECK(later.catches > 20);
			check_same(&now, &later);
		}
	}
}

static void
test_any_number_of_threads_says_the_same(void **state)
{
	static struct listener one, many;

	(void)state;
	hear_with(&one, sample("exchange-freeze"), 1);
	CHECK(one.deliveries > 100 && one.events > 20);
	for (unsigned workers = 2; workers < 6; workers++)
		for (unsigned again = 0; again < 10; again++) {
			hear_with(&many, sample("exchange-freeze"), workers);
			check_same(&one, &many);
		}
}

static void
hear_raw(void *context, const struct packet *p, uint64_t flow_id, bool is_copy)
{
	(void)context;
	(void)p;
	(void)flow_id;
	(void)is_copy;
}

/* Who prints packets with what is said of them needs both at once. */
static void
test_raw_packets_forbid_to_deliver_later(void **state)
{
	struct engine_observer o = { .on_raw_tcp = hear_raw };
	struct engine *e = engine_new(NULL, &o);

	(void)state;
	CHECK(e);
	CHECK(!engine_defer(e, &(struct engine_deferral){ catch_up, NULL }));
	CHECK(engine_defer(e, NULL));
	engine_free(&e);
}

UNIT_TESTS(
    cmocka_unit_test(test_what_is_delivered_later_says_the_same),
    cmocka_unit_test(test_any_number_of_threads_says_the_same),
    cmocka_unit_test(test_raw_packets_forbid_to_deliver_later),
)
