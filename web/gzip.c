/* gzip.c - a body made small, by zlib.
 *
 * Quick rather than small: records are so alike that the first level takes nine
 * tenths of them already. */
#include "web/gzip.h"

#include <limits.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

enum { GZIP_LEVEL = 1, GZIP_WINDOW = 15 + 16, GZIP_MEMORY = 8 };

char *
gzip_pack(const char *text, size_t bytes, size_t *packed_bytes)
{
	z_stream z = { .next_in = (const Bytef *)text };
	char *out;
	int result;

	if (bytes > UINT_MAX / 2 || deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED,
	    GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	out = malloc(bytes);
	z.next_out = (Bytef *)out;
	z.avail_in = (uInt)bytes;
	z.avail_out = (uInt)bytes;
	result = out ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
	*packed_bytes = z.total_out;
	deflateEnd(&z);
	if (result == Z_STREAM_END)
		return out;
	free(out);
	return NULL;
}
