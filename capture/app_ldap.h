/* app_ldap.h - LDAP's operations, as in a label (RFC 4511, 4.2 - 4.13: the
 * number of the APPLICATION tag). */
#ifndef CAPTURE_APP_LDAP_H
#define CAPTURE_APP_LDAP_H

enum ldap_operation {
	LDAP_BIND = 0, LDAP_BIND_DONE = 1, LDAP_UNBIND = 2, LDAP_SEARCH = 3,
	LDAP_ENTRY = 4, LDAP_SEARCH_DONE = 5, LDAP_MODIFY = 6,
	LDAP_MODIFY_DONE = 7, LDAP_ADD = 8, LDAP_ADD_DONE = 9, LDAP_DELETE = 10,
	LDAP_DELETE_DONE = 11, LDAP_RENAME = 12, LDAP_RENAME_DONE = 13,
	LDAP_COMPARE = 14, LDAP_COMPARE_DONE = 15, LDAP_ABANDON = 16,
	LDAP_REFERENCE = 19, LDAP_EXTENDED = 23, LDAP_EXTENDED_DONE = 24,
	LDAP_INTERMEDIATE = 25,
};

/* The interface of a label: LDAP over TCP, or over UDP (the DC locator's
 * "LDAP ping", MS-ADTS 6.3.3). */
enum { LDAP_OVER_TCP = 0, LDAP_OVER_UDP = 1 };

#endif
