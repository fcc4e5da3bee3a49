"""Scenes with the services that people reach from afar or need before all else: FTP (vsftpd,
curl), DHCP (ISC dhcpd, dhclient), remote desktops (xrdp, FreeRDP under Xvfb), PPTP (pptpd,
pptp; the PPP in the tunnel is lab/ppp.py). Debian: vsftpd, curl, isc-dhcp-server,
isc-dhcp-client, xrdp, freerdp2-x11, xvfb, xdotool, openssl, pptpd, pptp-linux."""
import asyncio
import os
import random
import re
import time

import nic
import real
import stage
from scenes import ALIVE, HEALTHY, OFFLOAD, Site, scene, want

# --- FTP -------------------------------------------------------------------------------

VSFTPD = """listen=YES
listen_address=%(ip)s
background=NO
anonymous_enable=YES
anon_root=%(root)s
no_anon_password=YES
connect_from_port_20=YES
ftp_data_port=20
pasv_min_port=5000
pasv_max_port=5100
connect_timeout=9
accept_timeout=12
data_connection_timeout=30
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
secure_chroot_dir=%(empty)s
ftpd_banner=Microsoft FTP Service
"""


def ftp_server(box, rng):
    root, empty = box.folder("/ftp", 0o755), box.folder("/empty", 0o755)
    for name, size in (("readme.txt", 900), ("update.zip", 3600)):
        with open(os.path.join(root, name), "wb") as f:
            f.write(rng.randbytes(size))
    box.start("vsftpd", box.file("vsftpd.conf", VSFTPD % {"ip": box.host.ip, "root": root, "empty": empty}, 0o600))
    box.listens(21)


class Ftp:
    """EX01 serves FTP, and fetches by FTP from a host of others (which is behind the mirror)."""

    def __init__(self, s, clients=4, **site):
        real.needs("vsftpd", "curl")
        self.site = site = Site(s, "EX01", clients + 1, **site)
        self.rng = random.Random("%s/ftp" % s.seed)
        self.other = site.people.pop()
        self.other.card = stage.Card(self.other, self.other.rng)

    def open(self):
        for host in (self.site.server, self.other):
            ftp_server(self.site.box(host), self.rng)
        self.site.open()

    async def fetches(self, client, server, mode, rng, delay, think):
        await asyncio.sleep(delay)
        ways = {"active": ("--ftp-port", "-", "--disable-eprt"), "passive": ("--disable-epsv",), "extended": ()}
        while True:
            name = rng.choice(("readme.txt", "update.zip"))
            await self.site.box(client).run("curl", "-sS", "-o", "/dev/null", "--connect-timeout", "25", "-m", "40", *ways[mode],
                                            "ftp://%s/%s" % (server.ip, name))
            await asyncio.sleep(rng.uniform(0.6, 1.4) * think)

    def traffic(self, think=14, outgoing=20, own=("active",)):
        site, spawn = self.site, self.site.stage.spawn
        for n, p in enumerate(site.people):
            mode = ("passive", "active", "extended")[n % 3]
            spawn(self.fetches(p, site.server, mode, random.Random("%s/%d" % (self.site.seed, n)), 3 + 4 * n, think))
        for n, mode in enumerate(own):
            spawn(self.fetches(site.server, self.other, mode, random.Random("%s/o%d" % (self.site.seed, n)), 5 + 6 * n, outgoing))


@scene("ftp-healthy", 821, "2023-05-09 10:00:00",
    """FTP (vsftpd, curl), active, passive and extended passive: four clients fetch from the server,
    and the server fetches from another host's FTP service in both modes. Nothing fails.""",
    [], HEALTHY)
def ftp_healthy(s):
    o = Ftp(s)
    o.open()
    o.traffic(26, 30, ("active", "passive"))
    return o.site.play(110)


@scene("ftp-passive", 822, "2023-05-09 11:15:00",
    """The same. From 50 s on SYNs to the ports that the server announces never reach it: in passive
    mode the data connection is not made, in active mode transfers work, and the control connections
    are well.""",
    [want("ftp_data_failure", 2, "passive")], ALIVE, "server_host", ["undetermined", "network_path", "server_application"],
    True, fault=50.0)
def ftp_passive(s):
    o = Ftp(s, 5)
    o.open()
    o.traffic(16, own=())
    o.site.breaks(50.0, nic.NoCallers())
    return o.site.play(130)


@scene("ftp-outgoing", 823, "2023-05-09 13:30:00",
    """The server is FTP client: it fetches from another host, in active mode. From 50 s on SYNs to its
    upper ports never reach it, so that host's data connections (from port 20) are not made and it
    says 425; passive transfers from the same host work, and the server's own FTP service in active
    mode.""",
    [want("ftp_data_failure", 2, "active")], ALIVE, "undetermined", ["network_path", "client_side", "server_host"],
    True, fault=50.0)
def ftp_outgoing(s):
    o = Ftp(s, 2)
    o.open()
    for n, p in enumerate(o.site.people):
        o.site.stage.spawn(o.fetches(p, o.site.server, "active", random.Random("%s/%d" % (s.seed, n)), 3 + 4 * n, 20))
    for n, mode in enumerate(("active", "active", "passive")):
        o.site.stage.spawn(o.fetches(o.site.server, o.other, mode, random.Random("%s/o%d" % (s.seed, n)), 5 + 6 * n, 15))
    o.site.breaks(50.0, nic.NoCallers())
    return o.site.play(130)


# --- DHCP ------------------------------------------------------------------------------

DHCPD = """authoritative;
default-lease-time 24;
max-lease-time 24;
min-lease-time 24;
subnet 10.20.30.0 netmask 255.255.255.0 { option routers 10.20.30.1; range 10.20.30.200 10.20.30.230; }
"""


class Dhcp:
    """A DHCP server whose leases are short: clients renew each ten seconds, and others come
    anew. All of it at the wall's pace, since leases run by it."""

    def __init__(self, s, clients=4, **site):
        real.needs("dhcpd", "dhclient")
        self.site = site = Site(s, "DC01", clients, **site)
        box = site.box(site.server)
        conf = DHCPD + "".join("host %s { hardware ethernet %s; fixed-address %s; }\n" % (p.name, p.mac.hex(":"), p.ip)
                               for p in site.people)
        self.argv = ("dhcpd", "-f", "-4", "-d", "-cf", box.file("dhcpd.conf", conf), "-lf", box.file("leases", ""), "eth0")

    def open(self):
        box = self.site.box(self.site.server)
        self.dhcpd = box.start(*self.argv)
        box.listens(67, udp=True)
        self.site.open(12.0, 20.0)

    async def keeps(self, p, delay):
        """A client that has a lease and keeps it."""
        await asyncio.sleep(delay)
        box = self.site.box(p)
        box.start("dhclient", "-d", "-4", "-sf", "/bin/true", "-lf", box.file("leases", ""), "-pf", box.path("pid"), "eth0")

    async def comes(self, p, rng, delay, think):
        """A client that comes anew each time."""
        await asyncio.sleep(delay)
        box = self.site.box(p)
        while True:
            await box.run("dhclient", "-1", "-d", "-4", "-sf", "/bin/true", "-lf", box.file("leases", ""), "-pf", box.path("pid"),
                          "eth0", patience=1.5)
            await asyncio.sleep(rng.uniform(0.6, 1.4) * think)

    def play(self, length, fresh=2):
        for n, p in enumerate(self.site.people):
            rng = random.Random("%s/%d" % (self.site.seed, n))
            self.site.stage.spawn(self.comes(p, rng, 1 + 3 * n, 11) if n < fresh else self.keeps(p, 1 + 3 * n))
        with self.site.stage.hold():
            return self.site.play(length)


@scene("dhcp-healthy", 831, "2023-06-05 07:40:00",
    """A DHCP server (ISC dhcpd) and its clients (dhclient): two come anew again and again, three renew
    their leases. Nothing fails.""",
    [], HEALTHY)
def dhcp_healthy(s):
    o = Dhcp(s, 5)
    o.open()
    return o.play(75)


@scene("dhcp-silent", 832, "2023-06-05 07:55:00",
    """The same. At 45 s the DHCP server's process stands still (SIGSTOP): neither renewals nor
    DISCOVERs are answered; the host answers ARP and echo.""",
    [want("dhcp_unanswered", 1)], ALIVE, "server_application", ["undetermined", "server_host"], True, fault=45.0)
def dhcp_silent(s):
    o = Dhcp(s, 5)
    o.open()
    o.site.stage.at(45.0, lambda: real.stop(o.dhcpd))
    return o.play(110)


@scene("dhcp-badsum", 833, "2023-06-05 08:10:00",
    """The same. From 45 s on the server's card spoils the UDP checksum of DHCP answers: the answers
    are on the wire, the clients' stacks and dhclient discard them and ask again.""",
    [want("checksum_discarded", 1, any_of=["checksum_discarded", "dhcp_unanswered"])],
    [n for n in ALIVE if not n.startswith("checksum_")], "checksum_offload", ["undetermined"], True, fault=45.0)
def dhcp_badsum(s):
    o = Dhcp(s, 5)
    o.open()
    o.site.breaks(45.0, nic.BadUdpSums(67))
    return o.play(110)


# --- remote desktops -------------------------------------------------------------------

class Desktops:
    """TS01, a terminal server (xrdp), and people in front of its logon window (xfreerdp on a
    display of its own, to which xdotool types). What they type goes into the window, so that
    each stroke is asked and answered."""

    def __init__(self, s, clients=4, **site):
        real.needs("xrdp", "xfreerdp", "Xvfb", "xdotool", "openssl")
        self.site = site = Site(s, "TS01", clients, **site)
        box = self.box = site.box(site.server)
        with open("/etc/xrdp/xrdp.ini") as f:
            ini = f.read()
        key, cert = box.path("key.pem"), box.path("cert.pem")
        box.do("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ts01", "-days", "3650", "-keyout", key, "-out", cert)
        for name, value in (("port", "tcp://%s:3389" % site.server.ip), ("security_layer", "tls"), ("certificate", cert),
                            ("key_file", key), ("max_bpp", "16"), ("ls_logo_filename", "/nonexistent"), ("EnableSyslog", "false"), ("LogFile", box.path("xrdp.log"))):
            ini = re.sub(r"(?m)^%s=.*" % name, "%s=%s" % (name, value), ini, count=1)
        self.conf = box.file("xrdp.ini", ini)

    def open(self):
        self.box.start("xrdp", "--nodaemon", "--config", self.conf)
        self.box.listens(3389)
        for p in self.site.people:
            self.site.box(p).over["/var/lib/xkb"] = self.site.box(p).folder("/xkb")	# its keyboard, compiled
            self.site.box(p).start("Xvfb", ":7", "-screen", "0", "640x480x16", "-nolisten", "tcp", "-noreset")
        for p in self.site.people:
            while not os.path.exists(self.site.box(p).path("/tmp") + "/.X11-unix/X7"):
                time.sleep(0.1)
        self.site.open()

    async def sits(self, p, rng, delay, think, rounds=1000, patience=15.0):
        """Connects, types now and then, leaves after some rounds and comes again."""
        await asyncio.sleep(delay)
        box = self.site.box(p)
        while True:
            with self.site.stage.hold():
                client = box.start("xfreerdp", "/v:" + self.site.server.ip, "/cert:ignore", "/sec:tls", "/size:400x300", "/bpp:16",
                                   "/u:", "/log-level:ERROR", "+auto-reconnect" if rounds < 0 else "-auto-reconnect",
                                   "/timeout:%d" % (1000 * patience), DISPLAY=":7")
                await asyncio.sleep(1.5)
            for _ in range(rounds):
                if client.poll() is not None:
                    self.site.stage.note("%s: xfreerdp ended: %s" % (p.name, box.said("xfreerdp").strip().rpartition("\n")[2]))
                    break
                await box.run("xdotool", "type", "--delay", "120", rng.choice("abcdefg") + rng.choice("hijk"), DISPLAY=":7")
                with self.site.stage.hold():
                    await asyncio.sleep(0.3)
                await asyncio.sleep(rng.uniform(0.6, 1.4) * think)
            client.kill()
            await asyncio.sleep(rng.uniform(0.6, 1.4) * think)


@scene("rdp-healthy", 841, "2023-07-11 09:00:00",
    """A terminal server (xrdp, TLS) and three clients (FreeRDP) that connect, type in its logon window
    and leave. Nothing fails.""",
    [], HEALTHY)
def rdp_healthy(s):
    o = Desktops(s, 3)
    o.open()
    for n, p in enumerate(o.site.people):
        o.site.stage.spawn(o.sits(p, random.Random("%s/%d" % (s.seed, n)), 2 + 5 * n, 12, 4))
    return o.site.play(110)


@scene("rdp-negotiation", 842, "2023-07-11 10:30:00",
    """The same; the card takes connections over as soon as they are made. From 50 s on it
    acknowledges what comes on them and the host hears nothing: FreeRDP's connection request is never
    answered. Connections that the host keeps work.""",
    [want("reply_missing", 3, "negotiation"), OFFLOAD], ALIVE, "offload_engine", fault=50.0)
def rdp_negotiation(s):
    o = Desktops(s, 6, toe={"span": (0, 0), "share": 0.45})
    o.open()
    for n, p in enumerate(o.site.people):
        o.site.stage.spawn(o.sits(p, random.Random("%s/%d" % (s.seed, n)), 2 + 4 * n, 19, 1))
    o.site.breaks(50.0, nic.Freeze())
    return o.site.play(130)


@scene("rdp-stalled", 843, "2023-07-11 14:10:00",
    """The same, clients that stay. At 75 s the card loses its connections: what is typed is
    acknowledged and nothing is drawn any more. Connections of the host's own stack go on.""",
    [want("reply_missing", 3, "silenced"), OFFLOAD], ALIVE, "offload_engine", ["undetermined"], True, fault=75.0)
def rdp_stalled(s):
    o = Desktops(s, 8, toe={"share": 0.6})
    o.open()
    for n, p in enumerate(o.site.people):
        o.site.stage.spawn(o.sits(p, random.Random("%s/%d" % (s.seed, n)), 2 + 2 * n, 9))
    o.site.breaks(75.0, nic.Freeze())
    return o.site.play(150)


# --- PPTP ------------------------------------------------------------------------------

class Tunnels:
    """VPN01, a PPTP server (pptpd), and clients (pptp) that dial in, send echoes through the
    tunnel and hang up. Control connection and GRE are those programs'."""

    def __init__(self, s, clients=4, **site):
        real.needs("pptpd", "pptp")
        self.site = site = Site(s, "VPN01", clients, **site)
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "ppp.py")) as f:
            program = f.read()
        box = self.box = site.box(site.server)
        conf = box.file("pptpd.conf", "localip 192.168.0.1\nremoteip 192.168.0.100-245\nppp %s\noption %s\nstimeout 1\n"
                        % (box.file("ppp", program, 0o755), box.file("options", "")))
        self.argv = ("pptpd", "--fg", "--conf", conf, "--listen", site.server.ip, "--pidfile", box.path("pptpd.pid"))
        for p in site.people:
            os.mkdir(site.box(p).path("/run") + "/pptp")
            site.box(p).ppp = site.box(p).file("ppp", program, 0o755)

    def open(self):
        self.box.start(*self.argv)
        self.box.listens(1723)
        self.site.open()

    async def dials(self, p, rng, delay, think, length=6.0):
        await asyncio.sleep(delay)
        box = self.site.box(p)
        while True:
            await box.run(box.ppp, "--client", "%.1f" % length, "pptp", self.site.server.ip, "--nolaunchpppd", patience=length + 34)
            await asyncio.sleep(rng.uniform(0.6, 1.4) * think)

    def people(self, think, length=6.0):
        for n, p in enumerate(self.site.people):
            self.site.stage.spawn(self.dials(p, random.Random("%s/%d" % (self.site.seed, n)), 2 + 3 * n, think, length))


class NoGre(nic.Fault):
    """The card does not pass GRE on."""
    everything = True

    def into(self, card, flow, seg):
        return [] if seg.ip and seg.proto == 47 else None


@scene("pptp-healthy", 851, "2023-08-22 18:20:00",
    """PPTP (pptpd, pptp): four clients dial in, open the link in the tunnel, send echoes and hang up,
    again and again. Nothing fails.""",
    [], HEALTHY)
def pptp_healthy(s):
    o = Tunnels(s, 4)
    o.open()
    o.people(18)
    return o.site.play(110)


@scene("pptp-800", 852, "2023-08-22 19:05:00",
    """The same; the card takes connections over as soon as they are made. From 50 s on it
    acknowledges what comes on them and the host hears nothing: the request to begin the control
    connection is never answered and no tunnel is made (Windows says error 800). Connections that
    the host keeps work.""",
    [want("reply_missing", 3, "negotiation"), OFFLOAD], ALIVE, "offload_engine", ["undetermined"], fault=50.0)
def pptp_800(s):
    o = Tunnels(s, 6, toe={"span": (0, 0), "share": 0.55})
    o.open()
    o.people(14, length=3.0)
    o.site.breaks(50.0, nic.Freeze())
    return o.site.play(130)


@scene("pptp-721", 853, "2023-08-22 20:10:00",
    """The same. From 50 s on the server's card does not pass GRE on: control connections are made,
    calls are set up, and the clients' link requests in the tunnel meet silence until they give up
    (Windows says error 721).""",
    [want("vpn_data_dead", 1)], ALIVE, "undetermined", ["network_path", "server_host", "server_application"], True, fault=50.0)
def pptp_721(s):
    o = Tunnels(s, 4)
    o.open()
    o.people(12, length=4.0)
    o.site.breaks(50.0, NoGre())
    return o.site.play(130)
