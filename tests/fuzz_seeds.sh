#!/bin/sh
# Runs each fuzz target over its seeds, so that the targets cannot rot and what
# they once found stays mended. FUZZ_TARGETS names the programs.
set -u
. "$(dirname "$0")/tap.sh"

# A seed takes milliseconds; a target that needs this long hangs.
limit_s=300

for target in ${FUZZ_TARGETS:-}; do
	name=${target##*/fuzz_}
	seeds=$srcdir/tests/seeds/$name
	[ -d "$seeds" ] || seeds=$srcdir/pcaps
	if timeout "$limit_s" "$BUILD/$target" -runs=0 "$seeds" \
	    >"$scratch/out" 2>&1; then
		tap_pass "$name over $(find "$seeds" -maxdepth 1 -type f | wc -l) seeds"
	else
		echo "exit status $?" >>"$scratch/out"
		tail -n 60 "$scratch/out" >"$scratch/why"
		tap_fail "$name over ${seeds#"$srcdir"/}" "$scratch/why"
	fi
done
[ "$tap_cases" -gt 0 ] || tap_skip_all "no fuzz target is named"
tap_end
