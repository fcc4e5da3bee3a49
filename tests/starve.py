"""starve.py PROGRAM LIBRARY CAPTURES SCRATCH POINTS [WAY...] - runs the program again
and again, each time refusing it another request for memory, and complains of every
end that is neither the right result nor a clear sentence with exit status 1.

LIBRARY is tests/starve.so, or "" where the program is tests/starved. POINTS: how
many requests of each way are tried (0: all); of the ways that stay, so many of their
beginning, of their use, and of their end. Each is refused alone, and with all that
follow."""
import concurrent.futures
import http.client
import os
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time

program, library, captures, scratch, points = sys.argv[1:6]
points = int(points)
LIMIT_S = 120

# Of each way: the arguments; @ is a folder of its own.
WAYS = {
    "text": ["-r", "exchange-freeze"],
    "records": ["-r", "checksum-discarded", "-T", "json", "--flows",
                "--packets", "@/packets"],
    "html": ["-r", "rpc-fragment", "-T", "html", "-c", "@/conf"],
    "kept": ["-r", "smb-frozen", "-o", "@/run"],
    "compared": ["--compare", "app-hang", "window-flicker"],
    "page": ["-r", "host-down", "-w", "127.0.0.1:0"],
    "live": ["-i", "lo", "-w", "127.0.0.1:0", "-o", "@/run", "-c", "@/conf",
             "-T", "json"],
}
STAYS = ("page", "live")
JOBS = 3
# What is asked of a page, for its own sake, and live for the packets.
PAGES = """/ /style.css /report /metrics /api/v1/overview /api/v1/capture /api/v1/servers
/api/v1/servers/10.20.30.5 /api/v1/servers/10.20.30.5/timeline
/api/v1/servers/10.20.30.5/history /api/v1/incidents /api/v1/incidents/1
/api/v1/incidents/1/evidence.pcapng /api/v1/findings /api/v1/findings/1
/api/v1/findings/1/ladder /api/v1/openapi.json /nothing""".split()
# libseccomp 2.5 itself does not outlive a refusal, so live runs go without.
CONF = """server "EX" { address = { "10.20.30.5" } }
live { user = root seccomp = false }
sink "file" { lines = "lines" kinds = { finding, incident } }
"""


def arguments(way, folder):
    out = []
    for word in WAYS[way]:
        name = os.path.join(captures, word + ".pcap")
        out.append(name if os.path.exists(name) else word.replace("@", folder))
    return out


def kept(folder):
    """What the store has of findings and incidents."""
    path = folder + "/run/findings.db"
    if not os.path.exists(path):
        return None
    db = sqlite3.connect(path)
    try:
        rows = [db.execute(f"SELECT record FROM {t} ORDER BY 1").fetchall()
                for t in ("findings", "incidents")]
        return rows, db.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        db.close()


def is_asleep(process):
    """Twice in a row: it waits for packets."""
    for _ in range(2):
        time.sleep(0.05)
        with open(f"/proc/{process.pid}/status") as f:
            if "sleeping" not in f.read():
                return False
    return True


def counted(folder):
    """The requests so far."""
    try:
        with open(folder + "/count", "rb") as f:
            return struct.unpack("L", f.read())[0]
    except (OSError, struct.error):
        return 0


def begins(process, folder):
    """Waits until it has said what it serves, or for a while. Its port."""
    began = time.monotonic()
    port = None
    while process.poll() is None and time.monotonic() - began < 5:
        with open(folder + "/err", errors="replace") as f:
            said = f.read()
        serving = re.search(r"serving http://127.0.0.1:(\d+)/", said)
        port = serving and int(serving[1])
        if "all read" in said or (serving and "live" in folder and
                                  is_asleep(process)):
            break
        time.sleep(0.05)
    return port


def ask(port, path, headers={}):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        c.request("GET", path, headers=headers)
        r = c.getresponse()
        if path.endswith("events"):
            r.read1(64)
        else:
            r.read()
        return r.status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        c.close()


def is_used(port):
    for path in PAGES:
        ask(port, path)
        ask(port, path, {"Accept-Encoding": "gzip"})
    ask(port, "/api/v1/events")
    time.sleep(0.1)


def stay(process, folder):
    """Uses a run that stays, and ends it. The requests of its beginning and of its
    use, and whether the page still answers after that."""
    port = begins(process, folder)
    beginning = counted(folder)
    answers = None
    if port and process.poll() is None:
        is_used(port)
        # the one request that is refused may be this question's own
        answers = ask(port, "/healthz") or ask(port, "/healthz")
    used = counted(folder)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    return beginning, used, answers


def run(way, at, row):
    """Exit status or "hang", what was put out, what was said, requests made,
    what was kept; of what stays what stay() says."""
    folder = f"{scratch}/{way}-{at}-{row}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with open(folder + "/conf", "w") as f:
        f.write(CONF.replace('"lines"', f'"{folder}/lines"'))
    env = dict(os.environ, STARVE_FOR=str(row), STARVE_COUNT=folder + "/count",
               ASAN_OPTIONS="exitcode=99:detect_leaks=0", UBSAN_OPTIONS="exitcode=99")
    if at:
        env["STARVE_AT"] = str(at)
    if library:
        env["LD_PRELOAD"] = library
    stayed = None
    with open(folder + "/out", "wb") as out, open(folder + "/err", "wb") as err:
        p = subprocess.Popen([program] + arguments(way, folder), stdout=out,
                             stderr=err, stdin=subprocess.DEVNULL, env=env)
        try:
            if way in STAYS:
                stayed = stay(p, folder)
            status = p.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            status = "hang"
    with open(folder + "/out", "rb") as f:
        out = f.read()
    with open(folder + "/err", errors="replace") as f:
        err = f.read()
    got = status, out, err, counted(folder), kept(folder), stayed
    shutil.rmtree(folder, ignore_errors=True)
    return got


def complaint(way, sound, got, row):
    status, out, err, _, store, stayed = got
    last = err.strip().split("\n")[-1]
    if stayed and row == 1 and status == 0 and stayed[2] != 200:
        return f"the page answers no more: {stayed[2]}"
    if status == 0:
        if way != "live" and out != sound[1]:
            return "another result"
        if way == "kept" and "can be written to" not in err and \
                store != sound[4]:
            return "something else is kept"
        return None
    if status == 1 or status == -signal.SIGINT:  # as it was about to end
        if re.match(r"toewatch: .*(memory|allocate|cannot)", last):
            return None
        return "no sentence: " + last[-200:]
    # Two libraries end the program themselves, as it begins: libConfuse, and
    # libgcrypt, which nDPI uses.
    if status == 2 and last.startswith("out of dynamic memory in yy"):
        return None
    if status == -signal.SIGABRT and last == "Fatal error: Cannot allocate memory":
        return None
    return f"status {status}: " + err.strip()[-1500:]


def spread(first, last, count):
    """So many of them, evenly, with both ends; 0: all."""
    if not count or last - first < count:
        return set(range(first, last + 1))
    return {first + (last - first) * i // (count - 1) for i in range(count)}


def some_of(way, sound):
    """Which requests are refused."""
    total = sound[3]
    if way in STAYS:
        beginning, used, _ = sound[5]
        # Most requests are nDPI's, as it begins; what comes after matters more.
        return spread(1, beginning, points) | \
            spread(beginning - min(beginning - 1, 400), beginning, points) | \
            spread(beginning + 1, used, 2 * points) | \
            spread(used + 1, total, points)
    if not points:
        return set(range(1, total + 1))
    return {1 + total * i * i // (points * points * 2)
            for i in range(points // 2)} | \
        {total - total * i * i // (points * points * 2)
         for i in range(points - points // 2)}


def try_way(way):
    sound = run(way, 0, 1)
    if sound[0] != 0 or not sound[3] or (sound[5] and sound[5][2] != 200):
        return [f"{way}: {sound[0]} {sound[2]} {sound[5]}"], 0
    tries = [(at, row) for at in sorted(some_of(way, sound)) for row in (1, 0)]
    wrong = []
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for (at, row), got in zip(tries, pool.map(lambda t: run(way, *t), tries)):
            said = complaint(way, sound, got, row)
            if said and len(wrong) < 6:
                wrong.append(f"{way}, {'request' if row else 'from'} {at} of "
                             f"{sound[3]}: {said}")
    return wrong, len(tries)


failed = 0
for way in sys.argv[6:] or WAYS:
    wrong, tries = try_way(way)
    failed += len(wrong)
    print(f"{way}\t{tries}\t" + "\x1e".join(w.replace("\n", "\x1f")
                                           for w in wrong), flush=True)
sys.exit(1 if failed else 0)
