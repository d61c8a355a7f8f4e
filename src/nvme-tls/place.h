/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A derived key on its way to where it is used: the keyring, the key file, or both. */
#pragma once

#include <json-c/json.h>

#include "common/interchange.h"
#include "nvme-tls/change.h"
#include "nvme-tls/options.h"
#include "nvme-tls/tool.h"

/**
 * struct placed - what place_key() found and did.
 * @serial: of the key in the keyring; 0 without keyring
 * @replaced: of the other key that had this identity, or 0
 * @there: the keyring has these bytes already, under @serial, which a connection may have been told
 * @line_replaced: the key file has another key under this identity
 */
struct placed {
	key_serial serial, replaced;
	bool there, line_replaced;
};

/**
 * place_key() - put a derived key into the keyring and the key file of a change.
 * @ring: the keyring that @c was opened with, or NULL
 * @force: another key of the same identity may be replaced
 *
 * Return: EXIT_OK; EXIT_DIFFERENT or EXIT_FAILED after a message.
 */
enum exit_code place_key(change *c, const struct ring *ring, const char *identity,
			 const secret *psk, bool force, struct placed *placed);

/**
 * place_print() - print the identity, "Inserted TLS key 0x…" where there is a keyring, and what was
 * replaced; or what nvme-cli prints, where the command was called by a name of nvme-cli.
 */
void place_print(const options *o, const char *identity, const struct placed *placed);

/** place_json() - the same as members of @out. */
void place_json(const struct placed *placed, struct json_object *out);

/**
 * place_fits() - whether a derived key can go under an identity: the hash says how long it is.
 *
 * Return: EXIT_OK, or EXIT_INVALID after a message.
 */
enum exit_code place_fits(const char *identity, const secret *psk);

/**
 * place_names() - the two NQNs of @o, checked; the host's from its file where @o has none.
 *
 * Return: EXIT_OK with both set in @o, or EXIT_USAGE after a message.
 */
enum exit_code place_names(options *o);

/** place_too_long() - say that psk_derive() returned -ENAMETOOLONG. Return: EXIT_FAILED. */
enum exit_code place_too_long(void);

/**
 * place_derive() - psk_derive() for the options' pair, with messages.
 * @identity: set, to be freed by g_free()
 */
enum exit_code place_derive(options *o, const interchange *configured, char **identity,
			    secret *psk);
