/* app_pptp.h - what PPTP's labels and events mean (RFC 2637). */
#ifndef CAPTURE_APP_PPTP_H
#define CAPTURE_APP_PPTP_H

/* Control messages (2.1 - 2.15), the operation of a label with interface 0. */
enum pptp_message {
	PPTP_START_REQUEST = 1, PPTP_START_REPLY, PPTP_STOP_REQUEST,
	PPTP_STOP_REPLY, PPTP_ECHO_REQUEST, PPTP_ECHO_REPLY,
	PPTP_OUTGOING_REQUEST, PPTP_OUTGOING_REPLY, PPTP_INCOMING_REQUEST,
	PPTP_INCOMING_REPLY, PPTP_INCOMING_CONNECTED, PPTP_CLEAR_REQUEST,
	PPTP_DISCONNECT_NOTIFY, PPTP_WAN_ERROR, PPTP_SET_LINK_INFO,
};

/* APP_NOTE_PPTP_GRE: a GRE packet of a call. It has no flow: `address` sent it
 * to `peer`; `key` is the call id in it, which is the receiver's; `value` the
 * bytes of PPP inside (0: an acknowledgment alone); `port` the PPP protocol, 0
 * when it cannot be told; the label's interface is 1, its operation the code of
 * a PPP control packet (RFC 1661, 5: 1 Configure-Request, 9 Echo-Request ...),
 * 0 for data; `exchange_flags` says whether it acknowledges anything (PPTP_GRE_
 * ACKNOWLEDGES, the A bit).
 * APP_NOTE_PPTP_CALL: a call is connected: `value` is the client's call id
 * << 16 | the server's. APP_NOTE_PPTP_ECHO: `side` answered an echo on the
 * control connection. The end of a call shows as a request PPTP_STOP_REQUEST,
 * PPTP_CLEAR_REQUEST or PPTP_DISCONNECT_NOTIFY (one way). */
enum { PPTP_LABEL_GRE = 1, PPTP_GRE_ACKNOWLEDGES = 1 };
enum { PPP_LCP = 0xc021, PPP_COMPRESSED = 0x00fd };

#endif
