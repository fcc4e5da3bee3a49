/* unit_toeplitz.c - the receive-side-scaling hash against all values that
 * Microsoft published ("Verifying the RSS Hash Calculation"). */
#include "capture/toeplitz.h"
#include "tests/unit.h"

static const struct vector {
	const char *dst, *src;
	uint16_t dport, sport;
	uint32_t with_ports, addresses_only;
} vectors[] = {
	{ "161.142.100.80", "66.9.149.187", 1766, 2794, 0x51ccc178, 0x323e8fc2 },
	{ "65.69.140.83", "199.92.111.2", 4739, 14230, 0xc626b0ea, 0xd718262a },
	{ "12.22.207.184", "24.19.198.95", 38024, 12898, 0x5c2b394a, 0xd2d0a5de },
	{ "209.142.163.6", "38.27.205.30", 2217, 48228, 0xafc7327f, 0x82989176 },
	{ "202.188.127.2", "153.39.163.191", 1303, 44251, 0x10e828a2, 0x5d1809c5 },
	{ "3ffe:2501:200:3::1", "3ffe:2501:200:1fff::7", 1766, 2794, 0x40207d3d,
	    0x2cc18cd5 },
	{ "ff02::1", "3ffe:501:8::260:97ff:fe40:efab", 4739, 14230, 0xdde51bbf,
	    0x0f0c461c },
	{ "fe80::200:f8ff:fe21:67cf", "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
	    38024, 44251, 0x02d1feef, 0x4b61e985 },
};

static void
test_all_published_values_are_reproduced(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		uint8_t input[TOEPLITZ_INPUT_BYTES];
		struct address src, dst;
		size_t n;

		CHECK(address_parse(v->src, &src) && address_parse(v->dst, &dst));
		n = toeplitz_input(&src, &dst, v->sport, v->dport, input);
		CHECK_EQ(toeplitz_hash(toeplitz_published_key, input, n),
		    v->with_ports);
		CHECK_EQ(toeplitz_hash(toeplitz_published_key, input, n - 4),
		    v->addresses_only);
	}
}

/* What the key-free test rests on. */
static void
test_the_hash_is_linear_over_gf2(void **state)
{
	uint8_t a[12], b[12], both[12];

	(void)state;
	for (size_t i = 0; i < sizeof(a); i++) {
		a[i] = (uint8_t)(i * 37 + 11);
		b[i] = (uint8_t)(i * 101 + 3);
		both[i] = a[i] ^ b[i];
	}
	CHECK_EQ(toeplitz_hash(toeplitz_published_key, a, 12) ^
	    toeplitz_hash(toeplitz_published_key, b, 12),
	    toeplitz_hash(toeplitz_published_key, both, 12));
}

UNIT_TESTS(
    cmocka_unit_test(test_all_published_values_are_reproduced),
    cmocka_unit_test(test_the_hash_is_linear_over_gf2),
)
