/* main_options.c - the command line.
 *
 * Bad usage is named word by word, in one sentence; getopt's own messages are
 * switched off. */
#include "main_options.h"

#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "capture/log.h"
#include "detectors/report.h"
#include "web/listen.h"

enum { WORKERS_MAX = 1024 };

enum long_option {
	OPTION_PACKETS = 256, OPTION_FLOWS, OPTION_LIST_FINDINGS, OPTION_EXPLAIN,
	OPTION_COMPARE, OPTION_CHECK_CONFIG, OPTION_EXIT_CODE,
};

static const struct option long_options[] = {
	{ "packets", required_argument, NULL, OPTION_PACKETS },
	{ "flows", no_argument, NULL, OPTION_FLOWS },
	{ "list-findings", no_argument, NULL, OPTION_LIST_FINDINGS },
	{ "explain", required_argument, NULL, OPTION_EXPLAIN },
	{ "compare", required_argument, NULL, OPTION_COMPARE },
	{ "check-config", required_argument, NULL, OPTION_CHECK_CONFIG },
	{ "exit-code", no_argument, NULL, OPTION_EXIT_CODE },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ "verbose", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 }
};

void
options_help(FILE *out)
{
	fputs(
"toewatch finds faults of servers' network cards in what a mirror port shows.\n"
"\n"
"toewatch -r FILE [-r FILE ...]     analyse captures\n"
"toewatch -i IFACE [-i IFACE ...]   watch a mirror port live\n"
"\n"
"What to read\n"
"  -r FILE         a capture (pcap, pcapng), a directory of captures, or - for\n"
"                  standard input\n"
"  -i IFACE        an interface; -D lists them\n"
"  -f FILTER       only what this pcap-filter(7) expression selects\n"
"  -c FILE         configuration; --check-config FILE says whether it is sound.\n"
"                  It may name the interfaces; SIGHUP reads it again\n"
"\n"
"What to put out\n"
"  -T FORMAT       text (default), json (one object a line) or html (one page)\n"
"  --flows         with json: a record for each TCP flow as well\n"
"  --packets FILE  what is remarkable about each TCP packet, as JSON lines\n"
"  -o DIR          keep the run in DIR (findings.db, evidence/); the next\n"
"                  run there goes on where it ended\n"
"  --exit-code     exit status 3 when there was an incident\n"
"  -w ADDR:PORT    serve the page there; live: 127.0.0.1:8080 unless -w none\n"
"  -j N            threads that read, decode and analyse (one a core);\n"
"                  the output is the same for every N\n"
"  -v              say more on standard error\n"
"\n"
"Did a change help?\n"
"  --compare BEFORE AFTER    two captures, directories of captures, or kept runs\n"
"\n"
"What it can find\n"
"  --list-findings, --explain FINDING\n"
"\n"
"  -V version      -h this help      toewatch(8) has the rest\n", out);
}

int
options_error(const char *format, const char *word)
{
	log_warn(format, word);
	fputs("Try 'toewatch -h'.\n", stderr);
	return -1;
}

static int
set_format(struct options *o, const char *name)
{
	static const struct {
		const char *name;
		struct report *(*make)(FILE *);
	} formats[] = {
		{ "text", report_text_new }, { "json", report_json_new },
		{ "html", report_html_new },
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(name, formats[i].name) == 0) {
			o->report_new = formats[i].make;
			return 0;
		}
	}
	return options_error("-T takes text, json or html, not '%s'", name);
}

static int
set_workers(struct options *o, const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 1 || n > WORKERS_MAX)
		return options_error("-j takes a number of workers from 1 to 1024, "
		    "not '%s'", text);
	o->workers = (unsigned)n;
	return 0;
}

static int
set_task(struct options *o, enum task task, const char *argument)
{
	o->task = task;
	o->argument = argument;
	return 0;
}

/* getopt says '?' or ':' and leaves the culprit in argv or optopt. */
static int
option_error(int how, char **argv)
{
	char letter[3] = { '-', (char)optopt, '\0' };
	bool is_letter = optopt > 0 && optopt < 256;
	const char *word = is_letter ? letter : argv[optind - 1];

	return options_error(how == ':' ? "%s needs an argument" :
	    "there is no option %s", word);
}

static int
set_option(struct options *o, int option, const char *value, char **argv)
{
	switch (option) {
	case 'r': o->files[o->file_count++] = value; return 0;
	case 'i': o->interfaces[o->interface_count++] = value; return 0;
	case 'f': o->filter = value; return 0;
	case 'c': o->config = value; return 0;
	case 'T': return set_format(o, value);
	case 'o': o->keep = value; return 0;
	case 'w': o->web = value; return 0;
	case 'j': return set_workers(o, value);
	case 'v': log_set_verbose(1); return 0;
	case 'D': return set_task(o, TASK_INTERFACES, NULL);
	case 'V': return set_task(o, TASK_VERSION, NULL);
	case 'h': return set_task(o, TASK_HELP, NULL);
	case OPTION_PACKETS: o->packets = value; return 0;
	case OPTION_FLOWS: o->flows = true; return 0;
	case OPTION_EXIT_CODE: o->exit_code = true; return 0;
	case OPTION_LIST_FINDINGS:
		return set_task(o, TASK_LIST_FINDINGS, NULL);
	case OPTION_EXPLAIN: return set_task(o, TASK_EXPLAIN, value);
	case OPTION_COMPARE: return set_task(o, TASK_COMPARE, value);
	case OPTION_CHECK_CONFIG:
		return set_task(o, TASK_CHECK_CONFIG, value);
	default: return option_error(option, argv);
	}
}

/* Before anything is read: a long run must not end in a sentence about this. */
static int
check_web(struct options *o)
{
	char err[WEB_ERROR_BYTES];
	struct web_where where;

	if (!o->web)
		return 0;
	if (strcmp(o->web, "none") == 0) {
		o->web = NULL;
		o->no_web = true;
		return 0;
	}
	if (web_where_parse(o->web, &where, err))
		return options_error("%s", err);
	if (!web_where_is_loopback(&where) && !o->config)
		return options_error("-w %s lets others reach the page: that needs "
		    "a token, web { token_file } in the configuration (-c)",
		    o->web);
	return 0;
}

static int
check_compare(const struct options *o)
{
	if (!o->after)
		return options_error("%s needs two runs: BEFORE and AFTER",
		    "--compare");
	if (strcmp(o->argument, "-") == 0 && strcmp(o->after, "-") == 0)
		return options_error("%s cannot read both runs from standard input",
		    "--compare");
	if (o->report_new == report_html_new)
		return options_error("--compare has -T text and json, not %s",
		    "html");
	if (o->file_count || o->interface_count || o->keep || o->packets ||
	    o->flows || (o->web && strcmp(o->web, "none") != 0))
		return options_error("%s go with --compare",
		    "only -c, -f, -j, -T, -v and --exit-code");
	return 0;
}

static int
check_options(struct options *o)
{
	if (o->task == TASK_COMPARE)
		return check_compare(o);
	if (o->task != TASK_ANALYSE)
		return 0;
	if (!o->file_count && !o->interface_count && !o->config)
		return options_error("%s is needed: what is to be read?",
		    "-r FILE or -i IFACE");
	if (o->file_count && o->interface_count)
		return options_error("%s do not go together", "-r and -i");
	return check_web(o);
}

/* Those that this process may run on. */
static unsigned
cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

int
options_read(struct options *o, int argc, char **argv)
{
	int option;

	*o = (struct options){ .report_new = report_text_new,
		.workers = cores() };
	o->files = calloc((size_t)argc, sizeof(*o->files));
	o->interfaces = calloc((size_t)argc, sizeof(*o->interfaces));
	if (!o->files || !o->interfaces)
		return options_error("%s", "out of memory");
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":r:i:f:c:T:o:w:j:vDVh",
	    long_options, NULL)) != -1)
		if (set_option(o, option, optarg, argv))
			return -1;
	if (o->task == TASK_COMPARE && optind < argc)
		o->after = argv[optind++];
	if (optind < argc)
		return options_error("'%s' belongs to no option", argv[optind]);
	return check_options(o);
}

void
options_free(struct options *o)
{
	free(o->files);
	free(o->interfaces);
}
