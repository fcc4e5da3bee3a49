/* unit_remedy.c - what a person is told to type, and what never. */
#include "detectors/incident.h"

#include "capture/app.h"
#include "tests/unit.h"

enum { MOST = 32 };

static const uint8_t broadcom[6] = { 0x00, 0x10, 0x18, 1, 2, 3 };
static const uint8_t intel[6] = { 0x00, 0x1b, 0x21, 1, 2, 3 };
static const uint8_t kvm[6] = { 0x52, 0x54, 0x00, 1, 2, 3 };

/* What is offered against a verdict at a server of this system and card. */
static size_t
offered(enum verdict v, const char *system, const uint8_t *mac,
    struct remedy out[MOST])
{
	struct server s = { .system = system };
	struct incident i = { .verdict = v, .server = &s };

	if (mac) {
		memcpy(s.mac, mac, sizeof(s.mac));
		s.has_mac = true;
	}
	return remedies_for(&i, out, MOST);
}

static bool
any_command(const struct remedy *list, size_t n, const char *part)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(list[i].command, part))
			return true;
	return false;
}

static void
test_every_verdict_has_a_sentence_and_a_way_on(void **state)
{
	struct remedy list[MOST];

	(void)state;
	for (int v = 0; v < VERDICT_COUNT; v++) {
		size_t n = offered((enum verdict)v, NULL, NULL, list);

		CHECK(strlen(verdict_sentence((enum verdict)v)) > 20);
		CHECK(n > 0 && n < MOST);
		for (size_t i = 0; i < n; i++) {
			CHECK(*list[i].applies_to);
			CHECK(*list[i].command);
			CHECK(list[i].undo && list[i].source);
		}
	}
}

static void
test_the_quick_one_comes_before_the_lasting_one(void **state)
{
	struct remedy list[MOST];

	(void)state;
	for (int v = 0; v < VERDICT_COUNT; v++) {
		size_t n = offered((enum verdict)v, NULL, broadcom, list);

		for (size_t i = 1; i < n; i++)
			CHECK(!list[i - 1].for_good || list[i].for_good);
	}
}

static void
test_windows_2003_is_told_to_switch_the_chimney_off(void **state)
{
	struct remedy list[MOST];
	size_t n = offered(VERDICT_offload_engine, "windows-2003", broadcom, list);

	(void)state;
	CHECK(n > 0);
	CHECK_STR(list[0].command, "netsh int ip set chimney DISABLED");
	CHECK_STR(list[0].undo, "netsh int ip set chimney ENABLED");
	CHECK(any_command(list, n, "driver 3.7.19"));
	CHECK(!any_command(list, n, "netsh int tcp"));
	CHECK(!any_command(list, n, "Set-Net"));
}

static void
test_a_card_of_another_maker_gets_no_broadcom_driver(void **state)
{
	struct remedy list[MOST];
	size_t n = offered(VERDICT_offload_engine, "windows-2003", intel, list);

	(void)state;
	CHECK(n > 0);
	CHECK(!any_command(list, n, "3.7.19"));
}

static void
test_each_windows_gets_its_own_command(void **state)
{
	struct remedy list[MOST];
	size_t n = offered(VERDICT_offload_engine, "windows-2008r2", NULL, list);

	(void)state;
	CHECK_STR(list[0].command, "netsh int tcp set global chimney=disabled");
	n = offered(VERDICT_receive_side_scaling, "windows-2012", NULL, list);
	CHECK(n > 0);
	CHECK_STR(list[0].command, "Disable-NetAdapterRss -Name \"NIC\"");
	n = offered(VERDICT_checksum_offload, "linux", NULL, list);
	CHECK(n > 0);
	CHECK_STR(list[0].command, "ethtool -K IF tx off");
}

/* Whoever names his system is told something for each verdict, and for what the
 * card does wrong something that is written down somewhere. */
static void
test_each_system_has_a_way_on_with_a_source(void **state)
{
	static const enum verdict card[] = { VERDICT_offload_engine,
		VERDICT_checksum_offload, VERDICT_segmentation_offload,
		VERDICT_receive_side_scaling, VERDICT_undetermined };
	struct remedy list[MOST];

	(void)state;
	for (size_t k = 0; config_systems[k]; k++) {
		for (int v = 0; v < VERDICT_COUNT; v++)
			CHECK(offered((enum verdict)v, config_systems[k], NULL,
			    list) > 0);
		if (strcmp(config_systems[k], "freebsd") == 0)
			continue;
		for (size_t c = 0; c < sizeof(card) / sizeof(card[0]); c++) {
			size_t n = offered(card[c], config_systems[k], NULL,
			    list), sourced = 0;

			for (size_t i = 0; i < n; i++)
				sourced += *list[i].source != '\0';
			CHECK(sourced > 0);
		}
	}
}

static void
test_a_transmit_hang_has_a_remedy_of_its_own(void **state)
{
	static const char *const systems[] = { "linux", "vmware", "hyper-v" };
	static const char *const parts[] = { "tso off", "UseHwTSO", "Vmq" };
	struct remedy list[MOST];

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		struct server s = { .system = systems[k] };
		struct incident i = { .verdict = VERDICT_server_host,
			.server = &s };

		CHECK(!any_command(list, remedies_for(&i, list, MOST),
		    parts[k]));
		i.finding_count[FINDING_egress_dead] = 1;
		CHECK(any_command(list, remedies_for(&i, list, MOST), parts[k]));
	}
}

/* The box between is no server of ours: what it runs on nobody has said. */
static void
test_a_box_that_merges_is_told_so_whatever_the_server_runs_on(void **state)
{
	struct server s = { .system = "windows-2003" };
	struct incident i = { .verdict = VERDICT_network_path, .server = &s };
	struct remedy list[MOST];

	(void)state;
	CHECK(!any_command(list, remedies_for(&i, list, MOST), "lro off"));
	i.finding_count[FINDING_merged_forwarding] = 1;
	CHECK(any_command(list, remedies_for(&i, list, MOST), "lro off"));
	CHECK(any_command(list, remedies_for(&i, list, MOST), "Vmxnet3HwLRO"));
	CHECK(any_command(list, remedies_for(&i, list, MOST),
	    "EnableSoftwareRsc"));
}

/* kvm-guest-drivers-windows issue 1487: with task offload off, old NetKVM
 * drivers compute wrong checksums and can hang the sender. */
static void
test_a_virtio_guest_is_never_told_to_disable_task_offload(void **state)
{
	static const char *const systems[] = { NULL, "windows", "windows-2003",
		"windows-2008", "windows-2012" };
	struct remedy list[MOST];

	(void)state;
	for (int v = 0; v < VERDICT_COUNT; v++) {
		for (size_t k = 0; k < sizeof(systems) / sizeof(*systems); k++) {
			size_t n = offered((enum verdict)v, systems[k], kvm, list);

			CHECK(!any_command(list, n, "taskoffload"));
			CHECK(!any_command(list, n, "DisableTaskOffload"));
		}
	}
}

static void
test_elsewhere_task_offload_comes_with_the_driver_note(void **state)
{
	struct remedy list[MOST];
	size_t n, found = 0;

	(void)state;
	n = offered(VERDICT_checksum_offload, "windows-2008", intel, list);
	for (size_t i = 0; i < n; i++) {
		if (!strstr(list[i].command, "taskoffload=disabled"))
			continue;
		found++;
		CHECK(strstr(list[i].applies_to, "NetKVM") != NULL);
	}
	CHECK_EQ(found, 1);
}

static void
test_merging_is_told_from_cutting(void **state)
{
	struct server s = { .system = "linux" };
	struct incident i = { .verdict = VERDICT_segmentation_offload,
		.server = &s };
	struct remedy list[MOST];

	(void)state;
	CHECK(remedies_for(&i, list, MOST) > 0);
	CHECK_STR(list[0].command, "ethtool -K IF tso off gso off");
	i.finding_count[FINDING_merged_forwarding] = 1;
	CHECK(remedies_for(&i, list, MOST) > 0);
	CHECK_STR(list[0].command, "ethtool -K IF lro off gro off");
}

static void
test_a_suspected_card_is_switched_off_for_a_while_only(void **state)
{
	struct server s = { .system = "windows-2003" };
	struct incident i = { .verdict = VERDICT_undetermined, .server = &s };
	struct remedy list[MOST];
	size_t n = remedies_for(&i, list, MOST);

	(void)state;
	CHECK(!any_command(list, n, "chimney"));
	i.score[VERDICT_offload_engine] = 2 * SUSPECT_SCORE;
	n = remedies_for(&i, list, MOST);
	CHECK(any_command(list, n, "netsh int ip set chimney DISABLED"));
	for (size_t k = 0; k < n; k++)
		CHECK(!list[k].for_good);
}

static void
test_what_is_over_is_told_in_the_past(void **state)
{
	struct incident i = { .verdict = VERDICT_server_host };

	(void)state;
	CHECK_STR(incident_sentence(&i), verdict_sentence(i.verdict));
	i.end.ns = 1;
	for (int v = 0; v < VERDICT_COUNT; v++) {
		i.verdict = (enum verdict)v;
		CHECK(strcmp(incident_sentence(&i), verdict_sentence(i.verdict)));
	}
}

static void
test_what_it_serves_hints_at_its_system(void **state)
{
	struct service ssh = { .app = APP_SSH };
	struct server s = { .services = &ssh };
	struct incident i = { .verdict = VERDICT_checksum_offload, .server = &s };
	struct remedy list[MOST];

	(void)state;
	CHECK(remedies_for(&i, list, MOST) > 0);
	CHECK_STR(list[0].command, "ethtool -K IF tx off");
	ssh.app = APP_RDP;
	CHECK(remedies_for(&i, list, MOST) > 0);
	CHECK(strstr(list[0].applies_to, "Windows") != NULL);
}

static void
test_no_more_than_asked_for(void **state)
{
	struct server s = { 0 };
	struct incident i = { .verdict = VERDICT_offload_engine, .server = &s };
	struct remedy list[2];

	(void)state;
	CHECK_EQ(remedies_for(&i, list, 2), 2);
	CHECK_EQ(remedies_for(&i, list, 0), 0);
}

static void
test_the_maker_is_read_from_the_address(void **state)
{
	static const uint8_t none[6] = { 0x02, 0, 0, 0, 0, 1 };
	static const uint8_t vmware[6] = { 0x00, 0x50, 0x56, 1, 2, 3 };
	static const uint8_t hyper_v[6] = { 0x00, 0x15, 0x5d, 1, 2, 3 };
	struct server s = { 0 };

	(void)state;
	CHECK_STR(mac_vendor(broadcom), "Broadcom");
	CHECK_STR(mac_vendor(intel), "Intel");
	CHECK_STR(mac_vendor(kvm), "KVM");
	CHECK_STR(mac_vendor(vmware), "VMware");
	CHECK_STR(mac_vendor(hyper_v), "Hyper-V");
	CHECK_STR(mac_vendor(none), "");
	CHECK_STR(server_vendor(&s), "");
}

UNIT_TESTS(
    cmocka_unit_test(test_every_verdict_has_a_sentence_and_a_way_on),
    cmocka_unit_test(test_the_quick_one_comes_before_the_lasting_one),
    cmocka_unit_test(test_windows_2003_is_told_to_switch_the_chimney_off),
    cmocka_unit_test(test_a_card_of_another_maker_gets_no_broadcom_driver),
    cmocka_unit_test(test_each_windows_gets_its_own_command),
    cmocka_unit_test(test_each_system_has_a_way_on_with_a_source),
    cmocka_unit_test(test_a_transmit_hang_has_a_remedy_of_its_own),
    cmocka_unit_test(test_a_box_that_merges_is_told_so_whatever_the_server_runs_on),
    cmocka_unit_test(test_a_virtio_guest_is_never_told_to_disable_task_offload),
    cmocka_unit_test(test_elsewhere_task_offload_comes_with_the_driver_note),
    cmocka_unit_test(test_merging_is_told_from_cutting),
    cmocka_unit_test(test_a_suspected_card_is_switched_off_for_a_while_only),
    cmocka_unit_test(test_what_is_over_is_told_in_the_past),
    cmocka_unit_test(test_what_it_serves_hints_at_its_system),
    cmocka_unit_test(test_no_more_than_asked_for),
    cmocka_unit_test(test_the_maker_is_read_from_the_address),
)
