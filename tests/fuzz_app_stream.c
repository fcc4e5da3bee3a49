/* fuzz_app_stream.c - every application parser over TCP, through stream.c and
 * app.c as in the engine.
 *
 * Input: the parser that has the flow (its place in the table; 255: let the
 * bytes name it), the server's port, the largest segment (0: any), then records
 * of two bytes: side (bit 0), missed by the sniffer (bit 1), sent out of order
 * (bit 2), and a length; a length of bytes follows unless they were missed. */
#include "tests/app_rig.h"

enum { RECORD_BYTES = 2, FREE_CHOICE = 255 };

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

static size_t
parser_count(void)
{
	size_t n = 0;

	while (app_parsers[n])
		n++;
	return n;
}

static void
check(const struct rig *r)
{
	struct stream_stats s;
	unsigned waiting = 0;

	for (const struct exchange *x = r->flow->waiting; x; x = x->next)
		waiting++;
	if (waiting != r->flow->waiting_count || waiting > EXCHANGES_PER_FLOW)
		abort();
	stream_pool_stats(r->streams, &s);
	if (s.buffered_now > (size_t)1 << 22)
		abort();
}

static void
converse(struct rig *r, struct bytes b)
{
	while (b.left >= RECORD_BYTES) {
		uint8_t how = bytes_u8(&b);
		uint8_t length = bytes_u8(&b);
		enum side side = how & 1 ? SERVER : CLIENT;
		struct bytes said;

		if (how & 2) {
			rig_miss(r, side, length);
			rig_acked(r, side);
			continue;
		}
		said = bytes_sub_at_most(&b, length);
		if (how & 4)
			r->seq[side] -= length;
		rig_say(r, side, said.at, said.left);
		check(r);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
	struct bytes b = bytes_of(at, n);
	uint8_t choice = bytes_u8(&b);
	uint16_t port = bytes_be16(&b);
	uint8_t cut = bytes_u8(&b);
	struct rig r;

	if (bytes_ran_out(b))
		return 0;
	rig_begin(&r, IP_TCP, port, cut);
	if (choice != FREE_CHOICE) {
		r.flow->app = (uint8_t)app_parsers[choice %
		    parser_count()]->protocol;
		r.flow->app_flags |= FLOW_APP_SETTLED;
	}
	converse(&r, b);
	rig_end(&r);
	return 0;
}
