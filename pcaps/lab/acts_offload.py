"""Scenes in which the card's own TCP state and the host's come apart, and the same office
in good health."""
import asyncio
import random
import socket

import nic
import office
from scenes import ALIVE, HEALTHY, OFFLOAD, Office, scene, want

STALL = [want("rpc_stall", 2, "no_response", any_of=["rpc_stall", "reply_missing"]),
         want("reply_missing", 2, any_of=["reply_missing", "rpc_stall"])]


@scene("exchange-freeze", 20080318, "2008-03-18 10:38:40",
    """The story this program was written for. EX01 (Broadcom) serves Outlook (endpoint mapper,
    EMSMDB, AsyncEMSMDB), SMB, HTTPS, RDP and HTTP to 14 clients; EX02 is well throughout. From
    171.4 s on the card goes on acknowledging what comes on offloaded connections (keep-alives too);
    the host hears nothing of it and sends nothing on them. Handshakes, connections of the host's
    stack, ARP, echo and the UDP new-mail notices (each 60 s) go on; who starts anew works until the
    new connection is offloaded as well. It lasts to the end.""",
    [OFFLOAD] + STALL, ALIVE + ["flow_blackholed", "keepalive_unanswered"], "offload_engine",
    fault=171.4, servers=("10.20.30.5", "10.20.30.6"))
def exchange_freeze(s):
    o = Office(s, 14, {"span": (14, 30)}, True)
    o.open()
    o.background()
    o.everyday(2.2, (None, None, 75.0, None, None, 140.0, None))
    o.breaks(171.4, nic.Freeze())
    return o.play(490)


@scene("healthy-office", 20080319, "2008-03-19 09:12:05",
    """The same office without a fault: offload in use, EcDoAsyncWaitEx parked for minutes, HTTP
    long polls, keep-alives answered.""",
    [OFFLOAD], HEALTHY + ["checksum_unresolved", "checksum_artifact", "oversized_segment"],
    servers=("10.20.30.5", "10.20.30.6"))
def healthy_office(s):
    o = Office(s, 14, {"span": (14, 30)}, True)
    o.open()
    o.background()
    o.everyday(3.0)
    return o.play(490)


@scene("toe-deaf", 501, "2009-11-10 14:20:00",
    """From 90 s on the card takes nothing in on offloaded connections: no acknowledgement, no
    answer, the clients repeat five times and give up. Host-stack and new connections work (until
    they are offloaded).""",
    [want("flow_blackholed", 3), OFFLOAD], ALIVE, "offload_engine", fault=90.0)
def toe_deaf(s):
    o = Office(s, 6)
    o.open()
    o.background()
    o.everyday(3.0)
    o.breaks(90.0, nic.Deaf())
    return o.play(170)


@scene("keepalive-dead", 502, "2009-02-19 11:55:00",
    """Connections idle over lunch, probed each 15 minutes. The first round of probes is answered on
    all of them; at 1000 s the card loses its table, and the next rounds are answered on host-stack
    connections only. New connections work all the time.""",
    [want("keepalive_unanswered", 3), OFFLOAD], ALIVE, "offload_engine",
    fault=1000.0)
def keepalive_dead(s):
    o = Office(s, 7)
    o.open()
    o.background(ping=200, arp=300, dns=600, probes=None)
    rng = random.Random("502/idle")
    for n, p in enumerate(o.people):
        for port in ((443, 445), (443, 3389), (445, 443), (3389, 445))[n % 4]:
            o.stage.spawn(_idle(o, p, port, rng.uniform(1, 60), rng.randint(2, 3)))
    for p in o.people[:2]:
        o.start(office.Web(p, o.ex1, "page", 450))
    o.stage.at(1000.0, lambda: setattr(o.ex1.card, "fault", nic.Deaf(o.offloaded())))
    return o.play(2950)


async def _idle(o, client, port, delay, exchanges):
    """Some exchanges, then nothing but keep-alives."""
    await asyncio.sleep(delay)
    kind = {443: office.Secure, 445: office.Files, 3389: office.Terminal}[port]
    program = kind(client, o.ex1, think=2.0, **({"most": 10} if port == 443 else {}))
    try:
        async with office.Line(client, o.ex1, port, 60) as line:
            work = asyncio.ensure_future(program.session(line))
            await asyncio.sleep(3.0 * exchanges)
            work.cancel()
            for _ in range(3):
                await asyncio.sleep(900.0 - delay / 30)
                await office.probe(line, 6)
    except OSError:
        pass


@scene("lost-state", 503, "2010-05-13 08:31:00",
    """At 80 s the connections that the card had carried are gone from the server without a close
    (their sockets dropped in repair mode): the clients' next data meets RST from the host's stack.
    All else goes on, and the clients connect again.""",
    [want("orphaned_session", 3, "server_lost_state"), OFFLOAD], ALIVE + ["flow_blackholed",
    "keepalive_unanswered"], "offload_engine", ["undetermined"], fault=80.0)
def lost_state(s):
    o = Office(s, 5)
    o.open()
    o.background()
    o.everyday(2.4)

    def lose():
        gone = {f.client + (f.port,) for f in o.offloaded()}
        for f in o.offloaded():
            f.offloaded, f.due = False, None
        n = office.forget(o.ex1, lambda port, peer: (socket.inet_aton(peer[0]), peer[1], port) in gone)
        o.stage.note("%d connections lost" % n)
    o.stage.at(80.0, lose)
    return o.play(175)


@scene("stale-tuple", 504, "2007-11-18 16:05:00",
    """Three workstations crash at 60 s and come back with the same source ports. The server still
    holds the old sessions: it answers the new SYN with a bare ACK that bears the old numbers
    (challenge ACK). On host-stack connections the client's RST frees the tuple and the next SYN
    succeeds; on offloaded ones the card keeps the RST to itself, and SYN, ACK, RST go round.""",
    [want("orphaned_session", 3, "stale_tuple"), OFFLOAD], ALIVE, "offload_engine", ["undetermined",
    "server_host"], fault=60.0)
def stale_tuple(s):
    o = Office(s, 5, {"share": 0.7})
    o.open()
    o.background(probes=None)
    rest = o.people[3:]
    for n, p in enumerate(o.people):
        if p in rest:
            o.start(office.Outlook(p, o.ex1, o.store, 40))
        else:
            for port in (443, 445, 3389):
                o.stage.spawn(_crash(o, p, port, 2.0 + 3 * n))
    o.breaks(55.0, nic.KeepsSessions())
    return o.play(135)


async def _crash(o, client, port, delay):
    await asyncio.sleep(delay)
    kind = {443: office.Secure, 445: office.Files, 3389: office.Terminal}[port]
    program = kind(client, o.ex1, think=6.0)
    line = office.Line(client, o.ex1, port, 60)
    await line.__aenter__()
    work = asyncio.ensure_future(program.session(line))
    await asyncio.sleep(60.0 - o.stage.now())
    work.cancel()
    source = line.sock.getsockname()[1]
    office.drop(line.writer)
    await asyncio.sleep(25.0 + delay)
    for _ in range(3):
        client.port = lambda: source
        try:
            async with office.Line(client, o.ex1, port, 60) as again:
                work = asyncio.ensure_future(kind(client, o.ex1, think=9.0).session(again))
                await asyncio.sleep(20)
                work.cancel()
                return
        except OSError:
            await asyncio.sleep(9)


WIDE = {"net.ipv4.tcp_window_scaling": 1}


@scene("window-scale-lost", 505, "2010-07-15 10:58:00",
    """Window scaling is negotiated (shift 7). From 40 s on the card applies the shift to a window
    that is scaled already: on offloaded connections the field falls by the factor 128 (at the
    handover, on those that are handed over later), and the clients may
    have a few hundred bytes under way.""",
    [want("window_collapse", 2, "scale_lost", any_of=["window_collapse", "handover_violation"]),
    OFFLOAD], ALIVE, "offload_engine", ["undetermined"], True, fault=40.0)
def window_scale_lost(s):
    o = Office(s, 6, {"span": (8, 14)}, sysctl=WIDE)
    o.open()
    o.background(probes=None)
    for n, p in enumerate(o.people):
        o.start(office.Secure(p, o.ex1, think=10, ask=(200, 1300), life=6, most=12), 60)
        if n % 2:
            o.start(office.Files(p, o.ex1, 14), 70)
    o.breaks(40.0, nic.ScaleTwice(7))
    return o.play(130)


@scene("timestamps-lost", 506, "2010-04-30 09:15:00",
    """Timestamps are negotiated. On connections offloaded after 30 s the card leaves the option
    out; a receiver that keeps to RFC 7323 section 3.2 drops such segments, and so does the box
    before these clients.""",
    [want("option_violation", 2, "timestamps_missing", any_of=["option_violation",
    "handover_violation"]), OFFLOAD], ALIVE, "offload_engine", ["undetermined"], fault=30.0)
def timestamps_lost(s):
    o = Office(s, 6, sysctl={"net.ipv4.tcp_timestamps": 1})
    o.stage.clock.holds = 1			# their clock is the wall's
    o.open()
    o.background(30, 20, 20, None)
    for n, p in enumerate(o.people):
        o.start((office.Secure, office.Files)[n % 2](p, o.ex1, think=10, patience=20), 20)
        if n % 3 == 0:
            o.start(office.Outlook(p, o.ex1, o.store, 12, 20), 20)
    asked = set()

    def between(sender, target, seg):
        if not seg.tcp:
            return bytes(seg.frame)
        if seg.syn:
            asked.add(seg.key)
        bare = seg.data - seg.l4 < 32 and not seg.flags & 6
        return None if sender is o.ex1 and bare and seg.key in asked else bytes(seg.frame)
    o.stage.between = between
    o.breaks(30.0, nic.NoTimestamps())
    return o.play(76)


@scene("ack-unsent", 507, "2008-04-08 03:00:00",
    """From 60 s on some segments of offloaded connections acknowledge 1460 bytes that the client
    has not sent; the clients drop such segments and the server has to send again.""",
    [want("sequence_violation", 2, "ack_unsent", any_of=["sequence_violation",
    "handover_violation"]), OFFLOAD], ALIVE, "offload_engine", ["undetermined"], fault=60.0, nano=True)
def ack_unsent(s):
    o = Office(s, 6)
    o.open()
    o.background()
    o.everyday(2.0)
    o.breaks(60.0, nic.AcksAhead(0.45))
    return o.play(150)
