"""What a run found in the end, a line each, from its JSON lines: findings with
their subjects, counts and frames, and incidents with their verdicts. A live run
says a thing again when it changes: the last word counts."""

import json
import sys


def last_words(lines):
    found = {}
    for line in lines:
        event = json.loads(line)
        kind = event["event_type"]
        if kind in ("finding", "incident"):
            found[kind, event[kind + "_id"]] = event
    return [e for e in found.values() if e.get("change") != "withdrawn"]


def words(e):
    server = (e["server"] or {}).get("ip")
    if e["event_type"] == "incident":
        return ["incident", server, e["verdict"]]
    return ["finding", e["finding"], e["kind"], server, e["client_ip"],
            e.get("src_port"), e.get("dest_port"), e["severity"], e["count"],
            e["frames"]]


with open(sys.argv[1]) as file:
    for found in sorted(str(words(e)) for e in last_words(file)):
        print(found)
