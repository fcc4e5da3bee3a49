# tap.sh - what the shell tests share: cases counted in TAP, one line each, and
# a scratch folder that goes away. Sourced, after `set -u`.
# shellcheck shell=sh

# The source tree, from wherever the test was started.
srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd) || exit 99
# The program under test, and the folder where it was built.
BUILD=${BUILD:-$PWD}
TOEWATCH=${TOEWATCH:-$BUILD/toewatch}
export TZ=UTC LC_ALL=C

tap_cases=0
tap_failures=0

tap_pass() {
	tap_cases=$((tap_cases + 1))
	echo "ok $tap_cases - $1"
}

# $1: the case; $2: a file that says what went wrong. (No pipe into this: the
# count would be lost with the subshell.)
tap_fail() {
	tap_cases=$((tap_cases + 1))
	tap_failures=$((tap_failures + 1))
	echo "not ok $tap_cases - $1"
	sed 's/^/#   /' "$2"
}

# The case $1 passes if the file $2, in which each line is a complaint, is
# empty.
tap_empty() {
	if [ -s "$2" ]; then
		tap_fail "$1" "$2"
	else
		tap_pass "$1"
	fi
}

tap_skip() {
	tap_cases=$((tap_cases + 1))
	echo "ok $tap_cases - $1 # SKIP $2"
}

tap_skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

# Waits for the page of process $1, whose standard error is the file $2, until that
# matches $3 as well: $port. Thirty seconds, else the test ends.
tap_page() {
	tries=300
	until port=$(sed -n 's,^serving https*://[0-9.]*:\([0-9]*\)/.*,\1,p' "$2") &&
	    [ -n "$port" ] && grep -q "$3" "$2"; do
		tries=$((tries - 1))
		if [ $tries -eq 0 ] || ! kill -0 "$1" 2>/dev/null; then
			tap_fail 'the page is served' "$2"
			tap_end
		fi
		sleep 0.1
	done
}

# The last words of a test. The plan comes last: without it the test died.
tap_end() {
	echo "1..$tap_cases"
	[ "$tap_failures" -eq 0 ]
	exit
}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/toewatch-test.XXXXXX") || exit 99
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
