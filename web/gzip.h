/* gzip.h - a body made small (RFC 1952). */
#ifndef WEB_GZIP_H
#define WEB_GZIP_H

#include <stddef.h>

/* From malloc; NULL: no memory, or it would not be smaller. */
char *gzip_pack(const char *text, size_t bytes, size_t *packed_bytes);

#endif
