/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The credentials that all sessions of a worker share which authenticate by certificates. */
#pragma once

#include <stdbool.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "tlshd/shared/credential.h"
#include "tlshd/shared/ipc.h"
#include "tlshd/shared/outcome.h"

/* A longer chain costs more than any honest one needs. */
#define X509_CHAIN_MAX 16

/**
 * struct x509_pair - a certificate whose private key the signer has.
 * @chain, @n: the certificate, and those up to its issuer; none where @n is 0
 * @problem: why it cannot be used, where it is configured
 */
struct x509_pair {
	gnutls_pcert_st chain[X509_CHAIN_MAX];
	unsigned int n;
	struct outcome problem;
};

/**
 * struct x509_owner - the credentials of one side.
 * @verifying: GnuTLS's own, with the trust store in it; NULL where none has been given
 * @pairs: the certificate, and the one for peers that can do ML-DSA
 * @revoked: the index of revoked.h, mapped; without bytes where there is none
 * @problem: why no peer can be verified, where the trust store or the CRL is configured and unusable
 */
struct x509_owner {
	gnutls_certificate_credentials_t verifying;
	struct x509_pair pairs[2];
	gnutls_datum_t revoked;
	struct outcome problem;
};

/**
 * struct x509 - all of them.
 * @owners: by credential_owner()
 * @desk: where the signer is asked, -1 for no signer
 */
struct x509 {
	struct x509_owner owners[CREDENTIAL_OWNERS];
	int desk;
};

/** x509_init() - none yet. Return: 0 or -ENOMEM. */
int x509_init(struct x509 *x);
void x509_clear(struct x509 *x);

/**
 * x509_pair_of_der() - the certificate of one job.
 * @fd: with it, DER; taken over, -1 for none
 *
 * Return: a pair, to be freed by x509_pair_free(); its problem tells what is wrong with it.
 */
struct x509_pair *x509_pair_of_der(int fd);
void x509_pair_free(void *pair);

/**
 * x509_take() - one of the broker's CREDENTIAL messages.
 * @fd: what came with it, taken over; -1 for nothing
 */
void x509_take(struct x509 *x, const struct ipc_credential *c, int fd);
