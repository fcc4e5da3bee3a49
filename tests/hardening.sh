#!/bin/sh
# What the compiler and the linker do to make a fault hard to use is in the program
# that was built: the flags are easily lost, and nothing else would notice. And the
# filter of system calls is on in a live run, whatever it serves: the kernel says so
# of each of its threads, and refuses what it does not need.
set -u
. "$(dirname "$0")/tap.sh"
cd "$scratch" || exit 99

command -v readelf >/dev/null 2>&1 || tap_skip_all 'readelf is missing'
readelf -hWld "$TOEWATCH" >elf 2>&1
readelf -W --dyn-syms "$TOEWATCH" >symbols 2>&1

# $1: the case; $2: the file; $3: what it has to have; $4: what it must not.
has() {
	: >complaint
	grep -Eq "$3" "$2" || echo "there is no: $3" >complaint
	[ -z "${4-}" ] || grep -E "$4" "$2" >>complaint
	tap_empty "$1" complaint
}

has 'it can be loaded anywhere' elf 'Type: +DYN '
has 'its tables are read only once it runs' elf GNU_RELRO
has 'and that is all of them: everything is bound at the start' elf \
    'BIND_NOW|FLAGS_1.*NOW'
has 'the stack holds no code' elf 'GNU_STACK.* RW '
has 'nothing is both writable and code' elf 'LOAD' 'LOAD.* RWE'
has 'libraries come from where the system has them' elf NEEDED 'RPATH|RUNPATH'
has 'a stack that is overrun is noticed' symbols '__stack_chk_fail|__asan_init'
if grep -q __asan_init "$TOEWATCH"; then
	tap_skip 'fortified functions, guarded branches' 'it is built to be tested'
	tap_end
fi
if grep -q '^CPPFLAGS.*FORTIFY\|^TOE_CPPFLAGS.*FORTIFY' "$BUILD/Makefile" 2>/dev/null; then
	has 'functions of the C library know how much room there is' symbols \
	    '__(memcpy|snprintf|fprintf|vsnprintf)_chk'
else
	tap_skip 'functions of the C library know how much room there is' \
	    'it is built without optimisation'
fi

# Is every call through a pointer checked, as clang can?
cfi='' marks=full
if grep -q '^TOE_CFLAGS.*-fsanitize=cfi-icall' "$BUILD/Makefile" 2>/dev/null; then
	cfi=yes marks='\(full\|return\)'
fi
# Objects carry it; the program only where the C library's do, too. (Some compilers
# cannot mark branches and check calls at once.)
for flag in stack-clash-protection cf-protection=$marks; do
	if grep -q -- "^TOE_CFLAGS.*-f$flag" "$BUILD/Makefile" 2>/dev/null; then
		tap_pass "compiled with -f${flag%%=*}"
	else
		case $(uname -m) in
		x86_64) echo "the Makefile does not have it" >complaint
			tap_fail "compiled with -f${flag%%=*}" complaint ;;
		*) tap_skip "compiled with -f${flag%%=*}" 'not for this machine' ;;
		esac
	fi
done
if [ -z "$cfi" ] && [ "$(uname -m)" = x86_64 ] && [ -f "$BUILD/main.o" ]; then
	readelf -n "$BUILD/main.o" >notes 2>&1
	has 'branches and returns can be checked by the processor' notes 'IBT.*SHSTK'
fi

# Control flow integrity: its tables are in the program, and flags like the build's
# make one that ends rather than call what is of another type.
if [ -z "$cfi" ]; then
	tap_skip 'calls through pointers are checked' \
	    'not built by clang with lld'
else
	cat >call.c <<'END'
#include <stdlib.h>

static int plus(int a) { return a + 1; }
static void *other(void *a, void *b) { return a ? a : b; }
static void *(*const stray)(void *, void *) = other;
static int (*const right)(int) = plus;

int
main(int argc, char **argv)
{
	int (*volatile call)(int) = right;

	if (argc > 1)
		call = (int (*)(int))(void (*)(void))stray;
	return argv[0] && call(argc) == 2 ? 0 : 1;
}
END
	: >complaint
	readelf -sW "$TOEWATCH" | grep -q '\.cfi$' ||
	    echo 'the program has no such table' >complaint
	variable() {
		sed -n "s/^$1 = *//p" "$BUILD/Makefile"
	}
	# shellcheck disable=SC2046
	$(variable CC) $(variable TOE_CFLAGS) -O2 -o call call.c \
	    $(variable TOE_LDFLAGS) >>complaint 2>&1
	./call || echo 'a call of the right type fails' >>complaint
	# shellcheck disable=SC3045 # no core of it
	(ulimit -c 0; exec ./call stray) 2>/dev/null
	status=$?
	[ $status -gt 128 ] ||
	    echo "a call of another type: exit status $status" >>complaint
	tap_empty 'calls through pointers are checked' complaint
fi

# The filter of a live run ----------------------------------------------------------

if ! command -v python3 >/dev/null 2>&1 || ! unshare -rn true 2>/dev/null; then
	tap_skip 'the filter of system calls' 'no network of its own can be made here'
	tap_end
fi
if command -v openssl >/dev/null 2>&1; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	    -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
	    >/dev/null 2>&1
fi
cat >plain.conf <<'END'
live { user = root }
END
cat >webhook.conf <<'END'
live { user = root }
sink "hook" { webhook = "http://127.0.0.1:9/" }
END
cat >syslog.conf <<'END'
live { user = root log = "syslog" }
sink "log" { syslog = "udp://127.0.0.1:514" }
END
printf 'live { user = root }\nweb { certificate = "%s" key = "%s" }\n' \
    "$scratch/cert.pem" "$scratch/key.pem" >https.conf
echo 'live { user = root seccomp = false }' >open.conf

cat >filter.py <<'END'
"""filter.py PROGRAM CONFIGURATION: is each thread of a live run filtered, and what
does the kernel answer to a call that it does not need? The call is made by the
run itself: it is stopped in one that it makes anyway, which is then made another."""
import ctypes, errno, glob, os, platform, re, signal, subprocess, sys, time

program, conf = sys.argv[1:]
p = subprocess.Popen([program, "-i", "lo", "-w", "127.0.0.1:0", "-c", conf],
                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
deadline = time.monotonic() + 20


def states():
    found = []
    for path in glob.glob(f"/proc/{p.pid}/task/*/status"):
        try:
            with open(path) as f:
                text = f.read()
        except (FileNotFoundError, ProcessLookupError):
            continue                # a thread that ended meanwhile
        found.append(dict(re.findall(r"^(\w+):\s*(\S+)", text, re.M)))
    return found


class Registers(ctypes.Structure):
    _fields_ = [(n, ctypes.c_ulong) for n in
                "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi "
                "orig_rax rip cs eflags rsp ss fs gs ds es fsb gsb".split()]


def ptrace(request, data=None):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p,
                            ctypes.c_void_p]
    if libc.ptrace(request, p.pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def stopped_in_a_wait():
    """The run's registers, stopped where it waits in a system call: the stop cut
    that short (EINTR, or ERESTARTSYS to ERESTART_RESTARTBLOCK, by which the kernel
    would make it again), so that the instruction before is `syscall`. Stopped
    anywhere else, the run goes on."""
    cut_short = {-errno.EINTR, *range(-516, -511)}
    r = Registers()
    while time.monotonic() < deadline:
        ptrace(16)                      # ATTACH
        os.waitpid(p.pid, 0)
        ptrace(12, ctypes.byref(r))     # GETREGS
        if r.orig_rax < 2 ** 63 and ctypes.c_long(r.rax).value in cut_short:
            return r
        ptrace(17)                      # DETACH
        time.sleep(0.05)
    p.kill()
    sys.exit("it is never seen to wait")


def answer(call):
    """What the kernel says to this call, made in place of one that the run waits
    in."""
    before, r = stopped_in_a_wait(), Registers()
    ctypes.memmove(ctypes.byref(r), ctypes.byref(before), ctypes.sizeof(r))
    r.rip, r.rax, r.orig_rax, r.rdi = r.rip - 2, call, 2 ** 64 - 1, 0
    ptrace(13, ctypes.byref(r))         # SETREGS
    ptrace(9)                           # SINGLESTEP
    os.waitpid(p.pid, 0)
    ptrace(12, ctypes.byref(r))
    before.rax, before.orig_rax = 2 ** 64 - errno.EINTR, 2 ** 64 - 1
    ptrace(13, ctypes.byref(before))
    ptrace(17)                          # DETACH
    return ctypes.c_long(r.rax).value


confined = "open" not in conf
while time.monotonic() < deadline and p.poll() is None and len(states()) < 2:
    time.sleep(0.05)
while time.monotonic() < deadline and p.poll() is None and (
        (confined and states()[0].get("Seccomp") != "2") or
        "sleeping" not in open(f"/proc/{p.pid}/status").read()):
    time.sleep(0.05)
time.sleep(0.5)
threads = states()
if p.poll() is not None:
    print("it ended:", p.stderr.read().decode())
    sys.exit()
for s in threads:
    if s.get("Seccomp") != ("2" if confined else "0"):
        print("a thread runs with Seccomp:", s.get("Seccomp"))
    if confined and s.get("NoNewPrivs") != "1":
        print("a thread could gain privileges")
if len(threads) < 2:
    print("only", len(threads), "thread: the page has none?")
if platform.machine() == "x86_64":
    for call in 135, 105:       # personality(0), setuid(0): harmless if let through
        got = answer(call)
        if (got == -errno.EPERM) != confined:
            print(f"system call {call} is answered {got}")
p.send_signal(signal.SIGINT)
try:
    if p.wait(20) != 0:
        print("exit status", p.returncode, p.stderr.read().decode())
except subprocess.TimeoutExpired:
    p.kill()
    print("it does not end")
END

for conf in plain webhook syslog https open; do
	name="every thread of a live run is filtered: $conf"
	[ $conf != open ] ||
	    name='and none is where the configuration says so: the test can tell'
	if [ $conf = https ] && [ ! -s cert.pem ]; then
		tap_skip "$name" 'openssl is missing'
		continue
	fi
	unshare -rn sh -c 'ip link set lo up && exec "$@"' - \
	    python3 filter.py "$TOEWATCH" $conf.conf >complaint 2>&1
	tap_empty "$name" complaint
done
tap_end
