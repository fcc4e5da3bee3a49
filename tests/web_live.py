"""web_live.py PORT PID CASE FILE - one case of tests/web_live.sh: asks the page
at PORT, served by the process PID. What is wrong is printed; what was measured
goes to FILE."""
import http.client
import json
import os
import random
import re
import selectors
import socket
import sys
import time

PORT, PID, CASE, MEASURED = (int(sys.argv[1]), int(sys.argv[2]), sys.argv[3],
                             sys.argv[4])


def ask(path, **headers):
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    c.request("GET", path, headers={k.replace("_", "-"): v
                                    for k, v in headers.items()})
    r = c.getresponse()
    r.text = r.read().decode()
    c.close()
    return r


def overview():
    return json.loads(ask("/api/v1/overview").text)


def settle():
    """Until what was there from the beginning has been taken in."""
    for i in range(100):
        if figure("page_events_waiting") < 20:
            return
        time.sleep(0.1)
    print("it does not keep up with what was there from the beginning")


def say(what):
    with open(MEASURED, "a") as out:
        print(what, file=out)


def status_kib(name):
    with open("/proc/%d/status" % PID) as f:
        return int(re.search(name + r":\s+(\d+)", f.read()).group(1))


def rss_kib():
    return status_kib("VmRSS")


def check_memory(before, most):
    """Sanitizers, which map terabytes, keep what was freed."""
    grown = rss_kib() - before
    if grown > most and status_kib("VmSize") < 1 << 30:
        print("memory grew by", grown, "KiB")


def cpu_s():
    with open("/proc/%d/stat" % PID) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def files():
    return len(os.listdir("/proc/%d/fd" % PID))


def figure(name):
    m = re.search(r"^toewatch_%s (\d+)$" % name, ask("/metrics").text, re.M)
    return int(m.group(1))


class Viewer:
    """Follows the events, and notes numbers that do not come in order, or, after
    a reset, not right after its mark."""

    def __init__(self, after=None, last=None, room=None):
        self.s = socket.socket()
        if room:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.s.settimeout(10)
        self.s.connect(("127.0.0.1", PORT))
        self.s.sendall(("GET /api/v1/events" + ("?after=" + after if after
                                                else "") +
                        " HTTP/1.1\r\nHost: localhost\r\n" +
                        ("Last-Event-ID: " + last + "\r\n" if last else "") +
                        "\r\n").encode())
        self.raw, self.data, self.head = b"", b"", True
        self.seen, self.kinds, self.resets = [], {}, 0
        self.next, self.wrong = None, []
        self.ended = False

    def chunks(self):
        """What the chunks in self.raw hold, as far as they are whole."""
        out = b""
        if self.head and b"\r\n\r\n" in self.raw:
            self.raw = self.raw.split(b"\r\n\r\n", 1)[1]
            self.head = False
        while not self.head and b"\r\n" in self.raw:
            size, rest = self.raw.split(b"\r\n", 1)
            n = int(size, 16)
            if len(rest) < n + 2:
                break
            out += rest[:n]
            self.raw = rest[n + 2:]
        return out

    def read(self):
        more = self.s.recv(1 << 18)
        self.ended = not more
        self.raw += more
        self.data += self.chunks()
        *whole, self.data = self.data.split(b"\n\n")
        for block in whole:
            kind = re.search(rb"^event: (\w+)$", block, re.M)
            number = re.search(rb"^id: (\w+)\.(\d+)$", block, re.M)
            if kind:
                kind = kind.group(1).decode()
                self.kinds[kind] = self.kinds.get(kind, 0) + 1
                self.resets += kind == "reset"
            if not number:
                continue
            n = int(number.group(2))
            if kind != "reset":
                self.seen.append(n)
                if self.next not in (None, n):
                    self.wrong.append((self.next, n))
            self.next = n + 1

    def read_for(self, seconds, enough=1 << 60):
        end = time.monotonic() + seconds
        while len(self.seen) < enough and time.monotonic() < end:
            self.s.settimeout(max(0.01, end - time.monotonic()))
            try:
                self.read()
            except socket.timeout:
                break
            if self.ended:
                print("a viewer was cut off")
                break

    def check(self, first=None):
        if self.wrong:
            print("numbers with a gap or doubled:", self.wrong[:9], "...")
        if first is not None and self.seen[:1] != [first]:
            print("begins with", self.seen[:1], "and not", first)


def followed():
    state = overview()
    began = time.monotonic()
    v = Viewer(after=state["mark"])
    v.read_for(10, 40)
    v.check(int(state["mark"].split(".")[1]) + 1)
    if len(v.seen) < 40:
        print("only", len(v.seen), "events in 10 s at 20 a second")
    if time.monotonic() - began > 8:
        print("40 events took", time.monotonic() - began, "s")
    if "progress" not in v.kinds:
        print("no word of the progress")
    if int(overview()["mark"].split(".")[1]) < v.seen[-1]:
        print("the overview is older than the events")


def resumed():
    mark, every = overview()["mark"], []
    for i in range(8):
        v = Viewer(last=mark)
        v.read_for(0.3 if i % 2 else 5, 3)
        v.s.close()
        every += v.seen
        if v.seen:
            mark = mark.split(".")[0] + "." + str(v.seen[-1])
        time.sleep(0.2)
    if every != list(range(every[0], every[0] + len(every))):
        print("over eight connections, lost or doubled:", every)


def too_old():
    run, newest = overview()["mark"].split(".")
    for mark in run + ".1", "0123456789abcdef." + newest, "nonsense", run:
        v = Viewer(last=mark)
        v.read_for(5, 2)
        if v.resets != 1:
            print(mark, "got", v.kinds)
        v.check()
        v.s.close()


def slow():
    """At 5000 events a second; the kernel holds some of it, the rest is ours."""
    stuck = [Viewer(room=65536) for i in range(30)]
    good = Viewer()
    before = rss_kib()
    good.read_for(4)
    good.check()
    say("30 viewers that read nothing, %d events: %+d KiB resident" %
        (len(good.seen), rss_kib() - before))
    check_memory(before, 65536)
    for v in stuck[:5]:
        end = time.monotonic() + 2
        while not v.resets and not v.ended and time.monotonic() < end:
            try:
                v.read()
            except OSError:
                break
        v.check()
    say("of 5 that read then, %d began anew" % sum(v.resets for v in stuck))


def many():
    """200 at 50 events a second: each gets all."""
    viewers = [Viewer() for i in range(200)]
    cpu, began = cpu_s(), time.monotonic()
    box = selectors.DefaultSelector()
    for v in viewers:
        box.register(v.s, selectors.EVENT_READ, v)
    while time.monotonic() - began < 5:
        for key, _ in box.select(0.2):
            key.data.read()
    took = time.monotonic() - began
    say("200 viewers: %d events to each in %.1f s, %.1f %% of a core, "
        "%d KiB resident" % (min(len(v.seen) for v in viewers), took,
                             100 * (cpu_s() - cpu) / took, rss_kib()))
    for v in viewers:
        v.check()
        if v.resets or v.ended or len(v.seen) < 100:
            print("one of 200 got", len(v.seen), "events,", v.resets,
                  "resets")
            break
    for v in viewers:
        v.s.close()
    end = time.monotonic() + 10
    while figure("page_viewers") and time.monotonic() < end:
        time.sleep(0.2)
    if figure("page_viewers"):
        print("those who left are still counted:", figure("page_viewers"))


def too_many():
    viewers = [Viewer() for i in range(400)]
    for v in viewers[::50]:
        v.read_for(5, 1)
    r = ask("/api/v1/events")
    if r.status != 503 or not r.getheader("Retry-After"):
        print("the 401st viewer is answered with", r.status)
    if ask("/api/v1/findings").status != 200:
        print("nobody else is served")


def quick():
    """A first look at 100 servers and 10,000 findings."""
    state = overview()["totals"]
    if state["servers"] < 100 or state["findings"] < 9500:
        print("the load is not there:", state)
    times = []
    for i in range(10):
        began = time.monotonic()
        for path in ("/", "/api/v1/overview", "/api/v1/findings",
                     "/api/v1/incidents", "/api/v1/servers/10.0.3.5/timeline"):
            if ask(path).status != 200:
                print(path)
        times.append(time.monotonic() - began)
    say("overview, findings, incidents and a timeline of 100 servers and "
        "10,000 findings: %.0f ms" % (1000 * sorted(times)[5]))
    if sorted(times)[5] > 0.3:
        print("a first look takes", times)


GOOD = (b"GET /api/v1/findings?limit=3 HTTP/1.1\r\nHost: localhost\r\n"
        b"Accept-Encoding: gzip\r\nIf-None-Match: \"x\"\r\n\r\n")
PATHS = [b"/../../etc/passwd", b"/%2e%2e/%2e%2e/etc/shadow", b"/%00", b"//",
         b"/api/v1/findings/../../../etc/passwd", b"/" + b"A" * 9000,
         b"/api/v1/findings?cursor=" + b"9" * 500, b"/%", b"/%zz", b"*",
         b"/api/v1/servers/%2e%2e%2ftimeline", b"http://evil.example/",
         b"/api/v1/findings?server=" + b"%27" * 900, b"/?" + b"a=b&" * 2000,
         b"/api/v1/events?after=" + b"x" * 3000, b"/\xff\xfe\r\n\r\n",
         b"/api/v1/findings/18446744073709551616/ladder", b"/page/../main.c",
         b"/api/v1/incidents/-1/evidence.pcapng", b"/api/v1/findings?limit=",
         b"/<script>alert(1)</script>", b"/index.html%00.js", b"\\..\\..\\x"]
FIELDS = [b"Content-Length: -1", b"Content-Length: 99999999999999999999",
          b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF",
          b"Range: bytes=0-0,1-1,2-2", b"Upgrade: h2c", b" folded: x",
          b"Expect: 100-continue\r\nContent-Length: 5", b"\0", b":",
          b"Cookie: " + b"a=b; " * 3000, b"Host: x\r\nHost: y", b"a" * 8000,
          b"Accept-Encoding: " + b"gzip;q=0," * 900, b"X: " + b"y" * 40000,
          b"Last-Event-ID: " + b"0" * 5000, b"If-None-Match: " + b"\"," * 4000]
METHODS = [b"POST", b"PUT", b"CONNECT", b"PRI", b"get", b"G\0T", b"A" * 5000]
VERSIONS = [b"0.9", b"1.0", b"2.0", b"9" * 50, b"", b"1.1\nHost: localhost"]


def broken(r):
    text = bytearray(GOOD)
    for i in range(r.randrange(1, 9)):
        text[r.randrange(len(text))] = r.randrange(256)
    return bytes(text)


def hostile_request(r):
    head = b" HTTP/1.1\r\nHost: localhost\r\n"
    return r.choice([
        lambda: bytes(r.randrange(256) for i in range(r.randrange(2000))),
        lambda: broken(r),
        lambda: GOOD[:r.randrange(len(GOOD))],
        lambda: b"GET " + r.choice(PATHS) + head + b"\r\n",
        lambda: b"GET /" + head + r.choice(FIELDS) + b"\r\n\r\n",
        lambda: r.choice(METHODS) + b" /" + head +
        b"Content-Length: 100000\r\n\r\n" + b"z" * r.randrange(30000),
        lambda: GOOD * r.randrange(1, 60),
        lambda: b"GET / HTTP/" + r.choice(VERSIONS) + b"\r\n\r\n"])()


def hostile():
    r, held, before = random.Random(6), [], rss_kib()
    open_before, began = files(), time.monotonic()
    for i in range(1000):
        s = socket.socket()
        s.settimeout(5)
        try:
            s.connect(("127.0.0.1", PORT))
            s.sendall(hostile_request(r))
            if i % 3 == 0:
                s.setblocking(False)
                s.recv(1 << 16)
        except OSError:
            pass
        if i % 10 == 9:            # slow: left open
            held.append(s)
        else:
            s.close()
        if i % 50 == 0 and ask("/healthz").status != 200:
            print("down after", i, "requests")
    say("1,000 hostile requests in %.1f s: %+d KiB resident" %
        (time.monotonic() - began, rss_kib() - before))
    for s in held:
        s.close()
    if ask("/api/v1/findings").status != 200:
        print("not up afterwards")
    end = time.monotonic() + 20
    while files() > open_before + 3 and time.monotonic() < end:
        time.sleep(0.2)
    if files() > open_before + 3:
        print(files(), "open files, before", open_before)
    check_memory(before, 32768)


def starved():
    """More connections than the process may have open files."""
    held = []
    for i in range(80):
        s = socket.socket()
        s.connect(("127.0.0.1", PORT))
        held.append(s)
    time.sleep(0.5)
    cpu = cpu_s()
    time.sleep(2)
    if cpu_s() - cpu > 0.8:
        print("out of open files it burns", cpu_s() - cpu, "s of 2")
    for s in held:
        s.close()
    if ask("/healthz").status != 200:
        print("not up afterwards")


if CASE != "slow":          # its events come faster than some can take them in
    settle()
globals()[CASE]()
