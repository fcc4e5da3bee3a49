/* assets.h - the page's own files (web/page/), built in: each as it is and as
 * gzip makes it. */
#ifndef WEB_ASSETS_H
#define WEB_ASSETS_H

#include <stddef.h>

struct asset {
	const char *name;		/* "index.html" */
	const char *plain, *packed;	/* not NUL-ended for readers */
	size_t plain_bytes, packed_bytes;
};

/* By its name, or NULL. */
const struct asset *asset_find(const char *name);
/* The media type that its name's end says. */
const char *asset_type(const struct asset *);

#endif
