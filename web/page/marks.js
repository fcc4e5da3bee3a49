/* marks.js - before and after a moment that the viewer marks ("offload switched
 * off here"), and before and after the onset: from the server's timeline and
 * findings. A mark is in the address (so that a link carries it) and kept in the
 * browser. */
import { h, action } from "./dom.js";
import { clock, dayAndClock, duration, fieldTime, figure, number, percent, timeOfField,
	zone } from "./format.js";
import { section } from "./parts.js";
import { keep, recall } from "./memory.js";
import { route, setQuery } from "./route.js";
import { data, needFindings, now, openIncident, spanStart } from "./store.js";

/* { ms, text } or null. */
function markOf(ip) {
	const { query } = route();
	const kept = recall("mark " + ip)?.split(" ");
	const ms = Date.parse(query.mark ?? kept?.[0]);

	return ms ? { ms, text: query.marktext ?? kept?.slice(1).join(" ") ?? "" } :
	    null;
}

function setMark(ip, ms, text) {
	const iso = ms ? new Date(ms).toISOString() : "";

	keep("mark " + ip, ms ? `${iso} ${text}` : "");
	setQuery({ mark: iso, marktext: text });
}

const ipHere = (element) => element.closest("[data-server]").dataset.server;

action("mark-at", (button) => {
	const ip = ipHere(button);

	setMark(ip, Number(button.dataset.ms), markOf(ip)?.text || "changed here");
});
action("mark-time", (field) => {
	const ms = timeOfField(field.value);

	if (ms)
		setMark(ipHere(field), ms, markOf(ipHere(field))?.text ||
		    "changed here");
});
action("mark-text", (field) => {
	const mark = markOf(ipHere(field));

	if (mark)
		setMark(ipHere(field), mark.ms, field.value.slice(0, 60));
});
action("mark-clear", (button) => setMark(ipHere(button), 0, ""));

/* Counting -------------------------------------------------------------------- */

export const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

/* What the timeline says of the cells [from, to). */
function within(t, from, to) {
	const minutes = (to - from) * t.step_s / 60;
	const waits = t.wait_ms?.slice(from, to).filter((ms) => ms !== null) ?? [];
	const ill = t.clients.filter((c) => /[sx]/.test(c.states.slice(from, to)));
	let stalled = 0, busy = 0;

	for (const c of t.clients)
		for (const state of c.states.slice(from, to)) {
			busy += state !== ".";
			stalled += state === "s" || state === "x";
		}
	return { minutes, answers: t.answered.slice(from, to).reduce((a, b) =>
	    a + b, 0), wait: median(waits), worst: waits.length ?
	    Math.max(...waits) : null, ill: ill.length, share: busy ?
	    stalled / busy : null };
}

const cellOf = (t, ms) => Math.min(t.cells, Math.max(0,
    Math.round((ms - Date.parse(t.from)) / 1000 / t.step_s)));

const onsetOf = (i) => Date.parse(i.start);

/* "answers a minute: 62 before, 41 since" for a server in trouble. */
export function rates(ip) {
	const t = data.timelines.get(ip), i = openIncident(ip);
	const at = t && i ? cellOf(t, onsetOf(i)) : 0;

	if (!at || at >= t.cells)
		return null;
	const before = within(t, 0, at), since = within(t, at, t.cells);
	return `${figure(Math.round(before.answers / before.minutes))} answers a ` +
	    `minute before, ${figure(Math.round(since.answers / since.minutes))} since`;
}

/* Showing --------------------------------------------------------------------- */

const perMinute = (n, ms) => figure(+(n / (ms / 60000)).toFixed(2));

function timelineRows(t, ms) {
	const at = cellOf(t, ms);

	if (at === 0 || at >= t.cells)
		return [];
	const before = within(t, 0, at), after = within(t, at, t.cells);
	const time = (value) => value === null || value === undefined ? "\u2013" :
	    duration(value);

	return [
		["answers a minute", ...[before, after].map((w) =>
		    figure(+(w.answers / w.minutes).toFixed(1)))],
		["clients stalled", ...[before, after].map((w) =>
		    `${w.ill} of ${t.clients.length}`)],
		["time that clients spent stalled", ...[before, after].map((w) =>
		    w.share === null ? "\u2013" : percent(w.share))],
		["usual longest answer", time(before.wait), time(after.wait)],
		["slowest answer", time(before.worst), time(after.worst)],
	];
}

function findingRows(ip, ms) {
	needFindings({ server: ip, severity: "medium" }, 1000);
	const list = [...data.findings.values()].filter((f) => f.server?.ip === ip &&
	    f.severity !== "info" && f.severity !== "low");
	const before = list.filter((f) => Date.parse(f.first_seen) < ms).length;
	const after = list.length - before;

	return [["findings", number(before), number(after)],
		["findings a minute", perMinute(before, ms - spanStart()),
		    perMinute(after, now() - ms)]];
}

function table(ip, mark) {
	const t = data.timelines.get(ip);
	const rows = [...t ? timelineRows(t, mark.ms) : [],
		...mark.ms > spanStart() && mark.ms < now() ?
		    findingRows(ip, mark.ms) : []];

	if (!rows.length)
		return h("p", null, "The mark lies outside of the data.");
	return h("table", { class: "compare" }, h("thead", null, h("tr", null,
	    h("td"), h("th", { scope: "col" }, "before"),
	    h("th", { scope: "col" }, "after"))),
	    h("tbody", null, rows.map(([name, before, after]) => h("tr", null,
		h("th", { scope: "row" }, name), h("td", null, before),
		h("td", null, after)))));
}

export function beforeAfter(ip) {
	const mark = markOf(ip);

	return section("Before and after a change", { "data-server": ip },
	    h("p", { class: "dim" }, "Mark the moment when something was changed " +
		"(the offload switched off, a driver installed): here, or by a " +
		"click into the picture. The link in the address bar carries it."),
	    h("div", { class: "fields" },
		h("label", null, `changed at (${zone()})`, h("input", {
		    type: "datetime-local", step: 1, "data-do": "mark-time",
		    value: mark ? fieldTime(mark.ms) : "",
		    min: fieldTime(spanStart()), max: fieldTime(now()) })),
		mark && h("label", null, "what was changed", h("input", {
		    type: "text", maxlength: 60, "data-do": "mark-text",
		    value: mark.text })),
		mark && h("button", { "data-do": "mark-clear", class: "quiet" },
		    "remove the mark")),
	    mark && [h("p", null, `${mark.text}, ${dayAndClock(mark.ms)} ${zone()}`),
		table(ip, mark)]);
}

/* For the picture. */
export function momentsOf(ip, incidents) {
	const mark = markOf(ip);

	return [...incidents.map((i) => ({ ms: onsetOf(i), kind: "onset",
	    text: `${clock(onsetOf(i))} it began` })),
	...incidents.filter((i) => i.end).map((i) => ({ ms: Date.parse(i.end),
	    kind: "ended", text: `${clock(Date.parse(i.end))} over` })),
	...mark ? [{ ms: mark.ms, kind: "mark", text: mark.text }] : []];
}
