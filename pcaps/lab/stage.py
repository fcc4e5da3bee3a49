"""The stage on which a scene is played: hosts with real TCP stacks, one switch,
a mirror port, and a clock that leaves out the dull parts.

Each host is a network namespace of its own with one TAP interface. This process
holds the other ends: it is the switch, the network cards and the sniffer, and all
programs of all hosts run in it as coroutines. The sockets, the handshakes, the
acknowledgements and the retransmissions are the kernel's.

The hard part is time. A scene of ten minutes is mostly waiting; so the clock of the
scene runs at the pace of the wall while anything is under way (frames, data not yet
acknowledged, a connect, a kernel timer that a scene has asked to wait for), and jumps
to the next planned event when nothing is. Gaps between the packets of one exchange are
therefore true; only thinking time is shortened. Needs root; nothing is left behind.
"""
import asyncio
import ctypes
import errno
import fcntl
import os
import random
import selectors
import socket
import struct
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C
SIOCSIFMTU, SIOCSIFHWADDR = 0x8922, 0x8924
QUIET = 0.004		# nothing seen for so long (wall seconds): the wire is quiet
GIVEN_UP = 8.0		# no retransmission follows after such a gap (tcp_retries2 = 5)
BROADCAST = b"\xff" * 6

# A Windows-like TCP on a Linux stack: no window scaling, no timestamps, SACK; five
# retransmissions, three SYNs, no tail loss probe.
WINDOWS = {
    "net.ipv4.ip_default_ttl": 128, "net.ipv4.tcp_timestamps": 0,
    "net.ipv4.tcp_window_scaling": 0, "net.ipv4.tcp_sack": 1,
    "net.ipv4.tcp_dsack": 0, "net.ipv4.tcp_ecn": 0, "net.ipv4.tcp_retries2": 5,
    "net.ipv4.tcp_syn_retries": 2, "net.ipv4.tcp_syn_linear_timeouts": 0,
    "net.ipv4.tcp_early_retrans": 0, "net.ipv4.tcp_frto": 0,
    "net.ipv4.tcp_synack_retries": 2, "net.ipv4.tcp_no_metrics_save": 1,
    "net.ipv4.tcp_orphan_retries": 5, "net.ipv4.icmp_ratelimit": 0,
    "net.ipv4.tcp_challenge_ack_limit": 1000,
    "net.ipv4.tcp_rmem": "4096 262144 262144",
    "net.ipv4.neigh.default.base_reachable_time_ms": 900000,
    "net.ipv4.tcp_keepalive_time": 7200, "net.ipv4.tcp_keepalive_intvl": 1,
    "net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1,
}


def setns(fd):
    if LIBC.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Segment:
    """One frame, read once. TCP fields are there when `tcp` is true."""

    def __init__(self, frame, gso=0):
        self.frame, self.gso = bytearray(frame), gso
        self.ip = frame[12:14] == b"\x08\x00"
        self.arp = frame[12:14] == b"\x08\x06"
        self.tcp = False
        if not self.ip:
            return
        self.proto = frame[23]
        self.src, self.dst = bytes(frame[26:30]), bytes(frame[30:34])
        self.l4 = 14 + 4 * (frame[14] & 15)
        self.total = struct.unpack_from(">H", frame, 16)[0]
        self.tcp = self.proto == 6 and not struct.unpack_from(">H", frame, 20)[0] & 0x1FFF
        if self.tcp or self.proto == 17:
            self.sport, self.dport = struct.unpack_from(">HH", frame, self.l4)
        if self.tcp:
            (self.seq, self.ack, off, self.flags, self.win) = struct.unpack_from(">IIBBH", frame, self.l4 + 4)
            self.data = self.l4 + 4 * (off >> 4)
            self.len = 14 + self.total - self.data
            self.end = (self.seq + self.len + (self.flags & 1) + (self.flags >> 1 & 1)) & 0xFFFFFFFF

    syn = property(lambda s: bool(s.flags & 2))
    fin = property(lambda s: bool(s.flags & 1))
    rst = property(lambda s: bool(s.flags & 4))
    key = property(lambda s: (s.src, s.sport, s.dst, s.dport))
    back = property(lambda s: (s.dst, s.dport, s.src, s.sport))

    def payload(self):
        return bytes(self.frame[self.data:self.data + self.len])

    def set(self, fmt, offset, value):
        """Write a field of the TCP header and mend the checksum."""
        struct.pack_into(fmt, self.frame, self.l4 + offset, value)
        self.mend()

    def mend(self):
        """Make the TCP checksum and the IP checksum right again."""
        struct.pack_into(">H", self.frame, self.l4 + 16, 0)
        struct.pack_into(">H", self.frame, self.l4 + 16, self.sum())
        mend_ip(self.frame)

    def mend_l4(self):
        """Finish the checksum that the stack left to the card."""
        if self.tcp:
            self.mend()
        elif self.ip and self.proto == 17:
            struct.pack_into(">H", self.frame, self.l4 + 6, 0)

    def sum(self):
        """What the TCP checksum field ought to hold, the field itself taken as 0."""
        part = bytearray(self.frame[self.l4:14 + self.total])
        part[16:18] = b"\0\0"
        pseudo = self.src + self.dst + struct.pack(">HH", 6, len(part))
        return ~ones(pseudo + bytes(part)) & 0xFFFF


def cut(seg, mss):
    """A large segment cut to pieces of `mss` bytes, with good checksums (the card's part
    of segmentation offload)."""
    pieces = []
    for at in range(0, seg.len, mss):
        part = seg.payload()[at:at + mss]
        frame = bytearray(seg.frame[:seg.data]) + part
        struct.pack_into(">H", frame, 16, len(frame) - 14)
        struct.pack_into(">I", frame, seg.l4 + 4, seg.seq + at & 0xFFFFFFFF)
        if at + mss < seg.len:
            frame[seg.l4 + 13] &= ~0x09		# FIN and PSH on the last only
        piece = Segment(bytes(frame).ljust(60, b"\0"))
        piece.mend()
        pieces.append(piece)
    return pieces


def ones(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def mend_ip(frame):
    struct.pack_into(">H", frame, 24, 0)
    struct.pack_into(">H", frame, 24, ~ones(bytes(frame[14:34])) & 0xFFFF)


def after(a, b):
    return 0 < (a - b & 0xFFFFFFFF) < 0x80000000


def tcp_frame(macs, src, sport, dst, dport, seq, ack, flags, win, ident, df=True, payload=b"", ttl=128):
    """A TCP frame made by a card or a box between, not by a stack. macs = (to, from)."""
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), ident, 0x4000 if df else 0, ttl, 6, 0, src, dst)
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, win, 0, 0)
    s = Segment((macs[0] + macs[1] + b"\x08\x00" + ip + tcp + payload).ljust(60, b"\0"))
    s.mend()
    return bytes(s.frame)


class Clock:
    """Scene time. It leaps only in Leaping.select."""

    def __init__(self, start):
        self.start, self.lead, self.zero = start, 0.0, time.monotonic()
        self.seen, self.holds, self.busy = self.zero, 0, None

    def now(self):
        return time.monotonic() - self.zero + self.lead

    def quiet(self):
        return not self.holds and time.monotonic() - self.seen > QUIET and not self.busy()


class Leaping(selectors.EpollSelector):
    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def select(self, timeout=None):
        clock = self.clock
        until = None if timeout is None else clock.now() + timeout
        while True:
            left = 0.05 if until is None else until - clock.now()
            if left <= 0:
                return super().select(0)
            found = super().select(0 if left < 0.0015 else min(left - 0.001, 0.002))
            if found:
                clock.seen = time.monotonic()
                return found
            if until is not None and clock.quiet():
                clock.lead += max(0.0, until - clock.now())


class Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock):
        super().__init__(Leaping(clock))
        self.clock = clock

    def time(self):
        return self.clock.now()


class Card:
    """The network card of an ordinary host: one IP-ID counter for all it sends."""

    def __init__(self, host, rng, mask=0xFFFF):
        self.host, self.mask, self.ident = host, mask, rng.randrange(mask)

    def stamp(self, frame, ident, df):
        struct.pack_into(">H", frame, 18, ident)
        frame[20] = frame[20] & 0xBF | (0x40 if df else 0)
        mend_ip(frame)

    def next_id(self):
        ident, self.ident = self.ident, self.ident + 1 & self.mask
        return ident

    def out(self, seg):
        """From the host to the wire: the frames to send."""
        if seg.ip:
            self.stamp(seg.frame, self.next_id(), seg.proto == 6)
        return [bytes(seg.frame)]

    def into(self, seg):
        """From the wire to the host: the frames to hand over."""
        return [bytes(seg.frame)]


class Host:
    """beside: a host of which this is a second port (eth1). segment: which broadcasts it hears."""

    def __init__(self, stage, name, ip, mac, sysctl=None, net=24, vnet=False, beside=None, segment=0):
        self.beside, self.segment = beside, segment
        self.stage, self.name, self.ip = stage, name, ip
        self.addr, self.mac = socket.inet_aton(ip), bytes.fromhex(mac.replace(":", ""))
        self.rng = random.Random("%s/%s" % (stage.seed, name))
        self.up, self.vnet = True, vnet	# vnet: False, "csum" or "tso": left to the card
        self.sensor = False			# the capture is taken on this host itself
        self.whole = False			# its large segments stay whole on this switch
        self.unfinished = False			# nobody finishes the sums that it leaves to the card
        if beside:
            setns(beside.ns)
        elif LIBC.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "a network namespace needs root")
        self.ns = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            for key, value in dict(WINDOWS, **(sysctl or {})).items():
                self._sysctl(key, value)
            self.tap = self._tap(net)
        finally:
            setns(stage.home)
        self.card = Card(self, self.rng)
        stage.hosts.append(self)

    @staticmethod
    def _sysctl(key, value):
        try:
            with open("/proc/sys/" + key.replace(".", "/"), "w") as f:
                f.write(str(value))
        except FileNotFoundError:	# an older kernel does not know it
            pass

    def sysctl(self, key, value):
        setns(self.ns)
        try:
            self._sysctl(key, value)
        finally:
            setns(self.stage.home)

    def _tap(self, net):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        name = b"eth1" if self.beside else b"eth0"
        flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if self.vnet else 0)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name, flags))
        if self.vnet:
            fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("i", 10))
            fcntl.ioctl(fd, TUNSETOFFLOAD, 0x01 | (0x02 if self.vnet == "tso" else 0))
        ctl = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        mask = socket.inet_aton("255.255.%d.0" % (255 if net == 24 else 254))
        for what, data in ((SIOCSIFHWADDR, struct.pack("H6s", 1, self.mac)),
                           (SIOCSIFADDR, struct.pack("HH4s8x", socket.AF_INET, 0, self.addr)),
                           (SIOCSIFNETMASK, struct.pack("HH4s8x", socket.AF_INET, 0, mask)),
                           (SIOCSIFFLAGS, struct.pack("H", 0x41 | 0x1000))):
            fcntl.ioctl(ctl, what, struct.pack("16s24s", name, data))
        fcntl.ioctl(ctl, SIOCSIFFLAGS, struct.pack("16s24s", b"lo", struct.pack("H", 0x41)))
        ctl.close()
        return fd

    def socket(self, kind=socket.SOCK_STREAM, proto=0):
        setns(self.ns)
        try:
            s = socket.socket(socket.AF_INET, kind, proto)
        finally:
            setns(self.stage.home)
        s.setblocking(False)
        return s

    def frames(self):
        while True:
            try:
                frame = os.read(self.tap, 70000)
            except OSError as e:
                if e.errno in (errno.EAGAIN, errno.EIO, errno.EBADFD):
                    return
                raise
            yield frame

    def give(self, frame, vnet=None):
        """Hand a frame to the host's stack."""
        if self.vnet:
            frame = (vnet or bytes(10)) + frame
        try:
            os.write(self.tap, frame)
        except OSError:
            pass


class Watch:
    """Which flows have data under way, as the mirror port shows it."""

    def __init__(self):
        self.flows, self.given_up = {}, GIVEN_UP

    def see(self, seg):
        key = min(seg.key, seg.back)
        if seg.rst:
            self.flows.pop(key, None)
            return
        flow = self.flows.setdefault(key, {"at": 0})
        if seg.len or seg.flags & 3:
            old = flow.get(seg.key)
            if old is None or after(seg.end, old) or seg.flags & 2:
                flow[seg.key] = seg.end
            flow["at"] = time.monotonic()
        if seg.flags & 16:
            sent, acked = flow.get(seg.back), flow.get((seg.back, "acked"))
            if sent is not None and (acked is None or after(seg.ack, acked)):
                flow[(seg.back, "acked")] = seg.ack
            if sent is not None and not after(sent, seg.ack):
                flow.pop(seg.back)

    def busy(self):
        now = time.monotonic()
        for key, flow in self.flows.items():
            if now - flow["at"] < self.given_up and (key in flow or (key[2], key[3], key[0], key[1]) in flow):
                return True
        return False


class Stage:
    """seed: of every choice the scene makes; start: capture time of the first moment."""

    def __init__(self, seed, start):
        self.seed, self.hosts, self.taken = seed, [], []
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.clock = Clock(start)
        self.watch = Watch()
        self.clock.busy = self.watch.busy
        self.loop = Loop(self.clock)
        asyncio.set_event_loop(self.loop)
        self.rng = random.Random(str(seed))
        self.mirrored = []		# the hosts whose switch ports are mirrored
        self.between = None		# a box on the clients' side of the mirror
        self.tasks, self.notes = [], []

    def now(self):
        return self.clock.now()

    def note(self, text):
        self.notes.append("%8.3f %s" % (self.now(), text))

    class _Hold:
        def __init__(self, clock):
            self.clock = clock

        def __enter__(self):
            self.clock.holds += 1

        def __exit__(self, *_):
            self.clock.holds -= 1

    def hold(self):
        """While held, scene time runs at the wall's pace (a kernel timer is awaited)."""
        return self._Hold(self.clock)

    def open(self):
        for host in self.hosts:
            self.loop.add_reader(host.tap, self._from_host, host)

    def _from_host(self, host):
        for raw in host.frames():
            vnet = None
            if host.vnet:
                vnet, raw = raw[:10], raw[10:]
            if not host.up:
                continue
            seg = Segment(raw if host.sensor or vnet and vnet[1] else raw.ljust(60, b"\0"))
            if not seg.ip and not seg.arp:
                continue
            if seg.tcp and seg.frame[seg.l4 + 16:seg.l4 + 18] == b"\xff\xff":
                seg.frame[seg.l4 + 16:seg.l4 + 18] = b"\0\0"	# the other zero (RFC 1624)
            if vnet and not host.sensor and not (host.whole and vnet[1]):
                seg.gso = struct.unpack_from("<H", vnet, 4)[0] if vnet[1] else 0
                if vnet[0] & 1 and not seg.gso and not host.unfinished:
                    seg.mend_l4()
                vnet = None
            for frame in host.card.out(seg):
                self.send(host, frame, vnet)

    def record(self, frame, seg):
        self.taken.append((self.now(), bytes(frame)))
        if seg.tcp:
            self.watch.see(seg)

    def send(self, sender, frame, vnet=None):
        """Put a frame of `sender` on the switch."""
        seg = Segment(frame)
        to = bytes(frame[:6])
        if to == BROADCAST:
            if any(h.segment == sender.segment for h in self.mirrored):
                self.record(frame, seg)
            for host in self.hosts:
                if host is not sender and host.up and host.segment == sender.segment:
                    self._deliver(host, frame, vnet)
            return
        target = next((h for h in self.hosts if h.mac == to), None)
        if sender in self.mirrored or target in self.mirrored:
            self.record(frame, seg)
        if self.between:
            frame = self.between(sender, target, seg)
            if frame is None:
                return
        if target and target.up:
            self._deliver(target, frame, vnet)

    @staticmethod
    def _deliver(host, frame, vnet):
        if vnet and vnet[0] & 1:
            if host.vnet:
                host.give(frame, vnet)
                return
            seg = Segment(frame)
            seg.mend_l4()
            frame = bytes(seg.frame)
        for got in host.card.into(Segment(frame)):
            host.give(got, vnet)

    def spawn(self, coro):
        task = self.loop.create_task(coro)
        task.add_done_callback(self._ended)
        self.tasks.append(task)
        return task

    def _ended(self, task):
        if not task.cancelled() and task.exception() and not isinstance(task.exception(), OSError):
            self.loop.call_exception_handler({"message": "a part failed", "exception": task.exception(), "task": task})

    def at(self, when, what, *args):
        self.loop.call_at(when, what, *args)

    def play(self, length):
        self.open()
        self.loop.run_until_complete(asyncio.sleep(length))


def save(path, frames, start, snap=65535, nano=False):
    """Write a pcap; frames = (seconds since `start`, bytes), start in whole seconds since 1970."""
    unit = 10 ** 9 if nano else 10 ** 6
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, snap, 1))
        for when, frame in frames:
            ticks = start * unit + int(when * unit)
            f.write(struct.pack("<IIII", ticks // unit, ticks % unit, min(len(frame), snap), len(frame)))
            f.write(frame[:snap])


def load(path, base):
    """Read a pcap that save() wrote: its frames, times in seconds since `base`."""
    with open(path, "rb") as f:
        head = f.read(24)
        unit = 10 ** 9 if head[:4] == b"\x4d\x3c\xb2\xa1" else 10 ** 6
        frames = []
        while True:
            rec = f.read(16)
            if len(rec) < 16:
                return frames
            sec, frac, got, _ = struct.unpack("<IIII", rec)
            frames.append((sec - base + frac / unit, f.read(got)))
