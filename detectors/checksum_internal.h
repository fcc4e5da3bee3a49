/* checksum_internal.h - what checksum.c and checksum_udp.c share: how often
 * the receivers of a sender's bad sums took them, and what that means. */
#ifndef DETECTORS_CHECKSUM_INTERNAL_H
#define DETECTORS_CHECKSUM_INTERNAL_H

#include "detectors/detector.h"

/* What a wrong sum holds. */
enum sum_kind { SUM_GOOD, SUM_PARTIAL, SUM_ZERO, SUM_OTHER, SUM_KINDS };

/* One sender's bad sums of one kind. */
struct sum_tally {
	uint32_t bad;
	uint32_t accepted;	/* acknowledged, and no good copy was seen */
	uint32_t discarded;	/* had to be sent again, with a good sum */
	uint32_t starved;	/* sent again and again, never acknowledged */
};

enum sum_verdict { SUM_UNRESOLVED, SUM_ARTIFACT, SUM_DISCARDED };

/* `others_good`: the sender also sends segments with right sums, so that the
 * place of the capture is after its NIC. */
enum sum_verdict sum_judge(const struct sum_tally *, enum sum_kind,
    bool others_good);
const char *sum_kind_name(enum sum_kind);	/* partial zero other */
/* A damaged IP header counts, and the outer UDP sum of a tunnel. */
enum sum_kind sum_kind_of(const struct packet *);

extern const struct detector detector_checksum_artifact,
    detector_checksum_discarded, detector_checksum_unresolved;

/* Do this sender's TCP segments show that the capture stands before its NIC? */
struct checksum;
bool checksum_is_artifact(struct checksum *, const struct address *,
    enum sum_kind);

/* Datagrams (checksum_udp.c): the asker repeats, or is content. */
struct udp_sums;
struct udp_sums *udp_sums_new(void);
void udp_sums_free(struct udp_sums **);
void udp_sums_packet(struct udp_sums *, const struct packet *);
void udp_sums_review(struct udp_sums *, struct judge *, struct checksum *);

#endif
