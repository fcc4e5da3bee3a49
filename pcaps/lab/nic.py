"""The server's network card: a Windows host and a card that carries connections itself
(TCP Chimney, TOE), as far as the wire can tell, and the ways in which that goes wrong.

The host's own packets (handshakes, UDP, ICMP, connections that were never offloaded)
bear one counter kept in 0x0000-0x7FFF; an offloaded connection is numbered by the card
in 0x8000-0xFFFF, with DF set. A connection is offloaded some packets after its
handshake. A fault is an object with out() and into(), each given one segment of an
offloaded connection, or of any when it says `everything`.
"""
import struct

import stage


class Flow:
    def __init__(self, client, port, after_packets):
        self.client, self.port, self.count, self.due = client, port, 0, after_packets
        self.offloaded = False
        self.next = self.sent = None	# what the client sends next; what the server has sent
        self.win, self.macs = 65535, None
        self.mark = {}			# what a fault keeps


class Toe(stage.Card):
    """share: of connections that may be offloaded; never: ports that may not.
    span: after how many packets of a connection (0, 0: when its handshake is done)."""

    def __init__(self, host, rng, share=0.85, span=(8, 18), never=(135,), ports=None):
        super().__init__(host, rng, 0x7FFF)
        self.rng, self.share, self.span, self.never, self.ports = rng, share, span, never, ports
        self.toe, self.flows, self.fault = rng.randrange(0x8000), {}, None
        self.made = 0

    def toe_id(self):
        ident, self.toe = self.toe | 0x8000, self.toe + 1 & 0x7FFF
        return ident

    def no_more(self):
        """No further connection is offloaded."""
        self.share = 0
        for flow in self.flows.values():
            flow.due = None

    def flow(self, client, cport, port, new):
        key = (client, cport, port)
        if new or key not in self.flows:
            may = port not in self.never and (self.ports is None or port in self.ports)
            may = self.rng.random() < self.share and may
            due = self.rng.randint(*self.span)
            self.flows[key] = Flow((client, cport), port, due if may else None)
        return self.flows[key]

    def out(self, seg):
        if not seg.ip:
            return self._last(seg, None)
        if seg.gso and not (self.fault and self.fault.whole(self, seg)):
            return [f for piece in stage.cut(seg, seg.gso) for f in self.out(piece)]
        if not seg.tcp:
            self.stamp(seg.frame, self.next_id(), False)
            return self._last(seg, None)
        flow = self.flow(seg.dst, seg.dport, seg.sport, seg.syn)
        flow.count += 1
        if flow.macs is None:
            flow.macs = (bytes(seg.frame[0:6]), bytes(seg.frame[6:12]))
        fresh = False
        if flow.due and not flow.offloaded and flow.count >= flow.due and not seg.flags & 7 and seg.flags & 16:
            flow.offloaded, fresh = True, True
        if seg.rst and not flow.mark:
            flow.offloaded = False
        if not flow.offloaded:
            self.stamp(seg.frame, self.next_id(), True)
            flow.sent, flow.next, flow.win = seg.end, seg.ack, seg.win
            return self._last(seg, flow)
        if self.fault and not fresh:
            frames = self.fault.out(self, flow, seg)
            if frames is not None:
                return frames
        flow.sent, flow.next, flow.win = seg.end, seg.ack, seg.win
        self.stamp(seg.frame, self.toe_id(), True)
        return [bytes(seg.frame)]

    def _last(self, seg, flow):
        """A packet of the host's own stack, ready to go."""
        if self.fault and getattr(self.fault, "everything", False):
            frames = self.fault.out(self, flow, seg)
            if frames is not None:
                return frames
        return [bytes(seg.frame)]

    def into(self, seg):
        flow = None
        if seg.tcp:
            flow = self.flow(seg.src, seg.sport, seg.dport, False)
            flow.count += 1
            if flow.due == 0 and flow.sent == seg.ack and not seg.flags & 7:
                flow.offloaded, flow.due = True, None
                return [bytes(seg.frame)]
        if self.fault and (flow and flow.offloaded or getattr(self.fault, "everything", False)):
            frames = self.fault.into(self, flow, seg)
            if frames is not None:
                return frames
        return [bytes(seg.frame)]

    def emit(self, flow, flags, seq, ack, win=None, payload=b""):
        """The card itself sends a segment on an offloaded connection."""
        frame = stage.tcp_frame(flow.macs, self.host.addr, flow.port, flow.client[0], flow.client[1], seq, ack, flags,
                                flow.win if win is None else win, self.toe_id(), True, payload)
        self.host.stage.send(self.host, frame)


class Xp(stage.Card):
    """A Windows client: one counter of 16 bits, and keep-alives with one byte in them."""

    def __init__(self, host, rng):
        super().__init__(host, rng)
        self.sent = {}

    def out(self, seg):
        if seg.tcp:
            was = self.sent.get(seg.key)
            if was is None or seg.syn or stage.after(seg.end, was):
                self.sent[seg.key] = seg.end
            elif not seg.len and seg.flags == 16 and seg.seq == was - 1 & 0xFFFFFFFF:
                seg.total, seg.len = seg.total + 1, 1
                struct.pack_into(">H", seg.frame, 16, seg.total)
                seg.frame[seg.data] = 0
                seg.mend()
        return super().out(seg)


class Forwarder(stage.Card):
    """A port of a box that forwards: what passes through keeps its numbers."""

    def __init__(self, host, rng):
        super().__init__(host, rng)
        self.rng, self.fault = rng, None

    def out(self, seg):
        return [bytes(seg.frame)]

    def into(self, seg):
        frames = self.fault.into(self, None, seg) if self.fault else None
        return [bytes(seg.frame)] if frames is None else frames


class Fault:
    """out() and into() may change the segment, or say what goes on instead of it."""
    everything = False

    def out(self, card, flow, seg):
        return None

    def into(self, card, flow, seg):
        return None

    def whole(self, card, seg):
        """A large segment is not to be cut."""
        return False


class Freeze(Fault):
    """The card goes on acknowledging; the host hears nothing and cannot send."""

    def out(self, card, flow, seg):
        flow.mark.setdefault("frozen", card.host.stage.now())
        return []

    def into(self, card, flow, seg):
        flow.mark.setdefault("frozen", card.host.stage.now())
        if flow.next is None or seg.rst or seg.syn:
            return []
        probe = seg.seq == flow.next - 1 & 0xFFFFFFFF and seg.len <= 1
        if seg.end == seg.seq and not probe:
            return []
        if not stage.after(seg.seq, flow.next) and stage.after(seg.end, flow.next):
            flow.next = seg.end
        card.host.stage.loop.call_later(card.rng.uniform(0.0001, 0.0006), self._ack, card, flow)
        return []

    @staticmethod
    def _ack(card, flow):
        card.emit(flow, 0x10, flow.sent, flow.next)


class FreezesInTransfer(Freeze):
    """The same, once the card has sent `size` bytes of a connection since it broke."""

    def __init__(self, size):
        self.size = size

    def out(self, card, flow, seg):
        if "frozen" not in flow.mark:
            flow.mark["moved"] = flow.mark.get("moved", 0) + seg.len
            if flow.mark["moved"] <= self.size:
                return None
        return super().out(card, flow, seg)

    def into(self, card, flow, seg):
        return super().into(card, flow, seg) if "frozen" in flow.mark else None


class Deaf(Fault):
    """The card takes nothing in and sends nothing on (these) offloaded connections."""

    def __init__(self, only=None):
        self.only = only

    def out(self, card, flow, seg):
        return [] if self.only is None or flow in self.only else None

    into = out


class KeepsSessions(Fault):
    """An offloaded connection cannot be reset: the card does not pass the RST on."""

    def into(self, card, flow, seg):
        return [] if seg.rst else None


class BadSums(Fault):
    """Transmit checksums of data segments come out wrong, by one of a few differences."""

    def __init__(self, share):
        self.share, self.bad = share, 0

    def out(self, card, flow, seg):
        if seg.len and card.rng.random() < self.share:
            self.bad += 1
            right = struct.unpack_from(">H", seg.frame, seg.l4 + 16)[0]
            struct.pack_into(">H", seg.frame, seg.l4 + 16, right + card.rng.choice((0x50E3, 0x50E4, 0x1200)) & 0xFFFF)


class TooLarge(Fault):
    """The card sends what it was given to segment as it is, and does so each time again."""

    def whole(self, card, seg):
        flow = card.flows.get((seg.dst, seg.dport, seg.sport))
        return bool(flow and flow.offloaded and seg.len <= 4500)

    def out(self, card, flow, seg):
        if seg.gso:
            seg.mend()
            flow.mark[seg.seq] = bytes(seg.frame)
        elif seg.len and seg.seq in flow.mark:
            seg.__init__(flow.mark[seg.seq])


class ScaleTwice(Fault):
    """The card applies the window scale to a window that is already scaled."""

    def __init__(self, shift):
        self.shift = shift

    def out(self, card, flow, seg):
        if not seg.syn and not seg.rst:
            seg.set(">H", 14, seg.win >> self.shift)


class NoTimestamps(Fault):
    """Timestamps were negotiated; the card leaves the option out."""

    def out(self, card, flow, seg):
        if seg.data - seg.l4 < 32 or seg.syn:
            return
        frame = seg.frame[:seg.l4 + 20] + seg.payload()
        frame[seg.l4 + 12] = 0x50
        struct.pack_into(">H", frame, 16, len(frame) - 14)
        seg.__init__(bytes(frame).ljust(60, b"\0"))
        seg.mend()


class AcksAhead(Fault):
    """Some acknowledgements name bytes that the client has not sent."""

    def __init__(self, share, by=1460):
        self.share, self.by = share, by

    def out(self, card, flow, seg):
        if seg.flags & 16 and not seg.flags & 7 and card.rng.random() < self.share:
            seg.set(">I", 8, seg.ack + self.by & 0xFFFFFFFF)


class Mute(Fault):
    """Transmit hang: the host sends nothing at all; its receive side works."""
    everything = True

    def out(self, card, flow, seg):
        return []


class Ports(Fault):
    """SYNs to these ports never reach the host."""
    everything = True

    def __init__(self, *ports):
        self.ports = ports

    def into(self, card, flow, seg):
        return [] if seg.tcp and seg.syn and seg.dport in self.ports else None


class NoCallers(Fault):
    """SYNs to ports from `first` on never reach the host."""
    everything = True

    def __init__(self, first=1024):
        self.first = first

    def into(self, card, flow, seg):
        return [] if seg.tcp and seg.syn and not seg.flags & 16 and seg.dport >= self.first else None


class BadUdpSums(Fault):
    """The UDP checksum of what the host sends from these ports comes out wrong."""
    everything = True

    def __init__(self, *ports):
        self.ports = ports

    def out(self, card, flow, seg):
        if seg.ip and seg.proto == 17 and seg.sport in self.ports:
            right = struct.unpack_from(">H", seg.frame, seg.l4 + 6)[0]
            struct.pack_into(">H", seg.frame, seg.l4 + 6, right + 0x50E3 & 0xFFFF or 1)


KEY = bytes.fromhex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa")


def toeplitz(data, key=KEY):
    """The RSS hash (verified against the published suite by `python3 nic.py`)."""
    stream, result = int.from_bytes(key, "big"), 0
    for n, byte in enumerate(data):
        for bit in range(8):
            if byte & 0x80 >> bit:
                result ^= stream >> (len(key) * 8 - 32 - (8 * n + bit)) & 0xFFFFFFFF
    return result


class DeadQueue(Fault):
    """One of `queues` receive queues is not served any more."""
    everything = True

    def __init__(self, queue, queues=4):
        self.queue, self.queues = queue, queues

    def hit(self, seg):
        return toeplitz(seg.src + seg.dst + struct.pack(">HH", seg.sport, seg.dport)) % self.queues == self.queue

    def into(self, card, flow, seg):
        return [] if seg.tcp and self.hit(seg) else None


if __name__ == "__main__":
    import socket
    for src, sport, dst, dport, want in (("66.9.149.187", 2794, "161.142.100.80", 1766, 0x51CCC178),
                                         ("199.92.111.2", 14230, "65.69.140.83", 4739, 0xC626B0EA),
                                         ("24.19.198.95", 12898, "12.22.207.184", 38024, 0x5C2B394A)):
        got = toeplitz(socket.inet_aton(src) + socket.inet_aton(dst) + struct.pack(">HH", sport, dport))
        assert got == want, (src, hex(got))
    print("the hash is right")
