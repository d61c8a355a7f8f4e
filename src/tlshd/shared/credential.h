/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an end needs to prove who it is by x.509: the kinds, by which processes pass them on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "netlink/upcall.h"

/* In the order in which a signer wants them: a key after its certificate. */
enum credential_kind {
	CREDENTIAL_TRUST, /* certificates of those who are trusted to issue others, PEM */
	CREDENTIAL_CRL, /* what is revoked: PEM in the file, an index of struct crl_index for workers */
	CREDENTIAL_CERTIFICATE, /* PEM, with its chain */
	CREDENTIAL_KEY, /* PEM, or the URL of a token's */
	CREDENTIAL_PQ_CERTIFICATE, /* the same pair for peers that can do ML-DSA */
	CREDENTIAL_PQ_KEY,
	CREDENTIAL_KINDS,
};

/* Clients and servers have credentials of their own. */
#define CREDENTIAL_OWNERS 2

/** credential_owner() - the place of a side's credentials in an array. */
static inline unsigned int credential_owner(enum handshake_side side)
{
	return side == HANDSHAKE_SERVER;
}

/** credential_is_key(), credential_is_certificate() - of an enum credential_kind. */
static inline bool credential_is_key(size_t kind)
{
	return kind == CREDENTIAL_KEY || kind == CREDENTIAL_PQ_KEY;
}

static inline bool credential_is_certificate(size_t kind)
{
	return kind == CREDENTIAL_CERTIFICATE || kind == CREDENTIAL_PQ_CERTIFICATE;
}
