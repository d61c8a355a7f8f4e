// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of NVMe identities and their parts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/identity.h"

#define HOST "nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36"
#define DIGEST "4IOYNS/rg/PX4rbiebj0LCEBFQ1X5IMI1GlO5s/yS7w="

static void identity_of_version_1_is_taken_apart(void **state)
{
	g_auto(nvme_identity) id = {0};
	g_autofree char *text = NULL;

	assert_int_equal(nvme_identity_parse("NVMe1R01 " HOST " nqn.io-1 " DIGEST, &id, NULL), 0);
	assert_int_equal(id.version, 1);
	assert_false(id.generated);
	assert_int_equal(id.hash, PSK_HASH_SHA256);
	assert_string_equal(id.hostnqn, HOST);
	assert_string_equal(id.subsysnqn, "nqn.io-1");
	assert_string_equal(id.digest, DIGEST);
	text = nvme_identity_format(&id);
	assert_string_equal(text, "NVMe1R01 " HOST " nqn.io-1 " DIGEST);
}

static void generated_identity_of_version_0_is_taken_apart(void **state)
{
	g_auto(nvme_identity) id = {0};

	assert_int_equal(nvme_identity_parse("NVMe0G02 nqn.a nqn.b", &id, NULL), 0);
	assert_int_equal(id.version, 0);
	assert_true(id.generated);
	assert_int_equal(id.hash, PSK_HASH_SHA384);
	assert_null(id.digest);
}

static void malformed_identity_is_refused_with_its_reason(void **state)
{
	static const char *const bad[] = {
		"",
		"NVMe",
		"NVMe0R01",
		"NVMe0X01 nqn.a nqn.b",
		"NVMe2R01 nqn.a nqn.b",
		"NVMe0R00 nqn.a nqn.b",
		"NVMe0R03 nqn.a nqn.b",
		"NVMe0R01 nqn.a",
		"NVMe0R01 nqn.a nqn.b extra",
		"NVMe0R01 nqn.a  nqn.b",
		"NVMe1R01 nqn.a nqn.b",
		"NVMe1R01 nqn.a nqn.b !!!",
		("NVMe1R02 nqn.a nqn.b " DIGEST), /* a digest of the other hash */
		"NVMe0R01 iqn.a nqn.b",
	};

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_auto(nvme_identity) id = {0};
		const char *why = NULL;

		assert_int_equal(nvme_identity_parse(bad[i], &id, &why), -EINVAL);
		assert_non_null(why);
		assert_null(id.hostnqn);
	}
}

static void hash_is_read_from_the_identity(void **state)
{
	assert_int_equal(identity_hash("NVMe0R01 a b"), PSK_HASH_SHA256);
	assert_int_equal(identity_hash("NVMe1R02 a b c"), PSK_HASH_SHA384);
	assert_int_equal(identity_hash("NVMe1G01 a b c"), PSK_HASH_SHA256);
	assert_int_equal(identity_hash("NVMe1G02 a b c"), PSK_HASH_SHA384);
	assert_int_equal(identity_hash("somebody"), PSK_HASH_NONE);
	assert_int_equal(identity_hash("NVMe0R03 a b"), -EINVAL);
}

static void nqn_of_224_bytes_is_refused_and_of_223_taken(void **state)
{
	char nqn[NQN_MAX + 2] = "nqn.";

	memset(nqn + 4, 'x', NQN_MAX - 4);
	assert_null(nqn_check(nqn));
	nqn[NQN_MAX] = 'x';
	assert_non_null(nqn_check(nqn));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity_of_version_1_is_taken_apart),
		cmocka_unit_test(generated_identity_of_version_0_is_taken_apart),
		cmocka_unit_test(malformed_identity_is_refused_with_its_reason),
		cmocka_unit_test(hash_is_read_from_the_identity),
		cmocka_unit_test(nqn_of_224_bytes_is_refused_and_of_223_taken),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
