/* json_line.h - a record of JSON as the line that is written. */
#ifndef DETECTORS_JSON_LINE_H
#define DETECTORS_JSON_LINE_H

#include <stddef.h>

struct json_t;			/* jansson.h */

/* Reals have so many significant digits: more than any measure here is worth, and
 * 0.97 does not become 0.96999999999999997. */
enum { JSON_LINE_DIGITS = 9 };

/* Write it to `out`, without an end, as json_dumpb() does with JSON_COMPACT and
 * JSON_REAL_PRECISION(JSON_LINE_DIGITS), and return how many bytes that were. 0: it
 * does not fit, or has something that is rare in records (a control character, a
 * number with an exponent): ask the library. */
size_t json_line(struct json_t *, char *out, size_t size);

#endif
