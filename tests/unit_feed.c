/* unit_feed.c - a run that is told as it goes on says in the end what a run that
 * is told at once says: over sample captures, with all detectors. */
#include "detectors/feed.h"

#include <jansson.h>
#include <stdio.h>

#include "detectors/report_common.h"
#include "tests/trial.h"
#include "tests/unit.h"

enum { THINGS = 4096 };

/* What a listener knows: the last word on each finding and incident. */
struct known {
	uint64_t last_number, events, out_of_order, said_twice, unknown;
	unsigned findings, incidents;
	unsigned times[EVENT_KINDS][THINGS];	/* by id */
	struct event *last[EVENT_KINDS][THINGS];
};

static void
hear(void *context, struct event *e)
{
	struct known *k = context;
	struct event **last = &k->last[e->kind][e->id % THINGS];
	json_t *record = json_loads(e->json, 0, NULL);

	CHECK(record);
	CHECK_STR(json_string_value(json_object_get(record, "event_type")),
	    event_kind_name(e->kind));
	json_decref(record);
	k->events++;
	k->out_of_order += e->number != ++k->last_number;
	k->times[e->kind][e->id % THINGS]++;
	if (e->id && e->change == CHANGE_NEW)
		k->said_twice += *last != NULL;
	else if (e->id && e->change != CHANGE_NONE)
		k->unknown += *last == NULL;
	event_release(last);
	*last = event_hold(e);
}

static void
forget(struct known *k)
{
	for (int kind = 0; kind < EVENT_KINDS; kind++)
		for (unsigned i = 0; i < THINGS; i++)
			event_release(&k->last[kind][i]);
}

/* One sample capture, or two, the one after the other: `name` + `name`. */
static void
open_sample(struct trial *t, const char *name)
{
	const char *top = getenv("srcdir"), *more = strchr(name, '+');
	char path[2][4096], err[SOURCE_ERROR_BYTES];
	const char *const paths[] = { path[0], path[1] };

	snprintf(path[0], sizeof(path[0]), "%s/pcaps/%.*s", top ? top : ".",
	    more ? (int)(more - name) : 100, name);
	snprintf(path[1], sizeof(path[1]), "%s/pcaps/%s", top ? top : ".",
	    more ? more + 1 : "");
	CHECK_EQ(trial_open(t, paths, more ? 2 : 1, err), 0);
}

static void
play_live(struct trial *t, const char *name, const struct feed_past *past,
    struct known *k)
{
	struct feed_listener listener = { k, hear, NULL };

	memset(k, 0, sizeof(*k));
	k->last_number = past ? past->last_event : 0;
	open_sample(t, name);
	t->feed = feed_new(&t->run, past);
	CHECK(t->feed);
	CHECK_EQ(feed_listen(t->feed, &listener), 0);
	trial_play(t);
	feed_finish(t->feed);
	CHECK_EQ(k->out_of_order, 0);
	CHECK_EQ(k->said_twice, 0);
	CHECK_EQ(k->unknown, 0);
}

static void
play_at_once(struct trial *t, const char *name)
{
	open_sample(t, name);
	trial_play(t);
	t->run.incidents = incidents_judge(t->registry,
	    registry_judge(t->registry));
}

/* Every finding that stands was told, as it stands; nothing else was left
 * standing. */
static void
same_findings(const struct trial *once, struct known *k)
{
	size_t count, standing = 0;
	struct finding **list = report_findings(&once->run, &count);

	for (size_t i = 0; i < count; i++) {
		const struct event *e = k->last[EVENT_FINDING][list[i]->id];

		CHECK(e);
		CHECK(e->change != CHANGE_WITHDRAWN);
		CHECK_STR(e->name, finding_name_text(list[i]->name));
		CHECK_STR(e->text, list[i]->text);
		CHECK_EQ(e->severity, list[i]->severity);
		CHECK_EQ(e->since.ns, list[i]->first_seen.ns);
		CHECK_EQ(e->incident_id != 0, list[i]->incident_id != 0);
	}
	free(list);
	for (unsigned i = 0; i < THINGS; i++)
		standing += k->last[EVENT_FINDING][i] &&
		    k->last[EVENT_FINDING][i]->change != CHANGE_WITHDRAWN;
	CHECK_EQ(standing, count);
}

static void
same_incidents(const struct trial *once, const struct known *k)
{
	size_t count = 0, standing = 0;

	for (const struct incident *i = once->run.incidents; i; i = i->next)
		count++;
	for (unsigned n = 0; n < THINGS; n++) {
		const struct event *e = k->last[EVENT_INCIDENT][n];
		const struct incident *i = once->run.incidents;

		if (!e || e->change == CHANGE_WITHDRAWN)
			continue;
		standing++;
		while (i && (i->start.ns != e->since.ns ||
		    strcmp(verdict_name(i->verdict), e->name) != 0))
			i = i->next;
		CHECK(i);
		CHECK_STR(e->text, i->summary);
		CHECK_EQ(e->over, instant_is_set(i->end));
	}
	CHECK_EQ(standing, count);
}

static const char *const captures[] = {
	"exchange-freeze.pcap", "toe-deaf.pcap", "app-hang.pcap",
	"server-restart.pcap", "healthy-office.pcap", "lost-state.pcap",
	"keepalive-dead.pcap", "rss-stall.pcap", "host-down.pcap",
	"checksum-discarded.pcap", "mirror-one-way.pcap", "session-leak.pcap",
};

static void
test_the_last_word_is_that_of_a_run_told_at_once(void **state)
{
	static struct known k;
	struct trial live, once;

	(void)state;
	for (size_t i = 0; i < sizeof(captures) / sizeof(captures[0]); i++) {
		play_live(&live, captures[i], NULL, &k);
		play_at_once(&once, captures[i]);
		same_findings(&once, &k);
		same_incidents(&once, &k);
		CHECK(k.times[EVENT_CAPTURE][0] >= 1);
		trial_close(&live);
		trial_close(&once);
		forget(&k);
	}
}

/* A freeze is one incident from its first minute on, and is not repeated for
 * each of its witnesses. */
static void
test_a_freeze_is_one_incident_told_a_few_times(void **state)
{
	static struct known k;
	struct trial t;
	unsigned ids = 0;

	(void)state;
	play_live(&t, "exchange-freeze.pcap", NULL, &k);
	for (unsigned i = 0; i < THINGS; i++)
		ids += k.times[EVENT_INCIDENT][i] > 0;
	CHECK_EQ(ids, 1);
	CHECK(k.times[EVENT_INCIDENT][1] >= 1);
	/* 312 s of it, held for 10 s */
	CHECK(k.times[EVENT_INCIDENT][1] <= 33);
	CHECK_EQ(k.last[EVENT_INCIDENT][1]->severity, SEVERITY_HIGH);
	trial_close(&t);
	forget(&k);
}

static void
test_numbers_go_on_and_what_was_open_stays_one_incident(void **state)
{
	static struct known k;
	struct incident_past open = { .id = 7 };
	struct feed_past past = { .last_event = 100, .last_finding = 40,
		.last_incident = 9, .open = &open, .open_count = 1 };
	struct trial t;

	(void)state;
	play_live(&t, "exchange-freeze.pcap", NULL, &k);
	open.server = t.run.incidents->server->address;
	open.start = instant_plus(t.run.incidents->start, -300 * NS_PER_S);
	open.last = instant_plus(t.run.incidents->start, -60 * NS_PER_S);
	trial_close(&t);
	forget(&k);
	play_live(&t, "exchange-freeze.pcap", &past, &k);
	CHECK(k.last[EVENT_INCIDENT][7]);
	CHECK_EQ(k.last[EVENT_INCIDENT][7]->since.ns, open.start.ns);
	CHECK(k.last[EVENT_FINDING][41]);
	CHECK(!k.last[EVENT_FINDING][1]);
	CHECK(!k.last[EVENT_INCIDENT][10]);
	trial_close(&t);
	forget(&k);
}

/* Five weeks lie between the two captures. */
static void
test_what_is_long_over_is_forgotten_and_was_told(void **state)
{
	static struct known k;
	struct instant began;
	struct trial t;
	unsigned told = 0;

	(void)state;
	play_live(&t, "server-restart.pcap+exchange-freeze.pcap", NULL, &k);
	CHECK(t.run.incidents && !t.run.incidents->next);
	began = t.run.incidents->start;
	CHECK_STR(verdict_name(t.run.incidents->verdict), "offload_engine");
	for (struct finding *x = registry_findings(t.registry); x; x = x->next)
		CHECK(instant_since(began, x->first_seen) < 600 * NS_PER_S);
	for (unsigned i = 0; i < THINGS; i++)
		told += k.last[EVENT_INCIDENT][i] != NULL;
	CHECK_EQ(told, 2);
	trial_close(&t);
	forget(&k);
}

/* Of trouble that lasts and has more witnesses than are kept, the oldest go: what
 * stays is the same incident. */
static void
test_a_lasting_incident_stays_itself_without_its_oldest_findings(void **state)
{
	struct incident was, *i;
	struct trial t;
	struct finding *x;
	struct judge *j;
	size_t held = 0, gone, left = 0;

	(void)state;
	open_sample(&t, "session-leak.pcap");
	t.feed = feed_new(&t.run, NULL);
	CHECK(t.feed);
	trial_play(&t);
	j = registry_judge(t.registry);
	feed_step(t.feed, j->now);
	i = t.run.incidents;
	CHECK(i && !i->next && !instant_is_set(i->end));
	was = *i;
	for (x = registry_findings(t.registry); x; x = x->next)
		held += x->incident_id == was.id;
	gone = incident_shorten(i, j, 10, instant_plus(j->now, -5 * NS_PER_S));
	i->server->findings_changed = true;
	feed_step(t.feed, instant_plus(j->now, FEED_MINUTE_S * NS_PER_S));
	for (x = registry_findings(t.registry); x; x = x->next)
		left += x->incident_id == was.id;
	CHECK(gone > held / 2);
	CHECK_EQ(left, held - gone);
	CHECK(left >= 10);
	i = t.run.incidents;
	CHECK(i && !i->next && !instant_is_set(i->end));
	CHECK_EQ(i->id, was.id);
	CHECK_EQ(i->start.ns, was.start.ns);
	CHECK_EQ(i->verdict, was.verdict);
	CHECK_EQ(i->flows_affected, was.flows_affected);
	CHECK_EQ(i->clients_affected, was.clients_affected);
	trial_close(&t);
}

static struct server *
server_at(const struct trial *t, const char *ip)
{
	struct address a;

	CHECK(address_parse(ip, &a));
	return registry_server(t->registry, &a, false);
}

/* 10.20.30.6 has no part in the second capture, 24 days later. */
static void
test_a_server_that_nobody_hears_of_is_forgotten(void **state)
{
	static struct known k;
	struct server *first;
	struct trial t;
	size_t held = 0;

	(void)state;
	play_live(&t, "exchange-freeze.pcap+checksum-discarded.pcap", NULL, &k);
	CHECK(!server_at(&t, "10.20.30.6"));
	first = registry_servers(t.registry);
	CHECK(first && first == server_at(&t, "10.20.30.5"));
	for (struct server *s = first; s; s = s->next)
		held += s->taken;
	CHECK_EQ(held, first->budget->bytes);
	trial_close(&t);
	forget(&k);
}

/* The second capture is three hours later. */
static void
test_a_server_that_was_heard_of_lately_is_not(void **state)
{
	static struct known k;
	struct trial t;

	(void)state;
	play_live(&t, "nat-healthy.pcap+proxy-intermittent.pcap", NULL, &k);
	CHECK(server_at(&t, "203.0.113.54"));
	CHECK(server_at(&t, "10.20.30.1"));
	trial_close(&t);
	forget(&k);
}

static void
test_a_server_that_is_configured_is_never_forgotten(void **state)
{
	struct config_server *c;
	struct trial t;

	(void)state;
	open_sample(&t, "exchange-freeze.pcap+checksum-discarded.pcap");
	c = &t.config.server[t.config.server_count++];
	c->prefix_bits = 128;
	CHECK(address_parse("10.20.30.6", &c->address));
	t.feed = feed_new(&t.run, NULL);
	CHECK(t.feed);
	trial_play(&t);
	CHECK(server_at(&t, "10.20.30.6"));
	trial_close(&t);
}

UNIT_TESTS(
    cmocka_unit_test(test_the_last_word_is_that_of_a_run_told_at_once),
    cmocka_unit_test(test_a_freeze_is_one_incident_told_a_few_times),
    cmocka_unit_test(test_what_is_long_over_is_forgotten_and_was_told),
    cmocka_unit_test(
	test_a_lasting_incident_stays_itself_without_its_oldest_findings),
    cmocka_unit_test(test_a_server_that_nobody_hears_of_is_forgotten),
    cmocka_unit_test(test_a_server_that_was_heard_of_lately_is_not),
    cmocka_unit_test(test_a_server_that_is_configured_is_never_forgotten),
    cmocka_unit_test(test_numbers_go_on_and_what_was_open_stays_one_incident),
)
