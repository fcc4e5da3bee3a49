/* app_rpc_names.c - DCE/RPC interfaces and operations by name, and which calls
 * are meant to park.
 *
 * A call that parks waits for something to happen, be it for hours: it must not
 * be taken for one that is not answered. So an operation is marked here only
 * where its specification says that the server completes it upon an event; all
 * others are due. */
#include "capture/app_dcerpc.h"

#include <pthread.h>
#include <string.h>

static const struct {
	const char *name, *uuid;
} interfaces[RPC_INTERFACE_COUNT] = {
	[RPC_OTHER] = { "rpc", "" },
#define X(id, text, number) [RPC_##id] = { text, number },
	RPC_INTERFACES(X)
#undef X
};

/* The names of an interface's operations from opnum 0 on, separated by blanks
 * ("-": not known); a + before one: it parks. */
static const char *const operations[RPC_INTERFACE_COUNT] = {
	/* C706, appendix O */
	[RPC_EPM] = "ept_insert ept_delete ept_lookup ept_map "
	    "ept_lookup_handle_free ept_inq_object ept_mgmt_delete",
	[RPC_MGMT] = "inq_if_ids inq_stats is_server_listening "
	    "stop_server_listening inq_princ_name",
	/* MS-OXCRPC 3.1.4; before Exchange 2007 as the clients of the time
	 * called them */
	[RPC_EMSMDB] = "EcDoConnect EcDoDisconnect EcDoRpc EcGetMoreRpc "
	    "EcRRegisterPushNotification EcRUnregisterPushNotification "
	    "EcDummyRpc EcRGetDCName EcRNetGetDCName EcDoRpcExt EcDoConnectEx "
	    "EcDoRpcExt2 - - EcDoAsyncConnectEx",
	/* MS-OXCRPC 3.3.4.1: completes when events are pending, or after 5 min */
	[RPC_EMSMDB_ASYNC] = "+EcDoAsyncWaitEx",
	/* MS-NSPI 3.1.4 */
	[RPC_NSPI] = "NspiBind NspiUnbind NspiUpdateStat NspiQueryRows "
	    "NspiSeekEntries NspiGetMatches NspiResortRestriction NspiDNToMId "
	    "NspiGetPropList NspiGetProps NspiCompareMIds NspiModProps "
	    "NspiGetSpecialTable NspiGetTemplateInfo NspiModLinkAtt - "
	    "NspiQueryColumns - - NspiResolveNames NspiResolveNamesW",
	/* MS-OXABREF 3.1.4 */
	[RPC_RFR] = "RfrGetNewDSA RfrGetFQDNFromServerDN",
	/* MS-LSAD 3.1.4, MS-LSAT 3.1.4 */
	[RPC_LSARPC] = "LsarClose LsarDelete LsarEnumeratePrivileges "
	    "LsarQuerySecurityObject LsarSetSecurityObject - LsarOpenPolicy "
	    "LsarQueryInformationPolicy LsarSetInformationPolicy - "
	    "LsarCreateAccount LsarEnumerateAccounts LsarCreateTrustedDomain "
	    "LsarEnumerateTrustedDomains LsarLookupNames LsarLookupSids "
	    "LsarCreateSecret LsarOpenAccount LsarEnumeratePrivilegesAccount "
	    "LsarAddPrivilegesToAccount LsarRemovePrivilegesFromAccount - - "
	    "LsarGetSystemAccessAccount LsarSetSystemAccessAccount "
	    "LsarOpenTrustedDomain LsarQueryInfoTrustedDomain "
	    "LsarSetInformationTrustedDomain LsarOpenSecret LsarSetSecret "
	    "LsarQuerySecret LsarLookupPrivilegeValue LsarLookupPrivilegeName "
	    "LsarLookupPrivilegeDisplayName LsarDeleteObject "
	    "LsarEnumerateAccountsWithUserRight LsarEnumerateAccountRights "
	    "LsarAddAccountRights LsarRemoveAccountRights "
	    "LsarQueryTrustedDomainInfo LsarSetTrustedDomainInfo "
	    "LsarDeleteTrustedDomain LsarStorePrivateData "
	    "LsarRetrievePrivateData LsarOpenPolicy2 LsarGetUserName "
	    "LsarQueryInformationPolicy2 LsarSetInformationPolicy2 "
	    "LsarQueryTrustedDomainInfoByName LsarSetTrustedDomainInfoByName "
	    "LsarEnumerateTrustedDomainsEx LsarCreateTrustedDomainEx - "
	    "LsarQueryDomainInformationPolicy LsarSetDomainInformationPolicy "
	    "LsarOpenTrustedDomainByName - LsarLookupSids2 LsarLookupNames2 "
	    "LsarCreateTrustedDomainEx2 - - - - - - - - LsarLookupNames3 - - - "
	    "- LsarQueryForestTrustInformation LsarSetForestTrustInformation - "
	    "LsarLookupSids3 LsarLookupNames4",
	/* MS-SAMR 3.1.5 */
	[RPC_SAMR] = "SamrConnect SamrCloseHandle SamrSetSecurityObject "
	    "SamrQuerySecurityObject - SamrLookupDomainInSamServer "
	    "SamrEnumerateDomainsInSamServer SamrOpenDomain "
	    "SamrQueryInformationDomain SamrSetInformationDomain "
	    "SamrCreateGroupInDomain SamrEnumerateGroupsInDomain "
	    "SamrCreateUserInDomain SamrEnumerateUsersInDomain "
	    "SamrCreateAliasInDomain SamrEnumerateAliasesInDomain "
	    "SamrGetAliasMembership SamrLookupNamesInDomain "
	    "SamrLookupIdsInDomain SamrOpenGroup SamrQueryInformationGroup "
	    "SamrSetInformationGroup SamrAddMemberToGroup SamrDeleteGroup "
	    "SamrRemoveMemberFromGroup SamrGetMembersInGroup "
	    "SamrSetMemberAttributesOfGroup SamrOpenAlias "
	    "SamrQueryInformationAlias SamrSetInformationAlias SamrDeleteAlias "
	    "SamrAddMemberToAlias SamrRemoveMemberFromAlias "
	    "SamrGetMembersInAlias SamrOpenUser SamrDeleteUser "
	    "SamrQueryInformationUser SamrSetInformationUser "
	    "SamrChangePasswordUser SamrGetGroupsForUser "
	    "SamrQueryDisplayInformation SamrGetDisplayEnumerationIndex - - "
	    "SamrGetUserDomainPasswordInformation "
	    "SamrRemoveMemberFromForeignDomain SamrQueryInformationDomain2 "
	    "SamrQueryInformationUser2 SamrQueryDisplayInformation2 "
	    "SamrGetDisplayEnumerationIndex2 SamrCreateUser2InDomain "
	    "SamrQueryDisplayInformation3 SamrAddMultipleMembersToAlias "
	    "SamrRemoveMultipleMembersFromAlias SamrOemChangePasswordUser2 "
	    "SamrUnicodeChangePasswordUser2 SamrGetDomainPasswordInformation "
	    "SamrConnect2 SamrSetInformationUser2 - - - SamrConnect4 - "
	    "SamrConnect5 SamrRidToSid SamrSetDSRMPassword "
	    "SamrValidatePassword",
	/* MS-NRPC 3.5.4 */
	[RPC_NETLOGON] = "NetrLogonUasLogon NetrLogonUasLogoff "
	    "NetrLogonSamLogon NetrLogonSamLogoff NetrServerReqChallenge "
	    "NetrServerAuthenticate NetrServerPasswordSet NetrDatabaseDeltas "
	    "NetrDatabaseSync NetrAccountDeltas NetrAccountSync NetrGetDCName "
	    "NetrLogonControl NetrGetAnyDCName NetrLogonControl2 "
	    "NetrServerAuthenticate2 NetrDatabaseSync2 NetrDatabaseRedo "
	    "NetrLogonControl2Ex NetrEnumerateTrustedDomains DsrGetDcName "
	    "NetrLogonGetCapabilities NetrLogonSetServiceBits "
	    "NetrLogonGetTrustRid NetrLogonComputeServerDigest "
	    "NetrLogonComputeClientDigest NetrServerAuthenticate3 "
	    "DsrGetDcNameEx DsrGetSiteName NetrLogonGetDomainInfo "
	    "NetrServerPasswordSet2 NetrServerPasswordGet NetrLogonSendToSam "
	    "DsrAddressToSiteNamesW DsrGetDcNameEx2 "
	    "NetrLogonGetTimeServiceParentDomain NetrEnumerateTrustedDomainsEx "
	    "DsrAddressToSiteNamesExW DsrGetDcSiteCoverageW "
	    "NetrLogonSamLogonEx DsrEnumerateDomainTrusts "
	    "DsrDeregisterDnsHostRecords NetrServerTrustPasswordsGet "
	    "DsrGetForestTrustInformation NetrGetForestTrustInformation "
	    "NetrLogonSamLogonWithFlags NetrServerGetTrustInfo",
	/* MS-DRSR 4.1 */
	[RPC_DRSUAPI] = "IDL_DRSBind IDL_DRSUnbind IDL_DRSReplicaSync "
	    "IDL_DRSGetNCChanges IDL_DRSUpdateRefs IDL_DRSReplicaAdd "
	    "IDL_DRSReplicaDel IDL_DRSReplicaModify IDL_DRSVerifyNames "
	    "IDL_DRSGetMemberships IDL_DRSInterDomainMove "
	    "IDL_DRSGetNT4ChangeLog IDL_DRSCrackNames IDL_DRSWriteSPN "
	    "IDL_DRSRemoveDsServer IDL_DRSRemoveDsDomain "
	    "IDL_DRSDomainControllerInfo IDL_DRSAddEntry IDL_DRSExecuteKCC "
	    "IDL_DRSGetReplInfo IDL_DRSAddSidHistory IDL_DRSGetMemberships2 "
	    "IDL_DRSReplicaVerifyObjects IDL_DRSGetObjectExistence "
	    "IDL_DRSQuerySitesByCost",
	[RPC_DSSETUP] = "DsRolerGetPrimaryDomainInformation",
	[RPC_BACKUPKEY] = "BackuprKey",
	[RPC_FRSRPC] = "FrsRpcSendCommPkt FrsRpcVerifyPromotionParent "
	    "FrsRpcStartPromotionParent FrsNOP",
	/* MS-FRS2 3.2.4.1.6: AsyncPoll completes when a version vector is there */
	[RPC_FRSTRANS] = "CheckConnectivity EstablishConnection "
	    "EstablishSession RequestUpdates RequestVersionVector +AsyncPoll "
	    "RequestRecords UpdateCancel RawGetFileData RdcGetSignatures "
	    "RdcPushSourceNeeds RdcGetFileData RdcClose "
	    "InitializeFileTransferAsync - RawGetFileDataAsync "
	    "RdcGetFileDataAsync",
	[RPC_NETDFS] = "NetrDfsManagerGetVersion NetrDfsAdd NetrDfsRemove "
	    "NetrDfsSetInfo NetrDfsGetInfo NetrDfsEnum NetrDfsMove",
	[RPC_DNSSERVER] = "R_DnssrvOperation R_DnssrvQuery "
	    "R_DnssrvComplexOperation R_DnssrvEnumRecords "
	    "R_DnssrvUpdateRecord R_DnssrvOperation2 R_DnssrvQuery2 "
	    "R_DnssrvComplexOperation2 R_DnssrvEnumRecords2 "
	    "R_DnssrvUpdateRecord2",
	/* MS-SRVS 3.1.4 */
	[RPC_SRVSVC] = "- - - - - - - - NetrConnectionEnum NetrFileEnum "
	    "NetrFileGetInfo NetrFileClose NetrSessionEnum NetrSessionDel "
	    "NetrShareAdd NetrShareEnum NetrShareGetInfo NetrShareSetInfo "
	    "NetrShareDel NetrShareDelSticky NetrShareCheck "
	    "NetrServerGetInfo NetrServerSetInfo NetrServerDiskEnum "
	    "NetrServerStatisticsGet NetrServerTransportAdd "
	    "NetrServerTransportEnum NetrServerTransportDel NetrRemoteTOD - "
	    "NetprPathType NetprPathCanonicalize NetprPathCompare "
	    "NetprNameValidate NetprNameCanonicalize NetprNameCompare "
	    "NetrShareEnumSticky NetrShareDelStart NetrShareDelCommit "
	    "NetrpGetFileSecurity NetrpSetFileSecurity",
	/* MS-WKST 3.2.4 */
	[RPC_WKSSVC] = "NetrWkstaGetInfo NetrWkstaSetInfo NetrWkstaUserEnum - - "
	    "NetrWkstaTransportEnum NetrWkstaTransportAdd "
	    "NetrWkstaTransportDel NetrUseAdd NetrUseGetInfo NetrUseDel "
	    "NetrUseEnum - NetrWorkstationStatisticsGet - - - - - - "
	    "NetrGetJoinInformation - NetrJoinDomain2 NetrUnjoinDomain2 "
	    "NetrRenameMachineInDomain2 NetrValidateName2 "
	    "NetrGetJoinableOUs2",
	/* MS-SCMR 3.1.4; 3.1.4.44: RGetNotifyResults waits until the service
	 * changes its state */
	[RPC_SVCCTL] = "RCloseServiceHandle RControlService RDeleteService "
	    "RLockServiceDatabase RQueryServiceObjectSecurity "
	    "RSetServiceObjectSecurity RQueryServiceStatus RSetServiceStatus "
	    "RUnlockServiceDatabase RNotifyBootConfigStatus - "
	    "RChangeServiceConfigW RCreateServiceW REnumDependentServicesW "
	    "REnumServicesStatusW ROpenSCManagerW ROpenServiceW "
	    "RQueryServiceConfigW RQueryServiceLockStatusW RStartServiceW "
	    "RGetServiceDisplayNameW RGetServiceKeyNameW - "
	    "RChangeServiceConfigA RCreateServiceA REnumDependentServicesA "
	    "REnumServicesStatusA ROpenSCManagerA ROpenServiceA "
	    "RQueryServiceConfigA RQueryServiceLockStatusA RStartServiceA "
	    "RGetServiceDisplayNameA RGetServiceKeyNameA - REnumServiceGroupW "
	    "RChangeServiceConfig2A RChangeServiceConfig2W "
	    "RQueryServiceConfig2A RQueryServiceConfig2W RQueryServiceStatusEx "
	    "REnumServicesStatusExA REnumServicesStatusExW - RCreateServiceWOW64A "
	    "RCreateServiceWOW64W - RNotifyServiceStatusChange "
	    "+RGetNotifyResults RCloseNotifyHandle RControlServiceExA "
	    "RControlServiceExW",
	/* MS-RRP 3.1.5; opnum 14 is not implemented where that was written, and
	 * in NT 4.0 waited for a key to change */
	[RPC_WINREG] = "OpenClassesRoot OpenCurrentUser OpenLocalMachine "
	    "OpenPerformanceData OpenUsers BaseRegCloseKey BaseRegCreateKey "
	    "BaseRegDeleteKey BaseRegDeleteValue BaseRegEnumKey "
	    "BaseRegEnumValue BaseRegFlushKey BaseRegGetKeySecurity "
	    "BaseRegLoadKey +BaseRegNotifyChangeKeyValue BaseRegOpenKey "
	    "BaseRegQueryInfoKey BaseRegQueryValue BaseRegReplaceKey "
	    "BaseRegRestoreKey BaseRegSaveKey BaseRegSetKeySecurity "
	    "BaseRegSetValue BaseRegUnLoadKey - - BaseRegGetVersion "
	    "OpenCurrentConfig - BaseRegQueryMultipleValues - BaseRegSaveKeyEx "
	    "OpenPerformanceText OpenPerformanceNlsText "
	    "BaseRegQueryMultipleValues2 BaseRegDeleteKeyEx",
	/* MS-EVEN 3.1.4 */
	[RPC_EVENTLOG] = "ElfrClearELFW ElfrBackupELFW ElfrCloseEL "
	    "ElfrDeregisterEventSource ElfrNumberOfRecords ElfrOldestRecord "
	    "ElfrChangeNotify ElfrOpenELW ElfrRegisterEventSourceW "
	    "ElfrOpenBELW ElfrReadELW ElfrReportEventW",
	/* MS-EVEN6 3.1.4.9, 3.1.4.11: both complete when there are events */
	[RPC_EVEN6] = "EvtRpcRegisterRemoteSubscription "
	    "+EvtRpcRemoteSubscriptionNextAsync EvtRpcRemoteSubscriptionNext "
	    "+EvtRpcRemoteSubscriptionWaitAsync EvtRpcRegisterControllableOperation "
	    "EvtRpcRegisterLogQuery EvtRpcClearLog EvtRpcExportLog "
	    "EvtRpcLocalizeExportLog EvtRpcMessageRender "
	    "EvtRpcMessageRenderDefault EvtRpcQueryNext EvtRpcQuerySeek "
	    "EvtRpcClose EvtRpcCancel",
	[RPC_ATSVC] = "NetrJobAdd NetrJobDel NetrJobEnum NetrJobGetInfo",
	/* MS-TSCH 3.2.5.4 */
	[RPC_TSCH] = "SchRpcHighestVersion SchRpcRegisterTask "
	    "SchRpcRetrieveTask SchRpcCreateFolder SchRpcSetSecurity "
	    "SchRpcGetSecurity SchRpcEnumFolders SchRpcEnumTasks "
	    "SchRpcEnumInstances SchRpcGetInstanceInfo SchRpcStopInstance "
	    "SchRpcStop SchRpcRun SchRpcDelete SchRpcRename "
	    "SchRpcScheduledRuntimes SchRpcGetLastRunInfo SchRpcGetTaskInfo "
	    "SchRpcGetNumberOfMissedRuns SchRpcEnableTask",
	[RPC_INITSHUTDOWN] = "BaseInitiateShutdown BaseAbortShutdown "
	    "BaseInitiateShutdownEx",
	/* MS-RPRN 3.1.4; 3.1.4.10: RpcWaitForPrinterChange. The others of its
	 * notifications return at once and the server calls back. */
	[RPC_SPOOLSS] = "RpcEnumPrinters RpcOpenPrinter RpcSetJob RpcGetJob "
	    "RpcEnumJobs RpcAddPrinter RpcDeletePrinter RpcSetPrinter "
	    "RpcGetPrinter RpcAddPrinterDriver RpcEnumPrinterDrivers "
	    "RpcGetPrinterDriver RpcGetPrinterDriverDirectory "
	    "RpcDeletePrinterDriver RpcAddPrintProcessor "
	    "RpcEnumPrintProcessors RpcGetPrintProcessorDirectory "
	    "RpcStartDocPrinter RpcStartPagePrinter RpcWritePrinter "
	    "RpcEndPagePrinter RpcAbortPrinter RpcReadPrinter RpcEndDocPrinter "
	    "RpcAddJob RpcScheduleJob RpcGetPrinterData RpcSetPrinterData "
	    "+RpcWaitForPrinterChange RpcClosePrinter RpcAddForm "
	    "RpcDeleteForm RpcGetForm RpcSetForm RpcEnumForms RpcEnumPorts "
	    "RpcEnumMonitors - - RpcDeletePort RpcCreatePrinterIC "
	    "RpcPlayGdiScriptOnPrinterIC RpcDeletePrinterIC - - - "
	    "RpcAddMonitor RpcDeleteMonitor RpcDeletePrintProcessor - - "
	    "RpcEnumPrintProcessorDatatypes RpcResetPrinter "
	    "RpcGetPrinterDriver2 - - RpcFindClosePrinterChangeNotification - "
	    "RpcReplyOpenPrinter RpcRouterReplyPrinter RpcReplyClosePrinter "
	    "RpcAddPortEx RpcRemoteFindFirstPrinterChangeNotification - - "
	    "RpcRemoteFindFirstPrinterChangeNotificationEx "
	    "RpcRouterReplyPrinterEx "
	    "RpcRouterRefreshPrinterChangeNotification - RpcOpenPrinterEx "
	    "RpcAddPrinterEx RpcSetPort RpcEnumPrinterData "
	    "RpcDeletePrinterData - - - RpcSetPrinterDataEx "
	    "RpcGetPrinterDataEx RpcEnumPrinterDataEx RpcEnumPrinterKey "
	    "RpcDeletePrinterDataEx RpcDeletePrinterKey - "
	    "RpcDeletePrinterDriverEx RpcAddPerMachineConnection "
	    "RpcDeletePerMachineConnection RpcEnumPerMachineConnections "
	    "RpcXcvData RpcAddPrinterDriverEx",
	/* MS-PAR 3.1.4; 3.1.4.9.4: RpcAsyncGetRemoteNotifications completes when
	 * the printer changed */
	[RPC_WINSPOOL] = "RpcAsyncOpenPrinter RpcAsyncAddPrinter "
	    "RpcAsyncSetJob RpcAsyncGetJob RpcAsyncEnumJobs RpcAsyncAddJob "
	    "RpcAsyncScheduleJob RpcAsyncDeletePrinter RpcAsyncSetPrinter "
	    "RpcAsyncGetPrinter RpcAsyncStartDocPrinter "
	    "RpcAsyncStartPagePrinter RpcAsyncWritePrinter "
	    "RpcAsyncEndPagePrinter RpcAsyncEndDocPrinter RpcAsyncAbortPrinter "
	    "RpcAsyncGetPrinterData RpcAsyncGetPrinterDataEx "
	    "RpcAsyncSetPrinterData RpcAsyncSetPrinterDataEx "
	    "RpcAsyncClosePrinter RpcAsyncAddForm RpcAsyncDeleteForm "
	    "RpcAsyncGetForm RpcAsyncSetForm RpcAsyncEnumForms "
	    "RpcAsyncGetPrinterDriver RpcAsyncEnumPrinterData "
	    "RpcAsyncEnumPrinterDataEx RpcAsyncEnumPrinterKey "
	    "RpcAsyncDeletePrinterData RpcAsyncDeletePrinterDataEx "
	    "RpcAsyncDeletePrinterKey RpcAsyncXcvData "
	    "RpcAsyncSendRecvBidiData RpcAsyncCreatePrinterIC "
	    "RpcAsyncPlayGdiScriptOnPrinterIC RpcAsyncDeletePrinterIC "
	    "RpcAsyncEnumPrinters RpcAsyncAddPrinterDriver "
	    "RpcAsyncEnumPrinterDrivers RpcAsyncGetPrinterDriverDirectory "
	    "RpcAsyncDeletePrinterDriver RpcAsyncDeletePrinterDriverEx "
	    "RpcAsyncAddPrintProcessor RpcAsyncEnumPrintProcessors "
	    "RpcAsyncGetPrintProcessorDirectory RpcAsyncEnumPorts "
	    "RpcAsyncEnumMonitors RpcAsyncAddPort RpcAsyncSetPort "
	    "RpcAsyncAddMonitor RpcAsyncDeleteMonitor "
	    "RpcAsyncDeletePrintProcessor "
	    "RpcAsyncEnumPrintProcessorDatatypes "
	    "RpcAsyncAddPerMachineConnection "
	    "RpcAsyncDeletePerMachineConnection "
	    "RpcAsyncEnumPerMachineConnections "
	    "RpcSyncRegisterForRemoteNotifications "
	    "RpcSyncUnRegisterForRemoteNotifications "
	    "RpcSyncRefreshRemoteNotifications "
	    "+RpcAsyncGetRemoteNotifications",
	/* MS-PAN 3.1.1.4.4 - 3.1.1.4.6: wait for a channel, or for what comes
	 * on it */
	[RPC_PRINT_NOTIFY] = "IRPCAsyncNotify_RegisterClient "
	    "IRPCAsyncNotify_UnregisterClient - "
	    "+IRPCAsyncNotify_GetNewChannel "
	    "+IRPCAsyncNotify_GetNotificationSendResponse "
	    "+IRPCAsyncNotify_GetNotification IRPCAsyncNotify_CloseChannel",
	/* MS-DCOM 3.1.2.5, 3.1.1.5 */
	[RPC_OXID] = "ResolveOxid SimplePing ComplexPing ServerAlive "
	    "ResolveOxid2 ServerAlive2",
	[RPC_ACTIVATOR] = "- - - RemoteGetClassObject RemoteCreateInstance",
	[RPC_ACTIVATION] = "RemoteActivation",
	[RPC_REMUNKNOWN] = "- - - RemQueryInterface RemAddRef RemRelease",
	[RPC_REMUNKNOWN2] = "- - - RemQueryInterface RemAddRef RemRelease "
	    "RemQueryInterface2",
	/* MS-WMI 3.1.4: what asks for the next object waits as long as the
	 * client wants, for ever with a notification query (3.1.4.4.2, 3.1.4.6.1,
	 * 3.1.4.5.1) */
	[RPC_WBEM_LOGIN] = "- - - EstablishPosition RequestChallenge WBEMLogin "
	    "NTLMLogin",
	[RPC_WBEM_SERVICES] = "- - - OpenNamespace CancelAsyncCall "
	    "QueryObjectSink GetObject GetObjectAsync PutClass PutClassAsync "
	    "DeleteClass DeleteClassAsync CreateClassEnum CreateClassEnumAsync "
	    "PutInstance PutInstanceAsync DeleteInstance DeleteInstanceAsync "
	    "CreateInstanceEnum CreateInstanceEnumAsync ExecQuery "
	    "ExecQueryAsync ExecNotificationQuery ExecNotificationQueryAsync "
	    "ExecMethod ExecMethodAsync",
	[RPC_WBEM_ENUM] = "- - - Reset +Next NextAsync Clone +Skip",
	[RPC_WBEM_SMART_ENUM] = "- - - +Next",
	[RPC_WBEM_RESULT] = "- - - +GetResultObject +GetResultString "
	    "+GetResultServices +GetCallStatus",
	/* MS-SWN 3.1.4.4: completes when a resource changed or moved */
	[RPC_WITNESS] = "WitnessrGetInterfaceList WitnessrRegister "
	    "WitnessrUnRegister +WitnessrAsyncNotify WitnessrRegisterEx",
	[RPC_FSRVP] = "GetSupportedVersion SetContext StartShadowCopySet "
	    "AddToShadowCopySet CommitShadowCopySet ExposeShadowCopySet "
	    "RecoveryCompleteShadowCopySet AbortShadowCopySet IsPathSupported "
	    "IsPathShadowCopied GetShareMapping DeleteShareMapping "
	    "PrepareShadowCopySet",
	/* MS-TSTS 3.3.4.1.9: waits for the user to press a button */
	[RPC_TS_SESSION] = "RpcOpenSession RpcCloseSession RpcConnect "
	    "RpcDisconnect RpcLogoff RpcGetUserName RpcGetTerminalName "
	    "RpcGetState RpcIsSessionDesktopLocked +RpcShowMessageBox "
	    "RpcGetTimes RpcGetSessionCounters RpcGetSessionInformation",
	/* MS-TSTS 3.3.4.2 */
	[RPC_TS_NOTIFY] = "+RpcWaitForSessionState RpcRegisterAsyncNotification "
	    "+RpcWaitAsyncNotification RpcUnRegisterAsyncNotification",
	/* MS-TSTS 3.7.4.1; 3.7.4.1.15: no time-out on the wait */
	[RPC_WINSTATION] = "RpcWinStationOpenServer RpcWinStationCloseServer "
	    "RpcIcaServerPing RpcWinStationEnumerate RpcWinStationRename "
	    "RpcWinStationQueryInformation RpcWinStationSetInformation "
	    "+RpcWinStationSendMessage RpcLogonIdFromWinStationName "
	    "RpcWinStationNameFromLogonId RpcWinStationConnect - - "
	    "RpcWinStationDisconnect RpcWinStationReset "
	    "RpcWinStationShutdownSystem +RpcWinStationWaitSystemEvent",
	/* MS-MQRR 3.1.4.7: waits for a message to be there */
	[RPC_REMOTE_READ] = "R_GetServerPort - R_OpenQueue R_CreateCursor "
	    "R_CloseCursor R_PurgeQueue - +R_StartReceive R_CancelReceive "
	    "R_EndReceive",
	/* MS-MQQP 3.1.4.1, likewise */
	[RPC_QM2QM] = "+RemoteQMStartReceive RemoteQMEndReceive "
	    "RemoteQMOpenQueue RemoteQMCloseQueue RemoteQMCloseCursor "
	    "RemoteQMCancelReceive RemoteQMPurgeQueue",
};

/* MS-CMRP 3.1.4.2.66, .138, .146: a cluster's notifications; of the interface's
 * other operations, nearly two hundred, the number must do. */
static const uint16_t cluster_waits[] = { 65, 139, 147 };

enum { OPERATION_NAME_BYTES = 56 };

const char *
rpc_interface_name(unsigned interface)
{
	return interfaces[interface < RPC_INTERFACE_COUNT ? interface : 0].name;
}

/* Where the operation's name begins, and how long it is. */
static const char *
operation_entry(unsigned interface, unsigned opnum, size_t *n)
{
	const char *at = interface < RPC_INTERFACE_COUNT ?
	    operations[interface] : NULL;

	for (unsigned i = 0; at && i < opnum; i++) {
		at = strchr(at, ' ');
		if (at)
			at++;
	}
	*n = at ? strcspn(at, " ") : 0;
	return at;
}

const char *
rpc_operation_name(unsigned interface, unsigned opnum)
{
	static _Thread_local char name[OPERATION_NAME_BYTES];
	const char *at;
	size_t n;

	if (opnum == RPC_OP_BIND)
		return "bind";
	if (opnum == RPC_OP_ALTER_CONTEXT)
		return "alter_context";
	at = operation_entry(interface, opnum, &n);
	if (!at || *at == '-' || n >= sizeof(name))
		return NULL;
	if (*at == '+') {
		at++;
		n--;
	}
	memcpy(name, at, n);
	name[n] = '\0';
	return name;
}

/* --- which calls park ----------------------------------------------------------- */

enum { OPNUMS = 256 };		/* none parks beyond */

static bool parks[RPC_INTERFACE_COUNT][OPNUMS];

static void
mark_parking(unsigned interface, unsigned opnum)
{
	parks[interface][opnum] = true;
	/* where the bind was not seen, it may be a call of this interface */
	parks[RPC_OTHER][opnum] = true;
}

static void
mark_all_parking(void)
{
	for (unsigned i = 1; i < RPC_INTERFACE_COUNT; i++) {
		const char *at = operations[i];

		for (unsigned opnum = 0; at && opnum < OPNUMS; opnum++) {
			if (*at == '+')
				mark_parking(i, opnum);
			at = strchr(at, ' ');
			at = at ? at + 1 : NULL;
		}
	}
	for (size_t i = 0; i < sizeof(cluster_waits) / sizeof(*cluster_waits); i++)
		mark_parking(RPC_CLUSAPI, cluster_waits[i]);
}

bool
rpc_parks(unsigned interface, unsigned opnum)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, mark_all_parking);
	return interface < RPC_INTERFACE_COUNT && opnum < OPNUMS &&
	    parks[interface][opnum];
}

/* --- interfaces ------------------------------------------------------------------ */

/* C706, appendix A: the last eight bytes are always as written. */
unsigned
rpc_interface_take(struct bytes *b, bool little_endian)
{
	static const char digits[] = "0123456789abcdef";
	static const uint8_t order[2][16] = {
		{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
		{ 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 },
	};
	const uint8_t *uuid = bytes_take(b, 16);
	char text[37], *out = text;

	if (!uuid)
		return RPC_OTHER;
	for (int i = 0; i < 16; i++) {
		uint8_t octet = uuid[order[little_endian][i]];

		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[octet >> 4];
		*out++ = digits[octet & 15];
	}
	*out = '\0';
	for (unsigned i = 1; i < RPC_INTERFACE_COUNT; i++)
		if (strcmp(interfaces[i].uuid, text) == 0)
			return i;
	return RPC_OTHER;
}
