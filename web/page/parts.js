/* parts.js - pieces that several views share. */
import { h, action } from "./dom.js";
import { clock, dayAndClock, duration, number, percent, zone } from "./format.js";
import { link } from "./route.js";
import { now } from "./store.js";
import { badge, nameOf } from "./words.js";

/* Copying ------------------------------------------------------------------- */

/* Outside of loopback and TLS a page has no clipboard of its own. */
async function copy(text) {
	if (navigator.clipboard)
		return navigator.clipboard.writeText(text);
	const field = h("textarea", { class: "away" });

	field.value = text;
	document.body.append(field);
	field.select();
	document.execCommand("copy");
	field.remove();
}

const SAID_MS = 1600;

action("copy", async (button) => {
	const label = button.textContent;

	try {
		await copy(button.dataset.text);
		button.textContent = "copied";
	} catch {
		button.textContent = "not allowed";
	}
	setTimeout(() => { button.textContent = label; }, SAID_MS);
});

export function copyable(text, what) {
	return h("span", { class: "copyable" }, h("code", null, text),
	    h("button", { class: "copy", "data-do": "copy", "data-text": text,
		"data-keep": "", "aria-label": `copy ${what}` }, "copy"));
}

/* Time ---------------------------------------------------------------------- */

export const timeTag = (iso) => h("time", { datetime: iso, title: iso },
    clock(Date.parse(iso)));

/* "since 10:41:32 UTC, still going on (5 min 10 s)" */
export function lasting(i) {
	const start = Date.parse(i.start);
	const end = i.end ? Date.parse(i.end) : now();
	const lasted = duration(Math.max(0, end - start));

	return i.end ?
	    `from ${dayAndClock(start)} to ${clock(end)} ${zone()} (${lasted}), over` :
	    `since ${dayAndClock(start)} ${zone()}, still going on (${lasted})`;
}

/* What to type ---------------------------------------------------------------- */

/* Some remedies are words ("install driver 3.7.19"), not a line to type. */
export const typed = (r, text, what) => r.advice || text.startsWith("the same") ?
    h("span", null, text) : copyable(text, what);

/* The one to try first. */
const firstRemedy = (i) => i.remedy?.find((r) => !r.for_good) ??
    i.remedy?.[0];

export function doNow(i) {
	const r = firstRemedy(i), more = (i.remedy?.length ?? 0) - 1;

	return r && h("div", { class: "do-now" },
	    h("span", { class: "dim" }, `What to do (${r.applies_to})`),
	    typed(r, r.command, "the command"),
	    more > 0 && h("a", { href: link("incident", i.incident_id,
		{ at: "what-to-do" }) },
		`${number(more)} more, for other systems and for good`));
}

/* A part of a page. Its title is its key, so that it stays itself when a part
 * before it comes or goes. */
export const section = (title, attributes, ...children) =>
    h("section", { "data-key": title, ...attributes }, h("h2", null, title),
	children);

/* Figures ------------------------------------------------------------------- */

/* "14 of 14", with a bar. */
export function share(label, part, whole) {
	const width = whole ? Math.round(part / whole * 100) : 0;

	return h("div", { class: "share" }, h("span", { class: "dim" }, label),
	    h("strong", null, `${part} of ${whole}`),
	    h("progress", { max: 100, value: width, "aria-hidden": "true" }));
}

/* [name, value] pairs; those without a value are left out. */
export const facts = (pairs) => h("dl", { class: "facts" }, pairs.map(
    ([name, value]) => (value || value === 0) && h("div", null,
	h("dt", null, name), h("dd", null, value))));

export const serverLink = (server) => h("a",
    { href: link("server", server.ip) }, nameOf(server));

/* Findings ------------------------------------------------------------------ */

export function findingRow(f) {
	return h("li", { class: `finding ${f.severity}`,
	    "data-key": "f" + f.finding_id },
	    h("span", { class: "when" }, timeTag(f.first_seen)),
	    h("span", { class: `severity ${f.severity}` }, f.severity),
	    h("a", { class: "what", href: link("finding", f.finding_id) },
		f.finding.replaceAll("_", " ")),
	    h("span", { class: "ends-of" }, f.server ? nameOf(f.server) : "capture",
		f.client_ip && [" \u2190 ", f.client_ip]),
	    h("span", { class: "text" }, f.text,
		f.count > 1 && h("span", { class: "dim" }, ` (${f.count} times)`),
		f.past && h("span", { class: "dim" }, earlier(f))));
}

export const newestFirst = (a, b) => a.first_seen < b.first_seen ? 1 :
    a.first_seen > b.first_seen ? -1 : b.finding_id - a.finding_id;

/* What a run before this one found, and kept. */
export const earlier = (r) => r.past ? ", of an earlier run" : "";

export function incidentRow(i) {
	return h("li", { class: "incident-row", "data-key": "i" + i.incident_id },
	    badge(i.end ? "ok" : "failing", i.end ? "over" : "open"), " ",
	    h("a", { href: link("incident", i.incident_id) },
		i.verdict_text), " ",
	    h("span", { class: "dim" }, `${nameOf(i.server)}, ${lasting(i)}; ` +
		percent(i.confidence) + " sure" + earlier(i)));
}
