"""Real programs on the stage: services and clients as Debian packages them, each in the
network namespace of its host, with that host's name and files of its own.

The hard part is that they keep the wall's time and believe that the machine is theirs.
So scene time runs at the wall's pace while a client program is at work (run() holds it)
and leaps only between; and each program sees its host's folder in the place of /run,
/var/log, /tmp and whatever else lay() has laid over the machine's own files. All of them
end with the scene: each has a process namespace of its own.
"""
import asyncio
import atexit
import ctypes
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

import stage

CLONE_NEWNS, CLONE_NEWUTS = 0x00020000, 0x04000000
PR_SET_PDEATHSIG = 1
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)
RUNNING, FOLDERS = [], []
# A shell is the first process: some services do not like to be it.
INSIDE = ("unshare", "-f", "-p", "--kill-child", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh")


def _check(result, what):
    if result:
        raise OSError(ctypes.get_errno(), what)


class Box:
    """What the real programs of one host see of the machine."""

    def __init__(self, host):
        self.host, self.stage = host, host.stage
        self.where = tempfile.mkdtemp(prefix="toewatch-%s-" % host.name, dir="/var/tmp")
        self.over, self.env = {}, {}
        os.chmod(self.where, 0o755)
        FOLDERS.append(self.where)
        for folder in ("/run", "/var/log", "/tmp"):
            self.over[folder] = self.folder(folder)
        self.lay("/etc/hosts", "127.0.0.1 localhost\n%s %s\n" % (host.ip, host.name.lower()))

    def path(self, name):
        return os.path.join(self.where, name.strip("/").replace("/", "_"))

    def folder(self, name, mode=0o1777):
        """An empty folder of the host's own; gives back where it is."""
        path = self.path(name)
        os.mkdir(path)
        os.chmod(path, mode)
        return path

    def lay(self, name, text):
        """A file in the place of `name`, which must exist."""
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), 0o644)
        self.over[name] = self.path(name)

    def file(self, name, data, mode=0o644):
        """A file of the host's own; gives back where it is."""
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        os.chmod(path, mode)
        return path

    def _enter(self):
        """In the child, before the program begins."""
        try:
            self._go_inside()
        except OSError as e:
            print("%s: %s" % (self.host.name, e), file=sys.stderr)
            raise

    def _go_inside(self):
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        stage.setns(self.host.ns)
        _check(LIBC.unshare(CLONE_NEWNS | CLONE_NEWUTS), "unshare")
        _check(LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount /")
        for name, path in self.over.items():
            _check(LIBC.mount(path.encode(), os.path.realpath(name).encode(), None, MS_BIND, None), name)
        _check(LIBC.sethostname(self.host.name.lower().encode(), len(self.host.name)), "sethostname")
        os.chdir("/")

    def start(self, *argv, stdin=subprocess.DEVNULL, out=None, **env):
        """Begin a program; what it says goes to the file `out` of the box."""
        says = out or os.path.basename(argv[0])
        said = open(self.path(says + ".out"), "ab")
        p = subprocess.Popen(INSIDE + argv, stdin=stdin, stdout=said,
                             stderr=subprocess.STDOUT, preexec_fn=self._enter, env=dict(os.environ, LC_ALL="C", **self.env, **env))
        said.close()
        p.says = says
        RUNNING.append(p)
        return p

    def do(self, *argv, **env):
        """Run a program before the scene; its output. What fails ends the scene."""
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=self._enter,
                              env=dict(os.environ, LC_ALL="C", **self.env, **env), text=True, errors="replace", stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError("%s: %s" % (" ".join(argv), done.stdout[-2000:]))
        return done.stdout

    def listens(self, *ports, udp=False, patience=60.0):
        """Wait, before the scene, until something listens on these ports."""
        end = time.monotonic() + patience
        while True:
            lines = self.do("ss", "-Hlnu" if udp else "-Hlnt").splitlines()
            open_ports = {line.split()[3].rsplit(":", 1)[1] for line in lines}
            if {str(p) for p in ports} <= open_ports:
                return
            if time.monotonic() > end:
                raise RuntimeError("%s: nothing listens on %s" % (self.host.name, ports))
            time.sleep(0.1)

    def said(self, name):
        try:
            with open(self.path(name + ".out"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    async def run(self, *argv, patience=60.0, **env):
        """A client program from begin to end, at the wall's pace; its exit status (None:
        it was ended when the patience was over)."""
        with self.stage.hold():
            p = self.start(*argv, **env)
            end = self.stage.now() + patience
            while p.poll() is None and self.stage.now() < end:
                await asyncio.sleep(0.02)
            if p.poll() is None:
                p.kill()
                p.wait()
                self.stage.note("%s: %s ended after %.0f s" % (self.host.name, os.path.basename(argv[0]), patience))
                return None
        name = os.path.basename(argv[0])
        how = "well" if not p.returncode else "%d, %s" % (p.returncode, self.said(name).strip().rpartition("\n")[2])
        self.stage.note("%s: %s %s" % (self.host.name, name, how))
        return p.returncode

    def talk(self, *argv, **env):
        """Begin a program that is to be asked things: its standard input is a terminal,
        which gives it a line at a time."""
        line, end = pty.openpty()
        mode = termios.tcgetattr(end)
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(end, termios.TCSANOW, mode)
        p = self.start(*argv, stdin=end, **env)
        os.close(end)
        p.line = line
        return p

    async def ask(self, p, line, patience=60.0):
        """Give a line to a program that reads commands and knows "!" (a shell's work);
        has it done so within the patience?"""
        p.asked = getattr(p, "asked", 0) + 1
        done = "did %d of %d\n" % (p.asked, p.pid)
        os.write(p.line, ("%s\n!echo %s" % (line, done)).encode())
        with self.stage.hold():
            end = self.stage.now() + patience
            while p.poll() is None and self.stage.now() < end:
                if done in self.said(p.says):
                    return True
                await asyncio.sleep(0.02)
        self.stage.note("%s: %r not done after %.0f s" % (self.host.name, line, patience))
        return False


def family(p):
    """The process and all its descendants."""
    found, children = [], {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as f:
                children.setdefault(int(f.read().rsplit(")", 1)[1].split()[1]), []).append(int(pid))
        except OSError:
            continue
    todo = [p.pid]
    while todo:
        found += todo
        todo = [c for pid in todo for c in children.get(pid, [])]
    return found[1:]


def title(pid):
    try:
        with open("/proc/%d/cmdline" % pid) as f:
            return f.read().replace("\0", " ").strip()
    except OSError:
        return ""


def stop(p, which=""):
    """SIGSTOP to a program's processes (those whose title has `which`)."""
    hit = [pid for pid in family(p) if which in title(pid)]
    for pid in hit:
        os.kill(pid, signal.SIGSTOP)
    return len(hit)


@atexit.register
def close():
    """All programs end, and what they wrote goes."""
    for p in RUNNING:
        if p.poll() is None:
            p.kill()
    for p in RUNNING:
        p.wait()
    RUNNING.clear()
    while FOLDERS:
        shutil.rmtree(FOLDERS.pop(), True)


def needs(*programs):
    """End the scene at once, with the names, where programs are missing."""
    missing = [p for p in programs if not shutil.which(p, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")]
    if missing:
        sys.exit("not installed: " + " ".join(missing))
