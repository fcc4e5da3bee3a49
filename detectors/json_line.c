/* json_line.c - a record of JSON as the line that is written.
 *
 * A run may end with a hundred thousand records, and the library looks at each
 * character of each as one of UTF-8 that may have to be escaped, and at each object
 * for whether it contains itself. Ours hardly ever need the one and never the other:
 * what is plain is copied here, and all else is left to the library. */
#include "detectors/json_line.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "detectors/decimal.h"

enum { NUMBER_BYTES = 32, DEPTH_MAX = 16 };

struct line {
	char *at, *end;
	bool failed;
};

static void put_value(struct line *, json_t *, unsigned depth);

static void
put(struct line *l, const char *text, size_t n)
{
	if ((size_t)(l->end - l->at) < n) {
		l->failed = true;
		return;
	}
	memcpy(l->at, text, n);
	l->at += n;
}

/* Up to what is to be escaped. */
static size_t
plain_bytes(const char *text, size_t n)
{
	size_t i = 0;

	while (i < n && (unsigned char)text[i] >= ' ' && text[i] != '"' &&
	    text[i] != '\\')
		i++;
	return i;
}

static void
put_string(struct line *l, const char *text, size_t n)
{
	size_t plain;

	put(l, "\"", 1);
	while ((plain = plain_bytes(text, n)) < n) {
		put(l, text, plain);
		put(l, "\\", 1);
		put(l, text + plain, 1);
		l->failed |= (unsigned char)text[plain] < ' ';
		text += plain + 1;
		n -= plain + 1;
	}
	put(l, text, n);
	put(l, "\"", 1);
}

static void
put_integer(struct line *l, int64_t v)
{
	char text[DECIMAL_BYTES];
	const char *digits = decimal_text(v < 0 ? -(uint64_t)v : (uint64_t)v,
	    text);

	if (v < 0)
		put(l, "-", 1);
	put(l, digits, strlen(digits));
}

/* That a number is real shows in what is written: 3.0. */
static void
put_real(struct line *l, double v)
{
	char text[NUMBER_BYTES];
	int n;

	if (fabs(v) < 1e9 && v == (double)(int64_t)v &&
	    (v != 0 || !signbit(v))) {
		put_integer(l, (int64_t)v);
		put(l, ".0", 2);
		return;
	}
	n = snprintf(text, sizeof(text), "%.*g", JSON_LINE_DIGITS, v);
	if (n < 0 || !strchr(text, '.') || strchr(text, 'e'))
		l->failed = true;
	else
		put(l, text, (size_t)n);
}

static void
put_array(struct line *l, json_t *list, unsigned depth)
{
	size_t count = json_array_size(list);

	put(l, "[", 1);
	for (size_t i = 0; i < count; i++) {
		if (i)
			put(l, ",", 1);
		put_value(l, json_array_get(list, i), depth);
	}
	put(l, "]", 1);
}

static void
put_object(struct line *l, json_t *object, unsigned depth)
{
	void *first = json_object_iter(object);

	put(l, "{", 1);
	for (void *i = first; i; i = json_object_iter_next(object, i)) {
		const char *key = json_object_iter_key(i);

		if (i != first)
			put(l, ",", 1);
		put_string(l, key, strlen(key));
		put(l, ":", 1);
		put_value(l, json_object_iter_value(i), depth);
	}
	put(l, "}", 1);
}

static void
put_value(struct line *l, json_t *v, unsigned depth)
{
	if (l->failed || !v || depth == DEPTH_MAX) {
		l->failed = true;
		return;
	}
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		put_object(l, v, depth + 1);
		return;
	case JSON_ARRAY:
		put_array(l, v, depth + 1);
		return;
	case JSON_STRING:
		put_string(l, json_string_value(v), json_string_length(v));
		return;
	case JSON_INTEGER: put_integer(l, json_integer_value(v)); return;
	case JSON_REAL: put_real(l, json_real_value(v)); return;
	case JSON_TRUE: put(l, "true", 4); return;
	case JSON_FALSE: put(l, "false", 5); return;
	case JSON_NULL: put(l, "null", 4); return;
	}
}

size_t
json_line(struct json_t *v, char *out, size_t size)
{
	struct line l = { .at = out, .end = out + size };

	put_value(&l, v, 0);
	return l.failed ? 0 : (size_t)(l.at - out);
}
