/* app_pdu.c - joined bytes cut into messages or lines.
 *
 * The hard part is the time: a request counts as asked when its last byte was
 * sent, and as begun when its first was, whatever segments carried it; so each
 * message gets the sequence number of its own end, not of the segment's. */
#include "capture/app_pdu.h"

#include <string.h>
#include <strings.h>

static bool
pdu_is_enough(const struct app_context *c, const struct pdu_rule *rule,
    size_t have, size_t whole)
{
	size_t enough = rule->enough[c->side];

	if (have >= whole)
		return true;
	return have >= (enough ? enough : PDU_REQUEST_BYTES);
}

size_t
pdu_feed(struct app_context *c, struct bytes b, const struct pdu_rule *rule)
{
	const struct bytes shown = b;
	const uint32_t end = c->end_seq;
	struct pdu p = { .began = c->began, .first_frame = c->first_frame };
	size_t used = 0;

	while (b.left) {
		p.bytes = rule->length(b);
		if (p.bytes == PDU_LOST)
			return rule->when_lost;
		if (p.bytes == PDU_MORE ||
		    !pdu_is_enough(c, rule, b.left, p.bytes))
			return used;
		used += p.bytes;
		c->end_seq = app_seq_after(end, shown, used);
		p.head = bytes_sub_at_most(&b, p.bytes);
		if (!rule->take(c, &p))
			return APP_STOP;
		p.began = c->now;
		p.first_frame = c->frame;
	}
	return used;
}

bool
pdu_skip_gap(struct app_context *c, struct bytes held, uint32_t n,
    const struct pdu_rule *rule)
{
	struct pdu p = { .head = held, .began = c->began,
		.first_frame = c->first_frame };

	if (!held.left)
		return false;
	p.bytes = rule->length(held);
	if (p.bytes == PDU_LOST || p.bytes == PDU_MORE ||
	    p.bytes != held.left + (size_t)n)
		return false;
	(void)rule->take(c, &p);
	return true;
}

/* A message begins where its length leads to another one, or to the end; and
 * where a segment begins, its header alone is enough. */
size_t
pdu_resync(struct bytes b, const struct pdu_rule *rule)
{
	struct bytes next;
	size_t whole;

	for (size_t offset = 0; b.left; offset++, bytes_skip(&b, 1)) {
		whole = rule->length(b);
		if (whole == PDU_LOST || whole == PDU_MORE)
			continue;
		if (whole > b.left) {
			if (offset)
				continue;
			return offset;
		}
		next = b;
		bytes_skip(&next, whole);
		if (!next.left || rule->length(next) != PDU_LOST)
			return offset;
	}
	return APP_LOST;
}

void
pdu_request(struct app_context *c, const struct pdu *p, uint64_t key,
    uint32_t label, unsigned flags)
{
	uint32_t n = p->bytes < UINT32_MAX ? (uint32_t)p->bytes : UINT32_MAX;
	struct exchange *e = app_request(c, key, label, flags, p->began,
	    p->first_frame, n);

	if (e && flags & EXCHANGE_ONE_WAY)
		exchange_close(c->pool, c->flow, e);
}

void
datagram_request(struct app_context *c, const struct packet *p, uint64_t key,
    uint32_t label, unsigned flags)
{
	struct exchange *e = exchange_find(c->flow, key);

	if (e && e->label == label)
		return;
	app_request(c, key, label, flags, c->now, c->frame,
	    p->payload_bytes);
}

struct exchange *
app_owed(const struct app_context *c)
{
	struct exchange *e = c->flow->waiting;
	bool by_server = c->side == CLIENT;

	while (e && (e->flags & (EXCHANGE_ONE_WAY | EXCHANGE_TURN) ||
	    !(e->flags & EXCHANGE_FROM_SERVER) == by_server))
		e = e->next;
	return e;
}

struct app_event
app_note_of(const struct app_context *c, enum app_note what, uint32_t label,
    uint64_t value)
{
	return (struct app_event){
		.type = APP_NOTE, .what = what, .flow = c->flow,
		.side = c->side, .time = c->now, .frame = c->frame,
		.label = label, .value = value,
	};
}

bool
line_next(struct app_context *c, struct bytes *rest, uint32_t shown_end,
    struct bytes *line)
{
	bool first = c->end_seq == shown_end;

	if (!line_take(rest, line))
		return false;
	if (!first) {
		c->began = c->now;
		c->first_frame = c->frame;
	}
	c->end_seq = shown_end - (uint32_t)rest->left;
	return true;
}

bool
line_prefix(struct bytes *line, const char *word)
{
	size_t n = strlen(word);

	if (line->left < n || strncasecmp((const char *)line->at, word, n) != 0)
		return false;
	bytes_skip(line, n);
	return true;
}

static bool
is_blank(uint8_t octet)
{
	return octet == ' ' || octet == '\t';
}

bool
line_word(struct bytes *line, const char *word)
{
	struct bytes b = *line;

	if (!line_prefix(&b, word) || (b.left && !is_blank(bytes_peek(b))))
		return false;
	while (b.left && is_blank(bytes_peek(b)))
		bytes_skip(&b, 1);
	*line = b;
	return true;
}

bool
line_number(struct bytes *line, uint32_t *out)
{
	struct bytes b = *line;
	uint64_t n = 0;
	uint8_t octet;

	while (b.left && n <= UINT32_MAX) {
		octet = bytes_peek(b);
		if (octet < '0' || octet > '9')
			break;
		n = n * 10 + (uint64_t)(octet - '0');
		bytes_skip(&b, 1);
	}
	if (b.left == line->left || n > UINT32_MAX)
		return false;
	*out = (uint32_t)n;
	*line = b;
	return true;
}

bool
line_has(struct bytes line, const char *word)
{
	struct bytes at;

	for (; line.left; bytes_skip(&line, 1)) {
		at = line;
		if (line_prefix(&at, word))
			return true;
	}
	return false;
}

size_t
line_resync(struct bytes b)
{
	const size_t shown = b.left;
	struct bytes line;

	return line_take(&b, &line) ? shown - b.left : APP_LOST;
}
