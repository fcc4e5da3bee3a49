#!/usr/bin/env python3
"""check.py FILE.pcap [SERVER [FAULT_SECONDS]]: what a capture shows, counted without the
help of the program that is to be tested (and with tshark's where there is one)."""
import collections
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import stage


class Flow:
    def __init__(self, key):
        self.key, self.segs, self.ids = key, [], []

    def high(self):
        """The time from which the server's IP IDs are in the upper half, or None."""
        flags = [(t, i >= 0x8000) for t, i in self.ids]
        return next((t for t, h in flags if h), None) if flags and flags[-1][1] else None


def read(path, server):
    start, frames = stage.load(path)
    flows, facts = {}, collections.Counter()
    addr = socket.inet_aton(server)
    for number, (t, raw) in enumerate(frames, 1):
        s = stage.Segment(raw)
        facts["packets"] += 1
        if not s.ip:
            continue
        if stage.ones(bytes(raw[14:34])) != 0xFFFF:
            facts["bad IP checksums"] += 1
        if not s.tcp:
            if s.src == addr:
                facts["server non-TCP, upper ID half" if raw[18] & 0x80 else "server non-TCP, lower ID half"] += 1
            continue
        if 14 + s.total <= len(raw) and s.sum() != int.from_bytes(raw[s.l4 + 16:s.l4 + 18], "big"):
            facts["bad TCP checksums from " + socket.inet_ntoa(s.src)] += 1
        if addr not in (s.src, s.dst):
            continue
        s.number, s.time, s.down = number, t, s.src == addr
        key = (s.dst, s.dport, s.sport) if s.down else (s.src, s.sport, s.dport)
        if s.syn and not s.flags & 16 and key in flows and flows[key].segs and any(x.fin or x.rst for x in flows[key].segs):
            flows[key + (number,)] = flows.pop(key)
        flow = flows.setdefault(key, Flow(key))
        flow.segs.append(s)
        if s.down:
            flow.ids.append((t, int.from_bytes(raw[18:20], "big")))
            facts["server TCP, upper ID half" if raw[18] & 0x80 else "server TCP, lower ID half"] += 1
    return start, frames, flows, facts


def parked(flow):
    """The last request is EcDoAsyncWaitEx: silence is what it asks for."""
    for s in reversed(flow.segs):
        if not s.down and s.len > 24 and s.payload()[:3] == b"\x05\x00\x00":
            return s.payload()[22:24] == b"\0\0"
    return False


def ending(flow, end, wait=10.0):
    """How the flow stands at the end: None (nothing asked, or just now), "answered",
    "acknowledged, no answer", "not acknowledged", and since when."""
    ask, last = None, None
    for s in flow.segs:
        if s.down and s.len > 1:
            ask, last = None, s
        elif not s.down and s.len > 1:
            ask, last = ask or s, s
    if last is None:
        return None, None
    if ask is None:
        return "answered", None
    if flow.segs[-1].time - ask.time < wait and end - ask.time < wait:
        return None, None
    acks = [s for s in flow.segs if s.down and s.time >= ask.time and s.flags & 16 and not stage.after(last.end, s.ack)]
    state = "acknowledged, no answer" if acks else "not acknowledged"
    return ("parked" if acks and parked(flow) else state), ask.time


def tshark(path, *args):
    try:
        r = subprocess.run(("tshark", "-r", path) + args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except FileNotFoundError:
        return []
    return r.stdout.splitlines()


def report(path, server="10.20.30.5", since=None):
    start, frames, flows, facts = read(path, server)
    print("%s: %d bytes, %.1f s" % (path, os.path.getsize(path), frames[-1][0] - frames[0][0]))
    for name in sorted(facts):
        print("  %s: %d" % (name, facts[name]))
    up = [f for f in flows.values() if f.high() is not None]
    print("  flows of %s: %d, of them offloaded at their end: %d" % (server, len(flows), len(up)))
    table, onsets = collections.Counter(), []
    for f in flows.values():
        state, at = ending(f, frames[-1][0])
        if since is not None and f.segs[-1].time < since:
            continue
        if state:
            table["upper" if f in up else "lower", "new" if since and f.segs[0].time > since else "old", state] += 1
        if state and "no" in state and state != "answered":
            onsets.append((at, socket.inet_ntoa(f.key[0]), f.key[1:3]))
    for k in sorted(table):
        print("  last request, %s half, %s flow: %s: %d" % (k + (table[k],)))
    print("  onsets: " + ", ".join("%.1f %s:%d>%d" % (t, c, p[0], p[1]) for t, c, p in sorted(onsets)))
    for flt in ("_ws.malformed", "tcp.analysis.retransmission", "tcp.analysis.keep_alive", "tcp.analysis.ack_lost_segment",
                "tcp.analysis.lost_segment", "tcp.analysis.zero_window", "tcp.flags.reset==1", "tcp.analysis.duplicate_ack", "dcerpc.pkt_type==0", "dcerpc.pkt_type==2",
                "smb.flags.response==0", "smb.flags.response==1"):
        n = len(tshark(path, "-Y", flt, "-T", "fields", "-e", "frame.number"))
        if n:
            print("  tshark %s: %d" % (flt, n))
    return flows


if __name__ == "__main__":
    report(sys.argv[1], *sys.argv[2:3], *[float(a) for a in sys.argv[3:4]])
