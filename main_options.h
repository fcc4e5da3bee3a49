/* main_options.h - the command line, read into plain values. */
#ifndef MAIN_OPTIONS_H
#define MAIN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct report;

enum task {
	TASK_ANALYSE, TASK_LIST_FINDINGS, TASK_EXPLAIN, TASK_COMPARE,
	TASK_CHECK_CONFIG, TASK_INTERFACES, TASK_VERSION, TASK_HELP,
};

/* All text is borrowed from argv. */
struct options {
	enum task task;
	const char *argument;		/* of the task */
	const char *after;		/* --compare: its second one */
	const char **files, **interfaces;
	size_t file_count, interface_count;
	const char *filter, *config, *keep, *packets;
	const char *web;		/* a sound ADDR:PORT; NULL: not asked for */
	bool no_web;			/* -w none */
	struct report *(*report_new)(FILE *);
	unsigned workers;		/* one a core, if nothing was said */
	bool flows, exit_code;
};

/* 0, or -1 after a sentence on standard error: bad usage. */
int options_read(struct options *, int argc, char **argv);
void options_free(struct options *);
/* Say what is wrong with `word`, and where help is. Returns -1. */
int options_error(const char *format, const char *word);
void options_help(FILE *);

#endif
