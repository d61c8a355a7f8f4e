// SPDX-License-Identifier: GPL-2.0-or-later
/* GnuTLS's PSK credentials, built once for each hash and shared by all sessions. */
#include "tlshd/worker/credentials.h"

#include <errno.h>
#include <string.h>

bool credentials_have(enum psk_hash hash)
{
#ifdef HAVE_PSK_CREDENTIALS2
	return hash == PSK_HASH_SHA256 || hash == PSK_HASH_SHA384;
#else
	return hash == PSK_HASH_SHA256;
#endif
}

static int allocate(struct credentials *c, enum psk_hash hash)
{
	int r;

#ifdef HAVE_PSK_CREDENTIALS2
	gnutls_mac_algorithm_t mac = hash == PSK_HASH_SHA384 ? GNUTLS_MAC_SHA384
							     : GNUTLS_MAC_SHA256;

	r = gnutls_psk_allocate_server_credentials2(&c->server[hash], mac);
	if (r == 0)
		r = gnutls_psk_allocate_client_credentials2(&c->client[hash], mac);
#else
	r = gnutls_psk_allocate_server_credentials(&c->server[hash]);
	if (r == 0)
		r = gnutls_psk_allocate_client_credentials(&c->client[hash]);
#endif
	return r < 0 ? -ENOMEM : 0;
}

int credentials_init(struct credentials *c, gnutls_psk_server_credentials_function2 *server_key,
		     gnutls_psk_client_credentials_function2 *client_key)
{
	memset(c, 0, sizeof(*c));
	for (enum psk_hash hash = PSK_HASH_SHA256; hash <= PSK_HASH_SHA384; hash++) {
		if (!credentials_have(hash))
			continue;
		if (allocate(c, hash) < 0) {
			credentials_clear(c);
			return -ENOMEM;
		}
		gnutls_psk_set_server_credentials_function2(c->server[hash], server_key);
		gnutls_psk_set_client_credentials_function2(c->client[hash], client_key);
	}
	return 0;
}

void credentials_clear(struct credentials *c)
{
	for (enum psk_hash hash = PSK_HASH_NONE; hash <= PSK_HASH_SHA384; hash++) {
		if (c->server[hash])
			gnutls_psk_free_server_credentials(c->server[hash]);
		if (c->client[hash])
			gnutls_psk_free_client_credentials(c->client[hash]);
	}
	memset(c, 0, sizeof(*c));
}
