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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_of_proc_keys_is_taken_apart),
		cmocka_unit_test(colon_in_a_description_stays),
		cmocka_unit_test(revoked_and_expired_are_told),
		cmocka_unit_test(other_lines_are_refused),
		cmocka_unit_test(serial_is_taken_as_everybody_prints_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
