/* app_rpch.c - which TCP connections make up a virtual connection of RPC over
 * HTTP, and what the flows of an engine share at all. */
#include "capture/app_rpch.h"

#include <stdlib.h>
#include <string.h>

#include "capture/hash.h"

enum { RPCH_BUCKETS = 256 };

struct app_shared {
	struct rpch_connection *bucket[RPCH_BUCKETS];
	unsigned connections;
	uint64_t key;			/* cookies ought to be random numbers; who
					 * chooses his own fills no bucket */
};

enum rts_command {		/* MS-RPCH 2.2.3.5 */
	RTS_COOKIE = 3, RTS_VERSION = 6, RTS_PADDING = 8,
	RTS_CLIENT_ADDRESS = 11, RTS_COMMANDS = 15,
};

struct app_shared *
app_shared_new(void)
{
	struct app_shared *s = calloc(1, sizeof(*s));

	if (s)
		s->key = hash_key();
	return s;
}

void
app_shared_free(struct app_shared **sp)
{
	struct app_shared *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	for (int i = 0; i < RPCH_BUCKETS; i++) {
		while (s->bucket[i]) {
			struct rpch_connection *first = s->bucket[i];

			s->bucket[i] = first->next;
			free(first);
		}
	}
	free(s);
}

/* What follows a command's type (MS-RPCH 2.2.3.5.1 and on). */
static void
skip_command(struct bytes *b, uint32_t type)
{
	static const uint8_t bytes[RTS_COMMANDS] = {
		4, 24, 4, 16, 4, 4, 4, 0, 0, 0, 0, 0, 16, 4, 4,
	};

	if (type == RTS_PADDING)
		bytes_skip(b, bytes_le32(b));
	else if (type == RTS_CLIENT_ADDRESS)
		bytes_skip(b, (bytes_le32(b) ? 16 : 4) + 12);
	else if (type < RTS_COMMANDS)
		bytes_skip(b, bytes[type]);
	else
		bytes_fail(b);
}

/* The cookie of the virtual connection: the first one in the PDUs that begin a
 * channel, CONN/A1, CONN/B1 and those that recycle (MS-RPCH 2.2.4.2, 2.2.4.5,
 * 2.2.4.17 ...); they, and no others of the client, state a version. */
static const uint8_t *
take_cookie(struct bytes b)
{
	unsigned commands;
	bool versioned = false;

	bytes_skip(&b, 2);
	commands = bytes_le16(&b);
	for (unsigned i = 0; i < commands && !bytes_ran_out(b); i++) {
		uint32_t type = bytes_le32(&b);

		if (type == RTS_COOKIE)
			return versioned ? bytes_take(&b, RPCH_COOKIE_BYTES) : NULL;
		versioned |= type == RTS_VERSION;
		skip_command(&b, type);
	}
	return NULL;
}

static void
channel_add(struct flow *channel[2], struct flow *f)
{
	channel[1] = channel[0];
	channel[0] = f;
}

static struct rpch_connection **
bucket_of(struct app_shared *s, const uint8_t *cookie)
{
	return &s->bucket[hash_octets(cookie, s->key) % RPCH_BUCKETS];
}

struct rpch_connection *
rpch_join(struct app_shared *s, struct flow *f, bool in, struct bytes rts)
{
	const uint8_t *cookie = s ? take_cookie(rts) : NULL;
	struct rpch_connection **first, *x;

	if (!cookie)
		return NULL;
	first = bucket_of(s, cookie);
	for (x = *first; x; x = x->next)
		if (memcmp(x->cookie, cookie, RPCH_COOKIE_BYTES) == 0)
			break;
	if (!x && s->connections < RPCH_CONNECTIONS)
		x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	if (!x->members++) {
		memcpy(x->cookie, cookie, RPCH_COOKIE_BYTES);
		x->next = *first;
		*first = x;
		s->connections++;
	}
	channel_add(in ? x->in : x->out, f);
	return x;
}

static void
channel_remove(struct flow *channel[2], const struct flow *f)
{
	if (channel[1] == f)
		channel[1] = NULL;
	if (channel[0] == f) {
		channel[0] = channel[1];
		channel[1] = NULL;
	}
}

void
rpch_leave(struct app_shared *s, struct rpch_connection *x, struct flow *f)
{
	struct rpch_connection **link = bucket_of(s, x->cookie);

	channel_remove(x->in, f);
	channel_remove(x->out, f);
	if (--x->members)
		return;
	while (*link != x)
		link = &(*link)->next;
	*link = x->next;
	s->connections--;
	free(x);
}
