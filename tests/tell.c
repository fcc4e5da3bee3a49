/* tell.c - plays a capture as a live run would see it, and prints each event as
 * it is told: number, seconds since the first packet, kind, id, what became of
 * it ("merged": withdrawn in favour of another), name, server, tab-separated.
 * Each argument is a capture. */
#include <stdio.h>

#include "tests/trial.h"

static void
print(void *context, struct event *e)
{
	const struct trial *t = context;
	struct instant first = engine_stats(t->engine)->first;
	const char *change = strstr(e->json, "\"merged_into\":") ? "merged" :
	    event_change_name(e->change);

	printf("%llu\t%.0f\t%s\t%llu\t%s\t%s\t%s\n",
	    (unsigned long long)e->number,
	    (double)instant_since(e->time, first) / 1e9,
	    event_kind_name(e->kind), (unsigned long long)e->id,
	    change ? change : "-", e->name, e->server);
}

static int
tell(const char *path)
{
	struct feed_listener listener = { NULL, print, NULL };
	char err[SOURCE_ERROR_BYTES] = "out of memory";
	struct trial t;

	listener.context = &t;
	if (trial_open(&t, &path, 1, err)) {
		fprintf(stderr, "tell: %s\n", err);
		trial_close(&t);
		return 1;
	}
	t.feed = feed_new(&t.run, NULL);
	if (t.feed && feed_listen(t.feed, &listener) == 0) {
		printf("# %s\n", path);
		trial_play(&t);
		feed_finish(t.feed);
	}
	trial_close(&t);
	return 0;
}

int
main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= tell(argv[i]);
	return failed;
}
