"""Reads a capture back: flows of one server, how each stands at the end, what is bad. Knows
nothing of the program that the captures are to test."""
import collections
import socket
import subprocess

import stage


class Flow:
    def __init__(self, key):
        self.key, self.segs, self.ids = key, [], []

    def high(self):
        """The time from which the server's IP IDs are in the upper half, or None."""
        flags = [(t, i >= 0x8000) for t, i in self.ids]
        return next((t for t, h in flags if h), None) if flags and flags[-1][1] else None


def read(path, server, base):
    """(frames, flows of `server`, counts); times in seconds since `base`."""
    frames = stage.load(path, base)
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
    return frames, flows, facts


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
