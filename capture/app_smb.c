/* app_smb.c - SMB1 (MS-CIFS, MS-SMB) and SMB2/3 (MS-SMB2) over TCP and over
 * NetBIOS sessions (RFC 1002, 4.3).
 *
 * A request is asked when its last byte has come, a response answers as soon
 * as its header is there: a slow upload is no slow server. File data is never
 * looked at. The hard part is what may wait: locks, change notification and
 * reads from pipes wait as long as they must, and where the server says
 * "pending" it has the request in hand and will be long. */
#include "capture/app_smb.h"

#include <stdlib.h>
#include <string.h>

enum {
	NBSS_BYTES = 4,		/* RFC 1002, 4.3.1; MS-SMB2 2.1 */
	NBSS_MESSAGE = 0x00, NBSS_REQUEST = 0x81, NBSS_POSITIVE = 0x82,
	NBSS_NEGATIVE = 0x83, NBSS_RETARGET = 0x84, NBSS_KEEP_ALIVE = 0x85,
	NBSS_REQUEST_MAX = 1024,
	SMB1_BYTES = 32, SMB2_BYTES = 64,
	MAGIC_SMB1 = 0xff, MAGIC_SMB2 = 0xfe, MAGIC_SEALED = 0xfd,
	MAGIC_COMPRESSED = 0xfc,
	/* So much of a command is looked at: the longest fixed part is a
	 * CREATE's or IOCTL's of 120 bytes, an RPC header fits behind it. */
	HEAD_BYTES = 200,
	/* Fewer than these and a command that was cut says nothing. */
	HEAD_LEAST_BYTES = 32,
};

enum smb_status {		/* MS-ERREF 2.3 */
	STATUS_PENDING = 0x00000103,
	STATUS_SEVERE = 0x3,	/* the upper two bits of an error */
};
#define STATUS_MORE_PROCESSING_REQUIRED UINT32_C(0xc0000016)

enum smb2_command {		/* MS-SMB2 2.2.1.2 */
	SMB2_NEGOTIATE, SMB2_SESSION_SETUP, SMB2_LOGOFF, SMB2_TREE_CONNECT,
	SMB2_TREE_DISCONNECT, SMB2_CREATE, SMB2_CLOSE, SMB2_FLUSH, SMB2_READ,
	SMB2_WRITE, SMB2_LOCK, SMB2_IOCTL, SMB2_CANCEL, SMB2_ECHO,
	SMB2_QUERY_DIRECTORY, SMB2_CHANGE_NOTIFY, SMB2_QUERY_INFO,
	SMB2_SET_INFO, SMB2_OPLOCK_BREAK, SMB2_COMMANDS,
};

enum { SMB2_FLAG_RESPONSE = 1, SMB2_FLAG_ASYNC = 2, SMB2_SHARE_PIPE = 2,
	SMB2_LOCK_FAIL_IMMEDIATELY = 0x10 };

enum smb2_fsctl {		/* MS-FSCC 2.3 */
	FSCTL_PIPE_TRANSCEIVE = 0x0011c017, FSCTL_PIPE_WAIT = 0x00110018,
};

enum smb1_command {		/* MS-CIFS 2.2.2.1 */
	SMB1_WRITE_RAW = 0x1d, SMB1_READ_RAW = 0x1a, SMB1_CLOSE = 0x04,
	SMB1_LOCKING = 0x24, SMB1_TRANSACTION = 0x25,
	SMB1_TRANSACTION_SECONDARY = 0x26, SMB1_ECHO = 0x2b, SMB1_READ = 0x2e,
	SMB1_WRITE = 0x2f, SMB1_TRANSACTION2 = 0x32,
	SMB1_TRANSACTION2_SECONDARY = 0x33, SMB1_NEGOTIATE = 0x72,
	SMB1_NT_TRANSACT = 0xa0, SMB1_NT_TRANSACT_SECONDARY = 0xa1,
	SMB1_NT_CREATE = 0xa2, SMB1_NT_CANCEL = 0xa4,
};

enum { SMB1_FLAG_RESPONSE = 0x80, SMB1_MID_OF_BREAK = 0xffff,
	SMB1_OPLOCK_RELEASE = 0x02, SMB1_TRANS_NO_RESPONSE = 0x02,
	SMB1_TRANS_NMPIPE = 0x26, SMB1_WAIT_NMPIPE = 0x53,
	SMB1_NT_NOTIFY_CHANGE = 4, SMB1_RAW_MESSAGE_START = 0x0c,
	SMB1_IS_PIPE_FIRST = 1, SMB1_IS_PIPE_LAST = 2 };

/* Kinds of keys; MessageIds do not get that far. Bit 63 is DCE/RPC's. */
#define KEY_SMB1 (UINT64_C(1) << 62)
#define KEY_SEALED (UINT64_C(1) << 61)
#define KEY_NETBIOS (UINT64_C(1) << 60)
#define KEY_SMB2_MASK (KEY_NETBIOS - 1)

struct smb_lane {
	uint32_t message_left;	/* of the message, behind the command in hand */
	uint32_t command_left;	/* of the command, to be skipped */
	bool ending;		/* the command's last byte is past */
	bool asks;		/* it is a request: then open an exchange with */
	uint16_t flags;
	uint32_t label;
	uint32_t bytes;
	uint64_t key;
	struct instant began;
	uint64_t first_frame;
};

enum { SMB_PIPE_TREES = 4 };

struct smb_state {
	struct smb_lane lane[2];
	struct smb_pipes *pipes;	/* NULL: none yet */
	uint64_t negotiate_key;		/* SMB1 NEGOTIATE, for SMB2's answer */
	uint32_t pipe_tree[SMB_PIPE_TREES];	/* ids of IPC$ */
	uint8_t pipe_trees;		/* so many seen, the last ones kept */
};

/* A command as far as its head shows. */
struct command {
	struct smb_state *state;
	struct smb_lane *lane;
	struct bytes all;	/* from its magic on: the head, or all of it */
	uint32_t bytes;		/* how long it is */
	bool whole;		/* `all` is all of it */
	bool cut;		/* it is not, and never will be */
	uint32_t status;
	uint64_t key;
	uint32_t label;
};

static bool
status_is_fault(uint32_t status)
{
	return status >> 30 == STATUS_SEVERE &&
	    status != STATUS_MORE_PROCESSING_REQUIRED;
}

/* The command asks; the exchange is opened at its end. */
static void
will_ask(struct app_context *c, struct command *m, unsigned flags)
{
	m->lane->asks = true;
	m->lane->key = m->key;
	m->lane->label = m->label;
	m->lane->flags = (uint16_t)flags;
	m->lane->bytes = m->bytes;
	m->lane->began = c->began;
	m->lane->first_frame = c->first_frame;
}

/* A part of the command that its header points to. */
static struct bytes
part_of(const struct command *m, uint32_t offset, uint32_t n)
{
	struct bytes b = m->all;

	bytes_skip(&b, offset);
	return bytes_sub_at_most(&b, n);
}

static void
tell_break(struct app_context *c, const struct command *m)
{
	struct app_event e = {
		.type = APP_NOTE, .what = APP_NOTE_SMB_BREAK, .flow = c->flow,
		.side = c->side, .time = c->now, .frame = c->frame,
		.label = m->label,
	};

	app_tell(c, &e);
}

/* --- SMB2 ----------------------------------------------------------------------- */

static bool
tree_is_pipe(const struct smb_state *s, uint32_t tree)
{
	for (int i = 0; i < SMB_PIPE_TREES && i < s->pipe_trees; i++)
		if (s->pipe_tree[i] == tree)
			return true;
	return false;
}

static void
tree_connected(struct smb_state *s, uint32_t tree)
{
	if (tree_is_pipe(s, tree))
		return;
	s->pipe_tree[s->pipe_trees % SMB_PIPE_TREES] = tree;
	if (++s->pipe_trees >= 2 * SMB_PIPE_TREES)
		s->pipe_trees = SMB_PIPE_TREES;
}

/* The half of a FileId that tells the opens of a connection apart. */
static uint64_t
take_file_id(struct bytes *b)
{
	bytes_skip(b, 8);
	return bytes_le64(b);
}

/* The handle's pipe; one that carries a PDU is one, though we did not see it
 * opened. */
static struct smb_pipe *
pipe_of(struct smb_state *s, uint64_t id, struct bytes data)
{
	struct smb_pipe *pipe = smb_pipe_find(s->pipes, id);

	if (!pipe && smb_pipe_looks_so(data))
		pipe = smb_pipe_open(&s->pipes, id);
	return pipe;
}

/* Does the command's data go through a pipe, and is not all of it there yet?
 * Then it must wait. */
static bool
pipe_waits(const struct command *m, const struct smb_pipe *pipe)
{
	return pipe && !m->whole && !m->cut &&
	    m->bytes <= APP_BUFFER_BYTES - NBSS_BYTES;
}

static bool
has_data(const struct command *m, const struct smb_pipe *pipe)
{
	return pipe && (m->whole || m->cut);
}

/* The answer brought `n` bytes of the pipe, be it that they cannot be seen. */
static void
pipe_brings(struct app_context *c, const struct command *m,
    struct smb_pipe *pipe, struct bytes data, uint32_t n)
{
	if (has_data(m, pipe) && !status_is_fault(m->status))
		smb_pipe_bytes(c, pipe, data, n);
	if (!m->whole || status_is_fault(m->status))
		smb_pipe_forget(c, pipe);
}

static void
pipe_closes(struct app_context *c, const struct command *m, uint64_t id)
{
	smb_pipe_forget(c, smb_pipe_find(m->state->pipes, id));
	smb_pipe_close(m->state->pipes, id);
}

/* A request's own rules. False: look again when all of it is there. */
static bool
smb2_asks(struct app_context *c, struct command *m, unsigned command)
{
	struct bytes b = part_of(m, SMB2_BYTES, UINT32_MAX), data;
	struct smb_pipe *pipe = NULL;
	uint32_t offset, n, code;
	unsigned flags = 0;
	uint64_t id;

	switch (command) {
	case SMB2_CHANGE_NOTIFY:	/* MS-SMB2 3.3.5.19 */
		flags = EXCHANGE_PARKS;
		break;
	case SMB2_LOCK:			/* 3.3.5.14.2 */
		bytes_skip(&b, 24 + 16);
		if (!(bytes_le32(&b) & SMB2_LOCK_FAIL_IMMEDIATELY))
			flags = EXCHANGE_PARKS;
		break;
	case SMB2_CLOSE:
		bytes_skip(&b, 8);
		pipe_closes(c, m, take_file_id(&b));
		break;
	case SMB2_READ:
		bytes_skip(&b, 16);
		pipe = smb_pipe_find(m->state->pipes, take_file_id(&b));
		if (pipe) {
			flags = EXCHANGE_PARKS;	/* until the pipe is written to */
			smb_pipe_asked(m->state->pipes, pipe, m->key);
		}
		break;
	case SMB2_WRITE:
		bytes_skip(&b, 2);
		offset = bytes_le16(&b);
		n = bytes_le32(&b);
		bytes_skip(&b, 8);
		id = take_file_id(&b);
		data = part_of(m, offset, n);
		pipe = pipe_of(m->state, id, data);
		if (pipe_waits(m, pipe))
			return false;
		if (has_data(m, pipe))
			smb_pipe_bytes(c, pipe, data, n);
		break;
	case SMB2_IOCTL:
		bytes_skip(&b, 4);
		code = bytes_le32(&b);
		if (code == FSCTL_PIPE_WAIT)
			flags = EXCHANGE_PARKS;
		if (code != FSCTL_PIPE_TRANSCEIVE)
			break;
		id = take_file_id(&b);
		offset = bytes_le32(&b);
		n = bytes_le32(&b);
		data = part_of(m, offset, n);
		pipe = pipe_of(m->state, id, data);
		if (pipe_waits(m, pipe))
			return false;
		flags = EXCHANGE_PARKS;	/* how long is for the call in it to say */
		if (pipe)
			smb_pipe_asked(m->state->pipes, pipe, m->key);
		if (has_data(m, pipe))
			smb_pipe_bytes(c, pipe, data, n);
		break;
	default:
		break;
	}
	will_ask(c, m, flags);
	return true;
}

/* What a pipe brings back, `*n` bytes. */
static struct bytes
smb2_brings(const struct command *m, unsigned command, uint32_t *n)
{
	struct bytes b = part_of(m, SMB2_BYTES, UINT32_MAX);
	uint32_t offset;

	bytes_skip(&b, 2);
	if (command == SMB2_READ) {
		offset = bytes_u8(&b);
		bytes_skip(&b, 1);
	} else {
		bytes_skip(&b, 2 + 4 + 16 + 8);
		offset = bytes_le32(&b);
	}
	*n = bytes_le32(&b);
	return part_of(m, offset, *n);
}

/* False: look again when all of it is there. */
static bool
smb2_answers(struct app_context *c, struct command *m, unsigned command,
    uint32_t tree)
{
	struct smb_pipe *pipe = smb_pipe_answered(m->state->pipes, m->key);
	struct bytes b = part_of(m, SMB2_BYTES, UINT32_MAX);
	struct exchange *x = exchange_find(c->flow, m->key);
	struct bytes data;
	uint32_t n;

	if (m->status == STATUS_PENDING) {	/* MS-SMB2 3.3.4.2 */
		if (x)
			x->flags |= EXCHANGE_PARKS;
		return true;
	}
	if (command == SMB2_READ || command == SMB2_IOCTL) {
		if (pipe_waits(m, pipe))
			return false;
		data = smb2_brings(m, command, &n);
		pipe_brings(c, m, pipe, data, n);
	}
	if (command == SMB2_TREE_CONNECT && !m->status) {
		bytes_skip(&b, 2);
		if (bytes_u8(&b) == SMB2_SHARE_PIPE)
			tree_connected(m->state, tree);
	}
	if (command == SMB2_CREATE && !m->status &&
	    tree_is_pipe(m->state, tree)) {
		bytes_skip(&b, 64);
		(void)smb_pipe_open(&m->state->pipes, take_file_id(&b));
	}
	/* A client that offers SMB2 may begin with SMB1 (3.3.5.3.1). */
	if (command == SMB2_NEGOTIATE && !x && m->state->negotiate_key)
		m->key = m->state->negotiate_key;
	(void)app_response(c, m->key, status_is_fault(m->status));
	return true;
}

/* Returns how long the command is; 0: look again when all of it is there. */
static uint32_t
smb2_command(struct app_context *c, struct command *m)
{
	struct bytes b = m->all;
	uint32_t flags, next, tree;
	unsigned command;
	uint64_t id;
	bool done;

	bytes_skip(&b, 8);	/* magic, size, credit charge */
	m->status = bytes_le32(&b);
	command = bytes_le16(&b);
	bytes_skip(&b, 2);
	flags = bytes_le32(&b);
	next = bytes_le32(&b);
	id = bytes_le64(&b);
	bytes_skip(&b, 4);
	tree = bytes_le32(&b);	/* half of an AsyncId where SMB2_FLAG_ASYNC */
	if (bytes_ran_out(b))
		return m->bytes;
	if (next && next < m->bytes) {
		m->bytes = next;
		m->whole = m->all.left >= next;
		m->all = bytes_sub_at_most(&m->all, next);
	}
	m->key = id & KEY_SMB2_MASK;
	m->label = app_label(APP_SMB, SMB_DIALECT_2, command);
	if (id == UINT64_MAX) {
		tell_break(c, m);
		return m->bytes;
	}
	if (flags & SMB2_FLAG_RESPONSE)
		done = smb2_answers(c, m, command,
		    flags & SMB2_FLAG_ASYNC ? UINT32_MAX : tree);
	else if (command == SMB2_CANCEL)	/* 3.3.5.16: no answer */
		done = true;
	else
		done = smb2_asks(c, m, command);
	return done ? m->bytes : 0;
}

/* --- SMB1 ----------------------------------------------------------------------- */

/* The parameter words of the command, and its number of them. */
static struct bytes
smb1_words(const struct command *m, unsigned *count)
{
	struct bytes b = part_of(m, SMB1_BYTES, UINT32_MAX);

	*count = bytes_u8(&b);
	return bytes_sub_at_most(&b, 2 * (size_t)*count);
}

/* A TRANSACTION: on pipes, the call of the client and its answer in one
 * (MS-CIFS 2.2.5.6). False: look again when all of it is there. */
static bool
smb1_transaction(struct app_context *c, struct command *m, unsigned *flags)
{
	unsigned count, setup_count, function;
	struct bytes w = smb1_words(m, &count), data;
	struct smb_pipe *pipe;
	uint16_t options, n, offset;

	bytes_skip(&w, 10);
	options = bytes_le16(&w);
	bytes_skip(&w, 10);
	n = bytes_le16(&w);
	offset = bytes_le16(&w);
	setup_count = bytes_u8(&w);
	bytes_skip(&w, 1);
	if (options & SMB1_TRANS_NO_RESPONSE)
		*flags |= EXCHANGE_ONE_WAY;
	if (setup_count < 2)
		return true;
	function = bytes_le16(&w);
	if (function == SMB1_WAIT_NMPIPE)
		*flags |= EXCHANGE_PARKS;
	if (function != SMB1_TRANS_NMPIPE)
		return true;
	data = part_of(m, offset, n);
	pipe = pipe_of(m->state, bytes_le16(&w), data);
	if (pipe_waits(m, pipe))
		return false;
	*flags |= EXCHANGE_PARKS;	/* how long is for the call in it to say */
	if (pipe)
		smb_pipe_asked(m->state->pipes, pipe, m->key);
	if (has_data(m, pipe))
		smb_pipe_bytes(c, pipe, data, n);
	return true;
}

/* WRITE_ANDX (MS-CIFS 2.2.4.43.1). False: as above. */
static bool
smb1_write(struct app_context *c, struct command *m)
{
	unsigned count;
	struct bytes w = smb1_words(m, &count), data;
	struct smb_pipe *pipe;
	uint16_t fid, mode, n, offset;

	bytes_skip(&w, 4);
	fid = bytes_le16(&w);
	bytes_skip(&w, 8);
	mode = bytes_le16(&w);
	bytes_skip(&w, 4);
	n = bytes_le16(&w);
	offset = bytes_le16(&w);
	if ((mode & SMB1_RAW_MESSAGE_START) == SMB1_RAW_MESSAGE_START && n >= 2) {
		offset = (uint16_t)(offset + 2);	/* the message's length */
		n = (uint16_t)(n - 2);
	}
	data = part_of(m, offset, n);
	pipe = pipe_of(m->state, fid, data);
	if (pipe_waits(m, pipe))
		return false;
	if (has_data(m, pipe))
		smb_pipe_bytes(c, pipe, data, n);
	return true;
}

/* LOCKING_ANDX (MS-CIFS 2.2.4.32.1). */
static unsigned
smb1_locking(const struct command *m)
{
	unsigned count;
	struct bytes w = smb1_words(m, &count);
	uint32_t timeout_ms, ranges;
	uint8_t type;

	bytes_skip(&w, 6);
	type = bytes_u8(&w);
	bytes_skip(&w, 1);
	timeout_ms = bytes_le32(&w);
	ranges = bytes_le16(&w);
	ranges += bytes_le16(&w);
	if (type & SMB1_OPLOCK_RELEASE && !ranges)
		return EXCHANGE_ONE_WAY;	/* 3.3.5.30 */
	return timeout_ms ? EXCHANGE_PARKS : 0;
}

static unsigned
smb1_nt_transact(const struct command *m)
{
	unsigned count;
	struct bytes w = smb1_words(m, &count);

	bytes_skip(&w, 36);
	return bytes_le16(&w) == SMB1_NT_NOTIFY_CHANGE ? EXCHANGE_PARKS : 0;
}

static unsigned
smb1_read(struct command *m)
{
	unsigned count;
	struct bytes w = smb1_words(m, &count);
	struct smb_pipe *pipe;

	bytes_skip(&w, 4);
	pipe = smb_pipe_find(m->state->pipes, bytes_le16(&w));
	if (!pipe)
		return 0;
	smb_pipe_asked(m->state->pipes, pipe, m->key);
	return EXCHANGE_PARKS;
}

/* False: look again when all of it is there. */
static bool
smb1_asks(struct app_context *c, struct command *m, unsigned command)
{
	unsigned flags = 0, count;
	struct bytes w = smb1_words(m, &count);

	switch (command) {
	case SMB1_NT_CANCEL:		/* MS-CIFS 2.2.4.65: no answer, nor to */
	case SMB1_TRANSACTION_SECONDARY:	/* the rest of a request */
	case SMB1_TRANSACTION2_SECONDARY:
	case SMB1_NT_TRANSACT_SECONDARY:
		return true;
	case SMB1_READ_RAW:		/* the answer is bare data */
	case SMB1_WRITE_RAW:
		flags = EXCHANGE_ONE_WAY;
		break;
	case SMB1_ECHO:			/* 2.2.4.39.1: as many answers as asked for */
		flags = bytes_le16(&w) ? 0 : EXCHANGE_ONE_WAY;
		break;
	case SMB1_LOCKING:
		flags = smb1_locking(m);
		break;
	case SMB1_NT_TRANSACT:
		flags = smb1_nt_transact(m);
		break;
	case SMB1_READ:
		flags = smb1_read(m);
		break;
	case SMB1_CLOSE:
		pipe_closes(c, m, bytes_le16(&w));
		break;
	case SMB1_NEGOTIATE:
		m->state->negotiate_key = m->key;
		break;
	case SMB1_TRANSACTION:
		if (!smb1_transaction(c, m, &flags))
			return false;
		break;
	case SMB1_WRITE:
		if (!smb1_write(c, m))
			return false;
		break;
	default:
		break;
	}
	will_ask(c, m, flags);
	return true;
}

/* What a pipe brings back, `*n` bytes. */
static struct bytes
smb1_brings(const struct command *m, unsigned command, uint32_t *n)
{
	unsigned count;
	struct bytes w = smb1_words(m, &count);
	uint16_t offset;

	bytes_skip(&w, command == SMB1_READ ? 10 : 12);
	*n = bytes_le16(&w);
	offset = bytes_le16(&w);
	if (bytes_ran_out(w))
		*n = 0;
	return part_of(m, offset, *n);
}

/* NT_CREATE_ANDX (MS-CIFS 2.2.4.64.2): the handle, and what it is of. */
static void
smb1_created(struct command *m)
{
	unsigned count;
	struct bytes w = smb1_words(m, &count);
	uint16_t fid, type;

	bytes_skip(&w, 5);
	fid = bytes_le16(&w);
	bytes_skip(&w, 56);
	type = bytes_le16(&w);
	if (!bytes_ran_out(w) && type >= SMB1_IS_PIPE_FIRST &&
	    type <= SMB1_IS_PIPE_LAST)
		(void)smb_pipe_open(&m->state->pipes, fid);
}

static bool
smb1_answers(struct app_context *c, struct command *m, unsigned command)
{
	struct smb_pipe *pipe = smb_pipe_answered(m->state->pipes, m->key);
	struct bytes data;
	unsigned count;
	uint32_t n;

	(void)smb1_words(m, &count);
	switch (command) {
	case SMB1_TRANSACTION: case SMB1_TRANSACTION2: case SMB1_NT_TRANSACT:
		if (!count && !m->status)
			return true;	/* "go on" (MS-CIFS 3.2.5.1.4) */
		break;
	case SMB1_NT_CREATE:
		if (!m->status)
			smb1_created(m);
		break;
	default:
		break;
	}
	if (command == SMB1_READ || command == SMB1_TRANSACTION) {
		if (pipe_waits(m, pipe))
			return false;
		data = smb1_brings(m, command, &n);
		pipe_brings(c, m, pipe, data, n);
	}
	(void)app_response(c, m->key, status_is_fault(m->status));
	return true;
}

static uint32_t
smb1_command(struct app_context *c, struct command *m)
{
	struct bytes b = m->all;
	uint64_t process;
	unsigned command;
	uint16_t mid;
	uint8_t flags;
	bool done;

	bytes_skip(&b, 4);
	command = bytes_u8(&b);
	m->status = bytes_le32(&b);
	flags = bytes_u8(&b);
	bytes_skip(&b, 16);	/* more flags, upper half of the process id (not
				 * every server echoes it), signature, tree */
	process = bytes_le16(&b);
	bytes_skip(&b, 2);
	mid = bytes_le16(&b);
	m->key = KEY_SMB1 | process << 16 | mid;
	m->label = app_label(APP_SMB, SMB_DIALECT_1, command);
	if (bytes_ran_out(b))
		return m->bytes;
	if (flags & SMB1_FLAG_RESPONSE) {
		done = smb1_answers(c, m, command);
	} else if (command == SMB1_LOCKING && mid == SMB1_MID_OF_BREAK) {
		tell_break(c, m);
		done = true;
	} else {
		done = smb1_asks(c, m, command);
	}
	return done ? m->bytes : 0;
}

/* --- messages -------------------------------------------------------------------- */

/* Encrypted or compressed (MS-SMB2 2.2.41, 2.2.42): nothing says what it
 * answers, so a message of one side waits for the next of the other. */
static uint32_t
sealed_message(struct app_context *c, struct command *m)
{
	m->key = KEY_SEALED;
	m->label = app_label(APP_SMB, SMB_SEALED, 0);
	if (c->side == SERVER)
		(void)app_response(c, m->key, false);
	else if (!exchange_find(c->flow, m->key))
		will_ask(c, m, 0);
	return m->bytes;
}

static void
command_ends(struct app_context *c, struct smb_lane *lane)
{
	lane->ending = false;
	if (lane->asks)
		app_request(c, lane->key, lane->label, lane->flags, lane->began,
		    lane->first_frame, lane->bytes);
	lane->asks = false;
}

/* The command of `bytes` at the front of `b` (`cut`: no more of it will be
 * seen). Returns how many bytes are done with (those beyond `b` are to be
 * skipped), 0: more must be there, first. */
static size_t
take_command(struct app_context *c, struct smb_state *s, struct bytes b,
    uint32_t bytes, bool cut)
{
	struct smb_lane *lane = &s->lane[c->side];
	struct command m = {
		.state = s, .lane = lane, .bytes = bytes,
		.all = bytes_sub_at_most(&b, bytes), .cut = cut,
	};
	const uint32_t end_seq = c->end_seq;
	const size_t shown = m.all.left + b.left;
	uint32_t n;

	m.whole = m.all.left == bytes;
	c->end_seq = end_seq - (uint32_t)shown + bytes;
	switch (m.all.left ? *m.all.at : 0) {
	case MAGIC_SMB1:
		n = smb1_command(c, &m);
		break;
	case MAGIC_SMB2:
		n = smb2_command(c, &m);
		break;
	case MAGIC_SEALED: case MAGIC_COMPRESSED:
		n = sealed_message(c, &m);
		break;
	default:
		n = bytes;	/* bare data of READ_RAW and WRITE_RAW */
		break;
	}
	c->end_seq = end_seq;
	if (!n)
		return 0;
	lane->message_left -= n;
	lane->ending = true;
	if (n > shown)
		return n;
	c->end_seq = end_seq - (uint32_t)shown + n;
	command_ends(c, lane);
	return n;
}

static void
netbios(struct app_context *c, unsigned type, size_t bytes)
{
	if (type == NBSS_REQUEST)
		app_request(c, KEY_NETBIOS, app_label(APP_SMB, SMB_NETBIOS, 0),
		    0, c->began, c->first_frame, (uint32_t)bytes);
	else if (type != NBSS_KEEP_ALIVE)
		(void)app_response(c, KEY_NETBIOS, type == NBSS_NEGATIVE);
}

/* The header of RFC 1002, 4.3.1; over TCP alone its length has 24 bits. */
static enum app_verdict
take_nbss(struct bytes b, unsigned *type, uint32_t *length)
{
	uint32_t word = bytes_be32(&b);

	*type = word >> 24;
	*length = word & 0xffffff;
	if (bytes_ran_out(b))
		return APP_NEED_MORE;
	switch (*type) {
	case NBSS_MESSAGE:
		return *length ? APP_MINE : APP_NOT_MINE;
	case NBSS_REQUEST: case NBSS_POSITIVE: case NBSS_NEGATIVE:
	case NBSS_RETARGET: case NBSS_KEEP_ALIVE:
		return *length <= NBSS_REQUEST_MAX ? APP_MINE : APP_NOT_MINE;
	default:
		return APP_NOT_MINE;
	}
}

static struct smb_state *
state_of(struct flow *f)
{
	if (!f->app_state)
		f->app_state = calloc(1, sizeof(struct smb_state));
	return f->app_state;
}

static size_t
smb_feed(struct app_context *c, struct bytes b)
{
	struct smb_state *s = state_of(c->flow);
	struct smb_lane *lane;
	size_t header = 0, n;
	enum app_verdict v;
	unsigned type;
	uint32_t length;

	if (!s)
		return APP_STOP;
	lane = &s->lane[c->side];
	if (lane->command_left) {	/* behind a gap */
		n = lane->command_left;
		lane->command_left = 0;
		return n;
	}
	if (lane->ending) {
		const uint32_t end_seq = c->end_seq;

		c->end_seq = app_seq_after(end_seq, b, 0);
		command_ends(c, lane);
		c->end_seq = end_seq;
		c->began = c->now;
		c->first_frame = c->frame;
	}
	length = lane->message_left;
	if (!length) {
		v = take_nbss(b, &type, &length);
		if (v != APP_MINE)
			return v == APP_NEED_MORE ? 0 : APP_LOST;
		header = NBSS_BYTES;
		bytes_skip(&b, NBSS_BYTES);
		if (type != NBSS_MESSAGE) {
			netbios(c, type, header + length);
			return header + length;
		}
	}
	if (b.left < length && b.left < HEAD_BYTES)
		return 0;
	lane->message_left = length;
	n = take_command(c, s, b, length, false);
	if (!n && header)
		lane->message_left = 0;	/* the header is shown again, too */
	return n ? header + n : 0;
}

/* What was missed lies in the command's data: do with its head. */
static bool
smb_skip_gap(struct app_context *c, struct bytes held, uint32_t n)
{
	struct smb_state *s = c->flow->app_state;
	struct smb_lane *lane;
	uint32_t length;
	size_t used;
	unsigned type;

	if (!s)
		return false;
	lane = &s->lane[c->side];
	length = lane->message_left;
	if (!length && (take_nbss(held, &type, &length) != APP_MINE ||
	    type != NBSS_MESSAGE))
		return false;
	if (!lane->message_left)
		bytes_skip(&held, NBSS_BYTES);
	if (held.left < HEAD_LEAST_BYTES || length > UINT32_MAX / 2)
		return false;
	lane->message_left = length;
	used = take_command(c, s, held, length, true);
	if (!used || used < held.left || used - held.left < n) {
		lane->message_left = 0;
		return false;
	}
	lane->command_left = (uint32_t)(used - held.left) - n;
	if (!lane->command_left && lane->ending)
		command_ends(c, lane);
	return true;
}

static void
smb_gap(struct app_context *c, uint32_t n)
{
	struct smb_state *s = c->flow->app_state;

	(void)n;
	if (!s)
		return;
	s->lane[c->side] = (struct smb_lane){ 0 };
	smb_pipes_gap(s->pipes, c->side);
}

static bool
is_magic(const uint8_t *at)
{
	return at[0] >= MAGIC_COMPRESSED && memcmp(at + 1, "SMB", 3) == 0;
}

static size_t
smb_resync(const struct flow *f, enum side side, struct bytes b)
{
	enum { SIGNATURE_BYTES = NBSS_BYTES + 4 };
	size_t n = b.left;

	(void)f;
	(void)side;
	for (size_t i = 0; i + SIGNATURE_BYTES <= n; i++) {
		struct bytes rest = b;
		const uint8_t *at;

		/* on to where the next "SMB" may be that one's */
		bytes_skip(&rest, i + NBSS_BYTES + 1);
		i += bytes_before(rest, 'S');
		rest = b;
		bytes_skip(&rest, i);
		at = bytes_take(&rest, SIGNATURE_BYTES);
		if (at && at[0] == NBSS_MESSAGE && is_magic(at + NBSS_BYTES))
			return i;
	}
	return APP_LOST;
}

static enum app_verdict
smb_probe(const struct flow *f, enum side side, struct bytes b)
{
	const uint8_t *at;
	unsigned type;
	uint32_t length;
	enum app_verdict v;

	(void)f;
	(void)side;
	if (b.left && *b.at != NBSS_MESSAGE && *b.at != NBSS_REQUEST &&
	    *b.at != NBSS_POSITIVE && *b.at != NBSS_NEGATIVE)
		return APP_NOT_MINE;
	v = take_nbss(b, &type, &length);
	if (v != APP_MINE)
		return v;
	bytes_skip(&b, NBSS_BYTES);
	if (type == NBSS_POSITIVE || type == NBSS_NEGATIVE)
		return f->port[SERVER] == 139 && length <= 1 && side == SERVER ?
		    APP_MINE : APP_NOT_MINE;
	at = bytes_take(&b, 4);
	if (!at)
		return APP_NEED_MORE;
	if (type == NBSS_REQUEST)	/* the called name, half-ASCII */
		return *at == 0x20 && length >= 68 ? APP_MINE : APP_NOT_MINE;
	return is_magic(at) ? APP_MINE : APP_NOT_MINE;
}

static const char *
smb_operation(unsigned dialect, unsigned command)
{
	static const char *const smb2[SMB2_COMMANDS] = {
		"NEGOTIATE", "SESSION_SETUP", "LOGOFF", "TREE_CONNECT",
		"TREE_DISCONNECT", "CREATE", "CLOSE", "FLUSH", "READ", "WRITE",
		"LOCK", "IOCTL", "CANCEL", "ECHO", "QUERY_DIRECTORY",
		"CHANGE_NOTIFY", "QUERY_INFO", "SET_INFO", "OPLOCK_BREAK",
	};
	static const struct {
		uint8_t command;
		const char *name;
	} smb1[] = {
		{ 0x00, "CREATE_DIRECTORY" }, { 0x01, "DELETE_DIRECTORY" },
		{ 0x02, "OPEN" }, { 0x03, "CREATE" }, { SMB1_CLOSE, "CLOSE" },
		{ 0x05, "FLUSH" }, { 0x06, "DELETE" }, { 0x07, "RENAME" },
		{ 0x08, "QUERY_INFORMATION" }, { 0x09, "SET_INFORMATION" },
		{ 0x0a, "READ" }, { 0x0b, "WRITE" },
		{ 0x10, "CHECK_DIRECTORY" }, { SMB1_READ_RAW, "READ_RAW" },
		{ SMB1_WRITE_RAW, "WRITE_RAW" }, { 0x22, "SET_INFORMATION2" },
		{ 0x23, "QUERY_INFORMATION2" },
		{ SMB1_LOCKING, "LOCKING_ANDX" },
		{ SMB1_TRANSACTION, "TRANSACTION" }, { SMB1_ECHO, "ECHO" },
		{ 0x2d, "OPEN_ANDX" }, { SMB1_READ, "READ_ANDX" },
		{ SMB1_WRITE, "WRITE_ANDX" },
		{ SMB1_TRANSACTION2, "TRANSACTION2" },
		{ 0x34, "FIND_CLOSE2" }, { 0x70, "TREE_CONNECT" },
		{ 0x71, "TREE_DISCONNECT" }, { SMB1_NEGOTIATE, "NEGOTIATE" },
		{ 0x73, "SESSION_SETUP_ANDX" }, { 0x74, "LOGOFF_ANDX" },
		{ 0x75, "TREE_CONNECT_ANDX" },
		{ 0x80, "QUERY_INFORMATION_DISK" }, { 0x81, "SEARCH" },
		{ SMB1_NT_TRANSACT, "NT_TRANSACT" },
		{ SMB1_NT_CREATE, "NT_CREATE_ANDX" },
	};

	if (dialect == SMB_SEALED)
		return "sealed message";
	if (dialect == SMB_NETBIOS)
		return "NetBIOS session";
	if (dialect == SMB_DIALECT_2 && command < SMB2_COMMANDS)
		return smb2[command];
	for (size_t i = 0; i < sizeof(smb1) / sizeof(smb1[0]); i++)
		if (dialect == SMB_DIALECT_1 && smb1[i].command == command)
			return smb1[i].name;
	return NULL;
}

static void
smb_release(struct flow *f)
{
	struct smb_state *s = f->app_state;

	f->app_state = NULL;
	if (!s)
		return;
	smb_pipes_free(&s->pipes);
	free(s);
}

const struct app_parser app_smb = {
	.name = "smb",
	.protocol = APP_SMB,
	.probe = smb_probe,
	.feed = smb_feed,
	.skip_gap = smb_skip_gap,
	.gap = smb_gap,
	.resync = smb_resync,
	.resync_keeps = NBSS_BYTES + 3,
	.operation = smb_operation,
	.release = smb_release,
	.binary = true,
};
