"""SMB1 (MS-CIFS) as an XP client and a 2003 server speak it on port 445: as much as it
takes to log on, connect a share, open, read, write and close a file, and echo."""
import struct

NEGOTIATE, SETUP, TREE, CREATE, READ, WRITE, CLOSE, ECHO = 0x72, 0x73, 0x75, 0xA2, 0x2E, 0x2F, 0x04, 0x2B
NOANDX = b"\xff\0\0\0"


def message(cmd, words, data, reply, mid, tid=0, uid=0):
    head = b"\xffSMB" + struct.pack("<BIBHH8xHHHHH", cmd, 0, 0x98 if reply else 0x18, 0xC001, 0, 0, tid, 0x0FEC, uid, mid)
    body = head + struct.pack("<B", len(words) // 2) + words + struct.pack("<H", len(data)) + data
    return struct.pack(">I", len(body)) + body


def text(s):
    return s.encode("utf-16le") + b"\0\0"


def negotiate(mid):
    return message(NEGOTIATE, b"", b"\x02NT LM 0.12\0", False, mid)


def negotiated(mid, rng, domain, when):
    stamp = (when + 11644473600) * 10 ** 7
    words = struct.pack("<HBHHIIIIQhB", 0, 3, 50, 1, 16644, 65536, 0, 0x0000F3FD & ~0x80000000, stamp, -60, 8)
    return message(NEGOTIATE, words, rng.randbytes(8) + text(domain), True, mid)


def setup(mid, rng, user, domain):
    words = NOANDX + struct.pack("<HHHIHHII", 16644, 10, 1, 0, 24, 24, 0, 0xD4)
    data = rng.randbytes(48) + b"\0" + text(user) + text(domain) + text("Windows 2002 2600") + text("Windows 2002 5.1")
    return message(SETUP, words, data, False, mid)


def set_up(mid, uid, domain):
    data = b"\0" + text("Windows Server 2003 3790 Service Pack 2") + text("Windows Server 2003 5.2") + text(domain)
    return message(SETUP, NOANDX + b"\0\0", data, True, mid, 0, uid)


def tree(mid, uid, path):
    words = NOANDX + struct.pack("<HH", 8, 1)
    return message(TREE, words, b"\0" + text(path) + b"?????\0", False, mid, 0, uid)


def treed(mid, uid, tid):
    return message(TREE, NOANDX + struct.pack("<H", 1), b"A:\0" + text("NTFS"), True, mid, tid, uid)


def create(mid, uid, tid, name):
    raw = text("\\" + name)
    words = NOANDX + struct.pack("<BHIIIQIIIIIB", 0, len(raw) - 2, 0x16, 0, 0x20089, 0, 0, 7, 1, 0x40, 2, 3)
    return message(CREATE, words, b"\0" + raw, False, mid, tid, uid)


def created(mid, uid, tid, fid, size, when):
    stamp = (when + 11644473600) * 10 ** 7
    words = NOANDX + struct.pack("<BHI4QIQQHHB", 0, fid, 1, stamp, stamp, stamp, stamp, 0x20, 65536, size, 0, 7, 0)
    return message(CREATE, words, b"", True, mid, tid, uid)


def read_req(mid, uid, tid, fid, offset, count):
    words = NOANDX + struct.pack("<HIHHIHI", fid, offset, count, count, 0xFFFFFFFF, 0, 0)
    return message(READ, words, b"", False, mid, tid, uid)


def read_rsp(mid, uid, tid, data):
    words = NOANDX + struct.pack("<HHHHHH8x", 0xFFFF, 0, 0, len(data), 60, 0)
    return message(READ, words, b"\0" + data, True, mid, tid, uid)


def write_req(mid, uid, tid, fid, offset, data):
    words = NOANDX + struct.pack("<HIIHHHHHI", fid, offset, 0, 0, 0, 0, len(data), 64, 0)
    return message(WRITE, words, b"\0" + data, False, mid, tid, uid)


def write_rsp(mid, uid, tid, count):
    return message(WRITE, NOANDX + struct.pack("<HHI", count, 0xFFFF, 0), b"", True, mid, tid, uid)


def close_req(mid, uid, tid, fid):
    return message(CLOSE, struct.pack("<HI", fid, 0xFFFFFFFF), b"", False, mid, tid, uid)


def close_rsp(mid, uid, tid):
    return message(CLOSE, b"", b"", True, mid, tid, uid)


def echo(mid, uid, tid, reply):
    return message(ECHO, struct.pack("<H", 1), b"JlJmIhClBsr\0", reply, mid, tid, uid)


async def read(reader):
    """(command, mid, tid, uid, the whole message without its length)"""
    size = struct.unpack(">I", await reader.readexactly(4))[0] & 0xFFFFFF
    m = await reader.readexactly(size)
    tid, _, uid, mid = struct.unpack_from("<HHHH", m, 24)
    return m[4], mid, tid, uid, m
