#!/bin/sh
# Each finding comes with a Wireshark filter that shows its evidence. Here
# Wireshark is asked: over each sample capture, no frame that a finding rests on
# may be missing from what its filter selects.
set -u
. "$(dirname "$0")/tap.sh"

command -v tshark >/dev/null 2>&1 ||
    tap_skip_all 'tshark is missing (Debian: tshark)'

# JSON lines to "FRAMES FILTER", one finding a line; those without frames have
# nothing to select.
filters_of() {
	sed -n 's/.*"event_type":"finding".*"frames":\[\([0-9,]*\)\],"display_filter":"\(\([^"\\]\|\\.\)*\)".*/\1 \2/p' |
	    sed -e 's/\\\(.\)/\1/g' -e '/^ /d'
}

# The same to one filter that selects what is missing: evidence of a finding
# that its own filter does not select. A hundred findings a line.
missing_filters() {
	awk '{
		frames = $1
		sub(/^[^ ]* /, "")
		one = "(frame.number in {" frames "} && !(" $0 "))"
		all = all (all == "" ? "" : " || ") one
		if (NR % 100 == 0) {
			print all
			all = ""
		}
	}
	END { if (all != "") print all }'
}

# $1: capture; prints each frame that is missing, or what tshark complains of.
missing_frames() {
	{ "$TOEWATCH" -r "$1" -T json >"$scratch/json"; } 2>&1 ||
	    echo "exit status $?"
	filters_of <"$scratch/json" >"$scratch/filters"
	missing_filters <"$scratch/filters" >"$scratch/missing"
	while read -r filter; do
		tshark -n -r "$1" -Y "$filter" -T fields -e frame.number \
		    2>"$scratch/why" </dev/null |
		    sed 's/^/not selected by its finding: frame /'
		grep -v '^Running as user' "$scratch/why"
	done <"$scratch/missing"
}

# The rule has to bite: a filter that leaves out a frame of its finding.
printf '%s\n' '{"event_type":"finding","frames":[1,2],"display_filter":"frame.number in {1}"}' |
    filters_of | missing_filters >"$scratch/planted"
echo '(frame.number in {1,2} && !(frame.number in {1}))' |
    diff - "$scratch/planted" >"$scratch/diff" 2>&1
tap_empty 'a filter that leaves a frame out is noticed' "$scratch/diff"

find "$srcdir/pcaps" -name '*.pcap' -o -name '*.pcapng' | sort >"$scratch/list"
while read -r capture; do
	missing_frames "$capture" >"$scratch/complaint"
	tap_empty "${capture#"$srcdir/pcaps/"}" "$scratch/complaint"
done <"$scratch/list"
tap_end
