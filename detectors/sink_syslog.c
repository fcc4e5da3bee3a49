/* sink_syslog.c - syslog messages (RFC 5424) over UDP (RFC 5426), or over TCP with
 * octet counting (RFC 6587, section 3.4.1).
 *
 * The hard part is text that comes from packets: whatever it holds, a message is
 * one message. Parameter values are escaped as section 6.3.3 has it, and control
 * characters and what is not UTF-8 become \xNN. The time is the capture's. */
#include "detectors/sink_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "detectors/report_common.h"

enum {
	MESSAGE_BYTES = 2048,		/* what receivers should take: RFC 5426,
					 * section 3.2 */
	HOSTNAME_BYTES = 256, VALUE_BYTES = 200,
};

struct syslog {
	struct sink_socket *socket;
	unsigned facility;
	char host[HOSTNAME_BYTES];
};

static void
syslog_close(void *context)
{
	struct syslog *s = context;

	sink_socket_free(&s->socket);
	free(s);
}

static void *
syslog_open(const struct sink_config *c, const atomic_bool *stop,
    char err[SINK_ERROR_BYTES])
{
	struct syslog *s = calloc(1, sizeof(*s));
	struct sink_where where;

	if (!s || sink_where_parse(c->where, &where)) {
		snprintf(err, SINK_ERROR_BYTES, "sink \"%s\": %s", c->name, s ?
		    "that is no place for syslog" : "out of memory");
		free(s);
		return NULL;
	}
	s->facility = c->facility;
	if (gethostname(s->host, sizeof(s->host) - 1) || !*s->host)
		strcpy(s->host, "-");
	s->socket = sink_socket_new(&where, stop);
	if (s->socket)
		return s;
	snprintf(err, SINK_ERROR_BYTES, "out of memory");
	syslog_close(s);
	return NULL;
}

/* Table 2 of RFC 5424. What is over, or was none, is worth a notice. */
static unsigned
syslog_severity(const struct event *e)
{
	static const unsigned char by_severity[] = {
		[SEVERITY_INFO] = 6, [SEVERITY_LOW] = 5, [SEVERITY_MEDIUM] = 4,
		[SEVERITY_HIGH] = 3, [SEVERITY_CRITICAL] = 2,
	};

	if (e->kind != EVENT_FINDING && e->kind != EVENT_INCIDENT)
		return 6;
	if (e->change == CHANGE_OVER || e->change == CHANGE_WITHDRAWN)
		return 5;
	return by_severity[e->severity];
}

/* PARAM-VALUE: '"', '\' and ']' are escaped. */
static const char *
value(const char *in, char out[VALUE_BYTES * 2])
{
	char safe[VALUE_BYTES];
	size_t n = 0;

	text_safe(in, safe, sizeof(safe));
	for (const char *p = safe; *p; p++) {
		if (*p == '"' || *p == '\\' || *p == ']')
			out[n++] = '\\';
		out[n++] = *p;
	}
	out[n] = '\0';
	return out;
}

/* 32473 is the number that RFC 5612 sets aside for such names: toewatch has none
 * of its own. */
static void
add_data(char *out, const struct event *e)
{
	const char *change = event_change_name(e->change);
	char text[VALUE_BYTES * 2];

	text_add(out, MESSAGE_BYTES, "[toewatch@32473 event=\"%llu\" type=\"%s\"",
	    (unsigned long long)e->number, event_kind_name(e->kind));
	if (change)
		text_add(out, MESSAGE_BYTES, " change=\"%s\"", change);
	if (e->id)
		text_add(out, MESSAGE_BYTES, " id=\"%llu\"",
		    (unsigned long long)e->id);
	if (e->incident_id)
		text_add(out, MESSAGE_BYTES, " incident=\"%llu\"",
		    (unsigned long long)e->incident_id);
	if (*e->server)
		text_add(out, MESSAGE_BYTES, " server=\"%s\"", value(e->server,
		    text));
	if (*e->name)
		text_add(out, MESSAGE_BYTES, " name=\"%s\"", value(e->name, text));
	text_add(out, MESSAGE_BYTES, " severity=\"%s\" confidence=\"%.2f\"]",
	    severity_text(e->severity), e->confidence);
}

/* MSGID is printable ASCII of at most 32 characters; ours are shorter. */
static void
compose(const struct syslog *s, const struct event *e, char out[MESSAGE_BYTES])
{
	char time[INSTANT_TEXT_BYTES], text[FINDING_TEXT_BYTES * 4];
	const char *change = event_change_name(e->change);
	bool news = !change || e->change == CHANGE_NEW;

	snprintf(out, MESSAGE_BYTES, "<%u>1 %s %s toewatch %ld %.32s ",
	    s->facility * 8 + syslog_severity(e), instant_text(e->time, time),
	    s->host, (long)getpid(), *e->name ? e->name : "-");
	add_data(out, e);
	text_add(out, MESSAGE_BYTES, " \xef\xbb\xbf%s%s%s%s%s%s",
	    e->server, *e->server ? " " : "", e->name, news ? "" : " ",
	    news ? "" : change, *e->text ? ": " : "");
	text_add(out, MESSAGE_BYTES, "%s", text_safe(e->text, text,
	    sizeof(text)));
}

static int
send_message(struct syslog *s, const struct event *e, char why[256])
{
	char message[MESSAGE_BYTES], framed[MESSAGE_BYTES + 16];
	int n;

	compose(s, e, message);
	if (!sink_socket_is_stream(s->socket))
		return sink_socket_send(s->socket, message, strlen(message), why);
	n = snprintf(framed, sizeof(framed), "%zu %s", strlen(message), message);
	return sink_socket_send(s->socket, framed, (size_t)n, why);
}

static size_t
syslog_deliver(void *context, struct event *const *list, size_t count,
    char why[256])
{
	struct syslog *s = context;
	size_t n = 0;

	while (n < count && send_message(s, list[n], why) == 0)
		n++;
	return n;
}

const struct sink_kind sink_syslog = {
	.open = syslog_open,
	.deliver = syslog_deliver,
	.close = syslog_close,
};
