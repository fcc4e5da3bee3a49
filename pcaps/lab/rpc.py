"""DCE/RPC as Outlook and Exchange 2003/2007 speak it over TCP: C706 chapter 12 PDUs,
NTLMSSP at privacy level (the stub is sealed, so its bytes are noise; header, operation
number and call id are in clear), the endpoint mapper, EMSMDB and AsyncEMSMDB
(MS-OXCRPC 1.9)."""
import struct
import uuid

REQUEST, RESPONSE, FAULT, BIND, BIND_ACK, AUTH3 = 0, 2, 3, 11, 12, 16
MAX_FRAG = 5840
MAPPED_PORT = 136		# where a map response with one tower holds the port
NDR = uuid.UUID("8a885d04-1ceb-11c9-9fe8-08002b104860")
EPM = uuid.UUID("e1af8308-5d1f-11c9-91a4-08002b14a0fa")
EMSMDB = uuid.UUID("a4f1db00-ca47-1067-b31f-00dd010662da")
ASYNC = uuid.UUID("5261574a-4572-206e-b268-6b199213b4e4")
VERSION = {EPM: 3, EMSMDB: 81 << 16, ASYNC: 1 << 16}
DISCONNECT, REGISTER_PUSH, DUMMY, CONNECT, RPC, ASYNC_CONNECT = 1, 4, 6, 10, 11, 14
NTLM_FLAGS = 0xE2088297


def pdu(kind, call, body, auth=b"", pad=4, flags=3):
    """auth: the NTLMSSP token; it is put behind a security trailer."""
    trailer = b""
    if auth:
        fill = -len(body) % pad
        body += bytes(fill)
        trailer = struct.pack("<BBBBI", 10, 6, fill, 0, 1) + auth
    size = 16 + len(body) + len(trailer)
    head = struct.pack("<BBBB4sHHI", 5, 0, kind, flags, b"\x10\0\0\0", size, len(auth), call)
    return head + body + trailer


def text(s):
    return s.encode("utf-16le")


def ntlm_negotiate():
    return b"NTLMSSP\0" + struct.pack("<II8s8s", 1, NTLM_FLAGS, b"", b"")


def ntlm_challenge(rng, domain, server):
    name, info = text(domain), b""
    for kind, value in ((2, domain), (1, server)):
        info += struct.pack("<HH", kind, 2 * len(value)) + text(value)
    info += bytes(4)
    at = 48
    return (b"NTLMSSP\0" + struct.pack("<IHHII", 2, len(name), len(name), at, NTLM_FLAGS) + rng.randbytes(8) + bytes(8)
            + struct.pack("<HHI", len(info), len(info), at + len(name)) + name + info)


def ntlm_auth(rng, domain, user, station):
    parts = [rng.randbytes(24), rng.randbytes(24), text(domain), text(user), text(station), rng.randbytes(16)]
    head, data, at = b"", b"", 64
    for part in parts:
        head += struct.pack("<HHI", len(part), len(part), at + len(data))
        data += part
    return b"NTLMSSP\0" + struct.pack("<I", 3) + head + struct.pack("<I", NTLM_FLAGS) + data


def syntax(iface):
    return iface.bytes_le + struct.pack("<I", VERSION[iface])


def bind(call, iface, auth=b""):
    body = struct.pack("<HHIB3xHBx", MAX_FRAG, MAX_FRAG, 0, 1, 0, 1) + syntax(iface) + NDR.bytes_le + struct.pack("<I", 2)
    return pdu(BIND, call, body, auth)


def bind_ack(call, port, group, auth=b""):
    where = b"%d\0" % port
    body = struct.pack("<HHIH", MAX_FRAG, MAX_FRAG, group, len(where)) + where
    body += bytes(-(16 + len(body)) % 4)
    body += struct.pack("<B3xHH", 1, 0, 0) + NDR.bytes_le + struct.pack("<I", 2)
    return pdu(BIND_ACK, call, body, auth)


def auth3(call, token):
    return pdu(AUTH3, call, b"\xd0\x16\xd0\x16", token)


def sealed(rng, size):
    return rng.randbytes(size), b"\x01\0\0\0" + rng.randbytes(12)


def request(rng, call, opnum, size):
    stub, sign = sealed(rng, size)
    return pdu(REQUEST, call, struct.pack("<IHH", size, 0, opnum) + stub, sign, 16)


def response(rng, call, size):
    """One PDU, or as many fragments as it takes."""
    out, left, most = b"", size, MAX_FRAG - 72
    while True:
        part = min(left, most)
        stub, sign = sealed(rng, part)
        flags = (1 if left == size else 0) | (2 if part == left else 0)
        out += pdu(RESPONSE, call, struct.pack("<IHBB", left, 0, 0, 0) + stub, sign, 16, flags)
        left -= part
        if not left:
            return out


def tower(iface, port, addr):
    def floor(lhs, rhs):
        return struct.pack("<H", len(lhs)) + lhs + struct.pack("<H", len(rhs)) + rhs
    t = struct.pack("<H", 5)
    for u, version in ((iface, VERSION[iface]), (NDR, 2)):
        t += floor(b"\x0d" + u.bytes_le + struct.pack("<H", version & 0xFFFF), struct.pack("<H", version >> 16))
    return t + floor(b"\x0b", b"\0\0") + floor(b"\x07", struct.pack(">H", port)) + floor(b"\x09", addr)


def padded(t):
    t = struct.pack("<II", len(t), len(t)) + t
    return t + bytes(-len(t) % 4)


def map_request(call, iface):
    stub = struct.pack("<I16xI", 1, 2) + padded(tower(iface, 135, bytes(4))) + bytes(20) + struct.pack("<I", 4)
    return pdu(REQUEST, call, struct.pack("<IHH", len(stub), 0, 3) + stub)


def map_response(call, iface, port, addr):
    stub = bytes(20) + struct.pack("<IIIII", 1, 4, 0, 1, 3) + padded(tower(iface, port, addr)) + bytes(4)
    return pdu(RESPONSE, call, struct.pack("<IHBB", len(stub), 0, 0, 0) + stub)


class Pdu:
    def __init__(self, raw):
        self.kind, self.flags, self.call = raw[2], raw[3], struct.unpack_from("<I", raw, 12)[0]
        self.raw = raw
        if self.kind == REQUEST:
            self.opnum = struct.unpack_from("<H", raw, 22)[0]
        if self.kind == BIND:
            self.iface = uuid.UUID(bytes_le=bytes(raw[32:48]))
        if self.kind == BIND_ACK:
            self.port = int(raw[26:26 + struct.unpack_from("<H", raw, 24)[0] - 1])


async def read(reader):
    head = await reader.readexactly(16)
    size = struct.unpack_from("<H", head, 8)[0]
    return Pdu(head + await reader.readexactly(size - 16))


async def read_whole(reader):
    """A response up to its last fragment."""
    while True:
        p = await read(reader)
        if p.flags & 2:
            return p
