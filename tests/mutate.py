#!/usr/bin/env python3
"""Captures as damaged as captures are: bytes flipped, frames lost, doubled, reordered,
cut, one direction missing, begun in the middle. toewatch has to come to an end with
each, in bounded time and memory, and must never blame a server because of the damage:
an incident is wrong where the truth has none at that server, or has another verdict
(that it cannot tell is always allowed). What the true ones have to survive is in the
table below.

	mutate.py TOEWATCH [--seeds N] [--few] [--jobs N] [--megabytes N] FOLDER ...

A folder with a truth.json is held against that. In any other one every capture is run
as it is first, and then may not get incidents that it did not have.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import random
import resource
import sys
import tempfile

sys.dont_write_bytecode = True
import scenes	# noqa: E402

MS = 10**6
Mutation = collections.namedtuple("Mutation", "name change survives few")
TABLE = []


def mutation(name, survives=False, few=False, **arguments):
    """Puts a function of (frames, scene, chance) in the table. `survives`: true
    incidents must. `few`: part of the short run."""
    def add(function):
        def change(frames, scene, chance):
            return function(frames, scene, chance, **arguments)
        TABLE.append(Mutation(name, change, survives, few))
        return function
    return add


def sorted_by_time(frames):
    return sorted(frames, key=lambda f: f.ns)


def servers_of(scene):
    return {bytes(map(int, a.split("."))) for a in scene["servers"] if "." in a}


def source(frame):
    return frame.data[26:30] if frame.data[12:14] == b"\x08\x00" else None


def sender(frame):
    """The same, of ARP too: a mirror that loses a direction loses it all."""
    return frame.data[28:32] if frame.data[12:14] == b"\x08\x06" else source(frame)


def flipped(data, share, chance):
    """As editcap -E does: each byte with that chance, anything but what it was."""
    out, at = bytearray(data), 0
    while True:
        at += int(chance.expovariate(share))
        if at >= len(out):
            return bytes(out)
        out[at] ^= chance.randrange(1, 256)
        at += 1


# --- bytes ---------------------------------------------------------------------------

@mutation("bytes 10 %", share=0.1)
@mutation("bytes 1 %", share=0.01, few=True)
@mutation("bytes 0.1 %", share=0.001, few=True)
@mutation("bytes 0.01 %", share=0.0001)
def flip(frames, scene, chance, share):
    return [f._replace(data=flipped(f.data, share, chance)) for f in frames]


@mutation("bytes 0.1 %, then 68 kept", share=0.001, keep=68, few=True)
@mutation("bytes 0.1 %, then 96 kept", share=0.001, keep=96)
def flip_and_snap(frames, scene, chance, share, keep):
    return [f._replace(data=flipped(f.data, share, chance)[:keep]) for f in frames]


@mutation("one bit in 1 of 100", one_in=100, few=True)
@mutation("one bit in 1 of 10", one_in=10)
def bits(frames, scene, chance, one_in):
    out = []
    for f in frames:
        if f.data and not chance.randrange(one_in):
            data = bytearray(f.data)
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            f = f._replace(data=bytes(data))
        out.append(f)
    return out


# --- lengths -------------------------------------------------------------------------

@mutation("54 kept", keep=54, few=True)
@mutation("60 kept", keep=60)
@mutation("68 kept", keep=68, few=True)
@mutation("96 kept", keep=96)
@mutation("128 kept", keep=128)
@mutation("256 kept", keep=256, survives=True)
def snap(frames, scene, chance, keep):
    return [f._replace(data=f.data[:keep]) for f in frames]


@mutation("frames cut short", few=True)
def cut_frames(frames, scene, chance):
    """Some lose their ends, and say that they never had them."""
    out = []
    for f in frames:
        if not chance.randrange(20):
            data = f.data[:chance.randrange(len(f.data) + 1)]
            f = f._replace(data=data, wire=len(data))
        out.append(f)
    return out


# --- which frames --------------------------------------------------------------------

@mutation("0.1 % lost", share=0.001, survives=True)
@mutation("1 % lost", share=0.01, survives=True, few=True)
@mutation("2 % lost", share=0.02)
@mutation("5 % lost", share=0.05, few=True)
def lose(frames, scene, chance, share):
    return [f for f in frames if chance.random() >= share]


@mutation("bursts lost", few=True)
def lose_bursts(frames, scene, chance):
    """A mirror port that cannot keep up: 20 in a row, now and then."""
    out, gone = [], 0
    for f in frames:
        if not gone and not chance.randrange(500):
            gone = 20
        if gone:
            gone -= 1
        else:
            out.append(f)
    return out


@mutation("begun in the middle", part=0.5, survives=True, few=True)
@mutation("begun at a quarter", part=0.25, survives=True)
@mutation("begun late", part=0.9)
def late(frames, scene, chance, part):
    """... of the time before the fault, if there is one."""
    start, end = frames[0].ns, frames[-1].ns
    if scene.get("fault_at"):
        end = scene["fault_at"] * 10**9
    return [f for f in frames if f.ns >= start + part * (end - start)]


@mutation("ended early", few=True)
def early(frames, scene, chance):
    part = chance.uniform(0.05, 0.95)
    return frames[:max(1, int(part * len(frames)))]


@mutation("no server", to=False, few=True)
@mutation("no client", to=True, few=True)
def one_way(frames, scene, chance, to):
    return [f for f in frames if (sender(f) in servers_of(scene)) == to]


@mutation("half of the connections one way", few=True)
def half_one_way(frames, scene, chance):
    return [f for f in frames if source(f) not in servers_of(scene) or f.data[33] & 1]


@mutation("one way from the middle on", few=True)
def one_way_late(frames, scene, chance):
    middle = frames[len(frames) // 2].ns
    return [f for f in frames if f.ns < middle or sender(f) not in servers_of(scene)]


@mutation("8 s missing", seconds=8, few=True)
@mutation("30 s missing", seconds=30)
def gap(frames, scene, chance, seconds):
    at = frames[int(chance.uniform(0.1, 0.9) * len(frames))].ns
    return [f for f in frames if not at < f.ns < at + seconds * 10**9]


@mutation("twice at once", later=0, survives=True, few=True)
@mutation("twice in 0.5 ms", later=MS // 2, survives=True)
@mutation("twice in 1.9 ms", later=19 * MS // 10, survives=True)
def twice(frames, scene, chance, later):
    return sorted_by_time([x for f in frames for x in (f, f._replace(ns=f.ns + later))])


@mutation("some twice, much later", few=True)
def again(frames, scene, chance):
    """What comes again after seconds is no copy: a replay, or a loop."""
    return sorted_by_time(frames + [f._replace(ns=f.ns + chance.randrange(5 * 10**9))
                                    for f in frames if not chance.randrange(100)])


# --- order and time ------------------------------------------------------------------

@mutation("stamps off by 0.2 ms", by=MS // 5, few=True)
@mutation("stamps off by 50 ms", by=50 * MS)
@mutation("stamps off by 2 s", by=2000 * MS)
def jitter(frames, scene, chance, by):
    """The frames in their order, with wrong times."""
    return [f._replace(ns=max(0, f.ns + chance.randrange(-by, by + 1))) for f in frames]


@mutation("reordered within 0.5 ms", by=MS // 2, few=True)
@mutation("reordered within 20 ms", by=20 * MS)
def reorder(frames, scene, chance, by):
    """A tenth of them handed over late, as by queues of a card."""
    return sorted_by_time([f._replace(ns=f.ns + chance.randrange(by))
                           if not chance.randrange(10) else f for f in frames])


@mutation("shuffled in tens", few=True)
def shuffle(frames, scene, chance):
    """Their bytes, not their times."""
    out = []
    for at in range(0, len(frames), 10):
        some = frames[at:at + 10]
        mixed = chance.sample(some, len(some))
        out += [m._replace(ns=f.ns) for f, m in zip(some, mixed)]
    return out


@mutation("wild stamps")
def wild(frames, scene, chance):
    return [f._replace(ns=chance.randrange(2**32 * 10**9)) if not chance.randrange(200)
            else f for f in frames]


@mutation("server's side late by 0.5 ms")
def lagging(frames, scene, chance):
    return sorted_by_time([f._replace(ns=f.ns + MS // 2)
                           if source(f) in servers_of(scene) else f for f in frames])


@mutation("clock of 10 ms")
def coarse(frames, scene, chance):
    return [f._replace(ns=f.ns // (10 * MS) * (10 * MS)) for f in frames]


@mutation("tagged", survives=True)
def tag(frames, scene, chance):
    return [f._replace(wire=f.wire + 4, data=f.data[:12] + b"\x81\x00\x00\x64" + f.data[12:])
            for f in frames]


# --- running -------------------------------------------------------------------------

def load(folder, program):
    """(path, scene) of all captures of a folder."""
    truth = os.path.join(folder, "truth.json")
    if os.path.exists(truth):
        with open(truth) as file:
            return [(os.path.join(folder, s["pcap"]), s) for s in json.load(file)]
    found = []
    for top, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith(".pcap"):
                found.append((os.path.join(top, name), None))
    return found


def unknown_truth(program, path):
    """What an unlabelled capture gets as it is: as much, and no more, it may get."""
    events, why = scenes.look(program, path)
    if events is None:
        return None, why
    seen = [e for e in events if e["event_type"] == "incident"]
    addresses = {scenes.address(e) for e in events if e["event_type"] == "server"}
    return {"pcap": path, "servers": sorted(a for a in addresses if a and "." in a),
            "truth": {"incidents": [
                {"server": scenes.address(e), "verdict": e["verdict"], "optional": True}
                for e in seen]}}, ""


def is_true_still(scene, mutation):
    """Is what the truth asks for still to be seen? Segments beyond the MSS are not,
    once the SYN is missing; a start after the fault shows no onset."""
    return mutation.survives and not ("begun" in mutation.name and
                                      scene["pcap"] == "mss-violation.pcap")


def try_one(options, path, link, frames, scene, mutation, seed):
    name = "%s: %s, seed %d" % (os.path.relpath(path, options.top), mutation.name, seed)
    chance = random.Random("%s %s %d" % (scene["pcap"], mutation.name, seed))
    changed = mutation.change(frames, scene, chance)
    with tempfile.NamedTemporaryFile(suffix=".pcap", dir=options.scratch,
                                     delete=False) as copy:
        pass
    scenes.write(copy.name, link, changed)
    events, why = scenes.look(options.program, copy.name, options.seconds)
    wrong = [why] if events is None else list(
        scenes.wrong_verdicts(scene, events, () if mutation.survives else ("undetermined",)))
    if events is not None and is_true_still(scene, mutation):
        wrong += scenes.missing_verdicts(scene, events)
    if wrong and options.keep:
        os.makedirs(options.keep, exist_ok=True)
        os.rename(copy.name, os.path.join(options.keep, name.replace("/", "_") + ".pcap"))
    else:
        os.unlink(copy.name)
    return name, wrong


def try_capture(options, number, path, scene):
    """All mutations of one capture; (name, complaints) of each."""
    link, frames = scenes.read(path)
    if scene is None:
        scene, why = unknown_truth(options.program, path)
        if scene is None:
            return [(path, [why])]
    if not frames:
        return []
    chosen = [m for m in TABLE if (m.few or not options.few) and options.only in m.name]
    chosen = chosen[number % options.every::options.every]
    return [try_one(options, path, link, frames, scene, m, seed)
            for m in chosen for seed in range(options.seeds)]


def bound_memory(megabytes):
    """Of this process and the program: what asks for more dies. (An address
    sanitizer's shadow is larger than any memory: 0 sets no bound.)"""
    if megabytes:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


def options():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("folders", nargs="+")
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--few", action="store_true", help="the short list of mutations")
    p.add_argument("--every", type=int, default=1, metavar="N", help="each capture with "
                   "every Nth mutation, another one first each time")
    p.add_argument("--only", default="", help="mutations with this in their names")
    p.add_argument("--capture", default="", help="captures with this in their paths")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    p.add_argument("--megabytes", type=int, default=2048)
    p.add_argument("--seconds", type=int, default=60, help="a run may take")
    p.add_argument("--keep", help="folder for what went wrong")
    return p.parse_args()


def main():
    o = options()
    bound_memory(o.megabytes)
    o.top = os.path.commonpath([os.path.abspath(f) for f in o.folders])
    number = failed = 0
    with tempfile.TemporaryDirectory(prefix="toewatch-mutate.") as o.scratch, \
            concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        captures = [c for f in o.folders for c in load(f, o.program) if o.capture in c[0]]
        for results in pool.map(lambda c: try_capture(o, c[0], *c[1]),
                                    enumerate(captures)):
            for name, wrong in results:
                number += 1
                failed += scenes.report(number, name, wrong)
            sys.stdout.flush()
    print("1..%d" % number)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
