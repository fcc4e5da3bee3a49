#!/bin/sh
# The page over HTTP: each resource, what must be turned away, what must not hang
# it, and that a hostile capture does not get a word of markup in.
set -u
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null 2>&1 ||
    tap_skip_all 'python3 is missing'

# A client that checks. $1: port, $2: the case; what is wrong is printed.
cat >"$scratch/ask.py" <<'END'
import gzip, http.client, json, re, socket, ssl, sys, time, warnings

warnings.simplefilter("ignore")
PORT, CASE = int(sys.argv[1]), sys.argv[2]


def ask(path="/", method="GET", **headers):
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    c.request(method, path, headers={k.replace("_", "-"): v
                                     for k, v in headers.items()})
    r = c.getresponse()
    r.text = r.read().decode("utf-8")
    c.close()
    return r


def expect(what, got, want):
    if got != want:
        print(what, "is", repr(got)[:300], "and not", repr(want)[:300])


def raw(request):
    s = socket.create_connection(("127.0.0.1", PORT), timeout=10)
    s.sendall(request)
    answer = b""
    try:
        while True:
            more = s.recv(65536)
            if not more:
                break
            answer += more
    except ConnectionResetError:
        pass
    s.close()
    return answer.split(b"\r\n")[0].decode()


def is_guarded(path, r):
    csp = r.getheader("Content-Security-Policy") or ""
    if not csp.startswith("default-src 'none';") or "unsafe" in csp:
        print(path, "Content-Security-Policy", csp)
    expect(path + " nosniff", r.getheader("X-Content-Type-Options"), "nosniff")
    expect(path + " referrer", r.getheader("Referrer-Policy"), "no-referrer")
    if "no-cache" not in (r.getheader("Cache-Control") or ""):
        print(path, "Cache-Control", r.getheader("Cache-Control"))
    if "charset=utf-8" not in (r.getheader("Content-Type") or ""):
        print(path, "Content-Type", r.getheader("Content-Type"))


def resources():
    types = {"/": "text/html", "/?server=10.0.0.1": "text/html",
             "/report": "text/html", "/style.css": "text/css",
             "/api/v1/overview": "application/json",
             "/api/v1/capture": "application/json",
             "/api/v1/servers": "application/json",
             "/api/v1/servers/10.20.30.5": "application/json",
             "/api/v1/incidents": "application/json",
             "/api/v1/incidents/1": "application/json",
             "/api/v1/findings": "application/json",
             "/api/v1/findings/1": "application/json",
             "/api/v1/findings-text": "application/json",
             "/api/v1/openapi.json": "application/json",
             "/healthz": "text/plain",
             "/metrics": "application/openmetrics-text"}
    for path, kind in types.items():
        r = ask(path)
        expect(path, r.status, 200)
        is_guarded(path, r)
        expect(path, r.getheader("Content-Type").split(";")[0], kind)
        head = ask(path, "HEAD")
        expect("HEAD " + path, (head.status, head.text), (200, ""))
        expect("HEAD " + path, head.getheader("Content-Length"),
               str(len(r.text.encode())))
        if path != "/metrics":  # it counts requests
            expect("HEAD " + path, head.getheader("ETag"),
                   r.getheader("ETag"))


def items(query):
    return json.loads(ask("/api/v1/" + query).text)["items"]


def same(what, got, want):
    expect(what, sorted(json.dumps(x, sort_keys=True) for x in got),
           sorted(json.dumps(x, sort_keys=True) for x in want))


def same_as_json():
    lines = [json.loads(l) for l in open(sys.argv[3], encoding="utf-8")]
    for kind in "server", "incident", "finding":
        want = [l for l in lines if l["event_type"] == kind]
        if not want:
            print("the capture has no", kind)
        got = items(kind + "s")
        for record in got:
            record.pop("minutes", None)
        same(kind, got, want)
    capture = json.loads(ask("/api/v1/capture").text)["capture"]
    expect("capture", capture, lines[-1])


def selected():
    every = items("findings?limit=1000")
    one = every[-1]
    ip, name = one["server"]["ip"], one["finding"]
    same("?server=", items("findings?server=" + ip),
         [f for f in every if f["server"] and f["server"]["ip"] == ip])
    same("both", items("findings?finding=" + name + "&server=" + ip),
         [f for f in every if f["server"] and f["server"]["ip"] == ip and
          f["finding"] == name])
    same("two names", items("findings?finding=rpc_stall,reply_missing"),
         [f for f in every if f["finding"] in ("rpc_stall", "reply_missing")])
    same("at least medium", items("findings?severity=medium"),
         [f for f in every if f["severity"] not in ("info", "low")])
    same("a client", items("findings?client=10.20.30.79"),
         [f for f in every if f["client_ip"] == "10.20.30.79"])
    same("an incident", items("findings?incident=1"),
         [f for f in every if f["incident_id"] == 1])
    middle = sorted(f["first_seen"] for f in every)[len(every) // 2]
    same("until", items("findings?to=" + middle),
         [f for f in every if f["first_seen"] <= middle])
    same("since", items("findings?from=" + middle),
         [f for f in every if f["last_seen"] >= middle])
    same("none", items("findings?finding=none"), [])
    same("open", items("incidents?open=yes"),
         [i for i in items("incidents") if i["end"] is None])
    for path in ("findings?sever=" + ip, "capture?server=" + ip,
                 "servers?finding=" + name, "servers?server", "servers?server=",
                 "servers?server=a&server=b", "findings?severity=bad",
                 "findings?limit=0", "findings?limit=1001", "findings?limit=-1",
                 "findings?from=yesterday", "findings?cursor=x",
                 "findings?incident=0", "incidents?open=1",
                 "findings?incident=99999999999999999999"):
        r = ask("/api/v1/" + path)
        expect(path, r.status, 400)
        expect(path, list(json.loads(r.text)), ["error"])


def in_pages():
    every = items("findings?limit=1000")
    for order, whole in ("new", every), ("old", every[::-1]):
        got, cursor = [], ""
        for i in range(100):
            page = json.loads(ask("/api/v1/findings?limit=7&order=" + order +
                                  cursor).text)
            expect("total", page["total"], len(every))
            got += page["items"]
            if not page["next"]:
                break
            cursor = "&cursor=" + page["next"]
        expect("the pages in order " + order, got, whole)


def packed():
    for path in "/", "/api/v1/findings", "/report", "/metrics":
        plain = ask(path)
        for accepted in "gzip", "br, gzip;q=0.5", "GZIP":
            c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
            c.request("GET", path, headers={"Accept-Encoding": accepted})
            r = c.getresponse()
            body = r.read()
            if r.getheader("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
                if r.getheader("ETag") == plain.getheader("ETag"):
                    print(path, "has one tag for two encodings")
            elif path != "/":
                print(path, "is not packed for", accepted)
            if path != "/metrics":
                expect(path, body.decode(), plain.text)
            expect("Vary", r.getheader("Vary"), "Accept-Encoding")
            c.close()
        for refused in "gzip;q=0", "gzip; q=0.000", "br", "":
            r = ask(path, Accept_Encoding=refused)
            expect(path, r.getheader("Content-Encoding"), None)


def unchanged():
    tag = ask("/").getheader("ETag")
    for known in tag, "W/" + tag, '"x", ' + tag, "*":
        r = ask("/", If_None_Match=known)
        expect("If-None-Match: " + known, (r.status, r.text), (304, ""))
        expect("its tag", r.getheader("ETag"), tag)
        is_guarded("304", r)
    for other in '"x"', tag[:-2] + '"', "":
        expect("If-None-Match: " + other,
               ask("/", If_None_Match=other).status, 200)


def metrics():
    text = ask("/metrics").text
    if not text.endswith("\n# EOF\n"):
        print("no # EOF at the end")
    sample = re.compile(r'toewatch_[a-z_]+(\{([a-z]+="[a-z_0-9.]*",?)+\})?'
                        r' [0-9.e+-]+$')
    for line in text.splitlines():
        if not line.startswith("# ") and not sample.match(line):
            print("no sample:", line)
    found = re.findall(r"^toewatch_findings\{.* (\d+)$", text, re.M)
    expect("findings", sum(map(int, found)),
           len(items("findings")))
    packets = json.loads(ask("/api/v1/capture").text)["capture"]["packets"]
    if "\ntoewatch_packets_total %d\n" % packets not in text:
        print("toewatch_packets_total is not", packets)


def refused():
    for method in "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get":
        r = ask("/", method)
        expect(method, r.status, 405)
        expect(method, r.getheader("Allow"), "GET, HEAD")
        is_guarded(method, r)
    for path in ("/nope", "/index.htm", "/../etc/passwd", "//", "/api/v1/",
                 "/%2e%2e/%2e%2e/etc/passwd", "/style.css/../../main.c",
                 "/api/v1/findings/", "/<script>alert(1)</script>", "/STYLE.CSS",
                 "/..%2fetc%2fpasswd", "/\\..\\x", "/api/v1/findings/1/x",
                 "/api/v1/findings/x", "/api/v1/findings/99", "/web/page",
                 "/api/v1/servers/10.9.9.9", "/api/v1/incidents/2",
                 "/api/v1/incidents/" + "1" * 200):
        r = ask(path)
        expect(path, r.status, 404)
        is_guarded(path, r)
        expect("an echo of " + path, "script" in r.text, False)
    for path in "/", "/api/v1/findings", "/api/v1/events":
        r = ask(path, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")
        expect("another site's " + path, r.status, 403)
    expect("a link followed", ask("/", Sec_Fetch_Site="cross-site",
                                  Sec_Fetch_Mode="navigate").status, 200)
    expect("a foreign Host", ask("/", Host="evil.example").status, 421)
    expect("a Host of ours", ask("/", Host="localhost:1").status, 200)
    for length in "3", "0003", "99999999999999":
        expect("a body of " + length, raw(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
            length.encode() + b"\r\n\r\nabc").split()[1], "413")
    expect("chunks", raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n"
                         b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
           .split()[1], "413")


def nonsense():
    long = b"a" * 100000
    for name, request in {
            "a huge header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + long,
            "a huge path": b"GET /" + long,
            "many headers": b"GET / HTTP/1.1\r\nHost: localhost\r\n" +
            b"X: y\r\n" * 20000,
            "no HTTP": bytes(range(256)) * 16 + b"\r\n\r\n",
            "nothing much": b"\r\n\r\n\r\n\r\nGET\r\n\r\n"}.items():
        try:
            status = (raw(request + b"\r\n\r\n").split() + ["", ""])[1]
        except (BrokenPipeError, ConnectionResetError):
            status = ""
        if status and not status.startswith("4"):
            print(name, "is answered with", status)
        expect("after " + name, ask("/healthz").status, 200)


def slow():
    stuck = []
    for i in range(50):
        s = socket.create_connection(("127.0.0.1", PORT), timeout=10)
        s.sendall(b"GET / HTTP/1.1\r\nHost: loc" if i % 2 else b"")
        stuck.append(s)
    began = time.monotonic()
    for i in range(20):
        expect("beside slow ones", ask("/").status, 200)
    took = time.monotonic() - began
    if took > 5:
        print("20 pages beside 50 slow connections took", took, "s")


def swamped():
    held = []
    for i in range(600):
        s = socket.create_connection(("127.0.0.1", PORT), timeout=10)
        held.append(s)
    for s in held:
        s.close()
    expect("after 600 connections", ask("/healthz").status, 200)


def escaped():
    page = ask("/report").text
    for tag in re.findall(r"<\s*(script|img|iframe|object|style)", page, re.I):
        print("the page has <" + tag)
    for name in "alert(1)&lt;script&gt;", "EX&lt;script&gt;":
        if name not in page:
            print("the page does not show", name)
    for tag in re.findall(r"<[^>]*>", page):
        if re.search(r"\s(on[a-z]+|style)=|javascript:", tag, re.I):
            print("the page has an inline handler or style:", tag)
    name = items("incidents")[0]["server"]["name"]
    expect("the name in JSON", name, "EX<script>'\"&")


def secure(path, method="GET", body=None, **headers):
    context = ssl.create_default_context(cafile=sys.argv[4] + "/cert.pem")
    c = http.client.HTTPSConnection("127.0.0.1", PORT, timeout=10,
                                    context=context)
    c.request(method, path, body, {k.replace("_", "-"): v
                                   for k, v in headers.items()})
    r = c.getresponse()
    r.text = "" if r.getheader("Content-Type") == "text/event-stream" else \
        r.read().decode()
    r.first = r.readline() if not r.text and r.status == 200 else b""
    c.close()
    return r


def guarded():
    token = open(sys.argv[4] + "/token").read().strip()
    for path in ("/api/v1/overview", "/api/v1/findings/1", "/api/v1/events",
                 "/metrics", "/nope", "/api/v1/openapi.json"):
        for headers in ({}, {"Authorization": "Bearer " + token[:-1]},
                        {"Authorization": "Bearer"}, {"Cookie": "toewatch=" +
                                                      token}):
            r = secure(path, **headers)
            expect(path + str(headers), r.status, 401)
            expect(path, r.getheader("WWW-Authenticate"), "Bearer")
            is_guarded(path, r)
    expect("/healthz", secure("/healthz").status, 200)
    for path in "/api/v1/overview", "/", "/report", "/metrics":
        expect(path, secure(path, Authorization="Bearer " + token).status, 200)
    expect("a name of its own", secure("/api/v1/capture", Host="toe.example",
           Authorization="Bearer " + token).status, 200)
    for path in "/", "/report", "/?server=EX%3C01":
        r = secure(path)
        expect("the form at " + path, (r.status, 'method="post"' in r.text),
               (401, True))
    for body in ("token=" + token[:-1], "token=", "", "x=" + token,
                 "token=" + token + "0", "token=%", "token=%4"):
        r = secure("/", "POST", body)
        expect("with " + body, (r.status, r.getheader("Set-Cookie")),
               (401, None))
    expect("a large one", secure("/", "POST", "token=" + "a" * 5000).status,
           413)
    expect("elsewhere", secure("/api/v1/overview", "POST", "token=" +
                               token).status, 405)
    r = secure("/?server=EX%3C01&x=%0d%0aSet-Cookie:a", "POST", "token=" +
               "".join("%%%02x" % ord(c) for c in token))
    expect("the way back", (r.status, r.getheader("Location")),
           (303, "/?server=EX%3C01&x=%0D%0ASet-Cookie:a"))
    cookie = r.getheader("Set-Cookie").split(";")
    expect("its limits", {p.strip() for p in cookie[1:]} >=
           {"HttpOnly", "SameSite=Strict", "Secure", "Path=/"}, True)
    if token in r.getheader("Set-Cookie"):
        print("the cookie is the token")
    r = secure("/api/v1/events", Cookie="a=b; " + cookie[0])
    expect("events", (r.status, r.first), (200, b"event: progress\n"))
    expect("a cookie", secure("/?server=EX%3C01", Cookie=cookie[0]).status, 200)
    try:
        raw(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    except OSError:
        pass
    for version in "TLSv1", "TLSv1_1":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = getattr(ssl.TLSVersion, version)
        try:
            context.wrap_socket(socket.create_connection(("127.0.0.1", PORT)))
            print(version, "is taken")
        except (ssl.SSLError, OSError):
            pass
    expect("after that", secure("/healthz").status, 200)


globals()[CASE]()
END

# Starts toewatch with the options "$@" and a page on a free port of $at: $pid,
# $port.
at=127.0.0.1
serve() {
	: >"$scratch/err"
	"$TOEWATCH" "$@" -w $at:0 >"$scratch/out" 2>"$scratch/err" \
	    </dev/null &
	pid=$!
	tap_page $pid "$scratch/err" '^all read'
}

# $1: the name of a case of ask.py, $2: what it shows.
ask() {
	python3 "$scratch/ask.py" "$port" "$1" "$scratch/json" "$scratch" \
	    >"$scratch/complaint" 2>&1 || echo "exit status $?" \
	    >>"$scratch/complaint"
	tap_empty "$2" "$scratch/complaint"
}

# $1: the signal, $2: the exit status that is right.
stop() {
	kill -s "$1" "$pid"
	wait "$pid"
	status=$?
	{
		[ $status -eq "$2" ] || echo "exit status $status, not $2"
		grep -v '^serving \|^all read' "$scratch/err"
	} >"$scratch/complaint"
	tap_empty "SIG$1 ends it with exit status $2, and nothing was logged" \
	    "$scratch/complaint"
}

capture=$srcdir/pcaps/exchange-freeze.pcap
"$TOEWATCH" -r "$capture" -T json >"$scratch/json"
serve -r "$capture"
trap 'kill "$pid" 2>/dev/null; rm -rf "$scratch"' EXIT
"$TOEWATCH" -r "$capture" >"$scratch/report"
cmp "$scratch/report" "$scratch/out" >"$scratch/complaint" 2>&1
tap_empty 'standard output is the report, as without -w' "$scratch/complaint"
ask resources 'each resource, its type and its guards, GET and HEAD'
ask same_as_json 'the lists hold the records of -T json'
ask selected 'parameters select; those that are not known are refused'
ask in_pages 'lists come in pages'
ask packed 'what is large is packed for those who take it'
ask unchanged 'what has not changed is not sent again'
ask metrics 'the metrics are OpenMetrics, and count what the arrays hold'
ask refused 'other methods, paths, hosts and bodies are refused'
ask nonsense 'oversized and broken requests do no harm'
ask slow 'fifty slow connections do not hold others up'
ask swamped 'more connections than the limit do no harm'

"$TOEWATCH" -r "$capture" -w "127.0.0.1:$port" >"$scratch/second" \
    2>"$scratch/err2"
status=$?
{
	[ $status -eq 1 ] || echo "exit status $status, not 1"
	[ "$(wc -l <"$scratch/err2")" -eq 1 ] || echo 'not one sentence'
	grep -q "127.0.0.1:$port.*in use" "$scratch/err2" || cat "$scratch/err2"
} >"$scratch/complaint"
tap_empty 'a port that is taken: exit status 1 and a sentence' \
    "$scratch/complaint"
stop TERM 0

# The description, against one that shows a kept file and one that shows events.
serve -r "$capture" -o "$scratch/kept"
sed -n 's,^	{ "\(/[^"]*\)".*,\1,p' "$srcdir/web/api.c" >"$scratch/routes"
: >"$scratch/load_err"
"$BUILD/tests/web_load" -w 127.0.0.1:0 -s 8 -f 300 -e 100 -m 1 \
    >"$scratch/load" 2>"$scratch/load_err" &
load=$!
main=$port
tap_page $load "$scratch/load_err" '^serving '
live=$port port=$main
python3 "$srcdir/tests/openapi.py" "$port" "$live" "$scratch/routes" \
    >"$scratch/found" 2>&1 || echo "exit status $?" >>"$scratch/found"
grep '^#' "$scratch/found"
grep -v '^#' "$scratch/found" >"$scratch/complaint"
tap_empty 'each answer is as web/openapi.json describes it' \
    "$scratch/complaint"
kill "$load"
wait "$load"
stop TERM 0

# A name that would be markup; in the page it is the title and the heading.
hostile="$scratch/<script>alert(1)<script>&\"'<img src=x onerror=y>.pcap"
cp "$capture" "$hostile"
cat >"$scratch/conf" <<'END'
server "EX<script>'\"&" {
	address = { "10.20.30.5" }
}
END
serve -r "$hostile" -c "$scratch/conf" --exit-code
ask escaped 'hostile names come out escaped'
stop INT 3

# Where others can reach it.
echo '0123456789abcdef+/%&=' >"$scratch/token"
chmod 600 "$scratch/token"
if openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -keyout "$scratch/key.pem" -out "$scratch/cert.pem" -days 2 \
    -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
    >"$scratch/openssl" 2>&1; then
	cat >"$scratch/web.conf" <<END
web {
	token_file = "$scratch/token"
	certificate = "$scratch/cert.pem"
	key = "$scratch/key.pem"
}
END
	at=0.0.0.0
	serve -r "$capture" -c "$scratch/web.conf"
	ask guarded 'with a token it opens to those who know it, by HTTPS'
	stop TERM 0
	at=127.0.0.1
	openssl req -new -key "$scratch/key.pem" -subj /CN=localhost \
	    -out "$scratch/old.csr" 2>>"$scratch/openssl"
	openssl x509 -req -in "$scratch/old.csr" -signkey "$scratch/key.pem" \
	    -days -1 -out "$scratch/cert.pem" >>"$scratch/openssl" 2>&1
	serve -r "$capture" -c "$scratch/web.conf"
	kill $pid
	wait $pid
	{
		grep -q 'certificate is no longer valid, it was until ' \
		    "$scratch/err" || cat "$scratch/openssl" "$scratch/err"
	} >"$scratch/complaint"
	tap_empty 'a certificate that has expired is served, with a warning' \
	    "$scratch/complaint"
else
	tap_skip 'with a token and HTTPS' 'openssl makes no certificate'
	tap_skip 'a certificate that has expired' 'openssl makes no certificate'
fi

# $1: exit status, $2: what the sentence names, the rest: options.
refuses() {
	want=$1 names=$2
	shift 2
	"$TOEWATCH" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
	status=$?
	{
		[ $status -eq "$want" ] || echo "exit status $status, not $want"
		head -n 1 "$scratch/err" | grep -q "$names" || cat "$scratch/err"
		cat "$scratch/out"
	} >"$scratch/complaint"
	tap_empty "refused: $*" "$scratch/complaint"
}

refuses 2 'token' -r pcaps/exchange-freeze.pcap -w 0.0.0.0:8080
printf 'web {\n\ttoken_file = "%s/none"\n}\n' "$scratch" >"$scratch/bad.conf"
refuses 1 'token.*No such file' -r "$capture" -c "$scratch/bad.conf" \
    -w 127.0.0.1:0
chmod 644 "$scratch/token"
printf 'web {\n\ttoken_file = "%s/token"\n}\n' "$scratch" >"$scratch/bad.conf"
refuses 1 'everybody' -r "$capture" -c "$scratch/bad.conf" -w 127.0.0.1:0
printf 'web {\n}\n' >"$scratch/bad.conf"
refuses 1 'token' -r "$capture" -c "$scratch/bad.conf" -w 0.0.0.0:0
printf 'web {\n\tcertificate = "%s/web.conf"\n\tkey = "%s/web.conf"\n}\n' \
    "$scratch" "$scratch" >"$scratch/bad.conf"
refuses 1 'cannot be used' -r "$capture" -c "$scratch/bad.conf" -w 127.0.0.1:0
printf 'web {\n\tcertificate = "%s/none"\n}\n' "$scratch" >"$scratch/bad.conf"
refuses 1 'come together' -r "$capture" -c "$scratch/bad.conf" -w 127.0.0.1:0
printf 'web {\n\tlisten = "8080"\n}\n' >"$scratch/bad.conf"
refuses 1 'address and a port' --check-config "$scratch/bad.conf"
refuses 2 'address and a port' -r pcaps/exchange-freeze.pcap -w 8080
tap_end
