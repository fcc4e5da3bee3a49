"""Scenes with Samba: shares (smbd, smbclient) and a domain (samba as a domain controller,
members that join it, people who log on). Debian: samba, smbclient, samba-ad-dc, winbind,
krb5-user, dnsutils."""
import asyncio
import os
import random

import nic
import real
from scenes import ALIVE, HEALTHY, OFFLOAD, Site, scene, want

# What it would else share with the machine, and with others like it.
SMB_FOLDERS = """private dir = %(state)s
state directory = %(state)s
cache directory = %(state)s
lock directory = %(state)s
pid directory = /run
ncalrpc dir = %(state)s/rpc
"""

SMB_CONF = """[global]
server role = standalone server
workgroup = CONTOSO
netbios name = FS01
interfaces = eth0
bind interfaces only = yes
disable netbios = yes
server smb transports = tcp
smb ports = 445
load printers = no
""" + SMB_FOLDERS + """passdb backend = smbpasswd:%(state)s/smbpasswd
server min protocol = SMB2_02
%(more)s
[public]
path = %(share)s
read only = no
"""


def users(box, *names):
    """Accounts that the host knows."""
    with open("/etc/passwd") as f:
        known = f.read()
    box.lay("/etc/passwd", known + "".join("%s:x:%d:100::/:/bin/false\n" % (n, 6000 + i) for i, n in enumerate(names)))


class Shares:
    """FS01, a file server, and people who use it."""

    def __init__(self, s, clients=5, more="", **site):
        real.needs("smbd", "smbclient", "smbpasswd")
        self.site = site = Site(s, "FS01", clients, **site)
        box = self.box = site.box(site.server)
        rng = random.Random("%s/share" % s.seed)
        users(box, "alice")
        self.share = box.folder("/share")
        for name, size in (("letter.doc", 6100), ("offer.xls", 9800), ("plan.ppt", 21000)):
            with open(os.path.join(self.share, name), "wb") as f:
                f.write(rng.randbytes(size))
            os.chmod(f.name, 0o666)
        state = box.folder("/state", 0o755)
        self.conf = box.file("smb.conf", SMB_CONF % {"state": state, "share": self.share, "more": more})
        box.do("sh", "-c", "printf 'secret\\nsecret\\n' | smbpasswd -c %s -s -a alice" % self.conf)
        for p in site.people:
            site.box(p).put = site.box(p).file("notes.txt", rng.randbytes(5000))

    def open(self):
        self.smbd = self.box.start("smbd", "-F", "--no-process-group", "-s", self.conf, "--debug-stdout")
        self.box.listens(445)
        self.site.open()

    async def stays(self, p, rng, delay, think, name="letter.doc", patience=14.0):
        """Somebody has the share open and fetches a file now and then; when that takes too
        long, the program is ended and begun again."""
        await asyncio.sleep(delay)
        box = self.site.box(p)
        while True:
            client = box.talk("smbclient", "//%s/public" % self.site.server.ip, "-U", "alice%secret", "-s", "/dev/null")
            while await box.ask(client, rng.choice(("get %s /dev/null", "ls", "get %s /dev/null")).replace("%s", name), patience):
                await asyncio.sleep(rng.uniform(0.6, 1.4) * think)
            client.kill()
            await asyncio.sleep(rng.uniform(2, 5))

    async def visit(self, p, commands, patience=45.0):
        box = self.site.box(p)
        return await box.run("smbclient", "//%s/public" % self.site.server.ip, "-U", "alice%secret", "-s", "/dev/null",
                             "-t", "%d" % patience, "-c", commands, patience=patience)

    async def works(self, p, rng, delay, think, commands=None, patience=45.0):
        """Somebody opens the share now and then, looks, reads and writes."""
        await asyncio.sleep(delay)
        box = self.site.box(p)
        while True:
            name = rng.choice(("letter.doc", "offer.xls", "plan.ppt"))
            await self.visit(p, commands or "ls; get %s /dev/null; put %s %s.txt; ls" % (name, box.put, p.name), patience)
            await asyncio.sleep(rng.uniform(0.6, 1.4) * think)


MEMBER = """[global]
security = ads
realm = CONTOSO.TEST
workgroup = CONTOSO
netbios name = %(name)s
disable netbios = yes
""" + SMB_FOLDERS + """kerberos method = secrets only
"""
KRB5 = """[libdefaults]
default_realm = CONTOSO.TEST
dns_lookup_realm = false
dns_lookup_kdc = true
rdns = false
"""
SECRET = "Secret-2023"


class Domain:
    """DC01, a domain controller with DNS, and computers that join its domain and are
    logged on to."""

    def __init__(self, s, clients=4, **site):
        real.needs("samba", "samba-tool", "net", "kinit", "smbclient", "dig")
        self.site = site = Site(s, "DC01", clients, **site)
        box = self.box = site.box(site.server)
        self.state = box.folder("/dc", 0o755)
        self.names = "nameserver %s\nsearch contoso.test\n" % site.server.ip
        box.lay("/etc/resolv.conf", self.names)
        box.do("samba-tool", "domain", "provision", "--realm=CONTOSO.TEST", "--domain=CONTOSO", "--server-role=dc",
               "--dns-backend=SAMBA_INTERNAL", "--adminpass=" + SECRET, "--host-ip=" + site.server.ip, "--host-name=dc01",
               "--targetdir=" + self.state, "--option=interfaces=eth0", "--option=bind interfaces only=yes",
               "--option=disable netbios=yes", "--option=load printers=no")
        self.conf = {}
        for p in site.people:
            member = site.box(p)
            member.lay("/etc/resolv.conf", self.names)
            member.env["KRB5_CONFIG"] = member.file("krb5.conf", KRB5)
            self.conf[p] = member.file("smb.conf", MEMBER % {"name": p.name, "state": member.folder("/state", 0o755)})

    def open(self):
        self.samba = self.box.start("samba", "-i", "-M", "standard", "--no-process-group", "-s", self.state + "/etc/smb.conf",
                                    "--debug-stdout", "-d", "1")
        self.box.listens(53, 88, 135, 389, 445)
        self.box.listens(53, 88, 389, udp=True)
        self.site.open()

    async def joins(self, p, patience=60.0):
        """A computer becomes a member: it finds a DC (DNS SRV, CLDAP), gets tickets, makes its
        account (LDAP, SAMR over SMB)."""
        return await self.site.box(p).run("net", "ads", "join", "-s", self.conf[p], "-U", "Administrator%" + SECRET,
                                          "--no-dns-updates", patience=patience) == 0

    async def logs_on(self, p, patience=40.0):
        """Somebody logs on: a DC is found, tickets are got, the secure channel is tried
        (Netlogon), the logon script is looked for."""
        box, conf = self.site.box(p), self.conf[p]
        for argv in (("net", "ads", "lookup", "-s", conf), ("sh", "-c", "echo %s | kinit Administrator" % SECRET),
                     ("net", "rpc", "testjoin", "-s", conf),
                     ("smbclient", "//dc01.contoso.test/netlogon", "-s", conf, "--use-kerberos=required", "-c", "ls")):
            if await box.run(*argv, patience=patience) != 0:
                return False
            await asyncio.sleep(0.3)
        return True

    async def day(self, p, rng, delay, think, **patience):
        """A computer joins, and then people log on to it."""
        await asyncio.sleep(delay)
        joined = False
        while True:
            if not joined:
                joined = await self.joins(p, **patience)
            else:
                await self.logs_on(p, **patience)
            await asyncio.sleep(rng.uniform(0.6, 1.4) * think)


@scene("smb-healthy", 801, "2023-03-14 09:12:00",
    """A file server (smbd) and three clients (smbclient, SMB 3.1.1): negotiation, sessions, directory
    lists, files read and written. Most connections are offloaded; nothing fails.""",
    [OFFLOAD], HEALTHY)
def smb_healthy(s):
    o = Shares(s, 3)
    o.open()
    for n, p in enumerate(o.site.people):
        o.site.stage.spawn(o.works(p, random.Random("%s/%d" % (s.seed, n)), 4 + 9 * n, 38, "ls; get letter.doc /dev/null; "
                                   "put %s note.txt; ls; rm note.txt" % o.site.box(p).put if n else None))
    return o.site.play(110)


@scene("smb-negotiation", 802, "2023-03-14 10:02:00",
    """The same file server; its card takes connections over as soon as they are made. From 60 s on
    it acknowledges what comes on them and the host hears nothing: smbclient's negotiation is never
    answered. Connections that the host keeps work.""",
    [want("reply_missing", 3, "negotiation"), OFFLOAD], ALIVE, "offload_engine", fault=60.0)
def smb_negotiation(s):
    o = Shares(s, 6, toe={"span": (0, 0), "share": 0.55})
    o.open()
    for n, p in enumerate(o.site.people):
        o.site.stage.spawn(o.works(p, random.Random("%s/%d" % (s.seed, n)), 3 + 4 * n, 16, "ls", 12.0))
    o.site.breaks(60.0, nic.Freeze())
    return o.site.play(130)


@scene("smb-frozen", 803, "2023-03-14 11:20:00",
    """People keep the share open and fetch files. From 50 s on an offloaded connection freezes once
    its card has sent 4000 bytes more, in the midst of a transfer: what comes is acknowledged,
    nothing is sent. New connections work until they have been used that much.""",
    [want("reply_missing", 3, any_of=["reply_missing"]), OFFLOAD], ALIVE, "offload_engine", fault=50.0)
def smb_frozen(s):
    o = Shares(s, 7, toe={"share": 0.6})
    o.open()
    for n, p in enumerate(o.site.people):
        o.site.stage.spawn(o.stays(p, random.Random("%s/%d" % (s.seed, n)), 3 + 4 * n, 21))
    o.site.breaks(50.0, nic.FreezesInTransfer(4000))
    return o.site.play(130)


@scene("domain-healthy", 811, "2023-04-18 08:40:00",
    """A domain controller (samba) with DNS. Two computers join the domain (net ads join: DNS SRV,
    CLDAP, Kerberos, LDAP, SAMR over SMB) and people log on to them (kinit, Netlogon, the netlogon
    share). Nothing fails.""",
    [OFFLOAD], HEALTHY)
def domain_healthy(s):
    o = Domain(s, 2)
    o.open()
    for n, p in enumerate(o.site.people):
        o.site.stage.spawn(o.day(p, random.Random("%s/%d" % (s.seed, n)), 4 + 11 * n, 36))
    return o.site.play(75)


@scene("domain-join", 812, "2023-04-18 10:10:00",
    """Two computers join the domain and are logged on to. From 50 s on the server's card takes
    nothing in on connections that it carries, and it carries those to LDAP and SMB: no
    acknowledgement, no answer. Two more computers cannot join the domain; DNS, the LDAP ping,
    Kerberos and the connections that the host keeps are well.""",
    [want("flow_blackholed", 2), OFFLOAD], ALIVE, "offload_engine", ["undetermined"], fault=50.0)
def domain_join(s):
    o = Domain(s, 4, toe={"ports": (389, 445), "share": 0.7, "span": (6, 10)})
    o.open()
    for n, p in enumerate(o.site.people):
        late = 52 + 3 * n if n > 1 else 4 + 9 * n
        o.site.stage.spawn(o.day(p, random.Random("%s/%d" % (s.seed, n)), late, 22 if n < 2 else 9, patience=30.0))
    o.site.breaks(50.0, nic.Deaf())
    return o.site.play(105)


@scene("logon-kdc", 813, "2023-04-19 08:31:00",
    """Three computers join the domain and people log on. From 70 s on the KDC's process stands still
    (SIGSTOP): Kerberos over UDP gets no answer, over TCP an acknowledgement and no answer; DNS, the
    LDAP ping and SMB are well. Nobody can log on.""",
    [want("logon_slow", 1, any_of=["logon_slow", "reply_missing"]), OFFLOAD], ALIVE, "server_application",
    ["undetermined", "server_host"], True, fault=70.0)
def logon_kdc(s):
    o = Domain(s, 3)
    o.open()
    for n, p in enumerate(o.site.people):
        o.site.stage.spawn(o.day(p, random.Random("%s/%d" % (s.seed, n)), 4 + 7 * n, 46, patience=25.0))
    o.site.stage.at(70.0, real.stop, o.samba, "[kdc")	# task[kdc]; conn[kdc_tcp] once it was used
    return o.site.play(150)
