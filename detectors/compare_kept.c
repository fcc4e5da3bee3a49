/* compare_kept.c - the figures of a run as JSON, and several runs of one store as
 * one.
 *
 * The hard part is that nobody knows yet, when a run is kept, which run it will
 * be compared with. A server that has died is known as one by the other run
 * alone: so connection attempts to hosts that are no servers are kept, too, and
 * left out again where the other run does not ask for them. */
#include "detectors/compare_kept.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1 };

/* Writing ------------------------------------------------------------------- */

static void
set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static json_t *
count_value(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *
wire_value(const struct wire_figures *w)
{
	json_t *o = json_object(), *ports = json_array();

	set(o, "sent", count_value(w->sent));
	set(o, "bad_sums", count_value(w->bad_sums));
	set(o, "packets", count_value(w->packets));
	set(o, "retransmissions", count_value(w->retransmissions));
	for (size_t i = 0; i < w->port_count; i++)
		json_array_append_new(ports, json_pack("[i, I, I]",
		    (int)w->port[i].port, (json_int_t)w->port[i].made,
		    (json_int_t)w->port[i].failed));
	set(o, "ports", ports);
	return o;
}

static json_t *
verdicts_value(const struct server_figures *v)
{
	json_t *o = json_object();

	for (int i = 0; i < VERDICT_COUNT; i++)
		if (v->incidents_by[i])
			set(o, verdict_name((enum verdict)i), json_pack(
			    "[I, I, I]", (json_int_t)v->incidents_by[i],
			    (json_int_t)v->trouble_ns_by[i],
			    (json_int_t)v->carried_by[i]));
	return o;
}

static json_t *
responses_value(const struct server_figures *v)
{
	json_t *o = json_object();

	for (int app = 0; app < APP_PROTOCOL_COUNT; app++)
		if (v->response[app].n)
			set(o, app_protocol_name((enum app_protocol)app),
			    json_pack("[I, I, I]", (json_int_t)v->response[app].n,
			    (json_int_t)v->response[app].p50_ns,
			    (json_int_t)v->response[app].p95_ns));
	return o;
}

/* The plain counts, by name. */
#define COUNTS(X) X(flows) X(flows_affected) X(clients) X(clients_affected)	\
	X(flows_stalled) X(requests) X(incidents) X(flows_offloaded) X(flows_host)

static json_t *
server_value(const struct server_figures *v)
{
	json_t *o = json_object();
	char address[ADDRESS_TEXT_BYTES], name[300];

	set(o, "ip", json_string(address_text(&v->address, address)));
	set(o, "name", json_string(text_safe(v->name, name, sizeof(name))));
	set(o, "served", json_boolean(v->served));
	set(o, "stacks_known", json_boolean(v->stacks_known));
	set(o, "told_only", json_boolean(v->told_only));
#define X(field) set(o, #field, count_value(v->field));
	COUNTS(X)
#undef X
	set(o, "trouble_ns", json_integer(v->trouble_ns));
	set(o, "verdicts", verdicts_value(v));
	set(o, "wire", wire_value(&v->wire));
	set(o, "told", wire_value(&v->told));
	set(o, "response_times", responses_value(v));
	return o;
}

char *
run_figures_json(const struct run_figures *r)
{
	json_t *o = json_object(), *servers = json_array();
	char *text;

	set(o, "format", json_integer(FORMAT));
	set(o, "subject", json_string(r->subject));
	set(o, "extent", json_string(r->extent));
	set(o, "soundness", json_string(r->soundness));
	set(o, "watched_ns", json_integer(r->watched_ns));
	set(o, "first_ns", json_integer(r->first.ns));
	set(o, "last_ns", json_integer(r->last.ns));
	set(o, "lost_share", json_real(r->lost_share));
	set(o, "one_way_share", json_real(r->one_way_share));
	set(o, "blind", json_boolean(r->blind));
	set(o, "interrupted", json_boolean(r->interrupted));
	for (size_t i = 0; i < r->count; i++)
		json_array_append_new(servers, server_value(&r->server[i]));
	set(o, "servers", servers);
	text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17));
	json_decref(o);
	return text;
}

/* Reading ------------------------------------------------------------------- */

static uint64_t
count_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static int64_t
number_at(const json_t *list, size_t i)
{
	return json_integer_value(json_array_get(list, i));
}

static void
take_text(char *out, size_t size, const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	snprintf(out, size, "%s", text ? text : "");
}

static int
take_wire(struct wire_figures *w, const json_t *o)
{
	const json_t *ports = json_object_get(o, "ports");
	size_t n = json_array_size(ports);

	w->sent = count_of(o, "sent");
	w->bad_sums = count_of(o, "bad_sums");
	w->packets = count_of(o, "packets");
	w->retransmissions = count_of(o, "retransmissions");
	if (n == 0)
		return 0;
	w->port = n <= PORTS_KEPT ? calloc(n, sizeof(*w->port)) : NULL;
	if (!w->port)
		return -1;
	w->port_count = n;
	for (size_t i = 0; i < n; i++) {
		const json_t *p = json_array_get(ports, i);

		w->port[i] = (struct port_figures){
			.port = (uint16_t)number_at(p, 0),
			.made = (uint64_t)number_at(p, 1),
			.failed = (uint64_t)number_at(p, 2) };
	}
	return 0;
}

static void
take_verdicts(struct server_figures *v, const json_t *o)
{
	for (int i = 0; i < VERDICT_COUNT; i++) {
		const json_t *three = json_object_get(o,
		    verdict_name((enum verdict)i));

		v->incidents_by[i] = (uint64_t)number_at(three, 0);
		v->trouble_ns_by[i] = number_at(three, 1);
		v->carried_by[i] = (uint64_t)number_at(three, 2);
	}
}

static void
take_responses(struct server_figures *v, const json_t *o)
{
	for (int app = 0; app < APP_PROTOCOL_COUNT; app++) {
		const json_t *three = json_object_get(o,
		    app_protocol_name((enum app_protocol)app));

		v->response[app] = (struct response_figures){
			(uint64_t)number_at(three, 0), number_at(three, 1),
			number_at(three, 2) };
	}
}

static int
take_server(struct server_figures *v, const json_t *o)
{
	const char *ip = json_string_value(json_object_get(o, "ip"));

	if (!ip || !address_parse(ip, &v->address))
		return -1;
	take_text(v->name, sizeof(v->name), o, "name");
	v->served = json_is_true(json_object_get(o, "served"));
	v->stacks_known = json_is_true(json_object_get(o, "stacks_known"));
	v->told_only = json_is_true(json_object_get(o, "told_only"));
#define X(field) v->field = count_of(o, #field);
	COUNTS(X)
#undef X
	v->trouble_ns = json_integer_value(json_object_get(o, "trouble_ns"));
	take_verdicts(v, json_object_get(o, "verdicts"));
	take_responses(v, json_object_get(o, "response_times"));
	return take_wire(&v->wire, json_object_get(o, "wire")) ||
	    take_wire(&v->told, json_object_get(o, "told")) ? -1 : 0;
}

static int
take_servers(struct run_figures *r, const json_t *list)
{
	size_t n = json_array_size(list);

	r->server = calloc(n + 1, sizeof(*r->server));
	if (!r->server)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (take_server(&r->server[r->count++], json_array_get(list, i)))
			return -1;
	return 0;
}

int
run_figures_parse(const char *json, struct run_figures *r)
{
	json_t *o = json_loads(json, 0, NULL);
	int failed = -1;

	*r = (struct run_figures){ 0 };
	if (o && count_of(o, "format") == FORMAT) {
		take_text(r->subject, sizeof(r->subject), o, "subject");
		take_text(r->extent, sizeof(r->extent), o, "extent");
		take_text(r->soundness, sizeof(r->soundness), o, "soundness");
		r->watched_ns = (int64_t)count_of(o, "watched_ns");
		r->first.ns = (int64_t)count_of(o, "first_ns");
		r->last.ns = (int64_t)count_of(o, "last_ns");
		r->lost_share = json_number_value(json_object_get(o,
		    "lost_share"));
		r->one_way_share = json_number_value(json_object_get(o,
		    "one_way_share"));
		r->blind = json_is_true(json_object_get(o, "blind"));
		r->interrupted = json_is_true(json_object_get(o, "interrupted"));
		failed = take_servers(r, json_object_get(o, "servers"));
	}
	json_decref(o);
	if (failed)
		run_figures_free(r);
	return failed;
}

/* Several runs -------------------------------------------------------------- */

static int
add_ports(struct wire_figures *to, const struct wire_figures *from)
{
	size_t most = to->port_count + from->port_count;
	struct port_figures *list = most ? realloc(to->port,
	    most * sizeof(*list)) : NULL;

	if (most && !list)
		return -1;
	to->port = list;
	for (size_t i = 0; i < from->port_count; i++) {
		const struct port_figures *p = &from->port[i];
		size_t k = 0;

		while (k < to->port_count && to->port[k].port != p->port)
			k++;
		if (k == to->port_count)
			to->port[to->port_count++] =
			    (struct port_figures){ .port = p->port };
		to->port[k].made += p->made;
		to->port[k].failed += p->failed;
	}
	return 0;
}

static int
add_wire(struct wire_figures *to, const struct wire_figures *from)
{
	to->sent += from->sent;
	to->bad_sums += from->bad_sums;
	to->packets += from->packets;
	to->retransmissions += from->retransmissions;
	return add_ports(to, from);
}

static uint64_t
larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Percentiles of both together cannot be had; weighted, they lie between. */
static void
add_response(struct response_figures *to, const struct response_figures *from)
{
	double n = (double)to->n + (double)from->n;
	double share = n > 0 ? (double)from->n / n : 0;

	to->p50_ns += (int64_t)((double)(from->p50_ns - to->p50_ns) * share);
	to->p95_ns += (int64_t)((double)(from->p95_ns - to->p95_ns) * share);
	to->n += from->n;
}

static int
add_server(struct server_figures *to, const struct server_figures *from)
{
	uint64_t clients = larger(to->clients, from->clients);
	uint64_t affected = larger(to->clients_affected, from->clients_affected);

	if (*from->name)
		memcpy(to->name, from->name, sizeof(to->name));
	to->served |= from->served;
	to->stacks_known |= from->stacks_known;
	to->told_only &= from->told_only;
#define X(field) to->field += from->field;
	COUNTS(X)
#undef X
	to->clients = clients;
	to->clients_affected = affected;
	to->trouble_ns += from->trouble_ns;
	for (int i = 0; i < VERDICT_COUNT; i++) {
		to->incidents_by[i] += from->incidents_by[i];
		to->trouble_ns_by[i] += from->trouble_ns_by[i];
	}
	for (int app = 0; app < APP_PROTOCOL_COUNT; app++)
		add_response(&to->response[app], &from->response[app]);
	return add_wire(&to->wire, &from->wire) ||
	    add_wire(&to->told, &from->told) ? -1 : 0;
}

/* An incident that goes on in the next run is counted there once more. */
static void
take_off_carried(struct server_figures *v, const struct server_figures *next)
{
	for (int i = 0; i < VERDICT_COUNT; i++) {
		uint64_t n = next->carried_by[i] < v->incidents_by[i] ?
		    next->carried_by[i] : v->incidents_by[i];

		v->incidents_by[i] -= n;
		v->incidents -= n < v->incidents ? n : v->incidents;
	}
}

static int
by_address(const void *a, const void *b)
{
	const struct server_figures *x = a, *y = b;

	return address_compare(&x->address, &y->address);
}

static int
add_servers(struct run_figures *to, const struct run_figures *from)
{
	size_t known = to->count;
	struct server_figures *list = realloc(to->server,
	    (known + from->count + 1) * sizeof(*list));

	if (!list)
		return -1;
	to->server = list;
	for (size_t i = 0; i < from->count; i++) {
		const struct server_figures *one = &from->server[i];
		struct server_figures *v = bsearch(one, list, known,
		    sizeof(*list), by_address);

		if (v) {
			take_off_carried(v, one);
		} else {
			v = &list[to->count++];
			*v = (struct server_figures){ .address = one->address,
				.told_only = true };
		}
		if (add_server(v, one))
			return -1;
	}
	qsort(list, to->count, sizeof(*list), by_address);
	return 0;
}

/* What a run missed, by the time it was watched. */
static double
mean(const struct run_figures *a, double x, const struct run_figures *b,
    double y)
{
	double t = (double)a->watched_ns + (double)b->watched_ns;

	return t > 0 ? (x * (double)a->watched_ns + y * (double)b->watched_ns) / t :
	    x;
}

static int
add_run(struct run_figures *to, const struct run_figures *from)
{
	to->lost_share = mean(to, to->lost_share, from, from->lost_share);
	to->one_way_share = mean(to, to->one_way_share, from,
	    from->one_way_share);
	to->watched_ns += from->watched_ns;
	to->last = from->last;
	to->blind |= from->blind;
	to->interrupted |= from->interrupted;
	return add_servers(to, from);
}

/* The runs of a store, the newest first. */
struct runs {
	struct run_figures *list;
	size_t count;
	bool failed;
};

static int
take_run(void *context, const char *json)
{
	struct runs *r = context;
	struct run_figures *more = realloc(r->list,
	    (r->count + 1) * sizeof(*more));

	r->failed = !more || run_figures_parse(json, &more[r->count]);
	if (more)
		r->list = more;
	if (r->failed)
		return -1;
	r->count++;
	return 0;
}

/* The later one stands. */
static void
leave_out_overlaps(struct runs *r)
{
	size_t kept = r->count;
	struct instant from = { INT64_MAX };

	for (size_t i = r->count; i-- > 0;) {
		if (instant_before(from, r->list[i].last)) {
			run_figures_free(&r->list[i]);
			continue;
		}
		if (instant_before(r->list[i].first, from))
			from = r->list[i].first;
		r->list[--kept] = r->list[i];
	}
	r->count -= kept;
	memmove(r->list, r->list + kept, r->count * sizeof(*r->list));
}

/* How much there is, in words like a capture's own. */
static void
describe(struct run_figures *r, size_t runs)
{
	char watched[DURATION_TEXT_BYTES], from[INSTANT_TEXT_BYTES],
	    to[INSTANT_TEXT_BYTES];
	size_t servers = 0;

	for (size_t i = 0; i < r->count; i++)
		servers += r->server[i].served;
	duration_text(r->watched_ns, watched);
	instant_text(r->first, from);
	instant_text(r->last, to);
	snprintf(r->extent, sizeof(r->extent), "%zu runs, %s watched, %.10s %.8s "
	    "to %.10s %.8s UTC, %zu server%s.", runs, watched, from, from + 11, to,
	    to + 11, servers, servers == 1 ? "" : "s");
	snprintf(r->soundness, sizeof(r->soundness), "%s", r->blind ?
	    "One of them at least missed much of the traffic." :
	    "Of clients it is known how many each run had, not how many all "
	    "together: the run with most is taken.");
}

static int
add_up(struct runs *runs, struct run_figures *out)
{
	*out = runs->list[0];
	runs->list[0] = (struct run_figures){ 0 };
	for (size_t i = 1; i < runs->count; i++)
		if (add_run(out, &runs->list[i]))
			return -1;
	if (runs->count > 1)
		describe(out, runs->count);
	return 0;
}

/* "runs/monday/" is monday. */
static void
name_it(struct run_figures *r, const char *dir)
{
	size_t n = strlen(dir);
	const char *name;
	char whole[400];

	while (n > 1 && dir[n - 1] == '/')
		n--;
	name = memrchr(dir, '/', n);
	name = name && name + 1 < dir + n ? name + 1 : dir;
	snprintf(whole, sizeof(whole), "%.*s", (int)(dir + n - name), name);
	text_safe(whole, r->subject, sizeof(r->subject));
}

int
run_figures_read(const char *dir, struct run_figures *out,
    char err[STORE_ERROR_BYTES])
{
	struct runs runs = { 0 };
	int failed = store_read_figures(dir, take_run, &runs, err);

	*out = (struct run_figures){ 0 };
	if (!failed && runs.failed) {
		snprintf(err, STORE_ERROR_BYTES, "cannot read the run kept in "
		    "%.300s: its figures are not of this version", dir);
		failed = -1;
	}
	if (!failed) {
		leave_out_overlaps(&runs);
		failed = add_up(&runs, out);
		if (failed)
			snprintf(err, STORE_ERROR_BYTES, "out of memory");
	}
	name_it(out, dir);
	for (size_t i = 0; i < runs.count; i++)
		run_figures_free(&runs.list[i]);
	free(runs.list);
	if (failed)
		run_figures_free(out);
	return failed;
}

void
run_figures_place(struct run_figures *r, const struct run_figures *before)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct server_figures *v = &r->server[i];
		struct wire_figures wire = v->wire;
		bool known = before && bsearch(v, before->server, before->count,
		    sizeof(*v), by_address);

		if (v->told_only && !known) {
			free(v->wire.port);
			free(v->told.port);
			continue;
		}
		if (known) {
			v->wire = v->told;
			v->told = wire;
		}
		r->server[kept++] = *v;
	}
	r->count = kept;
}
