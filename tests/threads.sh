#!/bin/sh
# One thread, two or three: the same, byte for byte, of each sample capture and of
# scenes that are long enough for the threads to be far apart. Where the program is
# built with ThreadSanitizer, no two of them are at one thing at a time, either.
set -u
. "$(dirname "$0")/tap.sh"

maker=$BUILD/tests/bench/maker
[ -x "$maker" ] || tap_skip_all 'tests/bench/maker is not built'
cd "$scratch" || exit 99

# What the program says of $1 with $2 threads, and what it or ThreadSanitizer
# complains of.
tell() {
	timeout 300 "$TOEWATCH" -r "$1" -T json -j "$2" 2>&1 </dev/null
	echo "exit status $?"	# 124: threads that wait for each other
}

compare() {
	tell "$1" 1 >one
	grep -qx 'exit status 0' one || {
		echo "$1: it is not read"
		tail -n 30 one
	}
	for threads in 2 3; do
		tell "$1" $threads >several
		cmp -s one several || {
			echo "$1: with -j $threads it says other things"
			diff one several | cut -c 1-200 | head -n 30
		}
	done
}

# One that differs is enough to know.
: >complaint
for capture in "$srcdir"/pcaps/*.pcap; do
	[ -s complaint ] || compare "$capture" >>complaint
done
tap_empty 'sample captures: the same with each number of threads' complaint

# The million is large enough for connections to be laid to rest.
for scene in bulk:0.01 farm:0.02 million:0.04 synflood:0.005 small:0.02 mix:0.005; do
	name=${scene%:*}
	if "$maker" "$name" scene.pcap "${scene#*:}" "$srcdir/pcaps" >made 2>&1; then
		compare scene.pcap >complaint
	else
		cp made complaint
	fi
	tap_empty "$name: the same with each number of threads" complaint
done
tap_end
