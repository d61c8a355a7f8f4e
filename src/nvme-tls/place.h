/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A derived key on its way to where it is used: the keyring, the key file, or both. */
#pragma once

#include "common/interchange.h"
#include "nvme-tls/options.h"
#include "nvme-tls/ring.h"
#include "nvme-tls/tool.h"

/**
 * place_key() - put a derived key into keyring and key file.
 * @ring: the keyring, or NULL
 * @path: the key file, or NULL
 * @serial: set to the serial where there is a keyring
 *
 * The key file is written beside the old one first and put in place last, so that neither a full
 * disk nor a refusal of the kernel leaves the one changed and the other not.
 *
 * Return: EXIT_OK, or EXIT_FAILED after a message.
 */
enum exit_code place_key(const struct ring *ring, const char *path, const char *identity,
			 const secret *psk, key_serial *serial);

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
