/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The desk of the signer, where a worker asks for the signature of a handshake and waits for it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <gnutls/gnutls.h>

/**
 * desk_sign() - have a CertificateVerify signed.
 * @sock: the desk, -1 for none
 * @job: the broker's number of the job
 * @pq: by the key of the certificate for peers that can do ML-DSA
 * @algorithm: how
 * @hash: of the transcript; all else that is signed is the signer's to say (RFC 8446, 4.4.3)
 * @signature: set on success, to be freed by gnutls_free()
 *
 * The worker waits for the answer: GnuTLS knows no signature that comes later.
 *
 * Return: 0; -ETIMEDOUT or -EPIPE when the signer does not answer; another negative errno.
 */
int desk_sign(int sock, uint32_t job, bool pq, gnutls_sign_algorithm_t algorithm,
	      const gnutls_datum_t *hash, gnutls_datum_t *signature);
