#!/bin/sh
# inside.sh OLD.deb NEW.deb - the package in a Debian that runs, as root, where
# nothing is worth keeping (boot.sh makes one): installed, configured, started,
# reloaded, hung, killed, stopped, upgraded, removed. In the folder of this file:
# collect.py, send, and a capture, sample.pcap.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cases=0 failures=0

# $1: the case; the rest: a command that succeeds.
check() {
	name=$1
	shift
	cases=$((cases + 1))
	if "$@" >/tmp/said 2>&1; then
		echo "ok $cases - $name"
	else
		failures=$((failures + 1))
		echo "not ok $cases - $name"
		tail -n 15 /tmp/said | sed 's/^/#   /'
	fi
}

is() {
	[ "$1" = "$2" ] || { echo "\"$1\", not \"$2\""; false; }
}

# Waits until the rest succeeds: $1 seconds.
within() {
	tries=$(($1 * 5))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { "$@"; return; }
		sleep 0.2
	done
}

says() {
	journalctl -b -u toewatch -o cat | grep -Eq -- "$1" || {
		journalctl -b -u toewatch -o cat | tail -n 15
		false
	}
}

property() {
	systemctl show -P "$1" toewatch
}

pid() {
	property MainPID
}

conf=/etc/toewatch/toewatch.conf
page=http://127.0.0.1:8080

# Installed -----------------------------------------------------------------------

check 'it installs' dpkg -i "$1"
check 'and is not enabled: it does not know yet what to watch' \
    is "$(systemctl is-enabled toewatch)" disabled
check 'nor does it run' is "$(systemctl is-active toewatch)" inactive
check 'there is a user for it' id toewatch
check 'the configuration is sound' toewatch --check-config $conf
check 'nothing is wrong with the unit' systemd-analyze verify --man=no toewatch.service
systemctl start toewatch 2>/dev/null
check 'without interfaces it does not start' \
    within 10 is "$(systemctl is-failed toewatch)" failed
check 'and says why' says '-i'
check 'and is not tried again and again' is "$(property NRestarts)" 0
systemctl reset-failed toewatch

# Configured ----------------------------------------------------------------------

ip link add a0 type veth peer name a1
ip link set a0 mtu 65535 up
ip link set a1 mtu 65535 up
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
    -addext 'subjectAltName = DNS:localhost' -keyout /root/key -out /root/crt \
    2>/dev/null
cat /root/key /root/crt >/root/both
cp /root/crt /etc/toewatch/hook.pem
cat >$conf <<'END'
live { interfaces = { "a1" } }
server "EX01" { address = { "10.20.30.5" } }
thresholds { user_notices_s = 0.8 silent_s = 1 connect_s = 0.8 half_close_s = 1 }
sink "hook" { webhook = "https://localhost:9004/" ca = "/etc/toewatch/hook.pem"
	min_severity = info }
sink "siem" { syslog = "tcp://localhost:9003" min_severity = info }
sink "udp" { syslog = "udp://localhost:9002" min_severity = info }
sink "lines" { lines = "/var/lib/toewatch/found.json" min_severity = info }
END
python3 "$here/collect.py" --cert /root/both --count /root/collected \
    hook=https://127.0.0.1:9004 siem=syslog-tcp://127.0.0.1:9003 \
    udp=udp://127.0.0.1:9002 sse=sse+$page/api/v1/events &
collect=$!
check 'it starts' systemctl enable --now toewatch
check 'and is active: it says itself when' \
    is "$(systemctl is-active toewatch)" active
check 'and what it does' is "$(property StatusText)" 'watching 1 interface'

# Confined: each directive of the unit, seen from inside ------------------------------

inside() {
	nsenter -t "$(pid)" -m -- "$@"
}
refused() {
	! "$@" || { echo "that went: $*"; false; }
}
status() {
	awk -v name="$1:" '$1 == name { print $2 }' "/proc/$(pid)/status"
}
check 'it is its own user' is "$(ps -o user= -p "$(pid)")" toewatch
check 'with cap_net_raw alone' is "$(status CapEff)$(status CapBnd)" \
    00000000000020000000000000002000
check 'it gains no privileges' is "$(status NoNewPrivs)" 1
check 'system calls are filtered' is "$(status Seccomp)" 2
check 'by the unit and by itself' [ "$(status Seccomp_filters)" -gt 1 ]
check 'the system is read only to it' refused inside touch /usr/x
check 'so is the configuration' refused inside touch /etc/toewatch/x
check 'what it keeps is not' inside touch /var/lib/toewatch/x
inside rm -f /var/lib/toewatch/x
check 'homes are not there for it' refused inside ls /root/inside.sh
touch /tmp/outside
check 'temporary files are its own' refused inside ls /tmp/outside
check 'it sees no devices' refused inside ls /dev/vda
check 'it cannot write to /sys or /proc/sys' \
    refused inside touch /proc/sys/kernel/hostname
check 'other processes are hidden' \
    sh -c "! nsenter -t $(pid) -m -- cat /proc/mounts | grep -q ' /proc .*hidepid=0' &&
	nsenter -t $(pid) -m -- grep -q 'hidepid=\\(invisible\\|2\\)' /proc/mounts"
check 'what it keeps is for itself' \
    is "$(stat -c '%U %a' /var/lib/toewatch)" 'toewatch 750'
systemd-analyze security toewatch --no-pager | tail -n 1 | sed 's/^/# /'

# At work ---------------------------------------------------------------------------

"$here/send" -s 60 a0 "$here/sample.pcap"
has_kept() {
	python3 -c '
import sqlite3, sys
db = sqlite3.connect("file:/var/lib/toewatch/findings.db?mode=ro", uri=True)
sys.exit(not db.execute("SELECT count(*) FROM findings").fetchone()[0])'
}
check 'findings are kept' within 20 has_kept
check 'and their packets' within 30 sh -c 'ls /var/lib/toewatch/evidence/*.pcapng'
check 'and told to the file' test -s /var/lib/toewatch/found.json
check 'the page shows the server' within 70 sh -c "curl -s $page/api/v1/servers | grep -q EX01"
check 'the journal has the report of trouble' within 5 says 'EX01|10\.20\.30\.5'

# Signals ---------------------------------------------------------------------------

sed -i 's/EX01/EX77/' $conf
check 'it reloads' systemctl reload toewatch
check 'and says so' within 5 says 'read again'
sed -i 's/live {/live { buffer_mib = 64/' $conf
systemctl reload toewatch
check 'and what takes a restart' within 5 says 'live . buffer_mib .: .*restart'
echo nonsense >>$conf
systemctl reload toewatch
check 'nonsense is refused' within 5 says 'stays as it was'
sed -i '/^nonsense/d' $conf
check 'it goes on' is "$(systemctl is-active toewatch)" active
systemctl kill -s USR1 toewatch
check 'statistics are in the journal' within 5 says 'statistics: .*MiB'
before=$(pid)
systemctl kill -s KILL toewatch
goes_again() {
	[ "$(systemctl is-active toewatch)" = active ] &&
	    [ "$(pid)" != "$before" ] && [ "$(pid)" != 0 ]
}
check 'killed, it is started again' within 30 goes_again
check 'over what was kept' has_kept
mkdir -p /run/systemd/system/toewatch.service.d
printf '[Service]\nWatchdogSec=4\nTimeoutAbortSec=3\nRestartSec=1\n' \
    >/run/systemd/system/toewatch.service.d/hasty.conf
systemctl daemon-reload
systemctl restart toewatch
sleep 9
before=$(pid)
check 'it shows signs of life' is "$(property NRestarts) $(property Result)" '0 success'
kill -STOP "$before"
check 'hung, it is started again' within 30 goes_again
check 'by the watchdog' sh -c 'journalctl -b | grep -q "toewatch.service: Watchdog timeout"'
rm /run/systemd/system/toewatch.service.d/hasty.conf
systemctl daemon-reload
systemctl restart toewatch
check 'it stops' systemctl stop toewatch
check 'in good order' is "$(property Result) $(property ExecMainStatus)" 'success 0'

# Another version, and none -----------------------------------------------------------

systemctl start toewatch
before=$(pid)
cp $conf /root/conf.before
check 'it is upgraded' dpkg -i --force-confold "$2"
check 'and started again' goes_again
check 'its configuration is what it was' cmp $conf /root/conf.before
check 'it still starts at boot' is "$(systemctl is-enabled toewatch)" enabled
kill $collect
sleep 1
for sink in hook siem udp sse; do
	check "something came to $sink" grep -q " $sink finding" /root/collected
done
# but clone3, which glibc goes without
check 'no system call was refused' \
    sh -c '! journalctl -b -k | grep "type=1326.*toewatch" | grep -v "syscall=435 "'
check 'it is removed' dpkg -r toewatch
check 'runs no more' refused pgrep -x toewatch
check 'and leaves what was found' test -s /var/lib/toewatch/findings.db
rm /etc/toewatch/hook.pem
check 'it is purged' dpkg -P toewatch
check 'and nothing is left' is "$(ls -d /var/lib/toewatch /etc/toewatch \
    /lib/systemd/system/toewatch.service /usr/sbin/toewatch \
    /etc/systemd/system/multi-user.target.wants/toewatch.service 2>/dev/null)" ''
check 'nor is the user' refused id toewatch
echo "1..$cases"
[ $failures -eq 0 ]
