// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of what a signer signs, and by which algorithms. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tlshd/shared/content.h"

static void content_is_the_one_of_rfc_8446(void **state)
{
	uint8_t hash[48], content[CONTENT_MAX];

	memset(hash, 1, sizeof(hash));
	/* The example of 4.4.3. */
	assert_int_equal(content_make(HANDSHAKE_SERVER, hash, 32, content), 64 + 33 + 1 + 32);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(content[i], 0x20);
	assert_memory_equal(content + 64, "TLS 1.3, server CertificateVerify", 34);
	assert_memory_equal(content + 98, hash, 32);
}

static void each_side_has_a_content_of_its_own(void **state)
{
	uint8_t hash[48] = {0}, server[CONTENT_MAX], client[CONTENT_MAX];

	assert_int_equal(content_make(HANDSHAKE_SERVER, hash, 48, server), CONTENT_MAX);
	assert_int_equal(content_make(HANDSHAKE_CLIENT, hash, 48, client), CONTENT_MAX);
	assert_memory_not_equal(server, client, CONTENT_MAX);
	assert_memory_equal(client + 64, "TLS 1.3, client CertificateVerify", 34);
}

static void hash_that_no_cipher_suite_has_is_refused(void **state)
{
	uint8_t hash[64] = {0}, content[CONTENT_MAX];
	const size_t lengths[] = {0, 1, 20, 31, 33, 47, 49, 64, SIZE_MAX};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		assert_int_equal(content_make(HANDSHAKE_SERVER, hash, lengths[i], content),
				 -EINVAL);
}

static void algorithms_of_tls_1_3_fit_their_keys(void **state)
{
	assert_true(content_may_sign(GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, GNUTLS_PK_ECDSA));
	assert_true(content_may_sign(GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, GNUTLS_PK_RSA));
	assert_true(content_may_sign(GNUTLS_SIGN_RSA_PSS_SHA256, GNUTLS_PK_RSA_PSS));
	assert_true(content_may_sign(GNUTLS_SIGN_EDDSA_ED25519, GNUTLS_PK_EDDSA_ED25519));
	assert_false(content_may_sign(GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, GNUTLS_PK_RSA));
	assert_false(content_may_sign(GNUTLS_SIGN_EDDSA_ED25519, GNUTLS_PK_ECDSA));
}

static void algorithms_of_certificates_and_older_versions_are_refused(void **state)
{
	assert_false(content_may_sign(GNUTLS_SIGN_RSA_SHA256, GNUTLS_PK_RSA));
	assert_false(content_may_sign(GNUTLS_SIGN_RSA_SHA1, GNUTLS_PK_RSA));
	assert_false(content_may_sign(GNUTLS_SIGN_ECDSA_SHA1, GNUTLS_PK_ECDSA));
	assert_false(content_may_sign(GNUTLS_SIGN_RSA_RAW, GNUTLS_PK_RSA));
	assert_false(content_may_sign(GNUTLS_SIGN_UNKNOWN, GNUTLS_PK_RSA));
	assert_false(content_may_sign((gnutls_sign_algorithm_t)12345, GNUTLS_PK_RSA));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_is_the_one_of_rfc_8446),
		cmocka_unit_test(each_side_has_a_content_of_its_own),
		cmocka_unit_test(hash_that_no_cipher_suite_has_is_refused),
		cmocka_unit_test(algorithms_of_tls_1_3_fit_their_keys),
		cmocka_unit_test(algorithms_of_certificates_and_older_versions_are_refused),
	};

	return cmocka_run_group_tests_name("content", tests, NULL, NULL);
}
