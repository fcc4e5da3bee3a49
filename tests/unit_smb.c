/* SMB over TCP: requests and responses of SMB1 and SMB2, what may wait, and
 * DCE/RPC in pipes. */
#include "capture/app_smb.h"
#include "tests/stage.h"
#include "tests/unit.h"

enum { NEGOTIATE = 0, SESSION_SETUP = 1, TREE_CONNECT = 3, CREATE = 5, CLOSE = 6,
	READ = 8, WRITE = 9, LOCK = 10, IOCTL = 11, CANCEL = 12, ECHO = 13,
	CHANGE_NOTIFY = 15, OPLOCK_BREAK = 18 };
enum { REPLY = 1, ASYNC = 2 };
#define PENDING 0x103u
#define DENIED 0xc0000022u
#define MORE_PROCESSING 0xc0000016u

static size_t
smb_begin(struct wire *w)
{
	size_t begin = w->n;

	wire_be32(w, 0);
	return begin;
}

static void
smb_end(struct wire *w, size_t begin)
{
	size_t n = w->n - begin - 4;

	w->at[begin + 1] = (uint8_t)(n >> 16);
	w->at[begin + 2] = (uint8_t)(n >> 8);
	w->at[begin + 3] = (uint8_t)n;
}

static void
smb2_header(struct wire *w, unsigned command, unsigned flags, uint64_t id,
    uint32_t status, uint32_t next, uint32_t tree)
{
	wire_bytes(w, "\xfeSMB", 4);
	wire_le16(w, 64);
	wire_le16(w, 1);
	wire_le32(w, status);
	wire_le16(w, command);
	wire_le16(w, 1);
	wire_le32(w, flags);
	wire_le32(w, next);
	wire_le64(w, id);
	wire_le32(w, 0);
	wire_le32(w, tree);
	wire_zeros(w, 8 + 16);
}

/* A message with nothing in it that matters. */
static void
put_smb2(struct wire *w, unsigned command, unsigned flags, uint64_t id,
    uint32_t status)
{
	size_t begin = smb_begin(w);

	smb2_header(w, command, flags, id, status, 0, 1);
	wire_zeros(w, 60);
	smb_end(w, begin);
}

static void
send_smb2(struct stage *s, unsigned command, unsigned flags, uint64_t id,
    uint32_t status)
{
	struct wire w = { .n = 0 };

	put_smb2(&w, command, flags, id, status);
	stage_send(s, flags & REPLY ? SERVER : CLIENT, w.at, w.n);
}

static void
put_smb1(struct wire *w, unsigned command, bool reply, unsigned mid,
    uint32_t status, const struct wire *words, const struct wire *data)
{
	size_t begin = smb_begin(w);

	wire_bytes(w, "\xffSMB", 4);
	wire_u8(w, command);
	wire_le32(w, status);
	wire_u8(w, reply ? 0x88 : 0x08);
	wire_le16(w, 0xc807);
	wire_zeros(w, 12);
	wire_le16(w, 1);	/* tree */
	wire_le16(w, 4711);	/* process */
	wire_le16(w, 1);
	wire_le16(w, mid);
	wire_u8(w, words ? (unsigned)words->n / 2 : 0);
	if (words)
		wire_bytes(w, words->at, words->n);
	wire_le16(w, data ? (unsigned)data->n : 0);
	if (data)
		wire_bytes(w, data->at, data->n);
	smb_end(w, begin);
}

static void
send_smb1(struct stage *s, unsigned command, bool reply, unsigned mid,
    const struct wire *words, const struct wire *data)
{
	struct wire w = { .n = 0 };

	put_smb1(&w, command, reply, mid, 0, words, data);
	stage_send(s, reply ? SERVER : CLIENT, w.at, w.n);
}

static struct exchange *
last_open(const struct stage *s)
{
	return s->flow->waiting_last;
}

static void
test_a_response_answers_the_request_of_its_message_id(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	char text[APP_LABEL_TEXT_BYTES];

	(void)state;
	send_smb2(s, NEGOTIATE, 0, 0, 0);
	CHECK_EQ(s->flow->app, APP_SMB);
	CHECK(last_open(s)->flags & EXCHANGE_FIRST);
	CHECK_STR(app_label_text(last_open(s)->label, text), "smb NEGOTIATE");
	send_smb2(s, SESSION_SETUP, 0, 1, 0);
	send_smb2(s, NEGOTIATE, REPLY, 0, 0);
	CHECK_EQ(s->flow->waiting_count, 1);
	send_smb2(s, SESSION_SETUP, REPLY, 1, MORE_PROCESSING);
	CHECK_EQ(s->flow->waiting_count, 0);
	CHECK(!stage_event(s, APP_RESPONSE, 1)->fault);
	send_smb2(s, TREE_CONNECT, 0, 2, 0);
	send_smb2(s, TREE_CONNECT, REPLY, 2, DENIED);
	CHECK(stage_event(s, APP_RESPONSE, 2)->fault);
	stage_free(s);
}

static void
test_pending_is_no_answer(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);

	(void)state;
	send_smb2(s, CREATE, 0, 5, 0);
	send_smb2(s, CREATE, REPLY | ASYNC, 5, PENDING);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 0);
	CHECK(last_open(s)->flags & EXCHANGE_PARKS);
	send_smb2(s, CREATE, REPLY | ASYNC, 5, 0);
	CHECK_EQ(s->flow->waiting_count, 0);
	stage_free(s);
}

static void
test_what_waits_by_its_nature_parks(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire w = { .n = 0 };
	size_t begin;

	(void)state;
	send_smb2(s, CHANGE_NOTIFY, 0, 5, 0);
	CHECK(last_open(s)->flags & EXCHANGE_PARKS);
	send_smb2(s, LOCK, 0, 6, 0);
	CHECK(last_open(s)->flags & EXCHANGE_PARKS);
	begin = smb_begin(&w);
	smb2_header(&w, LOCK, 0, 7, 0, 0, 1);
	wire_zeros(&w, 24 + 16);
	wire_le32(&w, 0x12);		/* exclusive, fail at once */
	wire_le32(&w, 0);
	smb_end(&w, begin);
	stage_send(s, CLIENT, w.at, w.n);
	CHECK(!(last_open(s)->flags & EXCHANGE_PARKS));
	send_smb2(s, CANCEL, 0, 5, 0);
	CHECK_EQ(s->flow->waiting_count, 3);
	send_smb2(s, OPLOCK_BREAK, REPLY, UINT64_MAX, 0);
	CHECK_EQ(s->flow->waiting_count, 3);
	CHECK(stage_note(s, APP_NOTE_SMB_BREAK));
	stage_free(s);
}

static void
test_a_compound_is_several_commands(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire w = { .n = 0 };

	(void)state;
	for (unsigned reply = 0; reply < 2; reply++) {
		size_t begin;

		w.n = 0;
		begin = smb_begin(&w);
		smb2_header(&w, CREATE, reply, 5, 0, 128, 1);
		wire_zeros(&w, 64);
		smb2_header(&w, 16, reply, 6, 0, 104, 1);
		wire_zeros(&w, 40);
		smb2_header(&w, CLOSE, reply, 7, 0, 0, 1);
		wire_zeros(&w, 24);
		smb_end(&w, begin);
		for (size_t i = 0; i < w.n; i += 50)
			stage_send(s, reply ? SERVER : CLIENT, w.at + i,
			    w.n - i < 50 ? w.n - i : 50);
		CHECK_EQ(s->flow->waiting_count, reply ? 0 : 3);
	}
	CHECK_EQ(stage_events(s, APP_RESPONSE), 3);
	stage_free(s);
}

/* A slow upload is no slow server. */
static void
test_a_write_is_asked_when_its_last_byte_came(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire w = { .n = 0 };
	struct stream_stats stats;
	size_t begin = smb_begin(&w);

	(void)state;
	smb2_header(&w, WRITE, 0, 5, 0, 0, 1);
	wire_le16(&w, 49);
	wire_le16(&w, 112);
	wire_le32(&w, 1000000);
	wire_zeros(&w, 40);
	wire_zeros(&w, 500);
	smb_end(&w, begin);
	w.at[1] = 15;			/* a message of 1000112 bytes */
	w.at[2] = 0x42;
	w.at[3] = 0xb0;
	stage_send(s, CLIENT, w.at, w.n);
	memset(w.at, 7, 1000);
	for (int i = 0; i < 999; i++)
		stage_send(s, CLIENT, w.at, 1000);
	CHECK_EQ(s->flow->waiting_count, 0);
	stream_pool_stats(s->streams, &stats);
	CHECK_EQ(stats.buffered_peak, 0);
	stage_send(s, CLIENT, w.at, 500);
	CHECK_EQ(s->flow->waiting_count, 1);
	CHECK_EQ(last_open(s)->asked.ns, s->now.ns);
	CHECK_EQ(last_open(s)->frame_first, 1);
	CHECK_EQ(last_open(s)->request_end, s->next[CLIENT]);
	send_smb2(s, ECHO, 0, 6, 0);
	CHECK_EQ(s->flow->waiting_count, 2);
	stage_free(s);
}

static void
test_a_response_answers_with_its_header(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire w = { .n = 0 };

	(void)state;
	send_smb2(s, READ, 0, 5, 0);
	put_smb2(&w, READ, REPLY, 5, 0);
	wire_zeros(&w, 200);
	w.at[2] = 0xf0;			/* 60 KB are to come */
	stage_send(s, SERVER, w.at, w.n);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	stage_free(s);
}

static void
put_rpc(struct wire *w, unsigned type, uint32_t call_id, unsigned opnum,
    size_t stub)
{
	wire_bytes(w, "\x05\0", 2);
	wire_u8(w, type);
	wire_bytes(w, "\x03\x10\0\0\0", 5);
	wire_le16(w, (unsigned)(24 + stub));
	wire_le16(w, 0);
	wire_le32(w, call_id);
	wire_le32(w, (uint32_t)stub);
	wire_le16(w, 0);
	wire_le16(w, opnum);
	wire_zeros(w, stub);
}

static void
send_pipe_write(struct stage *s, uint64_t id, uint64_t file,
    const struct wire *data)
{
	struct wire w = { .n = 0 };
	size_t begin = smb_begin(&w);

	smb2_header(&w, WRITE, 0, id, 0, 0, 1);
	wire_le16(&w, 49);
	wire_le16(&w, 112);
	wire_le32(&w, (uint32_t)data->n);
	wire_le64(&w, 0);
	wire_le64(&w, 1);
	wire_le64(&w, file);
	wire_zeros(&w, 16);
	wire_bytes(&w, data->at, data->n);
	smb_end(&w, begin);
	stage_send(s, CLIENT, w.at, w.n);
}

static void
send_pipe_read(struct stage *s, uint64_t id, uint64_t file)
{
	struct wire w = { .n = 0 };
	size_t begin = smb_begin(&w);

	smb2_header(&w, READ, 0, id, 0, 0, 1);
	wire_zeros(&w, 16);
	wire_le64(&w, 1);
	wire_le64(&w, file);
	wire_zeros(&w, 17);
	smb_end(&w, begin);
	stage_send(s, CLIENT, w.at, w.n);
}

static void
send_read_answer(struct stage *s, uint64_t id, uint32_t status,
    const uint8_t *data, size_t n)
{
	struct wire w = { .n = 0 };
	size_t begin = smb_begin(&w);

	smb2_header(&w, READ, REPLY, id, status, 0, 1);
	wire_le16(&w, 17);
	wire_u8(&w, 80);
	wire_u8(&w, 0);
	wire_le32(&w, (uint32_t)n);
	wire_zeros(&w, 8);
	wire_bytes(&w, data, n);
	smb_end(&w, begin);
	stage_send(s, SERVER, w.at, w.n);
}

static unsigned
rpc_open(const struct stage *s)
{
	unsigned n = 0;

	for (const struct exchange *x = s->flow->waiting; x; x = x->next)
		n += x->label >> 24 == APP_DCERPC;
	return n;
}

static void
test_calls_go_through_a_pipe(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire pdu = { .n = 0 };
	const struct app_event *e;

	(void)state;
	put_rpc(&pdu, 0, 9, 15, 40);
	send_pipe_write(s, 5, 77, &pdu);
	send_smb2(s, WRITE, REPLY, 5, 0);
	CHECK_EQ(rpc_open(s), 1);
	send_pipe_read(s, 6, 77);
	CHECK(last_open(s)->flags & EXCHANGE_PARKS);
	pdu.n = 0;
	put_rpc(&pdu, 2, 9, 0, 500);
	/* in two pieces: the first read was too short (BUFFER_OVERFLOW) */
	send_read_answer(s, 6, 0x80000005, pdu.at, 300);
	CHECK_EQ(rpc_open(s), 1);
	send_pipe_read(s, 7, 77);
	send_read_answer(s, 7, 0, pdu.at + 300, pdu.n - 300);
	CHECK_EQ(s->flow->waiting_count, 0);
	e = stage_event(s, APP_RESPONSE, 2);
	CHECK_EQ(e->label >> 24, APP_DCERPC);
	CHECK_EQ(e->label & 0xffff, 15);
	CHECK(e->has_rpc_time);
	CHECK_EQ(e->rpc_time_ns, 5 * NS_PER_MS);
	stage_free(s);
}

static void
test_a_pipe_that_fails_or_closes_leaves_no_call_open(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire pdu = { .n = 0 }, w = { .n = 0 };
	size_t begin;

	(void)state;
	put_rpc(&pdu, 0, 9, 15, 40);
	send_pipe_write(s, 5, 77, &pdu);
	send_pipe_read(s, 6, 77);
	send_read_answer(s, 6, 0xc00000b0, pdu.at, 9);	/* disconnected */
	CHECK_EQ(rpc_open(s), 0);
	send_pipe_write(s, 7, 77, &pdu);
	CHECK_EQ(rpc_open(s), 1);
	begin = smb_begin(&w);
	smb2_header(&w, CLOSE, 0, 8, 0, 0, 1);
	wire_zeros(&w, 8);
	wire_le64(&w, 1);
	wire_le64(&w, 77);
	smb_end(&w, begin);
	stage_send(s, CLIENT, w.at, w.n);
	CHECK_EQ(rpc_open(s), 0);
	stage_free(s);
}

static void
test_two_pipes_may_use_the_same_call_id(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire pdu = { .n = 0 };

	(void)state;
	put_rpc(&pdu, 0, 9, 15, 40);
	send_pipe_write(s, 5, 77, &pdu);
	send_pipe_write(s, 6, 78, &pdu);
	CHECK_EQ(rpc_open(s), 2);
	send_pipe_read(s, 7, 78);
	pdu.n = 0;
	put_rpc(&pdu, 2, 9, 0, 50);
	send_read_answer(s, 7, 0, pdu.at, pdu.n);
	CHECK_EQ(rpc_open(s), 1);
	send_pipe_read(s, 8, 77);
	send_read_answer(s, 8, 0, pdu.at, pdu.n);
	CHECK_EQ(rpc_open(s), 0);
	stage_free(s);
}

static void
test_a_transceive_is_a_call_and_its_answer(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);

	(void)state;
	for (unsigned reply = 0; reply < 2; reply++) {
		struct wire w = { .n = 0 }, pdu = { .n = 0 };
		size_t begin = smb_begin(&w);

		put_rpc(&pdu, reply ? 2 : 0, 9, 15, 40);
		smb2_header(&w, IOCTL, reply, 5, 0, 0, 1);
		wire_le32(&w, 57);
		wire_le32(&w, 0x0011c017);
		wire_le64(&w, 1);
		wire_le64(&w, 77);
		wire_le32(&w, reply ? 0 : 120);
		wire_le32(&w, reply ? 0 : (uint32_t)pdu.n);
		if (!reply)
			wire_le32(&w, 0);
		wire_le32(&w, reply ? 112 : 0);
		wire_le32(&w, reply ? (uint32_t)pdu.n : 0);
		wire_zeros(&w, reply ? 8 : 12);
		wire_bytes(&w, pdu.at, pdu.n);
		smb_end(&w, begin);
		stage_send(s, reply ? SERVER : CLIENT, w.at, 150);
		CHECK_EQ(stage_events(s, APP_REQUEST), reply ? 2 : 0);
		stage_send(s, reply ? SERVER : CLIENT, w.at + 150, w.n - 150);
		CHECK_EQ(s->flow->waiting_count, reply ? 0 : 2);
	}
	CHECK_EQ(stage_events(s, APP_RESPONSE), 2);
	stage_free(s);
}

static void
test_sealed_messages_take_turns(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire w = { .n = 0 };
	size_t begin = smb_begin(&w);

	(void)state;
	wire_bytes(&w, "\xfdSMB", 4);
	wire_zeros(&w, 200);
	smb_end(&w, begin);
	stage_send(s, CLIENT, w.at, w.n);
	CHECK_EQ(s->flow->waiting_count, 1);
	stage_send(s, SERVER, w.at, w.n);
	CHECK_EQ(s->flow->waiting_count, 0);
	stage_free(s);
}

static void
test_smb1_is_matched_by_process_and_multiplex_id(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire words = { .n = 0 };
	char text[APP_LABEL_TEXT_BYTES];

	(void)state;
	send_smb1(s, 0x72, false, 1, NULL, NULL);
	CHECK_STR(app_label_text(last_open(s)->label, text), "smb NEGOTIATE");
	send_smb1(s, 0x72, true, 2, NULL, NULL);
	CHECK_EQ(s->flow->waiting_count, 1);
	send_smb1(s, 0x72, true, 1, NULL, NULL);
	CHECK_EQ(s->flow->waiting_count, 0);
	wire_zeros(&words, 38);
	send_smb1(s, 0xa0, false, 3, &words, NULL);
	CHECK(!(last_open(s)->flags & EXCHANGE_PARKS));
	words.at[36] = 4;		/* NOTIFY_CHANGE */
	send_smb1(s, 0xa0, false, 4, &words, NULL);
	CHECK(last_open(s)->flags & EXCHANGE_PARKS);
	send_smb1(s, 0xa4, false, 4, NULL, NULL);	/* NT_CANCEL */
	send_smb1(s, 0x33, false, 4, NULL, NULL);	/* a secondary */
	CHECK_EQ(s->flow->waiting_count, 2);
	send_smb1(s, 0xa0, true, 3, NULL, NULL);	/* "go on" */
	CHECK_EQ(s->flow->waiting_count, 2);
	send_smb1(s, 0xa0, true, 3, &words, NULL);
	CHECK_EQ(s->flow->waiting_count, 1);
	stage_free(s);
}

static void
test_smb1_locks_wait_as_long_as_they_say(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire words = { .n = 0 };

	(void)state;
	wire_zeros(&words, 16);
	words.at[14] = 1;		/* one lock, no time-out */
	send_smb1(s, 0x24, false, 1, &words, NULL);
	CHECK_EQ(last_open(s)->flags & (EXCHANGE_PARKS | EXCHANGE_ONE_WAY), 0);
	words.at[8] = 1;
	send_smb1(s, 0x24, false, 2, &words, NULL);
	CHECK(last_open(s)->flags & EXCHANGE_PARKS);
	words.at[14] = 0;		/* gives an oplock back */
	words.at[6] = 2;
	send_smb1(s, 0x24, false, 3, &words, NULL);
	CHECK(last_open(s)->flags & EXCHANGE_ONE_WAY);
	stage_free(s);
}

static void
test_smb1_transactions_carry_calls(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire words = { .n = 0 }, pdu = { .n = 0 };

	(void)state;
	put_rpc(&pdu, 0, 9, 15, 40);
	wire_zeros(&words, 22);
	wire_le16(&words, (unsigned)pdu.n);
	wire_le16(&words, 32 + 1 + 32 + 2);	/* where the data are */
	wire_u8(&words, 2);
	wire_u8(&words, 0);
	wire_le16(&words, 0x26);
	wire_le16(&words, 0x4001);
	send_smb1(s, 0x25, false, 7, &words, &pdu);
	CHECK_EQ(rpc_open(s), 1);
	CHECK_EQ(s->flow->waiting_count, 2);
	words.n = pdu.n = 0;
	put_rpc(&pdu, 2, 9, 0, 40);
	wire_zeros(&words, 12);
	wire_le16(&words, (unsigned)pdu.n);
	wire_le16(&words, 32 + 1 + 20 + 2);
	wire_zeros(&words, 4);
	send_smb1(s, 0x25, true, 7, &words, &pdu);
	CHECK_EQ(s->flow->waiting_count, 0);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 2);
	stage_free(s);
}

static void
test_smb2_may_answer_a_negotiation_begun_in_smb1(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);

	(void)state;
	send_smb1(s, 0x72, false, 0, NULL, NULL);
	send_smb2(s, NEGOTIATE, REPLY, 0, 0);
	CHECK_EQ(s->flow->waiting_count, 0);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	stage_free(s);
}

static void
test_a_netbios_session_is_asked_for_first(void **state)
{
	struct stage *s = stage_new(139, 1 << 20);
	struct wire w = { .n = 0 };

	(void)state;
	wire_be32(&w, 0x81000044);
	wire_u8(&w, 0x20);
	wire_zeros(&w, 67);
	stage_send(s, CLIENT, w.at, w.n);
	CHECK_EQ(s->flow->app, APP_SMB);
	CHECK_EQ(s->flow->waiting_count, 1);
	stage_send(s, SERVER, "\x82\0\0\0", 4);
	CHECK_EQ(s->flow->waiting_count, 0);
	send_smb1(s, 0x72, false, 0, NULL, NULL);
	CHECK_EQ(s->flow->waiting_count, 1);
	stage_send(s, CLIENT, "\x85\0\0\0", 4);		/* keep-alive */
	send_smb1(s, 0x72, true, 0, NULL, NULL);
	CHECK_EQ(s->flow->waiting_count, 0);
	stage_free(s);
}

static void
test_cut_packets_still_show_who_answers_whom(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire w = { .n = 0 };

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		w.n = 0;
		put_smb2(&w, READ, 0, i, 0);
		stage_segment(s, CLIENT, s->next[CLIENT] - s->start[CLIENT],
		    w.at, 90, (uint32_t)w.n);
		s->next[CLIENT] += (uint32_t)w.n;
		w.n = 0;
		put_smb2(&w, READ, REPLY, i, 0);
		stage_segment(s, SERVER, s->next[SERVER] - s->start[SERVER],
		    w.at, 90, (uint32_t)w.n);
		s->next[SERVER] += (uint32_t)w.n;
	}
	CHECK_EQ(stage_events(s, APP_REQUEST), 10);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 10);
	stage_free(s);
}

static void
test_after_a_gap_the_next_message_is_found(void **state)
{
	struct stage *s = stage_new(445, 1 << 20);
	struct wire w = { .n = 0 };

	(void)state;
	send_smb2(s, READ, 0, 1, 0);
	stage_miss(s, SERVER, 1000);
	wire_zeros(&w, 300);		/* the end of what was missed */
	put_smb2(&w, READ, REPLY, 2, 0);
	stage_send(s, SERVER, w.at, w.n);
	CHECK_EQ(s->flow->waiting_count, 0);	/* it may have been answered */
	send_smb2(s, READ, 0, 3, 0);
	CHECK(!(last_open(s)->flags & EXCHANGE_ONE_WAY));
	send_smb2(s, READ, REPLY, 3, 0);
	CHECK_EQ(stage_events(s, APP_RESPONSE), 1);
	stage_free(s);
}

UNIT_TESTS(
    cmocka_unit_test(test_a_response_answers_the_request_of_its_message_id),
    cmocka_unit_test(test_pending_is_no_answer),
    cmocka_unit_test(test_what_waits_by_its_nature_parks),
    cmocka_unit_test(test_a_compound_is_several_commands),
    cmocka_unit_test(test_a_write_is_asked_when_its_last_byte_came),
    cmocka_unit_test(test_a_response_answers_with_its_header),
    cmocka_unit_test(test_calls_go_through_a_pipe),
    cmocka_unit_test(test_a_pipe_that_fails_or_closes_leaves_no_call_open),
    cmocka_unit_test(test_two_pipes_may_use_the_same_call_id),
    cmocka_unit_test(test_a_transceive_is_a_call_and_its_answer),
    cmocka_unit_test(test_sealed_messages_take_turns),
    cmocka_unit_test(test_smb1_is_matched_by_process_and_multiplex_id),
    cmocka_unit_test(test_smb1_locks_wait_as_long_as_they_say),
    cmocka_unit_test(test_smb1_transactions_carry_calls),
    cmocka_unit_test(test_smb2_may_answer_a_negotiation_begun_in_smb1),
    cmocka_unit_test(test_a_netbios_session_is_asked_for_first),
    cmocka_unit_test(test_cut_packets_still_show_who_answers_whom),
    cmocka_unit_test(test_after_a_gap_the_next_message_is_found),
)
