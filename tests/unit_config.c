/* unit_config.c - the configuration file: what it sets, and how it says what is
 * wrong and where. */
#include "detectors/config.h"

#include <stdio.h>
#include <unistd.h>

#include "detectors/event.h"
#include "tests/unit.h"

/* Read `text` as a configuration file; its name in messages is FILE. */
static int
read_bytes(const void *text, size_t n, struct config *out, char *err,
    size_t errsize)
{
	const char *folder = getenv("TMPDIR");
	char path[200], *name;
	int fd, status;

	snprintf(path, sizeof(path), "%s/conf.XXXXXX", folder ? folder : "/tmp");
	fd = mkstemp(path);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n)
		abort();
	close(fd);
	config_default(out);
	status = config_read(out, path, err, errsize);
	unlink(path);
	name = status ? strstr(err, path) : NULL;
	if (name) {
		memcpy(name, "FILE", 4);
		memmove(name + 4, name + strlen(path),
		    strlen(name + strlen(path)) + 1);
	}
	return status;
}

static int
read_text(const char *text, struct config *out, char *err, size_t errsize)
{
	return read_bytes(text, strlen(text), out, err, errsize);
}

#define CHECK_COMPLAINT(text, complaint) do {				\
		struct config c_;					\
		char err_[512] = "";					\
									\
		CHECK_EQ(read_text(text, &c_, err_, sizeof(err_)), -1);	\
		CHECK_STR(err_, complaint);				\
	} while (0)

static void
test_an_empty_file_is_the_defaults(void **state)
{
	struct config c, fresh;
	char err[512];

	(void)state;
	config_default(&fresh);
	CHECK_EQ(read_text("# nothing\n", &c, err, sizeof(err)), 0);
	CHECK_MEM(&c.limit, &fresh.limit, sizeof(c.limit));
	CHECK_EQ(c.server_count, 0);
}

static void
test_a_threshold_is_set_and_the_others_stay(void **state)
{
	struct config c, fresh;
	char err[512];

	(void)state;
	config_default(&fresh);
	CHECK_EQ(read_text("thresholds {\n\tuser_notices_s = 12\n}\n", &c, err,
	    sizeof(err)), 0);
	CHECK(c.limit.user_notices_s > 11.9 && c.limit.user_notices_s < 12.1);
	c.limit.user_notices_s = fresh.limit.user_notices_s;
	CHECK_MEM(&c.limit, &fresh.limit, sizeof(c.limit));
}

static void
test_servers_are_named_by_address_and_prefix(void **state)
{
	struct config c;
	struct address a;
	char err[512];

	(void)state;
	CHECK_EQ(read_text(
	    "server \"EX01\" {\n"
	    "\taddress = { \"10.20.30.5\", \"2001:db8::5\" }\n"
	    "\tsystem = \"windows-2003\"\n"
	    "}\n"
	    "server \"farm\" { address = { \"10.20.30.0/23\" } }\n",
	    &c, err, sizeof(err)), 0);
	CHECK_EQ(c.server_count, 3);
	CHECK(address_parse("10.20.30.5", &a));
	CHECK_STR(config_server_of(&c, &a)->name, "EX01");
	CHECK_STR(config_server_of(&c, &a)->system, "windows-2003");
	CHECK(address_parse("10.20.31.255", &a));
	CHECK_STR(config_server_of(&c, &a)->name, "farm");
	CHECK(address_parse("2001:db8::5", &a));
	CHECK_STR(config_server_of(&c, &a)->name, "EX01");
	CHECK(address_parse("10.20.32.0", &a));
	CHECK(config_server_of(&c, &a) == NULL);
	CHECK(address_parse("2001:db8::6", &a));
	CHECK(config_server_of(&c, &a) == NULL);
}

static void
test_a_prefix_of_zero_covers_its_family_alone(void **state)
{
	struct config c;
	struct address a;
	char err[512];

	(void)state;
	CHECK_EQ(read_text("server \"all\" { address = { \"0.0.0.0/0\" } }\n", &c,
	    err, sizeof(err)), 0);
	CHECK(address_parse("192.0.2.1", &a));
	CHECK(config_server_of(&c, &a) != NULL);
	CHECK(address_parse("2001:db8::1", &a));
	CHECK(config_server_of(&c, &a) == NULL);
}

static void
test_a_complaint_names_file_and_line(void **state)
{
	(void)state;
	CHECK_COMPLAINT("thresholds {\n\tno_such_key = 1\n}\n",
	    "FILE:2: no such option 'no_such_key'");
	CHECK_COMPLAINT("\n\nthresholds {\n\tconnect_s = -1\n}\n",
	    "FILE:4: connect_s must be a number from 0 up");
	CHECK_COMPLAINT("thresholds {\n\tconnect_s = nan\n}\n",
	    "FILE:2: connect_s must be a number from 0 up");
	CHECK_COMPLAINT("thresholds {\n\tp_value = 2\n}\n",
	    "FILE:2: p_value is a share: it must lie from 0 to 1, not 2");
	CHECK_COMPLAINT("server \"a\" {\n\taddress = { \"10.0.0.300\" }\n}\n",
	    "FILE:3: \"10.0.0.300\" is no IP address or prefix");
	CHECK_COMPLAINT("server \"a\" {\n\taddress = { \"10.0.0.3/33\" }\n}\n",
	    "FILE:3: \"10.0.0.3/33\" is no IP address or prefix");
	CHECK_COMPLAINT("server \"a\" { }\n",
	    "FILE:1: server \"a\" has no address");
	CHECK_COMPLAINT("server \"a\" { address = { \"10.0.0.3\" } }\n"
	    "server \"b\" { address = { \"10.0.0.3\" } }\n",
	    "FILE:2: 10.0.0.3 belongs to server \"a\" already");
	CHECK_COMPLAINT("server \"a\" {\n\tsystem = \"os2\"\n"
	    "\taddress = { \"10.0.0.3\" }\n}\n",
	    "FILE:2: no remedies are known for system \"os2\"; known are: "
	    "windows-2003, windows-2008, windows-2008r2, windows-2012, "
	    "windows, linux, freebsd, vmware, hyper-v");
}

static void
test_a_bad_file_changes_nothing(void **state)
{
	struct config c, fresh;
	char err[512];

	(void)state;
	config_default(&fresh);
	CHECK_EQ(read_text("thresholds {\n\tconnect_s = 3\n\tbad = 1\n}\n", &c,
	    err, sizeof(err)), -1);
	CHECK_MEM(&c.limit, &fresh.limit, sizeof(c.limit));
}

static void
test_what_is_no_text_is_refused(void **state)
{
	struct config c;
	char err[512];

	(void)state;
	CHECK_EQ(read_bytes("a\0b", 3, &c, err, sizeof(err)), -1);
	CHECK_STR(err, "cannot read FILE: it is no text file");
	CHECK_EQ(config_read(&c, "/no/such/file", err, sizeof(err)), -1);
	CHECK(strstr(err, "/no/such/file: No such file") != NULL);
	CHECK_EQ(config_read(&c, "/", err, sizeof(err)), -1);
	CHECK(strstr(err, "directory") != NULL);
}

/* Where the tests run: the top of the source tree, or told by srcdir. */
static void
test_a_live_run_is_configured(void **state)
{
	struct config c, fresh;
	char err[512];

	(void)state;
	config_default(&fresh);
	CHECK_EQ(read_text(
	    "live {\n"
	    "\tinterfaces = { \"eth1\", \"eth2\" }\n"
	    "\tfilter = \"not port 22\"\n"
	    "\tbuffer_mib = 256\n"
	    "\tsnap_bytes = 1600\n"
	    "\tpromiscuous = false\n"
	    "\tuser = \"sniffer\"\n"
	    "\tseccomp = false\n"
	    "\tlog = \"syslog\"\n"
	    "}\n", &c, err, sizeof(err)), 0);
	CHECK_EQ(c.live.interface_count, 2);
	CHECK_STR(c.live.interface[1], "eth2");
	CHECK_STR(c.live.filter, "not port 22");
	CHECK_EQ(c.live.buffer_mib, 256);
	CHECK_EQ(c.live.snap_bytes, 1600);
	CHECK(!c.live.promiscuous && !c.live.seccomp && c.live.to_syslog);
	CHECK_STR(c.live.user, "sniffer");
	CHECK_EQ(read_text("live { buffer_mib = 64 }\n", &c, err,
	    sizeof(err)), 0);
	c.live.buffer_mib = fresh.live.buffer_mib;
	CHECK_MEM(&c.live, &fresh.live, sizeof(c.live));
}

static void
test_a_live_run_has_limits(void **state)
{
	(void)state;
	CHECK_COMPLAINT("live {\n\tbuffer_mib = 0\n}\n",
	    "FILE:2: buffer_mib must lie from 1 to 2047, not 0");
	CHECK_COMPLAINT("live {\n\tsnap_bytes = 20\n}\n",
	    "FILE:2: snap_bytes must lie from 64 to 262144, not 20");
	CHECK_COMPLAINT("live {\n\tlog = \"printer\"\n}\n",
	    "FILE:2: log is \"stderr\" or \"syslog\", not \"printer\"");
	CHECK_COMPLAINT("live {\n\tpromiscuous = perhaps\n}\n",
	    "FILE:2: invalid boolean value for option 'promiscuous'");
}

/* The keys of section "live". */
#define LIVE(X)								\
	X(interfaces, 0, 0) X(filter, 0, 0) X(buffer_mib, 0, 0)		\
	X(snap_bytes, 0, 0) X(promiscuous, 0, 0) X(user, 0, 0)		\
	X(seccomp, 0, 0) X(log, 0, 0)

static void
test_the_example_holds_every_default(void **state)
{
	const char *top = getenv("srcdir");
	struct config c, fresh;
	char path[4096], err[512] = "", line[512];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/toewatch.conf.example", top ? top : ".");
	config_default(&fresh);
	c = fresh;
	CHECK_EQ(config_read(&c, path, err, sizeof(err)), 0);
	CHECK_STR(err, "");
	CHECK_MEM(&c.limit, &fresh.limit, sizeof(c.limit));
	CHECK_MEM(&c.keep, &fresh.keep, sizeof(c.keep));
	CHECK_MEM(&c.live, &fresh.live, sizeof(c.live));
	CHECK_MEM(&c.page, &fresh.page, sizeof(c.page));
	CHECK_EQ(c.server_count, 0);
	file = fopen(path, "r");
	CHECK(file != NULL);
#define X(name, value, text) do {					\
		bool found_ = false;					\
									\
		rewind(file);						\
		while (fgets(line, sizeof(line), file))			\
			if (strncmp(line, "\t" #name " = ",		\
			    strlen(#name) + 4) == 0)			\
				found_ = true;				\
		CHECK(found_ && #name);					\
	} while (0);
	THRESHOLDS(X)
	KEEPING(X)
	LIVE(X)
	PAGE_SETTINGS(X)
#undef X
	fclose(file);
	CHECK_EQ(c.sink_count, 0);
}

/* The example's sinks are comments: without these they are sound, too. */
static void
test_the_examples_sinks_are_sound_and_have_the_defaults(void **state)
{
	const char *top = getenv("srcdir");
	struct config c;
	char path[4096], line[512], text[8192] = "", err[SINK_TEXT_BYTES] = "";
	bool inside = false;
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/toewatch.conf.example", top ? top : ".");
	file = fopen(path, "r");
	CHECK(file != NULL);
	while (fgets(line, sizeof(line), file)) {
		inside |= strncmp(line, "# sink", 6) == 0;
		if (inside)
			strcat(text, line + 1);
	}
	fclose(file);
	CHECK_EQ(read_text(text, &c, err, sizeof(err)), 0);
	CHECK_EQ(c.sink_count, 3);
	CHECK_STR(c.sink[0].name, "collector");
	CHECK_EQ(c.sink[0].type, SINK_LINES);
	CHECK_STR(c.sink[0].where, "/var/log/toewatch.json");
	CHECK_EQ(c.sink[0].kinds, 1 << EVENT_FINDING | 1 << EVENT_INCIDENT);
	CHECK_EQ(c.sink[1].type, SINK_SYSLOG);
	CHECK_EQ(c.sink[1].kinds, c.sink[0].kinds);
	CHECK_EQ(c.sink[1].min_severity, SEVERITY_LOW);
	CHECK_EQ(c.sink[1].facility, 3);
	CHECK_EQ(c.sink[2].type, SINK_WEBHOOK);
	CHECK_STR(c.sink[2].header, "Authorization: Bearer 0123456789");
	CHECK_EQ(c.sink[2].min_severity, SEVERITY_MEDIUM);
	CHECK_EQ((int)c.sink[2].hold_s, 300);
	CHECK_EQ((int)c.sink[0].hold_s, 300);
}

static void
test_a_sink_that_cannot_be_is_named(void **state)
{
	(void)state;
	CHECK_COMPLAINT("sink \"a\" {\n\tkinds = { finding }\n}\n",
	    "FILE:3: sink \"a\" needs one of lines, syslog and webhook");
	CHECK_COMPLAINT("sink \"a\" {\n\tlines = x\n\tsyslog = "
	    "\"udp://h:1\"\n}\n",
	    "FILE:4: sink \"a\" needs one of lines, syslog and webhook");
	CHECK_COMPLAINT("sink \"a\" {\n\tsyslog = \"h:514\"\n}\n",
	    "FILE:3: \"h:514\" is no place for syslog: udp://HOST:PORT or "
	    "tcp://HOST:PORT");
	CHECK_COMPLAINT("sink \"a\" {\n\tlines = \"udp://h:514\"\n}\n",
	    "FILE:3: \"udp://h:514\" is no place for lines: a file, "
	    "tcp://HOST:PORT or unix:/PATH");
	CHECK_COMPLAINT("sink \"a\" {\n\twebhook = \"file:///etc\"\n}\n",
	    "FILE:3: \"file:///etc\" is no place for webhook: "
	    "https://HOST/PATH or http://HOST/PATH");
	CHECK_COMPLAINT("sink \"a\" {\n\tsyslog = \"udp://h:70000\"\n}\n",
	    "FILE:3: \"udp://h:70000\" is no place for syslog: "
	    "udp://HOST:PORT or tcp://HOST:PORT");
	CHECK_COMPLAINT("sink \"a\" {\n\tlines = x\n\tkinds = { flow }\n}\n",
	    "FILE:4: there are no events of kind \"flow\"");
	CHECK_COMPLAINT("sink \"a\" {\n\tlines = x\n\tmin_severity = bad\n}\n",
	    "FILE:4: min_severity is info, low, medium, high or critical, not "
	    "\"bad\"");
	CHECK_COMPLAINT("sink \"a\" {\n\twebhook = \"http://h\"\n\theader = "
	    "\"a: b\\r\\nc: d\"\n}\n",
	    "FILE:4: header is one line, \"Name: value\"");
	CHECK_COMPLAINT("sink \"a\" {\n\tlines = x\n\thold_s = -1\n}\n",
	    "FILE:4: hold_s must be a number of seconds from 0 up");
	CHECK_COMPLAINT("sink \"a\" { lines = x }\nsink \"a\" { lines = y }\n",
	    "FILE:2: found duplicate title 'a'");
}

UNIT_TESTS(
    cmocka_unit_test(test_an_empty_file_is_the_defaults),
    cmocka_unit_test(test_a_threshold_is_set_and_the_others_stay),
    cmocka_unit_test(test_servers_are_named_by_address_and_prefix),
    cmocka_unit_test(test_a_prefix_of_zero_covers_its_family_alone),
    cmocka_unit_test(test_a_complaint_names_file_and_line),
    cmocka_unit_test(test_a_bad_file_changes_nothing),
    cmocka_unit_test(test_what_is_no_text_is_refused),
    cmocka_unit_test(test_a_live_run_is_configured),
    cmocka_unit_test(test_a_live_run_has_limits),
    cmocka_unit_test(test_the_example_holds_every_default),
    cmocka_unit_test(test_the_examples_sinks_are_sound_and_have_the_defaults),
    cmocka_unit_test(test_a_sink_that_cannot_be_is_named),
)
