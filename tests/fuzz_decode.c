/* fuzz_decode.c - any bytes, as a frame of each link type, cut at any place,
 * decoded and defragmented; and by the long way through the layers alone, which
 * says the same.
 *
 * The first byte chooses the link type, the second how much the snap length
 * kept; a small capture works as well: the frames in it are then taken one
 * after another, so that fragments meet. */
#include "capture/decode_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "capture/defrag.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

enum { PCAP_HEADER = 24, FRAMES_MAX = 256, DEFRAG_BYTES = 64 << 10 };

static const int link_types[] = {
	1, 0, 9, 12, 50, 51, 104, 105, 108, 113, 127, 228, 229, 276, 147,
};

enum { LINK_TYPES = sizeof(link_types) / sizeof(link_types[0]) };

/* What every caller relies on. */
static void
check(const struct packet *p)
{
	char text[ADDRESS_TEXT_BYTES];
	struct icmp_quote quote;
	uint8_t sum = 0;

	assert(p->payload.left <= p->payload_bytes);
	assert(p->payload.left <= p->transport.left);
	assert(!p->is_fragment || !p->has_transport);
	assert(!packet_is_tcp(p) || p->tcp_header_bytes >= 20);
	assert(p->options.sack_count <= SACK_BLOCKS_MAX);
	for (size_t i = 0; i < p->payload.left; i++)
		sum ^= p->payload.at[i];
	for (size_t i = 0; i < p->transport.left; i++)
		sum ^= p->transport.at[i];
	(void)decode_icmp_quote(p, &quote);
	assert(strlen(address_text(&p->src, text)) < ADDRESS_TEXT_BYTES);
	/* So that the reads above are not for nothing. */
	assert((sum | 0xff) == 0xff);
}

/* Up to the payload: the rest are copies, and may differ in their gaps. */
static void
check_same(const struct packet *a, const struct packet *b)
{
	assert(memcmp(a, b, offsetof(struct packet, payload)) == 0);
	assert(a->payload.at == b->payload.at);
	assert(a->payload.left == b->payload.left);
	assert(a->transport.at == b->transport.at);
	assert(a->transport.left == b->transport.left);
}

static void
decode(struct defrag *d, struct frame *f)
{
	struct packet p, long_way;
	enum decode_result r = decode_frame(f, &p);

	assert(r < DECODE_RESULT_COUNT);
	assert(r == decode_layers(f, &long_way));
	check_same(&p, &long_way);
	check(&p);
	if (p.is_fragment) {
		assert(!defrag_add(d, &p) || p.reassembled);
		check(&p);
	}
}

/* The block is as long as what was captured, so that AddressSanitizer sees one
 * byte beyond. */
static void
decode_exact(struct defrag *d, struct frame *f, const uint8_t *at, uint32_t n)
{
	uint8_t *exact = malloc(n ? n : 1);

	if (!exact)
		abort();
	if (n)
		memcpy(exact, at, n);
	f->data = exact;
	f->captured_bytes = n;
	decode(d, f);
	free(exact);
}

static void
decode_capture(struct defrag *d, struct bytes b)
{
	struct frame f = { .number = 0 };
	struct bytes data;

	bytes_skip(&b, PCAP_HEADER - 4);
	f.link_type = (int)(bytes_le32(&b) & 0xffff);
	if (f.link_type == 101)
		f.link_type = 12;
	while (b.left && f.number < FRAMES_MAX) {
		f.time.ns = (int64_t)bytes_le32(&b) * NS_PER_S;
		bytes_skip(&b, 4);
		f.captured_bytes = bytes_le32(&b);
		f.wire_bytes = bytes_le32(&b);
		data = bytes_sub_at_most(&b, f.captured_bytes);
		f.number++;
		decode_exact(d, &f, data.at, (uint32_t)data.left);
	}
}

static void
decode_lone_frame(struct defrag *d, struct bytes b)
{
	struct frame f = { .number = 1 };
	uint8_t kind = bytes_u8(&b), kept = bytes_u8(&b);

	f.link_type = link_types[kind % LINK_TYPES];
	f.wire_bytes = (uint32_t)b.left;
	decode_exact(d, &f, b.at, (uint32_t)(b.left * kept / UINT8_MAX));
	f.wire_bytes = 0;
	decode_exact(d, &f, b.at, (uint32_t)b.left);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
	struct defrag *d = defrag_new(DEFRAG_BYTES);
	struct bytes b = bytes_of(at, n), peek = b;

	if (!d)
		abort();
	if (bytes_le32(&peek) == 0xa1b2c3d4)
		decode_capture(d, b);
	else
		decode_lone_frame(d, b);
	defrag_free(&d);
	return 0;
}
