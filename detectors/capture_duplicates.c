/* capture_duplicates.c - the same frame twice, removed before anything else
 * looks at it. Reported so that a person who counts frames in another tool
 * knows why the numbers differ. */
#include "detectors/detector.h"

extern const struct detector detector_capture_duplicates;

static void
duplicates_review(void *state, struct judge *j)
{
	const struct capture_stats *c = j->capture;
	struct finding *fd;

	(void)state;
	if (!c->duplicates)
		return;
	fd = finding_raise(j, &detector_capture_duplicates, NULL, NULL, NULL, 0);
	if (fd->count == c->duplicates)
		return;
	finding_frame(fd, c->first_duplicate_frame);
	finding_time(fd, c->first);
	finding_time(fd, c->last);
	fd->count = c->duplicates;
	fd->severity = SEVERITY_INFO;
	fd->confidence = 0.99;
	fd->side = FAULT_CAPTURE;
	finding_metric(fd, "share", (double)c->duplicates / (double)c->packets);
	finding_say(fd, "%llu of %llu frames are copies of one just before "
	    "(mirrored twice) and were left out",
	    (unsigned long long)c->duplicates, (unsigned long long)c->packets);
}

const struct detector detector_capture_duplicates = {
	.finding = FINDING_capture_duplicates,
	.meaning = "The capture holds frames twice: the mirror port copies them on "
	    "their way in and on their way out, or on two VLANs. They were taken "
	    "out before anything was judged.",
	.decided = "Two frames within 2 ms whose addresses, ports, IP ID, "
	    "sequence and acknowledgment numbers, flags, window, checksums, "
	    "timestamps and payload are the same; link header, VLAN tags and TTL "
	    "may differ.",
	.mimics = "Retransmissions: they have another IP ID, other timestamps, or "
	    "come a round trip later.",
	.source = "Paxson, \"Automated Packet Trace Analysis of TCP "
	    "Implementations\", SIGCOMM 1997 (measurement duplicates).",
	.review_capture = duplicates_review,
};
