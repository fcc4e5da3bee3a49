#!/usr/bin/env python3
"""What toewatch costs, beside a bare read loop and what else reads captures.

Captures are made (maker), each program is run on each of them in turn, so often as
asked, and a table for each capture is printed: medians, and ratios taken run by run,
because a machine drifts. Nothing here passes or fails; it is for `make bench`.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys

# Others, where they are installed, and how each is asked for what is most like our own
# work; {} is the capture. (tshark does it only when it has to print it.)
PEERS = {
    "tcptrace": ["tcptrace", "-n", "{}"],
    "argus": ["argus", "-r", "{}", "-w", "-"],
    "ndpiReader": ["ndpiReader", "-q", "-i", "{}"],
    "tshark": ["tshark", "-n", "-r", "{}", "-o", "tcp.check_checksum:TRUE", "-T", "fields",
               "-e", "frame.number", "-e", "tcp.analysis.flags"],
}
FLOOR, ONE, TWO = "libpcap loop", "toewatch -j 1", "toewatch -j 2"

# What we want of -j 1: processor time within so many times the floor's, less than
# every peer's, memory (MB), and less than tshark's by this factor. Nothing of the mix of
# samples: half of its servers fail, and much of the work is to tell of that.
WANTED = {
    "bulk": dict(floor=2.5, tshark=50),
    "farm": dict(floor=5, peers=True, tshark=50, two=1.6),
    "real": dict(floor=8, peers=True),
    "million": dict(floor=6, megabytes=400),
    "synflood": dict(floor=8, megabytes=1024),
}
LEVEL = (0.01, 0.1, 1)		# of the million connections
SLOW = 20			# seconds: who takes longer is run once
WARM = 1024			# MB of memory that are at hand when a run begins


class Run:
    def __init__(self, line):
        status, user, system, wall, peak = line.split()
        self.status, self.cpu = int(status), float(user) + float(system)
        self.system = float(system)
        self.wall, self.megabytes = float(wall), int(peak) / 1024


def measure(args, command, seconds=0, megabytes=0):
    """One run; its output is in args.out."""
    subprocess.run([args.measure, "warm", str(int(WARM * min(args.scale, 1)))])
    done = subprocess.run([args.measure, args.out, str(seconds), str(megabytes), *command],
                          capture_output=True, text=True, check=True)
    return Run(done.stdout)


def make(args, scene, scale, name=None):
    path = os.path.join(args.dir, (name or scene) + ".pcap")
    played = args.real if scene == "real" else args.pcaps
    done = subprocess.run([args.maker, "mix" if scene == "real" else scene, path, str(scale),
                           played], capture_output=True, text=True)
    if done.returncode:
        sys.exit("bench: " + done.stderr.strip())
    return path, int(done.stdout.split()[0]), os.path.getsize(path)


def programs(args):
    ours = [args.toewatch, "-r", "{}", "-T", "json", "-j"]
    all = {FLOOR: [args.floor, "{}"], ONE: ours + ["1"], TWO: ours + ["2"]}
    for name, command in PEERS.items():
        if (args.peers == "all" or name in args.peers.split()) and shutil.which(command[0]):
            all[name] = command
    return all


def race(args, path):
    """Every program's runs, and whether both toewatches said the same."""
    runs, said = {}, {}
    for turn in range(args.runs):
        for name, command in programs(args).items():
            peer = name in PEERS
            if turn and (name not in runs or runs[name][-1].status and peer or
                         peer and runs[name][0].cpu > SLOW):
                continue
            run = measure(args, [path if c == "{}" else c for c in command],
                          args.seconds if peer else 0, args.megabytes if peer else 0)
            if run.status and not peer:
                sys.exit("bench: %s: exit status %d on %s" % (name, run.status, path))
            runs.setdefault(name, []).append(run)
            if name in (ONE, TWO):
                with open(args.out, "rb") as out:
                    said[name] = out.read()
    os.unlink(args.out)
    return runs, said[ONE] == said[TWO]


def median(values):
    return statistics.median(list(values))


def ratio(over, under, what="cpu"):
    """Run by run where both ran as often, else of the medians."""
    pairs = list(zip(over, under))
    if len(over) != len(under):
        return median(getattr(r, what) for r in over) / median(getattr(r, what) for r in under)
    return median(getattr(a, what) / max(getattr(b, what), 0.001) for a, b in pairs)


def failure(status):
    return {124: "took too long", 137: "killed"}.get(status, "gave up, exit status %d" % status)


def table(runs, packets, size):
    print("%-14s %8s %8s %8s %8s %9s %8s %8s %9s" % (
        "", "cpu s", "system", "wall s", "peak MB", "Mpacket/s", "Gbit/s", "x floor", "x toewatch"))
    for name, mine in runs.items():
        if mine[0].status:
            print("%-14s %s after %.0f s, %.0f MB" % (name, failure(mine[0].status), mine[0].wall,
                                                      mine[0].megabytes))
            continue
        wall = max(median(r.wall for r in mine), 0.001)
        print("%-14s %8.2f %8.2f %8.2f %8.0f %9.2f %8.2f %8.1f %9.2f" % (
            name, median(r.cpu for r in mine), median(r.system for r in mine), wall,
            max(r.megabytes for r in mine), packets / wall / 1e6, size * 8 / wall / 1e9,
            ratio(mine, runs[FLOOR]), ratio(mine, runs[ONE])))


def bars(scene, runs, same):
    wanted, one = WANTED.get(scene, {}), runs[ONE]
    peers = {n: r for n, r in runs.items() if n in PEERS and not r[0].status}
    if "floor" in wanted:
        yield ratio(one, runs[FLOOR]), "<=", wanted["floor"], "times the floor"
    if "megabytes" in wanted:
        yield max(r.megabytes for r in one), "<=", wanted["megabytes"], "MB"
    if wanted.get("peers") and peers:
        name = min(peers, key=lambda n: median(r.cpu for r in peers[n]))
        yield ratio(one, peers[name]), "<=", 1, "times the fastest peer (%s)" % name
    if "tshark" in wanted and "tshark" in peers:
        yield ratio(peers["tshark"], one), ">=", wanted["tshark"], "times as fast as tshark"
    if "two" in wanted:
        yield ratio(one, runs[TWO], "wall"), ">=", wanted["two"], "times as fast with -j 2"
    yield int(same), ">=", 1, "-j 1 and -j 2 say the same (1: yes)"


def print_bars(all):
    for value, how, bar, what in all:
        met = value <= bar if how == "<=" else value >= bar
        print("  %s %8.2f %s %-6g %s" % ("met   " if met else "MISSED", value, how, bar, what))


def bench(args, scene, text):
    path, packets, size = make(args, scene, args.scale)
    print("%s: %s\n%s packets, %.0f MB; medians of %d" % (
        scene, text, format(packets, ","), size / 1e6, args.runs))
    runs, same = race(args, path)
    table(runs, packets, size)
    print_bars(bars(scene, runs, same))
    print(flush=True)
    if not args.keep:
        os.unlink(path)


def level(args):
    """Is a packet as cheap among a million connections as among ten thousand? What
    starting costs is taken off; the least of the runs counts."""
    command = [args.toewatch, "-r", "{}", "-T", "json", "-j", "1"]
    cost = {}
    print("level: a packet's cost by the number of connections open at once")
    empty, _, _ = make(args, "million", 1e-9, "level")
    start = min(measure(args, [empty if c == "{}" else c for c in command]).cpu
                for _ in range(max(args.runs, 3)))
    for part in LEVEL:
        path, packets, _ = make(args, "million", part * args.scale, "level")
        least = min(measure(args, [path if c == "{}" else c for c in command]).cpu
                    for _ in range(args.runs))
        cost[part] = max((least - start) * 1e9 / packets, 1)
        print("%9s connections %10s packets %8.0f ns a packet" % (
            format(packets // 6, ","), format(packets, ","), cost[part]))
        os.unlink(path)
    os.unlink(args.out)
    print_bars([(cost[LEVEL[-1]] / cost[LEVEL[0]], "<=", 2, "times as dear as among the fewest")])
    print(flush=True)


def options():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("scenes", nargs="*")
    for program in ("maker", "floor", "measure", "toewatch"):
        p.add_argument("--" + program, required=True)
    p.add_argument("--pcaps", required=True, help="the captures that the mix is made of")
    p.add_argument("--real", default="", help="captures of real networks: scene `real`")
    p.add_argument("--dir", default="build/bench", help="where captures are made")
    p.add_argument("--scale", type=float, default=1)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--peers", default="all", help="all, none, or names")
    p.add_argument("--seconds", type=int, default=900, help="a peer's, at most")
    p.add_argument("--megabytes", type=int, default=16384, help="a peer's, at most")
    p.add_argument("--keep", action="store_true", help="keep the captures")
    return p.parse_args()


def main():
    args = options()
    listed = subprocess.run([args.maker], capture_output=True, text=True, check=True).stdout
    known = {name: (float(mb), text) for name, mb, text in
             (line.split("\t") for line in listed.splitlines())}
    if args.real:
        known["real"] = (1100, "captures of real networks (--real) over and over, as in mix")
    chosen = args.scenes or [*known, "level"]
    wrong = [s for s in chosen if s not in known and s != "level"]
    if wrong:
        sys.exit("bench: %s: there are %s" % (" ".join(wrong), " ".join([*known, "level"])))
    os.makedirs(args.dir, exist_ok=True)
    args.out = os.path.join(args.dir, "output.%d" % os.getpid())
    need = [known["million" if s == "level" else s][0] * args.scale for s in chosen]
    need = sum(need) if args.keep else max(need)
    free = shutil.disk_usage(args.dir).free / 1e6
    print("bench: %.0f MB in %s (%.0f MB are free)\n" % (need, args.dir, free))
    if need * 1.1 > free:
        sys.exit("bench: not enough room; SCALE=0.1 takes a tenth, BENCH_DIR=DIR another place")
    for scene in chosen:
        if scene == "level":
            level(args)
        else:
            bench(args, scene, known[scene][1])


main()
