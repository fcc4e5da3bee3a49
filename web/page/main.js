/* main.js - wiring: which view, when it is drawn anew, and the bar on top. */
import { action, h, patch } from "./dom.js";
import { clock, isLocal, isLong, number, percent, setLocal, setSpan,
	zone } from "./format.js";
import { live, pause, start, waitingCount } from "./live.js";
import { keep } from "./memory.js";
import { link, route } from "./route.js";
import { data, isLive, now, onChange, spanStart } from "./store.js";
import { subjectOf, unfit, unkept } from "./words.js";
import * as finding from "./finding.js";
import * as findings from "./findings.js";
import * as incident from "./incident.js";
import * as overview from "./overview.js";
import * as server from "./server.js";

const views = { overview, incident, server, findings, finding };
const main = document.querySelector("main");
const bar = document.querySelector("#bar");
const banner = document.querySelector("#banner");

/* The bar on top -------------------------------------------------------------- */

function subject() {
	const c = data.capture;

	return c ? subjectOf(c).split("/").at(-1) : "";
}

const states = { connecting: "connecting", open: "live", lost: "connection lost",
	resting: "resting" };

const progress = { live: "live", reading: "reading", done: "read to its end" };

function light() {
	const state = live.paused ? "paused" : states[live.state];
	const words = state === "live" && data.progress ? progress[data.progress.state] :
	    state;

	return h("span", { class: `light ${live.paused ? "paused" : live.state}`,
	    role: "status" }, words);
}

function pauseButton() {
	const n = waitingCount();

	return h("button", { "data-do": "pause", "aria-pressed": String(live.paused) },
	    live.paused ? `Go on${n ? ` (${number(n)} new)` : ""}` : "Pause");
}

function navigation(page) {
	const item = (name, text) => h("a", { href: link(name),
	    "aria-current": page === name ? "page" : null }, text);

	return h("nav", { "aria-label": "pages" }, item("overview", "Servers"),
	    item("findings", "Findings"));
}

const drawBar = (page) => patch(bar, h("header", { id: "bar" },
    h("a", { class: "brand", href: link("overview") }, "toewatch"),
    navigation(page), h("span", { class: "subject dim" }, subject()), light(),
    isLive() || live.paused ? pauseButton() : null,
    h("button", { "data-do": "zone", "aria-label": "times in UTC or local" },
	isLocal() ? "local time" : "UTC"),
    h("button", { "data-do": "theme", "aria-label": "light or dark" },
	isDark() ? "light" : "dark")));

/* What stands above everything: the page is blind, or the capture is. */
function warnings() {
	const list = [...unfit(data.capture), ...unkept(data.capture)]
	    .map((text) => ["unfit", text]);

	if (live.state === "lost")
		list.unshift(["lost", "The connection to toewatch is lost" +
		    (data.ready ? `; what you see is as of ${clock(now())} ` +
		    `${zone()}` : "") + ". Trying again."]);
	return list;
}

function progressBar() {
	const p = data.progress, share = p?.total ? p.read / p.total : null;

	if (p?.state !== "reading")
		return null;
	return h("div", { class: "reading" }, h("label", { for: "read" },
	    share === null ? "Reading the capture" :
	    `Reading the capture: ${percent(share)}`),
	    h("progress", { id: "read", max: 1, value: share }));
}

const drawBanner = () => patch(banner, h("div", { id: "banner" }, progressBar(),
    warnings().map(([kind, text]) => h("p", { class: kind, role: "alert" }, text))));

/* Drawing --------------------------------------------------------------------- */

const SPACE = 150;			/* ms between two drawings */

let due = 0, drawnAt = 0;

function draw() {
	const at = route(), view = views[at.page] ?? overview;

	due = 0;
	drawnAt = performance.now();
	setSpan(spanStart(), now());
	drawBar(at.page);
	drawBanner();
	document.title = `${view.title(at)} \u00b7 toewatch`;
	const style = getComputedStyle(main);
	const width = Math.floor(main.clientWidth - parseFloat(style.paddingLeft) -
	    parseFloat(style.paddingRight));
	patch(main, h("main", { id: "main", tabindex: -1, "data-page": at.page,
	    "data-days": isLong() || null },
	    data.ready ? view.view(at, width) : waiting()));
	markFirst();
}

const waiting = () => h("p", { class: "dim" }, "Asking toewatch ...");

/* For those who measure: when the page was first whole. */
let marked = false;

function markFirst() {
	if (data.ready && !marked)
		performance.mark("toewatch-ready");
	marked = data.ready;
}

/* Bursts of events are one drawing. A reader's own doing is shown at once. */
function soon() {
	due ||= setTimeout(draw, marked ? Math.max(0, SPACE -
	    (performance.now() - drawnAt)) : 0);
}

function drawNow() {
	clearTimeout(due);
	draw();
}

/* ------------------------------------------------------------------------------ */

function isDark() {
	const chosen = document.documentElement.dataset.theme;

	return chosen ? chosen === "dark" :
	    matchMedia("(prefers-color-scheme: dark)").matches;
}

action("skip", (anchor, event) => {
	event.preventDefault();		/* the part after # is ours */
	main.focus();
});
action("theme", () => {
	const next = isDark() ? "light" : "dark";

	document.documentElement.dataset.theme = next;
	keep("theme", next);
	drawNow();
});
action("zone", () => {
	setLocal(!isLocal());
	drawNow();
});
action("pause", () => {
	pause(!live.paused);
	drawNow();
});

let shown = "";

/* Another page begins at its top; another filter stays where it is. */
addEventListener("hashchange", () => {
	const { page, id, query } = route();

	drawNow();
	if (`${page}/${id}` !== shown || query.at) {
		scrollTo(0, 0);
		document.getElementById(query.at)?.scrollIntoView();
		main.focus({ preventScroll: true });
	}
	shown = `${page}/${id}`;
});
addEventListener("resize", soon);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
onChange(soon);
setInterval(() => isLive() && !document.hidden && soon(), 1000);

shown = `${route().page}/${route().id}`;
draw();
start();
