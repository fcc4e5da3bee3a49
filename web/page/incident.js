/* incident.js - one incident: the story in words, the picture, the proof, and
 * what to do. */
import { h } from "./dom.js";
import { clock, count, frameRanges, zone } from "./format.js";
import { beforeAfter, momentsOf } from "./marks.js";
import { doNow, findingRow, incidentRow, lasting, newestFirst, section, serverLink,
	share, typed } from "./parts.js";
import { picture } from "./picture.js";
import { link } from "./route.js";
import { split } from "./split.js";
import { data, incidentOf, incidentsOf, needFindings, timelineOf } from "./store.js";
import { about, affected, badge, nameOf, sentence, sure, weightWord } from "./words.js";

const GROUP_SHOWN = 5;

const find = (id) => incidentOf(Number(id));

export function title({ id }) {
	const i = find(id);

	return i ? `${nameOf(i.server)}: ${i.end ? "over" : "in trouble"}` :
	    "incident";
}

/* The story ------------------------------------------------------------------ */

const health = (i) => i.end ? "ok" :
    data.servers.get(i.server.ip)?.health ?? "failing";

function story(i) {
	return h("section", { class: `answer ${health(i)}` },
	    badge(health(i), ""),
	    h("div", null,
		h("p", { class: "dim" }, serverLink(i.server), " ",
		    about(i.server)),
		h("h1", null, i.verdict_text),
		h("p", { class: "since" }, sentence(lasting(i)), " ",
		    h("strong", null, sure(i) + ".")),
		i.merged_into && h("p", null, "It has become part of ", h("a",
		    { href: link("incident", i.merged_into) },
		    `incident ${i.merged_into}`), "."),
		h("p", null, sentence(affected(i))),
		h("div", { class: "figures" },
		    share("clients affected", i.clients_affected, i.clients_seen),
		    share("connections affected", i.flows_affected,
			i.flows_seen)),
		doNow(i)));
}

/* A client's first trouble, for the sentence above the picture. */
function frozen(i) {
	const t = data.timelines.get(i.server.ip);

	if (!t)
		return null;
	const ill = t.clients.filter((c) => /[sx]/.test(c.states)).length;
	return ill > 0 && h("p", { class: "dim" },
	    `${count(ill, "client")} of ${t.clients.length + (t.clients_more ?? 0)}` +
	    ` stalled or failed; it began at ${clock(Date.parse(i.start))} ${zone()}` +
	    (Date.parse(t.from) > Date.parse(i.start) ? ", before what is shown" :
	    "") + ". One row a client, those that stalled first on top.");
}

function whatHappened(i, width) {
	const t = timelineOf(i.server.ip);

	return t && section("Client by client", { "data-server": i.server.ip }, frozen(i),
	    picture(t, width, momentsOf(i.server.ip, [i])));
}

/* The proof ------------------------------------------------------------------- */

const WEIGHT_MOST = 7;			/* ln 1000: more cannot be told apart */

function piece(e) {
	return h("li", null,
	    h("meter", { min: 0, max: WEIGHT_MOST, value: Math.min(e.weight,
		WEIGHT_MOST), "aria-hidden": "true" }),
	    h("span", { class: "weight dim" }, weightWord(e.weight)),
	    h("span", null, sentence(e.text), e.frames.length > 0 &&
		h("span", { class: "dim" }, ` Frames ${frameRanges(e.frames)}.`)));
}

function evidence(title, list, none) {
	return h("div", null, h("h3", null, title), list.length ?
	    h("ul", { class: "evidence-list" }, list.map(piece)) :
	    h("p", { class: "dim" }, none));
}

function proof(i, width) {
	return section("Why toewatch says so", null,
	    i.offload && split(i.offload, width),
	    h("div", { class: "two" },
		evidence("What speaks for it", i.evidence, "Nothing more."),
		evidence("What speaks against it", i.against,
		    "Nothing was seen that does.")));
}

/* What to do ------------------------------------------------------------------ */

function remedy(r) {
	return h("li", null, h("p", { class: "applies" }, r.applies_to),
	    typed(r, r.command, "the command"),
	    r.undo && h("p", { class: "undo" }, h("span", { class: "dim" }, "undo "),
		typed(r, r.undo, "what takes it back")),
	    r.source && h("p", { class: "dim source" }, r.source));
}

function remedies(title, list) {
	return list.length > 0 && h("div", null, h("h3", null, title),
	    h("ul", { class: "remedies" }, list.map(remedy)));
}

function toDo(i) {
	return section("What to do", { id: "what-to-do" },
	    i.next_step && h("p", { class: "next" }, h("strong", null,
		"To be sure: "), sentence(i.next_step)),
	    h("div", { class: "two" },
		remedies("At once", i.remedy.filter((r) => !r.for_good)),
		remedies("For good", i.remedy.filter((r) => r.for_good))));
}

/* What it is made of ---------------------------------------------------------- */

function group(i, name, list) {
	return h("details", { "data-key": name, open: true },
	    h("summary", null, `${name.replaceAll("_", " ")} (${i.findings[name] ??
		list.length})`),
	    h("ul", { class: "rows findings" }, list.slice(0, GROUP_SHOWN)
		.map(findingRow)),
	    list.length > GROUP_SHOWN && h("p", null, h("a", { href:
		link("findings", "", { incident: i.incident_id, finding: name }) },
		`All ${i.findings[name] ?? list.length}`)));
}

function findings(i) {
	needFindings({ incident: i.incident_id }, 500);
	const groups = new Map();
	const list = [...data.findings.values()].filter((f) =>
	    f.incident_id === i.incident_id);

	for (const f of list.sort(newestFirst))
		groups.set(f.finding, [...groups.get(f.finding) ?? [], f]);
	return groups.size > 0 && section("Its findings", null,
	    [...groups].map(([name, list]) => group(i, name, list)));
}

function others(i) {
	const list = incidentsOf(i.server.ip).filter((other) => other !== i);

	return list.length > 0 && section("Other incidents of this server", null,
	    h("ul", { class: "rows" }, list.map(incidentRow)));
}

export function view({ id }, width) {
	const i = find(id);

	if (!i)
		return [h("section", { class: "answer" }, h("h1", null,
		    data.ready ? "There is no such incident (any more)" : "..."))];
	return [story(i), whatHappened(i, width), i.remedy && [proof(i, width),
		toDo(i)],
		beforeAfter(i.server.ip), findings(i), others(i),
		h("p", { "data-key": "download" }, h("a", { class: "button", download: "",
		    href: `api/v1/incidents/${i.incident_id}/evidence.pcapng` },
		    "Download its packets (pcapng)"))];
}
