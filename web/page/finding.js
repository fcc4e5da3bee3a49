/* finding.js - one finding: its sentence, its figures, what it means, and the
 * packets that prove it. */
import { h } from "./dom.js";
import { clock, count, duration, frameRanges, percent, zone } from "./format.js";
import { ladder, ladderTable, toEvidence } from "./ladder.js";
import { copyable, facts, findingRow, newestFirst, section, serverLink } from "./parts.js";
import { link } from "./route.js";
import { data, findingOf, ladderOf, needFindings, textOf } from "./store.js";
import { metric, metricName, protocol, sentence } from "./words.js";

export function title({ id }) {
	const f = data.findings.get(Number(id));

	return f ? f.finding.replaceAll("_", " ") : "finding";
}

const who = (ip, port) => port ? `${ip}:${port}` : ip;

function lasted(f) {
	const from = Date.parse(f.first_seen), to = Date.parse(f.last_seen);

	return `${clock(from)} to ${clock(to)} ${zone()} (${duration(to - from)})`;
}

const gravity = { critical: "failing", high: "failing", medium: "degraded" };

function answer(f) {
	return h("section", { class: `answer ${gravity[f.severity] ?? ""}` },
	    h("div", null,
		h("p", { class: "dim" }, f.finding.replaceAll("_", " "),
		    f.kind && ` (${f.kind.replaceAll("_", " ")})`),
		h("h1", null, sentence(f.text)),
		f.against && h("p", null, h("strong", null, "Against it: "),
		    sentence(f.against)),
		facts([
		    ["severity", `${f.severity}, ${percent(f.confidence)} sure`],
		    ["server", f.server && [serverLink(f.server), " ",
			f.dest_port && who(f.dest_ip, f.dest_port)]],
		    ["client", f.client_ip && who(f.client_ip, f.src_port)],
		    ["at fault", f.side],
		    ["protocol", f.app_proto && protocol(f.app_proto)],
		    ["seen", lasted(f)], ["times", f.count > 1 && count(f.count,
			"time")],
		    ["incident", f.incident_id && h("a", { href:
			link("incident", f.incident_id) },
			`number ${f.incident_id}`)],
		    ...Object.entries(f.metrics ?? {}).map(([name, value]) =>
			[metricName(name), metric(name, value)])])));
}

const row = (name, value) => value && [h("dt", null, name), h("dd", null, value)];

function meaning(f) {
	const text = textOf(f.finding);

	return text && section("What it means", null,
	    h("dl", { class: "meaning" }, row("means", text.meaning),
		row("is decided by", text.decided),
		row("looks alike", text.mimics), row("source", text.source)));
}

/* Look it up in Wireshark ----------------------------------------------------- */

function lookUp(f, l) {
	return section("Look it up in Wireshark", null,
	    h("dl", { class: "meaning" }, row("filter", copyable(f.display_filter,
		"the display filter")),
		row("frames", f.frames.length ? copyable(frameRanges(f.frames, 100),
		    "the frame numbers") : "no single frame"),
		row("file", f.pcap_filename),
		row("community id", f.community_id)),
	    l !== null && h("p", null, h("a", { class: "button", download: "",
		href: `api/v1/findings/${f.finding_id}/evidence.pcapng` },
		"Download these packets (pcapng)")));
}

function packets(l, width) {
	return l && section("The packets", null,
	    h("p", { class: "dim" }, "Sequence numbers count from the beginning " +
		"of the connection. What is marked is the evidence. ",
		toEvidence(l)),
	    ladder(l, width), ladderTable(l),
	    l.truncated && h("p", { class: "dim" }, "The connection has more " +
		"packets than are kept as evidence."));
}

function sameFlow(f) {
	if (f.flow_id && f.server && f.client_ip)
		needFindings({ server: f.server.ip, client: f.client_ip }, 100);
	const list = [...data.findings.values()].filter((other) => other !== f &&
	    f.flow_id && other.flow_id === f.flow_id).sort(newestFirst);

	return list.length > 0 && section("Other findings of this connection", null,
	    h("ul", { class: "rows findings" }, list.map(findingRow)));
}

export function view({ id }, width) {
	const f = findingOf(Number(id));

	if (!f)
		return [h("section", { class: "answer" }, h("h1", null,
		    f === null ? "No such finding (any more)" : "..."))];
	const l = ladderOf(f.finding_id);
	return [answer(f), packets(l, width), lookUp(f, l), meaning(f), sameFlow(f)];
}
