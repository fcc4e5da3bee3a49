/* format.js - figures and times as people read them.
 *
 * Times are the capture's own, and old captures are old: a date is shown only
 * where the data spans more than one day. UTC is what the report and the JSON
 * say; local time is the reader's choice. */

import { keep, recall } from "./memory.js";

const MS = 1, SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE,
    DAY = 24 * HOUR;

let local = recall("time") === "local";
let manyDays = false;

export const isLocal = () => local;

export function setLocal(yes) {
	local = yes;
	keep("time", yes ? "local" : "utc");
}

/* The data's first and last moment, in ms since 1970. */
export function setSpan(from, to) {
	manyDays = dateText(from) !== dateText(to);
}

/* Does the data span more than one day? */
export const isLong = () => manyDays;

const pad = (n, width = 2) => String(n).padStart(width, "0");

/* [year, month, day, hour, minute, second] on the chosen clock. */
function parts(ms) {
	const d = new Date(ms);

	return local ?
	    [d.getFullYear(), d.getMonth() + 1, d.getDate(), d.getHours(),
		d.getMinutes(), d.getSeconds()] :
	    [d.getUTCFullYear(), d.getUTCMonth() + 1, d.getUTCDate(),
		d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()];
}

function dateText(ms) {
	const [y, m, d] = parts(ms);

	return `${y}-${pad(m)}-${pad(d)}`;
}

/* "10:42:13", or "2008-03-18 10:42:13" where days differ. */
export function clock(ms) {
	const [, , , hour, minute, second] = parts(ms);
	const time = `${pad(hour)}:${pad(minute)}:${pad(second)}`;

	return manyDays ? `${dateText(ms)} ${time}` : time;
}

export const dayAndClock = (ms) => manyDays ? clock(ms) :
    `${dateText(ms)} ${clock(ms)}`;

/* Six digits after the second, of an ISO time: more than a Date can hold. */
export function microClock(iso) {
	const [, , , hour, minute, second] = parts(Date.parse(iso));
	const digits = /\.(\d+)/.exec(iso)?.[1] ?? "0";

	return `${pad(hour)}:${pad(minute)}:${pad(second)}.` +
	    digits.padEnd(6, "0").slice(0, 6);
}

export const zone = () => local ? "local" : "UTC";

/* For a datetime-local field, and back. */
export const fieldTime = (ms) => {
	const [, , , hour, minute, second] = parts(ms);

	return `${dateText(ms)}T${pad(hour)}:${pad(minute)}:${pad(second)}`;
};
export const timeOfField = (text) => Date.parse(local ? text : text + "Z");

/* "5 min 10 s" */
export function duration(ms) {
	if (ms < 10 * MS)
		return `${+ms.toPrecision(2)} ms`;
	if (ms < SECOND)
		return `${Math.round(ms)} ms`;
	if (ms < 10 * SECOND)
		return `${(ms / SECOND).toFixed(1)} s`;
	const total = Math.round(ms / SECOND);
	if (total < 60)
		return `${total} s`;
	if (ms < HOUR)
		return `${Math.floor(total / 60)} min ${total % 60} s`;
	if (ms < 2 * DAY)
		return `${Math.floor(total / 3600)} h ` +
		    `${Math.floor(total % 3600 / 60)} min`;
	return `${Math.floor(total / 86400)} days ` +
	    `${Math.floor(total % 86400 / 3600)} h`;
}

/* "2,459" */
const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
export const number = (n) => n < 1000 ? String(Math.round(n)) : grouped.format(n);

/* At most three digits that count: "0.043", "12.3", "4,459". */
export const figure = (n) => Math.abs(n) >= 100 ? number(n) :
    String(+n.toPrecision(3));

export const count = (n, one, many = one + "s") =>
    `${number(n)} ${n === 1 ? one : many}`;

/* Never 100: nothing seen from a mirror port is certain. */
export const percent = (share) =>
    `${Math.min(99, Math.max(0, Math.round(share * 100)))} %`;

export function bytes(n) {
	const units = ["bytes", "kB", "MB", "GB", "TB"];
	let unit = 0;

	for (; n >= 1000 && unit < units.length - 1; unit++)
		n /= 1000;
	return unit ? `${figure(n)} ${units[unit]}` : `${number(n)} bytes`;
}

/* [3, 4, 5, 9] -> "3-5, 9"; at most `most` pieces. */
export function frameRanges(frames, most = 12) {
	const pieces = [];

	for (let i = 0; i < frames.length;) {
		let last = i;

		while (frames[last + 1] === frames[last] + 1)
			last++;
		pieces.push(last > i ? `${frames[i]}-${frames[last]}` :
		    `${frames[i]}`);
		i = last + 1;
	}
	return pieces.slice(0, most).join(", ") +
	    (pieces.length > most ? " ..." : "");
}
