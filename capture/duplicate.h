/* duplicate.h - the same frame twice: mirror ports that copy a packet on its
 * way in and on its way out, or on two VLANs.
 *
 * Two frames are copies when everything a retransmission would change is the
 * same: addresses, ports, IP ID (or flow label), sequence and acknowledgment
 * numbers, flags, window, checksums, timestamps and payload, within
 * DUPLICATE_NS; link header, VLAN and TTL may differ, and a router on the way
 * may have lowered the TTL. A fast retransmission has another IP ID (or, from
 * stacks that send 0, other timestamps or at least an RTT in between). */
#ifndef CAPTURE_DUPLICATE_H
#define CAPTURE_DUPLICATE_H

#include <stdbool.h>

#include "capture/packet.h"

struct duplicates;

#define DUPLICATE_NS (2 * NS_PER_MS)

struct duplicates *duplicates_new(void);	/* NULL if out of memory */
void duplicates_free(struct duplicates **);
/* Ahead of the next: have its memory fetched. Changes nothing else but
 * p->signature, which is what is compared. */
void duplicates_prepare(const struct duplicates *, struct packet *p);
/* True: `p` is a copy of a recent packet, to be counted and left out. */
bool duplicates_seen(struct duplicates *, const struct packet *p);

#endif
