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
import json, os, random, sys

program, tests, pcaps, scratch = sys.argv[1:5]
sys.path.insert(0, tests)
sys.dont_write_bytecode = True
from scenes import (findings, look, missing_verdicts, read, report, write,
                    wrong_verdicts)

# What is larger than the MSS is known only where the SYN was seen.
NEEDS_SYN = {"mss-violation.pcap"}


def twice(frames, scene):
    return [f for f in frames for _ in range(2)]


def late(frames, scene):
    start = frames[0].ns
    fault = scene.get("fault_at")
    fault = fault * 10**9 if fault else frames[-1].ns
    return [f for f in frames if f.ns >= start + 0.5 * (fault - start)]


def tagged(frames, scene):
    return [f._replace(wire=f.wire + 4,
                       data=f.data[:12] + b"\x81\x00\x00\x64" + f.data[12:])
            for f in frames]


def lossy(frames, scene):
    chance = random.Random(scene["pcap"])
    return [f for f in frames if chance.random() >= 0.01]


def one_way(frames, scene):
    server = [bytes(map(int, a.split("."))) for a in scene["servers"]]
    return [f for f in frames if f.data[26:30] not in server]


def verdicts(scene, events):
    yield from wrong_verdicts(scene, events)
    yield from missing_verdicts(scene, events)


with open(os.path.join(pcaps, "truth.json")) as file:
    scenes = json.load(file)
number = failed = 0
for scene in scenes:
    path = os.path.join(pcaps, scene["pcap"])
    events, why = look(program, path)
    number += 1
    failed += report(number, scene["pcap"], [why] if events is None else
                     [*verdicts(scene, events), *findings(scene, events)])
    link, frames = read(path)
    for change in (twice, late, tagged, lossy, one_way):
        copy = os.path.join(scratch, "copy.pcap")
        write(copy, link, change(frames, scene))
        events, why = look(program, copy)
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
python3 "$scratch/verdicts.py" "$TOEWATCH" "$srcdir/tests" "$srcdir/pcaps" "$scratch"
