/* certificate.h - the certificate of the page, and its key: read at the start,
 * and again when they were renewed, without a restart.
 *
 * There is one in a process: GnuTLS asks for it without saying on whose behalf. */
#ifndef WEB_CERTIFICATE_H
#define WEB_CERTIFICATE_H

#include "web/listen.h"

/* PEM files: the certificate with those it needs, and its key, not encrypted. What
 * they hold serves connections from now on; `text` gets a sentence about it, until
 * when it is valid. 0, or 1 when it no longer is; or -1 with a sentence, and what
 * was in use stays in use: they cannot be read, do not belong together, or are no
 * longer valid while what is in use is. Any thread. */
int certificate_read(const char *certificate, const char *key,
    char text[WEB_ERROR_BYTES]);
/* For MHD_OPTION_HTTPS_CERT_CALLBACK2. */
void *certificate_callback(void);
void certificate_forget(void);

#endif
