/* host.h - what each address did as a host, over all its flows: is it there
 * at all, does it answer ARP, echo and SYNs, how does it number its packets.
 *
 * This is the same-host contrast on which a verdict stands: a server whose old
 * flows are dead while it answers new SYNs has a different illness from one
 * that answers nothing. Counts are kept for the step in hand, which the step phase
 * reads, and a few for the whole run. */
#ifndef CAPTURE_HOST_H
#define CAPTURE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/fetch.h"
#include "capture/packet.h"
#include "capture/tcp.h"

/* The doings of a step, or of several. "in" is towards the host. What packets to
 * it change stands together, and so does what packets of its change. */
struct host_counts {
	uint32_t packets_in;			/* anything, ARP included */
	uint32_t tcp_data_in, syn_in;
	uint32_t acks_unseen;			/* by peers, of what it must have
						 * sent and was not seen */
	struct instant first_in, last_in;
	uint64_t first_in_frame, last_in_frame;

	uint32_t packets_out, tcp_data_out;
	uint32_t acks_out;			/* on established flows */
	uint32_t syn_ack_out, rst_out;
	uint32_t bad_sums_out, checked_sums_out;
	uint32_t gratuitous_arp;
	struct instant first_out, last_out;
	uint64_t first_out_frame, last_out_frame;

	uint32_t arp_asked, arp_answered;	/* ARP, neighbour solicitation */
	uint32_t echo_asked, echo_answered;
	uint32_t udp_in, udp_out;
};

/* What is kept of the whole run. */
struct host_ever {
	uint32_t bad_sums_out, checked_sums_out;
	uint32_t syn_ack_out, arp_answered, echo_answered;
};

enum { ID_STEP_SMALL = 32 };	/* a counter, with a few packets unseen */

/* IP IDs of an IPv4 host (docs: NDIS, "Sending Data from an Offload Target",
 * and "Offloading the Segmentation of Large TCP Packets"). */
struct host_ids {
	uint32_t data_low, data_high;	/* established TCP */
	uint32_t steps_by_one;		/* packet to packet, +1 */
	uint32_t steps;
	uint32_t low_steps, low_small;	/* from low ID to the next low one: all,
					 * and forward by 1 to ID_STEP_SMALL */
	uint16_t last_id, last_stack_id, last_high_id;
	bool has_last, has_stack_last, has_high_last;
	uint32_t high_steps, high_small; /* likewise in the upper half */
	uint32_t alternations;		/* low packet right after a high one */
	uint32_t stack_low, stack_high;	/* on SYN-ACK, SYN, RST without flow, UDP,
					 * ICMP: surely the host's own stack */
	uint32_t stack_zero;		/* of those, ID 0 (Linux SYN-ACKs) */
	uint32_t stack_low_after_high;	/* stack IDs low after some data was high */
	uint32_t data_high_df_clear;	/* high without DF: no offload target */
	uint32_t wraps_15;		/* 0x7FFF -> 0x0000 seen in +1 order */
	uint32_t wraps_high;		/* 0xFFFF -> 0x8000 */
	uint32_t wraps_16;		/* 0x7FFF -> 0x8000 or 0xFFFF -> 0x0000:
					 * a 16-bit counter, halves mean nothing */
};

struct host {
	/* the first cache line is all that a packet to it changes; its own change
	 * the next two as well, and those with a high IP ID the fourth */
	void *server;			/* step phase's record, or NULL */
	bool touched : 1;		/* in this step */
	bool aside : 1;			/* it has to stay: not in `older`, `newer` */
	bool has_mac : 1;
	uint8_t mac[6];			/* source MAC of its packets, latest */
	struct host_counts step;	/* of the step in hand */
	struct instant last;		/* its own packets; 0: it never sent */
	struct host_ids ids;
	struct instant last_stack;	/* sent what only a live host stack sends:
					 * SYN-ACK, ARP or echo reply, UDP */
	uint64_t number;		/* order of appearance */
	/* the last one: where it stands, and what finds it */
	struct host *hash_next;
	struct host *older, *newer;	/* by the step it was last heard in */
	struct address address;
	uint32_t flows;			/* that hold it */
	struct host_ever before;	/* the step in `step` */
};

/* Five cache lines, as they are fetched, and no host shares one with another. */
_Static_assert(sizeof(struct host) == 5 * CACHE_LINE_BYTES &&
    offsetof(struct host, hash_next) == 4 * CACHE_LINE_BYTES,
    "a host fills its cache lines");

/* Of all steps. */
static inline struct host_ever
host_ever(const struct host *h)
{
	struct host_ever e = h->before;

	e.bad_sums_out += h->step.bad_sums_out;
	e.checked_sums_out += h->step.checked_sums_out;
	e.syn_ack_out += h->step.syn_ack_out;
	e.arp_answered += h->step.arp_answered;
	e.echo_answered += h->step.echo_answered;
	return e;
}

/* For tables by address. With a secret key nobody can plan collisions. */
uint64_t address_hash(const struct address *, uint64_t key);

/* Checksums that are computed after the capture point are wrong without
 * exception: where some are right, a wrong one is damage. */
static inline bool
sums_are_sound(uint32_t bad, uint32_t all)
{
	return all && (uint64_t)bad * 10 < (uint64_t)all * 9;
}

static inline bool
host_sums_are_sound(const struct host *h)
{
	struct host_ever e = host_ever(h);

	return e.checked_sums_out >= 16 &&
	    sums_are_sound(e.bad_sums_out, e.checked_sums_out);
}

/* Have it fetched from memory, as far as a packet to it needs it, or all that one
 * of its own needs. */
static inline void
host_fetch(const struct host *h, bool own)
{
	enum { OWN_LINES = (offsetof(struct host, hash_next) +
	    CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES };

	if (own)
		fetch_lines(h, OWN_LINES);
	else
		fetch_first(h);
}

struct host_table;

/* At most `limit` hosts; the host longest unheard of that no flow holds makes
 * room (counted). */
struct host_table *host_table_new(size_t limit);
void host_table_free(struct host_table **);
/* The host of an address, made if new when `make`; NULL if it is not known, or
 * for multicast and unspecified addresses. */
struct host *host_of(struct host_table *, const struct address *, bool make);
/* Have fetched where it would be found; and, some time after, what is there. */
void host_prepare(const struct host_table *, const struct address *);
void host_foresee(const struct host_table *, const struct address *);
/* A flow or a server has just ceased to hold it. */
void host_let_go(struct host_table *, struct host *);
uint64_t host_table_refused(const struct host_table *);

/* Sum and extent of both. */
void host_counts_add(struct host_counts *, const struct host_counts *);

/* The hosts touched in this step, in the order in which they were. They stay, and
 * so does the array, until the step is over. */
struct host *const *host_table_touched(const struct host_table *, size_t *count);
void host_table_step_over(struct host_table *);

/* Count a packet for its sender and receiver (either may be NULL), and mark
 * both touched. `seg` is NULL for anything but TCP. */
void host_count(struct host_table *, struct host *from, struct host *to, const struct packet *,
    const struct segment *seg, struct instant now);

#endif
