#!/usr/bin/env python3
"""verify.py [-o DIR] [--write] [NAME ...]: is in each capture what its scene promises?

Counts with this directory's own reader (and tshark for the dissection), never with the
program that the captures are to test. An assertion that fails names the capture. --write
puts what was found into MANIFEST, for people, and truth.json, for tests.
"""
import collections
import json
import os
import socket
import statistics
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(HERE, "lab"))

import acts_modern			# noqa: E402,F401	each adds its scenes to the table
import acts_nat				# noqa: E402,F401
import acts_offload			# noqa: E402,F401
import acts_remote			# noqa: E402,F401
import acts_service			# noqa: E402,F401
import acts_share			# noqa: E402,F401
import acts_slow			# noqa: E402,F401
import acts_wire			# noqa: E402,F401
import check				# noqa: E402
import nic				# noqa: E402
import prove				# noqa: E402
import prove_modern			# noqa: E402
import scenes				# noqa: E402
import stage				# noqa: E402
import prove_services			# noqa: E402

EX1, EX2 = "10.20.30.5", "10.20.30.6"
CHECKS, checks = prove.table()


class Capture:
    def __init__(self, path, name):
        self.path, self.name, self.scene = path, name, scenes.SCENES[name]
        base = self.scene.start
        self.server = self.scene.servers[0]
        self.frames, self.flows, self.facts = check.read(path, self.server, base)
        self.end, self.fault = self.frames[-1][0], self.scene.fault
        self.all = list(self.flows.values())
        self.up = [f for f in self.all if f.high() is not None]
        self.segs = [(n, t, stage.Segment(f)) for n, (t, f) in enumerate(self.frames, 1)]

    def other(self):
        return list(check.read(self.path, EX2, self.scene.start)[1].values())

    def since(self, sign, seconds):
        return "frame.time_epoch %s %.6f" % (sign, self.scene.start + seconds)

    def shark(self, condition):
        return len(check.tshark(self.path, "-Y", condition, "-T", "fields", "-e", "frame.number"))

    def bad(self):
        return sum(v for k, v in self.facts.items() if k.startswith("bad"))


def data(flow, down, since=-1.0):
    return [s for s in flow.segs if s.down == down and s.len > 1 and s.time >= since]


def answered(flow, since):
    """The server sent data after `since` that follows a request made after it."""
    ask = data(flow, False, since)
    return bool(ask and data(flow, True, ask[0].time))


def acked(flow, seg):
    return any(s.down and s.time >= seg.time and s.flags & 16 and not stage.after(seg.end, s.ack) for s in flow.segs)


def silent(c, flows, since):
    """Requests after `since` that TCP acknowledged and nothing answered: (flow, first request)."""
    out = []
    for f in flows:
        state, at = check.ending(f, c.end)
        if state == "acknowledged, no answer" and at >= since - 1:
            out.append((f, next(s for s in f.segs if s.time == at)))
    return out


def ports(flows):
    return ", ".join("%d" % p for p in sorted({f.key[2] for f in flows}))


def clients(flows):
    return len({f.key[0] for f in flows})


def alive(c, since, server=EX1):
    """What the host itself answers after `since`."""
    a, out = socket.inet_aton(server), collections.Counter()
    for _, t, s in c.segs:
        if t < since:
            continue
        if s.arp and s.frame[28:32] == a and s.frame[20:22] == b"\0\2":
            out["ARP replies"] += 1
        elif s.ip and s.src == a and s.proto == 1 and s.frame[s.l4] == 0:
            out["echo replies"] += 1
        elif s.ip and s.src == a and s.proto == 17 and s.sport == 1117:
            out["UDP notices"] += 1
        elif s.tcp and s.src == a and s.flags & 18 == 18:
            out["SYN-ACKs"] += 1
    return ", ".join("%d %s" % (v, k) for k, v in sorted(out.items())) or "nothing"


def unacked(c, f, since, times=3):
    """Client data sent `times` times and never acknowledged: the first such segment."""
    seen = collections.Counter()
    for s in data(f, False, since):
        seen[s.seq] += 1
        if seen[s.seq] >= times and not acked(f, s):
            return s
    return None


@checks("exchange-freeze")
def freeze(c):
    old = [f for f in c.up if f.segs[0].time < c.fault]
    new = [f for f in c.all if f.segs[0].time > c.fault]
    mute = silent(c, c.up, c.fault)
    assert len(mute) >= 15 and clients([f for f, _ in mute]) >= 8
    assert not any(f.high() < c.fault and answered(f, c.fault) for f in old)
    host = [f for f in c.all if f not in c.up and answered(f, c.fault)]
    assert len(host) >= 10 and not silent(c, [f for f in c.all if f not in c.up], c.fault)
    waits = [1000 * (min(x.time for x in f.segs if x.down and x.time >= s.time) - s.time) for f, s in mute]
    ka = [s for f in c.up for s in f.segs if not s.down and s.time > c.fault and s.len == 1 and acked(f, s)]
    rpc = [f for f, _ in mute if f.key[2] == 1114]
    ex2 = [f for f in c.other() if answered(f, c.fault)]
    assert rpc and ex2 and new
    return ["%d offloaded flows of %d clients (ports %s; %d RPC): request acknowledged, never answered; first frame %d"
            % (len(mute), clients([f for f, _ in mute]), ports([f for f, _ in mute]), len(rpc), min(s.number for _, s in mute)),
            "acknowledged after %.2f ms (median), by packets in the upper IP-ID half" % statistics.median(waits),
            "no flow that was offloaded before %.1f s is answered after it" % c.fault,
            "%d flows of the lower half are answered after it, %d connections are new" % (len(host), len(new)),
            "after it from the host: %s; keep-alives answered on offloaded flows: %d" % (alive(c, c.fault), len(ka)),
            "%d flows of EX02 answered after it" % len(ex2)]


@checks("healthy-office")
def well(c):
    assert not c.shark("tcp.analysis.retransmission") and not c.shark("tcp.flags.reset==1")
    late = [f for f, s in silent(c, c.all, 0) if b"wait?" not in s.payload()]
    assert not late
    ka, no = c.shark("tcp.analysis.keep_alive"), c.shark("tcp.analysis.keep_alive_ack")
    assert ka == no
    hangs = sum(1 for f in c.all for s in data(f, False) if b"GET /wait" in s.payload())
    parked = [f for f in c.all if check.ending(f, c.end)[0] == "parked"]
    return ["%d keep-alives, all answered; no retransmission, no RST" % ka, "%d long polls; %d calls parked at the end" % (hangs, len(parked)),
            "every other request is answered"]


@checks("toe-deaf")
def deaf(c):
    dead = [(f, unacked(c, f, c.fault - 1)) for f in c.all]
    dead = [(f, s) for f, s in dead if s]
    live = [f for f in c.all if answered(f, c.fault)]
    assert len(dead) >= 6 and all(f in c.up for f, _ in dead) and len(live) >= 10
    return ["%d offloaded flows of %d clients: data sent three times and more, never acknowledged (first in frame %d)"
            % (len(dead), clients([f for f, _ in dead]), min(s.number for _, s in dead)),
            "%d flows answered after %.0f s; %s" % (len(live), c.fault, alive(c, c.fault))]


@checks("keepalive-dead")
def probes(c):
    dead, good = [], []
    for f in c.all:
        ka = [s for s in f.segs if not s.down and s.len == 1 and s.time > c.fault]
        if len(ka) >= 3 and not any(s.down and s.time > c.fault for s in f.segs):
            dead.append(f)
        elif ka and all(acked(f, s) for s in ka):
            good.append(f)
    before = [s for f in c.all for s in f.segs if not s.down and s.len == 1 and s.time < c.fault]
    assert len(dead) >= 5 and len(good) >= 2 and all(f in c.up for f in dead) and before
    live = [f for f in c.all if answered(f, c.fault)]
    return ["%d keep-alives before %.0f s, all answered" % (len(before), c.fault),
            "%d flows: probes after it and nothing from the server; all in the upper half" % len(dead),
            "%d flows: probes after it answered; %d other connections with data answered" % (len(good), len(live))]


@checks("lost-state")
def lost(c):
    out = [f for f in c.all if any(s.down and s.rst for s in f.segs)
           and not any(s.fin for s in f.segs[:next(i for i, s in enumerate(f.segs) if s.rst)])]
    live = [f for f in c.all if answered(f, c.fault)]
    assert len(out) >= 6 and len(live) >= 6
    return ["%d flows: data or FIN answered with RST and no FIN before it (first RST frame %d)"
            % (len(out), min(s.number for f in out for s in f.segs if s.rst)),
            "their packets before were in the upper half; the RSTs are in the lower", "%d other flows answered after %.0f s" % (len(live), c.fault)]


@checks("stale-tuple")
def stale(c):
    rounds, freed = collections.Counter(), set()
    by = collections.defaultdict(list)
    for f in c.all:
        by[f.key[:3]] += f.segs
    for key, segs in by.items():
        segs.sort(key=lambda s: s.number)
        for a, b in zip(segs, segs[1:]):
            if a.time > c.fault and not a.down and a.syn and b.down:
                if b.syn:
                    freed.add(key)
                elif b.flags & 16 and b.ack != a.end:
                    rounds[key] += 1
    held = [k for k in rounds if rounds[k] >= 3]
    once = [k for k in rounds if k in freed and k not in held]
    assert len(held) >= 3 and once
    return ["%d tuples: SYN answered by an ACK with the old numbers, %d times in all, the RST in vain" % (len(held), sum(rounds[k] for k in held)),
            "%d tuples: freed by the client's first RST and connected again" % len(once)]


@checks("window-scale-lost")
def scale(c):
    small = []
    for f in c.up:
        wins = [s.win for s in f.segs if s.down and not s.syn and s.time > c.fault]
        before = [s.win for s in f.segs if s.down and not s.syn and not any(x >= 0x8000 for x in ())]
        if wins and max(before) >= 100 * min(wins) > 0:
            small.append(f)
    assert len(small) >= 3
    return ["%d flows whose window field falls by the factor 128 between two server packets" % len(small)]


@checks("timestamps-lost")
def stamps(c):
    negotiated = c.shark("tcp.flags.syn==1 && tcp.options.timestamp.tsval")
    bare = c.shark("ip.src==%s && tcp.flags.syn==0 && tcp.flags.reset==0 && !tcp.options.timestamp.tsval" % EX1)
    hit = {f.key for f in c.up for s in f.segs if s.down and s.len and s.data - s.l4 < 32}
    assert negotiated and bare >= 20 and len(hit) >= 3
    return ["%d SYNs and SYN-ACKs with timestamps; %d server segments without, on %d flows" % (negotiated, bare, len(hit)),
            "%d retransmissions (tshark)" % c.shark("tcp.analysis.retransmission")]


@checks("ack-unsent")
def ahead(c):
    n, hit = 0, set()
    for f in c.all:
        top = None
        for s in f.segs:
            if not s.down:
                top = s.end if top is None or stage.after(s.end, top) else top
            elif top is not None and s.flags & 16 and stage.after(s.ack, top):
                n += 1
                hit.add(f)
    assert n >= 10 and all(f in c.up for f in hit)
    return ["%d server segments acknowledge bytes never sent, on %d flows, all offloaded" % (n, len(hit)),
            "%d retransmissions (tshark)" % c.shark("tcp.analysis.retransmission")]


@checks("checksum-discarded")
def sums(c):
    bad, again = [], 0
    for f in c.all:
        for i, s in enumerate(f.segs):
            if s.sum() != int.from_bytes(s.frame[s.l4 + 16:s.l4 + 18], "big"):
                bad.append((f, s))
                again += any(x.down and x.seq == s.seq and x.len for x in f.segs[i + 1:])
    assert len(bad) >= 10 and all(s.down and f in c.up for f, s in bad) and again >= len(bad) - 2
    return ["%d bad TCP checksums, all from %s on offloaded flows (%d flows, first frame %d)"
            % (len(bad), EX1, len({f for f, _ in bad}), bad[0][1].number), "%d of them sent again with the same sequence number" % again]


def partial(s):
    tcp = s.total - (s.l4 - 14)
    want = stage.ones(s.src + s.dst + bytes([0, s.proto]) + tcp.to_bytes(2, "big"))
    at = s.l4 + (16 if s.tcp else 6)
    return int.from_bytes(s.frame[at:at + 2], "big") == want


@checks("checksum-artifact", "oversized-coalesced")
def artifact(c):
    out = [s for _, _, s in c.segs if s.tcp and s.src == socket.inet_aton(EX1)]
    into = [s for _, _, s in c.segs if s.tcp and s.src != socket.inet_aton(EX1)]
    good = [s for s in out if s.sum() == int.from_bytes(s.frame[s.l4 + 16:s.l4 + 18], "big")]
    assert all(partial(s) or s in good for s in out) and len(good) * 10 < len(out)
    assert not c.shark("tcp.analysis.retransmission")
    facts = ["%d of %d TCP segments of the capturing host bear the pseudo-header sum with length; no retransmission"
             % (len(out) - len(good), len(out))]
    if c.name == "checksum-artifact":
        assert all(s.sum() == int.from_bytes(s.frame[s.l4 + 16:s.l4 + 18], "big") for s in into)
        return facts + ["every segment it receives has a good checksum"]
    big, got = [s for s in out if s.len > 1460], [s for s in into if s.len > 1460]
    assert len(big) >= 8 and got and all(partial(s) for s in got)
    return facts + ["%d segments above the MSS of 1460 sent (up to %d bytes), %d received (merged, partial sums)"
                    % (len(big), max(s.len for s in big), len(got))]


@checks("mss-violation")
def toobig(c):
    big = [(f, s) for f in c.all for s in f.segs if s.down and s.len > 1460]
    again = len(big) - len({(f, s.seq) for f, s in big})
    passed = [s for f, s in big if any(not x.down and x.time > s.time and x.flags & 16 and not stage.after(s.end, x.ack) for x in f.segs)]
    assert len(big) >= 8 and again >= 4 and not passed and all(f in c.up for f, _ in big)
    return ["%d segments over the clients' MSS of 1460 on %d offloaded flows, %d of them repetitions, none ever acknowledged"
            % (len(big), len({f for f, _ in big}), again)]


@checks("burst-lost")
def bursts(c):
    hit = []
    for f in c.up:
        full = [s for s in f.segs if s.down and s.len > 1400 and s.time > c.fault]
        pace = [b.time - a.time for a, b in zip(full, full[1:]) if b.time - a.time > 0.15 and b.seq in {s.seq for s in full if s.number < b.number}]
        if len(full) - len({s.seq for s in full}) >= 5:
            hit.append((f, len(full), len({s.seq for s in full}), len(pace)))
    holes = c.shark("ip.dst==%s && tcp.options.sack_le && %s" % (EX1, c.since(">", c.fault)))
    assert len(hit) >= 2 and not holes
    return ["flow from port %d: %d full segments to bring over %d, %d time-outs" % (f.key[1], n, u, p) for f, n, u, p in hit] + [
        "no receiver holds anything beyond a hole (no SACK): the bursts are lost whole"]


@checks("rss-stall")
def rss(c):
    queue, dead, live, tried = nic.DeadQueue(2), set(), set(), 0
    for f in c.all:
        ours = [s for s in f.segs if not s.down and s.time > c.fault + 1 and (s.len or s.syn)]
        if not ours:
            continue
        if queue.hit(ours[0]):
            assert not any(s.down and s.len and s.time > c.fault + 1 for s in f.segs)
            dead.add(f)
            tried += f.segs[0].time > c.fault
        elif any(s.down and s.time > ours[0].time for s in f.segs):
            live.add(f)
        else:
            assert c.end - ours[0].time < 2, f.key
    assert len(dead) >= 10 and len(live) >= 20
    return ["%d flows whose hash & 3 is 2 (%d of them new: SYNs) get nothing after %.0f s" % (len(dead), tried, c.fault),
            "%d flows of the other queues are answered" % len(live)]


@checks("client-vanished")
def vanished(c):
    gone = collections.Counter()
    for f in c.all:
        ours = [s for s in f.segs if s.down and s.time > c.fault + 1]
        if len(ours) >= 3 and not any(not s.down and s.time > c.fault for s in f.segs):
            gone[f.key[0]] += 1
    live = [f for f in c.all if answered(f, c.fault)]
    assert len(gone) >= 2 and sum(gone.values()) >= 3 and live
    return ["%d flows of %d clients: the server repeats or probes three times and more, nothing comes back" % (sum(gone.values()), len(gone)),
            "%d flows of the other clients answered afterwards" % len(live)]


@checks("close-wait", "session-leak")
def halfclosed(c):
    half = [f for f in c.all if any(not s.down and s.fin and acked(f, s) for s in f.segs)
            and not any(s.down and (s.fin or s.rst) for s in f.segs) and f.segs[-1].time < c.end - 60]
    closed = [f for f in c.all if any(s.down and s.fin for s in f.segs)]
    assert len(half) >= (10 if c.name == "close-wait" else 25)
    facts = ["%d flows of %d clients: FIN acknowledged more than 60 s before the end, no FIN or RST from the server" % (len(half), clients(half))]
    if c.name == "session-leak":
        assert not closed
        facts.append("%d sessions opened in %.1f h, none closed by the server" % (len(c.all), c.end / 3600))
    else:
        facts.append("%d flows closed by both" % len(closed))
    return facts


@checks("zero-window")
def zero(c):
    shut = []
    for f in c.all:
        zeros = [s for s in f.segs if s.down and s.win == 0 and not s.rst]
        if len(zeros) >= 4 and f.segs[-1].time - zeros[0].time > 60 and not any(s.down and s.win and s.number > zeros[0].number for s in f.segs):
            shut.append((f, zeros))
    assert len(shut) >= 3
    return ["%d flows (port %s): window 0 for the last %.0f s and more, %d answers to probes"
            % (len(shut), ports([f for f, _ in shut]), min(f.segs[-1].time - z[0].time for f, z in shut), sum(len(z) for _, z in shut))]


@checks("connect-refused", "connect-unanswered")
def connects(c):
    tries = [f for f in c.all if f.segs[0].time > c.fault and f.key[2] in (3389, 445) and f.segs[0].syn]
    rst = [f for f in tries if any(s.down and s.rst for s in f.segs)]
    none = [f for f in tries if not any(s.down for s in f.segs)]
    live = [f for f in c.all if f.segs[0].time > c.fault and any(s.down and s.syn for s in f.segs) or answered(f, c.fault + 5)]
    assert len(tries) >= 8 and live and (rst == tries if c.name == "connect-refused" else none == tries)
    return ["%d connects to 3389 and 445 after %.0f s by %d clients: %d refused by RST, %d unanswered"
            % (len(tries), c.fault, clients(tries), len(rst), len(none)), "%d other flows are well after it" % len(live)]


@checks("app-hang")
def hang(c):
    mute = silent(c, c.all, c.fault)
    up = [f for f, _ in mute if f in c.up]
    fresh = [f for f in c.all if f.segs[0].time > c.fault and any(s.down and s.syn for s in f.segs)]
    assert not any(s.down and s.len and s.time > c.fault + 0.1 for f in c.all for s in f.segs)
    assert len(up) >= 4 and len(mute) - len(up) >= 4 and fresh
    return ["no data from the server after %.0f s" % c.fault,
            "%d offloaded and %d host-stack flows: request acknowledged, no answer" % (len(up), len(mute) - len(up)),
            "%d new connections accepted; %s" % (len(fresh), alive(c, c.fault))]


@checks("host-down")
def down(c):
    a = socket.inet_aton(EX1)
    theirs = [s for _, t, s in c.segs if t > c.fault and (s.ip and s.src == a or s.arp and s.frame[28:32] == a)]
    ours = [s for _, t, s in c.segs if t > c.fault and s.ip and s.dst == a]
    arps = [s for _, t, s in c.segs if t > c.fault and s.arp and s.frame[38:42] == a]
    live = [f for f in c.other() if answered(f, c.fault)]
    assert not theirs and len(ours) > 40 and arps and live
    return ["nothing from %s after %.0f s; %d packets towards it, %d ARP requests for it" % (EX1, c.fault, len(ours), len(arps)),
            "%d flows of EX02 answered after it" % len(live)]


@checks("server-restart")
def restart(c):
    a = socket.inet_aton(EX1)
    theirs = [(n, t, s) for n, t, s in c.segs if t > c.fault and (s.ip and s.src == a or s.arp and s.frame[28:32] == a)]
    back = theirs[0][1]
    rst = [s for _, _, s in theirs if s.tcp and s.rst]
    new = [f for f in c.all if f.segs[0].time > back and any(s.down and s.syn for s in f.segs)]
    early = [int.from_bytes(s.frame[18:20], "big") for _, _, s in theirs if s.ip][:5]
    assert back - c.fault > 40 and len(rst) >= 5 and len(new) >= 5 and theirs[0][2].arp and max(early) < 64
    return ["silent from %.0f to %.1f s; then gratuitous ARP (frame %d), IP IDs from %d" % (c.fault, back, theirs[0][0], early[0]),
            "%d RSTs for old connections, %d new connections" % (len(rst), len(new))]


@checks("egress-dead")
def transmit(c):
    a, facts = socket.inet_aton(EX1), []
    for start, length in ((50.0, 15.0), (90.0, 18.0)):
        inside = [(t, s) for _, t, s in c.segs if start < t < start + length]
        own = [s for _, s in inside if s.ip and s.src == a or s.arp and s.frame[28:32] == a]
        to = [s for _, s in inside if s.ip and s.dst == a]
        ex2 = [s for _, s in inside if s.ip and s.src == socket.inet_aton(EX2)]
        assert not own and len(to) >= 10 and len({s.src for s in to}) >= 3
        facts.append("%.0f s from %.0f s: 0 frames from it, %d towards it from %d clients, %d from EX02"
                     % (length, start, len(to), len({s.src for s in to}), len(ex2)))
    assert not [s for _, _, s in c.segs if s.tcp and s.rst and s.src == a]
    live = [f for f in c.all if f.segs[0].time < 50 and answered(f, 108)]
    assert live
    return facts + ["no RST; %d connections from before go on after the second" % len(live)]


@checks("rpc-fragment")
def fragment(c):
    late = [s for f in c.all if f.key[2] == 1114 for s in data(f, True, c.fault + 0.1) if s.payload()[2:3] == b"\x02"]
    part = [(f, s) for f in c.all for s in data(f, False, c.fault - 0.1) if s.len == 700 and s.payload()[8:10] == b"\x88\x04"]
    silents = [f for f, _ in silent(c, c.all, c.fault) if f.key[2] == 1114]
    live = [f for f in c.all if f.key[2] != 1114 and answered(f, c.fault)]
    assert len(part) == 1 and acked(*part[0]) and not late and clients(silents) >= 3 and live
    return ["%s sends 700 bytes of a PDU of 1160 in frame %d, all acknowledged, nothing follows" % (socket.inet_ntoa(part[0][0].key[0]), part[0][1].number),
            "%d RPC flows of %d clients with a request after it and no response" % (len(silents), clients(silents)), "%d flows of other services answered after it" % len(live)]


@checks("dhcp-dead")
def dhcp(c):
    before = c.shark("dhcp.type==2 && " + c.since("<", c.fault))
    after, asks = (c.shark("dhcp.type==%d && %s" % (n, c.since(">", c.fault))) for n in (2, 1))
    live = [f for f in c.all if answered(f, c.fault)]
    assert before >= 8 and not after and asks >= 10 and live
    return ["%d replies before %.0f s, 0 after it to %d requests; %d TCP flows answered after it" % (before, c.fault, asks, len(live))]


@checks("ftp-active")
def ftp(c):
    good, bad = c.shark("ftp.response.code==226"), c.shark("ftp.response.code==425")
    syns = c.shark("tcp.srcport==20 && tcp.flags.syn==1 && tcp.flags.ack==0 && " + c.since(">", c.fault))
    assert good >= 4 and bad >= 3 and syns
    return ["%d transfers completed; after %.0f s %d SYNs from port 20 unanswered, %d answers 425" % (good, c.fault, syns, bad)]


@checks("pptp-oneway")
def pptp(c):
    back = c.shark("gre && ip.src==%s && %s" % (EX1, c.since(">", c.fault)))
    out = c.shark("gre && ip.dst==%s && %s" % (EX1, c.since(">", c.fault)))
    both = c.shark("gre && ip.src==%s && %s" % (EX1, c.since("<", c.fault)))
    echo = c.shark("pptp.type && ip.src==%s && %s" % (EX1, c.since(">", c.fault))) or c.shark(
        "pptp && ip.src==%s && %s" % (EX1, c.since(">", c.fault)))
    assert not back and out >= 40 and both >= 20 and echo >= 4
    return ["%d GRE packets from the server before %.0f s, 0 after; %d towards it, %d control answers after" % (both, c.fault, out, echo)]


@checks("logon-slow")
def logon(c):
    took = {"before": [], "after": []}
    for f in c.all:
        if f.key[2] == 88 and data(f, False) and data(f, True):
            took["after" if data(f, False)[0].time > c.fault else "before"].append(data(f, True)[0].time - data(f, False)[0].time)
    before, after = statistics.median(took["before"]), statistics.median(took["after"])
    assert before < 0.1 and after > 8
    return ["Kerberos: median answer %.3f s before %.0f s (%d), %.1f s after (%d)" % (before, c.fault, len(took["before"]), after, len(took["after"])),
            "%d Kerberos, %d LDAP, %d CLDAP messages dissect" % (c.shark("kerberos"), c.shark("ldap"), c.shark("cldap"))]


@checks("mirror-duplicates", "mirror-one-way", "capture-loss")
def derived(c):
    if c.name == "mirror-duplicates":
        assert len({s.src for _, _, s in c.segs if s.ip}) <= 9
        same = len(c.frames) - len({f for _, f in c.frames})
        assert same == len(c.frames) // 2
        return ["%d frames, each twice" % len(c.frames)]
    if c.name == "mirror-one-way":
        assert not [s for _, _, s in c.segs if s.ip and socket.inet_ntoa(s.src) in (EX1, EX2)]
        return ["no frame from %s or %s" % (EX1, EX2)]
    whole = acts_wire.healthy(os.path.dirname(c.path) or ".", 90)
    lost = len(whole) - len(c.frames)
    assert 0.02 < lost / len(whole) < 0.07 and c.shark("tcp.analysis.ack_lost_segment || tcp.analysis.lost_segment")
    return ["%d of %d frames left out (%.1f %%)" % (lost, len(whole), 100 * lost / len(whole))]


CHECKS.update(prove_modern.CHECKS)
CHECKS.update(prove_services.CHECKS)
BAD = ("checksum-discarded", "checksum-artifact", "oversized-coalesced", "virtio-checksum")
# Captures of servers whose card carries no connection.
BARE = ("checksum-artifact", "oversized-coalesced", "rss-stall", "mirror-one-way") + tuple(
    n for n in prove_modern.CHECKS if n not in ("stale-next-hop", "host-stack-dead", "window-flicker")) + tuple(
    n for n in prove_services.CHECKS if n.split("-")[0] in ("dhcp", "nat", "proxy"))


def common(c):
    """What holds for every capture."""
    low, high = c.facts["server TCP, lower ID half"], c.facts["server TCP, upper ID half"]
    facts = ["%d packets, %.0f s; " % (len(c.frames), c.end - c.frames[0][0])]
    bad = 0 if c.scene.snap < 1514 else c.bad()
    assert bad == 0 or c.name in BAD, "%s: %d bad checksums" % (c.name, bad)
    facts[0] += "checksums not verifiable (snapped)" if c.scene.snap < 1514 else "%d bad checksums" % bad
    if c.name not in BARE:
        assert high and not c.facts["server non-TCP, upper ID half"], c.name
        facts.append("%d of %d flows of %s offloaded; its packets: %d lower half, %d upper, all UDP and ICMP (%d) lower"
                     % (len(c.up), len(c.all), c.server, low, high, c.facts["server non-TCP, lower ID half"]))
        for f in c.up:
            assert all(s.frame[20] & 0x40 for s in f.segs if s.down)
    ask, got = c.shark("dcerpc.pkt_type==0"), c.shark("dcerpc.pkt_type==2")
    mal = c.shark("_ws.malformed")
    facts.append("tshark: %d malformed%s" % (mal, "; %d DCE/RPC requests, %d responses" % (ask, got) if ask else ""))
    return facts


def wanted(scene):
    t = scene.truth
    out = ["incident %s at %s%s%s" % (i["verdict"], i["server"], " (or %s)" % ", ".join(i["also_acceptable"]) if i["also_acceptable"] else "",
                                      ", may be missing" if i.get("optional") else "") for i in t["incidents"]] or ["no incident"]
    out += ["%s%s x%d%s" % (q["finding"], "." + q["kind"] if q.get("kind") else "", q["min_count"],
                            " (or %s)" % ", ".join(x for x in q["any_of"] if x != q["finding"])
                            if [x for x in q.get("any_of", []) if x != q["finding"]] else "") for q in t["findings_required"]]
    out += ["capture.%s %s" % (k, v) for k, v in t.get("capture", {}).items()]
    return "; ".join(out)


def wrap(label, text, width=108):
    lines, line = [], "\t%-9s" % label
    for word in text.split():
        if len(line) + len(word) > width:
            lines.append(line.rstrip())
            line = "\t%-9s" % ""
        line += " " + word
    return "\n".join(lines + [line]) + "\n"


HEAD = """Sample captures of toewatch
===========================

What each capture shows, what an analysis ought to say of it, how it is made again, and what was verified in it.
All are played by real TCP stacks (Linux network namespaces, see lab/stage.py) with Windows-like options; the card of
the server is played too (lab/nic.py): IP IDs 0x0000-0x7FFF for the host, 0x8000-0xFFFF with DF for offloaded
connections. Thinking time is left out of the play, not of the captures. What the scenes need is Python 3 and root,
and iproute2 where there is a router or a tunnel in them; those of acts_share, acts_remote and acts_nat need the real
programs too that their files name (Debian packages), which run in the hosts' namespaces (lab/real.py):

	pcaps/make NAME		again (the same choices from the same seed; times and sequence numbers differ)
	pcaps/make -j 4 all	all of them, four at a time: fifteen minutes or so
	pcaps/lab/verify.py	is in them what is said here? (tshark for the dissection)
	pcaps/lab/verify.py --write	and write this file and truth.json anew

"Offloaded" below: the flow's server packets have passed from the lower to the upper half after the handshake. Times
are seconds since the scene began, a whole second of the capture's clock just before its first frame (truth.json has
fault_at in seconds since 1970).

"""


def main(args):
    where = HERE
    write = "--write" in args
    args = [a for a in args if a != "--write"]
    if args[:1] == ["-o"]:
        where, args = args[1], args[2:]
    names, failed = args or list(scenes.SCENES), 0
    text, truth = HEAD, []
    for name in names:
        path, s = os.path.join(where, name + ".pcap"), scenes.SCENES[name]
        try:
            c = Capture(path, name)
            facts = common(c) + CHECKS[name](c)
            print("%s: %s" % (name, "; ".join(facts)))
        except (AssertionError, OSError, IndexError, ValueError) as e:
            print("%s: NOT AS PROMISED: %r" % (name, e))
            if os.environ.get("TRACE"):
                raise
            failed += 1
            continue
        made = "pcaps/make %s: function %s in lab/%s.py, seed %d" % (name, s.play.__name__, s.play.__module__, s.seed)
        text += "%s.pcap\n%s%s%s%s\n" % (name, wrap("shows", s.shows), wrap("expect", wanted(s)), wrap("made by", made),
                                         wrap("verified", "; ".join(facts) + "."))
        truth.append({"pcap": name + ".pcap", "description": s.shows, "servers": s.servers, "packets": len(c.frames),
                      "bytes": os.path.getsize(path), "fault_at": s.fault and s.start + s.fault, "truth": s.truth, "checked": facts})
    if write and not failed and not args:
        with open(os.path.join(HERE, "MANIFEST"), "w") as f:
            f.write(text)
        with open(os.path.join(HERE, "truth.json"), "w") as f:
            json.dump(truth, f, indent=1)
            f.write("\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
