/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tlshd.conf: what an administrator may set, and what we say of it. */
#pragma once

#include <stdbool.h>
#include <glib.h>

#include "tlshd/shared/credential.h"

/**
 * struct config - all settings, defaults where the file is silent or missing.
 * @path: the file they came from, NULL for none
 * @complaints: how often the file had to be guessed at; a warning was logged for each
 * @loglevel: [debug] loglevel, 0 to 9
 * @tls_debug: [debug] tls, GnuTLS's own log level, 0 to 9
 * @nl_debug: [debug] nl, 0 to 9: above 0, log every netlink message
 * @keyrings: [authenticate] keyrings, names and serials, NULL-terminated
 * @sha384_compat: [authenticate] psk.sha384_compat
 * @workers: [tlshd] workers, 0 for one per CPU, at least 2 and at most 4
 * @lock_memory: [tlshd] lock_memory, true by default
 * @x509: [authenticate.client] and [authenticate.server] x509.*, by credential_owner() and enum
 *	credential_kind: a path or a PKCS#11 URL; NULL where the file is silent
 */
typedef struct config {
	char *path;
	unsigned int complaints;
	int loglevel;
	int tls_debug;
	int nl_debug;
	char **keyrings;
	bool sha384_compat;
	int workers;
	char *x509[CREDENTIAL_OWNERS][CREDENTIAL_KINDS];
	bool lock_memory;
} config;

/**
 * config_load() - read the configuration.
 * @path: the file; NULL for the first that exists of /etc/tlshd.conf and /etc/tlshd/config
 * @error: set on failure; its message names the file
 *
 * Takes every file that ktls-utils starts with, and that is every file that GKeyFile can parse: a
 * value that makes no sense is taken for the nearest one that does. Logs a warning for each such
 * value, for each unknown section and key with the nearest known one, and for a second file.
 *
 * Return: the settings, to be freed by config_free(); NULL when the file cannot be read or parsed.
 */
config *config_load(const char *path, GError **error);

/**
 * config_find() - the first that exists of the two files that are read where none is named.
 * @ignored: set to the other one, if it exists too, or NULL
 *
 * Return: NULL for none, which is what config_parse() takes for the defaults.
 */
const char *config_find(const char **ignored);

/**
 * config_parse() - config_load() of a text.
 * @path: stands for the file in messages; NULL for none, whatever the text
 * @ignored: another file, which is warned of; NULL for none
 */
config *config_parse(const char *path, const char *ignored, const char *text, gsize len,
		     GError **error);

/** config_has_credentials() - is any of the x509 keys set? */
bool config_has_credentials(const config *c);

/** config_free() - NULL is fine. */
void config_free(config *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(config, config_free)
