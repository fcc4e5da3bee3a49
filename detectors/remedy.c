/* remedy.c - what a verdict means in one sentence, and what to type against
 * it: per verdict and per operating system, with how to undo it and where that
 * is written.
 *
 * The hard part is to harm nobody: somebody will type this on a production
 * server. The quick and reversible thing comes first, the lasting one after it;
 * the whole list of task offloads is never switched off where drivers are known
 * to break by it (virtio guests, kvm-guest-drivers-windows issue 1487). */
#include "detectors/incident.h"

#include <string.h>

#include "capture/app.h"

enum system_bit {
	W2003 = 1, W2008 = 2, W2012 = 4, LINUX = 8, FREEBSD = 16, VMWARE = 32,
	HYPERV = 64,
	WINDOWS = W2003 | W2008 | W2012,
	ANY_SYSTEM = WINDOWS | LINUX | FREEBSD | VMWARE | HYPERV,
};

/* When a remedy is offered at all. */
enum condition {
	ALWAYS,
	CHIP_BROADCOM,		/* it may be a Broadcom chip */
	NOT_VIRTIO,		/* no virtio guest */
	VIRTIO,			/* only a virtio guest */
	SENDING,		/* segments are cut wrongly on the way out */
	SENDING_NOT_VIRTIO,
	MERGING,		/* segments are glued on the way in */
	HANG,			/* the transmit side stops and starts again */
	NEIGHBOR,		/* an old next hop is kept */
	CLIENT_SUMS,		/* the clients' checksums are wrong */
	FRAGMENT,		/* a client's request never became whole */
};

struct entry {
	enum verdict verdict;
	unsigned systems;
	enum condition when;
	struct remedy remedy;
};

#define NOW(applies, command, undo, source) \
	{ applies, command, undo, source, false, false }
#define FOR_GOOD(applies, command, undo, source) \
	{ applies, command, undo, source, true, false }
#define ADVICE(applies, words, source) \
	{ applies, words, "", source, false, true }
#define UPDATE(applies, words, undo, source) \
	{ applies, words, undo, source, true, true }
#define TCPIP_KEY "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters"
#define REG_SET(name, value) "reg add " TCPIP_KEY " /v " name " /t REG_DWORD /d " \
	value " /f"

static const char w2003[] = "Windows Server 2003 SP2, SBS 2003, XP x64";
static const char w2008[] = "Windows Vista, Server 2008, 2008 R2";
static const char w2012[] = "Windows Server 2012 and later";
static const char the_value_noted[] = "the same with the value noted";

/* Per verdict, the one to try first at first. */
static const struct entry entries[] = {
	/* The connection offload ------------------------------------------ */
	{ VERDICT_offload_engine, W2003, ALWAYS, NOW(
	    "Windows Server 2003 SP2, at once",
	    "netsh int ip set chimney DISABLED",
	    "netsh int ip set chimney ENABLED",
	    "Wireshark wiki, CaptureSetup/Offloading") },
	{ VERDICT_offload_engine, W2008, ALWAYS, NOW(
	    "Windows Server 2008, 2008 R2, at once; note first what `netsh int "
	    "tcp show global` says",
	    "netsh int tcp set global chimney=disabled", the_value_noted,
	    "KB 951037; KB 2643970") },
	{ VERDICT_offload_engine, W2012, ALWAYS, NOW(
	    "Windows Server 2012 and later (off by default, deprecated since "
	    "2016), at once; note first what Get-NetOffloadGlobalSetting says",
	    "Set-NetOffloadGlobalSetting -Chimney Disabled", the_value_noted,
	    "NetTCPIP module; KB 4014193") },
	{ VERDICT_offload_engine, FREEBSD, ALWAYS, NOW(
	    "FreeBSD with a TOE card (Chelsio), at once for new connections",
	    "ifconfig IF -toe", "ifconfig IF toe", "ifconfig(8)") },
	{ VERDICT_offload_engine, LINUX, ALWAYS, NOW(
	    "Linux, whose stack hands cards no connections but their TLS (kTLS): "
	    "at once for new ones",
	    "ethtool -K IF tls-hw-tx-offload off tls-hw-rx-offload off",
	    "ethtool -K IF tls-hw-tx-offload on tls-hw-rx-offload on",
	    "Linux, networking/tls-offload; ethtool(8)") },
	{ VERDICT_offload_engine, LINUX, NEIGHBOR, NOW(
	    "Linux with flows in the card (tc, Open vSwitch), at once: it forgets "
	    "what it was told of next hops",
	    "ethtool -K IF hw-tc-offload off", "ethtool -K IF hw-tc-offload on",
	    "ethtool(8); tc-flower(8), skip_hw") },
	{ VERDICT_offload_engine, VMWARE, ALWAYS, ADVICE(
	    "VMware ESXi",
	    "its own cards carry no connections, whatever they could: where it is "
	    "a guest that shows this, it has a card of its own (DirectPath, SR-IOV); "
	    "the guest's command is the one to use",
	    "Broadcom knowledge article 309741") },
	{ VERDICT_offload_engine, W2003, ALWAYS, FOR_GOOD(
	    "Windows Server 2003 SP2, needs a restart; installing KB 948496 does "
	    "this for RSS (EnableRSS) and NetDMA (EnableTCPA) too",
	    REG_SET("EnableTCPChimney", "0"),
	    "the same with /d 1, and a restart", "KB 948496") },
	{ VERDICT_offload_engine, W2003, ALWAYS, UPDATE(
	    "Windows Server 2003 SP2, if the offload is to stay in use: mends "
	    "it instead of switching it off",
	    "install the Scalable Networking Pack rollup KB 950224", "uninstall it",
	    "KB 950224") },
	{ VERDICT_offload_engine, W2003, CHIP_BROADCOM, UPDATE(
	    "Broadcom NetXtreme II (5706, 5708; HP NC373i), also under the "
	    "names of Dell, HP and IBM",
	    "install driver 3.7.19 or later", "reinstall the former driver",
	    "Exchange team blog, 18 July 2007; KB 942861") },
	{ VERDICT_offload_engine, W2008, ALWAYS, UPDATE(
	    "Windows Server 2008, 2008 R2",
	    "install SP2, KB 979614 and KB 967224 (2008), or SP1, KB 2519736, "
	    "KB 2511305 and, where chimney stays on, KB 2525390 (2008 R2); and "
	    "the card maker's current driver",
	    "uninstall them", "KB 2643970") },

	/* Checksums --------------------------------------------------------- */
	{ VERDICT_checksum_offload, LINUX, ALWAYS, NOW(
	    "Linux, at once",
	    "ethtool -K IF tx off", "ethtool -K IF tx on", "ethtool(8)") },
	{ VERDICT_checksum_offload, LINUX, ALWAYS, NOW(
	    "Linux, when only tunnelled packets are bad (VXLAN: IF is flannel.1, "
	    "vxlan.calico ...)",
	    "ethtool -K IF tx-checksum-ip-generic off",
	    "ethtool -K IF tx-checksum-ip-generic on",
	    "projectcalico/calico issue 3145; flannel-io/flannel issue 1279") },
	{ VERDICT_checksum_offload, VMWARE, ALWAYS, NOW(
	    "Linux guests of VMware (vmxnet3) whose VXLAN or Geneve packets are "
	    "bad, in the guest, at once",
	    "ethtool -K IF tx-checksum-ip-generic off",
	    "ethtool -K IF tx-checksum-ip-generic on",
	    "projectcalico/calico issue 9433; openshift/machine-config-operator "
	    "pull request 2734; aws/eks-anywhere-build-tooling pull request 2840") },
	{ VERDICT_checksum_offload, HYPERV, ALWAYS, NOW(
	    "Hyper-V host whose VXLAN or NVGRE packets are bad, the card of the "
	    "switch; the link goes down for a moment",
	    "Disable-NetAdapterEncapsulatedPacketTaskOffload -Name \"NIC\"",
	    "Enable-NetAdapterEncapsulatedPacketTaskOffload -Name \"NIC\"",
	    "NetAdapter module") },
	{ VERDICT_checksum_offload, W2012, ALWAYS, NOW(
	    "Windows Server 2012 and later, this card only; the link goes down "
	    "for a moment",
	    "Disable-NetAdapterChecksumOffload -Name \"NIC\"",
	    "Enable-NetAdapterChecksumOffload -Name \"NIC\"",
	    "NetAdapter module") },
	{ VERDICT_checksum_offload, WINDOWS, VIRTIO, NOW(
	    "Windows guests with virtio (NetKVM): driver first. Do not use "
	    "taskoffload=disabled here: with old drivers it makes checksums "
	    "wrong and can hang the sender",
	    "update the NetKVM driver (virtio-win)", "reinstall the former driver",
	    "virtio-win/kvm-guest-drivers-windows issue 1487") },
	{ VERDICT_checksum_offload, W2008, NOT_VIRTIO, NOW(
	    "Windows Server 2008, 2008 R2, at once; not in virtio guests with "
	    "an old NetKVM driver",
	    "netsh int ip set global taskoffload=disabled",
	    "netsh int ip set global taskoffload=enabled",
	    "netsh int ip set global /?; kvm-guest-drivers-windows issue 1487") },
	{ VERDICT_checksum_offload, W2003, NOT_VIRTIO, NOW(
	    "Windows Server 2003: needs a restart; also ends large sends",
	    REG_SET("DisableTaskOffload", "1"),
	    "the same with /d 0, and a restart",
	    "Tcpip parameters, DisableTaskOffload") },
	{ VERDICT_checksum_offload, FREEBSD, ALWAYS, NOW(
	    "FreeBSD, pfSense, OPNsense, at once",
	    "ifconfig IF -txcsum -txcsum6", "ifconfig IF txcsum txcsum6",
	    "pfSense issue 4461; OPNsense core issue 8007") },
	{ VERDICT_checksum_offload, VMWARE, ALWAYS, UPDATE(
	    "VMware ESXi host whose guests' VXLAN is bad",
	    "update ESXi to 7.0 Update 3 or later (tunnels on ports 4789 and 8472)",
	    "", "Broadcom knowledge article 324199; cilium/cilium issue 21801") },
	{ VERDICT_checksum_offload, ANY_SYSTEM, ALWAYS, UPDATE(
	    "any system, once switching it off has shown that it is the card",
	    "install the card's current driver and firmware, then switch the "
	    "offload on again", "", "") },

	/* Segmentation, out and in ------------------------------------------ */
	{ VERDICT_segmentation_offload, LINUX, SENDING, NOW(
	    "Linux, at once",
	    "ethtool -K IF tso off gso off", "ethtool -K IF tso on gso on",
	    "ethtool(8); raspberrypi/linux issue 2449") },
	{ VERDICT_segmentation_offload, W2012, SENDING, NOW(
	    "Windows Server 2012 and later, this card only; the link goes down "
	    "for a moment",
	    "Disable-NetAdapterLso -Name \"NIC\"",
	    "Enable-NetAdapterLso -Name \"NIC\"",
	    "NetAdapter module") },
	{ VERDICT_segmentation_offload, W2003 | W2008, SENDING, NOW(
	    "Windows Server 2003, 2008, 2008 R2, this card only; the link goes "
	    "down for a moment",
	    "Device Manager, the card, Advanced: Large Send Offload (v1, v2) to "
	    "Disabled", "the same to Enabled",
	    "NDIS keywords *LsoV1IPv4, *LsoV2IPv4, *LsoV2IPv6") },
	{ VERDICT_segmentation_offload, W2003, SENDING_NOT_VIRTIO, NOW(
	    "Windows Server 2003, all cards: needs a restart; also ends "
	    "checksum offload",
	    REG_SET("DisableTaskOffload", "1"),
	    "the same with /d 0, and a restart",
	    "Tcpip parameters, DisableTaskOffload") },
	{ VERDICT_segmentation_offload, VMWARE, SENDING, NOW(
	    "VMware ESXi host, which is to be restarted (IPv6: /Net/UseHwTSO6)",
	    "esxcli system settings advanced set -o /Net/UseHwTSO -i 0",
	    "esxcli system settings advanced set -o /Net/UseHwTSO -i 1",
	    "Broadcom knowledge article 318877") },
	{ VERDICT_segmentation_offload, FREEBSD, SENDING, NOW(
	    "FreeBSD, pfSense, OPNsense, at once",
	    "ifconfig IF -tso", "ifconfig IF tso", "ifconfig(8)") },
	{ VERDICT_segmentation_offload, LINUX, MERGING, NOW(
	    "Linux that forwards, at once; note first what `ethtool -k IF` says",
	    "ethtool -K IF lro off gro off",
	    "the same with the values noted",
	    "ethtool(8); moby/moby issue 32023; Linux, ixgbe: LRO does not go "
	    "with forwarding") },
	{ VERDICT_segmentation_offload, W2012, MERGING, NOW(
	    "Windows Server 2012 and later that forwards, this card only",
	    "Disable-NetAdapterRsc -Name \"NIC\"",
	    "Enable-NetAdapterRsc -Name \"NIC\"",
	    "NetAdapter module") },
	{ VERDICT_segmentation_offload, HYPERV, MERGING, NOW(
	    "Hyper-V host, Windows Server 2019 and later; connections stay up",
	    "Set-VMSwitch -Name SWITCH -EnableSoftwareRsc $false",
	    "Set-VMSwitch -Name SWITCH -EnableSoftwareRsc $true",
	    "Microsoft, RSC in the vSwitch") },
	{ VERDICT_segmentation_offload, VMWARE, MERGING, NOW(
	    "VMware ESXi host of a guest that forwards; the host is to be "
	    "restarted",
	    "esxcli system settings advanced set -o /Net/Vmxnet3HwLRO -i 0; the "
	    "same for /Net/Vmxnet3SwLRO",
	    "the same with -i 1", "Broadcom knowledge article 318877") },
	{ VERDICT_segmentation_offload, FREEBSD, MERGING, NOW(
	    "FreeBSD, pfSense, OPNsense that forwards, at once",
	    "ifconfig IF -lro", "ifconfig IF lro",
	    "vmware/open-vm-tools issue 166") },
	{ VERDICT_segmentation_offload, ANY_SYSTEM, ALWAYS, UPDATE(
	    "any system, once switching it off has shown that it is the card",
	    "install the card's current driver and firmware, then switch the "
	    "offload on again", "", "") },

	/* Receive-side scaling ---------------------------------------------- */
	{ VERDICT_receive_side_scaling, W2008, ALWAYS, NOW(
	    "Windows Server 2008, 2008 R2, at once; note first what `netsh int "
	    "tcp show global` says",
	    "netsh int tcp set global rss=disabled", the_value_noted,
	    "KB 951037") },
	{ VERDICT_receive_side_scaling, W2012, ALWAYS, NOW(
	    "Windows Server 2012 and later, this card only; the link goes down "
	    "for a moment",
	    "Disable-NetAdapterRss -Name \"NIC\"",
	    "Enable-NetAdapterRss -Name \"NIC\"",
	    "NetAdapter module") },
	{ VERDICT_receive_side_scaling, W2003, ALWAYS, NOW(
	    "Windows Server 2003 SP2: needs a restart",
	    REG_SET("EnableRSS", "0"), "the same with /d 1, and a restart",
	    "KB 948496") },
	{ VERDICT_receive_side_scaling, LINUX, ALWAYS, NOW(
	    "Linux, at once: all that is received goes to the first queue",
	    "ethtool -X IF equal 1", "ethtool -X IF default", "ethtool(8)") },
	{ VERDICT_receive_side_scaling, HYPERV, ALWAYS, NOW(
	    "Hyper-V host, the card of the switch: guests' queues in it; the link "
	    "goes down for a moment",
	    "Disable-NetAdapterVmq -Name \"NIC\"",
	    "Enable-NetAdapterVmq -Name \"NIC\"",
	    "NetAdapter module") },
	{ VERDICT_receive_side_scaling, VMWARE, ALWAYS, ADVICE(
	    "VMware guests (vmxnet3)",
	    "the queues are the guest's: use the guest's command; if one queue "
	    "stalls again, look at its virtual processor (esxtop: %RDY, %CSTP)",
	    "Broadcom knowledge article 310350") },
	{ VERDICT_receive_side_scaling, W2008, ALWAYS, UPDATE(
	    "Windows Server 2008, 2008 R2",
	    "install SP2, KB 979614 and KB 967224 (2008), or SP1, KB 2519736 "
	    "and KB 2511305 (2008 R2), and the card maker's current driver; then "
	    "switch RSS on again",
	    "uninstall them", "KB 2643970") },
	{ VERDICT_receive_side_scaling, ANY_SYSTEM, ALWAYS, UPDATE(
	    "any system",
	    "install the card's current driver and firmware, then switch RSS on "
	    "again", "", "") },

	/* Not the card ------------------------------------------------------ */
	{ VERDICT_server_application, ANY_SYSTEM, FRAGMENT, ADVICE(
	    "the client whose request never became whole",
	    "close Outlook on the client whose request never became whole (named "
	    "above), or end its session on the server: the store waits for the "
	    "rest of it and serves nobody meanwhile", "Q149819") },
	{ VERDICT_server_application, ANY_SYSTEM, ALWAYS, ADVICE(
	    "the server",
	    "leave the card's offloads as they are; look at the service that "
	    "does not answer: its log, its threads, its disk, what it waits for",
	    "") },
	{ VERDICT_server_host, LINUX, HANG, NOW(
	    "Linux, at once (e1000e, igb: \"Detected Hardware Unit Hang\", "
	    "\"NETDEV WATCHDOG\" in the log); helps most, not all",
	    "ethtool -K IF tso off gso off", "ethtool -K IF tso on gso on",
	    "gislab-npo/gislab issue 407; mkuthan/homelab-public issue 46") },
	{ VERDICT_server_host, W2012, HANG, NOW(
	    "Windows Server 2012 and later, this card only; the link goes down "
	    "for a moment",
	    "Disable-NetAdapterLso -Name \"NIC\"",
	    "Enable-NetAdapterLso -Name \"NIC\"",
	    "NetAdapter module") },
	{ VERDICT_server_host, HYPERV, HANG, NOW(
	    "Hyper-V host, if only guests hang and the host's own traffic goes "
	    "on; the link goes down for a moment",
	    "Disable-NetAdapterVmq -Name \"NIC\"",
	    "Enable-NetAdapterVmq -Name \"NIC\"",
	    "NetAdapter module; Microsoft networking blog, Debugging "
	    "performance issues with VMQ") },
	{ VERDICT_server_host, VMWARE, HANG, NOW(
	    "VMware ESXi host of the guest, which is to be restarted; a guest on "
	    "E1000 or E1000E is better given a VMXNET3 card",
	    "esxcli system settings advanced set -o /Net/UseHwTSO -i 0",
	    "esxcli system settings advanced set -o /Net/UseHwTSO -i 1",
	    "Broadcom knowledge articles 318877 and 310446") },
	{ VERDICT_server_host, ANY_SYSTEM, HANG, UPDATE(
	    "any system whose transmit side hangs",
	    "install the card's current driver and firmware; if it goes on, the "
	    "card or its slot is to be replaced", "", "") },
	{ VERDICT_server_host, ANY_SYSTEM, ALWAYS, ADVICE(
	    "the server",
	    "look at its console, power and switch port; if it hangs and the "
	    "console is set up for it (Windows: right CTRL and twice SCROLL "
	    "LOCK, KB 244139), take a memory dump before the restart: "
	    "afterwards the cause is gone", "KB 244139") },
	{ VERDICT_network_path, ANY_SYSTEM, ALWAYS, ADVICE(
	    "the switches and routers between",
	    "compare error, discard and duplex counters of the ports on the way; "
	    "the server's settings need no change", "") },
	{ VERDICT_client_side, ANY_SYSTEM, CLIENT_SUMS, NOW(
	    "Linux machine of the clients (of pods and tunnels: the node they run "
	    "on; vmxnet3 as well), at once",
	    "ethtool -K IF tx-checksum-ip-generic off",
	    "ethtool -K IF tx-checksum-ip-generic on",
	    "projectcalico/calico issues 3145 and 9433; flannel-io/flannel issue "
	    "1279") },
	{ VERDICT_client_side, ANY_SYSTEM, CLIENT_SUMS, NOW(
	    "Windows machine of the clients, Hyper-V host; the link goes down for "
	    "a moment",
	    "Disable-NetAdapterChecksumOffload -Name \"NIC\"",
	    "Enable-NetAdapterChecksumOffload -Name \"NIC\"",
	    "NetAdapter module") },
	{ VERDICT_client_side, ANY_SYSTEM, ALWAYS, ADVICE(
	    "the clients named",
	    "look at these clients (power, wireless, sleep, their own card's "
	    "offloads); the server needs no change", "") },

	/* Not known: looking changes nothing -------------------------------- */
	{ VERDICT_undetermined, W2003, ALWAYS, NOW(
	    w2003, "netstat -nt (Offload State: InHost or Offloaded)", "",
	    "KB 2477730") },
	{ VERDICT_undetermined, W2008, ALWAYS, NOW(
	    w2008, "netsh int tcp show global; netstat -nt", "", "KB 951037") },
	{ VERDICT_undetermined, W2012, ALWAYS, NOW(
	    w2012, "Get-NetOffloadGlobalSetting; Get-NetAdapterStatistics", "",
	    "NetTCPIP module") },
	{ VERDICT_undetermined, LINUX, ALWAYS, NOW(
	    "Linux", "ethtool -k IF; ethtool -S IF", "", "ethtool(8)") },
	{ VERDICT_undetermined, VMWARE, ALWAYS, NOW(
	    "VMware ESXi host",
	    "esxcli network nic stats get -n vmnicN; esxtop, n (%DRPTX, %DRPRX)",
	    "", "Broadcom knowledge article 312565") },
	{ VERDICT_undetermined, FREEBSD, ALWAYS, NOW(
	    "FreeBSD, pfSense, OPNsense", "ifconfig IF; netstat -I IF -d", "",
	    "ifconfig(8); netstat(1)") },
};

const char *
verdict_sentence(enum verdict v)
{
	switch (v) {
	case VERDICT_offload_engine:
		return "Its network card's TCP offload (TOE, TCP Chimney) has lost "
		    "touch with the host.";
	case VERDICT_checksum_offload:
		return "Its network card sends wrong checksums, and the receivers "
		    "throw those packets away.";
	case VERDICT_segmentation_offload:
		return "Its network card cuts or glues segments wrongly (LSO, TSO, "
		    "LRO): large sends get lost.";
	case VERDICT_receive_side_scaling:
		return "One receive queue of its network card is stuck "
		    "(receive-side scaling).";
	case VERDICT_server_application:
		return "The application does not answer; network card, TCP and "
		    "the path are sound.";
	case VERDICT_server_host:
		return "The host as a whole is down or hung.";
	case VERDICT_network_path:
		return "Packets get lost or damaged on the way; it is not this "
		    "server.";
	case VERDICT_client_side:
		return "The clients are at fault; the server is well.";
	case VERDICT_undetermined:
	case VERDICT_COUNT:
		break;
	}
	return "Something is wrong here, and this capture cannot tell what.";
}

/* The same of what is over. */
static const char *
verdict_of_the_past(enum verdict v)
{
	switch (v) {
	case VERDICT_offload_engine:
		return "Its network card's TCP offload (TOE, TCP Chimney) had lost "
		    "touch with the host.";
	case VERDICT_checksum_offload:
		return "Its network card sent wrong checksums, and the receivers "
		    "threw those packets away.";
	case VERDICT_segmentation_offload:
		return "Its network card cut or glued segments wrongly (LSO, TSO, "
		    "LRO): large sends got lost.";
	case VERDICT_receive_side_scaling:
		return "One receive queue of its network card was stuck "
		    "(receive-side scaling).";
	case VERDICT_server_application:
		return "The application did not answer; network card, TCP and "
		    "the path were sound.";
	case VERDICT_server_host:
		return "The host as a whole was down or hung.";
	case VERDICT_network_path:
		return "Packets got lost or damaged on the way; it was not this "
		    "server.";
	case VERDICT_client_side:
		return "The clients were at fault; the server was well.";
	case VERDICT_undetermined:
	case VERDICT_COUNT:
		break;
	}
	return "Something was wrong here, and this capture cannot tell what.";
}

const char *
incident_sentence(const struct incident *i)
{
	return instant_is_set(i->end) ? verdict_of_the_past(i->verdict) :
	    verdict_sentence(i->verdict);
}

static bool
vendor_is(const struct server *s, const char *name)
{
	return strcmp(server_vendor(s), name) == 0;
}

/* The configured system; else what its card allows it to be. */
static unsigned
systems_of(const struct server *s)
{
	static const struct {
		const char *name;
		unsigned systems;
	} known[] = {
		{ "windows-2003", W2003 }, { "windows-2008", W2008 },
		{ "windows-2008r2", W2008 }, { "windows-2012", W2012 },
		{ "windows", WINDOWS }, { "linux", LINUX },
		{ "freebsd", FREEBSD }, { "vmware", VMWARE },
		{ "hyper-v", HYPERV | W2012 },
	};

	for (size_t i = 0; s->system && i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(s->system, known[i].name) == 0)
			return known[i].systems;
	if (vendor_is(s, "VMware"))
		return WINDOWS | LINUX | FREEBSD | VMWARE;
	if (vendor_is(s, "Hyper-V"))
		return WINDOWS | LINUX | HYPERV;
	return WINDOWS | LINUX | FREEBSD;
}

/* Broadcom's chips are sold under these names, and behind a router the MAC
 * says nothing. */
static bool
may_be_broadcom(const struct server *s)
{
	static const char *const others[] = { "Intel", "Mellanox", "NVIDIA",
		"Chelsio", "Emulex", "ServerEngines", "QLogic", "Neterion",
		"Solarflare", "Alacritech", "Marvell", "Realtek", "3Com", "VMware",
		"Hyper-V", "Xen", "KVM", "VirtualBox", "Parallels" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (vendor_is(s, others[i]))
			return false;
	return true;
}

/* Where the card's offload is only one of the candidates, switching it off for
 * a while is what settles it; its lasting cures are too early. */
static bool
is_for(const struct entry *e, const struct incident *i)
{
	if (e->when == MERGING && i->verdict == VERDICT_network_path)
		return true;		/* for the box that forwards */
	if (i->verdict == VERDICT_undetermined && i->score[VERDICT_offload_engine] >
	    SUSPECT_SCORE && e->verdict == VERDICT_offload_engine)
		return !e->remedy.for_good;
	return e->verdict == i->verdict;
}

static bool
applies(const struct entry *e, const struct incident *i, unsigned systems)
{
	bool virtio = vendor_is(i->server, "KVM");
	bool merging = i->finding_count[FINDING_merged_forwarding] > 0;

	/* that box is another than the server: any system */
	if (e->when == MERGING && i->verdict == VERDICT_network_path)
		systems = ANY_SYSTEM;
	if (!is_for(e, i) || !(e->systems & systems))
		return false;
	switch (e->when) {
	case ALWAYS: return true;
	case CHIP_BROADCOM: return may_be_broadcom(i->server);
	case NOT_VIRTIO: return !virtio;
	case VIRTIO: return virtio;
	case SENDING: return !merging;
	case SENDING_NOT_VIRTIO: return !merging && !virtio;
	case MERGING: return merging;
	case HANG: return i->finding_count[FINDING_egress_dead] > 0;
	case CLIENT_SUMS:
		return i->finding_count[FINDING_checksum_discarded] > 0;
	case NEIGHBOR: return i->finding_count[FINDING_stale_neighbor] > 0;
	case FRAGMENT: return i->finding_count[FINDING_rpc_fragment_stuck] > 0;
	}
	return false;
}

/* Where the system is not configured, what it serves hints at it: those go
 * first, the others are not left out. */
static unsigned
likely_systems(const struct server *s)
{
	unsigned likely = 0;

	for (const struct service *v = s->services; v; v = v->next) {
		switch (v->app) {
		case APP_DCERPC: case APP_RDP: case APP_TDS: case APP_PPTP:
		case APP_RPC_HTTP: case APP_NETBIOS: case APP_SMB:
			likely |= WINDOWS;
			break;
		case APP_SSH:
			likely |= LINUX | FREEBSD;
			break;
		default:
			break;
		}
	}
	return likely ? likely : ANY_SYSTEM;
}

/* The quick ones before the lasting ones, the likely ones first of each. */
size_t
remedies_for(const struct incident *i, struct remedy *out, size_t max)
{
	unsigned systems = systems_of(i->server);
	unsigned likely = likely_systems(i->server);
	size_t n = 0;

	for (int pass = 0; pass < 4; pass++) {
		for (size_t k = 0; k < sizeof(entries) / sizeof(entries[0]); k++) {
			const struct entry *e = &entries[k];
			bool lasting = pass >= 2, first = pass % 2 == 0;

			if (n < max && e->remedy.for_good == lasting &&
			    ((e->systems & likely) != 0) == first &&
			    applies(e, i, systems))
				out[n++] = e->remedy;
		}
	}
	return n;
}
