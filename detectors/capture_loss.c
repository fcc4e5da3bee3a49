/* capture_loss.c - bytes that their receivers acknowledged and the sniffer
 * never saw. Who acknowledges has got them, so it was not the network. Live, the
 * machine's own count of what it dropped as well. */
#include "detectors/detector.h"

#include <stdio.h>

extern const struct detector detector_capture_loss;

/* What is known from the packets, and what the machine itself counted. */
static void
describe(struct finding *fd, const struct capture_stats *c, double limit)
{
	double lost = capture_lost_share(c), dropped = capture_dropped_share(c);
	const char *effect = lost > limit || dropped > limit ? "; what rests on "
	    "packets that were not seen is withheld or less sure" : "";
	char own[120] = "";

	finding_metric(fd, "lost_bytes", (double)c->lost_bytes);
	finding_metric(fd, "acked_bytes", (double)c->acked_bytes);
	finding_metric(fd, "lost_share", lost);
	if (c->dropped) {
		finding_metric(fd, "dropped", (double)c->dropped);
		snprintf(own, sizeof(own), "this machine dropped %llu packets, "
		    "%.2g %% of all%s", (unsigned long long)c->dropped,
		    100 * dropped, c->lost_events ? "; " : "");
	}
	if (c->lost_events)
		finding_say(fd, "%sthe sniffer missed %.2f %% of the TCP bytes "
		    "that receivers acknowledged (%llu bytes, %llu gaps)%s", own,
		    100 * lost, (unsigned long long)c->lost_bytes,
		    (unsigned long long)c->lost_events, effect);
	else
		finding_say(fd, "%s%s", own, effect);
}

static void
loss_review(void *state, struct judge *j)
{
	const struct capture_stats *c = j->capture;
	struct finding *fd;

	(void)state;
	if (!c->lost_events && !c->dropped)
		return;
	fd = finding_raise(j, &detector_capture_loss, NULL, NULL, NULL, 0);
	if (fd->count == c->lost_events + c->dropped)
		return;
	if (c->lost_events)
		finding_frame(fd, c->first_lost_frame);
	finding_time(fd, c->first);
	finding_time(fd, c->last);
	fd->count = c->lost_events + c->dropped;
	fd->severity = SEVERITY_INFO;
	fd->confidence = 0.95;
	fd->side = FAULT_CAPTURE;
	describe(fd, c, j->limit->capture_loss_limit);
}

const struct detector detector_capture_loss = {
	.finding = FINDING_capture_loss,
	.meaning = "The sniffer (or the mirror port, when it is overloaded) lost "
	    "packets. Findings that rest on something not having been sent are "
	    "withheld or lose confidence.",
	.decided = "A receiver acknowledged bytes that were never seen: it has "
	    "them, so it was this capture that missed them. Live, what the "
	    "kernel and the card count as dropped comes on top. Above "
	    "capture_loss_limit (1 %) findings suffer.",
	.mimics = "Loss on the network (the receiver does not acknowledge, and "
	    "the bytes come again), an acknowledgment of data that was never sent "
	    "(sequence_violation: the sender's own numbers show it), a capture "
	    "that begins in the middle of a connection.",
	.source = "RFC 9293, 3.4; Paxson 1997 (measurement drops); zeek, "
	    "misc/capture-loss.",
	.review_capture = loss_review,
};
