/* store.js - what the page knows: the records of /api/v1, kept up to date by
 * events.
 *
 * The hard part is the moment between asking and the answer: an event that came
 * meanwhile is newer, and must not be undone by it. Identities make all of this
 * safe to repeat: a record replaces the one of the same number, whether it came
 * twice or out of turn. */

export const data = {
	ready: false,			/* the overview is here */
	capture: null,
	progress: null,			/* { state, read, total } */
	totals: null,
	servers: new Map(),		/* by address */
	incidents: new Map(),		/* by number; those of the overview are
					 * without evidence and remedies */
	findings: new Map(),		/* by number: those that were asked for, and
					 * what came since */
	timelines: new Map(),		/* by server; null: there is none */
	ladders: new Map(),		/* by finding; null: there is none */
	texts: null,			/* by finding's name */
	lists: new Map(),		/* by query: { total, more } */
};

const FINDINGS_MOST = 20000;		/* a page may stay open for months */

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

const newest = { data: 0, page: 0 };	/* its moment, and when it came */

/* Findings and incidents are stamped with their beginning; `last_seen` is what
 * moves. */
function notice(record) {
	const t = Math.max(Date.parse(record.timestamp) || 0,
	    Date.parse(record.last_seen) || 0);

	if (t > newest.data) {
		newest.data = t;
		newest.page = performance.now();
	}
}

export const isLive = () => data.progress?.state === "live";

/* Now, by the capture's clock: the end of a file, and live what has passed since
 * the newest record. */
export const now = () => newest.data +
    (isLive() ? performance.now() - newest.page : 0);

export const spanStart = () => Date.parse(data.capture?.first_seen) || newest.data;

/* Events -------------------------------------------------------------------- */

const touched = new Set();		/* what events brought: newer than answers */
let since = null;			/* events, while the overview is awaited */

export const identity = (kind, record) =>
    `${kind} ${kinds[kind] ? kinds[kind].id(record) : ""}`;

const MINUTES = 60;

/* An event has no minutes: the ones that are known go on. */
function withMinutes(record) {
	const last = data.servers.get(record.server.ip)?.minutes;
	const p95 = Object.values(record.response_times_minute ??
	    record.response_times ?? {}).map((r) => r.p95);

	return last && !record.minutes ? { ...record, minutes: { ...last,
	    p95_ms: [...last.p95_ms, p95.length ? Math.max(...p95) : null]
		.slice(-MINUTES) } } : record;
}

export function apply(kind, record) {
	touched.add(identity(kind, record));
	since?.push([kind, record]);
	if (kind !== "timeline")
		notice(record);
	if (kind === "finding" && record.change === "new" && data.totals)
		data.totals.findings++;
	if (kind === "capture")
		data.capture = record;
	else if (record.change === "withdrawn")
		kinds[kind].map.delete(kinds[kind].id(record));
	else
		kinds[kind].map.set(kinds[kind].id(record), kind === "server" ?
		    withMinutes(record) : record);
	for (const id of data.findings.keys()) {
		if (data.findings.size <= FINDINGS_MOST)
			break;
		data.findings.delete(id);	/* the one known longest */
	}
}

/* Asking -------------------------------------------------------------------- */

/* null: there is no such thing (any more; or a link asks for nonsense). */
async function ask(path) {
	const answer = await fetch("api/v1/" + path);

	if ([400, 404, 410].includes(answer.status))
		return null;
	if (!answer.ok)
		throw new Error(`${path}: ${answer.status}`);
	return answer.json();
}

/* What events brought since we asked is newer. */
function take(kind, records) {
	const { map, id } = kinds[kind];

	for (const r of records) {
		notice(r);
		if (!touched.has(identity(kind, r)) || !map.has(id(r)))
			map.set(id(r), r);
	}
}

const AGAIN_MS = 700;
const asked = new Set();

/* All that is known may be of a former run. */
function forget() {
	for (const map of [data.findings, data.incidents, data.servers,
	    data.timelines, data.ladders, data.lists])
		map.clear();
	asked.clear();
	touched.clear();
	data.capture = null;
	newest.data = 0;
}

/* The overview: small, whatever the number of findings. Tries until it is there;
 * gives the mark after which events are new. */
export async function load() {
	for (;;) {
		since = [];
		const o = await ask("overview").catch(() => null);

		if (!o) {
			await new Promise((go) => setTimeout(go, AGAIN_MS));
			continue;
		}
		const meanwhile = since;

		since = null;
		forget();
		data.capture = o.capture;
		data.progress = o.progress;
		data.totals = o.totals;
		data.ready = true;
		if (o.capture)
			notice(o.capture);
		take("server", o.servers);
		take("incident", o.incidents);
		for (const [kind, record] of meanwhile)
			apply(kind, record);
		changed();
		return o.mark;
	}
}

/* What only some views need is asked for by them, once; changed() tells when it
 * came. */
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

/* The newest findings that `query` selects come into data.findings; events bring
 * what is newer. { total, more }, undefined: not yet. */
export function needFindings(query, limit) {
	const path = "findings?" + new URLSearchParams({ ...query, limit });

	once(path, (answer) => {
		take("finding", answer?.items ?? []);
		data.lists.set(path, { total: answer?.total ?? 0,
		    more: Boolean(answer?.next) });
	});
	return data.lists.get(path);
}

/* undefined: not yet; null: there is none. */
export function timelineOf(ip) {
	if (!data.timelines.get(ip))
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
	once("findings-text", (texts) => { data.texts = texts ?? {}; });
	return data.texts?.[name];
}

/* undefined: not yet; null: there is none (any more). */
export function findingOf(id) {
	if (!(id > 0))
		return null;
	if (!data.findings.has(id))
		once(`findings/${id}`, (f) => data.lists.set(`finding ${id}`,
		    f && data.findings.set(id, f)));
	return data.findings.get(id) ??
	    (data.lists.get(`finding ${id}`) === null ? null : undefined);
}

/* Its evidence and remedies are there only after a while. */
export function incidentOf(id) {
	const i = data.incidents.get(id);

	if (!i?.remedy && id > 0)
		once(`incidents/${id}`, (full) => {
			if (full && !data.incidents.get(id)?.remedy)
				data.incidents.set(id, full);
		});
	return data.incidents.get(id);
}

/* Asking the other way round ------------------------------------------------ */

export const incidentsOf = (ip) => [...data.incidents.values()]
    .filter((i) => i.server.ip === ip && !i.merged_into)
    .sort((a, b) => b.start < a.start ? -1 : 1);

/* Of several at one server, the one to show first. */
export const openIncident = (ip) => incidentsOf(ip).find((i) => !i.end);
