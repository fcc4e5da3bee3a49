/* picture.js - the picture that convinces: one row a client, time to the right,
 * each cell what became of the client's requests in these seconds.
 *
 * Three hundred clients over a hundred cells are thirty thousand rectangles; so
 * each state is one path, of runs of like cells. Colours differ in brightness
 * too, and stalled, recovered and failed carry a pattern. */
import { h, s } from "./dom.js";
import { clock, count, duration, figure, zone } from "./format.js";
import { link } from "./route.js";
import { changed, data } from "./store.js";

const states = [
	["a", "answered"], ["w", "waiting"], ["s", "stalled"],
	["r", "answered again"], ["x", "failed"], [".", "quiet"],
];
const stateName = Object.fromEntries(states);
const patterns = { s: "url(#hatch)", r: "url(#dots)", x: "url(#cross)" };

/* Reading the record -------------------------------------------------------- */

const cellMs = (t) => t.step_s * 1000;
const fromMs = (t) => Date.parse(t.from);
const cellTime = (t, cell) => fromMs(t) + cell * cellMs(t);
const cellAt = (t, ms) => (ms - fromMs(t)) / cellMs(t);
const firstIll = (states) => {
	const at = states.search(/[sx]/);

	return at < 0 ? Infinity : at;
};

/* Those that froze first come first: a common onset is an edge. */
const rowsOf = (t) => t.clients.map((c) => ({ ...c, ill: firstIll(c.states) }))
    .sort((a, b) => a.ill - b.ill);

/* [state, from, to] of like cells next to each other. */
function* runsOf(states) {
	for (let i = 0; i < states.length;) {
		let end = i + 1;

		while (end < states.length && states[end] === states[i])
			end++;
		yield [states[i], i, end];
		i = end;
	}
}

const fixed = (n) => Math.round(n * 100) / 100;
const box = (x, y, w, height) =>
    `M${fixed(x)} ${fixed(y)}h${fixed(w)}v${fixed(height)}h${fixed(-w)}z`;

/* { state: path } */
function cellShapes(rows, at) {
	const d = {};

	rows.forEach((row, i) => {
		for (const [state, from, to] of runsOf(row.states))
			if (state !== ".")
				d[state] = (d[state] ?? "") + box(at.left +
				    from * at.cell, at.top + i * at.row,
				    (to - from) * at.cell, at.row - at.gap);
	});
	return d;
}

/* A timeline is drawn again and again while nothing of it changes. */
const drawn = new WeakMap();

function cellPaths(t, rows, at) {
	const last = drawn.get(t), key = `${at.width} ${at.row}`;
	const d = last?.key === key ? last.d : cellShapes(rows, at);

	drawn.set(t, { key, d });
	return states.filter(([state]) => d[state]).flatMap(([state]) => [
		s("path", { class: `cell-${state}`, d: d[state] }),
		patterns[state] && at.gap > 0 &&
		    s("path", { fill: patterns[state], d: d[state] }),
	]);
}

/* Small, on a card ---------------------------------------------------------- */

export function thumbnail(t, onsetMs) {
	const rows = rowsOf(t).slice(0, 60);
	const at = { left: 0, top: 0, cell: 1, row: 1, gap: 0, width: 0 };
	const x = cellAt(t, onsetMs);

	return s("svg", { class: "thumbnail", "aria-hidden": "true",
	    preserveAspectRatio: "none",
	    viewBox: `0 0 ${t.cells} ${Math.max(rows.length, 1)}` },
	    cellPaths(t, rows, at),
	    onsetMs && s("path", { class: "onset", "vector-effect":
		"non-scaling-stroke", d: `M${fixed(x)} 0V${rows.length}` }));
}

/* Answers over time, one line. */
export function sparkline(values, label) {
	const most = Math.max(...values, 1), n = Math.max(values.length - 1, 1);
	const points = values.map((v, i) =>
	    `${fixed(i / n * 100)} ${fixed(23 - v / most * 21)}`);

	return s("svg", { class: "sparkline", viewBox: "0 0 100 24",
	    preserveAspectRatio: "none", role: "img", "aria-label": label },
	    s("path", { class: "area", d: `M0 24L${points.join("L")}L100 24z` }),
	    s("path", { class: "stroke", "vector-effect": "non-scaling-stroke",
		d: "M" + points.join("L") }));
}

/* Large --------------------------------------------------------------------- */

const STRIP = 40, GAP = 16, AXIS = 22, HEAD = 20;

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200,
	10800, 21600, 43200, 86400].map((n) => n * 1000);

function geometry(t, rows, width) {
	const left = width < 600 ? 88 : 124;
	const row = Math.min(20, Math.max(4, 560 / Math.max(rows.length, 1)));
	const top = HEAD + 2 * (STRIP + GAP);

	return { left, top, row, gap: row > 8 ? 2 : 0.8, width,
		cell: (width - left - 8) / t.cells,
		bottom: top + rows.length * row,
		height: top + rows.length * row + AXIS };
}

function axis(t, at) {
	const span = t.cells * cellMs(t), room = (at.width - at.left) / 84;
	const step = steps.find((n) => span / n <= room) ?? steps.at(-1);
	const list = [];

	for (let ms = Math.ceil(fromMs(t) / step) * step; ms < fromMs(t) + span;
	    ms += step) {
		const x = fixed(at.left + cellAt(t, ms) * at.cell);

		list.push(s("path", { class: "grid", d: `M${x} ${HEAD}V${at.bottom}` }),
		    x < at.width - 28 && s("text", { x, y: at.bottom + 15, class: "tick",
			"text-anchor": "middle" }, clock(ms).slice(-8,
			step >= 60000 ? -3 : undefined)));
	}
	return list;
}

/* Bars of answers, and the longest wait on a logarithmic scale: 1 ms to 100 s. */
function strips(t, at) {
	const most = Math.max(...t.answered, 1);
	const y = HEAD + STRIP, y2 = y + GAP + STRIP;
	const wait = (ms) => y2 - STRIP * Math.min(1,
	    Math.max(0.02, Math.log10(Math.max(ms, 1)) / 5));
	const name = (text, at_y) => s("text", { x: at.left - 8, y: at_y,
	    "text-anchor": "end", class: "label" }, text);

	return [
		s("path", { class: "bars", d: t.answered.map((n, i) => n ?
		    box(at.left + i * at.cell, y - n / most * STRIP, at.cell -
			Math.min(1, at.cell / 4), n / most * STRIP) : "").join("") }),
		s("path", { class: "grid", d: `M${at.left} ${y}H${at.width - 8}` +
		    `M${at.left} ${y2}H${at.width - 8}` }),
		s("path", { class: "waits", d: (t.wait_ms ?? []).map((ms, i) =>
		    ms === null ? "" : box(at.left + i * at.cell, wait(ms) - 1.5,
			Math.max(at.cell - 1, 2), 3)).join("") }),
		name("answers", y - STRIP / 2 + 4), name("longest wait",
		    y2 - STRIP / 2 + 4),
		s("text", { x: at.left + 2, y: y2 - STRIP + 4, class: "tick" },
		    "100 s"),
	];
}

/* A moment of note: a line through all, its name above. */
function moment(t, at, ms, kind, text) {
	const x = fixed(at.left + cellAt(t, ms) * at.cell);
	const late = x > at.width * 0.6;

	if (!(x >= at.left - 1 && x <= at.width))
		return null;
	return s("g", { class: kind },
	    s("path", { d: `M${x} 4V${at.bottom}` }),
	    s("text", { x: late ? x - 6 : x + 6, y: 13,
		"text-anchor": late ? "end" : "start" }, text));
}

function labels(rows, at) {
	if (at.row < 11)
		return [];
	return rows.map((row, i) => s("text", { x: at.left - 8, class: "label",
	    y: at.top + i * at.row + at.row / 2 + 4, "text-anchor": "end" },
	    row.ip.length > 17 ? "\u2026" + row.ip.slice(-14) : row.ip));
}

function inWords(t, rows) {
	const ill = rows.filter((r) => r.ill < Infinity);

	return `${count(rows.length, "client")} over ` +
	    `${duration(t.cells * cellMs(t))}; ` + (ill.length ?
	    `${ill.length} of them stalled or failed, the first at ` +
	    `${clock(cellTime(t, ill[0].ill))} ${zone()}` : "none stalled") +
	    ". Arrow keys walk through it.";
}

/* `moments`: [{ ms, kind, text }]. */
export function picture(t, width, moments) {
	const rows = rowsOf(t), at = geometry(t, rows, width);

	return h("figure", { class: "picture" }, legend(t, rows),
	    s("svg", { width, height: at.height, tabindex: 0, role: "img",
		"aria-label": inWords(t, rows), "data-picture": t.server.ip,
		"data-width": width },
		axis(t, at), strips(t, at), cellPaths(t, rows, at), labels(rows, at),
		moments.map((m) => moment(t, at, m.ms, m.kind, m.text)),
		cursorBox(t, rows, at)),
	    readout(t, rows),
	    t.clients_more ? h("p", { class: "dim" },
		`and ${count(t.clients_more, "client")} more, less affected`) : null,
	    asTable(t, rows));
}

function legend(t, rows) {
	const used = new Set(rows.flatMap((row) => [...row.states]));

	return h("figcaption", { class: "legend" }, states.filter(([state]) =>
	    used.has(state)).map(([state, text]) => h("span", null,
		s("svg", { width: 22, height: 12, "aria-hidden": "true" },
		    s("rect", { class: `cell-${state}`, width: 22, height: 12 }),
		    patterns[state] && s("rect", { fill: patterns[state],
			width: 22, height: 12 })), text)),
	    h("span", { class: "dim" }, `one cell: ${duration(cellMs(t))}`));
}

/* The same for those who cannot see it. */
function asTable(t, rows) {
	const time = (cell) => cell === Infinity || cell < 0 ? "\u2013" :
	    clock(cellTime(t, cell));

	return h("details", { "data-key": "as-table" },
	    h("summary", null, "The same as a table"),
	    h("div", { class: "scroll" }, h("table", null,
		h("thead", null, h("tr", null, ["client", "last answer before",
		    "stalled since", "answered again"].map((text) =>
			h("th", { scope: "col" }, text)))),
		h("tbody", null, rows.map((row) => h("tr", null,
		    h("td", null, row.ip),
		    h("td", null, time(row.states.slice(0, row.ill === Infinity ?
			undefined : row.ill).lastIndexOf("a"))),
		    h("td", null, time(row.ill)),
		    h("td", null, time(row.states.indexOf("r")))))))));
}

/* Looking closer ------------------------------------------------------------ */

/* Where the reader looks: a server's row and cell; pinned by a click. */
const cursor = { ip: "", row: -1, cell: -1, pinned: false };

function cursorBox(t, rows, at) {
	const here = cursor.ip === t.server.ip && cursor.row >= 0 &&
	    cursor.row < rows.length;

	return s("g", { class: "cursor" }, here && [
		s("path", { d: box(at.left, at.top + cursor.row * at.row - 1,
		    t.cells * at.cell, at.row) }),
		s("path", { d: box(at.left + cursor.cell * at.cell, HEAD, at.cell,
		    at.bottom - HEAD) })]);
}

function readout(t, rows) {
	const row = cursor.ip === t.server.ip ? rows[cursor.row] : null;

	if (!row)
		return h("p", { class: "readout dim", "aria-live": "polite" },
		    "Point at a cell, or walk with the arrow keys: who, when, what.");
	const from = cellTime(t, cursor.cell);
	const wait = t.wait_ms?.[cursor.cell];

	return h("p", { class: "readout", "aria-live": "polite" },
	    h("strong", null, row.ip), ` ${clock(from)}\u2013` +
	    `${clock(from + cellMs(t)).slice(-8)} ${zone()}: `,
	    h("strong", null, stateName[row.states[cursor.cell]] ?? "?"),
	    h("span", { class: "dim" }, ` \u00b7 all clients: ` +
		`${count(t.answered[cursor.cell] ?? 0, "answer")}` +
		(wait ? `, longest wait ${duration(wait)}` : "")),
	    cursor.pinned && [" ", h("a", { href: link("findings", "",
		{ server: t.server.ip, client: row.ip }) }, "its findings"), " ",
		h("button", { class: "quiet", "data-do": "mark-at",
		    "data-ms": from }, "mark this moment")]);
}

function timelineUnder(svg) {
	const t = data.timelines.get(svg.dataset.picture);

	return t && { t, rows: rowsOf(t),
		at: geometry(t, rowsOf(t), Number(svg.dataset.width)) };
}

function moveTo(t, row, cell, pinned) {
	if (cursor.ip === t.server.ip && cursor.row === row &&
	    cursor.cell === cell && cursor.pinned === pinned)
		return;
	Object.assign(cursor, { ip: t.server.ip, row, cell, pinned });
	changed();
}

function point(event, pinned) {
	const svg = event.target.closest?.("[data-picture]");
	const under = svg && timelineUnder(svg);

	if (!under || (cursor.pinned && !pinned))
		return;
	const { t, rows, at } = under, frame = svg.getBoundingClientRect();
	const row = Math.floor((event.clientY - frame.top - at.top) / at.row);
	const cell = Math.floor((event.clientX - frame.left - at.left) / at.cell);

	if (row >= 0 && row < rows.length && cell >= 0 && cell < t.cells)
		moveTo(t, row, cell, pinned);
	else if (pinned)
		cursor.pinned = false;
}

const walk = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0],
	ArrowDown: [1, 0] };

document.addEventListener("pointermove", (event) => point(event, false));
document.addEventListener("click", (event) => point(event, true));
document.addEventListener("keydown", (event) => {
	const step = walk[event.key], svg = event.target.closest?.("[data-picture]");
	const under = step && svg && timelineUnder(svg);

	if (!under)
		return;
	event.preventDefault();
	const { t, rows } = under, here = cursor.ip === t.server.ip;
	const within = (n, end) => Math.max(0, Math.min(end - 1, n));

	moveTo(t, within((here ? cursor.row : 0) + step[0], rows.length),
	    within((here ? cursor.cell : 0) + step[1], t.cells), true);
});
