// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of what becomes of GnuTLS's errors and of a peer's alerts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <gnutls/gnutls.h>

#include "tlshd/worker/verdict.h"

static void each_error_has_its_cause_and_its_alert(void **state)
{
	static const struct {
		int err;
		enum handshake_side side;
		enum cause cause;
		int alert;
	} rows[] = {
		{GNUTLS_E_SESSION_EOF, HANDSHAKE_SERVER, CAUSE_PEER_CLOSED, CAUSE_NO_ALERT},
		{GNUTLS_E_PREMATURE_TERMINATION, HANDSHAKE_CLIENT, CAUSE_PEER_CLOSED,
		 CAUSE_NO_ALERT},
		{GNUTLS_E_PULL_ERROR, HANDSHAKE_SERVER, CAUSE_CONNECTION_BROKE, CAUSE_NO_ALERT},
		{GNUTLS_E_PUSH_ERROR, HANDSHAKE_CLIENT, CAUSE_CONNECTION_BROKE, CAUSE_NO_ALERT},
		{GNUTLS_E_NO_CIPHER_SUITES, HANDSHAKE_SERVER, CAUSE_NOTHING_IN_COMMON,
		 GNUTLS_A_HANDSHAKE_FAILURE},
		{GNUTLS_E_NO_COMMON_KEY_SHARE, HANDSHAKE_SERVER, CAUSE_NOTHING_IN_COMMON,
		 GNUTLS_A_HANDSHAKE_FAILURE},
		{GNUTLS_E_TOO_MANY_EMPTY_PACKETS, HANDSHAKE_SERVER, CAUSE_UNEXPECTED_MESSAGE,
		 GNUTLS_A_UNEXPECTED_MESSAGE},
		{GNUTLS_E_UNEXPECTED_PACKET, HANDSHAKE_CLIENT, CAUSE_UNEXPECTED_MESSAGE,
		 GNUTLS_A_UNEXPECTED_MESSAGE},
		{GNUTLS_E_UNEXPECTED_HANDSHAKE_PACKET, HANDSHAKE_SERVER, CAUSE_UNEXPECTED_MESSAGE,
		 GNUTLS_A_UNEXPECTED_MESSAGE},
		{GNUTLS_E_UNKNOWN_CIPHER_SUITE, HANDSHAKE_SERVER, CAUSE_NOTHING_IN_COMMON,
		 GNUTLS_A_HANDSHAKE_FAILURE},
		{GNUTLS_E_UNKNOWN_CIPHER_SUITE, HANDSHAKE_CLIENT, CAUSE_ILLEGAL_PARAMETER,
		 GNUTLS_A_ILLEGAL_PARAMETER},
		/* a wrong binder never gets as far as GnuTLS */
		{GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER, HANDSHAKE_SERVER, CAUSE_ILLEGAL_PARAMETER,
		 GNUTLS_A_ILLEGAL_PARAMETER},
		{GNUTLS_E_RECEIVED_ILLEGAL_EXTENSION, HANDSHAKE_SERVER, CAUSE_ILLEGAL_PARAMETER,
		 GNUTLS_A_ILLEGAL_PARAMETER},
		{GNUTLS_E_RECEIVED_ILLEGAL_EXTENSION, HANDSHAKE_CLIENT, CAUSE_TLS_ERROR,
		 GNUTLS_A_UNSUPPORTED_EXTENSION},
		{GNUTLS_E_UNSUPPORTED_VERSION_PACKET, HANDSHAKE_CLIENT, CAUSE_NO_TLS13,
		 GNUTLS_A_PROTOCOL_VERSION},
		{GNUTLS_E_PK_SIG_VERIFY_FAILED, HANDSHAKE_CLIENT, CAUSE_BAD_SIGNATURE,
		 GNUTLS_A_DECRYPT_ERROR},
		{GNUTLS_E_MEMORY_ERROR, HANDSHAKE_SERVER, CAUSE_NO_MEMORY, GNUTLS_A_INTERNAL_ERROR},
		{GNUTLS_E_DECRYPTION_FAILED, HANDSHAKE_SERVER, CAUSE_TLS_ERROR,
		 GNUTLS_A_BAD_RECORD_MAC},
		{GNUTLS_E_RECORD_OVERFLOW, HANDSHAKE_CLIENT, CAUSE_TLS_ERROR,
		 GNUTLS_A_RECORD_OVERFLOW},
		{GNUTLS_E_ERROR_IN_FINISHED_PACKET, HANDSHAKE_SERVER, CAUSE_TLS_ERROR,
		 GNUTLS_A_DECRYPT_ERROR},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = verdict_of(rows[i].side, false, rows[i].err, -1);

		if (v.cause != rows[i].cause || v.alert != rows[i].alert)
			fail_msg("%s: %s, alert %d", gnutls_strerror_name(rows[i].err),
				 cause_info(v.cause)->id, v.alert);
	}
}

static void a_peers_alert_has_a_cause_and_no_answer(void **state)
{
	static const struct {
		int alert;
		enum cause client, server;
	} rows[] = {
		{GNUTLS_A_UNKNOWN_PSK_IDENTITY, CAUSE_PEER_KNOWS_NO_KEY, CAUSE_PEER_KNOWS_NO_KEY},
		{GNUTLS_A_DECRYPT_ERROR, CAUSE_PEER_HAS_OTHER_KEY, CAUSE_PEER_HAS_OTHER_KEY},
		{GNUTLS_A_ILLEGAL_PARAMETER, CAUSE_PEER_REFUSES_PARAMETER, CAUSE_PEER_ALERT},
		{GNUTLS_A_HANDSHAKE_FAILURE, CAUSE_PEER_FINDS_NOTHING_IN_COMMON,
		 CAUSE_PEER_FINDS_NOTHING_IN_COMMON},
		{GNUTLS_A_PROTOCOL_VERSION, CAUSE_NO_TLS13, CAUSE_NO_TLS13},
		{GNUTLS_A_INTERNAL_ERROR, CAUSE_PEER_INTERNAL_ERROR, CAUSE_PEER_ALERT},
		{GNUTLS_A_DECODE_ERROR, CAUSE_PEER_ALERT, CAUSE_PEER_ALERT},
		{255, CAUSE_PEER_ALERT, CAUSE_PEER_ALERT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict c = verdict_of(HANDSHAKE_CLIENT, false,
					      GNUTLS_E_FATAL_ALERT_RECEIVED, rows[i].alert);
		struct verdict s = verdict_of(HANDSHAKE_SERVER, false,
					      GNUTLS_E_FATAL_ALERT_RECEIVED, rows[i].alert);

		assert_int_equal(c.cause, rows[i].client);
		assert_int_equal(s.cause, rows[i].server);
		assert_int_equal(c.alert, CAUSE_NO_ALERT);
		assert_int_equal(s.alert, CAUSE_NO_ALERT);
	}
}

/* Whoever mounts with certificates has no pre-shared key to look for. */
static void no_alert_is_about_a_key_where_there_is_none(void **state)
{
	static const enum cause of_keys[] = {CAUSE_PEER_KNOWS_NO_KEY, CAUSE_PEER_HAS_OTHER_KEY,
					     CAUSE_PEER_REFUSES_PARAMETER,
					     CAUSE_PEER_INTERNAL_ERROR};

	for (int alert = 0; alert < 256; alert++)
		for (int side = HANDSHAKE_CLIENT; side <= HANDSHAKE_SERVER; side++) {
			struct verdict v = verdict_of((enum handshake_side)side, true,
						      GNUTLS_E_FATAL_ALERT_RECEIVED, alert);

			for (size_t i = 0; i < sizeof(of_keys) / sizeof(of_keys[0]); i++)
				assert_int_not_equal(v.cause, of_keys[i]);
			assert_int_equal(v.alert, CAUSE_NO_ALERT);
			if (alert == GNUTLS_A_DECRYPT_ERROR)
				assert_int_equal(v.cause, CAUSE_PEER_REFUSES_CERTIFICATE);
			if (alert == GNUTLS_A_UNKNOWN_CA)
				assert_int_equal(v.cause, CAUSE_PEER_KNOWS_NO_ISSUER);
		}
}

/* The NVMe host never tries again after these two: no error of GnuTLS's is about a key. */
static void no_error_of_gnutls_ends_a_host_for_good(void **state)
{
	for (int err = -1; err > -2000; err--) {
		for (int side = HANDSHAKE_CLIENT; side <= HANDSHAKE_SERVER; side++) {
			struct verdict v;

			if (err == GNUTLS_E_FATAL_ALERT_RECEIVED)
				continue;
			v = verdict_of((enum handshake_side)side, false, err, -1);
			assert_true(cause_is_of_worker(v.cause));
			assert_int_not_equal(cause_info(v.cause)->status, EKEYREJECTED);
			assert_int_not_equal(cause_info(v.cause)->status, ENOKEY);
			assert_int_not_equal(cause_info(v.cause)->status, 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_error_has_its_cause_and_its_alert),
		cmocka_unit_test(a_peers_alert_has_a_cause_and_no_answer),
		cmocka_unit_test(no_alert_is_about_a_key_where_there_is_none),
		cmocka_unit_test(no_error_of_gnutls_ends_a_host_for_good),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
