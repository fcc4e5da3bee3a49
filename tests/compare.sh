#!/bin/sh
# toewatch --compare over the sample captures, both ways: a freeze and a healthy
# office. The answer comes first, in both formats, and the wrong use of it is
# told.
set -u
. "$(dirname "$0")/tap.sh"

ill=$srcdir/pcaps/exchange-freeze.pcap
well=$srcdir/pcaps/healthy-office.pcap

# $1: the case; $2: what the first line has to hold (grep -E); the rest: the two
# captures.
first_line() {
	case=$1 want=$2
	shift 2
	"$TOEWATCH" --compare "$@" >"$scratch/out" 2>"$scratch/err"
	status=$?
	{
		[ $status -eq 0 ] || echo "exit status $status"
		cat "$scratch/err"
		# A sentence may take two lines.
		head -n 2 "$scratch/out" | tr '\n' ' ' | grep -Eq "$want" ||
		    head -n 3 "$scratch/out"
	} >"$scratch/complaint"
	tap_empty "$case" "$scratch/complaint"
}

# $1: the case; $2: exit status; $3: what the sentence has to name; the rest: the
# options.
refused() {
	case=$1 want=$2 names=$3
	shift 3
	"$TOEWATCH" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
	status=$?
	{
		[ $status -eq "$want" ] || echo "exit status $status, not $want"
		[ ! -s "$scratch/out" ] || echo 'it wrote a report all the same'
		head -n 1 "$scratch/err" | grep -Eq -- "$names" ||
		    cat "$scratch/err"
	} >"$scratch/complaint"
	tap_empty "$case" "$scratch/complaint"
}

first_line 'from ill to well is better' \
    '^10\.20\.30\.5: better: .*\([0-9]+ of [0-9]+ clients froze before, none of [0-9]+ after; p = ' \
    "$ill" "$well"
cp "$scratch/out" "$scratch/better"
first_line 'from well to ill is worse' \
    '^10\.20\.30\.5: worse: .*\(none of [0-9]+ clients froze before, [0-9]+ of [0-9]+ after; p = ' \
    "$well" "$ill"
first_line 'from ill to ill is no difference' \
    '^10\.20\.30\.5: no difference that this much traffic could show' \
    "$ill" "$ill"
first_line 'from well to well is no difference' \
    '^10\.20\.30\.[0-9]+: no difference: well before and after' \
    "$well" "$well"

# Eight minutes prove no cure, and the card was never switched.
{
	tr '\n' ' ' <"$scratch/better" | tr -s ' ' >"$scratch/words"
	for words in 'too short to say that it lasts' 'watch on for' \
	    'its connection offload is not off, so that is not what helped' \
	    ' offload_engine ' '^10\.20\.30\.6: no difference'; do
		grep -q -- "$words" "$scratch/words" "$scratch/better" ||
		    echo "not said: $words"
	done
} >"$scratch/complaint"
tap_empty 'what is still open is said' "$scratch/complaint"

mkdir "$scratch/folder"
cp "$ill" "$scratch/folder/a.pcap"
first_line 'a folder of captures is a run' '^10\.20\.30\.5: better: ' \
    "$scratch/folder" "$well"

if command -v python3 >/dev/null 2>&1; then
	cat >"$scratch/check.py" <<'END'
import json, sys

events = [json.loads(line) for line in sys.stdin]
if [e["server"]["ip"] for e in events] != ["10.20.30.5", "10.20.30.6"]:
    print("not one event a server:", [e["server"] for e in events])
for e in events:
    if e["event_type"] != "comparison":
        print("event_type", e["event_type"])
e = events[0]
for key, want in dict(outcome="better", settled=False,
                      offload="still_on").items():
    if e[key] != want:
        print(key, "is", e[key])
b, a = e["before"], e["after"]
if not 0 < b["clients_affected"] <= b["clients_seen"] or a["clients_affected"]:
    print("clients", b["clients_affected"], a["clients_affected"])
if list(b["verdicts"]) != ["offload_engine"] or a["verdicts"]:
    print("verdicts", b["verdicts"], a["verdicts"])
p = e["p_values"]
if not 0 < p["clients_share"] <= e["p_value"] < 0.01 or p["incidents_rate"] < 0.3:
    print("p", e["p_value"], p)
if abs(e["clean_hours_needed"] / b["hours_watched"] - 19) > 1e-6:
    print("one incident has to stay away 19 times as long:",
          e["clean_hours_needed"])
if not e["after"]["response_times"]["dcerpc"]["n"]:
    print("no response times")
if events[1]["outcome"] != "no_difference" or events[1]["p_value"] is not None:
    print("the well server:", events[1]["outcome"], events[1]["p_value"])
END
	{
		"$TOEWATCH" --compare "$ill" "$well" -T json >"$scratch/json" ||
		    echo "exit status $?"
		python3 "$scratch/check.py" <"$scratch/json" 2>&1
	} >"$scratch/complaint"
	tap_empty 'JSON says the same' "$scratch/complaint"
else
	tap_skip 'JSON says the same' 'python3 is missing'
fi

"$TOEWATCH" --compare "$ill" "$well" --exit-code >"$scratch/out" 2>&1
status=$?
{ [ $status -eq 0 ] || echo "after a clean run: $status"; } >"$scratch/complaint"
"$TOEWATCH" --compare "$well" "$ill" --exit-code >"$scratch/out" 2>&1
status=$?
[ $status -eq 3 ] || echo "after an incident: $status" >>"$scratch/complaint"
tap_empty 'the exit status is that of the run after' "$scratch/complaint"

mkdir "$scratch/empty"
: >"$scratch/empty/findings.db"
refused 'a kept run without tables' 1 'empty: .*did not make it' \
    --compare "$scratch/empty" "$well"

# Kept runs say what their captures say, to the byte but for the names, which are
# made the same here.
mkdir "$scratch/there"
cp "$ill" "$scratch/ill"
cp "$well" "$scratch/well"
(
	cd "$scratch" || exit 99
	"$TOEWATCH" -r ill -o there/ill >out 2>&1 || cat out
	"$TOEWATCH" -r well -o there/well >out 2>&1 || cat out
	for format in text json; do
		"$TOEWATCH" --compare ill well -T $format >want
		for pair in 'there/ill there/well' 'there/ill well' \
		    'ill there/well'; do
			# shellcheck disable=SC2086 # two words
			"$TOEWATCH" --compare $pair -T $format >got 2>&1
			diff want got
		done
		"$TOEWATCH" --compare well ill -T $format >want
		"$TOEWATCH" --compare there/well there/ill -T $format >got 2>&1
		diff want got
	done
	# full of attempts that were no more than a SYN
	for name in connect-unanswered host-down nat-inside; do
		cp "$srcdir/pcaps/$name.pcap" $name
		"$TOEWATCH" -r $name -o there/$name >out 2>&1 || cat out
		"$TOEWATCH" --compare $name $name -T json >want
		"$TOEWATCH" --compare there/$name there/$name -T json >got 2>&1
		diff want got | cut -c 1-2000
	done
) >"$scratch/complaint" 2>&1
tap_empty 'kept runs compare as their captures do' "$scratch/complaint"
refused 'one run only' 2 'BEFORE and AFTER' --compare "$well"
refused 'three runs' 2 'belongs to no option' --compare "$ill" "$well" "$well"
refused 'a run that is not there' 1 'missing\.pcap' \
    --compare "$ill" "$scratch/missing.pcap"
refused 'a page of it' 2 'html' --compare "$ill" "$well" -T html
refused 'with -r' 2 'go with --compare' --compare "$ill" "$well" -r "$ill"
tap_end
