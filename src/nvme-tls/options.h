/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of nvme-tls: one table, so that a letter means the same in every subcommand. */
#pragma once

#include <stdbool.h>
#include <glib.h>

/**
 * struct options - what the command line says; NULL and -1 where it does not.
 * @identity: the whole identity, when --identity has one and not a version
 * @version: the identity version, 0 or 1
 */
typedef struct options {
	char *keyring;
	char *keytype;
	char *hostnqn;
	char *subsysnqn;
	char *identity;
	char *keyfile;
	char *keydata;
	char *secret;
	int version;
	int hmac;
	int length;
	gboolean insert;
	gboolean compat;
	gboolean json;
	gboolean dry_run;
	gboolean boot;
} options;

#define OPTIONS_INIT                                    \
	{                                               \
		.version = -1, .hmac = -1, .length = -1 \
	}

/** options_clear() - free them, and wipe --keydata and --secret. */
void options_clear(options *o);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(options, options_clear)

/**
 * options_parse() - read the command line of a subcommand; --help ends the program.
 * @o: filled; --keyring and --keytype get their defaults
 * @which: the letters of the options that the subcommand has
 * @arguments: what --help shows behind the options, "[FILE]"
 * @max_arguments: how many arguments may stay behind in @argv; -1 for any number
 * @about: what --help says the subcommand does
 *
 * Return: true; false after a message (then the exit code is EXIT_USAGE).
 */
bool options_parse(options *o, const char *which, const char *arguments, int max_arguments,
		   const char *about, int *argc, char ***argv);

/**
 * options_hostnqn() - --hostnqn, or what /etc/nvme/hostnqn says, checked.
 *
 * Return: the name, owned by @o; NULL after a message.
 */
const char *options_hostnqn(options *o);

/** options_subsysnqn() - --subsysnqn, checked. Return: NULL after a message. */
const char *options_subsysnqn(options *o);
