/* findings.js - all findings, by server, client, name, severity and time. What
 * is chosen is in the address bar. */
import { h, s, action } from "./dom.js";
import { clock, count, fieldTime, number, timeOfField, zone } from "./format.js";
import { findingRow, newestFirst } from "./parts.js";
import { route, setQuery } from "./route.js";
import { data, needFindings, now, spanStart } from "./store.js";

const SHOWN = 200, FETCHED = 1000, CLIENTS_OFFERED = 300;
const severities = ["info", "low", "medium", "high", "critical"];

export const title = () => "findings";

/* Choosing -------------------------------------------------------------------- */

const filterKeys = ["server", "client", "finding", "severity", "from", "to",
	"incident"];

/* A link that somebody typed may hold anything. */
const isSound = { severity: (text) => severities.includes(text),
	from: (text) => Date.parse(text), to: (text) => Date.parse(text),
	incident: (text) => Number(text) > 0 };

/* The same choice, for the server. */
const asked = (q) => Object.fromEntries(filterKeys.filter((key) => q[key] &&
    (isSound[key]?.(q[key]) ?? true)).map((key) => [key, q[key]]));

function chosen(q) {
	const least = severities.indexOf(q.severity);
	const from = Date.parse(q.from), to = Date.parse(q.to);
	const test = (f) =>
	    (!q.server || f.server?.ip === q.server) &&
	    (!q.client || f.client_ip === q.client) &&
	    (!q.finding || f.finding === q.finding) &&
	    (!q.incident || f.incident_id === Number(q.incident)) &&
	    severities.indexOf(f.severity) >= least &&
	    !(Date.parse(f.last_seen) < from) && !(Date.parse(f.first_seen) > to);

	return [...data.findings.values()].filter(test).sort(newestFirst);
}

action("filter", (field) => setQuery({ [field.name]: field.value.trim(),
	show: "" }));
action("filter-time", (field) => {
	const ms = field.value ? timeOfField(field.value) : NaN;

	setQuery({ [field.name]: ms ? new Date(ms).toISOString() : "", show: "" });
});
action("filter-clear", () => setQuery(Object.fromEntries(
    [...filterKeys, "show"].map((key) => [key, ""]))));
action("more", (button) => setQuery({ show: button.dataset.show }, true));

function choice(name, label, value, options) {
	return h("label", null, label, h("select", { name, "data-do": "filter" },
	    h("option", { value: "" }, "any"),
	    options.map(([key, text]) => h("option", { value: key,
		selected: key === value }, text))));
}

function field(name, label, value) {
	return h("label", null, label, h("input", { type: "datetime-local", step: 1,
	    name, "data-do": "filter-time", min: fieldTime(spanStart()),
	    max: fieldTime(now()), value: value && Date.parse(value) ?
		fieldTime(Date.parse(value)) : "" }));
}

function filters(q) {
	const all = [...data.findings.values()];
	const distinct = (values) => [...new Set(values)].filter(Boolean).sort();
	const names = distinct([...all.map((f) => f.finding), q.finding]);
	const servers = [...data.servers.values()].map((r) => [r.server.ip,
	    r.server.name ? `${r.server.name} (${r.server.ip})` : r.server.ip])
	    .sort((a, b) => a[1].localeCompare(b[1], "en", { numeric: true }));
	const any = Object.keys(q).some((key) => key !== "show");

	return h("div", { class: "fields", role: "search",
	    "aria-label": "filter the findings" },
	    choice("server", "server", q.server, servers),
	    h("label", null, "client", h("input", { type: "text", name: "client",
		placeholder: "address", list: "clients", "data-do": "filter",
		value: q.client ?? "", spellcheck: "false" })),
	    h("datalist", { id: "clients" }, distinct(all.map((f) => f.client_ip))
		.slice(0, CLIENTS_OFFERED).map((ip) => h("option", { value: ip }))),
	    choice("finding", "finding", q.finding, names.map((n) =>
		[n, n.replaceAll("_", " ")])),
	    choice("severity", "at least", q.severity, severities.slice(1)
		.map((n) => [n, n])),
	    field("from", `from (${zone()})`, q.from),
	    field("to", `to (${zone()})`, q.to),
	    any && h("button", { class: "quiet", "data-do": "filter-clear" },
		"clear filters"));
}

/* When they came -------------------------------------------------------------- */

const BARS = 60;

/* Bars over the data's own time; a click chooses that stretch. */
function overTime(list, whole, width) {
	const from = whole ? spanStart() : Math.min(...list.map((f) =>
	    Date.parse(f.first_seen)));
	const span = Math.max(now() - from, 1000);
	const n = new Array(BARS).fill(0), bar = width / BARS;

	for (const f of list)
		n[Math.max(0, Math.min(BARS - 1, Math.floor(
		    (Date.parse(f.first_seen) - from) / span * BARS)))]++;
	const most = Math.max(...n, 1);
	const stretch = (i) => ({ from: new Date(from + i * span / BARS).toISOString(),
		to: new Date(from + (i + 1) * span / BARS).toISOString() });

	return h("figure", { class: "over-time" }, s("svg", { width, height: 56,
	    role: "img", "aria-label": "findings over time" },
	    n.map((k, i) => s("rect", { class: "bars", x: i * bar, y: 50 - k / most *
		46, width: bar - 1, height: k / most * 46 + (k ? 1 : 0) })),
	    s("path", { class: "grid", d: `M0 51H${width}` }),
	    n.map((k, i) => k ? s("rect", { class: "pick", x: i * bar, y: 0,
		width: bar, height: 52, "data-do": "stretch",
		"data-from": stretch(i).from, "data-to": stretch(i).to },
		s("title", null, `${clock(Date.parse(stretch(i).from))}: ` +
		    count(k, "finding"))) : null)),
	    h("figcaption", { class: "ends dim" }, h("span", null, clock(from)),
		h("span", null, `${clock(now())} ${zone()}`)));
}

action("stretch", (bar) => setQuery({ from: bar.dataset.from,
	to: bar.dataset.to, show: "" }));

export function view({ query }, width) {
	const answer = needFindings(asked(query), FETCHED), list = chosen(query);
	const total = answer?.more ? answer.total : list.length;
	const show = Number(query.show) || SHOWN;

	return [h("h1", null, "Findings"), filters(query),
		list.length > 1 && overTime(list, !answer?.more, width),
		h("p", { "aria-live": "polite" }, !answer ? "Fetching ..." :
		    count(total, "finding") + (answer.more ? "; here are the " +
			`newest ${number(list.length)}: a filter or a stretch of ` +
			"time brings the others" : "")),
		h("ul", { class: "rows findings" },
		    list.slice(0, show).map(findingRow)),
		list.length > show && h("p", null, h("button", { "data-do": "more",
		    "data-show": show + SHOWN }, `Show ${SHOWN} more`))];
}
