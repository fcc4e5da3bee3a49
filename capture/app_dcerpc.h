/* app_dcerpc.h - connection-oriented DCE/RPC (C706, chapter 12; MS-RPCE): calls
 * and their answers, whatever carries the PDUs.
 *
 * Over TCP the carrier is the stream itself; SMB carries it in pipes
 * (app_smb_pipe.c), HTTP in a pair of bodies (app_rpch.c). Even where a stub is
 * sealed, the header that names call and operation is in clear (MS-RPCE,
 * 2.2.2.11), so that nothing here needs a key. */
#ifndef CAPTURE_APP_DCERPC_H
#define CAPTURE_APP_DCERPC_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/app.h"

/* Interfaces known by name: X(id, name, UUID). The id is what app_label and
 * app_event.value carry (RPC_EMSMDB ...); 0 is any other. */
#define RPC_INTERFACES(X)						\
	/* C706, appendix O and Q; MS-RPCE 2.2.1.2 */			\
	X(EPM, "EPM", "e1af8308-5d1f-11c9-91a4-08002b14a0fa")		\
	X(MGMT, "MGMT", "afa8bd80-7d8a-11c9-bef4-08002b102989")		\
	/* Exchange: MS-OXCRPC 1.9, MS-OXNSPI 1.9, MS-OXABREF 1.9 */	\
	X(EMSMDB, "EMSMDB", "a4f1db00-ca47-1067-b31f-00dd010662da")	\
	X(EMSMDB_ASYNC, "AsyncEMSMDB", "5261574a-4572-206e-b268-6b199213b4e4") \
	X(NSPI, "NSPI", "f5cc5a18-4264-101a-8c59-08002b2f8426")		\
	X(RFR, "RFR", "1544f5e0-613c-11d1-93df-00c04fd7bd09")		\
	X(STORE_ADMIN, "StoreAdmin", "a4f1db00-ca47-1067-b31e-00dd010662da") \
	X(STORE_ADMIN2, "StoreAdmin2", "99e64010-b032-11d0-97a4-00c04fd6551d") \
	X(STORE_ADMIN3, "StoreAdmin3", "89742ace-a9ed-11cf-9c0c-08002be7ae86") \
	X(SYSTEM_ATTENDANT, "SystemAttendant",				\
	    "469d6ec0-0d87-11ce-b13f-00aa003bac6c")			\
	/* logon and directory: MS-LSAD, MS-SAMR, MS-NRPC, MS-DRSR */	\
	X(LSARPC, "LSARPC", "12345778-1234-abcd-ef00-0123456789ab")	\
	X(SAMR, "SAMR", "12345778-1234-abcd-ef00-0123456789ac")		\
	X(NETLOGON, "NETLOGON", "12345678-1234-abcd-ef00-01234567cffb")	\
	X(DRSUAPI, "DRSUAPI", "e3514235-4b06-11d1-ab04-00c04fc2dcd2")	\
	X(DSSETUP, "DSSETUP", "3919286a-b10c-11d0-9ba8-00c04fd92ef5")	\
	X(BACKUPKEY, "BackupKey", "3dde7c30-165d-11d1-ab8f-00805f14db40") \
	X(FRSRPC, "FRSRPC", "f5cc59b4-4264-101a-8c59-08002b2f8426")	\
	X(FRSTRANS, "FRSTRANS", "897e2e5f-93f3-4376-9c9c-fd2277495c27")	\
	X(NETDFS, "NETDFS", "4fc742e0-4a10-11cf-8273-00aa004ae673")	\
	X(DNSSERVER, "DNSSERVER", "50abc2a4-574d-40b3-9d66-ee4fd5fba076") \
	X(DHCPSRV, "DHCPSRV", "6bffd098-a112-3610-9833-46c3f874532d")	\
	X(DHCPSRV2, "DHCPSRV2", "5b821720-f63b-11d0-aad2-00c04fc324db")	\
	X(W32TIME, "W32TIME", "8fb6d884-2388-11d0-8c35-00c04fda2795")	\
	X(CERT, "ICertPassage", "91ae6020-9e3c-11cf-8d7c-00aa00c091be")	\
	/* the host: MS-SRVS, MS-WKST, MS-SCMR, MS-RRP, MS-EVEN ... */	\
	X(SRVSVC, "SRVSVC", "4b324fc8-1670-01d3-1278-5a47bf6ee188")	\
	X(WKSSVC, "WKSSVC", "6bffd098-a112-3610-9833-46c3f87e345a")	\
	X(SVCCTL, "SVCCTL", "367abb81-9844-35f1-ad32-98f038001003")	\
	X(WINREG, "WINREG", "338cd001-2244-31f1-aaaa-900038001003")	\
	X(EVENTLOG, "EVENTLOG", "82273fdc-e32a-18c3-3f78-827929dc23ea")	\
	X(EVEN6, "EventLog6", "f6beaff7-1e19-4fbb-9f8f-b89e2018337c")	\
	X(ATSVC, "ATSVC", "1ff70682-0a51-30e8-076d-740be8cee98b")	\
	X(TSCH, "TaskScheduler", "86d35949-83c9-4044-b424-db363231fd0c") \
	X(INITSHUTDOWN, "INITSHUTDOWN",					\
	    "894de0c0-0d55-11d3-a322-00c04fa321a1")			\
	X(BROWSER, "BROWSER", "6bffd098-a112-3610-9833-012892020162")	\
	X(PNP, "PNP", "8d9f4e40-a03d-11ce-8f69-08003e30051b")		\
	X(EFSRPC, "EFSRPC", "c681d488-d850-11d0-8c52-00c04fd90f7e")	\
	X(EFSRPC2, "EFSRPC2", "df1941c5-fe89-4e79-bf10-463657acf44d")	\
	X(PERFLIB, "PERFLIB", "da5a86c5-12c2-4943-ab30-7f74a813d853")	\
	/* printing: MS-RPRN, MS-PAR, MS-PAN */				\
	X(SPOOLSS, "SPOOLSS", "12345678-1234-abcd-ef00-0123456789ab")	\
	X(WINSPOOL, "IRemoteWinspool", "76f03f96-cdfd-44fc-a22c-64950a001209") \
	X(PRINT_NOTIFY, "IRPCAsyncNotify",				\
	    "0b6edbfa-4a24-4fc6-8a23-942b1eca65d1")			\
	/* DCOM and WMI: MS-DCOM 1.9, MS-WMI 1.9 */			\
	X(OXID, "IObjectExporter", "99fcfec4-5260-101b-bbcb-00aa0021347a") \
	X(ACTIVATOR, "ISystemActivator", "000001a0-0000-0000-c000-000000000046") \
	X(ACTIVATION, "IActivation", "4d9f4ab8-7d1c-11cf-861e-0020af6e7c57") \
	X(REMUNKNOWN, "IRemUnknown", "00000131-0000-0000-c000-000000000046") \
	X(REMUNKNOWN2, "IRemUnknown2", "00000143-0000-0000-c000-000000000046") \
	X(WBEM_LOGIN, "IWbemLevel1Login",				\
	    "f309ad18-d86a-11d0-a075-00c04fb68820")			\
	X(WBEM_SERVICES, "IWbemServices", "9556dc99-828c-11cf-a37e-00aa003240c7") \
	X(WBEM_ENUM, "IEnumWbemClassObject",				\
	    "027947e1-d731-11ce-a357-000000000001")			\
	X(WBEM_SMART_ENUM, "IWbemWCOSmartEnum",				\
	    "423ec01e-2e35-11d2-b604-00104b703efd")			\
	X(WBEM_RESULT, "IWbemCallResult", "44aca675-e8fc-11d0-a07c-00c04fb68820") \
	/* clusters, terminal services, queues: MS-CMRP, MS-SWN, MS-FSRVP,	\
	 * MS-TSTS, MS-MQRR, MS-MQQP */					\
	X(CLUSAPI, "CLUSAPI", "b97db8b2-4c63-11cf-bff6-08002be23f2f")	\
	X(WITNESS, "WITNESS", "ccd8c074-d0e5-4a40-92b4-d074faa6ba28")	\
	X(FSRVP, "FSRVP", "a8e0653c-2744-4389-a61d-7373df8b2292")	\
	X(TS_SESSION, "TermSrvSession", "484809d6-4239-471b-b5bc-61df8c23ac48") \
	X(TS_NOTIFY, "TermSrvNotification",				\
	    "11899a43-2b68-4a76-92e3-a3d6ad8c26ce")			\
	X(WINSTATION, "WinStation", "5ca4a760-ebb1-11cf-8611-00a0245420ed") \
	X(REMOTE_READ, "RemoteRead", "1a9134dd-7b39-45ba-ad88-44d01ca47f28") \
	X(QM2QM, "qm2qm", "1088a980-eae5-11d0-8d9b-00a02453c337")

enum rpc_interface {
	RPC_OTHER,
#define X(id, name, uuid) RPC_##id,
	RPC_INTERFACES(X)
#undef X
	RPC_INTERFACE_COUNT
};

/* Operations of a label that are no opnum. */
enum { RPC_OP_BIND = 0xffff, RPC_OP_ALTER_CONTEXT = 0xfffe };

/* app_rpc_names.c: what is in a name. */
const char *rpc_interface_name(unsigned interface);	/* "rpc" if not known */
/* "EcDoRpcExt2", "bind"; NULL if not known. Valid until the next call. */
const char *rpc_operation_name(unsigned interface, unsigned opnum);
/* Is the call meant to wait for something to happen? With RPC_OTHER: may it be? */
bool rpc_parks(unsigned interface, unsigned opnum);
/* A UUID as it stands on the wire (16 bytes are taken), its integers in the
 * sender's byte order. */
unsigned rpc_interface_take(struct bytes *, bool little_endian);

/* --- carriers ------------------------------------------------------------- */

enum { RPC_CONTEXTS = 12, RPC_ANSWERING = 3, RPC_STASH_BYTES = 24 };

/* One presentation context (C706, 12.6.3.1). */
struct rpc_context {
	uint16_t id;
	uint8_t interface;
	bool used;
};

/* One association as seen: what its contexts mean, and the calls whose answer
 * has begun and goes on. Zeroed is new; nothing to free. */
struct rpc {
	struct rpc_context context[RPC_CONTEXTS];
	uint8_t next_context, next_answering;	/* to be replaced next */
	struct {
		uint32_t call_id;
		uint32_t label;
		struct instant asked;	/* its request's first fragment; 0: free */
	} answering[RPC_ANSWERING];
};

/* The header of a PDU (C706, 12.6.1). */
struct rpc_pdu {
	uint8_t type, flags;
	bool little_endian;
	uint16_t bytes, auth_bytes;	/* frag_length, auth_length */
	uint32_t call_id;
	uint32_t alloc_hint;		/* request, response, fault */
	uint16_t context, opnum;	/* request; context of a response */
	uint8_t head_bytes;		/* where the body begins */
};

/* One direction's PDU in hand. Zeroed is new. */
struct rpc_lane {
	struct rpc_pdu pdu;
	uint32_t left;		/* of its bytes still to come; 0: none in hand */
	uint32_t label;		/* a request: what it asks */
	uint32_t before;	/* bytes of the call's fragments before this one */
	uint8_t stash_bytes;
	uint8_t stash[RPC_STASH_BYTES];	/* of a header, for rpc_push */
};

/* Where PDUs come from: filled in by the carrier for each call. */
struct rpc_carrier {
	struct rpc *rpc;
	struct rpc_lane *lane;
	struct flow *asked_on;	/* where requests wait for the answers that come
				 * here; NULL: on the same flow */
	struct flow *asked_before;	/* or, failing that, here; or NULL */
	uint64_t key;		/* tells its calls from those of other carriers on
				 * the same flow: bits 40 to 62 */
	unsigned request_flags;	/* enum exchange_flag, for its requests */
	bool once;		/* bytes are shown once only */
	/* optional: an RTS PDU (MS-RPCH 2.2.3.6), its body whole */
	void (*rts)(struct app_context *, void *owner, struct bytes body);
	void *owner;
};

/* PDUs as bytes of a stream, as app_parser.feed: returns how many were used, or
 * APP_LOST. */
size_t rpc_feed(struct app_context *, const struct rpc_carrier *, struct bytes);
/* Bytes that come once only, as a pipe's writes and reads do: all are used.
 * False: no PDU where one should be. */
bool rpc_push(struct app_context *, const struct rpc_carrier *, struct bytes);
/* As app_parser.skip_gap and .gap. */
bool rpc_skip_gap(struct app_context *, const struct rpc_carrier *,
    struct bytes held, uint32_t n);
void rpc_gap(const struct rpc_carrier *);
/* Where a PDU may begin, or APP_LOST. */
size_t rpc_resync(struct bytes);
/* Do these bytes begin with a PDU such as `side` may send? */
enum app_verdict rpc_probe(enum side, bool midstream, struct bytes);

#endif
