/* login.c - the token that guards the page: who has it, and who is asked for it.
 *
 * Programs send it with each request. A browser gets a form, and then a cookie;
 * the hard part is that it goes on to where it wanted to go, whatever stood
 * there. */
#include "web/server_internal.h"

#include <stdio.h>
#include <string.h>

#include "web/assets.h"

enum { TARGET_BYTES = 2048 };

/* Where the browser goes on after the form: where it wanted to go, query and
 * all, written anew. */
struct target {
	char text[TARGET_BYTES];
	size_t bytes;
	bool too_long;
};

static void
add_letter(struct target *t, char c)
{
	if (t->bytes + 1 >= sizeof(t->text)) {
		t->too_long = true;
		return;
	}
	t->text[t->bytes++] = c;
	t->text[t->bytes] = '\0';
}

static void
add_escaped(struct target *t, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-._~:,";

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (strchr(plain, c)) {
			add_letter(t, *text);
			continue;
		}
		add_letter(t, '%');
		add_letter(t, "0123456789ABCDEF"[c >> 4]);
		add_letter(t, "0123456789ABCDEF"[c & 15]);
	}
}

static enum MHD_Result
add_parameter(void *context, enum MHD_ValueKind kind, const char *key,
    const char *value)
{
	struct target *t = context;

	(void)kind;
	add_letter(t, strchr(t->text, '?') ? '&' : '?');
	add_escaped(t, key);
	if (value) {
		add_letter(t, '=');
		add_escaped(t, value);
	}
	return t->too_long ? MHD_NO : MHD_YES;
}

static enum MHD_Result
let_in(struct web *web, struct MHD_Connection *c, const char *path)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL,
	    MHD_RESPMEM_PERSISTENT);
	struct target t = { 0 };
	struct cover cover = { .cache = "no-store", .key = "Location" };
	char cookie[ACCESS_SET_COOKIE_BYTES];

	snprintf(t.text, sizeof(t.text), "%s", path);
	t.bytes = strlen(t.text);
	(void)MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, add_parameter,
	    &t);
	cover.value = t.too_long ? "/" : t.text;
	if (r)
		(void)MHD_add_response_header(r, "Set-Cookie",
		    access_set_cookie(&web->access, web->secure, cookie));
	return web_send(c, MHD_HTTP_SEE_OTHER, r, &cover);
}

static enum MHD_Result
send_form(struct web *web, struct MHD_Connection *c, bool wrong)
{
	static const struct cover cover = { .cache = "no-store",
		.type = "text/html; charset=utf-8", .key = "WWW-Authenticate",
		.value = "Bearer" };
	static const char before[] = "<!doctype html>\n<html lang=\"en\">\n"
	    "<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
	    "content=\"width=device-width\">\n<title>toewatch</title>\n"
	    "<link rel=\"stylesheet\" href=\"/style.css\">\n<main>\n"
	    "<h1>toewatch</h1>\n";
	static const char after[] = "<form method=\"post\">\n"
	    "<p><label>The page's token <input type=\"password\" name=\"token\" "
	    "autocomplete=\"current-password\" autofocus required></label> "
	    "<button>Show the page</button></p>\n</form>\n</main>\n";
	char text[sizeof(before) + sizeof(after) + 64];
	int n = snprintf(text, sizeof(text), "%s%s%s", before, wrong ?
	    "<p>That is not the token.</p>\n" : "", after);

	web->api.figures.refused++;
	return web_send(c, MHD_HTTP_UNAUTHORIZED,
	    MHD_create_response_from_buffer((size_t)n, text,
	    MHD_RESPMEM_MUST_COPY), &cover);
}

static int
hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ?
	    c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "token=..." as a form sends it, decoded in place. NULL: not that. */
static const char *
token_in(char *body)
{
	char *out = body, *at;

	if (strncmp(body, "token=", 6) != 0)
		return NULL;
	for (at = body + 6; *at && *at != '&'; at++) {
		int high = *at == '%' ? hex_value(at[1]) : -1;
		int low = high >= 0 ? hex_value(at[2]) : -1;

		if (low >= 0) {
			*out++ = (char)(high * 16 + low);
			at += 2;
		} else {
			*out++ = *at == '+' ? ' ' : *at;
		}
	}
	*out = '\0';
	return body;
}

enum MHD_Result
login_take(struct web *web, struct MHD_Connection *c, const char *path,
    struct login *l, const char *upload, size_t *bytes)
{
	const char *token;

	if (*bytes) {
		if (*bytes > sizeof(l->body) - 1 - l->bytes)
			return MHD_NO;
		memcpy(l->body + l->bytes, upload, *bytes);
		l->bytes += *bytes;
		*bytes = 0;
		return MHD_YES;
	}
	token = token_in(l->body);
	if (!token || !access_token_fits(&web->access, token))
		return send_form(web, c, true);
	return let_in(web, c, path);
}

static bool
shows_token(struct web *web, struct MHD_Connection *c)
{
	return !web->access.needed ||
	    access_bearer_fits(&web->access, web_header(c, "Authorization")) ||
	    access_cookie_fits(&web->access, web_header(c, "Cookie"));
}

/* The page's own files hold nothing of the network that is watched. */
static bool
is_public(const char *path)
{
	return strcmp(path, "/healthz") == 0 ||
	    strcmp(path, "/style.css") == 0 || (*path && asset_find(path + 1));
}

bool
login_is_page(const char *path)
{
	return strcmp(path, "/") == 0 || strcmp(path, "/report") == 0;
}

enum MHD_Result
login_ask(struct web *web, struct MHD_Connection *c, const char *path)
{
	if (login_is_page(path))
		return send_form(web, c, false);
	return web_refuse(web, c, path, MHD_HTTP_UNAUTHORIZED, "The page's token "
	    "is needed: Authorization: Bearer TOKEN.", "WWW-Authenticate",
	    "Bearer");
}

bool
login_is_given(struct web *web, struct MHD_Connection *c, const char *path)
{
	return is_public(path) || shows_token(web, c);
}
