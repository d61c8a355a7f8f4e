// SPDX-License-Identifier: GPL-2.0-or-later
/* What a signature of TLS 1.3 is over, and which signatures TLS 1.3 has. */
#include "tlshd/shared/content.h"

#include <errno.h>
#include <string.h>
#include <glib.h>

static const char contexts[CREDENTIAL_OWNERS][CONTENT_CONTEXT] = {
	"TLS 1.3, client CertificateVerify", "TLS 1.3, server CertificateVerify"};

/* Those of 4.2.3 that a CertificateVerify may have, by name: older headers do not have them all. */
static const char *const algorithms[] = {
	"ECDSA-SECP256R1-SHA256",
	"ECDSA-SECP384R1-SHA384",
	"ECDSA-SECP521R1-SHA512",
	"RSA-PSS-RSAE-SHA256",
	"RSA-PSS-RSAE-SHA384",
	"RSA-PSS-RSAE-SHA512",
	"RSA-PSS-SHA256",
	"RSA-PSS-SHA384",
	"RSA-PSS-SHA512",
	"EdDSA-Ed25519",
	"EdDSA-Ed448",
	"ML-DSA-44",
	"ML-DSA-65",
	"ML-DSA-87",
};

int content_make(enum handshake_side side, const uint8_t *hash, size_t len,
		 uint8_t content[CONTENT_MAX])
{
	if (len != 32 && len != 48)
		return -EINVAL;
	memset(content, ' ', CONTENT_PADDING);
	memcpy(content + CONTENT_PADDING, contexts[credential_owner(side)], CONTENT_CONTEXT);
	memcpy(content + CONTENT_PADDING + CONTENT_CONTEXT, hash, len);
	return (int)(CONTENT_PADDING + CONTENT_CONTEXT + len);
}

bool content_may_sign(gnutls_sign_algorithm_t algorithm, gnutls_pk_algorithm_t pk)
{
	const char *name = gnutls_sign_get_name(algorithm);

	for (size_t i = 0; name && i < G_N_ELEMENTS(algorithms); i++)
		if (strcmp(algorithms[i], name) == 0)
			return gnutls_sign_supports_pk_algorithm(algorithm, pk) != 0;
	return false;
}
