/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Authentication by an external pre-shared key (RFC 8446, 2.2). */
#pragma once

#include "common/identity.h"
#include "common/secret.h"
#include "netlink/upcall.h"
#include "tlshd/worker/auth.h"
#include "common/policy.h"

/**
 * struct auth_psk_shared - what all sessions of a process share.
 * @policy: borrowed
 * @sha384_compat: do 48-byte keys as ktls-utils does on a GnuTLS before 3.8.11
 * @server, @client: GnuTLS's credentials by enum psk_hash, NULL where the library has no such binder.
 *	They hold no key: their callbacks ask the session's struct auth
 */
struct auth_psk_shared {
	const struct policy *policy;
	bool sha384_compat;
	gnutls_psk_server_credentials_t server[3];
	gnutls_psk_client_credentials_t client[3];
};

/** auth_psk_shared_init() - build the credentials. Return: 0 or -ENOMEM. */
int auth_psk_shared_init(struct auth_psk_shared *shared, const struct policy *policy,
			 bool sha384_compat);
void auth_psk_shared_clear(struct auth_psk_shared *shared);

/** auth_psk_has_hash() - does the library do external PSKs with a binder of @hash? */
bool auth_psk_has_hash(enum psk_hash hash);

/**
 * struct auth_psk_params - what it takes.
 * @shared: borrowed
 * @job: the number that stands in debug lines
 * @identity, @psk: of a client; copied
 * @lookup: of a server: asks for the key of an identity, once; auth_psk_answer() brings it, within the
 *	call or later
 * @ctx: for @lookup
 */
struct auth_psk_params {
	const struct auth_psk_shared *shared;
	unsigned int job;
	enum handshake_side side;
	const char *identity;
	const secret *psk;
	void (*lookup)(void *ctx, const char *identity);
	void *ctx;
};

/** auth_psk_new() - to be freed by its kind's free, or by the session that gets it. */
struct auth *auth_psk_new(const struct auth_psk_params *params);

/**
 * auth_psk_answer() - answer @lookup; then session_step().
 * @err: 0, or a negative errno when there is no key to use
 * @psk: the key when @err is 0; copied
 */
void auth_psk_answer(struct auth *auth, int err, const secret *psk);
