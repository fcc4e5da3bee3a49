/* split.js - do the connections that the card carries fail, and the host's own
 * not? The four counts as squares, and what chance says, in words. */
import { h, s } from "./dom.js";
import { count, figure, number } from "./format.js";
import { oneIn } from "./words.js";

const SQUARE = 11, STEP = 14, SQUARES_MAX = 320;

/* One square is `each` connections. */
function squares(affected, all, each, columns) {
	const n = Math.ceil(all / each), ill = Math.round(affected / each);
	const d = ["", ""];

	for (let i = 0; i < n; i++)
		d[i < ill ? 0 : 1] += `M${i % columns * STEP} ` +
		    `${Math.floor(i / columns) * STEP}h${SQUARE}v${SQUARE}` +
		    `h${-SQUARE}z`;
	return s("svg", { class: "squares", "aria-hidden": "true",
	    width: Math.min(columns, Math.max(n, 1)) * STEP,
	    height: Math.ceil(Math.max(n, 1) / columns) * STEP },
	    s("path", { class: "cell-s", d: d[0] }),
	    s("path", { fill: "url(#hatch)", d: d[0] }),
	    s("path", { class: "cell-a", d: d[1] }));
}

function line(title, affected, all, each, columns) {
	return h("div", { class: "split-line" },
	    h("div", null, h("strong", null, title), h("br"),
		`${number(affected)} of ${number(all)} affected`),
	    squares(affected, all, each, columns));
}

function chance(o) {
	if (!o.flows_offloaded || !o.flows_host)
		return "All of them were carried the same way, so there is nothing " +
		    "to compare.";
	if (o.p_value > 0.05)
		return "The card has no more of the trouble than chance would " +
		    "give it: it is not the card's connection offload.";
	return `The odds of being affected are ${figure(o.odds_ratio)} times as ` +
	    "high on the card. Chance alone would spread them like this " +
	    `${oneIn(o.p_value)}.`;
}

export function split(o, width) {
	const columns = Math.max(8, Math.floor((width - (width < 600 ? 0 : 230)) /
	    STEP));
	const each = Math.max(1, Math.ceil((o.flows_offloaded + o.flows_host) /
	    SQUARES_MAX));

	return h("div", { class: "split" },
	    line("Carried by the card", o.affected_offloaded, o.flows_offloaded,
		each, Math.min(columns, 40)),
	    line("Carried by the host", o.affected_host, o.flows_host, each,
		Math.min(columns, 40)),
	    h("p", null, chance(o), " ", h("span", { class: "dim" },
		`Odds ratio ${figure(o.odds_ratio)}, p = ` +
		`${o.p_value < 1e-4 ? o.p_value.toExponential(1) :
		    figure(o.p_value)} (Fisher's exact test, one-sided)` +
		(each > 1 ? `; one square: ${count(each, "connection")}` : ""))));
}
