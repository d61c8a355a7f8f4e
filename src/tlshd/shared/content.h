/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a signature of TLS 1.3 is over, and which signatures TLS 1.3 has. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <gnutls/gnutls.h>

#include "tlshd/shared/credential.h"

#define CONTENT_PADDING 64
/* "TLS 1.3, server CertificateVerify", as long as the client's, and its NUL */
#define CONTENT_CONTEXT 34
#define CONTENT_MAX (CONTENT_PADDING + CONTENT_CONTEXT + 48)

/**
 * content_make() - what a CertificateVerify signs (RFC 8446, 4.4.3).
 * @side: who signs
 * @hash, @len: of the transcript; 32 or 48 bytes
 * @content: filled
 *
 * The signer makes it itself, and does not take it from who asks: so no key can be had to sign anything
 * else.
 *
 * Return: its length; -EINVAL for a hash of another length.
 */
int content_make(enum handshake_side side, const uint8_t *hash, size_t len,
		 uint8_t content[CONTENT_MAX]);

/** content_may_sign() - does TLS 1.3 sign by @algorithm with a key of the kind @pk (4.2.3)? */
bool content_may_sign(gnutls_sign_algorithm_t algorithm, gnutls_pk_algorithm_t pk);
