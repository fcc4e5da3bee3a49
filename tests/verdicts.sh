#!/bin/sh
# Each sample capture against its truth (pcaps/truth.json): the verdict it must
# get, the findings it must and must not have. Then the same captures as a worse
# mirror would have shown them: every frame twice, started late, tagged, a few
# frames lost. The true ones must survive that, and a healthy one must raise
# nothing, in whatever way it is seen.
set -u
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null 2>&1 ||
    tap_skip_all 'python3 is missing'

cat >"$scratch/verdicts.py" <<'END'
import json, os, random, struct, subprocess, sys

# What is larger than the MSS is known only where the SYN was seen.
NEEDS_SYN = {"mss-violation.pcap"}

program, pcaps, scratch = sys.argv[1:4]
scenes = json.load(open(os.path.join(pcaps, "truth.json")))


def read(path):
    data = open(path, "rb").read()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1e9 if struct.unpack(order + "I", data[:4])[0] == 0xA1B23C4D else 1e6
    frames, at = [], 24
    while at + 16 <= len(data):
        s, part, kept, wire = struct.unpack(order + "IIII", data[at:at + 16])
        frames.append((s + part / unit, s, part, wire, data[at + 16:at + 16 + kept]))
        at += 16 + kept
    return order, data[:24], frames


def write(path, order, head, frames):
    with open(path, "wb") as out:
        out.write(head)
        for _, s, part, wire, b in frames:
            out.write(struct.pack(order + "IIII", s, part, len(b), wire) + b)


def twice(frames, scene):
    return [f for f in frames for _ in range(2)]


def late(frames, scene):
    start = frames[0][0]
    fault = scene.get("fault_at") or frames[-1][0]
    return [f for f in frames if f[0] >= start + 0.5 * (fault - start)]


def tagged(frames, scene):
    return [(t, s, p, w + 4, b[:12] + b"\x81\x00\x00\x64" + b[12:])
            for t, s, p, w, b in frames]


def lossy(frames, scene):
    chance = random.Random(scene["pcap"])
    return [f for f in frames if chance.random() >= 0.01]


def one_way(frames, scene):
    server = [bytes(map(int, a.split("."))) for a in scene["servers"]]
    return [f for f in frames if f[4][26:30] not in server]


def look(path):
    run = subprocess.run([program, "-r", path, "-T", "json"],
                         stdin=subprocess.DEVNULL, capture_output=True)
    if run.returncode:
        return None, "exit status %d: %s" % (run.returncode, run.stderr.decode())
    return [json.loads(line) for line in run.stdout.splitlines()], ""


def address(event):
    return (event.get("server") or {}).get("ip")


def verdicts(scene, events):
    wanted = scene["truth"]["incidents"]
    seen = [e for e in events if e["event_type"] == "incident"]
    for e in seen:
        fits = [w for w in wanted if w["server"] == address(e)]
        accepted = {v for w in fits for v in [w["verdict"], *w.get("also_acceptable", [])]}
        if e["verdict"] not in accepted:
            yield "verdict %s at %s" % (e["verdict"], address(e))
    for w in wanted:
        if not w.get("optional") and all(address(e) != w["server"] for e in seen):
            yield "no incident at %s (%s)" % (w["server"], w["verdict"])


def findings(scene, events):
    seen = [e for e in events if e["event_type"] == "finding"]
    for w in scene["truth"].get("findings_required", []):
        names = {w["finding"], *w.get("any_of", [])}
        kinds = w.get("kind") or []
        kinds = [kinds] if isinstance(kinds, str) else kinds
        n = sum(e["count"] for e in seen if e["finding"] in names and
                (not kinds or e["finding"] != w["finding"] or e["kind"] in kinds))
        if n < w.get("min_count", 1):
            yield "%s: %d of %d" % (w["finding"], n, w.get("min_count", 1))
    for w in scene["truth"].get("findings_forbidden", []):
        name, kind = (w, None) if isinstance(w, str) else (w["finding"], w.get("kind"))
        if any(e["finding"] == name and (not kind or e["kind"] == kind) and
               e["severity"] != "info" for e in seen):
            yield "%s, which is not in there" % name


def report(number, name, complaints):
    print("%sok %d - %s" % ("not " if complaints else "", number, name))
    for c in complaints:
        print("#   " + c)
    return bool(complaints)


number = failed = 0
for scene in scenes:
    path = os.path.join(pcaps, scene["pcap"])
    events, why = look(path)
    number += 1
    failed += report(number, scene["pcap"], [why] if events is None else
                     [*verdicts(scene, events), *findings(scene, events)])
    order, head, frames = read(path)
    for change in (twice, late, tagged, lossy, one_way):
        copy = os.path.join(scratch, "copy.pcap")
        write(copy, order, head, change(frames, scene))
        events, why = look(copy)
        truth = scene
        if change is one_way:	# then nothing may be concluded at all
            truth = dict(scene, truth={"incidents": []})
        if change is late and scene["pcap"] in NEEDS_SYN:
            truth = dict(scene, truth={"incidents": [
                dict(i, optional=True) for i in scene["truth"]["incidents"]]})
        number += 1
        failed += report(number, "%s, %s" % (scene["pcap"], change.__name__),
                         [why] if events is None else list(verdicts(truth, events)))
print("1..%d" % number)
sys.exit(failed > 0)
END
python3 "$scratch/verdicts.py" "$TOEWATCH" "$srcdir/pcaps" "$scratch"
