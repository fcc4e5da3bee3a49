/* sink_where.h - the places that a sink can be given. */
#ifndef DETECTORS_SINK_WHERE_H
#define DETECTORS_SINK_WHERE_H

#include "detectors/config.h"

enum sink_transport { SINK_UDP, SINK_TCP, SINK_UNIX };

struct sink_where {
	enum sink_transport transport;
	char host[256];			/* or the path */
	char port[16];
};

/* "udp://HOST:PORT", "tcp://[::1]:PORT", "unix:PATH". 0, or -1: it is none. */
int sink_where_parse(const char *text, struct sink_where *);
/* Can this kind of sink go there? */
bool sink_where_is_sound(enum sink_type, const char *text);
/* "udp://HOST:PORT, tcp://HOST:PORT or unix:PATH": what it takes. */
const char *sink_where_forms(enum sink_type);

#endif
