// SPDX-License-Identifier: GPL-2.0-or-later
/* A derived key on its way to where it is used: the keyring, the key file, or both. */
#include "nvme-tls/place.h"

#include <errno.h>
#include <gnutls/gnutls.h>

#include "common/derive.h"
#include "common/log.h"
#include "nvme-tls/store.h"

enum exit_code place_key(const struct ring *ring, const char *path, const char *identity,
			 const secret *psk, key_serial *serial)
{
	g_autoptr(keyfile) kf = NULL;
	enum exit_code r;

	if (path) {
		r = store_edit(path, &kf);
		if (r != EXIT_OK)
			return r;
		store_set(kf, identity, psk);
		r = store_prepare(path, kf);
		if (r != EXIT_OK)
			return r;
	}
	if (ring) {
		r = ring_put(ring, identity, psk, serial);
		if (r != EXIT_OK)
			return r;
		if (identity_hash(identity) == PSK_HASH_SHA384 && !gnutls_check_version("3.8.11"))
			log_warning("warning: GnuTLS %s on this machine cannot use SHA-384 keys; take --hmac 1, or install GnuTLS 3.8.11",
				    gnutls_check_version(NULL));
	}
	return store_commit(path, kf);
}

enum exit_code place_fits(const char *identity, const secret *psk)
{
	g_auto(nvme_identity) id = {0};
	const char *why;

	if (nvme_identity_split(identity, &id, &why) < 0) {
		log_error("--identity is malformed: %s", why);
		return EXIT_INVALID;
	}
	if (psk->len != psk_hash_size(id.hash)) {
		log_error("the identity is one of %s, whose keys have %zu bytes; this one has %zu",
			  psk_hash_name(id.hash), psk_hash_size(id.hash), psk->len);
		return EXIT_INVALID;
	}
	return EXIT_OK;
}

enum exit_code place_names(options *o)
{
	return options_subsysnqn(o) && options_hostnqn(o) ? EXIT_OK : EXIT_USAGE;
}

enum exit_code place_too_long(void)
{
	log_error("the two NQNs are too long for an identity of version 0: take --identity 1");
	return EXIT_FAILED;
}

enum exit_code place_derive(options *o, const interchange *configured, char **identity, secret *psk)
{
	struct psk_recipe recipe = {
		.version = o->version < 0 ? 0 : o->version,
		.derivation = o->derivation,
	};
	enum exit_code names = place_names(o);
	int r;

	*identity = NULL;
	if (names != EXIT_OK)
		return names;
	recipe.subsysnqn = o->subsysnqn;
	recipe.hostnqn = o->hostnqn;
	r = psk_derive(configured, &recipe, identity, psk);
	if (r == -ENAMETOOLONG)
		return place_too_long();
	if (r < 0)
		log_error("cannot derive the key: %s",
			  r == -EIO ? "GnuTLS refuses the hash" : g_strerror(-r));
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}
