/* dom.js - building the page and keeping it up to date.
 *
 * A view is a function that builds the whole page anew from what is known; the
 * hard part is that the page changes under a reader's hands. So what was built
 * is laid over what stands (patch): nodes that are alike stay, with their focus,
 * selection and scroll place, and only what differs is touched.
 *
 * Text goes in as text nodes and attributes only, never as markup: names and
 * sentences may come from packets. */

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes ?? {}))
		if (value !== null && value !== undefined && value !== false)
			node.setAttribute(name, value === true ? "" : value);
	for (const child of children.flat(Infinity))
		if (child !== null && child !== undefined && child !== false)
			node.append(child);
	return node;
}

/* h("p", { class: "dim" }, "text", node, [more]); null and false are left out. */
export function h(name, attributes, ...children) {
	return fill(document.createElement(name), attributes, children);
}

/* The same for SVG. */
export function s(name, attributes, ...children) {
	return fill(document.createElementNS(SVG, name), attributes, children);
}

/* Laying a new tree over the standing one ---------------------------------- */

/* A node's own name among its siblings, so that it is found again when others
 * come before it. */
const keyOf = (node) => node.nodeType === 1 ? node.getAttribute("data-key") : null;

function alike(a, b) {
	return a.nodeType === b.nodeType && a.nodeName === b.nodeName &&
	    keyOf(a) === keyOf(b);
}

/* What the reader did stays: an opened fold, what stands in a field. */
function readersOwn(node, name) {
	return (node.nodeName === "DETAILS" && name === "open") ||
	    (name === "value" && node === document.activeElement);
}

function patchAttributes(now, next) {
	for (const { name } of [...now.attributes])
		if (!next.hasAttribute(name) && !readersOwn(now, name))
			now.removeAttribute(name);
	for (const { name, value } of next.attributes)
		if (now.getAttribute(name) !== value && !readersOwn(now, name)) {
			now.setAttribute(name, value);
			if (name === "value")
				now.value = value;
		}
	if (now.nodeName === "SELECT" && now !== document.activeElement)
		now.value = next.value;
}

function patchChildren(now, next) {
	const keyed = new Map();

	for (const child of now.childNodes)
		if (keyOf(child) !== null)
			keyed.set(keyOf(child), child);
	let at = now.firstChild;
	for (const child of [...next.childNodes]) {
		const old = keyed.get(keyOf(child)) ?? at;

		if (!old || !alike(old, child)) {
			now.insertBefore(child, at);
			continue;
		}
		if (old === at)
			at = at.nextSibling;
		else
			now.insertBefore(old, at);
		patch(old, child);
	}
	while (at) {
		const rest = at.nextSibling;

		at.remove();
		at = rest;
	}
}

/* `now` stands in the page and becomes as `next` is. What a data-keep element
 * holds belongs to the code that drives it. */
export function patch(now, next) {
	if (now.nodeType !== 1) {
		if (now.data !== next.data)
			now.data = next.data;
		return;
	}
	patchAttributes(now, next);
	if (!now.hasAttribute("data-keep"))
		patchChildren(now, next);
	if (now.nodeName === "SELECT" && now !== document.activeElement)
		now.value = next.value;
}

/* What buttons and fields do ------------------------------------------------ */

const actions = new Map();

/* An element with data-do="name" calls `run(element, event)`: on click, or for
 * fields when their value changed. One listener for all, so that patch() never
 * has to carry listeners over. */
export function action(name, run) {
	actions.set(name, run);
}

function act(event) {
	const element = event.target.closest?.("[data-do]");
	const field = element?.matches("input,select");

	if (!element || (event.type === "click") === field)
		return;
	actions.get(element.dataset.do)?.(element, event);
}

document.addEventListener("click", act);
document.addEventListener("change", act);
