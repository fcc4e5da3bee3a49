#!/bin/sh
# Memory that is refused: a run with a report, with records, with a store, one that
# compares, one that serves a page, and a live one, each with another request
# refused, alone or with all that follow, end with the right result or with one
# clear sentence and exit status 1.
#
# STARVE_POINTS=200 sh tests/starve.sh: as many requests of each way as that (of a page
# and a live run: of the beginning, the use and the end), 0: all of them.
set -u
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null 2>&1 || tap_skip_all 'python3 is missing'
python3 -c 'import sqlite3' 2>/dev/null || tap_skip_all 'python3 has no sqlite3'
points=${STARVE_POINTS:-6}

# A sanitizer is between the program and its memory already.
program=$TOEWATCH library=$BUILD/tests/starve.so
if grep -q __asan_init "$TOEWATCH"; then
	program=$BUILD/tests/starved library=
fi
[ -x "$program" ] && { [ -z "$library" ] || [ -f "$library" ]; } ||
    tap_skip_all 'tests/starve.so and tests/starved are not built'

# $1: the way; the rest: what to run it in.
starve() {
	way=$1
	shift
	"$@" python3 "$srcdir/tests/starve.py" "$program" "$library" \
	    "$srcdir/pcaps" "$scratch" "$points" "$way" >"$scratch/told" \
	    2>"$scratch/said"
	cut -f 3 "$scratch/told" | tr '\036\037' '\n\n' | grep . >"$scratch/wrong"
	[ -s "$scratch/told" ] || cat "$scratch/said" >>"$scratch/wrong"
	tap_empty "$way: $(cut -f 2 "$scratch/told") refusals end well" \
	    "$scratch/wrong"
}

for way in text records html kept compared page; do
	starve $way
done
if unshare -rn true 2>/dev/null; then
	starve live unshare -rn sh -c 'ip link set lo up && exec "$@"' -
else
	tap_skip 'live: refusals end well' 'no network of its own can be made here'
fi
tap_end
