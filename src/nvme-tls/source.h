/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a configured PSK comes from: an option, a file, standard input, or chance. */
#pragma once

#include <stdbool.h>

#include "common/interchange.h"
#include "common/keyfile.h"
#include "nvme-tls/options.h"
#include "nvme-tls/tool.h"

/**
 * source_key() - read a key in interchange format.
 * @value: that of --keydata: "-", a file, or the key itself (with a warning: others can see it in
 *	the process list); NULL for standard input. Of a file, what gen and rotate print below a key
 *	is passed over.
 * @derived: it is a TLS PSK, so that the version 0 of nvme-cli will do
 * @why: set to what is wrong with the key when EXIT_INVALID is returned, to be freed by g_free()
 *
 * No message repeats @value unless there is a file of that name.
 *
 * Return: EXIT_OK; EXIT_INVALID, to be told by source_invalid(); EXIT_FAILED after a message.
 */
enum exit_code source_key(const char *value, bool derived, interchange *ic, char **why);

/**
 * source_key_or_file() - the same, but a text that has "identity key" lines is a key file.
 * @kf: set to the key file, to be freed by keyfile_free(), and then @ic stays as it is; else NULL
 */
enum exit_code source_key_or_file(const char *value, bool derived, interchange *ic, keyfile **kf,
				  char **why);

/** source_invalid() - say what is wrong with a key. Return: EXIT_INVALID. */
enum exit_code source_invalid(const char *why);

/**
 * source_new() - a new configured PSK: of --secret, or random.
 * @o: its --hmac, --length and --secret
 *
 * Return: EXIT_OK; EXIT_FAILED, EXIT_INVALID or EXIT_USAGE after a message.
 */
enum exit_code source_new(const options *o, interchange *ic);
