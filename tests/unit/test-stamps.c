// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of how a file is told from its successor: links, URLs, and what is held in the kernel's caches. */
#include <errno.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <glib/gstdio.h>

#include "tlshd/broker/stamps.h"

static char *directory;
static config settings;
static struct stamps before, after;
static struct stamps_hold hold;

static const char *path_of(const char *name)
{
	g_autofree char *path = g_build_filename(directory, name, NULL);

	return g_intern_string(path);
}

static void put(const char *name)
{
	assert_true(g_file_set_contents(path_of(name), "content", -1, NULL));
}

static void configure(size_t owner, enum credential_kind kind, const char *text)
{
	settings.x509[owner][kind] = (char *)(uintptr_t)text;
}

static int set_up(void **state)
{
	directory = g_dir_make_tmp("test-stamps-XXXXXX", NULL);
	assert_non_null(directory);
	settings = (config){0};
	hold = (struct stamps_hold){0};
	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		configure(owner, CREDENTIAL_TRUST, path_of("trust"));
	configure(1, CREDENTIAL_CERTIFICATE, path_of("link"));
	put("trust");
	put("certificate");
	put("other");
	assert_int_equal(symlink("certificate", path_of("link")), 0);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"trust", "certificate", "other", "link"};

	stamps_let_go(&hold);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		g_unlink(path_of(names[i]));
	g_rmdir(directory);
	g_clear_pointer(&directory, g_free);
	return 0;
}

static void what_stays_is_equal(void **state)
{
	stamps_look(&before, &settings, &hold);
	stamps_look(&after, &settings, &hold);
	assert_true(stamps_are_equal(&before, &after));
}

/* The same bytes, and the same name. */
static void a_file_that_is_replaced_is_told(void **state)
{
	stamps_look(&before, &settings, &hold);
	put("certificate");
	stamps_look(&after, &settings, &hold);
	assert_false(stamps_are_equal(&before, &after));
	assert_true(stamps_trust_is_equal(&before, &after));
}

static void a_link_that_leads_elsewhere_is_told(void **state)
{
	stamps_hold(&hold, &settings);
	stamps_look(&before, &settings, &hold);
	g_unlink(path_of("link"));
	assert_int_equal(symlink("other", path_of("link")), 0);
	stamps_look(&after, &settings, &hold);
	assert_false(stamps_are_equal(&before, &after));
}

static void a_file_that_is_taken_away_is_told(void **state)
{
	stamps_look(&before, &settings, &hold);
	g_unlink(path_of("trust"));
	stamps_look(&after, &settings, &hold);
	assert_false(stamps_trust_is_equal(&before, &after));
}

static void a_url_is_no_file(void **state)
{
	static const struct stamps nothing;

	for (size_t owner = 0; owner < CREDENTIAL_OWNERS; owner++)
		configure(owner, CREDENTIAL_TRUST, "pkcs11:token=trust");
	configure(1, CREDENTIAL_CERTIFICATE, NULL);
	stamps_look(&before, &settings, &hold);
	assert_memory_equal(&before, &nothing, sizeof(nothing));
}

/* Descriptors of ours that lead to a file of this name. */
static unsigned int held(const char *name)
{
	g_autoptr(GDir) fds = g_dir_open("/proc/self/fd", 0, NULL);
	g_autofree char *wanted = realpath(directory, NULL);
	g_autofree char *path = g_build_filename(wanted, name, NULL);
	unsigned int n = 0;
	const char *fd;

	while ((fd = g_dir_read_name(fds))) {
		g_autofree char *at = g_build_filename("/proc/self/fd", fd, NULL);
		g_autofree char *leads_to = g_file_read_link(at, NULL);

		n += g_strcmp0(leads_to, path) == 0;
	}
	return n;
}

static void what_is_looked_at_is_held(void **state)
{
	assert_int_equal(held("certificate") + held("link") + held("trust"), 0);
	stamps_hold(&hold, &settings);
	assert_int_equal(held("link"), 1);
	assert_int_equal(held("certificate"), 1);
	assert_true(held("trust") >= 1);
	assert_int_equal(held("other"), 0);
	stamps_let_go(&hold);
	assert_int_equal(held("certificate") + held("link") + held("trust"), 0);
}

/* A store that is there, and those that are not: the look is the same at all places. */
static void the_system_is_looked_at_where_nothing_is_named(void **state)
{
	static const struct stamps nothing;
	struct stamps_hold everywhere = {0};

	for (size_t i = 0; i < STAMPS_STORES; i++)
		everywhere.stores[i] = true;
	configure(0, CREDENTIAL_TRUST, NULL);
	stamps_hold(&hold, &settings);
	stamps_look(&before, &settings, &everywhere);
	stamps_look(&after, &settings, &hold);
	assert_true(stamps_are_equal(&before, &after));
	configure(0, CREDENTIAL_TRUST, path_of("trust"));
	stamps_look(&after, &settings, &hold);
	assert_memory_equal(after.system, nothing.system, sizeof(nothing.system));
}

static void a_glance_tells_what_is_held(void **state)
{
	configure(1, CREDENTIAL_CERTIFICATE, path_of("certificate"));
	stamps_hold(&hold, &settings);
	stamps_look(&before, &settings, &hold);
	stamps_glance(&after, &settings, &hold);
	assert_true(stamps_are_equal(&before, &after));
	put("certificate");
	stamps_glance(&after, &settings, &hold);
	assert_false(stamps_are_equal(&before, &after));
	assert_true(stamps_trust_is_equal(&before, &after));
}

/* As in the unit; in a process of its own, for the filter stays. */
static void a_glance_without_openat2_is_a_look(void **state)
{
	pid_t pid;
	int status;

	configure(1, CREDENTIAL_CERTIFICATE, path_of("certificate"));
	stamps_hold(&hold, &settings);
	stamps_look(&before, &settings, &hold);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

		if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0) < 0 ||
		    seccomp_load(filter) < 0)
			_exit(2);
		stamps_glance(&after, &settings, &hold);
		_exit(stamps_are_equal(&before, &after) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* That there is no file of a name is in the caches of some file systems, but not of tmpfs. */
static void a_glance_at_no_file_tells_that_or_nothing(void **state)
{
	struct stamp none = {0}, nothing;

	memset(&nothing, 0xff, sizeof(nothing));
	configure(0, CREDENTIAL_CRL, path_of("absent"));
	stamps_hold(&hold, &settings);
	stamps_look(&before, &settings, &hold);
	assert_memory_equal(&before.files[0][CREDENTIAL_CRL], &none, sizeof(none));
	stamps_glance(&after, &settings, &hold);
	if (memcmp(&after.files[0][CREDENTIAL_CRL], &none, sizeof(none)) != 0)
		assert_memory_equal(&after.files[0][CREDENTIAL_CRL], &nothing, sizeof(nothing));
	put("absent");
	stamps_glance(&after, &settings, &hold);
	assert_memory_not_equal(&after.files[0][CREDENTIAL_CRL], &none, sizeof(none));
	g_unlink(path_of("absent"));
}

/* Some names the kernel never tells without what may take time, as it does where it has to ask a disk. */
static void a_glance_that_would_take_time_tells_nothing(void **state)
{
	g_autofree char *path = g_strconcat("/proc/self/root", path_of("certificate"), NULL);

	configure(1, CREDENTIAL_CERTIFICATE, path);
	stamps_hold(&hold, &settings);
	stamps_look(&before, &settings, &hold);
	stamps_look(&after, &settings, &hold);
	assert_true(stamps_are_equal(&before, &after));
	stamps_glance(&after, &settings, &hold);
	assert_false(stamps_are_equal(&before, &after));
	assert_true(stamps_trust_is_equal(&before, &after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_stays_is_equal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_that_is_replaced_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_link_that_leads_elsewhere_is_told, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_file_that_is_taken_away_is_told, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_url_is_no_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_looked_at_is_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_system_is_looked_at_where_nothing_is_named,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_glance_tells_what_is_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_glance_without_openat2_is_a_look, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_glance_at_no_file_tells_that_or_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_glance_that_would_take_time_tells_nothing, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
