/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hash of a handshake's messages, which a signature proves (RFC 8446, 4.4.1). */
#pragma once

#include <stdint.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "netlink/upcall.h"

/**
 * struct transcript - the messages so far, in both hashes: which one it is, only the ServerHello tells.
 *
 * GnuTLS has all this, but shows an external key only the hash that a signature algorithm makes of it.
 * The signer is to know what it signs, so it is given the transcript's own hash, and this is where that
 * comes from.
 */
struct transcript {
	gnutls_hash_hd_t hashes[2];
};

/** transcript_init() - no message yet. Return: 0 or -ENOMEM. */
int transcript_init(struct transcript *t);
void transcript_clear(struct transcript *t);

/**
 * transcript_add() - a handshake message has been sent or received.
 * @type: as GnuTLS's hooks say it, which have a number of their own for HelloRetryRequest
 * @body: without its header
 */
void transcript_add(struct transcript *t, unsigned int type, const gnutls_datum_t *body);

/**
 * transcript_find() - the transcript's hash of which a signature is to be made.
 * @side: of the signature
 * @algorithm: of the signature
 * @digest: what GnuTLS wants to have signed: the content of a CertificateVerify in the algorithm's hash
 * @hash: set to the transcript's hash that leads to it
 *
 * Return: its length; -EINVAL when neither of the two does, which would be a bug.
 */
int transcript_find(const struct transcript *t, enum handshake_side side,
		    gnutls_sign_algorithm_t algorithm, const gnutls_datum_t *digest,
		    uint8_t hash[48]);
