/* evidence.c - the packets behind each finding and incident.
 *
 * The hard part is that evidence lies in the past when a finding is made, and
 * goes on after it; and that one freeze makes hundreds of findings at once. So
 * what is wanted is only noted when it is told; then one pass over the ring, or
 * over the files, serves all that is wanted: frames that findings name, and the
 * neighbours of those on the same connection, in bounds. */
#include "detectors/evidence_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/decode.h"
#include "capture/hash.h"
#include "capture/host.h"
#include "capture/log.h"
#include "detectors/relay.h"

enum {
	ITEMS_MAX = 20000,		/* wanted at a time */
	INCIDENT_ITEMS = 1000,		/* kept for the file of one */
	ROUND_MS = 2000,		/* live: a pass at most this often */
	SETTLE_ROUNDS = 5,		/* what came after is fetched by then */
	BEFORE_MAX = 40,		/* of a connection, before the first frame
					 * that its finding names */
	AFTER_MAX = 160,
	FEW = 24, MANY = 500,		/* of each where many are wanted */
	INCIDENT_PACKETS = 20000,
	SLOTS = 65536, ID_SLOTS = 4096,
	NAME_BYTES = 48,
	FRAME_HEADERS = 192,		/* of a frame, before its payload */
};

/* What all picks together may hold. */
#define PICKS_BYTES ((size_t)96 << 20)

struct item {
	struct item *next, *id_next;
	struct item *flow_next;		/* in this pass: by connection */
	struct event *event;		/* the last that was told of it */
	bool changed;			/* since its file was written */
	unsigned rounds;		/* passes until it settles; 0: at rest */
	struct pick before, after;	/* of this pass; `before` is a ring */
	size_t before_next;
	bool begun;			/* its first named frame has passed */
	struct pick kept;		/* a finding's, for its incident's file */
	size_t findings;		/* an incident's, in a pass over them */
};

struct list {
	struct item *first;
	struct item *by_id[ID_SLOTS];
	size_t count;
};

struct evidence {
	struct evidence_settings settings;
	struct frame_ring *ring;	/* NULL: offline */
	struct vault *vault;
	struct relay *relay;		/* live: its thread has the items */
	struct list findings, incidents;
	struct item *slot[SLOTS + 1];	/* of the pass under way: by connection;
					 * the last: those without one */
	size_t kept_bytes, each_before, each_after;
	bool rereading;
	uint64_t refused, key;
};

/* --- picks --- */

static void
picked_free(struct picked *p)
{
	free((void *)(uintptr_t)p->frame.data);
	p->frame.data = NULL;
}

void
pick_clear(struct pick *p)
{
	for (size_t i = 0; i < p->count; i++)
		picked_free(&p->packet[i]);
	free(p->packet);
	*p = (struct pick){ 0 };
}

/* Headers and so much of the payload; of what cannot be decoded, the beginning. */
static uint32_t
bytes_to_keep(const struct frame *f, const struct packet *p,
    uint32_t payload_bytes)
{
	uint64_t most = FRAME_HEADERS + (uint64_t)payload_bytes;

	if (p->has_transport && p->payload.at >= f->data &&
	    p->payload.at <= f->data + f->captured_bytes)
		most = (uint64_t)(p->payload.at - f->data) + payload_bytes;
	return most < f->captured_bytes ? (uint32_t)most : f->captured_bytes;
}

static int
picked_copy(struct picked *out, const struct frame *f, uint32_t keep)
{
	uint8_t *copy = malloc(keep ? keep : 1);

	if (!copy)
		return -1;
	memcpy(copy, f->data, keep);
	out->frame = *f;
	out->frame.captured_bytes = keep;
	out->frame.data = copy;
	return 0;
}

static size_t
pick_bytes(const struct pick *p)
{
	size_t bytes = p->room * sizeof(*p->packet);

	for (size_t i = 0; i < p->count; i++)
		bytes += p->packet[i].frame.captured_bytes;
	return bytes;
}

int
pick_add(struct pick *p, const struct frame *f, const struct packet *decoded,
    uint32_t payload_bytes, bool is_evidence, uint64_t finding_id)
{
	struct picked *k;

	if (p->count == p->room) {
		size_t room = p->room ? p->room * 2 : 8;

		k = realloc(p->packet, room * sizeof(*k));
		if (!k)
			return -1;
		p->packet = k;
		p->room = room;
	}
	k = &p->packet[p->count];
	if (picked_copy(k, f, bytes_to_keep(f, decoded, payload_bytes)))
		return -1;
	k->is_evidence = is_evidence;
	k->finding_id = finding_id;
	p->count++;
	return 0;
}

/* --- what is wanted --- */

static struct item **
id_slot(struct list *l, uint64_t id)
{
	return &l->by_id[id % ID_SLOTS];
}

static struct item *
find_item(struct list *l, uint64_t id)
{
	struct item *i = *id_slot(l, id);

	while (i && i->event->id != id)
		i = i->id_next;
	return i;
}

static struct item *
item_new(struct list *l, uint64_t id)
{
	struct item *i = l->count < ITEMS_MAX ? calloc(1, sizeof(*i)) : NULL;

	if (!i)
		return NULL;
	i->next = l->first;
	l->first = i;
	i->id_next = *id_slot(l, id);
	*id_slot(l, id) = i;
	l->count++;
	return i;
}

static void
item_free(struct evidence *v, struct list *l, struct item **at)
{
	struct item *i = *at, **by_id = id_slot(l, i->event->id);

	while (*by_id != i)
		by_id = &(*by_id)->id_next;
	*by_id = i->id_next;
	*at = i->next;
	l->count--;
	v->kept_bytes -= pick_bytes(&i->kept);
	pick_clear(&i->before);
	pick_clear(&i->after);
	pick_clear(&i->kept);
	event_release(&i->event);
	free(i);
}

static bool
is_wanted(const struct event *e)
{
	if (e->kind == EVENT_INCIDENT)
		return true;
	return e->kind == EVENT_FINDING && e->subject.frame_count;
}

static void
note(struct evidence *v, struct event *e)
{
	struct list *l = e->kind == EVENT_INCIDENT ? &v->incidents :
	    &v->findings;
	struct item *i = find_item(l, e->id);

	i = i ? i : item_new(l, e->id);
	if (!i) {
		v->refused++;
		return;
	}
	event_release(&i->event);
	i->event = event_hold(e);
	i->changed = true;
	i->rounds = SETTLE_ROUNDS;
}

void
evidence_event(struct evidence *v, struct event *e)
{
	if (!is_wanted(e))
		return;
	if (v->relay)
		relay_put(v->relay, e);
	else
		note(v, e);
}

/* --- a pass --- */

/* The same for both directions. */
static size_t
slot_of(const struct evidence *v, const struct address *a, uint16_t aport,
    const struct address *b, uint16_t bport)
{
	uint64_t h = address_hash(a, v->key) + address_hash(b, v->key);

	h ^= ((uint64_t)aport + bport) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(h >> 20) % SLOTS;
}

static void
begin_pass(struct evidence *v)
{
	bool many = v->findings.count > MANY;

	memset(v->slot, 0, sizeof(v->slot));
	for (struct item *i = v->findings.first; i; i = i->next) {
		const struct event_subject *s = &i->event->subject;
		size_t slot = s->flow_id ? slot_of(v, &s->client,
		    s->client_port, &s->server, s->server_port) : SLOTS;

		i->begun = false;
		i->before_next = 0;
		if (!i->rounds)
			continue;
		i->flow_next = v->slot[slot];
		v->slot[slot] = i;
	}
	v->each_before = many ? FEW : BEFORE_MAX;
	v->each_after = many ? FEW : AFTER_MAX;
}

static bool
is_named(const struct event_subject *s, const struct frame *f)
{
	if (s->file != f->file)
		return false;
	for (unsigned i = 0; i < s->frame_count; i++)
		if (s->frame[i] == f->number)
			return true;
	return false;
}

static bool
is_of_connection(const struct event_subject *s, const struct packet *p)
{
	if (!s->flow_id || s->protocol != p->protocol || !p->has_transport)
		return false;
	if (p->sport == s->client_port && p->dport == s->server_port)
		return address_compare(&p->src, &s->client) == 0 &&
		    address_compare(&p->dst, &s->server) == 0;
	return p->sport == s->server_port && p->dport == s->client_port &&
	    address_compare(&p->src, &s->server) == 0 &&
	    address_compare(&p->dst, &s->client) == 0;
}

/* The last few before the first that is named: a ring. */
static void
keep_before(struct evidence *v, struct item *i, const struct frame *f,
    const struct packet *p)
{
	struct pick one = { 0 };
	struct pick *b = &i->before;

	if (b->count < v->each_before) {
		pick_add(b, f, p, v->settings.payload_bytes, false, 0);
		return;
	}
	if (pick_add(&one, f, p, v->settings.payload_bytes, false, 0))
		return;
	picked_free(&b->packet[i->before_next]);
	b->packet[i->before_next] = one.packet[0];
	i->before_next = (i->before_next + 1) % b->count;
	free(one.packet);
}

static void
offer(struct evidence *v, struct item *i, const struct frame *f,
    const struct packet *p)
{
	const struct event *e = i->event;
	bool named = is_named(&e->subject, f);

	if (!named && !is_of_connection(&e->subject, p))
		return;
	i->begun |= named;
	if (!i->begun) {
		keep_before(v, i, f, p);
	} else if (named || i->after.count < v->each_after) {
		pick_add(&i->after, f, p, v->settings.payload_bytes, named,
		    e->id);
	}
}

/* What a finding without a connection of its own names may be anybody's. */
static void
offer_all(struct evidence *v, const struct frame *f)
{
	struct packet p;
	size_t slot;

	decode_frame(f, &p);
	slot = slot_of(v, &p.src, p.sport, &p.dst, p.dport);
	for (struct item *i = v->slot[slot]; i; i = i->flow_next)
		offer(v, i, f, &p);
	for (struct item *i = v->slot[SLOTS]; i; i = i->flow_next)
		offer(v, i, f, &p);
}

/* --- results --- */

static const char *
result_name(char out[NAME_BYTES], const char *kind, uint64_t id,
    const char *suffix)
{
	snprintf(out, NAME_BYTES, "%s-%" PRIu64 ".%s", kind, id, suffix);
	return out;
}

/* Before and after, in order; the item's picks are emptied into it. */
static struct pick
join(struct item *i)
{
	struct pick all = { 0 };
	size_t n = i->before.count + i->after.count;

	all.packet = calloc(n ? n : 1, sizeof(*all.packet));
	if (!all.packet)
		return all;
	all.room = n;
	for (size_t k = 0; k < i->before.count; k++)
		all.packet[all.count++] = i->before.packet[(i->before_next +
		    k) % i->before.count];
	for (size_t k = 0; k < i->after.count; k++)
		all.packet[all.count++] = i->after.packet[k];
	free(i->before.packet);
	free(i->after.packet);
	i->before = i->after = (struct pick){ 0 };
	return all;
}

static void
write_ladder(struct evidence *v, const struct item *i, const struct pick *p)
{
	char name[NAME_BYTES], *json;
	size_t bytes;

	if (i->event->subject.flow_id &&
	    ladder_write(p, i->event, &json, &bytes) == 0)
		vault_put(v->vault, result_name(name, "finding", i->event->id,
		    "json"), json, bytes);
}

static void
write_pcapng(struct evidence *v, const struct item *i, const struct pick *p)
{
	const struct event *e = i->event;
	char comment[FINDING_TEXT_BYTES + 256], name[NAME_BYTES], *data;
	size_t bytes;

	snprintf(comment, sizeof(comment), "%s %" PRIu64 " at %s: %s, %.0f %% "
	    "sure. %s", event_kind_name(e->kind), e->id, *e->server ? e->server :
	    "the capture", e->name, e->confidence * 100, e->text);
	if (pcapng_write(p, comment, &v->settings, &data, &bytes) == 0)
		vault_put(v->vault, result_name(name, event_kind_name(e->kind),
		    e->id, "pcapng"), data, bytes);
}

static int
by_time(const void *a, const void *b)
{
	const struct picked *x = *(const struct picked *const *)a;
	const struct picked *y = *(const struct picked *const *)b;

	if (x->frame.time.ns != y->frame.time.ns)
		return x->frame.time.ns < y->frame.time.ns ? -1 : 1;
	if (x->frame.file != y->frame.file)
		return x->frame.file < y->frame.file ? -1 : 1;
	if (x->frame.number != y->frame.number)
		return x->frame.number < y->frame.number ? -1 : 1;
	return y->is_evidence - x->is_evidence;
}

/* Each frame once, evidence first of its doubles; borrowed from the parts. */
static struct pick
merge(const struct picked **list, size_t count)
{
	struct pick all = { 0 };

	qsort(list, count, sizeof(*list), by_time);
	all.packet = calloc(count ? count : 1, sizeof(*all.packet));
	for (size_t i = 0; all.packet && i < count; i++)
		if (!i || list[i]->frame.number != list[i - 1]->frame.number ||
		    list[i]->frame.file != list[i - 1]->frame.file)
			all.packet[all.count++] = *list[i];
	return all;
}

static void
write_incident(struct evidence *v, struct item *incident)
{
	const struct picked **list = calloc(INCIDENT_PACKETS, sizeof(*list));
	struct pick all;
	size_t n = 0;

	for (struct item *i = v->findings.first; list && i; i = i->next)
		for (size_t k = 0; i->event->incident_id == incident->event->id &&
		    k < i->kept.count && n < INCIDENT_PACKETS; k++)
			list[n++] = &i->kept.packet[k];
	if (n) {
		all = merge(list, n);
		write_pcapng(v, incident, &all);
		free(all.packet);	/* its frames are the findings' */
	}
	free(list);
	incident->changed = false;
}

static void
remove_results(struct evidence *v, const struct event *e)
{
	const char *kind = event_kind_name(e->kind);
	char name[NAME_BYTES];

	vault_remove(v->vault, result_name(name, kind, e->id, "pcapng"));
	vault_remove(v->vault, result_name(name, kind, e->id, "json"));
}

/* Live, the ring may have lost by now what it had in the pass before. */
static void
write_finding(struct evidence *v, struct item *i)
{
	struct pick picked = join(i);
	struct item *incident = find_item(&v->incidents,
	    i->event->incident_id);

	if (picked.count < i->kept.count || !picked.count) {
		pick_clear(&picked);
		return;
	}
	write_pcapng(v, i, &picked);
	write_ladder(v, i, &picked);
	v->kept_bytes -= pick_bytes(&i->kept);
	pick_clear(&i->kept);
	if (v->kept_bytes + pick_bytes(&picked) > PICKS_BYTES) {
		pick_clear(&picked);	/* its own file has it */
		return;
	}
	i->kept = picked;
	v->kept_bytes += pick_bytes(&picked);
	if (incident)
		incident->changed = true;
}

static void
write_results(struct evidence *v)
{
	for (struct item *i = v->findings.first; i; i = i->next)
		if (i->rounds && i->event->change == CHANGE_WITHDRAWN)
			remove_results(v, i->event);
		else if (i->rounds)
			write_finding(v, i);
	for (struct item *i = v->incidents.first; i; i = i->next)
		if (i->event->change == CHANGE_WITHDRAWN)
			remove_results(v, i->event);
		else if (i->changed)
			write_incident(v, i);
}

/* Its incident's file has room for it: the newest come first. */
static bool
is_of_use(struct evidence *v, const struct item *i)
{
	struct item *incident = find_item(&v->incidents,
	    i->event->incident_id);

	return incident && ++incident->findings <= INCIDENT_ITEMS;
}

/* What has had its rounds is at rest, and gone when nobody needs it: a finding
 * stays for the file of its incident, an incident until it is over. */
static void
settle(struct evidence *v)
{
	struct item **at = &v->findings.first;

	for (struct item *i = v->incidents.first; i; i = i->next)
		i->findings = 0;
	while (*at) {
		struct item *i = *at;

		i->rounds -= i->rounds > 0;
		if (is_of_use(v, i) || i->rounds)
			at = &i->next;
		else
			item_free(v, &v->findings, at);
	}
	at = &v->incidents.first;
	while (*at) {
		struct item *i = *at;
		bool over = i->event->over ||
		    i->event->change == CHANGE_WITHDRAWN;

		i->rounds -= i->rounds > 0;
		if (i->rounds || !over)
			at = &i->next;
		else
			item_free(v, &v->incidents, at);
	}
}

/* --- live: the relay's thread --- */

static size_t
take_events(void *context, struct event *const *batch, size_t count,
    char why[256])
{
	struct evidence *v = context;

	(void)why;
	for (size_t i = 0; i < count; i++)
		note(v, batch[i]);
	return count;
}

static void
offer_frame(void *context, const struct frame *f)
{
	offer_all(context, f);
}

static bool
has_work(const struct evidence *v)
{
	for (const struct item *i = v->findings.first; i; i = i->next)
		if (i->rounds)
			return true;
	for (const struct item *i = v->incidents.first; i; i = i->next)
		if (i->rounds)
			return true;
	return false;
}

static void
do_round(void *context)
{
	struct evidence *v = context;

	if (!has_work(v))
		return;
	begin_pass(v);
	frame_ring_walk(v->ring, offer_frame, v);
	write_results(v);
	settle(v);
}

static int
start_live(struct evidence *v, size_t ring_bytes,
    char err[EVIDENCE_ERROR_BYTES])
{
	static const struct relay_kind kind = { .name = "evidence",
		.deliver = take_events, .tick = do_round, .tick_ms = ROUND_MS,
		.limit = ITEMS_MAX };

	v->ring = frame_ring_new(ring_bytes);
	v->relay = v->ring ? relay_new(&kind, v) : NULL;
	if (v->relay)
		return 0;
	snprintf(err, EVIDENCE_ERROR_BYTES, "cannot keep evidence: out of "
	    "memory (%zu bytes)", ring_bytes);
	return -1;
}

/* --- for the run --- */

struct evidence *
evidence_new(const struct evidence_settings *settings,
    char err[EVIDENCE_ERROR_BYTES])
{
	struct evidence *v = calloc(1, sizeof(*v));

	if (!v) {
		snprintf(err, EVIDENCE_ERROR_BYTES, "out of memory");
		return NULL;
	}
	v->settings = *settings;
	v->settings.dir = NULL;
	v->key = hash_key();
	v->vault = vault_new(settings->dir, settings->most_bytes,
	    settings->most_days, err);
	if (!v->vault || (settings->ring_bytes &&
	    start_live(v, settings->ring_bytes, err)))
		evidence_free(&v);
	return v;
}

void
evidence_limit(struct evidence *v, uint64_t most_bytes, double most_days)
{
	vault_limit(v->vault, most_bytes, most_days);
}

void
evidence_frame(struct evidence *v, const struct frame *f)
{
	frame_ring_put(v->ring, f, FRAME_HEADERS + v->settings.payload_bytes);
}

bool
evidence_is_wanted(const struct evidence *v)
{
	return v->findings.count > 0;
}

void
evidence_reread(struct evidence *v, const struct frame *f)
{
	if (!v->rereading)
		begin_pass(v);
	v->rereading = true;
	offer_all(v, f);
}

void
evidence_reread_done(struct evidence *v)
{
	write_results(v);
	v->rereading = false;
}

int
evidence_ladder(struct evidence *v, uint64_t finding_id, char **json,
    size_t *bytes)
{
	char name[NAME_BYTES];

	return vault_get(v->vault, result_name(name, "finding", finding_id,
	    "json"), json, bytes);
}

int
evidence_pcapng(struct evidence *v, const char *kind, uint64_t id, char **data,
    size_t *bytes)
{
	char name[NAME_BYTES];

	if (strcmp(kind, "finding") != 0 && strcmp(kind, "incident") != 0)
		return -1;
	return vault_get(v->vault, result_name(name, kind, id, "pcapng"), data,
	    bytes);
}

void
evidence_stats(struct evidence *v, struct evidence_stats *s)
{
	struct instant oldest = { 0 }, newest = { 0 };

	*s = (struct evidence_stats){ 0 };
	if (v->ring)
		frame_ring_extent(v->ring, &s->ring_frames, &oldest, &newest);
	s->ring_s = seconds_of(instant_since(newest, oldest));
	vault_stats(v->vault, &s->written, &s->removed, &s->failed);
}

void
evidence_free(struct evidence **vp)
{
	struct evidence *v = *vp;

	*vp = NULL;
	if (!v)
		return;
	relay_close(&v->relay, 5000);
	if (v->ring)
		do_round(v);
	while (v->findings.first)
		item_free(v, &v->findings, &v->findings.first);
	while (v->incidents.first)
		item_free(v, &v->incidents, &v->incidents.first);
	frame_ring_free(&v->ring);
	vault_free(&v->vault);
	free(v);
}
