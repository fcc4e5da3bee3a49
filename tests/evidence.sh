#!/bin/sh
# Evidence: each finding's own frames are in its pcapng file, which tshark opens;
# an incident's file bears the verdict; the ladder tells of the same packets.
set -u
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null 2>&1 || tap_skip_all 'python3 is missing'
command -v tshark >/dev/null 2>&1 || tap_skip_all 'tshark is missing'

cat >"$scratch/evidence.py" <<'END'
import json, os, re, subprocess, sys

program, capture, run = sys.argv[1:4]
lines = subprocess.run([program, "-r", capture, "-T", "json", "-o", run],
                       capture_output=True, text=True).stdout.splitlines()
records = [json.loads(line) for line in lines]
folder = os.path.join(run, "evidence")


def comments(name):
    """The frame numbers that the file's packet comments give, those that are
    evidence, and how many packets tshark reads."""
    text = subprocess.run(
        ["tshark", "-r", os.path.join(folder, name), "-T", "fields",
         "-e", "frame.number", "-e", "frame.comment"],
        capture_output=True, text=True).stdout.splitlines()
    frames = [(int(m.group(1)), ": evidence of finding" in m.group(2)) for m in
              (re.search(r"frame (\d+) of (.*)", t) for t in text) if m]
    return [n for n, _ in frames], {n for n, e in frames if e}, len(text)


for r in records:
    if r["event_type"] == "finding" and r["frames"]:
        name = "finding-%d.pcapng" % r["finding_id"]
        if not os.path.exists(os.path.join(folder, name)):
            print(name, "is missing")
            continue
        frames, evidence, packets = comments(name)
        if packets != len(frames) or frames != sorted(set(frames)):
            print(name, "has packets without comment, doubled or out of order")
        if evidence != set(r["frames"]):
            print(name, "has", sorted(evidence), "for", r["frames"])
        if r.get("flow_id"):
            ladder = json.load(open(os.path.join(
                folder, "finding-%d.json" % r["finding_id"])))
            if [p["frame"] for p in ladder["packets"]] != frames:
                print(name, "and its ladder differ")
    if r["event_type"] == "incident":
        name = "incident-%d.pcapng" % r["incident_id"]
        head = open(os.path.join(folder, name), "rb").read(1000)
        if r["verdict"].encode() not in head:
            print(name, "does not name", r["verdict"])
        frames, evidence, packets = comments(name)
        own = {f for x in records if x.get("event_type") == "finding"
               and x["incident_id"] == r["incident_id"] for f in x["frames"]}
        if not own <= set(frames):
            print(name, "lacks", sorted(own - set(frames))[:20])
if not any(r["event_type"] == "incident" for r in records):
    print("no incident")
END

for pcap in exchange-freeze toe-deaf host-down checksum-discarded; do
	python3 "$scratch/evidence.py" "$TOEWATCH" "$srcdir/pcaps/$pcap.pcap" \
	    "$scratch/$pcap" >"$scratch/wrong" 2>&1
	tap_empty "$pcap: the files hold what the findings name" \
	    "$scratch/wrong"
done
tap_end
