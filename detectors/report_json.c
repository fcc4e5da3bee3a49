/* report_json.c - JSON lines: one object a line, each with `event_type` and an
 * ISO 8601 `timestamp` in capture time. A finding's and an incident's timestamp
 * is when it began, a flow's when it ended, a server's and the capture's the
 * last packet of the run.
 *
 * Field names follow Suricata's EVE where EVE has the thing. Every field of an
 * event type is always there; what is not known is null. */
#include "detectors/report_common.h"
#include "detectors/timeline.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detectors/sink.h"
#include "detectors/store.h"

enum { REMEDIES_MAX = 32, RECORD_BYTES = 16384 };

/* Values -------------------------------------------------------------------- */

/* JSON is UTF-8; file names and what detectors copied from packets need not
 * be. */
static json_t *
text_value(const char *text)
{
	json_t *v = json_string(text);
	char safe[4096];

	return v ? v : json_string(text_safe(text, safe, sizeof(safe)));
}

/* What is ours and ASCII. */
static json_t *
word_value(const char *word)
{
	return json_string_nocheck(word);
}

static json_t *
text_or_null(const char *text)
{
	return text && *text ? text_value(text) : json_null();
}

static json_t *
number_value(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *
count_value(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *
time_value(struct instant t)
{
	char text[INSTANT_TEXT_BYTES];

	return instant_is_set(t) ? word_value(instant_text(t, text)) :
	    json_null();
}

static json_t *
address_value(const struct address *a)
{
	char text[ADDRESS_TEXT_BYTES];

	return word_value(address_text(a, text));
}

static json_t *
frames_value(const uint64_t *frame, unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, count_value(frame[i]));
	return list;
}

static void
set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new_nocheck(object, key, value);
}

static json_t *
record_new(const char *type, struct instant t, enum event_change change)
{
	json_t *e = json_object();
	char text[INSTANT_TEXT_BYTES];

	set(e, "timestamp", word_value(instant_text(t, text)));
	set(e, "event_type", word_value(type));
	if (change != CHANGE_NONE)
		set(e, "change", word_value(event_change_name(change)));
	return e;
}

/* Nine significant digits: more than any measure here is worth, and 0.97 does
 * not become 0.96999999999999997. */
static int
write_record(FILE *out, json_t *record)
{
	const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(9);
	char line[RECORD_BYTES];
	size_t n = record ? json_dumpb(record, line, sizeof(line), flags) : 0;
	int failed = n == 0;

	/* at once: written piece by piece it takes twice as long */
	if (n > sizeof(line))
		failed = json_dumpf(record, out, flags) != 0;
	else if (n)
		failed = fwrite(line, 1, n, out) != n;
	failed = failed || putc('\n', out) == EOF;
	json_decref(record);
	return failed ? -1 : 0;
}

/* The common fields --------------------------------------------------------- */

static void
set_source(json_t *e, const struct run *run, uint32_t file)
{
	const char *name = source_name(run->source, file);

	set(e, run->live ? "in_iface" : "pcap_filename", text_or_null(name));
}

static void
set_ends(json_t *e, const struct address *client, uint16_t client_port,
    const struct address *server, uint16_t server_port, uint8_t protocol)
{
	char id[COMMUNITY_ID_BYTES];

	if (client)
		set(e, "src_ip", address_value(client));
	if (client && client_port)
		set(e, "src_port", count_value(client_port));
	if (server)
		set(e, "dest_ip", address_value(server));
	if (server && server_port)
		set(e, "dest_port", count_value(server_port));
	if (protocol)
		set(e, "proto", word_value(protocol == IP_TCP ? "TCP" :
		    protocol == IP_UDP ? "UDP" : "IP"));
	if (client && server && client_port && server_port &&
	    (protocol == IP_TCP || protocol == IP_UDP))
		set(e, "community_id", word_value(community_id(client,
		    client_port, server, server_port, protocol, id)));
}

static json_t *
server_value(const struct server *s)
{
	uint8_t roles[APP_PROTOCOL_COUNT];
	size_t n = server_roles(s, roles);
	json_t *o = json_object(), *list = json_array();
	char mac[MAC_TEXT_BYTES];

	set(o, "ip", address_value(&s->address));
	set(o, "name", text_or_null(s->name));
	set(o, "mac", s->has_mac ? word_value(mac_text(s->mac, mac)) :
	    json_null());
	set(o, "vendor", text_or_null(server_vendor(s)));
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list,
		    word_value(app_protocol_name(roles[i])));
	set(o, "roles", list);
	return o;
}

/* The same for each server, made when it is first asked for: thousands of
 * findings may be about one. */
struct server_values {
	json_t **value;			/* by number */
	size_t count;
};

static json_t *
server_value_once(struct server_values *all, const struct server *s)
{
	json_t **value = s->number < all->count ? &all->value[s->number] : NULL;

	if (!value)
		return server_value(s);
	if (!*value)
		*value = server_value(s);
	return json_incref(*value);
}

static struct server_values
server_values_new(const struct run *run)
{
	struct server_values all = { 0 };
	const struct server *s;

	for (s = registry_servers(run->registry); s; s = s->next)
		all.count++;
	all.value = calloc(all.count + 1, sizeof(*all.value));
	if (!all.value)
		all.count = 0;
	return all;
}

static void
server_values_free(struct server_values *all)
{
	for (size_t i = 0; i < all->count; i++)
		json_decref(all->value[i]);
	free(all->value);
}

/* Findings ------------------------------------------------------------------ */

static json_t *
metrics_value(const struct finding *f)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < f->metric_count; i++)
		set(o, f->metric[i].name, number_value(f->metric[i].value));
	return o;
}

static json_t *
finding_record(const struct run *run, const struct finding *f,
    struct server_values *servers, enum event_change change)
{
	json_t *e = record_new("finding", f->first_seen, change);
	const struct server *s = f->server;
	const struct address *client = f->has_client ? &f->client : NULL;
	char filter[FINDING_FILTER_BYTES];

	set_source(e, run, f->file);
	set_ends(e, client, f->client_port, s ? &s->address : NULL,
	    f->server_port, f->protocol);
	if (f->app != APP_UNKNOWN)
		set(e, "app_proto", word_value(app_protocol_name(f->app)));
	if (f->flow_id)
		set(e, "flow_id", count_value(f->flow_id));
	set(e, "finding_id", count_value(f->id));
	set(e, "finding", word_value(finding_name_text(f->name)));
	set(e, "kind", text_or_null(f->kind));
	set(e, "severity", word_value(severity_text(f->severity)));
	set(e, "confidence", number_value(f->confidence));
	set(e, "server", s ? server_value_once(servers, s) : json_null());
	set(e, "client_ip", client ? address_value(client) : json_null());
	set(e, "side", word_value(fault_side_text(f->side)));
	set(e, "first_seen", time_value(f->first_seen));
	set(e, "last_seen", time_value(f->last_seen));
	set(e, "count", count_value(f->count));
	set(e, "text", text_value(f->text));
	set(e, "against", text_or_null(f->against));
	set(e, "frames", frames_value(f->frame, f->frame_count));
	set(e, "display_filter", text_value(finding_display_filter(f, filter)));
	set(e, "metrics", metrics_value(f));
	set(e, "incident_id", f->incident_id ? count_value(f->incident_id) :
	    json_null());
	return e;
}

static int
write_findings(FILE *out, const struct run *run)
{
	size_t n;
	struct finding **list = report_findings(run, &n);
	struct server_values servers = server_values_new(run);
	int failed = 0;

	for (size_t i = 0; i < n && !failed; i++)
		failed = write_record(out, finding_record(run, list[i],
		    &servers, CHANGE_NONE));
	server_values_free(&servers);
	free(list);
	return failed;
}

/* Incidents ----------------------------------------------------------------- */

static json_t *
offload_value(const struct offload_table *t)
{
	json_t *o;

	if (!t->known)
		return json_null();
	o = json_object();
	set(o, "flows_offloaded", count_value(t->flows_offloaded));
	set(o, "flows_host", count_value(t->flows_host));
	set(o, "affected_offloaded", count_value(t->affected_offloaded));
	set(o, "affected_host", count_value(t->affected_host));
	set(o, "odds_ratio", number_value(t->odds_ratio));
	set(o, "p_value", number_value(t->p_value));
	return o;
}

static json_t *
evidence_value(const struct evidence *list, unsigned count)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < count; i++) {
		json_t *o = json_object();

		set(o, "weight", number_value(list[i].weight));
		set(o, "text", text_value(list[i].text));
		set(o, "frames", frames_value(list[i].frame,
		    list[i].frame_count));
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *
remedies_value(const struct incident *i)
{
	struct remedy list[REMEDIES_MAX];
	size_t n = remedies_for(i, list, REMEDIES_MAX);
	json_t *all = json_array();

	for (size_t k = 0; k < n; k++) {
		json_t *o = json_object();

		set(o, "applies_to", word_value(list[k].applies_to));
		set(o, "command", word_value(list[k].command));
		set(o, "undo", text_or_null(list[k].undo));
		set(o, "source", text_or_null(list[k].source));
		set(o, "for_good", json_boolean(list[k].for_good));
		set(o, "advice", json_boolean(list[k].advice));
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *
finding_counts_value(const struct incident *i)
{
	json_t *o = json_object();

	for (int n = 0; n < FINDING_COUNT; n++)
		if (i->finding_count[n])
			set(o, finding_name_text((enum finding_name)n),
			    count_value(i->finding_count[n]));
	return o;
}

static json_t *
incident_record(const struct incident *i, enum event_change change)
{
	json_t *e = record_new("incident", i->start, change);

	set(e, "dest_ip", address_value(&i->server->address));
	set(e, "incident_id", count_value(i->id));
	if (i->merged_into)
		set(e, "merged_into", count_value(i->merged_into));
	set(e, "server", server_value(i->server));
	set(e, "verdict", word_value(verdict_name(i->verdict)));
	set(e, "confidence", number_value(i->confidence));
	set(e, "verdict_text", word_value(verdict_sentence(i->verdict)));
	set(e, "summary", text_value(i->summary));
	set(e, "start", time_value(i->start));
	set(e, "end", time_value(i->end));
	set(e, "clients_affected", count_value(i->clients_affected));
	set(e, "clients_seen", count_value(i->clients_seen));
	set(e, "flows_affected", count_value(i->flows_affected));
	set(e, "flows_seen", count_value(i->flows_seen));
	set(e, "findings", finding_counts_value(i));
	set(e, "offload", offload_value(&i->offload));
	set(e, "evidence", evidence_value(i->evidence, i->evidence_count));
	set(e, "against", evidence_value(i->against, i->against_count));
	set(e, "next_step", text_value(i->next_step));
	set(e, "remedy", remedies_value(i));
	return e;
}

/* Servers ------------------------------------------------------------------- */

static json_t *
response_value(const struct latency *l)
{
	json_t *o = json_object();

	set(o, "p50", number_value(milliseconds_of(latency_quantile(l, 0.50))));
	set(o, "p95", number_value(milliseconds_of(latency_quantile(l, 0.95))));
	set(o, "p99", number_value(milliseconds_of(latency_quantile(l, 0.99))));
	set(o, "max", number_value(milliseconds_of(l->max_ns)));
	set(o, "n", count_value(l->n));
	return o;
}

static json_t *
responses_value(const struct server *s,
    int (*next)(const struct server *, int, struct latency *))
{
	json_t *all = json_object();
	struct latency took;

	for (int app = next(s, 0, &took); app >= 0; app = next(s, app + 1, &took))
		set(all, app_protocol_name((enum app_protocol)app),
		    response_value(&took));
	return all;
}

static json_t *
server_record(const struct run *run, const struct server *s,
    enum event_change change)
{
	json_t *e = record_new("server", engine_stats(run->engine)->last,
	    change);

	set(e, "dest_ip", address_value(&s->address));
	set(e, "server", server_value(s));
	set(e, "flows", count_value(s->flows));
	set(e, "clients", count_value(s->clients));
	set(e, "bytes", count_value(s->bytes));
	set(e, "health", word_value(health_text(health_of(s))));
	set(e, "offload_state", word_value(offload_state_text(s)));
	set(e, "response_times", responses_value(s, server_response));
	if (run->live)
		set(e, "response_times_minute", responses_value(s,
		    server_response_since));
	set(e, "first_seen", time_value(s->first));
	set(e, "last_seen", time_value(s->last));
	return e;
}

/* Flows --------------------------------------------------------------------- */

static json_t *
half_value(const struct tcp_half *h)
{
	json_t *o = json_object(), *rtt = json_null();

	set(o, "retransmissions", count_value(h->retransmissions));
	set(o, "out_of_order", count_value(h->out_of_order));
	set(o, "zero_windows", count_value(h->zero_windows));
	set(o, "keep_alives", count_value(h->keep_alives));
	if (h->srtt_us) {		/* p50: the smoothed one of RFC 6298 */
		rtt = json_object();
		set(rtt, "min", number_value(h->rtt_min_us / 1e3));
		set(rtt, "p50", number_value(h->srtt_us / 1e3));
		set(rtt, "max", number_value(h->rtt_max_us / 1e3));
	}
	set(o, "rtt_ms", rtt);
	return o;
}

static json_t *
flow_value(const struct flow *f)
{
	json_t *o = json_object();

	set(o, "pkts_toserver", count_value(f->half[CLIENT].packets));
	set(o, "pkts_toclient", count_value(f->half[SERVER].packets));
	set(o, "bytes_toserver", count_value(f->half[CLIENT].bytes));
	set(o, "bytes_toclient", count_value(f->half[SERVER].bytes));
	set(o, "start", time_value(f->began));
	set(o, "end", time_value(f->last));
	set(o, "age", number_value(seconds_of(instant_since(f->last, f->began))));
	set(o, "state", word_value(flow_state_name(f->state)));
	set(o, "reason", word_value(flow_end_name(f->end)));
	return o;
}

static json_t *
flow_response_value(const struct flow *f)
{
	json_t *o = json_object();

	set(o, "n", count_value(f->turns));
	set(o, "max", f->turns ? number_value(milliseconds_of(f->wait_max_ns)) :
	    json_null());
	return o;
}

/* EVE writes protocols in lower case. */
static json_t *
app_name_value(const struct run *run, const struct flow *f)
{
	const char *name = engine_app_name(run->engine, f);
	char lower[32];
	size_t n = 0;

	for (; name[n] && n < sizeof(lower) - 1; n++)
		lower[n] = name[n] >= 'A' && name[n] <= 'Z' ?
		    (char)(name[n] - 'A' + 'a') : name[n];
	lower[n] = '\0';
	return word_value(lower);
}

static json_t *
flow_record(const struct run *run, const struct flow *f)
{
	json_t *e = record_new("flow", f->last, CHANGE_NONE), *tcp = json_object();
	const struct outcome *o = outcome_of(f);

	set_source(e, run, f->file);
	set_ends(e, &f->addr[CLIENT], f->port[CLIENT], &f->addr[SERVER],
	    f->port[SERVER], f->protocol);
	set(e, "app_proto", app_name_value(run, f));
	set(e, "flow_id", count_value(f->id));
	set(e, "flow", flow_value(f));
	set(tcp, "toserver", half_value(&f->half[CLIENT]));
	set(tcp, "toclient", half_value(&f->half[SERVER]));
	set(e, "tcp", tcp);
	set(e, "stack", word_value(stack_text(o ? (enum stack)o->stack :
	    STACK_UNKNOWN)));
	set(e, "response_times", flow_response_value(f));
	return e;
}

static int
json_flow(struct report *r, const struct run *run, const struct flow *f)
{
	if (f->protocol != IP_TCP)
		return 0;
	return write_record(r->out, flow_record(run, f));
}

/* The capture --------------------------------------------------------------- */

static json_t *
link_type_value(int link_type)
{
	const char *name = source_link_type_name(link_type);
	char number[24];

	if (link_type < 0)
		return json_null();
	snprintf(number, sizeof(number), "DLT-%d", link_type);
	return word_value(name ? name : number);
}

static json_t *
decode_value(const struct capture_stats *c)
{
	json_t *o = json_object();

	for (int i = 0; i < DECODE_RESULT_COUNT; i++)
		if (c->decode[i])
			set(o, decode_result_name((enum decode_result)i),
			    count_value(c->decode[i]));
	return o;
}

static void
set_capture_counts(json_t *e, const struct capture_stats *c)
{
	set(e, "packets", count_value(c->packets));
	set(e, "bytes", count_value(c->bytes));
	set(e, "duplicates", count_value(c->duplicates));
	set(e, "truncated", count_value(c->truncated));
	set(e, "non_ip", count_value(c->non_ip));
	set(e, "decode_errors", count_value(c->decode_errors));
	set(e, "time_regressions", count_value(c->time_regressions));
	set(e, "damaged", count_value(c->damaged));
	set(e, "disordered", count_value(c->disordered));
	set(e, "misdated", count_value(c->misdated));
	set(e, "decode", decode_value(c));
	set(e, "tcp_packets", count_value(c->tcp_packets));
	set(e, "udp_packets", count_value(c->udp_packets));
	set(e, "fragments", count_value(c->fragments));
	set(e, "coalesced", count_value(c->coalesced));
	set(e, "snap_cut", count_value(c->snap_cut));
	set(e, "acked_bytes", count_value(c->acked_bytes));
	set(e, "lost_bytes", count_value(c->lost_bytes));
	set(e, "lost_events", count_value(c->lost_events));
}

static json_t *
flows_value(const struct run *run)
{
	struct flow_stats s = { 0 };
	json_t *o = json_object();

	engine_flow_stats(run->engine, &s);
	set(o, "created", count_value(s.created));
	set(o, "peak", count_value(s.peak));
	set(o, "timed_out", count_value(s.timed_out));
	set(o, "evicted_half_open", count_value(s.evicted_half_open));
	set(o, "evicted_established", count_value(s.evicted_established));
	set(o, "notes_refused", count_value(s.notes_refused));
	set(o, "exchanges_refused", count_value(s.exchanges_refused));
	return o;
}

/* Live: each interface, with what it lost. */
static json_t *
interfaces_value(const struct run *run)
{
	json_t *list = json_array();
	struct source_interface p;

	for (size_t i = 0; source_interface(run->source, i, &p); i++) {
		json_t *o = json_object();

		set(o, "name", text_value(p.name));
		set(o, "state", text_value(p.state));
		set(o, "packets", count_value(p.frames));
		set(o, "dropped_kernel", count_value(p.dropped_kernel));
		set(o, "dropped_interface", count_value(p.dropped_interface));
		set(o, "dropped_own", count_value(p.dropped_own));
		set(o, "merging", text_value(p.merging));
		json_array_append_new(list, o);
	}
	return list;
}

/* What became of what was found: on the disk, and elsewhere. */
static void
set_keeping(json_t *e, const struct run *run)
{
	struct sink_stats list[SINKS_MAX];
	size_t n = run->sinks ? sinks_stats(run->sinks, list, SINKS_MAX) : 0;
	json_t *all = json_array();
	struct store_stats s;

	if (run->store) {
		store_stats(run->store, &s);
		set(e, "store", json_pack("{s:I, s:I, s:I, s:b}", "stored",
		    (json_int_t)s.stored, "waiting", (json_int_t)s.waiting,
		    "dropped", (json_int_t)s.dropped, "failing", s.failing));
	}
	for (size_t i = 0; i < n; i++)
		json_array_append_new(all, json_pack("{s:o, s:I, s:I, s:I, s:b}",
		    "name", text_value(list[i].name), "delivered",
		    (json_int_t)list[i].relay.delivered, "waiting",
		    (json_int_t)list[i].relay.waiting, "dropped",
		    (json_int_t)list[i].relay.dropped, "failing",
		    list[i].relay.failing));
	set(e, "sinks", all);
}

static json_t *
capture_record(const struct run *run, enum event_change change)
{
	const struct capture_stats *c = engine_stats(run->engine);
	json_t *e = record_new("capture", c->last, change);
	struct source_stats s = { 0 };

	source_stats(run->source, &s);
	if (source_count(run->source) == 1)
		set_source(e, run, 0);
	set(e, "sources", count_value(source_count(run->source)));
	set_capture_counts(e, c);
	set(e, "dropped_kernel", count_value(s.dropped_kernel));
	set(e, "dropped_interface", count_value(s.dropped_interface));
	if (run->live) {
		set(e, "dropped_own", count_value(s.dropped_own));
		set(e, "interfaces", interfaces_value(run));
	}
	set(e, "cut_files", count_value(s.cut_files));
	set(e, "lost_estimate", number_value(capture_lost_share(c)));
	set(e, "one_way_share", number_value(capture_one_way_share(c)));
	set(e, "link_type", link_type_value(c->link_type));
	set(e, "mixed_link_types", json_boolean(c->mixed_link_types));
	set(e, "first_seen", time_value(c->first));
	set(e, "last_seen", time_value(c->last));
	set(e, "duration", number_value(seconds_of(instant_since(c->last,
	    c->first))));
	set(e, "flows", flows_value(run));
	set(e, "hosts_refused", count_value(host_table_refused(engine_hosts(
	    run->engine))));
	set(e, "servers_refused", count_value(registry_servers_refused(
	    run->registry)));
	set(e, "interrupted", json_boolean(run->interrupted));
	if (run->live)
		set_keeping(e, run);
	return e;
}

/* Timelines ----------------------------------------------------------------- */

static json_t *
rows_value(const struct timeline_picture *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->rows; i++) {
		json_t *o = json_object();

		set(o, "ip", address_value(&p->row[i].client));
		set(o, "states", word_value(p->row[i].state));
		set(o, "stalled", time_value(p->row[i].stalled));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
timeline_record(const struct run *run, const struct server *s,
    const struct timeline_picture *p)
{
	json_t *e = record_new("timeline", engine_stats(run->engine)->last,
	    CHANGE_NONE);
	json_t *answered = json_array(), *wait = json_array();

	for (unsigned i = 0; i < p->cells; i++) {
		json_array_append_new(answered, count_value(p->answered[i]));
		json_array_append_new(wait, p->answered[i] ?
		    number_value(milliseconds_of(p->took_ns[i])) : json_null());
	}
	set(e, "dest_ip", address_value(&s->address));
	set(e, "server", server_value(s));
	set(e, "from", time_value(p->from));
	set(e, "step_s", number_value(p->cell_s));
	set(e, "cells", count_value(p->cells));
	set(e, "clients", rows_value(p));
	set(e, "clients_more", count_value(p->more));
	set(e, "answered", answered);
	set(e, "wait_ms", wait);
	return e;
}

/* Records one by one, of a run that goes on ----------------------------------- */

int
report_json_finding(FILE *out, const struct run *run, const struct finding *f,
    enum event_change change)
{
	struct server_values none = { 0 };

	return write_record(out, finding_record(run, f, &none, change));
}

int
report_json_incident(FILE *out, const struct incident *i,
    enum event_change change)
{
	return write_record(out, incident_record(i, change));
}

int
report_json_server(FILE *out, const struct run *run, const struct server *s,
    enum event_change change)
{
	return write_record(out, server_record(run, s, change));
}

int
report_json_timeline(FILE *out, const struct run *run, const struct server *s)
{
	struct timeline_picture *p = malloc(sizeof(*p));
	const struct incident *i = run->incidents;
	int failed = 1;

	while (i && i->server != s)
		i = i->next;
	if (p && timeline_draw(s, registry_judge(run->registry)->now, i, p))
		failed = write_record(out, timeline_record(run, s, p));
	free(p);
	return failed;
}

int
report_json_capture(FILE *out, const struct run *run, enum event_change change)
{
	return write_record(out, capture_record(run, change));
}

/* --------------------------------------------------------------------------- */

static int
json_finish(struct report *r, const struct run *run)
{
	const struct server *s;

	if (write_findings(r->out, run))
		return -1;
	for (const struct incident *i = run->incidents; i; i = i->next)
		if (write_record(r->out, incident_record(i, CHANGE_NONE)))
			return -1;
	for (s = registry_servers(run->registry); s; s = s->next)
		if (write_record(r->out, server_record(run, s, CHANGE_NONE)))
			return -1;
	if (write_record(r->out, capture_record(run, CHANGE_NONE)))
		return -1;
	return fflush(r->out) == 0 && !ferror(r->out) ? 0 : -1;
}

static void
json_free(struct report **r)
{
	free(*r);
	*r = NULL;
}

void
report_json_memory(void)
{
	json_set_alloc_funcs(malloc, free);
}

struct report *
report_json_new(FILE *out)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	*r = (struct report){ .flow = json_flow, .finish = json_finish,
		.free = json_free, .out = out };
	return r;
}
