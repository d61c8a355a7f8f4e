/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GnuTLS's PSK credentials, built once for each hash and shared by all sessions. */
#pragma once

#include <stdbool.h>
#include <gnutls/gnutls.h>

#include "common/identity.h"

/* What a user is told where the library cannot do a key; names the way out. */
#define SHA384_NEEDS                                                                                \
	"a SHA-384 PSK needs GnuTLS 3.8.11 or newer (this is %s); only to migrate from ktls-utils " \
	"set psk.sha384_compat=true in [authenticate] of tlshd.conf on both sides"

/**
 * struct credentials - server and client credentials, by enum psk_hash.
 * @server, @client: NULL where the library has no such binder
 *
 * They hold no key: their callbacks ask the session, set by gnutls_session_set_ptr().
 */
struct credentials {
	gnutls_psk_server_credentials_t server[3];
	gnutls_psk_client_credentials_t client[3];
};

/**
 * credentials_init() - build them.
 * @server_key, @client_key: GnuTLS's callbacks that give the key of a session
 *
 * Return: 0 or -ENOMEM.
 */
int credentials_init(struct credentials *c, gnutls_psk_server_credentials_function2 *server_key,
		     gnutls_psk_client_credentials_function2 *client_key);
void credentials_clear(struct credentials *c);

/** credentials_have() - does the library do external PSKs with a binder of @hash? */
bool credentials_have(enum psk_hash hash);
