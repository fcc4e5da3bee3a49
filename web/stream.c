/* stream.c - the newest events, and who follows them.
 *
 * The hard part is that a viewer may stop in the middle of a record, for as long
 * as it likes, while the ring goes on: it holds that one record, and no more. */
#include "web/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char record_end[] = "\n\n";

struct stream *
stream_new(const char *run)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->event = calloc(STREAM_EVENTS, sizeof(struct event *));
	if (!s->event) {
		free(s);
		return NULL;
	}
	snprintf(s->run, sizeof(s->run), "%s", run);
	return s;
}

static void
drop_oldest(struct stream *s)
{
	struct event **place = &s->event[s->first++ % STREAM_EVENTS];

	s->bytes -= event_size(*place);
	event_release(place);
}

void
stream_gap(struct stream *s)
{
	while (s->first < s->end)
		drop_oldest(s);
	s->first = ++s->end;		/* the place of what was lost */
}

void
stream_free(struct stream **stream)
{
	struct stream *s = *stream;

	*stream = NULL;
	if (!s)
		return;
	while (s->first < s->end)
		drop_oldest(s);
	free(s->event);
	free(s);
}

void
stream_add(struct stream *s, struct event *e)
{
	while (s->first < s->end && (s->end - s->first == STREAM_EVENTS ||
	    s->bytes + event_size(e) > STREAM_BYTES))
		drop_oldest(s);
	s->event[s->end++ % STREAM_EVENTS] = event_hold(e);
	s->bytes += event_size(e);
	s->last_number = e->number;
}

bool
stream_set_state(struct stream *s, const char *json)
{
	if (strcmp(s->state, json) == 0)
		return false;
	snprintf(s->state, sizeof(s->state), "%s", json);
	s->state_version++;
	return true;
}

static const char *
mark_text(const struct stream *s, uint64_t number, char out[STREAM_MARK_BYTES])
{
	snprintf(out, STREAM_MARK_BYTES, "%s.%llu", s->run,
	    (unsigned long long)number);
	return out;
}

const char *
stream_mark(const struct stream *s, char out[STREAM_MARK_BYTES])
{
	return mark_text(s, s->last_number, out);
}

/* Viewers ------------------------------------------------------------------- */

/* The number in a mark of this run. False: of another one, or no mark. */
static bool
number_of(const struct stream *s, const char *mark, uint64_t *number)
{
	size_t n = strlen(s->run), digits;

	if (strncmp(mark, s->run, n) != 0 || mark[n] != '.')
		return false;
	mark += n + 1;
	digits = strspn(mark, "0123456789");
	if (digits == 0 || digits > 19 || mark[digits])
		return false;
	*number = strtoull(mark, NULL, 10);
	return true;
}

/* The place of the first event after `number`. Numbers ascend. */
static uint64_t
place_after(const struct stream *s, uint64_t number)
{
	uint64_t low = s->first, high = s->end;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (s->event[middle % STREAM_EVENTS]->number <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
viewer_begin(struct viewer *v, struct stream *s, const char *mark)
{
	uint64_t number;

	*v = (struct viewer){ .of = s, .at = s->end };
	if (!mark)
		return;
	if (!number_of(s, mark, &number) || number > s->last_number) {
		v->behind = true;
		return;
	}
	v->at = place_after(s, number);
	/* The oldest kept comes right after it, or something is missing. */
	if (v->at == s->first && s->first > 0 && number < s->last_number)
		v->behind = v->at == s->end ||
		    s->event[v->at % STREAM_EVENTS]->number != number + 1;
}

void
viewer_end(struct viewer *v)
{
	event_release(&v->event);
}

static void
set_head(struct viewer *v, const char *kind, const char *mark, const char *data)
{
	int n = snprintf(v->head, sizeof(v->head), "event: %s\n%s%s%sdata: %s",
	    kind, mark ? "id: " : "", mark ? mark : "", mark ? "\n" : "", data);

	v->head_bytes = n > 0 ? (size_t)n : 0;
}

static void
begin_reset(struct viewer *v, struct stream *s)
{
	char mark[STREAM_MARK_BYTES], data[STREAM_MARK_BYTES + 16];

	stream_mark(s, mark);
	snprintf(data, sizeof(data), "{\"mark\":\"%s\"}\n\n", mark);
	set_head(v, "reset", mark, data);
	v->at = s->end;
	v->behind = false;
	s->resets++;
}

static void
begin_state(struct viewer *v, const struct stream *s)
{
	char data[STREAM_STATE_BYTES + 4];

	snprintf(data, sizeof(data), "%s\n\n", s->state);
	set_head(v, "progress", NULL, data);
	v->state_version = s->state_version;
}

static void
begin_event(struct viewer *v, const struct stream *s)
{
	char mark[STREAM_MARK_BYTES];

	v->event = event_hold(s->event[v->at++ % STREAM_EVENTS]);
	set_head(v, event_kind_name(v->event->kind),
	    mark_text(s, v->event->number, mark), "");
}

static bool
is_behind(const struct viewer *v, const struct stream *s)
{
	return v->behind || v->at < s->first;
}

bool
viewer_has_news(const struct viewer *v, const struct stream *s)
{
	return v->head_bytes || is_behind(v, s) || v->heartbeat ||
	    v->state_version != s->state_version || v->at < s->end;
}

/* What comes next. False: nothing. */
static bool
begin_next(struct viewer *v, struct stream *s)
{
	if (is_behind(v, s))
		begin_reset(v, s);
	else if (v->state_version != s->state_version)
		begin_state(v, s);
	else if (v->at < s->end)
		begin_event(v, s);
	else if (v->heartbeat)
		v->head_bytes = (size_t)snprintf(v->head, sizeof(v->head),
		    ":\n\n");
	else
		return false;
	v->heartbeat = false;
	v->sent = 0;
	return true;
}

/* The part of `piece`, which begins at `from` of the whole, that is due now. */
static size_t
copy_piece(struct viewer *v, const char *piece, size_t from, size_t bytes,
    char *out, size_t room)
{
	size_t done = v->sent - from, n = bytes - done;

	if (v->sent < from || done >= bytes)
		return 0;
	if (n > room)
		n = room;
	memcpy(out, piece + done, n);
	v->sent += n;
	return n;
}

static size_t
whole_bytes(const struct viewer *v)
{
	return v->head_bytes + (v->event ? v->event->bytes +
	    sizeof(record_end) - 1 : 0);
}

static size_t
copy_frame(struct viewer *v, char *out, size_t room)
{
	size_t n = copy_piece(v, v->head, 0, v->head_bytes, out, room);

	if (v->event) {
		size_t from = v->head_bytes;

		n += copy_piece(v, v->event->json, from, v->event->bytes, out + n,
		    room - n);
		from += v->event->bytes;
		n += copy_piece(v, record_end, from, sizeof(record_end) - 1,
		    out + n, room - n);
	}
	return n;
}

size_t
viewer_read(struct viewer *v, struct stream *s, char *out, size_t room)
{
	size_t n = 0;

	while (n < room && (v->head_bytes || begin_next(v, s))) {
		n += copy_frame(v, out + n, room - n);
		if (v->sent == whole_bytes(v)) {
			event_release(&v->event);
			v->head_bytes = 0;
		}
	}
	return n;
}
