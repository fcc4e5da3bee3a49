/* words.js - what the records' names mean to a person, and how grave they are. */
import { count, duration, figure, number, percent } from "./format.js";
import { h, s } from "./dom.js";

/* Servers ------------------------------------------------------------------- */

const gravity = { silent: 3, failing: 3, degraded: 2, ok: 0 };
export const graver = (a, b) => (gravity[b] ?? 1) - (gravity[a] ?? 1);

/* The state, told by shape as well as by colour. */
const shapes = {
	ok: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm3.6 4.6L7.2 10.9 4.4 8.3l1-1.1 " +
	    "1.7 1.6 3.4-4.1z",
	degraded: "M8 1 .6 14.5h14.8zm-.9 5h1.8v4.6H7.1zm0 5.7h1.8v1.7H7.1z",
	failing: "M5 1h6l4 4v6l-4 4H5l-4-4V5zM5.2 6.5 6.7 8 5.2 9.5l1.3 1.3L8 9.3l" +
	    "1.5 1.5 1.3-1.3L9.3 8l1.5-1.5-1.3-1.3L8 6.7 6.5 5.2z",
	silent: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zM4 7.1h8v1.8H4z",
};

export function badge(health, text = health) {
	return h("span", { class: `badge ${health}` },
	    s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" },
		s("path", { d: shapes[health] ?? shapes.silent,
		    "fill-rule": "evenodd" })), text);
}

const titles = {
	dcerpc: "RPC", smb: "SMB", rpc_http: "RPC over HTTP", http: "HTTP",
	tls: "TLS", rdp: "RDP", ftp: "FTP", ftp_data: "FTP data", smtp: "SMTP",
	imap: "IMAP", pop3: "POP3", pptp: "PPTP", ldap: "LDAP",
	kerberos: "Kerberos", dns: "DNS", dhcp: "DHCP", ntp: "NTP",
	netbios: "NetBIOS", tds: "SQL", ssh: "SSH",
};
export const protocol = (name) => titles[name] ?? name;

export const nameOf = (server) => server.name || server.ip;

/* Who it is, beside its name. */
export function about(server) {
	return [server.name && server.ip, server.vendor,
	    server.roles?.map(protocol).join(", ")].filter(Boolean).join(" \u00b7 ");
}

export const carriedBy = {
	offloaded: "carried by the card", host: "carried by the host",
	mixed: "partly carried by the card", unknown: "who carries it: unknown",
};

/* Answer times per protocol, those most used first; live with those of the last
 * minute, if there were any. */
export function responses(record, most = 3) {
	return Object.entries(record.response_times ?? {})
	    .sort((a, b) => b[1].n - a[1].n).slice(0, most)
	    .map(([name, r]) => ({ ...r, name: protocol(name),
		minute: record.response_times_minute?.[name] ?? null }));
}

/* Incidents ----------------------------------------------------------------- */

export function sure(incident) {
	return percent(incident.confidence) + " sure" +
	    (incident.verdict === "undetermined" ? " that something is" : "");
}

export function affected(i) {
	return i.summary ? i.summary :
	    `${i.clients_affected} of ${i.clients_seen} clients and ` +
	    `${i.flows_affected} of ${i.flows_seen} connections are affected`;
}

/* Detectors' sentences come with and without capital and full stop. */
export function sentence(text) {
	const begun = text.charAt(0).toUpperCase() + text.slice(1);

	return /[.!?]$/.test(begun) ? begun : begun + ".";
}

/* How much a piece of evidence weighs: the natural logarithm of how many times
 * likelier it makes the verdict. */
export const weightWord = (weight) => weight >= 4 ? "decisive" :
    weight >= 2 ? "strong" : weight >= 0.7 ? "fair" : "slight";

const powers = ["thousand", "million", "billion", "trillion", "quadrillion",
    "quintillion"];

/* 1 in how many, for a p-value. */
export function oneIn(p) {
	const n = 1 / p, power = Math.floor(Math.log10(n) / 3);

	if (!(n < 1e21))
		return "far less than once in a quintillion times";
	if (power < 1)
		return `once in ${number(n)} times`;
	return `once in ${figure(+(n / 1000 ** power).toPrecision(2))} ` +
	    `${powers[power - 1]} times`;
}

/* The capture --------------------------------------------------------------- */

export const subjectOf = (c) => c.pcap_filename ?? c.in_iface ??
    c.interfaces?.map((i) => i.name).join(", ") ?? `${c.sources} captures`;

const states = { no_carrier: "has no link: the cable or the mirror port is off",
	down: "is down", gone: "is gone" };

/* Interfaces that show nothing, or not what was on the wire. */
function blind(i) {
	return [i.state !== "watched" && `${i.name} ${states[i.state] ?? i.state}.`,
		i.merging && `${i.name} glues segments together before toewatch ` +
		`sees them (${i.merging}): ethtool -K ${i.name} ` + i.merging
		    .split(" ").map((what) => `${what} off`).join(" ") + "."]
	    .filter(Boolean);
}

const ODD = 0.01;			/* share of frames: chance does less */

/* What is found is not kept, or reaches nobody. */
export function unkept(c) {
	return [c?.store?.failing && "What is found cannot be written to the disk: " +
		"it waits in memory.", ...(c?.sinks ?? []).filter((sink) =>
		sink.failing).map((sink) => `${sink.name} takes nothing at present.`)]
	    .filter(Boolean);
}

/* What makes a capture unfit to judge by: [] when it is sound. */
export function unfit(capture) {
	const c = capture, list = [];

	if (!c)
		return list;
	list.push(...(c.interfaces ?? []).flatMap(blind));
	if (!c.packets)
		return [...list, "Not one packet was seen: is the mirror port set " +
		    "up, and is this the right interface?"];
	if (!c.tcp_packets)
		list.push("There is no TCP in what was seen: most checks have " +
		    "nothing to look at.");
	if ((c.damaged + c.disordered + c.misdated) / c.packets > ODD)
		list.push("Some of what was captured cannot have been on the wire " +
		    "like that (damaged, out of order or misdated): nothing is " +
		    "held against a server that rests on it.");
	if (c.dropped_kernel || c.dropped_interface)
		list.push(`${count(c.dropped_kernel + c.dropped_interface,
		    "packet was", "packets were")} dropped by this machine ` +
		    "before toewatch could look at them.");
	if (c.dropped_own)
		list.push(`${count(c.dropped_own, "packet was", "packets were")} ` +
		    "not looked at, since the run ended or the interface was " +
		    "removed.");
	if (c.lost_bytes)
		list.push(`${figure(c.lost_estimate * 100)} % of the TCP bytes ` +
		    "never reached the mirror port: what rests on silence is " +
		    "held back or less sure.");
	if (c.one_way_share > 0)
		list.push((c.one_way_share >= 0.995 ? "All connections are" :
		    `${percent(Math.max(0.01, c.one_way_share))} of the ` +
		    "connections are") + " seen in one direction only: the " +
		    "mirror port has to copy both.");
	if (c.cut_files)
		list.push("A capture ends in mid-packet; it was analysed up to " +
		    "there.");
	return list;
}

export function metric(name, value) {
	if (value === null)
		return "unknown";
	if (name.endsWith("_ms"))
		return duration(value);
	if (name.endsWith("_s"))
		return duration(value * 1000);
	return figure(value);
}

export const metricName = (name) =>
    name.replace(/_(ms|s)$/, "").replaceAll("_", " ");
