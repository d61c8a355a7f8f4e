// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of what is read from /proc/keys. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/keyring.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_of_proc_keys_is_taken_apart),
		cmocka_unit_test(colon_in_a_description_stays),
		cmocka_unit_test(revoked_and_expired_are_told),
		cmocka_unit_test(other_lines_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
