/* theme.js - light or dark as the reader chose, before anything is drawn (so
 * not a module: those run later). */
"use strict";
try {
	const chosen = localStorage.getItem("toewatch.theme");

	if (chosen === "light" || chosen === "dark")
		document.documentElement.dataset.theme = chosen;
} catch {
	/* nothing may be kept: as the system is set */
}
