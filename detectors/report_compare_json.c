/* report_compare_json.c - did the change help? One `comparison` event a server,
 * in the order of addresses; its timestamp is the last packet of the run after.
 * Every field is always there; what is not known is null. */
#include "detectors/compare.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

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

static void
set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static json_t *
server_value(const struct server_figures *v)
{
	json_t *o = json_object();
	char ip[ADDRESS_TEXT_BYTES], name[200];

	set(o, "ip", json_string(address_text(&v->address, ip)));
	set(o, "name", *v->name ? json_string(text_safe(v->name, name,
	    sizeof(name))) : json_null());
	return o;
}

static json_t *
verdicts_value(const struct run_figures *r, const struct server_figures *v)
{
	json_t *all = json_object();

	for (int i = 0; i < VERDICT_COUNT; i++) {
		double share = r->watched_ns > 0 ? (double)v->trouble_ns_by[i] /
		    (double)r->watched_ns : 0;
		json_t *o;

		if (!v->incidents_by[i])
			continue;
		o = json_object();
		set(o, "incidents", count_value(v->incidents_by[i]));
		set(o, "time_share", number_value(share > 1 ? 1 : share));
		set(all, verdict_name((enum verdict)i), o);
	}
	return all;
}

static json_t *
responses_value(const struct server_figures *v)
{
	json_t *all = json_object();

	for (int app = 0; app < APP_PROTOCOL_COUNT; app++) {
		const struct response_figures *f = &v->response[app];
		json_t *o;

		if (!f->n)
			continue;
		o = json_object();
		set(o, "p50", number_value(milliseconds_of(f->p50_ns)));
		set(o, "p95", number_value(milliseconds_of(f->p95_ns)));
		set(o, "n", count_value(f->n));
		set(all, app_protocol_name((enum app_protocol)app), o);
	}
	return all;
}

static double
share(uint64_t n, double all)
{
	return all > 0 ? (double)n / all : NAN;
}

static void
set_counts(json_t *o, const struct server_figures *v)
{
	set(o, "incidents", count_value(v->incidents));
	set(o, "clients_seen", count_value(v->clients));
	set(o, "clients_affected", count_value(v->clients_affected));
	set(o, "flows_seen", count_value(v->flows));
	set(o, "flows_affected", count_value(v->flows_affected));
	set(o, "flows_stalled", count_value(v->flows_stalled));
	set(o, "requests", count_value(v->requests));
	set(o, "packets", count_value(v->wire.packets));
	set(o, "packets_sent", count_value(v->wire.sent));
	set(o, "bad_checksums", count_value(v->wire.bad_sums));
	set(o, "retransmissions", count_value(v->wire.retransmissions));
	set(o, "retransmission_rate", number_value(share(v->wire.retransmissions,
	    (double)v->wire.packets)));
}

/* One run of the server, or null: it was not in it. */
static json_t *
side_value(const struct comparison *c, int r)
{
	const struct server_figures *v = c->side[r];
	double hours;
	json_t *o;

	if (!v)
		return json_null();
	o = json_object();
	hours = hours_watched(c->run[r]);
	set_counts(o, v);
	set(o, "hours_watched", number_value(hours));
	set(o, "incidents_per_hour", number_value(share(v->incidents, hours)));
	set(o, "stalls_per_hour", number_value(share(v->flows_stalled, hours)));
	set(o, "stalls_per_1000_connections", number_value(1000 *
	    share(v->flows_stalled, (double)v->flows)));
	set(o, "stalls_per_1000_requests", number_value(1000 *
	    share(v->flows_stalled, (double)(v->requests + v->flows_stalled))));
	set(o, "connects", count_value(c->connects[r]));
	set(o, "connects_failed", count_value(c->connects_failed[r]));
	set(o, "flows_offloaded", v->stacks_known ?
	    count_value(v->flows_offloaded) : json_null());
	set(o, "flows_host", v->stacks_known ? count_value(v->flows_host) :
	    json_null());
	set(o, "verdicts", verdicts_value(c->run[r], v));
	set(o, "response_times", responses_value(v));
	return o;
}

static json_t *
p_values(const struct comparison *c)
{
	json_t *o = json_object();

	set(o, "clients_share", number_value(c->p_clients_share));
	set(o, "clients_rate", number_value(c->p_clients_rate));
	set(o, "flows_share", number_value(c->p_flows_share));
	set(o, "incidents_rate", c->answer[QUESTION_INCIDENTS].asked ?
	    number_value(c->answer[QUESTION_INCIDENTS].p) : json_null());
	set(o, "connects_share", c->answer[QUESTION_CONNECTS].asked ?
	    number_value(c->answer[QUESTION_CONNECTS].p) : json_null());
	set(o, "offloaded_share", number_value(c->p_offload));
	return o;
}

static json_t *
text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *
comparison_event(const struct comparison *c, const struct run_figures *after)
{
	const struct server_figures *v = c->side[c->side[AFTER] ? AFTER : BEFORE];
	json_t *e = json_object();
	char text[800], time[INSTANT_TEXT_BYTES];

	set(e, "timestamp", json_string(instant_text(after->last, time)));
	set(e, "event_type", json_string("comparison"));
	set(e, "server", server_value(v));
	set(e, "outcome", json_string(outcome_change_text(c->change)));
	set(e, "p_value", c->deciding < 0 ? json_null() :
	    number_value(c->answer[c->deciding].p));
	set(e, "settled", json_boolean(c->settled));
	set(e, "clean_hours_needed", number_value(c->clean_hours_exact));
	set(e, "clean_hours_needed_known_rate",
	    number_value(c->clean_hours_known_rate));
	set(e, "more_needed", number_value(c->more_needed));
	set(e, "offload", json_string(offload_change_text(c->offload)));
	set(e, "text", text_or_null(comparison_answer(c, text, sizeof(text))));
	set(e, "effect", text_or_null(comparison_effect(c, text, sizeof(text))));
	set(e, "lasting", text_or_null(comparison_lasting(c, text,
	    sizeof(text))));
	set(e, "p_values", p_values(c));
	set(e, "before", side_value(c, BEFORE));
	set(e, "after", side_value(c, AFTER));
	return e;
}

static int
write_event(FILE *out, json_t *event)
{
	int failed = !event ||
	    json_dumpf(event, out, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0 ||
	    putc('\n', out) == EOF;

	json_decref(event);
	return failed ? -1 : 0;
}

int
report_compare_json(FILE *out, const struct run_figures *before,
    const struct run_figures *after)
{
	size_t count;
	struct comparison *list = compare_runs(before, after, &count);
	int failed = 0;

	for (size_t i = 0; i < count && !failed; i++)
		failed = write_event(out, comparison_event(&list[i], after));
	free(list);
	return failed || fflush(out) != 0 || ferror(out) ? -1 : 0;
}
