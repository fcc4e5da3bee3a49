/* decode.c - the way into the decoder, and the names of what it can say.
 *
 * The hard part of decoding is to know, at each layer, three lengths that need
 * not agree: what the header claims, what was on the wire, and what the
 * capture kept. struct walk (decode_internal.h) carries the last two down, and
 * each layer narrows them by the first. */
#include "capture/decode.h"

#include <string.h>

#include "capture/decode_internal.h"

enum decode_result
decode_frame(const struct frame *f, struct packet *p)
{
	struct walk w = { .p = p, .b = bytes_of(f->data, f->captured_bytes) };

	memset(p, 0, sizeof(*p));
	p->time = f->time;
	p->frame = f->number;
	p->file = f->file;
	p->interface = f->interface;
	p->captured_bytes = f->captured_bytes;
	p->wire_bytes = f->wire_bytes;
	if (p->wire_bytes < p->captured_bytes)
		p->wire_bytes = p->captured_bytes;
	w.cut = p->wire_bytes - p->captured_bytes;
	return decode_link(&w, f->link_type);
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
