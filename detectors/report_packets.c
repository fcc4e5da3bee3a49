/* report_packets.c - the per-packet analysis as JSON lines.
 *
 * The hard part is the order of things: what a parser learns of a packet is
 * known only after the packet was handed on, so each line waits until the next
 * packet comes. The lines are plain enough to be printed without a library,
 * which matters at a million packets. */
#include "detectors/report_packets.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "capture/checksum.h"
#include "capture/tcp_analysis.h"

struct packet_report {
	FILE *out;
	const struct run *run;
	struct tcp_analysis *analysis;
	bool waiting;			/* the line below is not printed yet */
	struct packet packet;		/* its pointers are stale */
	uint64_t flow_id;
	uint32_t flags;
	double rpc_time_s;		/* < 0: none */
	int error;			/* errno of the first failed write */
};

struct packet_report *
packet_report_new(FILE *out, const struct run *run)
{
	struct packet_report *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->out = out;
	r->run = run;
	r->analysis = tcp_analysis_new();
	if (!r->analysis) {
		free(r);
		return NULL;
	}
	return r;
}

/* Inside quotes: only what JSON must not hold as it is. */
static void
print_quoted(FILE *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			putc('\\', out);
		if (c < 0x20)
			fprintf(out, "\\u%04x", c);
		else
			putc(c, out);
	}
}

int
report_packet(FILE *out, const struct run *run, const struct packet *p,
    uint64_t flow_id, uint32_t flags, double rpc_time_s)
{
	char time[INSTANT_TEXT_BYTES];
	const char *comma = "";

	fprintf(out, "{\"timestamp\":\"%s\",\"event_type\":\"packet\",",
	    instant_text(p->time, time));
	if (source_count(run->source) > 1) {
		fprintf(out, "\"%s\":\"",
		    run->live ? "in_iface" : "pcap_filename");
		print_quoted(out, source_name(run->source, p->file));
		fprintf(out, "\",");
	}
	fprintf(out, "\"frame\":%" PRIu64 ",\"flow_id\":%" PRIu64 ",\"flags\":[",
	    p->frame, flow_id);
	for (unsigned bit = 0; bit < TCP_ANALYSIS_COUNT; bit++) {
		if (!(flags >> bit & 1))
			continue;
		fprintf(out, "%s\"%s\"", comma, tcp_analysis_flag_name(bit));
		comma = ",";
	}
	fprintf(out, "],\"checksum\":\"%s\"",
	    checksum_status_name(p->checksum));
	if (rpc_time_s >= 0)
		fprintf(out, ",\"rpc_time\":%.9f", rpc_time_s);
	return fputs("}\n", out) == EOF || ferror(out) ? -1 : 0;
}

static void
print_waiting(struct packet_report *r)
{
	if (!r->waiting)
		return;
	r->waiting = false;
	if (!r->error && report_packet(r->out, r->run, &r->packet, r->flow_id,
	    r->flags, r->rpc_time_s))
		r->error = errno ? errno : EIO;
}

void
packet_report_tcp(struct packet_report *r, const struct packet *p,
    uint64_t flow_id)
{
	print_waiting(r);
	r->packet = *p;
	r->flow_id = flow_id;
	r->flags = tcp_analysis_packet(r->analysis, p);
	r->rpc_time_s = -1;
	r->waiting = true;
}

void
packet_report_app(struct packet_report *r, const struct app_event *e)
{
	if (!r->waiting || !e->has_rpc_time || e->frame != r->packet.frame)
		return;
	if (r->rpc_time_s < 0)		/* several in one packet: the first */
		r->rpc_time_s = seconds_of(e->rpc_time_ns);
}

int
packet_report_finish(struct packet_report **rp)
{
	struct packet_report *r = *rp;
	int error;

	*rp = NULL;
	if (!r)
		return 0;
	print_waiting(r);
	if (!r->error && (fflush(r->out) || ferror(r->out)))
		r->error = errno ? errno : EIO;
	error = r->error;
	tcp_analysis_free(&r->analysis);
	free(r);
	errno = error;
	return error ? -1 : 0;
}
