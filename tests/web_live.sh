#!/bin/sh
# The page while events come: those who follow lose none and double none, a slow
# one harms nobody, many cost little, and hostile requests leave it up. The
# events are made by tests/web_load; tests/web_live.py asks.
set -u
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null 2>&1 ||
    tap_skip_all 'python3 is missing'
[ -x "$BUILD/tests/web_load" ] ||
    tap_skip_all 'tests/web_load is not built'

# Starts tests/web_load with the options "$@": $pid, $port.
serve() {
	: >"$scratch/err"
	"$BUILD/tests/web_load" -w 127.0.0.1:0 "$@" >"$scratch/out" \
	    2>"$scratch/err" </dev/null &
	pid=$!
	tap_page $pid "$scratch/err" '^serving '
}

# $1: the name of a case of web_live.py, $2: what it shows.
ask() {
	: >"$scratch/measured"
	python3 "$srcdir/tests/web_live.py" "$port" "$pid" "$1" \
	    "$scratch/measured" >"$scratch/complaint" 2>&1 ||
	    echo "exit status $?" >>"$scratch/complaint"
	sed 's/^/# /' "$scratch/measured"
	tap_empty "$2" "$scratch/complaint"
}

# $1: what it shows.
stop() {
	kill "$pid"
	wait "$pid"
	status=$?
	{
		[ $status -eq 0 ] || echo "exit status $status"
		grep -v '^serving ' "$scratch/err"
	} >"$scratch/complaint"
	sed 's/^/# /' "$scratch/out"
	tap_empty "$1" "$scratch/complaint"
}

serve -s 100 -f 10000 -e 20
trap 'kill "$pid" 2>/dev/null; rm -rf "$scratch"' EXIT
ask followed 'events come as they happen, from the mark of the overview on'
ask resumed 'who comes back gets what came meanwhile, once'
ask too_old 'who was away too long, or in another run, starts anew'
ask quick 'a first look at 100 servers and 10,000 findings is quick'
ask too_many 'there is a limit to those who follow'
ask hostile 'a thousand hostile requests leave it up'
stop 'it ends with those who follow still there'

serve -s 100 -f 10000 -e 50
ask many 'two hundred follow'
stop 'and it ends'

serve -s 20 -f 1000 -e 5000
ask slow 'one that does not read costs no memory, and starts anew'
stop 'it ends with slow ones'

serve -s 3 -f 10 -e 1 -n 40
ask starved 'without open files it waits for some'
stop 'nothing was logged'
tap_end
