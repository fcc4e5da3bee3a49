"""collect.py OUT [NAME=PLACE ...] - stands where findings go: notes what comes, and
when.

A place is unix:PATH, tcp://HOST:PORT, syslog-tcp://HOST:PORT, udp://HOST:PORT,
http://HOST:PORT and https://HOST:PORT (a webhook's receiver, with --cert), file:PATH
(JSON lines that somebody writes), sse+URL and metrics+URL (the page's, with --ca).
Names are free. A line of OUT is "TIME NAME KIND ID FINDING": the machine's time, and
what arrived; of metrics ID is how many there are of that finding. With --count only
totals are written, when SIGTERM comes."""
import argparse
import http.server
import json
import os
import re
import signal
import socket
import ssl
import sys
import threading
import time
import urllib.parse
import urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("out")
parser.add_argument("places", nargs="*")
parser.add_argument("--cert")
parser.add_argument("--ca")
parser.add_argument("--count", action="store_true")
parser.add_argument("--pause", type=float, default=0.2)
options = parser.parse_args()
out = open(options.out, "w", buffering=1)
lock = threading.Lock()
totals = {}


def note(name, kind, number, finding):
    now = time.time()
    with lock:
        totals[name, kind] = totals.get((name, kind), 0) + 1
        if not options.count:
            out.write(f"{now:.6f} {name} {kind} {number} {finding}\n")


def record(name, e):
    kind = e.get("event_type", "-")
    note(name, kind, e.get(kind + "_id", 0), e.get("finding") or
         e.get("verdict") or "-")


def lines(name, file):
    for line in file:
        record(name, json.loads(line))


def message(name, text):
    def value(key):
        found = re.search(rf' {key}="([^"]*)"', text)
        return found.group(1) if found else "-"
    note(name, value("type"), value("id"), value("name"))


def messages(name, file):
    """Octet counting: RFC 6587, 3.4.1."""
    while True:
        count = b""
        while not count.endswith(b" "):
            c = file.read(1)
            if not c:
                return
            count += c
        message(name, file.read(int(count)).decode())


def serve_stream(name, listener, reader):
    def talk(s):
        with s, s.makefile("rb") as file:
            reader(name, file)
    while True:
        s, _ = listener.accept()
        threading.Thread(target=talk, args=(s,), daemon=True).start()


def serve_udp(name, s):
    while True:
        message(name, s.recv(65536).decode())


def host_port(place):
    host, _, port = place.rpartition(":")
    return host.strip("[]"), int(port)


def webhook(name, place, secure):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()
            record(name, json.loads(body)["record"])

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(host_port(place), Handler)
    server.daemon_threads = True
    if secure:
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(options.cert)
        server.socket = c.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


def ask(url):
    c = ssl.create_default_context(cafile=options.ca) if options.ca else None
    return urllib.request.urlopen(url, timeout=60, context=c)


def again(name, once, *more):
    """The page may not be up yet."""
    while True:
        try:
            once(name, *more)
        except OSError as e:
            if options.count:
                totals[name, f"error: {e}"] = totals.get(
                    (name, f"error: {e}"), 0) + 1
        time.sleep(options.pause)


def follow(name, url):
    with ask(url) as answer:
        note(name, "open", 0, "-")
        for line in answer:
            if line.startswith(b"data: {") and line.endswith(b"\n"):
                record(name, json.loads(line[6:]))


seen = {}


def poll(name, url):
    with ask(url) as answer:
        text = answer.read().decode()
    if not text.endswith("# EOF\n"):
        note(name, "broken", 0, "-")
    counts = {}
    for finding, n in re.findall(r'^toewatch_findings\{finding="(\w+)".* (\d+)$',
                                 text, re.M):
        counts[finding] = counts.get(finding, 0) + int(n)
    for finding, n in counts.items():
        if seen.get((name, finding)) != n:
            seen[name, finding] = n
            note(name, "finding", n, finding)


def file_lines(name, path):
    while not os.path.exists(path):
        time.sleep(0.02)
    with open(path) as f:
        kept = ""
        while True:
            kept += f.readline()
            if kept.endswith("\n"):
                record(name, json.loads(kept))
                kept = ""
            else:
                time.sleep(0.02)


def start(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()


def begin(name, place):
    scheme, _, rest = place.partition(":")
    rest = rest.removeprefix("//")
    if scheme == "unix":
        s = socket.socket(socket.AF_UNIX)
        s.bind(rest)
        os.chmod(rest, 0o777)
        s.listen()
        start(serve_stream, name, s, lines)
    elif scheme in ("tcp", "syslog-tcp"):
        s = socket.create_server(host_port(rest))
        start(serve_stream, name, s, lines if scheme == "tcp" else messages)
    elif scheme == "udp":
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(host_port(rest))
        start(serve_udp, name, s)
    elif scheme in ("http", "https"):
        start(webhook, name, rest, scheme == "https")
    elif scheme == "file":
        start(file_lines, name, rest)
    elif scheme.startswith("sse+"):
        start(again, name, follow, place[4:])
    elif scheme.startswith("metrics+"):
        start(again, name, poll, place[8:])
    else:
        sys.exit(f"collect.py: {place}: no place")


def end(*_):
    with lock:
        for (name, kind), n in sorted(totals.items()) if options.count else ():
            out.write(f"{n} {name} {kind}\n")
        out.flush()
        os._exit(0)


signal.signal(signal.SIGTERM, end)
for p in options.places:
    begin(*p.split("=", 1))
while True:
    signal.pause()
