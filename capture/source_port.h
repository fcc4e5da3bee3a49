/* source_port.h - one interface that is watched: its frames, what it lost, and
 * whether it is there at all. For source_live.c. */
#ifndef CAPTURE_SOURCE_PORT_H
#define CAPTURE_SOURCE_PORT_H

#include <pcap.h>

#include "capture/source.h"
#include "capture/source_nic.h"

/* Frames are taken from the kernel's buffer so many at a time, or so many
 * bytes: what fits a core's second-level cache, mostly. */
enum { BATCH_FRAMES = 256, BATCH_BYTES = 1 << 20 };

/* The kernel hands frames over by then; and has surely done so. */
enum { PORT_BLOCK_MS = 100, PORT_LAST_MS = 3 * PORT_BLOCK_MS };

enum port_state {
	PORT_WATCHED,
	PORT_NO_CARRIER,	/* up, with nobody at the other end */
	PORT_DOWN,		/* switched off */
	PORT_GONE,		/* removed; or it can no longer be read */
};

/* Losses of one kind, from the moment they begin until they are over. */
struct drops {
	uint64_t total, before;		/* now, and when they began */
	int64_t began_ns, last_ns;
	bool lasting;
};

struct port {
	char *name;			/* as it was named at the start */
	const struct live_options *options;	/* the source's */
	pcap_t *pcap;			/* NULL: none, it is gone */
	char opened[IF_NAMESIZE];	/* the name it had then */
	bool went_down;			/* since then */
	int fd;				/* to wait on; -1: none */
	int64_t ns_per_unit;		/* of its time stamps' fraction */
	enum port_state state;
	struct nic nic;			/* as it was last told or asked */
	struct pcap_stat counted;	/* so far; libpcap's counters wrap */
	struct drops kernel, interface;
	uint64_t own;			/* dropped unread */
	int64_t down_since_ns;
	bool complained;		/* that it cannot be opened again */
	char merging[NIC_MERGING_BYTES];
	struct frame template;		/* file, link type, number so far */
	uint8_t *bytes;			/* of the frames in hand */
	size_t used;
	unsigned count, next;		/* frames in hand; those handed out */
	struct frame frame[BATCH_FRAMES];
};

/* Begin to watch `name`, interface number `file` of the source. 0, or -1 with a
 * sentence in `err`; port_close() in either case. */
int port_open(struct port *, const struct nic_watch *, const char *name,
    uint32_t file, const struct live_options *, int64_t now_ns,
    char err[SOURCE_ERROR_BYTES]);
void port_close(struct port *);

/* No more is read: what is in hand or in the kernel's buffer is counted as
 * dropped by us. */
void port_abandon(struct port *);

/* Is a frame in hand? If not, those that wait are taken from the kernel. They
 * are copies: the kernel may have its buffer back. */
bool port_fetch(struct port *, int64_t now_ns);

/* The oldest frame in hand; only if there is one. */
static inline const struct frame *
port_frame(const struct port *p)
{
	return &p->frame[p->next];
}

/* Look after it, now and then: did it lose frames, is it there, can it be
 * opened again? `fresh` is what the kernel told of it, or NULL to ask. Times
 * are CLOCK_MONOTONIC. */
void port_count(struct port *, int64_t now_ns);
void port_check(struct port *, const struct nic_watch *,
    const struct nic *fresh, int64_t now_ns);
/* Say so if it merges segments, once for each change. */
void port_check_merging(struct port *);

const char *port_state_text(enum port_state);

#endif
