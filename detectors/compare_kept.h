/* compare_kept.h - the figures of a run on their way into its store and out
 * again, so that a kept run compares as its capture would. */
#ifndef DETECTORS_COMPARE_KEPT_H
#define DETECTORS_COMPARE_KEPT_H

#include "detectors/compare.h"
#include "detectors/store.h"

/* As JSON, without loss; from malloc. NULL: no memory. */
char *run_figures_json(const struct run_figures *);
/* 0, or -1: it is not what run_figures_json writes, or no memory. */
int run_figures_parse(const char *json, struct run_figures *out);

/* Of the folder `dir` that -o wrote. Several runs in it are taken for one: what
 * was counted is added up; of clients, of whom only the number is kept, it has as
 * many as the run with most. A run that goes over the time of a later one (the
 * same capture again) is left out. 0, or -1 with a sentence. */
int run_figures_read(const char *dir, struct run_figures *out,
    char err[STORE_ERROR_BYTES]);
/* Kept figures in their place: as the run before, or (`before` given) after it.
 * To be called once. */
void run_figures_place(struct run_figures *, const struct run_figures *before);

#endif
