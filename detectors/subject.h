/* subject.h - keys for memo tables of things that are no flow: an address, a
 * pair of them, a service, a dialogue. Eight bytes a multiplication, never 0. Two
 * subjects with one key are one in 2^64: each record still carries what it is
 * about, and its user compares. */
#ifndef DETECTORS_SUBJECT_H
#define DETECTORS_SUBJECT_H

#include <stdint.h>
#include <string.h>

#include "capture/packet.h"

#define SUBJECT_BEGIN UINT64_C(0xcbf29ce484222325)

static inline uint64_t
subject_number(uint64_t key, uint64_t n)
{
	__extension__ typedef unsigned __int128 wide;
	wide product = (wide)(key ^ UINT64_C(0x9e3779b97f4a7c15)) *
	    (n ^ UINT64_C(0xd6e8feb86659fd93));

	key = (uint64_t)product ^ (uint64_t)(product >> 64);
	return key ? key : 1;
}

static inline uint64_t
subject_address(uint64_t key, const struct address *a)
{
	uint64_t half[2];

	memcpy(half, a->octet, sizeof(half));
	return subject_number(subject_number(key, half[0]), half[1]);
}

/* "This address' `n`": a service's port, a call id. */
static inline uint64_t
subject_of(const struct address *a, uint64_t n)
{
	return subject_number(subject_address(SUBJECT_BEGIN, a), n);
}

#endif
