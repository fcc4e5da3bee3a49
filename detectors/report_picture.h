/* report_picture.h - the clients of a server over time, as a drawing (inline SVG)
 * in a page: the same picture that the live page draws, without a script. */
#ifndef DETECTORS_REPORT_PICTURE_H
#define DETECTORS_REPORT_PICTURE_H

#include <stdio.h>

#include "detectors/report.h"

/* The rules it needs in the page's style, which has --ink, --dim and --line. */
#define REPORT_PICTURE_STYLE \
":root{--answered:#8fbbdc;--waiting:#efc15a;--stalled:#a8231c;--again:#3aa081;" \
"--failed:#6a4a9c;--pattern:#ffffff8c}\n" \
"@media(prefers-color-scheme:dark){:root{--answered:#3d6c92;--waiting:#c2922b;" \
"--stalled:#f0645a;--again:#5cc9a3;--failed:#b79bea;--pattern:#12141799}}\n" \
".patterns{position:absolute}.picture svg{display:block;width:100%;" \
"max-width:60rem;height:auto;overflow:visible}" \
".picture text{fill:var(--dim);font:11px system-ui,sans-serif}" \
".pa{fill:var(--answered)}.pw{fill:var(--waiting)}.ps{fill:var(--stalled)}" \
".pr{fill:var(--again)}.px{fill:var(--failed)}" \
".pattern{stroke:var(--pattern);stroke-width:1.6;fill:none}" \
".grid{stroke:var(--line)}.onset{stroke:var(--ink);stroke-width:2}" \
".picture .moment{fill:var(--ink);font-weight:700}" \
".legend span{display:inline-block;margin-right:1.1rem}" \
".legend svg{display:inline;vertical-align:-1px;margin-right:.4rem}\n" \
"@media(max-width:44rem){.picture{margin:1.4rem 0}" \
".picture text{font-size:24px}" \
".picture .name,.picture .odd{display:none}}\n"

/* Once in a page, before the first picture: the patterns that all of them use. */
void report_picture_begin(FILE *);
/* Nothing where nothing is known. `server` has incidents: they are marked. */
void report_picture_write(FILE *, const struct run *, const struct server *);

#endif
