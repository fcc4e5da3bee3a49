/* live.js - server-sent events: what is new reaches the page within a second.
 *
 * The overview comes with a mark, and the events are those after it: nothing is
 * lost between the two. When the connection breaks, the browser connects again
 * and says which event it had last; where the server cannot go on from there (it
 * was started anew, or too much has passed), it says `reset`, and the overview is
 * asked for again. While the reader pauses, what comes waits here: the last word
 * on each subject, and so never more than there are subjects. */
import * as store from "./store.js";

const AGAIN_MS = 1500, REST_MS = 20000, POLL_MS = 30000;

export const live = {
	state: "connecting",		/* "open", "lost", "resting" */
	paused: false,
	waiting: new Map(),		/* identity -> [kind, record] */
};

let source = null, rest = 0;
let mark = "";				/* what comes after it is new */

export function pause(yes) {
	live.paused = yes;
	if (!yes) {
		for (const [kind, record] of live.waiting.values())
			store.apply(kind, record);
		live.waiting.clear();
	}
	store.changed();
}

/* How many new findings and incidents wait. */
export const waitingCount = () => [...live.waiting.values()].filter(
    ([kind]) => kind === "finding" || kind === "incident").length;

/* Marks are "RUN.NUMBER", and numbers of a run only grow. */
function isNew(next) {
	const [run, number] = mark.split("."), [nextRun, nextNumber] = next.split(".");

	if (run === nextRun && Number(nextNumber) <= Number(number))
		return false;
	mark = next;
	return true;
}

function take(kind, event) {
	if (!isNew(event.lastEventId))
		return;
	const record = JSON.parse(event.data);

	if (live.paused)
		live.waiting.set(store.identity(kind, record), [kind, record]);
	else
		store.apply(kind, record);
	store.changed();
}

function reset(event) {
	mark = event.lastEventId;
	live.waiting.clear();
	store.load();
}

/* The browser tries again by itself unless the answer was no stream at all: a
 * proxy's error page, a server that is full or just starting. */
function failed() {
	live.state = "lost";
	if (source.readyState === EventSource.CLOSED)
		setTimeout(start, AGAIN_MS);
	store.changed();
}

function connect() {
	clearInterval(rest);
	rest = 0;
	source?.close();
	source = new EventSource("api/v1/events?" +
	    new URLSearchParams({ after: mark }));
	source.addEventListener("open", () => {
		live.state = "open";
		store.changed();
	});
	source.addEventListener("error", failed);
	for (const kind of ["finding", "incident", "server", "capture", "timeline"])
		source.addEventListener(kind, (event) => take(kind, event));
	source.addEventListener("reset", reset);
	source.addEventListener("progress", (event) => {
		store.data.progress = JSON.parse(event.data);
		store.changed();
	});
}

async function refresh() {
	mark = await store.load();
}

export async function start() {
	await refresh();
	connect();
}

/* Out of sight -------------------------------------------------------------- */

/* A browser has six connections to a server, for all of its windows together; a
 * window that nobody sees must not hold one. It looks now and then instead, for
 * the sake of its title. */
function goToRest() {
	source?.close();
	live.state = "resting";
	rest = setInterval(() => live.paused || refresh(), POLL_MS);
}

document.addEventListener("visibilitychange", () => {
	if (document.hidden) {
		rest ||= setTimeout(goToRest, REST_MS);
	} else if (live.state === "resting") {
		connect();
	} else {
		clearTimeout(rest);
		rest = 0;
	}
});
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", (event) => event.persisted && connect());
