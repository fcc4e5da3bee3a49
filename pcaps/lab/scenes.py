"""The scenes: who is on stage, what they do, what breaks and when. A scene is a function
that plays and gives back its stage; the decorator says what its capture shows, for
people (MANIFEST) and for tests (truth.json)."""
import calendar
import os
import random
import time

import nic
import office
import real
import stage

MAKERS = ("00:14:22", "00:11:0a", "00:13:20", "00:16:d4", "00:1e:c9", "00:0c:29", "00:19:d1")


def when(text):
    """Seconds since 1970 of a UTC time "2008-03-18 10:38:40"."""
    day, clock = text.split()
    return calendar.timegm(tuple(int(x) for x in day.split("-") + clock.split(":")) + (0, 0, 0))


SCENES = {}
HEALTHY = ("keepalive_unanswered orphaned_session flow_blackholed reply_missing rpc_stall checksum_discarded "
           "zero_window_stall window_collapse sequence_violation option_violation connect_failure server_silent "
           "host_stack_dead server_restart rss_bucket_stall session_leak dhcp_unanswered vpn_data_dead ftp_data_failure "
           "logon_slow nat_intermittent handover_violation sack_hole_unfilled burst_lost_whole merged_forwarding "
           "egress_dead stale_neighbor rpc_fragment_stuck throughput_collapse").split()
ALIVE = ("server_silent host_stack_dead checksum_discarded checksum_unresolved checksum_artifact server_restart "
         "rss_bucket_stall merged_forwarding egress_dead stale_neighbor rpc_fragment_stuck").split()


class Scene:
    def __init__(self, play, name, seed, start, shows, truth, fault, servers, snap, nano):
        self.play, self.name, self.seed, self.start = play, name, seed, when(start)
        self.shows, self.truth, self.fault = " ".join(shows.split()), truth, fault
        self.servers, self.snap, self.nano = list(servers), snap, nano
        self.where = "."		# the folder of the captures


def want(finding, count=1, kind=None, server="10.20.30.5", any_of=None):
    q = {"finding": finding, "min_count": count}
    for key, value in (("kind", kind), ("server", server), ("any_of", any_of)):
        if value:
            q[key] = value
    return q


OFFLOAD = want("offload_active", 1, "ip_id_range")


def scene(name, seed, start, shows, find=(), never=(), verdict=None, also=(), optional=False, fault=None, servers=("10.20.30.5",),
          capture=None, snap=65535, nano=False):
    """seed: of every choice. start, fault: when the scene begins, and (seconds later) what
    breaks. shows: what happens. find, never, verdict: what an analysis must (not) say of it."""
    truth = {"incidents": [], "findings_required": list(find), "findings_forbidden": list(never)}
    if verdict:
        i = {"server": servers[0], "verdict": verdict, "also_acceptable": list(also)}
        truth["incidents"].append(dict(i, optional=True) if optional else i)
    if capture:
        truth["capture"] = capture

    def keep(play):
        SCENES[name] = Scene(play, name, seed, start, shows, truth, fault, servers, snap, nano)
        return play
    return keep


class Office:
    """A server (or two), clients and what they commonly do."""

    def __init__(self, scene, clients=7, toe=None, second=False, sysctl=None, vnet=False,
                 client_vnet=False, mac="00:10:18:2a:9c:01", **store):
        self.seed = seed = scene.seed
        self.stage = stage.Stage(seed, scene.start)
        self.rng = random.Random("%s/office" % seed)
        self.ex1 = self.machine("EX01", "10.20.30.5", mac, sysctl, vnet)
        self.ex1.card = nic.Toe(self.ex1, self.ex1.rng, **dict({"share": 0.78, "span": (8, 16)}, **(toe or {})))
        self.ex2 = None
        if second:
            self.ex2 = self.machine("EX02", "10.20.30.6", "00:0e:0c:71:b4:3e", sysctl)
            self.ex2.card = nic.Toe(self.ex2, self.ex2.rng, share=0)
        self.people = []
        for n, last in enumerate(sorted(self.rng.sample(range(40, 190), clients))):
            mac = "%s:%02x:%02x:%02x" % ((MAKERS[n % len(MAKERS)],) + tuple(self.rng.randrange(256) for _ in range(3)))
            host = stage.Host(self.stage, "WS%03d" % last, "10.20.30.%d" % last, mac, sysctl, vnet=client_vnet)
            host.card = nic.Xp(host, host.rng)
            self.people.append(office.person(host, None))
        self.stage.mirrored = [h for h in (self.ex1, self.ex2) if h]
        self.store = office.Store(self.ex1, **store)

    def machine(self, name, ip, mac, sysctl, vnet=False):
        return office.machine(stage.Host(self.stage, name, ip, mac, sysctl, vnet=vnet))

    @property
    def servers(self):
        return [h for h in (self.ex1, self.ex2) if h]

    async def services(self, host, rcvbuf=None):
        host.doors = {}
        for port, program in ((445, office.files), (443, office.secure), (3389, office.terminal), (80, office.web)):
            host.doors[port] = await office.serve(host, port, program, (rcvbuf or {}).get(port))
        await office.names(host)

    def open(self, rcvbuf=None):
        run = self.stage.loop.run_until_complete
        self.stage.open()
        run(self.store.open())
        for host in self.servers:
            run(self.services(host, rcvbuf))

    def start(self, program, upto=20.0):
        """Begin a client program some time in the first `upto` seconds."""
        self.stage.spawn(program.run(self.rng.uniform(0.2, upto)))
        return program

    def background(self, ping=45.0, arp=40.0, dns=60.0, probes=30.0):
        """Echo, ARP, name queries and keep-alives, so that every host is heard of."""
        some = self.people
        if probes:
            self.stage.spawn(office.probing(some, probes, random.Random("%s/k" % self.seed)))
        self.stage.spawn(office.ping(some[0], self.ex1, ping, random.Random("%s/p1" % self.stage.seed)))
        if self.ex2:
            self.stage.spawn(office.ping(some[1], self.ex2, ping * 1.5, random.Random("%s/p2" % self.stage.seed)))
        for n, host in enumerate(some[2:5]):
            self.stage.spawn(office.who_has(host, self.ex1, arp * 2, random.Random("%s/a%d" % (self.stage.seed, n))))
        for n, host in enumerate(some[4:6]):
            self.stage.spawn(office.lookups(host, self.ex2 or self.ex1, dns, random.Random("%s/d%d" % (self.stage.seed, n))))

    def everyday(self, think=1.0, patience=None):
        """Every client has Outlook and one or two programs more."""
        people, ex1, ex2 = self.people, self.ex1, self.ex2 or self.ex1
        for n, p in enumerate(people):
            weary = patience[n % len(patience)] if patience else None
            self.start(office.Outlook(p, ex1, self.store, 22 * think, weary), 40)
        for n, p in enumerate(people):
            if n % 3 == 0:
                self.start(office.Files(p, ex1, 26 * think))
            if n % 4 == 1:
                self.start(office.Secure(p, ex1, think=24 * think))
            if n % 5 == 2:
                self.start(office.Terminal(p, ex1, think=20 * think))
            if n % 7 == 3:
                self.start(office.Web(p, ex1, "poll"))
            if n % 4 == 2:
                self.start(office.Web(p, ex1, "page", 55 * think))
            if n % 4 == 3:
                self.start(office.Files(p, ex2, 34 * think))
            if n % 5 == 4:
                self.start(office.Secure(p, ex2, think=40 * think))




    def offloaded(self):
        return {f for f in self.ex1.card.flows.values() if f.offloaded}

    def breaks(self, when, fault):
        """From `when` on the server's card has this fault (None: it is well again)."""
        def now():
            self.ex1.card.fault = fault
            self.stage.note("fault: %d offloaded connections" % len(self.offloaded()))
        self.stage.at(when, now)

    def play(self, length):
        self.stage.play(length)
        return self.stage

class Site:
    """A server with a card that can offload, and clients; what runs on them is real (real.py)."""

    def __init__(self, scene, name, clients, toe=None, ip="10.20.30.5", sysctl=None):
        self.seed = seed = scene.seed
        self.stage = stage.Stage(seed, scene.start)
        self.rng = random.Random("%s/site" % seed)
        self.server = stage.Host(self.stage, name, ip, "00:10:18:2a:9c:01", sysctl)
        self.server.card = nic.Toe(self.server, self.server.rng, **dict({"share": 0.8, "span": (6, 12)}, **(toe or {})))
        self.people = []
        for n, last in enumerate(sorted(self.rng.sample(range(40, 190), clients))):
            mac = "%s:%02x:%02x:%02x" % ((MAKERS[n % len(MAKERS)],) + tuple(self.rng.randrange(256) for _ in range(3)))
            host = stage.Host(self.stage, "WS%03d" % last, "10.20.30.%d" % last, mac, sysctl)
            host.card = nic.Xp(host, host.rng)
            self.people.append(host)
        self.stage.mirrored = [self.server]
        self.boxes = {}

    def box(self, host):
        if host not in self.boxes:
            self.boxes[host] = real.Box(host)
        return self.boxes[host]

    def open(self, ping=30.0, arp=40.0):
        """The switch works from here on, and every host is heard of now and then."""
        self.stage.clock.zero = time.monotonic()
        self.stage.open()
        for n, host in enumerate(self.people[:3]):
            self.stage.spawn(office.who_has(host, self.server, arp, random.Random("%s/a%d" % (self.seed, n))))
        self.stage.spawn(office.ping(self.people[0], self.server, ping, random.Random("%s/p" % self.seed)))

    def breaks(self, when, fault):
        def now():
            self.server.card.fault = fault
            self.stage.note("fault: %d offloaded connections" % sum(f.offloaded for f in self.server.card.flows.values()))
        self.stage.at(when, now)

    def play(self, length):
        self.stage.play(length)
        return self.stage



def write(name, path):
    """Play a scene (or derive it from another's capture) and write it."""
    made = SCENES[name]
    made.where = os.path.dirname(path) or "."
    played = made.play(made)
    if isinstance(played, stage.Stage):
        start, frames, notes = played.clock.start, played.taken, played.notes
    else:
        start, frames, notes = made.start, played, ["derived from healthy-office.pcap"]
    real.close()
    stage.save(path, frames, start, made.snap, made.nano)
    print("%s: %d packets, %d bytes, %.0f s" % (path, len(frames), os.path.getsize(path), frames[-1][0]))
    for line in notes:
        print("  " + line)
