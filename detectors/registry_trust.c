/* registry_trust.c - how far the capture may be trusted.
 *
 * What a judgement rests on may be what was not seen; and a capture may have
 * missed it. The hard part is time: a minute in which much was dropped spoils
 * what was judged in it, and must neither be lost in the sum of a month nor
 * spoil the month. */
#include <math.h>

#include "detectors/registry_internal.h"

/* A minute in which much was dropped would not show in the sum of a month. */
void
registry_tally_minute(struct registry *r)
{
	const struct capture_stats *c = r->judge.capture;

	if (instant_since(r->now, r->minute[0].at) < 60 * NS_PER_S)
		return;
	r->minute[1] = r->minute[0];
	r->minute[0] = (struct tally){ r->now, c->packets, c->dropped,
		capture_unsound_packets(c) };
}

/* Share of all frames that was dropped here, in all or of late. */
static double
dropped_share(const struct judge *j)
{
	const struct capture_stats *c = j->capture;
	const struct tally *since = &j->registry->minute[1];
	uint64_t dropped = c->dropped - since->dropped;
	uint64_t all = c->packets - since->packets + dropped;
	double late = dropped ? (double)dropped / (double)all : 0;

	return late > capture_dropped_share(c) ? late :
	    capture_dropped_share(c);
}

/* A handful proves nothing. */
enum { UNSOUND_MIN = 10 };

bool
registry_is_unsound(const struct registry *r)
{
	const struct capture_stats *c = r->judge.capture;
	const struct tally *since = &r->minute[1];
	uint64_t unsound = capture_unsound_packets(c);
	uint64_t late = unsound - since->unsound;
	double limit = r->judge.limit->capture_loss_limit;

	return (unsound >= UNSOUND_MIN &&
	    (double)unsound > limit * (double)c->packets) ||
	    (late >= UNSOUND_MIN &&
	    (double)late > limit * (double)(c->packets - since->packets));
}

bool
judge_overdue(struct judge *j, const struct server *s, struct flow *f,
    struct instant asked, double waited_s, double patience_s)
{
	bool long_enough = waited_s >= patience_s;
	struct instant again;

	if (long_enough && server_seen_after(s, asked, patience_s))
		return true;
	again = instant_plus(long_enough ? j->now : asked,
	    (int64_t)(patience_s * 1e9));
	if (instant_before(j->now, again))	/* else nobody waits any more */
		judge_wake(j, f, again);
	return false;
}

static double
trust_in_completeness(const struct judge *j, const struct flow *f)
{
	double lost = capture_lost_share(j->capture), trust = 1;
	double dropped = dropped_share(j);

	lost = dropped > lost ? dropped : lost;
	for (int s = CLIENT; f && s <= SERVER; s++) {
		const struct note *n = flow_note_find(f, NOTE_HOLES, 0,
		    (enum side)s);

		if (n && n->count)
			trust = 0.7;	/* this very flow has gaps of ours */
	}
	if (lost > 5 * j->limit->capture_loss_limit)
		return 0;
	if (lost > j->limit->capture_loss_limit)
		return trust < 1 ? 0 : 0.7;
	return trust;
}

static double
trust_in_both_ways(const struct judge *j, const struct server *s,
    const struct flow *f)
{
	double one_way = capture_one_way_share(j->capture);

	/* since its last packet that we saw it has sent others */
	if (s && instant_since(s->last_unseen, s->last_sent) > ENGINE_STEP_NS)
		return 0;
	if (f)
		return f->half[CLIENT].flags & f->half[SERVER].flags &
		    HALF_SEEN ? 1 : 0;
	return one_way > 0.2 ? 0 : 1 - one_way;
}

double
judge_trusts(const struct judge *j, const struct server *s,
    const struct flow *f, unsigned needs)
{
	double trust = 1;

	if (needs && j->capture->blind)
		return 0;
	if (needs & TRUST_LOSS)
		trust *= trust_in_completeness(j, f);
	if (needs & TRUST_BOTH_WAYS)
		trust *= trust_in_both_ways(j, s, f);
	return trust;
}

/* So unlikely it must be that all were missed; and the share that was lost is an
 * estimate, so it is taken for no less than this. */
#define MISSED_ALL 1e-3
#define LOST_LEAST 0.001

double
judge_trusts_repeated(const struct judge *j, const struct server *s,
    const struct flow *f, unsigned times, unsigned needs)
{
	double lost = capture_lost_share(j->capture);
	double trust = judge_trusts(j, s, f, TRUST_LOSS | needs);

	if (trust > 0)
		return trust;
	if (pow(lost > LOST_LEAST ? lost : LOST_LEAST, times) > MISSED_ALL)
		return 0;
	return 0.8 * judge_trusts(j, s, f, needs);
}
