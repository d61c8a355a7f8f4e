/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tlshd.conf: what an administrator may set, and what we say of it. */
#pragma once

#include <stdbool.h>
#include <glib.h>

/**
 * struct config - all settings, defaults where the file is silent or missing.
 * @path: the file they came from, NULL for none
 * @loglevel: [debug] loglevel, 0 to 9
 * @tls_debug: [debug] tls, GnuTLS's own log level, 0 to 9
 * @nl_debug: [debug] nl, 0 or more: log every netlink message
 * @keyrings: [authenticate] keyrings, names and serials, NULL-terminated
 * @sha384_compat: [authenticate] psk.sha384_compat
 * @workers: [tlshd] workers, 0 for one per CPU, at most 4
 *
 * The x509.* keys of [authenticate.client] and [authenticate.server] are known, so that a file of
 * ktls-utils raises no warning, but not read: NVMe/TCP has no x.509.
 */
typedef struct config {
	char *path;
	int loglevel;
	int tls_debug;
	int nl_debug;
	char **keyrings;
	bool sha384_compat;
	int workers;
} config;

/**
 * config_load() - read the configuration.
 * @path: the file; NULL for the first that exists of /etc/tlshd/config and /etc/tlshd.conf
 * @error: set on failure; its message names file, section, key and value
 *
 * Logs a warning for each unknown section and key, with the nearest known one.
 *
 * Return: the settings, to be freed by config_free(); NULL on failure.
 */
config *config_load(const char *path, GError **error);

/** config_parse() - config_load() of a text, @name stands for the file in messages. */
config *config_parse(const char *name, const char *text, gsize len, GError **error);

/** config_free() - NULL is fine. */
void config_free(config *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(config, config_free)
