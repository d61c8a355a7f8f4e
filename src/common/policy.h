/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which ciphers and groups a handshake may use: what kTLS can do and the system allows. */
#pragma once

#include <stdbool.h>
#include <gnutls/gnutls.h>
#include <glib.h>

#include "common/identity.h"

/**
 * struct policy - parsed once at start, shared by all sessions.
 * @hash: by enum psk_hash: the ciphers that go with a PSK of that hash; NULL when the system's
 *	policy leaves none. The one of PSK_HASH_NONE holds all, for a server that has not seen
 *	an identity.
 * @legacy: ChaCha20-Poly1305 alone, for 48-byte keys with a SHA-256 binder
 * @x509: for certificates: the system's own policy on signatures and on what is weak, with our ciphers
 *	and groups
 */
struct policy {
	gnutls_priority_t hash[3];
	gnutls_priority_t legacy;
	gnutls_priority_t x509;
};

/**
 * policy_init() - read the system's policy and build ours within it.
 * @why: on failure a sentence, to be freed by g_free()
 *
 * What the policy (@SYSTEM, else NORMAL) does not have, we do not have.
 *
 * Return: 0, or -ENOTSUP when nothing is left to make a TLS 1.3 PSK handshake with.
 */
int policy_init(struct policy *p, char **why);
void policy_clear(struct policy *p);

/** policy_cipher_is_ktls() - is this a cipher that ktls_start() can put into a socket? */
bool policy_cipher_is_ktls(gnutls_cipher_algorithm_t cipher);
