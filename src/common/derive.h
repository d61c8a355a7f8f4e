/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a configured PSK to the TLS PSK of a host and a subsystem, and its identity. */
#pragma once

#include <stdbool.h>

#include "common/identity.h"
#include "common/interchange.h"
#include "common/secret.h"

/**
 * struct psk_recipe - for whom a TLS PSK is derived, and how.
 * @hostnqn, @subsysnqn: the names, taken as they are
 * @version: of the identity, 0 or 1
 * @compat: derive as nvme-cli before 2.16 does, not as RFC 8446 says
 */
struct psk_recipe {
	const char *hostnqn;
	const char *subsysnqn;
	int version;
	bool compat;
};

/**
 * psk_derive() - derive the TLS PSK and its identity from a configured PSK.
 * @configured: as interchange_parse() gives it
 * @recipe: for whom
 * @identity: set to the identity, to be freed by g_free()
 * @tls_psk: set to the key that belongs into the keyring, 32 or 48 bytes
 *
 * NVMe/TCP Transport Specification, "TLS PSK and PSK Identity Derivation"; HKDF-Expand-Label is
 * that of RFC 8446, section 7.1.
 *
 * Return: 0; -ENAMETOOLONG when the identity of version 0 is longer than the 255 bytes that
 * HKDF-Expand-Label can take as its context (identity version 1 has no such limit); -EINVAL for a
 * key that fits no hash or an unknown version; -EIO when GnuTLS fails.
 */
int psk_derive(const interchange *configured, const struct psk_recipe *recipe, char **identity,
	       secret *tls_psk);
