/* app_smb.h - SMB's named pipes, which carry DCE/RPC (MS-RPCE 2.1.1.2).
 *
 * A pipe is known by how it was opened, or by what is written to it. What the
 * client writes and reads are two directions of one byte stream, cut into
 * messages anew by each WRITE, READ or transaction. */
#ifndef CAPTURE_APP_SMB_H
#define CAPTURE_APP_SMB_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/app_dcerpc.h"

/* More pipes or reads open at once make the oldest forgotten. */
enum { SMB_PIPES = 16, SMB_PIPE_READS = 16 };

/* Is the label of an exchange one of SMB1, SMB2, or of what is sealed? */
enum smb_dialect { SMB_DIALECT_1 = 1, SMB_DIALECT_2 = 2, SMB_SEALED = 3,
	SMB_NETBIOS = 4 };

struct smb_pipe {
	struct smb_pipe *next;	/* last opened first */
	uint64_t id;		/* SMB1: FID; SMB2: volatile half of FileId */
	uint16_t number;	/* of this pipe on its flow, never 0 */
	bool rpc;		/* its bytes were PDUs so far */
	bool spoken;		/* it had bytes */
	struct rpc state;
	struct rpc_lane lane[2];	/* by enum side */
};

/* The pipes of one flow; NULL where it has had none. */
struct smb_pipes {
	struct smb_pipe *list;
	uint16_t count, opened;
	uint8_t next_read;
	struct {
		uint64_t key;	/* of the exchange */
		uint16_t number;	/* of the pipe; 0: free */
	} read[SMB_PIPE_READS];
};

void smb_pipes_free(struct smb_pipes **);
struct smb_pipe *smb_pipe_find(const struct smb_pipes *, uint64_t id);
/* Made anew, whatever had the id before. NULL: no memory. */
struct smb_pipe *smb_pipe_open(struct smb_pipes **, uint64_t id);
void smb_pipe_close(struct smb_pipes *, uint64_t id);
/* The answer to the request `key` will bring bytes of this pipe. */
void smb_pipe_asked(struct smb_pipes *, const struct smb_pipe *, uint64_t key);
/* The pipe whose bytes the answer to `key` brings, or NULL. */
struct smb_pipe *smb_pipe_answered(struct smb_pipes *, uint64_t key);
/* Do these bytes look like a DCE/RPC request? Then what they are written to is
 * a pipe. */
bool smb_pipe_looks_so(struct bytes data);
/* `n` bytes that c->side sent through the pipe, of which the first ones are at
 * hand. */
void smb_pipe_bytes(struct app_context *, struct smb_pipe *, struct bytes,
    uint32_t n);
/* The pipe's calls will get no answer that we could see: it failed or was
 * closed, or its bytes were cut. */
void smb_pipe_forget(struct app_context *, const struct smb_pipe *);
/* Bytes were missed: PDUs in hand are given up. */
void smb_pipes_gap(struct smb_pipes *, enum side);

#endif
