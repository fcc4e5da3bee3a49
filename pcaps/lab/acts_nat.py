"""Scenes with a box between: a NAT host (nftables masquerade) or a proxy (squid) through which
an office reaches web servers (lighttpd) outside, with curl. The mirror shows both sides of the
box, or the office's. Debian: nftables, squid, lighttpd, curl, iproute2."""
import asyncio
import os
import random

import nic
import real
import stage
from scenes import ALIVE, HEALTHY, Site, scene, want

LIGHTTPD = """server.document-root = "%(root)s"
server.port = 80
server.bind = "%(ip)s"
server.errorlog = "%(log)s"
"""
NFT = """table ip nat {
	chain post {
		type nat hook postrouting priority srcnat;
		oifname "eth1" masquerade random
	}
}
"""
SQUID = """http_port %(ip)s:8080
acl office src 10.20.30.0/24
http_access allow office
cache deny all
coredump_dir %(where)s
pid_filename %(where)s/pid
cache_log %(where)s/cache.log
access_log none
logfile_rotate 0
shutdown_lifetime 0 seconds
"""


BOX = "10.20.30.1"
WEBS = ["203.0.113.%d" % (20 + 17 * n) for n in range(3)]
SERVERS = [BOX, *WEBS]			# whose frames a mirror of one direction does not show


class Behind:
    """SBS01 with a port in the office and one outside, people behind it, web servers beyond."""

    def __init__(self, s, clients=6, proxy=False, both=True):
        real.needs("nft", "squid" if proxy else "ip", "lighttpd", "curl")
        self.site = site = Site(s, "SBS01", clients, ip="10.20.30.1")
        st = site.stage
        self.inside, self.proxy = site.server, proxy
        self.inside.card = nic.Forwarder(self.inside, self.inside.rng)
        self.outside = stage.Host(st, "SBS01-out", "203.0.113.2", "00:10:18:2a:9c:02", beside=self.inside, segment=1)
        self.outside.card = nic.Forwarder(self.outside, self.outside.rng)
        self.webs = [stage.Host(st, "WEB%d" % n, ip, "00:50:56:a1:07:%02x" % n, segment=1) for n, ip in enumerate(WEBS)]
        st.mirrored = [self.inside, self.outside] if both else [self.inside]
        rng = random.Random("%s/web" % s.seed)
        for host in self.webs:
            self.serves(host, rng)
        box = site.box(self.inside)
        if proxy:
            where = box.folder("/squid", 0o777)
            box.start("squid", "-N", "-f", box.file("squid.conf", SQUID % {"ip": self.inside.ip, "where": where}))
            box.listens(8080)
        else:
            self.inside.sysctl("net.ipv4.ip_forward", 1)
            box.do("nft", "-f", box.file("nat.nft", NFT))
            for p in site.people:
                site.box(p).do("ip", "route", "add", "default", "via", self.inside.ip)

    def serves(self, host, rng):
        box = self.site.box(host)
        root = box.folder("/web", 0o755)
        for name, size in (("index.html", 200), ("page.html", 1100)):
            with open(os.path.join(root, name), "wb") as f:
                f.write(rng.randbytes(size))
        box.start("lighttpd", "-D", "-f", box.file("lighttpd.conf", LIGHTTPD % {"root": root, "ip": host.ip, "log": box.path("log")}))
        box.listens(80)

    async def browses(self, p, rng, delay, think):
        await asyncio.sleep(delay)
        way = ("-x", "http://%s:8080" % self.inside.ip) if self.proxy else ()
        while True:
            web, page = rng.choice(self.webs), rng.choice(("index.html", "page.html"))
            await self.site.box(p).run("curl", "-sS", "-o", "/dev/null", "--connect-timeout", "21", "-m", "30", *way,
                                       "http://%s/%s" % (web.ip, page))
            await asyncio.sleep(rng.uniform(0.5, 1.5) * think)

    def open(self, think=10):
        self.site.open()
        for n, p in enumerate(self.site.people):
            self.site.stage.spawn(self.browses(p, random.Random("%s/%d" % (self.site.seed, n)), 1 + 2 * n, think))


@scene("nat-healthy", 861, "2023-09-12 10:00:00",
    """Six clients reach three web servers through a NAT host (nftables masquerade); both its sides are
    mirrored. Nothing fails.""",
    [], HEALTHY, servers=SERVERS)
def nat_healthy(s):
    o = Behind(s)
    o.open()
    return o.site.play(75)


SHOWS = """The same%s. From 35 s on one of four receive queues of the NAT host's outer card is not served:
    the answers to every fourth connection or so never get through, as chance (the port that the NAT
    takes) has it; the same clients reach the same web servers at the next try."""


@scene("nat-both", 862, "2023-09-12 10:40:00", SHOWS % "",
    [want("nat_intermittent", 3, server=BOX)], [n for n in ALIVE if n != "rss_bucket_stall"], "server_host",
    ["undetermined", "receive_side_scaling"], fault=35.0, servers=SERVERS)
def nat_both(s):
    o = Behind(s)
    o.open()
    o.site.stage.at(35.0, lambda: setattr(o.outside.card, "fault", nic.DeadQueue(2)))
    return o.site.play(130)


@scene("nat-inside", 863, "2023-09-12 11:20:00", SHOWS % ", the office's side alone mirrored",
    [want("nat_intermittent", 3, server=BOX)], [n for n in ALIVE if n != "rss_bucket_stall"], "undetermined",
    ["server_host", "network_path", "receive_side_scaling"], True, fault=35.0, servers=SERVERS)
def nat_inside(s):
    o = Behind(s, both=False)
    o.open()
    o.site.stage.at(35.0, lambda: setattr(o.outside.card, "fault", nic.DeadQueue(2)))
    return o.site.play(130)


@scene("proxy-intermittent", 864, "2023-09-12 13:10:00",
    """The office goes out through a proxy (squid). From 35 s on one of four receive queues of its inner
    card is not served: a connection to the proxy in four is not made, now this client's, now that
    one's.""",
    [want("nat_intermittent", 3, server=BOX)], [n for n in ALIVE if n != "rss_bucket_stall"], "receive_side_scaling",
    ["undetermined", "server_host"], fault=35.0, servers=SERVERS)
def proxy_intermittent(s):
    o = Behind(s, proxy=True, both=False)
    o.open()
    o.site.stage.at(35.0, lambda: setattr(o.inside.card, "fault", nic.DeadQueue(2)))
    return o.site.play(130)
