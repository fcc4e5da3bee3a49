/* app_dns.h - what DNS's and NetBIOS name service's labels mean. The operation
 * of a label is the type asked for (RFC 1035, 3.2.2; SRV: RFC 2782). */
#ifndef CAPTURE_APP_DNS_H
#define CAPTURE_APP_DNS_H

enum dns_type {
	DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12,
	DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33,
};

/* The interface of a label: what kind of question it is. */
enum dns_question {
	DNS_ANY_NAME = 0,
	DNS_LOCATOR = 1,	/* SRV of _ldap, _kerberos, _gc or _kpasswd: how
				 * domain members find a DC (MS-ADTS 6.3.2.3) */
	DNS_UPDATE = 2,		/* RFC 2136 */
	DNS_OTHER_OPCODE = 3,
};

#endif
