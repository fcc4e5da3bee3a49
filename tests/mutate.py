#!/usr/bin/env python3
"""Captures as a mirror port gives them (each frame twice, some lost, one direction
missing, cut to a snap length, begun in the middle), and as damaged as captures are
(bytes flipped, reordered, misdated). toewatch has to come to an end with each, in
bounded time and memory, with the same output for each number of workers, and must
never blame a server because of what was done: an incident is wrong where the truth has
none at that server, or has another verdict (that it cannot tell is allowed where the
true one need not survive). What the true ones have to survive is in the table below.

	mutate.py TOEWATCH [--kind mirror|damage] [--few] [--seeds N] [--workers 1,2,4]
		[--jobs N] [--megabytes N] [--stride N] [--keep DIR] FOLDER ...

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
Mutation = collections.namedtuple("Mutation", "name change kind survives blind holds few")
TABLE = []


def mutation(name, kind="damage", survives=False, blind=False, holds=None, few=False,
             **arguments):
    """Puts a function of (frames, scene, chance) in the table. `kind`: damage, or how a
    mirror port shows what is there. `survives`: true incidents must; `blind`: none is
    to be told at all, not even a true one. `holds`: findings are compared too, with the
    truth or with what the whole capture gave. `few`: part of the short run."""
    def add(function):
        def change(frames, scene, chance):
            return function(frames, scene, chance, **arguments)
        TABLE.append(Mutation(name, change, kind, survives, blind, holds, few))
        return function
    return add


def seen(name, **arguments):
    """A mutation as a mirror port makes it; all of them are in the short run."""
    return mutation(name, kind="mirror", few=True, **arguments)


def sorted_by_time(frames):
    return sorted(frames, key=lambda f: f.ns)


def servers_of(scene):
    return {bytes(map(int, a.split("."))) for a in scene["servers"] if "." in a}


def source(frame):
    """... of IPv4, and of what VXLAN carries (RFC 7348, 5; no options, no tags)."""
    data = frame.data
    if data[23:24] == b"\x11" and data[36:38] == b"\x12\xb5":
        data = data[50:]
    return data[26:30] if data[12:14] == b"\x08\x00" else None


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


@seen("as it is", survives=True, holds="truth")
def as_it_is(frames, scene, chance):
    return frames


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

# Ethernet and IPv4 (34) with TCP without options (54), with timestamps (66 needs more
# than 60), and what people used to capture with (68, 96).
@seen("54 kept", keep=54, holds="whole")
@seen("60 kept", keep=60, holds="whole")
@seen("68 kept", keep=68, holds="whole")
@seen("96 kept", keep=96, holds="whole")
@seen("128 kept", keep=128, holds="whole")
@seen("256 kept", keep=256, holds="whole", survives=True)
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

@seen("0.1 % lost", share=0.001, survives=True)
@seen("0.5 % lost", share=0.005, survives=True)
@seen("1 % lost", share=0.01, survives=True)
@seen("2 % lost", share=0.02)
@seen("5 % lost", share=0.05)
def lose(frames, scene, chance, share):
    return [f for f in frames if chance.random() >= share]


@seen("bursts lost")
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


@seen("begun in the middle", part=0.5, survives=True)
@seen("begun at a quarter", part=0.25, survives=True)
@seen("begun late", part=0.9)
def late(frames, scene, chance, part):
    """... of the time before the fault, if there is one."""
    start, end = frames[0].ns, frames[-1].ns
    if scene.get("fault_at"):
        end = scene["fault_at"] * 10**9
    return [f for f in frames if f.ns >= start + part * (end - start)]


@seen("ended early")
def early(frames, scene, chance):
    part = chance.uniform(0.05, 0.95)
    return frames[:max(1, int(part * len(frames)))]


@seen("no server", to=False, blind=True)
@seen("no client", to=True)
def one_way(frames, scene, chance, to):
    return [f for f in frames if (sender(f) in servers_of(scene)) == to]


@seen("half of the connections one way")
def half_one_way(frames, scene, chance):
    return [f for f in frames if source(f) not in servers_of(scene) or f.data[33] & 1]


@seen("one way from the middle on")
def one_way_late(frames, scene, chance):
    middle = frames[len(frames) // 2].ns
    return [f for f in frames if f.ns < middle or sender(f) not in servers_of(scene)]


@seen("8 s missing", seconds=8)
@mutation("30 s missing", seconds=30)
def gap(frames, scene, chance, seconds):
    at = frames[int(chance.uniform(0.1, 0.9) * len(frames))].ns
    return [f for f in frames if not at < f.ns < at + seconds * 10**9]


@seen("twice at once", later=0, survives=True)
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


@seen("tagged", survives=True)
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
            if name.endswith((".pcap", ".pcapng", ".cap")):
                found.append((os.path.join(top, name), None))
    return found


def unknown_truth(path, events):
    """What an unlabelled capture gets as it is: as much, and no more, it may get."""
    told = [e for e in events if e["event_type"] == "incident"]
    addresses = {scenes.address(e) for e in events if e["event_type"] == "server"}
    return {"pcap": path, "servers": sorted(a for a in addresses if a and "." in a),
            "truth": {"incidents": [
                {"server": scenes.address(e), "verdict": e["verdict"], "optional": True}
                for e in told]}}


def is_true_still(scene, mutation):
    """Is what the truth asks for still to be seen? Segments beyond the MSS are not,
    once the SYN is missing; a start after the fault shows no onset."""
    return mutation.survives and not ("begun" in mutation.name and
                                      scene["pcap"] == "mss-violation.pcap")


def worker_counts(options, *key):
    """One worker, and with --few another count each time (--again N: one time in N), or
    else all of them."""
    others, chance = options.workers[1:], random.Random(repr(key))
    if options.few and others:
        others = [chance.choice(others)]
    if chance.randrange(options.again):
        others = []
    return options.workers[:1] + others


def complaints(scene, mutation, events, whole):
    """What is wrong in the events. `whole`: the findings of the capture as it is."""
    if mutation.blind:
        scene = dict(scene, truth={"incidents": []})
    yield from scenes.wrong_verdicts(scene, events,
                                     () if mutation.survives else ("undetermined",))
    if is_true_still(scene, mutation):
        yield from scenes.missing_verdicts(scene, events)
    if mutation.holds == "truth":
        yield from scenes.findings(scene, events)
    if mutation.holds == "whole":
        yield from scenes.made_up(whole, events)


def look_with_all(options, path, mutation, scene, seed):
    """The events of a run, and what the runs with other numbers of workers say
    differently."""
    output, wrong = None, []
    for n in worker_counts(options, scene["pcap"], mutation.name, seed):
        said, why = scenes.run(options.program, path, options.seconds, workers=n)
        if said is None:
            return None, [why]
        if output is None:
            output = said
        elif said != output:
            wrong.append("-j %d says something else" % n)
    return scenes.events(output), wrong


def try_one(options, path, link, frames, scene, mutation, seed, whole):
    name = "%s: %s, seed %d" % (os.path.relpath(path, options.top), mutation.name, seed)
    with tempfile.NamedTemporaryFile(suffix=".pcap", dir=options.scratch,
                                     delete=False) as copy:
        pass
    scenes.write(copy.name, link, frames)
    events, wrong = look_with_all(options, copy.name, mutation, scene, seed)
    if events is not None:
        wrong += complaints(scene, mutation, events, whole)
    if wrong and options.keep:
        os.makedirs(options.keep, exist_ok=True)
        os.rename(copy.name, os.path.join(options.keep, name.replace("/", "_") + ".pcap"))
    else:
        os.unlink(copy.name)
    return mutation.name, name, wrong


def changes(options, frames, scene, mutation):
    """(seed, changed frames): once only, if nothing in it is left to chance, and not
    where nothing changed."""
    for seed in range(options.seeds):
        chance = random.Random("%s %s %d" % (scene["pcap"], mutation.name, seed))
        before = chance.getstate()
        changed = mutation.change(frames, scene, chance)
        if changed != frames or mutation.name == "as it is":
            yield seed, changed
        if chance.getstate() == before:
            break


def try_capture(options, number, path, scene):
    """All mutations of one capture; (mutation, case, complaints) of each."""
    link, frames = scenes.read(path)
    if not frames:
        return []
    events, why = scenes.look(options.program, path, options.seconds)
    if events is None:
        return [("as it is", path, [why])]
    scene = scene or unknown_truth(path, events)
    chosen = [m for m in TABLE if (m.few or not options.few) and options.only in m.name
              and options.kind in m.kind]
    if scene["truth"]["incidents"] or options.kind != "mirror":
        chosen = chosen[number % options.every::options.every]
    return [try_one(options, path, link, changed, scene, m, seed, events)
            for m in chosen for seed, changed in changes(options, frames, scene, m)]


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
    p.add_argument("--kind", default="", help="mirror, damage; else both")
    p.add_argument("--few", action="store_true", help="the short list of mutations, and "
                   "two of the --workers at a time")
    p.add_argument("--every", type=int, default=1, metavar="N", help="each capture with "
                   "every Nth mutation, another one first each time (not what a mirror "
                   "makes of healthy ones: that is all tried)")
    p.add_argument("--workers", type=lambda t: [int(n) for n in t.split(",")],
                   default=[1], metavar="N,N", help="numbers of workers, one output")
    p.add_argument("--again", type=int, default=1, metavar="N",
                   help="one case in N with other numbers of workers too")
    p.add_argument("--only", default="", help="mutations with this in their names")
    p.add_argument("--capture", default="", help="captures with this in their paths")
    p.add_argument("--stride", type=int, default=1, metavar="N",
                   help="every Nth capture")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    p.add_argument("--megabytes", type=int, default=2048)
    p.add_argument("--seconds", type=int, default=60, help="a run may take")
    p.add_argument("--quiet", action="store_true", help="what failed, and a table")
    p.add_argument("--keep", help="folder for what went wrong")
    return p.parse_args()


def print_table(cases):
    print("# %-32s %8s %8s" % ("", "runs", "wrong"))
    for m in TABLE:
        wrong = [w for name, w in cases if name == m.name]
        if wrong:
            print("# %-32s %8d %8d" % (m.name, len(wrong), sum(wrong)))


def main():
    o = options()
    bound_memory(o.megabytes)
    o.top = os.path.commonpath([os.path.abspath(f) for f in o.folders])
    cases = []
    with tempfile.TemporaryDirectory(prefix="toewatch-mutate.") as o.scratch, \
            concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        captures = [c for f in o.folders for c in load(f, o.program)
                    if o.capture in c[0]][::o.stride]
        for results in pool.map(lambda c: try_capture(o, c[0], *c[1]),
                                    enumerate(captures)):
            for mutation, name, wrong in results:
                cases.append((mutation, bool(wrong)))
                if wrong or not o.quiet:
                    scenes.report(len(cases), name, wrong)
            sys.stdout.flush()
    if o.quiet:
        print_table(cases)
    print("1..%d" % len(cases))
    sys.exit(any(wrong for _, wrong in cases))


if __name__ == "__main__":
    main()
