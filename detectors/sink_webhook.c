/* sink_webhook.c - findings as JSON in HTTP POSTs, for chats and pagers.
 *
 * The hard part is to be heard and not hated: when three hundred clients stall,
 * that is one message. After a message about a server and a kind of trouble the
 * next of the same is held down for a while and then summed up in one; what is
 * graver than what was told, and the end of an incident, goes out at once. */
#include "detectors/sink_internal.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONNECT_MS = 2000, POST_MS = 5000, LAST_MS = 2000,
	TOPICS = 1024, RETRY_MS = 10000, TEXT_BYTES = 1024,
};

/* What was told lately. */
struct topic {
	char server[ADDRESS_TEXT_BYTES], name[EVENT_NAME_BYTES];
	int64_t until_ms;		/* held down; 0: a free place */
	enum severity worst;		/* that was told */
	unsigned held;			/* since */
	unsigned told;			/* of the next ones: with the message */
	struct event *last;		/* of those held */
};

struct webhook {
	CURL *curl;
	struct curl_slist *headers;
	const atomic_bool *stop;
	int64_t hold_ms, retry_ms;
	int64_t deadline_ms;		/* of the last messages; 0: not the end */
	char why[CURL_ERROR_SIZE];
	size_t topic_count;
	struct topic topic[TOPICS];
};

const char *
sink_library_version(void)
{
	return curl_version();
}

/* --- opening ---------------------------------------------------------------------- */

static size_t
ignore(char *bytes, size_t size, size_t n, void *context)
{
	(void)bytes;
	(void)context;
	return size * n;
}

/* Not 0 ends the transfer. */
static int
is_over(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct webhook *w = context;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return atomic_load(w->stop) ||
	    (w->deadline_ms && sink_now_ms() > w->deadline_ms);
}

static int
set_headers(struct webhook *w, const char *header)
{
	struct curl_slist *list = curl_slist_append(NULL,
	    "Content-Type: application/json"), *more = list;

	if (list && *header)
		more = curl_slist_append(list, header);
	w->headers = more ? more : list;
	return more ? 0 : -1;
}

static void
set_options(struct webhook *w, const struct sink_config *c)
{
	CURL *h = w->curl;

	curl_easy_setopt(h, CURLOPT_URL, c->where);
	curl_easy_setopt(h, CURLOPT_POST, 1L);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, w->headers);
	curl_easy_setopt(h, CURLOPT_USERAGENT, "toewatch/" PACKAGE_VERSION);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)POST_MS);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, ignore);
	curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, is_over);
	curl_easy_setopt(h, CURLOPT_XFERINFODATA, w);
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, w->why);
	if (*c->ca)
		curl_easy_setopt(h, CURLOPT_CAINFO, c->ca);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L);
#endif
}

static void
forget(struct webhook *w)
{
	for (size_t i = 0; i < w->topic_count; i++)
		event_release(&w->topic[i].last);
	curl_slist_free_all(w->headers);
	curl_easy_cleanup(w->curl);
	free(w);
}

/* Once a process, before there are threads that use it. */
static int
begin(void)
{
	static bool begun;

	if (!begun && curl_global_init(CURL_GLOBAL_DEFAULT) == 0)
		begun = true;
	return begun ? 0 : -1;
}

static void *
webhook_open(const struct sink_config *c, const atomic_bool *stop,
    char err[SINK_ERROR_BYTES])
{
	struct webhook *w = calloc(1, sizeof(*w));

	if (!w) {
		snprintf(err, SINK_ERROR_BYTES, "out of memory");
		return NULL;
	}
	w->stop = stop;
	w->hold_ms = (int64_t)(c->hold_s * 1000);
	if (begin() == 0)
		w->curl = curl_easy_init();
	if (w->curl && set_headers(w, c->header) == 0) {
		set_options(w, c);
		return w;
	}
	snprintf(err, SINK_ERROR_BYTES, "sink \"%s\": out of memory", c->name);
	forget(w);
	return NULL;
}

/* --- a message ---------------------------------------------------------------------- */

/* For people, in most chats the field that is shown. */
static const char *
say(const struct event *e, unsigned more, char out[TEXT_BYTES])
{
	const char *change = event_change_name(e->change);
	bool news = !change || e->change == CHANGE_NEW;
	size_t n;

	snprintf(out, TEXT_BYTES, "toewatch: %s%s%s%s%s (%s)%s%s", e->server,
	    *e->server ? " " : "", e->name, news ? "" : " ", news ? "" : change,
	    severity_text(e->severity), *e->text ? ": " : "", e->text);
	n = strlen(out);
	if (more)
		snprintf(out + n, TEXT_BYTES - n, " (and %u more like this)",
		    more);
	return out;
}

static char *
body(const struct event *e, unsigned more)
{
	json_t *record = json_loadb(e->json, e->bytes, 0, NULL);
	char text[TEXT_BYTES], *json;
	json_t *o;

	say(e, more, text);
	o = json_pack("{s:s%, s:s, s:s, s:s, s:s, s:f, s:i, s:o}", "text", text,
	    strnlen(text, sizeof(text)), "event_type",
	    event_kind_name(e->kind), "server", e->server, "name", e->name,
	    "severity", severity_text(e->severity), "confidence",
	    e->confidence, "more", (int)more, "record",
	    record ? record : json_null());
	json = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(o);
	return json;
}

/* It will never be taken, however often it is sent. */
static bool
is_refused(long status)
{
	return status == 400 || status == 405 || status == 406 ||
	    status == 410 || status == 411 || status == 413 || status == 414 ||
	    status == 415 || status == 422;
}

/* 0: it was taken, or is of no use to that receiver. */
static int
post(struct webhook *w, const struct event *e, unsigned more, char why[256])
{
	char *json = body(e, more);
	long status = 0;
	CURLcode code;

	if (!json) {
		snprintf(why, 256, "out of memory, or text that is not UTF-8");
		return -1;
	}
	w->why[0] = '\0';
	curl_easy_setopt(w->curl, CURLOPT_POSTFIELDS, json);
	code = curl_easy_perform(w->curl);
	free(json);
	if (code != CURLE_OK) {
		snprintf(why, 256, "%.200s", *w->why ? w->why :
		    curl_easy_strerror(code));
		return -1;
	}
	curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
	if ((status >= 200 && status < 300) || is_refused(status))
		return 0;
	snprintf(why, 256, "it answered with HTTP status %ld", status);
	return -1;
}

/* --- holding down ------------------------------------------------------------------- */

static bool
is_same(const struct event *a, const struct event *b)
{
	return strcmp(a->server, b->server) == 0 && strcmp(a->name, b->name) == 0;
}

static struct topic *
topic_known(struct webhook *w, const struct event *e)
{
	for (size_t i = 0; i < w->topic_count; i++) {
		struct topic *t = &w->topic[i];

		if (t->until_ms && strcmp(t->server, e->server) == 0 &&
		    strcmp(t->name, e->name) == 0)
			return t;
	}
	return NULL;
}

/* With nothing held, a topic whose time is over is a free place. Where there is
 * none, the last place is everybody's. */
static struct topic *
topic_new(struct webhook *w, const struct event *e, int64_t now)
{
	struct topic *t = NULL;

	for (size_t i = 0; i < w->topic_count && !t; i++)
		if (!w->topic[i].held && !w->topic[i].told &&
		    w->topic[i].until_ms < now)
			t = &w->topic[i];
	if (!t && w->topic_count < TOPICS)
		t = &w->topic[w->topic_count++];
	if (!t)
		t = &w->topic[TOPICS - 1];
	event_release(&t->last);
	*t = (struct topic){ .until_ms = 1 };
	snprintf(t->server, sizeof(t->server), "%s", e->server);
	snprintf(t->name, sizeof(t->name), "%s", e->name);
	return t;
}

static bool
is_held(const struct topic *t, const struct event *e, int64_t now)
{
	if (!t || now >= t->until_ms)
		return false;
	if (e->kind == EVENT_INCIDENT && e->change == CHANGE_OVER)
		return false;
	return e->severity <= t->worst;
}

static void
hold(struct topic *t, struct event *e)
{
	if (t->told) {
		t->told--;
		return;
	}
	t->held++;
	event_release(&t->last);
	t->last = event_hold(e);
}

/* How many of the events after it the message about `list[0]` is about, too. */
static unsigned
like_it(struct event *const *list, size_t count)
{
	unsigned n = 0;

	for (size_t i = 1; i < count; i++)
		n += is_same(list[0], list[i]) &&
		    list[i]->severity <= list[0]->severity &&
		    !(list[i]->kind == EVENT_INCIDENT &&
		    list[i]->change == CHANGE_OVER);
	return n;
}

static int
tell(struct webhook *w, struct event *const *list, size_t count, char why[256])
{
	int64_t now = sink_now_ms();
	struct topic *t = topic_known(w, list[0]);
	unsigned more = w->hold_ms ? like_it(list, count) : 0;

	if (is_held(t, list[0], now)) {
		hold(t, list[0]);
		return 0;
	}
	if (post(w, list[0], more + (t ? t->held : 0), why))
		return -1;
	t = t ? t : topic_new(w, list[0], now);
	event_release(&t->last);
	t->held = 0;
	t->told = more;
	t->worst = list[0]->severity;
	t->until_ms = now + w->hold_ms;
	return 0;
}

static size_t
webhook_deliver(void *context, struct event *const *list, size_t count,
    char why[256])
{
	struct webhook *w = context;
	size_t n = 0;

	while (n < count && !atomic_load(w->stop) &&
	    tell(w, list + n, count - n, why) == 0)
		n++;
	return n;
}

/* Sum up what was held. */
static int
sum_up(struct webhook *w, struct topic *t, int64_t now)
{
	char why[256];

	if (post(w, t->last, t->held - 1, why))
		return -1;
	event_release(&t->last);
	t->held = 0;
	t->until_ms = now + w->hold_ms;
	return 0;
}

static void
webhook_tick(void *context)
{
	struct webhook *w = context;
	int64_t now = sink_now_ms();

	for (size_t i = 0; i < w->topic_count && now >= w->retry_ms; i++)
		if (w->topic[i].held && now >= w->topic[i].until_ms &&
		    sum_up(w, &w->topic[i], now))
			w->retry_ms = now + RETRY_MS;
}

static void
webhook_close(void *context)
{
	struct webhook *w = context;

	w->deadline_ms = sink_now_ms() + LAST_MS;
	for (size_t i = 0; i < w->topic_count && !is_over(w, 0, 0, 0, 0); i++)
		if (w->topic[i].held && sum_up(w, &w->topic[i], 0))
			break;
	forget(w);
}

const struct sink_kind sink_webhook = {
	.open = webhook_open,
	.deliver = webhook_deliver,
	.tick = webhook_tick,
	.close = webhook_close,
};
