"""Scenes about checksums and segments, in the server's card or only in the sniffer's eyes,
and captures derived from the healthy one by what a bad mirror port does."""
import os
import random

import nic
import office
import stage
from scenes import ALIVE, HEALTHY, OFFLOAD, SCENES, Office, scene, want


@scene("checksum-discarded", 601, "2008-04-11 09:50:00",
    """From 60 s on about four in ten data segments of offloaded connections leave the server with a
    wrong TCP checksum (the difference takes three values). The clients' stacks drop them, the
    server repeats until one comes out well.""",
    [want("checksum_discarded", 3), OFFLOAD], [n for n in ALIVE if not n.startswith("checksum_d")] +
    ["oversized_segment"], "checksum_offload", ["offload_engine"], fault=60.0)
def checksum_discarded(s):
    o = Office(s, 6)
    o.open()
    o.background()
    o.everyday(2.2)
    o.breaks(60.0, nic.BadSums(0.4))
    return o.play(150)


LINUX = {"net.ipv4.ip_default_ttl": 64, "net.ipv4.tcp_timestamps": 0}


class Bare(stage.Card):
    """The card of the host that captures: frames are seen before it has touched them."""

    def out(self, seg):
        return [bytes(seg.frame)]


@scene("checksum-artifact", 602, "2009-06-04 10:12:00",
    """Captured on the server itself with transmit checksum offload on: its TCP and UDP segments
    bear the pseudo-header sum only (the Linux kernel's own partial sums) and are not yet padded;
    every peer accepts them.""",
    [want("checksum_artifact", 1, "partial")], HEALTHY + ["checksum_unresolved",
    "oversized_segment"])
def checksum_artifact(s):
    o = Office(s, 5, vnet="csum", sysctl=LINUX)
    o.ex1.sensor, o.ex1.card = True, Bare(o.ex1, o.ex1.rng)
    o.open()
    o.background()
    o.everyday(2.0)
    return o.play(150)


@scene("oversized-coalesced", 603, "2012-02-07 13:40:00",
    """Captured on the server itself with segmentation offload on and large receive merging: its own
    segments are up to three times the MSS and bear partial sums; what it receives is good, or
    merged (partial, as the kernel leaves merged segments). All is accepted as it is.""",
    [want("oversized_segment", 2, "coalesced"), want("checksum_artifact", 1, "partial")], HEALTHY +
    ["checksum_unresolved"])
def oversized_coalesced(s):
    o = Office(s, 4, vnet="tso", client_vnet="tso", sysctl=LINUX)
    o.ex1.sensor, o.ex1.card = True, Bare(o.ex1, o.ex1.rng)
    for p in o.people:
        p.whole = True
    o.open()
    o.background(30, 30, 30, None)
    for n, p in enumerate(o.people):
        o.start(office.Files(p, o.ex1, 11, 5800, upload=(1500, 5600), writes=0.8))
        o.start(office.Secure(p, o.ex1, think=25, most=200))
    return o.play(54)


@scene("mss-violation", 604, "2008-03-24 09:40:00",
    """From 50 s on the card sends what the host gave it to segment as it is: frames of two MSS and
    more, with good checksums, on offloaded connections. The switch drops what is above 1514 bytes,
    the card sends the same again; single segments pass.""",
    [want("oversized_segment", 2, "mss_violation"), OFFLOAD], ALIVE, "segmentation_offload",
    ["offload_engine", "undetermined"], fault=50.0)
def mss_violation(s):
    o = Office(s, 5, vnet="tso")
    o.open()
    o.background(30, 30, 30, None)
    for n, p in enumerate(o.people):
        o.start(office.Files(p, o.ex1, 10, 3300), 30)
        if n % 2:
            o.start(office.Outlook(p, o.ex1, o.store, 30), 30)
        else:
            o.start(office.Terminal(p, o.ex1, 15), 30)
    o.stage.between = lambda sender, target, seg: bytes(seg.frame) if len(seg.frame) <= 1514 else None
    o.breaks(50.0, nic.TooLarge())
    return o.play(74)


@scene("burst-lost", 605, "2008-12-30 18:10:00",
    """From 40 s on bursts of two and more segments on offloaded connections are lost whole
    behind the mirror, a segment alone passes: transfers go on at one segment a retransmission
    timeout. Snapped to 128 bytes.""",
    [want("burst_lost_whole", 1), OFFLOAD], ALIVE, "segmentation_offload", ["offload_engine",
    "undetermined", "network_path"], fault=40.0, snap=128)
def burst_lost(s):
    o = Office(s, 5, {"share": 0.9}, sysctl={"net.ipv4.tcp_timestamps": 1})
    o.stage.clock.holds = 1			# their clock is the wall's
    o.open()
    o.background(30, 30, 30, None)
    for n, p in enumerate(o.people):
        o.start(office.Files(p, o.ex1, 15, 20000 if n < 3 else 300), 25)
        if n % 2:
            o.start(office.Outlook(p, o.ex1, o.store, 20), 25)
    waiting, loop = {}, o.stage.loop

    def release(key):
        burst, target = waiting.pop(key)
        if len(burst) == 1:
            o.stage._deliver(target, burst[0], None)

    def between(sender, target, seg):
        flow = seg.tcp and sender is o.ex1 and o.ex1.card.flows.get((seg.dst, seg.dport, seg.sport))
        if o.stage.now() < 40 or not flow or not flow.offloaded or not seg.len:
            return bytes(seg.frame)
        if seg.key not in waiting:
            waiting[seg.key] = ([], target)
            loop.call_later(0.0015, release, seg.key)
        waiting[seg.key][0].append(bytes(seg.frame))
        return None
    o.stage.between = between
    return o.play(80)


@scene("rss-stall", 606, "2009-09-29 09:22:00",
    """No connection offload. The server's card spreads what it receives over four queues by the
    Toeplitz hash (published default key, hash & 3). From 70 s on queue 2 is not served: connections
    that fall into it, old and new, get no answer at all; the others are well.""",
    [want("rss_bucket_stall", 1)], [n for n in ALIVE if n != "rss_bucket_stall"],
    "receive_side_scaling", fault=70.0)
def rss_stall(s):
    o = Office(s, 15, {"share": 0})
    o.open()
    o.background(20, 60, 60, 60)
    for n, p in enumerate(o.people):
        o.start(office.Secure(p, o.ex1, think=24, patience=25, most=6), 60)
        o.start(office.Terminal(p, o.ex1, 22, 30), 60)
        if n % 4 == 0:
            o.start(office.Files(p, o.ex1, 25, 300), 60)
    o.breaks(70.0, nic.DeadQueue(2))
    return o.play(130)


SERVERS = {bytes.fromhex("0010182a9c01"), bytes.fromhex("000e0c71b43e")}


def healthy(where, length):
    """The frames of healthy-office.pcap in the folder `where`, up to `length` seconds
    after its first; times since the scene began."""
    frames = stage.load(os.path.join(where, "healthy-office.pcap"), SCENES["healthy-office"].start)
    return [(t, f) for t, f in frames if t < frames[0][0] + length]


@scene("mirror-duplicates", 701, "2008-03-19 09:12:05",
    """The first 100 s of healthy-office.pcap, seven clients of the fourteen; each frame a second
    time 3 to 40 us later (a mirror session for both directions of several ports).""",
    [want("capture_duplicates", 1, server=None), OFFLOAD], HEALTHY,
    capture={"duplicates_min": 300}, servers=("10.20.30.5", "10.20.30.6"))
def mirror_duplicates(s):
    rng = random.Random(s.seed)
    frames = healthy(s.where, 100)
    macs = sorted({f[6:12] for _, f in frames} - SERVERS)[:7]
    frames = [(t, f) for t, f in frames if f[:6] in macs or f[6:12] in macs]
    return sorted(frames + [(t + rng.uniform(3e-6, 40e-6), f) for t, f in frames], key=lambda x: x[0])


@scene("mirror-one-way", 700, "2008-03-19 09:12:05",
    """The first 150 s of healthy-office.pcap without the frames that the servers send.""",
    [want("capture_one_way", 1, server=None)], HEALTHY, capture={"one_way_share": [0.9, 1.0]},
    servers=("10.20.30.5", "10.20.30.6"))
def mirror_one_way(s):
    frames = healthy(s.where, 150)
    return [(t, f) for t, f in frames if f[6:12] not in SERVERS]


@scene("capture-loss", 702, "2008-03-19 09:12:05",
    """The first 90 s of healthy-office.pcap; the sniffer lost 4 % of the frames, in runs of one to
    three.""",
    [want("capture_loss", 1, server=None), OFFLOAD], HEALTHY, capture={"lost_estimate": [0.005,
    0.12]}, servers=("10.20.30.5", "10.20.30.6"))
def capture_loss(s):
    rng = random.Random(s.seed)
    frames = healthy(s.where, 90)
    kept, skip = [], 0
    for pair in frames:
        if skip == 0 and rng.random() < 0.02:
            skip = rng.choice((1, 2, 3))
        if skip:
            skip -= 1
            continue
        kept.append(pair)
    return kept
