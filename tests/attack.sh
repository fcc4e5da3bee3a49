#!/bin/sh
# What somebody would send to make the sniffer fall over (tests/bench/attacks.c):
# half-open state without end, and packets that contradict each other. Through each
# runs a server whose card freezes in the end: its verdict must come all the same,
# nobody else may be blamed but clients, and memory keeps to its cap. Small here;
# `make attack` runs it large (ATTACK_SCALE, ATTACK_MEGABYTES).
set -u
. "$(dirname "$0")/tap.sh"

maker=$BUILD/tests/bench/maker
scale=${ATTACK_SCALE:-0.005}
megabytes=${ATTACK_MEGABYTES:-64}
witness=192.168.40.5		# WITNESS_SERVER in attacks.c
[ -x "$maker" ] || tap_skip_all 'tests/bench/maker is not built'
# the address sanitizer's shadow is not our memory
grep -q __asan_init "$TOEWATCH" && megabytes=

# The incidents of $scratch/json, "ADDRESS VERDICT" a line.
incidents() {
	sed -n '/"event_type": *"incident"/s/.*"dest_ip": *"\([0-9.]*\)".*"verdict": *"\([a-z_]*\)".*/\1 \2/p' \
	    "$scratch/json"
}

run_attack() {
	"$maker" "$1" "$scratch/attack.pcap" "$scale" >"$scratch/why" 2>&1 || {
		tap_fail "$1: can be made" "$scratch/why"
		return
	}
	"$BUILD/tests/bench/measure" "$scratch/json" 600 0 "$TOEWATCH" \
	    -r "$scratch/attack.pcap" -T json >"$scratch/cost"
	read -r status user system wall peak <"$scratch/cost"
	echo "# $1: $(head -n 1 "$scratch/why"), $user + $system s, $wall s, $peak KiB"
	{
		[ "$status" -eq 0 ] || echo "exit status $status"
		incidents | grep -qx "$witness offload_engine" ||
		    echo "the freeze of $witness was not told: $(incidents | grep "^$witness")"
		incidents | grep -v "^$witness " | grep -v ' client_side$' | head -n 5
	} >"$scratch/wrong"
	tap_empty "$1: the frozen server is found, and it alone" "$scratch/wrong"
	if [ -n "$megabytes" ]; then
		[ "$peak" -le $((megabytes * 1024)) ] || echo "$peak KiB"
	fi >"$scratch/wrong"
	tap_empty "$1: at most ${megabytes:-any number of} MB" "$scratch/wrong"
}

"$maker" attacks | cut -f 1 >"$scratch/attacks"
while read -r attack; do
	run_attack "$attack"
done <"$scratch/attacks"
tap_end
