"""Scenes of today's offload faults: tunnels, merging on a box that forwards, segmentation
that swaps and swallows, virtio's sums, a transmit queue that hangs, a next hop that moved."""
import asyncio
import copy
import random
import struct
import subprocess

import nic
import office
import shop
import stage
from scenes import ALIVE, HEALTHY, OFFLOAD, Office, scene, want

# A Linux server and its clients as they are today (no timestamps: scene time leaps).
TODAY = {"net.ipv4.ip_default_ttl": 64, "net.ipv4.tcp_window_scaling": 1, "net.ipv4.tcp_dsack": 1,
         "net.ipv4.tcp_retries2": 8}
STILL = [n for n in ALIVE if not n.startswith("checksum_")]


def inside(host, *command):
    """Run a command (iproute2's) in the host's network namespace."""
    subprocess.run(command, check=True, preexec_fn=lambda: stage.setns(host.ns), stdout=subprocess.DEVNULL)


class Nic(stage.Card):
    """A card without connection offload: it cuts large sends, and leaves the kernel's IP IDs
    as they are. `change` is its fault: given the segments of one send, it says which leave,
    and in what order."""

    def __init__(self, host, rng):
        super().__init__(host, rng)
        self.change = None

    def out(self, seg):
        pieces = [seg]
        if seg.gso:
            first = struct.unpack_from(">H", seg.frame, 18)[0]
            pieces = stage.cut(seg, seg.gso)
            for n, piece in enumerate(pieces):
                self.stamp(piece.frame, first + n & 0xFFFF, True)
        if self.change:
            pieces = self.change(pieces)
        return [bytes(p.frame) for p in pieces]


# --- VXLAN --------------------------------------------------------------------------

class Node:
    """A machine with a VXLAN interface and pods behind it."""

    def __init__(self, o, number, outer_sums):
        host = stage.Host(o, "NODE%d" % number, "10.20.30.%d" % (10 + number), "52:54:00:1d:77:%02x" % number, TODAY)
        host.card = Nic(host, host.rng)
        self.host, self.number, self.pods = host, number, []
        inside(host, "ip", "link", "add", "vx0", "address", "ce:11:00:00:01:%02x" % number, "mtu", "1450", "type", "vxlan", "id",
               "4096", "dstport", "4789", "local", host.ip, "udpcsum" if outer_sums else "noudpcsum")
        inside(host, "ip", "link", "set", "vx0", "up")

    def knows(self, other):
        inside(self.host, "bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "vx0", "dst", other.host.ip)

    def pod(self, last):
        """One address of the overlay, as good as a host for the programs."""
        p = copy.copy(self.host)
        p.ip = "10.244.0.%d" % (self.number * 20 + last)
        p.name, p.rng = "POD%s" % p.ip.rpartition(".")[2], random.Random("%s/%s" % (self.host.stage.seed, p.ip))
        inside(self.host, "ip", "addr", "add", p.ip + "/16", "dev", "vx0")
        self.pods.append(p)
        return p


def overlay(s, outer_sums, clients):
    """Three nodes; a web service in a pod of the first, clients in pods of the others."""
    o = stage.Stage(s.seed, s.start)
    nodes = [Node(o, n, outer_sums) for n in (1, 2, 3)]
    for a in nodes:
        for b in nodes:
            if a is not b:
                a.knows(b)
    server = office.machine(nodes[0].pod(1))
    o.mirrored, o.clock.holds = [nodes[0].host], 1	# the kernels' timers are inside
    o.open()
    o.loop.run_until_complete(office.serve(server, 443, office.secure))
    o.loop.run_until_complete(office.serve(server, 80, shop.shop))
    for n in range(clients):
        node = nodes[1 + n % 2]
        p = office.person(node.pod(2 + n), None)
        o.spawn(office.Secure(p, server, think=7, patience=25, most=90).run(0.3 + 0.7 * n))
        o.spawn(shop.Pages(p, server, 9.0, 12.0).run(0.8 + 0.9 * n))
    return o, nodes


def spoilt(frame, target):
    """The outer UDP checksum as a card leaves it that takes the wrong pseudo-header."""
    seg = stage.Segment(frame)
    if seg.ip and seg.proto == 17 and seg.dport == 4789 and seg.dst == target.addr:
        field = struct.unpack_from(">H", seg.frame, seg.l4 + 6)[0]
        struct.pack_into(">H", seg.frame, seg.l4 + 6, (field + 0x1A2B) % 0xFFFF or 0xFFFF)
    return seg


@scene("vxlan-checksum", 801, "2021-08-24 06:28:30",
    """A web service in a pod on 10.20.30.11, asked over VXLAN by pods on two other nodes (Linux'
    own VXLAN, outer UDP checksums in use). From 30 s on the card of 10.20.30.11 writes a wrong,
    non-zero outer checksum into what goes to 10.20.30.13; the kernel there drops it unseen by the
    pods: their SYNs are repeated, their connections die. What goes to 10.20.30.12 is well.""",
    [want("checksum_discarded", 2, server="10.244.0.21")], STILL + ["checksum_artifact", "checksum_unresolved"],
    "checksum_offload", fault=30.0, servers=("10.244.0.21", "10.20.30.11"))
def vxlan_checksum(s):
    o, nodes = overlay(s, True, 6)

    def breaks():
        nodes[0].host.card.change = lambda pieces: [spoilt(bytes(p.frame), nodes[2].host) for p in pieces]
    o.at(30.0, breaks)
    o.play(85)
    return o


@scene("vxlan-zero", 802, "2021-08-25 07:10:00",
    """The same overlay in good health, without outer checksums (zero, as RFC 7348 wants it and
    Linux does it by default).""",
    [], HEALTHY + ["checksum_artifact", "checksum_unresolved", "oversized_segment"], servers=("10.244.0.21", "10.20.30.11"))
def vxlan_zero(s):
    o, _ = overlay(s, False, 4)
    o.play(40)
    return o


# --- routers ------------------------------------------------------------------------

class Router:
    """A Linux router on a stick: the servers' net and the clients' on one interface."""

    def __init__(self, o, number, mac):
        host = stage.Host(o.stage, "GW%d" % number, "10.20.30.%d" % number, mac, dict(TODAY, **{
            "net.ipv4.ip_forward": 1, "net.ipv4.conf.all.send_redirects": 0, "net.ipv4.conf.default.send_redirects": 0,
            "net.ipv4.conf.all.arp_ignore": 1}))
        host.sysctl("net.ipv4.conf.eth0.send_redirects", 0)
        inside(host, "ip", "addr", "add", "10.20.40.%d/24" % number, "dev", "eth0")
        self.host, self.stage = host, o.stage
        host.card = Nic(host, host.rng)

    def takes_over(self):
        """The addresses of the gateway, and what tells the others: gratuitous ARP."""
        for net in ("10.20.30.1", "10.20.40.1"):
            inside(self.host, "ip", "addr", "add", net + "/24", "dev", "eth0")
            addr = stage.socket.inet_aton(net)
            frame = stage.BROADCAST + self.host.mac + bytes.fromhex("08060001080006040001")
            self.stage.send(self.host, frame + self.host.mac + addr + b"\xff" * 6 + addr + bytes(18))


def routed(o, gateway="10.20.30.1"):
    """The clients live in 10.20.40.0/24, behind the gateway."""
    for p in o.people:
        p.ip = p.ip.replace("10.20.30.", "10.20.40.")
        p.addr = stage.socket.inet_aton(p.ip)
        inside(p, "ip", "addr", "flush", "dev", "eth0")
        inside(p, "ip", "addr", "add", p.ip + "/24", "dev", "eth0")
        inside(p, "ip", "route", "add", "default", "via", gateway.replace("30.1", "40.1"))
    for host in o.servers:
        inside(host, "ip", "route", "add", "default", "via", gateway)


class Lro(Nic):
    """A card that glues segments of one connection together as they come in (LRO), up to
    `most` bytes, and tells the kernel nothing of it."""

    def __init__(self, host, rng, most):
        super().__init__(host, rng)
        self.most, self.on, self.held = most, False, {}

    def into(self, seg):
        if not self.on or not seg.tcp:
            return super().into(seg)
        before = self.held.get(seg.key)
        fits = before and seg.len and before.end == seg.seq and before.len + seg.len <= self.most
        if before and not fits:
            self._flush(seg.key, before)
        if not seg.len or seg.flags & 7:
            return super().into(seg)
        if fits:
            frame = before.frame[:14 + before.total] + seg.payload()
            frame[before.l4 + 13] |= seg.flags
            struct.pack_into(">H", frame, 16, len(frame) - 14)
            seg = stage.Segment(bytes(frame))
            seg.mend()
        self.held[seg.key] = seg
        if not fits:
            self.host.stage.loop.call_later(0.0006, self._flush, seg.key, None)
        return []

    def _flush(self, key, what):
        seg = self.held.pop(key, None)
        if seg:
            self.host.give(bytes(seg.frame))


@scene("lro-forwarding", 803, "2016-11-15 09:40:00",
    """The clients are behind a Linux router. From 25 s on the router's card merges what it receives
    (LRO): the kernel cannot forward such datagrams (DF), drops them and sends "fragmentation
    needed" to the server, which has never sent more than 1500 bytes. Single segments pass: downloads
    crawl, small answers are well. Snapped to 128 bytes.""",
    [want("merged_forwarding", 2)], [n for n in STILL if n != "merged_forwarding"] + ["stale_neighbor", "oversized_segment"],
    "network_path", ["segmentation_offload"], fault=25.0, servers=("10.20.30.5",), snap=128)
def lro_forwarding(s):
    o = Office(s, 4, sysctl=TODAY, vnet="tso")
    o.ex1.card = Nic(o.ex1, o.ex1.rng)
    gate = Router(o, 1, "00:50:56:9a:10:01")
    gate.host.card = lro = Lro(gate.host, gate.host.rng, 21900)
    routed(o)
    o.stage.clock.holds = 1
    shop.opens(o)
    for n, p in enumerate(o.people):
        o.start(shop.Pages(p, o.ex1, 5.0, 30.0), 8)
        if n < 3:
            o.start(shop.Loads(p, o.ex1, 9.0, 60000, 90.0), 8)
    o.stage.at(25.0, lambda: setattr(lro, "on", True))
    return o.play(70)


@scene("stale-next-hop", 804, "2010-06-02 13:05:00",
    """The clients are behind a router. At 60 s another one takes over its addresses (other MAC,
    gratuitous ARP). The server's kernel follows, and with it new connections and those that it
    carries; the card goes on sending what it carries to the old MAC, where nobody listens.""",
    [want("stale_neighbor", 2), OFFLOAD], [n for n in ALIVE if n != "stale_neighbor"], "offload_engine", ["undetermined"],
    fault=60.0)
def stale_next_hop(s):
    o = Office(s, 7, {"span": (6, 12)})
    first, second = Router(o, 1, "00:1b:54:c2:30:01"), Router(o, 3, "00:1b:54:c2:91:03")
    routed(o)
    o.open()
    o.everyday(2.0, (60.0, None, 75.0))
    o.stage.spawn(office.ping(o.people[0], o.ex1, 30.0, random.Random("804/p")))

    def fails():
        first.host.up = False
        second.takes_over()
        for flow in o.offloaded():
            flow.mark["hop"] = flow.macs[0]
        o.ex1.card.fault = OldHop()
        o.stage.note("fault: %d offloaded connections" % len(o.offloaded()))
    o.stage.at(60.0, fails)
    return o.play(150)


class OldHop(nic.Fault):
    """What was offloaded before goes on to where it went."""

    def out(self, card, flow, seg):
        seg.frame[0:6] = flow.mark.get("hop", seg.frame[0:6])


# --- segmentation ---------------------------------------------------------------------

@scene("tso-reorder", 805, "2026-04-02 20:15:00",
    """From 25 s on the card, cutting a large send, puts a segment three or four places too early
    (IP IDs in the order of the bytes, frames in another). Receivers answer with duplicate
    acknowledgments and SACK, the server sends again what was never lost. Answers of one segment are
    well. EX02, on the same mirror, sends in order. Snapped to 128 bytes.""",
    [want("segments_reordered", 2)], STILL + ["burst_lost_whole", "oversized_segment"], "segmentation_offload", ["undetermined"],
    fault=25.0, servers=("10.20.30.5", "10.20.30.6"), snap=128)
def tso_reorder(s):
    o = Office(s, 5, second=True, sysctl=TODAY, vnet="tso")
    rng = random.Random("805/swap")
    for host in o.servers:
        host.card = Nic(host, host.rng)
    o.stage.clock.holds = 1
    shop.opens(o)
    for n, p in enumerate(o.people):
        o.start(shop.Pages(p, o.ex1, 6.0, 30.0), 8)
        o.start(shop.Loads(p, o.servers[n % 2], 7.0, 75000, 90.0), 8)

    def swap(pieces):
        out = []
        for at in range(0, len(pieces), 9):
            run = pieces[at:at + 9]
            if len(run) > 4 and rng.random() < 0.7:
                run.insert(0, run.pop(rng.choice((3, 4))))
            out += run
        return out
    o.stage.at(25.0, lambda: setattr(o.ex1.card, "change", swap))
    return o.play(60)


@scene("tso-hole", 806, "2018-06-20 11:30:00",
    """The card loses 17 segments of two large sends, at 20 and at 24 s, and whatever of them is sent
    again. The receivers hold what lies beyond and ask for the hole, in vain; small answers, on these
    connections none, on others all, get through. Snapped to 128 bytes.""",
    [want("sack_hole_unfilled", 2)], STILL + ["burst_lost_whole", "oversized_segment"], "segmentation_offload", ["undetermined"],
    fault=20.0, snap=128)
def tso_hole(s):
    o = Office(s, 5, sysctl=TODAY, vnet="tso")
    o.ex1.card = Nic(o.ex1, o.ex1.rng)
    o.stage.clock.holds = 1
    shop.opens(o)
    for n, p in enumerate(o.people):
        o.start(shop.Pages(p, o.ex1, 4.0, 30.0), 6)
        if n < 3:
            o.start(shop.Loads(p, o.ex1, 5.0, 120000, 90.0), 6)
    holes, due = {}, [20.0, 24.0]

    def swallow(pieces):
        first = pieces[0]
        if due and o.stage.now() > due[0] and len(pieces) >= 20 and first.key not in holes:
            holes[first.key] = (pieces[2].seq, pieces[18].end)
            due.pop(0)
        return [p for p in pieces if not lost(p)]

    def lost(p):
        hole = p.tcp and p.len and holes.get(p.key)
        return hole and stage.after(p.end, hole[0]) and stage.after(hole[1], p.seq)
    o.ex1.card.change = swallow
    return o.play(60)


# --- virtio, transmit hang --------------------------------------------------------------

async def resolver(client, server, every, rng):
    """Asks for names, and the same again (up to three times) when no answer has come in 2 s."""
    s = client.socket(stage.socket.SOCK_DGRAM)
    s.connect((server.ip, 53))
    while True:
        await asyncio.sleep(office.draw(rng, every, 1))
        ask = struct.pack(">HHHHHH", rng.randrange(1 << 16), 0x0100, 1, 0, 0, 0) + b"\x03www\x07contoso\x05local\0\0\x01\0\x01"
        for _ in range(3):
            s.send(ask)
            try:
                await asyncio.wait_for(client.stage.loop.sock_recv(s, 512), 2.0)
                break
            except asyncio.TimeoutError:
                pass


@scene("virtio-checksum", 807, "2026-02-11 10:00:00",
    """A virtio guest whose host no longer finishes the checksums: from 40 s on TCP and UDP of EX01
    bear the pseudo-header sum alone, on the wire. Every receiver drops them: no handshake comes about, no
    answer arrives, name queries are repeated; ARP and echo (no such sum) are answered. EX02 is well.""",
    [want("checksum_discarded", 3)], STILL + ["checksum_artifact"], "checksum_offload", fault=40.0,
    servers=("10.20.30.5", "10.20.30.6"))
def virtio_checksum(s):
    o = Office(s, 5, second=True, sysctl=TODAY, vnet="csum", mac="52:54:00:8e:21:05")
    for host in o.servers:
        host.card = Nic(host, host.rng)
    o.stage.clock.holds = 1
    shop.opens(o)
    o.background(15, 20, 12, None)
    for n, p in enumerate(o.people):
        o.start(office.Secure(p, o.ex1, think=7, patience=20, most=60), 10)
        o.start(shop.Pages(p, o.servers[n % 2], 8.0, 12.0), 10)
        if n < 2:
            o.stage.spawn(resolver(p, o.ex1, 9, random.Random("807/n%d" % n)))
    o.stage.at(40.0, lambda: setattr(o.ex1, "unfinished", True))
    return o.play(85)


@scene("tx-watchdog", 808, "2025-03-14 08:30:00",
    """The transmit side of EX01 hangs three times, for 8 s each from 30, 60 and 95 s: the driver's
    watchdog takes 5 s (NETDEV WATCHDOG), the reset and the link three more; then it goes on with all its
    connections. It receives meanwhile; EX02 is well throughout.""",
    [want("egress_dead", 1)], [n for n in STILL if n not in ("egress_dead", "server_silent")], "server_host",
    ["undetermined"], fault=30.0, servers=("10.20.30.5", "10.20.30.6"), snap=128)
def tx_watchdog(s):
    o = Office(s, 6, second=True, sysctl=TODAY, mac="00:1b:21:5c:80:05")
    for host in o.servers:
        host.card = Nic(host, host.rng)
    o.stage.clock.holds = 1
    shop.opens(o)
    o.background(12, 15, 15, None)
    for n, p in enumerate(o.people):
        o.start(office.Secure(p, o.ex1, think=3.5, patience=40, most=60), 8)
        o.start(shop.Pages(p, o.servers[n % 2], 5.0, 30.0), 8)
    for start in (30.0, 60.0, 95.0):
        o.stage.at(start, lambda: setattr(o.ex1.card, "change", lambda pieces: []))
        o.stage.at(start + 8, lambda: setattr(o.ex1.card, "change", None))
    return o.play(125)


@scene("host-stack-dead", 809, "2009-05-12 15:20:00",
    """At 60 s the operating system of EX01 dies. Its card goes on acknowledging what comes on the
    connections that it carries, and answers their keep-alives; nothing else comes from the host: no
    SYN-ACK, no ARP, no echo, no datagram. EX02 is well.""",
    [want("host_stack_dead", 1), OFFLOAD], [n for n in ALIVE if n not in ("host_stack_dead", "server_silent")], "server_host",
    ["offload_engine", "undetermined"], fault=60.0, servers=("10.20.30.5", "10.20.30.6"))
def host_stack_dead(s):
    o = Office(s, 7, {"span": (6, 12)}, True)
    o.open()
    o.background(14, 12, 25, 8)
    o.everyday(1.8, (40.0, None, 50.0, None))
    o.breaks(60.0, Corpse())
    o.stage.at(60.0, o.ex1.card.no_more)
    return o.play(130)


class Corpse(nic.Freeze):
    """The card acknowledges for a host that is no more."""
    everything = True

    def out(self, card, flow, seg):
        return super().out(card, flow, seg) if flow and flow.offloaded else []

    def into(self, card, flow, seg):
        return super().into(card, flow, seg) if flow and flow.offloaded else []
