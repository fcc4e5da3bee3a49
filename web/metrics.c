/* metrics.c - the run in numbers: OpenMetrics text (the specification of that
 * name, version 1.0.0), counted from the JSON records.
 *
 * The hard part is what is not there: a series that only appears with its first
 * incident cannot be watched, so the words that an alarm would be built on are
 * always put out, zero or not. */
#include "web/metrics.h"

#include <jansson.h>
#include <string.h>

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

/* The place of a record's word in a list, which ends with "other". */
static unsigned
place_of(const json_t *event, const char *key, const char *const *list,
    unsigned count)
{
	const char *word = json_string_value(json_object_get(event, key));
	unsigned i = 0;

	while (i < count - 1 && (!word || strcmp(word, list[i]) != 0))
		i++;
	return i;
}

static uint64_t
count_of(const json_t *event, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(event, key));

	return v > 0 ? (uint64_t)v : 0;
}

static void
add_finding(struct metrics *m, const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "finding"));
	size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz_") : 0;
	unsigned i;

	if (n == 0 || name[n] || n >= METRICS_NAME_BYTES)
		return;
	for (i = 0; i < m->finding_count; i++)
		if (strcmp(m->finding[i].name, name) == 0)
			break;
	if (i == METRICS_FINDINGS)
		return;
	if (i == m->finding_count) {
		memcpy(m->finding[i].name, name, n + 1);
		m->finding_count++;
	}
	m->finding[i].by_severity[place_of(event, "severity", severities,
	    METRICS_SEVERITIES)]++;
}

static void
add_capture(struct metrics *m, const json_t *event)
{
	m->packets += count_of(event, "packets");
	m->bytes += count_of(event, "bytes");
	m->duplicates += count_of(event, "duplicates");
	m->decode_errors += count_of(event, "decode_errors");
	m->dropped_kernel += count_of(event, "dropped_kernel");
	m->dropped_interface += count_of(event, "dropped_interface");
	m->lost_share = json_number_value(json_object_get(event,
	    "lost_estimate"));
	m->one_way_share = json_number_value(json_object_get(event,
	    "one_way_share"));
}

void
metrics_add(struct metrics *m, const char *type, const json_t *event)
{
	if (strcmp(type, "finding") == 0) {
		add_finding(m, event);
	} else if (strcmp(type, "incident") == 0) {
		unsigned v = place_of(event, "verdict", verdicts,
		    METRICS_VERDICTS);

		if (json_is_null(json_object_get(event, "end")))
			m->incidents_open[v]++;
		else
			m->incidents_over[v]++;
	} else if (strcmp(type, "server") == 0) {
		m->servers[place_of(event, "health", healths,
		    METRICS_HEALTHS)]++;
	} else if (strcmp(type, "capture") == 0) {
		add_capture(m, event);
	}
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

static void
write_capture(const struct metrics *m, FILE *out)
{
	counter(out, "packets", "Frames read.", m->packets);
	counter(out, "bytes", "Bytes on the wire of the frames read.", m->bytes);
	counter(out, "duplicates", "Mirror copies taken out.", m->duplicates);
	counter(out, "decode_errors", "Frames that could not be decoded.",
	    m->decode_errors);
	family(out, "dropped_packets", "counter",
	    "Packets that the sniffer dropped.");
	fprintf(out, "toewatch_dropped_packets_total{where=\"kernel\"} %llu\n"
	    "toewatch_dropped_packets_total{where=\"interface\"} %llu\n",
	    (unsigned long long)m->dropped_kernel,
	    (unsigned long long)m->dropped_interface);
	family(out, "lost_ratio", "gauge", "Share of acknowledged TCP bytes that "
	    "the sniffer never saw.");
	fprintf(out, "toewatch_lost_ratio %.9g\n", m->lost_share);
	family(out, "one_way_ratio", "gauge", "Share of connections of which one "
	    "direction is not mirrored.");
	fprintf(out, "toewatch_one_way_ratio %.9g\n", m->one_way_share);
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

void
metrics_write(const struct metrics *m, FILE *out)
{
	family(out, "build", "info", "What serves this.");
	fputs("toewatch_build_info{version=\"" PACKAGE_VERSION "\"} 1\n", out);
	write_capture(m, out);
	family(out, "servers", "gauge", "Servers by health.");
	for (unsigned h = 0; h < METRICS_HEALTHS; h++)
		fprintf(out, "toewatch_servers{health=\"%s\"} %llu\n", healths[h],
		    (unsigned long long)m->servers[h]);
	write_incidents(m, out);
	write_findings(m, out);
	fputs("# EOF\n", out);
}
