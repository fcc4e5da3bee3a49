/* decode.c - the way into the decoder, and the names of what it can say.
 *
 * The hard part of decoding is to know, at each layer, three lengths that need
 * not agree: what the header claims, what was on the wire, and what the
 * capture kept. struct walk (decode_internal.h) carries the last two down, and
 * each layer narrows them by the first. */
#include "capture/decode.h"

#include <string.h>

#include "capture/decode_internal.h"

/* In steps of a constant size: a compiler makes a few stores of those, and of
 * the whole an instruction that takes its time to start. */
static inline void
clear(struct packet *p)
{
	enum { STEP = 64 };
	char *at = (char *)p;
	size_t left = sizeof(*p);

	for (; left >= STEP; left -= STEP, at += STEP)
		memset(at, 0, STEP);
	memset(at, 0, sizeof(*p) % STEP);
}

static inline struct walk
begin(const struct frame *f, struct packet *p)
{
	struct walk w = { .p = p, .b = bytes_of(f->data, f->captured_bytes) };

	clear(p);
	p->time = f->time;
	p->frame = f->number;
	p->file = f->file;
	p->interface = f->interface;
	p->captured_bytes = f->captured_bytes;
	p->wire_bytes = f->wire_bytes;
	if (p->wire_bytes < p->captured_bytes)
		p->wire_bytes = p->captured_bytes;
	w.cut = p->wire_bytes - p->captured_bytes;
	return w;
}

enum decode_result
decode_layers(const struct frame *f, struct packet *p)
{
	struct walk w = begin(f, p);

	return decode_link(&w, f->link_type);
}

enum decode_result
decode_frame(const struct frame *f, struct packet *p)
{
	struct walk w = begin(f, p);

	if (!decode_plain(&w, f->link_type))
		return decode_link(&w, f->link_type);
	return decode_protocol(&w, p->protocol);
}

enum decode_result
decode_transport(struct packet *p, struct bytes ip_payload)
{
	struct walk w = { .p = p, .b = ip_payload };

	return decode_ip_payload(&w, p->protocol);
}

const char *
decode_result_name(enum decode_result r)
{
	static const char *const names[] = {
#define X(id, slug, text) [DECODE_##id] = slug,
		DECODE_RESULTS(X)
#undef X
	};

	return r < DECODE_RESULT_COUNT ? names[r] : "unknown";
}

const char *
decode_result_text(enum decode_result r)
{
	static const char *const texts[] = {
#define X(id, slug, text) [DECODE_##id] = text,
		DECODE_RESULTS(X)
#undef X
	};

	return r < DECODE_RESULT_COUNT ? texts[r] : "unknown";
}
