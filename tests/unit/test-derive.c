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

/* Whose keys every derivation of the field was seen to make. */
#define SEEN_KEY "NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:"

static char *to_hex(const secret *s)
{
	GString *hex = g_string_new(NULL);

	for (size_t i = 0; i < s->len; i++)
		g_string_append_printf(hex, "%02x", s->data[i]);
	return g_string_free(hex, FALSE);
}

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
	const struct psk_recipe recipe = {HOST, "nqn.io-1", 1, PSK_RFC8446};
	g_auto(interchange) ic = {0};

	assert_int_equal(interchange_parse(ZERO_KEY, &ic, NULL), 0);
	derives(&ic, &recipe,
		"NVMe1R01 " HOST " nqn.io-1 4IOYNS/rg/PX4rbiebj0LCEBFQ1X5IMI1GlO5s/yS7w=",
		"E+8VYeGJyak3Z/fyW/23NZ20IY7SyHON8RSEi6yOiTlJxU3v");
}

static void compat_derives_what_older_nvme_cli_derives(void **state)
{
	const struct psk_recipe recipe = {HOST, "nqn.io-1", 1, PSK_COMPAT_2_11};
	g_auto(interchange) ic = {0};

	assert_int_equal(interchange_parse(ZERO_KEY, &ic, NULL), 0);
	derives(&ic, &recipe,
		"NVMe1R01 " HOST " nqn.io-1 BOvuFx6+m9BCA/zhpuZQxMQRoPuUVv8OUiigLaQt0AI=",
		"V2K0d0A/WcZKA8Swb9w0bq5QyoAXslg9B5tAQQeTkffLJqXN");
}

static void every_derivation_makes_the_bytes_seen_in_its_programs(void **state)
{
	static const struct {
		enum psk_derivation derivation;
		const char *version_0, *digest, *version_1; /* keys in hex */
	} vectors[] = {
		{PSK_RFC8446, "a4f5f3caf8a844fddfa2162752a960ba822f8dd301a284679b4e8453fc90239f",
		 "RS6A9acxJZcl/xPdUsIUIBTqK7zQWgEaBU/idApk3Xk=",
		 "855359deb78f0a99e23830315c910ceb725aeadd7ef81919cc21ff8fe418eaaf"},
		{PSK_COMPAT_2_11,
		 "4df8c5589afc5763cb1b7ecdbff781cd74843a47c6e604ed1f25868942a96b63",
		 "mvY6h4XOUk/2+OEeWEocCqyPM9F2l9jgrdHTKcJCKzA=",
		 "71f35d9057e8bc1580305e9c2b4952374bd7f2a0e0da9b8dc242fe400d6ac808"},
		{PSK_COMPAT_2_7, "4df8c5589afc5763cb1b7ecdbff781cd74843a47c6e604ed1f25868942a96b63",
		 "mvY6h4XOUk/2+OEeWEocCqyPM9F2l9jgrdHTKcJCKzA=",
		 "ccf1f66b17ad7152463f0da8eb424af36716e5c8bf5df153882940a61b189d1a"},
		{PSK_COMPAT_2_7_OPENSSL_3_0,
		 "e92f708b3c6c7e1e17e44d3675908a1b663d18f02008acdceeef3420e369da14",
		 "g8HjyYDPAbZ1dYsCMmpNKZRsL2yg5R+kaZL22j5VxHo=",
		 "16d9dfcbfdeece16a921e29f1a1bf72af9f4ae50b8c11235da9b210f9494b4ca"},
		{PSK_COMPAT_2_11_OPENSSL_3_0,
		 "e92f708b3c6c7e1e17e44d3675908a1b663d18f02008acdceeef3420e369da14",
		 "g8HjyYDPAbZ1dYsCMmpNKZRsL2yg5R+kaZL22j5VxHo=",
		 "334aef32f7bb6ad337231cd404e48b803e7c5f280307a08be6fb7d61255a07c0"},
	};
	g_auto(interchange) ic = {0};

	assert_int_equal(interchange_parse(SEEN_KEY, &ic, NULL), 0);
	for (size_t i = 0; i < G_N_ELEMENTS(vectors); i++) {
		for (int version = 0; version <= 1; version++) {
			const struct psk_recipe recipe = {HOST, "nqn.io-1", version,
							  vectors[i].derivation};
			g_autofree char *identity = NULL, *hex = NULL;
			g_autofree char *expected = g_strdup_printf("NVMe%dR01 " HOST
								    " nqn.io-1%s%s",
								    version, version ? " " : "",
								    version ? vectors[i].digest
									    : "");
			g_auto(secret) psk = SECRET_INIT;

			assert_int_equal(psk_derive(&ic, &recipe, &identity, &psk), 0);
			assert_string_equal(identity, expected);
			hex = to_hex(&psk);
			assert_string_equal(hex,
					    version ? vectors[i].version_1 : vectors[i].version_0);
		}
	}
}

static void an_era_is_found_by_its_name_only(void **state)
{
	for (int i = PSK_RFC8446 + 1; i < PSK_DERIVATIONS; i++)
		assert_int_equal(psk_derivation_find(psk_derivation_era(i)), i);
	assert_int_equal(psk_derivation_find("2.1"), -EINVAL);
	assert_int_equal(psk_derivation_find("2.11-openssl"), -EINVAL);
	assert_int_equal(psk_derivation_find(""), -EINVAL);
}

static void digest_is_that_of_the_published_example(void **state)
{
	static const uint8_t key[32] = {0x55, 0x12, 0xDB, 0xB6, 0x73, 0x7D, 0x01, 0x06,
					0xF6, 0x59, 0x75, 0xB7, 0x73, 0xDF, 0xB0, 0x11,
					0xFF, 0xC3, 0x44, 0xBC, 0xF4, 0x42, 0xE2, 0xDD,
					0x6D, 0x8B, 0xC4, 0x87, 0x0B, 0x5D, 0x5B, 0x03};
	struct psk_recipe recipe = {"nqn.psk-test-host", "nqn.psk-test-subsys", 1, PSK_RFC8446};
	g_auto(interchange) ic = {.version = 1, .hash = PSK_HASH_SHA256};

	secret_set(&ic.key, key, sizeof(key));
	derives(&ic, &recipe,
		"NVMe1R01 nqn.psk-test-host nqn.psk-test-subsys "
		"iSbjiStwJ/1TrTvDlt2fjFmzvsytOJelidNnA+X5lEU=",
		NULL);
	recipe.derivation = PSK_COMPAT_2_11;
	derives(&ic, &recipe,
		"NVMe1R01 nqn.psk-test-host nqn.psk-test-subsys "
		"66GuqV08TsAGII39teWUfwQwizjv06Jy8jOcX3NAAzM=",
		NULL);
}

static void version_0_has_no_digest(void **state)
{
	const struct psk_recipe recipe = {"nqn.h", "nqn.s", 0, PSK_RFC8446};
	g_auto(interchange) ic = {0};

	assert_int_equal(interchange_parse(ZERO_KEY, &ic, NULL), 0);
	derives(&ic, &recipe, "NVMe0R01 nqn.h nqn.s", NULL);
}

static void without_transform_the_length_tells_the_hash(void **state)
{
	const struct psk_recipe recipe = {"nqn.h", "nqn.s", 0, PSK_RFC8446};
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
	const struct psk_recipe recipe = {"nqn.h", "nqn.s", 0, PSK_RFC8446};
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
	struct psk_recipe recipe = {host, host, 0, PSK_RFC8446};
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
		cmocka_unit_test(every_derivation_makes_the_bytes_seen_in_its_programs),
		cmocka_unit_test(an_era_is_found_by_its_name_only),
		cmocka_unit_test(digest_is_that_of_the_published_example),
		cmocka_unit_test(version_0_has_no_digest),
		cmocka_unit_test(without_transform_the_length_tells_the_hash),
		cmocka_unit_test(transform_makes_a_difference),
		cmocka_unit_test(identity_too_long_for_the_label_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
