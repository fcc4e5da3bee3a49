/* report_picture.c - one row a client, time to the right, each cell what became
 * of the client's requests in these seconds, so that "everybody froze at 10:42"
 * is seen and not read.
 *
 * The states differ in brightness and pattern as well as in hue, for those who
 * tell colours apart badly and for paper. What is written are numbers, times and
 * addresses of our own making: nothing here needs escaping. */
#include "detectors/report_picture.h"

#include <stdlib.h>
#include <string.h>

#include "detectors/report_common.h"
#include "detectors/timeline.h"

enum {
	WIDTH = 960, LEFT = 120, RIGHT = 8, HEAD = 20, BARS = 34, SPACE = 14,
	AXIS = 20, ROWS_TALL = 480, ROW_MOST = 18, ROW_LEAST = 4,
	ROW_LABELLED = 11, TICKS = 9,
};

static const struct {
	char state;
	const char *name, *pattern;	/* an id of patterns[]; NULL: none */
} states[] = {
	{ TIMELINE_ANSWERED, "answered", NULL },
	{ TIMELINE_WAITING, "waiting", NULL },
	{ TIMELINE_STALLED, "stalled", "hatch" },
	{ TIMELINE_AGAIN, "answered again", "dots" },
	{ TIMELINE_FAILED, "failed", "cross" },
};

enum { STATES = sizeof(states) / sizeof(states[0]) };

static const char patterns[] =
"<svg class=patterns width=0 height=0><defs><pattern id=hatch width=5 height=5 "
"patternUnits=userSpaceOnUse patternTransform=rotate(45)><path class=pattern "
"d=\"M0 0v5\"/></pattern><pattern id=dots width=5 height=5 "
"patternUnits=userSpaceOnUse><path class=pattern d=\"M1 2h2\"/></pattern>"
"<pattern id=cross width=6 height=6 patternUnits=userSpaceOnUse><path "
"class=pattern d=\"M0 0l6 6M6 0l-6 6\"/></pattern></defs></svg>\n";

/* Where things are. */
struct sheet {
	FILE *out;
	const struct run *run;
	const struct timeline_picture *p;
	double cell, row, top, bottom;
};

static double
x_of(const struct sheet *s, struct instant t)
{
	return LEFT + seconds_of(instant_since(t, s->p->from)) / s->p->cell_s *
	    s->cell;
}

static void
put_box(const struct sheet *s, double x, double y, double width, double height)
{
	fprintf(s->out, "M%.5g %.5gh%.5gv%.5gh%.5gz", x, y, width, height, -width);
}

/* Runs of like cells next to each other. */
static void
put_runs(const struct sheet *s, size_t row, char state)
{
	const char *cells = s->p->row[row].state;
	double gap = s->row > 8 ? 2 : 0.8;

	for (unsigned i = 0, end; i < s->p->cells; i = end) {
		for (end = i + 1; end < s->p->cells && cells[end] == cells[i];)
			end++;
		if (cells[i] == state)
			put_box(s, LEFT + i * s->cell, s->top + (double)row * s->row,
			    (end - i) * s->cell, s->row - gap);
	}
}

static bool
is_used(const struct timeline_picture *p, char state)
{
	for (size_t i = 0; i < p->rows; i++)
		if (strchr(p->row[i].state, state))
			return true;
	return false;
}

static void
put_cells(const struct sheet *s)
{
	for (size_t k = 0; k < STATES; k++) {
		if (!is_used(s->p, states[k].state))
			continue;
		for (int layer = 0; layer < (states[k].pattern ? 2 : 1); layer++) {
			if (layer)
				fprintf(s->out, "<path fill=\"url(#%s)\" d=\"",
				    states[k].pattern);
			else
				fprintf(s->out, "<path class=p%c d=\"",
				    states[k].state);
			for (size_t i = 0; i < s->p->rows; i++)
				put_runs(s, i, states[k].state);
			fputs("\"/>\n", s->out);
		}
	}
}

/* Each row says who it is when it is pointed at, also where it is too low for a
 * label. */
static void
put_names(const struct sheet *s)
{
	char ip[ADDRESS_TEXT_BYTES], since[INSTANT_TEXT_BYTES];

	for (size_t i = 0; i < s->p->rows; i++) {
		const struct timeline_row *r = &s->p->row[i];
		double y = s->top + (double)i * s->row;

		address_text(&r->client, ip);
		if (s->row >= ROW_LABELLED)
			fprintf(s->out, "<text class=name x=%d y=%.5g text-anchor=end>%s%s"
			    "</text>", LEFT - 8, y + s->row / 2 + 4,
			    strlen(ip) > 17 ? "&#8230;" : "", strlen(ip) > 17 ?
			    ip + strlen(ip) - 14 : ip);
		fputs("<path fill=none pointer-events=all d=\"", s->out);
		put_box(s, LEFT, y, WIDTH - LEFT - RIGHT, s->row);
		fprintf(s->out, "\"><title>%s%s%s</title></path>\n", ip,
		    instant_is_set(r->stalled) ? ", stalled since " : "",
		    instant_is_set(r->stalled) ? run_clock_text(s->run, r->stalled,
		    since) : "");
	}
}

static void
put_answers(const struct sheet *s)
{
	uint32_t most = 1;

	for (unsigned i = 0; i < s->p->cells; i++)
		if (s->p->answered[i] > most)
			most = s->p->answered[i];
	fprintf(s->out, "<text class=name x=%d y=%d text-anchor=end>answers</text>"
	    "<path class=pa d=\"", LEFT - 8, HEAD + BARS / 2 + 4);
	for (unsigned i = 0; i < s->p->cells; i++) {
		double tall = (double)s->p->answered[i] / most * BARS;

		if (tall > 0)
			put_box(s, LEFT + i * s->cell, HEAD + BARS - tall,
			    s->cell * 0.8, tall);
	}
	fprintf(s->out, "\"/><path class=grid d=\"M%d %dH%d\"/>\n", LEFT,
	    HEAD + BARS, WIDTH - RIGHT);
}

/* Round times, the shortest step that leaves room for the words. */
static int64_t
tick_s(const struct timeline_picture *p)
{
	static const int64_t steps[] = { 1, 2, 5, 10, 15, 30, 60, 120, 300, 600,
		900, 1800, 3600, 7200, 14400, 21600, 43200, 86400 };
	size_t i = 0;

	while (i + 1 < sizeof(steps) / sizeof(steps[0]) &&
	    (int64_t)p->cell_s * p->cells / steps[i] > TICKS)
		i++;
	return steps[i];
}

static void
put_axis(const struct sheet *s)
{
	int64_t step = tick_s(s->p) * NS_PER_S;
	int64_t end = s->p->from.ns + (int64_t)s->p->cell_s * s->p->cells * NS_PER_S;
	struct instant t = { (s->p->from.ns / step + 1) * step };
	char clock[INSTANT_TEXT_BYTES];

	for (; t.ns < end; t = instant_plus(t, step)) {
		double x = x_of(s, t);

		fprintf(s->out, "<path class=grid d=\"M%.5g %dV%.5g\"/>", x, HEAD,
		    s->bottom);
		if (x < WIDTH - 30)
			fprintf(s->out, "<text%s x=%.5g y=%.5g text-anchor="
			    "middle>%s</text>", t.ns / step % 2 ? " class=odd" :
			    "", x, s->bottom + 14, instant_clock_text(t, clock));
	}
	putc('\n', s->out);
}

static void
put_onset(const struct sheet *s, const struct incident *i)
{
	double x = x_of(s, i->start);
	bool late = x > WIDTH * 0.6;
	char clock[INSTANT_TEXT_BYTES];

	if (x < LEFT || x > WIDTH - RIGHT)
		return;
	fprintf(s->out, "<path class=onset d=\"M%.5g 4V%.5g\"/><text class=moment "
	    "x=%.5g y=13 text-anchor=%s>%s it began</text>\n", x, s->bottom,
	    late ? x - 6 : x + 6, late ? "end" : "start",
	    instant_clock_text(i->start, clock));
}

static void
put_legend(const struct sheet *s)
{
	char width[DURATION_TEXT_BYTES];

	fputs("<p class=legend>", s->out);
	for (size_t k = 0; k < STATES; k++) {
		if (!is_used(s->p, states[k].state))
			continue;
		fprintf(s->out, "<span><svg width=22 height=12><rect class=p%c "
		    "width=22 height=12 />", states[k].state);
		if (states[k].pattern)
			fprintf(s->out, "<rect fill=\"url(#%s)\" width=22 "
			    "height=12 />", states[k].pattern);
		fprintf(s->out, "</svg>%s</span>", states[k].name);
	}
	fprintf(s->out, "<span class=dim>one row a client, one cell %s</span></p>\n",
	    duration_text((int64_t)s->p->cell_s * NS_PER_S, width));
}

static void
put_drawing(const struct sheet *s, const struct server *server)
{
	put_legend(s);
	fprintf(s->out, "<div class=picture><svg viewBox=\"0 0 %d %.5g\" role=img "
	    "aria-label=\"clients over time\">\n", WIDTH, s->bottom + AXIS);
	put_axis(s);
	put_answers(s);
	put_cells(s);
	put_names(s);
	for (const struct incident *i = server->incidents; i;
	    i = i->next_of_server)
		put_onset(s, i);
	fputs("</svg></div>\n", s->out);
	if (s->p->more)
		fprintf(s->out, "<p class=dim>and %zu clients more</p>\n",
		    s->p->more);
}

void
report_picture_begin(FILE *out)
{
	fputs(patterns, out);
}

void
report_picture_write(FILE *out, const struct run *run,
    const struct server *server)
{
	struct timeline_picture *p = calloc(1, sizeof(*p));
	struct sheet s = { .out = out, .run = run, .p = p,
		.top = HEAD + BARS + SPACE };

	if (p && timeline_draw(server, engine_stats(run->engine)->last, true, p) &&
	    p->rows && p->cells) {
		s.cell = (double)(WIDTH - LEFT - RIGHT) / p->cells;
		s.row = (double)ROWS_TALL / (double)p->rows;
		s.row = s.row > ROW_MOST ? ROW_MOST : s.row < ROW_LEAST ?
		    ROW_LEAST : s.row;
		s.bottom = s.top + (double)p->rows * s.row;
		put_drawing(&s, server);
	}
	free(p);
}
