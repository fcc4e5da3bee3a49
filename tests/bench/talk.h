/* talk.h - conversations that take turns on one wire, in the order of time.
 *
 * A talk is one connection that plays a script: lines that one side says, with
 * pauses. Segments, acknowledgments (every second segment, and delayed at the
 * end of a line), sequence numbers and IP IDs are made here; a script of
 * another kind brings its own step. */
#ifndef TESTS_BENCH_TALK_H
#define TESTS_BENCH_TALK_H

#include "tests/bench/wire.h"

enum who { FROM_CLIENT, FROM_SERVER };

enum what {		/* what a line is made of */
	SAYS_SYN, SAYS_ACK, SAYS_FIN, SAYS_NOISE, SAYS_BIND, SAYS_BIND_ACK,
	SAYS_AUTH3, SAYS_REQUEST, SAYS_RESPONSE, SAYS_GET, SAYS_PAGE,
	SAYS_SMB_HELLO, SAYS_SMB_HELLO_BACK,	/* SMB2 NEGOTIATE */
	SAYS_SMB_READ, SAYS_SMB_DATA,		/* SMB2 READ and its answer */
};

struct line {
	enum who who;
	enum what what;
	uint32_t bytes_low, bytes_high;
	uint32_t wait_low_us, wait_high_us;	/* before it */
	bool acked;		/* a delayed ACK follows: no answer carries it */
	uint16_t flight;	/* segments on their way; 0: two */
};

struct stage;
struct talk;

struct script {
	const struct line *line;
	uint16_t lines;
	uint16_t again_from, again_to;	/* lines that are repeated, */
	uint16_t again;			/* so often beside the first time */
	uint16_t port;
	/* else: put one packet on the wire; when to come again, 0: never */
	uint64_t (*step)(struct stage *, struct talk *);
};

struct talk {
	uint64_t at_ns;
	struct rng rng;
	const struct script *script;
	uint32_t client;		/* address */
	uint32_t seq[2];		/* next of each side */
	uint32_t size, sent;		/* of the line in hand */
	uint32_t call;
	uint16_t server;		/* index on the stage */
	uint16_t cport, client_id;
	uint16_t at_line, rounds;
	uint8_t unacked;		/* segments */
	bool owes_ack, begun, offloaded;
};

struct server {
	uint32_t addr;
	uint16_t id_low, id_high;	/* IP IDs: host's half, card's half */
};

struct stage {
	struct wire *wire;
	struct server *server;
	struct talk *talk;
	size_t talks, talks_max;
	struct cue *cue;		/* heap, next one first */
	size_t cues;
	uint64_t end_ns;		/* nothing after it; 0: no end */
};

#define BENCH_EPOCH_NS (UINT64_C(1206277200) * 1000000000)
#define US_NS UINT64_C(1000)
#define MS_NS UINT64_C(1000000)
#define S_NS UINT64_C(1000000000)

/* Room for `talks`, and `servers` at 192.168.20.10 and up. */
void stage_open(struct stage *, struct wire *, size_t talks, unsigned servers);
void stage_close(struct stage *);
/* A talk that begins at `at_ns` after the epoch. */
struct talk *stage_add(struct stage *, const struct script *, uint64_t at_ns,
    uint32_t client, uint16_t cport, uint16_t server);
/* All talks, to their ends. */
void stage_play(struct stage *);

/* The next packet from `who`, without sequence numbers for UDP. */
void talk_packet(struct stage *, struct talk *, enum who, struct wire_packet *);
/* A segment of `bytes` that lie in wire_payload(); moves seq. */
void talk_segment(struct stage *, struct talk *, struct wire_packet *, enum who,
    uint8_t flags, size_t bytes);

/* `bytes` at `offset` of what is said, of `size` in all (talk_words.c). */
void words_fill(const struct talk *, enum what, uint8_t *to, uint32_t offset,
    uint32_t bytes);
/* A size near `wish` in which no header is cut in two. */
uint32_t words_size(enum what, uint32_t wish);

#endif
