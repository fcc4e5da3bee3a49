/* capture_one_way.c - connections of which only one direction is mirrored. What
 * needs both is withheld for them. */
#include "detectors/detector.h"

extern const struct detector detector_capture_one_way;

/* One connection may be a route of its own; a mirror port makes many. */
enum { FLOWS_MIN = 2 };
#define SHARE_MIN 0.02

static void
one_way_review(void *state, struct judge *j)
{
	const struct capture_stats *c = j->capture;
	double share = capture_one_way_share(c);
	struct finding *fd;

	(void)state;
	fd = finding_lookup(j, &detector_capture_one_way, NULL, NULL, NULL, 0);
	if (c->flows_one_way < FLOWS_MIN || share < SHARE_MIN) {
		if (fd)
			finding_retract(fd);
		return;
	}
	if (fd && fd->count == c->flows_one_way && !fd->retracted)
		return;
	fd = finding_raise(j, &detector_capture_one_way, NULL, NULL, NULL, 0);
	finding_time(fd, c->first);
	finding_time(fd, c->last);
	fd->retracted = false;
	fd->count = c->flows_one_way;
	fd->severity = SEVERITY_INFO;
	fd->confidence = 0.95;
	fd->side = FAULT_CAPTURE;
	finding_metric(fd, "one_way_share", share);
	finding_say(fd, "of %llu of %llu connections only one direction is in "
	    "this capture; what needs both was not judged for them",
	    (unsigned long long)c->flows_one_way,
	    (unsigned long long)(c->flows_one_way + c->flows_two_way));
}

const struct detector detector_capture_one_way = {
	.finding = FINDING_capture_one_way,
	.meaning = "Of some connections only one direction is mirrored. Whether a "
	    "server answers them cannot be seen, and nothing is said about that.",
	.decided = "A side's acknowledgments move on, so the other side sends, and "
	    "nothing of it is in the capture. Two connections or more, and 2 % "
	    "of all.",
	.mimics = "A server that does not answer (then nothing is acknowledged), "
	    "routes that differ by direction (the same for our purpose).",
	.source = "RFC 9293, 3.4.",
	.review_capture = one_way_review,
};
