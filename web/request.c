/* request.c - what is asked, and what it is answered with.
 *
 * The hard part is to give nothing away: only GET and HEAD of a short list of
 * paths, no body taken (but a token's, login.c), no name from a request in an
 * answer, a Host that is not loopback turned away where no token guards the
 * page. */
#include "web/server_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "web/assets.h"
#include "web/gzip.h"

enum {
	PACK_BYTES = 1024,		/* smaller bodies are sent as they are */
	REPORT_AGE_S = 10,
};

/* Answers ------------------------------------------------------------------- */

/* On every answer. Nothing is loaded from elsewhere, nothing in the page can
 * become a script, and no other page may frame it or read it. */
static const char *const headers[][2] = {
	{ "Content-Security-Policy", "default-src 'none'; script-src 'self'; "
	    "style-src 'self'; img-src 'self' data:; connect-src 'self'; "
	    "font-src 'self'; base-uri 'none'; form-action 'self'; "
	    "frame-ancestors 'none'; require-trusted-types-for 'script'" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Referrer-Policy", "no-referrer" },
	{ "X-Content-Type-Options", "nosniff" },
};

static void
add_header(struct MHD_Response *r, const char *key, const char *value)
{
	if (value)
		(void)MHD_add_response_header(r, key, value);
}

enum MHD_Result
web_send(struct MHD_Connection *c, unsigned status,
    struct MHD_Response *r, const struct cover *cover)
{
	enum MHD_Result result;

	if (!r)
		return MHD_NO;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		add_header(r, headers[i][0], headers[i][1]);
	add_header(r, "Content-Type", cover->type);
	add_header(r, "Cache-Control", cover->cache ? cover->cache :
	    "private, no-cache");
	add_header(r, "ETag", cover->tag);
	add_header(r, "Content-Encoding", cover->encoding);
	add_header(r, "Content-Disposition", cover->disposition);
	add_header(r, "Vary", "Accept-Encoding");
	if (cover->key)
		add_header(r, cover->key, cover->value);
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

enum MHD_Result
web_refuse(struct web *web, struct MHD_Connection *c, const char *path,
    unsigned status, const char *sentence, const char *key, const char *value)
{
	bool json = strncmp(path, "/api/", 5) == 0;
	struct cover cover = { .key = key, .value = value,
		.type = json ? "application/json; charset=utf-8" :
		"text/plain; charset=utf-8" };
	char text[256];
	int n = snprintf(text, sizeof(text), json ? "{\"error\":\"%s\"}\n" :
	    "%s\n", sentence);

	web->api.figures.refused++;
	return web_send(c, status, MHD_create_response_from_buffer(
	    (size_t)n, text, MHD_RESPMEM_MUST_COPY), &cover);
}

/* RFC 9110, section 13.1.2: a list of entity tags, or "*"; weak comparison. */
static bool
has_tag(const char *list, const char *tag)
{
	size_t n = strlen(tag);

	for (const char *at = list; at && *at; at = strchr(at, ',')) {
		at += strspn(at, ", \t");
		if (*at == '*')
			return true;
		if (strncmp(at, "W/", 2) == 0)
			at += 2;
		if (strncmp(at, tag, n) == 0)
			return true;
	}
	return false;
}

/* RFC 9110, section 12.5.3: gzip named, and not with a weight of 0. */
static bool
takes_gzip(struct MHD_Connection *c)
{
	const char *at = web_header(c, "Accept-Encoding");

	while (at && *at) {
		at += strspn(at, ", \t");
		if (strncasecmp(at, "gzip", 4) == 0) {
			at += 4 + strspn(at + 4, " \t");
			if (!*at || *at == ',')
				return true;
			at += strspn(at, "; \t");
			return strncmp(at, "q=0", 3) != 0 || strpbrk(at + 3,
			    "123456789") != NULL;
		}
		at = strchr(at, ',');
	}
	return false;
}

/* FNV-1a: tells two states apart, and is no proof against malice. */
static uint64_t
tag_of(const char *text, size_t n)
{
	uint64_t tag = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		tag = (tag ^ (unsigned char)text[i]) * 0x100000001b3u;
	return tag;
}

static void
tag_text(uint64_t tag, bool packed, char out[24])
{
	snprintf(out, 24, "\"%016llx%s\"", (unsigned long long)tag,
	    packed ? "z" : "");
}

/* With 304 the library sends the length (RFC 9110, section 8.6), not the body. */
static unsigned
status_for(struct MHD_Connection *c, const char *tag)
{
	return has_tag(web_header(c, "If-None-Match"), tag) ?
	    MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK;
}

static enum MHD_Result
send_asset(struct MHD_Connection *c, const struct asset *a)
{
	bool packed = a->packed_bytes < a->plain_bytes && takes_gzip(c);
	const char *text = packed ? a->packed : a->plain;
	size_t n = packed ? a->packed_bytes : a->plain_bytes;
	char tag[24];
	struct cover cover = { .type = asset_type(a), .tag = tag,
		.encoding = packed ? "gzip" : NULL };

	tag_text(tag_of(text, n), packed, tag);
	return web_send(c, status_for(c, tag),
	    MHD_create_response_from_buffer(n, (void *)(uintptr_t)text,
	    MHD_RESPMEM_PERSISTENT), &cover);
}

/* A capture is packed as much as it can be, or nearly. */
static void
pack_answer(struct MHD_Connection *c, struct answer *a, struct cover *cover)
{
	size_t n;
	char *packed;

	if (a->bytes < PACK_BYTES || *a->file || !takes_gzip(c))
		return;
	packed = gzip_pack(a->text, a->bytes, &n);
	if (!packed)
		return;
	free(a->text);
	a->text = packed;
	a->bytes = n;
	cover->encoding = "gzip";
}

static enum MHD_Result
send_answer(struct MHD_Connection *c, const struct api_route *route,
    struct answer *a)
{
	char tag[24], disposition[API_FILE_BYTES + 32];
	struct cover cover = { .type = route->type, .tag = tag };
	struct MHD_Response *r;

	if (*a->file) {
		snprintf(disposition, sizeof(disposition),
		    "attachment; filename=\"%s\"", a->file);
		cover.disposition = disposition;
	}
	pack_answer(c, a, &cover);
	tag_text(tag_of(a->text, a->bytes), cover.encoding != NULL, tag);
	r = MHD_create_response_from_buffer(a->bytes, a->text,
	    MHD_RESPMEM_MUST_FREE);
	if (!r)
		free(a->text);
	a->text = NULL;
	return web_send(c, status_for(c, tag), r, &cover);
}

/* What was asked for ------------------------------------------------------- */

/* Stands for a request of which there is no more to keep than that it was seen. */
static char request_seen;

/* One of which there is more. */
struct errand {
	struct job job;			/* for the worker; the first member */
	struct web *web;
	struct MHD_Connection *connection;
	const struct api_route *route;
	struct query query;
	char part[API_PART_BYTES];
	struct answer answer;
	int failed;
	atomic_bool made;
	bool is_login;
	struct login login;
};

struct taking {
	struct query query;
	unsigned taken;
	bool bad;
};

static enum MHD_Result
take_parameter(void *context, enum MHD_ValueKind kind, const char *key,
    const char *value)
{
	struct taking *t = context;

	(void)kind;
	t->bad = !query_take(&t->query, t->taken, key, value);
	return t->bad ? MHD_NO : MHD_YES;
}

static enum MHD_Result
send_made(struct web *web, struct MHD_Connection *c, const char *path,
    const struct api_route *route, struct answer *a)
{
	if (!a->error)
		return send_answer(c, route, a);
	return web_refuse(web, c, path, a->status, a->error,
	    a->status == MHD_HTTP_SERVICE_UNAVAILABLE ? "Refresh" : NULL, "1");
}

/* In the worker's thread. */
static void
make_slowly(struct job *job)
{
	struct errand *e = (struct errand *)job;

	e->failed = e->route->make(&(struct call){ &e->web->api, &e->query,
	    e->part, &e->answer });
}

static void
wake_asker(struct job *job)
{
	struct errand *e = (struct errand *)job;

	atomic_store(&e->made, true);
	MHD_resume_connection(e->connection);
}

void
web_drop_job(struct job *job)
{
	MHD_resume_connection(((struct errand *)job)->connection);
}

/* The connection waits, and comes back to web_on_request when it is made. */
static enum MHD_Result
ask_worker(struct web *web, struct MHD_Connection *c, const char *path,
    const struct api_route *route, const char *part, const struct query *q,
    void **request)
{
	struct errand *e = calloc(1, sizeof(*e));
	struct link *l = web_link(c);

	if (!e)
		return MHD_NO;
	e->job = (struct job){ .work = make_slowly, .done = wake_asker };
	e->web = web;
	e->connection = c;
	e->route = route;
	e->query = *q;
	snprintf(e->part, sizeof(e->part), "%s", part);
	MHD_suspend_connection(c);
	if (!worker_ask(web->worker, &e->job)) {
		MHD_resume_connection(c);
		free(e);
		return web_refuse(web, c, path, MHD_HTTP_SERVICE_UNAVAILABLE,
		    "Too many ask for packets at once.", "Retry-After", "2");
	}
	*request = e;
	if (l)
		l->waits = true;
	return MHD_YES;
}

static enum MHD_Result
answer_errand(struct errand *e, const char *path)
{
	struct link *l = web_link(e->connection);

	if (l) {
		l->waits = false;
		l->since = web_seconds();
	}
	if (!atomic_load(&e->made) || e->failed)
		return MHD_NO;
	return send_made(e->web, e->connection, path, e->route, &e->answer);
}

static enum MHD_Result
answer_route(struct web *web, struct MHD_Connection *c, const char *path,
    const struct api_route *route, const char *part, void **request)
{
	struct taking t = { .taken = route->taken };
	const char *last = web_header(c, "Last-Event-ID");
	struct answer a = { 0 };

	query_begin(&t.query);
	(void)MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, take_parameter,
	    &t);
	if (t.bad)
		return web_refuse(web, c, path, MHD_HTTP_BAD_REQUEST,
		    "This resource does not take these parameters, or not these "
		    "values.", NULL, NULL);
	if (!route->make)
		return web_follow(web, c, last ? last : t.query.after);
	if (route->slow)
		return ask_worker(web, c, path, route, part, &t.query, request);
	if (route->make(&(struct call){ &web->api, &t.query, part, &a }))
		return MHD_NO;
	return send_made(web, c, path, route, &a);
}

static void
note_report_wanted(struct web *web)
{
	if (!web->report || web_seconds() - web->report_at >= REPORT_AGE_S)
		atomic_store(&web->report_wanted, true);
}

/* The page reads its own query: its state is in the address bar. */
static enum MHD_Result
answer(struct web *web, struct MHD_Connection *c, const char *path,
    void **request)
{
	char part[API_PART_BYTES];
	const struct api_route *route = api_route(path, part);
	const struct asset *asset = route ? NULL : asset_find(strcmp(path, "/") ?
	    path + 1 : "index.html");

	if (asset)
		return send_asset(c, asset);
	if (!route)
		return web_refuse(web, c, path, MHD_HTTP_NOT_FOUND,
		    "There is no such page.", NULL, NULL);
	if (strcmp(path, "/report") == 0)
		note_report_wanted(web);
	return answer_route(web, c, path, route, part, request);
}

static enum MHD_Result
begin_login(struct web *web, struct MHD_Connection *c, void **request)
{
	const char *length = web_header(c, "Content-Length");
	struct errand *e;

	if (!length || strlen(length) > 3 || strtol(length, NULL, 10) >=
	    LOGIN_BYTES)
		return web_refuse(web, c, "/", MHD_HTTP_CONTENT_TOO_LARGE,
		    "That is no token.", "Connection", "close");
	e = calloc(1, sizeof(*e));
	if (!e)
		return MHD_NO;
	e->is_login = true;
	*request = e;
	return MHD_YES;
}

/* --------------------------------------------------------------------------- */

static bool
brings_body(struct MHD_Connection *c)
{
	const char *length = web_header(c, "Content-Length");

	return (length && strcmp(length, "0") != 0) ||
	    web_header(c, "Transfer-Encoding");
}

/* Asked for by a page from elsewhere (W3C Fetch Metadata)? A link that somebody
 * follows is welcome. */
static bool
is_foreign(struct MHD_Connection *c)
{
	const char *site = web_header(c, "Sec-Fetch-Site");
	const char *mode = web_header(c, "Sec-Fetch-Mode");

	return site && strcmp(site, "cross-site") == 0 &&
	    (!mode || strcmp(mode, "navigate") != 0);
}

/* At first sight; an answer here closes the connection if a body would come. */
static enum MHD_Result
judge(struct web *web, struct MHD_Connection *c, const char *path,
    const char *method, void **request)
{
	const char *host = web_header(c, "Host");

	if (is_foreign(c))
		return web_refuse(web, c, path, MHD_HTTP_FORBIDDEN,
		    "Not for pages from elsewhere.", "Connection", "close");
	if (!web->access.needed && host && !web_host_is_loopback(host))
		return web_refuse(web, c, path, MHD_HTTP_MISDIRECTED_REQUEST,
		    "Ask for localhost, 127.0.0.1 or [::1].", "Connection",
		    "close");
	if (web->access.needed && login_is_page(path) && strcmp(method, "POST") == 0)
		return begin_login(web, c, request);
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return web_refuse(web, c, path, MHD_HTTP_METHOD_NOT_ALLOWED,
		    "Only GET and HEAD.", "Allow", "GET, HEAD");
	if (brings_body(c))
		return web_refuse(web, c, path, MHD_HTTP_CONTENT_TOO_LARGE,
		    "No body is taken.", "Connection", "close");
	return MHD_YES;
}

/* Called once the header is complete; then for each piece of a body; then to
 * answer; and again after having waited for the worker. */
enum MHD_Result
web_on_request(void *context, struct MHD_Connection *c, const char *path,
    const char *method, const char *version, const char *upload,
    size_t *upload_bytes, void **request)
{
	struct web *web = context;
	struct errand *e = *request == &request_seen ? NULL : *request;

	(void)version;
	if (!*request) {
		web->api.figures.requests++;
		*request = &request_seen;
		return judge(web, c, path, method, request);
	}
	if (e)
		return e->is_login ? login_take(web, c, path, &e->login, upload,
		    upload_bytes) : answer_errand(e, path);
	if (*upload_bytes)
		return MHD_NO;
	if (!login_is_given(web, c, path))
		return login_ask(web, c, path);
	return answer(web, c, path, request);
}

/* Another request may follow: its time begins now. */
void
web_on_completed(void *context, struct MHD_Connection *c, void **request,
    enum MHD_RequestTerminationCode how)
{
	struct link *l = web_link(c);

	(void)context;
	(void)how;
	if (l) {
		l->since = web_seconds();
		l->waits = false;
	}
	if (*request && *request != &request_seen) {
		struct errand *e = *request;

		explicit_bzero(&e->login, sizeof(e->login));
		free(e->answer.text);
		free(e);
	}
	*request = NULL;
}
