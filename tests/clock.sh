#!/bin/sh
# The machine's clock is set while a run watches, by minutes and hours, ahead and
# back, and the stamps of packets with it: no incident comes of it, one that is
# there is found all the same, every frame is counted, and nothing waits for the
# hour that is missing. (tests/clock_set.c is the clock.)
set -u
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 99

command -v python3 >/dev/null 2>&1 || tap_skip_all 'python3 is missing'
[ -x "$BUILD/tests/live/send" ] && [ -f "$BUILD/tests/clock_set.so" ] ||
    tap_skip_all 'tests/live/send and tests/clock_set.so are not built'
unshare -rn ip link add x0 type veth peer name x1 2>/dev/null ||
    tap_skip_all 'no network of its own can be made here'

# A replay forty times as fast, and every patience shorter.
cat >quick.conf <<'END'
live { user = root }
thresholds {
	user_notices_s = 0.8 silent_s = 1 connect_s = 0.8 half_close_s = 1
	zero_window_s = 0.8 retransmit_min = 1 keepalive_min = 1 witness_min = 1
}
END

# Two interfaces, of which one is silent: what is at hand waits for it.
# $1: the tests' programs; $2: the capture; $3: the sources; the rest: what the clock
# is set to, one after the other.
cat >set.sh <<'END'
. "$3/tests/net.sh"
net_pair x0 x1
net_pair y0 y1
ip link set lo up
build=$1 capture=$2
shift 3
printf '%-23s' 0 >clock
CLOCK_SET=$PWD/clock LD_PRELOAD=$build/tests/clock_set.so \
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0 \
    "$TOEWATCH" -i x1 -i y1 -w none -T json -f "not ip6" -c quick.conf \
    >out 2>err &
run=$!
net_is_watched $run
"$build/tests/live/send" -l -s 40 x0 "$capture" >sent &
sender=$!
for seconds in "$@"; do
	sleep 0.53
	printf '%-23s' "$seconds" 1<>clock
done
wait $sender
sleep 1
kill $run
n=0
while kill -0 $run 2>/dev/null && [ $n -lt 100 ]; do
	n=$((n + 1))
	sleep 0.1
done
[ $n -lt 100 ] || { echo "it does not end"; kill -9 $run; }
wait $run
END
cat >look.py <<'END'
"""look.py VERDICT...: the verdicts that there must be, and no others; every frame
is counted."""
import json, sys
records = [json.loads(line) for line in open("out")]
told = {r["incident_id"]: r for r in records if r["event_type"] == "incident"}
got = {r["verdict"] for r in told.values()}
if not sys.argv[1:]:
    for r in told.values():
        print("an incident:", r["server"]["ip"], r["verdict"], r["summary"])
elif not got or not got <= set(sys.argv[1:]):
    print("the verdicts are", got)
captures = [r for r in records if r["event_type"] == "capture"]
if captures:
    seen = sum(captures[-1][k] for k in
               ("packets", "dropped_kernel", "dropped_interface"))
    sent = int(open("sent").read().split()[0])
    if seen != sent:
        print(f"{seen} seen or known to be dropped, of {sent} sent")
else:
    print("no record of the capture")
END
# $1: the case; $2: the capture; $3: the verdicts that there may be, and one must; $4:
# what must be said; the rest: the clock.
try() {
	name=$1 pcap=$srcdir/pcaps/$2.pcap want=$3 words=$4
	shift 4
	unshare -rn sh set.sh "$BUILD" "$pcap" "$srcdir" "$@" \
	    >complaint 2>&1 || echo "exit status $?" >>complaint
	# shellcheck disable=SC2086
	python3 look.py $want >>complaint 2>&1
	[ -z "$words" ] || grep -q "$words" err || cat err >>complaint
	tap_empty "$name" complaint
}

try 'set ahead: nobody is blamed' healthy-office '' 'set ahead by 300 s' \
    0 300 3900 11100
try 'set back: nobody is blamed, and nothing waits' healthy-office '' \
    'set back by 300 s' 0 -300 -3900 -11100
try 'to and fro' healthy-office '' 'set back by 7200 s' 3600 -3600 60 -60 3600
try 'set ahead: what is there is found' smb-frozen offload_engine \
    'set ahead by 3600 s' 0 3600
try 'set back: the same' app-hang 'server_application undetermined' \
    'set back by 3600 s' 0 -3600
tap_end
