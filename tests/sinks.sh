#!/bin/sh
# What is found is at each place that it can go to within two seconds of its last
# evidence packet: a run that watches a pair of virtual interfaces, as another user
# and with its filter of system calls, tells it to a file, to sockets, to syslog, to
# a webhook over HTTPS, to the page over HTTPS and to who follows it there. Takes
# root.
set -u
. "$(dirname "$0")/tap.sh"
. "$srcdir/tests/net.sh"

[ "$(id -u)" -eq 0 ] || tap_skip_all 'it takes root'
for tool in ip python3 unshare; do
	command -v $tool >/dev/null || tap_skip_all "$tool is missing"
done
if [ -z "${TOEWATCH_TEST_NET-}" ]; then
	net_can || tap_skip_all 'no virtual interfaces can be made here'
	rm -rf "$scratch"
	TOEWATCH_TEST_NET=1 exec unshare -n sh "$srcdir/tests/sinks.sh"
fi

send=$BUILD/tests/live/send
chmod 755 "$scratch"		# the run becomes another user
cd "$scratch" || exit 99
net_begin

# An authority of our own, a certificate of its, and one that it did not sign.
make_certificates() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=authority' \
	    -keyout ca.key -out ca.pem &&
	openssl req -newkey rsa:2048 -nodes -subj '/CN=127.0.0.1' \
	    -keyout own.key -out own.csr &&
	echo 'subjectAltName = IP:127.0.0.1' >names &&
	openssl x509 -req -in own.csr -CA ca.pem -CAkey ca.key \
	    -CAcreateserial -days 2 -extfile names -out own.crt &&
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=127.0.0.1' \
	    -addext 'subjectAltName = IP:127.0.0.1' -keyout stranger.key \
	    -out stranger.crt &&
	cat own.key own.crt >own.pem && cat stranger.key stranger.crt >stranger.pem
}
if command -v openssl >/dev/null && make_certificates >openssl.log 2>&1; then
	http=https
	certificates="ca = \"$scratch/ca.pem\""
	page='web { certificate = "own.crt" key = "own.key" }'
else
	http=http certificates='' page=''
	: >ca.pem
fi

# $1: a file with a certificate. What the page shows a new connection is that one?
shows() {
	openssl s_client -connect 127.0.0.1:9080 </dev/null 2>/dev/null |
	    openssl x509 -noout -fingerprint >shown
	openssl x509 -noout -fingerprint -in "$1" | diff - shown
}

# SIGHUP, until the log has one more line that matches $1.
hang_up() {
	before=$(grep -c "$1" log)
	kill -HUP $run
	wait_for "[ \$(grep -c '$1' log) -gt $before ]" ||
	    { echo "nothing is said like: $1"; tail -n 5 log; }
}

# What certbot and the like do each two months, and what may go wrong.
renewals() {
	{
		shows own.crt
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
		    -nodes -subj '/CN=127.0.0.1' -keyout new.key -out new.csr
		openssl x509 -req -in new.csr -CA ca.pem -CAkey ca.key \
		    -CAcreateserial -days 3 -extfile names -out new.crt
		cp own.crt first.crt
		cat new.key >own.key
		cat new.crt >own.crt
	} 2>openssl.log >complaint
	{
		hang_up 'cannot read the page.s key own.key: Permission denied; the one in'
		shows first.crt
		chown nobody own.key	# who runs it
		hang_up 'page.s certificate is taken over, and valid until'
		shows new.crt
		hang_up 'is the same as before'
		kill -0 $run
	} >>complaint 2>&1
	grep -q ' page-events open' collected || echo 'nobody follows' >>complaint
	[ "$(grep -c ' page-events open' collected)" = 1 ] ||
	    echo 'who followed was cut off' >>complaint
	tap_empty 'a renewed certificate is served after SIGHUP' complaint
	{
		cat first.crt >own.crt
		hang_up 'do not belong together; the one in use stays'
		shows new.crt
		echo nonsense >own.crt
		hang_up 'own.crt cannot be used: .*; the one in use stays'
		shows new.crt
		chmod 000 own.crt
		hang_up 'cannot read the page.s certificate own.crt: Permission denied'
		shows new.crt
		rm own.crt
		hang_up 'cannot read the page.s certificate own.crt: No such file'
		shows new.crt
	} >complaint 2>&1
	tap_empty 'a bad one is not, and the log says why' complaint
}

mkdir its && chown nobody its
cat >sinks.conf <<END
live { user = "nobody" }
$page
thresholds {
	user_notices_s = 0.8 silent_s = 1 connect_s = 0.8 half_close_s = 1
	zero_window_s = 0.8
}
sink "lines-file" { lines = "$scratch/its/lines.json" min_severity = info }
sink "lines-unix" { lines = "unix:$scratch/sock" min_severity = info }
sink "lines-tcp" { lines = "tcp://127.0.0.1:9001" min_severity = info }
sink "syslog-udp" { syslog = "udp://127.0.0.1:9002" min_severity = info }
sink "syslog-tcp" { syslog = "tcp://127.0.0.1:9003" min_severity = info }
sink "webhook" { webhook = "$http://127.0.0.1:9004/" $certificates
	min_severity = info hold_s = 0 }
sink "stranger" { webhook = "$http://127.0.0.1:9005/" $certificates
	min_severity = info hold_s = 0 }
END
place=$http://127.0.0.1:9080
python3 "$srcdir/tests/live/collect.py" --cert own.pem --ca ca.pem collected \
    lines-file=file:its/lines.json lines-unix="unix:$scratch/sock" \
    lines-tcp=tcp://127.0.0.1:9001 syslog-udp=udp://127.0.0.1:9002 \
    syslog-tcp=syslog-tcp://127.0.0.1:9003 webhook=$http://127.0.0.1:9004 \
    page-events=sse+$place/api/v1/events metrics=metrics+$place/metrics \
    2>collect.log &
collect=$!
# somebody else, who has the address
if [ $http = https ]; then
	python3 "$srcdir/tests/live/collect.py" --cert stranger.pem stolen \
	    stranger=https://127.0.0.1:9005 2>stranger.log &
	stranger=$!
fi
wait_for "[ -S sock ]"
"$TOEWATCH" -T json -i a1 -c sinks.conf -o kept -w 127.0.0.1:9080 -v \
    >out.json 2>log &
run=$!
wait_for "grep -q 'page-events open' collected"
wait_for "grep -q '^Seccomp:.2' /proc/$run/status"

: >complaint
grep -q "^Uid:.$(id -u nobody)\\>" /proc/$run/status || echo 'it is still root' >>complaint
grep -q '^Seccomp:.2' /proc/$run/status || grep -q __asan_init "$TOEWATCH" ||
    echo 'it has no filter' >>complaint
tap_empty 'it is another user, with a filter of system calls' complaint

# $1: the capture, $2: how often as fast.
play() {
	"$send" -t "sent.$1" -s "$2" a0 "$srcdir/pcaps/$1.pcap" >/dev/null
	sleep 2.5
}
play checksum-discarded 60
play timestamps-lost 60
play connect-refused 60
play mss-violation 60
play lost-state 60
sleep 1

python3 "$srcdir/tests/live/prompt.py" out.json collected 2 sent.* >complaint \
    2>figures
cat figures
grep -v '^#' figures >>complaint
tap_empty 'each finding is at each place within two seconds of its evidence' complaint

: >complaint
for name in lines-file lines-unix lines-tcp syslog-udp syslog-tcp webhook \
    page-events metrics; do
	grep -q " $name finding " collected || echo "nothing came to $name" >>complaint
done
if [ $http = https ]; then
	tap_empty 'also by TLS: the webhook, and the page' complaint
	: >complaint
	[ ! -s stolen ] || sed 's/^/a stranger got: /' stolen >>complaint
	grep -q 'stranger.*certificate' log || { echo 'nobody said why'; cat log; } >>complaint
	tap_empty 'a webhook with a certificate of another gets nothing' complaint
	renewals
else
	tap_empty 'also by HTTP: the webhook, and the page' complaint
	tap_skip 'the same by TLS' 'openssl is missing'
	tap_skip 'a renewed certificate' 'openssl is missing'
	tap_skip 'a bad one' 'openssl is missing'
fi

: >complaint
kill "$run"
wait "$run"
status=$?
[ $status -eq 0 ] || { echo "exit status $status"; cat log; } >>complaint
kill "$collect" ${stranger:+"$stranger"}
tap_empty 'and it ends' complaint
tap_end
