/* report_text.c - the report that a person reads.
 *
 * The first line the eye meets is the answer; then who and since when; then
 * why; then what to type. The hard part is to leave out: hundreds of servers
 * are well, thousands of findings say the same, and only what somebody can act
 * upon earns its lines. */
#include "detectors/report_common.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "detectors/paper.h"
#include "detectors/store.h"

enum {
	STATE_COLUMNS = 10,		/* "DEGRADED  " */
	NAME_COLUMNS = 20,
	LABEL_MARGIN = 2, LABEL_COLUMNS = 11, /* "  for good " */
	TROUBLED_IN_FULL = 12, TROUBLED_IN_BRIEF = 40, WELL_NAMED = 8,
	FINDINGS_NAMED = 5, GROUPS_NAMED = 12,
	EVIDENCE_NAMED = 8, REMEDIES_MAX = 32, REMEDIES_NAMED = 3,
	CLIENTS_NAMED = 4,
	LINE_BYTES = 1600,
};

/* A labelled paragraph of an incident. */
static void
say(const struct paper *p, const char *label, const char *text)
{
	char safe[LINE_BYTES];

	if (text && *text)
		paper_fill(p, LABEL_MARGIN, label, LABEL_COLUMNS,
		    text_safe(text, safe, sizeof(safe)));
}

/* The same for what is to be copied: never broken into lines. */
static void
say_whole(const struct paper *p, const char *label, const char *text)
{
	char safe[LINE_BYTES];
	int pad = LABEL_COLUMNS - LABEL_MARGIN - text_columns(label);

	if (!text || !*text)
		return;
	fprintf(p->out, "%*s", LABEL_MARGIN, "");
	paper_ink(p, INK_DIM, label);
	fprintf(p->out, "%*s%s\n", pad > 0 ? pad : 1, "",
	    text_safe(text, safe, sizeof(safe)));
}

/* Servers ------------------------------------------------------------------- */

static const char *
state_word(enum health h, enum ink *ink)
{
	switch (h) {
	case HEALTH_FAILING: *ink = INK_RED; return "FAILING";
	case HEALTH_SILENT: *ink = INK_RED; return "SILENT";
	case HEALTH_DEGRADED: *ink = INK_YELLOW; return "DEGRADED";
	case HEALTH_OK: break;
	}
	*ink = INK_GREEN;
	return "OK";
}

/* "EX01 10.20.30.5 (Broadcom, 00:10:18:2a:9c:01)" */
static const char *
server_title(const struct server *s, bool with_mac, char *out, size_t size)
{
	char ip[ADDRESS_TEXT_BYTES], mac[MAC_TEXT_BYTES], name[200];
	const char *vendor = server_vendor(s);

	address_text(&s->address, ip);
	text_safe(s->name, name, sizeof(name));
	if (with_mac && s->has_mac)
		snprintf(out, size, "%s%s%s (%s%s%s)", name, *name ? " " : "",
		    ip, vendor, *vendor ? ", " : "", mac_text(s->mac, mac));
	else
		snprintf(out, size, "%s%s%s", name, *name ? " " : "", ip);
	return out;
}

static void
print_state(const struct paper *p, enum health h)
{
	enum ink ink;
	const char *word = state_word(h, &ink);

	paper_ink(p, ink, word);
	fprintf(p->out, "%*s", STATE_COLUMNS - (int)strlen(word), "");
}

static void
print_heading(const struct paper *p, const struct server *s)
{
	char title[400], roles[400];

	print_state(p, health_of(s));
	paper_ink(p, INK_BOLD, server_title(s, true, title, sizeof(title)));
	roles_text(s, roles, sizeof(roles));
	if (*roles && STATE_COLUMNS + text_columns(title) + 3 +
	    text_columns(roles) <= p->width)
		fprintf(p->out, "   %s", roles);
	else if (*roles)
		fprintf(p->out, "\n%*s%s", STATE_COLUMNS, "", roles);
	putc('\n', p->out);
}

/* Incidents ----------------------------------------------------------------- */

static void
print_verdict(const struct paper *p, const struct incident *i)
{
	const char *sentence = incident_sentence(i);
	char sure[SURE_TEXT_BYTES];
	int pad;

	sure_text(i, sure);
	pad = p->width - LABEL_MARGIN - text_columns(sentence) -
	    text_columns(sure);
	fprintf(p->out, "\n%*s", LABEL_MARGIN, "");
	paper_ink(p, INK_BOLD, sentence);
	if (pad < 2)
		fprintf(p->out, "\n%*s%s\n\n", LABEL_MARGIN, "", sure);
	else
		fprintf(p->out, "%*s%s\n\n", pad > 10 ? 10 : pad, "", sure);
}

static void
print_evidence(const struct paper *p, const char *label,
    const struct evidence *list, unsigned count)
{
	for (unsigned i = 0; i < count && i < EVIDENCE_NAMED; i++) {
		say(p, label, list[i].text);
		label = "";
	}
}

static void
print_remedy(const struct paper *p, const char *label, const struct remedy *r)
{
	char line[LINE_BYTES], safe[LINE_BYTES];

	(r->advice ? say : say_whole)(p, label, r->command);
	if (r->advice && !r->for_good)
		return;
	snprintf(line, sizeof(line), "%s%s%s%s", r->applies_to,
	    *r->source ? " (" : "", r->source, *r->source ? ")" : "");
	paper_fill(p, LABEL_MARGIN, "", LABEL_COLUMNS + 2,
	    text_safe(line, safe, sizeof(safe)));
	if (!r->advice)
		say_whole(p, "undo", r->undo);
}

enum remedy_kind { LOOK, NOW, FOR_GOOD, REMEDY_KINDS };

/* What changes nothing has nothing to undo. */
static enum remedy_kind
kind_of(const struct remedy *r)
{
	if (r->for_good)
		return FOR_GOOD;
	return r->advice || *r->undo ? NOW : LOOK;
}

/* At most `most` of one kind; returns how many were left out. */
static int
print_remedies_of(const struct paper *p, enum remedy_kind kind, int most,
    const struct remedy *list, size_t n)
{
	static const char *const labels[] = { "look", "now", "for good" };
	int shown = 0;

	for (size_t k = 0; k < n; k++) {
		if (kind_of(&list[k]) != kind || shown++ >= most)
			continue;
		print_remedy(p, shown > 1 ? "or" : labels[kind], &list[k]);
	}
	return shown > most ? shown - most : 0;
}

/* A few of each kind. Where the system is not known, one lasting cure is enough
 * for tonight. */
static void
print_remedies(const struct paper *p, const struct incident *i)
{
	struct remedy list[REMEDIES_MAX];
	size_t n = remedies_for(i, list, REMEDIES_MAX);
	int left_out = 0;

	for (enum remedy_kind kind = LOOK; kind < REMEDY_KINDS; kind++)
		left_out += print_remedies_of(p, kind, kind == FOR_GOOD &&
		    !i->server->system ? 1 : REMEDIES_NAMED, list, n);
	if (left_out)
		say(p, "", i->server->system ? "more of them with -T html" :
		    "more with -T html; and with the server's system in a "
		    "configuration (-c), only what applies to it");
}

/* "1098-1099", and of which file when there are several. */
static const char *
proof_text(const struct run *run, const struct finding *f, char *out,
    size_t size)
{
	char list[300], name[600];
	bool several = source_count(run->source) > 1;

	frames_text(f->frame, f->frame_count, list, sizeof(list));
	snprintf(out, size, "%s%s%s", list, several ? " of " : "",
	    several ? text_safe(finding_file_name(run, f), name, sizeof(name)) :
	    "");
	return out;
}

static void
print_proof(const struct paper *p, const struct run *run,
    const struct incident *i)
{
	char line[LINE_BYTES] = "frames ", filter[FINDING_FILTER_BYTES];
	struct finding f;

	if (!incident_proof(run, i, &f))
		return;
	if (f.frame_count) {
		proof_text(run, &f, line + 7, sizeof(line) - 7);
		say(p, "proof", line);
	}
	say_whole(p, "filter", finding_display_filter(&f, filter));
}

static void
print_incident(const struct paper *p, const struct run *run,
    const struct incident *i)
{
	char line[LINE_BYTES];
	unsigned told = incident_told(i);

	paper_fill(p, STATE_COLUMNS, "", STATE_COLUMNS,
	    lasting_text(run, i, line, sizeof(line)));
	print_verdict(p, i);
	paper_fill(p, LABEL_MARGIN, "", LABEL_MARGIN,
	    affected_text(i, line, sizeof(line)));
	putc('\n', p->out);
	say(p, incident_clients(i, NULL, 0) ? "clients" : "ports",
	    clients_text(i, CLIENTS_NAMED, line, sizeof(line)));
	print_evidence(p, "for", i->evidence + told, i->evidence_count - told);
	print_evidence(p, "against", i->against, i->against_count);
	say(p, "settle", i->next_step);
	putc('\n', p->out);
	print_remedies(p, i);
	print_proof(p, run, i);
}

/* A server that is unwell though nothing made an incident of it. */
static void
print_findings_of(const struct paper *p, const struct run *run,
    const struct server *s)
{
	char line[LINE_BYTES], filter[FINDING_FILTER_BYTES];
	const struct finding *list[FINDINGS_NAMED];
	size_t n = 0, more = 0;

	for (const struct finding *f = s->findings; f; f = f->next_of_server) {
		if (!finding_degrades(f))
			continue;
		more += n == FINDINGS_NAMED;
		if (n < FINDINGS_NAMED)
			list[n++] = f;
	}
	for (size_t i = n; i-- > 0;) {	/* newest first in the server's list */
		const struct finding *f = list[i];

		putc('\n', p->out);
		snprintf(line, sizeof(line), "%s (%s%s%s, %s, %u %% sure)", f->text,
		    finding_name_text(f->name), f->kind ? ", " : "",
		    f->kind ? f->kind : "", severity_text(f->severity),
		    percent_of(f->confidence));
		say(p, "seen", line);
		say(p, "against", f->against);
		if (f->frame_count)
			say(p, "frames", proof_text(run, f, line, sizeof(line)));
		say_whole(p, "filter", finding_display_filter(f, filter));
	}
	if (more)
		fprintf(p->out, "%*sand %zu more like these (-T json lists all)\n",
		    LABEL_COLUMNS, "", more);
}

/* A reboot every night hides what is wrong: only a kept run can tell. */
static void
print_past(const struct paper *p, const struct run *run,
    const struct server *s)
{
	char ip[ADDRESS_TEXT_BYTES], line[LINE_BYTES];

	if (run->store)
		say(p, "history", store_restarts_text(run->store,
		    address_text(&s->address, ip), line, sizeof(line)));
}

static void
print_troubled(const struct paper *p, const struct run *run,
    const struct server *s)
{
	bool any = false;

	putc('\n', p->out);
	print_heading(p, s);
	for (const struct incident *i = s->incidents; i; i = i->next_of_server) {
		if (any)
			putc('\n', p->out);
		print_incident(p, run, i);
		any = true;
	}
	if (!any)
		print_findings_of(p, run, s);
	print_past(p, run, s);
}

/* What is wrong with it, in as few words as there are. */
static const char *
trouble_text(const struct server *s)
{
	const struct finding *worst = NULL;

	if (s->incidents)
		return incident_sentence(s->incidents);
	for (const struct finding *f = s->findings; f; f = f->next_of_server)
		if (finding_degrades(f) &&
		    (!worst || f->severity >= worst->severity))
			worst = f;
	return worst ? worst->text : "";
}

/* How quickly it answers: its `most` busiest protocols. */
static const char *
wellness_text(const struct server *s, int most, char *out, size_t size)
{
	char answers[300];

	responses_text(s, most, answers, sizeof(answers));
	snprintf(out, size, "%s%s%zu %s", answers, *answers ? ", " : "",
	    s->clients, s->clients == 1 ? "client" : "clients");
	return out;
}

/* One line: for a server that is well, and for the many when many are not. */
static void
print_brief(const struct paper *p, const struct run *run,
    const struct server *s, bool first)
{
	char title[400], line[LINE_BYTES];
	enum health h = health_of(s);
	int columns = text_columns(server_title(s, false, title, sizeof(title)));
	int room = p->width - STATE_COLUMNS - (columns < NAME_COLUMNS ?
	    NAME_COLUMNS : columns + 2);

	if (h != HEALTH_OK)
		text_safe(trouble_text(s), line, sizeof(line));
	else if (text_columns(wellness_text(s, 2, line, sizeof(line))) > room)
		wellness_text(s, 1, line, sizeof(line));
	if (first)
		putc('\n', p->out);
	print_state(p, h);
	fputs(title, p->out);
	if (text_columns(line) > room) {
		putc('\n', p->out);
		paper_fill(p, STATE_COLUMNS, "", STATE_COLUMNS, line);
	} else {
		fprintf(p->out, "%*s%s\n", columns < NAME_COLUMNS ?
		    NAME_COLUMNS - columns : 2, "", line);
	}
	print_past(p, run, s);
}

static void
print_servers(const struct paper *p, const struct run *run)
{
	size_t count, full = 0, brief = 0, well = 0, quiet = 0, rest = 0;
	struct server **list = report_servers(run, &count);

	for (size_t i = 0; i < count; i++) {
		bool troubled = health_of(list[i]) != HEALTH_OK;

		if (!troubled && !list[i]->flows && !list[i]->configured)
			continue;
		if (troubled && full < TROUBLED_IN_FULL) {
			print_troubled(p, run, list[i]);
			full++;
		} else if (troubled && brief < TROUBLED_IN_BRIEF) {
			print_brief(p, run, list[i], !brief);
			brief++;
		} else if (troubled) {
			rest++;
		} else if (well < WELL_NAMED) {
			print_brief(p, run, list[i], !well);
			well++;
		} else {
			quiet++;
		}
	}
	if (rest)
		fprintf(p->out, "and %zu more servers in trouble (-T json lists "
		    "all)\n", rest);
	if (quiet)
		fprintf(p->out, "and %zu more servers, all well\n", quiet);
	free(list);
}

/* What was noticed ---------------------------------------------------------- */

static void
print_noticed(const struct paper *p, const struct run *run)
{
	struct finding_group groups[GROUPS_NAMED];
	size_t count = finding_groups(run, groups, GROUPS_NAMED);
	char line[LINE_BYTES];

	if (count == 0)
		return;
	fputs("\nNoticed, no harm to a server:\n", p->out);
	for (size_t i = 0; i < count; i++)
		say(p, "-", group_text(run, &groups[i], line, sizeof(line)));
}

static void
print_not_judged(const struct paper *p, const struct run *run)
{
	char line[LINE_BYTES];
	bool any = false;
	const char *text;

	for (unsigned i = 0; (text = not_judged_text(run, i, line, sizeof(line)));
	    i++) {
		if (!*text)
			continue;
		if (!any)
			fputs("\nCould not be judged, or not fully:\n", p->out);
		any = true;
		say(p, "-", text);
	}
}

/* --------------------------------------------------------------------------- */

/* The answer in one line. Of a single server its own paragraph, which follows,
 * gives it when it is in trouble. */
static void
print_answer(const struct paper *p, size_t servers, size_t troubled)
{
	char line[80];

	if (troubled && servers == 1)
		return;
	if (troubled)
		snprintf(line, sizeof(line), "%zu of %zu servers %s in trouble.",
		    troubled, servers, troubled == 1 ? "is" : "are");
	else
		snprintf(line, sizeof(line), "%s", servers == 0 ?
		    "No server could be judged." : servers == 1 ?
		    "The server is well." : "All servers are well.");
	putc('\n', p->out);
	paper_ink(p, troubled ? INK_RED : servers ? INK_GREEN : INK_PLAIN, line);
	putc('\n', p->out);
}

static void
print_opening(const struct paper *p, const struct run *run)
{
	char subject[600], text[300], line[LINE_BYTES];
	size_t servers = run_servers(run), troubled = 0;

	snprintf(line, sizeof(line), "%s: %s",
	    run_subject(run, subject, sizeof(subject)),
	    extent_text(run, text, sizeof(text)));
	paper_fill(p, 0, "", 0, line);
	snprintf(line, sizeof(line), "%s%s",
	    soundness_text(run, text, sizeof(text)),
	    run->interrupted ? " Ended early by a signal." : "");
	paper_fill(p, 0, "", 0, line);
	for (struct server *s = registry_servers(run->registry); s; s = s->next)
		troubled += health_of(s) != HEALTH_OK;
	print_answer(p, servers, troubled);
}

static int
text_finish(struct report *r, const struct run *run)
{
	struct paper p = paper_for(r->out);

	print_opening(&p, run);
	print_servers(&p, run);
	print_noticed(&p, run);
	print_not_judged(&p, run);
	return fflush(r->out) == 0 && !ferror(r->out) ? 0 : -1;
}

static void
text_free(struct report **r)
{
	free(*r);
	*r = NULL;
}

struct report *
report_text_new(FILE *out)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	*r = (struct report){ .finish = text_finish, .free = text_free,
		.out = out };
	return r;
}
