#!/bin/sh
# toewatch -o: what is refused at the start, and how it is said; what a disk that
# fills up costs; what a run that is kept says of the past.
set -u
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 99

sample=$srcdir/pcaps/exchange-freeze.pcap

# $1: the case; $2: exit status; $3: what the one sentence has to name; the rest:
# the command.
expect() {
	case=$1 want=$2 names=$3
	shift 3
	"$@" >out 2>err </dev/null
	got=$?
	{
		[ "$got" -eq "$want" ] || echo "exit status $got, not $want"
		[ "$(wc -l <err)" -eq 1 ] || echo "not one sentence"
		grep -Eq -- "$names" err || echo "not named: $names"
	} >complaint
	[ ! -s complaint ] || cat err >>complaint
	tap_empty "$case" complaint
}

"$TOEWATCH" -r "$sample" >want
"$TOEWATCH" -r "$sample" -o run >got 2>&1
diff want got >complaint
tap_empty 'a run that is kept reports the same' complaint

find run -name 'findings*' | sort >got
echo run/findings.db >want
diff want got >complaint
tap_empty 'and leaves no log of the database behind' complaint

if command -v flock >/dev/null 2>&1; then
	expect 'a folder in use' 1 'run: another toewatch keeps its run there' \
	    flock run "$TOEWATCH" -r "$sample" -o run
else
	tap_skip 'a folder in use' 'flock is missing'
fi

mkdir damaged
head -c 20000 run/findings.db >damaged/findings.db
expect 'a database that is cut' 1 'damaged/findings\.db: .*damaged' \
    "$TOEWATCH" -r "$sample" -o damaged
mkdir letter
echo 'This is no database, and longer than a header, which has 100 bytes or so.' \
    'It is not. It is a letter, of someone to nobody in particular.' \
    >letter/findings.db
expect 'a file that is no database' 1 'letter/findings\.db: .*no SQLite' \
    "$TOEWATCH" -r "$sample" -o letter
expect 'a folder below a file' 1 'Not a directory' \
    "$TOEWATCH" -r "$sample" -o letter/findings.db/run
expect 'a folder in one that is missing' 1 'No such file' \
    "$TOEWATCH" -r "$sample" -o no/run

# A disk of its own, $1: its size and options; the rest: the command.
cat >on_disk.sh <<'END'
mkdir -p disk
mount -t tmpfs -o "$1" none disk || exit 77
shift
"$@"
END
on_disk() {
	unshare -rm sh on_disk.sh "$@"
}

if on_disk size=1m true 2>/dev/null; then
	expect 'a disk that is read only' 1 'disk/findings\.db: |disk: ' \
	    on_disk size=1m,ro "$TOEWATCH" -r "$sample" -o disk
	expect 'a disk that is full at the start' 1 'findings\.db: the disk is full' \
	    on_disk size=8k "$TOEWATCH" -r "$sample" -o disk
	on_disk size=200k "$TOEWATCH" -r "$sample" -o disk >got 2>err
	status=$?
	{
		[ $status -eq 1 ] || echo "exit status $status, not 1"
		"$TOEWATCH" -r "$sample" | diff - got
		grep -q 'disk is full.*kept in memory' err ||
		    echo 'not said when it began'
		grep -q 'disk is full; [0-9]* records are not kept' err ||
		    echo 'not said at the end'
	} >complaint
	[ ! -s complaint ] || cat err >>complaint
	tap_empty 'a disk that fills up costs the store and not the report' \
	    complaint
else
	tap_skip 'disks that are read only or full' 'none can be mounted here'
fi

: >complaint
"$TOEWATCH" -r "$srcdir/pcaps/server-restart.pcap" -o past >out 2>&1
tr -s '\n ' ' ' <out | grep -q 'history restarted once (back at [0-9: -]* UTC); ' ||
    cat out >complaint
tap_empty 'a restart is part of the history' complaint
"$TOEWATCH" -r "$srcdir/pcaps/server-restart.pcap" -o past >out 2>&1
: >complaint
grep -q 'history  restarted once' out || cat out >complaint
tap_empty 'and one restart, however often its capture is read' complaint

if command -v python3 >/dev/null 2>&1; then
	"$TOEWATCH" -r "$sample" -o run -T json >second 2>complaint
	python3 - >>complaint 2>&1 <<'END'
import json, sqlite3

db = sqlite3.connect("run/findings.db")
kept = dict(db.execute("SELECT finding_id, record FROM findings"))
records = [json.loads(line) for line in open("second")]
ids = [r["finding_id"] for r in records if r["event_type"] == "finding"]
if len(kept) != 2 * len(ids) or min(ids) <= len(ids):
    print("numbers of two runs", len(kept), len(ids), min(ids))
for r in records:
    if r["event_type"] == "finding" and json.loads(kept[r["finding_id"]]) != r:
        print("not kept as it was reported:", r)
incidents = [r["incident_id"] for r in records if r["event_type"] == "incident"]
if incidents != [1]:
    print("the incident that was open is another one now:", incidents)
for name, want in dict(user_version=1, auto_vacuum=2).items():
    got = db.execute(f"PRAGMA {name}").fetchone()[0]
    if got != want:
        print(name, got)
END
	tap_empty 'the next run goes on with numbers and open incidents' complaint
else
	tap_skip 'the next run goes on with numbers' 'python3 is missing'
fi
tap_end
