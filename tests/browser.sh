#!/bin/sh
# The page in a real Chromium: what a person would see, click and wait for. $1: a
# part of a case's name, to run that one; BROWSER_SHOTS=DIR keeps pictures.
set -u
. "$(dirname "$0")/tap.sh"

for program in python3 chromium chromedriver; do
	command -v $program >/dev/null 2>&1 || tap_skip_all "$program is missing"
done
python3 "$srcdir/tests/browser.py" "$srcdir" "$BUILD" "$@"
