/* listen.c - where the page is served.
 *
 * The hard part is to say no clearly: an address that cannot be read, one that
 * others could reach, and a port that somebody else has, are three different
 * mistakes. */
#include "web/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { HOST_BYTES = 64, PORT_MAX = 65535, BACKLOG = 64 };

/* "[::1]:8080" into its host and what follows the colon. Without a port `*port`
 * is NULL. False: neither form. */
static bool
split(const char *text, char host[HOST_BYTES], const char **port)
{
	bool bracket = *text == '[';
	const char *from = text + bracket, *end = bracket ? strchr(from, ']') :
	    from + strcspn(from, ":");
	size_t n;

	if (!end || end == from)
		return false;
	n = (size_t)(end - from);
	if (n >= HOST_BYTES)
		return false;
	memcpy(host, from, n);
	host[n] = '\0';
	end += bracket;
	if (*end && *end != ':')
		return false;
	*port = *end ? end + 1 : NULL;
	return true;
}

static bool
port_of(const char *text, in_port_t *port)
{
	size_t n = strspn(text, "0123456789");
	long v = strtol(text, NULL, 10);

	if (n == 0 || n > 5 || text[n] || v > PORT_MAX)
		return false;
	*port = htons((in_port_t)v);
	return true;
}

/* False: no address. */
static bool
address_of(const char *host, bool bracket, in_port_t port, struct web_where *w)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = port };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = port };

	if (strcasecmp(host, "localhost") == 0 && !bracket)
		host = "127.0.0.1";
	memset(w, 0, sizeof(*w));
	if (bracket && inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		memcpy(&w->address, &v6, sizeof(v6));
		w->bytes = sizeof(v6);
		return true;
	}
	if (!bracket && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		memcpy(&w->address, &v4, sizeof(v4));
		w->bytes = sizeof(v4);
		return true;
	}
	return false;
}

bool
web_where_is_loopback(const struct web_where *w)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (w->address.ss_family == AF_INET) {
		memcpy(&v4, &w->address, sizeof(v4));
		return ntohl(v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	memcpy(&v6, &w->address, sizeof(v6));
	return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

int
web_where_parse(const char *text, struct web_where *w, char err[WEB_ERROR_BYTES])
{
	char host[HOST_BYTES];
	const char *port;
	in_port_t number;

	if (!split(text, host, &port) || !port || !port_of(port, &number) ||
	    !address_of(host, *text == '[', number, w)) {
		snprintf(err, WEB_ERROR_BYTES, "-w takes an address and a port, "
		    "127.0.0.1:8080 or [::1]:8080, not '%.80s'", text);
		return -1;
	}
	return 0;
}

const char *
web_where_text(const struct web_where *w, char out[WEB_WHERE_BYTES])
{
	char host[INET6_ADDRSTRLEN] = "";
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (w->address.ss_family == AF_INET) {
		memcpy(&v4, &w->address, sizeof(v4));
		inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
		snprintf(out, WEB_WHERE_BYTES, "%s:%u", host, ntohs(v4.sin_port));
	} else {
		memcpy(&v6, &w->address, sizeof(v6));
		inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
		snprintf(out, WEB_WHERE_BYTES, "[%s]:%u", host,
		    ntohs(v6.sin6_port));
	}
	return out;
}

/* bind, listen, and ask which port it is. 0, or -1 with errno. */
static int
take_port(int fd, struct web_where *w)
{
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&w->address, w->bytes) != 0)
		return -1;
	if (listen(fd, BACKLOG) != 0)
		return -1;
	w->bytes = sizeof(w->address);
	return getsockname(fd, (struct sockaddr *)&w->address, &w->bytes);
}

int
web_where_listen(struct web_where *w, char err[WEB_ERROR_BYTES])
{
	int fd = socket(w->address.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char text[WEB_WHERE_BYTES];

	if (fd >= 0 && take_port(fd, w) == 0)
		return fd;
	snprintf(err, WEB_ERROR_BYTES, "cannot serve the page on %s: %s",
	    web_where_text(w, text), strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

bool
web_host_is_loopback(const char *text)
{
	char host[HOST_BYTES];
	struct web_where w;
	const char *port;
	in_port_t number;

	if (!split(text, host, &port) || (port && !port_of(port, &number)))
		return false;
	return address_of(host, *text == '[', 0, &w) && web_where_is_loopback(&w);
}
