/* report_html.c - the report as one page: everything the text says, with tables
 * of servers and findings; as a file that stands alone, or as it is served.
 *
 * It has to be one file that opens anywhere, now and in years: no script, what is
 * drawn is inline, nothing comes from elsewhere. The hard part is that names and
 * texts may come from packets: each goes through put(), which escapes it. */
#include "detectors/report_common.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "detectors/report_picture.h"

enum { FINDINGS_LISTED = 500, SERVERS_LISTED = 1000, GROUPS_LISTED = 40,
    REMEDIES_LISTED = 16, CLIENTS_NAMED = 8, TEXT_BYTES = 1600 };

static const char style[] =
":root{--paper:#fbfbf9;--card:#fff;--ink:#1c1e21;--dim:#5f6670;--line:#dfe1e4;"
"--bad:#b3261e;--warn:#8a5a00;--good:#1b6e3a;--code:#f1f2f4}\n"
"@media(prefers-color-scheme:dark){:root{--paper:#15171a;--card:#1d2024;"
"--ink:#e6e7e9;--dim:#9aa1ab;--line:#343940;--bad:#ff8a80;--warn:#f2c14e;"
"--good:#7ddc9c;--code:#282c32}}\n"
"*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);"
"font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\n"
"main{max-width:68rem;margin:0 auto;padding:1.5rem 1rem 4rem}\n"
"h1{font-size:1.3rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}"
"h3{font-size:1.05rem;margin:0}p{margin:.4rem 0}\n"
".dim{color:var(--dim)}.num{text-align:right;font-variant-numeric:tabular-nums;"
"white-space:nowrap}\n"
".card{background:var(--card);border:1px solid var(--line);border-left:4px solid "
"var(--line);border-radius:6px;padding:1rem 1.2rem;margin:1rem 0}\n"
".card.failing,.card.silent{border-left-color:var(--bad)}"
".card.degraded{border-left-color:var(--warn)}\n"
".state{font-weight:700;font-size:.8rem;letter-spacing:.04em;"
"text-transform:uppercase;white-space:nowrap}"
".failing .state,.silent .state,.high,.critical{color:var(--bad)}"
".degraded .state,.medium{color:var(--warn)}.ok .state{color:var(--good)}"
".info,.low{color:var(--dim)}.high,.critical,.medium{font-weight:600}\n"
".verdict{display:flex;gap:.2rem 1rem;justify-content:space-between;"
"flex-wrap:wrap;font-size:1.15rem;font-weight:600;margin:.8rem 0 .4rem}"
".verdict span+span{white-space:nowrap}\n"
"dl{display:grid;grid-template-columns:5.5rem 1fr;gap:.35rem .8rem;margin:.9rem 0}"
"dt{grid-column:1;color:var(--dim)}dd{grid-column:2;margin:0;min-width:0;"
"overflow-wrap:anywhere}dd.act{margin-bottom:.5rem}\n"
"code{font:13px/1.45 ui-monospace,Consolas,monospace;background:var(--code);"
"padding:.1rem .35rem;border-radius:4px;overflow-wrap:anywhere}"
".act>code,.proof>code,details>code{display:block;width:fit-content;"
"max-width:100%;padding:.25rem .5rem;margin:.15rem 0;user-select:all}\n"
"table{border-collapse:collapse;width:100%;font-size:.9rem}"
"th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;"
"border-bottom:1px solid var(--line)}th{color:var(--dim);font-weight:600}"
"th.num,td.num{text-align:right}td{overflow-wrap:anywhere}"
".keep{white-space:nowrap}.small{width:auto}\n"
"summary{color:var(--dim);cursor:pointer;width:fit-content}"
"ul{padding-left:1.2rem}li{margin:.25rem 0;overflow-wrap:anywhere}"
"footer{margin-top:2.5rem;font-size:.9rem}a{color:inherit}"
"h1{overflow-wrap:anywhere}\n"
"@media(max-width:44rem){.card{padding:.8rem .9rem}dl{display:block}"
"dt{margin-top:.8rem;font-weight:600}dd{margin:.3rem 0}"
".stack thead{display:none}.stack tr{display:block;padding:.5rem 0;"
"border-bottom:1px solid var(--line)}.stack td{display:block;border:0;"
"padding:.05rem 0}.stack td:not(:last-child){display:inline;"
"padding-right:.6rem}.stack td:not(:last-child) br{display:none}"
".stack td[title]::before{content:attr(title)' ';color:var(--dim)}}\n"
REPORT_PICTURE_STYLE
"@media print{body{background:#fff;color:#000}.card{break-inside:avoid}}\n";

/* Text into the page: escaped, whatever it holds. */
static void
put(FILE *out, const char *text)
{
	char safe[TEXT_BYTES];

	text_safe(text, safe, sizeof(safe));
	for (const char *c = safe; *c; c++) {
		switch (*c) {
		case '&': fputs("&amp;", out); break;
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '"': fputs("&quot;", out); break;
		case '\'': fputs("&#39;", out); break;
		default: putc(*c, out);
		}
	}
}

/* Text between `before` and `after`, which are markup of ours. */
static void
put_in(FILE *out, const char *before, const char *text, const char *after)
{
	fputs(before, out);
	put(out, text);
	fputs(after, out);
}

/* A cell; where the page is narrow, `label` stands before it. */
static void
put_number(FILE *out, const char *label, uint64_t n)
{
	char text[NUMBER_TEXT_BYTES];

	fputs("<td class=num", out);
	if (*label)
		put_in(out, " title=\"", label, "\"");
	put_in(out, ">", number_text(n, text), "</td>");
}

/* A row of a definition list, left out when there is nothing to say. */
static void
put_row(FILE *out, const char *label, const char *text)
{
	if (!text || !*text)
		return;
	put_in(out, "<dt>", label, "</dt>");
	put_in(out, "<dd>", text, "</dd>\n");
}

static void
put_code_row(FILE *out, const char *label, const char *text)
{
	if (!text || !*text)
		return;
	put_in(out, "<dt>", label, "</dt>");
	put_in(out, "<dd class=proof><code>", text, "</code></dd>\n");
}

/* Servers ------------------------------------------------------------------- */

static void
put_server_name(FILE *out, const struct server *s)
{
	char ip[ADDRESS_TEXT_BYTES];

	if (*s->name)
		put_in(out, "", s->name, " ");
	put(out, address_text(&s->address, ip));
}

static void
put_heading(FILE *out, enum health h, const struct server *s)
{
	const char *vendor = server_vendor(s);
	char mac[MAC_TEXT_BYTES], roles[400];

	put_in(out, "<div class=state>", health_text(h), "</div><h3>");
	put_server_name(out, s);
	fputs("</h3><p class=dim>", out);
	if (s->has_mac) {
		put_in(out, "", vendor, *vendor ? ", " : "");
		put(out, mac_text(s->mac, mac));
	}
	roles_text(s, roles, sizeof(roles));
	put_in(out, *roles && s->has_mac ? "; " : "", roles, "</p>\n");
}

static void
put_evidence(FILE *out, const char *label, const struct evidence *list,
    unsigned count)
{
	char frames[300];

	for (unsigned i = 0; i < count; i++) {
		if (i == 0)
			put_in(out, "<dt>", label, "</dt>");
		put_in(out, "<dd>", list[i].text, "");
		if (list[i].frame_count) {
			frames_text(list[i].frame, list[i].frame_count, frames,
			    sizeof(frames));
			put_in(out, " <span class=dim>(frames ", frames,
			    ")</span>");
		}
		fputs("</dd>\n", out);
	}
}

/* "4,540" or "12.3" */
static void
put_ratio(FILE *out, double ratio)
{
	char text[NUMBER_TEXT_BYTES];

	if (ratio >= 100 && ratio < 1e15)
		put(out, number_text((uint64_t)ratio, text));
	else
		fprintf(out, "%.3g", ratio);
}

static void
put_offload_table(FILE *out, const struct offload_table *t)
{
	if (!t->known)
		return;
	fputs("<table class=small><tr><th>connections<th class=num>affected"
	    "<th class=num>of</tr>\n<tr><td>carried by the card</td>", out);
	put_number(out, "", t->affected_offloaded);
	put_number(out, "", t->flows_offloaded);
	fputs("</tr>\n<tr><td>carried by the host</td>", out);
	put_number(out, "", t->affected_host);
	put_number(out, "", t->flows_host);
	fputs("</tr></table><p class=dim>odds ratio ", out);
	put_ratio(out, t->odds_ratio);
	fprintf(out, ", p = %.2g (Fisher&#39;s exact test, one-sided)</p>\n",
	    t->p_value);
}

static void
put_undo(FILE *out, const struct remedy *r)
{
	bool words = r->advice || strncmp(r->undo, "the same", 8) == 0;

	fputs("<span class=dim>undo:</span> ", out);
	put_in(out, words ? "" : "<code>", r->undo, words ? "" : "</code>");
}

/* First for whom it is, so that the eye finds its own system. */
static void
put_remedy(FILE *out, const struct remedy *r)
{
	put_in(out, "<dd class=act><span class=dim>", r->applies_to, "</span>");
	put_in(out, r->advice ? "<br>" : "<code>", r->command, r->advice ? "" :
	    "</code>");
	fputs("<div>", out);
	if (*r->undo)
		put_undo(out, r);
	if (*r->source)
		put_in(out, " <span class=dim>(", r->source, ")</span>");
	fputs("</div></dd>\n", out);
}

static void
put_remedies(FILE *out, const struct incident *i)
{
	struct remedy list[REMEDIES_LISTED];
	size_t n = remedies_for(i, list, REMEDIES_LISTED);

	for (size_t k = 0; k < n; k++) {
		if (k == 0 || list[k].for_good != list[k - 1].for_good)
			put_in(out, "<dt>", list[k].for_good ? "for good" :
			    "now", "</dt>");
		put_remedy(out, &list[k]);
	}
}

static void
put_incident(FILE *out, const struct run *run, const struct incident *i,
    bool first)
{
	unsigned told = incident_told(i);
	struct finding f;
	char text[TEXT_BYTES], filter[FINDING_FILTER_BYTES];
	char sure[SURE_TEXT_BYTES];

	put_in(out, "<p>", lasting_text(run, i, text, sizeof(text)), "</p>");
	put_in(out, "<div class=verdict><span>", incident_sentence(i), "</span>");
	put_in(out, " <span>", sure_text(i, sure), "</span></div>\n");
	put_in(out, "<p>", affected_text(i, text, sizeof(text)), "</p>\n");
	if (first)
		report_picture_write(out, run, i->server);
	fputs("<dl>", out);
	put_row(out, incident_clients(i, NULL, 0) ? "clients" : "ports",
	    clients_text(i, CLIENTS_NAMED, text, sizeof(text)));
	put_evidence(out, "for", i->evidence + told, i->evidence_count - told);
	put_evidence(out, "against", i->against, i->against_count);
	put_row(out, "settle", i->next_step);
	fputs("</dl>\n", out);
	put_offload_table(out, &i->offload);
	fputs("<dl>", out);
	put_remedies(out, i);
	if (incident_proof(run, i, &f))
		put_code_row(out, "filter", finding_display_filter(&f, filter));
	fputs("</dl>\n", out);
}

static void
put_finding_rows(FILE *out, const struct finding *f)
{
	char filter[FINDING_FILTER_BYTES];

	put_row(out, finding_name_text(f->name), f->text);
	put_row(out, "against", f->against);
	put_code_row(out, "filter", finding_display_filter(f, filter));
}

static void
put_troubled(FILE *out, const struct run *run, const struct server *s,
    size_t number)
{
	enum health h = health_of(s);
	bool any = false;

	put_in(out, "<section class=\"card ", health_text(h), "\"");
	fprintf(out, " id=trouble%zu>", number);
	put_heading(out, h, s);
	for (const struct incident *i = s->incidents; i; i = i->next_of_server) {
		put_incident(out, run, i, !any);
		any = true;
	}
	if (!any) {
		fputs("<dl>", out);
		for (const struct finding *f = s->findings; f;
		    f = f->next_of_server)
			if (finding_degrades(f))
				put_finding_rows(out, f);
		fputs("</dl>", out);
	}
	fputs("</section>\n", out);
}

/* One protocol a line. */
static void
put_responses(FILE *out, const struct server *s)
{
	char text[400], *at = text, *end;

	responses_text(s, 4, text, sizeof(text));
	fputs("<td>", out);
	for (; (end = strstr(at, ", ")); at = end + 2) {
		*end = '\0';
		put_in(out, "", at, "<br>");
	}
	put_in(out, "", at, "</td></tr>\n");
}

static void
put_server_row(FILE *out, const struct server *s)
{
	enum health h = health_of(s);
	char roles[400];

	put_in(out, "<tr class=", health_text(h), "><td class=state>");
	put_in(out, "", health_text(h), "</td><td>");
	put_server_name(out, s);
	put_in(out, "</td><td title=serves>", roles_text(s, roles,
	    sizeof(roles)), "</td>");
	put_number(out, "clients", s->clients);
	put_number(out, "connections", s->flows);
	put_in(out, "<td title=\"carried by\">", offload_state_text(s), "</td>");
	put_responses(out, s);
}

static void
put_server_table(FILE *out, struct server **list, size_t count)
{
	if (count == 0)
		return;
	fputs("<h2>Servers</h2><table class=stack><thead><tr><th>state<th>server"
	    "<th>serves<th class=num>clients<th class=num>connections"
	    "<th>carried by<th>response times</tr></thead>\n", out);
	for (size_t i = 0; i < count && i < SERVERS_LISTED; i++)
		put_server_row(out, list[i]);
	fputs("</table>\n", out);
	if (count > SERVERS_LISTED)
		fprintf(out, "<p class=dim>and %zu more</p>\n",
		    count - SERVERS_LISTED);
}

/* More than one in trouble: the second is out of sight, so all are named first.
 */
static void
put_overview(FILE *out, struct server **list, size_t troubled, size_t count)
{
	if (troubled < 2)
		return;
	fprintf(out, "<p>%zu of %zu servers are in trouble:", troubled, count);
	for (size_t i = 0; i < troubled; i++) {
		const char *health = health_text(health_of(list[i]));

		put_in(out, i ? ", <span class=" : " <span class=", health,
		    "><span class=state>");
		put_in(out, "", health, "</span></span>");
		fprintf(out, " <a href=\"#trouble%zu\">", i);
		put_server_name(out, list[i]);
		fputs("</a>", out);
	}
	fputs("</p>\n", out);
}

static void
put_servers(FILE *out, const struct run *run)
{
	size_t count, troubled = 0;
	struct server **list = report_servers(run, &count);

	while (troubled < count && health_of(list[troubled]) != HEALTH_OK)
		troubled++;
	put_overview(out, list, troubled, count);
	for (size_t i = 0; i < troubled; i++)
		put_troubled(out, run, list[i], i);
	if (!run_servers(run) && !troubled)
		fputs("<section class=card><h3>No server could be judged.</h3>"
		    "</section>\n", out);
	else if (!troubled)
		fputs("<section class=\"card ok\"><div class=state>ok</div>"
		    "<h3>All servers are well.</h3></section>\n", out);
	put_server_table(out, list, count);
	free(list);
}

/* Findings ------------------------------------------------------------------ */

static void
put_finding_ends(FILE *out, const struct finding *f)
{
	char ip[ADDRESS_TEXT_BYTES];

	fputs("<td class=keep>", out);
	if (f->server)
		put_server_name(out, f->server);
	if (f->has_client)
		put_in(out, "<br> <span class=dim>client ",
		    address_text(&f->client, ip), "</span>");
	fputs("</td>", out);
}

/* What is looked up afterwards is folded away. */
static void
put_finding_proof(FILE *out, const struct run *run, const struct finding *f)
{
	char filter[FINDING_FILTER_BYTES], frames[300];

	frames_text(f->frame, f->frame_count, frames, sizeof(frames));
	fputs("<details><summary>frames and filter</summary>", out);
	put_in(out, f->frame_count ? "frames " : "no single frame", frames, "");
	if (source_count(run->source) > 1)
		put_in(out, " of ", finding_file_name(run, f), "");
	put_in(out, "<code>", finding_display_filter(f, filter),
	    "</code></details>");
}

static void
put_finding_row(FILE *out, const struct run *run, const struct finding *f)
{
	char time[INSTANT_TEXT_BYTES], number[NUMBER_TEXT_BYTES];

	put_in(out, "<tr><td class=keep>", run_clock_text(run, f->first_seen,
	    time), "</td>");
	put_finding_ends(out, f);
	put_in(out, "<td>", finding_name_text(f->name), "");
	if (f->kind)
		put_in(out, "<br> <span class=dim>", f->kind, "</span>");
	put_in(out, "</td><td class=keep><span class=", severity_text(f->severity),
	    ">");
	put_in(out, "", severity_text(f->severity), "</span>");
	fprintf(out, "<br> <span class=dim>%u&nbsp;%% sure</span></td>",
	    percent_of(f->confidence));
	put_in(out, "<td>", f->text, "");
	if (f->count > 1)
		put_in(out, " <span class=dim>(count ", number_text(f->count,
		    number), ")</span>");
	if (*f->against)
		put_in(out, "<br><span class=dim>against:</span> ", f->against,
		    "");
	put_finding_proof(out, run, f);
	fputs("</td></tr>\n", out);
}

static void
put_findings(FILE *out, const struct run *run)
{
	size_t n;
	struct finding **list = report_findings(run, &n);

	if (n)
		fputs("<h2>Findings</h2><table class=stack><thead><tr><th>first"
		    "<th>server<th>finding<th>severity<th>what was seen</tr>"
		    "</thead>\n", out);
	for (size_t i = 0; i < n && i < FINDINGS_LISTED; i++)
		put_finding_row(out, run, list[i]);
	if (n)
		fputs("</table>\n", out);
	if (n > FINDINGS_LISTED)
		fprintf(out, "<p class=dim>and %zu more; -T json lists all</p>\n",
		    n - FINDINGS_LISTED);
	free(list);
}

static void
put_noticed(FILE *out, const struct run *run)
{
	struct finding_group groups[GROUPS_LISTED];
	size_t n = finding_groups(run, groups, GROUPS_LISTED);
	char text[TEXT_BYTES];

	if (n == 0)
		return;
	fputs("<h2>Noticed, no harm to a server</h2><ul>\n", out);
	for (size_t i = 0; i < n; i++)
		put_in(out, "<li>", group_text(run, &groups[i], text,
		    sizeof(text)), "</li>\n");
	fputs("</ul>\n", out);
}

static void
put_not_judged(FILE *out, const struct run *run)
{
	char text[TEXT_BYTES];
	const char *line;
	bool any = false;

	for (unsigned i = 0; (line = not_judged_text(run, i, text, sizeof(text)));
	    i++) {
		if (!*line)
			continue;
		if (!any)
			fputs("<h2>Could not be judged, or not fully</h2><ul>\n",
			    out);
		any = true;
		put_in(out, "<li>", line, "</li>\n");
	}
	if (any)
		fputs("</ul>\n", out);
}

/* --------------------------------------------------------------------------- */

static void
put_opening(FILE *out, const struct run *run, bool served)
{
	char subject[600], text[TEXT_BYTES];

	run_subject(run, subject, sizeof(subject));
	fputs("<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
	    "<meta name=viewport content=\"width=device-width,initial-scale=1\">"
	    "<meta name=color-scheme content=\"light dark\">", out);
	put_in(out, "<title>toewatch: ", subject, "</title>\n");
	if (served)
		fputs("<link rel=stylesheet href=\"/style.css\">", out);
	else
		fprintf(out, "<style>%s</style>", style);
	fputs("</head><body><main>\n", out);
	report_picture_begin(out);
	put_in(out, "<h1>", subject, "</h1>\n");
	put_in(out, "<p>", extent_text(run, text, sizeof(text)), "<br>");
	put(out, soundness_text(run, text, sizeof(text)));
	if (run->interrupted)
		fputs(" Ended early by a signal.", out);
	fputs("</p>\n", out);
}

static void
put_closing(FILE *out, bool served)
{
	fputs("<footer class=dim>Times are UTC, by the capture&#39;s clock. Frame "
	    "numbers are Wireshark&#39;s for that file. Written by toewatch "
	    PACKAGE_VERSION ".\n", out);
	if (served)
		fputs("As JSON: <a href=\"/api/v1/incidents\">incidents</a>, "
		    "<a href=\"/api/v1/findings\">findings</a>, "
		    "<a href=\"/api/v1/servers\">servers</a>, "
		    "<a href=\"/api/v1/capture\">capture</a>; for monitoring: "
		    "<a href=\"/metrics\">metrics</a>.\n", out);
	fputs("</footer></main></body></html>\n", out);
}

static int
write_page(struct report *r, const struct run *run, bool served)
{
	put_opening(r->out, run, served);
	put_servers(r->out, run);
	put_noticed(r->out, run);
	put_not_judged(r->out, run);
	put_findings(r->out, run);
	put_closing(r->out, served);
	return fflush(r->out) == 0 && !ferror(r->out) ? 0 : -1;
}

static int
html_finish(struct report *r, const struct run *run)
{
	return write_page(r, run, false);
}

static int
page_finish(struct report *r, const struct run *run)
{
	return write_page(r, run, true);
}

static void
html_free(struct report **r)
{
	free(*r);
	*r = NULL;
}

static struct report *
report_new(FILE *out, int (*finish)(struct report *, const struct run *))
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	*r = (struct report){ .finish = finish, .free = html_free, .out = out };
	return r;
}

struct report *
report_html_new(FILE *out)
{
	return report_new(out, html_finish);
}

struct report *
report_page_new(FILE *out)
{
	return report_new(out, page_finish);
}

const char *
report_style(void)
{
	return style;
}
