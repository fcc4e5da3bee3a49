"""Smaller services: DHCP, FTP, PPTP with GRE, and a domain controller's DNS, CLDAP, LDAP and
Kerberos, each with its clients."""
import asyncio
import random
import socket
import struct

import office
import stage


# --- DHCP (RFC 2131) --------------------------------------------------------------

COOKIE = bytes.fromhex("63825363")


def dhcp(op, xid, mac, ciaddr, yiaddr, kind, options=b"", flags=0):
    fixed = struct.pack(">BBBBIHH4s4s4s4s", op, 1, 6, 0, xid, 0, flags, ciaddr, yiaddr, bytes(4), bytes(4))
    return fixed + mac + bytes(10 + 64 + 128) + COOKIE + bytes([53, 1, kind]) + options + b"\xff"


class Dhcp:
    def __init__(self, host):
        self.host, self.stopped, self.next = host, False, 200
        self.sock = s = host.socket(socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        s.setsockopt(socket.SOL_SOCKET, 25, b"eth0\0")		# SO_BINDTODEVICE
        s.bind(("", 67))
        self.rng = random.Random("%s/dhcp" % host.stage.seed)
        host.stage.loop.add_reader(s, self.asked)

    def stop(self):
        self.stopped = True

    def asked(self):
        m, who = self.sock.recvfrom(1500)
        if self.stopped:
            return
        xid, kind, mac, ciaddr = struct.unpack_from(">I", m, 4)[0], m[242], m[28:34], m[12:16]
        new = ciaddr == bytes(4)
        lease = socket.inet_aton("10.20.30.%d" % (200 + mac[5] % 50)) if new else ciaddr
        answer = dhcp(2, xid, mac, ciaddr, lease, 2 if kind == 1 else 5, b"\x33\x04" + struct.pack(">I", 40)
                      + b"\x36\x04" + self.host.addr + b"\x01\x04\xff\xff\xff\0")
        where = ("255.255.255.255", 68) if new else (who[0], 68)
        self.host.stage.loop.call_later(office.draw(self.rng, 0.003, 0.001), self.sock.sendto, answer, where)


async def renews(client, server, every, rng):
    """A client that holds a lease asks its server to prolong it, again after 4, 8, 16 s."""
    s = client.socket(socket.SOCK_DGRAM)
    s.bind((client.ip, 68))
    got = asyncio.Event()

    def answered():
        s.recv(1500)
        got.set()
    client.stage.loop.add_reader(s, answered)
    await asyncio.sleep(rng.uniform(1, every))
    while True:
        xid = rng.randrange(1 << 32)
        for wait in (4, 8, 16, 32):
            got.clear()
            s.sendto(dhcp(1, xid, client.mac, client.addr, bytes(4), 3), (server.ip, 67))
            try:
                await asyncio.wait_for(got.wait(), wait + rng.uniform(-1, 1))
                break
            except asyncio.TimeoutError:
                continue
        await asyncio.sleep(every * rng.uniform(0.9, 1.1))


async def discovers(by, every, rng):
    """Machines without an address, on the segment of `by`: DISCOVER, and REQUEST when they see an
    OFFER (read off the mirror, as their own card would)."""
    st = by.stage
    while True:
        await asyncio.sleep(every * rng.uniform(0.8, 1.2))
        mac, xid = b"\x00\x1c\x23" + rng.randbytes(3), rng.randrange(1 << 32)
        for wait in (4, 8, 16):
            if not await _ask(st, by, dhcp(1, xid, mac, bytes(4), bytes(4), 1, flags=0x8000), mac, xid, wait):
                continue
            ask = dhcp(1, xid, mac, bytes(4), bytes(4), 3, b"\x32\x04\x0a\x14\x1e\xd0", 0x8000)
            await _ask(st, by, ask, mac, xid, wait)
            break


async def _ask(st, by, message, mac, xid, wait):
    udp = struct.pack(">HHHH", 68, 67, 8 + len(message), 0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(message), 0, 0, 128, 17, 0, bytes(4), b"\xff" * 4)
    frame = bytearray(b"\xff" * 6 + mac + b"\x08\x00" + ip + udp + message)
    stage.mend_ip(frame)
    seen = len(st.taken)
    st.send(by, bytes(frame))
    until = st.now() + wait
    while st.now() < until:
        await asyncio.sleep(0.05 if st.now() < until - wait + 0.2 else wait)
        if any(f[:6] == b"\xff" * 6 and f[34:38] == b"\0\x43\0\x44" and f[46:50] == struct.pack(">I", xid)
               for _, f in st.taken[seen:]):
            return True
    return False


# --- FTP --------------------------------------------------------------------------

async def ftp(host, rng, reader, writer):
    def say(text):
        writer.write(text + b"\r\n")
    say(b"220 Microsoft FTP Service")
    where = None
    while True:
        word = (await reader.readuntil(b"\r\n")).strip()
        await asyncio.sleep(office.draw(rng, 0.003, 0.001))
        verb = word.split()[0].upper()
        if verb == b"USER":
            say(b"331 Anonymous access allowed, send identity (e-mail name) as password.")
        elif verb == b"PASS":
            say(b"230 Anonymous user logged in.")
        elif verb == b"PORT":
            n = [int(x) for x in word.split()[1].split(b",")]
            where = (".".join(str(x) for x in n[:4]), n[4] * 256 + n[5])
            say(b"200 PORT command successful.")
        elif verb == b"RETR":
            say(b"150 Opening BINARY mode data connection for %s." % word.split()[1])
            say(b"226 Transfer complete." if await _data(host, rng, where) else b"425 Can't open data connection.")
        elif verb == b"QUIT":
            say(b"221")
            return
        else:
            say(b"200 Type set to I.")


async def _data(host, rng, where):
    s = host.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host.ip, 20))
    try:
        with host.stage.hold():
            await host.stage.loop.sock_connect(s, where)
        await host.stage.loop.sock_sendall(s, rng.randbytes(rng.randint(400, 1400)))
        return True
    except OSError:
        return False
    finally:
        s.close()


async def fetches(client, server, delay, every, rng):
    await asyncio.sleep(delay)
    async with office.Line(client, server, 21, 90) as line:
        async def ask(text):
            if text:
                line.send(text + b"\r\n")
            return await line.wait(line.reader.readuntil(b"\r\n"))
        await ask(None)
        await ask(b"USER anonymous")
        await ask(b"PASS me@contoso.local")
        await ask(b"TYPE I")
        n = 0
        while True:
            n += 1
            listener = client.socket()
            listener.bind((client.ip, 3000 + n + rng.randrange(40) * 10))
            listener.listen(1)
            port = listener.getsockname()[1]
            await ask(b"PORT %s,%d,%d" % (client.ip.replace(".", ",").encode(), port >> 8, port & 255))
            await ask(b"RETR report%d.txt" % n)
            took = client.stage.spawn(_take(client, listener))
            await ask(None)
            took.cancel()
            listener.close()
            await asyncio.sleep(every * rng.uniform(0.8, 1.2))


async def _take(client, listener):
    s, _ = await client.stage.loop.sock_accept(listener)
    while await client.stage.loop.sock_recv(s, 4096):
        pass
    s.close()


# --- PPTP (RFC 2637) --------------------------------------------------------------

MAGIC = 0x1A2B3C4D


def control(kind, body):
    return struct.pack(">HHIHH", 12 + len(body), 1, MAGIC, kind, 0) + body


class Pptp:
    def __init__(self, host):
        self.host, self.stopped, self.calls = host, False, {}
        self.rng = random.Random("%s/gre" % host.stage.seed)
        self.raw = host.socket(socket.SOCK_RAW, 47)
        host.stage.loop.add_reader(self.raw, self.got)

    def stop(self):
        self.stopped = True

    async def control(self, host, rng, reader, writer):
        peer = writer.get_extra_info("peername")[0]
        while True:
            size, _, _, kind, _ = struct.unpack(">HHIHH", await reader.readexactly(12))
            body = await reader.readexactly(size - 12)
            await asyncio.sleep(office.draw(rng, 0.003, 0.001))
            if kind == 1:
                writer.write(control(2, struct.pack(">HBBIIHH64s64s", 256, 1, 0, 1, 1, 0, 3790, b"", b"Microsoft")))
            elif kind == 7:
                theirs = struct.unpack_from(">H", body)[0]
                mine = rng.randrange(1 << 16)
                self.calls[peer] = [theirs, 0]
                writer.write(control(8, struct.pack(">HHBBHIHHI", mine, theirs, 1, 0, 0, 100000000, 64, 0, 0)))
            elif kind == 5:
                writer.write(control(6, body[:4] + struct.pack(">BBH", 1, 0, 0)))

    def got(self):
        packet, who = self.raw.recvfrom(2000)
        call = self.calls.get(who[0])
        if self.stopped or not call:
            return
        number = struct.unpack_from(">I", packet, 28)[0]
        out = gre(call[0], call[1], number, self.rng.randbytes(self.rng.randint(40, 90)))
        call[1] += 1
        self.host.stage.loop.call_later(office.draw(self.rng, 0.004, 0.001), self.raw.sendto, out, (who[0], 0))


def gre(call, seq, ack, data):
    """Enhanced GRE: key (length, call id), sequence and acknowledgement; PPP inside."""
    data = b"\xff\x03\x00\xfd" + data
    return struct.pack(">HHHHII", 0x3081, 0x880B, len(data), call, seq, ack) + data


async def tunnels(client, server, delay, rng):
    await asyncio.sleep(delay)
    raw = client.socket(socket.SOCK_RAW, 47)
    client.stage.loop.add_reader(raw, lambda: raw.recv(2000))
    async with office.Line(client, server, 1723) as line:
        async def ask(kind, body):
            line.send(control(kind, body))
            size = struct.unpack_from(">H", await line.reader.readexactly(12))[0]
            return await line.reader.readexactly(size - 12)
        await ask(1, struct.pack(">HBBIIHH64s64s", 256, 0, 0, 1, 1, 0, 2600, b"", b"Microsoft Windows NT"))
        mine = rng.randrange(1 << 16)
        r = await ask(7, struct.pack(">HHIIIIHHHH64s64s", mine, 1, 300, 100000000, 3, 3, 64, 0, 0, 0, b"", b""))
        theirs = struct.unpack_from(">H", r)[0]
        number, last = 0, client.stage.now()
        while True:
            await asyncio.sleep(office.draw(rng, 2.6, 0.1))
            raw.sendto(gre(theirs, number, max(0, number - 1), rng.randbytes(rng.randint(40, 120))), (server.ip, 0))
            number += 1
            if client.stage.now() - last > 20:
                last = client.stage.now()
                await ask(5, struct.pack(">I", rng.randrange(1 << 32)))


# --- the domain controller --------------------------------------------------------

def tlv(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    raw = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(raw)]) + raw + body


def number(n):
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def string(s):
    return tlv(0x1B, s.encode())


def at(n, *parts):
    return tlv(0xA0 + n, *parts)


def principal(kind, *names):
    return tlv(0x30, at(0, number(kind)), at(1, tlv(0x30, *[string(n) for n in names])))


REALM = "CONTOSO.LOCAL"


def sealed(rng, size):
    return tlv(0x30, at(0, number(23)), at(2, tlv(4, rng.randbytes(size))))


def kdc_req(rng, tag, user, service):
    body = tlv(0x30, at(0, tlv(3, b"\0" + bytes.fromhex("40810010"))), at(1, principal(1, user)) if tag == 10 else b"",
               at(2, string(REALM)), at(3, principal(2, *service)), at(5, tlv(0x18, b"20370913024805Z")),
               at(7, number(rng.randrange(1 << 31))), at(8, tlv(0x30, number(23), number(3))))
    if tag == 10:
        padata = tlv(0x30, tlv(0x30, at(1, number(2)), at(2, tlv(4, sealed(rng, 52)))))
    else:
        ticket = tlv(0x61, tlv(0x30, at(0, number(5)), at(1, string(REALM)), at(2, principal(2, "krbtgt", REALM)),
                               at(3, sealed(rng, 220))))
        req = tlv(0x6E, tlv(0x30, at(0, number(5)), at(1, number(14)), at(2, tlv(3, b"\0\0\0\0\0")), at(3, ticket),
                            at(4, sealed(rng, 120))))
        padata = tlv(0x30, tlv(0x30, at(1, number(1)), at(2, tlv(4, req))))
    return tlv(0x60 + tag, tlv(0x30, at(1, number(5)), at(2, number(tag)), at(3, padata), at(4, body)))


def kdc_rep(rng, tag, user, service):
    ticket = tlv(0x61, tlv(0x30, at(0, number(5)), at(1, string(REALM)), at(2, principal(2, *service)), at(3, sealed(rng, 240))))
    return tlv(0x60 + tag, tlv(0x30, at(0, number(5)), at(1, number(tag)), at(3, string(REALM)), at(4, principal(1, user)),
                               at(5, ticket), at(6, sealed(rng, 150))))


def ldap(n, op):
    return tlv(0x30, number(n), op)


def search(n, base, scope, name, value, *wanted):
    return ldap(n, tlv(0x63, tlv(4, base), tlv(10, bytes([scope])), tlv(10, b"\0"), number(0), number(120), tlv(1, b"\0"),
                       tlv(0xA3, tlv(4, name), tlv(4, value)), tlv(0x30, *[tlv(4, w) for w in wanted])))


def entry(n, dn, name, value):
    return ldap(n, tlv(0x64, tlv(4, dn), tlv(0x30, tlv(0x30, tlv(4, name), tlv(0x31, tlv(4, value))))))


def done(n, tag=0x65):
    return ldap(n, tlv(tag, tlv(10, b"\0"), tlv(4, b""), tlv(4, b"")))


class Controller:
    def __init__(self, host):
        self.host, self.late = host, False
        self.rng = random.Random("%s/dc" % host.stage.seed)

    def slow(self):
        self.late = True

    async def open(self):
        await office.serve(self.host, 389, self.ldap)
        await office.serve(self.host, 88, self.kerberos)
        self.udp = s = self.host.socket(socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IP, 10, 0)
        s.bind((self.host.ip, 389))
        self.host.stage.loop.add_reader(s, self.pinged)

    def pinged(self):
        m, who = self.udp.recvfrom(1500)
        netlogon = struct.pack("<HHI", 23, 0, 0x31FD) + self.rng.randbytes(16) + b"\x07contoso\x05local\0\xc0\x18\x04EX01\xc0\x18"
        answer = entry(1, b"", b"Netlogon", netlogon + struct.pack("<IHH", 5, 0xFFFF, 0xFFFF)) + done(1)
        self.host.stage.loop.call_later(office.draw(self.rng, 0.003, 0.001), self.udp.sendto, answer, who)

    async def ldap(self, host, rng, reader, writer):
        while True:
            head = await reader.readexactly(2)
            size = head[1]
            if size & 0x80:
                size = int.from_bytes(await reader.readexactly(size & 0x7F), "big")
            m = await reader.readexactly(size)
            await asyncio.sleep(office.draw(rng, 0.004, 0.001))
            n = m[2]
            if m[3] == 0x60:
                writer.write(done(n, 0x61))
            elif m[3] == 0x63:
                writer.write(entry(n, b"CN=ws,CN=Computers,DC=contoso,DC=local", b"cn", b"ws") + done(n))
            else:
                return

    async def kerberos(self, host, rng, reader, writer):
        size = struct.unpack(">I", await reader.readexactly(4))[0]
        m = await reader.readexactly(size)
        await asyncio.sleep(rng.uniform(9, 16) if self.late else office.draw(rng, 0.008, 0.002))
        tag = 11 if m[0] == 0x6A else 13
        r = kdc_rep(rng, tag, "user", ("krbtgt", REALM) if tag == 11 else ("cifs", "ex01.contoso.local"))
        writer.write(struct.pack(">I", len(r)) + r)


async def logs_on(client, server, delay, every, rng):
    await asyncio.sleep(delay)
    udp = client.socket(socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IP, 10, 0)
    udp.bind((client.ip, client.push + 1))
    files = office.Files(client, server, 4)

    async def datagram(message, port):
        udp.sendto(message, (server.ip, port))
        await asyncio.wait_for(client.stage.loop.sock_recv(udp, 2000), 10)

    async def kerberos(message):
        async with office.Line(client, server, 88, 60) as line:
            line.send(struct.pack(">I", len(message)) + message)
            size = struct.unpack(">I", await line.get(4))[0]
            await line.get(size)
    while True:
        srv = b"\x05_ldap\x04_tcp\x02dc\x06_msdcs\x07contoso\x05local\0\0\x21\0\x01"
        await datagram(struct.pack(">HHHHHH", rng.randrange(1 << 16), 0x0100, 1, 0, 0, 0) + srv, 53)
        await datagram(search(1, b"", 0, b"DnsDomain", b"contoso.local.", b"Netlogon"), 389)
        user = client.name.lower()
        await kerberos(kdc_req(rng, 10, user, ("krbtgt", REALM)))
        await kerberos(kdc_req(rng, 12, user, ("cifs", "ex01.contoso.local")))
        async with office.Line(client, server, 389, 30) as line:
            line.send(ldap(1, tlv(0x60, number(3), tlv(4, b""), tlv(0x80, b""))))
            await line.get(14)
            line.send(search(2, b"DC=contoso,DC=local", 2, b"cn", user.encode(), b"cn"))
            await line.wait(line.reader.read(4000))
            line.send(ldap(3, tlv(0x42)))
        async with office.Line(client, server, 445, 30) as line:
            work = asyncio.ensure_future(files.session(line))
            await asyncio.sleep(3)
            work.cancel()
        await asyncio.sleep(office.draw(rng, every, 10, 0.3))
