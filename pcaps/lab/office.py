"""The people and the programs of the office: an Exchange-like store, a file server, web
and terminal services, and the clients that use them. What is sealed or encrypted is
noise from the scene's seed; what a sniffer can read is as it should be."""
import asyncio
import random
import socket
import struct

import rpc
import smb

DOMAIN = "CONTOSO"


def draw(rng, median, low=0.0, spread=0.6):
    return max(low, rng.lognormvariate(0, spread) * median)


async def gate(host):
    """Wait while the host's programs are stopped."""
    if host.stopped:
        await host.stopped.wait()


async def serve(host, port, program, rcvbuf=None, backlog=64):
    sock = host.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if rcvbuf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    sock.bind((host.ip, port))
    number = [0]

    async def accepted(reader, writer):
        number[0] += 1
        rng = random.Random("%s/%s/%d/%d" % (host.stage.seed, host.name, port, number[0]))
        if host.stopped:
            writer.transport.pause_reading()
        host.sessions.append((port, asyncio.current_task(), writer))
        try:
            await program(host, rng, reader, writer)
        except (OSError, asyncio.IncompleteReadError, ValueError, IndexError):
            pass
        except asyncio.CancelledError:	# dropped by forget(), or its host ended
            return
        if not host.keeps_open:
            writer.close()
        else:
            host.kept.append(writer)
    return await asyncio.start_server(accepted, sock=sock, backlog=backlog)


class Lost(OSError):
    pass


class Line:
    """A client's connection. Waiting for an answer longer than `patience` is Lost."""

    def __init__(self, client, server, port, patience=None):
        self.client, self.server, self.port, self.patience = client, server, port, patience

    async def __aenter__(self):
        sock = self.client.socket()
        self.sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.client.rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.client.rcvbuf)
        for _ in range(50):
            try:
                sock.bind((self.client.ip, self.client.port()))
                break
            except OSError:
                continue
        try:
            with self.client.stage.hold():
                await self.client.stage.loop.sock_connect(sock, (self.server.ip, self.port))
        except OSError:
            sock.close()
            raise
        self.reader, self.writer = await asyncio.open_connection(sock=sock)
        self.client.lines.append(self)
        return self

    async def __aexit__(self, kind, *_):
        if self in self.client.lines:
            self.client.lines.remove(self)
        if self.client.gone:
            return False
        self.writer.close()
        return False

    def send(self, data):
        self.writer.write(data)

    async def wait(self, coro):
        try:
            return await asyncio.wait_for(coro, self.patience)
        except (asyncio.TimeoutError, asyncio.IncompleteReadError) as e:
            raise Lost(str(e)) from None

    async def get(self, size):
        return await self.wait(self.reader.readexactly(size))


def forget(host, which=lambda port, peer: True):
    """The host loses these TCP connections without a word (the sockets are closed in
    repair mode). Returns how many."""
    lost = 0
    for entry in list(host.sessions):
        port, task, writer = entry
        peer = writer.get_extra_info("peername")
        if writer.is_closing() or not which(port, peer):
            continue
        drop(writer)
        task.cancel()
        host.sessions.remove(entry)
        lost += 1
    return lost


def drop(writer):
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, 19, 1)	# TCP_REPAIR
    writer.transport.abort()


def halt(host):
    """All the host's programs stop (as by SIGSTOP): the kernel goes on alone."""
    host.stopped = asyncio.Event()
    for _, _, writer in host.sessions:
        try:
            writer.transport.pause_reading()
        except (RuntimeError, AttributeError):
            pass


def person(host, ports, rcvbuf=None):
    """Give a host what the client programs expect of it."""
    host.lines, host.gone, host.rcvbuf = [], False, rcvbuf
    first = host.rng.randint(1030, 4200)
    state = [first]

    def port():
        state[0] = state[0] + 1 if state[0] < 4990 else 1030
        return state[0]
    host.port = port
    host.push = host.rng.randint(1030, 1900)
    return host


def machine(host):
    """Give a host what the server programs expect of it."""
    host.sessions, host.kept, host.stopped, host.keeps_open = [], [], None, False
    return host


# --- Exchange ---------------------------------------------------------------------

class Store:
    """The information store: sessions, parked calls, new mail, push notifications."""

    def __init__(self, host, port=1114, service=0.004, park=295.0, mail=150.0):
        self.host, self.port, self.service, self.park, self.mail = host, port, service, park, mail
        self.rng = random.Random("%s/store" % host.stage.seed)
        self.parked, self.last, self.new = {}, {}, {}
        self.pushed = host.socket(socket.SOCK_DGRAM)
        self.pushed.setsockopt(socket.IPPROTO_IP, 10, 0)	# IP_MTU_DISCOVER: no DF
        self.pushed.bind((host.ip, 1117))
        self.callbacks, self.waits_for_fragment = {}, None

    async def open(self):
        await serve(self.host, 135, self.mapper)
        await serve(self.host, self.port, self.calls)
        self.host.stage.spawn(self.deliver())

    async def mapper(self, host, rng, reader, writer):
        while True:
            p = await rpc.read(reader)
            await gate(host)
            await asyncio.sleep(draw(rng, 0.002, 0.0005))
            if p.kind == rpc.BIND:
                writer.write(rpc.bind_ack(p.call, 135, rng.randrange(1, 1 << 16)))
            else:
                writer.write(rpc.map_response(p.call, rpc.EMSMDB, self.port, host.addr))

    async def calls(self, host, rng, reader, writer):
        who = writer.get_extra_info("peername")[0]
        iface = None
        while True:
            if self.waits_for_fragment:
                await self.waits_for_fragment.wait()
            head = await reader.readexactly(16)
            try:
                rest = reader.readexactly(struct.unpack_from("<H", head, 8)[0] - 16)
                p = rpc.Pdu(head + await rest)
            except asyncio.IncompleteReadError:
                return
            await gate(host)
            if self.waits_for_fragment:
                await self.waits_for_fragment.wait()
            if p.kind == rpc.BIND:
                iface = p.iface
                await asyncio.sleep(draw(rng, 0.003, 0.001))
                token = rpc.ntlm_challenge(rng, DOMAIN, host.name)
                writer.write(rpc.bind_ack(p.call, self.port, rng.randrange(1, 1 << 16), token))
            elif p.kind == rpc.REQUEST and iface == rpc.ASYNC:
                host.stage.spawn(self.hold(who, p.call, rng, writer))
            elif p.kind == rpc.REQUEST:
                self.last[who] = host.stage.now()
                if p.opnum == rpc.RPC:
                    self.new.pop(who, None)
                await asyncio.sleep(draw(rng, self.service, 0.0008, 0.8))
                await gate(host)
                writer.write(rpc.response(rng, p.call, self.size(rng, p.opnum)))

    @staticmethod
    def size(rng, opnum):
        if opnum == rpc.CONNECT:
            return 176
        if opnum != rpc.RPC:
            return 16
        return rng.choice((48, 48, 64, 64, 96, 96, 128, 128, 160, 208, 320, 640, 1400))

    async def hold(self, who, call, rng, writer):
        """EcDoAsyncWaitEx: parked until something happens to the mailbox."""
        event = self.parked[who] = asyncio.Event()
        began = now = self.host.stage.now()
        while not event.is_set():
            left = self.park - now + max(began, self.last.get(who, 0))
            if left <= 0:
                break
            try:
                await asyncio.wait_for(event.wait(), left)
            except asyncio.TimeoutError:
                now = self.host.stage.now()
        await gate(self.host)
        writer.write(rpc.response(rng, call, 8))

    async def deliver(self):
        """New mail: the parked call ends, and a datagram goes out each 60 s until the
        client has come for it."""
        while True:
            await asyncio.sleep(draw(self.rng, self.mail / max(1, len(self.callbacks)), 1.0))
            await gate(self.host)
            if not self.callbacks:
                continue
            who = self.rng.choice(sorted(self.callbacks))
            if who not in self.new:
                self.new[who] = True
                self.host.stage.spawn(self.remind(who))
            if who in self.parked:
                self.parked[who].set()

    async def remind(self, who):
        while who in self.new:
            await gate(self.host)
            port, blob = self.callbacks[who]
            self.pushed.sendto(blob, (who, port))
            await asyncio.sleep(60.0)


class Outlook:
    """One Outlook on its cached profile. It has no time-out of its own: a call that is not
    answered is waited for (patience: when the person has had enough and starts it anew)."""

    def __init__(self, client, server, store, think=14.0, patience=None, notices=True):
        self.client, self.server, self.store, self.think, self.patience = client, server, store, think, patience
        self.rng = random.Random("%s/%s/outlook" % (client.stage.seed, client.name))
        self.user = client.name.lower()
        self.mail = asyncio.Event()
        if notices:
            self.udp = client.socket(socket.SOCK_DGRAM)
            self.udp.bind((client.ip, client.push))
            client.stage.loop.add_reader(self.udp, self.called)
        self.blob = self.rng.randbytes(8)

    def called(self):
        try:
            self.udp.recv(100)
            self.mail.set()
        except OSError:
            pass

    async def run(self, delay=0.0):
        await asyncio.sleep(delay)
        while not self.client.gone:
            try:
                await self.session()
            except (Lost, OSError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(draw(self.rng, 6, 2))

    async def bound(self, line, iface):
        line.send(rpc.bind(1, iface, rpc.ntlm_negotiate()))
        await line.wait(rpc.read(line.reader))
        line.send(rpc.auth3(1, rpc.ntlm_auth(self.rng, DOMAIN, self.user, self.client.name)))

    async def port(self):
        async with Line(self.client, self.server, 135, 60) as line:
            line.send(rpc.bind(1, rpc.EPM))
            await line.wait(rpc.read(line.reader))
            line.send(rpc.map_request(2, rpc.EMSMDB))
            p = await line.wait(rpc.read(line.reader))
            return struct.unpack_from(">H", p.raw, rpc.MAPPED_PORT)[0]

    async def call(self, line, number, opnum, size):
        line.send(rpc.request(self.rng, number, opnum, size))
        await line.wait(rpc.read_whole(line.reader))

    async def session(self):
        port = await self.port()
        async with Line(self.client, self.server, port, self.patience) as line:
            await self.bound(line, rpc.EMSMDB)
            await self.call(line, 2, rpc.CONNECT, 160)
            await self.call(line, 3, rpc.REGISTER_PUSH, 64)
            self.store.callbacks[self.client.ip] = (self.client.push, self.blob)
            await self.call(line, 4, rpc.ASYNC_CONNECT, 20)
            parked = self.client.stage.spawn(self.park(port))
            try:
                await self.work(line)
            finally:
                parked.cancel()

    async def work(self, line):
        number = 4
        while True:
            for _ in range(self.rng.choice((1, 1, 2, 3))):
                number += 1
                await self.call(line, number, rpc.RPC, self.rng.choice((32, 48, 48, 64, 96, 96, 144, 224)))
                await asyncio.sleep(draw(self.rng, 0.08, 0.002))
            try:
                await asyncio.wait_for(self.mail.wait(), draw(self.rng, self.think, 0.5))
                self.mail.clear()
                await asyncio.sleep(0.02)
            except asyncio.TimeoutError:
                pass

    async def park(self, port):
        async with Line(self.client, self.server, port) as line:
            await self.bound(line, rpc.ASYNC)
            number = 1
            while True:
                number += 1
                await self.call(line, number, 0, 16)


# --- files ------------------------------------------------------------------------

async def files(host, rng, reader, writer):
    uid, tid, fid = 2048 + rng.randrange(64), 2048, 0x4000
    when = host.stage.clock.start
    while True:
        cmd, mid, _, _, m = await smb.read(reader)
        await gate(host)
        await asyncio.sleep(draw(rng, 0.0015, 0.0004))
        if cmd == smb.NEGOTIATE:
            out = smb.negotiated(mid, rng, DOMAIN, when)
        elif cmd == smb.SETUP:
            out = smb.set_up(mid, uid, DOMAIN)
        elif cmd == smb.TREE:
            out = smb.treed(mid, uid, tid)
        elif cmd == smb.CREATE:
            fid += 1
            out = smb.created(mid, uid, tid, fid, 24576, when - 86400)
        elif cmd == smb.READ:
            out = smb.read_rsp(mid, uid, tid, rng.randbytes(struct.unpack_from("<H", m, 43)[0]))
        elif cmd == smb.WRITE:
            out = smb.write_rsp(mid, uid, tid, struct.unpack_from("<H", m, 53)[0])
        elif cmd == smb.CLOSE:
            out = smb.close_rsp(mid, uid, tid)
        else:
            out = smb.echo(mid, uid, tid, True)
        writer.write(out)


class Files:
    """A mapped drive: read now and then, an echo when nothing else is to say. The redirector
    gives a request 45 s."""

    def __init__(self, client, server, think=18.0, size=600, patience=45.0, upload=(100, 600), writes=0.3):
        self.client, self.server, self.think, self.size, self.patience = client, server, think, size, patience
        self.upload, self.writes = upload, writes
        self.rng = random.Random("%s/%s/files/%s" % (client.stage.seed, client.name, server.name))

    async def run(self, delay=0.0):
        await asyncio.sleep(delay)
        while not self.client.gone:
            try:
                async with Line(self.client, self.server, 445, self.patience) as line:
                    await self.session(line)
            except (Lost, OSError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(draw(self.rng, 8, 3))

    async def session(self, line):
        mid = 0

        async def ask(message):
            line.send(message)
            return await line.wait(smb.read(line.reader))
        user = self.client.name.lower()
        await ask(smb.negotiate(0))
        _, _, _, uid, _ = await ask(smb.setup(1, self.rng, user, DOMAIN))
        _, _, tid, _, _ = await ask(smb.tree(2, uid, "\\\\%s\\PUBLIC" % self.server.name))
        mid = 3
        while True:
            await asyncio.sleep(draw(self.rng, self.think, 0.5))
            if self.rng.random() < 0.35:
                await ask(smb.echo(mid, uid, tid, False))
                mid += 1
                continue
            name = self.rng.choice(("budget.xls", "letter.doc", "stock.mdb", "plan.ppt"))
            m = (await ask(smb.create(mid, uid, tid, name)))[4]
            fid = struct.unpack_from("<H", m, 38)[0]
            await ask(smb.read_req(mid + 1, uid, tid, fid, 0, self.rng.randint(self.size // 3, self.size)))
            if self.rng.random() < self.writes:
                data = self.rng.randbytes(self.rng.randint(*self.upload))
                await ask(smb.write_req(mid + 2, uid, tid, fid, 512, data))
            await ask(smb.close_req(mid + 3, uid, tid, fid))
            mid += 4


# --- TLS, web, terminal -----------------------------------------------------------

def record(kind, data):
    return struct.pack(">BHH", kind, 0x0301, len(data)) + data


def hello(rng, session, server, when):
    body = b"\x03\x01" + struct.pack(">I", when) + rng.randbytes(28) + b"\x20" + session
    if server:
        body += b"\0\x04\0"
    else:
        body += b"\0\x16" + bytes.fromhex("00040005000a000900640062000300060013001200 63".replace(" ", "")) + b"\x01\0"
    return record(22, struct.pack(">I", (2 if server else 1) << 24 | len(body)) + body)


def finished(rng):
    return record(20, b"\x01") + record(22, rng.randbytes(32))


async def take_record(reader):
    head = await reader.readexactly(5)
    return head[0], await reader.readexactly(struct.unpack_from(">H", head, 3)[0])


async def tls_server(host, rng, reader, writer):
    """An abbreviated handshake (the session is known from before), then records."""
    _, h = await take_record(reader)
    await gate(host)
    await asyncio.sleep(draw(rng, 0.002, 0.0005))
    writer.write(hello(rng, h[39:71], True, int(host.stage.clock.start + host.stage.now())) + finished(rng))
    await take_record(reader)
    await take_record(reader)


async def tls_client(line, rng):
    when = int(line.client.stage.clock.start + line.client.stage.now())
    line.send(hello(rng, rng.randbytes(32), False, when))
    for _ in range(3):
        await line.wait(take_record(line.reader))
    line.send(finished(rng))


async def secure(host, rng, reader, writer):
    """HTTPS: a record asks, a few answer. The first two bytes say how much, how soon."""
    await tls_server(host, rng, reader, writer)
    await answers(host, rng, reader, writer)


async def answers(host, rng, reader, writer):
    while True:
        _, ask = await take_record(reader)
        await gate(host)
        size = 24 * (ask[0] | 1)
        await asyncio.sleep(draw(rng, 0.006, 0.001))
        writer.write(record(23, rng.randbytes(size)))


class Secure:
    """Web mail over TLS: a request, a think. Keeps its connection, gives up after a minute."""

    def __init__(self, client, server, port=443, think=16.0, patience=60.0, most=32, life=None, ask=(120, 380)):
        self.client, self.server, self.think, self.patience = client, server, think, patience
        self.port_no, self.most, self.life, self.ask = port, most, life, ask
        self.rng = random.Random("%s/%s/tls%d/%s" % (client.stage.seed, client.name, port, server.name))

    async def run(self, delay=0.0):
        await asyncio.sleep(delay)
        while not self.client.gone:
            try:
                async with Line(self.client, self.server, self.port_no, self.patience) as line:
                    await self.session(line)
            except (Lost, OSError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(draw(self.rng, 6, 2))

    async def session(self, line):
        await tls_client(line, self.rng)
        await self.talk(line)

    async def talk(self, line):
        done = 0
        while self.life is None or done < self.life:
            done += 1
            ask = bytes([self.rng.randrange(2, self.most)]) + self.rng.randbytes(self.rng.randint(*self.ask))
            line.send(record(23, ask))
            await line.wait(take_record(line.reader))
            await asyncio.sleep(draw(self.rng, self.think, 0.3))


async def terminal(host, rng, reader, writer):
    head = await reader.readexactly(4)
    await reader.readexactly(struct.unpack_from(">H", head, 2)[0] - 4)
    await gate(host)
    await asyncio.sleep(draw(rng, 0.004, 0.001))
    writer.write(bytes.fromhex("030000130ed000001234000200080001000000"))
    await secure(host, rng, reader, writer)


class Terminal(Secure):
    """A terminal session: X.224 connection request and confirm (MS-RDPBCGR 2.2.1.1), then TLS."""

    def __init__(self, client, server, think=7.0, patience=40.0):
        super().__init__(client, server, 3389, think, patience, 12)

    async def session(self, line):
        body = bytes.fromhex("e00000000000") + b"Cookie: mstshash=%s\r\n" % self.client.name[:9].lower().encode()
        body += bytes.fromhex("0100080001000000")
        line.send(struct.pack(">BBH", 3, 0, len(body) + 5) + bytes([len(body)]) + body)
        await line.get(19)
        await super().session(line)


async def web(host, rng, reader, writer):
    """Plain HTTP: /page answers at once, /wait?N is a long poll of N seconds."""
    while True:
        ask = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        await gate(host)
        if b"wait?" in ask:
            await asyncio.sleep(float(ask.split(b"?")[1].split()[0]))
            body = b'{"events":[%d]}\r\n' % rng.randrange(1000)
        else:
            await asyncio.sleep(draw(rng, 0.008, 0.001))
            body = b"<html><body>" + b"%08x " % rng.randrange(1 << 32) * rng.randint(9, 40) + b"</body></html>\r\n"
        await gate(host)
        writer.write(b"HTTP/1.1 200 OK\r\nServer: Microsoft-IIS/6.0\r\nContent-Type: text/html\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body)


class Web:
    """kind: "page" makes a connection for each page, "poll" keeps one for long polls."""

    def __init__(self, client, server, kind="page", think=30.0, patience=60.0):
        self.client, self.server, self.kind, self.think, self.patience = client, server, kind, think, patience
        self.rng = random.Random("%s/%s/web/%s" % (client.stage.seed, client.name, kind))

    def ask(self, path):
        return (b"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)\r\n\r\n"
                % (path.encode(), self.server.name.lower().encode()))

    async def answer(self, line):
        head = await line.wait(line.reader.readuntil(b"\r\n\r\n"))
        size = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        await line.get(size)

    async def run(self, delay=0.0):
        await asyncio.sleep(delay)
        while not self.client.gone:
            try:
                patience = 400.0 if self.kind == "poll" else self.patience
                async with Line(self.client, self.server, 80, patience) as line:
                    await self.session(line)
            except (Lost, OSError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(draw(self.rng, self.think, 1))

    async def session(self, line):
        if self.kind == "page":
            for n in range(self.rng.randint(1, 3)):
                line.send(self.ask("/page%d.htm" % self.rng.randrange(40)))
                await self.answer(line)
            return
        while True:
            line.send(self.ask("/wait?%.1f" % self.rng.uniform(25, 110)))
            await self.answer(line)
            await asyncio.sleep(0.1)


async def probe(line, count=1, every=1, peer=None):
    """The kernel of `line` sends keep-alives: wait until `count` have had their time."""
    sock = peer or line.sock
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, every)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, max(count, 5))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with line.client.stage.hold():
        await asyncio.sleep(1.1 + (count - 1) * every)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
    except OSError:
        pass


async def probing(people, every, rng):
    """Now and then one of the connections that have nothing to say is probed."""
    while True:
        await asyncio.sleep(draw(rng, every, 2, 0.3))
        lines = [line for p in people for line in p.lines if line.port != 135]
        if lines:
            line = rng.choice(lines)
            await probe(line)


# --- the small things -------------------------------------------------------------

async def ping(client, server, every, rng):
    s = client.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.connect((server.ip, 0))
    number, ident = 0, rng.randrange(1 << 16)
    while True:
        await asyncio.sleep(draw(rng, every, 2, 0.2))
        number += 1
        body = b"abcdefghijklmnopqrstuvwabcdefghi"
        part = struct.pack(">BBHHH", 8, 0, 0, ident, number) + body
        total = sum(struct.unpack(">%dH" % (len(part) // 2), part))
        total = (total & 0xFFFF) + (total >> 16)
        try:
            s.send(part[:2] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + part[4:])
        except OSError:
            pass


async def who_has(client, server, every, rng):
    """The client's stack asks for the server's MAC again (its ARP entry has aged)."""
    frame = b"\xff" * 6 + client.mac + bytes.fromhex("08060001080006040001")
    frame += client.mac + client.addr + bytes(6) + server.addr + bytes(18)
    while True:
        await asyncio.sleep(draw(rng, every, 2, 0.3))
        client.stage.send(client, frame)


async def names(host):
    """A DNS server that knows every A and SRV record asked for (all are this host's)."""
    s = host.socket(socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, 10, 0)
    s.bind((host.ip, 53))
    rng = random.Random("%s/%s/dns" % (host.stage.seed, host.name))

    def asked():
        ask, who = s.recvfrom(512)
        kind, data = b"\0\x01", b"\0\x04" + host.addr
        if ask[-4:-2] == b"\0\x21":
            kind, data = b"\0\x21", b"\0\x19\0\0\0\x64\x01\x85\x04ex01\x07contoso\x05local\0"
        head = ask[:2] + b"\x85\x80\0\x01\0\x01\0\0\0\0" + ask[12:]
        if not host.stopped:
            host.stage.loop.call_later(draw(rng, 0.001), s.sendto, head + b"\xc0\x0c" + kind + b"\0\x01\0\0\x0e\x10" + data, who)
    host.stage.loop.add_reader(s, asked)


async def lookups(client, server, every, rng):
    s = client.socket(socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, 10, 0)
    s.connect((server.ip, 53))
    while True:
        await asyncio.sleep(draw(rng, every, 1))
        name = rng.choice((b"ex01", b"ex02", b"www", b"print", b"proxy"))
        ask = struct.pack(">HHHHHH", rng.randrange(1 << 16), 0x0100, 1, 0, 0, 0)
        s.send(ask + bytes([len(name)]) + name + b"\x07contoso\x05local\0\0\x01\0\x01")
