/* metrics.c - the run in numbers: OpenMetrics text (the specification of that
 * name, version 1.0.0), counted from the model.
 *
 * The hard part is what is not there: a series that only appears with its first
 * incident cannot be watched, so the words that an alarm would be built on are
 * always put out, zero or not. */
#include "web/metrics.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "web/api.h"

enum { METRICS_HEALTHS = 5, METRICS_VERDICTS = 10, METRICS_SEVERITIES = 6,
    METRICS_FINDINGS = 64 };

/* The last of each: a word that the list does not have. */
struct metrics {
	uint64_t servers[METRICS_HEALTHS];
	uint64_t incidents_open[METRICS_VERDICTS], incidents_over[METRICS_VERDICTS];
	unsigned finding_count;
	struct {
		const char *name;
		uint64_t by_severity[METRICS_SEVERITIES];
	} finding[METRICS_FINDINGS];
};

static const char *const healths[METRICS_HEALTHS] = {
	"ok", "degraded", "failing", "silent", "other",
};

static const char *const verdicts[METRICS_VERDICTS] = {
	"offload_engine", "checksum_offload", "segmentation_offload",
	"receive_side_scaling", "server_application", "server_host",
	"network_path", "client_side", "undetermined", "other",
};

static const char *const severities[METRICS_SEVERITIES] = {
	"info", "low", "medium", "high", "critical", "other",
};

/* The place of a word in a list, which ends with "other". */
static unsigned
place_of(const char *word, const char *const *list, unsigned count)
{
	unsigned i = 0;

	while (i < count - 1 && strcmp(word, list[i]) != 0)
		i++;
	return i;
}

/* A name that could be a label's value as it is; others are not counted. */
static bool
is_plain(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")];
}

static void
count_finding(struct metrics *m, const struct model_finding *f)
{
	unsigned i = 0;

	if (f->withdrawn || !is_plain(f->name))
		return;
	while (i < m->finding_count && strcmp(m->finding[i].name, f->name) != 0)
		i++;
	if (i == METRICS_FINDINGS)
		return;
	if (i == m->finding_count)
		m->finding[m->finding_count++].name = f->name;
	m->finding[i].by_severity[f->severity]++;
}

static void
count_all(struct metrics *m, const struct model *model)
{
	for (size_t i = 0; i < model->finding_count; i++)
		count_finding(m, model->finding[i]);
	for (size_t i = 0; i < model->incident_count; i++) {
		const struct model_incident *n = model->incident[i];
		unsigned v = place_of(n->verdict, verdicts, METRICS_VERDICTS);

		if (n->to_us == INT64_MAX)
			m->incidents_open[v]++;
		else
			m->incidents_over[v]++;
	}
	for (size_t i = 0; i < model->server_count; i++)
		if (model->server[i]->event)
			m->servers[place_of(model->server[i]->health, healths,
			    METRICS_HEALTHS)]++;
}

static void
family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# TYPE toewatch_%s %s\n# HELP toewatch_%s %s\n", name, type,
	    name, help);
}

static void
counter(FILE *out, const char *name, const char *help, uint64_t value)
{
	family(out, name, "counter", help);
	fprintf(out, "toewatch_%s_total %llu\n", name, (unsigned long long)value);
}

static uint64_t
count_of(const json_t *record, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(record, key));

	return v > 0 ? (uint64_t)v : 0;
}

static void
write_capture(const json_t *c, FILE *out)
{
	counter(out, "packets", "Frames read.", count_of(c, "packets"));
	counter(out, "bytes", "Bytes on the wire of the frames read.",
	    count_of(c, "bytes"));
	counter(out, "duplicates", "Mirror copies taken out.",
	    count_of(c, "duplicates"));
	counter(out, "decode_errors", "Frames that could not be decoded.",
	    count_of(c, "decode_errors"));
	family(out, "dropped_packets", "counter",
	    "Packets that the sniffer dropped.");
	fprintf(out, "toewatch_dropped_packets_total{where=\"kernel\"} %llu\n"
	    "toewatch_dropped_packets_total{where=\"interface\"} %llu\n"
	    "toewatch_dropped_packets_total{where=\"own\"} %llu\n",
	    (unsigned long long)count_of(c, "dropped_kernel"),
	    (unsigned long long)count_of(c, "dropped_interface"),
	    (unsigned long long)count_of(c, "dropped_own"));
	family(out, "lost_ratio", "gauge", "Share of acknowledged TCP bytes that "
	    "the sniffer never saw.");
	fprintf(out, "toewatch_lost_ratio %.9g\n",
	    json_number_value(json_object_get(c, "lost_estimate")));
	family(out, "one_way_ratio", "gauge", "Share of connections of which one "
	    "direction is not mirrored.");
	fprintf(out, "toewatch_one_way_ratio %.9g\n",
	    json_number_value(json_object_get(c, "one_way_share")));
}

/* A name from the configuration as a label's value. */
static void
put_label(FILE *out, const char *text)
{
	for (; text && *text; text++) {
		if (*text == '\\' || *text == '"')
			putc('\\', out);
		if (*text == '\n')
			fputs("\\n", out);
		else
			putc(*text, out);
	}
}

/* One figure of each sink. */
static void
put_sinks(FILE *out, const json_t *sinks, const char *series, const char *key)
{
	for (size_t i = 0; i < json_array_size(sinks); i++) {
		const json_t *s = json_array_get(sinks, i);

		fprintf(out, "toewatch_sink_%s{sink=\"", series);
		put_label(out, json_string_value(json_object_get(s, "name")));
		fprintf(out, "\"} %llu\n", json_is_true(json_object_get(s, key)) ?
		    1 : (unsigned long long)count_of(s, key));
	}
}

/* Where what is found goes, up to the last record of the capture. */
static void
write_keeping(const json_t *c, FILE *out)
{
	const json_t *store = json_object_get(c, "store"),
	    *sinks = json_object_get(c, "sinks");

	if (store) {
		counter(out, "store_events", "Events that were written to the "
		    "store.", count_of(store, "stored"));
		counter(out, "store_events_lost", "Events that the store was not "
		    "able to take.", count_of(store, "dropped"));
		family(out, "store_waiting", "gauge", "Events that wait for the "
		    "store.");
		fprintf(out, "toewatch_store_waiting %llu\n",
		    (unsigned long long)count_of(store, "waiting"));
	}
	if (json_array_size(sinks) == 0)
		return;
	family(out, "sink_events", "counter", "Events that a sink took.");
	put_sinks(out, sinks, "events_total", "delivered");
	family(out, "sink_events_lost", "counter", "Events that fell out of a "
	    "sink's queue.");
	put_sinks(out, sinks, "events_lost_total", "dropped");
	family(out, "sink_waiting", "gauge", "Events that wait for a sink.");
	put_sinks(out, sinks, "waiting", "waiting");
	family(out, "sink_failing", "gauge", "1: a sink takes nothing.");
	put_sinks(out, sinks, "failing", "failing");
}

static void
write_incidents(const struct metrics *m, FILE *out)
{
	family(out, "incidents", "gauge",
	    "Incidents by verdict; open ones have not ended.");
	for (unsigned v = 0; v < METRICS_VERDICTS; v++)
		fprintf(out, "toewatch_incidents{verdict=\"%s\",state=\"open\"} "
		    "%llu\ntoewatch_incidents{verdict=\"%s\",state=\"over\"} "
		    "%llu\n", verdicts[v],
		    (unsigned long long)m->incidents_open[v], verdicts[v],
		    (unsigned long long)m->incidents_over[v]);
}

static void
write_findings(const struct metrics *m, FILE *out)
{
	family(out, "findings", "gauge", "Findings by name and severity.");
	for (unsigned i = 0; i < m->finding_count; i++)
		for (unsigned s = 0; s < METRICS_SEVERITIES; s++)
			if (m->finding[i].by_severity[s])
				fprintf(out, "toewatch_findings{finding=\"%s\","
				    "severity=\"%s\"} %llu\n",
				    m->finding[i].name, severities[s],
				    (unsigned long long)
				    m->finding[i].by_severity[s]);
}

/* The page itself. */
static void
write_page(const struct api *api, FILE *out)
{
	const struct web_figures *f = &api->figures;

	counter(out, "page_requests", "Requests for the page.", f->requests);
	counter(out, "page_refused", "Requests that were turned away.",
	    f->refused);
	family(out, "page_connections", "gauge", "Open connections to the page.");
	fprintf(out, "toewatch_page_connections %u\n", f->connections);
	family(out, "page_viewers", "gauge", "Connections that follow events.");
	fprintf(out, "toewatch_page_viewers %u\n", f->viewers);
	counter(out, "page_viewer_resets", "Times that a viewer had fallen "
	    "behind.", api->stream->resets);
	counter(out, "page_events", "Events that the page has taken in.",
	    f->events);
	counter(out, "page_events_lost", "Events that the page was too far behind "
	    "for.", f->events_lost);
	family(out, "page_events_waiting", "gauge", "Events that the page has not "
	    "taken in yet.");
	fprintf(out, "toewatch_page_events_waiting %llu\n",
	    (unsigned long long)f->events_waiting);
	counter(out, "page_records_forgotten", "Records that the page dropped for "
	    "newer ones.", api->model->forgotten);
}

void
metrics_write(const struct api *api, FILE *out)
{
	const struct event *capture = api->model->capture;
	json_t *c = capture ? json_loadb(capture->json, capture->bytes, 0, NULL) :
	    NULL;
	struct metrics m = { 0 };

	count_all(&m, api->model);
	family(out, "build", "info", "What serves this.");
	fputs("toewatch_build_info{version=\"" PACKAGE_VERSION "\"} 1\n", out);
	write_capture(c, out);
	write_keeping(c, out);
	json_decref(c);
	family(out, "servers", "gauge", "Servers by health.");
	for (unsigned h = 0; h < METRICS_HEALTHS; h++)
		fprintf(out, "toewatch_servers{health=\"%s\"} %llu\n", healths[h],
		    (unsigned long long)m.servers[h]);
	write_incidents(&m, out);
	write_findings(&m, out);
	write_page(api, out);
	fputs("# EOF\n", out);
}
