// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the hash of a handshake's messages. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <glib.h>

#include "tlshd/shared/content.h"
#include "tlshd/worker/transcript.h"

static struct transcript t;
static GByteArray *wire; /* the messages as they went over the network */

static int set_up(void **state)
{
	wire = g_byte_array_new();
	return transcript_init(&t);
}

static int tear_down(void **state)
{
	transcript_clear(&t);
	g_byte_array_unref(wire);
	return 0;
}

static void put(uint8_t type, const void *body, size_t len)
{
	const uint8_t header[] = {type, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

	g_byte_array_append(wire, header, sizeof(header));
	g_byte_array_append(wire, body, (guint)len);
}

static void add(unsigned int type, const char *body)
{
	const gnutls_datum_t message = {(void *)(uintptr_t)body, (unsigned int)strlen(body)};

	transcript_add(&t, type, &message);
}

/* Is a signature by @algorithm over what is on the wire found, as one over its hash by @of? */
static void assert_found(enum handshake_side side, gnutls_sign_algorithm_t algorithm,
			 gnutls_digest_algorithm_t of)
{
	size_t len = gnutls_hash_get_len(of);
	uint8_t hash[48], content[CONTENT_MAX], bytes[64], found[48];
	gnutls_digest_algorithm_t made_by = gnutls_sign_get_hash_algorithm(algorithm);
	gnutls_datum_t digest = {bytes, gnutls_hash_get_len(made_by)};
	int n;

	gnutls_hash_fast(of, wire->data, wire->len, hash);
	n = content_make(side, hash, len, content);
	gnutls_hash_fast(made_by, content, (size_t)n, bytes);
	assert_int_equal(transcript_find(&t, side, algorithm, &digest, found), len);
	assert_memory_equal(found, hash, len);
	/* nothing of the other side's */
	side = side == HANDSHAKE_CLIENT ? HANDSHAKE_SERVER : HANDSHAKE_CLIENT;
	assert_int_equal(transcript_find(&t, side, algorithm, &digest, found), -EINVAL);
}

static const struct {
	gnutls_sign_algorithm_t algorithm;
	gnutls_digest_algorithm_t of;
} pairs[] = {
	{GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, GNUTLS_DIG_SHA256},
	{GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, GNUTLS_DIG_SHA384},
	{GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, GNUTLS_DIG_SHA256},
	{GNUTLS_SIGN_ECDSA_SECP521R1_SHA512, GNUTLS_DIG_SHA384},
};

static void each_hash_is_found_for_each_algorithm(void **state)
{
	add(1, "a ClientHello");
	put(1, "a ClientHello", 13);
	add(2, "a ServerHello");
	put(2, "a ServerHello", 13);
	add(8, "");
	put(8, "", 0);
	for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
		assert_found(HANDSHAKE_SERVER, pairs[i].algorithm, pairs[i].of);
		assert_found(HANDSHAKE_CLIENT, pairs[i].algorithm, pairs[i].of);
	}
}

/* RFC 8446, 4.4.1; each of the two hashes has it in its own way */
static void first_hello_is_there_by_its_hash_after_a_second_one(void **state)
{
	static const gnutls_digest_algorithm_t hashes[] = {GNUTLS_DIG_SHA256, GNUTLS_DIG_SHA384};

	add(1, "a ClientHello");
	add(GNUTLS_HANDSHAKE_HELLO_RETRY_REQUEST, "try again");
	add(1, "another one");
	for (size_t i = 0; i < G_N_ELEMENTS(hashes); i++) {
		uint8_t hash[48];

		g_byte_array_set_size(wire, 0);
		put(1, "a ClientHello", 13);
		gnutls_hash_fast(hashes[i], wire->data, wire->len, hash);
		g_byte_array_set_size(wire, 0);
		put(254, hash, gnutls_hash_get_len(hashes[i]));
		put(2, "try again", 9);
		put(1, "another one", 11);
		assert_found(HANDSHAKE_SERVER, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, hashes[i]);
	}
}

static void what_is_on_no_wire_is_not_in_it(void **state)
{
	add(1, "a ClientHello");
	put(1, "a ClientHello", 13);
	add(GNUTLS_HANDSHAKE_CLIENT_HELLO_V2, "as in SSL 2.0");
	assert_found(HANDSHAKE_CLIENT, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, GNUTLS_DIG_SHA256);
}

static void digest_of_anything_else_is_not_found(void **state)
{
	uint8_t bytes[32] = {0}, found[48];
	gnutls_datum_t digest = {bytes, sizeof(bytes)};

	add(1, "a ClientHello");
	assert_int_equal(transcript_find(&t, HANDSHAKE_CLIENT, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256,
					 &digest, found),
			 -EINVAL);
	digest.size = 0;
	assert_int_equal(transcript_find(&t, HANDSHAKE_CLIENT, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256,
					 &digest, found),
			 -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_hash_is_found_for_each_algorithm),
		TEST(first_hello_is_there_by_its_hash_after_a_second_one),
		TEST(what_is_on_no_wire_is_not_in_it),
		TEST(digest_of_anything_else_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
