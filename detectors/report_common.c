/* report_common.c - what every report needs to know of a run: the findings that
 * stand, how each server is, who is to be named first. */
#include "detectors/report_common.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Findings ------------------------------------------------------------------ */

static int
finding_order(const void *a, const void *b)
{
	const struct finding *x = *(struct finding *const *)a;
	const struct finding *y = *(struct finding *const *)b;

	if (x->first_seen.ns != y->first_seen.ns)
		return x->first_seen.ns < y->first_seen.ns ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

struct finding **
report_findings(const struct run *run, size_t *count)
{
	struct finding *first = registry_findings(run->registry), **list;
	size_t n = 0;

	*count = 0;
	for (struct finding *f = first; f; f = f->next)
		n += !f->retracted;
	list = n ? malloc(n * sizeof(*list)) : NULL;
	if (!list)
		return NULL;
	for (struct finding *f = first; f; f = f->next)
		if (!f->retracted)
			list[(*count)++] = f;
	qsort(list, n, sizeof(*list), finding_order);
	return list;
}

bool
finding_degrades(const struct finding *f)
{
	return !f->retracted && f->severity >= SEVERITY_MEDIUM &&
	    f->side != FAULT_CLIENT && f->side != FAULT_CAPTURE;
}

static bool
same_group(const struct finding *a, const struct finding *b)
{
	const char *x = a->kind ? a->kind : "", *y = b->kind ? b->kind : "";

	return a->name == b->name && a->severity == b->severity &&
	    strcmp(x, y) == 0;
}

/* What the sniffer missed is told among what could not be judged. */
static bool
is_aside(const struct finding *f)
{
	if (f->name == FINDING_capture_loss || f->name == FINDING_capture_one_way)
		return false;
	return f->severity < SEVERITY_MEDIUM ||
	    (!finding_degrades(f) && !f->incident_id);
}

size_t
finding_groups(const struct run *run, struct finding_group *out, size_t max)
{
	size_t n, used = 0, g;
	struct finding **list = report_findings(run, &n);

	for (size_t i = 0; i < n; i++) {
		if (!is_aside(list[i]))
			continue;
		for (g = 0; g < used; g++)
			if (same_group(out[g].first, list[i]))
				break;
		if (g == max)
			continue;
		if (g == used)
			out[used++] = (struct finding_group){ list[i], 0 };
		out[g].findings++;
	}
	free(list);
	return used;
}

/* Servers ------------------------------------------------------------------- */

const char *
health_text(enum health h)
{
	switch (h) {
	case HEALTH_OK: return "ok";
	case HEALTH_DEGRADED: return "degraded";
	case HEALTH_FAILING: return "failing";
	case HEALTH_SILENT: return "silent";
	}
	return "ok";
}

/* By this verdict the server itself is well. */
static bool
is_elsewhere(enum verdict v)
{
	return v == VERDICT_client_side || v == VERDICT_network_path;
}

enum health
health_of(const struct server *s)
{
	enum health h = HEALTH_OK;

	for (const struct finding *f = s->findings; f; f = f->next_of_server) {
		if (f->retracted)
			continue;
		if ((f->name == FINDING_server_silent ||
		    f->name == FINDING_egress_dead) && !f->ended)
			return HEALTH_SILENT;
		if (finding_degrades(f))
			h = HEALTH_DEGRADED;
	}
	for (const struct incident *i = s->incidents; i; i = i->next_of_server) {
		if (!instant_is_set(i->end) && !is_elsewhere(i->verdict))
			return HEALTH_FAILING;
		h = HEALTH_DEGRADED;
	}
	return h;
}

const char *
offload_state_text(const struct server *s)
{
	bool host = false, offloaded = false;

	for (size_t i = 0; i < s->outcome_count; i++) {
		switch ((enum stack)s->outcome[i]->stack) {
		case STACK_HOST: host = true; break;
		case STACK_OFFLOADED: offloaded = true; break;
		case STACK_MIXED: host = offloaded = true; break;
		case STACK_UNKNOWN: break;
		}
	}
	if (host && offloaded)
		return "mixed";
	return offloaded ? "offloaded" : host ? "host" : "unknown";
}

size_t
server_roles(const struct server *s, uint8_t out[APP_PROTOCOL_COUNT])
{
	bool served[APP_PROTOCOL_COUNT] = { false };
	size_t n = 0;

	for (const struct service *v = s->services; v; v = v->next)
		if (v->app < APP_PROTOCOL_COUNT && (v->accepted || v->answered ||
		    v->first_asked || v->server_first))
			served[v->app] = true;
	served[APP_UNKNOWN] = served[APP_OTHER] = false;
	for (uint8_t app = 0; app < APP_PROTOCOL_COUNT; app++)
		if (served[app])
			out[n++] = app;
	return n;
}

int
server_response(const struct server *s, int after, struct latency *out)
{
	for (int app = after; app < APP_PROTOCOL_COUNT; app++) {
		memset(out, 0, sizeof(*out));
		for (const struct service *v = s->services; v; v = v->next) {
			if (v->app != app || !v->took.n)
				continue;
			out->n += v->took.n;
			if (v->took.max_ns > out->max_ns)
				out->max_ns = v->took.max_ns;
			for (int bin = 0; bin < LATENCY_BINS; bin++)
				out->bin[bin] += v->took.bin[bin];
		}
		if (out->n)
			return app;
	}
	return -1;
}

static struct told_response *
told_of(const struct server *s, int app)
{
	struct told_response *t = s->told;

	while (t && t->app != app)
		t = t->next;
	return t;
}

/* Takes away what was told. A service may have got another name meanwhile: then
 * all of it is new. */
static void
take_told(struct latency *l, const struct latency *told)
{
	int last = 0;

	for (int bin = 0; bin < LATENCY_BINS; bin++)
		if (l->bin[bin] < told->bin[bin])
			return;
	for (int bin = 0; bin < LATENCY_BINS; bin++) {
		l->bin[bin] -= told->bin[bin];
		last = l->bin[bin] ? bin : last;
	}
	l->n -= told->n;
	/* the longest is known if it came since; else to its quarter octave */
	if (l->n && l->max_ns == told->max_ns &&
	    1000 * exp2((last + 1) / 4.0) < (double)l->max_ns)
		l->max_ns = (int64_t)(1000 * exp2((last + 1) / 4.0));
}

int
server_response_since(const struct server *s, int after, struct latency *out)
{
	for (int app = server_response(s, after, out); app >= 0;
	    app = server_response(s, app + 1, out)) {
		const struct told_response *t = told_of(s, app);

		if (t)
			take_told(out, &t->took);
		if (out->n)
			return app;
	}
	return -1;
}

void
server_tell_responses(struct server *s)
{
	struct latency took;

	for (int app = server_response(s, 0, &took); app >= 0;
	    app = server_response(s, app + 1, &took)) {
		struct told_response *t = told_of(s, app);

		if (!t) {
			t = malloc(sizeof(*t));
			if (!t)
				return;
			*t = (struct told_response){ .next = s->told,
				.app = (uint8_t)app };
			s->told = t;
		}
		t->took = took;
	}
}

double
milliseconds_of(int64_t ns)
{
	return (double)ns / 1e6;
}

static uint64_t
rank_of(const struct server *s)
{
	static const uint64_t order[] = {
		[HEALTH_SILENT] = 3, [HEALTH_FAILING] = 3, [HEALTH_DEGRADED] = 2,
		[HEALTH_OK] = 1,
	};

	return order[health_of(s)];
}

struct ranked {
	struct server *server;
	uint64_t rank;
	size_t position;
};

static int
rank_order(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	if (x->server->flows != y->server->flows)
		return x->server->flows > y->server->flows ? -1 : 1;
	return (x->position > y->position) - (x->position < y->position);
}

struct server **
report_servers(const struct run *run, size_t *count)
{
	struct server *first = registry_servers(run->registry), **list;
	struct ranked *ranked;
	size_t n = 0;

	*count = 0;
	for (struct server *s = first; s; s = s->next)
		n++;
	ranked = n ? calloc(n, sizeof(*ranked)) : NULL;
	list = n ? calloc(n, sizeof(*list)) : NULL;
	if (!ranked || !list) {
		free(ranked);
		free(list);
		return NULL;
	}
	for (struct server *s = first; s; s = s->next, (*count)++)
		ranked[*count] = (struct ranked){ s, rank_of(s), *count };
	qsort(ranked, n, sizeof(*ranked), rank_order);
	for (size_t i = 0; i < n; i++)
		list[i] = ranked[i].server;
	free(ranked);
	return list;
}

static int
client_order(const void *a, const void *b)
{
	return address_compare(a, b);
}

size_t
run_clients(const struct run *run)
{
	struct server *first = registry_servers(run->registry);
	size_t slots = 0, n = 0, distinct = 0;
	struct address *all;

	for (struct server *s = first; s; s = s->next)
		slots += s->outcome_count;
	all = slots ? calloc(slots, sizeof(*all)) : NULL;
	if (!all)
		return 0;
	for (struct server *s = first; s; s = s->next)
		for (size_t i = 0; i < s->outcome_count; i++)
			all[n++] = s->outcome[i]->client;
	qsort(all, n, sizeof(*all), client_order);
	for (size_t i = 0; i < n; i++)
		distinct += i == 0 || address_compare(&all[i - 1], &all[i]) != 0;
	free(all);
	return distinct;
}

size_t
run_servers(const struct run *run)
{
	size_t n = 0;

	for (struct server *s = registry_servers(run->registry); s; s = s->next)
		n += s->flows > 0 || health_of(s) != HEALTH_OK;
	return n;
}

/* Is `a` the better witness? */
static bool
tells_more(const struct finding *a, const struct finding *b)
{
	if (!b || a->severity != b->severity)
		return !b || a->severity > b->severity;
	if (a->confidence > b->confidence || a->confidence < b->confidence)
		return a->confidence > b->confidence;
	return a->id < b->id;
}

const struct finding *
incident_finding(const struct run *run, const struct incident *i)
{
	const struct finding *best = NULL;

	(void)run;
	for (const struct finding *f = i->server->findings; f;
	    f = f->next_of_server)
		if (f->incident_id == i->id && !f->retracted &&
		    tells_more(f, best))
			best = f;
	return best;
}

/* Add the port to the `n` of `list`, ascending, unless it is there already. */
static size_t
note_port(uint16_t *list, size_t n, size_t max, uint16_t port)
{
	size_t at = n;

	for (size_t k = 0; k < n; k++)
		if (list[k] == port)
			return n;
	if (!port || n == max)
		return n;
	for (; at > 0 && list[at - 1] > port; at--)
		list[at] = list[at - 1];
	list[at] = port;
	return n + 1;
}

size_t
incident_ports(const struct incident *i, uint16_t *out, size_t max)
{
	size_t n = 0;

	for (const struct finding *f = i->server->findings; f;
	    f = f->next_of_server)
		if (f->incident_id == i->id && !f->retracted)
			n = note_port(out, n, max, f->server_port);
	return n;
}

size_t
incident_clients(const struct incident *i, struct address *out, size_t max)
{
	size_t slots = 0, n = 0, distinct = 0;
	struct address *all;

	for (const struct finding *f = i->server->findings; f;
	    f = f->next_of_server)
		slots += f->incident_id == i->id;
	all = slots ? calloc(slots, sizeof(*all)) : NULL;
	if (!all)
		return 0;
	for (const struct finding *f = i->server->findings; f;
	    f = f->next_of_server)
		if (f->incident_id == i->id && !f->retracted && f->has_client)
			all[n++] = f->client;
	qsort(all, n, sizeof(*all), client_order);
	for (size_t k = 0; k < n; k++) {
		if (k && address_compare(&all[k - 1], &all[k]) == 0)
			continue;
		if (distinct < max)
			out[distinct] = all[k];
		distinct++;
	}
	free(all);
	return distinct;
}

static int
frame_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

unsigned
incident_frames(const struct incident *i, uint64_t *out, unsigned max)
{
	uint64_t all[INCIDENT_EVIDENCE * EVIDENCE_FRAMES];
	unsigned n = 0, kept = 0;

	for (unsigned k = 0; k < i->evidence_count; k++)
		for (unsigned j = 0; j < i->evidence[k].frame_count; j++)
			all[n++] = i->evidence[k].frame[j];
	qsort(all, n, sizeof(*all), frame_order);
	for (unsigned k = 0; k < n && kept < max; k++)
		if (kept == 0 || out[kept - 1] != all[k])
			out[kept++] = all[k];
	return kept;
}

bool
incident_proof(const struct run *run, const struct incident *i,
    struct finding *out)
{
	const struct finding *best = incident_finding(run, i);
	uint64_t frame[FINDING_FRAMES];
	unsigned n = incident_frames(i, frame, EVIDENCE_FRAMES);

	if (!best)
		return false;
	*out = *best;
	if (n == 0)
		return true;
	memcpy(out->frame, frame, n * sizeof(*frame));
	out->frame_count = n;
	return true;
}

unsigned
incident_told(const struct incident *i)
{
	return i->evidence_count > 0 &&
	    strcmp(i->evidence[0].text, i->summary) == 0;
}
