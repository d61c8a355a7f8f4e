// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the PSK derivation, against what nvme-cli derives. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/derive.h"

#define HOST "nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36"
#define ZERO_KEY "NVMeTLSkey-1:01:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACtVQoZ:"

static void derives(const interchange *configured, const struct psk_recipe *recipe,
		    const char *expected_identity, const char *expected_base64)
{
	g_autofree char *identity = NULL, *expected = NULL;
	g_auto(secret) psk = SECRET_INIT;
	g_auto(interchange_text) text = {0};

	assert_int_equal(psk_derive(configured, recipe, &identity, &psk), 0);
	assert_string_equal(identity, expected_identity);
	if (!expected_base64)
		return;
	assert_int_equal(interchange_format(psk_hash_of_size(psk.len), &psk, &text), 0);
	expected = g_strdup_printf("NVMeTLSkey-1:%02d:%s:", (int)psk_hash_of_size(psk.len),
				   expected_base64);
	assert_string_equal(text.s, expected);
}

static void version_1_derives_what_nvme_cli_derives(void **state)
{
	const struct psk_recipe recipe = {HOST, "nqn.io-1", 1, false};
	g_auto(interchange) ic = {0};

	assert_int_equal(interchange_parse(ZERO_KEY, &ic, NULL), 0);
	derives(&ic, &recipe,
		"NVMe1R01 " HOST " nqn.io-1 4IOYNS/rg/PX4rbiebj0LCEBFQ1X5IMI1GlO5s/yS7w=",
		"E+8VYeGJyak3Z/fyW/23NZ20IY7SyHON8RSEi6yOiTlJxU3v");
}

static void compat_derives_what_older_nvme_cli_derives(void **state)
{
	const struct psk_recipe recipe = {HOST, "nqn.io-1", 1, true};
	g_auto(interchange) ic = {0};

	assert_int_equal(interchange_parse(ZERO_KEY, &ic, NULL), 0);
	derives(&ic, &recipe,
		"NVMe1R01 " HOST " nqn.io-1 BOvuFx6+m9BCA/zhpuZQxMQRoPuUVv8OUiigLaQt0AI=",
		"V2K0d0A/WcZKA8Swb9w0bq5QyoAXslg9B5tAQQeTkffLJqXN");
}

static void digest_is_that_of_the_published_example(void **state)
{
	static const uint8_t key[32] = {0x55, 0x12, 0xDB, 0xB6, 0x73, 0x7D, 0x01, 0x06,
					0xF6, 0x59, 0x75, 0xB7, 0x73, 0xDF, 0xB0, 0x11,
					0xFF, 0xC3, 0x44, 0xBC, 0xF4, 0x42, 0xE2, 0xDD,
					0x6D, 0x8B, 0xC4, 0x87, 0x0B, 0x5D, 0x5B, 0x03};
	struct psk_recipe recipe = {"nqn.psk-test-host", "nqn.psk-test-subsys", 1, false};
	g_auto(interchange) ic = {.version = 1, .hash = PSK_HASH_SHA256};

	secret_set(&ic.key, key, sizeof(key));
	derives(&ic, &recipe,
		"NVMe1R01 nqn.psk-test-host nqn.psk-test-subsys "
		"iSbjiStwJ/1TrTvDlt2fjFmzvsytOJelidNnA+X5lEU=",
		NULL);
	recipe.compat = true;
	derives(&ic, &recipe,
		"NVMe1R01 nqn.psk-test-host nqn.psk-test-subsys "
		"66GuqV08TsAGII39teWUfwQwizjv06Jy8jOcX3NAAzM=",
		NULL);
}

static void version_0_has_no_digest(void **state)
{
	const struct psk_recipe recipe = {"nqn.h", "nqn.s", 0, false};
	g_auto(interchange) ic = {0};

	assert_int_equal(interchange_parse(ZERO_KEY, &ic, NULL), 0);
	derives(&ic, &recipe, "NVMe0R01 nqn.h nqn.s", NULL);
}

static void without_transform_the_length_tells_the_hash(void **state)
{
	const struct psk_recipe recipe = {"nqn.h", "nqn.s", 0, false};
	g_auto(interchange) ic = {.version = 1, .hash = PSK_HASH_NONE};
	g_autofree char *identity = NULL;
	g_auto(secret) psk = SECRET_INIT;

	ic.key.len = 48;
	assert_int_equal(psk_derive(&ic, &recipe, &identity, &psk), 0);
	assert_string_equal(identity, "NVMe0R02 nqn.h nqn.s");
	assert_int_equal(psk.len, 48);
}

static void transform_makes_a_difference(void **state)
{
	const struct psk_recipe recipe = {"nqn.h", "nqn.s", 0, false};
	g_auto(interchange) none = {.version = 1, .hash = PSK_HASH_NONE, .key = {.len = 32}};
	g_auto(interchange) some = {.version = 1, .hash = PSK_HASH_SHA256, .key = {.len = 32}};
	g_autofree char *a = NULL, *b = NULL;
	g_auto(secret) psk_a = SECRET_INIT, psk_b = SECRET_INIT;

	assert_int_equal(psk_derive(&none, &recipe, &a, &psk_a), 0);
	assert_int_equal(psk_derive(&some, &recipe, &b, &psk_b), 0);
	assert_string_equal(a, b);
	assert_false(secret_equal(&psk_a, &psk_b));
}

static void identity_too_long_for_the_label_is_refused(void **state)
{
	g_autofree char *tail = g_strnfill(200, 'x');
	g_autofree char *host = g_strconcat("nqn.", tail, NULL);
	struct psk_recipe recipe = {host, host, 0, false};
	g_auto(interchange) ic = {0};
	g_autofree char *identity = NULL;
	g_auto(secret) psk = SECRET_INIT;

	assert_int_equal(interchange_parse(ZERO_KEY, &ic, NULL), 0);
	assert_int_equal(psk_derive(&ic, &recipe, &identity, &psk), -ENAMETOOLONG);
	assert_null(identity);
	assert_int_equal(psk.len, 0);
	recipe.version = 1;
	assert_int_equal(psk_derive(&ic, &recipe, &identity, &psk), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1_derives_what_nvme_cli_derives),
		cmocka_unit_test(compat_derives_what_older_nvme_cli_derives),
		cmocka_unit_test(digest_is_that_of_the_published_example),
		cmocka_unit_test(version_0_has_no_digest),
		cmocka_unit_test(without_transform_the_length_tells_the_hash),
		cmocka_unit_test(transform_makes_a_difference),
		cmocka_unit_test(identity_too_long_for_the_label_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
