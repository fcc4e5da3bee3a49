/* offload_active.c - which flows the NIC carries, as far as the wire shows it.
 *
 * Informational. A chimney target numbers its IPv4 packets 0x8000 to 0xFFFF with
 * DF set and leaves the lower half to the host's stack; SYN states are never
 * offloaded, so a flow's SYN-ACK is low and its data goes high at the moment of
 * the offload. Whether the halves mean anything on this host is settled in
 * server.c (whole-host contrast, wrap test) before anything is said here. */
#include <stdlib.h>

#include "detectors/detector.h"

extern const struct detector detector_offload_active;

static void
raise_range(struct judge *j, struct server *s, struct flow *f,
    const struct note *flip)
{
	struct finding *x = finding_raise(j, &detector_offload_active,
	    "ip_id_range", s, NULL, 0);
	uint32_t offloaded = s->flows_by_stack[STACK_OFFLOADED];
	uint32_t host = s->flows_by_stack[STACK_HOST];
	bool news;

	server_remember(s, FINDING_offload_active, 1);	/* for review_server */
	x->severity = SEVERITY_INFO;
	x->confidence = s->host && s->host->ids.wraps_high ? 0.97 : 0.9;
	x->side = FAULT_UNKNOWN;
	x->count = offloaded;
	x->file = f->file;
	finding_time(x, flip ? flip->first : f->began);
	finding_frame(x, flip ? flip->frame[0] : f->first_frame);
	news = finding_metric(x, "flows_offloaded", offloaded);
	news |= finding_metric(x, "flows_host", host);
	if (!news)
		return;
	finding_say(x, "%u connections are carried by the network card (IP IDs "
	    "from 0x8000 on after the handshake), %u by the host's own stack",
	    offloaded, host);
}

static void
raise_change(struct judge *j, struct server *s, struct flow *f,
    const struct note *flip)
{
	struct finding *x = finding_raise(j, &detector_offload_active,
	    "stack_change", s, f, 0);

	x->severity = SEVERITY_INFO;
	x->confidence = 0.8;
	x->side = FAULT_UNKNOWN;
	finding_from_note(x, flip);
	finding_metric(x, "to_nic", (double)flip->value[0]);
	finding_metric(x, "to_host", (double)flip->value[1]);
	finding_say(x, "the connection went to the network card %u and back to the "
	    "host %u times", (unsigned)flip->value[0], (unsigned)flip->value[1]);
}

/* Something that this connection adds. */
static bool
is_news(const struct flow *f, const struct note *flip)
{
	if (f->flags & FLOW_ENDED)
		return true;
	return flip ? !instant_before(flip->last, f->half[SERVER].last) :
	    f->flags & FLOW_MIDSTREAM && f->half[SERVER].ids_high == 1;
}

static void
review_flow(void *state, struct judge *j, struct server *s, struct flow *f)
{
	const struct note *flip = flow_note_find(f, NOTE_ID_FLIP, 0, SERVER);
	enum stack stack;

	(void)state;
	if (!s->ids_split)
		return;
	stack = server_flow_stack(s, f);
	/* offloaded before the capture began, or before our eyes */
	if (stack == STACK_OFFLOADED && is_news(f, flip))
		raise_range(j, s, f, flip);
	if (flip && flip->value[1] && flip->value[0])
		raise_change(j, s, f, flip);
}

/* What was said of a host whose numbers turned out to mean nothing. */
static void
review_server(void *state, struct judge *j, struct server *s)
{
	struct finding *x;

	(void)state;
	judge_settled(j);
	if (s->ids_split)
		return;
	server_seen_to(s, FINDING_offload_active);
	x = finding_lookup(j, &detector_offload_active, "ip_id_range", s, NULL, 0);
	if (x && !x->retracted)
		finding_retract(x);
}

const struct detector detector_offload_active = {
	.finding = FINDING_offload_active,
	.meaning = "Connections of this server are handled by its network card "
	    "(TCP offload engine, TCP Chimney), not by its own TCP.",
	.decided = "IPv4 only. A connection whose SYN-ACK has an IP ID below 0x8000 "
	    "and whose later packets are from 0x8000 on with DF set, on a host "
	    "whose own packets (SYN-ACK, UDP, ICMP) stay in the lower half, before "
	    "and after, and whose counter is not seen to run across the border.",
	.mimics = "One 16-bit counter for all packets (found by its steps across "
	    "0x7FFF/0x8000), random or zero IDs (Linux, BSD), devices that rewrite "
	    "IDs, current Windows versions. In doubt nothing is said.",
	.source = "Microsoft NDIS documentation: Sending Data from an Offload "
	    "Target; Offloading the Segmentation of Large TCP Packets",
	.kinds = (const char *const[]){ "ip_id_range", "stack_change", NULL },
	.matters = MATTER_HIGH_IDS,
	.notes = NOTE_BIT(NOTE_ID_FLIP),
	.review_flow = review_flow,
	.servers = SERVER_REMEMBERED,
	.review_server = review_server,
	.release = free,
};
