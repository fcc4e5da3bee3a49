/* capture_loss.c - bytes that their receivers acknowledged and the sniffer
 * never saw. Who acknowledges has got them, so it was not the network. */
#include "detectors/detector.h"

extern const struct detector detector_capture_loss;

static void
loss_review(void *state, struct judge *j)
{
	const struct capture_stats *c = j->capture;
	double share;
	struct finding *fd;

	(void)state;
	if (!c->lost_events)
		return;
	fd = finding_raise(j, &detector_capture_loss, NULL, NULL, NULL, 0);
	if (fd->count == c->lost_events)
		return;
	share = capture_lost_share(c);
	finding_frame(fd, c->first_lost_frame);
	finding_time(fd, c->first);
	finding_time(fd, c->last);
	fd->count = c->lost_events;
	fd->severity = SEVERITY_INFO;
	fd->confidence = 0.95;
	fd->side = FAULT_CAPTURE;
	finding_metric(fd, "lost_bytes", (double)c->lost_bytes);
	finding_metric(fd, "acked_bytes", (double)c->acked_bytes);
	finding_metric(fd, "lost_share", share);
	finding_say(fd, "the sniffer missed %.2f %% of the TCP bytes that "
	    "receivers acknowledged (%llu bytes, %llu gaps)%s", 100 * share,
	    (unsigned long long)c->lost_bytes,
	    (unsigned long long)c->lost_events,
	    share > j->limit->capture_loss_limit ? "; what rests on packets "
	    "that were not seen is withheld or less sure" : "");
}

const struct detector detector_capture_loss = {
	.finding = FINDING_capture_loss,
	.meaning = "The sniffer (or the mirror port, when it is overloaded) lost "
	    "packets. Findings that rest on something not having been sent are "
	    "withheld or lose confidence.",
	.decided = "A receiver acknowledged bytes that were never seen: it has "
	    "them, so it was this capture that missed them. Above "
	    "capture_loss_limit (1 %) findings suffer.",
	.mimics = "Loss on the network (the receiver does not acknowledge, and "
	    "the bytes come again), an acknowledgment of data that was never sent "
	    "(sequence_violation: the sender's own numbers show it), a capture "
	    "that begins in the middle of a connection.",
	.source = "RFC 9293, 3.4; Paxson 1997 (measurement drops); zeek, "
	    "misc/capture-loss.",
	.review_capture = loss_review,
};
