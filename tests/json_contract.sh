#!/bin/sh
# The JSON lines, over each sample capture: every line is an object, and has
# each field of its event type, of the right type and within its range.
set -u
. "$(dirname "$0")/tap.sh"

command -v python3 >/dev/null 2>&1 ||
    tap_skip_all 'python3 is missing'

cat >"$scratch/check.py" <<'END'
import ipaddress, json, re, sys

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}$")
FINDINGS = """keepalive_unanswered orphaned_session flow_blackholed reply_missing
rpc_stall checksum_artifact checksum_discarded checksum_unresolved
oversized_segment zero_window_stall window_collapse sequence_violation
option_violation connect_failure server_silent host_stack_dead server_restart
offload_active rss_bucket_stall session_leak throughput_collapse dhcp_unanswered
vpn_data_dead ftp_data_failure logon_slow nat_intermittent rpc_fragment_stuck
handover_violation sack_hole_unfilled burst_lost_whole segments_reordered
merged_forwarding
egress_dead stale_neighbor capture_duplicates capture_loss
capture_one_way""".split()
VERDICTS = """offload_engine checksum_offload segmentation_offload
receive_side_scaling server_application server_host network_path client_side
undetermined""".split()


def is_int(v):
    return isinstance(v, int) and not isinstance(v, bool)


def is_count(v):
    return is_int(v) and v >= 0


def is_number(v):
    return is_int(v) or isinstance(v, float)


def is_share(v):
    return is_number(v) and 0 <= v <= 1


def is_text(v):
    return isinstance(v, str) and v != ""


def is_string(v):
    return isinstance(v, str)


def is_time(v):
    return isinstance(v, str) and TIME.match(v) is not None


def is_ip(v):
    try:
        return ipaddress.ip_address(v).compressed == v
    except ValueError:
        return False


def one_of(*words):
    return lambda v: v in words


def or_null(check):
    return lambda v: v is None or check(v)


def list_of(check):
    return lambda v: isinstance(v, list) and all(check(x) for x in v)


def map_of(keys, check):
    return lambda v: isinstance(v, dict) and all(
        (keys is None or k in keys) and check(x) for k, x in v.items())


def record(**fields):
    return lambda v: isinstance(v, dict) and all(
        k in v and check(v[k]) for k, check in fields.items())


def is_frames(v):
    return list_of(lambda n: is_int(n) and n > 0)(v) and v == sorted(set(v))


SERVER = record(ip=is_ip, mac=or_null(lambda v: MAC.match(v)),
                vendor=or_null(is_text), roles=list_of(is_text))
EVIDENCE = list_of(record(weight=lambda v: is_number(v) and v > 0, text=is_text,
                          frames=list_of(is_int)))
DIRECTION = record(retransmissions=is_count, out_of_order=is_count,
                   zero_windows=is_count, keep_alives=is_count,
                   rtt_ms=or_null(record(min=is_number, p50=is_number,
                                         max=is_number)))
EVENTS = {
    "finding": dict(
        finding=one_of(*FINDINGS), kind=or_null(is_text),
        severity=one_of("info", "low", "medium", "high", "critical"),
        confidence=is_share, server=or_null(SERVER), client_ip=or_null(is_ip),
        side=one_of("server", "client", "network", "capture", "unknown"),
        first_seen=is_time, last_seen=is_time,
        count=lambda v: is_int(v) and v > 0, text=is_text, frames=is_frames,
        display_filter=is_text, metrics=map_of(None, or_null(is_number))),
    "incident": dict(
        incident_id=is_count, server=SERVER, verdict=one_of(*VERDICTS),
        confidence=is_share, start=is_time, end=or_null(is_time),
        clients_affected=is_count, clients_seen=is_count,
        flows_affected=is_count, flows_seen=is_count,
        findings=map_of(FINDINGS, lambda n: is_int(n) and n > 0),
        offload=or_null(record(
            flows_offloaded=is_count, flows_host=is_count,
            affected_offloaded=is_count, affected_host=is_count,
            odds_ratio=is_number, p_value=is_share)),
        evidence=EVIDENCE, against=EVIDENCE, next_step=is_string,
        remedy=list_of(record(applies_to=is_text, command=is_text,
                              undo=or_null(is_text), source=or_null(is_text)))),
    "server": dict(
        server=SERVER, flows=is_count, clients=is_count, bytes=is_count,
        health=one_of("ok", "degraded", "failing", "silent"),
        offload_state=one_of("offloaded", "host", "mixed", "unknown"),
        response_times=map_of(None, record(
            p50=is_number, p95=is_number, p99=is_number, max=is_number,
            n=lambda v: is_int(v) and v > 0))),
    "flow": dict(
        src_ip=is_ip, src_port=is_count, dest_ip=is_ip, dest_port=is_count,
        proto=one_of("TCP"), app_proto=is_text, flow_id=is_count,
        community_id=lambda v: re.match(r"1:[A-Za-z0-9+/]{27}=$", v),
        flow=record(
            pkts_toserver=is_count, pkts_toclient=is_count,
            bytes_toserver=is_count, bytes_toclient=is_count, start=is_time,
            end=is_time, age=lambda v: is_number(v) and v >= 0,
            state=one_of("new", "established", "closed"),
            reason=one_of("fin", "rst", "timeout", "evicted",
                          "end_of_capture")),
        tcp=record(toserver=DIRECTION, toclient=DIRECTION),
        stack=one_of("host", "offloaded", "mixed", "unknown")),
    "capture": dict(
        packets=is_count, bytes=is_count, dropped_kernel=is_count,
        dropped_interface=is_count, lost_estimate=is_share,
        duplicates=is_count, truncated=is_count, non_ip=is_count,
        decode_errors=is_count, time_regressions=is_count,
        damaged=is_count, disordered=is_count, misdated=is_count,
        one_way_share=is_share, link_type=or_null(is_text),
        duration=lambda v: is_number(v) and v >= 0),
}
ORDER = ["flow", "finding", "incident", "server", "capture"]


def check_event(where, e):
    if not isinstance(e, dict):
        return print(where, "is no object")
    kind = e.get("event_type")
    if kind not in EVENTS:
        return print(where, "event_type", repr(kind))
    if not is_time(e.get("timestamp")):
        print(where, "timestamp", repr(e.get("timestamp")))
    for name, check in EVENTS[kind].items():
        if name not in e:
            print(where, kind, "has no", name)
        elif not check(e[name]):
            print(where, kind, name, "is", json.dumps(e[name])[:200])


events = []
for number, line in enumerate(sys.stdin.buffer, 1):
    try:
        event = json.loads(line.decode("utf-8"))
    except ValueError as why:
        print("line", number, why)
        continue
    check_event("line %d:" % number, event)
    events.append(event)
kinds = [e.get("event_type") for e in events]
if kinds.count("capture") != 1 or kinds[-1] != "capture":
    print("not one capture event, at the end:", kinds[-3:])
if kinds != sorted(kinds, key=lambda k: ORDER.index(k) if k in ORDER else -1):
    print("the kinds of events are mixed")
times = [e["timestamp"] for e in events if e.get("event_type") == "finding"]
if times != sorted(times):
    print("the findings are not in the order of time")
ids = {e.get("incident_id") for e in events if e["event_type"] == "incident"}
for e in events:
    if e["event_type"] == "finding" and e.get("incident_id") not in ids | {None}:
        print("a finding names incident", e["incident_id"], "which is not there")
END

# The check has to bite.
for line in '{"event_type":"capture","timestamp":"2007-12-16T18:06:25.6Z"}' \
    '[]' 'no json' '{"event_type":"finding"}'; do
	echo "$line" | python3 "$scratch/check.py" >"$scratch/found" 2>&1
	[ -s "$scratch/found" ] || echo "not noticed: $line"
done >"$scratch/missed"
tap_empty 'what breaks the contract is noticed' "$scratch/missed"

find "$srcdir/pcaps" -name '*.pcap' -o -name '*.pcapng' | sort >"$scratch/list"
while read -r capture; do
	{
		"$TOEWATCH" -r "$capture" -T json --flows >"$scratch/json" ||
		    echo "exit status $?"
		python3 "$scratch/check.py" <"$scratch/json" 2>&1 | head -n 20
	} >"$scratch/complaint" 2>&1
	tap_empty "${capture#"$srcdir/pcaps/"}" "$scratch/complaint"
done <"$scratch/list"
tap_end
