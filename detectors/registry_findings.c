/* registry_findings.c - the findings: made, found again by their subject, closed,
 * forgotten, and put in order.
 *
 * A detector raises the same finding again and again as it learns more; the
 * subject (name, kind, server, flow or port) says which one it is. The hard part
 * is that anybody may make subjects: beyond a limit the finding that is handed
 * out is nobody's, and counted. */
#include <stdlib.h>
#include <string.h>

#include "detectors/registry_internal.h"
#include "detectors/server_internal.h"

enum {
	FINDINGS_PER_NAME = 10000,	/* and server */
	FINDINGS_MAX = 100000,		/* in all: 180 MiB */
};

static uint32_t
subject_of(enum finding_name name, const struct server *s, uint64_t flow_id,
    uint16_t port)
{
	uint64_t h = (uint64_t)name * 0x9e3779b1U + port;

	if (s)
		h = (h ^ s->number) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ flow_id) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(h >> 32);
}

static bool
is_subject(const struct finding *x, const char *kind, const struct server *s,
    const struct flow *f, uint16_t port)
{
	return x->server == s && !x->scrap &&
	    x->flow_id == (f ? f->id : 0) &&
	    x->server_port == (f ? f->port[SERVER] : port) &&
	    (x->kind == kind || (x->kind && kind && !strcmp(x->kind, kind)));
}

/* Most flows have no finding at all. */
static bool
outcome_may_have(const struct outcome *o, enum finding_name name)
{
	return !o || o->raised >> name % 32 & 1;
}

static void
outcome_raised(struct outcome *o, enum finding_name name)
{
	if (o)
		o->raised |= UINT32_C(1) << name % 32;
}

/* Whoever looks a finding up may change it. */
struct finding *
finding_lookup(struct judge *j, const struct detector *d, const char *kind,
    const struct server *s, const struct flow *f, uint16_t port)
{
	uint32_t subject;
	struct finding *x;

	if (s && !(s->found >> d->finding & 1))
		return NULL;
	if (f && !outcome_may_have(f->outcome, d->finding))
		return NULL;
	subject = subject_of(d->finding, s, f ? f->id : 0,
	    f ? f->port[SERVER] : port);
	x = j->registry->bucket[subject % FINDING_BUCKETS];
	while (x && (x->subject != subject || x->name != d->finding ||
	    !is_subject(x, kind, s, f, port)))
		x = x->hash_next;
	if (x)
		finding_touch(x);
	return x;
}

/* What nobody will see; beyond the limit, or while the capture is not sound. */
static struct finding *
finding_scrap(struct registry *r)
{
	r->findings_refused++;
	memset(&r->scrap, 0, sizeof(r->scrap));
	r->scrap.scrap = true;
	return &r->scrap;
}

static struct finding *
finding_make(struct registry *r, struct server *s, enum finding_name name)
{
	struct finding *x = NULL;

	if (r->finding_count < FINDINGS_MAX &&
	    !(s && s->finding_count[name] >= FINDINGS_PER_NAME))
		x = slab_take(&r->finding_slab);
	if (!x)
		return finding_scrap(r);
	x->id = ++r->next_finding;
	r->finding_count++;
	*r->findings_end = x;
	r->findings_end = &x->next;
	if (s) {
		s->finding_count[name]++;
		s->found |= UINT64_C(1) << name;
		x->next_of_server = s->findings;
		s->findings = x;
	}
	return x;
}

struct finding *
finding_raise(struct judge *j, const struct detector *d, const char *kind,
    struct server *s, const struct flow *f, uint16_t port)
{
	struct finding *x = finding_lookup(j, d, kind, s, f, port);
	struct finding **bucket;

	if (x) {
		x->retracted = false;
		x->raised = j->now;
		return x;
	}
	x = s && registry_is_unsound(j->registry) ? finding_scrap(j->registry) :
	    finding_make(j->registry, s, d->finding);
	x->name = d->finding;
	x->detector = d;
	x->kind = kind;
	x->server = s;
	x->server_port = port;
	x->file = j->capture->file;
	x->raised = j->now;
	finding_touch(x);
	if (f) {
		x->has_client = true;
		x->client = f->addr[CLIENT];
		x->protocol = f->protocol;
		x->client_port = f->port[CLIENT];
		x->server_port = f->port[SERVER];
		x->flow_id = f->id;
		outcome_raised(f->outcome, d->finding);
		x->app = f->app;
		x->file = f->file;
	}
	if (x->scrap)
		return x;
	x->subject = subject_of(d->finding, s, x->flow_id, x->server_port);
	bucket = &j->registry->bucket[x->subject % FINDING_BUCKETS];
	x->hash_next = *bucket;
	*bucket = x;
	return x;
}

/* It is not found again by its subject. */
static void
close_finding(struct registry *r, struct finding *x)
{
	struct finding **at = &r->bucket[x->subject % FINDING_BUCKETS];

	while (*at != x)
		at = &(*at)->hash_next;
	*at = x->hash_next;
	x->closed = true;
}

struct finding *
finding_raise_episode(struct judge *j, const struct detector *d,
    const char *kind, struct server *s, uint16_t port, struct instant begin)
{
	struct finding *x = finding_lookup(j, d, kind, s, NULL, port);

	if (x && x->ended && instant_before(x->last_seen, begin))
		close_finding(j->registry, x);
	return finding_raise(j, d, kind, s, NULL, port);
}

void
finding_retract(struct finding *x)
{
	x->retracted = true;
	finding_touch(x);
}

void
finding_from_note(struct finding *x, const struct note *n)
{
	finding_time(x, n->first);
	finding_time(x, n->last);
	x->count = n->count;
	x->frame_count = 0;
	for (unsigned i = 0; i < n->frame_count; i++)
		finding_frame(x, n->frame[i]);
}

void
flow_afflicted(struct flow *f, enum finding_name name, struct instant since)
{
	struct outcome *o = f->outcome;
	struct outcome_more *more = o ? outcome_have_more(o) : NULL;

	if (!more)
		return;
	more->findings |= UINT64_C(1) << name;
	if (!instant_is_set(more->trouble))
		more->trouble = since;
}

void
flow_cleared(struct flow *f, enum finding_name name)
{
	const struct outcome *o = f->outcome;
	struct outcome_more *more = o ? o->more : NULL;

	if (!more)
		return;
	more->findings &= ~(UINT64_C(1) << name);
	if (!more->findings)
		more->trouble.ns = more->recovered.ns = 0;
}

/* --- history --- */

bool
registry_is_crowded(const struct registry *r, const struct finding *x)
{
	return r->finding_count > FINDINGS_MAX / 2 || (x->server &&
	    x->server->finding_count[x->name] > FINDINGS_PER_NAME / 2);
}

static void
unlink_finding(struct registry *r, struct finding *x)
{
	struct finding **at;

	if (!x->closed)
		close_finding(r, x);
	r->finding_count--;
	if (!x->server)
		return;
	server_stir(x->server);
	at = &x->server->findings;
	while (*at != x)
		at = &(*at)->next_of_server;
	*at = x->next_of_server;
	if (!--x->server->finding_count[x->name])
		x->server->found &= ~(UINT64_C(1) << x->name);
}

void
registry_forget(struct registry *r, bool (*is_history)(void *context,
    const struct finding *), void *context)
{
	struct finding **at = &r->findings;

	while (*at) {
		struct finding *x = *at;

		if (!is_history(context, x)) {
			at = &x->next;
			continue;
		}
		*at = x->next;
		unlink_finding(r, x);
		slab_give(&r->finding_slab, x);
	}
	r->findings_end = at;
}

/* --- order --- */

static struct finding *
merge_by_time(struct finding *a, struct finding *b)
{
	struct finding *list = NULL, **end = &list;

	while (a && b) {
		bool a_first = a->first_seen.ns < b->first_seen.ns ||
		    (a->first_seen.ns == b->first_seen.ns && a->id < b->id);
		struct finding **first = a_first ? &a : &b;

		*end = *first;
		end = &(*first)->next;
		*first = *end;
	}
	*end = a ? a : b;
	return list;
}

static struct finding *
sort_by_time(struct finding *list)
{
	struct finding *half = list, *end = list;

	if (!list || !list->next)
		return list;
	while (end->next && end->next->next) {
		half = half->next;
		end = end->next->next;
	}
	end = half->next;
	half->next = NULL;
	return merge_by_time(sort_by_time(list), sort_by_time(end));
}

void
registry_sort_findings(struct registry *r)
{
	r->findings = sort_by_time(r->findings);
	r->findings_end = &r->findings;
	while (*r->findings_end)
		r->findings_end = &(*r->findings_end)->next;
}
