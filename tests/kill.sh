#!/bin/sh
# A program that is killed has reported nothing that is not kept: toewatch is
# killed (SIGKILL) at random moments, again and again over one folder and one
# file of JSON lines, with a capture and, where a network of one's own may be
# made, live. After each kill all that the file got is in the store, and no number
# was used twice.
#
# ROUNDS=100 sh tests/kill.sh: more rounds than the 10 of make check.
set -u
. "$(dirname "$0")/tap.sh"

rounds=${ROUNDS:-10}
command -v python3 >/dev/null 2>&1 || tap_skip_all 'python3 is missing'
python3 -c 'import sqlite3' 2>/dev/null || tap_skip_all 'python3 has no sqlite3'

cat >"$scratch/toewatch.conf" <<END
live {
	user = root
}
thresholds {
	user_notices_s = 0.2
	silent_s = 5
	incident_gap_s = 30
}
sink "file" {
	lines = "$scratch/lines"
	min_severity = info
	kinds = { finding, incident, server, capture }
}
END

cat >"$scratch/kill.py" <<'END'
import json, os, random, signal, sqlite3, subprocess, sys, time

rounds, more, lines, folder = (int(sys.argv[1]), float(sys.argv[2]),
                               sys.argv[3], sys.argv[4])
command = sys.argv[5:]
random.seed(rounds)
complaints = []
killed = ended = count = 0
longest = None


def reported():
    """The whole lines of the sink and of standard output; what was cut off by the
    kill is none, and goes."""
    records = []
    for name in lines, lines + ".out":
        with open(name, "ab+") as f:
            f.seek(0)
            text = f.read()
            f.truncate(text.rfind(b"\n") + 1)
        records += [json.loads(line) for line in text.split(b"\n")[:-1] if line]
    return records


def check(number):
    db = sqlite3.connect(folder + "/findings.db")
    kept = {"finding": {}, "incident": {}}
    for kind in kept:
        kept[kind] = {i: (json.loads(r), e) for i, r, e in db.execute(
            f"SELECT {kind}_id, record, event FROM {kind}s")}
    last = db.execute("SELECT finding, incident FROM numbers").fetchone()
    if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
        complaints.append(f"round {number}: the database is damaged")
    db.close()
    began = {}
    for e in reported():
        kind = e["event_type"]
        if kind not in kept:
            continue
        i = e[kind + "_id"]
        if i not in kept[kind]:
            complaints.append(f"round {number}: {kind} {i} was reported and "
                              "is not kept")
            continue
        if i > last[0 if kind == "finding" else 1]:
            complaints.append(f"round {number}: {kind} {i} is beyond the "
                              "numbers that the next start knows of")
        subject = (e["finding"], e["dest_ip"], e.get("src_ip"),
                   e.get("src_port"), e.get("flow_id")) \
            if kind == "finding" and "dest_ip" in e else None
        if subject and began.setdefault((kind, i), subject) != subject:
            complaints.append(f"round {number}: number {i} was used twice")
    return len(kept["finding"])


for number in range(rounds):
    p = subprocess.Popen(command, stdout=open(lines + ".out", "ab"),
                         stderr=subprocess.PIPE)
    if longest is None:
        # As long as it takes, on this machine at this hour, until something is
        # reported or all is done.
        began = time.monotonic()
        while p.poll() is None and not (more and reported()):
            time.sleep(0.01)
        longest = (time.monotonic() - began) * 1.2 + more
    else:
        time.sleep(random.uniform(0, longest))
    p.send_signal(signal.SIGKILL)
    said = p.communicate()[1].decode()
    if p.returncode == -signal.SIGKILL:
        killed += 1
    elif p.returncode == 0:
        ended += 1
    else:
        complaints.append(f"round {number}: exit status {p.returncode}: {said}")
    if os.path.exists(folder + "/findings.db") and \
            os.path.getsize(folder + "/findings.db"):
        try:
            count = check(number)
        except sqlite3.OperationalError as e:
            # killed before its tables were there: then nothing was reported
            if reported():
                complaints.append(f"round {number}: {e}")
            count = 0
    elif reported():
        complaints.append(f"round {number}: no store, and yet a report")
        count = 0
    if len(complaints) > 5:
        break
print(f"# {killed} killed, {ended} were done before; {len(reported())} lines, "
      f"{count} findings kept", file=sys.stderr)
if not killed:
    complaints.append("none was killed in time")
if not count:
    complaints.append("nothing was ever kept")
print("\n".join(complaints), end="\n" if complaints else "")
END

# $1: the case, $2: the folder; the rest: the command.
kill_rounds() {
	case=$1 kept=$2
	shift 2
	rm -f "$scratch/lines" "$scratch/lines.out"
	python3 "$scratch/kill.py" "$rounds" 0 "$scratch/lines" \
	    "$kept" "$@" -o "$kept" >"$scratch/complaint" 2>"$scratch/said" ||
	    cat "$scratch/said" >>"$scratch/complaint"
	grep '^#' "$scratch/said"
	tap_empty "$case" "$scratch/complaint"
}

kill_rounds "killed $rounds times over a capture" "$scratch/offline" \
    "$TOEWATCH" -r "$srcdir/pcaps/exchange-freeze.pcap" -T json \
    -c "$scratch/toewatch.conf"

"$TOEWATCH" -r "$srcdir/pcaps/exchange-freeze.pcap" \
    -o "$scratch/offline" -c "$scratch/toewatch.conf" \
    >/dev/null 2>"$scratch/complaint"
tap_empty 'and the next run there is an ordinary one' "$scratch/complaint"
# Live: in a network of its own, a freeze is played a hundred times as fast, over
# and over.
cat >"$scratch/play.py" <<'END'
import socket, struct, sys, time

name, interface, speed = sys.argv[1], sys.argv[2], float(sys.argv[3])
with open(name, "rb") as f:
    data = f.read()
frames, at = [], 24
while at + 16 <= len(data):
    s, us, n, _ = struct.unpack_from("<IIII", data, at)
    frames.append((s + us / 1e6, data[at + 16:at + 16 + n]))
    at += 16 + n
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((interface, 0))
print("ready", flush=True)
while True:
    began = time.monotonic()
    for t, frame in frames:
        wait = (t - frames[0][0]) / speed - (time.monotonic() - began)
        if wait > 0:
            time.sleep(wait)
        out.send(frame)
END

cat >"$scratch/live.sh" <<'END'
ip link add v0 type veth peer name v1 && ip link set v0 up &&
    ip link set v1 up || exit 77
python3 "$1/play.py" "$2" v1 100 >"$1/played" 2>&1 &
trap 'kill $! 2>/dev/null' EXIT
shift 2
"$@"
END

live() {
	unshare -rn sh "$scratch/live.sh" "$scratch" \
	    "$srcdir/pcaps/exchange-freeze.pcap" "$@"
}

if ! live true 2>/dev/null; then
	tap_skip "killed $rounds times while it watches" \
	    'no network of its own can be made here'
else
	rm -f "$scratch/lines" "$scratch/lines.out"
	live python3 "$scratch/kill.py" "$rounds" 2 "$scratch/lines" \
	    "$scratch/live" "$TOEWATCH" -i v0 -w none -T json \
	    -c "$scratch/toewatch.conf" -o "$scratch/live" \
	    >"$scratch/complaint" 2>"$scratch/said" ||
	    cat "$scratch/said" >>"$scratch/complaint"
	grep '^#' "$scratch/said"
	tap_empty "killed $rounds times while it watches" "$scratch/complaint"
fi
tap_end
