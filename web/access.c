/* access.c - the token, and the cookie that stands for it.
 *
 * The hard part is to tell nothing by the time it takes: digests are compared,
 * of one length whatever was given, and every byte of them. */
#include "web/access.h"

#include <errno.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char cookie_name[] = "toewatch=";
static const char cookie_purpose[] = "toewatch page cookie 1";

static void
digest_of(const char *text, size_t n, uint8_t out[ACCESS_DIGEST_BYTES])
{
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, n, (const uint8_t *)text);
	sha256_digest(&sha, ACCESS_DIGEST_BYTES, out);
}

static void
make_cookie(struct access *a, const char *token, size_t n)
{
	uint8_t code[ACCESS_DIGEST_BYTES];
	struct hmac_sha256_ctx hmac;

	hmac_sha256_set_key(&hmac, n, (const uint8_t *)token);
	hmac_sha256_update(&hmac, sizeof(cookie_purpose) - 1,
	    (const uint8_t *)cookie_purpose);
	hmac_sha256_digest(&hmac, sizeof(code), code);
	for (size_t i = 0; i < sizeof(code); i++)
		snprintf(a->cookie + 2 * i, 3, "%02x", code[i]);
}

/* The first line, without its end; NULL with a sentence. */
static const char *
read_line(const char *path, char line[ACCESS_TOKEN_MOST + 3],
    char err[ACCESS_ERROR_BYTES])
{
	FILE *file = fopen(path, "re");
	struct stat s;

	if (!file || fstat(fileno(file), &s) != 0 ||
	    (!fgets(line, ACCESS_TOKEN_MOST + 3, file) && ferror(file))) {
		snprintf(err, ACCESS_ERROR_BYTES, "cannot read the page's token "
		    "from %.120s: %s", path, strerror(errno));
		line = NULL;
	} else if (s.st_mode & S_IRWXO) {
		snprintf(err, ACCESS_ERROR_BYTES, "the page's token in %.120s is "
		    "open to everybody on this machine: chmod o= it", path);
		line = NULL;
	}
	if (file)
		fclose(file);
	if (line)
		line[strcspn(line, "\r\n")] = '\0';
	return line;
}

int
access_read(struct access *a, const char *path, char err[ACCESS_ERROR_BYTES])
{
	char line[ACCESS_TOKEN_MOST + 3] = "";
	size_t n;

	if (!read_line(path, line, err))
		return -1;
	n = strlen(line);
	for (size_t i = 0; i < n; i++)
		if (line[i] <= ' ' || line[i] > '~')
			n = 0;
	if (n < ACCESS_TOKEN_LEAST || n > ACCESS_TOKEN_MOST) {
		snprintf(err, ACCESS_ERROR_BYTES, "the page's token in %.100s is "
		    "not one line of %d to %d letters, digits and signs (openssl "
		    "rand -hex 16 makes one)", path, ACCESS_TOKEN_LEAST,
		    ACCESS_TOKEN_MOST);
		return -1;
	}
	a->needed = true;
	digest_of(line, n, a->digest);
	make_cookie(a, line, n);
	explicit_bzero(line, sizeof(line));
	return 0;
}

static bool
token_fits(const struct access *a, const char *token, size_t n)
{
	uint8_t digest[ACCESS_DIGEST_BYTES];

	digest_of(token, n, digest);
	return memeql_sec(digest, a->digest, sizeof(digest)) == 1;
}

bool
access_token_fits(const struct access *a, const char *token)
{
	return token_fits(a, token, strlen(token));
}

bool
access_bearer_fits(const struct access *a, const char *field)
{
	if (!field || strncasecmp(field, "Bearer ", 7) != 0)
		return false;
	field += 7 + strspn(field + 7, " ");
	return token_fits(a, field, strcspn(field, " "));
}

bool
access_cookie_fits(const struct access *a, const char *at)
{
	size_t name = sizeof(cookie_name) - 1, n;

	while (at && *at) {
		at += strspn(at, "; \t");
		n = strcspn(at, ";");
		if (strncmp(at, cookie_name, name) == 0 &&
		    n == name + ACCESS_COOKIE_BYTES - 1 && memeql_sec(at + name,
		    a->cookie, ACCESS_COOKIE_BYTES - 1) == 1)
			return true;
		at += n;
	}
	return false;
}

const char *
access_set_cookie(const struct access *a, bool secure,
    char out[ACCESS_SET_COOKIE_BYTES])
{
	snprintf(out, ACCESS_SET_COOKIE_BYTES, "%s%s; Path=/; HttpOnly; "
	    "SameSite=Strict; Max-Age=2592000%s", cookie_name, a->cookie,
	    secure ? "; Secure" : "");
	return out;
}
