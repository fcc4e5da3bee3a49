#!/bin/sh
# deps.sh [ROOT] - who may include whom, and who opens the door to a library.
# First the rules are tried on a small house with planted breaks, so that a rule
# that no longer bites is noticed; then on the real one.
set -u
. "$(dirname "$0")/tap.sh"

# Each #include under the folder $1 as "FILE:LINE TARGET", TARGET with its
# quotes or angles. Tests may see every room.
includes_of() {
	(cd "$1" && find . -name '*.[ch]' ! -path './tests/*' \
	    ! -path './build*' | sed 's,^\./,,' |
	    grep -E '^([a-z_0-9]+\.[ch]|(capture|detectors|web)/)' | sort |
	    xargs grep -nHE '^[[:space:]]*#[[:space:]]*include' /dev/null |
	    sed 's,^\([^:]*:[0-9]*\):[^<"]*\([<"][^>"]*[>"]\).*,\1 \2,')
}

# The rules. Reads includes_of, prints each break. `one` holds the files that
# are one detector each.
judge() {
	awk -v one=" $1 " '
	# The floors of capture/: a file includes its own floor and lower ones.
	# app.c has the table of the parsers, who all include app.h.
	function floor_of(stem, is_header) {
		if (stem == "app" && !is_header) return 5
		# tcp.c asks how sound the sender host is; host.h counts segments.
		if (stem == "tcp" && !is_header) return 4
		if (stem ~ /^(bytes|clock|hash|log|memory.*|notify|privileges|slab)$/) return 0
		if (stem ~ /^(packet|decode.*|checksum|toeplitz)$/) return 1
		if (stem ~ /^(defrag|duplicate)$/) return 1
		if (stem ~ /^(source.*|flow.*|quality)$/) return 2
		if (stem ~ /^(tcp.*|app|delivery|community_id|intake)$/) return 3
		if (stem ~ /^(app_.*|stream|ulp|host)$/) return 4
		if (stem ~ /^(engine.*|workers)$/) return 5
		return -1
	}
	function say(why) { print $1 ": includes " $2 ": " why }
	# Only the files that match may include headers that begin so.
	function door(header, files) {
		if (index($2, "<" header) == 1 && file !~ files)
			say("the one door to it is " files)
	}
	{
		split($1, at, ":"); file = at[1]
		room = file ~ "/" ? substr(file, 1, index(file, "/") - 1) : ""
		stem = file; sub(/.*\//, "", stem); sub(/\.[ch]$/, "", stem)
		door("pcap", "^capture/source([a-z_]*\\.c|_(internal|port)\\.h)$")
		door("ndpi", "^capture/app_ndpi\\.c$")
		door("sqlite3", "^detectors/store(_[a-z]+\\.c|_internal\\.h|\\.c)$")
		door("systemd/", "^capture/notify\\.c$")
		door("cap-ng", "^capture/privileges\\.c$")
		door("seccomp", "^capture/privileges\\.c$")
		door("curl", "^detectors/sink_webhook\\.c$")
		door("microhttpd", "^web/(server|request|login|follow|server_internal)\\.[ch]$")
		door("gnutls/", "^web/certificate\\.c$")
		door("nettle", "^(capture/community_id|web/access)\\.c$")
		door("confuse", "^detectors/config\\.c$")
		door("zlib", "^web/gzip\\.c$")
		door("jansson", "^(detectors/(evidence_ladder|report_json|report_compare_json|explain|compare_kept|sink_webhook)|web/[a-z_]*)\\.c$")
	}
	$2 ~ /^"/ {
		target = substr($2, 2, length($2) - 2)
		into = target ~ "/" ? substr(target, 1, index(target, "/") - 1) : ""
		inner = target; sub(/.*\//, "", inner); sub(/\.[ch]$/, "", inner)
		if ((target !~ "/" && room != "") || target ~ /\.\./)
			say("headers are named from the top: \"room/name.h\"")
		if (target ~ /\.c$/)
			say("a .c is compiled, not included")
		if (target ~ /^tests\//)
			say("tests see the house, not the house the tests")
		if (room == "capture" && (into == "detectors" || into == "web"))
			say("capture/ knows no other room")
		if (room == "detectors" && into == "web")
			say("detectors/ knows nothing of the page")
		if (room == "web" && into == "capture")
			say("web/ shares nothing with the capture path")
		if (room == "web" && into == "detectors" &&
		    inner !~ /^(store|report|event|relay)$/)
			say("web/ sees store.h, report.h, event.h and relay.h only")
		if (file ~ /^detectors\/finding\./ && inner ~ /^(store|report)$/)
			say("a finding knows no sink")
		if (index(one, " " file " ") &&
		    (inner ~ /^(store|report|evidence)$/ ||
		    inner ~ /^(source|decode|defrag|duplicate|log)$/))
			say("a detector sees facts and speaks by finding_raise")
		if (room == "capture" && into == "capture") {
			mine = floor_of(stem, file ~ /\.h$/)
			if (mine < 0)
				say("\"" stem "\" has no floor in tests/deps.sh")
			else if (floor_of(inner, 1) > mine)
				say("that is a higher floor of capture/")
		}
	}'
}

# Headers that include themselves, or each other in a circle as tsort names
# it. $1: what includes_of gave.
circles() {
	sed -n 's,^\([^:]*\.h\):[0-9]* "\(.*\)",\1 \2,p' "$1" |
	    tsort 2>&1 >/dev/null | sed 's/^tsort: //'
	sed -n 's,^\([^:]*\):[0-9]* "\1"$,\1: includes itself,p' "$1"
}

# All breaks under the folder $1.
breaks() {
	includes_of "$1" >"$scratch/includes"
	one=$(cd "$1" && grep -lE '^const struct detector detector_' detectors/*.c \
	    2>/dev/null | tr '\n' ' ')
	judge "$one" <"$scratch/includes"
	circles "$scratch/includes"
}

# A sound small house in $scratch/house.
mock_house() {
	rm -rf "$scratch/house"
	mkdir -p "$scratch/house/capture" "$scratch/house/detectors" \
	    "$scratch/house/web" "$scratch/house/tests"
	cd "$scratch/house" || exit 99
	echo '#include "web/server.h"' >main.c
	echo '#include <stdint.h>' >capture/bytes.h
	echo '#include "capture/bytes.h"' >capture/packet.h
	echo '#include "capture/packet.h"' >capture/flow.h
	echo '#include "capture/packet.h"' >capture/checksum.h
	echo '#include <pcap/pcap.h>' >capture/source.c
	echo '#include "capture/flow.h"' >detectors/finding.h
	echo '#include "detectors/finding.h"' >detectors/store.h
	printf '#include "detectors/store.h"\n#include <sqlite3.h>\n' \
	    >detectors/store.c
	printf '%s\n' '#include "detectors/finding.h"' \
	    'const struct detector detector_egress_dead = {' >detectors/egress.c
	printf '#include "detectors/store.h"\n#include <microhttpd.h>\n' \
	    >web/server.c
	echo '#include <pcap.h>' >tests/mktrace.c
}

# $1: a file of the small house, $2: an include that must not be there.
planted() {
	mock_house
	printf '#include %s\n' "$2" >>"$1"
	breaks "$scratch/house" >"$scratch/found"
	if grep -q "^$1:\|loop" "$scratch/found"; then
		tap_pass "found where planted: $1 includes $2"
	else
		tap_fail "planted and not named: $1 includes $2" "$scratch/found"
	fi
}

mock_house
breaks "$scratch/house" >"$scratch/found"
tap_empty 'a sound small house has no break' "$scratch/found"
planted capture/flow.h '"detectors/finding.h"'
planted capture/flow.h '"web/server.h"'
planted capture/bytes.h '"capture/flow.h"'
planted capture/packet.h '"capture/packet.h"'
planted capture/packet.h '"capture/checksum.h"'
planted capture/novel.h '"capture/bytes.h"'
planted detectors/egress.c '"web/server.h"'
planted detectors/egress.c '"detectors/store.h"'
planted detectors/egress.c '"capture/source.h"'
planted detectors/egress.c '"egress.h"'
planted detectors/egress.c '"tests/unit.h"'
planted detectors/finding.h '"detectors/store.h"'
planted web/server.c '"capture/flow.h"'
planted web/server.c '"detectors/finding.h"'
planted capture/packet.h '"main_options.h"'
planted main.c '<pcap.h>'
planted capture/packet.h '<pcap.h>'
planted main.c '<sqlite3.h>'
planted capture/source.c '<ndpi_api.h>'
planted detectors/finding.h '<jansson.h>'
planted detectors/store.c '<microhttpd.h>'
planted web/server.c '<sqlite3.h>'
planted web/server.c '<curl/curl.h>'
planted web/server.c '<confuse.h>'
planted capture/flow.h '<nettle/sha1.h>'
planted main.c '<systemd/sd-daemon.h>'
planted capture/source.c '<seccomp.h>'
planted web/server.c '<zlib.h>'

cd "$srcdir" || exit 99
breaks "${1:-$srcdir}" >"$scratch/found"
tap_empty 'the house has no break' "$scratch/found"
tap_end
