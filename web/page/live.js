/* live.js - server-sent events: what is new reaches the page within a second.
 *
 * The browser connects again by itself and says which event it had last, and
 * the server sends what came since; where it no longer can, it says `reset` and
 * all is asked for anew. Numbers only grow, so an event that comes twice is
 * known by its number. While the reader pauses, what comes waits here: the last
 * word on each subject, and so never more than there are subjects. */
import * as store from "./store.js";

const AGAIN_MS = 2000;

export const live = {
	state: "connecting",		/* "open", "lost" */
	paused: false,
	waiting: new Map(),		/* identity -> [kind, record] */
};

let source = null, last = 0, wasLost = false;

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

function take(kind, event) {
	const id = Number(event.lastEventId);

	if (id && id <= last)
		return;
	last = id || last;
	const record = JSON.parse(event.data);
	if (live.paused)
		live.waiting.set(store.identity(kind, record), [kind, record]);
	else
		store.apply(kind, record);
	store.changed();
}

function reset() {
	last = 0;
	live.waiting.clear();
	store.forget();
	store.load();
}

function opened() {
	live.state = "open";
	if (wasLost)
		store.load();		/* little, and then surely right */
	wasLost = false;
	store.changed();
}

/* The browser tries again unless the answer was no stream at all (a proxy's
 * error page, a server that is just starting). */
function failed() {
	live.state = "lost";
	wasLost = true;
	if (source.readyState === EventSource.CLOSED)
		setTimeout(() => {
			connect();
			reset();
		}, AGAIN_MS);
	store.changed();
}

export function connect() {
	source?.close();
	source = new EventSource("api/v1/events");
	source.addEventListener("open", opened);
	source.addEventListener("error", failed);
	for (const kind of ["finding", "incident", "server", "capture", "timeline"])
		source.addEventListener(kind, (event) => take(kind, event));
	source.addEventListener("reset", reset);
	source.addEventListener("progress", (event) => {
		store.data.progress = JSON.parse(event.data);
		store.changed();
	});
}
