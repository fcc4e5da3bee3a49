/* server.js - one server: how it is, how fast it answers, what befell it. */
import { h } from "./dom.js";
import { bytes, duration, number } from "./format.js";
import { beforeAfter, momentsOf } from "./marks.js";
import { facts, findingRow, incidentRow, newestFirst, section, timeTag } from "./parts.js";
import { picture } from "./picture.js";
import { link } from "./route.js";
import { data, incidentsOf, needFindings, timelineOf } from "./store.js";
import { about, badge, carriedBy, nameOf, responses } from "./words.js";

const SHOWN = 12;

export const title = ({ id }) => {
	const r = data.servers.get(id);

	return r ? nameOf(r.server) : id;
};

const sentences = { ok: "It is well", degraded: "It is degraded",
	failing: "It is failing", silent: "It says nothing any more" };

function answer(r) {
	return h("section", { class: `answer ${r.health}` }, badge(r.health, ""),
	    h("div", null, h("p", { class: "dim" }, about(r.server)),
		h("h1", null, `${nameOf(r.server)}: ` +
		    (sentences[r.health] ?? r.health).toLowerCase()),
		facts([["clients", number(r.clients)],
		    ["connections", number(r.flows)], ["bytes", bytes(r.bytes)],
		    ["offload", carriedBy[r.offload_state]],
		    ["card", r.server.mac],
		    ["seen", [timeTag(r.first_seen), " to ",
			timeTag(r.last_seen)]]])));
}

function times(r) {
	const list = responses(r, 20), live = list.some((p) => p.minute);

	return list.length > 0 && section("Response times", null,
	    h("div", { class: "scroll" }, h("table", { class: "numbers" },
		h("thead", null, h("tr", null, ["protocol", "half within", "95 % within",
		    "99 % within", "longest", "answers"].map((text) =>
			h("th", { scope: "col" }, text)),
		    live && h("th", { scope: "col" }, "last minute, 95 %"))),
		h("tbody", null, list.map((p) => h("tr", null,
		    h("th", { scope: "row" }, p.name),
		    [p.p50, p.p95, p.p99, p.max].map((ms) =>
			h("td", null, duration(ms))),
		    h("td", null, number(p.n)),
		    live && h("td", null, p.minute ? duration(p.minute.p95) : "")))))));
}

function clients(r, width) {
	const t = timelineOf(r.server.ip);

	return t && section("Client by client", { "data-server": r.server.ip },
	    picture(t, width, momentsOf(r.server.ip, incidentsOf(r.server.ip))));
}

function findings(ip) {
	needFindings({ server: ip }, 100);
	const list = [...data.findings.values()].filter((f) => f.server?.ip === ip)
	    .sort(newestFirst);

	return list.length > 0 && section("Findings", null,
	    h("ul", { class: "rows findings" }, list.slice(0, SHOWN).map(findingRow)),
	    h("p", null, h("a", { href: link("findings", "", { server: ip }) },
		"All of them, with filters")));
}

export function view({ id }, width) {
	const r = data.servers.get(id), incidents = incidentsOf(id);

	if (!r)
		return [h("section", { class: "answer" }, h("h1", null,
		    data.ready ? "No such server was seen" : "..."))];
	return [answer(r), incidents.length > 0 && section("Incidents", null,
	    h("ul", { class: "rows" }, incidents.map(incidentRow))),
	times(r), clients(r, width), beforeAfter(id), findings(id)];
}
