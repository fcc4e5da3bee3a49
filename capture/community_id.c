/* community_id.c - Community ID v1: one name for a flow across tools.
 *
 * SHA-1 over seed, addresses, protocol, padding and ports, the lesser endpoint
 * first (specification: github.com/corelight/community-id-spec). */
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <string.h>

#include "capture/flow.h"

struct endpoint {
	const uint8_t *octet;
	size_t octets;			/* 4 or 16 */
	uint8_t port[2];
};

static struct endpoint
endpoint_of(const struct address *a, uint16_t port)
{
	bool v4 = address_is_v4(a);

	return (struct endpoint){
		.octet = v4 ? a->octet + 12 : a->octet,
		.octets = v4 ? 4 : 16,
		.port = { (uint8_t)(port >> 8), (uint8_t)port },
	};
}

static bool
is_greater(const struct endpoint *a, const struct endpoint *b)
{
	int order = memcmp(a->octet, b->octet, a->octets);

	return order ? order > 0 : memcmp(a->port, b->port, 2) > 0;
}

const char *
community_id(const struct address *src, uint16_t sport,
    const struct address *dst, uint16_t dport, uint8_t protocol,
    char out[COMMUNITY_ID_BYTES])
{
	struct endpoint one = endpoint_of(src, sport);
	struct endpoint two = endpoint_of(dst, dport);
	const uint8_t seed[2] = { 0, 0 }, tail[2] = { protocol, 0 };
	uint8_t digest[SHA1_DIGEST_SIZE];
	struct sha1_ctx sha;

	if (one.octets == two.octets && is_greater(&one, &two)) {
		struct endpoint swap = one;

		one = two;
		two = swap;
	}
	sha1_init(&sha);
	sha1_update(&sha, sizeof(seed), seed);
	sha1_update(&sha, one.octets, one.octet);
	sha1_update(&sha, two.octets, two.octet);
	sha1_update(&sha, sizeof(tail), tail);
	sha1_update(&sha, sizeof(one.port), one.port);
	sha1_update(&sha, sizeof(two.port), two.port);
	sha1_digest(&sha, sizeof(digest), digest);
	memset(out, 0, COMMUNITY_ID_BYTES);
	memcpy(out, "1:", 2);
	base64_encode_raw(out + 2, sizeof(digest), digest);
	return out;
}
