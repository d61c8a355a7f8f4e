/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a configured PSK to the TLS PSK of a host and a subsystem, and its identity. */
#pragma once

#include "common/identity.h"
#include "common/interchange.h"
#include "common/secret.h"

/**
 * enum psk_derivation - who derives alike: the specification, or an era of nvme-cli before it.
 *
 * The order is the one in which they are tried on a key of unknown origin.
 */
enum psk_derivation {
	PSK_RFC8446, /* the specification; nvme-cli 2.16 on, SPDK */
	PSK_COMPAT_2_11,
	PSK_COMPAT_2_7,
	PSK_COMPAT_2_7_OPENSSL_3_0,
	PSK_COMPAT_2_11_OPENSSL_3_0,
	PSK_DERIVATIONS /* their number */
};

/** psk_derivation_era() - "2.11", as --compat takes it; NULL for PSK_RFC8446. Static. */
const char *psk_derivation_era(enum psk_derivation derivation);

/** psk_derivation_users() - which programs derive like this, for people. Static. */
const char *psk_derivation_users(enum psk_derivation derivation);

/** psk_derivation_find() - the derivation of an era; -EINVAL when there is no such era. */
int psk_derivation_find(const char *era);

/**
 * struct psk_recipe - for whom a TLS PSK is derived, and how.
 * @hostnqn, @subsysnqn: the names, taken as they are
 * @version: of the identity, 0 or 1
 * @derivation: whose way of deriving
 */
struct psk_recipe {
	const char *hostnqn;
	const char *subsysnqn;
	int version;
	enum psk_derivation derivation;
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
 * HKDF-Expand-Label can take as its context (identity version 1 has no such limit, nor have the
 * eras that leave out the length); -EINVAL for a
 * key that fits no hash or an unknown version; -EIO when GnuTLS fails.
 */
int psk_derive(const interchange *configured, const struct psk_recipe *recipe, char **identity,
	       secret *tls_psk);
