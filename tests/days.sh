#!/bin/sh
# Twelve days of capture time: an office day after day, with one trouble at the end.
# Timers and limits have to be right after a million seconds as after a hundred:
# the trouble is found as it is without the days before, at its own time, and
# nothing else makes an incident.
set -u
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null || tap_skip_all 'python3 is missing'
cd "$scratch" || exit 99
trouble=$srcdir/pcaps/lost-state.pcap

# The grave part of what was found in $1.
grave() {
	python3 "$srcdir/tests/live/found.py" "$1" |
	    grep -E "'incident'|'(medium|high|critical)'" | sed 's/, \[[0-9, ]*\]\]$//'
}

python3 "$srcdir/tests/live/days.py" "$srcdir/pcaps/healthy-office.pcap" \
    "$trouble" >days.pcap 2>noon
"$TOEWATCH" -r days.pcap -T json >days.json 2>complaint
"$TOEWATCH" -r "$trouble" -T json >alone.json
tap_empty 'twelve days are read to their end' complaint

grave days.json >days.found
grave alone.json >alone.found
[ -s alone.found ] || echo 'nothing was found: that proves nothing' >complaint
# what is known of a service after days may show more than what minutes do
comm -23 alone.found days.found | sed 's/^/not found: /' >>complaint
[ "$(grep -c "'incident'" days.found)" = 1 ] || grep "'incident'" days.found >>complaint
tap_empty 'the trouble is found as without the days before, as the one incident' \
    complaint

python3 - noon days.json <<'PYTHON' >complaint
import json, sys
from datetime import datetime, timezone
noon = float(open(sys.argv[1]).read())
for line in open(sys.argv[2]):
    e = json.loads(line)
    start = e.get("first_seen" if e["event_type"] == "finding" else "start")
    if e["event_type"] == "incident" or e.get("severity") in ("medium", "high"):
        t = datetime.fromisoformat(start.replace("Z", "+00:00")).timestamp()
        if not noon <= t <= noon + 600:
            print(start, "is not at noon", datetime.fromtimestamp(noon, timezone.utc))
    if e["event_type"] == "capture":
        if not 11.9 * 86400 < e["duration"] < 12 * 86400:
            print("it lasted", e["duration"], "s")
        if e["time_regressions"] or e["decode_errors"]:
            print("regressions or errors:", line)
        flows = e["flows"]
        if flows["evicted_established"] or flows["peak"] > 1000:
            print("flows did not end in time:", flows)
PYTHON
tap_empty 'at its own time, and all that was idle has ended' complaint
tap_end
