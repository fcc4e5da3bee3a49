#!/bin/sh
# Each sample capture, cut to short snap lengths, must still be analysed, and
# the cut must not make up findings: what a capture did not keep is no fault of
# anybody. Allowed beside those of the whole capture: what speaks of the capture
# itself (capture_*), and what is only for information. A call that can no longer
# be read as RPC is still a request without an answer: those two are one here.
set -u
. "$(dirname "$0")/tap.sh"

command -v editcap >/dev/null 2>&1 ||
    tap_skip_all 'editcap is missing (Debian: wireshark-common)'

# Ethernet and IPv4 (34) with TCP without options (54), with timestamps (66
# needs more than 60), and what people used to capture with (68, 96).
lengths="54 60 68 96 128"

# The names of the findings in the JSON lines on standard input, one a line,
# sorted; with "serious", without those that are allowed to be new.
finding_names() {
	sed -n '/"event_type": *"finding"/p' |
	if [ "${1:-}" = serious ]; then
		sed -e '/"severity": *"info"/d' -e '/"finding": *"capture_/d'
	else
		cat
	fi |
	sed -n 's/.*"finding": *"\([a-z_]*\)".*/\1/p' |
	sed 's/^rpc_stall$/reply_missing/' | sort -u
}

# $1: capture, $2: bytes to keep, $3: case. The names the whole one gave are in
# $scratch/whole.
check_cut() {
	editcap -F "${1##*.}" -s "$2" "$1" "$scratch/cut.pcap" \
	    2>"$scratch/why" || {
		tap_fail "$3" "$scratch/why"
		return
	}
	"$TOEWATCH" -r "$scratch/cut.pcap" -T json >"$scratch/json" \
	    2>"$scratch/why" || {
		echo "exit status $?" >>"$scratch/why"
		tap_fail "$3" "$scratch/why"
		return
	}
	finding_names serious <"$scratch/json" >"$scratch/names"
	comm -13 "$scratch/whole" "$scratch/names" |
	    sed 's/^/made up by the cut: /' >"$scratch/new"
	tap_empty "$3" "$scratch/new"
}

find "$srcdir/pcaps" -name '*.pcap' -o -name '*.pcapng' | sort >"$scratch/list"
while read -r capture; do
	name=${capture#"$srcdir/pcaps/"}
	"$TOEWATCH" -r "$capture" -T json >"$scratch/json" 2>"$scratch/why" || {
		echo "exit status $?" >>"$scratch/why"
		tap_fail "$name whole" "$scratch/why"
		continue
	}
	finding_names <"$scratch/json" >"$scratch/whole"
	for length in $lengths; do
		check_cut "$capture" "$length" "$name cut to $length"
	done
done <"$scratch/list"
[ "$tap_cases" -gt 0 ] || tap_skip_all 'pcaps/ holds no capture'
tap_end
