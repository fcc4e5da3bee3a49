/* detector.h - the contract between a detector and the rest.
 *
 * A detector is one file that ends in a `const struct detector` and one line
 * in registry.c. It sees flows in two phases. In the packet phase (on_segment,
 * on_packet, on_delivery, on_app) it may only take notes: flow_note() on a flow,
 * or its own state; it must be quick and must not judge. In the step phase (review_*, once
 * a second of trace time, and at the end) it may look at all that is known of
 * the flow, the server and the capture, and raise findings. All callbacks are
 * optional. A review is called again and again for the same flow, so it raises
 * through finding_raise, which finds the finding again by its subject.
 *
 * What the sniffer missed or doubled is settled before: copies are gone, and
 * judge_trusts() says whether losses or a missing direction forbid a judgement
 * that rests on what was *not* seen. */
#ifndef DETECTORS_DETECTOR_H
#define DETECTORS_DETECTOR_H

#include "capture/app.h"
#include "capture/engine.h"
#include "capture/flow.h"
#include "capture/tcp.h"
#include "detectors/config.h"
#include "detectors/finding.h"
#include "detectors/server.h"

/* What a detector judges with. Step phase only. */
struct judge {
	struct instant now;		/* end of this step */
	bool finishing;			/* the capture is over: nothing more comes */
	bool settled;			/* see judge_settled */
	const struct config *config;
	const struct thresholds *limit;	/* &config->limit */
	struct engine *engine;
	const struct capture_stats *capture;
	struct server *servers;		/* all, by next */
	struct registry *registry;
};

/* What of a segment may make it worth a detector's while, beside the facts of
 * tcp.h (lower bits). Most segments are ordinary, so that most detectors need
 * not be called for them. */
enum cue {
	CUE_PAYLOAD = 1 << 25,
	CUE_FLYING = 1 << 26,		/* payload, with more of it in flight */
	CUE_BULK = 1 << 27,		/* payload, its side has sent BULK_BYTES */
	CUE_SACKS = 1 << 28,		/* selective acknowledgments */
	CUE_BAD_SUM = 1 << 29,		/* any checksum that is wrong */
};
enum odd_cue {
	ODD_WINDOW = 1 << 0,		/* another window than its last */
	ODD_FLIP = 1 << 1,		/* an IP ID from the other half */
	ODD_STAMPS = 1 << 2,		/* timestamps were negotiated */
	ODD_SIZE = 1 << 3,		/* larger than the peer's MSS, or an
					 * Ethernet frame's */
	ODD_HOP = 1 << 4,		/* the server's, to another MAC than the
					 * client's packets come from */
	ODD_CLOSED = 1 << 5,		/* the client's FIN is acknowledged */
};
enum { BULK_BYTES = 16384 };

/* What of a flow may make it worth a review. */
enum matter {
	MATTER_NOTES = 1,
	MATTER_WAITING = 2,		/* an exchange is open */
	MATTER_SPEECHLESS = 4,		/* connected, and nobody has sent data */
	MATTER_CONNECT = 8,		/* a SYN sent again and not answered, a
					 * SYN-ACK sent again, or connected and
					 * not yet FLOW_COUNTED_MADE */
	MATTER_HIGH_IDS = 16,		/* the server's IP IDs were high */
	MATTER_PPTP = 32,
	MATTER_HALF_ANSWER = 64,	/* the server owes the rest of a PDU */
	MATTER_GATEWAY = 128,		/* the client's SYN was seen, and it has not
					 * got MARK_CROSSED */
	MATTER_LATE = 256,		/* it was answered late */
};

/* A flow of which a detector remembers more than notes hold (memo.h): only for
 * flows with its mark need it be called, or look. Who drops the last of it may
 * take the mark back. */
enum flow_mark {
	/* << the side that sends; of holes: that asks */
	MARK_BURST = 1, MARK_TRANSFER = 4, MARK_CHECKSUM = 16,
	MARK_OVERSIZE = 64, MARK_HOLE = 256,

	MARK_HANDOVER = 1024, MARK_MISSING = 2048, MARK_ORDER = 4096,
	MARK_CROSSED = 8192,		/* its gateway was looked for */
	MARK_PACE = 32768,		/* of a transfer there is more to say than
					 * that it goes on */

	/* of both sides */
	MARK_BURSTS = MARK_BURST << CLIENT | MARK_BURST << SERVER,
	MARK_TRANSFERS = MARK_TRANSFER << CLIENT | MARK_TRANSFER << SERVER,
	MARK_CHECKSUMS = MARK_CHECKSUM << CLIENT | MARK_CHECKSUM << SERVER,
	MARK_OVERSIZES = MARK_OVERSIZE << CLIENT | MARK_OVERSIZE << SERVER,
	MARK_HOLES = MARK_HOLE << CLIENT | MARK_HOLE << SERVER,
};

/* What of a server may make it worth a review. */
enum server_matter {
	SERVER_FOUND = 1,		/* the detector has a finding about it */
	SERVER_REMEMBERED = 2,		/* ... and remembers something of it
					 * (server_remember) */
	SERVER_WAS_OUT = 4,		/* it had an outage */
	SERVER_MAY_BE_MUTE = 8,		/* server_may_be_mute */
	SERVER_EACH_MINUTE = 16,	/* not reviewed yet in this minute, or
					 * judge.finishing */
};

/* What stands for a detector's own notes (detector_note) in struct detector. */
#define OWN_NOTE(name) NOTE_BIT(NOTE_DETECTOR + FINDING_##name)

struct detector {
	enum finding_name finding;	/* what it raises (its own name only) */
	/* for --explain, the man page and the web page; whole sentences */
	const char *meaning;		/* what it means */
	const char *decided;		/* how it is decided, with the figures */
	const char *mimics;		/* what can look like it, how ruled out */
	const char *source;		/* RFC, KB article, publication */
	const char *const *kinds;	/* NULL-ended, or NULL */

	/* packet phase. `state` is what `new` gave. on_segment is called for
	 * segments with any of `facts` (enum segment_fact and cue) or `odd` (enum
	 * odd_cue), and for all of flows with `mark` or any of `noted` (as
	 * `notes`); where all of them are 0, for each */
	unsigned facts, odd, mark, noted;
	void (*on_segment)(void *state, struct flow_pool *, struct flow *,
	    const struct segment *);
	void (*on_packet)(void *state, const struct packet *); /* non-TCP only */
	/* its upper layers' part (ulp.h), maybe in another thread at the same time,
	 * so that it shares nothing with the calls above: on_delivery is called for
	 * TCP segments with any of `delivered` (enum segment_fact), on_app for
	 * events of these types (1 << enum app_event_type) */
	unsigned delivered;
	void (*on_delivery)(void *state, const struct delivery *);
	unsigned events;
	void (*on_app)(void *state, const struct app_event *);

	/* step phase. review_flow is called for flows with any of `matters` (enum
	 * matter) or of `notes` (NOTE_BIT, OWN_NOTE), and those with `mark`. Now
	 * and then for others, too. */
	unsigned matters, notes;
	/* optional: a number in the state. While it is not 0, review_flow is
	 * called for each flow */
	const size_t *(*awake)(const void *state);
	void (*review_flow)(void *state, struct judge *, struct server *,
	    struct flow *);		/* touched, woken or ended in this step */
	/* review_server is called each step, for servers with any of `servers`
	 * (enum server_matter); where it is 0, for each. It may say that it has
	 * no more to say: judge_settled */
	unsigned servers;
	void (*review_server)(void *state, struct judge *, struct server *);
	void (*review_capture)(void *state, struct judge *); /* each step */
	void (*finish)(void *state, struct judge *);	/* once, last */

	void *(*new)(void);		/* one state for the run; NULL: no memory */
	void (*free)(void *state);
	void (*release)(void *server_state);	/* server->detector_state[finding] */
};

/* The finding of this detector with this subject: made if new (severity,
 * confidence, side and text are then for the caller to fill in; count 0), else
 * the same one again, marked changed. `flow` or `service_port` may be NULL / 0:
 * the subject is then the service or the server; `server` NULL: the capture.
 * Never NULL: beyond the limit (10,000 a name and server), and of any server
 * while the capture is no true record (bytes damaged, order or stamps wrong), a
 * scrap record is handed out that is counted and not reported. */
struct finding *finding_raise(struct judge *, const struct detector *,
    const char *kind, struct server *, const struct flow *,
    uint16_t service_port);
/* The same of a condition that comes and goes: what ended before `begin` was
 * another time, and stays as it was. */
struct finding *finding_raise_episode(struct judge *, const struct detector *,
    const char *kind, struct server *, uint16_t service_port,
    struct instant begin);
/* What a server did so long ago (in seconds) is not judged again. */
enum { EPISODE_S = 3600 };
/* The same, if it is there already. */
struct finding *finding_lookup(struct judge *, const struct detector *,
    const char *kind, const struct server *, const struct flow *,
    uint16_t service_port);
/* Explained away by later packets. */
void finding_retract(struct finding *);
/* Copy a note's frames, times and count into a finding. */
void finding_from_note(struct finding *, const struct note *);

/* The flow fares ill since `since`: kept in its outcome, for the tables. */
void flow_afflicted(struct flow *, enum finding_name, struct instant since);

/* It proved to be well: that finding was retracted. */
void flow_cleared(struct flow *, enum finding_name);

enum trust {
	TRUST_LOSS = 1,		/* it rests on packets that were not seen at all */
	TRUST_BOTH_WAYS = 2,	/* it needs both directions of this flow / server */
};
/* 0..1: how far this capture may be trusted for such a judgement on this flow
 * (or server, flow NULL). 0: withhold it. Multiply it into the confidence. */
double judge_trusts(const struct judge *, const struct server *,
    const struct flow *, unsigned needs);

/* The same where the absence of one thing was looked for `times` times, at
 * different moments: a capture that loses one frame in a hundred has not lost
 * each of those. Instead of judge_trusts(TRUST_LOSS and `needs`). */
double judge_trusts_repeated(const struct judge *, const struct server *,
    const struct flow *, unsigned times, unsigned needs);

/* In a review_server: this detector would find the same again however much time
 * goes by, and touch nothing, unless something happens: a packet from or to this
 * server, a flow of its touched, a finding about it raised, changed or looked up,
 * something remembered of it. It is not called for the server again until then, or
 * until the capture is over; without a word, it is called each time. */
static inline void
judge_settled(struct judge *j)
{
	j->settled = true;
}

/* Have the flow reviewed again at `at`, though it stays silent. */
static inline void
judge_wake(struct judge *j, struct flow *f, struct instant at)
{
	engine_wake(j->engine, f, at);
}

/* Was an answer, asked for at `asked`, waited for as long as `patience_s`, with
 * the host seen since? If not yet, the flow is reviewed again when it may be. */
bool judge_overdue(struct judge *, const struct server *, struct flow *,
    struct instant asked, double waited_s, double patience_s);

/* Is this note's slot a detector's own? ids for flow_note(): */
static inline unsigned
detector_note(enum finding_name name)
{
	return NOTE_DETECTOR + (unsigned)name;
}

/* Did the host send anything at all in [from, to]? */
bool server_sent(const struct server *, struct instant from, struct instant to);
/* Did the host do anything for others than this flow in [from, to], `to` being
 * the present: data or acknowledgments on other connections, ARP, echo, UDP? */
bool server_answered_others(const struct server *, const struct flow *but,
    struct instant from, struct instant to);

#endif
