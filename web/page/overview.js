/* overview.js - which server is in trouble, since when, why, and what to type;
 * or, as plainly, that nothing is wrong. */
import { h } from "./dom.js";
import { bytes, clock, count, dayAndClock, duration, number, zone } from "./format.js";
import { doNow, findingRow, incidentRow, lasting, newestFirst, section,
	share } from "./parts.js";
import { median, rates } from "./marks.js";
import { sparkline, thumbnail } from "./picture.js";
import { link } from "./route.js";
import { data, incidentOf, incidentsOf, isLive, needFindings, now, openIncident,
	spanStart, timelineOf } from "./store.js";
import { about, affected, badge, carriedBy, graver, nameOf, responses, sentence,
	subjectOf, sure, unfit } from "./words.js";

const NEWEST = 8, MINUTES_SHOWN = 3, LARGE = 2, DETAILED = 12;

/* The answer, in one line ----------------------------------------------------- */

const troubled = (list) => list.filter((r) => r.health !== "ok" ||
    openIncident(r.server.ip));

function watched() {
	const c = data.capture, servers = data.servers.size;

	return [servers && count(servers, "server"), c && count(c.packets, "packet"),
	    c?.duration && duration(now() - spanStart())].filter(Boolean).join(", ");
}

function answer(servers, bad) {
	const sound = unfit(data.capture).length === 0;
	const health = bad.some((r) => r.health !== "degraded") ? "failing" :
	    bad.length ? "degraded" : sound && servers.length ? "ok" : "degraded";
	const words = bad.length === 1 ? `${nameOf(bad[0].server)} is in trouble` :
	    bad.length ? `${number(bad.length)} servers are in trouble` :
	    !data.capture ? "Nothing was seen yet" :
	    !servers.length ? "No server could be judged" :
	    sound ? "Nothing is wrong" : "Nothing found wrong, as far as could be seen";

	return h("section", { class: `answer ${health}` },
	    badge(health, ""),
	    h("div", null, h("h1", null, words),
		h("p", null, `Watched: ${watched()}` +
		    (data.capture ? `; ${isLive() ? "now" : "the data ends"} ` +
		    `${dayAndClock(now())} ${zone()}.` : "."))));
}

/* A server in trouble --------------------------------------------------------- */

/* Left what is wrong and what to type, right what it looks like. */
function trouble(r, i) {
	const t = timelineOf(r.server.ip), onset = Date.parse(i.start);

	return h("article", { class: `card trouble ${r.health}`,
	    "data-key": r.server.ip },
	    h("div", null,
		h("header", null, badge(r.health),
		    h("span", { class: "sure" }, sure(i))),
		h("h2", null, h("a", { href: link("incident", i.incident_id) },
		    nameOf(r.server)), h("small", null, about(r.server))),
		h("p", { class: "verdict" }, i.verdict_text),
		h("p", { class: "since" }, sentence(lasting(i))),
		h("p", null, sentence(affected(i))), doNow(i)),
	    h("div", null,
		t && h("a", { class: "look", href: link("incident", i.incident_id),
		    "aria-label": "see what happened, client by client" },
		    thumbnail(t, onset)),
		h("div", { class: "figures" },
		    share("clients", i.clients_affected, i.clients_seen),
		    share("connections", i.flows_affected, i.flows_seen),
		    offload(r), times(r)),
		h("p", null, h("a", { class: "button", href: link("incident",
		    i.incident_id) }, "See what happened"),
		    others(r.server.ip, i))));
}

/* One of several: half the size, the same words. */
function brief(r, i, t) {
	return h("article", { class: `card brief ${r.health}`,
	    "data-key": r.server.ip },
	    h("header", null, badge(r.health),
		h("span", { class: "sure" }, sure(i))),
	    h("h2", null, h("a", { href: link("incident", i.incident_id) },
		nameOf(r.server)), h("small", null, about(r.server))),
	    h("p", null, h("strong", null, i.verdict_text)),
	    h("p", null, sentence(lasting(i))),
	    t && h("a", { class: "look", href: link("incident", i.incident_id),
		"aria-label": "see what happened, client by client" },
		thumbnail(t, Date.parse(i.start))),
	    h("div", { class: "figures" },
		share("clients", i.clients_affected, i.clients_seen),
		share("connections", i.flows_affected, i.flows_seen)),
	    doNow(i));
}

const offload = (r) => h("div", { class: "share" },
    h("span", { class: "dim" }, "offload"), h("strong", null,
	r.offload_state), h("span", { class: "dim" }, carriedBy[r.offload_state]));

function others(ip, shown) {
	const more = incidentsOf(ip).filter((i) => i !== shown && !i.end).length;

	return more > 0 && h("span", { class: "dim" },
	    ` and ${count(more, "other open incident")} there`);
}

/* Any other server ------------------------------------------------------------ */

/* The last minute against the hour before it. */
function against(r) {
	const p95 = (r.minutes?.p95_ms ?? []).filter((ms) => ms !== null);

	return p95.length > 2 * MINUTES_SHOWN &&
	    `slowest, last minute ${duration(p95.at(-1))}; usually ` +
	    duration(median(p95.slice(0, -1)));
}

/* Against the time before, where the record knows it. */
function times(r) {
	const list = responses(r, 2), rate = rates(r.server.ip) ?? against(r);
	const figures = (p) => p.minute && p.minute.n < p.n ?
	    [`${p.name} ${duration(p.minute.p95)}`, ` usually ${duration(p.p95)}`] :
	    [`${p.name} ${duration(p.p95)}`, ` over ${number(p.n)}`];

	return h("div", { class: "share times" },
	    h("span", { class: "dim" }, "answers, p95"),
	    list.length ? list.map(figures).map(([now, usual]) => h("span", null,
		h("strong", null, now), h("span", { class: "dim" }, usual))) :
	    h("span", null, "none seen"),
	    rate && h("span", { class: "dim" }, rate));
}

/* The slowest answers of each minute; of a short run, how many there were. */
function spark(r, wanted) {
	const p95 = (r.minutes?.p95_ms ?? []).filter((ms) => ms !== null);

	if (p95.length >= MINUTES_SHOWN)
		return sparkline(p95, "response times, minute by minute");
	const t = wanted && timelineOf(r.server.ip);
	return t ? sparkline(t.answered, "answers over time") : null;
}

function small(r, wanted) {
	return h("article", { class: `card ${r.health}`, "data-key": r.server.ip },
	    h("header", null, badge(r.health), spark(r, wanted)),
	    h("h2", null, h("a", { href: link("server", r.server.ip) },
		nameOf(r.server)), h("small", null, about(r.server))),
	    h("p", { class: "dim" }, `${count(r.clients, "client")}, ` +
		`${count(r.flows, "connection")}, ${carriedBy[r.offload_state]}`),
	    times(r));
}

/* Pictures and remedies are fetched for those on top only. */
function card(r, place, servers) {
	const open = openIncident(r.server.ip), i = open && place < DETAILED ?
	    incidentOf(open.incident_id) : open;

	if (!i)
		return small(r, place < DETAILED);
	return openIncident(servers[LARGE]?.server.ip) ? brief(r, i, place <
	    DETAILED ? timelineOf(r.server.ip) : null) : trouble(r, i);
}

/* The rest -------------------------------------------------------------------- */

function past() {
	const list = [...data.incidents.values()].filter((i) => i.end)
	    .sort((a, b) => a.end < b.end ? 1 : -1);

	return list.length > 0 && section("Past incidents", null,
	    h("ul", { class: "rows" }, list.slice(0, 20).map(incidentRow)));
}

function newest() {
	needFindings({}, NEWEST);
	const list = [...data.findings.values()].sort(newestFirst);

	return list.length > 0 && section("Newest findings", null,
	    h("ul", { class: "rows findings" }, list.slice(0, NEWEST).map(findingRow)),
	    h("p", null, h("a", { href: link("findings") },
		`All ${number(Math.max(list.length, data.totals?.findings ?? 0))}, ` +
		"with filters")));
}

function aboutCapture() {
	const c = data.capture;

	return c && h("footer", { class: "dim" },
	    `${subjectOf(c)}: ` +
	    `${bytes(c.bytes)}, ${dayAndClock(spanStart())} to ${clock(now())} ` +
	    `${zone()}` + (c.duplicates ? `, ${number(c.duplicates)} mirror copies ` +
	    "left out" : "") + (unfit(c).length ? "" : ". Capture sound: nothing " +
	    "lost, both directions seen") + ". ",
	    h("a", { href: "report" }, "All of it on one page, to print"));
}

export const title = () => {
	const n = troubled([...data.servers.values()]).length;

	return n ? `(${n}!) in trouble` : "nothing is wrong";
};

export function view() {
	const hit = (r) => openIncident(r.server.ip)?.clients_affected ?? -1;
	const servers = [...data.servers.values()].sort((a, b) =>
	    graver(a.health, b.health) || hit(b) - hit(a) ||
	    nameOf(a.server).localeCompare(nameOf(b.server), "en",
		{ numeric: true }));
	const bad = troubled(servers);

	return [answer(servers, bad),
		h("section", { class: "cards", "aria-label": "servers" },
		    servers.map(card)),
		past(), newest(), aboutCapture()];
}
