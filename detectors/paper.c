/* paper.c - paragraphs for a terminal. */
#include "detectors/paper.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct paper
paper_for(FILE *out)
{
	struct paper p = { .out = out, .width = PAPER_WIDTH };
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize size;

	if (!isatty(fileno(out)))
		return p;
	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		p.width = size.ws_col;
	if (p.width < PAPER_WIDTH_MIN)
		p.width = PAPER_WIDTH_MIN;
	if (p.width > PAPER_WIDTH_MAX)
		p.width = PAPER_WIDTH_MAX;
	p.colour = !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
	return p;
}

/* The bytes of UTF-8 letters after their first are 10xxxxxx. */
static int
columns_of(const char *s, size_t n)
{
	int columns = 0;

	for (size_t i = 0; i < n; i++)
		columns += ((unsigned char)s[i] & 0xc0) != 0x80;
	return columns;
}

int
text_columns(const char *text)
{
	return columns_of(text, strlen(text));
}

void
paper_ink(const struct paper *p, enum ink ink, const char *text)
{
	static const char *const codes[] = { "", "1", "2", "1;31", "1;33", "32" };

	if (!p->colour || ink == INK_PLAIN || !*text)
		fputs(text, p->out);
	else
		fprintf(p->out, "\033[%sm%s\033[0m", codes[ink], text);
}

void
paper_fill(const struct paper *p, int margin, const char *label, int indent,
    const char *text)
{
	int column = margin + text_columns(label);
	int pad = column < indent ? indent - column : *label ? 1 : 0;
	bool fresh = true;		/* no word on this line yet */

	fprintf(p->out, "%*s", margin, "");
	paper_ink(p, INK_DIM, label);
	fprintf(p->out, "%*s", pad, "");
	column += pad;
	for (;;) {
		size_t n;
		int wide;

		text += strspn(text, " ");
		n = strcspn(text, " ");
		if (n == 0)
			break;
		wide = columns_of(text, n);
		if (!fresh && column + 1 + wide > p->width) {
			fprintf(p->out, "\n%*s", indent, "");
			column = indent;
			fresh = true;
		}
		fprintf(p->out, "%s%.*s", fresh ? "" : " ", (int)n, text);
		column += wide + !fresh;
		fresh = false;
		text += n;
	}
	putc('\n', p->out);
}
