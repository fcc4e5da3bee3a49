/* ladder.js - the packets of a finding as a sequence diagram: two lifelines, an
 * arrow a packet, time at the left, frame numbers at the right.
 *
 * The hard part is the scale of time: what convinces is often 0.2 ms, then five
 * minutes of nothing. So each packet has a row, and a silence is a break with
 * its length written in it. */
import { action, h, s } from "./dom.js";
import { count, duration, microClock, number } from "./format.js";

const ROW = 36, NOTE = 15, BREAK = 40, HEAD = 44;
const SILENCE_S = 1, NEAR = 6;
const names = { F: "FIN", S: "SYN", R: "RST", P: "PSH", A: "ACK", U: "URG",
	E: "ECE", C: "CWR" };

const flagNames = (flags) => [...flags].map((f) => names[f] ?? f).join(" ");

const words = (p) => `${flagNames(p.flags)}  seq ${p.seq}` +
    (p.flags.includes("A") ? ` ack ${p.ack}` : "") + ` len ${p.len}` +
    (p.window === 0 && !p.flags.includes("R") ? " win 0" : "");

function arrow(p, y, at) {
	const right = p.from === "client";
	const [from, to] = right ? [at.client, at.server] : [at.server, at.client];
	const tip = right ? -7 : 7;

	return [
		s("path", { class: "arrow", d: `M${from} ${y}H${to}m${tip} -4` +
		    `L${to} ${y}l${tip} 4` }),
		s("text", { x: (at.client + at.server) / 2, y: y - 5, class: "mono",
		    "text-anchor": "middle" }, words(p)),
		p.note && s("text", { x: (at.client + at.server) / 2, y: y + 13,
		    class: "note", "text-anchor": "middle" }, p.note),
	];
}

/* Bytes that the sniffer or the wire lost before this packet. */
function hole(p, y, at) {
	return [s("path", { class: "hole", d: `M${at.client} ${y}H${at.server}` }),
		s("text", { x: (at.client + at.server) / 2, y: y + 4, class: "note",
		    "text-anchor": "middle" },
		    `${count(p.gap, "byte")} never seen here`)];
}

function silence(seconds, y, at) {
	const zigzag = (x) => `M${x} ${y + 8}l5 4l-10 6l10 6l-5 4`;

	return [s("path", { class: "zigzag", d: zigzag(at.client) +
	    zigzag(at.server) }),
		s("text", { x: (at.client + at.server) / 2, y: y + 24,
		    class: "silence", "text-anchor": "middle" },
		    `${duration(seconds * 1000)} of silence`)];
}

function row(p, y, at) {
	return s("g", { class: p.evidence ? "packet evidence" : "packet" },
	    s("title", null, `frame ${p.frame}, ${p.time}, window ${p.window}`),
	    s("rect", { class: "band", x: 0, y: y - 17, width: at.width,
		height: ROW + (p.note ? NOTE : 0) - 2, rx: 4 }),
	    s("text", { x: 6, y: y - 2, class: "mono" }, "+" + p.t.toFixed(
		at.narrow ? 3 : 6)),
	    s("text", { x: 6, y: y + 11, class: "frame" }, `#${p.frame}`),
	    arrow(p, y, at));
}

function body(l, at) {
	const list = [];
	let y = HEAD + 22, last = 0;

	for (const p of l.packets) {
		if (p.t - last >= SILENCE_S) {
			list.push(silence(p.t - last, y - 22, at));
			y += BREAK;
		}
		if (p.gap) {
			list.push(hole(p, y - 6, at));
			y += ROW - 10;
		}
		list.push(row(p, y, at));
		y += ROW + (p.note ? NOTE : 0);
		last = p.t;
	}
	return [list, y];
}

export function ladder(l, width) {
	const narrow = width < 600;
	const at = { width, narrow, client: narrow ? 84 : 190,
		server: width - (narrow ? 14 : 110) };
	const [rows, bottom] = body(l, at);
	const end = (x, who, port, anchor) => [
		s("path", { class: "life", d: `M${x} ${HEAD}V${bottom}` }),
		s("text", { x, y: 16, "text-anchor": anchor, class: "who" }, who),
		s("text", { x, y: 32, "text-anchor": anchor, class: "mono" }, port)];

	return s("svg", { class: "ladder", width, height: bottom + 8, role: "img",
	    "aria-label": `${count(l.packets.length, "packet")} between client ` +
		`${l.client.ip} and server ${l.server.ip}; the table below says ` +
		"the same" },
	    s("text", { x: 6, y: 32, class: "frame" }, narrow ? "seconds" :
		"seconds, frame"),
	    end(at.client, "client", `${l.client.ip}:${l.client.port}`,
		narrow ? "start" : "middle"),
	    end(at.server, "server", `${l.server.ip}:${l.server.port}`,
		narrow ? "end" : "middle"), rows);
}

action("to-evidence", () => document.querySelector(".ladder .evidence")
    ?.scrollIntoView({ block: "center" }));

/* The way past what only leads up to it. */
export const toEvidence = (l) => l.packets.findIndex((p) => p.evidence) > NEAR &&
    h("button", { class: "quiet", "data-do": "to-evidence" }, "Go to the evidence");

export function ladderTable(l) {
	const cells = (p) => [p.frame, microClock(p.time), p.from,
		flagNames(p.flags), number(p.seq), p.ack === null ? "" : number(p.ack),
		p.len, p.window,
		[p.evidence && "evidence", p.note, p.gap &&
		    `${count(p.gap, "byte")} never seen before it`]
		    .filter(Boolean).join("; ")];

	return h("details", null, h("summary", null, "The same as a table"),
	    h("div", { class: "scroll" }, h("table", { class: "mono" },
		h("thead", null, h("tr", null, ["frame", "time", "from", "flags",
		    "seq", "ack", "len", "window", "note"].map((text) =>
			h("th", { scope: "col" }, text)))),
		h("tbody", null, l.packets.map((p) => h("tr",
		    { class: p.evidence ? "evidence" : null },
		    cells(p).map((text) => h("td", null, String(text)))))))));
}
