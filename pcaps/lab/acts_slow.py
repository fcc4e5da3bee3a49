"""Scenes of transfers and answers that are slow, each for one reason."""
import asyncio
import fcntl
import random
import struct

import nic
import office
import shop
import stage
from acts_modern import Nic, STILL, TODAY
from scenes import HEALTHY, OFFLOAD, Office, scene, want

SIOCOUTQ = 0x5411
SLOW = STILL + ["burst_lost_whole", "sack_hole_unfilled", "oversized_segment"]


def far(o, seconds):
    """The clients are so far away: what the server sends takes this long."""
    def between(sender, target, seg):
        if sender not in o.servers or target is None:
            return bytes(seg.frame)
        o.stage.loop.call_later(seconds, o.stage._deliver, target, bytes(seg.frame), None)
        return None
    o.stage.between = between


@scene("window-limited", 821, "2011-09-20 16:00:00",
    """Uploads over a path of 80 ms. At 30 s the service on port 80 is started anew with a receive
    buffer of 4 kB: its window is a twentieth of what it was, each client sends a window and waits a
    round trip. Small requests are as quick as before. Snapped to 128 bytes.""",
    [want("throughput_collapse", 2, "window_limited")], SLOW + ["zero_window_stall"], "undetermined", ["server_application",
    "server_host"], True, fault=30.0, snap=128)
def window_limited(s):
    o = Office(s, 4, sysctl=dict(TODAY, **{"net.ipv4.tcp_window_scaling": 0}), mac="00:1b:21:5c:80:05")
    o.ex1.card = Nic(o.ex1, o.ex1.rng)
    o.stage.clock.holds = 1
    o.stage.open()
    run = o.stage.loop.run_until_complete
    first = run(office.serve(o.ex1, 80, shop.shop))
    run(office.serve(o.ex1, 443, office.secure))
    far(o, 0.08)
    for n, p in enumerate(o.people):
        if n < 3:
            o.start(shop.Puts(p, o.ex1, 15.0, 330000, 90.0), 12)
        o.start(office.Secure(p, o.ex1, think=6, most=30), 8)
    o.stage.spawn(_again(o, first))
    return o.play(75)


async def _again(o, first):
    await asyncio.sleep(30.0)
    first.close()
    for port, task, writer in o.ex1.sessions:
        if port == 80:
            writer.close()
    await office.serve(o.ex1, 80, shop.shop, 4096)


@scene("rto-limited", 822, "2013-02-05 10:45:00",
    """From 20 s on a policer behind the mirror lets two segments of a connection pass in each 100 ms and
    drops the others: downloads wait for a retransmission timeout every few segments. Answers of one
    segment are well. Snapped to 128 bytes.""",
    [want("throughput_collapse", 2, "rto_limited")], SLOW, "undetermined", ["network_path", "segmentation_offload"], True,
    fault=20.0, snap=128)
def rto_limited(s):
    o = Office(s, 4, sysctl=TODAY, mac="00:1b:21:5c:80:05")
    o.ex1.card = Nic(o.ex1, o.ex1.rng)
    o.stage.clock.holds = 1
    shop.opens(o)
    for n, p in enumerate(o.people):
        o.start(shop.Pages(p, o.ex1, 5.0, 30.0), 6)
        if n < 3:
            o.start(shop.Loads(p, o.ex1, 9.0, 150000, 90.0), 6)
    passed = {}

    def between(sender, target, seg):
        if o.stage.now() < 20 or not seg.tcp or sender is not o.ex1 or not seg.len:
            return bytes(seg.frame)
        recent = passed[seg.key] = [t for t in passed.get(seg.key, ()) if t > o.stage.now() - 0.1]
        if len(recent) == 2:
            return None
        recent.append(o.stage.now())
        return bytes(seg.frame)
    o.stage.between = between
    return o.play(60)


async def stepwise(host, rng, reader, writer):
    """The shop without a send buffer: a full segment is written, and the next one once that is
    acknowledged (SIOCOUTQ), from `host.stepwise` on."""
    sock = writer.get_extra_info("socket")
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1]
        size = int(path.split(b"?")[1]) if b"?" in path else 500
        body = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: %d\r\n\r\n" % size + rng.randbytes(size)
        while body:
            step = 1460 if host.stepwise else len(body)
            writer.write(body[:step])
            body = body[step:]
            while body and struct.unpack("i", fcntl.ioctl(sock.fileno(), SIOCOUTQ, bytes(4)))[0]:
                await asyncio.sleep(0.004)


@scene("delayed-ack", 823, "2012-10-09 14:30:00",
    """From 25 s on the program behind port 80 writes one full segment at a time and waits until it is
    acknowledged; the clients acknowledge a lone segment after 40 ms. The same two hosts were a
    thousand times quicker before. Snapped to 128 bytes.""",
    [want("throughput_collapse", 2, "delayed_ack_limited")], SLOW, "undetermined", ["server_application"], True, fault=25.0,
    snap=128)
def delayed_ack(s):
    o = Office(s, 4, sysctl=TODAY, mac="00:1b:21:5c:80:05")
    o.ex1.card, o.ex1.stepwise = Nic(o.ex1, o.ex1.rng), False
    o.stage.clock.holds = 1
    o.stage.open()
    run = o.stage.loop.run_until_complete
    run(office.serve(o.ex1, 80, stepwise))
    run(office.serve(o.ex1, 443, office.secure))
    for n, p in enumerate(o.people):
        if n < 3:
            o.start(shop.Loads(p, o.ex1, 12.0, 310000, 90.0, True), 6)
        o.start(office.Secure(p, o.ex1, think=6, most=30), 8)
    o.stage.at(25.0, lambda: setattr(o.ex1, "stepwise", True))
    return o.play(65)


@scene("slow-service", 824, "2017-01-17 09:00:00",
    """The program behind port 80 takes 12 to 24 s for each answer, from the first to the last frame of
    the capture, for every client; its requests are acknowledged at once. HTTPS on the same host
    answers within milliseconds.""",
    [want("reply_missing", 2, "late")], STILL, "server_application", fault=0.5)
def slow_service(s):
    o = Office(s, 5, sysctl=TODAY, mac="00:1b:21:5c:80:05")
    o.ex1.card, o.ex1.slow = Nic(o.ex1, o.ex1.rng), 18.0
    shop.opens(o)
    o.background(30, 30, 30, None)
    for n, p in enumerate(o.people):
        o.start(shop.Pages(p, o.ex1, 9.0, 90.0), 10)
        if n % 2:
            o.start(office.Secure(p, o.ex1, think=9, most=30), 10)
    return o.play(150)


class OldWindows(nic.Fault):
    """Now and then a segment bears the window that the card saw when it took the connection
    over, long since used up: single segments, the next one is right again."""

    def __init__(self, share, window):
        self.share, self.window = share, window

    def out(self, card, flow, seg):
        if seg.flags & 16 and not seg.flags & 7 and card.rng.random() < self.share:
            seg.set(">H", 14, self.window)


@scene("window-flicker", 825, "2009-12-01 10:20:00",
    """From 40 s on about one in five segments of offloaded connections bears a window of 2920 bytes
    that was true when the card took the connection over; the next segment is right again.""",
    [want("window_collapse", 2, "shrunk"), OFFLOAD], STILL, "offload_engine", ["undetermined"], True, fault=40.0)
def window_flicker(s):
    o = Office(s, 6, {"span": (5, 9)})
    o.open()
    o.background()
    o.everyday(1.6)
    o.breaks(40.0, OldWindows(0.2, 2920))
    return o.play(120)
