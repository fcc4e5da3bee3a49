/* engine.h - one packet through everything: decode, copies out, defragment,
 * flow, TCP, stream, application; then whoever observes.
 *
 * Two phases alternate. In the packet phase packets update flows and hosts and
 * the observer's on_segment and on_app may take notes. Each second of trace
 * time the step phase begins: the observer may look at everything that was
 * touched (flows and hosts, in the order of their first frames) and judge. Time
 * comes from the packets alone; an idle tick moves it when there are none. */
#ifndef CAPTURE_ENGINE_H
#define CAPTURE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "capture/app.h"
#include "capture/delivery.h"
#include "capture/flow.h"
#include "capture/host.h"
#include "capture/intake.h"
#include "capture/packet.h"
#include "capture/source.h"
#include "capture/tcp.h"

#define ENGINE_STEP_NS NS_PER_S

struct engine;

struct engine_config {
	size_t flow_limit;		/* 0: 1,000,000 */
	size_t awake_flows;		/* 0: 32,768: where there are more, those
					 * that say nothing are laid to rest
					 * (flow.h) */
	size_t host_limit;		/* 0: 65,536 */
	size_t stream_bytes;		/* 0: 64 MiB for joining */
	size_t fragment_bytes;		/* 0: 4 MiB */
	bool name_with_ndpi;
	bool all_ends;			/* the observer wants each flow that ends
				 * among the touched ones, and none of them
				 * by on_forgotten */
	bool (*is_server)(void *context, const struct address *, uint16_t port);
	void *context;			/* for is_server; both may be NULL */
};

/* The `capture` record of the contract, and more. */
struct capture_stats {
	uint64_t packets, bytes;	/* frames read, bytes on the wire */
	uint64_t duplicates, truncated, non_ip, decode_errors, time_regressions;
	uint64_t decode[DECODE_RESULT_COUNT];
	uint64_t tcp_packets, udp_packets, fragments;
	uint64_t coalesced;		/* frames that GRO, LRO or TSO put together */
	uint64_t acked_bytes;		/* TCP bytes that receivers acknowledged */
	uint64_t lost_bytes;		/* of those, never seen by us */
	uint64_t lost_events;
	uint64_t dropped;		/* frames that were on the wire and that
					 * the sniffer knows it dropped; live */
	/* what cannot be, and so is this capture's: IPv4 headers with a wrong
	 * sum; data first seen long after it was acknowledged; stamps long
	 * before the last one */
	uint64_t damaged, disordered, misdated;
	bool blind;			/* an interface shows nothing now; live */
	uint64_t flows_two_way, flows_one_way;	/* established, with data */
	struct instant first, last;	/* packet time, lowest and highest */
	struct instant resumed;		/* first packet after the last break: more
					 * than a day without a single frame; 0:
					 * none. What was open then has ended */
	int link_type;			/* of the first frame; -1 none */
	bool mixed_link_types;
	int64_t worst_regression_ns;
	uint64_t first_duplicate_frame, first_lost_frame, first_coalesced_frame;
	uint64_t snap_cut;		/* packets cut by the snap length */
	uint32_t file;			/* of the newest frame */
};
double capture_dropped_share(const struct capture_stats *);	/* 0..1 */
double capture_lost_share(const struct capture_stats *);	/* 0..1 */
/* How many of all packets show, by the worst of these, that the capture is not a
 * record of what was on the wire. */
uint64_t capture_unsound_packets(const struct capture_stats *);
double capture_one_way_share(const struct capture_stats *);	/* 0..1 */

/* All optional. Pointers are valid during the call; flows and hosts stay until
 * on_flow_end of theirs / the end. */
struct engine_observer {
	void *context;
	/* packet phase */
	void (*on_packet)(void *, const struct packet *);	/* every decoded
				 * packet, copies left out, TCP included */
	void (*on_segment)(void *, struct flow *, const struct segment *);
	/* the upper layers' part of it (ulp.h), maybe in another thread: each TCP
	 * segment before its bytes are looked at, and how long what it answers
	 * was waited for, as far as turns tell (ns; 0: it answers nothing); and
	 * what the parsers tell. Of the flow they see what never changes and the
	 * fields that are the upper layers', and touch nothing that the other
	 * calls do */
	void (*on_delivery)(void *, const struct delivery *, int64_t answered_ns);
	void (*on_app)(void *, const struct app_event *);
	/* only for --packets: each TCP packet, copies included, before on_segment */
	void (*on_raw_tcp)(void *, const struct packet *, uint64_t flow_id,
	    bool is_copy);
	/* step phase */
	void (*on_step)(void *, struct engine *, struct instant now);
	/* step phase, before on_step: the flow is leaving (see flow->end) */
	void (*on_flow_end)(void *, struct flow *);
	/* either phase: it leaves without having been more than a SYN, answered
	 * once or never, and no step has it; in a flood there are millions */
	void (*on_forgotten)(void *, const struct flow *);
};

struct engine *engine_new(const struct engine_config *,
    const struct engine_observer *);	/* NULL if out of memory */
void engine_free(struct engine **);

/* Frames of a source, made ready by the engine's intake, in order (workers.h). */
struct intake *engine_intake(struct engine *);
void engine_batch(struct engine *, struct batch *);

/* Have engine_batch leave the upper layers' part of batches that keep their frames
 * to engine_deliver, which may be called by another thread: batch after batch, one
 * thread at a time. `catch_up` is called by the engine's own thread, before a step
 * for one: when it returns, engine_deliver has been called for each batch that
 * engine_batch was, be it done or not. */
struct engine_deferral {
	void (*catch_up)(void *context);
	void *context;
};
/* NULL: defer nothing any more. False: what is observed forbids it. */
bool engine_defer(struct engine *, const struct engine_deferral *);
void engine_deliver(struct engine *, struct batch *);

/* The same, all in one. */
void engine_frame(struct engine *, const struct frame *);
void engine_frames(struct engine *, const struct frame *, size_t count);
void engine_idle(struct engine *, struct instant now);
/* The sniffer saw nothing, or one interface of several, for a while that ends or
 * begins by `now`: what is open ends as FLOW_END_CAPTURE, as at a break. */
void engine_break(struct engine *, struct instant now);
/* What the source knows that was not seen: how many frames were dropped so far,
 * and whether an interface shows nothing now (engine_stats). */
void engine_note_missed(struct engine *, uint64_t dropped, bool blind);
/* End of capture: last step, then every flow ended as FLOW_END_CAPTURE, and a
 * step for them, or several where there are many. */
void engine_finish(struct engine *);

/* Step phase: what was touched in this step, in the order of first frames. */
struct flow *const *engine_touched_flows(struct engine *, size_t *count);
struct host *const *engine_touched_hosts(struct engine *, size_t *count);
struct host_table *engine_hosts(struct engine *);
struct flow_pool *engine_pool(struct engine *);
/* Have the flow among the touched of the step at `at` (or the first after),
 * though it stays silent. One wake a flow: the earliest asked for. */
void engine_wake(struct engine *, struct flow *, struct instant at);
void engine_touch(struct engine *, struct flow *);

/* The name of the flow's protocol: a parser's, else nDPI's, else "unknown". */
const char *engine_app_name(const struct engine *, const struct flow *);

const struct capture_stats *engine_stats(const struct engine *);
void engine_flow_stats(const struct engine *, struct flow_stats *);

#endif
