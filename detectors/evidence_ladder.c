/* evidence_ladder.c - picked packets of one connection as a ladder: who sent what
 * when, in relative sequence numbers, with what was never seen between them. */
#include "detectors/evidence_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "capture/decode.h"
#include "capture/tcp.h"

/* One side of the connection, as the ladder goes on. */
struct side_view {
	bool known;
	uint32_t base;			/* of relative numbers */
	uint32_t next;			/* highest byte seen, and one */
};

struct ladder {
	const struct event_subject *subject;
	struct side_view side[2];
	struct instant first;
	json_t *packets;
};

static void
set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static bool
is_from_client(const struct ladder *l, const struct packet *p)
{
	return p->sport == l->subject->client_port &&
	    address_compare(&p->src, &l->subject->client) == 0;
}

/* As tcpdump writes them, in the order of the header's bits. */
static const char *
flags_text(uint8_t flags, char out[9])
{
	static const struct { uint8_t bit; char letter; } letter[] = {
		{ TCP_SYN, 'S' }, { TCP_FIN, 'F' }, { TCP_RST, 'R' },
		{ TCP_PSH, 'P' }, { TCP_ACK, 'A' }, { TCP_URG, 'U' },
		{ TCP_ECE, 'E' }, { TCP_CWR, 'W' },
	};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(letter) / sizeof(letter[0]); i++)
		if (flags & letter[i].bit)
			out[n++] = letter[i].letter;
	out[n] = '\0';
	return out;
}

/* What a person would say of the segment, or NULL. */
static const char *
note_of(const struct side_view *s, const struct packet *p)
{
	bool again = s->known && p->payload_bytes &&
	    seq_before(p->seq, s->next);

	if (s->known && p->payload_bytes <= 1 && p->seq == s->next - 1 &&
	    !(p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) &&
	    p->tcp_flags & TCP_ACK)
		return "keep-alive";
	if (again)
		return "sent again";
	if (!p->window && !(p->tcp_flags & (TCP_RST | TCP_SYN)))
		return "window is zero";
	return NULL;
}

/* Bytes of this side that were never seen before this segment. */
static uint32_t
gap_before(const struct side_view *s, const struct packet *p)
{
	return s->known && seq_after(p->seq, s->next) ? p->seq - s->next : 0;
}

static void
take_in(struct side_view *s, const struct packet *p)
{
	uint32_t end = p->seq + p->payload_bytes +
	    (p->tcp_flags & TCP_SYN ? 1 : 0) + (p->tcp_flags & TCP_FIN ? 1 : 0);

	if (!s->known) {
		s->known = true;
		s->base = p->seq;
		s->next = end;
	} else if (seq_after(end, s->next)) {
		s->next = end;
	}
}

static void
set_tcp(struct ladder *l, json_t *o, const struct packet *p, bool from_client)
{
	struct side_view *s = &l->side[!from_client];
	struct side_view *peer = &l->side[from_client];
	const char *note = note_of(s, p);
	char flags[9];

	set(o, "flags", json_string(flags_text(p->tcp_flags, flags)));
	set(o, "window", json_integer(p->window));
	set(o, "gap", json_integer(gap_before(s, p)));
	set(o, "note", note ? json_string(note) : json_null());
	take_in(s, p);
	set(o, "seq", json_integer((json_int_t)(uint32_t)(p->seq - s->base)));
	if (p->tcp_flags & TCP_ACK && !peer->known) {
		peer->known = true;	/* nothing of it was picked so far */
		peer->base = peer->next = p->ack;
	}
	set(o, "ack", p->tcp_flags & TCP_ACK ? json_integer((json_int_t)
	    (uint32_t)(p->ack - peer->base)) : json_null());
}

static void
add_packet(struct ladder *l, const struct picked *k)
{
	json_t *o = json_object();
	char time[INSTANT_TEXT_BYTES];
	bool from_client;
	struct packet p;

	decode_frame(&k->frame, &p);
	from_client = is_from_client(l, &p);
	if (!instant_is_set(l->first))
		l->first = k->frame.time;
	set(o, "frame", json_integer((json_int_t)k->frame.number));
	set(o, "time", json_string(instant_text(k->frame.time, time)));
	set(o, "t", json_real(seconds_of(instant_since(k->frame.time,
	    l->first))));
	set(o, "from", json_string(from_client ? "client" : "server"));
	set(o, "len", json_integer(p.payload_bytes));
	if (packet_is_tcp(&p))
		set_tcp(l, o, &p, from_client);
	set(o, "evidence", json_boolean(k->is_evidence));
	json_array_append_new(l->packets, o);
}

static json_t *
end_value(const struct address *a, uint16_t port)
{
	json_t *o = json_object();
	char text[ADDRESS_TEXT_BYTES];

	set(o, "ip", json_string(address_text(a, text)));
	set(o, "port", json_integer(port));
	return o;
}

int
ladder_write(const struct pick *pick, const struct event *e, char **json,
    size_t *bytes)
{
	struct ladder l = { .subject = &e->subject, .packets = json_array() };
	json_t *o = json_object();
	const struct event_subject *s = &e->subject;

	set(o, "finding_id", json_integer((json_int_t)e->id));
	set(o, "flow_id", json_integer((json_int_t)s->flow_id));
	set(o, "client", end_value(&s->client, s->client_port));
	set(o, "server", end_value(&s->server, s->server_port));
	for (size_t i = 0; i < pick->count; i++)
		add_packet(&l, &pick->packet[i]);
	set(o, "packets", l.packets);
	*json = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(o);
	if (!*json)
		return -1;
	*bytes = strlen(*json);
	return 0;
}
