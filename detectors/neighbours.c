/* neighbours.c - how the other servers fared in the time of an incident.
 *
 * Each incident asks of each other server whether anything was wrong with it in
 * the same time. The hard part is that there may be thousands of either, and a
 * hundred thousand findings: so the times of a server's findings lie together,
 * by their beginnings, each with the latest end of those so far. Whether any
 * reaches into a span of time is then one search and one look; that two do, by
 * the second latest end. */
#include "detectors/neighbours.h"

#include <stdint.h>
#include <stdlib.h>

/* One finding: a server's lie together, by name and beginning. */
struct trouble {
	enum finding_name name;
	struct instant first, last;
	struct instant latest, second;	/* ends of those of this name so far */
};

/* The same, whatever its name: asked of each server, so short. */
struct ill {
	struct instant first, latest;
};

struct neighbour {
	const struct server *server;
	struct instant last;		/* seen */
	struct instant ill_from, ill_to; /* all of its troubles lie between */
	size_t first, count;		/* its troubles */
	uint64_t names;			/* of them: set of 1 << finding_name */
};

struct neighbours {
	size_t count;
	struct neighbour *neighbour;
	struct ill *any;
	struct trouble *named;
};

static bool
is_trouble(const struct finding *x)
{
	return !x->retracted && x->severity >= SEVERITY_MEDIUM;
}

static int
by_name_and_time(const void *a, const void *b)
{
	const struct trouble *x = a, *y = b;

	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	return x->first.ns < y->first.ns ? -1 : x->first.ns > y->first.ns;
}

static const struct instant never = { INT64_MIN };

/* In order, each with the ends of those before it. */
static void
put_in_order(struct trouble *t, size_t count)
{
	qsort(t, count, sizeof(*t), by_name_and_time);
	for (size_t i = 0; i < count; i++) {
		bool goes_on = i && t[i - 1].name == t[i].name;
		struct instant latest = goes_on ? t[i - 1].latest : never;
		struct instant second = goes_on ? t[i - 1].second : never;

		if (instant_before(t[i].last, latest)) {
			t[i].latest = latest;
			t[i].second = instant_before(second, t[i].last) ?
			    t[i].last : second;
		} else {
			t[i].latest = t[i].last;
			t[i].second = latest;
		}
	}
}

static int
by_time(const void *a, const void *b)
{
	const struct ill *x = a, *y = b;

	return x->first.ns < y->first.ns ? -1 : x->first.ns > y->first.ns;
}

static void
put_all_in_order(struct ill *any, size_t count)
{
	qsort(any, count, sizeof(*any), by_time);
	for (size_t i = 1; i < count; i++)
		if (instant_before(any[i].latest, any[i - 1].latest))
			any[i].latest = any[i - 1].latest;
}

static void
take_server(struct neighbours *n, const struct server *s, size_t at)
{
	struct neighbour *o = &n->neighbour[n->count++];
	uint64_t names = 0;
	size_t end = at;

	for (const struct finding *x = s->findings; x; x = x->next_of_server) {
		if (!is_trouble(x))
			continue;
		n->any[end] = (struct ill){ x->first_seen, x->last_seen };
		n->named[end++] = (struct trouble){ .name = x->name,
			.first = x->first_seen, .last = x->last_seen };
		names |= UINT64_C(1) << x->name;
	}
	*o = (struct neighbour){ .server = s, .last = s->last, .first = at,
		.count = end - at, .names = names };
	if (!o->count)
		return;
	put_in_order(n->named + at, o->count);
	put_all_in_order(n->any + at, o->count);
	o->ill_from = n->any[at].first;
	o->ill_to = n->any[end - 1].latest;
}

struct neighbours *
neighbours_new(const struct server *servers)
{
	struct neighbours *n = calloc(1, sizeof(*n));
	size_t troubles = 0, count = 0;

	if (!n)
		return NULL;
	for (const struct server *s = servers; s; s = s->next) {
		count += s->flows > 0;
		for (const struct finding *x = s->flows ? s->findings : NULL; x;
		    x = x->next_of_server)
			troubles += is_trouble(x);
	}
	n->neighbour = malloc((count + 1) * sizeof(*n->neighbour));
	n->any = malloc((troubles + 1) * sizeof(*n->any));
	n->named = malloc((troubles + 1) * sizeof(*n->named));
	if (!n->neighbour || !n->any || !n->named) {
		neighbours_free(&n);
		return NULL;
	}
	troubles = 0;
	for (const struct server *s = servers; s; s = s->next) {
		if (!s->flows)
			continue;
		take_server(n, s, troubles);
		troubles += n->neighbour[n->count - 1].count;
	}
	return n;
}

void
neighbours_free(struct neighbours **np)
{
	struct neighbours *n = *np;

	*np = NULL;
	if (!n)
		return;
	free(n->neighbour);
	free(n->any);
	free(n->named);
	free(n);
}

/* The last of this name that had begun by then, or NULL. */
static const struct trouble *
begun_by(const struct trouble *t, size_t count, enum finding_name name,
    struct instant then)
{
	const struct trouble key = { .name = name, .first = then };
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (by_name_and_time(&t[mid], &key) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return high && t[high - 1].name == name ? &t[high - 1] : NULL;
}

static bool
was_ill(const struct neighbours *n, const struct neighbour *o,
    struct instant from, struct instant to)
{
	const struct ill *t = n->any + o->first;
	size_t low = 0, high = o->count;

	if (!o->count || instant_before(to, o->ill_from) ||
	    instant_before(o->ill_to, from))
		return false;
	while (low < high) {		/* those that had begun by then */
		size_t mid = low + (high - low) / 2;

		if (instant_before(to, t[mid].first))
			high = mid;
		else
			low = mid + 1;
	}
	return high && !instant_before(t[high - 1].latest, from);
}

struct neighbours_count
neighbours_between(const struct neighbours *n, const struct server *but,
    struct instant from, struct instant to, enum finding_name name)
{
	struct neighbours_count c = { 0 };

	for (size_t i = 0; i < n->count; i++) {
		const struct neighbour *o = &n->neighbour[i];
		const struct trouble *t;

		if (o->server == but || instant_before(o->last, from))
			continue;
		if (!was_ill(n, o, from, to)) {
			c.well++;
			continue;
		}
		if (!(o->names >> name & 1))
			continue;
		t = begun_by(n->named + o->first, o->count, name, to);
		c.alike += t && !instant_before(t->second, from);
	}
	return c;
}
