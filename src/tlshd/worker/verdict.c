// SPDX-License-Identifier: GPL-2.0-or-later
/* What GnuTLS's error, an alert and the side make of a handshake: a pure function. */
#include "tlshd/worker/verdict.h"

#include <gnutls/gnutls.h>

static enum cause cause_of_alert(enum handshake_side side, int received)
{
	switch (received) {
	case GNUTLS_A_UNKNOWN_PSK_IDENTITY:
		return CAUSE_PEER_KNOWS_NO_KEY;
	case GNUTLS_A_DECRYPT_ERROR:
		return CAUSE_PEER_HAS_OTHER_KEY;
	case GNUTLS_A_ILLEGAL_PARAMETER:
		/* OpenSSL's and GnuTLS's word for a wrong binder, and for much else. */
		return side == HANDSHAKE_CLIENT ? CAUSE_PEER_REFUSES_PARAMETER : CAUSE_PEER_ALERT;
	case GNUTLS_A_HANDSHAKE_FAILURE:
		return CAUSE_PEER_FINDS_NOTHING_IN_COMMON;
	case GNUTLS_A_PROTOCOL_VERSION:
		return CAUSE_NO_TLS13;
	case GNUTLS_A_BAD_CERTIFICATE:
	case GNUTLS_A_UNSUPPORTED_CERTIFICATE:
	case GNUTLS_A_CERTIFICATE_REVOKED:
	case GNUTLS_A_CERTIFICATE_EXPIRED:
	case GNUTLS_A_CERTIFICATE_UNKNOWN:
	case GNUTLS_A_ACCESS_DENIED:
		return CAUSE_PEER_REFUSES_CERTIFICATE;
	case GNUTLS_A_UNKNOWN_CA:
		return CAUSE_PEER_KNOWS_NO_ISSUER;
	case GNUTLS_A_CERTIFICATE_REQUIRED:
		return CAUSE_PEER_WANTS_CERTIFICATE;
	case GNUTLS_A_INTERNAL_ERROR:
		return side == HANDSHAKE_CLIENT ? CAUSE_PEER_INTERNAL_ERROR : CAUSE_PEER_ALERT;
	default:
		return CAUSE_PEER_ALERT;
	}
}

/* Alerts that are about a key where there is one. */
static enum cause cause_of_certified_alert(enum handshake_side side, int received)
{
	switch (received) {
	case GNUTLS_A_DECRYPT_ERROR: /* our signature */
		return CAUSE_PEER_REFUSES_CERTIFICATE;
	case GNUTLS_A_UNKNOWN_PSK_IDENTITY:
	case GNUTLS_A_ILLEGAL_PARAMETER:
	case GNUTLS_A_INTERNAL_ERROR:
		return CAUSE_PEER_ALERT;
	default:
		return cause_of_alert(side, received);
	}
}

static enum cause cause_of_error(enum handshake_side side, int err)
{
	switch (err) {
	case GNUTLS_E_SESSION_EOF: /* a close_notify, which is no error */
	case GNUTLS_E_PREMATURE_TERMINATION:
		return CAUSE_PEER_CLOSED;
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
		return CAUSE_CONNECTION_BROKE;
	case GNUTLS_E_NO_CIPHER_SUITES:
	case GNUTLS_E_NO_COMMON_KEY_SHARE:
	case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
	case GNUTLS_E_NO_PRIORITIES_WERE_SET:
		return CAUSE_NOTHING_IN_COMMON;
	case GNUTLS_E_TOO_MANY_EMPTY_PACKETS: /* so it calls a flood of ChangeCipherSpec */
	case GNUTLS_E_UNEXPECTED_PACKET:
	case GNUTLS_E_UNEXPECTED_HANDSHAKE_PACKET:
		return CAUSE_UNEXPECTED_MESSAGE;
	case GNUTLS_E_UNKNOWN_CIPHER_SUITE: /* a server chooses among what we have offered */
		return side == HANDSHAKE_SERVER ? CAUSE_NOTHING_IN_COMMON : CAUSE_ILLEGAL_PARAMETER;
	case GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER:
		return CAUSE_ILLEGAL_PARAMETER;
	case GNUTLS_E_RECEIVED_ILLEGAL_EXTENSION:
		/* Of a client's, unsupported_extension is for those that were not asked for. */
		return side == HANDSHAKE_SERVER ? CAUSE_ILLEGAL_PARAMETER : CAUSE_TLS_ERROR;
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
		return CAUSE_NO_TLS13;
	case GNUTLS_E_PK_SIG_VERIFY_FAILED: /* of a CertificateVerify: chains have their judge */
		return CAUSE_BAD_SIGNATURE;
	case GNUTLS_E_MEMORY_ERROR:
		return CAUSE_NO_MEMORY;
	default:
		return CAUSE_TLS_ERROR;
	}
}

struct verdict verdict_of(enum handshake_side side, bool certified, int err, int received)
{
	struct verdict v = {CAUSE_TLS_ERROR, CAUSE_NO_ALERT};
	int level;

	if (err == GNUTLS_E_FATAL_ALERT_RECEIVED) {
		v.cause = certified ? cause_of_certified_alert(side, received)
				    : cause_of_alert(side, received);
		return v;
	}
	v.cause = cause_of_error(side, err);
	v.alert = cause_info(v.cause)->alert;
	if (v.cause == CAUSE_TLS_ERROR) {
		v.alert = gnutls_error_to_alert(err, &level);
		if (v.alert < 0)
			v.alert = CAUSE_NO_ALERT;
	}
	return v;
}
