"""starve.py PROGRAM LIBRARY CAPTURES SCRATCH POINTS [WAY...] - runs the program again
and again, each time refusing it another request for memory, and complains of every
end that is neither the right result nor a clear sentence with exit status 1.

LIBRARY is tests/starve.so, or "" where the program is tests/starved. POINTS: how
many requests of each way are tried (0: all). Each is refused alone, and with all
that follow."""
import os
import re
import shutil
import signal
import sqlite3
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


def speaks(process, folder):
    """Ends a run that would stay: once it has said what it serves, or has had
    a while."""
    began = time.monotonic()
    while process.poll() is None and time.monotonic() - began < 5:
        with open(folder + "/err", errors="replace") as f:
            said = f.read()
        if "all read" in said or ("serving" in said and "live" in folder and
                                  is_asleep(process)):
            break
        time.sleep(0.05)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)


def run(way, at, row):
    """Exit status or "hang", what was put out, what was said, requests made,
    what was kept."""
    folder = f"{scratch}/{way}"
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
    with open(folder + "/out", "wb") as out, open(folder + "/err", "wb") as err:
        p = subprocess.Popen([program] + arguments(way, folder), stdout=out,
                             stderr=err, stdin=subprocess.DEVNULL, env=env)
        try:
            if way in ("page", "live"):
                speaks(p, folder)
            status = p.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            status = "hang"
    count = 0
    if os.path.exists(folder + "/count"):
        count = int(open(folder + "/count").read())
    out = open(folder + "/out", "rb").read()
    err = open(folder + "/err", errors="replace").read()
    return status, out, err, count, kept(folder)


def complaint(way, sound, got):
    status, out, err, _, store = got
    last = err.strip().split("\n")[-1]
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
    if status == 2 and last.startswith("out of dynamic memory in yy_"):
        return None  # libConfuse ends the program itself
    return f"status {status}: " + err.strip()[-1500:]


def try_way(way):
    sound = run(way, 0, 1)
    total = sound[3]
    if sound[0] != 0 or not total:
        return [f"{way}: {sound[0]} {sound[2]}"], 0
    # Most requests are nDPI's, as it begins; the ends matter more.
    some = range(1, total + 1)
    if points:
        some = {1 + total * i * i // (points * points * 2)
                for i in range(points // 2)} | \
            {total - total * i * i // (points * points * 2)
             for i in range(points - points // 2)}
    wrong = []
    for at in sorted(some):
        for row in (1, 0):
            said = complaint(way, sound, run(way, at, row))
            if said:
                wrong.append(f"{way}, {'request' if row else 'from'} {at} of "
                             f"{total}: {said}")
        if len(wrong) > 5:
            break
    return wrong, 2 * len(some)


failed = 0
for way in sys.argv[6:] or WAYS:
    wrong, tries = try_way(way)
    failed += len(wrong)
    print(f"{way}\t{tries}\t" + "\x1e".join(w.replace("\n", "\x1f")
                                           for w in wrong), flush=True)
sys.exit(1 if failed else 0)
