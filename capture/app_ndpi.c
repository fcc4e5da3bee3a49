/* app_ndpi.c - the only door to nDPI.
 *
 * The hard part is to owe it nothing: it wants packets from the IP header on,
 * which tunnels, fragments and cut captures do not always leave in one piece,
 * so one is written anew from what was decoded; and it keeps hundreds of bytes
 * a flow, so only a bounded number of flows is in its hands at a time, each for
 * a few packets. Its guesses by port or address are not taken. It asks some two
 * hundred dissectors about a packet, whose code and tables are not in the
 * processor's caches while ours are, and the other way round: so packets wait in
 * a queue, and are shown one after the other. And it takes no care of memory that
 * it does not get: so it never sees that happen, but is left at once, and not come
 * back to. */
#include "capture/app_ndpi.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <ndpi_api.h>

#include "capture/app.h"
#include "capture/log.h"

enum {
	FLOWS_DEFAULT = 2048,
	IPV4_BYTES = 20, IPV6_BYTES = 40,
	TRANSPORT_BYTES = 1500,		/* as much of a packet is shown */
	QUEUE_BYTES = 65536,		/* of packets that wait, and what is kept
					 * beside each */
	MS_NS = 1000000,
};

/* A packet that waits. Written anew it follows behind, and the next one begins
 * where it ends, or a few bytes on. Its flow has a look as long as it waits, and
 * so does not leave unseen. */
struct waiting {
	struct flow *flow;
	struct instant time;
	size_t bytes;
};

enum { WAITING_MAX = sizeof(struct waiting) + IPV6_BYTES + TRANSPORT_BYTES };

/* One flow in hand, in a chain of its hash and in the order of arrival. */
struct look {
	struct look *chain;
	struct look *older, *newer;
	uint64_t flow_id;
	struct flow *flow;		/* leaves with app_ndpi_forget */
	uint8_t queued;			/* so many wait, or were shown */
	uint8_t packets;		/* shown */
	struct ndpi_flow_struct *state;	/* NULL: nothing was shown yet */
};

struct app_ndpi {
	struct ndpi_detection_module_struct *module;	/* NULL: nobody asked */
	struct look *looks;		/* all records, `limit` of them */
	struct look *unused;		/* by chain */
	struct look *oldest, *newest;
	struct look **bucket;
	size_t limit, bucket_mask, state_bytes;
	struct app_ndpi_stats stats;
	size_t queue_bytes;
	_Alignas(struct waiting) unsigned char queue[QUEUE_BYTES];
};

/* Making a module is not safe in parallel (ndpi_api.h); using one is. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static const struct {
	uint16_t ndpi;
	uint8_t app;
} same_protocol[] = {
	{ NDPI_PROTOCOL_FTP_CONTROL, APP_FTP },
	{ NDPI_PROTOCOL_FTP_DATA, APP_FTP_DATA },
	{ NDPI_PROTOCOL_MAIL_SMTP, APP_SMTP },
	{ NDPI_PROTOCOL_MAIL_POP, APP_POP3 },
	{ NDPI_PROTOCOL_MAIL_IMAP, APP_IMAP },
	{ NDPI_PROTOCOL_DNS, APP_DNS },
	{ NDPI_PROTOCOL_HTTP, APP_HTTP },
	{ NDPI_PROTOCOL_NTP, APP_NTP },
	{ NDPI_PROTOCOL_NETBIOS, APP_NETBIOS },
	{ NDPI_PROTOCOL_SMBV1, APP_SMB },
	{ NDPI_PROTOCOL_SMBV23, APP_SMB },
	{ NDPI_PROTOCOL_DHCP, APP_DHCP },
	{ NDPI_PROTOCOL_RDP, APP_RDP },
	{ NDPI_PROTOCOL_TLS, APP_TLS },
	{ NDPI_PROTOCOL_SSH, APP_SSH },
	{ NDPI_PROTOCOL_KERBEROS, APP_KERBEROS },
	{ NDPI_PROTOCOL_LDAP, APP_LDAP },
	{ NDPI_PROTOCOL_MSSQL_TDS, APP_TDS },
	{ NDPI_PROTOCOL_DCERPC, APP_DCERPC },
};

/* Out of nDPI, while this thread is in it. What was in its hands then is in no
 * state to be freed, and stays. */
static _Thread_local jmp_buf *way_out;
static atomic_bool is_over;

static void *
take_or_leave(size_t n)
{
	void *at = malloc(n);

	if (!at && way_out)
		longjmp(*way_out, 1);
	return at;
}

static struct ndpi_detection_module_struct *
init_module(void)
{
	struct ndpi_detection_module_struct *m;
	NDPI_PROTOCOL_BITMASK all;

	m = ndpi_init_detection_module(ndpi_dont_load_tor_hosts);
	if (m) {
		NDPI_BITMASK_SET_ALL(all);
		ndpi_set_protocol_detection_bitmask2(m, &all);
		ndpi_finalize_initialization(m);
	}
	return m;
}

static struct ndpi_detection_module_struct *
make_module(void)
{
	struct ndpi_detection_module_struct *volatile m = NULL;
	jmp_buf out;

	pthread_mutex_lock(&making);
	set_ndpi_malloc(take_or_leave);
	if (setjmp(out) == 0) {
		way_out = &out;
		m = init_module();
	}
	way_out = NULL;
	pthread_mutex_unlock(&making);
	return m;
}

struct app_ndpi *
app_ndpi_new(size_t limit)
{
	struct app_ndpi *n = calloc(1, sizeof(*n));
	size_t buckets = 1;

	if (!n)
		return NULL;
	n->state_bytes = ndpi_detection_get_sizeof_ndpi_flow_struct();
	n->limit = limit ? limit : FLOWS_DEFAULT;
	while (buckets < n->limit)
		buckets *= 2;
	n->bucket_mask = buckets - 1;
	n->bucket = calloc(buckets, sizeof(struct look *));
	n->looks = calloc(n->limit, sizeof(*n->looks));
	if (!n->bucket || !n->looks) {
		app_ndpi_free(&n);
		return NULL;
	}
	for (size_t i = 0; i < n->limit; i++) {
		n->looks[i].chain = n->unused;
		n->unused = &n->looks[i];
	}
	return n;
}

static void
look_state_free(struct look *l)
{
	if (l->state)
		ndpi_free_flow(l->state);
	l->state = NULL;
}

void
app_ndpi_free(struct app_ndpi **np)
{
	struct app_ndpi *n = *np;

	*np = NULL;
	if (!n)
		return;
	while (n->oldest) {
		struct look *l = n->oldest;

		n->oldest = l->newer;
		look_state_free(l);
	}
	if (n->module && !atomic_load(&is_over))
		ndpi_exit_detection_module(n->module);
	free(n->bucket);
	free(n->looks);
	free(n);
}

/* Flow ids count up, so their low bits spread them evenly. */
static struct look **
look_place(struct app_ndpi *n, uint64_t flow_id)
{
	struct look **at = &n->bucket[flow_id & n->bucket_mask];

	while (*at && (*at)->flow_id != flow_id)
		at = &(*at)->chain;
	return at;
}

static void
look_end(struct app_ndpi *n, struct look **at)
{
	struct look *l = *at;

	*at = l->chain;
	if (l->older)
		l->older->newer = l->newer;
	else
		n->oldest = l->newer;
	if (l->newer)
		l->newer->older = l->older;
	else
		n->newest = l->older;
	look_state_free(l);
	*l = (struct look){ .chain = n->unused };
	n->unused = l;
	n->stats.now--;
}

/* When nothing waits. It is not begun with again: it would only push out others. */
static void
push_out_oldest(struct app_ndpi *n)
{
	n->oldest->flow->app_name = APP_NDPI_NOTHING;
	look_end(n, look_place(n, n->oldest->flow_id));
	n->stats.evicted++;
}

static struct look *
look_begin(struct app_ndpi *n, struct flow *f)
{
	struct look *l;

	if (!n->unused)		/* some may be done with */
		app_ndpi_settle(n);
	if (!n->unused)
		push_out_oldest(n);
	l = n->unused;
	n->unused = l->chain;
	*l = (struct look){ .flow_id = f->id, .flow = f, .older = n->newest };
	if (n->newest)
		n->newest->newer = l;
	else
		n->oldest = l;
	n->newest = l;
	*look_place(n, f->id) = l;
	if (++n->stats.now > n->stats.peak)
		n->stats.peak = n->stats.now;
	return l;
}

bool
app_ndpi_holds(struct app_ndpi *n, const struct flow *f)
{
	return *look_place(n, f->id) != NULL;
}

void
app_ndpi_forget(struct app_ndpi *n, const struct flow *f)
{
	struct look **at = look_place(n, f->id);

	if (*at && (*at)->queued > (*at)->packets) {
		app_ndpi_settle(n);
		at = look_place(n, f->id);
	}
	if (*at)
		look_end(n, at);
}

static size_t
write_be(uint8_t *to, uint32_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
	return bytes;
}

/* RFC 791, 3.1, without a checksum: nDPI does not look at it. */
static size_t
write_ipv4(uint8_t *to, const struct packet *p, size_t inner)
{
	size_t n = 0;

	n += write_be(to + n, 0x4500U | p->tos, 2);
	n += write_be(to + n, (uint32_t)(IPV4_BYTES + inner), 2);
	n += write_be(to + n, (uint32_t)p->ip_id << 16 | 0x4000, 4);
	n += write_be(to + n, (uint32_t)p->ttl << 24 |
	    (uint32_t)p->protocol << 16, 4);
	n += write_be(to + n, address_v4(&p->src), 4);
	n += write_be(to + n, address_v4(&p->dst), 4);
	return n;
}

/* RFC 8200, 3. */
static size_t
write_ipv6(uint8_t *to, const struct packet *p, size_t inner)
{
	size_t n = 0;

	n += write_be(to + n, 0x60000000, 4);
	n += write_be(to + n, (uint32_t)inner << 16 |
	    (uint32_t)p->protocol << 8 | p->ttl, 4);
	memcpy(to + n, p->src.octet, sizeof(p->src.octet));
	n += sizeof(p->src.octet);
	memcpy(to + n, p->dst.octet, sizeof(p->dst.octet));
	n += sizeof(p->dst.octet);
	return n;
}

/* `p` as an IP packet of its own; its length. */
static size_t
write_packet(uint8_t *to, const struct packet *p)
{
	struct bytes b = p->transport;
	struct bytes inner = bytes_sub_at_most(&b, TRANSPORT_BYTES);
	bool v4 = address_is_v4(&p->src) && address_is_v4(&p->dst);
	size_t header = v4 ? write_ipv4(to, p, inner.left) :
	    write_ipv6(to, p, inner.left);

	memcpy(to + header, inner.at, inner.left);
	return header + inner.left;
}

/* What it says on the ground of the bytes alone, or 0. */
static uint16_t
look_verdict(const struct look *l, ndpi_protocol said)
{
	uint16_t name = said.master_protocol != NDPI_PROTOCOL_UNKNOWN ?
	    said.master_protocol : said.app_protocol;

	return l->state->confidence == NDPI_CONFIDENCE_DPI ? name : 0;
}

static uint8_t
app_of(const struct flow *f)
{
	uint16_t name = f->app_name;

	for (size_t i = 0; i < sizeof(same_protocol) /
	    sizeof(same_protocol[0]); i++)
		if (same_protocol[i].ndpi == name)
			return same_protocol[i].app;
	return APP_OTHER;
}

/* Its name becomes the flow's protocol once our own parsers can no longer claim
 * the flow, and then they must not begin with it in its middle. */
static void
name_flow(struct flow *f)
{
	if (f->protocol == IP_TCP && !(f->app_flags & FLOW_APP_SETTLED))
		return;
	f->app = app_of(f);
	f->app_flags |= FLOW_APP_SETTLED | FLOW_APP_STOPPED;
}

static void
give_names_up(void)
{
	if (!atomic_exchange(&is_over, true))
		log_warn("out of memory: connections that no parser knows get no "
		    "names any more");
}

static void
give_up(struct flow *f, struct look *l)
{
	way_out = NULL;
	l->state = NULL;
	f->app_name = APP_NDPI_NOTHING;
	give_names_up();
}

static bool
has_state(const struct app_ndpi *n, struct look *l)
{
	if (l->state)
		return true;
	l->state = ndpi_flow_malloc(n->state_bytes);
	return l->state && memset(l->state, 0, n->state_bytes);
}

/* The name, or 0. */
static uint16_t
ask(struct app_ndpi *n, const struct waiting *w, struct look *l)
{
	uint16_t name;
	jmp_buf out;

	if (!has_state(n, l))
		return 0;
	if (setjmp(out)) {
		give_up(w->flow, l);
		return 0;
	}
	way_out = &out;
	name = look_verdict(l, ndpi_detection_process_packet(n->module,
	    l->state, (const unsigned char *)(w + 1), (unsigned short)w->bytes,
	    (uint64_t)(w->time.ns / MS_NS)));
	way_out = NULL;
	return name;
}

/* Unless it is the parsers' by now, or was left for another. */
static void
show(struct app_ndpi *n, const struct waiting *w)
{
	struct flow *f = w->flow;
	struct look **at = look_place(n, f->id);
	uint16_t name;

	if (!*at || !app_ndpi_wants(f))
		return;
	name = ask(n, w, *at);
	n->stats.shown++;
	if (name) {
		f->app_name = name;
		n->stats.named++;
		name_flow(f);
	} else if (!(*at)->state || ++(*at)->packets >= APP_NDPI_PACKETS) {
		f->app_name = APP_NDPI_NOTHING;
		n->stats.given_up++;
	} else {
		return;
	}
	look_end(n, at);
}

/* So that what follows it may be one, too. */
static size_t
whole_waiting(size_t bytes)
{
	return (sizeof(struct waiting) + bytes + _Alignof(struct waiting) - 1) /
	    _Alignof(struct waiting) * _Alignof(struct waiting);
}

static struct waiting *
waiting_at(struct app_ndpi *n, size_t at)
{
	return (struct waiting *)(void *)(n->queue + at);
}

void
app_ndpi_settle(struct app_ndpi *n)
{
	const struct waiting *w;

	for (size_t at = 0; at < n->queue_bytes; at += whole_waiting(w->bytes)) {
		w = waiting_at(n, at);
		if (!atomic_load_explicit(&is_over, memory_order_relaxed))
			show(n, w);
	}
	n->queue_bytes = 0;
}

static void
put_off(struct app_ndpi *n, struct flow *f, const struct packet *p)
{
	struct waiting *w = waiting_at(n, n->queue_bytes);

	*w = (struct waiting){ .flow = f, .time = p->time };
	w->bytes = write_packet((uint8_t *)(w + 1), p);
	n->queue_bytes += whole_waiting(w->bytes);
}

/* A module takes 25 ms to make and some megabytes; many captures ask nothing. */
static bool
is_ready(struct app_ndpi *n)
{
	if (!n->module)
		n->module = make_module();
	if (!n->module)
		give_names_up();
	return n->module;
}

void
app_ndpi_packet(struct app_ndpi *n, struct flow *f, const struct packet *p)
{
	struct look *l;

	if (n->queue_bytes + WAITING_MAX > QUEUE_BYTES)
		app_ndpi_settle(n);
	if (!app_ndpi_wants(f) || !p->payload.left || p->is_fragment)
		return;
	if (f->app_name != APP_NDPI_NOT_YET) {
		name_flow(f);
		return;
	}
	if (atomic_load_explicit(&is_over, memory_order_relaxed) || !is_ready(n))
		return;
	l = *look_place(n, f->id);
	if (!l)
		l = look_begin(n, f);
	if (l->queued == APP_NDPI_PACKETS)
		return;
	l->queued++;
	put_off(n, f, p);
}

const char *
app_ndpi_name(const struct app_ndpi *n, uint16_t app_name)
{
	if (!n || !n->module || app_name == APP_NDPI_NOT_YET || app_name == APP_NDPI_NOTHING)
		return "";
	return ndpi_get_proto_name(n->module, app_name);
}

const char *
app_ndpi_version(void)
{
	return ndpi_revision();
}

void
app_ndpi_stats(const struct app_ndpi *n, struct app_ndpi_stats *out)
{
	*out = n->stats;
}
