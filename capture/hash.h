/* hash.h - keys for hash tables, so that nobody can send us collisions. */
#ifndef CAPTURE_HASH_H
#define CAPTURE_HASH_H

#include <stdint.h>

/* An odd number nobody can foresee. It may decide where a record lies in a
 * table, never what comes out: output is a function of the packets alone. */
uint64_t hash_key(void);

/* Of 16 octets, an address as a rule, under such a key. */
uint64_t hash_octets(const uint8_t octet[16], uint64_t key);

#endif
