/* app_smb_pipe.c - which handles of an SMB connection are pipes, and the
 * DCE/RPC in them. */
#include "capture/app_smb.h"

#include <stdlib.h>

void
smb_pipes_free(struct smb_pipes **pp)
{
	struct smb_pipes *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	while (p->list) {
		struct smb_pipe *first = p->list;

		p->list = first->next;
		free(first);
	}
	free(p);
}

struct smb_pipe *
smb_pipe_find(const struct smb_pipes *p, uint64_t id)
{
	for (struct smb_pipe *i = p ? p->list : NULL; i; i = i->next)
		if (i->id == id)
			return i;
	return NULL;
}

static void
pipe_remove(struct smb_pipes *p, struct smb_pipe **link)
{
	struct smb_pipe *gone = *link;

	*link = gone->next;
	p->count--;
	free(gone);
}

void
smb_pipe_close(struct smb_pipes *p, uint64_t id)
{
	if (!p)
		return;
	for (struct smb_pipe **link = &p->list; *link; link = &(*link)->next) {
		if ((*link)->id != id)
			continue;
		pipe_remove(p, link);
		return;
	}
}

static void
pipe_remove_last(struct smb_pipes *p)
{
	struct smb_pipe **link = &p->list;

	while ((*link)->next)
		link = &(*link)->next;
	pipe_remove(p, link);
}

struct smb_pipe *
smb_pipe_open(struct smb_pipes **pp, uint64_t id)
{
	struct smb_pipes *p = *pp;
	struct smb_pipe *fresh;

	if (!p)
		*pp = p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	smb_pipe_close(p, id);
	if (p->count >= SMB_PIPES)
		pipe_remove_last(p);
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return NULL;
	if (!++p->opened)
		p->opened = 1;
	fresh->id = id;
	fresh->number = p->opened;
	fresh->next = p->list;
	p->list = fresh;
	p->count++;
	return fresh;
}

void
smb_pipe_asked(struct smb_pipes *p, const struct smb_pipe *pipe, uint64_t key)
{
	p->read[p->next_read].key = key;
	p->read[p->next_read].number = pipe->number;
	p->next_read = (uint8_t)((p->next_read + 1) % SMB_PIPE_READS);
}

struct smb_pipe *
smb_pipe_answered(struct smb_pipes *p, uint64_t key)
{
	uint16_t number = 0;

	if (!p)
		return NULL;
	for (int i = 0; i < SMB_PIPE_READS && !number; i++)
		if (p->read[i].key == key)
			number = p->read[i].number;
	for (struct smb_pipe *i = p->list; i && number; i = i->next)
		if (i->number == number)
			return i;
	return NULL;
}

bool
smb_pipe_looks_so(struct bytes data)
{
	return rpc_probe(CLIENT, false, data) == APP_MINE;
}

static struct rpc_carrier
pipe_carrier(struct smb_pipe *pipe, enum side side)
{
	return (struct rpc_carrier){
		.rpc = &pipe->state, .lane = &pipe->lane[side], .once = true,
		.key = (uint64_t)pipe->number << 40,
	};
}

void
smb_pipe_bytes(struct app_context *c, struct smb_pipe *pipe, struct bytes b,
    uint32_t n)
{
	struct rpc_carrier ch = pipe_carrier(pipe, c->side);
	const uint32_t missing = n - (uint32_t)b.left;

	if (!n)
		return;
	if (!pipe->spoken) {
		pipe->spoken = true;
		pipe->rpc = rpc_probe(c->side, true, b) != APP_NOT_MINE;
	}
	if (!pipe->rpc || (rpc_push(c, &ch, b) && (!missing ||
	    rpc_skip_gap(c, &ch, bytes_of(NULL, 0), missing))))
		return;
	/* Something was missed or misread. Each message begins a PDU in most
	 * cases, so the next one is looked at afresh. */
	rpc_gap(&ch);
	pipe->spoken = false;
}

void
smb_pipe_forget(struct app_context *c, const struct smb_pipe *pipe)
{
	struct exchange *x = c->flow->waiting;

	while (x && pipe) {
		struct exchange *next = x->next;

		if (x->label >> 24 == APP_DCERPC &&
		    (x->key >> 40 & UINT16_MAX) == pipe->number)
			exchange_close(c->pool, c->flow, x);
		x = next;
	}
}

void
smb_pipes_gap(struct smb_pipes *p, enum side side)
{
	for (struct smb_pipe *i = p ? p->list : NULL; i; i = i->next) {
		struct rpc_carrier ch = pipe_carrier(i, side);

		rpc_gap(&ch);
	}
}
