/* config.c - the configuration file, read with libConfuse over the defaults.
 *
 * The hard part is to say what is wrong and on which line: values are therefore
 * judged while the file is being read, in libConfuse's callbacks, which carry
 * no pointer of ours. `reading` is that pointer; one file is read at a time. */
#include "detectors/config.h"

#include <confuse.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detectors/event.h"
#include "detectors/sink_where.h"

enum { CONFIG_FILE_BYTES = 1 << 20 };	/* far more than 256 servers take */

const char *const config_systems[] = {
	"windows-2003", "windows-2008", "windows-2008r2", "windows-2012",
	"windows", "linux", "freebsd", "vmware", "hyper-v", NULL
};

struct reading {
	struct config *config;
	const char *path;
	char *err;
	size_t errsize;
	bool failed;
};

static struct reading *reading;

void
config_default(struct config *c)
{
	memset(c, 0, sizeof(*c));
	c->live.buffer_mib = CONFIG_BUFFER_MIB;
	c->live.snap_bytes = CONFIG_SNAP_BYTES;
	c->live.promiscuous = c->live.seccomp = true;
#define X(name, value, text) c->limit.name = value;
	THRESHOLDS(X)
#undef X
#define X(name, value, text) c->keep.name = value;
	KEEPING(X)
#undef X
#define X(name, value, text) strcpy(c->page.name, value);
	PAGE_SETTINGS(X)
#undef X
}

static bool
same_prefix(const struct address *a, const struct address *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a->octet, b->octet, whole) != 0)
		return false;
	return !rest || (a->octet[whole] ^ b->octet[whole]) >> (8 - rest) == 0;
}

const struct config_server *
config_server_of(const struct config *c, const struct address *address)
{
	const struct config_server *best = NULL;

	for (size_t i = 0; i < c->server_count; i++) {
		const struct config_server *s = &c->server[i];

		if (same_prefix(&s->address, address, s->prefix_bits) &&
		    (!best || s->prefix_bits > best->prefix_bits))
			best = s;
	}
	return best;
}

/* Only the first complaint is kept: what follows is mostly its echo. */
static void
complain(cfg_t *cfg, const char *format, va_list args)
{
	size_t n;

	if (reading->failed)
		return;
	reading->failed = true;
	snprintf(reading->err, reading->errsize, "%s:%d: ", reading->path,
	    cfg ? cfg->line : 0);
	n = strlen(reading->err);
	vsnprintf(reading->err + n, reading->errsize - n, format, args);
}

/* Shares and probabilities end at 1. */
/* Where memory was refused, libConfuse leaves sections without options behind, and
 * options without values. */
static bool is_whole(const cfg_t *);

static bool
has_values(const cfg_opt_t *o)
{
	if (!o->nvalues && !(o->flags & (CFGF_MULTI | CFGF_LIST | CFGF_NODEFAULT)))
		return false;
	for (unsigned i = 0; i < o->nvalues; i++)
		if (!o->values[i] ||
		    (o->type == CFGT_STR && !o->values[i]->string) ||
		    (o->type == CFGT_SEC && !is_whole(o->values[i]->section)))
			return false;
	return true;
}

static bool
is_whole(const cfg_t *cfg)
{
	if (!cfg || !cfg->opts)
		return false;
	for (const cfg_opt_t *o = cfg->opts; o->name; o++)
		if (!has_values(o))
			return false;
	return true;
}

static bool
is_share(const char *name)
{
	static const char *const shares[] = { "capture_loss_limit", "p_value",
		"rss_p_value", "checksum_share", "collapse_share",
		"stall_share", "host_share", "reorder_share" };

	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		if (strcmp(name, shares[i]) == 0)
			return true;
	return false;
}

static int
check_threshold(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_name(opt);
	double value = cfg_opt_getnfloat(opt, 0);

	if (!isfinite(value) || value < 0) {
		cfg_error(cfg, "%s must be a number from 0 up", name);
		return -1;
	}
	if (is_share(name) && value > 1) {
		cfg_error(cfg, "%s is a share: it must lie from 0 to 1, not %g",
		    name, value);
		return -1;
	}
	return 0;
}

static bool
known_system(const char *name)
{
	for (size_t i = 0; config_systems[i]; i++)
		if (strcmp(config_systems[i], name) == 0)
			return true;
	return false;
}

static int
check_system(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_getnstr(opt, 0);
	char known[200] = "";

	if (!name || !*name || known_system(name))
		return 0;
	for (size_t i = 0; config_systems[i]; i++) {
		strcat(known, i ? ", " : "");
		strcat(known, config_systems[i]);
	}
	cfg_error(cfg, "no remedies are known for system \"%s\"; known are: %s",
	    name, known);
	return -1;
}

/* "10.20.30.5", "10.20.30.0/24", "2001:db8::/64". */
static bool
parse_prefix(const char *text, struct config_server *out)
{
	char address[ADDRESS_TEXT_BYTES];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	unsigned long bits;
	char *end;
	bool v4;

	if (n >= sizeof(address))
		return false;
	memcpy(address, text, n);
	address[n] = '\0';
	if (!address_parse(address, &out->address))
		return false;
	v4 = address_is_v4(&out->address);
	out->prefix_bits = 128;
	if (!slash)
		return true;
	if (slash[1] < '0' || slash[1] > '9')
		return false;
	bits = strtoul(slash + 1, &end, 10);
	if (*end || bits > (v4 ? 32 : 128))
		return false;
	out->prefix_bits = (uint8_t)(v4 ? bits + 96 : bits);
	return true;
}

static const struct config_server *
same_entry(const struct config *c, const struct config_server *s)
{
	for (size_t i = 0; i < c->server_count; i++)
		if (c->server[i].prefix_bits == s->prefix_bits &&
		    same_prefix(&c->server[i].address, &s->address,
			s->prefix_bits))
			return &c->server[i];
	return NULL;
}

static int
add_address(cfg_t *section, const char *text)
{
	struct config *c = reading->config;
	struct config_server s = { .prefix_bits = 128 };
	const struct config_server *other;

	if (!parse_prefix(text, &s)) {
		cfg_error(section, "\"%s\" is no IP address or prefix", text);
		return -1;
	}
	other = same_entry(c, &s);
	if (other) {
		cfg_error(section, "%s belongs to server \"%s\" already", text,
		    other->name);
		return -1;
	}
	if (c->server_count == CONFIG_SERVERS_MAX) {
		cfg_error(section, "more than %d server addresses",
		    CONFIG_SERVERS_MAX);
		return -1;
	}
	snprintf(s.name, sizeof(s.name), "%s", cfg_title(section));
	snprintf(s.system, sizeof(s.system), "%s",
	    cfg_getstr(section, "system"));
	c->server[c->server_count++] = s;
	return 0;
}

/* A server section is whole: take it over. */
static int
check_server(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *name = cfg_title(section);
	unsigned count = cfg_size(section, "address");

	if (!is_whole(section))
		return -1;
	if (!name || !*name || strlen(name) >= CONFIG_NAME_BYTES) {
		cfg_error(cfg, "a server's name has from 1 to %d letters",
		    CONFIG_NAME_BYTES - 1);
		return -1;
	}
	if (count == 0) {
		cfg_error(section, "server \"%s\" has no address", name);
		return -1;
	}
	for (unsigned i = 0; i < count; i++)
		if (add_address(section, cfg_getnstr(section, "address", i)))
			return -1;
	return 0;
}

/* Sinks --------------------------------------------------------------------- */

static const char *const sink_types[] = { "lines", "syslog", "webhook" };

static const char *const facilities[] = {
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp",
	"cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock", "local0",
	"local1", "local2", "local3", "local4", "local5", "local6", "local7",
};

/* The place of `word` in a list, or -1. */
static int
place_of(const char *word, const char *const *list, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(list[i], word) == 0)
			return i;
	return -1;
}

static int
take_severity(cfg_t *section, struct sink_config *s)
{
	const char *word = cfg_getstr(section, "min_severity");

	for (int i = SEVERITY_INFO; i <= SEVERITY_CRITICAL; i++) {
		if (strcmp(severity_text((enum severity)i), word) == 0) {
			s->min_severity = (enum severity)i;
			return 0;
		}
	}
	cfg_error(section, "min_severity is info, low, medium, high or critical, "
	    "not \"%s\"", word);
	return -1;
}

static int
take_kinds(cfg_t *section, struct sink_config *s)
{
	unsigned n = cfg_size(section, "kinds");

	if (!n)
		s->kinds = 1u << EVENT_FINDING | 1u << EVENT_INCIDENT;
	for (unsigned i = 0; i < n; i++) {
		const char *word = cfg_getnstr(section, "kinds", i);
		int kind = 0;

		while (kind < EVENT_KINDS &&
		    strcmp(event_kind_name((enum event_kind)kind), word) != 0)
			kind++;
		if (kind == EVENT_KINDS) {
			cfg_error(section, "there are no events of kind \"%s\"",
			    word);
			return -1;
		}
		s->kinds |= 1u << kind;
	}
	return 0;
}

/* One of the three says where, and with it, what kind of sink it is. */
static int
take_where(cfg_t *section, struct sink_config *s)
{
	const char *where = NULL;
	unsigned given = 0;

	for (unsigned i = 0; i < sizeof(sink_types) / sizeof(sink_types[0]); i++) {
		const char *text = cfg_getstr(section, sink_types[i]);

		if (!*text)
			continue;
		where = text;
		s->type = (enum sink_type)i;
		given++;
	}
	if (given != 1) {
		cfg_error(section, "sink \"%s\" needs one of lines, syslog and "
		    "webhook", s->name);
		return -1;
	}
	if (strlen(where) >= sizeof(s->where) || !sink_where_is_sound(s->type,
	    where)) {
		cfg_error(section, "\"%s\" is no place for %s: %s", where,
		    sink_types[s->type], sink_where_forms(s->type));
		return -1;
	}
	snprintf(s->where, sizeof(s->where), "%s", where);
	return 0;
}

/* A header is one line, "Name: value". */
static int
take_header(cfg_t *section, struct sink_config *s)
{
	const char *text = cfg_getstr(section, "header");

	if (strlen(text) >= sizeof(s->header) || strpbrk(text, "\r\n") ||
	    (*text && (!strchr(text, ':') || *text == ':'))) {
		cfg_error(section, "header is one line, \"Name: value\"");
		return -1;
	}
	snprintf(s->header, sizeof(s->header), "%s", text);
	return 0;
}

static int
take_rest(cfg_t *section, struct sink_config *s)
{
	const char *facility = cfg_getstr(section, "facility");
	int place = place_of(facility, facilities,
	    sizeof(facilities) / sizeof(facilities[0]));

	if (place < 0) {
		cfg_error(section, "there is no syslog facility \"%s\"", facility);
		return -1;
	}
	s->facility = (uint8_t)place;
	s->hold_s = cfg_getfloat(section, "hold_s");
	if (!isfinite(s->hold_s) || s->hold_s < 0 || s->hold_s > 1e6) {
		cfg_error(section, "hold_s must be a number of seconds from 0 up");
		return -1;
	}
	if (strlen(cfg_getstr(section, "ca")) >= sizeof(s->ca)) {
		cfg_error(section, "the name of the ca file is too long");
		return -1;
	}
	snprintf(s->ca, sizeof(s->ca), "%s", cfg_getstr(section, "ca"));
	return 0;
}

/* A sink section is whole: take it over. */
static int
check_sink(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	struct config *c = reading->config;
	struct sink_config s = { .kinds = 0 };
	const char *name = cfg_title(section);

	if (!is_whole(section))
		return -1;
	if (!name || !*name || strlen(name) >= CONFIG_NAME_BYTES) {
		cfg_error(cfg, "a sink's name has from 1 to %d letters",
		    CONFIG_NAME_BYTES - 1);
		return -1;
	}
	if (c->sink_count == SINKS_MAX) {
		cfg_error(section, "more than %d sinks", SINKS_MAX);
		return -1;
	}
	snprintf(s.name, sizeof(s.name), "%s", name);
	if (take_where(section, &s) || take_severity(section, &s) ||
	    take_kinds(section, &s) || take_header(section, &s) ||
	    take_rest(section, &s))
		return -1;
	c->sink[c->sink_count++] = s;
	return 0;
}

/* A live run --------------------------------------------------------------- */

static int
check_number(cfg_t *cfg, cfg_opt_t *opt)
{
	bool buffer = strcmp(cfg_opt_name(opt), "buffer_mib") == 0;
	long value = cfg_opt_getnint(opt, 0);
	long least = buffer ? 1 : 64;
	long most = buffer ? CONFIG_BUFFER_MIB_MAX : CONFIG_SNAP_BYTES;

	if (value >= least && value <= most)
		return 0;
	cfg_error(cfg, "%s must lie from %ld to %ld, not %ld",
	    cfg_opt_name(opt), least, most, value);
	return -1;
}

static int
check_log(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *where = cfg_opt_getnstr(opt, 0);

	if (where && (!strcmp(where, "stderr") || !strcmp(where, "syslog")))
		return 0;
	cfg_error(cfg, "log is \"stderr\" or \"syslog\", not \"%s\"",
	    where ? where : "");
	return -1;
}

/* Copies a text that has to fit, with its end. */
static int
take_text(cfg_t *cfg, const char *what, const char *text, char *out,
    size_t size)
{
	size_t n = strlen(text);

	if (n >= size) {
		cfg_error(cfg, "%s has more than %zu letters", what, size - 1);
		return -1;
	}
	memcpy(out, text, n + 1);
	return 0;
}

static int
check_live(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	struct config_live *l = &reading->config->live;
	unsigned count = cfg_size(section, "interfaces");

	if (!is_whole(section))
		return -1;
	if (count > CONFIG_INTERFACES_MAX) {
		cfg_error(cfg, "more than %d interfaces", CONFIG_INTERFACES_MAX);
		return -1;
	}
	for (unsigned i = 0; i < count; i++)
		if (take_text(section, "an interface",
		    cfg_getnstr(section, "interfaces", i), l->interface[i],
		    sizeof(l->interface[i])))
			return -1;
	l->interface_count = count;
	l->buffer_mib = (unsigned)cfg_getint(section, "buffer_mib");
	l->snap_bytes = (uint32_t)cfg_getint(section, "snap_bytes");
	l->promiscuous = cfg_getbool(section, "promiscuous");
	l->seccomp = cfg_getbool(section, "seccomp");
	l->to_syslog = strcmp(cfg_getstr(section, "log"), "syslog") == 0;
	if (take_text(section, "filter", cfg_getstr(section, "filter"),
	    l->filter, sizeof(l->filter)))
		return -1;
	return take_text(section, "user", cfg_getstr(section, "user"), l->user,
	    sizeof(l->user));
}

/* The whole file, NUL-ended and to be freed, or NULL with a sentence in err. */
static char *
read_file(struct reading *r)
{
	FILE *file = fopen(r->path, "r");
	char *text = file ? malloc(CONFIG_FILE_BYTES + 1) : NULL;
	size_t n = text ? fread(text, 1, CONFIG_FILE_BYTES, file) : 0;
	const char *why = NULL;

	if (!text || ferror(file))
		why = strerror(errno);
	else if (n == CONFIG_FILE_BYTES)
		why = "it is too large for a configuration";
	else if (memchr(text, '\0', n))
		why = "it is no text file";
	if (file)
		fclose(file);
	if (why) {
		snprintf(r->err, r->errsize, "cannot read %s: %s", r->path, why);
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

static int
check_text(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);

	if (!text || strlen(text) < CONFIG_PATH_BYTES)
		return 0;
	cfg_error(cfg, "%s has more than %d letters", cfg_opt_name(opt),
	    CONFIG_PATH_BYTES - 1);
	return -1;
}

/* A page section is whole: its parts must fit each other. */
static int
check_page(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *section = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);

	if (!is_whole(section))
		return -1;
	if (!*cfg_getstr(section, "certificate") == !*cfg_getstr(section, "key"))
		return 0;
	cfg_error(cfg, "certificate and key come together");
	return -1;
}

static void
set_checks(cfg_t *cfg)
{
	cfg_set_error_function(cfg, complain);
#define X(name, value, why) \
	cfg_set_validate_func(cfg, "thresholds|" #name, check_threshold);
	THRESHOLDS(X)
#undef X
#define X(name, value, why) \
	cfg_set_validate_func(cfg, "keep|" #name, check_threshold);
	KEEPING(X)
#undef X
#define X(name, value, why) \
	cfg_set_validate_func(cfg, "web|" #name, check_text);
	PAGE_SETTINGS(X)
#undef X
	cfg_set_validate_func(cfg, "web", check_page);
	cfg_set_validate_func(cfg, "live|buffer_mib", check_number);
	cfg_set_validate_func(cfg, "live|snap_bytes", check_number);
	cfg_set_validate_func(cfg, "live|log", check_log);
	cfg_set_validate_func(cfg, "live", check_live);
	cfg_set_validate_func(cfg, "server|system", check_system);
	cfg_set_validate_func(cfg, "server", check_server);
	cfg_set_validate_func(cfg, "sink", check_sink);
}

/* What is not whole stays: cfg_free does not outlive it. */
static int
no_memory(struct reading *r)
{
	snprintf(r->err, r->errsize, "out of memory");
	return -1;
}

static int
parse(struct reading *r, const char *text)
{
	cfg_opt_t thresholds[] = {
#define X(name, value, why) CFG_FLOAT(#name, value, CFGF_NONE),
		THRESHOLDS(X)
#undef X
		CFG_END()
	};
	cfg_opt_t keeping[] = {
#define X(name, value, why) CFG_FLOAT(#name, value, CFGF_NONE),
		KEEPING(X)
#undef X
		CFG_END()
	};
	cfg_opt_t page[] = {
#define X(name, value, why) CFG_STR(#name, value, CFGF_NONE),
		PAGE_SETTINGS(X)
#undef X
		CFG_END()
	};
	cfg_opt_t live[] = {
		CFG_STR_LIST("interfaces", "{}", CFGF_NONE),
		CFG_STR("filter", "", CFGF_NONE),
		CFG_INT("buffer_mib", CONFIG_BUFFER_MIB, CFGF_NONE),
		CFG_INT("snap_bytes", CONFIG_SNAP_BYTES, CFGF_NONE),
		CFG_BOOL("promiscuous", cfg_true, CFGF_NONE),
		CFG_STR("user", "", CFGF_NONE),
		CFG_BOOL("seccomp", cfg_true, CFGF_NONE),
		CFG_STR("log", "stderr", CFGF_NONE),
		CFG_END()
	};
	cfg_opt_t server[] = {
		CFG_STR_LIST("address", NULL, CFGF_NODEFAULT),
		CFG_STR("system", "", CFGF_NONE),
		CFG_END()
	};
	cfg_opt_t sink[] = {
		CFG_STR("lines", "", CFGF_NONE),
		CFG_STR("syslog", "", CFGF_NONE),
		CFG_STR("webhook", "", CFGF_NONE),
		CFG_STR("min_severity", "low", CFGF_NONE),
		CFG_STR_LIST("kinds", NULL, CFGF_NONE),
		CFG_STR("facility", "daemon", CFGF_NONE),
		CFG_STR("header", "", CFGF_NONE),
		CFG_STR("ca", "", CFGF_NONE),
		CFG_FLOAT("hold_s", 300, CFGF_NONE),
		CFG_END()
	};
	cfg_opt_t top[] = {
		CFG_SEC("thresholds", thresholds, CFGF_NONE),
		CFG_SEC("keep", keeping, CFGF_NONE),
		CFG_SEC("web", page, CFGF_NONE),
		CFG_SEC("live", live, CFGF_NONE),
		CFG_SEC("server", server,
		    CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_SEC("sink", sink,
		    CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_END()
	};
	cfg_t *cfg = cfg_init(top, CFGF_NONE), *limits;

	if (!is_whole(cfg))
		return no_memory(r);
	set_checks(cfg);
	if (cfg_parse_buf(cfg, text) != CFG_SUCCESS && !r->failed) {
		snprintf(r->err, r->errsize, "%s: it cannot be read", r->path);
		r->failed = true;
	}
	if (!is_whole(cfg))
		return no_memory(r);
	limits = cfg_getsec(cfg, "thresholds");
#define X(name, value, why) \
	r->config->limit.name = cfg_getfloat(limits, #name);
	THRESHOLDS(X)
#undef X
	limits = cfg_getsec(cfg, "keep");
#define X(name, value, why) \
	r->config->keep.name = cfg_getfloat(limits, #name);
	KEEPING(X)
#undef X
	limits = cfg_getsec(cfg, "web");
#define X(name, value, why) \
	snprintf(r->config->page.name, CONFIG_PATH_BYTES, "%s", \
	    cfg_getstr(limits, #name));
	PAGE_SETTINGS(X)
#undef X
	cfg_free(cfg);
	return r->failed ? -1 : 0;
}

int
config_read(struct config *out, const char *path, char *err, size_t errsize)
{
	struct config fresh;
	struct reading r = { .config = &fresh, .path = path, .err = err,
		.errsize = errsize };
	char *text = read_file(&r);
	int failed;

	if (!text)
		return -1;
	config_default(&fresh);
	reading = &r;
	failed = parse(&r, text);
	reading = NULL;
	free(text);
	if (!failed)
		*out = fresh;
	return failed;
}
