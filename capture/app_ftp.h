/* app_ftp.h - the commands of FTP, as the operation of a label (RFC 959, 5.3.1;
 * RFC 2228, 2389, 2428, 3659; X-commands of RFC 775). */
#ifndef CAPTURE_APP_FTP_H
#define CAPTURE_APP_FTP_H

#include <stdbool.h>

#define FTP_VERBS(X)							\
	X(OTHER) X(USER) X(PASS) X(ACCT) X(CWD) X(CDUP) X(SMNT) X(QUIT)	\
	X(REIN) X(PORT) X(PASV) X(TYPE) X(STRU) X(MODE) X(RETR) X(STOR)	\
	X(STOU) X(APPE) X(ALLO) X(REST) X(RNFR) X(RNTO) X(ABOR) X(DELE)	\
	X(RMD) X(MKD) X(PWD) X(LIST) X(NLST) X(SITE) X(SYST) X(STAT)	\
	X(HELP) X(NOOP) X(FEAT) X(OPTS) X(AUTH) X(ADAT) X(PBSZ) X(PROT)	\
	X(CCC) X(EPRT) X(EPSV) X(LANG) X(MDTM) X(MLSD) X(MLST) X(SIZE)	\
	X(HOST) X(CLNT) X(XCWD) X(XPWD) X(XMKD) X(XRMD) X(XCUP)

enum ftp_verb {
#define X(name) FTP_##name,
	FTP_VERBS(X)
#undef X
	FTP_VERB_COUNT
};

/* "RETR"; "command" for what is not in the list. */
const char *ftp_verb_name(unsigned verb);
/* Does it need a data connection? */
bool ftp_is_transfer(unsigned verb);

#endif
