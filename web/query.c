/* query.c - what a request selects.
 *
 * The hard part is to refuse what it does not understand: a filter that is
 * silently left out shows more than was asked for, and nobody notices. */
#include "web/query.h"

#include <stdlib.h>
#include <string.h>

static bool
take_number(const char *value, uint64_t most, uint64_t *out)
{
	size_t n = strspn(value, "0123456789");

	if (n == 0 || n > 19 || value[n])
		return false;
	*out = strtoull(value, NULL, 10);
	return *out <= most;
}

static bool
take_count(const char *value, unsigned least, unsigned most, unsigned *out)
{
	uint64_t v;

	if (!take_number(value, most, &v) || v < least)
		return false;
	*out = (unsigned)v;
	return true;
}

/* The place of `value` in a list that ends with NULL. False: not there. */
static bool
take_word(const char *value, const char *const *list, unsigned *place)
{
	for (unsigned i = 0; list[i]; i++) {
		if (strcmp(list[i], value) == 0) {
			*place = i;
			return true;
		}
	}
	return false;
}

static bool
take_yes(const char *value, bool *out)
{
	static const char *const words[] = { "no", "yes", NULL };
	unsigned i;

	if (!take_word(value, words, &i))
		return false;
	*out = i == 1;
	return true;
}

static bool
take_server(struct query *q, const char *value)
{
	q->server = value;
	return *value != '\0';
}

static bool
take_client(struct query *q, const char *value)
{
	q->client = value;
	return *value != '\0';
}

static bool
take_finding(struct query *q, const char *value)
{
	q->finding = value;
	return *value != '\0';
}

static bool
take_severity(struct query *q, const char *value)
{
	static const char *const words[] = {
		"info", "low", "medium", "high", "critical", NULL
	};
	unsigned i;

	if (!take_word(value, words, &i))
		return false;
	q->severity = (uint8_t)i;
	return true;
}

static bool
take_from(struct query *q, const char *value)
{
	return model_time_parse(value, &q->from_us);
}

static bool
take_to(struct query *q, const char *value)
{
	return model_time_parse(value, &q->to_us);
}

static bool
take_incident(struct query *q, const char *value)
{
	return take_number(value, INT64_MAX, &q->incident) && q->incident;
}

static bool
take_withdrawn(struct query *q, const char *value)
{
	return take_yes(value, &q->withdrawn);
}

static bool
take_order(struct query *q, const char *value)
{
	static const char *const words[] = { "new", "old", NULL };
	unsigned i;

	if (!take_word(value, words, &i))
		return false;
	q->old_first = i == 1;
	return true;
}

static bool
take_open(struct query *q, const char *value)
{
	if (!take_yes(value, &q->open))
		return false;
	q->over = !q->open;
	return true;
}

static bool
take_minutes(struct query *q, const char *value)
{
	return take_count(value, 0, MODEL_MINUTES, &q->minutes);
}

static bool
take_hours(struct query *q, const char *value)
{
	return take_count(value, 1, QUERY_HOURS_MOST, &q->hours);
}

static bool
take_limit(struct query *q, const char *value)
{
	return take_count(value, 1, QUERY_LIMIT_MOST, &q->limit);
}

static bool
take_cursor(struct query *q, const char *value)
{
	return take_number(value, INT64_MAX, &q->cursor) && q->cursor;
}

static bool
take_after(struct query *q, const char *value)
{
	q->after = value;
	return true;
}

static const struct {
	const char *key;
	enum query_key bit;
	bool (*take)(struct query *, const char *value);
} keys[] = {
	{ "server", QUERY_SERVER, take_server },
	{ "client", QUERY_CLIENT, take_client },
	{ "finding", QUERY_FINDING, take_finding },
	{ "severity", QUERY_SEVERITY, take_severity },
	{ "from", QUERY_FROM, take_from },
	{ "to", QUERY_TO, take_to },
	{ "incident", QUERY_INCIDENT, take_incident },
	{ "withdrawn", QUERY_WITHDRAWN, take_withdrawn },
	{ "order", QUERY_ORDER, take_order },
	{ "open", QUERY_OPEN, take_open },
	{ "minutes", QUERY_MINUTES, take_minutes },
	{ "hours", QUERY_HOURS, take_hours },
	{ "limit", QUERY_LIMIT, take_limit },
	{ "cursor", QUERY_CURSOR, take_cursor },
	{ "after", QUERY_AFTER, take_after },
};

void
query_begin(struct query *q)
{
	*q = (struct query){ .from_us = INT64_MIN, .to_us = INT64_MAX,
		.limit = QUERY_LIMIT_DEFAULT, .minutes = QUERY_MINUTES_DEFAULT,
		.hours = QUERY_HOURS_DEFAULT };
}

bool
query_take(struct query *q, unsigned taken, const char *key, const char *value)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i].key, key) != 0)
			continue;
		if (!(taken & keys[i].bit) || (q->given & keys[i].bit) || !value)
			return false;
		q->given |= keys[i].bit;
		return keys[i].take(q, value);
	}
	return false;
}

/* Selecting ----------------------------------------------------------------- */

static bool
is_server(const struct query *q, const char *ip, const char *name)
{
	return !q->server || strcmp(q->server, ip) == 0 ||
	    (*name && strcmp(q->server, name) == 0);
}

/* One of the names with commas between. */
static bool
has_name(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = list; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, name, n) == 0 && (at[n] == ',' || !at[n]))
			return true;
	}
	return false;
}

bool
query_selects_finding(const struct query *q, const struct model_finding *f)
{
	if (f->withdrawn && !q->withdrawn)
		return false;
	if (q->severity && (f->severity < q->severity ||
	    f->severity > SEVERITY_CRITICAL))
		return false;
	if (f->to_us < q->from_us || f->from_us > q->to_us)
		return false;
	if (q->incident && f->incident_id != q->incident)
		return false;
	if (q->finding && !has_name(q->finding, f->name))
		return false;
	if (q->client && strcmp(q->client, f->client) != 0)
		return false;
	return is_server(q, f->server, f->server_name);
}

bool
query_selects_incident(const struct query *q, const struct model_incident *i)
{
	bool over = i->to_us != INT64_MAX;

	if ((q->open && over) || (q->over && !over))
		return false;
	if (i->to_us < q->from_us || i->from_us > q->to_us)
		return false;
	return is_server(q, i->server, i->server_name);
}

bool
query_selects_server(const struct query *q, const struct model_server *s)
{
	return s->event && is_server(q, s->ip, s->name);
}
