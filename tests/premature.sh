#!/bin/sh
# Told as it goes on, a run announces no incident that it has to take back, and
# only those that are there in the end: each sample capture, played as a live run
# would see it, against pcaps/truth.json.
set -u
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null 2>&1 ||
    tap_skip_all 'python3 is missing'

# Each scene of the truth: its capture, and the servers with an incident.
scenes() {
	python3 -c '
import json, sys
for scene in json.load(open(sys.argv[1])):
    print(scene["pcap"], " ".join(sorted({i["server"]
        for i in scene["truth"]["incidents"]})))
' "$srcdir/pcaps/truth.json"
}

# What is wrong with the events of the file $1, where the servers of $2 (and no
# others) have an incident.
complaints() {
	awk -F '\t' -v servers="$2" '
	BEGIN { for (n = split(servers, s, " "); n; n--) wanted[s[n]] = 1 }
	$3 == "incident" && $5 == "withdrawn" {
		print "incident " $4 " (" $6 ") was taken back after " $2 " s"
	}
	$3 == "incident" && $5 == "new" {
		told[$7] = 1
		if (!($7 in wanted))
			print "incident " $4 " (" $6 ") at " $7 ", a sound server"
	}
	END {
		for (server in wanted)
			if (!(server in told))
				print "nothing was told of " server
	}' "$1"
}

scenes >"$scratch/scenes"
while read -r pcap servers; do
	"$BUILD/tests/tell" "$srcdir/pcaps/$pcap" >"$scratch/told" 2>&1
	complaints "$scratch/told" "$servers" >"$scratch/wrong"
	grep -q . "$scratch/told" || echo 'nothing was told' >"$scratch/wrong"
	tap_empty "$pcap as a live run sees it" "$scratch/wrong"
done <"$scratch/scenes"
tap_end
