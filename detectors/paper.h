/* paper.h - text laid out for a terminal: paragraphs filled to its width with a
 * label on the left, and colour where it helps. */
#ifndef DETECTORS_PAPER_H
#define DETECTORS_PAPER_H

#include <stdbool.h>
#include <stdio.h>

enum { PAPER_WIDTH_MIN = 60, PAPER_WIDTH_MAX = 100, PAPER_WIDTH = 80 };

enum ink { INK_PLAIN, INK_BOLD, INK_DIM, INK_RED, INK_YELLOW, INK_GREEN };

struct paper {
	FILE *out;
	int width;			/* columns */
	bool colour;
};

/* Of a terminal: its width within the limits above, and colour unless NO_COLOR
 * is set (no-color.org) or TERM is dumb; else PAPER_WIDTH and none. */
struct paper paper_for(FILE *);
/* Columns that UTF-8 text takes (every letter one). */
int text_columns(const char *);
/* Letters in `ink`, no line break. */
void paper_ink(const struct paper *, enum ink, const char *text);
/* A paragraph: `label` at column `margin`, the text filled from column `indent`
 * on. A word longer than the line stands alone. */
void paper_fill(const struct paper *, int margin, const char *label, int indent,
    const char *text);

#endif
