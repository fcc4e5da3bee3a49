"""What the tests that show toewatch changed captures share: captures as lists of
frames, a run of the program, and its incidents and findings held against a scene's
truth (pcaps/truth.json)."""
import collections
import json
import struct
import subprocess

# Seconds since 1970 in nanoseconds, length on the wire, what was kept of it.
Frame = collections.namedtuple("Frame", "ns wire data")


def read(path):
    """The frames of a capture and its link type."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        return read_blocks(data)
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    magic, link = struct.unpack(order + "I16xI", data[:24])
    unit = 1 if magic == 0xA1B23C4D else 1000
    frames, at = [], 24
    while at + 16 <= len(data):
        s, part, kept, wire = struct.unpack_from(order + "IIII", data, at)
        frames.append(Frame(s * 10**9 + part * unit, wire, data[at + 16:at + 16 + kept]))
        at += 16 + kept
    return link, frames


def tick_ns(options, order):
    """What a tick of an interface's stamps is, from the options of its block."""
    at = 0
    while at + 4 <= len(options):
        code, length = struct.unpack_from(order + "HH", options, at)
        if code == 9:	# if_tsresol
            return 10**9 / (2 ** (options[at + 4] & 127) if options[at + 4] & 128
                            else 10 ** options[at + 4])
        at += 4 + (length + 3 & ~3)
    return 1000


def read_blocks(data):
    """A pcapng: the frames of the link type that comes first."""
    order, cards, frames, at = "<", [], [], 0
    while at + 12 <= len(data):
        if data[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order, cards = "<" if data[at + 8] == 0x4D else ">", []
        kind, length = struct.unpack_from(order + "II", data, at)
        body = data[at + 8:at + length - 4]
        if kind == 1:
            cards.append((struct.unpack_from(order + "H", body)[0],
                          tick_ns(body[8:], order)))
        if kind == 6:
            card, high, low, kept, wire = struct.unpack_from(order + "5I", body)
            link, tick = cards[card]
            frames.append((link, Frame(int((high << 32 | low) * tick), wire,
                                       body[20:20 + kept])))
        at += max(length, 12)
    link = frames[0][0] if frames else 1
    return link, [f for its, f in frames if its == link]


def write(path, link, frames):
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, link)]
    for f in frames:
        out.append(struct.pack("<IIII", f.ns // 10**9, f.ns % 10**9, len(f.data), f.wire))
        out.append(f.data)
    with open(path, "wb") as file:
        file.write(b"".join(out))


def run(program, path, seconds=60, workers=1):
    """What a run says in JSON, or None and why it says nothing."""
    try:
        run = subprocess.run([program, "-r", path, "-T", "json", "--flows", "-j",
                              str(workers)], timeout=seconds,
                             stdin=subprocess.DEVNULL, capture_output=True)
    except subprocess.TimeoutExpired:
        return None, "still not done after %d s" % seconds
    if run.returncode:
        return None, "exit status %d: %s" % (run.returncode,
                                             run.stderr.decode(errors="replace")[-600:])
    return run.stdout, ""


def events(output):
    """The events in that, without those of single flows."""
    return [json.loads(line) for line in output.splitlines()
            if b'"event_type":"flow"' not in line[:200]]


def look(program, path, seconds=60):
    """The events of a run, or None and why there are none."""
    output, why = run(program, path, seconds)
    return (events(output), "") if output is not None else (None, why)


def address(event):
    return (event.get("server") or {}).get("ip")


def wrong_verdicts(scene, events, also=()):
    """Incidents that the truth does not have, or with another verdict."""
    for e in events:
        if e["event_type"] != "incident":
            continue
        fits = [w for w in scene["truth"]["incidents"] if w["server"] == address(e)]
        accepted = {v for w in fits for v in [w["verdict"], *w.get("also_acceptable", []), *also]}
        if e["verdict"] not in accepted:
            yield "verdict %s at %s: %s" % (e["verdict"], address(e), e["findings"])


def missing_verdicts(scene, events):
    seen = {address(e) for e in events if e["event_type"] == "incident"}
    for w in scene["truth"]["incidents"]:
        if not w.get("optional") and w["server"] not in seen:
            yield "no incident at %s (%s)" % (w["server"], w["verdict"])


def findings(scene, events):
    """What the truth requires and does not get, forbids and gets."""
    seen = [e for e in events if e["event_type"] == "finding"]
    for w in scene["truth"].get("findings_required", []):
        names = {w["finding"], *w.get("any_of", [])}
        kinds = w.get("kind") or []
        kinds = [kinds] if isinstance(kinds, str) else kinds
        n = sum(e["count"] for e in seen if e["finding"] in names and
                (not kinds or e["finding"] != w["finding"] or e["kind"] in kinds))
        if n < w.get("min_count", 1):
            yield "%s: %d of %d" % (w["finding"], n, w.get("min_count", 1))
    for w in scene["truth"].get("findings_forbidden", []):
        name, kind = (w, None) if isinstance(w, str) else (w["finding"], w.get("kind"))
        if any(e["finding"] == name and (not kind or e["kind"] == kind) and
               e["severity"] != "info" for e in seen):
            yield "%s, which is not in there" % name


def named(events, serious):
    """Their findings by name; `serious`: without what never makes an incident and what
    speaks of the capture. (A call that can no longer be read as RPC is still a request
    without an answer.)"""
    names = {e["finding"] for e in events if e["event_type"] == "finding" and
             not (serious and (e["severity"] in ("info", "low") or
                               e["finding"].startswith("capture_")))}
    return {"reply_missing" if name == "rpc_stall" else name for name in names}


def made_up(whole, events):
    """Findings that the whole capture did not give."""
    for name in sorted(named(events, True) - named(whole, False)):
        yield "%s, made up" % name


def report(number, name, complaints):
    """One case in TAP; true if it failed."""
    print("%sok %d - %s" % ("not " if complaints else "", number, name))
    for c in complaints:
        print("#   " + c.replace("\n", "\n#   "))
    return bool(complaints)
