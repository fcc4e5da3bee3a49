"""What is promised of the captures of real services (acts_share, acts_remote, acts_nat), for
verify.py. Each check gives back what it found, in words, or asserts."""
import collections
import socket

import check
import prove
import stage

CHECKS, checks = prove.table()


def sound(c):
    """Nothing was sent twice, nothing reset without need."""
    again = c.shark("tcp.analysis.retransmission || tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment")
    assert not again, "%d sent twice or missing" % again
    return "no segment sent twice, none missing"


def count(c, what, sign=None, before=None):
    return c.shark("(%s) && %s" % (what, c.since(sign, c.fault if before is None else before)) if sign else what)


def mute(c):
    """(offloaded, kept): flows with a request after the fault that was acknowledged and never answered."""
    hit = [f for f in c.all if check.ending(f, c.end, 5.0)[0] == "acknowledged, no answer"
           and check.ending(f, c.end, 5.0)[1] >= c.fault - 1]
    return [f for f in hit if f in c.up], [f for f in hit if f not in c.up]


def well(c, since):
    """Flows whose request after `since` was answered."""
    out = []
    for f in c.all:
        ask = [s for s in f.segs if not s.down and s.len > 1 and s.time > since]
        if ask and any(s.down and s.len > 1 and s.time > ask[0].time for s in f.segs):
            out.append(f)
    return out


def people(flows):
    return len({f.key[0] for f in flows})


@checks("smb-healthy")
def smb(c):
    ask, got = count(c, "smb2.flags.response==0"), count(c, "smb2.flags.response==1")
    files = count(c, "smb2.cmd==8 && smb2.flags.response==1"), count(c, "smb2.cmd==9 && smb2.flags.response==1")
    assert ask > 100 and min(files) >= 3
    return ["%d SMB2 requests, %d answers; %d sessions; %d answers to READ, %d to WRITE" %
            (ask, got, count(c, "smb2.cmd==1 && smb2.flags.response==1 && smb2.nt_status==0"), *files), sound(c)]


@checks("smb-negotiation", "rdp-negotiation", "pptp-800")
def negotiation(c):
    up, kept = mute(c)
    first = [f for f in up if not any(s.down and s.len for s in f.segs)]
    live = [f for f in well(c, c.fault) if f.segs[0].time > c.fault]
    assert all(any(s.down and s.len for s in f.segs) for f in kept)
    assert len(first) >= 4 and people(first) >= 3 and len(live) >= 2 and not any(f in c.up for f in live)
    return ["%d connections of %d clients made after %.0f s: their first request acknowledged by packets in the upper half, no "
            "byte of an answer" % (len(first), people(first), c.fault),
            "%d connections made after it, of the lower half, are answered" % len(live)]


@checks("smb-frozen")
def frozen(c):
    hit = []
    for f in c.up:
        last = [s for s in f.segs if s.down and s.len]
        shut = next((s.time for s in f.segs if not s.down and (s.fin or s.rst)), None)
        if last and last[-1].time > c.fault and shut and shut - last[-1].time > 8 and last[-1].len == 1460:
            hit.append(f)
    live = [f for f in well(c, c.fault + 20) if f not in c.up]
    assert len(hit) >= 3 and people(hit) >= 2 and live
    return ["%d offloaded connections of %d clients: nothing follows a full segment of an answer to READ until the client ends "
            "the connection" % (len(hit), people(hit)), "%d connections of the lower half go on" % len(live)]


STEPS = (("DNS SRV answers", "dns.qry.type==33 && dns.flags.response==1"), ("CLDAP answers", "cldap && udp.srcport==389"),
         ("Kerberos answers", "kerberos && (tcp.srcport==88 || udp.srcport==88)"),
         ("LDAP answers", "ldap && tcp.srcport==389"), ("SMB2 answers", "smb2.flags.response==1"),
         ("Netlogon answers", "rpc_netlogon && dcerpc.pkt_type==2"))


@checks("domain-healthy")
def domain(c):
    got = [(what, count(c, how)) for what, how in STEPS]
    assert all(n >= 4 for _, n in got), got
    return [", ".join("%d %s" % (n, what) for what, n in got), sound(c)]


@checks("domain-join")
def join(c):
    dead = []
    for f in c.up:
        sent = collections.Counter(s.seq for s in f.segs if not s.down and s.len and s.time > c.fault)
        if any(n >= 3 and not any(s.down and stage.after(s.ack, seq) for s in f.segs if s.flags & 16) for seq, n in sent.items()):
            dead.append(f)
    live = [(what, count(c, how, ">")) for what, how in STEPS[:3]]
    assert len(dead) >= 5 and people(dead) >= 3 and all(n >= 3 for _, n in live)
    return ["%d offloaded connections of %d clients to ports %s: data sent three times and more, never acknowledged"
            % (len(dead), people(dead), ", ".join(str(p) for p in sorted({f.key[2] for f in dead}))),
            "after %.0f s %s" % (c.fault, ", ".join("%d %s" % (n, what) for what, n in live)),
            "%d connections of the lower half answered after it" % len([f for f in well(c, c.fault) if f not in c.up])]


@checks("logon-kdc")
def kdc(c):
    asked = count(c, "kerberos && (tcp.dstport==88 || udp.dstport==88)", ">")
    answers = count(c, STEPS[2][1], "<"), count(c, STEPS[2][1], ">")
    live = [(what, count(c, how, ">")) for what, how in STEPS[:2]]
    assert asked >= 6 and answers[0] >= 10 and not answers[1] and all(n for _, n in live)
    return ["%d Kerberos answers before %.0f s, none after it to %d requests" % (answers[0], c.fault, asked),
            "after it %s" % ", ".join("%d %s" % (n, what) for what, n in live)]


def data_syns(c, how):
    """(SYNs of data connections after the fault, SYN-ACKs to them)"""
    return (count(c, "tcp.flags.syn==1 && tcp.flags.ack==0 && " + how, ">"),
            count(c, "tcp.flags.syn==1 && tcp.flags.ack==1 && " + how.replace("srcport", "\0").replace("dstport", "srcport")
                  .replace("\0", "dstport").replace("ip.src", "\0").replace("ip.dst", "ip.src").replace("\0", "ip.dst"), ">"))


@checks("ftp-healthy", "ftp-passive", "ftp-outgoing")
def ftp(c):
    own = "ip.src==%s" % c.server
    facts = ["%d transfers completed by it, %d that it fetched elsewhere; %d PORT, %d PASV or EPSV" % (
        count(c, "ftp.response.code==226 && " + own), count(c, "ftp.response.code==226 && ip.dst==" + c.server),
        count(c, 'ftp.request.command=="PORT"'), count(c, 'ftp.request.command=="PASV" || ftp.request.command=="EPSV"'))]
    if c.name == "ftp-healthy":
        assert not count(c, "ftp.response.code==425")
        return facts + [sound(c)]
    how = "tcp.dstport>=5000 && tcp.dstport<=5100 && ip.dst==" if c.name == "ftp-passive" else "tcp.srcport==20 && ip.dst=="
    syns, answers = data_syns(c, how + c.server)
    good = count(c, "ftp.response.code==226", ">")
    assert syns >= 12 and not answers and good >= 3
    facts.append("after %.0f s %d SYNs of data connections to it, none answered; %d other transfers completed" % (c.fault, syns, good))
    if c.name == "ftp-outgoing":
        bad = count(c, "ftp.response.code==425 && ip.dst==" + c.server, ">")
        assert bad >= 3
        facts.append("%d answers 425 to it" % bad)
    return facts


@checks("dhcp-healthy", "dhcp-silent", "dhcp-badsum")
def dhcp(c):
    asks, got = count(c, "dhcp.type==1"), count(c, "dhcp.type==2")
    facts = ["%d DHCP requests, %d answers, %d of the requests unicast" % (asks, got, count(c, "dhcp.type==1 && eth.dst!=ff:ff:ff:ff:ff:ff"))]
    if c.name == "dhcp-healthy":
        assert asks == got
    elif c.name == "dhcp-silent":
        late = count(c, "dhcp.type==1", ">"), count(c, "dhcp.type==2", ">")
        assert late[0] >= 12 and not late[1]
        facts.append("after %.0f s %d requests, no answer" % ((c.fault,) + late[:1]))
    else:
        bad = len(check.tshark(c.path, "-o", "udp.check_checksum:TRUE", "-Y", "udp.checksum.status==0 && udp.srcport==67"))
        late = count(c, "dhcp.type==2", ">")
        assert bad == late >= 10 and count(c, "dhcp.type==1", ">") > 15
        facts.append("%d answers after %.0f s, all with a wrong UDP checksum; %d requests meanwhile" % (late, c.fault, count(c, "dhcp.type==1", ">")))
    return facts


@checks("rdp-healthy")
def rdp(c):
    asks, got = count(c, "rdp.neg_type==1"), count(c, "rdp.neg_type==2")
    assert asks == got >= 6
    return ["%d connection requests, %d confirmed; %d TLS records of data" % (asks, got, count(c, "tls.record.content_type==23")), sound(c)]


@checks("rdp-stalled")
def stalled(c):
    up = [f for f in c.up if not any(s.down and s.len and s.time > c.fault for s in f.segs)]
    strokes = [sum(1 for s in f.segs if not s.down and s.len > 1 and s.time > c.fault) for f in up]
    live = well(c, c.fault + 20)
    assert len(up) >= 4 and min(strokes) >= 10 and live and not any(f in c.up for f in live)
    assert all(check.ending(f, c.end)[0] == "acknowledged, no answer" for f in up)
    return ["%d offloaded sessions: %d to %d segments from the client after %.0f s, all acknowledged, nothing comes back"
            % (len(up), min(strokes), max(strokes), c.fault), "%d sessions of the lower half are answered" % len(live)]


@checks("pptp-healthy", "pptp-721")
def pptp(c):
    begun = count(c, "pptp.control_message_type==1"), count(c, "pptp.control_message_type==2")
    calls = count(c, "pptp.control_message_type==8")
    assert begun[0] == begun[1] >= 8 and calls >= 8
    facts = ["%d control connections begun and granted, %d calls set up" % (begun[0], calls)]
    to, back = "gre && ip.dst==" + c.server, "gre && ip.src==" + c.server
    if c.name == "pptp-healthy":
        assert count(c, "ppp && icmp && ip.src==192.168.0.1") >= 20
        return facts + ["%d GRE packets to the server, %d back; %d echoes answered in the tunnel" %
                        (count(c, to), count(c, back), count(c, "icmp.type==0 && ip.src==192.168.0.1"))]
    asked = count(c, "gre && lcp && ip.dst==" + c.server, ">")
    late = count(c, "gre && pptp", ">")
    assert asked >= 20 and count(c, "pptp.control_message_type==8", ">") >= 4
    return facts + ["after %.0f s %d calls set up, %d link requests in GRE to the server, %d of its own" % (
        c.fault, count(c, "pptp.control_message_type==8", ">"), asked, count(c, "gre && lcp && ip.src==" + c.server, ">") + late)]


def attempts(c, inside=True):
    """Each connection of the office (or of the NAT's outer address): (client, first SYN, was it answered)."""
    tries, answered = {}, set()
    for _, t, s in c.segs:
        if not s.tcp or not s.syn:
            continue
        if s.flags & 16:
            answered.add(s.back + (s.ack - 1 & 0xFFFFFFFF,))
        elif (s.src[:3] == socket.inet_aton("10.20.30.0")[:3]) == inside:
            tries.setdefault(s.key + (s.seq,), t)
    return [(key, t, key in answered) for key, t in tries.items()]


@checks("nat-healthy", "nat-both", "nat-inside", "proxy-intermittent")
def nat(c):
    near, far = attempts(c), attempts(c, False)
    dead = [x for x in near if not x[2]]
    facts = ["%d connections of the office, %d of them made" % (len(near), len(near) - len(dead))]
    if c.name == "nat-healthy":
        assert not dead and len(far) == len(near)
        return facts + ["each goes out under the NAT's address with the same sequence number", sound(c)]
    both = {k[0] for k, t, ok in near if not ok} & {k[0] for k, t, ok in near if ok and t > c.fault}
    assert len(dead) >= 5 and all(t > c.fault - 8 for _, t, _ in dead) and len(both) >= 3
    facts.append("%d never answered, all after %.0f s; %d clients had both" % (len(dead), c.fault, len(both)))
    if c.name == "nat-both":
        isn = {k[4] for k, _, _ in dead}
        out = [ok for k, _, ok in far if k[4] in isn]
        assert len(out) == len(dead) and all(out)
        facts.append("each of these went out, and its SYN-ACK came back to the NAT's outer port")
    return facts
