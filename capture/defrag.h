/* defrag.h - IP datagrams put together from their fragments (RFC 791, 3.2;
 * RFC 8200, 4.5; overlaps in IPv6 discard the datagram, RFC 5722; in IPv4 the
 * first bytes seen win). Bounded in memory; what the bound cost is counted. */
#ifndef CAPTURE_DEFRAG_H
#define CAPTURE_DEFRAG_H

#include "capture/packet.h"

struct defrag;

struct defrag_stats {
	uint64_t fragments, reassembled, timed_out, evicted, overlaps;
};

struct defrag *defrag_new(size_t limit_bytes);	/* NULL if out of memory */
void defrag_free(struct defrag **);

/* Take in the fragment `p`. True when it completed its datagram: `p` is then
 * decoded anew as the whole (reassembled set), its pointers valid until the
 * next call. Time is `p->time`; a datagram waits 30 s (RFC 791 suggests 15 s,
 * Linux waits 30). */
bool defrag_add(struct defrag *, struct packet *p);
/* What the last one to be whole points into: the caller's now, to be freed. */
uint8_t *defrag_keep(struct defrag *);
void defrag_stats(const struct defrag *, struct defrag_stats *);

#endif
