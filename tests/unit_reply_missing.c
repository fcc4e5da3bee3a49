/* unit_reply_missing.c - answers that break off, and conversations that fall
 * silent. */
#include "tests/lan_rig.h"
#include "tests/unit.h"

enum { SERVER_HOST = 19, FIRST_USER = 50, USERS = 4, WEB = 80, DESK = 3389 };

static uint16_t next_port;

static void
fetches(struct lan *w, unsigned user)
{
	struct lan_tcp c = lan_connect(w, FIRST_USER + user, next_port++,
	    SERVER_HOST, WEB);

	lan_text(w, &c, CLIENT, "GET / HTTP/1.1\r\nHost: www\r\n\r\n");
	lan_text(w, &c, SERVER, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	lan_close(w, &c);
	lan_wait(w, 1);
}

static void
begin(struct lan *w)
{
	next_port = 3000;
	lan_begin(w);
	for (unsigned i = 0; i < 24; i++)
		fetches(w, i % USERS);
}

/* The last finding of this kind that is more than a note, and how many. */
static unsigned
found(const struct lan *w, const char *kind, const struct finding **last)
{
	const struct finding *x;
	unsigned n = 0;

	for (size_t i = 0; (x = lan_found(w, FINDING_reply_missing, i)); i++)
		if (strcmp(x->kind, kind) == 0 && x->severity >= SEVERITY_MEDIUM) {
			*last = x;
			n++;
		}
	return n;
}

/* --- answers that break off --- */

enum broken { BREAKS_OFF, IS_LATE, IS_NOT_TAKEN, IS_CLOSED, HAS_NO_END };

static struct lan_tcp
half_an_answer(struct lan *w, enum broken how)
{
	static const uint8_t body[1000];
	struct lan_tcp c = lan_connect(w, FIRST_USER, next_port++, SERVER_HOST,
	    WEB);

	lan_text(w, &c, CLIENT, "GET /large HTTP/1.1\r\nHost: www\r\n\r\n");
	lan_text(w, &c, SERVER, how == HAS_NO_END ?
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" :
	    "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
	if (how == HAS_NO_END)
		return c;
	if (how == IS_NOT_TAKEN)
		lan_segment(w, &c, SERVER, TCP_ACK, body, sizeof(body));
	else
		lan_say(w, &c, SERVER, body, sizeof(body));
	if (how == IS_LATE) {
		lan_wait(w, 5);
		lan_say(w, &c, SERVER, body, sizeof(body));
	}
	if (how == IS_CLOSED)
		lan_close(w, &c);
	return c;
}

static void
test_an_answer_that_breaks_off_is_one(void **state)
{
	(void)state;
	for (enum broken how = BREAKS_OFF; how <= HAS_NO_END; how++) {
		const struct finding *x = NULL;
		struct lan w;

		begin(&w);
		(void)half_an_answer(&w, how);
		for (unsigned i = 0; i < 40; i++)
			fetches(&w, 1 + i % (USERS - 1));
		lan_finish(&w);
		CHECK_EQ(found(&w, "cut_short", &x), how == BREAKS_OFF);
		if (x)
			CHECK(strstr(x->text, "1000 bytes"));
		lan_end(&w);
	}
}

static void
test_it_ends_when_the_rest_comes(void **state)
{
	static const uint8_t body[1000];
	const struct finding *x = NULL;
	struct lan_tcp c;
	struct lan w;

	(void)state;
	begin(&w);
	c = half_an_answer(&w, BREAKS_OFF);
	for (unsigned i = 0; i < 40; i++)
		fetches(&w, 1 + i % (USERS - 1));
	lan_say(&w, &c, SERVER, body, sizeof(body));
	fetches(&w, 1);
	lan_finish(&w);
	for (size_t i = 0; (x = lan_found(&w, FINDING_reply_missing, i)); i++)
		CHECK(x->ended);
	lan_end(&w);
}

/* --- conversations --- */

static const uint8_t request[] = {
	3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 3, 0, 0, 0,
};
static const uint8_t confirm[] = {
	3, 0, 0, 19, 14, 0xd0, 0, 0, 18, 52, 0, 2, 0, 8, 0, 2, 0, 0, 0,
};
static const uint8_t noise[40] = { 0x17, 3, 3, 0, 35 };

/* Remote desktops on which each word is drawn, and the last is not. */
static void
sit_down(struct lan *w, struct lan_tcp *c, unsigned users)
{
	begin(w);
	for (unsigned u = 0; u < users; u++) {
		c[u] = lan_connect(w, FIRST_USER + u, next_port++, SERVER_HOST,
		    DESK);
		lan_say(w, &c[u], CLIENT, request, sizeof(request));
		lan_say(w, &c[u], SERVER, confirm, sizeof(confirm));
	}
	for (unsigned i = 0; i < 8; i++, lan_wait(w, 4))
		for (unsigned u = 0; u < users; u++) {
			lan_say(w, &c[u], CLIENT, noise, sizeof(noise));
			lan_say(w, &c[u], SERVER, noise, sizeof(noise));
			lan_say(w, &c[u], CLIENT, noise, 27);
		}
}

static void
test_a_desktop_that_is_left_alone_owes_nothing(void **state)
{
	const struct finding *x;
	struct lan_tcp c[USERS];
	struct lan w;

	(void)state;
	sit_down(&w, c, USERS);
	for (unsigned i = 0; i < 200; i++)
		fetches(&w, i % USERS);
	lan_finish(&w);
	for (size_t i = 0; (x = lan_found(&w, FINDING_reply_missing, i)); i++)
		CHECK(x->severity < SEVERITY_LOW);
	lan_end(&w);
}

/* `served`: of so many the server still takes notice. */
static unsigned
type_on(unsigned users, unsigned served)
{
	const struct finding *x;
	struct lan_tcp c[16];
	struct lan w;
	unsigned n;

	sit_down(&w, c, users);
	for (unsigned i = 0; i < 16; i++) {
		for (unsigned u = 0; u < users; u++) {
			lan_say(&w, &c[u], CLIENT, noise, sizeof(noise));
			if (u < served)
				lan_say(&w, &c[u], SERVER, noise, sizeof(noise));
		}
		for (unsigned u = 0; u < 5; u++)
			fetches(&w, u % USERS);
	}
	lan_finish(&w);
	n = found(&w, "silenced", &x);
	lan_end(&w);
	return n;
}

static void
test_several_desktops_that_fall_silent_are_ill(void **state)
{
	(void)state;
	CHECK_EQ(type_on(4, 0), 4);
	CHECK_EQ(type_on(5, 1), 4);
}

static void
test_one_or_two_among_many_are_not(void **state)
{
	(void)state;
	CHECK_EQ(type_on(2, 0), 0);
	CHECK_EQ(type_on(4, 2), 0);
	CHECK_EQ(type_on(12, 9), 0);
}

/* A few answers do not make a service known, but this one answered each greeting. */
static void
test_a_greeting_is_owed_its_answer_from_the_fourth_on(void **state)
{
	(void)state;
	for (unsigned before = 2; before <= 3; before++) {
		const struct finding *x;
		struct lan_tcp c;
		struct lan w;

		next_port = 3000;
		lan_begin(&w);
		for (unsigned i = 0; i <= before; i++) {
			c = lan_connect(&w, FIRST_USER + i % USERS, next_port++,
			    SERVER_HOST, DESK);
			lan_say(&w, &c, CLIENT, request, sizeof(request));
			if (i < before)
				lan_say(&w, &c, SERVER, confirm, sizeof(confirm));
		}
		lan_wait(&w, 12);
		lan_close(&w, &c);
		lan_finish(&w);
		CHECK_EQ(found(&w, "negotiation", &x), before == 3);
		lan_end(&w);
	}
}

UNIT_TESTS(
    cmocka_unit_test(test_an_answer_that_breaks_off_is_one),
    cmocka_unit_test(test_it_ends_when_the_rest_comes),
    cmocka_unit_test(test_a_desktop_that_is_left_alone_owes_nothing),
    cmocka_unit_test(test_several_desktops_that_fall_silent_are_ill),
    cmocka_unit_test(test_one_or_two_among_many_are_not),
    cmocka_unit_test(test_a_greeting_is_owed_its_answer_from_the_fourth_on),
)
