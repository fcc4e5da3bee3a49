/* report_words.c - the words and sentences that the text report and the page
 * share.
 *
 * The hard part is honesty: a capture that missed packets, or one direction,
 * has to say so before anyone leans on what follows. And whatever comes from
 * packets or file names must not speak to the terminal. */
#include "detectors/report_common.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Text ---------------------------------------------------------------------- */

void
text_add(char *out, size_t size, const char *format, ...)
{
	size_t used = strlen(out);
	va_list args;

	va_start(args, format);
	vsnprintf(out + used, size - used, format, args);
	va_end(args);
}

/* Detectors' sentences come with and without capital and full stop. */
static void
make_sentence(char *out, size_t size)
{
	size_t n = strlen(out);

	if (*out >= 'a' && *out <= 'z')
		*out = (char)(*out - 'a' + 'A');
	if (n && out[n - 1] != '.')
		text_add(out, size, ".");
}

/* Bytes of the UTF-8 letter at `s` that may be shown as it is, or 0: not UTF-8
 * (RFC 3629), a control character, or one that turns the writing direction. */
static size_t
letter_bytes(const unsigned char *s)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 :
	    *s >> 3 == 30 ? 4 : 0;
	uint32_t c = *s;

	if (n == 0)
		return 0;
	if (n > 1)
		c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (n > 1 && c < lowest[n])
		return 0;
	if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c > 0x10ffff ||
	    (c >= 0xd800 && c < 0xe000) || (c >= 0x200e && c <= 0x200f) ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return 0;
	return n;
}

const char *
text_safe(const char *in, char *out, size_t size)
{
	const unsigned char *s = (const unsigned char *)in;
	size_t used = 0;

	while (*s) {
		size_t n = letter_bytes(s);

		if (used + (n ? n : 4) >= size)
			break;
		if (n)
			memcpy(out + used, s, n);
		else
			snprintf(out + used, 5, "\\x%02x", *s);
		used += n ? n : 4;
		s += n ? n : 1;
	}
	out[used] = '\0';
	return out;
}

const char *
finding_file_name(const struct run *run, const struct finding *f)
{
	const char *name = source_name(run->source, f->file);

	return name ? name : "";
}

const char *
run_subject(const struct run *run, char *out, size_t size)
{
	size_t n = source_count(run->source);

	if (n == 1) {
		const char *name = source_name(run->source, 0);

		text_safe(strcmp(name, "-") ? name : "standard input", out, size);
	} else {
		snprintf(out, size, "%zu %s", n,
		    run->live ? "interfaces" : "captures");
	}
	return out;
}

const char *
duration_text(int64_t ns, char out[DURATION_TEXT_BYTES])
{
	int64_t s = (ns + NS_PER_S / 2) / NS_PER_S;

	if (ns < NS_PER_MS)
		snprintf(out, DURATION_TEXT_BYTES, "%.2g ms", (double)ns / 1e6);
	else if (ns < NS_PER_S)
		snprintf(out, DURATION_TEXT_BYTES, "%.0f ms", (double)ns / 1e6);
	else if (ns < 10 * NS_PER_S)
		snprintf(out, DURATION_TEXT_BYTES, "%.1f s", seconds_of(ns));
	else if (s < 60)
		snprintf(out, DURATION_TEXT_BYTES, "%" PRId64 " s", s);
	else if (s < 3600)
		snprintf(out, DURATION_TEXT_BYTES, "%" PRId64 " min %" PRId64 " s",
		    s / 60, s % 60);
	else if (s < 48 * 3600)
		snprintf(out, DURATION_TEXT_BYTES, "%" PRId64 " h %" PRId64 " min",
		    s / 3600, s % 3600 / 60);
	else
		snprintf(out, DURATION_TEXT_BYTES, "%" PRId64 " days %" PRId64 " h",
		    s / 86400, s % 86400 / 3600);
	return out;
}

const char *
number_text(uint64_t value, char out[NUMBER_TEXT_BYTES])
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, value), used = 0;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
	return out;
}

const char *
run_clock_text(const struct run *run, struct instant t,
    char out[INSTANT_TEXT_BYTES])
{
	const struct capture_stats *c = engine_stats(run->engine);
	const int64_t day = 86400 * NS_PER_S;

	if (c->first.ns / day == c->last.ns / day)
		return instant_clock_text(t, out);
	instant_text(t, out);
	out[10] = ' ';			/* 2007-12-16T17:59:25.798159Z */
	out[19] = '\0';
	return out;
}

const char *
frames_text(const uint64_t *frame, unsigned count, char *out, size_t size)
{
	size_t used = 0;
	unsigned last;

	out[0] = '\0';
	for (unsigned i = 0; i < count; i = last + 1) {
		char one[48];
		int n;

		last = i;
		while (last + 1 < count && frame[last + 1] == frame[last] + 1)
			last++;
		n = last == i ?
		    snprintf(one, sizeof(one), "%s%" PRIu64, i ? ", " : "",
			frame[i]) :
		    snprintf(one, sizeof(one), "%s%" PRIu64 "-%" PRIu64,
			i ? ", " : "", frame[i], frame[last]);
		if (used + (size_t)n + 5 > size) {
			snprintf(out + used, size - used, " ...");
			break;
		}
		memcpy(out + used, one, (size_t)n + 1);
		used += (size_t)n;
	}
	return out;
}

unsigned
percent_of(double confidence)
{
	double p = floor(confidence * 100 + 0.5);

	if (!(p > 0))
		return 0;
	return p > 99 ? 99 : (unsigned)p;
}

/* The capture --------------------------------------------------------------- */

static const struct finding *
capture_finding(const struct run *run, enum finding_name name)
{
	struct finding *f;

	for (f = registry_findings(run->registry); f; f = f->next)
		if (f->name == name && !f->retracted)
			return f;
	return NULL;
}

const char *
soundness_text(const struct run *run, char *out, size_t size)
{
	const struct capture_stats *c = engine_stats(run->engine);
	double lost = capture_lost_share(c), one_way = capture_one_way_share(c);
	uint64_t unsound = capture_unsound_packets(c);
	struct source_stats s = { 0 };

	source_stats(run->source, &s);
	if (c->packets == 0) {
		snprintf(out, size, "Nothing to judge: not one packet.");
		return out;
	}
	if (c->tcp_packets == 0) {
		snprintf(out, size, "No TCP in it.");
		return out;
	}
	if (c->lost_bytes == 0 && one_way == 0 && !s.dropped_kernel &&
	    !s.dropped_interface && !s.cut_files && !s.blind && !unsound) {
		/* what comes while a run ends is no loss to what it says */
		snprintf(out, size, "Capture sound: nothing lost, both directions "
		    "seen%s", s.dropped_own ? "" : ".");
		if (s.dropped_own)
			text_add(out, size, "; %" PRIu64 " packet%s came too late "
			    "to be looked at.", s.dropped_own,
			    s.dropped_own == 1 ? "" : "s");
		return out;
	}
	snprintf(out, size, "Capture not whole:");
	if (s.dropped_kernel || s.dropped_interface)
		text_add(out, size, " %" PRIu64 " packets dropped by this machine,",
		    s.dropped_kernel + s.dropped_interface);
	if (s.dropped_own)
		text_add(out, size, " %" PRIu64 " came too late to be looked at,",
		    s.dropped_own);
	if (c->lost_bytes)
		text_add(out, size, " %.2g %% of the TCP bytes missed,", lost * 100);
	if (one_way > 0)
		text_add(out, size, " %.0f %% of the connections seen one way only,",
		    one_way * 100 < 1 ? 1 : one_way * 100);
	if (unsound)
		text_add(out, size, " %" PRIu64 " packets damaged, out of order or "
		    "misdated,", unsound);
	if (s.cut_files)
		text_add(out, size, " a capture ends in mid-packet,");
	if (s.blind)
		text_add(out, size, " %u interface%s down,", s.blind,
		    s.blind > 1 ? "s are" : " is");
	out[strlen(out) - 1] = '.';
	return out;
}

/* Servers whose IP IDs do not tell who carries their connections, and why, when
 * it is one. */
static const char *
unjudged_servers(const struct run *run, char *out, size_t size)
{
	size_t n = 0, all = 0;
	const char *why = NULL;

	for (const struct server *s = registry_servers(run->registry); s;
	    s = s->next) {
		if (!s->flows)
			continue;
		all++;
		if (!s->ids_split) {
			n++;
			why = s->ids_why;
		}
	}
	if (n == 0)
		return NULL;
	snprintf(out, size, "Whether its card or its own stack carries a connection "
	    "cannot be told of %s%s%s%s.", n == all ? "any server" : "some servers",
	    n == 1 && why && *why ? " (" : "", n == 1 && why ? why : "",
	    n == 1 && why && *why ? ")" : "");
	return out;
}

static const char *
unsound_text(const struct run *run, char *out, size_t size)
{
	const struct capture_stats *c = engine_stats(run->engine);

	if (!capture_unsound_packets(c))
		return "";
	snprintf(out, size, "The capture is not what was on the wire: %" PRIu64
	    " packets are damaged (wrong sums over IP headers), %" PRIu64 " come "
	    "long after they were acknowledged, %" PRIu64 " are dated long before "
	    "the one before; where that is more than the loss it may have, "
	    "nothing is held against a server.", c->damaged, c->disordered,
	    c->misdated);
	return out;
}

const char *
not_judged_text(const struct run *run, unsigned i, char *out, size_t size)
{
	const struct capture_stats *c = engine_stats(run->engine);
	const struct finding *f;
	char n[NUMBER_TEXT_BYTES];

	out[0] = '\0';
	switch (i) {
	case 0:
	case 1:
		f = capture_finding(run, i ? FINDING_capture_one_way :
		    FINDING_capture_loss);
		if (!f)
			return "";
		text_add(out, size, "%s", f->text);
		make_sentence(out, size);
		return out;
	case 2:
		if (!c->snap_cut)
			return "";
		snprintf(out, size, "%s packets were cut by the snap length: their "
		    "checksums and requests cannot be read.",
		    number_text(c->snap_cut, n));
		return out;
	case 3:
		if (!c->coalesced)
			return "";
		snprintf(out, size, "%s frames are larger than the wire carries "
		    "(TSO, GRO or LRO at the sniffer): segment sizes and IP IDs "
		    "tell less.", number_text(c->coalesced, n));
		return out;
	case 4:
		return unsound_text(run, out, size);
	case 5:
		return unjudged_servers(run, out, size) ? out : "";
	default:
		return NULL;
	}
}

/* Servers and incidents ----------------------------------------------------- */

const char *
role_title(enum app_protocol app)
{
	static const char *const titles[APP_PROTOCOL_COUNT] = {
		[APP_DCERPC] = "RPC", [APP_SMB] = "SMB",
		[APP_RPC_HTTP] = "RPC over HTTP", [APP_HTTP] = "HTTP",
		[APP_TLS] = "TLS", [APP_RDP] = "RDP", [APP_FTP] = "FTP",
		[APP_FTP_DATA] = "FTP data", [APP_SMTP] = "SMTP",
		[APP_IMAP] = "IMAP", [APP_POP3] = "POP3", [APP_PPTP] = "PPTP",
		[APP_LDAP] = "LDAP", [APP_KERBEROS] = "Kerberos",
		[APP_DNS] = "DNS", [APP_DHCP] = "DHCP", [APP_NTP] = "NTP",
		[APP_NETBIOS] = "NetBIOS", [APP_TDS] = "SQL",
		[APP_SSH] = "SSH",
	};

	return (unsigned)app < APP_PROTOCOL_COUNT && titles[app] ? titles[app] :
	    "other";
}

const char *
roles_text(const struct server *s, char *out, size_t size)
{
	uint8_t roles[APP_PROTOCOL_COUNT];
	size_t n = server_roles(s, roles);

	out[0] = '\0';
	for (size_t i = 0; i < n; i++)
		text_add(out, size, "%s%s", i ? ", " : "", role_title(roles[i]));
	return out;
}

/* "4.1 ms" */
static const char *
time_text(int64_t ns, char out[DURATION_TEXT_BYTES])
{
	if (ns < 10 * NS_PER_MS)
		snprintf(out, DURATION_TEXT_BYTES, "%.2g ms", (double)ns / 1e6);
	else
		duration_text(ns, out);
	return out;
}

const char *
responses_text(const struct server *s, int most, char *out, size_t size)
{
	bool named[APP_PROTOCOL_COUNT] = { false };
	struct latency took, best;

	out[0] = '\0';
	for (int k = 0; k < most; k++) {
		int choice = -1;
		char time[DURATION_TEXT_BYTES], calls[NUMBER_TEXT_BYTES];

		for (int app = server_response(s, 0, &took); app >= 0;
		    app = server_response(s, app + 1, &took)) {
			if (named[app] || (choice >= 0 && took.n <= best.n))
				continue;
			choice = app;
			best = took;
		}
		if (choice < 0)
			break;
		named[choice] = true;
		text_add(out, size, "%s%s p95 %s over %s %s", k ? ", " : "",
		    role_title((enum app_protocol)choice),
		    time_text(latency_quantile(&best, 0.95), time),
		    number_text(best.n, calls), best.n == 1 ? "answer" :
		    "answers");
	}
	return out;
}

const char *
affected_text(const struct incident *i, char *out, size_t size)
{
	if (i->summary[0]) {
		text_safe(i->summary, out, size - 1);
		make_sentence(out, size);
		return out;
	}
	snprintf(out, size, "%" PRIu32 " of %" PRIu32 " clients and %" PRIu32
	    " of %" PRIu32 " connections are affected.", i->clients_affected,
	    i->clients_seen, i->flows_affected, i->flows_seen);
	return out;
}

const char *
clients_text(const struct incident *i, size_t most, char *out, size_t size)
{
	enum { CLIENTS_MAX = 16, PORTS_MAX = 6 };
	struct address client[CLIENTS_MAX];
	uint16_t port[PORTS_MAX];
	char ip[ADDRESS_TEXT_BYTES];
	size_t n = incident_clients(i, client, CLIENTS_MAX);
	size_t ports = incident_ports(i, port, PORTS_MAX);

	if (most > CLIENTS_MAX)
		most = CLIENTS_MAX;
	out[0] = '\0';
	for (size_t k = 0; k < n && k < most; k++)
		text_add(out, size, "%s%s", k ? ", " : "", address_text(&client[k], ip));
	if (n > most)
		text_add(out, size, " and %zu more", n - most);
	for (size_t k = 0; k < ports; k++)
		text_add(out, size, "%s%u", k ? ", " : n == 0 ? "" : ports > 1 ?
		    "; ports " : "; port ", port[k]);
	return out;
}

/* Of what cannot be told, the figure says how sure it is that there is
 * something. */
const char *
sure_text(const struct incident *i, char out[SURE_TEXT_BYTES])
{
	snprintf(out, SURE_TEXT_BYTES, "%u %% sure%s", percent_of(i->confidence),
	    i->verdict != VERDICT_undetermined ? "" :
	    instant_is_set(i->end) ? " that something was" :
	    " that something is");
	return out;
}

const char *
lasting_text(const struct run *run, const struct incident *i, char *out,
    size_t size)
{
	char from[INSTANT_TEXT_BYTES], to[INSTANT_TEXT_BYTES];
	char lasted[DURATION_TEXT_BYTES];
	struct instant end = instant_is_set(i->end) ? i->end :
	    engine_stats(run->engine)->last;

	duration_text(instant_since(end, i->start), lasted);
	if (instant_is_set(i->end))
		snprintf(out, size, "from %s to %s (%s), over since",
		    run_clock_text(run, i->start, from),
		    run_clock_text(run, end, to), lasted);
	else
		snprintf(out, size, "since %s, still going on at the end (%s)",
		    run_clock_text(run, i->start, from), lasted);
	return out;
}

static const char *
plural(size_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

const char *
extent_text(const struct run *run, char *out, size_t size)
{
	const struct capture_stats *c = engine_stats(run->engine);
	size_t servers = run_servers(run), clients = run_clients(run);
	char lasted[DURATION_TEXT_BYTES], from[INSTANT_TEXT_BYTES];
	char packets[NUMBER_TEXT_BYTES];

	out[0] = '\0';
	if (c->packets) {
		instant_text(c->first, from);
		from[10] = ' ';
		from[19] = '\0';
		text_add(out, size, "%s from %s UTC, ", duration_text(
		    instant_since(c->last, c->first), lasted), from);
	}
	text_add(out, size, "%s %s", number_text(c->packets, packets),
	    plural((size_t)c->packets, "packet", "packets"));
	if (servers)
		text_add(out, size, ", %zu %s, %zu %s", servers,
		    plural(servers, "server", "servers"), clients,
		    plural(clients, "client", "clients"));
	text_add(out, size, ".");
	return out;
}

const char *
group_text(const struct run *run, const struct finding_group *g, char *out,
    size_t size)
{
	const struct finding *f = g->first;
	char ip[ADDRESS_TEXT_BYTES];

	out[0] = '\0';
	if (f->server && run_servers(run) > 1)
		text_add(out, size, "%s: ", address_text(&f->server->address, ip));
	text_add(out, size, "%s", f->text);
	make_sentence(out, size);
	if (g->findings > 1)
		text_add(out, size, " And %zu more like it.", g->findings - 1);
	text_add(out, size, " (%s", finding_name_text(f->name));
	if (f->kind)
		text_add(out, size, ", %s", f->kind);
	if (f->severity >= SEVERITY_LOW)
		text_add(out, size, ", %s", severity_text(f->severity));
	text_add(out, size, ")");
	return out;
}
