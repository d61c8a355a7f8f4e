/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the files and URLs that are configured to what workers and signers use, or a cause. */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "tlshd/shared/outcome.h"

/**
 * struct load_key - a private key with the certificate that it belongs to.
 * @key: NULL for none
 * @pk: its kind
 */
struct load_key {
	gnutls_privkey_t key;
	gnutls_pk_algorithm_t pk;
};

/**
 * load_trust() - are these certificates, PEM?
 * @why: set on failure, in all of these functions
 *
 * Return: 0 or -EPROTO.
 */
int load_trust(const gnutls_datum_t *pem, struct outcome *why);

/** load_system_trust() - the system's store as a sealed file. Return: its descriptor, or -EPROTO. */
int load_system_trust(struct outcome *why);

/**
 * load_crl() - the index of revoked.h, as a sealed file.
 * @what: the path, for the log, which is told of outdated lists
 *
 * Return: its descriptor, or -EPROTO.
 */
int load_crl(const gnutls_datum_t *pem, const char *what, struct outcome *why);

/**
 * load_certificate() - the first certificate of a file, whose others are its chain.
 * @what: the path, for the log, which is told of one that has expired, or does so soon
 * @out: set on success, to be freed by gnutls_pubkey_deinit()
 *
 * Return: 0 or -EPROTO.
 */
int load_certificate(const gnutls_datum_t *pem, const char *what, gnutls_pubkey_t *out,
		     struct outcome *why);

/**
 * load_key() - a private key.
 * @pem: the file's content; empty for a URL
 * @url: of a token's key
 * @certificate: the public key that it must fit; NULL for none
 * @out: set on success, to be freed by gnutls_privkey_deinit()
 *
 * Return: 0 or -EPROTO.
 */
int load_key(const gnutls_datum_t *pem, const char *url, gnutls_pubkey_t certificate,
	     struct load_key *out, struct outcome *why);

/**
 * load_der_key() - the private key of a mount, DER: PKCS #8, or the older form of its kind.
 * @out: as for load_key(); whether it fits its certificate is the peer's to find out
 *
 * Return: 0 or -EPROTO.
 */
int load_der_key(const gnutls_datum_t *der, struct load_key *out, struct outcome *why);
