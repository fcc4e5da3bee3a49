/* unit_decode_plain.c - the short way through a frame comes to what the long way
 * comes to: over the sample captures, and over what is left of their frames when
 * they are cut, padded, tagged, made fragments, or damaged anywhere. */
#include "capture/decode_internal.h"

#include <stdio.h>

#include "capture/source.h"
#include "tests/unit.h"

enum { FRAME_MAX = 70000, HEADERS = 64, MUTANTS = 4, ETHERNET = 1 };

struct trial {
	uint8_t at[FRAME_MAX];
	uint32_t n;			/* of them */
	uint32_t wire;			/* and as many were on the wire */
	int link_type;
	uint32_t seed;
	size_t frames, plain;
};

static uint32_t
chance(struct trial *t, uint32_t below)
{
	return unit_draw(&t->seed, below);
}

/* Was it such a frame? If not, nothing was done. */
static bool
is_plain(const struct frame *f)
{
	struct packet before, p;
	struct walk w = { .p = &p, .b = bytes_of(f->data, f->captured_bytes) };
	bool is;

	memset(&p, 0x5a, sizeof(p));
	before = p;
	is = decode_plain(&w, f->link_type);
	if (is)
		return true;
	CHECK_MEM(&p, &before, sizeof(p));
	CHECK(w.b.at == f->data && w.b.left == f->captured_bytes);
	CHECK(!bytes_ran_out(w.b) && !w.depth && !w.found);
	return false;
}

static void
both_ways(struct trial *t)
{
	uint8_t *exact = unit_exact(t->at, t->n);
	struct frame f = { .time = { 5 }, .number = 9, .file = 3,
		.interface = 2, .link_type = t->link_type,
		.captured_bytes = t->n, .wire_bytes = t->wire, .data = exact };
	struct packet ours, theirs;

	memset(&ours, 0xaa, sizeof(ours));
	memset(&theirs, 0x55, sizeof(theirs));
	CHECK_EQ(decode_frame(&f, &ours), decode_layers(&f, &theirs));
	CHECK_MEM(&ours, &theirs, sizeof(ours));
	t->frames++;
	t->plain += is_plain(&f);
	free(exact);
}

static void
insert_tag(struct trial *t)
{
	uint8_t tag[4] = { 0x81, 0, (uint8_t)chance(t, 256),
		(uint8_t)chance(t, 256) };

	if (t->n < 12 || t->n > FRAME_MAX - sizeof(tag))
		return;
	memmove(t->at + 12 + sizeof(tag), t->at + 12, t->n - 12);
	memcpy(t->at + 12, tag, sizeof(tag));
	t->n += (uint32_t)sizeof(tag);
	t->wire += (uint32_t)sizeof(tag);
}

static void
pad(struct trial *t)
{
	uint32_t more = chance(t, 20);

	if (t->n + more > FRAME_MAX)
		return;
	memset(t->at + t->n, 0xee, more);
	t->n += more;
	t->wire += more;
}

/* Anything, at `at` in a frame of which that may be left out. */
static void
spoil(struct trial *t, uint32_t at)
{
	static const uint8_t value[] = { 0, 1, 0x45, 0x46, 0x20, 0x40, 6, 17,
		28, 40, 0x7f, 0x80, 0xff };

	if (at >= t->n)
		return;
	t->at[at] = chance(t, 2) ? value[chance(t, sizeof(value))] :
	    (uint8_t)(t->at[at] ^ 1u << chance(t, 8));
}

static void
mutate(struct trial *t)
{
	enum { LENGTH_AT = 16, FRAGMENT_AT = 20 };	/* behind Ethernet */

	switch (chance(t, 8)) {
	case 0:
		t->n = chance(t, t->n + 1);
		break;
	case 1:
		t->wire = t->n = chance(t, (t->n < 100 ? t->n : 100) + 1);
		break;
	case 2:
		pad(t);
		break;
	case 3:
		spoil(t, FRAGMENT_AT + chance(t, 2));
		break;
	case 4:
		spoil(t, LENGTH_AT + chance(t, 2));
		break;
	case 5:
		insert_tag(t);
		break;
	default:
		spoil(t, chance(t, HEADERS));
	}
}

static void
load(struct trial *t, const struct frame *f)
{
	t->n = f->captured_bytes < FRAME_MAX ? f->captured_bytes : FRAME_MAX;
	memcpy(t->at, f->data, t->n);
	t->wire = f->wire_bytes;
	t->link_type = f->link_type;
}

/* Each frame as it is, and some made of it by one to three changes. */
static void
try_frame(struct trial *t, const struct frame *f)
{
	load(t, f);
	both_ways(t);
	for (int i = 0; i < MUTANTS; i++) {
		load(t, f);
		for (uint32_t n = 1 + chance(t, 3); n; n--)
			mutate(t);
		both_ways(t);
	}
}

static struct source *
samples(void)
{
	const char *top = getenv("srcdir");
	char path[4096], err[SOURCE_ERROR_BYTES];
	const char *const paths[] = { path };
	struct source *source;

	snprintf(path, sizeof(path), "%s/pcaps", top ? top : ".");
	CHECK_EQ(source_open_files(paths, 1, NULL, &source, err), 0);
	return source;
}

static void
test_both_ways_come_to_the_same_packet(void **state)
{
	static struct trial t = { .seed = 1 };
	struct source *source = samples();
	struct frame f;

	(void)state;
	while (source_next(source, &f) == SOURCE_FRAME)
		try_frame(&t, &f);
	source_close(&source);
	/* and both were gone often enough to say so */
	CHECK(t.frames > 100000);
	CHECK(t.plain > t.frames / 4);
	CHECK(t.plain < t.frames * 3 / 4);
}

/* An empty frame has no bytes to point to. */
static void
test_a_frame_without_bytes_is_not_plain(void **state)
{
	static struct trial t = { .link_type = ETHERNET };

	(void)state;
	both_ways(&t);
	t.wire = 60;
	both_ways(&t);
	CHECK_EQ(t.plain, 0);
}

UNIT_TESTS(
    cmocka_unit_test(test_both_ways_come_to_the_same_packet),
    cmocka_unit_test(test_a_frame_without_bytes_is_not_plain),
)
