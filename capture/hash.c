/* hash.c - keys for hash tables, from the kernel. */
#include "capture/hash.h"

#include <sys/random.h>

uint64_t
hash_key(void)
{
	uint64_t key;

	if (getrandom(&key, sizeof(key), GRND_NONBLOCK) != sizeof(key))
		key = UINT64_C(0x9e3779b97f4a7c15);
	return key | 1;
}
