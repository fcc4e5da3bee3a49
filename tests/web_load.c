/* web_load.c - the page with made servers and findings, which go on coming: to
 * look at it under load, and to measure what it costs. Not a test by itself.
 *
 *	tests/web_load [-w ADDR:PORT] [-s SERVERS] [-f FINDINGS] [-e EVENTS/S]
 *	    [-t SECONDS] [-m SECONDS A MINUTE] [-n OPEN FILES]
 *
 * At its end (after -t seconds, or a signal) it says what handing an event over
 * has cost the thread that did it. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "detectors/event.h"
#include "web/server.h"

enum {
	CLIENTS = 60, CELLS = 96, LADDER_PACKETS = 40, HISTORY_MINUTES = 90,
	SERVERS_MOST = 2000,
};

struct load {
	struct web *web;
	unsigned servers, minute_s;
	uint64_t number, finding, incidents;
	time_t start, now;		/* trace time */
	uint64_t flows[SERVERS_MOST];
	uint64_t events, took_ns, worst_ns;	/* what web_event cost */
};

static volatile sig_atomic_t ended;

static void
on_signal(int number)
{
	(void)number;
	ended = 1;
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static const char *
iso(time_t t, char out[40])
{
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 40, "%Y-%m-%dT%H:%M:%S.123456Z", &tm);
	return out;
}

/* Which servers are in trouble, and how: every seventh. */
static bool
is_ill(unsigned s)
{
	return s % 7 == 3;
}

static void
put_server(FILE *out, unsigned s)
{
	static const char *const vendors[] = { "Broadcom", "Intel", "HP",
		"Chelsio" };

	fprintf(out, "\"server\":{\"ip\":\"10.%u.%u.5\",\"name\":", s / 250,
	    s % 250);
	if (s % 3)
		fprintf(out, "\"EX%02u\"", s);
	else
		fputs("null", out);
	fprintf(out, ",\"mac\":\"00:10:18:2a:%02x:%02x\",\"vendor\":\"%s\","
	    "\"roles\":[\"dcerpc\",\"smb\",\"http\",\"tls\"]}", s / 250, s % 250,
	    vendors[s % 4]);
}

/* A record under way, as an event. */
struct pen {
	FILE *out;
	char *text;
	size_t bytes;
};

static FILE *
pen_open(struct pen *p)
{
	p->out = open_memstream(&p->text, &p->bytes);
	if (!p->out)
		abort();
	return p->out;
}

static void
pen_send(struct pen *p, struct load *l, enum event_kind kind)
{
	struct event model = { .kind = kind, .number = ++l->number };
	struct event *e;
	uint64_t began, took;

	fclose(p->out);
	e = event_new(&model, p->text, p->bytes);
	if (!e)
		abort();
	began = now_ns();
	web_event(l->web, e);
	took = now_ns() - began;
	l->events++;
	l->took_ns += took;
	if (took > l->worst_ns)
		l->worst_ns = took;
	event_release(&e);
}

static void
send_finding(struct load *l, uint64_t id, unsigned s, const char *change)
{
	static const struct {
		const char *name, *kind, *severity, *text;
	} kinds[] = {
		{ "rpc_stall", "\"no_response\"", "high", "EMSMDB EcDoRpcExt2 "
		    "(call 12) was acknowledged after 0.3 ms and has no response "
		    "after 307.0 s" },
		{ "reply_missing", "\"established\"", "medium", "a request of 412 "
		    "bytes was acknowledged after 0.2 ms and never answered" },
		{ "orphaned_session", "\"client_vanished\"", "medium", "the "
		    "client left 312 s ago; the server keeps the session" },
		{ "flow_blackholed", "null", "critical", "data from byte 4711 on "
		    "was sent 5 times and never acknowledged" },
		{ "offload_active", "\"ip_id_range\"", "info", "24 of 70 "
		    "connections are carried by the card" },
		{ "retransmission <script>alert(1)</script>", "null", "low",
		    "a hostile name: <img src=x onerror=alert(2)> \\\"'&" },
	};
	unsigned k = (unsigned)(id % 97 == 5 ? 5 : id % 5);
	unsigned client = (unsigned)(id % CLIENTS) + 20;
	time_t first = l->now - (time_t)(id % 50);
	char t0[40], t1[40];
	struct pen p;
	FILE *out = pen_open(&p);

	iso(first, t0);
	iso(l->now, t1);
	fprintf(out, "{\"timestamp\":\"%s\",\"event_type\":\"finding\","
	    "\"change\":\"%s\",\"in_iface\":\"eth1\",\"src_ip\":\"10.9.0.%u\","
	    "\"src_port\":%u,\"dest_ip\":\"10.%u.%u.5\",\"dest_port\":1114,"
	    "\"proto\":\"TCP\",\"community_id\":"
	    "\"1:/lW1qMt2uPiz5PbpkJ+lzuAD2U8=\",\"app_proto\":\"dcerpc\","
	    "\"flow_id\":%" PRIu64 ",\"finding_id\":%" PRIu64 ",\"finding\":"
	    "\"%s\",\"kind\":%s,\"severity\":\"%s\",\"confidence\":0.85,", t0,
	    change, client, 1024 + (unsigned)(id % 60000), s / 250, s % 250,
	    id, id, kinds[k].name, kinds[k].kind, kinds[k].severity);
	put_server(out, s);
	fprintf(out, ",\"client_ip\":\"10.9.0.%u\",\"side\":\"server\","
	    "\"first_seen\":\"%s\",\"last_seen\":\"%s\",\"count\":%u,\"text\":"
	    "\"%s\",\"against\":null,\"frames\":[%" PRIu64 ",%" PRIu64 "],"
	    "\"display_filter\":\"(ip.addr==10.9.0.%u && tcp.port==1114) || "
	    "frame.number in {%" PRIu64 "..%" PRIu64 "}\",\"metrics\":{"
	    "\"waited_s\":307.003801,\"request_bytes\":104.0,"
	    "\"acked_after_ms\":0.315},\"incident_id\":", client, t0, t1,
	    (unsigned)(id % 9) + 1, kinds[k].text, id * 10, id * 10 + 1, client,
	    id * 10, id * 10 + 1);
	if (is_ill(s))
		fprintf(out, "%u}", s / 7 + 1);
	else
		fputs("null}", out);
	pen_send(&p, l, EVENT_FINDING);
}

static void
send_incident(struct load *l, unsigned s, const char *change)
{
	char t0[40];
	struct pen p;
	FILE *out = pen_open(&p);

	iso(l->start + 60 * (time_t)(s % 60), t0);
	fprintf(out, "{\"timestamp\":\"%s\",\"event_type\":\"incident\","
	    "\"change\":\"%s\",\"dest_ip\":\"10.%u.%u.5\",\"incident_id\":%u,",
	    t0, change, s / 250, s % 250, s / 7 + 1);
	put_server(out, s);
	fprintf(out, ",\"verdict\":\"%s\",\"confidence\":0.9%u,\"verdict_text\":"
	    "\"Its network card's TCP offload (TOE, TCP Chimney) has lost touch "
	    "with the host.\",\"summary\":\"14 of 14 clients and 24 of 72 "
	    "connections are affected; the server acknowledges their requests "
	    "(at best after 0.2 ms), and 24 were never answered\",\"start\":"
	    "\"%s\",\"end\":null,\"clients_affected\":14,\"clients_seen\":14,"
	    "\"flows_affected\":24,\"flows_seen\":72,\"findings\":{"
	    "\"orphaned_session\":13,\"reply_missing\":10,\"rpc_stall\":14},"
	    "\"offload\":{\"flows_offloaded\":24,\"flows_host\":45,"
	    "\"affected_offloaded\":24,\"affected_host\":0,\"odds_ratio\":4459.0,"
	    "\"p_value\":4.33721085e-19},\"evidence\":[{\"weight\":6.90775528,"
	    "\"text\":\"of the connections that the card carries 24 of 24 are "
	    "affected, of the host's own 0 of 45 (p = 4e-19)\",\"frames\":"
	    "[1359,1360]},{\"weight\":2.0,\"text\":\"unasked UDP notices still "
	    "go out to 10 clients\",\"frames\":[]}],\"against\":[],\"next_step\":"
	    "\"switch the connection offload off for a minute (below)\","
	    "\"remedy\":[{\"applies_to\":\"Windows Server 2003 SP2, at once\","
	    "\"command\":\"netsh int ip set chimney DISABLED\",\"undo\":\"netsh "
	    "int ip set chimney ENABLED\",\"source\":\"Wireshark wiki\","
	    "\"for_good\":false,\"advice\":false}]}", s % 2 ? "offload_engine" :
	    "server_application", s % 10, t0);
	pen_send(&p, l, EVENT_INCIDENT);
}

static void
send_server(struct load *l, unsigned s)
{
	unsigned wave = (unsigned)(l->now / 60 + s * 7) % 40;
	char t0[40], t1[40];
	struct pen p;
	FILE *out = pen_open(&p);

	l->flows[s] += 20 + wave;
	iso(l->start, t0);
	iso(l->now, t1);
	fprintf(out, "{\"timestamp\":\"%s\",\"event_type\":\"server\",\"change\":"
	    "\"update\",\"dest_ip\":\"10.%u.%u.5\",", t1, s / 250, s % 250);
	put_server(out, s);
	fprintf(out, ",\"flows\":%" PRIu64 ",\"clients\":%u,\"bytes\":%" PRIu64
	    ",\"health\":\"%s\",\"offload_state\":\"%s\",\"response_times\":{"
	    "\"dcerpc\":{\"p50\":4.0,\"p95\":%u.5,\"p99\":60.0,\"max\":90.0,"
	    "\"n\":%" PRIu64 "},\"smb\":{\"p50\":2.0,\"p95\":4.8,\"p99\":5.7,"
	    "\"max\":7.0,\"n\":102}},\"first_seen\":\"%s\",\"last_seen\":\"%s\"}",
	    l->flows[s], CLIENTS, l->flows[s] * 4000, is_ill(s) ? "failing" :
	    s % 11 == 5 ? "degraded" : s % 29 == 8 ? "silent" : "ok",
	    is_ill(s) ? "mixed" : "host", 10 + wave * (is_ill(s) ? 9 : 1),
	    l->flows[s], t0, t1);
	pen_send(&p, l, EVENT_SERVER);
}

static void
put_cells(FILE *out, const char *key, unsigned s)
{
	fprintf(out, ",\"%s\":[", key);
	for (unsigned i = 0; i < CELLS; i++)
		fprintf(out, "%s%u", i ? "," : "", (i * 7 + s) % 30);
	putc(']', out);
}

static void
send_timeline(struct load *l, unsigned s)
{
	char t0[40], t1[40];
	struct pen p;
	FILE *out = pen_open(&p);

	iso(l->now - CELLS * 5, t0);
	iso(l->now, t1);
	fprintf(out, "{\"event_type\":\"timeline\",\"timestamp\":\"%s\",", t1);
	put_server(out, s);
	fprintf(out, ",\"from\":\"%s\",\"step_s\":5.0,\"cells\":%d,\"clients\":[",
	    t0, CELLS);
	for (unsigned c = 0; c < CLIENTS; c++) {
		fprintf(out, "%s{\"ip\":\"10.9.0.%u\",\"stalled\":null,"
		    "\"states\":\"", c ? "," : "", c + 20);
		for (unsigned i = 0; i < CELLS; i++)
			putc(i < 40 ? (i * 5 + c) % 3 ? 'a' : '.' :
			    i < 44 ? 'w' : i < 80 - c % 9 ? c % 10 == 9 ? 'a' :
			    's' : i % 6 ? 'r' : 'x', out);
		fputs("\"}", out);
	}
	fputs("],\"clients_more\":12", out);
	put_cells(out, "answered", s);
	put_cells(out, "wait_ms", s);
	putc('}', out);
	pen_send(&p, l, EVENT_TIMELINE);
}

static void
send_capture(struct load *l)
{
	char t0[40], t1[40];
	struct pen p;
	FILE *out = pen_open(&p);

	iso(l->start, t0);
	iso(l->now, t1);
	fprintf(out, "{\"timestamp\":\"%s\",\"event_type\":\"capture\","
	    "\"change\":\"update\",\"in_iface\":\"eth1\",\"sources\":1,"
	    "\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"duplicates\":0,"
	    "\"truncated\":0,\"non_ip\":12,\"decode_errors\":0,"
	    "\"time_regressions\":0,\"damaged\":0,\"disordered\":0,"
	    "\"misdated\":0,\"decode\":{\"ok\":2459},\"tcp_packets\":2266,"
	    "\"udp_packets\":73,\"fragments\":0,\"coalesced\":0,\"snap_cut\":0,"
	    "\"acked_bytes\":201721,\"lost_bytes\":0,\"lost_events\":0,"
	    "\"dropped_kernel\":0,\"dropped_interface\":0,\"cut_files\":0,"
	    "\"lost_estimate\":0.0,\"one_way_share\":0.0,\"link_type\":\"EN10MB\","
	    "\"mixed_link_types\":false,\"first_seen\":\"%s\",\"last_seen\":"
	    "\"%s\",\"duration\":%.1f,\"flows\":{\"created\":110,\"peak\":78,"
	    "\"timed_out\":36,\"evicted_half_open\":0,\"evicted_established\":0,"
	    "\"notes_refused\":0,\"exchanges_refused\":0},\"interrupted\":false}",
	    t1, l->number * 1000, l->number * 700000, t0, t1,
	    difftime(l->now, l->start));
	pen_send(&p, l, EVENT_CAPTURE);
}

static void
send_minute(struct load *l)
{
	for (unsigned s = 0; s < l->servers; s++) {
		send_server(l, s);
		if (is_ill(s))
			send_timeline(l, s);
	}
	send_capture(l);
}

/* Some findings are new, some old ones change. */
static void
send_something(struct load *l)
{
	uint64_t n = l->number;
	uint64_t old = l->finding > 20 ? l->finding - n % 20 : 1;

	if (n % 5 == 1)
		send_finding(l, old, (unsigned)(old % l->servers), "update");
	else if (n % 11 == 2)
		send_finding(l, old, (unsigned)(old % l->servers), "over");
	else if (n % 31 == 3)
		send_finding(l, old, (unsigned)(old % l->servers), "withdrawn");
	else
		l->finding++, send_finding(l, l->finding,
		    (unsigned)(l->finding % l->servers), "new");
	if (n % 50 == 7 && l->servers > 3)
		send_incident(l, 3, "update");
}

/* What is there at the beginning: an hour and a half of it. */
static void
fill(struct load *l, unsigned findings)
{
	l->start = 1795334400;		/* 2026-11-22T08:00:00Z */
	for (unsigned m = 0; m < HISTORY_MINUTES; m++) {
		l->now = l->start + 60 * (time_t)m;
		for (; l->finding < (uint64_t)findings * (m + 1) /
		    HISTORY_MINUTES;) {
			l->finding++;
			send_finding(l, l->finding,
			    (unsigned)(l->finding % l->servers), "new");
		}
		send_minute(l);
	}
	for (unsigned s = 0; s < l->servers; s++)
		if (is_ill(s))
			send_incident(l, s, "new");
}

static int
make_ladder(void *context, uint64_t id, char **json, size_t *bytes)
{
	FILE *out = open_memstream(json, bytes);

	(void)context;
	if (!out)
		return -1;
	fprintf(out, "{\"finding_id\":%" PRIu64 ",\"flow_id\":%" PRIu64 ","
	    "\"client\":{\"ip\":\"10.9.0.20\",\"port\":3730},\"server\":{\"ip\":"
	    "\"10.0.3.5\",\"port\":1114},\"display_filter\":\"tcp.port==3730\","
	    "\"truncated\":false,\"packets\":[", id, id);
	for (unsigned i = 0; i < LADDER_PACKETS; i++)
		fprintf(out, "%s{\"frame\":%u,\"time\":"
		    "\"2026-11-22T08:00:%02u.000000Z\",\"t\":%u.25,\"from\":\"%s\","
		    "\"seq\":%u,\"ack\":%u,\"len\":%u,\"flags\":\"%s\",\"window\":"
		    "65535,\"evidence\":%s,\"note\":%s,\"gap\":%u}", i ? "," : "",
		    100 + i * 3, i, i, i % 2 ? "server" : "client", 1 + i * 100,
		    1 + i * 50, i % 2 ? 0u : 100u, i < 2 ? "S" : i % 2 ? "A" :
		    "PA", i % 9 == 6 ? "true" : "false", i % 9 == 6 ?
		    "\"request (EcDoRpc) never answered\"" : "null",
		    i == 20 ? 1460u : 0u);
	fputs("]}", out);
	return fclose(out);
}

/* A section header block and nothing more. */
static int
make_pcapng(void *context, const char *kind, uint64_t id, char **data,
    size_t *bytes)
{
	static const char block[28] = "\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a"
	    "\1\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0";

	(void)context;
	(void)kind;
	(void)id;
	*data = malloc(sizeof(block));
	if (!*data)
		return -1;
	memcpy(*data, block, sizeof(block));
	*bytes = sizeof(block);
	return 0;
}

/* Until `seconds` have passed (0: for ever) or a signal comes. */
static void
go_on(struct load *l, double rate, unsigned seconds)
{
	uint64_t began = now_ns(), due = began, minute = began;

	while (!ended && (!seconds || now_ns() - began < seconds *
	    UINT64_C(1000000000))) {
		uint64_t now = now_ns();

		for (; rate > 0 && due <= now; due += (uint64_t)(1e9 / rate))
			send_something(l);
		if (now - minute >= l->minute_s * UINT64_C(1000000000)) {
			minute = now;
			l->now += 60;
			send_minute(l);
		}
		usleep(1000);
	}
}

static void
limit_files(rlim_t most)
{
	struct rlimit limit = { most, most };

	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static unsigned
number(const char *text, unsigned most)
{
	unsigned long v = strtoul(text, NULL, 10);

	return v > most ? most : (unsigned)v;
}

int
main(int argc, char **argv)
{
	static struct load l = { .servers = 100, .minute_s = 60 };
	static const struct web_evidence evidence = { NULL, make_ladder,
		make_pcapng };
	struct web_settings settings = { .live = true, .style = "",
		.evidence = &evidence };
	const char *where = "127.0.0.1:8080";
	unsigned findings = 10000, seconds = 0;
	double rate = 5, cost;
	char err[WEB_ERROR_BYTES];
	int option;

	while ((option = getopt(argc, argv, "w:s:f:e:t:m:n:")) != -1) {
		switch (option) {
		case 'w': where = optarg; break;
		case 's': l.servers = number(optarg, SERVERS_MOST); break;
		case 'f': findings = number(optarg, 1000000); break;
		case 'e': rate = strtod(optarg, NULL); break;
		case 't': seconds = number(optarg, 100000); break;
		case 'm': l.minute_s = number(optarg, 3600); break;
		case 'n': limit_files(number(optarg, 10000)); break;
		default: return 2;
		}
	}
	l.servers += l.servers == 0;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (web_where_parse(where, &settings.where, err) == 0)
		l.web = web_open(&settings, err);
	if (!l.web) {
		fprintf(stderr, "web_load: %s\n", err);
		return 1;
	}
	fill(&l, findings);
	fprintf(stderr, "serving %s\n", web_url(l.web));
	l.events = l.took_ns = l.worst_ns = 0;
	go_on(&l, rate, seconds);
	cost = l.events ? (double)l.took_ns / (double)l.events : 0;
	printf("%" PRIu64 " events: %.0f ns each on average to hand over, "
	    "%.1f us at worst\n", l.events, cost, (double)l.worst_ns / 1e3);
	web_close(&l.web);
	return 0;
}
