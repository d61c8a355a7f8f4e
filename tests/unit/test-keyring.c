// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of finding keyrings by name, and of what is read from /proc/keys. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <keyutils.h>
#include <cmocka.h>

#include "common/keyring.h"
#include "tests/unit/other-user.h"
#include "tests/unit/skip.h"

static void line_of_proc_keys_is_taken_apart(void **state)
{
	g_auto(key_status) st = {0};

	assert_int_equal(key_status_parse("26b3260e I--Q---     1 perm 3b010000     0     0 psk       "
					  "NVMe0R01 nqn.h nqn.s: 32\n",
					  &st),
			 0x26b3260e);
	assert_false(st.revoked);
	assert_false(st.expired);
	assert_string_equal(st.expiry, "never");
	assert_string_equal(st.description, "NVMe0R01 nqn.h nqn.s");
}

static void colon_in_a_description_stays(void **state)
{
	g_auto(key_status) st = {0};

	assert_true(key_status_parse("00000001 I------     1   3d 3b010000     0     0 psk       "
				     "NVMe0R01 nqn.2014:uuid nqn.s: 7: 48",
				     &st) > 0);
	assert_string_equal(st.expiry, "3d");
	assert_string_equal(st.description, "NVMe0R01 nqn.2014:uuid nqn.s: 7");
}

static void revoked_and_expired_are_told(void **state)
{
	g_auto(key_status) revoked = {0}, expired = {0};

	assert_true(key_status_parse("00000002 IR-----     1 perm 3b010000     0     0 psk       x",
				     &revoked) > 0);
	assert_true(revoked.revoked);
	assert_true(key_status_parse("00000003 I------     1 expd 3b010000     0     0 psk       x: 32",
				     &expired) > 0);
	assert_true(expired.expired);
	assert_string_equal(expired.expiry, "expired");
}

static void other_lines_are_refused(void **state)
{
	g_auto(key_status) st = {0};

	assert_int_equal(key_status_parse("", &st), -EINVAL);
	assert_int_equal(key_status_parse("x y z", &st), -EINVAL);
	assert_int_equal(key_status_parse("ffffffff I-- 1 perm 3b010000 0 0 psk x", &st), -EINVAL);
}

static void serial_is_taken_as_everybody_prints_it(void **state)
{
	static const struct {
		const char *word;
		unsigned int n;
		key_serial first, second;
	} cases[] = {
		{"649274894", 1, 0x26b3260e, 0},
		{"0x26b3260e", 1, 0x26b3260e, 0},
		{"0X26B3260E", 1, 0x26b3260e, 0},
		{"26b3260e", 1, 0x26b3260e, 0},
		{"0x1f", 1, 0x1f, 0},
		{"0123", 1, 123, 0},
		{"12345678", 2, 12345678, 0x12345678},
		{"7", 1, 7, 0},
		{"1f", 0, 0, 0},
		{"0", 0, 0, 0},
		{"00000000", 0, 0, 0},
		{"-5", 0, 0, 0},
		{"ffffffff", 0, 0, 0},
		{"0x", 0, 0, 0},
		{"0x80000000", 0, 0, 0},
		{"", 0, 0, 0},
		{" 7", 0, 0, 0},
		{"7 ", 0, 0, 0},
		{"99999999999999999999", 0, 0, 0},
		{"26b3260g", 0, 0, 0},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		key_serial serials[2] = {0};

		assert_int_equal(key_serial_parse(cases[i].word, serials), cases[i].n);
		assert_int_equal(serials[0], cases[i].first);
		assert_int_equal(serials[1], cases[i].second);
	}
}

/* ---- by name; each case has a name of its own, for /proc/keys is everybody's ---- */

#define PRIVATE (KEY_POS_ALL | KEY_USR_ALL)

static char name[64];

static int set_up(void **state)
{
	static unsigned int n;

	snprintf(name, sizeof(name), "test-keyring-%d-%u", (int)getpid(), n++);
	return keyring_session_private();
}

/* In a keyring of its own, else the second of a name would take the first one's place. */
static key_serial add_under(key_serial where, key_perm_t perm)
{
	g_autofree char *around = g_strdup_printf("around-%u", g_random_int());
	key_serial key = add_key("keyring", name, NULL, 0,
				 add_key("keyring", around, NULL, 0, where));

	assert_true(key > 0);
	assert_int_equal(keyctl_setperm(key, perm), 0);
	return key;
}

/* Outside of our session, as other processes' keyrings are. */
static key_serial add(key_perm_t perm)
{
	return add_under(KEY_SPEC_THREAD_KEYRING, perm);
}

static void keyring_is_found_by_name_and_by_serial(void **state)
{
	key_serial ours = add(PRIVATE);
	char text[80];

	assert_int_equal(keyring_find(name), ours);
	snprintf(text, sizeof(text), "%%:%s", name);
	assert_int_equal(keyring_find(text), ours);
	snprintf(text, sizeof(text), "0x%x", (unsigned int)ours);
	assert_int_equal(keyring_find(text), ours);
	snprintf(text, sizeof(text), "%d", ours);
	assert_int_equal(keyring_find(text), ours);
	assert_int_equal(keyring_find("test-keyring-"), -ENOENT);
	assert_int_equal(keyring_find(""), -EINVAL);
}

static void key_is_no_keyring(void **state)
{
	key_serial key = add_key("user", name, "x", 1, KEY_SPEC_SESSION_KEYRING);
	char text[80];

	assert_int_equal(keyring_find(name), -ENOENT);
	snprintf(text, sizeof(text), "%d", key);
	assert_int_equal(keyring_find(text), -ENOTDIR);
}

static void two_of_a_name_are_an_error(void **state)
{
	add(PRIVATE);
	add(PRIVATE);
	assert_int_equal(keyring_find(name), -ENOTUNIQ);
	assert_non_null(strstr(keyring_find_strerror(-ENOTUNIQ), "several"));
}

static void the_session_has_the_first_word(void **state)
{
	key_serial ours;

	add(PRIVATE);
	ours = add_under(KEY_SPEC_SESSION_KEYRING, PRIVATE);
	assert_int_equal(keyring_find(name), ours);
	assert_int_equal(keyctl_setperm(ours, PRIVATE | KEY_OTH_WRITE), 0);
	assert_int_not_equal(keyring_find(name), ours);
}

static void revoked_one_of_a_name_does_not_count(void **state)
{
	key_serial old = add(PRIVATE), fresh;

	assert_int_equal(keyctl_revoke(old), 0);
	fresh = add(PRIVATE);
	assert_int_equal(keyring_find(name), fresh);
}

static void keyring_that_others_may_change_is_refused(void **state)
{
	static const key_perm_t more[] = {KEY_GRP_WRITE, KEY_GRP_LINK, KEY_GRP_SETATTR,
					  KEY_OTH_WRITE, KEY_OTH_LINK, KEY_OTH_SETATTR};
	key_serial ours = add(PRIVATE);
	char text[80];

	snprintf(text, sizeof(text), "%d", ours);
	for (size_t i = 0; i < G_N_ELEMENTS(more); i++) {
		assert_int_equal(keyctl_setperm(ours, PRIVATE | more[i]), 0);
		assert_int_equal(keyring_find(name), -EPERM);
		assert_int_equal(keyring_find(text), -EPERM);
		assert_int_equal(keyring_check(ours), -EPERM);
	}
	assert_int_equal(keyctl_setperm(ours, PRIVATE | KEY_GRP_VIEW | KEY_OTH_READ), 0);
	assert_int_equal(keyring_find(name), ours);
}

static bool plant(void *ctx)
{
	key_serial *planted = ctx;

	if (keyring_session_private() < 0)
		return false;
	*planted = add_key("keyring", name, NULL, 0, KEY_SPEC_SESSION_KEYRING);
	return *planted > 0 && keyctl_setperm(*planted, 0x3f3f3f3f) == 0;
}

static void keyring_of_another_user_is_passed_over(void **state)
{
	key_serial planted = 0, ours;
	struct other_user *other = other_user_start(plant, &planted, sizeof(planted));
	char text[80];

	if (!other)
		SKIP_WITHOUT("root");
	assert_int_equal(keyring_find(name), -EPERM);
	snprintf(text, sizeof(text), "%d", planted);
	assert_int_equal(keyring_find(text), -EPERM);
	ours = add(PRIVATE);
	assert_int_equal(keyring_find(name), ours);
	other_user_end(other);
}

/* Descriptions may hold line breaks: a key that looks like a keyring of root's in /proc/keys. */
static bool forge(void *ctx)
{
	key_serial *real = ctx;
	g_autofree char *line =
		g_strdup_printf("x\n%08x I------     1 perm 3f3f0000     0     0 keyring   %s: 1\ny",
				(unsigned int)*real, name);
	key_serial key;

	if (keyring_session_private() < 0)
		return false;
	*real = add_key("keyring", name, NULL, 0, KEY_SPEC_SESSION_KEYRING);
	key = add_key("user", line, "x", 1, KEY_SPEC_SESSION_KEYRING);
	return *real > 0 && key > 0 && keyctl_setperm(*real, 0x3f3f3f3f) == 0 &&
	       keyctl_setperm(key, 0x3f3f3f3f) == 0;
}

static void line_that_is_forged_is_not_believed(void **state)
{
	key_serial ours = add(PRIVATE), serial = ours;
	struct other_user *other = other_user_start(forge, &serial, sizeof(serial));

	if (!other)
		SKIP_WITHOUT("root");
	assert_int_equal(keyring_find(name), ours);
	other_user_end(other);
}

/* The kernel keeps them for itself, from root too. */
static void name_with_a_dot_cannot_be_planted(void **state)
{
	errno = 0;
	assert_int_equal(add_key("keyring", ".nvme", NULL, 0, KEY_SPEC_SESSION_KEYRING), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(keyctl_join_session_keyring(".nvme"), -1);
	assert_int_equal(errno, EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_of_proc_keys_is_taken_apart),
		cmocka_unit_test(colon_in_a_description_stays),
		cmocka_unit_test(revoked_and_expired_are_told),
		cmocka_unit_test(other_lines_are_refused),
		cmocka_unit_test(serial_is_taken_as_everybody_prints_it),
		cmocka_unit_test_setup(keyring_is_found_by_name_and_by_serial, set_up),
		cmocka_unit_test_setup(key_is_no_keyring, set_up),
		cmocka_unit_test_setup(two_of_a_name_are_an_error, set_up),
		cmocka_unit_test_setup(the_session_has_the_first_word, set_up),
		cmocka_unit_test_setup(revoked_one_of_a_name_does_not_count, set_up),
		cmocka_unit_test_setup(keyring_that_others_may_change_is_refused, set_up),
		cmocka_unit_test_setup(keyring_of_another_user_is_passed_over, set_up),
		cmocka_unit_test_setup(line_that_is_forged_is_not_believed, set_up),
		cmocka_unit_test_setup(name_with_a_dot_cannot_be_planted, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
