#!/bin/sh
# What the machine does to a run: few file descriptors, folders that cannot be
# written to, clocks that are set, a stop of the whole process. (Memory that is
# refused: starve.sh. Disks that fill up: kept.sh. Kills: kill.sh. Interfaces that
# go: live.sh.) Each costs what the man page says (WHEN SOMETHING FAILS), and never
# makes up an incident.
set -u
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 99

command -v python3 >/dev/null 2>&1 || tap_skip_all 'python3 is missing'
sample=$srcdir/pcaps/exchange-freeze.pcap

# A dozen captures and a store, in few file descriptors.
mkdir many
i=0
while [ $i -lt 12 ]; do
	cp "$srcdir/pcaps/dhcp-healthy.pcap" "many/$i.pcap"
	i=$((i + 1))
done
"$TOEWATCH" -r many >want 2>/dev/null
: >complaint
for limit in 8 20 63; do
	# shellcheck disable=SC3045 # every sh that is there has it
	(ulimit -n $limit && exec "$TOEWATCH" -r many -o run) >out 2>err
	status=$?
	[ $status -eq 1 ] || echo "$limit: exit status $status" >>complaint
	grep -q "^toewatch: .* $limit files .* 64 is" err || cat err >>complaint
done
# shellcheck disable=SC3045
(ulimit -n 64 && exec "$TOEWATCH" -r many -o run) >out 2>>complaint ||
    echo "64 are not enough: exit status $?" >>complaint
diff want out >>complaint
tap_empty 'too few file descriptors are refused at once, 64 do' complaint

# Root writes everywhere but here.
if [ -d /proc/self/fdinfo ]; then
	: >complaint
	for what in "-o /proc/self/run" "--packets /proc/self/packets"; do
		# shellcheck disable=SC2086
		"$TOEWATCH" -r "$sample" $what >out 2>err
		status=$?
		[ $status -eq 1 ] || echo "$what: exit status $status" >>complaint
		grep -q '^toewatch: cannot .*/proc/self/' err ||
		    cat err >>complaint
	done
	tap_empty 'a folder that nothing can be made in is named' complaint
else
	tap_skip 'a folder that nothing can be made in is named' 'no /proc'
fi

# Clocks. $1: the capture; $2 on: seconds by which the clock is set, one in each
# part of it.
cat >clock.py <<'END'
import struct, sys
path, steps = sys.argv[1], [float(x) for x in sys.argv[2:]]
data = open(path, "rb").read()
frames, at = [], 24
while at + 16 <= len(data):
    s, us, n, wire = struct.unpack_from("<IIII", data, at)
    frames.append((s * 10 ** 6 + us, data[at + 8:at + 16 + n]))
    at += 16 + n
out = sys.stdout.buffer
out.write(data[:24])
for i, (t, rest) in enumerate(frames):
    part = i * (len(steps) + 1) // len(frames)
    t += int(sum(steps[:part]) * 10 ** 6)
    out.write(struct.pack("<II", t // 10 ** 6, t % 10 ** 6) + rest)
END
cat >verdicts.py <<'END'
import json, sys
print(sorted({(r["server"]["ip"], r["verdict"])
              for r in map(json.loads, sys.stdin) if r["event_type"] == "incident"}))
END
verdicts() {
	"$TOEWATCH" -r "$1" -T json 2>/dev/null | python3 verdicts.py
}
: >complaint
for pcap in healthy-office domain-healthy smb-healthy; do
	for steps in 3600 -30 '5 -5 0.4 -0.4' '-1 -1 -1 -1'; do
		# shellcheck disable=SC2086
		python3 clock.py "$srcdir/pcaps/$pcap.pcap" $steps >set.pcap
		got=$(verdicts set.pcap)
		[ "$got" = '[]' ] ||
		    echo "$pcap, set by $steps: $got" >>complaint
	done
done
tap_empty 'a clock that is set makes up no incident' complaint

# A stop of the whole process while it watches --------------------------------------

if ! unshare -rn ip link add x0 type veth peer name x1 2>/dev/null ||
    [ ! -x "$BUILD/tests/live/send" ]; then
	tap_skip 'a process that was stopped blames nobody for it' \
	    'no network of its own can be made here'
	tap_end
fi
cat >stop.conf <<'END'
live { user = root buffer_mib = 1 }
thresholds {
	user_notices_s = 0.8 silent_s = 1 connect_s = 0.8 half_close_s = 1
	zero_window_s = 0.8 retransmit_min = 1 keepalive_min = 1 witness_min = 1
}
END
# A replay a hundred times as fast, and every patience as short: two seconds are
# three minutes. $1: the tests' programs; $2: the capture; $3: yes: stop it; $4: the
# sources.
cat >stop.sh <<'END'
. "$4/tests/net.sh"
net_pair x0 x1
ip link set lo up
"$TOEWATCH" -i x1 -w none -T json -f "not ip6" -c stop.conf >out 2>err &
run=$!
net_is_watched $run
"$1/tests/live/send" -l -s 100 x0 "$2" >sent &
sender=$!
sleep 1
[ "$3" = yes ] && kill -STOP $run
sleep 2
[ "$3" = yes ] && kill -CONT $run
wait $sender
sleep 0.5
kill $run
wait $run
END
: >complaint
unshare -rn sh stop.sh "$BUILD" "$srcdir/pcaps/healthy-office.pcap" yes "$srcdir" ||
    echo "exit status $?" >>complaint
[ -s out ] || cat err >>complaint
python3 - >>complaint 2>&1 <<'END'
import json
records = [json.loads(line) for line in open("out")]
for r in records:
    if r["event_type"] == "incident":
        print("an incident:", r["server"]["ip"], r["summary"])
capture = [r for r in records if r["event_type"] == "capture"][-1]
seen = capture["packets"] + capture["dropped_kernel"] + \
    capture["dropped_interface"]
sent = int(open("sent").read().split()[0])
if seen != sent:
    print(f"{seen} seen or known to be dropped, of {sent} sent")
END
tap_empty 'a process that was stopped blames nobody for it, and counts' complaint
tap_end
