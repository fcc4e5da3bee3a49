/* sink_where.c - the places that a sink can be given, read and judged, so that the
 * configuration can name the line of one that is none. */
#include "detectors/sink_where.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static bool
is_port(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && !*end && n > 0 && n < 65536;
}

/* HOST:PORT, with brackets around an IPv6 address. */
static int
parse_host(const char *text, struct sink_where *w)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (!n || !is_port(colon + 1))
		return -1;
	if (text[0] == '[' && text[n - 1] == ']' && n > 2) {
		text++;
		n -= 2;
	} else if (memchr(text, ':', n)) {
		return -1;
	}
	if (n >= sizeof(w->host) || strpbrk(text, "/ "))
		return -1;
	memcpy(w->host, text, n);
	w->host[n] = '\0';
	snprintf(w->port, sizeof(w->port), "%s", colon + 1);
	return 0;
}

int
sink_where_parse(const char *text, struct sink_where *w)
{
	*w = (struct sink_where){ .transport = SINK_UNIX };
	if (strncmp(text, "unix:", 5) == 0) {
		size_t n = strlen(text + 5);

		if (text[5] != '/' ||
		    n >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return -1;
		memcpy(w->host, text + 5, n + 1);
		return 0;
	}
	w->transport = strncmp(text, "udp://", 6) == 0 ? SINK_UDP : SINK_TCP;
	if (w->transport == SINK_TCP && strncmp(text, "tcp://", 6) != 0)
		return -1;
	return parse_host(text + 6, w);
}

static bool
is_url(const char *text)
{
	size_t scheme = strncmp(text, "https://", 8) == 0 ? 8 :
	    strncmp(text, "http://", 7) == 0 ? 7 : 0;

	return scheme && text[scheme] && text[scheme] != '/' &&
	    !strpbrk(text, " \t\r\n");
}

bool
sink_where_is_sound(enum sink_type type, const char *text)
{
	struct sink_where w;
	int failed = sink_where_parse(text, &w);

	switch (type) {
	case SINK_LINES:
		/* a path, and no other place misspelt */
		return failed ? !strstr(text, "://") &&
		    strncmp(text, "unix:", 5) != 0 : w.transport != SINK_UDP;
	case SINK_SYSLOG:
		return !failed && w.transport != SINK_UNIX;
	case SINK_WEBHOOK:
		return is_url(text);
	}
	return false;
}

const char *
sink_where_forms(enum sink_type type)
{
	switch (type) {
	case SINK_LINES:
		return "a file, tcp://HOST:PORT or unix:/PATH";
	case SINK_SYSLOG:
		return "udp://HOST:PORT or tcp://HOST:PORT";
	case SINK_WEBHOOK:
		return "https://HOST/PATH or http://HOST/PATH";
	}
	return "";
}
