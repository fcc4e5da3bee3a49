"""Scenes in which a client, a program, a host or the way to it fails, and the card is well."""
import asyncio
import random
import socket

import directory
import nic
import office
import rpc
import stage
from scenes import ALIVE, OFFLOAD, Office, scene, want

STILL = [n for n in ALIVE if n not in ("server_silent", "egress_dead", "server_restart", "host_stack_dead")]


def plain(s, clients=6, think=2.2, toe=None, background=True, **more):
    """An office at work, its programs running."""
    o = Office(s, clients, toe, **more)
    o.open()
    if background:
        o.background()
    o.everyday(think)
    return o


@scene("client-vanished", 301, "2008-08-05 17:25:00",
    """At 80 s three of six workstations lose power. The server keeps their sessions: its notices,
    parked calls that end, and keep-alives are repeated to nobody. The others work on.""",
    [want("orphaned_session", 2, "client_vanished", any_of=["orphaned_session",
    "keepalive_unanswered", "flow_blackholed"]), OFFLOAD], [n for n in ALIVE], "client_side",
    ["undetermined", "network_path"], True, fault=80.0)
def client_vanished(s):
    o = plain(s, mail=60.0)
    gone = o.people[:3]

    def cut():
        for p in gone:
            p.gone, p.up = True, False
    o.stage.at(80.0, cut)
    o.stage.spawn(_server_probes(o, [p.ip for p in gone]))
    return o.play(190)


async def _server_probes(o, gone):
    """The server's own keep-alives: one round before, one after the power is gone."""
    for when in (60.0, 130.0):
        await asyncio.sleep(when - o.stage.now())
        for port, _, writer in list(o.ex1.sessions):
            peer = writer.get_extra_info("peername")[0]
            if not writer.is_closing() and port in (443, 445, 3389) and (peer in gone or when < 100):
                line = type("Peer", (), {"client": o.people[-1], "sock": None})
                o.stage.spawn(office.probe(line, 5, 1, writer.get_extra_info("socket")))


@scene("close-wait", 302, "2009-01-03 14:52:00",
    """From 40 s on the server's programs do not close any more: clients end their connections, the
    FIN is acknowledged, and no FIN comes back.""",
    [want("orphaned_session", 5, "server_never_closed"), OFFLOAD], ALIVE, "server_application",
    ["undetermined"], fault=40.0)
def close_wait(s):
    o = Office(s, 6, {"span": (6, 12)})
    o.open()
    o.background(60, 60, 60)
    for n, p in enumerate(o.people):
        o.start(office.Secure(p, o.ex1, think=16, life=2, most=8), 25)
        if n % 2:
            o.start(office.Web(p, o.ex1, "page", 45), 25)
        if n % 3 == 0:
            o.start(office.Outlook(p, o.ex1, o.store, 60), 25)
    o.stage.at(40.0, lambda: setattr(o.ex1, "keeps_open", True))
    return o.play(185)


@scene("zero-window", 303, "2009-08-04 20:35:00",
    """From 40 s on the program behind port 80 does not read from three uploads any more: the
    receive window closes and stays closed; the clients' window probes are answered with window 0.""",
    [want("zero_window_stall", 2, "persist"), OFFLOAD], ALIVE, "server_application",
    ["undetermined"], fault=40.0)
def zero_window(s):
    o = Office(s, 5)
    for p in o.people:
        p.card = stage.Card(p, p.rng)	# window probes as the kernel makes them
    o.open({80: 4608})
    o.background(60, 60, 60, None)
    for n, p in enumerate(o.people):
        if n < 3:
            o.stage.spawn(_upload(o, p, 3.0 + 2 * n))
        o.start(office.Files(p, o.ex1, 22, 300), 20)
        if n % 2:
            o.start(office.Outlook(p, o.ex1, o.store, 40), 20)

    def stop():
        for port, _, writer in o.ex1.sessions:
            if port == 80:
                writer.transport.pause_reading()
    o.stage.at(40.0, stop)
    return o.play(150)


async def _upload(o, client, delay):
    await asyncio.sleep(delay)
    rng = random.Random("%s/%s/upload" % (o.seed, client.name))
    async with office.Line(client, o.ex1, 80) as line:
        line.send(b"PUT /files/%s.bin HTTP/1.1\r\nHost: ex01\r\nContent-Length: 4000000\r\n\r\n" % client.name.encode())
        await line.reader.readuntil(b"\r\n\r\n")
        until = 44.0
        while o.stage.now() < until:
            line.send(rng.randbytes(400))
            await asyncio.sleep(rng.uniform(3, 6))
        line.send(rng.randbytes(9000))
        with o.stage.hold():		# the window probes are the kernel's: wait with it
            await asyncio.sleep(95)


@scene("connect-refused", 304, "2007-12-17 08:12:00",
    """From 60 s on nothing listens on ports 3389 and 445 (the services were stopped and their
    connections closed): every SYN is answered with RST. The other services are well.""",
    [want("connect_failure", 3, "refused"), OFFLOAD], ALIVE, "server_application", ["undetermined",
    "server_host"], True, fault=60.0)
def connect_refused(s):
    o = plain(s)
    for p in o.people[:3]:
        o.start(office.Terminal(p, o.ex1, 12))

    def stop():
        for port in (3389, 445):
            o.ex1.doors[port].close()
        for port, task, writer in list(o.ex1.sessions):
            if port in (3389, 445):
                task.cancel()
                writer.close()
    o.stage.at(60.0, stop)
    return o.play(150)


@scene("connect-unanswered", 305, "2007-12-17 09:40:00",
    """From 60 s on SYNs to ports 3389 and 445 get no answer (an overfull filter on the host);
    connections that exist and the other ports are well.""",
    [want("connect_failure", 3, "unanswered"), OFFLOAD], ALIVE, "undetermined",
    ["server_application", "server_host", "network_path"], True, fault=60.0)
def connect_unanswered(s):
    o = Office(s, 6)
    o.open()
    o.background()
    for n, p in enumerate(o.people):
        o.start(office.Outlook(p, o.ex1, o.store, 45), 40)
        o.start(_Short(p, o.ex1, (3389, 445)[n % 2]), 30)
    o.breaks(60.0, nic.Ports(3389, 445))
    return o.play(125)


class _Short:
    """A program that connects, does a little, and goes."""

    def __init__(self, client, server, port):
        self.client, self.server, self.port = client, server, port
        self.program = {445: office.Files, 3389: office.Terminal}[port](client, server, 5)

    async def run(self, delay):
        await asyncio.sleep(delay)
        while True:
            try:
                async with office.Line(self.client, self.server, self.port, 30) as line:
                    work = asyncio.ensure_future(self.program.session(line))
                    await asyncio.sleep(8)
                    work.cancel()
            except OSError:
                pass
            await asyncio.sleep(office.draw(self.program.rng, 9, 3))


@scene("app-hang", 306, "2008-08-06 08:05:00",
    """At 70 s all programs of the server stop (they read and answer nothing, as after SIGSTOP). The
    kernel accepts new connections, acknowledges, answers echo and ARP; offloaded and host-stack
    connections are silent alike.""",
    [want("reply_missing", 3, any_of=["reply_missing", "rpc_stall"]), OFFLOAD], ALIVE +
    ["flow_blackholed"], "server_application", ["server_host"], fault=70.0)
def app_hang(s):
    o = Office(s, 7)
    o.open()
    o.background()
    o.everyday(2.0, (None, 40.0, 25.0))
    o.stage.at(70.0, office.halt, o.ex1)
    return o.play(180)


AGES = {"net.ipv4.neigh.default.base_reachable_time_ms": 8000, "net.ipv4.neigh.default.gc_stale_time": 10}


@scene("host-down", 307, "2007-11-23 10:31:00",
    """At 60 s EX01 loses its link: nothing comes from it any more, ARP included. EX02 on the same
    segment is well.""",
    [want("server_silent", 1, any_of=["server_silent", "egress_dead"]), OFFLOAD], STILL,
    "server_host", ["undetermined", "network_path"], fault=60.0, servers=("10.20.30.5",
    "10.20.30.6"))
def host_down(s):
    o = plain(s, 6, 2.2, second=True, sysctl=AGES)
    for p in o.people[::2]:
        o.start(office.Secure(p, o.ex2, think=14, most=10))
    o.stage.at(60.0, lambda: setattr(o.ex1, "up", False))
    return o.play(125)


@scene("server-restart", 308, "2008-02-10 22:40:00",
    """At 70 s EX01 goes silent (ARP too). At 118 s it is back: gratuitous ARP, IP IDs from the
    start, no connection known: old ones meet RST, the clients connect again.""",
    [want("server_restart", 1), OFFLOAD], [n for n in STILL if n != "checksum_artifact"],
    "server_host", ["undetermined"], True, fault=70.0)
def server_restart(s):
    o = Office(s, 5)
    o.open()
    o.background()
    o.everyday(2.0, (45.0, None, 60.0))
    o.stage.at(70.0, lambda: setattr(o.ex1, "up", False))
    o.stage.spawn(_boot(o, 118.0))
    return o.play(195)


async def _boot(o, when):
    await asyncio.sleep(when)
    old = o.ex1
    o.stage.loop.remove_reader(old.tap)
    o.stage.hosts.remove(old)
    for task in [t for _, t, _ in old.sessions]:
        task.cancel()
    new = o.machine(old.name, old.ip, "00:10:18:2a:9c:01", None)	# a new namespace: a new TCP
    new.card = nic.Toe(new, new.rng, share=0.78, span=(8, 16))
    new.card.ident, new.card.toe = 3, 0
    o.stage.mirrored = [new]
    o.stage.loop.add_reader(new.tap, o.stage._from_host, new)
    claim = b"\xff" * 6 + new.mac + bytes.fromhex("08060001080006040001") + (new.mac + new.addr) + bytes(6) + new.addr
    for wait in (0.0, 1.0, 1.0):
        await asyncio.sleep(wait)
        o.stage.send(new, claim.ljust(60, b"\0"))
    o.store.host = o.ex1 = new
    o.store.parked.clear()
    o.store.pushed = new.socket(socket.SOCK_DGRAM)
    o.store.pushed.bind((new.ip, 1117))
    o.store.callbacks.clear()
    await o.services(new)
    await asyncio.sleep(4.0)
    await office.serve(new, 135, o.store.mapper)
    await office.serve(new, o.store.port, o.store.calls)


@scene("egress-dead", 309, "2009-11-11 20:20:00",
    """Twice, for 15 s from 50 s and for 18 s from 90 s, EX01 sends no frame at all, though it
    receives (a transmit hang); then it goes on with the same TCP state. EX02 is well throughout.""",
    [want("egress_dead", 1, any_of=["egress_dead", "server_silent"]), OFFLOAD], [n for n in ALIVE if
    n not in ("egress_dead", "server_silent")], "server_host", ["undetermined", "network_path",
    "offload_engine"], fault=50.0, servers=("10.20.30.5", "10.20.30.6"))
def egress_dead(s):
    o = plain(s, 6, 1.3, second=True, sysctl={"net.ipv4.tcp_retries2": 9})
    for p in o.people[::3]:
        o.start(office.Secure(p, o.ex2, think=13, most=6))
    o.stage.watch.given_up = 30.0
    for start, length in ((50.0, 15.0), (90.0, 18.0)):
        o.breaks(start, nic.Mute())
        o.breaks(start + length, None)
        o.stage.spawn(_wall(o, start, length))
    return o.play(150)


async def _wall(o, start, length):
    """The kernels' retransmissions need the wall's time."""
    await asyncio.sleep(start)
    with o.stage.hold():
        await asyncio.sleep(length + 28)


@scene("rpc-fragment", 310, "2008-07-09 10:14:00",
    """At 60 s one client sends 700 bytes of a request of 1160 and then nothing, all acknowledged.
    From then on the store answers no client's RPC (as Q149819 tells); the host's other services are
    well.""",
    [want("rpc_fragment_stuck", 1), want("rpc_stall", 2, "no_response", any_of=["rpc_stall",
    "reply_missing"]), OFFLOAD], [n for n in ALIVE if n != "rpc_fragment_stuck"] +
    ["flow_blackholed"], "server_application", ["undetermined", "client_side"], fault=60.0)
def rpc_fragment(s):
    o = plain(s, 7, 1.8)
    o.stage.spawn(_half_a_call(o, o.people[2], 60.0))
    return o.play(165)


async def _half_a_call(o, client, when):
    await asyncio.sleep(when - 25)
    rng = random.Random("%s/half" % o.seed)
    outlook = office.Outlook(client, o.ex1, o.store, notices=False)
    line = await office.Line(client, o.ex1, o.store.port).__aenter__()
    await outlook.bound(line, rpc.EMSMDB)
    await outlook.call(line, 2, rpc.CONNECT, 160)
    await outlook.call(line, 3, rpc.RPC, 96)
    await asyncio.sleep(when - o.stage.now())
    line.send(rpc.request(rng, 4, rpc.RPC, 1104)[:700])
    o.stage.note("%s sends 700 of 1160 bytes" % client.ip)
    await asyncio.sleep(0.005)
    o.store.waits_for_fragment = asyncio.Event()


@scene("session-leak", 311, "2008-07-10 02:50:00",
    """Thirty-six hours (think time left out): clients open sessions, use them a little and leave,
    some by FIN, some by being switched off; the server never closes one. At the end it holds some
    forty-five that no client uses.""",
    [want("session_leak", 1), OFFLOAD], ALIVE, "server_application", ["undetermined",
    "server_host"], True)
def session_leak(s):
    o = Office(s, 7, {"span": (5, 8)})
    o.ex1.keeps_open = True
    o.open()
    for n, p in enumerate(o.people):
        o.stage.spawn(_leaves(o, p, n))
    o.stage.spawn(office.who_has(o.people[0], o.ex1, 7000, random.Random("311/a")))
    o.stage.spawn(office.ping(o.people[1], o.ex1, 5000, random.Random("311/p")))
    return o.play(36 * 3600.0)


async def _leaves(o, client, n):
    rng = random.Random("%s/%s/leave" % (o.seed, client.name))
    while True:
        await asyncio.sleep(office.draw(rng, 16500, 600, 0.4))
        port = rng.choice((443, 443, 445))
        kind = {443: office.Secure, 445: office.Files}[port]
        program = kind(client, o.ex1, think=25, **({"most": 8} if port == 443 else {"size": 200}))
        program.rng = rng
        line = await office.Line(client, o.ex1, port, 300).__aenter__()
        work = asyncio.ensure_future(program.session(line))
        await asyncio.sleep(rng.uniform(15, 35))
        work.cancel()
        if rng.random() < 0.3:
            office.drop(line.writer)
        else:
            line.writer.close()


@scene("dhcp-dead", 312, "2008-09-12 07:50:00",
    """A DHCP server (its leases short, its clients renew each 20 s and new ones discover). From 70
    s on it answers no DHCP any more; all its other services are well.""",
    [want("dhcp_unanswered", 1), OFFLOAD], ALIVE, "server_application", ["undetermined",
    "server_host"], True, fault=70.0)
def dhcp_dead(s):
    o = plain(s, 4, 2.6)
    office_dhcp = directory.Dhcp(o.ex1)
    for n, p in enumerate(o.people):
        o.stage.spawn(directory.renews(p, o.ex1, 20.0, random.Random("312/r%d" % n)))
    o.stage.spawn(directory.discovers(o.people[0], 17.0, random.Random("312/d")))
    o.stage.at(70.0, office_dhcp.stop)
    return o.play(170)


@scene("ftp-active", 313, "2009-11-08 12:50:00",
    """FTP in active mode. From 60 s on the clients' side drops the server's data connections (SYN
    from port 20): the control connection is well and says 425.""",
    [want("ftp_data_failure", 2, "active")], ALIVE, "network_path", ["undetermined", "client_side",
    "server_host", "server_application"], True, fault=60.0)
def ftp_active(s):
    o = plain(s, 4, 3.0)
    o.stage.loop.run_until_complete(office.serve(o.ex1, 21, directory.ftp))
    for n, p in enumerate(o.people[:3]):
        o.stage.spawn(directory.fetches(p, o.ex1, 10.0 + 3 * n, 22.0, random.Random("313/f%d" % n)))

    def between(sender, target, seg):
        data = seg.tcp and seg.sport == 20 and sender is o.ex1 and o.stage.now() > 60
        return None if data else bytes(seg.frame)
    o.stage.between = between
    return o.play(160)


@scene("pptp-oneway", 314, "2008-08-19 18:00:00",
    """PPTP: four tunnels with GRE both ways. From 50 s on no GRE comes from the server; the control
    connections (echo request and reply) are well.""",
    [want("vpn_data_dead", 1), OFFLOAD], ALIVE, "undetermined", ["network_path", "server_host",
    "server_application"], True, fault=50.0)
def pptp_oneway(s):
    o = plain(s, 4, 3.0)
    vpn = directory.Pptp(o.ex1)
    o.stage.loop.run_until_complete(office.serve(o.ex1, 1723, vpn.control))
    for n, p in enumerate(o.people[:4]):
        o.stage.spawn(directory.tunnels(p, o.ex1, 4.0 + n, random.Random("314/t%d" % n)))
    o.stage.at(50.0, vpn.stop)
    return o.play(120)


@scene("logon-slow", 315, "2008-07-17 08:25:00",
    """Logons at a domain controller: DNS SRV, CLDAP ping, LDAP, Kerberos (AS, TGS), SMB. From 90 s
    on Kerberos takes 9 to 16 s a step; the other steps are as fast as before.""",
    [want("logon_slow", 1), OFFLOAD], ALIVE, "server_application", ["undetermined", "server_host"],
    True, fault=90.0)
def logon_slow(s):
    o = Office(s, 4)
    o.open()
    o.background()
    dc = directory.Controller(o.ex1)
    o.stage.loop.run_until_complete(dc.open())
    for n, p in enumerate(o.people):
        o.stage.spawn(directory.logs_on(p, o.ex1, 5.0 + 4 * n, 62.0, random.Random("315/l%d" % n)))
        if n % 3 == 0:
            o.start(office.Outlook(p, o.ex1, o.store, 60))
    o.stage.at(90.0, dc.slow)
    return o.play(185)
