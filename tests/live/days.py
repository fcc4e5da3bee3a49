"""days.py OFFICE TROUBLE - twelve days of capture time, as a capture on standard
output: OFFICE each two hours, with other clients each time, and TROUBLE at noon
of the last day. Prints the stamp of its first frame on standard error."""

import struct
import sys

DAYS, STEP_S = 12, 7200
MAGIC_US, MAGIC_NS = 0xA1B2C3D4, 0xA1B23C4D


def frames(path):
    with open(path, "rb") as file:
        data = file.read()
    order = "<" if struct.unpack("<I", data[:4])[0] in (MAGIC_US, MAGIC_NS) else ">"
    ns = struct.unpack(order + "I", data[:4])[0] == MAGIC_NS
    at, first = 24, None
    while at + 16 <= len(data):
        s, part, kept, wire = struct.unpack(order + "IIII", data[at:at + 16])
        t = s * 10**9 + part * (1 if ns else 1000)
        first = t if first is None else first
        yield t - first, wire, bytearray(data[at + 16:at + 16 + kept])
        at += 16 + kept


def mend(frame, at, was, now):
    """RFC 1624, 3: the checksum there, after one of its words changed."""
    s = (~struct.unpack(">H", frame[at:at + 2])[0] & 0xFFFF) + (~was & 0xFFFF) + now
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    frame[at:at + 2] = struct.pack(">H", ~s & 0xFFFF)


def others(frame, shift):
    """The same with another client (who has the higher port), IPv4 and TCP."""
    if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return frame
    sport, dport = struct.unpack(">HH", frame[34:38])
    at = 26 if sport > dport else 30
    was = struct.unpack(">H", frame[at:at + 2])[0]
    now = (was + 256 * shift) & 0xFFFF
    frame[at:at + 2] = struct.pack(">H", now)
    mend(frame, 24, was, now)
    mend(frame, 50, was, now)
    return frame


def ones_sum(data):
    s = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def resets(office):
    """Of each connection that is left open, a reset by its client."""
    last = {}
    for _, _, frame in office:
        if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
            continue
        sport, dport = struct.unpack(">HH", frame[34:38])
        if sport > dport:
            bytes_of_tcp = struct.unpack(">H", frame[16:18])[0] - 20
            data = bytes_of_tcp - (frame[46] >> 4) * 4
            seq = struct.unpack(">I", frame[38:42])[0] + data
            reset = bytearray(frame[:54])
            reset[16:18] = b"\0\x28"           # 40 bytes, IP and TCP
            reset[24:26] = reset[50:54] = b""
            reset[24:24] = b"\0\0"
            reset[50:50] = b"\0\0\0\0"
            reset[38:42] = struct.pack(">I", (seq + (frame[47] & 1)) & 0xFFFFFFFF)
            reset[46:48] = b"\x50\x14"          # RST, ACK
            reset[24:26] = struct.pack(">H", ones_sum(reset[14:34]))
            pseudo = bytes(reset[26:34]) + b"\0\6\0\x14" + bytes(reset[34:54])
            reset[50:52] = struct.pack(">H", ones_sum(pseudo))
            last[bytes(frame[26:38])] = reset
    return list(last.values())


def put(out, t, wire, frame):
    out.write(struct.pack("<IIII", t // 10**9, t % 10**9, len(frame), wire))
    out.write(frame)


def main():
    out, start = sys.stdout.buffer, 1700000000 * 10**9
    rounds = DAYS * 86400 // STEP_S
    out.write(struct.pack("<IHHiIII", MAGIC_NS, 2, 4, 0, 0, 262144, 1))
    office = list(frames(sys.argv[1]))
    end = office[-1][0]
    office += [(end + 10**9 + i * 1000, len(f), f)
               for i, f in enumerate(resets(office))]
    for i in range(rounds):
        begin = start + i * STEP_S * 10**9
        for t, wire, frame in office:
            put(out, begin + t, wire, others(bytearray(frame), 1 + i % 200))
        if i == rounds - 6:
            noon = begin + 3600 * 10**9
            print(noon / 10**9, file=sys.stderr)
            for t, wire, frame in frames(sys.argv[2]):
                put(out, noon + t, wire, frame)


main()
