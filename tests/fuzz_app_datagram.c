/* fuzz_app_datagram.c - every application parser over UDP and GRE, and nDPI
 * behind them.
 *
 * Input: the protocol (bit 0: GRE), the server's port, then records of two
 * bytes: side (bit 0) and a length; as many bytes follow. */
#include "capture/app_ndpi.h"
#include "tests/app_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

static void
say(struct rig *r, struct app_ndpi *ndpi, bool gre, enum side side,
    struct bytes said)
{
	const struct flow *f = r->flow;
	struct packet p = {
		.ip_version = 4, .protocol = gre ? IP_GRE : IP_UDP,
		.has_transport = !gre, .payload_bytes = (uint32_t)said.left,
		.src = f->addr[side], .dst = f->addr[other_side(side)],
		.sport = f->port[side], .dport = f->port[other_side(side)],
	};
	uint8_t *copy = malloc(8 + said.left);
	struct app_context c;

	if (!copy)
		abort();
	memset(copy, 0, 8);		/* a UDP header nDPI can step over */
	copy[0] = (uint8_t)(p.sport >> 8);
	copy[1] = (uint8_t)p.sport;
	copy[2] = (uint8_t)(p.dport >> 8);
	copy[3] = (uint8_t)p.dport;
	copy[5] = (uint8_t)(8 + said.left);
	if (said.left)
		memcpy(copy + 8, said.at, said.left);
	rig_wait(r, RIG_STEP_MS);
	r->frame++;
	c = rig_context(r, side);
	if (gre)
		c.flow = NULL;
	p.time = r->now;
	p.payload = bytes_of(copy + 8, said.left);
	p.transport = gre ? p.payload : bytes_of(copy, 8 + said.left);
	app_datagram(&c, &p);
	if (!gre && ndpi && app_ndpi_wants(r->flow))
		app_ndpi_packet(ndpi, r->flow, &p);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
	static struct app_ndpi *ndpi;
	struct bytes b = bytes_of(at, n);
	bool gre = bytes_u8(&b) & 1;
	uint16_t port = bytes_be16(&b);
	struct rig r;

	if (bytes_ran_out(b))
		return 0;
	if (!ndpi)
		ndpi = app_ndpi_new(16);
	rig_begin(&r, IP_UDP, port, 0);
	while (b.left) {
		enum side side = bytes_u8(&b) & 1 ? SERVER : CLIENT;
		uint8_t length = bytes_u8(&b);

		say(&r, ndpi, gre, side, bytes_sub_at_most(&b, length));
	}
	if (ndpi)
		app_ndpi_forget(ndpi, r.flow);
	rig_end(&r);
	return 0;
}
