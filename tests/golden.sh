#!/bin/sh
# golden.sh [--update] [NAME ...] - runs toewatch over the captures that
# TESTLIST names and compares what it says with tests/expected. With names:
# only those. With --update: takes what it says now as right.
#
# What is compared: standard output, then what went to standard error, then the
# exit status where it is not 0.
set -u
. "$(dirname "$0")/tap.sh"
cd "$srcdir" || exit 99

update=no
if [ "${1:-}" = --update ]; then
	update=yes
	shift
fi
wanted=" $* "

# $1: capture, $2: options, with sh's own quoting.
run_case() {
	eval "\"\$TOEWATCH\" -r \"pcaps/\$1\" $2" </dev/null \
	    >"$scratch/out" 2>"$scratch/err"
	status=$?
	cat "$scratch/err" >>"$scratch/out"
	[ "$status" -eq 0 ] || echo "exit status $status" >>"$scratch/out"
}

while read -r name capture expected options; do
	case $name in
	'' | '#'*) continue ;;
	esac
	case $wanted in
	'  ' | *" $name "*) ;;
	*) continue ;;
	esac
	run_case "$capture" "${options%%#*}"
	if [ $update = yes ]; then
		cp "$scratch/out" "tests/expected/$expected"
		tap_pass "$name: wrote tests/expected/$expected"
	elif diff -u "tests/expected/$expected" "$scratch/out" \
	    >"$scratch/diff" 2>&1; then
		tap_pass "$name"
	else
		tap_fail "$name: $capture ${options%%#*}" "$scratch/diff"
	fi
done <tests/TESTLIST

for name in "$@"; do
	grep -q "^${name}[[:space:]]" tests/TESTLIST && continue
	echo 'TESTLIST has no such name' >"$scratch/why"
	tap_fail "$name" "$scratch/why"
done
if [ $# -eq 0 ]; then
	for file in tests/expected/*.out; do
		[ -e "$file" ] || continue
		grep -v '^#' tests/TESTLIST | grep -q "[[:space:]]${file##*/}" ||
		    echo "$file: no line of TESTLIST uses it"
	done >"$scratch/unused"
	tap_empty 'each expectation belongs to a case' "$scratch/unused"
fi
tap_end
