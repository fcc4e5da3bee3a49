/* config.h - what can be set, each with a working default. */
#ifndef DETECTORS_CONFIG_H
#define DETECTORS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/packet.h"
#include "detectors/finding.h"

/* Every threshold, its default, its unit and why: one list, from which the
 * configuration file's keys, its documentation and the defaults are made. */
#define THRESHOLDS(X)							\
	X(user_notices_s, 8.0, "a request waits this long before anyone calls "	\
	    "it missing: Outlook 2003 and 2007 show their dialog after 8 s") \
	X(baseline_factor, 4.0, "a wait is long when it exceeds this many times " \
	    "the longest wait that the same service ended well")	\
	X(parked_limit_s, 330.0, "a call meant to park is overdue after this: " \
	    "EcDoAsyncWaitEx ends within 5 minutes (MS-OXCRPC 3.3.4.1)") \
	X(retransmit_min, 3.0, "sends of the same byte, never acknowledged, " \
	    "before a flow counts as blackholed")			\
	X(keepalive_min, 3.0, "unanswered probes in a row before they count") \
	X(zero_window_s, 10.0, "a window stays at zero this long before it counts") \
	X(half_close_s, 60.0, "the server owes its FIN this long after the "	\
	    "client's was acknowledged")				\
	X(connect_s, 9.0, "a connection attempt is given up after this: Windows " \
	    "sends SYN at 0, 3 and 9 s")				\
	X(silent_s, 10.0, "a host that is sent to and sends nothing this long " \
	    "is silent")						\
	X(silent_min_peers, 2.0, "peers that must have asked meanwhile")	\
	X(capture_loss_limit, 0.01, "share of bytes missed by the sniffer above " \
	    "which findings that need them are withheld or lose confidence") \
	X(p_value, 0.05, "chance below which the offloaded/host-stack table counts") \
	X(odds_ratio, 8.0, "odds ratio above which that table counts")	\
	X(rss_p_value, 1e-6, "chance below which stalled flows share a queue") \
	X(witness_min, 2.0, "clients or flows that must agree before an incident") \
	X(incident_gap_s, 120.0, "quiet time after which trouble is a new incident") \
	X(doubt_s, 90.0, "live, an incident that no part can be blamed for is told " \
	    "of after this: requests that only take long are answered by then " \
	    "(IIS gives a script 90 s)")				\
	X(leak_min_sessions, 20.0, "sessions held after their client left")	\
	X(leak_hours, 1.0, "time over which they must have grown")	\
	X(checksum_min, 3.0, "segments or datagrams with a wrong sum that were " \
	    "not taken, before the sender's NIC is suspected")		\
	X(checksum_share, 0.005, "and their share of what it sent: below it is " \
	    "the odd bit flip on the way")					\
	X(zero_window_long_s, 30.0, "a window at zero this long at a server is " \
	    "a stall of its application, whatever the load")		\
	X(burst_cycles, 5.0, "bursts lost whole, each followed by a single " \
	    "segment that passed, before segmentation is suspected: random " \
	    "loss of 10 % does that to two-segment bursts once in 10^10")	\
	X(collapse_s, 5.0, "a transfer waits for this long before it is called " \
	    "limited: below, a pause is a pause")			\
	X(collapse_share, 0.7, "share of that time that one kind of wait takes") \
	X(collapse_waits, 20.0, "waits of that kind: a pattern, no accident") \
	X(collapse_timeouts, 5.0, "retransmission timeouts at different bytes: " \
	    "one or two are loss, and a sound sender recovers from more " \
	    "without them")						\
	X(collapse_factor, 10.0, "times slower than the same two hosts were") \
	X(collapse_bytes_s, 50000.0, "or slower than this on a path below 10 ms: " \
	    "field reports of offload faults give 15 to 40 kB/s")	\
	X(stall_share, 0.6, "share of the connections that the card carries "	\
	    "which must be ill before a stall is the card's: what loses its "	\
	    "state loses it for all but those that were idle")		\
	X(host_share, 0.2, "share of the host's own connections that may be ill " \
	    "too: what stack a connection has shows some packets after its "	\
	    "handshake, so a few are counted wrongly")			\
	X(boot_s, 20.0, "no machine that lost power is back sooner: a client " \
	    "heard again before was never gone")				\
	X(reorder_min, 5.0, "segments sent before their turn on a connection, "	\
	    "each asked for by the receiver, before the card is suspected")	\
	X(reorder_share, 0.05, "and the share of segments that they overtook: " \
	    "below, disorder costs a transfer little (RFC 4737)")	\
	X(neighbor_s, 5.0, "a connection keeps to the old next hop this long: " \
	    "gratuitous ARP and the first answer set others right within one")

struct thresholds {
#define X(name, value, text) double name;
	THRESHOLDS(X)
#undef X
};

enum { CONFIG_SERVERS_MAX = 256, CONFIG_NAME_BYTES = 64 };

struct config_server {
	struct address address;
	uint8_t prefix_bits;		/* 128: one address (IPv4 counts from 96) */
	char name[CONFIG_NAME_BYTES];	/* "EX01" */
	char system[CONFIG_NAME_BYTES];	/* one of config_systems, or "": remedies */
};

/* The operating systems for which remedies are known, "windows-2003", "linux"
 * ...; ends with NULL. */
extern const char *const config_systems[];

/* How long what -o keeps is kept; 0: for ever. */
#define KEEPING(X)							\
	X(days, 400.0, "days that findings, incidents and restarts are kept: a " \
	    "year and a month, so that a month can be compared with the same " \
	    "one last year")							\
	X(minute_days, 32.0, "days that what there is a row a minute of is " \
	    "kept: health, response times, timelines")				\
	X(size_mib, 2048.0, "the database is kept below about this; what is " \
	    "oldest goes first, minutes before findings")		\
	X(ring_mib, 256.0, "live, the last frames are kept in so much memory, " \
	    "so that evidence begins before the trouble; offline the page's " \
	    "evidence takes no more")					\
	X(payload_bytes, 128.0, "of each packet so much payload is kept as " \
	    "evidence, beside its headers")				\
	X(evidence_mib, 1024.0, "evidence on disk is kept below this; what is " \
	    "oldest goes first")					\
	X(evidence_days, 92.0, "days that evidence is kept on disk")

struct keeping {
#define X(name, value, text) double name;
	KEEPING(X)
#undef X
};

/* Where events go besides standard output (sink.h). */
enum { SINKS_MAX = 16, SINK_TEXT_BYTES = 512 };

enum sink_type { SINK_LINES, SINK_SYSLOG, SINK_WEBHOOK };

struct sink_config {
	char name[CONFIG_NAME_BYTES];
	enum sink_type type;
	char where[SINK_TEXT_BYTES];	/* a path, "tcp://HOST:PORT", a URL ... */
	char header[SINK_TEXT_BYTES];	/* webhook: one more, or "" */
	char ca[SINK_TEXT_BYTES];	/* webhook: file of trusted authorities */
	enum severity min_severity;	/* of findings and incidents */
	unsigned kinds;			/* set of 1 << enum event_kind */
	double hold_s;			/* webhook: 0 holds nothing down */
	uint8_t facility;		/* syslog */
};

/* The page (web/server.h). Text; "": none. */
#define CONFIG_LISTEN "127.0.0.1:8080"
#define PAGE_SETTINGS(X)						\
	X(listen, CONFIG_LISTEN, "address and port of a live run's page, if -w " \
	    "does not say another; an address that others can reach needs a " \
	    "token")								\
	X(token_file, "", "file whose first line is the token (16 characters or " \
	    "more) that the page asks for; not to be readable by everybody") \
	X(certificate, "", "PEM file with the certificate and those it needs: the " \
	    "page is served by HTTPS")					\
	X(key, "", "PEM file with its key, not encrypted")

enum { CONFIG_PATH_BYTES = 512 };

struct page_settings {
#define X(name, value, text) char name[CONFIG_PATH_BYTES];
	PAGE_SETTINGS(X)
#undef X
};

enum {
	CONFIG_INTERFACES_MAX = 16, CONFIG_FILTER_BYTES = 1024,
	CONFIG_BUFFER_MIB = 128, CONFIG_BUFFER_MIB_MAX = 2047,
	CONFIG_SNAP_BYTES = 262144,
};

/* What holds for a live run from its start to its end. */
struct config_live {
	size_t interface_count;		/* 0: they are named by -i */
	char interface[CONFIG_INTERFACES_MAX][CONFIG_NAME_BYTES];
	char filter[CONFIG_FILTER_BYTES];	/* "": none; -f goes before it */
	unsigned buffer_mib;		/* the kernel's, for each interface */
	uint32_t snap_bytes;		/* of each frame */
	bool promiscuous;
	char user[CONFIG_NAME_BYTES];	/* "": privileges_choose()'s choice */
	bool seccomp;
	bool to_syslog;
};

struct config {
	struct thresholds limit;
	struct keeping keep;		/* section "keep" */
	struct config_live live;	/* section "live" */
	struct page_settings page;	/* section "web" */
	size_t server_count;		/* 0: whoever accepts connections */
	struct config_server server[CONFIG_SERVERS_MAX];
	size_t sink_count;
	struct sink_config sink[SINKS_MAX];
};

void config_default(struct config *);
/* Read a file over the defaults. 0, or -1 with "file:line: what" in `err`. */
int config_read(struct config *, const char *path, char *err, size_t errsize);
/* The server entry that covers an address, or NULL. */
const struct config_server *config_server_of(const struct config *,
    const struct address *);

#endif
