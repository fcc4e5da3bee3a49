#!/bin/sh
# The live way, on a pair of virtual interfaces in a network of its own: the same
# packets give the same findings as from a file; nothing is lost, or what is lost
# is counted; interfaces may come and go; signals, rights, the service manager.
# Takes root; elsewhere it says so and checks what needs none.
set -u
. "$(dirname "$0")/tap.sh"
. "$srcdir/tests/net.sh"

# All of it in a network of its own, where that can be had.
if [ -z "${TOEWATCH_TEST_NET-}" ] && [ "$(id -u)" -eq 0 ] &&
    command -v ip >/dev/null && command -v python3 >/dev/null &&
    command -v tcpdump >/dev/null &&
    net_can; then
	rm -rf "$scratch"
	TOEWATCH_TEST_NET=1 exec unshare -n sh "$srcdir/tests/live.sh"
fi

send=$BUILD/tests/live/send
chmod 755 "$scratch"		# the run becomes another user
cd "$scratch" || exit 99

# What messages look like where standard error is the journal.
: >journal
JOURNAL_STREAM=$(stat -c '%d:%i' journal) "$TOEWATCH" -r missing.pcap 2>journal
sed '/^<4>cannot .*missing\.pcap/d' journal >complaint
tap_empty 'in the journal a message carries its priority' complaint
JOURNAL_STREAM=1:1 "$TOEWATCH" -r missing.pcap 2>journal
sed '/^toewatch: cannot .*missing\.pcap/d' journal >complaint
tap_empty 'and its name elsewhere' complaint

if [ -z "${TOEWATCH_TEST_NET-}" ]; then
	tap_skip 'live runs' 'they take root, virtual interfaces, ip, python3, tcpdump'
	tap_end
fi

net_begin
net_pair b0 b1

page=none
# "$@": options. Starts a run that watches, and waits until it does.
begin() {
	: >log
	"$TOEWATCH" -T json -w "$page" -v "$@" >out.json 2>log &
	run=$!
	wait_for "grep -q 'State.*sleeping' /proc/$run/status && [ -s log ]"
	sleep 0.2
}

# Ends it: what came is read within a tenth of a second.
end() {
	sleep 0.4
	kill $run
	wait $run
	status=$?
	[ $status -eq 0 ] || echo "exit status $status" >>complaint
}

# Of the last capture record: $1, a number (of all interfaces).
figure() {
	grep '"event_type":"capture"' out.json | tail -n 1 |
	    grep -o "\"$1\":[0-9]*" | sed 's/.*://; q'
}

# Complains unless the log has a line that matches $1.
logged() {
	grep -Eq "$1" log || { echo "the log has no: $1"; cat log; } >>complaint
}

# The same packets --------------------------------------------------------------

# $1: the case; $2: how often as fast; $3: the capture; $4 on: interfaces that
# see them.
same() {
	name=$1 speed=$2 capture=$srcdir/pcaps/$3
	shift 3
	beside='' files='' watched=''
	: >complaint
	for interface in "$@"; do
		tcpdump -i "$interface" --immediate-mode -B 65536 -w "$interface.pcap" 2>/dev/null &
		beside="$beside $!"
		files="$files -r $interface.pcap"
		watched="$watched -i $interface"
	done
	# shellcheck disable=SC2086 # words
	begin $watched
	sleep 0.5
	if [ $# -eq 1 ]; then
		"$send" -s "$speed" a0 "$capture" >sent
	else
		"$send" -s "$speed" -2 b0 a0 "$capture" >sent
	fi
	end
	# shellcheck disable=SC2086
	kill -INT $beside
	# shellcheck disable=SC2086
	wait $beside
	# shellcheck disable=SC2086
	"$TOEWATCH" $files -T json >file.json
	python3 "$srcdir/tests/live/found.py" out.json >live.found
	python3 "$srcdir/tests/live/found.py" file.json >file.found
	diff live.found file.found >>complaint
	[ -s file.found ] || echo 'nothing was found: that proves nothing' >>complaint
	[ "$(figure packets)" = "$(sed 's/ .*//' sent)" ] ||
	    echo "$(cat sent); seen: $(figure packets)" >>complaint
	tap_empty "$name" complaint
}

same 'checksums: live as from the file' 120 checksum-discarded.pcap a1
same 'lost state: live as from the file' 120 lost-state.pcap a1
same 'lost timestamps: live as from the file' 60 timestamps-lost.pcap a1
same 'refusals, through a tap with two ends' 100 connect-refused.pcap a1 b1

# Losses --------------------------------------------------------------------------

begin -i a1
"$send" -p 0 -n 100 a0 "$srcdir/pcaps/toe-deaf.pcap" >sent
: >complaint
end
[ "$(figure packets)" = 83500 ] || echo "$(figure packets) of 83500" >>complaint
[ "$(figure dropped_kernel)$(figure dropped_interface)" = 00 ] ||
    echo 'packets were dropped' >>complaint
tap_empty 'a burst of 83,500 packets is read whole' complaint

printf 'live { buffer_mib = 1 }\n' >small.conf
begin -i a1 -c small.conf
: >complaint
kill -STOP $run
"$send" -p 100000 -n 40 a0 "$srcdir/pcaps/toe-deaf.pcap" >sent
kill -CONT $run
sleep 1
end
dropped=$(figure dropped_kernel)
[ "${dropped:-0}" -gt 0 ] || echo 'nothing was dropped: that proves nothing' >>complaint
[ $(($(figure packets) + dropped + $(figure dropped_interface))) = 33400 ] ||
    echo "$(figure packets) seen, $dropped dropped, of 33400" >>complaint
logged 'a1: packets are dropped because they come faster'
[ "$(grep -c 'a1: packets are dropped' log)" = 1 ] ||
    echo 'that is said more than once' >>complaint
grep -q '"finding":"capture_loss"' out.json ||
    echo 'it is no finding' >>complaint
tap_empty 'what is lost is counted to the packet, and said once' complaint

begin -i a1 -T text
: >complaint
"$send" -p 0 a0 "$srcdir/pcaps/toe-deaf.pcap" >sent
sleep 0.5
kill -STOP $run
"$send" -p 0 -n 20 a0 "$srcdir/pcaps/toe-deaf.pcap" >sent
kill $run
kill -CONT $run
wait $run
seen=$(sed -n 's/.*, \([0-9,]*\) packets.*/\1/p; s/^packets, .*//p' out.json | tr -d , | head -n 1)
own=$(tr '\n' ' ' <out.json | sed -n 's/.* \([0-9,]*\) [packets ]*came too late.*/\1/p' | tr -d ,)
[ "$((${seen:-0} + ${own:-0}))" = 17535 ] && [ "${own:-0}" -gt 0 ] ||
    { echo "$seen seen and $own not, of 17535"; head -n 5 out.json; } >>complaint
tap_empty 'what was there when it ended is counted, and in the report' complaint

# Interfaces that come and go -----------------------------------------------------

# One end of a tap is down for a while, in a replay a hundred times as fast, and
# every patience is as short.
cat >hasty.conf <<'END'
thresholds {
	user_notices_s = 0.8 silent_s = 1 connect_s = 0.8 half_close_s = 1
	zero_window_s = 0.8 retransmit_min = 1 keepalive_min = 1 witness_min = 1
}
END
begin -i a1 -i b1 -c hasty.conf
: >complaint
(
	sleep 1
	ip link set b1 down
	sleep 2
	ip link set b1 up
) &
"$send" -l -s 100 -2 b0 a0 "$srcdir/pcaps/healthy-office.pcap" >sent
end
logged 'b1 (is down|has lost)'
logged 'b1 is watched again'
seen=$(figure packets)
[ "$seen" -gt 1000 ] && [ "$seen" -lt 2166 ] ||
    echo "$seen of 2166 seen: there was no gap" >>complaint
python3 "$srcdir/tests/live/found.py" out.json |
    grep -v "'\(offload_active\|capture_[a-z_]*\)'" >>complaint
tap_empty 'nobody is blamed for what an interface did not show while down' complaint

begin -i a1
: >complaint
ip link set a1 down
ip link set a1 name other
ip link set other up
wait_for "tail -n 1 log | grep -q 'watched again'"
sleep 1.5			# and no notice of the way there is left
"$send" -p 1000 a0 "$srcdir/pcaps/mss-violation.pcap" >sent
ip link del a0
wait_for "grep -q 'removed\\|lost its link' log"
net_pair a0 a1
wait_for "tail -n 1 log | grep -q 'watched again'"
sleep 1.5
"$send" -p 1000 a0 "$srcdir/pcaps/mss-violation.pcap" >sent
end
logged 'a1 is now called other'
[ "$(figure packets)" = 832 ] || echo "$(figure packets) seen of 832" >>complaint
tap_empty 'renamed, removed and back, without a restart' complaint

if ! command -v ethtool >/dev/null || ! ethtool -K a1 gro on 2>/dev/null; then
	tap_skip 'merging is named' 'ethtool cannot switch it on here'
else
	: >complaint
	begin -i a1
	end
	logged 'a1 merges segments .*ethtool -K a1 gro off'
	grep '"event_type":"capture"' out.json | grep -q '"merging":"gro"' ||
	    echo 'the capture record does not have it' >>complaint
	ethtool -K a1 gro off
	tap_empty 'merging is named, with the command that switches it off' complaint
fi

# Rights --------------------------------------------------------------------------

printf 'live { interfaces = { "a1" } user = "nobody" }\n%s\n' \
    'server "EX01" { address = { "10.20.30.5" } }' >live.conf
chmod 644 live.conf
: >complaint
begin -c live.conf -o kept
[ "$(stat -c %U kept)" = nobody ] || echo 'the folder is not its own' >>complaint
grep -q "^Uid:.$(id -u nobody)\\>" /proc/$run/status || echo 'it is still root' >>complaint
grep -q '^CapEff:.0000000000002000' /proc/$run/status ||
    grep CapEff /proc/$run/status >>complaint
grep -q '^NoNewPrivs:.1' /proc/$run/status ||
    echo 'it could gain privileges' >>complaint
tap_empty 'it is another user, with cap_net_raw alone' complaint

# Signals, in the same run.
: >complaint
"$send" -s 200 a0 "$srcdir/pcaps/exchange-freeze.pcap" >sent
kill -USR1 $run
wait_for 'grep -q "statistics.*findings" log'
logged 'statistics: a1 \(watched\): [0-9]+ packets'
logged 'statistics: .* findings, .*MiB of memory'
tap_empty 'SIGUSR1 writes statistics' complaint
sed 's/EX01/EX77/' live.conf >new.conf
cat new.conf >live.conf
kill -HUP $run
wait_for 'grep -q "read again" log'
sleep 0.2
sed 's/live {/keep { days = 3 ring_mib = 8 } web { token_file = "t" } live { snap_bytes = 99/' \
    live.conf >new.conf
cat new.conf >live.conf
kill -HUP $run
wait_for 'grep -q "takes a restart" log'
sleep 0.2
echo 'live { buffer_mib = 0 }' >live.conf
kill -HUP $run
wait_for 'grep -q "stays as it was" log'
: >complaint
end
logged 'live.conf has been read again: 1 server address'
logged 'live.conf: live . snap_bytes ., web . token_file ., keep . ring_mib .: .*restart$'
logged 'live.conf:1: buffer_mib must .*stays as it was'
grep '"event_type":"server"' out.json | grep -q '"ip":"10.20.30.5","name":"EX77"' ||
    echo 'the server did not get its new name' >>complaint
[ "$(figure packets)" = 2459 ] || echo "$(figure packets) seen of 2459" >>complaint
tap_empty 'SIGHUP takes a sound configuration over, and refuses another' complaint

# The next run, over what was kept.
: >complaint
page=127.0.0.1:9080
begin -i a1 -o kept
page=none
cat >past.py <<'PYTHON'
import json, sqlite3, time, urllib.request
kept = sqlite3.connect("kept/findings.db").execute(
    "SELECT count(*) FROM findings WHERE change <> 'withdrawn'").fetchone()[0]
for _ in range(50):
    with urllib.request.urlopen("http://127.0.0.1:9080/api/v1/findings") as r:
        shown = json.load(r)["items"]
    if len(shown) >= kept:
        break
    time.sleep(0.1)
if not kept:
    print("nothing is kept: that proves nothing")
if [len(shown), all(f.get("past") for f in shown)] != [kept, True]:
    print(kept, "are kept,", len(shown), "shown")
PYTHON
python3 past.py >>complaint 2>&1
end
tap_empty 'the page shows what the run before found' complaint

# The service manager ---------------------------------------------------------------

: >complaint
cat >manager.py <<'PYTHON'
import os, socket, subprocess, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("notify")
os.chmod("notify", 0o777)
s.settimeout(30)
env = dict(os.environ, NOTIFY_SOCKET=os.path.abspath("notify"),
           WATCHDOG_USEC="1000000")
p = subprocess.Popen(sys.argv[1:], env=env, stdout=subprocess.DEVNULL)
said, begun = "", time.time()   # twice a second is due; a busy machine is late
while said.count("WATCHDOG=1") < 3 and time.time() < begun + 30:
    said += s.recv(4096).decode() + "\n"
p.send_signal(19)                       # SIGSTOP: a loop that hangs
time.sleep(0.2)
s.setblocking(False)


def waiting():
    said = ""
    try:
        while True:
            said += s.recv(4096).decode() + "\n"
    except BlockingIOError:
        return said


said += waiting()
alive, took = said.count("WATCHDOG=1"), time.time() - begun
time.sleep(1)
if waiting():
    print("it seems alive while it hangs")
p.send_signal(18)
p.terminate()
if p.wait():
    print("exit status", p.returncode)
said += waiting()
for word in "READY=1", "STATUS=watching 1 interface", "STOPPING=1":
    if word not in said:
        print("it did not say", word, "but", repr(said))
if not 3 <= alive <= 2 * took + 3:
    print("signs of life, due twice a second:", alive, "in", took, "s")
PYTHON
python3 manager.py "$TOEWATCH" -w none -i a1 >>complaint 2>log
tap_empty 'the service manager hears that it is ready, lives, and ends' complaint
tap_end
