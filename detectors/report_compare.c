/* report_compare.c - did the change help? The words.
 *
 * The first line is the answer, with its counts and how likely chance alone
 * would do that; then whether it is the change that did it, and for good; then
 * the figures side by side. The hard part is to say "better" plainly and yet
 * not "cured", when all that is known is that it has been quiet for a while. */
#include "detectors/compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detectors/paper.h"
#include "detectors/report_common.h"

enum {
	TEXT_BYTES = 800,
	WHAT_COLUMNS = 24, RUN_COLUMNS = 28,
	IN_FULL = 12, WELL_NAMED = 8,
	LABEL_COLUMNS = 9,		/* "before   " */
};

/* "; p = 0.0002" */
static void
add_p(char *out, size_t size, double p)
{
	if (isnan(p))
		return;
	if (p < 1e-99)
		text_add(out, size, "; p < 1e-99");
	else
		text_add(out, size, p < 0.1 ? "; p = %.1g" : "; p = %.2f", p);
}

static const char *
server_called(const struct comparison *c, char *out, size_t size)
{
	const struct server_figures *v = c->side[c->side[AFTER] ? AFTER : BEFORE];
	char ip[ADDRESS_TEXT_BYTES];

	return text_safe(*v->name ? v->name : address_text(&v->address, ip), out,
	    size);
}

static const char *
watched_text(const struct run_figures *r, char out[DURATION_TEXT_BYTES])
{
	return duration_text(r->watched_ns, out);
}

static const char *
hours_text(double hours, char out[DURATION_TEXT_BYTES])
{
	double ns = hours * 3600e9;

	return duration_text(ns < 9e18 ? (int64_t)ns : INT64_MAX, out);
}

static bool
froze(const struct comparison *c)
{
	uint64_t ill = c->side[BEFORE]->flows_affected +
	    c->side[AFTER]->flows_affected;
	uint64_t stalled = c->side[BEFORE]->flows_stalled +
	    c->side[AFTER]->flows_stalled;

	return stalled * 2 > ill;
}

/* The answer ------------------------------------------------------------------- */

/* "13 of 14", "none of 14" */
static void
add_share(char *out, size_t size, uint64_t n, uint64_t all, const char *what)
{
	if (n)
		text_add(out, size, "%" PRIu64, n);
	else
		text_add(out, size, "none");
	text_add(out, size, " of %" PRIu64 "%s%s", all, *what ? " " : "", what);
}

/* "13 of 14 clients froze before, none of 14 after" */
static void
add_counts(char *out, size_t size, const struct comparison *c, enum question q)
{
	const struct server_figures *b = c->side[BEFORE], *a = c->side[AFTER];
	char time[DURATION_TEXT_BYTES];

	if (q == QUESTION_CLIENTS) {
		add_share(out, size, b->clients_affected, b->clients, b->clients ==
		    1 ? "client" : "clients");
		text_add(out, size, " %s before, ", froze(c) ? "froze" : "fared ill");
		add_share(out, size, a->clients_affected, a->clients, "");
		text_add(out, size, " after");
	} else if (q == QUESTION_INCIDENTS) {
		text_add(out, size, "%" PRIu64 " in %s before, ", b->incidents,
		    watched_text(c->run[BEFORE], time));
		text_add(out, size, "%" PRIu64 " in %s after", a->incidents,
		    watched_text(c->run[AFTER], time));
	} else {
		add_share(out, size, c->connects_failed[BEFORE],
		    c->connects[BEFORE], "connections");
		text_add(out, size, " could not be made before, ");
		add_share(out, size, c->connects_failed[AFTER],
		    c->connects[AFTER], "");
		text_add(out, size, " after");
	}
}

/* What became of it, in three words. */
static const char *
change_words(const struct comparison *c, enum question q)
{
	const struct server_figures *b = c->side[BEFORE], *a = c->side[AFTER];
	bool better = c->answer[q].direction < 0;
	uint64_t left, had;

	switch (q) {
	case QUESTION_CLIENTS:
		left = a->clients_affected;
		had = b->clients_affected;
		if (better && !left)
			return froze(c) ? "the stalls are gone" :
			    "the trouble is gone";
		if (better)
			return froze(c) ? "fewer clients freeze" :
			    "fewer clients fare ill";
		if (!had)
			return froze(c) ? "clients freeze that did not" :
			    "clients fare ill that did not";
		return froze(c) ? "more clients freeze" :
		    "more clients fare ill";
	case QUESTION_INCIDENTS:
		if (better)
			return a->incidents ? "incidents come less often" :
			    "the incidents are gone";
		return b->incidents ? "incidents come more often" :
		    "there are incidents now";
	default:
		return better ? "fewer connections fail to be made" :
		    "more connections fail to be made";
	}
}

static void
add_answer(char *out, size_t size, const struct comparison *c, enum question q)
{
	text_add(out, size, "%s (", change_words(c, q));
	add_counts(out, size, c, q);
	add_p(out, size, c->answer[q].p);
	text_add(out, size, ")");
}

static void
add_mixed(char *out, size_t size, const struct comparison *c)
{
	bool any = false;

	text_add(out, size, "better in one respect, worse in another: ");
	for (int q = 0; q < QUESTION_COUNT; q++) {
		if (!c->answer[q].asked || !(c->answer[q].p < COMPARE_LEVEL))
			continue;
		if (any)
			text_add(out, size, "; ");
		add_answer(out, size, c, (enum question)q);
		any = true;
	}
}

static void
add_well(char *out, size_t size, const struct comparison *c)
{
	char time[DURATION_TEXT_BYTES];

	text_add(out, size, "no difference: well before and after (no trouble in %s ",
	    watched_text(c->run[BEFORE], time));
	text_add(out, size, "before, none in %s after)",
	    watched_text(c->run[AFTER], time));
}

static void
add_no_difference(char *out, size_t size, const struct comparison *c)
{
	char time[DURATION_TEXT_BYTES];

	text_add(out, size, "no difference that this much traffic could show (");
	add_counts(out, size, c, (enum question)c->deciding);
	add_p(out, size, c->answer[c->deciding].p);
	text_add(out, size, ")");
	if (isfinite(c->clean_hours_exact)) {
		text_add(out, size, ": would need about %s without an incident",
		    hours_text(c->clean_hours_exact, time));
	} else if (isfinite(c->more_needed)) {
		text_add(out, size, ": would need about %s before ",
		    hours_text(c->more_needed * hours_watched(c->run[BEFORE]),
			time));
		text_add(out, size, "and %s after",
		    hours_text(c->more_needed * hours_watched(c->run[AFTER]),
			time));
	}
}

static void
add_incidents(char *out, size_t size, uint64_t n)
{
	text_add(out, size, "%" PRIu64 " incident%s", n, n == 1 ? "" : "s");
}

static void
add_not_comparable(char *out, size_t size, const struct comparison *c)
{
	int r = c->side[BEFORE] ? BEFORE : AFTER;
	const struct server_figures *v = c->side[r];

	if (c->side[BEFORE] && c->side[AFTER]) {
		r = c->run[AFTER]->blind ? AFTER : BEFORE;
		text_add(out, size, "not comparable: the capture %s missed so much that "
		    "trouble would not show in it", r == AFTER ? "after" :
		    "before");
		return;
	}
	text_add(out, size, "not comparable: only in the run %s (%" PRIu64
	    " connections, ", r == BEFORE ? "before" : "after", v->flows);
	add_incidents(out, size, v->incidents);
	text_add(out, size, ")");
}

const char *
comparison_answer(const struct comparison *c, char *out, size_t size)
{
	char name[200], time[DURATION_TEXT_BYTES];
	int clean = c->change == CHANGE_BETTER ? AFTER : BEFORE;

	snprintf(out, size, "%s: ", server_called(c, name, sizeof(name)));
	switch (c->change) {
	case CHANGE_NOT_COMPARABLE: add_not_comparable(out, size, c); break;
	case CHANGE_MIXED: add_mixed(out, size, c); break;
	case CHANGE_BETTER: case CHANGE_WORSE:
		text_add(out, size, "%s: ", outcome_change_text(c->change));
		add_answer(out, size, c, (enum question)c->deciding);
		if (!c->settled && isfinite(c->clean_hours_exact))
			text_add(out, size, ", but %s %s are too short to say that it %s",
			    watched_text(c->run[clean], time), clean == AFTER ?
			    "after" : "before", clean == AFTER ? "lasts" :
			    "is the change");
		break;
	case CHANGE_NOTHING:
		if (c->deciding < 0)
			add_well(out, size, c);
		else
			add_no_difference(out, size, c);
	}
	text_add(out, size, ".");
	return out;
}

/* Is it the change? -------------------------------------------------------------- */

static const char *
unknown_where(const struct comparison *c)
{
	bool before = c->side[BEFORE]->stacks_known;

	return before ? "after" : c->side[AFTER]->stacks_known ? "before" :
	    "before or after";
}

const char *
comparison_effect(const struct comparison *c, char *out, size_t size)
{
	const struct server_figures *b = c->side[BEFORE], *a = c->side[AFTER];
	uint64_t was, is;

	out[0] = '\0';
	if (!b || !a)
		return out;
	was = b->flows_offloaded + b->flows_host;
	is = a->flows_offloaded + a->flows_host;
	switch (c->offload) {
	case OFFLOAD_UNKNOWN:
		text_add(out, size, "Which connections the card carries cannot be told %s "
		    "(IP IDs): whether an offload was switched off is not seen "
		    "here.", unknown_where(c));
		break;
	case OFFLOAD_GONE:
		text_add(out, size, "The card carried %" PRIu64 " of %" PRIu64
		    " connections before and none of %" PRIu64 " after: its "
		    "connection offload is off.", b->flows_offloaded, was, is);
		break;
	case OFFLOAD_TOO_FEW:
		text_add(out, size, "The card carried %" PRIu64 " of %" PRIu64
		    " connections before and none of %" PRIu64 " after: too few to "
		    "say that its connection offload is off.",
		    b->flows_offloaded, was, is);
		break;
	case OFFLOAD_STILL_ON:
		text_add(out, size, "The card still carries %" PRIu64 " of %" PRIu64
		    " connections (%" PRIu64 " of %" PRIu64 " before): its "
		    "connection offload is not off%s.", a->flows_offloaded, is,
		    b->flows_offloaded, was, c->change == CHANGE_BETTER ?
		    ", so that is not what helped" : "");
		break;
	case OFFLOAD_APPEARED:
		text_add(out, size, "The card carries %" PRIu64 " of %" PRIu64
		    " connections after and none before: its connection offload "
		    "is on now.", a->flows_offloaded, is);
		break;
	case OFFLOAD_NEVER:
		text_add(out, size, "The card carries no connection, before or after: "
		    "its connection offload was not in use.");
	}
	return out;
}

/* For good? ---------------------------------------------------------------------- */

static void
add_clean(char *out, size_t size, const struct comparison *c, int clean)
{
	int other = clean == AFTER ? BEFORE : AFTER;
	double watched = hours_watched(c->run[clean]);
	char a[DURATION_TEXT_BYTES], b[DURATION_TEXT_BYTES];

	add_incidents(out, size, c->side[other]->incidents);
	text_add(out, size, " in %s %s, none in %s %s: ",
	    watched_text(c->run[other], a), other == BEFORE ? "before" : "after",
	    watched_text(c->run[clean], b), clean == BEFORE ? "before" : "after");
	if (watched >= c->clean_hours_exact) {
		text_add(out, size, "chance alone leaves so long a time clean less than "
		    "once in 20.");
		return;
	}
	text_add(out, size, "chance alone does that, too. 95 %% sure is %s without one",
	    hours_text(c->clean_hours_exact, a));
	text_add(out, size, " (%s if that really is how often they come)",
	    hours_text(c->clean_hours_known_rate, a));
	if (clean == AFTER)
		text_add(out, size, ": watch on for %s",
		    hours_text(c->clean_hours_exact - watched, a));
	text_add(out, size, ".");
}

const char *
comparison_lasting(const struct comparison *c, char *out, size_t size)
{
	const struct server_figures *b = c->side[BEFORE], *a = c->side[AFTER];

	out[0] = '\0';
	if (c->change == CHANGE_NOT_COMPARABLE ||
	    (!b->incidents && !a->incidents))
		return out;
	if (isfinite(c->clean_hours_exact)) {
		add_clean(out, size, c, b->incidents ? AFTER : BEFORE);
	} else if (!(c->answer[QUESTION_INCIDENTS].p < 0.05)) {
		text_add(out, size, "Incidents come as often as before, as far as this "
		    "shows (");
		add_counts(out, size, c, QUESTION_INCIDENTS);
		add_p(out, size, c->answer[QUESTION_INCIDENTS].p);
		text_add(out, size, ").");
	}
	return out;
}

/* The figures ---------------------------------------------------------------------- */

static void
print_row(const struct paper *p, const char *what, const char *before,
    const char *after, double chance)
{
	char text[40] = "";

	fprintf(p->out, "  %-*s%-*s%s", WHAT_COLUMNS, what, RUN_COLUMNS, before,
	    after);
	if (!isnan(chance)) {
		add_p(text, sizeof(text), chance);
		fprintf(p->out, "%*s%s", RUN_COLUMNS > text_columns(after) ?
		    RUN_COLUMNS - text_columns(after) : 1, "", text + 2);
	}
	putc('\n', p->out);
}

/* One row: what it says of each run. */
struct cell {
	char text[COMPARE_RUNS][120];
};

/* "13 of 14 (93 %)" */
static void
share_cell(char *out, size_t size, uint64_t n, uint64_t all)
{
	double percent = all ? 100 * (double)n / (double)all : 0;
	char a[NUMBER_TEXT_BYTES], b[NUMBER_TEXT_BYTES];

	snprintf(out, size, "%s of %s", number_text(n, a), number_text(all, b));
	if (n && all)
		text_add(out, size, percent < 1 ? " (%.2g %%)" : " (%.0f %%)", percent);
}

static double
per_hour(const struct comparison *c, int r, uint64_t n)
{
	return c->run[r]->watched_ns > 0 ? (double)n / hours_watched(c->run[r]) :
	    0;
}

static void
print_incidents(const struct paper *p, const struct comparison *c)
{
	struct cell x;

	for (int r = BEFORE; r <= AFTER; r++) {
		uint64_t n = c->side[r]->incidents;

		snprintf(x.text[r], sizeof(x.text[r]), "%" PRIu64, n);
		if (n)
			text_add(x.text[r], sizeof(x.text[r]), " (%.3g an hour)",
			    per_hour(c, r, n));
	}
	print_row(p, "incidents", x.text[BEFORE], x.text[AFTER],
	    c->side[BEFORE]->incidents + c->side[AFTER]->incidents ?
	    c->answer[QUESTION_INCIDENTS].p : NAN);
}

static double
time_share(const struct run_figures *r, int64_t ns)
{
	double share = r->watched_ns > 0 ? (double)ns / (double)r->watched_ns : 0;

	return share > 1 ? 1 : share;
}

static void
print_verdicts(const struct paper *p, const struct comparison *c)
{
	for (int v = 0; v < VERDICT_COUNT; v++) {
		struct cell x;
		char what[40];

		if (!c->side[BEFORE]->incidents_by[v] &&
		    !c->side[AFTER]->incidents_by[v])
			continue;
		for (int r = BEFORE; r <= AFTER; r++)
			snprintf(x.text[r], sizeof(x.text[r]), "%" PRIu64
			    ", %.0f %% of the time",
			    c->side[r]->incidents_by[v], 100 *
			    time_share(c->run[r], c->side[r]->trouble_ns_by[v]));
		snprintf(what, sizeof(what), "  %s",
		    verdict_name((enum verdict)v));
		print_row(p, what, x.text[BEFORE], x.text[AFTER], NAN);
	}
}

static void
print_affected(const struct paper *p, const struct comparison *c)
{
	struct cell clients, flows;

	for (int r = BEFORE; r <= AFTER; r++) {
		const struct server_figures *v = c->side[r];

		share_cell(clients.text[r], sizeof(clients.text[r]),
		    v->clients_affected, v->clients);
		share_cell(flows.text[r], sizeof(flows.text[r]),
		    v->flows_affected, v->flows);
	}
	print_row(p, "clients affected", clients.text[BEFORE],
	    clients.text[AFTER], c->answer[QUESTION_CLIENTS].p);
	print_row(p, "connections affected", flows.text[BEFORE],
	    flows.text[AFTER], c->p_flows_share);
}

static void
print_stalls(const struct paper *p, const struct comparison *c)
{
	struct cell n, connections, requests;

	for (int r = BEFORE; r <= AFTER; r++) {
		const struct server_figures *v = c->side[r];
		double stalls = (double)v->flows_stalled;
		double asked = (double)(v->requests + v->flows_stalled);

		snprintf(n.text[r], sizeof(n.text[r]), "%" PRIu64
		    " (%.3g an hour)", v->flows_stalled,
		    per_hour(c, r, v->flows_stalled));
		snprintf(connections.text[r], sizeof(connections.text[r]), "%.3g",
		    v->flows ? 1000 * stalls / (double)v->flows : 0);
		snprintf(requests.text[r], sizeof(requests.text[r]), "%.3g",
		    asked > 0 ? 1000 * stalls / asked : 0);
	}
	print_row(p, "stalled connections", n.text[BEFORE], n.text[AFTER], NAN);
	print_row(p, "  in 1,000 connections", connections.text[BEFORE],
	    connections.text[AFTER], NAN);
	print_row(p, "  in 1,000 requests", requests.text[BEFORE],
	    requests.text[AFTER], NAN);
}

static void
response_cell(char *out, size_t size, const struct response_figures *f)
{
	char p50[DURATION_TEXT_BYTES], p95[DURATION_TEXT_BYTES];
	char n[NUMBER_TEXT_BYTES];

	if (f->n)
		snprintf(out, size, "%s, %s of %s", duration_text(f->p50_ns, p50),
		    duration_text(f->p95_ns, p95), number_text(f->n, n));
	else
		snprintf(out, size, "none");
}

static void
print_responses(const struct paper *p, const struct comparison *c)
{
	for (int app = 0; app < APP_PROTOCOL_COUNT; app++) {
		struct cell x;
		char what[60];

		if (!c->side[BEFORE]->response[app].n &&
		    !c->side[AFTER]->response[app].n)
			continue;
		for (int r = BEFORE; r <= AFTER; r++)
			response_cell(x.text[r], sizeof(x.text[r]),
			    &c->side[r]->response[app]);
		snprintf(what, sizeof(what), "%s p50, p95",
		    role_title((enum app_protocol)app));
		print_row(p, what, x.text[BEFORE], x.text[AFTER], NAN);
	}
}

static void
print_wire(const struct paper *p, const struct comparison *c)
{
	struct cell card, sums, again, connects;

	for (int r = BEFORE; r <= AFTER; r++) {
		const struct server_figures *v = c->side[r];

		if (v->stacks_known)
			share_cell(card.text[r], sizeof(card.text[r]),
			    v->flows_offloaded, v->flows_offloaded +
			    v->flows_host);
		else
			snprintf(card.text[r], sizeof(card.text[r]), "unknown");
		share_cell(sums.text[r], sizeof(sums.text[r]), v->wire.bad_sums,
		    v->wire.sent);
		share_cell(again.text[r], sizeof(again.text[r]),
		    v->wire.retransmissions, v->wire.packets);
		share_cell(connects.text[r], sizeof(connects.text[r]),
		    c->connects_failed[r], c->connects[r]);
	}
	print_row(p, "connects failed", connects.text[BEFORE],
	    connects.text[AFTER], c->answer[QUESTION_CONNECTS].p);
	print_row(p, "carried by the card", card.text[BEFORE],
	    card.text[AFTER], c->p_offload);
	print_row(p, "bad checksums sent", sums.text[BEFORE], sums.text[AFTER],
	    NAN);
	print_row(p, "retransmissions", again.text[BEFORE],
	    again.text[AFTER], NAN);
}

static void
print_figures(const struct paper *p, const struct comparison *c)
{
	const struct server_figures *v = c->side[AFTER];
	char ip[ADDRESS_TEXT_BYTES], name[200], title[300];

	snprintf(title, sizeof(title), "%s%s%s", text_safe(v->name, name,
	    sizeof(name)), *v->name ? " " : "", address_text(&v->address, ip));
	putc('\n', p->out);
	paper_ink(p, INK_BOLD, title);
	fprintf(p->out, "%*s%-*s%s\n", WHAT_COLUMNS + 2 > text_columns(title) ?
	    WHAT_COLUMNS + 2 - text_columns(title) : 1, "", RUN_COLUMNS, "before",
	    "after");
	print_incidents(p, c);
	print_verdicts(p, c);
	print_affected(p, c);
	print_stalls(p, c);
	print_wire(p, c);
	print_responses(p, c);
}

/* The whole -------------------------------------------------------------------------- */

static bool
was_ill(const struct comparison *c)
{
	for (int r = BEFORE; r <= AFTER; r++)
		if (c->side[r] && (c->side[r]->incidents ||
		    c->side[r]->clients_affected))
			return true;
	return c->change != CHANGE_NOTHING && c->change != CHANGE_NOT_COMPARABLE;
}

static int
rank_of(const struct comparison *c)
{
	switch (c->change) {
	case CHANGE_WORSE: case CHANGE_MIXED: return 0;
	case CHANGE_BETTER: return 1;
	case CHANGE_NOTHING: return was_ill(c) ? 2 : 4;
	case CHANGE_NOT_COMPARABLE: return was_ill(c) ? 3 : 5;
	}
	return 5;
}

static uint64_t
flows_of(const struct comparison *c)
{
	return (c->side[BEFORE] ? c->side[BEFORE]->flows : 0) +
	    (c->side[AFTER] ? c->side[AFTER]->flows : 0);
}

/* They come by address, which settles what is equal. */
static int
answer_order(const void *a, const void *b)
{
	const struct comparison *x = a, *y = b;
	const struct server_figures *v, *w;

	if (rank_of(x) != rank_of(y))
		return rank_of(x) < rank_of(y) ? -1 : 1;
	if (flows_of(x) != flows_of(y))
		return flows_of(x) > flows_of(y) ? -1 : 1;
	v = x->side[x->side[BEFORE] ? BEFORE : AFTER];
	w = y->side[y->side[BEFORE] ? BEFORE : AFTER];
	return address_compare(&v->address, &w->address);
}

static void
print_answer(const struct paper *p, const struct comparison *c)
{
	char line[TEXT_BYTES];

	paper_fill(p, 0, "", 0, comparison_answer(c, line, sizeof(line)));
	if (!was_ill(c))
		return;
	if (*comparison_effect(c, line, sizeof(line)))
		paper_fill(p, 2, "", 2, line);
	if (*comparison_lasting(c, line, sizeof(line)))
		paper_fill(p, 2, "", 2, line);
}

static void
print_run(const struct paper *p, const char *label, const struct run_figures *r)
{
	char line[TEXT_BYTES + 600];

	snprintf(line, sizeof(line), "%s: %s %s%s", r->subject, r->extent,
	    r->soundness, r->interrupted ? " Ended early by a signal." : "");
	paper_fill(p, 0, label, LABEL_COLUMNS, line);
}

static void
print_answers(const struct paper *p, const struct comparison *list,
    size_t count)
{
	size_t well = 0;

	for (size_t i = 0; i < count; i++) {
		if (was_ill(&list[i]) || well < WELL_NAMED)
			print_answer(p, &list[i]);
		well += !was_ill(&list[i]);
	}
	if (well > WELL_NAMED)
		fprintf(p->out, "And %zu more servers, all well or in one run "
		    "only (-T json lists all).\n", well - WELL_NAMED);
	if (count == 0)
		fputs("Nothing to compare: no server in either run.\n", p->out);
}

int
report_compare_text(FILE *out, const struct run_figures *before,
    const struct run_figures *after)
{
	struct paper p = paper_for(out);
	size_t count, full = 0;
	struct comparison *list = compare_runs(before, after, &count);

	if (list)
		qsort(list, count, sizeof(*list), answer_order);
	print_answers(&p, list, count);
	putc('\n', out);
	print_run(&p, "before", before);
	print_run(&p, "after", after);
	if (after->last.ns && instant_before(after->last, before->first))
		fputs("By their clocks the run after is the earlier one.\n", out);
	for (size_t i = 0; i < count && full < IN_FULL; i++) {
		if (!list[i].side[BEFORE] || !list[i].side[AFTER] ||
		    (!was_ill(&list[i]) && count > 1))
			continue;
		print_figures(&p, &list[i]);
		full++;
	}
	if (full)
		fputs("\np: the chance of such a difference had nothing changed. "
		    "Connections of one client and packets\nof one connection share "
		    "their fate: their p proves little, or none is given.\n", out);
	free(list);
	return fflush(out) == 0 && !ferror(out) ? 0 : -1;
}
