#!/bin/sh
# The captures of `make bench`, made very small: other programs find nothing wrong
# with them, toewatch decodes all and finds the healthy ones healthy, the same
# bytes come each time, and the runner prints its table. No time is judged.
set -u
. "$(dirname "$0")/tap.sh"

maker=$BUILD/tests/bench/maker
[ -x "$maker" ] || tap_skip_all 'tests/bench/maker is not built'

# What other programs complain of in $1, in general: its own faults (checksums
# and lengths), and what no sound connection shows.
faults_of() {
	tshark -n -r "$1" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE \
	    -o udp.check_checksum:TRUE -Y '_ws.malformed || tcp.analysis.lost_segment ||
	    tcp.analysis.ack_lost_segment || tcp.analysis.retransmission ||
	    tcp.analysis.out_of_order || tcp.analysis.duplicate_ack ||
	    ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0' \
	    2>/dev/null | head -n 5
}

check_scene() {
	capture=$scratch/$1.pcap
	"$maker" "$1" "$capture" 0.001 "$srcdir/pcaps" >"$scratch/made" 2>&1 || {
		tap_fail "$1 can be made" "$scratch/made"
		return
	}
	"$TOEWATCH" -r "$capture" -T json >"$scratch/json" 2>"$scratch/why"
	{
		cat "$scratch/why"
		sed -n '/"event_type": *"capture"/s/.*"decode_errors": *\([0-9]*\).*/\1/p' \
		    "$scratch/json" | sed '/^0$/d; s/$/ decode errors/'
		case $1 in
		mix) ;;			# full of the sample captures' faults
		*) sed -n '/"event_type": *"incident"/s/.*"verdict": *"\([a-z_]*\)".*/\1/p' \
		    "$scratch/json" ;;
		esac
	} >"$scratch/said"
	tap_empty "$1: decoded to the end, no false alarm" "$scratch/said"
	"$maker" "$1" "$scratch/again.pcap" 0.001 "$srcdir/pcaps" >/dev/null
	cmp "$capture" "$scratch/again.pcap" >"$scratch/differs" 2>&1
	tap_empty "$1: the same each time" "$scratch/differs"
	[ "$1" != mix ] || return
	if command -v tshark >/dev/null 2>&1; then
		faults_of "$capture" >"$scratch/faults"
		tap_empty "$1: tshark finds nothing wrong" "$scratch/faults"
	else
		tap_skip "$1: tshark finds nothing wrong" 'tshark is missing'
	fi
}

"$maker" | cut -f 1 >"$scratch/scenes"
while read -r scene; do
	check_scene "$scene"
done <"$scratch/scenes"

if command -v python3 >/dev/null 2>&1; then
	python3 "$srcdir/tests/bench/run.py" --toewatch "$TOEWATCH" --maker "$maker" \
	    --floor "$BUILD/tests/bench/floor" --measure "$BUILD/tests/bench/measure" \
	    --pcaps "$srcdir/pcaps" --dir "$scratch/bench" --scale 0.001 --runs 1 \
	    --peers none farm level >"$scratch/table" 2>&1
	grep -q '^toewatch -j 2  *[0-9]' "$scratch/table" &&
	    grep -q 'times as dear' "$scratch/table" && : >"$scratch/table"
	tap_empty 'the runner prints its table' "$scratch/table"
else
	tap_skip 'the runner prints its table' 'python3 is missing'
fi
tap_end
