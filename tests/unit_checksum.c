/* unit_checksum.c - the wide sum against the plain one, and what wrong
 * checksums look like. */
#include "capture/checksum.h"

#include "tests/unit.h"

enum { TCP_FIELD = 16, UDP_FIELD = 6, SEGMENT_MAX = 2000 };

/* As RFC 1071, 4.1 does it. */
static uint16_t
plain_sum(const uint8_t *at, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

static void
fill(uint8_t *at, size_t n, uint32_t seed)
{
	unit_noise(at, n, &seed);
}

static void
test_the_wide_sum_is_the_plain_one_at_any_length_and_place(void **state)
{
	(void)state;
	for (size_t n = 0; n < 200; n++) {
		for (size_t place = 0; place < 9; place++) {
			uint8_t *at = malloc(place + n + 1);
			uint16_t start = (uint16_t)(n * 517);

			fill(at, place + n, (uint32_t)(n + place));
			at = realloc(at, place + n ? place + n : 1);
			CHECK_EQ(checksum_sum(at + place, n, start),
			    plain_sum(at + place, n, start));
			free(at);
		}
	}
}

static void
test_a_sum_of_ones_only_carries_all_the_way(void **state)
{
	uint8_t at[65535];

	(void)state;
	memset(at, 0xff, sizeof(at));
	CHECK_EQ(checksum_sum(at, 65534, 0xffff), 0xffff);
	CHECK_EQ(checksum_sum(at, 65535, 0), plain_sum(at, 65535, 0));
	memset(at, 0, sizeof(at));
	CHECK_EQ(checksum_sum(at, sizeof(at), 0), 0);
}

static void
test_a_sum_may_go_on_from_another(void **state)
{
	uint8_t at[100];

	(void)state;
	fill(at, sizeof(at), 3);
	CHECK_EQ(checksum_sum(at + 48, 52, checksum_sum(at, 48, 0)),
	    checksum_sum(at, 100, 0));
}

/* A segment between two hosts, with the checksum field as wanted. */
struct segment {
	struct address src, dst;
	uint8_t protocol;
	uint32_t field, bytes;
	uint8_t at[SEGMENT_MAX];
};

static uint16_t
pseudo(const struct segment *s, bool with_length)
{
	bool v4 = address_is_v4(&s->src);
	size_t skip = v4 ? 12 : 0;
	uint32_t sum = s->protocol + (with_length ? s->bytes : 0);

	sum = plain_sum(s->src.octet + skip, 16 - skip, sum);
	return plain_sum(s->dst.octet + skip, 16 - skip, sum);
}

static void
set_field(struct segment *s, uint16_t v)
{
	s->at[s->field] = (uint8_t)(v >> 8);
	s->at[s->field + 1] = (uint8_t)v;
}

static void
correct(struct segment *s)
{
	set_field(s, 0);
	set_field(s, (uint16_t)~plain_sum(s->at, s->bytes, pseudo(s, true)));
}

static struct segment
segment_of(const char *src, const char *dst, uint8_t protocol, uint32_t bytes)
{
	struct segment s = { .protocol = protocol, .bytes = bytes,
		.field = protocol == IP_TCP ? TCP_FIELD : UDP_FIELD };

	CHECK(address_parse(src, &s.src));
	CHECK(address_parse(dst, &s.dst));
	fill(s.at, bytes, bytes);
	correct(&s);
	return s;
}

static enum checksum_status
status_of_part(const struct segment *s, uint32_t captured)
{
	uint8_t *exact = unit_exact(s->at, captured);
	struct bytes whole = bytes_of(exact, captured);
	uint16_t header_sum;
	enum checksum_status r = checksum_transport(&s->src, &s->dst,
	    s->protocol, &whole, s->bytes, s->field, 0, &header_sum);

	free(exact);
	return r;
}

static enum checksum_status
status_of(const struct segment *s)
{
	return status_of_part(s, s->bytes);
}

static void
test_what_the_sender_computed_is_good(void **state)
{
	struct segment s;

	(void)state;
	for (uint32_t n = 20; n < 100; n++) {
		s = segment_of("10.0.0.1", "10.0.0.2", IP_TCP, n);
		CHECK_EQ(status_of(&s), CHECKSUM_GOOD);
		s = segment_of("fe80::1", "2001:db8::2", IP_TCP, n);
		CHECK_EQ(status_of(&s), CHECKSUM_GOOD);
		s = segment_of("10.0.0.1", "10.0.0.2", IP_UDP, n);
		CHECK_EQ(status_of(&s), CHECKSUM_GOOD);
	}
}

static void
test_a_bit_flipped_is_bad(void **state)
{
	struct segment s = segment_of("10.0.0.1", "10.0.0.2", IP_TCP, 1480);

	(void)state;
	for (uint32_t i = 0; i < s.bytes; i += 7) {
		s.at[i] ^= 0x10;
		CHECK_EQ(status_of(&s), CHECKSUM_BAD);
		s.at[i] ^= 0x10;
	}
	CHECK_EQ(status_of(&s), CHECKSUM_GOOD);
}

static void
test_the_sum_left_to_the_nic_is_partial(void **state)
{
	struct segment s = segment_of("10.0.0.1", "10.0.0.2", IP_TCP, 999);

	(void)state;
	set_field(&s, pseudo(&s, true));
	CHECK_EQ(status_of(&s), CHECKSUM_PARTIAL);
	set_field(&s, pseudo(&s, false));
	CHECK_EQ(status_of(&s), CHECKSUM_PARTIAL_LSO);
	s = segment_of("fe80::1", "fe80::2", IP_UDP, 100);
	set_field(&s, pseudo(&s, true));
	CHECK_EQ(status_of(&s), CHECKSUM_PARTIAL);
}

/* The figures of a DHCP answer out of a virtual port: 192.168.10.1 to
 * 192.168.10.215, UDP, 329 bytes, 0x9783 in the field. */
static void
test_a_known_unfinished_checksum_is_recognised(void **state)
{
	struct segment s =
	    segment_of("192.168.10.1", "192.168.10.215", IP_UDP, 329);

	(void)state;
	set_field(&s, 0x9783);
	CHECK_EQ(status_of(&s), CHECKSUM_PARTIAL);
	set_field(&s, 0x963a);
	CHECK_EQ(status_of(&s), CHECKSUM_PARTIAL_LSO);
}

static void
test_a_length_beyond_16_bits_is_summed_too(void **state)
{
	static struct {
		uint8_t at[70000];
	} large;
	struct address src = address_from_v4(0x0a000001);
	struct address dst = address_from_v4(0x0a000002);
	uint32_t n = sizeof(large.at);
	struct bytes whole = bytes_of(large.at, n);
	uint16_t sum, header_sum;

	(void)state;
	fill(large.at, n, 1);
	large.at[TCP_FIELD] = large.at[TCP_FIELD + 1] = 0;
	sum = plain_sum(src.octet + 12, 4, IP_TCP + (n >> 16) + (n & 0xffff));
	sum = plain_sum(dst.octet + 12, 4, sum);
	sum = (uint16_t)~checksum_sum(large.at, n, sum);
	large.at[TCP_FIELD] = (uint8_t)(sum >> 8);
	large.at[TCP_FIELD + 1] = (uint8_t)sum;
	CHECK_EQ(checksum_transport(&src, &dst, IP_TCP, &whole, n, TCP_FIELD, 0,
	    &header_sum), CHECKSUM_GOOD);
}

static void
test_a_good_one_gives_the_sum_of_the_header(void **state)
{
	struct segment s;
	struct bytes whole;
	uint16_t sum;

	(void)state;
	for (uint32_t header = 20; header <= 60; header += 4) {
		s = segment_of("10.0.0.1", "10.0.0.2", IP_TCP, header + 77);
		whole = bytes_of(s.at, s.bytes);
		CHECK_EQ(checksum_transport(&s.src, &s.dst, IP_TCP,
		    &whole, s.bytes, TCP_FIELD, header, &sum),
		    CHECKSUM_GOOD);
		CHECK_EQ(sum, plain_sum(s.at, header, 0) % 0xffff);
		s.at[header] ^= 1;
		sum = 99;
		CHECK_EQ(checksum_transport(&s.src, &s.dst, IP_TCP,
		    &whole, s.bytes, TCP_FIELD, header, &sum),
		    CHECKSUM_BAD);
		CHECK_EQ(sum, 99);
	}
}

static void
test_a_field_never_written_is_zero(void **state)
{
	struct segment s = segment_of("10.0.0.1", "10.0.0.2", IP_TCP, 40);

	(void)state;
	set_field(&s, 0);
	CHECK_EQ(status_of(&s), CHECKSUM_ZERO);
}

static void
test_udp_may_do_without_over_ipv4_only(void **state)
{
	struct segment s = segment_of("10.0.0.1", "10.0.0.2", IP_UDP, 40);

	(void)state;
	set_field(&s, 0);
	CHECK_EQ(status_of(&s), CHECKSUM_UNVERIFIABLE);
	s = segment_of("fe80::1", "fe80::2", IP_UDP, 40);
	set_field(&s, 0);
	CHECK_EQ(status_of(&s), CHECKSUM_BAD);
}

/* 0x0000 and 0xffff are the same number in one's complement, and both are met
 * for a sum that comes out as that (RFC 1624, 3). */
static void
test_both_zeros_are_good(void **state)
{
	struct segment s = segment_of("10.0.0.1", "10.0.0.2", IP_TCP, 40);
	uint16_t rest;

	(void)state;
	set_field(&s, 0);
	s.at[30] = s.at[31] = 0;
	rest = (uint16_t)~plain_sum(s.at, s.bytes, pseudo(&s, true));
	s.at[30] = (uint8_t)(rest >> 8);
	s.at[31] = (uint8_t)rest;
	CHECK_EQ(status_of(&s), CHECKSUM_GOOD);
	set_field(&s, 0xffff);
	CHECK_EQ(status_of(&s), CHECKSUM_GOOD);
}

static void
test_what_was_cut_short_cannot_be_verified(void **state)
{
	struct segment s = segment_of("10.0.0.1", "10.0.0.2", IP_TCP, 64);

	(void)state;
	for (uint32_t n = 0; n < s.bytes; n++)
		CHECK_EQ(status_of_part(&s, n), CHECKSUM_UNVERIFIABLE);
	CHECK_EQ(status_of_part(&s, s.bytes), CHECKSUM_GOOD);
}

static void
test_every_status_has_one_of_four_names(void **state)
{
	(void)state;
	CHECK_STR(checksum_status_name(CHECKSUM_GOOD), "good");
	CHECK_STR(checksum_status_name(CHECKSUM_BAD), "bad");
	CHECK_STR(checksum_status_name(CHECKSUM_ZERO), "bad");
	CHECK_STR(checksum_status_name(CHECKSUM_SHORT), "bad");
	CHECK_STR(checksum_status_name(CHECKSUM_PARTIAL), "partial");
	CHECK_STR(checksum_status_name(CHECKSUM_PARTIAL_LSO), "partial");
	CHECK_STR(checksum_status_name(CHECKSUM_UNVERIFIABLE), "unverifiable");
}

UNIT_TESTS(
    cmocka_unit_test(test_the_wide_sum_is_the_plain_one_at_any_length_and_place),
    cmocka_unit_test(test_a_sum_of_ones_only_carries_all_the_way),
    cmocka_unit_test(test_a_sum_may_go_on_from_another),
    cmocka_unit_test(test_what_the_sender_computed_is_good),
    cmocka_unit_test(test_a_bit_flipped_is_bad),
    cmocka_unit_test(test_the_sum_left_to_the_nic_is_partial),
    cmocka_unit_test(test_a_known_unfinished_checksum_is_recognised),
    cmocka_unit_test(test_a_length_beyond_16_bits_is_summed_too),
    cmocka_unit_test(test_a_good_one_gives_the_sum_of_the_header),
    cmocka_unit_test(test_a_field_never_written_is_zero),
    cmocka_unit_test(test_udp_may_do_without_over_ipv4_only),
    cmocka_unit_test(test_both_zeros_are_good),
    cmocka_unit_test(test_what_was_cut_short_cannot_be_verified),
    cmocka_unit_test(test_every_status_has_one_of_four_names),
)
