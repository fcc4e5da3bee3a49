#!/bin/sh
# churn.sh - is the memory of a live run flat? `make churn`, as root; FOR=seconds
# (3600).
#
# In a network of its own, on a pair of virtual interfaces: about 700 connections
# a second that come, ask twice, are answered and end, each round of 25 s from
# clients with other addresses, and beside them the freeze of a server, from new
# clients each time, so that there are findings all the time: for a sixth of the
# time three of them, sixty times as fast as it was, then one, twice as fast; one
# incident, which lasts for the hour. All that a run can
# have is on: the store, evidence, each kind of sink with somebody who takes it and
# one with nobody, the page with two who follow, /metrics.
#
# Every 10 s the run's memory is noted (CHURN_DIR/memory: seconds, resident KiB, of
# which private, flows now, findings). At the end: memory must have levelled
# off: the highest of the last third is at most 3 % above the highest of the
# middle third. What grows until then, and stops, is in toewatch.8 (MEMORY), with
# its limits: hosts, records of connections, events that wait for a dead sink and
# for those who follow the page, findings (that is what the first sixth is for).
# The ring of evidence has 64 MiB here.
set -u
srcdir=$(cd "$(dirname "$0")/../.." && pwd)
. "$srcdir/tests/net.sh"
BUILD=${BUILD:-$srcdir}
TOEWATCH=${TOEWATCH:-$BUILD/toewatch}
FOR=${FOR:-3600}
send=$BUILD/tests/live/send

[ "$(id -u)" -eq 0 ] || { echo 'churn.sh: it takes root' >&2; exit 2; }
[ -x "$send" ] || { echo "churn.sh: $send is not there" >&2; exit 2; }
[ -n "${TOEWATCH_TEST_NET-}" ] || TOEWATCH_TEST_NET=1 exec unshare -n sh "$0"
CHURN_DIR=${CHURN_DIR:-$(mktemp -d)}
mkdir -p "$CHURN_DIR" && cd "$CHURN_DIR" && chmod 755 . || exit 1
rm -rf memory kept collected log lines.json sock

net_begin
"$BUILD/tests/bench/maker" churn churn.pcap >/dev/null || exit 1

cat >churn.conf <<END
thresholds {
	user_notices_s = 0.8 silent_s = 1 connect_s = 0.8 half_close_s = 6
	zero_window_s = 1 doubt_s = 9 incident_gap_s = 12
}
keep { ring_mib = 64 evidence_mib = 64 }
live { user = "root" }
sink "file" { lines = "$CHURN_DIR/lines.json" min_severity = info
	kinds = { finding, incident, server, capture } }
sink "unix" { lines = "unix:$CHURN_DIR/sock" min_severity = info }
sink "tcp" { lines = "tcp://127.0.0.1:9001" min_severity = info }
sink "udp" { syslog = "udp://127.0.0.1:9002" min_severity = info }
sink "syslog-tcp" { syslog = "tcp://127.0.0.1:9003" min_severity = info }
sink "hook" { webhook = "http://127.0.0.1:9004/" min_severity = info hold_s = 5 }
# nobody is there: its queue is full soon
sink "dead" { lines = "tcp://127.0.0.1:9" min_severity = info
	kinds = { finding, incident, server, capture } }
END
page=http://127.0.0.1:9080
python3 "$srcdir/tests/live/collect.py" --count --pause 5 collected \
    unix="unix:$CHURN_DIR/sock" tcp=tcp://127.0.0.1:9001 \
    udp=udp://127.0.0.1:9002 syslog-tcp=syslog-tcp://127.0.0.1:9003 \
    hook=http://127.0.0.1:9004 sse=sse+$page/api/v1/events \
    sse2=sse+$page/api/v1/events metrics=metrics+$page/metrics &
collect=$!
"$TOEWATCH" -T json -i a1 -c churn.conf -o kept -w 127.0.0.1:9080 \
    >out.json 2>log &
run=$!
trap 'kill $run $collect $office $trouble 2>/dev/null' EXIT
office='' trouble=''
sleep 2
"$send" -k 3500 -n 1000000 a0 churn.pcap &
office=$!
freeze=$srcdir/pcaps/exchange-freeze.pcap
(
	senders=''
	trap 'kill $senders; exit' TERM
	for step in 1 8111 20011; do
		"$send" -k $step -s 60 -n $((FOR / 6 / 8 + 1)) a0 "$freeze" &
		senders="$senders $!"
		sleep 10
	done
	wait
	"$send" -c -s 2 -n 1000000 a0 "$freeze" &
	senders=$!
	wait
) >/dev/null &
trouble=$!

figure() {
	awk -v name="$1:" '$1 == name { print $2 }' /proc/$run/status
}
began=$(date +%s)
while now=$(($(date +%s) - began)) && [ $now -lt "$FOR" ]; do
	sleep 10
	kill -USR1 $run || { echo 'churn.sh: the run has ended'; tail log; exit 1; }
	sleep 0.3
	said=$(grep 'statistics: .* flows in all' log | tail -n 1)
	echo "$now $(figure VmRSS) $(figure RssAnon)" \
	    "$(echo "$said" | sed 's/.*in all, \([0-9]*\) now.*/\1/')" \
	    "$(echo "$said" | sed 's/.*, \([0-9]*\) findings.*/\1/')" >>memory
done
kill $office $trouble
sleep 1
kill $run
wait $run
status=$?
kill $collect
wait $collect
trap - EXIT

awk -v length_s="$FOR" '
function top(third) { return most[third] / 1024 }
{
	third = int($1 * 3 / length_s)
	if ($2 > most[third])
		most[third] = $2
	if ($4 > busy[third])
		busy[third] = $4
	if ($1 >= next_s) {
		printf "%6d s: %7.1f MiB, %6d connections, %5d findings\n", $1,
		    $2 / 1024, $4, $5
		next_s += length_s / 24
	}
}
END {
	printf "highest: %.1f, %.1f, %.1f MiB in the three thirds\n", top(0),
	    top(1), top(2)
	flat = most[1] && most[2] <= most[1] * 1.03
	if (!busy[1] || !busy[2]) {
		print "there were connections to watch: MISSED"
		exit 1
	}
	print flat ? "memory is flat: met" : "memory is flat: MISSED"
	exit !flat
}' memory
flat=$?
grep 'statistics:' log | tail -n 12
cat collected
tail -n 1 out.json | cut -c 1-600
echo "exit status $status; all of it is in $CHURN_DIR"
[ $status -eq 0 ] && exit $flat
