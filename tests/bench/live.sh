#!/bin/sh
# live.sh [SECONDS [CAPTURE]] - how many packets a second a live run takes on two
# cores that it shares with the sender, and whether it counts all that it loses.
# By hand and as root: TOEWATCH and BUILD as in `make check`.
#
# Two senders put a capture on one end of a pair of virtual interfaces, again and
# again with new clients, at growing rates until they can do no more; the run
# watches the other end. A line each: what was sent and seen a second, what was
# dropped where, what is not accounted for (must be 0), and the run's share of a
# core. All of them go before what else the machine does, and the run before the
# senders, which on a real wire are other machines.
set -u
srcdir=$(cd "$(dirname "$0")/../.." && pwd)
. "$srcdir/tests/net.sh"
BUILD=${BUILD:-$srcdir}
TOEWATCH=${TOEWATCH:-$BUILD/toewatch}
seconds=${1:-5}
capture=${2:-$srcdir/pcaps/exchange-freeze.pcap}
cores=${CORES:-0,1}
send=$BUILD/tests/live/send

[ "$(id -u)" -eq 0 ] || { echo 'live.sh: it takes root' >&2; exit 2; }
[ -n "${TOEWATCH_TEST_NET-}" ] || TOEWATCH_TEST_NET=1 exec unshare -n sh "$0" "$@"
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
net_begin
# what one frame costs the senders, counted in packets
frames=$(tcpdump -r "$capture" --count 2>/dev/null | awk '{ print $1 }')

# $1: frames a second; 0: as many as they can.
measure() {
	rounds=$((($1 ? $1 : 1000000) * seconds / frames / 2 + 1))
	chrt -r 30 taskset -c "$cores" "$TOEWATCH" -T json -w none -i a1 \
	    >out.json 2>log &
	run=$!
	sleep 1
	for sender in 1 2; do
		chrt -r 20 taskset -c "$cores" "$send" -c -p $(($1 / 2)) \
		    -n $rounds a0 "$capture" >sent.$sender &
		senders="${senders-} $!"
	done
	# shellcheck disable=SC2086
	wait $senders
	senders=
	sleep 1
	ticks=$(awk '{ print $14 + $15 }' /proc/$run/stat)
	kill $run
	wait $run
	cat sent.1 sent.2 | awk -v ticks="$ticks" -v line="$(grep '"event_type":"capture"' \
	    out.json | tail -n 1)" '
	function figure(name) {
		match(line, "\"" name "\":[0-9]+")
		return substr(line, RSTART, RLENGTH) ~ /:/ ? \
		    substr(line, RSTART + length(name) + 3, RLENGTH - length(name) - 3) : 0
	}
	{ sent += $1; if ($4 > took) took = $4 }
	END {
		seen = figure("packets"); kernel = figure("dropped_kernel")
		card = figure("dropped_interface")
		printf "%9d %9d %9d %9d %9d %9d %8.2f\n", sent / took,
		    sent, seen, kernel, card, sent - seen - kernel - card,
		    ticks / 100 / took
	}'
}

echo ' sent / s      sent      seen  in the  by the card  not    share of'
echo '                              kernel            accounted   a core'
for rate in ${RATES:-100000 200000 300000 400000 500000 600000 800000 0}; do
	measure "$rate"
done
