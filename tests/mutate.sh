#!/bin/sh
# The sample captures as damaged captures are (tests/mutate.py says how): toewatch
# comes to an end with each, and blames nobody because of the damage; and some of them
# say the same with several workers. Here the short list of mutations; `make mutate`
# runs all, with several seeds.
set -u
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null 2>&1 ||
    tap_skip_all 'python3 is missing'
# the address sanitizer takes its time, and reserves more memory than any bound
megabytes=1024 every=2
if grep -q __asan_init "$TOEWATCH"; then
	megabytes=0 every=6
fi
TMPDIR=$scratch python3 "$srcdir/tests/mutate.py" "$TOEWATCH" --kind damage --few --jobs 2 \
    --workers 1,2,4 --again 4 --every "$every" --megabytes "$megabytes" "$srcdir/pcaps"
