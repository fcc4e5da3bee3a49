/* app_dhcp.h - what the DHCP events say (RFC 2131, 2132).
 *
 * They have no flow: a client without an address asks 255.255.255.255 from
 * 0.0.0.0. APP_NOTE_DHCP_REQUEST (DISCOVER, REQUEST, INFORM; DECLINE and RELEASE
 * are never answered and told as well) and APP_NOTE_DHCP_REPLY (OFFER, ACK, NAK):
 *
 *	label	app_label(APP_DHCP, relayed, enum dhcp_message)
 *	key	xid
 *	value	the client's hardware address (the first 6 bytes of chaddr)
 *	address	who spoke: of a relayed request the relay (giaddr), else the
 *		source address; of a reply the server identifier (option 54), if
 *		there is none the source address
 *	peer	who is meant: of a request the server identifier, else the
 *		destination if that is one host, else unspecified (any server);
 *		of a reply the destination
 *	packet	the packet
 *
 * Both a client's broadcast and its relay's copy of it may be seen: same key
 * and value. */
#ifndef CAPTURE_APP_DHCP_H
#define CAPTURE_APP_DHCP_H

enum dhcp_message {		/* RFC 2132, 9.6 */
	DHCP_DISCOVER = 1, DHCP_OFFER = 2, DHCP_REQUEST = 3, DHCP_DECLINE = 4,
	DHCP_ACK = 5, DHCP_NAK = 6, DHCP_RELEASE = 7, DHCP_INFORM = 8,
};
enum { DHCP_DIRECT = 0, DHCP_RELAYED = 1 };	/* the interface of a label */

#endif
