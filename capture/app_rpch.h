/* app_rpch.h - RPC over HTTP (MS-RPCH): a virtual connection is two HTTP
 * requests on two TCP connections. What the client sends is the endless body of
 * one (IN), what the server sends is the endless response of the other (OUT).
 * A cookie in the first PDU of each tells which belong together. */
#ifndef CAPTURE_APP_RPCH_H
#define CAPTURE_APP_RPCH_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/app_dcerpc.h"

/* More virtual connections at once than this are not paired up. */
enum { RPCH_CONNECTIONS = 4096, RPCH_COOKIE_BYTES = 16 };

/* One side's channels: the present one, and the one it replaced (channels are
 * recycled, MS-RPCH 3.2.2.1.2): answers to its calls may still come. */
struct rpch_connection {
	struct rpch_connection *next;
	uint8_t cookie[RPCH_COOKIE_BYTES];
	struct flow *in[2], *out[2];
	unsigned members;	/* flows that joined and have not left; older
				 * channels than those two among them */
	struct rpc rpc;
};

/* The virtual connection that the body of an RTS PDU (behind the common header)
 * of the client joins `f` to, as its IN or OUT channel; NULL: none, or there
 * are too many. A flow joins once, and leaves before it is gone. */
struct rpch_connection *rpch_join(struct app_shared *, struct flow *f, bool in,
    struct bytes rts);
/* `f` is no channel of it any more. */
void rpch_leave(struct app_shared *, struct rpch_connection *, struct flow *f);

#endif
