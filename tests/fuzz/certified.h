/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The credentials of a session under the fuzzer, and a signer in the same process. */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include "certificates.h"
#include "tlshd/shared/content.h"
#include "tlshd/shared/memfile.h"
#include "tlshd/worker/auth-x509.h"
#include "tlshd/worker/desk.h"

static gnutls_datum_t peer_der;
static gnutls_privkey_t own_key;
/* Of the index of revoked.h, nobody's. */
static uint8_t revoked[64];

int __wrap_desk_sign(int sock, uint32_t job, bool pq, gnutls_sign_algorithm_t algorithm,
		     const gnutls_datum_t *hash, gnutls_datum_t *signature);

/* In place of the desk: the signer's own rules, see make_signature() in signer.c. */
int __wrap_desk_sign(int sock, uint32_t job, bool pq, gnutls_sign_algorithm_t algorithm,
		     const gnutls_datum_t *hash, gnutls_datum_t *signature)
{
	uint8_t bytes[CONTENT_MAX];
	int len = content_make(SIDE, hash->data, hash->size, bytes);
	gnutls_datum_t content = {bytes, (unsigned int)len};

	if (len < 0 || !content_may_sign(algorithm, GNUTLS_PK_ECDSA))
		abort(); /* for this the broker would end the worker */
	return gnutls_privkey_sign_data2(own_key, algorithm, 0, &content, signature) < 0 ? -EIO : 0;
}

static void certified_take(struct x509 *x, uint32_t kind, const char *pem)
{
	const struct ipc_credential c = {.side = SIDE, .kind = kind};

	x509_take(x, &c, memfile_of_bytes(pem, strlen(pem)));
}

static void certified_init(struct x509 *x)
{
	gnutls_datum_t own = {(void *)OWN_KEY, sizeof(OWN_KEY) - 1};
	gnutls_datum_t peer = {(void *)PEER_PEM, sizeof(PEER_PEM) - 1};

	certified_take(x, CREDENTIAL_TRUST, ISSUER_PEM);
	certified_take(x, CREDENTIAL_CERTIFICATE, OWN_PEM);
	x->owners[credential_owner(SIDE)].revoked = (gnutls_datum_t){revoked, sizeof(revoked)};
	if (gnutls_pem_base64_decode2("CERTIFICATE", &peer, &peer_der) < 0 ||
	    gnutls_privkey_init(&own_key) < 0 ||
	    gnutls_privkey_import_x509_raw(own_key, &own, GNUTLS_X509_FMT_PEM, NULL, 0) < 0)
		abort();
}

/* Is the certificate that the issuer has made among what was said? */
static bool certified_has_shown(const GByteArray *transcript)
{
	return memmem(transcript->data, transcript->len, peer_der.data, peer_der.size) != NULL;
}
