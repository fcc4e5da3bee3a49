/* fuzz_talk.h - a conversation from fuzz input, for one parser: records of
 * three bytes, how and a length, with so many bytes behind them.
 *
 * how: bit 0 the server speaks, 1 the sniffer missed it, 2 it comes again with
 * another beginning, 3 on the other connection, 4 the snap length cut as much
 * again, 5 the other side acknowledges. */
#ifndef TESTS_FUZZ_TALK_H
#define TESTS_FUZZ_TALK_H

#include "tests/stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

enum talk_how { TALK_SERVER = 1, TALK_MISSED = 2, TALK_AGAIN = 4,
	TALK_OTHER = 8, TALK_CUT = 16, TALK_ACK = 32 };

struct talk {
	struct stage *stage;
	struct flow *flow[2];
	uint32_t next[2][2];	/* of each flow */
	int now;		/* which flow */
};

static inline void
talk_turn(struct talk *t, int which)
{
	memcpy(t->next[t->now], t->stage->next, sizeof(t->stage->next));
	t->now = which;
	t->stage->flow = t->flow[which];
	memcpy(t->stage->next, t->next[which], sizeof(t->stage->next));
}

/* Whatever came in, these hold. */
static inline void
talk_check(const struct talk *t)
{
	struct stream_stats s;
	unsigned waiting = 0;

	for (const struct exchange *x = t->stage->flow->waiting; x; x = x->next)
		waiting++;
	stream_pool_stats(t->stage->streams, &s);
	if (waiting != t->stage->flow->waiting_count ||
	    waiting > EXCHANGES_PER_FLOW || s.buffered_peak > (size_t)1 << 18)
		abort();
}

static inline void
talk_say(struct talk *t, unsigned how, struct bytes said)
{
	struct stage *s = t->stage;
	enum side side = how & TALK_SERVER ? SERVER : CLIENT;
	uint32_t n = (uint32_t)said.left, wire = n, from = s->next[side];
	uint8_t *exact;

	if (how & TALK_MISSED) {
		stage_miss(s, side, n);
		return;
	}
	if (how & TALK_CUT)
		wire = 2 * n;
	if (how & TALK_AGAIN)
		from += n % 2 ? 0 - n : n;
	else
		s->next[side] += wire;
	exact = malloc(n ? n : 1);
	if (!exact)
		abort();
	if (n)
		memcpy(exact, said.at, n);
	stage_segment(s, side, from - s->start[side], exact, n, wire);
	free(exact);
	if (how & TALK_ACK)
		stage_miss(s, side, 0);
}

/* The input's first byte: bit 0, the flow is met in its middle. */
static inline int
talk_run(const uint8_t *at, size_t n, uint16_t port)
{
	/* One pool for all inputs: its block for thousands of flows is what
	 * AddressSanitizer needs a millisecond for. */
	static struct flow_pool *pool;
	struct bytes b = bytes_of(at, n);
	struct talk t = { .now = 1 };
	bool midstream = bytes_u8(&b) & 1;

	if (!pool)
		pool = flow_pool_new();
	t.stage = stage_new_on(pool, port, 1 << 18);
	t.flow[0] = t.stage->flow;
	memcpy(t.next[0], t.stage->next, sizeof(t.next[0]));
	stage_flow(t.stage, port);
	t.flow[1] = t.stage->flow;
	memcpy(t.next[1], t.stage->next, sizeof(t.next[1]));
	for (int i = 0; midstream && i < 2; i++) {
		t.flow[i]->app_flags = FLOW_MIDSTREAM;
		t.flow[i]->half[CLIENT].flags = HALF_SEEN;
		t.flow[i]->half[SERVER].flags = HALF_SEEN;
	}
	while (b.left) {
		unsigned how = bytes_u8(&b), length = bytes_le16(&b);

		talk_turn(&t, how & TALK_OTHER ? 1 : 0);
		talk_say(&t, how, bytes_sub_at_most(&b, length));
		talk_check(&t);
	}
	stage_end_flow(t.stage, t.flow[!t.now]);
	stage_leave_pool(t.stage);
	return 0;
}

#endif
