/* memory.js - what the browser keeps for the reader: theme, clock, marks. It may
 * be told to keep nothing; then the choice lasts as long as the page. */

const here = new Map();

export function recall(key) {
	try {
		return localStorage.getItem("toewatch." + key) ?? here.get(key);
	} catch {
		return here.get(key);
	}
}

export function keep(key, value) {
	here.set(key, value);
	try {
		localStorage.setItem("toewatch." + key, value);
	} catch {
		/* kept in `here` */
	}
}
