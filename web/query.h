/* query.h - what a request selects: its parameters, read and judged. */
#ifndef WEB_QUERY_H
#define WEB_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "web/model.h"

/* Which parameters a resource takes. */
enum query_key {
	QUERY_SERVER = 1 << 0, QUERY_CLIENT = 1 << 1, QUERY_FINDING = 1 << 2,
	QUERY_SEVERITY = 1 << 3, QUERY_FROM = 1 << 4, QUERY_TO = 1 << 5,
	QUERY_INCIDENT = 1 << 6, QUERY_WITHDRAWN = 1 << 7, QUERY_ORDER = 1 << 8,
	QUERY_OPEN = 1 << 9, QUERY_MINUTES = 1 << 10, QUERY_LIMIT = 1 << 11,
	QUERY_CURSOR = 1 << 12, QUERY_AFTER = 1 << 13,
	QUERY_HOURS = 1 << 14,
};

enum { QUERY_LIMIT_DEFAULT = 100, QUERY_LIMIT_MOST = 1000,
    QUERY_MINUTES_DEFAULT = 60, QUERY_HOURS_DEFAULT = 168,
    QUERY_HOURS_MOST = 24 * 400 };

/* Text is borrowed from the request; NULL: any. */
struct query {
	unsigned given;			/* enum query_key */
	const char *server;		/* address or name */
	const char *client;
	const char *finding;		/* names, with commas between */
	const char *after;		/* a mark */
	uint8_t severity;		/* at least */
	int64_t from_us, to_us;		/* overlapping this */
	uint64_t incident, cursor;	/* 0: none */
	unsigned limit, minutes, hours;
	bool withdrawn, old_first, open, over;
};

void query_begin(struct query *);
/* One parameter of a resource that takes `taken`. False: it does not take this
 * one, or not this value, or had it already. */
bool query_take(struct query *, unsigned taken, const char *key,
    const char *value);

bool query_selects_finding(const struct query *, const struct model_finding *);
bool query_selects_incident(const struct query *, const struct model_incident *);
bool query_selects_server(const struct query *, const struct model_server *);

#endif
