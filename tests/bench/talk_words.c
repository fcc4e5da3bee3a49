/* talk_words.c - what conversations are made of: DCE/RPC as Outlook speaks it
 * to Exchange (C706, 12.6; sealed, so that stubs are noise), SMB2, HTTP, and
 * plain noise.
 *
 * A line is asked for piece by piece, each at an offset: nothing of it is kept.
 * Headers lie at the begin of segments, because fragments are of four. */
#include "tests/bench/talk.h"

#include <stdio.h>
#include <string.h>

enum {
	FRAGMENT = 4 * MSS,	/* 5840: Windows' max_xmit_frag */
	PDU_REQUEST = 0, PDU_RESPONSE = 2, PDU_BIND = 11, PDU_BIND_ACK = 12,
	PDU_AUTH3 = 16,
	CALL_HEAD = 24, AUTH_TRAILER = 8, SIGNATURE = 16,
	OPNUM_CONNECT = 10, OPNUM_RPC = 11,	/* MS-OXCRPC 3.1.4 */
	SMB_NEGOTIATE = 0, SMB_READ = 8,
	SMB_HEAD = 68,		/* with the length before it (MS-SMB2 2.1) */
};

static const uint8_t ndr[20] = { 0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11,
	0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60, 2, 0, 0, 0 };
/* a4f1db00-ca47-1067-b31f-00dd010662da, version 0.81: EMSMDB */
static const uint8_t emsmdb[20] = { 0x00, 0xdb, 0xf1, 0xa4, 0x47, 0xca, 0x67,
	0x10, 0xb3, 0x1f, 0x00, 0xdd, 0x01, 0x06, 0x62, 0xda, 0, 0, 0x51, 0 };

static void
pdu_head(uint8_t *p, uint8_t type, uint8_t flags, uint32_t bytes, uint32_t auth,
    uint32_t call)
{
	memcpy(p, (const uint8_t[]){ 5, 0, type, flags, 0x10, 0, 0, 0 }, 8);
	put_le16(p + 8, bytes);
	put_le16(p + 10, auth);
	put_le32(p + 12, call);
}

static void
auth_trailer(uint8_t *p)
{
	memcpy(p, (const uint8_t[]){ 10, 6, 0, 0, 1, 0, 0, 0 }, AUTH_TRAILER);
}

/* An NTLMSSP token, its fields all empty: MS-NLMP 2.2.1. */
static void
ntlm(uint8_t *p, uint32_t type, uint32_t bytes)
{
	memset(p, 0, bytes);
	memcpy(p, "NTLMSSP", 8);
	put_le32(p + 8, type);
}

uint32_t
words_size(enum what what, uint32_t wish)
{
	uint32_t rest;

	if (what != SAYS_REQUEST && what != SAYS_RESPONSE)
		return wish;
	rest = wish % FRAGMENT;
	if (rest && rest < 64)
		wish += 64;
	rest = wish % MSS;
	return rest && rest <= AUTH_TRAILER + SIGNATURE ? wish + 32 : wish;
}

static void
fill_bind(const struct talk *t, uint8_t *p, uint32_t bytes)
{
	const uint8_t head[16] = { 0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 1, 0, 0, 0,
		0, 0, 1, 0 };

	pdu_head(p, PDU_BIND, 3, bytes, bytes - 72 - AUTH_TRAILER, t->call);
	memcpy(p + 16, head, 16);
	memcpy(p + 32, emsmdb, 20);
	memcpy(p + 52, ndr, 20);
	auth_trailer(p + 72);
	ntlm(p + 80, 1, bytes - 80);
}

static void
fill_bind_ack(const struct talk *t, uint8_t *p, uint32_t bytes)
{
	char port[8];

	snprintf(port, sizeof(port), "%05u", t->script->port);
	pdu_head(p, PDU_BIND_ACK, 3, bytes, bytes - 60 - AUTH_TRAILER, t->call);
	memset(p + 16, 0, 44);
	memcpy(p + 16, (const uint8_t[]){ 0xd0, 0x16, 0xd0, 0x16, 1, 0, 0, 0, 6 }, 9);
	memcpy(p + 26, port, 6);
	p[32] = 1;
	memcpy(p + 40, ndr, 20);
	auth_trailer(p + 60);
	ntlm(p + 68, 2, bytes - 68);
}

static void
fill_auth3(const struct talk *t, uint8_t *p, uint32_t bytes)
{
	pdu_head(p, PDU_AUTH3, 3, bytes, bytes - 20 - AUTH_TRAILER, t->call);
	memcpy(p + 16, (const uint8_t[]){ 0xd0, 0x16, 0xd0, 0x16 }, 4);
	auth_trailer(p + 20);
	ntlm(p + 28, 3, bytes - 28);
}

/* A piece of a request or response: the fragment's head where one begins, its
 * trailer where one ends. */
static void
fill_call(const struct talk *t, uint8_t type, uint8_t *p, uint32_t offset,
    uint32_t bytes)
{
	uint32_t begin = offset - offset % FRAGMENT;
	uint32_t end = begin + FRAGMENT < t->size ? begin + FRAGMENT : t->size;
	uint8_t flags = (uint8_t)((begin ? 0 : 1) | (end == t->size ? 2 : 0));

	if (offset == begin) {
		pdu_head(p, type, flags, end - begin, SIGNATURE, t->call);
		put_le32(p + 16, t->size - begin - CALL_HEAD);
		put_le16(p + 20, 0);
		put_le16(p + 22, type == PDU_RESPONSE ? 0 : t->rounds ? OPNUM_RPC :
		    OPNUM_CONNECT);
	}
	if (offset + bytes == end) {
		auth_trailer(p + bytes - SIGNATURE - AUTH_TRAILER);
		put_le32(p + bytes - SIGNATURE, 1);
	}
}

static void
fill_get(const struct talk *t, uint8_t *p, uint32_t bytes)
{
	static const char head[] = "GET /owa/item?id=%08x HTTP/1.1\r\n"
	    "Host: mail.example.com\r\nUser-Agent: Mozilla/4.0\r\nCookie: s=";
	char text[160];
	int n = snprintf(text, sizeof(text), head, t->seq[FROM_CLIENT]);

	memset(p, 'x', bytes);
	memcpy(p, text, (size_t)n);
	memcpy(p + bytes - 4, "\r\n\r\n", 4);
}

static void
fill_page(const struct talk *t, uint8_t *p)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nServer: Microsoft-IIS/6.0\r\n"
	    "Content-Type: application/octet-stream\r\nContent-Length: %010u\r\n\r\n";
	char text[160];
	int n = snprintf(text, sizeof(text), head, 0);

	n = snprintf(text, sizeof(text), head, t->size - (uint32_t)n);
	memcpy(p, text, (size_t)n);
}

/* MS-SMB2 2.2.1.2 */
static void
smb_head(const struct talk *t, uint8_t *p, uint32_t bytes, uint16_t command,
    bool answer)
{
	memset(p, 0, SMB_HEAD);
	put_be32(p, bytes - 4);
	memcpy(p + 4, "\xfeSMB", 4);
	put_le16(p + 8, 64);
	put_le16(p + 10, 1);			/* credit charge */
	put_le16(p + 16, command);
	put_le16(p + 18, 32);			/* credits */
	put_le32(p + 20, answer ? 1 : 0);
	put_le32(p + 28, t->call);		/* message id */
	put_le32(p + 40, command == SMB_READ ? 5 : 0);	/* tree */
	put_le32(p + 44, command == SMB_READ ? 1 : 0);	/* session */
}

static void
fill_smb_hello(const struct talk *t, uint8_t *p, uint32_t bytes, bool answer)
{
	smb_head(t, p, bytes, SMB_NEGOTIATE, answer);
	memset(p + SMB_HEAD, 0, bytes - SMB_HEAD);
	put_le16(p + SMB_HEAD, answer ? 65 : 36);
	put_le16(p + SMB_HEAD + 2, 1);
	put_le16(p + SMB_HEAD + (answer ? 4 : 36), 0x0202);	/* dialect 2.0.2 */
}

/* MS-SMB2 2.2.19 */
static void
fill_smb_read(const struct talk *t, uint8_t *p, uint32_t bytes)
{
	smb_head(t, p, bytes, SMB_READ, false);
	memset(p + SMB_HEAD, 0, bytes - SMB_HEAD);
	put_le16(p + SMB_HEAD, 49);
	p[SMB_HEAD + 2] = 0x50;
	put_le32(p + SMB_HEAD + 4, 65536);
	put_le32(p + SMB_HEAD + 8, t->call << 16);
	put_le32(p + SMB_HEAD + 16, 7);		/* file */
}

/* MS-SMB2 2.2.20 */
static void
fill_smb_data(const struct talk *t, uint8_t *p)
{
	smb_head(t, p, t->size, SMB_READ, true);
	memset(p + SMB_HEAD, 0, 16);
	put_le16(p + SMB_HEAD, 17);
	p[SMB_HEAD + 2] = 0x50;
	put_le32(p + SMB_HEAD + 4, t->size - SMB_HEAD - 16);
}

void
words_fill(const struct talk *t, enum what what, uint8_t *to, uint32_t offset,
    uint32_t bytes)
{
	memcpy(to, wire_noise(t->seq[0] * 31 + offset), bytes);
	switch (what) {
	case SAYS_BIND: fill_bind(t, to, bytes); break;
	case SAYS_BIND_ACK: fill_bind_ack(t, to, bytes); break;
	case SAYS_AUTH3: fill_auth3(t, to, bytes); break;
	case SAYS_REQUEST: fill_call(t, PDU_REQUEST, to, offset, bytes); break;
	case SAYS_RESPONSE: fill_call(t, PDU_RESPONSE, to, offset, bytes); break;
	case SAYS_GET: fill_get(t, to, bytes); break;
	case SAYS_PAGE:
		if (!offset)
			fill_page(t, to);
		break;
	case SAYS_SMB_HELLO: fill_smb_hello(t, to, bytes, false); break;
	case SAYS_SMB_HELLO_BACK: fill_smb_hello(t, to, bytes, true); break;
	case SAYS_SMB_READ: fill_smb_read(t, to, bytes); break;
	case SAYS_SMB_DATA:
		if (!offset)
			fill_smb_data(t, to);
		break;
	case SAYS_SYN: case SAYS_ACK: case SAYS_FIN: case SAYS_NOISE: break;
	}
}
