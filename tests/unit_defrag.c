/* unit_defrag.c - datagrams from their fragments, and what must not happen on
 * the way. */
#include "capture/defrag.h"

#include "tests/unit.h"

enum { WHOLE_BYTES = 20 + 100, LIMIT_BYTES = 1 << 20 };

/* A TCP segment with 100 bytes of payload, to be cut up. */
static void
make_segment(uint8_t at[WHOLE_BYTES])
{
	static const uint8_t header[20] = { 4, 1, 1, 0xbd, 0, 0, 3, 0xe8,
		0, 0, 0, 0, 0x50, TCP_SYN, 0x20, 0, 0, 0, 0, 0 };

	for (size_t i = 0; i < WHOLE_BYTES; i++)
		at[i] = (uint8_t)(i < 20 ? header[i] : i);
}

/* The fragment `from`..`to` of `whole`, as decoding it would have given. Its
 * bytes lie in a block of just that size, which the caller frees. */
static struct packet
fragment_of(const uint8_t *whole, uint32_t from, uint32_t to, bool last,
    uint8_t **block)
{
	struct packet p;

	memset(&p, 0, sizeof(p));
	*block = unit_exact(whole + from, to - from);
	p.frame = from + 1;
	p.time.ns = NS_PER_S;
	p.ip_version = 4;
	p.is_fragment = true;
	p.src = address_from_v4(0x0a000001);
	p.dst = address_from_v4(0x0a000002);
	p.protocol = IP_TCP;
	p.fragment_id = 7;
	p.fragment_offset = from;
	p.more_fragments = !last;
	p.ip_bytes = 20 + to - from;
	p.payload_bytes = to - from;
	p.transport = p.payload = bytes_of(*block, to - from);
	return p;
}

static bool
add_at(struct defrag *d, const uint8_t *whole, uint32_t from, uint32_t to,
    struct instant time, struct packet *p)
{
	uint8_t *block;
	bool done;

	*p = fragment_of(whole, from, to, to == WHOLE_BYTES, &block);
	p->time = time;
	done = defrag_add(d, p);
	free(block);
	return done;
}

static bool
add(struct defrag *d, const uint8_t *whole, uint32_t from, uint32_t to,
    struct packet *p)
{
	return add_at(d, whole, from, to, (struct instant){ NS_PER_S }, p);
}

static void
check_whole(const struct packet *p, const uint8_t *whole)
{
	CHECK(packet_is_tcp(p));
	CHECK(p->reassembled);
	CHECK(!p->is_fragment);
	CHECK(!p->more_fragments);
	CHECK_EQ(p->fragment_offset, 0);
	CHECK_EQ(p->dport, 445);
	CHECK_EQ(p->ip_bytes, 20 + WHOLE_BYTES);
	CHECK_EQ(p->payload_bytes, 100);
	CHECK_EQ(p->payload.left, 100);
	CHECK_MEM(p->payload.at, whole + 20, 100);
}

static struct defrag_stats
stats_of(const struct defrag *d)
{
	struct defrag_stats s;

	defrag_stats(d, &s);
	return s;
}

static void
test_fragments_in_any_order_make_the_datagram(void **state)
{
	static const uint32_t from[4] = { 0, 8, 48, 96 };
	static const uint32_t to[4] = { 8, 48, 96, WHOLE_BYTES };
	uint8_t whole[WHOLE_BYTES];
	struct defrag *d = defrag_new(LIMIT_BYTES);
	struct packet p;

	(void)state;
	make_segment(whole);
	for (unsigned order = 0; order < 256; order++) {
		unsigned turn[4], used = 0;

		for (unsigned i = 0; i < 4; i++) {
			turn[i] = order >> 2 * i & 3;
			used |= 1u << turn[i];
		}
		if (used != 15)
			continue;
		for (unsigned i = 0; i < 4; i++)
			CHECK_EQ(add(d, whole, from[turn[i]], to[turn[i]], &p),
			    i == 3);
		check_whole(&p, whole);
		CHECK_EQ(p.frame, from[turn[3]] + 1);
	}
	CHECK_EQ(stats_of(d).reassembled, 24);
	CHECK_EQ(stats_of(d).fragments, 96);
	CHECK_EQ(stats_of(d).overlaps, 0);
	defrag_free(&d);
	CHECK(d == NULL);
}

static void
test_ipv6_takes_its_protocol_from_the_first_fragment(void **state)
{
	uint8_t whole[WHOLE_BYTES], *block;
	struct defrag *d = defrag_new(LIMIT_BYTES);
	struct packet p;

	(void)state;
	make_segment(whole);
	p = fragment_of(whole, 0, 64, false, &block);
	p.ip_version = 6;
	CHECK(!defrag_add(d, &p));
	free(block);
	p = fragment_of(whole, 64, WHOLE_BYTES, true, &block);
	p.ip_version = 6;
	p.protocol = IP_UDP;		/* not heeded (RFC 8200, 4.5) */
	CHECK(defrag_add(d, &p));
	free(block);
	check_whole(&p, whole);
	defrag_free(&d);
}

static void
test_an_ipv4_fragment_of_another_protocol_is_another_datagram(void **state)
{
	uint8_t whole[WHOLE_BYTES], *block;
	struct defrag *d = defrag_new(LIMIT_BYTES);
	struct packet p;

	(void)state;
	make_segment(whole);
	CHECK(!add(d, whole, 0, 64, &p));
	p = fragment_of(whole, 64, WHOLE_BYTES, true, &block);
	p.protocol = IP_UDP;
	CHECK(!defrag_add(d, &p));
	p.protocol = IP_TCP;
	p.vlan[0] = 5;
	CHECK(!defrag_add(d, &p));
	p.vlan[0] = 0;
	p.fragment_id = 8;
	CHECK(!defrag_add(d, &p));
	p.fragment_id = 7;
	p.src = address_from_v4(0x0a000003);
	CHECK(!defrag_add(d, &p));
	p.src = address_from_v4(0x0a000001);
	CHECK(defrag_add(d, &p));
	free(block);
	defrag_free(&d);
}

static void
test_a_fragment_mirrored_twice_is_no_overlap(void **state)
{
	uint8_t whole[WHOLE_BYTES];
	struct defrag *d = defrag_new(LIMIT_BYTES);
	struct packet p;

	(void)state;
	make_segment(whole);
	CHECK(!add(d, whole, 0, 64, &p));
	CHECK(!add(d, whole, 0, 64, &p));
	CHECK(add(d, whole, 64, WHOLE_BYTES, &p));
	check_whole(&p, whole);
	CHECK_EQ(stats_of(d).overlaps, 0);
	defrag_free(&d);
}

static void
test_a_datagram_may_end_anywhere_in_a_unit(void **state)
{
	uint8_t whole[WHOLE_BYTES], *block;
	struct defrag *d = defrag_new(LIMIT_BYTES);
	struct packet p;

	(void)state;
	make_segment(whole);
	for (uint32_t end = 65; end <= 80; end++) {
		CHECK(!add(d, whole, 0, 64, &p));
		p = fragment_of(whole, 64, end, true, &block);
		CHECK(defrag_add(d, &p));
		free(block);
		CHECK_EQ(p.payload_bytes, end - 20);
		CHECK_MEM(p.payload.at, whole + 20, end - 20);
	}
	CHECK_EQ(stats_of(d).overlaps, 0);
	defrag_free(&d);
}

static void
test_bytes_seen_first_win_in_ipv4(void **state)
{
	uint8_t whole[WHOLE_BYTES], other[WHOLE_BYTES];
	struct defrag *d = defrag_new(LIMIT_BYTES);
	struct packet p;

	(void)state;
	make_segment(whole);
	memset(other, 0xee, sizeof(other));
	CHECK(!add(d, whole, 0, 64, &p));
	CHECK(!add(d, other, 32, 64, &p));	/* all of it is known */
	memcpy(other + 64, whole + 64, 32);
	CHECK(!add(d, other, 48, 96, &p));	/* half of it is */
	CHECK_EQ(stats_of(d).overlaps, 2);
	CHECK(add(d, whole, 96, WHOLE_BYTES, &p));
	check_whole(&p, whole);
	defrag_free(&d);
}

static void
test_an_overlap_kills_an_ipv6_datagram(void **state)
{
	uint8_t whole[WHOLE_BYTES], *block;
	struct defrag *d = defrag_new(LIMIT_BYTES);
	static const uint32_t range[][2] = {
		{ 0, 64 }, { 56, 96 }, { 56, 96 }, { 96, WHOLE_BYTES } };
	struct packet p;

	(void)state;
	make_segment(whole);
	for (size_t i = 0; i < 4; i++) {
		p = fragment_of(whole, range[i][0], range[i][1],
		    range[i][1] == WHOLE_BYTES, &block);
		p.ip_version = 6;
		CHECK(!defrag_add(d, &p));
		free(block);
	}
	CHECK_EQ(stats_of(d).overlaps, 1);
	CHECK_EQ(stats_of(d).reassembled, 0);
	defrag_free(&d);
}

static void
test_fragments_that_disagree_on_the_end_are_not_believed(void **state)
{
	uint8_t whole[WHOLE_BYTES], *block;
	struct defrag *d = defrag_new(LIMIT_BYTES);
	struct packet p;

	(void)state;
	make_segment(whole);
	CHECK(!add(d, whole, 64, WHOLE_BYTES, &p));
	p = fragment_of(whole, 96, 104, true, &block);	/* an earlier end */
	CHECK(!defrag_add(d, &p));
	free(block);
	CHECK_EQ(stats_of(d).overlaps, 1);
	CHECK(add(d, whole, 0, 64, &p));
	check_whole(&p, whole);
	defrag_free(&d);
}

static void
test_what_never_comes_is_waited_for_thirty_seconds(void **state)
{
	uint8_t whole[WHOLE_BYTES];
	struct defrag *d = defrag_new(LIMIT_BYTES);
	struct instant start = { 100 * NS_PER_S };
	struct packet p;

	(void)state;
	make_segment(whole);
	CHECK(!add_at(d, whole, 0, 64, start, &p));
	CHECK(add_at(d, whole, 64, WHOLE_BYTES,
	    instant_plus(start, 30 * NS_PER_S), &p));
	CHECK(!add_at(d, whole, 0, 64, start, &p));
	CHECK(!add_at(d, whole, 64, WHOLE_BYTES,
	    instant_plus(start, 30 * NS_PER_S + 1), &p));
	CHECK_EQ(stats_of(d).timed_out, 1);
	CHECK_EQ(stats_of(d).reassembled, 1);
	defrag_free(&d);
}

static void
test_memory_is_bounded_and_the_oldest_goes_first(void **state)
{
	uint8_t whole[WHOLE_BYTES], *block;
	struct defrag *d = defrag_new(64 << 10);
	struct packet p;

	(void)state;
	make_segment(whole);
	for (uint32_t id = 0; id < 1000; id++) {
		p = fragment_of(whole, 0, 64, false, &block);
		p.fragment_id = id;
		CHECK(!defrag_add(d, &p));
		free(block);
	}
	CHECK(stats_of(d).evicted > 900);
	CHECK(stats_of(d).evicted < 1000);
	for (int newest = 0; newest < 2; newest++) {
		p = fragment_of(whole, 64, WHOLE_BYTES, true, &block);
		p.fragment_id = newest ? 999 : 0;
		CHECK_EQ(defrag_add(d, &p), newest);
		free(block);
	}
	defrag_free(&d);
}

static void
test_a_limit_too_small_for_one_datagram_holds_none(void **state)
{
	uint8_t whole[WHOLE_BYTES];
	struct defrag *d = defrag_new(100);
	struct packet p;

	(void)state;
	make_segment(whole);
	CHECK(!add(d, whole, 0, 64, &p));
	CHECK(!add(d, whole, 64, WHOLE_BYTES, &p));
	CHECK_EQ(stats_of(d).evicted, 2);
	defrag_free(&d);
}

static void
test_a_fragment_the_snap_length_cut_is_of_no_use(void **state)
{
	uint8_t whole[WHOLE_BYTES], *block;
	struct defrag *d = defrag_new(LIMIT_BYTES);
	struct packet p;

	(void)state;
	make_segment(whole);
	p = fragment_of(whole, 0, 64, false, &block);
	p.transport.left = p.payload.left = 63;
	CHECK(!defrag_add(d, &p));
	free(block);
	CHECK(!add(d, whole, 64, WHOLE_BYTES, &p));
	CHECK(p.is_fragment);
	CHECK(add(d, whole, 0, 64, &p));
	defrag_free(&d);
}

static void
test_a_datagram_beyond_64_kib_is_refused(void **state)
{
	uint8_t whole[WHOLE_BYTES], *block;
	struct defrag *d = defrag_new(LIMIT_BYTES);
	struct packet p;

	(void)state;
	make_segment(whole);
	p = fragment_of(whole, 0, WHOLE_BYTES, true, &block);
	p.fragment_offset = 65528;
	CHECK(!defrag_add(d, &p));
	free(block);
	p = fragment_of(whole, 0, 7, true, &block);
	p.fragment_offset = 65528;	/* the last byte there can be */
	CHECK(!defrag_add(d, &p));
	free(block);
	CHECK_EQ(stats_of(d).evicted, 0);
	defrag_free(&d);
}

/* A tunnel that is fragmented, with a fragment in it: 20 bytes of inner header
 * before each half of the segment. */
static void
test_fragments_inside_fragments_come_together(void **state)
{
	static const uint8_t inner[20] = { 0x45, 0, 0, 0, 0, 9, 0, 0, 64,
		IP_TCP, 0, 0, 10, 0, 0, 3, 10, 0, 0, 4 };
	uint8_t whole[WHOLE_BYTES], tunnelled[20 + 64], *block;
	struct defrag *d = defrag_new(LIMIT_BYTES);
	struct packet p;

	(void)state;
	make_segment(whole);
	for (uint32_t half = 0; half < 2; half++) {
		uint32_t from = half ? 64 : 0, n = half ? WHOLE_BYTES - 64 : 64;

		memcpy(tunnelled, inner, 20);
		tunnelled[3] = (uint8_t)(20 + n);
		tunnelled[6] = half ? 0 : 0x20;
		tunnelled[7] = half ? 8 : 0;
		memcpy(tunnelled + 20, whole + from, n);
		p = fragment_of(tunnelled, 0, 40, false, &block);
		p.protocol = IP_IPIP;
		p.fragment_id = 20 + half;
		CHECK(!defrag_add(d, &p));
		free(block);
		p = fragment_of(tunnelled, 40, 20 + n, true, &block);
		p.protocol = IP_IPIP;
		p.fragment_id = 20 + half;
		CHECK_EQ(defrag_add(d, &p), half == 1);
		free(block);
	}
	check_whole(&p, whole);
	CHECK(address_v4(&p.src) == 0x0a000003);
	defrag_free(&d);
}

UNIT_TESTS(
    cmocka_unit_test(test_fragments_in_any_order_make_the_datagram),
    cmocka_unit_test(test_ipv6_takes_its_protocol_from_the_first_fragment),
    cmocka_unit_test(test_an_ipv4_fragment_of_another_protocol_is_another_datagram),
    cmocka_unit_test(test_a_fragment_mirrored_twice_is_no_overlap),
    cmocka_unit_test(test_a_datagram_may_end_anywhere_in_a_unit),
    cmocka_unit_test(test_bytes_seen_first_win_in_ipv4),
    cmocka_unit_test(test_an_overlap_kills_an_ipv6_datagram),
    cmocka_unit_test(test_fragments_that_disagree_on_the_end_are_not_believed),
    cmocka_unit_test(test_what_never_comes_is_waited_for_thirty_seconds),
    cmocka_unit_test(test_memory_is_bounded_and_the_oldest_goes_first),
    cmocka_unit_test(test_a_limit_too_small_for_one_datagram_holds_none),
    cmocka_unit_test(test_a_fragment_the_snap_length_cut_is_of_no_use),
    cmocka_unit_test(test_a_datagram_beyond_64_kib_is_refused),
    cmocka_unit_test(test_fragments_inside_fragments_come_together),
)
