/* route.js - the address bar holds what is shown: `#/findings?server=10.0.0.5`.
 * After the #, so that it never travels to the server. */

/* { page: "findings", id: "", query: { server: "10.0.0.5" } } */
export function route() {
	const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
	const [page, id = ""] = path.split("/");

	return { page: page || "overview", id: decode(id),
		query: Object.fromEntries(new URLSearchParams(query)) };
}

/* A link that somebody typed may hold anything. */
function decode(text) {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

/* Parameters that are empty are left out. */
export function link(page, id = "", query = {}) {
	const given = Object.entries(query).filter(([, v]) => v !== "" &&
	    v !== null && v !== undefined);
	const path = page === "overview" ? "" : page +
	    (id === "" ? "" : "/" + encodeURIComponent(id));

	return "#/" + path +
	    (given.length ? "?" + new URLSearchParams(given) : "");
}

/* Changes what is asked of the present page. `replace`: the back button does not
 * stop here. */
export function setQuery(change, replace = false) {
	const { page, id, query } = route();
	const next = link(page, id, { ...query, ...change });

	if (next === location.hash)
		return;
	history[replace ? "replaceState" : "pushState"](null, "", next);
	dispatchEvent(new HashChangeEvent("hashchange"));
}
