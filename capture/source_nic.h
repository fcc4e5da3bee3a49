/* source_nic.h - what the kernel says of an interface: is it there and up, what
 * did it receive and lose before anybody could look, does it merge segments.
 * For source_live.c. Needs no privilege. */
#ifndef CAPTURE_SOURCE_NIC_H
#define CAPTURE_SOURCE_NIC_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/source.h"

/* One interface, as rtnetlink(7) has it. */
struct nic {
	int index;			/* stays when it is renamed */
	char name[IF_NAMESIZE];
	bool up;			/* somebody switched it on */
	bool carrier;			/* and there is somebody at the other end */
	bool gone;			/* nic_next() only: it was removed */
	/* Received, and lost before any capture: no room in the card or in the
	 * driver's ring (rx_missed_errors, rx_fifo_errors), or none in the
	 * kernel's queue (rx_dropped); linux/if_link.h. */
	uint64_t lost;
};

struct nic_watch {
	int ask, tell;			/* two netlink sockets; -1: not open */
};

/* 0, or -1 with errno. nic_close() also after failure. */
int nic_open(struct nic_watch *);
void nic_close(struct nic_watch *);

/* By index, or by name when the index is 0. 1; 0: there is none; -1: the
 * kernel does not answer. */
int nic_ask(const struct nic_watch *, int index, const char *name,
    struct nic *out);
/* The next change that the kernel has told of since (any interface; `tell` is
 * readable). 1; 0: no more; -1: some got lost, so that all are to be asked. */
int nic_next(const struct nic_watch *, struct nic *out);

enum { NIC_MERGING_BYTES = SOURCE_MERGING_BYTES };

/* What merges received segments before a capture sees them, by the names that
 * ethtool -K takes: "gro lro"; "" if nothing does, or if the driver does not
 * say. */
void nic_merging(const char *name, char out[NIC_MERGING_BYTES]);
/* The receive ring's entries, and how many it could have; false if the driver
 * does not say. */
bool nic_ring(const char *name, uint32_t *now, uint32_t *most);

#endif
