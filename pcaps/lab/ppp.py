#!/usr/bin/env python3
"""ppp.py --client SECONDS COMMAND ... | ppp.py [what pptpd says to its pppd]

The PPP at the ends of a PPTP tunnel, where the kernel has none: LCP and IPCP (RFC 1661,
RFC 1332) in asynchronous HDLC framing (RFC 1662), no authentication, and ICMP echoes as
the client's traffic. As --client it begins COMMAND (pptp) and speaks through it; else it
speaks on its standard input, a terminal that pptpd gave it. Ends, with 1, when the other
side does not open the link in ten tries of three seconds, as pppd does."""
import os
import select
import socket
import struct
import subprocess
import sys
import termios
import time
import tty

LCP, IPCP, IP = 0xC021, 0x8021, 0x0021
REQUEST, ACK, NAK, REJECT, TERMINATE, TERMINATED, ECHO, ECHOED = 1, 2, 3, 4, 5, 6, 9, 10
RESTART, TRIES = 3.0, 10


def fcs(data):
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return value ^ 0xFFFF


def framed(protocol, body):
    raw = b"\xff\x03" + struct.pack(">H", protocol) + body
    raw += struct.pack("<H", fcs(raw))
    out = bytearray(b"\x7e")
    for byte in raw:
        out += bytes((0x7D, byte ^ 0x20)) if byte < 0x20 or byte in (0x7D, 0x7E) else bytes((byte,))
    return bytes(out + b"\x7e")


def unframed(raw):
    out, escaped = bytearray(), False
    for byte in raw:
        if byte == 0x7D and not escaped:
            escaped = True
        else:
            out.append(byte ^ 0x20 if escaped else byte)
            escaped = False
    if len(out) < 6 or fcs(out[:-2]) != struct.unpack("<H", out[-2:])[0]:
        return None, b""
    out = bytes(out[2:] if out[:2] == b"\xff\x03" else out)
    return struct.unpack(">H", out[:2])[0], out[2:-2]


def ones(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


class Link:
    def __init__(self, fd, client):
        self.fd, self.client, self.rest = fd, client, b""
        self.magic = os.urandom(4)
        self.own = b"\x03\x06" + socket.inet_aton("192.168.0.%d" % (234 if client else 1))
        self.open = {LCP: [False, False], IPCP: [False, False]}	# acknowledged by: the other, us
        self.tries = {LCP: 0, IPCP: 0}
        self.number = 0

    def send(self, protocol, code, ident, body=b""):
        os.write(self.fd, framed(protocol, struct.pack(">BBH", code, ident, 4 + len(body)) + body))

    def is_open(self, protocol):
        return all(self.open[protocol])

    def ask(self):
        """A Configure-Request of the layer that is due; False: too many tries."""
        protocol = IPCP if self.is_open(LCP) else LCP
        if self.open[protocol][0]:
            return True
        self.tries[protocol] += 1
        self.number += 1
        own = b"\x02\x06\0\0\0\0\x05\x06" + self.magic if protocol == LCP else self.own
        self.send(protocol, REQUEST, self.number & 255, own)
        return self.tries[protocol] <= TRIES

    def control(self, protocol, body):
        code, ident, length = struct.unpack(">BBH", body[:4])
        rest = body[4:length]
        if code == REQUEST:
            self.send(protocol, ACK, ident, rest)
            self.open[protocol][1] = True
        elif code == ACK and not self.open[protocol][0]:
            self.open[protocol][0] = True
        elif code == ECHO and protocol == LCP:
            self.send(LCP, ECHOED, ident, self.magic + rest[4:])
        elif code == TERMINATE and protocol == LCP:
            self.send(LCP, TERMINATED, ident)
            return False
        if self.is_open(LCP) and not self.tries[IPCP]:
            self.ask()
        return True

    def packet(self, body):
        """ICMP echo requests are answered."""
        if len(body) >= 28 and body[9] == 1 and body[20] == 8:
            icmp = b"\0\0\0\0" + body[24:]
            icmp = icmp[:2] + struct.pack(">H", ones(icmp)) + icmp[4:]
            os.write(self.fd, framed(IP, body[:12] + body[16:20] + body[12:16] + icmp))

    def ping(self):
        self.number += 1
        icmp = struct.pack(">BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, self.number) + b"abcdefghijklmnopqrstuvwabcdefghi"
        icmp = icmp[:2] + struct.pack(">H", ones(icmp)) + icmp[4:]
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(icmp), self.number, 0, 128, 1, 0) + socket.inet_aton("192.168.0.234") + \
            socket.inet_aton("192.168.0.1")
        os.write(self.fd, framed(IP, ip[:10] + struct.pack(">H", ones(ip)) + ip[12:] + icmp))

    def read(self):
        """What has come; False: the end."""
        data = os.read(self.fd, 4096)
        if not data:
            return False
        *whole, self.rest = (self.rest + data).split(b"\x7e")
        for raw in filter(None, whole):
            protocol, body = unframed(raw)
            if protocol in self.open and len(body) >= 4:
                if not self.control(protocol, body):
                    return False
            elif protocol == IP:
                self.packet(body)
        return True


def speak(link, seconds):
    """Until the end, or so long once the link is open; the exit status."""
    end, due = None, 0.0
    while not end or time.monotonic() < end:
        if time.monotonic() >= due:
            due = time.monotonic() + (1.0 if link.is_open(IPCP) else RESTART)
            if link.is_open(IPCP) and link.client:
                link.ping()
            elif not link.ask():
                return 1
        if select.select([link.fd], [], [], max(0.0, due - time.monotonic()))[0]:
            was = link.is_open(IPCP)
            if not link.read():
                return 0 if link.is_open(IPCP) else 1
            if link.is_open(IPCP) and not was:
                end, due = time.monotonic() + seconds, 0.0
    if link.is_open(LCP):
        link.send(LCP, TERMINATE, 255)
        select.select([link.fd], [], [], 0.2)
    return 0 if link.is_open(IPCP) else 1


def main(args):
    if args[:1] != ["--client"]:
        if os.isatty(0):
            tty.setraw(0, termios.TCSANOW)
        return speak(Link(0, False), 1e9)
    ours, theirs = socket.socketpair()
    pptp = subprocess.Popen(args[2:], stdin=theirs, stdout=theirs)
    theirs.close()
    try:
        return speak(Link(ours.fileno(), True), float(args[1]))
    except OSError:
        return 1
    finally:
        pptp.terminate()
        pptp.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
