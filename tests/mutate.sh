#!/bin/sh
# The sample captures as damaged captures are (tests/mutate.py says how): toewatch
# comes to an end with each, and blames nobody because of the damage. Here the short
# list of mutations; `make mutate` runs all, with several seeds.
set -u
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null 2>&1 ||
    tap_skip_all 'python3 is missing'
# the address sanitizer reserves more than any bound
megabytes=1024
grep -q __asan_init "$TOEWATCH" && megabytes=0
TMPDIR=$scratch python3 "$srcdir/tests/mutate.py" "$TOEWATCH" --few --jobs 2 \
    --megabytes "$megabytes" "$srcdir/pcaps"
