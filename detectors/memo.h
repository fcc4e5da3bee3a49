/* memo.h - what a detector remembers of a flow beyond the four figures of a
 * note: one bounded table a detector, of records of one size.
 *
 * All memory is taken when the table is made, so that the way of a packet takes
 * none. When the table is full, the record that was not looked at for longest
 * (by the second-chance rule) makes room and is counted: what was gathered in
 * it is lost, which can only cost a finding, never make one. */
#ifndef DETECTORS_MEMO_H
#define DETECTORS_MEMO_H

#include <stddef.h>
#include <stdint.h>

struct memo;

/* At most `limit` records of `bytes` each. NULL if out of memory. */
struct memo *memo_new(size_t limit, size_t bytes);
void memo_free(struct memo **);
/* The same, as a detector's `free` whose whole state is a memo. */
void memo_free_state(void *memo);
/* The record of a key (never 0), or NULL. It stays where it is until the next
 * memo_make or memo_drop. */
void *memo_find(struct memo *, uint64_t key);
/* The same, made of zeros if new. Never NULL. */
void *memo_make(struct memo *, uint64_t key);
void memo_drop(struct memo *, uint64_t key);
/* How many there are; 0 is the quick way out for the packet phase. */
size_t memo_count(const struct memo *);
const size_t *memo_count_at(const struct memo *);	/* where it is kept */
uint64_t memo_evicted(const struct memo *);
/* Walk all, by `cursor` from 0, in no order that means anything; the key goes
 * to `key` if that is not NULL. NULL: no more. */
void *memo_each(struct memo *, size_t *cursor, uint64_t *key);

/* The key of one side (or both: side 0) of a flow. */
static inline uint64_t
memo_key(uint64_t flow_id, unsigned side)
{
	return flow_id << 1 | side;
}

#endif
