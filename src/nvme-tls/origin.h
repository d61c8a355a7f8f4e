/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a loaded key came about: every way in which a configured PSK could have become it. */
#pragma once

#include "common/derive.h"
#include "nvme-tls/ring.h"

/**
 * struct origin - one key that a configured PSK can become for a host and a subsystem.
 * @version: the identity version
 * @hash: the hash of the configured PSK: its own, or none, or the one that fits, with the same bytes
 * @derivations: the bits (1 << enum psk_derivation) of all that derive it like this
 * @identity: its identity, owned
 * @psk: the TLS PSK
 * @state: what the keyring has under @identity
 * @serial: of that key, or 0
 * @err: the negative errno of RING_UNREADABLE
 */
typedef struct origin {
	int version;
	enum psk_hash hash;
	unsigned int derivations;
	char *identity;
	secret psk;
	enum ring_state state;
	key_serial serial;
	int err;
} origin;

/**
 * origins_find() - all keys that a configured PSK can become, and which of them are loaded.
 * @configured: the PSK
 * @hostnqn, @subsysnqn: for whom
 * @compare: what the keyring has under an identity, as ring_compare() says
 *
 * Return: an array of origin, to be freed by g_ptr_array_unref(): the PSK's own hash first, and then
 * identity version 0 first.
 */
GPtrArray *origins_find(const interchange *configured, const char *hostnqn, const char *subsysnqn,
			enum ring_state (*compare)(const char *identity, const secret *psk,
						   key_serial *serial, int *err, void *data),
			void *data);

/**
 * origin_users() - the programs that derive a key like this, "nvme-cli 2.7 to 2.10".
 *
 * Return: a new string, to be freed by g_free().
 */
char *origin_users(const origin *o);

/**
 * origin_option() - the option that makes a key like this, "--compat=2.7".
 *
 * Return: a new string, to be freed by g_free(); NULL where none is needed.
 */
char *origin_option(const origin *o);
