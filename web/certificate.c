/* certificate.c - the certificate of the page, and its key.
 *
 * The hard part is that they are renewed while handshakes are under way, in
 * another thread: each handshake gets copies of its own, which GnuTLS frees, so
 * nothing that is in use is ever taken away. */
#include "web/certificate.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	PEM_BYTES = 1 << 20,		/* of a certificate or key file, at most */
	CHAIN_MAX = 16,			/* certificates that it needs, and itself */
	KEY_ID_BYTES = 32,		/* SHA-256 */
};

struct pair {
	unsigned count;			/* 0: none */
	gnutls_x509_crt_t chain[CHAIN_MAX];	/* its own first */
	gnutls_x509_privkey_t key;
	time_t valid_until;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pair in_use;		/* under it */

static void
pair_clear(struct pair *p)
{
	for (unsigned i = 0; i < p->count; i++)
		gnutls_x509_crt_deinit(p->chain[i]);
	if (p->key)
		gnutls_x509_privkey_deinit(p->key);	/* zeroes it */
	*p = (struct pair){ 0 };
}

/* NUL-ended and from malloc, with so many bytes; NULL with a sentence. */
static char *
read_pem(const char *what, const char *path, size_t *bytes,
    char err[WEB_ERROR_BYTES])
{
	FILE *file = fopen(path, "re");
	char *text = file ? calloc(1, PEM_BYTES) : NULL;
	bool failed = true;

	if (text) {
		*bytes = fread(text, 1, PEM_BYTES - 1, file);
		failed = *bytes == 0 && ferror(file);
	}
	if (failed)
		snprintf(err, WEB_ERROR_BYTES, "cannot read the page's %s %.150s: "
		    "%s", what, path, strerror(errno));
	if (file)
		fclose(file);
	if (!failed)
		return text;
	free(text);
	return NULL;
}

static void
free_pem(char *text)
{
	if (text)
		explicit_bzero(text, PEM_BYTES);
	free(text);
}

static int
say_unusable(const char *what, const char *path, int status,
    char err[WEB_ERROR_BYTES])
{
	snprintf(err, WEB_ERROR_BYTES, "the page's %s %.150s cannot be used: %s",
	    what, path, gnutls_strerror(status));
	return -1;
}

static int
read_chain(struct pair *p, const char *path, char err[WEB_ERROR_BYTES])
{
	size_t bytes = 0;
	char *text = read_pem("certificate", path, &bytes, err);
	gnutls_datum_t pem = { (unsigned char *)text, (unsigned)bytes };
	unsigned count = CHAIN_MAX;
	int status;

	if (!text)
		return -1;
	status = gnutls_x509_crt_list_import(p->chain, &count, &pem,
	    GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED |
	    GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
	free_pem(text);
	if (status <= 0)
		return say_unusable("certificate", path, status, err);
	p->count = (unsigned)status;
	p->valid_until = gnutls_x509_crt_get_expiration_time(p->chain[0]);
	return 0;
}

static int
read_key(struct pair *p, const char *path, char err[WEB_ERROR_BYTES])
{
	size_t bytes = 0;
	char *text = read_pem("key", path, &bytes, err);
	gnutls_datum_t pem = { (unsigned char *)text, (unsigned)bytes };
	int status;

	if (!text)
		return -1;
	status = gnutls_x509_privkey_init(&p->key);
	if (status == 0)
		status = gnutls_x509_privkey_import2(p->key, &pem,
		    GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
	free_pem(text);
	return status ? say_unusable("key", path, status, err) : 0;
}

static bool
belong_together(const struct pair *p)
{
	unsigned char one[KEY_ID_BYTES], other[KEY_ID_BYTES];
	size_t one_bytes = sizeof(one), other_bytes = sizeof(other);

	return gnutls_x509_crt_get_key_id(p->chain[0],
	    GNUTLS_KEYID_USE_SHA256, one, &one_bytes) == 0 &&
	    gnutls_x509_privkey_get_key_id(p->key, GNUTLS_KEYID_USE_SHA256,
	    other, &other_bytes) == 0 && one_bytes == other_bytes &&
	    memcmp(one, other, one_bytes) == 0;
}

static const char *
day_text(time_t t, char out[32])
{
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm))
		snprintf(out, 32, "a day unknown");
	return out;
}

/* Is it worse than nothing new? */
static int
judge(const struct pair *p, const char *certificate, const char *key,
    char err[WEB_ERROR_BYTES])
{
	time_t now = time(NULL);
	char day[32];

	if (!belong_together(p)) {
		snprintf(err, WEB_ERROR_BYTES, "the page's certificate %.90s and "
		    "its key %.90s do not belong together", certificate, key);
		return -1;
	}
	if (in_use.count && p->valid_until < now && in_use.valid_until >= now) {
		snprintf(err, WEB_ERROR_BYTES, "the page's certificate %.150s was "
		    "valid until %s", certificate, day_text(p->valid_until, day));
		return -1;
	}
	return 0;
}

/* Is it no longer valid? */
static bool
describe(const struct pair *p, bool same, char text[WEB_ERROR_BYTES])
{
	bool over = p->valid_until < time(NULL);
	char day[32];

	day_text(p->valid_until, day);
	if (over)
		snprintf(text, WEB_ERROR_BYTES, "the page's certificate is no "
		    "longer valid, it was until %s: browsers will not take it",
		    day);
	else
		snprintf(text, WEB_ERROR_BYTES, "the page's certificate is %s, and "
		    "valid until %s", same ? "the same as before" : "taken over",
		    day);
	return over;
}

int
certificate_read(const char *certificate, const char *key,
    char text[WEB_ERROR_BYTES])
{
	struct pair fresh = { 0 }, old;
	bool same, over;

	if (read_chain(&fresh, certificate, text) ||
	    read_key(&fresh, key, text)) {
		pair_clear(&fresh);
		return -1;
	}
	pthread_mutex_lock(&lock);
	if (judge(&fresh, certificate, key, text)) {
		pthread_mutex_unlock(&lock);
		pair_clear(&fresh);
		return -1;
	}
	same = in_use.count && gnutls_x509_crt_equals(fresh.chain[0],
	    in_use.chain[0]);
	over = describe(&fresh, same, text);
	old = in_use;
	in_use = fresh;
	pthread_mutex_unlock(&lock);
	pair_clear(&old);
	return over;
}

void
certificate_forget(void)
{
	pthread_mutex_lock(&lock);
	pair_clear(&in_use);
	pthread_mutex_unlock(&lock);
}

/* For a handshake -------------------------------------------------------------- */

/* Copies, made with the lock held. 0, or less. */
static int
copy_chain(gnutls_pcert_st *out, unsigned *count)
{
	for (*count = 0; *count < in_use.count; ++*count)
		if (gnutls_pcert_import_x509(&out[*count],
		    in_use.chain[*count], 0))
			return -1;
	return *count ? 0 : -1;
}

static int
copy_key(gnutls_privkey_t *key)
{
	if (gnutls_privkey_init(key))
		return -1;
	if (gnutls_privkey_import_x509(*key, in_use.key,
	    GNUTLS_PRIVKEY_IMPORT_COPY) == 0)
		return 0;
	gnutls_privkey_deinit(*key);
	return -1;
}

static int
copy_both(gnutls_pcert_st *chain, unsigned *count, gnutls_privkey_t *key)
{
	int failed;

	pthread_mutex_lock(&lock);
	failed = copy_chain(chain, count);
	if (!failed)
		failed = copy_key(key);
	pthread_mutex_unlock(&lock);
	return failed;
}

/* gnutls_calloc and gnutls_free are variables: they point to functions that are not
 * in this program, and so not in its tables of what may be called through a pointer
 * (clang's control flow integrity). */
#ifdef __clang__
#define CALLS_OUT __attribute__((no_sanitize("cfi-icall")))
#else
#define CALLS_OUT
#endif

/* gnutls_certificate_retrieve_function3: what it gets here is its own. */
static CALLS_OUT int
retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
    gnutls_pcert_st **chain, unsigned *count, gnutls_ocsp_data_st **ocsp,
    unsigned *ocsp_count, gnutls_privkey_t *key, unsigned *flags)
{
	gnutls_pcert_st *copy = gnutls_calloc(CHAIN_MAX, sizeof(*copy));

	(void)session;
	(void)info;
	if (!copy)
		return -1;
	if (copy_both(copy, count, key)) {
		while (*count)
			gnutls_pcert_deinit(&copy[--*count]);
		gnutls_free(copy);
		return -1;
	}
	*chain = copy;
	*ocsp = NULL;
	*ocsp_count = 0;
	*flags = GNUTLS_CERT_RETR_DEINIT_ALL;
	return 0;
}

void *
certificate_callback(void)
{
	gnutls_certificate_retrieve_function3 *f = retrieve;
	void *out;

	memcpy(&out, &f, sizeof(out));
	return out;
}
