/* app_text.h - the commands of SMTP, POP3 and IMAP, as the operation of a
 * label (RFC 5321, 1939, 3501 and what extends them). */
#ifndef CAPTURE_APP_TEXT_H
#define CAPTURE_APP_TEXT_H

/* MESSAGE is the text after DATA, up to its last dot. */
#define SMTP_VERBS(X)							\
	X(OTHER) X(HELO) X(EHLO) X(LHLO) X(MAIL) X(RCPT) X(DATA) X(BDAT) \
	X(MESSAGE) X(RSET) X(VRFY) X(EXPN) X(HELP) X(NOOP) X(QUIT)	\
	X(STARTTLS) X(AUTH) X(ETRN) X(TURN) X(XEXCH50)

#define POP3_VERBS(X)							\
	X(OTHER) X(USER) X(PASS) X(APOP) X(AUTH) X(CAPA) X(STLS) X(STAT) \
	X(LIST) X(UIDL) X(RETR) X(TOP) X(DELE) X(NOOP) X(RSET) X(LAST) X(QUIT)

#define IMAP_VERBS(X)							\
	X(OTHER) X(CAPABILITY) X(NOOP) X(LOGOUT) X(STARTTLS)		\
	X(AUTHENTICATE) X(LOGIN) X(SELECT) X(EXAMINE) X(CREATE) X(DELETE) \
	X(RENAME) X(SUBSCRIBE) X(UNSUBSCRIBE) X(LIST) X(LSUB) X(STATUS)	\
	X(APPEND) X(CHECK) X(CLOSE) X(UNSELECT) X(EXPUNGE) X(SEARCH)	\
	X(FETCH) X(STORE) X(COPY) X(MOVE) X(UID) X(IDLE) X(NAMESPACE)	\
	X(ID) X(ENABLE) X(GETQUOTA) X(GETQUOTAROOT) X(SORT) X(THREAD)	\
	X(COMPRESS) X(XLIST)

enum smtp_verb {
#define X(name) SMTP_##name,
	SMTP_VERBS(X)
#undef X
	SMTP_VERB_COUNT
};
enum pop3_verb {
#define X(name) POP3_##name,
	POP3_VERBS(X)
#undef X
	POP3_VERB_COUNT
};
enum imap_verb {
#define X(name) IMAP_##name,
	IMAP_VERBS(X)
#undef X
	IMAP_VERB_COUNT
};

#endif
