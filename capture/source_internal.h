/* source_internal.h - what the parts of the source share. For source*.c. */
#ifndef CAPTURE_SOURCE_INTERNAL_H
#define CAPTURE_SOURCE_INTERNAL_H

#include <pcap.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "capture/source.h"

/* No frame is larger: what libpcap and Wireshark hold for the maximum, and
 * four times the largest IPv4 packet. A record that claims more is damaged. */
enum { FRAME_BYTES_MAX = SOURCE_SNAP_BYTES };

/* The filter, made for each link type that turns up. */
struct filter;

/* 0, or -1 with a sentence in `err` if it cannot be made for `link_type`. With
 * a NULL `text` everything passes. */
int filter_new(const char *text, int link_type, struct filter **out,
    char err[SOURCE_ERROR_BYTES]);
void filter_free(struct filter **);
bool filter_passes(struct filter *, const struct frame *);

/* One kind of source: files, or interfaces. `state` is its own. */
struct source_kind {
	enum source_result (*next)(struct source *, void *state,
	    struct frame *);
	/* optional: more frames after one that `next` gave, if they are at hand:
	 * up to `max`; all of them stay valid until `next` is called */
	size_t (*more)(struct source *, void *state, struct frame *,
	    size_t max);
	/* optional: as source_hold */
	struct source_block *(*hold)(void *state);
	const char *(*name)(const void *state, uint32_t file);
	size_t (*count)(const void *state);
	void (*stats)(void *state, struct source_stats *);
	/* optional: live ones */
	bool (*interface)(const void *state, size_t i, struct source_interface *);
	/* optional: called once, when no more will be read */
	void (*stopped)(void *state);
	void (*free)(void *state);
};

struct source {
	const struct source_kind *kind;
	void *state;
	atomic_bool stopped;
	bool told;			/* its kind that it was stopped */
	bool is_apart;			/* read by another thread: these hold */
	pthread_mutex_t lock;		/* for the two */
	struct source_stats figures;
	struct source_interface *interface;	/* as many as its kind counts */
	char error[SOURCE_ERROR_BYTES];
};

/* A source of that kind, which then owns `state`; NULL if out of memory. */
struct source *source_new(const struct source_kind *, void *state);

/* source_pcapng.c: what one pcapng file holds, block by block. */
struct pcapng;

enum record_result {
	RECORD_FRAME,
	RECORD_END,
	RECORD_CUT,		/* the file ends in the middle of a record */
	RECORD_DAMAGED,		/* a record contradicts itself */
	RECORD_ERROR,		/* reading or memory failed: errno */
};

/* `in` is borrowed, and stands at the beginning. NULL if out of memory. */
struct pcapng *pcapng_new(FILE *in);
void pcapng_free(struct pcapng **);

/* Fills time, interface, link type, lengths and data (valid until the next
 * call), and counts `number` on. On CUT and DAMAGED, `why` is set. */
enum record_result pcapng_next(struct pcapng *, struct frame *,
    const char **why);
/* Where the block that was read last begins. */
uint64_t pcapng_offset(const struct pcapng *);

/* source_pcap.c: a classic pcap file, both byte orders, micro- and nanoseconds,
 * and the variant with longer records. */
struct pcap_file;

/* `fd` is borrowed, and stands after `first_byte`. 0, or -1 and `why`; or NULL
 * there: reading or memory failed, see errno. */
int pcap_file_new(int fd, uint8_t first_byte, struct pcap_file **out,
    const char **why);
void pcap_file_free(struct pcap_file **);
int pcap_file_link_type(const struct pcap_file *);

/* As pcapng_next. */
enum record_result pcap_file_next(struct pcap_file *, struct frame *,
    const char **why);
/* The same if the whole record is in memory already, and then what earlier calls
 * gave stays valid, too; else false, and nothing was done. */
bool pcap_file_next_at_hand(struct pcap_file *, struct frame *);
/* As source_hold, of the frames since pcap_file_next. */
struct source_block *pcap_file_hold(struct pcap_file *);
uint64_t pcap_file_offset(const struct pcap_file *);

/* The DLT that libpcap gives for a number in a file (pcap-linktype(7)): they
 * differ for a few old ones. */
int link_type_of_file(uint32_t number);

#endif
