/* hash.c - keys for hash tables, from the kernel. */
#include "capture/hash.h"

#include <string.h>
#include <sys/random.h>

uint64_t
hash_key(void)
{
	uint64_t key;

	if (getrandom(&key, sizeof(key), GRND_NONBLOCK) != sizeof(key))
		key = UINT64_C(0x9e3779b97f4a7c15);
	return key | 1;
}

uint64_t
hash_octets(const uint8_t octet[16], uint64_t key)
{
	__extension__ typedef unsigned __int128 wide;
	uint64_t half[2];
	wide product;

	memcpy(half, octet, sizeof(half));
	product = (wide)(half[0] ^ key) * (half[1] ^ (key << 32 | key >> 32));
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}
