/* live.js - server-sent events: what is new reaches the page within a second.
 *
 * The overview comes with a mark, and the events are those after it: nothing is
 * lost between the two. When the connection breaks, the browser connects again
 * and says which event it had last; where the server cannot go on from there (it
 * was started anew, or too much has passed), it says `reset`, and the overview is
 * asked for again. While the reader pauses, what comes waits here: the last word
 * on each subject, and so never more than there are subjects. */
import * as store from "./store.js";

const AGAIN_MS = 1500;

export const live = {
	state: "connecting",		/* "open", "lost" */
	paused: false,
	waiting: new Map(),		/* identity -> [kind, record] */
};

let source = null;
let last = { run: "", number: 0 };

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
function isNew(mark) {
	const dot = mark.lastIndexOf(".");
	const run = mark.slice(0, dot), number = Number(mark.slice(dot + 1));

	if (run === last.run && number <= last.number)
		return false;
	last = { run, number };
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

function reset() {
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

function connect(mark) {
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

export async function start() {
	connect(await store.load());
}
