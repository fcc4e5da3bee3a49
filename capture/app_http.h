/* app_http.h - the interface of an HTTP label: what kind of request it is. */
#ifndef CAPTURE_APP_HTTP_H
#define CAPTURE_APP_HTTP_H

enum http_label {
	HTTP_PLAIN,
	HTTP_MAPI,		/* MAPI over HTTP; the operation is its type */
	HTTP_PROXIED,		/* asked of a proxy: CONNECT, or a whole URI
				 * (RFC 9112, 3.2.2 and 3.2.3) */
};

#endif
