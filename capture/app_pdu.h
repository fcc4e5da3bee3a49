/* app_pdu.h - what the parsers of messages share: cutting a joined stream into
 * messages that say their own length, or into lines. Nothing is kept between
 * calls: what is not whole is shown again. */
#ifndef CAPTURE_APP_PDU_H
#define CAPTURE_APP_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/app.h"

#define PDU_LOST APP_LOST	/* no message begins here */
#define PDU_MORE ((size_t)0)	/* too little to tell how long it is */

enum {
	PDU_REQUEST_BYTES = 32768,	/* of a longer message this much is shown */
};

/* One message, as handed to `take`. */
struct pdu {
	struct bytes head;	/* all of it, or at least `enough` bytes */
	size_t bytes;		/* how long it is on the wire */
	struct instant began;	/* its first byte */
	uint64_t first_frame;
};

struct pdu_rule {
	/* How many bytes the message at the front has (never 0 for one), or
	 * PDU_MORE, or PDU_LOST. */
	size_t (*length)(struct bytes);
	/* A message. False: no more of this flow is wanted. */
	bool (*take)(struct app_context *, const struct pdu *);
	/* Bytes of a message, by side, that are enough to take it; 0: all. */
	size_t enough[2];
	/* What feed returns where no message begins: APP_LOST, or APP_STOP for
	 * protocols that turn into something sealed. */
	size_t when_lost;
};

/* What app_parser.feed, .skip_gap and .resync need for such a protocol. A gap
 * that is the rest of the message in hand, as under a snap length, costs only
 * that rest: what is at hand of it is taken. */
size_t pdu_feed(struct app_context *, struct bytes, const struct pdu_rule *);
bool pdu_skip_gap(struct app_context *, struct bytes held, uint32_t n,
    const struct pdu_rule *);
size_t pdu_resync(struct bytes, const struct pdu_rule *);

/* Open a request whose last byte is the last of `p`. One that is not answered by
 * design (EXCHANGE_ONE_WAY) is told and closed. */
void pdu_request(struct app_context *, const struct pdu *p, uint64_t key,
    uint32_t label, unsigned flags);
/* The same for a datagram. Asked again while the answer is due: the first time
 * stays. */
void datagram_request(struct app_context *, const struct packet *, uint64_t key,
    uint32_t label, unsigned flags);

/* The oldest exchange that the other side asked and c->side owes an answer, or
 * NULL: for protocols that answer in the order of the questions. */
struct exchange *app_owed(const struct app_context *);

/* An event of this flow, with who, when and where filled in. */
struct app_event app_note_of(const struct app_context *, enum app_note what,
    uint32_t label, uint64_t value);

/* The next byte, not taken; 0 at the end. */
static inline uint8_t
bytes_peek(struct bytes b)
{
	return bytes_u8(&b);
}

/* One line, without its end (LF or CR LF). False: no whole line is there. */
static inline bool
line_take(struct bytes *b, struct bytes *line)
{
	size_t n = bytes_before(*b, '\n');

	if (n == b->left)
		return false;
	*line = bytes_of(b->at, n);
	bytes_skip(b, n + 1);
	if (n && line->at[n - 1] == '\r')
		line->left--;
	return true;
}
/* The next line of what feed was shown (`*rest` of it is left), with
 * c->end_seq, c->began and c->first_frame set to the line's own. `shown_end` is
 * c->end_seq as feed got it. */
bool line_next(struct app_context *c, struct bytes *rest, uint32_t shown_end,
    struct bytes *line);
/* Does `line` begin with `word`, in any case (the program's locale is C)? Then it is
 * taken off. */
bool line_prefix(struct bytes *line, const char *word);
/* The same of a word that ends there too: it is taken off, and the blanks after it. */
bool line_word(struct bytes *line, const char *word);
/* A decimal number at the front is taken off; false: none, or beyond
 * 4,294,967,295. */
bool line_number(struct bytes *line, uint32_t *out);
/* Is `word` anywhere in it, in any case? */
bool line_has(struct bytes line, const char *word);
/* Where the line after this one begins, or APP_LOST. */
size_t line_resync(struct bytes);

#endif
