/* app.h - application protocols as far as request and answer go.
 *
 * A parser is fed joined stream bytes (TCP), never segments: where a segment
 * begins means nothing once NICs cut and glue. It opens an exchange when a
 * request is whole and closes it when its answer is whole or begins, and says
 * no more: whether a wait is too long is for the detectors. */
#ifndef CAPTURE_APP_H
#define CAPTURE_APP_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/bytes.h"
#include "capture/flow.h"

#define APP_PROTOCOLS(X)						\
	X(UNKNOWN,	"unknown")	X(DCERPC,	"dcerpc")	\
	X(SMB,		"smb")		X(RPC_HTTP,	"rpc-http")	\
	X(HTTP,		"http")		X(TLS,		"tls")		\
	X(RDP,		"rdp")		X(FTP,		"ftp")		\
	X(FTP_DATA,	"ftp-data")	X(SMTP,		"smtp")		\
	X(IMAP,		"imap")		X(POP3,		"pop3")		\
	X(PPTP,		"pptp")		X(LDAP,		"ldap")		\
	X(KERBEROS,	"krb5")		X(DNS,		"dns")		\
	X(DHCP,		"dhcp")		X(NTP,		"ntp")		\
	X(NETBIOS,	"netbios")	X(TDS,		"tds")		\
	X(SSH,		"ssh")		X(OTHER,	"other")

enum app_protocol {
#define X(id, name) APP_##id,
	APP_PROTOCOLS(X)
#undef X
	APP_PROTOCOL_COUNT
};

const char *app_protocol_name(enum app_protocol);

/* What a request asks, packed: protocol << 24 | interface << 16 | operation.
 * For DCE/RPC the interface is an index into the table of known interfaces
 * (0: not known), the operation the opnum. */
static inline uint32_t
app_label(enum app_protocol protocol, unsigned interface, unsigned operation)
{
	return (uint32_t)protocol << 24 | (interface & 0xff) << 16 |
	    (operation & 0xffff);
}
enum { APP_LABEL_TEXT_BYTES = 80 };
/* "EMSMDB EcDoRpcExt2", "smb NEGOTIATE", "krb5 AS-REQ" ... Returns `out`. */
const char *app_label_text(uint32_t label, char out[APP_LABEL_TEXT_BYTES]);

struct app_shared;		/* what flows of one engine share, see below */

/* What TCP knew of one side when the packet came; by now it may know more (ulp.h). */
struct app_half {
	uint32_t isn, acked;	/* as in struct tcp_half */
	uint16_t flags;		/* enum half_flag */
};

static inline struct app_half
app_half_of(const struct tcp_half *h)
{
	return (struct app_half){ h->isn, h->acked, h->flags };
}

/* Where the bytes just handed over came from, and how to speak. */
struct app_context {
	struct flow_pool *pool;
	struct flow *flow;
	const struct app_half *half;	/* TCP: of both its sides */
	uint32_t packets;		/* of both its sides, so far */
	struct app_shared *shared;	/* may be NULL: nothing is paired up */
	struct instant now;
	uint64_t frame;		/* that completed these bytes */
	struct instant began;	/* the first of these bytes came; set by stream.c */
	uint64_t first_frame;	/* with this frame; likewise */
	uint32_t end_seq;	/* sequence number after them (TCP). A parser that
				 * finds several PDUs in them may set it to the end
				 * of each before it opens an exchange. */
	enum side side;		/* who sent them */
	bool cut;		/* with a gap: the bytes were there, the capture
				 * kept too few of them */
	struct app_report *report;
};

/* The sequence number after the first `used` of the bytes `shown` to feed. */
static inline uint32_t
app_seq_after(uint32_t end_seq, struct bytes shown, size_t used)
{
	return end_seq - (uint32_t)(shown.left - used);
}

/* What a parser tells besides exchanges. The engine hands these to the
 * detectors' on_app. */
enum app_event_type {
	APP_REQUEST,		/* exchange opened */
	APP_RESPONSE,		/* exchange answered: took_ns, ok or fault */
	APP_NOTE,		/* something else worth knowing; see `what` */
	APP_EVENT_TYPES
};

enum app_note {			/* meaning of app_event.what for APP_NOTE */
	APP_NOTE_NONE,
	APP_NOTE_EPM_TOWER,	/* endpoint mapper: host `address`, `port` serves
				 * interface `value` */
	APP_NOTE_RPC_BIND,	/* value: interface index */
	APP_NOTE_RPC_BIND_NAK,
	APP_NOTE_RPC_CANCEL,	/* client cancelled (co_cancel) or orphaned a call */
	APP_NOTE_PUSH_REGISTERED, /* EcRRegisterPushNotification; address, port */
	APP_NOTE_FTP_PORT,	/* client will listen at address:port (active) */
	APP_NOTE_FTP_PASV,	/* server listens at address:port (passive) */
	APP_NOTE_FTP_TRANSFER,	/* a transfer command; value: enum ftp_verb */
	APP_NOTE_FTP_REPLY,	/* value: three-digit code; label: of the command
				 * (or the transfer) that it answers */
	APP_NOTE_PPTP_CALL,	/* call connected; value: call ids (app_pptp.h) */
	APP_NOTE_PPTP_ECHO,	/* echo reply seen */
	APP_NOTE_PPTP_GRE,	/* GRE packet of a call, flow-less (app_pptp.h) */
	APP_NOTE_DHCP_REQUEST,	/* flow-less; label: message type; key: xid; value: */
	APP_NOTE_DHCP_REPLY,	/* client's MAC; peer, address: see app_dhcp.h */
	APP_NOTE_TLS_HELLO,
	APP_NOTE_RPC_MORE,	/* a further fragment of an answer that was told
				 * already: only for its rpc_time_ns */
	APP_NOTE_SMB_BREAK,	/* server breaks an oplock or lease */
};

struct app_event {
	enum app_event_type type;
	enum app_note what;
	struct flow *flow;	/* NULL: none (DHCP broadcast, GRE) */
	enum side side;		/* who sent it */
	struct instant time;
	uint64_t frame;
	uint32_t label;
	uint16_t exchange_flags;
	uint64_t key;
	bool fault;		/* RESPONSE: fault, error status */
	int64_t took_ns;	/* RESPONSE: since the request's last byte */
	bool has_rpc_time;	/* a DCE/RPC response or fault fragment ended in
				 * this frame: how long after the frame in which
				 * the request's first fragment was whole (that
				 * is Wireshark's dcerpc.time) */
	int64_t rpc_time_ns;
	struct instant asked;	/* RESPONSE */
	uint64_t asked_frame;
	uint64_t value;
	struct address address, peer;	/* peer: of flow-less events, who was
				 * addressed; address: who spoke */
	uint16_t port;
	const struct packet *packet;
};

struct app_report {
	void (*event)(void *context, const struct app_event *);
	void *context;
};

static inline void
app_tell(const struct app_context *c, const struct app_event *e)
{
	c->report->event(c->report->context, e);
}

enum app_verdict {
	APP_NEED_MORE,		/* this may be mine; show me more of it */
	APP_NOT_MINE,
	APP_MINE,
};

/* One application protocol over TCP. */
struct app_parser {
	const char *name;		/* required */
	enum app_protocol protocol;
	/* required: do the first bytes of a side look like this protocol? Called
	 * with what is joined of that side so far (at most APP_PROBE_BYTES).
	 * Must not depend on ports alone; may use them to break a tie. */
	enum app_verdict (*probe)(const struct flow *, enum side, struct bytes);
	/* required: joined bytes of one side from where the last call left off.
	 * Returns how many were used; the rest is shown again with more behind
	 * it. To see no more than the next `n` bytes skipped, return more than
	 * it was given (large bodies are then never buffered); it is called
	 * again as soon as they are past, be it with no bytes behind them.
	 * APP_LOST: this side has lost step (the next PDU is looked for with
	 * `resync`, or joining stops). APP_STOP: its work on this flow is done;
	 * the name stays. */
	size_t (*feed)(struct app_context *, struct bytes);
	/* optional: `n` bytes of c->side were missed after the ones `held`, which
	 * feed has not used yet. True: it knows how far the PDU goes and can do
	 * without them; both count as used. */
	bool (*skip_gap)(struct app_context *, struct bytes held, uint32_t n);
	/* optional: bytes of c->side were missed and it has lost step (`n`, 0 =
	 * unknown): forget the PDU in hand. Exchanges that c->side might have
	 * answered meanwhile are dropped already. */
	void (*gap)(struct app_context *, uint32_t n);
	/* optional: the next `n` bytes of c->side were acknowledged and have not
	 * been seen; they may still come, late. True: they lie within a PDU whose
	 * rest does not matter. Else the exchanges on c->flow that they may have
	 * answered are dropped. */
	bool (*missed)(struct app_context *, uint32_t n);
	/* optional: where a PDU may begin in these bytes after a gap, or in the
	 * middle of a flow: offset, or APP_LOST for nowhere. Without it parsing
	 * stops at a gap. */
	size_t (*resync)(const struct flow *, enum side, struct bytes);
	/* with `resync`: how many bytes at the end of those without a PDU are
	 * shown to it again, with more behind them; 0: then it can tell from
	 * offset 0 that a segment begins there. */
	uint8_t resync_keeps;
	/* optional: the name of an operation for app_label_text, or NULL. */
	const char *(*operation)(unsigned interface, unsigned operation);
	/* optional: free flow->app_state. */
	void (*release)(struct flow *);
	bool holds_flow;	/* while it has a state: see app_holds */
	bool names_only;	/* it opens no exchanges: turns go on being kept */
	/* its probe says APP_NOT_MINE of all text, that is of APP_TEXT_BYTES and
	 * more of which the first is a capital letter: it is not asked */
	bool binary;
};

enum { APP_PROBE_BYTES = 512, APP_BUFFER_BYTES = 65536 + 512, APP_TEXT_BYTES = 16 };
#define APP_LOST ((size_t)-1)
#define APP_STOP ((size_t)-2)

/* Datagrams have no streams: a UDP parser sees each packet. */
struct app_datagram_parser {
	const char *name;
	enum app_protocol protocol;
	/* Is this packet mine? (ports and content) */
	bool (*probe)(const struct packet *);
	void (*packet)(struct app_context *, const struct packet *);
	const char *(*operation)(unsigned interface, unsigned operation);
				/* optional, as above */
};

/* May the first bytes shown of this flow lie in the middle of a PDU? */
static inline bool
app_begins_inside(const struct flow *f)
{
	return f->app_flags & (FLOW_MIDSTREAM | FLOW_APP_INSIDE);
}

/* The tables, in the order of asking (app.c). NULL ends them. */
extern const struct app_parser *const app_parsers[];
extern const struct app_datagram_parser *const app_datagram_parsers[];

/* What the flows of one engine share: RPC over HTTP pairs two connections.
 * Freed after the last flow was released. */
struct app_shared *app_shared_new(void);	/* NULL: no memory */
void app_shared_free(struct app_shared **);

/* stream.c's door. Joined bytes of c->side that no parser has used yet; returns
 * how many are done with (more than given: so many are not needed), or
 * APP_STOP when no more of this flow is wanted. While the protocol is not
 * known this may name it; then `*named` is set and nothing was used yet (the
 * other side's waiting bytes come first). */
size_t app_stream_bytes(struct app_context *, struct bytes, bool *named);
/* `n` bytes after the ones `held` (shown, not used) were missed. False:
 * joining is to stop. */
bool app_stream_gap(struct app_context *, struct bytes held, uint32_t n);
/* The other side acknowledged the next `n` bytes of c->side, which were not seen
 * (yet). */
void app_stream_missed(struct app_context *, uint32_t n);

/* Engine's door. Datagrams, GRE included. */
bool app_wants(const struct flow *, enum side);	/* is joining worth it? */
/* Does a parser open and close this flow's exchanges? Else tcp.c keeps one per
 * turn. */
bool app_follows(const struct flow *);
void app_datagram(struct app_context *, const struct packet *);
/* Is its address kept where others find it? Then it cannot move. */
bool app_holds(const struct flow *);
void app_release(struct flow *);

/* Helpers for parsers: open and close with events told. A response without an
 * open exchange tells nothing and returns -1; else how long it took (ns).
 * A key that is open already is given up for the new one. With
 * EXCHANGE_PARTIAL nothing is told before app_request_whole. */
struct exchange *app_request(struct app_context *, uint64_t key, uint32_t label,
    unsigned flags, struct instant began, uint64_t first_frame, uint32_t bytes);
int64_t app_response(struct app_context *, uint64_t key, bool fault);
/* More of a partial request came: `missing` bytes are still to come. */
void app_request_grows(struct app_context *, struct exchange *,
    uint32_t bytes, uint32_t missing);
void app_request_whole(struct app_context *, struct exchange *);
/* As app_response, with the flow the request was made on (RPC over HTTP), and
 * with `more` copied into the event: has_rpc_time, rpc_time_ns. */
int64_t app_response_on(struct app_context *, struct flow *asked_on,
    uint64_t key, bool fault, const struct app_event *more);
/* Drop the exchanges `side` asked on `f`: whether they were answered will not
 * be known. */
void app_forget(struct app_context *, struct flow *f, enum side side);

#endif
