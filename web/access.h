/* access.h - who may see the page where others can reach it: whoever knows the
 * token, in a header, or in a form once, for which a browser gets a cookie.
 *
 * The cookie is made of the token: it stays good over a restart, and ends with
 * the token. Whatever is compared is compared in constant time. */
#ifndef WEB_ACCESS_H
#define WEB_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	ACCESS_TOKEN_LEAST = 16, ACCESS_TOKEN_MOST = 256,	/* bytes */
	ACCESS_DIGEST_BYTES = 32,
	ACCESS_COOKIE_BYTES = 2 * ACCESS_DIGEST_BYTES + 1,
	ACCESS_ERROR_BYTES = 256,
};

struct access {
	bool needed;
	uint8_t digest[ACCESS_DIGEST_BYTES];	/* of the token */
	char cookie[ACCESS_COOKIE_BYTES];
};

/* The first line of a file that others cannot read. 0, or -1 with a sentence. */
int access_read(struct access *, const char *path,
    char err[ACCESS_ERROR_BYTES]);
bool access_token_fits(const struct access *, const char *token);
/* A request's Authorization and Cookie fields (RFC 6750, section 2.1; RFC 6265,
 * section 4.2); NULL: it has none. */
bool access_bearer_fits(const struct access *, const char *authorization);
bool access_cookie_fits(const struct access *, const char *cookies);
/* What goes into Set-Cookie: for the host alone, out of reach of scripts and of
 * other sites' requests. */
enum { ACCESS_SET_COOKIE_BYTES = ACCESS_COOKIE_BYTES + 96 };
const char *access_set_cookie(const struct access *, bool secure,
    char out[ACCESS_SET_COOKIE_BYTES]);

#endif
