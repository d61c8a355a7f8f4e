// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the PSK interchange format. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/interchange.h"

#define ZERO_KEY "NVMeTLSkey-1:01:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACtVQoZ:"

static char *refusal(const char *text)
{
	g_auto(interchange) ic = {0};
	char *why = NULL;

	assert_int_equal(interchange_parse(text, &ic, &why), -EINVAL);
	assert_int_equal(ic.key.len, 0);
	assert_non_null(why);
	return why;
}

#define assert_refused_for(text, expected)                                         \
	do {                                                                       \
		g_autofree char *why_ = refusal(text);                             \
		if (!strstr(why_, expected))                                       \
			fail_msg("\"%s\" says nothing of \"%s\"", why_, expected); \
	} while (0)

static void key_of_nvme_cli_is_read_and_written_the_same(void **state)
{
	g_auto(interchange) ic = {0};
	g_auto(interchange_text) text = {0};

	assert_int_equal(interchange_parse(ZERO_KEY, &ic, NULL), 0);
	assert_int_equal(ic.version, 1);
	assert_int_equal(ic.hash, PSK_HASH_SHA256);
	assert_int_equal(ic.key.len, 32);
	for (size_t i = 0; i < ic.key.len; i++)
		assert_int_equal(ic.key.data[i], 0);
	assert_int_equal(interchange_format(ic.hash, &ic.key, &text), 0);
	assert_string_equal(text.s, ZERO_KEY);
}

static void every_hash_and_length_makes_the_round(void **state)
{
	static const struct {
		enum psk_hash hash;
		size_t len;
	} cases[] = {{PSK_HASH_NONE, 32},
		     {PSK_HASH_NONE, 48},
		     {PSK_HASH_SHA256, 32},
		     {PSK_HASH_SHA384, 48}};

	for (size_t c = 0; c < G_N_ELEMENTS(cases); c++) {
		g_auto(secret) key = SECRET_INIT;
		g_auto(interchange_text) text = {0};
		g_auto(interchange) ic = {0};

		key.len = cases[c].len;
		for (size_t i = 0; i < key.len; i++)
			key.data[i] = (uint8_t)(251 * i + c);
		assert_int_equal(interchange_format(cases[c].hash, &key, &text), 0);
		assert_int_equal(interchange_parse(text.s, &ic, NULL), 0);
		assert_int_equal(ic.hash, cases[c].hash);
		assert_true(secret_equal(&ic.key, &key));
	}
}

static void longest_key_fits_its_text(void **state)
{
	g_auto(secret) key = {.len = 48};
	g_auto(interchange_text) text = {0};

	assert_int_equal(interchange_format(PSK_HASH_SHA384, &key, &text), 0);
	assert_int_equal(strlen(text.s), INTERCHANGE_MAX);
}

static void key_of_a_length_that_does_not_fit_is_not_written(void **state)
{
	g_auto(secret) key = {.len = 32};
	g_auto(interchange_text) text = {0};

	assert_int_equal(interchange_format(PSK_HASH_SHA384, &key, &text), -EINVAL);
	assert_string_equal(text.s, "");
	key.len = 16;
	assert_int_equal(interchange_format(PSK_HASH_NONE, &key, &text), -EINVAL);
}

static void version_0_is_read_and_told(void **state)
{
	g_auto(interchange) ic = {0};

	assert_int_equal(interchange_parse("NVMeTLSkey-0:01:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
					   "AACtVQoZ:",
					   &ic, NULL),
			 0);
	assert_int_equal(ic.version, 0);
}

static void wrong_crc_is_named_with_both_values(void **state)
{
	/* The first byte is 4, not 0. */
	assert_refused_for("NVMeTLSkey-1:01:BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACtVQoZ:",
			   "190a55ad");
	assert_refused_for("NVMeTLSkey-1:01:BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACtVQoZ:",
			   "of the key bytes 68804f87");
}

static void what_is_wrong_is_named(void **state)
{
	assert_refused_for("", "begin with");
	assert_refused_for("NVMeTLSkey-", "version digit");
	assert_refused_for("NVMeTLSkey-2:01:AAAA:", "version 2");
	assert_refused_for("NVMeTLSkey-1:", "hash digits");
	assert_refused_for("NVMeTLSkey-1:0", "hash digits");
	assert_refused_for("NVMeTLSkey-1:03:AAAA:", "hash 03");
	assert_refused_for("NVMeTLSkey-1:01:AAAA", "colon");
	assert_refused_for("NVMeTLSkey-1:01::", "base64");
	assert_refused_for("NVMeTLSkey-1:01:AAA:", "base64");
	assert_refused_for("NVMeTLSkey-1:01:AA*A:", "base64");
	assert_refused_for("NVMeTLSkey-1:01:AAAA:", "3 bytes");
	assert_refused_for("NVMeTLSkey-1:02:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACtVQoZ:",
			   "goes with a key of 48 bytes, this one has 32");
	assert_refused_for(ZERO_KEY "x", "behind");
}

static void message_about_a_key_does_not_hold_it(void **state)
{
	g_autofree char *why =
		refusal("NVMeTLSkey-1:01:BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACtVQoZ:");

	assert_null(strstr(why, "AAAA"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_of_nvme_cli_is_read_and_written_the_same),
		cmocka_unit_test(every_hash_and_length_makes_the_round),
		cmocka_unit_test(longest_key_fits_its_text),
		cmocka_unit_test(key_of_a_length_that_does_not_fit_is_not_written),
		cmocka_unit_test(version_0_is_read_and_told),
		cmocka_unit_test(wrong_crc_is_named_with_both_values),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(message_about_a_key_does_not_hold_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
