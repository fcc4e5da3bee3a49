/* subject.h - keys for memo tables of things that are no flow: an address, a
 * pair of them, a service, a dialogue. FNV-1a over the parts, never 0. Two
 * subjects with one key are one in 2^64: each record still carries what it is
 * about, and its user compares. */
#ifndef DETECTORS_SUBJECT_H
#define DETECTORS_SUBJECT_H

#include <stdint.h>

#include "capture/packet.h"

#define SUBJECT_BEGIN UINT64_C(0xcbf29ce484222325)

static inline uint64_t
subject_number(uint64_t key, uint64_t n)
{
	for (int i = 0; i < 8; i++, n >>= 8)
		key = (key ^ (n & 0xff)) * UINT64_C(0x100000001b3);
	return key ? key : 1;
}

static inline uint64_t
subject_address(uint64_t key, const struct address *a)
{
	for (size_t i = 0; i < sizeof(a->octet); i++)
		key = (key ^ a->octet[i]) * UINT64_C(0x100000001b3);
	return key ? key : 1;
}

/* "This address' `n`": a service's port, a call id. */
static inline uint64_t
subject_of(const struct address *a, uint64_t n)
{
	return subject_number(subject_address(SUBJECT_BEGIN, a), n);
}

#endif
