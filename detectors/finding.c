/* finding.c - the plain record of one thing seen: its names, its frames and
 * figures, and the Wireshark filter that shows it.
 *
 * The hard part is the filter: it has to select every evidence frame, also
 * those of other flows, of ARP and of ICMP that stand beside a flow's own, and
 * still show the conversation to a person who wants to read on. */
#include "detectors/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "detectors/server.h"

static const char *const finding_names[FINDING_COUNT] = {
#define X(name) #name,
	FINDINGS(X)
#undef X
};

const char *
finding_name_text(enum finding_name name)
{
	if ((unsigned)name >= FINDING_COUNT)
		return "unknown";
	return finding_names[name];
}

int
finding_name_parse(const char *text)
{
	for (int i = 0; i < FINDING_COUNT; i++)
		if (strcmp(finding_names[i], text) == 0)
			return i;
	return -1;
}

void
finding_touch(struct finding *x)
{
	x->changed = true;
	if (!x->server)
		return;
	x->server->findings_changed = true;
	server_stir(x->server);
}

const char *
severity_text(enum severity severity)
{
	switch (severity) {
	case SEVERITY_INFO: return "info";
	case SEVERITY_LOW: return "low";
	case SEVERITY_MEDIUM: return "medium";
	case SEVERITY_HIGH: return "high";
	case SEVERITY_CRITICAL: return "critical";
	}
	return "info";
}

const char *
fault_side_text(enum fault_side side)
{
	switch (side) {
	case FAULT_UNKNOWN: return "unknown";
	case FAULT_SERVER: return "server";
	case FAULT_CLIENT: return "client";
	case FAULT_NETWORK: return "network";
	case FAULT_CAPTURE: return "capture";
	}
	return "unknown";
}

/* The frames are kept in ascending order, so that they read the same however
 * they came: the lowest ones, and in the last place the highest. */
void
finding_frame(struct finding *f, uint64_t frame)
{
	unsigned at = f->frame_count, end;

	if (frame == 0)
		return;
	while (at && f->frame[at - 1] >= frame)	/* most are late */
		at--;
	if (at < f->frame_count && f->frame[at] == frame)
		return;
	if (f->frame_count < FINDING_FRAMES) {
		end = f->frame_count++;
	} else if (at == FINDING_FRAMES) {
		at = end = FINDING_FRAMES - 1;
	} else if (at == FINDING_FRAMES - 1) {
		return;			/* neither among the first nor the last */
	} else {
		end = FINDING_FRAMES - 2;
	}
	memmove(&f->frame[at + 1], &f->frame[at],
	    (end - at) * sizeof(f->frame[0]));
	f->frame[at] = frame;
}

bool
finding_metric(struct finding *f, const char *name, double value)
{
	struct metric *m = f->metric, *end = f->metric + f->metric_count;

	while (m < end && m->name != name && strcmp(m->name, name) != 0)
		m++;
	if (m < end && m->value == value)
		return false;
	if (m == f->metric + FINDING_METRICS)
		return true;
	*m = (struct metric){ name, value };
	f->metric_count += m == end;
	return true;
}

void
finding_say(struct finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
}

void
finding_against(struct finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->against, sizeof(f->against), format, args);
	va_end(args);
}

void
finding_time(struct finding *f, struct instant t)
{
	if (!instant_is_set(f->first_seen) || instant_before(t, f->first_seen))
		f->first_seen = t;
	if (!instant_is_set(f->last_seen) || instant_before(f->last_seen, t))
		f->last_seen = t;
}

/* Text that grows to the end of its buffer and says whether it fitted. */
struct filter {
	char *text;
	size_t used;
	bool cut;
};

static void
filter_add(struct filter *f, const char *text)
{
	size_t n = strlen(text);

	if (n >= FINDING_FILTER_BYTES - f->used) {
		f->cut = true;
		return;
	}
	memcpy(f->text + f->used, text, n + 1);
	f->used += n;
}

static void
filter_add_number(struct filter *f, const char *before, uint64_t n)
{
	char text[21];			/* UINT64_MAX and the end */

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	filter_add(f, before);
	filter_add(f, text);
}

static void
filter_add_address(struct filter *out, const struct address *a)
{
	char text[ADDRESS_TEXT_BYTES];

	filter_add(out, address_is_v4(a) ? "ip.addr==" : "ipv6.addr==");
	filter_add(out, address_text(a, text));
}

/* The one conversation the finding is about. */
static void
filter_add_flow(struct filter *out, const struct finding *f,
    const struct address *server)
{
	const char *port = f->protocol == IP_UDP ? " && udp.port==" :
	    " && tcp.port==";

	filter_add_address(out, server);
	filter_add(out, " && ");
	filter_add_address(out, &f->client);
	filter_add_number(out, port, f->server_port);
	filter_add_number(out, port, f->client_port);
}

/* "frame.number in {3, 8..12}", runs folded. */
static void
filter_add_frames(struct filter *out, const struct finding *f)
{
	unsigned last;

	filter_add(out, "frame.number in {");
	for (unsigned i = 0; i < f->frame_count; i = last + 1) {
		last = i;
		while (last + 1 < f->frame_count &&
		    f->frame[last + 1] == f->frame[last] + 1)
			last++;
		filter_add_number(out, i ? ", " : "", f->frame[i]);
		if (last > i)
			filter_add_number(out, "..", f->frame[last]);
	}
	filter_add(out, "}");
}

static bool
has_flow(const struct finding *f, const struct address *server)
{
	return server && f->has_client && f->client_port && f->server_port &&
	    (f->protocol == IP_TCP || f->protocol == IP_UDP);
}

const char *
finding_display_filter(const struct finding *f,
    char text[FINDING_FILTER_BYTES])
{
	const struct address *server = f->server ? &f->server->address : NULL;
	struct filter out = { .text = text };

	text[0] = '\0';
	if (f->filter[0]) {
		filter_add(&out, f->filter);
		return text;
	}
	if (has_flow(f, server)) {
		filter_add(&out, f->frame_count ? "(" : "");
		filter_add_flow(&out, f, server);
		filter_add(&out, f->frame_count ? ") || " : "");
	} else if (server && !f->frame_count) {
		filter_add_address(&out, server);
	}
	if (f->frame_count)
		filter_add_frames(&out, f);
	if (out.cut) {			/* frame numbers of nine digits and more */
		out = (struct filter){ .text = text };
		filter_add_number(&out, "frame.number>=", f->frame[0]);
		filter_add_number(&out, " && frame.number<=",
		    f->frame[f->frame_count - 1]);
	}
	return text[0] ? text : strcpy(text, "frame");
}
