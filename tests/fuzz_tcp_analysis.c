/* fuzz_tcp_analysis.c - packets scripted from bytes, eight to a packet.
 *
 * Numbers are chosen around those that the rules compare (what was sent and
 * acknowledged last, and half the number space away from that), since numbers
 * drawn blindly would meet no rule but "lost". Two conversations take turns;
 * one of them is also played on its own, and must be told the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "capture/tcp_analysis.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

struct side {
	uint32_t next, ack;
};

struct script {
	struct bytes left;
	struct side side[2][2];		/* by conversation, by sender */
	struct instant now;
};

/* `base`, or something near it or far from it. */
static uint32_t
number_near(uint32_t base, uint8_t choice, uint8_t by)
{
	static const uint32_t off[] = { 0, 0, 0, UINT32_MAX, 1, UINT32_MAX - 99,
	    100, UINT32_C(1) << 31, (UINT32_C(1) << 31) - 1, 65536 };

	return base + off[choice % (sizeof(off) / sizeof(off[0]))] +
	    (choice & 0x80 ? by : 0);
}

static int64_t
pause_of(uint8_t choice)
{
	static const int64_t ns[] = { 0, 1, NS_PER_MS, 3 * NS_PER_MS - 1,
	    3 * NS_PER_MS, 20 * NS_PER_MS - 1, 20 * NS_PER_MS, NS_PER_S,
	    -1, -NS_PER_S };

	return ns[choice % (sizeof(ns) / sizeof(ns[0]))];
}

/* The next packet; which conversation it is of. */
static unsigned
script_packet(struct script *s, struct packet *p)
{
	static const uint16_t window[] = { 0, 1, 100, 1000, 65535 };
	static const uint32_t length[] = { 0, 0, 1, 2, 100, 1460, 65535 };
	uint8_t who = bytes_u8(&s->left), flags = bytes_u8(&s->left);
	uint8_t seq_choice = bytes_u8(&s->left), ack_choice = bytes_u8(&s->left);
	uint8_t by = bytes_u8(&s->left), sizes = bytes_u8(&s->left);
	uint8_t option = bytes_u8(&s->left), wait = bytes_u8(&s->left);
	unsigned talk = who & 1, from = who >> 1 & 1;
	struct side *own = &s->side[talk][from], *peer = &s->side[talk][!from];

	s->now = instant_plus(s->now, pause_of(wait));
	*p = (struct packet){
		.time = s->now, .protocol = IP_TCP, .has_transport = true,
		.ip_version = 4, .tcp_flags = flags, .tcp_header_bytes = 20,
		.src = address_from_v4(from ? 1 : 2),
		.dst = address_from_v4(from ? 2 : 1),
		.sport = (uint16_t)(from ? 80 : 2000 + talk),
		.dport = (uint16_t)(from ? 2000 + talk : 80),
		.seq = number_near(own->next, seq_choice, by),
		.ack = number_near(peer->next, ack_choice, by),
		.window = window[sizes % 5],
		.payload_bytes = length[sizes / 5 % 7],
	};
	if (who & 4)
		p->ack = own->ack;	/* the same once more */
	p->options.has_window_scale = option & 1;
	p->options.window_shift = option >> 4;
	p->options.cut = (option & 0x0e) == 0x0e;
	if (option & 2) {		/* what follows, as if it were options */
		p->tcp_header_bytes = (uint8_t)(20 + (option >> 4) * 2);
		p->transport = s->left;
	}
	own->next = p->seq + p->payload_bytes + !!(flags & (TCP_SYN | TCP_FIN));
	own->ack = p->ack;
	return talk;
}

static void
check_flags(uint32_t f)
{
	const uint32_t kinds = TCP_ANALYSIS_FAST_RETRANSMISSION |
	    TCP_ANALYSIS_SPURIOUS_RETRANSMISSION;

	if (f >> TCP_ANALYSIS_COUNT)
		abort();
	if (f & kinds && !(f & TCP_ANALYSIS_RETRANSMISSION))
		abort();
	if ((f & kinds) == kinds)
		abort();
	if (f & TCP_ANALYSIS_OUT_OF_ORDER && f & TCP_ANALYSIS_RETRANSMISSION)
		abort();
	if (f & TCP_ANALYSIS_DUPLICATE_ACK && f & TCP_ANALYSIS_KEEP_ALIVE_ACK)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
	struct tcp_analysis *alone = tcp_analysis_new(), *both = tcp_analysis_new();
	struct script s = { .left = bytes_of(at, n),
		.now = { 1000 * NS_PER_S } };
	struct packet p;

	if (!alone || !both)
		abort();
	while (s.left.left) {
		unsigned talk = script_packet(&s, &p);
		uint32_t found = tcp_analysis_packet(both, &p);

		check_flags(found);
		if (!talk && tcp_analysis_packet(alone, &p) != found)
			abort();
	}
	tcp_analysis_free(&alone);
	tcp_analysis_free(&both);
	return 0;
}
