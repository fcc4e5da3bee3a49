"""openapi.py PORT LIVE_PORT ROUTES - holds web/openapi.json, as it is served,
against what the page answers: one that shows a file (PORT), one that shows made
events (LIVE_PORT). ROUTES has the paths that the program knows, one a line, '*'
for a part. What is wrong is printed; members of records that are not described,
which may be added any time, begin with "#"."""
import http.client
import json
import re
import sys

PORT, LIVE, ROUTES = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
TYPES = {"string": str, "object": dict, "array": list, "boolean": bool}
wrong, notes = set(), set()


def ask(port, path):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    c.request("GET", path)
    r = c.getresponse()
    kind = r.getheader("Content-Type").split(";")[0]
    if kind == "text/event-stream":
        body = read_events(r)
    else:
        body = r.read()
    c.close()
    return r.status, kind, body


def read_events(r):
    """Some blocks; made events come at many a second."""
    blocks, block = [], {}
    while len(blocks) < 60:
        line = r.readline().decode().rstrip("\n")
        if not line and block:
            blocks.append(block)
            if block.get("event") == "progress" and \
                    json.loads(block["data"])["state"] == "done":
                break
            block = {}
        elif ": " in line:
            key, value = line.split(": ", 1)
            block[key] = value
    return blocks


def say(*what):
    wrong.add(" ".join(str(w) for w in what))


def is_type(v, name):
    if name == "null":
        return v is None
    if name in ("number", "integer"):
        return isinstance(v, (int, float) if name == "number" else int) and \
            not isinstance(v, bool)
    return isinstance(v, TYPES[name])


class Description:
    def __init__(self, doc):
        self.doc = doc

    def resolve(self, schema):
        while "$ref" in schema:
            at = self.doc
            for part in schema["$ref"][2:].split("/"):
                at = at[part]
            schema = at
        return schema

    def fits(self, v, schema):
        return not self.complaints(v, schema, "")

    def complaints(self, v, schema, at):
        """What of `v` the schema does not describe."""
        schema = self.resolve(schema)
        if "anyOf" in schema:
            if any(self.fits(v, s) for s in schema["anyOf"]):
                return []
            return self.complaints(v, schema["anyOf"][0], at)
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        if types and not any(is_type(v, t) for t in types):
            return ["%s is %s and no %s" % (at, json.dumps(v)[:80],
                                            " or ".join(types))]
        return self.limits(v, schema, at) + self.members(v, schema, at)

    def limits(self, v, schema, at):
        found = []
        if "enum" in schema and v not in schema["enum"]:
            found.append("%s is %s, which is not listed" % (at, json.dumps(v)))
        if isinstance(v, str) and not re.search(schema.get("pattern", ""), v):
            found.append("%s is %s" % (at, json.dumps(v)[:80]))
        if is_type(v, "number") and not (schema.get("minimum", v) <= v <=
                                         schema.get("maximum", v)):
            found.append("%s is %s, out of its range" % (at, v))
        return found

    def members(self, v, schema, at):
        found = []
        if isinstance(v, list):
            for x in v:
                found += self.complaints(x, schema.get("items", {}), at + "[]")
        if not isinstance(v, dict) or schema.get("type") is None:
            return found
        known, rest = schema.get("properties", {}), schema.get(
            "additionalProperties")
        found += ["%s has no %s" % (at, k) for k in schema.get("required", [])
                  if k not in v]
        for k, x in v.items():
            if k in known:
                found += self.complaints(x, known[k], at + "." + k)
            elif rest is True:
                notes.add(at + "." + k)
            elif rest:
                found += self.complaints(x, rest, at + ".*")
            else:
                found.append("%s.%s is not described" % (at, k))
        return found


def check_answer(d, port, path, operation, asked):
    status, kind, body = ask(port, asked)
    answer = d.resolve(operation["responses"].get(str(status), {}))
    if not answer:
        return say(asked, "is answered with", status, "which is not described")
    content = answer.get("content", {})
    if kind not in content:
        return say(asked, "is", kind, "and not", list(content))
    if kind == "text/event-stream":
        return check_events(d, asked, body)
    schema = content[kind].get("schema")
    if schema:
        for what in d.complaints(json.loads(body), schema, ""):
            say(path + ":", what, "(web/openapi.json)")
    return status


def check_events(d, asked, blocks):
    schemas = {k: {"$ref": "#/components/schemas/" + v} for k, v in {
        "finding": "finding", "incident": "incident", "timeline": "timeline",
        "server": "server_record", "capture": "capture",
        "progress": "progress"}.items()}
    for b in blocks:
        if b.get("event") == "reset":
            schema = {"type": "object", "required": ["mark"], "properties": {
                "mark": {"$ref": "#/components/schemas/mark"}}}
        else:
            schema = schemas.get(b.get("event"))
        if not schema:
            say(asked, "has the event", b.get("event"))
            continue
        for what in d.complaints(json.loads(b["data"]), schema, b["event"]):
            say(asked, what, "(web/openapi.json)")
    return 200


def parameters(d, operation):
    return [d.resolve(p) for p in operation.get("parameters", [])]


def filled(path, ps, **other):
    for p in ps:
        if p["in"] == "path":
            path = path.replace("{%s}" % p["name"], other.get(p["name"],
                                                              p["example"]))
    return path


def check_path(d, path, operation):
    ps = parameters(d, operation)
    good = filled(path, ps)
    if check_answer(d, PORT, path, operation, good) != 200:
        say(good, "is not answered with 200")
    check_answer(d, LIVE, path, operation, filled(path, ps, ip="10.0.3.5",
                                                  id="40"))
    if "{" in path:
        for missing in dict(ip="10.9.9.9", id="99999999"), dict(ip="x", id="x"):
            if check_answer(d, PORT, path, operation,
                            filled(path, ps, **missing)) != 404:
                say(path, "of what is not there is not 404")
    for p in ps:
        if p["in"] != "query":
            continue
        check_answer(d, PORT, path, operation, "%s?%s=%s" % (
            good, p["name"], p["example"]))
        for value in p["schema"].get("enum", []):
            check_answer(d, PORT, path, operation, "%s?%s=%s" % (
                good, p["name"], value))
        for limit in "minimum", "maximum":
            if limit in p["schema"] and ask(PORT, "%s?%s=%d" % (
                    good, p["name"], p["schema"][limit]))[0] != 200:
                say(path, p["name"], "does not reach its", limit)
    check_refusals(d, path, good, ps)


def check_refusals(d, path, good, ps):
    named = {p["name"] for p in ps}
    every = {p["name"] for p in d.doc["components"]["parameters"].values()
             if p["in"] == "query"}
    for name in sorted(every - named) + ["nonsense"]:
        status, kind, body = ask(PORT, good + "?" + name + "=1")
        if status != 400:
            say(path, "takes", name, "which is not described")
        elif path.startswith("/api/") and list(json.loads(body)) != ["error"]:
            say(path, "refuses without a sentence")
    for p in ps:
        if p["in"] == "query" and p["schema"].get("enum") and \
                ask(PORT, good + "?" + p["name"] + "=x")[0] != 400:
            say(path, p["name"], "takes what is not listed")


def bites(d):
    """The check has to notice what breaks a description."""
    good = json.loads(ask(PORT, "/api/v1/findings/1")[2])
    schema = {"$ref": "#/components/schemas/finding"}
    for key, value in (("severity", "bad"), ("confidence", 2), ("server", 3),
                       ("first_seen", "now"), ("frames", [0]),
                       ("text", None), ("count", True)):
        if d.fits(dict(good, **{key: value}), schema):
            say("not noticed:", key, "=", value)
    good.pop("finding_id")
    if d.fits(good, schema):
        say("not noticed: no finding_id")


d = Description(json.loads(ask(PORT, "/api/v1/openapi.json")[2]))
with open(ROUTES) as f:
    known = {line.strip() for line in f}
described = {re.sub(r"\{\w+\}", "*", p) for p in d.doc["paths"]}
if known != described:
    say("described or known alone:", sorted(known ^ described))
for where, what in d.doc["paths"].items():
    check_path(d, where, what["get"])
bites(d)
for line in sorted(wrong):
    print(line)
for note in sorted(notes):
    print("# web/openapi.json does not describe", note)
