// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the cipher policy: ours within the system's. GnuTLS reads that once, at its start. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "common/policy.h"

/* meson runs this program once without and twice with a policy; the argument says which. */
static struct policy p;

static bool has_cipher(gnutls_priority_t from, gnutls_cipher_algorithm_t cipher)
{
	const unsigned int *list;
	int n = gnutls_priority_cipher_list(from, &list);

	for (int i = 0; i < n; i++)
		if (list[i] == (unsigned int)cipher)
			return true;
	return false;
}

static bool has_group(gnutls_priority_t from, gnutls_group_t group)
{
	const unsigned int *list;
	int n = gnutls_priority_group_list(from, &list);

	for (int i = 0; i < n; i++)
		if (list[i] == (unsigned int)group)
			return true;
	return false;
}

static void only_tls_1_3_and_psk_with_a_fresh_secret_is_there(void **state)
{
	for (int hash = PSK_HASH_NONE; hash <= PSK_HASH_SHA384; hash++) {
		const unsigned int *list;

		if (!p.hash[hash])
			continue;
		assert_int_equal(gnutls_priority_protocol_list(p.hash[hash], &list), 1);
		assert_int_equal(list[0], GNUTLS_TLS1_3);
		assert_int_equal(gnutls_priority_kx_list(p.hash[hash], &list), 2);
		assert_int_equal(list[0], GNUTLS_KX_ECDHE_PSK);
		assert_int_equal(list[1], GNUTLS_KX_DHE_PSK);
	}
}

/* GnuTLS sends key shares of the first groups: an expensive one would cost every handshake. */
static void finite_fields_come_last(void **state)
{
	const unsigned int *list;
	int n = gnutls_priority_group_list(p.hash[PSK_HASH_SHA256], &list);
	bool finite = false;

	assert_int_equal(list[0], GNUTLS_GROUP_X25519);
	for (int i = 0; i < n; i++) {
		bool ffdhe = list[i] >= GNUTLS_GROUP_FFDHE2048 && list[i] <= GNUTLS_GROUP_FFDHE6144;

		assert_true(ffdhe || !finite);
		finite = ffdhe;
	}
	for (unsigned int group = GNUTLS_GROUP_FFDHE2048; group <= GNUTLS_GROUP_FFDHE6144; group++)
		assert_true(has_group(p.hash[PSK_HASH_SHA256], group));
	assert_true(has_group(p.hash[PSK_HASH_SHA256], GNUTLS_GROUP_X448));
}

static void ciphers_go_with_their_hash(void **state)
{
	gnutls_priority_t sha256 = p.hash[PSK_HASH_SHA256], sha384 = p.hash[PSK_HASH_SHA384];

	assert_true(has_cipher(sha256, GNUTLS_CIPHER_AES_128_GCM));
	assert_true(has_cipher(sha256, GNUTLS_CIPHER_CHACHA20_POLY1305));
	assert_true(has_cipher(sha256, GNUTLS_CIPHER_AES_128_CCM));
	assert_false(has_cipher(sha256, GNUTLS_CIPHER_AES_256_GCM));
	assert_true(has_cipher(sha384, GNUTLS_CIPHER_AES_256_GCM));
	assert_false(has_cipher(sha384, GNUTLS_CIPHER_AES_128_GCM));
	assert_false(has_cipher(p.hash[PSK_HASH_NONE], GNUTLS_CIPHER_AES_256_CCM));
	assert_true(has_group(sha256, GNUTLS_GROUP_X25519));
	assert_true(has_group(sha256, GNUTLS_GROUP_SECP256R1));
}

/* gnutls-disabled.conf takes AES-128-GCM away. */
static void cipher_that_the_system_disables_stays_removed(void **state)
{
	gnutls_priority_t all = p.hash[PSK_HASH_NONE];

	assert_false(has_cipher(all, GNUTLS_CIPHER_AES_128_GCM));
	assert_true(has_cipher(all, GNUTLS_CIPHER_CHACHA20_POLY1305));
	assert_true(has_cipher(all, GNUTLS_CIPHER_AES_256_GCM));
}

/* gnutls-system.conf leaves only ChaCha20 and P-256. */
static void what_the_system_does_not_name_is_not_there(void **state)
{
	gnutls_priority_t all = p.hash[PSK_HASH_NONE];

	assert_false(has_cipher(all, GNUTLS_CIPHER_AES_128_GCM));
	assert_false(has_group(all, GNUTLS_GROUP_X25519));
	assert_true(has_cipher(all, GNUTLS_CIPHER_CHACHA20_POLY1305));
	assert_true(has_group(all, GNUTLS_GROUP_SECP256R1));
	assert_false(has_group(all, GNUTLS_GROUP_X448));
	assert_false(has_group(all, GNUTLS_GROUP_FFDHE2048));
	assert_null(p.hash[PSK_HASH_SHA384]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest none[] = {
		cmocka_unit_test(only_tls_1_3_and_psk_with_a_fresh_secret_is_there),
		cmocka_unit_test(ciphers_go_with_their_hash),
		cmocka_unit_test(finite_fields_come_last),
	};
	const struct CMUnitTest disabled[] = {
		cmocka_unit_test(only_tls_1_3_and_psk_with_a_fresh_secret_is_there),
		cmocka_unit_test(cipher_that_the_system_disables_stays_removed),
	};
	const struct CMUnitTest system_only[] = {
		cmocka_unit_test(only_tls_1_3_and_psk_with_a_fresh_secret_is_there),
		cmocka_unit_test(what_the_system_does_not_name_is_not_there),
	};
	const char *policy = argc > 1 ? argv[1] : "none";
	char *why = NULL;
	int r;

	if (policy_init(&p, &why) < 0) {
		print_error("%s\n", why);
		return 1;
	}
	if (strcmp(policy, "disabled") == 0)
		r = cmocka_run_group_tests_name("priority disabled", disabled, NULL, NULL);
	else if (strcmp(policy, "system") == 0)
		r = cmocka_run_group_tests_name("priority system", system_only, NULL, NULL);
	else
		r = cmocka_run_group_tests_name("priority", none, NULL, NULL);
	policy_clear(&p);
	return r;
}
