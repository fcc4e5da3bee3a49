"""prompt.py RECORDS COLLECTED WITHIN SENT... - was each finding at each sink within
WITHIN seconds of its last evidence packet?

RECORDS: a live run's JSON lines. COLLECTED: what collect.py noted. SENT: when each
frame was sent (send -t). The first record of each finding counts: its last_seen is
when the sniffer saw its last evidence, which has to be a moment when a frame was
sent (or when a wait was over), and from then on the time runs. What is wrong is printed; the figures go to
standard error."""
import bisect
import json
import sys
from datetime import datetime

# What these are made of may end with a wait that was too long, not with a frame.
SILENCE = {"reply_missing", "orphaned_session"}
within = float(sys.argv[3])
sent = sorted(float(line) for path in sys.argv[4:] for line in open(path))


def sent_at(e):
    """When the last evidence of a finding was sent."""
    t = datetime.fromisoformat(e["last_seen"].replace("Z", "+00:00")).timestamp()
    i = bisect.bisect(sent, t + 0.000001)
    # a frame that was sent before t was seen at t
    if not i or t - sent[i - 1] > 0.25:
        if e["finding"] not in SILENCE:
            print(f"{e['finding']} {e['finding_id']}: no frame was sent at",
                  e["last_seen"])
        return t
    return sent[i - 1]


first = {}
for line in open(sys.argv[1]):
    e = json.loads(line)
    if e["event_type"] == "finding":
        first.setdefault(e["finding_id"], e)
due, by_name = {}, {}
for e in first.values():
    due[e["finding_id"]] = sent_at(e)
    by_name.setdefault(e["finding"], []).append(due[e["finding_id"]])

arrived, names = {}, set()
for line in open(sys.argv[2]):
    at, name, kind, number, finding = line.split()
    names.add(name)
    if kind == "finding":
        arrived.setdefault((name, finding, int(number)), float(at))
took = {}
for name in names:
    for e in first.values():
        key = name, e["finding"], e["finding_id"]
        since = due[e["finding_id"]]
        if name.startswith("metrics"):
            # so many by then: it numbers none
            n = sum(t <= since for t in by_name[e["finding"]])
            at = min((t for (k, f, m), t in arrived.items()
                      if k == name and f == e["finding"] and m >= n),
                     default=None)
        else:
            at = arrived.get(key)
        if at is None:
            print(*key, "never came")
        else:
            took.setdefault(name, []).append((at - since, e["finding"]))
            if at - since > within:
                print(*key, f"came {at - since:.3f} s after its evidence")
if len(by_name) < 3:
    print("too few kinds of findings:", *by_name)
for name, list_ in sorted(took.items()):
    worst = max(list_)
    list_.sort()
    print(f"# {name}: {len(list_)} findings, median "
          f"{list_[len(list_) // 2][0]:.2f} s, last {worst[0]:.2f} s ({worst[1]})",
          file=sys.stderr)
