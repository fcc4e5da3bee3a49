"""What verify.py looks for in the captures of acts_modern and acts_slow: one function a
capture, which takes it (verify.Capture) and gives back sentences, or fails."""
import collections
import socket
import statistics
import struct

import prove
import stage

EX1, EX2 = (socket.inet_aton(a) for a in ("10.20.30.5", "10.20.30.6"))
CHECKS, checks = prove.table()


def sent(c, source, since=-1.0, until=1e9, port=None):
    """TCP segments with data of one address (and port)."""
    return [(t, s) for _, t, s in c.segs if s.tcp and s.src == source and s.len and since < t < until
            and port in (None, s.sport)]


def answered(flow, since):
    ask = [s for s in flow.segs if not s.down and s.len > 1 and s.time >= since]
    return bool(ask and any(s.down and s.len > 1 and s.time > ask[0].time for s in flow.segs))


def rates(segs, pause=1.0, least=20000):
    """kB/s of the transfers (no longer pause between two segments; so many bytes), by flow."""
    runs = collections.defaultdict(list)
    for t, s in segs:
        of = runs[s.key]
        if not of or t - of[-1][1] > pause:
            of.append([t, t, set()])
        of[-1][1] = t
        of[-1][2].add((s.seq, s.len))
    return [sum(n for _, n in run[2]) / (run[1] - run[0]) / 1000 for of in runs.values() for run in of
            if sum(n for _, n in run[2]) > least]


# --- VXLAN --------------------------------------------------------------------------

def tunnelled(c):
    """(time, outer segment, outer checksum is: "zero", "good", "bad", inner segment)."""
    for _, t, s in c.segs:
        if not s.ip or s.proto != 17 or s.dport != 4789:
            continue
        udp = bytes(s.frame[s.l4:14 + s.total])
        held = udp[6:8]
        good = stage.ones(s.src + s.dst + struct.pack(">HH", 17, len(udp)) + udp) == 0xFFFF
        yield t, s, "zero" if held == b"\0\0" else "good" if good else "bad", stage.Segment(bytes(s.frame[s.l4 + 16:14 + s.total]))


def overlay(c):
    sums, inner_bad, syns, got = collections.Counter(), 0, collections.Counter(), set()
    for t, s, outer, inner in tunnelled(c):
        where = "%s to %s" % (socket.inet_ntoa(s.src), socket.inet_ntoa(s.dst))
        sums[outer, where] += 1
        if not inner.tcp:
            continue
        inner_bad += inner.sum() != int.from_bytes(inner.frame[inner.l4 + 16:inner.l4 + 18], "big")
        if inner.flags & 18 == 2:
            syns[inner.key, inner.seq] += 1
        if inner.len and outer != "bad" and t > (c.fault or 0) + 1 and inner.sport in (80, 443):
            got.add(inner.dst)
    return sums, inner_bad, syns, got


@checks("vxlan-checksum")
def outer_sums(c):
    sums, inner_bad, syns, got = overlay(c)
    bad = {where: n for (kind, where), n in sums.items() if kind == "bad"}
    again = sum(1 for n in syns.values() if n > 1)
    assert list(bad) == ["10.20.30.11 to 10.20.30.13"] and bad.popitem()[1] > 60 and not inner_bad and again >= 3 and len(got) == 3
    assert not [t for t, _, kind, _ in tunnelled(c) if kind == "bad" and t < c.fault]
    return ["outer UDP checksums: %s" % ", ".join("%s %d %s" % (where, n, kind) for (kind, where), n in sorted(sums.items())),
            "inner TCP checksums: all good", "%d SYNs sent again" % again, "%d clients on the other node are answered after %.0f s" % (len(got), c.fault)]


@checks("vxlan-zero")
def no_outer_sums(c):
    sums, inner_bad, syns, _ = overlay(c)
    assert {kind for kind, _ in sums} == {"zero"} and not inner_bad and max(syns.values()) == 1
    return ["%d packets in VXLAN, all with a zero outer checksum; inner TCP checksums all good; no SYN sent again" % sum(sums.values())]


# --- routers ------------------------------------------------------------------------

@checks("lro-forwarding")
def merged(c):
    largest = max(s.total for _, t, s in c.segs if s.tcp and s.src == EX1)
    quoted, flows = [], set()
    for _, t, s in c.segs:
        if s.ip and s.proto == 1 and s.frame[s.l4:s.l4 + 2] == b"\3\4" and s.dst == EX1:
            inner = s.frame[s.l4 + 8:]
            quoted.append(struct.unpack_from(">H", inner, 2)[0])
            flows.add(bytes(inner[12:24]))
            assert t > c.fault
    live = [f for f in c.all if answered(f, c.fault + 5)]
    assert largest == 1500 and len(quoted) >= 10 and min(quoted) > 2900 and len(flows) >= 2 and live
    before, after = rates(sent(c, EX1, -1, c.fault, 80)), sorted(rates(sent(c, EX1, c.fault, 1e9, 80), 30))[:3]
    assert max(after) < 5 < min(before)
    return ["%d ICMP \"fragmentation needed\" from the router, of %d connections, quoting %d to %d bytes; the largest sent is %d"
            % (len(quoted), len(flows), min(quoted), max(quoted), largest),
            "downloads at %.0f kB/s and more before %.0f s, at %.1f at most after it, three of them; %d flows still answered" % (min(before), c.fault, max(after), len(live))]


@checks("stale-next-hop")
def old_hop(c):
    old, new = bytes.fromhex("001b54c23001"), bytes.fromhex("001b54c29103")
    by = collections.defaultdict(collections.Counter)
    for f in c.all:
        for s in f.segs:
            if s.time > c.fault + 1:
                by[f.key]["from %s" % ("new" if bytes(s.frame[6:12]) == new else "old") if not s.down else
                          "to %s" % ("old" if bytes(s.frame[:6]) == old else "new")] += 1
    stale = [f for f in c.up if by[f.key]["to old"] >= 3]
    well = [f for f in c.all if by[f.key]["to new"] and not by[f.key]["to old"] and answered(f, c.fault + 1)]
    garp = [s for _, t, s in c.segs if s.arp and t > c.fault - 0.1 and bytes(s.frame[22:28]) == new and s.frame[28:32] == s.frame[38:42]]
    assert len(stale) >= 4 and len(well) >= 8 and garp and not any(by[f.key]["from old"] for f in c.all)
    assert not [f for f in stale if any(s.down and s.time > c.fault + 1 and s.len and bytes(s.frame[:6]) == new for s in f.segs)]
    return ["gratuitous ARP of the new router; from then on all frames of clients come from it",
            "%d offloaded flows: the server's packets still go to the old router's MAC, none answered" % len(stale),
            "%d flows follow and are answered" % len(well)]


# --- segmentation ---------------------------------------------------------------------

def swaps(c, source):
    """Segments that come before others of smaller sequence number and smaller IP ID."""
    n, depth, last = 0, collections.Counter(), {}
    for t, s in sent(c, source, port=80):
        ident = struct.unpack_from(">H", s.frame, 18)[0]
        before = last.get(s.key)
        if before and stage.after(before[0], s.seq) and 0 < (before[1] - ident & 0xFFFF) < 50:
            n += 1
            depth[(before[0] - s.seq & 0xFFFFFFFF) / 1460] += 1
            assert t > c.fault
        last[s.key] = (s.seq, ident)
    return n, depth


@checks("tso-reorder")
def reordered(c):
    n, depth = swaps(c, EX1)
    other, _ = swaps(c, EX2)
    asked = c.shark("ip.dst==10.20.30.5 && tcp.options.sack_le")
    again = c.shark("ip.src==10.20.30.5 && tcp.analysis.retransmission")
    assert n >= 15 and set(depth) <= {3.0, 4.0} and not other and asked > 2 * n
    return ["%d times a segment comes 3 or 4 places early, by IP ID and sequence number; %d acknowledgments with SACK; %d segments sent again; EX02: none"
            % (n, asked, again)]


@checks("tso-hole")
def hole(c):
    holes = []
    for f in c.all:
        acks = [s for s in f.segs if not s.down and s.frame[s.l4 + 12] >> 4 > 5 and not s.syn]
        if not acks:
            continue
        stuck, at = acks[-1].ack, acks[-1].time
        left = min(struct.unpack_from(">I", s.frame, s.l4 + 24)[0] for s in acks if s.ack == stuck)
        if any(s.down and s.len and s.time > c.fault and not stage.after(s.seq, stuck) and stage.after(s.end, stuck) for s in f.segs):
            continue
        if not any(not s.down and s.flags & 16 and stage.after(s.ack, stuck) for s in f.segs):
            holes.append((f, left - stuck & 0xFFFFFFFF, c.end - at))
    live = [f for f in c.all if answered(f, c.fault + 5)]
    assert len(holes) == 2 and all(size == 17 * 1460 for _, size, _ in holes) and len(live) >= 3
    return ["%d flows: a hole of %d bytes (17 segments), asked for by SACK, never on the wire to the end (%.0f s and more); %d other flows answered"
            % (len(holes), holes[0][1], min(x[2] for x in holes), len(live))]


# --- virtio, transmit hang, dead host ----------------------------------------------------

@checks("virtio-checksum")
def unfinished(c):
    partial = good = udp = 0
    for _, t, s in c.segs:
        if not s.ip or s.src != EX1:
            continue
        if s.tcp:
            pseudo = stage.ones(s.src + s.dst + struct.pack(">HH", 6, 14 + s.total - s.l4))
            held = int.from_bytes(s.frame[s.l4 + 16:s.l4 + 18], "big")
            partial += held == pseudo != s.sum()
            good += held == s.sum() and t > c.fault
            assert held in (pseudo, s.sum()) and (t > c.fault or held == s.sum())
        if s.proto == 17 and t > c.fault:
            body = bytes(s.frame[s.l4:14 + s.total])
            udp += body[6:8] == struct.pack(">H", stage.ones(s.src + s.dst + struct.pack(">HH", 17, len(body))))
    taken = [f for f in c.all if any(not s.down and s.flags & 16 and any(d.down and d.len and d.time > c.fault and not stage.after(d.end, s.ack)
                                     for d in f.segs) for s in f.segs if s.time > c.fault)]
    echo = c.shark("icmp.type==0 && ip.src==10.20.30.5 && " + c.since(">", c.fault))
    live = [f for f in c.other() if answered(f, c.fault)]
    assert partial > 60 and not good and not taken and echo and udp and live
    return ["%d TCP segments and %d datagrams of EX01 with the bare pseudo-header sum after %.0f s, no segment with a good one; none acknowledged"
            % (partial, udp, c.fault),
            "%d echo replies after it; %d flows of EX02 answered after it" % (echo, len(live))]


@checks("tx-watchdog")
def hangs(c):
    facts = []
    for start in (30.0, 60.0, 95.0):
        inside = [s for _, t, s in c.segs if start < t < start + 8]
        own = [s for s in inside if s.ip and s.src == EX1 or s.arp and s.frame[28:32] == EX1]
        to = [s for s in inside if s.ip and s.dst == EX1]
        assert not own and len(to) >= 10 and len({s.src for s in to}) >= 3
        facts.append("8 s from %.0f s: 0 frames from it, %d towards it" % (start, len(to)))
    assert not [s for _, _, s in c.segs if s.tcp and s.rst and s.src == EX1]
    live = [f for f in c.all if f.segs[0].time < 30 and answered(f, 104)]
    assert live
    return facts + ["no RST; %d connections from before go on after the third" % len(live)]


@checks("host-stack-dead")
def corpse(c):
    after = [(t, s) for _, t, s in c.segs if t > c.fault + 0.1]
    own = [s for _, s in after if s.ip and s.src == EX1]
    asked = collections.Counter()
    for _, s in after:
        asked["SYN"] += s.tcp and s.dst == EX1 and s.flags & 18 == 2
        asked["ARP"] += s.arp and s.frame[38:42] == EX1 and s.frame[21] == 1
        asked["echo"] += s.ip and s.dst == EX1 and s.proto == 1
    assert own and all(s.tcp and not s.len and s.flags == 16 and s.frame[18] & 0x80 for s in own)
    assert not [s for _, s in after if s.arp and s.frame[28:32] == EX1] and min(asked.values()) >= 2
    live = [f for f in c.other() if answered(f, c.fault)]
    assert live
    return ["after %.0f s %d bare acknowledgments of EX01, all in the upper IP-ID half, and no other frame; asked in vain: %s"
            % (c.fault, len(own), ", ".join("%d %s" % (n, k) for k, n in asked.items())), "%d flows of EX02 answered after it" % len(live)]


# --- slow ---------------------------------------------------------------------------------

def spans(c):
    return (-1, c.fault), (c.fault + 1, 1e9)


@checks("window-limited")
def small_window(c):
    windows = [{s.win for f in c.all if f.key[2] == 80 and a < f.segs[0].time < b for s in f.segs if s.down and not s.rst and not s.syn} for a, b in spans(c)]
    up = [rates([(t, s) for _, t, s in c.segs if s.tcp and s.dst == EX1 and s.dport == 80 and s.len and a < t < b], 1.0, 65000) for a, b in spans(c)]
    assert max(windows[1]) * 4 <= max(windows[0]) and len(up[1]) >= 2 and max(up[1]) * 5 < min(up[0])
    return ["windows of up to %d bytes on connections made before %.0f s, of %d after it; uploads at %.0f kB/s and more before, %.0f at most after"
            % (max(windows[0]), c.fault, max(windows[1]), min(up[0]), max(up[1]))]


@checks("rto-limited")
def timers(c):
    down = [rates(sent(c, EX1, a, b, 80), pause) for (a, b), pause in zip(spans(c), (1.0, 30.0))]
    again = c.shark("ip.src==10.20.30.5 && tcp.analysis.retransmission && tcp.analysis.rto > 0.15")
    quick = [f for f in c.all if f.key[2] == 80 and answered(f, c.fault + 5)]
    assert again >= 15 and len(down[1]) >= 2 and max(down[1]) * 20 < min(down[0]) and quick
    return ["downloads at %.0f kB/s and more before %.0f s, at %.1f at most after; %d resends after a timeout" % (min(down[0]), c.fault, max(down[1]), again)]


@checks("delayed-ack")
def lazy(c):
    down = [rates(sent(c, EX1, a, b, 80)) for a, b in spans(c)]
    waits = []
    for f in c.all:
        if f.key[2] != 80:
            continue
        for a, b in zip(f.segs, f.segs[1:]):
            if a.down and a.len == 1460 and not b.down and not b.len and a.time > c.fault + 8:
                waits.append(b.time - a.time)
    assert len(waits) > 100 and 0.035 < statistics.median(waits) < 0.06 and max(down[1][1:] or down[1]) * 50 < max(down[0])
    return ["downloads at up to %.0f kB/s before %.0f s; after it a segment alone, acknowledged after %.0f ms (median of %d)"
            % (max(down[0]), c.fault, 1000 * statistics.median(waits), len(waits))]


@checks("slow-service")
def late(c):
    took = collections.defaultdict(list)
    for f in c.all:
        ask = None
        for s in f.segs:
            if not s.down and s.len > 1:
                ask = s
            elif s.down and s.len > 1 and ask:
                took[f.key[2]].append(s.time - ask.time)
                ask = None
    assert len(took[80]) >= 15 and min(took[80]) > 11 and max(took[80]) < 26 and max(took[443]) < 1
    return ["%d answers of port 80, after %.1f to %.1f s; %d of port 443, after %.3f s at most"
            % (len(took[80]), min(took[80]), max(took[80]), len(took[443]), max(took[443]))]


@checks("window-flicker")
def flicker(c):
    flows, n = set(), 0
    for f in c.up:
        down = [s for s in f.segs if s.down and not s.syn]
        for a, b in zip(down, down[1:]):
            if a.win == 2920 and a.time > c.fault and b.win > 20000:
                flows.add(f.key)
                n += 1
    assert len(flows) >= 3 and not [s for f in c.all for s in f.segs if s.down and s.win == 2920 and s.time < c.fault]
    return ["%d segments of %d offloaded flows with a window of 2920 bytes, the next one of the flow with more than 20000" % (n, len(flows))]
