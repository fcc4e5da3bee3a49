/* store.js - what the page knows: the records of /api/v1, kept up to date by
 * events.
 *
 * The hard part is the moment between asking for a state and its arrival: an
 * event that came meanwhile is newer than the answer, and must not be undone by
 * it. Identities make all of this safe to repeat: a record replaces the one of
 * the same number, whether it came twice or out of turn. */

export const data = {
	capture: null,
	servers: new Map(),		/* by address */
	incidents: new Map(),		/* by number */
	findings: new Map(),		/* by number; all of them only once asked for */
	timelines: new Map(),		/* by server; null: there is none */
	ladders: new Map(),		/* by finding; null: there is none */
	texts: null,			/* by finding's name */
	progress: null,			/* { read, total } while a file is read */
	reading: false,			/* no report yet */
	ready: false,			/* capture, servers and incidents are here */
	allFindings: false,
};

const kinds = {
	finding: { map: data.findings, id: (r) => r.finding_id },
	incident: { map: data.incidents, id: (r) => r.incident_id },
	server: { map: data.servers, id: (r) => r.server.ip },
	timeline: { map: data.timelines, id: (r) => r.server.ip },
};

let listener = () => {};
export const onChange = (run) => { listener = run; };
export const changed = () => listener();

/* The data's own time ------------------------------------------------------- */

const arrival = { data: 0, page: 0 };	/* the newest moment, and when it came */

/* Findings and incidents are stamped with their beginning; `last_seen` is what
 * moves. */
function notice(record) {
	const t = Math.max(Date.parse(record.timestamp) || 0,
	    Date.parse(record.last_seen) || 0);

	if (t > arrival.data) {
		arrival.data = t;
		arrival.page = performance.now();
	}
}

export const isLive = () => Boolean(data.capture?.in_iface ?? data.capture?.live);

/* Now, by the capture's clock: the end of a file, and live what has passed since
 * the newest record. */
export const now = () => arrival.data +
    (isLive() ? performance.now() - arrival.page : 0);

export const spanStart = () => Date.parse(data.capture?.first_seen) || arrival.data;

/* Events -------------------------------------------------------------------- */

const touched = new Set();		/* by events, while an answer is awaited */

export const identity = (kind, record) =>
    `${kind} ${kinds[kind] ? kinds[kind].id(record) : ""}`;

export function apply(kind, record) {
	touched.add(identity(kind, record));
	if (kind !== "timeline")
		notice(record);
	if (kind === "capture")
		data.capture = record;
	else if (record.change === "withdrawn")
		kinds[kind].map.delete(kinds[kind].id(record));
	else
		kinds[kind].map.set(kinds[kind].id(record), record);
}

/* Asking -------------------------------------------------------------------- */

/* null: there is no such thing. Throws Reading while there is no report yet. */
class Reading extends Error {}

async function ask(path) {
	const answer = await fetch("api/v1/" + path);

	if (answer.status === 404)
		return null;
	if (answer.status === 503)
		throw new Reading();
	if (!answer.ok)
		throw new Error(`${path}: ${answer.status}`);
	return answer.json();
}

/* The answer replaces all of that kind, but for what events brought since. */
function take(kind, records) {
	const { map, id } = kinds[kind];
	const theirs = new Set();

	for (const r of records) {
		theirs.add(id(r));
		notice(r);
		if (!touched.has(identity(kind, r)))
			map.set(id(r), r);
	}
	for (const [key] of map)
		if (!theirs.has(key) && !touched.has(`${kind} ${key}`))
			map.delete(key);
}

const AGAIN_MS = 700;

/* Capture, servers and incidents; small, whatever the number of findings. Tries
 * until there is a report. */
export async function load() {
	touched.clear();
	try {
		const [capture, servers, incidents] = await Promise.all(
		    [ask("capture"), ask("servers"), ask("incidents")]);

		if (!touched.has("capture "))
			data.capture = capture.at(-1) ?? null;
		if (data.capture)
			notice(data.capture);
		take("server", servers);
		take("incident", incidents);
		data.reading = false;
		data.ready = true;
	} catch (e) {
		data.reading = e instanceof Reading;
		setTimeout(load, AGAIN_MS);
	}
	changed();
}

/* All that is known is of a former run. */
export function forget() {
	for (const map of [data.findings, data.incidents, data.servers,
	    data.timelines, data.ladders])
		map.clear();
	data.capture = null;
	data.allFindings = false;
	arrival.data = 0;
	asked.clear();
}

/* What only some views need is asked for by them, once; changed() tells when it
 * came. */
const asked = new Set();

async function once(path, use) {
	if (asked.has(path))
		return;
	asked.add(path);
	try {
		use(await ask(path));
	} catch {
		await new Promise((go) => setTimeout(go, AGAIN_MS));
		asked.delete(path);
	}
	changed();			/* who still needs it asks again */
}

export function needFindings() {
	if (!data.allFindings && !asked.has("findings"))
		touched.clear();
	once("findings", (records) => {
		take("finding", records ?? []);
		data.allFindings = true;
	});
	return data.allFindings;
}

/* For a list at the foot of a page: when there is nothing better to do. */
export function findingsSoon() {
	if (!data.allFindings && !asked.has("findings"))
		(window.requestIdleCallback ?? setTimeout)(needFindings);
}

/* undefined: not yet; null: there is none. */
export function timelineOf(ip) {
	if (data.timelines.get(ip) === undefined)
		once(`servers/${encodeURIComponent(ip)}/timeline`, (t) => {
			if (!data.timelines.get(ip))
				data.timelines.set(ip, t);
		});
	return data.timelines.get(ip);
}

export function ladderOf(id) {
	once(`findings/${id}/ladder`, (l) => data.ladders.set(id, l));
	return data.ladders.get(id);
}

export function textOf(name) {
	once("findings-text", (list) => {
		data.texts = new Map((list ?? []).map((t) => [t.finding, t]));
	});
	return data.texts?.get(name);
}

/* undefined: not yet; null: there is none (any more). */
export function findingOf(id) {
	if (data.findings.has(id))
		return data.findings.get(id);
	if (data.allFindings)
		return null;
	once(`findings/${id}`, (f) => {
		if (f)
			data.findings.set(id, f);
		else
			needFindings();
	});
	return undefined;
}

/* Asking the other way round ------------------------------------------------ */

export const incidentsOf = (ip) => [...data.incidents.values()]
    .filter((i) => i.server.ip === ip)
    .sort((a, b) => b.start < a.start ? -1 : 1);

/* Of several at one server, the one to show first: open, then new. */
export const openIncident = (ip) => incidentsOf(ip).find((i) => !i.end);

export const findingsOfIncident = (id) => [...data.findings.values()]
    .filter((f) => f.incident_id === id);
