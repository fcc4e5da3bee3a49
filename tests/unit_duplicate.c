/* unit_duplicate.c - copies a mirror port makes, and what is none. */
#include "capture/duplicate.h"
#include "tests/unit.h"

static uint8_t header[40] = { 4, 1, 1, 189 };

static struct packet
packet_at(int64_t us, uint16_t ip_id)
{
	return (struct packet){ .time = { us * NS_PER_US }, .ip_version = 4,
		.protocol = IP_TCP, .src = address_from_v4(1),
		.dst = address_from_v4(2), .ip_id = ip_id, .ip_bytes = 60,
		.ttl = 128, .tcp_flags = TCP_ACK,
		.transport = bytes_of(header, sizeof(header)) };
}

static void
test_the_same_packet_within_two_milliseconds_is_a_copy(void **state)
{
	struct duplicates *d = duplicates_new();
	struct packet a = packet_at(1000, 7), b = packet_at(1500, 7);
	struct packet late = packet_at(9000, 7);

	(void)state;
	b.ttl = 127;		/* it crossed a router */
	b.vlan[0] = 12;
	CHECK(!duplicates_seen(d, &a));
	CHECK(duplicates_seen(d, &b));
	CHECK(!duplicates_seen(d, &late));
	duplicates_free(&d);
}

static void
test_another_ip_id_is_another_packet(void **state)
{
	struct duplicates *d = duplicates_new();
	struct packet a = packet_at(1000, 7), b = packet_at(1001, 8);

	(void)state;
	CHECK(!duplicates_seen(d, &a));
	CHECK(!duplicates_seen(d, &b));
	duplicates_free(&d);
}

static void
test_equal_acks_without_an_id_may_be_sent_twice(void **state)
{
	struct duplicates *d = duplicates_new();
	struct packet a = packet_at(1000, 0), b = packet_at(1100, 0);

	(void)state;
	CHECK(!duplicates_seen(d, &a));
	CHECK(!duplicates_seen(d, &b));
	b.time.ns += 100 * NS_PER_US;
	b.ttl = 127;		/* this one crossed a router: a copy after all */
	CHECK(duplicates_seen(d, &b));
	duplicates_free(&d);
}

UNIT_TESTS(
    cmocka_unit_test(test_the_same_packet_within_two_milliseconds_is_a_copy),
    cmocka_unit_test(test_another_ip_id_is_another_packet),
    cmocka_unit_test(test_equal_acks_without_an_id_may_be_sent_twice),
)
