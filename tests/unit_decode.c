/* unit_decode.c - from bytes to packets, one layer at a time. */
#include "capture/decode.h"

#include "tests/unit.h"

enum { FRAME_MAX = 4096 };

enum {				/* DLT_*, as libpcap numbers them */
	NULL_LOOPBACK = 0, ETHERNET = 1, PPP = 9, RAW = 12, PPP_SERIAL = 50,
	PPP_ETHER = 51, C_HDLC = 104, WLAN = 105, LOOP = 108, LINUX_SLL = 113,
	PFLOG = 117, RADIOTAP = 127, IPV4 = 228, IPV6 = 229, LINUX_SLL2 = 276,
};

/* A frame put together from the front; lengths are known beforehand. */
struct maker {
	uint8_t at[FRAME_MAX];
	size_t n;
};

static void
put8(struct maker *m, unsigned v)
{
	if (m->n == FRAME_MAX)
		abort();
	m->at[m->n++] = (uint8_t)v;
}

static void
put16(struct maker *m, unsigned v)
{
	put8(m, v >> 8);
	put8(m, v);
}

static void
put32(struct maker *m, uint32_t v)
{
	put16(m, v >> 16);
	put16(m, v);
}

static void
put_many(struct maker *m, unsigned v, size_t times)
{
	while (times--)
		put8(m, v);
}

static void
put_text(struct maker *m, const char *text)
{
	while (*text)
		put8(m, (uint8_t)*text++);
}

static void
put_ethernet(struct maker *m, unsigned type)
{
	put_many(m, 2, 6);		/* to 02:02:.. from 04:04:.. */
	put_many(m, 4, 6);
	put16(m, type);
}

/* 10.0.0.1 to 10.0.0.2. */
static void
put_ipv4(struct maker *m, unsigned protocol, unsigned payload_bytes)
{
	put16(m, 0x4500);
	put16(m, 20 + payload_bytes);
	put16(m, 0x1234);
	put16(m, 0x4000);		/* DF */
	put8(m, 64);
	put8(m, protocol);
	put16(m, 0);
	put32(m, 0x0a000001);
	put32(m, 0x0a000002);
}

/* 2001:db8::1 to 2001:db8::2. */
static void
put_ipv6(struct maker *m, unsigned next, unsigned payload_bytes)
{
	put32(m, 0x60000000);
	put16(m, payload_bytes);
	put8(m, next);
	put8(m, 64);
	for (unsigned host = 1; host <= 2; host++) {
		put32(m, 0x20010db8);
		put_many(m, 0, 11);
		put8(m, host);
	}
}

static void
put_tcp(struct maker *m, unsigned flags, unsigned option_bytes)
{
	put16(m, 1025);
	put16(m, 445);
	put32(m, 1000);
	put32(m, 2000);
	put8(m, (20 + option_bytes) / 4 << 4);
	put8(m, flags);
	put16(m, 8192);
	put16(m, 0);
	put16(m, 7);
}

static void
put_udp(struct maker *m, unsigned port, unsigned payload_bytes)
{
	put16(m, 50000);
	put16(m, port);
	put16(m, 8 + payload_bytes);
	put16(m, 0);
}

/* A whole IPv4 packet with a SYN and no options: 40 bytes. */
enum { SYN_BYTES = 40 };

static void
put_syn(struct maker *m)
{
	put_ipv4(m, IP_TCP, 20);
	put_tcp(m, TCP_SYN, 0);
}

/* The same in Ethernet: 54 bytes. */
enum { ETHERNET_SYN_BYTES = 54 };

static void
put_ethernet_syn(struct maker *m)
{
	put_ethernet(m, 0x0800);
	put_syn(m);
}

static struct packet packet;

/* The first `captured` bytes, in a block of just that size, which the packet
 * does not outlive. Its payload is checked here, therefore. */
static enum decode_result
decode_part(const struct maker *m, int link_type, size_t captured)
{
	uint8_t *exact = unit_exact(m->at, captured);
	struct frame f = { .number = 9, .file = 3, .interface = 2,
		.time = { 5 }, .link_type = link_type, .data = exact,
		.captured_bytes = (uint32_t)captured,
		.wire_bytes = (uint32_t)m->n };
	enum decode_result r = decode_frame(&f, &packet);
	size_t ends = (size_t)(packet.payload.at - exact);

	if (packet.payload.left)
		CHECK(ends <= captured && packet.payload.left <= captured - ends);
	CHECK(packet.payload.left <= packet.payload_bytes);
	CHECK(packet.payload_bytes <= m->n);
	free(exact);
	return r;
}

static enum decode_result
decode_all(const struct maker *m, int link_type)
{
	return decode_part(m, link_type, m->n);
}

static void
check_syn(void)
{
	CHECK(packet_is_tcp(&packet));
	CHECK_EQ(packet.tcp_flags, TCP_SYN);
	CHECK_EQ(packet.ip_version, 4);
	CHECK(address_v4(&packet.src) == 0x0a000001);
	CHECK(address_v4(&packet.dst) == 0x0a000002);
	CHECK_EQ(packet.sport, 1025);
	CHECK_EQ(packet.dport, 445);
	CHECK_EQ(packet.seq, 1000);
	CHECK_EQ(packet.ack, 2000);
}

/* `header` was put before a packet with a SYN that is put here. */
static void
check_syn_behind(struct maker *header, int link_type)
{
	put_syn(header);
	CHECK_EQ(decode_all(header, link_type), DECODE_OK);
	check_syn();
}

static void
test_a_segment_in_ethernet_is_read_to_its_end(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet(&m, 0x0800);
	put_ipv4(&m, IP_TCP, 23);
	put_tcp(&m, TCP_ACK | TCP_PSH, 0);
	put_text(&m, "abc");
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	CHECK_EQ(packet.frame, 9);
	CHECK_EQ(packet.file, 3);
	CHECK_EQ(packet.interface, 2);
	CHECK_EQ(packet.time.ns, 5);
	CHECK_EQ(packet.captured_bytes, 57);
	CHECK_EQ(packet.wire_bytes, 57);
	CHECK(packet.has_mac);
	CHECK_MEM(packet.dst_mac, "\2\2\2\2\2\2", 6);
	CHECK_MEM(packet.src_mac, "\4\4\4\4\4\4", 6);
	CHECK_EQ(packet.ip_id, 0x1234);
	CHECK(packet.df);
	CHECK_EQ(packet.ttl, 64);
	CHECK_EQ(packet.ip_bytes, 43);
	CHECK_EQ(packet.tcp_flags, TCP_ACK | TCP_PSH);
	CHECK_EQ(packet.window, 8192);
	CHECK_EQ(packet.urgent, 7);
	CHECK_EQ(packet.tcp_header_bytes, 20);
	CHECK_EQ(packet.payload_bytes, 3);
	CHECK_EQ(packet.payload.left, 3);
	CHECK_EQ(packet.transport.left, 23);
}

static void
test_ethernet_padding_is_no_payload(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet_syn(&m);
	put_many(&m, 0, 6);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	CHECK_EQ(packet.payload_bytes, 0);
	CHECK_EQ(packet.payload.left, 0);
	CHECK_EQ(packet.transport.left, 20);
}

/* What the snap length left is decoded; nothing beyond it is. */
static void
test_padding_is_no_payload_of_ipv6_either(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet(&m, 0x86dd);
	put_ipv6(&m, IP_TCP, 20);
	put_tcp(&m, TCP_ACK, 0);
	put_many(&m, 0, 6);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	CHECK_EQ(packet.ip_bytes, 60);
	CHECK_EQ(packet.payload_bytes, 0);

	m.n = 0;			/* nothing, and no large send either */
	put_ethernet(&m, 0x86dd);
	put_ipv6(&m, 59, 0);
	put_many(&m, 0, 6);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	CHECK_EQ(packet.ip_bytes, 40);
	CHECK_EQ(packet.payload_bytes, 0);
}

static void
test_a_frame_cut_anywhere_says_so(void **state)
{
	struct maker m = { .n = 0 };
	enum { HEADERS = 14 + 20 + 20 };

	(void)state;
	put_ethernet(&m, 0x0800);
	put_ipv4(&m, IP_TCP, 30);
	put_tcp(&m, TCP_ACK, 0);
	put_many(&m, 'x', 10);
	for (size_t n = 0; n < m.n; n++) {
		CHECK_EQ(decode_part(&m, ETHERNET, n), DECODE_TRUNCATED);
		CHECK_EQ(packet.has_mac, n >= 14);
		CHECK_EQ(packet.ip_version, n >= 34 ? 4 : 0);
		CHECK_EQ(packet.has_transport, n >= HEADERS);
		CHECK_EQ(packet.dport, n >= 38 ? 445 : 0);
		CHECK_EQ(packet.checksum, CHECKSUM_UNVERIFIABLE);
		if (n < HEADERS)
			continue;
		CHECK_EQ(packet.payload_bytes, 10);
		CHECK_EQ(packet.payload.left, n - HEADERS);
	}
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
}

static void
test_a_frame_that_ends_too_early_contradicts_itself(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet_syn(&m);
	m.n = 10;
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_LINK);
	m.n = 20;
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_IP_HEADER);
}

static void
test_an_ip_length_beyond_the_frame_is_told_and_lived_with(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet(&m, 0x0800);
	put_ipv4(&m, IP_TCP, 100);
	put_tcp(&m, TCP_ACK, 0);
	put_text(&m, "abcd");
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_IP_LENGTH);
	CHECK(packet_is_tcp(&packet));
	CHECK_EQ(packet.ip_bytes, 120);
	CHECK_EQ(packet.payload_bytes, 4);
	CHECK_EQ(packet.checksum, CHECKSUM_SHORT);
}

/* As a host with segmentation offload shows it to its own sniffer. */
static void
test_an_ip_length_of_zero_is_the_frames(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet(&m, 0x0800);
	put_ipv4(&m, IP_TCP, 0);
	m.at[16] = m.at[17] = 0;
	put_tcp(&m, TCP_ACK, 0);
	put_many(&m, 'x', 3000);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	CHECK_EQ(packet.ip_bytes, 3040);
	CHECK_EQ(packet.payload_bytes, 3000);

	m.n = 0;
	put_ethernet(&m, 0x86dd);
	put_ipv6(&m, IP_TCP, 0);
	put_tcp(&m, TCP_ACK, 0);
	put_many(&m, 'x', 3000);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	CHECK_EQ(packet.ip_bytes, 3060);
	CHECK_EQ(packet.payload_bytes, 3000);
}

static void
test_ip_headers_that_cannot_be_are_refused(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet_syn(&m);
	m.at[14] = 0x44;		/* shorter than a header */
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_IP_HEADER);
	m.at[14] = 0x55;		/* no such version */
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_IP_HEADER);
	m.at[14] = 0x45;
	m.at[17] = 19;			/* total below the header */
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_IP_HEADER);
	CHECK_EQ(packet.ip_version, 0);
}

static void
test_the_ip_header_gives_its_flag_and_its_checksum(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet_syn(&m);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	CHECK(packet.ip_checksum_bad);
	m.at[20] = 0;
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	CHECK(!packet.df);
	m.at[20] = 0x40;
	m.at[24] = 0x14;		/* 0x4500+0x28+0x1234+..., by hand */
	m.at[25] = 0x9a;
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	CHECK(!packet.ip_checksum_bad);
}

static void
test_vlan_tags_are_counted_and_two_are_kept(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet(&m, 0x88a8);
	put16(&m, 0xa064);		/* priority 5, id 100 */
	put16(&m, 0x9100);
	put16(&m, 200);
	put16(&m, 0x8100);
	put16(&m, 300);
	put16(&m, 0x0800);
	check_syn_behind(&m, ETHERNET);
	CHECK_EQ(packet.vlan_count, 3);
	CHECK_EQ(packet.vlan[0], 100);
	CHECK_EQ(packet.vlan[1], 200);
}

static void
test_llc_and_snap_lead_to_ip(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet(&m, 8 + SYN_BYTES);
	put32(&m, 0xaaaa0300);
	put32(&m, 0x00000800);
	check_syn_behind(&m, ETHERNET);

	m.n = 0;
	put_ethernet(&m, 3 + SYN_BYTES);
	put8(&m, 6);
	put8(&m, 6);
	put8(&m, 3);
	check_syn_behind(&m, ETHERNET);

	m.n = 0;			/* a vendor's own numbers */
	put_ethernet(&m, 8 + SYN_BYTES);
	put32(&m, 0xaaaa0300);
	put32(&m, 0x000c0800);
	put_syn(&m);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_NON_IP);
	m.at[17] = 1;
	m.at[19] = 0;
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_NON_IP);

	m.n = 0;			/* spanning tree */
	put_ethernet(&m, 3);
	put8(&m, 0x42);
	put8(&m, 0x42);
	put8(&m, 3);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_NON_IP);
}

static void
test_other_tags_before_ip_are_passed(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet(&m, 0x8909);	/* Cisco metadata */
	put32(&m, 0x01010001);
	put16(&m, 5);
	put16(&m, 0x0800);
	check_syn_behind(&m, ETHERNET);

	m.n = 0;
	put_ethernet(&m, 0x8926);	/* VNTAG, with a VLAN inside */
	put32(&m, 0);
	put16(&m, 0x8100);
	put16(&m, 7);
	put16(&m, 0x0800);
	check_syn_behind(&m, ETHERNET);
	CHECK_EQ(packet.vlan[0], 7);

	m.n = 0;
	put_ethernet(&m, 0x893f);	/* 802.1BR */
	put_many(&m, 0, 6);
	put16(&m, 0x0800);
	check_syn_behind(&m, ETHERNET);

	m.n = 0;
	put_ethernet(&m, 0x88e7);	/* 802.1ah: the outer addresses stay */
	put32(&m, 77);
	put_many(&m, 9, 12);
	put16(&m, 0x0800);
	check_syn_behind(&m, ETHERNET);
	CHECK_MEM(packet.src_mac, "\4\4\4\4\4\4", 6);
}

static void
test_pppoe_sessions_carry_ip(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet(&m, 0x8864);
	put16(&m, 0x1100);
	put16(&m, 1);
	put16(&m, 2 + SYN_BYTES);
	put16(&m, 0x0021);
	check_syn_behind(&m, ETHERNET);
	CHECK_EQ(packet.tunnels, TUNNEL_PPPOE);

	m.n = 0;
	put16(&m, 0x1100);
	put16(&m, 1);
	put16(&m, 2 + SYN_BYTES);
	put16(&m, 0x0021);
	check_syn_behind(&m, PPP_ETHER);
}

static void
test_ppp_may_leave_out_what_it_can(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put32(&m, 0xff030021);
	check_syn_behind(&m, PPP);
	m.n = 0;
	put16(&m, 0x0021);
	check_syn_behind(&m, PPP);
	m.n = 0;
	put8(&m, 0x21);
	check_syn_behind(&m, PPP);
	m.n = 0;
	put16(&m, 0xff03);
	put8(&m, 0x21);
	check_syn_behind(&m, PPP_SERIAL);
	m.n = 0;
	put32(&m, 0x0f000800);		/* Cisco's framing instead */
	check_syn_behind(&m, PPP_SERIAL);
	m.n = 0;
	put32(&m, 0x8f000800);
	check_syn_behind(&m, C_HDLC);
	m.n = 0;
	put16(&m, 0xc021);		/* LCP */
	put32(&m, 0x01010004);
	CHECK_EQ(decode_all(&m, PPP), DECODE_NON_IP);
}

static void
test_mpls_is_followed_by_what_its_first_nibble_says(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ethernet(&m, 0x8847);
	put32(&m, 0x00010040);		/* two labels, the second the last */
	put32(&m, 0x00020140);
	check_syn_behind(&m, ETHERNET);
	CHECK_EQ(packet.tunnels, TUNNEL_MPLS);

	m.n = 0;			/* Ethernet behind a control word */
	put_ethernet(&m, 0x8847);
	put32(&m, 0x00010140);
	put32(&m, 0);
	put_ethernet_syn(&m);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	check_syn();

	m.n = 0;			/* and without one */
	put_ethernet(&m, 0x8847);
	put32(&m, 0x00010140);
	put_ethernet_syn(&m);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	check_syn();

	m.n = 0;			/* what it is not said to be, it is not */
	put_ethernet(&m, 0x8847);
	put32(&m, 0x00010140);
	put_many(&m, 0x99, 60);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_NON_IP);
}

static void
test_loopback_families_are_read_in_either_byte_order(void **state)
{
	static const unsigned ipv6_families[] = { 24, 28, 30 };
	struct maker m = { .n = 0 };

	(void)state;
	put32(&m, 0x02000000);
	check_syn_behind(&m, NULL_LOOPBACK);
	CHECK(!packet.has_mac);
	m.n = 0;
	put32(&m, 2);
	check_syn_behind(&m, NULL_LOOPBACK);
	m.n = 0;
	put32(&m, 2);
	check_syn_behind(&m, LOOP);
	for (int i = 0; i < 3; i++) {
		m.n = 0;
		put32(&m, ipv6_families[i] << 24);
		put_ipv6(&m, IP_TCP, 20);
		put_tcp(&m, TCP_SYN, 0);
		CHECK_EQ(decode_all(&m, NULL_LOOPBACK), DECODE_OK);
		CHECK(packet_is_tcp(&packet));
	}
	m.n = 0;
	put32(&m, 0x63000000);
	put_many(&m, 0x45, 40);
	CHECK_EQ(decode_all(&m, NULL_LOOPBACK), DECODE_NON_IP);
}

static void
test_linux_cooked_captures_give_the_senders_address(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put16(&m, 0);
	put16(&m, 1);
	put16(&m, 6);
	put_many(&m, 4, 6);
	put16(&m, 0);
	put16(&m, 0x0800);
	check_syn_behind(&m, LINUX_SLL);
	CHECK(packet.has_mac);
	CHECK_MEM(packet.src_mac, "\4\4\4\4\4\4", 6);
	CHECK_MEM(packet.dst_mac, "\0\0\0\0\0\0", 6);

	m.n = 0;
	put16(&m, 0x0800);
	put16(&m, 0);
	put32(&m, 3);
	put16(&m, 1);
	put8(&m, 4);
	put8(&m, 6);
	put_many(&m, 4, 6);
	put16(&m, 0);
	check_syn_behind(&m, LINUX_SLL2);
	CHECK_MEM(packet.src_mac, "\4\4\4\4\4\4", 6);
}

static void
test_raw_frames_are_told_apart_by_their_version(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	check_syn_behind(&m, RAW);
	CHECK_EQ(decode_all(&m, IPV4), DECODE_OK);
	m.n = 0;
	put_ipv6(&m, IP_TCP, 20);
	put_tcp(&m, TCP_SYN, 0);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.ip_version, 6);
	CHECK(packet_is_tcp(&packet));
	CHECK_EQ(decode_all(&m, IPV6), DECODE_OK);
}

/* From a station through the access point: 802.11 data, QoS, then LLC. */
static void
put_wlan(struct maker *m, unsigned flags)
{
	put8(m, 0x88);
	put8(m, flags);
	put16(m, 0);
	put_many(m, 1, 6);
	put_many(m, 2, 6);
	put_many(m, 3, 6);
	put16(m, 0);
	put16(m, 0);
	put32(m, 0xaaaa0300);
	put32(m, 0x00000800);
}

static void
test_wireless_data_is_read_unless_it_is_protected(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_wlan(&m, 1);
	check_syn_behind(&m, WLAN);
	CHECK_MEM(packet.src_mac, "\2\2\2\2\2\2", 6);
	CHECK_MEM(packet.dst_mac, "\3\3\3\3\3\3", 6);

	m.n = 0;
	put_wlan(&m, 0x42);		/* from the access point, encrypted */
	put_syn(&m);
	CHECK_EQ(decode_all(&m, WLAN), DECODE_NON_IP);

	m.n = 0;			/* radiotap: flags behind a TSFT */
	put32(&m, 0x00001900);
	put32(&m, 0x03000080);
	put32(&m, 0);			/* a second word of what is present */
	put32(&m, 0);			/* to a multiple of eight */
	put32(&m, 0);
	put32(&m, 0);
	put8(&m, 0x10);
	put_wlan(&m, 2);
	check_syn_behind(&m, RADIOTAP);
	CHECK_MEM(packet.dst_mac, "\1\1\1\1\1\1", 6);
}

static void
test_a_link_type_we_do_not_read_is_named_as_such(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_many(&m, 0x45, 60);
	CHECK_EQ(decode_all(&m, PFLOG), DECODE_LINK_TYPE);
	CHECK_EQ(decode_all(&m, 147), DECODE_LINK_TYPE);
	CHECK_EQ(decode_all(&m, -1), DECODE_LINK_TYPE);
}

static void
test_gre_carries_ip_with_every_optional_field(void **state)
{
	struct maker m;

	(void)state;
	for (unsigned flags = 0; flags < 8; flags++) {
		unsigned words = (flags & 1) + (flags >> 1 & 1) + (flags >> 2);

		m.n = 0;
		put_ipv4(&m, IP_GRE, 4 + words * 4 + SYN_BYTES);
		put16(&m, (flags & 1 ? 0x8000 : 0) | (flags & 2 ? 0x2000 : 0) |
		    (flags & 4 ? 0x1000 : 0));
		put16(&m, 0x0800);
		for (unsigned i = 0; i < words; i++)
			put32(&m, 99);
		check_syn_behind(&m, RAW);
		CHECK_EQ(packet.tunnels, TUNNEL_GRE);
		CHECK_EQ(packet.tunnel_id, flags & 2 ? 99 : 0);
	}
}

static void
test_bridged_frames_in_gre_are_read(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_GRE, 4 + ETHERNET_SYN_BYTES);
	put16(&m, 0);
	put16(&m, 0x6558);
	put_ethernet_syn(&m);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	check_syn();
}

/* The mirrored frame has the addresses that matter. */
static void
test_erspan_gives_the_mirrored_frame(void **state)
{
	struct maker m = { .n = 0 };
	static const unsigned header_bytes[] = { 0, 8, 12, 20 };

	(void)state;
	for (int type = 0; type < 4; type++) {
		unsigned n = (type ? 8 : 4) + header_bytes[type];

		m.n = 0;
		put_many(&m, 9, 12);
		put16(&m, 0x8100);
		put16(&m, 55);
		put16(&m, 0x0800);
		put_ipv4(&m, IP_GRE, n + ETHERNET_SYN_BYTES);
		put16(&m, type ? 0x1000 : 0);
		put16(&m, type < 2 ? 0x88be : 0x22eb);
		if (type)
			put32(&m, 1);			/* sequence */
		if (type == 1) {
			put32(&m, 0x10000123);
			put32(&m, 0);
		} else if (type > 1) {
			put32(&m, 0x20000123);
			put32(&m, 0);
			put32(&m, type == 3);
			put_many(&m, 0, type == 3 ? 8 : 0);
		}
		put_ethernet_syn(&m);
		CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
		check_syn();
		CHECK(packet.tunnels & TUNNEL_ERSPAN);
		CHECK_EQ(packet.tunnel_id, type ? 0x123 : 0);
		CHECK_MEM(packet.src_mac, "\4\4\4\4\4\4", 6);
		CHECK_EQ(packet.vlan_count, 0);
	}
}

static void
test_tzsp_gives_the_mirrored_frame(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_many(&m, 9, 12);
	put16(&m, 0x0800);
	put_ipv4(&m, IP_UDP, 8 + 9 + ETHERNET_SYN_BYTES);
	put_udp(&m, 37008, 9 + ETHERNET_SYN_BYTES);
	put32(&m, 0x01000001);
	put8(&m, 0);			/* padding, a tag, the end */
	put8(&m, 10);
	put8(&m, 1);
	put8(&m, 0xff);
	put8(&m, 1);
	put_ethernet_syn(&m);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	check_syn();
	CHECK_MEM(packet.src_mac, "\4\4\4\4\4\4", 6);
}

static void
test_pptp_carries_ppp_and_acknowledges(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_GRE, 16 + 4 + SYN_BYTES);
	put32(&m, 0x3081880b);
	put16(&m, 4 + SYN_BYTES);
	put16(&m, 77);
	put32(&m, 5);
	put32(&m, 4);
	put32(&m, 0xff030021);
	check_syn_behind(&m, RAW);
	CHECK(packet.tunnels & TUNNEL_PPTP);
	CHECK_EQ(packet.tunnel_id, 77);

	m.n = 0;
	put_ipv4(&m, IP_GRE, 12);
	put32(&m, 0x2081880b);
	put16(&m, 0);
	put16(&m, 77);
	put32(&m, 4);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.protocol, IP_GRE);
	CHECK_EQ(packet.ip_version, 4);
	CHECK(packet.tunnels & TUNNEL_PPTP);
	CHECK_EQ(packet.tunnel_id, 77);
}

static void
test_encrypted_ppp_leaves_the_tunnel_as_the_packet(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_GRE, 12 + 42);
	put32(&m, 0x3001880b);
	put16(&m, 42);
	put16(&m, 77);
	put32(&m, 5);
	put16(&m, 0x00fd);		/* MPPE (RFC 3078) */
	put_many(&m, 0x45, 40);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.protocol, IP_GRE);
	CHECK(!packet.has_transport);
	CHECK(packet.tunnels & TUNNEL_PPTP);
	CHECK_EQ(packet.payload_bytes, 54);
}

/* Up to the VNI both are: flags or options, protocol or reserved, VNI. */
static void
test_vxlan_and_geneve_give_the_inner_packet_and_the_outer_checksum(void **state)
{
	static const struct {
		unsigned port, kind;
		uint32_t first;
		unsigned options;
	} tunnel[] = {
		{ 4789, TUNNEL_VXLAN, 0x08000000, 0 },
		{ 8472, TUNNEL_VXLAN, 0x08000000, 0 },
		{ 4790, TUNNEL_VXLAN, 0x0c000003, 0 },
		{ 6081, TUNNEL_GENEVE, 0x00006558, 0 },
		{ 6081, TUNNEL_GENEVE, 0x02006558, 8 },
	};
	struct maker m;

	(void)state;
	for (size_t i = 0; i < sizeof(tunnel) / sizeof(tunnel[0]); i++) {
		unsigned n = 8 + tunnel[i].options + ETHERNET_SYN_BYTES;

		m.n = 0;
		put_ethernet(&m, 0x0800);
		put_ipv4(&m, IP_UDP, 8 + n);
		put_udp(&m, tunnel[i].port, n);
		m.at[40] = 0xbe;		/* a checksum, and no good one */
		put32(&m, tunnel[i].first);
		put32(&m, 0x12345600);
		put_many(&m, 0, tunnel[i].options);
		put_ethernet_syn(&m);
		CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
		check_syn();
		CHECK_EQ(packet.tunnels, tunnel[i].kind);
		CHECK_EQ(packet.tunnel_id, 0x123456);
		CHECK_EQ(packet.outer_udp, CHECKSUM_BAD);
	}
}

static void
test_a_tunnel_port_with_something_else_on_it_stays_udp(void **state)
{
	static const unsigned ports[] = { 4789, 8472, 4790, 6081, 2152, 1701,
		3544, 4754, 6635, 37008 };
	struct maker m;

	(void)state;
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		for (unsigned fill = 0; fill < 256; fill++) {
			m.n = 0;
			put_ipv4(&m, IP_UDP, 68);
			put_udp(&m, ports[i], 60);
			put_many(&m, fill, 60);
			(void)decode_all(&m, RAW);
			if (packet.protocol != IP_UDP)
				continue;	/* 0x45.. may pass for IP */
			CHECK(packet.has_transport);
			CHECK_EQ(packet.dport, ports[i]);
			CHECK_EQ(packet.payload_bytes, 60);
			CHECK_EQ(packet.tunnels, 0);
		}
	}
}

static void
test_a_tunnel_cut_before_its_packet_is_the_packet(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_GRE, 4 + SYN_BYTES);
	put32(&m, 0x00000800);
	put_syn(&m);
	for (size_t n = 24; n < 44; n++) {
		CHECK_EQ(decode_part(&m, RAW, n), DECODE_TRUNCATED);
		CHECK_EQ(packet.protocol, IP_GRE);
		CHECK_EQ(packet.payload_bytes, 44);
	}
	CHECK_EQ(decode_part(&m, RAW, 44), DECODE_TRUNCATED);
	CHECK_EQ(packet.protocol, IP_TCP);
}

static void
test_ip_in_ip_is_followed_both_ways(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_IPIP, SYN_BYTES);
	check_syn_behind(&m, RAW);
	CHECK_EQ(packet.tunnels, TUNNEL_IPIP);
	CHECK_EQ(packet.tunnel_id, 0);
	m.n = 0;
	put_ipv6(&m, IP_IPIP, SYN_BYTES);
	check_syn_behind(&m, RAW);
	m.n = 0;
	put_ipv4(&m, IP_IPV6, 60);
	put_ipv6(&m, IP_TCP, 20);
	put_tcp(&m, TCP_SYN, 0);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.ip_version, 6);
	CHECK_EQ(packet.ip_id, 0);
	CHECK(!packet.df);
	CHECK(packet_is_tcp(&packet));
}

static void
test_tunnels_in_udp_that_phones_and_homes_use_are_followed(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_UDP, 8 + 16 + SYN_BYTES);
	put_udp(&m, 2152, 16 + SYN_BYTES);	/* GTP-U with an extension */
	put16(&m, 0x34ff);
	put16(&m, 8 + SYN_BYTES);
	put32(&m, 4711);
	put32(&m, 0x00000085);
	put32(&m, 0x01100100);
	check_syn_behind(&m, RAW);
	CHECK_EQ(packet.tunnel_id, 4711);
	CHECK_EQ(packet.tunnels, TUNNEL_OTHER);

	m.n = 0;
	put_ipv4(&m, IP_UDP, 8 + 12 + SYN_BYTES);
	put_udp(&m, 1701, 12 + SYN_BYTES);	/* L2TP with a length */
	put16(&m, 0x4002);
	put16(&m, 12 + SYN_BYTES);
	put32(&m, 0x00010002);
	put32(&m, 0xff030021);
	check_syn_behind(&m, RAW);

	m.n = 0;
	put_ipv4(&m, IP_UDP, 8 + 8 + 60);
	put_udp(&m, 3544, 8 + 60);		/* Teredo with an origin */
	put32(&m, 0);
	put32(&m, 0);
	put_ipv6(&m, IP_TCP, 20);
	put_tcp(&m, TCP_SYN, 0);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.ip_version, 6);
	CHECK(packet_is_tcp(&packet));
}

static void
test_gre_and_mpls_may_travel_in_udp(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_UDP, 8 + 4 + SYN_BYTES);
	put_udp(&m, 4754, 4 + SYN_BYTES);
	put32(&m, 0x00000800);
	check_syn_behind(&m, RAW);
	CHECK_EQ(packet.tunnels, TUNNEL_GRE);
	m.n = 0;
	put_ipv4(&m, IP_UDP, 8 + 4 + SYN_BYTES);
	put_udp(&m, 6635, 4 + SYN_BYTES);
	put32(&m, 0x00010140);
	check_syn_behind(&m, RAW);
	CHECK_EQ(packet.tunnels, TUNNEL_MPLS);
}

static void
test_tunnels_without_end_are_given_up(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	for (unsigned left = 40; left; left--)
		put_ipv4(&m, IP_IPIP, (left - 1) * 20 + SYN_BYTES);
	put_syn(&m);
	CHECK_EQ(decode_all(&m, RAW), DECODE_TOO_DEEP);
	CHECK_EQ(packet.protocol, IP_IPIP);

	m.n = 0;			/* frames in frames */
	for (unsigned i = 0; i < 200; i++)
		put_ethernet(&m, 0x6558);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_TOO_DEEP);

	m.n = 0;			/* SNAP in SNAP, by lengths */
	put_ethernet(&m, 1000);
	for (unsigned i = 0; i < 100; i++) {
		put32(&m, 0xaaaa0300);
		put16(&m, 0);
		put16(&m, 1000);
	}
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_TOO_DEEP);
}

static void
test_extension_headers_are_passed_to_the_transport(void **state)
{
	static const unsigned kinds[] = { 0, 43, 60, 135, 51 };
	struct maker m = { .n = 0 };
	size_t count = sizeof(kinds) / sizeof(kinds[0]);

	(void)state;
	put_ipv6(&m, kinds[0], (unsigned)count * 16 + 20);
	for (size_t i = 0; i < count; i++) {
		put8(&m, i + 1 < count ? kinds[i + 1] : IP_TCP);
		put8(&m, kinds[i] == 51 ? 2 : 1);	/* both are 16 bytes */
		put_many(&m, 0, 14);
	}
	put_tcp(&m, TCP_SYN, 0);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK(packet_is_tcp(&packet));
	CHECK_EQ(packet.dport, 445);
	for (size_t n = 40; n < 120; n++) {
		CHECK_EQ(decode_part(&m, RAW, n), DECODE_TRUNCATED);
		CHECK_EQ(packet.ip_version, 6);
		CHECK(!packet.has_transport);
	}
}

static void
test_an_authentication_header_is_passed_in_ipv4_too(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, 51, 24 + 20);
	put8(&m, IP_TCP);
	put8(&m, 4);
	put_many(&m, 0, 22);
	put_tcp(&m, TCP_SYN, 0);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	check_syn();
}

static void
test_a_jumbo_payload_has_its_length_in_an_option(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv6(&m, 0, 0);
	put16(&m, IP_TCP << 8);
	put16(&m, 0xc204);
	put32(&m, 8 + 20 + 5);
	put_tcp(&m, TCP_ACK, 0);
	put_text(&m, "abcde and what is not in it");
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.payload_bytes, 5);

	m.n = 0;			/* UDP then says 0 (RFC 2675, 4) */
	put_ipv6(&m, IP_UDP, 8 + 10);
	put_udp(&m, 53, 10);
	m.at[44] = m.at[45] = 0;
	put_many(&m, 1, 10);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.payload_bytes, 10);
}

/* The checksum is over the last address, wherever the packet is headed now. */
static void
test_source_routes_lead_to_the_last_address(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_TCP, 12 + 20);
	m.at[0] = 0x48;
	put8(&m, 1);
	put8(&m, 131);			/* loose source route, two to go */
	put8(&m, 11);
	put8(&m, 4);
	put32(&m, 0x0a000063);
	put32(&m, 0x0a000009);
	put_tcp(&m, TCP_SYN, 0);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK(address_v4(&packet.dst) == 0x0a000009);
	m.at[21] = 137;			/* or strict */
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK(address_v4(&packet.dst) == 0x0a000009);
	m.at[21] = 7;			/* but not a record of the route */
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK(address_v4(&packet.dst) == 0x0a000002);
	m.at[21] = 131;
	m.at[23] = 12;			/* the route has been gone */
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK(address_v4(&packet.dst) == 0x0a000002);

	m.n = 0;
	put_ipv6(&m, 43, 24 + 20);
	put8(&m, IP_TCP);
	put8(&m, 2);
	put8(&m, 0);
	put8(&m, 1);			/* one segment left */
	put32(&m, 0);
	put_many(&m, 0xab, 16);
	put_tcp(&m, TCP_SYN, 0);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.dst.octet[0], 0xab);
	m.at[43] = 0;			/* none left */
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.dst.octet[0], 0x20);
}

static void
test_a_mobile_nodes_home_address_is_its_source(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv6(&m, 60, 24 + 20);
	put8(&m, IP_TCP);
	put8(&m, 2);
	put8(&m, 1);			/* padding of two octets in all */
	put8(&m, 0);
	put8(&m, 0);
	put8(&m, 0);			/* and two of one */
	put16(&m, 0xc910);
	put_many(&m, 0xcd, 16);
	put_tcp(&m, TCP_SYN, 0);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.src.octet[0], 0xcd);
}

static void
test_fragments_come_back_without_a_transport(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_TCP, 24);
	m.at[6] = 0x20;			/* more to come */
	m.at[7] = 3;
	put_tcp(&m, TCP_SYN, 0);
	put32(&m, 0);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK(packet.is_fragment);
	CHECK(packet.more_fragments);
	CHECK(!packet.has_transport);
	CHECK_EQ(packet.protocol, IP_TCP);
	CHECK_EQ(packet.fragment_id, 0x1234);
	CHECK_EQ(packet.fragment_offset, 24);
	CHECK_EQ(packet.payload_bytes, 24);
	CHECK_EQ(packet.transport.left, 24);

	m.n = 0;
	put_ipv6(&m, 44, 8 + 24);
	put16(&m, IP_TCP << 8);
	put16(&m, 0x0018);		/* offset 24, the last */
	put32(&m, 0xdeadbeef);
	put_tcp(&m, TCP_SYN, 0);
	put32(&m, 0);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK(packet.is_fragment);
	CHECK(!packet.more_fragments);
	CHECK_EQ(packet.fragment_offset, 24);
	CHECK(packet.fragment_id == 0xdeadbeef);
	CHECK_EQ(packet.protocol, IP_TCP);

	m.at[43] = 0;			/* the only one: whole */
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK(!packet.is_fragment);
	CHECK(packet_is_tcp(&packet));
}

static void
put_options(struct maker *m, const uint8_t *options, unsigned n)
{
	m->n = 0;
	put_ipv4(m, IP_TCP, 20 + n);
	put_tcp(m, TCP_SYN, n);
	for (unsigned i = 0; i < n; i++)
		put8(m, options[i]);
}

static void
test_the_usual_options_of_a_syn_are_read(void **state)
{
	static const uint8_t syn[20] = { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0,
		100, 0, 0, 0, 50, 1, 3, 3, 9 };
	struct maker m;

	(void)state;
	put_options(&m, syn, 20);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.tcp_header_bytes, 40);
	CHECK_EQ(packet.options.mss, 1460);
	CHECK(packet.options.sack_permitted);
	CHECK(packet.options.has_timestamps);
	CHECK_EQ(packet.options.ts_value, 100);
	CHECK_EQ(packet.options.ts_echo, 50);
	CHECK(packet.options.has_window_scale);
	CHECK_EQ(packet.options.window_shift, 9);
	CHECK(!packet.options.cut);
}

static void
test_sack_blocks_are_read(void **state)
{
	static const uint8_t sack[20] = { 1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2,
		0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9 };
	struct maker m;

	(void)state;
	put_options(&m, sack, 20);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.options.sack_count, 2);
	CHECK_EQ(packet.options.sack[0].left, 1);
	CHECK_EQ(packet.options.sack[0].right, 2);
	CHECK(packet.options.sack[1].left == UINT32_MAX);
	CHECK_EQ(packet.options.sack[1].right, 9);
}

static void
test_odd_options_do_not_lose_the_segment(void **state)
{
	static const uint8_t odd[][4] = {
		{ 2, 0, 5, 0xb4 },	/* no length can be 0, */
		{ 2, 1, 5, 0xb4 },	/* nor 1 */
		{ 2, 40, 5, 0xb4 },	/* longer than the header */
		{ 2, 3, 5, 0 },		/* not the length it has */
		{ 0, 2, 4, 5 },		/* after the end */
		{ 1, 1, 1, 2 },		/* a kind and no length */
	};
	struct maker m;

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		put_options(&m, odd[i], 4);
		CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
		check_syn();
		CHECK_EQ(packet.options.mss, 0);
	}
}

static void
test_options_cut_off_keep_the_numbers(void **state)
{
	static const uint8_t mss_first[12] = { 2, 4, 5, 0xb4, 8, 10, 0, 0, 0, 1 };
	struct maker m;

	(void)state;
	put_options(&m, mss_first, 12);
	CHECK_EQ(decode_part(&m, RAW, 44), DECODE_TRUNCATED);
	check_syn();
	CHECK_EQ(packet.options.mss, 1460);
	CHECK(!packet.options.has_timestamps);
	CHECK(packet.options.cut);
	CHECK_EQ(packet.payload_bytes, 0);
}

static void
test_tcp_headers_that_cannot_be_are_refused(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_syn(&m);
	m.at[32] = 0x40;		/* 16 bytes */
	CHECK_EQ(decode_all(&m, RAW), DECODE_TRANSPORT);
	CHECK(!packet.has_transport);
	m.at[32] = 0x60;		/* beyond the packet */
	CHECK_EQ(decode_all(&m, RAW), DECODE_TRANSPORT);
	CHECK(!packet.has_transport);
	m.at[3] = 39;			/* the packet ends in the header */
	CHECK_EQ(decode_all(&m, RAW), DECODE_TRANSPORT);
	CHECK(!packet.has_transport);
}

/* The sum over what there is may be right even so. */
static void
test_a_tcp_header_that_goes_on_beyond_the_frame_is_not_summed(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_TCP, 24);
	put_tcp(&m, TCP_ACK, 4);
	m.at[36] = 0x5a;
	m.at[37] = 0x55;
	CHECK_EQ(decode_all(&m, RAW), DECODE_IP_LENGTH);
	CHECK(packet.has_transport);
	CHECK_EQ(packet.checksum, CHECKSUM_GOOD);
	CHECK_EQ(packet.header_sum, 0);
}

static void
test_udp_ends_where_its_own_length_says(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_UDP, 8 + 10);
	put_udp(&m, 53, 4);
	put_many(&m, 1, 10);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK(packet.has_transport);
	CHECK_EQ(packet.payload_bytes, 4);
	CHECK_EQ(packet.checksum, CHECKSUM_UNVERIFIABLE);
	m.at[25] = 7;
	CHECK_EQ(decode_all(&m, RAW), DECODE_TRANSPORT);
	m.at[25] = 99;
	CHECK_EQ(decode_all(&m, RAW), DECODE_TRANSPORT);
	CHECK_EQ(packet.payload_bytes, 10);
}

static void
put_arp(struct maker *m, unsigned operation)
{
	put_ethernet(m, 0x0806);
	put32(m, 0x00010800);
	put16(m, 0x0604);
	put16(m, operation);
	put_many(m, 4, 6);
	put32(m, 0x0a000001);
	put_many(m, 0, 6);
	put32(m, 0x0a000002);
}

static void
test_arp_says_who_asks_for_whom(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_arp(&m, 1);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	CHECK_EQ(packet.arp, ARP_REQUEST);
	CHECK(address_v4(&packet.arp_sender) == 0x0a000001);
	CHECK(address_v4(&packet.arp_target) == 0x0a000002);
	CHECK_MEM(packet.arp_sender_mac, "\4\4\4\4\4\4", 6);
	CHECK_EQ(packet.ip_version, 0);
	CHECK_EQ(decode_part(&m, ETHERNET, 41), DECODE_TRUNCATED);
	m.n = 0;
	put_arp(&m, 2);
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_OK);
	CHECK_EQ(packet.arp, ARP_REPLY);
	m.n = 0;
	put_arp(&m, 8);			/* inverse ARP */
	CHECK_EQ(decode_all(&m, ETHERNET), DECODE_NON_IP);
}

static void
test_neighbour_discovery_reads_like_arp(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv6(&m, IP_ICMPV6, 32);
	put32(&m, 135u << 24);
	put32(&m, 0);
	put_many(&m, 0xaa, 16);
	put16(&m, 0x0101);
	put_many(&m, 7, 6);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.arp, ARP_REQUEST);
	CHECK_EQ(packet.arp_sender.octet[15], 1);
	CHECK_EQ(packet.arp_target.octet[0], 0xaa);
	CHECK_MEM(packet.arp_sender_mac, "\7\7\7\7\7\7", 6);

	m.at[40] = 136;			/* the answer speaks for its target */
	m.at[64] = 2;
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.arp, ARP_REPLY);
	CHECK_EQ(packet.arp_sender.octet[0], 0xaa);
	CHECK_EQ(packet.arp_target.octet[15], 2);
	CHECK_MEM(packet.arp_sender_mac, "\7\7\7\7\7\7", 6);

	m.at[65] = 0;			/* an option without a length */
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_MEM(packet.arp_sender_mac, "\0\0\0\0\0\0", 6);
}

static void
test_echoes_give_their_numbers(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_ICMP, 12);
	put32(&m, 0x08000000);
	put32(&m, 0x00110022);
	put32(&m, 0);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK(packet.has_transport);
	CHECK_EQ(packet.icmp_type, 8);
	CHECK_EQ(packet.icmp_id, 0x11);
	CHECK_EQ(packet.icmp_seq, 0x22);
	CHECK_EQ(packet.payload_bytes, 4);
	m.n = 0;
	put_ipv6(&m, IP_ICMPV6, 8);
	put32(&m, 129u << 24);
	put32(&m, 0x00110022);
	CHECK_EQ(decode_all(&m, RAW), DECODE_OK);
	CHECK_EQ(packet.icmp_type, 129);
	CHECK_EQ(packet.icmp_seq, 0x22);
}

static struct icmp_quote quote;

/* The quote of the first `captured` bytes, in a block of that size. */
static bool
quoted(const struct maker *m, size_t captured)
{
	uint8_t *exact = unit_exact(m->at, captured);
	struct frame f = { .link_type = RAW, .data = exact,
		.captured_bytes = (uint32_t)captured,
		.wire_bytes = (uint32_t)m->n };
	bool found;

	(void)decode_frame(&f, &packet);
	found = decode_icmp_quote(&packet, &quote);
	free(exact);
	return found;
}

static void
test_an_icmp_error_quotes_a_segment(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv4(&m, IP_ICMP, 8 + 28);
	put32(&m, 0x03040000);
	put32(&m, 1400);
	put_ipv4(&m, IP_TCP, 2960);
	put32(&m, 0x040101bd);
	put32(&m, 1000);
	CHECK(quoted(&m, m.n));
	CHECK_EQ(packet.icmp_mtu, 1400);
	CHECK_EQ(quote.ip_bytes, 2980);
	CHECK_EQ(quote.protocol, IP_TCP);
	CHECK_EQ(quote.sport, 1025);
	CHECK_EQ(quote.dport, 445);
	CHECK_EQ(quote.seq, 1000);
	CHECK_EQ(quote.ip_id, 0x1234);
	CHECK(address_v4(&quote.src) == 0x0a000001);
	for (size_t n = 0; n < m.n; n++)
		CHECK(!quoted(&m, n));
	m.at[20] = 8;			/* an echo quotes nothing */
	CHECK(!quoted(&m, m.n));
	m.at[20] = 3;
	m.at[35] = 1;			/* nor does a later fragment have ports */
	CHECK(!quoted(&m, m.n));
}

static void
test_an_icmpv6_error_quotes_a_segment(void **state)
{
	struct maker m = { .n = 0 };

	(void)state;
	put_ipv6(&m, IP_ICMPV6, 8 + 48);
	put32(&m, 2u << 24);
	put32(&m, 100000);
	put_ipv6(&m, IP_TCP, 2960);
	put32(&m, 0x040101bd);
	put32(&m, 1000);
	CHECK(quoted(&m, m.n));
	CHECK_EQ(packet.icmp_mtu, 65535);
	CHECK_EQ(quote.ip_bytes, 3000);
	CHECK_EQ(quote.seq, 1000);
	CHECK_EQ(quote.src.octet[15], 1);
	for (size_t n = 0; n < m.n; n++)
		CHECK(!quoted(&m, n));
}

static void
check_address(const char *text, const char *want)
{
	char out[ADDRESS_TEXT_BYTES];
	struct address a;

	CHECK(address_parse(text, &a));
	CHECK_STR(address_text(&a, out), want);
}

static void
test_addresses_are_printed_as_rfc_5952_wants(void **state)
{
	struct address a;

	(void)state;
	check_address("10.0.255.1", "10.0.255.1");
	check_address("0.0.0.0", "0.0.0.0");
	check_address("::ffff:1.2.3.4", "1.2.3.4");
	check_address("::", "::");
	check_address("::1", "::1");
	check_address("1::", "1::");
	check_address("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
	check_address("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
	check_address("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");
	check_address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	CHECK(!address_parse("10.0.0", &a));
	CHECK(!address_parse("", &a));
	CHECK(!address_parse("host", &a));
}

static void
test_addresses_know_their_kind(void **state)
{
	struct address a, b;

	(void)state;
	a = address_from_v4(0xe0000001);
	CHECK(address_is_multicast(&a));
	a = address_from_v4(UINT32_MAX);
	CHECK(address_is_multicast(&a));
	a = address_from_v4(0x0a63fe01);
	CHECK(!address_is_multicast(&a));
	CHECK_MEM(a.octet + 10, "\xff\xff\x0a\x63\xfe\1", 6);
	CHECK(address_v4(&a) == 0x0a63fe01);
	CHECK(address_parse("ff02::1", &b));
	CHECK(address_is_multicast(&b));
	CHECK(!address_is_v4(&b));
	CHECK_EQ(address_compare(&a, &b), -1);
	CHECK_EQ(address_compare(&b, &a), 1);
	CHECK_EQ(address_compare(&a, &a), 0);
	CHECK(address_parse("::", &b));
	CHECK(address_is_unspecified(&b));
	a = address_from_v4(0);
	CHECK(address_is_unspecified(&a));
}

static void
test_hardware_addresses_are_printed_with_colons(void **state)
{
	static const uint8_t mac[6] = { 0, 0x1b, 0x21, 0xfe, 9, 0xa0 };
	char out[MAC_TEXT_BYTES];

	(void)state;
	CHECK_STR(mac_text(mac, out), "00:1b:21:fe:09:a0");
}

static void
test_every_result_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < DECODE_RESULT_COUNT; i++)
		for (int j = 0; j < i; j++)
			CHECK(strcmp(decode_result_name((enum decode_result)i),
			    decode_result_name((enum decode_result)j)) != 0);
	CHECK_STR(decode_result_name(DECODE_TRUNCATED), "truncated");
	CHECK_STR(decode_result_text(DECODE_TRUNCATED),
	    "the capture kept too few bytes");
	CHECK_STR(decode_result_name(DECODE_RESULT_COUNT), "unknown");
}

UNIT_TESTS(
    cmocka_unit_test(test_a_segment_in_ethernet_is_read_to_its_end),
    cmocka_unit_test(test_ethernet_padding_is_no_payload),
    cmocka_unit_test(test_padding_is_no_payload_of_ipv6_either),
    cmocka_unit_test(test_a_frame_cut_anywhere_says_so),
    cmocka_unit_test(test_a_frame_that_ends_too_early_contradicts_itself),
    cmocka_unit_test(test_an_ip_length_beyond_the_frame_is_told_and_lived_with),
    cmocka_unit_test(test_an_ip_length_of_zero_is_the_frames),
    cmocka_unit_test(test_ip_headers_that_cannot_be_are_refused),
    cmocka_unit_test(test_the_ip_header_gives_its_flag_and_its_checksum),
    cmocka_unit_test(test_vlan_tags_are_counted_and_two_are_kept),
    cmocka_unit_test(test_llc_and_snap_lead_to_ip),
    cmocka_unit_test(test_other_tags_before_ip_are_passed),
    cmocka_unit_test(test_pppoe_sessions_carry_ip),
    cmocka_unit_test(test_ppp_may_leave_out_what_it_can),
    cmocka_unit_test(test_mpls_is_followed_by_what_its_first_nibble_says),
    cmocka_unit_test(test_loopback_families_are_read_in_either_byte_order),
    cmocka_unit_test(test_linux_cooked_captures_give_the_senders_address),
    cmocka_unit_test(test_raw_frames_are_told_apart_by_their_version),
    cmocka_unit_test(test_wireless_data_is_read_unless_it_is_protected),
    cmocka_unit_test(test_a_link_type_we_do_not_read_is_named_as_such),
    cmocka_unit_test(test_gre_carries_ip_with_every_optional_field),
    cmocka_unit_test(test_bridged_frames_in_gre_are_read),
    cmocka_unit_test(test_erspan_gives_the_mirrored_frame),
    cmocka_unit_test(test_tzsp_gives_the_mirrored_frame),
    cmocka_unit_test(test_pptp_carries_ppp_and_acknowledges),
    cmocka_unit_test(test_encrypted_ppp_leaves_the_tunnel_as_the_packet),
    cmocka_unit_test(test_vxlan_and_geneve_give_the_inner_packet_and_the_outer_checksum),
    cmocka_unit_test(test_a_tunnel_port_with_something_else_on_it_stays_udp),
    cmocka_unit_test(test_a_tunnel_cut_before_its_packet_is_the_packet),
    cmocka_unit_test(test_ip_in_ip_is_followed_both_ways),
    cmocka_unit_test(test_tunnels_in_udp_that_phones_and_homes_use_are_followed),
    cmocka_unit_test(test_gre_and_mpls_may_travel_in_udp),
    cmocka_unit_test(test_tunnels_without_end_are_given_up),
    cmocka_unit_test(test_extension_headers_are_passed_to_the_transport),
    cmocka_unit_test(test_an_authentication_header_is_passed_in_ipv4_too),
    cmocka_unit_test(test_a_jumbo_payload_has_its_length_in_an_option),
    cmocka_unit_test(test_source_routes_lead_to_the_last_address),
    cmocka_unit_test(test_a_mobile_nodes_home_address_is_its_source),
    cmocka_unit_test(test_fragments_come_back_without_a_transport),
    cmocka_unit_test(test_the_usual_options_of_a_syn_are_read),
    cmocka_unit_test(test_sack_blocks_are_read),
    cmocka_unit_test(test_odd_options_do_not_lose_the_segment),
    cmocka_unit_test(test_options_cut_off_keep_the_numbers),
    cmocka_unit_test(test_tcp_headers_that_cannot_be_are_refused),
    cmocka_unit_test(
	test_a_tcp_header_that_goes_on_beyond_the_frame_is_not_summed),
    cmocka_unit_test(test_udp_ends_where_its_own_length_says),
    cmocka_unit_test(test_arp_says_who_asks_for_whom),
    cmocka_unit_test(test_neighbour_discovery_reads_like_arp),
    cmocka_unit_test(test_echoes_give_their_numbers),
    cmocka_unit_test(test_an_icmp_error_quotes_a_segment),
    cmocka_unit_test(test_an_icmpv6_error_quotes_a_segment),
    cmocka_unit_test(test_addresses_are_printed_as_rfc_5952_wants),
    cmocka_unit_test(test_addresses_know_their_kind),
    cmocka_unit_test(test_hardware_addresses_are_printed_with_colons),
    cmocka_unit_test(test_every_result_has_a_name_of_its_own),
)
